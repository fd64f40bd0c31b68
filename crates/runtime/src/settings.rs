use crate::RuntimeError;
use crate::job_log::JobLog;
use crate::keeper::Fault;
use crate::memory_limit::MemoryLimit;
use crate::restart::RestartStrategy;
use crate::savepoint::SavepointTarget;
use eddyline_checkpoint::Place;
use eddyline_state::{Backend, MEMORY_BUDGET_MIN, MemoryBackend, MemoryBudget, RocksBackend, StateError};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// What holds state below the hot sets.
#[derive(Debug, Clone, Default)]
pub enum StateBackend {
    /// Memory: everything is written at each checkpoint.
    #[default]
    Memory,
    /// RocksDB: only what has changed is written. Within a budget that all jobs of the process share.
    RocksDb(Arc<MemoryBudget>),
}

impl StateBackend {
    /// The memory that it shares with others.
    pub(crate) fn budget(&self) -> Option<&Arc<MemoryBudget>> {
        match self {
            Self::Memory => None,
            Self::RocksDb(budget) => Some(budget),
        }
    }

    /// Its name, in settings and manifests.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Memory => MEMORY,
            Self::RocksDb(_) => ROCKSDB,
        }
    }

    /// A backend over the files of a picture.
    pub(crate) fn open(&self, directory: &Path) -> Result<Arc<dyn Backend>, StateError> {
        match self {
            Self::Memory => Ok(Arc::new(MemoryBackend::open(directory)?)),
            Self::RocksDb(budget) => Ok(Arc::new(RocksBackend::open(directory, budget)?)),
        }
    }

    /// An empty backend, whose files, if it has any, are in a directory that is not there yet.
    pub(crate) fn create(&self, directory: &Path) -> Result<Arc<dyn Backend>, StateError> {
        match self {
            Self::Memory => Ok(Arc::new(MemoryBackend::new())),
            Self::RocksDb(budget) => Ok(Arc::new(RocksBackend::open(directory, budget)?)),
        }
    }
}

const MEMORY: &str = "memory";
const ROCKSDB: &str = "rocksdb";

/// Opens the files of a picture that a backend of this name has made; `None`: there is no such backend.
pub(crate) fn open_named(name: &str, directory: &Path) -> Option<Result<Arc<dyn Backend>, StateError>> {
    let backend = match name {
        MEMORY => StateBackend::Memory,
        // It is read once and closed.
        ROCKSDB => StateBackend::RocksDb(MemoryBudget::new(MEMORY_BUDGET_MIN)),
        _ => return None,
    };
    Some(backend.open(directory))
}

/// Where and when a job's checkpoints are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointSettings {
    /// A directory, or the URL of one in an object store.
    pub location: String,
    /// Credentials and the like of the object store, by their names in the environment.
    pub environment: BTreeMap<String, String>,
    /// From the start of a checkpoint to the start of the next; `None`: only when somebody asks, and at the end.
    pub interval: Option<Duration>,
    /// From the end of a checkpoint to the start of the next, at least.
    pub min_pause: Duration,
    /// A checkpoint that takes longer is reported.
    pub timeout: Duration,
    /// How many of them are kept.
    pub retained: usize,
    /// Linked files are checked before the job runs as far as those of a shard have no more bytes together; the others while it runs.
    pub checked_first_bytes: u64,
    /// Where the live state is, when it is not beside the checkpoints.
    pub local: Option<PathBuf>,
    /// Begin afresh when there are checkpoints but none is whole.
    pub allow_fresh: bool,
}

impl CheckpointSettings {
    pub(crate) fn place(&self, tokio: &Handle) -> Result<Place, RuntimeError> {
        let environment = self.environment.iter().map(|(k, v)| (k.clone(), v.clone()));
        Ok(Place::parse(&self.location, environment, tokio).map_err(Fault::Store)?)
    }
}

