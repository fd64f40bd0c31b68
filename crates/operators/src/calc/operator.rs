use crate::{Context, Operator, OperatorError, columns_read};
use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::buffer::ScalarBuffer;
use arrow::compute::{FilterBuilder, filter};
use arrow::datatypes::SchemaRef;
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::Column;
use eddyline_changes::{ChangeBatch, Weights};
use eddyline_functions::scalar::{self, Moments};
use eddyline_plan::CalcSpec;
use std::sync::Arc;

/// See the room's front page.
pub(crate) struct Calc {
    predicate: Option<Arc<dyn PhysicalExpr>>,
    /// Columns of the input that the projection reads, ascending.
    read: Vec<usize>,
    /// The input's schema cut down to `read`.
    read_schema: SchemaRef,
    project: Vec<Projected>,
    output: SchemaRef,
    /// What expressions that tell the time or draw lots are bound to; set before every batch.
    moments: Option<Arc<Moments>>,
}

enum Projected {
    /// Column of the columns that are read, passed on as it is.
    Pass(usize),
    /// Over the columns that are read.
    Compute(Arc<dyn PhysicalExpr>),
}

/// What the predicate says of a batch.
enum Kept {
    All,
    None,
    Some(BooleanArray),
}

impl Calc {
    pub(crate) fn new(spec: &CalcSpec, input: &SchemaRef, output: &SchemaRef) -> Result<Self, OperatorError> {
        let read = columns_read::columns_read(spec.project.iter().map(|e| e.expression.physical()));
        let all = || spec.project.iter().map(|e| &e.expression).chain(&spec.predicate);
        let moments = all().any(|e| scalar::depends_on_moment(e.physical())).then(Arc::<Moments>::default);
        let bound = |e: &Arc<dyn PhysicalExpr>| moments.as_ref().map_or_else(|| e.clone(), |m| scalar::at(e, m));
        let project = spec.project.iter().map(|e| projected(&bound(e.expression.physical()), &read));
        Ok(Self {
            predicate: spec.predicate.as_ref().map(|p| bound(p.physical())),
            read_schema: Arc::new(input.project(&read)?),
            project: project.collect::<Result<_, _>>()?,
            read,
            output: output.clone(),
            moments,
        })
    }

    fn keep(&self, rows: &RecordBatch) -> Result<Kept, OperatorError> {
        let Some(predicate) = &self.predicate else { return Ok(Kept::All) };
        let mask = predicate.evaluate(rows)?.into_array(rows.num_rows())?;
        let mask = mask.as_boolean();
        Ok(match mask.true_count() {
            0 => Kept::None,
            all if all == mask.len() => Kept::All,
            _ => Kept::Some(mask.clone()),
        })
    }
}

/// The expression over the columns `read`.
fn projected(expression: &Arc<dyn PhysicalExpr>, read: &[usize]) -> Result<Projected, OperatorError> {
    Ok(match expression.downcast_ref::<Column>() {
        Some(column) => Projected::Pass(columns_read::place(column, read)),
        None => Projected::Compute(columns_read::over(expression, read)?),
    })
}

fn filter_rows(columns: Vec<ArrayRef>, mask: &BooleanArray) -> Result<Vec<ArrayRef>, OperatorError> {
    let mut builder = FilterBuilder::new(mask);
    if columns.len() > 1 {
        builder = builder.optimize();
    }
    let predicate = builder.build();
    Ok(columns.iter().map(|c| predicate.filter(c)).collect::<Result<_, _>>()?)
}

fn filter_weights(weights: &Weights, mask: &BooleanArray) -> Result<Weights, OperatorError> {
    Ok(match weights {
        Weights::AllInserts => Weights::AllInserts,
        Weights::PerRow(w) => {
            let column = arrow::array::Int64Array::new(w.clone(), None);
            let kept: ScalarBuffer<i64> =
                filter(&column, mask)?.as_primitive::<arrow::datatypes::Int64Type>().values().clone();
            Weights::PerRow(kept)
        }
    })
}

impl Operator for Calc {
    fn process(&mut self, _input: usize, changes: ChangeBatch, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        if let Some(moments) = &self.moments {
            moments.set(ctx.moment());
        }
        let read: Vec<ArrayRef> = self.read.iter().map(|c| changes.column(*c).clone()).collect();
        let (columns, weights, count) = match self.keep(changes.rows())? {
            Kept::None => return Ok(()),
            Kept::All => (read, changes.weights().clone(), changes.num_rows()),
            Kept::Some(mask) => {
                (filter_rows(read, &mask)?, filter_weights(changes.weights(), &mask)?, mask.true_count())
            }
        };
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let rows = RecordBatch::try_new_with_options(self.read_schema.clone(), columns, &options)?;
        let project = self.project.iter().map(|p| match p {
            Projected::Pass(column) => Ok(rows.column(*column).clone()),
            Projected::Compute(e) => e.evaluate(&rows)?.into_array(count).map_err(OperatorError::from),
        });
        let columns = project.collect::<Result<Vec<_>, _>>()?;
        let rows = RecordBatch::try_new_with_options(self.output.clone(), columns, &options)?;
        ctx.emit(ChangeBatch::new(rows, weights)?)?;
        Ok(())
    }
}
