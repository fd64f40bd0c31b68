//! What cannot be maintained (yet), said before anything is planned, with the nearest form that can.

use super::places;
use crate::SqlError;
use crate::TextPosition;
use crate::bind::errors;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_expr::{Expr, LogicalPlan};
use sqlparser::ast::Query;

/// Refuses what `to_stream` does not plan.
pub(crate) fn check(plan: &LogicalPlan, query: &Query) -> Result<(), SqlError> {
    let mut found: Option<SqlError> = None;
    let mut limited: Option<*const LogicalPlan> = None;
    plan.apply_with_subqueries(|p| {
        limited = sort_below(p).map(std::ptr::from_ref).or(limited);
        let is_limited = limited.is_some_and(|sort| std::ptr::eq(sort, p));
        found = refused_shape(p, is_limited).map(|e| placed(e, p, query));
        Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })
    .map_err(errors::plain)?;
    found.map_or(Ok(()), Err)
}

/// The ORDER BY of a LIMIT.
fn sort_below(plan: &LogicalPlan) -> Option<&LogicalPlan> {
    let LogicalPlan::Limit(limit) = plan else { return None };
    let below = match limit.input.as_ref() {
        LogicalPlan::Projection(p) => p.input.as_ref(),
        other => other,
    };
    matches!(below, LogicalPlan::Sort(_)).then_some(below)
}

fn refused_shape(plan: &LogicalPlan, is_limited: bool) -> Option<SqlError> {
    let known = (is_limited && matches!(plan, LogicalPlan::Sort(_)))
        || matches!(
            plan,
            LogicalPlan::Projection(_)
                | LogicalPlan::Filter(_)
                | LogicalPlan::SubqueryAlias(_)
                | LogicalPlan::TableScan(_)
                | LogicalPlan::Aggregate(_)
                | LogicalPlan::Distinct(_)
                | LogicalPlan::Limit(_)
                | LogicalPlan::Union(_)
                | LogicalPlan::Join(_)
                | LogicalPlan::Subquery(_)
                | LogicalPlan::Values(_)
                | LogicalPlan::EmptyRelation(_)
                | LogicalPlan::Window(_)
                | LogicalPlan::Extension(_)
        );
    (!known).then(|| refused(plan))
}

/// Refuses subqueries that did not become joins.
pub(crate) fn check_rewritten(plan: &LogicalPlan, query: &Query) -> Result<(), SqlError> {
    let mut found = false;
    plan.apply_with_subqueries(|p| {
        for expr in p.expressions() {
            expr.apply(|e| {
                found |= matches!(
                    e,
                    Expr::ScalarSubquery(_)
                        | Expr::InSubquery(_)
                        | Expr::Exists(_)
                        | Expr::SetComparison(_)
                        | Expr::OuterReferenceColumn(..)
                );
                Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
            })?;
        }
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })
    .map_err(errors::plain)?;
    if !found {
        return Ok(());
    }
    let error = unsupported("this subquery cannot be turned into a join")
        .with_hint("a condition of an outer join may ask a subquery about one of the two inputs; else join with the subquery in FROM");
    Err(at(error, places::subquery(query)))
}

/// The error with the place of the first subquery of a query.
pub(crate) fn at_subquery(error: SqlError, query: &Query) -> SqlError {
    if error.position.is_some() { error } else { at(error, places::subquery(query)) }
}

fn at(error: SqlError, place: Option<TextPosition>) -> SqlError {
    match place {
        Some(place) => error.at(place),
        None => error,
    }
}

/// The error with the place of what is refused.
fn placed(error: SqlError, plan: &LogicalPlan, query: &Query) -> SqlError {
    let place = match plan {
        LogicalPlan::Window(_) => places::over(query),
        LogicalPlan::Sort(_) => places::order_by(query),
        LogicalPlan::Limit(_) => places::limit(query),
        _ => None,
    };
    at(error, place)
}

pub(super) fn unsupported(message: &str) -> SqlError {
    SqlError::new(SqlError::UNSUPPORTED, message)
}

/// The error for a kind of plan that is not planned.
pub(super) fn refused(plan: &LogicalPlan) -> SqlError {
    match plan {
        LogicalPlan::Sort(_) => unsupported("ORDER BY of a result that keeps changing is not supported")
            .with_hint("order the result where it is read, or add a LIMIT; a SELECT on its own may end with ORDER BY"),
        LogicalPlan::Subquery(_) => unsupported("this LATERAL subquery cannot be turned into a join")
            .with_hint("what follows LATERAL may refer to tables before it, by JOIN, LEFT JOIN or a comma"),
        other => unsupported(&format!("{} is not supported", first_word(&other.display().to_string()))),
    }
}

fn first_word(text: &str) -> String {
    text.split([':', ' ']).next().unwrap_or(text).to_owned()
}
