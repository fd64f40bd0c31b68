use crate::{
    AggregatePhase, ChangelogNormalizeSpec, Expression, GroupAggregateSpec, JoinSpec, NamedExpression, OverSpec,
    SessionAggregateSpec, SessionAssignSpec, SetOperationSpec, SinkMaterializeSpec, TemporalFilterSpec, TopNSpec,
    UnnestSpec, WindowAggregateSpec, WindowAssignSpec,
};
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion_common::Result;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a node does.
#[derive(Debug, Clone, PartialEq)]
pub enum OperatorSpec {
    /// Rows from outside.
    Source(SourceSpec),
    /// Rows known at planning time; the input ends after them.
    Values(ValuesSpec),
    /// Filter, then project.
    Calc(CalcSpec),
    /// All rows of all inputs; schemas are equal.
    Union,
    /// `GROUP BY`, DISTINCT.
    GroupAggregate(GroupAggregateSpec),
    /// Window columns for every row.
    WindowAssign(WindowAssignSpec),
    /// `GROUP BY` over windows, emitted when they close.
    WindowAggregate(WindowAggregateSpec),
    /// Window columns of the session of every row.
    SessionAssign(SessionAssignSpec),
    /// `GROUP BY` sessions.
    SessionAggregate(SessionAggregateSpec),
    /// JOIN, IN, EXISTS, INTERSECT, EXCEPT.
    Join(JoinSpec),
    /// The first rows of every partition: ROW_NUMBER, RANK, LIMIT, DISTINCT ON.
    TopN(TopNSpec),
    /// A row for every element of a list.
    Unnest(UnnestSpec),
    /// INTERSECT ALL, EXCEPT ALL.
    SetOperation(SetOperationSpec),
    /// Functions over the rows around a row: OVER.
    Over(OverSpec),
    /// WHERE on the time now: rows come and go as it passes.
    TemporalFilter(TemporalFilterSpec),
    /// Rows told by a key, as rows that are taken back.
    ChangelogNormalize(ChangelogNormalizeSpec),
    /// One row per key of a table that is written.
    SinkMaterialize(SinkMaterializeSpec),
    /// Rows to outside.
    Sink(SinkSpec),
}

impl OperatorSpec {
    /// Can it forget the state of keys that were not touched for a time?
    pub fn can_forget(&self) -> bool {
        match self {
            OperatorSpec::GroupAggregate(spec) => spec.phase != AggregatePhase::Local && !spec.keys.is_empty(),
            OperatorSpec::TopN(spec) => !spec.local && !spec.partition.is_empty(),
            // Windows have a bound of their own.
            OperatorSpec::Join(spec) => spec.time.is_none(),
            OperatorSpec::Over(spec) => !spec.partition.is_empty(),
            OperatorSpec::SessionAssign(spec) => !spec.closes && !spec.partition.is_empty(),
            OperatorSpec::SessionAggregate(spec) => !spec.closes && !spec.keys.is_empty(),
            OperatorSpec::SetOperation(_) | OperatorSpec::ChangelogNormalize(_) | OperatorSpec::SinkMaterialize(_) => {
                true
            }
            _ => false,
        }
    }

    /// The name that EXPLAIN and metrics show.
    pub fn name(&self) -> &'static str {
        match self {
            OperatorSpec::Source(_) => "Source",
            OperatorSpec::Values(_) => "Values",
            OperatorSpec::Calc(_) => "Calc",
            OperatorSpec::Union => "Union",
            OperatorSpec::GroupAggregate(_) => "GroupAggregate",
            OperatorSpec::WindowAssign(_) => "WindowAssign",
            OperatorSpec::WindowAggregate(_) => "WindowAggregate",
            OperatorSpec::SessionAssign(_) => "SessionAssign",
            OperatorSpec::SessionAggregate(_) => "SessionAggregate",
            OperatorSpec::Join(_) => "Join",
            OperatorSpec::TopN(_) => "TopN",
            OperatorSpec::Unnest(_) => "Unnest",
            OperatorSpec::SetOperation(_) => "SetOperation",
            OperatorSpec::Over(_) => "Over",
            OperatorSpec::TemporalFilter(_) => "TemporalFilter",
            OperatorSpec::ChangelogNormalize(_) => "ChangelogNormalize",
            OperatorSpec::SinkMaterialize(_) => "SinkMaterialize",
            OperatorSpec::Sink(_) => "Sink",
        }
    }
}

