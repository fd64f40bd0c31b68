//! A job as its owner sees it: states, handle, outcome; and what its threads share.

use crate::build::MakeOperator;
use crate::coordinator::Event;
use crate::cuts::Cuts;
use crate::error::RuntimeError;
use crate::job_log::JobLog;
use crate::life::{Definition, Life};
use crate::metrics::{Counters, JobMetrics};
use crate::savepoint::{Order, Orders, SavepointMade, SavepointTarget, StatePicture};
use crate::settings::JobSettings;
use crate::wake::Alarm;
use eddyline_changes::{Barrier, BarrierKind, Epoch};
use eddyline_connectors::{Clock, Registry, Rim};
use eddyline_plan::Dataflow;
use eddyline_state::Frozen;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake};
use std::time::Duration;

/// Where a job stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobState {
    /// Built, not running yet.
    Created,
    /// Running.
    Running,
    /// It failed and waits to be started again.
    Restarting,
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
        use JobState::{Created, Failed, Finished, Finishing, Restarting, Running, Stopped};
        [Created, Running, Restarting, Finishing, Finished, Stopped, Failed]
            .get(usize::from(number))
            .copied()
            .unwrap_or(Failed)
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

/// What the threads of a job share, from a start to a failure or the end.
pub(crate) struct JobShared {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) counters: Arc<Counters>,
    /// The job keeps checkpoints.
    pub(crate) keeps: bool,
    /// Savepoints that are asked for.
    pub(crate) orders: Orders,
    /// Epochs that are asked for.
    pub(crate) cuts: Cuts,
    /// The last barrier is one at which state is frozen also if the job keeps no checkpoints.
    saves_at_end: AtomicBool,
    /// Before the last barrier, event time goes to its end.
    drains: AtomicBool,
    /// The most rows of an epoch.
    epoch_rows: AtomicU64,
    aborted: AtomicBool,
    error: Mutex<Option<RuntimeError>>,
    events: Mutex<Vec<Event>>,
    coordinator: Arc<Alarm>,
    shards: Vec<Port>,
    /// What shards have frozen, by epoch, until the checkpoint is made of it.
    snapshots: Mutex<BTreeMap<Epoch, Vec<Snapshot>>>,
    checkpoints: Mutex<CheckpointNews>,
}

/// What a shard leaves for a checkpoint when it has passed its barrier.
pub(crate) struct Snapshot {
    pub(crate) shard: usize,
    pub(crate) picture: Box<dyn Frozen>,
    /// When the last task had passed the barrier.
    pub(crate) passed_at: Duration,
    /// From the first task to the last.
    pub(crate) alignment: Duration,
    /// The time spent writing state back.
    pub(crate) sync: Duration,
    /// The task that was last.
    pub(crate) last_task: String,
}

/// What became of checkpoints.
#[derive(Default)]
struct CheckpointNews {
    last: Epoch,
    failure: Option<RuntimeError>,
}

/// What comes to a shard from the coordinator.
#[derive(Default)]
struct Port {
    alarm: Arc<Alarm>,
    barriers: Mutex<Vec<Barrier>>,
    waiting: AtomicUsize,
}

impl JobShared {
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
        shards: usize,
        keeps: bool,
        epoch_rows: u64,
    ) -> Arc<Self> {
        Arc::new(Self {
            clock,
            counters,
            keeps,
            orders: Orders::default(),
            cuts: Cuts::default(),
            saves_at_end: AtomicBool::new(false),
            drains: AtomicBool::new(false),
            epoch_rows: AtomicU64::new(epoch_rows),
            aborted: AtomicBool::new(false),
            error: Mutex::default(),
            events: Mutex::default(),
            coordinator: Arc::default(),
            shards: (0..shards).map(|_| Port::default()).collect(),
            snapshots: Mutex::default(),
            checkpoints: Mutex::default(),
        })
    }

    /// The most rows of an epoch, of all shards.
    pub(crate) fn epoch_rows(&self) -> u64 {
        self.epoch_rows.load(SeqCst)
    }

    pub(crate) fn set_epoch_rows(&self, rows: u64) {
        self.epoch_rows.store(rows, SeqCst);
    }

    pub(crate) fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Is state written back and frozen at this barrier? At those of checkpoints, and at the last one if something is
    /// made of it.
    pub(crate) fn persists(&self, kind: BarrierKind) -> bool {
        match kind {
            BarrierKind::Flush => false,
            BarrierKind::Checkpoint => true,
            BarrierKind::Stop => self.keeps || self.saves_at_end.load(SeqCst),
        }
    }

    /// Says before the last barrier that state is to be frozen at it.
    pub(crate) fn save_at_end(&self) {
        self.saves_at_end.store(true, SeqCst);
    }

    /// Says before the last barrier that event time is to go to its end.
    pub(crate) fn drain(&self) {
        self.drains.store(true, SeqCst);
    }

    pub(crate) fn drains(&self) -> bool {
        self.drains.load(SeqCst)
    }

    pub(crate) fn add_snapshot(&self, epoch: Epoch, snapshot: Snapshot) {
        self.snapshots.lock().entry(epoch).or_default().push(snapshot);
    }

    /// The shards whose state is not frozen yet at an epoch.
    pub(crate) fn without_snapshot(&self, epoch: Epoch) -> Vec<usize> {
        let snapshots = self.snapshots.lock();
        let there: Vec<usize> = snapshots.get(&epoch).into_iter().flatten().map(|s| s.shard).collect();
        (0..self.shards.len()).filter(|shard| !there.contains(shard)).collect()
    }

    /// What all shards have frozen at an epoch, by shard.
    pub(crate) fn take_snapshots(&self, epoch: Epoch) -> Vec<Snapshot> {
        let mut snapshots = self.snapshots.lock().remove(&epoch).unwrap_or_default();
        snapshots.sort_by_key(|s| s.shard);
        snapshots
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
        self.counters.sample(self.clock.monotonic());
        tracing::debug!(epoch = barrier.epoch.0, kind = ?barrier.kind, "epoch complete");
    }

    pub(crate) fn checkpointed(&self, barrier: Barrier) {
        self.checkpoints.lock().last = barrier.epoch;
    }

    /// The epoch of the last checkpoint that is complete.
    pub(crate) fn checkpoint(&self) -> Epoch {
        self.checkpoints.lock().last
    }

    pub(crate) fn checkpoint_failed(&self, error: RuntimeError) {
        self.checkpoints.lock().failure = Some(error);
    }

    /// Why the last checkpoint that failed did.
    pub(crate) fn checkpoint_failure(&self) -> Option<RuntimeError> {
        self.checkpoints.lock().failure.clone()
    }

    /// Ends the job with an error; the first one counts. Of a job that is being ended already, what does not come to its end says nothing.
    pub(crate) fn fail(&self, error: RuntimeError) {
        if !self.is_aborted() {
            self.error.lock().get_or_insert(error);
        }
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
    life: Arc<Life>,
}

