//! Where what an operator emits goes: to those that read from it.
//!
//! Most calls of an operator emit a few batches, and these are handed on when the call is over. A call may emit as much as there is time for, though: one batch
//! of rows that is joined with all rows of a table, and that with all of another. So batches are handed on in the middle of a call when some are there,
//! which bounds what a step of a task takes of memory, by what its sinks and channels take. It is also when the call learns that nobody wants
//! the rest, and when a job finds that it takes more memory than it may.

use crate::error::RuntimeError;
use crate::pipeline::Pipeline;
use eddyline_changes::ChangeBatch;
use eddyline_operators::{OperatorError, Outlet, Rejected};
use std::time::Duration;

/// So many batches wait for the end of the call that emits them.
const HELD_MAX: usize = 8;

/// The way out of one stage, for one call.
pub(crate) struct Downstream<'p> {
    pipeline: &'p mut Pipeline,
    /// The stage.
    at: usize,
    held: Vec<ChangeBatch>,
    /// What those that read from it have done meanwhile.
    elsewhere: Duration,
    /// Why one of them has failed.
    failure: Option<RuntimeError>,
}

/// What is left of a call.
pub(crate) struct Left {
    /// Changes that are to be handed on.
    pub(crate) held: Vec<ChangeBatch>,
    /// How long others have worked during the call.
    pub(crate) elsewhere: Duration,
    /// Why one of them has failed.
    pub(crate) failure: Option<RuntimeError>,
}

impl<'p> Downstream<'p> {
    /// Of the stage `at`; `held` is an empty buffer.
    pub(crate) fn new(pipeline: &'p mut Pipeline, at: usize, held: Vec<ChangeBatch>) -> Self {
        Self { pipeline, at, held, elsewhere: Duration::ZERO, failure: None }
    }

    /// The call is over.
    pub(crate) fn end(self) -> Left {
        let Self { held, elsewhere, failure, .. } = self;
        Left { held, elsewhere, failure }
    }

    fn hand_on(&mut self) -> Result<(), RuntimeError> {
        let begin = self.pipeline.now();
        let mut held = std::mem::take(&mut self.held);
        let done = held.drain(..).try_for_each(|changes| self.pipeline.emit(self.at, changes));
        self.held = held;
        self.elsewhere += self.pipeline.now().saturating_sub(begin);
        done.and_then(|()| self.pipeline.check_memory())
    }
}

impl Outlet for Downstream<'_> {
    fn put(&mut self, changes: ChangeBatch) -> Result<(), OperatorError> {
        self.held.push(changes);
        if self.held.len() < HELD_MAX {
            return Ok(());
        }
        self.check()?;
        self.hand_on().map_err(|error| {
            self.failure = Some(error);
            OperatorError::Over
        })
    }

    fn check(&self) -> Result<(), OperatorError> {
        if self.pipeline.is_aborted() { Err(OperatorError::Over) } else { Ok(()) }
    }

    fn reject(&mut self, why: Rejected, rows: u64) {
        self.pipeline.reject(self.at, why, rows);
    }
}
