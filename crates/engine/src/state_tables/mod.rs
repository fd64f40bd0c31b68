//! `STATE('job', 'operator')` in FROM: what an operator of a job keeps, as of a checkpoint of the job.
//!
//! The checkpoint is chosen when the statement is planned, the newest that is whole, and once for all tables of a statement that are of the
//! same job: they belong together. Its files are held by a [`Picture`] until the job of the statement is over, so the job that is
//! looked at may go on and delete them.

mod source;

pub(crate) use source::StateConnector;

use crate::Engine;
use crate::error::{from_checkpoint, from_runtime};
use eddyline_catalog::{Column, ColumnSource, Dialect, Table};
use eddyline_checkpoint::{CheckpointError, CheckpointStore, Place};
use eddyline_planner::SqlError;
use eddyline_runtime::{KeptTable, Picture, RuntimeError};
use source::{NUMBER, STATE};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The tables that a statement reads of the state of jobs. They can be read while this is held.
pub(crate) struct StateTables {
    engine: Engine,
    /// `state.checkpoints.dir`; empty: none.
    location: String,
    made: Mutex<Made>,
}

#[derive(Default)]
struct Made {
    /// By what the statement calls the job.
    pictures: BTreeMap<String, Arc<Picture>>,
    tables: BTreeMap<(String, String), (Arc<Table>, Arc<StateTable>)>,
}

/// One of them.
pub(crate) struct StateTable {
    picture: Arc<Picture>,
    kept: KeptTable,
}

/// Why there is no picture.
enum Missing {
    Checkpoint(CheckpointError),
    Runtime(RuntimeError),
    /// There is no such job; those that there are.
    Job(Vec<String>),
}

impl From<CheckpointError> for Missing {
    fn from(error: CheckpointError) -> Self {
        Self::Checkpoint(error)
    }
}

impl From<RuntimeError> for Missing {
    fn from(error: RuntimeError) -> Self {
        Self::Runtime(error)
    }
}

impl StateTables {
    /// Those of a statement, none yet; jobs are looked for in `location`.
    pub(crate) fn new(engine: &Engine, location: &str) -> Arc<Self> {
        Arc::new(Self { engine: engine.clone(), location: location.into(), made: Mutex::default() })
    }

    /// Does the statement read any?
    pub(crate) fn are_read(&self) -> bool {
        !self.made.lock().unwrap_or_else(PoisonError::into_inner).tables.is_empty()
    }

    /// `STATE(job, operator)`.
    ///
    /// # Errors
    /// There is no such job, checkpoint or operator, or it cannot be read.
    pub(crate) fn table(&self, job: &str, operator: &str) -> Result<Arc<Table>, SqlError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let named = (job.to_owned(), operator.to_owned());
        if let Some((table, _)) = made.tables.get(&named) {
            return Ok(table.clone());
        }
        let picture = match made.pictures.get(job) {
            Some(picture) => picture.clone(),
            None => {
                let picture = Arc::new(self.picture(job)?);
                made.pictures.insert(job.to_owned(), picture.clone());
                picture
            }
        };
        let kept = picture.table(operator).ok_or_else(|| no_operator(&picture, job, operator))?;
        let state = Arc::new(StateTable { picture, kept });
        let number = self.engine.states().add(&state);
        let table = Arc::new(definition(job, operator, number, &state.kept));
        made.tables.insert(named, (table.clone(), state));
        Ok(table)
    }

    fn picture(&self, job: &str) -> Result<Picture, SqlError> {
        // With its place before it, or a name alone.
        if job.contains('/') {
            self.engine.check_place(job)?;
        }
        // Who asks may be on a thread that must not wait for a store.
        let found = std::thread::scope(|scope| scope.spawn(|| self.found(job)).join());
        let found = found.map_err(|_| SqlError::new(SqlError::INTERNAL, "reading a checkpoint panicked"))?;
        found.map_err(|missing| match missing {
            Missing::Checkpoint(error) => from_checkpoint(&error),
            Missing::Runtime(error) => from_runtime(&error),
            Missing::Job(known) => self.no_job(job, &known),
        })
    }

    fn found(&self, job: &str) -> Result<Picture, Missing> {
        let mut known = Vec::new();
        if !self.location.is_empty() {
            let place = self.place(&self.location)?;
            if let Some(picture) = Picture::of_job(&place, job)? {
                return Ok(picture);
            }
            // A directory that no job has made yet has no jobs.
            if place.directory().is_none_or(|directory| directory.exists()) {
                known = CheckpointStore::jobs(&place)?;
            }
        }
        let Some((directory, name)) = job.trim_end_matches('/').rsplit_once('/') else {
            return Err(Missing::Job(known));
        };
        if let Some(picture) = Picture::of_savepoint(&self.place(job)?)? {
            return Ok(picture);
        }
        let place = self.place(if directory.is_empty() { "/" } else { directory })?;
        if let Some(picture) = Picture::of_job(&place, name)? {
            return Ok(picture);
        }
        Err(Missing::Job(CheckpointStore::jobs(&place)?))
    }

    fn place(&self, location: &str) -> Result<Place, CheckpointError> {
        let environment = self.engine.environment().iter().map(|(k, v)| (k.clone(), v.clone()));
        Place::parse(location, environment, &self.engine.rim().tokio)
    }

    fn no_job(&self, job: &str, known: &[String]) -> SqlError {
        let error = SqlError::new(SqlError::UNDEFINED_TABLE, format!("STATE: job '{job}' has no checkpoints"));
        let hint = match (known.is_empty(), self.location.is_empty()) {
            (false, _) => format!("jobs that have some are: {}", known.join(", ")),
            (true, false) => format!(
                "no job has any in {}; SET 'state.checkpoints.dir', or write STATE('directory/job', …) or the path of a savepoint",
                self.location
            ),
            (true, true) => {
                "SET 'state.checkpoints.dir', or write STATE('directory/job', …) or the path of a savepoint".into()
            }
        };
        error.with_hint(hint)
    }
}

fn no_operator(picture: &Picture, job: &str, operator: &str) -> SqlError {
    let message = match picture.has(operator) {
        true => format!("STATE: what {operator} of job '{job}' keeps cannot be read as a table"),
        false => format!("STATE: job '{job}' has no operator '{operator}' whose state can be read"),
    };
    let readable: Vec<String> = picture.readable().collect();
    SqlError::new(SqlError::UNDEFINED_TABLE, message)
        .with_detail(format!(
            "{}; what GROUP BY, DISTINCT, windows, joins and set operations (either side), Top-N, OVER, conditions on the time now and changes by a key keep can be read",
            picture.name()
        ))
        .with_hint(match readable.is_empty() {
            true => "none of its operators can be read; `eddyline state show` lists all".to_owned(),
            false => format!("operators that can be read are: {}", readable.join(", ")),
        })
}

fn definition(job: &str, operator: &str, number: u64, kept: &KeptTable) -> Table {
    let columns = kept.schema().fields().iter().map(|field| Column {
        name: field.name().clone(),
        data_type: field.data_type().clone(),
        nullable: true,
        source: ColumnSource::Physical,
        comment: None,
        default: None,
    });
    Table {
        name: format!("STATE('{job}', '{operator}')").into(),
        columns: columns.collect(),
        primary_key: Vec::new(),
        watermark: None,
        options: BTreeMap::from([("connector".to_owned(), STATE.to_owned()), (NUMBER.to_owned(), number.to_string())]),
        comment: None,
        temporary: true,
        is_source: false,
        dialect: Dialect::Flink,
    }
}
