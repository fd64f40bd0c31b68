//! What cannot be maintained (yet), said before anything is planned, with the nearest form that can.

use super::places;
use crate::SqlError;
use crate::TextPosition;
use crate::bind::errors;
use crate::optimize::reads_tables;
use datafusion_common::JoinType;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_expr::{Distinct, Expr, LogicalPlan};
use sqlparser::ast::Query;

/// Functions whose value is the time of day: in a query that is kept up to date they would have to change results
/// of rows that came long ago.
const CLOCK: &[&str] = &[
    "now",
    "current_timestamp",
    "current_date",
    "current_time",
    "localtime",
    "localtimestamp",
    "current_row_timestamp",
    "proctime",
    "today",
];

/// Refuses what `to_stream` does not plan.
pub(crate) fn check(plan: &LogicalPlan, query: &Query) -> Result<(), SqlError> {
    let clock_is_fine = !reads_tables(plan).map_err(errors::plain)?;
    let mut found: Option<SqlError> = None;
    plan.apply_with_subqueries(|p| {
        found = refused_shape(p).map(|e| placed(e, p, query)).or_else(|| refused_expression(p, clock_is_fine, query));
        Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })
    .map_err(errors::plain)?;
    found.map_or(Ok(()), Err)
}

fn refused_shape(plan: &LogicalPlan) -> Option<SqlError> {
    let known = matches!(
        plan,
        LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::TableScan(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Distinct(Distinct::All(_))
            | LogicalPlan::Union(_)
            | LogicalPlan::Values(_)
            | LogicalPlan::EmptyRelation(_)
            | LogicalPlan::Extension(_)
    );
    (!known).then(|| refused(plan))
}

fn refused_expression(plan: &LogicalPlan, clock_is_fine: bool, query: &Query) -> Option<SqlError> {
    let mut found = None;
    for expr in plan.expressions() {
        let _ = expr.apply(|e| {
            found = match e {
                Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_) => {
                    let error = unsupported("subqueries in expressions are not supported")
                        .with_hint("they need a join, which is not supported yet; IN with a list of values is");
                    Some(at(error, places::subquery(query)))
                }
                Expr::ScalarFunction(f) if !clock_is_fine && is_clock(f.name(), f.args.is_empty()) => {
                    Some(clock(f.name(), query))
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

fn is_clock(name: &str, no_arguments: bool) -> bool {
    let name = name.to_lowercase();
    CLOCK.contains(&name.as_str()) || (name == "unix_timestamp" && no_arguments)
}

fn clock(name: &str, query: &Query) -> SqlError {
    let error = errors::of_the_clock(&format!("{name}()"));
    let place = CLOCK.iter().chain(&["unix_timestamp"]).find_map(|n| errors::find(query, n));
    at(error, place)
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
        LogicalPlan::Join(_) => places::join(query),
        LogicalPlan::Window(_) => places::over(query),
        LogicalPlan::Sort(_) => places::order_by(query),
        LogicalPlan::Limit(_) => places::limit(query),
        _ => None,
    };
    at(error, place)
}

fn unsupported(message: &str) -> SqlError {
    SqlError::new(SqlError::UNSUPPORTED, message)
}

/// The error for a kind of plan that is not planned.
pub(super) fn refused(plan: &LogicalPlan) -> SqlError {
    match plan {
        LogicalPlan::Join(j) if matches!(j.join_type, JoinType::LeftSemi | JoinType::LeftAnti) => {
            unsupported("INTERSECT and EXCEPT are not supported yet")
                .with_hint("of the set operations UNION and UNION ALL are")
        }
        LogicalPlan::Join(_) => unsupported("JOIN is not supported yet")
            .with_hint("queries over one table work: projection, filter, GROUP BY, windows, UNION ALL"),
        LogicalPlan::Window(_) => unsupported("OVER windows are not supported yet")
            .with_hint("aggregate over TUMBLE or HOP windows, or with GROUP BY"),
        LogicalPlan::Sort(_) => unsupported("ORDER BY of a result that keeps changing is not supported")
            .with_hint("order the result where it is read; a SELECT on its own may end with ORDER BY and LIMIT"),
        LogicalPlan::Limit(_) => unsupported("LIMIT of a result that keeps changing is not supported")
            .with_hint("a SELECT on its own may end with ORDER BY and LIMIT"),
        LogicalPlan::Distinct(Distinct::On(_)) => {
            unsupported("DISTINCT ON is not supported").with_hint("use SELECT DISTINCT, or GROUP BY with MIN or MAX")
        }
        LogicalPlan::Unnest(_) => unsupported("UNNEST is not supported yet"),
        LogicalPlan::RecursiveQuery(_) => unsupported("WITH RECURSIVE is not supported"),
        LogicalPlan::Subquery(_) => unsupported("LATERAL is not supported yet"),
        other => unsupported(&format!("{} is not supported", first_word(&other.display().to_string()))),
    }
}

fn first_word(text: &str) -> String {
    text.split([':', ' ']).next().unwrap_or(text).to_owned()
}
