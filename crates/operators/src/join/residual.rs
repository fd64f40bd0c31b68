//! The condition beyond equal keys, over the columns that it reads.

use crate::OperatorError;
use crate::columns_read::{columns_read, over};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::prep_null_mask_filter;
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion_physical_expr::PhysicalExpr;
use eddyline_plan::Expression;
use std::sync::Arc;

/// A condition over pairs of rows.
pub(super) struct Residual {
    condition: Arc<dyn PhysicalExpr>,
    /// The columns that it reads, of the left, then those of the right side.
    pub(super) read: Vec<usize>,
    schema: SchemaRef,
}

impl Residual {
    /// `condition` over the columns `fields`.
    pub(super) fn new(condition: &Expression, fields: &[FieldRef]) -> Result<Self, OperatorError> {
        let read = columns_read(std::iter::once(condition.physical()));
        let condition = over(condition.physical(), &read)?;
        let schema = Arc::new(Schema::new(read.iter().map(|c| fields[*c].clone()).collect::<Vec<_>>()));
        Ok(Self { condition, read, schema })
    }

    /// For which of `rows` pairs it is true, given the columns `read`.
    pub(super) fn test(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<BooleanArray, OperatorError> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        let mask = self.condition.evaluate(&batch)?.into_array(rows)?;
        let mask = mask.as_boolean();
        Ok(if mask.null_count() > 0 { prep_null_mask_filter(mask) } else { mask.clone() })
    }
}
