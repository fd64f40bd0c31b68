//! An instance as a directory has it: its names, the rows of its tables, and its views, as they were or computed anew.

use crate::changes::WrittenView;
use crate::databases;
use crate::durable::{self, DataSettings, Definition, StoredJob, StoredView};
use crate::error::from_catalog;
use crate::error::state::CORRUPTED;
use crate::kept::FailedView;
use crate::reservation::Canceller;
use crate::{Engine, Instance, ScriptError, Session};
use eddyline_catalog::{
    Catalog, FIRST_DATABASE, Index, MaterializedView, Name, Object, PUBLIC, Reference, Sink, Table, Unique, View,
};
use eddyline_planner::statement::{Query, StatementKind};
use eddyline_planner::{Dialect, SqlError, names_read, parse, parse_in};
use eddyline_runtime::{JobLog, LogLevel, LogSubject};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Engine {
    /// Opens a directory: what it has is there, and what becomes of it is stored before a statement returns.
    ///
    /// # Errors
    /// Another process has it; it is damaged; it was written by a newer version; it cannot be read or written.
    pub fn open(&self, data: DataSettings) -> Result<Instance, SqlError> {
        let first = self.open_database(FIRST_DATABASE, data.clone(), None)?;
        databases::open(self, &first, &data)?;
        Ok(first)
    }

    /// Opens the directory of one database.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn open_database(
        &self,
        name: &str,
        data: DataSettings,
        first: Option<&Instance>,
    ) -> Result<Instance, SqlError> {
        let instance = self.new_database(name, first);
        let mut session = instance.session();
        let found = durable::open(data, &|sql, dialect| session.stored_table(sql, dialect))?;
        let database = instance.database();
        database.begin_at(found.next_id);
        let mut tables = BTreeMap::new();
        for (name, found) in found.tables {
            database.install(&name, found.contents);
            tables.insert(name, found.table);
        }
        let mut definitions: Vec<(u64, Definition)> = found.known.names.into_values().collect();
        definitions.sort_by_key(|(number, _)| *number);
        let numbers = definitions.iter().filter_map(|(_, definition)| match definition {
            Definition::Sink { job, .. } => Some(job + 1),
            _ => None,
        });
        instance.jobs().begin_after(numbers.max().unwrap_or_default().max(found.known.next_job));
        let mut objects = Vec::new();
        for (_, definition) in &definitions {
            match definition {
                Definition::Table { name, sql, dialect, .. } => {
                    let table = tables.remove(name).map_or_else(|| session.stored_table(sql, dialect), Ok)?;
                    objects.push(Object::Table(Arc::new(table)));
                }
                Definition::View { sql, dialect, .. } => {
                    objects.push(Object::View(Arc::new(stored_view(sql, known_dialect(dialect)?)?.view)));
                }
                Definition::Sink { sql, dialect, job, .. } => {
                    // Once, sinks INTO tables had no number.
                    let job = if *job == 0 { instance.jobs().next_id() } else { *job };
                    let sink = Sink { job, ..stored_sink(sql, known_dialect(dialect)?)? };
                    objects.push(Object::Sink(Arc::new(sink)));
                }
                Definition::Index { name, sql, is_constraint } => {
                    objects.push(Object::Index(Arc::new(stored_index(name, sql, *is_constraint)?)));
                }
                Definition::MaterializedView { .. } => {}
            }
        }
        session.define(|catalog| {
            for schema in &found.known.schemas {
                catalog.create_schema(schema).map_err(from_catalog)?;
            }
            objects.into_iter().for_each(|object| catalog.put(object));
            Ok(())
        })?;
        let views = by_dependence(&definitions, &session.catalog)?;
        let taken_up = instance.take_up(&views, &found.views);
        database.replay(&found.logged);
        drop(found.logged);
        session.refresh();
        for Ordered { definition, .. } in views.iter().filter(|view| !taken_up.contains(view.definition.name())) {
            session.restore_view(definition)?;
        }
        session.refresh();
        let indexed: BTreeSet<&Name> = session
            .catalog
            .objects()
            .filter_map(|(_, object)| match object {
                Object::Index(index) => Some(&index.table),
                _ => None,
            })
            .collect();
        for table in indexed {
            session.keep_orders(&session.catalog, table)?;
        }
        for (_, definition) in &definitions {
            if let Definition::Sink { name, settings, failed, .. } = definition {
                session.refresh();
                let failed = failed.clone().map(|message| SqlError::new(crate::error::state::DATA, message));
                fill_on(&instance, name, settings, failed)?;
            }
        }
        let durable = Arc::new(found.durable);
        durable::keep(&durable, database, &self.rim().tokio)?;
        let with_jobs = durable.has_jobs();
        instance.store_in(durable);
        let is_final =
            |name: &&Name| matches!(session.catalog.object(name), Ok(Object::MaterializedView(view)) if view.is_final);
        let anew = views.iter().map(|view| view.definition.name()).filter(|name| !taken_up.contains(*name));
        instance.number_anew(&views, &anew.filter(is_final).cloned().collect::<Vec<_>>())?;
        if let Some(users) = found.known.users {
            instance.restore_users(users);
        }
        for job in found.known.jobs.into_values().filter(|_| with_jobs) {
            instance.begin_with(job);
        }
        Ok(instance)
    }
}

