//! Follows a job from its start to its end.
//!
//! | module | holds |
//! |---|---|
//! | `view` | the result of a SELECT on its way to standard output |
//! | `report` | notes, progress and events: what goes beside the result |
//! | `interrupt` | Ctrl-C |

mod interrupt;
mod report;
mod view;

pub(crate) use interrupt::Interrupts;
pub(crate) use report::{Reporter, grouped, plural, tell};
pub(crate) use view::{View, print_listing, written};

use crate::args::Format;
use crate::control::listen;
use crate::output::Page;
use eddyline_control::Listener;
use eddyline_engine::{
    JobEvent, Listing, Observer, Presentation, Progress, ResultMode, RunningJob, ScriptError, SqlError,
};
use std::io::{BufWriter, Stdout, Write};
use std::time::{Duration, Instant};

const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// Rows of a table that a terminal shows unless it is told otherwise; a file or a pipe gets all.
pub(crate) const TERMINAL_ROWS_MAX: usize = 1000;

/// How that which a statement comes to is told.
#[derive(Debug, Clone)]
pub(crate) struct Manner {
    /// How results are printed; as the settings say where it is not given.
    pub(crate) format: Option<Format>,
    /// Events for machines.
    pub(crate) json: bool,
    /// What finished results are printed on.
    pub(crate) page: Page,
    /// The first Ctrl-C is enough for a SELECT: nothing of it stays.
    pub(crate) cancels_selects: bool,
}

/// Follows the jobs of a script.
pub(crate) struct Follower<'a> {
    manner: &'a Manner,
    reporter: &'a Reporter,
    interrupts: &'a Interrupts,
}

impl<'a> Follower<'a> {
    /// Results go to standard output, the rest to `reporter`.
    pub(crate) fn new(manner: &'a Manner, reporter: &'a Reporter, interrupts: &'a Interrupts) -> Self {
        Self { manner, reporter, interrupts }
    }
}

impl Follower<'_> {
    /// Follows a job that has run for a while, to its end.
    ///
    /// # Errors
    /// As [`Observer::job`].
    pub(crate) fn follow_on(&mut self, job: RunningJob) -> Result<(), ScriptError> {
        let interrupter = job.interrupter();
        self.interrupts.attach(move || interrupter.interrupt());
        let ended = Following::new(self, &job).follow();
        self.interrupts.detach();
        self.reporter.clear();
        ended
    }

    fn listen(&self, job: &RunningJob) -> Option<Listener> {
        let listening = listen(job.control());
        let unheard = |why: &String| {
            self.reporter.note(&format!("NOTE: `eddyline savepoint` and `eddyline stop` do not reach this job: {why}"));
        };
        listening.inspect_err(unheard).ok()
    }
}

impl Observer for Follower<'_> {
    fn done(&mut self, message: &str) {
        if self.manner.json {
            self.reporter.note(message);
        }
    }

    fn note(&mut self, message: &str) {
        self.reporter.note(&format!("NOTE: {message}"));
    }

    fn listing(&mut self, listing: &Listing) -> Result<(), ScriptError> {
        print_listing(self.manner, listing)
    }

    fn job(&mut self, job: RunningJob) -> Result<(), ScriptError> {
        let listener = if job.facts().is_named { self.listen(&job) } else { None };
        self.reporter.started(job.facts());
        let ended = self.follow_on(job);
        // Who asked for the end is told before the process is gone.
        drop(listener);
        ended
    }
}

/// One job being followed.
struct Following<'a> {
    reporter: &'a Reporter,
    job: &'a RunningJob,
    cancels: bool,
    view: Option<View>,
    out: BufWriter<Stdout>,
    interrupts: u32,
    before: Option<Progress>,
}

impl<'a> Following<'a> {
    fn new(follower: &Follower<'a>, job: &'a RunningJob) -> Self {
        let facts = job.facts();
        let wanted = follower.manner.format;
        let view = facts.result.as_ref().map(|shape| {
            let default = if shape.mode == ResultMode::Changelog { Format::Changelog } else { Format::Table };
            let format = wanted.unwrap_or(default);
            let is_shown = |p: &Presentation| !p.is_limited && *p != Presentation::default();
            if format == Format::Changelog && is_shown(&shape.presentation) {
                follower.reporter.note("NOTE: ORDER BY and LIMIT are for the finished result, not for its changelog");
            }
            View::new(follower.manner, format, facts.bounded, shape)
        });
        let out = BufWriter::new(std::io::stdout());
        let cancels = follower.manner.cancels_selects && view.is_some();
        Self { reporter: follower.reporter, job, cancels, view, out, interrupts: 0, before: None }
    }

    fn follow(mut self) -> Result<(), ScriptError> {
        let mut tick = Instant::now() + PROGRESS_INTERVAL;
        loop {
            match self.job.next_event(tick.saturating_duration_since(Instant::now())) {
                Some(JobEvent::Changes { changes, .. }) => {
                    let full = self.show(&changes)?;
                    if full {
                        self.job.cancel();
                        return self.ended(Ok(()));
                    }
                }
                Some(JobEvent::Interrupted) => self.interrupted(),
                Some(JobEvent::Ended(result)) => return self.ended(result),
                None => {}
            }
            if Instant::now() >= tick {
                tick += PROGRESS_INTERVAL;
                let now = self.job.progress();
                self.reporter.progress(&now, self.before.as_ref());
                self.before = Some(now);
                if self.reporter.is_unread() {
                    return Err(ScriptError::Stopped);
                }
            }
        }
    }

    /// Returns true when nothing more is wanted.
    fn show(&mut self, changes: &[eddyline_engine::ChangeBatch]) -> Result<bool, ScriptError> {
        let Some(view) = &mut self.view else { return Ok(false) };
        self.reporter.clear();
        let full = view.changes(&mut self.out, changes)?;
        self.out.flush().map_err(written)?;
        Ok(full)
    }

    fn interrupted(&mut self) {
        self.interrupts += 1;
        if self.interrupts == 1 && !self.cancels {
            self.reporter.note("stopping at the next barrier; Ctrl-C again aborts");
            self.job.stop();
        } else {
            self.job.cancel();
        }
    }

    /// What has been printed gets its end; a table that was not printed yet is none.
    fn cancelled(mut self) -> Result<(), ScriptError> {
        self.reporter.take_line();
        if let Some(view) = self.view.as_mut().filter(|view| view.is_changelog()) {
            view.finish(&mut self.out)?;
            self.out.flush().map_err(written)?;
        }
        self.reporter.note("stopped");
        Err(ScriptError::Stopped)
    }

    fn ended(mut self, result: Result<(), SqlError>) -> Result<(), ScriptError> {
        self.reporter.clear();
        if self.interrupts > 0 && self.cancels {
            return self.cancelled();
        }
        if self.interrupts > 1 {
            self.reporter.note("aborted: what was not committed is dropped");
            return Err(ScriptError::Aborted);
        }
        match result {
            Err(error) if error.sqlstate == eddyline_engine::NOBODY_READS => return Err(ScriptError::Stopped),
            Err(error) => return Err(ScriptError::Job(error)),
            Ok(()) => {}
        }
        if let Some(view) = &mut self.view {
            view.finish(&mut self.out)?;
            self.out.flush().map_err(written)?;
        }
        let stopped = self.interrupts > 0 || self.job.was_stopped();
        self.reporter.finished(self.job.facts(), &self.job.progress(), stopped);
        if stopped { Err(ScriptError::Stopped) } else { Ok(()) }
    }
}
