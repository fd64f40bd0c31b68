//! RETURNING of an UPDATE … FROM or DELETE … USING: columns of the other tables beside those of the one that is changed.
//!
//! The rows of the statement have the columns that are named at their end, and RETURNING is a query over a table that has them under names of
//! their own.

use super::changes::{Others, column_of, select_of};
use crate::SqlError;
use crate::bind::name_of;
use arrow::datatypes::DataType;
use eddyline_catalog::{Dialect, Table};
use sqlparser::ast::{Expr, Ident, Query, SelectItem, SelectItemQualifiedWildcardKind, VisitMut, VisitorMut, With};
use std::ops::ControlFlow;

/// A column of a table that stands beside the one that is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherColumn {
    /// What the statement calls its table.
    pub relation: String,
    /// Its name there.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
}

impl OtherColumn {
    /// What it is called beside the columns of the table that is changed.
    pub fn name_beside(&self) -> String {
        format!("{}.{}", self.relation, self.name)
    }

    pub(super) fn expression(&self) -> Expr {
        column_of(&self.relation, &self.name)
    }

    fn beside(&self) -> Expr {
        Expr::Identifier(Ident::with_quote('`', self.name_beside()))
    }
}

/// `SELECT * FROM others`.
pub(super) fn columns_of(others: &Others, queries: Option<&With>) -> Result<Query, SqlError> {
    let mut query = crate::parse::parse_query("SELECT *", Dialect::Flink)?;
    select_of(&mut query)?.from.clone_from(others);
    query.with = queries.cloned();
    Ok(*query)
}

/// Puts names of their own for columns of other tables into a RETURNING; gives those that it names.
pub(super) fn show(
    returning: &mut Query,
    (table, called): (&Table, &str),
    found: &[OtherColumn],
    dialect: Dialect,
) -> Result<Vec<OtherColumn>, SqlError> {
    let mut names = Names { table, called, found, shown: Vec::new() };
    let own = |name: &str| SelectItem::UnnamedExpr(column_of(called, name));
    let select = select_of(returning)?;
    let mut items = Vec::with_capacity(select.projection.len());
    for (at, item) in std::mem::take(&mut select.projection).into_iter().enumerate() {
        match item {
            SelectItem::Wildcard(_) => {
                items.extend(table.columns.iter().map(|column| own(&column.name)));
                items.extend(found.iter().map(|column| names.item(column)));
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(ref name), _)
                if is_name(called, name) =>
            {
                items.extend(table.columns.iter().map(|column| own(&column.name)));
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(ref name), _)
                if found.iter().any(|column| is_name(&column.relation, name)) =>
            {
                let of_it = found.iter().filter(|column| is_name(&column.relation, name));
                items.extend(of_it.map(|column| names.item(column)));
            }
            SelectItem::UnnamedExpr(mut expr) => {
                let before = names.shown.len();
                let name = name_of(dialect, at, &expr);
                names.put_into(&mut expr)?;
                items.push(match names.mentions_other(&expr) || names.shown.len() > before {
                    true => SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('`', name) },
                    false => SelectItem::UnnamedExpr(expr),
                });
            }
            SelectItem::ExprWithAlias { mut expr, alias } => {
                names.put_into(&mut expr)?;
                items.push(SelectItem::ExprWithAlias { expr, alias });
            }
            other => items.push(other),
        }
    }
    select.projection = items;
    Ok(names.shown)
}

fn is_name(relation: &str, written: &sqlparser::ast::ObjectName) -> bool {
    matches!(written.0.as_slice(), [part] if part.as_ident().is_some_and(|ident| ident.value == relation))
}

/// The columns that names may mean.
struct Names<'s> {
    table: &'s Table,
    called: &'s str,
    found: &'s [OtherColumn],
    shown: Vec<OtherColumn>,
}

impl Names<'_> {
    fn item(&mut self, column: &OtherColumn) -> SelectItem {
        let alias = Ident::with_quote('`', column.name.clone());
        SelectItem::ExprWithAlias { expr: self.beside(column), alias }
    }

    fn beside(&mut self, column: &OtherColumn) -> Expr {
        if !self.shown.contains(column) {
            self.shown.push(column.clone());
        }
        column.beside()
    }

    fn put_into(&mut self, expr: &mut Expr) -> Result<(), SqlError> {
        match VisitMut::visit(expr, self) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(*error),
        }
    }

    fn mentions_other(&self, expr: &Expr) -> bool {
        matches!(expr, Expr::Identifier(name) if self.shown.iter().any(|column| column.name_beside() == name.value))
    }

    /// What a column without the name of a table is; `None`: not one of another table.
    fn unqualified(&self, name: &str) -> Result<Option<OtherColumn>, SqlError> {
        let own = usize::from(self.table.columns.iter().any(|column| column.name == name));
        let mut others = self.found.iter().filter(|column| column.name == name);
        let other = others.next();
        match own + usize::from(other.is_some()) + others.count() {
            0 | 1 => Ok(other.cloned()),
            _ => Err(SqlError::new("42702", format!("column {name} is ambiguous"))
                .with_hint("write the table's name or alias before it")),
        }
    }
}

impl VisitorMut for Names<'_> {
    type Break = Box<SqlError>;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        let column = match &*expr {
            Expr::Identifier(name) => match self.unqualified(&name.value) {
                Ok(column) => column,
                Err(error) => return ControlFlow::Break(Box::new(error)),
            },
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [relation, name] if relation.value != self.called => {
                    let is_it = |c: &&OtherColumn| c.relation == relation.value && c.name == name.value;
                    self.found.iter().find(is_it).cloned()
                }
                _ => None,
            },
            _ => None,
        };
        if let Some(column) = column {
            *expr = self.beside(&column);
        }
        ControlFlow::Continue(())
    }
}
