//! A session: names, settings, and statements one after the other.

use crate::attached::Attached;
use crate::beginning::{Beginning, Begins};
use crate::changes::WrittenView;
use crate::collect::{CHANNEL, COLLECT};
use crate::ddl::{self, Definer};
use crate::error::state::WRONG_OBJECT;
use crate::error::{from_catalog, from_connector, from_runtime};
use crate::indexes::orders;
use crate::instance::{Instance, Moves};
use crate::job::{self, Epochs, RunningJob};
use crate::kept::Reads;
use crate::listing::Listing;
use crate::moment::{Reading, is_change};
use crate::reservation::{Canceller, Reservation};
use crate::scan::{Scan, ScanPlan};
use crate::settings::{self, SettingKind};
use crate::show::CheckpointPlace;
use crate::sinks::WrittenSink;
use crate::state_tables::StateTables;
use crate::{Engine, ScriptError, Settings, show, subscribe};
use arrow::datatypes::{DataType, SchemaRef};
use eddyline_catalog::{Catalog, CatalogError, ColumnSource, Name, Object, Reference, SearchPath, Table};
use eddyline_connectors::{SinkChanges, SourceChanges};
use eddyline_functions::scalar::Moment;
use eddyline_planner::statement::{Conflict, Insert, Query, Show, Statement, StatementKind};
use eddyline_planner::{JobOutput, PlannedJob, Planner, PlannerOptions, SqlError, Target, parse_in};
use eddyline_runtime::Alteration;
use eddyline_users::{ROOT, Users};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a statement came to.
pub enum Outcome {
    /// It is done; the text says what, in a line.
    Done(String),
    /// Rows of a table that the engine keeps have changed.
    Changed {
        /// How many.
        rows: usize,
        /// What was done, in a line.
        message: String,
    },
    /// Rows of a table that the engine keeps have changed, and RETURNING asks for these.
    Returned(Listing),
    /// It is done, and the text says what the user should know.
    Noted(String),
    /// A small table: SHOW, DESCRIBE, EXPLAIN, SET.
    Listing(Listing),
    /// A job was started.
    Job(Box<RunningJob>),
}

/// What a statement came to, where rows may be computed as they are asked for.
pub enum Answer {
    /// The rows of a SELECT.
    Rows(Box<Scan>),
    /// What any other statement came to.
    Outcome(Outcome),
}

/// Settings, and the instance under them, which other sessions may share.
pub struct Session {
    pub(crate) engine: Engine,
    pub(crate) instance: Instance,
    /// The names as the statement sees them.
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) settings: Settings,
    /// What is searched unless something else is said.
    pub(crate) public: SearchPath,
    pub(crate) canceller: Canceller,
    /// How its next job is to begin.
    pub(crate) begins: Begins,
    pub(crate) reading: Reading,
    /// Relations that the statement finds beside what the catalog has.
    pub(crate) attached: Attached,
    /// By the names of views that are about to be replaced, what those are called that take their places.
    pub(crate) takers: BTreeMap<Name, Name>,
    /// Whose it is: a schema of that name is looked into first, where `search_path` says `"$user"`.
    pub(crate) user: String,
}

impl Session {
    pub(crate) fn new(instance: Instance) -> Self {
        Self {
            engine: instance.engine().clone(),
            catalog: instance.catalog(),
            instance,
            settings: Settings::new(),
            public: SearchPath::default(),
            canceller: Canceller::default(),
            begins: Begins::default(),
            reading: Reading::default(),
            attached: Attached::default(),
            takers: BTreeMap::new(),
            user: ROOT.to_owned(),
        }
    }

    /// The session of a user; without it, it is root's.
    #[must_use]
    pub fn of_user(mut self, user: &str) -> Self {
        user.clone_into(&mut self.user);
        self
    }

    /// Whose it is.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Who may connect.
    pub fn users(&self) -> Arc<Users> {
        self.instance.users()
    }

    /// Cancels the statement that is being executed, from another thread.
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// The names that other sessions have made meanwhile are there too.
    pub(crate) fn refresh(&mut self) {
        self.catalog = self.attached.beside(self.instance.catalog());
    }

    /// Has names to itself, and sees what they stand for now.
    pub(crate) fn reserve(&mut self, names: BTreeSet<Name>) -> Result<Reservation, SqlError> {
        let reserved = self.instance.reserve(names, &self.canceller)?;
        self.refresh();
        Ok(reserved)
    }

