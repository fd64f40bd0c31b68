//! One query under simulation, compared with its batch answer after every step: invariants I1, I2 and I4.
//!
//! Blocks of the tables arrive in an order drawn from the seed; after each arrival the simulation runs until nothing
//! more can happen, so the input so far is known exactly and the accumulated output must equal the batch answer over
//! it. Meanwhile epochs are also cut at random places. A query that emits when windows close is compared with the
//! batch answer's windows that the watermark has passed. A query that asks what time it is is compared with the answer at the
//! time that the clock shows; between the arrivals the clock moves on, and at times the job dies and goes on from a checkpoint.

use crate::feed::{Changes, Feed};
use crate::oracle::{self, Tables};
use crate::random::RandomTable;
use crate::rows::Multiset;
use arrow::array::{AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{filter_record_batch, max, take_record_batch};
use arrow::datatypes::{Int64Type, SchemaRef, TimestampMillisecondType};
use eddyline_changes::{BarrierKind, ChangeBatch, Epoch, Watermark};
use eddyline_connectors::clock::{Clock, ManualClock};
use eddyline_connectors::{
    Commit, Connector, ConnectorError, Options, Registry, Rim, Sink, SinkChanges, SinkRequest, SinkWriter,
};
use eddyline_engine::{Engine, EngineConfig};
use eddyline_planner::PlannedJob;
use eddyline_runtime::JobSettings;
use eddyline_runtime::simulation::Simulation;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Runtime;

/// What is to be checked.
#[derive(Clone)]
pub struct Case {
    /// Decides cuts, interleaving and sizes.
    pub seed: u64,
    /// Number of shards.
    pub shards: usize,
    /// The tables; their blocks arrive in random order, each split in its own.
    pub tables: Vec<RandomTable>,
    /// A SELECT over them.
    pub query: String,
    /// True when windows emit early and are corrected (`execution.emit` = `on-update`).
    pub on_update: bool,
}

/// The watermark of random tables is this far behind the latest row of a split.
const WATERMARK_DELAY_MS: i64 = 5_000;
/// Random tables begin at this time.
const BEGIN_MS: u64 = 1_704_067_200_000;

impl Case {
    /// The case as a script: settings, tables, query.
    fn script(&self) -> String {
        let emit = if self.on_update { "SET 'execution.emit' = 'on-update';\n" } else { "" };
        // No case lasts so long: what can forget must answer as what cannot.
        let ttl = if self.seed.is_multiple_of(4) { "SET 'table.exec.state.ttl' = '30 d';\n" } else { "" };
        let ddl: String = self.tables.iter().map(|t| format!("{}\n", t.ddl)).collect();
        format!("{emit}{ttl}{ddl}{}", self.query)
    }

    /// The connectors, with one that hands out what is fed.
    fn registry(&self, feeds: &[Feed]) -> Registry {
        let feeds = self.tables.iter().zip(feeds);
        let changes = feeds.fold(Changes::default(), |all, (table, feed)| all.with_feed(&table.name, feed.clone()));
        Registry::builtin().with(Arc::new(changes))
    }

    fn planned(&self, tokio: &Runtime, registry: &Registry) -> Result<PlannedJob, String> {
        let config = EngineConfig {
            registry: registry.clone(),
            shards: self.shards,
            ..EngineConfig::new(tokio.handle().clone())
        };
        let script = self.script();
        Engine::new(config).session().plan_select(&script).map_err(|e| e.render(&script))
    }
}

fn tokio() -> Result<Runtime, String> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())
}

