//! The batch answer of a bound query, by DataFusion: the independent oracle of invariants I1 and I2.
//!
//! It takes the query as it was *bound*, before our optimizer and everything after it, puts the given rows in the
//! place of every table, writes window assignment out as plain projections, and lets DataFusion plan and run the
//! rest as for any finished table.

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::catalog::MemTable;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{
    Column, DataFusionError, ExprSchema, JoinType, NullEquality, Result, ScalarValue, UnnestOptions,
};
use datafusion::datasource::provider_as_source;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::functions_nested::expr_fn::{array_length, gen_series};
use datafusion::functions_window::expr_fn::{lag, row_number};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{
    AggregateUDF, Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, UserDefinedLogicalNodeCore, WindowFrame,
    WindowFunctionDefinition, cast, lit, when,
};
use datafusion::optimizer::Optimizer;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::{SessionConfig, SessionContext};
use eddyline_plan::{SetOperation, Window};
use eddyline_planner::{Cut, SetOperationAll, Unnest, WindowAssign, subqueries_with_marks};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rules that the oracle does without. The check takes an order by what is known to be constant for a missing order; the
/// filters lose sight of the side of an outer join that a column is of, where both sides have one of its name.
const UNSOUND: [&str; 3] = ["SanityCheckPlan", "FilterPushdown", "FilterPushdown(Post)"];

/// The name of rows that the oracle has computed itself.
pub(crate) const OWN_ROWS: &str = "rows_of_the_oracle";

/// Rows of a batch that DataFusion is given.
const BATCH_ROWS: usize = 8192;

/// Over more rows than this, computing subqueries for each row takes too long.
const NESTED_ROWS_MAX: usize = 1000;

/// Rows of every table, by name: all columns that a query sees, computed ones too.
pub type Tables = BTreeMap<String, Vec<RecordBatch>>;

/// The answer of `plan` over `tables`. Over few rows, subqueries that refer to the query around them are computed for each of
/// its rows, see [`nested`](crate::nested); over many, DataFusion plans them, as far as it can.
///
/// # Errors
/// A table that is not given, or whatever DataFusion says.
pub async fn batch_answer(plan: &LogicalPlan, tables: &Tables) -> Result<Vec<RecordBatch>> {
    if tables.values().flatten().map(RecordBatch::num_rows).sum::<usize>() > NESTED_ROWS_MAX {
        return batch_answer_on(plan, tables, 1).await;
    }
    let given = Given { tables, session: session(1, true) };
    let plan = crate::nested::resolved(plan.clone(), &given).await?;
    given.answer(plan).await
}

/// Rows, and a session to ask about them.
pub(crate) struct Given<'t> {
    tables: &'t Tables,
    session: SessionContext,
}

impl Given<'_> {
    /// The answer of a plan without subqueries that refer to the query around them.
    pub(crate) async fn answer(&self, plan: LogicalPlan) -> Result<Vec<RecordBatch>> {
        answer(&self.session, &plan, self.tables, 1).await
    }
}

/// The answer on some threads, each table cut into as many parts, as DataFusion plans it.
///
/// # Errors
/// As [`batch_answer`].
pub async fn batch_answer_on(plan: &LogicalPlan, tables: &Tables, threads: usize) -> Result<Vec<RecordBatch>> {
    answer(&session(threads, false), plan, tables, threads).await
}

async fn answer(
    session: &SessionContext,
    plan: &LogicalPlan,
    tables: &Tables,
    threads: usize,
) -> Result<Vec<RecordBatch>> {
    // Its own rules take some subqueries for others, or lose their NULLs.
    let plan = subqueries_with_marks(plan.clone())?;
    let plan = plan.transform_up_with_subqueries(|node| replace(node, tables, threads))?.data;
    session.execute_logical_plan(plan).await?.collect().await
}

/// DataFusion with so many threads. `plain`: filters stay where they are; pushed down, one that is constant passes an aggregate
/// without GROUP BY, which has a row then although the filter is false.
fn session(threads: usize, plain: bool) -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(threads);
    let mut rules = PhysicalOptimizer::new().rules;
    rules.retain(|rule| !UNSOUND.contains(&rule.name()));
    let mut logical = Optimizer::new().rules;
    logical.retain(|rule| !plain || rule.name() != "push_down_filter");
    let state = SessionStateBuilder::new().with_config(config).with_default_features();
    let state = state.with_physical_optimizer_rules(rules).with_optimizer_rules(logical);
    SessionContext::new_with_state(state.build())
}

