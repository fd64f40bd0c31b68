//! Sinks and sources over a directory: what is there again when the process is killed.

#![expect(clippy::unwrap_used, reason = "a test")]

use arrow::util::display::array_value_to_string;
use eddyline_engine::statement::Show;
use eddyline_engine::{
    DataSettings, Engine, EngineConfig, Instance, JobEvent, JobReport, JobStatus, Outcome, ResultTable, ScriptError,
    Session, SqlError, parse,
};
use std::fs;
use std::time::Duration;
use tempfile::TempDir;

struct Bench {
    home: TempDir,
    engine: Engine,
    _tokio: tokio::runtime::Runtime,
}

impl Bench {
    fn new() -> Self {
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let engine = Engine::new(EngineConfig { shards: 1, ..EngineConfig::new(tokio.handle().clone()) });
        Self { home: tempfile::tempdir().unwrap(), engine, _tokio: tokio }
    }

    fn place(&self, name: &str) -> String {
        self.home.path().join(name).to_string_lossy().into_owned()
    }

    fn open(&self, with_jobs: bool) -> Instance {
        let settings = DataSettings { with_jobs, ..DataSettings::new(self.home.path().join("data")) };
        let until = std::time::Instant::now() + Duration::from_secs(60);
        loop {
            match self.engine.open(settings.clone()) {
                // What is dropped ends its threads, which takes a moment.
                Err(error) if error.sqlstate == "55006" && std::time::Instant::now() < until => {
                    std::thread::yield_now();
                }
                opened => return opened.unwrap_or_else(|e| panic!("{}", e.message)),
            }
        }
    }

    /// The lines of all files that are visible in a directory.
    fn lines(&self, directory: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for entry in fs::read_dir(self.place(directory)).unwrap().map(Result::unwrap) {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_file() && !name.starts_with(['.', '_']) {
                lines.extend(fs::read_to_string(entry.path()).unwrap().lines().map(str::to_owned));
            }
        }
        lines.sort();
        lines
    }
}

fn run(session: &mut Session, sql: &str) -> Result<(), SqlError> {
    parse(sql)?.iter().try_for_each(|s| session.execute(s).map(drop).map_err(ScriptError::into_error))
}

/// The numbers of the one row that a query answers.
fn numbers(session: &mut Session, sql: &str) -> Vec<i64> {
    let statement = parse(sql).unwrap().pop().unwrap();
    let Outcome::Job(job) = session.execute(&statement).map_err(ScriptError::into_error).unwrap() else {
        panic!("no SELECT")
    };
    let mut result = ResultTable::new(job.facts().result.as_ref().expect("a SELECT"));
    loop {
        match job.next_event(Duration::from_secs(30)).expect("the job goes on") {
            JobEvent::Changes { changes, .. } => result.apply(&changes).unwrap(),
            JobEvent::Ended(ended) => break ended.unwrap(),
            JobEvent::Interrupted => unreachable!("nobody interrupts"),
        }
    }
    let rows = result.batches().unwrap();
    let row = rows.iter().find(|batch| batch.num_rows() > 0).expect("a row");
    row.columns().iter().map(|c| array_value_to_string(c, 0).unwrap().parse().unwrap()).collect()
}

fn sinks(session: &mut Session) -> Vec<String> {
    let listing = session.show(&Show::Sinks).unwrap();
    let cell = |column: usize, row: usize| array_value_to_string(listing.rows.column(column), row).unwrap();
    let row = |row: usize| {
        [cell(0, row), cell(3, row), cell(4, row)].into_iter().filter(|c| !c.is_empty()).collect::<Vec<_>>()
    };
    (0..listing.rows.num_rows()).map(|at| row(at).join(" ")).collect()
}

#[test]
fn what_a_sink_has_written_is_not_written_again() {
    let bench = Bench::new();
    fs::write(bench.place("in.csv"), "1\n2\n").unwrap();
    let instance = bench.open(true);
    let made = format!(
        "CREATE SOURCE numbers (n INT) WITH (connector = 'filesystem', path = '{}', format = 'csv');
         CREATE MATERIALIZED VIEW larger AS SELECT n + 1 AS n FROM numbers;
         CREATE SINK copied FROM larger WITH (connector = 'filesystem', path = '{}') FORMAT PLAIN ENCODE CSV",
        bench.place("in.csv"),
        bench.place("out"),
    );
    run(&mut instance.session(), &made).unwrap();
    assert_eq!(bench.lines("out"), ["2", "3"]);
    // Nothing is written when the process ends.
    drop(instance);
    let instance = bench.open(true);
    let mut session = instance.session();
    assert_eq!(sinks(&mut session), ["copied 1 FINISHED"]);
    assert_eq!(session.definition(&"numbers".into()).unwrap().lines().next(), Some("CREATE SOURCE `numbers` ("));
    assert_eq!(bench.lines("out"), ["2", "3"]);
    assert_eq!(run(&mut session, "DROP SOURCE numbers").unwrap_err().sqlstate, "2BP01");
    run(&mut session, "DROP SINK copied").unwrap();
    drop((session, instance));
    assert_eq!(sinks(&mut bench.open(true).session()), Vec::<String>::new());
}

