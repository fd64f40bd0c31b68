use arrow::error::ArrowError;

/// What can go wrong with change batches themselves.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// A batch was put together from parts that do not fit.
    #[error("change batch: {0}")]
    Shape(String),
    /// A change table of a test could not be read.
    #[error("change table, line {line}: {message}")]
    Table {
        /// Line in the text, from 1.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// An Arrow kernel refused.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}
