//! JSON_OBJECT, JSON_ARRAY and IS JSON.
//!
//! The functions get what the clauses say as their first argument: `n` or `a` (NULL or ABSENT ON NULL), then for
//! every value `v`, or `j` where it is a JSON_OBJECT or JSON_ARRAY itself and goes in as it is.

use super::dialect::call;
use super::literals::{string, word_is};
use super::script::is_word;
use sqlparser::ast::{Expr, Ident, UnaryOperator};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

/// `JSON_OBJECT([[KEY] key VALUE value, …] [NULL ON NULL | ABSENT ON NULL])`.
pub(super) fn object(parser: &mut Parser) -> Result<Expr, ParserError> {
    let span = parser.next_token().span;
    parser.expect_token(&Token::LParen)?;
    let (mut form, mut arguments) = (String::new(), vec![]);
    let nulls = members(parser, |parser| {
        // A column may be named KEY.
        if is_word(&parser.peek_token_ref().token, "KEY") && !is_word(&parser.peek_nth_token_ref(1).token, "VALUE") {
            parser.advance_token();
        }
        arguments.push(parser.parse_expr()?);
        if !parser.consume_token(&Token::Colon) && !word_is(parser, &["VALUE"]) {
            return parser.expected("VALUE", parser.peek_token());
        }
        let value = parser.parse_expr()?;
        form.push(letter(&value));
        arguments.push(value);
        Ok(())
    })?;
    arguments.insert(0, string(format!("{}{form}", nulls.unwrap_or('n'))));
    Ok(call(Ident::with_span(span, "json_object"), arguments))
}

/// `JSON_ARRAY([value, …] [NULL ON NULL | ABSENT ON NULL])`.
pub(super) fn array(parser: &mut Parser) -> Result<Expr, ParserError> {
    let span = parser.next_token().span;
    parser.expect_token(&Token::LParen)?;
    let (mut form, mut arguments) = (String::new(), vec![]);
    let nulls = members(parser, |parser| {
        let value = parser.parse_expr()?;
        form.push(letter(&value));
        arguments.push(value);
        Ok(())
    })?;
    arguments.insert(0, string(format!("{}{form}", nulls.unwrap_or('a'))));
    Ok(call(Ident::with_span(span, "json_array"), arguments))
}

/// Takes members up to the closing bracket, and what the clause for NULLs says.
fn members(
    parser: &mut Parser,
    mut member: impl FnMut(&mut Parser) -> Result<(), ParserError>,
) -> Result<Option<char>, ParserError> {
    let mut first = true;
    loop {
        if word_is(parser, &["NULL", "ON", "NULL"]) {
            parser.expect_token(&Token::RParen)?;
            return Ok(Some('n'));
        }
        if word_is(parser, &["ABSENT", "ON", "NULL"]) {
            parser.expect_token(&Token::RParen)?;
            return Ok(Some('a'));
        }
        if parser.consume_token(&Token::RParen) {
            return Ok(None);
        }
        if !std::mem::take(&mut first) {
            parser.expect_token(&Token::Comma)?;
        }
        member(parser)?;
    }
}

fn letter(value: &Expr) -> char {
    match value {
        Expr::Function(f) if matches!(f.name.to_string().as_str(), "json_object" | "json_array") => 'j',
        _ => 'v',
    }
}

/// `text IS [NOT] JSON [VALUE | SCALAR | ARRAY | OBJECT]`; the parser stands before IS.
pub(super) fn is_json(parser: &mut Parser, text: &Expr, negated: bool) -> Expr {
    let span = parser.next_token().span;
    (0..1 + usize::from(negated)).for_each(|_| parser.advance_token());
    let kind = ["VALUE", "SCALAR", "ARRAY", "OBJECT"].into_iter().find(|kind| word_is(parser, &[kind]));
    let kind = string(kind.unwrap_or("VALUE"));
    let is_json = call(Ident::with_span(span, "is_json"), vec![text.clone(), kind]);
    match negated {
        true => Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(is_json) },
        false => is_json,
    }
}
