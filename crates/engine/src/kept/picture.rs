//! What readers see of a part: a picture, made when whoever changes the part lets go of it. So readers wait for nobody.

use super::{Part, State, View, failed_view, replaced};
use crate::kept::IndexedRows;
use crate::lock::lock;
use eddyline_catalog::Name;
use eddyline_planner::SqlError;
use eddyline_runtime::JobHandle;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard};

/// The tables and views of a part, of one moment.
#[derive(Default)]
pub(super) struct Picture {
    /// With the numbers of the tables.
    rows: BTreeMap<Name, (u64, IndexedRows)>,
    /// Views that have failed.
    failed: BTreeMap<Name, SqlError>,
    /// Sinks that write tables here: when they were begun, and their jobs.
    sinks: BTreeMap<Name, (i64, Option<JobHandle>)>,
    /// The last record of the log that has changed a table here; 0 is none.
    pub(super) last_record: u64,
    /// Some of its views run by themselves: they may have brought what nobody has taken in.
    pub(super) runs_by_itself: bool,
}

impl Picture {
    pub(super) fn of(state: &State) -> Self {
        let failed = state.views.iter().filter_map(|view| Some((view.name.clone(), view.failed.clone()?)));
        let sinks = state.views.iter().filter(|view| view.into.is_some());
        let job = |view: &View| view.job.as_ref().map(|job| job.handle().clone());
        let sinks = sinks.map(|view| (view.name.clone(), (view.started_ms, job(view))));
        Self {
            rows: state.contents.iter().map(|(name, of)| (name.clone(), (of.id(), of.rows()))).collect(),
            failed: failed.collect(),
            sinks: sinks.collect(),
            last_record: state.last_record,
            runs_by_itself: state.views.iter().any(|view| view.feeds.is_empty() && view.job.is_some()),
        }
    }

    pub(super) fn has(&self, name: &Name) -> bool {
        self.rows.contains_key(name)
    }

    /// The number of a table or view.
    pub(super) fn id(&self, name: &Name) -> Option<u64> {
        self.rows.get(name).map(|(id, _)| *id)
    }

    /// How a sink does that writes a table here.
    pub(super) fn sink(&self, name: &Name) -> SinkState {
        let (started_ms, job) = self.sinks.get(name).cloned().unwrap_or_default();
        SinkState { job, started_ms, failed: self.failed.get(name).cloned() }
    }

    /// All rows of a table or view.
    ///
    /// # Errors
    /// A view that has failed; there is no such table.
    pub(super) fn rows(&self, name: &Name) -> Result<IndexedRows, SqlError> {
        match self.failed.get(name) {
            Some(error) => Err(failed_view(name, error)),
            None => self.rows.get(name).map(|(_, rows)| rows.clone()).ok_or_else(|| replaced(name)),
        }
    }
}

/// A sink that writes a table here, as of a moment.
#[derive(Default)]
pub(crate) struct SinkState {
    /// The job that computes what it writes; `None`: it has failed.
    pub(crate) job: Option<JobHandle>,
    /// When it was begun in this process, in milliseconds since 1970-01-01T00:00:00Z.
    pub(crate) started_ms: i64,
    pub(crate) failed: Option<SqlError>,
}

/// The newest picture of a part.
#[derive(Default)]
pub(super) struct Newest(Mutex<Arc<Picture>>);

impl Newest {
    pub(super) fn of(state: &State) -> Self {
        Self(Mutex::new(Arc::new(Picture::of(state))))
    }

    pub(super) fn get(&self) -> Arc<Picture> {
        lock(&self.0).clone()
    }
}

/// A part that nobody else changes. When this goes, readers see what became of it.
pub(super) struct Changing<'p> {
    newest: &'p Newest,
    state: MutexGuard<'p, State>,
}

impl Part {
    /// Waits until nobody else changes it.
    pub(super) fn change(&self) -> Changing<'_> {
        Changing { newest: &self.newest, state: lock(&self.state) }
    }

    /// As [`change`](Self::change), if that is now.
    pub(super) fn try_change(&self) -> Option<Changing<'_>> {
        let state = self.state.try_lock().ok()?;
        Some(Changing { newest: &self.newest, state })
    }
}

impl Deref for Changing<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Changing<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        // Whoever panics leaves something half done.
        if !std::thread::panicking() {
            *lock(&self.newest.0) = Arc::new(Picture::of(&self.state));
        }
    }
}

/// All that an instance keeps, of one moment: whoever has this reads it again and again.
#[derive(Clone, Default)]
pub(crate) struct Moment {
    /// By table and view.
    pub(super) parts: BTreeMap<Name, Arc<Picture>>,
}

impl Moment {
    /// All rows of these tables.
    ///
    /// # Errors
    /// A view that had failed; a table that was not there.
    pub(crate) fn rows(&self, tables: &[&Name]) -> Result<BTreeMap<Name, IndexedRows>, SqlError> {
        let rows = |name: &&Name| {
            let picture = self.parts.get(*name).ok_or_else(|| replaced(name))?;
            Ok(((*name).clone(), picture.rows(name)?))
        };
        tables.iter().map(rows).collect()
    }
}
