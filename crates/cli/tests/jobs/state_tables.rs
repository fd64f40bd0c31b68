//! What a job keeps, read by another process while the job runs and when it does not: `STATE('job', 'operator')`.

use crate::process::{command, done, eddyline, refused, text};
use std::path::Path;
use std::time::{Duration, Instant};

/// Adds up the numbers from 1 to 60,000 in about a second and a half, with a checkpoint every 30 ms, of which one is kept.
fn job(place: &Path) -> String {
    let place = place.display();
    format!(
        "SET 'state.checkpoints.dir' = '{place}/checkpoints';\n\
         SET 'state.checkpoints.num-retained' = '1';\n\
         SET 'execution.checkpointing.interval' = '30 ms';\n\
         SET 'pipeline.name' = 'sums';\n\
         CREATE TABLE numbers (id BIGINT, k AS id % 1000) WITH ('connector' = 'datagen', \n\
           'rows-per-second' = '40000', 'fields.id.kind' = 'sequence', 'fields.id.start' = '1', 'fields.id.end' = '60000');\n\
         CREATE TABLE sums (k BIGINT, n BIGINT, s BIGINT)\n\
           WITH ('connector' = 'filesystem', 'path' = '{place}/sums', 'format' = 'changelog-csv');\n\
         INSERT INTO sums SELECT k, COUNT(*), SUM(id) FROM numbers GROUP BY k;\n"
    )
}

/// Two looks at the state in one statement, which must be of one checkpoint.
fn question(job: &str) -> String {
    format!(
        "SELECT n, s FROM (SELECT SUM(`count(*)`) AS n FROM STATE('{job}', 'GroupAggregate')) AS a\n\
         CROSS JOIN (SELECT SUM(`sum(id)`) AS s FROM STATE('{job}', 'GroupAggregate')) AS b;\n"
    )
}

/// How many numbers were added up, of which the sum must be that of the first so many.
fn answer(csv: &str) -> u64 {
    let line = csv.lines().nth(1).expect("a row");
    let (n, s) = line.split_once(',').expect("two columns");
    let (n, s): (u64, u64) = (n.parse().expect("a number"), s.parse().expect("a number"));
    assert_eq!(s, n * (n + 1) / 2, "the first {n} numbers");
    n
}

#[test]
fn it_is_read_while_the_job_runs_and_deletes_its_checkpoints() {
    let directory = tempfile::tempdir().expect("directory");
    let place = directory.path();
    std::fs::write(place.join("job.sql"), job(place)).expect("written");
    let dir = format!("SET 'state.checkpoints.dir' = '{}/checkpoints';\n", place.display());
    std::fs::write(place.join("ask.sql"), dir + &question("sums")).expect("written");
    // The numbers come in their order on one shard.
    let mut child = command(place, &["run", "job.sql", "--quiet", "--shards", "1"]).spawn().expect("started");
    let (begin, mut seen) = (Instant::now(), Vec::new());
    while child.try_wait().expect("a process").is_none() {
        let asked = eddyline(place, &["run", "ask.sql", "--quiet", "--format", "csv"]);
        match asked.status.success() {
            true => seen.push(answer(&text(&asked.stdout))),
            // There is no checkpoint yet.
            false => assert!(text(&asked.stderr).contains("job 'sums' has no checkpoints"), "{}", text(&asked.stderr)),
        }
        assert!(begin.elapsed() < Duration::from_secs(120), "the job does not end");
    }
    assert!(seen.is_sorted(), "{seen:?}");
    assert_eq!(answer(&done(place, &["run", "ask.sql", "--quiet", "--format", "csv"])), 60_000);

    let by_path = place.join("checkpoints/sums").display().to_string();
    std::fs::write(place.join("path.sql"), question(&by_path)).expect("written");
    assert_eq!(answer(&done(place, &["run", "path.sql", "--quiet", "--format", "csv"])), 60_000);

    std::fs::write(place.join("path.sql"), question("checkpoints/none")).expect("written");
    let complaint = refused(place, &["run", "path.sql", "--quiet"]);
    assert!(complaint.contains("jobs that have some are: sums"), "{complaint}");
}
