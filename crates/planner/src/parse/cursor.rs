//! A place in the tokens of one statement: looking ahead, taking, and saying what was expected.

use super::script::{Text, is_space, is_word, position};
use super::{depth, dialect::SqlDialect, normalise, syntax_error};
use crate::statement::{ChangedTable, Others, from_table};
use crate::{SqlError, TextPosition};
use eddyline_catalog::Reference;
use sqlparser::ast::{Expr, Ident, Query, SetExpr, With};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan};

/// Nesting that a statement may have.
const DEPTH_MAX: usize = 200;

/// Reads one statement, token by token; queries, expressions and types whole.
pub(super) struct Cursor<'a> {
    pub(super) text: &'a Text<'a>,
    tokens: &'a [TokenWithSpan],
    parser: Parser<'a>,
}

impl<'a> Cursor<'a> {
    /// # Errors
    /// Nesting that is too deep, and what no statement may have: hints, MATCH_RECOGNIZE.
    pub(super) fn new(text: &'a Text<'a>, tokens: &'a [TokenWithSpan]) -> Result<Self, SqlError> {
        depth::check(tokens)?;
        super::refuse::everywhere(tokens)?;
        Ok(Self { text, tokens, parser: parser(&text.dialect, tokens) })
    }

    /// The next token; `EOF` at the end of the statement.
    pub(super) fn peek(&self) -> &TokenWithSpan {
        self.parser.peek_token_ref()
    }

    /// The token after `n` others.
    pub(super) fn peek_nth(&self, n: usize) -> &TokenWithSpan {
        self.parser.peek_nth_token_ref(n)
    }

    /// Takes the next token.
    pub(super) fn next(&mut self) -> TokenWithSpan {
        self.parser.next_token()
    }

    /// Where the next token begins; at the end, just after the last one.
    pub(super) fn position(&self) -> TextPosition {
        position(self.peek().span.start).unwrap_or_else(|| self.end())
    }

    /// Where the next token begins in the text.
    pub(super) fn begin(&self) -> Location {
        match self.peek().span.start {
            Location { line: 0, .. } => self.tokens.last().map_or(Location { line: 1, column: 1 }, |t| t.span.end),
            at => at,
        }
    }

