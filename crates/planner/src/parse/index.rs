//! CREATE INDEX.

use super::cursor::Cursor;
use super::{ddl, refuse};
use crate::statement::{CreateIndex, StatementKind};
use crate::{SqlError, TextPosition};
use eddyline_catalog::{IndexColumn, Unique};
use sqlparser::tokenizer::Token;

/// Does `CREATE [UNIQUE] INDEX` come next?
pub(super) fn begins(cursor: &Cursor<'_>) -> bool {
    cursor.peek_words(&["CREATE", "INDEX"]) || cursor.peek_words(&["CREATE", "UNIQUE", "INDEX"])
}

/// `CREATE [UNIQUE] INDEX [[IF NOT EXISTS] name] ON table [USING btree] (column [ASC | DESC] [NULLS {FIRST | LAST}], …) [INCLUDE (column, …)]
/// [NULLS [NOT] DISTINCT] [COMMENT 'text']`.
///
/// # Errors
/// A syntax error, or what is not supported.
pub(super) fn create(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    cursor.expect_words(&["CREATE"])?;
    let is_unique = cursor.word("UNIQUE");
    cursor.expect_words(&["INDEX"])?;
    if cursor.peek_word("CONCURRENTLY") {
        let hint = "leave it out: readers wait for no CREATE INDEX, and writers only for its last step";
        return Err(refuse::unsupported("CREATE INDEX CONCURRENTLY", hint).at(cursor.position()));
    }
    let if_not_exists = cursor.words(&["IF", "NOT", "EXISTS"]);
    let name = match cursor.peek_word("ON") {
        true if if_not_exists => return Err(cursor.expected("the name of the index")),
        true => None,
        false => Some(cursor.object_name("the name of the index, or ON")?),
    };
    cursor.expect_words(&["ON"])?;
    let position = cursor.position();
    let table = cursor.object_name("the name of a table or materialized view")?;
    let method = cursor.position();
    if cursor.word("USING") {
        let name = cursor.identifier("a method")?.value;
        if !name.eq_ignore_ascii_case("btree") {
            let hint = "an index is an order of the rows, which is btree: leave USING out";
            return Err(refuse::unsupported(&format!("USING {name}"), hint).at(method));
        }
    }
    let columns = in_brackets(cursor, ordered_column)?;
    let included = if cursor.word("INCLUDE") { in_brackets(cursor, plain_column)? } else { Vec::new() };
    let unique =
        if is_unique { Some(Unique { nulls_distinct: nulls_distinct(cursor), is_constraint: false }) } else { None };
    let comment = ddl::comment(cursor)?;
    for (word, hint) in [
        (
            "WHERE",
            "an index has all rows: leave WHERE out, or CREATE MATERIALIZED VIEW of these rows and an index on that",
        ),
        ("DISTRIBUTED", "leave it out: an index is on the machine of its table"),
        ("WITH", "leave it out: there are no parameters of storage"),
        ("TABLESPACE", "leave it out"),
        ("NULLS", "it belongs to CREATE UNIQUE INDEX"),
    ] {
        if cursor.peek_word(word) {
            return Err(refuse::unsupported(&format!("{word} of an index"), hint).at(cursor.position()));
        }
    }
    if !cursor.at_end() {
        return Err(cursor.expected("INCLUDE, COMMENT or end of statement"));
    }
    Ok(StatementKind::CreateIndex(CreateIndex {
        name,
        table,
        position,
        columns,
        included,
        unique,
        comment,
        if_not_exists,
    }))
}

/// `[NULLS [NOT] DISTINCT]`: are rows with a NULL like no other?
pub(super) fn nulls_distinct(cursor: &mut Cursor<'_>) -> bool {
    !cursor.words(&["NULLS", "NOT", "DISTINCT"]) && {
        cursor.words(&["NULLS", "DISTINCT"]);
        true
    }
}

fn in_brackets<T>(
    cursor: &mut Cursor<'_>,
    one: impl FnMut(&mut Cursor<'_>) -> Result<T, SqlError>,
) -> Result<Vec<T>, SqlError> {
    cursor.expect_symbol(&Token::LParen)?;
    let all = cursor.list(one)?;
    match cursor.symbol(&Token::RParen) {
        true => Ok(all),
        false => Err(cursor.expected("`,` or `)`")),
    }
}

fn plain_column(cursor: &mut Cursor<'_>) -> Result<(String, TextPosition), SqlError> {
    let position = cursor.position();
    if cursor.peek().token == Token::LParen || cursor.peek_nth(1).token == Token::LParen {
        let hint = "CREATE MATERIALIZED VIEW that computes it as a column, and an index on that";
        return Err(refuse::unsupported("an index on an expression", hint).at(position));
    }
    Ok((cursor.identifier("the name of a column")?.value, position))
}

fn ordered_column(cursor: &mut Cursor<'_>) -> Result<(IndexColumn, TextPosition), SqlError> {
    let (name, position) = plain_column(cursor)?;
    let after = cursor.position();
    let descending = cursor.word("DESC");
    if !descending {
        cursor.word("ASC");
    }
    let nulls_first = if cursor.words(&["NULLS", "FIRST"]) {
        true
    } else if cursor.words(&["NULLS", "LAST"]) {
        false
    } else {
        descending
    };
    if !matches!(cursor.peek().token, Token::Comma | Token::RParen) {
        let hint = "there are ASC, DESC, NULLS FIRST and NULLS LAST; every type has one order";
        return Err(refuse::unsupported("what is said of a column of the index", hint).at(after));
    }
    Ok((IndexColumn { name, descending, nulls_first }, position))
}
