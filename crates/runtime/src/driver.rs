//! The hands of the coordinator: injects barriers, commits, sets timers; and the thread that does so for a job.

use crate::coordinator::checkpoints::Held;
use crate::coordinator::{Action, Coordinator, Event, Now, Prepared};
use crate::error::RuntimeError;
use crate::job::{JobShared, JobState};
use crate::job_log::{LogLevel, LogSubject};
use crate::keeper::{Keeper, Task};
use crate::life::Ready;
use crate::savepoint::Saver;
use crate::spans::CheckpointSpan;
use eddyline_changes::{Barrier, BarrierKind, Epoch};
use eddyline_connectors::{Commit, Committer};
use eddyline_plan::NodeId;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Waker;
use std::thread::JoinHandle;

/// An expression of a thousand operators goes down as many calls. Only what is used takes memory.
const STACK_BYTES: usize = 32 << 20;

/// What came of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// There was nothing to do.
    Idle,
    /// Something was done.
    Worked,
    /// The last epoch is complete; `finished`: the input was at its end.
    Ended { finished: bool },
}

/// The committer of one sink node, with the table's name.
pub(crate) type NamedCommitter = (String, Box<dyn Committer>);

/// How the keeper is reached.
pub(crate) enum Keeping {
    /// It works on a thread of its own.
    Thread { tasks: crossbeam_channel::Sender<Task>, thread: JoinHandle<()> },
    /// Its tasks are done when somebody says so (simulation, jobs without threads).
    Queue { tasks: VecDeque<Task>, worker: Box<Worker> },
}

/// Who works on what shards have frozen.
pub(crate) struct Worker {
    /// `None` in a job that keeps no checkpoints.
    pub(crate) keeper: Option<Keeper>,
    pub(crate) saver: Saver,
}

impl Worker {
    fn work(&mut self, task: Task) {
        match (task, &mut self.keeper) {
            (Task::Save { barrier, orders, snapshots, finished }, _) => {
                let kept = self.keeper.as_mut().and_then(|keeper| keeper.pictures.take());
                let snapshots = snapshots.or(kept).unwrap_or_default();
                self.saver.work(barrier, &orders, snapshots, finished);
            }
            (task, Some(keeper)) => keeper.work(task),
            (_, None) => {}
        }
    }
}

impl Keeping {
    /// A worker on a thread of its own.
    ///
    /// # Errors
    /// The machine gave no thread.
    pub(crate) fn spawn(mut worker: Worker) -> Result<Self, RuntimeError> {
        let (tasks, receive) = crossbeam_channel::unbounded::<Task>();
        let shared = worker.saver.shared.clone();
        let work = move || {
            guard("checkpoints", &shared, || {
                receive.iter().try_for_each(|task| {
                    worker.work(task);
                    Ok(())
                })
            })
        };
        Ok(Self::Thread { tasks, thread: thread("checkpoints".into(), work)? })
    }

    fn add(&mut self, task: Task) {
        match self {
            // It is there as long as this sender is; had it panicked, the job would be failing already.
            Self::Thread { tasks, .. } => drop(tasks.send(task)),
            Self::Queue { tasks, .. } => tasks.push_back(task),
        }
    }

    /// Does one task that waits; false when there is none.
    pub(crate) fn step(&mut self) -> bool {
        match self {
            Self::Thread { .. } => false,
            Self::Queue { tasks, worker } => tasks.pop_front().map(|task| worker.work(task)).is_some(),
        }
    }

    /// Waits until all tasks are done.
    fn finish(self) {
        if let Self::Thread { tasks, thread } = self {
            drop(tasks);
            join(vec![thread]);
        }
    }
}

/// Carries out what the coordinator decides.
pub(crate) struct Driver {
    shared: Arc<JobShared>,
    coordinator: Coordinator,
    committers: BTreeMap<NodeId, NamedCommitter>,
    pub(crate) keeping: Option<Keeping>,
    /// The job, as traces name it.
    job: String,
    /// Checkpoints whose barrier is cut, and that are not kept yet.
    cut: BTreeMap<Epoch, CheckpointSpan>,
}

