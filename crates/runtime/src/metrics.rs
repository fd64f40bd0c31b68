//! What a job measures: one block of counters per shard and node, written by its shard alone (per batch, never
//! per row) and read by whoever asks.

use crate::job::JobState;
use eddyline_changes::{Epoch, Watermark};
use eddyline_plan::{Dataflow, NodeId, OperatorSpec};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
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

/// All counters of a job.
#[derive(Debug)]
pub(crate) struct Counters {
    name: String,
    shards: Vec<Vec<NodeCounters>>,
    nodes: Vec<NodeTitle>,
    state: AtomicU8,
    cut: AtomicU64,
    completed: AtomicU64,
    restarts: AtomicU64,
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
    pub(crate) fn new(name: &str, dataflow: &Dataflow, shards: usize) -> Arc<Self> {
        let nodes: Vec<NodeTitle> = dataflow.nodes().iter().map(|n| title(&n.spec)).collect();
        let shards = (0..shards).map(|_| nodes.iter().map(|_| NodeCounters::new()).collect()).collect();
        Arc::new(Self {
            name: name.to_owned(),
            shards,
            nodes,
            state: AtomicU8::new(JobState::Created as u8),
            cut: AtomicU64::new(0),
            completed: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
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

    /// Everything as of now. `wall_ms` is the wall clock, against which lag is told.
    pub(crate) fn snapshot(&self, wall_ms: i64) -> JobMetrics {
        let operators: Vec<OperatorMetrics> = (0..self.nodes.len()).map(|n| self.operator(n)).collect();
        let of = |role: Role| operators.iter().zip(&self.nodes).filter(move |(_, t)| t.role == role).map(|(o, _)| o);
        let watermark = of(Role::Sink).map(|o| o.watermark).min().unwrap_or(Watermark::NONE);
        JobMetrics {
            state: self.state(),
            epoch: Epoch(self.cut.load(Relaxed)),
            completed: Epoch(self.completed.load(Relaxed)),
            restarts: self.restarts.load(Relaxed),
            rows_in: of(Role::Source).map(|o| o.rows_in).sum(),
            rows_out: of(Role::Sink).map(|o| o.rows_in).sum(),
            late_rows: operators.iter().map(|o| o.late_rows).sum(),
            null_time_rows: operators.iter().map(|o| o.null_time_rows).sum(),
            unknown_key_rows: operators.iter().map(|o| o.unknown_key_rows).sum(),
            skipped_rows: operators.iter().map(|o| o.skipped_rows).sum(),
            watermark,
            lag_ms: watermark.as_millis().map(|w| wall_ms.saturating_sub(w)),
            state_rows: operators.iter().map(|o| o.state_rows).sum(),
            state_bytes: operators.iter().map(|o| o.state_bytes).sum(),
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

/// Hands a job's counters to a Prometheus registry at each scrape.
#[derive(Debug)]
pub(crate) struct JobCollector(pub(crate) Arc<Counters>);

impl Collector for JobCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let metrics = self.0.snapshot(0);
        let job = [("job", self.0.name.as_str())];
        let totals: [(&str, &str, u64); 6] = [
            ("eddyline_job_input_rows", "Rows decoded by sources", metrics.rows_in),
            ("eddyline_job_output_rows", "Rows handed to sinks", metrics.rows_out),
            ("eddyline_job_late_rows", "Rows left out as late", metrics.late_rows),
            ("eddyline_job_null_time_rows", "Rows left out without a time", metrics.null_time_rows),
            ("eddyline_job_unknown_key_rows", "Deletions of keys that had no row", metrics.unknown_key_rows),
            ("eddyline_job_skipped_rows", "Rows that could not be decoded", metrics.skipped_rows),
        ];
        for (name, help, value) in totals {
            let counter = ConstCounter::new(value);
            let mut family = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
            counter.encode(family.encode_family(&job)?)?;
        }
        let gauges: [(&str, &str, i64); 4] = [
            ("eddyline_job_epoch", "Last epoch whose output is visible", metrics.completed.0 as i64),
            ("eddyline_job_watermark_ms", "Event time that has reached all sinks", metrics.watermark.0),
            ("eddyline_job_state_rows", "Entries in hot sets", metrics.state_rows as i64),
            ("eddyline_job_state_bytes", "Memory of hot sets", metrics.state_bytes as i64),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(value);
            let mut family = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(family.encode_family(&job)?)?;
        }
        self.encode_operators(&metrics.operators, &mut encoder)
    }
}

impl JobCollector {
    fn encode_operators(
        &self,
        operators: &[OperatorMetrics],
        encoder: &mut DescriptorEncoder<'_>,
    ) -> Result<(), std::fmt::Error> {
        type Column = (&'static str, &'static str, fn(&OperatorMetrics) -> u64);
        let columns: [Column; 3] = [
            ("eddyline_operator_input_rows", "Rows taken", |o| o.rows_in),
            ("eddyline_operator_output_rows", "Rows emitted", |o| o.rows_out),
            ("eddyline_operator_busy_ns", "Time spent, over all shards", |o| o.busy.as_nanos() as u64),
        ];
        for (name, help, read) in columns {
            let mut family =
                encoder.encode_descriptor(name, help, None, prometheus_client::metrics::MetricType::Counter)?;
            for operator in operators {
                let node = operator.node.to_string();
                let labels = [("job", self.0.name.as_str()), ("node", node.as_str()), ("kind", operator.kind)];
                ConstCounter::new(read(operator)).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
