//! Looking for new splits from time to time: files that appear in a watched directory.

use crate::error::RuntimeError;
use crate::job::JobShared;
use crate::splits::SplitTable;
use eddyline_connectors::{Rim, Source};
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};
use std::time::Duration;

/// Lists one source again and again while its job lives. It is the waker of its own timer.
pub(crate) struct Discovery {
    pub(crate) table: String,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) splits: Arc<SplitTable>,
    pub(crate) shards: usize,
    pub(crate) interval: Duration,
    pub(crate) rim: Rim,
    pub(crate) job: Weak<JobShared>,
    /// On the thread that moves the clock (simulation), not beside it.
    pub(crate) inline: bool,
}

impl Discovery {
    /// Sets the timer.
    pub(crate) fn arm(self: Arc<Self>) {
        let at = self.rim.clock.monotonic() + self.interval;
        self.rim.clock.clone().wake_at(at, Waker::from(self));
    }

    fn list(self: Arc<Self>) {
        let Some(job) = self.job.upgrade() else { return };
        if job.is_aborted() || job.counters.state().is_final() {
            return;
        }
        match self.source.splits(self.shards) {
            Ok(splits) => {
                self.splits.add(splits, &HashMap::new());
                self.arm();
            }
            Err(e) => {
                job.fail(RuntimeError::Source {
                    table: self.table.clone(),
                    split: None,
                    shard: None,
                    error: Arc::new(e),
                });
            }
        }
    }
}

impl Wake for Discovery {
    fn wake(self: Arc<Self>) {
        if self.inline {
            self.list();
        } else {
            let tokio = self.rim.tokio.clone();
            tokio.spawn_blocking(move || self.list());
        }
    }
}
