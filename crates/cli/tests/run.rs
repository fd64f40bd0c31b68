//! `eddyline run` as a user meets it: files in, text and exit codes out.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

const FLIGHTS: &str = "id,origin,minutes\n1,JFK,10\n2,LGA,-3\n3,JFK,25\n4,EWR,\n";

/// A directory with an input file.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a directory"));
        place.write("flights.csv", FLIGHTS.split_once('\n').expect("a header").1);
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect("written");
    }

    fn table(&self) -> String {
        format!(
            "CREATE TABLE flights (id INT, origin STRING, minutes INT)\n\
             WITH ('connector' = 'filesystem', 'path' = '{}/flights.csv', 'format' = 'csv');\n",
            self.path().display()
        )
    }

    fn command(&self, sql: &str, args: &[&str]) -> Command {
        self.write("job.sql", sql);
        let mut command = Command::new(env!("CARGO_BIN_EXE_eddyline"));
        command.current_dir(self.path()).args(["run", "job.sql"]).args(args).env_remove("EDDYLINE_LOG");
        command
    }

    fn run(&self, sql: &str, args: &[&str]) -> Ran {
        Ran::from(self.command(sql, args).output().expect("started"))
    }

    /// Runs `sql` behind the definition of `flights`.
    fn query(&self, sql: &str, args: &[&str]) -> Ran {
        self.run(&(self.table() + sql), args)
    }
}

#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ran {
    #[track_caller]
    fn prints(&self, code: i32, out: &str) {
        assert_eq!((self.code, self.out.as_str()), (Some(code), out), "standard error: {}", self.err);
    }

    #[track_caller]
    fn fails(&self, code: i32, err: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for part in err {
            assert!(self.err.contains(part), "no {part:?} in: {}", self.err);
        }
        assert!(!self.err.contains("internal error") && !self.err.contains("panicked"), "{}", self.err);
    }
}

#[test]
fn a_finished_result_is_a_table() {
    let sql = "SELECT origin, COUNT(*) AS n, SUM(minutes) AS total FROM flights GROUP BY origin ORDER BY origin DESC;";
    let want = "\
+--------+---+-------+
| origin | n | total |
+--------+---+-------+
| LGA    | 1 |    -3 |
| JFK    | 2 |    35 |
| EWR    | 1 |  NULL |
+--------+---+-------+
3 rows
";
    Place::new().query(sql, &[]).prints(0, want);
    Place::new().query(sql, &["--shards", "4"]).prints(0, want);
}

#[test]
fn results_as_csv_and_json() {
    let place = Place::new();
    let sql = "SELECT origin, minutes FROM flights WHERE id > 2 ORDER BY id LIMIT 2;";
    let sql = sql.replace("ORDER BY id", "ORDER BY minutes DESC");
    place.query(&sql, &["--format", "csv"]).prints(0, "origin,minutes\nJFK,25\nEWR,\n");
    let json = "{\"origin\":\"JFK\",\"minutes\":25}\n{\"origin\":\"EWR\",\"minutes\":null}\n";
    place.query(&sql, &["--format", "json"]).prints(0, json);
}

#[test]
fn a_changelog_shows_updates() {
    let sql = "SELECT origin, COUNT(*) AS n FROM flights WHERE origin = 'LGA' GROUP BY origin;";
    let ran = Place::new().query(sql, &["--format", "changelog"]);
    ran.prints(0, "op | origin | n\n+I | LGA    | 1\n");
}

