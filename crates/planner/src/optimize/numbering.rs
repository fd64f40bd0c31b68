//! LIMIT and DISTINCT ON as what they mean: rows with the first numbers. Then there is one kind of Top-N to rewrite and to
//! plan, `Filter(number <= n)` over `Window(ROW_NUMBER)`, and no rule needs to know what may be moved across a LIMIT. What is
//! numbered for every row of a query around is numbered once for all of them, see [`correlation`].

use super::correlation::{self, Equal, Lifted, Names};
use crate::bind::row_number;
use crate::{Functions, SqlError};
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DataFusionError, Result};
use datafusion_expr::expr::{Exists, InSubquery, Sort, WindowFunction, WindowFunctionParams};
use datafusion_expr::utils::conjunction;
use datafusion_expr::{
    Distinct, DistinctOn, Expr, FetchType, Limit, LogicalPlan, LogicalPlanBuilder, Projection, SkipType, Subquery,
    WindowFunctionDefinition, lit,
};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Rewrites all LIMIT and DISTINCT ON of a plan, and what has OVER in subqueries that refer to the query around them.
pub(crate) fn numbered(plan: LogicalPlan, functions: &Functions) -> Result<LogicalPlan> {
    let names = Names::default();
    let plan = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Limit(limit) => Ok(Transformed::yes(limited(limit, functions, &names)?)),
        LogicalPlan::Distinct(Distinct::On(distinct)) => {
            Ok(Transformed::yes(first_of_each(distinct, functions, &names)?))
        }
        LogicalPlan::Window(_) if !node.all_out_ref_exprs().is_empty() => Ok(Transformed::yes(around(&node, &names)?)),
        other => Ok(Transformed::no(other)),
    })?;
    plan.data
        .transform_up_with_subqueries(|node| match node {
            LogicalPlan::Subquery(subquery) => Ok(freed(subquery, &names)?.update_data(LogicalPlan::Subquery)),
            other => other.map_expressions(|e| e.transform_up(|e| in_expression(e, functions, &names))),
        })
        .map(|t| t.data)
}

