//! CREATE TABLE, CREATE SOURCE, CREATE SINK, CREATE VIEW, DROP.

use super::columns::{self, Elements};
use super::cursor::Cursor;
use super::script::is_word;
use super::{dml, outside, refuse, statements};
use crate::statement::{Like, LikeMode, LikePart, Query, StatementKind};
use crate::{SqlError, TextPosition};
use eddyline_catalog::{Dialect, Name, Reference, Sink, Table, View};
use sqlparser::tokenizer::Token;
use std::collections::BTreeMap;

/// `CREATE [OR REPLACE] [TEMPORARY | TEMP] {TABLE | SOURCE | VIEW} …`, `CREATE [OR REPLACE] MATERIALIZED VIEW …`.
///
/// # Errors
/// A syntax error, what is not supported, or a definition that contradicts itself.
pub(super) fn create(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    if cursor.words(&["CREATE", "MATERIALIZED", "VIEW"]) {
        return create_materialized_view(cursor, false);
    }
    if cursor.words(&["CREATE", "OR", "REPLACE", "MATERIALIZED", "VIEW"]) {
        return create_materialized_view(cursor, true);
    }
    if cursor.words(&["CREATE", "SINK"]) {
        return create_sink(cursor);
    }
    // Only what is refused is longer than these.
    let or_replace = usize::from(cursor.peek_words(&["CREATE", "OR", "REPLACE"])) * 2;
    let behind = &cursor.peek_nth(1 + or_replace).token;
    let temporary = usize::from(is_word(behind, "TEMPORARY") || is_word(behind, "TEMP"));
    let what = &cursor.peek_nth(1 + or_replace + temporary).token;
    let (table, source, view) = (is_word(what, "TABLE"), is_word(what, "SOURCE"), is_word(what, "VIEW"));
    if !table && !source && !view {
        let refused = refuse::statement(cursor);
        if refused.sqlstate == SqlError::UNSUPPORTED {
            return Err(refused);
        }
        (0..1 + or_replace + temporary).for_each(|_| drop_token(cursor));
        return Err(cursor.expected("TABLE, SOURCE or VIEW"));
    }
    (0..2 + or_replace + temporary).for_each(|_| drop_token(cursor));
    let head = Head { or_replace: or_replace > 0, temporary: temporary > 0, if_not_exists: false };
    if table {
        create_table(cursor, head)
    } else if source {
        create_source(cursor, head)
    } else {
        create_view(cursor, head)
    }
}

fn drop_token(cursor: &mut Cursor<'_>) {
    cursor.next();
}

struct Head {
    or_replace: bool,
    temporary: bool,
    if_not_exists: bool,
}

impl Head {
    fn name(&mut self, cursor: &mut Cursor<'_>, what: &str) -> Result<Reference, SqlError> {
        self.if_not_exists = cursor.words(&["IF", "NOT", "EXISTS"]);
        if self.if_not_exists && self.or_replace {
            return Err(SqlError::new(SqlError::SYNTAX, "OR REPLACE and IF NOT EXISTS contradict each other"));
        }
        cursor.object_name(what)
    }
}

fn create_table(cursor: &mut Cursor<'_>, mut head: Head) -> Result<StatementKind, SqlError> {
    let name = head.name(cursor, "the name of the table")?;
    let (mut elements, listed) = match cursor.symbol(&Token::LParen) {
        true => (Elements::read(cursor)?, true),
        false => (Elements::default(), false),
    };
    let comment = comment(cursor)?;
    for (words, hint) in [
        (&["PARTITIONED", "BY"][..], "leave it out; the filesystem connector writes one directory"),
        (&["PARTITION", "BY"], "leave it out; the filesystem connector writes one directory"),
        (&["DISTRIBUTED"], "leave it out"),
        (&["USING", "CONNECTION"], "give the options in WITH (…)"),
    ] {
        if cursor.peek_words(words) {
            return Err(refuse::unsupported(&words.join(" "), hint).at(cursor.position()));
        }
    }
    let options = if cursor.word("WITH") { options(cursor, Spelled::InQuotes)? } else { BTreeMap::new() };
    let position = cursor.position();
    let like = match (cursor.word("LIKE"), elements.like.take()) {
        (true, Some(_)) => {
            return Err(refuse::unsupported("LIKE among the columns and behind them", "leave one out").at(position));
        }
        (true, None) => Some(like(cursor)?),
        (false, among) => among,
    };
    let query = if cursor.word("AS") {
        if !statements::begins_query(cursor) {
            return Err(cursor.expected("SELECT"));
        }
        Some(cursor.query()?)
    } else {
        None
    };
    if !cursor.at_end() {
        return Err(cursor.expected("WITH, LIKE, AS or end of statement"));
    }
    if !listed && like.is_none() && query.is_none() {
        let error = SqlError::new(SqlError::SYNTAX, format!("syntax error: table {name} has no columns"));
        return Err(error.with_hint("write CREATE TABLE t (column type, …) WITH (…)").at(cursor.end()));
    }
    let complete = like.is_none() && query.is_none();
    let is_kept = like.as_ref().is_none_or(|like| like.among_columns) && !options.contains_key("connector");
    let unique = std::mem::take(&mut elements.unique);
    let (columns, primary_key, watermark) = elements.finish(complete, is_kept)?;
    let dialect = cursor.text.dialect.family;
    let (temporary, is_source) = (head.temporary, false);
    let made = Name::from(name.object.as_str());
    let table = Table { name: made, columns, primary_key, watermark, options, comment, temporary, is_source, dialect };
    let Head { or_replace, if_not_exists, .. } = head;
    Ok(StatementKind::CreateTable { name, table, if_not_exists, or_replace, unique, like, query })
}

