//! What goes beside the result: errors, notes, progress and the summary on standard error, or all of it as events on
//! standard output with `--json`.

use crate::exit::Exit;
use eddyline_engine::{JobFacts, Progress, SqlError};
use serde_json::json;
use std::cell::Cell;
use std::io::{IsTerminal, Write};

/// Tells people or machines.
pub(crate) struct Reporter {
    json: bool,
    quiet: bool,
    terminal: bool,
    /// A progress line stands on the terminal.
    line_shown: Cell<bool>,
    /// An event could not be written.
    unread: Cell<bool>,
}

impl Reporter {
    /// Events for machines, or text for people; progress lines only go to a terminal.
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { json, quiet, terminal, line_shown: Cell::new(false), unread: Cell::new(false) }
    }

    /// Bad usage.
    pub(crate) fn usage(&self, message: &str) -> Exit {
        self.error(&SqlError::new(SqlError::INVALID_PARAMETER, message), None)
    }

    /// A statement or a setting is wrong.
    pub(crate) fn error(&self, error: &SqlError, sql: Option<&str>) -> Exit {
        match self.json {
            true => self.event("failed", json!({ "error": error_object(error) })),
            false => self.line(&error.render(sql.unwrap_or_default())),
        }
        Exit::Usage
    }

    /// A job failed.
    pub(crate) fn failed(&self, error: &SqlError) -> Exit {
        // A job's error is told by what happened; a place in the script would not help.
        self.error(&SqlError { position: None, ..error.clone() }, None);
        Exit::Failed
    }

    /// What was asked for, and cannot be quiet.
    pub(crate) fn say(&self, text: &str) {
        self.line(text);
    }

    /// Something worth knowing.
    pub(crate) fn note(&self, text: &str) {
        match (self.json, self.quiet) {
            (true, _) => self.event("note", json!({ "message": text })),
            (false, false) => self.line(text),
            (false, true) => {}
        }
    }

    /// A job began.
    pub(crate) fn started(&self, facts: &JobFacts) {
        if self.json {
            let started = json!({ "job": facts.name, "shards": facts.shards, "bounded": facts.bounded });
            self.event("started", started);
        }
        for warning in &facts.warnings {
            self.note(&format!("WARNING: {warning}"));
        }
    }

    /// Once a second.
    pub(crate) fn progress(&self, now: &Progress, before: Option<&Progress>) {
        let rate = rate(now, before);
        if self.json {
            let mut object = counts(now);
            object["rows_per_second"] = rate.into();
            self.event("progress", object);
        } else if self.terminal && !self.quiet {
            self.stderr(&format!("\r\x1b[2K{}", fitted(progress_line(now, rate), terminal_columns())));
            self.line_shown.set(true);
        }
    }

    /// Takes the progress line off the terminal, before something else is printed.
    pub(crate) fn clear(&self) {
        if self.line_shown.replace(false) {
            self.stderr("\r\x1b[2K");
        }
    }

    /// Takes what the terminal has echoed off its line.
    pub(crate) fn take_line(&self) {
        if self.terminal {
            self.stderr("\r\x1b[2K");
        }
    }

    /// A job ended well.
    pub(crate) fn finished(&self, facts: &JobFacts, progress: &Progress, stopped: bool) {
        self.clear();
        if self.json {
            let mut object = counts(progress);
            object["job"] = facts.name.clone().into();
            object["stopped"] = stopped.into();
            self.event("finished", object);
        } else if !self.quiet {
            self.left_out(progress);
            if stopped || facts.result.is_none() {
                self.summary(facts, progress, stopped);
            }
        }
    }

    fn left_out(&self, progress: &Progress) {
        for (rows, what) in [
            (progress.rows_skipped, "skipped: they could not be decoded"),
            (progress.rows_late, "late: they came after their window was closed, and are not in the result"),
            (progress.rows_without_time, "left out: their time column is NULL"),
            (progress.rows_of_unknown_keys, "without effect: they delete a key that has no row"),
        ] {
            if rows > 0 {
                self.line(&format!("NOTE: {} {what}", plural(rows, "row")));
            }
        }
    }

    fn summary(&self, facts: &JobFacts, progress: &Progress, stopped: bool) {
        let ended = if stopped { "stopped" } else { "finished" };
        self.line(&format!(
            "{} {ended}: {} in, {} out, {} in {}",
            facts.name,
            plural(progress.rows_in, "row"),
            plural(progress.rows_out, "row"),
            plural(progress.epoch.0, "epoch"),
            duration(progress.elapsed),
        ));
        for sink in &facts.sinks {
            let path = sink.path.as_ref().map(|p| format!(" {p}")).unwrap_or_default();
            self.line(&format!("  {}: {}{path}", sink.table, sink.connector));
        }
    }

    fn line(&self, text: &str) {
        self.clear();
        self.stderr(&format!("{text}\n"));
    }

    /// True when whoever read the events is gone.
    pub(crate) fn is_unread(&self) -> bool {
        self.unread.get()
    }

    fn stderr(&self, text: &str) {
        // There is no place left to say that there is no place to say it.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }

    fn event(&self, kind: &str, fields: serde_json::Value) {
        // What kind it is stands first, for those who read it themselves.
        let fields = fields.to_string();
        if writeln!(std::io::stdout(), "{{\"event\":\"{kind}\",{}", &fields[1..]).is_err() {
            self.unread.set(true);
        }
    }
}

