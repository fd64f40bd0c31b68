//! How fast the server answers its clients: `cargo xtask bench-server`.
//!
//! A server of an empty directory is started, and clients on the same machine do what applications do: copy rows in, look rows up by their key, read many rows, and
//! insert while three views, each over the one before, are kept up to date. Latencies count from the moment at which a request was due, also when
//! those before it were late. `--beside` reads the same rows from another server of the same protocol, such as PostgreSQL.

use futures::future::try_join_all;
use futures::{SinkExt, StreamExt};
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Statement};

const USAGE: &str = "\
usage: cargo xtask bench-server [--keys N] [--rows N] [--seconds N] [--connections N] [--inserts N] [--beside CONNECTION] [--in DIRECTORY]
  --keys N             rows of the view that is looked up (default 1,000,000)
  --rows N             rows of one SELECT (default 200,000)
  --seconds N          how long each load lasts (default 10)
  --connections N      clients at once (default 16)
  --inserts N          inserts a second (default 1,000)
  --beside CONNECTION  another server, which the same rows are copied to and read from ('host=127.0.0.1 port=5432 user=postgres')
  --in DIRECTORY       where the server's directory is made (default: the system's directory for temporary files)";

type Fault = Box<dyn Error + Send + Sync>;

#[derive(Clone)]
struct Options {
    keys: i64,
    rows: i64,
    seconds: u64,
    connections: usize,
    inserts: u64,
    beside: Option<String>,
    within: PathBuf,
}

fn main() -> ExitCode {
    match options(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-server: {error}\n{USAGE}");
            ExitCode::FAILURE
        }
    }
}

fn options(mut args: impl Iterator<Item = String>) -> Result<Options, Fault> {
    let mut options = Options {
        keys: 1_000_000,
        rows: 200_000,
        seconds: 10,
        connections: 16,
        inserts: 1_000,
        beside: None,
        within: std::env::temp_dir(),
    };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("'{arg}' needs a value"));
        match arg.as_str() {
            "--keys" => options.keys = value()?.parse()?,
            "--rows" => options.rows = value()?.parse()?,
            "--seconds" => options.seconds = value()?.parse()?,
            "--connections" => options.connections = value()?.parse()?,
            "--inserts" => options.inserts = value()?.parse()?,
            "--beside" => options.beside = Some(value()?),
            "--in" => options.within = value()?.into(),
            other => return Err(format!("'{other}' is not known").into()),
        }
    }
    Ok(options)
}

#[tokio::main(flavor = "current_thread")]
async fn run(options: &Options) -> Result<(), Fault> {
    let directory = tempfile::tempdir_in(&options.within)?;
    let begun = Instant::now();
    let server = Server::start(directory.path())?;
    println!("server listens after {:.0} ms", begun.elapsed().as_secs_f64() * 1e3);
    let at = format!("host=127.0.0.1 port={} user=root dbname=dev", server.port);
    everyday(&at).await?;
    copied(&at, "eddyline", options.keys).await?;
    looked_up(&at, options).await?;
    selected(&at, "eddyline", options.rows).await?;
    if let Some(beside) = &options.beside {
        copied(beside, "beside", options.keys).await?;
        selected(beside, "beside", options.rows).await?;
    }
    inserted(&at, options).await
}

