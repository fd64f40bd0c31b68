//! UPDATE and DELETE: which rows they change, as queries.

use super::returning::{OtherColumn, columns_of, show};
use super::{default_value, is_default};
use crate::{SqlError, TextPosition};
use eddyline_catalog::{ColumnSource, Dialect, Reference, Table};
use sqlparser::ast::{Expr, Ident, Query, Select, SelectItem, SetExpr, TableWithJoins, With};

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

/// `UPDATE table [[AS] alias] SET column = value, … [FROM others] [WHERE condition]`.
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
    others: Others,
    condition: Option<Expr>,
    queries: Option<With>,
    shown: Vec<OtherColumn>,
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

/// The tables that stand beside the one that is changed: behind FROM of an UPDATE, USING of a DELETE.
pub(crate) type Others = Vec<TableWithJoins>;

impl Update {
    /// The tables behind FROM.
    pub(crate) fn others(&self) -> &Others {
        &self.others
    }

    /// The tables behind FROM.
    pub(crate) fn others_mut(&mut self) -> &mut Others {
        &mut self.others
    }

    /// Does it read others beside its table? Then [`query`](Self::query) has a row several times where it matches several rows of them, and
    /// one of these counts.
    pub fn joins(&self) -> bool {
        !self.others.is_empty()
    }

    /// With other tables behind FROM.
    pub(crate) fn with_others(self, others: Others) -> Self {
        Self { others, ..self }
    }

    /// With the queries of a WITH that stands before it.
    pub(crate) fn with_queries(self, queries: With) -> Self {
        Self { queries: Some(queries), ..self }
    }

    /// What tells the columns of the other tables, for RETURNING; `None`: there are none, or nothing is returned.
    pub fn others_query(&self) -> Result<Option<Query>, SqlError> {
        match self.joins() && self.returning.is_some() {
            true => columns_of(&self.others, self.queries.as_ref()).map(Some),
            false => Ok(None),
        }
    }

    /// With RETURNING over a table that has, beside its own columns, those of the others that it names; `found` are all of these.
    ///
    /// # Errors
    /// A column that several tables have.
    pub fn showing(mut self, table: &Table, found: &[OtherColumn], dialect: Dialect) -> Result<Self, SqlError> {
        let called = self.called().to_owned();
        if let Some(returning) = &mut self.returning {
            self.shown = show(returning, (table, &called), found, dialect)?;
        }
        Ok(self)
    }

    /// The columns of other tables that RETURNING names; they are the last of [`query`](Self::query)'s but for the copies.
    pub fn shown(&self) -> &[OtherColumn] {
        &self.shown
    }

    /// The queries of the WITH before it.
    pub(crate) fn queries(&self) -> Option<&With> {
        self.queries.as_ref()
    }

    /// The queries of the WITH before it.
    pub(crate) fn queries_mut(&mut self) -> Option<&mut With> {
        self.queries.as_mut()
    }

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
        Self {
            table,
            position,
            alias,
            assignments,
            returning,
            others: Others::new(),
            condition,
            queries: None,
            shown: Vec::new(),
        }
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

    /// The rows of its table that are changed: its columns as they are, then as they become. Where it [joins](Self::joins), and the table
    /// has no PRIMARY KEY, then how many copies there are of the row.
    ///
    /// # Errors
    /// None for a statement that was parsed.
    pub fn query(&self, table: &Table) -> Result<Query, SqlError> {
        let own = |name: &&str| if self.joins() { column_of(self.called(), name) } else { column(name) };
        let assigned = |name: &str| self.assignments.iter().find(|a| a.column == name).map(|a| a.value.clone());
        let (name, alias) = read_as((&self.table, self.alias.as_deref()), self.queries.as_ref(), table);
        let names = physical(table);
        let before = names.iter().map(own);
        let after = names.iter().map(|name| assigned(name).unwrap_or_else(|| own(name)));
        let mut query = match self.joins() {
            false => rows_of((&name, alias), before.chain(after), self.condition.clone())?,
            true => {
                let items = before.chain(after).chain(self.shown.iter().map(OtherColumn::expression));
                joined(table, (&name, self.called()), &self.others, items, &self.condition)?
            }
        };
        query.with.clone_from(&self.queries);
        Ok(query)
    }
}

/// `DELETE FROM table [[AS] alias] [USING others] [WHERE condition]`, and `TRUNCATE table`, which is the same without a condition.
#[derive(Debug, Clone)]
pub struct Delete {
    /// The table.
    pub table: Reference,
    /// Where its name stands.
    pub position: TextPosition,
    alias: Option<String>,
    /// `RETURNING …`, of the rows that go.
    pub returning: Option<Box<Query>>,
    others: Others,
    condition: Option<Expr>,
    queries: Option<With>,
    shown: Vec<OtherColumn>,
}

impl Delete {
    /// The tables behind USING.
    pub(crate) fn others(&self) -> &Others {
        &self.others
    }

    /// The tables behind USING.
    pub(crate) fn others_mut(&mut self) -> &mut Others {
        &mut self.others
    }

    /// As [`Update::joins`].
    pub fn joins(&self) -> bool {
        !self.others.is_empty()
    }

    /// With other tables behind USING.
    pub(crate) fn with_others(self, others: Others) -> Self {
        Self { others, ..self }
    }

    /// With the queries of a WITH that stands before it.
    pub(crate) fn with_queries(self, queries: With) -> Self {
        Self { queries: Some(queries), ..self }
    }

