//! The rows of a statement, batch by batch.

use eddyline_engine::arrow::array::{RecordBatch, UInt32Array};
use eddyline_engine::arrow::compute::take_record_batch;
use eddyline_engine::arrow::datatypes::SchemaRef;
use eddyline_engine::{
    Canceller, ChangeBatch, JobEvent, Limit, Listing, ResultTable, RunningJob, Scan, SqlError, Subscription,
};
use std::collections::VecDeque;
use std::time::Duration;

/// How long to wait for an event before looking again.
const WAIT: Duration = Duration::from_secs(1);

/// Rows on their way to a client.
pub(crate) struct Rows {
    schema: SchemaRef,
    /// What is there already.
    ready: VecDeque<RecordBatch>,
    rest: Rest,
}

/// Where the rows come from that are not there.
enum Rest {
    /// That was all.
    Nothing,
    Scan(Box<Scan>),
    Job(Box<Running>),
    /// Changes that come until somebody ends it.
    Changes(Box<Subscription>),
}

struct Running {
    job: RunningJob,
    /// Rows may still be taken back, or their order is not known: they are handed out at the end. `None`: as they come.
    whole: Option<ResultTable>,
    limit: Limit,
}

impl Rows {
    /// Rows that are there.
    pub(crate) fn of(listing: Listing) -> Self {
        Self { schema: listing.rows.schema(), ready: VecDeque::from([listing.rows]), rest: Rest::Nothing }
    }

    /// Rows that are computed as they are asked for.
    pub(crate) fn scan(scan: Box<Scan>) -> Self {
        Self { schema: scan.shape().shown_schema(), ready: VecDeque::new(), rest: Rest::Scan(scan) }
    }

    /// Rows that are there, in batches.
    pub(crate) fn ready(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Self { schema, ready: batches.into(), rest: Rest::Nothing }
    }

    /// The result of a SELECT.
    ///
    /// # Errors
    /// It does not end.
    pub(crate) fn select(job: RunningJob, canceller: &Canceller) -> Result<Self, SqlError> {
        let facts = job.facts();
        let Some(shape) = facts.result.clone() else {
            return Err(SqlError::new(SqlError::INTERNAL, "a SELECT without a result"));
        };
        if !shape.ends(facts.bounded) {
            let message = "the result of this SELECT does not end: a table that it reads is endless";
            return Err(SqlError::new(SqlError::UNSUPPORTED, message)
                .with_hint("CREATE MATERIALIZED VIEW v AS it, and SELECT from v: that keeps the answer up to date"));
        }
        canceller.follow(job.interrupter());
        let schema = shape.shown_schema();
        let comes_in_order = shape.append_only && shape.presentation.sort.is_empty();
        let whole = (!comes_in_order).then(|| ResultTable::new(&shape).within(job.memory_max()));
        let limit = Limit::of(&shape.presentation);
        let running = Box::new(Running { job, whole, limit });
        Ok(Self { schema, ready: VecDeque::new(), rest: Rest::Job(running) })
    }

    /// What changes in a table or view, without an end.
    pub(crate) fn of_changes(followed: Subscription) -> Self {
        let schema = followed.schema().clone();
        Self { schema, ready: VecDeque::new(), rest: Rest::Changes(Box::new(followed)) }
    }

    /// Would the next rows have to be waited for, who knows how long? Then what was sent is to reach the client before.
    pub(crate) fn is_idle(&self) -> bool {
        self.ready.is_empty() && matches!(&self.rest, Rest::Changes(followed) if !followed.is_ready())
    }

    /// The columns.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The next rows; `None`: that was all.
    ///
    /// # Errors
    /// The statement fails, or is cancelled.
    pub(crate) fn next(&mut self, canceller: &Canceller) -> Result<Option<RecordBatch>, SqlError> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                if batch.num_rows() > 0 {
                    return Ok(Some(batch));
                }
                continue;
            }
            let is_over = match &mut self.rest {
                Rest::Nothing => return Ok(None),
                Rest::Scan(scan) => {
                    canceller.check()?;
                    let rows = scan.next_rows()?;
                    let is_over = rows.is_none();
                    self.ready.extend(rows);
                    is_over
                }
                Rest::Job(running) => {
                    canceller.check()?;
                    let (batches, is_over) = running.step()?;
                    self.ready.extend(batches);
                    is_over
                }
                Rest::Changes(followed) => return followed.next(None, canceller),
            };
            if is_over {
                self.rest = Rest::Nothing;
            }
        }
    }

    /// Rows that were taken and not sent.
    pub(crate) fn put_back(&mut self, batch: RecordBatch) {
        self.ready.push_front(batch);
    }
}

impl Running {
    /// What the next event of the job brings, and whether that was all.
    fn step(&mut self) -> Result<(Vec<RecordBatch>, bool), SqlError> {
        if self.limit.is_over() {
            return Ok((Vec::new(), true));
        }
        match self.job.next_event(WAIT) {
            None | Some(JobEvent::Interrupted) => Ok((Vec::new(), false)),
            Some(JobEvent::Ended(result)) => {
                result?;
                let rest = self.whole.as_ref().map(ResultTable::batches).transpose()?;
                Ok((rest.unwrap_or_default(), true))
            }
            Some(JobEvent::Changes { changes, .. }) => match &mut self.whole {
                Some(whole) => {
                    whole.apply(&changes)?;
                    Ok((Vec::new(), false))
                }
                None => {
                    let shape = self.job.facts().result.clone();
                    let mut found = Vec::with_capacity(changes.len());
                    for batch in &changes {
                        let rows = self.limit.cut(&copies(batch)?);
                        let visible = shape.as_ref().map_or(Ok(rows.clone()), |shape| shape.visible(&rows));
                        found.push(visible.map_err(|e| SqlError::new(SqlError::INTERNAL, e.to_string()))?);
                    }
                    Ok((found, self.limit.is_over()))
                }
            },
        }
    }
}

/// The rows of changes that only add, as often as they are there.
fn copies(changes: &ChangeBatch) -> Result<RecordBatch, SqlError> {
    let Some(weights) = changes.weights().per_row() else { return Ok(changes.rows().clone()) };
    let mut rows = Vec::with_capacity(weights.len());
    for (row, weight) in (0..).zip(weights) {
        let copies = usize::try_from(*weight)
            .map_err(|_| SqlError::new(SqlError::INTERNAL, "a result that only grows takes a row back"))?;
        rows.extend(std::iter::repeat_n(row, copies));
    }
    let taken = take_record_batch(changes.rows(), &UInt32Array::from(rows));
    taken.map_err(|e| SqlError::new(SqlError::INTERNAL, e.to_string()))
}
