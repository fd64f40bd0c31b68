//! CREATE TABLE, CREATE VIEW, DROP.

use super::columns::{self, Elements};
use super::cursor::Cursor;
use super::{refuse, statements};
use crate::SqlError;
use crate::statement::{Like, LikeMode, LikePart, Query, StatementKind};
use eddyline_catalog::{Name, Reference, Table, View};
use sqlparser::tokenizer::Token;
use std::collections::BTreeMap;

/// `CREATE [OR REPLACE] [TEMPORARY] {TABLE | VIEW} …`, `CREATE MATERIALIZED VIEW …`.
///
/// # Errors
/// A syntax error, what is not supported, or a definition that contradicts itself.
pub(super) fn create(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    if cursor.words(&["CREATE", "MATERIALIZED", "VIEW"]) {
        return create_materialized_view(cursor);
    }
    // Only what is refused is longer than these.
    let or_replace = usize::from(cursor.peek_words(&["CREATE", "OR", "REPLACE"])) * 2;
    let temporary = usize::from(super::script::is_word(&cursor.peek_nth(1 + or_replace).token, "TEMPORARY"));
    let what = &cursor.peek_nth(1 + or_replace + temporary).token;
    let (table, view) = (super::script::is_word(what, "TABLE"), super::script::is_word(what, "VIEW"));
    if !table && !view {
        let refused = refuse::statement(cursor);
        if refused.sqlstate == SqlError::UNSUPPORTED {
            return Err(refused);
        }
        (0..1 + or_replace + temporary).for_each(|_| drop_token(cursor));
        return Err(cursor.expected("TABLE or VIEW"));
    }
    (0..2 + or_replace + temporary).for_each(|_| drop_token(cursor));
    let head = Head { or_replace: or_replace > 0, temporary: temporary > 0, if_not_exists: false };
    if table { create_table(cursor, head) } else { create_view(cursor, head) }
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
    let (elements, listed) = match cursor.symbol(&Token::LParen) {
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
    let options = if cursor.word("WITH") { options(cursor)? } else { BTreeMap::new() };
    let like = if cursor.word("LIKE") { Some(like(cursor)?) } else { None };
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
    let is_kept = like.is_none() && !options.contains_key("connector");
    let (columns, primary_key, watermark) = elements.finish(complete, is_kept)?;
    let dialect = cursor.text.dialect.family;
    let made = Name::from(name.object.as_str());
    let table =
        Table { name: made, columns, primary_key, watermark, options, comment, temporary: head.temporary, dialect };
    Ok(StatementKind::CreateTable {
        name,
        table,
        if_not_exists: head.if_not_exists,
        or_replace: head.or_replace,
        like,
        query,
    })
}

fn create_view(cursor: &mut Cursor<'_>, mut head: Head) -> Result<StatementKind, SqlError> {
    let (name, view, query) = view(cursor, &mut head)?;
    Ok(StatementKind::CreateView { name, view, query, if_not_exists: head.if_not_exists, or_replace: head.or_replace })
}

fn create_materialized_view(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    let mut head = Head { or_replace: false, temporary: false, if_not_exists: false };
    let (name, view, query) = view(cursor, &mut head)?;
    if cursor.peek_words(&["EMIT"]) {
        let hint =
            "a materialized view holds what is known so far; windows that are closed are rows that change no more";
        return Err(refuse::unsupported("EMIT", hint).at(cursor.position()));
    }
    Ok(StatementKind::CreateMaterializedView { name, view, query, if_not_exists: head.if_not_exists })
}

fn view(cursor: &mut Cursor<'_>, head: &mut Head) -> Result<(Reference, View, Box<Query>), SqlError> {
    let name = head.name(cursor, "the name of the view")?;
    let columns = if cursor.symbol(&Token::LParen) { columns::view_names(cursor)? } else { Vec::new() };
    let comment = comment(cursor)?;
    cursor.expect_words(&["AS"])?;
    let begin = cursor.begin();
    if !statements::begins_query(cursor) {
        return Err(cursor.expected("SELECT"));
    }
    let query = cursor.query()?;
    let sql = cursor.text_since(begin).to_owned();
    let dialect = cursor.text.dialect.family;
    let made = Name::from(name.object.as_str());
    let view = View { name: made, columns, sql, dialect, comment, temporary: head.temporary };
    Ok((name, view, query))
}

/// `DROP [TEMPORARY] {TABLE | [MATERIALIZED] VIEW} [IF EXISTS] name [CASCADE | RESTRICT]`.
///
/// # Errors
/// A syntax error, or what is not supported.
pub(super) fn drop(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    let kinds: [(&[&str], _); 5] = [
        (&["DROP", "TABLE"], "table"),
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
        return Err(cursor.expected("TABLE or VIEW"));
    };
    let if_exists = cursor.words(&["IF", "EXISTS"]);
    let name = cursor.object_name("a name")?;
    let cascade = cursor.word("CASCADE");
    if !cascade {
        cursor.word("RESTRICT");
    }
    Ok(StatementKind::Drop { kind, name, if_exists, cascade })
}

/// `[COMMENT 'text']`.
pub(super) fn comment(cursor: &mut Cursor<'_>) -> Result<Option<String>, SqlError> {
    if cursor.word("COMMENT") { cursor.string("the comment as a string").map(Some) } else { Ok(None) }
}

/// `('key' = 'value', …)`.
fn options(cursor: &mut Cursor<'_>) -> Result<BTreeMap<String, String>, SqlError> {
    cursor.expect_symbol(&Token::LParen)?;
    let mut options = BTreeMap::new();
    if cursor.symbol(&Token::RParen) {
        return Ok(options);
    }
    loop {
        let position = cursor.position();
        let key = cursor.string("an option's name as a string")?;
        cursor.expect_symbol(&Token::Eq)?;
        let value = cursor.string("the option's value as a string").map_err(with_quotes)?;
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
        while !cursor.symbol(&Token::RParen) {
            clauses.push(like_clause(cursor)?);
        }
    }
    Ok(Like { source, clauses })
}

fn like_clause(cursor: &mut Cursor<'_>) -> Result<(LikeMode, LikePart), SqlError> {
    let modes = [
        ("INCLUDING", LikeMode::Including),
        ("EXCLUDING", LikeMode::Excluding),
        ("OVERWRITING", LikeMode::Overwriting),
    ];
    let Some((_, mode)) = modes.into_iter().find(|(w, _)| cursor.word(w)) else {
        return Err(cursor.expected("INCLUDING, EXCLUDING, OVERWRITING or `)`"));
    };
    let parts = [
        ("ALL", LikePart::All),
        ("CONSTRAINTS", LikePart::Constraints),
        ("GENERATED", LikePart::Generated),
        ("METADATA", LikePart::Metadata),
        ("OPTIONS", LikePart::Options),
        ("PARTITIONS", LikePart::Partitions),
        ("WATERMARKS", LikePart::Watermarks),
    ];
    match parts.into_iter().find(|(w, _)| cursor.word(w)) {
        Some((_, part)) => Ok((mode, part)),
        None => Err(cursor.expected("ALL, CONSTRAINTS, GENERATED, METADATA, OPTIONS, PARTITIONS or WATERMARKS")),
    }
}
