//! INSERT and statement sets, UPDATE, DELETE, TRUNCATE.

use super::cursor::Cursor;
use super::{refuse, statements};
use crate::SqlError;
use crate::TextPosition;
use crate::statement::{Conflict, ConflictKey, Delete, Insert, StatementKind, Update, excluded};
use eddyline_catalog::Reference;
use sqlparser::ast::{Expr, Ident, Query, Visit, Visitor, visit_expressions_mut};
use sqlparser::tokenizer::Token;
use std::ops::ControlFlow;

/// `INSERT INTO [TABLE] name [(columns)] query [ON CONFLICT [(columns)] DO …] [RETURNING …]`.
///
/// # Errors
/// A syntax error, or what is not supported.
pub(super) fn insert(cursor: &mut Cursor<'_>) -> Result<Insert, SqlError> {
    let begin = cursor.position();
    cursor.expect_words(&["INSERT"])?;
    if cursor.peek_word("OVERWRITE") {
        return Err(refuse::unsupported("INSERT OVERWRITE", "write INSERT INTO").at(begin));
    }
    cursor.expect_words(&["INTO"])?;
    cursor.word("TABLE");
    let position = cursor.position();
    let table = cursor.object_name("the name of a table")?;
    if cursor.peek_word("PARTITION") {
        let error = refuse::unsupported("PARTITION in INSERT", "write the values as columns of the query");
        return Err(error.at(cursor.position()));
    }
    let columns = columns(cursor)?;
    if !statements::begins_query(cursor) {
        return Err(cursor.expected("SELECT or VALUES"));
    }
    let query = cursor.query()?;
    let OnConflict { conflict, key, update } = conflict(cursor, (&table, position))?;
    let returning = returning(cursor, &table)?;
    Ok(Insert { table, position, columns, query, conflict, key, update, returning })
}

/// `[RETURNING expression [AS name], …]`.
fn returning(cursor: &mut Cursor<'_>, table: &Reference) -> Result<Option<Box<Query>>, SqlError> {
    let position = cursor.position();
    if !cursor.word("RETURNING") {
        return Ok(None);
    }
    let query = cursor.returning(table)?;
    match has_subquery(&query) {
        false => Ok(Some(query)),
        true => Err(refuse::unsupported("a subquery in RETURNING", "SELECT it by a statement of its own").at(position)),
    }
}

/// Is there a query within the query?
fn has_subquery(query: &Query) -> bool {
    struct Count(usize);
    impl Visitor for Count {
        type Break = ();

        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.0 += 1;
            ControlFlow::Continue(())
        }
    }
    let mut count = Count(0);
    let _ = query.visit(&mut count);
    count.0 > 1
}

/// What stands behind ON CONFLICT.
#[derive(Default)]
struct OnConflict {
    conflict: Option<Conflict>,
    key: Option<(ConflictKey, TextPosition)>,
    update: Option<Update>,
}

