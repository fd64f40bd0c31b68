//! Files in a directory: hidden under `.part-….inprogress`, and renamed when they are committed.
//!
//! Of a job that keeps checkpoints, what is handed over is synced, because it may be committed after a crash, from what the checkpoint
//! says. Behind the number in the name stands `-e` and the epoch with which the file was handed over.

use super::location::external;
use super::medium::{Draft, Medium, Name};
use super::names;
use crate::{Commit, Committer, ConnectorError};
use eddyline_changes::Epoch;
use eddyline_stores::Files;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// A directory that files are written to.
pub(super) struct Directory {
    path: PathBuf,
    files: Files,
    /// Of a job that keeps checkpoints.
    lineage: Option<String>,
    unfinished: Arc<Unfinished>,
}

impl Directory {
    pub(super) fn new(path: &Path, files: &Files, lineage: Option<String>) -> Self {
        let unfinished = Arc::new(Unfinished { files: files.clone(), paths: Mutex::default() });
        Self { path: path.to_owned(), files: files.clone(), lineage, unfinished }
    }
}

impl Medium for Directory {
    fn prepare(&self) -> Result<(), ConnectorError> {
        match self.lineage {
            Some(_) => make_directories(&self.files, &self.path),
            None => self.files.create_directories(&self.path).map_err(|e| at(&self.path, e)),
        }
    }

    fn begin(&self, name: Name) -> Result<Box<dyn Draft>, ConnectorError> {
        let hidden = self.path.join(format!(".{}.inprogress", names::file(&name, None)));
        let file = self.files.create_new(&hidden).map_err(|e| at(&hidden, e))?;
        self.unfinished.lock().insert(hidden.clone());
        let (directory, place) = (self.path.clone(), hidden.display().to_string());
        let (is_durable, unfinished) = (self.lineage.is_some(), self.unfinished.clone());
        Ok(Box::new(LocalDraft { directory, place, hidden, name, file, is_durable, unfinished }))
    }

    fn settle(&self) -> Result<(), ConnectorError> {
        if self.lineage.is_some() { sync_directory(&self.files, &self.path) } else { Ok(()) }
    }

    fn committer(&self) -> Box<dyn Committer> {
        let (directory, files, lineage) = (self.path.clone(), self.files.clone(), self.lineage.clone());
        Box::new(Renamer { directory, files, lineage, unfinished: self.unfinished.clone() })
    }
}

fn at(path: &Path, e: io::Error) -> ConnectorError {
    external(&path.display().to_string(), e)
}

/// Makes a directory and those above it, durably.
fn make_directories(files: &Files, directory: &Path) -> Result<(), ConnectorError> {
    if directory.as_os_str().is_empty() || files.look(directory).is_ok_and(|seen| seen.is_directory) {
        return Ok(());
    }
    let parent = directory.parent().filter(|p| !p.as_os_str().is_empty());
    parent.map_or(Ok(()), |parent| make_directories(files, parent))?;
    match files.create_directory(directory) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(at(directory, e)),
        _ => {}
    }
    sync_directory(files, parent.unwrap_or(Path::new(".")))
}

fn sync_directory(files: &Files, directory: &Path) -> Result<(), ConnectorError> {
    files.open(directory).and_then(|d| d.sync_all()).map_err(|e| at(directory, e))
}

/// Files that would be left over if the job ended now.
struct Unfinished {
    files: Files,
    paths: Mutex<BTreeSet<PathBuf>>,
}

impl Unfinished {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        for path in std::mem::take(&mut *self.lock()) {
            if let Err(e) = self.files.remove(&path) {
                tracing::warn!(path = %path.display(), error = %e, "an unfinished file cannot be removed");
            }
        }
    }
}

struct LocalDraft {
    directory: PathBuf,
    place: String,
    hidden: PathBuf,
    name: Name,
    file: File,
    is_durable: bool,
    unfinished: Arc<Unfinished>,
}

impl Write for LocalDraft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Draft for LocalDraft {
    fn place(&self) -> &str {
        &self.place
    }

    fn poll_room(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectorError>> {
        Poll::Ready(Ok(()))
    }

    fn seal(&mut self) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn secure(self: Box<Self>, epoch: Epoch) -> Result<Commit, ConnectorError> {
        let visible = self.directory.join(names::file(&self.name, self.is_durable.then_some(epoch)));
        if self.is_durable {
            self.file.sync_all().map_err(|e| at(&self.hidden, e))?;
            // From here on it belongs to a checkpoint to come.
            self.unfinished.lock().remove(&self.hidden);
        }
        // Both names, hidden one first, a NUL between them: no path holds one.
        let (hidden, visible) = (self.hidden.as_os_str(), visible.as_os_str());
        Ok(Commit([hidden.as_encoded_bytes(), b"\0", visible.as_encoded_bytes()].concat()))
    }
}

/// Both names of a commit.
fn names_of(commit: &Commit) -> Option<(PathBuf, PathBuf)> {
    let (hidden, visible) = std::str::from_utf8(&commit.0).ok()?.split_once('\0')?;
    Some((hidden.into(), visible.into()))
}

struct Renamer {
    directory: PathBuf,
    files: Files,
    lineage: Option<String>,
    unfinished: Arc<Unfinished>,
}

impl Committer for Renamer {
    fn commit(&mut self, _: Epoch, commits: &[Commit]) -> Result<(), ConnectorError> {
        for commit in commits {
            let Some((hidden, visible)) = names_of(commit) else {
                let message = "is no commit of a filesystem sink".into();
                return Err(ConnectorError::Format { place: "commit".into(), message });
            };
            match self.files.rename(&hidden, &visible) {
                Ok(()) => {}
                // It was renamed before.
                Err(e) if e.kind() == io::ErrorKind::NotFound && self.files.look(&visible).is_ok() => {}
                Err(e) => return Err(at(&hidden, e)),
            }
            self.unfinished.lock().remove(&hidden);
        }
        // The checkpoint that holds these commits may go when this returns.
        if self.lineage.is_some() && !commits.is_empty() {
            sync_directory(&self.files, &self.directory)
        } else {
            Ok(())
        }
    }

    fn clear(&mut self, last: Epoch) -> Result<(), ConnectorError> {
        let Some(lineage) = &self.lineage else { return Ok(()) };
        let entries = match self.files.entries(&self.directory) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(at(&self.directory, e)),
        };
        for entry in entries {
            let path = self.directory.join(entry.name);
            let is_void = |name: &str| match name.strip_prefix('.').and_then(|n| n.strip_suffix(".inprogress")) {
                Some(hidden) => names::is_of(hidden, lineage),
                None => names::is_after(name, lineage, last),
            };
            if path.file_name().and_then(|n| n.to_str()).is_some_and(is_void) {
                self.files.remove(&path).map_err(|e| at(&path, e))?;
            }
        }
        Ok(())
    }
}
