//! Views that are computed for the first time: how far that is, for who waits and for SHOW JOBS, and how it is ended.

use crate::job::{JobFacts, RunningJob};
use crate::kept::Feed;
use crate::lock::lock;
use crate::reservation::Canceller;
use crate::{Instance, JobReport, JobStatus};
use eddyline_catalog::Name;
use eddyline_runtime::JobHandle;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

/// Those of an instance that are at it now.
#[derive(Default)]
pub(crate) struct Creations(Mutex<Vec<Arc<Creation>>>);

/// One of them.
pub(crate) struct Creation {
    facts: JobFacts,
    handle: JobHandle,
    started_ms: i64,
    /// The rows that are to be read; `None`: nobody knows.
    rows_all: Option<u64>,
}

/// How far a view is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreationProgress {
    /// What is made: `materialized view v`.
    pub what: String,
    /// Rows that were read.
    pub rows: u64,
    /// Rows that are to be read; `None`: nobody knows.
    pub rows_all: Option<u64>,
}

impl CreationProgress {
    /// The part of the rows that was read, in percent.
    pub fn percent(&self) -> Option<u64> {
        let all = self.rows_all.filter(|all| *all > 0)?;
        Some((self.rows.min(all) as u128 * 100 / u128::from(all)) as u64)
    }
}

impl fmt::Display for CreationProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, rows, rows_all } = self;
        match (rows_all, self.percent()) {
            (Some(all), Some(percent)) => write!(f, "{what}: {rows} of {all} rows read ({percent} %)"),
            _ => write!(f, "{what}: {rows} rows read"),
        }
    }
}

impl Creation {
    /// How far it is.
    pub(crate) fn progress(&self) -> CreationProgress {
        CreationProgress { what: self.facts.name.clone(), rows: self.handle.metrics().rows_in, rows_all: self.rows_all }
    }

    /// Ends it.
    pub(crate) fn cancel(&self) {
        self.handle.cancel();
    }

    fn report(&self, database: &str) -> JobReport {
        JobReport {
            database: database.to_owned(),
            id: 0,
            facts: self.facts.clone(),
            is_submitted: false,
            status: JobStatus::Creating,
            started_ms: self.started_ms,
            metrics: Some(self.handle.metrics()),
            failure: None,
            sql: None,
            savepoint: None,
            progress: Some(self.progress()),
        }
    }
}

impl Creations {
    /// What is told of all of them.
    pub(crate) fn reports(&self, database: &str) -> Vec<JobReport> {
        lock(&self.0).iter().map(|creation| creation.report(database)).collect()
    }
}

/// A view is being computed for as long as this lives: who cancels the statement ends the job, and is told how far it is.
pub(crate) struct Creating<'c> {
    instance: Instance,
    creation: Arc<Creation>,
    canceller: &'c Canceller,
}

impl<'c> Creating<'c> {
    /// Of a job that reads these feeds, and nothing that nobody knows the length of unless there are none.
    pub(crate) fn new(
        instance: &Instance,
        canceller: &'c Canceller,
        job: &RunningJob,
        feeds: &BTreeMap<Name, Arc<Feed>>,
    ) -> Self {
        let rows_all = (!feeds.is_empty()).then(|| feeds.values().map(|feed| feed.waiting_rows()).sum());
        let creating = Self::begin(instance, canceller, job, job.facts().clone(), rows_all);
        lock(&instance.creations().0).push(creating.creation.clone());
        creating
    }

    /// Of a job that is listed by itself; `what` is made by it.
    pub(crate) fn of_listed(instance: &Instance, canceller: &'c Canceller, job: &RunningJob, what: String) -> Self {
        Self::begin(instance, canceller, job, JobFacts { name: what, ..job.facts().clone() }, None)
    }

    fn begin(
        instance: &Instance,
        canceller: &'c Canceller,
        job: &RunningJob,
        facts: JobFacts,
        rows_all: Option<u64>,
    ) -> Self {
        let (handle, started_ms) = (job.handle().clone(), instance.engine().rim().clock.wall_ms());
        let creation = Arc::new(Creation { facts, handle, started_ms, rows_all });
        canceller.bind(&creation);
        Self { instance: instance.clone(), creation, canceller }
    }
}

impl Drop for Creating<'_> {
    fn drop(&mut self) {
        self.canceller.unbind();
        lock(&self.instance.creations().0).retain(|other| !Arc::ptr_eq(other, &self.creation));
    }
}

#[cfg(test)]
mod tests {
    use super::CreationProgress;

    #[test]
    fn progress_says_what_is_known() {
        let of = |rows, rows_all| CreationProgress { what: "materialized view v".into(), rows, rows_all };
        assert_eq!(of(7, None).to_string(), "materialized view v: 7 rows read");
        assert_eq!(of(0, Some(0)).to_string(), "materialized view v: 0 rows read");
        assert_eq!(of(1, Some(3)).to_string(), "materialized view v: 1 of 3 rows read (33 %)");
        // A table may be read twice.
        assert_eq!(of(9, Some(3)).percent(), Some(100));
    }
}
