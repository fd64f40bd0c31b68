//! Scripts: which statements run together, and when.
//!
//! The whole text is parsed before anything is done. Definitions and settings take effect at their place. All INSERTs
//! become one job, which starts at the end of the script, or before a statement that must come after them: a SELECT,
//! a statement set, or one that takes away or replaces a name. EXECUTE STATEMENT SET is a job of its own, and so is a
//! SELECT. Jobs run one after the other. What changes a table that the engine keeps takes effect at its place too.

use crate::listing::Listing;
use crate::{Outcome, RunningJob, Session, Settings};
use eddyline_planner::statement::{SchemaStatement, Statement, StatementKind};
use eddyline_planner::{JobOutput, SqlError, TextPosition};

/// Is told what a script does, and follows its jobs.
pub trait Observer {
    /// A statement is done.
    fn done(&mut self, message: &str);

    /// Something the user should know.
    fn note(&mut self, message: &str);

    /// A statement came to a small table.
    ///
    /// # Errors
    /// It cannot be shown: the script ends.
    fn listing(&mut self, listing: &Listing) -> Result<(), ScriptError>;

    /// A job was started. Returns when it is over.
    ///
    /// # Errors
    /// It failed, or was stopped and nothing is to follow: the script ends.
    fn job(&mut self, job: RunningJob) -> Result<(), ScriptError>;
}

/// Why a script ended before its end.
#[derive(Debug)]
pub enum ScriptError {
    /// A statement is wrong.
    Statement(SqlError),
    /// A job failed, or could not open its tables.
    Job(SqlError),
    /// Somebody aborted the job.
    Aborted,
    /// The observer wants no more: somebody stopped the job, or nobody reads.
    Stopped,
}

impl From<SqlError> for ScriptError {
    fn from(error: SqlError) -> Self {
        ScriptError::Statement(error)
    }
}

impl ScriptError {
    /// The error in it.
    pub fn into_error(self) -> SqlError {
        match self {
            ScriptError::Statement(error) | ScriptError::Job(error) => error,
            ScriptError::Aborted | ScriptError::Stopped => SqlError::new("57014", "the script was stopped"),
        }
    }

    /// With the place of the statement, where the statement is at fault and the error has no place.
    pub(crate) fn at(self, position: TextPosition) -> Self {
        match self {
            ScriptError::Statement(error) => ScriptError::Statement(error.at(position)),
            other => other,
        }
    }
}

/// INSERTs that wait for the end of the script.
struct Pending {
    outputs: Vec<JobOutput>,
    settings: Settings,
    position: TextPosition,
}

impl Session {
    /// Runs a script.
    ///
    /// # Errors
    /// [`ScriptError::Statement`] for text that does not parse and statements that are wrong; what the observer
    /// returns.
    pub fn run_script(&mut self, sql: &str, observer: &mut dyn Observer) -> Result<(), ScriptError> {
        let statements = self.parse(sql)?;
        let mut pending: Option<Pending> = None;
        for statement in &statements {
            self.refresh();
            if self.starts_pending(statement) {
                self.run_pending(&mut pending, observer)?;
            }
            let waits = self.output_of(statement).map_err(|e| e.at(statement.position))?;
            let waits = waits.map(|output| JobOutput { position: Some(statement.position), ..output });
            match waits {
                Some(output) => self.wait(&mut pending, statement, output)?,
                None => self.run_now(statement, observer)?,
            }
        }
        self.run_pending(&mut pending, observer)
    }

    /// What is to be written at the end of the script; `None` for a statement that is executed at once. CREATE TABLE
    /// AS makes its table here.
    fn output_of(&mut self, statement: &Statement) -> Result<Option<JobOutput>, SqlError> {
        match &statement.kind {
            StatementKind::Insert(insert) if !self.keeps(&insert.table) => self.insert_output(insert).map(Some),
            StatementKind::CreateTable { name, table, query: Some(query), .. }
                if !table.is_kept() && self.create_table(statement)? =>
            {
                self.table_output(&self.place(name)?, Vec::new(), query, None).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn wait(&self, pending: &mut Option<Pending>, statement: &Statement, output: JobOutput) -> Result<(), SqlError> {
        let pending = pending.get_or_insert_with(|| Pending {
            outputs: Vec::new(),
            settings: self.settings().clone(),
            position: statement.position,
        });
        if let Some(name) = pending.settings.difference(self.settings()) {
            let message = format!("setting '{name}' changed between INSERTs, which run as one job");
            return Err(SqlError::new(SqlError::INVALID, message)
                .with_hint("put SET before the first INSERT, or run the INSERTs as scripts of their own")
                .at(statement.position));
        }
        pending.outputs.push(output);
        Ok(())
    }

    /// Must INSERTs that wait be done before this?
    fn starts_pending(&self, statement: &Statement) -> bool {
        match &statement.kind {
            StatementKind::Select(_)
            | StatementKind::StatementSet(_)
            | StatementKind::CreateMaterializedView { .. }
            | StatementKind::CreateSink { .. }
            | StatementKind::Drop { .. }
            | StatementKind::Alter(_)
            | StatementKind::Schema(SchemaStatement::Drop { .. } | SchemaStatement::Rename { .. })
            | StatementKind::Update(_)
            | StatementKind::Delete(_)
            | StatementKind::Flush => true,
            StatementKind::Insert(insert) => self.keeps(&insert.table),
            StatementKind::CreateTable { or_replace, query, table, .. } => {
                *or_replace || (query.is_some() && table.is_kept())
            }
            StatementKind::CreateView { or_replace, .. } => *or_replace,
            _ => false,
        }
    }

    fn run_now(&mut self, statement: &Statement, observer: &mut dyn Observer) -> Result<(), ScriptError> {
        told(self.execute(statement)?, observer)
    }

    fn run_pending(&mut self, pending: &mut Option<Pending>, observer: &mut dyn Observer) -> Result<(), ScriptError> {
        let Some(Pending { outputs, settings, position }) = pending.take() else { return Ok(()) };
        let now = std::mem::replace(self.settings_mut(), settings);
        let started = self.start(outputs).map_err(|e| e.at(position));
        *self.settings_mut() = now;
        told(started?, observer)
    }
}

fn told(outcome: Outcome, observer: &mut dyn Observer) -> Result<(), ScriptError> {
    match outcome {
        Outcome::Done(message) | Outcome::Changed { message, .. } => {
            observer.done(&message);
            Ok(())
        }
        Outcome::Noted(message) => {
            observer.note(&message);
            Ok(())
        }
        Outcome::Listing(listing) | Outcome::Returned(listing) => observer.listing(&listing),
        Outcome::Job(job) => observer.job(*job),
    }
}
