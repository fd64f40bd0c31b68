//! The jobs of an instance that go on in the background: which there are, and what is known of each.
//!
//! | file | holds |
//! |---|---|
//! | `mod.rs` | the list of jobs: they come in, end, are forgotten |
//! | `report.rs` | what is told of a job, SHOW JOBS |
//! | `script.rs` | a text of definitions and INSERTs that is a job |
//! | `submit.rs` | such a text is submitted: a new job, the same again, an upgrade |
//! | `sinks.rs` | sinks into tables here, which are in the list and have no job of their own |
//! | `orders.rs` | what is asked of a job: stop, resume, savepoint, drop, logs, plan |
//!
//! A job runs, or is over: at its end, because it failed, or because somebody stopped it. Where jobs are stored, one that was stopped stays
//! in the list with its checkpoints, until it is resumed or dropped; one that has come to its end is forgotten at the next start.
//!
//! Not here: how a job runs; how it is stored ([`crate::durable`]).

mod orders;
mod report;
mod script;
mod sinks;
mod submit;

use crate::durable::StoredJob;
use crate::job::{JobEvent, JobFacts, Progress, RunningJob};
use eddyline_planner::SqlError;
use eddyline_runtime::{JobFailure, JobLog, JobMetrics, JobState};
pub use orders::{StopOrder, StoppedJob};
pub(crate) use report::listing;
pub use report::{JobReport, JobStatus};
use std::time::Duration;
pub use submit::{Submission, Submitted, Would};

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
    /// What makes it again.
    definition: Option<StoredJob>,
    log: JobLog,
}

enum Phase {
    Running(Box<RunningJob>),
    Over(Box<Over>),
}

/// A job that does not run.
struct Over {
    ended: EndedJob,
    /// Is it known to whoever asks for what has ended?
    is_known: bool,
    /// The last measurements; `None`: it has not run in this process.
    metrics: Option<JobMetrics>,
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

    /// Takes a job in that has a number, in the place of what has it now.
    pub(crate) fn keep_as(&mut self, id: u64, job: RunningJob, started_ms: i64) {
        let definition = job.stored().map(|stored| StoredJob { id, ..stored.clone() });
        let log = job.log().clone();
        self.put(Job { id, started_ms, phase: Phase::Running(Box::new(job)), definition, log });
    }

    /// Takes a job in that could not begin.
    pub(crate) fn keep_failed(&mut self, definition: StoredJob, error: SqlError, log: JobLog, started_ms: i64) {
        let ended = EndedJob::not_begun(definition.id, definition.name(), Some(error));
        self.put_over(ended, definition, log, started_ms);
    }

    /// Takes a job in that was stopped.
    pub(crate) fn keep_at_rest(&mut self, definition: StoredJob, log: JobLog, started_ms: i64) {
        let ended = EndedJob { stopped: true, ..EndedJob::not_begun(definition.id, definition.name(), None) };
        self.put_over(ended, definition, log, started_ms);
    }

    fn put_over(&mut self, ended: EndedJob, definition: StoredJob, log: JobLog, started_ms: i64) {
        let over = Over { is_known: ended.stopped, ended, metrics: None };
        let (id, definition) = (definition.id, Some(definition));
        self.put(Job { id, started_ms, phase: Phase::Over(Box::new(over)), definition, log });
    }

    fn put(&mut self, job: Job) {
        self.last = self.last.max(job.id);
        match self.all.iter_mut().find(|other| other.id == job.id) {
            Some(before) => *before = job,
            None => self.all.push(job),
        }
    }

    /// Those that have come to their end: not those that have failed or were stopped.
    pub(crate) fn finished(&mut self) -> Vec<u64> {
        self.settle();
        let is_finished = |job: &&Job| job.status() == JobStatus::Finished;
        self.all.iter().filter(is_finished).map(|job| job.id).collect()
    }

    /// Forgets a job that is over.
    pub(crate) fn forget(&mut self, id: u64) {
        self.all.retain(|job| job.id != id || matches!(job.phase, Phase::Running(_)));
    }

    /// From now on the job is defined so.
    pub(crate) fn define(&mut self, definition: StoredJob) {
        if let Some(job) = self.all.iter_mut().find(|job| job.id == definition.id) {
            if let (Phase::Over(over), Some(_)) = (&mut job.phase, &definition.rest) {
                over.ended.stopped = true;
            }
            job.definition = Some(definition);
        }
    }