/// Starts a job: finds its last checkpoint, opens sources and sinks, builds the tasks, starts one thread per shard and one for
/// the coordinator. Blocks until that is done; not to be called on a thread that runs asynchronous tasks.
///
/// # Errors
/// Settings that do not fit, tables that cannot be opened, plans that cannot run, checkpoints that cannot be read; then
/// nothing was started.
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
    let registry = registry.clone();
    let life = crate::life::begin(Definition { dataflow, registry, settings, rim, make })?;
    Ok(JobHandle { life })
}

impl JobHandle {
    /// Where the job stands.
    pub fn state(&self) -> JobState {
        self.life.counters.state()
    }

    /// What it has done so far.
    pub fn metrics(&self) -> JobMetrics {
        self.life.counters.snapshot(self.life.clock.wall_ms(), self.life.clock.monotonic())
    }

    /// What has happened to it.
    pub fn log(&self) -> &JobLog {
        &self.life.counters.log
    }

    /// Ends the job at a barrier: what was read is computed, committed, and then it ends.
    pub fn stop(&self) {
        self.life.stop();
    }

    /// Ends an epoch now. Blocks until it is complete: what sources had handed out is computed and committed. False when the job
    /// ended, well, before that.
    ///
    /// # Errors
    /// Why the job failed.
    pub fn cut(&self) -> Result<bool, RuntimeError> {
        self.life.cut()
    }

    /// Does what there is to do of a job [without threads](JobSettings::in_place), but for ending an epoch. False for a job that has threads, and for one that is
    /// over.
    pub fn work(&self) -> bool {
        self.life.work()
    }

    /// Makes a checkpoint now; of no effect for a job that keeps none.
    pub fn checkpoint(&self) {
        self.life.tell(Event::Checkpoint);
    }

    /// Makes a savepoint while the job goes on. Blocks until it is there.
    ///
    /// # Errors
    /// The place cannot be written or holds a savepoint already; the job ends or fails before the savepoint is made.
    pub fn savepoint(&self, target: &SavepointTarget) -> Result<SavepointMade, RuntimeError> {
        self.life.save(Order::new(target, &self.life.tokio)?, false)
    }

    /// What the state of the job is at the end of an epoch that is cut now, while the job goes on. Blocks until it is frozen, which takes time
    /// by what has changed since it was the last time. One at a time.
    ///
    /// # Errors
    /// The job ends or fails before.
    pub fn picture(&self) -> Result<StatePicture, RuntimeError> {
        self.life.picture()
    }

    /// Ends the job at a barrier, with a savepoint of what it is then. `drain`: before that, event time goes to its end, so that
    /// all that waits for it comes out; such a job is not meant to go on. Blocks until the savepoint is there.
    ///
    /// # Errors
    /// As [`savepoint`](Self::savepoint). A place that cannot be written as it seems does not end the job; when writing fails
    /// all the same, the job has ended.
    pub fn stop_with_savepoint(&self, target: &SavepointTarget, drain: bool) -> Result<SavepointMade, RuntimeError> {
        let order = Order::new(target, &self.life.tokio)?;
        if drain {
            self.life.drain();
        }
        self.life.save(order, true)
    }

    /// As [`stop`](Self::stop), with event time going to its end before.
    pub fn drain(&self) {
        self.life.drain();
        self.life.stop();
    }

    /// Ends the job at once. What was not committed yet never becomes visible.
    pub fn cancel(&self) {
        self.life.cancel();
    }

    /// Waits until the job is over.
    ///
    /// # Errors
    /// Why it failed.
    pub fn wait(self) -> Result<JobSummary, RuntimeError> {
        self.life.wait()
    }

    /// As [`wait`](Self::wait), for async callers.
    pub fn ended(&self) -> JobEnd {
        JobEnd { life: self.life.clone() }
    }
}

/// Resolves when a job is over.
pub struct JobEnd {
    life: Arc<Life>,
}

impl Future for JobEnd {
    type Output = Result<JobSummary, RuntimeError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.life.poll_end(cx)
    }
}
