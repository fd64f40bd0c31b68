//! One join with USING or NATURAL as a plan: the common columns first, then what each side has beside them.
//!
//! A common column of the result is that of the left for INNER and LEFT, that of the right for RIGHT, and
//! `COALESCE(left, right)` for FULL. It stands under a qualifier of its own, so that the name alone means it. The two that
//! it was made of stay, under names that nobody writes ([`own_name`]): `l.k` is still the left one.

use super::context::external;
use super::window_tvf::position_of;
use crate::{SqlError, TextPosition};
use datafusion_common::{Column, DFSchema, JoinType, Result, TableReference};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use sqlparser::ast::{Ident, Join, JoinConstraint, JoinOperator, ObjectName, TableFactor};

/// What stands before the name of a column that a join with USING has merged.
const OWN: &str = "__own:";
/// What stands before the qualifier of a merged column.
const MERGED: &str = "__using:";

/// What a column is called after it was merged.
pub(super) fn own_name(name: &str) -> String {
    format!("{OWN}{name}")
}

/// The name of a column before it was merged, if it was.
pub(super) fn merged_name(name: &str) -> Option<&str> {
    name.strip_prefix(OWN)
}

/// The kind and the columns of a join with USING or NATURAL that puts out columns of both sides.
pub(super) fn common_columns(operator: &JoinOperator) -> Option<(JoinType, &JoinConstraint)> {
    let (join_type, constraint) = match operator {
        JoinOperator::Join(c) | JoinOperator::Inner(c) => (JoinType::Inner, c),
        JoinOperator::Left(c) | JoinOperator::LeftOuter(c) => (JoinType::Left, c),
        JoinOperator::Right(c) | JoinOperator::RightOuter(c) => (JoinType::Right, c),
        JoinOperator::FullOuter(c) => (JoinType::Full, c),
        _ => return None,
    };
    matches!(constraint, JoinConstraint::Using(_) | JoinConstraint::Natural).then_some((join_type, constraint))
}

/// Plans brackets around one join with USING or NATURAL, which [`super::using`] puts there.
#[derive(Debug)]
pub(super) struct UsingPlanner;

impl RelationPlanner for UsingPlanner {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let TableFactor::NestedJoin { table_with_joins, alias } = relation else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let common = match table_with_joins.joins.as_slice() {
            [join] => common_columns(&join.join_operator),
            _ => None,
        };
        let Some((join_type, constraint)) = common else {
            return Ok(RelationPlanning::Original(Box::new(TableFactor::NestedJoin { table_with_joins, alias })));
        };
        let left = named(context.plan(table_with_joins.relation.clone())?, "__left")?;
        let Join { relation, .. } = &table_with_joins.joins[0];
        let right = named(context.plan(relation.clone())?, "__right")?;
        let coalesce = |l: Expr, r: Expr| match context.context_provider().get_function_meta("coalesce") {
            Some(function) => Ok(Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![l, r]))),
            None => Err(external(SqlError::new(SqlError::INTERNAL, "there is no COALESCE"))),
        };
        let pairs = pairs(constraint, left.schema(), right.schema())?;
        // What is named as a whole has no columns of the sides.
        let plan = joined(left, right, join_type, &pairs, alias.is_none(), &coalesce)?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
    }
}

/// A side without names gets one: only its columns can be meant, not the side.
fn named(plan: LogicalPlan, name: &str) -> Result<LogicalPlan> {
    let is_nameless = plan.schema().iter().any(|(qualifier, _)| qualifier.is_none());
    match is_nameless {
        true => LogicalPlanBuilder::from(plan).alias(name)?.build(),
        false => Ok(plan),
    }
}

