//! A file is submitted: it becomes a job under its name, is told to be the same again, or takes the place of the one before. Of a job that
//! has failed the same file is begun again.
//!
//! An **upgrade** goes on from the state of the job before: what would become of that is told first, and nothing is done where state would be
//! lost unless that is allowed. Then the job is stopped at a barrier, and the new one begins at its last checkpoint. If it cannot, the one
//! before goes on. What is stored is always one of the two, whole; so a process that dies in between goes on with either.

use super::orders::Found;
use super::script::Script;
use super::{JobStatus, NOT_RUNNING};
use crate::Instance;
use crate::beginning::Begins;
use crate::durable::{Allowed, StoredJob};
use crate::reservation::Canceller;
use eddyline_planner::SqlError;
use eddyline_runtime::{Alteration, JobLog};
use std::collections::BTreeMap;

/// A job's name has at most so many bytes: files and sockets are named for it.
const NAME_BYTES_MAX: usize = 200;

/// A file that is submitted.
#[derive(Debug, Clone, Default)]
pub struct Submission {
    /// The name of the job; `None`: what `pipeline.name` says in the file.
    pub name: Option<String>,
    /// The name of the job when nothing else says any: that of the file.
    pub fallback_name: Option<String>,
    /// The text of the file.
    pub sql: String,
    /// Settings, as if they stood at its beginning.
    pub settings: BTreeMap<String, String>,
    /// The savepoint to begin at.
    pub from: Option<String>,
    /// Goes on from the state of another text also where some of it is lost.
    pub allow_dropped_state: bool,
    /// Begins without state when there are checkpoints and none of them is whole.
    pub allow_fresh: bool,
    /// Nothing is done: what would be is told.
    pub is_dry_run: bool,
}

/// What has become of a file that was submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    /// A new job.
    Started {
        /// Its number.
        id: u64,
        /// Its name.
        name: String,
        /// What the user should know.
        warnings: Vec<String>,
    },
    /// It is a job already: nothing was done.
    Unchanged {
        /// Its number.
        id: u64,
        /// Its name.
        name: String,
        /// Where it stands.
        status: JobStatus,
    },
    /// It was a job already, which had failed, and goes on from its last checkpoint.
    Resumed {
        /// Its number.
        id: u64,
        /// Its name.
        name: String,
    },
    /// It has taken the place of the job before.
    Upgraded {
        /// Its number.
        id: u64,
        /// Its name.
        name: String,
        /// What has become of its state, operator by operator.
        state: Vec<String>,
        /// What the user should know.
        warnings: Vec<String>,
    },
    /// What would be done.
    Told {
        /// The job's name.
        name: String,
        /// In a word.
        would: Would,
        /// What would become of its state, operator by operator; empty: it begins afresh.
        state: Vec<String>,
        /// Why it would be refused, if it would.
        refused: Option<String>,
    },
}

/// What would become of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Would {
    /// A new job.
    Start,
    /// It would take the place of the job before.
    Upgrade,
    /// It would begin the job again, which has failed.
    Resume,
    /// It is a job already: nothing would be done.
    Stay,
}

impl Instance {
    /// Submits a file.
    ///
    /// # Errors
    /// What is wrong with it, with the place in it; another job has the name; state would be lost; it cannot begin.
    pub fn submit(&self, submission: &Submission, canceller: &Canceller) -> Result<Submitted, SqlError> {
        let script = Script::read(self.engine(), &submission.sql, &submission.settings)?;
        self.forget_finished()?;
        let name = name_of(submission, &script)?;
        let _alone = self.reserve_job(&name, canceller)?;
        match self.found(&name) {
            Ok(found) if found.name == name && found.status != JobStatus::Finished => {
                self.submit_again(submission, script, found, canceller)
            }
            Err(error) if error.sqlstate != SqlError::UNDEFINED_OBJECT => Err(error),
            _ => self.submit_first(submission, script, name),
        }
    }

    /// There is no such job.
    fn submit_first(&self, submission: &Submission, mut script: Script, name: String) -> Result<Submitted, SqlError> {
        let id = match submission.is_dry_run {
            // A number that is given to no job, and has no checkpoints.
            true => 0,
            false => self.jobs().next_id(),
        };
        self.name_script(&mut script, &name, id)?;
        let mut stored = stored(submission, id, &name);
        let begins = begins(submission, JobLog::default());
        if submission.is_dry_run {
            let state = script.preview(&begins)?;
            let refused = state.as_ref().and_then(|(_, altered)| refusal(altered, submission));
            let state = state.map_or_else(Vec::new, told);
            return Ok(Submitted::Told { name, would: Would::Start, state, refused });
        }
        stored.allowed = allowed(submission, &script)?;
        self.tell_of(&begins.log, format!("submitted as '{name}'"));
        if let Some(durable) = self.durable().filter(|durable| durable.has_jobs()) {
            durable.define_job(None, Some(stored.clone()))?;
        }
        match script.start(begins) {
            Ok(job) => {
                let warnings = job.facts().warnings.clone();
                self.take_in(stored, job);
                Ok(Submitted::Started { id, name, warnings })
            }
            Err(error) => {
                if let Some(durable) = self.durable().filter(|durable| durable.has_jobs()) {
                    durable.define_job(Some(id), None)?;
                }
                Err(error)
            }
        }
    }

