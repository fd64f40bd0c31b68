//! The splits of one source: who reads which, and how far event time has come over all of them.
//!
//! **Assignment.** Splits of a bounded source are taken in order, one at a time per shard: whoever is done takes
//! the next; where rows of one split take back or replace those of another, one shard takes them all. Splits of an unbounded source need not end, so all of them are open at once, dealt out in turn.
//!
//! **Watermark.** One watermark for the whole source, so that lateness does not depend on how many shards read.
//! It is the minimum over open splits that are not idle. What has not been read yet holds it back too: ranges of
//! one file (`path#range`: the text before the last `#` is the *partition*) follow each other in event time, so a
//! partition with ranges to come counts with what the ranges up to the next one have reached (after a restart, later
//! ones may be further), and a partition of which nothing has been read holds the watermark at none. When all splits are idle it is the maximum over them. It never goes back.
//!
//! A shard reports a split's watermark after it has sent the rows downstream, and passes the source's watermark on
//! in its own channel; the receiver takes the minimum over channels. So a watermark never overtakes rows.

use crate::event_time::EventTime;
use crate::metrics::SplitMetrics;
use crate::wake::Alarm;
use eddyline_changes::Watermark;
use eddyline_connectors::{Boundedness, Position, Split};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

/// How far a split has been read: a row of the source's state table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) position: Position,
    pub(crate) watermark: Watermark,
    pub(crate) finished: bool,
}

impl Progress {
    const START: Progress = Progress { position: Position(0), watermark: Watermark::NONE, finished: false };
    const VERSION: u8 = 1;

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![Self::VERSION, u8::from(self.finished)];
        out.extend_from_slice(&self.position.0.to_be_bytes());
        out.extend_from_slice(&self.watermark.0.to_be_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[Self::VERSION, finished], rest) = bytes.split_first_chunk::<2>()? else { return None };
        let (position, watermark) = rest.split_first_chunk::<8>()?;
        Some(Self {
            position: Position(u64::from_be_bytes(*position)),
            watermark: Watermark(i64::from_be_bytes(watermark.try_into().ok()?)),
            finished: finished == 1,
        })
    }

    /// The one of two that is further.
    pub(crate) fn further(self, other: Progress) -> Progress {
        if (other.finished, other.position) > (self.finished, self.position) { other } else { self }
    }
}

/// A split to be read, and from where.
#[derive(Debug, Clone)]
pub(crate) struct Assignment {
    /// Its number in the table.
    pub(crate) slot: usize,
    pub(crate) split: Split,
    pub(crate) progress: Progress,
    pub(crate) counters: Arc<SplitCounters>,
}

/// What is measured of a split: written by the shard that reads it, per batch, and read by whoever asks.
#[derive(Debug, Default)]
pub(crate) struct SplitCounters {
    rows: AtomicU64,
    position: AtomicU64,
}

impl SplitCounters {
    pub(crate) fn took(&self, rows: usize, position: Position) {
        self.rows.fetch_add(rows as u64, Relaxed);
        self.position.store(position.0, Relaxed);
    }
}

/// The splits of one source node, shared by all shards.
pub(crate) struct SplitTable {
    bounded: bool,
    /// New splits may turn up later.
    growing: bool,
    /// Bounded: the splits are read one after the other, by the first shard.
    ordered: bool,
    /// The query wants to know of event time.
    timed: bool,
    watermark: AtomicI64,
    /// All splits are idle.
    idle: AtomicBool,
    /// Counts additions, so that a shard need not look for new splits under the lock.
    additions: AtomicU64,
    state: Mutex<State>,
    shards: Vec<Arc<Alarm>>,
}

#[derive(Default)]
struct State {
    known: HashSet<String>,
    slots: Vec<Slot>,
    /// Bounded: one queue for all. Unbounded: one per shard.
    queues: Vec<VecDeque<usize>>,
    dealt: usize,
    open: Vec<usize>,
    /// For its timeout there has been no split to read.
    idle_without_splits: bool,
    unfinished: usize,
    partitions: Vec<Partition>,
    partition_of: HashMap<String, usize>,
}

