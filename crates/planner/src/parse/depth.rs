//! Statements that would need too much of the stack are refused before they are parsed.
//!
//! The parser limits how deep it goes by itself, but it builds chains such as `a + b + c` without going deep: each
//! operator is one level of the tree, and a tree is dropped level by level.

use super::script::{is_space, is_word, position};
use crate::SqlError;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// Brackets in brackets.
const BRACKETS_MAX: usize = 150;
/// Types in types.
const TYPES_MAX: usize = 50;
/// Operators in one chain. Binding takes time with the square of it.
const CHAIN_MAX: usize = 1000;
/// Set operations in one chain.
const SETS_MAX: usize = 500;

/// Words that take an operand and so make the tree one level deeper.
const OPERATORS: [&str; 19] = [
    "AND", "OR", "XOR", "NOT", "IS", "ISNULL", "NOTNULL", "IN", "LIKE", "ILIKE", "RLIKE", "REGEXP", "SIMILAR",
    "BETWEEN", "OVERLAPS", "DIV", "AT", "ARRAY", "COLLATE",
];

/// What is open, and how much it holds.
#[derive(Default)]
struct Frame {
    /// CASE, not a bracket.
    case: bool,
    /// Operators since the last comma or clause.
    operators: usize,
    /// Comparisons since the last AND or OR: `a = b = c`.
    comparisons: usize,
    /// Set operations.
    sets: usize,
}

/// # Errors
/// More nesting than the parser, or whoever walks its trees, can take.
pub(super) fn check(tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    let mut open = vec![Frame::default()];
    let (mut types, mut before) = (0_usize, &Token::EOF);
    for token in tokens.iter().filter(|t| !is_space(t)) {
        match &token.token {
            Token::Lt if ["ARRAY", "MAP", "ROW", "STRUCT"].iter().any(|t| is_word(before, t)) => types += 1,
            Token::Gt => types = types.saturating_sub(1),
            Token::ShiftRight => types = types.saturating_sub(2),
            _ => {}
        }
        before = &token.token;
        follow(&mut open, &token.token);
        let Some(frame) = open.last() else { continue };
        if types > TYPES_MAX {
            return Err(too_deep("types are nested too deeply", TYPES_MAX, token));
        }
        if open.len() > BRACKETS_MAX {
            let what = if frame.case { "CASE is nested too deeply" } else { "brackets are nested too deeply" };
            return Err(too_deep(what, BRACKETS_MAX, token));
        }
        if frame.operators.max(frame.comparisons) > CHAIN_MAX {
            return Err(too_deep("this expression has too many operators", CHAIN_MAX, token)
                .with_hint("write IN (…) for many alternatives, or split the expression with a view"));
        }
        if frame.sets > SETS_MAX {
            return Err(too_deep("too many queries are combined with UNION", SETS_MAX, token)
                .with_hint("write VALUES (…), (…) for many rows, or combine some of the queries in views"));
        }
    }
    Ok(())
}

/// Opens, closes and counts.
fn follow(open: &mut Vec<Frame>, token: &Token) {
    match token {
        Token::LParen | Token::LBracket | Token::LBrace => open.push(Frame::default()),
        word if is_word(word, "CASE") => open.push(Frame { case: true, ..Frame::default() }),
        Token::RParen | Token::RBracket | Token::RBrace => close(open, false),
        word if is_word(word, "END") => close(open, true),
        _ => {}
    }
    let Some(frame) = open.last_mut() else { return };
    match token {
        Token::Comma | Token::SemiColon => frame.operators = 0,
        Token::Word(w) if w.quote_style.is_some() => {}
        Token::Word(_) if ["UNION", "INTERSECT", "EXCEPT"].iter().any(|s| is_word(token, s)) => {
            frame.operators = 0;
            frame.sets += 1;
        }
        Token::Word(_) if ["SELECT", "FROM", "WHERE", "WHEN", "THEN"].iter().any(|s| is_word(token, s)) => {
            frame.operators = 0;
        }
        Token::Word(_) if OPERATORS.iter().any(|s| is_word(token, s)) => {
            frame.operators += 1;
            if is_word(token, "AND") || is_word(token, "OR") {
                frame.comparisons = 0;
            }
        }
        Token::Eq | Token::Neq | Token::Lt | Token::Gt | Token::LtEq | Token::GtEq => frame.comparisons += 1,
        // `a[1][2]` is a chain, too.
        Token::RBracket => frame.operators += 1,
        Token::Word(_) | Token::Number(..) | Token::SingleQuotedString(_) => {}
        Token::LParen | Token::RParen | Token::LBracket | Token::LBrace | Token::RBrace => {}
        _ => frame.operators += 1,
    }
}

/// Closes the innermost bracket, with the CASEs in it that have no END; or the innermost CASE.
fn close(open: &mut Vec<Frame>, case: bool) {
    let innermost = open.iter().rposition(|f| f.case == case).unwrap_or_default();
    if innermost > 0 && (!case || innermost + 1 == open.len()) {
        open.truncate(innermost);
    }
}

fn too_deep(what: &str, limit: usize, token: &TokenWithSpan) -> SqlError {
    let error = SqlError::new(SqlError::TOO_COMPLEX, format!("{what}: more than {limit}"));
    match position(token.span.start) {
        Some(position) => error.at(position),
        None => error,
    }
}
