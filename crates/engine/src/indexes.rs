//! CREATE INDEX: a second order of the rows of a table or materialized view.
//!
//! An index is a name of the catalog, and an order of the rows that the engine keeps ([`Database::set_orders`](crate::kept::Database)). Which
//! orders there are follows from the catalog alone: whatever changes the indexes of a table says anew which they are.

use crate::changes::{DEPENDENT_OBJECTS, kept_sources, physical};
use crate::ddl;
use crate::error::from_catalog;
use crate::error::state::WRONG_OBJECT;
use crate::kept::{self, Order};
use crate::listing::Listing;
use crate::session::created_message;
use crate::{Outcome, Session};
use arrow::compute::SortOptions;
use arrow::datatypes::Schema;
use eddyline_catalog::{Catalog, Index, IndexColumn, Name, Object, Reference, Table};
use eddyline_plan::Dataflow;
use eddyline_planner::SqlError;
use eddyline_planner::statement::{ColumnChange, CreateIndex};
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
                return Ok(Outcome::Done(created_message("index", &index.name, false)));
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
        Ok(Outcome::Done(created_message("index", &name, true)))
    }

    /// The index that is about to be made.
    fn index_of(&self, said: &CreateIndex, table: &Name) -> Result<Index, SqlError> {
        let kept = kept_table(self.catalog.object(table).map_err(from_catalog)?)?;
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
            None => self.free_name(table, &columns),
        };
        let (table, comment, temporary) = (table.clone(), said.comment.clone(), kept.temporary);
        Ok(Index { name, table, columns, comment, temporary })
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

    /// The name of an index that is given none.
    fn free_name(&self, table: &Name, columns: &[IndexColumn]) -> Name {
        let columns: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let first = format!("{}_{}_idx", table.object(), columns.join("_"));
        let mut name = Name::new(table.schema(), &first);
        let mut number = 0;
        while self.catalog.object(&name).is_ok() {
            number += 1;
            name = Name::new(table.schema(), &format!("{first}{number}"));
        }
        name
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
        let mut lines = Vec::new();
        for source in kept_sources(dataflow) {
            let Some(name) = kept::name_of(source) else { continue };
            if self.catalog.indexes_of(&name).next().is_none() {
                continue;
            }
            let rows = self.pictures(&[source])?;
            let found = rows.get(&name).map(|rows| rows.index_for(&source.column_conditions())).transpose();
            let Some(Some(order)) = found.map_err(|e| kept::of_rows(&name, &e))? else { continue };
            let table = kept_table(self.catalog.object(&name).map_err(from_catalog)?)?;
            let index = self.catalog.indexes_of(&name).find(|index| order_of(index, table).as_ref() == Some(order));
            lines.extend(index.map(|index| format!("READS: {name} through index {}", index.name)));
        }
        Ok(lines)
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
    index.columns.iter().map(column).collect()
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
