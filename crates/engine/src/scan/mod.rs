//! A query that looks at rows each by itself, those of one table that the engine keeps or of a VALUES clause: answered here and now, without a job.
//!
//! A job has threads, channels and epochs; it takes longer to begin and to end them than to find a row by its key. Here rows are computed as
//! they are asked for, so that a large table is never held twice. Not here: whatever needs several rows at once, but for ORDER BY; where a LIMIT
//! follows, no more rows are held than it lets through, and some.

mod change;
mod insert;
mod prepared;

use crate::error::{from_runtime, of_arrow};
use crate::job::{ResultShape, result_shape};
use crate::kept::{IndexedRows, is_kept, name_of, replaced};
use crate::{Canceller, Limit, ResultTable, Settings};
use arrow::array::{AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::{SortOptions, concat_batches, filter_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use datafusion_physical_expr::expressions::Column;
use eddyline_catalog::Name;
use eddyline_changes::ChangeBatch;
use eddyline_functions::scalar::depends_on_moment;
use eddyline_operators::OperatorError;
use eddyline_plan::{Dataflow, Expression, NamedExpression, Node, OperatorSpec, SourceSpec};
use eddyline_planner::{PlannedJob, SortColumn, SqlError};
use eddyline_runtime::RuntimeError;
pub use prepared::Prepared;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Rows in order are looked at in pieces of so many at most.
const PIECE_ROWS: usize = 8192;

/// What is done with rows, each by itself.
#[derive(Debug, Clone)]
pub(crate) struct ScanPlan {
    input: Input,
    steps: Vec<Step>,
    shape: ResultShape,
}

#[derive(Debug, Clone)]
enum Input {
    Table(Box<SourceSpec>),
    Rows(RecordBatch),
}

/// Keep the rows for which a predicate is true, then compute columns.
#[derive(Debug, Clone)]
struct Step {
    /// As errors name it.
    operator: String,
    predicate: Option<Expression>,
    project: Vec<NamedExpression>,
    schema: SchemaRef,
}

impl ScanPlan {
    /// What a planned SELECT does, if it is of this kind.
    ///
    /// # Errors
    /// None for a plan whose expressions fit.
    pub(crate) fn of(planned: &PlannedJob, settings: &Settings) -> Result<Option<Self>, SqlError> {
        let Some((input, pieces)) = pieces(&planned.dataflow) else { return Ok(None) };
        let mut schema = match &input {
            Input::Table(source) => source.decoded(),
            Input::Rows(rows) => rows.schema(),
        };
        let mut steps = Vec::with_capacity(pieces.len());
        for (at, predicate, project) in pieces {
            let mut expressions = project.iter().map(|named| &named.expression).chain(predicate);
            if expressions.any(|e| depends_on_moment(e.physical())) {
                return Ok(None);
            }
            schema = projected(project, &schema)?;
            let operator = format!("{} #{at}", planned.dataflow.nodes()[at].spec.name());
            let (predicate, project, schema) = (predicate.clone(), project.to_vec(), schema.clone());
            steps.push(Step { operator, predicate, project, schema });
        }
        let shape = result_shape(settings, &planned.dataflow, planned.presentation.clone().unwrap_or_default());
        Ok(shape.map(|shape| Self { input, steps, shape }))
    }

    /// The columns of the table that order what is handed out, the most significant first; none where that is computed, or not asked for.
    pub(crate) fn sort(&self) -> Vec<(usize, SortOptions)> {
        let Input::Table(source) = &self.input else { return Vec::new() };
        let column = |by: &SortColumn| {
            let named = |at: usize, step: &Step| {
                Some(step.project.get(at)?.expression.physical().downcast_ref::<Column>()?.index())
            };
            let decoded = self.steps.iter().rev().try_fold(by.column, named)?;
            let options = SortOptions { descending: !by.ascending, nulls_first: by.nulls_first };
            Some((*source.projection.get(decoded)?, options))
        };
        self.shape.presentation.sort.iter().map(column).collect::<Option<_>>().unwrap_or_default()
    }

    /// What is read, if it is a table.
    pub(crate) fn source(&self) -> Option<&SourceSpec> {
        match &self.input {
            Input::Table(source) => Some(source),
            Input::Rows(_) => None,
        }
    }
}

/// The place of an operator, the rows that it keeps and what it makes of them.
type Piece<'d> = (usize, &'d Option<Expression>, &'d [NamedExpression]);

/// Where rows come from and what becomes of each until it comes to the sink, if that is all there is.
fn pieces(dataflow: &Dataflow) -> Option<(Input, Vec<Piece<'_>>)> {
    let (first, rest) = dataflow.nodes().split_first()?;
    let (last, between) = rest.split_last()?;
    let follows = |(at, node): (usize, &Node)| matches!(node.inputs.as_slice(), [input] if input.from == at);
    if !rest.iter().enumerate().all(follows) || !matches!(last.spec, OperatorSpec::Sink(_)) {
        return None;
    }
    let input = match &first.spec {
        OperatorSpec::Source(source) if is_kept(source) && source.metadata.is_empty() && source.watermark.is_none() => {
            Input::Table(Box::new(source.clone()))
        }
        OperatorSpec::Values(values) => Input::Rows(values.rows.clone()),
        _ => return None,
    };
    let mut pieces: Vec<Piece<'_>> = Vec::with_capacity(dataflow.nodes().len());
    if let OperatorSpec::Source(source) = &first.spec {
        pieces.push((0, &source.predicate, &source.project));
    }
    for (at, node) in between.iter().enumerate() {
        let OperatorSpec::Calc(calc) = &node.spec else { return None };
        pieces.push((at + 1, &calc.predicate, &calc.project));
    }
    Some((input, pieces))
}

fn projected(project: &[NamedExpression], input: &SchemaRef) -> Result<SchemaRef, SqlError> {
    let fields = project.iter().map(|e| e.field(input)).collect::<Result<Vec<_>, _>>();
    let fields = fields.map_err(|e| SqlError::new(SqlError::INTERNAL, format!("a scan: {e}")))?;
    Ok(Arc::new(arrow::datatypes::Schema::new(fields)))
}

impl Step {
    fn apply(&self, rows: &RecordBatch) -> Result<RecordBatch, OperatorError> {
        let kept = match &self.predicate {
            Some(predicate) => Some(kept(rows, predicate)?),
            None => None,
        };
        let rows = kept.as_ref().unwrap_or(rows);
        let count = rows.num_rows();
        let column =
            |e: &NamedExpression| -> Result<_, OperatorError> { Ok(e.expression.evaluate(rows)?.into_array(count)?) };
        // What computes nothing must not fail on nothing.
        let columns = match count {
            0 => return Ok(RecordBatch::new_empty(self.schema.clone())),
            _ => self.project.iter().map(column).collect::<Result<Vec<_>, _>>()?,
        };
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }
}

fn kept(rows: &RecordBatch, predicate: &Expression) -> Result<RecordBatch, OperatorError> {
    let mask = predicate.evaluate(rows)?.into_array(rows.num_rows())?;
    let mask: &BooleanArray = mask.as_boolean();
    match mask.true_count() {
        all if all == mask.len() => Ok(rows.clone()),
        _ => Ok(filter_record_batch(rows, mask)?),
    }
}

/// What is read, batch by batch.
type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>;

/// The rows of a query, computed as they are asked for.
pub struct Scan {
    steps: Vec<Step>,
    shape: ResultShape,
    batches: Batches,
    /// Those that are to be handed out in order, once all are there; `None`: as they come.
    whole: Option<ResultTable>,
    ready: VecDeque<RecordBatch>,
    limit: Limit,
    is_over: bool,
}

impl Scan {
    /// The answer of a plan; `pictures` has the rows of the table that it reads.
    ///
    /// # Errors
    /// There are none.
    pub(crate) fn new(plan: ScanPlan, pictures: &BTreeMap<Name, IndexedRows>) -> Result<Self, SqlError> {
        let sort = plan.sort();
        let ScanPlan { input, steps, shape } = plan;
        let source = match input {
            Input::Rows(rows) => return Ok(Self::over(Box::new(std::iter::once(Ok(rows))), steps, shape, false)),
            Input::Table(source) => source,
        };
        let rows = name_of(&source).and_then(|name| pictures.get(&name));
        let rows = rows.ok_or_else(|| replaced(&source.table))?;
        let found = rows.reading(&source.column_conditions(), &sort).map_err(|e| unexpected(&e))?;
        let is_sorted = found.is_sorted();
        let found = found.batches();
        let first = Limit::of(&shape.presentation).rows();
        let pieces: Batches = if is_sorted { Box::new(in_pieces(found, first)) } else { found };
        let batches = Box::new(pieces.map(move |rows| rows?.project(&source.projection)));
        Ok(Self::over(batches, steps, shape, is_sorted))
    }

    /// The answer of a plan that finds no row.
    fn nothing(plan: ScanPlan) -> Self {
        Self::over(Box::new(std::iter::empty()), plan.steps, plan.shape, false)
    }

    /// The answer of a plan where these are the rows of the table that it reads.
    ///
    /// # Errors
    /// They are rows of another table.
    pub(crate) fn of_rows(plan: ScanPlan, rows: &RecordBatch) -> Result<Self, SqlError> {
        let ScanPlan { input, steps, shape } = plan;
        let rows = match input {
            Input::Rows(rows) => rows,
            Input::Table(source) => rows.project(&source.projection).map_err(|e| unexpected(&e))?,
        };
        Ok(Self::over(Box::new(std::iter::once(Ok(rows))), steps, shape, false))
    }

    fn over(batches: Batches, steps: Vec<Step>, shape: ResultShape, is_sorted: bool) -> Self {
        let whole = (!is_sorted && !shape.presentation.sort.is_empty()).then(|| ResultTable::new(&shape));
        let limit = Limit::of(&shape.presentation);
        Self { steps, shape, batches, whole, ready: VecDeque::new(), limit, is_over: false }
    }

    /// What the result looks like.
    pub fn shape(&self) -> &ResultShape {
        &self.shape
    }

    /// The next rows, maybe none of them, with the columns that are shown; `None`: that was all.
    ///
    /// # Errors
    /// An expression fails on a row.
    pub fn next_rows(&mut self) -> Result<Option<RecordBatch>, SqlError> {
        if let Some(rows) = self.ready.pop_front() {
            return Ok(Some(rows));
        }
        if self.is_over || self.limit.is_over() {
            return Ok(None);
        }
        let Some(rows) = self.batches.next() else { return self.in_order() };
        let rows = rows.map_err(|e| unexpected(&e))?;
        let rows = self.steps.iter().try_fold(rows, |rows, step| step.apply(&rows).map_err(|e| failed(step, e)))?;
        match &mut self.whole {
            Some(whole) => {
                whole.apply(&[ChangeBatch::inserts(rows)])?;
                whole.prune()?;
                Ok(Some(RecordBatch::new_empty(self.shape.visible_schema())))
            }
            None => {
                let rows = self.limit.cut(&rows);
                self.shape.visible(&rows).map(Some).map_err(|e| unexpected(&e))
            }
        }
    }

    /// All rows that are left.
    ///
    /// # Errors
    /// As [`next_rows`](Self::next_rows); cancelled.
    pub(crate) fn all(mut self, canceller: &Canceller) -> Result<RecordBatch, SqlError> {
        let mut all = Vec::new();
        while let Some(rows) = self.next_rows()? {
            canceller.check()?;
            all.push(rows);
        }
        concat_batches(&self.shape.visible_schema(), &all).map_err(|e| unexpected(&e))
    }

    /// The rows that were waited for.
    fn in_order(&mut self) -> Result<Option<RecordBatch>, SqlError> {
        if let Some(whole) = self.whole.take() {
            self.ready = whole.batches()?.into();
        }
        self.is_over = true;
        Ok(self.ready.pop_front())
    }
}

/// Rows in pieces, at first so many as a LIMIT lets through, then more and more: where a predicate leaves most of them, few are looked at.
fn in_pieces(
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>> + Send + 'static,
    first: usize,
) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> + Send {
    let (mut batches, mut left, mut rows_max) = (batches, None::<RecordBatch>, first.clamp(1, PIECE_ROWS));
    std::iter::from_fn(move || {
        let batch = match left.take() {
            Some(batch) => batch,
            None => match batches.next()? {
                Ok(batch) => batch,
                Err(error) => return Some(Err(error)),
            },
        };
        let rows = rows_max.min(batch.num_rows());
        rows_max = (2 * rows_max).min(PIECE_ROWS);
        left = (rows < batch.num_rows()).then(|| batch.slice(rows, batch.num_rows() - rows));
        Some(Ok(batch.slice(0, rows)))
    })
}

fn failed(step: &Step, error: OperatorError) -> SqlError {
    let operator = step.operator.clone();
    from_runtime(&RuntimeError::Operator { operator, shard: 0, place: None, error: Arc::new(error) })
}

fn unexpected(error: &ArrowError) -> SqlError {
    SqlError::new(of_arrow(error), format!("rows of a statement: {error}"))
}
