//! Jobs that are killed and go on, through the binary.

use crate::process::{command, eddyline, text};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// A job that counts and copies 60,000 rows in about a second and a half, with a checkpoint every tenth of one.
fn job(place: &Path) -> String {
    let place = place.display();
    format!(
        "SET 'state.checkpoints.dir' = '{place}/checkpoints';\n\
         SET 'execution.checkpointing.interval' = '100 ms';\n\
         CREATE TABLE numbers (id BIGINT, k AS id % 1000) WITH ('connector' = 'datagen', \n\
           'rows-per-second' = '40000', 'fields.id.kind' = 'sequence', 'fields.id.start' = '1', 'fields.id.end' = '60000');\n\
         CREATE TABLE copies (id BIGINT) WITH ('connector' = 'filesystem', 'path' = '{place}/copies', 'format' = 'csv');\n\
         CREATE TABLE counts (k BIGINT, n BIGINT, s BIGINT)\n\
           WITH ('connector' = 'filesystem', 'path' = '{place}/counts', 'format' = 'changelog-csv');\n\
         INSERT INTO copies SELECT id FROM numbers;\n\
         INSERT INTO counts SELECT k, COUNT(*), SUM(id) FROM numbers GROUP BY k;\n"
    )
}

/// Starts the job and kills it, again and again; then lets it come to its end.
fn run_with_kills(place: &Path, pauses_ms: &[u64], args: &[&str]) -> String {
    for pause in pauses_ms {
        let mut child = command(place, &["run", "job.sql", "--quiet"]).spawn().expect("started");
        std::thread::sleep(Duration::from_millis(*pause));
        child.kill().expect("killed");
        child.wait().expect("gone");
    }
    let ran = eddyline(place, &[&["run", "job.sql"], args].concat());
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    text(&ran.stderr)
}

/// How often each line stands in the files that can be seen.
fn lines(directory: &Path) -> BTreeMap<String, i64> {
    let mut lines = BTreeMap::new();
    for entry in std::fs::read_dir(directory).expect("directory") {
        let path = entry.expect("entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        assert!(!name.starts_with('.'), "{name} is left over");
        for line in std::fs::read_to_string(path).expect("text").lines() {
            *lines.entry(line.to_owned()).or_insert(0) += 1;
        }
    }
    lines
}

/// The rows that changes leave.
fn net(changes: &BTreeMap<String, i64>) -> BTreeMap<String, i64> {
    let mut rows = BTreeMap::new();
    for (line, times) in changes {
        let (kind, row) = line.split_once(',').expect("a kind");
        let sign = if kind.starts_with('+') { 1 } else { -1 };
        *rows.entry(row.to_owned()).or_insert(0) += sign * times;
    }
    rows.retain(|_, times| *times != 0);
    rows
}

fn check_output(place: &Path) {
    let copies = lines(&place.join("copies"));
    assert_eq!((copies.len(), copies.values().sum::<i64>()), (60_000, 60_000), "every row once");
    // Of the numbers 1 to 60,000 there are 60 of each remainder k: k, k + 1000, …; those of 0 begin at 1000.
    let expected = (0..1000i64).map(|k| {
        let first = if k == 0 { 1000 } else { k };
        (format!("{k},60,{}", 60 * first + 1000 * 59 * 60 / 2), 1)
    });
    assert_eq!(net(&lines(&place.join("counts"))), expected.collect());
}

#[test]
fn a_job_that_is_killed_goes_on_where_it_was() {
    let directory = tempfile::tempdir().expect("directory");
    let place = directory.path();
    std::fs::write(place.join("job.sql"), job(place)).expect("written");
    // In the middle, at the start, and while it finds its way back.
    run_with_kills(place, &[900, 60, 700, 250], &[]);
    check_output(place);
    let again = eddyline(place, &["run", "job.sql"]);
    assert!(text(&again.stdout).contains("0 rows in") || text(&again.stderr).contains("0 rows in"), "{again:?}");
    check_output(place);

    let listed = text(&eddyline(place, &["state", "ls", "checkpoints"]).stdout);
    assert!(listed.starts_with("job job\n") && listed.contains("  checkpoint  "), "{listed}");
    let shown = text(&eddyline(place, &["state", "show", "checkpoints"]).stdout);
    assert!(shown.contains("the input was at its end") && shown.contains("GroupAggregate"), "{shown}");
    let verified = eddyline(place, &["state", "verify", "checkpoints"]);
    assert!(verified.status.success() && text(&verified.stdout).contains(": whole ("), "{verified:?}");
}

#[test]
fn it_goes_on_with_another_number_of_shards() {
    let directory = tempfile::tempdir().expect("directory");
    let place = directory.path();
    std::fs::write(place.join("job.sql"), job(place)).expect("written");
    run_with_kills(place, &[1100], &["--shards", "4"]);
    check_output(place);
}

#[test]
fn a_damaged_checkpoint_is_passed_over_and_without_any_the_job_does_not_start() {
    let directory = tempfile::tempdir().expect("directory");
    let place = directory.path();
    std::fs::write(place.join("job.sql"), job(place)).expect("written");
    // It is killed when two checkpoints are there.
    let mut child = command(place, &["run", "job.sql", "--quiet"]).spawn().expect("started");
    let checkpoints = place.join("checkpoints/job/checkpoints");
    let manifests = || -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(&checkpoints).into_iter().flatten().flatten();
        let mut found: Vec<_> = entries.map(|e| e.path().join("manifest")).filter(|p| p.exists()).collect();
        found.sort();
        found
    };
    while manifests().len() < 2 {
        std::thread::sleep(Duration::from_millis(5));
        assert!(child.try_wait().expect("a process").is_none(), "it ended before it had two checkpoints");
    }
    child.kill().expect("killed");
    child.wait().expect("gone");

    let spoil = |path: &Path| std::fs::write(path, "{}\n0\n").expect("written");
    let manifests = manifests();
    let (last, before) = manifests.split_last().expect("two checkpoints");
    spoil(last);
    let verified = eddyline(place, &["state", "verify", "checkpoints"]);
    assert_eq!(verified.status.code(), Some(1));
    assert!(text(&verified.stdout).contains("is damaged: its checksum does not fit"), "{verified:?}");
    let told = run_with_kills(place, &[], &[]);
    assert!(told.contains("checkpoint is damaged; the one before it is tried"), "{told}");
    check_output(place);

    before.iter().chain([last]).filter(|p| p.exists()).for_each(|p| spoil(p));
    let entries = std::fs::read_dir(&checkpoints).expect("directory").flatten();
    entries.for_each(|e| spoil(&e.path().join("manifest")));
    let refused = eddyline(place, &["run", "job.sql"]);
    assert_eq!(refused.status.code(), Some(1));
    let told = text(&refused.stderr);
    assert!(told.contains("no checkpoint of the job is whole") && told.contains("--allow-fresh"), "{told}");
    // Afresh, everything is written once more: that is what was asked for.
    let fresh = eddyline(place, &["run", "job.sql", "--allow-fresh", "--quiet"]);
    assert!(fresh.status.success(), "{}", text(&fresh.stderr));
    assert_eq!(lines(&place.join("copies")).values().sum::<i64>(), 120_000);
}

