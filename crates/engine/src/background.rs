//! Jobs that go on in the background: how a session starts, keeps and stops them.
//!
//! Where jobs are stored ([`crate::DataSettings`]), one that nobody waits for is a record of the log, and keeps its checkpoints in the data
//! directory; [`crate::Engine::open`] starts it again from there.
//!
//! Not here: the list of jobs ([`crate::jobs`]), how a job runs.

use crate::durable::{StoredJob, stored_settings};
use crate::jobs::EndedJob;
use crate::kept::Reads;
use crate::listing::Listing;
use crate::{Outcome, RunningJob, SavepointPlace, ScriptError, Session, job};
use eddyline_planner::SqlError;
use eddyline_planner::statement::Statement;
use std::time::Duration;

/// How often it is asked whether a job that was stopped is over.
const LOOK: Duration = Duration::from_millis(2);

impl Session {
    /// A job that was started goes on in the background, for as long as the instance lives. Returns its id.
    ///
    /// # Errors
    /// Jobs are stored, and this one cannot be: then it ends.
    pub fn keep(&mut self, job: RunningJob) -> Result<u64, SqlError> {
        let now = self.engine.rim().clock.wall_ms();
        match (self.instance.durable(), job.stored().cloned()) {
            (Some(durable), Some(stored)) => {
                let id = stored.id;
                durable.define_job(None, Some(stored))?;
                self.instance.jobs().keep_as(id, job, now);
                self.instance.forget_finished()?;
                Ok(id)
            }
            _ => Ok(self.instance.jobs().keep(job, now)),
        }
    }

    /// A job that is stored goes on under its number.
    pub(crate) fn keep_as(&mut self, id: u64, job: RunningJob) {
        let now = self.engine.rim().clock.wall_ms();
        self.instance.jobs().keep_as(id, job, now);
    }

    /// Starts the job of an INSERT into a table with a connector, or of a statement set. Where jobs are stored and nobody will wait for this
    /// one, it keeps its checkpoints in the data directory, unless it says otherwise; `id` is its number, if it was started before.
    ///
    /// # Errors
    /// What cannot be planned or opened.
    pub(crate) fn start_in_background(
        &mut self,
        statement: &Statement,
        id: Option<u64>,
    ) -> Result<Outcome, ScriptError> {
        let outputs = self.explained_outputs(statement)?;
        let Some(durable) = self.instance.durable().filter(|durable| durable.has_jobs()).cloned() else {
            return self.start(outputs);
        };
        let planned = self.plan_reading(outputs.clone(), &self.planner_options(), Reads::Snapshot, 0)?;
        let endless = job::endless_tables(self.engine.registry(), &self.settings, &planned.job.dataflow)?;
        if id.is_none() && self.settings.waits_for_insert(endless.is_empty()) {
            return self.start(outputs);
        }
        let id = id.unwrap_or_else(|| self.instance.jobs().next_id());
        let stored = StoredJob { id, sql: statement.sql.clone(), settings: stored_settings(&self.settings) };
        let said = self.settings.clone();
        let is_own = said.checkpoints_dir().is_empty() && planned.states.is_none();
        if is_own {
            let directory = durable.job_directory(id);
            self.settings.set("state.checkpoints.dir", &directory.to_string_lossy())?;
        }
        let started = self.start_named(outputs, is_own && said.pipeline_name().is_none());
        self.settings = said;
        let mut started = started?;
        if let Outcome::Job(job) = &mut started {
            job.set_stored(stored);
        }
        Ok(started)
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

    pub(crate) fn stop_job(&mut self, job: &str, savepoint: bool, drain: bool) -> Result<Outcome, ScriptError> {
        let found = self.instance.jobs().find(job).map(|found| (found.id, found.job.control()));
        let (id, control) = match found {
            Ok(found) => found,
            Err(error) => return self.forget_failed(job).unwrap_or_else(|| Err(error.into())),
        };
        let place = savepoint.then_some(SavepointPlace::Default);
        let made = control.stop(place.as_ref(), drain).map_err(ScriptError::Job)?;
        // It is over in a moment; meanwhile others may look at jobs.
        while !self.instance.jobs().is_over(id) {
            self.canceller.check()?;
            std::thread::sleep(LOOK);
        }
        self.instance.forget_finished()?;
        Ok(match made {
            Some(made) => Outcome::Listing(Listing::texts(vec![("savepoint path", vec![Some(made.location)])])),
            None => Outcome::Done(format!("job '{}' stopped", control.name())),
        })
    }

    /// A job that is stored and has failed is not tried again at the next start. `None`: there is none of the name.
    fn forget_failed(&mut self, job: &str) -> Option<Result<Outcome, ScriptError>> {
        let durable = self.instance.durable()?;
        let id = self.instance.jobs().failed(job).filter(|id| durable.has_job(*id))?;
        let forgotten = durable.define_job(Some(id), None);
        Some(forgotten.map_err(Into::into).map(|()| {
            self.instance.jobs().forget(id);
            Outcome::Done(format!("job '{job}', which had failed, is not begun again"))
        }))
    }
}
