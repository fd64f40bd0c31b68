//! What several sessions share: names, the rows of tables that the engine keeps, jobs in the background.
//!
//! ```text
//! Engine ── instance() ──> Instance ── session() ──> Session, Session, …
//! ```
//! Definitions are versions of a catalog: a statement sees the newest when it begins, and that one to its end. A statement that changes
//! what a name stands for has the name for itself meanwhile ([`Reservations`]); so two that have nothing to do with each other do not wait.
//! A statement that changes the rows of a table has that table's rows for itself, from reading them to changing them; who reads never waits
//! for that.
//!
//! # Contract
//! Every change of a name passes through [`Instance::define`], and every change of a row through one function of the
//! [`Database`] (`State::publish`), one after the other: there it is put into the log of what outlives the process ([`Durable`]).

use crate::creations::Creations;
use crate::databases::Databases;
use crate::durable::{Definition, Durable, StoredAlteration, StoredChange, StoredJob, store_views, stored_settings};
use crate::jobs::Jobs;
use crate::kept::Database;
use crate::lock::lock;
use crate::reservation::{Canceller, Reservation, Reservations};
use crate::{Engine, Session, Settings};
use eddyline_catalog::{Catalog, Name, Object};
use eddyline_planner::{NamesRead, SqlError};
use eddyline_users::Users;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::time::{Duration, Instant};

/// How long jobs have to end when the instance does.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether they have.
const LOOK: Duration = Duration::from_millis(5);

/// What a change of names does to objects that stay.
#[derive(Default)]
pub(crate) struct Moves {
    /// By the name of an object that was there before, what it was called.
    pub(crate) names: BTreeMap<Name, Name>,
    /// Views that were computed anew as they are, and keep the settings with which they were made.
    pub(crate) renewed: BTreeSet<Name>,
    /// What becomes of the rows of tables that have other columns.
    pub(crate) altered: Vec<StoredAlteration>,
    /// Jobs of sinks that come.
    pub(crate) jobs_come: Vec<StoredJob>,
    /// Jobs of sinks that go.
    pub(crate) jobs_gone: Vec<u64>,
}

/// Names, tables and jobs that sessions share. Cheap to clone; all clones are the same instance.
#[derive(Clone)]
pub struct Instance {
    engine: Engine,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The newest version.
    catalog: Mutex<Arc<Catalog>>,
    /// Who makes the next one.
    defining: Mutex<()>,
    /// Where names and rows are stored, if they are.
    durable: OnceLock<Arc<Durable>>,
    definitions: Arc<Reservations<Name>>,
    writers: Arc<Reservations<Name>>,
    database: Arc<Database>,
    jobs: Mutex<Jobs>,
    /// Views that are computed for the first time.
    creations: Creations,
    /// What views read.
    reads: NamesRead,
    /// Jobs to which something is being done.
    job_orders: Arc<Reservations<String>>,
    /// Who is connected has one of these.
    connections: Arc<()>,
    /// The first database, if this is another one.
    first: Option<Weak<Shared>>,
    /// The others, if this is the first.
    databases: Databases,
    /// Who may connect.
    users: Mutex<Arc<Users>>,
}

impl Instance {
    /// A database with nothing in it yet, beside the first one or as the first.
    pub(crate) fn new(engine: Engine, name: &str, first: Option<&Self>) -> Self {
        let catalog = Mutex::new(Arc::new(Catalog::of_database(name)));
        let first = first.map(|first| Arc::downgrade(&first.shared));
        Self { engine, shared: Arc::new(Shared { catalog, first, ..Shared::default() }) }
    }

    /// The first database.
    pub(crate) fn first(&self) -> Self {
        let first = self.shared.first.as_ref().and_then(Weak::upgrade);
        first.map_or_else(|| self.clone(), |shared| Self { engine: self.engine.clone(), shared })
    }

    /// The databases beside this one, which is the first.
    pub(crate) fn databases(&self) -> &Databases {
        &self.shared.databases
    }

    /// Has a copy for everybody who is connected.
    pub(crate) fn connections(&self) -> &Arc<()> {
        &self.shared.connections
    }

