//! What has happened to a job, for people: a bounded list that outlasts restarts.
//!
//! Checkpoints come and go by the thousand; so that they do not push out why a job failed last week, they have a list of their own, and
//! both are read as one, in order.
//!
//! Not here: measurements ([`crate::JobMetrics`]); logs of the process (`tracing`).

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

/// Entries that are kept, beside those of checkpoints.
const ENTRIES_MAX: usize = 1000;
/// Entries of checkpoints that are kept.
const CHECKPOINTS_MAX: usize = 200;

/// How much an entry matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// The course of its life.
    Info,
    /// Unexpected, and dealt with.
    Warn,
    /// The job has failed, or something that was asked of it has.
    Error,
}

impl LogLevel {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            LogLevel::Info => "INFO",
            LogLevel::Warn => "WARN",
            LogLevel::Error => "ERROR",
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What an entry is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogSubject {
    /// The job's life: it starts, fails, is started again, ends.
    Life,
    /// A checkpoint.
    Checkpoint,
    /// A savepoint.
    Savepoint,
}

impl LogSubject {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            LogSubject::Life => "job",
            LogSubject::Checkpoint => "checkpoint",
            LogSubject::Savepoint => "savepoint",
        }
    }
}

/// Something that has happened to a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Its number in the log, from 1; entries that were pushed out leave a gap.
    pub number: u64,
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    pub time_ms: i64,
    /// How much it matters.
    pub level: LogLevel,
    /// What it is of.
    pub subject: LogSubject,
    /// What has happened, in a line.
    pub message: String,
}

/// The last entries. Clones are the same log.
#[derive(Debug, Clone, Default)]
pub struct JobLog(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    last: u64,
    lives: VecDeque<LogEntry>,
    checkpoints: VecDeque<LogEntry>,
}

impl JobLog {
    /// Adds an entry.
    pub fn tell(&self, time_ms: i64, level: LogLevel, subject: LogSubject, message: impl Into<String>) {
        let message = message.into();
        let mut entries = self.0.lock();
        entries.last += 1;
        let entry = LogEntry { number: entries.last, time_ms, level, subject, message };
        let (list, max) = match subject {
            LogSubject::Checkpoint => (&mut entries.checkpoints, CHECKPOINTS_MAX),
            LogSubject::Life | LogSubject::Savepoint => (&mut entries.lives, ENTRIES_MAX),
        };
        if list.len() == max {
            list.pop_front();
        }
        list.push_back(entry);
    }

    /// The last `max` entries behind the one of number `after`, oldest first.
    pub fn after(&self, after: u64, max: usize) -> Vec<LogEntry> {
        let entries = self.0.lock();
        let mut found: Vec<LogEntry> =
            entries.lives.iter().chain(&entries.checkpoints).filter(|entry| entry.number > after).cloned().collect();
        found.sort_by_key(|entry| entry.number);
        found.split_off(found.len().saturating_sub(max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_do_not_push_out_what_matters() {
        let log = JobLog::default();
        log.tell(1, LogLevel::Error, LogSubject::Life, "failed");
        for at in 0..1500 {
            log.tell(at, LogLevel::Info, LogSubject::Checkpoint, "complete");
        }
        let all = log.after(0, usize::MAX);
        assert_eq!(all.len(), 1 + CHECKPOINTS_MAX);
        assert_eq!(all[0].message, "failed");
        assert_eq!(all.last().map(|entry| entry.number), Some(1501));
        assert_eq!(log.after(1499, 10).iter().map(|entry| entry.number).collect::<Vec<_>>(), [1500, 1501]);
        assert_eq!(log.after(0, 1).iter().map(|entry| entry.number).collect::<Vec<_>>(), [1501]);
    }
}
