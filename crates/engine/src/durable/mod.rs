//! What outlives the process: names, users and the rows of tables, in a directory.
//!
//! ```text
//! <directory>/lock                     who has it
//! <directory>/log/…                    a journal: every change of names and rows, in order
//! <directory>/tables/<id>-<number>     the rows of a table, with all changes up to that record of the log
//! <directory>/jobs/<id>/…              checkpoints of a job in the background that has no other place for them
//! <directory>/views/<id>/…             a materialized view at one of its moments ([`views`])
//! <directory>/manifest                 the names, and which files of rows hold, up to which records
//! ```
//! A statement puts its record into the log under the lock under which it changes what is in memory, so that the order of the log is that
//! of the changes; then it lets go of its locks and waits until the record is durable: those who wait together share one sync. Nobody is
//! shown what is not durable: who reads a table waits for the last record of it too ([`crate::kept`]).
//!
//! When the log has grown well beyond what it says, a *snapshot* is made while statements go on: the rows of tables that have changed are
//! written to new files, then the manifest takes the place of the one before, then files that it does not name and the log that it
//! covers are deleted. Each table is written as of another record of the log; the manifest says which, and what the log says of the
//! table up to there is left out when it is read. So whatever moment a crash comes at, the manifest that is there and the log behind it
//! are whole.
//!
//! Materialized views are stored beside that, when a snapshot is made and when the process ends. They begin from there, and are given what the
//! log says of their tables behind it; one of which nothing is stored, or not what fits, is computed anew from the tables.
//!
//! Not here: what names and rows mean; how a journal survives ([`eddyline_journal`]). Start at [`Durable`].

mod alteration;
mod definition;
mod files;
mod lock;
mod record;
mod recovery;
mod snapshot;
mod stored_name;
#[cfg(test)]
mod tests;
mod told;
mod views;

use crate::error::state::{CORRUPTED, IO};
use crate::lock::lock;
pub(crate) use alteration::StoredAlteration;
pub(crate) use definition::{Allowed, Definition, Rest, StoredJob, stored_settings};
use eddyline_catalog::Name;
use eddyline_journal::{Journal, JournalError};
use eddyline_planner::SqlError;
use eddyline_users::Users;
use lock::DirectoryLock;
use record::Names;
pub(crate) use record::{SinkNews, changes as changes_record};
pub(crate) use recovery::open;
use snapshot::Keeping;
pub(crate) use snapshot::keep;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
pub(crate) use told::{Entry, Next, Told};
pub(crate) use views::{StoredView, store_views};

/// Where what is to outlive the process is kept, and how.
#[derive(Debug, Clone)]
pub struct DataSettings {
    /// The directory; it is made when it is not there.
    pub directory: PathBuf,
    /// A snapshot is made when the log is longer, and twice as long as the rows that there were at the last one.
    pub log_bytes: u64,
    /// Jobs in the background are stored too: they begin again with the instance.
    pub with_jobs: bool,
}

impl DataSettings {
    /// In a directory, with a log that is good for most.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), log_bytes: 64 << 20, with_jobs: false }
    }
}

/// What is stored beside rows, as the log has it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// Names: the record that has brought each, and what it stands for.
    pub(crate) names: BTreeMap<Name, (u64, Definition)>,
    /// Schemas, beside `public`.
    pub(crate) schemas: BTreeSet<String>,
    /// Jobs in the background, by their numbers.
    pub(crate) jobs: BTreeMap<u64, StoredJob>,
    /// No job has had this number, nor a higher one.
    pub(crate) next_job: u64,
    /// Users, when any of them has ever changed.
    pub(crate) users: Option<Users>,
}

/// What has become of names, of the rows of tables that come with other columns, and of the jobs of sinks.
#[derive(Debug, Default)]
pub(crate) struct StoredChange {
    pub(crate) gone: Vec<Name>,
    pub(crate) come: Vec<Definition>,
    pub(crate) altered: Vec<StoredAlteration>,
    pub(crate) schemas_gone: Vec<String>,
    pub(crate) schemas_come: Vec<String>,
    pub(crate) jobs_come: Vec<StoredJob>,
    pub(crate) jobs_gone: Vec<u64>,
}

