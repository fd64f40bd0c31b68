//! Columns that conditions on the query around compare, told apart from others of their name.
//!
//! The rules after `dependent` pull a condition such as `r.y = outer` up to the top of a subquery. On the way `r.y` becomes a column of every
//! projection and aggregate above the condition, and at the top it is found again *by its name alone*, for there the whole
//! subquery has got a name of its own. That is right where `y` means the same column all the way up. It is not where
//!
//! - the conditions compare `r.y` and `q.y`, two columns of one name;
//! - there is another `y` on the way: a column of another table, or an expression `… AS y`;
//! - a derived table that does not show `y` has got its name before `y` was added;
//! - the query around has got an `r.y`, too.
//!
//! There the conditions are pulled up here, and what they compare gets names that nobody has:
//!
//! ```text
//! Projection: q.y (Filter: r.y = outer (rows))
//!   =  Projection: q.y (Filter: __compared_1 = outer (Projection: q.y, __compared_1 (Projection: *, r.y AS __compared_1 (rows))))
//! ```

use super::dependent::Dependent;
use super::free::free;
use datafusion_common::{Column, DataFusionError, Result};
use datafusion_expr::expr_rewriter::replace_col;
use datafusion_expr::utils::{conjunction, split_conjunction, split_conjunction_owned};
use datafusion_expr::{Aggregate, Distinct, Expr, Filter, Join, LogicalPlan, LogicalPlanBuilder, Projection};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// A [simple](super::simple::is_simple) subquery whose conditions are found again by their columns' names; `None` where they are as it stands.
pub(super) fn told_apart(by: &mut Dependent<'_>, plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    match is_told_apart(plan) {
        true => Ok(None),
        false => renamed(by, plan).map(Some),
    }
}

fn is_told_apart(plan: &LogicalPlan) -> bool {
    let Some(risen) = risen(plan, &free(plan)) else { return false };
    let shown = plan.schema().columns();
    risen.iter().all(|c| shown.iter().all(|s| s.name != c.name || s == c))
}

/// The columns that rise with the conditions, as they are called in the plan; `None` where a name means two things. `outer` are the
/// columns of the queries around.
fn risen(plan: &LogicalPlan, outer: &BTreeSet<Column>) -> Option<BTreeSet<Column>> {
    if free(plan).is_empty() {
        return Some(BTreeSet::new());
    }
    let mut risen: Vec<BTreeSet<Column>> =
        plan.inputs().into_iter().map(|i| self::risen(i, outer)).collect::<Option<_>>()?;
    match plan {
        LogicalPlan::Filter(f) => {
            let asking = split_conjunction(&f.predicate).into_iter().filter(|e| e.contains_outer());
            risen.push(asking.flat_map(Expr::column_refs).cloned().collect());
        }
        LogicalPlan::SubqueryAlias(a) => {
            let shown =
                |c: &Column| a.input.schema().has_column(c).then(|| Column::new(Some(a.alias.clone()), &c.name));
            risen = vec![risen.iter().flatten().map(shown).collect::<Option<_>>()?];
        }
        LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) => {
            let exprs = plan.expressions();
            let hides = |c: &Column| exprs.iter().any(|e| !is_column(e, c) && e.qualified_name().1 == c.name);
            if risen.iter().flatten().any(hides) {
                return None;
            }
        }
        _ => {}
    }
    let risen: BTreeSet<Column> = risen.into_iter().flatten().collect();
    let named: BTreeSet<&str> = risen.iter().map(|c| c.name.as_str()).collect();
    (named.len() == risen.len() && risen.is_disjoint(outer)).then_some(risen)
}

fn is_column(expr: &Expr, column: &Column) -> bool {
    matches!(expr, Expr::Column(c) if c == column)
}

/// The plan with its conditions at the top, or below the aggregate of all rows that it is made of.
fn renamed(by: &mut Dependent<'_>, plan: &LogicalPlan) -> Result<LogicalPlan> {
    if is_of_all_rows(plan) {
        let input = plan.inputs()[0];
        return plan.with_new_exprs(plan.expressions(), vec![renamed(by, input)?]);
    }
    let columns = plan.schema().columns().into_iter().map(Expr::Column);
    let Pulled { plan, conditions, .. } = pulled(by, plan)?;
    let mut plan = LogicalPlanBuilder::from(plan);
    if let Some(condition) = conjunction(conditions) {
        plan = plan.filter(condition)?;
    }
    plan.project(columns)?.build()
}

