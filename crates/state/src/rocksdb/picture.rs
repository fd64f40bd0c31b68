use super::backend::{Closed, error, scan};
use crate::backend::Each;
use crate::{Frozen, StateError, StateFile};
use parking_lot::Mutex;
use rocksdb::checkpoint::Checkpoint;
use rocksdb::{DB, Options};
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
}

enum Taking {
    Now(JoinHandle<Result<(), rocksdb::Error>>),
    Done(Result<(), rocksdb::Error>),
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
    /// Begins to take picture `number` of the database in `directory`. `closed` keeps writes out of it.
    pub(super) fn begin(db: &Arc<DB>, directory: &Path, number: u64, closed: Closed) -> Result<Self, StateError> {
        let pictures = directory.join(PICTURES);
        fs::create_dir_all(&pictures).map_err(|e| StateError::io(&pictures, e))?;
        let place = Arc::new(Place(pictures.join(number.to_string())));
        let (db, into) = (db.clone(), place.clone());
        let take = move || {
            let taken = Checkpoint::new(&db).and_then(|c| c.create_checkpoint(&into.0));
            // Whoever comes through the gate finds nothing of this picture in use.
            drop((db, into));
            drop(closed);
            taken
        };
        let thread = Builder::new().name("state picture".into()).spawn(take);
        let thread = thread.map_err(|e| StateError::io(directory, e))?;
        Ok(Self { place, taking: Mutex::new(Taking::Now(thread)) })
    }

    /// The directory of the picture, when it is taken.
    fn taken(&self) -> Result<&Path, StateError> {
        let mut taking = self.taking.lock();
        if let Taking::Now(_) = &*taking
            && let Taking::Now(thread) = std::mem::replace(&mut *taking, Taking::Done(Ok(())))
        {
            let taken = thread.join().map_err(|_| {
                StateError::io(&self.place.0, io::Error::other("the thread that took the picture has panicked"))
            })?;
            *taking = Taking::Done(taken);
        }
        match &*taking {
            Taking::Done(Err(e)) => Err(error(&self.place.0, e)),
            _ => Ok(&self.place.0),
        }
    }
}

impl Frozen for Picture {
    fn scan(&self, from: &[u8], to: &[u8], each: &mut Each<'_>) -> Result<(), StateError> {
        let directory = self.taken()?;
        let db = DB::open_for_read_only(&Options::default(), directory, false).map_err(|e| error(directory, &e))?;
        scan(&db, from, to, each).map_err(|e| e.at(directory))
    }

    fn files(&self, into: &Path) -> Result<Vec<StateFile>, StateError> {
        let directory = self.taken()?;
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
            files.push(StateFile { is_shared: name.ends_with(".sst"), name, size_bytes });
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
