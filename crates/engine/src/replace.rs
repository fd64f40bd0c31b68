//! CREATE OR REPLACE of a view that materialized views read: they are computed anew over the new definition, and all take their places at
//! once.
//!
//! What is to come is computed beside what is there, from the same tables, under names that nobody else can write. Until all of it is there,
//! the old views are read; if one of the new ones cannot be computed, all of them go, and nothing has changed. What statements change
//! meanwhile changes both.

use crate::beginning::Beginning;
use crate::changes::{PlannedView, VIEW, WrittenView, by_itself};
use crate::creations::Creating;
use crate::ddl;
use crate::drops::DEPENDENT_OBJECTS;
use crate::indexes::{kept_table, orders};
use crate::instance::Moves;
use crate::job::{self, Epochs};
use crate::kept::{Contents, Feed, NewView, TakenUp};
use crate::{ScriptError, Session};
use eddyline_catalog::{Catalog, Index, MaterializedView, Name, Object};
use eddyline_planner::SqlError;
use eddyline_planner::parse::parse_query;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const HINT: &str = "make the new one under another name, and the views that read it over that";

/// Views that were computed beside others whose places they are to take.
#[derive(Default)]
pub(crate) struct Beside {
    /// By the name whose place it takes, what each is called.
    pub(crate) places: BTreeMap<Name, Name>,
    /// Those that were computed anew though nobody has written them anew.
    pub(crate) renewed: Vec<Object>,
    /// What the user should know.
    pub(crate) warnings: Vec<String>,
}

/// The name under which a view is computed until it takes the place of another.
pub(crate) fn beside(name: &Name) -> Name {
    Name::new(name.schema(), &format!("{} (new)", name.object()))
}

impl Session {
    /// The materialized views that read a name, themselves or through others, each behind those that it reads.
    ///
    /// # Errors
    /// A sink is among them: what it has written is not taken back.
    pub(crate) fn dependents(&self, name: &Name) -> Result<Vec<Arc<MaterializedView>>, SqlError> {
        if self.catalog.object(name).is_err() {
            return Ok(Vec::new());
        }
        let (mut found, mut rest) = (BTreeMap::new(), vec![name.clone()]);
        while let Some(read) = rest.pop() {
            for reader in self.readers(&read) {
                match self.catalog.object(&reader) {
                    Ok(Object::MaterializedView(view)) if !found.contains_key(&reader) => {
                        found.insert(reader.clone(), view.clone());
                        rest.push(reader);
                    }
                    Ok(Object::Sink(_)) => {
                        let message =
                            format!("sink {reader} depends on {name}: what it has written cannot be computed anew");
                        return Err(SqlError::new(DEPENDENT_OBJECTS, message)
                            .with_hint("DROP SINK it, replace the view, and CREATE SINK it anew"));
                    }
                    _ => {}
                }
            }
        }
        let mut ordered = Vec::with_capacity(found.len());
        while !found.is_empty() {
            let is_free = |view: &MaterializedView| {
                let read = self.names_read(&view.view);
                !read.iter().any(|name| *name != view.view.name && found.contains_key(name))
            };
            let Some(next) = found.iter().find(|(_, view)| is_free(view)).map(|(name, _)| name.clone()) else {
                return Err(SqlError::new(SqlError::INTERNAL, "materialized views read each other"));
            };
            ordered.extend(found.remove(&next));
        }
        Ok(ordered)
    }

    /// The names that these views read, and their own.
    pub(crate) fn names_of(&self, views: &[Arc<MaterializedView>]) -> BTreeSet<Name> {
        let own = views.iter().map(|view| view.view.name.clone());
        own.chain(views.iter().flat_map(|view| self.names_read(&view.view))).collect()
    }

    /// CREATE OR REPLACE VIEW: what is computed from it is computed anew.
    ///
    /// # Errors
    /// A sink reads it, or a materialized view that cannot be kept.
    pub(crate) fn replace_view(&mut self, object: &Object) -> Result<Vec<String>, ScriptError> {
        let name = object.name();
        ddl::check_takes(&self.catalog, name, object.kind(), true)?;
        let mut names = self.names_of(&self.dependents(name)?);
        names.insert(name.clone());
        let _reserved = self.reserve(names)?;
        // As they are now that nobody else changes them.
        let dependents = self.dependents(name)?;
        if let Object::View(view) = object {
            check_reads_none(name, &self.names_read(view), &dependents)?;
        }
        let mut made = Beside::default();
        if let Err(error) = self.compute_beside(object, &dependents, &mut made) {
            self.give_up(&made);
            return Err(error);
        }
        self.take_places(object, &[], &made)?;
        Ok(made.warnings)
    }

