//! The table of settings. `docs/settings.md` lists the same ones; a test compares them.

/// What a setting's value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingKind {
    /// A whole number within bounds.
    Count {
        /// The least.
        min: u64,
        /// The greatest.
        max: u64,
    },
    /// A duration as in `100 ms`.
    Duration,
    /// A number of bytes as in `512 MiB`.
    Size,
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A zone such as `UTC`, `Europe/Berlin`, `+02:00`.
    TimeZone,
    /// Any text.
    Text,
    /// A directory, or the URL of an object store.
    Place,
}

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettingSpec {
    /// Its name.
    pub name: &'static str,
    /// Another name for it, as Flink spells it.
    pub alias: Option<&'static str>,
    /// What its value may be.
    pub kind: SettingKind,
    /// Its value when nobody sets it.
    pub default: &'static str,
    /// What it does, in a line.
    pub description: &'static str,
    /// True where it is accepted for files written for Flink, and cannot change anything here.
    pub without_effect: bool,
}

const fn setting(
    name: &'static str,
    kind: SettingKind,
    default: &'static str,
    description: &'static str,
) -> SettingSpec {
    SettingSpec { name, alias: None, kind, default, description, without_effect: false }
}

const fn no_effect(name: &'static str, kind: SettingKind, default: &'static str) -> SettingSpec {
    let description = "accepted, without effect: an epoch is a mini-batch already and changes no result";
    SettingSpec { name, alias: None, kind, default, description, without_effect: true }
}

