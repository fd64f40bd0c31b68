//! A job without threads: whoever asks for an epoch does its work, then and there.
//!
//! A thread that is woken for a change, one that is woken to cut the epoch, one that waits for both: where changes come one at a time, to wake
//! them costs many times what is computed. Who waits for the answer can as well compute it. The job is the same: its shards take
//! steps, its coordinator has turns, until there is nothing to do ([`work`](InPlace::work)); as nobody else has turns meanwhile, an epoch that was asked for is
//! complete then.

use crate::driver::{Driver, Keeping, Turn, guard};
use crate::error::RuntimeError;
use crate::job::JobShared;
use crate::life::Ready;
use crate::shard::{Progress, Shard};
use std::sync::Arc;

/// What is left of the stack of whoever asks, at least: expressions go down as many calls as they are deep.
const STACK_LEFT_BYTES: usize = 4 << 20;
/// The stack on which the work is done otherwise.
const STACK_BYTES: usize = 32 << 20;

/// The shards of a job, and its coordinator.
pub(crate) struct InPlace {
    shared: Arc<JobShared>,
    shards: Vec<Shard>,
    driver: Driver,
}

/// How a job has ended: with its input at the end (`None`: it was cut off), or by an error.
pub(crate) struct End {
    pub(crate) finished: Option<bool>,
    pub(crate) error: Option<RuntimeError>,
}

impl InPlace {
    pub(crate) fn new(Ready { built, driver }: Ready) -> Self {
        Self { shared: built.shared, shards: built.shards, driver }
    }

    /// Does what there is to do. The job is over when something is returned.
    pub(crate) fn work(&mut self) -> Option<End> {
        let mut finished = None;
        let shared = self.shared.clone();
        guard("the statement", &shared, || {
            stacker::maybe_grow(STACK_LEFT_BYTES, STACK_BYTES, || {
                while !self.shared.is_aborted() && self.round(&mut finished)? {}
                Ok(())
            })
        });
        let is_over = finished.is_some() || shared.is_aborted();
        is_over.then(|| End { finished, error: shared.error() })
    }

    /// Everybody has turns until he has nothing to do. False when nobody had anything.
    fn round(&mut self, finished: &mut Option<bool>) -> Result<bool, RuntimeError> {
        let mut has_worked = false;
        let mut failed = None;
        self.shards.retain_mut(|shard| {
            while failed.is_none() && !shard.is_aborted() {
                match shard.step() {
                    Ok(Progress::Worked) => has_worked = true,
                    Ok(Progress::Idle) => return true,
                    Ok(Progress::Done) => return false,
                    Err(error) => failed = Some(error),
                }
            }
            true
        });
        if let Some(error) = failed {
            return Err(error);
        }
        match self.driver.turn()? {
            Turn::Idle => {}
            Turn::Worked => has_worked = true,
            Turn::Ended { finished: is_finished } => {
                *finished = Some(is_finished);
                return Ok(false);
            }
        }
        Ok(self.driver.keeping.as_mut().is_some_and(Keeping::step) || has_worked)
    }
}

impl Drop for InPlace {
    fn drop(&mut self) {
        self.shared.orders.close();
        self.shared.cuts.close();
    }
}
