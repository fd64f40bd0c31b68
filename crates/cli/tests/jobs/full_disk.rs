//! The disk is full while a job runs: it says where, ends or is started again, never hangs, and goes on from its last checkpoint when
//! there is room again.
//!
//! The disk is a small file system in memory, in a mount namespace of the test's own. Where the system allows none, nothing is tested.

use crate::process::{command, rows};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

const ROWS: usize = 200_000;

/// Runs `$1` (a script that runs the job by `run`) with a disk of `$2` MiB at `disk`.
const SMALL_DISK: &str = r#"
set -u
mount -t tmpfs -o size="$2"m none disk || exit 77
make_room() { mount -o remount,size=1g disk; }
run() { timeout -s KILL 120 "$EDDYLINE" run job.sql --quiet --shards 2 "$@"; }
eval "$1"
"#;

fn job(place: &Path) -> String {
    format!(
        "SET 'pipeline.name' = 'groups'; SET 'state.checkpoints.dir' = '{place}/disk/checkpoints';
         SET 'execution.checkpointing.interval' = '100 ms'; SET 'state.backend' = 'rocksdb';
         SET 'state.memory-budget' = '16 MB'; SET 'restart-strategy.exponential-delay.initial-backoff' = '100 ms';
         CREATE TABLE orders (id BIGINT, note STRING) WITH ('connector' = 'datagen', 'rows-per-second' = '0',
           'number-of-rows' = '{ROWS}', 'fields.id.min' = '1', 'fields.id.max' = '100000',
           'fields.note.length' = '100', 'seed' = '1');
         CREATE TABLE answer (n BIGINT, total BIGINT, most STRING)
           WITH ('connector' = 'filesystem', 'path' = '{place}/answer', 'format' = 'changelog-csv');
         INSERT INTO answer SELECT COUNT(*), SUM(n), MAX(m)
           FROM (SELECT id, COUNT(*) AS n, MAX(note) AS m FROM orders GROUP BY id);",
        place = place.display()
    )
}

type Answer = BTreeMap<String, i64>;

/// What a run gives that has all the room it needs.
fn undisturbed() -> Answer {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("job.sql"), job(directory.path())).expect("written");
    assert!(command(directory.path(), &["run", "job.sql", "--quiet"]).status().expect("started").success());
    rows(directory.path(), "answer", "changelog-csv")
}

/// Runs the script; what was complained of and the answer, or nothing where there can be no disk.
fn on_small_disk(script: &str, size_mib: usize) -> Option<(String, Answer)> {
    let directory = tempfile::tempdir().expect("a directory");
    let place = directory.path();
    std::fs::create_dir(place.join("disk")).expect("made");
    std::fs::write(place.join("job.sql"), job(place)).expect("written");
    let job = command(place, &[]);
    let size = size_mib.to_string();
    let mut shell = Command::new("unshare");
    shell.args(["--user", "--map-root-user", "--mount", "sh", "-c", SMALL_DISK, "sh", script, &size]);
    shell.current_dir(place).env("EDDYLINE", job.get_program()).env("EDDYLINE_RUNTIME_DIR", place.join("run"));
    let output = shell.env_remove("EDDYLINE_LOG").stdout(Stdio::inherit()).output();
    let output =
        output.ok().filter(|output| !matches!(output.status.code(), Some(1 | 77) if !place.join("answer").exists()));
    let Some(output) = output else {
        println!("there are no mount namespaces here: not tested");
        return None;
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{size} MiB, {script}: {:?}\n{said}", output.status);
    Some((said, rows(place, "answer", "changelog-csv")))
}

/// Errors name the file, and say what is wrong in the system's word or ours.
fn assert_named(said: &str) {
    let is_named = |line: &str| {
        line.contains("/disk/checkpoints/groups/")
            && (line.contains("No space left") || line.contains("is the disk full?"))
    };
    assert!(said.lines().any(is_named), "{said}");
}

#[test]
fn a_job_ends_with_an_error_and_goes_on_when_there_is_room() {
    let wanted = undisturbed();
    assert_eq!(wanted.len(), 1);
    // The first is full while state is still appended to a journal, the second when RocksDB makes files of it.
    for size_mib in [10, 28] {
        let script = "run --set restart-strategy.type=none && exit 70; make_room; run";
        let Some((said, answer)) = on_small_disk(script, size_mib) else { return };
        assert_named(&said);
        assert_eq!(answer, wanted, "{size_mib} MiB");
    }
}

#[test]
fn a_job_is_started_again_until_there_is_room() {
    let wanted = undisturbed();
    for size_mib in [10, 28] {
        let script = "run 2>&1 | while read -r line; do echo \"$line\" >&2; case \"$line\" in *'started again'*) make_room;; esac; done";
        let Some((said, answer)) = on_small_disk(script, size_mib) else { return };
        assert_named(&said);
        assert_eq!(answer, wanted, "{size_mib} MiB");
    }
}

/// The state is elsewhere, and only the checkpoints have no room: the job goes on, and does not end before its last one is made.
#[test]
fn checkpoints_are_tried_again_until_there_is_room() {
    let wanted = undisturbed();
    let script = "run --set state.local-dir=\"$PWD/live\" 2>&1 | while read -r line; do echo \"$line\" >&2; \
                  case \"$line\" in *'checkpoint failed'*) make_room;; esac; done";
    let Some((said, answer)) = on_small_disk(script, 10) else { return };
    assert_named(&said);
    assert_eq!(answer, wanted);
}
