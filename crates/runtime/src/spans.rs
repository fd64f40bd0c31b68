//! What traces tell of a job: its starts, its checkpoints, its savepoints. Nothing of epochs, batches or rows.

use crate::error::RuntimeError;
use eddyline_changes::Barrier;
use eddyline_checkpoint::{Attempt, Outcome};
use tracing::Span;
use tracing::field::{Empty, display};

/// A checkpoint, from the moment its barrier is cut until it is durable or given up.
pub(crate) struct CheckpointSpan {
    span: Span,
    is_told: bool,
}

impl CheckpointSpan {
    /// The barrier of a checkpoint of a job is cut.
    pub(crate) fn begin(job: &str, barrier: Barrier) -> Self {
        let span = tracing::info_span!(
            parent: None,
            "checkpoint",
            eddyline.job.name = job,
            eddyline.epoch = number(barrier.epoch.0),
            eddyline.checkpoint.id = Empty,
            eddyline.checkpoint.alignment_ms = Empty,
            eddyline.checkpoint.sync_ms = Empty,
            eddyline.checkpoint.async_ms = Empty,
            eddyline.checkpoint.new_bytes = Empty,
            eddyline.checkpoint.total_bytes = Empty,
            eddyline.checkpoint.slowest_task = Empty,
            eddyline.checkpoint.result = Empty,
            otel.status_description = Empty,
        );
        Self { span, is_told: false }
    }

    /// The frozen state is made durable.
    pub(crate) fn store<T>(&self, store: impl FnOnce() -> T) -> T {
        tracing::info_span!(parent: &self.span, "store").in_scope(store)
    }

    /// What came of it.
    pub(crate) fn end(mut self, attempt: &Attempt) {
        self.is_told = true;
        let span = &self.span;
        span.record("eddyline.checkpoint.id", number(attempt.id.0));
        span.record("eddyline.checkpoint.alignment_ms", number(attempt.alignment_ms));
        span.record("eddyline.checkpoint.sync_ms", number(attempt.sync_ms));
        span.record("eddyline.checkpoint.async_ms", number(attempt.async_ms));
        span.record("eddyline.checkpoint.slowest_task", attempt.slowest.as_deref());
        match &attempt.outcome {
            Outcome::Complete => {
                span.record("eddyline.checkpoint.new_bytes", number(attempt.new_bytes));
                span.record("eddyline.checkpoint.total_bytes", number(attempt.total_bytes));
                span.record("eddyline.checkpoint.result", "complete");
            }
            Outcome::Failed(why) => {
                span.record("eddyline.checkpoint.result", "failed");
                span.record("otel.status_description", why);
            }
        }
    }
}

impl Drop for CheckpointSpan {
    fn drop(&mut self) {
        if !self.is_told {
            self.span.record("eddyline.checkpoint.result", "given up: the run of the job ended before");
        }
    }
}

/// The start of a job, or its start anew after a failure; it ends when the job runs.
pub(crate) struct StartSpan(Span);

impl StartSpan {
    /// A job starts for the first time in this process; `within` is what starts it.
    pub(crate) fn begin(within: &Span, job: &str, shards: usize) -> Self {
        Self(tracing::info_span!(
            parent: within,
            "job start",
            eddyline.job.name = job,
            eddyline.job.shards = number(shards as u64),
            eddyline.checkpoint.id = Empty,
            otel.status_description = Empty,
        ))
    }

    /// A job starts anew because it has failed.
    pub(crate) fn again(job: &str, shards: usize, failure: &RuntimeError) -> Self {
        Self(tracing::info_span!(
            parent: None,
            "job restart",
            eddyline.job.name = job,
            eddyline.job.shards = number(shards as u64),
            eddyline.job.failure = %failure,
            eddyline.checkpoint.id = Empty,
            otel.status_description = Empty,
        ))
    }

    /// Does what starts it.
    pub(crate) fn start<T>(self, start: impl FnOnce() -> Result<T, RuntimeError>) -> Result<T, RuntimeError> {
        let started = self.0.in_scope(start);
        if let Err(error) = &started {
            self.0.record("otel.status_description", display(error));
        }
        started
    }
}

/// The checkpoint that the job starts from, told to the span of its start.
pub(crate) fn starts_from(checkpoint: Option<u64>) {
    Span::current().record("eddyline.checkpoint.id", checkpoint.map(number));
}

/// State is brought back from the last checkpoint, within the start of a job.
pub(crate) fn recovery() -> Span {
    tracing::info_span!("recovery")
}

/// A savepoint that somebody has asked for.
pub(crate) fn savepoint(job: &str, barrier: Barrier, location: &str) -> Span {
    tracing::info_span!(
        parent: None,
        "savepoint",
        eddyline.job.name = job,
        eddyline.epoch = number(barrier.epoch.0),
        eddyline.savepoint.location = location,
        eddyline.savepoint.bytes = Empty,
        otel.status_description = Empty,
    )
}

/// What came of a savepoint.
pub(crate) fn savepoint_ended(span: &Span, made: Result<u64, &RuntimeError>) {
    match made {
        Ok(bytes) => span.record("eddyline.savepoint.bytes", number(bytes)),
        Err(error) => span.record("otel.status_description", display(error)),
    };
}

/// Attributes have no numbers without a sign.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
