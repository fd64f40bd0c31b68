//! The engine: what all sessions share.

use crate::beginning::second_from;
use crate::collect::CollectConnector;
use crate::error::from_reach;
use crate::kept::KeptConnector;
use crate::memory::machine_memory_bytes;
use crate::outward::ToldConnector;
use crate::state_tables::StateConnector;
use crate::{Instance, Session, Settings};
use eddyline_catalog::FIRST_DATABASE;
use eddyline_connectors::clock::SystemClock;
use eddyline_connectors::{Clock, Reach, Registry, Rim};
use eddyline_planner::{Functions, SqlError};
use eddyline_runtime::{CheckpointSettings, SavepointTarget, StateBackend};
use eddyline_state::MemoryBudget;
use eddyline_stores::Stores;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// What an engine is made of.
pub struct EngineConfig {
    /// The connectors that tables may name.
    pub registry: Registry,
    /// Where I/O runs.
    pub tokio: tokio::runtime::Handle,
    /// The clock; `None`: the machine's.
    pub clock: Option<Arc<dyn Clock>>,
    /// How many shards a job has unless `execution.shards` says otherwise.
    pub shards: usize,
    /// The environment: credentials of object stores, by their usual names.
    pub environment: BTreeMap<String, String>,
    /// A job that has checkpoints, none of them whole, begins without its state.
    pub allow_fresh: bool,
    /// What names the checkpoints of a job without a `pipeline.name`: what is run, so that it finds them again.
    pub program: Option<String>,
    /// The savepoint that the first job begins at that can.
    pub from: Option<String>,
    /// Jobs go on from the state of another query also where some of it is lost.
    pub allow_dropped_state: bool,
    /// Nothing is run: what becomes of the state of jobs is told instead.
    pub is_dry_run: bool,
    /// How many bytes of memory a query may take for its state, where that cannot be left to the disk, and for its result; `None`: as
    /// many as there are.
    pub query_memory: Option<usize>,
    /// Which places statements may name, where it is not a connector that knows.
    pub reach: Reach,
}

impl EngineConfig {
    /// All built-in connectors, the machine's clock, a shard per core.
    pub fn new(tokio: tokio::runtime::Handle) -> Self {
        let shards = std::thread::available_parallelism().map_or(1, usize::from);
        let environment = BTreeMap::new();
        Self {
            registry: Registry::builtin(),
            tokio,
            clock: None,
            shards,
            environment,
            allow_fresh: false,
            program: None,
            from: None,
            allow_dropped_state: false,
            is_dry_run: false,
            query_memory: None,
            reach: Reach::free(),
        }
    }

    /// Statements, and tables with connectors, reach no more than this.
    #[must_use]
    pub fn within(self, reach: Reach) -> Self {
        Self { registry: Registry::within(&reach), reach, ..self }
    }
}

/// The engine. Cheap to clone; all clones are the same engine.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    registry: Registry,
    collect: Arc<CollectConnector>,
    kept: Arc<KeptConnector>,
    told: Arc<ToldConnector>,
    states: Arc<StateConnector>,
    rim: Rim,
    shards: usize,
    environment: BTreeMap<String, String>,
    allow_fresh: bool,
    program: Option<String>,
    from: Option<String>,
    is_from_taken: AtomicBool,
    allow_dropped_state: bool,
    is_dry_run: bool,
    query_memory: Option<usize>,
    reach: Reach,
    functions: OnceLock<Arc<Functions>>,
    memory_budget: OnceLock<Arc<MemoryBudget>>,
    channels: AtomicU64,
    /// Seeds of RAND and UUID: the standard library's source of chance, asked with another number every time.
    chance: RandomState,
    seeds: AtomicU64,
}

impl Engine {
    /// An engine without jobs.
    pub fn new(config: EngineConfig) -> Self {
        let clock = config.clock.unwrap_or_else(|| SystemClock::shared(config.tokio.clone()));
        let collect: Arc<CollectConnector> = Arc::default();
        let kept: Arc<KeptConnector> = Arc::default();
        let told: Arc<ToldConnector> = Arc::default();
        let states: Arc<StateConnector> = Arc::default();
        Self {
            shared: Arc::new(Shared {
                registry: config
                    .registry
                    .with(collect.clone())
                    .with(kept.clone())
                    .with(told.clone())
                    .with(states.clone()),
                collect,
                kept,
                told,
                states,
                rim: Rim { tokio: config.tokio, clock, stores: Stores::new(config.environment.clone()) },
                shards: config.shards.max(1),
                environment: config.environment,
                allow_fresh: config.allow_fresh,
                program: config.program,
                from: config.from,
                is_from_taken: AtomicBool::new(false),
                allow_dropped_state: config.allow_dropped_state,
                is_dry_run: config.is_dry_run,
                query_memory: config.query_memory,
                reach: config.reach,
                functions: OnceLock::new(),
                memory_budget: OnceLock::new(),
                channels: AtomicU64::new(1),
                chance: RandomState::new(),
                seeds: AtomicU64::new(0),
            }),
        }
    }

    /// Names, tables and jobs for sessions to share: none yet.
    pub fn instance(&self) -> Instance {
        self.new_database(FIRST_DATABASE, None)
    }

