//! Names of columns: what stands in FROM, and what results are called.

use super::Columns;
use crate::plan::{Aggregate, SetCall, Window};
use crate::{Error, Type};
use sqlparser::ast::{AccessExpr, Expr, Ident, ObjectNamePart, SelectItem, SetExpr, Value};

/// A name as Postgres folds it: in lower case unless it is quoted.
pub(crate) fn folded(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

/// What a SELECT can refer to, and what its expressions compute beside it.
#[derive(Default)]
pub(super) struct Scope {
    pub(super) tables: Vec<Table>,
    /// Where aggregates and the like may stand: in lists and orders, not in conditions.
    pub(super) allows: Allows,
    pub(super) aggregates: Vec<Aggregate>,
    pub(super) windows: Vec<Window>,
    pub(super) sets: Vec<SetCall>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allows {
    pub(super) aggregates: bool,
    pub(super) windows: bool,
    pub(super) sets: bool,
}

/// An item of FROM.
pub(super) struct Table {
    pub(super) schema: Option<String>,
    pub(super) name: String,
    /// Where its columns begin.
    pub(super) begin: usize,
    pub(super) columns: Columns,
    /// Columns that USING has merged with those of an item before.
    pub(super) merged: Vec<usize>,
}

impl Scope {
    /// The columns of one relation.
    pub(super) fn of(columns: &Columns) -> Self {
        let mut scope = Self::default();
        scope.tables.push(Table {
            schema: None,
            name: String::new(),
            begin: 0,
            columns: columns.clone(),
            merged: Vec::new(),
        });
        scope
    }

    pub(super) fn width(&self) -> usize {
        self.tables.iter().map(|table| table.columns.len()).sum()
    }

    /// The place of a column without the name of its table.
    pub(super) fn column(&self, name: &str) -> Result<Option<(usize, Type)>, Error> {
        let mut found = None;
        for table in &self.tables {
            for (at, (_, of)) in table.columns.iter().enumerate().filter(|(_, (own, _))| own == name) {
                if table.merged.contains(&at) {
                    continue;
                }
                if found.is_some() {
                    return Err(Error::new("42702", format!("column reference \"{name}\" is ambiguous")));
                }
                found = Some((table.begin + at, of.clone()));
            }
        }
        Ok(found)
    }

    /// The table of a name, with its schema or without.
    pub(super) fn table(&self, schema: Option<&str>, name: &str) -> Option<&Table> {
        let fits = |table: &&Table| table.name == name && (schema.is_none() || table.schema.as_deref() == schema);
        self.tables.iter().find(fits)
    }
}

/// Is it a function that stands without brackets, and that the parser takes for a column?
pub(crate) fn is_function_alone(name: &Ident) -> bool {
    name.quote_style.is_none() && name.value.eq_ignore_ascii_case("current_schema")
}

/// What a column is called that has no name of its own.
pub(super) fn output_name(tree: &Expr) -> String {
    named(tree).map_or_else(|| "?column?".to_owned(), |(name, _)| name)
}

/// The name that an expression suggests, and whether it is more than that of a type, as which a name further out is not preferred.
fn named(tree: &Expr) -> Option<(String, bool)> {
    let strong = |name: String| Some((name, true));
    match tree {
        Expr::Identifier(name) => strong(folded(name)),
        Expr::CompoundIdentifier(parts) => strong(parts.last().map(folded)?),
        Expr::CompoundFieldAccess { root, access_chain } => {
            let field = access_chain.iter().rev().find_map(|access| match access {
                AccessExpr::Dot(Expr::Identifier(name)) => Some(folded(name)),
                _ => None,
            });
            field.map(|name| (name, true)).or_else(|| named(root))
        }
        Expr::Function(call) => strong(call.name.0.last().and_then(ObjectNamePart::as_ident).map(folded)?),
        Expr::Cast { expr, data_type, .. } => {
            let inner = named(expr).filter(|(_, is_strong)| *is_strong);
            inner.or_else(|| Type::of_sql(data_type).map(|of| (of.name(), false)))
        }
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => named(inner),
        Expr::Case { else_result, .. } => {
            let otherwise = else_result.as_deref().and_then(named).filter(|(_, is_strong)| *is_strong);
            Some(otherwise.unwrap_or_else(|| ("case".to_owned(), false)))
        }
        Expr::Exists { .. } => strong("exists".to_owned()),
        Expr::Array(_) => strong("array".to_owned()),
        Expr::Tuple(_) => strong("row".to_owned()),
        Expr::Trim { .. } => strong("btrim".to_owned()),
        Expr::Substring { .. } => strong("substring".to_owned()),
        Expr::Position { .. } => strong("position".to_owned()),
        Expr::Value(value) if matches!(value.value, Value::Boolean(_)) => Some(("bool".to_owned(), false)),
        Expr::Subquery(query) => match query.body.as_ref() {
            SetExpr::Select(select) => match select.projection.first()? {
                SelectItem::UnnamedExpr(expr) => named(expr),
                SelectItem::ExprWithAlias { alias, .. } => strong(folded(alias)),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}
