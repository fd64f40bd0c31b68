//! A script as tokens, and where its statements begin and end.

use super::dialect::SqlDialect;
use crate::{SqlError, TextPosition};
use eddyline_catalog::Dialect;
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer, TokenizerError};

/// SQL text and its tokens.
pub(super) struct Text<'a> {
    sql: &'a str,
    /// Byte at which each line begins.
    lines: Vec<usize>,
    /// Is every character one byte?
    ascii: bool,
    tokens: Vec<TokenWithSpan>,
    pub(super) dialect: SqlDialect,
}

impl<'a> Text<'a> {
    /// # Errors
    /// A string, quoted name or comment without an end; a character that SQL does not know.
    pub(super) fn read(sql: &'a str, dialect: Dialect) -> Result<Self, SqlError> {
        let (text, error) = Self::read_as_far(sql, dialect);
        error.map_or(Ok(text), |e| Err(unreadable(&e)))
    }

    /// The tokens up to what is none, and why that is none.
    pub(super) fn read_as_far(sql: &'a str, dialect: Dialect) -> (Self, Option<TokenizerError>) {
        let lines = std::iter::once(0).chain(sql.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let dialect = SqlDialect::new(dialect);
        let mut tokens = Vec::new();
        let error = Tokenizer::new(&dialect, sql).tokenize_with_location_into_buf(&mut tokens).err();
        tables_as_selects(&mut tokens);
        (Self { sql, lines, ascii: sql.is_ascii(), tokens, dialect }, error)
    }

    /// The text with the letters A to Z of words without quotes as small ones, every character at its place.
    pub(super) fn folded(&self) -> String {
        let mut folded = String::with_capacity(self.sql.len());
        for token in &self.tokens {
            if let Token::Word(word) = &token.token
                && word.quote_style.is_none()
            {
                let (from, to) = (self.byte(token.span.start), self.byte(token.span.end));
                folded.push_str(self.sql.get(folded.len()..from).unwrap_or_default());
                folded.push_str(&self.sql.get(from..to).unwrap_or_default().to_ascii_lowercase());
            }
        }
        folded.push_str(self.sql.get(folded.len()..).unwrap_or_default());
        folded
    }

    /// So many bytes of the text from a place on.
    pub(super) fn bytes_from(&self, at: TextPosition, length: usize) -> &'a str {
        let from = self.byte(Location { line: at.line as u64, column: at.column as u64 });
        self.sql.get(from..from + length).unwrap_or_default()
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
        while let Some((statement, after)) = first_statement(rest)? {
            found.push(statement);
            rest = after;
        }
        Ok(found)
    }

    /// The text between two places.
    pub(super) fn slice(&self, from: Location, to: Location) -> &'a str {
        let (from, to) = (self.byte(from), self.byte(to));
        self.sql.get(from..to.max(from)).unwrap_or_default()
    }

    /// The byte at a place.
    pub(super) fn byte(&self, at: Location) -> usize {
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

/// `TABLE t` where a query may stand becomes `SELECT * FROM t`, at the place of its word.
fn tables_as_selects(tokens: &mut Vec<TokenWithSpan>) {
    let mut at = 0;
    while let Some(found) = tokens[at..].iter().position(|t| is_word(&t.token, "TABLE")) {
        at += found;
        if is_query(&tokens[..at], &tokens[at + 1..]) {
            // What is not written takes no place.
            let (span, end) = (tokens[at].span, tokens[at].span.end);
            let none = Span::new(end, end);
            let made =
                [(Token::make_word("SELECT", None), span), (Token::Mul, none), (Token::make_word("FROM", None), none)];
            tokens.splice(at..=at, made.map(|(token, span)| TokenWithSpan { token, span }));
        }
        at += 1;
    }
}

/// Does the word TABLE between these tokens begin a query? It is the name of a table alone that follows, and what may follow a query.
fn is_query(before: &[TokenWithSpan], behind: &[TokenWithSpan]) -> bool {
    let begins = match before.iter().rev().map(|t| &t.token).find(|token| !matches!(token, Token::Whitespace(_))) {
        None | Some(Token::SemiColon | Token::LParen | Token::RParen) => true,
        Some(token) => ["UNION", "INTERSECT", "EXCEPT", "ALL", "DISTINCT", "AS"].iter().any(|w| is_word(token, w)),
    };
    let mut rest = behind.iter().map(|t| &t.token).filter(|token| !matches!(token, Token::Whitespace(_)));
    let mut next = rest.next();
    if !begins || !matches!(next, Some(Token::Word(_))) {
        return false;
    }
    next = rest.next();
    while let Some(Token::Period) = next {
        rest.next();
        next = rest.next();
    }
    match next {
        None | Some(Token::SemiColon | Token::RParen | Token::EOF) => true,
        Some(token) => {
            let follow = ["ORDER", "LIMIT", "OFFSET", "FETCH", "UNION", "INTERSECT", "EXCEPT", "ON", "RETURNING"];
            follow.iter().any(|word| is_word(token, word))
        }
    }
}

/// The tokens of a statement, and those behind it.
type FirstAndRest<'a> = (&'a [TokenWithSpan], &'a [TokenWithSpan]);

/// The first statement, and the tokens behind it, from its semicolon on; `None` where there is no statement.
///
/// # Errors
/// A statement set without END.
pub(super) fn first_statement(tokens: &[TokenWithSpan]) -> Result<Option<FirstAndRest<'_>>, SqlError> {
    let Some(begin) = tokens.iter().position(|t| !is_space(t) && t.token != Token::SemiColon) else { return Ok(None) };
    let tokens = &tokens[begin..];
    let set = opens_set(tokens);
    let end = if set { end_of_set(tokens)? } else { tokens.iter().position(|t| t.token == Token::SemiColon) };
    let (statement, rest) = tokens.split_at(end.unwrap_or(tokens.len()));
    Ok(Some((trimmed(statement), rest)))
}

/// What is wrong with text that is no SQL.
pub(super) fn unreadable(error: &TokenizerError) -> SqlError {
    let message = match error.message.as_str() {
        "Unterminated string literal" => "syntax error: this string has no closing quote".to_owned(),
        m if m.starts_with("Expected close delimiter") => {
            "syntax error: this quoted name has no closing quote".to_owned()
        }
        m if m.contains("EOF while in a multi-line comment") => "syntax error: a comment has no closing */".to_owned(),
        m => format!("syntax error: {}", m.trim()),
    };
    SqlError::new(SqlError::SYNTAX, message).at(position(error.location).unwrap_or(TextPosition { line: 1, column: 1 }))
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
    let own = tokens.iter().take_while(|t| t.token != Token::SemiColon);
    let words: Vec<&Token> = own.filter(|t| !is_space(t)).take(6).map(|t| &t.token).collect();
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
