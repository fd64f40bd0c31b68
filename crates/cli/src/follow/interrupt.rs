//! Ctrl-C and SIGTERM: told to the job that runs; when there is none, or it does not listen, the process ends. In the shell, whatever
//! stands still there ends by SIGTERM alone.

use crate::terminal::Before;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};

/// So many signals end the process whatever the job does: the first stops at a barrier, the second aborts.
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
    /// Ctrl-C is for the job, and without one for whoever reads lines; it never ends the process.
    outlives_interrupts: bool,
}

/// What becomes of a signal.
#[derive(Debug, PartialEq, Eq)]
enum Then {
    Tell,
    Nothing,
    End,
}

impl Listener {
    /// One more signal has come.
    fn count(&mut self, terminates: bool) -> Then {
        self.count += 1;
        let outlives = self.outlives_interrupts && !terminates;
        match (&self.job, self.count < PATIENCE || outlives) {
            (Some(_), true) => Then::Tell,
            (None, true) if outlives => Then::Nothing,
            _ => Then::End,
        }
    }
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

    /// From now on Ctrl-C does not end the process.
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
        match listener.count(terminates) {
            Then::Tell => listener.job.iter().for_each(|tell| tell()),
            Then::Nothing => {}
            Then::End => {
                self.terminal.restore();
                std::process::exit(1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(has_job: bool, outlives_interrupts: bool) -> Listener {
        let job = has_job.then(|| Box::new(|| {}) as Box<dyn Fn() + Send>);
        Listener { job, count: 0, outlives_interrupts }
    }

    #[test]
    fn a_script_ends_with_the_third_signal() {
        let mut script = listener(true, false);
        assert_eq!([false, false, false].map(|term| script.count(term)), [Then::Tell, Then::Tell, Then::End]);
        assert_eq!(listener(false, false).count(false), Then::End);
    }

    #[test]
    fn the_shell_ends_by_sigterm_alone() {
        let mut query = listener(true, true);
        (0..9).for_each(|_| assert_eq!(query.count(false), Then::Tell));
        assert_eq!(query.count(true), Then::End);
        let mut prompt = listener(false, true);
        (0..9).for_each(|_| assert_eq!(prompt.count(false), Then::Nothing));
        assert_eq!(prompt.count(true), Then::End);
    }
}
