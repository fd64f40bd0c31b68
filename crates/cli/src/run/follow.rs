//! Follows a job from its start to its end.

use super::interrupt::Interrupts;
use super::report::Reporter;
use super::view::{View, print_listing, written};
use crate::args::{Format, RunArgs};
use crate::control::listen;
use eddyline_control::Listener;
use eddyline_engine::{JobEvent, Listing, Observer, Presentation, Progress, RunningJob, ScriptError, SqlError};
use std::io::{BufWriter, Stdout, Write};
use std::time::{Duration, Instant};

const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// Follows the jobs of a script.
pub(crate) struct Follower<'a> {
    args: &'a RunArgs,
    reporter: &'a Reporter,
    interrupts: &'a Interrupts,
}

impl<'a> Follower<'a> {
    /// Results go to standard output, the rest to `reporter`.
    pub(crate) fn new(args: &'a RunArgs, reporter: &'a Reporter, interrupts: &'a Interrupts) -> Self {
        Self { args, reporter, interrupts }
    }
}

impl Follower<'_> {
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
        if self.args.json {
            self.reporter.note(message);
        }
    }

    fn note(&mut self, message: &str) {
        self.reporter.note(&format!("NOTE: {message}"));
    }

    fn listing(&mut self, listing: &Listing) -> Result<(), ScriptError> {
        print_listing(self.args, self.args.format.unwrap_or(Format::Table), listing)
    }

    fn job(&mut self, job: RunningJob) -> Result<(), ScriptError> {
        self.interrupts.attach(job.interrupter());
        let listener = if job.facts().is_named { self.listen(&job) } else { None };
        let ended = Following::new(self, &job).follow();
        self.interrupts.detach();
        // Who asked for the end is told before the process is gone.
        drop(listener);
        self.reporter.clear();
        ended
    }
}

/// One job being followed.
struct Following<'a> {
    reporter: &'a Reporter,
    job: &'a RunningJob,
    view: Option<View>,
    out: BufWriter<Stdout>,
    interrupts: u32,
    before: Option<Progress>,
}

impl<'a> Following<'a> {
    fn new(follower: &Follower<'a>, job: &'a RunningJob) -> Self {
        let facts = job.facts();
        follower.reporter.started(facts);
        let wanted = follower.args.format;
        let view = facts.result.as_ref().map(|shape| {
            let default = if shape.shows_changelog { Format::Changelog } else { Format::Table };
            let format = wanted.unwrap_or(default);
            let is_shown = |p: &Presentation| !p.is_limited && *p != Presentation::default();
            if format == Format::Changelog && is_shown(&shape.presentation) {
                follower.reporter.note("NOTE: ORDER BY and LIMIT are for the finished result, not for its changelog");
            }
            View::new(follower.args, format, facts, shape)
        });
        let out = BufWriter::new(std::io::stdout());
        Self { reporter: follower.reporter, job, view, out, interrupts: 0, before: None }
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
        if self.interrupts == 1 {
            self.reporter.note("stopping at the next barrier; Ctrl-C again aborts");
            self.job.stop();
        } else {
            self.job.cancel();
        }
    }

    fn ended(mut self, result: Result<(), SqlError>) -> Result<(), ScriptError> {
        self.reporter.clear();
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
