//! Materialized views of a directory that is opened again: they are as they were, also where they hold what their tables have no more.

#![expect(clippy::unwrap_used, reason = "a test")]

use arrow::util::display::array_value_to_string;
use eddyline_engine::{
    DataSettings, Engine, EngineConfig, Instance, JobEvent, Outcome, ResultTable, ScriptError, Session, SqlError, parse,
};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// A directory, and processes that have it one after the other.
struct Bench {
    home: TempDir,
    engine: Engine,
    log_bytes: u64,
    _tokio: tokio::runtime::Runtime,
}

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Closed,
    Killed,
}

impl Bench {
    fn new() -> Self {
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let engine = Engine::new(EngineConfig { shards: 1, ..EngineConfig::new(tokio.handle().clone()) });
        Self { home: tempfile::tempdir().unwrap(), engine, log_bytes: 64 << 20, _tokio: tokio }
    }

    fn open(&self) -> Instance {
        loop {
            let settings = DataSettings { log_bytes: self.log_bytes, ..DataSettings::new(self.home.path()) };
            match self.engine.open(settings) {
                Ok(instance) => return instance,
                // Whoever was "killed" is making a snapshot still.
                Err(error) if error.sqlstate == "55006" => std::thread::yield_now(),
                Err(error) => panic!("{}", error.message),
            }
        }
    }

    /// A process that does this; the rows of its last SELECT.
    fn life(&self, end: End, sql: &str) -> Vec<String> {
        let instance = self.open();
        let rows = run(&mut instance.session(), sql).unwrap_or_else(|e| panic!("{sql}: {}", e.message));
        if end == End::Closed {
            instance.close().unwrap();
        }
        rows
    }

    /// The numbers of the views that are stored.
    fn numbers(&self) -> Vec<String> {
        let views = fs::read_dir(self.home.path().join("views")).into_iter().flatten().flatten();
        let stored = views.filter(|view| view.path().join("view").exists());
        let mut numbers: Vec<String> = stored.map(|view| view.file_name().into_string().unwrap()).collect();
        numbers.sort();
        numbers
    }

    fn stored(&self) -> usize {
        self.numbers().len()
    }
}

/// Executes a script; the rows of its last SELECT, as texts, in order.
fn run(session: &mut Session, sql: &str) -> Result<Vec<String>, SqlError> {
    let mut rows = Vec::new();
    for statement in parse(sql)? {
        let Outcome::Job(job) = session.execute(&statement).map_err(ScriptError::into_error)? else { continue };
        let mut result = ResultTable::new(job.facts().result.as_ref().unwrap());
        loop {
            match job.next_event(Duration::from_secs(30)).unwrap() {
                JobEvent::Changes { changes, .. } => result.apply(&changes)?,
                JobEvent::Ended(ended) => break ended?,
                JobEvent::Interrupted => unreachable!("nobody interrupts"),
            }
        }
        rows.clear();
        for batch in result.batches()? {
            let cells = |row| batch.columns().iter().map(move |c| array_value_to_string(c, row).unwrap());
            rows.extend((0..batch.num_rows()).map(|row| cells(row).collect::<Vec<_>>().join("|")));
        }
        rows.sort();
    }
    Ok(rows)
}

const BIDS: &str = "
    CREATE TABLE bids (id INT PRIMARY KEY, item STRING, price INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '2' SECOND);
    INSERT INTO bids VALUES
      (5, 'a', 10, TIMESTAMP '2024-01-01 00:00:01'), (4, 'a', 1, TIMESTAMP '2024-01-01 00:00:09'),
      (3, 'a', 5, TIMESTAMP '2024-01-01 00:00:10'), (2, 'b', 7, TIMESTAMP '2024-01-01 00:00:12'),
      (1, 'a', 9, TIMESTAMP '2024-01-01 00:00:24');
    CREATE MATERIALIZED VIEW per_window AS
      SELECT item, window_end, COUNT(*) AS n, SUM(price) AS total
      FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '10' SECOND))
      GROUP BY item, window_start, window_end EMIT ON WINDOW CLOSE;";
