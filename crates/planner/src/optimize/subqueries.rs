//! IN, ANY, ALL and EXISTS wherever they stand, with SQL's three values: as marks, which say of every row whether a subquery
//! has a row that matches it.
//!
//! A mark is true or false, and so is EXISTS. The others may be NULL. Over the values *y* of a subquery:
//!
//! | | is true | else is NULL | else |
//! |---|---|---|---|
//! | `x op ANY`, `x IN` (`=`) | where some *y* has `x op y` | where *x* is NULL and there is any *y*, or some *y* is NULL | false |
//! | `x op ALL`, `x NOT IN` (`<>`) | | as above | see below |
//!
//! `x op ALL` is false where some *y* has the opposite of `x op y`, else NULL as above, else true. Each column of the table is a
//! mark of its own: the first one by the values, as an equality as a rule, the others by a row that says that there
//! is something. Where NULL and false are the same, below AND and OR of a filter, the first mark is enough.
//!
//! The binder's own rules make semi and anti joins of IN and EXISTS where they are conditions of their own; that is left to
//! them. What they do not look at is brought to where they, or the marks, do: conditions of joins, arguments of aggregates.

use super::free::as_subquery;
use super::places::{self, has_subquery};
use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion_common::{Column, Result, ScalarValue};
use datafusion_expr::expr::{Exists, InSubquery, SetComparison, SetQuantifier};
use datafusion_expr::expr_rewriter::{NamePreserver, replace_col};
use datafusion_expr::utils::{conjunction, split_conjunction_owned};
use datafusion_expr::{
    BinaryExpr, Case, Expr, ExprSchemable, Filter, JoinType, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, lit,
    not,
};
use datafusion_optimizer::decorrelate::PullUpCorrelatedExpr;
use std::collections::{BTreeSet, HashMap};

/// The plan with marks for what the rules after this do not make joins of. What cannot be one stays as it is.
///
/// # Errors
/// A plan that does not fit together: a fault of the binder.
pub fn with_marks(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut marks = Marks { made: 0 };
    places::placed(plan)?.transform_up_with_subqueries(|node| marks.node(node)).data()
}

struct Marks {
    /// For names that nobody has.
    made: usize,
}

/// True for what a mark can stand for.
fn is_membership(expr: &Expr) -> bool {
    matches!(expr, Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_))
}

fn has_membership(expr: &Expr) -> bool {
    expr.exists(|e| Ok(is_membership(e))).unwrap_or(false)
}

impl Marks {
    fn node(&mut self, node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        if !node.expressions().iter().any(has_membership) {
            return Ok(Transformed::no(node));
        }
        Ok(Transformed::yes(match node {
            LogicalPlan::Filter(filter) => self.filter(filter)?,
            LogicalPlan::Projection(p) => {
                let exprs = p.expr.clone();
                self.projection(p.input.as_ref().clone(), exprs)?.unwrap_or(LogicalPlan::Projection(p))
            }
            other => other,
        }))
    }

    fn name(&mut self, what: &str) -> String {
        self.made += 1;
        format!("__{what}_{}", self.made)
    }

