use arrow::error::ArrowError;
use std::io;
use std::path::{Path, PathBuf};

/// What can go wrong with state.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Stored bytes are not what was written: the state is damaged or of another version.
    #[error("state table {table}: {message}")]
    Corrupt {
        /// The table.
        table: String,
        /// What does not fit.
        message: String,
    },
    /// A file of the state is not what was written: it is damaged, cut short, or of another version.
    #[error("state file {}: {message}", path.display())]
    CorruptFile {
        /// The file, or the directory of the store that it belongs to.
        path: PathBuf,
        /// What does not fit.
        message: String,
    },
    /// The system refused to read or write a file of the state.
    #[error("state file {}: {source}", path.display())]
    Io {
        /// The file, or the directory of the store that it belongs to.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An entry of several GiB.
    #[error("an entry of the state is larger than 4 GiB")]
    TooLarge,
    /// A key of a type that state tables do not take.
    #[error("state table {table}: key of type {data_type} is not supported")]
    KeyType {
        /// The table.
        table: String,
        /// The type.
        data_type: String,
    },
    /// An Arrow kernel refused.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}

impl StateError {
    /// The state is not what was written, so reading it again does not help: an older checkpoint may.
    pub fn is_corruption(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::CorruptFile { .. })
    }

    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }

    pub(crate) fn corrupt_file(path: &Path, message: impl Into<String>) -> Self {
        Self::CorruptFile { path: path.into(), message: message.into() }
    }
}
