//! Directories and files that are watched: which files are new, which have grown, which need no longer be followed.
//!
//! Each file is followed from the time it is seen, so that a line appended to it is read at once. A split per file
//! that never ended would hold the watermark back for ever, so only the newest file is followed for good; another
//! one's split ends when the file has been quiet for a while. Should it grow after all, the new end of it becomes a
//! split of its own when the files are listed the next time.

use super::location::Found;
use crate::Split;
use std::collections::{BTreeMap, BTreeSet};
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
    listed: BTreeSet<String>,
    files: BTreeMap<String, Piece>,
}

/// The last piece of a file: where it begins and, if it was left, where it ended.
struct Piece {
    start: u64,
    end: Option<u64>,
}

impl Watch {
    pub(super) fn new(quiet: Duration) -> Self {
        Self { quiet, state: Mutex::default() }
    }

    /// The splits that are to be read, now that `files` are there. `grows` tells of a path whether it is followed.
    pub(super) fn splits(&self, files: &[Found], grows: impl Fn(&str) -> bool) -> Vec<Split> {
        let mut state = self.lock();
        let newest = files.iter().max_by_key(|f| (f.modified_ms, &f.path));
        state.newest = newest.map(|f| f.path.clone());
        state.listed = files.iter().map(|f| f.path.clone()).collect();
        let State { files: pieces, listed, .. } = &mut *state;
        pieces.retain(|path, piece| listed.contains(path) || piece.end.is_none());
        let mut splits = Vec::new();
        for file in files {
            let piece = pieces.entry(file.path.clone()).or_insert(Piece { start: 0, end: None });
            match piece.end {
                Some(end) if end < file.size_bytes && grows(&file.path) => *piece = Piece { start: end, end: None },
                _ => {}
            }
            if piece.end.is_none() {
                splits.push(super::source::split(&file.path, piece.start..u64::MAX));
            }
        }
        splits
    }

    /// True when `path`, which did not grow for `quiet`, need not be followed further.
    pub(super) fn may_leave(&self, path: &str, quiet: Duration) -> bool {
        let state = self.lock();
        let waited_for =
            state.newest.as_deref() == Some(path) || !state.listed.contains(path) && state.newest.is_none();
        !waited_for && quiet >= self.quiet
    }

    /// A reader has left `path` at `end`.
    pub(super) fn left(&self, path: &str, end: u64) {
        if let Some(piece) = self.lock().files.get_mut(path) {
            piece.end = Some(end);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