#[test]
fn a_sink_over_endless_input_goes_on_under_its_number_until_it_is_dropped() {
    let bench = Bench::new();
    fs::create_dir(bench.place("in")).unwrap();
    let instance = bench.open(true);
    let made = format!(
        "CREATE SOURCE numbers (n INT)
         WITH (connector = 'filesystem', path = '{}', format = 'csv', source.monitor-interval = '1 s');
         CREATE SINK copied AS SELECT n FROM numbers WITH (connector = 'filesystem', path = '{}', format = 'csv');
         ALTER SOURCE numbers RENAME TO digits",
        bench.place("in"),
        bench.place("out"),
    );
    run(&mut instance.session(), &made).unwrap();
    assert_eq!(sinks(&mut instance.session()), ["copied 1 RUNNING"]);
    drop(instance);
    let instance = bench.open(true);
    let report = instance.job_report("1").unwrap();
    assert_eq!((report.facts.name.as_str(), report.status), ("copied", JobStatus::Running));
    // What it reads has another name by now.
    assert!(instance.session().definition(&"copied".into()).unwrap().contains("FROM `digits`"));
    run(&mut instance.session(), "DROP SINK copied").unwrap();
    assert!(instance.job_reports().is_empty());
    drop(instance);
    assert!(bench.open(true).job_reports().is_empty());
}

#[test]
fn a_sink_that_cannot_begin_leaves_nothing_behind() {
    let bench = Bench::new();
    fs::write(bench.place("in.csv"), "1\nx\n").unwrap();
    let instance = bench.open(true);
    let made = format!(
        "CREATE SOURCE numbers (n INT) WITH (connector = 'filesystem', path = '{}', format = 'csv');
         CREATE SINK copied AS SELECT n FROM numbers WITH (connector = 'blackhole')",
        bench.place("in.csv"),
    );
    // The second line is no number.
    assert_eq!(run(&mut instance.session(), &made).unwrap_err().sqlstate, "22P02");
    assert_eq!(sinks(&mut instance.session()), Vec::<String>::new());
    assert!(instance.job_reports().is_empty());
    drop(instance);
    // Without jobs there is nobody to write it.
    let instance = bench.open(false);
    let sql = "CREATE SINK copied AS SELECT n FROM numbers WITH (connector = 'blackhole')";
    assert_eq!(run(&mut instance.session(), sql).unwrap_err().sqlstate, SqlError::UNSUPPORTED);
}

#[test]
fn views_of_final_rows_are_there_again() {
    let bench = Bench::new();
    let made = "CREATE TABLE t (k INT PRIMARY KEY, ts TIMESTAMP(3), WATERMARK FOR ts AS ts);
         INSERT INTO t VALUES (3, TIMESTAMP '2024-01-01 00:00:01'), (1, TIMESTAMP '2024-01-01 00:00:12'), (2, TIMESTAMP '2024-01-01 00:00:21');
         CREATE MATERIALIZED VIEW w AS SELECT window_end, COUNT(*) AS n
         FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end
         EMIT ON WINDOW CLOSE";
    run(&mut bench.open(false).session(), made).unwrap();
    let instance = bench.open(false);
    let mut session = instance.session();
    assert!(session.definition(&"w".into()).unwrap().ends_with("EMIT ON WINDOW CLOSE"));
    // Two windows are closed, whatever the order of keys: the third is not.
    assert_eq!(numbers(&mut session, "SELECT COUNT(*), SUM(n) FROM w"), [2, 2]);
}

