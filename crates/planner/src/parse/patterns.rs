//! Patterns of LIKE and SIMILAR TO in the form that is carried out: the escape character is the backslash,
//! SIMILAR TO is a regular expression.

use super::dialect::{call, string_of};
use super::literals::string;
use super::windows::located;
use crate::SqlError;
use eddyline_catalog::Dialect;
use sqlparser::ast::{Expr, Ident, Spanned, UnaryOperator, Value, ValueWithSpan};

/// `x LIKE pattern [ESCAPE c]`. In Postgres the backslash escapes where nothing is said, and what is escaped may be any character.
///
/// # Errors
/// An escape character for a pattern that is no literal, or one that stands before nothing special.
pub(super) fn like(pattern: &mut Expr, escape: &mut Option<ValueWithSpan>, dialect: Dialect) -> Result<(), SqlError> {
    let span = pattern.span();
    let is_postgres = dialect == Dialect::Postgres;
    let escape_char = match escape {
        Some(escape) => Some(one_character(escape, "LIKE")?),
        None => is_postgres.then_some('\\'),
    };
    let Some(text) = string_of(pattern) else {
        return match escape_char {
            None | Some('\\') => Ok(()),
            Some(_) => Err(located(no_literal("LIKE … ESCAPE"), span)),
        };
    };
    let mut made = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            c if Some(c) == escape_char => match characters.next() {
                Some(next) if matches!(next, '%' | '_') || next == c => {
                    if matches!(next, '%' | '_' | '\\') {
                        made.push('\\');
                    }
                    made.push(next);
                }
                Some('\\') if is_postgres => made.push_str("\\\\"),
                Some(next) if is_postgres => made.push(next),
                None if is_postgres => {
                    let message = "LIKE pattern must not end with escape character";
                    return Err(located(SqlError::new("22025", message), span));
                }
                _ => return Err(located(wrong_escape(text, c), span)),
            },
            '\\' => made.push_str("\\\\"),
            other => made.push(other),
        }
    }
    *pattern = string(made);
    if let Some(escape) = escape {
        escape.value = Value::SingleQuotedString("\\".into());
    }
    Ok(())
}

/// `x [NOT] SIMILAR TO pattern [ESCAPE c]` becomes `REGEXP(x, …)` of the whole text.
///
/// # Errors
/// A pattern that is no literal.
pub(super) fn similar(expr: &mut Expr) -> Result<(), SqlError> {
    let span = expr.span();
    let Expr::SimilarTo { negated, expr: value, pattern, escape_char } = &*expr else { return Ok(()) };
    let escape = escape_char.as_ref().map(|e| one_character(e, "SIMILAR TO")).transpose()?;
    let Some(text) = string_of(pattern) else { return Err(located(no_literal("SIMILAR TO"), span)) };
    let regex = string(regular_expression(text, escape).map_err(|e| located(e, span))?);
    let matches = call(Ident::with_span(span, "regexp"), vec![value.as_ref().clone(), regex]);
    *expr = match negated {
        true => Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(matches) },
        false => matches,
    };
    Ok(())
}

fn regular_expression(pattern: &str, escape: Option<char>) -> Result<String, SqlError> {
    let mut made = String::from("(?s)^(?:");
    let mut characters = pattern.chars();
    let mut in_class = false;
    while let Some(c) = characters.next() {
        match c {
            c if Some(c) == escape => match characters.next() {
                Some(next) => {
                    if !next.is_alphanumeric() {
                        made.push('\\');
                    }
                    made.push(next);
                }
                None => return Err(wrong_escape(pattern, c)),
            },
            '%' if !in_class => made.push_str(".*"),
            '_' if !in_class => made.push('.'),
            '.' | '$' | '\\' => made.extend(['\\', c]),
            '^' if !in_class => made.push_str("\\^"),
            other => {
                in_class = (in_class || other == '[') && other != ']';
                made.push(other);
            }
        }
    }
    Ok(made + ")$")
}

fn one_character(escape: &ValueWithSpan, what: &str) -> Result<char, SqlError> {
    let mut characters = match &escape.value {
        Value::SingleQuotedString(text) => text.chars(),
        _ => "".chars(),
    };
    match (characters.next(), characters.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(located(SqlError::new(SqlError::INVALID, format!("{what}: ESCAPE takes one character")), escape.span)),
    }
}

fn no_literal(what: &str) -> SqlError {
    SqlError::new(SqlError::UNSUPPORTED, format!("{what} takes a pattern that is a string literal"))
        .with_hint("REGEXP(text, regex) takes any pattern")
}

fn wrong_escape(pattern: &str, escape: char) -> SqlError {
    SqlError::new(SqlError::INVALID, format!("in the pattern '{pattern}', {escape} stands before nothing special"))
        .with_hint("the escape character stands before %, _ or itself")
}
