//! What statements of the engine come to: command tags, rows, notes.

use crate::copy::{Copy, Reader};
use crate::copy_out::CopyOut;
use crate::rows::Rows;
use crate::variables::{SERVER_VERSION, Variables};
use eddyline_engine::catalog::Reference;
use eddyline_engine::statement::{DatabaseStatement, JobVerb, SchemaStatement, Statement, StatementKind, UserVerb};
use eddyline_engine::{
    JobEvent, Listing, Outcome, Parameter, Prepared, RunningJob, ScriptError, Session, SqlError, with_constants,
};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// How long to wait for an event before looking again.
const WAIT: Duration = Duration::from_secs(1);

/// What a statement comes to.
pub(crate) enum Answer {
    /// There was no statement.
    Nothing,
    /// It is done; the tag says what.
    Done(String),
    /// Rows are to come from the client.
    CopyIn(Box<CopyIn>),
    /// Rows are to be sent as COPY does.
    CopyOut(Box<CopyOut>),
    /// Rows, and the word of the tag behind them.
    Rows(Rows, &'static str),
}

/// A COPY whose rows come.
pub(crate) struct CopyIn {
    pub(crate) table: Reference,
    pub(crate) reader: Reader,
}

/// Begins a COPY.
///
/// # Errors
/// A table or column that is not there, or cannot be written.
pub(crate) fn copy(session: &mut Session, copy: &Copy) -> Result<Answer, SqlError> {
    let columns = session.copy_columns(&copy.table, &copy.columns)?;
    let reader = Reader::new(copy.format.clone(), columns);
    Ok(Answer::CopyIn(Box::new(CopyIn { table: copy.table.clone(), reader })))
}

/// What functions of the session answer.
pub(crate) struct Constants<'a> {
    pub(crate) variables: &'a Variables,
}

impl Constants<'_> {
    /// The statement with answers in the place of functions of the session.
    pub(crate) fn put_into(&self, session: &Session, statement: &Statement) -> Statement {
        with_constants(statement, &|function, argument| self.value(session, function, argument))
    }

    fn value(&self, session: &Session, function: &str, argument: Option<&str>) -> Option<String> {
        Some(match (function, argument) {
            ("version", None) => {
                format!("PostgreSQL {SERVER_VERSION} (eddyline {})", env!("CARGO_PKG_VERSION"))
            }
            ("current_database" | "current_catalog", None) => session.catalog().database().to_owned(),
            ("current_schema", None) => session.current_schema().unwrap_or_default(),
            ("current_user" | "session_user" | "user" | "current_role", None) => session.user().to_owned(),
            ("current_setting", Some(name)) => self.variables.value(session, name)?,
            _ => return None,
        })
    }
}

/// Does something that a statement asks for. Where it panics, the statement fails and the connection goes on: what the session held is
/// let go of on the way, and nothing of it is used again.
///
/// # Errors
/// Those of `act`, and that it panicked.
pub(crate) fn caught<T>(act: impl FnOnce() -> Result<T, SqlError>) -> Result<T, SqlError> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|panic| {
        let message = message_of(panic.as_ref());
        tracing::error!(message, "a statement panicked");
        Err(SqlError::new(SqlError::INTERNAL, format!("a fault of the server: {message}"))
            .with_hint("please report it with the statement"))
    })
}

fn message_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Executes a statement. Returns what it comes to, and what the user should know.
///
/// # Errors
/// What is wrong with it; it fails, or is cancelled.
pub(crate) fn execute(
    session: &mut Session,
    statement: &Statement,
    constants: &Constants<'_>,
) -> Result<(Answer, Vec<String>), SqlError> {
    let statement = constants.put_into(session, statement);
    let verb = verb(&statement);
    if let StatementKind::Subscribe(said) = &statement.kind {
        let followed = session.subscription(&said.name, said.snapshot).map_err(|e| e.at(said.position))?;
        return Ok((Answer::Rows(Rows::of_changes(followed), verb), Vec::new()));
    }
    let answer = caught(|| session.answer(&statement).map_err(ScriptError::into_error))?;
    of_answer(session, answer, verb)
}

