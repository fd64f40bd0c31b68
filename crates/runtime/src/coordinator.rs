//! The coordinator: a state machine that cuts epochs and says when they are complete.
//!
//! Event in, actions out; no I/O, no clock, no threads. The driver ([`crate::driver`]) carries the actions out.
//! The order is always: barrier cut → all shards acknowledged → committed, in the order of epochs → complete. Where the job
//! keeps checkpoints, what exactly-once sinks have prepared waits for the next of them: see [`checkpoints`].
//!
//! When is an epoch cut? At once when every source has nothing more to hand out and rows are pending (so a lone
//! row is visible within milliseconds), but not more often than `idle_interval`; else `epoch_interval` after the
//! first pending row, or when a source says that it has taken its share of `epoch_rows`. At most
//! [`IN_FLIGHT_MAX`] epochs are in flight. Where operators said when something is due (rows that come or go as time
//! passes), an epoch is cut then, without any input, though not sooner than `epoch_interval` after the last. The last epoch ends with [`BarrierKind::Stop`]: when all sources are
//! finished, or when somebody asked.

pub(crate) mod checkpoints;
mod pace;
pub(crate) mod savepoints;

use checkpoints::{CheckpointTimes, Checkpoints, Held, Next};
use eddyline_changes::{Barrier, BarrierKind, Epoch};
use eddyline_checkpoint::CheckpointId;
use eddyline_connectors::Commit;
use eddyline_plan::NodeId;
use pace::Pace;
use savepoints::{OrderId, Savepoints};
use std::collections::VecDeque;
use std::time::Duration;

/// Epochs that may be cut and not yet complete.
pub(crate) const IN_FLIGHT_MAX: usize = 4;

/// What a source task (the source heads of one shard and fragment) has to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SourceNews {
    /// It has handed out rows since the last barrier.
    Pending,
    /// It has handed out as many as an epoch should have.
    Full,
    /// It has nothing more to hand out now.
    Idle,
    /// It is at its end; the last watermark has gone downstream.
    Finished,
}

/// How long a timer for a time of day may run: the clock may be set meanwhile.
const CLOCK_CHECK: Duration = Duration::from_secs(60);

/// Numbers those who ask for an epoch, in the order in which they ask.
pub(crate) type CutId = u64;

/// What one sink node on one shard has prepared.
pub(crate) type Prepared = (NodeId, Vec<Commit>);

