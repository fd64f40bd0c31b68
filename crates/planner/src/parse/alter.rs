//! ALTER TABLE, ALTER [MATERIALIZED] VIEW, COMMENT ON.

use super::columns::Elements;
use super::cursor::Cursor;
use super::{refuse, schemas};
use crate::SqlError;
use crate::statement::{Alter, ColumnChange, Comment, NameChange, StatementKind};
use sqlparser::tokenizer::Token;

const KINDS: &str =
    "ALTER TABLE, ALTER SOURCE, ALTER SINK, ALTER INDEX, ALTER VIEW and ALTER MATERIALIZED VIEW are there";
const CHANGES: &str = "there are ADD, DROP, RENAME [COLUMN] a TO b, ALTER COLUMN a {SET DEFAULT x | DROP DEFAULT}, RENAME TO, SET SCHEMA, SWAP WITH";

/// `ALTER INDEX [IF EXISTS] name RENAME TO other`, `ALTER {TABLE | SOURCE | SINK | [MATERIALIZED] VIEW} [IF EXISTS] name {RENAME TO other | SWAP WITH other | …}`.
///
/// # Errors
/// A syntax error, or what is not supported.
pub(super) fn alter(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    cursor.expect_words(&["ALTER"])?;
    let kinds: [(&[&str], _); 6] = [
        (&["TABLE"], "table"),
        (&["SOURCE"], "source"),
        (&["SINK"], "sink"),
        (&["INDEX"], "index"),
        (&["VIEW"], "view"),
        (&["MATERIALIZED", "VIEW"], "materialized view"),
    ];
    let Some((_, kind)) = kinds.into_iter().find(|(words, _)| cursor.words(words)) else {
        let what = format!("ALTER {}", cursor.peek().token.to_string().to_uppercase());
        return Err(refuse::unsupported(what.trim_end(), KINDS).at(cursor.position()));
    };
    let if_exists = cursor.words(&["IF", "EXISTS"]);
    let position = cursor.position();
    let name = cursor.object_name("a name")?;
    let change = if cursor.words(&["RENAME", "TO"]) {
        NameChange::To(cursor.object_name("the new name")?)
    } else if kind == "index" {
        let hint = "an index is in the schema of its table; DROP INDEX it and create it anew";
        return Err(cursor.expected("RENAME TO").with_hint(hint));
    } else if cursor.words(&["SWAP", "WITH"]) {
        NameChange::Swap(cursor.object_name("the name of the other one")?)
    } else if cursor.words(&["SET", "SCHEMA"]) {
        NameChange::Schema(schemas::name(cursor, "the name of a schema")?)
    } else if ["table", "source"].contains(&kind) {
        NameChange::Columns(column_changes(cursor)?)
    } else {
        let hint = format!("the columns of a {kind} are those of its query: DROP it and create it anew");
        return Err(cursor.expected("RENAME TO, SET SCHEMA or SWAP WITH").with_hint(hint));
    };
    Ok(StatementKind::Alter(Alter { kind, name, position, if_exists, change }))
}

/// `COMMENT ON {TABLE t | SOURCE s | SINK k | INDEX i | [MATERIALIZED] VIEW v | COLUMN t.c} IS {'text' | NULL}`.
///
/// # Errors
/// A syntax error, or what is not supported.
pub(super) fn comment(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    cursor.expect_words(&["COMMENT", "ON"])?;
    let kinds: [(&[&str], _); 7] = [
        (&["TABLE"], "table"),
        (&["SOURCE"], "source"),
        (&["SINK"], "sink"),
        (&["INDEX"], "index"),
        (&["VIEW"], "view"),
        (&["MATERIALIZED", "VIEW"], "materialized view"),
        (&["COLUMN"], "column"),
    ];
    let Some((_, kind)) = kinds.into_iter().find(|(words, _)| cursor.words(words)) else {
        let what = format!("COMMENT ON {}", cursor.peek().token.to_string().to_uppercase());
        let hint = "tables, sources, their columns, sinks, indexes, views and materialized views have comments";
        return Err(refuse::unsupported(what.trim_end(), hint).at(cursor.position()));
    };
    let position = cursor.position();
    let (name, column) = match kind {
        "column" => cursor.column_name().map(|(table, column)| (table, Some(column)))?,
        _ => (cursor.object_name("a name")?, None),
    };
    cursor.expect_words(&["IS"])?;
    let comment = if cursor.word("NULL") { None } else { Some(cursor.string("the comment as a string, or NULL")?) };
    let kind = if column.is_some() { "table" } else { kind };
    Ok(StatementKind::Comment(Comment { kind, name, position, column, comment }))
}

