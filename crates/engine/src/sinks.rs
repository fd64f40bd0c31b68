//! CREATE SINK: a query whose answer a job of its own keeps up to date in a table outside.
//!
//! A sink is a name of the catalog, and a job in the background ([`crate::jobs`]) that is made of its definition: what reads what is the
//! catalog's, and where the job stands is that of the job. Both are stored by one record of the log, and go by one.
//!
//! The job reads from where the rows come: a materialized view over tables with connectors is computed by the job itself, so that
//! its input can be read again from a checkpoint, and what is written exactly once stays so. Rows that the engine keeps go out another way
//! ([`crate::outward`]).

use crate::changes::{WrittenView, by_itself, check_final, check_sources, collected, kept_tables};
use crate::creations::Creating;
use crate::ddl;
use crate::durable::{StoredJob, stored_settings};
use crate::error::{from_catalog, from_connector};
use crate::instance::Moves;
use crate::job::{self, Epochs};
use crate::kept::{IntoTable, NewView, Reads};
use crate::session::{Planned, created, created_message};
use crate::{Outcome, ScriptError, Session, delivery};
use arrow::datatypes::{DataType, SchemaRef};
use eddyline_catalog::{Catalog, MaterializedView, Name, Object, PUBLIC, Reference, Sink, Table, View, sql_type};
use eddyline_connectors::{SinkChanges, SinkRequest};
use eddyline_plan::{ChangeMode, OperatorSpec};
use eddyline_planner::parse::parse_query;
use eddyline_planner::statement::{Query, Statement, StatementKind, beside_defaults, is_written_out};
use eddyline_planner::{Emit, JobOutput, PlannedJob, PlannerOptions, SqlError, Target, TextPosition, names_read};
use eddyline_runtime::JobLog;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is to be told of rows that change: RisingWave's option.
const TYPE: &str = "type";
/// RisingWave's option of a sink that is to drop what takes rows back.
const FORCE_APPEND_ONLY: &str = "force_append_only";
/// The columns by which rows replace each other.
const PRIMARY_KEY: &str = "primary_key";

impl Session {
    /// CREATE SINK. Over input that ends, it returns when all is written.
    ///
    /// # Errors
    /// The name is taken; a query that cannot be kept up to date, or that the place does not take; the place cannot be opened.
    pub(crate) fn create_sink(
        &mut self,
        &WrittenSink { sink: written, query, into_at }: &WrittenSink<'_>,
        if_not_exists: bool,
    ) -> Result<Outcome, ScriptError> {
        let name = &written.view.name;
        let mut names = self.names_read(&written.view);
        names.extend(written.into.iter().chain([name]).cloned());
        let _reserved = self.reserve(names)?;
        if ddl::is_there(&self.catalog, name, if_not_exists) {
            return Ok(created("sink", name, false));
        }
        if written.into.is_none() {
            self.check_can_keep(name)?;
        }
        self.check_reads_stored(&written.view)?;
        let own = self.session_of_sink(written)?;
        if let Some(table) = &written.into {
            let is_there = self.catalog.table(table).map_err(from_catalog);
            into_at.map_or(is_there.clone(), |at| is_there.map_err(|e| e.at(at)))?;
            return self.create_sink_into(&own, written, query, table);
        }
        let planned = own.planned_sink(written, query)?;
        let sink = Sink { job: self.instance.jobs().next_id(), ..written.clone() };
        let stored = StoredJob {
            id: sink.job,
            sql: sink.to_sql(),
            settings: stored_settings(&own.settings),
            submitted: None,
            from: None,
            allowed: None,
            rest: None,
        };
        let (id, object) = (sink.job, Object::Sink(Arc::new(sink)));
        let moves = Moves { jobs_come: vec![stored.clone()], ..Moves::default() };
        // Stored before it runs: whatever becomes of the process, it goes on.
        self.define_with(&moves, |catalog| ddl::add(catalog, object, false))?;
        if let Err(error) = self.instance.begin_stored(&stored, JobLog::default(), &self.canceller) {
            self.take_away("sink", name, true)?;
            return Err(error.into());
        }
        if let Err(error) = self.instance.await_bounded(id, format!("sink {name}"), &self.canceller) {
            self.take_away("sink", name, true)?;
            return Err(ScriptError::Job(error));
        }
        // What is written is not written again by the next process.
        self.instance.forget_finished()?;
        let mut told = vec![format!("{}; it is written by job {id} '{name}'", created_message("sink", name, true))];
        told.extend(self.delivery_of(&own, written, &planned)?);
        told.extend(planned.warnings);
        Ok(Outcome::Noted(told.join("; ")))
    }

