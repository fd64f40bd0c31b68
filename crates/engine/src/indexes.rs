//! CREATE INDEX: a second order of the rows of a table or materialized view.
//!
//! An index is a name of the catalog, and an order of the rows that the engine keeps ([`Database::set_orders`](crate::kept::Database)). Which
//! orders there are follows from the catalog alone: whatever changes the indexes of a table says anew which they are.

use crate::changes::{kept_sources, physical};
use crate::ddl;
use crate::drops::DEPENDENT_OBJECTS;
use crate::error::from_catalog;
use crate::error::state::WRONG_OBJECT;
use crate::kept::{self, Order};
use crate::listing::Listing;
use crate::session::created;
use crate::{Outcome, Session};
use arrow::compute::SortOptions;
use arrow::datatypes::Schema;
use eddyline_catalog::{Catalog, Index, IndexColumn, Name, Object, Reference, Table, Unique};
use eddyline_plan::{Dataflow, SourceSpec};
use eddyline_planner::SqlError;
use eddyline_planner::statement::{ColumnChange, CreateIndex, Insert, Like, UniqueColumns};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Session {
    /// CREATE INDEX.
    ///
    /// # Errors
    /// An unknown table or column, or one whose rows nobody keeps; the name is taken.
    pub(crate) fn create_index(&mut self, said: &CreateIndex) -> Result<Outcome, SqlError> {
        let placed = |error: SqlError| error.at(said.position);
        let table = self.resolve(&said.table).map_err(placed)?;
        let (index, _reserved) = loop {
            let index = self.index_of(said, &table).map_err(placed)?;
            let reserved = self.reserve(BTreeSet::from([index.name.clone(), table.clone()]))?;
            // Another session may have taken the name, or changed the table.
            if ddl::is_there(&self.catalog, &index.name, said.if_not_exists) {
                return Ok(created("index", &index.name, false));
            }
            if self.index_of(said, &table).map_err(placed)? == index {
                break (index, reserved);
            }
        };
        let (name, object) = (index.name.clone(), Object::Index(Arc::new(index)));
        let mut next = Catalog::clone(&self.catalog);
        ddl::add(&mut next, object.clone(), false)?;
        // Who sees the name finds rows through it.
        self.keep_orders(&next, &table)?;
        if let Err(error) = self.define(|catalog| ddl::add(catalog, object, false)) {
            self.keep_orders(&self.catalog, &table)?;
            return Err(error);
        }
        Ok(created("index", &name, true))
    }

    /// The index that is about to be made.
    fn index_of(&self, said: &CreateIndex, table: &Name) -> Result<Index, SqlError> {
        let object = self.catalog.object(table).map_err(from_catalog)?;
        let kept = kept_table(object)?;
        if let (Some(_), Object::MaterializedView(_)) = (said.unique, object) {
            let message = format!("a unique index on materialized view {table}, whose rows its query says");
            return Err(SqlError::new(SqlError::UNSUPPORTED, message).with_hint(
                "CREATE INDEX without UNIQUE finds its rows; a unique index on the table that it reads keeps rows out",
            ));
        }
        for (name, position) in
            said.columns.iter().map(|(c, at)| (&c.name, at)).chain(said.included.iter().map(|(c, at)| (c, at)))
        {
            check_column(kept, name).map_err(|e| e.at(*position))?;
        }
        let columns: Vec<IndexColumn> = said.columns.iter().map(|(column, _)| column.clone()).collect();
        let mut seen = BTreeSet::new();
        if let Some((twice, position)) = said.columns.iter().find(|(column, _)| !seen.insert(&column.name)) {
            let message = format!("column {} is there twice", twice.name);
            return Err(SqlError::new(SqlError::DUPLICATE_COLUMN, message).at(*position));
        }
        let name = match &said.name {
            Some(written) => self.index_name(written, table)?,
            None => free_name(table, columns.iter().map(|c| c.name.as_str()), "idx", |name| {
                self.catalog.object(name).is_ok()
            }),
        };
        let (table, unique) = (table.clone(), said.unique);
        let (comment, temporary) = (said.comment.clone(), kept.temporary);
        Ok(Index { name, table, columns, unique, comment, temporary })
    }

    /// An index is in the schema of its table.
    fn index_name(&self, written: &Reference, table: &Name) -> Result<Name, SqlError> {
        let name = Name::new(table.schema(), &written.object);
        match written.schema.is_some() && self.resolve(written)? != name {
            true => {
                let message = format!("index {written} would not be in the schema of table {table}");
                Err(SqlError::new(SqlError::INVALID, message).with_hint(format!("leave the schema of {written} out")))
            }
            false => Ok(name),
        }
    }

    /// The indexes of a table that is about to be made: of what CREATE TABLE says to be unique, and those that LIKE copies.
    ///
    /// # Errors
    /// An unknown column, or a table whose rows nobody keeps here.
    pub(crate) fn indexes_of_new_table(
        &self,
        table: &Table,
        unique: &[UniqueColumns],
        like: Option<&Like>,
    ) -> Result<Vec<Arc<Index>>, SqlError> {
        let mut made = self.indexes_of_constraints(table, unique)?;
        let Some(like) = like.filter(|_| table.is_kept()) else { return Ok(made) };
        for index in
            self.catalog.indexes_of(&self.resolve(&like.source)?).filter(|index| ddl::copies_index(like, index))
        {
            let kind = if index.unique.is_some_and(|unique| unique.is_constraint) { "key" } else { "idx" };
            let name = self.free_index_name(table, index.columns.iter().map(|c| c.name.as_str()), kind, &made);
            let comment = index.comment.clone().filter(|_| ddl::copies_comments(like));
            let (table, temporary) = (table.name.clone(), table.temporary);
            made.push(Arc::new(Index { name, table, comment, temporary, ..index.as_ref().clone() }));
        }
        Ok(made)
    }

    fn indexes_of_constraints(&self, table: &Table, unique: &[UniqueColumns]) -> Result<Vec<Arc<Index>>, SqlError> {
        let mut made: Vec<Arc<Index>> = Vec::with_capacity(unique.len());
        for UniqueColumns { name, columns, nulls_distinct, position } in unique {
            let placed = |error: SqlError| error.at(*position);
            if !table.is_kept() {
                let message = format!("UNIQUE of table {}, whose rows are behind a connector", table.name);
                return Err(placed(SqlError::new(SqlError::UNSUPPORTED, message))
                    .with_hint("nobody checks rows that are elsewhere: leave it out"));
            }
            columns.iter().try_for_each(|column| check_column(table, column)).map_err(placed)?;
            let mut seen = BTreeSet::new();
            if let Some(twice) = columns.iter().find(|column| !seen.insert(*column)) {
                return Err(placed(SqlError::new(
                    SqlError::DUPLICATE_COLUMN,
                    format!("column {twice} is there twice"),
                )));
            }
            let name = match name {
                Some(name) => Name::new(table.name.schema(), name),
                None => self.free_index_name(table, columns.iter().map(String::as_str), "key", &made),
            };
            let column = |name: &String| IndexColumn { name: name.clone(), descending: false, nulls_first: false };
            made.push(Arc::new(Index {
                name,
                table: table.name.clone(),
                columns: columns.iter().map(column).collect(),
                unique: Some(Unique { nulls_distinct: *nulls_distinct, is_constraint: true }),
                comment: None,
                temporary: table.temporary,
            }));
        }
        Ok(made)
    }

    /// A name for an index of a table that is about to be made, beside those that it has already.
    fn free_index_name<'c>(
        &self,
        table: &Table,
        columns: impl Iterator<Item = &'c str>,
        kind: &str,
        made: &[Arc<Index>],
    ) -> Name {
        free_name(&table.name, columns, kind, |name| {
            // The indexes of a table that this one takes the place of go with it.
            let there = self.catalog.object(name);
            made.iter().any(|index| index.name == *name)
                || there.is_ok_and(|object| !matches!(object, Object::Index(index) if index.table == table.name))
        })
    }

    /// The unique index that ON CONFLICT of an INSERT is about; `None`: the PRIMARY KEY, or it says nothing.
    ///
    /// # Errors
    /// There is none like that.
    pub(crate) fn conflict_order(&self, insert: &Insert, table: &Table) -> Result<Option<Order>, SqlError> {
        if insert.key.is_none() {
            return Ok(None);
        }
        let index = insert.conflict_index(table, self.catalog.indexes_of(&table.name))?;
        Ok(index.and_then(|index| order_of(index, table)))
    }

    /// Are there columns of a table, beside its PRIMARY KEY, that no two rows have alike?
    pub(crate) fn has_unique(&self, table: &Name) -> bool {
        self.catalog.indexes_of(table).any(|index| index.unique.is_some())
    }

    /// Keeps the rows of a table in the orders of the indexes that a catalog has of it.
    ///
    /// # Errors
    /// Columns whose values have no order.
    pub(crate) fn keep_orders(&self, catalog: &Catalog, table: &Name) -> Result<(), SqlError> {
        let of = kept_table(catalog.object(table).map_err(from_catalog)?)?;
        self.instance.database().set_orders(table, &orders(catalog.indexes_of(table).map(Arc::as_ref), of))
    }

    /// The table of an index.
    pub(crate) fn table_of_index(&self, name: &Name) -> Option<Name> {
        match self.catalog.object(name) {
            Ok(Object::Index(index)) => Some(index.table.clone()),
            _ => None,
        }
    }

    /// Through which indexes a job finds what it reads, a line for each.
    ///
    /// # Errors
    /// A view that has failed; a table that is gone.
    pub(crate) fn indexes_read(&self, dataflow: &Dataflow) -> Result<Vec<String>, SqlError> {
        let lines = kept_sources(dataflow).map(|source| self.read_through(source, &[]));
        Ok(lines.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// How a source reads a table that is kept, in the order of these columns if it can, where there is something to say of that.
    ///
    /// # Errors
    /// As [`indexes_read`](Self::indexes_read).
    pub(crate) fn read_through(
        &self,
        source: &SourceSpec,
        sort: &[(usize, SortOptions)],
    ) -> Result<Option<String>, SqlError> {
        let Some(name) = kept::name_of(source) else { return Ok(None) };
        if sort.is_empty() && self.catalog.indexes_of(&name).next().is_none() {
            return Ok(None);
        }
        let rows = self.pictures(&[source])?;
        let Some(rows) = rows.get(&name) else { return Ok(None) };
        let reading = rows.reading(&source.column_conditions(), sort).map_err(|e| kept::of_rows(&name, &e))?;
        let order = if reading.is_sorted() { ", in the order that is asked for" } else { "" };
        let table = kept_table(self.catalog.object(&name).map_err(from_catalog)?)?;
        let is_it = |index: &&Arc<Index>| order_of(index, table).as_ref() == reading.index;
        Ok(match (reading.index, self.catalog.indexes_of(&name).find(is_it)) {
            (Some(_), Some(index)) => Some(format!("READS: {name} through index {}{order}", index.name)),
            (None, _) if reading.is_sorted() => Some(format!("READS: {name} by its key{order}")),
            _ => None,
        })
    }

    /// `SHOW INDEXES [FROM table]`.
    ///
    /// # Errors
    /// An unknown table.
    pub(crate) fn show_indexes(&self, table: Option<&Reference>) -> Result<Listing, SqlError> {
        let table = table.map(|written| self.named(written).map(Object::name)).transpose()?;
        let found: Vec<&Index> = match table {
            Some(table) => self.catalog.indexes_of(table).map(Arc::as_ref).collect(),
            None => self
                .visible()
                .filter_map(|object| match object {
                    Object::Index(index) => Some(index.as_ref()),
                    _ => None,
                })
                .collect(),
        };
        let columns = |index: &Index| {
            index.columns.iter().map(|c| format!("{}{}", c.name, c.direction())).collect::<Vec<_>>().join(", ")
        };
        Ok(Listing::texts(vec![
            ("index name", found.iter().map(|index| Some(index.name.object().to_owned())).collect()),
            ("table", found.iter().map(|index| Some(index.table.to_string())).collect()),
            ("columns", found.iter().map(|index| Some(columns(index))).collect()),
        ]))
    }
}

/// The name of an index that is given none.
fn free_name<'c>(
    table: &Name,
    columns: impl Iterator<Item = &'c str>,
    kind: &str,
    is_taken: impl Fn(&Name) -> bool,
) -> Name {
    let first = format!("{}_{}_{kind}", table.object(), columns.collect::<Vec<_>>().join("_"));
    let mut name = Name::new(table.schema(), &first);
    let mut number = 0;
    while is_taken(&name) {
        number += 1;
        name = Name::new(table.schema(), &format!("{first}{number}"));
    }
    name
}