#[test]
fn events_for_machines() {
    let ran = Place::new().query("SELECT id FROM flights WHERE id = 1;", &["--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let events: Vec<serde_json::Value> =
        ran.out.lines().map(|l| serde_json::from_str(l).expect("a JSON line")).collect();
    let kinds: Vec<_> = events.iter().filter(|e| e["event"] != "note").map(|e| e["event"].as_str()).collect();
    assert_eq!(kinds, [Some("started"), Some("row"), Some("finished")], "{}", ran.out);
    let finished = events.last().expect("an event");
    assert_eq!((finished["rows_in"].as_u64(), finished["rows_out"].as_u64()), (Some(4), Some(1)), "{}", ran.out);
    let failed = Place::new().query("SELECT nothing FROM flights;", &["--json"]);
    let event: serde_json::Value = serde_json::from_str(failed.out.lines().last().expect("a line")).expect("JSON");
    assert_eq!((failed.code, event["error"]["sqlstate"].as_str()), (Some(2), Some("42703")), "{failed:?}");
}

#[test]
fn inserts_of_a_script_are_one_job_and_the_summary_says_where_rows_went() {
    let place = Place::new();
    let sink = |name: &str| {
        format!(
            "CREATE TABLE {name} (origin STRING) WITH \
             ('connector' = 'filesystem', 'path' = '{}/{name}', 'format' = 'json');\n",
            place.path().display()
        )
    };
    let sql = sink("late")
        + &sink("early")
        + "INSERT INTO late SELECT origin FROM flights WHERE minutes > 0;\n\
           INSERT INTO early SELECT origin FROM flights WHERE minutes < 0;";
    let ran = place.query(&sql, &[]);
    ran.prints(0, "");
    assert!(ran.err.contains("3 rows out"), "{}", ran.err);
    assert!(ran.err.contains(&format!("late: filesystem {}/late", place.path().display())), "{}", ran.err);
    let lines = |name: &str| {
        let mut all = String::new();
        for entry in std::fs::read_dir(place.path().join(name)).expect("the sink's directory") {
            all += &std::fs::read_to_string(entry.expect("an entry").path()).expect("text");
        }
        all
    };
    assert_eq!(lines("late"), "{\"origin\":\"JFK\"}\n".repeat(2));
    assert_eq!(lines("early"), "{\"origin\":\"LGA\"}\n");
    assert_eq!(place.query(&sql, &["--quiet"]).err, "");
}

#[test]
fn a_select_behind_inserts_sees_what_they_wrote() {
    let place = Place::new();
    let sql = format!(
        "CREATE TABLE copy WITH ('connector' = 'filesystem', 'path' = '{}/copy', 'format' = 'csv') AS \
         SELECT id, minutes FROM flights WHERE minutes > 0;\n\
         SELECT SUM(minutes) AS total FROM copy;",
        place.path().display()
    );
    place.query(&sql, &["--format", "csv"]).prints(0, "total\n35\n");
}

#[test]
fn print_goes_to_standard_output() {
    let sql = "CREATE TABLE out (origin STRING) WITH ('connector' = 'print');\n\
               INSERT INTO out SELECT origin FROM flights WHERE id = 2;";
    Place::new().query(sql, &[]).prints(0, "+I[LGA]\n");
}

#[test]
fn wrong_sql_is_pointed_at() {
    let place = Place::new();
    let ran = place.run("SELECT 1;\n\nSELEC 2;", &[]);
    ran.fails(2, &["ERROR 42601: ", "LINE 3: SELEC 2;\n        ^"]);
    assert_eq!(ran.out, "", "nothing runs of a script that does not parse");
    let ran = place.query("SELECT id,\n  minuts FROM flights;", &[]);
    ran.fails(2, &["ERROR 42703: ", "  minuts FROM flights;\n          ^", "HINT: ", "minutes"]);
    place.query("SELECT * FROM flight;", &[]).fails(2, &["ERROR 42P01: ", "flights"]);
}

#[test]
fn wrong_options_name_the_valid_ones() {
    let place = Place::new();
    let ran = place.run("CREATE TABLE t (a INT) WITH ('connector' = 'datagen', 'rows-per-secnd' = '1');", &[]);
    ran.fails(2, &["unknown option 'rows-per-secnd'", "rows-per-second", "LINE 1: CREATE TABLE t"]);
    let second = "CREATE TABLE a (n BIGINT) WITH ('connector' = 'blackhole');\n\
                  CREATE TABLE b (n BIGINT) WITH ('connector' = 'filesystem', 'path' = 'b', 'format' = 'csv');\n\
                  INSERT INTO a SELECT 1;\n\
                  INSERT INTO b SELECT COUNT(*) FROM (VALUES (1)) AS v(x) GROUP BY x;";
    place.run(second, &[]).fails(2, &["LINE 4: INSERT INTO b", "HINT: "]);
    place.run("CREATE TABLE t (a INT) WITH ('connector' = 'kafak');", &[]).fails(2, &["'kafak'", "datagen"]);
    place.run("CREATE TABLE t (a INT) WITH ('path' = 'x');", &[]).fails(2, &["option 'path'", "connector"]);
}

#[test]
fn a_row_that_does_not_decode_names_its_place() {
    let place = Place::new();
    place.write("flights.csv", "1,JFK,10\n2,LGA,soon\n");
    let ran = place.query("SELECT * FROM flights;", &[]);
    ran.fails(1, &["flights.csv", "2", "minutes", "soon", "ignore-parse-errors"]);
    assert_eq!(ran.out, "");
}

#[test]
fn a_row_may_be_skipped_and_is_counted() {
    let place = Place::new();
    place.write("flights.csv", "1,JFK,10\n2,LGA,soon\n");
    let sql = (place.table() + "SELECT id, minutes FROM flights;")
        .replace("'format' = 'csv'", "'format' = 'csv', 'csv.ignore-parse-errors' = 'true'");
    let ran = place.run(&sql, &["--format", "csv"]);
    ran.prints(0, "id,minutes\n1,10\n");
    assert!(ran.err.contains("NOTE: 1 row skipped"), "{}", ran.err);
}

#[test]
fn values_that_cannot_be_computed_fail_the_job() {
    let place = Place::new();
    let ran = place.query("SELECT 10 / (minutes - 10) AS x FROM flights;", &[]);
    ran.fails(1, &["ERROR 22012: "]);
    place.query("SELECT CAST(origin AS INT) AS x FROM flights;", &[]).fails(1, &["ERROR 22"]);
    let missing = place.table().replace("flights.csv", "nowhere.csv") + "SELECT * FROM flights;";
    place.run(&missing, &[]).fails(1, &["nowhere.csv"]);
}

#[test]
fn settings_come_from_files_arguments_and_set() {
    let place = Place::new();
    place.write("good.toml", "[table]\nlocal-time-zone = 'Asia/Tokyo'\n[execution]\nshards = 2\n");
    place.write("bad.toml", "[execution]\nshard = 2\n");
    let sql = "SET;";
    let ran = place.run(sql, &["--config", "good.toml", "--set", "execution.shards=3", "--format", "csv"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("\ntable.local-time-zone,Asia/Tokyo,UTC,"), "{}", ran.out);
    assert!(ran.out.contains("\nexecution.shards,3,"), "{}", ran.out);
    place.run(sql, &["--config", "bad.toml"]).fails(2, &["execution.shard", "execution.shards"]);
    place.run(sql, &["--config", "none.toml"]).fails(2, &["none.toml"]);
    place.run(sql, &["--set", "parallelism.default=many"]).fails(2, &["cannot be 'many'"]);
    place.run(sql, &["--set", "novalue"]).fails(2, &["KEY=VALUE"]);
    place.run("\n SET 'state.backend' = 'forst';", &[]).fails(2, &["LINE 2:  SET", "HINT: "]);
    let lonely = "SELECT COUNT(*) FROM flights";
    place.query(lonely, &["--set", "state.backend=rocksdb"]).fails(2, &["needs 'state.checkpoints.dir'", "HINT: "]);
}

#[test]
fn a_setting_may_not_change_between_inserts_of_one_job() {
    let sql = "CREATE TABLE out (origin STRING) WITH ('connector' = 'blackhole');\n\
               INSERT INTO out SELECT origin FROM flights;\n\
               SET 'execution.shards' = '1';\n\
               INSERT INTO out SELECT origin FROM flights;";
    Place::new().query(sql, &["--shards", "2"]).fails(2, &["'execution.shards' changed between INSERTs"]);
}

#[test]
fn names_are_listed_described_and_dropped() {
    let place = Place::new();
    let ran =
        place.query("CREATE VIEW late AS SELECT id FROM flights WHERE minutes > 0; SHOW TABLES;", &["--format", "csv"]);
    ran.prints(0, "table name\nflights\nlate\n");
    let described = place.query("DESCRIBE flights;", &["--format", "csv"]);
    described
        .prints(0, "name,type,null,key,extras,watermark\nid,INT,TRUE,,,\norigin,STRING,TRUE,,,\nminutes,INT,TRUE,,,\n");
    place.query("DROP TABLE flights; SHOW TABLES;", &["--format", "csv"]).prints(0, "table name\n");
    place.query("DROP TABLE flight;", &[]).fails(2, &["ERROR 42P01: ", "did you mean flights?"]);
    place.query("CREATE TABLE IF NOT EXISTS flights (x INT) WITH ('connector' = 'print');", &[]).prints(0, "");
    let again = place.query("CREATE TABLE flights (x INT) WITH ('connector' = 'print');", &[]);
    again.fails(2, &["ERROR 42P07: "]);
}

#[test]
fn show_create_table_makes_the_same_table() {
    let place = Place::new();
    let definition = "CREATE TABLE `t` (\n  `id` INT NOT NULL,\n  `twice` AS id * 2,\n  PRIMARY KEY (`id`) NOT ENFORCED\n) \
                      WITH (\n  'connector' = 'blackhole'\n)\n";
    let first = place.run(&format!("{definition}; SHOW CREATE TABLE t;"), &[]);
    first.prints(0, definition);
}

#[test]
fn explain_shows_the_dataflow() {
    let ran = Place::new().query("EXPLAIN SELECT origin, COUNT(*) FROM flights GROUP BY origin;", &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("GroupAggregate") && ran.out.contains("Source"), "{}", ran.out);
    assert!(!ran.out.contains('|'), "no frame: {}", ran.out);
}

#[test]
fn a_sum_that_is_too_large_is_out_of_range() {
    let sql = "SELECT SUM(v) AS s FROM (VALUES (9223372036854775807), (1)) AS t(v);";
    Place::new().run(sql, &[]).fails(1, &["ERROR 22003: ", "SUM overflows BIGINT"]);
}

#[test]
fn reset_goes_back_to_what_was_given_on_the_command_line() {
    let sql = "SET 'execution.shards' = '1'; RESET 'execution.shards'; SET 'pipeline.name' = 'x'; RESET; SET;";
    let place = Place::new();
    place.write("e.toml", "[pipeline]\nname = 'from-file'\n[execution]\nshards = 2\n");
    let ran = place.run(sql, &["--format", "csv", "--config", "e.toml", "--set", "execution.shards=3"]);
    let has = |line: &str| ran.out.lines().any(|l| l.starts_with(line));
    assert!(has("execution.shards,3,") && has("pipeline.name,from-file,"), "{}", ran.out);
}

#[test]
fn an_error_in_a_long_line_shows_the_place_alone() {
    let sql = format!("SELECT '{0}' AS a, nothing, '{0}' AS b FROM flights;", "x".repeat(200_000));
    let ran = Place::new().query(&sql, &[]);
    ran.fails(2, &["column nothing does not exist", "…xxx", "xxx…"]);
    assert!(ran.err.lines().all(|l| l.chars().count() < 200), "{} characters", ran.err.len());
    let lines: Vec<&str> = ran.err.lines().collect();
    let at = lines[2].find('^').expect("a caret");
    let pointed: String = lines[1].chars().skip(at).take(7).collect();
    assert_eq!(pointed, "nothing");
}

#[test]
fn an_unknown_connector_names_those_for_users() {
    let ran = Place::new().run("CREATE TABLE t (a INT) WITH ('connector' = 'kafkaesque'); SELECT * FROM t;", &[]);
    ran.fails(2, &["unknown connector 'kafkaesque'", "connectors are: blackhole, datagen"]);
    assert!(!ran.err.contains('$'), "{}", ran.err);
}

#[test]
fn limit_ends_a_query_over_endless_input() {
    let sql = endless_table() + "SELECT 'x' AS x FROM clock LIMIT 3;";
    let place = Place::new();
    place.run(&sql, &["--format", "csv"]).prints(0, "x\nx\nx\nx\n");
    place.run(&sql, &["--quiet"]).prints(0, "+---+\n| x |\n+---+\n| x |\n| x |\n| x |\n+---+\n");
}

#[test]
fn order_by_over_endless_input_is_refused() {
    let sql = endless_table() + "SELECT * FROM clock ORDER BY n;";
    Place::new().run(&sql, &[]).fails(2, &["ORDER BY needs the end of its input", "table clock"]);
    let sql = endless_table() + "SET 'execution.runtime-mode' = 'batch'; SELECT * FROM clock;";
    Place::new().run(&sql, &[]).fails(2, &["does not end"]);
}

#[test]
fn usage() {
    let eddyline =
        |args: &[&str]| Ran::from(Command::new(env!("CARGO_BIN_EXE_eddyline")).args(args).output().expect("started"));
    eddyline(&["--version"]).prints(0, concat!("eddyline ", env!("CARGO_PKG_VERSION"), "\n"));
    eddyline(&["run"]).fails(2, &["FILE.sql"]);
    eddyline(&["run", "/nowhere/job.sql"]).fails(2, &["cannot read /nowhere/job.sql"]);
    eddyline(&["rum"]).fails(2, &["run"]);
    eddyline(&["bench", "nexmark", "--queries", "q99"]).fails(2, &["there is no query q99", "q0"]);
}

#[test]
fn a_script_may_come_from_standard_input() {
    let place = Place::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_eddyline"));
    command.args(["run", "-", "--format", "csv"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("started");
    let sql = place.table() + "SELECT COUNT(*) AS n FROM flights;";
    child.stdin.take().expect("a pipe").write_all(sql.as_bytes()).expect("written");
    Ran::from(child.wait_with_output().expect("ended")).prints(0, "n\n4\n");
}

fn endless_table() -> String {
    "CREATE TABLE clock (n INT) WITH ('connector' = 'datagen', 'rows-per-second' = '1000');\n".into()
}

/// Starts a query over endless input and waits for its first line.
fn start_endless(place: &Place, sql: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut command = place.command(&(endless_table() + sql), &[]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    out.read_line(&mut line).expect("a line");
    assert!(!line.is_empty(), "no output: {:?}", Ran::from(child.wait_with_output().expect("ended")));
    (child, out)
}

fn interrupt(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("signalled");
}

#[test]
fn ctrl_c_stops_at_a_barrier_and_sums_up() {
    let place = Place::new();
    let (child, mut out) = start_endless(&place, "SELECT n FROM clock;");
    interrupt(&child);
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("text");
    let ran = Ran::from(child.wait_with_output().expect("ended"));
    ran.fails(0, &["stopping at the next barrier", "select stopped: ", "rows in"]);
    assert!(rest.lines().all(|l| l.starts_with("+I | ")), "{rest}");
}

#[test]
fn a_reader_that_leaves_ends_the_run_quietly() {
    for sql in [
        "SELECT n FROM clock;",
        "CREATE TABLE out (n INT) WITH ('connector' = 'print'); INSERT INTO out SELECT n FROM clock;",
    ] {
        let (child, out) = start_endless(&Place::new(), sql);
        drop(out);
        let ran = Ran::from(child.wait_with_output().expect("ended"));
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{sql}");
    }
}

#[test]
fn the_shop_s_revenue_is_as_counted_by_hand() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(env!("CARGO_BIN_EXE_eddyline"));
    command.current_dir(&top).args(["run", "examples/shop/revenue.sql", "--format", "csv"]).env_remove("EDDYLINE_LOG");
    let wanted = std::fs::read_to_string(top.join("examples/shop/revenue.csv")).expect("the result is there");
    Ran::from(command.args(["--shards", "4"]).output().expect("started")).prints(0, &wanted);
}