    /// What tells the columns of the other tables, for RETURNING; `None`: there are none, or nothing is returned.
    pub fn others_query(&self) -> Result<Option<Query>, SqlError> {
        match self.joins() && self.returning.is_some() {
            true => columns_of(&self.others, self.queries.as_ref()).map(Some),
            false => Ok(None),
        }
    }

    /// With RETURNING over a table that has, beside its own columns, those of the others that it names; `found` are all of these.
    ///
    /// # Errors
    /// A column that several tables have.
    pub fn showing(mut self, table: &Table, found: &[OtherColumn], dialect: Dialect) -> Result<Self, SqlError> {
        let called = self.called().to_owned();
        if let Some(returning) = &mut self.returning {
            self.shown = show(returning, (table, &called), found, dialect)?;
        }
        Ok(self)
    }

    /// The columns of other tables that RETURNING names; they are the last of [`query`](Self::query)'s but for the copies.
    pub fn shown(&self) -> &[OtherColumn] {
        &self.shown
    }

    /// The queries of the WITH before it.
    pub(crate) fn queries(&self) -> Option<&With> {
        self.queries.as_ref()
    }

    /// The queries of the WITH before it.
    pub(crate) fn queries_mut(&mut self) -> Option<&mut With> {
        self.queries.as_mut()
    }

    /// Which rows go; `None`: all.
    pub(crate) fn condition(&self) -> Option<&Expr> {
        self.condition.as_ref()
    }

    pub(crate) fn new(
        ChangedTable { name: table, position, alias }: ChangedTable,
        condition: Option<Expr>,
        returning: Option<Box<Query>>,
    ) -> Self {
        Self { table, position, alias, returning, others: Others::new(), condition, queries: None, shown: Vec::new() }
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

    /// The rows of its table that go. Where it [joins](Self::joins), and the table has no PRIMARY KEY, then how many copies there are of
    /// the row.
    ///
    /// # Errors
    /// None for a statement that was parsed.
    pub fn query(&self, table: &Table) -> Result<Query, SqlError> {
        let (name, alias) = read_as((&self.table, self.alias.as_deref()), self.queries.as_ref(), table);
        let names = physical(table);
        let mut query = match self.joins() {
            false => rows_of((&name, alias), names.iter().map(|name| column(name)), self.condition.clone())?,
            true => {
                let own = names.iter().map(|name| column_of(self.called(), name));
                let items = own.chain(self.shown.iter().map(OtherColumn::expression));
                joined(table, (&name, self.called()), &self.others, items, &self.condition)?
            }
        };
        query.with.clone_from(&self.queries);
        Ok(query)
    }
}

/// By what name the table is read, and what it is called: a query of WITH that has its name does not stand for it.
fn read_as<'s>(
    (written, alias): (&'s Reference, Option<&'s str>),
    queries: Option<&With>,
    table: &Table,
) -> (Reference, Option<&'s str>) {
    let hides = |with: &With| with.cte_tables.iter().any(|cte| cte.alias.name.value == written.object);
    match written.schema.is_none() && queries.is_some_and(hides) {
        true => (Reference::from(&table.name), Some(alias.unwrap_or(&written.object))),
        false => (written.clone(), alias),
    }
}

fn physical(table: &Table) -> Vec<&str> {
    let stored = table.columns.iter().filter(|c| c.source == ColumnSource::Physical);
    stored.map(|c| c.name.as_str()).collect()
}

/// What tells how many copies there are of a row.
const COPIES: &str = "copies of the row";

/// `SELECT items FROM table AS called, others WHERE condition`. Without a PRIMARY KEY, rows that are alike are one row of the join, which says
/// how many they are.
fn joined(
    table: &Table,
    (name, called): (&Reference, &str),
    others: &Others,
    items: impl Iterator<Item = Expr>,
    condition: &Option<Expr>,
) -> Result<Query, SqlError> {
    let mut query = match table.primary_key.is_empty() {
        false => from_table(name, Some(called))?,
        true => {
            let quoted = |name: &str| Ident::with_quote('`', name).to_string();
            let all: Vec<String> = table.columns.iter().map(|column| quoted(&column.name)).collect();
            let (all, copies, called) = (all.join(", "), quoted(COPIES), quoted(called));
            let name = name.to_sql();
            let text =
                format!("SELECT 1 FROM (SELECT {all}, COUNT(*) AS {copies} FROM {name} GROUP BY {all}) AS {called}");
            crate::parse::parse_query(&text, Dialect::Flink)?
        }
    };
    let copies = table.primary_key.is_empty().then(|| column_of(called, COPIES));
    let select = select_of(&mut query)?;
    select.projection = named(items.chain(copies));
    select.from.extend(others.iter().cloned());
    select.selection.clone_from(condition);
    Ok(*query)
}

/// A column of a table that has a name in the statement.
pub(super) fn column_of(table: &str, name: &str) -> Expr {
    Expr::CompoundIdentifier(vec![Ident::with_quote('`', table), Ident::with_quote('`', name)])
}

pub(super) fn select_of(query: &mut Query) -> Result<&mut Select, SqlError> {
    match query.body.as_mut() {
        SetExpr::Select(select) => Ok(select),
        _ => Err(SqlError::new(SqlError::INTERNAL, "a SELECT is none")),
    }
}

/// Each has a name of its own, whatever it computes.
fn named(items: impl Iterator<Item = Expr>) -> Vec<SelectItem> {
    let named = |(at, expr)| SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('`', format!("column {at}")) };
    items.enumerate().map(named).collect()
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
    let select = select_of(&mut query)?;
    select.projection = named(items);
    select.selection = condition;
    Ok(*query)
}
