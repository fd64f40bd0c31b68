//! ORDER BY a subquery that refers to columns which are not shown: the binder keeps columns for ORDER BY itself, not for its subqueries.

use crate::optimize::free_of;
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::Transformed;
use datafusion_common::{Column, Result};
use datafusion_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Sort};
use datafusion_optimizer::AnalyzerRule;
use std::collections::BTreeSet;

#[derive(Debug)]
pub(super) struct SortedBySubqueries;

impl AnalyzerRule for SortedBySubqueries {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Sort(sort) => widened(sort),
            other => Ok(Transformed::no(other)),
        })
        .map(|t| t.data)
    }

    fn name(&self) -> &str {
        "sorted_by_subqueries"
    }
}

/// The order over columns that its subqueries refer to, and then without them.
fn widened(sort: Sort) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Projection(shown) = sort.input.as_ref() else {
        return Ok(Transformed::no(LogicalPlan::Sort(sort)));
    };
    let missing: BTreeSet<Column> = sort.expr.iter().flat_map(|key| free_of(&key.expr, &[&sort.input])).collect();
    let known = missing.into_iter().filter(|c| shown.input.schema().has_column(c)).map(Expr::Column);
    let known: Vec<Expr> = known.collect();
    if known.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Sort(sort)));
    }
    let columns = sort.input.schema().columns().into_iter().map(Expr::Column);
    let all: Vec<Expr> = shown.expr.iter().cloned().chain(known).collect();
    let plan = LogicalPlanBuilder::from(shown.input.as_ref().clone()).project(all)?;
    let plan = plan.sort_with_limit(sort.expr.clone(), sort.fetch)?.project(columns)?.build()?;
    Ok(Transformed::yes(plan))
}
