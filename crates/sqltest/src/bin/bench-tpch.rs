//! What a small change costs a maintained view of TPC-H, beside computing the query again: `cargo xtask bench-tpch`.
//!
//! The tables are loaded, then batches of changed rows arrive, half of them rows taken back and half rows that were
//! missing, drawn from all rows of all tables that the query reads. Timed is how long the view takes until the epoch that holds the batch
//! is complete, on one shard in one thread, and how long DataFusion takes to plan and compute the query over the same
//! rows in memory, on as many threads as there are cores. Both are medians. At the end the answers are compared.

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use eddyline_changes::{ChangeBatch, Weights};
use eddyline_connectors::Registry;
use eddyline_connectors::clock::ManualClock;
use eddyline_engine::{Engine, EngineConfig};
use eddyline_runtime::JobSettings;
use eddyline_runtime::simulation::Simulation;
use eddyline_sqltest::check::Collected;
use eddyline_sqltest::feed::{Changes, Feed};
use eddyline_sqltest::oracle::{Tables, batch_answer_on};
use eddyline_sqltest::rows::Multiset;
use eddyline_sqltest::tpch;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// As in the binary `eddyline`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const USAGE: &str = "usage: bench-tpch [--sf F] [--changes N] [--batches N] [--queries 1,2,…]";

struct Arguments {
    sf: f64,
    /// Changed rows of a batch.
    changes: usize,
    batches: usize,
    queries: Vec<usize>,
}

fn arguments() -> Option<Arguments> {
    let mut parsed = Arguments { sf: 0.1, changes: 100, batches: 41, queries: (1..=22).collect() };
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next()?;
        match name.as_str() {
            "--sf" => parsed.sf = value.parse().ok()?,
            "--changes" => parsed.changes = value.parse().ok()?,
            "--batches" => parsed.batches = value.parse().ok()?,
            "--queries" => parsed.queries = value.split(',').map(|n| n.parse().ok()).collect::<Option<_>>()?,
            _ => return None,
        }
    }
    Some(parsed)
}