    pub(crate) fn reserve_one(&mut self, name: &Name) -> Result<Reservation, SqlError> {
        self.reserve(BTreeSet::from([name.clone()]))
    }

    /// Changes what names stand for.
    pub(crate) fn define<T>(
        &mut self,
        change: impl FnOnce(&mut Catalog) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        let done = self.instance.define(&self.settings, change);
        self.refresh();
        done
    }

    /// As [`define`](Self::define), with what else changes by it.
    pub(crate) fn define_with<T>(
        &mut self,
        moves: &Moves,
        change: impl FnOnce(&mut Catalog) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        let done = self.instance.define_moving(&self.settings, moves, change, |_| {});
        self.refresh();
        done
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The settings, to change them.
    pub fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// The names.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The version of the catalog as it is now: another one where names stand for something else.
    pub fn names_version(&mut self) -> u64 {
        self.refresh();
        self.catalog.version()
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// How many shards a job of this session has.
    pub fn shards(&self) -> usize {
        self.settings.shards().unwrap_or(self.engine.shards())
    }

    /// Executes one statement. An INSERT is a job of its own here; [`run_script`](Self::run_script) joins them.
    ///
    /// # Errors
    /// [`ScriptError::Statement`] with the place in the text that was parsed; [`ScriptError::Job`] where its tables
    /// cannot be opened.
    pub fn execute(&mut self, statement: &Statement) -> Result<Outcome, ScriptError> {
        if is_change(&statement.kind) {
            self.end_moment();
        }
        self.refresh();
        self.execute_anywhere(statement).map_err(|e| e.at(statement.position))
    }

    /// As [`execute`](Self::execute). A SELECT that looks at rows of what the engine keeps, each by itself, is answered without a job.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub fn answer(&mut self, statement: &Statement) -> Result<Answer, ScriptError> {
        let StatementKind::Select(query) = &statement.kind else { return self.execute(statement).map(Answer::Outcome) };
        self.begin_moment()?;
        self.refresh();
        self.answer_select(query).map_err(|e| e.at(statement.position))
    }

    fn execute_anywhere(&mut self, statement: &Statement) -> Result<Outcome, ScriptError> {
        match &statement.kind {
            StatementKind::CreateTable { name, table, query, .. } => {
                let name = self.place(name)?;
                let kind = if table.is_source { "source" } else { "table" };
                let is_new = self.create_table(statement)?;
                match query {
                    Some(query) if is_new && self.is_kept(&name) => self.fill(&name, query, statement.position),
                    Some(query) if is_new => self.start(vec![self.table_output(&name, Vec::new(), query, None)?]),
                    _ => Ok(created(kind, &name, is_new)),
                }
            }
            StatementKind::CreateView { name, view, query, if_not_exists, or_replace } => {
                let view = self.placed_view(name, view)?;
                let reserved = self.reserve_one(&view.name)?;
                if ddl::is_there(&self.catalog, &view.name, *if_not_exists) {
                    return Ok(created("view", &view.name, false));
                }
                let made = Arc::new(self.with_definer(|definer| definer.view(view.clone(), query))?);
                if !*or_replace {
                    self.define(|catalog| ddl::add(catalog, Object::View(made), false))?;
                    return Ok(created("view", &view.name, true));
                }
                // It is taken again together with those of what reads it.
                drop(reserved);
                let warnings = self.replace_view(&Object::View(made))?;
                let created = created_message("view", &view.name, true);
                Ok(match warnings.is_empty() {
                    true => Outcome::Done(created),
                    false => Outcome::Noted(format!("{created}; {}", warnings.join("; "))),
                })
            }
            StatementKind::CreateMaterializedView { name, view, query, if_not_exists, or_replace, is_final } => {
                let view = &self.placed_view(name, view)?;
                let written = WrittenView { view, query, is_final: *is_final, or_replace: *or_replace, from: None };
                self.create_materialized_view(&written, *if_not_exists)
            }
            StatementKind::CreateSink { name, into, into_at, sink, query, if_not_exists } => {
                let sink = &self.placed_sink(name, into.as_ref(), sink)?;
                self.create_sink(&WrittenSink { sink, query, into_at: *into_at }, *if_not_exists)
            }
            StatementKind::CreateIndex(said) => self.create_index(said).map_err(Into::into),
            StatementKind::Drop { kind, names, if_exists, cascade } => {
                Ok(self.drop_all(kind, names, *if_exists, *cascade)?)
            }
            StatementKind::Database(statement) => Ok(Outcome::Done(self.instance.database_statement(statement)?)),
            StatementKind::Schema(statement) => Ok(self.schema_statement(statement)?),
            StatementKind::Alter(alter) => self.alter(alter).map_err(Into::into),
            StatementKind::Comment(comment) => self.comment(comment).map_err(Into::into),
            StatementKind::Subscribe(_) => Err(subscribe::by_itself().into()),
            StatementKind::Update(update) => self.update(update),
            StatementKind::Delete(delete) => self.delete(delete),
            StatementKind::Flush => Ok(Outcome::Done("every view contains what statements have changed".into())),
            StatementKind::Insert(insert) if self.keeps(&insert.table) => self.insert(insert),
            StatementKind::Insert(_) | StatementKind::StatementSet(_) => self.start_in_background(statement),
            StatementKind::Select(query) => self.select(query),
            StatementKind::Explain { stage, statement } => Ok(Outcome::Listing(self.explain(*stage, statement)?)),
            StatementKind::ExplainState(statement) => Ok(Outcome::Listing(self.explain_state(statement)?)),
            StatementKind::ExplainAlter { from, statement } => {
                Ok(Outcome::Listing(self.explain_alter(from.as_deref(), statement)?))
            }
            StatementKind::Job(job) => self.job_statement(job),
            StatementKind::User(user) => Ok(self.user_statement(user)?),
            StatementKind::Show(show) => Ok(Outcome::Listing(self.show(show)?)),
            StatementKind::Describe(name) => Ok(Outcome::Listing(self.describe(name)?)),
            StatementKind::Set { key, value } => Ok(self.set(key, value)?),
            StatementKind::ShowSettings => Ok(Outcome::Listing(show::settings(&self.settings))),
            StatementKind::Reset(Some(key)) => {
                self.settings.reset(key)?;
                Ok(Outcome::Done(format!("setting '{key}' reset")))
            }
            StatementKind::Reset(None) => {
                self.settings.reset_all();
                Ok(Outcome::Done("all settings reset".into()))
            }
        }
    }

    /// May a statement give a setting this value?
    ///
    /// # Errors
    /// It is a place that is out of reach.
    pub(crate) fn check_setting(&self, key: &str, value: &str) -> Result<(), SqlError> {
        let is_place = settings::find(key).is_some_and(|spec| spec.kind == SettingKind::Place);
        if is_place && !value.is_empty() { self.engine.check_place(value) } else { Ok(()) }
    }

    fn set(&mut self, key: &str, value: &str) -> Result<Outcome, SqlError> {
        self.check_setting(key, value)?;
        let spec = self.settings.set(key, value)?;
        match spec.without_effect {
            true => Ok(Outcome::Noted(format!("setting '{key}' is {}", spec.description))),
            false => Ok(Outcome::Done(format!("setting '{key}' = '{value}'"))),
        }
    }

    /// Does what CREATE TABLE says, but for the rows of AS SELECT. False where the table is there already and that
    /// is fine.
    pub(crate) fn create_table(&mut self, statement: &Statement) -> Result<bool, SqlError> {
        let StatementKind::CreateTable { name, table, if_not_exists, or_replace, unique, like, query } =
            &statement.kind
        else {
            return Err(SqlError::new(SqlError::INTERNAL, "not CREATE TABLE"));
        };
        let table = &Table { name: self.place(name)?, ..table.clone() };
        let _reserved = self.reserve_one(&table.name)?;
        if ddl::is_there(&self.catalog, &table.name, *if_not_exists) {
            return Ok(false);
        }
        let made =
            Arc::new(self.with_definer(|definer| definer.table(table.clone(), like.as_ref(), query.as_deref()))?);
        if *or_replace {
            self.check_readers(&table.name, false)?;
        }
        self.check_stored(&made)?;
        let indexes = self.indexes_of_new_table(&made, unique, like.as_ref())?;
        let database = self.instance.database().clone();
        self.define(|catalog| {
            ddl::add(catalog, Object::Table(made.clone()), *or_replace)?;
            for index in &indexes {
                ddl::add(catalog, Object::Index(index.clone()), false)?;
            }
            database.remove(&made.name);
            if !made.is_kept() {
                return Ok(());
            }
            database.create(&made, query.is_some())?;
            match indexes.is_empty() {
                true => Ok(()),
                false => database.set_orders(&made.name, &orders(indexes.iter().map(Arc::as_ref), &made)),
            }
        })?;
        Ok(true)
    }

    pub(crate) fn with_definer<T>(&self, f: impl FnOnce(Definer<'_>) -> Result<T, SqlError>) -> Result<T, SqlError> {
        let options = self.planner_options();
        let planner = self.planner(&self.catalog, &options);
        let time_zone = self.settings.time_zone();
        f(Definer { catalog: &self.catalog, registry: self.engine.registry(), planner, time_zone })
    }

    /// A planner of one statement.
    pub(crate) fn planner<'p>(&self, catalog: &'p Catalog, options: &'p PlannerOptions) -> Planner<'p> {
        self.planner_with(catalog, options, &self.new_states())
    }

    fn planner_with<'p>(
        &self,
        catalog: &'p Catalog,
        options: &'p PlannerOptions,
        states: &Arc<StateTables>,
    ) -> Planner<'p> {
        let states = states.clone();
        let table = move |job: &str, operator: &str| states.table(job, operator);
        Planner::new(catalog, options, self.engine.functions()).with_states(Arc::new(table))
    }