    /// Computes views anew as they are over another definition of what they read, each beside the one whose place it is to take.
    ///
    /// # Errors
    /// One of them cannot be planned or computed over it, or would have other columns; then those that were made are to be
    /// [given up](Self::give_up).
    pub(crate) fn compute_beside(
        &mut self,
        over: &Object,
        dependents: &[Arc<MaterializedView>],
        made: &mut Beside,
    ) -> Result<(), ScriptError> {
        let mut catalog = Catalog::clone(&self.catalog);
        catalog.put(over.clone());
        for old in dependents {
            let name = &old.view.name;
            let refused = |why: &str| {
                let message =
                    format!("{VIEW} {name} reads {}, and cannot be kept over the new one: {why}", over.name());
                ScriptError::Statement(SqlError::new(DEPENDENT_OBJECTS, message).with_hint(HINT))
            };
            let own = self.session_of_view(old, &catalog, &made.places)?;
            let query = parse_query(&old.view.sql, old.view.dialect)?;
            let written =
                WrittenView { view: &old.view, query: &query, is_final: old.is_final, or_replace: true, from: None };
            let planned = own.planned_kept_up(&written).map_err(|e| refused(&e.into_error().message))?;
            let object = planned.object.clone();
            if !has_columns_of(&object, old) {
                return Err(refused("its columns would change"));
            }
            let place = beside(name);
            made.warnings.extend(own.begin_view(planned, &written, &place)?);
            if old.is_final {
                made.warnings.push(format!(
                    "the final rows of {VIEW} {name} were computed anew from the rows that are there now: what had come late is in them, \
                     what was deleted is not"
                ));
            }
            made.places.insert(name.clone(), place.clone());
            let indexes: Vec<Arc<Index>> = self.catalog.indexes_of(name).cloned().collect();
            self.make_ready(&object, &indexes, &place, old.is_final)?;
            made.renewed.push(object.clone());
            catalog.put(object);
        }
        Ok(())
    }

    /// What a materialized view is planned in: the settings with which it was made, where they are stored, these names, and who takes the
    /// places of others.
    fn session_of_view(
        &self,
        view: &MaterializedView,
        catalog: &Catalog,
        takers: &BTreeMap<Name, Name>,
    ) -> Result<Session, SqlError> {
        let mut settings = self.settings.clone();
        let stored = self.instance.durable().and_then(|durable| durable.settings_of(&view.view.name));
        for (key, value) in stored.into_iter().flatten() {
            settings.set(&key, &value)?;
        }
        settings.set("sql.dialect", view.view.dialect.name())?;
        // Its text says in which schemas its names are.
        settings.reset("search_path")?;
        Ok(Session {
            catalog: Arc::new(catalog.clone()),
            settings,
            takers: takers.clone(),
            user: self.user.clone(),
            public: self.public.clone(),
            canceller: self.canceller.clone(),
            ..Session::new(self.instance.clone())
        })
    }

    /// Has a view that was computed the orders of these indexes; one of final rows is stored, as what was late for it cannot be found out
    /// from its tables.
    ///
    /// # Errors
    /// It cannot be stored.
    pub(crate) fn make_ready(
        &self,
        object: &Object,
        indexes: &[Arc<Index>],
        place: &Name,
        is_final: bool,
    ) -> Result<(), SqlError> {
        if !indexes.is_empty() {
            let orders = orders(indexes.iter().map(Arc::as_ref), kept_table(object)?);
            self.instance.database().set_orders(place, &orders)?;
        }
        if is_final { self.instance.store_views(Some(place)) } else { Ok(()) }
    }

