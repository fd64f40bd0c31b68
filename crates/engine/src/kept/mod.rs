//! Tables that the engine keeps, and views that it keeps up to date.
//!
//! ```text
//! INSERT, UPDATE, DELETE ──changes──▶ table ──feed──▶ job of a view ──changes──▶ view ──feed──▶ job of a view on it …
//!                                       └──snapshot──▶ SELECT
//! ```
//! A statement changes a table; then every view that reads it is brought up to date, in the order in which views were made, which
//! is one of dependence: its job is fed the changes, is asked for an epoch, and its answer changes by what came of it. A
//! statement returns when all views contain it, and readers see what it has done then, all at once ([`picture`]); so whoever reads several
//! views reads them of one moment (I1), and waits for nobody who changes them.
//!
//! A view that reads tables with connectors runs by itself: what its epochs bring is taken in whenever somebody looks, and every
//! [`LOOK`] otherwise.
//!
//! Tables that no view connects lie in [`Part`]s of their own: what is done with one does not wait for what is done with another.
//!
//! Where the instance stores what it has ([`crate::durable`]), the record of a change is put into the log under the lock of its part; the
//! statement waits for the disk when it has let go of that, and so does who reads rows that wait. So nobody is told of rows that a
//! crash takes back.
//!
//! Not here: what a statement means ([`crate::Session`]).

mod alteration;
mod connector;
mod contents;
mod failed;
mod follow;
mod indexes;
mod ordered;
mod picture;
mod places;
mod sinks;
mod stored_views;

use crate::durable::{Durable, SinkNews, changes_record};
use crate::job::{JobEvent, RunningJob};
use crate::lock::lock;
use crate::reservation::Canceller;
use alteration::Fed;
pub(crate) use alteration::{Alteration, Origin};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
pub(crate) use connector::{Feed, KEPT, KeptConnector, Reads, Registration, name_of, options};
pub(crate) use contents::{Contents, InLog, Met};
use eddyline_catalog::{Name, Table};
use eddyline_changes::ChangeBatch;
use eddyline_plan::SourceSpec;
use eddyline_planner::SqlError;
use eddyline_planner::statement::Conflict;
pub(crate) use failed::FailedView;
use follow::Followers;
pub use follow::Subscription;
pub(crate) use follow::TOO_SLOW;
pub(crate) use follow::schema_of as subscription_schema;
pub(crate) use ordered::{IndexedRows, Order, Unique};
use picture::{Changing, Newest, Picture};
pub(crate) use picture::{Moment, SinkState};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;
pub(crate) use stored_views::{Logged, TakenUp, ViewPicture};
use stored_views::{Progress, feed};

/// SQLSTATE of a statement that can be repeated: another session was in its way.
const SERIALIZATION: &str = "40001";
/// SQLSTATE of what is not any more what it was.
const GONE: &str = "55000";
/// How often views that run by themselves are looked at when nobody asks.
const LOOK: Duration = Duration::from_millis(50);
/// How often it is asked whether a job that is to take changes has failed.
const PATIENCE: Duration = Duration::from_millis(50);

/// The tables and views of an instance, in parts that have nothing to do with each other.
#[derive(Default)]
pub(crate) struct Database {
    /// Where each table and view is.
    parts: Mutex<BTreeMap<Name, Arc<Part>>>,
    /// How many parts and views were made.
    made: AtomicU64,
    is_watched: AtomicBool,
    /// Where changes are stored, if they are.
    durable: OnceLock<Arc<Durable>>,
}

/// What a snapshot is to hold of a table.
pub(crate) struct Stored {
    /// These are the rows up to this record of the log.
    pub(crate) covered: u64,
    /// Its first rows are to come.
    pub(crate) is_filling: bool,
    /// All rows; `None`: those of the last time.
    pub(crate) rows: Option<IndexedRows>,
}

/// The last record of what a statement has stored, to be [waited for](Database::wait_for) when it holds no lock.
#[must_use]
pub(crate) struct Unsettled(u64);

/// Tables, and views over them alone. A view over tables of two parts makes one of them.
struct Part {
    /// Who locks several parts locks them in the order of their numbers.
    number: u64,
    state: Mutex<State>,
    /// What readers see.
    newest: Newest,
}

