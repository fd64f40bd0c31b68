//! The parser's complaints as errors that say what, where and what to do.

use super::cursor::parser;
use super::dialect::SqlDialect;
use super::script::{is_space, is_word, position};
use crate::{SqlError, TextPosition};
use sqlparser::parser::ParserError;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan};

/// Marks an error of ours on its way through the parser.
const PACKED: char = '\u{1f}';

/// Words of clauses that are easily mistyped.
const CLAUSES: [&str; 24] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "ORDER",
    "HAVING",
    "LIMIT",
    "UNION",
    "INTERSECT",
    "EXCEPT",
    "JOIN",
    "LEFT",
    "RIGHT",
    "FULL",
    "INNER",
    "CROSS",
    "BETWEEN",
    "DISTINCT",
    "WATERMARK",
    "PRIMARY",
    "CONSTRAINT",
    "METADATA",
    "VIRTUAL",
    "COMMENT",
];

/// `expected <what>, found <token>`, with a hint where a slip is likely.
pub(super) fn expected(what: &str, tokens: &[TokenWithSpan], found: &TokenWithSpan, end: TextPosition) -> SqlError {
    let shown = match &found.token {
        Token::EOF => "end of statement".to_owned(),
        token => token.to_string(),
    };
    let at = position(found.span.start).unwrap_or(end);
    let error = SqlError::new(SqlError::SYNTAX, format!("syntax error: expected {what}, found {shown}")).at(at);
    match hint(what, tokens, at) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// An error of the parser over `tokens`; `stopped` is where it stood, `end` is behind the last token.
pub(super) fn explain(
    error: &ParserError,
    dialect: &SqlDialect,
    tokens: &[TokenWithSpan],
    stopped: TextPosition,
    end: TextPosition,
) -> SqlError {
    let inner = match error {
        ParserError::RecursionLimitExceeded => None,
        _ => inside_brackets(dialect, tokens),
    };
    inner.unwrap_or_else(|| translate(error, tokens, stopped, end))
}

fn translate(error: &ParserError, tokens: &[TokenWithSpan], stopped: TextPosition, end: TextPosition) -> SqlError {
    let text = match error {
        ParserError::RecursionLimitExceeded => {
            return SqlError::new(SqlError::TOO_COMPLEX, "this statement is nested too deeply")
                .with_hint("give parts of it a name: CREATE VIEW, or WITH")
                .at(stopped);
        }
        ParserError::ParserError(text) | ParserError::TokenizerError(text) => text.as_str(),
    };
    let (text, at) = split_position(text);
    let at = at.unwrap_or(end);
    if let Some(packed) = unpack(text) {
        return packed.at(at);
    }
    match expectation(text).and_then(|t| t.rsplit_once(", found: ")) {
        Some((what, found)) => {
            let what = what.strip_prefix("expected ").unwrap_or(what);
            let at = place_of(found, tokens, at);
            let found = if found == "EOF" { "end of statement" } else { found };
            let error = SqlError::new(SqlError::SYNTAX, format!("syntax error: expected {what}, found {found}")).at(at);
            match hint(what, tokens, at) {
                Some(hint) => error.with_hint(hint),
                None => error,
            }
        }
        None => SqlError::new(SqlError::SYNTAX, format!("syntax error: {}", text.trim())).at(at),
    }
}

/// Where the token that was found stands: the parser may say where the one behind it does.
fn place_of(found: &str, tokens: &[TokenWithSpan], at: TextPosition) -> TextPosition {
    let words = || tokens.iter().filter(|t| !is_space(t));
    let behind = words().position(|t| position(t.span.start) == Some(at));
    let before = behind.and_then(|n| n.checked_sub(1)).and_then(|n| words().nth(n));
    match (behind.and_then(|n| words().nth(n)), before) {
        (Some(behind), Some(before)) if behind.token.to_string() != found && before.token.to_string() == found => {
            position(before.span.start).unwrap_or(at)
        }
        _ => at,
    }
}

fn expectation(text: &str) -> Option<&str> {
    text.strip_prefix("Expected: ").or_else(|| text.strip_prefix("Expected "))
}

/// The parser tries `( … )` after FROM first as a query, then as a join, and tells of the latter only. So queries in
/// brackets are parsed again on their own, inner ones first; the first that fails has the fault.
fn inside_brackets(dialect: &SqlDialect, tokens: &[TokenWithSpan]) -> Option<SqlError> {
    let mut open = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match &token.token {
            Token::LParen => open.push(at),
            Token::RParen => {
                let begin = open.pop()? + 1;
                let inside = &tokens[begin..at];
                let first = inside.iter().find(|t| !is_space(t));
                if !first.is_some_and(|t| is_word(&t.token, "SELECT") || is_word(&t.token, "WITH")) {
                    continue;
                }
                let mut parser = parser(dialect, inside);
                let end = position(token.span.start)?;
                let failed = match parser.parse_query() {
                    Err(ParserError::RecursionLimitExceeded) => continue,
                    Err(error) => error,
                    Ok(_) if parser.peek_token_ref().token == Token::EOF => continue,
                    Ok(_) => return Some(expected("`)`", inside, parser.peek_token_ref(), end)),
                };
                let mut found = translate(&failed, inside, end, end);
                if let Some(message) = found.message.strip_suffix("found end of statement") {
                    found.message = format!("{message}found )");
                }
                return Some(found);
            }
            _ => {}
        }
    }
    None
}

