//! Operators of Postgres that stand for calls, told by the types on both sides.

use super::quotients::is_long;
use arrow::datatypes::{DataType, TimeUnit};
use datafusion_expr::planner::RawBinaryExpr;
use datafusion_expr::sqlparser::ast::BinaryOperator;
use datafusion_expr::{Expr, cast};

/// The function that an operator stands for, and its arguments.
pub(in super::super) fn call_of(
    expr: &RawBinaryExpr,
    left: &DataType,
    right: &DataType,
) -> Option<(&'static str, Vec<Expr>)> {
    json(expr, left, right).or_else(|| {
        let name = of_numbers(expr, left, right)
            .or_else(|| of_times(expr, left, right))
            .or_else(|| of_bytes(expr, left, right))?;
        Some((name, vec![expr.left.clone(), expr.right.clone()]))
    })
}

/// A date with an interval makes a time: the date, then, is its beginning.
pub(in super::super) fn with_clock(mut expr: RawBinaryExpr, left: &DataType, right: &DataType) -> RawBinaryExpr {
    let is_interval = |t: &DataType| matches!(t, DataType::Interval(_));
    let midnight = |date: Expr| cast(date, DataType::Timestamp(TimeUnit::Microsecond, None));
    match (&expr.op, left, right) {
        (BinaryOperator::Plus | BinaryOperator::Minus, DataType::Date32, right) if is_interval(right) => {
            expr.left = midnight(expr.left);
        }
        (BinaryOperator::Plus, left, DataType::Date32) if is_interval(left) => expr.right = midnight(expr.right),
        _ => {}
    }
    expr
}

fn of_numbers(expr: &RawBinaryExpr, left: &DataType, right: &DataType) -> Option<&'static str> {
    let is_decimal = |t: &DataType| matches!(t, DataType::Decimal128(..));
    let is_exact = |t: &DataType| is_decimal(t) || t.is_integer();
    if !is_exact(left) || !is_exact(right) || !is_decimal(left) && !is_decimal(right) {
        return None;
    }
    match expr.op {
        BinaryOperator::Divide => Some("numeric_divide"),
        BinaryOperator::Multiply if is_long(left, right) => Some("numeric_multiply"),
        _ => None,
    }
}

/// Bytes behind bytes; a literal beside bytes is bytes.
fn of_bytes(expr: &RawBinaryExpr, left: &DataType, right: &DataType) -> Option<&'static str> {
    let are = |t: &DataType, value: &Expr| *t == DataType::Binary || matches!(value, Expr::Literal(..));
    let is_concat =
        expr.op == BinaryOperator::StringConcat && (*left == DataType::Binary || *right == DataType::Binary);
    (is_concat && are(left, &expr.left) && are(right, &expr.right)).then_some("bytea_concat")
}

fn of_times(expr: &RawBinaryExpr, left: &DataType, right: &DataType) -> Option<&'static str> {
    let is_timestamp = |t: &DataType| matches!(t, DataType::Timestamp(..));
    let is_time = |t: &DataType| is_timestamp(t) || *t == DataType::Date32;
    let is_difference = is_time(left) && is_time(right) && (is_timestamp(left) || is_timestamp(right));
    (expr.op == BinaryOperator::Minus && is_difference).then_some("timestamp_minus")
}

/// The call that an operator between two JSON texts, or one and a key or a path, stands for.
fn json(expr: &RawBinaryExpr, left: &DataType, right: &DataType) -> Option<(&'static str, Vec<Expr>)> {
    let is_text = |t: &DataType| matches!(t, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let is_path = |t: &DataType| is_text(t) || matches!(t, DataType::List(_));
    let is_jsonb = |t: &DataType| *t == DataType::LargeUtf8;
    // A text beside JSONB is JSON only where it is written out; else both are texts.
    let is_with = |one: &DataType, other: &Expr, of_other: &DataType| {
        is_jsonb(one) && (is_jsonb(of_other) || matches!(other, Expr::Literal(..)))
    };
    if !is_text(left) || !is_path(right) && !right.is_integer() {
        return None;
    }
    let name = match expr.op {
        BinaryOperator::HashArrow if is_path(right) => "json_at_path",
        BinaryOperator::HashLongArrow if is_path(right) => "json_at_path_text",
        BinaryOperator::HashMinus if is_path(right) => "jsonb_delete_path",
        BinaryOperator::AtArrow | BinaryOperator::ArrowAt if is_text(right) => "jsonb_contains",
        BinaryOperator::Question if is_text(right) => "jsonb_exists",
        BinaryOperator::QuestionPipe if is_path(right) => "jsonb_exists_any",
        BinaryOperator::QuestionAnd if is_path(right) => "jsonb_exists_all",
        BinaryOperator::Minus if is_jsonb(left) => "jsonb_delete",
        BinaryOperator::StringConcat if is_with(left, &expr.right, right) || is_with(right, &expr.left, left) => {
            "jsonb_concat"
        }
        _ => return None,
    };
    let args = match expr.op {
        BinaryOperator::ArrowAt => vec![expr.right.clone(), expr.left.clone()],
        _ => vec![expr.left.clone(), expr.right.clone()],
    };
    Some((name, args))
}
