//! What is asked of a job: its end, a savepoint, to go on, to be forgotten; what it tells of itself.

use super::script::Script;
use super::submit::begins_of;
use super::{BackgroundJob, Job, JobReport, JobStatus, NOT_RUNNING, Phase};
use crate::beginning::Begins;
use crate::control::{JobControl, SavepointPlace};
use crate::creations::Creating;
use crate::drops::DEPENDENT_OBJECTS;
use crate::durable::{Allowed, Rest, StoredJob};
use crate::reservation::{Canceller, Reservation};
use crate::show::CheckpointPlace;
use crate::{Instance, Listing, RunningJob, ScriptError};
use eddyline_catalog::Object;
use eddyline_planner::SqlError;
use eddyline_planner::statement::{ExplainStage, StatementKind};
use eddyline_runtime::{JobLog, LogEntry, LogLevel, LogSubject, SavepointMade};
use std::collections::BTreeSet;
use std::time::Duration;

/// How often it is asked whether a job that was stopped is over.
const LOOK: Duration = Duration::from_millis(2);

/// How a job is to be stopped.
#[derive(Debug, Clone, Default)]
pub struct StopOrder {
    /// With a savepoint of its end, there.
    pub savepoint: Option<SavepointPlace>,
    /// Event time goes to its end before, so that all that waits for it comes out. Such a job does not go on.
    pub drain: bool,
}

/// A job that was stopped.
#[derive(Debug, Clone)]
pub struct StoppedJob {
    /// Its name.
    pub name: String,
    /// The savepoint of its end.
    pub savepoint: Option<SavepointMade>,
}

/// What is known of a job before something is done to it.
pub(super) struct Found {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) status: JobStatus,
    pub(super) definition: Option<StoredJob>,
    pub(super) log: JobLog,
    /// `None`: it is over.
    pub(super) control: Option<JobControl>,
}

impl Found {
    pub(super) fn of(job: &Job) -> Self {
        let control = match &job.phase {
            Phase::Running(job) => Some(job.control()),
            Phase::Over(_) => None,
        };
        let (id, name, status) = (job.id, job.facts().name.clone(), job.status());
        Self { id, name, status, definition: job.definition.clone(), log: job.log.clone(), control }
    }
}

impl Instance {
    /// All jobs in the background, by their numbers.
    pub fn job_reports(&self) -> Vec<JobReport> {
        if let Err(error) = self.forget_finished() {
            tracing::warn!(error = error.message, "that a job has come to its end cannot be stored");
        }
        let mut all = self.jobs().reports(&self.name());
        all.extend(self.creations().reports(&self.name()));
        all.extend(self.sinks_into_tables().iter().filter_map(|sink| self.report_of_sink(sink)));
        all.sort_by_key(|report| report.id);
        all
    }

    /// The jobs of all databases, by database and number.
    pub fn all_job_reports(&self) -> Vec<JobReport> {
        self.all_databases().iter().flat_map(Self::job_reports).collect()
    }

    /// The job of this name or number.
    ///
    /// # Errors
    /// There is none, or several of the name run.
    pub fn job_report(&self, job: &str) -> Result<JobReport, SqlError> {
        let known = self.jobs().report(&self.name(), job);
        known.or_else(|error| self.sink_into_table(job).and_then(|sink| self.report_of_sink(&sink)).ok_or(error))
    }

    /// The last `max` entries of a job's log behind the one of number `after`, oldest first.
    ///
    /// # Errors
    /// There is no such job.
    pub fn job_log(&self, job: &str, after: u64, max: usize) -> Result<Vec<LogEntry>, SqlError> {
        Ok(self.found(job)?.log.after(after, max))
    }

    /// Ends a job at a barrier. Where it is stored, or keeps checkpoints, it can be resumed. Blocks until it is over.
    ///
    /// # Errors
    /// There is no such job that runs; the savepoint cannot be made; the job fails.
    pub fn stop_job(&self, job: &str, order: &StopOrder, canceller: &Canceller) -> Result<StoppedJob, SqlError> {
        let _alone = self.reserve_job(job, canceller)?;
        let found = self.found(job)?;
        let made = match &found.control {
            Some(control) => {
                let made = control.stop(order.savepoint.as_ref(), order.drain)?;
                self.await_end(found.id);
                self.forget_answer(found.id);
                made
            }
            // Then it does not begin with the instance.
            None if found.status == JobStatus::Failed && order.savepoint.is_none() && !order.drain => None,
            None if found.status == JobStatus::Failed => {
                let wanted = if order.drain { "cannot be drained" } else { "has no state to make a savepoint of" };
                return Err(SqlError::new(NOT_RUNNING, format!("job '{job}' has failed: it {wanted}")).with_hint(
                    "RESUME JOB it first; STOP JOB without more says that it is not to begin again by itself",
                ));
            }
            None => {
                let message = format!("job '{job}' does not run: it is {}", found.status.name());
                return Err(SqlError::new(NOT_RUNNING, message).with_hint("SHOW JOBS lists what runs"));
            }
        };
        if let Some(definition) = found.definition {
            let savepoint = made.as_ref().map(|made| made.location.clone());
            let rest = Rest { time_ms: self.engine().rim().clock.wall_ms(), savepoint, drained: order.drain };
            self.define_job(StoredJob { rest: Some(rest), ..definition })?;
        }
        Ok(StoppedJob { name: found.name, savepoint: made })
    }

