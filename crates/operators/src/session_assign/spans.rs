//! Times of rows, and the sessions that they make.

use crate::OperatorError;
use crate::partitions::Rows;
use arrow::datatypes::{DataType, TimeUnit};

/// How the times of stored rows are read, and how far apart they make sessions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clocked {
    pub(super) gap_ms: i64,
    unit: TimeUnit,
}

/// A session: from its first row to `gap` after its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: i64,
    pub(super) end: i64,
}

impl Clocked {
    pub(super) fn new(gap_ms: i64, time: &DataType) -> Result<Self, OperatorError> {
        match time {
            DataType::Timestamp(unit, _) => Ok(Self { gap_ms, unit: *unit }),
            other => {
                let message = format!("the time column is of type {other}");
                Err(OperatorError::Spec { operator: super::NAME, message })
            }
        }
    }

    /// The time of a row in milliseconds. Its order is the time alone, which is not NULL: in the row format a byte that says so, then the number with the highest
    /// byte first and its sign turned over.
    #[inline]
    pub(super) fn time(&self, rows: &Rows, row: u32) -> i64 {
        let order = rows.order(row);
        let number =
            order.get(1..9).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u64::from_be_bytes(*bytes));
        let time = (number ^ (1 << 63)) as i64;
        match self.unit {
            TimeUnit::Second => time.saturating_mul(1000),
            TimeUnit::Millisecond => time,
            TimeUnit::Microsecond => time.div_euclid(1000),
            TimeUnit::Nanosecond => time.div_euclid(1_000_000),
        }
    }

    /// Where the session ends that begins at place `from` of `list`: the place behind its last row, and the time of that row. Up to `linked` its rows are known.
    pub(super) fn end_of(&self, rows: &Rows, list: &[u32], from: usize, linked: i64) -> (usize, i64) {
        let known = list[from..].partition_point(|row| self.time(rows, *row) <= linked);
        let mut at = from + known.max(1);
        let mut last = self.time(rows, list[at - 1]);
        while let Some(row) = list.get(at) {
            let time = self.time(rows, *row);
            if time - last >= self.gap_ms {
                break;
            }
            (last, at) = (time, at + 1);
        }
        (at, last)
    }

    /// The rows of `list` whose times are between two times, of which no session reaches over the first.
    pub(super) fn between<'l>(&self, rows: &Rows, list: &'l [u32], first: i64, last: i64) -> &'l [u32] {
        let from = list.partition_point(|row| self.time(rows, *row) < first);
        let to = from + list[from..].partition_point(|row| self.time(rows, *row) <= last);
        &list[from..to]
    }

    /// The sessions of rows, one for each.
    pub(super) fn spans(&self, rows: &Rows, list: &[u32]) -> Vec<Span> {
        let (mut spans, mut from) = (Vec::with_capacity(list.len()), 0);
        while from < list.len() {
            let start = self.time(rows, list[from]);
            let (to, last) = self.end_of(rows, list, from, start);
            spans.resize(to, Span { start, end: last + self.gap_ms });
            from = to;
        }
        spans
    }

    /// The rows around a time that are less than a gap apart from each other, and from it: the times of the first and the last of them, or the time itself.
    pub(super) fn around(&self, rows: &Rows, list: &[u32], (mut first, mut last): (i64, i64)) -> (i64, i64) {
        let at = list.partition_point(|row| self.time(rows, *row) < first);
        for row in list[..at].iter().rev() {
            let time = self.time(rows, *row);
            if first - time >= self.gap_ms {
                break;
            }
            first = time;
        }
        for row in &list[at..] {
            let time = self.time(rows, *row);
            if time - last >= self.gap_ms {
                break;
            }
            last = last.max(time);
        }
        (first, last)
    }
}