/// A subquery in an expression, freed.
fn in_expression(expr: Expr, functions: &Functions, names: &Names) -> Result<Transformed<Expr>> {
    match expr {
        Expr::Exists(Exists { subquery, negated }) => {
            Ok(freed(subquery, names)?.update_data(|subquery| Expr::Exists(Exists { subquery, negated })))
        }
        Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
            Ok(freed(subquery, names)?.update_data(|subquery| Expr::InSubquery(InSubquery { expr, subquery, negated })))
        }
        Expr::ScalarSubquery(subquery) => {
            let freed = freed(subquery, names)?;
            let is_new = freed.transformed;
            let value = one_value(freed.data, functions)?;
            Ok(Transformed::new_transformed(Expr::ScalarSubquery(value.data), is_new || value.transformed))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// A subquery that numbers rows with what it says of the query around it at its top, where DataFusion finds it.
fn freed(subquery: Subquery, names: &Names) -> Result<Transformed<Subquery>> {
    let plan = subquery.subquery.as_ref();
    let numbers = plan.exists(|p| Ok(matches!(p, LogicalPlan::Window(_))))?;
    if !numbers || plan.all_out_ref_exprs().is_empty() {
        return Ok(Transformed::no(subquery));
    }
    let Some(lifted) = correlation::lift(plan, names)? else { return Ok(Transformed::no(subquery)) };
    let plan = above(plan, lifted)?;
    Ok(Transformed::yes(subquery.with_plan(Arc::new(plan))))
}

/// A subquery that stands for a value and has one row at most, as an aggregate, which DataFusion asks for where it refers to
/// the query around it.
fn one_value(mut scalar: Subquery, functions: &Functions) -> Result<Transformed<Subquery>> {
    let is_known = scalar.subquery.max_rows().is_some_and(|rows| rows <= 1);
    let columns = scalar.subquery.schema().columns();
    let (false, false, [column]) = (scalar.outer_ref_columns.is_empty(), is_known, columns.as_slice()) else {
        return Ok(Transformed::no(scalar));
    };
    let function = functions.aggregate.get("any_value").cloned();
    let function = function.ok_or_else(|| DataFusionError::Internal("there is no ANY_VALUE".into()))?;
    let value = function.call(vec![Expr::Column(column.clone())]).alias(column.name());
    let plan = LogicalPlanBuilder::from(scalar.subquery.as_ref().clone());
    scalar.subquery = Arc::new(plan.aggregate(Vec::<Expr>::new(), [value])?.build()?);
    Ok(Transformed::yes(scalar))
}

/// A plan with what it says of the query around it above it.
fn around(plan: &LogicalPlan, names: &Names) -> Result<LogicalPlan> {
    above(plan, lifted(plan, names)?)
}

/// What was taken out of a plan, above it.
fn above(before: &LogicalPlan, Lifted { plan, equal }: Lifted) -> Result<LogicalPlan> {
    let columns: Vec<Expr> = before.schema().columns().into_iter().map(Expr::Column).collect();
    let mut plan = LogicalPlanBuilder::from(plan);
    if let Some(condition) = conjunction(equal.iter().map(Equal::condition)) {
        plan = plan.filter(condition)?;
    }
    plan.project(columns)?.build()
}

fn lifted(plan: &LogicalPlan, names: &Names) -> Result<Lifted> {
    correlation::lift(plan, names)?.ok_or_else(|| DataFusionError::External(Box::new(refused_correlation())))
}

/// The error for what cannot be freed of the query around it.
pub(crate) fn refused_correlation() -> SqlError {
    let message =
        "LIMIT or OVER in a subquery that refers to the query around it by more than equality is not supported";
    SqlError::new(SqlError::UNSUPPORTED, message)
        .with_hint("compare with = alone; else join first, and keep the first rows with ROW_NUMBER() OVER (PARTITION BY a key of the query around ORDER BY …)")
}

fn limited(limit: Limit, functions: &Functions, names: &Names) -> Result<LogicalPlan> {
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
    let kept = with_numbers(&input, vec![], sort, first..=last.unwrap_or(i64::MAX), functions, names)?;
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

fn first_of_each(distinct: DistinctOn, functions: &Functions, names: &Names) -> Result<LogicalPlan> {
    let DistinctOn { on_expr, select_expr, sort_expr, input, schema } = distinct;
    // The order begins with what the rows are distinct on.
    let sort = sort_expr.unwrap_or_default().into_iter().skip(on_expr.len()).collect();
    let kept = with_numbers(&input, on_expr, sort, 1..=1, functions, names)?;
    Ok(LogicalPlan::Projection(Projection::try_new_with_schema(select_expr, Arc::new(kept), schema)?))
}

/// The rows of `input` whose numbers within their partition are in a range.
fn with_numbers(
    input: &LogicalPlan,
    mut partition_by: Vec<Expr>,
    order_by: Vec<Sort>,
    range: RangeInclusive<i64>,
    functions: &Functions,
    names: &Names,
) -> Result<LogicalPlan> {
    let columns: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).collect();
    if order_by.iter().any(|s| s.expr.contains_outer()) || partition_by.iter().any(Expr::contains_outer) {
        return Err(DataFusionError::External(Box::new(refused_correlation())));
    }
    let Lifted { plan: input, equal } = lifted(input, names)?;
    partition_by.extend(equal.iter().map(|e| Expr::Column(e.inner.clone())));
    let function = WindowFunctionDefinition::WindowUDF(row_number(functions)?);
    let mut call = WindowFunction::new(function, vec![]);
    call.params = WindowFunctionParams { partition_by, order_by, ..call.params };
    let window = LogicalPlanBuilder::from(input).window([Expr::from(call)])?.build()?;
    let number = window.schema().columns().pop().map(Expr::Column);
    let number = number.ok_or_else(|| DataFusionError::Internal("a window without columns".into()))?;
    let mut keep = number.clone().gt_eq(lit(*range.start()));
    if *range.end() < i64::MAX {
        keep = keep.and(number.lt_eq(lit(*range.end())));
    }
    for e in equal {
        keep = keep.and(e.condition());
    }
    LogicalPlanBuilder::from(window).filter(keep)?.project(columns)?.build()
}
