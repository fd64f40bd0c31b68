//! When checkpoints are due, and what waits for them.
//!
//! The order is always: barrier cut → shards have frozen their state, sinks have prepared → durable → committed → older
//! ones dropped. Epochs go on meanwhile. What exactly-once sinks prepare is **held** until the next checkpoint is durable,
//! and stands in it: so after a crash, either the rows are read again and what was prepared of them is void, or they are not,
//! and what was prepared is committed, once more if need be. Of a checkpoint that fails the held commits go to the next.

use super::Prepared;
use eddyline_changes::{Barrier, BarrierKind, Epoch};
use eddyline_checkpoint::CheckpointId;
use eddyline_plan::NodeId;
use std::collections::BTreeSet;
use std::time::Duration;

/// When checkpoints are made.
#[derive(Debug, Clone)]
pub(crate) struct CheckpointTimes {
    /// From the start of one to that of the next; `None`: when somebody asks.
    pub(crate) interval: Option<Duration>,
    /// From the end of one to the start of the next, at least.
    pub(crate) min_pause: Duration,
    /// After this long a checkpoint is reported as slow.
    pub(crate) timeout: Duration,
    /// The last number that was given.
    pub(crate) after: CheckpointId,
    /// Sinks whose commits wait for checkpoints.
    pub(crate) exactly_once: BTreeSet<NodeId>,
}

/// What a sink has prepared in an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) epoch: Epoch,
    pub(crate) prepared: Prepared,
}

/// A checkpoint on its way from the last acknowledgement to the last commit.
#[derive(Debug)]
struct Underway {
    id: CheckpointId,
    barrier: Barrier,
    held: Vec<Held>,
}

/// The checkpoints of a job.
pub(crate) struct Checkpoints {
    times: CheckpointTimes,
    last: CheckpointId,
    held: Vec<Held>,
    /// Cut, and not yet acknowledged by all shards.
    cut: Option<Barrier>,
    underway: Option<Underway>,
    /// The last barrier has come while another checkpoint is under way.
    waiting: Option<Barrier>,
    last_start: Option<Duration>,
    last_end: Duration,
    /// Epochs were cut since the last checkpoint was.
    has_changes: bool,
    timer: Option<Duration>,
    is_reported: bool,
}

/// What the coordinator is to do.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    /// Make it durable.
    Keep { id: CheckpointId, barrier: Barrier, held: Vec<Held> },
    /// Make what was prepared visible.
    Commit { id: CheckpointId, held: Vec<Held> },
}

impl Checkpoints {
    pub(crate) fn new(times: CheckpointTimes) -> Self {
        Self {
            last: times.after,
            times,
            held: Vec::new(),
            cut: None,
            underway: None,
            waiting: None,
            last_start: None,
            last_end: Duration::ZERO,
            has_changes: false,
            timer: None,
            is_reported: false,
        }
    }

    /// Takes what must wait out of what an epoch has prepared.
    pub(crate) fn hold(&mut self, epoch: Epoch, prepared: &mut Vec<Prepared>) {
        let waits = prepared.extract_if(.., |(node, _)| self.times.exactly_once.contains(node));
        self.held.extend(waits.map(|prepared| Held { epoch, prepared }));
    }

    /// A barrier was cut.
    pub(crate) fn cut(&mut self, barrier: Barrier, now: Duration) {
        if barrier.kind == BarrierKind::Flush {
            self.has_changes = true;
            return;
        }
        self.cut = Some(barrier);
        self.last_start = Some(now);
        (self.has_changes, self.is_reported) = (false, false);
    }

    /// All shards have acknowledged a checkpoint's barrier.
    pub(crate) fn acknowledged(&mut self, barrier: Barrier) -> Option<Next> {
        if self.cut.is_some_and(|cut| cut.epoch == barrier.epoch) {
            self.cut = None;
        }
        if self.underway.is_some() {
            self.waiting = Some(barrier);
            return None;
        }
        self.last = self.last.next();
        let (id, held) = (self.last, std::mem::take(&mut self.held));
        self.underway = Some(Underway { id, barrier, held: held.clone() });
        Some(Next::Keep { id, barrier, held })
    }

    /// It is durable.
    pub(crate) fn kept(&mut self, id: CheckpointId) -> Option<Next> {
        let underway = self.underway.as_mut().filter(|u| u.id == id)?;
        Some(Next::Commit { id, held: std::mem::take(&mut underway.held) })
    }

    /// What was held for it is visible. Returns its barrier, and what follows.
    pub(crate) fn committed(&mut self, id: CheckpointId, now: Duration) -> (Option<Barrier>, Option<Next>) {
        match self.underway.take_if(|u| u.id == id) {
            Some(underway) => (Some(underway.barrier), self.ended(now)),
            None => (None, None),
        }
    }

    /// It could not be made durable. Returns its barrier, and what follows.
    pub(crate) fn failed(&mut self, id: CheckpointId, now: Duration) -> (Option<Barrier>, Option<Next>) {
        match self.underway.take_if(|u| u.id == id) {
            Some(Underway { barrier, held, .. }) => {
                let later = std::mem::replace(&mut self.held, held);
                self.held.extend(later);
                self.has_changes = true;
                (Some(barrier), self.ended(now))
            }
            None => (None, None),
        }
    }

    fn ended(&mut self, now: Duration) -> Option<Next> {
        self.last_end = now;
        self.waiting.take().and_then(|barrier| self.acknowledged(barrier))
    }

    /// Is none on its way?
    pub(crate) fn is_free(&self) -> bool {
        self.cut.is_none() && self.underway.is_none()
    }

    /// Is it time for one? Else, when to look again.
    pub(crate) fn is_due(&mut self, now: Duration, wake_at: &mut Option<Duration>) -> bool {
        let start = *self.last_start.get_or_insert(now);
        let Some(interval) = self.times.interval else { return false };
        if !self.is_free() || !self.has_changes {
            return false;
        }
        let due = start.saturating_add(interval).max(self.last_end.saturating_add(self.times.min_pause));
        if due <= now {
            return true;
        }
        self.wake(due, now, wake_at);
        false
    }

    /// The checkpoint that is on its way for longer than it should; told once.
    pub(crate) fn slow(&mut self, now: Duration, wake_at: &mut Option<Duration>) -> Option<Epoch> {
        let barrier = self.cut.or(self.underway.as_ref().map(|u| u.barrier))?;
        let due = self.last_start?.saturating_add(self.times.timeout);
        if self.is_reported {
            return None;
        }
        if due > now {
            self.wake(due, now, wake_at);
            return None;
        }
        self.is_reported = true;
        Some(barrier.epoch)
    }

    fn wake(&mut self, at: Duration, now: Duration, wake_at: &mut Option<Duration>) {
        // The end of time: never.
        if at < Duration::MAX && self.timer.is_none_or(|timer| timer <= now || at < timer) {
            self.timer = Some(at);
            *wake_at = Some(wake_at.map_or(at, |before| before.min(at)));
        }
    }
}