    /// Jobs of a data directory belong to a server.
    fn check_can_keep(&self, name: &Name) -> Result<(), SqlError> {
        match self.instance.durable().is_some_and(|durable| !durable.has_jobs()) {
            true => {
                let message =
                    format!("sink {name} would be written by a job, and jobs of this directory run in a server");
                Err(SqlError::new(SqlError::UNSUPPORTED, message)
                    .with_hint("CREATE SINK over psql, while `eddyline serve` has the directory"))
            }
            false => Ok(()),
        }
    }

    /// How often a row reaches the sink over a failure, as its job keeps checkpoints.
    fn delivery_of(&self, own: &Session, sink: &Sink, planned: &PlannedJob) -> Result<Vec<String>, SqlError> {
        if own.is_outward(sink) {
            return self.delivery_of_kept(planned);
        }
        let mut settings = own.settings.clone();
        if let (Some(durable), "") = (self.instance.durable(), settings.checkpoints_dir()) {
            let directory = durable.job_directory(0);
            settings.set("state.checkpoints.dir", &directory.to_string_lossy())?;
        }
        delivery::lines(self.engine.registry(), &settings, &planned.dataflow)
    }

    /// What the job of a sink runs in: its settings, and the names as it reads them.
    ///
    /// # Errors
    /// A setting that is none.
    pub(crate) fn session_of_sink(&self, sink: &Sink) -> Result<Session, SqlError> {
        let mut settings = self.settings.clone();
        // Its text says in which schemas its names are.
        settings.reset("search_path")?;
        settings.set("execution.emit", if sink.is_final { "final" } else { "on-update" })?;
        if settings.pipeline_name().is_none() {
            settings.set("pipeline.name", &sink.view.name.to_string())?;
        }
        let mut catalog = Catalog::clone(&self.catalog);
        let is_outward = self.is_outward(sink);
        for (_, object) in self.catalog.objects() {
            if let Object::MaterializedView(made) = object
                && !is_outward
                && !reads_kept(&made.view, &self.catalog)
            {
                catalog.put(Object::View(Arc::new(made.view.clone())));
            }
        }
        let mut own = Session {
            catalog: Arc::new(catalog),
            settings,
            user: self.user.clone(),
            public: self.public.clone(),
            canceller: self.canceller.clone(),
            ..Session::new(self.instance.clone())
        };
        own.know_keys(&sink.view);
        Ok(own)
    }

    /// Lets this session know what tells the rows of the materialized views apart that a view reads.
    fn know_keys(&mut self, view: &View) {
        for name in self.names_read(view) {
            let Ok(Object::MaterializedView(made)) = self.catalog.object(&name).cloned() else { continue };
            if !made.table.primary_key.is_empty() {
                continue;
            }
            self.know_keys(&made.view);
            // What is wrong with its query is told when its rows are read.
            let Ok(key) = self.key_of(&made) else { continue };
            let table = Arc::new(Table { primary_key: key, ..made.table.as_ref().clone() });
            let keyed = MaterializedView { table, ..made.as_ref().clone() };
            Arc::make_mut(&mut self.catalog).put(Object::MaterializedView(Arc::new(keyed)));
        }
    }

    fn key_of(&self, made: &MaterializedView) -> Result<Vec<String>, ScriptError> {
        let MaterializedView { view, is_final, .. } = made;
        let query = parse_query(&view.sql, view.dialect)?;
        let written = WrittenView { view, query: &query, is_final: *is_final, or_replace: false, from: None };
        let plan = self.planned_kept_up(&written)?.plan;
        let written = plan.job.dataflow.nodes().iter().find_map(|node| match &node.spec {
            OperatorSpec::Sink(sink) => sink.key.as_ref().map(|key| (key, &sink.schema)),
            _ => None,
        });
        let names = written.map(|(key, schema)| key.iter().map(|at| schema.field(*at).name().clone()).collect());
        Ok(names.unwrap_or_default())
    }

