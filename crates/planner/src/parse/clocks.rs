//! What time it is, in Flink's words; `OVERLAPS`; functions that Flink has and we do not.

use super::dialect::call;
use super::literals::string;
use super::windows::located;
use crate::SqlError;
use sqlparser::ast::{BinaryOperator, Expr, Function, FunctionArguments, Ident, Spanned};

/// Functions of Flink that cannot be had, and what can.
const REFUSED: [(&str, &str); 4] = [
    ("CURRENT_WATERMARK", "EXPLAIN shows the watermark of a table; late rows are counted by themselves"),
    ("GROUP_ID", "GROUPING_ID(a, b) tells which of the keys a row is grouped by"),
    ("PARSE_JSON", "there is no VARIANT: JSON_VALUE, JSON_QUERY and JSON_EXISTS read JSON in a STRING"),
    ("TRY_PARSE_JSON", "there is no VARIANT: JSON_VALUE, JSON_QUERY and JSON_EXISTS read JSON in a STRING"),
];

/// Words that call a function without brackets.
pub(super) fn word(expr: &mut Expr) {
    let Expr::Identifier(ident) = &*expr else { return };
    if ident.quote_style.is_none()
        && ["LOCALTIMESTAMP", "LOCALTIME"].contains(&ident.value.to_ascii_uppercase().as_str())
    {
        *expr = call(ident.clone(), vec![]);
    }
}

/// UNIX_TIMESTAMP(), and refusals.
///
/// # Errors
/// A function that is not there.
pub(super) fn function(expr: &mut Expr) -> Result<(), SqlError> {
    let Expr::Function(function) = &*expr else { return Ok(()) };
    let (name, span) = (function.name.to_string().to_uppercase(), function.name.span());
    if let Some((_, hint)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
        let error = SqlError::new(SqlError::UNSUPPORTED, format!("{name} is not supported")).with_hint(*hint);
        return Err(located(error, span));
    }
    let arguments = arguments(function);
    if matches!((name.as_str(), arguments), ("RAND", 1) | ("RAND_INTEGER", 2)) {
        let error = SqlError::new(SqlError::UNSUPPORTED, format!("{name} with a seed is not supported"))
            .with_hint("leave the seed out");
        return Err(located(error, span));
    }
    if arguments == 0 && name == "UNIX_TIMESTAMP" {
        let now = call(Ident::with_span(span, "now"), vec![]);
        *expr = call(Ident::with_span(span, "extract"), vec![string("EPOCH"), now]);
    }
    Ok(())
}

fn arguments(function: &Function) -> usize {
    match &function.args {
        FunctionArguments::List(list) => list.args.len(),
        _ => 0,
    }
}

/// `(start, end | interval) OVERLAPS (start, end | interval)`: neither ends before the other begins.
///
/// # Errors
/// Anything else on its sides.
pub(super) fn overlaps(expr: &mut Expr) -> Result<(), SqlError> {
    let span = expr.span();
    let Expr::BinaryOp { left, right, .. } = &*expr else { return Ok(()) };
    let ends = |side: &Expr| match side {
        Expr::Tuple(parts) => match parts.as_slice() {
            [start, end @ Expr::Interval(_)] => {
                let (left, right) = (Box::new(start.clone()), Box::new(end.clone()));
                Some((start.clone(), Expr::BinaryOp { left, op: BinaryOperator::Plus, right }))
            }
            [start, end] => Some((start.clone(), end.clone())),
            _ => None,
        },
        _ => None,
    };
    let (Some(first), Some(second)) = (ends(left), ends(right)) else {
        let error = SqlError::new(SqlError::SYNTAX, "OVERLAPS compares two pairs of times")
            .with_hint("write (start, end) OVERLAPS (start, end), or an INTERVAL for an end");
        return Err(located(error, span));
    };
    let of = |name: &str, pair: &(Expr, Expr)| call(Ident::new(name), vec![pair.0.clone(), pair.1.clone()]);
    let not_before = |a: &(Expr, Expr), b: &(Expr, Expr)| {
        let (left, right) = (Box::new(of("greatest", a)), Box::new(of("least", b)));
        Box::new(Expr::BinaryOp { left, op: BinaryOperator::GtEq, right })
    };
    let (left, right) = (not_before(&first, &second), not_before(&second, &first));
    *expr = Expr::Nested(Box::new(Expr::BinaryOp { left, op: BinaryOperator::And, right }));
    Ok(())
}