/// `[ON CONFLICT [(columns) | ON CONSTRAINT name] DO {ERROR | NOTHING | DEDUPLICATE | UPDATE SET … [WHERE condition]}]`.
fn conflict(cursor: &mut Cursor<'_>, table: (&Reference, TextPosition)) -> Result<OnConflict, SqlError> {
    if !cursor.words(&["ON", "CONFLICT"]) {
        return Ok(OnConflict::default());
    }
    let position = cursor.position();
    let key = match cursor.words(&["ON", "CONSTRAINT"]) {
        true => Some(ConflictKey::Constraint(cursor.identifier("the name of a constraint")?.value)),
        false => Some(columns(cursor)?).filter(|names| !names.is_empty()).map(ConflictKey::Columns),
    };
    let key = key.map(|key| (key, position));
    if key.is_some() && cursor.peek_word("WHERE") {
        let hint = "keys hold for all rows: leave the condition out";
        return Err(refuse::unsupported("WHERE behind the key of ON CONFLICT", hint).at(cursor.position()));
    }
    cursor.expect_words(&["DO"])?;
    let known = [("ERROR", Conflict::Error), ("NOTHING", Conflict::Nothing), ("DEDUPLICATE", Conflict::Deduplicate)];
    if let Some((_, conflict)) = known.into_iter().find(|(word, _)| cursor.word(word)) {
        return Ok(OnConflict { conflict: Some(conflict), key, update: None });
    }
    if !cursor.words(&["UPDATE", "SET"]) {
        return Err(cursor.expected("NOTHING, UPDATE SET, ERROR or DEDUPLICATE"));
    }
    if key.is_none() {
        let error = SqlError::new(SqlError::SYNTAX, "ON CONFLICT DO UPDATE does not say of which key");
        return Err(error.with_hint("write ON CONFLICT (k) DO UPDATE SET …").at(position));
    }
    let (assignments, condition) = (assignments(cursor)?, condition(cursor)?);
    let mut update = Update::new((table.0.clone(), table.1), assignments, condition, None);
    for expr in update.expressions_mut() {
        if has_query(expr) {
            let hint = "compute it in the SELECT that is inserted, and write EXCLUDED.column";
            return Err(refuse::unsupported("a subquery in ON CONFLICT DO UPDATE", hint).at(position));
        }
        let _ = visit_expressions_mut(expr, name_excluded);
    }
    Ok(OnConflict { conflict: None, key, update: Some(update) })
}

/// `EXCLUDED.column` is a column of its own.
fn name_excluded(expr: &mut Expr) -> ControlFlow<()> {
    if let Expr::CompoundIdentifier(parts) = expr
        && let [table, column] = parts.as_slice()
        && table.value.eq_ignore_ascii_case("excluded")
    {
        *expr = Expr::Identifier(Ident { value: excluded(&column.value), quote_style: Some('`'), span: table.span });
    }
    ControlFlow::Continue(())
}

fn has_query(expr: &Expr) -> bool {
    struct Any;
    impl Visitor for Any {
        type Break = ();

        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            ControlFlow::Break(())
        }
    }
    expr.visit(&mut Any).is_break()
}

/// `UPDATE table SET column = value, … [WHERE condition] [RETURNING …]`.
///
/// # Errors
/// A syntax error, or what is not supported.
pub(super) fn update(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    cursor.expect_words(&["UPDATE"])?;
    let table = changed_table(cursor)?;
    cursor.expect_words(&["SET"])?;
    let assignments = assignments(cursor)?;
    if cursor.peek_word("FROM") {
        let hint = "use a subquery: SET a = (SELECT …), WHERE k IN (SELECT …)";
        return Err(refuse::unsupported("UPDATE … FROM", hint).at(cursor.position()));
    }
    let condition = condition(cursor)?;
    let returning = returning(cursor, &table.0)?;
    Ok(StatementKind::Update(Update::new(table, assignments, condition, returning)))
}

/// `column = value, …`.
fn assignments(cursor: &mut Cursor<'_>) -> Result<Vec<(String, TextPosition, Expr)>, SqlError> {
    let mut assignments: Vec<(String, TextPosition, Expr)> = Vec::new();
    loop {
        let position = cursor.position();
        let name = cursor.identifier("the name of a column")?.value;
        if assignments.iter().any(|(n, ..)| *n == name) {
            let error = SqlError::new(SqlError::DUPLICATE_COLUMN, format!("column {name} is set twice"));
            return Err(error.at(position));
        }
        cursor.expect_symbol(&Token::Eq)?;
        assignments.push((name, position, cursor.expression()?));
        if !cursor.symbol(&Token::Comma) {
            return Ok(assignments);
        }
    }
}

/// `DELETE FROM table [WHERE condition] [RETURNING …]`.
///
/// # Errors
/// A syntax error, or what is not supported.
pub(super) fn delete(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    cursor.expect_words(&["DELETE", "FROM"])?;
    let table = changed_table(cursor)?;
    if cursor.peek_word("USING") {
        let hint = "use a subquery: WHERE k IN (SELECT …)";
        return Err(refuse::unsupported("DELETE … USING", hint).at(cursor.position()));
    }
    let condition = condition(cursor)?;
    let returning = returning(cursor, &table.0)?;
    Ok(StatementKind::Delete(Delete::new(table, condition, returning)))
}

