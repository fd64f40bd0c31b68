//! What statements that come over the wire may name outside: each hostile option and path is refused with an error code, and nothing is
//! touched. (Paths and links one by one: `stores/tests/reach.rs`.)

use eddyline_engine::connectors::{Reach, ReachSettings};
use eddyline_engine::{Canceller, Engine, EngineConfig, Instance, Submission};
use eddyline_server::{ServerConfig, bind};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// A server that reaches `in` of a directory, which has `out` too.
struct Bench {
    home: tempfile::TempDir,
    instance: Instance,
    client: Client,
    tokio: tokio::runtime::Runtime,
}

impl Bench {
    fn start(addresses: Vec<String>) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        for directory in ["in", "out"] {
            fs::create_dir(home.path().join(directory)).expect("made");
            fs::write(home.path().join(directory).join("a.csv"), format!("1,{directory}\n")).expect("written");
        }
        let tokio =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let directories = vec![home.path().join("in")];
        let reach = Reach::limited(&ReachSettings { directories, addresses, urls: Vec::new() }).expect("a reach");
        let config = EngineConfig { shards: 1, ..EngineConfig::new(tokio.handle().clone()) }.within(reach);
        let instance = Engine::new(config).instance();
        let config = ServerConfig::new(([127, 0, 0, 1], 0).into());
        let bound = tokio.block_on(bind(instance.clone(), &config)).expect("a port");
        let port = bound.address().expect("an address").port();
        tokio.spawn(bound.serve());
        let at = format!("host=127.0.0.1 port={port} user=root dbname=dev");
        let (client, connection) = tokio.block_on(tokio_postgres::connect(&at, NoTls)).expect("connected");
        tokio.spawn(connection);
        Self { home, instance, client, tokio }
    }

    /// A statement in which `$in` and `$out` stand for directories.
    fn written(&self, sql: &str) -> String {
        let home = self.home.path().display().to_string();
        sql.replace("$in", &format!("{home}/in")).replace("$out", &format!("{home}/out"))
    }

    fn rows(&self, sql: &str) -> Result<Vec<String>, tokio_postgres::Error> {
        let messages = self.tokio.block_on(self.client.simple_query(&self.written(sql)))?;
        let row = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|at| row.get(at).unwrap_or("NULL")).collect::<Vec<_>>().join("|"))
            }
            _ => None,
        };
        Ok(messages.iter().filter_map(row).collect())
    }

    fn does(&self, sql: &str) -> Vec<String> {
        self.rows(sql).unwrap_or_else(|e| panic!("{sql}: {e}: {:?}", e.as_db_error()))
    }

    /// The SQLSTATE and the hint of an error.
    fn fails(&self, sql: &str) -> (String, String) {
        let error = self.rows(sql).err().unwrap_or_else(|| panic!("{sql} does not fail"));
        let told = error.as_db_error().expect("an error of the server");
        (told.code().code().to_owned(), told.hint().unwrap_or_default().to_owned())
    }

    fn names(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.home.path().join(directory)).expect("a directory");
        let mut names: Vec<_> =
            entries.map(|e| e.expect("an entry").file_name().into_string().expect("text")).collect();
        names.sort();
        names
    }
}

/// Paths of tables of files; `LINK` is a link to `out` within `in`.
const PATHS: [&str; 22] = [
    "$out/a.csv",
    "$out",
    "$in/../out/a.csv",
    "$in/./../out",
    "$in/../in/a.csv",
    "file://$out/a.csv",
    "file://$in/../out/a.csv",
    "$in*/a.csv",
    "$in/../*/a.csv",
    "/etc/passwd",
    "/proc/self/environ",
    "/proc/self/cwd/a.csv",
    "/dev/stdin",
    "/dev/zero",
    "a.csv",
    "../a.csv",
    "~/a.csv",
    "s3://bucket/a",
    "gs://bucket/a",
    "memory:///a",
    "http://127.0.0.1:1/a",
    "http://169.254.169.254/latest/meta-data",
];

