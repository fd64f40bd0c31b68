//! Jobs that go on with a changed query, through the binary: what is kept, migrated, rebuilt, dropped, and what it computes then.

use crate::process::{command, done, refused};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

/// A job over a directory of files, to which more may come: columns of the table that is read, then queries and the columns that they
/// write, into tables `out0`, `out1`, ….
fn script(place: &Path, columns: &str, queries: &[(&str, &str)], settings: &str) {
    let at = place.display();
    let mut sql = format!(
        "{settings}\n\
         CREATE TABLE t ({columns}) WITH ('connector' = 'filesystem', 'path' = '{at}/in', 'format' = 'csv', \
           'source.monitor-interval' = '20 ms');\n"
    );
    for (number, (columns, _)) in queries.iter().enumerate() {
        sql += &format!(
            "CREATE TABLE out{number} ({columns}) WITH ('connector' = 'filesystem', 'path' = '{at}/out{number}', 'format' = 'changelog-csv');\n"
        );
    }
    for (number, (_, query)) in queries.iter().enumerate() {
        sql += &format!("INSERT INTO out{number} {query};\n");
    }
    std::fs::write(place.join("job.sql"), sql).expect("written");
}

fn name(queries: &[(&str, &str)]) -> &'static str {
    if queries.len() == 1 { "job.out0" } else { "job" }
}

/// The lines of all files of a table, each with how often it is there.
fn lines(place: &Path, table: &str) -> BTreeMap<String, usize> {
    let mut lines = BTreeMap::new();
    for entry in std::fs::read_dir(place.join(table)).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        for line in std::fs::read_to_string(entry.path()).unwrap_or_default().lines() {
            *lines.entry(line.to_owned()).or_insert(0) += 1;
        }
    }
    lines
}

fn once(wanted: &[&str]) -> BTreeMap<String, usize> {
    wanted.iter().map(|line| ((*line).to_owned(), 1)).collect()
}

/// Runs the job until it has read so many rows, and stops it as it is told; then `wanted` is what it has written into `out0`.
fn run_until(place: &Path, job: &str, args: &[&str], rows: u64, wanted: &[&str], stop: &[&str]) {
    let mut command = command(place, &[&["run", "job.sql", "--json"], args].concat());
    let mut child = command.stdout(Stdio::piped()).spawn().expect("started");
    let mut events = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut seen = Vec::new();
    while !seen.last().is_some_and(|event: &String| event.contains(&format!("\"rows_in\":{rows},"))) {
        let Some(event) = events.next() else { panic!("it ended before it had read {rows} rows: {:?}", seen.last()) };
        seen.push(event.expect("a line"));
    }
    done(place, &[&["stop", job], stop].concat());
    events.for_each(drop);
    assert!(child.wait().expect("an end").success());
    assert_eq!(lines(place, "out0"), once(wanted));
}

const NARROW: &str = "k INT, v INT";
const SUMS: (&str, &str) = ("k INT, s BIGINT", "SELECT k, SUM(v) FROM t GROUP BY k");

/// A savepoint `one` of a job of `queries` that has read three rows; its output is gone, and two more rows are there to be read.
fn with_savepoint(place: &Path, queries: &[(&str, &str)], wanted: &[&str]) {
    std::fs::create_dir(place.join("in")).expect("made");
    std::fs::write(place.join("in/1.csv"), "1,10\n1,20\n2,5\n").expect("written");
    script(place, NARROW, queries, "");
    run_until(place, name(queries), &["--shards", "1"], 3, wanted, &["--savepoint", "one"]);
    for number in 0..queries.len() {
        std::fs::remove_dir_all(place.join(format!("out{number}"))).expect("removed");
    }
    std::fs::write(place.join("in/2.csv"), "1,30\n3,7\n").expect("written");
}