    /// What a statement reads of the state of jobs, nothing yet.
    fn new_states(&self) -> Arc<StateTables> {
        StateTables::new(&self.engine, self.settings.checkpoints_dir())
    }

    pub(crate) fn planner_options(&self) -> PlannerOptions {
        PlannerOptions {
            time_zone: self.settings.time_zone().to_owned(),
            shards: self.shards(),
            emit: self.settings.emit(),
            dialect: self.settings.dialect(),
            search_path: self.search_path(),
            require_on_conflict: self.settings.requires_on_conflict(),
            moment: Moment { wall_ms: self.engine.rim().clock.wall_ms(), seed: self.engine.next_seed().into() },
            state_ttl_ms: self.settings.state_ttl_ms(),
            ..PlannerOptions::default()
        }
    }

    /// Plans queries that run together.
    ///
    /// # Errors
    /// What cannot be bound or maintained.
    pub(crate) fn plan(&self, outputs: Vec<JobOutput>) -> Result<PlannedJob, SqlError> {
        self.plan_with(outputs, &self.planner_options())
    }

    pub(crate) fn plan_with(&self, outputs: Vec<JobOutput>, options: &PlannerOptions) -> Result<PlannedJob, SqlError> {
        Ok(self.plan_reading(outputs, options, Reads::Snapshot, 0)?.job)
    }

