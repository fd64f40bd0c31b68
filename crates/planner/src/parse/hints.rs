//! Hints in comments behind SELECT: `/*+ STATE_TTL('orders' = '3 d') */`.
//!
//! The syntax tree has the text of a hint without its place. [`locate`] writes the place into the hint's prefix, which is
//! empty in SQL, and [`times_to_live`] reads both.

use super::dialect::SqlDialect;
use super::refuse::unsupported;
use super::script::{is_space, is_word, position};
use crate::{SqlError, TextPosition};
use eddyline_catalog::Dialect;
use eddyline_connectors::parse_duration;
use sqlparser::ast::{OptimizerHint, OptimizerHintStyle, Query, Select, VisitMut, VisitorMut};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Whitespace};
use std::collections::HashMap;
use std::ops::ControlFlow;

/// A table or view of a query block, and how long what is kept of its rows lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InputTtl {
    /// As it is called in the block.
    pub(crate) name: String,
    /// Milliseconds; 0: for ever.
    pub(crate) ms: u64,
    /// Where the hint names it.
    pub(crate) position: TextPosition,
}

const FORM: &str =
    "write SELECT /*+ STATE_TTL('orders' = '3 d', 'customers' = '0 s') */ …, with names of tables of FROM";

/// The text of a hint, if the token is one.
fn text(token: &TokenWithSpan) -> Option<&str> {
    match &token.token {
        Token::Whitespace(Whitespace::MultiLineComment(text)) => text.strip_prefix('+'),
        _ => None,
    }
}

/// Refuses hints that nobody carries out, and those in other places than behind SELECT.
///
/// # Errors
/// Such a hint, or a STATE_TTL that cannot be read.
pub(super) fn check(tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    for (at, token) in tokens.iter().enumerate() {
        let Some(text) = text(token) else { continue };
        let Some(begin) = position(token.span.start) else { continue };
        times(text, begin)?;
        let before = tokens[..at].iter().rfind(|t| !is_space(t));
        if before.is_none_or(|t| !is_word(&t.token, "SELECT")) {
            return Err(SqlError::new(SqlError::SYNTAX, "a hint stands behind SELECT").with_hint(FORM).at(begin));
        }
    }
    Ok(())
}

/// Notes in every hint where it stands.
pub(super) fn locate(query: &mut Query, tokens: &[TokenWithSpan]) {
    struct Locator(HashMap<Location, Vec<Location>>);
    impl VisitorMut for Locator {
        type Break = ();
        fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
            // Other comments with a plus sign are taken for hints too.
            let hints = &mut select.optimizer_hints;
            hints.retain(|hint| hint.prefix.is_empty() && hint.style == OptimizerHintStyle::MultiLine);
            for (hint, place) in
                hints.iter_mut().zip(self.0.get(&select.select_token.0.span.start).into_iter().flatten())
            {
                hint.prefix = format!("{}:{}", place.line, place.column);
            }
            ControlFlow::Continue(())
        }
    }
    let mut select = None;
    let mut places: HashMap<Location, Vec<Location>> = HashMap::new();
    for token in tokens {
        if text(token).is_some() {
            places.entry(select.unwrap_or(token.span.start)).or_default().push(token.span.start);
        } else if is_word(&token.token, "SELECT") {
            select = Some(token.span.start);
        }
    }
    let _ = VisitMut::visit(query, &mut Locator(places));
}

/// What the hints of a query block say.
///
/// # Errors
/// None of what the parser let through.
pub(crate) fn times_to_live(hints: &[OptimizerHint]) -> Result<Vec<InputTtl>, SqlError> {
    let mut found = Vec::new();
    for hint in hints {
        let place = hint.prefix.split_once(':').and_then(|(l, c)| Some((l.parse().ok()?, c.parse().ok()?)));
        let (line, column) = place.unwrap_or((1, 1));
        found.extend(times(&hint.text, TextPosition { line, column })?);
    }
    Ok(found)
}

