//! Clients that follow what changes: SUBSCRIBE, and cursors over subscriptions.

use eddyline_engine::{Engine, EngineConfig};
use eddyline_server::{ServerConfig, bind};
use futures::Stream;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls, RowStream, SimpleQueryMessage};

/// How long a change may take to arrive before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server; its jobs run on a runtime of their own.
struct Bench {
    port: u16,
    jobs: Option<tokio::runtime::Runtime>,
}

impl Bench {
    async fn new() -> Self {
        let jobs =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let engine = Engine::new(EngineConfig { shards: 1, ..EngineConfig::new(jobs.handle().clone()) });
        let bound = bind(engine.instance(), &ServerConfig::new(([127, 0, 0, 1], 0).into())).await.expect("a port");
        let port = bound.address().expect("an address").port();
        tokio::spawn(bound.serve());
        Self { port, jobs: Some(jobs) }
    }

    async fn client(&self) -> Client {
        let at = format!("host=127.0.0.1 port={} user=root dbname=dev", self.port);
        let (client, connection) = tokio_postgres::connect(&at, NoTls).await.expect("a connection");
        tokio::spawn(connection);
        client
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.jobs.take().into_iter().for_each(tokio::runtime::Runtime::shutdown_background);
    }
}

const VIEWS: &str = "CREATE TABLE t (k INT PRIMARY KEY, v BIGINT);
    CREATE MATERIALIZED VIEW s AS SELECT v, COUNT(*) AS n FROM t GROUP BY v;
    INSERT INTO t VALUES (1, 10), (2, 20)";

/// Epoch, weight, v and n of the next row.
async fn next(rows: &mut Pin<Box<RowStream>>) -> Result<(i64, i64, i64, i64), tokio_postgres::Error> {
    let row = tokio::time::timeout(PATIENCE, poll_fn(|cx| rows.as_mut().poll_next(cx))).await.expect("in time");
    row.expect("it does not end").map(|row| (row.get(0), row.get(1), row.get(2), row.get(3)))
}

async fn follow(client: &Client, sql: &str) -> Pin<Box<RowStream>> {
    Box::pin(client.query_raw(sql, std::iter::empty::<i64>()).await.expect("a subscription"))
}