#[test]
fn a_table_that_sinks_write_is_of_one_moment_with_what_they_read() {
    let bench = Bench::new();
    let made = "CREATE TABLE t (k INT PRIMARY KEY, v INT);
         CREATE TABLE u (k INT PRIMARY KEY, twice INT);
         CREATE TABLE w (k INT PRIMARY KEY, s INT);
         INSERT INTO t VALUES (1, 10), (2, 20);
         CREATE SINK doubled INTO u AS SELECT k, v * 2 FROM t;
         CREATE SINK again INTO w AS SELECT k, twice FROM u;
         INSERT INTO t VALUES (3, 30); DELETE FROM t WHERE k = 1; DELETE FROM u WHERE k = 2";
    let rows = "SELECT (SELECT COUNT(*) FROM t), (SELECT SUM(twice) FROM u), (SELECT SUM(s) FROM w)";
    run(&mut bench.open(false).session(), made).unwrap();
    for _ in 0..2 {
        let instance = bench.open(false);
        let mut session = instance.session();
        // What a statement has deleted of the table does not come back, and nothing is written twice.
        assert_eq!(numbers(&mut session, rows), [2, 60, 60]);
        assert_eq!(sinks(&mut session), ["again 2 RUNNING", "doubled 1 RUNNING"]);
    }
    let instance = bench.open(false);
    let mut session = instance.session();
    run(&mut session, "UPDATE t SET v = 7 WHERE k = 2; ALTER TABLE u RENAME TO x; INSERT INTO t VALUES (4, 1)")
        .unwrap();
    assert_eq!(
        numbers(&mut session, "SELECT (SELECT COUNT(*) FROM t), (SELECT SUM(twice) FROM x), (SELECT SUM(s) FROM w)"),
        [3, 76, 76]
    );
    drop((session, instance));
    let instance = bench.open(false);
    run(&mut instance.session(), "INSERT INTO t VALUES (5, 1)").unwrap();
    assert_eq!(numbers(&mut instance.session(), "SELECT COUNT(*), SUM(twice) FROM x"), [4, 78]);
}

/// Two sinks into one table change it twice by one statement, which is one record of the log.
#[test]
fn a_table_that_several_sinks_write_has_all_of_a_statement() {
    let bench = Bench::new();
    let made =
        "CREATE TABLE t (k INT PRIMARY KEY); CREATE TABLE written (by_sink INT, k INT, PRIMARY KEY (by_sink, k));
         CREATE SINK first INTO written AS SELECT 1, k FROM t; CREATE SINK second INTO written AS SELECT 2, k FROM t;
         INSERT INTO t VALUES (1), (2), (3); DELETE FROM t WHERE k = 2";
    run(&mut bench.open(false).session(), made).unwrap();
    let rows = "SELECT (SELECT SUM(k) FROM written WHERE by_sink = 1), (SELECT SUM(k) FROM written WHERE by_sink = 2)";
    for added in [0, 10] {
        assert_eq!(numbers(&mut bench.open(false).session(), rows), [4 + added, 4 + added]);
        run(&mut bench.open(false).session(), "INSERT INTO t VALUES (10) ON CONFLICT DO NOTHING").unwrap();
    }
}

#[test]
fn a_sink_that_has_failed_stays_so() {
    let bench = Bench::new();
    let made = "CREATE TABLE t (k INT PRIMARY KEY, v INT); CREATE TABLE u (k INT PRIMARY KEY, q INT);
         CREATE SINK divided INTO u AS SELECT k, 100 / v FROM t;
         INSERT INTO t VALUES (1, 10); INSERT INTO t VALUES (2, 0); DELETE FROM t WHERE k = 2; INSERT INTO t VALUES (3, 5)";
    run(&mut bench.open(false).session(), made).unwrap();
    let instance = bench.open(false);
    let mut session = instance.session();
    // It has missed a row: to go on from the rows that are there now would be wrong.
    assert_eq!(sinks(&mut session), ["divided 1 FAILED"]);
    assert_eq!(numbers(&mut session, "SELECT COUNT(*), SUM(q) FROM u"), [1, 10]);
    run(&mut session, "DROP SINK divided; CREATE SINK divided INTO u AS SELECT k, 100 / v FROM t").unwrap();
    assert_eq!(numbers(&mut session, "SELECT COUNT(*), SUM(q) FROM u"), [2, 30]);
}

