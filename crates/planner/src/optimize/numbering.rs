//! LIMIT and DISTINCT ON as what they mean: rows with the first numbers. Then there is one kind of Top-N to rewrite and to
//! plan, `Filter(number <= n)` over `Window(ROW_NUMBER)`, and no rule needs to know what may be moved across a LIMIT. What is
//! numbered for every row of a query around is numbered once for all of them, see [`correlation`](super::correlation) and
//! [`dependent`](super::dependent).

use crate::bind::row_number;
use crate::{Functions, SqlError};
use datafusion_common::tree_node::Transformed;
use datafusion_common::{DataFusionError, Result};
use datafusion_expr::expr::{Sort, WindowFunction, WindowFunctionParams};
use datafusion_expr::{
    Distinct, DistinctOn, Expr, FetchType, Limit, LogicalPlan, LogicalPlanBuilder, Projection, SkipType,
    WindowFunctionDefinition, lit,
};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Rewrites all LIMIT and DISTINCT ON of a plan.
pub(crate) fn numbered(plan: LogicalPlan, functions: &Functions) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Limit(limit) => Ok(Transformed::yes(limited(limit, functions)?)),
        LogicalPlan::Distinct(Distinct::On(distinct)) => Ok(Transformed::yes(first_of_each(distinct, functions)?)),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(plan.data)
}

/// A subquery that stands for a value and has one row at most, as an aggregate, which DataFusion asks for where it refers to
/// the query around it.
pub(super) fn one_value(plan: LogicalPlan, functions: &Functions) -> Result<LogicalPlan> {
    let columns = plan.schema().columns();
    let (false, [column]) = (plan.max_rows().is_some_and(|rows| rows <= 1), columns.as_slice()) else {
        return Ok(plan);
    };
    let function = functions.aggregate.get("any_value").cloned();
    let function = function.ok_or_else(|| DataFusionError::Internal("there is no ANY_VALUE".into()))?;
    let value = function.call(vec![Expr::Column(column.clone())]).alias(column.name());
    LogicalPlanBuilder::from(plan).aggregate(Vec::<Expr>::new(), [value])?.build()
}

fn limited(limit: Limit, functions: &Functions) -> Result<LogicalPlan> {
    let (SkipType::Literal(skip), FetchType::Literal(fetch)) = (limit.get_skip_type()?, limit.get_fetch_type()?) else {
        let error = SqlError::new(SqlError::UNSUPPORTED, "LIMIT and OFFSET must be numbers");
        return Err(DataFusionError::External(Box::new(error)));
    };
    let (sort, input, above) = match limit.input.as_ref() {
        LogicalPlan::Sort(s) => (s.expr.clone(), s.input.clone(), None),
        LogicalPlan::Projection(p) => match p.input.as_ref() {
            LogicalPlan::Sort(s) => (s.expr.clone(), s.input.clone(), Some(p)),
            _ => (vec![], limit.input.clone(), None),
        },
        _ => (vec![], limit.input.clone(), None),
    };
    let first = number(skip).saturating_add(1);
    let last = fetch.map(|f| number(skip).saturating_add(number(f)));
    let kept = with_numbers(&input, vec![], sort, first..=last.unwrap_or(i64::MAX), functions)?;
    match above {
        Some(p) => Ok(LogicalPlan::Projection(Projection::try_new_with_schema(
            p.expr.clone(),
            Arc::new(kept),
            p.schema.clone(),
        )?)),
        None => Ok(kept),
    }
}

fn number(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn first_of_each(distinct: DistinctOn, functions: &Functions) -> Result<LogicalPlan> {
    let DistinctOn { on_expr, select_expr, sort_expr, input, schema } = distinct;
    // The order begins with what the rows are distinct on.
    let sort = sort_expr.unwrap_or_default().into_iter().skip(on_expr.len()).collect();
    let kept = with_numbers(&input, on_expr, sort, 1..=1, functions)?;
    Ok(LogicalPlan::Projection(Projection::try_new_with_schema(select_expr, Arc::new(kept), schema)?))
}

/// The rows of `input` whose numbers within their partition are in a range.
fn with_numbers(
    input: &LogicalPlan,
    partition_by: Vec<Expr>,
    order_by: Vec<Sort>,
    range: RangeInclusive<i64>,
    functions: &Functions,
) -> Result<LogicalPlan> {
    let columns: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).collect();
    let function = WindowFunctionDefinition::WindowUDF(row_number(functions)?);
    let mut call = WindowFunction::new(function, vec![]);
    call.params = WindowFunctionParams { partition_by, order_by, ..call.params };
    let window = LogicalPlanBuilder::from(input.clone()).window([Expr::from(call)])?.build()?;
    let number = window.schema().columns().pop().map(Expr::Column);
    let number = number.ok_or_else(|| DataFusionError::Internal("a window without columns".into()))?;
    let mut keep = number.clone().gt_eq(lit(*range.start()));
    if *range.end() < i64::MAX {
        keep = keep.and(number.lt_eq(lit(*range.end())));
    }
    LogicalPlanBuilder::from(window).filter(keep)?.project(columns)?.build()
}