/// The greatest of RocksDB's files in checkpoints.
fn greatest_file(place: &Path) -> Option<std::path::PathBuf> {
    let files = std::fs::read_dir(place.join("checkpoints/job/shared")).into_iter().flatten().flatten();
    let files = files.map(|e| e.path()).filter(|path| path.extension().is_some_and(|e| e == "sst"));
    files.max_by_key(|path| std::fs::metadata(path).map_or(0, |m| m.len()))
}

#[test]
fn damage_that_is_found_while_the_job_runs_takes_it_to_a_checkpoint_before() {
    let directory = tempfile::tempdir().expect("directory");
    let place = directory.path();
    let settings = "SET 'state.backend' = 'rocksdb'; SET 'state.checkpoints.num-retained' = '100';
        SET 'restart-strategy.exponential-delay.initial-backoff' = '50 ms';";
    std::fs::write(place.join("job.sql"), settings.to_owned() + &job(place)).expect("written");
    // The first run appends to a journal. The second makes files of it, to which all its checkpoints refer.
    let run = |args: &[&str]| {
        command(place, &[&["run", "job.sql", "--quiet", "--shards", "1"], args].concat()).spawn().expect("started")
    };
    let mut child = run(&[]);
    while !place.join("checkpoints/job/checkpoints/0000000002/manifest").exists() {
        assert!(child.try_wait().expect("a process").is_none(), "it ended before it had two checkpoints");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("killed");
    child.wait().expect("gone");
    let mut child = run(&[]);
    while greatest_file(place).is_none() || !place.join("checkpoints/job/checkpoints/0000000004/manifest").exists() {
        assert!(child.try_wait().expect("a process").is_none(), "it ended before it had such files");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("killed");
    child.wait().expect("gone");

    // A bit turns over in the middle of what is only looked at while the job runs.
    let victim = greatest_file(place).expect("a file");
    let mut content = std::fs::read(&victim).expect("read");
    let middle = content.len() / 2;
    content[middle] ^= 1;
    std::fs::write(&victim, content).expect("written");
    let told = run_with_kills(place, &[], &["--shards", "1", "--set", "state.checkpoints.checked-first=0"]);
    let name = victim.file_name().expect("a name").to_string_lossy();
    let is_told = |what: &str| told.lines().any(|line| line.contains(what) && line.contains(&*name));
    assert!(is_told("checkpoint is damaged; the one before it is tried"), "{told}");
    assert!(told.contains("job failed; it is started again"), "{told}");
    check_output(place);
}

#[test]
fn a_changed_query_and_a_second_process_are_refused() {
    let directory = tempfile::tempdir().expect("directory");
    let place = directory.path();
    std::fs::write(place.join("job.sql"), job(place)).expect("written");
    let mut first = command(place, &["run", "job.sql", "--quiet"]).spawn().expect("started");
    while !place.join("checkpoints/job/lineage").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let second = eddyline(place, &["run", "job.sql"]);
    assert!(text(&second.stderr).contains("is run by another process"), "{}", text(&second.stderr));
    assert!(first.wait().expect("an end").success());
    check_output(place);
    std::fs::write(place.join("job.sql"), job(place).replace("SUM(id)", "MAX(id)")).expect("written");
    let told = text(&eddyline(place, &["run", "job.sql"]).stderr);
    assert!(told.contains("is that of another query: migrated: GroupAggregate"), "{told}");
    assert!(told.contains("pipeline.name"), "{told}");
    std::fs::write(place.join("job.sql"), job(place)).expect("written");
    let told = text(&eddyline(place, &["run", "job.sql", "--set", "pipeline.max-parallelism=64"]).stderr);
    assert!(told.contains("pipeline.max-parallelism is 64, but the state of job 'job' was made with 128"), "{told}");
}