    /// Begins a view that was planned, under a name, and computes it for the first time. What is about to be replaced it reads from who takes
    /// its place. Returns what the user should know.
    ///
    /// # Errors
    /// It cannot be computed.
    pub(crate) fn begin_view(
        &self,
        planned: PlannedView,
        written: &WrittenView<'_>,
        name: &Name,
    ) -> Result<Vec<String>, ScriptError> {
        let PlannedView { object, plan, number, shards, epochs, schema, tables, times } = planned;
        let taker = |place: &Name| self.takers.get(place).unwrap_or(place).clone();
        let takers: BTreeMap<Name, Name> = tables.iter().map(|table| (taker(table), table.clone())).collect();
        let times: BTreeMap<Name, usize> = times.into_iter().map(|(table, at)| (taker(&table), at)).collect();
        let read: Vec<&Name> = takers.keys().collect();
        let is_pictured = epochs == Epochs::OnDemand;
        let by_itself = by_itself(format!("{VIEW} {}", object.name()), shards);
        let beginning = Beginning { is_kept_up: true, is_pictured, ..by_itself };
        let beginning = self.going_on(beginning, &plan, written.from)?;
        let (canceller, instance) = (&self.canceller, &self.instance);
        let (mut creating, mut warnings) = (None, Vec::new());
        let load = |contents: &mut Contents| written.from.map_or(Ok(()), |from| from.load(contents));
        let from = written.from.map(|from| TakenUp { id: from.id(), covered: from.covered(), load: &load });
        let (into, is_stored, from) = (None, true, from.as_ref());
        let added = NewView { name, tables: &read, times: &times, into, canceller, is_stored, from };
        instance.database().add_view(&added, |feeds| {
            let own = |(table, feed): (&Name, &Arc<Feed>)| (takers.get(table).unwrap_or(table).clone(), feed.clone());
            let _found = self.engine.kept().register(number, &feeds.iter().map(own).collect());
            let job = job::start(&self.engine, &self.settings, shards, beginning, plan, Some(number), epochs)?;
            warnings.clone_from(&job.facts().warnings);
            creating = Some(Creating::new(instance, canceller, &job, feeds));
            Ok((job, schema))
        })?;
        Ok(warnings)
    }

    /// Has views that were computed take the places of others, all at once, with the definition of what was replaced.
    ///
    /// # Errors
    /// It cannot be stored; then nothing has changed.
    pub(crate) fn take_places(
        &mut self,
        object: &Object,
        indexes: &[Arc<Index>],
        made: &Beside,
    ) -> Result<(), SqlError> {
        let database = self.instance.database().clone();
        let add = |catalog: &mut Catalog| {
            ddl::add(catalog, object.clone(), true)?;
            made.renewed.iter().for_each(|object| catalog.put(object.clone()));
            indexes.iter().try_for_each(|index| ddl::add(catalog, Object::Index(index.clone()), false))
        };
        let renewed = made.renewed.iter().map(|object| object.name().clone()).collect();
        let moves = Moves { names: made.places.clone(), renewed, ..Moves::default() };
        let come: BTreeMap<Name, Name> = made.places.iter().map(|(place, now)| (now.clone(), place.clone())).collect();
        let defined = self.instance.define_moving(&self.settings, &moves, add, |_| database.take_places(&come));
        self.refresh();
        if defined.is_err() {
            self.give_up(made);
        }
        defined
    }

    /// Forgets views that take nobody's place after all.
    pub(crate) fn give_up(&self, made: &Beside) {
        made.places.values().for_each(|name| self.instance.database().remove(name));
    }
}

/// A view reads nothing that is computed from it.
///
/// # Errors
/// It would.
pub(crate) fn check_reads_none(
    name: &Name,
    read: &BTreeSet<Name>,
    dependents: &[Arc<MaterializedView>],
) -> Result<(), SqlError> {
    match dependents.iter().find(|view| read.contains(&view.view.name)) {
        None => Ok(()),
        Some(view) => {
            let message = format!("view {name} would read itself, through {VIEW} {}", view.view.name);
            Err(SqlError::new(SqlError::INVALID, message).with_hint("give it another name"))
        }
    }
}

fn has_columns_of(object: &Object, old: &MaterializedView) -> bool {
    let Object::MaterializedView(new) = object else { return false };
    let columns = |view: &MaterializedView| -> Vec<_> {
        view.table.columns.iter().map(|column| (column.name.clone(), column.data_type.clone())).collect()
    };
    columns(new) == columns(old)
}
