//! Filters on the time now, maintained: rows come and go as it passes.

use arrow::datatypes::{Schema, SchemaRef};
use std::fmt;
use std::sync::Arc;

/// How the time now is compared with the time of a row, which is that of a column, minus a shift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeTest {
    /// `now < time`.
    Before,
    /// `now <= time`.
    Until,
    /// `now > time`.
    After,
    /// `now >= time`.
    From,
}

impl TimeTest {
    /// As EXPLAIN shows it.
    pub fn sign(self) -> &'static str {
        match self {
            TimeTest::Before => "<",
            TimeTest::Until => "<=",
            TimeTest::After => ">",
            TimeTest::From => ">=",
        }
    }

    /// Does a row that passes it cease to pass it one day?
    pub fn ends(self) -> bool {
        matches!(self, TimeTest::Before | TimeTest::Until)
    }
}

/// Months added to the time now: the same day of another month, or its last day where that month is shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Months {
    /// How many; negative to go back.
    pub count: i32,
    /// Whose calendar: true for that of [`TemporalFilterSpec::zone`], in whose clock the column is; false for UTC.
    pub local: bool,
}

/// `now (+ months) <test> column - shift`: one end of the time in which a row is there. NULL is never there.
///
/// With months it is more than one end: from the last days of a long month one comes to the same day of a shorter one, so that
/// a row comes and goes once on each of these days.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeBound {
    /// Column of the input, a TIMESTAMP: a moment in UTC, or, with local months, what a clock shows.
    pub column: usize,
    /// What is taken off it, in milliseconds.
    pub shift_ms: i64,
    /// The comparison.
    pub test: TimeTest,
    /// What is added to the time now.
    pub months: Option<Months>,
}

impl TimeBound {
    /// Does a row that passes it cease to pass it one day?
    pub fn ends(&self) -> bool {
        self.test.ends() || self.months.is_some()
    }
}

/// What tells the time now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Clock {
    /// The epoch's barrier, in whole milliseconds, the same for all instances.
    Wall,
    /// The watermark of the input. A row that is there already when it comes is late, and left out.
    Watermark,
}

/// The rows for which all of `bounds` hold at the time of the epoch, maintained: rows appear and are taken back as
/// time passes, without input.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TemporalFilterSpec {
    /// Which time.
    pub clock: Clock,
    /// What the time is compared with; not empty. By the watermark: one, from which on a row is there.
    pub bounds: Vec<TimeBound>,
    /// The session's time zone, an IANA name or `+hh:mm`, for months of its calendar.
    pub zone: String,
    /// True when the input is never retracted.
    pub append_only: bool,
    /// The columns of the input by which rows are dealt out to shards, so that a row and its retraction meet. `None`: they
    /// stay where they are; needs `append_only`.
    pub by: Option<Vec<usize>>,
    /// The columns of the input that are put out.
    pub output: Vec<usize>,
}

// State is found again by these words (`origin.rs`): what is new stands in them only where it is used.

impl fmt::Debug for TimeBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("TimeBound");
        out.field("column", &self.column).field("shift_ms", &self.shift_ms).field("test", &self.test);
        self.months.iter().for_each(|months| {
            out.field("months", months);
        });
        out.finish()
    }
}

impl fmt::Debug for TemporalFilterSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("TemporalFilterSpec");
        if self.clock != Clock::Wall {
            out.field("clock", &self.clock);
        }
        out.field("bounds", &self.bounds);
        if self.bounds.iter().any(|bound| bound.months.is_some_and(|months| months.local)) {
            out.field("zone", &self.zone);
        }
        out.field("append_only", &self.append_only).field("by", &self.by).field("output", &self.output).finish()
    }
}

impl TemporalFilterSpec {
    /// What the time now is called.
    pub fn now(&self) -> &'static str {
        match self.clock {
            Clock::Wall => "now",
            Clock::Watermark => "watermark",
        }
    }

    /// The columns that are kept of a row, in their order: those by which rows are dealt out, then the others that are put out.
    pub fn stored(&self) -> Vec<usize> {
        let by = self.by.as_deref().unwrap_or_default();
        by.iter().chain(self.output.iter().filter(|c| !by.contains(c))).copied().collect()
    }

    /// The output schema over `input`.
    pub fn output_schema(&self, input: &Schema) -> SchemaRef {
        Arc::new(Schema::new(self.output.iter().map(|c| input.fields()[*c].clone()).collect::<Vec<_>>()))
    }

    /// Are rows taken back because time passes?
    pub fn ends(&self) -> bool {
        self.bounds.iter().any(TimeBound::ends)
    }
}
