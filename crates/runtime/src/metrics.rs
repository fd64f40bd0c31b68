//! What a job measures: one block of counters per shard and node, written by its shard alone (per batch, never
//! per row) and read by whoever asks.

use crate::job::JobState;
use crate::job_log::JobLog;
use crate::splits::SplitTable;
use eddyline_changes::{Epoch, Watermark};
use eddyline_plan::{Dataflow, NodeId, OperatorSpec};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Counters of one node on one shard.
#[derive(Debug)]
pub(crate) struct NodeCounters {
    rows_in: AtomicU64,
    rows_out: AtomicU64,
    busy_ns: AtomicU64,
    late: AtomicU64,
    null_time: AtomicU64,
    unknown_key: AtomicU64,
    skipped: AtomicU64,
    state_rows: AtomicU64,
    state_bytes: AtomicU64,
    watermark: AtomicI64,
}

impl NodeCounters {
    fn new() -> Self {
        Self {
            rows_in: AtomicU64::new(0),
            rows_out: AtomicU64::new(0),
            busy_ns: AtomicU64::new(0),
            late: AtomicU64::new(0),
            null_time: AtomicU64::new(0),
            unknown_key: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            state_rows: AtomicU64::new(0),
            state_bytes: AtomicU64::new(0),
            watermark: AtomicI64::new(Watermark::NONE.0),
        }
    }

    pub(crate) fn took(&self, rows: usize) {
        self.rows_in.fetch_add(rows as u64, Relaxed);
    }

    pub(crate) fn gave(&self, rows: usize) {
        self.rows_out.fetch_add(rows as u64, Relaxed);
    }

    pub(crate) fn worked(&self, time: Duration) {
        self.busy_ns.fetch_add(time.as_nanos() as u64, Relaxed);
    }

    pub(crate) fn late(&self, rows: u64) {
        self.late.fetch_add(rows, Relaxed);
    }

    pub(crate) fn null_time(&self, rows: u64) {
        self.null_time.fetch_add(rows, Relaxed);
    }

    pub(crate) fn unknown_key(&self, rows: u64) {
        self.unknown_key.fetch_add(rows, Relaxed);
    }

    pub(crate) fn skipped(&self, rows: u64) {
        self.skipped.fetch_add(rows, Relaxed);
    }

    pub(crate) fn state(&self, rows: usize, bytes: usize) {
        self.state_rows.store(rows as u64, Relaxed);
        self.state_bytes.store(bytes as u64, Relaxed);
    }

    pub(crate) fn watermark(&self, watermark: Watermark) {
        self.watermark.store(watermark.0, Relaxed);
    }
}

/// Rates are told over so long, where the job has run for so long.
const RATE_WINDOW: Duration = Duration::from_secs(10);
/// The time between two samples of them, at least.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);
/// Splits of a job that are told one by one.
const SPLITS_MAX: usize = 1000;

/// All counters of a job.
pub(crate) struct Counters {
    /// What has happened to it.
    pub(crate) log: JobLog,
    shards: Vec<Vec<NodeCounters>>,
    nodes: Vec<NodeTitle>,
    state: AtomicU8,
    cut: AtomicU64,
    completed: AtomicU64,
    restarts: AtomicU64,
    samples: Mutex<VecDeque<Sample>>,
    checkpoints: Mutex<CheckpointMetrics>,
    failure: Mutex<Option<JobFailure>>,
    /// Of the sources of this run, with the names of their tables.
    splits: Mutex<Vec<(Arc<str>, Arc<SplitTable>)>>,
}

/// How many rows had come at a moment.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Duration,
    rows_in: u64,
    rows_out: u64,
}

#[derive(Debug)]
struct NodeTitle {
    kind: &'static str,
    table: Option<String>,
    role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Source,
    Operator,
    Sink,
}

