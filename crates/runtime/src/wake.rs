//! Waking: how a parked thread learns that there is work again.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::task::Wake;
use std::thread::Thread;

/// Wakes one shard (or the coordinator). Waking somebody who is awake costs one atomic swap.
///
/// The owner clears the flag, looks for work, and parks only if the flag is still clear: a wake-up between looking
/// and parking leaves the thread's unpark token behind, so none is lost. Under simulation there is no thread and
/// the flag alone counts.
#[derive(Default)]
pub(crate) struct Alarm {
    rung: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Alarm {
    /// Binds the alarm to the calling thread.
    pub(crate) fn bind(&self) {
        let _ = self.thread.set(std::thread::current());
    }

    /// Wakes the owner.
    pub(crate) fn ring(&self) {
        if !self.rung.swap(true, SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    /// True if it rang since the last time; clears it.
    pub(crate) fn take(&self) -> bool {
        self.rung.swap(false, SeqCst)
    }

    /// Sleeps until it rings; returns at once when it has.
    pub(crate) fn park(&self) {
        while !self.rung.load(SeqCst) {
            std::thread::park();
        }
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}
