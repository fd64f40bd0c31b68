//! SHOW, DESCRIBE, SET, RESET, SUBSCRIBE.

use super::cursor::Cursor;
use super::{refuse, schemas};
use crate::SqlError;
use crate::statement::{Show, StatementKind, Subscribe};
use eddyline_catalog::Dialect;
use sqlparser::tokenizer::Token;

const SHOW_FORMS: &str = "there are SHOW TABLES, SCHEMAS, SOURCES, SINKS, INDEXES, VIEWS, MATERIALIZED VIEWS, CREATE TABLE t, CREATE VIEW v, COLUMNS FROM t, FUNCTIONS, CONNECTORS, CHECKPOINTS, JOBS and LOGS FOR JOB 'j'";
/// So many entries of a job's log are shown unless a LIMIT says otherwise.
const LOG_LINES: usize = 100;

/// `SHOW …`.
///
/// # Errors
/// A syntax error, or a list that does not exist.
pub(super) fn show(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    let begin = cursor.position();
    cursor.expect_words(&["SHOW"])?;
    let show = if cursor.word("TABLES") {
        let schema = match cursor.word("FROM") || cursor.word("IN") {
            true => Some(schemas::name(cursor, "the name of a schema")?),
            false => None,
        };
        let like = if cursor.word("LIKE") { Some(cursor.string("a pattern as a string")?) } else { None };
        Show::Tables { schema, like }
    } else if cursor.word("SCHEMAS") || (cursor.text.dialect.family == Dialect::Flink && cursor.word("DATABASES")) {
        Show::Schemas
    } else if cursor.word("DATABASES") {
        Show::Databases
    } else if cursor.word("VIEWS") {
        Show::Views
    } else if cursor.words(&["MATERIALIZED", "VIEWS"]) {
        Show::MaterializedViews
    } else if cursor.word("SOURCES") {
        Show::Sources
    } else if cursor.word("SINKS") {
        Show::Sinks
    } else if cursor.word("INDEXES") {
        let of = cursor.word("FROM") || cursor.word("ON") || cursor.word("IN");
        Show::Indexes(if of { Some(cursor.object_name("the name of a table or materialized view")?) } else { None })
    } else if cursor.words(&["CREATE", "INDEX"]) {
        Show::Create { kind: "index", name: cursor.object_name("the name of an index")? }
    } else if cursor.words(&["CREATE", "SINK"]) {
        Show::Create { kind: "sink", name: cursor.object_name("the name of a sink")? }
    } else if cursor.words(&["CREATE", "SOURCE"]) {
        Show::Create { kind: "source", name: cursor.object_name("the name of a source")? }
    } else if cursor.words(&["CREATE", "MATERIALIZED", "VIEW"]) {
        Show::Create { kind: "materialized view", name: cursor.object_name("the name of a materialized view")? }
    } else if cursor.words(&["CREATE", "TABLE"]) {
        Show::Create { kind: "table", name: cursor.object_name("the name of a table")? }
    } else if cursor.words(&["CREATE", "VIEW"]) {
        Show::Create { kind: "view", name: cursor.object_name("the name of a view")? }
    } else if cursor.word("FUNCTIONS") {
        Show::Functions
    } else if cursor.words(&["COLUMNS", "FROM"]) || cursor.words(&["COLUMNS", "IN"]) {
        Show::Columns(cursor.object_name("the name of a table or view")?)
    } else if cursor.word("CONNECTORS") {
        Show::Connectors
    } else if cursor.word("CHECKPOINTS") {
        let job = match cursor.words(&["FOR", "JOB"]) || cursor.word("FOR") {
            true => Some(cursor.string("the name of a job as a string")?),
            false => None,
        };
        let location = match cursor.word("IN") {
            true => Some(cursor.string("a directory or URL as a string")?),
            false => None,
        };
        Show::Checkpoints { job, location }
    } else if cursor.word("JOBS") {
        Show::Jobs
    } else if cursor.words(&["LOGS", "FOR", "JOB"]) || cursor.words(&["LOGS", "FOR"]) {
        let job = cursor.string("the name or the id of a job as a string")?;
        let rows_max = if cursor.word("LIMIT") { cursor.count("a number of lines")? } else { LOG_LINES };
        Show::Logs { job, rows_max }
    } else if matches!(&cursor.peek().token, Token::Word(_)) {
        let what = cursor.peek().token.to_string().to_uppercase();
        return Err(refuse::unsupported(&format!("SHOW {what}"), SHOW_FORMS).at(begin));
    } else {
        return Err(cursor.expected("what to show").with_hint(SHOW_FORMS));
    };
    if !cursor.at_end() && ["FROM", "IN", "LIKE", "NOT", "ILIKE"].iter().any(|w| cursor.peek_word(w)) {
        let what = format!("{} here", cursor.peek().token.to_string().to_uppercase());
        return Err(refuse::unsupported(&what, "SHOW TABLES LIKE 'pattern' is").at(cursor.position()));
    }
    Ok(StatementKind::Show(show))
}

