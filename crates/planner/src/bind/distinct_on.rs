//! The order of `SELECT DISTINCT ON (k) … ORDER BY k, …`: the binder takes it for what says which row of each k is meant, and forgets that
//! the rows of the result stand in it too, which LIMIT counts.

use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::Transformed;
use datafusion_common::{Column, Result};
use datafusion_expr::{Distinct, DistinctOn, Expr, Limit, LogicalPlan, LogicalPlanBuilder, SortExpr};
use datafusion_optimizer::AnalyzerRule;
use std::sync::Arc;

/// Gives it to those that a LIMIT counts. Whoever shows a result asks for that of the outermost one.
#[derive(Debug)]
pub(super) struct DistinctOnInOrder;

impl AnalyzerRule for DistinctOnInOrder {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Limit(limit) => {
                let input = Arc::new(distinct_on_in_order(Arc::unwrap_or_clone(limit.input))?);
                Ok(Transformed::yes(LogicalPlan::Limit(Limit { input, ..limit })))
            }
            other => Ok(Transformed::no(other)),
        })
        .map(|t| t.data)
    }

    fn name(&self) -> &str {
        "distinct_on_in_order"
    }
}

/// A DISTINCT ON with an order, with its rows in it; anything else as it is.
pub(crate) fn distinct_on_in_order(plan: LogicalPlan) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Distinct(Distinct::On(distinct)) if distinct.sort_expr.is_some() => in_order(distinct),
        other => Ok(other),
    }
}

/// The rows sorted by what they are told apart by, which stands beside them meanwhile where they do not show it.
fn in_order(distinct: DistinctOn) -> Result<LogicalPlan> {
    let DistinctOn { on_expr, mut select_expr, sort_expr, input, schema } = distinct;
    let visible = schema.columns();
    // One row of each is left: what comes behind these in ORDER BY does not count any more.
    let keys: Vec<SortExpr> = sort_expr.iter().flatten().take(on_expr.len()).cloned().collect();
    let mut order = Vec::with_capacity(keys.len());
    for (at, key) in keys.into_iter().enumerate() {
        let column = match select_expr.iter().take(visible.len()).position(|e| e.clone().unalias() == key.expr) {
            Some(shown) => visible[shown].clone(),
            None => {
                let name = format!("$distinct{at}");
                select_expr.push(key.expr.alias(&name));
                Column::new_unqualified(name)
            }
        };
        order.push(Expr::Column(column).sort(key.asc, key.nulls_first));
    }
    let hides = select_expr.len() > visible.len();
    let distinct = DistinctOn::try_new(on_expr, select_expr, sort_expr, input)?;
    let sorted = LogicalPlanBuilder::from(LogicalPlan::Distinct(Distinct::On(distinct))).sort(order)?;
    if hides { sorted.project(visible.into_iter().map(Expr::Column))?.build() } else { sorted.build() }
}