const PER_WINDOW: &str = "SELECT item, EXTRACT(SECOND FROM window_end), n, total FROM per_window";
/// What is in the windows that close with the watermark at 22 s.
const CLOSED: [&str; 3] = ["a|10|2|11", "a|20|1|5", "b|20|1|7"];

/// Rows of windows that are closed change no more: not by rows that are late, not by rows that go, not by a start.
#[test]
fn final_rows_are_as_they_were() {
    for end in [End::Closed, End::Killed] {
        let bench = Bench::new();
        bench.life(
            end,
            &format!("{BIDS} INSERT INTO bids VALUES (6, 'a', 100, TIMESTAMP '2024-01-01 00:00:05'), (7, 'b', 2, TIMESTAMP '2024-01-01 00:00:29');
                      DELETE FROM bids WHERE id IN (4, 5); UPDATE bids SET price = 4 WHERE id = 7"),
        );
        for _ in 0..2 {
            assert_eq!(bench.life(end, PER_WINDOW), CLOSED, "{end:?}");
        }
        // What was late is late, and what was open goes on: [20,30) has 9 and 4 and, of this life, 6.
        let late = "INSERT INTO bids VALUES (8, 'a', 50, TIMESTAMP '2024-01-01 00:00:15'), (9, 'b', 6, TIMESTAMP '2024-01-01 00:00:23');";
        assert_eq!(bench.life(end, &format!("{late} {PER_WINDOW}")), CLOSED, "{end:?}");
        let closing = "INSERT INTO bids VALUES (10, 'a', 1, TIMESTAMP '2024-01-01 00:00:32');";
        let mut all = vec!["a|10|2|11", "a|20|1|5", "a|30|1|9", "b|20|1|7", "b|30|2|10"];
        assert_eq!(bench.life(end, &format!("{closing} {PER_WINDOW}")), all, "{end:?}");
        let gone = bench.life(end, &format!("DELETE FROM bids WHERE id < 10; {PER_WINDOW}"));
        assert_eq!(gone, all, "{end:?}");
        // The next one has the row of 32 s, and one of 45 s closes it.
        let closing = "INSERT INTO bids VALUES (11, 'a', 1, TIMESTAMP '2024-01-01 00:00:45');";
        all.insert(3, "a|40|1|1");
        assert_eq!(bench.life(end, &format!("{closing} {PER_WINDOW}")), all, "{end:?}");
        assert_eq!(bench.stored(), 1);
    }
}

/// Two sinks into one table change it twice by one statement.
#[test]
fn what_several_sinks_write_is_there_again() {
    for end in [End::Closed, End::Killed] {
        let bench = Bench::new();
        bench.life(
            end,
            "CREATE TABLE t (k INT PRIMARY KEY); CREATE TABLE both (s STRING, k INT, PRIMARY KEY (s, k));
             CREATE SINK one INTO both AS SELECT 'one' AS s, k FROM t; CREATE SINK two INTO both AS SELECT 'two' AS s, k FROM t;
             CREATE MATERIALIZED VIEW total AS SELECT COUNT(*) AS n, SUM(k) AS k FROM both;
             INSERT INTO t VALUES (1), (2)",
        );
        assert_eq!(bench.life(end, "SELECT s, k FROM both"), ["one|1", "one|2", "two|1", "two|2"], "{end:?}");
        let more = "INSERT INTO t VALUES (3); SELECT n, k FROM total";
        assert_eq!(bench.life(end, more), ["6|12"], "{end:?}");
        assert_eq!(bench.life(end, "SELECT n, k FROM total"), ["6|12"], "{end:?}");
    }
}

/// Views over final rows, final rows over tables and over each other: under other names, of tables with other columns.
#[test]
fn what_was_final_stays_so_under_other_names_and_columns() {
    for end in [End::Closed, End::Killed] {
        let bench = Bench::new();
        bench.life(end, BIDS);
        bench.life(
            end,
            "CREATE MATERIALIZED VIEW items AS SELECT item, SUM(total) AS total FROM per_window GROUP BY item;
             INSERT INTO bids VALUES (6, 'a', 100, TIMESTAMP '2024-01-01 00:00:05');
             ALTER TABLE bids ADD COLUMN note STRING DEFAULT 'none';
             INSERT INTO bids VALUES (7, 'b', 2, TIMESTAMP '2024-01-01 00:00:29', 'new');
             ALTER TABLE bids RENAME TO offers; ALTER MATERIALIZED VIEW per_window RENAME TO closed;
             DELETE FROM offers WHERE id = 2",
        );
        let closed = "SELECT item, EXTRACT(SECOND FROM window_end), n, total FROM closed";
        assert_eq!(bench.life(end, closed), CLOSED, "{end:?}");
        assert_eq!(bench.life(end, "SELECT * FROM items"), ["a|16", "b|7"], "{end:?}");
        bench.life(
            end,
            "CREATE TABLE beside (id INT PRIMARY KEY, item STRING, price INT, ts TIMESTAMP(3), note STRING,
                                  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND);
             DROP TABLE beside; ALTER TABLE offers DROP COLUMN note;
             INSERT INTO offers VALUES (8, 'a', 50, TIMESTAMP '2024-01-01 00:00:15'), (9, 'a', 1, TIMESTAMP '2024-01-01 00:00:32')",
        );
        let all = ["a|10|2|11", "a|20|1|5", "a|30|1|9", "b|20|1|7", "b|30|1|2"];
        assert_eq!(bench.life(end, closed), all, "{end:?}");
        assert_eq!(bench.life(end, "SELECT * FROM items"), ["a|25", "b|9"], "{end:?}");
    }
}

