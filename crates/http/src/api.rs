//! The JSON of requests and answers. Times are milliseconds since 1970-01-01T00:00:00Z, sizes are bytes.

use eddyline_engine::{
    CheckpointFacts, JobFailure, JobMetrics, JobReport, LogEntry, OperatorMetrics, SavepointMade, SplitMetrics,
    SqlError, Submission, Submitted, Would,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// Something that has gone wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// What.
    pub error: ProblemFacts,
}

/// What has gone wrong, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProblemFacts {
    /// Five characters that tell the kind of error, as PostgreSQL does.
    pub sqlstate: String,
    /// What has happened.
    pub message: String,
    /// More of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The line of the text that was sent, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The character in the line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
}

impl From<SqlError> for ProblemFacts {
    fn from(error: SqlError) -> Self {
        let SqlError { sqlstate, message, detail, hint, position, .. } = error;
        let (line, column) = (position.map(|at| at.line), position.map(|at| at.column));
        Self { sqlstate: sqlstate.to_owned(), message, detail, hint, line, column }
    }
}

/// Is the server well?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `ok`.
    pub status: String,
    /// The version of Eddyline.
    pub version: String,
}

/// A failure, and when it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// When.
    pub time_ms: i64,
    /// What.
    pub message: String,
}

impl From<JobFailure> for Failure {
    fn from(JobFailure { time_ms, message }: JobFailure) -> Self {
        Self { time_ms, message }
    }
}

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// The database that it belongs to.
    pub database: String,
    /// Its number there.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// It was submitted as a file; else a statement has started it.
    pub is_submitted: bool,
    /// CREATED, CREATING, RUNNING, RESTARTING, FINISHING, FINISHED, STOPPED or FAILED.
    pub status: String,
    /// When it was started last.
    pub started_ms: i64,
    /// Does its input end?
    pub is_bounded: bool,
    /// How many shards run it.
    pub shards: usize,
    /// How often it failed and was started again.
    pub restarts: u64,
    /// Rows read.
    pub rows_in: u64,
    /// Rows written.
    pub rows_out: u64,
    /// Rows read per second, over the last ten seconds.
    pub rows_in_per_second: f64,
    /// Rows written per second, over the last ten seconds.
    pub rows_out_per_second: f64,
    /// Rows left out as late.
    pub rows_late: u64,
    /// Rows left out because they could not be decoded.
    pub rows_skipped: u64,
    /// The last epoch whose output is visible.
    pub epoch: u64,
    /// Event time that has reached all sinks.
    pub watermark_ms: Option<i64>,
    /// The clock less the watermark.
    pub lag_ms: Option<i64>,
    /// Entries of its state.
    pub state_rows: u64,
    /// Memory of its state.
    pub state_bytes: u64,
    /// Why it failed last.
    pub error: Option<Failure>,
    /// What became of its checkpoints since the server began.
    pub checkpoints: Checkpoints,
    /// Where its rows go.
    pub sinks: Vec<Sink>,
    /// The savepoint of its end, if it was stopped with one.
    pub savepoint: Option<String>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// What became of a job's checkpoints.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Checkpoints {
    /// How many were made.
    pub complete: u64,
    /// How many could not be.
    pub failed: u64,
    /// The last that was made.
    pub last: Option<Checkpoint>,
    /// Why the last one that failed did.
    pub last_failure: Option<Failure>,
}

/// A checkpoint that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Checkpoint {
    /// Its number.
    pub id: u64,
    /// The epoch that it ends.
    pub epoch: u64,
    /// When its barrier was cut.
    pub start_ms: i64,
    /// From there until it was durable.
    pub duration_ms: u64,
    /// Bytes that it wrote.
    pub new_bytes: u64,
    /// Bytes that it is made of.
    pub total_bytes: u64,
}

impl From<CheckpointFacts> for Checkpoint {
    fn from(facts: CheckpointFacts) -> Self {
        let CheckpointFacts { id, epoch, start_ms, duration_ms, new_bytes, total_bytes } = facts;
        Self { id, epoch, start_ms, duration_ms, new_bytes, total_bytes }
    }
}

/// A table that a job writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sink {
    /// The table.
    pub table: String,
    /// Its connector.
    pub connector: String,
    /// Its path, where it has one.
    pub path: Option<String>,
}

