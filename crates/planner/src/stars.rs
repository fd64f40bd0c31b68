//! Texts of views that go on to have the columns that they have, when a table that they read by `*` gets more.
//!
//! Each `*` that stands for columns of the table is written out. What this leaves as it is (a `*` over USING, say) is none of a caller's
//! concern who compares what the text means before and after.

use crate::SqlError;
use crate::deep::with_room;
use crate::parse::{parse_query, replaced};
use crate::rename::{idents, reference};
use crate::with_names::WithNames;
use eddyline_catalog::{Dialect, Name, PUBLIC};
use sqlparser::ast::{
    JoinConstraint, JoinOperator, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, TableFactor, Visit,
    Visitor, WildcardAdditionalOptions,
};
use sqlparser::tokenizer::Span;
use std::ops::ControlFlow;

/// The text of a stored query in which every `*` over a table names the columns that the table has. `None`: there is no such `*`.
///
/// # Errors
/// What does not parse.
pub fn with_columns_named(
    sql: &str,
    dialect: Dialect,
    table: &Name,
    columns: &[&str],
) -> Result<Option<String>, SqlError> {
    let query = parse_query(sql, dialect)?;
    let mut stars = Stars { table, columns, with: WithNames::default(), places: Vec::new() };
    let _ = with_room(|| query.visit(&mut stars));
    if stars.places.is_empty() {
        return Ok(None);
    }
    stars.places.sort_by_key(|(span, _)| (span.start.line, span.start.column));
    replaced(sql, dialect, &stars.places).map(Some)
}

struct Stars<'n> {
    table: &'n Name,
    columns: &'n [&'n str],
    with: WithNames,
    places: Vec<(Span, String)>,
}

/// What `*` stands for of a relation.
enum Part {
    /// All columns of the table, which is called so.
    Table(String),
    /// All columns of something else, which is called so.
    Other(String),
}

impl Stars<'_> {
    /// What a relation is called, and whether it is the table; `None`: it has no name, or names its columns anew.
    fn part(&self, factor: &TableFactor) -> Option<Part> {
        let (alias, own) = match factor {
            TableFactor::Table { name, alias, args: None, .. } => (alias, Some(reference(&idents(name)))),
            TableFactor::Derived { alias, .. } | TableFactor::UNNEST { alias, .. } => (alias, None),
            _ => return None,
        };
        if alias.as_ref().is_some_and(|alias| !alias.columns.is_empty()) && own.is_some() {
            return None;
        }
        let name = alias.as_ref().map(|alias| alias.name.value.clone());
        match own {
            Some(own) if own.schema.is_none() && self.with.has(&own.object) => {
                Some(Part::Other(name.unwrap_or(own.object)))
            }
            Some(own) => {
                let read = Name::new(own.schema.as_deref().unwrap_or(PUBLIC), &own.object);
                let name = name.unwrap_or(own.object);
                Some(if read == *self.table { Part::Table(name) } else { Part::Other(name) })
            }
            None => name.map(Part::Other),
        }
    }

    fn written_out(&self, part: &Part) -> String {
        match part {
            Part::Table(name) => {
                let columns: Vec<String> =
                    self.columns.iter().map(|column| format!("{}.{}", quoted(name), quoted(column))).collect();
                columns.join(", ")
            }
            Part::Other(name) => format!("{}.*", quoted(name)),
        }
    }

    /// The relations of FROM; `None`: not all of them can be named.
    fn parts(&self, select: &Select) -> Option<Vec<Part>> {
        let all = select
            .from
            .iter()
            .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)));
        all.map(|factor| self.part(factor)).collect()
    }

    fn item(&mut self, item: &SelectItem, select: &Select) {
        let (parts, options, begin) = match item {
            SelectItem::Wildcard(options) => {
                let is_plain =
                    select.from.iter().flat_map(|from| &from.joins).all(|join| keeps_all(&join.join_operator));
                let Some(parts) = self.parts(select).filter(|_| is_plain) else { return };
                (parts, options, options.wildcard_token.0.span.start)
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                let name = idents(name);
                let (Some(first), Some(last)) = (name.first(), name.last()) else { return };
                let all = select.from.iter().flat_map(|from| {
                    std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation))
                });
                let is_meant = |part: &Part| matches!(part, Part::Table(own) if *own == last.value);
                let Some(part) = all.filter_map(|factor| self.part(factor)).find(is_meant) else { return };
                (vec![part], options, first.span.start)
            }
            _ => return,
        };
        if !is_bare(options) || !parts.iter().any(|part| matches!(part, Part::Table(_))) {
            return;
        }
        let text: Vec<String> = parts.iter().map(|part| self.written_out(part)).collect();
        self.places.push((Span::new(begin, options.wildcard_token.0.span.end), text.join(", ")));
    }
}