/// Snapshots are made while statements go on; what came behind the last one is in the views by the log.
#[test]
fn views_are_right_behind_snapshots() {
    let bench = Bench { log_bytes: 2_000, ..Bench::new() };
    let both = "SELECT n, v FROM counted UNION ALL SELECT n + 1000, v FROM on_counted";
    bench.life(
        End::Closed,
        "CREATE TABLE t (k INT PRIMARY KEY, v INT);
         CREATE MATERIALIZED VIEW counted AS SELECT COUNT(*) AS n, SUM(v) AS v FROM t;
         INSERT INTO t VALUES (3, 10); INSERT INTO t VALUES (1, 20);
         CREATE MATERIALIZED VIEW on_counted AS SELECT n, v FROM counted",
    );
    assert_eq!(bench.life(End::Closed, both), ["1002|30", "2|30"]);
    assert_eq!(bench.life(End::Killed, &format!("INSERT INTO t VALUES (2, 30); {both}")), ["1003|60", "3|60"]);
    assert_eq!(bench.life(End::Killed, both), ["1003|60", "3|60"]);
    let many: String = (0..100).map(|k| format!("INSERT INTO t VALUES ({}, {k}); ", 999 - k)).collect();
    bench.life(End::Killed, &many);
    // 0 + 1 + … + 99 is 4950.
    assert_eq!(bench.life(End::Killed, both), ["103|5010", "1103|5010"]);
    assert_eq!(bench.life(End::Closed, both), ["103|5010", "1103|5010"]);
}

