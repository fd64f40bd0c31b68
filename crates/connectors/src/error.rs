use arrow::error::ArrowError;
use eddyline_stores::OutOfReach;

/// What can go wrong with connectors and formats. Every message names the table, file, endpoint or option.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// An option is missing, unknown or has a value that does not fit (class: user).
    #[error("{message}")]
    Option {
        /// What is wrong, naming the option.
        message: String,
        /// What to write instead: the valid options or values.
        hint: String,
    },
    /// A place that this engine's users may not name (class: user).
    #[error("{}", .0)]
    OutOfReach(OutOfReach),
    /// The connector cannot do what is asked (class: unsupported).
    #[error("{message}")]
    Unsupported {
        /// What is asked.
        message: String,
        /// What can be done instead.
        hint: String,
    },
    /// A row that cannot be decoded (class: user).
    #[error("{place}: {message}{}", .column.as_ref().map(|c| format!(" (column {c}, value {:?})", .value)).unwrap_or_default())]
    Row {
        /// File and line, or split and position.
        place: String,
        /// The column, when it is known.
        column: Option<String>,
        /// The value as it stands in the input, shortened to 200 bytes.
        value: String,
        /// What is wrong with it.
        message: String,
    },
    /// A file or an endpoint cannot be read or written (class: external).
    #[error("{place}: {source}")]
    Io {
        /// The path or address.
        place: String,
        /// The system's word.
        source: std::io::Error,
    },
    /// A file is not what its format says (class: user).
    #[error("{place}: {message}")]
    Format {
        /// The path.
        place: String,
        /// What is wrong.
        message: String,
    },
    /// More is held in memory than there may be (class: resource).
    #[error("{what} takes more than {max_bytes} bytes of memory, which is what a query may")]
    Memory {
        /// What is held.
        what: &'static str,
        /// How much may be.
        max_bytes: usize,
    },
    /// An Arrow kernel refused (class: bug).
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    /// Batches that do not fit together (class: bug).
    #[error(transparent)]
    Changes(#[from] eddyline_changes::ChangeError),
}

impl From<OutOfReach> for ConnectorError {
    fn from(why: OutOfReach) -> Self {
        ConnectorError::OutOfReach(why)
    }
}

impl ConnectorError {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<&str> {
        match self {
            ConnectorError::Option { hint, .. } | ConnectorError::Unsupported { hint, .. } => {
                (!hint.is_empty()).then_some(hint)
            }
            ConnectorError::OutOfReach(why) => Some(why.hint),
            ConnectorError::Memory { .. } => Some("ask for less at once, or start the server with more --query-memory"),
            ConnectorError::Row { .. } => {
                Some("correct the row, or set '<format>.ignore-parse-errors' = 'true' to skip and count such rows")
            }
            _ => None,
        }
    }
}