    /// Makes a savepoint of a job, which goes on. Blocks until it is there.
    ///
    /// # Errors
    /// There is no such job that runs; the savepoint cannot be made.
    pub fn savepoint_job(&self, job: &str, place: &SavepointPlace) -> Result<SavepointMade, SqlError> {
        let control = self.jobs().find(job).map(|found| found.job.control());
        let control = control.map_err(|error| self.without_job(job).unwrap_or(error))?;
        control.savepoint(place)
    }

    /// Begins a job again that was stopped or has failed, from its last checkpoint. Returns its number.
    ///
    /// # Errors
    /// There is no such job, or it runs; nothing is there that it could go on from; it cannot begin.
    pub fn resume_job(&self, job: &str, canceller: &Canceller) -> Result<u64, SqlError> {
        let _alone = self.reserve_job(job, canceller)?;
        self.go_on(self.found(job)?, None, canceller)
    }

    /// Begins a job again that was stopped or has failed; `allowed`: more than it was before.
    ///
    /// # Errors
    /// As [`resume_job`](Self::resume_job).
    pub(super) fn go_on(&self, found: Found, allowed: Option<Allowed>, canceller: &Canceller) -> Result<u64, SqlError> {
        let Found { id, name, status, definition, log, control } = found;
        if control.is_some() {
            return Err(SqlError::new("42710", format!("job '{name}' runs already")));
        }
        let Some(definition) = definition.filter(|_| status != JobStatus::Finished) else {
            let message = format!("job '{name}' is {}, and does not begin again", status.name());
            return Err(SqlError::new(NOT_RUNNING, message).with_hint("submit it, or execute its INSERT, once more"));
        };
        if definition.rest.as_ref().is_some_and(|rest| rest.drained) {
            let message = format!("job '{name}' was drained: its event time is at its end");
            return Err(SqlError::new(NOT_RUNNING, message).with_hint("DROP JOB it, and submit it anew"));
        }
        let savepoint = definition.rest.as_ref().and_then(|rest| rest.savepoint.clone());
        let allowed = allowed.or(definition.allowed);
        let mut resumed = StoredJob { rest: None, allowed, ..definition.clone() };
        if self.outward_sink(id).is_none() && !self.keeps_checkpoints(&resumed)? {
            let Some(savepoint) = savepoint else {
                let message = format!("job '{name}' keeps no checkpoints, and was stopped without a savepoint");
                return Err(SqlError::new(NOT_RUNNING, message)
                    .with_hint("DROP JOB it and submit it anew: it begins with its input from the start"));
            };
            resumed.from = Some(savepoint);
        }
        // Stored before it runs: whatever happens to the process, it goes on.
        self.define_job(resumed.clone())?;
        self.tell_of(&log, "resumed");
        if let Err(error) = self.begin_stored(&resumed, log, canceller) {
            self.define_job(definition)?;
            return Err(error);
        }
        Ok(id)
    }

    /// Forgets a job that is over, with its checkpoints in the data directory. Returns its name.
    ///
    /// # Errors
    /// There is no such job, or it runs; that it has gone cannot be stored.
    pub fn drop_job(&self, job: &str, canceller: &Canceller) -> Result<String, SqlError> {
        let _alone = self.reserve_job(job, canceller)?;
        let found = self.found(job)?;
        if found.control.is_some() {
            return Err(SqlError::new(NOT_RUNNING, format!("job '{}' runs", found.name))
                .with_hint(format!("STOP JOB '{job}' first")));
        }
        let written = self.catalog();
        let of_job = |object: &&Object| matches!(object, Object::Sink(sink) if sink.job == found.id);
        if let Some(sink) = written.objects().map(|(_, object)| object).find(of_job) {
            return Err(SqlError::new(DEPENDENT_OBJECTS, format!("job '{}' writes sink {}", found.name, sink.name()))
                .with_hint(format!("DROP SINK {} drops both", sink.name())));
        }
        if let Some(durable) = self.durable().filter(|durable| durable.has_job(found.id)) {
            durable.define_job(Some(found.id), None)?;
        }
        self.jobs().forget(found.id);
        Ok(found.name)
    }

