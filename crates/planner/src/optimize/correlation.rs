//! Subqueries that number rows for every row of the query around them: LIMIT, OVER, DISTINCT ON below a correlated filter.
//!
//! Rows for which `inner = outer` are a partition by `inner`. So what numbers or groups rows does it in partitions by
//! `inner`, over all of them, and the filter goes above it, where DataFusion's rules turn it into the condition of a join:
//!
//! ```text
//! first 3 (Filter (inner = outer) rows)  =  Filter (inner = outer) (first 3 by inner (rows))
//! ```
//! That holds for equalities of something of the subquery with something of the query around it, joined by AND.

use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Column, Result};
use datafusion_expr::utils::{conjunction, split_conjunction_owned};
use datafusion_expr::{
    Aggregate, Distinct, Expr, Filter, LogicalPlan, LogicalPlanBuilder, Operator, Projection, Window,
};
use std::cell::Cell;
use std::sync::Arc;

/// A plan without its correlated filter.
pub(super) struct Lifted {
    /// All columns of the plan, and those that the filter compares.
    pub(super) plan: LogicalPlan,
    /// What the filter says.
    pub(super) equal: Vec<Equal>,
}

/// A column of the plan that is equal to something of the query around it.
pub(super) struct Equal {
    pub(super) inner: Column,
    outer: Expr,
}

impl Equal {
    /// As a condition.
    pub(super) fn condition(&self) -> Expr {
        Expr::Column(self.inner.clone()).eq(self.outer.clone())
    }
}

/// Names for columns that are compared.
#[derive(Default)]
pub(super) struct Names(Cell<usize>);

impl Names {
    fn next(&self) -> String {
        self.0.set(self.0.get() + 1);
        format!("__correlated_{}", self.0.get())
    }
}

/// Takes what a plan says of the query around it out of it; `None` where that is more than equalities in filters.
pub(super) fn lift(plan: &LogicalPlan, names: &Names) -> Result<Option<Lifted>> {
    if plan.all_out_ref_exprs().is_empty() {
        return Ok(Some(Lifted { plan: plan.clone(), equal: vec![] }));
    }
    if let LogicalPlan::Filter(filter) = plan {
        return lift_filter(filter, names);
    }
    let inputs = plan.inputs();
    let [input] = inputs.as_slice() else { return Ok(None) };
    if plan.expressions().iter().any(Expr::contains_outer) {
        return Ok(None);
    }
    let Some(Lifted { plan: input, mut equal }) = lift(input, names)? else { return Ok(None) };
    let plan = match plan {
        LogicalPlan::Projection(p) => {
            let mut exprs = p.expr.clone();
            for e in &mut equal {
                let name = names.next();
                exprs.push(Expr::Column(std::mem::replace(&mut e.inner, Column::new_unqualified(&name))).alias(name));
            }
            LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?)
        }
        LogicalPlan::SubqueryAlias(a) => {
            for e in &mut equal {
                e.inner = Column::new(Some(a.alias.clone()), e.inner.name());
            }
            LogicalPlanBuilder::from(input).alias(a.alias.clone())?.build()?
        }
        LogicalPlan::Sort(s) => LogicalPlanBuilder::from(input).sort(s.expr.clone())?.build()?,
        LogicalPlan::Distinct(Distinct::All(_)) => LogicalPlan::Distinct(Distinct::All(Arc::new(input))),
        LogicalPlan::Window(w) => {
            let columns: Vec<Column> = equal.iter().map(|e| e.inner.clone()).collect();
            let by = |e: &Expr| partitioned(e, &columns);
            let calls = w.window_expr.iter().map(by).collect::<Result<Vec<_>>>()?;
            LogicalPlan::Window(Window::try_new(calls, Arc::new(input))?)
        }
        LogicalPlan::Aggregate(a) if !a.group_expr.is_empty() && !is_grouping_set(&a.group_expr) => {
            let mut keys = a.group_expr.clone();
            for e in &equal {
                let key = Expr::Column(e.inner.clone());
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
            LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(input), keys, a.aggr_expr.clone())?)
        }
        _ => return Ok(None),
    };
    Ok(Some(Lifted { plan, equal }))
}

fn lift_filter(filter: &Filter, names: &Names) -> Result<Option<Lifted>> {
    let Some(Lifted { plan, mut equal }) = lift(&filter.input, names)? else { return Ok(None) };
    let (mut kept, mut computed) = (Vec::new(), Vec::new());
    for condition in split_conjunction_owned(filter.predicate.clone()) {
        if !condition.contains_outer() {
            kept.push(condition);
            continue;
        }
        let Some((inner, outer)) = equality(condition) else { return Ok(None) };
        let inner = match inner {
            Expr::Column(column) => column,
            other => {
                let name = names.next();
                computed.push(other.alias(&name));
                Column::new_unqualified(name)
            }
        };
        equal.push(Equal { inner, outer });
    }
    let mut plan = LogicalPlanBuilder::from(plan);
    if let Some(condition) = conjunction(kept) {
        plan = plan.filter(condition)?;
    }
    if !computed.is_empty() {
        let columns: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
        plan = plan.project(columns.into_iter().chain(computed))?;
    }
    Ok(Some(Lifted { plan: plan.build()?, equal }))
}

/// The two sides of an equality: of the subquery, of the query around it.
fn equality(condition: Expr) -> Option<(Expr, Expr)> {
    let Expr::BinaryExpr(b) = condition else { return None };
    let is_outer = |e: &Expr| e.contains_outer() && e.column_refs().is_empty();
    match b.op {
        Operator::Eq if is_outer(&b.right) && !b.left.contains_outer() => Some((*b.left, *b.right)),
        Operator::Eq if is_outer(&b.left) && !b.right.contains_outer() => Some((*b.right, *b.left)),
        _ => None,
    }
}

/// A function with OVER, within partitions by more columns, under its name.
pub(super) fn partitioned(call: &Expr, columns: &[Column]) -> Result<Expr> {
    let (_, name) = call.qualified_name();
    let more = call.clone().transform_up(|e| {
        let Expr::WindowFunction(mut call) = e else { return Ok(Transformed::no(e)) };
        call.params.partition_by.extend(columns.iter().cloned().map(Expr::Column));
        Ok(Transformed::yes(Expr::WindowFunction(call)))
    })?;
    Ok(more.data.unalias().alias(name))
}

pub(super) fn is_grouping_set(keys: &[Expr]) -> bool {
    matches!(keys, [Expr::GroupingSet(_), ..])
}
