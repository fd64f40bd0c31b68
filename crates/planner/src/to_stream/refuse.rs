//! What cannot be maintained (yet), said before anything is planned, with the nearest form that can.

use super::places;
use crate::SqlError;
use crate::TextPosition;
use crate::bind::errors;
use crate::optimize;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_expr::expr::InSubquery;
use datafusion_expr::utils::split_conjunction;
use datafusion_expr::{Distinct, Expr, ExprSchemable, Filter, LogicalPlan, Operator};
use sqlparser::ast::Query;

/// Refuses what `to_stream` does not plan.
pub(crate) fn check(plan: &LogicalPlan, query: &Query) -> Result<(), SqlError> {
    let mut found: Option<SqlError> = None;
    let mut limited: Option<*const LogicalPlan> = None;
    plan.apply_with_subqueries(|p| {
        limited = sort_below(p).map(std::ptr::from_ref).or(limited);
        let is_limited = limited.is_some_and(|sort| std::ptr::eq(sort, p));
        found = refused_shape(p, is_limited)
            .or_else(|| refused_correlation(p))
            .map(|e| placed(e, p, query))
            .or_else(|| refused_expression(p, query))
            .or_else(|| refused_membership(p, query));
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

/// Rows of a subquery that are numbered for every row of the query around it.
fn refused_correlation(plan: &LogicalPlan) -> Option<SqlError> {
    let numbers =
        matches!(plan, LogicalPlan::Limit(_) | LogicalPlan::Window(_) | LogicalPlan::Distinct(Distinct::On(_)));
    let input = plan.inputs().into_iter().next().filter(|_| numbers)?;
    let is_own = plan.expressions().iter().any(Expr::contains_outer);
    (is_own || !optimize::can_lift(input)).then(optimize::refused_correlation)
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

fn refused_expression(plan: &LogicalPlan, query: &Query) -> Option<SqlError> {
    let mut found = None;
    for expr in plan.expressions() {
        let _ = expr.apply(|e| {
            found = match e {
                Expr::ScalarSubquery(s) if s.subquery.max_rows().is_none_or(|rows| rows > 1) => {
                    let error = unsupported("a subquery that stands for a value must have one row at most")
                        .with_hint("make it an aggregate without GROUP BY (MAX(x), COUNT(*), …), or join with it");
                    Some(at(error, places::subquery(query)))
                }
                Expr::SetComparison(_) => {
                    let error = unsupported("ANY, SOME and ALL over a subquery are not supported").with_hint(
                        "write IN for = ANY, NOT IN for <> ALL, or compare with (SELECT MIN(x) …) or (SELECT MAX(x) …)",
                    );
                    Some(at(error, places::subquery(query)))
                }
                _ => None,
            };
            Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        });
        if found.is_some() {
            return found;
        }
    }
    None
}

/// `IN (SELECT …)` becomes a mark that is true or false, not NULL. That is the same where NULL and FALSE are: below
/// AND and OR of a filter. `NOT IN` as a condition of its own minds NULLs in another way (`JoinSpec`'s anti join).
fn refused_membership(plan: &LogicalPlan, query: &Query) -> Option<SqlError> {
    let LogicalPlan::Filter(filter) = plan else { return None };
    let refused = split_conjunction(&filter.predicate).into_iter().any(|conjunct| match conjunct {
        Expr::InSubquery(_) => false,
        Expr::Not(inner) if matches!(inner.as_ref(), Expr::InSubquery(_)) => false,
        other => !marks_suffice(other, filter),
    });
    refused.then(|| {
        let error = unsupported("NOT IN (SELECT …) over values that may be NULL, as a part of another condition")
            .with_hint("write NOT EXISTS, or make NOT IN a condition of its own (AND), or a UNION of two queries");
        at(error, places::subquery(query))
    })
}

fn marks_suffice(expr: &Expr, filter: &Filter) -> bool {
    match expr {
        Expr::BinaryExpr(b) if matches!(b.op, Operator::And | Operator::Or) => {
            marks_suffice(&b.left, filter) && marks_suffice(&b.right, filter)
        }
        Expr::InSubquery(InSubquery { negated: false, .. }) => true,
        other => {
            let nullable = |e: &Expr| match e {
                Expr::InSubquery(i) => {
                    let column = i.subquery.subquery.schema().field(0);
                    column.is_nullable() || i.expr.nullable(filter.input.schema()).unwrap_or(true)
                }
                _ => false,
            };
            !other.exists(|e| Ok(nullable(e))).unwrap_or(true)
        }
    }
}

/// Refuses subqueries that did not become joins.
pub(crate) fn check_rewritten(plan: &LogicalPlan, query: &Query) -> Result<(), SqlError> {
    let mut found = false;
    plan.apply_with_subqueries(|p| {
        for expr in p.expressions() {
            expr.apply(|e| {
                found |= matches!(e, Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_));
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
        .with_hint("subqueries may stand in WHERE; elsewhere, join with the subquery in FROM");
    Err(at(error, places::subquery(query)))
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
        LogicalPlan::RecursiveQuery(_) => unsupported("WITH RECURSIVE is not supported"),
        LogicalPlan::Subquery(_) => unsupported("this LATERAL subquery cannot be turned into a join")
            .with_hint("correlate it by equal columns, without LIMIT"),
        other => unsupported(&format!("{} is not supported", first_word(&other.display().to_string()))),
    }
}

fn first_word(text: &str) -> String {
    text.split([':', ' ']).next().unwrap_or(text).to_owned()
}
