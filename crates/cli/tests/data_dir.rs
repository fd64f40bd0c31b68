//! `eddyline serve --data-dir`: a process that is killed, and one that is ended.

mod served;

use served::{Served, serve};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

struct Server(Served);

fn command(directory: &Path) -> Command {
    let mut command = serve(&["--shards", "1", "--data-dir"]);
    command.arg(directory).arg("--allow-files").arg(std::env::temp_dir()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Server {
    fn start(directory: &Path) -> Self {
        Self(Served::by(&mut command(directory)))
    }

    async fn client(&self) -> Client {
        let parameters = format!("host=127.0.0.1 port={} user=root dbname=dev", self.0.port());
        let (client, connection) = tokio_postgres::connect(&parameters, NoTls).await.expect("a connection");
        tokio::spawn(connection);
        client
    }

    /// SIGKILL.
    fn kill(self) {
        self.0.kill();
    }

    /// SIGTERM; its exit code.
    fn end(self) -> Option<i32> {
        self.0.end()
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

/// Files of a sink that are visible, in no order.
fn visible(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let is_hidden = entry.file_name().to_string_lossy().starts_with(['.', '_']);
        if !is_hidden && entry.file_type().is_ok_and(|of| of.is_file()) {
            found.push(std::fs::read_to_string(entry.path()).unwrap_or_default());
        }
    }
    found
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
    let holder = format!("is in use by process {}", server.0.process.id());
    assert!(complaint.contains(&holder), "{complaint}");
    server.kill();
    // The shell has the same tables.
    let mut shell = Command::new(env!("CARGO_BIN_EXE_eddyline"));
    shell.args(["sql", "--quiet", "--format", "csv", "-e", "INSERT INTO t VALUES (2); SELECT SUM(v) AS s FROM t"]);
    let told = shell.arg("--data-dir").arg(home.path()).output().expect("started");
    assert!(String::from_utf8_lossy(&told.stdout).contains('3'), "{told:?}");
}

/// The rows of a sink's files, in order.
fn written(directory: &Path) -> Vec<i64> {
    let files = visible(directory);
    let lines = files.iter().flat_map(|text| text.lines());
    let mut found: Vec<i64> = lines.map(|line| line.trim_matches('"').parse().expect("a number")).collect();
    found.sort_unstable();
    found
}

async fn status(client: &Client) -> Vec<String> {
    // id, name, status, …
    rows(client, "SHOW JOBS").await.into_iter().map(|row| row[2].clone()).collect()
}

/// A job in the background goes on after its server was killed, from its last checkpoint: every row is written once. One that was stopped
/// does not until it is resumed, nor one that has come to its end.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_go_on_after_kill_9() {
    let home = tempfile::tempdir().expect("a directory");
    let (directory, sink) = (home.path().join("data"), home.path().join("sink"));
    let mut server = Server::start(&directory);
    let client = server.client().await;
    let script = format!(
        "CREATE TABLE numbers (v BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '200',
             'fields.v.kind' = 'sequence', 'fields.v.start' = '1', 'fields.v.end' = '600');
         CREATE TABLE endless (v BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '10');
         CREATE TABLE sink (v BIGINT) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv');
         CREATE TABLE nowhere (v BIGINT) WITH ('connector' = 'blackhole');
         SET 'execution.checkpointing.interval' = '100 ms'; SET 'table.dml-sync' = 'false';
         INSERT INTO nowhere SELECT v FROM endless;
         INSERT INTO nowhere SELECT v + 1 FROM endless;
         STOP JOB '1';
         INSERT INTO sink SELECT v FROM numbers",
        sink.display()
    );
    client.batch_execute(&script).await.expect("jobs");
    for before_death in [50, 250] {
        while written(&sink).len() < before_death {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server.kill();
        server = Server::start(&directory);
        let client = server.client().await;
        let found = rows(&client, "SHOW JOBS").await;
        assert_eq!(found.iter().map(|row| row[0].as_str()).collect::<Vec<_>>(), ["1", "2", "3"]);
    }
    let client = server.client().await;
    while status(&client).await != ["STOPPED", "RUNNING", "FINISHED"] {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(written(&sink), (1..=600).collect::<Vec<_>>());
    client.batch_execute("STOP JOB '2'").await.expect("stopped");
    assert_eq!(server.end(), Some(0));
    let server = Server::start(&directory);
    let client = server.client().await;
    assert_eq!(status(&client).await, ["STOPPED", "STOPPED"], "what has come to its end is forgotten");
    client.batch_execute("RESUME JOB '2'").await.expect("it goes on");
    assert_eq!(status(&client).await, ["STOPPED", "RUNNING"]);
    client.batch_execute("DROP JOB '1'").await.expect("forgotten");
    server.kill();
    let server = Server::start(&directory);
    assert_eq!(status(&server.client().await).await, ["RUNNING"]);
    server.kill();
}

/// A job that cannot begin again is listed with the reason, is tried at every start, until it is stopped or dropped.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_cannot_begin_again_says_why() {
    let home = tempfile::tempdir().expect("a directory");
    let server = Server::start(home.path());
    let client = server.client().await;
    let script = "CREATE TABLE endless (v BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '10');
         CREATE TABLE nowhere (v BIGINT) WITH ('connector' = 'blackhole');
         INSERT INTO nowhere SELECT v FROM endless; DROP TABLE endless";
    client.batch_execute(script).await.expect("a job");
    server.kill();
    for _ in 0..2 {
        let server = Server::start(home.path());
        assert_eq!(status(&server.client().await).await, ["FAILED"]);
        server.kill();
    }
    let server = Server::start(home.path());
    let client = server.client().await;
    client.batch_execute("STOP JOB '1'").await.expect("not tried again");
    assert_eq!(status(&client).await, ["STOPPED"]);
    client.batch_execute("DROP JOB '1'").await.expect("forgotten");
    server.kill();
    let server = Server::start(home.path());
    assert!(status(&server.client().await).await.is_empty());
    server.kill();
}

/// Rows of a change in debezium-json: the columns named, as numbers.
type Key = Vec<i64>;

/// How often each row has come, less how often it has gone, by the changes that the files of a sink tell of.
fn told(directory: &Path, columns: &[&str]) -> BTreeMap<Key, i64> {
    let mut rows: BTreeMap<Key, i64> = BTreeMap::new();
    for line in visible(directory).iter().flat_map(|text| text.lines()) {
        let change: serde_json::Value = serde_json::from_str(line).expect("a change");
        for (image, weight) in [("before", -1), ("after", 1)] {
            if change[image].is_object() {
                let key = columns.iter().map(|column| change[image][*column].as_i64().expect("a number")).collect();
                *rows.entry(key).or_default() += weight;
            }
        }
    }
    rows.retain(|_, count| *count != 0);
    rows
}

/// Inserts rows of its own, changes each, and takes every third away, until the server is gone.
async fn change(client: Client, w: usize, round: usize, done: Arc<AtomicI64>) {
    for k in 0.. {
        let key = format!("w = {w} AND k = {}", round * 100_000 + k);
        let mut statements = vec![
            format!("INSERT INTO t VALUES ({w}, {}, 0)", round * 100_000 + k),
            format!("UPDATE t SET v = v + 1 WHERE {key}"),
        ];
        statements.extend((k % 3 == 0).then(|| format!("DELETE FROM t WHERE {key}")));
        for statement in statements {
            if client.batch_execute(&statement).await.is_err() {
                return;
            }
            done.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Whatever moment the process is killed at: the files of a sink from tables have each change once, and what one statement has changed
/// wholly or not at all.
#[tokio::test(flavor = "multi_thread")]
async fn sinks_from_tables_hold_each_change_once_over_kill_9() {
    const MANY: i64 = 20_000;
    let home = tempfile::tempdir().expect("a directory");
    let (directory, rows_out, many_out) = (home.path().join("data"), home.path().join("t"), home.path().join("many"));
    let mut server = Server::start(&directory);
    let client = server.client().await;
    let made = format!(
        "SET 'execution.checkpointing.interval' = '50 ms';
         CREATE TABLE t (w INT, k INT, v INT, PRIMARY KEY (w, k)); CREATE TABLE many (round INT, n INT);
         CREATE SINK t_out FROM t WITH (connector = 'filesystem', path = '{}') FORMAT DEBEZIUM ENCODE JSON;
         CREATE SINK many_out FROM many WITH (connector = 'filesystem', path = '{}') FORMAT DEBEZIUM ENCODE JSON",
        rows_out.display(),
        many_out.display(),
    );
    client.batch_execute(&made).await.expect("tables and sinks");
    let done = Arc::<AtomicI64>::default();
    let whole = |round: usize| {
        let rows = told(&many_out, &["round"]).get(&vec![round as i64]).copied().unwrap_or_default();
        assert!(rows == 0 || rows == MANY, "{rows} rows of the statement of round {round}");
        rows == MANY
    };
    for (round, before_death) in [60, 4, 25].into_iter().enumerate() {
        let until = done.load(Ordering::SeqCst) + before_death;
        let mut writers = Vec::new();
        for w in 0..2 {
            writers.push(tokio::spawn(change(server.client().await, w, round, done.clone())));
        }
        let client = server.client().await;
        let many = format!("INSERT INTO many SELECT {round}, n FROM generate_series(1, {MANY}) AS g(n)");
        // It may be cut off by the end of the server.
        writers.push(tokio::spawn(async move { drop(client.batch_execute(&many).await) }));
        while done.load(Ordering::SeqCst) < until {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server.kill();
        for writer in writers {
            writer.await.expect("a writer");
        }
        // Each is there wholly or not at all.
        (0..=round).for_each(|round| {
            whole(round);
        });
        server = Server::start(&directory);
    }
    let client = server.client().await;
    client
        .batch_execute(&format!("INSERT INTO many SELECT 9, n FROM generate_series(1, {MANY}) AS g(n)"))
        .await
        .expect("more");
    let counted = |row: Vec<String>| (row.iter().map(|cell| cell.parse().expect("a number")).collect::<Key>(), 1);
    let kept: BTreeMap<Key, i64> = rows(&client, "SELECT w, k, v FROM t").await.into_iter().map(counted).collect();
    let many: BTreeMap<Key, i64> = rows(&client, "SELECT round, n FROM many").await.into_iter().map(counted).collect();
    assert!(kept.len() > 10 && many.len() as i64 >= MANY);
    while told(&rows_out, &["w", "k", "v"]) != kept || !whole(9) {
        assert_eq!(status(&client).await, ["RUNNING", "RUNNING"]);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(told(&many_out, &["round", "n"]), many);
    // Nothing is told once more by a server that starts anew.
    server.kill();
    let server = Server::start(&directory);
    let client = server.client().await;
    client.batch_execute("INSERT INTO t VALUES (7, 0, 0)").await.expect("one more");
    let mut kept = kept;
    kept.insert(vec![7, 0, 0], 1);
    while told(&rows_out, &["w", "k", "v"]) != kept {
        assert_eq!(status(&client).await, ["RUNNING", "RUNNING"]);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(told(&many_out, &["round", "n"]), many);
    server.kill();
}

/// What is known of rows by their times, in seconds, when the answer over windows of ten seconds holds final rows alone and rows may come two
/// seconds late.
#[derive(Default, Clone)]
struct Windows {
    rows: BTreeMap<i64, i64>,
    watermark: i64,
    open: BTreeMap<i64, i64>,
    closed: BTreeMap<i64, i64>,
}

impl Windows {
    fn end(second: i64) -> i64 {
        (second / 10 + 1) * 10
    }

    /// The statement of this number: most insert a row, some of them one that is late or nearly so; every fourth takes one away.
    fn statement(i: i64) -> String {
        match i % 4 {
            3 => format!("DELETE FROM events WHERE id = {}", i - 2),
            _ => {
                let second = Self::second(i);
                let (minute, second) = (second / 60, second % 60);
                let (hour, minute) = (minute / 60, minute % 60);
                format!("INSERT INTO events VALUES ({i}, TIMESTAMP '2024-01-01 {hour:02}:{minute:02}:{second:02}')")
            }
        }
    }

    fn second(i: i64) -> i64 {
        if i % 5 == 4 { (i * 3 - 14).max(0) } else { i * 3 }
    }

    fn step(&mut self, i: i64) {
        if i % 4 == 3 {
            let gone = self.rows.remove(&(i - 2)).map(Self::end);
            if let Some(count) = gone.and_then(|end| self.open.get_mut(&end)) {
                *count -= 1;
            }
        } else {
            let second = Self::second(i);
            self.rows.insert(i, second);
            if Self::end(second) > self.watermark {
                *self.open.entry(Self::end(second)).or_default() += 1;
            }
            self.watermark = self.watermark.max(second - 2);
        }
        let open = self.open.split_off(&(self.watermark + 1));
        self.closed.extend(std::mem::replace(&mut self.open, open).into_iter().filter(|(_, count)| *count > 0));
    }
}

/// Final rows are what they were however the server ends: what was late is not in them, and what has gone since is.
#[tokio::test(flavor = "multi_thread")]
async fn final_rows_are_those_of_one_life_over_kill_9() {
    let home = tempfile::tempdir().expect("a directory");
    let mut server = Server::start(home.path());
    let made = "SET sql.dialect = 'flink';
         CREATE TABLE events (id INT PRIMARY KEY, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '2' SECOND);
         CREATE MATERIALIZED VIEW closed AS SELECT window_end, COUNT(*) AS n
             FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end
             EMIT ON WINDOW CLOSE;
         CREATE MATERIALIZED VIEW total AS SELECT SUM(n) AS n FROM closed";
    server.client().await.batch_execute(made).await.expect("a view");
    let (mut windows, mut next) = (Windows::default(), 0);
    for (before_death, is_killed) in [(90, true), (3, true), (40, false), (0, true), (57, true), (20, false)] {
        let (told, client) = (Arc::<AtomicI64>::default(), server.client().await);
        let (done, first) = (told.clone(), next);
        let writer = tokio::spawn(async move {
            for i in first.. {
                if (!is_killed && i - first == before_death)
                    || client.batch_execute(&Windows::statement(i)).await.is_err()
                {
                    return;
                }
                done.fetch_add(1, Ordering::SeqCst);
            }
        });
        while told.load(Ordering::SeqCst) < before_death {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        match is_killed {
            true => server.kill(),
            false => assert_eq!(server.end(), Some(0)),
        }
        writer.await.expect("a writer");
        server = Server::start(home.path());
        let client = server.client().await;
        let acknowledged = told.load(Ordering::SeqCst);
        (0..acknowledged).for_each(|i| windows.step(next + i));
        next += acknowledged;
        let ids: Vec<i64> = rows(&client, "SELECT id FROM events ORDER BY id")
            .await
            .iter()
            .map(|row| row[0].parse().expect("a number"))
            .collect();
        if ids != windows.rows.keys().copied().collect::<Vec<_>>() {
            // One that was not acknowledged is there.
            windows.step(next);
            next += 1;
        }
        assert_eq!(ids, windows.rows.keys().copied().collect::<Vec<_>>());
        let found = rows(&client, "SELECT EXTRACT(EPOCH FROM window_end) - 1704067200, n FROM closed ORDER BY 1").await;
        let number = |cell: &String| cell.parse::<f64>().expect("a number") as i64;
        let found: Vec<(i64, i64)> = found.iter().map(|row| (number(&row[0]), number(&row[1]))).collect();
        assert_eq!(found, windows.closed.clone().into_iter().collect::<Vec<_>>(), "after {next} statements");
        if !found.is_empty() {
            let total = rows(&client, "SELECT n FROM total").await;
            assert_eq!(number(&total[0][0]), windows.closed.values().sum::<i64>());
        }
    }
    assert!(windows.closed.len() > 20 && next > 200);
    server.kill();
}
