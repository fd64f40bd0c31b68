//! What there is to be told of an object: its columns, and a statement that makes it.

use crate::listing::Listing;
use crate::{Session, show};
use arrow::datatypes::SchemaRef;
use eddyline_catalog::{Name, Object, Reference, Table};
use eddyline_planner::SqlError;
use eddyline_planner::statement::StatementKind;
use std::sync::Arc;

impl Session {
    /// A statement that makes a table or view again.
    ///
    /// # Errors
    /// An unknown name.
    pub fn definition(&self, name: &Reference) -> Result<String, SqlError> {
        Ok(self.definition_of(self.named(name)?))
    }

    pub(crate) fn definition_of(&self, object: &Object) -> String {
        match object {
            Object::Table(table) => table.to_sql_with(self.catalog.indexes_of(&table.name).map(Arc::as_ref)),
            Object::View(view) => view.to_sql(),
            Object::MaterializedView(view) => view.to_sql(),
            Object::Sink(sink) => sink.to_sql(),
            Object::Index(index) => index.to_sql(),
        }
    }

    /// The columns of a view.
    ///
    /// # Errors
    /// An unknown name; a view whose query no longer holds.
    pub fn columns_of_view(&self, name: &Name) -> Result<SchemaRef, SqlError> {
        let sql = format!("SELECT * FROM {}", Reference::from(name).to_sql());
        let statements = eddyline_planner::parse(&sql)?;
        let Some(StatementKind::Select(query)) = statements.into_iter().next().map(|s| s.kind) else {
            return Err(SqlError::new(SqlError::INTERNAL, "a SELECT does not parse"));
        };
        let options = self.planner_options();
        let planner = self.planner(&self.catalog, &options);
        // A place in a made-up text says nothing to the user.
        let bound = planner.bind_query(&query).map_err(|e| SqlError { position: None, ..e })?;
        Ok(Arc::new(bound.schema().as_arrow().clone()))
    }

    /// The columns of a table or view, as DESCRIBE lists them.
    ///
    /// # Errors
    /// An unknown name; a view whose query no longer holds.
    pub fn describe(&self, name: &Reference) -> Result<Listing, SqlError> {
        let object = self.named(name)?;
        match object {
            Object::Table(table) => Ok(show::describe_table(table)),
            Object::MaterializedView(view) => Ok(show::describe_table(&self.with_key(&view.table))),
            Object::View(_) => Ok(show::describe_columns(&self.columns_of_view(object.name())?)),
            Object::Sink(sink) => Ok(show::describe_columns(&self.columns_under(&sink.view, &self.catalog)?)),
            Object::Index(index) => Ok(show::describe_index(index)),
        }
    }

    /// The columns of a materialized view, with those that tell its rows apart as their key.
    fn with_key(&self, table: &Table) -> Table {
        let key = self.instance.database().key_of_view(&table.name);
        let primary_key = key.iter().filter_map(|at| table.columns.get(*at)).map(|c| c.name.clone()).collect();
        Table { primary_key, ..table.clone() }
    }
}
