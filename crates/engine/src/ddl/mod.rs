//! CREATE, DROP: what a definition must be to enter the catalog.
//!
//! A table is checked when it is created, not when it is first used: names and types by the planner, options and
//! columns by its connector (as a source, or as a sink where it cannot be read), without any I/O.

mod like;
#[cfg(test)]
mod tests;

pub(crate) use like::{copies_comments, copies_index};

use crate::error::{from_catalog, from_connector};
use arrow::datatypes::{Field, SchemaRef};
use eddyline_catalog::{Catalog, CatalogError, Column, ColumnSource, Name, Object, Table, View};
use eddyline_connectors::{ConnectorError, Registry, SinkRequest, SourceRequest};
use eddyline_planner::statement::{Like, Query};
use eddyline_planner::{Planner, SqlError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An option of every table, read by the planner.
const IDLE_TIMEOUT: &str = "scan.watermark.idle-timeout";

/// What a definition is checked with.
pub(crate) struct Definer<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) registry: &'a Registry,
    pub(crate) planner: Planner<'a>,
    pub(crate) time_zone: &'a str,
}

impl Definer<'_> {
    /// The table that CREATE TABLE makes: with what LIKE brings and the columns of AS SELECT, bound and checked.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn table(
        &self,
        mut table: Table,
        like: Option<&Like>,
        query: Option<&Query>,
    ) -> Result<Table, SqlError> {
        if let Some(like) = like {
            let source = self.planner.resolve(&like.source)?;
            let base = self.catalog.table(&source).map_err(from_catalog)?;
            table = like::merge(base, table, like)?;
        }
        if let Some(query) = query {
            self.add_columns_of(query, &mut table)?;
        }
        self.checked(table)
    }

    /// A table whose columns are known, bound and checked.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn checked(&self, table: Table) -> Result<Table, SqlError> {
        let table = self.planner.bind_table(table)?;
        if table.is_kept() {
            check_kept(&table)?;
        } else {
            self.check_metadata(&table)?;
            self.check_options(&table)?;
        }
        Ok(table)
    }

    /// The rows of the view that CREATE MATERIALIZED VIEW makes: a table without any options.
    ///
    /// # Errors
    /// Its query does not bind, or two of its columns have one name.
    pub(crate) fn answer(&self, view: &View, query: &Query) -> Result<Table, SqlError> {
        self.planner.bind_view(view.clone(), query)?;
        let mut table = Table {
            name: view.name.clone(),
            columns: Vec::new(),
            primary_key: Vec::new(),
            watermark: None,
            options: BTreeMap::new(),
            comment: view.comment.clone(),
            temporary: false,
            is_source: false,
            dialect: view.dialect,
        };
        self.add_columns_of(query, &mut table)?;
        table.columns.iter_mut().zip(&view.columns).for_each(|(column, name)| column.name.clone_from(name));
        self.planner.bind_table(table)
    }

    /// The columns of a query.
    ///
    /// # Errors
    /// It does not bind.
    pub(crate) fn columns_of(&self, query: &Query) -> Result<SchemaRef, SqlError> {
        Ok(self.planner.bind_query(query)?.schema().inner().clone())
    }

    /// The view that CREATE VIEW makes.
    ///
    /// # Errors
    /// Its query does not bind.
    pub(crate) fn view(&self, view: View, query: &Query) -> Result<View, SqlError> {
        self.planner.bind_view(view, query)
    }

    fn add_columns_of(&self, query: &Query, table: &mut Table) -> Result<(), SqlError> {
        if let Some(own) = table.columns.iter().find(|c| c.source == ColumnSource::Physical) {
            let message = format!("CREATE TABLE AS: column {} is declared, and the query brings columns too", own.name);
            return Err(SqlError::new(SqlError::UNSUPPORTED, message)
                .with_hint("leave the columns out, or CREATE TABLE first and INSERT INTO it"));
        }
        let bound = self.planner.bind_query(query)?;
        let fields = bound.schema().fields().iter();
        table.columns.extend(fields.map(|f| Column {
            name: f.name().clone(),
            data_type: f.data_type().clone(),
            nullable: f.is_nullable(),
            source: ColumnSource::Physical,
            comment: None,
            default: None,
        }));
        Ok(())
    }

    fn check_metadata(&self, table: &Table) -> Result<(), SqlError> {
        let connector =
            self.registry.connector(&table.name.to_string(), &table.options).map_err(|e| from_connector(&e))?;
        let known = connector.metadata();
        for column in &table.columns {
            let ColumnSource::Metadata { key, .. } = &column.source else { continue };
            if known.iter().any(|(k, _)| k == key) {
                continue;
            }
            let message = format!(
                "table {}: column {}: connector '{}' has no metadata '{key}'",
                table.name,
                column.name,
                connector.name()
            );
            let keys: Vec<String> =
                known.iter().map(|(k, t)| format!("'{k}' {}", eddyline_catalog::sql_type(t))).collect();
            let hint = match keys.is_empty() {
                true => "it has none; leave the column out".to_owned(),
                false => format!("it has {}", keys.join(", ")),
            };
            return Err(SqlError::new(SqlError::UNDEFINED_COLUMN, message).with_hint(hint));
        }
        Ok(())
    }

    /// The connector must take the options as a source or, where it cannot be read, as a sink.
    fn check_options(&self, table: &Table) -> Result<(), SqlError> {
        let mut options = table.options.clone();
        options.remove(IDLE_TIMEOUT);
        match self.registry.source(&options, source_request(table, self.time_zone)) {
            Ok(_) => Ok(()),
            Err(as_source) if table.is_source => Err(from_connector(&as_source)),
            Err(as_source) => match self.registry.sink(&options, sink_request(table, self.time_zone)) {
                Ok(_) => Ok(()),
                Err(as_sink) => {
                    // What neither side can do says least where the other side is not there at all.
                    let missing = |e: &ConnectorError, what: &str| matches!(e, ConnectorError::Unsupported { message, .. } if message.ends_with(what));
                    let sink_only = missing(&as_source, "cannot be read");
                    let source_only = missing(&as_sink, "cannot be written");
                    let of_sink =
                        sink_only || (matches!(as_source, ConnectorError::Unsupported { .. }) && !source_only);
                    Err(from_connector(if of_sink { &as_sink } else { &as_source }))
                }
            },
        }
    }
}

