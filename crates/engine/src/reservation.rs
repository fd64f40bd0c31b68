//! Names that one statement has for itself while it changes what they stand for, and how statements that wait are cancelled.
//!
//! A statement asks for all its names at once and holds none while it waits, so that no two can wait for each other.

use crate::Interrupter;
use crate::creations::{Creation, CreationProgress};
use crate::lock::lock;
use eddyline_catalog::Name;
use eddyline_planner::SqlError;
use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How often a statement that waits looks whether it was cancelled.
const LOOK: Duration = Duration::from_millis(20);
/// SQLSTATE of a statement that was cancelled.
const CANCELLED: &str = "57014";

/// Which names, of whatever kind, are taken.
pub(crate) struct Reservations<K> {
    taken: Mutex<BTreeSet<K>>,
    freed: Condvar,
}

impl<K> Default for Reservations<K> {
    fn default() -> Self {
        Self { taken: Mutex::default(), freed: Condvar::new() }
    }
}

impl<K: Ord + Clone> Reservations<K> {
    /// Waits until nobody has any of these names, and takes them.
    ///
    /// # Errors
    /// The statement is cancelled meanwhile.
    pub(crate) fn take(
        self: &Arc<Self>,
        names: BTreeSet<K>,
        canceller: &Canceller,
    ) -> Result<Reservation<K>, SqlError> {
        let mut taken = lock(&self.taken);
        while !taken.is_disjoint(&names) {
            canceller.check()?;
            taken = self.freed.wait_timeout(taken, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
        taken.extend(names.iter().cloned());
        Ok(Reservation { of: self.clone(), names })
    }
}

/// Names that are taken for as long as this lives.
pub(crate) struct Reservation<K: Ord = Name> {
    of: Arc<Reservations<K>>,
    names: BTreeSet<K>,
}

impl<K: Ord> Reservation<K> {
    /// Are all of these among them?
    pub(crate) fn holds(&self, names: &BTreeSet<K>) -> bool {
        names.is_subset(&self.names)
    }
}

impl<K: Ord> Drop for Reservation<K> {
    fn drop(&mut self) {
        lock(&self.of.taken).retain(|name| !self.names.contains(name));
        self.of.freed.notify_all();
    }
}

/// Cancels the statement that a session is at, from another thread. Clones cancel the same session.
#[derive(Clone, Default)]
pub struct Canceller(Arc<Mutex<Cancelling>>);

#[derive(Default)]
struct Cancelling {
    is_cancelled: bool,
    /// Wakes whoever follows the job of the statement.
    follower: Option<Interrupter>,
    /// The view that the statement computes.
    creation: Option<Arc<Creation>>,
}

impl Canceller {
    /// Cancels the statement.
    pub fn cancel(&self) {
        let mut state = lock(&self.0);
        state.is_cancelled = true;
        if let Some(follower) = &state.follower {
            follower.interrupt();
        }
        let creation = state.creation.take();
        drop(state);
        creation.into_iter().for_each(|creation| creation.cancel());
    }

    /// What was cancelled until now is over: another statement begins.
    pub fn reset(&self) {
        *lock(&self.0) = Cancelling::default();
    }

    /// Was the statement cancelled?
    pub fn is_cancelled(&self) -> bool {
        lock(&self.0).is_cancelled
    }

    /// A job belongs to the statement: who cancels interrupts who follows it.
    pub fn follow(&self, interrupter: Interrupter) {
        let mut state = lock(&self.0);
        if state.is_cancelled {
            interrupter.interrupt();
        }
        state.follower = Some(interrupter);
    }

    /// The statement computes a view: who cancels the one ends the other, also in the middle of a long step.
    pub(crate) fn bind(&self, creation: &Arc<Creation>) {
        let mut state = lock(&self.0);
        match state.is_cancelled {
            true => creation.cancel(),
            false => state.creation = Some(creation.clone()),
        }
    }

    /// The view is there, or is not to come.
    pub(crate) fn unbind(&self) {
        lock(&self.0).creation = None;
    }

    /// How far the statement is, if it takes long and knows.
    pub fn progress(&self) -> Option<CreationProgress> {
        let creation = lock(&self.0).creation.clone();
        creation.map(|creation| creation.progress())
    }

    /// Nothing, as long as the statement was not cancelled.
    ///
    /// # Errors
    /// It was.
    pub fn check(&self) -> Result<(), SqlError> {
        match self.is_cancelled() {
            true => Err(SqlError::new(CANCELLED, "the statement was cancelled")),
            false => Ok(()),
        }
    }
}