impl Instance {
    /// Begins a job again that ran when the instance ended.
    fn begin_with(&self, stored: StoredJob) {
        let (log, now) = (JobLog::default(), self.engine().rim().clock.wall_ms());
        if let Some(rest) = &stored.rest {
            let stopped_ms = rest.time_ms;
            return self.jobs().keep_at_rest(stored, log, stopped_ms);
        }
        if let Err(error) = self.begin_stored(&stored, log.clone(), &Canceller::default()) {
            tracing::warn!(job = stored.id, error = error.message, "a job cannot begin again");
            log.tell(now, LogLevel::Error, LogSubject::Life, format!("cannot begin again: {}", error.message));
            self.jobs().keep_failed(stored, error, log, now);
        }
    }
}

/// A materialized view that is stored, behind those that it reads.
pub(crate) struct Ordered<'d> {
    pub(crate) definition: &'d Definition,
    /// All that it reads, also through others.
    pub(crate) reads: BTreeSet<Name>,
}

/// Materialized views, those first that others read. (Views that are not kept are bound when they are read.)
fn by_dependence<'d>(definitions: &'d [(u64, Definition)], catalog: &Catalog) -> Result<Vec<Ordered<'d>>, SqlError> {
    let mut all = Catalog::clone(catalog);
    let mut waiting: Vec<(&Definition, View)> = Vec::new();
    for (_, definition) in definitions {
        if let Definition::MaterializedView { sql, settings, .. } = definition {
            let view = stored_view(sql, stored_dialect(settings)?)?.view;
            all.put(Object::View(Arc::new(view.clone())));
            waiting.push((definition, view));
        }
    }
    let mut ordered = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let names: BTreeSet<Name> = waiting.iter().map(|(_, view)| view.name.clone()).collect();
        let is_ready = |(_, view): &(&Definition, View)| names_read(view, &all).is_disjoint(&names);
        let (ready, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(is_ready);
        if ready.is_empty() {
            return Err(SqlError::new(CORRUPTED, "materialized views that are stored read each other"));
        }
        let with_names = |(definition, view)| Ordered { definition, reads: names_read(&view, &all) };
        ordered.extend(ready.into_iter().map(with_names));
        waiting = rest;
    }
    Ok(ordered)
}

fn stored_dialect(settings: &BTreeMap<String, String>) -> Result<Dialect, SqlError> {
    settings.get("sql.dialect").map_or(Ok(Dialect::Flink), |name| known_dialect(name))
}

