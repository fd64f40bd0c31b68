//! Deterministic simulation: the shards of a job in one thread, under a seeded scheduler.
//!
//! The seed decides which shard runs when, how long elements are on their way between tasks and, if asked for, where
//! epochs are cut, and what RAND and UUID draw. The clock moves only when the test moves it. The same seed gives the same run, as long as the
//! connectors do their work when they are polled (not on threads of their own).
//!
//! [`Simulation::crash`] throws all tasks away and builds new ones over the state of the last complete checkpoint. Checkpoints are
//! made in earnest, of files in an object store, but the store is in memory and its work a step like others: between any
//! two steps of making a checkpoint the job can crash.

use crate::build::{Build, MakeOperator, build};
use crate::channel::Channel;
use crate::coordinator::Event;
use crate::driver::{Driver, Keeping, Turn, Worker};
use crate::error::RuntimeError;
use crate::job::{JobShared, JobState};
use crate::keeper::Fault;
use crate::life::{Definition, Durable, final_state};
use crate::metrics::{Counters, JobMetrics};
use crate::recovery::{CHECKED_AT_ONCE_BYTES, OpenSavepoint, Start};
use crate::savepoint::{Made, Order, SavepointTarget};
use crate::settings::{CheckpointSettings, JobSettings};
use crate::shard::{Progress, Shard};
use eddyline_changes::Epoch;
use eddyline_checkpoint::{CheckpointStore, Place};
use eddyline_connectors::clock::ManualClock;
use eddyline_connectors::{Clock, Registry, Rim};
use eddyline_plan::Dataflow;
use eddyline_stores::Stores;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// A job under simulation.
pub struct Simulation {
    world: World,
    random: StdRng,
    clock: Arc<ManualClock>,
    /// Chance of an epoch cut per step.
    cut_chance: f64,
    /// Random cuts that may still be made.
    cuts_left: u32,
    run: Run,
}

/// What survives a crash.
struct World {
    job: Definition,
    durable: Durable,
    /// Elements arrive at once, and everybody has turns in order.
    is_orderly: bool,
    // Removes the live state in the end.
    _directory: tempfile::TempDir,
    // Keeps the handle in the rim alive; polled in every step.
    tokio: tokio::runtime::Runtime,
}

/// One life of the job, from a start or a crash to the next crash.
struct Run {
    shared: Arc<JobShared>,
    shards: Vec<Option<Shard>>,
    driver: Driver,
    channels: Vec<Arc<Channel>>,
    /// The epoch of the checkpoint that it began at.
    after: Epoch,
    ended: bool,
}

/// One of so many steps gives what is spawned a turn.
const SPAWNED_TURNS: u32 = 8;
/// Random cuts until the job is idle, at most.
const CUTS_MAX: u32 = 16;
/// Checkpoints that are kept.
const RETAINED: usize = 2;

impl Simulation {
    /// A job that is ready to run.
    ///
    /// # Errors
    /// As [`crate::start`].
    pub fn new(
        dataflow: Dataflow,
        registry: &Registry,
        settings: JobSettings,
        seed: u64,
        clock: Arc<ManualClock>,
    ) -> Result<Self, RuntimeError> {
        Self::with_operators(dataflow, registry, settings, seed, clock, eddyline_operators::build)
    }

    pub(crate) fn with_operators(
        dataflow: Dataflow,
        registry: &Registry,
        settings: JobSettings,
        seed: u64,
        clock: Arc<ManualClock>,
        make: MakeOperator,
    ) -> Result<Self, RuntimeError> {
        let settings = JobSettings { seed, ..settings };
        Self::over(Place::memory, dataflow, registry, settings, clock, make)
    }

    /// With checkpoints at a place of one's own.
    pub(crate) fn over(
        place: impl FnOnce(&Handle) -> Place,
        dataflow: Dataflow,
        registry: &Registry,
        settings: JobSettings,
        clock: Arc<ManualClock>,
        make: MakeOperator,
    ) -> Result<Self, RuntimeError> {
        settings.check()?;
        let seed = settings.seed;
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let tokio = tokio.map_err(|e| RuntimeError::Thread { message: e.to_string() })?;
        let rim = Rim { tokio: tokio.handle().clone(), clock: clock.clone(), stores: Stores::new([]) };
        let job = Definition { dataflow, registry: registry.clone(), settings, rim, make };
        let world = World::new(job, place(tokio.handle()), tokio)?;
        let run = world.run()?;
        Ok(Self { world, random: StdRng::seed_from_u64(seed), clock, cut_chance: 0.0, cuts_left: 0, run })
    }

    /// Cuts epochs at random too, with this chance per step; [`run_until_idle`](Self::run_until_idle) some times at most, because
    /// an epoch is work for many steps, in which the next would be cut, and so on.
    pub fn with_random_cuts(mut self, chance: f64) -> Self {
        (self.cut_chance, self.cuts_left) = (chance.clamp(0.0, 1.0), CUTS_MAX);
        self
    }

