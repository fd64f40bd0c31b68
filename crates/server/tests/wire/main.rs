//! Clients of the wire, with a driver: statements, types both ways, portals, errors, cancelling.

mod prepared;
mod transactions;
mod values;

use eddyline_engine::{Engine, EngineConfig};
use eddyline_server::{Farewell, ServerConfig, bind};
use futures::SinkExt;
use std::net::SocketAddr;
use std::time::Duration;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// A server, and how to reach it.
struct Bench {
    address: SocketAddr,
    farewell: Farewell,
    jobs: Option<tokio::runtime::Runtime>,
}

impl Bench {
    async fn new() -> Self {
        let jobs = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let jobs = jobs.expect("a runtime");
        let engine = Engine::new(EngineConfig { shards: 2, ..EngineConfig::new(jobs.handle().clone()) });
        let config = ServerConfig::new(([127, 0, 0, 1], 0).into());
        let bound = bind(engine.instance(), &config).await.expect("a port");
        let (address, farewell) = (bound.address().expect("an address"), bound.farewell());
        tokio::spawn(bound.serve());
        Self { address, farewell, jobs: Some(jobs) }
    }

    fn parameters(&self) -> String {
        format!("host=127.0.0.1 port={} user=root dbname=dev", self.address.port())
    }

    async fn client(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.parameters(), NoTls).await.expect("a connection");
        tokio::spawn(connection);
        client
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.jobs.take().into_iter().for_each(tokio::runtime::Runtime::shutdown_background);
    }
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
async fn tables_views_and_changes_over_several_connections() {
    let bench = Bench::new().await;
    let (one, two) = (bench.client().await, bench.client().await);
    let made = "CREATE TABLE t (k BIGINT, v STRING, PRIMARY KEY (k) NOT ENFORCED); INSERT INTO t VALUES (1, 'a'), (2, NULL), (3, 'c')";
    assert_eq!(simple(&one, made).await, ["=0", "=3"]);
    assert_eq!(simple(&two, "CREATE MATERIALIZED VIEW n AS SELECT COUNT(*) AS n FROM t").await, ["=0"]);
    assert_eq!(
        simple(&one, "SELECT k, v FROM t ORDER BY k; SELECT n FROM n").await,
        ["1|a", "2|NULL", "3|c", "=3", "3", "=1"]
    );
    assert_eq!(simple(&two, "UPDATE t SET v = 'x' WHERE k > 1; DELETE FROM t WHERE k = 1").await, ["=2", "=1"]);
    assert_eq!(simple(&one, "SELECT n FROM n").await, ["2", "=1"]);
    assert_eq!(simple(&one, "SELECT k FROM t ORDER BY k LIMIT 1 OFFSET 1").await, ["3", "=1"]);
    assert_eq!(simple(&one, " -- nothing").await, ["=0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_described_before_they_are_sent() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    client
        .batch_execute("CREATE TABLE t (d DATE, ts TIMESTAMP(3), tz TIMESTAMP_LTZ(3), p DECIMAL(10, 2), a ARRAY<INT>)")
        .await
        .unwrap();
    let statement = client.prepare("SELECT d, ts, tz, p, a FROM t WHERE p = $1 ORDER BY d LIMIT $2").await.unwrap();
    assert_eq!(statement.params(), [Type::NUMERIC, Type::INT8]);
    let columns: Vec<(&str, Type)> = statement.columns().iter().map(|c| (c.name(), c.type_().clone())).collect();
    let expected = [
        ("d", Type::DATE),
        ("ts", Type::TIMESTAMP),
        ("tz", Type::TIMESTAMPTZ),
        ("p", Type::NUMERIC),
        ("a", Type::INT4_ARRAY),
    ];
    assert_eq!(columns, expected);
    client
        .batch_execute(
            "INSERT INTO t VALUES (DATE '2024-02-29', TIMESTAMP '2024-02-29 12:00:00.5',
             CAST('2024-02-29 12:00:00' AS TIMESTAMP_LTZ(3)), 1.5, ARRAY[1, 2])",
        )
        .await
        .unwrap();
    let shown = ["2024-02-29|2024-02-29 12:00:00.5|2024-02-29 12:00:00+00|1.50|{1,2}", "=1"];
    assert_eq!(simple(&client, "SELECT * FROM t").await, shown);
    let list: Vec<i32> = client.query_one("SELECT a FROM t", &[]).await.unwrap().get(0);
    assert_eq!(list, [1, 2]);
    assert!(client.prepare("CREATE TABLE u (k INT)").await.unwrap().columns().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_gives_so_many_rows_as_it_is_asked_for() {
    let bench = Bench::new().await;
    let mut client = bench.client().await;
    client.batch_execute("CREATE TABLE t (k BIGINT); INSERT INTO t VALUES (1), (2), (3), (4), (5)").await.unwrap();
    let transaction = client.transaction().await.unwrap();
    let portal = transaction.bind("SELECT k FROM t WHERE k > $1 ORDER BY k", &[&1_i64]).await.unwrap();
    let mut counts = Vec::new();
    for rows in [3, 3, 3] {
        let rows = transaction.query_portal(&portal, rows).await.unwrap();
        counts.push(rows.iter().map(|row| row.get(0)).collect::<Vec<i64>>());
    }
    assert_eq!(counts, [vec![2, 3, 4], vec![5], vec![]]);
    transaction.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_says_what_and_where_and_the_connection_goes_on() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    let error = client.simple_query("SELECT 1 AS one;\nSELECT * FROM nothing").await.unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code(), &SqlState::UNDEFINED_TABLE);
    assert_eq!(error.position(), Some(&tokio_postgres::error::ErrorPosition::Original(32)));
    let error = client.simple_query("SELEC 1").await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::SYNTAX_ERROR));
    assert_eq!(client.prepare("SELECT * FROM nothing").await.unwrap_err().code(), Some(&SqlState::UNDEFINED_TABLE));
    client
        .batch_execute("CREATE TABLE t (k BIGINT, PRIMARY KEY (k) NOT ENFORCED); INSERT INTO t VALUES (1)")
        .await
        .unwrap();
    let twice = client.execute("INSERT INTO t VALUES (1) ON CONFLICT DO ERROR", &[]).await.unwrap_err();
    assert_eq!(twice.code(), Some(&SqlState::UNIQUE_VIOLATION));
    let twice = twice.as_db_error().unwrap();
    assert_eq!(twice.message(), "duplicate key value violates unique constraint \"t_pkey\"");
    assert_eq!(twice.detail(), Some("Key (k)=(1) already exists."));
    assert_eq!(broken(twice), [Some("public"), Some("t"), None, Some("t_pkey")]);
    assert_eq!(client.query_one("SELECT k FROM t", &[]).await.unwrap().get::<_, i64>(0), 1);
    client.batch_execute("CREATE TABLE strict (k BIGINT NOT NULL, n BIGINT)").await.unwrap();
    for sql in ["INSERT INTO strict VALUES (NULL, 1)", "INSERT INTO strict SELECT NULLIF(k, 1), 1 FROM t"] {
        let null = client.simple_query(sql).await.unwrap_err();
        assert_eq!(null.code(), Some(&SqlState::NOT_NULL_VIOLATION), "{sql}");
        let message = null.as_db_error().unwrap().message();
        assert_eq!(message, "column k of table strict is NOT NULL and got a NULL");
        assert_eq!(broken(null.as_db_error().unwrap()), [Some("public"), Some("strict"), Some("k"), None], "{sql}");
    }
    client
        .batch_execute("CREATE TABLE codes (a INT PRIMARY KEY, b INT UNIQUE); INSERT INTO codes VALUES (1, 1)")
        .await
        .unwrap();
    client.batch_execute("CREATE SCHEMA s; ALTER TABLE codes RENAME TO words").await.unwrap();
    let twice = client.batch_execute("INSERT INTO words VALUES (2, 1)").await.unwrap_err();
    assert_eq!(broken(twice.as_db_error().unwrap()), [Some("public"), Some("words"), None, Some("codes_b_key")]);
    let alike =
        client.batch_execute("INSERT INTO words VALUES (2, 2); UPDATE words SET b = 2 WHERE a = 1").await.unwrap_err();
    assert_eq!(broken(alike.as_db_error().unwrap()), [Some("public"), Some("words"), None, Some("codes_b_key")]);
    let left_out = client.batch_execute("INSERT INTO strict (n) VALUES (1)").await.unwrap_err();
    assert_eq!(broken(left_out.as_db_error().unwrap()), [Some("public"), Some("strict"), Some("k"), None]);
}