fn is_of_all_rows(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(p) => is_of_all_rows(&p.input),
        LogicalPlan::Aggregate(a) => a.group_expr.is_empty(),
        _ => false,
    }
}

/// A plan without its conditions on the query around.
struct Pulled {
    /// The columns of the plan, and those that the conditions compare.
    plan: LogicalPlan,
    /// Those that the conditions compare.
    columns: Vec<Column>,
    conditions: Vec<Expr>,
}

fn pulled(by: &mut Dependent<'_>, plan: &LogicalPlan) -> Result<Pulled> {
    if free(plan).is_empty() {
        return Ok(Pulled { plan: plan.clone(), columns: vec![], conditions: vec![] });
    }
    match plan {
        LogicalPlan::Filter(f) => from_filter(by, f),
        LogicalPlan::Join(j) => from_join(by, j),
        LogicalPlan::SubqueryAlias(a) => {
            let Pulled { plan, columns, conditions } = pulled(by, &a.input)?;
            let called: Vec<Column> = columns.iter().map(|c| Column::new(Some(a.alias.clone()), &c.name)).collect();
            let calls: HashMap<&Column, &Column> = columns.iter().zip(&called).collect();
            let conditions = conditions.into_iter().map(|e| replace_col(e, &calls)).collect::<Result<_>>()?;
            let plan = LogicalPlanBuilder::from(plan).alias(a.alias.clone())?.build()?;
            Ok(Pulled { plan, columns: called, conditions })
        }
        LogicalPlan::Projection(p) => {
            let mut below = pulled(by, &p.input)?;
            let exprs = p.expr.iter().cloned().chain(below.columns.iter().cloned().map(Expr::Column)).collect();
            below.plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(below.plan))?);
            Ok(below)
        }
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let mut below = pulled(by, input)?;
            below.plan = LogicalPlan::Distinct(Distinct::All(Arc::new(below.plan)));
            Ok(below)
        }
        LogicalPlan::Aggregate(a) => {
            let mut below = pulled(by, &a.input)?;
            let keys = a.group_expr.iter().cloned().chain(below.columns.iter().cloned().map(Expr::Column)).collect();
            let made = Aggregate::try_new(Arc::new(below.plan), keys, a.aggr_expr.clone())?;
            below.plan = LogicalPlan::Aggregate(made);
            Ok(below)
        }
        other => Err(DataFusionError::Internal(format!("conditions do not rise through {}", other.display()))),
    }
}

fn from_filter(by: &mut Dependent<'_>, filter: &Filter) -> Result<Pulled> {
    let Pulled { plan, mut columns, mut conditions } = pulled(by, &filter.input)?;
    let (asking, kept): (Vec<Expr>, Vec<Expr>) =
        split_conjunction_owned(filter.predicate.clone()).into_iter().partition(Expr::contains_outer);
    let mut plan = LogicalPlanBuilder::from(plan);
    if let Some(condition) = conjunction(kept) {
        plan = plan.filter(condition)?;
    }
    let compared: BTreeSet<&Column> = asking.iter().flat_map(Expr::column_refs).collect();
    let called: Vec<Column> = compared.iter().map(|_| Column::new_unqualified(by.name("compared"))).collect();
    let calls: HashMap<&Column, &Column> = compared.iter().copied().zip(&called).collect();
    for condition in &asking {
        conditions.push(replace_col(condition.clone(), &calls)?);
    }
    if !called.is_empty() {
        let own = plan.schema().columns().into_iter().map(Expr::Column);
        let more = compared.iter().zip(&called).map(|(from, to)| Expr::Column((*from).clone()).alias(&to.name));
        let all: Vec<Expr> = own.chain(more).collect();
        plan = plan.project(all)?;
    }
    columns.extend(called);
    Ok(Pulled { plan: plan.build()?, columns, conditions })
}

fn from_join(by: &mut Dependent<'_>, join: &Join) -> Result<Pulled> {
    let (left, right) = (pulled(by, &join.left)?, pulled(by, &join.right)?);
    let (l, r, filter) = (Arc::new(left.plan), Arc::new(right.plan), join.filter.clone());
    let (kind, how) = (join.join_type, join.join_constraint);
    let made = Join::try_new(l, r, join.on.clone(), filter, kind, how, join.null_equality, join.null_aware)?;
    Ok(Pulled {
        plan: LogicalPlan::Join(made),
        columns: left.columns.into_iter().chain(right.columns).collect(),
        conditions: left.conditions.into_iter().chain(right.conditions).collect(),
    })
}
