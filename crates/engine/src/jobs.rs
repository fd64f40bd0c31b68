//! Jobs that go on in the background while a session takes other statements: SHOW JOBS, STOP JOB.

use crate::job::{JobEvent, JobFacts, Progress, RunningJob};
use crate::listing::{Listing, text};
use arrow::array::{ArrayRef, Int64Array, TimestampSecondArray};
use eddyline_planner::SqlError;
use eddyline_runtime::JobState;
use std::sync::Arc;
use std::time::Duration;

/// How many ended jobs SHOW JOBS still lists.
const ENDED_MAX: usize = 100;

/// The jobs of an instance, those that have ended included.
#[derive(Default)]
pub(crate) struct Jobs {
    all: Vec<Job>,
    /// The last id that was given.
    last: u64,
}

struct Job {
    id: u64,
    started_ms: i64,
    phase: Phase,
}

enum Phase {
    Running(Box<RunningJob>),
    /// Is it known to whoever asks for what has ended?
    Ended(Box<EndedJob>, bool),
}

/// A job that runs in the background.
pub(crate) struct BackgroundJob<'a> {
    /// Its id in this instance.
    pub(crate) id: u64,
    /// The job.
    pub(crate) job: &'a RunningJob,
}

/// A job of the background that is over.
#[derive(Debug, Clone)]
pub struct EndedJob {
    /// Its id in this instance.
    pub id: u64,
    /// What was known of it before.
    pub facts: JobFacts,
    /// How far it came.
    pub progress: Progress,
    /// Somebody asked for its end.
    pub stopped: bool,
    /// Why it failed.
    pub error: Option<SqlError>,
}

impl Jobs {
    /// Takes a job in; returns its id.
    pub(crate) fn keep(&mut self, job: RunningJob, started_ms: i64) -> u64 {
        let id = self.next_id();
        self.keep_as(id, job, started_ms);
        id
    }

    /// A number for a job that is about to be taken in.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Jobs get this number and higher ones.
    pub(crate) fn begin_after(&mut self, next: u64) {
        self.last = self.last.max(next.saturating_sub(1));
    }

    /// Takes a job in that has a number.
    pub(crate) fn keep_as(&mut self, id: u64, job: RunningJob, started_ms: i64) {
        self.last = self.last.max(id);
        self.all.push(Job { id, started_ms, phase: Phase::Running(Box::new(job)) });
    }

    /// Takes a job in that could not begin.
    pub(crate) fn keep_failed(&mut self, id: u64, name: &str, error: SqlError, started_ms: i64) {
        self.last = self.last.max(id);
        let ended = EndedJob::not_begun(id, name, error);
        self.all.push(Job { id, started_ms, phase: Phase::Ended(Box::new(ended), false) });
    }

    /// Those that have come to their end, or were stopped: not those that have failed.
    pub(crate) fn finished(&mut self) -> Vec<u64> {
        self.settle();
        let is_finished = |job: &&Job| matches!(&job.phase, Phase::Ended(ended, _) if ended.error.is_none());
        self.all.iter().filter(is_finished).map(|job| job.id).collect()
    }

    /// The one that has failed and has this name or number.
    pub(crate) fn failed(&mut self, name: &str) -> Option<u64> {
        self.settle();
        let fits = |job: &&Job| job.facts().name == name || job.id.to_string() == name;
        self.all.iter().filter(fits).find(|job| job.error().is_some()).map(|job| job.id)
    }

    /// Forgets a job that is over.
    pub(crate) fn forget(&mut self, id: u64) {
        self.all.retain(|job| job.id != id || matches!(job.phase, Phase::Running(_)));
    }

