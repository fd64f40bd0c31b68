use super::backend::{Closed, RocksBackend, error};
use super::entries::scan;
use super::options::database;
use crate::backend::Each;
use crate::journal::{Chain, Journal, Link, write_names};
use crate::{Backend, Frozen, MemoryBudget, StateError, StateFile};
use parking_lot::Mutex;
use rocksdb::DB;
use rocksdb::checkpoint::Checkpoint;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::{fs, io};

/// The directory of the pictures within the database's.
pub(super) const PICTURES: &str = "pictures";

/// A picture, taken or being taken. See the module's page.
pub(super) struct Picture {
    place: Arc<Place>,
    taking: Mutex<Taking>,
    budget: Arc<MemoryBudget>,
}

enum Taking {
    Now(JoinHandle<Result<Chain, StateError>>),
    Done(Chain),
    Failed,
}

/// Where a picture lies; it goes with the last who needs it.
struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        // What cannot be removed now is when the store is opened again.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Picture {
    /// Begins to take picture `number` of the database in `directory`, and of the files that its journal has `written`.
    /// `closed` keeps writes to the database out of it.
    pub(super) fn begin(
        db: &Arc<DB>,
        directory: &Path,
        number: u64,
        closed: Closed,
        written: Option<(Arc<Journal>, Chain)>,
        budget: &Arc<MemoryBudget>,
    ) -> Result<Self, StateError> {
        let pictures = directory.join(PICTURES);
        fs::create_dir_all(&pictures).map_err(|e| StateError::io(&pictures, e))?;
        let place = Arc::new(Place(pictures.join(number.to_string())));
        let (db, into) = (db.clone(), place.clone());
        let take = move || {
            let taken = Checkpoint::new(&db).and_then(|c| c.create_checkpoint(&into.0));
            let taken = taken.map_err(|e| error(&into.0, &e));
            // Whoever comes through the gate finds nothing of this picture in use.
            drop((db, into));
            drop(closed);
            taken?;
            let Some((journal, chain)) = written else { return Ok(Chain::new()) };
            let chain = journal.merged(chain)?;
            chain.iter().try_for_each(|link| link.segment.sync())?;
            Ok(chain)
        };
        let thread = Builder::new().name("state picture".into()).spawn(take);
        let thread = thread.map_err(|e| StateError::io(directory, e))?;
        Ok(Self { place, taking: Mutex::new(Taking::Now(thread)), budget: budget.clone() })
    }

    /// The directory of the picture and the files of the journal, when it is taken.
    fn taken(&self) -> Result<(&Path, Chain), StateError> {
        let failed = |message: &str| StateError::io(&self.place.0, io::Error::other(message.to_owned()));
        let mut taking = self.taking.lock();
        if let Taking::Now(_) = &*taking
            && let Taking::Now(thread) = std::mem::replace(&mut *taking, Taking::Failed)
        {
            let taken = thread.join().map_err(|_| failed("the thread that took the picture has panicked"))?;
            *taking = Taking::Done(taken?);
        }
        match &*taking {
            Taking::Done(chain) => Ok((&self.place.0, chain.clone())),
            _ => Err(failed("the picture was not taken")),
        }
    }
}

impl Frozen for Picture {
    fn scan(&self, from: &[u8], to: &[u8], each: &mut Each<'_>) -> Result<(), StateError> {
        let (directory, chain) = self.taken()?;
        if !chain.is_empty() {
            // A database that may be changed, of the same files.
            let scratch = Place(directory.with_extension("scanned"));
            fs::create_dir_all(&scratch.0).map_err(|e| StateError::io(&scratch.0, e))?;
            self.files(&scratch.0)?;
            return RocksBackend::open(&scratch.0, &self.budget)?.scan(from, to, each);
        }
        let options = database(&self.budget);
        let db = DB::open_for_read_only(&options, directory, false).map_err(|e| error(directory, &e))?;
        scan(&db, from, to, each).map_err(|e| e.at(directory))
    }

    fn files(&self, into: &Path) -> Result<Vec<StateFile>, StateError> {
        let (directory, chain) = self.taken()?;
        let mut files = Vec::new();
        for entry in fs::read_dir(directory).map_err(|e| StateError::io(directory, e))? {
            let entry = entry.map_err(|e| StateError::io(directory, e))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if !belongs(&name) {
                continue;
            }
            let (from, to) = (entry.path(), into.join(&name));
            link(&from, &to).map_err(|e| StateError::io(&to, e))?;
            let size_bytes = entry.metadata().map_err(|e| StateError::io(&from, e))?.len();
            files.push(StateFile { is_shared: name.ends_with(".sst"), name, size_bytes, xxh3: None });
        }
        for Link { segment, .. } in &chain {
            let name = segment.name();
            let to = into.join(&name);
            link(&segment.path, &to).map_err(|e| StateError::io(&to, e))?;
            files.push(StateFile { name, size_bytes: segment.size_bytes, xxh3: segment.xxh3, is_shared: true });
        }
        if !chain.is_empty() {
            let (name, size_bytes) = write_names(&chain, into)?;
            files.push(StateFile { name, size_bytes, xxh3: None, is_shared: false });
        }
        Ok(files)
    }
}

/// Whether a store is opened from this file: not RocksDB's note of its options, nor its write-ahead log, which is empty.
fn belongs(name: &str) -> bool {
    !name.starts_with("OPTIONS") && !name.ends_with(".log")
}

fn link(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        // Another file system, or one without links.
        Err(e) if matches!(e.kind(), io::ErrorKind::CrossesDevices | io::ErrorKind::Unsupported) => {
            fs::copy(from, to).map(|_| ())
        }
        other => other,
    }
}