/// See the module's page.
pub(crate) struct Durable {
    settings: DataSettings,
    journal: Journal,
    known: Mutex<Known>,
    keeping: Keeping,
    /// Who has it is making a snapshot, or giving tables other names or columns: neither is to see the other half done.
    altering: Mutex<()>,
    /// Who has it is writing views.
    storing_views: Mutex<()>,
    _lock: DirectoryLock,
}

impl Durable {
    /// No snapshot is made as long as this lives.
    pub(crate) fn between_snapshots(&self) -> MutexGuard<'_, ()> {
        lock(&self.altering)
    }

    /// The settings with which a materialized view or sink was made.
    pub(crate) fn settings_of(&self, view: &Name) -> Option<BTreeMap<String, String>> {
        match lock(&self.known).names.get(view) {
            Some((_, Definition::MaterializedView { settings, .. } | Definition::Sink { settings, .. })) => {
                Some(settings.clone())
            }
            _ => None,
        }
    }

    /// Stores what has become of names, of the rows of tables that come with other columns, and of the jobs of sinks, and waits until that
    /// is durable. Returns the number of the record; 0 for none.
    ///
    /// # Errors
    /// It cannot be stored.
    pub(crate) fn define(&self, change: StoredChange) -> Result<u64, SqlError> {
        let StoredChange { gone, come, altered, schemas_gone, schemas_come, jobs_come, jobs_gone } = change;
        if gone.is_empty() && come.is_empty() && schemas_gone.is_empty() && schemas_come.is_empty() {
            return Ok(0);
        }
        let swept = jobs_gone.clone();
        let names = Names { gone, come, altered, schemas_gone, schemas_come, jobs_come, jobs_gone, ..Names::default() };
        let record = self.store(names)?;
        swept.into_iter().for_each(|id| self.sweep_job(id));
        Ok(record)
    }

    /// Stores a job, or that one has gone, and waits until that is durable.
    ///
    /// # Errors
    /// It cannot be stored.
    pub(crate) fn define_job(&self, gone: Option<u64>, come: Option<StoredJob>) -> Result<(), SqlError> {
        let (jobs_gone, jobs_come) = (Vec::from_iter(gone), Vec::from_iter(come));
        self.store(Names { jobs_gone, jobs_come, ..Names::default() })?;
        gone.into_iter().for_each(|id| self.sweep_job(id));
        Ok(())
    }

    /// Stores the users, and waits until that is durable.
    ///
    /// # Errors
    /// It cannot be stored.
    pub(crate) fn define_users(&self, users: &Users) -> Result<(), SqlError> {
        self.store(Names { users: Some(users.clone()), ..Names::default() }).map(drop)
    }

    /// Deletes the checkpoints of a job that is gone.
    fn sweep_job(&self, id: u64) {
        // What is left of it is deleted at the next start.
        let _ = std::fs::remove_dir_all(self.job_directory(id));
    }

    fn store(&self, names: Names) -> Result<u64, SqlError> {
        let record = record::names(&names)?;
        let number = {
            let mut known = lock(&self.known);
            let number = self.journal.enqueue(&record).map_err(from_journal)?;
            known.apply(number, names);
            number
        };
        self.grown(record.len());
        self.wait(number)?;
        Ok(number)
    }

    /// Are jobs stored?
    pub(crate) fn has_jobs(&self) -> bool {
        self.settings.with_jobs
    }

    /// Is this job stored?
    pub(crate) fn has_job(&self, id: u64) -> bool {
        lock(&self.known).jobs.contains_key(&id)
    }

    /// Where a job has its checkpoints, unless it says otherwise.
    pub(crate) fn job_directory(&self, id: u64) -> PathBuf {
        jobs_directory(&self.settings.directory).join(id.to_string())
    }

    /// Puts a record into the log; [`wait`](Self::wait) says when it is durable.
    ///
    /// # Errors
    /// It is too long.
    pub(crate) fn enqueue(&self, record: &[u8]) -> Result<u64, SqlError> {
        let number = self.journal.enqueue(record).map_err(from_journal)?;
        self.grown(record.len());
        Ok(number)
    }

    /// Puts records into the log as one, and what has become of sinks; [`wait`](Self::wait) says when it is durable. 0: there is nothing.
    ///
    /// # Errors
    /// They are too long.
    pub(crate) fn enqueue_together(&self, mut records: Vec<Vec<u8>>, sinks: Vec<SinkNews>) -> Result<u64, SqlError> {
        let names = Names { sinks, ..Names::default() };
        if !names.sinks.is_empty() {
            records.push(record::names(&names)?);
        }
        // What is too much for one record is several, in the order in which it came to be.
        let records = match records.len() {
            0 | 1 => records,
            _ => record::together(&records).map_or(records, |one| vec![one]),
        };
        let (mut known, mut last) = (lock(&self.known), 0);
        for record in &records {
            last = self.enqueue(record)?;
        }
        known.apply(last, names);
        Ok(last)
    }

    /// Is a sink half made, and why has it failed?
    pub(crate) fn sink_of(&self, name: &Name) -> Option<(bool, Option<String>)> {
        match lock(&self.known).names.get(name) {
            Some((_, Definition::Sink { is_filling, failed, .. })) => Some((*is_filling, failed.clone())),
            _ => None,
        }
    }

    /// Waits until a record is durable; 0 is none.
    ///
    /// # Errors
    /// It could not be written. Nothing more can be, until the directory is opened again.
    pub(crate) fn wait(&self, number: u64) -> Result<(), SqlError> {
        self.journal.wait(number).map_err(from_journal)
    }

    /// Can anything be stored?
    ///
    /// # Errors
    /// A write has failed, or it was closed.
    pub(crate) fn check(&self) -> Result<(), SqlError> {
        self.journal.check().map_err(from_journal)
    }

    /// Writes what waits, and takes nothing more.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn close(&self) -> Result<(), SqlError> {
        self.keeping.end();
        match self.journal.close() {
            Err(JournalError::Closed) => Ok(()),
            closed => closed.map_err(from_journal),
        }
    }

    /// The number that the next record gets.
    fn next(&self) -> u64 {
        self.journal.next()
    }

    fn grown(&self, bytes: usize) {
        self.keeping.grown(bytes as u64 + LENGTH_BYTES);
    }
}

