//! Savepoints through the binary: made while a job runs and when it is stopped, restored on other numbers of shards.

use crate::process::{command, differences, done, eddyline, refused, rows, start, text};
use crate::rooms::{self, SINKS, write_ratings};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

const EVENTS: u64 = 24_000;
/// A limited run takes so long.
const SECONDS: u64 = 6;

/// The job, its input as fast as it goes or limited.
fn script(place: &Path, is_limited: bool, settings: &str) -> String {
    let rate = if is_limited { Some(EVENTS / SECONDS) } else { None };
    rooms::script(place, SINKS, EVENTS, rate, settings)
}

fn check(place: &Path, expected: &Path) {
    for (table, _, format, _) in SINKS {
        let (found, wanted) = (rows(place, table, format), rows(expected, table, format));
        assert!(!wanted.is_empty(), "{table} is empty");
        let wrong = differences(&found, &wanted);
        assert!(wrong.is_empty(), "{table} differs, as in {wrong:?}");
    }
}

#[test]
fn every_room_goes_on_from_1_shard_on_4_and_from_there_on_2() {
    let (directory, undisturbed) = (tempfile::tempdir().expect("directory"), tempfile::tempdir().expect("directory"));
    let (place, undisturbed) = (directory.path(), undisturbed.path());
    write_ratings(undisturbed);
    std::fs::write(undisturbed.join("job.sql"), script(undisturbed, false, "")).expect("written");
    done(undisturbed, &["run", "job.sql", "--quiet"]);

    write_ratings(place);
    std::fs::write(place.join("job.sql"), script(place, true, "")).expect("written");
    let mut first = start(place, "job", &["job.sql", "--quiet", "--shards", "1"]);
    std::thread::sleep(Duration::from_millis(1500));
    let one = done(place, &["stop", "job", "--savepoint", "one"]);
    assert!(first.wait().expect("an end").success());
    assert_eq!(Path::new(&one), place.join("one"));

    // With RocksDB, and checkpoints, which are not those of the run before.
    let settings = "SET 'state.checkpoints.dir' = 'checkpoints'; SET 'execution.checkpointing.interval' = '200 ms';";
    std::fs::write(place.join("job.sql"), script(place, true, settings)).expect("written");
    let mut second = start(place, "job", &["job.sql", "--quiet", "--shards", "4", "--from", "one"]);
    std::thread::sleep(Duration::from_millis(1500));
    let two = done(place, &["stop", "job", "--savepoint", "--dir", "savepoints"]);
    assert!(second.wait().expect("an end").success());
    assert!(two.contains("/savepoints/savepoint-job-"), "{two}");
    let verified = done(place, &["state", "verify", &two]);
    assert!(verified.contains("savepoint of job job") && verified.contains("whole (4 files"), "{verified}");

    // From here on as fast as it goes.
    std::fs::write(place.join("job.sql"), script(place, false, "")).expect("written");
    done(place, &["run", "job.sql", "--quiet", "--shards", "2", "--from", &two]);
    check(place, undisturbed);
}

/// Savepoints of earlier versions: see fixtures/README.md.
fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/savepoints")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("a directory").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}

#[test]
fn savepoints_of_earlier_versions_are_gone_on_from() {
    let mut fixtures: Vec<PathBuf> =
        std::fs::read_dir(fixtures()).expect("fixtures").flatten().map(|e| e.path()).filter(|p| p.is_dir()).collect();
    fixtures.sort();
    assert!(!fixtures.is_empty());
    for fixture in fixtures {
        let (directory, other) = (tempfile::tempdir().expect("directory"), tempfile::tempdir().expect("directory"));
        let (place, other) = (directory.path(), other.path());
        copy(&fixture, place);
        for file in ["job.sql", "ratings.csv"] {
            std::fs::copy(fixture.join(file), other.join(file)).expect("copied");
        }
        done(other, &["run", "job.sql", "--quiet"]);
        assert!(done(place, &["state", "verify", "savepoint"]).contains("whole"));
        done(place, &["run", "job.sql", "--quiet", "--shards", "3", "--from", "savepoint"]);
        let tables = std::fs::read_to_string(fixture.join("tables")).expect("read");
        for (table, format) in tables.lines().filter_map(|line| line.split_once(' ')) {
            let (found, wanted) = (rows(place, table, format), rows(other, table, format));
            assert!(!wanted.is_empty() && found == wanted, "{}: {table} differs", fixture.display());
        }
    }
}