    /// Plans queries; `reads` says what the job is given of tables that the engine keeps, `number` where it finds that.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub(crate) fn plan_reading(
        &self,
        outputs: Vec<JobOutput>,
        options: &PlannerOptions,
        reads: Reads,
        number: u64,
    ) -> Result<Planned, SqlError> {
        let _planning = tracing::info_span!("plan").entered();
        let takes = |table: &Table| -> Result<SinkChanges, SqlError> {
            // Its channel is opened when the job starts. A sink into a table keeps one row of a key.
            if table.options.get("connector").is_some_and(|connector| connector == COLLECT) {
                return Ok(if table.primary_key.is_empty() { SinkChanges::Full } else { SinkChanges::Upserts });
            }
            let request = ddl::sink_request(table, self.settings.time_zone());
            let sink = self.engine.registry().sink(&table.options, request).map_err(|e| from_connector(&e))?;
            Ok(sink.changes())
        };
        let registry = self.engine.registry();
        let gives = |table: &Table| {
            let connector = registry.connector(&table.name.to_string(), &table.options);
            connector.map_or(SourceChanges::Inserts, |connector| connector.changes(&table.options))
        };
        let read_as = |table: &Arc<Table>| self.read_as(table, reads, number);
        let states = self.new_states();
        let planner = self.planner_with(&self.catalog, options, &states);
        let planner = planner.with_sinks(&takes).with_sources(&gives).with_tables(&read_as);
        // What is kept up to date must not fail one day.
        let planner = planner.with_counted_values(reads == Reads::Snapshot);
        let job = planner.plan(outputs)?;
        Ok(Planned { job, states: Some(states).filter(|states| states.are_read()) })
    }

    /// Plans a script whose last statement is a SELECT, without running it; what stands before it is executed. For
    /// tests that run a plan themselves.
    ///
    /// # Errors
    /// As [`execute`](Self::execute); a script without a SELECT at its end.
    pub fn plan_select(&mut self, sql: &str) -> Result<PlannedJob, SqlError> {
        let statements = self.parse(sql)?;
        let no_select = || SqlError::new(SqlError::INVALID, "the last statement is no SELECT");
        let (last, before) = statements.split_last().ok_or_else(no_select)?;
        for statement in before {
            self.execute(statement).map_err(ScriptError::into_error)?;
        }
        let StatementKind::Select(query) = &last.kind else { return Err(no_select().at(last.position)) };
        self.plan(vec![result_output(query, 0)]).map_err(|e| e.at(last.position))
    }

    /// Parses a script in the dialect of the session.
    ///
    /// # Errors
    /// A syntax error, or what is not supported, with its position.
    pub fn parse(&self, sql: &str) -> Result<Vec<Statement>, SqlError> {
        parse_in(sql, self.settings.dialect())
    }

    /// Where an INSERT goes.
    ///
    /// # Errors
    /// An unknown table, or one that cannot be written.
    pub(crate) fn insert_output(&self, insert: &Insert) -> Result<JobOutput, SqlError> {
        let name = self.resolve(&insert.table).map_err(|e| e.at(insert.position))?;
        let is_elsewhere = self.catalog.object(&name).is_ok() && !self.is_kept(&name);
        if insert.returning.is_some() && is_elsewhere {
            let message = format!("RETURNING of table {}, which is behind a connector", insert.table);
            return Err(SqlError::new(SqlError::UNSUPPORTED, message)
                .with_hint("leave RETURNING out")
                .at(insert.position));
        }
        if insert.update.is_some() && is_elsewhere {
            let message = format!("ON CONFLICT DO UPDATE of table {}, which is behind a connector", insert.table);
            return Err(SqlError::new(SqlError::UNSUPPORTED, message)
                .with_hint("leave ON CONFLICT out: a row takes the place of one with its key")
                .at(insert.position));
        }
        if let Ok(table) = self.catalog.table(&name) {
            self.conflict_order(insert, table)?;
        }
        self.table_output(&name, insert.columns.clone(), &insert.query, insert.conflict)
            .map_err(|e| e.at(insert.position))
    }

    /// A query whose rows go into a table.
    pub(crate) fn table_output(
        &self,
        name: &Name,
        columns: Vec<String>,
        query: &Query,
        conflict: Option<Conflict>,
    ) -> Result<JobOutput, SqlError> {
        let table = self.catalog.table(name).map_err(from_catalog)?.clone();
        if table.is_source {
            return Err(SqlError::new(WRONG_OBJECT, format!("{name} is a source: it is read, and not written"))
                .with_hint("CREATE TABLE … WITH ('connector' = …) makes a table that INSERT writes"));
        }
        let written =
            |c: &&eddyline_catalog::Column| matches!(c.source, ColumnSource::Metadata { is_virtual: false, .. });
        if let Some(column) = table.columns.iter().find(written) {
            let message = format!("table {name}: METADATA column {} cannot be written", column.name);
            return Err(SqlError::new(SqlError::UNSUPPORTED, message).with_hint("declare it METADATA VIRTUAL"));
        }
        Ok(JobOutput { query: query.clone(), target: Target::Table { table, columns, conflict }, position: None })
    }

    /// Starts a job that writes tables; in a dry run, says what would become of its state.
    ///
    /// # Errors
    /// What cannot be planned or opened.
    pub(crate) fn start(&mut self, outputs: Vec<JobOutput>) -> Result<Outcome, ScriptError> {
        self.start_named(outputs, false)
    }

    /// As [`start`](Self::start); `shares_name`: its state is not under its name alone, so that others may have the name.
    pub(crate) fn start_named(&mut self, outputs: Vec<JobOutput>, shares_name: bool) -> Result<Outcome, ScriptError> {
        let tables: Vec<&Name> = outputs.iter().filter_map(written_table).collect();
        let begins = std::mem::take(&mut self.begins);
        let beginning = Beginning::of_inserts(&self.engine, &self.settings, &tables, &begins)?;
        if self.engine.is_dry_run() {
            return Ok(Outcome::Listing(self.alteration(outputs, &beginning)?));
        }
        if !shares_name && (beginning.checkpoints.is_some() || self.settings.pipeline_name().is_some()) {
            self.instance.jobs().check_unique(&beginning.name)?;
        }
        let options = beginning.planned(self.planner_options());
        let number = self.engine.next_channel();
        let planned = self.plan_reading(outputs, &options, Reads::Snapshot, number)?;
        if planned.states.is_some() && beginning.checkpoints.is_some() {
            return Err(state_in_a_durable_job().into());
        }
        let _found = self.rows_for(&planned.job, number)?;
        let shards = self.shards();
        let started = job::start(&self.engine, &self.settings, shards, beginning, planned, None, Epochs::AsTheyCome);
        started.map(into_outcome)
    }

    /// What would become of the state that a job would begin with.
    pub(crate) fn alteration(&self, outputs: Vec<JobOutput>, beginning: &Beginning) -> Result<Listing, ScriptError> {
        let text = match self.previewed(outputs, beginning)? {
            Some((place, altered)) => format!("of {place}\n{altered}"),
            None => format!("job '{}' has no state: it begins afresh", beginning.name),
        };
        Ok(Listing::lines("state", &text))
    }

    /// The state that a job would begin with, and what would become of it; `None`: there is none.
    pub(crate) fn previewed(
        &self,
        outputs: Vec<JobOutput>,
        beginning: &Beginning,
    ) -> Result<Option<(String, Alteration)>, ScriptError> {
        let planned = self.plan_with(outputs, &beginning.planned(self.planner_options()))?;
        let Beginning { name, checkpoints, from, .. } = beginning;
        let tokio = &self.engine.rim().tokio;
        let found = eddyline_runtime::preview(name, &planned.dataflow, checkpoints.as_ref(), from.as_ref(), tokio);
        found.map_err(|e| ScriptError::Job(from_runtime(&e)))
    }

    fn select(&self, query: &Query) -> Result<Outcome, ScriptError> {
        if self.engine.is_dry_run() {
            let outputs = vec![result_output(query, self.engine.next_channel())];
            return Ok(Outcome::Listing(self.alteration(outputs, &self.beginning_of_select()?)?));
        }
        self.start_select(self.planned_select(query)?)
    }

    fn answer_select(&self, query: &Query) -> Result<Answer, ScriptError> {
        if self.engine.is_dry_run() {
            return self.select(query).map(Answer::Outcome);
        }
        match self.planned_answer(query)? {
            PlannedAnswer::Scan(plan) => Ok(Answer::Rows(Box::new(self.scan(*plan)?))),
            PlannedAnswer::Job(select) => self.start_select(*select).map(Answer::Outcome),
        }
    }

    /// How a SELECT is to be answered that is read once, when all its rows are there.
    pub(crate) fn planned_answer(&self, query: &Query) -> Result<PlannedAnswer, ScriptError> {
        let select = self.planned_select_with(query, true)?;
        if let Some(plan) = ScanPlan::of(&select.planned.job, &self.settings)? {
            return Ok(PlannedAnswer::Scan(Box::new(plan)));
        }
        // A job keeps the first rows up and not all of them.
        let is_other = query.order_by.is_some() && (query.limit_clause.is_some() || query.fetch.is_some());
        let select = if is_other { self.planned_select(query)? } else { select };
        Ok(PlannedAnswer::Job(Box::new(select)))
    }

    fn beginning_of_select(&self) -> Result<Beginning, ScriptError> {
        Beginning::of_select(&self.engine, &self.settings, self.shards())
    }

    pub(crate) fn planned_select(&self, query: &Query) -> Result<PlannedSelect, ScriptError> {
        self.planned_select_with(query, false)
    }

    pub(crate) fn planned_select_with(&self, query: &Query, reads_once: bool) -> Result<PlannedSelect, ScriptError> {
        let channel = self.engine.next_channel();
        let beginning = self.beginning_of_select()?;
        let options = PlannerOptions { reads_once, ..beginning.planned(self.planner_options()) };
        let planned = self.plan_reading(vec![result_output(query, channel)], &options, Reads::Snapshot, channel)?;
        Ok(PlannedSelect { planned, beginning, channel })
    }

    fn start_select(&self, select: PlannedSelect) -> Result<Outcome, ScriptError> {
        let PlannedSelect { planned, beginning, channel } = select;
        let _found = self.rows_for(&planned.job, channel)?;
        let (shards, reader) = (self.shards(), Some(channel));
        let started = job::start(&self.engine, &self.settings, shards, beginning, planned, reader, Epochs::AsTheyCome);
        started.map(into_outcome)
    }

    /// The types of a statement's parameters, `$1` and so on; `given` are those that are known.
    ///
    /// # Errors
    /// Parameters that are none.
    pub fn parameter_types(
        &mut self,
        statement: &Statement,
        given: &[Option<DataType>],
    ) -> Result<Vec<DataType>, SqlError> {
        self.refresh();
        eddyline_planner::parameter_types(statement, &self.catalog, &self.search_path(), given)
    }

    /// The columns of what a statement answers; `None`: it answers no rows.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn result_schema(&mut self, statement: &Statement) -> Result<Option<SchemaRef>, SqlError> {
        self.refresh();
        let joining = match &statement.kind {
            StatementKind::Update(update) if update.joins() => self.shape_of_returning(update.clone(), &update.table),
            StatementKind::Delete(delete) if delete.joins() => self.shape_of_returning(delete.clone(), &delete.table),
            _ => Ok(None),
        };
        if let Some(job) = joining.map_err(|e| e.at(statement.position))? {
            return Ok(visible_columns(job));
        }
        if let Some((query, _)) = statement.kind.returning() {
            let planned = self.planned_returning(query, 0).map_err(|e| e.at(statement.position))?;
            return Ok(visible_columns(planned.job));
        }
        match &statement.kind {
            StatementKind::Select(query) => {
                let options = Beginning::of_select(&self.engine, &self.settings, self.shards())
                    .map_err(ScriptError::into_error)?
                    .planned(self.planner_options());
                let planned =
                    self.plan_with(vec![result_output(query, 0)], &options).map_err(|e| e.at(statement.position))?;
                Ok(visible_columns(planned))
            }
            StatementKind::Subscribe(said) => {
                self.subscription_schema(&said.name).map(Some).map_err(|e| e.at(said.position))
            }
            StatementKind::Explain { .. }
            | StatementKind::ExplainState(_)
            | StatementKind::Show(_)
            | StatementKind::Describe(_)
            | StatementKind::ShowSettings => match self.execute(statement).map_err(ScriptError::into_error)? {
                Outcome::Listing(listing) => Ok(Some(listing.rows.schema())),
                _ => Ok(None),
            },
            StatementKind::Job(job) => self.columns_of_job_statement(job),
            _ => Ok(None),
        }
    }

    /// What SHOW lists.
    ///
    /// # Errors
    /// An unknown name; a place that cannot be read.
    pub fn show(&mut self, show: &Show) -> Result<Listing, SqlError> {
        Ok(match show {
            Show::Tables { schema, like } => show::tables(self.shown(schema.as_deref())?, like.as_deref()),
            Show::Databases => show::names("database name", self.databases().into_iter()),
            Show::Schemas => show::names("schema name", self.catalog.schemas().into_iter().map(str::to_owned)),
            Show::Views => show::views(self.visible()),
            Show::MaterializedViews => show::materialized_views(self.visible()),
            Show::Sources => show::sources(self.visible()),
            Show::Sinks => show::sinks(self.visible(), &self.instance.job_reports()),
            Show::Indexes(table) => self.show_indexes(table.as_ref())?,
            Show::Create { kind, name } => {
                let name = self.resolve(name)?;
                let object = self.catalog.object(&name).map_err(|e| from_catalog(e.of_kind(kind)))?;
                show::create(kind, object, &self.definition_of(object), self.settings.dialect())?
            }
            Show::Functions => show::names("function name", self.engine.functions().names().into_iter()),
            Show::Columns(name) => self.describe(name)?,
            Show::Connectors => {
                let names = self.engine.registry().names().filter(|n| !n.starts_with('$'));
                show::names("connector name", names.map(str::to_owned))
            }
            Show::Checkpoints { job, location } => self.show_checkpoints(job.as_deref(), location.as_deref())?,
            Show::Jobs => crate::jobs::listing(&self.instance.job_reports()),
            Show::Logs { job, rows_max } => show::logs(&self.instance.job_log(job, 0, *rows_max)?),
        })
    }

    /// What the databases are called.
    pub fn databases(&self) -> Vec<String> {
        self.instance.all_databases().iter().map(Instance::name).collect()
    }

    /// What a name stands for.
    ///
    /// # Errors
    /// An unknown name.
    pub fn named(&self, written: &Reference) -> Result<&Object, SqlError> {
        self.catalog.object(&self.resolve(written)?).map_err(from_catalog)
    }

    /// What SHOW TABLES and the like show: what can be named without a schema, or what is in one.
    fn shown(&self, schema: Option<&str>) -> Result<Vec<&Object>, SqlError> {
        match schema {
            Some(name) if !self.catalog.has_schema(name) => {
                Err(from_catalog(CatalogError::MissingSchema { name: name.to_owned() }))
            }
            Some(name) => Ok(self.catalog.objects_of(name).collect()),
            None => Ok(self.visible().collect()),
        }
    }

    /// Tables and views that can be named without a schema.
    pub fn visible(&self) -> impl Iterator<Item = &Object> {
        let path = self.search_path();
        let is_first = move |object: &&Object| {
            let found = self.catalog.resolve(&Reference::bare(object.name().object()), &path);
            found.is_ok_and(|name| name == *object.name())
        };
        self.catalog.objects().map(|(_, object)| object).filter(is_first)
    }

    /// Tables, views, or both, with what they are.
    pub fn relations(&self, tables: bool, views: bool) -> Listing {
        show::relations(self.visible(), tables, views)
    }

    /// Functions whose name has a part like the pattern.
    pub fn functions_like(&self, pattern: Option<&str>) -> Listing {
        show::functions(self.engine.functions().names(), pattern)
    }

    fn show_checkpoints(&self, job: Option<&str>, location: Option<&str>) -> Result<Listing, SqlError> {
        // A job that is known says where its checkpoints are.
        if let (Some(job), None) = (job, location)
            && let Some(place) = self.instance.checkpoints_of(job)
        {
            return show::checkpoints(&self.engine, &[place]);
        }
        location.map_or(Ok(()), |location| self.engine.check_place(location))?;
        let places = match location.unwrap_or(self.settings.checkpoints_dir()) {
            // A data directory holds those of its jobs, of which there may be none.
            "" if job.is_none() && self.instance.durable().is_some_and(|durable| durable.has_jobs()) => {
                return show::checkpoints(&self.engine, &self.instance.all_checkpoints());
            }
            "" => self.instance.all_checkpoints(),
            location => vec![CheckpointPlace { location: location.to_owned(), job: job.map(str::to_owned) }],
        };
        if places.is_empty() {
            return Err(SqlError::new(SqlError::INVALID, "it is not known where the checkpoints are")
                .with_hint("SET 'state.checkpoints.dir', or write SHOW CHECKPOINTS IN 'directory or URL'"));
        }
        show::checkpoints(&self.engine, &places)
    }
}

