//! What is told of a job.

use super::{Job, Jobs};
use crate::creations::CreationProgress;
use crate::job::JobFacts;
use crate::listing::{Listing, text};
use arrow::array::{ArrayRef, Float64Array, Int64Array, TimestampMillisecondArray, TimestampSecondArray};
use eddyline_planner::SqlError;
use eddyline_runtime::{JobFailure, JobMetrics};
use std::sync::Arc;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobStatus {
    /// It is being built.
    Created,
    /// A view, which a statement waits for, is computed for the first time.
    Creating,
    /// It runs.
    Running,
    /// It has failed, and waits to be started again.
    Restarting,
    /// Its last epoch is on its way.
    Finishing,
    /// Its input is at its end.
    Finished,
    /// Somebody has stopped it.
    Stopped,
    /// It has failed, and is not started again by itself.
    Failed,
}

impl JobStatus {
    /// All there are.
    pub const ALL: [JobStatus; 8] = [
        JobStatus::Created,
        JobStatus::Creating,
        JobStatus::Running,
        JobStatus::Restarting,
        JobStatus::Finishing,
        JobStatus::Finished,
        JobStatus::Stopped,
        JobStatus::Failed,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            JobStatus::Created => "CREATED",
            JobStatus::Creating => "CREATING",
            JobStatus::Running => "RUNNING",
            JobStatus::Restarting => "RESTARTING",
            JobStatus::Finishing => "FINISHING",
            JobStatus::Finished => "FINISHED",
            JobStatus::Stopped => "STOPPED",
            JobStatus::Failed => "FAILED",
        }
    }
}

/// A job, as of a moment.
#[derive(Debug, Clone)]
pub struct JobReport {
    /// The database that it belongs to.
    pub database: String,
    /// Its number there; 0 where a [view is computed](JobStatus::Creating), which is no job that goes by a number.
    pub id: u64,
    /// What is known of it before it runs: its name, sinks, shards, warnings.
    pub facts: JobFacts,
    /// It was submitted as a file; else a statement has started it.
    pub is_submitted: bool,
    /// Where it stands.
    pub status: JobStatus,
    /// When it was started last, in milliseconds since 1970-01-01T00:00:00Z.
    pub started_ms: i64,
    /// Everything that is measured; `None`: it has not run since the process began.
    pub metrics: Option<JobMetrics>,
    /// Why it failed last.
    pub failure: Option<JobFailure>,
    /// Its statements.
    pub sql: Option<String>,
    /// The savepoint of its end, if it was stopped with one.
    pub savepoint: Option<String>,
    /// How far a view is that is [computed for the first time](JobStatus::Creating).
    pub progress: Option<CreationProgress>,
}

impl JobReport {
    fn of(job: &Job, database: &str) -> Self {
        let metrics = job.metrics();
        let rest = job.definition.as_ref().and_then(|definition| definition.rest.as_ref());
        Self {
            database: database.to_owned(),
            id: job.id,
            facts: job.facts().clone(),
            is_submitted: job.definition.as_ref().is_some_and(|definition| definition.submitted.is_some()),
            status: job.status(),
            started_ms: job.started_ms,
            failure: job.failure(metrics.as_ref()),
            metrics,
            sql: job.definition.as_ref().map(|definition| definition.sql.clone()),
            savepoint: rest.and_then(|rest| rest.savepoint.clone()),
            progress: None,
        }
    }
}

impl Jobs {
    /// All jobs, by their numbers.
    pub(crate) fn reports(&mut self, database: &str) -> Vec<JobReport> {
        self.settle();
        let mut all: Vec<JobReport> = self.all.iter().map(|job| JobReport::of(job, database)).collect();
        all.sort_by_key(|report| report.id);
        all
    }

    /// The job of this name or id.
    ///
    /// # Errors
    /// There is none, or several of the name run.
    pub(crate) fn report(&mut self, database: &str, name: &str) -> Result<JobReport, SqlError> {
        self.known(name).map(|job| JobReport::of(job, database))
    }
}

/// `SHOW JOBS`.
pub(crate) fn listing(jobs: &[JobReport]) -> Listing {
    type Measured<'a, T> = &'a dyn Fn(&JobMetrics) -> Option<T>;
    let measure = |of: Measured<'_, i64>| -> ArrayRef {
        Arc::new(jobs.iter().map(|job| job.metrics.as_ref().and_then(of)).collect::<Int64Array>())
    };
    let rates = |of: Measured<'_, f64>| -> ArrayRef {
        Arc::new(jobs.iter().map(|job| job.metrics.as_ref().and_then(of)).collect::<Float64Array>())
    };
    let texts = |of: &dyn Fn(&JobReport) -> Option<String>| text(jobs.iter().map(of).collect());
    let count = |n: u64| i64::try_from(n).ok();
    let rounded = |rate: f64| (rate * 10.0).round() / 10.0;
    let started: TimestampSecondArray = jobs.iter().map(|job| Some(job.started_ms.div_euclid(1000))).collect();
    let watermark = |job: &JobReport| job.metrics.as_ref().and_then(|metrics| metrics.watermark.as_millis());
    let watermarks: TimestampMillisecondArray = jobs.iter().map(watermark).collect();
    let checkpointed = |job: &JobReport| job.metrics.as_ref()?.checkpoints.last.as_ref().map(|last| last.start_ms);
    let checkpoints: TimestampMillisecondArray = jobs.iter().map(checkpointed).collect();
    let percent = |job: &JobReport| job.progress.as_ref()?.percent().and_then(count);
    let percents: ArrayRef = Arc::new(jobs.iter().map(percent).collect::<Int64Array>());
    Listing::columns(vec![
        ("id", Arc::new(jobs.iter().map(|job| count(job.id).filter(|id| *id > 0)).collect::<Int64Array>())),
        ("name", texts(&|job| Some(job.facts.name.clone()))),
        ("status", texts(&|job| Some(job.status.name().to_owned()))),
        ("start", Arc::new(started.with_timezone("UTC"))),
        ("restarts", measure(&|metrics| count(metrics.restarts))),
        ("rows in", measure(&|metrics| count(metrics.rows_in))),
        ("rows out", measure(&|metrics| count(metrics.rows_out))),
        ("rows in per second", rates(&|metrics| Some(rounded(metrics.rows_in_per_second)))),
        ("watermark", Arc::new(watermarks.with_timezone("UTC"))),
        ("lag ms", measure(&|metrics| metrics.lag_ms)),
        ("state bytes", measure(&|metrics| count(metrics.state_bytes))),
        ("percent", percents),
        ("last checkpoint", Arc::new(checkpoints.with_timezone("UTC"))),
        ("error", texts(&|job| job.failure.as_ref().map(|failure| failure.message.clone()))),
    ])
}