/// The binary, which ends with this.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start(directory: &Path) -> Result<Self, Fault> {
        let binary = std::env::current_exe()?.with_file_name("eddyline");
        let mut process = Command::new(&binary)
            .args(["serve", "--listen", "127.0.0.1:0", "--no-http", "--data-dir"])
            .arg(directory)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("{}: {e}", binary.display()))?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
        Ok(Self { port: port.ok_or_else(|| format!("the server said {line:?}"))?, process })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn client(at: &str) -> Result<Client, Fault> {
    let (client, connection) = tokio_postgres::connect(at, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Statements as one types them while views run, 100 of them, one after the other.
async fn everyday(at: &str) -> Result<(), Fault> {
    let client = client(at).await?;
    let begun = Instant::now();
    let mut statements = 0;
    for round in 0..10 {
        let texts = [
            format!("CREATE TABLE e{round} (k INT PRIMARY KEY, g INT, x INT)"),
            format!("INSERT INTO e{round} VALUES (1, 1, 10), (2, 1, 20), (3, 2, 30)"),
            format!("CREATE MATERIALIZED VIEW s{round} AS SELECT g, SUM(x) AS total FROM e{round} GROUP BY g"),
            format!("CREATE MATERIALIZED VIEW m{round} AS SELECT MAX(total) AS most FROM s{round}"),
            format!("INSERT INTO e{round} VALUES (4, 2, 40)"),
            "FLUSH".to_owned(),
            format!("SELECT * FROM s{round} ORDER BY g"),
            format!("DELETE FROM e{round} WHERE k = 1"),
            format!("SELECT * FROM m{round}"),
            match round {
                0 => format!("SELECT COUNT(*) FROM e{round}"),
                _ => format!("DROP TABLE e{} CASCADE", round - 1),
            },
        ];
        for text in &texts {
            client.simple_query(text).await.map_err(|e| format!("{text}: {e}"))?;
            statements += 1;
        }
    }
    println!("{statements} everyday statements: {:.2} s", begun.elapsed().as_secs_f64());
    Ok(())
}

/// Fills a table by COPY.
async fn copied(at: &str, whose: &str, keys: i64) -> Result<(), Fault> {
    let client = client(at).await?;
    client.batch_execute("CREATE TABLE copied (k BIGINT PRIMARY KEY, g INT, x BIGINT, name TEXT)").await?;
    let begun = Instant::now();
    let mut sink = pin!(client.copy_in("COPY copied FROM STDIN").await?);
    let mut text = String::new();
    for key in 0..keys {
        text.push_str(&format!("{key}\t{}\t{}\tname of {key}\n", key % 1000, key * 7));
        if text.len() > 1 << 16 || key + 1 == keys {
            sink.send(bytes::Bytes::from(std::mem::take(&mut text))).await?;
        }
    }
    let rows = sink.finish().await?;
    println!("{whose}: COPY of {rows} rows: {:.0} rows/s", rate(rows, begun.elapsed()));
    Ok(())
}

/// Looks single rows up in a view: as many as go, then so many a second.
async fn looked_up(at: &str, options: &Options) -> Result<(), Fault> {
    let begun = Instant::now();
    let one = client(at).await?;
    one.batch_execute("CREATE MATERIALIZED VIEW found AS SELECT k, COUNT(*) AS n, MAX(x) AS x FROM copied GROUP BY k")
        .await?;
    println!("a view of {} groups made: {:.1} s", options.keys, begun.elapsed().as_secs_f64());
    let lookup = "SELECT k, n, x FROM found WHERE k = $1";
    let clients = clients(at, options.connections, lookup).await?;
    let all = Load { every: None, lasts: Duration::from_secs(options.seconds) };
    println!(
        "look-ups, {} connections, as many as go: {}",
        clients.len(),
        all.run(&clients, by_key(options.keys)).await?
    );
    let paced = Load { every: Some(Duration::from_secs(1) / 5000), ..all };
    println!("look-ups, 5,000 a second: {}", paced.run(&clients, by_key(options.keys)).await?);
    Ok(())
}

/// A key that is there, for each request.
fn by_key(keys: i64) -> impl Fn(i64) -> i64 + Copy {
    move |request| request.wrapping_mul(7_919_113) % keys
}

/// Reads many rows by one statement.
async fn selected(at: &str, whose: &str, rows: i64) -> Result<(), Fault> {
    let client = client(at).await?;
    let statement = client.prepare("SELECT k, g, x, name FROM copied WHERE k < $1").await?;
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let begun = Instant::now();
        let parameters: [&(dyn ToSql + Sync); 1] = [&rows];
        let mut stream = pin!(client.query_raw(&statement, parameters).await?);
        let mut found = 0;
        while let Some(row) = stream.next().await {
            row?;
            found += 1;
        }
        if found != rows {
            return Err(format!("{found} rows instead of {rows}").into());
        }
        best = best.min(begun.elapsed());
    }
    println!("{whose}: SELECT of {rows} rows, the best of 5: {:.0} rows/s", rate(rows as u64, best));
    Ok(())
}

/// Inserts single rows under three views, each over the one before; a statement returns when all contain its row.
async fn inserted(at: &str, options: &Options) -> Result<(), Fault> {
    let one = client(at).await?;
    one.batch_execute(
        "CREATE TABLE events (k BIGINT PRIMARY KEY, g BIGINT, x BIGINT);
         CREATE MATERIALIZED VIEW first AS SELECT k, g, x + 1 AS x FROM events WHERE x >= 0;
         CREATE MATERIALIZED VIEW second AS SELECT g, COUNT(*) AS n, SUM(x) AS total FROM first GROUP BY g;
         CREATE MATERIALIZED VIEW third AS SELECT n, COUNT(*) AS groups FROM second GROUP BY n",
    )
    .await?;
    let insert = "INSERT INTO events VALUES ($1, $1 % 100, $1)";
    let next = Arc::new(AtomicI64::new(0));
    let clients = clients(at, options.connections, insert).await?;
    let fresh = |_| next.fetch_add(1, Ordering::Relaxed);
    let lasts = Duration::from_secs(options.seconds);
    let paced = Load { every: Some(Duration::from_secs(1) / options.inserts as u32), lasts };
    println!("insert to visible in three views, {} a second: {}", options.inserts, paced.run(&clients, fresh).await?);
    let all = Load { every: None, lasts };
    println!("the same, as many as go: {}", all.run(&clients, fresh).await?);
    let (sent, seen) = (next.load(Ordering::Relaxed), one.query_one("SELECT SUM(n)::BIGINT FROM second", &[]).await?);
    match seen.get::<_, i64>(0) == sent {
        true => Ok(()),
        false => Err(format!("{sent} rows were inserted, and the views have {:?}", seen.get::<_, i64>(0)).into()),
    }
}

async fn clients(at: &str, number: usize, sql: &str) -> Result<Vec<(Client, Statement)>, Fault> {
    let prepared = |_| async move {
        let client = client(at).await?;
        let statement = client.prepare(sql).await?;
        Ok::<_, Fault>((client, statement))
    };
    try_join_all((0..number).map(prepared)).await
}

/// Requests of a kind by several clients at once.
struct Load {
    /// When the next request is due, whoever makes it; `None`: each client makes the next when it has its answer.
    every: Option<Duration>,
    lasts: Duration,
}

impl Load {
    async fn run(&self, clients: &[(Client, Statement)], parameter: impl Fn(i64) -> i64) -> Result<Latencies, Fault> {
        let (begun, next) = (Instant::now(), AtomicI64::new(0));
        let (next, parameter) = (&next, &parameter);
        let one = async |(client, statement): &(Client, Statement)| {
            let mut latencies = Vec::new();
            loop {
                let request = next.fetch_add(1, Ordering::Relaxed);
                let due = match self.every {
                    Some(every) => begun + every * request as u32,
                    None => Instant::now(),
                };
                if due.duration_since(begun) >= self.lasts {
                    return Ok::<_, Fault>(latencies);
                }
                tokio::time::sleep_until(due.into()).await;
                client.query(statement, &[&parameter(request)]).await?;
                latencies.push(due.elapsed());
            }
        };
        let all = try_join_all(clients.iter().map(one)).await?;
        let mut all: Vec<Duration> = all.into_iter().flatten().collect();
        all.sort_unstable();
        Ok(Latencies { all, took: begun.elapsed() })
    }
}

/// How long requests took, in ascending order.
struct Latencies {
    all: Vec<Duration>,
    took: Duration,
}

impl std::fmt::Display for Latencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = |part: f64| {
            let place = ((self.all.len() as f64 * part) as usize).min(self.all.len().saturating_sub(1));
            self.all.get(place).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
        };
        let rate = rate(self.all.len() as u64, self.took);
        write!(f, "{rate:.0}/s, p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms", at(0.5), at(0.99), at(1.0))
    }
}

fn rate(what: u64, took: Duration) -> f64 {
    what as f64 / took.as_secs_f64()
}
