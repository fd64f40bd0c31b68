//! Checkpoints in foul weather: the store refuses, loses answers, is slow, breaks off, spoils what it holds; the disk is full, syncs
//! fail, the power fails; clocks are set; sinks cannot commit; and the job crashes. In the end every row has arrived once.
//!
//! The weather clears up after a while: nobody can finish a job without a place for its last checkpoint.

use super::crashes::{Case, seeds, settings_of};
use super::*;
use crate::error::{ErrorClass, RuntimeError};
use crate::job::JobState;
use crate::settings::StateBackend;
use eddyline_checkpoint::Place;
use eddyline_checkpoint::weather::{Fault, StormyDisk, StormyStore, Weather, spoil};
use eddyline_state::{MEMORY_BUDGET_MIN, MemoryBudget};
use futures::FutureExt;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeSet;
use std::time::Duration;

/// Steps in foul weather.
const STORM_STEPS: usize = 3000;

/// Where checkpoints are kept.
enum Ground {
    Store(StormyStore),
    Disk(Arc<StormyDisk>),
}

struct Storm {
    random: StdRng,
    clock: Arc<ManualClock>,
    weather: Arc<Weather>,
    ground: Ground,
    outs: Vec<Arc<Collection>>,
    spoilt: BTreeSet<String>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    crashes: usize,
    failures: usize,
    spoilt: usize,
    commits: usize,
    resumed: usize,
    faults: BTreeMap<Fault, usize>,
}

impl Storm {
    fn run(&mut self, mut job: Simulation) {
        let crash = self.random.random_range(0.001..0.01);
        for step in 0..400_000 {
            if job.state() == JobState::Finished {
                return;
            }
            if step == STORM_STEPS {
                self.weather.clear_up();
            }
            if self.random.random_bool(0.03) {
                job.checkpoint();
            }
            if step < STORM_STEPS {
                if self.random.random_bool(crash) {
                    self.counts.crashes += 1;
                    self.crash(&mut job);
                }
                self.disturb();
            }
            match job.step() {
                Ok(true) => {}
                Ok(false) => job.advance(Duration::from_millis(100)),
                Err(error) => {
                    self.check(&error);
                    self.counts.failures += 1;
                    self.crash(&mut job);
                }
            }
        }
        panic!("the job does not end");
    }

    fn disturb(&mut self) {
        if self.random.random_bool(0.01) {
            // Hours, forth or back.
            self.clock.set(self.random.random_range(-10_000_000..10_000_000));
        }
        if self.random.random_bool(0.003) {
            let out = self.random.random_range(0..self.outs.len());
            self.outs[out].fail_commit("no route to host");
            self.counts.commits += 1;
        }
    }

    /// The job dies, perhaps with the machine, and somebody starts it again until it runs.
    fn crash(&mut self, job: &mut Simulation) {
        if let Ground::Disk(disk) = &self.ground
            && self.random.random_bool(0.3)
        {
            disk.power_failure().unwrap();
        }
        if self.random.random_bool(0.2) {
            let spoilt = match &self.ground {
                Ground::Disk(disk) => disk.spoil(&mut self.spoilt).unwrap(),
                Ground::Store(store) => spoil(store, &mut self.spoilt).now_or_never().unwrap().unwrap(),
            };
            self.counts.spoilt += usize::from(spoilt);
        }
        for start in 0..10_000 {
            // A start asks the disk so often that in the worst weather none comes through.
            if start == 1000 {
                self.weather.clear_up();
            }
            match job.crash() {
                Ok(()) => {
                    self.counts.resumed += usize::from(job.completed_checkpoint().0 > 0);
                    return;
                }
                Err(error) => self.check(&error),
            }
        }
        panic!("the job does not start, {:?}", self.counts);
    }

    /// Trouble from outside, which says where it was.
    fn check(&self, error: &RuntimeError) {
        let text = error.to_string();
        match error {
            RuntimeError::Sink { .. } => assert!(text.contains("no route to host"), "{text}"),
            _ => {
                assert!(matches!(error.class(), ErrorClass::External | ErrorClass::Resource), "{text}");
                let is_placed = match &self.ground {
                    Ground::Store(_) => text.contains("stormy/job"),
                    // There, or in the live state that is fetched.
                    Ground::Disk(disk) => {
                        text.contains(&disk.root().join("job").display().to_string()) || text.contains("/state/")
                    }
                };
                assert!(is_placed, "{text}");
            }
        }
    }
}