/// The orders of indexes of a table.
pub(crate) fn orders<'i>(indexes: impl Iterator<Item = &'i Index>, table: &Table) -> Vec<Order> {
    let mut all: Vec<Order> = Vec::new();
    for order in indexes.filter_map(|index| order_of(index, table)) {
        // Several indexes may say the same.
        if !all.contains(&order) {
            all.push(order);
        }
    }
    all
}

/// May these indexes be those of a view with other columns?
pub(crate) fn check_indexed(indexes: &[Arc<Index>], columns: &Schema) -> Result<(), SqlError> {
    let is_missing = |name: &str| columns.field_with_name(name).is_err();
    for index in indexes {
        if let Some(missing) = index.columns.iter().find(|column| is_missing(&column.name)) {
            let message = format!("index {} needs column {}, which the new view has not", index.name, missing.name);
            let hint = format!("DROP INDEX {} first", index.name);
            return Err(SqlError::new(DEPENDENT_OBJECTS, message).with_hint(hint));
        }
    }
    Ok(())
}

/// `None`: the table has other columns.
fn order_of(index: &Index, table: &Table) -> Option<Order> {
    let schema = table.physical_schema();
    let column = |c: &IndexColumn| {
        let options = SortOptions { descending: c.descending, nulls_first: c.nulls_first };
        Some((schema.index_of(&c.name).ok()?, options))
    };
    let unique =
        index.unique.map(|of| kept::Unique { name: index.name.object().to_owned(), nulls_distinct: of.nulls_distinct });
    Some(Order { columns: index.columns.iter().map(column).collect::<Option<_>>()?, unique })
}

