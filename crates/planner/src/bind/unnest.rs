//! UNNEST in FROM: a row for every element of an array or a map.
//!
//! The binder plans what follows a table in FROM as a subquery that refers to it. UNNEST of a column of the table needs no
//! join: [`UnnestsOverTables`] puts the table below it, and with it what stands between them. A LEFT JOIN on a condition stays one: which rows
//! of the table have no match is known above the condition only. It becomes a join with the values that it refers to, as every other
//! subquery beside a table does (`optimize/dependent.rs`).

use super::context::external;
use super::window_tvf::position_of;
use crate::SqlError;
use crate::optimize::free;
use arrow::datatypes::DataType;
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{DFSchema, DFSchemaRef, JoinType, Result, ScalarValue, plan_err};
use datafusion_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion_expr::{
    Expr, ExprSchemable, Extension, Join, LogicalPlan, LogicalPlanBuilder, UserDefinedLogicalNodeCore,
};
use datafusion_optimizer::AnalyzerRule;
use eddyline_catalog::sql_type;
use eddyline_plan::UnnestSpec;
use sqlparser::ast::{Spanned, TableFactor};
use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Every row of the input once per element of its lists, with the columns of the elements appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unnest {
    input: Arc<LogicalPlan>,
    lists: Vec<Expr>,
    outer: bool,
    ordinality: bool,
    schema: DFSchemaRef,
}

impl Unnest {
    fn try_new(input: Arc<LogicalPlan>, lists: Vec<Expr>, outer: bool, ordinality: bool) -> Result<Self> {
        let types = lists.iter().map(|e| e.get_type(input.schema())).collect::<Result<Vec<_>>>()?;
        let Some(added) = UnnestSpec::added_fields(&types, outer, ordinality) else {
            let of: Vec<String> = lists.iter().map(|e| e.schema_name().to_string()).collect();
            let error = SqlError::new(SqlError::DATATYPE_MISMATCH, format!("UNNEST of {}", of.join(", ")))
                .with_detail(format!("its type is {}", types.iter().map(sql_type).collect::<Vec<_>>().join(", ")))
                .with_hint("UNNEST takes an ARRAY or a MAP");
            return Err(external(error));
        };
        let below = input.schema().iter().map(|(q, f)| (q.cloned(), f.clone()));
        let fields = below.chain(added.into_iter().map(|f| (None, f))).collect();
        let schema = Arc::new(DFSchema::new_with_metadata(fields, input.schema().metadata().clone())?);
        Ok(Self { input, lists, outer, ordinality, schema })
    }

    /// The rows whose lists are unnested.
    pub fn input(&self) -> &Arc<LogicalPlan> {
        &self.input
    }

    /// The lists, over the columns of the input.
    pub fn lists(&self) -> &[Expr] {
        &self.lists
    }

    /// Are rows without elements kept, with NULLs?
    pub fn is_outer(&self) -> bool {
        self.outer
    }

    /// Is the last column the number of the element?
    pub fn has_ordinality(&self) -> bool {
        self.ordinality
    }

    fn width(&self) -> usize {
        self.input.schema().fields().len()
    }
}

impl Hash for Unnest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.input, &self.lists, self.outer, self.ordinality).hash(state);
    }
}

impl PartialOrd for Unnest {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        if self == other { Some(Ordering::Equal) } else { None }
    }
}

impl UserDefinedLogicalNodeCore for Unnest {
    fn name(&self) -> &str {
        "Unnest"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        self.lists.clone()
    }

    /// What is asked of the elements is asked above; what is asked of the input may be asked below.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        self.schema.fields()[self.width()..].iter().map(|f| f.name().clone()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists: Vec<String> = self.lists.iter().map(ToString::to_string).collect();
        let outer = if self.outer { " outer" } else { "" };
        let number = if self.ordinality { " with ordinality" } else { "" };
        write!(f, "Unnest{outer}: {}{number}", lists.join(", "))
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        match inputs.pop() {
            Some(input) => Self::try_new(Arc::new(input), exprs, self.outer, self.ordinality),
            None => plan_err!("UNNEST has one input"),
        }
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let mut needed: Vec<usize> = output_columns.iter().copied().filter(|c| *c < self.width()).collect();
        for column in self.lists.iter().flat_map(Expr::column_refs) {
            needed.push(self.input.schema().index_of_column(column).ok()?);
        }
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}

fn node(unnest: Unnest) -> LogicalPlan {
    LogicalPlan::Extension(Extension { node: Arc::new(unnest) })
}

/// Plans UNNEST in FROM, over one row that has no columns.
#[derive(Debug)]
pub(super) struct UnnestPlanner;

