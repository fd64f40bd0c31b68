//! Texts of views that go on to mean what they meant: when their tables get other names, and wherever names without a schema are
//! looked for.

use crate::SqlError;
use crate::bind::TABLE_ARGUMENT;
use crate::deep::with_room;
use crate::parse::{parse_query, replaced};
use crate::with_names::WithNames;
use eddyline_catalog::{Catalog, Dialect, Name, PUBLIC, Reference, SearchPath};
use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, ObjectNamePart, Query,
    TableFactor, Visit, Visitor,
};
use sqlparser::tokenizer::{Location, Span};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// The text of a stored query that reads tables and views under other names: by the old name the new one. What is read under its own
/// name is called by the old one still, so that `old.column` means what it meant.
///
/// # Errors
/// A query of WITH has one of the names, and would hide what is meant.
pub fn renamed(sql: &str, dialect: Dialect, names: &BTreeMap<Name, Name>) -> Result<String, SqlError> {
    let query = parse_query(sql, dialect)?;
    let stored = SearchPath::default();
    let new = |written: &Reference| {
        let schema = written.schema.as_deref().or_else(|| stored.schemas().next());
        names.get(&Name::new(schema.unwrap_or(PUBLIC), &written.object)).cloned()
    };
    let hides = |name: &str| names.iter().any(|(old, new)| old == name || new == name);
    let mut found = Found {
        new: &new,
        hides: &hides,
        keeps_names: true,
        places: Vec::new(),
        hidden: None,
        with: WithNames::default(),
    };
    let _ = with_room(|| query.visit(&mut found));
    if let Some(name) = found.hidden {
        let message = format!("a query of WITH has the name {name}");
        return Err(SqlError::new(SqlError::DUPLICATE_TABLE, message));
    }
    found.replaced(sql, dialect)
}

/// The text of a query to be stored: what it reads by names without a schema, and is found by the search path elsewhere than in
/// [`PUBLIC`], gets its schema. So the text goes on to mean it. `None`: it is so already.
///
/// # Errors
/// What does not parse.
pub fn with_schemas(
    sql: &str,
    dialect: Dialect,
    catalog: &Catalog,
    path: &SearchPath,
) -> Result<Option<String>, SqlError> {
    if *path == SearchPath::default() {
        return Ok(None);
    }
    let query = parse_query(sql, dialect)?;
    let new = |written: &Reference| match written.schema {
        Some(_) => None,
        None => {
            catalog.resolve(written, path).ok().filter(|name| name.schema() != PUBLIC && catalog.object(name).is_ok())
        }
    };
    let mut found = Found {
        new: &new,
        hides: &|_| false,
        keeps_names: false,
        places: Vec::new(),
        hidden: None,
        with: WithNames::default(),
    };
    let _ = with_room(|| query.visit(&mut found));
    if found.places.is_empty() { Ok(None) } else { found.replaced(sql, dialect).map(Some) }
}

/// What is to be written in another way.
struct Found<'n> {
    new: &'n dyn Fn(&Reference) -> Option<Name>,
    /// Must no query of WITH have this name?
    hides: &'n dyn Fn(&str) -> bool,
    /// Are relations to be called what they are called now?
    keeps_names: bool,
    places: Vec<(Span, String)>,
    /// A name that a query of WITH has.
    hidden: Option<String>,
    with: WithNames,
}

impl Found<'_> {
    fn take(&mut self, parts: &[Ident], has_alias: bool) {
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return };
        let written = reference(parts);
        if written.schema.is_none() && self.with.has(&written.object) {
            return;
        }
        let Some(new) = (self.new)(&written) else { return };
        if first.span.start == (Location { line: 0, column: 0 }) {
            return;
        }
        let alias = if has_alias || !self.keeps_names { String::new() } else { format!(" AS {}", quoted(&last.value)) };
        self.places.push((Span::new(first.span.start, last.span.end), format!("{}{alias}", new.to_sql())));
    }

    fn replaced(mut self, sql: &str, dialect: Dialect) -> Result<String, SqlError> {
        self.places.sort_by_key(|(span, _)| (span.start.line, span.start.column));
        // A table function is met as an expression and as a relation.
        self.places.dedup_by_key(|(span, _)| (span.start.line, span.start.column));
        replaced(sql, dialect, &self.places)
    }
}

impl Visitor for Found<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if let Some(name) = self.with.enter(query).find(|name| (self.hides)(name)) {
            self.hidden = Some(name.to_owned());
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.with.leave(query);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, alias, args: None, .. } = factor {
            self.take(&idents(name), alias.is_some());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && let Some(parts) = table_argument(function)
        {
            self.take(parts, true);
        }
        ControlFlow::Continue(())
    }
}

/// The table of `__table(t)`, which stands for `TABLE t`.
pub(crate) fn table_argument(function: &Function) -> Option<&[Ident]> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let marks = function.name.0.last().and_then(ObjectNamePart::as_ident).is_some_and(|i| i.value == TABLE_ARGUMENT);
    match list.args.first()? {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(name))) if marks => {
            Some(std::slice::from_ref(name))
        }
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::CompoundIdentifier(parts))) if marks => Some(parts),
        _ => None,
    }
}

/// The parts of a name.
pub(crate) fn idents(name: &ObjectName) -> Vec<Ident> {
    name.0.iter().filter_map(|part| part.as_ident().cloned()).collect()
}