    /// There is a job of the name.
    fn submit_again(
        &self,
        submission: &Submission,
        mut script: Script,
        found: Found,
        canceller: &Canceller,
    ) -> Result<Submitted, SqlError> {
        let Some(before) = found.definition.clone().filter(|definition| definition.submitted.is_some()) else {
            return Err(SqlError::new("42710", format!("a statement has started a job named '{}'", found.name))
                .with_hint("submit the file under another name: --name"));
        };
        let Found { id, name, .. } = &found;
        self.name_script(&mut script, name, *id)?;
        let is_same = before.sql == submission.sql && before.settings == submission.settings;
        if is_same && submission.from.is_none() {
            return self.submit_same(submission, &script, found, canceller);
        }
        let log = found.log.clone();
        let begins = begins(submission, log);
        let altered = match script.preview(&begins)? {
            // It would be stopped at a checkpoint that is not made yet.
            None if found.control.is_some() => {
                let altered = script.preview_over(&self.script_of(&before)?, &begins)?;
                Some(("the checkpoint that it would be stopped at".to_owned(), altered))
            }
            altered => altered,
        };
        let refused = altered.as_ref().and_then(|(_, altered)| refusal(altered, submission));
        let without = !script.keeps_checkpoints() || !self.keeps_checkpoints(&before)?;
        if submission.is_dry_run {
            let state = altered.map_or_else(Vec::new, told);
            let refused = refused.or(without.then(|| without_checkpoints(name)));
            return Ok(Submitted::Told { name: name.clone(), would: Would::Upgrade, state, refused });
        }
        if let (Some(refused), Some((place, altered))) = (refused, &altered) {
            return Err(cannot_go_on(name, refused, place, altered));
        }
        if without {
            return Err(SqlError::new(NOT_RUNNING, without_checkpoints(name))
                .with_hint("STOP JOB and DROP JOB it, then submit the file: it begins with its input from the start"));
        }
        self.upgrade(submission, script, &found, before)
    }

    /// There is a job of the name, of the same text. One that has failed begins again, and any that is over does where it may do more than before.
    fn submit_same(
        &self,
        submission: &Submission,
        script: &Script,
        found: Found,
        canceller: &Canceller,
    ) -> Result<Submitted, SqlError> {
        let (id, name, status) = (found.id, found.name.clone(), found.status);
        let allowed = allowed(submission, script)?;
        let begins_again = found.control.is_none() && (status == JobStatus::Failed || allowed.is_some());
        match (begins_again, submission.is_dry_run) {
            (false, true) => Ok(Submitted::Told { name, would: Would::Stay, state: Vec::new(), refused: None }),
            (false, false) => Ok(Submitted::Unchanged { id, name, status }),
            (true, true) => {
                let state = script.preview(&begins(submission, found.log))?;
                let refused = state.as_ref().and_then(|(_, altered)| refusal(altered, submission));
                let state = state.map_or_else(Vec::new, told);
                Ok(Submitted::Told { name, would: Would::Resume, state, refused })
            }
            (true, false) => {
                self.go_on(found, allowed, canceller)?;
                Ok(Submitted::Resumed { id, name })
            }
        }
    }

