//! Who follows a table or view: what changes in it, epoch by epoch.
//!
//! An epoch is what one statement changes, in the table and in all views over it, or what views that run by themselves bring together. Its
//! changes come whole, and when they are durable. What waits for a slow reader is bounded: the one that lets more wait is told so, and its
//! subscription ends.

use super::{Database, IndexedRows, Unsettled, lock};
use crate::error::of_arrow;
use crate::reservation::Canceller;
use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use eddyline_catalog::Name;
use eddyline_changes::ChangeBatch;
use eddyline_planner::SqlError;
use std::collections::VecDeque;
use std::iter::Peekable;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::durable::Durable;

/// What may wait for a reader, in bytes of memory.
const WAITING_BYTES_MAX: usize = 64 << 20;
/// SQLSTATE of a reader that lets more wait.
pub(crate) const TOO_SLOW: &str = "53400";
/// How often a reader that waits looks whether it was cancelled.
const LOOK: Duration = Duration::from_millis(50);

/// Changes on their way to a reader.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    epochs: VecDeque<Changed>,
    bytes: usize,
    end: Option<SqlError>,
}

/// The changes of an epoch.
struct Changed {
    epoch: i64,
    /// The record of the log that they wait for; 0 is none.
    record: u64,
    changes: Vec<ChangeBatch>,
}

impl Queue {
    fn end(&self, error: SqlError) {
        lock(&self.state).end.get_or_insert(error);
        self.changed.notify_all();
    }

    fn push(&self, changed: Changed) {
        let bytes: usize = changed.changes.iter().map(|c| c.rows().get_array_memory_size()).sum();
        let mut state = lock(&self.state);
        if state.end.is_some() {
            return;
        }
        state.bytes += bytes;
        state.epochs.push_back(changed);
        if state.bytes > WAITING_BYTES_MAX {
            let message = format!("more than {} MiB of changes wait for the subscriber", WAITING_BYTES_MAX >> 20);
            let error =
                SqlError::new(TOO_SLOW, message).with_hint("read faster, or SUBSCRIBE to a view that changes less");
            (state.epochs, state.end) = (VecDeque::new(), Some(error));
        }
        drop(state);
        self.changed.notify_all();
    }
}

/// Who follows a table or view of a part.
pub(super) struct Follower {
    name: Name,
    queue: Weak<Queue>,
    pending: Vec<ChangeBatch>,
}

/// Those who follow tables and views of a part, and the number of its last epoch.
#[derive(Default)]
pub(super) struct Followers {
    epoch: i64,
    all: Vec<Follower>,
}

impl Followers {
    pub(super) fn add(&mut self, name: &Name) -> (Arc<Queue>, i64) {
        let queue = Arc::<Queue>::default();
        self.all.push(Follower { name: name.clone(), queue: Arc::downgrade(&queue), pending: Vec::new() });
        (queue, self.epoch)
    }

    /// Changes of an epoch that has not ended.
    pub(super) fn note(&mut self, name: &Name, changes: &ChangeBatch) {
        for follower in self.all.iter_mut().filter(|follower| follower.name == *name) {
            follower.pending.push(changes.clone());
        }
    }

    /// The epoch ends; its changes wait for a record of the log, 0 for none.
    pub(super) fn end_epoch(&mut self, record: u64) {
        self.epoch += 1;
        self.all.retain_mut(|follower| {
            let Some(queue) = follower.queue.upgrade() else { return false };
            let changes = std::mem::take(&mut follower.pending);
            if !changes.is_empty() {
                queue.push(Changed { epoch: self.epoch, record, changes });
            }
            true
        });
    }

    /// A table or view cannot be followed any more.
    pub(super) fn end(&mut self, name: &Name, error: &SqlError) {
        self.all.retain(|follower| {
            let is_ended = follower.name == *name;
            if let (true, Some(queue)) = (is_ended, follower.queue.upgrade()) {
                queue.end(error.clone());
            }
            !is_ended
        });
    }

    pub(super) fn rename(&mut self, new: impl Fn(&Name) -> Name) {
        self.all.iter_mut().for_each(|follower| follower.name = new(&follower.name));
    }

    /// Two parts become one.
    pub(super) fn join(&mut self, other: &mut Self) {
        self.epoch = self.epoch.max(other.epoch);
        self.all.append(&mut other.all);
    }
}

/// What changes in a table or view, from a moment on: epochs, weights (how often a row comes or, below 0, goes) and rows.
pub struct Subscription {
    schema: SchemaRef,
    queue: Arc<Queue>,
    /// Who follows keeps nobody from closing it.
    durable: Option<Weak<Durable>>,
    /// The rows that come first, and their epoch, as long as some are left.
    snapshot: Option<(i64, Snapshot)>,
    ready: VecDeque<RecordBatch>,
}

type Snapshot = Peekable<Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>>;

fn closed() -> SqlError {
    SqlError::new("57P01", "the database was closed while it was followed")
}

/// The columns of a subscription.
pub(crate) fn schema_of(rows: &Schema) -> SchemaRef {
    let own = ["epoch", "weight"].map(|name| Arc::new(Field::new(name, DataType::Int64, false)));
    Arc::new(Schema::new(own.into_iter().chain(rows.fields().iter().cloned()).collect::<Vec<_>>()))
}

impl Database {
    /// All rows of the view of this number, whatever its name is by now, and what changes in it from then on. `None`: it is gone.
    ///
    /// # Errors
    /// It has failed.
    pub(crate) fn followed(&self, number: u64) -> Result<Option<(IndexedRows, Subscription)>, SqlError> {
        for part in self.all_parts() {
            let mut state = part.change();
            let Some(name) = state.views.iter().find(|view| view.number == number).map(|view| view.name.clone()) else {
                continue;
            };
            state.look();
            let last = Unsettled(state.last_record);
            let rows = state.rows(&name)?;
            let followed = Subscription::new(state.followers.add(&name), &rows, false, self.durable.get().cloned());
            drop(state);
            self.wait_for(&last)?;
            return Ok(Some((rows, followed)));
        }
        Ok(None)
    }
}

