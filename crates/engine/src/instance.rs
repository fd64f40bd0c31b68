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
//! [`Database`] (`State::apply`), one after the other: what is to outlive the process belongs there.

use crate::jobs::Jobs;
use crate::kept::Database;
use crate::reservation::{Canceller, Reservation, Reservations};
use crate::{Engine, Session};
use eddyline_catalog::Catalog;
use eddyline_planner::SqlError;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    definitions: Arc<Reservations>,
    writers: Arc<Reservations>,
    database: Arc<Database>,
    jobs: Mutex<Jobs>,
}

impl Instance {
    /// Nothing yet.
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine, shared: Arc::default() }
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

    /// Makes the next version of the catalog. Nobody sees it before `change` has returned, which must be soon.
    ///
    /// # Errors
    /// Those of `change`: then nothing has changed.
    pub(crate) fn define<T>(&self, change: impl FnOnce(&mut Catalog) -> Result<T, SqlError>) -> Result<T, SqlError> {
        let mut newest = lock(&self.shared.catalog);
        let mut next = Catalog::clone(&newest);
        let done = change(&mut next)?;
        *newest = Arc::new(next);
        Ok(done)
    }

    /// Has these names to itself while it changes what they stand for.
    ///
    /// # Errors
    /// Cancelled while it waits.
    pub(crate) fn reserve(&self, names: BTreeSet<String>, canceller: &Canceller) -> Result<Reservation, SqlError> {
        self.shared.definitions.take(names, canceller)
    }

    /// Has the rows of a table to itself for reading and then changing them.
    ///
    /// # Errors
    /// Cancelled while it waits.
    pub(crate) fn write(&self, table: &str, canceller: &Canceller) -> Result<Reservation, SqlError> {
        self.shared.writers.take(BTreeSet::from([table.to_owned()]), canceller)
    }

    /// The rows of tables and views that the engine keeps.
    pub(crate) fn database(&self) -> &Arc<Database> {
        &self.shared.database
    }

    /// Jobs in the background.
    pub(crate) fn jobs(&self) -> MutexGuard<'_, Jobs> {
        lock(&self.shared.jobs)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