/// A name as the parser leaves it in a query.
pub(crate) fn reference(parts: &[Ident]) -> Reference {
    let mut parts = parts.iter().rev().map(|part| part.value.clone());
    let object = parts.next().unwrap_or_default();
    Reference { object, schema: parts.next(), database: parts.next() }
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use eddyline_catalog::{Object, View};
    use std::sync::Arc;

    fn with_names(sql: &str, dialect: Dialect) -> Result<String, SqlError> {
        let names = [("t", "u"), ("a b", "c")].map(|(old, new)| (Name::from(old), Name::from(new)));
        let moved = [(Name::new("s", "x"), Name::new("n", "x"))];
        renamed(sql, dialect, &names.into_iter().chain(moved).collect())
    }

    #[test]
    fn names_are_put_where_tables_are_read() {
        for (sql, wanted) in [
            ("SELECT t.x, 't' FROM t -- t", "SELECT t.x, 't' FROM `u` AS `t` -- t"),
            ("SELECT t FROM public.t AS y", "SELECT t FROM `u` AS y"),
            ("SELECT x.k FROM s . x JOIN x ON s.x.k = x.k", "SELECT x.k FROM `n`.`x` AS `x` JOIN x ON s.x.k = x.k"),
            ("SELECT t FROM s.t", "SELECT t FROM s.t"),
            (
                "SELECT 'ß', (SELECT MAX(k) FROM `a b`) FROM t JOIN v ON t.k = v.k",
                "SELECT 'ß', (SELECT MAX(k) FROM `c` AS `a b`) FROM `u` AS `t` JOIN v ON t.k = v.k",
            ),
            (
                "SELECT * FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' HOUR))",
                "SELECT * FROM TABLE(TUMBLE(TABLE `u`, DESCRIPTOR(ts), INTERVAL '1' HOUR))",
            ),
            (
                "SELECT * FROM TABLE(TUMBLE(TABLE s.x, DESCRIPTOR(ts), INTERVAL '1' HOUR))",
                "SELECT * FROM TABLE(TUMBLE(TABLE `n`.`x`, DESCRIPTOR(ts), INTERVAL '1' HOUR))",
            ),
            ("SELECT 1\nFROM w,\n  t", "SELECT 1\nFROM w,\n  `u` AS `t`"),
            ("SELECT x FROM w", "SELECT x FROM w"),
        ] {
            assert_eq!(with_names(sql, Dialect::Flink).expect(sql), wanted);
        }
        assert_eq!(with_names("SELECT T.x FROM T", Dialect::Postgres).expect("a query"), "SELECT T.x FROM `u` AS `t`");
        assert_eq!(with_names("SELECT x FROM \"T\"", Dialect::Postgres).expect("a query"), "SELECT x FROM \"T\"");
    }

    #[test]
    fn names_that_a_query_of_with_has_are_left_alone() {
        for sql in ["WITH t AS (SELECT 1) SELECT * FROM t", "WITH u AS (SELECT * FROM t) SELECT * FROM u"] {
            assert_eq!(with_names(sql, Dialect::Flink).expect_err(sql).sqlstate, SqlError::DUPLICATE_TABLE);
        }
    }

    #[test]
    fn what_is_found_by_the_search_path_gets_its_schema() {
        let view = |name: Name| View {
            name,
            columns: Vec::new(),
            sql: "SELECT 1".into(),
            dialect: Dialect::Flink,
            comment: None,
            temporary: false,
        };
        let mut catalog = Catalog::new();
        catalog.create_schema("s").expect("a schema");
        for name in [Name::new("s", "t"), Name::new("s", "v"), Name::from("t"), Name::from("p")] {
            catalog.put(Object::View(Arc::new(view(name))));
        }
        let path = SearchPath::parse("s, public", None);
        for (sql, wanted) in [
            ("SELECT t.x FROM t", Some("SELECT t.x FROM `s`.`t`")),
            ("SELECT * FROM t AS a JOIN p ON a.k = p.k", Some("SELECT * FROM `s`.`t` AS a JOIN p ON a.k = p.k")),
            ("SELECT * FROM public.t, p, missing", None),
            ("WITH t AS (SELECT * FROM p) SELECT * FROM t", None),
            (
                "WITH t AS (SELECT * FROM t) SELECT * FROM t, v",
                Some("WITH t AS (SELECT * FROM `s`.`t`) SELECT * FROM t, `s`.`v`"),
            ),
            (
                "WITH v AS (SELECT 1), w AS (SELECT * FROM v, t) SELECT (SELECT MAX(x) FROM v) FROM w",
                Some("WITH v AS (SELECT 1), w AS (SELECT * FROM v, `s`.`t`) SELECT (SELECT MAX(x) FROM v) FROM w"),
            ),
            (
                "SELECT (WITH t AS (SELECT 1 AS x) SELECT x FROM t) FROM t",
                Some("SELECT (WITH t AS (SELECT 1 AS x) SELECT x FROM t) FROM `s`.`t`"),
            ),
        ] {
            assert_eq!(with_schemas(sql, Dialect::Flink, &catalog, &path).expect(sql).as_deref(), wanted, "{sql}");
            assert_eq!(with_schemas(sql, Dialect::Flink, &catalog, &SearchPath::default()).expect(sql), None);
        }
    }
}