struct Slot {
    split: Split,
    progress: Progress,
    idle: bool,
    partition: usize,
    /// Nobody has taken it yet.
    waiting: bool,
    counters: Arc<SplitCounters>,
}

/// Ranges that follow each other in event time, and are taken in that order.
struct Partition {
    slots: Vec<usize>,
    /// Position in `slots` of the first range that waits; their number if none does.
    next: usize,
    /// The furthest that the ranges up to and with the one at `next` have come.
    reached: Watermark,
}

impl Default for Partition {
    fn default() -> Self {
        Self { slots: Vec::new(), next: 0, reached: Watermark::NONE }
    }
}

impl Partition {
    /// Moves `next` past the ranges that do not wait.
    fn settle(&mut self, slots: &[Slot]) {
        while let Some(slot) = self.slots.get(self.next) {
            self.reached = self.reached.max(slots[*slot].progress.watermark);
            if slots[*slot].waiting {
                break;
            }
            self.next += 1;
        }
    }

    /// The watermark at which ranges to come hold the source; `None` without any.
    fn holds_at(&self) -> Option<Watermark> {
        (self.next < self.slots.len()).then_some(self.reached)
    }
}

impl SplitTable {
    pub(crate) fn new(
        boundedness: Boundedness,
        growing: bool,
        ordered: bool,
        timed: bool,
        shards: Vec<Arc<Alarm>>,
    ) -> Arc<Self> {
        let bounded = boundedness == Boundedness::Bounded;
        let queues = if bounded { 1 } else { shards.len() };
        let state = State { queues: vec![VecDeque::new(); queues], ..State::default() };
        Arc::new(Self {
            bounded,
            growing: growing && !bounded,
            ordered: ordered && bounded,
            timed,
            watermark: AtomicI64::new(Watermark::NONE.0),
            idle: AtomicBool::new(false),
            additions: AtomicU64::new(0),
            state: Mutex::new(state),
            shards,
        })
    }

    /// Adds the splits that are not known yet, in order, beginning where `progress` says.
    pub(crate) fn add(&self, splits: Vec<Split>, progress: &HashMap<String, Progress>) {
        let mut state = self.state.lock();
        for split in splits {
            if state.known.insert(split.id.clone()) {
                state.idle_without_splits = false;
                let from = progress.get(&split.id).copied();
                state.add(split, from, self.bounded);
            }
        }
        self.advance(&state);
        drop(state);
        self.additions.fetch_add(1, SeqCst);
        self.wake_all();
    }

    pub(crate) fn is_bounded(&self) -> bool {
        self.bounded
    }

    /// Does anybody want watermarks?
    pub(crate) fn is_timed(&self) -> bool {
        self.timed
    }

    /// Changes whenever splits were added.
    pub(crate) fn additions(&self) -> u64 {
        self.additions.load(SeqCst)
    }

    /// The next split for `shard` to open.
    pub(crate) fn take(&self, shard: usize) -> Option<Assignment> {
        if self.ordered && shard > 0 {
            return None;
        }
        let mut state = self.state.lock();
        let queue = if self.bounded { 0 } else { shard };
        let slot = state.queues[queue].pop_front()?;
        if self.bounded {
            state.open.push(slot);
            let State { slots, partitions, .. } = &mut *state;
            slots[slot].waiting = false;
            partitions[slots[slot].partition].settle(slots);
        }
        let Slot { split, progress, counters, .. } = &state.slots[slot];
        Some(Assignment { slot, split: split.clone(), progress: *progress, counters: counters.clone() })
    }

    /// True when no split will come for `shard` any more.
    pub(crate) fn is_drained(&self, shard: usize) -> bool {
        if self.ordered && shard > 0 {
            return true;
        }
        let state = self.state.lock();
        !self.growing && state.queues[if self.bounded { 0 } else { shard }].is_empty()
    }

    /// Rows of a split were sent downstream; it has reached `watermark`.
    pub(crate) fn report(&self, slot: usize, watermark: Watermark) {
        let mut state = self.state.lock();
        let State { slots, partitions, .. } = &mut *state;
        let slot = &mut slots[slot];
        slot.idle = false;
        if watermark > slot.progress.watermark {
            slot.progress.watermark = watermark;
            let partition = &mut partitions[slot.partition];
            partition.reached = partition.reached.max(watermark);
        }
        self.advance(&state);
    }

