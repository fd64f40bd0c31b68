//! One query, run in this process and measured.

use super::{queries, run_here};
use crate::args::NexmarkArgs;
use eddyline_checkpoint::Attempt;
use eddyline_engine::{JobEvent, JobMetrics, Listing, Observer, Progress, RunningJob, ScriptError, SqlError};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use std::time::Duration;

/// What a run of a query cost.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Measurement {
    pub(crate) query: String,
    pub(crate) rows: u64,
    pub(crate) rows_out: u64,
    /// From the job's start to its end; planning is not in it.
    pub(crate) seconds: f64,
    /// Of all threads of the process, for the same time.
    pub(crate) cpu_seconds: f64,
    /// The most memory the process ever had; `None` where the system does not tell.
    pub(crate) peak_bytes: Option<u64>,
    /// What each operator that keeps something kept in memory at the end; in JSON alone.
    pub(crate) state: Value,
    /// The checkpoints that were made, the last 100.
    pub(crate) checkpoints: Vec<Attempt>,
}

impl Measurement {
    pub(crate) fn rows_per_second(&self) -> f64 {
        self.rows as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    pub(crate) fn cpu_us_per_row(&self) -> f64 {
        self.cpu_seconds * 1e6 / (self.rows as f64).max(1.0)
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "query": self.query,
            "rows": self.rows,
            "rows_out": self.rows_out,
            "seconds": self.seconds,
            "rows_per_second": self.rows_per_second().round(),
            "cpu_seconds": self.cpu_seconds,
            "cpu_us_per_row": self.cpu_us_per_row(),
            "peak_bytes": self.peak_bytes,
            "state": self.state,
            "checkpoints": self.checkpoints,
        })
    }

    /// Reads what [`to_json`](Self::to_json) wrote in another process, but for its checkpoints.
    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            query: value["query"].as_str()?.to_owned(),
            rows: value["rows"].as_u64()?,
            rows_out: value["rows_out"].as_u64()?,
            seconds: value["seconds"].as_f64()?,
            cpu_seconds: value["cpu_seconds"].as_f64()?,
            peak_bytes: value["peak_bytes"].as_u64(),
            state: value["state"].clone(),
            checkpoints: Vec::new(),
        })
    }
}

/// Runs a query.
///
/// # Errors
/// What the engine says, with the script that it says it of.
pub(crate) fn measure(args: &NexmarkArgs, name: &str, query: &str) -> Result<Measurement, String> {
    let shards = args.shards.map(|n| ("execution.shards".to_owned(), n.to_string()));
    let mut stopwatch = Stopwatch::default();
    run_here(args.settings.iter().cloned().chain(shards), &queries::script(args, query), &mut stopwatch)?;
    let (progress, cpu, state) = stopwatch.read.ok_or("no job ran")?;
    Ok(Measurement {
        query: name.to_owned(),
        rows: progress.rows_in,
        rows_out: progress.rows_out,
        seconds: progress.elapsed.as_secs_f64(),
        cpu_seconds: cpu.as_secs_f64(),
        peak_bytes: peak_bytes(),
        state,
        checkpoints: Vec::new(),
    })
}

/// Waits for the job, and reads the clocks around it.
#[derive(Default)]
struct Stopwatch {
    read: Option<(Progress, Duration, Value)>,
}

impl Observer for Stopwatch {
    fn done(&mut self, _: &str) {}

    fn note(&mut self, _: &str) {}

    fn listing(&mut self, _: &Listing) -> Result<(), ScriptError> {
        Ok(())
    }

    fn job(&mut self, job: RunningJob) -> Result<(), ScriptError> {
        let cpu = cpu_time();
        let ended = loop {
            if let Some(JobEvent::Ended(result)) = job.next_event(Duration::from_secs(3600)) {
                break result;
            }
        };
        let cpu = cpu_time().saturating_sub(cpu);
        self.read = Some((job.progress(), cpu, state(&job.metrics())));
        ended.map_err(|e: SqlError| ScriptError::Job(e))
    }
}

/// What operators keep, those that keep something.
fn state(metrics: &JobMetrics) -> Value {
    let keeping = metrics.operators.iter().filter(|o| o.state_rows > 0);
    keeping.map(|o| json!({"operator": o.kind, "node": o.node, "rows": o.state_rows, "bytes": o.state_bytes})).collect()
}

/// CPU time of all threads of this process, those that ended included.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