/// One whose files are damaged, or gone, is computed anew from its tables.
#[test]
fn what_is_damaged_is_computed_anew() {
    let bench = Bench::new();
    let sql = "CREATE TABLE t (k INT, v INT); INSERT INTO t VALUES (1, 10), (1, 20), (2, 5);
               CREATE MATERIALIZED VIEW sums AS SELECT k, SUM(v) AS v FROM t GROUP BY k;
               CREATE MATERIALIZED VIEW total AS SELECT SUM(v) AS v FROM sums";
    bench.life(End::Closed, sql);
    let files = || {
        let mut found = Vec::new();
        let mut rest = vec![bench.home.path().join("views")];
        while let Some(directory) = rest.pop() {
            for entry in fs::read_dir(directory).unwrap().flatten() {
                if entry.path().is_dir() { rest.push(entry.path()) } else { found.push(entry.path()) }
            }
        }
        found
    };
    // The rows, the state and its manifest, and what names them: of two views.
    assert_eq!(files().len(), 8);
    let both = "SELECT k, v FROM sums UNION ALL SELECT 0, v FROM total";
    for at in 0..8 {
        let path = &files()[at];
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        fs::write(path, bytes).unwrap();
        assert_eq!(bench.life(End::Closed, both), ["0|35", "1|30", "2|5"], "{}", path.display());
        fs::remove_file(&files()[at]).unwrap();
        assert_eq!(bench.life(End::Closed, both), ["0|35", "1|30", "2|5"], "{}", path.display());
        assert_eq!(files().len(), 8);
    }
}

