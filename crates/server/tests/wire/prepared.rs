//! PREPARE, EXECUTE, DEALLOCATE: the same statements that messages of the protocol prepare.

use super::{Bench, simple};
use tokio_postgres::Client;

async fn refused(client: &Client, sql: &str) -> (String, String) {
    let Err(error) = client.simple_query(sql).await else { panic!("{sql} is not refused") };
    let error = error.as_db_error().expect("an error of the server");
    (error.code().code().to_owned(), error.message().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_are_prepared_in_sql() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    client.batch_execute("CREATE TABLE t (k INT PRIMARY KEY, v TEXT, n NUMERIC(10, 2), d DATE)").await.unwrap();
    client.batch_execute("PREPARE put AS INSERT INTO t VALUES ($1, $2, $3, $4)").await.unwrap();
    assert_eq!(
        simple(
            &client,
            "EXECUTE put(1, 'it''s', 1.50, '2024-02-29'); EXECUTE put (-2, NULL, 7, date '2024-01-01' + 1)"
        )
        .await,
        ["=1", "=1"]
    );
    client
        .batch_execute("PREPARE get (int, text) AS SELECT k, v, n, d FROM t WHERE k = $1 OR v = $2 ORDER BY k")
        .await
        .unwrap();
    assert_eq!(
        simple(&client, "EXECUTE get(-1 - 1, 'it''s')").await,
        ["-2|NULL|7.00|2024-01-02", "1|it's|1.50|2024-02-29", "=2"]
    );
    assert_eq!(simple(&client, "EXECUTE get(NULL, NULL)").await, ["=0"]);
    client.batch_execute("PREPARE change AS UPDATE t SET v = $2 WHERE k = $1 RETURNING v").await.unwrap();
    assert_eq!(simple(&client, "EXECUTE change(1, upper('x'))").await, ["X", "=1"]);
    // As PostgreSQL refuses them.
    assert_eq!(
        refused(&client, "EXECUTE nothing").await,
        ("26000".into(), "prepared statement \"nothing\" does not exist".into())
    );
    assert_eq!(refused(&client, "DEALLOCATE nothing").await.0, "26000");
    assert_eq!(
        refused(&client, "PREPARE get AS SELECT 1").await,
        ("42P05".into(), "prepared statement \"get\" already exists".into())
    );
    assert_eq!(
        refused(&client, "EXECUTE get(1)").await,
        ("42601".into(), "wrong number of parameters for prepared statement \"get\"".into())
    );
    assert_eq!(refused(&client, "EXECUTE get('x', 'y')").await.0, "22P02");
    assert_eq!(
        refused(&client, "PREPARE q (nothing) AS SELECT $1").await,
        ("42704".into(), "type \"nothing\" does not exist".into())
    );
    assert_eq!(refused(&client, "PREPARE q AS SELECT * FROM nothing").await.0, "42P01");
    client.batch_execute("BEGIN READ ONLY").await.unwrap();
    assert_eq!(refused(&client, "EXECUTE change(1, 'y')").await.0, "25006");
    client.batch_execute("ROLLBACK; DEALLOCATE PREPARE get").await.unwrap();
    assert_eq!(refused(&client, "EXECUTE get(1, 'x')").await.0, "26000");
    assert_eq!(simple(&client, "DEALLOCATE ALL; SELECT COUNT(*) FROM pg_prepared_statements").await, ["=0", "0", "=1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_and_statements_share_their_names() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    client.batch_execute("CREATE TABLE t (k INT PRIMARY KEY); INSERT INTO t VALUES (1), (2)").await.unwrap();
    client.batch_execute("PREPARE p (int) AS SELECT k FROM t WHERE k >= $1 ORDER BY k").await.unwrap();
    // Described and executed by messages.
    let rows = client.query("EXECUTE p(2)", &[]).await.unwrap();
    assert_eq!((rows[0].columns()[0].name(), rows[0].get::<_, i32>(0)), ("k", 2));
    let own = client.prepare("SELECT k + $1 FROM t").await.unwrap();
    let listed = simple(
        &client,
        "SELECT statement, parameter_types, from_sql FROM pg_prepared_statements WHERE statement LIKE '%$1%' ORDER BY from_sql",
    )
    .await;
    assert_eq!(listed[0], "SELECT k + $1 FROM t|{integer}|f");
    assert_eq!(listed[1], "PREPARE p (int) AS SELECT k FROM t WHERE k >= $1 ORDER BY k|{integer}|t");
    let name = simple(&client, "SELECT name FROM pg_prepared_statements WHERE statement LIKE 'SELECT%'").await;
    assert_eq!(simple(&client, &format!("EXECUTE \"{}\"(10)", name[0])).await, ["11", "12", "=2"]);
    drop(own);
    // Over the catalogs too, and explained.
    client.batch_execute("PREPARE c AS SELECT relname FROM pg_class WHERE relname = $1").await.unwrap();
    assert_eq!(simple(&client, "EXECUTE c('t')").await, ["t", "=1"]);
    assert_eq!(
        simple(&client, "EXPLAIN LOGICAL EXECUTE p(2)").await,
        simple(&client, "EXPLAIN LOGICAL SELECT k FROM t WHERE k >= CAST('2' AS INT) ORDER BY k").await
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_beside_lists_and_json_have_the_types_that_postgresql_gives_them() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    client.batch_execute("CREATE TABLE t (k INT, n NUMERIC(10, 2), a INT[], x TEXT, j JSONB)").await.unwrap();
    let rows = r#"(1, 2.5, '{1,2}', 'b', '{"a": {"c": -1.5}, "b": 2}'), (2, NULL, '{3}', 'c', '{"z": [1]}')"#;
    client.batch_execute(&format!("INSERT INTO t VALUES {rows}")).await.unwrap();
    for (query, of, given, answer) in [
        ("SELECT k FROM t WHERE k = ANY($1)", "integer[]", "{1,7}", "1"),
        ("SELECT k FROM t WHERE n = ANY($1)", "numeric[]", "{2.5}", "1"),
        ("SELECT k FROM t WHERE x <> ALL($1)", "text[]", "{b}", "2"),
        ("SELECT k FROM t WHERE k > ANY($1)", "integer[]", "{1,7}", "2"),
        ("SELECT k FROM t WHERE $1 = ANY(a)", "integer", "3", "2"),
        ("SELECT j #> $1 FROM t WHERE k = 1", "text[]", "{a,c}", "-1.5"),
        ("SELECT j #>> $1 FROM t WHERE k = 1", "text[]", "{a,c}", "-1.5"),
        ("SELECT j #- $1 FROM t WHERE k = 1", "text[]", "{a,c}", r#"{"a": {}, "b": 2}"#),
        ("SELECT j - $1 FROM t WHERE k = 1", "text", "a", r#"{"b": 2}"#),
        ("SELECT k FROM t WHERE j ? $1", "text", "z", "2"),
        ("SELECT k FROM t WHERE j ?| $1", "text[]", "{b,q}", "1"),
        ("SELECT k FROM t WHERE j ?& $1", "text[]", "{a,b}", "1"),
        ("SELECT k FROM t WHERE j @> $1", "jsonb", r#"{"b": 2}"#, "1"),
        ("SELECT j -> $1 FROM t WHERE k = 1", "text", "b", "2"),
    ] {
        client.batch_execute(&format!("PREPARE p AS {query}")).await.unwrap();
        let types = simple(&client, "SELECT parameter_types FROM pg_prepared_statements WHERE name = 'p'").await;
        assert_eq!(types, [format!("{{{of}}}"), "=1".into()], "{query}");
        assert_eq!(
            simple(&client, &format!("EXECUTE p('{given}'); DEALLOCATE p")).await[..2],
            [answer, "=1"],
            "{query}"
        );
    }
    // As drivers have them.
    let found = client.query("SELECT k FROM t WHERE k = ANY($1) ORDER BY k", &[&vec![2_i32, 1, 7]]).await.unwrap();
    assert_eq!(found.iter().map(|row| row.get(0)).collect::<Vec<i32>>(), [1, 2]);
    let path = vec!["a", "c"];
    let found = client.query_one("SELECT j #>> $1 FROM t WHERE j ? $2", &[&path, &"a"]).await.unwrap();
    assert_eq!(found.get::<_, String>(0), "-1.5");
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_taken_as_they_are_written() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    client.batch_execute("PREPARE p (text, int) AS SELECT $1, $2; PREPARE n (numeric) AS SELECT $1").await.unwrap();
    for (given, answer) in [
        ("$$it's$$, -3", "it's|-3"),
        ("$x$a,b)$$ $1$x$, +3", "a,b)$$ $1|3"),
        (r"E'a\'b', 2.5", "a'b|3"),
        ("'x'::text || $$y$$, '7'", "xy|7"),
        ("'--', (1 + 2) * 3 /* , */", "--|9"),
    ] {
        assert_eq!(simple(&client, &format!("EXECUTE p({given})")).await[0], answer, "{given}");
    }
    for (given, answer) in [("1.50", "1.50"), ("-1.5e2", "-150"), ("-0.250", "-0.250"), ("2 ^ 3", "8")] {
        assert_eq!(simple(&client, &format!("EXECUTE n({given})")).await[0], answer, "{given}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_statements_answer_the_columns_that_they_did() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    client.batch_execute("CREATE TABLE t (a INT PRIMARY KEY, b INT); INSERT INTO t VALUES (1, 2)").await.unwrap();
    client.batch_execute("PREPARE everything AS SELECT * FROM t; PREPARE one AS SELECT a FROM t").await.unwrap();
    let (by_message, one) =
        (client.prepare("SELECT * FROM t").await.unwrap(), client.prepare("SELECT a FROM t").await.unwrap());
    assert_eq!(simple(&client, "EXECUTE everything").await, ["1|2", "=1"]);
    assert_eq!(client.query(&by_message, &[]).await.unwrap().len(), 1);
    client.batch_execute("ALTER TABLE t ADD COLUMN c INT DEFAULT 5").await.unwrap();
    let changed = ("0A000".to_owned(), "cached plan must not change result type".to_owned());
    assert_eq!(refused(&client, "EXECUTE everything").await, changed);
    let error = client.query(&by_message, &[]).await.unwrap_err();
    assert_eq!(error.as_db_error().unwrap().code().code(), "0A000");
    // What has its columns still goes on.
    assert_eq!(simple(&client, "EXECUTE one").await, ["1", "=1"]);
    assert_eq!(client.query(&one, &[]).await.unwrap()[0].get::<_, i32>(0), 1);
    assert_eq!(simple(&client, "DEALLOCATE everything; SELECT * FROM t").await, ["=0", "1|2|5", "=1"]);
}