    /// A session with default settings.
    pub fn session(&self) -> Session {
        Session::new(self.clone())
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The names as they are now.
    pub fn catalog(&self) -> Arc<Catalog> {
        lock(&self.shared.catalog).clone()
    }

    /// Makes the next version of the catalog, under the settings of a session. Nobody sees it before `change` has returned, which must be
    /// soon, and before it is durable.
    ///
    /// # Errors
    /// Those of `change`: then nothing has changed. It cannot be stored.
    pub(crate) fn define<T>(
        &self,
        settings: &Settings,
        change: impl FnOnce(&mut Catalog) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        self.define_moving(settings, &Moves::default(), change, |_| {})
    }

    /// As [`define`](Self::define), where objects that are there get other names or columns. `publish` does to the rows what was done to the
    /// names, and is given the number of the record that says so; whoever reads sees both or neither.
    ///
    /// # Errors
    /// As [`define`](Self::define).
    pub(crate) fn define_moving<T>(
        &self,
        settings: &Settings,
        moves: &Moves,
        change: impl FnOnce(&mut Catalog) -> Result<T, SqlError>,
        publish: impl FnOnce(u64),
    ) -> Result<T, SqlError> {
        let _alone = lock(&self.shared.defining);
        let newest = self.catalog();
        let mut next = Catalog::clone(&newest);
        if let Some(durable) = self.shared.durable.get() {
            durable.check()?;
        }
        let done = change(&mut next)?;
        let mut record = 0;
        if let Some(durable) = self.shared.durable.get() {
            record = durable.define(self.changed(&newest, &next, moves, settings))?;
        }
        let mut catalog = lock(&self.shared.catalog);
        publish(record);
        *catalog = Arc::new(next);
        Ok(done)
    }

    /// Which names and schemas went, and which came or stand for something else. What is temporary is not stored.
    fn changed(&self, before: &Catalog, after: &Catalog, moves: &Moves, settings: &Settings) -> StoredChange {
        let is_stored = |object: &Object| match object {
            Object::Table(table) => !table.temporary,
            Object::View(view) => !view.temporary,
            Object::MaterializedView(_) | Object::Sink(_) => true,
            Object::Index(index) => !index.temporary,
        };
        let is_same = |name: &Name, object: &Object, other: &Catalog| match (object, other.object(name)) {
            // A table that takes the place of another may be just like it.
            (Object::Table(one), Ok(Object::Table(other))) => Arc::ptr_eq(one, other),
            (Object::View(one), Ok(Object::View(other))) => Arc::ptr_eq(one, other),
            (Object::MaterializedView(one), Ok(Object::MaterializedView(other))) => Arc::ptr_eq(one, other),
            (Object::Sink(one), Ok(Object::Sink(other))) => Arc::ptr_eq(one, other),
            (Object::Index(one), Ok(Object::Index(other))) => Arc::ptr_eq(one, other),
            _ => false,
        };
        let gone = before.objects().filter(|(name, object)| is_stored(object) && !is_same(name, object, after));
        let come = after.objects().filter(|(name, object)| is_stored(object) && !is_same(name, object, before));
        let definition = |(name, object): (&Name, &Object)| {
            let was = moves.names.get(name).unwrap_or(name);
            let stored_as = match object {
                Object::Table(_) => self.database().stored_as(was),
                Object::MaterializedView(_) => self.database().view_id(was).map(|id| (id, false)),
                _ => None,
            };
            let (id, is_filling) = stored_as.map_or((None, false), |(id, is_filling)| (Some(id), is_filling));
            // A view that was there keeps the settings with which it was made.
            let of = if moves.renewed.contains(name) { name } else { was };
            let own = self.durable().filter(|_| moves.names.contains_key(name)).and_then(|d| d.settings_of(of));
            let mut definition =
                Definition::of(object, id, is_filling, own.unwrap_or_else(|| stored_settings(settings)));
            // A sink that was there stays as far as it is.
            let of_sink = self.durable().filter(|_| moves.names.contains_key(name)).and_then(|d| d.sink_of(was));
            if let (Definition::Sink { is_filling, failed, .. }, Some(was)) = (&mut definition, of_sink) {
                (*is_filling, *failed) = was;
            }
            definition
        };
        let only = |one: &Catalog, other: &Catalog| -> Vec<String> {
            one.schemas().into_iter().filter(|schema| !other.has_schema(schema)).map(str::to_owned).collect()
        };
        StoredChange {
            gone: gone.map(|(name, _)| name.clone()).collect(),
            come: come.map(definition).collect(),
            altered: moves.altered.clone(),
            jobs_come: moves.jobs_come.clone(),
            jobs_gone: moves.jobs_gone.clone(),
            schemas_gone: only(before, after),
            schemas_come: only(after, before),
        }
    }

    /// Has these names to itself while it changes what they stand for.
    ///
    /// # Errors
    /// Cancelled while it waits.
    pub(crate) fn reserve(&self, names: BTreeSet<Name>, canceller: &Canceller) -> Result<Reservation, SqlError> {
        self.shared.definitions.take(names, canceller)
    }

    /// Has the rows of a table to itself for reading and then changing them.
    ///
    /// # Errors
    /// Cancelled while it waits.
    pub(crate) fn write(&self, table: &Name, canceller: &Canceller) -> Result<Reservation, SqlError> {
        self.write_all(BTreeSet::from([table.clone()]), canceller)
    }

    /// Has the rows of several tables to itself.
    ///
    /// # Errors
    /// Cancelled while it waits.
    pub(crate) fn write_all(&self, tables: BTreeSet<Name>, canceller: &Canceller) -> Result<Reservation, SqlError> {
        self.shared.writers.take(tables, canceller)
    }

    /// The rows of tables and views that the engine keeps.
    pub(crate) fn database(&self) -> &Arc<Database> {
        &self.shared.database
    }

    /// Views that are computed for the first time.
    pub(crate) fn creations(&self) -> &Creations {
        &self.shared.creations
    }

    /// What views read.
    pub(crate) fn reads(&self) -> &NamesRead {
        &self.shared.reads
    }

    /// Names of jobs to which something is being done.
    pub(crate) fn job_orders(&self) -> &Arc<Reservations<String>> {
        &self.shared.job_orders
    }

    /// Jobs in the background.
    pub(crate) fn jobs(&self) -> MutexGuard<'_, Jobs> {
        lock(&self.shared.jobs)
    }
}

