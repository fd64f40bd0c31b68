//! A job that runs: what it tells, and how it is stopped.

use crate::beginning::Beginning;
use crate::collect::{Channel, CollectConnector};
use crate::control::JobControl;
use crate::durable::StoredJob;
use crate::error::{from_connector, from_runtime};
use crate::kept::KEPT;
use crate::kept_state::KeptState;
use crate::session::Planned;
use crate::settings::ResultMode;
use crate::state_tables::StateTables;
use crate::{Engine, ScriptError, Settings};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use eddyline_changes::{ChangeBatch, Epoch, Watermark};
use eddyline_connectors::{Boundedness, Clock, Registry};
use eddyline_plan::{ChangeMode, Dataflow, Node, OperatorSpec, SinkSpec};
use eddyline_planner::{PlannedJob, Presentation, SqlError};
use eddyline_runtime::{
    JobHandle, JobLog, JobMetrics, JobSettings, JobState, JobSummary, MemoryLimit, RuntimeError, StatePicture,
};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock};
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
    /// Deletions that changed nothing because their key had no row.
    pub rows_of_unknown_keys: u64,
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

impl Progress {
    /// Of a job that has not begun.
    pub(crate) fn none() -> Self {
        Self {
            rows_in: 0,
            rows_out: 0,
            rows_skipped: 0,
            rows_late: 0,
            rows_without_time: 0,
            rows_of_unknown_keys: 0,
            epoch: Epoch::default(),
            watermark: Watermark::NONE,
            lag_ms: None,
            state_bytes: 0,
            elapsed: Duration::ZERO,
        }
    }
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
    /// `sql-client.execution.result-mode`.
    pub mode: ResultMode,
    /// Columns that identify a row at any moment.
    pub key: Option<Vec<usize>>,
    /// The session time zone, for TIMESTAMP_LTZ.
    pub time_zone: String,
}

impl ResultShape {
    /// Does the result come to an end, over input that does or does not?
    pub fn ends(&self, bounded: bool) -> bool {
        let appends = self.append_only && self.presentation.sort.is_empty();
        bounded || (appends && self.presentation.limit.is_some())
    }

    /// The columns that are shown.
    pub fn visible_schema(&self) -> SchemaRef {
        crate::result::visible_schema(&self.schema, &self.presentation)
    }

    /// The columns that are shown, under the names that a client is told: several may have one.
    pub fn shown_schema(&self) -> SchemaRef {
        crate::result::shown_schema(&self.schema, &self.presentation)
    }

    /// The columns of `rows` that are shown.
    ///
    /// # Errors
    /// Rows of another result.
    pub fn visible(&self, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        crate::result::visible(rows, &self.presentation)
    }
}

/// What is known of a job before it says anything.
#[derive(Debug, Clone)]
pub struct JobFacts {
    /// Its name.
    pub name: String,
    /// Others may reach it by its name, and ask for savepoints.
    pub is_named: bool,
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
    handle: JobHandle,
    control: JobControl,
    clock: Arc<dyn Clock>,
    started: Duration,
    started_ms: i64,
    summary: Arc<OnceLock<JobSummary>>,
    events: Receiver<JobEvent>,
    sender: Sender<JobEvent>,
    channel: Option<ResultChannel>,
    /// How it is stored when it goes on in the background.
    stored: Option<StoredJob>,
    /// What it reads of the state of other jobs, which is there as long as the job is.
    memory_max: Option<usize>,
    _states: Option<Arc<StateTables>>,
}

impl RunningJob {
    /// How many bytes of memory its result may take, once it is put together; `None`: as many as there are.
    pub fn memory_max(&self) -> Option<usize> {
        self.memory_max
    }

    /// What was known before it began.
    pub fn facts(&self) -> &JobFacts {
        &self.facts
    }

