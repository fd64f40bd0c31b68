//! What Prometheus reads: everything is read off when it asks, nothing is counted twice.
//!
//! Names are `eddyline_<subject>_<unit>[_total]`. Those of one name stand together, with all jobs, as the format demands.

use axum::http::StatusCode;
use eddyline_engine::{
    CheckpointFacts, Instance, JobMetrics, JobReport, JobStatus, OperatorMetrics, SplitMetrics, Watermark,
};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How many clients there are of a protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Connections {
    /// Now.
    pub open: u64,
    /// In all.
    pub accepted: u64,
    /// How many were turned away because there were too many.
    pub refused: u64,
}

/// Counts requests by the first digit of their status. Clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Requests(Arc<Counted>);

#[derive(Debug, Default)]
struct Counted {
    answered: [AtomicU64; 5],
    refused: AtomicU64,
}

impl Requests {
    pub(crate) fn answered(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.0.answered[class].fetch_add(1, Relaxed);
    }

    /// A connection was one too many.
    pub(crate) fn refused(&self) {
        self.0.refused.fetch_add(1, Relaxed);
    }
}

/// Everything that is measured.
///
/// # Errors
/// None that is known: it is written to a text.
pub(crate) fn text(instance: &Instance, connections: &Connections, requests: &Requests) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    let (jobs, connections, requests) = (instance.all_job_reports(), *connections, requests.clone());
    registry.register_collector(Box::new(Snapshot { jobs, connections, requests }));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

/// What is measured at a moment.
#[derive(Debug)]
struct Snapshot {
    jobs: Vec<JobReport>,
    connections: Connections,
    requests: Requests,
}

type Label<'a> = (&'a str, &'a str);

/// Writes what has one name.
struct Family<'e, 'a> {
    encoder: &'e mut DescriptorEncoder<'a>,
}

impl Family<'_, '_> {
    fn counter<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Vec<Label<'l>>, u64)>,
    ) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        values
            .into_iter()
            .try_for_each(|(labels, value)| ConstCounter::new(value).encode(family.encode_family(&labels.as_slice())?))
    }

    fn seconds_total<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Vec<Label<'l>>, f64)>,
    ) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        values
            .into_iter()
            .try_for_each(|(labels, value)| ConstCounter::new(value).encode(family.encode_family(&labels.as_slice())?))
    }

    fn gauge<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Vec<Label<'l>>, f64)>,
    ) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        values
            .into_iter()
            .try_for_each(|(labels, value)| ConstGauge::new(value).encode(family.encode_family(&labels.as_slice())?))
    }
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Family { encoder: &mut encoder };
        let ids: Vec<String> = self.jobs.iter().map(|job| job.id.to_string()).collect();
        let jobs: Vec<Measured<'_>> = self
            .jobs
            .iter()
            .zip(&ids)
            .map(|(report, id)| Measured { report, id, metrics: report.metrics.as_ref() })
            .collect();
        of_server(&mut out, &self.connections, &self.requests)?;
        of_jobs(&mut out, &jobs)?;
        of_checkpoints(&mut out, &jobs)?;
        of_operators(&mut out, &jobs)?;
        of_splits(&mut out, &jobs)
    }
}

/// A job and what is measured of it.
struct Measured<'a> {
    report: &'a JobReport,
    id: &'a str,
    metrics: Option<&'a JobMetrics>,
}

impl<'a> Measured<'a> {
    fn labels(&self) -> Vec<Label<'a>> {
        vec![("database", &self.report.database), ("job_id", self.id), ("job_name", &self.report.facts.name)]
    }

    fn with(&self, more: impl IntoIterator<Item = Label<'a>>) -> Vec<Label<'a>> {
        self.labels().into_iter().chain(more).collect()
    }
}

fn of_server(out: &mut Family<'_, '_>, connections: &Connections, requests: &Requests) -> fmt::Result {
    let version = vec![("version", env!("CARGO_PKG_VERSION"))];
    out.gauge("eddyline_server_info", "The version that runs", [(version, 1.0)])?;
    let sql = || vec![("protocol", "postgres")];
    out.gauge("eddyline_connection_open", "Clients that are connected", [(sql(), connections.open as f64)])?;
    out.counter("eddyline_connection_accepted", "Clients that were taken", [(sql(), connections.accepted)])?;
    let refused = [(sql(), connections.refused), (vec![("protocol", "http")], requests.0.refused.load(Relaxed))];
    out.counter("eddyline_connection_refused", "Clients that were one too many", refused)?;
    let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"];
    let answered = classes.iter().zip(&requests.0.answered);
    let answered = answered.map(|(class, count)| (vec![("status", *class)], count.load(Relaxed)));
    out.counter("eddyline_http_requests", "Requests that were answered, by their status", answered)
}

