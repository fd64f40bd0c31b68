//! A task: one instance of a fragment on one shard. It feeds its pipeline from channels or from sources, and
//! aligns barriers: an input that has brought the barrier is not read until all have.
//!
//! Fragments are cut by level, so a task has sources or channels as inputs, never both.

use crate::channel::Channel;
use crate::coordinator::{Event, SourceNews};
use crate::error::RuntimeError;
use crate::event_time::EventTime;
use crate::job::JobShared;
use crate::pipeline::{Passed, Pipeline};
use crate::source::{Read, SourceHead};
use eddyline_changes::{Barrier, BarrierKind, Epoch, StreamElement};
use eddyline_plan::NodeId;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

/// What came of a step of a task.
#[derive(Debug)]
pub(crate) enum Step {
    /// It did something.
    Worked,
    /// It passed a barrier.
    Passed(Barrier, Passed),
    /// Nothing to do, or no room.
    Idle,
}

/// An input channel and where it leads.
pub(crate) struct ChannelInput {
    pub(crate) channel: Arc<Channel>,
    pub(crate) stage: usize,
    pub(crate) input: usize,
    pub(crate) time: EventTime,
    /// The barrier that has come and waits for those of the other inputs.
    pub(crate) barrier: Option<Barrier>,
}

/// Where a task's rows come from.
pub(crate) enum Feed {
    /// From other tasks.
    Channels { inputs: Vec<ChannelInput>, next: usize },
    /// From outside.
    Sources(SourceFeed),
}

/// Source heads of a task and what the coordinator has been told of them.
pub(crate) struct SourceFeed {
    pub(crate) heads: Vec<(NodeId, SourceHead)>,
    pub(crate) barriers: VecDeque<Barrier>,
    /// Number among all source tasks of the job.
    pub(crate) task: usize,
    pub(crate) shared: Arc<JobShared>,
    pub(crate) shard: usize,
    /// The epoch that rows belong to now.
    pub(crate) epoch: Epoch,
    pub(crate) rows: u64,
    pub(crate) told: Told,
    pub(crate) next: usize,
    /// The last step passed a barrier.
    pub(crate) has_passed: bool,
}

/// What was told since the last barrier (`idle`: since the last pending rows).
#[derive(Default)]
pub(crate) struct Told {
    pending: bool,
    full: bool,
    idle: bool,
    finished: bool,
}

/// One instance of a fragment.
pub(crate) struct Task {
    pub(crate) pipeline: Pipeline,
    pub(crate) feed: Feed,
    /// Wakes the shard, when a sink has room again.
    pub(crate) waker: Waker,
    pub(crate) shared: Arc<JobShared>,
    pub(crate) done: bool,
}

impl Task {
    /// Does one bounded piece of work: one element, one batch, or one barrier. Never blocks.
    ///
    /// # Errors
    /// Something in the task failed; then it must not run again.
    pub(crate) fn step(&mut self) -> Result<Step, RuntimeError> {
        if self.done
            || !self.has_input()
            || !self.pipeline.poll_room(&mut std::task::Context::from_waker(&self.waker))?
        {
            return Ok(Step::Idle);
        }
        self.pipeline.begin_step();
        let step = match &mut self.feed {
            Feed::Channels { inputs, next } => from_channels(inputs, next, &mut self.pipeline, &self.shared)?,
            Feed::Sources(feed) => feed.step(&mut self.pipeline)?,
        };
        if let Step::Passed(barrier, _) = &step {
            self.done = barrier.kind == BarrierKind::Stop;
        }
        Ok(step)
    }

    /// Reads from outside, not from channels.
    pub(crate) fn is_source(&self) -> bool {
        matches!(self.feed, Feed::Sources(_))
    }

    /// A barrier from the coordinator, for sources.
    pub(crate) fn inject(&mut self, barrier: Barrier) {
        if let Feed::Sources(feed) = &mut self.feed {
            feed.barriers.push_back(barrier);
        }
    }

    fn has_input(&self) -> bool {
        match &self.feed {
            Feed::Channels { inputs, .. } => inputs.iter().any(|i| i.barrier.is_none() && !i.channel.is_empty()),
            Feed::Sources(_) => true,
        }
    }
}

fn from_channels(
    inputs: &mut [ChannelInput],
    next: &mut usize,
    pipeline: &mut Pipeline,
    shared: &JobShared,
) -> Result<Step, RuntimeError> {
    for _ in 0..inputs.len() {
        let at = *next;
        *next = if at + 1 < inputs.len() { at + 1 } else { 0 };
        let input = &mut inputs[at];
        if input.barrier.is_some() {
            continue;
        }
        let Some(element) = input.channel.pop() else { continue };
        match element {
            StreamElement::Changes(changes) => pipeline.take(input.stage, input.input, changes)?,
            StreamElement::Watermark(watermark) => {
                input.time = EventTime::active(watermark);
                pass_time(inputs, at, pipeline)?;
            }
            StreamElement::Idle => {
                input.time.is_idle = true;
                pass_time(inputs, at, pipeline)?;
            }
            StreamElement::Barrier(barrier) => {
                input.barrier = Some(barrier);
                if inputs.iter().all(|i| i.barrier.is_some()) {
                    inputs.iter_mut().for_each(|i| i.barrier = None);
                    let passed = pipeline.end_epoch(barrier, shared.persists(barrier.kind))?;
                    return Ok(Step::Passed(barrier, passed));
                }
            }
        }
        return Ok(Step::Worked);
    }
    Ok(Step::Idle)
}

