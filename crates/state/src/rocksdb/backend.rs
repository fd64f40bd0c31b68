use super::fold::fold;
use super::options::{BUFFERS_WAITING_MAX, RUNS_WAITING_MAX, database, scanning, searching, writing};
use super::picture::{PICTURES, Picture};
use crate::backend::{Each, EachOf};
use crate::batch::WriteRef;
use crate::journal::{self, Journal};
use crate::{Backend, Batch, Frozen, MemoryBudget, Puts, StateError};
use parking_lot::{Condvar, Mutex};
use rocksdb::properties::{BACKGROUND_ERRORS, NUM_IMMUTABLE_MEM_TABLE, PropName, num_files_at_level};
use rocksdb::{DB, DEFAULT_COLUMN_FAMILY_NAME, ErrorKind, IteratorMode, WriteBatch};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use std::{fs, io};

/// Keys that are looked up at a time: their blocks stay in memory until all are found.
const GET_BATCH: usize = 128;
/// How long to wait before asking again whether a write may go on.
const WAIT: Duration = Duration::from_millis(1);
/// The file by which RocksDB finds all others.
const CURRENT: &str = "CURRENT";

/// A backend on disk. See the module's page.
pub struct RocksBackend {
    db: Arc<DB>,
    directory: PathBuf,
    is_empty: AtomicBool,
    pictures: AtomicU64,
    gate: Arc<Gate>,
    journal: Mutex<Journaling>,
    /// RocksDB holds its caches itself; this keeps the budget's account.
    budget: Arc<MemoryBudget>,
}

/// Where writes go.
struct Journaling {
    /// Here while nobody reads; `None`: into the database.
    open: Option<Arc<Journal>>,
    /// The database that it is written on, if that holds anything.
    base: Arc<Base>,
    /// The first number that no file of a journal had.
    next: u64,
}

/// The database as long as it is what a journal is written on.
#[derive(Default)]
struct Base(Mutex<Option<Arc<DB>>>);

impl Base {
    /// Which of `keys` the database may hold: all, when it has begun to change.
    fn may_have(&self, keys: &[&[u8]]) -> Vec<bool> {
        let db = self.0.lock();
        let Some(db) = db.as_ref() else { return vec![true; keys.len()] };
        // What cannot be read may be there.
        db.multi_get(keys).into_iter().map(|found| !matches!(found, Ok(None))).collect()
    }

    /// The database begins to change, or is closed.
    fn release(&self) {
        *self.0.lock() = None;
    }
}

impl RocksBackend {
    /// Opens the store in `directory`, which is made if it is not there. A picture's files are such a store.
    ///
    /// # Errors
    /// The directory cannot be read or written; [`StateError::CorruptFile`] if files are missing or damaged. Damage within a file
    /// is found when the part is read.
    pub fn open(directory: &Path, budget: &Arc<MemoryBudget>) -> Result<Self, StateError> {
        prepare(directory)?;
        let options = database(budget);
        let db = DB::open_cf_with_opts(&options, directory, [(DEFAULT_COLUMN_FAMILY_NAME, options.clone())])
            .map_err(|e| error(directory, &e))?;
        let (files, next) = journal::found(directory)?;
        fold(&db, directory, budget, files.iter().map(|(path, parts)| (path.as_path(), *parts)))?;
        journal::remove(&files, directory)?;
        let is_empty = match db.iterator(IteratorMode::Start).next() {
            None => true,
            Some(first) => first.map(|_| false).map_err(|e| error(directory, &e))?,
        };
        Ok(Self {
            db: Arc::new(db),
            directory: directory.into(),
            is_empty: AtomicBool::new(is_empty),
            pictures: AtomicU64::new(0),
            gate: Arc::default(),
            journal: Mutex::new(Journaling {
                open: is_empty.then(|| Arc::new(Journal::new(directory, next))),
                base: Arc::default(),
                next,
            }),
            budget: budget.clone(),
        })
    }

    /// Brings the journal into the database: somebody wants to read.
    fn settle(&self) -> Result<(), StateError> {
        let mut journal = self.journal.lock();
        let Some(settled) = journal.open.as_ref() else { return Ok(()) };
        let chain = settled.cut()?;
        journal.base.release();
        {
            let _open = self.gate.enter();
            self.compacts(true)?;
            fold(
                &self.db,
                &self.directory,
                &self.budget,
                chain.iter().map(|link| (link.segment.path.as_path(), link.parts)),
            )?;
        }
        journal.next = settled.next();
        journal.open = None;
        Ok(())
    }