#[derive(Default)]
struct State {
    contents: BTreeMap<Name, Contents>,
    /// The last record of the log that has changed a table here; 0 is none.
    last_record: u64,
    /// In the order in which they were made: a view reads only what was there before it, or what a sink writes.
    views: Vec<View>,
    /// Sinks that have failed since the log was told.
    failed_sinks: Vec<SinkNews>,
    followers: Followers,
    /// While the log is read: the record that views are being given.
    replayed: Option<u64>,
}

/// A view that is to be added.
pub(crate) struct NewView<'v> {
    /// Its name.
    pub(crate) name: &'v Name,
    /// The tables and views here that it reads.
    pub(crate) tables: &'v [&'v Name],
    /// The column by which rows of a table that come together are given to its job, where that waits for their watermark.
    pub(crate) times: &'v BTreeMap<Name, usize>,
    /// It is a sink, whose answer goes into a table.
    pub(crate) into: Option<IntoTable<'v>>,
    /// Ends the statement that makes it, and what is there of it.
    pub(crate) canceller: &'v Canceller,
    /// It is a materialized view, to be stored where anything is.
    pub(crate) is_stored: bool,
    /// It begins from what is stored of it.
    pub(crate) from: Option<&'v TakenUp<'v>>,
}

/// Where the answer of a sink goes.
#[derive(Clone, Copy)]
pub(crate) struct IntoTable<'v> {
    /// The table.
    pub(crate) table: &'v Name,
    /// The table has the answer as it is now already.
    pub(crate) is_filled: bool,
}

/// A view and the job that keeps it up to date.
struct View {
    name: Name,
    /// It is a sink: what changes in its answer is written into this table, and kept nowhere else.
    into: Option<Name>,
    /// Counts views as they are made.
    number: u64,
    /// What is to be fed to its job: by table. Empty for a view that runs by itself.
    feeds: BTreeMap<Name, Fed>,
    /// It was fed what it has not been asked for yet.
    is_fed: bool,
    /// `None`: its input was at its end.
    job: Option<RunningJob>,
    /// In milliseconds since 1970-01-01T00:00:00Z.
    started_ms: i64,
    failed: Option<SqlError>,
    progress: Progress,
}

impl Database {
    /// Adds an empty table. Where changes are stored, those of tables that are not temporary are; `is_filling`: without its first rows
    /// it is not to be there after a crash.
    ///
    /// # Errors
    /// A column whose values cannot be compared.
    pub(crate) fn create(&self, table: &Table, is_filling: bool) -> Result<(), SqlError> {
        let id = self.made.fetch_add(1, Ordering::Relaxed);
        let mut contents = Contents::of_table(id, table)?;
        if !table.temporary {
            contents.set_log(InLog { is_filling, last: 0 });
        }
        self.install(&table.name, contents);
        Ok(())
    }

    /// Adds a table with its rows.
    pub(crate) fn install(&self, name: &Name, contents: Contents) {
        let last_record = contents.log().map_or(0, |log| log.last);
        let contents = BTreeMap::from([(name.clone(), contents)]);
        let part = self.part(State { contents, last_record, ..State::default() });
        lock(&self.parts).insert(name.clone(), part);
    }

    /// From now on changes are stored; no table has had the number `next_id`, nor a higher one.
    pub(crate) fn store_in(&self, durable: Arc<Durable>) {
        let _ = self.durable.set(durable);
    }