#[derive(Debug)]
pub(crate) enum Event {
    /// News of source task number `task`; its rows belong to `epoch`.
    Source { task: usize, epoch: Epoch, news: SourceNews },
    /// All tasks of a shard have passed the barrier of `epoch`, which had `rows` of input there; `due_ms`: when one of them has
    /// something to put out though no input comes.
    Acknowledged { epoch: Epoch, prepared: Vec<Prepared>, due_ms: Option<i64>, rows: u64 },
    /// The output of `epoch` is visible.
    Committed(Epoch),
    /// The checkpoint is durable.
    Kept(CheckpointId),
    /// The checkpoint could not be made durable; why was told where it happened.
    KeepFailed(CheckpointId),
    /// What was held for the checkpoint is visible.
    HeldCommitted(CheckpointId),
    /// Somebody asks for an epoch now; `Some`: and to be told when it is complete.
    Cut(Option<CutId>),
    /// Somebody asks for a checkpoint.
    Checkpoint,
    /// Somebody asks for a savepoint; `stop`: and to end the job with it.
    Save { order: OrderId, stop: bool },
    /// The savepoints of this epoch are made, or cannot be: who asked has been told.
    Saved(Epoch),
    /// Somebody asks to end the job at a barrier.
    Stop,
    /// Time has passed.
    Timer,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Action {
    /// Give the barrier to all source tasks.
    Inject(Barrier),
    /// Commit, then say [`Event::Committed`].
    Commit { epoch: Epoch, prepared: Vec<Prepared> },
    /// The epoch is complete.
    Complete(Barrier),
    /// Tell who asked for it, and all who asked before.
    Answer(CutId),
    /// Make the frozen state durable, together with what is held; then say [`Event::Kept`] or [`Event::KeepFailed`].
    Keep { id: CheckpointId, barrier: Barrier, held: Vec<Held> },
    /// Commit what was held, then say [`Event::HeldCommitted`].
    CommitHeld { id: CheckpointId, held: Vec<Held> },
    /// The checkpoint is complete: older ones may go.
    Checkpointed { id: CheckpointId, barrier: Barrier },
    /// Make savepoints of what was frozen at the barrier; then say [`Event::Saved`].
    Save { barrier: Barrier, orders: Vec<OrderId> },
    /// These savepoints cannot be made, because the checkpoint at their barrier could not.
    SaveFailed(Vec<OrderId>),
    /// The checkpoint of this epoch takes longer than it should.
    Slow(Epoch),
    /// From now on an epoch is given so many rows at most.
    Pace(u64),
    /// Say [`Event::Timer`] at this time.
    WakeAt(Duration),
    /// The last epoch is complete. `finished`: the input was at its end.
    End { finished: bool },
    /// The last checkpoint could not be made: the job cannot end well.
    Fail(CheckpointId),
}

#[derive(Debug, Clone)]
pub(crate) struct CoordinatorSettings {
    pub(crate) shards: usize,
    pub(crate) source_tasks: usize,
    pub(crate) epoch_interval: Duration,
    pub(crate) idle_interval: Duration,
    /// What a barrier may take; see [`pace`].
    pub(crate) barrier_budget: Duration,
    /// The most rows of an epoch.
    pub(crate) epoch_rows: u64,
    /// The last epoch that is complete already.
    pub(crate) after: Epoch,
    /// Its time: no epoch's is earlier, whatever the clock shows.
    pub(crate) after_ms: i64,
    /// Epochs are cut when somebody asks, and not because rows are there or time has passed.
    pub(crate) on_demand: bool,
    /// `None`: the job keeps no checkpoints.
    pub(crate) checkpoints: Option<CheckpointTimes>,
}

#[derive(Debug, Default, Clone, Copy)]
struct SourceTask {
    pending: bool,
    full: bool,
    idle: bool,
    finished: bool,
}

/// What clocks show.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) monotonic: Duration,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub(crate) wall_ms: i64,
}

struct InFlight {
    barrier: Barrier,
    cut_at: Duration,
    acknowledged: usize,
    rows: u64,
    prepared: Vec<Prepared>,
    due_ms: Option<i64>,
    committing: bool,
    /// Who is to be told.
    asked: Option<CutId>,
}

pub(crate) struct Coordinator {
    settings: CoordinatorSettings,
    sources: Vec<SourceTask>,
    in_flight: VecDeque<InFlight>,
    cut: Epoch,
    last_cut: Duration,
    deadline: Option<Duration>,
    /// When something is due though no input comes, as of the last epoch that all shards acknowledged.
    due_ms: Option<i64>,
    due_timer: Option<Duration>,
    /// The time of the last cut.
    time_ms: i64,
    asked: Asked,
    stopping: Option<bool>,
    checkpoints: Option<Checkpoints>,
    savepoints: Savepoints,
    /// The last epoch is complete.
    is_over: bool,
    pace: Pace,
}

#[derive(Default)]
struct Asked {
    cut: bool,
    /// Who is to be told of the next epoch, the last of those who asked.
    by: Option<CutId>,
    checkpoint: bool,
    stop: bool,
}

