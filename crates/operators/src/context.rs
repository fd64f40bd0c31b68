use crate::OperatorError;
use eddyline_changes::{ChangeBatch, Watermark};
use eddyline_functions::scalar::Moment;

/// Why rows were left out (invariant I6: nothing vanishes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rejected {
    /// Behind the watermark: all windows of the row are closed.
    Late,
    /// The time column is NULL.
    NullTime,
    /// The deletion of a key that has no row.
    UnknownKey,
}

/// Where what an operator hands out goes.
///
/// # Contract
/// Who has got an error from an outlet emits nothing more in this call, and returns the error.
pub trait Outlet {
    /// Takes changes, of which there is at least one.
    ///
    /// # Errors
    /// Nobody wants them any more.
    fn put(&mut self, changes: ChangeBatch) -> Result<(), OperatorError>;

    /// Asks in the middle of long work whether anybody still wants what comes of it.
    ///
    /// # Errors
    /// Nobody does.
    fn check(&self) -> Result<(), OperatorError>;

    /// Counts rows that were left out; at least one.
    fn reject(&mut self, why: Rejected, rows: u64);
}

/// What an operator may touch besides its own tables.
pub struct Context<'a> {
    outlet: &'a mut dyn Outlet,
    watermark: Watermark,
    moment: Moment,
    due_ms: Option<i64>,
}

impl<'a> Context<'a> {
    /// A context that hands out to `outlet`; `watermark` is the operator's input watermark, `moment` what it may know of time and chance in this
    /// call.
    pub fn new(outlet: &'a mut dyn Outlet, watermark: Watermark, moment: Moment) -> Self {
        Self { outlet, watermark, moment, due_ms: None }
    }

    /// Hands changes on. Empty batches are dropped.
    ///
    /// # Errors
    /// The job is over, or whoever takes the changes has failed.
    pub fn emit(&mut self, changes: ChangeBatch) -> Result<(), OperatorError> {
        if changes.is_empty() { Ok(()) } else { self.outlet.put(changes) }
    }

    /// To be asked now and then by who works long on little input, as a join does that finds many pairs and puts out none.
    ///
    /// # Errors
    /// The job is over.
    pub fn check(&self) -> Result<(), OperatorError> {
        self.outlet.check()
    }

    /// The watermark of the inputs, as of the last `advance`.
    pub fn watermark(&self) -> Watermark {
        self.watermark
    }

    /// The time of the batch at hand, and a seed that no other call has. At a flush the time is that of the epoch, the same
    /// for all operators on all shards, and never earlier than at the flush before.
    pub fn moment(&self) -> Moment {
        self.moment
    }

    /// At a flush: there will be something to put out at this time, in milliseconds since 1970, though no input comes. An
    /// epoch will end then, or a little later. It holds until the next flush.
    pub fn is_due_at(&mut self, time_ms: i64) {
        self.due_ms = self.due_ms.into_iter().chain([time_ms]).min();
    }

    /// What was said to [`is_due_at`](Self::is_due_at), the earliest of it.
    pub fn due_ms(&self) -> Option<i64> {
        self.due_ms
    }

    /// Counts rows that were left out.
    pub fn reject(&mut self, why: Rejected, rows: u64) {
        if rows > 0 {
            self.outlet.reject(why, rows);
        }
    }
}
