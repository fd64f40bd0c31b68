//! The operators of one task: a directed acyclic graph of stages, driven by pushing.
//!
//! What a stage emits goes to the next stages at once, or when there is some of it ([`crate::outlet`]), and out through the exchange. The order within a batch of
//! work is depth first; at a barrier every stage is flushed and all that it emits is pushed before the next stage,
//! in topological order, is flushed. So when the last stage is flushed, all rows of the epoch have passed.

use crate::coordinator::Prepared;
use crate::error::RuntimeError;
use crate::event_time::EventTime;
use crate::exchange::ExchangeWriter;
use crate::job::JobShared;
use crate::memory_limit::LimitShare;
use crate::metrics::NodeCounters;
use crate::outlet::{Downstream, Left};
use eddyline_changes::{Barrier, BarrierKind, ChangeBatch, StreamElement, Watermark};
use eddyline_connectors::{ConnectorError, Position, SinkWriter};
use eddyline_functions::scalar::Moment;
use eddyline_operators::{Context, Operator, OperatorError, Rejected};
use eddyline_plan::NodeId;
use eddyline_state::{Backend, HotShare, MemoryBudget, StateError};
use rand::Rng;
use rand::rngs::StdRng;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// What a stage does with the rows it takes.
pub(crate) enum Work {
    /// Hands them on as they are: unions, and sources without predicate and projection.
    Pass,
    /// An operator.
    Operator(Box<dyn Operator>),
    /// Writes them to a table.
    Sink { table: String, writer: Box<dyn SinkWriter> },
}

/// One node of the plan on one shard.
pub(crate) struct Stage {
    pub(crate) node: NodeId,
    pub(crate) kind: &'static str,
    pub(crate) work: Work,
    /// Event time of each input.
    pub(crate) inputs: Vec<EventTime>,
    /// Stages of this task that read from it, and as which input.
    pub(crate) next: Vec<(usize, usize)>,
    /// Edges to other tasks.
    pub(crate) outputs: Vec<ExchangeWriter>,
    pub(crate) watermark_in: Watermark,
    pub(crate) time_out: EventTime,
    /// What its state takes, as it was measured last.
    pub(crate) taken_bytes: usize,
}

impl Stage {
    pub(crate) fn new(node: NodeId, kind: &'static str, work: Work, inputs: usize) -> Self {
        let none = EventTime::NONE;
        let (next, outputs, inputs) = (Vec::new(), Vec::new(), vec![none; inputs]);
        Self { node, kind, work, inputs, next, outputs, watermark_in: none.watermark, time_out: none, taken_bytes: 0 }
    }
}

/// Where rows come from: for error messages.
pub(crate) struct Place {
    pub(crate) table: Arc<str>,
    pub(crate) split: Arc<str>,
    pub(crate) from: Position,
    pub(crate) to: Position,
}

/// The size of large state is not known without going through much of it. Measuring takes at most one part in so many of the
/// time, so that epochs stay short.
const MEASURE_SHARE: u32 = 20;

/// State that is in the backend alone is brought back into memory, where there is room for it, in at most one part in so many of the time.
const WARM_SHARE: u32 = 8;
/// A job that starts again does its work alone for so long.
const WARM_AFTER: Duration = Duration::from_secs(2);
/// However long ago that was done last, at most for so long at the end of an epoch, and a piece of every table at least.
const WARM_MAX: Duration = Duration::from_millis(20);
/// Entries in a piece.
const WARM_ENTRIES: usize = 4096;

/// The backend is looked through for what has had its time in at most one part in so many of the time.
const TIDY_SHARE: u32 = 20;

/// What came of a barrier.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// What sinks prepared.
    pub(crate) prepared: Vec<Prepared>,
    /// When an operator has something to put out though no input comes.
    pub(crate) due_ms: Option<i64>,
    /// The time spent writing state back.
    pub(crate) sync: Duration,
    /// Rows that the task has read from outside.
    pub(crate) rows: u64,
}