impl Counters {
    /// Of a job that begins `now`.
    pub(crate) fn new(log: JobLog, dataflow: &Dataflow, shards: usize, now: Duration) -> Arc<Self> {
        let nodes: Vec<NodeTitle> = dataflow.nodes().iter().map(|n| title(&n.spec)).collect();
        let shards = (0..shards).map(|_| nodes.iter().map(|_| NodeCounters::new()).collect()).collect();
        Arc::new(Self {
            log,
            shards,
            nodes,
            state: AtomicU8::new(JobState::Created as u8),
            cut: AtomicU64::new(0),
            completed: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
            samples: Mutex::new(VecDeque::from([Sample { at: now, rows_in: 0, rows_out: 0 }])),
            checkpoints: Mutex::default(),
            failure: Mutex::default(),
            splits: Mutex::default(),
        })
    }

    pub(crate) fn node(&self, shard: usize, node: NodeId) -> &NodeCounters {
        &self.shards[shard][node]
    }

    pub(crate) fn set_state(&self, state: JobState) {
        self.state.store(state as u8, Relaxed);
    }

    pub(crate) fn state(&self) -> JobState {
        JobState::from_number(self.state.load(Relaxed))
    }

    pub(crate) fn set_cut(&self, epoch: Epoch) {
        self.cut.store(epoch.0, Relaxed);
    }

    pub(crate) fn set_completed(&self, epoch: Epoch) {
        self.completed.store(epoch.0, Relaxed);
    }

    pub(crate) fn restarted(&self) {
        self.restarts.fetch_add(1, Relaxed);
    }

    pub(crate) fn failed(&self, time_ms: i64, message: String) {
        *self.failure.lock() = Some(JobFailure { time_ms, message });
    }

    /// A checkpoint was made, or could not be.
    pub(crate) fn checkpointed(&self, attempt: Result<CheckpointFacts, JobFailure>) {
        let mut checkpoints = self.checkpoints.lock();
        match attempt {
            Ok(facts) => {
                checkpoints.complete += 1;
                checkpoints.last = Some(facts);
            }
            Err(failure) => {
                checkpoints.failed += 1;
                checkpoints.last_failure = Some(failure);
            }
        }
    }

    /// The splits of a run that begins.
    pub(crate) fn set_splits(&self, splits: Vec<(Arc<str>, Arc<SplitTable>)>) {
        *self.splits.lock() = splits;
    }

    /// Notes how many rows have come, from time to time.
    pub(crate) fn sample(&self, now: Duration) {
        let mut samples = self.samples.lock();
        if samples.back().is_some_and(|last| now < last.at + SAMPLE_INTERVAL) {
            return;
        }
        let (rows_in, rows_out) = (self.rows_of(Role::Source), self.rows_of(Role::Sink));
        samples.push_back(Sample { at: now, rows_in, rows_out });
        while samples.len() > 2 && samples[0].at + RATE_WINDOW < now {
            samples.pop_front();
        }
    }

    fn rows_of(&self, role: Role) -> u64 {
        let of_role = |shard: &Vec<NodeCounters>| -> u64 {
            let nodes = shard.iter().zip(&self.nodes).filter(|(_, title)| title.role == role);
            nodes.map(|(counters, _)| counters.rows_in.load(Relaxed)).sum()
        };
        self.shards.iter().map(of_role).sum()
    }

    /// Rows in and out per second, of late.
    fn rates(&self, rows_in: u64, rows_out: u64, now: Duration) -> (f64, f64) {
        let samples = self.samples.lock();
        let recent = samples.iter().find(|sample| sample.at + RATE_WINDOW >= now).or(samples.back());
        let Some(Sample { at, rows_in: before_in, rows_out: before_out }) = recent.copied() else { return (0.0, 0.0) };
        let seconds = now.saturating_sub(at).as_secs_f64();
        let rate =
            |rows: u64, before: u64| if seconds > 0.0 { rows.saturating_sub(before) as f64 / seconds } else { 0.0 };
        (rate(rows_in, before_in), rate(rows_out, before_out))
    }