#[test]
fn a_view_or_sink_that_is_cancelled_leaves_nothing_behind() {
    let bench = Bench::new();
    fs::write(bench.place("in.csv"), "1\n").unwrap();
    let instance = bench.open(false);
    let mut session = instance.session();
    let made = format!(
        "CREATE TABLE t (k INT PRIMARY KEY); INSERT INTO t VALUES (1); CREATE TABLE u (k INT PRIMARY KEY);
         CREATE SOURCE s (k INT) WITH (connector = 'filesystem', path = '{}', format = 'csv')",
        bench.place("in.csv"),
    );
    run(&mut session, &made).unwrap();
    let all = [
        "CREATE MATERIALIZED VIEW m AS SELECT COUNT(*) AS n FROM t",
        "CREATE MATERIALIZED VIEW n AS SELECT COUNT(*) AS n FROM s",
        "CREATE SINK k INTO u AS SELECT k FROM t",
    ];
    session.canceller().cancel();
    for sql in all {
        assert_eq!(run(&mut session, sql).unwrap_err().sqlstate, "57014", "{sql}");
    }
    session.canceller().reset();
    assert_eq!(numbers(&mut session, "SELECT COUNT(*) FROM u"), [0]);
    run(&mut session, "INSERT INTO t VALUES (2)").unwrap();
    all.iter().for_each(|sql| run(&mut session, sql).unwrap());
    assert_eq!(
        numbers(&mut session, "SELECT (SELECT MAX(n) FROM m), (SELECT MAX(n) FROM n), (SELECT COUNT(*) FROM u)"),
        [2, 1, 2]
    );
}

/// What a place has by the changes that were written there, in debezium-json.
fn told(bench: &Bench, directory: &str) -> Vec<String> {
    let mut rows: std::collections::BTreeMap<String, i64> = std::collections::BTreeMap::new();
    if !std::path::Path::new(&bench.place(directory)).exists() {
        return Vec::new();
    }
    for line in bench.lines(directory) {
        let change: serde_json::Value = serde_json::from_str(&line).unwrap();
        for (side, weight) in [("before", -1), ("after", 1)] {
            if !change[side].is_null() {
                *rows.entry(change[side].to_string()).or_default() += weight;
            }
        }
    }
    rows.retain(|_, copies| *copies != 0);
    rows.into_iter().map(|(row, copies)| if copies == 1 { row } else { format!("{copies} x {row}") }).collect()
}

/// Waits until that is so.
fn await_told(bench: &Bench, directory: &str, expected: &[&str]) {
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while told(bench, directory) != expected {
        assert!(std::time::Instant::now() < until, "{:?} is not {expected:?}", told(bench, directory));
        std::thread::yield_now();
    }
}

/// The jobs that are listed: numbers, names, states, rows that were read and written.
fn jobs(instance: &Instance) -> Vec<String> {
    let rows = |report: &JobReport| report.metrics.as_ref().map_or((0, 0), |m| (m.rows_in, m.rows_out));
    let line = |report: &JobReport| {
        let (rows_in, rows_out) = rows(report);
        format!("{} {} {} {rows_in} {rows_out}", report.id, report.facts.name, report.status.name())
    };
    instance.job_reports().iter().map(line).collect()
}

#[test]
fn sinks_into_tables_are_listed_with_jobs() {
    let bench = Bench::new();
    let instance = bench.open(true);
    let mut session = instance.session();
    let made = "CREATE TABLE t (id INT PRIMARY KEY, n INT); INSERT INTO t VALUES (1, 5), (2, 0);
        CREATE TABLE halves (id INT PRIMARY KEY, n INT); CREATE TABLE quotients (id INT PRIMARY KEY, n INT);
        CREATE SINK h INTO halves AS SELECT id, n / 2 FROM t WHERE n > 0;
        CREATE SINK q INTO quotients AS SELECT id, 10 / n FROM t WHERE id <> 2";
    run(&mut session, made).unwrap();
    assert_eq!(jobs(&instance), ["1 h RUNNING 2 1", "2 q RUNNING 2 1"]);
    run(&mut session, "INSERT INTO t VALUES (3, 8), (4, 0)").unwrap();
    // A number divided by zero is no number: the second one has failed.
    assert_eq!(jobs(&instance)[0], "1 h RUNNING 4 2");
    let failed = instance.job_report("q").unwrap();
    assert_eq!((failed.id, failed.status), (2, JobStatus::Failed));
    assert!(failed.failure.unwrap().message.contains("division by zero"));
    assert_eq!(run(&mut session, "STOP JOB 'h'").unwrap_err().sqlstate, "0A000");
    run(&mut session, "EXPLAIN JOB 'h'").unwrap();
    // Numbers stay, and no other job gets them.
    drop((session, instance));
    let instance = bench.open(true);
    let mut session = instance.session();
    assert_eq!(jobs(&instance), ["1 h RUNNING 4 2", "2 q FAILED 0 0"]);
    run(&mut session, "CREATE SINK out FROM t WITH (connector = 'blackhole'); DROP SINK q").unwrap();
    assert_eq!(sinks(&mut session), ["h 1 RUNNING", "out 3 RUNNING"]);
    run(&mut session, "DROP TABLE halves CASCADE; DROP SINK out").unwrap();
    assert_eq!(jobs(&instance), Vec::<String>::new());
}