/// The query at a time (milliseconds since 1970): a constant stands where it asks what time it is. The session's zone
/// is UTC.
///
/// # Errors
/// What DataFusion says.
pub fn at_time(plan: &LogicalPlan, now_ms: i64) -> Result<LogicalPlan> {
    let told = |e: Expr| {
        let Expr::ScalarFunction(call) = &e else { return Ok(Transformed::no(e)) };
        let value = match call.func.name() {
            "now" => ScalarValue::TimestampMillisecond(Some(now_ms), Some("UTC".into())),
            "localtimestamp" => ScalarValue::TimestampMillisecond(Some(now_ms), None),
            "current_date" => ScalarValue::Date32(i32::try_from(now_ms.div_euclid(86_400_000)).ok()),
            _ => return Ok(Transformed::no(e)),
        };
        Ok(Transformed::yes(lit(value)))
    };
    let replaced = plan.clone().transform_up_with_subqueries(|node| node.map_expressions(|e| e.transform_up(told)));
    Ok(replaced?.data)
}

fn replace(node: LogicalPlan, tables: &Tables, threads: usize) -> Result<Transformed<LogicalPlan>> {
    match node {
        LogicalPlan::TableScan(mut scan) => {
            let name = scan.table_name.table();
            if name == OWN_ROWS {
                return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
            }
            let rows = tables
                .get(name)
                .ok_or_else(|| DataFusionError::Plan(format!("the oracle has no rows for table {name}")))?;
            let schema = scan.source.schema();
            let rows = rows
                .iter()
                .map(|b| RecordBatch::try_new(schema.clone(), b.columns().to_vec()))
                .collect::<std::result::Result<Vec<_>, _>>()?;
            scan.source = provider_as_source(Arc::new(MemTable::try_new(schema, parts(&rows, threads))?));
            Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
        }
        LogicalPlan::Extension(extension) => {
            let node = extension.node.as_any();
            if let Some(assign) = node.downcast_ref::<WindowAssign>() {
                return Ok(Transformed::yes(windows(assign)?));
            }
            if let Some(unnest) = node.downcast_ref::<Unnest>() {
                return Ok(Transformed::yes(unnested(unnest)?));
            }
            match node.downcast_ref::<SetOperationAll>() {
                Some(set) => Ok(Transformed::yes(numbered_copies(set)?)),
                None => Ok(Transformed::no(LogicalPlan::Extension(extension))),
            }
        }
        other => Ok(Transformed::no(other)),
    }
}

/// The rows in as many parts of about one size, each in batches as DataFusion likes them.
fn parts(rows: &[RecordBatch], threads: usize) -> Vec<Vec<RecordBatch>> {
    let batches: Vec<RecordBatch> = rows
        .iter()
        .flat_map(|b| (0..b.num_rows()).step_by(BATCH_ROWS).map(|at| b.slice(at, BATCH_ROWS.min(b.num_rows() - at))))
        .collect();
    let mut parts: Vec<Vec<RecordBatch>> =
        batches.chunks(batches.len().div_ceil(threads).max(1)).map(<[_]>::to_vec).collect();
    parts.resize(threads, Vec::new());
    parts
}

