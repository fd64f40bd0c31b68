//! DROP: names go, and what reads them, or nothing does.

use crate::error::from_catalog;
use crate::instance::Moves;
use crate::{Outcome, Session, ddl};
use eddyline_catalog::{Catalog, Name, Object, Reference, View};
use eddyline_planner::SqlError;
use std::collections::BTreeSet;

/// SQLSTATE of something that cannot go because others are made from it.
pub(crate) const DEPENDENT_OBJECTS: &str = "2BP01";

impl Session {
    /// DROP of one name or several. Nothing goes unless all of them may; with `if_exists`, what there is of them.
    ///
    /// # Errors
    /// One is not there, or of another kind; views that stay read them.
    pub(crate) fn drop_all(
        &mut self,
        kind: &'static str,
        written: &[Reference],
        if_exists: bool,
        cascade: bool,
    ) -> Result<Outcome, SqlError> {
        let (mut going, mut notes) = (BTreeSet::new(), Vec::new());
        for written in written {
            match self.resolve(written) {
                Err(error) if if_exists && error.sqlstate == SqlError::UNDEFINED_SCHEMA => {
                    notes.push(format!("{}, nothing dropped", error.message));
                }
                Ok(name) if if_exists && self.catalog.object(&name).is_err() => {
                    notes.push(format!("{kind} {name} does not exist, nothing dropped"));
                }
                found => {
                    going.insert(found?);
                }
            }
        }
        if going.len() > 1 {
            self.check_going(kind, &going, cascade)?;
        }
        let mut told = Vec::new();
        // What reads another of them goes before it.
        let is_read = |session: &Self, name: &Name, going: &BTreeSet<Name>| {
            session.readers(name).iter().any(|reader| going.contains(reader))
        };
        while let Some(name) = going.iter().find(|name| !is_read(self, name, &going)).cloned() {
            going.remove(&name);
            let was_asked_alone = written.len() == 1;
            told.push(self.drop_object(kind, &name, if_exists || !was_asked_alone, cascade)?);
        }
        Ok(match notes.is_empty() {
            true => Outcome::Done(told.join("; ")),
            false => {
                told.append(&mut notes);
                Outcome::Noted(told.join("; "))
            }
        })
    }

    /// May all of these go together?
    ///
    /// # Errors
    /// As [`drop_all`](Self::drop_all).
    fn check_going(&self, kind: &'static str, going: &BTreeSet<Name>, cascade: bool) -> Result<(), SqlError> {
        let mut trial = Catalog::clone(&self.catalog);
        for name in going {
            trial.remove(kind, name).map_err(from_catalog)?;
            let stay: Vec<Name> = self.readers(name).into_iter().filter(|reader| !going.contains(reader)).collect();
            if !cascade {
                self.check_unread(name, &stay)?;
            }
        }
        Ok(())
    }

    /// Takes a name away, and with `cascade` the views that read it. The message tells what was done.
    ///
    /// # Errors
    /// It is not there, or of another kind; views read it.
    pub(crate) fn drop_object(
        &mut self,
        kind: &'static str,
        name: &Name,
        if_exists: bool,
        cascade: bool,
    ) -> Result<String, SqlError> {
        // Until all names that go are taken, another session may make a view that reads one of them.
        let _reserved = loop {
            let reserved = self.reserve(self.going(name, cascade))?;
            if reserved.holds(&self.going(name, cascade)) {
                break reserved;
            }
        };
        if self.catalog.object(name).is_ok_and(|object| object.kind() == kind) {
            self.check_readers(name, cascade)?;
        }
        self.take_away(kind, name, if_exists)
    }

    /// A name goes, and its rows before it: nothing changes them any more when the log says that it went.
    pub(crate) fn take_away(&mut self, kind: &'static str, name: &Name, if_exists: bool) -> Result<String, SqlError> {
        let job = match self.catalog.object(name) {
            Ok(Object::Sink(sink)) if kind == "sink" && sink.into.is_none() => Some(sink.job),
            _ => None,
        };
        let table = self.table_of_index(name).filter(|_| kind == "index");
        job.into_iter().for_each(|id| self.instance.end_job(id));
        let moves = Moves { jobs_gone: job.into_iter().collect(), ..Moves::default() };
        let database = self.instance.database().clone();
        let done = self.define_with(&moves, |catalog| {
            let done = ddl::drop(catalog, kind, name, if_exists)?;
            database.remove(name);
            Ok(done)
        })?;
        job.into_iter().for_each(|id| self.instance.jobs().forget(id));
        if let Some(table) = table {
            self.keep_orders(&self.catalog, &table)?;
        }
        Ok(done)
    }

    /// A name with its indexes, or the table that it is one of, and with `cascade` the views that go with it.
    fn going(&self, name: &Name, cascade: bool) -> BTreeSet<Name> {
        let mut found = BTreeSet::from([name.clone()]);
        found.extend(self.catalog.indexes_of(name).map(|index| index.name.clone()));
        found.extend(self.table_of_index(name));
        let mut rest = vec![name.clone()];
        while let (true, Some(name)) = (cascade, rest.pop()) {
            rest.extend(self.readers(&name).into_iter().filter(|n| found.insert(n.clone())));
        }
        found
    }

    /// The tables and views that a view reads, also through other views.
    pub(crate) fn names_read(&self, view: &View) -> BTreeSet<Name> {
        self.instance.reads().of(view, &self.catalog)
    }

    /// The materialized views and sinks that read this name, themselves or through views, and the sinks that write it.
    pub(crate) fn readers(&self, name: &Name) -> Vec<Name> {
        let reads = |object: &&Object| match object {
            Object::MaterializedView(view) => self.names_read(&view.view).contains(name),
            Object::Sink(sink) => sink.into.as_ref() == Some(name) || self.names_read(&sink.view).contains(name),
            _ => false,
        };
        let readers = self.catalog.objects().map(|(_, object)| object).filter(reads);
        readers.map(|object| object.name().clone()).collect()
    }

    /// May this name go? With `cascade` the views that read it go first.
    ///
    /// # Errors
    /// Views read it.
    pub(crate) fn check_readers(&mut self, name: &Name, cascade: bool) -> Result<(), SqlError> {
        let readers = self.readers(name);
        if !cascade {
            return self.check_unread(name, &readers);
        }
        for reader in readers {
            // A view that reads two that go is gone with the first.
            if let Ok(kind) = self.catalog.object(&reader).map(Object::kind) {
                self.check_readers(&reader, true)?;
                self.take_away(kind, &reader, false)?;
            }
        }
        Ok(())
    }

    /// # Errors
    /// These read the name.
    fn check_unread(&self, name: &Name, readers: &[Name]) -> Result<(), SqlError> {
        if !readers.is_empty() {
            let kind = |reader: &Name| self.catalog.object(reader).map_or("view", Object::kind);
            let named: Vec<String> = readers.iter().map(|reader| format!("{} {reader}", kind(reader))).collect();
            let writes = |reader: &Name| matches!(self.catalog.object(reader), Ok(Object::Sink(sink)) if sink.into.as_ref() == Some(name));
            let verb = match (readers.iter().any(writes), readers.len()) {
                (true, 1) => "writes",
                (true, _) => "read or write",
                (false, 1) => "reads",
                (false, _) => "read",
            };
            let message = format!("{} {verb} {name}", named.join(", "));
            return Err(
                SqlError::new(DEPENDENT_OBJECTS, message).with_hint("DROP … CASCADE takes what reads it away too")
            );
        }
        Ok(())
    }
}
