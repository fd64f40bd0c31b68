//! What generating sources share: a reader that hands out row numbers, as fast as possible or at a rate, and the
//! way of numbering splits. The rows themselves are made by the connector's decoder, on the shard.

use crate::{Clock, ConnectorError, Payload, Position, RawBlock, Rim, Split, SplitReader};
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Rows of one block: enough to pay for handing it over, little enough to be fair to other tasks.
const BLOCK_ROWS: u64 = 16 * 1024;

/// At a high rate rows are handed out in portions of this time.
const PORTION: Duration = Duration::from_millis(5);

/// Positions to make rows of, and the wall time at which they were asked for.
pub(crate) struct Numbers {
    pub(crate) positions: Range<u64>,
    pub(crate) wall_ms: i64,
}

/// Hands out the numbers `from..end`, at most `per_second` of them in a second.
pub(crate) struct NumberReader {
    next: u64,
    end: u64,
    pace: Option<Pace>,
    clock: Arc<dyn Clock>,
}

/// Row `first + i` is due `i / per_second` seconds after `start`.
struct Pace {
    per_second: f64,
    first: u64,
    start: Duration,
}

impl Pace {
    /// The end of the rows that are due at `now`.
    fn due(&self, now: Duration) -> u64 {
        let elapsed = now.saturating_sub(self.start).as_secs_f64();
        self.first.saturating_add((elapsed * self.per_second) as u64).saturating_add(1)
    }

    /// When `row` is due. Rounded up to the next microsecond, so that it is due then indeed.
    fn at(&self, row: u64) -> Duration {
        let seconds = (row - self.first) as f64 / self.per_second;
        self.start + Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX / 2) + Duration::from_micros(1)
    }
}

impl NumberReader {
    /// A reader of `split` from `from` on; `per_second: None` means as fast as possible.
    pub(crate) fn open(split: &Split, from: Position, per_second: Option<f64>, rim: &Rim) -> Box<dyn SplitReader> {
        let first = split.range.start.max(from.0);
        let pace = per_second.map(|per_second| Pace { per_second, first, start: rim.clock.monotonic() });
        Box::new(Self { next: first, end: split.range.end, pace, clock: rim.clock.clone() })
    }
}

impl SplitReader for NumberReader {
    fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<RawBlock>, ConnectorError>> {
        if self.next >= self.end {
            return Poll::Ready(Ok(None));
        }
        let mut end = self.end.min(self.next + BLOCK_ROWS);
        if let Some(pace) = &self.pace {
            let now = self.clock.monotonic();
            let due = pace.due(now);
            if due <= self.next {
                self.clock.wake_at(pace.at(self.next).max(now + PORTION.min(pace.at(end) - now)), cx.waker().clone());
                return Poll::Pending;
            }
            end = end.min(due);
        }
        let positions = self.next..end;
        self.next = end;
        let (start, end) = (Position(positions.start), Position(positions.end));
        let payload = Payload::Own(Box::new(Numbers { positions, wall_ms: self.clock.wall_ms() }));
        Poll::Ready(Ok(Some(RawBlock { payload, start, end })))
    }
}

/// The numbers of a block that a [`NumberReader`] made.
pub(crate) fn numbers(block: RawBlock) -> Numbers {
    match block.payload {
        Payload::Own(own) => *own.downcast().expect("a generator's blocks come from its own reader"),
        _ => unreachable!("a generator's blocks come from its own reader"),
    }
}

/// One split per shard: all of them run side by side, so that event time moves on in all of them together.
pub(crate) fn splits(name: &str, shards: usize, range: impl Fn(u64, u64) -> Range<u64>) -> Vec<Split> {
    let count = shards.max(1) as u64;
    (0..count).map(|i| Split { id: format!("{name}-{i}-of-{count}"), range: range(i, count) }).collect()
}

/// The `(number, of)` in a split's id.
pub(crate) fn number_of(split: &Split) -> Result<(u64, u64), ConnectorError> {
    let mut words = split.id.rsplit('-');
    let of = words.next().and_then(|w| w.parse().ok());
    let number = words.nth(1).and_then(|w| w.parse().ok());
    number
        .zip(of)
        .ok_or_else(|| ConnectorError::Format { place: split.id.clone(), message: "is no split of this source".into() })
}
