//! Event-time windows and the aggregate over them.
//!
//! Times are milliseconds since 1970-01-01T00:00:00 of the column's clock (as in Flink, which cuts finer
//! fractions off). A window is `[start, end)`; its rowtime is `end - 1 ms`.
//!
//! **Slices.** A HOP of `size` and `slide` is cut into slices of `gcd(size, slide)`: a row belongs to exactly one
//! slice, and a window is a run of slices, so the work per row does not grow with `size / slide`. A TUMBLE is
//! the window of one slice.

use crate::aggregate::{AggregateCall, AggregatePhase, partial_fields};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// How event time is cut into windows. All lengths in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Window {
    /// Fixed windows of `size` that do not overlap, `[offset + k·size, offset + (k+1)·size)`.
    Tumble {
        /// Length, > 0.
        size_ms: i64,
        /// Shift of the window starts.
        offset_ms: i64,
    },
    /// Windows of `size` that begin every `slide`.
    Hop {
        /// Length, > 0.
        size_ms: i64,
        /// Distance between two starts, > 0; may be larger than `size` (then some rows are in no window).
        slide_ms: i64,
        /// Shift of the window starts.
        offset_ms: i64,
    },
}

impl Window {
    /// Length of a window in milliseconds.
    pub fn size_ms(&self) -> i64 {
        match *self {
            Window::Tumble { size_ms, .. } | Window::Hop { size_ms, .. } => size_ms,
        }
    }

    /// Distance between the starts of two windows in milliseconds.
    pub fn slide_ms(&self) -> i64 {
        match *self {
            Window::Tumble { size_ms, .. } => size_ms,
            Window::Hop { slide_ms, .. } => slide_ms,
        }
    }

    /// Shift of the window starts in milliseconds.
    pub fn offset_ms(&self) -> i64 {
        match *self {
            Window::Tumble { offset_ms, .. } | Window::Hop { offset_ms, .. } => offset_ms,
        }
    }

    /// Length of a slice in milliseconds.
    pub fn slice_ms(&self) -> i64 {
        gcd(self.size_ms(), self.slide_ms())
    }

    /// The times whose windows begin and end within 64 bits. The methods below are right for these times only; for
    /// others they return something, and never panic. Who reads rows checks their times against it.
    pub fn times(&self) -> RangeInclusive<i64> {
        match self.size_ms().checked_add(self.slide_ms()) {
            Some(margin) => i64::MIN + margin..=i64::MAX - margin,
            None => RangeInclusive::new(1, 0),
        }
    }

    /// Start of the slice that `time_ms` falls into.
    #[inline]
    pub fn slice_start(&self, time_ms: i64) -> i64 {
        start_before(time_ms, self.slice_ms(), self.offset_ms())
    }

    /// Starts of all windows that hold `time_ms`, earliest first. At most `ceil(size / slide)` of them.
    pub fn starts_of(&self, time_ms: i64) -> impl Iterator<Item = i64> + use<> {
        let slide = self.slide_ms();
        let last = start_before(time_ms, slide, self.offset_ms());
        // The windows that begin at last, last - slide, … and end after `time_ms`.
        let rest = self.size_ms().wrapping_sub(time_ms.wrapping_sub(last)).wrapping_sub(1);
        let count = rest.div_euclid(slide).wrapping_add(1);
        (0..count.max(0)).rev().map(move |k| last.wrapping_sub(k.wrapping_mul(slide)))
    }

    /// Start of the latest window that holds `time_ms`; `None` between two windows.
    #[inline]
    pub fn last_start_of(&self, time_ms: i64) -> Option<i64> {
        let last = start_before(time_ms, self.slide_ms(), self.offset_ms());
        (time_ms.wrapping_sub(last) < self.size_ms()).then_some(last)
    }
}

