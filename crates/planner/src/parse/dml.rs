//! INSERT and statement sets, UPDATE, DELETE, TRUNCATE.

use super::cursor::Cursor;
use super::{refuse, statements};
use crate::SqlError;
use crate::TextPosition;
use crate::statement::{ChangedTable, Conflict, ConflictKey, Delete, Insert, Others, StatementKind, Update, excluded};
use eddyline_catalog::Dialect;
use sqlparser::ast::{Expr, Ident, Query, Visit, Visitor, visit_expressions_mut};
use sqlparser::tokenizer::Token;
use std::ops::ControlFlow;

/// `INSERT INTO [TABLE] name [AS alias] [(columns)] {query | DEFAULT VALUES} [ON CONFLICT [(columns)] DO …] [RETURNING …]`.
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
    let name = cursor.object_name("the name of a table")?;
    // Postgres wants AS here.
    let alias = match cursor.word("AS") {
        true => Some(cursor.identifier("another name for the table")?.value),
        false => None,
    };
    let table = ChangedTable { name, position, alias };
    if cursor.peek_word("PARTITION") {
        let error = refuse::unsupported("PARTITION in INSERT", "write the values as columns of the query");
        return Err(error.at(cursor.position()));
    }
    let columns = columns(cursor)?;
    let in_postgres = cursor.text.dialect.family == Dialect::Postgres;
    let query = if in_postgres && columns.is_empty() && cursor.words(&["DEFAULT", "VALUES"]) {
        // Columns without a value have their DEFAULT, as the first has.
        super::parse_query("VALUES (DEFAULT)", Dialect::Postgres)?
    } else if statements::begins_query(cursor) {
        cursor.query()?
    } else {
        return Err(cursor.expected("SELECT or VALUES"));
    };
    let OnConflict { conflict, key, update } = conflict(cursor, &table)?;
    let returning = returning(cursor, &table)?;
    Ok(Insert { table: table.name, position, columns, query, conflict, key, update, returning })
}