    /// A number that no table has had.
    pub(crate) fn next_id(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    /// Numbers below this are taken.
    pub(crate) fn begin_at(&self, next_id: u64) {
        self.made.fetch_max(next_id, Ordering::Relaxed);
    }

    /// The number under which the rows of a table are stored, and whether its first ones are to come.
    pub(crate) fn stored_as(&self, name: &Name) -> Option<(u64, bool)> {
        let found = self.with(&[name], |states| -> Result<_, SqlError> {
            let table = part_of(states, name)?.table(name)?;
            Ok(table.log().map(|log| (table.id(), log.is_filling)))
        });
        found.ok().flatten()
    }

    /// The columns that tell the rows of a view apart at any moment; none where only all of them do, or where it has failed.
    pub(crate) fn key_of_view(&self, name: &Name) -> Vec<usize> {
        let found = self.with(&[name], |states| -> Result<_, SqlError> {
            let view = part_of(states, name)?.views.iter().find(|view| view.name == *name);
            Ok(view.and_then(|view| view.job.as_ref()?.key()).unwrap_or_default().to_vec())
        });
        found.unwrap_or_default()
    }

    /// What a snapshot is to hold of a table, unless it is gone. `written` is the record up to which it was written the last time,
    /// `last` tells the last record that there is.
    pub(crate) fn stored(
        &self,
        name: &Name,
        id: u64,
        written: Option<u64>,
        last: impl FnOnce() -> u64,
    ) -> Option<Stored> {
        let found = self.with(&[name], |states| -> Result<_, SqlError> {
            let table = part_of(states, name)?.contents.get_mut(name).filter(|table| table.id() == id);
            let Some((table, log)) = table.and_then(|table| table.log().map(|log| (table, log))) else {
                return Ok(None);
            };
            // What changes this table puts its record into the log under this lock.
            let covered = last();
            let is_written = written.is_some_and(|written| log.last <= written);
            let rows = (!is_written).then(|| table.rows());
            Ok(Some(Stored { covered, is_filling: log.is_filling, rows }))
        });
        found.ok().flatten()
    }

    /// Waits until what a statement has stored is durable.
    ///
    /// # Errors
    /// It could not be written.
    pub(crate) fn wait_for(&self, changed: &Unsettled) -> Result<(), SqlError> {
        match self.durable.get() {
            Some(durable) if changed.0 > 0 => durable.wait(changed.0),
            _ => Ok(()),
        }
    }

    /// All rows of these tables, of one moment.
    ///
    /// # Errors
    /// A view that has failed; a table that is gone.
    pub(crate) fn snapshots(&self, tables: &[&Name]) -> Result<BTreeMap<Name, IndexedRows>, SqlError> {
        let pictures = self.pictures(tables)?;
        self.settled(pictures.values())?;
        Moment { parts: pictures }.rows(tables)
    }

    /// All tables and views, of one moment.
    ///
    /// # Errors
    /// What is to be stored could not be.
    pub(crate) fn moment(&self) -> Result<Moment, SqlError> {
        loop {
            let names: Vec<Name> = lock(&self.parts).keys().cloned().collect();
            let names: Vec<&Name> = names.iter().collect();
            // One of them may have gone meanwhile.
            if let Ok(parts) = self.pictures(&names) {
                self.settled(parts.values())?;
                return Ok(Moment { parts });
            }
        }
    }

    /// Waits until nothing of these can be taken back by a crash.
    fn settled<'p>(&self, pictures: impl Iterator<Item = &'p Arc<Picture>>) -> Result<(), SqlError> {
        self.wait_for(&Unsettled(pictures.map(|picture| picture.last_record).max().unwrap_or_default()))
    }

    /// What is seen of these tables at one moment, by table.
    ///
    /// # Errors
    /// A table that is gone.
    fn pictures(&self, tables: &[&Name]) -> Result<BTreeMap<Name, Arc<Picture>>, SqlError> {
        let mut before: Option<Vec<Arc<Picture>>> = None;
        loop {
            let parts = self.parts_of(tables)?;
            if before.is_none() {
                let stale = parts.iter().filter(|part| part.newest.get().runs_by_itself);
                // Who changes a part takes in what there is.
                stale.filter_map(|part| part.try_change()).for_each(|mut state| state.look());
            }
            let now: Vec<Arc<Picture>> = parts.iter().map(|part| part.newest.get()).collect();
            // Where none was changed while all were looked at, they are of one moment.
            let is_one = now.len() < 2
                || before.is_some_and(|before| {
                    before.len() == now.len() && before.iter().zip(&now).all(|(a, b)| Arc::ptr_eq(a, b))
                });
            let of = |name: &&Name| Some(((*name).clone(), now.iter().find(|picture| picture.has(name))?.clone()));
            // A view may have joined parts before they were looked at.
            if let (true, Some(found)) = (is_one, tables.iter().map(of).collect()) {
                return Ok(found);
            }
            before = Some(now);
        }
    }

    /// What changes in a table or view from now on; with `snapshot`, its rows come first.
    ///
    /// # Errors
    /// A view that has failed; the table is gone.
    pub(crate) fn follow(&self, name: &Name, snapshot: bool) -> Result<Subscription, SqlError> {
        let mut last = Unsettled(0);
        let subscription = self.with(&[name], |states| -> Result<_, SqlError> {
            let state = part_of(states, name)?;
            state.look();
            last.0 = state.last_record;
            // One that has failed says so.
            let rows = state.rows(name)?;
            let queue = state.followers.add(name);
            Ok(Subscription::new(queue, &rows, snapshot, self.durable.get().cloned()))
        })?;
        self.wait_for(&last)?;
        Ok(subscription)
    }

