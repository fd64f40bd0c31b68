//! Savepoints that somebody has asked for.
//!
//! A savepoint is made of what shards freeze at the barrier of a checkpoint; in a job that keeps none, such barriers are cut for savepoints
//! alone. It is written when the checkpoint at its barrier is complete, so nothing that sinks have prepared waits in it: all
//! of it is visible. The job goes on meanwhile; ending, it waits.

use eddyline_changes::{Barrier, BarrierKind, Epoch};
use std::collections::BTreeMap;

/// Number of an order within its job.
pub(crate) type OrderId = u64;

/// The savepoints of a job that are asked for and not made.
#[derive(Debug, Default)]
pub(crate) struct Savepoints {
    /// No barrier was cut for these.
    asked: Vec<OrderId>,
    /// The others, by the epoch that their barrier ends.
    cut: BTreeMap<Epoch, Vec<OrderId>>,
}

impl Savepoints {
    pub(crate) fn ask(&mut self, order: OrderId) {
        self.asked.push(order);
    }

    /// Is a barrier to be cut for one?
    pub(crate) fn is_due(&self) -> bool {
        !self.asked.is_empty() && self.cut.is_empty()
    }

    /// Is none on its way from its barrier?
    pub(crate) fn is_free(&self) -> bool {
        self.cut.is_empty()
    }

    /// A barrier was cut: of all that are asked for, if it is one at which state is frozen.
    pub(crate) fn cut(&mut self, barrier: Barrier) {
        if barrier.kind != BarrierKind::Flush && !self.asked.is_empty() {
            self.cut.insert(barrier.epoch, std::mem::take(&mut self.asked));
        }
    }

    /// The orders of a barrier.
    pub(crate) fn at(&self, epoch: Epoch) -> Option<&[OrderId]> {
        self.cut.get(&epoch).map(Vec::as_slice)
    }

    /// Those of a barrier are made, or cannot be.
    pub(crate) fn end(&mut self, epoch: Epoch) -> Option<Vec<OrderId>> {
        self.cut.remove(&epoch)
    }
}