/// UNNEST by DataFusion's, which takes columns, keeps no empty lists and has no numbers: a list of them goes along.
fn unnested(unnest: &Unnest) -> Result<LogicalPlan> {
    let input = unnest.input();
    let lists: Vec<Expr> = unnest
        .lists()
        .iter()
        .map(|l| when(array_length(l.clone()).gt(lit(0)), l.clone()).end())
        .collect::<Result<_>>()?;
    let number = unnest
        .has_ordinality()
        .then(|| gen_series(lit(1), cast(array_length(lists[0].clone()), DataType::Int64), lit(1)));
    let added: Vec<Expr> =
        lists.into_iter().chain(number).enumerate().map(|(at, e)| e.alias(format!("list{at}"))).collect();
    let columns: Vec<Column> = (0..added.len()).map(|at| Column::from_name(format!("list{at}"))).collect();
    let below = input.schema().columns();
    let all: Vec<Expr> = below.iter().cloned().map(Expr::Column).chain(added).collect();
    let options = UnnestOptions::new().with_preserve_nulls(unnest.is_outer());
    let plan = LogicalPlanBuilder::from(input.as_ref().clone()).project(all)?;
    let plan = plan.unnest_columns_with_options(columns.clone(), options)?;
    let named = below.into_iter().chain(columns).zip(unnest.schema().iter());
    let named: Vec<Expr> = named
        .map(|(c, (q, f))| cast(Expr::Column(c), f.data_type().clone()).alias_qualified(q.cloned(), f.name()))
        .collect();
    plan.project(named)?.build()
}

/// INTERSECT ALL and EXCEPT ALL by numbers: the copies of a row are numbered on both sides, and then there are none.
fn numbered_copies(set: &SetOperationAll) -> Result<LogicalPlan> {
    let numbered = |plan: &LogicalPlan, side: &str| {
        let columns: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
        let number = row_number().partition_by(columns.clone()).build()?;
        let named = columns.iter().enumerate().map(|(at, c)| c.clone().alias_qualified(Some(side), format!("c{at}")));
        let all =
            named
                .chain([Expr::Column(Column::from_name(number.schema_name().to_string()))
                    .alias_qualified(Some(side), "number")]);
        LogicalPlanBuilder::from(plan.clone()).window([number])?.project(all.collect::<Vec<_>>())?.build()
    };
    let [left, right] = set.inputs();
    let (left, right) = (numbered(left, "l")?, numbered(right, "r")?);
    let keys = (left.schema().columns(), right.schema().columns());
    let join_type = match set.operation() {
        SetOperation::IntersectAll => JoinType::LeftSemi,
        SetOperation::ExceptAll => JoinType::LeftAnti,
    };
    let names = left.schema().columns().into_iter().map(Expr::Column).zip(set.schema().iter());
    let names: Vec<Expr> =
        names.map(|(column, (qualifier, field))| column.alias_qualified(qualifier.cloned(), field.name())).collect();
    LogicalPlanBuilder::from(left)
        .join_detailed(right, join_type, keys, None, NullEquality::NullEqualsNull)?
        .project(names)?
        .build()
}

fn windows(assign: &WindowAssign) -> Result<LogicalPlan> {
    match assign.cut() {
        Cut::Fixed(window) => fixed_windows(assign, *window),
        Cut::Sessions { gap_ms, partition } => sessions(assign, *gap_ms, partition),
    }
}

/// Sessions as gaps and islands: a row begins one if the row before it, in the order of time, is a gap or more away; how many have begun is the number of the
/// session.
fn sessions(assign: &WindowAssign, gap_ms: i64, partition: &[Column]) -> Result<LogicalPlan> {
    let own = |name: &str| Expr::Column(Column::from_name(name));
    let keys: Vec<Expr> = partition.iter().cloned().map(Expr::Column).collect();
    let in_order = |function: Expr, keys: &[Expr]| {
        let order = vec![own("ms").sort(true, false)];
        // From the first row to those of the same time.
        function.partition_by(keys.to_vec()).order_by(order).window_frame(WindowFrame::new(Some(false))).build()
    };
    let of_all = |function: Arc<AggregateUDF>, argument: Expr| {
        Expr::from(WindowFunction::new(WindowFunctionDefinition::AggregateUDF(function), vec![argument]))
    };
    let (ms, stamp) = millis_of(assign)?;
    let time = Expr::Column(assign.time().clone());
    let columns: Vec<Expr> = assign.input().schema().columns().into_iter().map(Expr::Column).collect();
    let with = |plan: LogicalPlanBuilder, function: Expr, name: &str| {
        let kept: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
        let computed = own(&function.schema_name().to_string()).alias(name);
        plan.window([function])?.project(kept.into_iter().chain([computed]))
    };
    let rows = columns.iter().cloned().chain([ms.alias("ms")]);
    let plan = LogicalPlanBuilder::from(assign.input().clone()).filter(time.is_not_null())?.project(rows)?;
    let plan = with(plan, in_order(lag(own("ms"), Some(1), None), &keys)?, "before")?;
    let near = (own("ms") - own("before")).lt(lit(gap_ms));
    let begins = when(near, lit(0i64)).otherwise(lit(1i64))?.alias("begins");
    let rows = columns.iter().cloned().chain([own("ms"), begins]);
    let plan = with(plan.project(rows)?, in_order(of_all(sum_udaf(), own("begins")), &keys)?, "session")?;
    let keys: Vec<Expr> = keys.into_iter().chain([own("session")]).collect();
    let plan = with(plan, of_all(min_udaf(), own("ms")).partition_by(keys.clone()).build()?, "first")?;
    let plan = with(plan, of_all(max_udaf(), own("ms")).partition_by(keys).build()?, "last")?;
    let at = |ms: Expr| cast(ms, stamp.clone());
    let ends = [at(own("first")), at(own("last") + lit(gap_ms)), at(own("last") + lit(gap_ms - 1))];
    let named = ends.into_iter().zip(assign.window_columns()).map(|(e, name)| e.alias(name));
    plan.project(columns.into_iter().chain(named))?.build()
}

