//! Instances whose names and rows are stored in a directory.

#![expect(clippy::unwrap_used, reason = "a test")]

use arrow::util::display::array_value_to_string;
use eddyline_engine::{
    DataSettings, Dialect, Engine, EngineConfig, Instance, JobEvent, Outcome, ResultTable, ScriptError, Session,
    SqlError, parse_in,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// A directory, and processes that have it one after the other.
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

    fn path(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn settings(&self) -> DataSettings {
        DataSettings::new(self.path())
    }

    fn open(&self) -> Instance {
        self.engine.open(self.settings()).unwrap_or_else(|e| panic!("{}", e.message))
    }

    fn refused(&self) -> SqlError {
        self.engine.open(self.settings()).err().expect("refused")
    }

    /// A process that does this and is killed.
    fn life(&self, sql: &str) -> Vec<String> {
        let instance = self.open();
        let rows = run(&mut instance.session(), sql).unwrap_or_else(|e| panic!("{}", e.message));
        // Nothing is written when it ends.
        instance.close().unwrap();
        rows
    }
}

/// Executes a script; the rows of its last SELECT, as texts, in order.
fn run(session: &mut Session, sql: &str) -> Result<Vec<String>, SqlError> {
    run_in(session, Dialect::Flink, sql)
}

fn run_in(session: &mut Session, dialect: Dialect, sql: &str) -> Result<Vec<String>, SqlError> {
    session.settings_mut().set("sql.dialect", dialect.name())?;
    let mut rows = Vec::new();
    for statement in parse_in(sql, dialect)? {
        let Outcome::Job(job) = session.execute(&statement).map_err(ScriptError::into_error)? else { continue };
        let mut result = ResultTable::new(job.facts().result.as_ref().expect("a SELECT"));
        loop {
            match job.next_event(Duration::from_secs(30)).expect("the job goes on") {
                JobEvent::Changes { changes, .. } => result.apply(&changes)?,
                JobEvent::Ended(ended) => break ended?,
                JobEvent::Interrupted => unreachable!("nobody interrupts"),
            }
        }
        rows.clear();
        for batch in result.batches()? {
            let cells = |row| batch.columns().iter().map(move |c| array_value_to_string(c, row).expect("a text"));
            rows.extend((0..batch.num_rows()).map(|row| cells(row).collect::<Vec<_>>().join("|")));
        }
        rows.sort();
    }
    Ok(rows)
}

#[test]
fn schemas_are_there_again() {
    let bench = Bench::new();
    bench.life(
        "CREATE TABLE t (k INT); INSERT INTO t VALUES (1);
         CREATE SCHEMA a; CREATE SCHEMA `b.c`; CREATE SCHEMA gone;
         CREATE TABLE a.t (k INT PRIMARY KEY); CREATE TABLE `b.c`.t (k INT); CREATE TABLE gone.t (k INT);
         INSERT INTO a.t VALUES (10), (20); INSERT INTO `b.c`.t VALUES (100);
         SET search_path = a, public;
         CREATE VIEW all_of_them AS SELECT k FROM t UNION ALL SELECT k FROM `b.c`.t;
         CREATE MATERIALIZED VIEW `b.c`.sums AS SELECT SUM(k) AS k FROM all_of_them;
         DROP SCHEMA gone CASCADE",
    );
    assert_eq!(bench.life("INSERT INTO a.t VALUES (30); SELECT * FROM `b.c`.sums"), ["160"]);
    assert_eq!(bench.life("ALTER SCHEMA `b.c` RENAME TO d; INSERT INTO d.t VALUES (1); SELECT * FROM d.sums"), ["161"]);
    let instance = bench.open();
    let mut session = instance.session();
    assert_eq!(session.catalog().schemas(), ["a", "d", "public"]);
    assert_eq!(run(&mut session, "SELECT * FROM t").unwrap(), ["1"]);
    assert_eq!(run(&mut session, "SELECT * FROM d.sums").unwrap(), ["161"]);
    assert_eq!(run(&mut session, "CREATE SCHEMA a").unwrap_err().sqlstate, "42P06");
    assert_eq!(run(&mut session, "SELECT * FROM gone.t").unwrap_err().sqlstate, "3F000");
    assert_eq!(run(&mut session, "DROP SCHEMA d").unwrap_err().sqlstate, "2BP01");
    run(&mut session, "DROP SCHEMA d CASCADE; DROP SCHEMA a CASCADE").unwrap();
    drop(session);
    instance.close().unwrap();
    drop(instance);
    assert_eq!(bench.life("SELECT * FROM t"), ["1"]);
}

#[test]
fn indexes_are_there_again() {
    let bench = Bench::new();
    bench.life(
        "CREATE TABLE t (k INT PRIMARY KEY, a STRING, b INT); CREATE INDEX t_a ON t (a, b DESC);
         INSERT INTO t VALUES (1, 'x', 5), (2, 'y', 6); CREATE INDEX gone ON t (b); DROP INDEX gone;
         CREATE MATERIALIZED VIEW m AS SELECT MOD(b, 2) AS odd, COUNT(*) AS n FROM t GROUP BY MOD(b, 2); CREATE INDEX m_n ON m (n);
         CREATE TABLE u (k INT); CREATE INDEX u_k ON u (k); DROP TABLE u;
         CREATE TEMPORARY TABLE passing (k INT); CREATE INDEX passing_k ON passing (k)",
    );
    assert_eq!(bench.life("INSERT INTO t VALUES (3, 'x', 7); SELECT k FROM t WHERE a = 'x' AND b > 1"), ["1", "3"]);
    bench.life("ALTER INDEX t_a RENAME TO t_c; ALTER TABLE t RENAME COLUMN a TO c; COMMENT ON INDEX t_c IS 'by c'");
    let instance = bench.open();
    let mut session = instance.session();
    let shown = |session: &mut Session, sql: &str| {
        let statement = parse_in(sql, Dialect::Flink).unwrap().remove(0);
        match session.execute(&statement).map_err(ScriptError::into_error).unwrap() {
            Outcome::Listing(listing) => listing.text_lines().map(str::to_owned).collect::<Vec<_>>(),
            _ => panic!("{sql}: no listing"),
        }
    };
    assert_eq!(shown(&mut session, "SHOW INDEXES"), ["m_n", "t_c"]);
    let made = "CREATE INDEX `t_c` ON `t` (`c`, `b` DESC) COMMENT 'by c'";
    assert_eq!(shown(&mut session, "SHOW CREATE INDEX t_c"), [made]);
    for (sql, index, rows) in [
        ("SELECT k FROM t WHERE c = 'x' AND b < 6", "READS: t through index t_c", ["1"]),
        ("SELECT odd FROM m WHERE n = 2", "READS: m through index m_n", ["1"]),
    ] {
        assert_eq!(shown(&mut session, &format!("EXPLAIN {sql}")).last().unwrap(), index);
        assert_eq!(run(&mut session, sql).unwrap(), rows);
    }
    drop(session);
    instance.close().unwrap();
}

#[test]
fn databases_are_there_again() {
    let bench = Bench::new();
    let statement = |instance: &Instance, sql: &str| run_in(&mut instance.session(), Dialect::Postgres, sql);
    let instance = bench.open();
    statement(
        &instance,
        "CREATE DATABASE one; CREATE DATABASE \"Two\"; CREATE TABLE t (k INT); INSERT INTO t VALUES (1)",
    )
    .unwrap();
    let one = instance.database_named("one").unwrap();
    statement(
        &one,
        "CREATE SCHEMA a; CREATE TABLE a.t (k INT); INSERT INTO a.t VALUES (2), (3); CREATE TABLE t (k TEXT)",
    )
    .unwrap();
    assert_eq!(statement(&one, "SELECT * FROM dev.public.t").unwrap_err().sqlstate, "0A000");
    assert_eq!(statement(&one, "SELECT COUNT(*) FROM one.a.t").unwrap(), ["2"]);
    assert_eq!(statement(&one, "CREATE DATABASE \"Two\"").unwrap_err().sqlstate, "42P04");
    assert_eq!(statement(&one, "DROP DATABASE one").unwrap_err().sqlstate, "55006");
    assert_eq!(statement(&one, "DROP DATABASE nowhere").unwrap_err().sqlstate, "3D000");
    let (_, connected) = instance.connect("Two").unwrap();
    assert_eq!(statement(&one, "DROP DATABASE \"Two\"").unwrap_err().sqlstate, "55006");
    drop(connected);
    statement(&one, "DROP DATABASE \"Two\"; CREATE DATABASE three").unwrap();
    assert_eq!(instance.connect("Two").err().unwrap().sqlstate, "3D000");
    instance.close().unwrap();
    drop((one, instance));
    // What a crash leaves of databases that were being made or dropped.
    for left in ["7.new", "8.gone"] {
        fs::create_dir_all(bench.path().join("databases").join(left)).unwrap();
    }
    let instance = bench.open();
    assert_eq!(instance.all_databases().iter().map(Instance::name).collect::<Vec<_>>(), ["dev", "one", "three"]);
    assert_eq!(statement(&instance, "SELECT * FROM t").unwrap(), ["1"]);
    let one = instance.database_named("one").unwrap();
    assert_eq!(statement(&one, "INSERT INTO a.t VALUES (4); SELECT * FROM a.t").unwrap(), ["2", "3", "4"]);
    statement(&instance, "DROP DATABASE one; DROP DATABASE IF EXISTS one").unwrap();
    instance.close().unwrap();
    drop((one, instance));
    assert_eq!(fs::read_dir(bench.path().join("databases")).unwrap().count(), 1);
    let instance = bench.open();
    assert_eq!(instance.all_databases().len(), 2);
    instance.close().unwrap();
}

#[test]
fn names_rows_and_views_are_there_again() {
    let bench = Bench::new();
    bench.life(
        "CREATE TABLE t (k INT PRIMARY KEY COMMENT 'the ''key''', v DECIMAL(10, 2), at TIMESTAMP(3), l ARRAY<STRING>, twice AS v * 2) COMMENT 'it''s';
         CREATE TABLE u (k INT NOT NULL, w STRING);
         INSERT INTO t VALUES (1, 1.50, TIMESTAMP '2024-01-02 03:04:05.678', ARRAY['a', NULL]), (2, NULL, NULL, NULL);
         INSERT INTO u VALUES (1, 'x'), (1, 'x'), (2, 'y');
         CREATE TABLE filled (k INT, s STRING NOT NULL DEFAULT 'it''s', n INT DEFAULT 1 + 1);
         CREATE VIEW both AS SELECT t.k, v, w FROM t JOIN u ON t.k = u.k;
         CREATE MATERIALIZED VIEW totals AS SELECT w, COUNT(*) AS n, SUM(v) AS v FROM both GROUP BY w;
         CREATE MATERIALIZED VIEW total AS SELECT SUM(n) AS n FROM totals;
         CREATE TEMPORARY TABLE gone (k INT); INSERT INTO gone VALUES (1)",
    );
    assert_eq!(bench.life("SELECT * FROM totals"), ["x|2|3.00", "y|1|"]);
    let instance = bench.open();
    let mut session = instance.session();
    assert_eq!(run(&mut session, "SELECT * FROM t").unwrap(), ["1|1.50|2024-01-02T03:04:05.678|[a, ]|3.00", "2||||"]);
    assert_eq!(run(&mut session, "SELECT * FROM total").unwrap(), ["3"]);
    assert!(session.definition(&"t".into()).unwrap().contains("COMMENT 'it''s'"));
    assert_eq!(run(&mut session, "SELECT * FROM gone").unwrap_err().sqlstate, SqlError::UNDEFINED_TABLE);
    run(&mut session, "INSERT INTO filled (k) VALUES (1)").unwrap();
    assert_eq!(run(&mut session, "SELECT * FROM filled").unwrap(), ["1|it's|2"]);
    // What holds of tables and views holds still.
    assert_eq!(run(&mut session, "INSERT INTO t (k) VALUES (1) ON CONFLICT DO ERROR").unwrap_err().sqlstate, "23505");
    assert_eq!(run(&mut session, "INSERT INTO u VALUES (NULL, 'z')").unwrap_err().sqlstate, "23502");
    assert_eq!(run(&mut session, "DROP TABLE u").unwrap_err().sqlstate, "2BP01");
    run(&mut session, "INSERT INTO t (k) VALUES (1) ON CONFLICT DO NOTHING; DELETE FROM u WHERE w = 'x'; INSERT INTO t (k, v) VALUES (2, 9)").unwrap();
    assert_eq!(run(&mut session, "SELECT * FROM totals").unwrap(), ["y|1|9.00"]);
    run(
        &mut session,
        "DROP MATERIALIZED VIEW total; CREATE OR REPLACE TABLE other (k INT); CREATE OR REPLACE TABLE other (s STRING)",
    )
    .unwrap();
    drop((session, instance));
    assert_eq!(bench.life("INSERT INTO other VALUES ('s'); SELECT * FROM totals"), ["y|1|9.00"]);
    assert_eq!(bench.life("SELECT * FROM other"), ["s"]);
    let instance = bench.open();
    assert_eq!(run(&mut instance.session(), "SELECT * FROM total").unwrap_err().sqlstate, SqlError::UNDEFINED_TABLE);
}

/// Views and sinks that were made of `*` have the columns that they had when their table got more, also after a restart.
#[test]
fn views_of_all_columns_are_there_again_when_there_are_more() {
    let bench = Bench::new();
    bench.life(
        "CREATE TABLE t (k INT PRIMARY KEY, a INT); CREATE TABLE u (k INT PRIMARY KEY, a INT);
         CREATE VIEW v AS SELECT * FROM t; CREATE MATERIALIZED VIEW m AS SELECT * FROM v;
         CREATE SINK s INTO u FROM t; INSERT INTO t VALUES (1, 10);
         ALTER TABLE t ADD COLUMN b STRING",
    );
    assert_eq!(bench.life("INSERT INTO t VALUES (2, 20, 'x'); SELECT * FROM m"), ["1|10", "2|20"]);
    assert_eq!(bench.life("SELECT * FROM u"), ["1|10", "2|20"]);
    assert_eq!(bench.life("SELECT * FROM t"), ["1|10|", "2|20|x"]);
}

/// What ALTER has made of names, columns and rows is there again, whether the log says so or a snapshot.
#[test]
fn what_was_altered_is_there_again() {
    for log_bytes in [1, 64 << 20] {
        let bench = Bench::new();
        let life = |sql: &str| {
            let instance = bench.engine.open(DataSettings { log_bytes, ..bench.settings() }).unwrap();
            let mut session = instance.session();
            run(&mut session, sql).unwrap_or_else(|e| panic!("{}", e.message));
            let queries = ["SELECT * FROM u", "SELECT * FROM total", "SELECT * FROM next"];
            let found = queries.map(|sql| run(&mut session, sql).unwrap());
            instance.close().unwrap();
            found
        };
        let altered = life(
            "CREATE TABLE t (k INT PRIMARY KEY, a INT, b STRING); INSERT INTO t VALUES (1, 10, 'x'), (2, 20, 'y');
             CREATE VIEW v AS SELECT k, a FROM t; CREATE MATERIALIZED VIEW sums AS SELECT SUM(a) AS a FROM v;
             CREATE MATERIALIZED VIEW next AS SELECT a + 1 AS a FROM sums;
             ALTER TABLE t ADD c STRING NOT NULL DEFAULT 'c'; INSERT INTO t VALUES (3, 30, 'z', 'd');
             ALTER TABLE t DROP COLUMN b; UPDATE t SET a = 11 WHERE k = 1; ALTER TABLE t RENAME TO u;
             DELETE FROM u WHERE k = 2; ALTER MATERIALIZED VIEW sums RENAME TO total",
        );
        assert_eq!(altered, [&["1|11|c", "3|30|d"][..], &["41"], &["42"]]);
        assert_eq!(life(""), altered);
        let swapped = life("CREATE TABLE w (k INT PRIMARY KEY); INSERT INTO w VALUES (9); ALTER TABLE u SWAP WITH w");
        assert_eq!(swapped, [&["9"][..], &["41"], &["42"]]);
        let changed = life(
            "INSERT INTO w VALUES (4, 1, 'e'); INSERT INTO u VALUES (8); ALTER TABLE w RENAME c TO text, ADD more INT",
        );
        assert_eq!(changed, [&["8", "9"][..], &["42"], &["43"]]);
        assert_eq!(life(""), changed);
        assert_eq!(life("ALTER TABLE u SWAP WITH w")[0], ["1|11|c|", "3|30|d|", "4|1|e|"]);
    }
}

#[test]
fn a_materialized_view_has_the_settings_it_was_made_with() {
    let bench = Bench::new();
    let view = "CREATE MATERIALIZED VIEW v AS SELECT CAST(CAST(at AS TIMESTAMP_LTZ(3)) AS STRING) AS s FROM t";
    let made = bench.life(&format!(
        "CREATE TABLE t (at TIMESTAMP(3)); INSERT INTO t VALUES (TIMESTAMP '2024-07-01 12:00:00');
         CREATE TABLE zone (n INT);
         SET 'table.local-time-zone' = 'Asia/Tokyo'; CREATE MATERIALIZED VIEW hours AS SELECT EXTRACT(HOUR FROM CAST(TO_TIMESTAMP_LTZ(0, 3) AS TIMESTAMP(3))) AS h FROM t;
         {view}; SELECT * FROM hours"
    ));
    assert_eq!(made, ["9"]);
    assert_eq!(bench.life("SELECT * FROM hours"), ["9"]);
}

#[test]
fn a_view_that_took_the_place_of_another_is_there_again() {
    let bench = Bench::new();
    bench.life(
        "CREATE TABLE t (k INT PRIMARY KEY, a INT);
         INSERT INTO t VALUES (1, 10), (2, 20);
         CREATE MATERIALIZED VIEW m AS SELECT COUNT(*) AS n FROM t;
         CREATE OR REPLACE MATERIALIZED VIEW m AS SELECT k, a * 2 AS a FROM t",
    );
    assert_eq!(bench.life("SELECT k, a FROM m ORDER BY k"), ["1|20", "2|40"]);
    assert_eq!(bench.life("INSERT INTO t VALUES (3, 1); SELECT COUNT(*), SUM(a) FROM m"), ["3|62"]);
    assert_eq!(bench.life("SHOW MATERIALIZED VIEWS; SELECT COUNT(*) FROM m"), ["3"]);
}

#[test]
fn views_over_one_that_was_replaced_are_there_again() {
    let bench = Bench::new();
    bench.life(
        "CREATE TABLE t (k INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 10), (2, 20);
         SET 'table.local-time-zone' = 'Asia/Tokyo';
         CREATE MATERIALIZED VIEW m AS SELECT v FROM t;
         CREATE MATERIALIZED VIEW total AS
           SELECT SUM(v) AS v, EXTRACT(HOUR FROM CAST(TO_TIMESTAMP_LTZ(0, 3) AS TIMESTAMP(3))) AS h FROM m;",
    );
    bench.life("CREATE OR REPLACE MATERIALIZED VIEW m AS SELECT v FROM t WHERE v > 10; INSERT INTO t VALUES (3, 30);");
    assert_eq!(bench.life("SELECT v, h FROM total"), ["50|9"]);
    assert_eq!(bench.life("INSERT INTO t VALUES (4, 40); SELECT v, h FROM total"), ["90|9"]);
}

#[test]
fn what_a_view_reads_cannot_go_before_it() {
    let bench = Bench::new();
    let source = "CREATE TABLE numbers (v BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '5')";
    bench.life(&format!("{source}; CREATE VIEW doubled AS SELECT v * 2 AS v FROM numbers; CREATE MATERIALIZED VIEW n AS SELECT COUNT(*) AS n FROM doubled"));
    let instance = bench.open();
    let mut session = instance.session();
    // It is computed anew from the beginning of what it reads.
    assert_eq!(run(&mut session, "SELECT * FROM n").unwrap(), ["5"]);
    for sql in ["DROP VIEW doubled", "DROP TABLE numbers"] {
        assert_eq!(run(&mut session, sql).unwrap_err().sqlstate, "2BP01", "{sql}");
    }
    // What is computed from a view that is replaced is computed anew.
    let replaced = "CREATE OR REPLACE VIEW doubled AS SELECT 1 AS v UNION ALL SELECT v FROM numbers; SELECT * FROM n";
    assert_eq!(run(&mut session, replaced).unwrap(), ["6"]);
    run(&mut session, "CREATE TEMPORARY TABLE passing (v INT)").unwrap();
    let error = run(&mut session, "CREATE MATERIALIZED VIEW m AS SELECT v FROM passing").unwrap_err();
    assert!(error.message.contains("is temporary"), "{}", error.message);
    run(&mut session, "DROP VIEW doubled CASCADE; DROP TABLE numbers").unwrap();
    drop((session, instance));
    assert!(run(&mut bench.open().session(), "SELECT * FROM n").is_err());
}

/// A view that cannot be computed any more is there, says why, and can be dropped; the rest is as it was.
#[test]
fn a_view_that_cannot_be_computed_keeps_nobody_from_starting() {
    let bench = Bench::new();
    let file = bench.home.path().join("rows.csv");
    fs::write(&file, "1\n2\n").unwrap();
    let source = format!(
        "CREATE TABLE rows (v BIGINT) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv')",
        file.display()
    );
    bench.life(&format!("{source}; CREATE MATERIALIZED VIEW s AS SELECT SUM(v) AS s FROM `rows`; CREATE TABLE t (v INT); INSERT INTO t VALUES (1)"));
    assert_eq!(bench.life("SELECT * FROM s"), ["3"]);
    fs::remove_file(&file).unwrap();
    let instance = bench.open();
    let mut session = instance.session();
    let error = run(&mut session, "SELECT * FROM s").unwrap_err();
    assert!(error.message.starts_with("materialized view s has failed"), "{}", error.message);
    assert_eq!(run(&mut session, "SELECT * FROM t").unwrap(), ["1"]);
    run(&mut session, "DROP MATERIALIZED VIEW s").unwrap();
}

/// Where the process dies within CREATE TABLE AS SELECT, there is no such table.
#[test]
fn create_table_as_is_done_wholly_or_not_at_all() {
    let bench = Bench::new();
    let instance = bench.open();
    let mut session = instance.session();
    run(&mut session, "CREATE TABLE slow (v BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '10', 'number-of-rows' = '10');
        CREATE TABLE none AS SELECT v FROM slow WHERE v IS NULL").unwrap();
    let making = thread::spawn({
        let mut session = instance.session();
        move || run(&mut session, "CREATE TABLE half AS SELECT v FROM slow").unwrap()
    });
    while run(&mut session, "SELECT * FROM half").is_err() {
        thread::sleep(Duration::from_millis(1));
    }
    let crashed = bench.home.path().join("crashed");
    copy(&bench.path(), &crashed);
    making.join().unwrap();
    let other = bench.engine.open(DataSettings::new(&crashed)).unwrap();
    assert_eq!(run(&mut other.session(), "SELECT * FROM half").unwrap_err().sqlstate, SqlError::UNDEFINED_TABLE);
    assert!(run(&mut other.session(), "SELECT * FROM none").unwrap().is_empty());
    instance.close().unwrap();
    drop((session, instance));
    assert_eq!(bench.life("SELECT COUNT(*) FROM half"), ["10"]);
}

#[test]
fn a_torn_end_is_cut_and_damage_is_refused() {
    let bench = Bench::new();
    let instance = bench.open();
    run(&mut instance.session(), "CREATE TABLE t (v INT); INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)").unwrap();
    // Killed: no mark says that the log was whole.
    let log = bench.path().join("log").join(format!("{:020}.journal", 1));
    let killed = fs::read(&log).unwrap();
    drop(instance);
    fs::write(&log, &killed[..killed.len() - 3]).unwrap();
    assert_eq!(bench.life("SELECT * FROM t"), ["1"]);
    let mut bytes = killed.clone();
    bytes[120] ^= 1;
    fs::write(&log, &bytes).unwrap();
    let error = bench.refused();
    assert_eq!(error.sqlstate, "XX001");
    assert!(error.message.contains(&format!("{} is damaged at byte", log.display())), "{}", error.message);
    fs::remove_file(&log).unwrap();
    fs::write(&log, &killed).unwrap();
    assert_eq!(bench.life("SELECT * FROM t"), ["1", "2"]);
}

#[test]
fn a_damaged_snapshot_is_refused() {
    let bench = Bench::new();
    let settings = DataSettings { log_bytes: 1, ..bench.settings() };
    let instance = bench.engine.open(settings).unwrap();
    let mut session = instance.session();
    run(&mut session, "CREATE TABLE t (v INT)").unwrap();
    let manifest = bench.path().join("manifest");
    while !manifest.exists() {
        run(&mut session, "INSERT INTO t VALUES (1)").unwrap();
    }
    instance.close().unwrap();
    drop((session, instance));
    let table = fs::read_dir(bench.path().join("tables")).unwrap().next().unwrap().unwrap().path();
    for path in [&manifest, &table] {
        let whole = fs::read(path).unwrap();
        let mut bytes = whole.clone();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(path, bytes).unwrap();
        let error = bench.refused();
        assert_eq!(error.sqlstate, "XX001");
        assert!(error.message.contains(&format!("{} is damaged", path.display())), "{}", error.message);
        fs::write(path, whole).unwrap();
    }
    // A snapshot without its log, and a log without its snapshot.
    fs::rename(&manifest, bench.home.path().join("manifest")).unwrap();
    fs::rename(bench.path().join("log"), bench.home.path().join("log")).unwrap();
    fs::rename(bench.home.path().join("manifest"), &manifest).unwrap();
    assert!(bench.refused().message.contains("are missing"));
}

#[test]
fn one_process_has_a_directory() {
    let bench = Bench::new();
    let _instance = bench.open();
    let error = bench.refused();
    assert_eq!(error.sqlstate, "55006");
    assert!(error.message.contains(&format!("in use by process {}", std::process::id())), "{}", error.message);
}

/// Statements of several sessions while snapshots are made: nothing is lost, and the log does not grow for ever.
#[test]
fn the_log_is_cut_while_statements_go_on() {
    let bench = Bench::new();
    let settings = DataSettings { log_bytes: 2000, ..bench.settings() };
    let instance = bench.engine.open(settings.clone()).unwrap();
    run(&mut instance.session(), "CREATE TABLE a (w INT, v INT); CREATE TABLE b (k INT PRIMARY KEY, v INT); CREATE MATERIALIZED VIEW n AS SELECT COUNT(*) AS n FROM a").unwrap();
    let writer = |w: usize| {
        let mut session = instance.session();
        move || {
            for v in 0..40 {
                run(&mut session, &format!("INSERT INTO a VALUES ({w}, {v}); INSERT INTO b VALUES ({w}, {v})"))
                    .unwrap();
                if v % 10 == 0 {
                    run(
                        &mut session,
                        &format!("CREATE TABLE t{w} (v INT); INSERT INTO t{w} VALUES ({v}); DROP TABLE t{w}"),
                    )
                    .unwrap();
                }
            }
        }
    };
    let threads: Vec<_> = (0..3).map(|w| thread::spawn(writer(w))).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    instance.close().unwrap();
    drop(instance);
    assert!(bench.path().join("manifest").exists());
    assert_eq!(
        bench.life("SELECT w, COUNT(*), COUNT(DISTINCT v) FROM a GROUP BY w"),
        ["0|40|40", "1|40|40", "2|40|40"]
    );
    assert_eq!(bench.life("SELECT * FROM b"), ["0|39", "1|39", "2|39"]);
    assert_eq!(bench.life("SELECT * FROM n"), ["120"]);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// What cannot be written is not acknowledged, and nobody reads it; what has nothing to do with it can be read still. After a start all that was
/// acknowledged is there.
#[test]
fn what_cannot_be_stored_is_not_there() {
    let bench = Bench::new();
    let instance = bench.open();
    let mut session = instance.session();
    run(&mut session, "CREATE TABLE t (s STRING); CREATE TABLE u (v INT); INSERT INTO u VALUES (1)").unwrap();
    // The log is due to go on in another file.
    run(&mut session, "INSERT INTO t SELECT REPEAT('x', 1000) FROM UNNEST(GENERATE_SERIES(1, 18000))").unwrap();
    let (log, away) = (bench.path().join("log"), bench.home.path().join("away"));
    fs::rename(&log, &away).unwrap();
    let error = run(&mut session, "INSERT INTO t VALUES ('lost')").unwrap_err();
    assert_eq!(error.sqlstate, "58030", "{}", error.message);
    for sql in ["SELECT COUNT(*) FROM t", "INSERT INTO u VALUES (2)", "CREATE TABLE w (v INT)", "DROP TABLE u"] {
        let error = run(&mut session, sql).unwrap_err();
        assert_eq!(error.sqlstate, "58030", "{sql}: {}", error.message);
        assert!(error.message.contains("since a write failed"), "{}", error.message);
    }
    assert_eq!(run(&mut session, "SELECT * FROM u").unwrap(), ["1"]);
    drop((session, instance));
    fs::rename(&away, &log).unwrap();
    assert_eq!(bench.life("SELECT COUNT(*), COUNT(DISTINCT s) FROM t"), ["18000|1"]);
    assert_eq!(bench.life("SELECT * FROM u"), ["1"]);
}