/// An error of ours in the shape of the parser's.
pub(super) fn pack(error: SqlError, at: Location) -> ParserError {
    let hint = error.hint.unwrap_or_default();
    let place = match at {
        Location { line: 0, .. } => String::new(),
        at => format!(" at Line: {}, Column: {}", at.line, at.column),
    };
    ParserError::ParserError(format!("{PACKED}{}{PACKED}{}{PACKED}{hint}{place}", error.sqlstate, error.message))
}

fn unpack(text: &str) -> Option<SqlError> {
    let mut parts = text.strip_prefix(PACKED)?.splitn(3, PACKED);
    let (state, message, hint) = (parts.next()?, parts.next()?, parts.next()?);
    let states = [SqlError::UNSUPPORTED, SqlError::UNDEFINED_OBJECT, SqlError::INVALID_PARAMETER, SqlError::SYNTAX];
    let sqlstate = states.into_iter().find(|s| *s == state).unwrap_or(SqlError::INVALID);
    let error = SqlError::new(sqlstate, message);
    Some(if hint.is_empty() { error } else { error.with_hint(hint) })
}

fn split_position(text: &str) -> (&str, Option<TextPosition>) {
    let read = || {
        let (before, place) = text.rsplit_once(" at Line: ")?;
        let (line, column) = place.split_once(", Column: ")?;
        Some((before, TextPosition { line: line.parse().ok()?, column: column.parse().ok()? }))
    };
    match read() {
        Some((before, at)) => (before, Some(at)),
        None => (text, None),
    }
}

/// What the slip may have been.
fn hint(what: &str, tokens: &[TokenWithSpan], at: TextPosition) -> Option<String> {
    let words: Vec<&TokenWithSpan> = tokens.iter().filter(|t| !is_space(t)).collect();
    let found = words.iter().position(|t| position(t.span.start) == Some(at))?;
    let before = found.checked_sub(1).map(|n| &words[n].token);
    for token in [Some(&words[found].token), before].into_iter().flatten() {
        if let Token::Word(w) = token
            && w.quote_style.is_none()
            && let Some(near) = nearest(&w.value.to_uppercase(), &CLAUSES)
        {
            return Some(format!("did you mean {near}?"));
        }
    }
    if words[found].token == Token::Comma && before == Some(&Token::Comma) {
        return Some("there is a comma too many".to_owned());
    }
    let list = what.contains("end of statement") || what.contains("`)`") || what.contains(',') || what.contains(')');
    match (&words[found].token, before) {
        (Token::DoubleEq, _) => Some("equality is written =".to_owned()),
        (Token::Word(w), _) if w.quote_style == Some('"') && what.contains("string") => {
            Some("double quotes are for names; strings are written in single quotes".to_owned())
        }
        (Token::RParen, Some(Token::Comma)) => Some("there is a comma too many before )".to_owned()),
        (Token::Word(w), Some(Token::Comma)) if is_word(&words[found].token, "FROM") && w.quote_style.is_none() => {
            Some("there is a comma too many before FROM".to_owned())
        }
        (found, Some(before)) if list && ends_item(before) && begins_item(found) => {
            Some(format!("a comma may be missing before {found}"))
        }
        _ => None,
    }
}

fn ends_item(token: &Token) -> bool {
    matches!(token, Token::Word(_) | Token::Number(..) | Token::SingleQuotedString(_) | Token::RParen)
}

fn begins_item(token: &Token) -> bool {
    matches!(token, Token::Number(..) | Token::SingleQuotedString(_))
        || matches!(token, Token::Word(w) if w.quote_style.is_some() || !CLAUSES.contains(&w.value.to_uppercase().as_str()))
}

/// The word that differs from `word` in one letter, or in two that changed places.
pub(super) fn nearest(word: &str, of: &[&'static str]) -> Option<&'static str> {
    if word.len() < 3 || of.contains(&word) {
        return None;
    }
    let swapped = |a: &str, b: &str| {
        let differ: Vec<usize> = (0..a.len().min(b.len())).filter(|i| a.as_bytes()[*i] != b.as_bytes()[*i]).collect();
        a.len() == b.len()
            && matches!(differ.as_slice(), [i, j] if j - i == 1 && a.as_bytes()[*i] == b.as_bytes()[*j] && a.as_bytes()[*j] == b.as_bytes()[*i])
    };
    of.iter().copied().find(|k| eddyline_catalog::edit_distance(word, k) == 1 || swapped(word, k))
}
