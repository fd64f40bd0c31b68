//! Subqueries that refer to the queries around them in any way.
//!
//! A subquery *T* that refers to columns *o* of a query *Q* is computed once for every combination of values that *o* has, not
//! for every row: with the *domain* `D = SELECT DISTINCT o FROM Q`, [`pushed`] makes of *T* a plan *T(D)* that no longer refers to *Q*,
//! with the rows of *T* for every row of *D* and the columns of *D* appended. What stood for *T* is *T(D)* where these
//! columns are not distinct from *o*: a condition of equality, of which the rules after this make a join.
//!
//! After T. Neumann and A. Kemper, "Unnesting Arbitrary Queries" (BTW 2015). It goes from the top down: a domain that has been pushed down is
//! a column of the query directly around a subquery further in, so a subquery never refers further out than that.
//!
//! The domain is a further join. What the rules after this make joins of by themselves is left to them: see
//! [`is_simple`](super::simple::is_simple).

use super::apart;
use super::correlation::{self, Equal, Lifted};
use super::free::{self, Names};
use super::places::has_subquery;
use super::pushed::pushed;
use super::simple::{self, Use};
use crate::{Functions, SqlError};
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DataFusionError, JoinType, Result, TableReference};
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::utils::{conjunction, split_conjunction_owned};
use datafusion_expr::{Expr, Filter, Join, LogicalPlan, LogicalPlanBuilder, Projection};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A plan whose subqueries are such as the rules after this make joins of.
pub(super) fn decorrelated(plan: LogicalPlan, functions: &Functions) -> Result<LogicalPlan> {
    Dependent { made: 0, names: correlation::Names::default(), functions }.node(plan)
}

/// The values of columns of a query.
pub(super) struct Domain {
    /// Rows of values, each once.
    plan: LogicalPlan,
    /// The columns of the query, in the order of the plan's.
    pub(super) columns: Vec<Column>,
    /// May they be NULL?
    nullable: Vec<bool>,
}

impl Domain {
    /// How many columns it has.
    pub(super) fn width(&self) -> usize {
        self.columns.len()
    }

    /// The columns of the domain at the end of a plan's.
    pub(super) fn of(&self, plan: &LogicalPlan) -> Vec<Column> {
        let columns = plan.schema().columns();
        columns[columns.len().saturating_sub(self.width())..].to_vec()
    }

    /// What stands for the columns of the query in a plan that ends with those of the domain.
    pub(super) fn names(&self, plan: &LogicalPlan) -> Names {
        self.columns.iter().cloned().zip(self.of(plan)).collect()
    }

    /// True where the columns have the same values.
    pub(super) fn equal(&self, left: &[Expr], right: &[Column]) -> Vec<Expr> {
        let sides = left.iter().cloned().zip(right.iter().cloned().map(Expr::Column)).zip(&self.nullable);
        sides.map(|((l, r), nullable)| if *nullable { not_distinct(l, r) } else { l.eq(r) }).collect()
    }

    /// Does a plan refer to the query?
    pub(super) fn is_asked_by(&self, plan: &LogicalPlan) -> bool {
        free::free(plan).iter().any(|c| self.columns.contains(c))
    }
}

/// NULL is not distinct from NULL.
pub(super) fn not_distinct(left: Expr, right: Expr) -> Expr {
    super::subqueries::binary(left, datafusion_expr::Operator::IsNotDistinctFrom, right)
}

pub(super) struct Dependent<'f> {
    made: usize,
    names: correlation::Names,
    functions: &'f Functions,
}