    /// A database with nothing in it, beside the first one.
    pub(crate) fn new_database(&self, name: &str, first: Option<&Instance>) -> Instance {
        Instance::new(self.clone(), name, first)
    }

    /// A session with an instance of its own and default settings.
    pub fn session(&self) -> Session {
        self.instance().session()
    }

    /// The environment: credentials of object stores, by their usual names.
    pub(crate) fn environment(&self) -> &BTreeMap<String, String> {
        &self.shared.environment
    }

    /// The connectors, that of SELECT included.
    pub fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    pub(crate) fn collect(&self) -> &Arc<CollectConnector> {
        &self.shared.collect
    }

    /// What sinks from tables here are to write.
    pub(crate) fn told(&self) -> &Arc<ToldConnector> {
        &self.shared.told
    }

    pub(crate) fn kept(&self) -> &Arc<KeptConnector> {
        &self.shared.kept
    }

    pub(crate) fn states(&self) -> &StateConnector {
        &self.shared.states
    }

    pub(crate) fn rim(&self) -> &Rim {
        &self.shared.rim
    }

    pub(crate) fn shards(&self) -> usize {
        self.shared.shards
    }

    /// What is run, when it has a name.
    pub(crate) fn program(&self) -> Option<&str> {
        self.shared.program.as_deref()
    }

    /// The checkpoints of a job under these settings.
    pub(crate) fn checkpoints(&self, settings: &Settings) -> Option<CheckpointSettings> {
        let allow_fresh = self.shared.allow_fresh;
        Some(CheckpointSettings { allow_fresh, ..settings.checkpoints(&self.shared.environment)? })
    }

    /// The savepoint that a job is to begin at, for the first job that asks.
    ///
    /// # Errors
    /// Another job has begun at it.
    pub(crate) fn take_savepoint(&self) -> Result<Option<SavepointTarget>, SqlError> {
        let Some(savepoint) = self.savepoint() else { return Ok(None) };
        match self.shared.is_from_taken.swap(true, Ordering::Relaxed) {
            true => Err(second_from()),
            false => Ok(Some(savepoint)),
        }
    }

    /// The savepoint that a job is to begin at.
    pub(crate) fn savepoint(&self) -> Option<SavepointTarget> {
        self.shared.from.as_deref().map(|location| self.savepoint_of_own(location))
    }

    /// May a statement name this path or URL?
    ///
    /// # Errors
    /// It may not.
    pub(crate) fn check_place(&self, location: &str) -> Result<(), SqlError> {
        self.shared.reach.check_location(location).map_err(|why| from_reach(&why))
    }

    /// The savepoint at a place that a statement names.
    ///
    /// # Errors
    /// It may not.
    pub(crate) fn savepoint_at(&self, location: &str) -> Result<SavepointTarget, SqlError> {
        self.check_place(location)?;
        Ok(self.savepoint_of_own(location))
    }

    /// The savepoint at a place that whoever has started the process names.
    fn savepoint_of_own(&self, location: &str) -> SavepointTarget {
        SavepointTarget { location: location.to_owned(), environment: self.shared.environment.clone() }
    }

    /// Do jobs go on where state is lost?
    pub(crate) fn allows_dropped_state(&self) -> bool {
        self.shared.allow_dropped_state
    }

    /// How many bytes of memory a query may take.
    pub(crate) fn query_memory(&self) -> Option<usize> {
        self.shared.query_memory
    }

    /// Is nothing run?
    pub(crate) fn is_dry_run(&self) -> bool {
        self.shared.is_dry_run
    }

    /// Is there a savepoint to begin at, and no job has?
    pub fn is_savepoint_left(&self) -> bool {
        self.shared.from.is_some() && !self.shared.is_from_taken.load(Ordering::Relaxed)
    }

    /// Where the state of a job lives under these settings.
    pub(crate) fn state_backend(&self, settings: &Settings) -> StateBackend {
        match settings.uses_rocksdb() {
            true => StateBackend::RocksDb(self.memory_budget(settings)),
            false => StateBackend::Memory,
        }
    }

    /// The memory for the state of all jobs, as large as these settings say.
    pub(crate) fn memory_budget(&self, settings: &Settings) -> Arc<MemoryBudget> {
        let size_bytes = settings.memory_budget();
        let budget = self
            .shared
            .memory_budget
            .get_or_init(|| MemoryBudget::new(size_bytes.unwrap_or_else(|| machine_memory_bytes() / 4)));
        // All jobs share it: whoever starts with another size changes it for all.
        if let Some(size_bytes) = size_bytes {
            budget.resize(size_bytes);
        }
        budget.clone()
    }

    pub(crate) fn functions(&self) -> Arc<Functions> {
        self.shared.functions.get_or_init(|| Arc::new(Functions::new())).clone()
    }

    /// A seed that nobody had before.
    pub(crate) fn next_seed(&self) -> u64 {
        self.shared.chance.hash_one(self.shared.seeds.fetch_add(1, Ordering::Relaxed))
    }

    /// A number for a job that reads or brings rows within the engine: its channel, its feeds.
    pub(crate) fn next_channel(&self) -> u64 {
        self.shared.channels.fetch_add(1, Ordering::Relaxed)
    }
}