/// Executes a statement that was planned before.
///
/// # Errors
/// As [`execute`].
pub(crate) fn execute_prepared(
    session: &mut Session,
    prepared: &Prepared,
    values: &[Parameter],
) -> Result<Answer, SqlError> {
    let verb = verb_of_prepared(prepared);
    let answer = caught(|| session.execute_prepared(prepared, values).map_err(ScriptError::into_error))?;
    of_answer(session, answer, verb).map(|(answer, _)| answer)
}

fn of_answer(
    session: &mut Session,
    answer: eddyline_engine::Answer,
    verb: &'static str,
) -> Result<(Answer, Vec<String>), SqlError> {
    let outcome = match answer {
        eddyline_engine::Answer::Rows(scan) => return Ok((Answer::Rows(Rows::scan(scan), verb), Vec::new())),
        eddyline_engine::Answer::Outcome(outcome) => outcome,
    };
    Ok(match outcome {
        Outcome::Done(_) => (Answer::Done(verb.to_owned()), Vec::new()),
        Outcome::Noted(note) => (Answer::Done(verb.to_owned()), vec![note]),
        Outcome::Changed { rows, .. } => (Answer::Done(tag(verb, rows)), Vec::new()),
        Outcome::Listing(listing) | Outcome::Returned(listing) => (Answer::Rows(Rows::of(listing), verb), Vec::new()),
        Outcome::Job(job) if job.facts().result.is_some() => {
            let warnings = job.facts().warnings.clone();
            (Answer::Rows(Rows::select(*job, &session.canceller())?, verb), warnings)
        }
        Outcome::Job(job) => write(session, *job, verb)?,
    })
}

/// A job that writes tables: it is waited for where it ends, and goes on by itself where it does not.
fn write(session: &mut Session, job: RunningJob, verb: &str) -> Result<(Answer, Vec<String>), SqlError> {
    let facts = job.facts().clone();
    let mut notes = facts.warnings;
    if !session.settings().waits_for_insert(facts.bounded) {
        let id = session.keep(job)?;
        notes.push(format!(
            "job {id} '{}' runs in the background; SHOW JOBS lists jobs, STOP JOB '{id}' ends it",
            facts.name
        ));
        return Ok((Answer::Done(tag(verb, 0)), notes));
    }
    let canceller = session.canceller();
    canceller.follow(job.interrupter());
    loop {
        canceller.check()?;
        if let Some(JobEvent::Ended(result)) = job.next_event(WAIT) {
            result?;
            let rows = usize::try_from(job.progress().rows_out).unwrap_or(usize::MAX);
            return Ok((Answer::Done(tag(verb, rows)), notes));
        }
    }
}

/// The command tag of a statement that has to do with `rows` rows.
pub(crate) fn tag(verb: &str, rows: usize) -> String {
    match verb {
        "INSERT" => format!("INSERT 0 {rows}"),
        "SELECT" | "UPDATE" | "DELETE" | "COPY" | "FETCH" | "MOVE" | "SUBSCRIBE" => format!("{verb} {rows}"),
        other => other.to_owned(),
    }
}

/// What a statement that was planned before is, as its command tag says.
pub(crate) fn verb_of_prepared(prepared: &Prepared) -> &'static str {
    match prepared {
        Prepared::Scan(_) => "SELECT",
        Prepared::Insert(_) => "INSERT",
        Prepared::Change(change) => change.verb(),
    }
}

