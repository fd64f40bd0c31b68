//! Opening a directory: the snapshot, and what the log says behind it.

use super::files::{Manifest, TableFile, read_manifest, read_rows, sweep, tables_directory};
use super::lock::DirectoryLock;
use super::record::{self, Changes, Names, Record, corrupt};
use super::snapshot::Keeping;
use super::views::{StoredView, read_views, sweep_views};
use super::{
    DataSettings, Definition, Durable, Known, StoredAlteration, StoredChange, from_journal, io_error, jobs_directory,
};
use crate::kept::{Alteration, Contents, InLog, Logged};
use eddyline_catalog::{Name, Table};
use eddyline_changes::ChangeBatch;
use eddyline_journal::{Journal, JournalError, JournalSettings, Opened};
use eddyline_planner::SqlError;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

/// A segment of the log; what a snapshot covers is deleted by whole ones.
const SEGMENT_BYTES: u64 = 16 << 20;

/// What was found in a directory.
pub(crate) struct Found {
    /// From now on.
    pub(crate) durable: Durable,
    /// The names, and what they stand for; jobs.
    pub(crate) known: Known,
    /// The tables whose rows are stored: by their names.
    pub(crate) tables: BTreeMap<Name, FoundTable>,
    /// No table or view has had this number, nor a higher one.
    pub(crate) next_id: u64,
    /// What is stored of materialized views, by their numbers, and can be gone on from.
    pub(crate) views: BTreeMap<u64, StoredView>,
    /// What the log says of tables behind the first of these, in its order.
    pub(crate) logged: Vec<Logged>,
}

/// A table and its rows.
pub(crate) struct FoundTable {
    /// Its definition.
    pub(crate) table: Table,
    /// Its rows.
    pub(crate) contents: Contents,
    /// The log says up to this record what has become of it.
    covered: u64,
    /// What a crash has left of CREATE TABLE AS SELECT.
    is_filling: bool,
    /// The log says that it went.
    is_going: bool,
}

/// Opens a directory. `define` makes a table of `CREATE TABLE …`.
///
/// # Errors
/// Another process has it; it is damaged; it was written by a newer version; it cannot be read or written.
pub(crate) fn open(
    settings: DataSettings,
    define: &dyn Fn(&str, &str) -> Result<Table, SqlError>,
) -> Result<Found, SqlError> {
    let directory = settings.directory.clone();
    let tables = tables_directory(&directory);
    fs::create_dir_all(&tables).map_err(|e| io_error(&tables, &e))?;
    let lock = DirectoryLock::take(&directory)?;
    let manifest = read_manifest(&directory)?.unwrap_or_default();
    let log = directory.join("log");
    let (journal, opened) =
        Journal::open(&log, JournalSettings { segment_bytes: SEGMENT_BYTES }).map_err(from_journal)?;
    check_together(&log, &manifest, opened)?;
    if opened.cut_bytes > 0 {
        tracing::warn!(
            bytes = opened.cut_bytes,
            "the end of the log was being written when the process died; it is cut off"
        );
    }
    let swept = sweep(&directory, &manifest)?;
    if swept > 0 {
        tracing::info!(swept, "files of a snapshot that was not finished are deleted");
    }
    let mut reading = Reading::begin(&directory, &manifest, define)?;
    let log_bytes = reading.read_log(&journal, manifest.covered)?;
    let (views, logged) = reading.views();
    let Reading { mut known, mut tables, next_id, .. } = reading;
    sweep_jobs(&directory, &known);
    sweep_views(&directory, &known.names.values().filter_map(|(_, definition)| definition.view_id()).collect());
    let keeping = Keeping::new(manifest.tables, log_bytes, settings.log_bytes);
    let durable = Durable {
        settings,
        journal,
        known: Mutex::new(known.clone()),
        keeping,
        altering: Mutex::default(),
        storing_views: Mutex::default(),
        _lock: lock,
    };
    let mut gone: Vec<Name> =
        tables.values().filter(|table| table.is_filling).map(|table| table.table.name.clone()).collect();
    let is_half = |definition: &Definition| matches!(definition, Definition::Sink { is_filling: true, .. });
    gone.extend(known.names.iter().filter(|(_, (_, definition))| is_half(definition)).map(|(name, _)| name.clone()));
    for name in &gone {
        tracing::info!(%name, "CREATE TABLE AS SELECT, or CREATE SINK INTO, was not finished: it is dropped");
        known.names.remove(name);
    }
    tables.retain(|_, table| !table.is_filling);
    durable.define(StoredChange { gone, ..StoredChange::default() })?;
    if let Some(table) = tables.values().find(|table| table.is_going) {
        return Err(corrupt(format!("{}: there are no rows of table {}", directory.display(), table.table.name)));
    }
    let tables = tables.into_values().map(|table| (table.table.name.clone(), table)).collect();
    Ok(Found { durable, known, tables, next_id, views, logged })
}

