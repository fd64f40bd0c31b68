//! A domain pushed down into a subquery, to where the subquery refers to it: see [`dependent`](super::dependent).
//!
//! The rows of `pushed(T, D)` are those of *T* for every row of *D*, with the columns of *D* appended:
//!
//! | *T* | `pushed(T, D)` |
//! |---|---|
//! | does not refer to *D* | *D* × *T* |
//! | filter, projection | over the pushed input |
//! | GROUP BY, DISTINCT, OVER, sessions | by the columns of *D* too |
//! | aggregate without GROUP BY | *D* LEFT JOIN the aggregate by the columns of *D*; where there is none, what it is over no rows |
//! | join | the side that refers to *D*, else the one that is kept; both meet where their columns of *D* are not distinct |
//! | UNION, INTERSECT, EXCEPT | both sides |

use super::correlation;
use super::dependent::{Dependent, Domain, not_distinct};
use super::free::{self, Names};
use crate::SqlError;
use crate::bind::window_assign::{Cut, WindowAssign};
use datafusion_common::{Column, DataFusionError, JoinType, NullEquality, Result, ScalarValue};
use datafusion_expr::expr::AggregateFunction;
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::{Aggregate, Distinct, Expr, Join, LogicalPlan, LogicalPlanBuilder, Union, Window, lit, when};
use std::sync::Arc;

/// The rows of a plan for every row of a domain. See the module's page.
pub(super) fn pushed(by: &mut Dependent<'_>, plan: &LogicalPlan, domain: &Domain) -> Result<LogicalPlan> {
    if !domain.is_asked_by(plan) {
        let rows = by.rows(domain)?;
        let joined = LogicalPlanBuilder::from(plan.clone()).cross_join(rows)?;
        return joined.build();
    }
    match plan {
        LogicalPlan::Filter(f) => {
            let input = pushed(by, &f.input, domain)?;
            let condition = free::own(f.predicate.clone(), &domain.names(&input), &[&f.input])?;
            LogicalPlanBuilder::from(input).filter(condition)?.build()
        }
        LogicalPlan::Projection(p) => {
            let input = pushed(by, &p.input, domain)?;
            let exprs = renewed(&p.expr, &domain.names(&input), &p.input)?;
            let all: Vec<Expr> = exprs.into_iter().chain(domain.of(&input).into_iter().map(Expr::Column)).collect();
            LogicalPlanBuilder::from(input).project(all)?.build()
        }
        LogicalPlan::SubqueryAlias(a) => {
            let input = pushed(by, &a.input, domain)?;
            LogicalPlanBuilder::from(input).alias(a.alias.clone())?.build()
        }
        LogicalPlan::Sort(s) => pushed(by, &s.input, domain),
        LogicalPlan::Subquery(s) => pushed(by, &s.subquery, domain),
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let input = pushed(by, input, domain)?;
            LogicalPlanBuilder::from(input).distinct()?.build()
        }
        LogicalPlan::Window(w) => window(by, w, domain),
        LogicalPlan::Aggregate(a) if a.group_expr.is_empty() => whole(by, a, domain),
        LogicalPlan::Aggregate(a) if !correlation::is_grouping_set(&a.group_expr) => {
            let (grouped, _) = by_domain(by, a, domain)?;
            shown(grouped, a.schema.columns(), domain)
        }
        LogicalPlan::Join(j) => join(by, j, domain),
        LogicalPlan::Union(u) => union(by, u, domain),
        LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) => values(by, plan, domain),
        LogicalPlan::Extension(e) => {
            let inputs = e.node.inputs().into_iter().map(|i| pushed(by, i, domain)).collect::<Result<Vec<_>>>()?;
            let names = inputs.first().map(|i| domain.names(i)).unwrap_or_default();
            let below: Vec<&LogicalPlan> = e.node.inputs();
            let exprs = e.node.expressions().into_iter().map(|e| free::own(e, &names, &below));
            let mut exprs = exprs.collect::<Result<Vec<_>>>()?;
            let columns = inputs.first().map(|i| domain.of(i)).unwrap_or_default();
            let assign = e.node.as_any().downcast_ref::<WindowAssign>();
            if assign.is_some_and(|assign| matches!(assign.cut(), Cut::Sessions { .. })) {
                // Each row of the domain has sessions of its own.
                exprs.extend(columns.iter().cloned().map(Expr::Column));
            }
            let made = plan.with_new_exprs(exprs, inputs)?;
            with_columns(made, plan.schema().columns(), columns)
        }
        other => Err(refused(other)),
    }
}

/// Expressions over what was pushed, under their names.
fn renewed(exprs: &[Expr], names: &Names, input: &LogicalPlan) -> Result<Vec<Expr>> {
    let preserver = NamePreserver::new_for_projection();
    let one = |e: &Expr| Ok(preserver.save(e).restore(free::own(e.clone(), names, &[input])?));
    exprs.iter().map(one).collect()
}

