use arrow::error::ArrowError;
use datafusion_common::DataFusionError;
use eddyline_checkpoint::CheckpointError;
use eddyline_connectors::ConnectorError;
use eddyline_functions::aggregate::AggregateError;
use eddyline_operators::OperatorError;
use eddyline_state::StateError;
use std::io::ErrorKind;
use std::sync::Arc;

/// What kind of trouble an error is: who must act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The user's SQL, settings or input rows.
    User,
    /// Something that is not there.
    Unsupported,
    /// Files, networks, other systems; trying again may help.
    External,
    /// Memory, disk, threads.
    Resource,
    /// Stored state is damaged.
    Corruption,
    /// A fault of the engine.
    Bug,
}

/// Why a job could not start or has failed. Sources of the error are shared, so that it can be told to everybody who asks.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RuntimeError {
    /// A setting that does not fit.
    #[error("setting {setting} {message}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// The plan cannot run: a fault of the planner.
    #[error("dataflow plan: {message}")]
    Plan {
        /// What does not fit.
        message: String,
    },
    /// A sink that cannot take back rows stands behind a query that does.
    #[error("table {table} takes only insertions, but the query also retracts rows ({reason})")]
    Retractions {
        /// The table that is written.
        table: String,
        /// Why the query retracts.
        reason: String,
    },
    /// A source failed.
    #[error("table {table}: {error}")]
    Source {
        /// The table.
        table: String,
        /// The split, when it was one.
        split: Option<String>,
        /// The shard, when it was on one.
        shard: Option<usize>,
        /// What happened.
        #[source]
        error: Arc<ConnectorError>,
    },
    /// A sink failed.
    #[error("table {table}: {error}")]
    Sink {
        /// The table.
        table: String,
        /// The shard, when it was on one.
        shard: Option<usize>,
        /// What happened.
        #[source]
        error: Arc<ConnectorError>,
    },
    /// An operator failed.
    #[error("{operator}: {error}{}", .place.as_ref().map(|p| format!(" ({p})")).unwrap_or_default())]
    Operator {
        /// Kind and number of the node, as EXPLAIN shows it.
        operator: String,
        /// The shard.
        shard: usize,
        /// Where in the input the rows stand, when they came straight from a source.
        place: Option<String>,
        /// What happened.
        #[source]
        error: Arc<OperatorError>,
    },
    /// A checkpoint cannot be written or read.
    #[error("checkpoint: {error}")]
    Checkpoint {
        /// What happened.
        #[source]
        error: Arc<CheckpointError>,
    },
    /// The state below the hot sets cannot be written or read.
    #[error("state: {error}")]
    State {
        /// What happened.
        #[source]
        error: Arc<StateError>,
    },
    /// There are checkpoints, but none that the job could begin at.
    #[error("no checkpoint of the job is whole: {}", .faults.join("; "))]
    NoCheckpoint {
        /// What is wrong with each, newest first.
        faults: Vec<String>,
    },
    /// The state is that of another query, and going on with this one would lose some of it.
    #[error("the state of job '{job}' is that of another query: {}", .losses.join("; "))]
    OtherState {
        /// The job's name.
        job: String,
        /// What would be lost.
        losses: Vec<String>,
    },
    /// The state is that of another query, and this one cannot go on from it.
    #[error("the state of job '{job}' is that of another query, which this one cannot go on from: {why}")]
    StateMisfit {
        /// The job's name.
        job: String,
        /// Why.
        why: String,
    },
    /// A checkpoint holds output that a sink has prepared, but the query writes that table no more.
    #[error(
        "output that was prepared for table {table} is not committed yet, but the query does not write it any more"
    )]
    HeldOutput {
        /// The table.
        table: String,
    },
    /// The job ended, or failed, before the savepoint was made.
    #[error("the job ended before the savepoint was made")]
    NoSavepoint,
    /// Another process works at the job.
    #[error("job '{job}' is run by another process (it holds {path})")]
    Locked {
        /// The job's name.
        job: String,
        /// The lock.
        path: String,
    },
    /// A job that keeps all its state in memory has more than it may.
    #[error("the state of this query takes {taken_bytes} bytes of memory, and {max_bytes} is what a query may")]
    Memory {
        /// What it takes.
        taken_bytes: usize,
        /// What it may take.
        max_bytes: usize,
    },
    /// The machine gave no thread.
    #[error("cannot start a thread: {message}")]
    Thread {
        /// The system's word.
        message: String,
    },
    /// A thread of the job panicked.
    #[error("{thread} panicked: {message}")]
    Panic {
        /// Which: a shard, the coordinator.
        thread: String,
        /// The panic's message.
        message: String,
    },
}

