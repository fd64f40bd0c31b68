use arrow::error::ArrowError;
use datafusion_common::DataFusionError;
use eddyline_changes::ChangeError;
use eddyline_functions::aggregate::AggregateError;
use eddyline_state::StateError;

/// What can go wrong in an operator.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// An expression failed on a row: division by zero, overflow, a cast.
    #[error("{0}")]
    Expression(#[from] DataFusionError),
    /// An aggregate failed.
    #[error("{0}")]
    Aggregate(#[from] AggregateError),
    /// A retraction came for a row that is not there: a fault here or in a source.
    #[error("{operator}: a row is retracted that was never inserted: {row}")]
    Retraction {
        /// The operator.
        operator: &'static str,
        /// The row, as text.
        row: String,
    },
    /// Two rows for one key of a table whose conflicts are errors.
    #[error("table {table}: several rows have the key ({key}): ({kept}) and ({other}), and ON CONFLICT is DO ERROR")]
    Conflict {
        /// The table.
        table: String,
        /// The key, as text.
        key: String,
        /// The row that is there.
        kept: String,
        /// Another one.
        other: String,
    },
    /// An event time so far off that no window can hold it.
    #[error("{operator}: event time {time_ms} ms (from 1970-01-01 on) is out of the range of windows")]
    TimeRange {
        /// The operator.
        operator: &'static str,
        /// The time; beyond what milliseconds can say it is the limit.
        time_ms: i64,
    },
    /// State cannot be read or written.
    #[error("{0}")]
    State(#[from] StateError),
    /// Batches that do not fit: a fault of the planner or of an operator.
    #[error("{0}")]
    Changes(#[from] ChangeError),
    /// An Arrow kernel refused.
    #[error("{0}")]
    Arrow(#[from] ArrowError),
    /// Nobody wants what the operator computes: its job was ended, or who takes its rows has failed and says why himself.
    #[error("the job is over")]
    Over,
    /// The spec asks for what this operator does not do: a fault of the planner.
    #[error("{operator}: {message}")]
    Spec {
        /// The operator.
        operator: &'static str,
        /// What.
        message: String,
    },
}