/// The greatest `offset + k·step` that is at most `time`. All steps of an offset are the same, so a large one does no harm.
#[inline]
fn start_before(time: i64, step: i64, offset: i64) -> i64 {
    time.wrapping_sub(time.wrapping_sub(offset.rem_euclid(step)).rem_euclid(step))
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The columns that a window gives its rows: `window_start`, `window_end`, `window_time`, all TIMESTAMP(3).
/// `time` is the time column; a TIMESTAMP_LTZ time column gives LTZ window columns.
pub fn window_fields(time: &DataType) -> [FieldRef; 3] {
    let zone = match time {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    ["window_start", "window_end", "window_time"]
        .map(|name| Arc::new(Field::new(name, DataType::Timestamp(TimeUnit::Millisecond, zone.clone()), false)))
}

/// Appends the window columns to every row; a row in `n` windows comes out `n` times.
///
/// Input: any change mode. A row with NULL time is dropped and counted as rejected.
/// Output: input columns, then [`window_fields`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WindowAssignSpec {
    /// The windows.
    pub window: Window,
    /// The time column of the input.
    pub time: usize,
}

/// An aggregate per key and window which emits a window's rows once, when the watermark has passed its end, and
/// then forgets it. The output is append-only.
///
/// Input of [`AggregatePhase::Single`] and [`AggregatePhase::Local`]: rows, append-only or not.
/// Output of `Local`: keys, `slice_start BIGINT` (ms), `rows BIGINT` (input rows, Σ weight), then per call its
/// [`partial_fields`]: changes since the last flush, to be merged. A local pre-aggregate must hand its partials
/// on before a watermark that reaches into a pending slice.
/// Output of `Single` and `Global`: keys, one column per call, then [`window_fields`].
/// `Distinct` does not occur.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WindowAggregateSpec {
    /// The windows.
    pub window: Window,
    /// Time column of the rows; in `Global`, of the rows that `Local` read (type only).
    pub time: usize,
    /// Type of the time column.
    pub time_type: DataType,
    /// Key columns: of the rows; in `Global`, `0..keys.len()`.
    pub keys: Vec<usize>,
    /// The aggregates. Column numbers refer to the rows that `Single` or `Local` reads.
    pub calls: Vec<AggregateCall>,
    /// Which part of a two-phase aggregation this is.
    pub phase: AggregatePhase,
    /// True when the rows that `Single` or `Local` reads are never retracted: MIN and MAX then keep one value.
    pub append_only: bool,
}

impl WindowAggregateSpec {
    /// The output schema over `input`.
    pub fn output_schema(&self, input: &Schema) -> SchemaRef {
        let mut fields: Vec<FieldRef> = self.keys.iter().map(|k| input.fields()[*k].clone()).collect();
        match self.phase {
            AggregatePhase::Local => {
                fields.push(Arc::new(Field::new("slice_start", DataType::Int64, false)));
                fields.push(Arc::new(Field::new("rows", DataType::Int64, false)));
                for (at, call) in self.calls.iter().enumerate() {
                    fields.extend(partial_fields(at, call));
                }
            }
            _ => {
                fields.extend(self.calls.iter().map(AggregateCall::field));
                fields.extend(window_fields(&self.time_type));
            }
        }
        Arc::new(Schema::new(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_in_every_window_that_covers_it_and_in_no_other() {
        for (size, slide, offset) in [(10, 2, 0), (10, 10, 3), (5, 3, -1), (3, 7, 2), (7, 7, 0)] {
            let w = Window::Hop { size_ms: size, slide_ms: slide, offset_ms: offset };
            for t in -40..40 {
                let found: Vec<i64> = w.starts_of(t).collect();
                let wanted: Vec<i64> =
                    (-100..100).map(|k| offset + k * slide).filter(|s| *s <= t && t < *s + size).collect();
                assert_eq!(found, wanted, "{w:?} at {t}");
                assert_eq!(w.last_start_of(t), wanted.last().copied());
                let slice = w.slice_start(t);
                assert!(slice <= t && t < slice + w.slice_ms());
                assert_eq!((slice - offset).rem_euclid(w.slice_ms()), 0);
            }
        }
    }

    #[test]
    fn the_extremes_are_either_right_or_out_of_range() {
        let days = |n: i64| n * 86_400_000;
        for (size, slide, offset) in [(10, 10, 3), (7, 3, i64::MIN), (days(7), days(1), i64::MAX), (1, 5, -1)] {
            let w = Window::Hop { size_ms: size, slide_ms: slide, offset_ms: offset };
            assert!(!w.times().contains(&i64::MIN) && !w.times().contains(&i64::MAX));
            for t in [*w.times().start(), *w.times().end(), 253_402_300_799_999, -62_135_596_800_000] {
                assert!(w.times().contains(&t));
                let slice = i128::from(w.slice_start(t));
                assert!(slice <= t.into() && i128::from(t) < slice + i128::from(w.slice_ms()));
                assert_eq!((slice - i128::from(offset)).rem_euclid(w.slice_ms().into()), 0);
                let first = (i128::from(t) - i128::from(size) + 1 - i128::from(offset) + i128::from(slide) - 1)
                    .div_euclid(slide.into());
                let last = (i128::from(t) - i128::from(offset)).div_euclid(slide.into());
                let wanted: Vec<i128> = (first..=last).map(|k| i128::from(offset) + k * i128::from(slide)).collect();
                let found: Vec<i128> = w.starts_of(t).map(i128::from).collect();
                assert_eq!(found, wanted, "{w:?} at {t}");
                assert_eq!(w.last_start_of(t).map(i128::from), wanted.last().copied());
            }
            for t in [i64::MIN, i64::MAX] {
                let _ = (w.slice_start(t), w.starts_of(t).take(3).count(), w.last_start_of(t));
            }
        }
        let whole = Window::Tumble { size_ms: i64::MAX, offset_ms: 0 };
        assert!(whole.times().is_empty());
        let _ = (whole.slice_start(-5), whole.starts_of(-5).take(3).count());
    }
}
