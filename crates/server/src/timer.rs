//! `statement_timeout`: cancels a statement that takes too long.

use eddyline_engine::{Canceller, SqlError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// Runs as long as it lives.
pub(crate) struct Timer {
    is_over: Arc<AtomicBool>,
    task: Option<JoinHandle<()>>,
}

impl Timer {
    /// Cancels after `timeout`, if there is one.
    pub(crate) fn start(tokio: &Handle, timeout: Option<Duration>, canceller: &Canceller) -> Self {
        let is_over: Arc<AtomicBool> = Arc::default();
        let task = timeout.map(|timeout| {
            let (canceller, is_over) = (canceller.clone(), is_over.clone());
            tokio.spawn(async move {
                tokio::time::sleep(timeout).await;
                is_over.store(true, Ordering::Relaxed);
                canceller.cancel();
            })
        });
        Self { is_over, task }
    }

    /// The error of a statement, which may have been cancelled because of this.
    pub(crate) fn reason(&self, error: SqlError) -> SqlError {
        match error.sqlstate == "57014" && self.is_over.load(Ordering::Relaxed) {
            true => SqlError { message: "the statement has taken longer than statement_timeout".into(), ..error },
            false => error,
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
