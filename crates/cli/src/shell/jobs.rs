//! Jobs in the background: they begin, are told of when they end, and end with the shell.

use super::execute::Shell;
use crate::control::listen;
use crate::follow::Follower;
use crate::output::brief;
use eddyline_control::Listener;
use eddyline_engine::{EndedJob, RunningJob, ScriptError};
use std::collections::BTreeMap;
use std::time::Instant;

/// The ends of the lines by which other processes reach jobs, by the ids of the jobs.
#[derive(Default)]
pub(super) struct Listeners(BTreeMap<u64, Listener>);

impl Shell {
    /// A job goes on while other statements are typed.
    pub(super) fn send_to_background(&mut self, job: RunningJob) {
        let facts = job.facts().clone();
        for warning in &facts.warnings {
            self.reporter.note(&format!("WARNING: {warning}"));
        }
        let listener = listen(job.control());
        let id = match self.session.keep(job) {
            Ok(id) => id,
            Err(error) => {
                self.reporter.failed(&error);
                self.has_failed = true;
                return;
            }
        };
        match listener {
            Ok(listener) => drop(self.listeners.0.insert(id, listener)),
            Err(why) => self
                .reporter
                .note(&format!("NOTE: `eddyline savepoint` and `eddyline stop` do not reach this job: {why}")),
        }
        self.reporter.note(&format!(
            "job {id} '{}' runs in the background; SHOW JOBS lists jobs, STOP JOB '{id}' ends it",
            facts.name
        ));
    }

    /// Tells which jobs have ended since the last time.
    pub(super) fn tell_ended(&mut self) {
        for ended in self.session.take_ended() {
            self.listeners.0.remove(&ended.id);
            self.tell(&ended);
        }
    }

    fn tell(&mut self, job: &EndedJob) {
        let name = format!("job {} '{}'", job.id, job.facts.name);
        match &job.error {
            Some(error) => {
                self.reporter.say(&format!("{name} failed after {}:", brief(job.progress.elapsed)));
                self.reporter.failed(error);
                self.has_failed = true;
            }
            None => {
                let how = if job.stopped { "stopped" } else { "finished" };
                let (rows_in, rows_out) = (job.progress.rows_in, job.progress.rows_out);
                let time = brief(job.progress.elapsed);
                self.reporter.note(&format!("{name} {how}: {rows_in} rows in, {rows_out} rows out in {time}"));
            }
        }
    }

    /// How many jobs run in the background.
    pub(super) fn running(&mut self) -> Vec<String> {
        self.tell_ended();
        self.session.background().into_iter().map(|(id, name)| format!("{id} '{name}'")).collect()
    }

    /// The end of all jobs: those of a shell are stopped, those of a script come to their end by themselves, or by Ctrl-C.
    /// Returns false when one failed.
    pub(super) fn end_jobs(&mut self, stops: bool) -> bool {
        let mut all_well = true;
        let manner = self.manner(Instant::now());
        while let Some((id, job)) = self.session.take_background() {
            if stops {
                job.stop();
            }
            let ended = Follower::new(&manner, &self.reporter, &self.interrupts).follow_on(job);
            self.listeners.0.remove(&id);
            if let Err(ScriptError::Job(error)) = &ended {
                self.reporter.failed(error);
            }
            all_well &= matches!(ended, Ok(()) | Err(ScriptError::Stopped));
        }
        self.tell_ended();
        all_well
    }
}
