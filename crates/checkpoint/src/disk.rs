//! The file system below a local place. What is said to be durable is synced: the file, then the directory that names it.
//!
//! A sync that fails is not tried again: the system may have let go of the pages, and the next sync of the same file would
//! succeed without them. [`CheckpointError::Unsynced`] says so, and the job begins again at its last checkpoint.

use crate::CheckpointError;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is done to a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// Its content is read.
    Read,
    /// The names in it are read.
    List,
    /// It is made, or emptied.
    Create,
    /// Its content is written.
    Write,
    /// Its content is brought to the disk.
    Sync,
    /// It gets its name, as another name of a file that is there.
    Link,
    /// It gets its name, in place of the one that it had.
    Rename,
    /// Its name goes.
    Remove,
    /// It is made.
    MakeDirectory,
    /// The names in it are brought to the disk.
    SyncDirectory,
}

/// Sees every call to the file system; for tests, which let some of them fail.
pub trait Witness: Send + Sync {
    /// Before a call.
    ///
    /// # Errors
    /// What the call fails with; it is not made then.
    fn before(&self, call: Call, path: &Path) -> io::Result<()>;

    /// After a call that was well.
    fn after(&self, call: Call, path: &Path);
}

/// See the module's page. Clones mean the same.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    witness: Option<Arc<dyn Witness>>,
}

impl Disk {
    pub(crate) fn seen_by(witness: Arc<dyn Witness>) -> Self {
        Self { witness: Some(witness) }
    }

    fn call<T>(&self, call: Call, path: &Path, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let Some(witness) = &self.witness else { return act() };
        witness.before(call, path)?;
        act().inspect(|_| witness.after(call, path))
    }

    /// The whole of a small file.
    pub(crate) fn read(&self, path: &Path) -> Result<Vec<u8>, CheckpointError> {
        self.call(Call::Read, path, || fs::read(path)).map_err(|e| CheckpointError::io(path, e))
    }

    /// Writes a file: it is there whole or not at all, and durable. If `fresh`, nothing may be there yet.
    pub(crate) fn put(&self, path: &Path, content: &[u8], fresh: bool) -> Result<(), CheckpointError> {
        let parent = path.parent().unwrap_or(Path::new("/"));
        self.make_directories(parent)?;
        let mut hidden = path.as_os_str().to_owned();
        hidden.push(".new");
        let hidden = PathBuf::from(hidden);
        let at = |e| CheckpointError::io(&hidden, e);
        let mut file = self.call(Call::Create, &hidden, || File::create(&hidden)).map_err(at)?;
        self.call(Call::Write, &hidden, || file.write_all(content)).map_err(at)?;
        self.sync(&hidden, &file)?;
        let named = match fresh {
            // Unlike a rename, a link does not take the place of what is there.
            true => self
                .call(Call::Link, path, || fs::hard_link(&hidden, path))
                .and_then(|()| self.call(Call::Remove, &hidden, || fs::remove_file(&hidden))),
            false => self.call(Call::Rename, path, || fs::rename(&hidden, path)),
        };
        match named {
            Ok(()) => self.sync_directory(parent),
            Err(e) if fresh && e.kind() == io::ErrorKind::AlreadyExists => {
                Err(CheckpointError::Taken { path: path.display().to_string() })
            }
            Err(e) => Err(CheckpointError::io(path, e)),
        }
    }

