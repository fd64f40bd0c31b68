//! The engine: what all sessions share.

use crate::Session;
use crate::collect::CollectConnector;
use eddyline_connectors::clock::SystemClock;
use eddyline_connectors::{Clock, Registry, Rim};
use eddyline_planner::Functions;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
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
}

impl EngineConfig {
    /// All built-in connectors, the machine's clock, a shard per core.
    pub fn new(tokio: tokio::runtime::Handle) -> Self {
        let shards = std::thread::available_parallelism().map_or(1, usize::from);
        Self { registry: Registry::builtin(), tokio, clock: None, shards }
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
    rim: Rim,
    shards: usize,
    functions: OnceLock<Arc<Functions>>,
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
        Self {
            shared: Arc::new(Shared {
                registry: config.registry.with(collect.clone()),
                collect,
                rim: Rim { tokio: config.tokio, clock },
                shards: config.shards.max(1),
                functions: OnceLock::new(),
                channels: AtomicU64::new(1),
                chance: RandomState::new(),
                seeds: AtomicU64::new(0),
            }),
        }
    }

    /// A session with an empty catalog and default settings.
    pub fn session(&self) -> Session {
        Session::new(self.clone())
    }

    /// The connectors, that of SELECT included.
    pub fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    pub(crate) fn collect(&self) -> &Arc<CollectConnector> {
        &self.shared.collect
    }

    pub(crate) fn rim(&self) -> &Rim {
        &self.shared.rim
    }

    pub(crate) fn shards(&self) -> usize {
        self.shared.shards
    }

    pub(crate) fn functions(&self) -> Arc<Functions> {
        self.shared.functions.get_or_init(|| Arc::new(Functions::new())).clone()
    }

    /// A seed that nobody had before.
    pub(crate) fn next_seed(&self) -> u64 {
        self.shared.chance.hash_one(self.shared.seeds.fetch_add(1, Ordering::Relaxed))
    }

    /// A number for the channel of a SELECT.
    pub(crate) fn next_channel(&self) -> u64 {
        self.shared.channels.fetch_add(1, Ordering::Relaxed)
    }
}
