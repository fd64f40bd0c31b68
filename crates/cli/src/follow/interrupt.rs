//! Ctrl-C and SIGTERM: told to the job that runs; when there is none, or it does not listen, the process ends.

use crate::terminal::Before;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};

/// So many interrupts end the process whatever the job does: the first stops at a barrier, the second aborts.
const PATIENCE: u32 = 3;
/// Signals that follow each other so soon are one: supervisors tell a process and then its group.
const SAME_SIGNAL: Duration = Duration::from_millis(100);

/// Passes interrupts on to the job that runs.
#[derive(Clone)]
pub(crate) struct Interrupts {
    listener: Arc<Mutex<Listener>>,
    /// Put back when the process ends here.
    terminal: Before,
}

#[derive(Default)]
struct Listener {
    job: Option<Box<dyn Fn() + Send>>,
    /// Signals since the job began, or since the last one ended.
    count: u32,
    /// Ctrl-C without a job is for whoever reads lines.
    outlives_interrupts: bool,
}

impl Interrupts {
    /// Listens from now on; `terminal` is put back when a signal ends the process.
    pub(crate) fn listen(tokio: &Handle, terminal: Before) -> Self {
        let interrupts = Self { listener: Arc::default(), terminal };
        let to = interrupts.clone();
        // Handlers are in place when this returns; the loop only waits for them.
        let _guard = tokio.enter();
        let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
        if let (Ok(mut interrupt), Ok(mut terminate)) = signals {
            tokio.spawn(async move {
                let mut last = None::<Instant>;
                loop {
                    let terminates = tokio::select! {
                        _ = interrupt.recv() => false,
                        _ = terminate.recv() => true,
                    };
                    if last.replace(Instant::now()).is_none_or(|last| last.elapsed() > SAME_SIGNAL) {
                        to.pass_on(terminates);
                    }
                }
            });
        }
        interrupts
    }

    /// From now on Ctrl-C ends the process only when it is pressed again and again.
    pub(crate) fn outlive(&self) {
        self.lock().outlives_interrupts = true;
    }

    /// This tells the job that runs.
    pub(crate) fn attach(&self, tell: impl Fn() + Send + 'static) {
        let mut listener = self.lock();
        listener.job = Some(Box::new(tell));
        listener.count = 0;
    }

    /// No job is to be told.
    pub(crate) fn detach(&self) {
        let mut listener = self.lock();
        listener.job = None;
        listener.count = 0;
    }

    fn lock(&self) -> MutexGuard<'_, Listener> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass_on(&self, terminates: bool) {
        let mut listener = self.lock();
        listener.count += 1;
        let patient = listener.count < PATIENCE;
        match &listener.job {
            Some(tell) if patient => tell(),
            None if patient && listener.outlives_interrupts && !terminates => {}
            _ => {
                self.terminal.restore();
                std::process::exit(1)
            }
        }
    }
}
