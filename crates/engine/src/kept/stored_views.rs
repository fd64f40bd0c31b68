//! Views as they are stored, and how they go on from that.
//!
//! What is stored of a view is its rows and the state of its job, of one moment: a record of the log says which ([`ViewPicture`]). All views
//! of a part are looked at under its lock, between two statements, when nothing is on its way to any of them. To look takes time by what has
//! changed since the last time; writing goes on when the lock is let go.
//!
//! A view that was stored begins from there, and is then given what the log says of its tables behind that record, in the order of the log
//! ([`Database::replay`]). Where a view of the part waits for a watermark, each record is an epoch, as it was when the statement ran: what is
//! late depends on what came together. Elsewhere the rows are a matter of what the tables hold, and many records are one epoch. What another
//! view brings is given to a view as far as it was brought by a record that the view does not contain yet.
//!
//! Not stored are views that run by themselves, and those that read them: no record of the log says what has come to them.

use super::alteration::Fed;
use super::{
    ChangeBatch, Contents, Database, Feed, IndexedRows, Name, NewView, Part, SqlError, State, View, lock, of_rows,
};
use crate::error::state::CORRUPTED;
use arrow::compute::concat_batches;
use eddyline_runtime::StatePicture;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// What a job reads, and what is given to it.
type FirstFeeds = (BTreeMap<Name, Arc<Feed>>, BTreeMap<Name, Fed>);

/// So many rows are one epoch, at most, where it does not matter which.
const REPLAYED_ROWS: usize = 100_000;

/// A view that begins from what is stored of it.
pub(crate) struct TakenUp<'v> {
    /// Its number.
    pub(crate) id: u64,
    /// It contains the records of the log up to this one.
    pub(crate) covered: u64,
    /// Brings its rows.
    pub(crate) load: &'v dyn Fn(&mut Contents) -> Result<(), SqlError>,
}

/// What is to be stored of a view.
pub(crate) struct ViewPicture {
    /// Its number.
    pub(crate) id: u64,
    pub(crate) name: Name,
    /// It contains the records of the log up to this one.
    pub(crate) covered: u64,
    /// Its rows, and the state of its job; `None`: those of the last time.
    pub(crate) content: Option<(IndexedRows, StatePicture)>,
    /// See [`Progress`].
    epochs: u64,
}

/// How much of a view is stored.
#[derive(Default)]
pub(super) struct Progress {
    /// It is to be stored.
    pub(super) is_stored: bool,
    /// The epochs of its job.
    pub(super) epochs: u64,
    /// As many of them are stored; `None`: it is not.
    pub(super) stored: Option<u64>,
    /// When the process began it contained the records of the log up to this one.
    pub(super) covered: u64,
}

impl Progress {
    /// Of a view that begins.
    pub(super) fn of(from: Option<&TakenUp<'_>>, is_stored: bool) -> Self {
        let covered = from.map_or(0, |from| from.covered);
        Self { is_stored, epochs: 0, stored: from.map(|_| 0), covered }
    }
}

/// Changes of a table, as the log has them.
pub(crate) struct Logged {
    /// The record.
    pub(crate) record: u64,
    /// The number of the table.
    pub(crate) table: u64,
    /// What it changes, as rows of the table as it is now.
    pub(crate) changes: ChangeBatch,
}

impl Database {
    /// The number of a table or view. Waits for nobody.
    pub(crate) fn id_of(&self, name: &Name) -> Option<u64> {
        let part = lock(&self.parts).get(name).cloned();
        part.and_then(|part| part.newest.get().id(name))
    }

    /// The number of a materialized view that is there.
    pub(crate) fn view_id(&self, name: &Name) -> Option<u64> {
        self.with(&[name], |states| -> Result<_, SqlError> {
            let views = states.iter().flat_map(|state| &state.views);
            Ok(views.filter(|view| view.name == *name).map(|view| view.number).next())
        })
        .ok()
        .flatten()
    }