    /// The text from `from` to the last token taken.
    pub(super) fn text_since(&self, from: Location) -> &'a str {
        self.text.slice(from, self.parser.get_current_token().span.end)
    }

    /// Just after the last token of the statement.
    pub(super) fn end(&self) -> TextPosition {
        self.tokens.last().and_then(|t| position(t.span.end)).unwrap_or(TextPosition { line: 1, column: 1 })
    }

    pub(super) fn at_end(&self) -> bool {
        self.peek().token == Token::EOF
    }

    /// Is the next token this word?
    pub(super) fn peek_word(&self, word: &str) -> bool {
        is_word(&self.peek().token, word)
    }

    /// Are the next tokens these words?
    pub(super) fn peek_words(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(n, w)| is_word(&self.peek_nth(n).token, w))
    }

    /// Takes these words if they come next.
    pub(super) fn words(&mut self, words: &[&str]) -> bool {
        let found = self.peek_words(words);
        if found {
            words.iter().for_each(|_| self.parser.advance_token());
        }
        found
    }

    /// Takes this word if it comes next.
    pub(super) fn word(&mut self, word: &str) -> bool {
        self.words(&[word])
    }

    /// Takes this symbol if it comes next.
    pub(super) fn symbol(&mut self, symbol: &Token) -> bool {
        self.parser.consume_token(symbol)
    }

    pub(super) fn expect_words(&mut self, words: &[&str]) -> Result<(), SqlError> {
        for word in words {
            if !self.word(word) {
                return Err(self.expected(word));
            }
        }
        Ok(())
    }

    pub(super) fn expect_symbol(&mut self, symbol: &Token) -> Result<(), SqlError> {
        if self.symbol(symbol) { Ok(()) } else { Err(self.expected(&format!("`{symbol}`"))) }
    }

    pub(super) fn expect_end(&self) -> Result<(), SqlError> {
        if self.at_end() { Ok(()) } else { Err(self.expected("end of statement")) }
    }

    /// One or more, with commas between.
    pub(super) fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, SqlError>,
    ) -> Result<Vec<T>, SqlError> {
        let mut items = vec![item(self)?];
        while self.symbol(&Token::Comma) {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// A name of one part, quoted or not.
    pub(super) fn identifier(&mut self, what: &str) -> Result<Ident, SqlError> {
        match &self.peek().token {
            Token::Word(w) => {
                let ident = w.to_ident(self.peek().span);
                self.parser.advance_token();
                Ok(ident)
            }
            _ => Err(self.expected(what)),
        }
    }

    /// A string in single quotes.
    pub(super) fn string(&mut self, what: &str) -> Result<String, SqlError> {
        match &self.peek().token {
            Token::SingleQuotedString(text) | Token::UnicodeStringLiteral(text) => {
                let text = text.clone();
                self.parser.advance_token();
                Ok(text)
            }
            Token::Word(w) if w.quote_style == Some('"') => {
                let hint = format!("double quotes are for names; write '{}'", w.value.replace('\'', "''"));
                Err(self.expected(what).with_hint(hint))
            }
            _ => Err(self.expected(what)),
        }
    }

    /// A string in single quotes, or between dollar signs.
    pub(super) fn text(&mut self, what: &str) -> Result<String, SqlError> {
        match &self.peek().token {
            Token::DollarQuotedString(text) => {
                let text = text.value.clone();
                self.parser.advance_token();
                Ok(text)
            }
            _ => self.string(what),
        }
    }

    /// A whole number.
    pub(super) fn count(&mut self, what: &str) -> Result<usize, SqlError> {
        match &self.peek().token {
            Token::Number(digits, _) => {
                let number = digits.parse().map_err(|_| self.expected(what))?;
                self.parser.advance_token();
                Ok(number)
            }
            _ => Err(self.expected(what)),
        }
    }

    /// Name of a table or view, with its schema and database or without.
    pub(super) fn object_name(&mut self, what: &str) -> Result<Reference, SqlError> {
        let position = self.position();
        let mut parts = vec![self.identifier(what)?];
        while self.symbol(&Token::Period) {
            parts.push(self.identifier("a name")?);
        }
        normalise::reference(&parts).map_err(|e| e.at(position))
    }

    /// Name of a column with that of its table before it.
    pub(super) fn column_name(&mut self) -> Result<(Reference, String), SqlError> {
        let position = self.position();
        let mut parts = vec![self.identifier("the name of a table")?];
        while self.symbol(&Token::Period) {
            parts.push(self.identifier("a name")?);
        }
        let column = parts.pop().map(|column| column.value).unwrap_or_default();
        if parts.is_empty() {
            return Err(self.expected(&format!("`.` and a column of {column}")));
        }
        Ok((normalise::reference(&parts).map_err(|e| e.at(position))?, column))
    }

    /// A query, in one form.
    pub(super) fn query(&mut self) -> Result<Box<Query>, SqlError> {
        let parsed = self.parser.parse_query();
        let mut query = parsed.map_err(|e| self.syntax_error(&e))?;
        super::hints::locate(&mut query, self.tokens);
        normalise::query(&mut query, self.text.dialect.family)?;
        Ok(query)
    }

    /// A query that ends before clauses of the statement around it, and its text. `ends` is given what is left of the statement, from each
    /// token outside brackets on.
    pub(super) fn query_before(&mut self, ends: impl Fn(&[&Token]) -> bool) -> Result<(Box<Query>, String), SqlError> {
        let begin = self.begin();
        let from = self.tokens.iter().position(|t| t.span.start == begin).unwrap_or(self.tokens.len());
        let rest: Vec<(usize, &Token)> =
            (from..).zip(&self.tokens[from..]).filter(|(_, t)| !is_space(t)).map(|(at, t)| (at, &t.token)).collect();
        let words: Vec<&Token> = rest.iter().map(|(_, token)| *token).collect();
        let mut depth = 0_usize;
        let end = (0..words.len()).find(|at| {
            match words[*at] {
                Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
                Token::RParen | Token::RBracket | Token::RBrace => depth = depth.saturating_sub(1),
                _ => return *at > 0 && depth == 0 && ends(&words[*at..]),
            }
            false
        });
        let tokens = &self.tokens[from..end.map_or(self.tokens.len(), |at| rest[at].0)];
        let mut within = Cursor { text: self.text, tokens, parser: parser(&self.text.dialect, tokens) };
        let query = within.query()?;
        within.expect_end()?;
        (0..end.unwrap_or(words.len())).for_each(|_| self.parser.advance_token());
        Ok((query, self.text_since(begin).to_owned()))
    }

    /// The queries of a WITH that takes so many tokens.
    pub(super) fn with(&mut self, count: usize) -> Result<With, SqlError> {
        let begin = self.begin();
        let from = self.tokens.iter().position(|t| t.span.start == begin).unwrap_or(self.tokens.len());
        let written = self.tokens[from..].iter().enumerate().filter(|(_, t)| !is_space(t)).nth(count);
        let end = written.map_or(self.tokens.len(), |(at, _)| from + at);
        // They are read as those of a query.
        let word = |word: &str| TokenWithSpan::wrap(Token::make_word(word, None));
        let number = TokenWithSpan::wrap(Token::Number("1".into(), false));
        let tokens: Vec<TokenWithSpan> =
            self.tokens[from..end].iter().cloned().chain([word("SELECT"), number]).collect();
        let mut within = Cursor { text: self.text, tokens: &tokens, parser: parser(&self.text.dialect, &tokens) };
        let query = within.query()?;
        within.expect_end()?;
        (0..count).for_each(|_| self.parser.advance_token());
        query.with.ok_or_else(|| self.expected("a query of WITH"))
    }

    /// What stands behind RETURNING, as a SELECT from this table.
    pub(super) fn returning(&mut self, table: &ChangedTable) -> Result<Box<Query>, SqlError> {
        let parsed = self.parser.parse_projection();
        let items = parsed.map_err(|e| self.syntax_error(&e))?;
        let mut query = from_table(&table.name, table.alias.as_deref())?;
        if let SetExpr::Select(select) = query.body.as_mut() {
            select.projection = items;
        }
        normalise::query(&mut query, self.text.dialect.family)?;
        Ok(query)
    }

    /// Tables and joins with commas between them, as behind FROM.
    pub(super) fn tables(&mut self) -> Result<Others, SqlError> {
        let parsed = self.parser.parse_comma_separated(Parser::parse_table_and_joins);
        let tables = parsed.map_err(|e| self.syntax_error(&e))?;
        let mut query = super::parse_query("SELECT 1", self.text.dialect.family)?;
        if let SetExpr::Select(select) = query.body.as_mut() {
            select.from = tables;
        }
        normalise::query(&mut query, self.text.dialect.family)?;
        match *query.body {
            SetExpr::Select(select) => Ok(select.from),
            _ => Ok(Others::new()),
        }
    }

    /// An expression, in one form.
    pub(super) fn expression(&mut self) -> Result<Expr, SqlError> {
        let parsed = self.parser.parse_expr();
        let mut expression = parsed.map_err(|e| self.syntax_error(&e))?;
        normalise::expression(&mut expression, self.text.dialect.family)?;
        Ok(expression)
    }

    /// A type of a column.
    pub(super) fn column_type(&mut self) -> Result<arrow::datatypes::DataType, SqlError> {
        let parsed = super::types::read_type(&mut self.parser, self.text.dialect.family);
        parsed.map(|t| t.arrow).map_err(|e| self.syntax_error(&e))
    }

    /// `expected <what>, found <the next token>`.
    pub(super) fn expected(&self, what: &str) -> SqlError {
        syntax_error::expected(what, self.tokens, self.peek(), self.end())
    }

    fn syntax_error(&self, error: &ParserError) -> SqlError {
        syntax_error::explain(error, &self.text.dialect, self.tokens, self.position(), self.end())
    }
}

/// A parser over some tokens.
pub(super) fn parser<'a>(dialect: &'a SqlDialect, tokens: &[TokenWithSpan]) -> Parser<'a> {
    dialect.begin(tokens.len());
    Parser::new(dialect).with_recursion_limit(DEPTH_MAX).with_tokens_with_locations(tokens.to_vec())
}
