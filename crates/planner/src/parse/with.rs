//! `WITH name AS (query), … INSERT`, `UPDATE`, `DELETE`: the queries are those of what the statement reads.

use super::cursor::Cursor;
use super::{dml, refuse, script};
use crate::SqlError;
use crate::statement::StatementKind;
use sqlparser::ast::With;
use sqlparser::tokenizer::Token;

/// The statements that may stand behind WITH.
const CHANGES: [&str; 3] = ["INSERT", "UPDATE", "DELETE"];

/// Does a statement come next that begins with WITH, and changes rows?
pub(super) fn begins_change(cursor: &Cursor<'_>) -> bool {
    cursor.peek_word("WITH") && changes_at(cursor).is_some()
}

/// How many tokens stand before the statement: it is the first word outside of brackets that begins one.
fn changes_at(cursor: &Cursor<'_>) -> Option<usize> {
    let mut depth = 0_usize;
    for at in 0.. {
        match &cursor.peek_nth(at).token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::EOF | Token::SemiColon => return None,
            token if depth == 0 && script::is_word(token, "SELECT") => return None,
            // Behind the queries, and not the name of one.
            token if depth == 0 && CHANGES.iter().any(|word| script::is_word(token, word)) => {
                let is_behind = at > 0 && cursor.peek_nth(at - 1).token == Token::RParen;
                if is_behind && !script::is_word(&cursor.peek_nth(at + 1).token, "AS") {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// `WITH …` and what follows it.
///
/// # Errors
/// A syntax error, or what is not supported.
pub(super) fn change(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    let count = changes_at(cursor).unwrap_or_default();
    let with = cursor.with(count)?;
    let kind = match &cursor.peek().token {
        token if script::is_word(token, "INSERT") => StatementKind::Insert(dml::insert(cursor)?),
        token if script::is_word(token, "UPDATE") => dml::update(cursor)?,
        _ => dml::delete(cursor)?,
    };
    Ok(match kind {
        StatementKind::Insert(mut insert) => {
            let own = insert.query.with.take();
            insert.query.with = Some(joined(with, own)?);
            StatementKind::Insert(insert)
        }
        StatementKind::Update(update) => StatementKind::Update(update.with_queries(with)),
        StatementKind::Delete(delete) => StatementKind::Delete(delete.with_queries(with)),
        other => other,
    })
}

/// The queries around, then those of the query itself, which may read them.
fn joined(mut around: With, own: Option<With>) -> Result<With, SqlError> {
    let Some(own) = own else { return Ok(around) };
    let name = |with: &With| with.cte_tables.iter().map(|cte| cte.alias.name.value.clone()).collect::<Vec<_>>();
    if let Some(twice) = name(&own).into_iter().find(|n| name(&around).contains(n)) {
        let hint = "give one of them another name";
        return Err(refuse::unsupported(&format!("WITH of two queries that are called {twice}"), hint));
    }
    around.recursive |= own.recursive;
    around.cte_tables.extend(own.cte_tables);
    Ok(around)
}