    /// The number of a view, if it is one of those that are stored.
    pub(crate) fn stored_view_id(&self, name: &Name) -> Option<u64> {
        self.with(&[name], |states| -> Result<_, SqlError> {
            let state = states.iter().find(|state| state.storable().contains(name));
            Ok(state.and_then(|state| state.contents.get(name)).map(Contents::id))
        })
        .ok()
        .flatten()
    }

    /// The numbers of all views.
    pub(crate) fn view_ids(&self) -> BTreeSet<u64> {
        let of = |part: &Arc<Part>| part.change().views.iter().map(|view| view.number).collect::<Vec<_>>();
        self.all_parts().iter().flat_map(of).collect()
    }

    /// What is to be stored of the views of each part, one part after the other: each is handed to `each` when nobody has its lock. With
    /// `beside`, only of those that are in one part with this view, and of which nothing is stored yet. `last` tells the last record of the log.
    ///
    /// # Errors
    /// Those of `each`; it is not called then for what the view reads that it has failed for.
    pub(crate) fn store_views(
        &self,
        beside: Option<&Name>,
        last: &dyn Fn() -> u64,
        each: &mut dyn FnMut(ViewPicture) -> Result<(), SqlError>,
    ) -> Result<(), SqlError> {
        let parts = match beside {
            Some(name) => self.parts_of(&[name])?,
            None => self.all_parts(),
        };
        let mut failed = Ok(());
        for part in parts {
            let pictures = part.change().view_pictures(last(), beside.is_some());
            // Those first that read others: what a view lacks is told anew by those that it reads, which must not be ahead of it.
            for picture in pictures.into_iter().rev() {
                let (id, epochs) = (picture.id, picture.epochs);
                match each(picture) {
                    Ok(()) => part.change().note_stored(id, epochs),
                    // What is stored of it is damaged, and what has changed since is not all of it.
                    Err(error) if error.sqlstate == CORRUPTED => part.change().give_up(id, &error),
                    Err(error) => {
                        failed = failed.and(Err(error));
                        break;
                    }
                }
            }
        }
        failed
    }

    /// Gives views what the log says of the tables that they read, in its order.
    pub(crate) fn replay(&self, logged: &[Logged]) {
        for part in self.all_parts() {
            let mut state = part.change();
            if state.views.iter().any(|view| view.progress.stored.is_some()) {
                state.replay(logged);
            }
        }
    }
}

impl State {
    /// The views that are stored: all that comes to them is in the log.
    fn storable(&self) -> BTreeSet<Name> {
        let mut found = BTreeSet::new();
        for view in &self.views {
            let is_logged =
                |table: &Name| match self.views.iter().any(|view| view.into.is_none() && view.name == *table) {
                    true => found.contains(table),
                    false => self.contents.get(table).is_some_and(|contents| contents.log().is_some()),
                };
            if view.progress.is_stored && !view.feeds.is_empty() && view.feeds.keys().all(is_logged) {
                found.insert(view.name.clone());
            }
        }
        found
    }

    /// What a view is given first, as its job and as it finds it: all rows of what it reads, unless it has them already.
    pub(super) fn first_feeds(&self, view: &NewView<'_>) -> Result<FirstFeeds, SqlError> {
        let (mut given, mut feeds) = (BTreeMap::new(), BTreeMap::new());
        for table in view.tables {
            let (feed, time) = (Arc::new(Feed::default()), view.times.get(*table).copied());
            let fed = Fed::new(feed.clone(), time);
            let rows = self.rows(table)?;
            match time {
                _ if view.from.is_some() => {}
                // All of them come together.
                Some(_) => {
                    let all = rows.batches().collect::<Result<Vec<_>, _>>();
                    let all =
                        all.and_then(|all| concat_batches(rows.schema(), &all)).map_err(|e| of_rows(table, &e))?;
                    fed.push(&ChangeBatch::inserts(all))?;
                }
                None => {
                    for rows in rows.batches() {
                        fed.push(&ChangeBatch::inserts(rows.map_err(|e| of_rows(table, &e))?))?;
                    }
                }
            }
            given.insert((*table).clone(), feed);
            feeds.insert((*table).clone(), fed);
        }
        Ok((given, feeds))
    }

