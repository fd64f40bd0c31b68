//! CREATE, DROP, ALTER SCHEMA; CREATE, DROP DATABASE; USE.
//!
//! What Flink calls a database is a schema here: a catalog of Flink, which has databases, is the database that one is connected to.

use super::cursor::Cursor;
use super::refuse;
use crate::SqlError;
use crate::statement::{DatabaseStatement, SchemaStatement, StatementKind};
use eddyline_catalog::{Dialect, PUBLIC};
use sqlparser::tokenizer::Token;

/// Flink's name of the schema that is there from the start.
const DEFAULT_DATABASE: &str = "default_database";

/// Does a statement about schemas come next, behind `verb`?
pub(super) fn begins(cursor: &Cursor<'_>, verb: &str) -> bool {
    cursor.peek_words(&[verb, "SCHEMA"])
        || (cursor.text.dialect.family == Dialect::Flink && cursor.peek_words(&[verb, "DATABASE"]))
}

/// `CREATE SCHEMA [IF NOT EXISTS] name`.
///
/// # Errors
/// A syntax error.
pub(super) fn create(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    (0..2).for_each(|_| drop(cursor.next()));
    let if_not_exists = cursor.words(&["IF", "NOT", "EXISTS"]);
    let name = name(cursor, "the name of the schema")?;
    if ["COMMENT", "WITH", "AUTHORIZATION"].iter().any(|word| cursor.peek_word(word)) {
        let what = format!("{} of a schema", cursor.peek().token.to_string().to_uppercase());
        return Err(refuse::unsupported(&what, "leave it out").at(cursor.position()));
    }
    Ok(StatementKind::Schema(SchemaStatement::Create { name, if_not_exists }))
}

/// `DROP SCHEMA [IF EXISTS] name, … [CASCADE | RESTRICT]`.
///
/// # Errors
/// A syntax error.
pub(super) fn drop_all(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    (0..2).for_each(|_| drop(cursor.next()));
    let if_exists = cursor.words(&["IF", "EXISTS"]);
    let names = cursor.list(|cursor| name(cursor, "the name of a schema"))?;
    let cascade = cursor.word("CASCADE");
    if !cascade {
        cursor.word("RESTRICT");
    }
    Ok(StatementKind::Schema(SchemaStatement::Drop { names, if_exists, cascade }))
}

/// `ALTER SCHEMA name RENAME TO name`.
///
/// # Errors
/// A syntax error, or what is not supported.
pub(super) fn alter(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    (0..2).for_each(|_| drop(cursor.next()));
    let old = name(cursor, "the name of a schema")?;
    if !cursor.words(&["RENAME", "TO"]) {
        return Err(cursor.expected("RENAME TO"));
    }
    let to = name(cursor, "the new name")?;
    Ok(StatementKind::Schema(SchemaStatement::Rename { name: old, to }))
}

/// `CREATE DATABASE [IF NOT EXISTS] name`.
///
/// # Errors
/// A syntax error, or what is not supported.
pub(super) fn create_database(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    (0..2).for_each(|_| drop(cursor.next()));
    let if_not_exists = cursor.words(&["IF", "NOT", "EXISTS"]);
    let name = cursor.identifier("the name of the database")?.value;
    no_options(cursor)?;
    Ok(StatementKind::Database(DatabaseStatement::Create { name, if_not_exists }))
}

/// `DROP DATABASE [IF EXISTS] name`.
///
/// # Errors
/// A syntax error, or what is not supported.
pub(super) fn drop_database(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    (0..2).for_each(|_| drop(cursor.next()));
    let if_exists = cursor.words(&["IF", "EXISTS"]);
    let name = cursor.identifier("the name of the database")?.value;
    no_options(cursor)?;
    Ok(StatementKind::Database(DatabaseStatement::Drop { name, if_exists }))
}

fn no_options(cursor: &Cursor<'_>) -> Result<(), SqlError> {
    if cursor.at_end() {
        return Ok(());
    }
    let what = format!("{} of a database", cursor.peek().token.to_string().to_uppercase());
    Err(refuse::unsupported(&what, "leave it out").at(cursor.position()))
}

/// Flink's `USE [catalog.]database`.
///
/// # Errors
/// A syntax error; Postgres has none.
pub(super) fn use_schema(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    let position = cursor.position();
    cursor.next();
    if cursor.text.dialect.family == Dialect::Postgres {
        let hint = "SET search_path = s looks for names in schema s; psql's \\c d connects to database d";
        return Err(refuse::unsupported("USE", hint).at(position));
    }
    if ["CATALOG", "MODULES"].iter().any(|word| cursor.peek_word(word)) {
        let what = format!("USE {}", cursor.peek().token.to_string().to_uppercase());
        return Err(refuse::unsupported(&what, "there is one catalog: leave the statement out").at(position));
    }
    if cursor.peek_words(&["DEFAULT_CATALOG"]) && cursor.peek_nth(1).token == Token::Period {
        (0..2).for_each(|_| drop(cursor.next()));
    }
    let name = name(cursor, "the name of a database")?;
    Ok(StatementKind::Schema(SchemaStatement::Use { name }))
}

/// The name of a schema, in either spelling of the one that is there from the start.
pub(super) fn name(cursor: &mut Cursor<'_>, what: &str) -> Result<String, SqlError> {
    let name = cursor.identifier(what)?.value;
    Ok(if name == DEFAULT_DATABASE { PUBLIC.to_owned() } else { name })
}
