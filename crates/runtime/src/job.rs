//! A job as its owner sees it: states, handle, outcome; and what its threads share.

use crate::build::{Build, MakeOperator, build};
use crate::coordinator::Event;
use crate::driver::{Driver, spawn};
use crate::error::RuntimeError;
use crate::metrics::{Counters, JobCollector, JobMetrics};
use crate::settings::JobSettings;
use crate::wake::Alarm;
use eddyline_changes::{Barrier, BarrierKind, Epoch};
use eddyline_connectors::{Clock, Registry, Rim};
use eddyline_plan::Dataflow;
use eddyline_state::{Backend, MemoryBackend};
use parking_lot::{Condvar, Mutex};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// Where a job stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobState {
    /// Built, not running yet.
    Created,
    /// Running.
    Running,
    /// The last barrier is on its way.
    Finishing,
    /// All input is read and all output committed.
    Finished,
    /// Ended because somebody asked.
    Stopped,
    /// Ended by an error.
    Failed,
}

impl JobState {
    pub(crate) fn from_number(number: u8) -> Self {
        use JobState::{Created, Failed, Finished, Finishing, Running, Stopped};
        [Created, Running, Finishing, Finished, Stopped, Failed].get(usize::from(number)).copied().unwrap_or(Failed)
    }

    /// Nothing will happen any more.
    pub fn is_final(self) -> bool {
        matches!(self, JobState::Finished | JobState::Stopped | JobState::Failed)
    }
}

/// What a job has done, when it is over.
#[derive(Debug, Clone, PartialEq)]
pub struct JobSummary {
    /// [`JobState::Finished`] or [`JobState::Stopped`].
    pub state: JobState,
    /// From start to end.
    pub elapsed: Duration,
    /// The last measurements.
    pub metrics: JobMetrics,
}

/// What the threads of a job share.
pub(crate) struct JobShared {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) counters: Arc<Counters>,
    started: Duration,
    aborted: AtomicBool,
    error: Mutex<Option<RuntimeError>>,
    events: Mutex<Vec<Event>>,
    coordinator: Arc<Alarm>,
    shards: Vec<Port>,
    outcome: Mutex<Outcome>,
    ended: Condvar,
}

/// What comes to a shard from the coordinator.
#[derive(Default)]
struct Port {
    alarm: Arc<Alarm>,
    barriers: Mutex<Vec<Barrier>>,
    waiting: AtomicUsize,
}

#[derive(Default)]
struct Outcome {
    result: Option<Result<JobSummary, RuntimeError>>,
    checkpoint: Epoch,
    wakers: Vec<Waker>,
}

impl JobShared {
    pub(crate) fn new(clock: Arc<dyn Clock>, counters: Arc<Counters>, shards: usize) -> Arc<Self> {
        Arc::new(Self {
            started: clock.monotonic(),
            clock,
            counters,
            aborted: AtomicBool::new(false),
            error: Mutex::default(),
            events: Mutex::default(),
            coordinator: Arc::default(),
            shards: (0..shards).map(|_| Port::default()).collect(),
            outcome: Mutex::default(),
            ended: Condvar::new(),
        })
    }

    pub(crate) fn shard_alarm(&self, shard: usize) -> Arc<Alarm> {
        self.shards[shard].alarm.clone()
    }

    pub(crate) fn coordinator_alarm(&self) -> Arc<Alarm> {
        self.coordinator.clone()
    }

    /// Tells the coordinator.
    pub(crate) fn tell(&self, event: Event) {
        self.events.lock().push(event);
        self.coordinator.ring();
    }