/// Event time moved on the channel `at`: tells its stage, of all channels to the same input.
fn pass_time(inputs: &[ChannelInput], at: usize, pipeline: &mut Pipeline) -> Result<(), RuntimeError> {
    let (stage, port) = (inputs[at].stage, inputs[at].input);
    let same = inputs.iter().filter(|i| (i.stage, i.input) == (stage, port));
    pipeline.set_time(stage, port, EventTime::over_channels(same.map(|i| i.time)));
    pipeline.advance()
}

impl SourceFeed {
    /// What is left of rows that belong together; a barrier that waits, or rows; a full epoch takes no more rows until it is cut; after a barrier rows have their turn, so that however many epochs are cut the
    /// input moves on.
    fn step(&mut self, pipeline: &mut Pipeline) -> Result<Step, RuntimeError> {
        if let Some(at) = self.heads.iter().position(|(_, head)| head.is_within()) {
            self.read_of(at, u64::MAX, pipeline)?;
            return Ok(Step::Worked);
        }
        if self.told.full {
            return self.barriers.pop_front().map_or(Ok(Step::Idle), |barrier| self.pass(barrier, pipeline));
        }
        if !std::mem::take(&mut self.has_passed)
            && let Some(barrier) = self.barriers.pop_front()
        {
            return self.pass(barrier, pipeline);
        }
        if self.read(pipeline)? {
            return Ok(Step::Worked);
        }
        self.rest();
        match self.barriers.pop_front() {
            Some(barrier) => self.pass(barrier, pipeline),
            None => Ok(Step::Idle),
        }
    }

    fn read(&mut self, pipeline: &mut Pipeline) -> Result<bool, RuntimeError> {
        for _ in 0..self.heads.len() {
            let at = self.next;
            self.next = if at + 1 < self.heads.len() { at + 1 } else { 0 };
            let rows_max = self.rows_full().saturating_sub(self.rows).max(1);
            if self.read_of(at, rows_max, pipeline)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads at most so many rows of one source. False: it has nothing.
    fn read_of(&mut self, at: usize, rows_max: u64, pipeline: &mut Pipeline) -> Result<bool, RuntimeError> {
        let (node, head) = &mut self.heads[at];
        let counters = self.shared.counters.clone();
        let read = head.step(rows_max, pipeline, counters.node(self.shard, *node))?;
        if let Read::Rows(rows) = read {
            self.took(rows as u64);
        }
        Ok(read != Read::Nothing)
    }

    fn pass(&mut self, barrier: Barrier, pipeline: &mut Pipeline) -> Result<Step, RuntimeError> {
        if barrier.kind == BarrierKind::Stop && self.shared.drains() {
            self.heads.iter().try_for_each(|(_, head)| head.drain(pipeline))?;
        }
        let persists = self.shared.persists(barrier.kind);
        let passed = Passed { rows: self.rows, ..pipeline.end_epoch(barrier, persists)? };
        if persists {
            self.heads.iter_mut().try_for_each(|(_, h)| h.persist())?;
        }
        self.epoch = barrier.epoch.next();
        self.rows = 0;
        self.told.pending = false;
        self.told.full = false;
        self.has_passed = true;
        Ok(Step::Passed(barrier, passed))
    }

    fn took(&mut self, rows: u64) {
        self.rows += rows;
        if !self.told.pending {
            self.told.pending = true;
            self.told.idle = false;
            self.tell(SourceNews::Pending);
        }
        if self.rows >= self.rows_full() && !self.told.full {
            self.told.full = true;
            self.tell(SourceNews::Full);
        }
    }

    /// Its share of the rows of an epoch.
    fn rows_full(&self) -> u64 {
        (self.shared.epoch_rows() / self.shared.shards() as u64).max(1)
    }

    fn rest(&mut self) {
        if !self.told.finished && self.heads.iter().all(|(_, h)| h.is_finished()) {
            self.told.finished = true;
            self.tell(SourceNews::Finished);
        } else if !self.told.idle && self.heads.iter().all(|(_, h)| h.is_finished() || !h.is_bounded()) {
            self.told.idle = true;
            self.tell(SourceNews::Idle);
        }
    }

    fn tell(&self, news: SourceNews) {
        self.shared.tell(Event::Source { task: self.task, epoch: self.epoch, news });
    }
}
