//! Which columns of the queries around it a query refers to, and other columns in their place.

use super::places::is_subquery;
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DFSchema, Result, TableReference};
use datafusion_expr::expr::{Exists, InSubquery, SetComparison};
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::{Expr, Join, LogicalPlan, Subquery};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Columns of queries around, and what stands for them.
pub(super) type Names = BTreeMap<Column, Column>;

/// The columns of queries around that a plan refers to, at any depth.
pub(crate) fn free(plan: &LogicalPlan) -> BTreeSet<Column> {
    let mut found = match plan {
        LogicalPlan::Join(join) => {
            let mut right = free(&join.right);
            right.retain(|c| !join.left.schema().has_column(c));
            right.extend(free(&join.left));
            right
        }
        LogicalPlan::Subquery(s) => return free(&s.subquery),
        other => other.inputs().into_iter().flat_map(free).collect(),
    };
    for expr in plan.expressions() {
        found.extend(free_of(&expr, &plan.inputs()));
    }
    found
}

/// The columns of queries around that an expression over `inputs` refers to.
pub(crate) fn free_of(expr: &Expr, inputs: &[&LogicalPlan]) -> BTreeSet<Column> {
    let mut found = BTreeSet::new();
    let _ = expr.apply(|e| {
        if let Expr::OuterReferenceColumn(_, column) = e {
            found.insert(column.clone());
        }
        if let Some(subquery) = subquery_of(e) {
            found.extend(
                free(&subquery.subquery).into_iter().filter(|c| !inputs.iter().any(|i| i.schema().has_column(c))),
            );
        }
        Ok(TreeNodeRecursion::Continue)
    });
    found
}

/// The subquery that an expression is.
pub(super) fn subquery_of(expr: &Expr) -> Option<&Subquery> {
    match expr {
        Expr::Exists(e) => Some(&e.subquery),
        Expr::InSubquery(i) => Some(&i.subquery),
        Expr::SetComparison(c) => Some(&c.subquery),
        Expr::ScalarSubquery(s) => Some(s),
        _ => None,
    }
}

/// The expression with another subquery.
pub(super) fn with_subquery(expr: Expr, plan: LogicalPlan) -> Expr {
    let subquery = as_subquery(plan);
    match expr {
        Expr::Exists(e) => Expr::Exists(Exists { subquery, ..e }),
        Expr::InSubquery(i) => Expr::InSubquery(InSubquery { subquery, ..i }),
        Expr::SetComparison(c) => Expr::SetComparison(SetComparison { subquery, ..c }),
        Expr::ScalarSubquery(_) => Expr::ScalarSubquery(subquery),
        other => other,
    }
}

/// A plan as a subquery.
pub(super) fn as_subquery(plan: LogicalPlan) -> Subquery {
    let outer_ref_columns = plan.all_out_ref_exprs();
    Subquery { subquery: Arc::new(plan), outer_ref_columns, spans: Default::default() }
}

/// What stands beside a table, and its name. The binder marks it as a subquery where it refers to the table itself, not where
/// only subqueries in it do.
pub(super) fn beside(right: &LogicalPlan) -> (&LogicalPlan, Option<&TableReference>) {
    match right {
        LogicalPlan::Subquery(s) => (&s.subquery, None),
        LogicalPlan::SubqueryAlias(a) => match a.input.as_ref() {
            LogicalPlan::Subquery(s) => (&s.subquery, Some(&a.alias)),
            _ => (right, None),
        },
        other => (other, None),
    }
}

/// Does the right side of a join refer to the left?
pub(super) fn is_lateral(join: &Join) -> bool {
    free(&join.right).iter().any(|c| join.left.schema().has_column(c))
}

/// Names without those of a schema, which hide them.
fn unhidden(names: &Names, schemas: &[&DFSchema]) -> Names {
    let visible = names.iter().filter(|(c, _)| !schemas.iter().any(|s| s.has_column(c)));
    visible.map(|(from, to)| (from.clone(), to.clone())).collect()
}

fn schemas<'p>(plans: &[&'p LogicalPlan]) -> Vec<&'p DFSchema> {
    plans.iter().map(|p| p.schema().as_ref()).collect()
}

/// An expression over `inputs` in which columns of `inputs` stand for columns of queries around; in subqueries they are
/// columns of the query around.
pub(super) fn own(expr: Expr, names: &Names, inputs: &[&LogicalPlan]) -> Result<Expr> {
    replaced(expr, names, inputs, &|_, to| Expr::Column(to.clone()))
}

/// A plan that refers to other columns of the queries around.
pub(super) fn renamed(plan: LogicalPlan, names: &Names) -> Result<LogicalPlan> {
    if names.is_empty() {
        return Ok(plan);
    }
    let plan = match plan {
        LogicalPlan::Join(mut join) => {
            let right = unhidden(names, &[join.left.schema()]);
            join.left = Arc::new(renamed(Arc::unwrap_or_clone(join.left), names)?);
            join.right = Arc::new(renamed(Arc::unwrap_or_clone(join.right), &right)?);
            LogicalPlan::Join(join)
        }
        LogicalPlan::Subquery(s) => {
            return Ok(LogicalPlan::Subquery(as_subquery(renamed(Arc::unwrap_or_clone(s.subquery), names)?)));
        }
        other => other.map_children(|child| renamed(child, names).map(Transformed::yes))?.data,
    };
    let inputs: Vec<LogicalPlan> = plan.inputs().into_iter().cloned().collect();
    let inputs: Vec<&LogicalPlan> = inputs.iter().collect();
    let preserver = NamePreserver::new(&plan);
    let plan = plan.map_expressions(|e| {
        let name = preserver.save(&e);
        let reference = |e: Expr, to: &Column| match e {
            Expr::OuterReferenceColumn(field, _) => Expr::OuterReferenceColumn(field, to.clone()),
            other => other,
        };
        Ok(Transformed::yes(name.restore(replaced(e, names, &inputs, &reference)?)))
    });
    Ok(plan?.data)
}

fn replaced(expr: Expr, names: &Names, inputs: &[&LogicalPlan], place: &dyn Fn(Expr, &Column) -> Expr) -> Result<Expr> {
    let below = unhidden(names, &schemas(inputs));
    let made = expr.transform_down(|e| match &e {
        Expr::OuterReferenceColumn(_, column) => Ok(match names.get(column) {
            Some(to) => Transformed::yes(place(e.clone(), to)),
            None => Transformed::no(e),
        }),
        _ if is_subquery(&e) => match subquery_of(&e) {
            Some(s) => {
                let plan = renamed(s.subquery.as_ref().clone(), &below)?;
                Ok(Transformed::yes(with_subquery(e, plan)))
            }
            None => Ok(Transformed::no(e)),
        },
        _ => Ok(Transformed::no(e)),
    });
    Ok(made?.data)
}