#[test]
fn what_follows_from_what_was_kept_is_migrated_and_right() {
    let directory = tempfile::tempdir().expect("directory");
    let place = directory.path();
    with_savepoint(place, &[SUMS], &["+I,1,30", "+I,2,5"]);
    // Wider keys and values, aggregates that follow from the sum and the number of rows, in another order, a condition on the groups.
    let query = "SELECT k, COUNT(*), AVG(v), COUNT(v), SUM(v) FROM t GROUP BY k HAVING SUM(v) > 0";
    script(place, "k BIGINT, v BIGINT", &[("k BIGINT, n BIGINT, a BIGINT, c BIGINT, s BIGINT", query)], "");
    let told = done(place, &["run", "job.sql", "--from", "one", "--dry-run"]);
    let group = told.lines().find(|line| line.contains("GroupAggregate")).expect("a line");
    assert!(group.contains("migrated: ") && !group.contains("lost"), "{told}");
    assert!(
        group.contains("k from Int32 to Int64") && group.contains("count(*) is new, from the number of rows"),
        "{told}"
    );
    assert!(group.contains("avg(v) is new, from sum(v)") && group.contains("count(v) is new, from sum(v)"), "{told}");
    assert!(told.contains("kept: Source t"), "{told}");
    let wanted = ["-U,1,2,15,2,30", "+U,1,3,20,3,60", "+I,3,1,7,1,7"];
    run_until(place, "job.out0", &["--from", "one", "--shards", "3"], 2, &wanted, &["--savepoint", "two"]);

    // The same query goes on as it is.
    let told = done(place, &["run", "job.sql", "--from", "two", "--dry-run"]);
    assert!(told.contains("kept: GroupAggregate") && !told.contains("migrated") && !told.contains("lost"), "{told}");
}

#[test]
fn values_of_any_type_are_migrated() {
    let directory = tempfile::tempdir().expect("directory");
    let place = directory.path();
    std::fs::create_dir(place.join("in")).expect("made");
    std::fs::write(place.join("in/1.csv"), "1,a,2020-01-01 00:00:00.5,1.50,7\n1,a,2020-01-02 00:00:00.125,0.25,7\n")
        .expect("written");
    let columns = "k INT, name STRING, ts TIMESTAMP(3), d DECIMAL(10, 2), x INT";
    let query = "SELECT k, name, MAX(ts), MIN(d), SUM(d), COUNT(DISTINCT x) FROM t GROUP BY k, name";
    let out = "k INT, name STRING, ts TIMESTAMP(3), least DECIMAL(10, 2), s DECIMAL(38, 2), xs BIGINT";
    script(place, columns, &[(out, query)], "");
    let wanted = ["+I,1,a,2020-01-02 00:00:00.125,0.25,1.75,1"];
    run_until(place, "job.out0", &["--shards", "1"], 2, &wanted, &["--savepoint", "one"]);
    std::fs::remove_dir_all(place.join("out0")).expect("removed");
    std::fs::write(place.join("in/2.csv"), "1,a,2020-01-01 00:00:00,5,8\n").expect("written");

    let columns = "k BIGINT, name STRING, ts TIMESTAMP(3), d DECIMAL(12, 2), x INT";
    let query = "SELECT k, name, COUNT(*), MIN(d), SUM(d), COUNT(DISTINCT x), MAX(ts) FROM t GROUP BY k, name";
    let out = "k BIGINT, name STRING, n BIGINT, least DECIMAL(12, 2), s DECIMAL(38, 2), xs BIGINT, ts TIMESTAMP(3)";
    script(place, columns, &[(out, query)], "");
    let wanted = ["-U,1,a,2,0.25,1.75,1,2020-01-02 00:00:00.125", "+U,1,a,3,0.25,6.75,2,2020-01-02 00:00:00.125"];
    run_until(place, "job.out0", &["--from", "one", "--shards", "4"], 1, &wanted, &[]);
}

