//! The head of a source on one shard: splits → blocks → decoded rows → the pipeline, and watermarks per split.

use crate::error::RuntimeError;
use crate::event_time::EventTime;
use crate::metrics::NodeCounters;
use crate::pipeline::{Pipeline, Place};
use crate::splits::{Assignment, Progress, SplitCounters, SplitTable};
use crate::wake::Alarm;
use arrow::array::{Array, AsArray, BooleanArray};
use arrow::compute::{filter_record_batch, max};
use arrow::datatypes::{
    DataType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use eddyline_changes::{ChangeBatch, Watermark};
use eddyline_connectors::{ConnectorError, Decoded, Decoder, Rim, Source, SplitReader};
use eddyline_functions::scalar::{self, Moments};
use eddyline_operators::OperatorError;
use eddyline_plan::{Expression, WatermarkSpec};
use eddyline_state::{NOTES_FROM, StateError, Store, TableId, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// Number of the state table that holds the positions of a source's splits.
pub(crate) const POSITIONS: TableId = NOTES_FROM;
/// Its number in checkpoints and savepoints of former versions. What stands there is never ahead.
const FORMER_POSITIONS: TableId = 0;

/// What a source head did in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// Took this many rows.
    Rows(usize),
    /// Something moved, but no rows came of it.
    Moved,
    /// Nothing to do until it is woken.
    Nothing,
}

/// What a source head is made of.
pub(crate) struct HeadParts {
    pub(crate) table_name: Arc<str>,
    pub(crate) stage: usize,
    pub(crate) shard: usize,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) splits: Arc<SplitTable>,
    pub(crate) watermark: Option<WatermarkSpec>,
    pub(crate) store: Store,
    pub(crate) rim: Rim,
    pub(crate) alarm: Arc<Alarm>,
    pub(crate) batch_rows: usize,
}

impl HeadParts {
    /// After how long a split is idle; `None`: never.
    fn timeout(&self) -> Option<Duration> {
        self.watermark.as_ref().and_then(|w| w.idle_timeout_ms).map(Duration::from_millis)
    }
}

/// Reads a shard's splits of one source into its stage of the pipeline.
pub(crate) struct SourceHead {
    parts: HeadParts,
    /// What the watermark expression is bound to.
    moments: Arc<Moments>,
    open: Vec<OpenSplit>,
    /// Rows that the step at hand may hand out.
    rows_max: usize,
    next: usize,
    additions: u64,
    passed_on: EventTime,
    finished: bool,
    /// When the source is idle for want of splits.
    due_without_splits: Option<Duration>,
    /// Splits that this shard has finished since the job began: their rows of the state table.
    done: Vec<(String, Progress)>,
}

struct OpenSplit {
    slot: usize,
    id: Arc<str>,
    reader: Box<dyn SplitReader>,
    decoder: Box<dyn Decoder>,
    /// The decoder holds a block.
    fed: bool,
    ready: Arc<Ready>,
    waker: Waker,
    progress: Progress,
    counters: Arc<SplitCounters>,
    last_active: Duration,
    timer: Option<Duration>,
    idle: bool,
}

impl OpenSplit {
    fn is_within(&self) -> bool {
        self.fed && self.decoder.is_within()
    }
}

/// Wakes the shard and says for which split.
struct Ready {
    flag: AtomicBool,
    alarm: Arc<Alarm>,
}

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.flag.store(true, SeqCst);
        self.alarm.ring();
    }
}

impl SourceHead {
    pub(crate) fn new(mut parts: HeadParts) -> Self {
        let moments = Arc::<Moments>::default();
        if let Some(watermark) = &mut parts.watermark {
            watermark.expression = Expression::new(scalar::at(watermark.expression.physical(), &moments));
        }
        let (open, done) = (Vec::new(), Vec::new());
        let (passed_on, due_without_splits) = (EventTime::NONE, None);
        let (next, additions, finished) = (0, u64::MAX, false);
        let rows_max = parts.batch_rows;
        Self { parts, moments, open, rows_max, next, additions, passed_on, finished, due_without_splits, done }
    }

    /// True when all is read and the last watermark has gone downstream.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    /// True when "nothing to hand out now" says something about the world: readers of bounded input only wait for
    /// their disk.
    pub(crate) fn is_bounded(&self) -> bool {
        self.parts.splits.is_bounded()
    }

    /// Rows that were handed out last belong with those that come next.
    pub(crate) fn is_within(&self) -> bool {
        self.open.iter().any(OpenSplit::is_within)
    }

