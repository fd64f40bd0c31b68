//! Settings: one table of what there is ([`SETTINGS`]), and the values of a session ([`Settings`]).
//!
//! `SET 'key' = 'value'`, `--set key=value` and a TOML file all end in [`Settings::set`], which checks the name and
//! the value, so that what is read later cannot fail.
//!
//! Not here: who reads files and arguments (the command line).

mod known;
#[cfg(test)]
mod tests;

pub use known::{SETTINGS, SettingKind, SettingSpec};

use arrow::array::timezone::Tz;
use eddyline_catalog::edit_distance;
use eddyline_connectors::parse_duration;
use eddyline_planner::{Dialect, Emit, SqlError};
use eddyline_runtime::{CheckpointSettings, RestartStrategy};
use eddyline_state::MEMORY_BUDGET_MIN;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The settings of a session: what differs from the defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    values: BTreeMap<&'static str, String>,
    /// What RESET goes back to, where that is not the default.
    given: BTreeMap<&'static str, String>,
}

/// Durations for which nought means something.
const ZERO: &[&str] = &[
    "execution.checkpointing.interval",
    "execution.checkpointing.min-pause",
    "restart-strategy.fixed-delay.delay",
    "table.exec.state.ttl",
];

/// How a result that changes is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultMode {
    /// As the table that it is now.
    Table,
    /// Change by change.
    Changelog,
    /// Change by change, in a frame.
    Tableau,
}

/// What becomes of a job whose state nothing bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnboundedState {
    /// It runs, with a warning.
    Warn,
    /// It is refused.
    Error,
    /// It runs.
    Allow,
}