/// `DESCRIBE|DESC [TABLE] name`.
///
/// # Errors
/// A syntax error.
pub(super) fn describe(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    cursor.next();
    cursor.word("EXTENDED");
    cursor.word("TABLE");
    Ok(StatementKind::Describe(cursor.object_name("the name of a table or view")?))
}

/// `SET`, `SET 'key' = 'value'`, `SET key = value`.
///
/// # Errors
/// A syntax error.
pub(super) fn set(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    cursor.expect_words(&["SET"])?;
    if cursor.at_end() {
        return Ok(StatementKind::ShowSettings);
    }
    let key = key(cursor)?;
    if !cursor.symbol(&Token::Eq) {
        return Err(cursor.expected("`=`").with_hint("write SET 'key' = 'value'"));
    }
    if cursor.at_end() {
        return Err(cursor.expected("a value").with_hint("write SET 'key' = 'value'; RESET 'key' takes a value back"));
    }
    let value = match &cursor.peek().token {
        Token::SingleQuotedString(_) => cursor.string("a value")?,
        Token::Word(w) if w.quote_style.is_some() => cursor.string("a value")?,
        _ => {
            let begin = cursor.begin();
            while !cursor.at_end() {
                cursor.next();
            }
            cursor.text_since(begin).trim().to_owned()
        }
    };
    Ok(StatementKind::Set { key, value })
}

/// `RESET`, `RESET 'key'`.
///
/// # Errors
/// A syntax error.
pub(super) fn reset(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    cursor.expect_words(&["RESET"])?;
    if cursor.at_end() {
        return Ok(StatementKind::Reset(None));
    }
    Ok(StatementKind::Reset(Some(key(cursor)?)))
}

/// `SUBSCRIBE [TO] name [WITH (snapshot [= {true | false}])]`.
///
/// # Errors
/// A syntax error, or what is not supported.
pub(super) fn subscribe(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    cursor.expect_words(&["SUBSCRIBE"])?;
    cursor.word("TO");
    let position = cursor.position();
    if cursor.peek().token == Token::LParen {
        let hint = "CREATE MATERIALIZED VIEW v AS the query, and SUBSCRIBE TO v";
        return Err(refuse::unsupported("SUBSCRIBE to a query", hint).at(position));
    }
    let name = cursor.object_name("the name of a table or materialized view")?;
    let mut snapshot = true;
    if cursor.word("WITH") {
        cursor.expect_symbol(&Token::LParen)?;
        let place = cursor.position();
        if !cursor.word("SNAPSHOT") {
            return Err(refuse::unsupported("this option of SUBSCRIBE", "there is WITH (snapshot = false)").at(place));
        }
        if cursor.symbol(&Token::Eq) {
            snapshot = cursor.word("TRUE");
            if !snapshot && !cursor.word("FALSE") {
                return Err(cursor.expected("true or false"));
            }
        }
        cursor.expect_symbol(&Token::RParen)?;
    }
    if ["AS", "UP", "ENVELOPE", "WITHIN"].iter().any(|w| cursor.peek_word(w)) {
        let what = format!("{} in SUBSCRIBE", cursor.peek().token.to_string().to_uppercase());
        let hint = "it begins now, tells of changes with weights, and ends when it is cancelled";
        return Err(refuse::unsupported(&what, hint).at(cursor.position()));
    }
    Ok(StatementKind::Subscribe(Subscribe { name, position, snapshot }))
}

/// A key as a string, or bare with dots and dashes.
fn key(cursor: &mut Cursor<'_>) -> Result<String, SqlError> {
    if !matches!(&cursor.peek().token, Token::Word(w) if w.quote_style.is_none()) {
        return cursor.string("the key of a setting");
    }
    let begin = cursor.begin();
    cursor.next();
    while matches!(cursor.peek().token, Token::Period | Token::Minus) {
        cursor.next();
        cursor.identifier("the rest of the key")?;
    }
    Ok(cursor.text_since(begin).split_whitespace().collect())
}