fn of_jobs(out: &mut Family<'_, '_>, jobs: &[Measured<'_>]) -> fmt::Result {
    let states = jobs.iter().flat_map(|job| {
        let is = |status: JobStatus| f64::from(u8::from(job.report.status == status));
        JobStatus::ALL.map(|status| (job.with([("state", status.name())]), is(status)))
    });
    out.gauge("eddyline_job_state", "1 for the state that the job is in", states)?;
    type Counter = (&'static str, &'static str, fn(&JobMetrics) -> u64);
    let counters: [Counter; 7] = [
        ("eddyline_job_input_rows", "Rows decoded by sources", |m| m.rows_in),
        ("eddyline_job_output_rows", "Rows handed to sinks", |m| m.rows_out),
        ("eddyline_job_late_rows", "Rows left out as late", |m| m.late_rows),
        ("eddyline_job_null_time_rows", "Rows left out because their time column is NULL", |m| m.null_time_rows),
        ("eddyline_job_unknown_key_rows", "Deletions of keys that had no row", |m| m.unknown_key_rows),
        ("eddyline_job_skipped_rows", "Rows left out because they could not be decoded", |m| m.skipped_rows),
        ("eddyline_job_restarts", "How often it failed and was started again", |m| m.restarts),
    ];
    for (name, help, of) in counters {
        out.counter(name, help, measured(jobs, |m| Some(of(m))))?;
    }
    type Gauge = (&'static str, &'static str, fn(&JobMetrics) -> Option<f64>);
    let gauges: [Gauge; 5] = [
        ("eddyline_job_epoch", "Last epoch whose output is visible", |m| Some(m.completed.0 as f64)),
        ("eddyline_job_watermark_seconds", "Event time that has reached all sinks", |m| seconds(m.watermark)),
        ("eddyline_job_watermark_lag_seconds", "The clock less the watermark", |m| m.lag_ms.map(|ms| ms as f64 / 1e3)),
        ("eddyline_job_state_rows", "Entries of state in memory", |m| Some(m.state_rows as f64)),
        ("eddyline_job_state_bytes", "Memory of state", |m| Some(m.state_bytes as f64)),
    ];
    for (name, help, of) in gauges {
        out.gauge(name, help, measured(jobs, of))?;
    }
    Ok(())
}

/// What jobs have of something.
fn measured<'a, T>(
    jobs: &'a [Measured<'a>],
    of: impl Fn(&JobMetrics) -> Option<T> + 'a,
) -> impl Iterator<Item = (Vec<Label<'a>>, T)> + 'a {
    jobs.iter().filter_map(move |job| Some((job.labels(), of(job.metrics?)?)))
}

fn of_checkpoints(out: &mut Family<'_, '_>, jobs: &[Measured<'_>]) -> fmt::Result {
    let (complete, failed) = ("eddyline_checkpoint_complete", "eddyline_checkpoint_failed");
    out.counter(complete, "Checkpoints that were made", measured(jobs, |m| Some(m.checkpoints.complete)))?;
    out.counter(failed, "Checkpoints that could not be made", measured(jobs, |m| Some(m.checkpoints.failed)))?;
    type Last = (&'static str, &'static str, fn(&CheckpointFacts) -> f64);
    let last: [Last; 5] = [
        ("eddyline_checkpoint_last_id", "Number of the last checkpoint", |c| c.id as f64),
        ("eddyline_checkpoint_last_start_seconds", "When its barrier was cut, since 1970", |c| c.start_ms as f64 / 1e3),
        ("eddyline_checkpoint_last_duration_seconds", "From there until it was durable", |c| {
            c.duration_ms as f64 / 1e3
        }),
        ("eddyline_checkpoint_last_new_bytes", "Bytes that it wrote", |c| c.new_bytes as f64),
        ("eddyline_checkpoint_last_total_bytes", "Bytes that it is made of", |c| c.total_bytes as f64),
    ];
    for (name, help, of) in last {
        out.gauge(name, help, measured(jobs, move |m| m.checkpoints.last.as_ref().map(of)))?;
    }
    Ok(())
}

fn of_operators(out: &mut Family<'_, '_>, jobs: &[Measured<'_>]) -> fmt::Result {
    let nodes: Vec<Vec<String>> =
        jobs.iter().map(|job| operators(job).iter().map(|o| o.node.to_string()).collect()).collect();
    let all: Vec<(Vec<Label<'_>>, &OperatorMetrics)> = jobs
        .iter()
        .zip(&nodes)
        .flat_map(|(job, nodes)| {
            operators(job).iter().zip(nodes).map(|(o, node)| {
                let table = o.table.as_deref().unwrap_or_default();
                (job.with([("node", node.as_str()), ("kind", o.kind), ("table", table)]), o)
            })
        })
        .collect();
    type Counter = (&'static str, &'static str, fn(&OperatorMetrics) -> u64);
    let counters: [Counter; 4] = [
        ("eddyline_operator_input_rows", "Rows taken", |o| o.rows_in),
        ("eddyline_operator_output_rows", "Rows emitted", |o| o.rows_out),
        ("eddyline_operator_late_rows", "Rows left out as late", |o| o.late_rows),
        ("eddyline_operator_skipped_rows", "Rows left out because they could not be decoded", |o| o.skipped_rows),
    ];
    for (name, help, of) in counters {
        out.counter(name, help, all.iter().map(|(labels, o)| (labels.clone(), of(o))))?;
    }
    let busy = all.iter().map(|(labels, o)| (labels.clone(), o.busy.as_secs_f64()));
    out.seconds_total("eddyline_operator_busy_seconds", "Time spent, over all shards", busy)?;
    type Gauge = (&'static str, &'static str, fn(&OperatorMetrics) -> Option<f64>);
    let gauges: [Gauge; 3] = [
        ("eddyline_operator_state_rows", "Entries of state in memory", |o| Some(o.state_rows as f64)),
        ("eddyline_operator_state_bytes", "Memory of state", |o| Some(o.state_bytes as f64)),
        ("eddyline_operator_watermark_seconds", "Event time that it has passed on", |o| seconds(o.watermark)),
    ];
    for (name, help, of) in gauges {
        out.gauge(name, help, all.iter().filter_map(|(labels, o)| Some((labels.clone(), of(o)?))))?;
    }
    Ok(())
}

fn operators<'a>(job: &Measured<'a>) -> &'a [OperatorMetrics] {
    job.metrics.map_or(&[], |metrics| &metrics.operators)
}

fn of_splits(out: &mut Family<'_, '_>, jobs: &[Measured<'_>]) -> fmt::Result {
    let all: Vec<(Vec<Label<'_>>, &SplitMetrics)> = jobs
        .iter()
        .flat_map(|job| {
            let splits: &[SplitMetrics] = job.metrics.map_or(&[], |metrics| &metrics.splits);
            splits.iter().map(|s| (job.with([("table", s.table.as_str()), ("split", s.split.as_str())]), s))
        })
        .collect();
    let rows = all.iter().map(|(labels, s)| (labels.clone(), s.rows));
    out.counter("eddyline_split_input_rows", "Rows decoded of the split", rows)?;
    type Gauge = (&'static str, &'static str, fn(&SplitMetrics) -> Option<f64>);
    let gauges: [Gauge; 3] = [
        ("eddyline_split_position", "Where it is read next, in the connector's unit", |s| Some(s.position as f64)),
        ("eddyline_split_watermark_seconds", "Its event time", |s| seconds(s.watermark)),
        ("eddyline_split_idle", "1 while it is silent and holds nothing back", |s| {
            Some(f64::from(u8::from(s.is_idle)))
        }),
    ];
    for (name, help, of) in gauges {
        out.gauge(name, help, all.iter().filter_map(|(labels, s)| Some((labels.clone(), of(s)?))))?;
    }
    Ok(())
}

fn seconds(watermark: Watermark) -> Option<f64> {
    watermark.as_millis().map(|ms| ms as f64 / 1e3)
}
