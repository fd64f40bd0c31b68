//! Materialized views that go on from what is stored of them, when a directory is opened; and what their state knows tables by.

use crate::beginning::Beginning;
use crate::durable::{Definition, StoredChange, StoredView};
use crate::error::from_runtime;
use crate::error::state::CORRUPTED;
use crate::kept::{self, Reads};
use crate::restore::{Ordered, compute};
use crate::session::Planned;
use crate::{Instance, Session};
use eddyline_catalog::{Name, Table};
use eddyline_planner::SqlError;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Session {
    /// A table as a job reads it: what the engine keeps is read through a connector of its own. State that may outlive the table's name knows it
    /// by its number.
    pub(crate) fn read_as(&self, table: &Arc<Table>, reads: Reads, number: u64) -> Arc<Table> {
        if !table.is_kept() {
            return table.clone();
        }
        let id = match reads {
            Reads::Changes => self.instance.database().id_of(self.takers.get(&table.name).unwrap_or(&table.name)),
            Reads::Snapshot => None,
        };
        let options = kept::options(reads, number, &table.name, id);
        Arc::new(Table { options, ..table.as_ref().clone() })
    }

    /// The beginning of a view's job: at the state that is stored of it, if that is to be.
    ///
    /// # Errors
    /// The state cannot be read, or is not wholly that of this plan.
    pub(crate) fn going_on(
        &self,
        beginning: Beginning,
        plan: &Planned,
        stored: Option<&StoredView>,
    ) -> Result<Beginning, SqlError> {
        let Some(stored) = stored else { return Ok(beginning) };
        let (state, tokio) = (stored.state(), &self.engine.rim().tokio);
        let found = eddyline_runtime::preview(&beginning.name, &plan.job.dataflow, None, Some(&state), tokio);
        match found.map_err(|e| from_runtime(&e))? {
            Some((_, altered)) if altered.keeps_all_state() => {
                // A sink under another name is the only thing that may be new.
                Ok(Beginning { from: Some(state), allow_dropped_state: true, ..beginning })
            }
            Some((_, altered)) => {
                let message = "what is stored of it is the state of another plan";
                Err(SqlError::new(CORRUPTED, message).with_detail(altered.to_string()))
            }
            None => Err(SqlError::new(CORRUPTED, "there is no state of it")),
        }
    }
}

impl Instance {
    /// Begins materialized views from what is stored of them. Those of which nothing is stored, or nothing that fits, are left out, and those
    /// that read them. Returns the names of the others.
    pub(crate) fn take_up(&self, views: &[Ordered<'_>], stored: &BTreeMap<u64, StoredView>) -> BTreeSet<Name> {
        let all: BTreeSet<&Name> = views.iter().map(|view| view.definition.name()).collect();
        // With the record that they contain.
        let mut taken: BTreeMap<Name, u64> = BTreeMap::new();
        for Ordered { definition, reads } in views {
            let name = definition.name();
            let Some(from) = definition.view_id().and_then(|id| stored.get(&id)) else {
                tracing::info!(view = %name, "nothing is stored of a materialized view, or nothing that the log goes on");
                continue;
            };
            // One that is ahead does not tell again what this one lacks.
            let tells = |read: &Name| taken.get(read).is_some_and(|covered| *covered <= from.covered());
            if !reads.iter().filter(|read| *read != name && all.contains(read)).all(tells) {
                tracing::info!(view = %name, "a materialized view cannot go on: one that it reads does not, or is ahead of it");
                continue;
            }
            let Definition::MaterializedView { sql, settings, .. } = definition else { continue };
            match compute(self, sql, settings, Some(from)) {
                Ok(()) => drop(taken.insert(name.clone(), from.covered())),
                Err(error) => {
                    let (error, detail) = (error.message, error.detail);
                    tracing::warn!(view = %name, error, detail, "a materialized view cannot go on from what is stored of it");
                }
            }
        }
        taken.into_keys().collect()
    }

    /// Views that were computed anew have other numbers than before, under which they are to be stored; of those that hold final rows that is
    /// done now, as what will be late for them cannot be found out from their tables.
    ///
    /// # Errors
    /// It cannot be stored.
    pub(crate) fn number_anew(&self, views: &[Ordered<'_>], finals: &[Name]) -> Result<(), SqlError> {
        let Some(durable) = self.durable() else { return Ok(()) };
        let mut come = Vec::new();
        for Ordered { definition, .. } in views {
            let mut definition = Definition::clone(definition);
            let now = self.database().stored_view_id(definition.name());
            if let Definition::MaterializedView { id, .. } = &mut definition
                && now.is_some()
                && *id != now
            {
                *id = now;
                come.push(definition);
            }
        }
        durable.define(StoredChange { come, ..StoredChange::default() })?;
        finals.iter().try_for_each(|name| self.store_views(Some(name)))
    }
}