#[test]
fn what_would_be_lost_is_told_and_goes_only_when_that_is_allowed() {
    let directory = tempfile::tempdir().expect("directory");
    let place = directory.path();
    with_savepoint(place, &[SUMS], &["+I,1,30", "+I,2,5"]);
    let from = ["run", "job.sql", "--quiet", "--from", "one"];

    script(place, NARROW, &[("k INT, s BIGINT, m INT", "SELECT k, SUM(v), MAX(v) FROM t GROUP BY k")], "");
    let told = refused(place, &from);
    assert!(told.contains("the state of job 'job.out0' is that of another query: migrated: GroupAggregate"), "{told}");
    assert!(told.contains("max(v) is new and counts from here on") && told.contains("--allow-dropped-state"), "{told}");
    let allowed = ["--from", "one", "--allow-dropped-state"];
    run_until(place, "job.out0", &allowed, 2, &["-U,1,30,", "+U,1,60,30", "+I,3,7,7"], &[]);
    std::fs::remove_dir_all(place.join("out0")).expect("removed");

    // Other rows are aggregated: what was kept is of no use.
    script(place, NARROW, &[("k INT, s BIGINT", "SELECT k, SUM(v) FROM t WHERE v > 6 GROUP BY k")], "");
    let told = refused(place, &from);
    assert!(told.contains("rebuilt: GroupAggregate") && told.contains("dropped: GroupAggregate"), "{told}");
    run_until(place, "job.out0", &allowed, 2, &["+I,1,30", "+I,3,7"], &[]);
    std::fs::remove_dir_all(place.join("out0")).expect("removed");

    // A table that is computed otherwise is as good as another query.
    script(place, "k INT, w INT, v AS w * 2", &[SUMS], "");
    assert!(refused(place, &from).contains(" is new and counts from here on; sum(v) is dropped"));

    // EXPLAIN says the same, of a statement.
    let explain = format!("EXPLAIN ALTER FROM 'one' INSERT INTO out0 {}", "SELECT k, SUM(v + 1) FROM t GROUP BY k");
    script(place, NARROW, &[SUMS], "");
    let sql = std::fs::read_to_string(place.join("job.sql")).expect("read");
    let sql = sql.replace("INSERT INTO out0 SELECT k, SUM(v) FROM t GROUP BY k", &explain);
    std::fs::write(place.join("explain.sql"), sql).expect("written");
    let told = done(place, &["run", "explain.sql"]);
    assert!(told.contains("sum(v + 1) is new and counts from here on; sum(v) is dropped (state is lost)"), "{told}");
}

#[test]
fn an_operator_that_would_take_back_rows_it_never_had_does_not_begin() {
    let directory = tempfile::tempdir().expect("directory");
    let place = directory.path();
    let counts = ("k INT, n BIGINT", "SELECT k, COUNT(*) FROM t GROUP BY k");
    with_savepoint(place, &[counts], &["+I,1,2", "+I,2,1"]);
    let of_counts =
        ("n BIGINT, m BIGINT", "SELECT n, COUNT(*) FROM (SELECT k, COUNT(*) AS n FROM t GROUP BY k) GROUP BY n");
    script(place, NARROW, &[counts, of_counts], "");
    let told = refused(place, &["run", "job.sql", "--quiet", "--from", "one", "--allow-dropped-state"]);
    assert!(told.contains("cannot go on from") && told.contains("take back rows that it never had"), "{told}");

    // A branch over a table that was not read before is whole.
    std::fs::write(place.join("u.csv"), "8\n9\n").expect("written");
    script(place, NARROW, &[counts, ("a INT, n BIGINT", "SELECT a, COUNT(*) FROM u GROUP BY a")], "");
    let sql = std::fs::read_to_string(place.join("job.sql")).expect("read");
    let u = format!(
        "CREATE TABLE u (a INT) WITH ('connector' = 'filesystem', 'path' = '{}/u.csv', 'format' = 'csv');\n",
        place.display()
    );
    std::fs::write(place.join("job.sql"), u + &sql).expect("written");
    let told = done(place, &["run", "job.sql", "--from", "one", "--dry-run"]);
    assert!(told.contains("new: Source u") && told.contains("new: Sink out1") && !told.contains("lost"), "{told}");
    run_until(place, "job", &["--from", "one"], 4, &["-U,1,2", "+U,1,3", "+I,3,1"], &[]);
    assert_eq!(lines(place, "out1"), once(&["+I,8,1", "+I,9,1"]));
}