/// Are the columns of both sides those of the join, one behind the other?
fn keeps_all(operator: &JoinOperator) -> bool {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::CrossJoin(constraint) => matches!(constraint, JoinConstraint::On(_) | JoinConstraint::None),
        _ => false,
    }
}

/// A `*` with nothing left out, replaced or renamed.
fn is_bare(options: &WildcardAdditionalOptions) -> bool {
    let WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike,
        opt_exclude,
        opt_except,
        opt_replace,
        opt_rename,
        opt_alias,
    } = options;
    opt_ilike.is_none()
        && opt_exclude.is_none()
        && opt_except.is_none()
        && opt_replace.is_none()
        && opt_rename.is_none()
        && opt_alias.is_none()
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

impl Visitor for Stars<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let _ = self.with.enter(query);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.with.leave(query);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        select.projection.iter().for_each(|item| self.item(item, select));
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sql: &str, dialect: Dialect) -> Option<String> {
        with_columns_named(sql, dialect, &Name::from("t"), &["k", "a b"]).expect(sql)
    }

    #[test]
    fn stars_over_the_table_are_written_out() {
        for (sql, wanted) in [
            ("SELECT * FROM t", Some("SELECT `t`.`k`, `t`.`a b` FROM t")),
            (
                "SELECT 1, *, 'ß*' FROM public.t AS x -- *",
                Some("SELECT 1, `x`.`k`, `x`.`a b`, 'ß*' FROM public.t AS x -- *"),
            ),
            ("SELECT x . * FROM t x, u", Some("SELECT `x`.`k`, `x`.`a b` FROM t x, u")),
            (
                "SELECT * FROM u JOIN t ON u.k = t.k",
                Some("SELECT `u`.*, `t`.`k`, `t`.`a b` FROM u JOIN t ON u.k = t.k"),
            ),
            ("SELECT t.* FROM u JOIN t USING (k)", Some("SELECT `t`.`k`, `t`.`a b` FROM u JOIN t USING (k)")),
            (
                "SELECT * FROM (SELECT * FROM t) AS d WHERE k IN (SELECT MAX(k) FROM t)",
                Some("SELECT * FROM (SELECT `t`.`k`, `t`.`a b` FROM t) AS d WHERE k IN (SELECT MAX(k) FROM t)"),
            ),
            (
                "WITH w AS (SELECT * FROM t) SELECT * FROM w",
                Some("WITH w AS (SELECT `t`.`k`, `t`.`a b` FROM t) SELECT * FROM w"),
            ),
            (
                "SELECT * FROM t UNION ALL SELECT k, v FROM u",
                Some("SELECT `t`.`k`, `t`.`a b` FROM t UNION ALL SELECT k, v FROM u"),
            ),
            ("WITH t AS (SELECT 1 AS x) SELECT * FROM t", None),
            ("SELECT COUNT(*), k FROM t GROUP BY k", None),
            ("SELECT * FROM s.t", None),
            ("SELECT * FROM u JOIN t USING (k)", None),
            ("SELECT u.* FROM u, t", None),
        ] {
            assert_eq!(of(sql, Dialect::Flink).as_deref(), wanted, "{sql}");
        }
        assert_eq!(of("SELECT * FROM T", Dialect::Postgres).as_deref(), Some("SELECT `t`.`k`, `t`.`a b` FROM T"));
        assert_eq!(of("SELECT * FROM \"T\"", Dialect::Postgres), None);
    }
}
