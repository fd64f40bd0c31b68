//! RANGE frames with offsets: bounds by the value of the order.
//!
//! Values are taken to numbers that order as the rows do (negated where the order is descending), so that "so far before"
//! is always a smaller number. Of every value and bound the number that the bound stands for is computed by column; where it
//! lies among the values is found by two fingers that only go forward. A NULL is so far from nothing: its frame
//! reaches to the other NULLs, or to where the partition ends if the bound is UNBOUNDED.

use super::NAME;
use super::entries::{Entries, List};
use super::frames;
use crate::OperatorError;
use arrow::array::{Array, ArrayRef, AsArray, IntervalMonthDayNanoArray, Scalar};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::compute::kernels::numeric::{add_wrapping, sub_wrapping};
use arrow::datatypes::{
    DataType, Decimal128Type, Float32Type, Float64Type, Int64Type, IntervalMonthDayNanoType, TimeUnit,
};
use eddyline_plan::{Frame, FrameBound, FrameOffset};

/// By row, the values of the order and the numbers that the bounds stand for.
pub(super) enum Keys {
    Exact(Bounded<i128>),
    Float(Bounded<f64>),
}

pub(super) struct Bounded<T> {
    nulls: Option<NullBuffer>,
    values: Vec<T>,
    /// `None`: not an offset.
    start: Option<Vec<T>>,
    end: Option<Vec<T>>,
}

/// Does the frame need [`Keys`]?
pub(super) fn needs_keys(frame: &Frame) -> bool {
    let by_value = |b: &FrameBound| match b {
        FrameBound::Preceding(offset) | FrameBound::Following(offset) => !matches!(offset, FrameOffset::Count(_)),
        _ => false,
    };
    by_value(&frame.start) || by_value(&frame.end)
}

impl Keys {
    /// The numbers of `column`, the only one of the order.
    pub(super) fn new(frame: &Frame, column: &ArrayRef, descending: bool) -> Result<Self, OperatorError> {
        let nulls = column.logical_nulls();
        if column.data_type().is_floating() {
            let values = floats(column, descending);
            let bound = |b: &FrameBound| match offset(b) {
                Some((FrameOffset::Float(by), sign)) => {
                    let by = f64::from_bits(by) * f64::from(sign);
                    Some(values.iter().map(|v| v + by + 0.0).collect())
                }
                _ => None,
            };
            let (start, end) = (bound(&frame.start), bound(&frame.end));
            return Ok(Keys::Float(Bounded { nulls, values, start, end }));
        }
        let values = numbers(column, descending)?;
        let bound = |b: &FrameBound| -> Result<Option<Vec<i128>>, OperatorError> {
            Ok(match offset(b) {
                Some((FrameOffset::Exact(by), sign)) => Some(moved(&values, by, sign)),
                Some((FrameOffset::Interval { months: 0, nanos }, sign)) => Some(moved(&values, nanos, sign)),
                Some((FrameOffset::Interval { months, nanos }, sign)) => {
                    let forward = (sign > 0) != descending;
                    let values = numbers(&by_months(column, months, forward)?, descending)?;
                    Some(moved(&values, nanos, sign))
                }
                _ => None,
            })
        };
        let (start, end) = (bound(&frame.start)?, bound(&frame.end)?);
        Ok(Keys::Exact(Bounded { nulls, values, start, end }))
    }
}

/// The offset of a bound, and which way it goes.
fn offset(bound: &FrameBound) -> Option<(FrameOffset, i8)> {
    match bound {
        FrameBound::Preceding(offset) => Some((*offset, -1)),
        FrameBound::Following(offset) => Some((*offset, 1)),
        _ => None,
    }
}

fn moved(values: &[i128], by: i128, sign: i8) -> Vec<i128> {
    values.iter().map(|v| v.saturating_add(by.saturating_mul(i128::from(sign)))).collect()
}

fn floats(column: &ArrayRef, descending: bool) -> Vec<f64> {
    let sign = if descending { -1.0 } else { 1.0 };
    match column.data_type() {
        DataType::Float32 => {
            column.as_primitive::<Float32Type>().values().iter().map(|v| f64::from(*v) * sign + 0.0).collect()
        }
        _ => column.as_primitive::<Float64Type>().values().iter().map(|v| v * sign + 0.0).collect(),
    }
}