/// What a simple query answers: rows as texts, and numbers of rows of what is done.
async fn simple(client: &Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).await.expect("a query");
    let shown = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            let cell = |at| row.get(at).unwrap_or("NULL").to_owned();
            Some((0..row.len()).map(cell).collect::<Vec<_>>().join("|"))
        }
        SimpleQueryMessage::CommandComplete(rows) => Some(format!("={rows}")),
        _ => None,
    });
    shown.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_come_epoch_by_epoch_behind_the_rows_that_are_there() {
    let bench = Bench::new().await;
    let (reader, writer) = (bench.client().await, bench.client().await);
    writer.batch_execute(VIEWS).await.unwrap();
    let mut rows = follow(&reader, "SUBSCRIBE TO s").await;
    let (one, two) = (next(&mut rows).await.unwrap(), next(&mut rows).await.unwrap());
    let first = one.0;
    assert_eq!([one, two], [(first, 1, 10, 1), (first, 1, 20, 1)]);
    // One statement is one epoch: the one group goes, the other changes.
    writer.batch_execute("UPDATE t SET v = 20 WHERE k = 1").await.unwrap();
    let mut changes =
        vec![next(&mut rows).await.unwrap(), next(&mut rows).await.unwrap(), next(&mut rows).await.unwrap()];
    changes.sort_unstable();
    let epoch = changes[0].0;
    assert!(epoch > first);
    assert_eq!(changes, [(epoch, -1, 10, 1), (epoch, -1, 20, 1), (epoch, 1, 20, 2)]);
    // What changes nothing in the view is no epoch of it.
    writer.batch_execute("UPDATE t SET v = v; INSERT INTO t VALUES (3, 30)").await.unwrap();
    let last = next(&mut rows).await.unwrap();
    assert!(last.0 > epoch);
    assert_eq!((last.1, last.2, last.3), (1, 30, 1));
    writer.batch_execute("DROP MATERIALIZED VIEW s").await.unwrap();
    let error = next(&mut rows).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE));
    // The connection goes on.
    assert_eq!(simple(&reader, "SELECT COUNT(*) FROM t").await, ["3", "=1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_without_its_rows_is_cancelled() {
    let bench = Bench::new().await;
    let (reader, writer) = (bench.client().await, bench.client().await);
    writer.batch_execute(VIEWS).await.unwrap();
    let mut rows = follow(&reader, "SUBSCRIBE s WITH (snapshot = false)").await;
    writer.batch_execute("INSERT INTO t VALUES (3, 30)").await.unwrap();
    let (_, weight, v, n) = next(&mut rows).await.unwrap();
    assert_eq!((weight, v, n), (1, 30, 1));
    reader.cancel_token().cancel_query(NoTls).await.unwrap();
    assert_eq!(next(&mut rows).await.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));
    assert_eq!(simple(&reader, "SELECT 1").await, ["1", "=1"]);
    for (sql, code) in [
        ("SUBSCRIBE TO nothing", SqlState::UNDEFINED_TABLE),
        ("SUBSCRIBE TO (SELECT 1)", SqlState::FEATURE_NOT_SUPPORTED),
        ("SUBSCRIBE TO s WITH (progress)", SqlState::FEATURE_NOT_SUPPORTED),
    ] {
        assert_eq!(reader.simple_query(sql).await.unwrap_err().code(), Some(&code), "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_hand_out_what_has_come() {
    let bench = Bench::new().await;
    let (reader, writer) = (bench.client().await, bench.client().await);
    writer.batch_execute(VIEWS).await.unwrap();
    let declared = "DECLARE all_of_it SUBSCRIPTION CURSOR FOR s FULL; DECLARE changes SUBSCRIPTION CURSOR FOR s";
    simple(&reader, declared).await;
    assert_eq!(simple(&reader, "FETCH ALL FROM changes").await, ["=0"]);
    let first = simple(&reader, "FETCH NEXT FROM all_of_it").await;
    assert!(first[0].ends_with("|1|10|1") && first[1] == "=1", "{first:?}");
    writer.batch_execute("DELETE FROM t WHERE k = 1").await.unwrap();
    let rest = simple(&reader, "FETCH 5 FROM all_of_it").await;
    let told: Vec<&str> = rest.iter().map(|row| row.split_once('|').map_or(row.as_str(), |(_, told)| told)).collect();
    assert_eq!(told, ["1|20|1", "-1|10|1", "=2"]);
    // Where nothing is there, it waits for as long as it is told to.
    let fetched = tokio::spawn(async move {
        let rows = simple(&reader, "FETCH 1 FROM changes; FETCH 1 FROM changes WITH (timeout = '60s')").await;
        (reader, rows)
    });
    writer.batch_execute("INSERT INTO t VALUES (4, 40)").await.unwrap();
    let (reader, rows) = tokio::time::timeout(PATIENCE, fetched).await.unwrap().unwrap();
    assert!(rows[0].ends_with("|-1|10|1") && rows[2].ends_with("|1|40|1"), "{rows:?}");
    for (sql, code) in [
        ("FETCH 1 FROM nothing", SqlState::INVALID_CURSOR_NAME),
        ("DECLARE changes SUBSCRIPTION CURSOR FOR s", SqlState::DUPLICATE_CURSOR),
        ("DECLARE c CURSOR FOR SELECT 1", SqlState::NO_ACTIVE_SQL_TRANSACTION),
        ("BEGIN; DECLARE changes CURSOR FOR SELECT 1", SqlState::DUPLICATE_CURSOR),
        ("ROLLBACK; MOVE 1 FROM changes", SqlState::INVALID_CURSOR_NAME),
        ("CLOSE nothing", SqlState::INVALID_CURSOR_NAME),
    ] {
        assert_eq!(reader.simple_query(sql).await.unwrap_err().code(), Some(&code), "{sql}");
    }
    simple(&reader, "CLOSE changes; CLOSE ALL").await;
    assert_eq!(
        reader.simple_query("FETCH 1 FROM all_of_it").await.unwrap_err().code(),
        Some(&SqlState::INVALID_CURSOR_NAME)
    );
}
