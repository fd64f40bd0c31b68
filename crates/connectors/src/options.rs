use crate::ConnectorError;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

/// One option that a connector or format knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionSpec {
    /// Its name.
    pub name: &'static str,
    /// What it is for, in half a line, with its default.
    pub description: &'static str,
}

/// A table's WITH options while a connector reads them: remembers what was asked for, so that what is left is
/// unknown.
#[derive(Debug, Clone)]
pub struct Options {
    table: String,
    values: BTreeMap<String, String>,
    known: BTreeSet<String>,
    /// While a format reads that another is made of: the beginnings of its options' names, and what they are here.
    written: Option<(&'static str, &'static str)>,
}

impl Options {
    /// The options of `table`.
    pub fn new(table: impl Into<String>, values: &BTreeMap<String, String>) -> Self {
        let known = BTreeSet::from(["connector".to_owned()]);
        Self { table: table.into(), values: values.clone(), known, written: None }
    }

    /// All options.
    pub fn values(&self) -> &BTreeMap<String, String> {
        &self.values
    }

    /// The table, for errors.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The text of an option.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        let name = self.written_name(name);
        let value = self.values.get(&name).cloned();
        self.known.insert(name);
        value
    }

    /// Lets `read` read options whose names begin with `prefix`, such as `json.`, where the table has `written` in its
    /// place, such as `debezium-json.`. Other options it reads under their own names.
    pub fn renamed<T>(&mut self, prefix: &'static str, written: &'static str, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.written.replace((prefix, written));
        let read = read(self);
        self.written = before;
        read
    }

    fn written_name(&self, name: &str) -> String {
        match self.written.and_then(|(prefix, written)| Some((written, name.strip_prefix(prefix)?))) {
            Some((written, rest)) => format!("{written}{rest}"),
            None => name.to_owned(),
        }
    }

    /// The text of an option that must be there.
    ///
    /// # Errors
    /// It is missing.
    pub fn required(&mut self, name: &'static str) -> Result<String, ConnectorError> {
        self.text(name).ok_or_else(|| ConnectorError::Option {
            message: format!("table {}: option '{}' is missing", self.table, self.written_name(name)),
            hint: format!("add '{}' = '…' to the WITH clause", self.written_name(name)),
        })
    }

    /// An option of any type that reads from text.
    ///
    /// # Errors
    /// The text does not read.
    pub fn parsed<T: FromStr>(&mut self, name: &'static str) -> Result<Option<T>, ConnectorError>
    where
        T::Err: Display,
    {
        let Some(text) = self.text(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|e: T::Err| self.bad(name, &text, &e.to_string()))
    }

    /// A `true`/`false` option.
    ///
    /// # Errors
    /// The text is neither.
    pub fn flag(&mut self, name: &'static str, default: bool) -> Result<bool, ConnectorError> {
        match self.text(name) {
            None => Ok(default),
            Some(t) if t.eq_ignore_ascii_case("true") => Ok(true),
            Some(t) if t.eq_ignore_ascii_case("false") => Ok(false),
            Some(t) => Err(self.bad(name, &t, "is neither true nor false")),
        }
    }

    /// A duration in Flink's spelling: `10 s`, `500ms`, `1 min`.
    ///
    /// # Errors
    /// The text does not read.
    pub fn duration(&mut self, name: &'static str) -> Result<Option<Duration>, ConnectorError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        parse_duration(&text).map(Some).ok_or_else(|| self.bad(name, &text, "is no duration like '10 s' or '500 ms'"))
    }

    /// A size in Flink's spelling: `128MB`, `64 kb`, `1024`.
    ///
    /// # Errors
    /// The text does not read.
    pub fn size_bytes(&mut self, name: &'static str) -> Result<Option<u64>, ConnectorError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        parse_size(&text).map(Some).ok_or_else(|| self.bad(name, &text, "is no size like '128 MB'"))
    }

    /// All options whose name begins with `prefix`, which stay as they are; they count as known.
    pub fn with_prefix(&mut self, prefix: &str) -> BTreeMap<String, String> {
        let (taken, rest) =
            std::mem::take(&mut self.values).into_iter().partition(|(name, _)| name.starts_with(prefix));
        self.values = rest;
        taken
    }

    /// The error for an option whose value does not fit.
    pub fn bad(&self, name: &str, value: &str, why: &str) -> ConnectorError {
        let name = self.written_name(name);
        ConnectorError::Option {
            message: format!("table {}: option '{name}' = '{value}' {why}", self.table),
            hint: String::new(),
        }
    }

    /// Ends the reading: whatever was not asked for is unknown.
    ///
    /// # Errors
    /// Names the first unknown option and lists the valid ones.
    pub fn finish(self) -> Result<(), ConnectorError> {
        match self.values.keys().find(|k| !self.known.contains(k.as_str())) {
            None => Ok(()),
            Some(unknown) => Err(ConnectorError::Option {
                message: format!("table {}: unknown option '{unknown}'", self.table),
                hint: format!(
                    "valid options are: {}",
                    self.known.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
                ),
            }),
        }
    }
}

/// Reads `10 s`, `500ms`, `1 min`, `2 h`, `1 d`; a bare number is milliseconds, as in Flink.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..split].parse().ok()?;
    let nanos = match text[split..].trim().to_ascii_lowercase().as_str() {
        "ns" | "nano" | "nanos" | "nanosecond" | "nanoseconds" => 1,
        "us" | "µs" | "micro" | "micros" | "microsecond" | "microseconds" => 1_000,
        "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1_000_000,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000_000_000,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000_000_000,
        "h" | "hour" | "hours" => 3_600_000_000_000,
        "d" | "day" | "days" => 86_400_000_000_000,
        _ => return None,
    };
    number.checked_mul(nanos).map(Duration::from_nanos)
}

/// Reads `128MB`, `64 kb`, `1g`, `1024` (bytes); units are powers of 1024, as in Flink.
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..split].parse().ok()?;
    let shift = match text[split..].trim().to_ascii_lowercase().as_str() {
        "" | "b" | "bytes" => 0,
        "k" | "kb" | "kibibytes" => 10,
        "m" | "mb" | "mebibytes" => 20,
        "g" | "gb" | "gibibytes" => 30,
        "t" | "tb" | "tebibytes" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}