    fn splits(&self) -> Vec<SplitMetrics> {
        let splits = self.splits.lock();
        let of = |(name, table): &(Arc<str>, Arc<SplitTable>)| {
            let name = name.to_string();
            table.measured(SPLITS_MAX).into_iter().map(move |split| SplitMetrics { table: name.clone(), ..split })
        };
        splits.iter().flat_map(of).take(SPLITS_MAX).collect()
    }

    /// Everything as of `now`. `wall_ms` is the wall clock, against which lag is told.
    pub(crate) fn snapshot(&self, wall_ms: i64, now: Duration) -> JobMetrics {
        let operators: Vec<OperatorMetrics> = (0..self.nodes.len()).map(|n| self.operator(n)).collect();
        let of = |role: Role| operators.iter().zip(&self.nodes).filter(move |(_, t)| t.role == role).map(|(o, _)| o);
        let watermark = of(Role::Sink).map(|o| o.watermark).min().unwrap_or(Watermark::NONE);
        let rows_in = of(Role::Source).map(|o| o.rows_in).sum();
        let rows_out = of(Role::Sink).map(|o| o.rows_in).sum();
        let (rows_in_per_second, rows_out_per_second) = self.rates(rows_in, rows_out, now);
        JobMetrics {
            state: self.state(),
            epoch: Epoch(self.cut.load(Relaxed)),
            completed: Epoch(self.completed.load(Relaxed)),
            restarts: self.restarts.load(Relaxed),
            rows_in,
            rows_out,
            rows_in_per_second,
            rows_out_per_second,
            late_rows: operators.iter().map(|o| o.late_rows).sum(),
            null_time_rows: operators.iter().map(|o| o.null_time_rows).sum(),
            unknown_key_rows: operators.iter().map(|o| o.unknown_key_rows).sum(),
            skipped_rows: operators.iter().map(|o| o.skipped_rows).sum(),
            watermark,
            lag_ms: watermark.as_millis().map(|w| wall_ms.saturating_sub(w)),
            state_rows: operators.iter().map(|o| o.state_rows).sum(),
            state_bytes: operators.iter().map(|o| o.state_bytes).sum(),
            failure: self.failure.lock().clone(),
            checkpoints: self.checkpoints.lock().clone(),
            splits: self.splits(),
            operators,
        }
    }

    fn operator(&self, node: NodeId) -> OperatorMetrics {
        let on = |read: fn(&NodeCounters) -> &AtomicU64| self.shards.iter().map(|s| read(&s[node]).load(Relaxed)).sum();
        let watermark = self.shards.iter().map(|s| s[node].watermark.load(Relaxed)).min();
        OperatorMetrics {
            node,
            kind: self.nodes[node].kind,
            table: self.nodes[node].table.clone(),
            rows_in: on(|c| &c.rows_in),
            rows_out: on(|c| &c.rows_out),
            busy: Duration::from_nanos(on(|c| &c.busy_ns)),
            late_rows: on(|c| &c.late),
            null_time_rows: on(|c| &c.null_time),
            unknown_key_rows: on(|c| &c.unknown_key),
            skipped_rows: on(|c| &c.skipped),
            state_rows: on(|c| &c.state_rows),
            state_bytes: on(|c| &c.state_bytes),
            watermark: Watermark(watermark.unwrap_or(Watermark::NONE.0)),
        }
    }
}

fn title(spec: &OperatorSpec) -> NodeTitle {
    let (table, role) = match spec {
        OperatorSpec::Source(s) => (Some(s.table.clone()), Role::Source),
        OperatorSpec::Values(_) => (None, Role::Source),
        OperatorSpec::Sink(s) => (Some(s.table.clone()), Role::Sink),
        _ => (None, Role::Operator),
    };
    NodeTitle { kind: spec.name(), table, role }
}