impl From<JobReport> for Job {
    fn from(report: JobReport) -> Self {
        let JobReport { database, id, facts, is_submitted, status, started_ms, metrics, failure, savepoint, .. } =
            report;
        let sinks = facts.sinks.into_iter().map(|s| Sink { table: s.table, connector: s.connector, path: s.path });
        let count = |of: fn(&JobMetrics) -> u64| metrics.as_ref().map_or(0, of);
        let rate = |of: fn(&JobMetrics) -> f64| metrics.as_ref().map_or(0.0, of);
        Self {
            database,
            id,
            name: facts.name,
            is_submitted,
            status: status.name().to_owned(),
            started_ms,
            is_bounded: facts.bounded,
            shards: facts.shards,
            restarts: count(|m| m.restarts),
            rows_in: count(|m| m.rows_in),
            rows_out: count(|m| m.rows_out),
            rows_in_per_second: rate(|m| m.rows_in_per_second),
            rows_out_per_second: rate(|m| m.rows_out_per_second),
            rows_late: count(|m| m.late_rows),
            rows_skipped: count(|m| m.skipped_rows),
            epoch: count(|m| m.completed.0),
            watermark_ms: metrics.as_ref().and_then(|m| m.watermark.as_millis()),
            lag_ms: metrics.as_ref().and_then(|m| m.lag_ms),
            state_rows: count(|m| m.state_rows),
            state_bytes: count(|m| m.state_bytes),
            error: failure.map(Into::into),
            checkpoints: metrics.map_or_else(Checkpoints::default, |m| Checkpoints {
                complete: m.checkpoints.complete,
                failed: m.checkpoints.failed,
                last: m.checkpoints.last.map(Into::into),
                last_failure: m.checkpoints.last_failure.map(Into::into),
            }),
            sinks: sinks.collect(),
            savepoint,
            warnings: facts.warnings,
        }
    }
}

/// All jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobList {
    /// By their numbers.
    pub jobs: Vec<Job>,
}

/// A job, with its operators and splits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobDetail {
    /// The job.
    #[serde(flatten)]
    pub job: Job,
    /// Its operators, by their numbers in its plan.
    pub operators: Vec<Operator>,
    /// The splits of its sources that are being read.
    pub splits: Vec<Split>,
}

impl From<JobReport> for JobDetail {
    fn from(report: JobReport) -> Self {
        let (operators, splits) = match &report.metrics {
            Some(metrics) => (
                metrics.operators.iter().map(Operator::from).collect(),
                metrics.splits.iter().cloned().map(Split::from).collect(),
            ),
            None => Default::default(),
        };
        Self { operators, splits, job: report.into() }
    }
}

/// An operator of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Operator {
    /// Its number in the plan.
    pub node: usize,
    /// What it is, as EXPLAIN names it.
    pub kind: String,
    /// The table that it reads or writes.
    pub table: Option<String>,
    /// Rows taken.
    pub rows_in: u64,
    /// Rows emitted.
    pub rows_out: u64,
    /// Time spent in it, over all shards.
    pub busy_ms: u64,
    /// Entries of its state.
    pub state_rows: u64,
    /// Memory of its state.
    pub state_bytes: u64,
    /// The watermark it has passed on.
    pub watermark_ms: Option<i64>,
}

impl From<&OperatorMetrics> for Operator {
    fn from(of: &OperatorMetrics) -> Self {
        Self {
            node: of.node,
            kind: of.kind.to_owned(),
            table: of.table.clone(),
            rows_in: of.rows_in,
            rows_out: of.rows_out,
            busy_ms: of.busy.as_millis().try_into().unwrap_or(u64::MAX),
            state_rows: of.state_rows,
            state_bytes: of.state_bytes,
            watermark_ms: of.watermark.as_millis(),
        }
    }
}

/// A split of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Split {
    /// The table.
    pub table: String,
    /// The split, as its connector names it.
    pub split: String,
    /// Rows decoded of it.
    pub rows: u64,
    /// Where it is read next, in the connector's unit.
    pub position: u64,
    /// Its event time.
    pub watermark_ms: Option<i64>,
    /// It was silent for so long that it holds nothing back.
    pub is_idle: bool,
}

impl From<SplitMetrics> for Split {
    fn from(metrics: SplitMetrics) -> Self {
        let SplitMetrics { table, split, rows, position, watermark, is_idle } = metrics;
        Self { table, split, rows, position, watermark_ms: watermark.as_millis(), is_idle }
    }
}

/// A file that is submitted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubmitRequest {
    /// The text of the file: definitions, SET, INSERTs.
    pub sql: String,
    /// The name of the job; else what `pipeline.name` says in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The name of the job when nothing else says any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_name: Option<String>,
    /// Settings, as if they stood at the beginning of the file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// The savepoint to begin at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Goes on from the state of another text also where some of it is lost.
    #[serde(default)]
    pub allow_dropped_state: bool,
    /// Begins without state when there are checkpoints and none of them is whole.
    #[serde(default)]
    pub allow_fresh: bool,
    /// Nothing is done: what would be is told.
    #[serde(default)]
    pub dry_run: bool,
}

impl From<SubmitRequest> for Submission {
    fn from(request: SubmitRequest) -> Self {
        let SubmitRequest { sql, name, fallback_name, settings, from, allow_dropped_state, allow_fresh, dry_run } =
            request;
        Self { name, fallback_name, sql, settings, from, allow_dropped_state, allow_fresh, is_dry_run: dry_run }
    }
}

