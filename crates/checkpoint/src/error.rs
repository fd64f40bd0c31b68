use std::path::Path;

/// What can go wrong with checkpoints. Paths are those of files, or keys within an object store.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// A location that is none.
    #[error("checkpoint location '{location}': {message}")]
    Location {
        /// As it was given.
        location: String,
        /// What is wrong with it.
        message: String,
    },
    /// A file or directory cannot be read or written.
    #[error("{path}: {error}")]
    Io {
        /// Which.
        path: String,
        /// The system's word.
        #[source]
        error: std::io::Error,
    },
    /// What was written may not have reached the disk, and cannot be made sure of any more.
    #[error("{path} cannot be brought to the disk: {error}")]
    Unsynced {
        /// The file or directory.
        path: String,
        /// The system's word.
        #[source]
        error: std::io::Error,
    },
    /// The object store refused, or cannot be reached.
    #[error("{path}: {error}")]
    Store {
        /// The object.
        path: String,
        /// The store's word.
        #[source]
        error: object_store::Error,
    },
    /// Bytes that are not those that were written.
    #[error("{path} is damaged: {message}")]
    Corrupt {
        /// The file.
        path: String,
        /// What does not fit.
        message: String,
    },
    /// A file of another version of the format.
    #[error("{path} is of version {version} of the format; this program reads version {}", crate::manifest::VERSION)]
    Version {
        /// The file.
        path: String,
        /// What it says it is.
        version: u32,
    },
    /// There is a savepoint where one is to be made.
    #[error("{path} is there already")]
    SavepointThere {
        /// The manifest.
        path: String,
    },
    /// There is no savepoint.
    #[error("{path} holds no savepoint")]
    NoSavepoint {
        /// The place.
        path: String,
    },
    /// The checkpoint is there already: another process runs the same job.
    #[error("{path} is there already: another process writes checkpoints of this job")]
    Taken {
        /// The manifest.
        path: String,
    },
}

impl CheckpointError {
    pub(crate) fn io(path: &Path, error: std::io::Error) -> Self {
        Self::Io { path: path.display().to_string(), error }
    }

    pub(crate) fn unsynced(path: &Path, error: std::io::Error) -> Self {
        Self::Unsynced { path: path.display().to_string(), error }
    }

    pub(crate) fn corrupt(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Corrupt { path: path.into(), message: message.into() }
    }

    /// True when what is stored is at fault, and not the way to it: then another checkpoint may do.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Corrupt { .. } => true,
            Self::Io { error, .. } => {
                matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::UnexpectedEof)
            }
            Self::Store { error, .. } => matches!(error, object_store::Error::NotFound { .. }),
            _ => false,
        }
    }

    /// True when the job must not go on as it is: what it did is not known to be durable, or is another's to do.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Taken { .. } | Self::Unsynced { .. })
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Location { .. } => Some("give a directory, or a URL such as s3://bucket/path"),
            Self::Taken { .. } => Some("end the other process, or give this job another name (SET 'pipeline.name')"),
            Self::SavepointThere { .. } => Some("give another place, or delete the savepoint that is there"),
            Self::NoSavepoint { .. } => Some(
                "give the place that `eddyline savepoint` has told: a directory with a file 'manifest', or its URL",
            ),
            Self::Version { .. } => Some("run the version of the program that wrote it"),
            Self::Io { error, .. } | Self::Unsynced { error, .. }
                if error.kind() == std::io::ErrorKind::StorageFull =>
            {
                Some("free some disk space")
            }
            Self::Unsynced { .. } => Some("look at the disk and the system's log: it may be failing"),
            _ => None,
        }
    }
}