impl RuntimeError {
    /// Who must act.
    pub fn class(&self) -> ErrorClass {
        match self {
            RuntimeError::Setting { .. } => ErrorClass::User,
            RuntimeError::Retractions { .. } => ErrorClass::Unsupported,
            RuntimeError::Plan { .. } | RuntimeError::Panic { .. } => ErrorClass::Bug,
            RuntimeError::Thread { .. } | RuntimeError::Memory { .. } => ErrorClass::Resource,
            RuntimeError::Checkpoint { error } => of_checkpoint(error),
            RuntimeError::State { error } => of_state(error),
            RuntimeError::NoCheckpoint { .. } => ErrorClass::Corruption,
            RuntimeError::OtherState { .. }
            | RuntimeError::StateMisfit { .. }
            | RuntimeError::HeldOutput { .. }
            | RuntimeError::NoSavepoint
            | RuntimeError::Locked { .. } => ErrorClass::User,
            RuntimeError::Source { error, .. } | RuntimeError::Sink { error, .. } => of_connector(error),
            RuntimeError::Operator { error, .. } => of_operator(error),
        }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<&str> {
        match self {
            RuntimeError::Source { error, .. } | RuntimeError::Sink { error, .. } => error.hint(),
            RuntimeError::Retractions { .. } => {
                Some("write to a sink that takes updates, or aggregate over windows, whose results are final")
            }
            RuntimeError::Memory { .. } => Some(
                "ask for less at once; let an INSERT keep checkpoints (SET 'state.checkpoints.dir'), then its state may be on the disk; or start the server with more --query-memory",
            ),
            RuntimeError::Thread { .. } => Some("use fewer shards, or raise the limit of threads"),
            RuntimeError::Checkpoint { error } => error.hint(),
            RuntimeError::NoCheckpoint { .. } => {
                Some("bring the files back from a copy, or begin afresh, without the state, with --allow-fresh")
            }
            RuntimeError::OtherState { .. } => Some(
                "run the query as it was; or see with --dry-run what becomes of the state, and go on without what is lost with \
                 --allow-dropped-state; or give the changed query another name (SET 'pipeline.name') to begin afresh",
            ),
            RuntimeError::StateMisfit { .. } | RuntimeError::HeldOutput { .. } => Some(
                "run the query as it was, or give the changed one another name (SET 'pipeline.name') to begin afresh",
            ),
            RuntimeError::Locked { .. } => {
                Some("end the other process, or give this job another name (SET 'pipeline.name')")
            }
            RuntimeError::Plan { .. } | RuntimeError::Panic { .. } => {
                Some("this is a bug in Eddyline; please report it")
            }
            _ => None,
        }
    }
}

fn of_connector(error: &ConnectorError) -> ErrorClass {
    match error {
        ConnectorError::Unsupported { .. } => ErrorClass::Unsupported,
        ConnectorError::Io { .. } => ErrorClass::External,
        ConnectorError::Memory { .. } => ErrorClass::Resource,
        ConnectorError::Arrow(e) => of_arrow(e),
        ConnectorError::Changes(_) => ErrorClass::Bug,
        _ => ErrorClass::User,
    }
}

fn of_operator(error: &OperatorError) -> ErrorClass {
    match error {
        OperatorError::Expression(e) => of_datafusion(e),
        OperatorError::Aggregate(AggregateError::Overflow { .. } | AggregateError::Retraction { .. })
        | OperatorError::TimeRange { .. } => ErrorClass::User,
        OperatorError::Aggregate(AggregateError::Corrupt(_)) => ErrorClass::Corruption,
        OperatorError::Aggregate(AggregateError::Arrow(e)) | OperatorError::Arrow(e) => of_arrow(e),
        OperatorError::State(e) => of_state(e),
        _ => ErrorClass::Bug,
    }
}

fn of_state(error: &StateError) -> ErrorClass {
    match error {
        StateError::Corrupt { .. } | StateError::CorruptFile { .. } => ErrorClass::Corruption,
        StateError::Io { source, .. } if source.kind() == ErrorKind::StorageFull => ErrorClass::Resource,
        StateError::Io { .. } => ErrorClass::External,
        StateError::TooLarge => ErrorClass::Resource,
        StateError::Arrow(e) => of_arrow(e),
        StateError::KeyType { .. } => ErrorClass::Bug,
    }
}

fn of_checkpoint(error: &CheckpointError) -> ErrorClass {
    match error {
        CheckpointError::Location { .. }
        | CheckpointError::Taken { .. }
        | CheckpointError::SavepointThere { .. }
        | CheckpointError::NoSavepoint { .. } => ErrorClass::User,
        CheckpointError::Corrupt { .. } | CheckpointError::Version { .. } => ErrorClass::Corruption,
        CheckpointError::Io { error, .. } | CheckpointError::Unsynced { error, .. }
            if error.kind() == ErrorKind::StorageFull =>
        {
            ErrorClass::Resource
        }
        CheckpointError::Io { .. } | CheckpointError::Unsynced { .. } | CheckpointError::Store { .. } => {
            ErrorClass::External
        }
    }
}

fn of_datafusion(error: &DataFusionError) -> ErrorClass {
    match error.find_root() {
        DataFusionError::ArrowError(e, _) => of_arrow(e),
        DataFusionError::Internal(_) | DataFusionError::Plan(_) | DataFusionError::SchemaError(..) => ErrorClass::Bug,
        DataFusionError::NotImplemented(_) => ErrorClass::Unsupported,
        DataFusionError::ResourcesExhausted(_) => ErrorClass::Resource,
        _ => ErrorClass::User,
    }
}

/// Arrow kernels refuse values (the user's) and arrays that do not fit (ours).
fn of_arrow(error: &ArrowError) -> ErrorClass {
    match error {
        ArrowError::SchemaError(_) | ArrowError::InvalidArgumentError(_) | ArrowError::CDataInterface(_) => {
            ErrorClass::Bug
        }
        ArrowError::MemoryError(_) => ErrorClass::Resource,
        ArrowError::IoError(..) | ArrowError::IpcError(_) => ErrorClass::External,
        _ => ErrorClass::User,
    }
}
