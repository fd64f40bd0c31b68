use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What can go wrong with a journal.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// A file cannot be read or written.
    #[error("{}: {error}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The system's word.
        #[source]
        error: Arc<io::Error>,
    },
    /// Records that were acknowledged are not there as they were written.
    #[error("{} is damaged at byte {at}: {message}", .path.display())]
    Corrupt {
        /// The segment.
        path: PathBuf,
        /// Where.
        at: u64,
        /// What does not fit.
        message: String,
    },
    /// Another process has it open.
    #[error("{} is held by another process", .path.display())]
    Locked {
        /// The lock.
        path: PathBuf,
    },
    /// A record that is too long.
    #[error("a record of {size_bytes} bytes is longer than {max_bytes}")]
    TooLarge {
        /// Its size.
        size_bytes: usize,
        /// The most there may be.
        max_bytes: usize,
    },
    /// It was closed.
    #[error("the journal is closed")]
    Closed,
    /// An earlier write failed; the journal must be opened again.
    #[error("the journal takes nothing more since a write failed: {error}")]
    Failed {
        /// What happened then.
        error: Box<JournalError>,
    },
}

impl JournalError {
    pub(crate) fn io(path: &Path, error: io::Error) -> Self {
        Self::Io { path: path.to_owned(), error: Arc::new(error) }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Io { error, .. } if error.kind() == io::ErrorKind::StorageFull => Some("free some disk space"),
            Self::Corrupt { .. } => Some("bring the file back from a copy; the disk may be failing"),
            Self::Locked { .. } => Some("end the other process"),
            Self::TooLarge { .. } => Some("write fewer rows at a time"),
            Self::Failed { error } => error.hint(),
            Self::Io { .. } | Self::Closed => None,
        }
    }
}