impl Coordinator {
    pub(crate) fn new(mut settings: CoordinatorSettings) -> Self {
        Self {
            checkpoints: settings.checkpoints.take().map(Checkpoints::new),
            sources: vec![SourceTask::default(); settings.source_tasks],
            in_flight: VecDeque::new(),
            cut: settings.after,
            last_cut: Duration::ZERO,
            deadline: None,
            due_ms: None,
            due_timer: None,
            time_ms: settings.after_ms,
            asked: Asked::default(),
            stopping: None,
            savepoints: Savepoints::default(),
            is_over: false,
            pace: Pace::new(settings.barrier_budget, settings.epoch_rows),
            settings,
        }
    }

    /// It is stopping because the input is at its end.
    pub(crate) fn is_at_end(&self) -> bool {
        self.stopping == Some(true)
    }

    /// Is what was frozen at this epoch's barrier needed for savepoints too?
    pub(crate) fn saves(&self, epoch: Epoch) -> bool {
        self.savepoints.at(epoch).is_some()
    }

    /// Takes an event at time `now`; returns what is to be done, in order.
    pub(crate) fn on(&mut self, event: Event, now: Now) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Source { task, epoch, news } => self.source(task, epoch, news, now.monotonic, &mut actions),
            Event::Acknowledged { epoch, prepared, due_ms, rows } => {
                if let Some((rows, cut_at)) = self.acknowledge(epoch, prepared, due_ms, rows) {
                    let pace = self.pace.passed(rows, cut_at, now.monotonic);
                    actions.extend(pace.map(Action::Pace));
                }
                self.commit_next(&mut actions);
            }
            Event::Committed(epoch) => self.committed(epoch, &mut actions),
            Event::Kept(id) => self.next(|c| c.kept(id), &mut actions),
            Event::KeepFailed(id) => self.keep_failed(id, now.monotonic, &mut actions),
            Event::HeldCommitted(id) => self.held_committed(id, now.monotonic, &mut actions),
            Event::Cut(by) => {
                self.asked.cut = true;
                self.asked.by = self.asked.by.max(by);
            }
            Event::Checkpoint => self.asked.checkpoint = true,
            Event::Save { order, stop } => {
                self.savepoints.ask(order);
                self.asked.stop |= stop;
            }
            Event::Saved(epoch) => {
                self.savepoints.end(epoch);
                self.end_when_over(&mut actions);
            }
            Event::Stop => self.asked.stop = true,
            Event::Timer => {}
        }
        self.report_slow(now.monotonic, &mut actions);
        self.decide(now, &mut actions);
        actions
    }

    fn source(&mut self, task: usize, epoch: Epoch, news: SourceNews, now: Duration, actions: &mut Vec<Action>) {
        // Rows of an epoch that has been cut meanwhile are pending no more.
        let current = epoch > self.cut;
        let source = &mut self.sources[task];
        match news {
            SourceNews::Idle => source.idle = true,
            SourceNews::Finished => source.finished = true,
            SourceNews::Pending | SourceNews::Full => {
                source.idle = false;
                source.pending |= current;
                source.full |= current && news == SourceNews::Full;
                if current && self.deadline.is_none() {
                    self.wake_at(now + self.settings.epoch_interval, actions);
                }
            }
        }
    }

    fn wake_at(&mut self, at: Duration, actions: &mut Vec<Action>) {
        if self.deadline.is_none_or(|d| at < d) {
            self.deadline = Some(at);
            actions.push(Action::WakeAt(at));
        }
    }

    /// Returns the rows of the epoch, and when it was cut, when this was the last shard to acknowledge it.
    fn acknowledge(
        &mut self,
        epoch: Epoch,
        mut prepared: Vec<Prepared>,
        due_ms: Option<i64>,
        rows: u64,
    ) -> Option<(u64, Duration)> {
        let flight = self.in_flight.iter_mut().find(|f| f.barrier.epoch == epoch)?;
        flight.acknowledged += 1;
        flight.rows += rows;
        flight.prepared.append(&mut prepared);
        flight.due_ms = flight.due_ms.into_iter().chain(due_ms).min();
        if flight.acknowledged < self.settings.shards {
            return None;
        }
        self.due_ms = flight.due_ms;
        Some((flight.rows, flight.cut_at))
    }

    fn commit_next(&mut self, actions: &mut Vec<Action>) {
        if let Some(flight) = self.in_flight.front_mut()
            && flight.acknowledged == self.settings.shards
            && !flight.committing
        {
            flight.committing = true;
            let mut prepared = std::mem::take(&mut flight.prepared);
            if let Some(checkpoints) = &mut self.checkpoints {
                checkpoints.hold(flight.barrier.epoch, &mut prepared);
            }
            actions.push(Action::Commit { epoch: flight.barrier.epoch, prepared });
        }
    }

    fn committed(&mut self, epoch: Epoch, actions: &mut Vec<Action>) {
        if self.in_flight.front().is_none_or(|f| f.barrier.epoch != epoch) {
            return;
        }
        let Some(InFlight { barrier, asked, .. }) = self.in_flight.pop_front() else { return };
        actions.push(Action::Complete(barrier));
        actions.extend(asked.map(Action::Answer));
        if self.checkpoints.is_some() && barrier.kind != BarrierKind::Flush {
            self.next(|c| c.acknowledged(barrier), actions);
        } else {
            self.settled(barrier, actions);
        }
        self.commit_next(actions);
    }

    /// All that a barrier asks for is done, but for savepoints, which hold nothing that is not visible.
    fn settled(&mut self, barrier: Barrier, actions: &mut Vec<Action>) {
        if let Some(orders) = self.savepoints.at(barrier.epoch) {
            actions.push(Action::Save { barrier, orders: orders.to_vec() });
        }
        self.is_over |= barrier.kind == BarrierKind::Stop;
        self.end_when_over(actions);
    }

    fn end_when_over(&self, actions: &mut Vec<Action>) {
        if let (true, true, Some(finished)) = (self.is_over, self.savepoints.is_free(), self.stopping) {
            actions.push(Action::End { finished });
        }
    }

    fn next(&mut self, step: impl FnOnce(&mut Checkpoints) -> Option<Next>, actions: &mut Vec<Action>) {
        match self.checkpoints.as_mut().and_then(step) {
            Some(Next::Keep { id, barrier, held }) => actions.push(Action::Keep { id, barrier, held }),
            Some(Next::Commit { id, held }) => actions.push(Action::CommitHeld { id, held }),
            None => {}
        }
    }

    fn held_committed(&mut self, id: CheckpointId, now: Duration, actions: &mut Vec<Action>) {
        let Some(checkpoints) = &mut self.checkpoints else { return };
        let (Some(barrier), next) = checkpoints.committed(id, now) else { return };
        actions.push(Action::Checkpointed { id, barrier });
        self.settled(barrier, actions);
        self.next(|_| next, actions);
    }

    fn keep_failed(&mut self, id: CheckpointId, now: Duration, actions: &mut Vec<Action>) {
        let Some(checkpoints) = &mut self.checkpoints else { return };
        let (Some(barrier), next) = checkpoints.failed(id, now) else { return };
        if let Some(orders) = self.savepoints.end(barrier.epoch) {
            actions.push(Action::SaveFailed(orders));
        }
        match barrier.kind {
            BarrierKind::Stop => actions.push(Action::Fail(id)),
            _ => self.next(|_| next, actions),
        }
    }

    /// Is a barrier on its way at which state is written back, and has some shard not frozen its own yet?
    fn is_freezing(&self) -> bool {
        let shards = self.settings.shards;
        self.in_flight.iter().any(|f| f.barrier.kind != BarrierKind::Flush && f.acknowledged < shards)
    }

    fn decide(&mut self, now: Now, actions: &mut Vec<Action>) {
        if self.stopping.is_some() || self.in_flight.len() >= IN_FLIGHT_MAX {
            return;
        }
        let finished = self.sources.iter().all(|s| s.finished);
        if finished || self.asked.stop {
            // State is written back at this barrier too: until all shards have frozen theirs it belongs to the one before.
            if self.is_freezing() {
                return;
            }
            self.stopping = Some(finished);
            return self.cut(BarrierKind::Stop, now, actions);
        }
        let is_time = self.is_time_for_checkpoint(now.monotonic, actions) || self.is_time_for_savepoint();
        if is_time && !self.is_freezing() {
            self.asked.checkpoint = false;
            return self.cut(BarrierKind::Checkpoint, now, actions);
        }
        let on_demand = self.settings.on_demand;
        if self.asked.cut || (!on_demand && (self.is_due(now.monotonic, actions) || self.is_time(now, actions))) {
            self.cut(BarrierKind::Flush, now, actions);
        }
    }

    fn is_time_for_checkpoint(&mut self, now: Duration, actions: &mut Vec<Action>) -> bool {
        let Some(checkpoints) = &mut self.checkpoints else { return false };
        let mut wake_at = None;
        let is_due = checkpoints.is_due(now, &mut wake_at) || (self.asked.checkpoint && checkpoints.is_free());
        actions.extend(wake_at.map(Action::WakeAt));
        is_due
    }

    /// One after the other, and not while a checkpoint is under way.
    fn is_time_for_savepoint(&self) -> bool {
        self.savepoints.is_due() && self.checkpoints.as_ref().is_none_or(Checkpoints::is_free)
    }

    fn report_slow(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let mut wake_at = None;
        let slow = self.checkpoints.as_mut().and_then(|c| c.slow(now, &mut wake_at));
        actions.extend(slow.map(Action::Slow));
        actions.extend(wake_at.map(Action::WakeAt));
    }

    /// Is it time for what is due without input?
    fn is_time(&mut self, now: Now, actions: &mut Vec<Action>) -> bool {
        let Some(due_ms) = self.due_ms else { return false };
        let left = Duration::from_millis(due_ms.saturating_sub(now.wall_ms).try_into().unwrap_or(0));
        let at = (now.monotonic + left.min(CLOCK_CHECK)).max(self.last_cut + self.settings.epoch_interval);
        if at <= now.monotonic {
            return true;
        }
        if self.due_timer.is_none_or(|timer| timer <= now.monotonic || at < timer) {
            self.due_timer = Some(at);
            actions.push(Action::WakeAt(at));
        }
        false
    }

    fn is_due(&mut self, now: Duration, actions: &mut Vec<Action>) -> bool {
        if !self.sources.iter().any(|s| s.pending) {
            return false;
        }
        if self.sources.iter().any(|s| s.full) || self.deadline.is_some_and(|d| d <= now) {
            return true;
        }
        if !self.sources.iter().all(|s| s.idle || s.finished) {
            return false;
        }
        let earliest = self.last_cut + self.settings.idle_interval;
        if self.cut == Epoch(0) || earliest <= now {
            return true;
        }
        self.wake_at(earliest, actions);
        false
    }

    fn cut(&mut self, kind: BarrierKind, now: Now, actions: &mut Vec<Action>) {
        self.cut = self.cut.next();
        self.last_cut = now.monotonic;
        self.time_ms = self.time_ms.max(now.wall_ms);
        self.deadline = None;
        self.due_ms = None;
        self.asked.cut = false;
        for source in &mut self.sources {
            source.pending = false;
            source.full = false;
        }
        let barrier = Barrier { epoch: self.cut, kind, time_ms: self.time_ms };
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.cut(barrier, now.monotonic);
        }
        self.savepoints.cut(barrier);
        let (prepared, due_ms, cut_at) = (Vec::new(), None, now.monotonic);
        let (acknowledged, rows, committing) = (0, 0, false);
        let asked = self.asked.by.take();
        self.in_flight.push_back(InFlight { barrier, cut_at, acknowledged, rows, prepared, due_ms, committing, asked });
        actions.push(Action::Inject(barrier));
    }
}

#[cfg(test)]
mod tests;
