//! From when until when rows are there, by their columns.

use super::NAME;
use crate::OperatorError;
use crate::event_time::millis;
use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use eddyline_changes::ChangeBatch;
use eddyline_plan::{TimeBound, TimeTest};

/// `until` of rows that never go.
pub(super) const FOREVER: i64 = i64::MAX;

/// Per row, the milliseconds `[from, until)` in which it is there.
pub(super) struct Times {
    pub(super) from: Vec<i64>,
    pub(super) until: Vec<i64>,
}

impl Times {
    /// The times of a batch's rows; a row that is never there has `until <= from`.
    pub(super) fn of(bounds: &[TimeBound], changes: &ChangeBatch) -> Result<Self, OperatorError> {
        let rows = changes.num_rows();
        let mut times = Self { from: vec![i64::MIN; rows], until: vec![FOREVER; rows] };
        for bound in bounds {
            times.narrow(bound, changes.column(bound.column))?;
        }
        Ok(times)
    }

    /// `now < t` ends at the first whole millisecond that is not before `t`, `now <= t` at the first after it; the other
    /// two begin there.
    fn narrow(&mut self, bound: &TimeBound, column: &ArrayRef) -> Result<(), OperatorError> {
        let floor = millis(NAME, column)?;
        let after = |row: usize| floor.value(row).saturating_add(1);
        let fraction = fractions(column);
        let not_before =
            |row: usize| floor.value(row).saturating_add(i64::from(fraction.as_ref().is_some_and(|f| f[row])));
        let at = |row: usize| match bound.test {
            TimeTest::Before | TimeTest::From => not_before(row),
            TimeTest::Until | TimeTest::After => after(row),
        };
        let side = if bound.test.ends() { &mut self.until } else { &mut self.from };
        for (row, time) in side.iter_mut().enumerate() {
            let at = at(row).saturating_sub(bound.shift_ms);
            *time = if bound.test.ends() { at.min(*time) } else { at.max(*time) };
        }
        if let Some(nulls) = floor.nulls() {
            (0..floor.len()).filter(|row| nulls.is_null(*row)).for_each(|row| self.until[row] = i64::MIN);
        }
        Ok(())
    }
}

/// Which times lie within a millisecond; `None` for types that know no less.
fn fractions(column: &ArrayRef) -> Option<Vec<bool>> {
    let unit = match column.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => 1_000_000,
        _ => return None,
    };
    let values: Int64Array = arrow::compute::cast(column, &DataType::Int64).ok()?.as_primitive::<Int64Type>().clone();
    Some(values.values().iter().map(|v| v.rem_euclid(unit) != 0).collect())
}