/// `TRUNCATE [TABLE] table`.
///
/// # Errors
/// A syntax error.
pub(super) fn truncate(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    cursor.expect_words(&["TRUNCATE"])?;
    cursor.word("TABLE");
    Ok(StatementKind::Delete(Delete::new(changed_table(cursor)?, None, None)))
}

fn changed_table(cursor: &mut Cursor<'_>) -> Result<(Reference, TextPosition), SqlError> {
    let position = cursor.position();
    Ok((cursor.object_name("the name of a table")?, position))
}

fn condition(cursor: &mut Cursor<'_>) -> Result<Option<Expr>, SqlError> {
    Ok(if cursor.word("WHERE") { Some(cursor.expression()?) } else { None })
}

fn columns(cursor: &mut Cursor<'_>) -> Result<Vec<String>, SqlError> {
    if cursor.peek().token != Token::LParen || statements::begins_query(cursor) {
        return Ok(Vec::new());
    }
    cursor.expect_symbol(&Token::LParen)?;
    let mut names: Vec<String> = Vec::new();
    loop {
        let position = cursor.position();
        let name = cursor.identifier("the name of a column")?.value;
        if names.contains(&name) {
            let error = SqlError::new(SqlError::DUPLICATE_COLUMN, format!("column {name} is there twice"));
            return Err(error.at(position));
        }
        names.push(name);
        if !cursor.symbol(&Token::Comma) {
            break;
        }
    }
    if !cursor.symbol(&Token::RParen) {
        return Err(cursor.expected("`,` or `)`"));
    }
    Ok(names)
}

/// `[EXECUTE] STATEMENT SET BEGIN …; END`, `BEGIN STATEMENT SET; …; END`, `EXECUTE INSERT …`.
///
/// # Errors
/// A syntax error, or what is not supported.
pub(super) fn set_or_execute(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    if cursor.peek_words(&["EXECUTE", "INSERT"]) {
        cursor.word("EXECUTE");
        return insert(cursor).map(StatementKind::Insert);
    }
    if cursor.words(&["BEGIN", "STATEMENT", "SET"]) {
        cursor.expect_symbol(&Token::SemiColon)?;
        return set(cursor);
    }
    let at = cursor.position();
    if cursor.words(&["EXECUTE", "STATEMENT", "SET"]) || cursor.words(&["STATEMENT", "SET"]) {
        if !cursor.words(&["BEGIN"]) {
            return Err(cursor.expected("BEGIN"));
        }
        return set(cursor);
    }
    if cursor.peek_word("EXECUTE") && !cursor.peek_words(&["EXECUTE", "PLAN"]) {
        return Err(refuse::unsupported(
            "EXECUTE of this",
            "write EXECUTE STATEMENT SET BEGIN … END, or EXECUTE INSERT …",
        )
        .at(at));
    }
    Err(refuse::statement(cursor))
}

fn set(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    let mut inserts = Vec::new();
    loop {
        while cursor.symbol(&Token::SemiColon) {}
        if cursor.peek_word("END") {
            break;
        }
        if !cursor.peek_word("INSERT") {
            return Err(cursor
                .expected("INSERT or END")
                .with_hint("a statement set holds INSERTs, each with a semicolon"));
        }
        let (position, insert) = (cursor.position(), insert(cursor)?);
        if insert.returning.is_some() {
            let hint = "leave RETURNING out, or write the INSERT by itself";
            return Err(refuse::unsupported("RETURNING in a statement set", hint).at(position));
        }
        inserts.push(insert);
        if !cursor.symbol(&Token::SemiColon) {
            return Err(cursor.expected("`;` after INSERT"));
        }
    }
    if inserts.is_empty() {
        return Err(cursor.expected("INSERT"));
    }
    cursor.expect_words(&["END"])?;
    Ok(StatementKind::StatementSet(inserts))
}
