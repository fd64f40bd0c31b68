//! Statements that make what takes long to compute: they say how far they are, can be cancelled, and nobody else waits for them.

use eddyline_engine::{Engine, EngineConfig};
use eddyline_server::{ServerConfig, bind};
use futures::{FutureExt, StreamExt, stream};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Client, NoTls, SimpleQueryMessage};

struct Bench {
    parameters: String,
    jobs: Option<tokio::runtime::Runtime>,
}

impl Bench {
    async fn new() -> Self {
        let jobs = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let jobs = jobs.expect("a runtime");
        let engine = Engine::new(EngineConfig { shards: 2, ..EngineConfig::new(jobs.handle().clone()) });
        let attention = Duration::from_millis(20);
        let config = ServerConfig { attention, ..ServerConfig::new(([127, 0, 0, 1], 0).into()) };
        let bound = bind(engine.instance(), &config).await.expect("a port");
        let parameters = format!("host=127.0.0.1 port={} user=root dbname=dev", bound.address().expect("one").port());
        tokio::spawn(bound.serve());
        Self { parameters, jobs: Some(jobs) }
    }

    /// A client, and the notices that it is sent.
    async fn client(&self) -> (Client, mpsc::UnboundedReceiver<String>) {
        let (client, mut connection) = tokio_postgres::connect(&self.parameters, NoTls).await.expect("a connection");
        let (send, notices) = mpsc::unbounded_channel();
        let mut messages = stream::poll_fn(move |cx| connection.poll_message(cx));
        tokio::spawn(async move {
            while let Some(Ok(message)) = messages.next().await {
                if let AsyncMessage::Notice(notice) = message {
                    let _ = send.send(notice.message().to_owned());
                }
            }
        });
        (client, notices)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.jobs.take().into_iter().for_each(tokio::runtime::Runtime::shutdown_background);
    }
}

/// The rows of the last statement of a query.
async fn rows(client: &Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).await.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            let cells = (0..row.len()).map(|at| row.get(at).unwrap_or("NULL"));
            Some(cells.collect::<Vec<_>>().join("|"))
        }
        _ => None,
    };
    messages.iter().filter_map(row).collect()
}

/// The jobs that there are: name, status, percent.
async fn jobs(client: &Client) -> Vec<(String, String, Option<u64>)> {
    let messages = client.simple_query("SHOW JOBS").await.expect("jobs");
    let job = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            let text = |column| row.get(column).unwrap_or_default().to_owned();
            Some((text("name"), text("status"), row.get("percent").map(|percent| percent.parse().expect("a number"))))
        }
        _ => None,
    };
    messages.iter().filter_map(job).collect()
}

/// Runs a statement that goes on until it is cancelled; what others do meanwhile, as soon as a job is there that it makes.
async fn during(bench: &Bench, sql: &str, status: &str, name: &str) -> (Option<u64>, Vec<String>) {
    let (maker, mut notices) = bench.client().await;
    let (other, _) = bench.client().await;
    let cancel = maker.cancel_token();
    let making = maker.simple_query(sql);
    let meanwhile = async {
        let percent = loop {
            let found = jobs(&other).await.into_iter().find(|job| (job.0.as_str(), job.1.as_str()) == (name, status));
            if let Some((_, _, percent)) = found {
                break percent;
            }
            tokio::task::yield_now().await;
        };
        // Reading what it reads, and everything about objects that have nothing to do with it.
        assert_eq!(rows(&other, "SELECT COUNT(*) FROM few").await, ["800"]);
        assert_eq!(rows(&other, "INSERT INTO t VALUES (4); SELECT n FROM sums").await, ["10"]);
        assert_eq!(rows(&other, "CREATE TABLE u (n INT); INSERT INTO u VALUES (7); SELECT n FROM u").await, ["7"]);
        let made = "CREATE MATERIALIZED VIEW twice AS SELECT n * 2 AS n FROM u; SELECT n FROM twice";
        assert_eq!(rows(&other, made).await, ["14"]);
        assert_eq!(rows(&other, "CREATE VIEW v AS SELECT n FROM t; SELECT MAX(n) FROM v").await, ["4"]);
        let numbers = "CREATE SOURCE s (n INT) WITH ('connector' = 'datagen', 'number-of-rows' = '3'); DROP SOURCE s";
        rows(&other, numbers).await;
        rows(&other, "DROP VIEW v; DROP TABLE u CASCADE; DELETE FROM t WHERE n = 4").await;
        percent
    };
    let (making, percent) = tokio::join!(
        async {
            let failed = making.await.expect_err("it does not end by itself");
            failed.as_db_error().expect("an error of the server").code().code().to_owned()
        },
        async {
            let percent = meanwhile.await;
            cancel.cancel_query(NoTls).await.expect("asked");
            percent
        }
    );
    assert_eq!(making, "57014", "{sql}");
    assert!(jobs(&other).await.iter().all(|job| job.0 != name), "nothing is left of it");
    // Whoever reads has read; now the tables may be changed again.
    assert_eq!(rows(&other, "UPDATE few SET n = n; SELECT COUNT(*) FROM few").await, ["800"]);
    let mut told = Vec::new();
    while let Some(Some(notice)) = notices.recv().now_or_never() {
        told.push(notice);
    }
    (percent, told)
}