    /// The job of a sink, planned to be looked at.
    fn planned_sink(&self, sink: &Sink, query: &Query) -> Result<PlannedJob, SqlError> {
        let planned = self.plan_sink(sink, vec![self.sink_output(sink, query)?]).map_err(without_conflict)?;
        if sink.is_final {
            check_final(&planned.dataflow)?;
        }
        self.check_type(sink, &planned)?;
        let kept = kept_tables(&planned.dataflow);
        check_sources(&planned.dataflow, &kept)?;
        Ok(planned)
    }

    /// Plans what a sink writes. `self` is the session of the sink.
    ///
    /// # Errors
    /// What cannot be planned.
    pub(crate) fn plan_sink(&self, sink: &Sink, outputs: Vec<JobOutput>) -> Result<PlannedJob, SqlError> {
        // As for a view: statements change little at a time.
        let options = PlannerOptions { shards: 1, ..self.planner_options() };
        match sink.into.is_some() || self.is_outward(sink) {
            true => Ok(self.plan_reading(outputs, &options, Reads::Changes, 0)?.job),
            false => self.plan(outputs),
        }
    }

    /// What EXPLAIN says of how often a row reaches what a job writes.
    ///
    /// # Errors
    /// A table that cannot be opened.
    pub(crate) fn explained_delivery(
        &self,
        statement: &Statement,
        planned: &PlannedJob,
    ) -> Result<Vec<String>, SqlError> {
        if let StatementKind::CreateSink { name, into, sink, .. } = &statement.kind
            && self.is_outward(&self.placed_sink(name, into.as_ref(), sink)?)
        {
            return self.delivery_of_kept(planned);
        }
        delivery::lines(self.engine.registry(), &self.settings, &planned.dataflow)
    }

    fn delivery_of_kept(&self, planned: &PlannedJob) -> Result<Vec<String>, SqlError> {
        let is_stored = self.instance.durable().is_some_and(|durable| durable.has_jobs());
        delivery::of_kept(self.engine.registry(), &self.settings, &planned.dataflow, is_stored)
    }

    pub(crate) fn is_outward(&self, sink: &Sink) -> bool {
        is_outward(sink, &self.catalog)
    }

    /// What is written must be what 'type' says.
    fn check_type(&self, sink: &Sink, planned: &PlannedJob) -> Result<(), SqlError> {
        let nodes = planned.dataflow.nodes();
        let written = nodes.iter().find_map(|node| match &node.spec {
            OperatorSpec::Sink(spec) => Some((spec, &nodes[node.inputs.first()?.from].traits)),
            _ => None,
        });
        let (Some((spec, given)), Some(said)) = (written, sink.options.get(TYPE)) else { return Ok(()) };
        let refused = |why: &str, hint: &str| {
            let message = format!("sink {} with 'type' = '{said}': {why}", sink.view.name);
            Err(SqlError::new(SqlError::UNSUPPORTED, message).with_hint(hint))
        };
        let request = SinkRequest {
            table: spec.table.clone(),
            schema: spec.schema.clone(),
            key: spec.key.clone(),
            time_zone: self.settings.time_zone().to_owned(),
            lineage: None,
        };
        let outside = self.engine.registry().sink(&spec.options, request).map_err(|e| from_connector(&e))?;
        match said.to_ascii_lowercase().as_str() {
            "append-only" if given.mode != ChangeMode::AppendOnly => refused(
                &format!("the query takes rows back ({})", given.reason),
                "EMIT ON WINDOW CLOSE of a window's result is append-only; FORMAT DEBEZIUM ENCODE JSON tells of every change",
            ),
            "upsert" if outside.changes() == SinkChanges::Inserts => {
                refused("its format cannot say that a row replaces another", "write FORMAT UPSERT ENCODE JSON")
            }
            _ => Ok(()),
        }
    }

    /// What the job of a sink writes.
    ///
    /// # Errors
    /// What is wrong with the query or the options.
    pub(crate) fn sink_output(&self, sink: &Sink, query: &Query) -> Result<JobOutput, SqlError> {
        if let Some(table) = &sink.into {
            let table = self.catalog.table(table).map_err(from_catalog)?;
            return Ok(written_into(sink, query, table, 0)?.0);
        }
        let answer = self.with_definer(|definer| definer.answer(&sink.view, query))?;
        let table = Arc::new(outside(sink, answer)?);
        Ok(JobOutput {
            query: query.clone(),
            target: Target::Table { table, columns: Vec::new(), conflict: None },
            position: None,
        })
    }