/// Writes a fixture: `EDDYLINE_FIXTURE=<version>` says which.
#[test]
fn a_fixture_is_written_when_it_is_asked_for() {
    let Ok(version) = std::env::var("EDDYLINE_FIXTURE") else { return };
    let place = fixtures().join(version);
    let _ = std::fs::remove_dir_all(&place);
    std::fs::create_dir_all(&place).expect("made");
    write_ratings(&place);
    std::fs::write(place.join("job.sql"), rooms::script(Path::new("."), SINKS, 1200, Some(400), "")).expect("written");
    let mut child = start(&place, "job", &["job.sql", "--quiet", "--shards", "2"]);
    std::thread::sleep(Duration::from_millis(1200));
    done(&place, &["stop", "job", "--savepoint", "savepoint"]);
    assert!(child.wait().expect("an end").success());
    std::fs::write(place.join("job.sql"), rooms::script(Path::new("."), SINKS, 1200, None, "")).expect("written");
    let tables = SINKS.iter().map(|(table, _, format, _)| format!("{table} {format}\n")).collect::<String>();
    std::fs::write(place.join("tables"), tables).expect("written");
    std::fs::remove_dir_all(place.join("run")).expect("removed");
}

/// Counts and copies 30,000 rows in about three seconds.
fn counting(place: &Path, settings: &str) -> String {
    let place = place.display();
    format!(
        "{settings}\n\
         CREATE TABLE numbers (id BIGINT, k AS id % 100) WITH ('connector' = 'datagen', \n\
           'rows-per-second' = '10000', 'fields.id.kind' = 'sequence', 'fields.id.start' = '1', 'fields.id.end' = '30000');\n\
         CREATE TABLE copies (id BIGINT) WITH ('connector' = 'filesystem', 'path' = '{place}/copies', 'format' = 'csv');\n\
         CREATE TABLE counts (k BIGINT, n BIGINT)\n\
           WITH ('connector' = 'filesystem', 'path' = '{place}/counts', 'format' = 'changelog-csv');\n\
         INSERT INTO copies SELECT id FROM numbers;\n\
         INSERT INTO counts SELECT k, COUNT(*) FROM numbers GROUP BY k;\n"
    )
}

fn all_counted() -> BTreeMap<String, i64> {
    (0..100).map(|k| (format!("{k},300"), 1)).collect()
}

#[test]
fn a_job_goes_on_while_a_savepoint_is_made_and_another_begins_at_it() {
    let (directory, other) = (tempfile::tempdir().expect("directory"), tempfile::tempdir().expect("directory"));
    let (place, other) = (directory.path(), other.path());
    let settings = "SET 'state.savepoints.dir' = 'savepoints';";
    std::fs::write(place.join("job.sql"), counting(place, settings)).expect("written");
    let mut child = start(place, "job", &["job.sql", "--quiet"]);
    std::thread::sleep(Duration::from_millis(200));
    let made = done(place, &["savepoint", "job"]);
    let there = refused(place, &["savepoint", "job", &made]);
    assert!(there.contains("is there already"), "{there}");
    assert!(child.wait().expect("an end").success());
    assert_eq!(rows(place, "counts", "changelog-csv"), all_counted());
    assert_eq!(rows(place, "copies", "csv").len(), 30_000, "it was not disturbed");
    let shown = done(place, &["state", "show", &made]);
    assert!(shown.contains("savepoint ") && shown.contains("files of entries"), "{shown}");

    // What is moved is whole: nothing of it is elsewhere.
    std::fs::rename(&made, other.join("moved")).expect("moved");
    std::fs::write(other.join("other.sql"), counting(other, "")).expect("written");
    done(other, &["run", "other.sql", "--quiet", "--shards", "3", "--from", "moved"]);
    let copies = rows(other, "copies", "csv");
    assert!(!copies.is_empty() && copies.len() < 30_000 && copies.values().all(|n| *n == 1), "{}", copies.len());
    // The counts that were out are taken back, and those of all rows are there.
    let mut counts = rows(other, "counts", "changelog-csv");
    counts.retain(|_, times| *times > 0);
    assert_eq!(counts, all_counted());
}

#[test]
fn given_again_after_a_kill_from_means_the_checkpoints_that_came_of_it() {
    let directory = tempfile::tempdir().expect("directory");
    let place = directory.path();
    let settings = "SET 'state.checkpoints.dir' = 'checkpoints'; SET 'execution.checkpointing.interval' = '100 ms';";
    std::fs::write(place.join("job.sql"), counting(place, settings)).expect("written");
    let mut first = start(place, "job", &["job.sql", "--quiet"]);
    std::thread::sleep(Duration::from_millis(500));
    done(place, &["stop", "job", "--savepoint", "one"]);
    assert!(first.wait().expect("an end").success());
    for pause in [60, 700, 300] {
        let mut child = command(place, &["run", "job.sql", "--quiet", "--from", "one"]).spawn().expect("started");
        std::thread::sleep(Duration::from_millis(pause));
        child.kill().expect("killed");
        child.wait().expect("gone");
    }
    // Once it has checkpoints of its own, the savepoint need not be named any more.
    done(place, &["run", "job.sql", "--quiet"]);
    assert_eq!(rows(place, "counts", "changelog-csv"), all_counted());
    let copies = rows(place, "copies", "csv");
    assert_eq!((copies.len(), copies.values().sum::<i64>()), (30_000, 30_000), "every row once");
}