    /// Puts a file under another name too, as a link where that may be and can be. What is there under that name goes.
    /// Returns whether it is linked.
    pub(crate) fn copy(&self, from: &Path, to: &Path, may_link: bool) -> Result<bool, CheckpointError> {
        if let Some(parent) = to.parent() {
            self.make_directories(parent)?;
        }
        // It may be a link to the very file: copied over itself it would be empty.
        self.remove(to)?;
        if may_link {
            match self.call(Call::Link, to, || fs::hard_link(from, to)) {
                Ok(()) => return Ok(true),
                Err(e) if matches!(e.kind(), io::ErrorKind::NotFound) => return Err(CheckpointError::io(from, e)),
                Err(e) if matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                    return Err(CheckpointError::io(to, e));
                }
                // Another file system, or one without links.
                Err(_) => {}
            }
        }
        self.call(Call::Read, from, || Ok(()))
            .and_then(|()| self.call(Call::Create, to, || File::create(to)))
            .and_then(|_| self.call(Call::Write, to, || fs::copy(from, to)))
            .map(|_| false)
            .map_err(|e| {
                let path = if e.kind() == io::ErrorKind::NotFound { from } else { to };
                CheckpointError::io(path, e)
            })
    }

    /// As [`copy`](Self::copy), and the content is durable; its name is with the next
    /// [`sync_directory`](Self::sync_directory).
    pub(crate) fn copy_durably(&self, from: &Path, to: &Path, may_link: bool) -> Result<(), CheckpointError> {
        self.copy(from, to, may_link)?;
        let file = File::open(to).map_err(|e| CheckpointError::io(to, e))?;
        self.sync(to, &file)
    }

    fn sync(&self, path: &Path, file: &File) -> Result<(), CheckpointError> {
        self.call(Call::Sync, path, || file.sync_all()).map_err(|e| CheckpointError::unsynced(path, e))
    }

    /// Makes a directory and those above it, durably.
    pub(crate) fn make_directories(&self, directory: &Path) -> Result<(), CheckpointError> {
        if directory.is_dir() {
            return Ok(());
        }
        if let Some(parent) = directory.parent() {
            self.make_directories(parent)?;
        }
        match self.call(Call::MakeDirectory, directory, || fs::create_dir(directory)) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => {}
            Err(e) => return Err(CheckpointError::io(directory, e)),
        }
        directory.parent().map_or(Ok(()), |parent| {
            self.sync_directory(parent).inspect_err(|_| {
                // The next time it would be taken for one that is durable. If it cannot go, the job is at its end all the same.
                let _ = fs::remove_dir(directory);
            })
        })
    }

    pub(crate) fn sync_directory(&self, directory: &Path) -> Result<(), CheckpointError> {
        self.call(Call::SyncDirectory, directory, || File::open(directory).and_then(|d| d.sync_all()))
            .map_err(|e| CheckpointError::unsynced(directory, e))
    }

    /// Deletes a file, if it is there.
    pub(crate) fn remove(&self, path: &Path) -> Result<(), CheckpointError> {
        match self.call(Call::Remove, path, || fs::remove_file(path)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(CheckpointError::io(path, e)),
            _ => Ok(()),
        }
    }

    /// The directories right within a directory.
    pub(crate) fn directories(&self, directory: &Path) -> Result<Vec<String>, CheckpointError> {
        let fault = |e| CheckpointError::io(directory, e);
        let mut names = Vec::new();
        for entry in self.call(Call::List, directory, || fs::read_dir(directory)).map_err(fault)? {
            let entry = entry.map_err(fault)?;
            names.extend(entry.file_name().to_str().filter(|_| entry.path().is_dir()).map(str::to_owned));
        }
        Ok(names)
    }

    /// All files below `directory`, a path from `root`, with their sizes. A directory that is not there holds none.
    pub(crate) fn files(&self, root: &Path, directory: &Path) -> Result<Vec<(String, u64)>, CheckpointError> {
        let mut found = Vec::new();
        self.walk(root, directory, &mut found).map(|()| found)
    }

    fn walk(&self, root: &Path, directory: &Path, found: &mut Vec<(String, u64)>) -> Result<(), CheckpointError> {
        let path = root.join(directory);
        let entries = match self.call(Call::List, &path, || fs::read_dir(&path)) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(CheckpointError::io(&path, e)),
        };
        for entry in entries {
            let entry = entry.map_err(|e| CheckpointError::io(&path, e))?;
            let (key, metadata) = (directory.join(entry.file_name()), entry.metadata());
            let metadata = metadata.map_err(|e| CheckpointError::io(&entry.path(), e))?;
            if metadata.is_dir() {
                self.walk(root, &key, found)?;
            } else if let Some(key) = key.to_str() {
                found.push((key.to_owned(), metadata.len()));
            }
        }
        Ok(())
    }
}
