use std::io;
use std::path::{Path, PathBuf};

/// What can go wrong on the way to a job.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// No process runs the job.
    #[error("no job '{job}' runs here{}", others(.running))]
    NoJob {
        /// The job.
        job: String,
        /// The jobs that run.
        running: Vec<String>,
    },
    /// The directory of the sockets cannot be used.
    #[error("{}: {message}", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A socket or its lock cannot be made or reached.
    #[error("{}: {error}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The system's word.
        #[source]
        error: io::Error,
    },
    /// The connection broke.
    #[error("the connection to the job broke: {0}")]
    Connection(#[source] io::Error),
    /// The process was gone before it answered.
    #[error("the job's process ended before it answered")]
    HungUp,
    /// Something else than what was expected came.
    #[error("the job's process speaks another language: {message}")]
    Protocol {
        /// What does not fit.
        message: String,
    },
}

impl ControlError {
    pub(crate) fn io(path: &Path, error: io::Error) -> Self {
        Self::Io { path: path.into(), error }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoJob { .. } => Some(
                "a job is called by its 'pipeline.name', else by the name of its SQL file, with a dot and the table's when it \
                 writes one; a SELECT has no name unless it is given one",
            ),
            Self::Directory { .. } => Some("set EDDYLINE_RUNTIME_DIR to a directory of your own, for both processes"),
            Self::Protocol { .. } => Some("use the same version of eddyline for both"),
            _ => None,
        }
    }
}

fn others(running: &[String]) -> String {
    match running {
        [] => String::new(),
        running => format!("; these do: {}", running.join(", ")),
    }
}