    /// What the job of a sink writes, under the name that the sink was made with, which is that of the job: what the job has prepared and not
    /// made visible is kept under it.
    pub(crate) fn under_first_name(&self, sink: &Sink, output: JobOutput) -> JobOutput {
        let name = sink.view.name.to_string();
        let first = self.settings.pipeline_name().filter(|first| *first != name);
        match (output.target, first) {
            (Target::Table { table, columns, conflict }, Some(first)) => {
                let (schema, object) = first.split_once('.').unwrap_or((PUBLIC, first));
                let table = Arc::new(Table { name: Name::new(schema, object), ..table.as_ref().clone() });
                JobOutput { target: Target::Table { table, columns, conflict }, ..output }
            }
            (target, _) => JobOutput { target, ..output },
        }
    }

    /// What EXPLAIN of CREATE SINK is about.
    ///
    /// # Errors
    /// What is wrong with the statement.
    pub(crate) fn of_sink(&self, statement: &Statement) -> Result<Option<ExplainedSink>, SqlError> {
        let StatementKind::CreateSink { name, into, sink, query, .. } = &statement.kind else { return Ok(None) };
        let sink = self.placed_sink(name, into.as_ref(), sink)?;
        let own = self.session_of_sink(&sink)?;
        let outputs = vec![own.sink_output(&sink, query)?];
        Ok(Some(ExplainedSink { sink, own, outputs }))
    }

    /// The session in which a sink is planned, and what its job writes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn outputs_of_sink(&self, sink: &Sink) -> Result<(Session, Vec<JobOutput>), SqlError> {
        let own = self.session_of_sink(sink)?;
        let query = parse_query(&sink.view.sql, sink.view.dialect)?;
        let output = own.sink_output(sink, &query)?;
        Ok((own, vec![output]))
    }

    /// A sink that is about to be made, with the names that are meant.
    ///
    /// # Errors
    /// Another database; no such schema.
    pub(crate) fn placed_sink(
        &self,
        name: &Reference,
        into: Option<&Reference>,
        sink: &Sink,
    ) -> Result<Sink, SqlError> {
        let view = self.placed_view(name, &sink.view)?;
        let into = into.map(|into| self.resolve(into)).transpose()?;
        Ok(Sink { view, into, ..sink.clone() })
    }
}

/// CREATE SINK, as it was written.
pub(crate) struct WrittenSink<'w> {
    pub(crate) sink: &'w Sink,
    pub(crate) query: &'w Query,
    /// Where the table stands that it writes into.
    pub(crate) into_at: Option<TextPosition>,
}

/// A sink that is looked at.
pub(crate) struct ExplainedSink {
    pub(crate) sink: Sink,
    /// The session in which it is planned.
    pub(crate) own: Session,
    /// What it would write.
    pub(crate) outputs: Vec<JobOutput>,
}

/// What a sink writes into a table here, to be read from a channel, and the columns of it.
fn written_into(sink: &Sink, query: &Query, table: &Table, channel: u64) -> Result<(JobOutput, SchemaRef), SqlError> {
    let name = &sink.view.name;
    let is_left_out = |key: &&String| !sink.columns.is_empty() && !sink.columns.contains(key);
    if let Some(key) = table.primary_key.iter().find(is_left_out) {
        let message =
            format!("sink {name}: column {key} is of the PRIMARY KEY of table {} and is not written", table.name);
        return Err(SqlError::new(SqlError::UNSUPPORTED, message).with_hint("name it among the columns behind INTO"));
    }
    let (query, columns) = match sink.columns.is_empty() {
        true => (query.clone(), Vec::new()),
        false => beside_defaults(query, &sink.columns, table)?,
    };
    let written = Table { watermark: None, ..collected(table.clone(), channel) };
    let schema = written.sink_schema();
    let target = Target::Table { table: Arc::new(written), columns, conflict: None };
    Ok((JobOutput { query, target, position: None }, schema))
}

/// A sink into a table here that is about to be made.
struct PlannedSink {
    plan: Planned,
    /// Of the channel that brings its changes.
    number: u64,
    schema: SchemaRef,
    /// The tables and views here that it reads.
    tables: Vec<Name>,
    times: BTreeMap<Name, usize>,
}