/// A table that is read: its connector decodes `projection` of the physical columns and `metadata`, in that
/// order; that is the input of `project` and of the watermark expression.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceSpec {
    /// Full name, as errors and metrics show it.
    pub table: String,
    /// The WITH options, `connector` included.
    pub options: BTreeMap<String, String>,
    /// All physical columns of the table, in its order: what a row of the input looks like.
    pub physical: SchemaRef,
    /// Which of them are read.
    pub projection: Vec<usize>,
    /// The physical columns of the table's PRIMARY KEY; empty without one.
    pub key: Vec<usize>,
    /// METADATA columns that are read: the connector's key and the column.
    pub metadata: Vec<(String, arrow::datatypes::FieldRef)>,
    /// Rows to keep of what was decoded, before `project`.
    pub predicate: Option<Expression>,
    /// Output columns over (projected physical columns, metadata columns); computed columns are here.
    pub project: Vec<NamedExpression>,
    /// How event time is told, when somebody downstream needs it.
    pub watermark: Option<WatermarkSpec>,
}

/// The option of a table that says what state knows it by, where its name may change.
pub const KNOWN_BY: &str = "$known-by";

impl SourceSpec {
    /// What state knows the table by: its name, unless it says something else.
    pub fn known_by(&self) -> &str {
        self.options.get(KNOWN_BY).unwrap_or(&self.table)
    }

    /// The schema that the connector decodes: projected physical columns, then metadata columns.
    pub fn decoded(&self) -> SchemaRef {
        let physical = self.projection.iter().map(|c| self.physical.fields()[*c].clone());
        Arc::new(Schema::new(physical.chain(self.metadata.iter().map(|(_, f)| f.clone())).collect::<Vec<_>>()))
    }
}

/// `WATERMARK FOR column AS expression`, evaluated per split on what was decoded, before `predicate`.
#[derive(Debug, Clone, PartialEq)]
pub struct WatermarkSpec {
    /// A TIMESTAMP or TIMESTAMP_LTZ over the decoded columns; NULL says nothing.
    pub expression: Expression,
    /// A split that has handed out nothing for this long (ms) does not hold the watermark back. `None`: never.
    pub idle_timeout_ms: Option<u64>,
}

/// Rows of a VALUES clause.
#[derive(Debug, Clone, PartialEq)]
pub struct ValuesSpec {
    /// The rows.
    pub rows: RecordBatch,
}

/// Keep the rows for which `predicate` is true, then compute `project`. Linear: weights pass through.
#[derive(Debug, Clone, PartialEq)]
pub struct CalcSpec {
    /// BOOLEAN; `None` keeps all.
    pub predicate: Option<Expression>,
    /// The output columns, over the input's columns.
    pub project: Vec<NamedExpression>,
}

impl CalcSpec {
    /// The output schema over `input`.
    ///
    /// # Errors
    /// An expression that does not fit `input`.
    pub fn output_schema(&self, input: &Schema) -> Result<SchemaRef> {
        let fields = self.project.iter().map(|e| e.field(input)).collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(Schema::new(fields)))
    }
}

/// A table that is written.
#[derive(Debug, Clone, PartialEq)]
pub struct SinkSpec {
    /// Full name, as errors and metrics show it.
    pub table: String,
    /// The WITH options, `connector` included.
    pub options: BTreeMap<String, String>,
    /// The table's columns; equal in types to the input's.
    pub schema: SchemaRef,
    /// The key by which rows replace each other: the PRIMARY KEY, else the key of the query. `None`: whole rows.
    pub key: Option<Vec<usize>>,
}
