//! SUBSCRIBE: what changes in a table or materialized view, for somebody who follows it.

use crate::error::from_catalog;
use crate::kept::subscription_schema;
use crate::{Session, Subscription};
use arrow::datatypes::SchemaRef;
use eddyline_catalog::{ColumnSource, Name, Object, Reference, Table};
use eddyline_planner::SqlError;

/// SUBSCRIBE where nobody takes what it brings.
pub(crate) fn by_itself() -> SqlError {
    SqlError::new(SqlError::UNSUPPORTED, "SUBSCRIBE where there is no client of the server")
        .with_hint("clients of `eddyline serve` subscribe; a SELECT of `eddyline sql` shows its result as it changes")
}

impl Session {
    /// What changes in a table or materialized view from now on; with `snapshot`, its rows come first.
    ///
    /// # Errors
    /// An unknown name; a table or view whose rows the engine does not keep; a view that has failed.
    pub fn subscription(&mut self, name: &Reference, snapshot: bool) -> Result<Subscription, SqlError> {
        self.refresh();
        let name = self.resolve(name)?;
        self.followed(&name)?;
        self.instance.database().follow(&name, snapshot)
    }

    /// The columns of a subscription.
    ///
    /// # Errors
    /// As [`subscription`](Self::subscription).
    pub fn subscription_schema(&mut self, name: &Reference) -> Result<SchemaRef, SqlError> {
        self.refresh();
        Ok(subscription_schema(&self.followed(&self.resolve(name)?)?.physical_schema()))
    }

    fn followed(&self, name: &Name) -> Result<&Table, SqlError> {
        let object = self.catalog.object(name).map_err(from_catalog)?;
        let hint = format!("CREATE MATERIALIZED VIEW v AS SELECT * FROM {name}, and SUBSCRIBE TO v");
        let refused = |what: String| Err(SqlError::new(SqlError::UNSUPPORTED, what).with_hint(hint));
        match object {
            Object::MaterializedView(view) => Ok(&view.table),
            Object::Table(table) if table.is_kept() => {
                match table.columns.iter().find(|c| c.source != ColumnSource::Physical) {
                    Some(column) => {
                        refused(format!("SUBSCRIBE to table {name}, whose column {} is computed", column.name))
                    }
                    None => Ok(table),
                }
            }
            Object::Table(_) => refused(format!("SUBSCRIBE to table {name}, which is behind a connector")),
            Object::Sink(_) => refused(format!("SUBSCRIBE to sink {name}, which is not read")),
            Object::Index(index) => refused(format!("SUBSCRIBE to {name}, which is an index of {}", index.table)),
            Object::View(_) => refused(format!("SUBSCRIBE to view {name}, whose rows nobody keeps")),
        }
    }
}