    /// Adds a view and computes it for the first time. `start` begins its job, which reads these tables through the feeds that it is
    /// given: all rows of one moment, and what changes from then on; it returns the job and the columns of its answer. Returns the number of
    /// the view.
    ///
    /// # Errors
    /// One of the tables is a view that has failed; what `start` says; the job fails.
    pub(crate) fn add_view(
        self: &Arc<Self>,
        view: &NewView<'_>,
        start: impl FnOnce(&BTreeMap<Name, Arc<Feed>>) -> Result<(RunningJob, SchemaRef), crate::ScriptError>,
    ) -> Result<u64, crate::ScriptError> {
        let &NewView { name, tables, into, from, .. } = view;
        let number = from.map_or_else(|| self.made.fetch_add(1, Ordering::Relaxed), |from| from.id);
        let durable = self.durable.get().map(Arc::as_ref);
        let connected: Vec<&Name> = tables.iter().copied().chain(into.map(|into| into.table)).collect();
        if !connected.is_empty() {
            self.join(&connected)?;
            let stored = self.with(&connected, |states| match states {
                // Who makes a view over a table has its name to itself: nobody has parted them again.
                [state] => state.add_view(view, number, start, durable),
                _ => Err(replaced(name).into()),
            })?;
            self.settle(name, connected.first());
            self.wait_for(&stored)?;
            return Ok(number);
        }
        let part = self.part(State::default());
        part.change().add_view(view, number, start, durable).map(drop)?;
        let is_endless = part.newest.get().runs_by_itself;
        lock(&self.parts).insert(name.clone(), part);
        if is_endless && !self.is_watched.swap(true, Ordering::Relaxed) {
            watch(Arc::downgrade(self)).map_err(crate::ScriptError::Job)?;
        }
        Ok(number)
    }

    /// Forgets a table or view, which nobody reads.
    pub(crate) fn remove(&self, name: &Name) {
        // What is not there needs not to be forgotten.
        let _ = self.with(&[name], |states| -> Result<(), SqlError> {
            states.iter_mut().for_each(|state| state.forget(name));
            Ok(())
        });
        lock(&self.parts).remove(name);
    }

    /// The rows of a table as they are to be when its columns change, with these indexes. Nobody changes them meanwhile.
    ///
    /// # Errors
    /// A NULL in a column that has none.
    pub(crate) fn altered(
        &self,
        table: &Table,
        alteration: &Alteration,
        orders: &[Order],
    ) -> Result<Contents, SqlError> {
        let name = &table.name;
        self.with(&[name], |states| {
            let contents = part_of(states, name)?.contents.get_mut(name).ok_or_else(|| replaced(name))?;
            contents.altered(table, alteration)?.in_orders(orders)
        })
    }

    /// Puts these rows in the place of those of a table; that it changes is this record of the log, 0 for none.
    pub(crate) fn alter(&self, name: &Name, mut altered: Contents, alteration: &Alteration, record: u64) {
        let _ = self.with(&[name], |states| -> Result<(), SqlError> {
            let state = part_of(states, name)?;
            if let Some(log) = altered.log() {
                altered.set_log(InLog { last: log.last.max(record), ..log });
                state.last_record = state.last_record.max(record);
            }
            state.alter(name, altered, alteration);
            Ok(())
        });
    }

    /// The table of this definition, to be changed: what is changed later is this one, or nothing.
    ///
    /// # Errors
    /// It is gone, or has other columns.
    pub(crate) fn target(&self, name: &Name, schema: &SchemaRef) -> Result<Target, SqlError> {
        self.with(&[name], |states| {
            let table = part_of(states, name)?.table(name)?;
            match table.schema() == schema {
                true => Ok(Target { name: name.clone(), id: table.id() }),
                false => Err(replaced(name)),
            }
        })
    }

    /// Inserts rows, in their order.
    ///
    /// # Errors
    /// A key that is there already, where `conflict` says that this is one; the table was replaced.
    pub(crate) fn insert(
        &self,
        target: &Target,
        rows: &RecordBatch,
        conflict: Option<Conflict>,
    ) -> Result<Unsettled, SqlError> {
        self.change(target, |table| table.inserted(&table.own(rows)?, conflict))
    }