/// Every setting there is, by name.
pub const SETTINGS: &[SettingSpec] = &[
    setting(
        "execution.checkpointing.aligned-checkpoint-timeout",
        SettingKind::Duration,
        "10 s",
        "When a barrier takes longer, as behind a slow sink, fewer rows are read ahead of the next ones; 0: any number",
    ),
    setting(
        "execution.checkpointing.interval",
        SettingKind::Duration,
        "10 s",
        "From the start of a checkpoint to the start of the next; files of a sink appear with them. 0: only at the end",
    ),
    setting(
        "execution.checkpointing.min-pause",
        SettingKind::Duration,
        "0 ms",
        "From the end of a checkpoint to the start of the next, at least",
    ),
    setting(
        "execution.checkpointing.timeout",
        SettingKind::Duration,
        "10 min",
        "A checkpoint that takes longer is reported, with the shards that it waits for; the job goes on",
    ),
    setting(
        "execution.emit",
        SettingKind::Choice(&["on-close", "on-update", "final"]),
        "on-close",
        "When a window aggregate tells its result: once, when the watermark closes the window, or early, with corrections; `final`: OVER waits for its rows' time too",
    ),
    setting(
        "execution.epoch-interval",
        SettingKind::Duration,
        "100 ms",
        "How long an epoch may last while input keeps coming; output becomes visible at its end",
    ),
    setting(
        "execution.epoch-rows",
        SettingKind::Count { min: 1, max: u64::MAX },
        "10000000",
        "How many input rows end an epoch before its time, about; each shard waits for its share",
    ),
    setting(
        "execution.runtime-mode",
        SettingKind::Choice(&["streaming", "batch"]),
        "streaming",
        "'batch' refuses tables whose input does not end; the engine is the same",
    ),
    SettingSpec {
        alias: Some("parallelism.default"),
        ..setting(
            "execution.shards",
            SettingKind::Count { min: 1, max: 1024 },
            "number of cores",
            "How many shards (threads) run a job",
        )
    },
    setting(
        "pipeline.max-parallelism",
        SettingKind::Count { min: 1, max: 32768 },
        "128",
        "Number of key groups: the greatest number of shards that a job's state can be dealt out to",
    ),
    setting(
        "pipeline.name",
        SettingKind::Text,
        "",
        "Name of the job, as progress, SHOW JOBS and its checkpoints show it",
    ),
    setting(
        "restart-strategy.type",
        SettingKind::Choice(&["none", "fixed-delay", "exponential-delay"]),
        "exponential-delay",
        "What becomes of a job that keeps checkpoints when it fails, unless SQL or data are at fault",
    ),
    setting(
        "restart-strategy.fixed-delay.attempts",
        SettingKind::Count { min: 0, max: u32::MAX as u64 },
        "3",
        "How often a job is started again, with 'fixed-delay'",
    ),
    setting("restart-strategy.fixed-delay.delay", SettingKind::Duration, "1 s", "After what time, with 'fixed-delay'"),
    setting(
        "restart-strategy.exponential-delay.initial-backoff",
        SettingKind::Duration,
        "1 s",
        "After what time a job is started again the first time, with 'exponential-delay'; then half as long again each time",
    ),
    setting(
        "restart-strategy.exponential-delay.max-backoff",
        SettingKind::Duration,
        "1 min",
        "The longest time before a job is started again, with 'exponential-delay'",
    ),
    setting(
        "restart-strategy.exponential-delay.reset-backoff-threshold",
        SettingKind::Duration,
        "1 h",
        "After a job ran well for so long the time is the first one again, with 'exponential-delay'",
    ),
    setting(
        "search_path",
        SettingKind::Text,
        "\"$user\", public",
        "Schemas in which names without one are looked for, in order; what is made comes into the first that there is",
    ),
    SettingSpec {
        alias: Some("table.sql-dialect"),
        ..setting(
            "sql.dialect",
            SettingKind::Choice(&["flink", "postgres"]),
            "flink",
            "Whose meaning SQL text has where the two differ; over the wire of Postgres it is 'postgres' unless it is set",
        )
    },
    SettingSpec {
        alias: Some("state.backend.type"),
        ..setting(
            "state.backend",
            SettingKind::Choice(&["auto", "memory", "rocksdb"]),
            "auto",
            "Where state lives: in memory, or in RocksDB below what fits memory; 'auto': in RocksDB when checkpoints are made",
        )
    },
    SettingSpec {
        alias: Some("execution.checkpointing.dir"),
        ..setting(
            "state.checkpoints.dir",
            SettingKind::Place,
            "",
            "Where checkpoints of INSERT jobs are kept: a directory, or a URL such as s3://bucket/path; empty: none are made",
        )
    },
    setting(
        "state.checkpoints.num-retained",
        SettingKind::Count { min: 1, max: 1000 },
        "2",
        "How many checkpoints of a job are kept: when the last one is damaged, the job goes on from the one before",
    ),
    setting(
        "state.checkpoints.checked-first",
        SettingKind::Size,
        "64 MB",
        "Files of a checkpoint that are linked, not copied, are checked before a job goes on from it, as far as those of a shard have no more bytes together; \
         the others are checked while it runs, and until then no checkpoint is deleted",
    ),
    setting(
        "state.local-dir",
        SettingKind::Place,
        "",
        "Where the live state of jobs with checkpoints is; empty: beside the checkpoints, or in the temporary directory when \
         those are in an object store",
    ),
    SettingSpec {
        alias: Some("execution.checkpointing.savepoint-dir"),
        ..setting(
            "state.savepoints.dir",
            SettingKind::Place,
            "",
            "Where savepoints of INSERT jobs are made when `eddyline savepoint` is given no place: a directory or a URL",
        )
    },
    setting(
        "state.memory-budget",
        SettingKind::Size,
        "a quarter of the machine's or container's memory",
        "How much memory the state of all jobs may take, RocksDB's caches included; at least 16 MiB. What is over it is left on the disk until it is needed, \
         by jobs that keep checkpoints in RocksDB; others warn",
    ),
    setting(
        "state.unbounded",
        SettingKind::Choice(&["warn", "error", "allow"]),
        "warn",
        "What becomes of a job over input that does not end whose state nothing bounds: a warning, a refusal, nothing",
    ),
    setting(
        "sql-client.execution.result-mode",
        SettingKind::Choice(&["table", "tableau", "changelog"]),
        "table",
        "How a SELECT shows a result that changes: 'table' as it is now, repainted in place by `eddyline sql`, 'changelog' and 'tableau' change by change",
    ),
    setting(
        "table.dml-sync",
        SettingKind::Choice(&["auto", "true", "false"]),
        "auto",
        "Does `eddyline sql` wait for the job of an INSERT? 'auto': when its input ends; 'false': never, it goes on in the background",
    ),
    no_effect("table.exec.mini-batch.allow-latency", SettingKind::Duration, "0 ms"),
    no_effect("table.exec.mini-batch.enabled", SettingKind::Flag, "false"),
    no_effect("table.exec.mini-batch.size", SettingKind::Count { min: 1, max: u64::MAX }, "1"),
    setting(
        "table.exec.sink.require-on-conflict",
        SettingKind::Flag,
        "true",
        "Refuse an INSERT that may write several rows under one PRIMARY KEY unless ON CONFLICT says what becomes of them; \
         'false' writes the last one that came",
    ),
    setting(
        "table.exec.state.ttl",
        SettingKind::Duration,
        "0 ms",
        "What was not touched for so long is forgotten, where it can be (see docs/sql/state.md); 0: never",
    ),
    setting(
        "table.local-time-zone",
        SettingKind::TimeZone,
        "UTC",
        "Zone in which TIMESTAMP_LTZ is read and shown, and of casts between it and TIMESTAMP",
    ),
];

/// Settings of Flink that are refused with advice, by prefix.
pub(super) const REFUSED: &[(&str, &str)] = &[
    (
        "execution.checkpointing.",
        "there are .interval, .min-pause, .timeout, .aligned-checkpoint-timeout and .dir; checkpoints are always exactly-once, \
         aligned and incremental",
    ),
    ("state.checkpoints.", "there are .dir, .num-retained and .checked-first"),
    ("state.savepoints.", "there is .dir"),
    ("execution.savepoint.", "give the savepoint to begin at on the command line: eddyline run --from PATH"),
    ("execution.state-recovery.", "give the savepoint to begin at on the command line: eddyline run --from PATH"),
    (
        "restart-strategy",
        "there are restart-strategy.type = 'none', 'fixed-delay' and 'exponential-delay', and their settings",
    ),
];
