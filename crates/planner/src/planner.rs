//! The door of the planner: queries and a catalog in, a dataflow out.

use crate::bind::{Functions, assigned, errors, first_columns, shown_names};
use crate::deep::with_room;
use crate::to_stream::{self, Builder, Scans};
use crate::{SqlError, TextPosition, fragment};
use datafusion_common::DFSchemaRef;
use datafusion_expr::LogicalPlan;
use eddyline_catalog::{Catalog, Dialect, Name, Reference, SearchPath, Table, View};
use eddyline_connectors::{SinkChanges, SourceChanges};
use eddyline_functions::scalar::Moment;
use eddyline_plan::{Conflict, Dataflow};
use sqlparser::ast::Query;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// When results are handed out that may change while time goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Emit {
    /// Those of window aggregates once, when the watermark has passed the window's end; append-only.
    #[default]
    OnClose,
    /// As `OnClose`, and those of OVER when the watermark has passed the row's time.
    Final,
    /// As soon as anything is known, corrected by retraction.
    OnUpdate,
}

impl Emit {
    /// Do windows wait until they close?
    pub(crate) fn waits(self) -> bool {
        self != Emit::OnUpdate
    }
}

/// What the session says about planning.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannerOptions {
    /// The session time zone, an IANA name or `+hh:mm`.
    pub time_zone: String,
    /// How many shards the job will run on: with one, nothing is aggregated before an exchange.
    pub shards: usize,
    /// When window aggregates and OVER hand out.
    pub emit: Emit,
    /// The dialect.
    pub dialect: Dialect,
    /// Where names without a schema are looked for.
    pub search_path: SearchPath,
    /// Aggregate before the exchange where the functions allow it.
    pub two_phase: bool,
    /// Refuse to write several rows of a query under one PRIMARY KEY where no ON CONFLICT says what becomes of them.
    pub require_on_conflict: bool,
    /// A result is read once, when its input has ended: LIMIT behind ORDER BY is said in its [`Presentation`] and is nothing that is kept up.
    pub reads_once: bool,
    /// State of keys that were not touched for so long is forgotten. `None`: never.
    pub state_ttl_ms: Option<u64>,
    /// When the statement is planned: the time and the lots of what is computed once, because no table is read for it.
    pub moment: Moment,
}

impl Default for PlannerOptions {
    fn default() -> Self {
        Self {
            time_zone: "UTC".into(),
            shards: 1,
            emit: Emit::default(),
            dialect: Dialect::default(),
            search_path: SearchPath::default(),
            two_phase: true,
            require_on_conflict: true,
            reads_once: false,
            state_ttl_ms: None,
            moment: Moment::default(),
        }
    }
}

/// Where the rows of a query go.
#[derive(Debug, Clone)]
pub enum Target {
    /// Into a table: `INSERT INTO table [(columns)]`.
    Table {
        /// The table, bound.
        table: Arc<Table>,
        /// The columns written, empty for all.
        columns: Vec<String>,
        /// `ON CONFLICT DO …`.
        conflict: Option<Conflict>,
    },
    /// To whoever asked: a bare SELECT.
    Result {
        /// The name that errors and metrics show.
        name: String,
        /// Options of a connector that the engine registers for this.
        options: BTreeMap<String, String>,
    },
}

/// A query and where its rows go.
#[derive(Debug, Clone)]
pub struct JobOutput {
    /// The query.
    pub query: Query,
    /// Where its rows go.
    pub target: Target,
    /// Where the statement stands, for errors that know no better place.
    pub position: Option<TextPosition>,
}

impl JobOutput {
    fn located(&self, error: SqlError) -> SqlError {
        match self.position {
            Some(position) => error.at(position),
            None => error,
        }
    }
}

/// A query whose names and types are known.
#[derive(Debug, Clone)]
pub struct BoundQuery {
    /// The query, bound and coerced, not optimized.
    pub plan: LogicalPlan,
}

impl BoundQuery {
    /// Names and types of the result columns.
    pub fn schema(&self) -> &DFSchemaRef {
        self.plan.schema()
    }
}