    /// The rows that inserting these would bring into the table, in their order: of several under one key the last one.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub(crate) fn taken(
        &self,
        target: &Target,
        rows: &RecordBatch,
        conflict: Option<Conflict>,
    ) -> Result<RecordBatch, SqlError> {
        self.with(&[&target.name], |states| {
            let table = part_of(states, &target.name)?.table(&target.name)?;
            table.taken(&table.own(rows)?, conflict)
        })
    }

    /// Which of these rows have keys that are there, and which have not; `by`: the values of a unique index take the place of the key.
    ///
    /// # Errors
    /// Two of them have one key; the table was replaced.
    pub(crate) fn met(&self, target: &Target, rows: &RecordBatch, by: Option<&Order>) -> Result<Met, SqlError> {
        self.with(&[&target.name], |states| {
            let table = part_of(states, &target.name)?.table(&target.name)?;
            table.met(&table.own(rows)?, by)
        })
    }

    /// Puts rows in the place of rows that were read from it a moment ago; `after` may be empty.
    ///
    /// # Errors
    /// Two rows would have one key; the table was replaced.
    pub(crate) fn replace(
        &self,
        target: &Target,
        before: &RecordBatch,
        after: &RecordBatch,
    ) -> Result<Unsettled, SqlError> {
        self.change(target, |table| table.replaced(&table.own(before)?, &table.own(after)?))
    }

    fn change(
        &self,
        target: &Target,
        changes: impl FnOnce(&Contents) -> Result<ChangeBatch, SqlError>,
    ) -> Result<Unsettled, SqlError> {
        let name = &target.name;
        self.with(&[name], |states| {
            let state = part_of(states, name)?;
            let table = state.table(name)?;
            if table.id() != target.id {
                return Err(replaced(name));
            }
            let changes = changes(table)?;
            table.check_unique(&changes)?;
            state.publish(name, changes, self.durable.get().map(Arc::as_ref))
        })
    }

    fn part(&self, state: State) -> Arc<Part> {
        let newest = Newest::of(&state);
        Arc::new(Part { number: self.made.fetch_add(1, Ordering::Relaxed), state: Mutex::new(state), newest })
    }

    /// The parts that hold these tables, each once, in the order in which they are locked.
    fn parts_of(&self, tables: &[&Name]) -> Result<Vec<Arc<Part>>, SqlError> {
        let parts = lock(&self.parts);
        let of = |name: &&Name| parts.get(*name).map(|part| (part.number, part.clone())).ok_or_else(|| replaced(name));
        let found: BTreeMap<u64, Arc<Part>> = tables.iter().map(of).collect::<Result<_, _>>()?;
        Ok(found.into_values().collect())
    }

    /// Does something with the parts that hold these tables, of one moment.
    ///
    /// # Errors
    /// A table that is gone; those of `act`.
    fn with<T, E: From<SqlError>>(
        &self,
        tables: &[&Name],
        act: impl FnOnce(&mut [Changing<'_>]) -> Result<T, E>,
    ) -> Result<T, E> {
        self.with_parts(tables, |_, states| act(states))
    }

    /// As [`with`](Self::with); `act` is told which parts these are.
    fn with_parts<T, E: From<SqlError>>(
        &self,
        tables: &[&Name],
        act: impl FnOnce(&[Arc<Part>], &mut [Changing<'_>]) -> Result<T, E>,
    ) -> Result<T, E> {
        loop {
            let parts = self.parts_of(tables)?;
            let mut states: Vec<Changing<'_>> = parts.iter().map(|part| part.change()).collect();
            // A view may have joined parts before they were locked.
            let is_there = |name: &&Name| states.iter().any(|state| state.contents.contains_key(*name));
            if tables.iter().all(is_there) {
                return act(&parts, &mut states);
            }
        }
    }

    /// Makes one part of those that hold these tables.
    ///
    /// # Errors
    /// A table that is gone.
    fn join(&self, tables: &[&Name]) -> Result<(), SqlError> {
        self.with_parts(tables, |parts, states| {
            let (Some(first), Some((into, rest))) = (parts.first(), states.split_first_mut()) else { return Ok(()) };
            let mut places = lock(&self.parts);
            for from in rest {
                places.extend(from.contents.keys().map(|name| (name.clone(), first.clone())));
                into.contents.append(&mut from.contents);
                into.last_record = into.last_record.max(from.last_record);
                into.views.append(&mut from.views);
                into.followers.join(&mut from.followers);
                into.failed_sinks.append(&mut from.failed_sinks);
            }
            into.views.sort_by_key(|view| view.number);
            Ok(())
        })
    }

    /// A view is where one of its tables is.
    fn settle(&self, name: &Name, table: Option<&&Name>) {
        let mut parts = lock(&self.parts);
        if let Some(part) = table.and_then(|table| parts.get(*table)).cloned() {
            parts.insert(name.clone(), part);
        }
    }

    fn all_parts(&self) -> Vec<Arc<Part>> {
        let found: BTreeMap<u64, Arc<Part>> = lock(&self.parts).values().map(|p| (p.number, p.clone())).collect();
        found.into_values().collect()
    }
}

/// The part among these that holds a table.
fn part_of<'s>(states: &'s mut [Changing<'_>], name: &Name) -> Result<&'s mut State, SqlError> {
    let found = states.iter_mut().find(|state| state.contents.contains_key(name));
    found.map(|state| &mut **state).ok_or_else(|| replaced(name))
}

impl State {
    fn add_view(
        &mut self,
        view: &NewView<'_>,
        number: u64,
        start: impl FnOnce(&BTreeMap<Name, Arc<Feed>>) -> Result<(RunningJob, SchemaRef), crate::ScriptError>,
        durable: Option<&Durable>,
    ) -> Result<Unsettled, crate::ScriptError> {
        let &NewView { name, into, canceller, is_stored, from, .. } = view;
        self.take_in();
        let (given, feeds) = self.first_feeds(view)?;
        let (job, schema) = start(&given)?;
        let key = job.key().unwrap_or_default();
        let mut contents = Contents::of_view(number, schema, key)?;
        from.map_or(Ok(()), |from| (from.load)(&mut contents))?;
        self.contents.insert(name.clone(), contents);
        let (by_itself, is_bounded) = (feeds.is_empty(), job.facts().bounded);
        let (is_fed, started_ms, job, failed) = (from.is_none(), job.started_ms(), Some(job), None);
        let (target, progress) = (into.map(|into| into.table.clone()), Progress::of(from, is_stored));
        let name_of = name.clone();
        self.views.push(View { name: name_of, into: target, number, feeds, is_fed, job, started_ms, failed, progress });
        if from.is_some() {
            return Ok(Unsettled(0));
        }
        let at = self.views.len() - 1;
        let begun = match by_itself {
            false => self.step(at, Some(canceller)),
            // What ends is worth waiting for: then the view is complete when the statement returns.
            true if is_bounded => self.take_rest(at, canceller),
            true => Ok(Vec::new()),
        };
        let filled = begun.and_then(|changes| match into {
            None => self.apply(name, &changes).map(|()| Unsettled(0)),
            Some(IntoTable { is_filled: true, .. }) => Ok(Unsettled(0)),
            Some(IntoTable { table, .. }) => self.fill(name, table, &changes, durable),
        });
        filled.map_err(|error| {
            self.forget(name);
            crate::ScriptError::Job(error)
        })
    }

    fn table(&self, name: &Name) -> Result<&Contents, SqlError> {
        self.contents.get(name).ok_or_else(|| replaced(name))
    }

    /// All rows of a table or view.
    fn rows(&self, name: &Name) -> Result<IndexedRows, SqlError> {
        match self.views.iter().find(|view| view.name == *name).and_then(|view| view.failed.as_ref()) {
            Some(error) => Err(failed_view(name, error)),
            None => self.table(name).map(Contents::rows),
        }
    }

    /// Applies changes to a table or view, and tells the views that read it.
    fn apply(&mut self, name: &Name, changes: &[ChangeBatch]) -> Result<(), SqlError> {
        let contents = self.contents.get_mut(name).ok_or_else(|| replaced(name))?;
        for changes in changes.iter().filter(|changes| !changes.is_empty()) {
            contents.apply(changes)?;
            self.followers.note(name, changes);
            feed(&mut self.views, self.replayed, name, changes)?;
        }
        Ok(())
    }

    /// Applies changes to a table, puts them into the log and brings every view up to date.
    fn publish(&mut self, name: &Name, changes: ChangeBatch, durable: Option<&Durable>) -> Result<Unsettled, SqlError> {
        let table = self.table(name)?;
        // Where the first rows are none, the log is to know that these were they.
        let in_log = table.log().filter(|log| log.is_filling || !changes.is_empty());
        let stored = match (durable, in_log) {
            (Some(durable), Some(_)) => {
                durable.check()?;
                Some((durable, changes_record(table.id(), &changes)?))
            }
            _ => None,
        };
        self.take_in();
        self.apply(name, &[changes])?;
        if self.views.iter().any(|view| view.into.is_some()) {
            let written = self.bring_up_to_date();
            let own = stored.map(|(_, record)| (name.clone(), record));
            return self.store(Vec::from_iter(own), written, Vec::new(), durable);
        }
        let mut last = 0;
        if let Some((durable, record)) = stored {
            last = durable.enqueue(&record)?;
            self.last_record = last;
            if let Some(table) = self.contents.get_mut(name) {
                table.set_log(InLog { is_filling: false, last });
            }
        }
        self.bring_up_to_date();
        self.followers.end_epoch(last);
        Ok(Unsettled(last))
    }

    /// Takes in what views that run by themselves have brought, as an epoch of its own.
    fn look(&mut self) {
        if self.take_in() {
            self.followers.end_epoch(self.last_record);
        }
    }

    /// Steps all views that were fed, those first that others read. One that fails stays as it is, and says so when it is read. Returns what
    /// sinks have written. (They write nothing that they read, also through others, so this comes to an end.)
    fn bring_up_to_date(&mut self) -> Vec<(Name, ChangeBatch)> {
        let mut written = Vec::new();
        while let Some(at) = self.views.iter().position(|view| view.is_fed && !view.feeds.is_empty()) {
            let (name, into) = (self.views[at].name.clone(), self.views[at].into.clone());
            let stepped = self.step(at, None).and_then(|changes| match &into {
                None => self.apply(&name, &changes),
                Some(table) => self.write_into(table, &changes, &mut written),
            });
            self.note_failure(at, stepped);
        }
        written
    }

    /// Takes in what views that run by themselves have brought; false for nothing.
    fn take_in(&mut self) -> bool {
        let mut is_moved = false;
        for at in 0..self.views.len() {
            let view = &mut self.views[at];
            if !view.feeds.is_empty() || view.job.is_none() {
                continue;
            }
            let taken = view.take(Duration::ZERO);
            is_moved |= !matches!(&taken, Ok(changes) if changes.is_empty());
            let name = view.name.clone();
            let applied = taken.and_then(|changes| self.apply(&name, &changes));
            self.note_failure(at, applied);
        }
        if is_moved {
            self.bring_up_to_date();
        }
        is_moved
    }

    fn note_failure(&mut self, at: usize, result: Result<(), SqlError>) {
        if let Err(error) = result {
            let view = &mut self.views[at];
            tracing::warn!(view = %view.name, error = error.message, "a materialized view has failed");
            self.followers.end(&view.name, &error);
            if view.into.is_some() && view.failed.is_none() {
                let news = SinkNews { name: view.name.clone(), failed: Some(error.message.clone()) };
                self.failed_sinks.push(news);
            }
            view.failed.get_or_insert(error);
            view.job = None;
        }
    }

    /// Lets the job of a view take what it was fed, and end an epoch. Returns what changes by it.
    fn step(&mut self, at: usize, canceller: Option<&Canceller>) -> Result<Vec<ChangeBatch>, SqlError> {
        let view = &mut self.views[at];
        view.is_fed = false;
        view.progress.epochs += 1;
        let Some(job) = &view.job else { return Ok(Vec::new()) };
        let is_taken = || view.feeds.values().all(|fed| fed.feed().wait(PATIENCE));
        let check = || canceller.map_or(Ok(()), Canceller::check);
        check()?;
        while !job.work() && !job.is_over() && !is_taken() {
            check()?;
        }
        let cut = job.cut();
        // Who cancels has ended the job.
        check()?;
        cut?;
        view.take(Duration::ZERO)
    }

    /// Waits for the end of a view's input. Returns what its answer is then.
    fn take_rest(&mut self, at: usize, canceller: &Canceller) -> Result<Vec<ChangeBatch>, SqlError> {
        let mut all = Vec::new();
        while self.views[at].job.is_some() {
            canceller.check()?;
            all.append(&mut self.views[at].take(PATIENCE)?);
        }
        canceller.check()?;
        Ok(all)
    }

    fn forget(&mut self, name: &Name) {
        self.contents.remove(name);
        self.views.retain(|view| view.name != *name);
        self.followers.end(name, &SqlError::new(GONE, format!("{name} was dropped while it was followed")));
    }

    /// Calls tables and views by other names: by the old name the new one.
    fn rename(&mut self, names: &BTreeMap<Name, Name>) {
        let new = |old: &Name| names.get(old).unwrap_or(old).clone();
        let renamed = std::mem::take(&mut self.contents).into_iter().map(|(name, mut of)| {
            let name = new(&name);
            of.rename(&name);
            (name, of)
        });
        self.contents = renamed.collect();
        self.followers.rename(new);
        for view in &mut self.views {
            view.name = new(&view.name);
            view.into = view.into.as_ref().map(new);
            view.feeds = std::mem::take(&mut view.feeds).into_iter().map(|(table, fed)| (new(&table), fed)).collect();
        }
    }

    /// Puts other rows, of other columns, in the place of those of a table. The views that read it know the columns as they were.
    fn alter(&mut self, name: &Name, altered: Contents, alteration: &Alteration) {
        let Some(before) = self.contents.insert(name.clone(), altered) else { return };
        let message = format!("the columns of {name} have changed while it was followed");
        self.followers.end(name, &SqlError::new(GONE, message).with_hint("SUBSCRIBE anew"));
        for fed in self.views.iter_mut().filter_map(|view| view.feeds.get_mut(name)) {
            fed.alter(alteration, before.schema());
        }
    }
}

impl View {
    /// What its job has brought; waits so long for the first of it.
    fn take(&mut self, mut wait: Duration) -> Result<Vec<ChangeBatch>, SqlError> {
        let mut all = Vec::new();
        while let Some(event) = self.job.as_ref().and_then(|job| job.next_event(wait)) {
            wait = Duration::ZERO;
            match event {
                JobEvent::Changes { mut changes, .. } => all.append(&mut changes),
                JobEvent::Interrupted => {}
                JobEvent::Ended(result) => {
                    self.job = None;
                    result?;
                }
            }
        }
        Ok(all)
    }
}

/// Does the engine keep what this reads?
pub(crate) fn is_kept(source: &SourceSpec) -> bool {
    source.options.get("connector").is_some_and(|connector| connector == KEPT)
}

/// Rows of a table that cannot be read: a fault of who keeps them.
pub(crate) fn of_rows(table: impl std::fmt::Display, error: &ArrowError) -> SqlError {
    SqlError::new(SqlError::INTERNAL, format!("rows of table {table}: {error}"))
}

/// Looks at views that run by themselves, as long as somebody has the database.
fn watch(database: Weak<Database>) -> Result<(), SqlError> {
    let watch = move || {
        while let Some(database) = database.upgrade() {
            for part in database.all_parts() {
                // Who has it locked takes in what there is, or will.
                if part.newest.get().runs_by_itself
                    && let Some(mut state) = part.try_change()
                {
                    state.look();
                }
            }
            drop(database);
            std::thread::sleep(LOOK);
        }
    };
    let thread = std::thread::Builder::new().name("views".into()).spawn(watch);
    thread.map(drop).map_err(|e| SqlError::new(crate::error::state::RESOURCES, format!("no thread for views: {e}")))
}

/// A table that statements are about to change.
pub(crate) struct Target {
    name: Name,
    id: u64,
}

/// What is said to whoever reads a view that has failed.
fn failed_view(name: &Name, error: &SqlError) -> SqlError {
    let message = format!("materialized view {name} has failed: {}", error.message);
    SqlError { message, position: None, ..error.clone() }
        .with_hint(format!("mend the rows that it reads, DROP MATERIALIZED VIEW {name} and create it anew"))
}

/// Another session has dropped this table, or is putting another one into its place.
pub(crate) fn replaced(name: impl std::fmt::Display) -> SqlError {
    let message = format!("another session has changed table {name} while this statement was planned");
    SqlError::new(SERIALIZATION, message).with_hint("repeat the statement")
}