/// `[RETURNING expression [AS name], …]`.
fn returning(cursor: &mut Cursor<'_>, table: &ChangedTable) -> Result<Option<Box<Query>>, SqlError> {
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
fn conflict(cursor: &mut Cursor<'_>, table: &ChangedTable) -> Result<OnConflict, SqlError> {
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
    let mut update = Update::new(table.clone(), assignments, condition, None);
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

/// `UPDATE table [[AS] alias] SET column = value, … [FROM others] [WHERE condition] [RETURNING …]`.
///
/// # Errors
/// A syntax error, or what is not supported.
pub(super) fn update(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    cursor.expect_words(&["UPDATE"])?;
    let table = changed_table(cursor)?;
    cursor.expect_words(&["SET"])?;
    let assignments = assignments(cursor)?;
    let others = others(cursor, "FROM")?;
    let condition = condition(cursor)?;
    let returning = returning(cursor, &table)?;
    Ok(StatementKind::Update(Update::new(table, assignments, condition, returning).with_others(others)))
}

/// A column, where its name stands, and what it is given.
type Assigned = (String, TextPosition, Expr);

/// `column = value, …`, `(column, …) = (value, …), …`.
fn assignments(cursor: &mut Cursor<'_>) -> Result<Vec<Assigned>, SqlError> {
    let mut assignments: Vec<Assigned> = Vec::new();
    loop {
        let next = match cursor.peek().token == Token::LParen {
            true => several_assignments(cursor)?,
            false => {
                let (name, position) = assigned_column(cursor)?;
                cursor.expect_symbol(&Token::Eq)?;
                vec![(name, position, cursor.expression()?)]
            }
        };
        for (name, position, value) in next {
            if assignments.iter().any(|(n, ..)| *n == name) {
                let error = SqlError::new(SqlError::DUPLICATE_COLUMN, format!("column {name} is set twice"));
                return Err(error.at(position));
            }
            assignments.push((name, position, value));
        }
        if !cursor.symbol(&Token::Comma) {
            return Ok(assignments);
        }
    }
}

fn assigned_column(cursor: &mut Cursor<'_>) -> Result<(String, TextPosition), SqlError> {
    let position = cursor.position();
    Ok((cursor.identifier("the name of a column")?.value, position))
}

/// `(column, …) = [ROW] (value, …)`.
fn several_assignments(cursor: &mut Cursor<'_>) -> Result<Vec<Assigned>, SqlError> {
    cursor.expect_symbol(&Token::LParen)?;
    let columns = cursor.list(assigned_column)?;
    cursor.expect_symbol(&Token::RParen)?;
    cursor.expect_symbol(&Token::Eq)?;
    let position = cursor.position();
    if statements::begins_query(cursor) {
        let hint = "give each column a subquery of its own: SET a = (SELECT …), b = (SELECT …)";
        return Err(refuse::unsupported("a subquery for several columns", hint).at(position));
    }
    cursor.word("ROW");
    cursor.expect_symbol(&Token::LParen)?;
    let values = cursor.list(Cursor::expression)?;
    cursor.expect_symbol(&Token::RParen)?;
    if columns.len() != values.len() {
        let message = format!("{} columns are given {} values", columns.len(), values.len());
        return Err(SqlError::new(SqlError::SYNTAX, message).at(position));
    }
    Ok(columns.into_iter().zip(values).map(|((name, position), value)| (name, position, value)).collect())
}

/// `DELETE FROM [ONLY] table [[AS] alias] [USING others] [WHERE condition] [RETURNING …]`.
///
/// # Errors
/// A syntax error, or what is not supported.
pub(super) fn delete(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    cursor.expect_words(&["DELETE", "FROM"])?;
    let table = changed_table(cursor)?;
    let others = others(cursor, "USING")?;
    let condition = condition(cursor)?;
    let returning = returning(cursor, &table)?;
    Ok(StatementKind::Delete(Delete::new(table, condition, returning).with_others(others)))
}

/// The tables that stand beside the one that is changed, behind this word.
fn others(cursor: &mut Cursor<'_>, word: &str) -> Result<Others, SqlError> {
    if cursor.word(word) { cursor.tables() } else { Ok(Others::new()) }
}

/// `TRUNCATE [TABLE] [ONLY] table [{RESTART | CONTINUE} IDENTITY] [CASCADE | RESTRICT]`: no column counts, and no table refers to
/// another, so none of these changes anything.
///
/// # Errors
/// A syntax error, or what is not supported.
pub(super) fn truncate(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    cursor.expect_words(&["TRUNCATE"])?;
    cursor.word("TABLE");
    only(cursor);
    let position = cursor.position();
    let name = cursor.object_name("the name of a table")?;
    if cursor.peek().token == Token::Comma {
        let hint = "write a TRUNCATE for each: every statement takes effect by itself";
        return Err(refuse::unsupported("TRUNCATE of several tables", hint).at(cursor.position()));
    }
    let _ = cursor.words(&["RESTART", "IDENTITY"]) || cursor.words(&["CONTINUE", "IDENTITY"]);
    let _ = cursor.word("CASCADE") || cursor.word("RESTRICT");
    Ok(StatementKind::Delete(Delete::new(ChangedTable { name, position, alias: None }, None, None)))
}

/// `[ONLY] table [[AS] alias]`, before one of the words that may follow.
fn changed_table(cursor: &mut Cursor<'_>) -> Result<ChangedTable, SqlError> {
    only(cursor);
    let position = cursor.position();
    let name = cursor.object_name("the name of a table")?;
    let follows = ["SET", "WHERE", "RETURNING", "USING", "FROM"].iter().any(|word| cursor.peek_word(word));
    let is_called = cursor.word("AS") || (!follows && matches!(cursor.peek().token, Token::Word(_)));
    let alias = if is_called { Some(cursor.identifier("another name for the table")?.value) } else { None };
    Ok(ChangedTable { name, position, alias })
}

/// `ONLY` before the name of a table: no table has others that inherit from it.
fn only(cursor: &mut Cursor<'_>) {
    if matches!(cursor.peek_nth(1).token, Token::Word(_)) {
        cursor.word("ONLY");
    }
}

fn condition(cursor: &mut Cursor<'_>) -> Result<Option<Expr>, SqlError> {
    Ok(if cursor.word("WHERE") { Some(cursor.expression()?) } else { None })
}

/// `[(column, …)]`, which is no query in brackets.
///
/// # Errors
/// A syntax error; a name that is there twice.
pub(super) fn columns(cursor: &mut Cursor<'_>) -> Result<Vec<String>, SqlError> {
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
