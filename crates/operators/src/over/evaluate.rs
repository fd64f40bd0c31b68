//! The results of all calls for some entries.

use super::aggregate::{self, Aggregate};
use super::entries::Entries;
use super::frames::Frames;
use super::positions::{self, Looked};
use super::range::{self, Keys};
use crate::OperatorError;
use arrow::array::{ArrayRef, AsArray, UInt32Array};
use arrow::compute::{interleave, take};
use eddyline_plan::{Frame, OrderColumn, OverCall, OverFunction, OverSpec};

/// Columns of the input, of some rows. Those that nobody reads are not there.
pub(super) struct Columns {
    /// By column of the input.
    columns: Vec<Option<ArrayRef>>,
}

impl Columns {
    /// `columns` are those at `at`, of `width`.
    pub(super) fn new(width: usize, at: &[usize], columns: Vec<ArrayRef>) -> Self {
        let mut all = vec![None; width];
        at.iter().zip(columns).for_each(|(at, column)| all[*at] = Some(column));
        Self { columns: all }
    }

    /// A column that somebody reads.
    pub(super) fn get(&self, column: usize) -> &ArrayRef {
        self.columns[column].as_ref().expect("all columns that are read were asked for")
    }

    /// A column, if it is there.
    pub(super) fn find(&self, column: usize) -> Option<&ArrayRef> {
        self.columns[column].as_ref()
    }
}

/// All calls of a spec.
pub(super) struct Calls {
    calls: Vec<(OverCall, Option<Aggregate>)>,
    order: Vec<OrderColumn>,
    /// The columns that are read, each once.
    pub(super) read: Vec<usize>,
    /// Must copies of a row be looked at one by one?
    pub(super) one_by_one: bool,
}

impl Calls {
    pub(super) fn new(spec: &OverSpec) -> Result<Self, OperatorError> {
        let mut read: Vec<usize> = spec.calls.iter().flat_map(|c| c.function.columns()).collect();
        let by_value = |c: &OverCall| c.function.frame().is_some_and(range::needs_keys);
        if spec.calls.iter().any(by_value) {
            read.extend(spec.order.first().map(|o| o.column));
        }
        read.sort_unstable();
        read.dedup();
        let made = |call: &OverCall| {
            let aggregate = match &call.function {
                OverFunction::Aggregate { call, .. } => Some(Aggregate::new(call)?),
                _ => None,
            };
            Ok((call.clone(), aggregate))
        };
        Ok(Self {
            calls: spec.calls.iter().map(made).collect::<Result<_, OperatorError>>()?,
            order: spec.order.clone(),
            read,
            one_by_one: spec.calls.iter().any(|c| c.function.tells_copies_apart()),
        })
    }

    /// One column per call, by entry.
    pub(super) fn evaluate(&mut self, entries: &Entries, columns: &Columns) -> Result<Vec<ArrayRef>, OperatorError> {
        let mut known: Vec<(Frame, Frames)> = Vec::new();
        let order = self.order.first().copied();
        let mut results = Vec::with_capacity(self.calls.len());
        for (call, aggregate) in &mut self.calls {
            let none = Frames::default();
            let frames = match call.function.frame() {
                None => &none,
                Some(frame) => {
                    let at = match known.iter().position(|(f, _)| f == frame) {
                        Some(at) => at,
                        None => {
                            let frames = frames(frame, entries, columns, order)?;
                            known.push((frame.clone(), frames));
                            known.len() - 1
                        }
                    };
                    &known[at].1
                }
            };
            results.push(match aggregate {
                Some(aggregate) => aggregate.results(entries, frames, columns)?,
                None => result(call, entries, frames, columns)?,
            });
        }
        Ok(results)
    }
}

fn frames(
    frame: &Frame,
    entries: &Entries,
    columns: &Columns,
    order: Option<OrderColumn>,
) -> Result<Frames, OperatorError> {
    let keys = match order.filter(|_| range::needs_keys(frame)) {
        Some(order) => Some(Keys::new(frame, columns.get(order.column), order.descending)?),
        None => None,
    };
    Frames::new(frame, entries, keys.as_ref())
}

/// The results of a call that is no aggregate.
fn result(call: &OverCall, entries: &Entries, frames: &Frames, columns: &Columns) -> Result<ArrayRef, OperatorError> {
    Ok(match &call.function {
        OverFunction::RowNumber => positions::row_number(entries),
        OverFunction::Rank => positions::rank(entries),
        OverFunction::DenseRank => positions::dense_rank(entries),
        OverFunction::PercentRank => positions::percent_rank(entries),
        OverFunction::CumeDist => positions::cume_dist(entries),
        OverFunction::Ntile(buckets) => positions::ntile(entries, *buckets),
        OverFunction::Shift { value, offset, default, ignore_nulls } => {
            let values = columns.get(*value);
            let rows = positions::shifted_rows(entries, &Looked::new(entries, values, *ignore_nulls), *offset);
            match default {
                None => take(values, &UInt32Array::from(rows), None)?,
                Some(default) => {
                    let own = |(row, own): (&Option<u32>, &u32)| match row {
                        Some(row) => (0, *row as usize),
                        None => (1, *own as usize),
                    };
                    let places: Vec<(usize, usize)> = rows.iter().zip(&entries.rows).map(own).collect();
                    interleave(&[values.as_ref(), columns.get(*default).as_ref()], &places)?
                }
            }
        }
        OverFunction::Nth { value, n, from_last, ignore_nulls, .. } => {
            let values = columns.get(*value);
            let looked = Looked::new(entries, values, *ignore_nulls);
            let rows = positions::nth_rows(entries, frames, &looked, *n, *from_last);
            take(values, &UInt32Array::from(rows), None)?
        }
        OverFunction::Collect { value, separator, filter, .. } => {
            let filter = filter.map(|f| columns.get(f).as_boolean());
            match separator {
                None => aggregate::arrays(entries, frames, columns.get(*value), filter, &call.return_type)?,
                Some(separator) => aggregate::texts(entries, frames, columns.get(*value), filter, separator)?,
            }
        }
        OverFunction::Aggregate { .. } => {
            let message = "an aggregate without an accumulator".into();
            return Err(OperatorError::Spec { operator: super::NAME, message });
        }
    })
}
