//! Filters pushed down, but none below an aggregate without keys.
//!
//! DataFusion's rule pushes conditions that name no column below any aggregate. An aggregate without GROUP BY, or with the grouping `()`, has a
//! row over nothing too, which a condition that is false must take away. No other condition goes below these.

use super::correlation::is_grouping_set;
use datafusion_common::Result;
use datafusion_common::tree_node::Transformed;
use datafusion_expr::LogicalPlan;
use datafusion_optimizer::optimizer::ApplyOrder;
use datafusion_optimizer::push_down_filter::PushDownFilter;
use datafusion_optimizer::{OptimizerConfig, OptimizerRule};

#[derive(Debug, Default)]
pub(super) struct FiltersAboveTotals(PushDownFilter);

impl OptimizerRule for FiltersAboveTotals {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        if let LogicalPlan::Filter(filter) = &plan
            && let LogicalPlan::Aggregate(a) = filter.input.as_ref()
            && (a.group_expr.is_empty() || is_grouping_set(&a.group_expr))
        {
            return Ok(Transformed::no(plan));
        }
        self.0.rewrite(plan, config)
    }
}