/// What a statement is, as its command tag says.
pub(crate) fn verb(statement: &Statement) -> &'static str {
    match &statement.kind {
        StatementKind::CreateTable { query: Some(_), .. } | StatementKind::Select(_) => "SELECT",
        StatementKind::CreateTable { table, .. } if table.is_source => "CREATE SOURCE",
        StatementKind::CreateTable { .. } => "CREATE TABLE",
        StatementKind::CreateView { .. } => "CREATE VIEW",
        StatementKind::CreateMaterializedView { .. } => "CREATE MATERIALIZED VIEW",
        StatementKind::Database(DatabaseStatement::Create { .. }) => "CREATE DATABASE",
        StatementKind::Database(DatabaseStatement::Drop { .. }) => "DROP DATABASE",
        StatementKind::Schema(SchemaStatement::Create { .. }) => "CREATE SCHEMA",
        StatementKind::Schema(SchemaStatement::Drop { .. }) => "DROP SCHEMA",
        StatementKind::Schema(SchemaStatement::Rename { .. }) => "ALTER SCHEMA",
        StatementKind::Schema(SchemaStatement::Use { .. }) => "USE",
        StatementKind::CreateSink { .. } => "CREATE SINK",
        StatementKind::CreateIndex(_) => "CREATE INDEX",
        StatementKind::Comment(_) => "COMMENT",
        StatementKind::Subscribe(_) => "SUBSCRIBE",
        StatementKind::Alter(alter) => match alter.kind {
            "table" => "ALTER TABLE",
            "source" => "ALTER SOURCE",
            "sink" => "ALTER SINK",
            "index" => "ALTER INDEX",
            "view" => "ALTER VIEW",
            _ => "ALTER MATERIALIZED VIEW",
        },
        StatementKind::Drop { kind: "table", .. } => "DROP TABLE",
        StatementKind::Drop { kind: "source", .. } => "DROP SOURCE",
        StatementKind::Drop { kind: "sink", .. } => "DROP SINK",
        StatementKind::Drop { kind: "index", .. } => "DROP INDEX",
        StatementKind::Drop { kind: "view", .. } => "DROP VIEW",
        StatementKind::Drop { .. } => "DROP MATERIALIZED VIEW",
        StatementKind::Insert(_) => "INSERT",
        StatementKind::Update(_) => "UPDATE",
        StatementKind::Delete(_) if statement.sql.get(..8).is_some_and(|w| w.eq_ignore_ascii_case("truncate")) => {
            "TRUNCATE TABLE"
        }
        StatementKind::Delete(_) => "DELETE",
        StatementKind::Flush => "FLUSH",
        StatementKind::StatementSet(_) => "STATEMENT SET",
        StatementKind::Explain { .. } | StatementKind::ExplainState(_) | StatementKind::ExplainAlter { .. } => {
            "EXPLAIN"
        }
        StatementKind::Job(job) => match job.verb {
            JobVerb::Submit { .. } => "SUBMIT JOB",
            JobVerb::Stop { .. } => "STOP JOB",
            JobVerb::Resume => "RESUME JOB",
            JobVerb::Savepoint { .. } => "SAVEPOINT JOB",
            JobVerb::Drop { .. } => "DROP JOB",
            JobVerb::Explain(_) => "EXPLAIN",
        },
        StatementKind::User(user) => match user.verb {
            UserVerb::Create(_) => "CREATE ROLE",
            UserVerb::Alter(_) => "ALTER ROLE",
            UserVerb::Drop { .. } => "DROP ROLE",
        },
        StatementKind::Set { .. } => "SET",
        StatementKind::Reset(_) => "RESET",
        StatementKind::Show(_) | StatementKind::Describe(_) | StatementKind::ShowSettings => "SHOW",
    }
}

/// What a statement that changes something is called where nothing may be changed; `None`: it changes nothing that outlives the session.
pub(crate) fn change(statement: &Statement) -> Option<&'static str> {
    match &statement.kind {
        StatementKind::Select(_)
        | StatementKind::Explain { .. }
        | StatementKind::ExplainState(_)
        | StatementKind::ExplainAlter { .. }
        | StatementKind::Show(_)
        | StatementKind::Describe(_)
        | StatementKind::Set { .. }
        | StatementKind::ShowSettings
        | StatementKind::Reset(_)
        | StatementKind::Subscribe(_)
        | StatementKind::Flush
        | StatementKind::Schema(SchemaStatement::Use { .. }) => None,
        StatementKind::Job(job) if matches!(job.verb, JobVerb::Explain(_)) => None,
        StatementKind::CreateTable { query: Some(_), .. } => Some("CREATE TABLE AS"),
        _ => Some(verb(statement)),
    }
}

/// One text under a name.
pub(crate) fn one_text(name: &str, value: String) -> Listing {
    Listing::texts(vec![(name, vec![Some(value)])])
}

/// Names and values.
pub(crate) fn settings(all: Vec<(String, String)>) -> Listing {
    let (names, values) = all.into_iter().map(|(name, value)| (Some(name), Some(value))).unzip();
    Listing::texts(vec![("name", names), ("setting", values)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_panics_is_an_error() {
        let error = caught::<u8>(|| panic!("no number")).unwrap_err();
        assert_eq!((error.sqlstate, error.message.as_str()), ("XX000", "a fault of the server: no number"));
        assert_eq!(caught(|| Ok(1)), Ok(1));
    }
}