const MADE: &str = "CREATE TABLE few AS SELECT CAST(n AS INT) AS n FROM generate_series(1, 800) AS s(n);
    CREATE TABLE t (n INT); INSERT INTO t VALUES (1), (2), (3);
    CREATE MATERIALIZED VIEW sums AS SELECT SUM(n) AS n FROM t;
    CREATE SOURCE numbers (n INT) WITH ('connector' = 'datagen', 'rows-per-second' = '10', 'number-of-rows' = '1000000')";

#[tokio::test(flavor = "multi_thread")]
async fn a_view_over_tables_says_how_far_it_is() {
    let bench = Bench::new().await;
    rows(&bench.client().await.0, MADE).await;
    let sql = "CREATE MATERIALIZED VIEW counted AS SELECT MAX(a.n + b.n * c.n - d.n * e.n) AS n FROM few a, few b, few c, few d, few e";
    let (percent, told) = during(&bench, sql, "CREATING", "materialized view counted").await;
    assert!(percent.is_some_and(|percent| percent <= 100), "{percent:?}");
    let last = told.last().expect("a notice");
    assert!(last.starts_with("materialized view counted: ") && last.contains(" rows read ("), "{last}");
    // The name is free.
    rows(&bench.client().await.0, "CREATE MATERIALIZED VIEW counted AS SELECT COUNT(*) AS n FROM few").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_over_a_source_says_how_many_rows_it_has_read() {
    let bench = Bench::new().await;
    rows(&bench.client().await.0, MADE).await;
    let sql = "CREATE MATERIALIZED VIEW counted AS SELECT COUNT(*) AS n FROM numbers";
    let (percent, told) = during(&bench, sql, "CREATING", "materialized view counted").await;
    assert_eq!(percent, None);
    let last = told.last().expect("a notice");
    assert!(last.starts_with("materialized view counted: ") && last.ends_with(" rows read"), "{last}");
}

/// Who goes away without a word takes along what was not made yet, whether the server has noticed by reading or by telling how far it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_leaves_no_view_half_made() {
    let bench = Bench::new().await;
    let (other, _) = bench.client().await;
    rows(&other, MADE).await;
    let long = "SELECT MAX(a.n + b.n * c.n - d.n * e.n) AS n FROM few a, few b, few c, few d, few e";
    for query in [long, "SELECT COUNT(*) AS n FROM numbers"] {
        let (maker, connection) = tokio_postgres::connect(&bench.parameters, NoTls).await.expect("a connection");
        let connection = tokio::spawn(connection);
        let sql = format!("CREATE MATERIALIZED VIEW counted AS {query}");
        let making = tokio::spawn(async move { maker.simple_query(&sql).await });
        let is_made = |jobs: Vec<(String, String, Option<u64>)>| jobs.iter().any(|job| job.0.ends_with("view counted"));
        while !is_made(jobs(&other).await) {
            tokio::task::yield_now().await;
        }
        connection.abort();
        making.await.expect("it ends").expect_err("the connection is gone");
        while is_made(jobs(&other).await) {
            tokio::task::yield_now().await;
        }
        rows(&other, "CREATE MATERIALIZED VIEW counted AS SELECT 1 AS n FROM few; DROP MATERIALIZED VIEW counted")
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_is_waited_for_is_a_job_and_holds_nobody_up() {
    let bench = Bench::new().await;
    rows(&bench.client().await.0, MADE).await;
    let sql = "CREATE SINK out AS SELECT n FROM numbers WITH ('connector' = 'blackhole')";
    let (percent, told) = during(&bench, sql, "RUNNING", "out").await;
    assert_eq!(percent, None);
    let last = told.last().expect("a notice");
    assert!(last.starts_with("sink out: ") && last.ends_with(" rows read"), "{last}");
    let (client, _) = bench.client().await;
    let into = "CREATE TABLE answer (n BIGINT, PRIMARY KEY (n));
        CREATE SINK out INTO answer AS SELECT MAX(a.n + b.n * c.n - d.n * e.n) AS n FROM few a, few b, few c, few d, few e";
    let (percent, told) = {
        rows(&client, "CREATE TABLE answer (n BIGINT, PRIMARY KEY (n))").await;
        during(&bench, into.split_once(';').expect("two").1.trim(), "CREATING", "sink out").await
    };
    assert!(percent.is_some() && told.iter().any(|notice| notice.starts_with("sink out: ")), "{told:?}");
    assert_eq!(rows(&client, "SELECT COUNT(*) FROM answer").await, ["0"]);
}