/// The columns that a plan had, then those of the domain.
fn with_columns(plan: LogicalPlan, columns: Vec<Column>, domain: Vec<Column>) -> Result<LogicalPlan> {
    LogicalPlanBuilder::from(plan).project(columns.into_iter().chain(domain).map(Expr::Column))?.build()
}

/// The same where the columns of the domain stand first.
fn shown(plan: LogicalPlan, columns: Vec<Column>, domain: &Domain) -> Result<LogicalPlan> {
    let first = plan.schema().columns()[..domain.width()].to_vec();
    with_columns(plan, columns, first)
}

fn window(by: &mut Dependent<'_>, window: &Window, domain: &Domain) -> Result<LogicalPlan> {
    let input = pushed(by, &window.input, domain)?;
    let columns = domain.of(&input);
    let calls = renewed(&window.window_expr, &domain.names(&input), &window.input)?;
    let calls = calls.iter().map(|call| correlation::partitioned(call, &columns)).collect::<Result<Vec<_>>>()?;
    let made = LogicalPlan::Window(Window::try_new(calls, Arc::new(input))?);
    with_columns(made, window.schema.columns(), columns)
}

/// An aggregate by the columns of the domain, which come first, and the pushed input's columns of the domain.
fn by_domain(by: &mut Dependent<'_>, aggregate: &Aggregate, domain: &Domain) -> Result<(LogicalPlan, Vec<Column>)> {
    let input = pushed(by, &aggregate.input, domain)?;
    let columns = domain.of(&input);
    let names = domain.names(&input);
    let groups = renewed(&aggregate.group_expr, &names, &aggregate.input)?;
    let calls = renewed(&aggregate.aggr_expr, &names, &aggregate.input)?;
    let keys = columns.iter().cloned().map(Expr::Column).chain(groups).collect();
    let made = LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(input), keys, calls)?);
    Ok((made, columns))
}

/// An aggregate without GROUP BY has a row for every row of the domain.
fn whole(by: &mut Dependent<'_>, aggregate: &Aggregate, domain: &Domain) -> Result<LogicalPlan> {
    let (grouped, keys) = by_domain(by, aggregate, domain)?;
    let name = by.name("matched");
    let columns: Vec<Expr> = grouped.schema().columns().into_iter().map(Expr::Column).collect();
    let marked = columns.into_iter().chain([lit(true).alias(&name)]);
    let grouped = LogicalPlanBuilder::from(grouped).project(marked)?.build()?;
    let rows = by.rows(domain)?;
    let of_rows = domain.of(&rows);
    let left: Vec<Expr> = of_rows.iter().cloned().map(Expr::Column).collect();
    let joined = LogicalPlanBuilder::from(rows).join_on(grouped, JoinType::Left, domain.equal(&left, &keys))?;
    let missing = Expr::Column(Column::new_unqualified(name)).is_null();
    let values = aggregate.schema.columns().into_iter().zip(&aggregate.aggr_expr).map(|(column, call)| {
        let value = Expr::Column(column.clone());
        let empty = over_nothing(call, &value, aggregate)?;
        Ok(match empty.is_null() {
            true => value,
            false => when(missing.clone(), lit(empty))
                .otherwise(value)?
                .alias_qualified(column.relation.clone(), &column.name),
        })
    });
    let values = values.collect::<Result<Vec<_>>>()?;
    joined.project(values.into_iter().chain(left))?.build()
}

/// The value of an aggregate over no rows.
fn over_nothing(call: &Expr, value: &Expr, aggregate: &Aggregate) -> Result<ScalarValue> {
    use datafusion_expr::ExprSchemable;
    let data_type = value.get_type(&aggregate.schema)?;
    match call.clone().unalias() {
        Expr::AggregateFunction(AggregateFunction { func, .. }) => func.default_value(&data_type),
        other => Err(DataFusionError::Internal(format!("{other} is no aggregate"))),
    }
}

