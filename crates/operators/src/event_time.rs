//! Time columns as milliseconds and back.

use crate::OperatorError;
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, PrimitiveArray, TimestampMillisecondArray};
use arrow::compute::{max, min};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use eddyline_plan::{Window, session_times};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// A TIMESTAMP column in milliseconds; finer fractions are cut off, downward.
///
/// # Errors
/// A column of another type: a fault of the planner.
pub(crate) fn millis(operator: &'static str, column: &ArrayRef) -> Result<Int64Array, OperatorError> {
    fn map<T: ArrowPrimitiveType<Native = i64>>(
        column: &ArrayRef,
        f: impl Fn(i64) -> i64,
    ) -> PrimitiveArray<Int64Type> {
        column.as_primitive::<T>().unary(f)
    }
    Ok(match column.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => map::<TimestampSecondType>(column, |v| v.saturating_mul(1000)),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            let column = column.as_primitive::<TimestampMillisecondType>();
            Int64Array::new(column.values().clone(), column.nulls().cloned())
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            map::<TimestampMicrosecondType>(column, |v| v.div_euclid(1000))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            map::<TimestampNanosecondType>(column, |v| v.div_euclid(1_000_000))
        }
        other => {
            return Err(OperatorError::Spec { operator, message: format!("the time column is of type {other}") });
        }
    })
}

/// As [`millis`]; NULL, which never passes, is the last moment.
///
/// # Errors
/// As [`millis`].
pub(crate) fn millis_or_max(operator: &'static str, column: &ArrayRef) -> Result<Int64Array, OperatorError> {
    let times = millis(operator, column)?;
    if times.null_count() == 0 {
        return Ok(times);
    }
    Ok(Int64Array::from_iter_values(times.iter().map(|t| t.unwrap_or(i64::MAX))))
}

/// As [`millis`], for times that are put into windows.
///
/// # Errors
/// [`OperatorError::TimeRange`] for a time whose windows do not begin and end within 64 bits.
pub(crate) fn window_millis(
    operator: &'static str,
    window: &Window,
    column: &ArrayRef,
) -> Result<Int64Array, OperatorError> {
    in_range(operator, &window.times(), millis(operator, column)?)
}

/// As [`millis`], for times that are put into sessions.
///
/// # Errors
/// [`OperatorError::TimeRange`] for a time whose session does not end within 64 bits.
pub(crate) fn session_millis(
    operator: &'static str,
    gap_ms: i64,
    column: &ArrayRef,
) -> Result<Int64Array, OperatorError> {
    in_range(operator, &session_times(gap_ms), millis(operator, column)?)
}

fn in_range(
    operator: &'static str,
    range: &RangeInclusive<i64>,
    times: Int64Array,
) -> Result<Int64Array, OperatorError> {
    match [min(&times), max(&times)].into_iter().flatten().find(|t| !range.contains(t)) {
        Some(time_ms) => Err(OperatorError::TimeRange { operator, time_ms }),
        None => Ok(times),
    }
}

/// The columns window_start, window_end and window_time of windows of `size_ms` that begin at `starts`; `time` is
/// the type of the time column.
pub(crate) fn window_columns(time: &DataType, size_ms: i64, starts: Vec<i64>) -> [ArrayRef; 3] {
    let ends = starts.iter().map(|start| start + size_ms).collect();
    span_columns(time, starts, ends)
}

/// The same of windows from `starts` to `ends`.
pub(crate) fn span_columns(time: &DataType, starts: Vec<i64>, ends: Vec<i64>) -> [ArrayRef; 3] {
    let zone = match time {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    let times = ends.iter().map(|end| end - 1).collect();
    let column = |millis: Vec<i64>| TimestampMillisecondArray::from(millis).with_timezone_opt(zone.clone());
    [starts, ends, times].map(|millis| Arc::new(column(millis)) as ArrayRef)
}