    pub(crate) fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut *self.events.lock())
    }

    pub(crate) fn inject(&self, barrier: Barrier) {
        for port in &self.shards {
            port.barriers.lock().push(barrier);
            port.waiting.fetch_add(1, SeqCst);
            port.alarm.ring();
        }
    }

    pub(crate) fn take_barriers(&self, shard: usize) -> Vec<Barrier> {
        let port = &self.shards[shard];
        if port.waiting.load(SeqCst) == 0 {
            return Vec::new();
        }
        let barriers = std::mem::take(&mut *port.barriers.lock());
        port.waiting.fetch_sub(barriers.len(), SeqCst);
        barriers
    }

    pub(crate) fn completed(&self, barrier: Barrier) {
        self.counters.set_completed(barrier.epoch);
        tracing::debug!(epoch = barrier.epoch.0, kind = ?barrier.kind, "epoch complete");
        if barrier.kind == BarrierKind::Checkpoint {
            self.outcome.lock().checkpoint = barrier.epoch;
        }
    }

    /// The last checkpoint that is complete.
    pub(crate) fn checkpoint(&self) -> Epoch {
        self.outcome.lock().checkpoint
    }

    /// Ends the job with an error; the first one counts.
    pub(crate) fn fail(&self, error: RuntimeError) {
        self.error.lock().get_or_insert(error);
        self.abort();
    }

    pub(crate) fn error(&self) -> Option<RuntimeError> {
        self.error.lock().clone()
    }

    /// All threads stop at the next step; nothing more is prepared or committed.
    pub(crate) fn abort(&self) {
        self.aborted.store(true, SeqCst);
        self.coordinator.ring();
        self.shards.iter().for_each(|p| p.alarm.ring());
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.aborted.load(SeqCst)
    }

    /// All threads are gone. `finished`: the last epoch is complete, with the input at its end or not.
    pub(crate) fn end(&self, finished: Option<bool>) {
        let state = match (self.error(), finished) {
            (Some(_), _) => JobState::Failed,
            (None, Some(true)) => JobState::Finished,
            (None, _) => JobState::Stopped,
        };
        self.counters.set_state(state);
        let elapsed = self.clock.monotonic().saturating_sub(self.started);
        let metrics = self.counters.snapshot(self.clock.wall_ms());
        tracing::info!(?state, ?elapsed, rows_in = metrics.rows_in, rows_out = metrics.rows_out, "job ended");
        let result = self.error().map_or(Ok(JobSummary { state, elapsed, metrics }), Err);
        let mut outcome = self.outcome.lock();
        outcome.result = Some(result);
        outcome.wakers.drain(..).for_each(Waker::wake);
        self.ended.notify_all();
    }
}

/// Tells the coordinator that time has passed.
pub(crate) struct Timer(pub(crate) Arc<JobShared>);

impl Wake for Timer {
    fn wake(self: Arc<Self>) {
        self.0.tell(Event::Timer);
    }
}

/// A running job. Clones mean the same job; dropping them does not end it.
#[derive(Clone)]
pub struct JobHandle {
    shared: Arc<JobShared>,
}

/// Starts a job: opens sources and sinks, builds the tasks, starts one thread per shard and one for the coordinator.
///
/// # Errors
/// Settings that do not fit, tables that cannot be opened, plans that cannot run; then nothing was started.
pub fn start(
    dataflow: Dataflow,
    registry: &Registry,
    settings: JobSettings,
    rim: Rim,
) -> Result<JobHandle, RuntimeError> {
    start_with(dataflow, registry, settings, rim, eddyline_operators::build)
}

pub(crate) fn start_with(
    dataflow: Dataflow,
    registry: &Registry,
    settings: JobSettings,
    rim: Rim,
    make: MakeOperator,
) -> Result<JobHandle, RuntimeError> {
    settings.check()?;
    let backends = (0..settings.shards).map(|_| Arc::new(MemoryBackend::new()) as Arc<dyn Backend>).collect();
    let (delayed, after) = (false, Epoch(0));
    let parts = Build { dataflow: &dataflow, registry, settings: &settings, rim: &rim, make, backends, delayed, after };
    let built = build(parts)?;
    tracing::info!(job = settings.name, shards = settings.shards, fragments = dataflow.fragments().len(), "job starts");
    let shared = built.shared.clone();
    let coordinator = built.coordinator(&settings, settings.epoch_interval / 20);
    spawn(Driver::new(shared.clone(), coordinator, built.committers), built.shards)?;
    Ok(JobHandle { shared })
}

impl JobHandle {
    /// Where the job stands.
    pub fn state(&self) -> JobState {
        self.shared.counters.state()
    }

    /// What it has done so far.
    pub fn metrics(&self) -> JobMetrics {
        self.shared.counters.snapshot(self.shared.clock.wall_ms())
    }

    /// Adds the job's metrics to a Prometheus registry.
    pub fn register(&self, registry: &mut prometheus_client::registry::Registry) {
        registry.register_collector(Box::new(JobCollector(self.shared.counters.clone())));
    }

    /// Ends the job at a barrier: what was read is computed, committed, and then it ends.
    pub fn stop(&self) {
        self.shared.tell(Event::Stop);
    }

    /// Ends the job at once. What was not committed yet never becomes visible.
    pub fn cancel(&self) {
        self.shared.abort();
    }

    /// Waits until the job is over.
    ///
    /// # Errors
    /// Why it failed.
    pub fn wait(self) -> Result<JobSummary, RuntimeError> {
        let mut outcome = self.shared.outcome.lock();
        loop {
            if let Some(result) = &outcome.result {
                return result.clone();
            }
            self.shared.ended.wait(&mut outcome);
        }
    }

    /// As [`wait`](Self::wait), for async callers.
    pub fn ended(&self) -> JobEnd {
        JobEnd { shared: self.shared.clone() }
    }
}

/// Resolves when a job is over.
pub struct JobEnd {
    shared: Arc<JobShared>,
}

impl Future for JobEnd {
    type Output = Result<JobSummary, RuntimeError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut outcome = self.shared.outcome.lock();
        match &outcome.result {
            Some(result) => Poll::Ready(result.clone()),
            None => {
                outcome.wakers.push(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}
