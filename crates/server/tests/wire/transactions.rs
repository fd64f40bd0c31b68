//! What transactions may do: READ ONLY, in each way that it is said.

use super::{Bench, simple};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, IsolationLevel};

/// SQLSTATE and message of a statement that is refused.
async fn refused(client: &Client, sql: &str) -> (String, String) {
    let Err(error) = client.simple_query(sql).await else { panic!("{sql} is not refused") };
    let error = error.as_db_error().expect("an error of the server");
    (error.code().code().to_owned(), error.message().to_owned())
}

fn read_only(statement: &str) -> (String, String) {
    ("25006".into(), format!("cannot execute {statement} in a read-only transaction"))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_changed_in_a_transaction_that_is_read_only() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    client.batch_execute("CREATE TABLE t (k INT PRIMARY KEY); INSERT INTO t VALUES (1)").await.unwrap();
    let changes = [
        ("INSERT INTO t VALUES (2)", "INSERT"),
        ("UPDATE t SET k = 3", "UPDATE"),
        ("DELETE FROM t", "DELETE"),
        ("TRUNCATE t", "TRUNCATE TABLE"),
        ("COPY t FROM STDIN", "COPY FROM"),
        ("CREATE TABLE u (k INT)", "CREATE TABLE"),
        ("CREATE TABLE u AS SELECT 1 AS a", "CREATE TABLE AS"),
        ("CREATE VIEW v AS SELECT 1 AS a", "CREATE VIEW"),
        ("CREATE MATERIALIZED VIEW v AS SELECT k FROM t", "CREATE MATERIALIZED VIEW"),
        ("CREATE SCHEMA s", "CREATE SCHEMA"),
        ("CREATE INDEX i ON t (k)", "CREATE INDEX"),
        ("ALTER TABLE t ADD COLUMN c INT", "ALTER TABLE"),
        ("DROP TABLE t", "DROP TABLE"),
        ("COMMENT ON TABLE t IS 'x'", "COMMENT"),
    ];
    for (sql, name) in changes {
        client.batch_execute("BEGIN READ ONLY").await.unwrap();
        assert_eq!(refused(&client, sql).await, read_only(name));
        client.batch_execute("ROLLBACK").await.unwrap();
    }
    // What reads, and what says how, is done.
    let reads = "BEGIN READ ONLY; SHOW transaction_read_only; SELECT k FROM t; EXPLAIN DELETE FROM t; SET my.own = 'x'; COMMIT; SHOW transaction_read_only";
    let answers = simple(&client, reads).await;
    assert_eq!(
        (answers[1].as_str(), answers[3].as_str(), answers.iter().rev().nth(1).unwrap().as_str()),
        ("on", "1", "off")
    );
    assert_eq!(simple(&client, "INSERT INTO t VALUES (2); SELECT COUNT(*) FROM t").await, ["=1", "2", "=1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_is_said_of_one_transaction_or_of_all() {
    let bench = Bench::new().await;
    let mut client = bench.client().await;
    client.batch_execute("CREATE TABLE t (k INT)").await.unwrap();
    let insert = client.prepare("INSERT INTO t VALUES ($1)").await.unwrap();
    // By the driver, with a statement that was planned before.
    let transaction =
        client.build_transaction().read_only(true).isolation_level(IsolationLevel::Serializable).start().await.unwrap();
    let error = transaction.execute(&insert, &[&1]).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::READ_ONLY_SQL_TRANSACTION));
    transaction.rollback().await.unwrap();
    assert_eq!(client.execute(&insert, &[&1]).await.unwrap(), 1);
    // Of the transaction that is open: until something was read, it can be said anew.
    let shown = simple(&client, "BEGIN; SET TRANSACTION READ ONLY; SET TRANSACTION READ WRITE; SHOW transaction_read_only; SET TRANSACTION READ ONLY; SELECT k FROM t").await;
    assert_eq!(shown, ["=0", "=0", "=0", "off", "=0", "=0", "1", "=1"]);
    let too_late = ("25001".to_owned(), "transaction read-write mode must be set before any query".to_owned());
    assert_eq!(refused(&client, "SET transaction_read_only = off").await, too_late);
    // One like it follows.
    client.batch_execute("ROLLBACK AND CHAIN").await.unwrap();
    assert_eq!(refused(&client, "DELETE FROM t").await, read_only("DELETE"));
    client.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(refused(&client, "COMMIT AND CHAIN").await.0, "25P01");
    // Outside a transaction, it is that of the statement alone.
    client.batch_execute("SET TRANSACTION READ ONLY; SET transaction_read_only = on; DELETE FROM t").await.unwrap();
    // Of all of the session, in both spellings.
    for all in ["SET default_transaction_read_only = on", "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"] {
        client.batch_execute(all).await.unwrap();
        assert_eq!(
            simple(&client, "SHOW transaction_read_only; SHOW default_transaction_read_only").await[..3],
            ["on", "=0", "on"]
        );
        assert_eq!(refused(&client, "INSERT INTO t VALUES (2)").await, read_only("INSERT"));
        client.batch_execute("BEGIN READ WRITE; INSERT INTO t VALUES (2); COMMIT").await.unwrap();
        client.batch_execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE").await.unwrap();
    }
    assert_eq!(simple(&client, "SELECT COUNT(*) FROM t").await, ["2", "=1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn how_transactions_are_kept_apart_is_shown_as_it_was_said() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    let shown = simple(
        &client,
        "BEGIN ISOLATION LEVEL REPEATABLE READ; SHOW TRANSACTION ISOLATION LEVEL; COMMIT; SHOW transaction_isolation",
    )
    .await;
    assert_eq!(shown, ["=0", "repeatable read", "=0", "=0", "read committed", "=0"]);
    let shown =
        simple(&client, "SET default_transaction_isolation = 'Serializable'; SHOW transaction_isolation; RESET ALL")
            .await;
    assert_eq!(shown, ["=0", "serializable", "=0", "=0"]);
    let none = refused(&client, "SET default_transaction_isolation = 'none'").await;
    assert_eq!(
        none,
        ("22023".into(), "invalid value for parameter \"default_transaction_isolation\": \"none\"".into())
    );
    let none = refused(&client, "SET default_transaction_read_only = 'perhaps'").await;
    assert_eq!(none, ("22023".into(), "parameter \"default_transaction_read_only\" requires a Boolean value".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_in_a_transaction_goes_with_it() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    let shown = "SHOW my.own; SHOW statement_timeout; SHOW timezone; SHOW search_path; SHOW execution.emit";
    let values = async |sql: &str| {
        let answers = simple(&client, &format!("{sql}; {shown}")).await;
        let all = answers.len() - 10;
        answers[all..].iter().step_by(2).cloned().collect::<Vec<_>>()
    };
    let local = "SET LOCAL my.own = 'b'; SET LOCAL statement_timeout = '7s'; SET LOCAL timezone = 'Asia/Tokyo'; \
        SET LOCAL search_path = pg_catalog; SET LOCAL execution.emit = 'final'";
    let first = values("SET my.own = 'a'").await;
    assert_eq!(first[..3], ["a", "0", "UTC"]);
    let set = ["b", "7s", "Asia/Tokyo", "pg_catalog", "final"];
    for end in ["COMMIT", "ROLLBACK"] {
        assert_eq!(values(&format!("BEGIN; {local}")).await, set);
        assert_eq!(values(end).await, first, "{end}");
    }
    // What SET says last stays when the transaction does.
    assert_eq!(values("BEGIN; SET LOCAL my.own = 'b'; SET my.own = 'c'; COMMIT").await[0], "c");
    assert_eq!(values("BEGIN; SET my.own = 'd'; SET LOCAL my.own = 'e'; COMMIT").await[0], "d");
    assert_eq!(values("BEGIN; SET my.own = 'f'; SET timezone = 'Asia/Tokyo'; ROLLBACK").await[..3], ["d", "0", "UTC"]);
    assert_eq!(values("SET LOCAL my.own = 'f'").await[0], "d", "without a transaction");
}