/// What has become of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is a new job.
    Started,
    /// It is a job already; nothing was done.
    Unchanged,
    /// It is a job already, which had failed, and was begun again.
    Resumed,
    /// It has taken the place of the job before.
    Upgraded,
    /// A dry run: there is no such job yet.
    WouldStart,
    /// A dry run: it would take the place of the job before.
    WouldUpgrade,
    /// A dry run: it is a job already, which has failed, and would be begun again.
    WouldResume,
    /// A dry run: it is a job already; nothing would be done.
    WouldStay,
}

/// What has become of a file that was submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubmitAnswer {
    /// In a word.
    pub verdict: Verdict,
    /// The number of the job, if there is one.
    pub id: Option<u64>,
    /// Its name.
    pub name: String,
    /// Where it stands, if nothing was done.
    pub status: Option<String>,
    /// What becomes of the state of the job before, operator by operator: kept, migrated, new, rebuilt, dropped.
    pub state: Vec<String>,
    /// Why it would be refused, in a dry run.
    pub refused: Option<String>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl SubmitAnswer {
    fn new(verdict: Verdict, id: Option<u64>, name: String) -> Self {
        Self { verdict, id, name, status: None, state: Vec::new(), refused: None, warnings: Vec::new() }
    }
}

impl From<Submitted> for SubmitAnswer {
    fn from(submitted: Submitted) -> Self {
        match submitted {
            Submitted::Started { id, name, warnings } => {
                Self { warnings, ..Self::new(Verdict::Started, Some(id), name) }
            }
            Submitted::Unchanged { id, name, status } => {
                Self { status: Some(status.name().to_owned()), ..Self::new(Verdict::Unchanged, Some(id), name) }
            }
            Submitted::Resumed { id, name } => Self::new(Verdict::Resumed, Some(id), name),
            Submitted::Upgraded { id, name, state, warnings } => {
                Self { state, warnings, ..Self::new(Verdict::Upgraded, Some(id), name) }
            }
            Submitted::Told { name, would, state, refused } => {
                let verdict = match would {
                    Would::Start => Verdict::WouldStart,
                    Would::Upgrade => Verdict::WouldUpgrade,
                    Would::Resume => Verdict::WouldResume,
                    Would::Stay => Verdict::WouldStay,
                };
                Self { state, refused, ..Self::new(verdict, None, name) }
            }
        }
    }
}

/// Where a savepoint is to be made: at a path, in a directory under a name of its own, or where `state.savepoints.dir` says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SavepointRequest {
    /// Just here: a directory or a URL that holds none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// In this directory, under a name of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
}

/// How a job is to be stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StopRequest {
    /// With a savepoint of its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub savepoint: Option<SavepointRequest>,
    /// Event time goes to its end before, so that all that waits for it comes out. Such a job does not go on.
    #[serde(default)]
    pub drain: bool,
}

/// A savepoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Savepoint {
    /// Where it is.
    pub location: String,
    /// The epoch that it ends.
    pub epoch: u64,
    /// Its size.
    pub size_bytes: u64,
}

impl From<SavepointMade> for Savepoint {
    fn from(SavepointMade { location, epoch, size_bytes }: SavepointMade) -> Self {
        Self { location, epoch, size_bytes }
    }
}

/// A job that was stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StopAnswer {
    /// Its name.
    pub name: String,
    /// The savepoint of its end.
    pub savepoint: Option<Savepoint>,
}

/// A job that goes on, or is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobName {
    /// Its name.
    pub name: String,
}

/// Where a job is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DatabaseQuery {
    /// The database (dev).
    #[serde(default)]
    pub database: Option<String>,
}

/// Which entries of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LogQuery {
    /// Only those behind the one of this number.
    #[serde(default)]
    pub after: u64,
    /// The last of them, so many (100).
    #[serde(default)]
    pub limit: Option<usize>,
}

/// What has happened to a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Log {
    /// Oldest first.
    pub entries: Vec<LogLine>,
}

/// Something that has happened to a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    /// Its number; entries that were pushed out leave a gap.
    pub number: u64,
    /// When.
    pub time_ms: i64,
    /// INFO, WARN or ERROR.
    pub level: String,
    /// job, checkpoint or savepoint.
    pub subject: String,
    /// What.
    pub message: String,
}

impl From<LogEntry> for LogLine {
    fn from(entry: LogEntry) -> Self {
        let LogEntry { number, time_ms, level, subject, message } = entry;
        Self { number, time_ms, level: level.name().to_owned(), subject: subject.name().to_owned(), message }
    }
}

/// Which stage of planning is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// What the text says.
    Logical,
    /// The same, made better.
    Optimized,
    /// What each step hands out, and why.
    Changelog,
    /// What runs.
    #[default]
    Dataflow,
}

/// Which stage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PlanQuery {
    /// logical, optimized, changelog or dataflow (the default).
    #[serde(default)]
    #[param(inline)]
    pub stage: Stage,
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// Its lines.
    pub lines: Vec<String>,
}
