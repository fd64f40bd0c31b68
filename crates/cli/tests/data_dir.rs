//! `eddyline serve --data-dir`: a process that is killed, and one that is ended.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

struct Server {
    process: Child,
    port: String,
}

fn command(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eddyline"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--shards", "1", "--data-dir"]).arg(directory);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Server {
    fn start(directory: &Path) -> Self {
        let mut process = command(directory).spawn().expect("started");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        let port = line.trim().rsplit(':').next().unwrap_or_default().to_owned();
        if port.is_empty() {
            let mut complaint = String::new();
            let _ = process.stderr.take().expect("its errors").read_to_string(&mut complaint);
            panic!("it does not start: {complaint}");
        }
        Self { process, port }
    }

    async fn client(&self) -> Client {
        let parameters = format!("host=127.0.0.1 port={} user=root dbname=dev", self.port);
        let (client, connection) = tokio_postgres::connect(&parameters, NoTls).await.expect("a connection");
        tokio::spawn(connection);
        client
    }

    /// SIGKILL.
    fn kill(mut self) {
        self.process.kill().expect("killed");
        self.process.wait().expect("gone");
    }

    /// SIGTERM; its exit code.
    fn end(mut self) -> Option<i32> {
        let ended = Command::new("kill").arg(self.process.id().to_string()).status().expect("kill is there");
        assert!(ended.success());
        self.process.wait().expect("gone").code()
    }
}

async fn rows(client: &Client, sql: &str) -> Vec<Vec<String>> {
    let messages = client.simple_query(sql).await.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    let cells = |message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|at| row.get(at).unwrap_or("NULL").to_owned()).collect())
        }
        _ => None,
    };
    messages.into_iter().filter_map(cells).collect()
}

async fn number(client: &Client, sql: &str) -> i64 {
    rows(client, sql).await[0][0].parse().expect("a number")
}

const WRITERS: usize = 4;

/// What a writer was told.
#[derive(Default)]
struct Told {
    /// Rows that it has inserted.
    inserted: AtomicI64,
    /// How often it has counted.
    counted: AtomicI64,
}

/// Inserts numbers one after the other, and counts in a row of its own, until the server is gone.
async fn write(client: Client, w: usize, told: Arc<Told>) {
    for v in told.inserted.load(Ordering::SeqCst).. {
        if client.batch_execute(&format!("INSERT INTO numbers VALUES ({w}, {v})")).await.is_err() {
            return;
        }
        told.inserted.fetch_add(1, Ordering::SeqCst);
        if client.batch_execute(&format!("UPDATE counters SET n = n + 1 WHERE w = {w}")).await.is_err() {
            return;
        }
        told.counted.fetch_add(1, Ordering::SeqCst);
    }
}

/// Whatever moment the process is killed at: every statement that was acknowledged is there, one that was not is there wholly or not at
/// all, and nothing else is.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_acknowledged_is_lost_by_kill_9() {
    let home = tempfile::tempdir().expect("a directory");
    let directory = home.path().join("data");
    let mut server = Server::start(&directory);
    let made = "CREATE TABLE numbers (w INT, v INT); CREATE TABLE counters (w INT PRIMARY KEY, n INT);
         INSERT INTO counters VALUES (0, 0), (1, 0), (2, 0), (3, 0);
         CREATE MATERIALIZED VIEW totals AS SELECT w, COUNT(*) AS n FROM numbers GROUP BY w;
         CREATE MATERIALIZED VIEW total AS SELECT SUM(n) AS n FROM totals";
    server.client().await.batch_execute(made).await.expect("tables");
    let told: Vec<Arc<Told>> = (0..WRITERS).map(|_| Arc::default()).collect();
    for rows_before_death in [60, 7, 25] {
        let all = || told.iter().map(|told| told.inserted.load(Ordering::SeqCst)).sum::<i64>();
        let until = all() + rows_before_death;
        let mut writers = Vec::new();
        for (w, told) in told.iter().enumerate() {
            writers.push(tokio::spawn(write(server.client().await, w, told.clone())));
        }
        while all() < until {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server.kill();
        for writer in writers {
            writer.await.expect("a writer");
        }
        server = Server::start(&directory);
        let client = server.client().await;
        let mut total = 0;
        for (w, told) in told.iter().enumerate() {
            let found = rows(&client, &format!("SELECT v FROM numbers WHERE w = {w} ORDER BY v")).await;
            let found: Vec<i64> = found.iter().map(|row| row[0].parse().expect("a number")).collect();
            let count = found.len() as i64;
            assert_eq!(found, (0..count).collect::<Vec<_>>(), "writer {w}");
            let inserted = told.inserted.swap(count, Ordering::SeqCst);
            assert!(count == inserted || count == inserted + 1, "writer {w}: {inserted} acknowledged, {count} there");
            let counts = number(&client, &format!("SELECT n FROM counters WHERE w = {w}")).await;
            let counted = told.counted.swap(counts, Ordering::SeqCst);
            assert!(counts == counted || counts == counted + 1, "writer {w}: {counted} acknowledged, {counts} there");
            total += count;
        }
        assert_eq!(number(&client, "SELECT n FROM total").await, total);
    }
    server.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_ended_leaves_a_whole_log() {
    let home = tempfile::tempdir().expect("a directory");
    let server = Server::start(home.path());
    let client = server.client().await;
    client.batch_execute("CREATE TABLE t (v INT); INSERT INTO t VALUES (1)").await.expect("a table");
    assert_eq!(server.end(), Some(0));
    let server = Server::start(home.path());
    assert_eq!(number(&server.client().await, "SELECT v FROM t").await, 1);
    // One process has a directory at a time.
    let second = command(home.path()).output().expect("started");
    assert_eq!(second.status.code(), Some(2));
    let complaint = String::from_utf8_lossy(&second.stderr).into_owned();
    let holder = format!("is in use by process {}", server.process.id());
    assert!(complaint.contains(&holder), "{complaint}");
    server.kill();
    // The shell has the same tables.
    let mut shell = Command::new(env!("CARGO_BIN_EXE_eddyline"));
    shell.args(["sql", "--quiet", "--format", "csv", "-e", "INSERT INTO t VALUES (2); SELECT SUM(v) AS s FROM t"]);
    let told = shell.arg("--data-dir").arg(home.path()).output().expect("started");
    assert!(String::from_utf8_lossy(&told.stdout).contains('3'), "{told:?}");
}