/// Deletes checkpoints of jobs that are gone.
fn sweep_jobs(directory: &Path, known: &Known) {
    let Ok(entries) = fs::read_dir(jobs_directory(directory)) else { return };
    for entry in entries.flatten() {
        let id = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if id.is_some_and(|id: u64| !known.jobs.contains_key(&id)) {
            // What stays is tried again at the next start.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The log must begin where the snapshot ends, or before, and not end before it.
fn check_together(log: &Path, manifest: &Manifest, opened: Opened) -> Result<(), SqlError> {
    let last = manifest.tables.iter().map(|table| table.covered).max().unwrap_or_default().max(manifest.covered);
    let lacks = if opened.first > manifest.covered + 1 {
        format!("records {} to {} are missing", manifest.covered + 1, opened.first - 1)
    } else if opened.next <= last {
        format!("records {} to {last} are missing", opened.next)
    } else {
        return Ok(());
    };
    Err(corrupt(format!("{}: {lacks}", log.display())).with_hint("bring the files back from a copy"))
}

struct Reading<'a> {
    define: &'a dyn Fn(&str, &str) -> Result<Table, SqlError>,
    known: Known,
    /// By their numbers.
    tables: BTreeMap<u64, FoundTable>,
    next_id: u64,
    views: BTreeMap<u64, StoredView>,
    /// What the log says of tables, for views that do not contain it.
    logged: Vec<Logged>,
    /// Views that do not contain this record lack something that `logged` lacks too.
    lacking: u64,
}

impl<'a> Reading<'a> {
    fn begin(
        directory: &Path,
        manifest: &Manifest,
        define: &'a dyn Fn(&str, &str) -> Result<Table, SqlError>,
    ) -> Result<Self, SqlError> {
        let jobs = manifest.jobs.iter().map(|job| (job.id, job.clone())).collect();
        let schemas = manifest.schemas.iter().cloned().collect();
        let known =
            Known { names: BTreeMap::new(), schemas, jobs, next_job: manifest.next_job, users: manifest.users.clone() };
        let files = manifest.tables.iter().map(|table| table.covered);
        let mut reading = Self {
            define,
            known,
            tables: BTreeMap::new(),
            next_id: manifest.next_id,
            views: read_views(directory),
            logged: Vec::new(),
            lacking: files.max().unwrap_or_default().max(manifest.covered),
        };
        for (number, definition) in &manifest.definitions {
            reading.add(definition, manifest.covered)?;
            reading.known.names.insert(definition.name().clone(), (*number, definition.clone()));
        }
        for table in reading.tables.values_mut() {
            let file = manifest.tables.iter().find(|file| file.id == table.contents.id());
            table.is_going = file.is_none();
            if let Some(file) = file {
                table.load(directory, file)?;
            }
        }
        Ok(reading)
    }

    /// Does what the log says. Returns how long it is.
    fn read_log(&mut self, journal: &Journal, covered: u64) -> Result<u64, SqlError> {
        let (mut log_bytes, mut failed) = (0, None);
        let read = journal.read(covered + 1, &mut |number, bytes| {
            log_bytes += bytes.len() as u64;
            self.take(number, bytes, covered).map_err(|error| {
                failed = Some(SqlError { message: format!("record {number} of the log: {}", error.message), ..error });
                JournalError::Closed
            })
        });
        match (failed, read) {
            (Some(error), _) => Err(error),
            (None, Err(error)) => Err(from_journal(error)),
            (None, Ok(())) => Ok(log_bytes),
        }
    }

    fn take(&mut self, number: u64, bytes: &[u8], covered: u64) -> Result<(), SqlError> {
        self.take_record(number, record::read(bytes)?, covered)
    }

    fn take_record(&mut self, number: u64, record: Record<'_>, covered: u64) -> Result<(), SqlError> {
        match record {
            Record::Names(names) if number > covered => self.names(number, names),
            Record::Names(_) => Ok(()),
            Record::Changes(changes) => self.changes(number, &changes),
            Record::Together(all) => all.into_iter().try_for_each(|one| self.take_record(number, one, covered)),
        }
    }

    fn names(&mut self, number: u64, names: Names) -> Result<(), SqlError> {
        let replaced = names.come.iter().map(Definition::name).chain(&names.gone);
        // A table that comes under the number that it had has another name, or other columns, and keeps its rows.
        let mut altered = BTreeMap::new();
        for name in replaced {
            if let Some((_, Definition::Table { id: Some(id), .. })) = self.known.names.get(name)
                && let Some(table) = self.tables.remove(id)
            {
                altered.insert(*id, table);
            }
        }
        for definition in &names.come {
            match definition {
                Definition::Table { sql, id: Some(id), dialect, .. } if altered.contains_key(id) => {
                    let alteration = names.altered.iter().find(|altered| altered.id == *id);
                    let alteration = alteration.map(StoredAlteration::read).transpose()?;
                    let table = (self.define)(sql, dialect)?;
                    if let Some(alteration) = &alteration {
                        self.alter_logged(*id, alteration, &table);
                    }
                    let found = altered.remove(id).map(|found| found.altered(table, alteration.as_ref(), number));
                    self.tables.extend(found.transpose()?.map(|found| (*id, found)));
                }
                other => self.add(other, number)?,
            }
        }
        self.known.apply(number, names);
        Ok(())
    }

    /// What was logged of a table before its columns changed, as rows of what it is now.
    fn alter_logged(&mut self, id: u64, alteration: &Alteration, table: &Table) {
        let schema = table.physical_schema();
        for logged in self.logged.iter_mut().filter(|logged| logged.table == id) {
            let rows = alteration.rows(logged.changes.rows(), &schema).ok();
            match rows.and_then(|rows| logged.changes.with_rows(rows).ok()) {
                Some(changes) => logged.changes = changes,
                // A row that is gone may be none of the new columns.
                None => self.lacking = self.lacking.max(logged.record),
            }
        }
    }

    /// The views that can be gone on from, and what is to be given to them.
    fn views(&mut self) -> (BTreeMap<u64, StoredView>, Vec<Logged>) {
        let mut logged = std::mem::take(&mut self.logged);
        for one in &mut logged {
            // Names of columns may have changed.
            let Some(table) = self.tables.get(&one.table) else { continue };
            let rows = table.contents.own(one.changes.rows()).ok();
            match rows.and_then(|rows| one.changes.with_rows(rows).ok()) {
                Some(changes) => one.changes = changes,
                None => self.lacking = self.lacking.max(one.record),
            }
        }
        let mut views = std::mem::take(&mut self.views);
        views.retain(|_, view| view.covered() >= self.lacking);
        let first = views.values().map(StoredView::covered).min();
        logged.retain(|one| first.is_some_and(|first| one.record > first) && self.tables.contains_key(&one.table));
        (views, logged)
    }

    /// A table whose rows are stored begins without any.
    fn add(&mut self, definition: &Definition, covered: u64) -> Result<(), SqlError> {
        self.next_id = self.next_id.max(definition.view_id().map_or(0, |id| id + 1));
        let Definition::Table { sql, id: Some(id), is_filling, dialect, .. } = definition else { return Ok(()) };
        let table = (self.define)(sql, dialect)?;
        let (is_filling, is_going) = (*is_filling, false);
        let mut contents = Contents::of_table(*id, &table)?;
        contents.set_log(InLog { is_filling, last: 0 });
        self.tables.insert(*id, FoundTable { table, contents, covered, is_filling, is_going });
        self.next_id = self.next_id.max(id + 1);
        Ok(())
    }

    fn changes(&mut self, number: u64, changes: &Changes<'_>) -> Result<(), SqlError> {
        match self.tables.get_mut(&changes.table) {
            None => Err(corrupt(format!("it changes table number {}, which there is not", changes.table))),
            // Of a table that went before its rows could be written, the log says that it went.
            Some(table) if table.is_going || number <= table.covered => Ok(()),
            Some(table) => {
                let decoded = changes.decode(table.contents.schema())?;
                table.contents.apply(&decoded)?;
                table.contents.set_log(InLog { is_filling: false, last: number });
                // One record may change a table twice: what is covered stays that of its file.
                table.is_filling = false;
                if self.views.values().any(|view| view.covered() < number) {
                    self.logged.push(Logged { record: number, table: changes.table, changes: decoded });
                }
                Ok(())
            }
        }
    }
}

impl FoundTable {
    /// The same rows under another definition, from this record of the log on.
    fn altered(self, table: Table, alteration: Option<&Alteration>, number: u64) -> Result<Self, SqlError> {
        let mut contents = self.contents;
        // Of a table that went before its rows could be written, the log says that it went.
        if let Some(alteration) = alteration.filter(|_| !self.is_going) {
            contents = contents.altered(&table, alteration)?;
            contents.set_log(InLog { is_filling: self.is_filling, last: number });
        }
        Ok(Self { table, contents, ..self })
    }

    fn load(&mut self, directory: &Path, file: &TableFile) -> Result<(), SqlError> {
        let contents = &mut self.contents;
        read_rows(directory, file, |rows| contents.apply(&ChangeBatch::inserts(contents.own(&rows)?)))?;
        let is_filling = self.is_filling;
        contents.set_log(InLog { is_filling, last: file.written });
        self.covered = file.covered;
        Ok(())
    }
}