/// How a job runs. Plain values; who makes them reads files, environment and arguments.
#[derive(Debug, Clone)]
pub struct JobSettings {
    /// The job's name, as logs, threads and metrics show it.
    pub name: String,
    /// Number of shards (threads).
    pub shards: usize,
    /// Number of key groups; fixed for the life of the job's state.
    pub max_parallelism: u16,
    /// Epochs are cut only when somebody asks: [`JobHandle::cut`](crate::JobHandle::cut).
    pub epochs_on_demand: bool,
    /// The job has no threads: [`JobHandle::cut`](crate::JobHandle::cut) does its work. For jobs whose epochs are cut on demand, and that keep no checkpoints.
    pub in_place: bool,
    /// State is put down elsewhere, by who asks for [pictures](crate::JobHandle::picture) of it, and kept nowhere but in the tables of operators.
    /// For jobs that keep no checkpoints.
    pub state_goes_out: bool,
    /// At the latest after this long an epoch with rows in it is cut.
    pub epoch_interval: Duration,
    /// This many input rows end an epoch before its time; shared out among the source tasks.
    pub epoch_rows: u64,
    /// When a barrier takes longer, epochs are given fewer rows, so that fewer lie ahead of the next ones.
    pub barrier_budget: Duration,
    /// Rows per batch that decoders make.
    pub batch_rows: usize,
    /// Capacity of an exchange channel in elements.
    pub channel_batches: usize,
    /// The session time zone, for TIMESTAMP_LTZ text.
    pub time_zone: String,
    /// What RAND, UUID and the like draw from.
    pub seed: u64,
    /// What holds state below the hot sets.
    pub backend: StateBackend,
    /// The memory for the state of all jobs, where the backend does not hold it: what a job takes of it that keeps all its state in
    /// memory is counted, and more than there is is told.
    pub memory: Option<Arc<MemoryBudget>>,
    /// How much of it the job may take, where it keeps all its state in memory.
    pub memory_limit: Option<Arc<MemoryLimit>>,
    /// Checkpoints; `None`: the job keeps none and begins afresh each time.
    pub checkpoints: Option<CheckpointSettings>,
    /// What becomes of the job when it fails; only with checkpoints.
    pub restart: RestartStrategy,
    /// The savepoint to begin at. A job that keeps checkpoints goes on from its last one if it began at that savepoint before.
    pub from: Option<SavepointTarget>,
    /// Go on from the state of another query also where some of it is lost.
    pub allow_dropped_state: bool,
    /// What is allowed, to lose state and to begin afresh, is so over checkpoints up to this number: those with higher ones were made after.
    pub allowed_until: u64,
    /// The plan has its aggregates in phases; noted with the state, so that the plan to which it is restored can be alike.
    pub in_phases: bool,
    /// Where what happens to the job is told.
    pub log: JobLog,
}

impl Default for JobSettings {
    fn default() -> Self {
        Self {
            name: "job".into(),
            shards: 1,
            max_parallelism: eddyline_changes::MAX_PARALLELISM_DEFAULT,
            epochs_on_demand: false,
            in_place: false,
            state_goes_out: false,
            epoch_interval: Duration::from_millis(100),
            epoch_rows: 10_000_000,
            barrier_budget: Duration::from_secs(10),
            batch_rows: 8192,
            channel_batches: 16,
            time_zone: "UTC".into(),
            seed: 0,
            backend: StateBackend::default(),
            memory: None,
            memory_limit: None,
            checkpoints: None,
            restart: RestartStrategy::default(),
            from: None,
            allow_dropped_state: false,
            allowed_until: u64::MAX,
            in_phases: false,
            log: JobLog::default(),
        }
    }
}

impl JobSettings {
    /// Do the values go together?
    ///
    /// # Errors
    /// [`RuntimeError::Setting`] naming the first that does not.
    pub fn check(&self) -> Result<(), RuntimeError> {
        let fail = |setting: &'static str, message: String| Err(RuntimeError::Setting { setting, message });
        if self.max_parallelism == 0 {
            return fail("max-parallelism", "must be at least 1".into());
        }
        if self.shards == 0 || self.shards > self.max_parallelism.into() {
            return fail(
                "shards",
                format!("is {}, must be 1 to {} (max-parallelism)", self.shards, self.max_parallelism),
            );
        }
        if self.batch_rows == 0 {
            return fail("batch-rows", "must be at least 1".into());
        }
        if self.channel_batches == 0 {
            return fail("channel-batches", "must be at least 1".into());
        }
        if self.epoch_rows == 0 {
            return fail("epoch-rows", "must be at least 1".into());
        }
        if self.in_place && (!self.epochs_on_demand || self.checkpoints.is_some()) {
            return fail("in-place", "needs epochs on demand, and no checkpoints".into());
        }
        if self.state_goes_out && self.checkpoints.is_some() {
            return fail("state-goes-out", "needs a job without checkpoints".into());
        }
        Ok(())
    }
}
