//! What is stored of materialized views, so that they are not computed anew.
//!
//! ```text
//! views/<id>/<record>/rows      the rows: an Arrow stream
//! views/<id>/<record>/state/…   the state of the view's job: a savepoint
//! views/<id>/view               "eddyline view 1 <hash of what follows, hex>" | newline | JSON: which of these holds, and up to which record
//! ```
//! A view is written of a moment of its own, between two statements ([`crate::kept`]); that moment is behind those at which its tables were
//! written for the last manifest, or else it is of no use and the view is computed anew. So it needs no manifest: `view` takes the place of the
//! one before by a rename, when what it names is durable and the log is, up to its record. Where nothing has changed, only `view` is written,
//! with a later record. What is damaged or gone costs time and no rows, but for views that hold what was (EMIT ON WINDOW CLOSE).

use super::files::{DataFile, read_data, read_titled, sync_directory, write_data, write_titled};
use super::record::corrupt;
use super::{Durable, io_error, lock};
use crate::error::from_runtime;
use crate::kept::{Contents, Database, ViewPicture};
use eddyline_catalog::Name;
use eddyline_changes::ChangeBatch;
use eddyline_planner::SqlError;
use eddyline_runtime::{SavepointTarget, WrittenPicture};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use tokio::runtime::Handle;

const TITLE: &str = "eddyline view 1 ";
const VIEW: &str = "view";
const ROWS: &str = "rows";
const STATE: &str = "state";

/// What is stored of a view.
#[derive(Debug, Clone)]
pub(crate) struct StoredView {
    /// `views/<id>`.
    directory: PathBuf,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct What {
    id: u64,
    /// It contains the records of the log up to this one.
    covered: u64,
    /// The directory that holds it: when it was written, this was the last record that it contains, or there was one with that number.
    written: u64,
    rows: DataFile,
}

impl StoredView {
    /// Its number.
    pub(crate) fn id(&self) -> u64 {
        self.what.id
    }

    /// It contains the records of the log up to this one.
    pub(crate) fn covered(&self) -> u64 {
        self.what.covered
    }

    /// The state of its job.
    pub(crate) fn state(&self) -> SavepointTarget {
        state_at(&self.written())
    }

    /// Brings its rows.
    ///
    /// # Errors
    /// They are damaged, or rows of another view.
    pub(crate) fn load(&self, contents: &mut Contents) -> Result<(), SqlError> {
        read_data(&self.written().join(ROWS), &self.what.rows, |rows| {
            contents.apply(&ChangeBatch::inserts(contents.own(&rows)?))
        })
    }

    fn written(&self) -> PathBuf {
        self.directory.join(self.what.written.to_string())
    }
}

/// Stores all views, of those that have changed since the last time what has changed. With `beside`, only those that are in one part with this view, and of which nothing is
/// stored yet. `step` is called after everything that a crash could come behind.
///
/// # Errors
/// One cannot be written; the others are.
pub(crate) fn store_views(
    durable: &Durable,
    database: &Database,
    tokio: &Handle,
    beside: Option<&Name>,
    step: &mut dyn FnMut(),
) -> Result<(), SqlError> {
    let _alone = lock(&durable.storing_views);
    let views = views_directory(&durable.settings.directory);
    let last = || durable.next() - 1;
    let stored = database.store_views(beside, &last, &mut |picture| durable.store_view(&views, picture, tokio, step));
    if beside.is_none() {
        sweep(&views, &database.view_ids());
    }
    stored
}

impl Durable {
    fn store_view(
        &self,
        views: &Path,
        picture: ViewPicture,
        tokio: &Handle,
        step: &mut dyn FnMut(),
    ) -> Result<(), SqlError> {
        let ViewPicture { id, name, covered, content, .. } = picture;
        let directory = views.join(id.to_string());
        let before = read_view(&directory)?;
        let gone = || corrupt(format!("{} is gone", directory.join(VIEW).display()));
        let (what, state) = match content {
            Some((_, state)) if before.is_none() && !state.is_whole() => return Err(gone()),
            Some((rows, state)) => {
                // What it goes on stays until it is there.
                let written = before.as_ref().map_or(covered, |before| covered.max(before.what.written + 1));
                let place = directory.join(written.to_string());
                remove(&place)?;
                fs::create_dir_all(&place).map_err(|e| io_error(&place, &e))?;
                let rows = write_data(&place.join(ROWS), &rows)?;
                let before = before.as_ref().map(StoredView::state);
                let state = state.write(before.as_ref(), &state_at(&place), tokio).map_err(|e| from_runtime(&e))?;
                tracing::info!(view = %name, rows = rows.bytes, state = state.made.size_bytes, covered, "view stored");
                for directory in [&place, &directory, views, &self.settings.directory] {
                    sync_directory(directory)?;
                }
                (What { id, covered, written, rows }, Some(state))
            }
            None => (What { covered, ..before.ok_or_else(gone)?.what }, None),
        };
        step();
        // It must not be ahead of the log: its numbers would be given again.
        self.wait(covered)?;
        write_titled(&directory, VIEW, TITLE, &what)?;
        state.into_iter().for_each(WrittenPicture::kept);
        step();
        sweep_written(&directory, what.written);
        Ok(())
    }
}

/// What is stored of views, by their numbers. What is damaged is left out.
pub(super) fn read_views(directory: &Path) -> BTreeMap<u64, StoredView> {
    let mut found = BTreeMap::new();
    for (path, id) in numbered(&views_directory(directory)) {
        match read_view(&path) {
            Ok(view) => found.extend(view.map(|view| (id, view))),
            Err(error) => tracing::warn!(view = id, error = error.message, "what is stored of a view does not read"),
        }
    }
    found
}

/// Deletes what is stored of other views than these.
pub(super) fn sweep_views(directory: &Path, known: &BTreeSet<u64>) {
    sweep(&views_directory(directory), known);
}

fn read_view(directory: &Path) -> Result<Option<StoredView>, SqlError> {
    let what = read_titled(&directory.join(VIEW), TITLE)?;
    Ok(what.map(|what| StoredView { directory: directory.to_owned(), what }))
}

/// Deletes what is stored of other views than these.
fn sweep(views: &Path, known: &BTreeSet<u64>) {
    for (path, number) in numbered(views) {
        if !known.contains(&number) {
            // What stays is tried again.
            let _ = fs::remove_dir_all(path);
        }
    }
}

/// Deletes what was written of a view before, or was not written to its end.
fn sweep_written(directory: &Path, written: u64) {
    for (path, number) in numbered(directory) {
        if number != written {
            // What stays is tried again.
            let _ = fs::remove_dir_all(path);
        }
    }
}

/// Directories whose names are numbers.
fn numbered(directory: &Path) -> Vec<(PathBuf, u64)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let numbered = entries.filter_map(|entry| Some((entry.path(), entry.file_name().to_str()?.parse().ok()?)));
    numbered.collect()
}

fn remove(directory: &Path) -> Result<(), SqlError> {
    match fs::remove_dir_all(directory) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(io_error(directory, &e)),
        _ => Ok(()),
    }
}

fn state_at(written: &Path) -> SavepointTarget {
    SavepointTarget { location: written.join(STATE).display().to_string(), environment: BTreeMap::new() }
}

fn views_directory(directory: &Path) -> PathBuf {
    directory.join("views")
}