/// `STATE_TTL('name' = 'duration', …) [, …]`; the comment begins at `begin`.
fn times(text: &str, begin: TextPosition) -> Result<Vec<InputTtl>, SqlError> {
    let dialect = SqlDialect::new(Dialect::Flink);
    let tokens = Tokenizer::new(&dialect, text).tokenize_with_location();
    let tokens = tokens.map_err(|e| SqlError::new(SqlError::SYNTAX, e.message).with_hint(FORM).at(begin))?;
    let mut rest = Hint { tokens: tokens.iter().filter(|t| !is_space(t)).collect(), at: 0, begin };
    let mut found: Vec<InputTtl> = Vec::new();
    while let Some(token) = rest.peek() {
        let (token, at) = (token.token.clone(), rest.position());
        rest.at += 1;
        let name = match &token {
            Token::Word(word) => word.value.to_uppercase(),
            other => other.to_string(),
        };
        if name != "STATE_TTL" {
            let hint = match name.as_str() {
                "OPTIONS" => "give the options in CREATE TABLE … WITH (…)",
                _ => "leave it out; there is STATE_TTL",
            };
            return Err(unsupported(&format!("the hint {name}"), hint).at(at));
        }
        rest.expect(&Token::LParen)?;
        loop {
            let (name, position) = rest.string("the name of a table in single quotes")?;
            rest.expect(&Token::Eq)?;
            let (value, at) = rest.string("a duration in single quotes")?;
            let ms = parse_duration(&value).and_then(|d| u64::try_from(d.as_millis()).ok());
            let Some(ms) = ms else {
                let error = SqlError::new(SqlError::INVALID_PARAMETER, format!("STATE_TTL: '{value}' is no duration"));
                return Err(error.with_hint("write '3 d', '12 h', '90 min' or '0 s' (for ever)").at(at));
            };
            if found.iter().any(|known| known.name == name) {
                return Err(SqlError::new(SqlError::INVALID, format!("STATE_TTL names {name} twice")).at(position));
            }
            found.push(InputTtl { name, ms, position });
            if !rest.take(&Token::Comma) {
                break;
            }
        }
        rest.expect(&Token::RParen)?;
        rest.take(&Token::Comma);
    }
    match found.is_empty() {
        true => Err(unsupported("an empty hint", "leave it out; there is STATE_TTL").at(begin)),
        false => Ok(found),
    }
}

/// The tokens of a hint, without space.
struct Hint<'a> {
    tokens: Vec<&'a TokenWithSpan>,
    at: usize,
    begin: TextPosition,
}

impl Hint<'_> {
    fn peek(&self) -> Option<&TokenWithSpan> {
        self.tokens.get(self.at).copied()
    }

    /// Where the next token stands in the statement.
    fn position(&self) -> TextPosition {
        let TextPosition { line, column } = self.begin;
        match self.peek().and_then(|t| position(t.span.start)) {
            // The text begins behind the three characters that open the comment.
            Some(at) if at.line == 1 => TextPosition { line, column: column + 2 + at.column },
            Some(at) => TextPosition { line: line + at.line - 1, column: at.column },
            None => self.begin,
        }
    }

    fn take(&mut self, token: &Token) -> bool {
        let found = self.peek().is_some_and(|t| t.token == *token);
        self.at += usize::from(found);
        found
    }

    fn expected(&self, what: &str) -> SqlError {
        let found = self.peek().map_or_else(|| "its end".to_owned(), |t| t.token.to_string());
        let message = format!("syntax error in a hint: expected {what}, found {found}");
        SqlError::new(SqlError::SYNTAX, message).with_hint(FORM).at(self.position())
    }

    fn expect(&mut self, token: &Token) -> Result<(), SqlError> {
        if self.take(token) { Ok(()) } else { Err(self.expected(&format!("`{token}`"))) }
    }

    fn string(&mut self, what: &str) -> Result<(String, TextPosition), SqlError> {
        match self.peek().map(|t| t.token.clone()) {
            Some(Token::SingleQuotedString(text)) => {
                let position = self.position();
                self.at += 1;
                Ok((text, position))
            }
            _ => Err(self.expected(what)),
        }
    }
}
