//! TPC-H's 22 queries as maintained views: the tables arrive in random batches with deletions and rows that come again, and
//! after every step the view equals DataFusion's batch answer over the rows so far. Order and LIMIT are left out: they are
//! for display.
//!
//! Each on one and on four shards. `EDDYLINE_TPCH_SF` sets the scale factor.

use arrow::array::UInt32Array;
use arrow::compute::take_record_batch;
use eddyline_changes::{ChangeBatch, Weights};
use eddyline_sqltest::check::{Case, check};
use eddyline_sqltest::random::RandomTable;
use eddyline_sqltest::tpch;
use libtest_mimic::{Arguments, Failed, Trial};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The rows in some blocks over two splits; every block after the first takes rows of those before it back, and most of
/// them come again later.
fn arriving(rng: &mut StdRng, name: &str, columns: &str, sf: f64) -> RandomTable {
    let rows = tpch::rows(name, &tpch::schema(columns), sf);
    let mut splits = vec![Vec::new(), Vec::new()];
    for (split, blocks) in splits.iter_mut().enumerate() {
        let mut own: Vec<u32> = (0..rows.num_rows() as u32).filter(|r| *r as usize % 2 == split).collect();
        let mut live: Vec<u32> = Vec::new();
        let count = if own.len() > 20 { 3 } else { 1 };
        for left in (0..count).rev() {
            let taken = own.split_off(own.len() * left / count);
            let mut changes: Vec<(u32, i64)> = Vec::new();
            for _ in 0..live.len() / 4 {
                let gone = live.swap_remove(rng.random_range(0..live.len()));
                changes.push((gone, -1));
                if rng.random_bool(0.7) {
                    own.insert(rng.random_range(0..=own.len()), gone);
                }
            }
            changes.extend(taken.iter().map(|r| (*r, 1)));
            live.extend(taken);
            let picks = UInt32Array::from_iter_values(changes.iter().map(|c| c.0));
            let block = take_record_batch(&rows, &picks).expect("in range");
            let weights = Weights::from_vec(changes.iter().map(|c| c.1).collect());
            blocks.push(ChangeBatch::new(block, weights).expect("as many weights as rows"));
        }
    }
    tpch::table(name, columns, splits)
}

/// The view over its tables only.
fn maintained(query: &str, shards: usize, sf: f64) -> Result<(), Failed> {
    let mut rng = StdRng::seed_from_u64(shards as u64);
    let tables: Vec<RandomTable> =
        tpch::tables_of(query).map(|(name, columns)| arriving(&mut rng, name, columns, sf)).collect();
    Ok(check(&Case { seed: shards as u64, shards, tables, query: query.to_owned(), on_update: false })?)
}

fn main() {
    let sf: f64 = std::env::var("EDDYLINE_TPCH_SF").ok().and_then(|t| t.parse().ok()).unwrap_or(0.01);
    let trial = |n: usize, shards: usize| {
        Trial::test(format!("q{n} on {shards}"), move || maintained(&tpch::query(n)?, shards, sf))
    };
    let trials = (1..=22).flat_map(|n| [trial(n, 1), trial(n, 4)]).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