/// Integers and decimals by their digits, dates and times in nanoseconds.
fn numbers(column: &ArrayRef, descending: bool) -> Result<Vec<i128>, OperatorError> {
    let wide = |by: i128| -> Result<Vec<i128>, OperatorError> {
        let sign = if descending { -by } else { by };
        let longs = match column.data_type() {
            DataType::Date32 | DataType::Time32(_) => cast(&cast(column, &DataType::Int32)?, &DataType::Int64)?,
            _ => cast(column, &DataType::Int64)?,
        };
        Ok(longs.as_primitive::<Int64Type>().values().iter().map(|v| i128::from(*v) * sign).collect())
    };
    let nanos = |unit: &TimeUnit| match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    };
    match column.data_type() {
        DataType::Decimal128(..) => {
            let sign = if descending { -1 } else { 1 };
            Ok(column.as_primitive::<Decimal128Type>().values().iter().map(|v| v * sign).collect())
        }
        t if t.is_integer() => wide(1),
        DataType::Date32 => wide(86_400_000_000_000),
        DataType::Timestamp(unit, _) | DataType::Time32(unit) | DataType::Time64(unit) => wide(nanos(unit)),
        other => {
            let message = format!("a RANGE with an offset over a column of type {other}");
            Err(OperatorError::Spec { operator: NAME, message })
        }
    }
}

/// Dates or timestamps so many months later or earlier.
fn by_months(column: &ArrayRef, months: i32, forward: bool) -> Result<ArrayRef, OperatorError> {
    let interval = IntervalMonthDayNanoType::make_value(months, 0, 0);
    let interval = Scalar::new(IntervalMonthDayNanoArray::from(vec![interval]));
    Ok(if forward { add_wrapping(column, &interval)? } else { sub_wrapping(column, &interval)? })
}

/// Appends the beginnings and ends of the frames of a list.
pub(super) fn bounds(
    frame: &Frame,
    keys: &Keys,
    entries: &Entries,
    list: List,
    starts: &mut Vec<u32>,
    ends: &mut Vec<u32>,
) -> Result<(), OperatorError> {
    match keys {
        Keys::Exact(keys) => keys.bounds(frame, entries, list, starts, ends),
        Keys::Float(keys) => keys.bounds(frame, entries, list, starts, ends),
    }
    Ok(())
}

/// Numbers in an order that is total.
pub(super) trait Ordered: Copy {
    fn is_less(self, other: Self) -> bool;
}

impl Ordered for i128 {
    fn is_less(self, other: Self) -> bool {
        self < other
    }
}

impl Ordered for f64 {
    fn is_less(self, other: Self) -> bool {
        self.total_cmp(&other).is_lt()
    }
}

impl<T: Ordered> Bounded<T> {
    fn bounds(&self, frame: &Frame, entries: &Entries, list: List, starts: &mut Vec<u32>, ends: &mut Vec<u32>) {
        let row = |entry: u32| entries.rows[entry as usize] as usize;
        let is_null = |entry: u32| self.nulls.as_ref().is_some_and(|n| n.is_null(row(entry)));
        // NULLs stand together, at one end.
        let mut some = list.entries();
        while !some.is_empty() && is_null(some.start) {
            some.start += 1;
        }
        while !some.is_empty() && is_null(some.end - 1) {
            some.end -= 1;
        }
        let (mut first, mut last) = (some.start, some.start);
        for entry in list.entries() {
            let group = entries.group(entry);
            let by_value = some.contains(&entry);
            starts.push(match &self.start {
                Some(bound) if by_value => {
                    let bound = bound[row(entry)];
                    while first < some.end && self.values[row(first)].is_less(bound) {
                        first += 1;
                    }
                    first
                }
                Some(_) => entries.group_start(group),
                None => frames::start(frame, entries, list, entry),
            });
            ends.push(match &self.end {
                Some(bound) if by_value => {
                    let bound = bound[row(entry)];
                    while last < some.end && !bound.is_less(self.values[row(last)]) {
                        last += 1;
                    }
                    last
                }
                Some(_) => entries.group_end(group),
                None => frames::end(frame, entries, list, entry),
            });
        }
    }
}