    fn filter(&mut self, filter: Filter) -> Result<LogicalPlan> {
        let columns = filter.input.schema().columns();
        let mut input = filter.input.as_ref().clone();
        let mut conditions = Vec::new();
        for condition in split_conjunction_owned(filter.predicate) {
            let condition = negations(condition)?;
            let made = match condition {
                // The join that is made of it takes NULLs of what it compares with rows outside for unknown values too.
                Expr::InSubquery(i) if i.negated && !i.subquery.outer_ref_columns.is_empty() => {
                    match is_ambiguous(&i.expr, &i.subquery) {
                        true => self.positive(Expr::InSubquery(i), &mut input)?,
                        false => {
                            let InSubquery { expr, subquery, .. } = i;
                            let all = SetQuantifier::All;
                            self.alone(SetComparison::new(expr, subquery, Operator::NotEq, all), &input)?
                        }
                    }
                }
                Expr::InSubquery(_) | Expr::Exists(_) => condition,
                Expr::Not(inner) if matches!(*inner, Expr::InSubquery(_) | Expr::Exists(_)) => Expr::Not(inner),
                Expr::SetComparison(compared) if !is_ambiguous(&compared.expr, &compared.subquery) => {
                    self.alone(compared, &input)?
                }
                other if has_membership(&other) => self.positive(other, &mut input)?,
                other => other,
            };
            conditions.push(made);
        }
        let Some(predicate) = conjunction(conditions) else { return Ok(input) };
        let widened = input.schema().fields().len() > columns.len();
        let filtered = LogicalPlanBuilder::from(input).filter(predicate)?;
        match widened {
            true => filtered.project(columns.into_iter().map(Expr::Column))?.build(),
            false => filtered.build(),
        }
    }

    /// ANY or ALL as a condition of its own, of which only the truth matters.
    fn alone(&mut self, compared: SetComparison, input: &LogicalPlan) -> Result<Expr> {
        let SetComparison { expr, subquery, op, quantifier } = compared;
        let membership = |negated| Expr::InSubquery(InSubquery::new(expr.clone(), subquery.clone(), negated));
        match (quantifier, op) {
            (SetQuantifier::Any, Operator::Eq) => Ok(membership(false)),
            (SetQuantifier::All, Operator::NotEq) if subquery.outer_ref_columns.is_empty() => Ok(membership(true)),
            _ => {
                let (values, y) = self.values(&subquery)?;
                let may_be_unknown = expr.nullable(input.schema())? || y.nullable(values.schema())?;
                let x = outer(&expr, input)?;
                let is_all = quantifier == SetQuantifier::All;
                // ALL holds where there is no row of which it does not; a plain comparison can be the key of a join.
                let condition = match op.negate() {
                    Some(opposite) if is_all && !may_be_unknown => binary(x, opposite, y),
                    _ if is_all => binary(x, op, y).is_not_true(),
                    _ => binary(x, op, y),
                };
                let plan = LogicalPlanBuilder::from(values).filter(condition)?.build()?;
                Ok(Expr::Exists(Exists::new(as_subquery(plan), is_all)))
            }
        }
    }

    /// A part of a condition for which NULL is false.
    fn positive(&mut self, expr: Expr, input: &mut LogicalPlan) -> Result<Expr> {
        match expr {
            Expr::BinaryExpr(b) if matches!(b.op, Operator::And | Operator::Or) => {
                let (left, right) = (self.positive(*b.left, input)?, self.positive(*b.right, input)?);
                Ok(binary(left, b.op, right))
            }
            Expr::InSubquery(i) if !i.negated => {
                let compared = SetComparison::new(i.expr, i.subquery, Operator::Eq, SetQuantifier::Any);
                self.compared(compared, true, input)
            }
            Expr::SetComparison(compared) => self.compared(compared, true, input),
            other => self.any_place(other, input),
        }
    }

    /// An expression anywhere, with marks of `input` in the place of subqueries.
    fn any_place(&mut self, expr: Expr, input: &mut LogicalPlan) -> Result<Expr> {
        expr.transform_up(|e| match e {
            Expr::Exists(exists) => {
                let made = self.mark(exists.subquery.subquery.as_ref().clone(), input)?;
                Ok(made.map_or_else(
                    || Transformed::no(Expr::Exists(exists.clone())),
                    |mark| Transformed::yes(if exists.negated { not(mark) } else { mark }),
                ))
            }
            Expr::InSubquery(i) => {
                let compared = SetComparison::new(i.expr, i.subquery, Operator::Eq, SetQuantifier::Any);
                let made = self.compared(compared, false, input)?;
                Ok(Transformed::yes(if i.negated { not(made) } else { made }))
            }
            Expr::SetComparison(compared) => Ok(Transformed::yes(self.compared(compared, false, input)?)),
            other => Ok(Transformed::no(other)),
        })
        .data()
    }