impl Drop for Durable {
    fn drop(&mut self) {
        self.keeping.end();
    }
}

/// What the log takes beside the bytes of a record, about.
const LENGTH_BYTES: u64 = 24;

impl Known {
    fn apply(&mut self, number: u64, names: Names) {
        names.gone.iter().for_each(|name| drop(self.names.remove(name)));
        self.names.extend(names.come.into_iter().map(|made| (made.name().clone(), (number, made))));
        self.schemas.retain(|schema| !names.schemas_gone.contains(schema));
        self.schemas.extend(names.schemas_come);
        for news in names.sinks {
            if let Some((_, Definition::Sink { is_filling, failed, .. })) = self.names.get_mut(&news.name) {
                *is_filling = false;
                *failed = news.failed;
            }
        }
        names.jobs_gone.iter().for_each(|id| drop(self.jobs.remove(id)));
        for job in names.jobs_come {
            self.next_job = self.next_job.max(job.id + 1);
            self.jobs.insert(job.id, job);
        }
        if names.users.is_some() {
            self.users = names.users;
        }
    }
}

fn jobs_directory(directory: &Path) -> PathBuf {
    directory.join("jobs")
}

/// An error of the log.
fn from_journal(error: JournalError) -> SqlError {
    let sqlstate = match &error {
        JournalError::Corrupt { .. } => CORRUPTED,
        JournalError::Locked { .. } => "55006",
        JournalError::TooLarge { .. } => "54000",
        JournalError::Closed => "57P01",
        JournalError::Io { .. } | JournalError::Failed { .. } => IO,
    };
    let told = match &error {
        JournalError::Closed => SqlError::new(sqlstate, "the server is ending"),
        JournalError::Failed { error } => {
            SqlError::new(sqlstate, format!("nothing can be stored since a write failed: {error}"))
                .with_hint("mend what is wrong with the disk, and start the server anew")
        }
        other => SqlError::new(sqlstate, other.to_string()),
    };
    match error.hint() {
        Some(hint) if told.hint.is_none() => told.with_hint(hint),
        _ => told,
    }
}

/// A file that cannot be read or written.
fn io_error(path: &Path, error: &io::Error) -> SqlError {
    let told = SqlError::new(IO, format!("{}: {error}", path.display()));
    match error.kind() {
        io::ErrorKind::StorageFull => told.with_hint("free some disk space"),
        _ => told,
    }
}
