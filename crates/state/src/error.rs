use arrow::error::ArrowError;

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
