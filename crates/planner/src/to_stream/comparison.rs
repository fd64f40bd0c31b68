//! Comparisons by which a join finds its pairs: `a.v > b.t` among the conditions beyond the keys.
//!
//! A join with one keeps the rows of a key that has many in the order of the compared value, and finds those that match by
//! range. Values are computed when a row comes, not when it meets another, so only what cannot fail is taken: columns, casts of
//! numbers and times, and times give or take a constant.

use arrow::datatypes::{DataType, IntervalMonthDayNano, Schema};
use datafusion_common::ScalarValue;
use datafusion_expr::Operator;
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::{BinaryExpr, CastExpr, Column, Literal};
use datafusion_physical_expr::utils::{collect_columns, split_conjunction};
use eddyline_plan::{Compare, Comparison, Expression, Until};
use std::sync::Arc;

/// The comparison by which pairs are found, in `residual`, which is over the columns of both inputs: the first that another one ends
/// (BETWEEN), else the first.
pub(super) fn comparison(residual: &Expression, left: &Schema, right: &Schema) -> Option<Comparison> {
    let conditions = split_conjunction(residual.physical());
    let is_all = conditions.len() == 1;
    let found: Vec<Found> = conditions.into_iter().filter_map(|c| found(c, left, right)).collect();
    let ended =
        |one: &Found| found.iter().map(|other| until(one, other)).find(|until| until.iter().any(Option::is_some));
    let (one, until) = match found.iter().find_map(|one| Some((one, ended(one)?))) {
        Some(found) => found,
        None => (found.first()?, [None, None]),
    };
    let Found { values: [left, right], compare, data_type } = one.clone();
    Some(Comparison { left, compare, right, until, is_all: is_all && data_type != DataType::Utf8 })
}

/// A comparison of a value of the left with one of the right, each over the columns of its input.
#[derive(Clone)]
struct Found {
    values: [Expression; 2],
    compare: Compare,
    data_type: DataType,
}

fn found(condition: &Arc<dyn PhysicalExpr>, left: &Schema, right: &Schema) -> Option<Found> {
    let width = left.fields().len();
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
    let (data_type, other) = (l.data_type(left).ok()?, r.data_type(right).ok()?);
    (data_type == other && Comparison::takes(&data_type)).then_some(Found { values: [l, r], compare, data_type })
}

/// Where ranges that `one` begins end, because `other` compares the other way: for rows of each side.
fn until(one: &Found, other: &Found) -> [Option<Until>; 2] {
    let is_upward = |c: Compare| matches!(c, Compare::Greater | Compare::GreaterEqual);
    if one.data_type != other.data_type || is_upward(one.compare) == is_upward(other.compare) {
        return [None, None];
    }
    let is_inclusive = matches!(other.compare, Compare::LessEqual | Compare::GreaterEqual);
    [0, 1].map(|side| {
        // Rows of `side` compare two values of theirs with the same value of the other's.
        let (ordered, compared) = (&one.values[1 - side], &other.values[1 - side]);
        let value = moved(&other.values[side], distance(compared, ordered)?)?;
        Some(Until { value, is_inclusive })
    })
}

/// What is to be added to one value to get the other, when they are a time give or take constants: months are none.
fn distance(from: &Expression, to: &Expression) -> Option<IntervalMonthDayNano> {
    let none = IntervalMonthDayNano::new(0, 0, 0);
    if from == to {
        return Some(none);
    }
    let ((base, shift), (other, wanted)) = (shifted(from.physical()), shifted(to.physical()));
    let (IntervalMonthDayNano { months: 0, .. }, IntervalMonthDayNano { months: 0, .. }) = (shift, wanted) else {
        return None;
    };
    let days = wanted.days.checked_sub(shift.days)?;
    let nanoseconds = wanted.nanoseconds.checked_sub(shift.nanoseconds)?;
    (Expression::new(base) == Expression::new(other)).then_some(IntervalMonthDayNano::new(0, days, nanoseconds))
}

/// A value without the constant that is added to it, and that constant.
fn shifted(value: &Arc<dyn PhysicalExpr>) -> (Arc<dyn PhysicalExpr>, IntervalMonthDayNano) {
    let none = (value.clone(), IntervalMonthDayNano::new(0, 0, 0));
    let Some(sum) = value.downcast_ref::<BinaryExpr>() else { return none };
    let Some(literal) = sum.right().downcast_ref::<Literal>() else { return none };
    let ScalarValue::IntervalMonthDayNano(Some(by)) = literal.value() else { return none };
    let by = match sum.op() {
        Operator::Plus => Some(*by),
        Operator::Minus => negated(by),
        _ => None,
    };
    by.map_or(none, |by| (sum.left().clone(), by))
}

fn negated(by: &IntervalMonthDayNano) -> Option<IntervalMonthDayNano> {
    let IntervalMonthDayNano { months, days, nanoseconds } = *by;
    Some(IntervalMonthDayNano::new(months.checked_neg()?, days.checked_neg()?, nanoseconds.checked_neg()?))
}

/// A value with an interval added to it.
fn moved(value: &Expression, by: IntervalMonthDayNano) -> Option<Expression> {
    if by == IntervalMonthDayNano::new(0, 0, 0) {
        return Some(value.clone());
    }
    let (base, before) = shifted(value.physical());
    let (days, nanos) = (before.days.checked_add(by.days)?, before.nanoseconds.checked_add(by.nanoseconds)?);
    if before.months != 0 {
        return None;
    }
    let interval = ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(0, days, nanos)));
    Some(Expression::new(Arc::new(BinaryExpr::new(base, Operator::Plus, Arc::new(Literal::new(interval))))))
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
