//! A job that runs: what it tells, and how it is stopped.

use crate::collect::{Channel, CollectConnector};
use crate::{Engine, Settings};
use arrow::datatypes::SchemaRef;
use eddyline_changes::{ChangeBatch, Epoch, Watermark};
use eddyline_planner::{PlannedJob, Presentation, SqlError};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

/// What a job tells whoever follows it.
#[derive(Debug)]
pub enum JobEvent {
    /// Changes of the result of a SELECT, of one epoch.
    Changes {
        /// The epoch.
        epoch: Epoch,
        /// The changes.
        changes: Vec<ChangeBatch>,
    },
    /// Somebody called [`Interrupter::interrupt`].
    Interrupted,
    /// The job is over; nothing follows.
    Ended(Result<(), SqlError>),
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Rows read.
    pub rows_in: u64,
    /// Rows written.
    pub rows_out: u64,
    /// Rows that were left out because they could not be decoded.
    pub rows_skipped: u64,
    /// Rows that came after their window was closed.
    pub rows_late: u64,
    /// Rows that were left out because their time column is NULL.
    pub rows_without_time: u64,
    /// The last epoch that is visible.
    pub epoch: Epoch,
    /// Event time up to which the input is complete.
    pub watermark: Watermark,
    /// Milliseconds by which the watermark is behind the clock; `None` without event time.
    pub lag_ms: Option<i64>,
    /// Size of all state.
    pub state_bytes: u64,
    /// Time since the start.
    pub elapsed: Duration,
}

/// Where a job's rows go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkPlace {
    /// The table.
    pub table: String,
    /// Its connector.
    pub connector: String,
    /// Its path, where it has one.
    pub path: Option<String>,
}

/// The result of a SELECT: what its changes look like and how it is to be shown.
#[derive(Debug, Clone)]
pub struct ResultShape {
    /// The columns.
    pub schema: SchemaRef,
    /// ORDER BY and LIMIT of the finished result.
    pub presentation: Presentation,
    /// True when nothing that was added is ever taken back.
    pub append_only: bool,
    /// `sql-client.execution.result-mode` asks for a changelog.
    pub shows_changelog: bool,
    /// Columns that identify a row at any moment.
    pub key: Option<Vec<usize>>,
    /// The session time zone, for TIMESTAMP_LTZ.
    pub time_zone: String,
}

/// What is known of a job before it says anything.
#[derive(Debug, Clone)]
pub struct JobFacts {
    /// Its name.
    pub name: String,
    /// Does its input end?
    pub bounded: bool,
    /// How many shards run it.
    pub shards: usize,
    /// Where its rows go; empty for a SELECT.
    pub sinks: Vec<SinkPlace>,
    /// For a SELECT: its result.
    pub result: Option<ResultShape>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Lets another thread interrupt whoever follows a job.
#[derive(Debug, Clone)]
pub struct Interrupter(Sender<JobEvent>);

impl Interrupter {
    /// Makes [`RunningJob::next_event`] return [`JobEvent::Interrupted`].
    pub fn interrupt(&self) {
        // Nobody follows the job any more: then there is nobody to interrupt.
        let _ = self.0.send(JobEvent::Interrupted);
    }
}

/// A job that was started. Dropping it cancels it.
pub struct RunningJob {
    facts: JobFacts,
    handle: std::convert::Infallible,
    events: Receiver<JobEvent>,
    sender: Sender<JobEvent>,
    channel: Option<(Arc<CollectConnector>, Arc<Channel>)>,
}

impl RunningJob {
    /// What was known before it began.
    pub fn facts(&self) -> &JobFacts {
        &self.facts
    }

    /// The next event; `None` when there is none within `timeout`.
    pub fn next_event(&self, timeout: Duration) -> Option<JobEvent> {
        match self.events.recv_timeout(timeout) {
            Ok(event) => {
                if let (JobEvent::Changes { changes, .. }, Some((_, channel))) = (&event, &self.channel) {
                    channel.taken(changes.iter().map(ChangeBatch::num_rows).sum());
                }
                Some(event)
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
        }
    }

    /// For other threads, to interrupt whoever waits in [`next_event`](Self::next_event).
    pub fn interrupter(&self) -> Interrupter {
        Interrupter(self.sender.clone())
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        match self.handle {}
    }

    /// Ends it at the next barrier.
    pub fn stop(&self) {
        match self.handle {}
    }

    /// Ends it at once; what is not committed is dropped.
    pub fn cancel(&self) {
        match self.handle {}
    }
}

impl Drop for RunningJob {
    fn drop(&mut self) {
        if let Some((connector, channel)) = &self.channel {
            channel.hang_up();
            connector.close(channel.number());
        }
    }
}

/// Starts a planned job; `channel` is the number of a SELECT's channel.
///
/// # Errors
/// What cannot be opened, or does not fit the settings.
pub(crate) fn start(
    engine: &Engine,
    settings: &Settings,
    shards: usize,
    name: String,
    planned: PlannedJob,
    channel: Option<u64>,
) -> Result<RunningJob, SqlError> {
    let _ = (engine, settings, shards, name, planned, channel);
    Err(SqlError::new(SqlError::UNSUPPORTED, "jobs are not there yet"))
}
