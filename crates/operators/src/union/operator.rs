use crate::{Context, Operator, OperatorError};
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use eddyline_changes::ChangeBatch;

/// See the room's front page.
pub(crate) struct Union {
    output: SchemaRef,
}

impl Union {
    pub(crate) fn new(output: &SchemaRef) -> Self {
        Self { output: output.clone() }
    }
}

impl Operator for Union {
    fn process(&mut self, _input: usize, changes: ChangeBatch, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        if changes.schema() == self.output {
            ctx.emit(changes)?;
            return Ok(());
        }
        let options = RecordBatchOptions::new().with_row_count(Some(changes.num_rows()));
        let (rows, weights) = changes.into_parts();
        let rows = RecordBatch::try_new_with_options(self.output.clone(), rows.columns().to_vec(), &options)?;
        ctx.emit(ChangeBatch::new(rows, weights)?)?;
        Ok(())
    }
}
