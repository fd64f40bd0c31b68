//! Directories and files that are watched: which files are new, which have grown, which need no longer be followed.
//!
//! Each file is followed from the time it is seen, so that a line appended to it is read at once. A split per file
//! that never ended would hold the watermark back for ever, so only the newest file is followed for good; another
//! one's split ends when the file has been quiet for a while. Should it grow after all, the new end of it becomes a
//! split of its own when the files are listed the next time. A path that means another file by then (a log was
//! rotated) is read from the start.

use super::location::{Found, external};
use crate::{ConnectorError, Split};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is known of the watched files; shared by the source and its readers.
pub(super) struct Watch {
    /// How long a file that is not the newest must not have grown, to be left.
    quiet: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    newest: Option<String>,
    files: BTreeMap<String, Piece>,
}

/// The last piece of what a path means: where it begins and, if it was left, where it ended.
struct Piece {
    start: u64,
    end: Option<u64>,
    inode: u64,
    /// How many other files the path meant before.
    files_before: u64,
}

impl Piece {
    fn split(&self, path: &str) -> Split {
        let mut split = super::source::split(path, self.start..u64::MAX);
        if self.files_before > 0 {
            split.id = format!("{}.{}", split.id, self.files_before);
        }
        split
    }
}

/// The error of a watched file that has become shorter.
pub(super) fn shrank(path: &str, from: u64, to: u64) -> ConnectorError {
    external(path, io::Error::other(format!("shrank from {from} to {to} bytes while it was watched")))
}

impl Watch {
    pub(super) fn new(quiet: Duration) -> Self {
        Self { quiet, state: Mutex::default() }
    }

    /// The splits that are to be read, now that `files` are there. `grows` tells of a path whether it is followed.
    ///
    /// # Errors
    /// A file that was left is shorter now: what it holds is not what would have been read on.
    pub(super) fn splits(&self, files: &[Found], grows: impl Fn(&str) -> bool) -> Result<Vec<Split>, ConnectorError> {
        let mut state = self.lock();
        state.newest = files.iter().max_by_key(|f| (f.modified_ms, &f.path)).map(|f| f.path.clone());
        let mut splits = Vec::new();
        for file in files {
            let Found { path, inode, size_bytes, .. } = file;
            let first = Piece { start: 0, end: None, inode: *inode, files_before: 0 };
            let piece = state.files.entry(path.clone()).or_insert(first);
            if piece.inode != *inode {
                *piece = Piece { start: 0, end: None, inode: *inode, files_before: piece.files_before + 1 };
            }
            match piece.end.filter(|_| grows(path)) {
                Some(end) if *size_bytes < end => return Err(shrank(path, end, *size_bytes)),
                Some(end) if *size_bytes > end => (piece.start, piece.end) = (end, None),
                _ => {}
            }
            if piece.end.is_none() {
                splits.push(piece.split(path));
            }
        }
        Ok(splits)
    }

    /// True when `split` of `path`, which did not grow for `quiet`, need not be followed further.
    pub(super) fn may_leave(&self, path: &str, split: &str, quiet: Duration) -> bool {
        let state = self.lock();
        let replaced = state.files.get(path).is_none_or(|piece| piece.split(path).id != split);
        replaced || (quiet >= self.quiet && state.newest.as_deref() != Some(path))
    }

    /// A reader has left `split` of `path` at `end`.
    pub(super) fn left(&self, path: &str, split: &str, end: u64) {
        if let Some(piece) = self.lock().files.get_mut(path).filter(|piece| piece.split(path).id == split) {
            piece.end = Some(end);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
