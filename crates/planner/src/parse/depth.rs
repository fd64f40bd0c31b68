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
/// Operators in one chain.
const CHAIN_MAX: usize = 2000;

/// # Errors
/// More nesting than the parser, or whoever walks its trees, can take.
pub(super) fn check(tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    // Operators since the last comma or clause, set operations; for each open bracket.
    let mut chains = vec![(0_usize, 0_usize)];
    let (mut types, mut before) = (0_usize, &Token::EOF);
    for token in tokens.iter().filter(|t| !is_space(t)) {
        match &token.token {
            Token::LParen | Token::LBracket | Token::LBrace => chains.push((0, 0)),
            Token::RParen | Token::RBracket | Token::RBrace if chains.len() > 1 => {
                chains.pop();
            }
            _ => {}
        }
        match &token.token {
            Token::Lt if ["ARRAY", "MAP", "ROW", "STRUCT"].iter().any(|t| is_word(before, t)) => types += 1,
            Token::Gt => types = types.saturating_sub(1),
            Token::ShiftRight => types = types.saturating_sub(2),
            _ => {}
        }
        before = &token.token;
        if types > TYPES_MAX {
            return Err(too_deep("types are nested too deeply", TYPES_MAX, token));
        }
        if chains.len() > BRACKETS_MAX {
            return Err(too_deep("brackets are nested too deeply", BRACKETS_MAX, token));
        }
        let Some((operators, sets)) = chains.last_mut() else { continue };
        match &token.token {
            Token::Comma | Token::SemiColon => *operators = 0,
            Token::Word(w) if w.quote_style.is_some() => {}
            Token::Word(_) if ["UNION", "INTERSECT", "EXCEPT"].iter().any(|s| is_word(&token.token, s)) => {
                *operators = 0;
                *sets += 1;
            }
            Token::Word(_) if ["SELECT", "FROM", "WHERE", "WHEN", "THEN"].iter().any(|s| is_word(&token.token, s)) => {
                *operators = 0;
            }
            Token::Word(_)
                if ["AND", "OR", "NOT", "IS", "IN", "LIKE", "BETWEEN", "ARRAY", "COLLATE", "CASE"]
                    .iter()
                    .any(|s| is_word(&token.token, s)) =>
            {
                *operators += 1;
            }
            Token::Word(_) | Token::Number(..) | Token::SingleQuotedString(_) | Token::RParen | Token::LParen => {}
            _ => *operators += 1,
        }
        if *operators > CHAIN_MAX {
            return Err(too_deep("this expression has too many operators", CHAIN_MAX, token)
                .with_hint("write IN (…) for many alternatives, or split the expression with a view"));
        }
        if *sets > CHAIN_MAX {
            return Err(too_deep("too many queries are combined with UNION", CHAIN_MAX, token));
        }
    }
    Ok(())
}

fn too_deep(what: &str, limit: usize, token: &TokenWithSpan) -> SqlError {
    let error = SqlError::new(SqlError::TOO_COMPLEX, format!("{what}: more than {limit}"));
    match position(token.span.start) {
        Some(position) => error.at(position),
        None => error,
    }
}