/// Runs the case of a seed, with checkpoints in `directory` or in an object store.
fn weathered(seed: u64, directory: Option<&std::path::Path>) -> Counts {
    let mut random = StdRng::seed_from_u64(seed);
    let case = Case::random(&mut random);
    let undisturbed = case.undisturbed(seed);
    let mut settings = JobSettings { seed, ..settings_of(&mut random) };
    // Of this backend some files are shared between checkpoints, but it takes its time to open.
    if seed.is_multiple_of(8) {
        settings.shards = settings.shards.min(2);
        settings.backend = StateBackend::RocksDb(MemoryBudget::new(MEMORY_BUDGET_MIN));
    }
    let (clock, outs) = (ManualClock::shared(), case.outs());
    let waits = clock.clone();
    let weather = Weather::new(seed, random.random_range(0.0..0.06), move |time| waits.advance(time));
    let (dataflow, registry) = case.parts(&outs);
    let (ground, job);
    match directory {
        Some(directory) => {
            let disk = StormyDisk::new(directory, &weather);
            let place = |_: &_| Place::local_seen_by(directory.to_owned(), disk.clone());
            job = start(place, dataflow, &registry, &settings, &clock);
            ground = Ground::Disk(disk);
        }
        None => {
            let store = StormyStore::new(&weather);
            let place = |tokio: &_| Place::remote(Arc::new(store.clone()), tokio);
            job = start(place, dataflow, &registry, &settings, &clock);
            ground = Ground::Store(store);
        }
    }
    let cuts = random.random_range(0.0..0.1);
    let (spoilt, counts) = (BTreeSet::new(), Counts::default());
    let mut storm = Storm { random, clock, weather, ground, outs, spoilt, counts };
    storm.run(job.with_random_cuts(cuts));
    let disturbed: Vec<String> = storm.outs.iter().map(|out| out.accumulated()).collect();
    assert_eq!(disturbed, undisturbed, "seed {seed}, {:?}", storm.counts);
    storm.counts.faults = storm.weather.met();
    storm.counts
}

/// The first start; the weather may be in its way.
fn start(
    place: impl Fn(&tokio::runtime::Handle) -> Place,
    dataflow: Dataflow,
    registry: &Registry,
    settings: &JobSettings,
    clock: &Arc<ManualClock>,
) -> Simulation {
    for _ in 0..1000 {
        let (settings, clock) = (settings.clone(), clock.clone());
        match Simulation::over(&place, dataflow.clone(), registry, settings, clock, eddyline_operators::build) {
            Ok(job) => return job,
            Err(error) => assert_ne!(error.class(), ErrorClass::Bug, "{error}"),
        }
    }
    panic!("the job does not start");
}

#[test]
fn an_object_store_in_foul_weather_loses_and_doubles_nothing() {
    let mut all = Counts::default();
    for seed in seeds(60) {
        all.add(weathered(seed, None));
    }
    let Counts { crashes, failures, spoilt, commits, resumed, ref faults } = all;
    assert!(crashes > 20 && failures > 10 && spoilt > 2 && commits > 20 && resumed > 20, "{all:?}");
    assert!([Fault::Refused, Fault::Lost, Fault::Half, Fault::Slow].iter().all(|f| faults[f] > 20), "{all:?}");
}

#[test]
fn a_disk_in_foul_weather_loses_and_doubles_nothing() {
    let mut all = Counts::default();
    for seed in seeds(10) {
        let directory = tempfile::tempdir().unwrap();
        all.add(weathered(seed, Some(directory.path())));
    }
    let Counts { crashes, failures, spoilt, commits, resumed, ref faults } = all;
    assert!(crashes > 10 && failures > 5 && spoilt > 0 && commits > 5 && resumed > 10, "{all:?}");
    assert!(faults[&Fault::Refused] > 50, "{all:?}");
}

impl Counts {
    fn add(&mut self, other: Counts) {
        self.crashes += other.crashes;
        self.failures += other.failures;
        self.spoilt += other.spoilt;
        self.commits += other.commits;
        self.resumed += other.resumed;
        for (fault, count) in other.faults {
            *self.faults.entry(fault).or_default() += count;
        }
    }
}