    /// The next event; `None` when there is none within `timeout`.
    pub fn next_event(&self, timeout: Duration) -> Option<JobEvent> {
        match self.events.recv_timeout(timeout) {
            Ok(event) => {
                if let (JobEvent::Changes { changes, .. }, Some(result)) = (&event, &self.channel) {
                    result.channel.taken(changes);
                }
                Some(event)
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
        }
    }

    /// Columns that identify a row of its result at any moment.
    pub(crate) fn key(&self) -> Option<&[usize]> {
        self.facts.result.as_ref()?.key.as_deref()
    }

    /// For other threads, to interrupt whoever waits in [`next_event`](Self::next_event).
    pub fn interrupter(&self) -> Interrupter {
        Interrupter(self.sender.clone())
    }

    /// How far it is, or how far it came.
    pub fn progress(&self) -> Progress {
        match self.summary.get() {
            Some(summary) => progress(&summary.metrics, summary.elapsed),
            None => progress(&self.handle.metrics(), self.clock.monotonic().saturating_sub(self.started)),
        }
    }

    /// Everything that is measured, per operator.
    pub fn metrics(&self) -> JobMetrics {
        self.handle.metrics()
    }

    /// For other threads, to make savepoints and to end it.
    pub fn control(&self) -> JobControl {
        self.control.clone()
    }

    /// True when it is over because somebody asked, and not because its input was at its end.
    pub fn was_stopped(&self) -> bool {
        self.summary.get().is_some_and(|summary| summary.state == JobState::Stopped)
    }

    /// How it is stored when it goes on in the background.
    pub(crate) fn stored(&self) -> Option<&StoredJob> {
        self.stored.as_ref()
    }

    /// See [`stored`](Self::stored).
    pub(crate) fn set_stored(&mut self, stored: StoredJob) {
        self.stored = Some(stored);
    }

    /// Ends an epoch now, and waits until what it brings can be had from [`next_event`](Self::next_event).
    ///
    /// # Errors
    /// The job fails.
    pub(crate) fn cut(&self) -> Result<(), SqlError> {
        self.handle.cut().map(drop).map_err(|e| from_runtime(&e))
    }

    /// What its state is now, at the end of an epoch.
    ///
    /// # Errors
    /// The job fails, or is over.
    pub(crate) fn picture(&self) -> Result<StatePicture, SqlError> {
        self.handle.picture().map_err(|e| from_runtime(&e))
    }

    /// When it was started, in milliseconds since 1970-01-01T00:00:00Z.
    pub(crate) fn started_ms(&self) -> i64 {
        self.started_ms
    }

    /// For who does its work as a part of something that can be cancelled.
    pub(crate) fn handle(&self) -> &JobHandle {
        &self.handle
    }

    /// Does what there is to do of a job without threads; false for one that has threads, or is over.
    pub(crate) fn work(&self) -> bool {
        self.handle.work()
    }

    /// Where it stands.
    pub(crate) fn state(&self) -> JobState {
        self.handle.state()
    }

    /// What has happened to it.
    pub(crate) fn log(&self) -> &JobLog {
        self.handle.log()
    }

    /// Is it over?
    pub(crate) fn is_over(&self) -> bool {
        self.handle.state().is_final()
    }

    /// Ends it at the next barrier.
    pub fn stop(&self) {
        self.handle.stop();
    }

    /// Ends it at once; what is not committed is dropped.
    pub fn cancel(&self) {
        self.handle.cancel();
    }
}

impl Drop for RunningJob {
    fn drop(&mut self) {
        self.handle.cancel();
    }
}

fn progress(metrics: &JobMetrics, elapsed: Duration) -> Progress {
    Progress {
        rows_in: metrics.rows_in,
        rows_out: metrics.rows_out,
        rows_skipped: metrics.skipped_rows,
        rows_late: metrics.late_rows,
        rows_without_time: metrics.null_time_rows,
        rows_of_unknown_keys: metrics.unknown_key_rows,
        epoch: metrics.completed,
        watermark: metrics.watermark,
        lag_ms: metrics.lag_ms,
        state_bytes: metrics.state_bytes,
        elapsed,
    }
}

/// A channel that is closed when the job is gone.
struct ResultChannel {
    connector: Arc<CollectConnector>,
    channel: Arc<Channel>,
}

impl Drop for ResultChannel {
    fn drop(&mut self) {
        self.channel.hang_up();
        self.connector.close(self.channel.number());
    }
}

/// When a job ends its epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Epochs {
    /// When rows are there and time has passed.
    AsTheyCome,
    /// When it is told to: [`RunningJob::cut`].
    OnDemand,
}