    /// The table of the module's page. What cannot be a mark stays a comparison, and is refused later.
    fn compared(&mut self, compared: SetComparison, null_is_false: bool, input: &mut LogicalPlan) -> Result<Expr> {
        let kept = Expr::SetComparison(compared.clone());
        let SetComparison { expr, subquery, op, quantifier } = compared;
        let is_any = quantifier == SetQuantifier::Any;
        let Some(deciding) = (if is_any { Some(op) } else { op.negate() }) else { return Ok(kept) };
        let mut x = *expr;
        if has_subquery(&x) || is_ambiguous(&x, &subquery) {
            x = self.computed(x, input)?;
        }
        let (values, y) = self.values(&subquery)?;
        let condition = binary(outer(&x, input)?, deciding, y.clone());
        let by_value = LogicalPlanBuilder::from(values.clone()).filter(condition)?.build()?;
        let Some(decided) = self.mark(by_value, input)? else { return Ok(kept) };
        if is_any && null_is_false {
            return Ok(decided);
        }
        let mut unknown = Vec::new();
        if x.nullable(input.schema())? {
            let Some(any) = self.mark(something(values.clone(), None)?, input)? else { return Ok(kept) };
            unknown.push(x.is_null().and(any));
        }
        if y.nullable(values.schema())? {
            let nulls = something(values, Some(y.is_null()))?;
            let Some(null) = self.mark(nulls, input)? else { return Ok(kept) };
            unknown.push(null);
        }
        let Some(unknown) = unknown.into_iter().reduce(Expr::or) else {
            return Ok(if is_any { decided } else { not(decided) });
        };
        let null = Expr::Literal(ScalarValue::Boolean(None), None);
        let whens = [(decided, lit(is_any)), (unknown, null)].map(|(when, then)| (Box::new(when), Box::new(then)));
        Ok(Expr::Case(Case::new(None, whens.to_vec(), Some(Box::new(lit(!is_any))))))
    }

    /// The subquery under a name that nobody has, and its column.
    fn values(&mut self, subquery: &Subquery) -> Result<(LogicalPlan, Expr)> {
        let name = self.name("values");
        let plan = subquery.subquery.as_ref().clone();
        let (qualifier, field) = plan.schema().qualified_field(0);
        let column = Expr::Column(Column::from((qualifier, field))).alias_qualified(Some(name), field.name());
        // No alias of the whole: where a condition is pulled up through one, its columns do not come along.
        let plan = LogicalPlanBuilder::from(plan).project([column])?.build()?;
        let column = Expr::Column(Column::from(plan.schema().qualified_field(0)));
        Ok((plan, column))
    }

    /// Joins `input` with the rows of a subquery, whose conditions may refer to `input`: a column that says whether
    /// there is such a row. `None` where the subquery refers to it, or to a query further out, in a way that no join can.
    fn mark(&mut self, subquery: LogicalPlan, input: &mut LogicalPlan) -> Result<Option<Expr>> {
        let mut pulled = PullUpCorrelatedExpr::new().with_exists_sub_query(true);
        let plan = subquery.rewrite(&mut pulled).data()?;
        if !pulled.can_pull_up || pulled.pulled_up_scalar_agg {
            return Ok(None);
        }
        let name = self.name("mark");
        let matched = LogicalPlanBuilder::from(plan).alias(name.clone())?.build()?;
        let inner: BTreeSet<&Column> = pulled.correlated_subquery_cols_map.values().flatten().collect();
        let renamed: Vec<Column> = inner.iter().map(|c| Column::new(Some(name.clone()), &c.name)).collect();
        let names: HashMap<&Column, &Column> = inner.into_iter().zip(&renamed).collect();
        let condition = match conjunction(pulled.join_filters) {
            Some(condition) => replace_col(condition, &names)?,
            None => lit(true),
        };
        let known = |c: &&Column| input.schema().has_column(c) || matched.schema().has_column(c);
        if !condition.column_refs().iter().all(known) || condition.contains_outer() || has_subquery(&condition) {
            return Ok(None);
        }
        let joined = LogicalPlanBuilder::from(input.clone()).join_on(matched, JoinType::LeftMark, [condition])?;
        *input = joined.build()?;
        Ok(Some(Expr::Column(Column::new(Some(name), "mark"))))
    }

