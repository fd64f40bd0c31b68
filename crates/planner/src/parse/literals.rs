//! Expressions with clauses of their own: JSON functions; and literals that the parser makes up.

use super::dialect::{call, ident_of};
use super::syntax_error::pack;
use super::types;
use crate::SqlError;
use sqlparser::ast::{CastKind, Expr, Value};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, Word};

/// A whole number.
pub(super) fn number(value: u64) -> Expr {
    Expr::Value(Value::Number(value.to_string(), false).into())
}

/// A string.
pub(super) fn string(value: impl Into<String>) -> Expr {
    Expr::Value(Value::SingleQuotedString(value.into()).into())
}

/// `JSON_VALUE(json, path …)`, `JSON_QUERY(json, path …)`, `JSON_EXISTS(json, path …)`: the clauses may say what
/// holds without them; others are refused.
pub(super) fn json(parser: &mut Parser, word: &Word) -> Result<Expr, ParserError> {
    let name = parser.next_token();
    parser.expect_token(&Token::LParen)?;
    let mut arguments = vec![parser.parse_expr()?];
    parser.expect_token(&Token::Comma)?;
    arguments.push(parser.parse_expr()?);
    let mut returning = None;
    while parser.peek_token_ref().token != Token::RParen {
        let at = parser.peek_token_ref().span.start;
        if word_is(parser, &["RETURNING"]) {
            returning = Some(types::read_type(parser)?.arrow);
        } else if !usual_clause(parser, &word.value.to_ascii_uppercase()) {
            if !begins_clause(parser) {
                return parser.expected("`)`", parser.peek_token());
            }
            let message = format!("this clause of {} is not supported", word.value.to_uppercase());
            let hint = match word.value.to_ascii_uppercase().as_str() {
                "JSON_EXISTS" => "without a clause, an error counts as FALSE".to_owned(),
                name => format!("without a clause, empty and error give NULL; write COALESCE({name}(…), default)"),
            };
            return Err(pack(SqlError::new(SqlError::UNSUPPORTED, message).with_hint(hint), at));
        }
    }
    parser.expect_token(&Token::RParen)?;
    let plain = call(ident_of(word, name.span), arguments);
    Ok(match returning {
        Some(data_type) if data_type != arrow::datatypes::DataType::Utf8 => Expr::Cast {
            kind: CastKind::TryCast,
            expr: Box::new(plain),
            data_type: types::ast_type(&data_type),
            array: false,
            format: None,
        },
        _ => plain,
    })
}

/// Takes a clause that says what holds anyway.
fn usual_clause(parser: &mut Parser, name: &str) -> bool {
    let clauses: &[&[&str]] = match name {
        "JSON_VALUE" => &[&["NULL", "ON", "EMPTY"], &["NULL", "ON", "ERROR"]],
        "JSON_QUERY" => &[
            &["NULL", "ON", "EMPTY"],
            &["NULL", "ON", "ERROR"],
            &["WITHOUT", "ARRAY", "WRAPPER"],
            &["WITHOUT", "WRAPPER"],
        ],
        _ => &[&["FALSE", "ON", "ERROR"]],
    };
    clauses.iter().any(|c| word_is(parser, c))
}

fn begins_clause(parser: &Parser) -> bool {
    let words = ["NULL", "ERROR", "DEFAULT", "WITH", "WITHOUT", "EMPTY", "TRUE", "FALSE", "UNKNOWN"];
    words.iter().any(|w| super::script::is_word(&parser.peek_token_ref().token, w))
}

fn word_is(parser: &mut Parser, words: &[&str]) -> bool {
    let found = words.iter().enumerate().all(|(n, w)| super::script::is_word(&parser.peek_nth_token_ref(n).token, w));
    if found {
        words.iter().for_each(|_| parser.advance_token());
    }
    found
}