/// Sinks into tables that the engine keeps. They are views whose answer is kept in another table, changed by the same statements and stored
/// by the same records; so that table is of one moment with what the sink reads, also after a crash.
impl Session {
    fn create_sink_into(
        &mut self,
        own: &Session,
        sink: &Sink,
        query: &Query,
        table: &Name,
    ) -> Result<Outcome, ScriptError> {
        let name = &sink.view.name;
        let planned = own.planned_into(sink, query, table)?;
        let job = self.instance.jobs().next_id();
        let object = Object::Sink(Arc::new(Sink { job, ..sink.clone() }));
        // What a crash leaves of it without its first rows is dropped at the next start.
        self.define(|catalog| ddl::add(catalog, object, false))?;
        if let Err(error) = own.attach(sink, table, planned, false) {
            self.take_away("sink", name, true)?;
            return Err(error);
        }
        Ok(created("sink", name, true))
    }

    /// Begins a sink again that writes a table here, which has all that it has written.
    ///
    /// # Errors
    /// Its query does not hold any more, or fails.
    pub(crate) fn fill_on(&self, sink: &Sink) -> Result<(), SqlError> {
        let Some(table) = &sink.into else { return Ok(()) };
        let own = self.session_of_sink(sink)?;
        let query = parse_query(&sink.view.sql, sink.view.dialect)?;
        let planned = own.planned_into(sink, &query, table).map_err(ScriptError::into_error)?;
        own.attach(sink, table, planned, true).map_err(ScriptError::into_error)
    }

    fn planned_into(&self, sink: &Sink, query: &Query, table: &Name) -> Result<PlannedSink, ScriptError> {
        let name = &sink.view.name;
        let target = self.catalog.table(table).map_err(from_catalog)?.clone();
        let refused = |message: String, hint: &str| {
            Err(ScriptError::Statement(
                SqlError::new(SqlError::UNSUPPORTED, format!("sink {name}: {message}")).with_hint(hint),
            ))
        };
        if !target.is_kept() {
            return refused(
                format!("INTO {} {table}, whose rows are behind a connector", Object::Table(target).kind()),
                "give the sink the options of the connector: WITH (connector = …)",
            );
        }
        if target.temporary && self.instance.durable().is_some() {
            return refused(format!("INTO table {table}, which is temporary"), "CREATE TABLE it without TEMPORARY");
        }
        if let Some(option) = sink.options.keys().next() {
            return refused(
                format!("option '{option}' of a sink INTO a table"),
                "leave WITH out: the table says what becomes of its rows",
            );
        }
        if sink.is_final {
            return refused(
                "EMIT ON WINDOW CLOSE of a sink INTO a table".into(),
                "CREATE MATERIALIZED VIEW … EMIT ON WINDOW CLOSE, and a sink from that",
            );
        }
        if self.is_from(&sink.view, table) {
            return refused(format!("it would read table {table}, which it writes"), "write another table");
        }
        self.check_columns_into(sink, query, &target)?;
        let number = self.engine.next_channel();
        let (output, schema) = written_into(sink, query, &target, number)?;
        let outputs = vec![output];
        let options = PlannerOptions { shards: 1, emit: Emit::OnUpdate, ..self.planner_options() };
        let plan = self.plan_reading(outputs, &options, Reads::Changes, number);
        let plan = plan.map_err(|error| self.of_default(sink, &target, without_conflict(error)))?;
        let tables = kept_tables(&plan.job.dataflow);
        check_sources(&plan.job.dataflow, &tables)?;
        if tables.is_empty() || tables.iter().any(|table| self.is_from_connectors(table)) {
            return refused(
                format!("INTO table {table}, from a connector"),
                "CREATE MATERIALIZED VIEW over the source, and read that; sinks INTO tables read tables and views here",
            );
        }
        let nodes = plan.job.dataflow.nodes();
        let given =
            nodes.iter().find(|node| matches!(node.spec, OperatorSpec::Sink(_))).and_then(|sink| sink.inputs.first());
        if let Some(given) = given.map(|input| &nodes[input.from].traits)
            && given.mode != ChangeMode::AppendOnly
            && target.primary_key.is_empty()
        {
            return refused(
                format!("its rows change ({}), and table {table} has no PRIMARY KEY to find them by", given.reason),
                "CREATE TABLE … (…, PRIMARY KEY (…))",
            );
        }
        let times = self.times_of(&plan.job.dataflow)?;
        Ok(PlannedSink { plan, number, schema, tables, times })
    }