/// Starts a planned job; `channel_number` is that of a SELECT's channel.
///
/// # Errors
/// What cannot be opened, or does not fit the settings.
pub(crate) fn start(
    engine: &Engine,
    settings: &Settings,
    shards: usize,
    beginning: Beginning,
    planned: Planned,
    channel_number: Option<u64>,
    epochs: Epochs,
) -> Result<RunningJob, ScriptError> {
    settings.check_backend()?;
    let Planned { job: planned, states } = planned;
    let facts = facts(engine.registry(), settings, shards, &beginning, &planned, channel_number.is_some())?;
    let (sender, events) = channel();
    let query_memory = engine.query_memory();
    let channel = channel_number.map(|number| ResultChannel {
        connector: engine.collect().clone(),
        channel: engine.collect().open(number, sender.clone(), query_memory),
    });
    let rim = engine.rim();
    let is_kept_up = beginning.is_kept_up;
    let job_settings = JobSettings {
        name: facts.name.clone(),
        shards,
        max_parallelism: settings.max_parallelism(),
        epochs_on_demand: epochs == Epochs::OnDemand,
        // Several shards are there to work at once.
        in_place: epochs == Epochs::OnDemand && shards == 1,
        epoch_interval: settings.epoch_interval(),
        epoch_rows: settings.epoch_rows(),
        barrier_budget: settings.barrier_budget(),
        time_zone: settings.time_zone().to_owned(),
        seed: engine.next_seed(),
        state_goes_out: beginning.is_pictured,
        checkpoints: beginning.checkpoints,
        restart: settings.restart_strategy(),
        backend: engine.state_backend(settings),
        from: beginning.from,
        in_phases: beginning.in_phases,
        memory: Some(engine.memory_budget(settings)),
        memory_limit: query_memory.filter(|_| !is_kept_up).map(MemoryLimit::new),
        allow_dropped_state: beginning.allow_dropped_state,
        allowed_until: beginning.allowed_until,
        log: beginning.log,
        ..JobSettings::default()
    };
    let (started, started_ms) = (rim.clock.monotonic(), rim.clock.wall_ms());
    let handle = eddyline_runtime::start(planned.dataflow, engine.registry(), job_settings, rim.clone())
        .map_err(|e| cannot_start(&e))?;

    let summary: Arc<OnceLock<JobSummary>> = Arc::default();
    let (ended, kept, to) = (handle.ended(), summary.clone(), sender.clone());
    rim.tokio.spawn(async move {
        let result = ended.await.map_err(|e| from_runtime(&e)).map(|s| drop(kept.set(s)));
        // Nobody follows the job any more: then nobody asks how it ended.
        let _ = to.send(JobEvent::Ended(result));
    });
    let control = JobControl::new(engine, &facts.name, settings.savepoints_dir(), &handle);
    Ok(RunningJob {
        facts,
        handle,
        control,
        clock: rim.clock.clone(),
        started,
        started_ms,
        summary,
        events,
        sender,
        channel,
        stored: None,
        memory_max: query_memory,
        _states: states,
    })
}

/// A setting is the statement's fault; a table that cannot be opened fails the job.
fn cannot_start(error: &RuntimeError) -> ScriptError {
    match error {
        RuntimeError::Setting { .. } | RuntimeError::Retractions { .. } => ScriptError::Statement(from_runtime(error)),
        _ => ScriptError::Job(from_runtime(error)),
    }
}

