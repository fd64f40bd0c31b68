//! Random dataflows of which savepoints are made at random moments, with crashes around them. The job shows what a run without shows,
//! and so does one that goes on from a savepoint, on another number of shards and another backend, crashed as well.

use super::crashes::{Case, seeds, settings_of};
use super::*;
use crate::savepoint::{Made, SavepointTarget};
use crate::{JobState, StateBackend};
use eddyline_changes::Epoch;
use eddyline_state::{MEMORY_BUDGET_MIN, MemoryBudget};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::path::Path;
use std::sync::mpsc::TryRecvError;
use std::time::Duration;

#[derive(Debug, Default)]
struct Counts {
    crashed: usize,
    made: usize,
    /// Orders that a crash or the end of the job has taken along.
    lost: usize,
    stopped: usize,
    gone_on: usize,
    not_empty: usize,
}

/// A savepoint, and the epoch that it ends.
type At = (SavepointTarget, Epoch);

struct Saving<'a> {
    random: StdRng,
    directory: &'a Path,
    counts: &'a mut Counts,
    asked: Vec<(SavepointTarget, Made)>,
    made: Vec<At>,
    places: usize,
}

impl Saving<'_> {
    /// Runs it to its end; returns how it ended.
    fn run(&mut self, mut job: Simulation, may_stop: bool) -> JobState {
        let [saves, checkpoints, crashes] = [0.02, 0.03, 0.01].map(|most| self.random.random_range(0.0..most));
        let mut crashed = 0;
        for _ in 0..200_000 {
            self.hear();
            if matches!(job.state(), JobState::Finished | JobState::Stopped) {
                self.asked.clear();
                return job.state();
            }
            if self.places < 12 && self.random.random_bool(saves) {
                self.ask(&mut job, may_stop);
            }
            if self.random.random_bool(checkpoints) {
                job.checkpoint();
            }
            if crashed < 8 && self.random.random_bool(crashes) {
                crashed += 1;
                self.crash(&mut job);
            }
            if !job.step().unwrap() {
                job.advance(Duration::from_millis(100));
            }
        }
        panic!("the job does not end: {:?}", job.state());
    }

    fn ask(&mut self, job: &mut Simulation, may_stop: bool) {
        self.places += 1;
        let location = self.directory.join(self.places.to_string()).display().to_string();
        let target = SavepointTarget { location, environment: Default::default() };
        let stop = may_stop && self.random.random_bool(0.1);
        match job.savepoint(&target, stop).unwrap() {
            Some(made) => self.asked.push((target, made)),
            None => self.counts.lost += 1,
        }
    }

    /// Takes in which are made by now.
    fn hear(&mut self) {
        for (target, made) in std::mem::take(&mut self.asked) {
            match made.try_recv() {
                Ok(made) => self.made.push((target, Epoch(made.unwrap().epoch))),
                Err(TryRecvError::Empty) => self.asked.push((target, made)),
                Err(TryRecvError::Disconnected) => self.counts.lost += 1,
            }
        }
    }

    fn crash(&mut self, job: &mut Simulation) {
        // What was made just now is there, and its reader has heard of it.
        self.hear();
        self.counts.crashed += 1;
        job.crash().unwrap();
    }
}

fn backend(random: &mut StdRng) -> StateBackend {
    // It takes its time to open.
    match random.random_ratio(1, 16) {
        true => StateBackend::RocksDb(MemoryBudget::new(MEMORY_BUDGET_MIN)),
        false => StateBackend::Memory,
    }
}

fn saved(seed: u64, counts: &mut Counts) {
    let mut random = StdRng::seed_from_u64(seed);
    let case = Case::random(&mut random);
    let undisturbed = case.undisturbed(seed);
    let directory = tempfile::tempdir().unwrap();
    let settings = JobSettings { backend: backend(&mut random), ..settings_of(&mut random) };
    let start = |settings: JobSettings, outs: &[Arc<Collection>], cuts: f64| {
        let (dataflow, registry) = case.parts(outs);
        Simulation::new(dataflow, &registry, settings, seed, ManualClock::shared()).unwrap().with_random_cuts(cuts)
    };
    let outs = case.outs();
    let job = start(settings, &outs, random.random_range(0.0..0.1));
    let mut saving = Saving { random, directory: directory.path(), counts, asked: vec![], made: vec![], places: 0 };
    let end = saving.run(job, true);
    let shown = |outs: &[Arc<Collection>]| -> Vec<String> { outs.iter().map(|out| out.accumulated()).collect() };
    match end {
        // It has shown a part, and the savepoint is there to go on from.
        JobState::Stopped => {
            assert!(!saving.made.is_empty(), "seed {seed}");
            saving.counts.stopped += 1;
        }
        _ => assert_eq!(shown(&outs), undisturbed, "seed {seed}: because of its savepoints"),
    }
    let Saving { mut random, made, .. } = saving;
    counts.made += made.len();
    counts.not_empty += usize::from(undisturbed.iter().any(|out| !out.is_empty()));
    for (run, (from, epoch)) in made.choose_multiple(&mut random, 2).enumerate() {
        let outs: Vec<_> = case.outs().into_iter().zip(&outs).map(|(to, of)| to.after(of, *epoch)).collect();
        let backend = backend(&mut random);
        let settings = JobSettings { backend, from: Some(from.clone()), ..settings_of(&mut random) };
        let shards = settings.shards;
        let job = start(settings, &outs, random.random_range(0.0..0.1));
        let within = directory.path().join(format!("run-{run}"));
        std::fs::create_dir_all(&within).unwrap();
        let random = StdRng::seed_from_u64(random.random());
        let mut on = Saving { random, directory: &within, counts, asked: vec![], made: vec![], places: 0 };
        on.run(job, false);
        counts.gone_on += 1;
        assert_eq!(shown(&outs), undisturbed, "seed {seed}: on {shards} shards from {from:?}, of epoch {}", epoch.0);
    }
}

#[test]
fn from_whatever_savepoint_it_goes_on_the_output_is_that_of_a_run_without() {
    let mut counts = Counts::default();
    let seeds = seeds(25);
    let count = (seeds.end - seeds.start) as usize;
    for seed in seeds {
        saved(seed, &mut counts);
    }
    let Counts { crashed, made, gone_on, not_empty, .. } = counts;
    assert!(crashed > count / 4 && made > count && gone_on > count / 2 && not_empty > count / 2, "{counts:?}");
}
