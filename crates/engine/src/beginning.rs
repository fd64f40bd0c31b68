//! Where a job will begin: what must be known of it before its query is planned.
//!
//! How aggregates are cut into phases depends on the number of shards, and state belongs to the operators of a plan. So a job that goes on
//! from state, on however many shards, is planned in phases or not as it was when it began.

use crate::error::from_runtime;
use crate::{Engine, ScriptError, Settings};
use eddyline_catalog::Name;
use eddyline_planner::{PlannerOptions, SqlError};
use eddyline_runtime::{CheckpointSettings, JobLog, SavepointTarget, planned_in_phases};

/// How a session wants its next job to begin, beside what the engine is told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Begins {
    /// At this savepoint.
    pub(crate) from: Option<String>,
    /// Also where state of another query is lost.
    pub(crate) allow_dropped_state: bool,
    /// Without state, when there are checkpoints and none of them is whole.
    pub(crate) allow_fresh: bool,
    /// That is allowed over checkpoints up to this number; `None`: over all that there are.
    pub(crate) allowed_until: Option<u64>,
    /// What has happened to the job before, and will.
    pub(crate) log: JobLog,
}

/// See the module's page.
#[derive(Debug)]
pub(crate) struct Beginning {
    /// The job's name.
    pub(crate) name: String,
    /// It can be reached by its name from other processes, and savepoints can be made of it.
    pub(crate) is_named: bool,
    pub(crate) checkpoints: Option<CheckpointSettings>,
    pub(crate) from: Option<SavepointTarget>,
    pub(crate) in_phases: bool,
    pub(crate) allow_dropped_state: bool,
    /// What is allowed is so over checkpoints up to this number.
    pub(crate) allowed_until: u64,
    pub(crate) log: JobLog,
    /// It keeps a view up to date: what it has is the engine's, and no query's.
    pub(crate) is_kept_up: bool,
    /// Pictures of its state are asked for, to be stored.
    pub(crate) is_pictured: bool,
}

impl Beginning {
    /// Of a job that writes `tables`.
    ///
    /// # Errors
    /// The savepoint that it is to begin at cannot be read, nor the place of its checkpoints.
    pub(crate) fn of_inserts(
        engine: &Engine,
        settings: &Settings,
        tables: &[&Name],
        begins: &Begins,
    ) -> Result<Self, ScriptError> {
        let name = name_of_inserts(engine, settings, tables);
        let from = match &begins.from {
            Some(from) => Some(engine.savepoint_at(from)?),
            None => engine.take_savepoint()?,
        };
        let checkpoints = engine.checkpoints(settings).map(|checkpoints| CheckpointSettings {
            allow_fresh: checkpoints.allow_fresh || begins.allow_fresh,
            ..checkpoints
        });
        let found = Self::found(engine, settings, name, checkpoints, from)?;
        let allow_dropped_state = found.allow_dropped_state || begins.allow_dropped_state;
        let allowed_until = begins.allowed_until.unwrap_or(u64::MAX);
        Ok(Self { allow_dropped_state, allowed_until, log: begins.log.clone(), ..found })
    }

    /// Of a job that writes `tables` and is not started, if it began at the savepoint `from`, or as the engine is told.
    ///
    /// # Errors
    /// As [`of_inserts`](Self::of_inserts).
    pub(crate) fn imagined(
        engine: &Engine,
        settings: &Settings,
        tables: &[&Name],
        from: Option<&str>,
    ) -> Result<Self, ScriptError> {
        let name = name_of_inserts(engine, settings, tables);
        let from = from.map(|from| engine.savepoint_at(from)).transpose()?.or_else(|| engine.savepoint());
        Self::found(engine, settings, name, engine.checkpoints(settings), from)
    }

    /// Of a SELECT. Who looks at a result asks again after a failure, so it keeps no checkpoints.
    ///
    /// # Errors
    /// As [`of_inserts`](Self::of_inserts).
    pub(crate) fn of_select(engine: &Engine, settings: &Settings, shards: usize) -> Result<Self, ScriptError> {
        match settings.pipeline_name() {
            Some(name) => Self::found(engine, settings, name.to_owned(), None, engine.take_savepoint()?),
            None => Ok(Self::afresh("select".into(), shards > 1)),
        }
    }

    /// Of a job that nobody reaches by its name, and that has no state to go on from.
    pub(crate) fn afresh(name: String, in_phases: bool) -> Self {
        let (checkpoints, from, log) = (None, None, JobLog::default());
        let (allow_dropped_state, is_kept_up, is_pictured) = (false, false, false);
        Self {
            name,
            is_named: false,
            checkpoints,
            from,
            in_phases,
            allow_dropped_state,
            allowed_until: u64::MAX,
            log,
            is_kept_up,
            is_pictured,
        }
    }

    fn found(
        engine: &Engine,
        settings: &Settings,
        name: String,
        checkpoints: Option<CheckpointSettings>,
        from: Option<SavepointTarget>,
    ) -> Result<Self, ScriptError> {
        let planned = planned_in_phases(&name, checkpoints.as_ref(), from.as_ref(), &engine.rim().tokio);
        let planned = planned.map_err(|e| ScriptError::Job(from_runtime(&e)))?;
        let shards = settings.shards().unwrap_or(engine.shards());
        let (allow_dropped_state, log) = (engine.allows_dropped_state(), JobLog::default());
        let in_phases = planned.unwrap_or(shards > 1);
        let (is_kept_up, is_pictured) = (false, false);
        Ok(Self {
            name,
            is_named: true,
            checkpoints,
            from,
            in_phases,
            allow_dropped_state,
            allowed_until: u64::MAX,
            log,
            is_kept_up,
            is_pictured,
        })
    }

    /// The options of a plan that fits the state.
    pub(crate) fn planned(&self, options: PlannerOptions) -> PlannerOptions {
        let shards = if self.in_phases { options.shards.max(2) } else { options.shards };
        PlannerOptions { two_phase: self.in_phases, shards, ..options }
    }
}

fn name_of_inserts(engine: &Engine, settings: &Settings, tables: &[&Name]) -> String {
    match (settings.pipeline_name(), engine.program(), tables) {
        (Some(name), ..) => name.to_owned(),
        // One program may have several jobs, with a table each.
        (None, Some(program), [table]) => format!("{program}.{table}"),
        (None, Some(program), _) => program.to_owned(),
        (None, None, []) => "select".into(),
        (None, None, [table]) => format!("insert-into {table}"),
        (None, None, tables) => format!("{} inserts", tables.len()),
    }
}

/// A savepoint can be begun at by one job alone.
pub(crate) fn second_from() -> SqlError {
    SqlError::new(SqlError::INVALID, "one savepoint cannot be the beginning of several jobs")
        .with_detail("the script starts more than one job, and the savepoint is that of one")
        .with_hint("put what belongs to the savepoint into a script of its own")
}
