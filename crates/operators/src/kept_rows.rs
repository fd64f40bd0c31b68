//! The rows that operators keep as they are, for whoever looks at their stored state from outside: both sides of a join, the rows of
//! Top-N and OVER, the last rows of keys, of both inputs of a set operation, of conditions on the time now.

use crate::{OperatorError, join, keyed_rows, partitions, set_operation, temporal_filter};
use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use eddyline_plan::RowsForm;
use eddyline_state::Store;

/// Rows that an operator keeps.
#[derive(Debug, Clone)]
pub struct KeptRows {
    /// Their columns; of [`RowsForm::Timed`] those that are kept.
    pub schema: SchemaRef,
    /// How they are stored.
    pub form: RowsForm,
}

/// Takes columns, and how often each row is there.
pub(crate) type EachRows<'a> = dyn FnMut(Vec<ArrayRef>, &[i64]) -> Result<(), OperatorError> + 'a;

impl KeptRows {
    /// Calls `each` with the columns of rows that are stored, some at a time, each row as often as it is there. All of them are in memory meanwhile.
    ///
    /// # Errors
    /// The state cannot be read, or `each` failed.
    pub fn read(
        &self,
        store: &Store,
        each: &mut dyn FnMut(Vec<ArrayRef>) -> Result<(), OperatorError>,
    ) -> Result<(), OperatorError> {
        let mut repeated = |columns: Vec<ArrayRef>, weights: &[i64]| {
            if weights.iter().all(|weight| *weight == 1) {
                return each(columns);
            }
            let times = |(row, weight): (usize, &i64)| std::iter::repeat_n(row as u32, (*weight).max(0) as usize);
            let rows = UInt32Array::from_iter_values(weights.iter().enumerate().flat_map(times));
            each(columns.iter().map(|column| take(column, &rows, None)).collect::<Result<_, _>>()?)
        };
        match &self.form {
            RowsForm::Side { side, keys, append_only } => {
                join::read_side(*side, keys, *append_only, &self.schema, store, &mut repeated)
            }
            RowsForm::Partitions { partition, order } => {
                partitions::read_rows(partition, order, &self.schema, store, &mut repeated)
            }
            RowsForm::Last { key } => keyed_rows::read_last(key, &self.schema, store, &mut repeated),
            RowsForm::List { key } => keyed_rows::read_lists(key, &self.schema, store, &mut repeated),
            RowsForm::Copies { side } => set_operation::read_copies(*side, &self.schema, store, &mut repeated),
            RowsForm::Timed { by, .. } => temporal_filter::read_rows(by.is_some(), &self.schema, store, &mut repeated),
            RowsForm::Slices { .. } => {
                let message = "aggregates of windows are no rows".into();
                Err(OperatorError::Spec { operator: "STATE", message })
            }
        }
    }
}