impl Driver {
    pub(crate) fn new(
        job: String,
        shared: Arc<JobShared>,
        coordinator: Coordinator,
        committers: BTreeMap<NodeId, NamedCommitter>,
        keeping: Option<Keeping>,
    ) -> Self {
        Self { shared, coordinator, committers, keeping, job, cut: BTreeMap::new() }
    }

    /// Takes all events that wait, and does what follows from them.
    ///
    /// # Errors
    /// A sink could not commit.
    pub(crate) fn turn(&mut self) -> Result<Turn, RuntimeError> {
        let mut events: VecDeque<Event> = self.shared.take_events().into();
        let mut turn = Turn::Idle;
        while let Some(event) = events.pop_front() {
            turn = Turn::Worked;
            for action in self.coordinator.on(event, self.now()) {
                match action {
                    Action::Inject(barrier) => self.inject(barrier),
                    Action::Commit { epoch, prepared } => {
                        self.commit(epoch, prepared)?;
                        events.push_front(Event::Committed(epoch));
                    }
                    Action::Complete(barrier) => self.shared.completed(barrier),
                    Action::Answer(cut) => self.shared.cuts.answer(cut),
                    Action::Keep { id, barrier, held } => {
                        let snapshots = self.shared.take_snapshots(barrier.epoch);
                        let finished = barrier.kind == BarrierKind::Stop && self.coordinator.is_at_end();
                        let saves = self.coordinator.saves(barrier.epoch);
                        let cut = self.cut.remove(&barrier.epoch);
                        let span = cut.unwrap_or_else(|| CheckpointSpan::begin(&self.job, barrier));
                        self.keep(Task::Keep { id, barrier, held, snapshots, finished, saves, span });
                    }
                    Action::Save { barrier, orders } => {
                        let snapshots = (!self.shared.keeps).then(|| self.shared.take_snapshots(barrier.epoch));
                        let finished = barrier.kind == BarrierKind::Stop && self.coordinator.is_at_end();
                        self.keep(Task::Save { barrier, orders, snapshots, finished });
                    }
                    Action::SaveFailed(orders) => {
                        let error = self.shared.checkpoint_failure().unwrap_or(RuntimeError::NoSavepoint);
                        orders.iter().for_each(|order| self.shared.orders.end(*order, Err(error.clone())));
                    }
                    Action::CommitHeld { id, held } => {
                        for Held { epoch, prepared } in held {
                            self.commit(epoch, vec![prepared])?;
                        }
                        events.push_front(Event::HeldCommitted(id));
                    }
                    Action::Checkpointed { barrier, .. } => {
                        self.shared.checkpointed(barrier);
                        self.keep(Task::Sweep);
                    }
                    Action::Slow(epoch) => {
                        let waiting = self.shared.without_snapshot(epoch);
                        let message = format!(
                            "the checkpoint of epoch {} takes longer than execution.checkpointing.timeout; shards that it waits for: {waiting:?}",
                            epoch.0
                        );
                        let now = self.shared.clock.wall_ms();
                        self.shared.counters.log.tell(now, LogLevel::Warn, LogSubject::Checkpoint, message);
                        tracing::warn!(
                            epoch = epoch.0,
                            ?waiting,
                            "checkpoint takes longer than execution.checkpointing.timeout"
                        );
                    }
                    Action::Fail(id) => {
                        let message = format!("checkpoint {id}, the last one, could not be made");
                        return Err(self.shared.checkpoint_failure().unwrap_or(RuntimeError::Plan { message }));
                    }
                    Action::Pace(rows) => {
                        tracing::debug!(rows, "epochs are given another number of rows");
                        self.shared.set_epoch_rows(rows);
                    }
                    Action::WakeAt(at) => {
                        let timer: Arc<JobShared> = self.shared.clone();
                        self.shared.clock.wake_at(at, Waker::from(Arc::new(crate::job::Timer(timer))));
                    }
                    Action::End { finished } => return Ok(Turn::Ended { finished }),
                }
            }
        }
        Ok(turn)
    }