impl Settings {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a setting a value.
    ///
    /// # Errors
    /// An unknown name (names the nearest), or a value that does not fit (names what fits).
    pub fn set(&mut self, key: &str, value: &str) -> Result<&'static SettingSpec, SqlError> {
        let spec = spec_of(key)?;
        let value = checked(spec, key, value)?;
        self.values.insert(spec.name, value);
        Ok(spec)
    }

    /// From now on [`reset`](Self::reset) goes back to the present values: a file and arguments have been read.
    pub fn keep(&mut self) {
        self.given = self.values.clone();
    }

    /// Takes a setting back to the value that was [kept](Self::keep), else to its default.
    ///
    /// # Errors
    /// An unknown name.
    pub fn reset(&mut self, key: &str) -> Result<(), SqlError> {
        let name = spec_of(key)?.name;
        match self.given.get(name) {
            Some(value) => self.values.insert(name, value.clone()),
            None => self.values.remove(name),
        };
        Ok(())
    }

    /// Gives a setting a value that it has had; `None`: it was not set.
    pub fn put_back(&mut self, name: &'static str, value: Option<String>) {
        match value {
            Some(value) => drop(self.values.insert(name, value)),
            None => drop(self.values.remove(name)),
        }
    }

    /// Takes all settings back.
    pub fn reset_all(&mut self) {
        self.values = self.given.clone();
    }

    /// Gives values to all settings of a TOML text; nested tables stand for dotted names.
    ///
    /// # Errors
    /// Text that is no TOML, and as [`set`](Self::set).
    pub fn set_toml(&mut self, text: &str) -> Result<(), SqlError> {
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
            SqlError::new(SqlError::INVALID_PARAMETER, format!("configuration: {}", e.to_string().trim_end()))
        })?;
        let mut flat = Vec::new();
        flatten("", &table, &mut flat)?;
        for (key, value) in flat {
            self.set(&key, &value)?;
        }
        Ok(())
    }

    /// The value of a known setting, its default where it was not set.
    pub fn value(&self, spec: &'static SettingSpec) -> &str {
        self.values.get(spec.name).map_or(spec.default, String::as_str)
    }

    /// What was set: name and value.
    pub fn changed(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.values.iter().map(|(k, v)| (*k, v.as_str()))
    }

    /// The first setting whose value differs from that in `other`.
    pub fn difference(&self, other: &Settings) -> Option<&'static str> {
        SETTINGS.iter().find(|s| self.value(s) != other.value(s)).map(|s| s.name)
    }

    /// Has somebody given the setting of this name a value?
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// `search_path`.
    pub fn search_path(&self) -> &str {
        self.of("search_path")
    }

    /// `execution.shards`, when it was set.
    pub fn shards(&self) -> Option<usize> {
        self.values.get("execution.shards").and_then(|v| v.parse().ok())
    }

    /// `execution.epoch-interval`.
    pub fn epoch_interval(&self) -> Duration {
        parse_duration(self.of("execution.epoch-interval")).unwrap_or(Duration::from_millis(100))
    }

    /// `execution.epoch-rows`.
    pub fn epoch_rows(&self) -> u64 {
        self.of("execution.epoch-rows").parse().unwrap_or(10_000_000)
    }

    /// `execution.emit`.
    pub fn emit(&self) -> Emit {
        match self.of("execution.emit") {
            "on-update" => Emit::OnUpdate,
            "final" => Emit::Final,
            _ => Emit::OnClose,
        }
    }

    /// `table.exec.sink.require-on-conflict`.
    pub fn requires_on_conflict(&self) -> bool {
        self.of("table.exec.sink.require-on-conflict") == "true"
    }

    /// `sql.dialect`.
    pub fn dialect(&self) -> Dialect {
        Dialect::from_name(self.of("sql.dialect")).unwrap_or_default()
    }

    /// `execution.runtime-mode` = `batch`.
    pub fn is_batch(&self) -> bool {
        self.of("execution.runtime-mode") == "batch"
    }

    /// `pipeline.max-parallelism`.
    pub fn max_parallelism(&self) -> u16 {
        self.of("pipeline.max-parallelism").parse().unwrap_or(128)
    }

    /// What the settings say of checkpoints; `None` when none are to be made. Credentials come from `environment`.
    pub fn checkpoints(&self, environment: &BTreeMap<String, String>) -> Option<CheckpointSettings> {
        let location = Some(self.checkpoints_dir()).filter(|dir| !dir.is_empty())?;
        Some(CheckpointSettings {
            location: location.to_owned(),
            environment: environment.clone(),
            interval: Some(self.duration("execution.checkpointing.interval")).filter(|i| !i.is_zero()),
            min_pause: self.duration("execution.checkpointing.min-pause"),
            timeout: self.duration("execution.checkpointing.timeout"),
            retained: self.checkpoints_retained(),
            checked_first_bytes: parse_size(self.of("state.checkpoints.checked-first")).unwrap_or(64 << 20) as u64,
            local: Some(self.of("state.local-dir")).filter(|dir| !dir.is_empty()).map(PathBuf::from),
            allow_fresh: false,
        })
    }

    /// `state.checkpoints.num-retained`.
    pub fn checkpoints_retained(&self) -> usize {
        self.of("state.checkpoints.num-retained").parse().unwrap_or(2)
    }

    /// `execution.checkpointing.aligned-checkpoint-timeout`: what a barrier may take.
    pub fn barrier_budget(&self) -> Duration {
        match self.duration("execution.checkpointing.aligned-checkpoint-timeout") {
            Duration::ZERO => Duration::MAX,
            budget => budget,
        }
    }

    /// `state.checkpoints.dir`; empty: none.
    pub fn checkpoints_dir(&self) -> &str {
        self.of("state.checkpoints.dir")
    }

    /// `state.backend`: does state live in RocksDB?
    pub fn uses_rocksdb(&self) -> bool {
        match self.of("state.backend") {
            "auto" => !self.of("state.checkpoints.dir").is_empty(),
            backend => backend == "rocksdb",
        }
    }

    /// State in RocksDB is that of a job with checkpoints.
    ///
    /// # Errors
    /// `state.backend` is `rocksdb`, and `state.checkpoints.dir` is empty.
    pub fn check_backend(&self) -> Result<(), SqlError> {
        if self.of("state.backend") == "rocksdb" && self.of("state.checkpoints.dir").is_empty() {
            let message = "'state.backend' = 'rocksdb' needs 'state.checkpoints.dir'";
            return Err(SqlError::new(SqlError::INVALID_PARAMETER, message)
                .with_hint("set the directory, or leave 'state.backend' at 'auto'"));
        }
        Ok(())
    }

    /// `state.memory-budget` in bytes, when it was set.
    pub fn memory_budget(&self) -> Option<usize> {
        self.values.get("state.memory-budget").and_then(|v| parse_size(v))
    }

    /// `restart-strategy.type` and what belongs to it.
    pub fn restart_strategy(&self) -> RestartStrategy {
        match self.of("restart-strategy.type") {
            "none" => RestartStrategy::None,
            "fixed-delay" => RestartStrategy::FixedDelay {
                attempts: self.of("restart-strategy.fixed-delay.attempts").parse().unwrap_or(3),
                delay: self.duration("restart-strategy.fixed-delay.delay"),
            },
            _ => RestartStrategy::ExponentialDelay {
                initial: self.duration("restart-strategy.exponential-delay.initial-backoff"),
                max: self.duration("restart-strategy.exponential-delay.max-backoff"),
                factor: 1.5,
                reset_after: self.duration("restart-strategy.exponential-delay.reset-backoff-threshold"),
            },
        }
    }

    /// The value of a duration, which was checked when it was set.
    fn duration(&self, name: &'static str) -> Duration {
        parse_duration(self.of(name)).unwrap_or_default()
    }

    /// `pipeline.name`, unless it is empty.
    pub fn pipeline_name(&self) -> Option<&str> {
        Some(self.of("pipeline.name")).filter(|n| !n.is_empty())
    }

    /// `state.savepoints.dir`, unless it is empty.
    pub fn savepoints_dir(&self) -> Option<&str> {
        Some(self.of("state.savepoints.dir")).filter(|dir| !dir.is_empty())
    }

    /// `table.local-time-zone`.
    pub fn time_zone(&self) -> &str {
        self.of("table.local-time-zone")
    }

    /// `table.exec.state.ttl` in milliseconds, unless it is 0.
    pub fn state_ttl_ms(&self) -> Option<u64> {
        let ttl = parse_duration(self.of("table.exec.state.ttl"))?;
        u64::try_from(ttl.as_millis()).ok().filter(|ms| *ms > 0)
    }

    /// `state.unbounded`.
    pub fn unbounded_state(&self) -> UnboundedState {
        match self.of("state.unbounded") {
            "error" => UnboundedState::Error,
            "allow" => UnboundedState::Allow,
            _ => UnboundedState::Warn,
        }
    }

    /// `sql-client.execution.result-mode`.
    pub fn result_mode(&self) -> ResultMode {
        match self.of("sql-client.execution.result-mode") {
            "changelog" => ResultMode::Changelog,
            "tableau" => ResultMode::Tableau,
            _ => ResultMode::Table,
        }
    }

    /// `table.dml-sync`: is the job of an INSERT waited for, whose input ends or does not?
    pub fn waits_for_insert(&self, bounded: bool) -> bool {
        match self.of("table.dml-sync") {
            "true" => true,
            "false" => false,
            _ => bounded,
        }
    }

    fn of(&self, name: &'static str) -> &str {
        let spec = SETTINGS.iter().find(|s| s.name == name).expect("the name stands in the table");
        self.value(spec)
    }
}

