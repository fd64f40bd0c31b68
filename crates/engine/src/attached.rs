//! Relations that a statement finds beside what the catalog has: rows that are there for it alone.
//!
//! The catalogs of Postgres are no tables, and tell of what there is when they are asked. A statement that names some of them and reads tables
//! too is given their rows; to the planner they are tables that the engine keeps, in schemas of the system.

use crate::kept::{Contents, IndexedRows};
use crate::{Session, SqlError};
use arrow::array::RecordBatch;
use eddyline_catalog::{Catalog, Column, ColumnSource, Dialect, Name, Object, Table};
use eddyline_changes::ChangeBatch;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Relations by their names, with their rows.
#[derive(Default)]
pub(crate) struct Attached(BTreeMap<Name, (Arc<Table>, IndexedRows)>);

impl Attached {
    /// A catalog with these relations in it.
    pub(crate) fn beside(&self, catalog: Arc<Catalog>) -> Arc<Catalog> {
        if self.is_empty() {
            return catalog;
        }
        let mut all = Catalog::clone(&catalog);
        self.0.values().for_each(|(table, _)| all.put(Object::Table(table.clone())));
        Arc::new(all)
    }

    /// Is there nothing beside what the catalog has?
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rows of a relation.
    pub(crate) fn rows(&self, name: &Name) -> Option<&IndexedRows> {
        self.0.get(name).map(|(_, rows)| rows)
    }
}

impl Session {
    /// Does something that finds these relations, of schemas of the system, beside the tables of the user.
    ///
    /// # Errors
    /// A relation that cannot be kept.
    pub fn with_relations<T>(
        &mut self,
        relations: Vec<(Name, RecordBatch)>,
        act: impl FnOnce(&mut Self) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        if relations.is_empty() {
            return act(self);
        }
        let attached = relations.into_iter().map(|(name, rows)| attached(name, rows)).collect::<Result<_, _>>()?;
        self.attached = Attached(attached);
        let done = act(self);
        self.attached = Attached::default();
        self.refresh();
        done
    }
}

fn attached(name: Name, rows: RecordBatch) -> Result<(Name, (Arc<Table>, IndexedRows)), SqlError> {
    let schema = rows.schema();
    let column = |field: &Arc<arrow::datatypes::Field>| Column {
        name: field.name().clone(),
        data_type: field.data_type().clone(),
        nullable: true,
        source: ColumnSource::Physical,
        comment: None,
        default: None,
    };
    let table = Table {
        name: name.clone(),
        columns: schema.fields().iter().map(column).collect(),
        primary_key: Vec::new(),
        watermark: None,
        options: BTreeMap::new(),
        comment: None,
        temporary: true,
        is_source: false,
        dialect: Dialect::Postgres,
    };
    let mut contents = Contents::of_table(0, &table)?;
    contents.apply(&ChangeBatch::inserts(contents.own(&rows)?))?;
    Ok((name, (Arc::new(table), contents.rows())))
}
