use super::entries;
use super::fold::Fold;
use super::known::Known;
use super::options::{BUFFERS_WAITING_MAX, RUNS_WAITING_MAX, database, everything, writing};
use super::picture::{PICTURES, Picture};
use crate::backend::{Each, EachOf};
use crate::batch::WriteRef;
use crate::journal::{
    self, ALL, Journal, Parts, Piece, by_group, part_of, part_of_group, parts_between, parts_of_table,
};
use crate::{Backend, Batch, Frozen, MemoryBudget, Puts, StateError, Store};
use parking_lot::{Condvar, Mutex};
use rocksdb::properties::{BACKGROUND_ERRORS, NUM_IMMUTABLE_MEM_TABLE, PropName, num_files_at_level};
use rocksdb::{DB, DEFAULT_COLUMN_FAMILY_NAME, ErrorKind, IteratorMode};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use std::{fs, io};

/// More records in a journal than this are not read because one of them might be asked for.
const VAST: u64 = 1 << 20;
/// Rows that are put into packs at a time.
const ROWS_AT_ONCE: usize = 1 << 13;
/// How long to wait before asking again whether a write may go on.
const WAIT: Duration = Duration::from_millis(1);
/// The file by which RocksDB finds all others.
const CURRENT: &str = "CURRENT";

/// A backend on disk. See the module's page.
pub struct RocksBackend {
    db: Arc<DB>,
    directory: PathBuf,
    is_empty: AtomicBool,
    /// What the database may hold; not what stands in the journal alone.
    known: Known,
    pictures: AtomicU64,
    gate: Arc<Gate>,
    journal: Mutex<Journaling>,
    /// RocksDB holds its caches itself; this keeps the budget's account.
    budget: Arc<MemoryBudget>,
}

/// Where writes go.
struct Journaling {
    /// Here, but for the parts that are settled, while not all are; `None`: into the database.
    open: Option<Arc<Journal>>,
    /// The parts that somebody has read: all that is there of them is in the database.
    settled: Parts,
    /// The database that it is written on, if that holds anything.
    base: Arc<Base>,
    /// The first number that no file of a journal had.
    next: u64,
}

impl Journaling {
    /// Those of `parts` that stand in the journal.
    fn journaled(&self, parts: Parts) -> Parts {
        if self.open.is_some() { parts & !self.settled } else { 0 }
    }

    /// Does everything go there?
    fn takes_all(&self) -> Option<&Journal> {
        self.open.as_deref().filter(|_| self.settled == 0)
    }
}

/// The database as long as it is what a journal is written on.
#[derive(Default)]
struct Base(Mutex<Option<Arc<DB>>>);