#[test]
fn checkpoints_of_a_changed_query_are_treated_alike() {
    let directory = tempfile::tempdir().expect("directory");
    let place = directory.path();
    let settings = "SET 'state.checkpoints.dir' = 'checkpoints'; SET 'execution.checkpointing.interval' = '100 ms';";
    std::fs::create_dir(place.join("in")).expect("made");
    std::fs::write(place.join("in/1.csv"), "1,10\n1,20\n2,5\n").expect("written");
    script(place, NARROW, &[SUMS], settings);
    run_until(place, "job.out0", &[], 3, &["+I,1,30", "+I,2,5"], &[]);
    std::fs::remove_dir_all(place.join("out0")).expect("removed");
    std::fs::write(place.join("in/2.csv"), "1,30\n3,7\n").expect("written");

    script(place, NARROW, &[("k INT, n BIGINT, s BIGINT", "SELECT k, COUNT(*), SUM(v) FROM t GROUP BY k")], settings);
    run_until(place, "job.out0", &[], 2, &["-U,1,2,30", "+U,1,3,60", "+I,3,1,7"], &[]);
    std::fs::remove_dir_all(place.join("out0")).expect("removed");
    std::fs::write(place.join("in/3.csv"), "1,100\n").expect("written");

    script(place, NARROW, &[("k INT, m INT", "SELECT k, MAX(v) FROM t GROUP BY k")], settings);
    let told = refused(place, &["run", "job.sql", "--quiet"]);
    assert!(told.contains("max(v) is new and counts from here on; ") && told.contains("sum(v) is dropped"), "{told}");
    run_until(place, "job.out0", &["--allow-dropped-state"], 1, &["-U,1,", "+U,1,100"], &[]);
    // Its own checkpoint is there now.
    assert!(done(place, &["run", "job.sql", "--dry-run"]).contains("kept: GroupAggregate"));
}

/// Open windows go on with wider keys and values, and with aggregates that follow from what was kept; what they keep can be read.
#[test]
fn open_windows_are_migrated() {
    let directory = tempfile::tempdir().expect("directory");
    let place = directory.path();
    let columns =
        |k: &str| format!("k {k}, v {k}, who STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' MINUTE");
    let by = "GROUP BY k, window_start, window_end";
    let tumble = "FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE))";
    let hop = "FROM TABLE(HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE, INTERVAL '2' MINUTES))";
    std::fs::create_dir(place.join("in")).expect("made");
    let rows = "1,10,x,2024-01-01 00:00:10\n1,20,x,2024-01-01 00:00:20\n2,5,y,2024-01-01 00:00:30\n";
    std::fs::write(place.join("in/1.csv"), rows).expect("written");
    let (sums, whos) =
        (format!("SELECT k, SUM(v) {tumble} {by}"), format!("SELECT k, COUNT(DISTINCT who), MAX(v) {hop} {by}"));
    script(place, &columns("INT"), &[("k INT, s BIGINT", &sums), ("k INT, n BIGINT, m INT", &whos)], "");
    run_until(place, "job", &["--shards", "1"], 3, &[], &["--savepoint", "one"]);

    let shown = done(place, &["state", "show", "one"]);
    let name =
        shown.split("WindowAggregate #").nth(1).and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
    let (at, number) = (place.display(), name.expect("a number"));
    let sql = format!(
        "CREATE TABLE o (slice TIMESTAMP(3), k INT, s BIGINT) WITH ('connector' = 'filesystem', 'path' = '{at}/o', 'format' = 'csv');\n\
         INSERT INTO o SELECT slice, k, `sum(v)` FROM STATE('{at}/one', 'WindowAggregate #{number}');"
    );
    std::fs::write(place.join("state.sql"), sql).expect("written");
    done(place, &["run", "state.sql", "--quiet"]);
    assert_eq!(lines(place, "o"), once(&["2024-01-01 00:00:00,1,30", "2024-01-01 00:00:00,2,5"]));

    std::fs::write(place.join("in/2.csv"), "1,30,z,2024-01-01 00:00:40\n3,7,x,2024-01-01 00:09:00\n").expect("written");
    let sums = format!("SELECT k, COUNT(*), AVG(v), SUM(v) {tumble} {by}");
    let queries = [("k BIGINT, n BIGINT, a BIGINT, s BIGINT", sums.as_str()), ("k BIGINT, n BIGINT, m BIGINT", &whos)];
    script(place, &columns("BIGINT"), &queries, "");
    let told = done(place, &["run", "job.sql", "--from", "one", "--dry-run"]);
    assert_eq!(told.matches("migrated: WindowAggregate").count(), 2, "{told}");
    assert!(told.contains("k from Int32 to Int64") && told.contains("avg(v) is new, from sum(v)"), "{told}");
    assert!(!told.contains("lost") && !told.contains("rebuilt"), "{told}");
    run_until(place, "job", &["--from", "one", "--shards", "4"], 2, &["+I,1,3,20,60", "+I,2,1,5,5"], &[]);
    // Both windows over the first minute.
    let hopping: BTreeMap<String, usize> = [("+I,1,2,30".to_owned(), 2), ("+I,2,1,5".to_owned(), 2)].into();
    assert_eq!(lines(place, "out1"), hopping);
}