    /// The expression as a column that is computed below.
    fn computed(&mut self, expr: Expr, input: &mut LogicalPlan) -> Result<Expr> {
        let name = self.name("value");
        let columns = input.schema().columns().into_iter().map(Expr::Column);
        let all: Vec<Expr> = columns.chain([expr.alias(&name)]).collect();
        *input = match self.projection(input.clone(), all.clone())? {
            Some(made) => made,
            None => LogicalPlanBuilder::from(input.clone()).project(all)?.build()?,
        };
        Ok(Expr::Column(Column::new_unqualified(name)))
    }

    fn projection(&mut self, input: LogicalPlan, exprs: Vec<Expr>) -> Result<Option<LogicalPlan>> {
        if !exprs.iter().any(has_membership) {
            return Ok(None);
        }
        let mut below = input;
        let preserver = NamePreserver::new_for_projection();
        let exprs = exprs.into_iter().map(|e| {
            let name = preserver.save(&e);
            Ok(name.restore(self.any_place(e, &mut below)?))
        });
        let exprs = exprs.collect::<Result<Vec<_>>>()?;
        LogicalPlanBuilder::from(below).project(exprs)?.build().map(Some)
    }
}

pub(super) fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

/// The expression over `input` as a subquery of `input` sees it.
pub(super) fn outer(expr: &Expr, input: &LogicalPlan) -> Result<Expr> {
    let seen = expr.clone().transform_up(|e| match e {
        Expr::Column(c) => {
            let (_, field) = input.schema().qualified_field_from_column(&c)?;
            Ok(Transformed::yes(Expr::OuterReferenceColumn(field.clone(), c)))
        }
        other => Ok(Transformed::no(other)),
    });
    seen.data()
}

/// Does a column of the expression have the name of one in the subquery? The two must not meet in one condition.
fn is_ambiguous(expr: &Expr, subquery: &Subquery) -> bool {
    let columns = expr.column_refs();
    subquery.subquery.exists(|p| Ok(columns.iter().any(|c| p.schema().has_column(c)))).unwrap_or(true)
}

/// One row where the subquery has any (that `condition` is true of). A subquery that refers to the query around keeps its
/// rows: they are told apart by what it refers to.
fn something(values: LogicalPlan, condition: Option<Expr>) -> Result<LogicalPlan> {
    let plan = LogicalPlanBuilder::from(values);
    let plan = match condition {
        Some(condition) => plan.filter(condition)?,
        None => plan,
    };
    let plan = plan.build()?;
    match plan.all_out_ref_exprs().is_empty() {
        true => LogicalPlanBuilder::from(plan).project([lit(true).alias("something")])?.distinct()?.build(),
        false => Ok(plan),
    }
}

/// `NOT` of ANY is ALL of the opposite, and the other way round.
fn negations(expr: Expr) -> Result<Expr> {
    let Expr::Not(inner) = &expr else { return Ok(expr) };
    let Expr::SetComparison(compared) = inner.as_ref() else { return Ok(expr) };
    let Some(op) = compared.op.negate() else { return Ok(expr) };
    let quantifier = match compared.quantifier {
        SetQuantifier::Any => SetQuantifier::All,
        SetQuantifier::All => SetQuantifier::Any,
    };
    let made = SetComparison::new(compared.expr.clone(), compared.subquery.clone(), op, quantifier);
    Ok(Expr::SetComparison(made))
}
