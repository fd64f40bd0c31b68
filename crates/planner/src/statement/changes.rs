//! UPDATE and DELETE: which rows they change, as queries.

use super::{default_value, is_default};
use crate::{SqlError, TextPosition};
use eddyline_catalog::{Dialect, Reference, Table};
use sqlparser::ast::{Expr, Ident, Query, SelectItem, SetExpr};

/// The table that a statement changes, as it is written.
#[derive(Debug, Clone)]
pub(crate) struct ChangedTable {
    /// Its name.
    pub(crate) name: Reference,
    /// Where that stands.
    pub(crate) position: TextPosition,
    /// What the expressions of the statement call it; `None`: its name.
    pub(crate) alias: Option<String>,
}

/// `UPDATE table [[AS] alias] SET column = value, … [WHERE condition]`.
#[derive(Debug, Clone)]
pub struct Update {
    /// The table.
    pub table: Reference,
    /// Where its name stands.
    pub position: TextPosition,
    alias: Option<String>,
    /// The columns that are given another value, each once.
    pub assignments: Vec<Assignment>,
    /// `RETURNING …`, of the rows as they become.
    pub returning: Option<Box<Query>>,
    condition: Option<Expr>,
}

/// `column = value` of an UPDATE.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// The column.
    pub column: String,
    /// Where its name stands.
    pub position: TextPosition,
    value: Expr,
}

impl Update {
    /// Which rows are changed; `None`: all.
    pub(crate) fn condition(&self) -> Option<&Expr> {
        self.condition.as_ref()
    }

    pub(crate) fn new(
        ChangedTable { name: table, position, alias }: ChangedTable,
        assignments: Vec<(String, TextPosition, Expr)>,
        condition: Option<Expr>,
        returning: Option<Box<Query>>,
    ) -> Self {
        let assigned = |(column, position, value)| Assignment { column, position, value };
        let assignments = assignments.into_iter().map(assigned).collect();
        Self { table, position, alias, assignments, returning, condition }
    }

    /// What its expressions call the table.
    pub(crate) fn called(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.table.object)
    }

    /// With the DEFAULTs of the table where a column is set to DEFAULT.
    ///
    /// # Errors
    /// None for tables that were checked.
    pub fn with_defaults(&self, table: &Table) -> Result<Self, SqlError> {
        let mut update = self.clone();
        for assignment in &mut update.assignments {
            let column = table.columns.iter().find(|column| column.name == assignment.column);
            if let (true, Some(column)) = (is_default(&assignment.value), column) {
                assignment.value = default_value(column, table.dialect)?;
            }
        }
        Ok(update)
    }

    /// All its expressions.
    pub(crate) fn expressions(&self) -> impl Iterator<Item = &Expr> {
        self.assignments.iter().map(|a| &a.value).chain(self.condition.iter())
    }

    /// All its expressions.
    pub(crate) fn expressions_mut(&mut self) -> impl Iterator<Item = &mut Expr> {
        self.assignments.iter_mut().map(|a| &mut a.value).chain(self.condition.iter_mut())
    }

    /// Columns, and what they are given.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&str, &Expr)> {
        self.assignments.iter().map(|a| (a.column.as_str(), &a.value))
    }

    /// The rows that are changed: `columns` as they are, then `columns` as they become.
    ///
    /// # Errors
    /// None for a statement that was parsed.
    pub fn query(&self, columns: &[&str]) -> Result<Query, SqlError> {
        let assigned = |name: &&str| self.assignments.iter().find(|a| a.column == **name).map(|a| a.value.clone());
        let before = columns.iter().map(|name| column(name));
        let after = columns.iter().map(|name| assigned(name).unwrap_or_else(|| column(name)));
        rows_of((&self.table, self.alias.as_deref()), before.chain(after), self.condition.clone())
    }
}

/// `DELETE FROM table [[AS] alias] [WHERE condition]`, and `TRUNCATE table`, which is the same without a condition.
#[derive(Debug, Clone)]
pub struct Delete {
    /// The table.
    pub table: Reference,
    /// Where its name stands.
    pub position: TextPosition,
    alias: Option<String>,
    /// `RETURNING …`, of the rows that go.
    pub returning: Option<Box<Query>>,
    condition: Option<Expr>,
}

impl Delete {
    /// Which rows go; `None`: all.
    pub(crate) fn condition(&self) -> Option<&Expr> {
        self.condition.as_ref()
    }

    pub(crate) fn new(
        ChangedTable { name: table, position, alias }: ChangedTable,
        condition: Option<Expr>,
        returning: Option<Box<Query>>,
    ) -> Self {
        Self { table, position, alias, returning, condition }
    }

    /// What its expressions call the table.
    pub(crate) fn called(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.table.object)
    }

    /// All its expressions.
    pub(crate) fn expressions(&self) -> impl Iterator<Item = &Expr> {
        self.condition.iter()
    }

    /// All its expressions.
    pub(crate) fn expressions_mut(&mut self) -> impl Iterator<Item = &mut Expr> {
        self.condition.iter_mut()
    }

    /// The rows that go: `columns` of them.
    ///
    /// # Errors
    /// None for a statement that was parsed.
    pub fn query(&self, columns: &[&str]) -> Result<Query, SqlError> {
        let columns = columns.iter().map(|name| column(name));
        rows_of((&self.table, self.alias.as_deref()), columns, self.condition.clone())
    }
}

pub(crate) fn column(name: &str) -> Expr {
    Expr::Identifier(Ident::with_quote('`', name))
}

/// `SELECT 1 FROM table [AS alias]`, whose list is to be replaced.
pub(crate) fn from_table(table: &Reference, alias: Option<&str>) -> Result<Box<Query>, SqlError> {
    let alias = alias.map_or_else(String::new, |alias| format!(" AS {}", Ident::with_quote('`', alias)));
    crate::parse::parse_query(&format!("SELECT 1 FROM {}{alias}", table.to_sql()), Dialect::Flink)
}

/// `SELECT items FROM table [AS alias] [WHERE condition]`.
pub(crate) fn rows_of(
    (table, alias): (&Reference, Option<&str>),
    items: impl Iterator<Item = Expr>,
    condition: Option<Expr>,
) -> Result<Query, SqlError> {
    let mut query = from_table(table, alias)?;
    let SetExpr::Select(select) = query.body.as_mut() else {
        return Err(SqlError::new(SqlError::INTERNAL, "a SELECT is none"));
    };
    // Each has a name of its own, whatever it computes.
    let named = |(at, expr)| SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('`', format!("column {at}")) };
    select.projection = items.enumerate().map(named).collect();
    select.selection = condition;
    Ok(*query)
}