/// A job that is planned, and what it reads of the state of other jobs.
pub(crate) struct Planned {
    pub(crate) job: PlannedJob,
    /// `None`: nothing.
    pub(crate) states: Option<Arc<StateTables>>,
}

/// How a SELECT is to be answered.
pub(crate) enum PlannedAnswer {
    /// By looking at rows each by itself.
    Scan(Box<ScanPlan>),
    /// By a job.
    Job(Box<PlannedSelect>),
}

/// A SELECT that is about to be answered.
pub(crate) struct PlannedSelect {
    pub(crate) planned: Planned,
    beginning: Beginning,
    /// Of its result.
    channel: u64,
}

pub(crate) fn written_table(output: &JobOutput) -> Option<&Name> {
    match &output.target {
        Target::Table { table, .. } => Some(&table.name),
        Target::Result { .. } => None,
    }
}

fn state_in_a_durable_job() -> SqlError {
    SqlError::new(SqlError::UNSUPPORTED, "STATE in a job that keeps checkpoints")
        .with_detail("after a restart it would read another checkpoint than before")
        .with_hint("RESET 'state.checkpoints.dir' for this statement, and write STATE('directory/job', …)")
}

fn into_outcome(job: RunningJob) -> Outcome {
    Outcome::Job(Box::new(job))
}

