use eddyline_changes::{ChangeBatch, Watermark};
use eddyline_functions::scalar::Moment;

/// Why rows were left out (invariant I6: nothing vanishes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rejected {
    /// Behind the watermark: all windows of the row are closed.
    Late,
    /// The time column is NULL.
    NullTime,
}

/// What an operator may touch besides its own tables.
pub struct Context<'a> {
    output: &'a mut Vec<ChangeBatch>,
    watermark: Watermark,
    moment: Moment,
    rejected: &'a mut dyn FnMut(Rejected, u64),
}

impl<'a> Context<'a> {
    /// A context that collects into `output` and reports left-out rows to `rejected`; `watermark` is the
    /// operator's input watermark, `moment` what it may know of time and chance in this call.
    pub fn new(
        output: &'a mut Vec<ChangeBatch>,
        watermark: Watermark,
        moment: Moment,
        rejected: &'a mut dyn FnMut(Rejected, u64),
    ) -> Self {
        Self { output, watermark, moment, rejected }
    }

    /// Hands changes on. Empty batches are dropped.
    pub fn emit(&mut self, changes: ChangeBatch) {
        if !changes.is_empty() {
            self.output.push(changes);
        }
    }

    /// The watermark of the inputs, as of the last `advance`.
    pub fn watermark(&self) -> Watermark {
        self.watermark
    }

    /// The time of the batch at hand, and a seed that no other call has.
    pub fn moment(&self) -> Moment {
        self.moment
    }

    /// Counts rows that were left out.
    pub fn reject(&mut self, why: Rejected, rows: u64) {
        if rows > 0 {
            (self.rejected)(why, rows);
        }
    }
}
