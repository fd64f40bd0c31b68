//! Rows of INSERT … VALUES whose values are of different kinds: in Postgres each becomes one of its column by itself, and what stands above or
//! below it does not matter.

use super::one_expression;
use crate::SqlError;
use eddyline_catalog::{Column, Dialect, sql_type};
use sqlparser::ast::{Expr, UnaryOperator, Value, ValueWithSpan, Values};

/// What kind of value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Boolean,
    /// A whole number that BIGINT has.
    Integer,
    /// So many digits behind the point; more than BIGINT has, without one.
    Decimal(usize),
    Double,
    Text,
    Parameter,
    /// An expression, whose type is not seen here.
    Expression,
}

/// Digits that every BIGINT has.
const BIGINT_DIGITS: usize = 18;

/// Casts the values of columns that are of different kinds in different rows to the types of the columns.
///
/// # Errors
/// None for tables that were checked.
pub(super) fn as_columns(values: &mut Values, columns: &[Option<&Column>]) -> Result<(), SqlError> {
    for (at, column) in columns.iter().enumerate() {
        let Some(column) = column.filter(|_| is_mixed(values.rows.iter().filter_map(|row| row.get(at)))) else {
            continue;
        };
        let typed = one_expression(&format!("CAST(NULL AS {})", sql_type(&column.data_type)), Dialect::Flink)?;
        // Who binds VALUES takes one cast to a DECIMAL for its own, and undoes it beside floating point.
        let times = if column.data_type.is_decimal() { 2 } else { 1 };
        for value in values.rows.iter_mut().filter_map(|row| row.get_mut(at)) {
            if kind_of(value).is_some() {
                (0..times).for_each(|_| wrap(value, typed.clone()));
            }
        }
    }
    Ok(())
}

/// Puts a value into a cast.
fn wrap(value: &mut Expr, mut cast: Expr) {
    if let Expr::Cast { expr, .. } = &mut cast {
        std::mem::swap(expr.as_mut(), value);
        *value = cast;
    }
}

fn is_mixed<'v>(mut values: impl Iterator<Item = &'v Expr>) -> bool {
    let Some(first) = values.find_map(kind_of) else { return false };
    values.filter_map(kind_of).any(|kind| kind != first || kind == Kind::Expression)
}

/// `None`: it is NULL, which every column takes.
fn kind_of(value: &Expr) -> Option<Kind> {
    match value {
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => kind_of(expr),
        Expr::Nested(expr) => kind_of(expr),
        Expr::Value(ValueWithSpan { value, .. }) => match value {
            Value::Null => None,
            Value::Boolean(_) => Some(Kind::Boolean),
            Value::Number(number, _) => Some(kind_of_number(&number.to_string())),
            Value::Placeholder(_) => Some(Kind::Parameter),
            Value::SingleQuotedString(_) => Some(Kind::Text),
            _ => Some(Kind::Expression),
        },
        _ => Some(Kind::Expression),
    }
}

fn kind_of_number(number: &str) -> Kind {
    match number.split_once('.') {
        _ if number.contains(['e', 'E']) => Kind::Double,
        Some((_, behind)) => Kind::Decimal(behind.len()),
        None if number.len() > BIGINT_DIGITS => Kind::Decimal(0),
        None => Kind::Integer,
    }
}