/// One that is damaged while the process runs cannot be gone on: it is computed anew at the next start, and the rest is stored.
#[test]
fn what_is_damaged_meanwhile_is_computed_anew() {
    for is_gone in [false, true] {
        let bench = Bench::new();
        let sql = "CREATE TABLE u (k INT); INSERT INTO u VALUES (1); CREATE MATERIALIZED VIEW beside AS SELECT COUNT(*) AS n FROM u";
        bench.life(End::Closed, sql);
        let beside = bench.numbers();
        let sql = "CREATE TABLE t (k INT, v INT); INSERT INTO t VALUES (1, 10), (1, 20), (2, 5);
                   CREATE MATERIALIZED VIEW sums AS SELECT k, SUM(v) AS v FROM t GROUP BY k";
        bench.life(End::Closed, sql);
        let number = bench.numbers().into_iter().find(|number| !beside.contains(number)).unwrap();
        let instance = bench.open();
        run(&mut instance.session(), "INSERT INTO t VALUES (2, 5); INSERT INTO u VALUES (2)").unwrap();
        let view = bench.home.path().join("views").join(&number);
        let written = fs::read_dir(view).unwrap().flatten().find(|entry| entry.path().is_dir()).unwrap().path();
        let state = written.join("state/state/0.entries");
        let bytes = fs::read(&state).unwrap();
        match is_gone {
            true => fs::remove_file(state).unwrap(),
            false => fs::write(state, &bytes[..bytes.len() / 2]).unwrap(),
        }
        instance.close().unwrap();
        drop(instance);
        let expected = ["1|30|2", "2|10|2"];
        assert_eq!(bench.life(End::Closed, "SELECT sums.k, v, n FROM sums, beside"), expected);
        let numbers = bench.numbers();
        assert!(numbers.contains(&beside[0]) && !numbers.contains(&number) && numbers.len() == 2, "{numbers:?}");
    }
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

/// What is stored of views that are gone goes too; a view that takes the place of another is stored as its own.
#[test]
fn what_is_stored_of_views_that_are_gone_goes() {
    let bench = Bench::new();
    bench.life(End::Closed, &format!("{BIDS} CREATE MATERIALIZED VIEW n AS SELECT COUNT(*) AS n FROM bids"));
    assert_eq!(bench.stored(), 2);
    let second = bench.home.path().join("copy");
    copy(&bench.home.path().join("views"), &second);
    bench.life(
        End::Killed,
        "CREATE OR REPLACE MATERIALIZED VIEW n AS SELECT COUNT(*) + 100 AS n FROM bids; DROP MATERIALIZED VIEW per_window",
    );
    assert_eq!(bench.life(End::Closed, "SELECT * FROM n"), ["105"]);
    assert_eq!(bench.stored(), 1);
    // Files of another life are of nobody.
    copy(&second, &bench.home.path().join("views"));
    assert_eq!(bench.life(End::Closed, "SELECT * FROM n"), ["105"]);
    assert_eq!(bench.stored(), 1);
}

/// Views of every kind of operator, each with the query that it is of.
const KINDS: [(&str, &str); 9] = [
    ("joined", "SELECT a.k, a.v, b.w FROM a JOIN b ON a.k = b.k"),
    ("outer_joined", "SELECT a.k, b.w FROM a LEFT JOIN b ON a.v = b.w"),
    ("loose", "SELECT a.k, b.k AS other FROM a, b WHERE a.v < b.w"),
    (
        "sums",
        "SELECT g, COUNT(*) AS n, SUM(v) AS v, COUNT(DISTINCT v) AS d, MIN(v) AS least, MAX(v) AS most FROM a GROUP BY g",
    ),
    (
        "best",
        "SELECT k, g, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY g ORDER BY v, k) AS nr FROM a) WHERE nr <= 2",
    ),
    (
        "before",
        "SELECT k, LAG(v) OVER (PARTITION BY g ORDER BY k) AS v, ROW_NUMBER() OVER (PARTITION BY g ORDER BY k) AS nr FROM a",
    ),
    ("both", "SELECT v FROM a INTERSECT SELECT w FROM b"),
    ("kinds", "SELECT DISTINCT g FROM a WHERE v IN (SELECT w FROM b)"),
    ("on_sums", "SELECT n, COUNT(*) AS groups, SUM(v) AS v FROM sums GROUP BY n"),
];

/// Statement number `i` of a life that changes rows of two tables.
fn change(i: u32) -> String {
    let at = |of: u32, by: u32| i.wrapping_mul(2_654_435_761).wrapping_add(by) / 7 % of;
    match i % 5 {
        0 => format!("INSERT INTO b (k, w) VALUES ({}, {}) ON CONFLICT DO NOTHING", at(12, 3), at(9, 1)),
        1 | 2 => {
            format!("INSERT INTO a (k, g, v) VALUES ({}, {}, {}) ON CONFLICT DO NOTHING", at(20, 5), at(3, 2), at(9, 4))
        }
        3 => format!("UPDATE a SET v = {} WHERE k = {}; DELETE FROM b WHERE k = {}", at(9, 7), at(20, 6), at(12, 8)),
        _ => format!("DELETE FROM a WHERE k = {}", at(20, 9)),
    }
}

fn assert_up_to_date(session: &mut Session, when: &str) {
    for (view, query) in KINDS {
        let columns = run(session, &format!("SELECT * FROM {view}")).unwrap();
        assert_eq!(columns, run(session, query).unwrap(), "{view} {when}");
    }
}

/// Whatever a view computes, it is over lives what its query answers: where it is stored wholly, where what has changed is stored, where the log
/// says what has come since.
#[test]
fn views_of_every_kind_go_on() {
    let bench = Bench { log_bytes: 6_000, ..Bench::new() };
    let views: String =
        KINDS.iter().map(|(name, query)| format!("CREATE MATERIALIZED VIEW {name} AS {query};")).collect();
    bench.life(
        End::Closed,
        &format!(
            "CREATE TABLE a (k INT PRIMARY KEY, g INT, v INT); CREATE TABLE b (k INT PRIMARY KEY, w INT); {views}"
        ),
    );
    let numbers = bench.numbers();
    assert_eq!(numbers.len(), KINDS.len());
    let ends = [End::Closed, End::Killed, End::Killed, End::Closed, End::Killed, End::Closed];
    for (life, end) in ends.into_iter().enumerate() {
        let instance = bench.open();
        let mut session = instance.session();
        assert_up_to_date(&mut session, &format!("when life {life} begins"));
        for i in 0..25 {
            run(&mut session, &change(life as u32 * 25 + i)).unwrap();
        }
        assert_up_to_date(&mut session, &format!("when life {life} ends"));
        if end == End::Closed {
            instance.close().unwrap();
        }
        // One that is computed anew gets another number.
        assert_eq!(bench.numbers(), numbers);
    }
}

/// A query and its rows.
type Answered<'a> = (&'a str, &'a [&'a str]);