impl Base {
    fn new(db: &Arc<DB>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Some(db.clone()))))
    }

    /// As a journal asks it.
    fn asked(self: &Arc<Self>) -> journal::Base {
        let base = self.clone();
        Arc::new(move |keys| base.may_have(keys))
    }

    /// Which of `keys` the database may hold: all, when it has begun to change.
    fn may_have(&self, keys: &[&[u8]]) -> Vec<bool> {
        let db = self.0.lock();
        let Some(db) = db.as_ref() else { return vec![true; keys.len()] };
        match entries::find(db, keys, (0..keys.len()).collect()) {
            Ok(found) => found.iter().map(Option::is_some).collect(),
            // What cannot be read may be there.
            Err(_) => vec![true; keys.len()],
        }
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
        let holds_nothing = is_empty(&db, directory)?;
        let write = &mut |writes| db.write_opt(writes, &writing()).map_err(|e| error(directory, &e));
        entries::pack_rows(&db, write).map_err(|e| e.at(directory))?;
        let db = Arc::new(db);
        let base = if holds_nothing { Arc::default() } else { Base::new(&db) };
        let resumed = match files.is_empty() {
            true => None,
            false => Journal::resume((!holds_nothing).then(|| base.asked()), directory, (&files, next))?,
        };
        let this = Self {
            db,
            directory: directory.into(),
            is_empty: AtomicBool::new(holds_nothing && resumed.is_none()),
            known: Known::new(holds_nothing, budget),
            pictures: AtomicU64::new(0),
            gate: Arc::default(),
            journal: Mutex::new(Journaling { open: resumed.map(Arc::new), settled: 0, base, next }),
            budget: budget.clone(),
        };
        if this.journal.lock().open.is_some() {
            this.compacts(false)?;
            return Ok(this);
        }
        this.fold().files(&files)?;
        journal::remove(&files, directory)?;
        this.is_empty.store(is_empty(&this.db, directory)?, Ordering::Relaxed);
        if this.is_empty() {
            this.journal.lock().open = Some(Arc::new(Journal::new(directory, next)));
        }
        Ok(this)
    }

    fn fold(&self) -> Fold<'_> {
        Fold { db: &self.db, known: &self.known, directory: &self.directory, budget: &self.budget }
    }

    /// Brings what the journal says of parts into the database: somebody wants to read it.
    fn settle(&self, parts: Parts) -> Result<(), StateError> {
        let mut journal = self.journal.lock();
        let parts = journal.journaled(parts);
        let Some(open) = journal.open.as_ref().filter(|_| parts != 0) else { return Ok(()) };
        let chain = open.cut()?;
        journal.base.release();
        {
            let _open = self.gate.enter();
            if journal.settled == 0 {
                self.compacts(true)?;
            }
            self.fold().parts(&chain, parts)?;
        }
        open.forget(parts);
        let next = open.next();
        journal.settled |= parts;
        if journal.settled == ALL {
            (journal.open, journal.next) = (None, next);
        }
        Ok(())
    }

    /// As [`settle`](Self::settle), of the parts that keys belong to.
    fn settle_of<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) -> Result<(), StateError> {
        if self.journal.lock().open.is_none() {
            return Ok(());
        }
        self.settle(keys.fold(0, |parts, key| parts | 1 << part_of(key)))
    }

    /// May the journal hold full keys in `from..to`?
    fn may_be_journaled(&self, from: &[u8], to: &[u8]) -> bool {
        let journal = self.journal.lock();
        let Some(open) = &journal.open else { return false };
        match (from.first_chunk(), to.first_chunk()) {
            (Some(table), Some(last)) if table == last => open.has_table(table),
            _ => true,
        }
    }

    /// Writes into the database.
    fn apply_there(&self, batch: &Batch) -> Result<(), StateError> {
        if batch.is_empty() {
            return Ok(());
        }
        let puts = |write| if let WriteRef::Put(key, _) = write { Some(key) } else { None };
        self.known.add(batch.iter().filter_map(puts));
        let writes = entries::writes_of(batch);
        self.wait_for_room()?;
        let _open = self.gate.enter();
        self.db.write_opt(writes, &writing()).map_err(|e| self.error(&e))
    }

    /// Writes entries of a table into the database: many at once where rows with one lead, which are near each other, may be among them.
    fn put_there(&self, puts: &Puts) -> Result<(), StateError> {
        let writes_max = if puts.lead.is_some() { ROWS_AT_ONCE } else { Store::BATCH };
        puts.expand_by(writes_max, &mut |batch| self.apply_there(batch))
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

fn is_empty(db: &DB, directory: &Path) -> Result<bool, StateError> {
    // By its leads alone it would pass over keys behind a range that was removed.
    match db.iterator_opt(IteratorMode::Start, everything()).next() {
        None => Ok(true),
        Some(first) => first.map(|_| false).map_err(|e| error(directory, &e)),
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
        self.settle_of(keys.iter().copied())?;
        let known = self.known.of(keys.iter().copied());
        entries::find(&self.db, keys, known).map_err(|e| e.at(&self.directory))
    }

    fn scan(&self, from: &[u8], to: &[u8], each: &mut Each<'_>) -> Result<(), StateError> {
        if self.is_empty() {
            return Ok(());
        }
        // Who has enough soon reads little more than that.
        if !self.may_be_journaled(from, to) {
            return entries::scan(&self.db, from, to, each).map_err(|e| e.at(&self.directory));
        }
        for Piece { from, to, parts } in by_group(from, to) {
            self.settle(parts)?;
            entries::scan(&self.db, &from, &to, each).map_err(|e| e.at(&self.directory))?;
        }
        Ok(())
    }

    fn scan_prefixes(&self, prefixes: &[Vec<u8>], each: &mut EachOf<'_>) -> Result<(), StateError> {
        if self.is_empty() {
            return Ok(());
        }
        self.settle_of(prefixes.iter().map(Vec::as_slice))?;
        let known = self.known.of(prefixes.iter().map(Vec::as_slice));
        entries::rows_of(&self.db, prefixes, &known, each).map_err(|e| e.at(&self.directory))
    }

    fn apply(&self, batch: &Batch) -> Result<(), StateError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.is_empty.store(false, Ordering::Relaxed);
        if batch.removes_ranges() {
            // A journal knows keys alone.
            for write in batch.iter() {
                if let WriteRef::DeleteRange(from, to) = write {
                    self.settle(parts_between(from, to))?;
                }
            }
        }
        let journal = self.journal.lock();
        let Some(open) = journal.open.as_ref() else {
            drop(journal);
            return self.apply_there(batch);
        };
        if journal.settled == 0 && !batch.removes_ranges() {
            return open.append(batch);
        }
        let is_journaled = |key: &[u8]| journal.journaled(1 << part_of(key)) != 0;
        let (here, there) =
            batch.split(|write| !matches!(write, WriteRef::DeleteRange(..)) && is_journaled(write.key()));
        open.append(&here)?;
        drop(journal);
        self.apply_there(&there)
    }

    fn put(&self, puts: &Puts) -> Result<(), StateError> {
        self.is_empty.store(false, Ordering::Relaxed);
        let journal = self.journal.lock();
        if let Some(all) = journal.takes_all() {
            return all.put(puts);
        }
        let Some(open) = journal.open.as_ref().filter(|_| journal.journaled(parts_of_table(puts.table)) != 0) else {
            drop(journal);
            return self.put_there(puts);
        };
        let part = |group| part_of_group(puts.operator, puts.table, group);
        let mut is_wanted: Vec<bool> =
            puts.groups.iter().map(|group| journal.journaled(1 << part(*group)) != 0).collect();
        open.put(&puts.filtered(&is_wanted)?)?;
        drop(journal);
        is_wanted.iter_mut().for_each(|is_wanted| *is_wanted = !*is_wanted);
        self.put_there(&puts.filtered(&is_wanted)?)
    }

    fn is_empty(&self) -> bool {
        self.is_empty.load(Ordering::Relaxed)
    }

    fn is_vast(&self) -> bool {
        self.journal.lock().open.as_ref().is_some_and(|open| open.records() > VAST)
    }

    fn rest(&self) -> Result<(), StateError> {
        let mut journal = self.journal.lock();
        if journal.takes_all().is_some() {
            return Ok(());
        }
        self.compacts(false)?;
        journal.base = Base::new(&self.db);
        journal.settled = 0;
        match &journal.open {
            Some(open) => open.rebase(journal.base.asked()),
            None => {
                let on_base = Journal::on(journal.base.asked(), &self.directory, journal.next);
                journal.open = Some(Arc::new(on_base));
            }
        }
        Ok(())
    }

    fn freeze(&self) -> Result<Box<dyn Frozen>, StateError> {
        let number = self.pictures.fetch_add(1, Ordering::Relaxed);
        let journal = self.journal.lock();
        let chain = journal.open.as_ref().map(|j| j.cut()).transpose()?.unwrap_or_default();
        let written = journal.open.clone().map(|journal| (journal, chain));
        Ok(Box::new(Picture::begin(&self.db, &self.directory, number, self.gate.close(), written, &self.budget)?))
    }
}

/// What goes wrong in a scan: reading, what is read, or what is done with it.
pub(super) enum ScanError {
    Read(rocksdb::Error),
    Damaged,
    Each(StateError),
}

impl ScanError {
    pub(super) fn at(self, directory: &Path) -> StateError {
        match self {
            Self::Read(e) => error(directory, &e),
            Self::Damaged => StateError::corrupt_file(directory, "rows with one lead do not parse"),
            Self::Each(e) => e,
        }
    }
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
