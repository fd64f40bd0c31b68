use crate::ControlError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;

/// The longest line that is read.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// What is asked of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "lowercase")]
pub enum Request {
    /// Who are you?
    About,
    /// Make a savepoint and go on.
    Savepoint {
        /// Where.
        place: Target,
    },
    /// End at a barrier; answered when the job is over.
    Stop {
        /// With a savepoint there.
        savepoint: Option<Target>,
        /// Let event time go to its end before.
        drain: bool,
    },
}

/// Where a savepoint is to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// Just there.
    Path(String),
    /// In this directory, under a name of its own.
    Dir(String),
    /// Where the job's settings say.
    Default,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// To [`Request::About`].
    Job {
        /// The job's name.
        name: String,
        /// The process.
        pid: u32,
    },
    /// It is made.
    Savepoint(SavepointFacts),
    /// The job is over.
    Stopped {
        /// What was made of its end.
        savepoint: Option<SavepointFacts>,
    },
    /// It could not be done.
    Failed {
        /// Why.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
}

/// A savepoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavepointFacts {
    /// Where it is.
    pub location: String,
    /// The epoch that it ends.
    pub epoch: u64,
    /// Its size.
    pub size_bytes: u64,
}

pub(crate) fn send(mut to: &UnixStream, message: &impl Serialize) -> Result<(), ControlError> {
    let mut line = serde_json::to_vec(message).map_err(|e| ControlError::Protocol { message: e.to_string() })?;
    line.push(b'\n');
    to.write_all(&line).map_err(ControlError::Connection)
}

pub(crate) fn receive<T: DeserializeOwned>(from: &UnixStream) -> Result<T, ControlError> {
    let mut line = String::new();
    BufReader::new(from.take(LINE_BYTES_MAX)).read_line(&mut line).map_err(ControlError::Connection)?;
    if line.is_empty() {
        return Err(ControlError::HungUp);
    }
    serde_json::from_str(&line).map_err(|e| ControlError::Protocol { message: e.to_string() })
}