    /// Those that run, as far as is known.
    pub(crate) fn running(&self) -> impl Iterator<Item = BackgroundJob<'_>> {
        self.all.iter().filter_map(|job| match &job.phase {
            Phase::Running(running) => Some(BackgroundJob { id: job.id, job: running }),
            Phase::Over(_) => None,
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
            if let Phase::Over(over) = &mut job.phase
                && !std::mem::replace(&mut over.is_known, true)
            {
                found.push(over.ended.clone());
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

    /// How a job has ended; `None`: it runs, or is not known.
    pub(crate) fn end_of(&mut self, id: u64) -> Option<Result<(), SqlError>> {
        self.settle();
        self.all.iter().find(|job| job.id == id).and_then(|job| match &job.phase {
            Phase::Running(_) => None,
            Phase::Over(over) => Some(over.ended.error.clone().map_or(Ok(()), Err)),
        })
    }

    /// Ends a job at once.
    pub(crate) fn cancel(&self, id: u64) {
        self.running().filter(|job| job.id == id).for_each(|job| job.job.cancel());
    }

    /// The job of this name or id that runs.
    ///
    /// # Errors
    /// None that runs, or several of the name.
    pub(crate) fn find(&mut self, name: &str) -> Result<BackgroundJob<'_>, SqlError> {
        let found = self.known(name)?;
        match &found.phase {
            Phase::Running(job) => Ok(BackgroundJob { id: found.id, job }),
            Phase::Over(_) => {
                let message = format!("job '{name}' does not run: it is {}", found.status().name());
                Err(SqlError::new(NOT_RUNNING, message).with_hint(format!("RESUME JOB '{name}' begins it again")))
            }
        }
    }

    /// The job of this name or id, whether it runs or not. Of several with one name, the one that runs.
    ///
    /// # Errors
    /// There is none, or several of the name run.
    fn known(&mut self, name: &str) -> Result<&Job, SqlError> {
        self.settle();
        let is_running = |job: &&&Job| matches!(job.phase, Phase::Running(_));
        if let Some(job) = self.all.iter().find(|job| job.id.to_string() == name) {
            return Ok(job);
        }
        let found: Vec<&Job> = self.all.iter().filter(|job| job.facts().name == name).collect();
        let running: Vec<&Job> = found.iter().copied().filter(|job| is_running(&job)).collect();
        match (running.as_slice(), found.last()) {
            ([first, second, ..], _) => {
                let message = format!("several jobs are named '{name}'");
                let hint = format!("give the id of one: '{}' or '{}'; SHOW JOBS lists them", first.id, second.id);
                Err(SqlError::new("42725", message).with_hint(hint))
            }
            ([only], _) => Ok(only),
            ([], Some(last)) => Ok(last),
            ([], None) => Err(no_job(name)),
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

    /// Learns which jobs have ended.
    fn settle(&mut self) {
        for job in &mut self.all {
            let Phase::Running(running) = &job.phase else { continue };
            if let Some(result) = ended(running, Duration::ZERO) {
                let ended = EndedJob::new(job.id, running, result);
                let over = Over { ended, is_known: false, metrics: Some(running.metrics()) };
                job.phase = Phase::Over(Box::new(over));
            }
        }
        let mut left = self.all.len().saturating_sub(ENDED_MAX);
        self.all.retain(|job| {
            // What can be resumed stays.
            let goes = left > 0
                && matches!(job.phase, Phase::Over(_))
                && job.definition.as_ref().is_none_or(|definition| definition.rest.is_none());
            left -= usize::from(goes);
            !goes
        });
    }
}

impl Job {
    fn facts(&self) -> &JobFacts {
        match &self.phase {
            Phase::Running(running) => running.facts(),
            Phase::Over(over) => &over.ended.facts,
        }
    }

    fn metrics(&self) -> Option<JobMetrics> {
        match &self.phase {
            Phase::Running(running) => Some(running.metrics()),
            Phase::Over(over) => over.metrics.clone(),
        }
    }

    fn status(&self) -> JobStatus {
        match &self.phase {
            Phase::Running(running) => match running.state() {
                JobState::Created => JobStatus::Created,
                JobState::Running => JobStatus::Running,
                JobState::Restarting => JobStatus::Restarting,
                JobState::Finishing => JobStatus::Finishing,
                JobState::Finished => JobStatus::Finished,
                JobState::Stopped => JobStatus::Stopped,
                JobState::Failed => JobStatus::Failed,
            },
            Phase::Over(over) if over.ended.stopped => JobStatus::Stopped,
            Phase::Over(over) if over.ended.error.is_some() => JobStatus::Failed,
            Phase::Over(_) => JobStatus::Finished,
        }
    }

    /// Why it has failed, or failed last before it was started again.
    fn failure(&self, metrics: Option<&JobMetrics>) -> Option<JobFailure> {
        let of_end = match &self.phase {
            Phase::Over(over) => over.ended.error.as_ref(),
            Phase::Running(_) => None,
        };
        let measured = metrics.and_then(|metrics| metrics.failure.clone());
        match of_end {
            Some(error) => {
                let time_ms = measured.map_or(self.started_ms, |failure| failure.time_ms);
                Some(JobFailure { time_ms, message: error.message.clone() })
            }
            None => measured,
        }
    }
}

impl EndedJob {
    fn not_begun(id: u64, name: &str, error: Option<SqlError>) -> Self {
        let facts = JobFacts {
            name: name.to_owned(),
            is_named: false,
            bounded: false,
            shards: 0,
            sinks: Vec::new(),
            result: None,
            warnings: Vec::new(),
        };
        Self { id, facts, progress: Progress::none(), stopped: false, error }
    }

    fn new(id: u64, job: &RunningJob, result: Result<(), SqlError>) -> Self {
        let (facts, progress, stopped) = (job.facts().clone(), job.progress(), job.was_stopped());
        Self { id, facts, progress, stopped, error: result.err() }
    }
}

/// SQLSTATE of what is asked of a job that does not run.
const NOT_RUNNING: &str = "55000";

/// There is no job of the name.
fn no_job(name: &str) -> SqlError {
    SqlError::new(SqlError::UNDEFINED_OBJECT, format!("there is no job '{name}' here"))
        .with_hint("SHOW JOBS and `eddyline jobs` list them; `eddyline stop` also ends a job of `eddyline run`")
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