/// How the finished result of a bare SELECT is to be shown: its top ORDER BY and LIMIT.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Presentation {
    /// Result columns to sort by, most significant first.
    pub sort: Vec<SortColumn>,
    /// How many rows to show at most.
    pub limit: Option<usize>,
    /// How many rows to leave out at the beginning.
    pub offset: usize,
    /// How many of the last columns of the result are there to sort by and not to be shown.
    pub hidden: usize,
    /// True when the result is kept to the rows of LIMIT and OFFSET already, at every moment.
    pub is_limited: bool,
    /// Names to show the columns under, where they may be other ones than those of the result: in Postgres several columns may have one name.
    pub names: Vec<String>,
}

/// One column of an ORDER BY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortColumn {
    /// Position in the result.
    pub column: usize,
    /// Smallest first?
    pub ascending: bool,
    /// NULLs before everything?
    pub nulls_first: bool,
}

/// A job, planned.
#[derive(Debug, Clone)]
pub struct PlannedJob {
    /// What runs.
    pub dataflow: Dataflow,
    /// The queries as bound, one per output.
    pub logical: Vec<LogicalPlan>,
    /// The queries as optimized, one per output.
    pub optimized: Vec<LogicalPlan>,
    /// For a job of one bare SELECT: how to show its finished result.
    pub presentation: Option<Presentation>,
    /// What the user should know before starting.
    pub warnings: Vec<String>,
}

/// Says what changes a table can be given.
pub type TableTakes<'a> = dyn Fn(&Table) -> Result<SinkChanges, SqlError> + 'a;

/// Says what changes a table hands out.
pub type TableGives<'a> = dyn Fn(&Table) -> SourceChanges + 'a;

/// Says as what a table of the catalog is read.
pub type TableReads<'a> = dyn Fn(&Arc<Table>) -> Arc<Table> + 'a;

/// Says what the table `STATE(job, operator)` is.
pub type StateTables = dyn Fn(&str, &str) -> Result<Arc<Table>, SqlError> + Send + Sync;

/// Plans statements over one state of the catalog. Cheap to make.
pub struct Planner<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) options: &'a PlannerOptions,
    pub(crate) functions: Arc<Functions>,
    pub(crate) takes: Option<&'a TableTakes<'a>>,
    pub(crate) gives: Option<&'a TableGives<'a>>,
    pub(crate) reads: Option<&'a TableReads<'a>>,
    pub(crate) states: Option<Arc<StateTables>>,
    pub(crate) counts_values: bool,
}

impl<'a> Planner<'a> {
    /// A planner; `functions` is made once per session ([`Functions::new`]) and shared.
    pub fn new(catalog: &'a Catalog, options: &'a PlannerOptions, functions: Arc<Functions>) -> Self {
        Self { catalog, options, functions, takes: None, gives: None, reads: None, states: None, counts_values: false }
    }

    /// With somebody who knows what changes tables can be given. Without, all of them take any.
    pub fn with_sinks(mut self, takes: &'a TableTakes<'a>) -> Self {
        self.takes = Some(takes);
        self
    }

    /// With somebody who knows what jobs keep. Without, `STATE` is refused.
    pub fn with_states(mut self, states: Arc<StateTables>) -> Self {
        self.states = Some(states);
        self
    }

    /// Where the rows are read once, a subquery that stands for a value may have several rows, and fails then. Without, it is refused.
    pub fn with_counted_values(mut self, counts_values: bool) -> Self {
        self.counts_values = counts_values;
        self
    }

    /// With somebody who knows what changes tables hand out. Without, all of them only ever add rows.
    pub fn with_sources(mut self, gives: &'a TableGives<'a>) -> Self {
        self.gives = Some(gives);
        self
    }

    /// With somebody who knows as what tables are read. Without, they are read as what they are.
    pub fn with_tables(mut self, reads: &'a TableReads<'a>) -> Self {
        self.reads = Some(reads);
        self
    }

    /// As what a table of the catalog is read.
    pub(crate) fn read_as(&self, table: &Arc<Table>) -> Arc<Table> {
        self.reads.map_or_else(|| table.clone(), |reads| reads(table))
    }

    /// The name of the object that a reference means; where none is there, the name that it would have.
    ///
    /// # Errors
    /// Another database; no such schema.
    pub fn resolve(&self, written: &Reference) -> Result<Name, SqlError> {
        self.catalog.resolve(written, &self.options.search_path).map_err(|e| SqlError::of_catalog(&e))
    }

