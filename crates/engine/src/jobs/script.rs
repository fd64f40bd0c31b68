//! A text of definitions and INSERTs that is a job.
//!
//! It has names of its own: its tables and views are seen by nobody else, and it sees nobody's. So the text says all that the job is, it can be
//! run by `eddyline run` as well, and submitted again with other definitions.

use crate::beginning::{Beginning, Begins};
use crate::error::from_runtime;
use crate::settings::Settings;
use crate::{Engine, Outcome, RunningJob, ScriptError, Session};
use eddyline_catalog::Name;
use eddyline_planner::statement::{ExplainStage, Statement, StatementKind};
use eddyline_planner::{JobOutput, PlannedJob, SqlError, TextPosition};
use eddyline_runtime::{Alteration, alteration_of_plan, last_checkpoint};
use std::collections::BTreeMap;

/// See the module's page.
pub(super) struct Script {
    session: Session,
    outputs: Vec<JobOutput>,
    /// The settings where the INSERTs stand.
    settings: Settings,
    position: TextPosition,
}

impl Script {
    /// Reads a text, and executes its definitions.
    ///
    /// # Errors
    /// What is wrong with it, with the place in the text; what does not make a job.
    pub(super) fn read(engine: &Engine, sql: &str, settings: &BTreeMap<String, String>) -> Result<Self, SqlError> {
        let mut session = engine.session();
        for (key, value) in settings {
            session.check_setting(key, value)?;
            session.settings_mut().set(key, value)?;
        }
        let statements = session.parse(sql)?;
        let mut found: Option<Found> = None;
        for statement in &statements {
            let outputs = outputs_of(&mut session, statement).map_err(|e| e.at(statement.position))?;
            if let Some(outputs) = outputs {
                add(&mut found, outputs, statement, session.settings()).map_err(|e| e.at(statement.position))?;
            }
        }
        match found {
            Some(Found { outputs, settings, position, .. }) => Ok(Self { session, outputs, settings, position }),
            None => Err(SqlError::new(SqlError::INVALID, "the file starts no job")
                .with_hint("it needs an INSERT INTO a table with a connector, or a statement set")),
        }
    }

    /// `pipeline.name`, if it is set.
    pub(super) fn own_name(&self) -> Option<&str> {
        self.settings.pipeline_name()
    }

    /// Gives the job its name, and a directory for its checkpoints if it has not said where.
    ///
    /// # Errors
    /// A name that is none.
    pub(super) fn name(&mut self, name: &str, directory: Option<&str>) -> Result<(), SqlError> {
        *self.session.settings_mut() = self.settings.clone();
        let settings = self.session.settings_mut();
        settings.set("pipeline.name", name)?;
        if let (Some(directory), "") = (directory, settings.checkpoints_dir()) {
            settings.set("state.checkpoints.dir", directory)?;
        }
        self.settings = settings.clone();
        Ok(())
    }

    /// Does it keep checkpoints?
    pub(super) fn keeps_checkpoints(&self) -> bool {
        !self.settings.checkpoints_dir().is_empty()
    }

    /// Where, and how, its checkpoints are.
    pub(super) fn checkpoints_dir(&self) -> &str {
        self.settings.checkpoints_dir()
    }

    /// The last number that was given to one of its checkpoints; 0: it has none.
    ///
    /// # Errors
    /// Their place cannot be reached.
    pub(super) fn last_checkpoint(&self) -> Result<u64, SqlError> {
        let Beginning { name, checkpoints, .. } = self.beginning(&Begins::default())?;
        let Some(checkpoints) = checkpoints else { return Ok(0) };
        let tokio = &self.session.engine().rim().tokio;
        last_checkpoint(&name, &checkpoints, tokio).map_err(|e| from_runtime(&e))
    }

    /// What would become of the state that it would begin with, and of what; `None`: there is none.
    ///
    /// # Errors
    /// What cannot be planned; a place that cannot be read.
    pub(super) fn preview(&self, begins: &Begins) -> Result<Option<(String, Alteration)>, SqlError> {
        let found = self.session.previewed(self.outputs.clone(), &self.beginning(begins)?);
        found.map_err(|e| self.placed(e))
    }

    /// What would become of the state of a job of another text that goes on by this one.
    ///
    /// # Errors
    /// What cannot be planned.
    pub(super) fn preview_over(&self, before: &Self, begins: &Begins) -> Result<Alteration, SqlError> {
        Ok(alteration_of_plan(&before.plan(begins)?.dataflow, &self.plan(begins)?.dataflow))
    }

