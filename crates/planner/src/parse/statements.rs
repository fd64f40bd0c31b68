//! One statement, by its first words.

use super::cursor::Cursor;
use super::{alter, ddl, dml, index, jobs, refuse, schemas, session, users, with};
use crate::SqlError;
use crate::statement::{ExplainStage, Statement, StatementKind};
use sqlparser::tokenizer::Token;

/// Reads a whole statement.
///
/// # Errors
/// A syntax error, or what is not supported.
pub(super) fn statement(cursor: &mut Cursor<'_>) -> Result<Statement, SqlError> {
    let begin = cursor.position();
    let statement = read(cursor).map_err(|e| e.at(begin))?;
    cursor.expect_end()?;
    Ok(statement)
}

/// Reads a statement that may be inside another; its text goes to the last token taken.
fn read(cursor: &mut Cursor<'_>) -> Result<Statement, SqlError> {
    let (position, begin) = (cursor.position(), cursor.begin());
    let kind = kind(cursor)?;
    Ok(Statement { kind, position, sql: cursor.text_since(begin).to_owned() })
}

fn kind(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    if with::begins_change(cursor) {
        return with::change(cursor);
    }
    if begins_query(cursor) {
        return Ok(StatementKind::Select(cursor.query()?));
    }
    let Token::Word(word) = &cursor.peek().token else { return Err(refuse::statement(cursor)) };
    if word.quote_style.is_some() {
        return Err(refuse::statement(cursor));
    }
    if jobs::begins(cursor) {
        return jobs::statement(cursor);
    }
    if users::begins(cursor) {
        return users::statement(cursor);
    }
    match word.value.to_ascii_uppercase().as_str() {
        "CREATE" if schemas::begins(cursor, "CREATE") => schemas::create(cursor),
        "DROP" if schemas::begins(cursor, "DROP") => schemas::drop_all(cursor),
        "ALTER" if schemas::begins(cursor, "ALTER") => schemas::alter(cursor),
        "CREATE" if cursor.peek_words(&["CREATE", "DATABASE"]) => schemas::create_database(cursor),
        "DROP" if cursor.peek_words(&["DROP", "DATABASE"]) => schemas::drop_database(cursor),
        "USE" => schemas::use_schema(cursor),
        "CREATE" if index::begins(cursor) => index::create(cursor),
        "CREATE" => ddl::create(cursor),
        "DROP" => ddl::drop(cursor),
        "ALTER" => alter::alter(cursor),
        "COMMENT" => alter::comment(cursor),
        "SUBSCRIBE" => session::subscribe(cursor),
        "INSERT" => dml::insert(cursor).map(StatementKind::Insert),
        "UPDATE" => dml::update(cursor),
        "DELETE" => dml::delete(cursor),
        "TRUNCATE" => dml::truncate(cursor),
        "FLUSH" => {
            cursor.next();
            Ok(StatementKind::Flush)
        }
        "EXECUTE" | "BEGIN" | "STATEMENT" => dml::set_or_execute(cursor),
        "EXPLAIN" => explain(cursor),
        "SHOW" => session::show(cursor),
        "DESCRIBE" | "DESC" => session::describe(cursor),
        "SET" => session::set(cursor),
        "RESET" => session::reset(cursor),
        _ => Err(refuse::statement(cursor)),
    }
}

/// Does a query come next?
pub(super) fn begins_query(cursor: &Cursor<'_>) -> bool {
    let mut n = 0;
    while cursor.peek_nth(n).token == Token::LParen {
        n += 1;
    }
    ["SELECT", "WITH", "VALUES"].iter().any(|w| super::script::is_word(&cursor.peek_nth(n).token, w))
}

/// `EXPLAIN [stage] statement`.
fn explain(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    cursor.expect_words(&["EXPLAIN"])?;
    let refused =
        ["ESTIMATED_COST", "JSON_EXECUTION_PLAN", "PLAN_ADVICE", "ANALYZE", "VERBOSE", "AST", "STREAM", "WATERMARK"];
    if let Some(what) = refused.iter().find(|w| cursor.peek_word(w)) {
        let hint =
            "write EXPLAIN, EXPLAIN LOGICAL, EXPLAIN OPTIMIZED, EXPLAIN CHANGELOG, EXPLAIN STATE or EXPLAIN ALTER";
        return Err(refuse::unsupported(&format!("EXPLAIN {what}"), hint).at(cursor.position()));
    }
    if cursor.peek().token == Token::LParen && !begins_query(cursor) {
        let hint = "write EXPLAIN, EXPLAIN LOGICAL or EXPLAIN OPTIMIZED, without brackets; nothing is run or measured";
        return Err(refuse::unsupported("EXPLAIN with options in brackets", hint).at(cursor.position()));
    }
    // What is kept is no stage of planning.
    let alters = cursor.word("ALTER");
    let from = if alters && cursor.word("FROM") { Some(cursor.string("the place of a savepoint")?) } else { None };
    let stage = if alters || cursor.word("STATE") {
        None
    } else if cursor.word("LOGICAL") {
        Some(ExplainStage::Logical)
    } else if cursor.word("OPTIMIZED") {
        Some(ExplainStage::Optimized)
    } else if cursor.word("CHANGELOG") || cursor.word("CHANGELOG_MODE") {
        Some(ExplainStage::Changelog)
    } else {
        let _ = cursor.words(&["PLAN", "FOR"]) || cursor.word("DATAFLOW");
        Some(ExplainStage::Dataflow)
    };
    if let Some(stage) = stage
        && let Some(job) = jobs::explain(cursor, stage)?
    {
        return Ok(job);
    }
    let position = cursor.position();
    let no_query = || {
        let hint = "EXPLAIN a SELECT, INSERT, UPDATE, DELETE, CREATE MATERIALIZED VIEW, CREATE SINK or a statement set";
        refuse::unsupported("EXPLAIN of this statement", hint).at(position)
    };
    if cursor.peek_word("EXPLAIN") {
        return Err(no_query());
    }
    let mut statement = read(cursor)?;
    // What keeps a view up is what answers its query, and goes on.
    if let (StatementKind::CreateMaterializedView { query, is_final: false, .. }, true) = (&statement.kind, !alters) {
        statement.kind = StatementKind::Select(query.clone());
    }
    match statement.kind {
        StatementKind::Update(_) | StatementKind::Delete(_) if alters => Err(no_query()),
        StatementKind::Select(_)
        | StatementKind::Update(_)
        | StatementKind::Delete(_)
        | StatementKind::Insert(_)
        | StatementKind::StatementSet(_)
        | StatementKind::CreateSink { .. } => {
            let statement = Box::new(statement);
            Ok(match stage {
                Some(stage) => StatementKind::Explain { stage, statement },
                None if alters => StatementKind::ExplainAlter { from, statement },
                None => StatementKind::ExplainState(statement),
            })
        }
        _ => Err(no_query()),
    }
}