/// What statements make of names and columns between the time at which views were stored and the death of the process.
#[test]
fn names_and_columns_may_change_behind_what_is_stored() {
    let made = format!(
        "{BIDS}
         CREATE TABLE t (k INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 10), (2, 20);
         CREATE MATERIALIZED VIEW sums AS SELECT COUNT(*) AS n, SUM(v) AS v FROM t;
         CREATE MATERIALIZED VIEW tens AS SELECT COUNT(*) AS n, SUM(v) / 10 AS v FROM t;
         CREATE MATERIALIZED VIEW on_sums AS SELECT n + 100 AS n FROM sums;
         CREATE MATERIALIZED VIEW on_closed AS SELECT COUNT(*) AS n FROM per_window"
    );
    // Late: it would count if the view were computed anew.
    let late = "INSERT INTO bids (id, item, price, ts) VALUES (20, 'a', 50, TIMESTAMP '2024-01-01 00:00:05');
                DELETE FROM bids WHERE id = 4";
    let more = "INSERT INTO t (k, v) VALUES (3, 30)";
    let cases: [(&str, &[Answered<'_>]); 6] = [
        (
            "ALTER MATERIALIZED VIEW sums SWAP WITH tens",
            &[("SELECT n, v FROM tens", &["3|60"]), ("SELECT n, v FROM sums", &["3|6"]), ("SELECT * FROM on_sums", &["103"])],
        ),
        (
            "ALTER TABLE t RENAME TO u; ALTER MATERIALIZED VIEW sums RENAME TO totals; ALTER TABLE u RENAME TO t",
            &[("SELECT n, v FROM totals", &["3|60"]), ("SELECT * FROM on_sums", &["103"])],
        ),
        (
            "CREATE OR REPLACE MATERIALIZED VIEW tens AS SELECT COUNT(*) AS n, MAX(v) AS v FROM t",
            &[("SELECT n, v FROM tens", &["3|30"]), ("SELECT n, v FROM sums", &["3|60"])],
        ),
        (
            "ALTER TABLE t ADD COLUMN w INT DEFAULT 7; ALTER TABLE bids ADD COLUMN note STRING; UPDATE t SET w = 8 WHERE k = 1",
            &[("SELECT n, v FROM sums", &["3|60"]), ("SELECT SUM(w) FROM t", &["22"])],
        ),
        ("DROP MATERIALIZED VIEW sums CASCADE", &[("SELECT n, v FROM tens", &["3|6"])]),
        (
            "ALTER MATERIALIZED VIEW on_closed RENAME TO windows; ALTER MATERIALIZED VIEW per_window SWAP WITH windows;
             ALTER MATERIALIZED VIEW per_window RENAME TO on_closed; ALTER MATERIALIZED VIEW windows RENAME TO per_window",
            &[("SELECT n, v FROM sums", &["3|60"])],
        ),
    ];
    for (statements, expected) in cases {
        let bench = Bench::new();
        bench.life(End::Closed, &made);
        bench.life(End::Killed, &format!("{late}; {statements}; {more}; {}", late.replace("(20,", "(21,")));
        for end in [End::Killed, End::Closed, End::Killed] {
            let instance = bench.open();
            let mut session = instance.session();
            let finals: [Answered<'_>; 2] = [(PER_WINDOW, &CLOSED), ("SELECT * FROM on_closed", &["3"])];
            for (query, rows) in expected.iter().chain(&finals) {
                assert_eq!(run(&mut session, query).unwrap(), *rows, "{query} after {statements}, {end:?}");
            }
            if end == End::Closed {
                instance.close().unwrap();
            }
        }
    }
}
