//! Subqueries brought to filters and projections, where the rules after this look for them, from wherever else they stand: conditions of
//! joins, keys and arguments of aggregates and of functions with OVER, ORDER BY, lists of UNNEST, VALUES.

use super::free::{as_subquery, free_of, subquery_of};
use super::subqueries::binary;
use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion_common::{Column, Result};
use datafusion_expr::expr::{SetQuantifier, Sort as SortKey};
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::utils::{conjunction, split_conjunction_owned};
use datafusion_expr::{
    Case, Expr, Filter, Join, JoinType, LogicalPlan, LogicalPlanBuilder, Operator, Union, Values, Window, lit, not,
};
use std::sync::Arc;

/// The plan with its subqueries in filters and projections only.
pub(super) fn placed(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut places = Places { made: 0 };
    plan.transform_up_with_subqueries(|node| places.node(node)).data()
}

pub(super) fn is_subquery(expr: &Expr) -> bool {
    subquery_of(expr).is_some()
}

pub(super) fn has_subquery(expr: &Expr) -> bool {
    expr.exists(|e| Ok(is_subquery(e))).unwrap_or(false)
}

struct Places {
    /// For names that nobody has.
    made: usize,
}

impl Places {
    fn node(&mut self, node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        if !node.expressions().iter().any(has_subquery) {
            return Ok(Transformed::no(node));
        }
        let preserver = NamePreserver::new(&node);
        let node = node.map_expressions(|e| {
            let name = preserver.save(&e);
            Ok(e.transform_up(one_row)?.update_data(|e| name.restore(e)))
        });
        let node = node?.data;
        Ok(Transformed::yes(match node {
            LogicalPlan::Aggregate(_) | LogicalPlan::Window(_) | LogicalPlan::Sort(_) | LogicalPlan::Extension(_) => {
                self.below(node)?
            }
            LogicalPlan::Join(join) => self.join(join)?,
            LogicalPlan::Values(values) => rows(&values)?,
            other => other,
        }))
    }

    /// The expression as a column that is computed below.
    fn computed(&mut self, expr: Expr, input: &mut LogicalPlan) -> Result<Expr> {
        self.made += 1;
        let name = format!("__placed_{}", self.made);
        let columns = input.schema().columns().into_iter().map(Expr::Column);
        let all: Vec<Expr> = columns.chain([expr.alias(&name)]).collect();
        *input = LogicalPlanBuilder::from(input.clone()).project(all)?.build()?;
        Ok(Expr::Column(Column::new_unqualified(name)))
    }

    /// An expression whose subqueries are columns that are computed below.
    fn lowered(&mut self, expr: &Expr, input: &mut LogicalPlan) -> Result<Expr> {
        let preserver = NamePreserver::new_for_projection();
        let name = preserver.save(expr);
        let made = expr.clone().transform_down(|e| match is_subquery(&e) {
            true => Ok(Transformed::yes(self.computed(e, input)?)),
            false => Ok(Transformed::no(e)),
        });
        Ok(name.restore(made.data()?))
    }

    /// A node of one input whose subqueries are columns that are computed below it.
    fn below(&mut self, node: LogicalPlan) -> Result<LogicalPlan> {
        let columns = node.schema().columns();
        let [input] = node.inputs()[..] else { return Ok(node) };
        let mut input = input.clone();
        let made = match &node {
            LogicalPlan::Aggregate(a) => {
                let mut lowered = |e: &Expr| self.lowered(e, &mut input);
                let groups = a.group_expr.iter().map(&mut lowered).collect::<Result<Vec<_>>>()?;
                let calls = a.aggr_expr.iter().map(&mut lowered).collect::<Result<Vec<_>>>()?;
                return LogicalPlanBuilder::from(input).aggregate(groups, calls)?.build();
            }
            LogicalPlan::Window(w) => {
                let calls = w.window_expr.iter().map(|e| self.lowered(e, &mut input)).collect::<Result<Vec<_>>>()?;
                LogicalPlan::Window(Window::try_new(calls, Arc::new(input))?)
            }
            LogicalPlan::Sort(s) => {
                let mut key = |k: &SortKey| {
                    let expr = match has_subquery(&k.expr) {
                        true => self.computed(k.expr.clone(), &mut input)?,
                        false => k.expr.clone(),
                    };
                    Ok(SortKey { expr, ..k.clone() })
                };
                let keys = s.expr.iter().map(&mut key).collect::<Result<Vec<_>>>()?;
                LogicalPlanBuilder::from(input).sort(keys)?.build()?
            }
            other => {
                let exprs = other.expressions();
                let exprs = exprs.iter().map(|e| self.lowered(e, &mut input)).collect::<Result<Vec<_>>>()?;
                other.with_new_exprs(exprs, vec![input])?
            }
        };
        LogicalPlanBuilder::from(made).project(columns.into_iter().map(Expr::Column))?.build()
    }