    fn view_pictures(&mut self, covered: u64, only_new: bool) -> Vec<ViewPicture> {
        let storable = self.storable();
        let mut pictures = Vec::new();
        for at in 0..self.views.len() {
            let view = &self.views[at];
            let is_asked = !only_new || view.progress.stored.is_none();
            if !is_asked || view.failed.is_some() || view.job.is_none() || !storable.contains(&view.name) {
                continue;
            }
            match self.view_picture(at, covered) {
                Ok(picture) => pictures.push(picture),
                Err(error) => {
                    let view = &self.views[at].name;
                    tracing::warn!(%view, error = error.message, "a materialized view cannot be stored");
                }
            }
        }
        pictures
    }

    fn view_picture(&mut self, at: usize, covered: u64) -> Result<ViewPicture, SqlError> {
        let view = &mut self.views[at];
        let (id, name, epochs) = (view.number, view.name.clone(), view.progress.epochs);
        let content = match (&view.job, view.progress.stored == Some(epochs)) {
            (Some(job), false) => {
                let state = job.picture()?;
                // It was asked for an epoch by every statement that has fed it.
                if view.take(Duration::ZERO)?.iter().any(|changes| !changes.is_empty()) {
                    return Err(SqlError::new(
                        SqlError::INTERNAL,
                        format!("view {name} has changed without a statement"),
                    ));
                }
                Some((self.table(&name)?.rows(), state))
            }
            _ => None,
        };
        Ok(ViewPicture { id, name, covered, content, epochs })
    }

    fn note_stored(&mut self, id: u64, epochs: u64) {
        if let Some(view) = self.views.iter_mut().find(|view| view.number == id) {
            view.progress.stored = Some(epochs);
        }
    }

    /// A view is stored no more: at the next start it is computed anew.
    fn give_up(&mut self, id: u64, error: &SqlError) {
        if let Some(view) = self.views.iter_mut().find(|view| view.number == id) {
            let (name, error) = (&view.name, &error.message);
            tracing::error!(view = %name, error, "what is stored of a view is damaged: at the next start it is computed anew");
            view.progress.is_stored = false;
        }
    }

    fn replay(&mut self, logged: &[Logged]) {
        let names: BTreeMap<u64, Name> =
            self.contents.iter().map(|(name, contents)| (contents.id(), name.clone())).collect();
        let waits = self.views.iter().any(|view| view.feeds.values().any(|fed| fed.waits()));
        let covered: BTreeSet<u64> = self.views.iter().map(|view| view.progress.covered).collect();
        let mut rows = 0;
        for logged in logged {
            let Some(name) = names.get(&logged.table) else { continue };
            let last = self.replayed.unwrap_or_default();
            // Views that contain one of these records and not the other must not be given both at once.
            let is_between = covered.range(last..logged.record).next().is_some();
            if last != logged.record && (waits || is_between || rows > REPLAYED_ROWS) {
                self.bring_up_to_date();
                rows = 0;
            }
            self.replayed = Some(logged.record);
            rows += logged.changes.num_rows();
            let fed = feed(&mut self.views, self.replayed, name, &logged.changes);
            if let Err(error) = fed {
                tracing::warn!(table = %name, error = error.message, "changes of a table cannot be given to its views");
            }
        }
        self.bring_up_to_date();
        self.replayed = None;
    }
}

/// Gives changes of a table or view to the views that read it: what is read of the log, to those that do not contain it.
pub(super) fn feed(
    views: &mut [View],
    replayed: Option<u64>,
    name: &Name,
    changes: &ChangeBatch,
) -> Result<(), SqlError> {
    let is_new = |view: &&mut View| replayed.is_none_or(|record| record > view.progress.covered);
    for view in views.iter_mut().filter(is_new) {
        if let Some(fed) = view.feeds.get(name) {
            fed.push(changes)?;
            view.is_fed = true;
        }
    }
    Ok(())
}
