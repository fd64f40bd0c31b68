use super::elements::{Lists, Places, spread};
use crate::{Context, Operator, OperatorError};
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use eddyline_changes::{ChangeBatch, Weights};
use eddyline_plan::UnnestSpec;
use std::sync::Arc;

const NAME: &str = "Unnest";

/// See the room's front page.
pub(crate) struct Unnest {
    spec: UnnestSpec,
    /// Columns of the input; those of the elements follow.
    width: usize,
    output: SchemaRef,
    /// Is any column of the elements put out?
    reads_elements: bool,
}

impl Unnest {
    pub(crate) fn new(spec: &UnnestSpec, input: &SchemaRef, output: &SchemaRef) -> Self {
        let width = input.fields().len();
        let ordinality = spec.ordinality.then(|| spec.all_columns(input).len() - 1);
        let reads_elements = spec.output.iter().any(|c| *c >= width && Some(*c) != ordinality);
        Self { spec: spec.clone(), width, output: output.clone(), reads_elements }
    }

    fn batch(&self, changes: &ChangeBatch, lists: &[Lists], places: Places) -> Result<ChangeBatch, OperatorError> {
        let mut added: Vec<ArrayRef> = Vec::new();
        if self.reads_elements {
            for list in lists {
                added.extend(spread(places.elements(list)?)?);
            }
        }
        let ordinality = places.ordinality();
        let rows = UInt32Array::from(places.rows);
        let column = |c: &usize| match c.checked_sub(self.width) {
            None => Ok(take(changes.column(*c), &rows, None)?),
            Some(at) if at < added.len() => Ok(added[at].clone()),
            Some(_) => Ok(Arc::new(ordinality.clone()) as ArrayRef),
        };
        let columns = self.spec.output.iter().map(column).collect::<Result<Vec<_>, OperatorError>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let batch = RecordBatch::try_new_with_options(self.output.clone(), columns, &options)?;
        let weights = match changes.weights() {
            Weights::AllInserts => Weights::AllInserts,
            Weights::PerRow(w) => Weights::from_vec(rows.values().iter().map(|row| w[*row as usize]).collect()),
        };
        Ok(ChangeBatch::new(batch, weights)?)
    }
}

impl Operator for Unnest {
    fn process(&mut self, _input: usize, changes: ChangeBatch, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let lists = self.spec.lists.iter().map(|c| Lists::of(changes.column(*c))).collect::<Option<Vec<_>>>();
        let wrong = |message: &str| OperatorError::Spec { operator: NAME, message: message.into() };
        let lists = lists.ok_or_else(|| wrong("a column is neither ARRAY nor MAP"))?;
        for places in Places::of(&lists, changes.num_rows(), self.spec.outer) {
            ctx.emit(self.batch(&changes, &lists, places)?)?;
        }
        Ok(())
    }
}