/// Schema, table, column and name of the constraint that rows break; these errors have no place in their statement.
fn broken(error: &tokio_postgres::error::DbError) -> [Option<&str>; 4] {
    assert_eq!(error.position(), None);
    [error.schema(), error.table(), error.column(), error.constraint()]
}

#[tokio::test(flavor = "multi_thread")]
async fn returning_answers_rows_and_defaults_fill_them() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    client.batch_execute("CREATE TABLE t (k BIGINT PRIMARY KEY, v TEXT DEFAULT 'x', n INT)").await.unwrap();
    let insert = client.prepare("INSERT INTO t (k, n) VALUES ($1, $2) RETURNING k, v || $3 AS w").await.unwrap();
    let columns: Vec<(&str, Type)> = insert.columns().iter().map(|c| (c.name(), c.type_().clone())).collect();
    assert_eq!(columns, [("k", Type::INT8), ("w", Type::TEXT)]);
    let row = client.query_one(&insert, &[&1_i64, &7_i32, &"!"]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, &str>(1)), (1, "x!"));
    assert_eq!(
        simple(&client, "UPDATE t SET n = n + 1 RETURNING n; DELETE FROM t RETURNING *").await,
        ["8", "=1", "1|x|8", "=1"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn discarding_parts_leaves_the_rest() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    assert_eq!(
        simple(&client, "SET my.own TO 'it''s'; DISCARD PLANS; DISCARD SEQUENCES; SHOW my.own").await[3],
        "it's"
    );
    assert!(client.simple_query("DISCARD TEMP").await.is_err());
    client.batch_execute("DISCARD ALL").await.unwrap();
    assert!(client.simple_query("SHOW my.own").await.is_err());
}

/// What pools send when a connection comes back to them: asyncpg's before all.
#[tokio::test(flavor = "multi_thread")]
async fn a_pool_may_take_a_connection_back() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    let back = "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;";
    assert_eq!(simple(&client, &format!("SET my.own TO 'x'; {back}")).await, ["=0", "", "=1", "=0", "=0", "=0"]);
    assert!(client.simple_query("SHOW my.own").await.is_err());
    let refused = client.simple_query("LISTEN changes").await.expect_err("refused");
    assert_eq!(refused.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED));
}