    /// The columns of the query are those of the table that are written: as many of them, and texts where texts are wanted. A statement
    /// finds out whether a text is a number when it reads it; a sink would fail long after it was made.
    fn check_columns_into(&self, sink: &Sink, query: &Query, target: &Table) -> Result<(), SqlError> {
        let (name, table) = (&sink.view.name, &target.name);
        let found = self.with_definer(|definer| definer.columns_of(query))?;
        let all = target.sink_schema();
        let mut wanted: Vec<&str> = sink.columns.iter().map(String::as_str).collect();
        if wanted.is_empty() {
            wanted.extend(all.fields().iter().map(|field| field.name().as_str()));
            // The first ones.
            wanted.truncate(found.fields().len().max(1));
        }
        if found.fields().len() != wanted.len() {
            let message = format!(
                "sink {name}: the query has {} columns, and {} of table {table} are written: {}",
                found.fields().len(),
                wanted.len(),
                wanted.join(", ")
            );
            return Err(SqlError::new(SqlError::DATATYPE_MISMATCH, message).with_hint(format!(
                "CREATE SINK {name} INTO {table} (column, …) AS … names the columns, one for each of the query"
            )));
        }
        for (at, (given, column)) in found.fields().iter().zip(wanted).enumerate() {
            let Ok(field) = all.field_with_name(column) else { continue };
            let is_text = |of: &DataType| *of == DataType::Utf8;
            if is_text(given.data_type()) && !is_text(field.data_type()) && !is_written_out(query, at) {
                let (wanted, at) = (sql_type(field.data_type()), at + 1);
                let message = format!(
                    "sink {name}: column {column} of table {table} is {wanted}, and column {at} of the query is a text"
                );
                return Err(SqlError::new(SqlError::DATATYPE_MISMATCH, message)
                    .with_hint(format!("say that it is to be read as one: CAST(… AS {wanted})")));
            }
        }
        Ok(())
    }

    /// Why a sink cannot be planned: a DEFAULT that is another each time may be at fault.
    fn of_default(&self, sink: &Sink, target: &Table, error: SqlError) -> SqlError {
        if sink.columns.is_empty() || error.sqlstate != SqlError::UNSUPPORTED {
            return error;
        }
        let options = self.planner_options();
        match self.planner(&self.catalog, &options).varying_default(target, &sink.columns) {
            Ok(Some(column)) => {
                let (name, column, default) = (&sink.view.name, &column.name, column.default.as_deref());
                let message = format!(
                    "sink {name}: column {column} of table {} is left out, and its DEFAULT {} is another value each time",
                    target.name,
                    default.unwrap_or_default()
                );
                SqlError::new(SqlError::UNSUPPORTED, message)
                    .with_detail("a row that the query takes back is the one that was written")
                    .with_hint(format!(
                        "name {column} among the columns behind INTO, and give it a value that comes from the rows"
                    ))
            }
            _ => error,
        }
    }

    fn attach(&self, sink: &Sink, table: &Name, planned: PlannedSink, is_filled: bool) -> Result<(), ScriptError> {
        let PlannedSink { plan, number, schema, tables, times } = planned;
        let tables: Vec<&Name> = tables.iter().collect();
        let into = Some(IntoTable { table, is_filled });
        let canceller = &self.canceller;
        let mut creating = None;
        let (name, is_stored, from) = (&sink.view.name, false, None);
        let added = NewView { name, tables: &tables, times: &times, into, canceller, is_stored, from };
        let beginning = by_itself(format!("sink {}", sink.view.name), 1);
        self.instance.database().add_view(&added, |feeds| {
            let _found = self.engine.kept().register(number, feeds);
            let job = job::start(&self.engine, &self.settings, 1, beginning, plan, Some(number), Epochs::OnDemand)?;
            creating = Some(Creating::new(&self.instance, canceller, &job, feeds));
            Ok((job, schema))
        })?;
        Ok(())
    }

    /// Does a view read a table, itself, or through views and sinks?
    fn is_from(&self, view: &View, table: &Name) -> bool {
        let (mut seen, mut rest) = (BTreeSet::new(), self.names_read(view));
        while let Some(name) = rest.pop_first() {
            if name == *table {
                return true;
            }
            if !seen.insert(name.clone()) {
                continue;
            }
            for (other, object) in self.catalog.objects() {
                match object {
                    Object::MaterializedView(made) if *other == name => rest.extend(self.names_read(&made.view)),
                    Object::Sink(sink) if sink.into.as_ref() == Some(&name) => {
                        rest.extend(self.names_read(&sink.view));
                    }
                    _ => {}
                }
            }
        }
        false
    }