/// What is known of a job before it starts.
///
/// # Errors
/// What does not go together: endless input with settings or clauses that need its end.
fn facts(
    registry: &Registry,
    settings: &Settings,
    shards: usize,
    beginning: &Beginning,
    planned: &PlannedJob,
    is_select: bool,
) -> Result<JobFacts, SqlError> {
    let endless = endless_tables(registry, settings, &planned.dataflow)?;
    let presentation = planned.presentation.clone().unwrap_or_default();
    let result = is_select.then(|| result_shape(settings, &planned.dataflow, presentation)).flatten();
    if let Some(table) = endless.first() {
        check_endless(table, settings, result.as_ref())?;
    }
    let unbounded = KeptState::of(&planned.dataflow, &endless).checked(settings.unbounded_state())?;
    let sinks = sinks(&planned.dataflow).map(|(_, s)| SinkPlace {
        table: s.table.clone(),
        connector: s.options.get("connector").cloned().unwrap_or_default(),
        path: s.options.get("path").cloned(),
    });
    Ok(JobFacts {
        name: beginning.name.clone(),
        is_named: beginning.is_named,
        bounded: endless.is_empty(),
        shards,
        sinks: if result.is_some() { Vec::new() } else { sinks.collect() },
        result,
        warnings: planned.warnings.iter().cloned().chain(unbounded).collect(),
    })
}

fn sinks(dataflow: &Dataflow) -> impl Iterator<Item = (&Node, &SinkSpec)> {
    dataflow.nodes().iter().filter_map(|n| match &n.spec {
        OperatorSpec::Sink(sink) => Some((n, sink)),
        _ => None,
    })
}

/// What the operators of a plan keep.
///
/// # Errors
/// A table that cannot be opened.
pub(crate) fn kept_state(registry: &Registry, settings: &Settings, dataflow: &Dataflow) -> Result<KeptState, SqlError> {
    Ok(KeptState::of(dataflow, &endless_tables(registry, settings, dataflow)?))
}

/// The tables whose input does not end.
pub(crate) fn endless_tables(
    registry: &Registry,
    settings: &Settings,
    dataflow: &Dataflow,
) -> Result<Vec<String>, SqlError> {
    let mut endless = Vec::new();
    for node in dataflow.nodes() {
        let OperatorSpec::Source(spec) = &node.spec else { continue };
        // What the engine keeps changes by statements alone.
        if spec.options.get("connector").is_some_and(|connector| connector == KEPT) {
            continue;
        }
        let source = registry
            .source(&spec.options, eddyline_runtime::source_request(spec, settings.time_zone()))
            .map_err(|e| from_connector(&e))?;
        if source.boundedness() == Boundedness::Unbounded {
            endless.push(spec.table.clone());
        }
    }
    Ok(endless)
}

/// What the rows that come to the sink of a plan look like.
pub(crate) fn result_shape(
    settings: &Settings,
    dataflow: &Dataflow,
    presentation: Presentation,
) -> Option<ResultShape> {
    let (node, sink) = sinks(dataflow).next()?;
    let input = node.inputs.first().map(|i| &dataflow.nodes()[i.from])?;
    Some(ResultShape {
        schema: sink.schema.clone(),
        presentation,
        append_only: input.traits.mode == ChangeMode::AppendOnly,
        mode: settings.result_mode(),
        key: sink.key.clone(),
        time_zone: settings.time_zone().to_owned(),
    })
}

fn check_endless(table: &str, settings: &Settings, result: Option<&ResultShape>) -> Result<(), SqlError> {
    let refuse = |message: String, hint: &str| Err(SqlError::new(SqlError::UNSUPPORTED, message).with_hint(hint));
    if settings.is_batch() {
        let message = format!("'execution.runtime-mode' is 'batch', and the input of table {table} does not end");
        return refuse(message, "bound the table by its options, or set 'execution.runtime-mode' = 'streaming'");
    }
    let Some(ResultShape { presentation, append_only, .. }) = result else { return Ok(()) };
    if !presentation.sort.is_empty() && !presentation.is_limited {
        let message = format!("ORDER BY needs the end of its input, and that of table {table} does not end");
        return refuse(message, "leave ORDER BY out, add a LIMIT, or bound the table by its options");
    }
    if (presentation.limit.is_some() || presentation.offset > 0) && !append_only {
        let message =
            format!("LIMIT of a changing result needs the end of its input, and that of table {table} does not end");
        return refuse(message, "leave LIMIT out, or bound the table by its options");
    }
    Ok(())
}