/// `name (columns) [COMMENT 'text'] WITH (options) [FORMAT … ENCODE …]`.
fn create_source(cursor: &mut Cursor<'_>, mut head: Head) -> Result<StatementKind, SqlError> {
    let name = head.name(cursor, "the name of the source")?;
    cursor.expect_symbol(&Token::LParen)?;
    let mut elements = Elements::read(cursor)?;
    if elements.like.take().is_some() {
        let hint = "CREATE TABLE … WITH (…) LIKE copies a table that a connector reads";
        return Err(refuse::unsupported("LIKE of a source", hint));
    }
    if let Some(unique) = elements.unique.first() {
        let hint = "nobody checks rows that are elsewhere: leave it out";
        return Err(refuse::unsupported("UNIQUE of a source", hint).at(unique.position));
    }
    if cursor.peek_word("INCLUDE") {
        let hint = "what a connector knows of a row is a column: name type METADATA FROM 'key' VIRTUAL";
        return Err(refuse::unsupported("INCLUDE", hint).at(cursor.position()));
    }
    let comment = comment(cursor)?;
    let position = cursor.position();
    cursor.expect_words(&["WITH"])?;
    let mut options = options(cursor, Spelled::Bare)?;
    outside::format(cursor, &mut options)?;
    if !options.contains_key("connector") {
        let error = SqlError::new(SqlError::INVALID_PARAMETER, format!("source {name}: option 'connector' is missing"));
        return Err(error
            .with_hint("SHOW CONNECTORS lists them; CREATE TABLE without any keeps its rows")
            .at(position));
    }
    // Nobody enforces the key of what is outside, whether it is said or not.
    let (columns, primary_key, watermark) = elements.finish(true, true)?;
    let (temporary, is_source, dialect) = (head.temporary, true, cursor.text.dialect.family);
    let made = Name::from(name.object.as_str());
    let table = Table { name: made, columns, primary_key, watermark, options, comment, temporary, is_source, dialect };
    let Head { or_replace, if_not_exists, .. } = head;
    let (unique, like, query) = (Vec::new(), None, None);
    Ok(StatementKind::CreateTable { name, table, if_not_exists, or_replace, unique, like, query })
}

fn create_view(cursor: &mut Cursor<'_>, mut head: Head) -> Result<StatementKind, SqlError> {
    let (name, view, query) = view(cursor, &mut head)?;
    Ok(StatementKind::CreateView { name, view, query, if_not_exists: head.if_not_exists, or_replace: head.or_replace })
}

fn create_materialized_view(cursor: &mut Cursor<'_>, or_replace: bool) -> Result<StatementKind, SqlError> {
    let mut head = Head { or_replace, temporary: false, if_not_exists: false };
    let (name, view, query) = view(cursor, &mut head)?;
    let is_final = outside::emits_on_close(cursor)?;
    let Head { if_not_exists, .. } = head;
    Ok(StatementKind::CreateMaterializedView { name, view, query, if_not_exists, or_replace, is_final })
}