fn join(by: &mut Dependent<'_>, join: &Join, domain: &Domain) -> Result<LogicalPlan> {
    use JoinType::{Full, Inner, Right, RightAnti, RightMark, RightSemi};
    let is_lateral = free::is_lateral(join);
    let asks = [domain.is_asked_by(&join.left), !is_lateral && domain.is_asked_by(&join.right)];
    let [left, right] = match join.join_type {
        Inner => [asks[0] || is_lateral || !asks[1], asks[1]],
        Right | RightSemi | RightAnti | RightMark => [asks[0], true],
        Full => [true, true],
        _ => [true, asks[1]],
    };
    let mut side = |plan: &Arc<LogicalPlan>, with: bool| match with {
        true => pushed(by, plan, domain),
        false => Ok(plan.as_ref().clone()),
    };
    let (l, mut r) = (side(&join.left, left)?, side(&join.right, right)?);
    let columns = [(left, &l), (right, &r)].map(|(with, plan)| if with { domain.of(plan) } else { vec![] });
    let names: Names = domain.columns.iter().cloned().zip(columns[usize::from(!left)].clone()).collect();
    if is_lateral {
        r = free::renamed(r, &names)?;
    }
    let equal = |(l, r): &(Expr, Expr)| match join.null_equality {
        NullEquality::NullEqualsNull => not_distinct(l.clone(), r.clone()),
        NullEquality::NullEqualsNothing => l.clone().eq(r.clone()),
    };
    let on = join.on.iter().map(equal).chain(join.filter.clone());
    let on = on.map(|e| free::own(e, &names, &[&join.left, &join.right])).collect::<Result<Vec<_>>>()?;
    let of_left: Vec<Expr> = columns[0].iter().cloned().map(Expr::Column).collect();
    let same = if left && right { domain.equal(&of_left, &columns[1]) } else { vec![] };
    let on: Vec<Expr> = on.into_iter().chain(same).collect();
    let joined = LogicalPlanBuilder::from(l).join_on(r, join.join_type, on)?.build()?;
    let own = join.schema.columns();
    if join.join_type == Full {
        let name = by.name("domain");
        let both = columns[0].iter().zip(&columns[1]).map(|(l, r)| {
            let (left, right) = (Expr::Column(l.clone()), Expr::Column(r.clone()));
            let either = when(left.clone().is_null(), right).otherwise(left)?;
            Ok(either.alias_qualified(Some(name.clone()), &l.name))
        });
        let all = own.into_iter().map(|c| Ok(Expr::Column(c))).chain(both).collect::<Result<Vec<_>>>()?;
        return LogicalPlanBuilder::from(joined).project(all)?.build();
    }
    let kept = match join.join_type {
        Right | RightSemi | RightAnti | RightMark => 1,
        _ => usize::from(!left),
    };
    with_columns(joined, own, columns[kept].clone())
}

fn union(by: &mut Dependent<'_>, union: &Union, domain: &Domain) -> Result<LogicalPlan> {
    let inputs = union.inputs.iter().map(|i| pushed(by, i, domain).map(Arc::new)).collect::<Result<Vec<_>>>()?;
    let made = LogicalPlan::Union(Union::try_new(inputs)?);
    named_as(by, made, union.schema.iter().map(|(q, f)| (q.cloned(), f.name().clone())).collect(), domain)
}

/// Rows that are written out, one for every row of the domain.
fn values(by: &mut Dependent<'_>, plan: &LogicalPlan, domain: &Domain) -> Result<LogicalPlan> {
    let LogicalPlan::Values(values) = plan else { return Err(refused(plan)) };
    let rows = values.values.iter().map(|row| {
        let rows = by.rows(domain)?;
        let columns = domain.of(&rows);
        let row = row.iter().map(|e| free::own(e.clone(), &domain.names(&rows), &[]));
        let named = row.zip(values.schema.fields()).map(|(e, f)| Ok(e?.alias(f.name())));
        let all = named.chain(columns.into_iter().map(|c| Ok(Expr::Column(c)))).collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(LogicalPlanBuilder::from(rows).project(all)?.build()?))
    });
    let mut rows = rows.collect::<Result<Vec<_>>>()?;
    let made = match rows.len() {
        1 => Arc::unwrap_or_clone(rows.remove(0)),
        _ => LogicalPlan::Union(Union::try_new(rows)?),
    };
    named_as(by, made, values.schema.iter().map(|(q, f)| (q.cloned(), f.name().clone())).collect(), domain)
}

/// The plan with names for its columns; those of the domain get one that nobody has.
fn named_as(
    by: &mut Dependent<'_>,
    plan: LogicalPlan,
    names: Vec<(Option<datafusion_common::TableReference>, String)>,
    domain: &Domain,
) -> Result<LogicalPlan> {
    let name = by.name("domain");
    let of_domain = domain.of(&plan).into_iter().map(|c| (Some(name.clone().into()), c.name));
    let columns = plan.schema().columns().into_iter().zip(names.into_iter().chain(of_domain));
    let all: Vec<Expr> = columns.map(|(c, (q, n))| Expr::Column(c).alias_qualified(q, n)).collect();
    LogicalPlanBuilder::from(plan).project(all)?.build()
}

fn refused(plan: &LogicalPlan) -> DataFusionError {
    let what = match plan {
        LogicalPlan::Aggregate(_) => "GROUPING SETS, CUBE or ROLLUP".to_owned(),
        other => other.display().to_string(),
    };
    let message = format!("{what} over rows that depend on the query around is not supported");
    let error = SqlError::new(SqlError::UNSUPPORTED, message)
        .with_hint("write a UNION ALL of the groupings, or join with the grouped rows");
    DataFusionError::External(Box::new(error))
}