impl Dependent<'_> {
    pub(super) fn name(&mut self, what: &str) -> String {
        self.made += 1;
        format!("__{what}_{}", self.made)
    }

    /// A use of a domain: its rows, under a name of their own.
    pub(super) fn rows(&mut self, domain: &Domain) -> Result<LogicalPlan> {
        let name = self.name("domain");
        LogicalPlanBuilder::from(domain.plan.clone()).alias(name)?.build()
    }

    fn node(&mut self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let plan = match plan {
            LogicalPlan::Filter(filter) => self.filter(filter)?,
            LogicalPlan::Projection(projection) => self.projection(projection)?,
            LogicalPlan::Join(join) if free::is_lateral(&join) => self.lateral(join)?,
            other => other,
        };
        let plan = plan.map_subqueries(|plan| match plan {
            LogicalPlan::Subquery(s) => {
                let inner = self.node(Arc::unwrap_or_clone(s.subquery))?;
                Ok(Transformed::yes(LogicalPlan::Subquery(free::as_subquery(inner))))
            }
            other => Ok(Transformed::no(other)),
        });
        let plan = plan?.data.map_children(|child| match child {
            LogicalPlan::Subquery(s) => {
                let inner = self.node(Arc::unwrap_or_clone(s.subquery))?;
                // The binder takes what refers to a table within it, as UNNEST does, for one that refers to a table around.
                Ok(Transformed::yes(match free::free(&inner).is_empty() {
                    true => inner,
                    false => LogicalPlan::Subquery(free::as_subquery(inner)),
                }))
            }
            other => self.node(other).map(Transformed::yes),
        });
        Ok(plan?.data)
    }

    fn filter(&mut self, filter: Filter) -> Result<LogicalPlan> {
        if !has_subquery(&filter.predicate) {
            return Ok(LogicalPlan::Filter(filter));
        }
        let columns = filter.input.schema().columns();
        let (with, without): (Vec<Expr>, Vec<Expr>) =
            split_conjunction_owned(filter.predicate.clone()).into_iter().partition(has_subquery);
        let mut input = filter.input.as_ref().clone();
        if let Some(first) = conjunction(without) {
            input = LogicalPlanBuilder::from(input).filter(first)?.build()?;
        }
        let query = input.clone();
        let Some(conditions) = self.freed(with, &query, &mut input)? else { return Ok(LogicalPlan::Filter(filter)) };
        let widened = input.schema().fields().len() > columns.len();
        let mut plan = LogicalPlanBuilder::from(input);
        if let Some(condition) = conjunction(conditions) {
            plan = plan.filter(condition)?;
        }
        match widened {
            true => plan.project(columns.into_iter().map(Expr::Column))?.build(),
            false => plan.build(),
        }
    }

    fn projection(&mut self, projection: Projection) -> Result<LogicalPlan> {
        if !projection.expr.iter().any(has_subquery) {
            return Ok(LogicalPlan::Projection(projection));
        }
        let mut input = projection.input.as_ref().clone();
        let Some(exprs) = self.freed(projection.expr.clone(), &projection.input, &mut input)? else {
            return Ok(LogicalPlan::Projection(projection));
        };
        LogicalPlanBuilder::from(input).project(exprs)?.build()
    }

    /// Expressions over `query` whose subqueries are simple, or columns of `input`; `None` where they all were simple.
    fn freed(&mut self, exprs: Vec<Expr>, query: &LogicalPlan, input: &mut LogicalPlan) -> Result<Option<Vec<Expr>>> {
        let mut is_new = false;
        let preserver = NamePreserver::new_for_projection();
        let freed = exprs.into_iter().map(|expr| {
            let name = preserver.save(&expr);
            let made = expr.transform_up(|e| {
                let made = self.in_expression(e, query, input)?;
                is_new |= made.transformed;
                Ok(made)
            });
            Ok(name.restore(made?.data))
        });
        let freed = freed.collect::<Result<Vec<_>>>()?;
        Ok(is_new.then_some(freed))
    }

    fn in_expression(&mut self, expr: Expr, query: &LogicalPlan, input: &mut LogicalPlan) -> Result<Transformed<Expr>> {
        let Some(subquery) = free::subquery_of(&expr) else { return Ok(Transformed::no(expr)) };
        let is_value = matches!(expr, Expr::ScalarSubquery(_));
        let Some(columns) = columns_of(&subquery.subquery, query) else { return Ok(Transformed::no(expr)) };
        let how = if is_value { Use::Value } else { Use::Rows };
        if simple::is_simple(&subquery.subquery, how) {
            return Ok(match apart::told_apart(self, &subquery.subquery)? {
                Some(plan) => Transformed::yes(free::with_subquery(expr, plan)),
                None => Transformed::no(expr),
            });
        }
        if let Some(lifted) = self.lifted(&subquery.subquery, how)? {
            return Ok(Transformed::yes(free::with_subquery(expr, lifted)));
        }
        let domain = self.domain(query, columns)?;
        let plan = pushed(self, &subquery.subquery, &domain)?;
        let outer: Vec<Expr> = domain.columns.iter().cloned().map(Expr::Column).collect();
        if is_value {
            let name = self.name("value");
            let value = LogicalPlanBuilder::from(plan).alias(name)?.build()?;
            let columns = value.schema().columns();
            let on = domain.equal(&outer, &domain.of(&value));
            *input = LogicalPlanBuilder::from(input.clone()).join_on(value, JoinType::Left, on)?.build()?;
            return Ok(Transformed::yes(Expr::Column(columns[0].clone())));
        }
        let seen = outer.iter().map(|e| super::subqueries::outer(e, query)).collect::<Result<Vec<_>>>()?;
        let same = domain.equal(&seen, &domain.of(&plan));
        let shown = subquery.subquery.schema().columns().into_iter().map(Expr::Column);
        let plan = LogicalPlanBuilder::from(plan).filter(conjunction(same).ok_or_else(no_columns)?)?;
        let plan = plan.project(shown)?.build()?;
        Ok(Transformed::yes(free::with_subquery(expr, plan)))
    }

    /// A subquery that numbers rows within what it compares by equality: these are partitions of their own.
    fn lifted(&self, subquery: &LogicalPlan, how: Use) -> Result<Option<LogicalPlan>> {
        let numbers = subquery.exists(|p| Ok(matches!(p, LogicalPlan::Window(_))))?;
        if !numbers || !simple::is_shallow(subquery) {
            return Ok(None);
        }
        let Some(lifted) = correlation::lift(subquery, &self.names)? else { return Ok(None) };
        let plan = above(subquery, lifted)?;
        match how {
            Use::Rows | Use::Lateral => Ok(Some(plan)),
            Use::Value => super::numbering::one_value(plan, self.functions).map(Some),
        }
    }

    /// A join whose right side refers to the left.
    fn lateral(&mut self, join: Join) -> Result<LogicalPlan> {
        let (subquery, name) = free::beside(&join.right);
        // What the left does not have is of a query further out, which has pushed its domain down before.
        let mut columns = free::free(subquery);
        columns.retain(|c| join.left.schema().has_column(c));
        let kept = match simple::is_simple(subquery, Use::Lateral) {
            true => match apart::told_apart(self, subquery)? {
                Some(plan) => Some(plan),
                None => return Ok(LogicalPlan::Join(join)),
            },
            false => self.lifted(subquery, Use::Lateral)?,
        };
        if let Some(lifted) = kept {
            let right = named(LogicalPlan::Subquery(free::as_subquery(lifted)), name)?;
            return Ok(LogicalPlan::Join(Join { right: Arc::new(right), ..join }));
        }
        let domain = self.domain(&join.left, columns)?;
        let right = named(pushed(self, subquery, &domain)?, name)?;
        let shown = join.schema.columns().into_iter().map(Expr::Column);
        let outer: Vec<Expr> = domain.columns.iter().cloned().map(Expr::Column).collect();
        let same = domain.equal(&outer, &domain.of(&right));
        let on = join.on.iter().map(|(l, r)| l.clone().eq(r.clone()));
        let on: Vec<Expr> = on.chain(join.filter.clone()).chain(same).collect();
        let joined = LogicalPlanBuilder::from(join.left.as_ref().clone()).join_on(right, join.join_type, on)?;
        joined.project(shown)?.build()
    }

    /// The values of `columns` in a query.
    fn domain(&mut self, query: &LogicalPlan, columns: BTreeSet<Column>) -> Result<Domain> {
        check_repeatable(query)?;
        let name = self.name("outer");
        let columns: Vec<Column> = columns.into_iter().collect();
        let named = columns.iter().enumerate().map(|(at, c)| Expr::Column(c.clone()).alias(format!("{name}_{at}")));
        let plan = LogicalPlanBuilder::from(query.clone()).project(named)?.distinct()?.build()?;
        let nullable = plan.schema().fields().iter().map(|f| f.is_nullable()).collect();
        Ok(Domain { plan, columns, nullable })
    }
}

