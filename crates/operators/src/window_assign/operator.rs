use crate::event_time::{window_columns, window_millis};
use crate::{Context, Operator, OperatorError, Rejected};
use arrow::array::{Array, RecordBatch, UInt32Array};
use arrow::compute::is_not_null;
use arrow::datatypes::{DataType, SchemaRef};
use eddyline_changes::ChangeBatch;
use eddyline_plan::{Window, WindowAssignSpec};

const NAME: &str = "WindowAssign";

/// See the room's front page.
pub(crate) struct WindowAssign {
    window: Window,
    time: usize,
    time_type: DataType,
    output: SchemaRef,
}

impl WindowAssign {
    pub(crate) fn new(spec: &WindowAssignSpec, input: &SchemaRef, output: &SchemaRef) -> Self {
        let time_type = input.field(spec.time).data_type().clone();
        Self { window: spec.window, time: spec.time, time_type, output: output.clone() }
    }

    fn emit(&self, changes: &ChangeBatch, starts: Vec<i64>, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let mut columns = changes.rows().columns().to_vec();
        columns.extend(window_columns(&self.time_type, self.window.size_ms(), starts));
        ctx.emit(changes.with_rows(RecordBatch::try_new(self.output.clone(), columns)?)?)?;
        Ok(())
    }
}

impl Operator for WindowAssign {
    fn process(&mut self, _input: usize, changes: ChangeBatch, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let time = changes.column(self.time);
        let nulls = time.null_count();
        ctx.reject(Rejected::NullTime, nulls as u64);
        let changes = if nulls > 0 { changes.filter(&is_not_null(time)?)? } else { changes };
        let times = window_millis(NAME, &self.window, changes.column(self.time))?;
        match self.window {
            Window::Tumble { .. } => {
                let starts = times.values().iter().map(|t| self.window.slice_start(*t)).collect();
                self.emit(&changes, starts, ctx)
            }
            Window::Hop { .. } => {
                let (mut rows, mut starts) = (Vec::new(), Vec::new());
                for (row, time) in times.values().iter().enumerate() {
                    starts.extend(self.window.starts_of(*time));
                    rows.resize(starts.len(), row as u32);
                }
                self.emit(&changes.take(&UInt32Array::from(rows))?, starts, ctx)
            }
        }
    }
}