/// Files appear with checkpoints.
const OFTEN: &str = "SET 'execution.checkpointing.interval' = '50 ms';";

#[test]
fn what_statements_change_goes_to_a_connector() {
    let bench = Bench::new();
    let instance = bench.open(true);
    let mut session = instance.session();
    let made = format!(
        "{OFTEN} CREATE TABLE sales (id INT PRIMARY KEY, item STRING, amount INT);
         CREATE TABLE items (item STRING PRIMARY KEY, place STRING);
         INSERT INTO sales VALUES (1, 'tea', 5), (2, 'salt', 3); INSERT INTO items VALUES ('tea', 'north'), ('salt', 'south');
         CREATE MATERIALIZED VIEW sums AS SELECT item, SUM(amount) AS amount FROM sales GROUP BY item;
         CREATE SINK all_sales FROM sales WITH (connector = 'filesystem', path = '{}') FORMAT DEBEZIUM ENCODE JSON;
         CREATE SINK places AS SELECT items.place, sums.amount FROM sums JOIN items ON items.item = sums.item
         WITH (connector = 'filesystem', path = '{}') FORMAT DEBEZIUM ENCODE JSON",
        bench.place("sales"),
        bench.place("places"),
    );
    run(&mut session, &made).unwrap();
    await_told(&bench, "sales", &[r#"{"amount":3,"id":2,"item":"salt"}"#, r#"{"amount":5,"id":1,"item":"tea"}"#]);
    await_told(&bench, "places", &[r#"{"amount":3,"place":"south"}"#, r#"{"amount":5,"place":"north"}"#]);
    run(&mut session, "UPDATE sales SET amount = 7 WHERE id = 1; DELETE FROM sales WHERE id = 2").unwrap();
    await_told(&bench, "sales", &[r#"{"amount":7,"id":1,"item":"tea"}"#]);
    await_told(&bench, "places", &[r#"{"amount":7,"place":"north"}"#]);
    // Names and columns change, and the sinks go on.
    run(
        &mut session,
        "ALTER TABLE sales RENAME TO sold; ALTER TABLE items ADD COLUMN note STRING; ALTER SINK places RENAME TO towns;
         INSERT INTO sold VALUES (3, 'tea', 1)",
    )
    .unwrap();
    await_told(&bench, "places", &[r#"{"amount":8,"place":"north"}"#]);
    assert_eq!(sinks(&mut session), ["all_sales 1 RUNNING", "towns 2 RUNNING"]);
    // Also after a crash.
    drop((session, instance));
    let instance = bench.open(true);
    let mut session = instance.session();
    run(&mut session, "INSERT INTO sold VALUES (4, 'tea', 1)").unwrap();
    assert_eq!(instance.job_report("2").unwrap().failure, None);
    await_told(&bench, "places", &[r#"{"amount":9,"place":"north"}"#]);
    assert_eq!(sinks(&mut session), ["all_sales 1 RUNNING", "towns 2 RUNNING"]);
    assert_eq!(run(&mut session, "DROP TABLE sold").unwrap_err().sqlstate, "2BP01");
    run(&mut session, "DROP SINK all_sales; DROP SINK towns; DROP TABLE sold CASCADE").unwrap();
    assert!(instance.job_reports().is_empty());
}

#[test]
fn each_change_of_a_table_is_told_once_over_stops_and_crashes() {
    let bench = Bench::new();
    let instance = bench.open(true);
    let made = format!(
        "{OFTEN} CREATE TABLE t (id INT PRIMARY KEY, n INT); INSERT INTO t VALUES (1, 10), (2, 20), (3, 30);
         CREATE SINK k FROM t WITH (connector = 'filesystem', path = '{}') FORMAT DEBEZIUM ENCODE JSON",
        bench.place("out"),
    );
    run(&mut instance.session(), &made).unwrap();
    let row = |id: i32, n: i32| format!(r#"{{"id":{id},"n":{n}}}"#);
    await_told(&bench, "out", &[&row(1, 10), &row(2, 20), &row(3, 30)]);
    // Nobody writes any more when these come and go.
    run(
        &mut instance.session(),
        "STOP JOB '1'; DELETE FROM t WHERE id = 1; UPDATE t SET n = 21 WHERE id = 2; INSERT INTO t VALUES (4, 40)",
    )
    .unwrap();
    assert_eq!(bench.lines("out").len(), 3);
    drop(instance);
    let instance = bench.open(true);
    assert_eq!(sinks(&mut instance.session()), ["k 1 STOPPED"]);
    run(&mut instance.session(), "RESUME JOB '1'").unwrap();
    await_told(&bench, "out", &[&row(2, 21), &row(3, 30), &row(4, 40)]);
    let lines = bench.lines("out");
    assert_eq!(lines.iter().filter(|line| line.contains(r#""id":3"#)).count(), 1, "{lines:?}");
    // It goes on by itself. What is told in files that had not appeared is told again, and appears once.
    for id in 5..15 {
        run(&mut instance.session(), &format!("INSERT INTO t VALUES ({id}, {id})")).unwrap();
    }
    drop(instance);
    let instance = bench.open(true);
    run(&mut instance.session(), "DELETE FROM t WHERE id IN (3, 4)").unwrap();
    let mut expected: Vec<String> = (5..15).map(|id| row(id, id)).chain([row(2, 21)]).collect();
    expected.sort();
    await_told(&bench, "out", &expected.iter().map(String::as_str).collect::<Vec<_>>());
    let lines = bench.lines("out");
    for id in 5..15 {
        assert_eq!(lines.iter().filter(|line| line.contains(&row(id, id))).count(), 1, "{lines:?}");
    }
}

#[test]
fn without_a_data_directory_all_rows_come_again() {
    let bench = Bench::new();
    let instance = bench.engine.instance();
    let mut session = instance.session();
    let made = format!(
        "CREATE TABLE t (n INT); INSERT INTO t VALUES (1), (1);
         CREATE SINK k FROM t WITH (connector = 'filesystem', path = '{}') FORMAT DEBEZIUM ENCODE JSON",
        bench.place("out"),
    );
    let await_rows = |rows: u64| {
        let until = std::time::Instant::now() + Duration::from_secs(60);
        while instance.job_report("k").unwrap().metrics.unwrap().rows_out < rows {
            assert!(std::time::Instant::now() < until, "less than {rows} rows are written");
            std::thread::yield_now();
        }
    };
    run(&mut session, &made).unwrap();
    await_rows(2);
    run(&mut session, "STOP JOB 'k'").unwrap();
    await_told(&bench, "out", &[r#"2 x {"n":1}"#]);
    run(&mut session, "INSERT INTO t VALUES (2); RESUME JOB 'k'").unwrap();
    await_rows(3);
    run(&mut session, "STOP JOB 'k'").unwrap();
    await_told(&bench, "out", &[r#"4 x {"n":1}"#, r#"{"n":2}"#]);
}

#[test]
fn a_sink_from_a_view_that_fails_has_failed() {
    let bench = Bench::new();
    let instance = bench.open(true);
    let mut session = instance.session();
    let made = format!(
        "{OFTEN} CREATE TABLE t (id INT PRIMARY KEY, n INT); INSERT INTO t VALUES (1, 5);
         CREATE SINK k AS SELECT id, 10 / n AS q FROM t WITH (connector = 'filesystem', path = '{}') FORMAT DEBEZIUM ENCODE JSON",
        bench.place("out"),
    );
    run(&mut session, &made).unwrap();
    await_told(&bench, "out", &[r#"{"id":1,"q":2}"#]);
    run(&mut session, "INSERT INTO t VALUES (2, 0)").unwrap();
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while sinks(&mut session) != ["k 1 FAILED"] {
        assert!(std::time::Instant::now() < until, "{:?}", sinks(&mut session));
        std::thread::yield_now();
    }
    let failure = instance.job_report("1").unwrap().failure.unwrap();
    assert!(failure.message.contains("division by zero"), "{}", failure.message);
    // Without that row it goes on.
    run(&mut session, "DELETE FROM t WHERE id = 2; RESUME JOB '1'; INSERT INTO t VALUES (3, 2)").unwrap();
    await_told(&bench, "out", &[r#"{"id":1,"q":2}"#, r#"{"id":3,"q":5}"#]);
}