/// Runs a case.
///
/// # Errors
/// What differs, with the seed, the query and the rows; or why it could not be planned or run.
pub fn check(case: &Case) -> Result<(), String> {
    let tokio = tokio()?;
    let feeds: Vec<Feed> = case.tables.iter().map(|t| Feed::new(t.splits.len())).collect();
    let registry = case.registry(&feeds);
    let script = case.script();
    let told = |what: String| format!("{what}\nseed {} on {} shards:\n{script}", case.seed, case.shards);
    let planned = case.planned(&tokio, &registry).map_err(|e| told(format!("planning: {e}")))?;
    let collected = Collected::default();

    let mut rng = StdRng::seed_from_u64(case.seed);
    let settings = JobSettings {
        shards: case.shards,
        batch_rows: rng.random_range(1..40),
        channel_batches: rng.random_range(1..4),
        ..JobSettings::default()
    };
    let registry = registry.with(Arc::new(collected.clone()));
    let clock = ManualClock::shared();
    let asks_time = ["NOW()", "LOCALTIMESTAMP", "CURRENT_"].iter().any(|word| case.query.contains(word));
    if asks_time {
        clock.advance(Duration::from_millis(BEGIN_MS));
    }
    let simulation = Simulation::new(planned.dataflow, &registry, settings, case.seed, clock.clone());
    let mut simulation = simulation.map_err(|e| told(format!("starting: {e}")))?.with_random_cuts(0.02);
    let answer = |tables: Tables| -> Result<Vec<RecordBatch>, String> {
        let logical = oracle::at_time(&planned.logical[0], clock.wall_ms()).map_err(|e| e.to_string())?;
        tokio.block_on(oracle::batch_answer(&logical, &tables)).map_err(|e| e.to_string())
    };
    let windowed = case.query.contains("window_end") && !case.on_update;

    let mut arrived = Arrived::new(&case.tables);
    while let Some((table, split, block)) = arrived.next(&mut rng) {
        feeds[table].push(split, block);
        if rng.random_bool(0.3) {
            continue;
        }
        simulation.run_until_idle().map_err(|e| told(format!("running: {e}")))?;
        if asks_time {
            simulation.advance(Duration::from_millis(rng.random_range(0..4_000)));
            if rng.random_bool(0.1) {
                simulation.checkpoint();
                simulation.run_until_idle().map_err(|e| told(format!("at a checkpoint: {e}")))?;
                simulation.crash().map_err(|e| told(format!("after a crash: {e}")))?;
            }
        }
        simulation.cut_epoch();
        simulation.run_until_idle().map_err(|e| told(format!("cutting: {e}")))?;
        let wanted = answer(arrived.tables()?).map_err(&told)?;
        let wanted = if windowed { closed(&wanted, arrived.watermark())? } else { wanted };
        compare(&collected, &wanted).map_err(|e| told(format!("{e}over the input\n{}", arrived.text())))?;
    }
    feeds.iter().for_each(Feed::close);
    if !simulation.run_to_end().map_err(|e| told(format!("ending: {e}")))? {
        return Err(told("the job does not end although its input has".into()));
    }
    let wanted = answer(arrived.tables()?).map_err(&told)?;
    compare(&collected, &wanted).map_err(|e| told(format!("{e}at the end of\n{}", arrived.text())))
}

/// The batch answer of a case over all of its input.
///
/// # Errors
/// It cannot be bound, or DataFusion cannot compute it.
pub fn answer(case: &Case) -> Result<Vec<RecordBatch>, String> {
    let tokio = tokio()?;
    let feeds: Vec<Feed> = case.tables.iter().map(|t| Feed::new(t.splits.len())).collect();
    let planned = case.planned(&tokio, &case.registry(&feeds))?;
    let mut arrived = Arrived::new(&case.tables);
    arrived.handed = case.tables.iter().map(|t| t.splits.iter().map(Vec::len).collect()).collect();
    tokio.block_on(oracle::batch_answer(&planned.logical[0], &arrived.tables()?)).map_err(|e| e.to_string())
}

fn compare(collected: &Collected, wanted: &[RecordBatch]) -> Result<(), String> {
    let wanted = Multiset::of(wanted).map_err(|e| e.to_string())?;
    let rows = &collected.lock().rows;
    if let Some(row) = rows.negative() {
        return Err(format!("a row is there less than 0 times: {row}\n"));
    }
    match rows.difference(&wanted, 12) {
        None => Ok(()),
        Some(difference) => Err(format!("the output has too much (+) or too little (-):\n{difference}")),
    }
}

/// The rows of windows that the watermark has passed.
fn closed(batches: &[RecordBatch], watermark: Watermark) -> Result<Vec<RecordBatch>, String> {
    let one = |batch: &RecordBatch| {
        let ends = batch.column_by_name("window_end").ok_or("no column window_end")?;
        let ends = ends.as_primitive::<TimestampMillisecondType>();
        let keep: BooleanArray = ends.values().iter().map(|end| Some(*end - 1 <= watermark.0)).collect();
        filter_record_batch(batch, &keep).map_err(|e| e.to_string())
    };
    batches.iter().map(one).collect()
}

/// What has arrived so far.
struct Arrived<'a> {
    tables: &'a [RandomTable],
    /// Per table and split: blocks handed out.
    handed: Vec<Vec<usize>>,
}

impl<'a> Arrived<'a> {
    fn new(tables: &'a [RandomTable]) -> Self {
        Self { tables, handed: tables.iter().map(|t| vec![0; t.splits.len()]).collect() }
    }

    /// The next block of a random split that has one.
    fn next(&mut self, rng: &mut StdRng) -> Option<(usize, usize, ChangeBatch)> {
        let open: Vec<(usize, usize)> = (0..self.tables.len())
            .flat_map(|t| (0..self.handed[t].len()).map(move |s| (t, s)))
            .filter(|(t, s)| self.handed[*t][*s] < self.tables[*t].splits[*s].len())
            .collect();
        if open.is_empty() {
            return None;
        }
        let (table, split) = open[rng.random_range(0..open.len())];
        let at = self.handed[table][split];
        self.handed[table][split] += 1;
        Some((table, split, self.tables[table].splits[split][at].clone()))
    }

