//! State that is larger than the memory it may take: the answer is the same.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// What state may take.
const BUDGET_MIB: usize = 16;

/// Three text columns of 40 bytes: with them a row of state takes about 150 bytes.
const TABLES: &str = "\
CREATE TABLE orders (id BIGINT, note STRING, place STRING) WITH ('connector' = 'datagen', 'rows-per-second' = '0',
  'number-of-rows' = '{rows}', 'fields.id.min' = '1', 'fields.id.max' = '{keys}', 'fields.note.length' = '40',
  'fields.place.length' = '40', 'seed' = '1');
CREATE TABLE payments (id BIGINT, note STRING, place STRING) WITH ('connector' = 'datagen', 'rows-per-second' = '0',
  'number-of-rows' = '{rows}', 'fields.id.min' = '1', 'fields.id.max' = '{keys}', 'fields.note.length' = '40',
  'fields.place.length' = '40', 'seed' = '2');
CREATE TABLE answer (n BIGINT, total BIGINT, most BIGINT)
  WITH ('connector' = 'filesystem', 'path' = '{place}', 'format' = 'changelog-csv');
";

/// Groups by a key and a text that follows from it.
const GROUPS: &str = "\
INSERT INTO answer SELECT COUNT(*), SUM(n), SUM(largest) FROM (
  SELECT id, k, COUNT(*) AS n, MAX(LENGTH(note)) + MIN(LENGTH(place)) AS largest FROM
    (SELECT id, note, place, 'the key of a group ' || CAST(id AS STRING) || ', which is long' AS k FROM orders)
  GROUP BY id, k)";

const JOIN: &str = "\
INSERT INTO answer SELECT COUNT(*), SUM(o.id), MAX(LENGTH(o.note) + LENGTH(p.place))
  FROM orders o JOIN payments p ON o.id = p.id";

/// No columns are equal: what is on the disk is gone through for every change.
const COMPARED: &str = "\
INSERT INTO answer SELECT COUNT(*), SUM(o.id), MAX(LENGTH(o.note) + p.n)
  FROM orders o JOIN (SELECT id, LENGTH(place) AS n FROM payments WHERE MOD(id, 5000) = 1) p ON o.id < p.id";

struct Ran {
    /// The last answer.
    answer: String,
    /// The most memory that the process ever had.
    peak_mib: usize,
    err: String,
}

/// Runs a query over `rows` rows of `keys` keys.
fn run(query: &str, rows: usize, keys: usize, settings: &[String]) -> Ran {
    let directory = tempfile::tempdir().expect("a directory");
    let answer = directory.path().join("answer");
    let tables = TABLES.replace("{rows}", &rows.to_string()).replace("{keys}", &keys.to_string());
    let sql = format!("{};\n", tables.replace("{place}", &answer.display().to_string()) + query);
    std::fs::write(directory.path().join("job.sql"), sql).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_eddyline"));
    command.current_dir(directory.path()).args(["run", "job.sql", "--quiet", "--shards", "2"]);
    for setting in settings {
        command.args(["--set", setting]);
    }
    let mut child = command.env_remove("EDDYLINE_LOG").stderr(Stdio::piped()).spawn().expect("started");
    let status = format!("/proc/{}/status", child.id());
    let mut peak_mib = 0;
    while child.try_wait().expect("a process").is_none() {
        peak_mib = peak_mib.max(peak(Path::new(&status)).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().expect("ended");
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{err}");
    Ran { answer: last_answer(&answer), peak_mib, err }
}

/// The high-water mark of a process's memory.
fn peak(status: &Path) -> Option<usize> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib >> 10)
}

/// The row that the changes in a directory leave.
fn last_answer(directory: &Path) -> String {
    let mut rows = std::collections::BTreeMap::new();
    for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
        for line in std::fs::read_to_string(entry.path()).expect("text").lines() {
            let (kind, row) = line.split_once(',').expect("a kind");
            *rows.entry(row.to_owned()).or_insert(0) += if kind.starts_with('+') { 1 } else { -1 };
        }
    }
    rows.retain(|_, weight| *weight != 0);
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows.into_keys().next().unwrap_or_default()
}

fn has_the_same_answer(query: &str, rows: usize) {
    let checkpoints =
        |at: &str| vec![format!("state.checkpoints.dir={at}"), "execution.checkpointing.interval=2 s".to_owned()];
    let keys = rows * 2 / 3;
    let free = run(query, rows, keys, &[]);
    let mut settings = checkpoints("checkpoints");
    settings.push(format!("state.memory-budget={BUDGET_MIB} MiB"));
    let tight = run(query, rows, keys, &settings);
    println!("peak MiB: {} without a budget, {} with one", free.peak_mib, tight.peak_mib);
    assert_eq!(tight.answer, free.answer);
}

#[test]
fn groups_that_are_left_to_the_disk_are_the_same() {
    has_the_same_answer(GROUPS, 300_000);
}

#[test]
fn a_join_with_rows_on_the_disk_is_the_same() {
    has_the_same_answer(JOIN, 100_000);
}

#[test]
fn a_join_without_equal_columns_with_rows_on_the_disk_is_the_same() {
    has_the_same_answer(COMPARED, 100_000);
}

#[test]
fn without_checkpoints_it_is_told() {
    let budget = ["state.memory-budget=16 MiB".to_owned()];
    let told = run(GROUPS, 400_000, 400_000, &budget).err;
    assert!(told.contains("over 'state.memory-budget'") && told.contains("set 'state.checkpoints.dir'"), "{told}");
    assert_eq!(told.matches("over 'state.memory-budget'").count(), 1, "{told}");
}