impl Passed {
    /// With that of another task.
    pub(crate) fn add(&mut self, mut other: Passed) {
        self.prepared.append(&mut other.prepared);
        self.due_ms = self.due_ms.into_iter().chain(other.due_ms).min();
        self.sync += other.sync;
        self.rows += other.rows;
    }
}

/// All stages of a task, upstream first.
pub(crate) struct Pipeline {
    stages: Vec<Stage>,
    shard: usize,
    shared: Arc<JobShared>,
    /// The time of the step at hand: all operators of the task see the same.
    wall_ms: i64,
    random: StdRng,
    /// Emptied buffers for what operators emit.
    buffers: Vec<Vec<ChangeBatch>>,
    /// What operators said is due, since it was last asked.
    due_ms: Option<i64>,
    /// When state may be measured again: see [`MEASURE_SHARE`].
    measure_at: Duration,
    /// What the state of the task takes of the memory for all; `None` where nobody counts.
    hot: Option<HotShare>,
    /// What it may take, where it cannot be left to the backend.
    limit: Option<LimitShare>,
    /// The backend that state can be left to.
    below: Option<Arc<dyn Backend>>,
    /// When state was brought back into memory last.
    warmed_at: Duration,
    /// Not before.
    warm_due: Duration,
    /// When the backend may be looked through again: see [`TIDY_SHARE`].
    tidy_at: Duration,
    /// See [`hold`](Self::hold).
    holds: bool,
    /// Where the rows at hand come from.
    pub(crate) place: Option<Place>,
}

impl Pipeline {
    pub(crate) fn new(stages: Vec<Stage>, shard: usize, shared: Arc<JobShared>, random: StdRng) -> Self {
        let wall_ms = shared.clock.wall_ms();
        let (buffers, measure_at) = (Vec::new(), Duration::ZERO);
        let due_ms = None;
        let (hot, below, holds) = (None, None, false);
        let warmed_at = shared.clock.monotonic();
        Self {
            stages,
            shard,
            shared,
            wall_ms,
            random,
            buffers,
            due_ms,
            measure_at,
            hot,
            limit: None,
            below,
            warmed_at,
            warm_due: warmed_at + WARM_AFTER,
            tidy_at: warmed_at,
            holds,
            place: None,
        }
    }

    /// From now on the state in memory is counted as a share of the memory for all, and, if it can be left to the backend, kept
    /// within it.
    pub(crate) fn keep_within(&mut self, share: HotShare, below: Option<Arc<dyn Backend>>) {
        (self.hot, self.below) = (Some(share), below);
    }

    /// The job has no more memory for its state than this.
    pub(crate) fn limit(&mut self, share: LimitShare) {
        self.limit = Some(share);
    }

    /// While a checkpoint waits for other tasks of the shard nothing may be left to the backend: it would stand in the
    /// checkpoint, though it came after.
    pub(crate) fn hold(&mut self, holds: bool) {
        self.holds = holds;
    }

    /// What the task does, for people: its last operator.
    pub(crate) fn name(&self) -> String {
        self.stages.last().map_or_else(String::new, |stage| format!("{} #{}", stage.kind, stage.node))
    }

    /// A step of the task begins.
    pub(crate) fn begin_step(&mut self) {
        self.wall_ms = self.shared.clock.wall_ms();
    }

    /// What one evaluation may know of time and chance.
    pub(crate) fn moment(&mut self) -> Moment {
        Moment { wall_ms: self.wall_ms, seed: self.random.random() }
    }