    /// The same job from its beginning, with nothing left to chance: elements arrive at once, and shards and the coordinator have turns in order.
    /// For measuring what the job itself costs.
    ///
    /// # Errors
    /// As [`crate::start`].
    pub fn orderly(mut self) -> Result<Self, RuntimeError> {
        self.world.is_orderly = true;
        self.run = self.world.run()?;
        Ok(self)
    }

    /// One step: something happens to one shard, or some elements arrive, or the coordinator has a turn. Returns
    /// false when there is nothing that could happen before the clock moves or somebody outside acts.
    ///
    /// # Errors
    /// Why the job failed.
    pub fn step(&mut self) -> Result<bool, RuntimeError> {
        self.check()?;
        if self.run.ended {
            return Ok(false);
        }
        if self.world.is_orderly {
            return self.step_in_order();
        }
        // Between shards that have work, what is spawned has a turn now and then, as chance has it.
        if self.random.random_ratio(1, SPAWNED_TURNS) {
            self.run_spawned();
        }
        if self.cuts_left > 0 && self.random.random_bool(self.cut_chance) {
            self.cuts_left -= 1;
            self.run.shared.tell(Event::Cut(None));
        }
        if self.any_part()? {
            return Ok(true);
        }
        self.run_spawned();
        if self.any_part()? {
            return Ok(true);
        }
        // A shard that found nothing to do has perhaps said so to the coordinator, after its turn.
        self.part(self.run.shards.len() + 1)
    }

    fn step_in_order(&mut self) -> Result<bool, RuntimeError> {
        if self.first_part()? {
            return Ok(true);
        }
        self.run_spawned();
        self.first_part()
    }

