//! Values of every type, both ways.

use super::{Bench, simple};
use bytes::BytesMut;
use futures::SinkExt;
use std::time::{Duration, SystemTime};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

/// A value of any type, as its bytes in binary format.
#[derive(Debug, PartialEq)]
struct Raw(Vec<u8>);

impl ToSql for Raw {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl FromSql<'_> for Raw {
    fn from_sql(_: &Type, raw: &[u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A type of SQL, its number, and values of it: their texts and their bytes.
struct Kind {
    sql: &'static str,
    oid: u32,
    values: Vec<(&'static str, Raw)>,
}

/// What `values.txt` holds: lines `type = number`, and under each `  text = bytes` of values, as PostgreSQL 15 has them.
fn kinds() -> Vec<Kind> {
    let mut kinds: Vec<Kind> = Vec::new();
    for line in include_str!("values.txt").lines().filter(|line| !line.is_empty()) {
        let (left, right) = line.rsplit_once(" = ").expect("two sides");
        match (left.strip_prefix("  "), kinds.last_mut()) {
            (Some(text), Some(kind)) => kind.values.push((text, Raw(of_hex(right)))),
            _ => kinds.push(Kind { sql: left, oid: right.parse().expect("a number"), values: Vec::new() }),
        }
    }
    kinds
}

fn of_hex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("two digits")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_values_are_those_of_postgresql() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    for (n, Kind { sql, oid, values }) in kinds().iter().enumerate() {
        let of = Type::from_oid(*oid).expect("a type that is known");
        client.batch_execute(&format!("CREATE TABLE t{n} (k INT PRIMARY KEY, v {sql})")).await.unwrap();
        let insert = client.prepare(&format!("INSERT INTO t{n} VALUES ($1, $2)")).await.unwrap();
        assert_eq!(insert.params(), [Type::INT4, of.clone()]);
        let read = client.prepare(&format!("SELECT v FROM t{n} WHERE k = $1")).await.unwrap();
        assert_eq!(*read.columns()[0].type_(), of);
        let find = client.prepare(&format!("SELECT k FROM t{n} WHERE v = $1")).await.unwrap();
        assert_eq!(find.params(), [of]);
        for (k, (text, sent)) in (0_i32..).zip(values) {
            assert_eq!(client.execute(&insert, &[&k, sent]).await.unwrap(), 1, "{sql}: {text}");
            let found: Raw = client.query_one(&read, &[&k]).await.unwrap().get(0);
            assert_eq!(found, *sent, "{sql}: {text}");
            let found: i32 = client.query_one(&find, &[sent]).await.unwrap().get(0);
            assert_eq!(found, k, "{sql}: {text}");
            assert_eq!(simple(&client, &format!("SELECT v FROM t{n} WHERE k = {k}")).await, [*text, "=1"]);
        }
        assert_eq!(client.execute(&insert, &[&-1_i32, &None::<Raw>]).await.unwrap(), 1);
        let none: Option<Raw> = client.query_one(&read, &[&-1_i32]).await.unwrap().get(0);
        assert_eq!(none, None, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_value_are_refused() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    for (sql, hex) in [
        ("NUMERIC(20, 4)", "0001000000000004ffff"),
        ("NUMERIC(20, 4)", "000100000000000400010001"),
        ("NUMERIC(20, 4)", "00020001000000040001"),
        ("DATE", "000000"),
        ("DATE", "7ffffff0"),
        ("TIME", "0000000000"),
        ("TIMESTAMP", "7fffffffffffff00"),
        ("INTERVAL", "0000000000000000"),
        ("INT[]", "0000000100000000000000177fffffff00000001"),
        ("INT[]", "00000001000000000000001900000001000000010000000161"),
        ("BOOLEAN", ""),
        ("INT", "0000000000"),
        ("TEXT", "ff"),
    ] {
        let select = client.prepare(&format!("SELECT $1::{sql}")).await.unwrap();
        let wrong = client.query_one(&select, &[&Raw(of_hex(hex))]).await.unwrap_err();
        assert_eq!(wrong.code(), Some(&SqlState::INVALID_BINARY_REPRESENTATION), "{sql}: {hex}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jsonb_begins_with_its_version() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    client.batch_execute("CREATE TABLE t (id INT PRIMARY KEY, j JSONB)").await.unwrap();
    let insert = client.prepare("INSERT INTO t VALUES ($1, $2)").await.unwrap();
    assert_eq!(insert.params(), [Type::INT4, Type::JSONB]);
    let sent = |version: u8, json: &str| Raw([&[version], json.as_bytes()].concat());
    client.execute(&insert, &[&1, &sent(1, r#"{"b":1, "a":2}"#)]).await.unwrap();
    client.execute(&insert, &[&2, &None::<Raw>]).await.unwrap();
    let wrong = client.execute(&insert, &[&3, &sent(2, "1")]).await.unwrap_err();
    assert_eq!(wrong.code(), Some(&SqlState::INVALID_BINARY_REPRESENTATION));
    let wrong = client.execute(&insert, &[&3, &sent(1, "{")]).await.unwrap_err();
    assert_eq!(wrong.code(), Some(&SqlState::INVALID_TEXT_REPRESENTATION));
    let rows = client.query("SELECT j, ARRAY[j] FROM t WHERE id < 10 ORDER BY id", &[]).await.unwrap();
    assert_eq!(rows[0].columns().iter().map(|c| c.type_()).collect::<Vec<_>>(), [&Type::JSONB, &Type::JSONB_ARRAY]);
    assert_eq!(rows[0].get::<_, Raw>(0), sent(1, r#"{"a": 2, "b": 1}"#));
    assert_eq!(rows[0].get::<_, Vec<Raw>>(1), [sent(1, r#"{"a": 2, "b": 1}"#)]);
    assert_eq!(rows[1].get::<_, Option<Raw>>(0), None);
    let mut copied = std::pin::pin!(client.copy_in("COPY t FROM STDIN").await.unwrap());
    copied.send(bytes::Bytes::from_static(b"7\t[1,{\"b\":2}]\n")).await.unwrap();
    copied.close().await.unwrap();
    assert_eq!(simple(&client, "SELECT j FROM t WHERE j = '[1, {\"b\": 2}]'").await, ["[1, {\"b\": 2}]", "=1"]);
    let shown = simple(&client, "SELECT data_type FROM information_schema.columns WHERE column_name = 'j'").await;
    assert_eq!(shown, ["jsonb", "=1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_the_driver_go_both_ways() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    client
        .batch_execute(
            "CREATE TABLE t (b BOOLEAN, i2 SMALLINT, i4 INT, i8 BIGINT, f4 REAL, f8 FLOAT, s STRING, y BYTES)",
        )
        .await
        .unwrap();
    let insert = client.prepare("INSERT INTO t VALUES ($1, $2, $3, $4, $5, $6, $7, $8)").await.unwrap();
    let types = [Type::BOOL, Type::INT2, Type::INT4, Type::INT8, Type::FLOAT4, Type::FLOAT8, Type::TEXT, Type::BYTEA];
    assert_eq!(insert.params(), types);
    type Row = (
        Option<bool>,
        Option<i16>,
        Option<i32>,
        Option<i64>,
        Option<f32>,
        Option<f64>,
        Option<String>,
        Option<Vec<u8>>,
    );
    let rows: [Row; 3] = [
        (
            Some(true),
            Some(-7),
            Some(i32::MIN),
            Some(i64::MIN),
            Some(0.1),
            Some(-1.5e300),
            Some("it's ß".into()),
            Some(vec![0, 255]),
        ),
        (
            Some(false),
            Some(i16::MAX),
            Some(0),
            Some(i64::MAX),
            Some(-3.25),
            Some(0.1),
            Some(String::new()),
            Some(vec![]),
        ),
        (None, None, None, None, None, None, None, None),
    ];
    for (b, i2, i4, i8, f4, f8, s, y) in &rows {
        assert_eq!(client.execute(&insert, &[b, i2, i4, i8, f4, f8, s, y]).await.unwrap(), 1);
    }
    for row in &rows {
        let (sql, order): (_, &(dyn ToSql + Sync)) = match row.1 {
            Some(_) => ("SELECT * FROM t WHERE i2 = $1", &row.1),
            None => ("SELECT * FROM t WHERE i2 IS NULL AND $1 = 1", &1_i32),
        };
        let found = client.query_one(sql, &[order]).await.unwrap();
        let got: Row = (
            found.get(0),
            found.get(1),
            found.get(2),
            found.get(3),
            found.get(4),
            found.get(5),
            found.get(6),
            found.get(7),
        );
        assert_eq!(got, *row);
    }
    let texts = simple(&client, "SELECT * FROM t WHERE i2 = -7").await;
    assert_eq!(texts, ["t|-7|-2147483648|-9223372036854775808|0.1|-1.5e+300|it's ß|\\x00ff", "=1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_moments_of_the_driver_go_both_ways() {
    let bench = Bench::new().await;
    let client = bench.client().await;
    let columns = "k INT PRIMARY KEY, ts TIMESTAMP, tz TIMESTAMPTZ, i INT[], x TEXT[], f DOUBLE PRECISION[], y BYTEA[]";
    client.batch_execute(&format!("CREATE TABLE t ({columns})")).await.unwrap();
    let insert = client.prepare("INSERT INTO t VALUES ($1, $2, $3, $4, $5, $6, $7)").await.unwrap();
    let moment = SystemTime::UNIX_EPOCH - Duration::from_micros(1);
    let (i, f) = (vec![Some(i32::MIN), None, Some(i32::MAX)], vec![0.1, f64::NEG_INFINITY]);
    let (x, y) = (vec!["", "null", "{\"ß\\,}"], vec![vec![0_u8, 255], vec![]]);
    let sent: [&(dyn ToSql + Sync); 7] = [&1_i32, &moment, &moment, &i, &x, &f, &y];
    assert_eq!(client.execute(&insert, &sent).await.unwrap(), 1);
    let nothing: [&(dyn ToSql + Sync); 7] = [
        &2_i32,
        &None::<SystemTime>,
        &None::<SystemTime>,
        &Vec::<i32>::new(),
        &None::<Vec<String>>,
        &None::<Vec<f64>>,
        &None::<Vec<Vec<u8>>>,
    ];
    assert_eq!(client.execute(&insert, &nothing).await.unwrap(), 1);
    let rows =
        client.query("SELECT * FROM t WHERE k = ANY($1::INT[]) ORDER BY k", &[&vec![2_i32, 1, 7]]).await.unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[0].get::<_, SystemTime>("ts"), rows[0].get::<_, SystemTime>("tz")), (moment, moment));
    assert_eq!(rows[0].get::<_, Vec<Option<i32>>>("i"), i);
    assert_eq!(rows[0].get::<_, Vec<String>>("x"), x);
    assert_eq!(rows[0].get::<_, Vec<f64>>("f"), f);
    assert_eq!(rows[0].get::<_, Vec<Vec<u8>>>("y"), y);
    assert_eq!(rows[1].get::<_, Option<SystemTime>>("tz"), None);
    assert!(rows[1].get::<_, Vec<i32>>("i").is_empty());
    assert_eq!(rows[1].get::<_, Option<Vec<String>>>("x"), None);
    let update = "UPDATE t SET x = $1, tz = $2 WHERE tz = $3";
    let changed = client.execute(update, &[&vec!["new"], &SystemTime::UNIX_EPOCH, &moment]).await.unwrap();
    assert_eq!(changed, 1);
    assert_eq!(client.execute("DELETE FROM t WHERE x = $1", &[&vec!["new"]]).await.unwrap(), 1);
    assert_eq!(simple(&client, "SELECT k, i FROM t").await, ["2|{}", "=1"]);
}