/// Rows that were not inserted are not counted.
#[tokio::test(flavor = "multi_thread")]
async fn the_tag_of_an_insert_counts_what_it_has_inserted() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    client.batch_execute("CREATE TABLE t (k INT PRIMARY KEY); INSERT INTO t VALUES (1)").await.unwrap();
    let insert = "INSERT INTO t VALUES (1), (2), (2) ON CONFLICT DO NOTHING";
    assert_eq!(simple(&client, &format!("{insert}; {insert}")).await, ["=1", "=0"]);
    let prepared = client.prepare("INSERT INTO t VALUES ($1) ON CONFLICT (k) DO NOTHING").await.unwrap();
    assert_eq!(client.execute(&prepared, &[&2_i32]).await.unwrap(), 0);
    assert_eq!(client.execute(&prepared, &[&3_i32]).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_transaction_takes_nothing_until_it_ends() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    client.batch_execute("CREATE TABLE t (k BIGINT); BEGIN").await.unwrap();
    client.simple_query("SELECT * FROM nothing").await.unwrap_err();
    let left_out = client.simple_query("SELECT k FROM t").await.unwrap_err();
    assert_eq!(left_out.code(), Some(&SqlState::IN_FAILED_SQL_TRANSACTION));
    client.batch_execute("ROLLBACK; SELECT k FROM t").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_are_kept_and_shown() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    assert_eq!(simple(&client, "SET my.own TO 'x'; SHOW my.own").await, ["=0", "x", "=0"]);
    assert_eq!(simple(&client, "SHOW server_version").await[0], "15.0");
    assert_eq!(simple(&client, "SET client_encoding TO '''utf-8'''; SHOW client_encoding").await[1], "UTF8");
    assert!(client.simple_query("SET client_encoding TO 'latin1'").await.is_err());
    assert!(client.simple_query("SET client_encoding TO 'SQL_ASCII'").await.is_ok());
    // Dates are not read and written otherwise, so nobody is told that they are.
    for style in ["ISO", "ISO, MDY", "MDY", "iso,us"] {
        assert_eq!(simple(&client, &format!("SET DateStyle TO '{style}'; SHOW DateStyle")).await[1], "ISO, MDY");
    }
    for style in ["ISO, DMY", "German", "SQL, DMY", "YMD"] {
        let refused = client.simple_query(&format!("SET DateStyle TO '{style}'")).await.unwrap_err();
        assert_eq!(refused.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED), "{style}");
    }
    assert_eq!(simple(&client, "SET TIME ZONE 'Europe/Berlin'; SHOW TimeZone").await[1], "Europe/Berlin");
    assert_eq!(client.simple_query("SHOW nobody_knows").await.unwrap_err().code(), Some(&SqlState::UNDEFINED_OBJECT));
    assert_eq!(simple(&client, "SELECT current_database(), current_user").await[0], "dev|root");
    let version = client.query_one("SELECT version()", &[]).await.unwrap();
    assert_eq!(version.columns()[0].name(), "version");
    assert!(version.get::<_, String>(0).starts_with("PostgreSQL 15.0"));
}

const ENDLESS: &str = "CREATE TABLE endless (v BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '10')";
const SLOW: &str =
    "CREATE TABLE slow (v BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '1', 'number-of-rows' = '100000')";

#[tokio::test(flavor = "multi_thread")]
async fn a_select_without_an_end_is_refused() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    client.batch_execute(ENDLESS).await.unwrap();
    let error = client.simple_query("SELECT v FROM endless").await.unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code(), &SqlState::FEATURE_NOT_SUPPORTED);
    assert!(error.hint().unwrap().contains("CREATE MATERIALIZED VIEW"));
    assert_eq!(simple(&client, "SELECT 1 AS one FROM endless LIMIT 2").await, ["1", "1", "=2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_are_cancelled_by_clients_and_by_time() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    client.batch_execute(&format!("{SLOW}; CREATE TABLE t (v BIGINT)")).await.unwrap();
    let cancel = client.cancel_token();
    for sql in ["SELECT COUNT(*) FROM slow", "INSERT INTO t SELECT v FROM slow"] {
        let (ended, ()) = tokio::join!(client.simple_query(sql), async {
            // Before the statement has begun a cancel request means nothing, as in Postgres.
            tokio::time::sleep(Duration::from_millis(300)).await;
            cancel.cancel_query(NoTls).await.unwrap();
        });
        assert_eq!(ended.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));
    }
    client.batch_execute("SET statement_timeout = '100ms'").await.unwrap();
    let ended = client.simple_query("SELECT COUNT(*) FROM slow").await.unwrap_err();
    assert_eq!(ended.code(), Some(&SqlState::QUERY_CANCELED));
    assert!(ended.as_db_error().unwrap().message().contains("statement_timeout"));
    // Much work on little input, in every step: making the rows, keeping them, joining them.
    let huge = "SELECT SUM(a.v * b.v) FROM generate_series(1, 10000000) a(v), generate_series(1, 10000000) b(v)";
    let ended = client.simple_query(huge).await.unwrap_err();
    assert_eq!(ended.code(), Some(&SqlState::QUERY_CANCELED));
    client.batch_execute("RESET statement_timeout; INSERT INTO t VALUES (1)").await.unwrap();
}

/// While rows of COPY come, and between them, it can be cancelled; nothing of it is there then.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_cancelled_by_clients_and_by_time() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    client.batch_execute("CREATE TABLE t (v BIGINT)").await.unwrap();
    for by_time in [false, true] {
        if by_time {
            client.batch_execute("SET statement_timeout = '100ms'").await.unwrap();
        }
        let mut rows = Box::pin(client.copy_in("COPY t FROM STDIN").await.unwrap());
        rows.send(bytes::Bytes::from_static(b"1\n")).await.unwrap();
        if !by_time {
            client.cancel_token().cancel_query(NoTls).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        rows.send(bytes::Bytes::from_static(b"2\n")).await.unwrap();
        let ended = rows.as_mut().finish().await.unwrap_err();
        assert_eq!(ended.code(), Some(&SqlState::QUERY_CANCELED));
        assert_eq!(ended.as_db_error().unwrap().message().contains("statement_timeout"), by_time);
    }
    client.batch_execute("RESET statement_timeout").await.unwrap();
    let mut rows = Box::pin(client.copy_in("COPY t FROM STDIN").await.unwrap());
    rows.send(bytes::Bytes::from_static(b"3\n")).await.unwrap();
    assert_eq!(rows.as_mut().finish().await.unwrap(), 1);
    assert_eq!(simple(&client, "SELECT v FROM t").await, ["3", "=1"]);
}

