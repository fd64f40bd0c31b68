//! What a transaction reads: tables and views as they were when it read the first time, or behind what it has changed itself.

use crate::kept::{IndexedRows, Moment, replaced};
use crate::{ScriptError, Session};
use eddyline_catalog::{Catalog, Name};
use eddyline_planner::SqlError;
use eddyline_planner::statement::StatementKind;
use std::collections::BTreeMap;
use std::sync::Arc;

/// SQLSTATE of a transaction that can be repeated.
const SERIALIZATION: &str = "40001";

/// Which moment a session reads.
#[derive(Default)]
pub(crate) enum Reading {
    /// Each statement reads what is there when it begins.
    #[default]
    Newest,
    /// The next one begins a moment that others read too.
    ToBegin,
    /// This moment, with the names as they were then.
    Held(Moment, Arc<Catalog>),
}

impl Session {
    /// From now on, all that is read of tables without a connector, and views, is read as of one moment: that of the first SELECT. What the session
    /// changes itself ends the moment: the next SELECT begins another, and finds it.
    pub fn hold_moment(&mut self) {
        self.reading = Reading::ToBegin;
    }

    /// From now on, each statement reads what is there when it begins.
    pub fn release_moment(&mut self) {
        self.reading = Reading::Newest;
    }

    /// A SELECT is about to read.
    pub(crate) fn begin_moment(&mut self) -> Result<(), ScriptError> {
        while let Reading::ToBegin = self.reading {
            let catalog = self.instance.catalog();
            let moment = self.instance.database().moment()?;
            if self.instance.catalog().version() == catalog.version() {
                self.reading = Reading::Held(moment, catalog);
            }
        }
        Ok(())
    }

    /// The session is about to change something, of what is there now.
    pub(crate) fn end_moment(&mut self) {
        if let Reading::Held(..) = self.reading {
            self.reading = Reading::ToBegin;
        }
    }

    /// All rows of these tables, of one moment.
    ///
    /// # Errors
    /// A view that has failed; a table that is not any more, or was not yet, what the session knows under its name.
    pub(crate) fn pictures_of(&self, tables: &[&Name]) -> Result<BTreeMap<Name, IndexedRows>, SqlError> {
        // Nearly always.
        if self.attached.is_empty() {
            return self.kept_of(tables);
        }
        let (attached, tables): (Vec<&Name>, Vec<&Name>) =
            tables.iter().copied().partition(|name| self.attached.rows(name).is_some());
        let mut found = self.kept_of(&tables)?;
        found.extend(attached.into_iter().filter_map(|name| Some((name.clone(), self.attached.rows(name)?.clone()))));
        Ok(found)
    }

    fn kept_of(&self, tables: &[&Name]) -> Result<BTreeMap<Name, IndexedRows>, SqlError> {
        let is_other = |then: &Catalog, table: &Name| then.object(table) != self.catalog.object(table);
        if let Reading::Held(moment, then) = &self.reading {
            return match tables.iter().find(|table| is_other(then, table)) {
                Some(table) => {
                    let message = format!("{table} has been made or changed since this transaction began to read");
                    Err(SqlError::new(SERIALIZATION, message).with_hint("ROLLBACK, and repeat the transaction"))
                }
                None => moment.rows(tables),
            };
        }
        let pictures = self.instance.database().snapshots(tables)?;
        let now = self.instance.catalog();
        match tables.iter().find(|table| is_other(&now, table)) {
            Some(table) => Err(replaced(table)),
            None => Ok(pictures),
        }
    }
}

/// Does a statement change something that can be read, or ask for what is there now?
pub(crate) fn is_change(kind: &StatementKind) -> bool {
    !matches!(
        kind,
        StatementKind::Select(_)
            | StatementKind::Explain { .. }
            | StatementKind::ExplainState(_)
            | StatementKind::ExplainAlter { .. }
            | StatementKind::Show(_)
            | StatementKind::Describe(_)
            | StatementKind::Set { .. }
            | StatementKind::ShowSettings
            | StatementKind::Reset(_)
            | StatementKind::Subscribe(_)
    )
}