impl RelationPlanner for UnnestPlanner {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let TableFactor::UNNEST { alias, array_exprs, with_offset: false, with_ordinality, .. } = relation else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let place = array_exprs.first().and_then(|e| position_of(e.span()));
        let lists = array_exprs.into_iter().map(|e| context.sql_to_expr(e, &DFSchema::empty()));
        let lists = lists.collect::<Result<Vec<_>>>()?;
        let one_row = Arc::new(LogicalPlanBuilder::empty(true).build()?);
        let unnest = Unnest::try_new(one_row, lists, false, with_ordinality).map_err(|e| match (e, place) {
            (datafusion_common::DataFusionError::External(e), Some(place)) => match e.downcast::<SqlError>() {
                Ok(e) => external(e.at(place)),
                Err(e) => datafusion_common::DataFusionError::External(e),
            },
            (e, _) => e,
        })?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(node(unnest), alias))))
    }
}

/// `t JOIN UNNEST(t.list)`: the UNNEST is put over `t`. See the module's page.
#[derive(Debug)]
pub(super) struct UnnestsOverTables;

impl AnalyzerRule for UnnestsOverTables {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| match &plan {
            LogicalPlan::SubqueryAlias(a) if stands_alone(&a.input) => {
                let input = a.input.inputs()[0].clone();
                Ok(Transformed::yes(LogicalPlanBuilder::from(input).alias(a.alias.clone())?.build()?))
            }
            LogicalPlan::Join(join) if joins_unnest(join) => Ok(match over_table(join)? {
                Some(plan) => Transformed::yes(plan),
                None => Transformed::no(plan),
            }),
            LogicalPlan::Unnest(unnest) => Ok(Transformed::yes(of_select(unnest)?)),
            _ => Ok(Transformed::no(plan)),
        })
        .map(|t| t.data)
    }

    fn name(&self) -> &str {
        "unnests_over_tables"
    }
}

/// `SELECT UNNEST(list)`: the elements stand where the list stood.
fn of_select(unnest: &datafusion_expr::Unnest) -> Result<LogicalPlan> {
    let fields = unnest.input.schema().fields();
    let lists: Vec<usize> = unnest.list_type_columns.iter().map(|(at, _)| *at).collect();
    let is_row = |at: &usize| matches!(fields[*at].data_type(), DataType::List(f) if f.data_type().is_nested());
    let deeper = unnest.list_type_columns.iter().any(|(_, column)| column.depth > 1);
    if deeper || !unnest.struct_type_columns.is_empty() || unnest.options.preserve_nulls() || lists.iter().any(is_row) {
        let error = SqlError::new(SqlError::UNSUPPORTED, "UNNEST of rows, maps or nested arrays in SELECT")
            .with_hint("write it in FROM: … CROSS JOIN UNNEST(list) AS t(column, …)");
        return Err(external(error));
    }
    let columns = unnest.input.schema().columns();
    let exprs = lists.iter().map(|at| Expr::Column(columns[*at].clone())).collect();
    let plan = node(Unnest::try_new(unnest.input.clone(), exprs, false, false)?);
    let all = plan.schema().columns();
    let place = |at: usize| lists.iter().position(|l| *l == at).map_or(at, |list| columns.len() + list);
    let outputs = unnest.dependency_indices.iter().zip(unnest.schema.iter());
    let named: Vec<Expr> = outputs
        .map(|(at, (q, f))| Expr::Column(all[place(*at)].clone()).alias_qualified(q.cloned(), f.name()))
        .collect();
    LogicalPlanBuilder::from(plan).project(named)?.build()
}

/// A subquery that refers to nothing outside: the binder takes an UNNEST of a table within it for a reference to one around.
fn stands_alone(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Subquery(s) if free(&s.subquery).is_empty())
}

/// Does the right side unnest a column of the left, over nothing else?
fn joins_unnest(join: &Join) -> bool {
    let mut below = join.right.as_ref();
    loop {
        match below {
            LogicalPlan::Extension(e) => {
                let unnest = e.node.as_any().downcast_ref::<Unnest>();
                let is_alone = |u: &&Unnest| matches!(u.input.as_ref(), LogicalPlan::EmptyRelation(_));
                let asks = |u: &Unnest| u.lists.iter().any(|e| refers_to(e, join.left.schema()));
                return unnest.filter(is_alone).is_some_and(asks);
            }
            LogicalPlan::Subquery(s) => below = &s.subquery,
            LogicalPlan::Join(j) if matches!(j.join_type, JoinType::Inner | JoinType::Left) => below = &j.left,
            LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => {
                below = below.inputs()[0];
            }
            _ => return false,
        }
    }
}