fn main() -> ExitCode {
    let Some(arguments) = arguments() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    println!(
        "{:<6} {:>9} {:>10} {:>13} {:>8} {:>11}",
        "query", "load s", "update ms", "recompute ms", "ratio", "rows out"
    );
    for n in &arguments.queries {
        match measured(*n, &arguments) {
            Ok(m) => println!(
                "{:<6} {:>9.2} {:>10.3} {:>13.2} {:>8.0} {:>11.1}",
                format!("q{n}"),
                m.load.as_secs_f64(),
                ms(m.update),
                ms(m.recompute),
                ms(m.recompute) / ms(m.update),
                m.rows_out
            ),
            Err(error) => {
                eprintln!("q{n}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

struct Measured {
    load: Duration,
    update: Duration,
    recompute: Duration,
    /// Changes of the answer per batch, on average.
    rows_out: f64,
}

/// A table: its rows, and which of them are there.
struct Source {
    name: &'static str,
    rows: RecordBatch,
    there: Vec<u32>,
    missing: Vec<u32>,
    feed: Feed,
}

/// Part of the rows that is missing at the start, so that there is something to insert.
const MISSING: f64 = 0.05;
const BLOCK_ROWS: usize = 8192;
/// How often DataFusion computes each query.
const RECOMPUTED: usize = 5;

impl Source {
    fn new(rng: &mut StdRng, name: &'static str, columns: &str, sf: f64) -> Self {
        let rows = tpch::rows(name, &tpch::schema(columns), sf);
        let all = 0..rows.num_rows() as u32;
        let (missing, there) = all.partition(|_| rng.random_bool(MISSING));
        Self { name, rows, there, missing, feed: Feed::new(1) }
    }

    fn push(&self, picks: &[u32], weights: Vec<i64>) -> Result<(), Box<dyn Error>> {
        let rows = take_record_batch(&self.rows, &UInt32Array::from(picks.to_vec()))?;
        self.feed.push(0, ChangeBatch::new(rows, Weights::from_vec(weights))?);
        Ok(())
    }

    /// Takes back half of `changes` rows, and adds as many; where one is left over, chance decides.
    fn change(&mut self, rng: &mut StdRng, changes: usize) -> Result<(), Box<dyn Error>> {
        let (mut picks, mut weights) = (Vec::new(), Vec::new());
        let first = rng.random_range(0..2);
        for at in first..first + changes {
            let (from, to, weight) = match at % 2 {
                0 => (&mut self.there, &mut self.missing, -1),
                _ => (&mut self.missing, &mut self.there, 1),
            };
            if from.is_empty() {
                continue;
            }
            let pick = from.swap_remove(rng.random_range(0..from.len()));
            to.push(pick);
            picks.push(pick);
            weights.push(weight);
        }
        if picks.is_empty() { Ok(()) } else { self.push(&picks, weights) }
    }
}

fn measured(n: usize, arguments: &Arguments) -> Result<Measured, Box<dyn Error>> {
    let query = tpch::query(n)?;
    let rng = &mut StdRng::seed_from_u64(n as u64);
    let tables: Vec<(&str, &str)> = tpch::tables_of(&query).collect();
    let mut sources: Vec<Source> = tables.iter().map(|(t, c)| Source::new(rng, t, c, arguments.sf)).collect();
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let feeds = sources.iter().fold(Changes::default(), |all, s| all.with_feed(s.name, s.feed.clone()));
    let registry = Registry::builtin().with(Arc::new(feeds));
    let config = EngineConfig { registry: registry.clone(), shards: 1, ..EngineConfig::new(tokio.handle().clone()) };
    let ddl: String = tables.iter().map(|(t, c)| tpch::table(t, c, Vec::new()).ddl).collect();
    let script = format!("{ddl}{query}");
    let planned = Engine::new(config).session().plan_select(&script).map_err(|e| e.render(&script))?;
    let collected = Collected::default();
    let registry = registry.with(Arc::new(collected.clone()));
    let settings = JobSettings { shards: 1, ..JobSettings::default() };
    let mut view = Simulation::new(planned.dataflow, &registry, settings, 0, ManualClock::shared())?.orderly()?;

    let load = Instant::now();
    for source in &sources {
        for block in source.there.chunks(BLOCK_ROWS) {
            source.push(block, vec![1; block.len()])?;
        }
    }
    settle(&mut view)?;
    let load = load.elapsed();

    let before = view.metrics().rows_out;
    let total: usize = sources.iter().map(|s| s.rows.num_rows()).sum();
    let mut updates = Vec::new();
    for _ in 0..arguments.batches {
        for at in drawn(rng, &sources, total, arguments.changes).iter().enumerate() {
            sources[at.0].change(rng, *at.1)?;
        }
        let start = Instant::now();
        settle(&mut view)?;
        updates.push(start.elapsed());
    }
    let rows_out = (view.metrics().rows_out - before) as f64 / arguments.batches as f64;

    let now: Tables = sources
        .iter()
        .map(|s| Ok((s.name.to_owned(), vec![take_record_batch(&s.rows, &UInt32Array::from(s.there.clone()))?])))
        .collect::<Result<_, arrow::error::ArrowError>>()?;
    let threads = std::thread::available_parallelism()?.get();
    let mut recomputed = Vec::new();
    let mut answer = Vec::new();
    for _ in 0..RECOMPUTED {
        let start = Instant::now();
        answer = tokio.block_on(batch_answer_on(&planned.logical[0], &now, threads))?;
        recomputed.push(start.elapsed());
    }
    if let Some(difference) = collected.difference(&Multiset::of(&answer)?) {
        return Err(format!("the view differs from the batch answer:\n{difference}").into());
    }
    Ok(Measured { load, update: median(updates), recompute: median(recomputed), rows_out })
}

fn settle(view: &mut Simulation) -> Result<(), Box<dyn Error>> {
    view.run_until_idle()?;
    view.cut_epoch();
    Ok(view.run_until_idle()?)
}

/// How many of `changes` fall on each table, drawn by their sizes.
fn drawn(rng: &mut StdRng, sources: &[Source], total: usize, changes: usize) -> Vec<usize> {
    let mut counts = vec![0; sources.len()];
    for _ in 0..changes {
        let mut row = rng.random_range(0..total);
        for (count, source) in counts.iter_mut().zip(sources) {
            if row < source.rows.num_rows() {
                *count += 1;
                break;
            }
            row -= source.rows.num_rows();
        }
    }
    counts
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
