//! Which subqueries the rules after `dependent` make joins of by themselves, and rightly.

use super::free::{free, is_lateral, subquery_of};
use super::places::has_subquery;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_expr::utils::split_conjunction;
use datafusion_expr::{BinaryExpr, Distinct, Expr, JoinType, LogicalPlan, Operator};

/// What a subquery is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// IN, EXISTS, ANY, ALL: whether there are rows.
    Rows,
    /// Its value.
    Value,
    /// Its rows, beside those that it refers to.
    Lateral,
}

/// Filters that refer to the query around, below nothing that they must not pass; an aggregate only over equalities of
/// columns, which become its keys.
pub(super) fn is_simple(plan: &LogicalPlan, how: Use) -> bool {
    is_shallow(plan)
        && match how {
            Use::Rows => rises(plan).is_some(),
            Use::Value => is_aggregate(plan),
            Use::Lateral => {
                rises(plan).is_some_and(|c| c == Compared::Equal || !is_distinct(plan)) || is_aggregate(plan)
            }
        }
}

/// Does no subquery in the plan refer further out than to the query directly around it, or need a domain of its own?
pub(super) fn is_shallow(plan: &LogicalPlan) -> bool {
    let mut shallow = true;
    let _ = plan.apply(|p| {
        for expr in p.expressions() {
            let _ = expr.apply(|e| {
                if let Some(subquery) = subquery_of(e) {
                    let referred = free(&subquery.subquery);
                    let known = |c| p.inputs().iter().any(|i| i.schema().has_column(c));
                    let how = if matches!(e, Expr::ScalarSubquery(_)) { Use::Value } else { Use::Rows };
                    let is_simple = referred.is_empty() || is_simple(&subquery.subquery, how);
                    shallow &= referred.iter().all(known) && is_simple;
                }
                Ok(TreeNodeRecursion::Continue)
            });
        }
        if let LogicalPlan::Join(join) = p {
            shallow &= !is_lateral(join);
        }
        Ok(if shallow { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    shallow
}

/// Does DISTINCT stand above conditions on the query around? The columns that they compare become columns of it, so one row becomes several
/// unless these have one value each for a row of the query around.
fn is_distinct(plan: &LogicalPlan) -> bool {
    let asks = |p: &LogicalPlan| matches!(p, LogicalPlan::Distinct(_)) && !free(p).is_empty();
    plan.exists(|p| Ok(asks(p))).unwrap_or(true)
}

/// An aggregate without GROUP BY over rows that are compared by equality.
fn is_aggregate(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(p) => !p.expr.iter().any(Expr::contains_outer) && is_aggregate(&p.input),
        LogicalPlan::Aggregate(a) => {
            a.group_expr.is_empty()
                && !a.aggr_expr.iter().any(Expr::contains_outer)
                && rises(&a.input) == Some(Compared::Equal)
        }
        _ => false,
    }
}

/// What the filters of a plan say of the query around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compared {
    /// Columns are equal to something of it, or nothing.
    Equal,
    /// Anything.
    Somehow,
}

/// `None` where something refers to the query around that is no filter, or a filter that cannot go to the top.
fn rises(plan: &LogicalPlan) -> Option<Compared> {
    if free(plan).is_empty() {
        return Some(Compared::Equal);
    }
    if !matches!(plan, LogicalPlan::Filter(_)) && plan.expressions().iter().any(Expr::contains_outer) {
        return None;
    }
    match plan {
        LogicalPlan::Filter(f) => {
            let asking: Vec<&Expr> =
                split_conjunction(&f.predicate).into_iter().filter(|e| e.contains_outer()).collect();
            if asking.iter().any(|e| has_subquery(e)) {
                return None;
            }
            let below = rises(&f.input)?;
            Some(if asking.into_iter().all(is_equality) { below } else { Compared::Somehow })
        }
        LogicalPlan::Projection(p) => rises(&p.input),
        LogicalPlan::SubqueryAlias(a) => rises(&a.input),
        LogicalPlan::Distinct(Distinct::All(input)) => rises(input),
        LogicalPlan::Join(j) if j.join_type == JoinType::Inner && !is_lateral(j) => {
            match (rises(&j.left)?, rises(&j.right)?) {
                (Compared::Equal, Compared::Equal) => Some(Compared::Equal),
                _ => Some(Compared::Somehow),
            }
        }
        LogicalPlan::Aggregate(a)
            if !a.group_expr.is_empty() && !super::correlation::is_grouping_set(&a.group_expr) =>
        {
            rises(&a.input).filter(|c| *c == Compared::Equal)
        }
        _ => None,
    }
}

/// A column equal to something of the query around.
fn is_equality(condition: &Expr) -> bool {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = condition else { return false };
    let is_outer = |e: &Expr| e.contains_outer() && !e.any_column_refs();
    match (left.as_ref(), right.as_ref()) {
        (Expr::Column(_), other) | (other, Expr::Column(_)) => is_outer(other),
        _ => false,
    }
}