/// Who is connected when the server ends is told so, also in the middle of a statement.
#[tokio::test(flavor = "multi_thread")]
async fn clients_are_told_that_the_server_ends() {
    let bench = Bench::new().await;
    let (idle, idles) = tokio_postgres::connect(&bench.parameters(), NoTls).await.unwrap();
    let idles = tokio::spawn(idles);
    let (busy, works) = tokio_postgres::connect(&bench.parameters(), NoTls).await.unwrap();
    let works = tokio::spawn(works);
    idle.batch_execute(SLOW).await.unwrap();
    let busy = tokio::spawn(async move {
        let ended = busy.simple_query("SELECT COUNT(*) FROM slow").await;
        (busy, ended)
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    bench.farewell.say();
    // A client that is dropped would hang up before it is told.
    let (_busy, ended) = busy.await.unwrap();
    assert!(ended.is_err());
    for connection in [idles, works] {
        let ended = tokio::time::timeout(Duration::from_secs(20), connection).await.expect("it ends").unwrap();
        assert_eq!(ended.unwrap_err().code(), Some(&SqlState::ADMIN_SHUTDOWN));
    }
}

/// Drivers quote the names that types have in Postgres' catalog.
#[tokio::test(flavor = "multi_thread")]
async fn names_of_types_may_have_quotes() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    let casts = r#"SELECT '1'::"int4" + 1, 'a'::pg_catalog."text", '1.5'::"pg_catalog"."float8", 'true'::"bool""#;
    assert_eq!(simple(&client, casts).await, ["2|a|1.5|t", "=1"]);
    assert!(client.simple_query(r#"SELECT 1::"INT4""#).await.is_err());
    assert!(client.simple_query(r#"SELECT 1::"integer""#).await.is_err());
}

/// What PostgreSQL 15 answers.
#[tokio::test(flavor = "multi_thread")]
async fn sizes_are_told_in_the_unit_that_fits() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    for (bytes, shown) in [
        (0, "0 bytes"),
        (10_239, "10239 bytes"),
        (10_240, "10 kB"),
        (1_234_567, "1206 kB"),
        (-1_234_567, "-1206 kB"),
        (10_485_247, "10239 kB"),
        (10_485_248, "10 MB"),
        (123_456_789_012, "115 GB"),
        (i64::MAX, "8192 PB"),
    ] {
        assert_eq!(simple(&client, &format!("SELECT pg_size_pretty({bytes}::bigint)")).await[0], shown);
    }
}

/// A client that goes away in the middle of a statement leaves nothing behind: the table that it was writing is free.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_vanishes_is_no_burden() {
    let bench = Bench::new().await;
    let (client, connection) = tokio_postgres::connect(&bench.parameters(), NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute(&format!("{SLOW}; CREATE TABLE t (v BIGINT)")).await.unwrap();
    let writing = tokio::spawn(async move { client.simple_query("INSERT INTO t SELECT v FROM slow").await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    connection.abort();
    assert!(writing.await.unwrap().is_err());
    let other = bench.client().await;
    let insert = tokio::time::timeout(Duration::from_secs(20), other.simple_query("INSERT INTO t VALUES (1)"));
    insert.await.expect("the table is free").unwrap();
    assert_eq!(simple(&other, "SELECT COUNT(*) FROM t").await[0], "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_one_database() {
    let bench = Bench::new().await;
    let other = format!("host=127.0.0.1 port={} user=root dbname=other", bench.address.port());
    let refused = tokio_postgres::connect(&other, NoTls).await.err().unwrap();
    assert_eq!(refused.code(), Some(&SqlState::INVALID_CATALOG_NAME));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_can_reach_it() {
    let tokio = tokio::runtime::Handle::current();
    let engine = Engine::new(EngineConfig::new(tokio));
    let refused = bind(engine.instance(), &ServerConfig::new(([0, 0, 0, 0], 0).into())).await.err().unwrap();
    assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);
}

/// What a prepared statement is planned for once holds for all values, and no longer than what it reads is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_select_finds_rows_by_their_key() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    let rows: Vec<String> = (0..500).map(|i| format!("({i}, {}, 'n{}')", i / 10, i / 2)).collect();
    client
        .batch_execute(&format!(
            "CREATE TABLE t (id BIGINT PRIMARY KEY, k INT, name VARCHAR); INSERT INTO t VALUES {}",
            rows.join(", ")
        ))
        .await
        .expect("a table");
    client
        .batch_execute("CREATE MATERIALIZED VIEW v AS SELECT k, name, COUNT(*) AS n FROM t GROUP BY k, name")
        .await
        .expect("a view");
    let by_id = client.prepare("SELECT name, k + 1 AS next, id FROM t WHERE id = $1").await.expect("prepares");
    let by_two = client.prepare("SELECT n FROM v WHERE name = $2 AND $1 = k").await.expect("prepares");
    let by_other = client.prepare("SELECT id FROM t WHERE k = $1 ORDER BY id DESC LIMIT 3").await.expect("prepares");
    for id in [0i64, 7, 8, 250, 499, 500, -1, 7_301_946_155_823_971_003] {
        let rows = client.query(&by_id, &[&id]).await.expect("rows");
        let found: Vec<(String, i32, i64)> = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
        let expected = (0..500).contains(&id).then(|| (format!("n{}", id / 2), (id / 10) as i32 + 1, id));
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "id {id}");
    }
    for (k, name, n) in [(0i32, "n0", Some(2i64)), (0, "n4", Some(2)), (1, "n4", None), (9, "n49", Some(2))] {
        let rows = client.query(&by_two, &[&k, &name]).await.expect("rows");
        assert_eq!(rows.iter().map(|row| row.get::<_, i64>(0)).collect::<Vec<_>>(), n.into_iter().collect::<Vec<_>>());
    }
    assert!(client.query(&by_id, &[&None::<i64>]).await.expect("rows").is_empty(), "NULL equals nothing");
    let ids = |rows: Vec<tokio_postgres::Row>| rows.iter().map(|row| row.get::<_, i64>(0)).collect::<Vec<_>>();
    assert_eq!(ids(client.query(&by_other, &[&3i32]).await.expect("rows")), vec![39, 38, 37]);
    client
        .batch_execute("DELETE FROM t WHERE id = 38; UPDATE t SET name = 'other' WHERE id = 7")
        .await
        .expect("changes");
    assert_eq!(ids(client.query(&by_other, &[&3i32]).await.expect("rows")), vec![39, 37, 36]);
    assert_eq!(client.query_one(&by_id, &[&7i64]).await.expect("a row").get::<_, String>(0), "other");
    assert_eq!(ids(client.query(&by_two, &[&0i32, &"other"]).await.expect("rows")), vec![1]);
    // Another table of the name, with its columns in other places.
    client
        .batch_execute("DROP TABLE t CASCADE; CREATE TABLE t (k INT, name VARCHAR, id BIGINT); INSERT INTO t VALUES (1, 'a', 5), (2, 'b', 5)")
        .await
        .expect("another table");
    assert_eq!(client.query(&by_id, &[&5i64]).await.expect("rows").len(), 2);
    let gone = client.query(&by_two, &[&0i32, &"other"]).await.expect_err("the view is gone");
    assert_eq!(gone.code(), Some(&SqlState::UNDEFINED_TABLE));
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_keep_tables_apart() {
    let bench = Bench::new().await;
    let (one, two) = (bench.client().await, bench.client().await);
    one.batch_execute(
        "CREATE SCHEMA a; CREATE SCHEMA \"B\";
         CREATE TABLE t (k INT PRIMARY KEY, v TEXT); CREATE TABLE a.t (k INT PRIMARY KEY, v TEXT); CREATE TABLE \"B\".t (k INT);
         INSERT INTO t VALUES (1, 'public'); INSERT INTO a.t VALUES (1, 'a'); INSERT INTO \"B\".t VALUES (1), (2)",
    )
    .await
    .unwrap();
    // The path is of the connection; names in quotes are kept as they are.
    assert_eq!(
        simple(&one, "SHOW search_path; SELECT current_schema()").await,
        ["\"$user\", public", "=0", "public", "=1"]
    );
    one.batch_execute("SET search_path TO \"B\", a").await.unwrap();
    assert_eq!(simple(&one, "SELECT k FROM t; SELECT current_schema()").await, ["1", "2", "=2", "B", "=1"]);
    assert_eq!(simple(&two, "SELECT v FROM t").await, ["public", "=1"]);
    let prepared = two.prepare("SELECT v FROM t WHERE k = $1").await.unwrap();
    assert_eq!(two.query_one(&prepared, &[&1]).await.unwrap().get::<_, &str>(0), "public");
    two.batch_execute("SET search_path = a").await.unwrap();
    assert_eq!(two.query_one(&prepared, &[&1]).await.unwrap().get::<_, &str>(0), "a");
    // What tools ask.
    let told = "SELECT current_schemas(true)::text, 't'::regclass::text, 'public.t'::regclass::text, to_regclass('\"B\".t') IS NULL, to_regnamespace('a')::text";
    assert_eq!(simple(&two, told).await, ["{pg_catalog,a}|t|public.t|f|a", "=1"]);
    let visible = "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname NOT LIKE 'pg%' AND n.nspname <> 'information_schema' AND pg_catalog.pg_table_is_visible(c.oid)";
    assert_eq!(simple(&two, visible).await, ["a|t", "=1"]);
    let all = "SELECT table_schema FROM information_schema.tables WHERE table_name = 't' ORDER BY 1";
    assert_eq!(simple(&two, all).await, ["B", "a", "public", "=3"]);
    assert_eq!(
        simple(&two, "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1").await,
        ["B", "a", "information_schema", "public", "=4"]
    );
    assert_eq!(
        simple(&two, "SELECT set_config('search_path', 'public', false); SELECT v FROM t").await,
        ["public", "=1", "public", "=1"]
    );
    two.batch_execute("RESET search_path").await.unwrap();
    // COPY and subscriptions take a schema too.
    assert_eq!(simple(&two, "DECLARE c SUBSCRIPTION CURSOR FOR \"B\".t FULL; FETCH 5 FROM c").await.len(), 4);
    let code = |e: tokio_postgres::Error| e.code().cloned().unwrap();
    assert_eq!(two.batch_execute("SELECT * FROM c.t").await.map_err(code).unwrap_err(), SqlState::INVALID_SCHEMA_NAME);
    assert_eq!(two.batch_execute("CREATE SCHEMA a").await.map_err(code).unwrap_err(), SqlState::DUPLICATE_SCHEMA);
    assert_eq!(
        two.batch_execute("DROP SCHEMA a").await.map_err(code).unwrap_err(),
        SqlState::DEPENDENT_OBJECTS_STILL_EXIST
    );
    assert_eq!(
        two.batch_execute("SELECT * FROM x.a.t").await.map_err(code).unwrap_err(),
        SqlState::FEATURE_NOT_SUPPORTED
    );
    two.batch_execute("DROP SCHEMA a CASCADE; DROP SCHEMA \"B\" CASCADE").await.unwrap();
    assert_eq!(simple(&one, "SELECT v FROM public.t").await, ["public", "=1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_share_nothing() {
    let bench = Bench::new().await;
    let dev = bench.client().await;
    dev.batch_execute("CREATE TABLE t (k INT); INSERT INTO t VALUES (1)").await.unwrap();
    dev.batch_execute("CREATE DATABASE shop").await.unwrap();
    let to_shop = format!("host=127.0.0.1 port={} user=root dbname=shop", bench.address.port());
    let (shop, connection) = tokio_postgres::connect(&to_shop, NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let code = |e: tokio_postgres::Error| e.code().cloned().unwrap();
    assert_eq!(shop.batch_execute("SELECT * FROM t").await.map_err(code).unwrap_err(), SqlState::UNDEFINED_TABLE);
    shop.batch_execute("CREATE SCHEMA s; CREATE TABLE s.t (k INT); INSERT INTO s.t VALUES (2)").await.unwrap();
    assert_eq!(simple(&shop, "SELECT k FROM shop.s.t; SELECT current_database()").await, ["2", "=1", "shop", "=1"]);
    assert_eq!(simple(&shop, "SELECT datname FROM pg_database ORDER BY 1").await, ["dev", "shop", "=2"]);
    assert_eq!(simple(&dev, "SELECT nspname FROM pg_namespace WHERE nspname = 's'").await, ["=0"]);
    assert_eq!(
        simple(&shop, "SELECT table_catalog FROM information_schema.tables WHERE table_name = 't'").await,
        ["shop", "=1"]
    );
    assert_eq!(
        dev.batch_execute("SELECT * FROM shop.s.t").await.map_err(code).unwrap_err(),
        SqlState::FEATURE_NOT_SUPPORTED
    );
    assert_eq!(shop.batch_execute("DROP DATABASE shop").await.map_err(code).unwrap_err(), SqlState::OBJECT_IN_USE);
    assert_eq!(dev.batch_execute("DROP DATABASE shop").await.map_err(code).unwrap_err(), SqlState::OBJECT_IN_USE);
    assert_eq!(
        dev.batch_execute("CREATE DATABASE shop").await.map_err(code).unwrap_err(),
        SqlState::DUPLICATE_DATABASE
    );
    drop(shop);
    connection.await.unwrap().unwrap();
    // The server learns a moment later that the client has gone.
    while let Err(error) = dev.batch_execute("DROP DATABASE shop").await {
        assert_eq!(code(error), SqlState::OBJECT_IN_USE);
    }
    let refused = tokio_postgres::connect(&to_shop, NoTls).await.map(drop).map_err(code).unwrap_err();
    assert_eq!(refused, SqlState::INVALID_CATALOG_NAME);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_transaction_reads_is_of_one_moment_until_it_changes_something() {
    let bench = Bench::new().await;
    let (reader, writer) = (bench.client().await, bench.client().await);
    writer.batch_execute("CREATE TABLE t (k BIGINT PRIMARY KEY, v BIGINT); CREATE TABLE u (k BIGINT)").await.unwrap();
    writer.batch_execute("CREATE MATERIALIZED VIEW s AS SELECT SUM(v) AS s FROM t").await.unwrap();
    writer.batch_execute("INSERT INTO t VALUES (1, 10); INSERT INTO u VALUES (1)").await.unwrap();
    let prepared = reader.prepare("SELECT v FROM t WHERE k = $1").await.unwrap();
    reader.batch_execute("BEGIN").await.unwrap();
    // It begins with the first that is read.
    writer.batch_execute("UPDATE t SET v = 11").await.unwrap();
    assert_eq!(simple(&reader, "SELECT s FROM s").await, ["11", "=1"]);
    writer
        .batch_execute("INSERT INTO t VALUES (2, 20); UPDATE t SET v = 12 WHERE k = 1; INSERT INTO u VALUES (2)")
        .await
        .unwrap();
    // By a look-up, a scan, a job, views and tables that have nothing to do with each other.
    assert_eq!(reader.query_one(&prepared, &[&1_i64]).await.unwrap().get::<_, i64>(0), 11);
    assert!(reader.query(&prepared, &[&2_i64]).await.unwrap().is_empty());
    assert_eq!(simple(&reader, "SELECT k, v FROM t; SELECT s FROM s").await, ["1|11", "=1", "11", "=1"]);
    assert_eq!(simple(&reader, "SELECT COUNT(*) FROM u; SELECT s.s, t.k FROM s, t").await, ["1", "=1", "11|1", "=1"]);
    // What it changes is changed of what is there now, and seen with all that is.
    assert_eq!(simple(&reader, "UPDATE t SET v = v + 100; SELECT s FROM s").await, ["=2", "232", "=1"]);
    writer.batch_execute("DELETE FROM t WHERE k = 2").await.unwrap();
    assert_eq!(simple(&reader, "SELECT s FROM s").await, ["232", "=1"]);
    // What was made or changed since has no such moment.
    writer.batch_execute("CREATE TABLE w (k BIGINT); ALTER TABLE u ADD COLUMN c INT").await.unwrap();
    let error = reader.simple_query("SELECT * FROM w").await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::T_R_SERIALIZATION_FAILURE));
    reader.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(simple(&reader, "SELECT s FROM s; SELECT * FROM w").await, ["112", "=1", "=0"]);
    reader.batch_execute("BEGIN; SELECT s FROM s").await.unwrap();
    writer.batch_execute("ALTER TABLE u ADD COLUMN d INT").await.unwrap();
    let error = reader.simple_query("SELECT * FROM u").await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::T_R_SERIALIZATION_FAILURE));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_that_was_prepared_is_planned_once_and_holds_as_long_as_its_table() {
    let bench = Bench::new().await;
    let (client, other) = (bench.client().await, bench.client().await);
    client
        .batch_execute("CREATE TABLE t (k BIGINT PRIMARY KEY, g INT DEFAULT 5, at TIMESTAMPTZ, d NUMERIC(8, 2))")
        .await
        .unwrap();
    let insert = client.prepare("INSERT INTO t (k, at) VALUES ($1, $2), ($1 + 1, $2) RETURNING k, g").await.unwrap();
    let at = std::time::SystemTime::UNIX_EPOCH + Duration::from_millis(1_234_567);
    for k in [1_i64, 3] {
        let rows = client.query(&insert, &[&k, &at]).await.unwrap();
        let rows: Vec<(i64, i32)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        assert_eq!(rows, [(k, 5), (k + 1, 5)]);
    }
    other.batch_execute("ALTER TABLE t ADD COLUMN e INT DEFAULT 9; ALTER TABLE t DROP COLUMN g").await.unwrap();
    let plain = client.prepare("INSERT INTO t (k, d) VALUES ($1, 1.255)").await.unwrap();
    assert_eq!(client.execute(&plain, &[&9_i64]).await.unwrap(), 1);
    let error = client.query(&insert, &[&7_i64, &at]).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::UNDEFINED_COLUMN));
    assert_eq!(
        simple(&client, "SELECT k, e, d FROM t ORDER BY k").await,
        ["1|9|NULL", "2|9|NULL", "3|9|NULL", "4|9|NULL", "9|9|1.26", "=5"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_read_by_prepared_statements_and_told_by_the_catalogs() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    let made = "CREATE TABLE rides (id INT PRIMARY KEY, city TEXT, km INT);
        INSERT INTO rides VALUES (1, 'Rome', 3), (2, 'Oslo', 8), (3, 'Rome', 5);
        CREATE INDEX by_city ON rides (city, km DESC); COMMENT ON INDEX by_city IS 'where they went'";
    assert_eq!(simple(&client, made).await, ["=0", "=3", "=0", "=0"]);
    let found = client.prepare("SELECT id FROM rides WHERE city = $1").await.unwrap();
    let ids = |rows: Vec<tokio_postgres::Row>| {
        let mut ids: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(ids(client.query(&found, &[&"Rome"]).await.unwrap()), [1, 3]);
    client.batch_execute("UPDATE rides SET city = 'Rome' WHERE city = 'Oslo' AND km > 7").await.unwrap();
    assert_eq!(ids(client.query(&found, &[&"Rome"]).await.unwrap()), [1, 2, 3]);
    assert_eq!(ids(client.query(&found, &[&"Oslo"]).await.unwrap()), [0; 0]);
    let plan = simple(&client, "EXPLAIN SELECT id FROM rides WHERE city = 'Rome' AND km < 5").await;
    assert!(plan.contains(&"READS: rides through index by_city".to_owned()), "{plan:?}");
    // As PostgreSQL 15 answers it.
    let defined = "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE tablename = 'rides' ORDER BY indexname";
    assert_eq!(
        simple(&client, defined).await,
        [
            "rides|by_city|CREATE INDEX by_city ON public.rides USING btree (city, km DESC)",
            "rides|rides_pkey|CREATE UNIQUE INDEX rides_pkey ON public.rides USING btree (id)",
            "=2"
        ]
    );
    let told = "SELECT c.relkind, i.indkey, i.indoption, i.indisunique, i.indisprimary, a.attname, obj_description(c.oid, 'pg_class')
        FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = 2
        WHERE i.indrelid = 'rides'::regclass AND c.oid = 'by_city'::regclass";
    assert_eq!(simple(&client, told).await, ["i|2 3|0 3|f|f|km|where they went", "=1"]);
    client.batch_execute("CREATE TABLE codes (a INT PRIMARY KEY, b INT UNIQUE)").await.expect("a table");
    client.batch_execute("CREATE UNIQUE INDEX u ON codes (a, b) NULLS NOT DISTINCT").await.expect("an index");
    client.batch_execute("INSERT INTO codes VALUES (1, 2)").await.expect("a row");
    let error = client.batch_execute("INSERT INTO codes VALUES (2, 2)").await.unwrap_err();
    let error = error.as_db_error().expect("an error of the server");
    assert_eq!(error.code(), &SqlState::UNIQUE_VIOLATION);
    assert_eq!(error.detail(), Some("Key (b)=(2) already exists."));
    let told = "SELECT c.relname, i.indisunique, i.indnullsnotdistinct, k.contype, pg_get_constraintdef(k.oid), pg_get_indexdef(c.oid)
        FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid LEFT JOIN pg_constraint k ON k.conindid = c.oid
        WHERE i.indrelid = 'codes'::regclass ORDER BY 1";
    assert_eq!(
        simple(&client, told).await,
        [
            "codes_b_key|t|f|u|UNIQUE (b)|CREATE UNIQUE INDEX codes_b_key ON public.codes USING btree (b)",
            "codes_pkey|t|f|p|PRIMARY KEY (a)|CREATE UNIQUE INDEX codes_pkey ON public.codes USING btree (a)",
            "u|t|t|NULL|NULL|CREATE UNIQUE INDEX u ON public.codes USING btree (a, b) NULLS NOT DISTINCT",
            "=3"
        ]
    );
    let told = "SELECT constraint_name, constraint_type FROM information_schema.table_constraints WHERE table_name = 'codes' ORDER BY 1";
    assert_eq!(simple(&client, told).await, ["codes_b_key|UNIQUE", "codes_pkey|PRIMARY KEY", "=2"]);
    client.batch_execute("DROP TABLE codes").await.expect("dropped");
    assert_eq!(simple(&client, "SHOW INDEXES; DROP INDEX by_city; SHOW INDEXES").await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_texts_of_views_have_quotes_of_postgres() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    let made =
        "CREATE TABLE t (n INT); CREATE MATERIALIZED VIEW v AS SELECT t.n FROM t; ALTER TABLE t RENAME TO \"T 2\"";
    assert_eq!(simple(&client, made).await, ["=0", "=0", "=0"]);
    let defined = "SELECT pg_get_viewdef('v'::regclass)";
    assert_eq!(simple(&client, defined).await, ["select t.n from \"T 2\" AS \"t\"", "=1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn catalogs_and_tables_are_read_at_once() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    let made = "CREATE TABLE t (name TEXT PRIMARY KEY, n INT); INSERT INTO t VALUES ('t', 1), ('v', 2), ('nothing', 3);
        CREATE MATERIALIZED VIEW v AS SELECT n FROM t";
    assert_eq!(simple(&client, made).await, ["=0", "=3", "=0"]);
    for (sql, rows) in [
        (
            "SELECT relname, (SELECT COUNT(*) FROM t) FROM pg_class WHERE relname IN ('t', 'v') ORDER BY relname",
            &["t|3", "v|3", "=2"][..],
        ),
        (
            "SELECT n FROM t WHERE name IN (SELECT table_name FROM information_schema.tables) ORDER BY n",
            &["1", "2", "=2"],
        ),
        ("SELECT t.n, p.tableowner FROM t JOIN pg_catalog.pg_tables AS p ON p.tablename = t.name", &["1|root", "=1"]),
        ("SELECT current_database(), current_schema(), n FROM t WHERE n = 1", &["dev|public|1", "=1"]),
        (
            "WITH c AS (SELECT relname FROM pg_class WHERE relkind = 'm') SELECT t.n FROM c, t WHERE t.name = c.relname",
            &["2", "=1"],
        ),
    ] {
        assert_eq!(simple(&client, sql).await, rows, "{sql}");
    }
    let found = client
        .prepare("SELECT n FROM t JOIN pg_class c ON c.relname = t.name WHERE c.relkind = $1 AND t.n > $2")
        .await
        .unwrap();
    assert_eq!(found.params(), [Type::TEXT, Type::INT4]);
    let rows = client.query(&found, &[&"m", &0]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>(), [2]);
    // Rows of the catalogs are those of the moment.
    client.batch_execute("DROP MATERIALIZED VIEW v").await.unwrap();
    assert!(client.query(&found, &[&"m", &0]).await.unwrap().is_empty());
    let written = "CREATE TABLE names (name TEXT); INSERT INTO names SELECT table_name FROM information_schema.tables WHERE table_schema = 'public';
        DELETE FROM t WHERE name NOT IN (SELECT relname FROM pg_class); UPDATE t SET n = 9 WHERE name IN (SELECT relname FROM pg_class);
        SELECT name FROM names ORDER BY name; SELECT name, n FROM t";
    assert_eq!(simple(&client, written).await, ["=0", "=2", "=2", "=1", "names", "t", "=2", "t|9", "=1"]);
    // What is kept reads no catalogs.
    for sql in [
        "CREATE MATERIALIZED VIEW m AS SELECT relname FROM pg_class",
        "CREATE VIEW m AS SELECT relname FROM pg_catalog.pg_class",
    ] {
        let error = client.batch_execute(sql).await.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::UNDEFINED_TABLE), "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn small_letters_and_faults_of_values_are_as_in_postgres() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    client.batch_execute("CREATE TABLE Folded (Id INT, \"Name\" TEXT)").await.unwrap();
    let sink = client.copy_in("COPY Folded (ID, \"Name\") FROM STDIN").await.unwrap();
    let mut sink = Box::pin(sink);
    sink.send(bytes::Bytes::from_static(b"1\ta\n")).await.unwrap();
    assert_eq!(sink.as_mut().finish().await.unwrap(), 1);
    assert_eq!(simple(&client, "SELECT id, \"Name\" FROM folded").await, ["1|a", "=1"]);
    let alone = "SELECT current_schema, current_schemas(false), current_schema()";
    assert_eq!(simple(&client, alone).await, ["public|{public}|public", "=1"]);
    // SQLSTATEs of PostgreSQL 15.
    for (sql, state) in [
        ("INSERT INTO folded (id) VALUES ('five')", SqlState::INVALID_TEXT_REPRESENTATION),
        ("INSERT INTO folded (id) VALUES (99999999999)", SqlState::NUMERIC_VALUE_OUT_OF_RANGE),
        ("INSERT INTO folded (id) VALUES ('99999999999')", SqlState::NUMERIC_VALUE_OUT_OF_RANGE),
        ("SELECT 99999999999::INT", SqlState::NUMERIC_VALUE_OUT_OF_RANGE),
        ("SELECT 'x'::INT", SqlState::INVALID_TEXT_REPRESENTATION),
    ] {
        assert_eq!(client.batch_execute(sql).await.unwrap_err().code(), Some(&state), "{sql}");
        assert_eq!(client.query(sql, &[]).await.unwrap_err().code(), Some(&state), "{sql}, prepared");
    }
}