    /// Waits while RocksDB is behind with making files and merging them. It would do so itself, but a writer that it holds back
    /// while a disk is full keeps it from finding out that there is space again, and then both wait for ever.
    ///
    /// # Errors
    /// RocksDB could not write files.
    fn wait_for_room(&self) -> Result<(), StateError> {
        let number = |name: &PropName| self.db.property_int_value(name).map(Option::unwrap_or_default);
        let runs = || self.db.property_value(num_files_at_level(0)).map(|runs| runs.and_then(|runs| runs.parse().ok()));
        loop {
            if number(BACKGROUND_ERRORS).map_err(|e| self.error(&e))? > 0 {
                let message = "files could not be written or merged; is the disk full?";
                return Err(StateError::io(&self.directory, io::Error::other(message)));
            }
            let waiting = number(NUM_IMMUTABLE_MEM_TABLE).map_err(|e| self.error(&e))?;
            let runs: u64 = runs().map_err(|e| self.error(&e))?.unwrap_or_default();
            if waiting <= BUFFERS_WAITING_MAX && runs < RUNS_WAITING_MAX {
                return Ok(());
            }
            std::thread::sleep(WAIT);
        }
    }

    /// Whether files are put in order by themselves: not those that nobody reads, which checkpoints refer to.
    fn compacts(&self, compacts: bool) -> Result<(), StateError> {
        let value = if compacts { "false" } else { "true" };
        self.db.set_options(&[("disable_auto_compactions", value)]).map_err(|e| self.error(&e))
    }

    /// Where the store is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn error(&self, of: &rocksdb::Error) -> StateError {
        error(&self.directory, of)
    }
}

impl Drop for RocksBackend {
    fn drop(&mut self) {
        let journal = self.journal.get_mut();
        journal.base.release();
        if let Some(journal) = &journal.open
            && let Err(error) = journal.close()
        {
            tracing::warn!(%error, "what was written since the last checkpoint is lost");
        }
        // The store is closed when this returns, so it can be opened again.
        drop(self.gate.enter());
    }
}

/// Makes the directory, removes what pictures left in it, and refuses one in which a store has lost its beginning.
fn prepare(directory: &Path) -> Result<(), StateError> {
    let failed = |e| StateError::io(directory, e);
    fs::create_dir_all(directory).map_err(failed)?;
    match fs::remove_dir_all(directory.join(PICTURES)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
        _ => {}
    }
    if !directory.join(CURRENT).exists() && fs::read_dir(directory).map_err(failed)?.next().is_some() {
        // RocksDB would begin a new store here.
        return Err(StateError::corrupt_file(directory, "the file CURRENT is missing"));
    }
    Ok(())
}

impl Backend for RocksBackend {
    fn multi_get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StateError> {
        if self.is_empty() {
            return Ok(vec![None; keys.len()]);
        }
        self.settle()?;
        let family = self.db.cf_handle(DEFAULT_COLUMN_FAMILY_NAME).expect("it is opened with the database");
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_unstable_by_key(|at| keys[*at]);
        let mut values = vec![None; keys.len()];
        for order in order.chunks(GET_BATCH) {
            let found = self.db.batched_multi_get_cf(family, order.iter().map(|at| keys[*at]), true);
            for (at, value) in order.iter().zip(found) {
                values[*at] = value.map_err(|e| self.error(&e))?.map(|value| value.to_vec());
            }
        }
        Ok(values)
    }

    fn scan(&self, from: &[u8], to: &[u8], each: &mut Each<'_>) -> Result<(), StateError> {
        if self.is_empty() {
            return Ok(());
        }
        self.settle()?;
        scan(&self.db, from, to, each).map_err(|e| e.at(&self.directory))
    }

    fn scan_prefixes(&self, prefixes: &[Vec<u8>], each: &mut EachOf<'_>) -> Result<(), StateError> {
        if self.is_empty() {
            return Ok(());
        }
        self.settle()?;
        let mut entries = self.db.raw_iterator_opt(searching());
        for (at, prefix) in prefixes.iter().enumerate() {
            entries.seek(prefix);
            while let Some((key, value)) = entries.item().filter(|(key, _)| key.starts_with(prefix)) {
                each(at, key, value)?;
                entries.next();
            }
            entries.status().map_err(|e| self.error(&e))?;
        }
        Ok(())
    }