/// `[IF NOT EXISTS] name [INTO table [(columns)]] [COMMENT 'text'] {AS query | FROM name} [EMIT ON WINDOW CLOSE] [WITH (options)] [FORMAT …]`.
fn create_sink(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    let mut head = Head { or_replace: false, temporary: false, if_not_exists: false };
    let position = cursor.position();
    let name = head.name(cursor, "the name of the sink")?;
    let into_at = cursor.word("INTO").then(|| cursor.position());
    let into = into_at.map(|_| cursor.object_name("the name of a table")).transpose()?;
    let columns = if into.is_some() { dml::columns(cursor)? } else { Vec::new() };
    let comment = comment(cursor)?;
    let (query, sql) = if cursor.word("FROM") {
        let position = cursor.position();
        all_of(&cursor.object_name("the name of a view or table")?, position)?
    } else {
        if !cursor.word("AS") {
            return Err(cursor.expected("AS or FROM"));
        }
        if !statements::begins_query(cursor) {
            return Err(cursor.expected("SELECT"));
        }
        cursor.query_before(|rest| outside::begins_emit(rest) || outside::begins_options(rest))?
    };
    let is_final = outside::emits_on_close(cursor)?;
    let mut options = if cursor.word("WITH") { options(cursor, Spelled::Bare)? } else { BTreeMap::new() };
    outside::format(cursor, &mut options)?;
    if !cursor.at_end() {
        return Err(cursor.expected("EMIT, WITH, FORMAT or end of statement"));
    }
    match (&into, options.contains_key("connector")) {
        (None, false) => {
            let error =
                SqlError::new(SqlError::INVALID_PARAMETER, format!("sink {name}: it is not said where its rows go"));
            return Err(error.with_hint("write WITH (connector = …), or INTO table").at(position));
        }
        (Some(_), true) => {
            let message = format!("sink {name}: its rows go INTO a table, or to a connector, not both");
            return Err(SqlError::new(SqlError::INVALID_PARAMETER, message).at(position));
        }
        _ => {}
    }
    let dialect = cursor.text.dialect.family;
    let made = Name::from(name.object.as_str());
    let view = View { name: made, columns: Vec::new(), sql, dialect, comment, temporary: false };
    let sink = Sink { view, into: None, columns, options, is_final, job: 0 };
    Ok(StatementKind::CreateSink { name, into, into_at, sink, query, if_not_exists: head.if_not_exists })
}

/// The query of all rows of what stands at `position`, in which it stands there too, and the text of it.
fn all_of(name: &Reference, position: TextPosition) -> Result<(Box<Query>, String), SqlError> {
    const SELECT: &str = "SELECT * FROM ";
    let name = name.to_sql();
    let TextPosition { line, column } = position;
    let columns = if line > 1 { column - 1 } else { column.saturating_sub(1 + SELECT.len()) };
    let there = format!("{SELECT}{}{}{name}", "\n".repeat(line - 1), " ".repeat(columns));
    Ok((super::parse_query(&there, Dialect::Flink)?, format!("{SELECT}{name}")))
}

fn view(cursor: &mut Cursor<'_>, head: &mut Head) -> Result<(Reference, View, Box<Query>), SqlError> {
    let name = head.name(cursor, "the name of the view")?;
    let columns = if cursor.symbol(&Token::LParen) { columns::view_names(cursor)? } else { Vec::new() };
    let comment = comment(cursor)?;
    cursor.expect_words(&["AS"])?;
    if !statements::begins_query(cursor) {
        return Err(cursor.expected("SELECT"));
    }
    let (query, sql) = cursor.query_before(outside::begins_emit)?;
    let dialect = cursor.text.dialect.family;
    let made = Name::from(name.object.as_str());
    let view = View { name: made, columns, sql, dialect, comment, temporary: head.temporary };
    Ok((name, view, query))
}

/// `DROP [TEMPORARY] {TABLE | SOURCE | SINK | INDEX | [MATERIALIZED] VIEW} [IF EXISTS] name, … [CASCADE | RESTRICT]`.
///
/// # Errors
/// A syntax error, or what is not supported.
pub(super) fn drop(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    let kinds: [(&[&str], _); 8] = [
        (&["DROP", "TABLE"], "table"),
        (&["DROP", "INDEX"], "index"),
        (&["DROP", "SINK"], "sink"),
        (&["DROP", "SOURCE"], "source"),
        (&["DROP", "TEMPORARY", "TABLE"], "table"),
        (&["DROP", "VIEW"], "view"),
        (&["DROP", "TEMPORARY", "VIEW"], "view"),
        (&["DROP", "MATERIALIZED", "VIEW"], "materialized view"),
    ];
    let Some((_, kind)) = kinds.into_iter().find(|(words, _)| cursor.words(words)) else {
        let refused = refuse::statement(cursor);
        if refused.sqlstate == SqlError::UNSUPPORTED {
            return Err(refused);
        }
        cursor.next();
        cursor.word("TEMPORARY");
        return Err(cursor.expected("TABLE, SOURCE or VIEW"));
    };
    let if_exists = cursor.words(&["IF", "EXISTS"]);
    let names = cursor.list(|cursor| cursor.object_name("a name"))?;
    let cascade = cursor.word("CASCADE");
    if !cascade {
        cursor.word("RESTRICT");
    }
    Ok(StatementKind::Drop { kind, names, if_exists, cascade })
}

/// `[COMMENT 'text']`.
pub(super) fn comment(cursor: &mut Cursor<'_>) -> Result<Option<String>, SqlError> {
    if cursor.word("COMMENT") { cursor.string("the comment as a string").map(Some) } else { Ok(None) }
}