    /// Waits for the end of a job whose input ends.
    ///
    /// # Errors
    /// It fails; cancelled.
    pub(crate) fn await_bounded(&self, id: u64, what: String, canceller: &Canceller) -> Result<(), SqlError> {
        let is_it = |job: &BackgroundJob<'_>| job.id == id && job.job.facts().bounded;
        let creating = |job: BackgroundJob<'_>| Creating::of_listed(self, canceller, job.job, what);
        let _creating = self.jobs().running().find(is_it).map(creating);
        loop {
            // Who cancels ends the job: then how it has ended says nothing.
            canceller.check()?;
            let ended = self.jobs().end_of(id);
            match ended {
                Some(result) => {
                    canceller.check()?;
                    return result;
                }
                None if self.jobs().running().any(|job| is_it(&job)) => {}
                None => return Ok(()),
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Ends the job of a sink that goes.
    pub(crate) fn end_job(&self, id: u64) {
        let Ok(found) = self.found(&id.to_string()) else { return };
        let Some(control) = &found.control else { return };
        if let Err(error) = control.stop(None, false) {
            tracing::warn!(
                job = id,
                error = error.message,
                "the job of a sink that is dropped does not stop at a barrier"
            );
            self.jobs().cancel(id);
        }
        self.await_end(id);
    }

    /// What EXPLAIN shows of a job.
    ///
    /// # Errors
    /// There is no such job; what it reads is no more.
    pub fn explain_job(&self, job: &str, stage: ExplainStage) -> Result<Listing, SqlError> {
        if let Some(sink) = self.sink_into_table(job) {
            let session = self.session();
            let statement = session.parse(&sink.to_sql())?.pop();
            let statement = statement.ok_or_else(|| SqlError::new(SqlError::INTERNAL, "a sink is no statement"))?;
            return session.explain(stage, &statement);
        }
        let found = self.found(job)?;
        let Some(stored) = found.definition else {
            return Err(SqlError::new(SqlError::UNSUPPORTED, format!("the statement of job '{job}' is not known"))
                .with_hint("EXPLAIN the INSERT itself"));
        };
        if stored.submitted.is_some() {
            return self.script_of(&stored)?.explain(stage);
        }
        let (session, statement) = self.statement_of(&stored)?;
        session.explain(stage, &statement)
    }

    /// Where a job that is known has its checkpoints; `None`: there is no such job, or it keeps none.
    pub(crate) fn checkpoints_of(&self, job: &str) -> Option<CheckpointPlace> {
        let found = self.found(job).ok()?;
        let location = self.checkpoints_directory(found.definition.as_ref()?).ok()??;
        // A job that has not begun knows only what it was submitted as.
        Some(CheckpointPlace { location, job: Some(found.name) })
    }

    /// Where the jobs of this instance have their checkpoints.
    pub(crate) fn all_checkpoints(&self) -> Vec<CheckpointPlace> {
        let reports = self.job_reports();
        reports.iter().filter_map(|report| self.checkpoints_of(&report.id.to_string())).collect()
    }

    /// The directory or URL; `None`: the job keeps no checkpoints.
    fn checkpoints_directory(&self, stored: &StoredJob) -> Result<Option<String>, SqlError> {
        let said = match &stored.submitted {
            Some(_) => self.script_of(stored)?.checkpoints_dir().to_owned(),
            None => stored.settings.get("state.checkpoints.dir").cloned().unwrap_or_default(),
        };
        let own = self.durable().filter(|durable| durable.has_jobs());
        let own = own.map(|durable| durable.job_directory(stored.id).to_string_lossy().into_owned());
        Ok(if said.is_empty() { own } else { Some(said) })
    }

    pub(super) fn keeps_checkpoints(&self, stored: &StoredJob) -> Result<bool, SqlError> {
        Ok(self.checkpoints_directory(stored)?.is_some())
    }

    pub(super) fn found(&self, job: &str) -> Result<Found, SqlError> {
        let found = self.jobs().known(job).map(Found::of);
        found.map_err(|error| self.without_job(job).unwrap_or(error))
    }

    /// Has the name or number of a job to itself, so that one thing at a time is done to it.
    pub(super) fn reserve_job(&self, job: &str, canceller: &Canceller) -> Result<Reservation<String>, SqlError> {
        let name = self.found(job).map_or_else(|_| job.to_owned(), |found| found.name);
        self.job_orders().take(BTreeSet::from([name]), canceller)
    }

    /// Stores what defines a job, where jobs are stored, and notes it.
    pub(super) fn define_job(&self, definition: StoredJob) -> Result<(), SqlError> {
        if let Some(durable) = self.durable().filter(|durable| durable.has_jobs()) {
            durable.define_job(None, Some(definition.clone()))?;
        }
        self.jobs().define(definition);
        Ok(())
    }

    /// Waits until it is known that a job is over whose threads are gone, which takes a moment. Meanwhile others may look at jobs.
    pub(super) fn await_end(&self, id: u64) {
        while !self.jobs().is_over(id) {
            std::thread::sleep(LOOK);
        }
    }

    pub(super) fn tell_of(&self, log: &JobLog, message: impl Into<String>) {
        log.tell(self.engine().rim().clock.wall_ms(), LogLevel::Info, LogSubject::Life, message);
    }

    /// Starts a job as it was started before, from its last checkpoint, and takes it in.
    ///
    /// # Errors
    /// It cannot begin; cancelled.
    pub(crate) fn begin_stored(&self, stored: &StoredJob, log: JobLog, canceller: &Canceller) -> Result<(), SqlError> {
        let begins = begins_of(stored, log);
        let job = match &stored.submitted {
            Some(name) => self.script_of(stored)?.start(begins).map_err(|e| of_submitted(e, name))?,
            None => self.begin_statement(stored, begins, canceller)?,
        };
        self.take_in(stored.clone(), job);
        Ok(())
    }

    pub(super) fn take_in(&self, stored: StoredJob, mut job: RunningJob) {
        let id = stored.id;
        job.set_stored(stored);
        self.jobs().keep_as(id, job, self.engine().rim().clock.wall_ms());
    }

    /// The text of a job that was submitted, read again under its name.
    pub(super) fn script_of(&self, stored: &StoredJob) -> Result<Script, SqlError> {
        let mut script = Script::read(self.engine(), &stored.sql, &stored.settings)?;
        self.name_script(&mut script, stored.name(), stored.id)?;
        Ok(script)
    }

    /// Gives a script its name, and its place for checkpoints in the data directory if there is one.
    pub(super) fn name_script(&self, script: &mut Script, name: &str, id: u64) -> Result<(), SqlError> {
        let own = self.durable().filter(|durable| durable.has_jobs()).map(|durable| durable.job_directory(id));
        script.name(name, own.as_ref().map(|directory| directory.to_string_lossy()).as_deref())
    }

    fn begin_statement(
        &self,
        stored: &StoredJob,
        begins: Begins,
        canceller: &Canceller,
    ) -> Result<RunningJob, SqlError> {
        let (mut session, statement) = self.statement_of(stored)?;
        session.canceller = canceller.clone();
        session.begins = begins;
        session.begin_again(&statement, stored.id).map_err(ScriptError::into_error)
    }

    fn statement_of(
        &self,
        stored: &StoredJob,
    ) -> Result<(crate::Session, eddyline_planner::statement::Statement), SqlError> {
        let corrupt = |message: String| SqlError::new(crate::error::state::CORRUPTED, message);
        let mut session = self.session();
        for (key, value) in &stored.settings {
            session.settings_mut().set(key, value)?;
        }
        // Of a sink, what it reads may have got other names.
        let of_sink = session.catalog().objects().find_map(|(_, object)| match object {
            Object::Sink(sink) if sink.job == stored.id => Some(sink.to_sql()),
            _ => None,
        });
        let statement = session.parse(of_sink.as_deref().unwrap_or(&stored.sql))?.pop();
        let statement = statement.ok_or_else(|| corrupt("a stored job has no statement".into()))?;
        match statement.kind {
            StatementKind::Insert(_)
            | StatementKind::StatementSet(_)
            | StatementKind::CreateTable { .. }
            | StatementKind::CreateSink { .. } => Ok((session, statement)),
            _ => Err(corrupt(format!("a stored job is none: {}", stored.sql))),
        }
    }
}

/// Why a job does not begin again: what may be allowed to it is allowed to its file.
fn of_submitted(error: SqlError, name: &str) -> SqlError {
    let flag = ["--allow-fresh", "--allow-dropped-state"];
    let flag = flag.into_iter().find(|flag| error.hint.as_ref().is_some_and(|hint| hint.contains(flag)));
    match flag {
        Some(flag) => error
            .with_hint(format!("submit its file again with {flag} (--name '{name}'): it begins without what is lost")),
        None => error,
    }
}
