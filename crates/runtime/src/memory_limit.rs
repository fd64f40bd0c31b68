//! How much memory the state of one job may take that keeps all of it in memory.
//!
//! The budget of the process ([`MemoryBudget`](eddyline_state::MemoryBudget)) has what is not in use leave to the disk. Where there is no
//! disk to leave to, as for a SELECT, state only grows: a job that takes more than it may is ended, so that the others go on.

use crate::RuntimeError;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The limit of a job, which its tasks share.
#[derive(Debug)]
pub struct MemoryLimit {
    max_bytes: usize,
    taken_bytes: AtomicUsize,
}

impl MemoryLimit {
    /// So many bytes for the state of all tasks together.
    pub fn new(max_bytes: usize) -> Arc<Self> {
        Arc::new(Self { max_bytes, taken_bytes: AtomicUsize::new(0) })
    }
}

/// What a task takes; given back when it is dropped.
pub(crate) struct LimitShare {
    limit: Arc<MemoryLimit>,
    told_bytes: usize,
}

impl LimitShare {
    pub(crate) fn new(limit: &Arc<MemoryLimit>) -> Self {
        Self { limit: limit.clone(), told_bytes: 0 }
    }

    /// The task's state takes so much now.
    ///
    /// # Errors
    /// All tasks together take more than they may.
    pub(crate) fn tell(&mut self, taken_bytes: usize) -> Result<(), RuntimeError> {
        let change = taken_bytes.wrapping_sub(self.told_bytes);
        let all = self.limit.taken_bytes.fetch_add(change, Ordering::Relaxed).wrapping_add(change);
        self.told_bytes = taken_bytes;
        let max_bytes = self.limit.max_bytes;
        if all > max_bytes { Err(RuntimeError::Memory { taken_bytes: all, max_bytes }) } else { Ok(()) }
    }
}

impl Drop for LimitShare {
    fn drop(&mut self) {
        self.limit.taken_bytes.fetch_sub(self.told_bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_share_a_limit() {
        let limit = MemoryLimit::new(100);
        let (mut one, mut other) = (LimitShare::new(&limit), LimitShare::new(&limit));
        assert!(one.tell(60).is_ok() && other.tell(40).is_ok());
        let error = other.tell(41).expect_err("101 of 100");
        assert!(matches!(error, RuntimeError::Memory { taken_bytes: 101, max_bytes: 100 }), "{error:?}");
        drop(one);
        assert!(other.tell(100).is_ok());
    }
}