    fn plan(&self, begins: &Begins) -> Result<PlannedJob, SqlError> {
        let beginning = self.beginning(begins)?;
        let options = beginning.planned(self.session.planner_options());
        self.session.plan_with(self.outputs.clone(), &options).map_err(|e| e.at(self.position))
    }

    fn beginning(&self, begins: &Begins) -> Result<Beginning, SqlError> {
        let tables: Vec<&Name> = self.outputs.iter().filter_map(crate::session::written_table).collect();
        Beginning::of_inserts(self.session.engine(), self.session.settings(), &tables, begins)
            .map_err(ScriptError::into_error)
    }

    /// Starts the job.
    ///
    /// # Errors
    /// What cannot be planned or opened.
    pub(super) fn start(self, begins: Begins) -> Result<RunningJob, SqlError> {
        let Self { mut session, outputs, position, .. } = self;
        session.begins = begins;
        match session.start(outputs).map_err(|e| e.at(position).into_error())? {
            Outcome::Job(job) => Ok(*job),
            _ => Err(SqlError::new(SqlError::INTERNAL, "a job that was started is none")),
        }
    }

    /// What EXPLAIN shows of it.
    ///
    /// # Errors
    /// What cannot be planned.
    pub(super) fn explain(&self, stage: ExplainStage) -> Result<crate::Listing, SqlError> {
        let planned = self.session.plan(self.outputs.clone())?;
        Ok(crate::Listing::lines("plan", &planned.explain(stage)))
    }

    fn placed(&self, error: ScriptError) -> SqlError {
        error.at(self.position).into_error()
    }
}

/// What the statements so far have made of a job.
struct Found {
    outputs: Vec<JobOutput>,
    settings: Settings,
    position: TextPosition,
    is_set: bool,
}

/// Executes a definition, or says what a statement writes.
fn outputs_of(session: &mut Session, statement: &Statement) -> Result<Option<Vec<JobOutput>>, SqlError> {
    let executed = |session: &mut Session| session.execute(statement).map(|_| None).map_err(ScriptError::into_error);
    match &statement.kind {
        StatementKind::CreateTable { name, table, .. } if table.is_kept() => Err(refused(
            &format!("table {name} has no connector"),
            "give it one: WITH ('connector' = …); tables of the server are changed by statements, and views of them made, over psql",
        )),
        StatementKind::CreateTable { name, query: Some(query), .. } => match session.create_table(statement)? {
            true => Ok(Some(vec![session.table_output(&session.place(name)?, Vec::new(), query, None)?])),
            false => Ok(None),
        },
        StatementKind::CreateTable { .. }
        | StatementKind::CreateView { .. }
        | StatementKind::Drop { .. }
        | StatementKind::Schema(_)
        | StatementKind::Set { .. }
        | StatementKind::Reset(_) => executed(session),
        StatementKind::Insert(_) | StatementKind::StatementSet(_) => session.explained_outputs(statement).map(Some),
        StatementKind::CreateMaterializedView { .. } => Err(refused(
            "CREATE MATERIALIZED VIEW in a file that is submitted",
            "make it over psql: it belongs to the server, and all its clients read it",
        )),
        StatementKind::Select(_) => Err(refused(
            "a SELECT in a file that is submitted: nobody would see its result",
            "INSERT INTO a table with a connector, or use `eddyline run`",
        )),
        _ => Err(refused("this statement in a file that is submitted", "it may have definitions, SET and INSERTs")),
    }
}

/// INSERTs are one job together, and a statement set is one by itself.
fn add(
    found: &mut Option<Found>,
    mut outputs: Vec<JobOutput>,
    statement: &Statement,
    settings: &Settings,
) -> Result<(), SqlError> {
    outputs.iter_mut().for_each(|output| output.position = Some(statement.position));
    let is_set = matches!(statement.kind, StatementKind::StatementSet(_));
    let Some(found) = found else {
        *found = Some(Found { outputs, settings: settings.clone(), position: statement.position, is_set });
        return Ok(());
    };
    if is_set || found.is_set {
        return Err(refused(
            "a file with several jobs",
            "a statement set is a job: submit what stands beside it as a file of its own",
        ));
    }
    if let Some(name) = found.settings.difference(settings) {
        let message = format!("setting '{name}' changed between INSERTs, which run as one job");
        return Err(SqlError::new(SqlError::INVALID, message).with_hint("put SET before the first INSERT"));
    }
    found.outputs.append(&mut outputs);
    Ok(())
}

fn refused(what: &str, hint: &str) -> SqlError {
    SqlError::new(SqlError::UNSUPPORTED, what).with_hint(hint)
}
