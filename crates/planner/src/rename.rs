//! The text of a view whose tables have got other names.

use crate::SqlError;
use crate::bind::TABLE_ARGUMENT;
use crate::deep::with_room;
use crate::parse::{parse_query, replaced};
use eddyline_catalog::Dialect;
use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectNamePart, Query, TableFactor, Visit,
    Visitor,
};
use sqlparser::tokenizer::{Location, Span};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// The text of a query that reads tables and views under other names: by the old name the new one. What is read under its own name is
/// called by the old one still, so that `old.column` means what it meant.
///
/// # Errors
/// A query of WITH has one of the names, and would hide what is meant.
pub fn renamed(sql: &str, dialect: Dialect, names: &BTreeMap<String, String>) -> Result<String, SqlError> {
    let query = parse_query(sql, dialect)?;
    let mut found = Found { names, places: Vec::new(), hidden: None };
    let _ = with_room(|| query.visit(&mut found));
    if let Some(name) = found.hidden {
        let message = format!("a query of WITH has the name {name}");
        return Err(SqlError::new(SqlError::DUPLICATE_TABLE, message));
    }
    found.places.sort_by_key(|(span, _)| (span.start.line, span.start.column));
    // A table function is met as an expression and as a relation.
    found.places.dedup_by_key(|(span, _)| (span.start.line, span.start.column));
    replaced(sql, dialect, &found.places)
}

struct Found<'n> {
    names: &'n BTreeMap<String, String>,
    places: Vec<(Span, String)>,
    /// A name that a query of WITH has.
    hidden: Option<String>,
}

impl Found<'_> {
    fn take(&mut self, ident: &Ident, has_alias: bool) {
        let Some(new) = self.names.get(&ident.value) else { return };
        if ident.span.start == (Location { line: 0, column: 0 }) {
            return;
        }
        let alias = if has_alias { String::new() } else { format!(" AS {}", quoted(&ident.value)) };
        self.places.push((ident.span, format!("{}{alias}", quoted(new))));
    }
}

impl Visitor for Found<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for part in query.with.iter().flat_map(|with| &with.cte_tables) {
            let name = &part.alias.name.value;
            if self.names.contains_key(name) || self.names.values().any(|new| new == name) {
                self.hidden = Some(name.clone());
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, alias, args: None, .. } = factor
            && let Some(ident) = name.0.last().and_then(ObjectNamePart::as_ident)
        {
            self.take(ident, alias.is_some());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && let Some(ident) = table_argument(function)
        {
            self.take(ident, true);
        }
        ControlFlow::Continue(())
    }
}

/// The table of `__table(t)`, which stands for `TABLE t`.
pub(crate) fn table_argument(function: &Function) -> Option<&Ident> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let marks = function.name.0.last().and_then(ObjectNamePart::as_ident).is_some_and(|i| i.value == TABLE_ARGUMENT);
    match list.args.first()? {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(name))) if marks => Some(name),
        _ => None,
    }
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_names(sql: &str, dialect: Dialect) -> Result<String, SqlError> {
        let names = [("t", "u"), ("a b", "c")].map(|(old, new)| (old.to_owned(), new.to_owned()));
        renamed(sql, dialect, &names.into())
    }

    #[test]
    fn names_are_put_where_tables_are_read() {
        for (sql, wanted) in [
            ("SELECT t.x, 't' FROM t -- t", "SELECT t.x, 't' FROM `u` AS `t` -- t"),
            ("SELECT t FROM public.t AS y", "SELECT t FROM public.`u` AS y"),
            (
                "SELECT 'ß', (SELECT MAX(k) FROM `a b`) FROM t JOIN v ON t.k = v.k",
                "SELECT 'ß', (SELECT MAX(k) FROM `c` AS `a b`) FROM `u` AS `t` JOIN v ON t.k = v.k",
            ),
            (
                "SELECT * FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' HOUR))",
                "SELECT * FROM TABLE(TUMBLE(TABLE `u`, DESCRIPTOR(ts), INTERVAL '1' HOUR))",
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
}
