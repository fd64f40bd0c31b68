//! Errors of the crates below, as the one error at the edge.

use arrow::error::ArrowError;
use eddyline_catalog::CatalogError;
use eddyline_checkpoint::CheckpointError;
use eddyline_connectors::{ConnectorError, OutOfReach};
use eddyline_functions::aggregate::AggregateError;
use eddyline_functions::scalar::FunctionError;
use eddyline_planner::SqlError;
use eddyline_runtime::{ErrorClass, RuntimeError};
use std::error::Error;

/// SQLSTATEs of what goes wrong with rows and places, beside those of [`SqlError`].
pub(crate) mod state {
    /// What somebody may not do.
    pub(crate) const NOT_ALLOWED: &str = "42501";
    /// A name that stands for something else.
    pub(crate) const WRONG_OBJECT: &str = "42809";
    /// A value that does not read as its type.
    pub(crate) const INVALID_TEXT: &str = "22P02";
    /// A file that is not what its format says.
    pub(crate) const BAD_FORMAT: &str = "22P04";
    /// A number out of range.
    pub(crate) const OUT_OF_RANGE: &str = "22003";
    /// Any other fault of a value.
    pub(crate) const DATA: &str = "22000";
    /// More memory than a query may have.
    pub(crate) const OUT_OF_MEMORY: &str = "53200";
    /// Not enough memory, disk or threads.
    pub(crate) const RESOURCES: &str = "53000";
    /// Stored state is damaged.
    pub(crate) const CORRUPTED: &str = "XX001";
    /// A file or an endpoint that cannot be read or written.
    pub(crate) const IO: &str = "58030";
}

/// SQLSTATE of a sink whose reader is gone: `| head` has seen enough.
pub const NOBODY_READS: &str = "08006";

/// An error of the catalog.
#[expect(clippy::needless_pass_by_value, reason = "it is mapped over errors")]
pub(crate) fn from_catalog(error: CatalogError) -> SqlError {
    SqlError::of_catalog(&error)
}

/// A place that may not be named.
pub(crate) fn from_reach(why: &OutOfReach) -> SqlError {
    SqlError::new(state::NOT_ALLOWED, why.to_string()).with_hint(why.hint)
}

/// An error of a place where checkpoints are.
pub(crate) fn from_checkpoint(error: &CheckpointError) -> SqlError {
    let sqlstate = match error {
        CheckpointError::Location { .. } => SqlError::INVALID_PARAMETER,
        CheckpointError::Corrupt { .. } | CheckpointError::Version { .. } => state::CORRUPTED,
        _ => state::IO,
    };
    let told = SqlError::new(sqlstate, error.to_string());
    match error.hint() {
        Some(hint) => told.with_hint(hint),
        None => told,
    }
}

/// An error of a connector or a format.
pub(crate) fn from_connector(error: &ConnectorError) -> SqlError {
    let sqlstate = match error {
        ConnectorError::Option { .. } => SqlError::INVALID_PARAMETER,
        ConnectorError::Unsupported { .. } => SqlError::UNSUPPORTED,
        ConnectorError::OutOfReach(_) => state::NOT_ALLOWED,
        ConnectorError::Row { .. } => state::INVALID_TEXT,
        ConnectorError::Io { source, .. } if source.kind() == std::io::ErrorKind::BrokenPipe => NOBODY_READS,
        ConnectorError::Io { .. } => state::IO,
        ConnectorError::Memory { .. } => state::OUT_OF_MEMORY,
        ConnectorError::Format { .. } => state::BAD_FORMAT,
        ConnectorError::Arrow(e) => of_arrow(e),
        ConnectorError::Changes(_) => SqlError::INTERNAL,
    };
    let out = SqlError::new(sqlstate, error.to_string());
    match error.hint() {
        Some(hint) => out.with_hint(hint),
        None => out,
    }
}

/// An error of a job.
pub(crate) fn from_runtime(error: &RuntimeError) -> SqlError {
    if let (Some(own), RuntimeError::Operator { place, .. }) = (cause::<SqlError>(error), error) {
        // A row that breaks a constraint does so wherever it was computed.
        let place = place.as_ref().filter(|_| own.constraint.is_none());
        let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
        return SqlError { message: format!("{}{place}", own.message), ..own.clone() };
    }
    if let Some(of_value) = cause::<FunctionError>(error) {
        return SqlError::new(of_value.sqlstate, of_value.message.clone());
    }
    // Whose value it is, who computes it knows better than who reads of it.
    if let (Some(of_value), RuntimeError::Operator { .. }) =
        (cause::<ArrowError>(error).and_then(SqlError::of_kernel), error)
    {
        return of_value;
    }
    let sqlstate = match error {
        RuntimeError::Source { error, .. } | RuntimeError::Sink { error, .. } => from_connector(error).sqlstate,
        RuntimeError::Memory { .. } => state::OUT_OF_MEMORY,
        _ => of_class(error),
    };
    // Through how many crates an error came says nothing to who reads it.
    let out = SqlError::new(sqlstate, error.to_string().replace("Arrow error: ", ""));
    match error.hint() {
        Some(hint) => out.with_hint(hint),
        None => out,
    }
}

fn of_class(error: &RuntimeError) -> &'static str {
    match error.class() {
        ErrorClass::User => match (cause::<AggregateError>(error), cause(error)) {
            (Some(AggregateError::Overflow { .. }), _) => state::OUT_OF_RANGE,
            (_, Some(arrow)) => of_arrow(arrow),
            _ => SqlError::of_value_text(&error.to_string()).unwrap_or(state::DATA),
        },
        ErrorClass::Unsupported => SqlError::UNSUPPORTED,
        ErrorClass::External => state::IO,
        ErrorClass::Resource => state::RESOURCES,
        ErrorClass::Corruption => state::CORRUPTED,
        ErrorClass::Bug => SqlError::INTERNAL,
    }
}

/// The first error of a kind in the chain of causes.
fn cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// The SQLSTATE of an error of an Arrow kernel.
pub(crate) fn of_arrow(error: &ArrowError) -> &'static str {
    if let Some(state) = SqlError::of_value(error) {
        return state;
    }
    match error {
        ArrowError::ComputeError(_) | ArrowError::InvalidArgumentError(_) => state::DATA,
        ArrowError::IoError(..) => state::IO,
        _ => SqlError::INTERNAL,
    }
}
