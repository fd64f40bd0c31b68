//! The binary as a process, and what it has written.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

pub(crate) fn command(place: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eddyline"));
    command.current_dir(place).args(args).env_remove("EDDYLINE_LOG").env("EDDYLINE_RUNTIME_DIR", place.join("run"));
    command
}

pub(crate) fn eddyline(place: &Path, args: &[&str]) -> Output {
    command(place, args).output().expect("started")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs it to a good end; returns what it printed.
#[track_caller]
pub(crate) fn done(place: &Path, args: &[&str]) -> String {
    let output = eddyline(place, args);
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout).trim().to_owned()
}

/// Runs it to a bad end; returns its complaint.
#[track_caller]
pub(crate) fn refused(place: &Path, args: &[&str]) -> String {
    let output = eddyline(place, args);
    assert!(!output.status.success(), "{args:?} went well: {}", text(&output.stdout));
    text(&output.stderr)
}

/// Starts a job and waits until it can be asked.
pub(crate) fn start(place: &Path, job: &str, args: &[&str]) -> Child {
    let mut child = command(place, &[&["run"], args].concat()).spawn().expect("started");
    let socket = place.join("run").join(format!("{job}.sock"));
    let begin = Instant::now();
    while !socket.exists() {
        assert!(child.try_wait().expect("a process").is_none(), "it ended before it could be asked");
        assert!(begin.elapsed() < Duration::from_secs(60), "it cannot be asked");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

/// The rows that all files of a table make up: each with how often it is there.
pub(crate) fn rows(place: &Path, table: &str, format: &str) -> BTreeMap<String, i64> {
    let mut rows = BTreeMap::new();
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    let mut files: Vec<_> = std::fs::read_dir(place.join(table)).expect("a directory").flatten().collect();
    files.sort_by_key(|file| file.metadata().and_then(|m| m.modified()).expect("a time"));
    for path in files.iter().map(std::fs::DirEntry::path) {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        assert!(!name.starts_with('.'), "{name} is left over");
        for line in std::fs::read_to_string(path).expect("text").lines() {
            let (sign, row) = match format {
                "csv" => (1, line),
                "upsert-csv" => {
                    let (key, _) = line.split_once(',').expect("a key");
                    last.insert(key.to_owned(), line.to_owned());
                    continue;
                }
                _ => {
                    let (kind, row) = line.split_once(',').expect("a kind");
                    (if kind.starts_with('+') { 1 } else { -1 }, row)
                }
            };
            *rows.entry(row.to_owned()).or_insert(0) += sign;
        }
    }
    rows.extend(last.into_values().map(|row| (row, 1)));
    rows.retain(|_, times| *times != 0);
    rows
}

/// Where two tables differ: a few rows, each with how often it is there.
pub(crate) fn differences<'a>(
    found: &'a BTreeMap<String, i64>,
    wanted: &'a BTreeMap<String, i64>,
) -> Vec<(&'a String, &'a i64)> {
    let wrong = found.iter().filter(|(row, n)| wanted.get(*row) != Some(n));
    let missing = wanted.iter().filter(|(row, _)| !found.contains_key(*row));
    wrong.chain(missing).take(5).collect()
}
