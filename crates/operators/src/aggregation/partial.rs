use crate::OperatorError;
use arrow::array::{ArrayRef, Int8Array, Int64Array, RecordBatch, new_null_array};
use arrow::datatypes::SchemaRef;
use eddyline_changes::ChangeBatch;
use eddyline_plan::GroupAggregateSpec;
use std::sync::Arc;

/// The columns of a batch of partials, as `GroupAggregateSpec::partial_schema` lists them.
pub(crate) struct PartialBatch {
    pub(crate) keys: Vec<ArrayRef>,
    /// Rows that it stands for; `None`: 0.
    pub(crate) rows: Option<Vec<i64>>,
    /// Partials of all calls; `None`: NULL.
    pub(crate) partials: Option<Vec<ArrayRef>>,
    /// Number of the counted set, from 1, its values and per call that is over it how often they were seen.
    pub(crate) set: Option<(usize, Vec<ArrayRef>, Vec<Vec<i64>>)>,
    /// Number of rows of the batch.
    pub(crate) len: usize,
}

/// Puts a batch of partials together.
pub(crate) fn partial_batch(
    spec: &GroupAggregateSpec,
    schema: &SchemaRef,
    batch: PartialBatch,
) -> Result<ChangeBatch, OperatorError> {
    let len = batch.len;
    let mut columns = batch.keys;
    columns.push(Arc::new(Int64Array::from(batch.rows.unwrap_or_else(|| vec![0; len]))));
    let sets = spec.distinct_sets();
    let set_at = schema.index_of("set").ok().filter(|_| !sets.is_empty());
    let nulls = |columns: &mut Vec<ArrayRef>, count: usize| {
        for _ in 0..count {
            columns.push(new_null_array(schema.field(columns.len()).data_type(), len));
        }
    };
    match batch.partials {
        Some(partials) => columns.extend(partials),
        None => {
            let count = set_at.unwrap_or(schema.fields().len()) - columns.len();
            nulls(&mut columns, count);
        }
    }
    if set_at.is_some() {
        let (number, values, seen) = batch.set.unwrap_or_default();
        columns.push(Arc::new(Int8Array::from(vec![number as i8; len])));
        for (at, args) in sets.iter().enumerate() {
            if at + 1 == number {
                columns.extend(values.iter().cloned());
            } else {
                nulls(&mut columns, args.len());
            }
        }
        let mut seen = seen.into_iter();
        for call in spec.calls.iter().filter(|c| c.distinct) {
            let is_own = number > 0 && sets[number - 1] == call.args;
            let counts = if is_own { seen.next() } else { None };
            columns.push(Arc::new(Int64Array::from(counts.unwrap_or_else(|| vec![0; len]))));
        }
    }
    Ok(ChangeBatch::inserts(RecordBatch::try_new(schema.clone(), columns)?))
}