fn no_columns() -> DataFusionError {
    DataFusionError::Internal("a domain without columns".into())
}

/// The columns of `query` that a subquery refers to; `None` where there are none, or others too.
fn columns_of(subquery: &LogicalPlan, query: &LogicalPlan) -> Option<BTreeSet<Column>> {
    let columns = free::free(subquery);
    (!columns.is_empty() && columns.iter().all(|c| query.schema().has_column(c))).then_some(columns)
}

fn named(plan: LogicalPlan, name: Option<&TableReference>) -> Result<LogicalPlan> {
    match name {
        Some(name) => LogicalPlanBuilder::from(plan).alias(name.clone())?.build(),
        None => Ok(plan),
    }
}

/// What was taken out of a plan, above it.
fn above(before: &LogicalPlan, Lifted { plan, equal }: Lifted) -> Result<LogicalPlan> {
    let columns = before.schema().columns().into_iter().map(Expr::Column);
    let mut plan = LogicalPlanBuilder::from(plan);
    if let Some(condition) = conjunction(equal.iter().map(Equal::condition)) {
        plan = plan.filter(condition)?;
    }
    plan.project(columns)?.build()
}

/// The rows of a query are made twice: once as they are, once for their values.
fn check_repeatable(query: &LogicalPlan) -> Result<()> {
    let mut found = None;
    query.apply_with_subqueries(|p| {
        found = found.take().or_else(|| p.expressions().into_iter().find(Expr::is_volatile));
        Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    let Some(expr) = found else { return Ok(()) };
    let message =
        format!("a subquery that refers to rows with {}, which is never the same twice", expr.human_display());
    let error = SqlError::new(SqlError::UNSUPPORTED, message)
        .with_hint("compute it above the subquery, or INSERT the rows into a table first");
    Err(DataFusionError::External(Box::new(error)))
}