impl Session {
    /// Computes a materialized view anew, which whoever starts waits for. One that cannot be is there, and says so.
    fn restore_view(&mut self, definition: &Definition) -> Result<(), SqlError> {
        let Definition::MaterializedView { name, sql, answer, settings, .. } = definition else { return Ok(()) };
        tracing::info!(view = %name, "a materialized view is being computed anew, before anything is answered");
        let begin = self.engine.rim().clock.monotonic();
        if let Err(error) = compute(&self.instance, sql, settings, None) {
            tracing::warn!(view = %name, error = error.message, "a materialized view cannot be computed anew");
            return self.keep_failed(sql, answer, settings, error);
        }
        let elapsed = self.engine.rim().clock.monotonic().saturating_sub(begin);
        tracing::info!(view = %name, ?elapsed, "a materialized view was computed anew");
        if matches!(self.instance.session().catalog.object(name), Ok(Object::MaterializedView(view)) if view.is_final) {
            tracing::error!(
                view = %name,
                "final rows were computed anew from the rows that are there now: what was late counts, and what was deleted does not"
            );
        }
        Ok(())
    }
}

/// Makes a materialized view as it was made, from its tables or from what is stored of it.
pub(crate) fn compute(
    instance: &Instance,
    sql: &str,
    settings: &BTreeMap<String, String>,
    from: Option<&StoredView>,
) -> Result<(), SqlError> {
    let mut session = instance.session();
    for (key, value) in settings {
        session.settings_mut().set(key, value)?;
    }
    let ViewText { view, query, is_final } = stored_view(sql, session.settings().dialect())?;
    let _recovery = tracing::info_span!("view recovery", eddyline.view = %view.name).entered();
    let written = WrittenView { view: &view, query: &query, is_final, or_replace: false, from };
    session.create_materialized_view(&written, false).map_err(ScriptError::into_error)?;
    Ok(())
}

/// Lets a sink that writes a table here go on from what the table has. One that has failed, or cannot go on, says so in SHOW SINKS.
fn fill_on(
    instance: &Instance,
    name: &Name,
    settings: &BTreeMap<String, String>,
    failed: Option<SqlError>,
) -> Result<(), SqlError> {
    let mut session = instance.session();
    for (key, value) in settings {
        session.settings_mut().set(key, value)?;
    }
    let Ok(Object::Sink(sink)) = session.catalog().object(name).cloned() else { return Ok(()) };
    if sink.into.is_none() {
        return Ok(());
    }
    let begun = match failed {
        Some(error) => Err(error),
        None => session.fill_on(&sink),
    };
    match begun {
        Ok(()) => Ok(()),
        Err(error) => {
            tracing::warn!(sink = %name, error = error.message, "a sink does not go on");
            let schema = Arc::new(arrow::datatypes::Schema::empty());
            let started_ms = instance.engine().rim().clock.wall_ms();
            instance.database().add_failed(&FailedView { name, into: sink.into.as_ref(), schema, started_ms, error })
        }
    }
}

fn known_dialect(name: &str) -> Result<Dialect, SqlError> {
    Dialect::from_name(name).ok_or_else(|| SqlError::new(CORRUPTED, format!("a stored dialect is not known: {name}")))
}

/// The text of a view that is stored.
struct ViewText {
    view: View,
    query: Box<Query>,
    is_final: bool,
}

/// What `CREATE [MATERIALIZED] VIEW …` says.
fn stored_view(sql: &str, dialect: Dialect) -> Result<ViewText, SqlError> {
    match parse_in(sql, dialect)?.pop().map(|statement| statement.kind) {
        Some(StatementKind::CreateView { name, view, query, .. }) => {
            Ok(ViewText { view: View { name: stored_name(&name), ..view }, query, is_final: false })
        }
        Some(StatementKind::CreateMaterializedView { name, view, query, is_final, .. }) => {
            Ok(ViewText { view: View { name: stored_name(&name), ..view }, query, is_final })
        }
        _ => Err(SqlError::new(CORRUPTED, format!("a stored view does not read: {sql}"))),
    }
}

/// The name of a stored text.
fn stored_name(written: &Reference) -> Name {
    Name::new(written.schema.as_deref().unwrap_or(PUBLIC), &written.object)
}