/// How names and values of options may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelled {
    /// `'key' = 'value'`.
    InQuotes,
    /// Also `key.part = 7`.
    Bare,
}

/// `('key' = 'value', …)`.
pub(super) fn options(cursor: &mut Cursor<'_>, spelled: Spelled) -> Result<BTreeMap<String, String>, SqlError> {
    cursor.expect_symbol(&Token::LParen)?;
    let mut options = BTreeMap::new();
    if cursor.symbol(&Token::RParen) {
        return Ok(options);
    }
    loop {
        let position = cursor.position();
        let (key, value) = match spelled {
            Spelled::InQuotes => {
                let key = cursor.string("an option's name as a string")?;
                cursor.expect_symbol(&Token::Eq)?;
                (key, cursor.string("the option's value as a string").map_err(with_quotes)?)
            }
            Spelled::Bare => {
                let key = outside::option_name(cursor)?;
                cursor.expect_symbol(&Token::Eq)?;
                (key, outside::option_value(cursor)?)
            }
        };
        if options.insert(key.clone(), value).is_some() {
            let error = SqlError::new(SqlError::INVALID_PARAMETER, format!("option '{key}' is there twice"));
            return Err(error.at(position));
        }
        if cursor.symbol(&Token::RParen) {
            return Ok(options);
        }
        if !cursor.symbol(&Token::Comma) {
            return Err(cursor.expected("`,` or `)`"));
        }
    }
}

fn with_quotes(error: SqlError) -> SqlError {
    if error.hint.is_some() {
        error
    } else {
        error.with_hint("values of options are written in single quotes, numbers too")
    }
}

/// After LIKE: `name [({INCLUDING | EXCLUDING | OVERWRITING} part …)]`.
fn like(cursor: &mut Cursor<'_>) -> Result<Like, SqlError> {
    let source = cursor.object_name("the name of a table")?;
    let mut clauses = Vec::new();
    if cursor.symbol(&Token::LParen) {
        let modes = [
            ("INCLUDING", LikeMode::Including),
            ("EXCLUDING", LikeMode::Excluding),
            ("OVERWRITING", LikeMode::Overwriting),
        ];
        let parts = [
            ("ALL", LikePart::All),
            ("CONSTRAINTS", LikePart::Constraints),
            ("GENERATED", LikePart::Generated),
            ("METADATA", LikePart::Metadata),
            ("OPTIONS", LikePart::Options),
            ("PARTITIONS", LikePart::Partitions),
            ("WATERMARKS", LikePart::Watermarks),
        ];
        while !cursor.symbol(&Token::RParen) {
            let mode = one_of(cursor, &modes, "INCLUDING, EXCLUDING, OVERWRITING or `)`")?;
            let expected = "ALL, CONSTRAINTS, GENERATED, METADATA, OPTIONS, PARTITIONS or WATERMARKS";
            clauses.push((mode, one_of(cursor, &parts, expected)?));
        }
    }
    Ok(Like { source, among_columns: false, clauses })
}

/// After LIKE among columns: `name [{INCLUDING | EXCLUDING} part …]`.
pub(super) fn like_among_columns(cursor: &mut Cursor<'_>) -> Result<Like, SqlError> {
    let source = cursor.object_name("the name of a table")?;
    let modes = [("INCLUDING", LikeMode::Including), ("EXCLUDING", LikeMode::Excluding)];
    let parts = [
        ("ALL", LikePart::All),
        ("COMMENTS", LikePart::Comments),
        ("COMPRESSION", LikePart::Storage),
        ("CONSTRAINTS", LikePart::Constraints),
        ("DEFAULTS", LikePart::Defaults),
        ("GENERATED", LikePart::Generated),
        ("IDENTITY", LikePart::Storage),
        ("INDEXES", LikePart::Indexes),
        ("STATISTICS", LikePart::Storage),
        ("STORAGE", LikePart::Storage),
    ];
    let mut clauses = Vec::new();
    while let Some((_, mode)) = modes.into_iter().find(|(word, _)| cursor.word(word)) {
        let expected =
            "ALL, COMMENTS, COMPRESSION, CONSTRAINTS, DEFAULTS, GENERATED, IDENTITY, INDEXES, STATISTICS or STORAGE";
        clauses.push((mode, one_of(cursor, &parts, expected)?));
    }
    Ok(Like { source, among_columns: true, clauses })
}

fn one_of<T: Copy>(cursor: &mut Cursor<'_>, words: &[(&str, T)], expected: &str) -> Result<T, SqlError> {
    let found = words.iter().find(|(word, _)| cursor.word(word));
    found.map(|(_, meant)| *meant).ok_or_else(|| cursor.expected(expected))
}