/// A setting, by its name or its other name.
pub(crate) fn find(key: &str) -> Option<&'static SettingSpec> {
    SETTINGS.iter().find(|s| s.name == key || s.alias == Some(key))
}

fn spec_of(key: &str) -> Result<&'static SettingSpec, SqlError> {
    if let Some(spec) = find(key) {
        return Ok(spec);
    }
    if let Some((_, advice)) = known::REFUSED.iter().find(|(prefix, _)| key.starts_with(prefix)) {
        return Err(
            SqlError::new(SqlError::UNSUPPORTED, format!("setting '{key}' is not supported")).with_hint(*advice)
        );
    }
    let names = SETTINGS.iter().flat_map(|s| std::iter::once(s.name).chain(s.alias));
    let nearest = names.map(|n| (edit_distance(n, key), n)).min().filter(|(d, n)| *d <= 2 + n.len() / 4);
    let hint = match nearest {
        Some((_, name)) => format!("did you mean '{name}'? SET; lists all settings"),
        None => "SET; lists all settings".to_owned(),
    };
    Err(SqlError::new(SqlError::INVALID_PARAMETER, format!("unknown setting '{key}'")).with_hint(hint))
}

/// The value in its canonical spelling.
fn checked(spec: &SettingSpec, key: &str, value: &str) -> Result<String, SqlError> {
    let refuse = |hint: String| {
        Err(SqlError::new(SqlError::INVALID_PARAMETER, format!("setting '{key}' cannot be '{value}'")).with_hint(hint))
    };
    let lower = value.to_ascii_lowercase();
    match spec.kind {
        SettingKind::Count { min, max } => match value.trim().parse::<u64>() {
            Ok(n) if (min..=max).contains(&n) => Ok(n.to_string()),
            _ if max == u64::MAX => refuse(format!("give a whole number of at least {min}")),
            _ => refuse(format!("give a whole number from {min} to {max}")),
        },
        SettingKind::Duration => match parse_duration(value) {
            Some(d) if d.is_zero() && !spec.without_effect && !ZERO.contains(&spec.name) => {
                refuse("give a duration above 0, like '100 ms'".into())
            }
            Some(_) => Ok(value.to_owned()),
            None => refuse("give a duration like '100 ms' or '1 s'".into()),
        },
        SettingKind::Size => match parse_size(value) {
            Some(bytes) if bytes < MEMORY_BUDGET_MIN && spec.name == "state.memory-budget" => {
                refuse("give at least '16 MiB'".into())
            }
            Some(_) => Ok(value.to_owned()),
            None => refuse("give a number of bytes like '512 MiB' or '4 GiB'".into()),
        },
        SettingKind::Flag if lower == "true" || lower == "false" => Ok(lower),
        SettingKind::Flag => refuse("give 'true' or 'false'".into()),
        SettingKind::Choice(words) => match canonical_choice(spec, &lower, words) {
            Some(word) => Ok(word.to_owned()),
            None => refuse(choice_hint(spec, &lower, words)),
        },
        SettingKind::TimeZone => match value.parse::<Tz>() {
            Ok(_) => Ok(value.to_owned()),
            Err(_) => refuse("give a zone like 'UTC', 'Europe/Berlin' or '+02:00'".into()),
        },
        SettingKind::Text | SettingKind::Place => Ok(value.to_owned()),
    }
}

