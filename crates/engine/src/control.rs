//! What others may do to a job that runs: make savepoints of it, and end it.

use crate::Engine;
use crate::error::from_runtime;
use arrow::temporal_conversions::timestamp_ms_to_datetime;
use eddyline_planner::SqlError;
use eddyline_runtime::{JobHandle, SavepointMade, SavepointTarget};
use std::fmt::Write as _;

/// Where a savepoint is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SavepointPlace {
    /// Just here: a directory or a URL that holds none yet.
    Here(String),
    /// In this directory, under a name of its own.
    In(String),
    /// In `state.savepoints.dir`, under a name of its own.
    Default,
}

/// A job that runs, for other threads. Clones mean the same job; dropping them does nothing to it.
#[derive(Clone)]
pub struct JobControl {
    engine: Engine,
    name: String,
    directory: Option<String>,
    handle: JobHandle,
}

impl JobControl {
    pub(crate) fn new(engine: &Engine, name: &str, directory: Option<&str>, handle: &JobHandle) -> Self {
        let directory = directory.map(str::to_owned);
        Self { engine: engine.clone(), name: name.to_owned(), directory, handle: handle.clone() }
    }

    /// The job's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes a savepoint while the job goes on. Blocks until it is there.
    ///
    /// # Errors
    /// There is no place for it, or it cannot be written; the job ends before.
    pub fn savepoint(&self, place: &SavepointPlace) -> Result<SavepointMade, SqlError> {
        self.handle.savepoint(&self.target(place)?).map_err(|e| from_runtime(&e))
    }

    /// Ends the job at a barrier, with a savepoint if one is wanted. `drain`: before that, event time goes to its end, so
    /// that all that waits for it comes out. Blocks until the job is over.
    ///
    /// # Errors
    /// There is no place for the savepoint (then the job goes on), or it cannot be written; or the job fails.
    pub fn stop(&self, savepoint: Option<&SavepointPlace>, drain: bool) -> Result<Option<SavepointMade>, SqlError> {
        let made = match savepoint {
            Some(place) => Some(self.handle.stop_with_savepoint(&self.target(place)?, drain)),
            None if drain => {
                self.handle.drain();
                None
            }
            None => {
                self.handle.stop();
                None
            }
        };
        let made = made.transpose().map_err(|e| from_runtime(&e))?;
        self.handle.clone().wait().map_err(|e| from_runtime(&e))?;
        Ok(made)
    }

    fn target(&self, place: &SavepointPlace) -> Result<SavepointTarget, SqlError> {
        let within = |directory: &str| format!("{}/{}", directory.trim_end_matches('/'), self.fresh_name());
        let location = match (place, &self.directory) {
            (SavepointPlace::Here(location), _) => location.clone(),
            (SavepointPlace::In(directory), _) | (SavepointPlace::Default, Some(directory)) => within(directory),
            (SavepointPlace::Default, None) => {
                return Err(SqlError::new(SqlError::INVALID_PARAMETER, "there is no place for the savepoint")
                    .with_hint("give a path, or SET 'state.savepoints.dir' in the job's script"));
            }
        };
        self.engine.savepoint_at(&location)
    }

    /// `savepoint-<job>-<time>-<chance>`, in letters that any store takes.
    fn fresh_name(&self) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
        let mut name: String = "savepoint-".chars().chain(self.name.chars().map(plain)).collect();
        let now = timestamp_ms_to_datetime(self.engine.rim().clock.wall_ms());
        // Writing to a text cannot fail.
        let _ = match now {
            Some(now) => write!(name, "-{}", now.format("%Y%m%d-%H%M%S")),
            None => Ok(()),
        };
        let _ = write!(name, "-{:06x}", self.engine.next_seed() & 0xff_ffff);
        name
    }
}
