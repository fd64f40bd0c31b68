//! A script as tokens, and where its statements begin and end.

use super::dialect::FlinkDialect;
use crate::{SqlError, TextPosition};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

/// SQL text and its tokens.
pub(super) struct Text<'a> {
    sql: &'a str,
    /// Byte at which each line begins.
    lines: Vec<usize>,
    /// Is every character one byte?
    ascii: bool,
    tokens: Vec<TokenWithSpan>,
    pub(super) dialect: FlinkDialect,
}

impl<'a> Text<'a> {
    /// # Errors
    /// A string, quoted name or comment without an end; a character that SQL does not know.
    pub(super) fn read(sql: &'a str) -> Result<Self, SqlError> {
        let lines = std::iter::once(0).chain(sql.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let dialect = FlinkDialect::default();
        let tokens = Tokenizer::new(&dialect, sql).tokenize_with_location().map_err(|e| {
            let message = match e.message.as_str() {
                "Unterminated string literal" => "syntax error: this string has no closing quote".to_owned(),
                m if m.starts_with("Expected close delimiter") => {
                    "syntax error: this quoted name has no closing quote".to_owned()
                }
                m if m.contains("EOF while in a multi-line comment") => {
                    "syntax error: a comment has no closing */".to_owned()
                }
                m => format!("syntax error: {}", m.trim()),
            };
            let position = position(e.location).unwrap_or(TextPosition { line: 1, column: 1 });
            SqlError::new(SqlError::SYNTAX, message).at(position)
        })?;
        Ok(Self { sql, lines, ascii: sql.is_ascii(), tokens, dialect })
    }

    /// All tokens.
    pub(super) fn tokens(&self) -> &[TokenWithSpan] {
        &self.tokens
    }

    /// The tokens of each statement, without space around them; a statement set is one statement.
    ///
    /// # Errors
    /// A statement set without END.
    pub(super) fn statements(&self) -> Result<Vec<&[TokenWithSpan]>, SqlError> {
        let mut found = Vec::new();
        let mut rest: &[TokenWithSpan] = &self.tokens;
        while let Some(begin) = rest.iter().position(|t| !is_space(t) && t.token != Token::SemiColon) {
            rest = &rest[begin..];
            let set = opens_set(rest);
            let end = if set { end_of_set(rest)? } else { rest.iter().position(|t| t.token == Token::SemiColon) };
            let end = end.unwrap_or(rest.len());
            found.push(trimmed(&rest[..end]));
            rest = &rest[end..];
        }
        Ok(found)
    }

    /// The text between two places.
    pub(super) fn slice(&self, from: Location, to: Location) -> &'a str {
        let (from, to) = (self.byte(from), self.byte(to));
        self.sql.get(from..to.max(from)).unwrap_or_default()
    }

    fn byte(&self, at: Location) -> usize {
        let Some(&begin) = self.lines.get((at.line as usize).wrapping_sub(1)) else { return self.sql.len() };
        let characters = (at.column as usize).saturating_sub(1);
        // A script may be one long line: do not walk along it for every statement.
        if self.ascii {
            return (begin + characters).min(self.sql.len());
        }
        let line = &self.sql[begin..];
        line.char_indices().nth(characters).map_or(self.sql.len(), |(byte, _)| begin + byte)
    }
}

/// The place of a token; made-up tokens have none.
pub(super) fn position(at: Location) -> Option<TextPosition> {
    (at.line > 0).then_some(TextPosition { line: at.line as usize, column: at.column as usize })
}

pub(super) fn is_space(token: &TokenWithSpan) -> bool {
    matches!(token.token, Token::Whitespace(_) | Token::EOF)
}

/// Is the token this word, unquoted?
pub(super) fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
}

fn trimmed(tokens: &[TokenWithSpan]) -> &[TokenWithSpan] {
    let end = tokens.iter().rposition(|t| !is_space(t)).map_or(0, |last| last + 1);
    &tokens[..end]
}

/// `[EXPLAIN [word]] {EXECUTE STATEMENT SET BEGIN | STATEMENT SET BEGIN | BEGIN STATEMENT SET}`.
fn opens_set(tokens: &[TokenWithSpan]) -> bool {
    let words: Vec<&Token> = tokens.iter().filter(|t| !is_space(t)).take(6).map(|t| &t.token).collect();
    words.windows(2).enumerate().any(|(at, w)| {
        let before =
            at == 0 || ["EXECUTE", "BEGIN"].iter().any(|x| is_word(words[at - 1], x)) || is_word(words[0], "EXPLAIN");
        before && is_word(w[0], "STATEMENT") && is_word(w[1], "SET")
    })
}

/// Just past the END that follows a semicolon, or BEGIN.
fn end_of_set(tokens: &[TokenWithSpan]) -> Result<Option<usize>, SqlError> {
    let mut before = &Token::EOF;
    for (at, token) in tokens.iter().enumerate().filter(|(_, t)| !is_space(t)) {
        if is_word(&token.token, "END") && (*before == Token::SemiColon || is_word(before, "BEGIN")) {
            return Ok(Some(at + 1));
        }
        before = &token.token;
    }
    let error = SqlError::new(SqlError::SYNTAX, "syntax error: this statement set has no END")
        .with_hint("write EXECUTE STATEMENT SET BEGIN INSERT …; INSERT …; END");
    Err(match position(tokens[0].span.start) {
        Some(position) => error.at(position),
        None => error,
    })
}
