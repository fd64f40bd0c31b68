//! Sinks and sources over a directory: what is there again when the process is killed.

#![expect(clippy::unwrap_used, reason = "a test")]

use arrow::util::display::array_value_to_string;
use eddyline_engine::statement::Show;
use eddyline_engine::{
    DataSettings, Engine, EngineConfig, Instance, JobEvent, JobStatus, Outcome, ResultTable, ScriptError, Session,
    SqlError, parse,
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
        self.engine.open(settings).unwrap_or_else(|e| panic!("{}", e.message))
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
fn views_of_final_rows_are_computed_anew() {
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
        assert_eq!(sinks(&mut session), ["again RUNNING", "doubled RUNNING"]);
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
    assert_eq!(sinks(&mut session), ["divided FAILED"]);
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