    /// Does one bounded piece of work.
    pub(crate) fn step(
        &mut self,
        rows_max: u64,
        pipeline: &mut Pipeline,
        counters: &NodeCounters,
    ) -> Result<Read, RuntimeError> {
        self.rows_max = usize::try_from(rows_max).map_or(self.parts.batch_rows, |rows| rows.min(self.parts.batch_rows));
        if self.finished {
            return Ok(Read::Nothing);
        }
        if let Some(at) = self.open.iter().position(OpenSplit::is_within) {
            let read = self.read(at, pipeline, counters)?;
            self.pass_on(pipeline)?;
            return Ok(read);
        }
        self.open_splits()?;
        for _ in 0..self.open.len() {
            self.next = if self.next + 1 < self.open.len() { self.next + 1 } else { 0 };
            match self.read(self.next, pipeline, counters)? {
                Read::Nothing => {}
                read => {
                    self.pass_on(pipeline)?;
                    return Ok(read);
                }
            }
        }
        if self.open.is_empty() && self.parts.splits.is_drained(self.parts.shard) {
            self.finished = true;
            pipeline.source_time(self.parts.stage, EventTime::active(Watermark::END))?;
            return Ok(Read::Moved);
        }
        let is_idle = self.rest_without_splits();
        if self.pass_on(pipeline)? || is_idle { Ok(Read::Moved) } else { Ok(Read::Nothing) }
    }

    fn open_splits(&mut self) -> Result<(), RuntimeError> {
        let splits = self.parts.splits.clone();
        if splits.is_bounded() {
            if self.open.is_empty()
                && let Some(assignment) = splits.take(self.parts.shard)
            {
                self.open(assignment)?;
            }
            return Ok(());
        }
        let additions = splits.additions();
        if additions != self.additions {
            self.additions = additions;
            while let Some(assignment) = splits.take(self.parts.shard) {
                self.open(assignment)?;
            }
        }
        Ok(())
    }

    fn open(&mut self, assignment: Assignment) -> Result<(), RuntimeError> {
        let Assignment { slot, split, progress, counters } = assignment;
        let HeadParts { source, rim, alarm, .. } = &self.parts;
        let opened = source.open(&split, progress.position, rim).and_then(|r| Ok((r, source.decoder(&split)?)));
        let (reader, decoder) = opened.map_err(|e| self.fault(Some(&split.id), e))?;
        let ready = Arc::new(Ready { flag: AtomicBool::new(true), alarm: alarm.clone() });
        let waker = Waker::from(ready.clone());
        let (id, last_active) = (split.id.into(), rim.clock.monotonic());
        let (timer, idle, fed) = (None, false, false);
        self.open.push(OpenSplit {
            slot,
            id,
            reader,
            decoder,
            fed,
            ready,
            waker,
            progress,
            counters,
            last_active,
            timer,
            idle,
        });
        Ok(())
    }

    /// Reads on in one open split.
    fn read(&mut self, at: usize, pipeline: &mut Pipeline, counters: &NodeCounters) -> Result<Read, RuntimeError> {
        loop {
            let open = &mut self.open[at];
            if open.fed {
                let begin = self.parts.rim.clock.monotonic();
                match open.decoder.next(self.rows_max) {
                    Ok(Some(decoded)) => return self.hand_out(at, decoded, begin, pipeline, counters),
                    Ok(None) => open.fed = false,
                    Err(e) => return Err(self.fault_at(at, e)),
                }
            }
            let open = &mut self.open[at];
            if !open.ready.flag.swap(false, SeqCst) {
                return self.rest(at);
            }
            match open.reader.poll_block(&mut Context::from_waker(&open.waker)) {
                Poll::Pending => return self.rest(at),
                Poll::Ready(Ok(Some(block))) => {
                    open.ready.flag.store(true, SeqCst);
                    open.fed = true;
                    open.decoder.feed(block).map_err(|e| self.fault_at(at, e))?;
                }
                Poll::Ready(Ok(None)) => {
                    self.close(at);
                    return Ok(Read::Moved);
                }
                Poll::Ready(Err(e)) => return Err(self.fault_at(at, e)),
            }
        }
    }

    fn close(&mut self, at: usize) {
        let open = self.open.swap_remove(at);
        self.parts.splits.finish(open.slot);
        self.done.push((open.id.to_string(), Progress { finished: true, ..open.progress }));
    }