    /// Finds out what the names of a query stand for and which types its columns have.
    ///
    /// # Errors
    /// Unknown names, types that do not fit, what is not supported; with the place.
    pub fn bind_query(&self, query: &Query) -> Result<BoundQuery, SqlError> {
        Ok(BoundQuery { plan: with_room(|| self.bind(query))? })
    }

    /// Checks a table's definition at CREATE TABLE: gives computed columns their types, checks the watermark, the
    /// primary key and the names.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn bind_table(&self, table: Table) -> Result<Table, SqlError> {
        with_room(|| self.bound_table(table))
    }

    /// Checks a view at CREATE VIEW: its query binds and has as many columns as there are names.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn bind_view(&self, view: View, query: &Query) -> Result<View, SqlError> {
        with_room(|| crate::bind::named_columns(self.bind(query)?, &view))?;
        Ok(view)
    }

    /// Plans queries that run together as one job. What they have in common is computed once.
    ///
    /// # Errors
    /// What cannot be bound or cannot be maintained, with a hint.
    pub fn plan(&self, outputs: Vec<JobOutput>) -> Result<PlannedJob, SqlError> {
        with_room(|| self.planned(&outputs))
    }

    /// The table of a target, if it takes insertions only.
    fn insertions_into(&self, target: &Target) -> Result<Option<String>, SqlError> {
        let (Target::Table { table, .. }, Some(takes)) = (target, self.takes) else { return Ok(None) };
        Ok((takes(table)? == SinkChanges::Inserts).then(|| table.name.to_string()))
    }

    /// The plan optimized, when all that is in it can be maintained.
    fn maintainable(&self, plan: LogicalPlan, query: &Query) -> Result<LogicalPlan, SqlError> {
        to_stream::check(&plan, query)?;
        let plan = self.with_single_values(plan);
        let plan = plan.map_err(|e| to_stream::at_subquery(errors::plain(e), query))?;
        let plan = self.optimize(plan)?;
        to_stream::check_rewritten(&plan, query)?;
        Ok(plan)
    }

    fn planned(&self, outputs: &[JobOutput]) -> Result<PlannedJob, SqlError> {
        let presented = matches!(outputs, [JobOutput { target: Target::Result { .. }, .. }]);
        let (mut logical, mut optimized, mut presentation) = (Vec::new(), Vec::new(), None);
        let mut targets = Vec::with_capacity(outputs.len());
        for output in outputs {
            let mut query = Cow::Borrowed(&output.query);
            let mut plan = self.bind(&query).map_err(|e| output.located(e))?;
            let mut target = Cow::Borrowed(&output.target);
            if self.options.dialect == Dialect::Postgres {
                target = first_columns(plan.schema(), &output.target);
                if let Some(assigned) = assigned(&query, plan.schema(), &target)? {
                    plan = self.bind(&assigned).map_err(|e| output.located(e))?;
                    query = Cow::Owned(assigned);
                }
            }
            targets.push(target);
            logical.push(plan.clone());
            if presented {
                (plan, presentation) = to_stream::presentation(plan, self.options.reads_once)?;
                if self.options.dialect == Dialect::Postgres {
                    let presentation = presentation.get_or_insert_default();
                    let columns = plan.schema().fields().len() - presentation.hidden;
                    let names = plan.schema().fields().iter().take(columns).map(|field| field.name().clone());
                    presentation.names = shown_names(&output.query, names.collect());
                }
            }
            optimized.push(self.maintainable(plan, &query).map_err(|e| output.located(e))?);
        }
        let mut scans = Scans::default();
        optimized.iter().for_each(|plan| scans.look_at(plan, self.options.emit));
        let mut builder = Builder::new(self, scans);
        for ((plan, output), target) in optimized.iter().zip(outputs).zip(&targets) {
            builder.insertions_into = self.insertions_into(target)?;
            let stream = builder.stream(plan).map(|stream| stream.named(plan.schema().as_arrow()));
            let sink = stream.and_then(|stream| builder.sink(stream, target));
            sink.map_err(|e| output.located(e))?;
        }
        builder.check_hints()?;
        let mut warnings = std::mem::take(&mut builder.warnings);
        warnings.dedup();
        let dataflow = fragment::dataflow(builder.graph.into_nodes())?;
        Ok(PlannedJob { dataflow, logical, optimized, presentation, warnings })
    }
}