    fn apply(&self, batch: &Batch) -> Result<(), StateError> {
        if batch.is_empty() {
            return Ok(());
        }
        if batch.removes_ranges() {
            // A journal knows keys alone.
            self.settle()?;
        }
        let journal = self.journal.lock();
        if let Some(journal) = journal.open.as_ref() {
            journal.append(batch)?;
            self.is_empty.store(false, Ordering::Relaxed);
            return Ok(());
        }
        drop(journal);
        let mut writes = WriteBatch::default();
        for write in batch.iter() {
            match write {
                WriteRef::Put(key, value) => writes.put(key, value),
                WriteRef::Delete(key) => writes.delete(key),
                WriteRef::DeleteRange(from, to) if from < to => writes.delete_range(from, to),
                WriteRef::DeleteRange(..) => {}
            }
        }
        self.wait_for_room()?;
        let _open = self.gate.enter();
        self.db.write_opt(writes, &writing()).map_err(|e| self.error(&e))?;
        self.is_empty.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn put(&self, puts: &Puts) -> Result<(), StateError> {
        let journal = self.journal.lock();
        if let Some(journal) = journal.open.as_ref() {
            journal.put(puts)?;
            self.is_empty.store(false, Ordering::Relaxed);
            return Ok(());
        }
        drop(journal);
        puts.expand(&mut |batch| self.apply(batch))
    }

    fn is_empty(&self) -> bool {
        self.is_empty.load(Ordering::Relaxed)
    }

    fn rest(&self) -> Result<(), StateError> {
        let mut journal = self.journal.lock();
        if journal.open.is_some() {
            return Ok(());
        }
        self.compacts(false)?;
        let base = Arc::new(Base(Mutex::new(Some(self.db.clone()))));
        journal.base = base.clone();
        let may_have = move |keys: &[&[u8]]| base.may_have(keys);
        journal.open = Some(Arc::new(Journal::on(Box::new(may_have), &self.directory, journal.next)));
        Ok(())
    }

    fn freeze(&self) -> Result<Box<dyn Frozen>, StateError> {
        let number = self.pictures.fetch_add(1, Ordering::Relaxed);
        let journal = self.journal.lock().open.clone();
        let chain = journal.as_ref().map(|j| j.cut()).transpose()?.unwrap_or_default();
        let written = journal.map(|journal| (journal, chain));
        Ok(Box::new(Picture::begin(&self.db, &self.directory, number, self.gate.close(), written, &self.budget)?))
    }
}

/// What goes wrong in a scan: reading, or what is done with what is read.
pub(super) enum ScanError {
    Read(rocksdb::Error),
    Each(StateError),
}

impl ScanError {
    pub(super) fn at(self, directory: &Path) -> StateError {
        match self {
            Self::Read(e) => error(directory, &e),
            Self::Each(e) => e,
        }
    }
}

pub(super) fn scan(db: &DB, from: &[u8], to: &[u8], each: &mut Each<'_>) -> Result<(), ScanError> {
    if from >= to {
        return Ok(());
    }
    let mut entries = db.raw_iterator_opt(scanning(from, to));
    entries.seek_to_first();
    while let Some((key, value)) = entries.item() {
        each(key, value).map_err(ScanError::Each)?;
        entries.next();
    }
    entries.status().map_err(ScanError::Read)
}

/// What RocksDB says, by who must act. It says it in words.
pub(super) fn error(directory: &Path, of: &rocksdb::Error) -> StateError {
    let message: &str = of.as_ref();
    let system = |kind| StateError::io(directory, io::Error::new(kind, message.to_string()));
    if message.contains("No space left on device") {
        return system(io::ErrorKind::StorageFull);
    }
    match of.kind() {
        // Files of the store that are not there are as bad as damaged ones.
        ErrorKind::Corruption | ErrorKind::NotFound => StateError::corrupt_file(directory, message),
        ErrorKind::IOError if message.contains("No such file") => StateError::corrupt_file(directory, message),
        _ => system(io::ErrorKind::Other),
    }
}

/// Keeps writes out while a picture is taken.
#[derive(Default)]
pub(super) struct Gate {
    is_closed: Mutex<bool>,
    opened: Condvar,
}

/// Opens the gate when it is dropped.
pub(super) struct Closed(Arc<Gate>);

impl Gate {
    /// Waits until the gate is open; it stays so while the guard lives.
    fn enter(&self) -> parking_lot::MutexGuard<'_, bool> {
        let mut is_closed = self.is_closed.lock();
        self.opened.wait_while(&mut is_closed, |is_closed| *is_closed);
        is_closed
    }

    fn close(self: &Arc<Self>) -> Closed {
        *self.enter() = true;
        Closed(self.clone())
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        *self.0.is_closed.lock() = false;
        self.0.opened.notify_all();
    }
}
