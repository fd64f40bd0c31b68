//! Jobs that go on in the background: how a session starts, keeps and stops them.
//!
//! Where jobs are stored ([`crate::DataSettings`]), one that nobody waits for is a record of the log, and keeps its checkpoints in the data
//! directory; [`crate::Engine::open`] starts it again from there.
//!
//! Not here: the list of jobs ([`crate::jobs`]), how a job runs.

use crate::durable::{StoredJob, stored_settings};
use crate::jobs::EndedJob;
use crate::jobs::{StopOrder, Submission, Submitted, Would};
use crate::kept::Reads;
use crate::listing::Listing;
use crate::sinks::sink_of_job;
use crate::{Outcome, RunningJob, SavepointPlace, ScriptError, Session, job};
use arrow::datatypes::SchemaRef;
use eddyline_planner::statement::{JobStatement, JobVerb, Statement};
use eddyline_planner::{JobOutput, SqlError};

impl Session {
    /// A job that was started goes on in the background, for as long as the instance lives. Returns its id.
    ///
    /// # Errors
    /// Jobs are stored, and this one cannot be: then it ends.
    pub fn keep(&mut self, job: RunningJob) -> Result<u64, SqlError> {
        let now = self.engine.rim().clock.wall_ms();
        match (self.instance.durable(), job.stored().cloned()) {
            (Some(durable), Some(stored)) if stored.id != 0 => {
                let id = stored.id;
                durable.define_job(None, Some(stored))?;
                self.instance.jobs().keep_as(id, job, now);
                self.instance.forget_finished()?;
                Ok(id)
            }
            _ => Ok(self.instance.jobs().keep(job, now)),
        }
    }

    /// Starts the job of an INSERT into a table with a connector, or of a statement set. Where jobs are stored and nobody will wait for this
    /// one, it keeps its checkpoints in the data directory, unless it says otherwise.
    ///
    /// # Errors
    /// What cannot be planned or opened.
    pub(crate) fn start_in_background(&mut self, statement: &Statement) -> Result<Outcome, ScriptError> {
        let outputs = self.explained_outputs(statement)?;
        let is_stored = self.instance.durable().is_some_and(|durable| durable.has_jobs());
        let mut stored = StoredJob {
            id: 0,
            sql: statement.sql.clone(),
            settings: stored_settings(&self.settings),
            submitted: None,
            from: None,
            allowed: None,
            rest: None,
        };
        if !is_stored || self.is_waited_for(&outputs)? {
            let mut started = self.start(outputs)?;
            if let Outcome::Job(job) = &mut started {
                job.set_stored(stored);
            }
            return Ok(started);
        }
        stored.id = self.instance.jobs().next_id();
        let mut job = self.start_stored(outputs, stored.id)?;
        job.set_stored(stored);
        Ok(Outcome::Job(Box::new(job)))
    }

    /// Starts the job of a statement that has started it before, under that number.
    ///
    /// # Errors
    /// What cannot be planned or opened.
    pub(crate) fn begin_again(&mut self, statement: &Statement, id: u64) -> Result<RunningJob, ScriptError> {
        if let Some(sink) = sink_of_job(&self.catalog, id) {
            let (mut own, outputs) = self.outputs_of_sink(&sink)?;
            own.begins = std::mem::take(&mut self.begins);
            if own.is_outward(&sink) {
                return own.begin_outward(&sink, id);
            }
            let outputs = outputs.into_iter().map(|output| own.under_first_name(&sink, output)).collect();
            return own.start_stored(outputs, id);
        }
        let outputs = self.explained_outputs(statement)?;
        self.start_stored(outputs, id)
    }

    fn is_waited_for(&self, outputs: &[JobOutput]) -> Result<bool, SqlError> {
        let planned = self.plan(outputs.to_vec())?;
        let endless = job::endless_tables(self.engine.registry(), &self.settings, &planned.dataflow)?;
        Ok(self.settings.waits_for_insert(endless.is_empty()))
    }

    /// Starts a job whose checkpoints are in the data directory, unless it says otherwise or reads those of others.
    pub(crate) fn start_stored(&mut self, outputs: Vec<JobOutput>, id: u64) -> Result<RunningJob, ScriptError> {
        let said = self.settings.clone();
        let own = match self.instance.durable().filter(|durable| durable.has_jobs()) {
            Some(durable) if said.checkpoints_dir().is_empty() && !self.reads_states(&outputs)? => {
                Some(durable.job_directory(id))
            }
            _ => None,
        };
        if let Some(directory) = &own {
            self.settings.set("state.checkpoints.dir", &directory.to_string_lossy())?;
        }
        let started = self.start_named(outputs, own.is_some() && said.pipeline_name().is_none());
        self.settings = said;
        match started? {
            Outcome::Job(job) => Ok(*job),
            _ => Err(SqlError::new(SqlError::INTERNAL, "a job that was started is none").into()),
        }
    }

    fn reads_states(&self, outputs: &[JobOutput]) -> Result<bool, SqlError> {
        let planned = self.plan_reading(outputs.to_vec(), &self.planner_options(), Reads::Snapshot, 0)?;
        Ok(planned.states.is_some())
    }

    /// The jobs in the background: their ids and names.
    pub fn background(&self) -> Vec<(u64, String)> {
        self.instance.jobs().running().map(|job| (job.id, job.job.facts().name.clone())).collect()
    }