#[test]
fn paths_and_urls_out_of_reach_are_refused_at_their_definition() {
    let bench = Bench::start(Vec::new());
    for (number, path) in PATHS.iter().enumerate() {
        for format in ["csv", "parquet"] {
            let table = format!(
                "CREATE TABLE t{number} (k INT, v STRING) WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = '{format}')"
            );
            let (code, hint) = bench.fails(&table);
            assert_eq!(code, "42501", "{table}");
            assert!(hint.contains("--allow-"), "{hint}");
        }
    }
    assert_eq!(bench.does("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"), ["0"]);
    // What is below is read and written.
    bench.does(
        "CREATE TABLE a (k INT, v STRING) WITH ('connector' = 'filesystem', 'path' = '$in/a.csv', 'format' = 'csv')",
    );
    bench.does(
        "CREATE TABLE b (k INT, v STRING) WITH ('connector' = 'filesystem', 'path' = 'file://$in/b', 'format' = 'csv')",
    );
    bench.does("INSERT INTO b SELECT k + 1, v FROM a");
    bench.does(
        "CREATE TABLE c (k INT, v STRING) WITH ('connector' = 'filesystem', 'path' = '$in/*/*.csv', 'format' = 'csv')",
    );
    assert_eq!(bench.does("SELECT * FROM c"), ["2|in"]);
    assert_eq!(bench.names("out"), ["a.csv"]);
}

/// Links are looked at when files are opened: what the table says is fine.
#[test]
fn links_that_lead_out_are_refused_when_they_are_opened() {
    let bench = Bench::start(Vec::new());
    let home = bench.home.path();
    let link = |to: &Path, from: &str| symlink(to, home.join("in").join(from)).expect("linked");
    link(&home.join("out"), "directory");
    link(&home.join("out/a.csv"), "file.csv");
    link(Path::new("../out/a.csv"), "relative.csv");
    link(Path::new("/etc/passwd"), "passwd.csv");
    link(Path::new("/proc/self"), "process");
    let paths = [
        "directory",
        "directory/a.csv",
        "file.csv",
        "relative.csv",
        "passwd.csv",
        "process/environ",
        "*.csv",
        "*/*.csv",
        "directory/*",
    ];
    for (number, path) in paths.into_iter().enumerate() {
        for format in ["csv", "raw", "parquet"] {
            let table = format!("t{number}_{format}");
            bench.does(&format!(
                "CREATE TABLE {table} (v STRING) WITH ('connector' = 'filesystem', 'path' = '$in/{path}', 'format' = '{format}')"
            ));
            let (code, _) = bench.fails(&format!("SELECT * FROM {table}"));
            let is_nothing = path == "*/*.csv";
            assert_eq!(code, if is_nothing { "58030" } else { "42501" }, "{path}, {format}");
        }
    }
    for path in ["directory", "directory/new", "process/cwd"] {
        bench.does(&format!(
            "CREATE TABLE s (v STRING) WITH ('connector' = 'filesystem', 'path' = '$in/{path}', 'format' = 'csv')"
        ));
        assert_eq!(bench.fails("INSERT INTO s VALUES ('x')").0, "42501", "{path}");
        bench.does("DROP TABLE s");
    }
    // A directory whose place a link takes after the table was made, and read.
    fs::create_dir(home.join("in/later")).expect("made");
    fs::write(home.join("in/later/a.csv"), "3,later\n").expect("written");
    bench.does("CREATE TABLE later (k INT, v STRING) WITH ('connector' = 'filesystem', 'path' = '$in/later/a.csv', 'format' = 'csv')");
    assert_eq!(bench.does("SELECT * FROM later"), ["3|later"]);
    fs::rename(home.join("in/later"), home.join("in/before")).expect("renamed");
    link(&home.join("out"), "later");
    assert_eq!(bench.fails("SELECT * FROM later").0, "42501");
    assert_eq!(bench.names("out"), ["a.csv"]);
}