/// Windows of an hour over an input that does not end.
fn windows(place: &Path) -> String {
    let place = place.display();
    format!(
        "CREATE TABLE numbers (id BIGINT, ts AS TO_TIMESTAMP_LTZ(id, 3), WATERMARK FOR ts AS ts) WITH ('connector' = 'datagen', \n\
           'rows-per-second' = '1000', 'fields.id.kind' = 'sequence', 'fields.id.start' = '1', 'fields.id.end' = '1000000');\n\
         CREATE TABLE hours (n BIGINT) WITH ('connector' = 'filesystem', 'path' = '{place}/hours', 'format' = 'csv');\n\
         INSERT INTO hours SELECT COUNT(*) FROM TABLE(TUMBLE(TABLE numbers, DESCRIPTOR(ts), INTERVAL '1' HOUR)) \
           GROUP BY window_start, window_end;\n"
    )
}

#[test]
fn drained_a_job_puts_out_its_open_windows() {
    let directory = tempfile::tempdir().expect("directory");
    let place = directory.path();
    std::fs::write(place.join("job.sql"), windows(place)).expect("written");
    let mut child = start(place, "job.hours", &["job.sql", "--quiet"]);
    std::thread::sleep(Duration::from_millis(400));
    done(place, &["stop", "job.hours", "--savepoint", "one"]);
    assert!(child.wait().expect("an end").success());
    let count = || -> u64 {
        let Ok(_) = std::fs::read_dir(place.join("hours")) else { return 0 };
        rows(place, "hours", "csv").keys().map(|n| n.parse::<u64>().expect("a number")).sum()
    };
    assert_eq!(count(), 0, "the window is open");

    let mut child = start(place, "job.hours", &["job.sql", "--quiet", "--from", "one"]);
    std::thread::sleep(Duration::from_millis(400));
    done(place, &["stop", "job.hours", "--savepoint", "two", "--drain"]);
    assert!(child.wait().expect("an end").success());
    let drained = count();
    assert!(drained > 400, "{drained}");
    let shown = done(place, &["state", "show", "two"]);
    assert!(shown.contains("event time went to its end before"), "{shown}");
}

#[test]
fn what_cannot_be_is_said() {
    let directory = tempfile::tempdir().expect("directory");
    let place = directory.path();
    let told = refused(place, &["savepoint", "nobody", "here"]);
    assert!(told.contains("no job 'nobody' runs here") && told.contains("HINT: a job is called by"), "{told}");
    std::fs::write(place.join("job.sql"), counting(place, "")).expect("written");
    let told = refused(place, &["run", "job.sql", "--from", "nowhere"]);
    assert!(told.contains("nowhere holds no savepoint") && told.contains("eddyline savepoint"), "{told}");

    let mut child = start(place, "job", &["job.sql", "--quiet"]);
    let told = refused(place, &["savepoint", "job"]);
    assert!(told.contains("there is no place for the savepoint") && told.contains("state.savepoints.dir"), "{told}");
    std::fs::write(place.join("file"), "").expect("written");
    let told = refused(place, &["stop", "job", "--savepoint", "file/within"]);
    assert!(told.contains("file/within"), "{told}");
    let told = refused(place, &["stop", "jobb"]);
    assert!(told.contains("these do: job"), "{told}");
    assert!(child.try_wait().expect("a process").is_none(), "it runs on");
    done(place, &["stop", "job"]);
    assert!(child.wait().expect("an end").success());

    std::fs::write(place.join("select.sql"), "SELECT 1;").expect("written");
    let mut child = start(place, "job", &["job.sql", "--quiet"]);
    done(place, &["stop", "job", "--savepoint", "one"]);
    assert!(child.wait().expect("an end").success());
    let told = refused(place, &["run", "select.sql", "--from", "one"]);
    assert!(told.contains("starts no job that could begin at the savepoint"), "{told}");
    let told = refused(place, &["run", "job.sql", "--from", "one", "--set", "pipeline.max-parallelism=64"]);
    assert!(told.contains("pipeline.max-parallelism is 64, but the state of job 'job' was made with 128"), "{told}");
    let entries = place.join("one/state/0.entries");
    let mut bytes = std::fs::read(&entries).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&entries, bytes).expect("written");
    let verified = eddyline(place, &["state", "verify", "one"]);
    assert_eq!(verified.status.code(), Some(1));
    assert!(text(&verified.stdout).contains("0.entries is damaged"), "{verified:?}");
    let told = refused(place, &["run", "job.sql", "--from", "one"]);
    assert!(told.contains("0.entries"), "{told}");
}