    fn keep(&mut self, task: Task) {
        if let Some(keeping) = &mut self.keeping {
            keeping.add(task);
        }
    }

    fn now(&self) -> Now {
        Now { monotonic: self.shared.clock.monotonic(), wall_ms: self.shared.clock.wall_ms() }
    }

    fn inject(&mut self, barrier: Barrier) {
        if self.shared.keeps && barrier.kind != BarrierKind::Flush {
            self.cut.insert(barrier.epoch, CheckpointSpan::begin(&self.job, barrier));
        }
        if barrier.kind == BarrierKind::Stop {
            self.shared.counters.set_state(JobState::Finishing);
        }
        self.shared.counters.set_cut(barrier.epoch);
        self.shared.inject(barrier);
    }

    fn commit(&mut self, epoch: Epoch, prepared: Vec<Prepared>) -> Result<(), RuntimeError> {
        let mut of_node: BTreeMap<NodeId, Vec<Commit>> = BTreeMap::new();
        for (node, mut commits) in prepared {
            of_node.entry(node).or_default().append(&mut commits);
        }
        for (node, commits) in of_node {
            if let Some((table, committer)) = self.committers.get_mut(&node) {
                let fault = |e| RuntimeError::Sink { table: table.clone(), shard: None, error: Arc::new(e) };
                committer.commit(epoch, &commits).map_err(fault)?;
            }
        }
        Ok(())
    }

    fn run_to_end(&mut self) -> Result<Option<bool>, RuntimeError> {
        let alarm = self.shared.coordinator_alarm();
        alarm.bind();
        loop {
            alarm.take();
            if self.shared.is_aborted() {
                return Ok(None);
            }
            if let Turn::Ended { finished } = self.turn()? {
                return Ok(Some(finished));
            }
            alarm.park();
        }
    }
}

/// Runs a job until it ends or fails: its shards in threads of their own, the coordinator in this one. Returns whether the input
/// was at its end (`None`: it was cut off), and why it failed.
pub(crate) fn run(ready: Ready) -> (Option<bool>, Option<RuntimeError>) {
    let Ready { built, mut driver } = ready;
    let shared = built.shared.clone();
    let mut threads: Vec<JoinHandle<()>> = Vec::with_capacity(built.shards.len());
    for (at, mut shard) in built.shards.into_iter().enumerate() {
        let job = shared.clone();
        let run = move || guard(&format!("shard {at}"), &job, move || shard.run_to_end());
        match thread(format!("shard-{at}"), run) {
            Ok(handle) => threads.push(handle),
            Err(e) => shared.fail(e),
        }
    }
    let mut finished = None;
    guard("coordinator", &shared, || driver.run_to_end().map(|f| finished = f));
    shared.orders.close();
    shared.cuts.close();
    join(threads);
    // The last sweep too.
    if let Some(keeping) = driver.keeping.take() {
        keeping.finish();
    }
    drop(driver);
    (finished, shared.error())
}

pub(crate) fn thread(name: String, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, RuntimeError> {
    let spawned = std::thread::Builder::new().name(name).stack_size(STACK_BYTES).spawn(run);
    spawned.map_err(|e| RuntimeError::Thread { message: e.to_string() })
}

fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        // Panics were caught inside.
        let _ = thread.join();
    }
}

/// Runs a part of the job; an error or a panic ends the whole job.
pub(crate) fn guard(name: &str, shared: &JobShared, run: impl FnOnce() -> Result<(), RuntimeError>) {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => shared.fail(error),
        Err(panic) => shared.fail(RuntimeError::Panic { thread: name.to_owned(), message: message_of(panic.as_ref()) }),
    }
}

fn message_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}