/// The columns that a result shows.
fn visible_columns(planned: PlannedJob) -> Option<SchemaRef> {
    let sink = planned.dataflow.nodes().iter().find_map(|node| match &node.spec {
        eddyline_plan::OperatorSpec::Sink(sink) => Some(sink.schema.clone()),
        _ => None,
    });
    let presentation = planned.presentation.unwrap_or_default();
    sink.map(|schema| crate::result::shown_schema(&schema, &presentation))
}

/// A query whose rows go to the reader of a channel.
pub(crate) fn result_output(query: &Query, channel: u64) -> JobOutput {
    let options =
        BTreeMap::from([("connector".to_owned(), COLLECT.to_owned()), (CHANNEL.to_owned(), channel.to_string())]);
    JobOutput { query: query.clone(), target: Target::Result { name: "result".into(), options }, position: None }
}

/// What CREATE comes to: something new, or what was there already and is told of.
pub(crate) fn created(kind: &str, name: &Name, is_new: bool) -> Outcome {
    let message = created_message(kind, name, is_new);
    if is_new { Outcome::Done(message) } else { Outcome::Noted(message) }
}

pub(crate) fn created_message(kind: &str, name: &Name, created: bool) -> String {
    if created { format!("{kind} {name} created") } else { format!("{kind} {name} exists already, left as it is") }
}