/// What joins, Top-N and OVER keep of rows goes on with wider columns, on more shards; a column that was not kept cannot be had.
#[test]
fn kept_rows_are_migrated() {
    let directory = tempfile::tempdir().expect("directory");
    let place = directory.path();
    let pairs = "SELECT a.k, a.v, b.v FROM t AS a JOIN t AS b ON a.k = b.k AND a.v < b.v";
    let first = "SELECT k, v, d FROM (SELECT k, v, d, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC) AS n FROM t) WHERE n <= 1";
    let running = "SELECT k, v, SUM(v) OVER (PARTITION BY k ORDER BY v) FROM t";
    let queries = |k: &str| {
        [format!("k {k}, v {k}, w {k}"), format!("k {k}, v {k}, d DECIMAL(12, 4)"), format!("k {k}, v {k}, s BIGINT")]
    };
    let query = |columns: &[String; 3]| -> Vec<(String, &str)> {
        columns.iter().cloned().zip([pairs, first, running]).collect()
    };
    let write = |k: &str, d: &str| {
        let queries = query(&queries(k));
        let queries: Vec<(&str, &str)> = queries.iter().map(|(columns, query)| (columns.as_str(), *query)).collect();
        script(place, &format!("k {k}, v {k}, d {d}"), &queries, "");
    };
    std::fs::create_dir(place.join("in")).expect("made");
    std::fs::write(place.join("in/1.csv"), "1,10,1.5\n1,20,2.5\n2,5,0\n").expect("written");
    write("INT", "DECIMAL(6, 2)");
    run_until(place, "job", &["--shards", "1"], 3, &["+I,1,10,20"], &["--savepoint", "one"]);
    (0..3).for_each(|n| std::fs::remove_dir_all(place.join(format!("out{n}"))).expect("removed"));
    std::fs::write(place.join("in/2.csv"), "1,15,0.25\n2,6,7\n").expect("written");

    write("BIGINT", "DECIMAL(12, 4)");
    let told = done(place, &["run", "job.sql", "--from", "one", "--dry-run"]);
    for operator in ["Join", "TopN", "Over"] {
        let line = told.lines().find(|line| line.contains(&format!(" {operator} #"))).expect("a line");
        assert!(line.starts_with("migrated: ") && line.contains("v from Int32 to Int64"), "{line}");
    }
    assert!(!told.contains("lost"), "{told}");
    let wanted = ["+I,1,10,15", "+I,1,15,20", "+I,2,5,6"];
    run_until(place, "job", &["--from", "one", "--shards", "4"], 2, &wanted, &[]);
    assert_eq!(lines(place, "out1"), once(&["-U,2,5,0.0000", "+U,2,6,7.0000"]));
    assert_eq!(lines(place, "out2"), once(&["+I,1,15,25", "-D,1,20,30", "+I,1,20,45", "+I,2,6,11"]));

    // Narrower ones do not fit, and what was not kept is not there.
    write("SMALLINT", "DECIMAL(6, 2)");
    let told = done(place, &["run", "job.sql", "--from", "one", "--dry-run"]);
    assert!(told.contains("rebuilt: Join") && told.contains("k was Int32 and is Int16"), "{told}");
    script(
        place,
        "k INT, v INT, d DECIMAL(6, 2)",
        &[("k INT, v INT, w INT, d DECIMAL(6, 2)", &pairs.replace("b.v FROM", "b.v, b.d FROM"))],
        "",
    );
    let told = done(place, &["run", "job.sql", "--from", "one", "--dry-run"]);
    assert!(told.contains("rebuilt: Join") && told.contains("it keeps also d"), "{told}");
}