    /// Nothing is there: a split that has been silent for too long is left out of the watermark.
    fn rest(&mut self, at: usize) -> Result<Read, RuntimeError> {
        let timeout = self.parts.timeout();
        let open = &mut self.open[at];
        let (Some(timeout), false) = (timeout, open.idle) else { return Ok(Read::Nothing) };
        let clock = &self.parts.rim.clock;
        let due = open.last_active + timeout;
        if clock.monotonic() >= due {
            open.idle = true;
            self.parts.splits.idle(open.slot);
            return Ok(Read::Moved);
        }
        if open.timer != Some(due) {
            open.timer = Some(due);
            clock.wake_at(due, Waker::from(self.parts.alarm.clone()));
        }
        Ok(Read::Nothing)
    }

    fn hand_out(
        &mut self,
        at: usize,
        decoded: Decoded,
        begin: Duration,
        pipeline: &mut Pipeline,
        counters: &NodeCounters,
    ) -> Result<Read, RuntimeError> {
        let Decoded { changes, skipped, position } = decoded;
        let rows = changes.num_rows();
        let reached = match &self.parts.watermark {
            Some(spec) if rows > 0 => {
                self.moments.set(pipeline.moment());
                reached(&spec.expression, &changes)
            }
            _ => Ok(None),
        };
        let now = self.parts.rim.clock.monotonic();
        counters.worked(now.saturating_sub(begin));
        counters.skipped(skipped);
        let open = &mut self.open[at];
        open.counters.took(rows, position);
        let from = std::mem::replace(&mut open.progress.position, position);
        pipeline.place =
            Some(Place { table: self.parts.table_name.clone(), split: open.id.clone(), from, to: position });
        let reached = reached.map_err(|e| pipeline.fault(self.parts.stage, e))?;
        if rows > 0 {
            pipeline.take(self.parts.stage, 0, changes)?;
        }
        pipeline.place = None;
        self.reach(at, reached, now);
        Ok(if rows > 0 { Read::Rows(rows) } else { Read::Moved })
    }

    /// The rows are downstream: event time of the split may move.
    fn reach(&mut self, at: usize, reached: Option<Watermark>, now: Duration) {
        let open = &mut self.open[at];
        open.last_active = now;
        let further = reached.filter(|w| *w > open.progress.watermark);
        if self.parts.splits.is_timed() && (further.is_some() || open.idle) {
            open.progress.watermark = further.unwrap_or(open.progress.watermark);
            self.parts.splits.report(open.slot, open.progress.watermark);
        }
        open.idle = false;
    }

    /// Says that no row will follow, though there may be more to read: the job ends, and everything that waits for event time
    /// comes out.
    pub(crate) fn drain(&self, pipeline: &mut Pipeline) -> Result<(), RuntimeError> {
        pipeline.source_time(self.parts.stage, EventTime::active(Watermark::END))
    }

    /// Passes the source's event time on where it moved.
    fn pass_on(&mut self, pipeline: &mut Pipeline) -> Result<bool, RuntimeError> {
        let time = self.parts.splits.time();
        // The end is told by `step`, when this shard has nothing more.
        if self.passed_on.then(time) == self.passed_on || time.watermark == Watermark::END {
            return Ok(false);
        }
        self.passed_on = time;
        pipeline.source_time(self.parts.stage, time)?;
        Ok(true)
    }

    /// A source without any split, such as a directory without files, is idle after its timeout too.
    fn rest_without_splits(&mut self) -> bool {
        let (clock, splits) = (&self.parts.rim.clock, &self.parts.splits);
        let (Some(timeout), true) = (self.parts.timeout(), self.open.is_empty()) else {
            self.due_without_splits = None;
            return false;
        };
        let now = clock.monotonic();
        if self.due_without_splits.is_some_and(|due| now >= due) {
            // Another shard may have splits; then this one looks again later.
            self.due_without_splits = None;
            if splits.idle_without_splits() {
                return true;
            }
        }
        if self.due_without_splits.is_none() {
            self.due_without_splits = Some(now + timeout);
            clock.wake_at(now + timeout, Waker::from(self.parts.alarm.clone()));
        }
        false
    }

    /// Writes the positions of this shard's splits into the source's state table.
    pub(crate) fn persist(&mut self) -> Result<(), RuntimeError> {
        let store = &self.parts.store;
        // A key group of this shard: on another number of shards, where state moves by key groups, what another shard has
        // stored of the split, before or later, stays beside it, and the one that is further counts.
        let group = store.groups().range_of(self.parts.shard).start;
        let put = |id: &str, progress: &Progress| {
            Write::Put(store.full_key(POSITIONS, group, id.as_bytes()), progress.encode())
        };
        let open = self.open.iter().map(|o| put(&o.id, &o.progress));
        let done = self.done.iter().map(|(id, progress)| put(id, progress));
        let written = store.write(open.chain(done).collect());
        self.done.clear();
        written.map_err(|e| self.state_fault(e))
    }