    /// A split has been silent for its timeout.
    pub(crate) fn idle(&self, slot: usize) {
        let mut state = self.state.lock();
        state.slots[slot].idle = true;
        self.advance(&state);
    }

    /// There has been no split for the timeout. Returns false when there is one meanwhile, or this was known.
    pub(crate) fn idle_without_splits(&self) -> bool {
        let mut state = self.state.lock();
        if !state.open.is_empty() || std::mem::replace(&mut state.idle_without_splits, true) {
            return false;
        }
        self.advance(&state);
        true
    }

    /// A split was read to its end.
    pub(crate) fn finish(&self, slot: usize) {
        let mut state = self.state.lock();
        state.slots[slot].progress.finished = true;
        state.open.retain(|s| *s != slot);
        state.unfinished -= 1;
        self.advance(&state);
    }

    /// The source's event time.
    pub(crate) fn time(&self) -> EventTime {
        let is_idle = self.idle.load(SeqCst);
        EventTime { watermark: Watermark(self.watermark.load(SeqCst)), is_idle }
    }

    /// What the splits that are open have come to, the first `max` of them; the name of the table is left out.
    pub(crate) fn measured(&self, max: usize) -> Vec<SplitMetrics> {
        let state = self.state.lock();
        let measure = |slot: &usize| {
            let Slot { split, progress, idle, counters, .. } = &state.slots[*slot];
            SplitMetrics {
                table: String::new(),
                split: split.id.clone(),
                rows: counters.rows.load(Relaxed),
                position: counters.position.load(Relaxed),
                watermark: progress.watermark,
                is_idle: *idle,
            }
        };
        state.open.iter().take(max).map(measure).collect()
    }

    fn advance(&self, state: &State) {
        if !self.timed {
            return;
        }
        let finished = state.unfinished == 0 && !self.growing;
        let time = if finished { EventTime::active(Watermark::END) } else { state.time() };
        let further = self.watermark.fetch_max(time.watermark.0, SeqCst) < time.watermark.0;
        if self.idle.swap(time.is_idle, SeqCst) != time.is_idle || further {
            self.wake_all();
        }
    }

    fn wake_all(&self) {
        self.shards.iter().for_each(|s| s.ring());
    }
}

impl State {
    fn add(&mut self, split: Split, from: Option<Progress>, bounded: bool) {
        let progress = from.unwrap_or(Progress { position: Position(split.range.start), ..Progress::START });
        let name = split.id.rsplit_once('#').map_or(split.id.as_str(), |(before, _)| before).to_owned();
        let next = self.partitions.len();
        let partition = *self.partition_of.entry(name).or_insert(next);
        if partition == next {
            self.partitions.push(Partition::default());
        }
        let slot = self.slots.len();
        let waiting = bounded && !progress.finished;
        let counters = Arc::new(SplitCounters::default());
        counters.took(0, progress.position);
        self.slots.push(Slot { split, progress, idle: false, partition, waiting, counters });
        self.partitions[partition].slots.push(slot);
        self.partitions[partition].settle(&self.slots);
        if progress.finished {
            return;
        }
        self.unfinished += 1;
        if bounded {
            self.queues[0].push_back(slot);
        } else {
            let shard = self.dealt % self.queues.len();
            self.dealt += 1;
            self.queues[shard].push_back(slot);
            self.open.push(slot);
        }
    }

    fn time(&self) -> EventTime {
        let waiting = self.partitions.iter().filter_map(Partition::holds_at).map(EventTime::active);
        let none = EventTime { watermark: Watermark::NONE, is_idle: true };
        let without = self.idle_without_splits.then_some(none);
        let open = self.open.iter().map(|s| &self.slots[*s]);
        let open = open.map(|s| EventTime { watermark: s.progress.watermark, is_idle: s.idle });
        EventTime::over(waiting.chain(open).chain(without))
    }
}

#[cfg(test)]
mod tests;