/// A number of bytes: a whole number and a unit, all of them powers of 1024, as Flink has them.
fn parse_size(text: &str) -> Option<usize> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: usize = text[..digits].parse().ok()?;
    let shift = match text[digits..].trim() {
        "" | "b" | "bytes" => 0,
        "k" | "kb" | "kib" | "kibibytes" => 10,
        "m" | "mb" | "mib" | "mebibytes" => 20,
        "g" | "gb" | "gib" | "gibibytes" => 30,
        "t" | "tb" | "tib" | "tebibytes" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

/// The word that is meant; Flink's names of what is called otherwise here count too.
fn canonical_choice(spec: &SettingSpec, lower: &str, words: &'static [&'static str]) -> Option<&'static str> {
    let meant = match (spec.name, lower) {
        ("state.backend", "hashmap") => "memory",
        ("sql.dialect", "default") => "flink",
        _ => lower,
    };
    words.iter().copied().find(|w| *w == meant)
}

fn choice_hint(spec: &SettingSpec, lower: &str, words: &[&str]) -> String {
    let all = words.iter().map(|w| format!("'{w}'")).collect::<Vec<_>>().join(" or ");
    match (spec.name, lower) {
        ("execution.runtime-mode", "automatic") => {
            format!("bounded input ends a job in either mode; give {all}")
        }
        _ => format!("give {all}"),
    }
}

fn flatten(prefix: &str, table: &toml::Table, out: &mut Vec<(String, String)>) -> Result<(), SqlError> {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            toml::Value::Table(inner) => flatten(&key, inner, out)?,
            toml::Value::String(text) => out.push((key, text.clone())),
            toml::Value::Integer(n) => out.push((key, n.to_string())),
            toml::Value::Float(n) => out.push((key, n.to_string())),
            toml::Value::Boolean(b) => out.push((key, b.to_string())),
            toml::Value::Array(_) | toml::Value::Datetime(_) => {
                return Err(SqlError::new(
                    SqlError::INVALID_PARAMETER,
                    format!("configuration: '{key}' is neither text, number nor true/false"),
                )
                .with_hint("settings are single values; put the value in quotes"));
            }
        }
    }
    Ok(())
}
