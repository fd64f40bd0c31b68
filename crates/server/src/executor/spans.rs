//! What traces tell of statements. Where none are kept, a statement costs the look whether they are.

use super::{Bound, Executor, Failure};
use crate::answer;
use crate::command::{Command, Cursor};
use eddyline_engine::Session;
use tracing::Span;
use tracing::field::Empty;

/// A statement, from its message until all is sent that it answers, or all has come that it waits for.
#[derive(Clone)]
pub(super) struct StatementSpan {
    span: Span,
    /// What the statement says may be told: its text, and messages that quote it.
    tells_text: bool,
}

impl StatementSpan {
    /// Does what belongs to the statement, and notes whether it has failed.
    pub(super) fn work(&self, work: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
        let done = self.span.in_scope(work);
        self.note(&done);
        done
    }

    /// Notes whether it has failed.
    pub(super) fn note(&self, done: &Result<(), Failure>) {
        if self.span.is_disabled() {
            return;
        }
        match done {
            Ok(()) => {}
            Err(Failure::Gone) => drop(self.span.record("otel.status_description", "the client has gone")),
            Err(Failure::Told(report)) => {
                self.span.record("db.response.status_code", report.code);
                self.span.record("error.type", report.code);
                // Messages name values.
                let why = if self.tells_text { report.message.as_str() } else { "" };
                self.span.record("otel.status_description", why);
            }
        }
    }

    /// How many rows it has answered, taken or changed.
    pub(super) fn rows(&self, rows: usize) {
        // Also where nobody takes it, it would be looked for by its name.
        if self.span.is_disabled() {
            return;
        }
        self.span.record("eddyline.rows", i64::try_from(rows).unwrap_or(i64::MAX));
    }

    /// The rows that a command tag tells of.
    pub(super) fn tag(&self, tag: &str) {
        if !self.span.is_disabled()
            && let Some(rows) = tag.rsplit(' ').next().and_then(|word| word.parse().ok())
        {
            self.rows(rows);
        }
    }
}

impl Executor {
    /// A statement begins; of `kind` as its command tag says.
    pub(super) fn statement_span(&self, kind: impl FnOnce() -> &'static str, text: &str) -> StatementSpan {
        let tells_text = self.tells_text;
        let span = tracing::info_span!(
            "statement",
            otel.name = Empty,
            otel.kind = "server",
            db.system.name = "eddyline",
            db.namespace = self.session.catalog().database(),
            user.name = self.session.user(),
            db.operation.name = Empty,
            db.query.text = tells_text.then_some(text),
            db.response.status_code = Empty,
            error.type = Empty,
            eddyline.rows = Empty,
            otel.status_description = Empty,
        );
        if !span.is_disabled() {
            let kind = kind();
            span.record("otel.name", kind);
            span.record("db.operation.name", kind);
        }
        StatementSpan { span, tells_text }
    }
}

/// A statement is planned before it is executed.
pub(super) fn prepare_span(session: &Session) -> Span {
    tracing::info_span!(
        "prepare",
        db.system.name = "eddyline",
        db.namespace = session.catalog().database(),
        user.name = session.user(),
    )
}

/// Rows are computed, and sent as they are.
pub(super) fn execute_span() -> Span {
    tracing::info_span!("execute")
}

/// What a statement with values is, as its command tag says.
pub(super) fn kind_of(bound: &Bound) -> &'static str {
    match bound {
        Bound::Command(command) => kind(command),
        Bound::Planned(prepared, _) => answer::verb_of_prepared(prepared),
    }
}

/// What a command is, as its command tag says.
pub(super) fn kind(command: &Command) -> &'static str {
    match command {
        Command::Empty => "",
        Command::Begin(tag, _) => tag,
        Command::Commit(_) => "COMMIT",
        Command::Rollback(_) | Command::RollbackTo(_) => "ROLLBACK",
        Command::Set(..) | Command::SetLocal(..) | Command::SetTransaction(_) | Command::SetCharacteristics(_) => "SET",
        Command::Show(_) | Command::ShowAll => "SHOW",
        Command::Reset(_) => "RESET",
        Command::Discard => "DISCARD ALL",
        Command::DiscardNothing(tag) => tag,
        Command::Deallocate(_) => "DEALLOCATE",
        Command::Prepare(_) => "PREPARE",
        Command::Execute(_) => "EXECUTE",
        Command::ExplainExecute(..) => "EXPLAIN",
        Command::DeclareSubscription(_) => "DECLARE SUBSCRIPTION CURSOR",
        Command::Declare(..) => "DECLARE CURSOR",
        Command::FetchSubscription(_) | Command::Cursor(Cursor::Fetch(..)) => "FETCH",
        Command::Cursor(Cursor::Move(..)) => "MOVE",
        Command::Cursor(Cursor::Close(_)) => "CLOSE CURSOR",
        Command::Copy(_) | Command::CopyOut(..) => "COPY",
        Command::Savepoint(_) => "SAVEPOINT",
        Command::Release(_) => "RELEASE",
        Command::Catalogs(_) => "SELECT",
        Command::Sql(statement) => answer::verb(statement),
    }
}