impl Instance {
    /// Who may connect, to any database: the first one has them.
    pub fn users(&self) -> Arc<Users> {
        lock(&self.first().shared.users).clone()
    }

    /// Changes who may connect. Nobody sees it before it is durable.
    ///
    /// # Errors
    /// Those of `change`: then nothing has changed. It cannot be stored.
    pub(crate) fn change_users(&self, change: impl FnOnce(&mut Users) -> Result<(), SqlError>) -> Result<(), SqlError> {
        let first = self.first();
        let _alone = lock(&first.shared.defining);
        let mut users = Users::clone(&first.users());
        change(&mut users)?;
        if let Some(durable) = first.durable() {
            durable.define_users(&users)?;
        }
        *lock(&first.shared.users) = Arc::new(users);
        Ok(())
    }

    /// The users that were stored.
    pub(crate) fn restore_users(&self, users: Users) {
        *lock(&self.shared.users) = Arc::new(users);
    }

    /// Where names and rows are stored, if they are.
    pub(crate) fn durable(&self) -> Option<&Arc<Durable>> {
        self.shared.durable.get()
    }

    /// From now on changes of names and rows are stored.
    pub(crate) fn store_in(&self, durable: Arc<Durable>) {
        self.shared.database.store_in(durable.clone());
        let _ = self.shared.durable.set(durable);
    }

    /// Stores materialized views that have changed since they were; with `beside`, those that are in one part with this view and were never stored.
    ///
    /// # Errors
    /// One cannot be written.
    pub(crate) fn store_views(&self, beside: Option<&Name>) -> Result<(), SqlError> {
        let tokio = &self.engine.rim().tokio;
        let store = |durable: &Arc<Durable>| store_views(durable, self.database(), tokio, beside, &mut || {});
        self.durable().map_or(Ok(()), store)
    }

    /// Jobs that have come to their end are not begun again.
    pub(crate) fn forget_finished(&self) -> Result<(), SqlError> {
        let Some(durable) = self.durable().filter(|durable| durable.has_jobs()) else { return Ok(()) };
        let finished = self.jobs().finished();
        finished.into_iter().filter(|id| durable.has_job(*id)).try_for_each(|id| durable.define_job(Some(id), None))
    }

    /// Ends what goes on in the background, and closes where names and rows are stored: nothing is changed any more. The first database
    /// closes the others too.
    ///
    /// # Errors
    /// What waits cannot be written.
    pub fn close(&self) -> Result<(), SqlError> {
        let others: Vec<Self> = self.shared.databases.all().others().cloned().collect();
        let closed: Vec<Result<(), SqlError>> = others.iter().map(Self::close_one).collect();
        closed.into_iter().chain([self.close_one()]).collect()
    }

    fn close_one(&self) -> Result<(), SqlError> {
        self.jobs().stop_all();
        let patience = Instant::now() + PATIENCE;
        while self.jobs().are_running() && Instant::now() < patience {
            std::thread::sleep(LOOK);
        }
        let Some(durable) = self.shared.durable.get() else { return Ok(()) };
        // Where that cannot be, the next start takes longer.
        if let Err(error) = self.store_views(None) {
            tracing::warn!(error = error.message, "materialized views cannot be stored");
        }
        durable.close()
    }
}
