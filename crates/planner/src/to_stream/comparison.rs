//! Comparisons by which a join finds its pairs: `a.v > b.t` among the conditions beyond the keys.
//!
//! A join with one keeps the rows of a key that has many in the order of the compared value, and finds those that match by
//! range. Values are computed when a row comes, not when it meets another, so only what cannot fail is taken: columns, casts of
//! numbers and times, and times give or take a constant.

use arrow::datatypes::{DataType, Schema};
use datafusion_expr::Operator;
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::{BinaryExpr, CastExpr, Column, Literal};
use datafusion_physical_expr::utils::{collect_columns, split_conjunction};
use eddyline_plan::{Compare, Comparison, Expression};
use std::sync::Arc;

/// The first comparison of a value of the left with one of the right in `residual`, which is over the columns of both.
pub(super) fn comparison(residual: &Expression, left: &Schema, right: &Schema) -> Option<Comparison> {
    let conditions = split_conjunction(residual.physical());
    let is_all = conditions.len() == 1;
    let width = left.fields().len();
    conditions.into_iter().find_map(|condition| {
        let binary = condition.downcast_ref::<BinaryExpr>()?;
        let compare = match binary.op() {
            Operator::Lt => Compare::Less,
            Operator::LtEq => Compare::LessEqual,
            Operator::Gt => Compare::Greater,
            Operator::GtEq => Compare::GreaterEqual,
            _ => return None,
        };
        let (one, other) = (binary.left(), binary.right());
        let (l, compare, r) = match (side(one, width)?, side(other, width)?) {
            (0, 1) => (one, compare, other),
            (1, 0) => (other, compare.turned(), one),
            _ => return None,
        };
        let r = super::stream::rewrite_columns(&Expression::new(r.clone()), |c| {
            Arc::new(Column::new(right.field(c - width).name(), c - width))
        });
        let l = Expression::new(l.clone());
        let types = (l.data_type(left).ok()?, r.data_type(right).ok()?);
        (types.0 == types.1 && Comparison::takes(&types.0)).then_some(Comparison { left: l, compare, right: r, is_all })
    })
}

/// The side whose columns a safe expression reads.
fn side(value: &Arc<dyn PhysicalExpr>, width: usize) -> Option<usize> {
    let columns = collect_columns(value);
    let sides = || columns.iter().map(|c| usize::from(c.index() >= width));
    let first = sides().next()?;
    (is_safe(value) && sides().all(|side| side == first)).then_some(first)
}

fn is_safe(value: &Arc<dyn PhysicalExpr>) -> bool {
    if let Some(cast) = value.downcast_ref::<CastExpr>() {
        return is_safe(cast.expr()) && !matches!(cast.cast_type(), DataType::Utf8) && is_number_or_time(cast.expr());
    }
    if let Some(sum) = value.downcast_ref::<BinaryExpr>() {
        let by_constant = sum.right().is::<Literal>() && is_safe(sum.left());
        let is_interval = sum
            .right()
            .downcast_ref::<Literal>()
            .is_some_and(|l| matches!(l.value().data_type(), DataType::Interval(_)));
        return by_constant && is_interval && matches!(sum.op(), Operator::Plus | Operator::Minus);
    }
    value.is::<Column>()
}

/// A column, or what is made of one: strings are not cast safely, and no comparison of numbers or times begins with one.
fn is_number_or_time(value: &Arc<dyn PhysicalExpr>) -> bool {
    value.is::<Column>() || is_safe(value)
}
