use crate::ChangeBatch;
use std::fmt;

/// A consistent cut through the whole dataflow, counted from 1 within a job. Epoch 0 is "before any input".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch that follows.
    pub fn next(self) -> Epoch {
        Epoch(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Event time up to which the input is complete, in milliseconds since 1970-01-01T00:00:00.
///
/// A row whose event time is `<= watermark` is late. [`Watermark::NONE`] says nothing is known yet,
/// [`Watermark::END`] says no row will follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Watermark(pub i64);

impl Watermark {
    /// Nothing is known of event time yet.
    pub const NONE: Watermark = Watermark(i64::MIN);
    /// The input is finished.
    pub const END: Watermark = Watermark(i64::MAX);

    /// The watermark as milliseconds, `None` for [`NONE`](Self::NONE) and [`END`](Self::END).
    pub fn as_millis(self) -> Option<i64> {
        (self != Self::NONE && self != Self::END).then_some(self.0)
    }
}

impl fmt::Display for Watermark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NONE => f.write_str("none"),
            Self::END => f.write_str("end"),
            Watermark(ms) => match arrow::temporal_conversions::timestamp_ms_to_datetime(ms) {
                Some(t) => write!(f, "{}", t.format("%Y-%m-%d %H:%M:%S%.3f")),
                None => write!(f, "{ms} ms"),
            },
        }
    }
}

/// What the barrier asks of those it passes. It carries nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BarrierKind {
    /// Make the epoch visible.
    Flush,
    /// Make the epoch visible and its state durable.
    Checkpoint,
    /// The last barrier: make the epoch visible and stop.
    Stop,
}

/// The end of an epoch, travelling in-band. Whoever has several inputs waits for it on all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Barrier {
    /// The epoch that ends here.
    pub epoch: Epoch,
    /// What is asked.
    pub kind: BarrierKind,
    /// When it was cut, in milliseconds since 1970-01-01T00:00:00Z: one time for all of the epoch's end, wherever it is
    /// computed. It never goes back from one epoch to the next.
    pub time_ms: i64,
}

/// One element of a stream.
#[derive(Debug, Clone)]
pub enum StreamElement {
    /// Rows with weights.
    Changes(ChangeBatch),
    /// Event time moved, or the sender is back from [`Idle`](Self::Idle).
    Watermark(Watermark),
    /// The sender has had no rows for its timeout: until its next watermark, its event time holds nobody back.
    Idle,
    /// An epoch ends.
    Barrier(Barrier),
}
