//! From when until when rows are there, by their columns.

use super::NAME;
use super::calendar::Calendar;
use crate::OperatorError;
use crate::event_time::millis;
use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use eddyline_changes::ChangeBatch;
use eddyline_plan::{TimeBound, TimeTest};
use std::borrow::Cow;

/// `until` of rows that never go.
pub(super) const FOREVER: i64 = i64::MAX;

/// The times in which rows are there: the milliseconds `[from, until)`.
pub(super) struct Times {
    /// Whose time it is; `None`: there is one of each row, in order.
    rows: Option<Vec<u32>>,
    pub(super) from: Vec<i64>,
    pub(super) until: Vec<i64>,
}

impl Times {
    /// The times of a batch's rows; one that never is has `until <= from`.
    pub(super) fn of(
        bounds: &[TimeBound],
        calendars: &[Calendar],
        changes: &ChangeBatch,
    ) -> Result<Self, OperatorError> {
        let rows = changes.num_rows();
        let mut times = Self { rows: None, from: vec![i64::MIN; rows], until: vec![FOREVER; rows] };
        for bound in bounds.iter().filter(|b| b.months.is_none()) {
            times.narrow(bound, changes.column(bound.column))?;
        }
        for calendar in calendars {
            times = times.within(calendar, changes.column(calendar.bound().column))?;
        }
        Ok(times)
    }

    /// Whose time each of `times` is.
    pub(super) fn rows_of<'t>(&self, times: &'t [u32]) -> Cow<'t, [u32]> {
        match &self.rows {
            Some(rows) => times.iter().map(|at| rows[*at as usize]).collect(),
            None => Cow::Borrowed(times),
        }
    }

    /// The parts of these times that a bound with months allows: often one, on the last days of a month several.
    fn within(&self, calendar: &Calendar, column: &ArrayRef) -> Result<Self, OperatorError> {
        let floor = millis(NAME, column)?;
        let fraction = fractions(column);
        let mut parts = Self { rows: Some(Vec::new()), from: Vec::new(), until: Vec::new() };
        let rows = parts.rows.get_or_insert_default();
        let mut allowed = Vec::new();
        for (at, (from, until)) in self.from.iter().zip(&self.until).enumerate() {
            let row = self.rows.as_ref().map_or(at as u32, |rows| rows[at]);
            if from >= until || floor.is_null(row as usize) {
                continue;
            }
            let has_fraction = fraction.as_ref().is_some_and(|f| f[row as usize]);
            calendar.times(floor.value(row as usize), has_fraction, &mut allowed);
            for (begin, end) in &allowed {
                let (begin, end) = (*begin.max(from), *end.min(until));
                if begin < end {
                    rows.push(row);
                    parts.from.push(begin);
                    parts.until.push(end);
                }
            }
        }
        Ok(parts)
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