    /// Takes a job out of the background, to be followed to its end.
    pub fn take_background(&mut self) -> Option<(u64, RunningJob)> {
        self.instance.jobs().take()
    }

    /// Which jobs in the background have ended since this was asked last.
    pub fn take_ended(&mut self) -> Vec<EndedJob> {
        self.instance.jobs().take_ended()
    }

    /// Carries out a statement about a job.
    pub(crate) fn job_statement(&mut self, JobStatement { job, verb }: &JobStatement) -> Result<Outcome, ScriptError> {
        let (instance, canceller) = (&self.instance, &self.canceller);
        let place = |place: &Option<String>| place.clone().map_or(SavepointPlace::Default, SavepointPlace::Here);
        Ok(match verb {
            JobVerb::Submit { script, is_dry_run } => {
                let settings = stored_settings(&self.settings);
                let (name, sql, is_dry_run) = (Some(job.clone()), script.clone(), *is_dry_run);
                let submission = Submission { name, sql, settings, is_dry_run, ..Submission::default() };
                told(instance.submit(&submission, canceller).map_err(without_place)?)
            }
            JobVerb::Stop { with_savepoint, place: at, drain } => {
                let order = StopOrder { savepoint: with_savepoint.then(|| place(at)), drain: *drain };
                let stopped = instance.stop_job(job, &order, canceller).map_err(ScriptError::Job)?;
                match stopped.savepoint {
                    Some(made) => Outcome::Listing(savepoint_path(Some(made.location))),
                    None => Outcome::Done(format!("job '{}' stopped", stopped.name)),
                }
            }
            JobVerb::Savepoint { place: at } => {
                let made = instance.savepoint_job(job, &place(at)).map_err(ScriptError::Job)?;
                Outcome::Listing(savepoint_path(Some(made.location)))
            }
            JobVerb::Resume => {
                let id = instance.resume_job(job, canceller)?;
                Outcome::Done(format!("job {id} '{job}' goes on"))
            }
            JobVerb::Drop { if_exists } => match instance.drop_job(job, canceller) {
                Ok(name) => Outcome::Done(format!("job '{name}' dropped")),
                Err(error) if *if_exists && error.sqlstate == SqlError::UNDEFINED_OBJECT => {
                    Outcome::Noted(format!("there is no job '{job}', nothing is dropped"))
                }
                Err(error) => return Err(error.into()),
            },
            JobVerb::Explain(stage) => Outcome::Listing(instance.explain_job(job, *stage)?),
        })
    }

    /// The columns of what a statement about a job answers; `None`: no rows.
    pub(crate) fn columns_of_job_statement(
        &mut self,
        JobStatement { job, verb }: &JobStatement,
    ) -> Result<Option<SchemaRef>, SqlError> {
        Ok(match verb {
            JobVerb::Savepoint { .. } | JobVerb::Stop { with_savepoint: true, .. } => {
                Some(savepoint_path(None).rows.schema())
            }
            JobVerb::Submit { is_dry_run: true, .. } => Some(Listing::lines("state", "").rows.schema()),
            JobVerb::Explain(stage) => Some(self.instance.explain_job(job, *stage)?.rows.schema()),
            JobVerb::Submit { .. } | JobVerb::Stop { .. } | JobVerb::Resume | JobVerb::Drop { .. } => None,
        })
    }
}

fn savepoint_path(location: Option<String>) -> Listing {
    Listing::texts(vec![("savepoint path", vec![location])])
}

/// A place in the text of a job says nothing of the statement that it stands in.
fn without_place(error: SqlError) -> SqlError {
    let message = match error.position {
        Some(at) => format!("line {}, column {} of the job: {}", at.line, at.column, error.message),
        None => error.message.clone(),
    };
    SqlError { message, position: None, ..error }
}

fn told(submitted: Submitted) -> Outcome {
    let joined = |first: String, warnings: Vec<String>| {
        Outcome::Noted(std::iter::once(first).chain(warnings).collect::<Vec<_>>().join("\n"))
    };
    match submitted {
        Submitted::Started { id, name, warnings } => joined(format!("job {id} '{name}' started"), warnings),
        Submitted::Unchanged { id, name, status } => {
            Outcome::Noted(format!("job {id} '{name}' is the same already, and {}: nothing was done", status.name()))
        }
        Submitted::Resumed { id, name } => Outcome::Noted(format!("job {id} '{name}' is the same, and goes on")),
        Submitted::Upgraded { id, name, state, warnings } => {
            joined(format!("job {id} '{name}' upgraded; its state: {}", state.join("; ")), warnings)
        }
        Submitted::Told { name, would: Would::Stay, .. } => Outcome::Listing(Listing::lines(
            "state",
            &format!("job '{name}' is the same already: nothing would be done"),
        )),
        Submitted::Told { name, state, refused, .. } => {
            let lines =
                if state.is_empty() { vec![format!("job '{name}' has no state: it begins afresh")] } else { state };
            let refused = refused.map(|why| format!("it would be refused: {why}"));
            let text = lines.into_iter().chain(refused).collect::<Vec<_>>().join("\n");
            Outcome::Listing(Listing::lines("state", &text))
        }
    }
}