/// What `CREATE INDEX …` says, of an index with this name.
fn stored_index(name: &Name, sql: &str, is_constraint: bool) -> Result<Index, SqlError> {
    match parse(sql)?.pop().map(|statement| statement.kind) {
        Some(StatementKind::CreateIndex(said)) => Ok(Index {
            name: name.clone(),
            table: stored_name(&said.table),
            columns: said.columns.into_iter().map(|(column, _)| column).collect(),
            unique: said.unique.map(|unique| Unique { is_constraint, ..unique }),
            comment: said.comment,
            temporary: false,
        }),
        _ => Err(SqlError::new(CORRUPTED, format!("a stored index does not read: {sql}"))),
    }
}

/// What `CREATE SINK …` says.
fn stored_sink(sql: &str, dialect: Dialect) -> Result<Sink, SqlError> {
    match parse_in(sql, dialect)?.pop().map(|statement| statement.kind) {
        Some(StatementKind::CreateSink { name, into, sink, .. }) => {
            let view = View { name: stored_name(&name), ..sink.view };
            Ok(Sink { view, into: into.as_ref().map(stored_name), ..sink })
        }
        _ => Err(SqlError::new(CORRUPTED, format!("a stored sink does not read: {sql}"))),
    }
}

impl Session {
    /// The table of `CREATE TABLE …`, as it was when it was stored.
    fn stored_table(&self, sql: &str, dialect: &str) -> Result<Table, SqlError> {
        // Types are written as Flink has them.
        match parse(sql)?.pop().map(|statement| statement.kind) {
            Some(StatementKind::CreateTable { name, table, .. }) => {
                let table = Table { name: stored_name(&name), dialect: known_dialect(dialect)?, ..table };
                self.with_definer(|definer| definer.planner.bind_table(table))
            }
            _ => Err(SqlError::new(CORRUPTED, format!("a stored table does not read: {sql}"))),
        }
    }

    /// A view that cannot be computed is there still, and says why when it is read.
    fn keep_failed(
        &mut self,
        sql: &str,
        answer: &str,
        settings: &BTreeMap<String, String>,
        error: SqlError,
    ) -> Result<(), SqlError> {
        let dialect = stored_dialect(settings)?;
        let ViewText { view, is_final, .. } = stored_view(sql, dialect)?;
        let table = Arc::new(self.stored_table(answer, dialect.name())?);
        let (name, schema, started_ms) = (&view.name, table.schema(), self.engine.rim().clock.wall_ms());
        self.instance.database().add_failed(&FailedView { name, into: None, schema, started_ms, error })?;
        let made = Object::MaterializedView(Arc::new(MaterializedView { view, table, is_final }));
        self.define(|catalog| {
            catalog.put(made);
            Ok(())
        })
    }

    /// Would this table be the same when it is read again?
    ///
    /// # Errors
    /// It would not.
    pub(crate) fn check_stored(&self, table: &Table) -> Result<(), SqlError> {
        if self.instance.durable().is_none() || table.temporary {
            return Ok(());
        }
        match self.stored_table(&table.to_sql(), table.dialect.name()) {
            Ok(read) if read.schema() == table.schema() && read.primary_key == table.primary_key => Ok(()),
            _ => Err(SqlError::new(
                SqlError::UNSUPPORTED,
                format!("table {} has columns of types that cannot be stored", table.name),
            )
            .with_hint("CREATE TEMPORARY TABLE makes a table that ends with the server")),
        }
    }

    /// Can this materialized view be computed anew when all that is stored is read again?
    ///
    /// # Errors
    /// It reads what is temporary.
    pub(crate) fn check_reads_stored(&self, view: &View) -> Result<(), SqlError> {
        if self.instance.durable().is_none() {
            return Ok(());
        }
        let is_temporary = |name: &&Name| match self.catalog.object(name) {
            Ok(Object::Table(table)) => table.temporary,
            Ok(Object::View(view)) => view.temporary,
            _ => false,
        };
        match names_read(view, &self.catalog).iter().find(is_temporary) {
            Some(name) => {
                let message =
                    format!("materialized view {} is stored, and reads {name}, which is temporary", view.name);
                Err(SqlError::new(SqlError::UNSUPPORTED, message)
                    .with_hint(format!("CREATE {name} without TEMPORARY, or leave {name} out")))
            }
            None => Ok(()),
        }
    }
}