/// What only a connector can have.
fn check_kept(table: &Table) -> Result<(), SqlError> {
    let refuse = |message: String| {
        Err(SqlError::new(SqlError::UNSUPPORTED, format!("table {}: {message}", table.name))
            .with_detail("without an option 'connector' the engine keeps the rows, and statements write them")
            .with_hint("leave it out, or name a connector: WITH ('connector' = …)"))
    };
    if let Some(option) = table.options.keys().next() {
        return refuse(format!("option '{option}' belongs to a connector, and there is none"));
    }
    match table.columns.iter().find(|c| matches!(c.source, ColumnSource::Metadata { .. })) {
        Some(column) => refuse(format!("METADATA column {} belongs to a connector, and there is none", column.name)),
        None => Ok(()),
    }
}

/// Adds a definition to the catalog. Returns whether it did: with IF NOT EXISTS a name may be there already.
///
/// # Errors
/// The name is taken.
pub(crate) fn add(catalog: &mut Catalog, object: Object, replace: bool) -> Result<(), SqlError> {
    catalog.create(object, replace).map_err(from_catalog)
}

/// Can an object of a kind have this name, that of one that it `replaces` included?
///
/// # Errors
/// Something has it.
pub(crate) fn check_takes(catalog: &Catalog, name: &Name, kind: &'static str, replaces: bool) -> Result<(), SqlError> {
    let error = match catalog.object(name) {
        Err(_) => return Ok(()),
        Ok(old) if !replaces => CatalogError::Exists { kind: old.kind(), name: name.to_string() },
        Ok(old) if old.kind() != kind => CatalogError::Kind { name: name.to_string(), is: old.kind(), wanted: kind },
        Ok(_) => return Ok(()),
    };
    Err(from_catalog(error))
}

/// Is the name taken, and IF NOT EXISTS says that is fine?
pub(crate) fn is_there(catalog: &Catalog, name: &Name, if_not_exists: bool) -> bool {
    if_not_exists && catalog.object(name).is_ok()
}

/// Takes a name away; the message tells what was done.
///
/// # Errors
/// It is not there, or of another kind.
pub(crate) fn drop(
    catalog: &mut Catalog,
    kind: &'static str,
    name: &Name,
    if_exists: bool,
) -> Result<String, SqlError> {
    if if_exists && catalog.object(name).is_err() {
        return Ok(format!("{kind} {name} does not exist, nothing dropped"));
    }
    catalog.remove(kind, name).map_err(from_catalog)?;
    Ok(format!("{kind} {name} dropped"))
}

/// What a job that reads all columns asks of a table's connector.
pub(crate) fn source_request(table: &Table, time_zone: &str) -> SourceRequest {
    let physical = table.physical_schema();
    let metadata = table.columns.iter().filter_map(|c| match &c.source {
        ColumnSource::Metadata { key, .. } => {
            Some((key.clone(), Arc::new(Field::new(&c.name, c.data_type.clone(), c.nullable))))
        }
        _ => None,
    });
    SourceRequest {
        table: table.name.to_string(),
        projection: (0..physical.fields().len()).collect(),
        key: key_columns(table, &physical).unwrap_or_default(),
        physical,
        metadata: metadata.collect(),
        time_zone: time_zone.to_owned(),
    }
}

/// What a job that writes a table asks of its connector.
pub(crate) fn sink_request(table: &Table, time_zone: &str) -> SinkRequest {
    let schema = table.sink_schema();
    let key = key_columns(table, &schema);
    SinkRequest { table: table.name.to_string(), schema, key, time_zone: time_zone.to_owned(), lineage: None }
}

pub(crate) fn key_columns(table: &Table, schema: &SchemaRef) -> Option<Vec<usize>> {
    if table.primary_key.is_empty() {
        return None;
    }
    table.primary_key.iter().map(|c| schema.index_of(c).ok()).collect()
}