/// What becomes of the indexes of a table when its columns change: those without one of their columns go.
pub(crate) fn under_columns(indexes: &[Arc<Index>], changes: &[ColumnChange]) -> Vec<(Name, Option<Index>)> {
    let after = |index: &Arc<Index>| {
        let mut columns = index.columns.clone();
        for change in changes {
            match change {
                ColumnChange::Rename { column, to, .. } => {
                    columns.iter_mut().filter(|c| c.name == *column).for_each(|c| c.name.clone_from(to));
                }
                ColumnChange::Drop { column, .. } if columns.iter().any(|c| c.name == *column) => {
                    return (index.name.clone(), None);
                }
                _ => {}
            }
        }
        (index.name.clone(), Some(Index { columns, ..index.as_ref().clone() }))
    };
    indexes.iter().map(after).collect()
}

/// The table whose rows the engine keeps.
pub(crate) fn kept_table(object: &Object) -> Result<&Table, SqlError> {
    let name = object.name();
    match object {
        Object::Table(table) if table.is_kept() => Ok(table),
        Object::MaterializedView(view) => Ok(&view.table),
        Object::Table(table) => {
            let message = format!("an index on {} {name}, whose rows are behind a connector", object.kind());
            Err(SqlError::new(SqlError::UNSUPPORTED, message)
                .with_hint(format!("CREATE MATERIALIZED VIEW v AS SELECT * FROM {}, and an index on v", table.name)))
        }
        Object::View(_) => {
            let message = format!("an index on view {name}, whose rows nobody keeps");
            Err(SqlError::new(WRONG_OBJECT, message).with_hint("CREATE MATERIALIZED VIEW keeps them"))
        }
        Object::Sink(_) | Object::Index(_) => {
            let message = format!("an index on {} {name}", object.kind());
            Err(SqlError::new(WRONG_OBJECT, message)
                .with_hint("tables without a connector and materialized views have indexes"))
        }
    }
}

fn check_column(table: &Table, name: &str) -> Result<(), SqlError> {
    if physical(table).any(|column| column.name == name) {
        return Ok(());
    }
    if table.columns.iter().any(|column| column.name == name) {
        let message = format!("an index on column {name} of table {}, which is computed", table.name);
        return Err(SqlError::new(SqlError::UNSUPPORTED, message)
            .with_hint("CREATE MATERIALIZED VIEW that has it as a column, and an index on that"));
    }
    let names: Vec<&str> = physical(table).map(|column| column.name.as_str()).collect();
    Err(SqlError::new(SqlError::UNDEFINED_COLUMN, format!("table {} has no column {name}", table.name))
        .with_hint(format!("the columns are {}", names.join(", "))))
}
