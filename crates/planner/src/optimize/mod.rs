//! Relational rewriting: DataFusion's rules that hold for changing tables.
//!
//! A rule holds for changing tables when the plan that it makes is equal to the old one as a *query*, so that
//! maintaining it gives the same rows at every epoch, and when it does not make maintenance dearer. [`rules`] lists
//! what is used; what is left out, and why:
//!
//! | rule | why not |
//! |---|---|
//! | `SingleDistinctToGroupBy` | turns `COUNT(DISTINCT x)` into two aggregates whose first one retracts; the planner has one counted set per column instead |
//! | `ReplaceDistinctWithAggregate` | `DISTINCT` is planned as it stands; `DISTINCT ON` depends on an order that a changing table does not have |
//! | `EliminateGroupByConstant` | a group key tells where state lives; dropping all keys would turn "no rows, no group" into "always one group" |
//! | `PushDownLimit`, `EliminateLimit` | which rows a LIMIT takes depends on when they come |
//! | `PropagateEmptyRelation` | a table that is empty now may not stay so; where a filter is constant FALSE `EliminateFilter` says so |
//! | `OptimizeUnions`, `UnionsToFilter` | merge branches by comparing whole plans; equal branches are shared later, by identity |
//! | `ExtractLeafExpressions`, `PushDownLeafProjections` | move struct accesses into scans of nested files, which our scans do not do |
//! | `EliminateJoin` | makes an empty relation of `ON FALSE`, which `EliminateFilter` does where it matters |
//! | `RewriteSetComparison` | takes a column of the subquery for one of the query around it where both have the same name, so `x = ANY (SELECT x FROM t …)` over `t` would be wrong; `subqueries` does it before |
//! | `FilterNullJoinKeys` | a join drops rows with NULL keys without a filter below |
//!
//! Of our own is the order of inner joins, [`join_order`].

mod apart;
mod correlation;
mod dependent;
mod free;
mod join_order;
mod nulls_alike;
mod numbering;
mod places;
mod push_down;
mod pushed;
mod simple;
mod single_value;
mod subqueries;
#[cfg(test)]
mod tests;

pub(crate) use free::{free, free_of};
pub(crate) use nulls_alike::value_of;
pub use subqueries::with_marks;

use crate::bind::errors;
use crate::{Planner, SqlError};
use datafusion_common::Result;
use datafusion_common::tree_node::TreeNode;
use datafusion_expr::LogicalPlan;
use datafusion_optimizer::common_subexpr_eliminate::CommonSubexprEliminate;
use datafusion_optimizer::decorrelate_lateral_join::DecorrelateLateralJoin;
use datafusion_optimizer::decorrelate_predicate_subquery::DecorrelatePredicateSubquery;
use datafusion_optimizer::eliminate_cross_join::EliminateCrossJoin;
use datafusion_optimizer::eliminate_duplicated_expr::EliminateDuplicatedExpr;
use datafusion_optimizer::eliminate_filter::EliminateFilter;
use datafusion_optimizer::eliminate_outer_join::EliminateOuterJoin;
use datafusion_optimizer::extract_equijoin_predicate::ExtractEquijoinPredicate;
use datafusion_optimizer::optimize_projections::OptimizeProjections;
use datafusion_optimizer::scalar_subquery_to_join::ScalarSubqueryToJoin;
use datafusion_optimizer::simplify_expressions::SimplifyExpressions;
use datafusion_optimizer::{Optimizer, OptimizerContext, OptimizerRule};
use eddyline_functions::scalar::Moments;
use std::sync::Arc;

type Rule = Arc<dyn OptimizerRule + Send + Sync>;

/// The rules, in order.
pub(crate) fn rules() -> Vec<Rule> {
    vec![
        Arc::new(SimplifyExpressions::new()),
        Arc::new(DecorrelatePredicateSubquery::new()),
        Arc::new(ScalarSubqueryToJoin::new()),
        Arc::new(DecorrelateLateralJoin::new()),
        Arc::new(ExtractEquijoinPredicate::new()),
        Arc::new(EliminateDuplicatedExpr::new()),
        Arc::new(EliminateFilter::new()),
        Arc::new(EliminateCrossJoin::new()),
        Arc::new(EliminateOuterJoin::new()),
        Arc::new(push_down::FiltersAboveTotals::default()),
        Arc::new(join_order::NarrowJoinsFirst),
        Arc::new(CommonSubexprEliminate::new()),
        Arc::new(OptimizeProjections::new()),
    ]
}

impl Planner<'_> {
    /// Rewrites a bound plan into an equal one that is cheaper to maintain.
    pub(crate) fn optimize(&self, plan: LogicalPlan) -> std::result::Result<LogicalPlan, SqlError> {
        let plan = numbering::numbered(plan, &self.functions).map_err(errors::plain)?;
        let plan = places::placed(plan).and_then(|plan| dependent::decorrelated(plan, &self.functions));
        let plan = plan.and_then(with_marks).and_then(nulls_alike::made_equal).map_err(errors::plain)?;
        nulls_alike::put_back(self.run(rules(), plan)?).map_err(errors::plain)
    }

    /// Folds constants and nothing else.
    pub(crate) fn simplify(&self, plan: LogicalPlan) -> std::result::Result<LogicalPlan, SqlError> {
        self.run(vec![Arc::new(SimplifyExpressions::new())], plan)
    }

    fn run(&self, rules: Vec<Rule>, plan: LogicalPlan) -> std::result::Result<LogicalPlan, SqlError> {
        let constant = !reads_tables(&plan).map_err(errors::plain)?;
        // The time at which a job was planned is no meaning of NOW() in a job that runs on.
        let now = constant.then(|| Moments::standing_at(self.options.moment));
        let context = OptimizerContext::new_with_config_options(self.config()).without_query_execution_start_time();
        let plan = crate::checked::fold(plan, &self.config(), now.as_ref()).map_err(errors::plain)?;
        Optimizer::with_rules(rules).optimize(plan, &context, |_, _| {}).map_err(errors::plain)
    }
}

/// Does a plan read any table?
pub(crate) fn reads_tables(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|p| Ok(matches!(p, LogicalPlan::TableScan(_))))
}