    fn first_part(&mut self) -> Result<bool, RuntimeError> {
        for part in 0..self.run.shards.len() + 3 {
            if self.part(part)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn run_spawned(&self) {
        self.world.tokio.block_on(tokio::task::yield_now());
    }

    fn any_part(&mut self) -> Result<bool, RuntimeError> {
        let mut parts: Vec<usize> = (0..self.run.shards.len() + 3).collect();
        parts.shuffle(&mut self.random);
        for part in parts {
            if self.part(part)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn part(&mut self, part: usize) -> Result<bool, RuntimeError> {
        let shards = self.run.shards.len();
        let outcome = if part < shards {
            self.run.step_shard(part)
        } else if part == shards {
            Ok(self.run.deliver(&mut self.random))
        } else if part == shards + 1 {
            self.run.turn()
        } else {
            Ok(self.run.driver.keeping.as_mut().is_some_and(Keeping::step))
        };
        outcome.inspect_err(|e| {
            self.run.shared.fail(e.clone());
            self.run.end(None);
        })
    }

    fn check(&mut self) -> Result<(), RuntimeError> {
        match self.run.shared.error() {
            None => Ok(()),
            Some(error) => {
                self.run.end(None);
                Err(error)
            }
        }
    }

    /// Steps until nothing can happen before the clock moves or somebody outside acts.
    ///
    /// # Errors
    /// Why the job failed.
    pub fn run_until_idle(&mut self) -> Result<(), RuntimeError> {
        self.cuts_left = if self.cut_chance > 0.0 { CUTS_MAX } else { 0 };
        while self.step()? {}
        Ok(())
    }

    /// Runs until the job is over, moving the clock on to the next timer whenever nothing else can happen. Returns
    /// false when the job waits for somebody outside.
    ///
    /// # Errors
    /// Why the job failed.
    pub fn run_to_end(&mut self) -> Result<bool, RuntimeError> {
        loop {
            self.run_until_idle()?;
            if self.run.ended {
                return Ok(true);
            }
            let Some(next) = self.clock.next_wake() else { return Ok(false) };
            self.clock.advance(next.saturating_sub(self.clock.monotonic()));
        }
    }

    /// Moves the clock.
    pub fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
    }

    /// Ends the current epoch, also when no rows are in it.
    pub fn cut_epoch(&mut self) {
        self.run.shared.tell(Event::Cut(None));
    }

    /// Ends the current epoch with a checkpoint.
    pub fn checkpoint(&mut self) {
        self.run.shared.tell(Event::Checkpoint);
    }

    /// Asks for a savepoint, at which the job ends if it is to `stop`. What comes of it is received in some later step, unless the job crashes
    /// before. `None`: the job is over.
    ///
    /// # Errors
    /// The place cannot be written, or holds a savepoint.
    pub fn savepoint(&mut self, target: &SavepointTarget, stop: bool) -> Result<Option<Made>, RuntimeError> {
        let order = Order::new(target, self.world.tokio.handle())?;
        let shared = &self.run.shared;
        if stop {
            shared.save_at_end();
        }
        let Some((order, made)) = shared.orders.take(order) else { return Ok(None) };
        shared.tell(Event::Save { order, stop });
        Ok(Some(made))
    }

    /// Ends the job at a barrier.
    pub fn stop(&mut self) {
        self.run.shared.tell(Event::Stop);
    }

    /// The last epoch whose output is visible.
    pub fn completed_epochs(&self) -> Epoch {
        self.metrics().completed
    }

    /// The epoch of the last checkpoint that is complete.
    pub fn completed_checkpoint(&self) -> Epoch {
        self.run.shared.checkpoint().max(self.run.after)
    }

    /// Where the job stands.
    pub fn state(&self) -> JobState {
        self.run.shared.counters.state()
    }

    /// What it has done since it was started or has crashed.
    pub fn metrics(&self) -> JobMetrics {
        self.run.shared.counters.snapshot(self.clock.wall_ms(), self.clock.monotonic())
    }

    /// The job dies here and now, and is started again from its last complete checkpoint (from the beginning when
    /// there is none).
    ///
    /// # Errors
    /// As [`crate::start`]; then it is down until this is called again.
    pub fn crash(&mut self) -> Result<(), RuntimeError> {
        self.run.shared.abort();
        self.run.shards.clear();
        self.run.ended = true;
        self.run = self.world.run()?;
        Ok(())
    }
}

impl World {
    fn new(job: Definition, place: Place, tokio: tokio::runtime::Runtime) -> Result<Self, RuntimeError> {
        let temporary = std::env::temp_dir();
        let directory = tempfile::tempdir_in(&temporary).map_err(|e| Fault::Io(temporary, e))?;
        let settings = CheckpointSettings {
            location: "memory".into(),
            environment: Default::default(),
            interval: None,
            min_pause: Duration::ZERO,
            timeout: Duration::MAX,
            retained: RETAINED,
            checked_first_bytes: CHECKED_AT_ONCE_BYTES,
            local: None,
            allow_fresh: false,
        };
        let durable = Durable { place, live: directory.path().into(), settings, pause: Duration::ZERO };
        Ok(Self { job, durable, is_orderly: false, _directory: directory, tokio })
    }

    fn run(&self) -> Result<Run, RuntimeError> {
        let Definition { dataflow, registry, settings, rim, make } = &self.job;
        let store = CheckpointStore::new(&self.durable.place, &settings.name);
        let from = settings.from.as_ref().map(|from| OpenSavepoint::open(from, &rim.tokio)).transpose()?;
        let start = Start { from, ..Start::default() };
        let (recovered, lineage) = self.job.recover(&self.durable, &store, start)?;
        let counters = Counters::new(settings.log.clone(), dataflow, settings.shards, Duration::ZERO);
        let mut built = build(Build {
            dataflow,
            registry,
            settings,
            rim,
            make: *make,
            counters,
            backends: recovered.backends.clone(),
            delayed: !self.is_orderly,
            after: recovered.after(),
            split_shards: recovered.split_shards(settings.shards),
            lineage: Some(lineage.clone()),
        })?;
        self.job.settle(&mut built, &recovered)?;
        let saver = self.job.saver(Some(lineage.clone()), &built, &recovered);
        let keeper = Some(self.job.keeper(&self.durable, store, lineage, &built, &recovered));
        let worker = Box::new(Worker { keeper, saver });
        let keeping = Some(Keeping::Queue { tasks: Default::default(), worker });
        let driver = self.job.driver(&mut built, Some(&self.durable), keeping, &recovered, Duration::ZERO);
        let shared = built.shared.clone();
        shared.counters.set_state(JobState::Running);
        let shards: Vec<Option<Shard>> = built.shards.into_iter().map(Some).collect();
        Ok(Run { shared, shards, driver, channels: built.channels, after: recovered.after(), ended: false })
    }
}

impl Run {
    fn step_shard(&mut self, at: usize) -> Result<bool, RuntimeError> {
        let Some(shard) = &mut self.shards[at] else { return Ok(false) };
        match shard.step()? {
            Progress::Idle => Ok(false),
            Progress::Worked => Ok(true),
            Progress::Done => {
                self.shards[at] = None;
                Ok(true)
            }
        }
    }

    /// Lets some elements of some channel arrive.
    fn deliver(&mut self, random: &mut StdRng) -> bool {
        let waiting: Vec<&Arc<Channel>> = self.channels.iter().filter(|c| c.in_transit() > 0).collect();
        let Some(channel) = waiting.get(random.random_range(0..waiting.len().max(1))) else { return false };
        channel.release(random.random_range(1..=channel.in_transit()));
        true
    }

    fn turn(&mut self) -> Result<bool, RuntimeError> {
        match self.driver.turn()? {
            Turn::Idle => Ok(false),
            Turn::Worked => Ok(true),
            Turn::Ended { finished } => {
                self.end(Some(finished));
                Ok(true)
            }
        }
    }

    fn end(&mut self, finished: Option<bool>) {
        if !self.ended {
            self.ended = true;
            self.shards.iter_mut().for_each(|s| *s = None);
            self.shared.counters.set_state(final_state(self.shared.error().as_ref(), finished));
        }
    }
}
