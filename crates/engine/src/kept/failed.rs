//! Views that cannot be computed, and how sinks do that write tables here.

use super::stored_views::Progress;
use super::{Contents, Database, SinkState, State, View, lock};
use arrow::datatypes::SchemaRef;
use eddyline_catalog::Name;
use eddyline_planner::SqlError;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// A view that cannot be computed.
#[derive(Clone)]
pub(crate) struct FailedView<'v> {
    pub(crate) name: &'v Name,
    /// It is a sink, whose answer would go into this table.
    pub(crate) into: Option<&'v Name>,
    pub(crate) schema: SchemaRef,
    /// When that was found out, in milliseconds since 1970-01-01T00:00:00Z.
    pub(crate) started_ms: i64,
    /// Why.
    pub(crate) error: SqlError,
}

impl Database {
    /// Adds a view that cannot be computed.
    ///
    /// # Errors
    /// Columns whose values cannot be compared.
    pub(crate) fn add_failed(&self, failed: &FailedView<'_>) -> Result<(), SqlError> {
        let FailedView { name, into, schema, started_ms, error } = failed.clone();
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let contents = BTreeMap::from([(name.clone(), Contents::of_view(number, schema, &[])?)]);
        let (name, feeds) = (name.clone(), BTreeMap::new());
        let (is_fed, job, failed, into) = (false, None, Some(error), into.cloned());
        let view = View {
            name: name.clone(),
            into,
            number,
            feeds,
            is_fed,
            job,
            started_ms,
            failed,
            progress: Progress::default(),
        };
        let part = self.part(State { contents, views: vec![view], ..State::default() });
        lock(&self.parts).insert(name, part);
        Ok(())
    }

    /// How a sink does that writes a table here. Waits for nobody.
    pub(crate) fn sink_state(&self, name: &Name) -> SinkState {
        let part = lock(&self.parts).get(name).cloned();
        part.map(|part| part.newest.get().sink(name)).unwrap_or_default()
    }
}