    /// A join whose condition has subqueries: of both inputs together only an inner join's can be tested after it; what is
    /// about one input is a column that is computed below.
    fn join(&mut self, mut join: Join) -> Result<LogicalPlan> {
        let Some(condition) = join.filter.take() else { return Ok(LogicalPlan::Join(join)) };
        let columns = join.schema.columns();
        let (with, mut without): (Vec<Expr>, Vec<Expr>) =
            split_conjunction_owned(condition).into_iter().partition(has_subquery);
        if join.join_type == JoinType::Inner {
            join.filter = conjunction(without);
            let Some(after) = conjunction(with) else { return Ok(LogicalPlan::Join(join)) };
            return Ok(LogicalPlan::Filter(Filter::try_new(after, Arc::new(LogicalPlan::Join(join)))?));
        }
        let mut sides = [join.left.as_ref().clone(), join.right.as_ref().clone()];
        for condition in with {
            let of_one = sides.iter_mut().find(|s| refers_only_to(&condition, s));
            without.push(match of_one {
                Some(side) => self.computed(condition, side)?,
                None => condition,
            });
        }
        let [left, right] = sides;
        let on = join.on.into_iter().map(|(l, r)| l.eq(r)).chain(without);
        let joined = LogicalPlanBuilder::from(left).join_on(right, join.join_type, on.collect::<Vec<_>>())?;
        joined.project(columns.into_iter().map(Expr::Column))?.build()
    }
}

/// Are all columns that the expression, and the subqueries in it, read of the query around, columns of `plan`?
fn refers_only_to(expr: &Expr, plan: &LogicalPlan) -> bool {
    let has = |c: &Column| plan.schema().has_column(c);
    expr.column_refs().into_iter().all(has) && free_of(expr, &[plan]).is_empty()
}

/// Rows that are written out, as a query each.
fn rows(values: &Values) -> Result<LogicalPlan> {
    let row = |row: &Vec<Expr>| {
        let named = row.iter().zip(values.schema.fields()).map(|(e, f)| e.clone().alias(f.name()));
        let one_row = LogicalPlanBuilder::empty(true);
        Ok(Arc::new(one_row.project(named.collect::<Vec<_>>())?.build()?))
    };
    let mut rows = values.values.iter().map(row).collect::<Result<Vec<_>>>()?;
    Ok(match rows.len() {
        1 => Arc::unwrap_or_clone(rows.remove(0)),
        _ => LogicalPlan::Union(Union::try_new(rows)?),
    })
}

/// A subquery of one row at most, an aggregate without GROUP BY, is a value and a condition. Made a join as it stands, it would
/// have no row where it aggregates nothing.
fn one_row(expr: Expr) -> Result<Transformed<Expr>> {
    let Some(inner) = subquery_of(&expr).filter(|_| !matches!(expr, Expr::ScalarSubquery(_))) else {
        return Ok(Transformed::no(expr));
    };
    let Some((row, condition)) = single_row(&inner.subquery)? else { return Ok(Transformed::no(expr)) };
    let value = |plan| Expr::ScalarSubquery(as_subquery(plan));
    let is_there = condition.map(|plan| value(plan).is_true());
    let (compared, without) = match &expr {
        Expr::Exists(e) => {
            let is_there = is_there.unwrap_or_else(|| lit(true));
            return Ok(Transformed::yes(if e.negated { not(is_there) } else { is_there }));
        }
        Expr::InSubquery(i) => {
            let op = if i.negated { Operator::NotEq } else { Operator::Eq };
            (binary(i.expr.as_ref().clone(), op, value(row)), i.negated)
        }
        Expr::SetComparison(c) => {
            (binary(c.expr.as_ref().clone(), c.op, value(row)), c.quantifier == SetQuantifier::All)
        }
        _ => return Ok(Transformed::no(expr)),
    };
    Ok(Transformed::yes(match is_there {
        None => compared,
        Some(is_there) => {
            let whens = vec![(Box::new(is_there), Box::new(compared))];
            Expr::Case(Case::new(None, whens, Some(Box::new(lit(without)))))
        }
    }))
}

/// The row of an aggregate without GROUP BY, and what HAVING says of it, each as a plan of one row.
fn single_row(plan: &LogicalPlan) -> Result<Option<(LogicalPlan, Option<LogicalPlan>)>> {
    Ok(match plan {
        LogicalPlan::Aggregate(a) if a.group_expr.is_empty() => Some((plan.clone(), None)),
        LogicalPlan::Filter(f) => match single_row(&f.input)? {
            Some((row, None)) => {
                let having = LogicalPlanBuilder::from(row.clone()).project([f.predicate.clone().alias("having")])?;
                Some((row, Some(having.build()?)))
            }
            _ => None,
        },
        LogicalPlan::Projection(p) => match single_row(&p.input)? {
            Some((row, having)) => {
                let row = LogicalPlanBuilder::from(row).project(p.expr.clone())?.build()?;
                Some((row, having))
            }
            None => None,
        },
        LogicalPlan::SubqueryAlias(a) => match single_row(&a.input)? {
            Some((row, having)) => Some((LogicalPlanBuilder::from(row).alias(a.alias.clone())?.build()?, having)),
            None => None,
        },
        _ => None,
    })
}