    /// Does a materialized view read a table with a connector, itself or through others?
    fn is_from_connectors(&self, name: &Name) -> bool {
        match self.catalog.object(name) {
            Ok(Object::Table(table)) => !table.is_kept(),
            Ok(Object::MaterializedView(made)) => {
                self.names_read(&made.view).iter().any(|name| self.is_from_connectors(name))
            }
            _ => false,
        }
    }
}

/// A sink has no ON CONFLICT to say what becomes of rows of one key.
fn without_conflict(error: SqlError) -> SqlError {
    match error.hint.as_ref().is_some_and(|hint| hint.contains("ON CONFLICT")) {
        true => error.with_hint("let the PRIMARY KEY hold what tells the rows of the query apart, or GROUP BY it"),
        false => error,
    }
}

/// Does a sink to a connector read what the engine keeps?
pub(crate) fn is_outward(sink: &Sink, catalog: &Catalog) -> bool {
    sink.into.is_none() && reads_kept(&sink.view, catalog)
}

/// The sink that a job writes.
pub(crate) fn sink_of_job(catalog: &Catalog, id: u64) -> Option<Arc<Sink>> {
    catalog.objects().find_map(|(_, object)| match object {
        Object::Sink(sink) if sink.into.is_none() && sink.job == id => Some(sink.clone()),
        _ => None,
    })
}

/// Does a view read rows that the engine keeps, itself or through others?
fn reads_kept(view: &View, catalog: &Catalog) -> bool {
    let read = names_read(view, catalog);
    read.iter().any(|name| match catalog.object(name) {
        Ok(Object::Table(table)) => table.is_kept(),
        Ok(Object::MaterializedView(made)) => reads_kept(&made.view, catalog),
        _ => false,
    })
}

/// The table outside that a sink writes.
///
/// # Errors
/// Options of the sink that are none, or are not there.
fn outside(sink: &Sink, answer: Table) -> Result<Table, SqlError> {
    let name = &sink.view.name;
    let invalid = |message: String| SqlError::new(SqlError::INVALID_PARAMETER, format!("sink {name}: {message}"));
    let mut options = sink.options.clone();
    let key: Vec<String> = match options.remove(PRIMARY_KEY) {
        Some(key) => key.split(',').map(|column| column.trim().to_owned()).collect(),
        None => Vec::new(),
    };
    if let Some(column) = key.iter().find(|key| !answer.columns.iter().any(|column| column.name == **key)) {
        let columns: Vec<&str> = answer.columns.iter().map(|column| column.name.as_str()).collect();
        return Err(invalid(format!("'{PRIMARY_KEY}' names {column}, which is no column of the query"))
            .with_hint(format!("the columns are {}", columns.join(", "))));
    }
    if let Some(force) = options.remove(FORCE_APPEND_ONLY)
        && !force.eq_ignore_ascii_case("false")
    {
        return Err(SqlError::new(SqlError::UNSUPPORTED, format!("sink {name}: '{FORCE_APPEND_ONLY}' = '{force}'"))
            .with_detail("it drops what takes rows back, so that the outside is not the answer of the query any more")
            .with_hint("write where changes can be told: FORMAT DEBEZIUM ENCODE JSON, or FORMAT UPSERT with primary_key; or EMIT ON WINDOW CLOSE"));
    }
    let of = options.remove(TYPE);
    match of.as_deref().map(str::to_ascii_lowercase).as_deref() {
        // The planner finds out whether the query and the format are so.
        None | Some("append-only") => {}
        Some("upsert") if key.is_empty() => {
            return Err(invalid("'type' = 'upsert' without a key".into())
                .with_hint("say by which columns rows replace each other: primary_key = 'a, b'"));
        }
        Some("upsert") => {}
        Some(other) => {
            return Err(invalid(format!("'type' = '{other}'"))
                .with_hint("there are 'append-only' and 'upsert'; FORMAT DEBEZIUM ENCODE JSON tells of every change"));
        }
    }
    let mut columns = answer.columns;
    columns.iter_mut().filter(|column| key.contains(&column.name)).for_each(|column| column.nullable = false);
    Ok(Table { options, primary_key: key, columns, ..answer })
}