fn column_changes(cursor: &mut Cursor<'_>) -> Result<Vec<ColumnChange>, SqlError> {
    let several = cursor.list(|cursor| {
        let position = cursor.position();
        if cursor.word("ADD") {
            cursor.word("COLUMN");
            let if_not_exists = cursor.words(&["IF", "NOT", "EXISTS"]);
            let add = |cursor: &mut Cursor<'_>| {
                let position = cursor.position();
                Ok(ColumnChange::Add { column: Elements::added(cursor)?, position, if_not_exists })
            };
            return in_brackets(cursor, add);
        }
        if cursor.word("DROP") {
            cursor.word("COLUMN");
            let if_exists = cursor.words(&["IF", "EXISTS"]);
            return in_brackets(cursor, |cursor| {
                let position = cursor.position();
                let column = cursor.identifier("the name of a column")?.value;
                let cascade = cursor.word("CASCADE");
                if !cascade {
                    cursor.word("RESTRICT");
                }
                Ok(ColumnChange::Drop { column, position, if_exists, cascade })
            });
        }
        if cursor.word("RENAME") {
            cursor.word("COLUMN");
            let position = cursor.position();
            let column = cursor.identifier("the name of a column")?.value;
            cursor.expect_words(&["TO"])?;
            let to = cursor.identifier("the new name of the column")?.value;
            return Ok(vec![ColumnChange::Rename { column, position, to }]);
        }
        if cursor.word("ALTER") {
            cursor.word("COLUMN");
            return default_change(cursor).map(|change| vec![change]);
        }
        match &cursor.peek().token {
            Token::Word(word) if word.quote_style.is_none() => {
                let what = format!("ALTER TABLE … {}", word.value.to_uppercase());
                Err(refuse::unsupported(&what, CHANGES).at(position))
            }
            _ => Err(cursor.expected("what to change").with_hint(CHANGES)),
        }
    })?;
    Ok(several.into_iter().flatten().collect())
}

/// One, or several in brackets.
fn in_brackets(
    cursor: &mut Cursor<'_>,
    mut one: impl FnMut(&mut Cursor<'_>) -> Result<ColumnChange, SqlError>,
) -> Result<Vec<ColumnChange>, SqlError> {
    if !cursor.symbol(&Token::LParen) {
        return Ok(vec![one(cursor)?]);
    }
    let all = cursor.list(&mut one)?;
    match cursor.symbol(&Token::RParen) {
        true => Ok(all),
        false => Err(cursor.expected("`,` or `)`")),
    }
}

/// After `ALTER COLUMN`: `name {SET DEFAULT expression | DROP DEFAULT}`.
fn default_change(cursor: &mut Cursor<'_>) -> Result<ColumnChange, SqlError> {
    let position = cursor.position();
    let column = cursor.identifier("the name of a column")?.value;
    let default = if cursor.words(&["SET", "DEFAULT"]) {
        let from = cursor.begin();
        cursor.expression()?;
        Some(cursor.text_since(from).to_owned())
    } else if cursor.words(&["DROP", "DEFAULT"]) {
        None
    } else {
        let hint = "type and NULLs of a column stay: ADD another one, UPDATE it and DROP this one";
        return Err(refuse::unsupported("ALTER COLUMN of more than its DEFAULT", hint).at(position));
    };
    Ok(ColumnChange::Default { column, position, default })
}