fn refers_to(expr: &Expr, schema: &DFSchema) -> bool {
    expr.exists(|e| Ok(matches!(e, Expr::OuterReferenceColumn(_, c) if schema.has_column(c)))).unwrap_or(false)
}

/// The UNNEST over the table; `None` where rows of the table without a match are kept, and a condition says which these are.
fn over_table(join: &Join) -> Result<Option<LogicalPlan>> {
    let mut conditions: Vec<Expr> = join.filter.iter().filter(|f| !is_true(f)).cloned().collect();
    conditions.extend(join.on.iter().map(|(l, r)| l.clone().eq(r.clone())));
    let outer = match join.join_type {
        JoinType::Inner => false,
        JoinType::Left if conditions.is_empty() && is_plain(&join.right) => true,
        JoinType::Left => return Ok(None),
        _ => {
            let error = SqlError::new(SqlError::UNSUPPORTED, format!("{} JOIN with UNNEST", join.join_type))
                .with_detail("what is on the right refers to the table on the left")
                .with_hint("write LEFT JOIN UNNEST(…) ON TRUE, or CROSS JOIN UNNEST(…)");
            return Err(external(error));
        }
    };
    let plan = hoisted(&join.right, &join.left, outer)?;
    conditions.into_iter().try_fold(plan, |plan, c| LogicalPlanBuilder::from(plan).filter(c)?.build()).map(Some)
}

fn is_true(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(ScalarValue::Boolean(Some(true)), _))
}

/// Nothing but other names above the UNNEST?
fn is_plain(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Extension(_) => true,
        LogicalPlan::Subquery(s) => is_plain(&s.subquery),
        LogicalPlan::SubqueryAlias(a) => is_plain(&a.input),
        LogicalPlan::Projection(p) => {
            p.expr.iter().all(|e| matches!(e.clone().unalias(), Expr::Column(_))) && is_plain(&p.input)
        }
        _ => false,
    }
}

/// `plan` with `table` below its UNNEST; the columns of `table` come first.
fn hoisted(plan: &LogicalPlan, table: &Arc<LogicalPlan>, outer: bool) -> Result<LogicalPlan> {
    let own = |e: &Expr| own_columns(e.clone(), table.schema());
    let columns = || table.schema().columns().into_iter().map(Expr::Column);
    match plan {
        LogicalPlan::Subquery(s) => hoisted(&s.subquery, table, outer),
        LogicalPlan::Extension(e) => match e.node.as_any().downcast_ref::<Unnest>() {
            Some(unnest) => {
                let lists = unnest.lists.iter().map(own).collect::<Result<Vec<_>>>()?;
                Ok(node(Unnest::try_new(table.clone(), lists, outer, unnest.ordinality)?))
            }
            None => plan_err!("only an UNNEST is put over a table"),
        },
        LogicalPlan::Filter(f) => {
            LogicalPlanBuilder::from(hoisted(&f.input, table, outer)?).filter(own(&f.predicate)?)?.build()
        }
        LogicalPlan::Projection(p) => {
            let exprs = p.expr.iter().map(own).collect::<Result<Vec<_>>>()?;
            let below = hoisted(&p.input, table, outer)?;
            LogicalPlanBuilder::from(below).project(columns().chain(exprs).collect::<Vec<_>>())?.build()
        }
        LogicalPlan::SubqueryAlias(a) => {
            let below = hoisted(&a.input, table, outer)?;
            let width = table.schema().fields().len();
            let named = below.schema().columns().into_iter().skip(width).zip(a.schema.iter());
            let named: Vec<Expr> =
                named.map(|(c, (q, f))| Expr::Column(c).alias_qualified(q.cloned(), f.name())).collect();
            LogicalPlanBuilder::from(below).project(columns().chain(named).collect::<Vec<_>>())?.build()
        }
        LogicalPlan::Join(j) => {
            let below = hoisted(&j.left, table, outer)?;
            let on = j.on.iter().map(|(l, r)| l.clone().eq(r.clone())).chain(j.filter.clone());
            let on = on.map(|e| own(&e)).collect::<Result<Vec<_>>>()?;
            LogicalPlanBuilder::from(below).join_on(j.right.as_ref().clone(), j.join_type, on)?.build()
        }
        other => plan_err!("nothing is put below {}", other.display()),
    }
}

/// References to the table around as references to what is below.
fn own_columns(expr: Expr, table: &DFSchema) -> Result<Expr> {
    expr.transform_down(|e| match e {
        Expr::OuterReferenceColumn(_, column) if table.has_column(&column) => {
            Ok(Transformed::new(Expr::Column(column), true, TreeNodeRecursion::Jump))
        }
        other => Ok(Transformed::no(other)),
    })
    .map(|t| t.data)
}