fn error_object(error: &SqlError) -> serde_json::Value {
    json!({
        "sqlstate": error.sqlstate,
        "message": error.message,
        "detail": error.detail,
        "hint": error.hint,
        "line": error.position.map(|p| p.line),
        "column": error.position.map(|p| p.column),
    })
}

fn counts(p: &Progress) -> serde_json::Value {
    json!({
        "rows_in": p.rows_in,
        "rows_out": p.rows_out,
        "rows_skipped": p.rows_skipped,
        "rows_late": p.rows_late,
        "rows_without_time": p.rows_without_time,
        "rows_of_unknown_keys": p.rows_of_unknown_keys,
        "epoch": p.epoch.0,
        "watermark": p.watermark.as_millis().map(|_| p.watermark.to_string()),
        "lag_ms": p.lag_ms,
        "state_bytes": p.state_bytes,
        "elapsed_ms": p.elapsed.as_millis() as u64,
    })
}

fn rate(now: &Progress, before: Option<&Progress>) -> u64 {
    let (rows, time) = match before {
        Some(b) => (now.rows_in.saturating_sub(b.rows_in), now.elapsed.saturating_sub(b.elapsed)),
        None => (now.rows_in, now.elapsed),
    };
    if time.is_zero() { 0 } else { (rows as f64 / time.as_secs_f64()) as u64 }
}

fn progress_line(p: &Progress, rate: u64) -> String {
    let watermark = match (p.watermark.as_millis(), p.lag_ms) {
        (Some(_), Some(lag)) => {
            let lag = std::time::Duration::from_millis(lag.max(0) as u64);
            format!("  watermark {} ({} behind)", p.watermark, duration(lag))
        }
        (Some(_), None) => format!("  watermark {}", p.watermark),
        _ => String::new(),
    };
    format!(
        "{}  in {} ({}/s)  out {}{watermark}  state {}",
        duration(p.elapsed),
        grouped(p.rows_in),
        grouped(rate),
        grouped(p.rows_out),
        size(p.state_bytes),
    )
}

/// A line that would wrap could not be taken off the terminal again: what does not fit is cut off.
fn fitted(mut line: String, columns: usize) -> String {
    if let Some((at, _)) = line.char_indices().nth(columns) {
        let last = line[..at].char_indices().next_back().map_or(0, |(last, _)| last);
        line.truncate(last);
        line.push('…');
    }
    line
}

/// How wide the terminal is; as wide as can be where it does not say.
fn terminal_columns() -> usize {
    match rustix::termios::tcgetwinsize(std::io::stderr()) {
        Ok(size) if size.ws_col > 0 => size.ws_col.into(),
        _ => usize::MAX,
    }
}

/// An error of a command that runs nothing.
pub(crate) fn tell(message: &str, hint: Option<&str>) {
    let hint = hint.map(|h| format!("\nHINT: {h}")).unwrap_or_default();
    // There is no place left to say that there is no place to say it.
    let _ = writeln!(std::io::stderr(), "ERROR: {message}{hint}");
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1,234 rows`.
pub(crate) fn plural(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(n), if n == 1 { "" } else { "s" })
}

fn duration(d: std::time::Duration) -> String {
    let seconds = d.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", d.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86400, seconds / 3600 % 24),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.2} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn numbers_for_people() {
        assert_eq!([0, 999, 1000, 1234567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([1, 2].map(|n| plural(n, "row")), ["1 row", "2 rows"]);
        let times = [100, 59_990, 61_000, 3_660_000, 90_000_000].map(|ms| duration(Duration::from_millis(ms)));
        assert_eq!(times, ["0.1 s", "60.0 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]);
        assert_eq!([5, 2048, 5 << 20, 3 << 29].map(size), ["5 B", "2.0 KiB", "5.0 MiB", "1.50 GiB"]);
    }
}