    fn blocks(&self, table: usize) -> impl Iterator<Item = &ChangeBatch> {
        let splits = self.tables[table].splits.iter().zip(&self.handed[table]);
        splits.flat_map(|(blocks, handed)| &blocks[..*handed])
    }

    /// The rows of every table, changes added up.
    fn tables(&self) -> Result<Tables, String> {
        (0..self.tables.len())
            .map(|t| {
                let blocks: Vec<ChangeBatch> = self.blocks(t).cloned().collect();
                let add_up = if self.tables[t].upserts { last_of_keys } else { accumulated };
                let rows = add_up(&self.tables[t].schema, &blocks).map_err(|e| e.to_string())?;
                Ok((self.tables[t].name.clone(), vec![rows]))
            })
            .collect()
    }

    /// The minimum over all splits (there is one table in windowed cases), by the definition of the random tables.
    fn watermark(&self) -> Watermark {
        let per_split = self.tables[0].splits.iter().zip(&self.handed[0]).map(|(blocks, handed)| {
            let latest = |b: &ChangeBatch| max(b.column(5).as_primitive::<TimestampMillisecondType>());
            let latest = blocks[..*handed].iter().filter_map(latest).max();
            latest.map_or(Watermark::NONE, |ms| Watermark(ms - WATERMARK_DELAY_MS))
        });
        per_split.min().unwrap_or(Watermark::NONE)
    }

    fn text(&self) -> String {
        let table = |t: usize| {
            let blocks: String =
                self.blocks(t).map(|b| format!("{}--\n", eddyline_changes::table::format_changes(b))).collect();
            format!("{}:\n{blocks}", self.tables[t].name)
        };
        (0..self.tables.len()).map(table).collect()
    }
}

/// The rows that changes add up to.
fn accumulated(schema: &SchemaRef, blocks: &[ChangeBatch]) -> Result<RecordBatch, eddyline_changes::ChangeError> {
    let net = ChangeBatch::concat(schema, blocks)?.consolidate()?;
    let copies = (0..net.num_rows()).flat_map(|r| std::iter::repeat_n(r as u32, net.weights().at(r).max(0) as usize));
    Ok(take_record_batch(net.rows(), &UInt32Array::from_iter_values(copies))?)
}

/// The last row of every value of the column `a`, unless it was deleted; a key's rows are in the order of the blocks.
fn last_of_keys(schema: &SchemaRef, blocks: &[ChangeBatch]) -> Result<RecordBatch, eddyline_changes::ChangeError> {
    let all = ChangeBatch::concat(schema, blocks)?;
    let keys = all.column(1).as_primitive::<Int64Type>();
    let last: BTreeMap<i64, u32> = keys.values().iter().zip(0..).map(|(key, row)| (*key, row)).collect();
    let kept = last.into_values().filter(|row| all.weights().at(*row as usize) > 0);
    Ok(take_record_batch(all.rows(), &UInt32Array::from_iter_values(kept))?)
}

/// A sink in the place of the engine's: accumulates what is committed, when somebody asks for it.
#[derive(Clone, Default)]
pub struct Collected(Arc<Mutex<Collection>>);

#[derive(Default)]
struct Collection {
    rows: Multiset,
    /// What is not added yet.
    pending: Vec<ChangeBatch>,
}

impl Collected {
    /// What has been committed and not taken back: a line per row, with its multiplicity in front.
    pub fn text(&self) -> String {
        self.lock().rows.difference(&Multiset::default(), usize::MAX).unwrap_or_default()
    }

    /// What there is too much (+) or too little (-) of beside `wanted`, if anything.
    pub fn difference(&self, wanted: &Multiset) -> Option<String> {
        self.lock().rows.difference(wanted, 12)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Collection> {
        let mut collection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for changes in std::mem::take(&mut collection.pending) {
            collection.rows.apply(&changes).expect("rows of a result can be printed");
        }
        collection
    }
}

impl Connector for Collected {
    fn name(&self) -> &'static str {
        "$collect"
    }

    fn sink(&self, _options: Options, _request: SinkRequest) -> Result<Arc<dyn Sink>, ConnectorError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Sink for Collected {
    fn changes(&self) -> SinkChanges {
        SinkChanges::Full
    }

    fn writer(&self, _shard: usize, _rim: &Rim) -> Result<Box<dyn SinkWriter>, ConnectorError> {
        Ok(Box::new(CollectedWriter { to: self.clone(), pending: Vec::new() }))
    }
}

struct CollectedWriter {
    to: Collected,
    pending: Vec<ChangeBatch>,
}

impl SinkWriter for CollectedWriter {
    fn write(&mut self, changes: &ChangeBatch) -> Result<(), ConnectorError> {
        self.pending.push(changes.clone());
        Ok(())
    }

    fn prepare(&mut self, _epoch: Epoch, _kind: BarrierKind) -> Result<Vec<Commit>, ConnectorError> {
        self.to.0.lock().unwrap_or_else(PoisonError::into_inner).pending.append(&mut self.pending);
        Ok(Vec::new())
    }
}
