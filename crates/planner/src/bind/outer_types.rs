//! References to the queries around a query, with the types that their columns have.
//!
//! The binder notes the type of a column with every reference to it from within. Rules before this give literals, and so columns, other
//! types; what is computed within would be coerced by what they were.

use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{DFSchemaRef, ExprSchema, Result};
use datafusion_expr::expr::{Exists, InSubquery, SetComparison};
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::{Expr, Join, LogicalPlan, Subquery};
use datafusion_optimizer::AnalyzerRule;
use std::sync::Arc;

/// Gives references to outer columns their types. Runs before coercion.
#[derive(Debug)]
pub(super) struct OuterTypes;

impl AnalyzerRule for OuterTypes {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let mut refers = false;
        plan.apply_with_subqueries(|p| {
            refers |= p.expressions().iter().any(Expr::contains_outer);
            Ok(if refers { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })?;
        if refers { typed(plan, &[]) } else { Ok(plan) }
    }

    fn name(&self) -> &str {
        "outer_types"
    }
}

/// The plan within queries of these schemas, the nearest one last.
fn typed(plan: LogicalPlan, around: &[DFSchemaRef]) -> Result<LogicalPlan> {
    let plan = match plan {
        LogicalPlan::Subquery(s) => return Ok(LogicalPlan::Subquery(typed_subquery(s, around)?)),
        LogicalPlan::Join(join) => {
            // What stands beside a table may refer to it.
            let left = typed(Arc::unwrap_or_clone(join.left), around)?;
            let beside = [around, &[left.schema().clone()]].concat();
            let right = typed(Arc::unwrap_or_clone(join.right), &beside)?;
            LogicalPlan::Join(Join { left: Arc::new(left), right: Arc::new(right), ..join })
        }
        other => other.map_children(|child| typed(child, around).map(Transformed::yes))?.data,
    };
    let plan = plan.recompute_schema()?;
    let inputs = plan.inputs().into_iter().map(|input| input.schema().clone());
    let within: Vec<DFSchemaRef> = around.iter().cloned().chain(inputs).collect();
    let preserver = NamePreserver::new(&plan);
    let plan = plan.map_expressions(|e| {
        let name = preserver.save(&e);
        Ok(e.transform_up(|e| typed_expr(e, around, &within))?.update_data(|e| name.restore(e)))
    })?;
    plan.data.recompute_schema()
}

fn typed_expr(expr: Expr, around: &[DFSchemaRef], within: &[DFSchemaRef]) -> Result<Transformed<Expr>> {
    Ok(Transformed::yes(match expr {
        Expr::OuterReferenceColumn(field, column) => {
            let found = around.iter().rev().find_map(|schema| schema.field_from_column(&column).ok());
            Expr::OuterReferenceColumn(found.cloned().unwrap_or(field), column)
        }
        Expr::Exists(e) => Expr::Exists(Exists { subquery: typed_subquery(e.subquery, within)?, ..e }),
        Expr::InSubquery(i) => Expr::InSubquery(InSubquery { subquery: typed_subquery(i.subquery, within)?, ..i }),
        Expr::SetComparison(c) => {
            Expr::SetComparison(SetComparison { subquery: typed_subquery(c.subquery, within)?, ..c })
        }
        Expr::ScalarSubquery(s) => Expr::ScalarSubquery(typed_subquery(s, within)?),
        other => return Ok(Transformed::no(other)),
    }))
}

fn typed_subquery(subquery: Subquery, around: &[DFSchemaRef]) -> Result<Subquery> {
    let plan = typed(Arc::unwrap_or_clone(subquery.subquery), around)?;
    let outer_ref_columns = plan.all_out_ref_exprs();
    Ok(Subquery { subquery: Arc::new(plan), outer_ref_columns, spans: subquery.spans })
}