/// The common columns: name, left, right.
fn pairs(constraint: &JoinConstraint, left: &DFSchema, right: &DFSchema) -> Result<Vec<(String, Column, Column)>> {
    let names: Vec<(String, Option<TextPosition>)> = match constraint {
        JoinConstraint::Using(names) => names.iter().map(using_name).collect::<Result<_>>()?,
        _ => {
            let visible = left.fields().iter().filter(|f| merged_name(f.name()).is_none());
            let common = visible.filter(|f| right.has_column_with_unqualified_name(f.name()));
            let mut names: Vec<(String, Option<TextPosition>)> = Vec::new();
            common.for_each(|f| names.push((f.name().clone(), None)));
            names.dedup();
            names
        }
    };
    names
        .into_iter()
        .map(|(name, place)| {
            let (l, r) = (one_column(&name, place, left, "left")?, one_column(&name, place, right, "right")?);
            Ok((name, l, r))
        })
        .collect()
}

fn using_name(name: &ObjectName) -> Result<(String, Option<TextPosition>)> {
    match name.0.as_slice() {
        [part] if part.as_ident().is_some() => {
            let place = part.as_ident().and_then(|i: &Ident| position_of(i.span));
            Ok((part.as_ident().map(|i| i.value.clone()).unwrap_or_default(), place))
        }
        _ => Err(external(
            SqlError::new(SqlError::INVALID, format!("USING ({name}) names no column"))
                .with_hint("write the name of a column of both tables, without a table"),
        )),
    }
}

fn one_column(name: &str, place: Option<TextPosition>, schema: &DFSchema, side: &str) -> Result<Column> {
    let found = schema.qualified_fields_with_unqualified_name(name);
    let error = match found.as_slice() {
        [(qualifier, field)] => return Ok(Column::new(qualifier.cloned(), field.name())),
        [] => super::errors::unknown_column(name, None, &schema.columns())
            .with_detail(format!("the {side} side of the join has no such column")),
        _ => SqlError::new("42702", format!("column {name} is ambiguous"))
            .with_detail(format!("several tables on the {side} side of the join have it"))
            .with_hint("write the condition with ON"),
    };
    Err(external(match place {
        Some(place) => error.at(place),
        None => error,
    }))
}

fn joined(
    left: LogicalPlan,
    right: LogicalPlan,
    join_type: JoinType,
    pairs: &[(String, Column, Column)],
    keep_own: bool,
    coalesce: &dyn Fn(Expr, Expr) -> Result<Expr>,
) -> Result<LogicalPlan> {
    let mut columns = Vec::new();
    for (name, l, r) in pairs {
        let qualifier = r.relation.as_ref().map(TableReference::table).unwrap_or_default();
        let qualifier = TableReference::bare(format!("{MERGED}{qualifier}"));
        let (l, r) = (Expr::Column(l.clone()), Expr::Column(r.clone()));
        let value = match join_type {
            JoinType::Right => r,
            JoinType::Full => coalesce(l, r)?,
            _ => l,
        };
        columns.push(value.alias_qualified(Some(qualifier), name));
    }
    for (column, is_common) in [(&left, 1), (&right, 2)].into_iter().flat_map(|(plan, side)| {
        let is_common = move |c: &Column| pairs.iter().any(|(_, l, r)| c == if side == 1 { l } else { r });
        plan.schema().columns().into_iter().map(move |c| (c.clone(), is_common(&c)))
    }) {
        let was_merged = column.relation.as_ref().is_some_and(|q| q.table().starts_with(MERGED));
        let is_own = merged_name(&column.name).is_some();
        match (is_common, is_own) {
            (true, _) if was_merged || !keep_own => {}
            (false, true) if !keep_own => {}
            (true, _) => {
                let name = own_name(&column.name);
                columns.push(Expr::Column(column.clone()).alias_qualified(column.relation, name));
            }
            (false, _) => columns.push(Expr::Column(column)),
        }
    }
    let mut on: Vec<Expr> = pairs.iter().map(|(_, l, r)| Expr::Column(l.clone()).eq(Expr::Column(r.clone()))).collect();
    if on.is_empty() && join_type != JoinType::Inner {
        on.push(lit(true));
    }
    LogicalPlanBuilder::from(left).join_on(right, join_type, on)?.project(columns)?.build()
}
