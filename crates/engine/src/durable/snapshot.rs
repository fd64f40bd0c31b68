//! Snapshots: the rows of tables as files, so that the log can be cut.

use super::files::{Manifest, TableFile, sweep, sync_directory, tables_directory, write_manifest, write_rows};
use super::views::store_views;
use super::{Definition, Durable, Known, lock};
use crate::kept::{Database, Stored};
use eddyline_catalog::Name;
use eddyline_planner::SqlError;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Handle;

/// How often it is looked whether a statement that drops a table has said so.
const LOOK: Duration = Duration::from_millis(2);

/// When a snapshot is due, and what the last one has written.
#[derive(Default)]
pub(super) struct Keeping {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Bytes of the log that no snapshot covers.
    log_bytes: u64,
    /// A snapshot is due when there are more.
    log_bytes_max: u64,
    is_ended: bool,
    /// What the last manifest names: by the table.
    files: BTreeMap<u64, TableFile>,
}

impl Keeping {
    /// Begins with what was found: the files of the last snapshot, and a log that is so long.
    pub(super) fn new(files: Vec<TableFile>, log_bytes: u64, log_bytes_min: u64) -> Self {
        let log_bytes_max = log_bytes_max(&files, log_bytes_min);
        let files = files.into_iter().map(|file| (file.id, file)).collect();
        let state = Mutex::new(State { log_bytes, log_bytes_max, is_ended: false, files });
        Self { shared: Arc::new(Shared { state, changed: Condvar::new() }), thread: Mutex::default() }
    }

    /// The log has grown.
    pub(super) fn grown(&self, bytes: u64) {
        let mut state = lock(&self.shared.state);
        state.log_bytes += bytes;
        if state.log_bytes > state.log_bytes_max {
            self.shared.changed.notify_all();
        }
    }

    /// No more snapshots; waits until the one that is being made is done.
    pub(super) fn end(&self) {
        lock(&self.shared.state).is_ended = true;
        self.shared.changed.notify_all();
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != std::thread::current().id()) {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

/// The longest log beside files of rows.
fn log_bytes_max(files: &[TableFile], log_bytes_min: u64) -> u64 {
    let live: u64 = files.iter().map(|file| file.bytes).sum();
    log_bytes_min.max(live.saturating_mul(2))
}

/// Makes snapshots when they are due, on a thread of their own, as long as somebody has the database.
///
/// # Errors
/// The system gives no thread.
pub(crate) fn keep(durable: &Arc<Durable>, database: &Arc<Database>, tokio: &Handle) -> Result<(), SqlError> {
    let (shared, tokio) = (durable.keeping.shared.clone(), tokio.clone());
    let (weak, database) = (Arc::downgrade(durable), Arc::downgrade(database));
    let keep_on = move || keep_on(&shared, &weak, &database, &tokio);
    let thread = std::thread::Builder::new().name("snapshots".into()).spawn(keep_on);
    let thread =
        thread.map_err(|e| SqlError::new(crate::error::state::RESOURCES, format!("no thread for snapshots: {e}")))?;
    *lock(&durable.keeping.thread) = Some(thread);
    Ok(())
}

fn keep_on(shared: &Shared, durable: &Weak<Durable>, database: &Weak<Database>, tokio: &Handle) {
    loop {
        let waits = |state: &mut State| !state.is_ended && state.log_bytes <= state.log_bytes_max;
        let state = shared.changed.wait_while(lock(&shared.state), waits).unwrap_or_else(PoisonError::into_inner);
        if state.is_ended {
            return;
        }
        drop(state);
        let (Some(durable), Some(database)) = (durable.upgrade(), database.upgrade()) else { return };
        if let Err(error) = snapshot(&durable, &database, tokio, &mut || {}) {
            tracing::warn!(error = error.message, "a snapshot cannot be made; the log grows until the next one");
            let mut state = lock(&shared.state);
            state.log_bytes_max = state.log_bytes + durable.settings.log_bytes;
        }
    }
}

/// Makes a snapshot, and cuts the log. `step` is called after everything that a crash could come behind.
///
/// # Errors
/// A file cannot be written. Then the snapshot before and the log hold all that there is.
pub(super) fn snapshot(
    durable: &Durable,
    database: &Database,
    tokio: &Handle,
    step: &mut dyn FnMut(),
) -> Result<(), SqlError> {
    let _whole = durable.between_snapshots();
    let directory = durable.settings.directory.as_path();
    let (before, log_bytes) = {
        let state = lock(&durable.keeping.shared.state);
        (state.files.clone(), state.log_bytes)
    };
    let (Known { names, schemas, jobs, next_job, users }, covered) = {
        let known = lock(&durable.known);
        (known.clone(), durable.next() - 1)
    };
    let (jobs, schemas) = (jobs.into_values().collect(), schemas.into_iter().collect());
    let mut manifest = Manifest { covered, schemas, jobs, next_job, users, ..Manifest::default() };
    for (number, mut definition) in names.into_values() {
        if let Definition::Table { name, id: Some(id), is_filling, .. } = &mut definition {
            let file = before.get(id);
            match database.stored(name, *id, file.map(|file| file.written), || durable.next() - 1) {
                // The manifest names no file of it then: the log behind it says that it went.
                None => durable.wait_until_gone(name, *id)?,
                Some(Stored { covered, is_filling: fills, rows }) => {
                    *is_filling = fills;
                    manifest.tables.push(match (rows, file) {
                        (None, Some(file)) => TableFile { covered, ..file.clone() },
                        (rows, _) => write_rows(directory, *id, covered, &rows.ok_or_else(no_rows)?)?,
                    });
                    step();
                }
            }
        }
        manifest.definitions.push((number, definition));
    }
    // Behind the tables: what a view does not contain is to be in the log that stays. If one cannot be written, all of it stays.
    store_views(durable, database, tokio, None, step)?;
    manifest.next_id = database.next_id();
    sync_directory(&tables_directory(directory))?;
    // What is in memory may be ahead of the disk; what is in files must not be: its numbers would be given again.
    durable.wait(durable.next() - 1)?;
    write_manifest(directory, &manifest)?;
    step();
    let swept = sweep(directory, &manifest)?;
    step();
    durable.journal.drop_until(covered).map_err(super::from_journal)?;
    step();
    tracing::info!(tables = manifest.tables.len(), covered, swept, "snapshot");
    let mut state = lock(&durable.keeping.shared.state);
    state.log_bytes = state.log_bytes.saturating_sub(log_bytes);
    state.log_bytes_max = log_bytes_max(&manifest.tables, durable.settings.log_bytes);
    state.files = manifest.tables.into_iter().map(|file| (file.id, file)).collect();
    Ok(())
}

/// Whoever does not know of a file is given rows.
fn no_rows() -> SqlError {
    SqlError::new(SqlError::INTERNAL, "a table without rows to be stored")
}

impl Durable {
    /// Waits until the log says that a table is gone, whose rows are gone already.
    fn wait_until_gone(&self, name: &Name, id: u64) -> Result<(), SqlError> {
        let is_there = || match lock(&self.known).names.get(name) {
            Some((_, Definition::Table { id: Some(now), .. })) => *now == id,
            _ => false,
        };
        while is_there() {
            self.check()?;
            std::thread::sleep(LOOK);
        }
        Ok(())
    }
}