/// The time of a row in milliseconds, and the type of the columns of its window.
fn millis_of(assign: &WindowAssign) -> Result<(Expr, DataType)> {
    let time_type = assign.input().schema().field_from_column(assign.time())?.data_type().clone();
    let zone = match &time_type {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    let stamp = DataType::Timestamp(TimeUnit::Millisecond, zone);
    Ok((cast(cast(Expr::Column(assign.time().clone()), stamp.clone()), DataType::Int64), stamp))
}

/// Window assignment by arithmetic: the `k`-th window that may hold a row begins `k` slides before the last one
/// that does; rows that it does not hold are filtered out.
fn fixed_windows(assign: &WindowAssign, window: Window) -> Result<LogicalPlan> {
    let count = (window.size_ms() + window.slide_ms() - 1) / window.slide_ms();
    let mut union: Option<LogicalPlanBuilder> = None;
    for k in 0..count {
        let one = nth_window(assign, window, k)?;
        union = Some(match union {
            None => LogicalPlanBuilder::from(one),
            Some(earlier) => earlier.union(one)?,
        });
    }
    let union = union.ok_or_else(|| DataFusionError::Plan("a window of no length".into()))?;
    // A union forgets which table its columns are of; the query above does not.
    let fields: Vec<_> = assign.input().schema().iter().map(|(q, f)| (q.cloned(), f.name().clone())).collect();
    let width = fields.len();
    let columns = union.schema().columns();
    let input = columns
        .iter()
        .take(width)
        .zip(fields)
        .map(|(column, (qualifier, name))| Expr::Column(column.clone()).alias_qualified(qualifier, name));
    let added = columns.iter().skip(width).cloned().map(Expr::Column);
    let all: Vec<Expr> = input.chain(added).collect();
    union.project(all)?.build()
}

fn nth_window(assign: &WindowAssign, window: Window, k: i64) -> Result<LogicalPlan> {
    let input = assign.input();
    let time = Expr::Column(assign.time().clone());
    let (ms, stamp) = millis_of(assign)?;
    let (size, slide, offset) = (window.size_ms(), window.slide_ms(), window.offset_ms());
    // Euclidean remainder of (ms - offset) by slide.
    let shifted = ms.clone() - lit(offset);
    let remainder = (shifted % lit(slide) + lit(slide)) % lit(slide);
    let start = ms.clone() - remainder - lit(k * slide);
    let holds = time.is_not_null().and(ms.lt(start.clone() + lit(size)));
    let at = |shift: i64| cast(start.clone() + lit(ScalarValue::Int64(Some(shift))), stamp.clone());
    let names: Vec<String> = assign.window_columns().iter().map(|c| (*c).to_owned()).collect();
    let columns = input.schema().columns().into_iter().map(Expr::Column);
    let added = [at(0).alias(&names[0]), at(size).alias(&names[1]), at(size - 1).alias(&names[2])];
    LogicalPlanBuilder::from(input.clone()).filter(holds)?.project(columns.chain(added))?.build()
}
