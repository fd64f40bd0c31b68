//! Random queries against the batch oracle, a fixed set of seeds on one, two and four shards.

use eddyline_sqltest::check::{Case, check};
use eddyline_sqltest::random::{self, Shape};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// Queries over two tables, one of which takes rows back.
fn relational(seed: u64) -> Result<(), String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let tables = [random::table(&mut rng, "t", true, 24), random::table(&mut rng, "u", false, 24)];
    let query = random::query(&mut rng, Shape::Relational, &["t", "u"]);
    check(&Case { seed, shards: shards(seed), tables: &tables, query: &query, on_update: false })
}

/// Windows over a table that only grows.
fn windowed(seed: u64, on_update: bool) -> Result<(), String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let tables = [random::table(&mut rng, "t", false, 40)];
    let query = random::query(&mut rng, Shape::Windowed, &["t"]);
    check(&Case { seed, shards: shards(seed), tables: &tables, query: &query, on_update })
}

fn shards(seed: u64) -> usize {
    [1, 2, 4][(seed % 3) as usize]
}

fn all(seeds: std::ops::Range<u64>, run: impl Fn(u64) -> Result<(), String>) {
    let failed: Vec<String> = seeds.filter_map(|seed| run(seed).err()).collect();
    if let Some(first) = failed.first() {
        panic!("{} seeds failed, the first:\n{first}", failed.len());
    }
}

#[test]
#[ignore = "does not agree with the engine yet; whether the harness or the engine is wrong is open"]
fn relational_queries_equal_their_batch_answers() {
    all(0..40, relational);
}

#[test]
#[ignore = "does not agree with the engine yet; whether the harness or the engine is wrong is open"]
fn windows_equal_their_batch_answers_when_they_close() {
    all(0..40, |seed| windowed(seed, false));
}

#[test]
#[ignore = "does not agree with the engine yet; whether the harness or the engine is wrong is open"]
fn windows_equal_their_batch_answers_at_every_moment() {
    all(0..40, |seed| windowed(seed, true));
}