/// Statement, SQLSTATE.
const STATEMENTS: [(&str, &str); 23] = [
    ("SET 'state.checkpoints.dir' = '$out'", "42501"),
    ("SET 'state.checkpoints.dir' = '$in/../out'", "42501"),
    ("SET 'state.checkpoints.dir' = 'file://$in/%2e%2e/out'", "42501"),
    ("SET state.checkpoints.dir = 's3://bucket/x'", "42501"),
    ("SET 'execution.checkpointing.dir' = '/tmp'", "42501"),
    ("SET 'state.savepoints.dir' = '$out'", "42501"),
    ("SET 'execution.checkpointing.savepoint-dir' = '/'", "42501"),
    ("SET 'state.local-dir' = '/dev/shm'", "42501"),
    ("SHOW CHECKPOINTS IN '$out'", "42501"),
    ("SHOW CHECKPOINTS IN '/etc'", "42501"),
    ("SHOW CHECKPOINTS IN 'http://127.0.0.1:1/'", "42501"),
    ("SELECT * FROM STATE('$out/job', 'x')", "42501"),
    ("SELECT * FROM STATE('/etc/job', 'x')", "42501"),
    ("EXPLAIN ALTER FROM '$out' INSERT INTO ok SELECT 1", "42501"),
    (
        "SUBMIT JOB 'j' AS $$ SET 'state.checkpoints.dir' = '/tmp'; CREATE TABLE b (k INT) WITH ('connector' = 'blackhole'); INSERT INTO b VALUES (1) $$",
        "42501",
    ),
    (
        "SUBMIT JOB 'j' AS $$ CREATE TABLE b (k INT) WITH ('connector' = 'filesystem', 'path' = '/tmp/x', 'format' = 'csv'); INSERT INTO b VALUES (1) $$",
        "42501",
    ),
    (
        "CREATE TABLE s (v STRING) WITH ('connector' = 'socket', 'hostname' = '127.0.0.1', 'port' = '22', 'format' = 'raw')",
        "42501",
    ),
    (
        "CREATE TABLE s (v STRING) WITH ('connector' = 'socket', 'hostname' = '169.254.169.254', 'port' = '80', 'format' = 'raw')",
        "42501",
    ),
    (
        "CREATE TABLE f (v STRING) WITH ('connector' = 'filesystem', 'path' = '$in', 'format' = 'csv', 'plugin.library.paths' = '/tmp/x.so')",
        "22023",
    ),
    (
        "CREATE TABLE f (v STRING) WITH ('connector' = 'filesystem', 'path' = '$in', 'format' = 'csv', 'properties.sasl.kerberos.kinit.cmd' = 'id')",
        "22023",
    ),
    ("COPY ok FROM '$in/a.csv'", "0A000"),
    ("COPY ok FROM PROGRAM 'id'", "0A000"),
    ("COPY ok TO '$in/x'", "0A000"),
];

#[test]
fn statements_that_name_places_out_of_reach_are_refused() {
    let bench = Bench::start(Vec::new());
    bench.does("CREATE TABLE ok (k INT) WITH ('connector' = 'blackhole')");
    for (sql, state) in STATEMENTS {
        assert_eq!(bench.fails(sql).0, state, "{sql}");
    }
    bench.does("SET 'state.checkpoints.dir' = '$in/checkpoints'; SET 'state.checkpoints.dir' = ''");
    assert_eq!(bench.names("in"), ["a.csv"]);
    assert_eq!(bench.names("out"), ["a.csv"]);
}

#[test]
fn jobs_that_are_submitted_reach_no_more() {
    let bench = Bench::start(Vec::new());
    let sql = "CREATE TABLE b (k INT) WITH ('connector' = 'blackhole'); INSERT INTO b VALUES (1)";
    let job = |settings: &[(&str, &str)], from: Option<&str>, name: &str| Submission {
        name: Some(name.into()),
        sql: sql.into(),
        settings: settings.iter().map(|(key, value)| ((*key).to_owned(), bench.written(value))).collect(),
        from: from.map(|from| bench.written(from)),
        ..Submission::default()
    };
    for submission in [
        job(&[("state.checkpoints.dir", "$out")], None, "j"),
        job(&[("state.savepoints.dir", "/tmp")], None, "j"),
        job(&[("state.local-dir", "/tmp")], None, "j"),
        job(&[], Some("$out"), "j"),
        job(&[], Some("http://127.0.0.1:1/x"), "j"),
    ] {
        let error = bench.instance.submit(&submission, &Canceller::default()).expect_err("refused");
        assert_eq!(error.sqlstate, "42501", "{error:?}");
    }
    // A name is no path.
    let named = job(&[("state.checkpoints.dir", "$in/c")], None, "../../out/evil");
    let _ = bench.instance.submit(&named, &Canceller::default());
    assert_eq!(bench.names("out"), ["a.csv"]);
    assert!(bench.names(".").iter().all(|name| ["in", "out"].contains(&name.as_str())));
}

#[test]
fn addresses_that_are_given_are_connected_to() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let bench = Bench::start(vec![format!("127.0.0.1:{port}")]);
    let table = |host: &str| {
        format!(
            "CREATE TABLE s (v STRING) WITH ('connector' = 'socket', 'hostname' = '{host}', 'port' = '{port}', 'format' = 'raw')"
        )
    };
    assert_eq!(bench.fails(&table("localhost")).0, "42501", "another name of it");
    bench.does(&table("127.0.0.1"));
}