/// What a job has done so far. Rows are counted without their weights.
#[derive(Debug, Clone, PartialEq)]
pub struct JobMetrics {
    /// The job's state.
    pub state: JobState,
    /// The last epoch that was cut.
    pub epoch: Epoch,
    /// The last epoch whose output is visible.
    pub completed: Epoch,
    /// Rows that sources have decoded.
    pub rows_in: u64,
    /// Rows that were handed to sinks.
    pub rows_out: u64,
    /// Rows decoded per second, over the last ten seconds or since the start.
    pub rows_in_per_second: f64,
    /// Rows handed to sinks per second, likewise.
    pub rows_out_per_second: f64,
    /// Rows left out because all their windows were closed.
    pub late_rows: u64,
    /// Rows left out because their time column is NULL.
    pub null_time_rows: u64,
    /// Deletions of keys that had no row.
    pub unknown_key_rows: u64,
    /// Rows left out because they could not be decoded and the table says to skip such rows.
    pub skipped_rows: u64,
    /// How often it failed and was started again.
    pub restarts: u64,
    /// Event time that has reached all sinks.
    pub watermark: Watermark,
    /// Wall clock less watermark in milliseconds; `None` without a watermark or at its end.
    pub lag_ms: Option<i64>,
    /// Entries in the operators' hot sets, as of the last epoch.
    pub state_rows: u64,
    /// Memory of the operators' hot sets in bytes, as of the last epoch.
    pub state_bytes: u64,
    /// Why it failed last, also if it has been started again since.
    pub failure: Option<JobFailure>,
    /// What became of its checkpoints, since its process began.
    pub checkpoints: CheckpointMetrics,
    /// The splits that are being read, the first thousand of them.
    pub splits: Vec<SplitMetrics>,
    /// Per node of the plan, by node id.
    pub operators: Vec<OperatorMetrics>,
}

/// What a node has done so far, on all shards together.
#[derive(Debug, Clone, PartialEq)]
pub struct OperatorMetrics {
    /// Its number in the plan.
    pub node: NodeId,
    /// What it is, as EXPLAIN names it.
    pub kind: &'static str,
    /// The table it reads or writes.
    pub table: Option<String>,
    /// Rows taken; for sources, decoded.
    pub rows_in: u64,
    /// Rows emitted; for sources, after predicate and projection.
    pub rows_out: u64,
    /// Time spent in it, added up over shards; what is downstream does not count.
    pub busy: Duration,
    /// Rows left out as late.
    pub late_rows: u64,
    /// Rows left out for want of a time.
    pub null_time_rows: u64,
    /// Deletions of keys that had no row.
    pub unknown_key_rows: u64,
    /// Rows that could not be decoded and were skipped.
    pub skipped_rows: u64,
    /// Entries in its hot sets.
    pub state_rows: u64,
    /// Memory of its hot sets in bytes.
    pub state_bytes: u64,
    /// The watermark it has passed on, the minimum over shards.
    pub watermark: Watermark,
}

/// Something that has gone wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFailure {
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    pub time_ms: i64,
    /// What.
    pub message: String,
}

/// What became of a job's checkpoints.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckpointMetrics {
    /// How many were made.
    pub complete: u64,
    /// How many could not be.
    pub failed: u64,
    /// The last that was made.
    pub last: Option<CheckpointFacts>,
    /// Why the last one that failed did.
    pub last_failure: Option<JobFailure>,
}

/// A checkpoint that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointFacts {
    /// Its number.
    pub id: u64,
    /// The epoch that it ends.
    pub epoch: u64,
    /// When its barrier was cut, in milliseconds since 1970-01-01T00:00:00Z.
    pub start_ms: i64,
    /// From there until it was durable.
    pub duration_ms: u64,
    /// Bytes that it wrote.
    pub new_bytes: u64,
    /// Bytes that it is made of.
    pub total_bytes: u64,
}

/// How far a split has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitMetrics {
    /// The table.
    pub table: String,
    /// The split, as its connector names it.
    pub split: String,
    /// Rows decoded of it in this run of the job.
    pub rows: u64,
    /// Where it is read next, in the connector's unit: bytes, rows, offsets.
    pub position: u64,
    /// Its event time; [`Watermark::NONE`] where nobody asks for it.
    pub watermark: Watermark,
    /// It was silent for so long that it holds nothing back.
    pub is_idle: bool,
}
