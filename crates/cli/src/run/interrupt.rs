//! Ctrl-C and SIGTERM: told to the job that runs; when there is none, or it does not listen, the process ends.

use eddyline_engine::Interrupter;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};

/// So many interrupts end the process whatever the job does: the first stops at a barrier, the second aborts.
const PATIENCE: u32 = 3;
/// Signals that follow each other so soon are one: supervisors tell a process and then its group.
const SAME_SIGNAL: Duration = Duration::from_millis(100);

/// Passes interrupts on to the job that runs.
#[derive(Clone, Default)]
pub(crate) struct Interrupts {
    job: Arc<Mutex<Option<Interrupter>>>,
}

impl Interrupts {
    /// Listens from now on.
    pub(crate) fn listen(tokio: &Handle) -> Self {
        let interrupts = Self::default();
        let to = interrupts.clone();
        // Handlers are in place when this returns; the loop only waits for them.
        let _guard = tokio.enter();
        let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
        if let (Ok(mut interrupt), Ok(mut terminate)) = signals {
            tokio.spawn(async move {
                let (mut count, mut last) = (0, None::<Instant>);
                loop {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                    }
                    if last.replace(Instant::now()).is_none_or(|last| last.elapsed() > SAME_SIGNAL) {
                        count += 1;
                        to.pass_on(count);
                    }
                }
            });
        }
        interrupts
    }

    /// This job is to be told.
    pub(crate) fn attach(&self, job: Interrupter) {
        *self.job.lock().unwrap_or_else(PoisonError::into_inner) = Some(job);
    }

    /// No job is to be told.
    pub(crate) fn detach(&self) {
        *self.job.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn pass_on(&self, count: u32) {
        match &*self.job.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(job) if count < PATIENCE => job.interrupt(),
            _ => std::process::exit(1),
        }
    }
}
