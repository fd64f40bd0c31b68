//! The shape of Postgres' catalogs: relations with their columns, and types, as PostgreSQL 15 has them.
//!
//! `relations.txt` holds a relation a line: number, kind, name, columns with their types, `!` behind those that are never NULL.
//! `types.txt` holds a type a line, in the order of [`TypeLine`].

use eddyline_introspection::{Relation, Row, Type, Value};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// A relation of the catalogs.
pub(super) struct Shape {
    pub(super) oid: u32,
    pub(super) kind: &'static str,
    pub(super) schema: &'static str,
    pub(super) name: &'static str,
    pub(super) columns: Vec<(String, Type)>,
    /// What a column holds that nobody sets.
    defaults: Vec<Value>,
}

impl Shape {
    /// A row: named values, and what there is by default.
    ///
    /// # Panics
    /// A name that the relation does not have: they are written in this crate.
    pub(super) fn row<const N: usize>(&self, values: [(&str, Value); N]) -> Row {
        let mut row = self.defaults.clone();
        for (name, value) in values {
            let at = self.columns.iter().position(|(own, _)| own == name);
            row[at.unwrap_or_else(|| panic!("{} has no column {name}", self.name))] = value;
        }
        row.into()
    }

    /// The relation with rows.
    pub(super) fn filled(&self, rows: Vec<Row>) -> Relation {
        Relation { columns: self.columns.clone(), rows }
    }
}

/// All relations.
pub(super) fn shapes() -> &'static [Shape] {
    static SHAPES: OnceLock<Vec<Shape>> = OnceLock::new();
    SHAPES.get_or_init(|| include_str!("relations.txt").lines().filter_map(shape).collect())
}

/// The relation of a name.
pub(super) fn find(schema: &str, name: &str) -> Option<&'static Shape> {
    static PLACES: OnceLock<HashMap<(&'static str, &'static str), usize>> = OnceLock::new();
    let places = PLACES
        .get_or_init(|| shapes().iter().enumerate().map(|(at, shape)| ((shape.schema, shape.name), at)).collect());
    places.get(&(schema, name)).map(|at| &shapes()[*at])
}

/// A relation without rows, to know its columns.
pub(super) fn empty(schema: &str, name: &str) -> Option<Arc<Relation>> {
    find(schema, name).map(|shape| Arc::new(shape.filled(Vec::new())))
}

fn shape(line: &'static str) -> Option<Shape> {
    let mut words = line.split(' ');
    let (oid, kind, whole) = (words.next()?.parse().ok()?, words.next()?, words.next()?);
    let (schema, name) = whole.split_once('.')?;
    let (mut columns, mut defaults) = (Vec::new(), Vec::new());
    for word in words {
        let (column, of) = word.split_once(':')?;
        let (of, is_there) = of.strip_suffix('!').map_or((of, false), |of| (of, true));
        // Without quotes, char is a type of another name.
        let of = match of {
            "char" => Type::Char,
            "_char" => Type::Char.list(),
            name => Type::of_name(name)?,
        };
        defaults.push(if is_there { zero(&of) } else { Value::Null });
        columns.push((column.to_owned(), of));
    }
    Some(Shape { oid, kind, schema, name, columns, defaults })
}

fn zero(of: &Type) -> Value {
    match of {
        Type::Bool => false.into(),
        Type::Char | Type::Name | Type::Text => "".into(),
        Type::Float4 | Type::Float8 => Value::Float(0.0),
        Type::List(_) | Type::Int2Vector | Type::OidVector => Value::list([]),
        _ => 0.into(),
    }
}

/// A type of `pg_type`.
pub(super) struct TypeLine {
    pub(super) oid: u32,
    pub(super) name: &'static str,
    pub(super) length: i32,
    pub(super) by_value: bool,
    pub(super) kind: &'static str,
    pub(super) category: &'static str,
    pub(super) preferred: bool,
    pub(super) delimiter: &'static str,
    pub(super) item: u32,
    pub(super) array: u32,
    pub(super) align: &'static str,
    pub(super) storage: &'static str,
    pub(super) collation: u32,
    /// Name and number of the functions that read and write it.
    pub(super) input: (&'static str, u32),
    pub(super) output: (&'static str, u32),
    /// Its name in the standard.
    pub(super) shown: &'static str,
}

/// The types that clients may meet.
pub(super) fn types() -> &'static [TypeLine] {
    static TYPES: OnceLock<Vec<TypeLine>> = OnceLock::new();
    TYPES.get_or_init(|| include_str!("types.txt").lines().filter_map(type_line).collect())
}

/// The type of a number.
pub(super) fn type_of(oid: u32) -> Option<&'static TypeLine> {
    types().iter().find(|of| of.oid == oid)
}

fn type_line(line: &'static str) -> Option<TypeLine> {
    let mut words = line.splitn(16, ' ');
    let mut next = || words.next();
    let function = |word: &'static str| {
        let (name, oid) = word.split_once(':')?;
        Some((name, oid.parse().ok()?))
    };
    Some(TypeLine {
        oid: next()?.parse().ok()?,
        name: next()?,
        length: next()?.parse().ok()?,
        by_value: next()? == "t",
        kind: next()?,
        category: next()?,
        preferred: next()? == "t",
        delimiter: next()?,
        item: next()?.parse().ok()?,
        array: next()?.parse().ok()?,
        align: next()?,
        storage: next()?,
        collation: next()?.parse().ok()?,
        input: function(next()?)?,
        output: function(next()?)?,
        shown: next()?,
    })
}

/// `numeric(10,2)`: what a type is called with its modifier; -1 is none.
pub(super) fn shown_type(oid: u32, modifier: i64) -> String {
    let Some(of) = type_of(oid) else { return "???".to_owned() };
    if of.category == "A" && of.item != 0 {
        return format!("{}[]", shown_type(of.item, modifier));
    }
    match (of.name, modifier) {
        (_, m) if m < 0 => of.shown.to_owned(),
        ("numeric", m) if m >= 4 => format!("numeric({},{})", (m - 4) >> 16, (m - 4) & 0xffff),
        ("time" | "timestamp" | "timestamptz", m) => {
            let (word, rest) = of.shown.split_once(' ').unwrap_or((of.shown, ""));
            format!("{word}({m}) {rest}")
        }
        ("varchar" | "bpchar", m) if m >= 4 => format!("{}({})", of.shown, m - 4),
        _ => of.shown.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lines_are_read() {
        assert_eq!(shapes().len(), include_str!("relations.txt").lines().count());
        assert_eq!(types().len(), include_str!("types.txt").lines().count());
    }

    #[test]
    fn types_are_called_as_in_postgres() {
        let shown =
            [(1700, -1), (1700, 655_366), (1114, 3), (1184, -1), (1007, -1), (1231, 655_366), (18, -1), (99_999, -1)];
        let shown = shown.map(|(oid, modifier)| shown_type(oid, modifier));
        let expected = [
            "numeric",
            "numeric(10,2)",
            "timestamp(3) without time zone",
            "timestamp with time zone",
            "integer[]",
            "numeric(10,2)[]",
            "\"char\"",
            "???",
        ];
        assert_eq!(shown, expected);
    }
}
