//! Rows that a statement writes down itself (`VALUES (1, 'a')`): computed here and now, without a job.
//!
//! A job has threads, channels and epochs, which a row of constants does not need. Not here: whatever reads a table, filters, or depends on
//! the time.

use crate::error::from_runtime;
use arrow::array::{RecordBatch, RecordBatchOptions};
use eddyline_functions::scalar::depends_on_moment;
use eddyline_operators::OperatorError;
use eddyline_plan::{CalcSpec, Dataflow, OperatorSpec};
use eddyline_planner::SqlError;
use eddyline_runtime::RuntimeError;
use std::sync::Arc;

/// The rows that come to the sink of a plan of nothing but VALUES and expressions; `None`: it is another.
///
/// # Errors
/// An expression fails on a row.
pub(crate) fn rows(dataflow: &Dataflow) -> Result<Option<RecordBatch>, SqlError> {
    let mut rows: Option<RecordBatch> = None;
    for (at, node) in dataflow.nodes().iter().enumerate() {
        let follows = matches!(node.inputs.as_slice(), [input] if input.from + 1 == at);
        match (&node.spec, rows.take()) {
            (OperatorSpec::Values(values), None) if at == 0 => rows = Some(values.rows.clone()),
            (OperatorSpec::Calc(calc), Some(before)) if follows && is_plain(calc) => {
                let computed = computed(calc, &before).map_err(|error| {
                    let operator = format!("{} #{at}", node.spec.name());
                    from_runtime(&RuntimeError::Operator { operator, shard: 0, place: None, error: Arc::new(error) })
                })?;
                rows = Some(computed);
            }
            (OperatorSpec::Sink(_), Some(before)) if follows && at + 1 == dataflow.nodes().len() => {
                return Ok(Some(before));
            }
            _ => return Ok(None),
        }
    }
    Ok(None)
}

/// Does it keep all rows, at whatever time?
fn is_plain(calc: &CalcSpec) -> bool {
    calc.predicate.is_none() && !calc.project.iter().any(|named| depends_on_moment(named.expression.physical()))
}

fn computed(calc: &CalcSpec, rows: &RecordBatch) -> Result<RecordBatch, OperatorError> {
    let column = |named: &eddyline_plan::NamedExpression| -> Result<_, OperatorError> {
        Ok(named.expression.evaluate(rows)?.into_array(rows.num_rows())?)
    };
    let columns = calc.project.iter().map(column).collect::<Result<Vec<_>, _>>()?;
    let schema = calc.output_schema(&rows.schema())?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
}
