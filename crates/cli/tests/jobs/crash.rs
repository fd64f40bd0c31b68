//! The crash loop: a real process over a real job set is killed at random moments, also twice in a row and while it
//! recovers, and what it has committed in the end is compared with a run that nobody disturbed.
//!
//! Ten rounds here; `cargo xtask crash --rounds N --seed S` for more.

use crate::process::{command, differences, rows};
use crate::rooms::{self, SINKS, Sink};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

const EVENTS: u64 = 30_000;
/// A round's input takes at least so long.
const SECONDS: u64 = 2;
/// After so many kills a round may come to its end.
const KILLS_MAX: u32 = 6;

/// What the job writes.
const WRITTEN: &[&str] =
    &["by_bidder", "pairs", "without_bids", "dearest", "tumbling", "hopping", "running", "first_three", "both"];

fn sinks() -> impl Iterator<Item = &'static Sink> {
    SINKS.iter().filter(|sink| WRITTEN.contains(&sink.0))
}

/// The job, its input as fast as it goes or limited.
fn script(place: &Path, is_limited: bool) -> String {
    let settings = format!(
        "SET 'state.checkpoints.dir' = '{}/checkpoints'; SET 'execution.checkpointing.interval' = '150 ms';",
        place.display()
    );
    rooms::script(place, sinks(), EVENTS, is_limited.then_some(EVENTS / SECONDS), &settings)
}

fn start(place: &Path, shards: u32) -> Child {
    command(place, &["run", "job.sql", "--quiet", "--shards", &shards.to_string()]).spawn().expect("started")
}

type Output = BTreeMap<&'static str, BTreeMap<String, i64>>;

fn output(place: &Path) -> Output {
    sinks().map(|(table, _, format, _)| (*table, rows(place, table, format))).collect()
}

fn undisturbed() -> Output {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("job.sql"), script(directory.path(), false)).expect("written");
    assert!(start(directory.path(), 1).wait().expect("an end").success());
    output(directory.path())
}

/// One round; returns how often the job was killed.
fn round(seed: u64, expected: &Output) -> u32 {
    let mut random = StdRng::seed_from_u64(seed);
    let directory = tempfile::tempdir().expect("a directory");
    let place = directory.path();
    std::fs::write(place.join("job.sql"), script(place, true)).expect("written");
    let shards = random.random_range(1..=4);
    let mut kills = 0;
    loop {
        let mut child = start(place, shards);
        // Some of these are in the middle of recovery, and some in a row.
        let pause = match random.random_range(0..3) {
            0 => random.random_range(0..150),
            _ => random.random_range(150..1500),
        };
        let until = Instant::now() + Duration::from_millis(pause);
        let may_kill = kills < KILLS_MAX;
        let status = loop {
            if let Some(status) = child.try_wait().expect("a process") {
                break Some(status);
            }
            if may_kill && Instant::now() >= until {
                break None;
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        match status {
            Some(status) => {
                assert!(status.success(), "seed {seed}: after {kills} kills it failed");
                break;
            }
            None => {
                child.kill().expect("killed");
                child.wait().expect("gone");
                kills += 1;
            }
        }
    }
    for (table, rows) in output(place) {
        let wrong = differences(&rows, &expected[table]);
        assert!(wrong.is_empty(), "seed {seed}, {kills} kills, {shards} shards: {table} differs, as in {wrong:?}");
    }
    kills
}

#[test]
fn whatever_is_killed_the_committed_output_is_that_of_a_run_without() {
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    let (rounds, seed) = (number("EDDYLINE_CRASH_ROUNDS", 10), number("EDDYLINE_CRASH_SEED", 0));
    let expected = undisturbed();
    assert!(expected.values().all(|rows| !rows.is_empty()), "a query gives nothing: {expected:?}");
    let mut kills = 0;
    for seed in seed..seed + rounds {
        kills += round(seed, &expected);
        println!("seed {seed}: no difference; {kills} kills in all");
    }
    assert!(u64::from(kills) >= rounds, "{kills} kills in {rounds} rounds");
}