    fn upgrade(
        &self,
        submission: &Submission,
        script: Script,
        found: &Found,
        before: StoredJob,
    ) -> Result<Submitted, SqlError> {
        let Found { id, name, log, control, .. } = found;
        if let Some(control) = control {
            self.tell_of(log, "stops to be upgraded");
            control.stop(None, false)?;
            self.await_end(*id);
        }
        // As it was when the job ended.
        let altered = script.preview(&begins(submission, log.clone()))?;
        let after = StoredJob { allowed: allowed(submission, &script)?, ..stored(submission, *id, name) };
        self.define_job(after.clone())?;
        self.tell_of(log, "upgraded: another text goes on from its state");
        match script.start(begins_of(&after, log.clone())) {
            Ok(job) => {
                let warnings = job.facts().warnings.clone();
                self.take_in(after, job);
                let state = altered.map_or_else(Vec::new, told);
                Ok(Submitted::Upgraded { id: *id, name: name.clone(), state, warnings })
            }
            Err(error) => {
                self.define_job(before.clone())?;
                self.tell_of(log, format!("the upgrade failed: {}; the text before goes on", error.message));
                let goes_on = match control {
                    Some(_) => self
                        .begin_stored(&before, log.clone(), &Canceller::default())
                        .map(|()| "the job goes on as it was"),
                    None => Ok("the job is as it was"),
                };
                let detail =
                    goes_on.map_or_else(|e| format!("and the job before cannot begin again: {e}"), str::to_owned);
                Err(if error.detail.is_some() { error } else { error.with_detail(detail) })
            }
        }
    }
}

fn without_checkpoints(name: &str) -> String {
    format!("job '{name}' keeps no checkpoints: a changed file could not go on from its state")
}

fn begins(submission: &Submission, log: JobLog) -> Begins {
    let Submission { from, allow_dropped_state, allow_fresh, .. } = submission.clone();
    Begins { from, allow_dropped_state, allow_fresh, allowed_until: None, log }
}

/// How a stored job begins, for the first time or again.
pub(super) fn begins_of(stored: &StoredJob, log: JobLog) -> Begins {
    let allowed = stored.allowed;
    Begins {
        from: stored.from.clone(),
        allow_dropped_state: allowed.is_some_and(|allowed| allowed.dropped_state),
        allow_fresh: allowed.is_some_and(|allowed| allowed.fresh),
        allowed_until: allowed.map(|allowed| allowed.until),
        log,
    }
}

/// What is stored of what a submission allows.
fn allowed(submission: &Submission, script: &Script) -> Result<Option<Allowed>, SqlError> {
    let Submission { allow_dropped_state: dropped_state, allow_fresh: fresh, .. } = *submission;
    let of = |until| Allowed { dropped_state, fresh, until };
    (dropped_state || fresh).then(|| script.last_checkpoint().map(of)).transpose()
}

fn stored(submission: &Submission, id: u64, name: &str) -> StoredJob {
    StoredJob {
        id,
        sql: submission.sql.clone(),
        settings: submission.settings.clone(),
        submitted: Some(name.to_owned()),
        from: submission.from.clone(),
        allowed: None,
        rest: None,
    }
}

fn name_of(submission: &Submission, script: &Script) -> Result<String, SqlError> {
    let said = submission.name.as_deref().or(script.own_name()).or(submission.fallback_name.as_deref());
    let Some(name) = said.map(str::trim).filter(|name| !name.is_empty()) else {
        return Err(SqlError::new(SqlError::INVALID_PARAMETER, "the job has no name")
            .with_hint("give it one: --name, or SET 'pipeline.name' in the file"));
    };
    let refused = |why: &str| {
        let error = SqlError::new(SqlError::INVALID_PARAMETER, format!("a job cannot be named {name:?}: {why}"));
        Err(error.with_hint("give it another name: --name"))
    };
    if name.len() > NAME_BYTES_MAX {
        return refused(&format!("that is longer than {NAME_BYTES_MAX} bytes"));
    }
    if name.chars().any(char::is_control) || name.contains('/') {
        return refused("it has a slash or a control character");
    }
    if name.bytes().all(|b| b.is_ascii_digit()) {
        return refused("jobs have numbers beside their names, and this would be taken for one");
    }
    Ok(name.to_owned())
}

/// Why a job does not go on with what would become of its state.
fn refusal(altered: &Alteration, submission: &Submission) -> Option<String> {
    match (&altered.impossible, altered.loses()) {
        (Some(why), _) => Some(why.clone()),
        (None, true) if !submission.allow_dropped_state => Some("state would be lost".to_owned()),
        (None, _) => None,
    }
}

fn told((_, altered): (String, Alteration)) -> Vec<String> {
    altered.changes.iter().map(ToString::to_string).collect()
}

fn cannot_go_on(name: &str, why: String, place: &str, altered: &Alteration) -> SqlError {
    let changes: Vec<String> = altered.changes.iter().filter(|change| change.loses).map(ToString::to_string).collect();
    let error = SqlError::new(NOT_RUNNING, format!("job '{name}' does not go on with this file: {why}"));
    let error = error.with_detail(format!("of {place}: {}", changes.join("; ")));
    match altered.impossible {
        Some(_) => error.with_hint("submit it under another name"),
        None => error
            .with_hint("--allow-dropped-state lets it go on without; --dry-run tells what becomes of all its state"),
    }
}
