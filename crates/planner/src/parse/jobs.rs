//! Statements about jobs: SUBMIT, STOP, RESUME, SAVEPOINT, DROP and EXPLAIN JOB.

use super::cursor::Cursor;
use crate::SqlError;
use crate::statement::{ExplainStage, JobStatement, JobVerb, StatementKind};
use sqlparser::tokenizer::Token;

/// Does a statement about a job come next? `EXPLAIN … JOB 'j'` is read by [`explain`].
pub(super) fn begins(cursor: &Cursor<'_>) -> bool {
    ["SUBMIT", "STOP", "RESUME", "SAVEPOINT", "DROP"].iter().any(|verb| cursor.peek_words(&[verb, "JOB"]))
}

/// `STOP JOB 'job' [WITH SAVEPOINT ['place']] [WITH DRAIN]`, `RESUME JOB 'job'`, `SAVEPOINT JOB 'job' [AT 'place']`,
/// `DROP JOB [IF EXISTS] 'job'`, `SUBMIT JOB 'job' AS 'script' [WITH DRY RUN]`.
///
/// # Errors
/// A syntax error.
pub(super) fn statement(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    let verb = cursor.next().token.to_string().to_uppercase();
    cursor.expect_words(&["JOB"])?;
    let if_exists = verb == "DROP" && cursor.words(&["IF", "EXISTS"]);
    let job = name(cursor)?;
    let verb = match verb.as_str() {
        "SUBMIT" => {
            cursor.expect_words(&["AS"])?;
            let script = cursor.text("the statements of the job as a string: $$ … $$")?;
            JobVerb::Submit { script, is_dry_run: cursor.words(&["WITH", "DRY", "RUN"]) }
        }
        "STOP" => {
            let with_savepoint = cursor.words(&["WITH", "SAVEPOINT"]);
            let place = if with_savepoint { place(cursor)? } else { None };
            JobVerb::Stop { with_savepoint, place, drain: cursor.words(&["WITH", "DRAIN"]) }
        }
        "SAVEPOINT" => {
            let place = if cursor.word("AT") { Some(cursor.string("a directory or URL as a string")?) } else { None };
            JobVerb::Savepoint { place }
        }
        "RESUME" => JobVerb::Resume,
        _ => JobVerb::Drop { if_exists },
    };
    Ok(StatementKind::Job(JobStatement { job, verb }))
}

/// What stands behind `EXPLAIN [stage]` when it is a job; `None`: it is something else.
///
/// # Errors
/// A syntax error.
pub(super) fn explain(cursor: &mut Cursor<'_>, stage: ExplainStage) -> Result<Option<StatementKind>, SqlError> {
    if !cursor.word("JOB") {
        return Ok(None);
    }
    Ok(Some(StatementKind::Job(JobStatement { job: name(cursor)?, verb: JobVerb::Explain(stage) })))
}

fn name(cursor: &mut Cursor<'_>) -> Result<String, SqlError> {
    cursor.string("the name or the id of a job as a string")
}

fn place(cursor: &mut Cursor<'_>) -> Result<Option<String>, SqlError> {
    match cursor.peek().token {
        Token::SingleQuotedString(_) => cursor.string("a directory or URL as a string").map(Some),
        _ => Ok(None),
    }
}