    /// Those that run, as far as is known.
    pub(crate) fn running(&self) -> impl Iterator<Item = BackgroundJob<'_>> {
        self.all.iter().filter_map(|job| match &job.phase {
            Phase::Running(running) => Some(BackgroundJob { id: job.id, job: running }),
            Phase::Ended(..) => None,
        })
    }

    /// Takes out the first of those that run.
    pub(crate) fn take(&mut self) -> Option<(u64, RunningJob)> {
        self.settle();
        let at = self.all.iter().position(|job| matches!(job.phase, Phase::Running(_)))?;
        let Job { id, phase: Phase::Running(job), .. } = self.all.remove(at) else { return None };
        Some((id, *job))
    }

    /// Those that have ended since this was asked last.
    pub(crate) fn take_ended(&mut self) -> Vec<EndedJob> {
        self.settle();
        let mut found = Vec::new();
        for job in &mut self.all {
            if let Phase::Ended(ended, known) = &mut job.phase
                && !std::mem::replace(known, true)
            {
                found.push(EndedJob::clone(ended));
            }
        }
        found
    }

    /// Does any run?
    pub(crate) fn are_running(&mut self) -> bool {
        self.settle();
        self.running().next().is_some()
    }

    /// Asks all that run to end at their next barrier.
    pub(crate) fn stop_all(&mut self) {
        self.running().for_each(|job| job.job.stop());
    }

    /// Is it known that this job has ended?
    pub(crate) fn is_over(&mut self, id: u64) -> bool {
        self.settle();
        self.running().all(|job| job.id != id)
    }

    /// The job of this name or id.
    ///
    /// # Errors
    /// None that runs, or several of the name.
    pub(crate) fn find(&mut self, name: &str) -> Result<BackgroundJob<'_>, SqlError> {
        self.settle();
        let fits = |job: &BackgroundJob<'_>| job.job.facts().name == name || job.id.to_string() == name;
        let mut found = self.running().filter(fits);
        match (found.next(), found.next()) {
            (Some(job), None) => Ok(job),
            (Some(first), Some(second)) => {
                let message = format!("several jobs are named '{name}'");
                let hint = format!("give the id of one: '{}' or '{}'; SHOW JOBS lists them", first.id, second.id);
                Err(SqlError::new("42725", message).with_hint(hint))
            }
            _ => Err(SqlError::new(SqlError::UNDEFINED_OBJECT, format!("no job '{name}' runs here"))
                .with_hint("SHOW JOBS lists them; `eddyline stop` ends the job of another process")),
        }
    }

    /// What keeps its state under its name has the name for itself.
    ///
    /// # Errors
    /// A job of this name runs.
    pub(crate) fn check_unique(&mut self, name: &str) -> Result<(), SqlError> {
        self.settle();
        match self.running().any(|job| job.job.facts().name == name) {
            false => Ok(()),
            true => Err(SqlError::new("42710", format!("a job named '{name}' runs already"))
                .with_hint(format!("STOP JOB '{name}' first, or SET 'pipeline.name' to another name"))),
        }
    }

    /// `SHOW JOBS`.
    pub(crate) fn listing(&mut self) -> Listing {
        self.settle();
        let numbers = |of: &dyn Fn(&Progress) -> Option<i64>| -> ArrayRef {
            Arc::new(self.all.iter().map(|job| of(&job.progress())).collect::<Int64Array>())
        };
        let texts = |of: &dyn Fn(&Job) -> Option<String>| text(self.all.iter().map(of).collect());
        let count = |n: u64| i64::try_from(n).ok();
        let started: TimestampSecondArray = self.all.iter().map(|job| Some(job.started_ms.div_euclid(1000))).collect();
        Listing::columns(vec![
            ("id", Arc::new(self.all.iter().map(|job| count(job.id)).collect::<Int64Array>())),
            ("name", texts(&|job| Some(job.facts().name.clone()))),
            ("status", texts(&|job| Some(job.status().to_owned()))),
            ("start", Arc::new(started.with_timezone("UTC"))),
            ("rows in", numbers(&|p| count(p.rows_in))),
            ("rows out", numbers(&|p| count(p.rows_out))),
            ("lag ms", numbers(&|p| p.lag_ms)),
            ("state bytes", numbers(&|p| count(p.state_bytes))),
            ("error", texts(&|job| job.error())),
        ])
    }

    /// Learns which jobs have ended.
    fn settle(&mut self) {
        for job in &mut self.all {
            let Phase::Running(running) = &job.phase else { continue };
            if let Some(result) = ended(running, Duration::ZERO) {
                job.phase = Phase::Ended(Box::new(EndedJob::new(job.id, running, result)), false);
            }
        }
        let mut left = self.all.len().saturating_sub(ENDED_MAX);
        self.all.retain(|job| {
            let goes = left > 0 && matches!(job.phase, Phase::Ended(_, true));
            left -= usize::from(goes);
            !goes
        });
    }
}

impl Job {
    fn facts(&self) -> &JobFacts {
        match &self.phase {
            Phase::Running(running) => running.facts(),
            Phase::Ended(ended, _) => &ended.facts,
        }
    }

    fn progress(&self) -> Progress {
        match &self.phase {
            Phase::Running(running) => running.progress(),
            Phase::Ended(ended, _) => ended.progress,
        }
    }

    fn status(&self) -> &'static str {
        match &self.phase {
            Phase::Running(running) => match running.metrics().state {
                JobState::Created => "CREATED",
                JobState::Running => "RUNNING",
                JobState::Restarting => "RESTARTING",
                JobState::Finishing => "FINISHING",
                JobState::Finished => "FINISHED",
                JobState::Stopped => "STOPPED",
                JobState::Failed => "FAILED",
            },
            Phase::Ended(ended, _) if ended.error.is_some() => "FAILED",
            Phase::Ended(ended, _) if ended.stopped => "STOPPED",
            Phase::Ended(..) => "FINISHED",
        }
    }

    fn error(&self) -> Option<String> {
        match &self.phase {
            Phase::Ended(ended, _) => ended.error.as_ref().map(|e| e.message.clone()),
            Phase::Running(_) => None,
        }
    }
}

impl EndedJob {
    fn not_begun(id: u64, name: &str, error: SqlError) -> Self {
        let facts = JobFacts {
            name: name.to_owned(),
            is_named: false,
            bounded: false,
            shards: 0,
            sinks: Vec::new(),
            result: None,
            warnings: Vec::new(),
        };
        Self { id, facts, progress: Progress::none(), stopped: false, error: Some(error) }
    }

    fn new(id: u64, job: &RunningJob, result: Result<(), SqlError>) -> Self {
        let (facts, progress, stopped) = (job.facts().clone(), job.progress(), job.was_stopped());
        Self { id, facts, progress, stopped, error: result.err() }
    }
}

/// How a job has ended; `None` while it runs, and says nothing for so long.
fn ended(job: &RunningJob, timeout: Duration) -> Option<Result<(), SqlError>> {
    while let Some(event) = job.next_event(timeout) {
        if let JobEvent::Ended(result) = event {
            return Some(result);
        }
    }
    None
}