impl Subscription {
    /// From here on; with `snapshot`, the rows of this epoch come first.
    pub(super) fn new(
        (queue, epoch): (Arc<Queue>, i64),
        rows: &IndexedRows,
        snapshot: bool,
        durable: Option<Arc<Durable>>,
    ) -> Self {
        let batches: Box<dyn Iterator<Item = _> + Send> = Box::new(rows.batches());
        let mut batches = batches.peekable();
        let is_there = snapshot && batches.peek().is_some();
        let snapshot = is_there.then_some((epoch, batches));
        let durable = durable.as_ref().map(Arc::downgrade);
        Self { schema: schema_of(rows.schema()), queue, durable, snapshot, ready: VecDeque::new() }
    }

    /// The columns: `epoch`, `weight`, then those of the table or view.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Is something there that is not read yet?
    pub fn is_ready(&self) -> bool {
        !self.ready.is_empty() || self.snapshot.is_some() || !lock(&self.queue.state).epochs.is_empty()
    }

    /// The next changes; waits so long for some (`None`: until they come). Without any, `None`.
    ///
    /// # Errors
    /// Cancelled; the table or view is gone; the reader was too slow.
    pub fn next(&mut self, wait: Option<Duration>, canceller: &Canceller) -> Result<Option<RecordBatch>, SqlError> {
        let until = wait.map(|wait| Instant::now() + wait);
        loop {
            if let Some(batch) = self.ready.pop_front() {
                if batch.num_rows() > 0 {
                    return Ok(Some(batch));
                }
                continue;
            }
            canceller.check()?;
            if let Some((epoch, snapshot)) = &mut self.snapshot {
                let (epoch, rows) = (*epoch, snapshot.next());
                // Who asks whether something is ready is not to wait for rows that are none.
                if snapshot.peek().is_none() {
                    self.snapshot = None;
                }
                if let Some(rows) = rows {
                    let rows = rows.map_err(|e| SqlError::new(of_arrow(&e), format!("a subscription: {e}")))?;
                    let batch = self.batch(epoch, &ChangeBatch::inserts(rows))?;
                    self.ready.push_back(batch);
                }
                continue;
            }
            let left = until.map_or(LOOK, |until| until.saturating_duration_since(Instant::now()).min(LOOK));
            match self.take(left)? {
                Some(Changed { epoch, record, changes }) => {
                    self.settle(record)?;
                    for changes in &changes {
                        let batch = self.batch(epoch, changes)?;
                        self.ready.push_back(batch);
                    }
                }
                None if until.is_some_and(|until| Instant::now() >= until) => return Ok(None),
                None => {}
            }
        }
    }

    /// All changes of the next epoch as one batch, for who does not ask for the rows that come first; waits so long for it.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub(crate) fn next_epoch(&self, wait: Duration, canceller: &Canceller) -> Result<Option<ChangeBatch>, SqlError> {
        canceller.check()?;
        let Some(Changed { record, changes, .. }) = self.take(wait)? else { return Ok(None) };
        self.settle(record)?;
        let Some(first) = changes.first() else { return Ok(None) };
        let all = match changes.as_slice() {
            [one] => one.consolidate(),
            several => ChangeBatch::concat(&first.schema(), several).and_then(|all| all.consolidate()),
        };
        all.map(Some).map_err(|e| SqlError::new(SqlError::INTERNAL, format!("a subscription: {e}")))
    }

    /// Waits until a record of the log is durable.
    fn settle(&self, record: u64) -> Result<(), SqlError> {
        match (&self.durable, record) {
            (Some(durable), 1..) => durable.upgrade().ok_or_else(closed)?.wait(record).map(drop),
            _ => Ok(()),
        }
    }

    /// What was read and is to be read again.
    pub fn put_back(&mut self, batch: RecordBatch) {
        self.ready.push_front(batch);
    }

    fn take(&self, wait: Duration) -> Result<Option<Changed>, SqlError> {
        let nothing = |state: &mut Waiting| state.epochs.is_empty() && state.end.is_none();
        let state = lock(&self.queue.state);
        let waited = self.queue.changed.wait_timeout_while(state, wait, nothing);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        match (state.epochs.pop_front(), &state.end) {
            (Some(changed), _) => {
                let bytes: usize = changed.changes.iter().map(|c| c.rows().get_array_memory_size()).sum();
                state.bytes = state.bytes.saturating_sub(bytes);
                Ok(Some(changed))
            }
            (None, Some(error)) => Err(error.clone()),
            (None, None) => Ok(None),
        }
    }

    fn batch(&self, epoch: i64, changes: &ChangeBatch) -> Result<RecordBatch, SqlError> {
        let changes = changes.consolidate().map_err(|e| SqlError::new(SqlError::INTERNAL, e.to_string()))?;
        let rows = changes.num_rows();
        let weights: Int64Array = (0..rows).map(|at| changes.weights().at(at)).collect();
        let epochs: ArrayRef = Arc::new(Int64Array::from(vec![epoch; rows]));
        let own: [ArrayRef; 2] = [epochs, Arc::new(weights)];
        let columns = own.into_iter().chain(changes.rows().columns().iter().cloned()).collect();
        RecordBatch::try_new(self.schema.clone(), columns)
            .map_err(|e| SqlError::new(of_arrow(&e), format!("a subscription: {e}")))
    }
}