    /// May the task run? Not while an output is full or a sink cannot take more; then `cx` is woken when it can.
    ///
    /// # Errors
    /// A sink failed.
    pub(crate) fn poll_room(&mut self, cx: &mut std::task::Context<'_>) -> Result<bool, RuntimeError> {
        for at in 0..self.stages.len() {
            let stage = &mut self.stages[at];
            if !stage.outputs.iter().all(ExchangeWriter::has_room) {
                return Ok(false);
            }
            if let Work::Sink { writer, .. } = &mut stage.work {
                match writer.poll_ready(cx) {
                    Poll::Pending => return Ok(false),
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(e)) => return Err(self.sink_fault(at, e)),
                }
            }
        }
        Ok(true)
    }

    /// Rows for input `input` of a stage.
    ///
    /// # Errors
    /// An operator or a sink failed, here or downstream.
    pub(crate) fn take(&mut self, at: usize, input: usize, changes: ChangeBatch) -> Result<(), RuntimeError> {
        self.counters(at).took(changes.num_rows());
        match &mut self.stages[at].work {
            Work::Pass => self.emit(at, changes),
            Work::Operator(_) => self.run(at, |operator, ctx| operator.process(input, changes, ctx)).map(drop),
            Work::Sink { writer, .. } => {
                let begin = self.shared.clock.monotonic();
                let written = writer.write(&changes);
                self.worked(at, begin);
                written.map_err(|e| self.sink_fault(at, e))
            }
        }
    }

    /// Calls a verb of an operator and pushes what it emits.
    fn run<T>(
        &mut self,
        at: usize,
        verb: impl FnOnce(&mut dyn Operator, &mut Context<'_>) -> Result<T, OperatorError>,
    ) -> Result<T, RuntimeError> {
        let held = self.buffers.pop().unwrap_or_default();
        let begin = self.now();
        let moment = self.moment();
        let stage = &mut self.stages[at];
        let watermark = stage.watermark_in;
        // Stages form no circle, so nobody comes back to this one meanwhile.
        let mut operator = match std::mem::replace(&mut stage.work, Work::Pass) {
            Work::Operator(operator) => operator,
            other => {
                stage.work = other;
                let message = "is not an operator".to_owned();
                return Err(self.fault(at, OperatorError::Spec { operator: self.stages[at].kind, message }));
            }
        };
        let mut outlet = Downstream::new(self, at, held);
        let mut context = Context::new(&mut outlet, watermark, moment);
        let result = verb(operator.as_mut(), &mut context);
        let due_ms = context.due_ms();
        let Left { mut held, elsewhere, failure } = outlet.end();
        self.stages[at].work = Work::Operator(operator);
        self.due_ms = self.due_ms.into_iter().chain(due_ms).min();
        self.worked(at, begin + elsewhere);
        let result = match failure {
            Some(failure) => return Err(failure),
            None => result.map_err(|e| self.fault(at, e))?,
        };
        for changes in held.drain(..) {
            self.emit(at, changes)?;
        }
        self.buffers.push(held);
        Ok(result)
    }

    fn worked(&self, at: usize, begin: std::time::Duration) {
        self.counters(at).worked(self.now().saturating_sub(begin));
    }

    fn counters(&self, at: usize) -> &NodeCounters {
        self.shared.counters.node(self.shard, self.stages[at].node)
    }

    /// Time that only grows.
    pub(crate) fn now(&self) -> Duration {
        self.shared.clock.monotonic()
    }

    /// Is the job over, and whatever is still computed in vain?
    pub(crate) fn is_aborted(&self) -> bool {
        self.shared.is_aborted()
    }

    /// Counts rows that a stage has left out.
    pub(crate) fn reject(&self, at: usize, why: Rejected, rows: u64) {
        let counters = self.counters(at);
        match why {
            Rejected::Late => counters.late(rows),
            Rejected::NullTime => counters.null_time(rows),
            Rejected::UnknownKey => counters.unknown_key(rows),
        }
    }

    /// In the middle of a call that emits much: does the job take more memory than it may, with what waits for other tasks?
    ///
    /// # Errors
    /// It does.
    pub(crate) fn check_memory(&mut self) -> Result<(), RuntimeError> {
        if self.limit.is_none() {
            return Ok(());
        }
        if self.now() >= self.measure_at {
            self.measure();
        }
        let of_stage =
            |stage: &Stage| stage.taken_bytes + stage.outputs.iter().map(ExchangeWriter::waiting_bytes).sum::<usize>();
        let taken_bytes = self.stages.iter().map(of_stage).sum();
        self.limit.as_mut().map_or(Ok(()), |limit| limit.tell(taken_bytes))
    }

    /// Hands rows to all that read from a stage. The last one gets the batch itself.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub(crate) fn emit(&mut self, at: usize, changes: ChangeBatch) -> Result<(), RuntimeError> {
        self.counters(at).gave(changes.num_rows());
        let readers = self.stages[at].next.len();
        let mut left = self.stages[at].outputs.len() + readers;
        let mut rows = Some(changes);
        let mut copy = move || {
            left = left.saturating_sub(1);
            if left == 0 { rows.take() } else { rows.clone() }
        };
        for i in 0..self.stages[at].outputs.len() {
            let Some(rows) = copy() else { break };
            let sent = self.stages[at].outputs[i].send(rows);
            sent.map_err(|e| self.fault(at, e.into()))?;
        }
        for i in 0..readers {
            let Some(rows) = copy() else { break };
            let (stage, input) = self.stages[at].next[i];
            self.take(stage, input, rows)?;
        }
        Ok(())
    }

    /// Event time moved on input 0 of a source's stage.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub(crate) fn source_time(&mut self, at: usize, time: EventTime) -> Result<(), RuntimeError> {
        self.set_time(at, 0, time);
        self.advance()
    }

    /// Notes the event time of one input; [`advance`](Self::advance) acts on it.
    pub(crate) fn set_time(&mut self, at: usize, input: usize, time: EventTime) {
        let slot = &mut self.stages[at].inputs[input];
        *slot = slot.then(time);
    }

    /// Moves event time on in all stages whose inputs have moved, upstream first.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub(crate) fn advance(&mut self) -> Result<(), RuntimeError> {
        for at in 0..self.stages.len() {
            let stage = &mut self.stages[at];
            let time = EventTime::over(stage.inputs.iter().copied());
            let mut out = EventTime { is_idle: time.is_idle, ..stage.time_out };
            if time.watermark > stage.watermark_in {
                stage.watermark_in = time.watermark;
                out.watermark = match &stage.work {
                    Work::Operator(_) => self.run(at, |operator, ctx| operator.advance(time.watermark, ctx))?,
                    _ => time.watermark,
                };
            }
            self.pass_time(at, out)?;
        }
        Ok(())
    }

    fn pass_time(&mut self, at: usize, time: EventTime) -> Result<(), RuntimeError> {
        let stage = &mut self.stages[at];
        let (before, time) = (stage.time_out, stage.time_out.then(time));
        if time == before {
            return Ok(());
        }
        stage.time_out = time;
        self.counters(at).watermark(time.watermark);
        // A watermark says that its sender is not idle.
        let moved = time.watermark > before.watermark || !time.is_idle;
        let elements =
            [moved.then_some(StreamElement::Watermark(time.watermark)), time.is_idle.then_some(StreamElement::Idle)];
        for element in elements.iter().flatten() {
            let sent = self.stages[at].outputs.iter_mut().try_for_each(|o| o.broadcast(element));
            sent.map_err(|e| self.fault(at, e.into()))?;
        }
        for i in 0..self.stages[at].next.len() {
            let (next, input) = self.stages[at].next[i];
            self.set_time(next, input, time);
        }
        Ok(())
    }

    /// The epoch ends on all inputs: flush, prepare, persist, pass the barrier on, in this order. Meanwhile it is the time
    /// of the barrier. `persists`: state is written back at it.
    ///
    /// # Errors
    /// As [`take`](Self::take), or state cannot be written.
    pub(crate) fn end_epoch(&mut self, barrier: Barrier, persists: bool) -> Result<Passed, RuntimeError> {
        (self.wall_ms, self.due_ms) = (barrier.time_ms, None);
        for at in 0..self.stages.len() {
            if let Work::Operator(_) = self.stages[at].work {
                self.run(at, |operator, ctx| operator.flush(ctx))?;
            }
        }
        let mut prepared = Vec::new();
        for at in 0..self.stages.len() {
            if let Work::Sink { writer, .. } = &mut self.stages[at].work {
                let commits = writer.prepare(barrier.epoch, barrier.kind).map_err(|e| self.sink_fault(at, e))?;
                if !commits.is_empty() {
                    prepared.push((self.stages[at].node, commits));
                }
            }
        }
        let begin = self.now();
        if persists {
            (0..self.stages.len()).try_for_each(|at| self.persist(at))?;
        }
        let sync = self.now().saturating_sub(begin);
        if barrier.kind != BarrierKind::Flush || self.now() >= self.measure_at {
            self.measure();
            self.evict()?;
        }
        self.warm()?;
        self.tidy()?;
        let element = StreamElement::Barrier(barrier);
        for at in 0..self.stages.len() {
            let sent = self.stages[at].outputs.iter_mut().try_for_each(|o| o.broadcast(&element));
            sent.map_err(|e| self.fault(at, e.into()))?;
        }
        Ok(Passed { prepared, due_ms: self.due_ms, sync, rows: 0 })
    }

    /// Writes an operator's state back.
    fn persist(&mut self, at: usize) -> Result<(), RuntimeError> {
        let Work::Operator(operator) = &mut self.stages[at].work else { return Ok(()) };
        let persisted = operator.tables().into_iter().try_for_each(|table| table.persist());
        persisted.map_err(|e| self.fault(at, e.into()))
    }

    /// Measures the state of all operators.
    fn measure(&mut self) {
        let begin = self.now();
        for stage in &mut self.stages {
            let Work::Operator(operator) = &mut stage.work else { continue };
            let (mut rows, mut bytes) = (0, 0);
            stage.taken_bytes = 0;
            for table in operator.tables() {
                rows += table.len();
                bytes += table.size_bytes();
                stage.taken_bytes += table.taken_bytes();
            }
            self.shared.counters.node(self.shard, stage.node).state(rows, bytes);
        }
        let end = self.now();
        self.measure_at = end + end.saturating_sub(begin) * MEASURE_SHARE;
    }

    /// Ends the job where it takes more memory than it may, and leaves state to the backend where all tasks of all jobs together do. Every operator gives the same part of
    /// what it has.
    fn evict(&mut self) -> Result<(), RuntimeError> {
        let taken_bytes: usize = self.stages.iter().map(|stage| stage.taken_bytes).sum();
        self.limit.as_mut().map_or(Ok(()), |limit| limit.tell(taken_bytes))?;
        let Some(share) = &mut self.hot else { return Ok(()) };
        let excess_bytes = share.tell(taken_bytes);
        if self.below.is_none() {
            if share.budget().is_newly_exceeded() {
                warn_of_excess(share.budget());
            }
            return Ok(());
        }
        if excess_bytes == 0 || self.holds {
            return Ok(());
        }
        let part = excess_bytes as f64 / taken_bytes as f64;
        for at in 0..self.stages.len() {
            let Work::Operator(operator) = &mut self.stages[at].work else { continue };
            let give = |bytes: usize| (bytes as f64 * part).ceil() as usize;
            let given = operator.tables().into_iter().try_for_each(|table| table.evict(give(table.taken_bytes())));
            given.map_err(|e| self.fault(at, e.into()))?;
        }
        // What was made room of is told at the next measurement, which is due at once.
        self.measure_at = Duration::ZERO;
        Ok(())
    }

    /// Is all state of the task in memory?
    pub(crate) fn is_whole(&mut self) -> bool {
        self.stages.iter_mut().all(|stage| match &mut stage.work {
            Work::Operator(operator) => operator.tables().iter().all(|table| table.is_whole()),
            _ => true,
        })
    }

    /// Brings all state into memory.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn bring_in(&mut self) -> Result<(), RuntimeError> {
        for at in 0..self.stages.len() {
            let Work::Operator(operator) = &mut self.stages[at].work else { continue };
            let brought = operator.tables().into_iter().try_for_each(|table| {
                while !table.is_whole() {
                    table.warm(WARM_ENTRIES)?;
                }
                Ok(())
            });
            brought.map_err(|e: StateError| self.fault(at, e.into()))?;
        }
        Ok(())
    }

    /// Brings state back into memory that the backend alone has, a bounded piece of it, while there is room.
    fn warm(&mut self) -> Result<(), RuntimeError> {
        let has_room = self.hot.as_ref().is_some_and(|share| share.budget().has_room());
        if !has_room || self.below.is_none() || self.is_whole() {
            return Ok(());
        }
        let begin = self.now();
        // Much in a journal is brought in with what is asked for: some key groups of a table take long.
        if begin < self.warm_due || self.below.as_ref().is_some_and(|below| below.is_vast()) {
            return Ok(());
        }
        let until = begin + (begin.saturating_sub(self.warmed_at) / WARM_SHARE).min(WARM_MAX);
        for at in 0..self.stages.len() {
            let Work::Operator(operator) = &mut self.stages[at].work else { continue };
            let clock = &self.shared.clock;
            let warmed = operator.tables().into_iter().try_for_each(|table| {
                while !table.is_whole() {
                    table.warm(WARM_ENTRIES)?;
                    if clock.monotonic() >= until {
                        break;
                    }
                }
                Ok(())
            });
            warmed.map_err(|e: StateError| self.fault(at, e.into()))?;
        }
        self.warmed_at = self.now();
        // A piece may have taken long: a part of a journal is brought into a database as a whole.
        self.warm_due = self.warmed_at + (self.warmed_at - begin) * WARM_SHARE;
        Ok(())
    }

    /// Removes what has had its time from the backend, of a piece of what it has.
    fn tidy(&mut self) -> Result<(), RuntimeError> {
        let begin = self.now();
        if self.below.is_none() || self.holds || begin < self.tidy_at {
            return Ok(());
        }
        for at in 0..self.stages.len() {
            let Work::Operator(operator) = &mut self.stages[at].work else { continue };
            let tidied = operator.tables().into_iter().try_for_each(|table| table.tidy(WARM_ENTRIES));
            tidied.map_err(|e| self.fault(at, e.into()))?;
        }
        let end = self.now();
        self.tidy_at = end + end.saturating_sub(begin) * TIDY_SHARE;
        Ok(())
    }

    /// The error of an operator, with its place.
    pub(crate) fn fault(&self, at: usize, error: OperatorError) -> RuntimeError {
        let Stage { node, kind, .. } = &self.stages[at];
        let place = self.place.as_ref().map(|p| {
            format!("rows of table {}, split {}, between positions {} and {}", p.table, p.split, p.from.0, p.to.0)
        });
        RuntimeError::Operator { operator: format!("{kind} #{node}"), shard: self.shard, place, error: Arc::new(error) }
    }

    fn sink_fault(&self, at: usize, error: ConnectorError) -> RuntimeError {
        let table = match &self.stages[at].work {
            Work::Sink { table, .. } => table.clone(),
            _ => self.stages[at].kind.to_owned(),
        };
        RuntimeError::Sink { table, shard: Some(self.shard), error: Arc::new(error) }
    }
}

fn warn_of_excess(budget: &MemoryBudget) {
    let (taken_bytes, budget_bytes) = (budget.hot_bytes(), budget.size_bytes());
    tracing::warn!(
        taken_bytes,
        budget_bytes,
        "state in memory is over 'state.memory-budget' and grows on; to leave what is not in use to the disk, set \
         'state.checkpoints.dir' and 'state.backend' = 'rocksdb'"
    );
}