    fn state_fault(&self, error: StateError) -> RuntimeError {
        RuntimeError::Operator {
            operator: format!("Source {}", self.parts.table_name),
            shard: self.parts.shard,
            place: None,
            error: Arc::new(OperatorError::State(error)),
        }
    }

    fn fault_at(&self, at: usize, error: ConnectorError) -> RuntimeError {
        self.fault(Some(&self.open[at].id), error)
    }

    fn fault(&self, split: Option<&str>, error: ConnectorError) -> RuntimeError {
        RuntimeError::Source {
            table: self.parts.table_name.to_string(),
            split: split.map(str::to_owned),
            shard: Some(self.parts.shard),
            error: Arc::new(error),
        }
    }
}

/// Positions of a source's splits as some shard has stored them.
///
/// # Errors
/// The store cannot be read, or holds something else.
pub(crate) fn stored_positions(store: &Store, mut each: impl FnMut(String, Progress)) -> Result<(), StateError> {
    let mut read = |_, key: &[u8], value: &[u8]| {
        let corrupt = |message: &str| StateError::Corrupt { table: "positions".into(), message: message.into() };
        let id = std::str::from_utf8(key).map_err(|_| corrupt("split id is not UTF-8"))?;
        let progress = Progress::decode(value).ok_or_else(|| corrupt("not a position of a known version"))?;
        each(id.to_owned(), progress);
        Ok(())
    };
    store.scan(FORMER_POSITIONS, &mut read)?;
    store.scan(POSITIONS, &mut read)
}

/// The largest watermark that the rows added by a batch give; `None` when all are NULL. Rows that are taken back say nothing
/// of how far time has come.
fn reached(expression: &Expression, changes: &ChangeBatch) -> Result<Option<Watermark>, OperatorError> {
    let added;
    let rows = match changes.weights().per_row() {
        None => changes.rows(),
        Some(weights) => {
            let keep = BooleanArray::from_iter(weights.iter().map(|w| Some(*w > 0)));
            added = filter_record_batch(changes.rows(), &keep)?;
            &added
        }
    };
    let values = expression.evaluate(rows)?.into_array(rows.num_rows())?;
    let ms = match values.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => {
            max(values.as_primitive::<TimestampSecondType>()).map(|v| v.saturating_mul(1000))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => max(values.as_primitive::<TimestampMillisecondType>()),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            max(values.as_primitive::<TimestampMicrosecondType>()).map(|v| v.div_euclid(1000))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            max(values.as_primitive::<TimestampNanosecondType>()).map(|v| v.div_euclid(1_000_000))
        }
        other => {
            let message = format!("the watermark is of type {other}, not TIMESTAMP");
            return Err(OperatorError::Spec { operator: "Source", message });
        }
    };
    // The end of time is told by the end of the input alone.
    Ok(ms.map(|ms| Watermark(ms.min(Watermark::END.0 - 1))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use eddyline_changes::KeyGroups;
    use eddyline_connectors::Position;
    use eddyline_state::MemoryBackend;
    use std::collections::BTreeMap;

    #[test]
    fn positions_of_former_versions_are_found_and_the_further_one_counts() {
        let store = Store::new(Arc::new(MemoryBackend::new()), 7, KeyGroups::new(4, 1), 0..4);
        let at = |position| Progress { position: Position(position), watermark: Watermark::NONE, finished: false };
        let put = |table, group, id: &str, position| {
            Write::Put(store.full_key(table, group, id.as_bytes()), at(position).encode())
        };
        let written = vec![
            put(FORMER_POSITIONS, 0, "only there", 5),
            put(FORMER_POSITIONS, 1, "in both", 5),
            put(POSITIONS, 1, "in both", 9),
            put(POSITIONS, 2, "only here", 3),
        ];
        store.write(written).expect("memory can be written");
        let mut found: BTreeMap<String, Progress> = BTreeMap::new();
        stored_positions(&store, |id, progress| {
            found.entry(id).and_modify(|p| *p = p.further(progress)).or_insert(progress);
        })
        .expect("memory can be read");
        let found: Vec<(&str, u64)> = found.iter().map(|(id, progress)| (id.as_str(), progress.position.0)).collect();
        assert_eq!(found, [("in both", 9), ("only here", 3), ("only there", 5)]);
    }
}
