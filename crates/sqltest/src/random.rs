//! Random tables, changes and queries, all from one seed.
//!
//! What is generated is valid SQL whose batch answer does not depend on order, so that the oracle can judge it:
//! sums of DOUBLE are sums of quarters (exact), integers stay small, divisors are never zero.

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use eddyline_changes::ChangeBatch;
use eddyline_changes::table::parse_changes;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use std::fmt::Write;
use std::sync::Arc;

/// A table and everything that will happen to it.
#[derive(Clone)]
pub struct RandomTable {
    /// Its name.
    pub name: String,
    /// Its columns.
    pub schema: SchemaRef,
    /// Are rows taken back?
    pub retracts: bool,
    /// Do rows replace each other by the column `a`?
    pub upserts: bool,
    /// CREATE TABLE, reading the feed of the table's name.
    pub ddl: String,
    /// What arrives, per split, in order.
    pub splits: Vec<Vec<ChangeBatch>>,
}

/// The columns of every random table.
pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("k", DataType::Utf8, true),
        Field::new("a", DataType::Int64, true),
        Field::new("b", DataType::Int32, true),
        Field::new("d", DataType::Float64, true),
        Field::new("m", DataType::Decimal128(10, 2), true),
        Field::new("ts", DataType::Timestamp(TimeUnit::Millisecond, None), true),
    ]))
}

const COLUMNS: &str = "k STRING, a BIGINT, b INT, d DOUBLE, m DECIMAL(10, 2), ts TIMESTAMP(3)";
/// Rows are out of order by less than this.
const DISORDER_MS: i64 = 5_000;

/// A table with up to `rows_max` changes over one to three splits. Event time advances from change to change and is
/// out of order by less than the watermark allows, so that no row is late.
pub fn table(rng: &mut StdRng, name: &str, retracts: bool, rows_max: usize) -> RandomTable {
    let splits = rng.random_range(1..=3);
    let mut with = if retracts { ", 'retracts' = 'true'".to_owned() } else { String::new() };
    // Of its own lots: which queries belong to a seed does not depend on how its rows travel.
    let mut lots = rng.clone();
    if retracts && lots.random_bool(0.3) {
        let format = ["changelog-json", "changelog-csv", "debezium-json"].choose(&mut lots).expect("not empty");
        let _ = write!(with, ", 'through' = '{format}'");
    }
    let ddl = format!(
        "CREATE TABLE {name} ({COLUMNS}, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) \
         WITH ('connector' = 'changes', 'feed' = '{name}'{with});"
    );
    let splits = (0..splits).map(|_| blocks(rng, retracts, rows_max)).collect();
    RandomTable { name: name.to_owned(), schema: schema(), retracts, upserts: false, ddl, splits }
}

/// A table with the PRIMARY KEY `a`, whose rows replace each other. All rows of a key are in one split.
pub fn keyed_table(rng: &mut StdRng, name: &str, rows_max: usize) -> RandomTable {
    let schema = Arc::new(Schema::new(
        schema().fields().iter().map(|f| f.as_ref().clone().with_nullable(f.name() != "a")).collect::<Vec<_>>(),
    ));
    let count = rng.random_range(1..=3);
    let mut with = String::new();
    if rng.random_bool(0.5) {
        let format = ["upsert-json", "upsert-csv"].choose(rng).expect("not empty");
        let _ = write!(with, ", 'through' = '{format}'");
    }
    let ddl = format!(
        "CREATE TABLE {name} ({COLUMNS}, PRIMARY KEY (a) NOT ENFORCED) \
         WITH ('connector' = 'changes', 'feed' = '{name}', 'upserts' = 'true'{with});"
    );
    let splits = (0..count).map(|split| keyed_blocks(rng, &schema, split, count, rows_max)).collect();
    RandomTable { name: name.to_owned(), schema, retracts: true, upserts: true, ddl, splits }
}

fn keyed_blocks(rng: &mut StdRng, schema: &SchemaRef, split: i64, splits: i64, rows_max: usize) -> Vec<ChangeBatch> {
    let mut blocks = Vec::new();
    let mut left = rng.random_range(0..=rows_max);
    while left > 0 {
        let size = rng.random_range(1..=left.min(1 + rows_max / 4));
        left -= size;
        let mut text = String::new();
        for _ in 0..size {
            let key = split + splits * rng.random_range(-2..3);
            let row = row(rng, 1_704_067_200_000);
            let (k, rest) = split_row(&row);
            let _ = match rng.random_bool(0.25) {
                true => writeln!(text, "- NULL {key} NULL NULL NULL NULL"),
                false => writeln!(text, "+ {k} {key} {rest}"),
            };
        }
        blocks.push(parse_changes(schema, &text).expect("generated rows are well formed"));
    }
    blocks
}

/// The first column of a row, and those behind the second.
fn split_row(row: &str) -> (&str, &str) {
    let end = match row.strip_prefix('"') {
        Some(quoted) => quoted.find('"').map_or(0, |at| at + 2),
        None => row.find(' ').unwrap_or(0),
    };
    let (k, rest) = row.split_at(end);
    let rest = rest.trim_start();
    (k, rest.split_once(' ').map_or("", |(_, rest)| rest))
}

fn blocks(rng: &mut StdRng, retracts: bool, rows_max: usize) -> Vec<ChangeBatch> {
    let mut now = 1_704_067_200_000 + rng.random_range(0..1000);
    let mut live: Vec<String> = Vec::new();
    let mut blocks = Vec::new();
    let mut left = rng.random_range(0..=rows_max);
    while left > 0 {
        let size = rng.random_range(1..=left.min(1 + rows_max / 4));
        left -= size;
        let mut text = String::new();
        for _ in 0..size {
            if retracts && !live.is_empty() && rng.random_bool(0.4) {
                let gone = live.swap_remove(rng.random_range(0..live.len()));
                let _ = writeln!(text, "- {gone}");
            } else {
                now += rng.random_range(0..2_000);
                let row = row(rng, now);
                let _ = writeln!(text, "+ {row}");
                live.push(row);
            }
        }
        blocks.push(parse_changes(&schema(), &text).expect("generated rows are well formed"));
    }
    blocks
}

fn row(rng: &mut StdRng, now: i64) -> String {
    let null = |rng: &mut StdRng, p: f64, text: String| if rng.random_bool(p) { "NULL".to_owned() } else { text };
    let k = ["x", "y", "z", "Zed", "\"\"", "\"a b\""].choose(rng).expect("not empty").to_string();
    let k = null(rng, 0.15, k);
    let a = rng.random_range(-5..6).to_string();
    let a = null(rng, 0.1, a);
    let b = rng.random_range(0..4).to_string();
    let b = null(rng, 0.2, b);
    let d = (f64::from(rng.random_range(-40..40)) / 4.0).to_string();
    let d = null(rng, 0.1, d);
    let m = format!("{}.{:02}", rng.random_range(-9..10), rng.random_range(0..100));
    let m = null(rng, 0.1, m);
    let ms = now - rng.random_range(0..DISORDER_MS);
    let ts = arrow::temporal_conversions::timestamp_ms_to_datetime(ms).expect("in range");
    format!("{k} {a} {b} {d} {m} {}", ts.format("%Y-%m-%dT%H:%M:%S%.3f"))
}

/// What kind of query to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Filters, projections, unions, GROUP BY, DISTINCT, nested.
    Relational,
    /// An aggregate over TUMBLE or HOP windows of an append-only table.
    Windowed,
    /// Sessions, and what is computed over them.
    Sessions,
    /// Filters on the time now, over tables, below and above joins, groupings and numbers.
    Timed,
    /// Subqueries that refer to the queries around them.
    Correlated,
}

/// A query over tables of [`schema`].
pub fn query(rng: &mut StdRng, shape: Shape, tables: &[&str]) -> String {
    match shape {
        Shape::Windowed => windowed(rng, tables),
        Shape::Sessions => sessions(rng, tables),
        Shape::Timed => timed(rng, tables),
        Shape::Correlated => crate::random_correlated::query(rng, tables),
        Shape::Relational if rng.random_bool(0.15) => match rng.random_bool(0.6) {
            true => {
                let table = tables.choose(rng).expect("a table");
                grouped_by_sets(rng, table, true)
            }
            false => {
                let from = format!("({}) AS s0", relation(rng, tables, 1));
                grouped_by_sets(rng, &from, false)
            }
        },
        Shape::Relational => {
            let depth = rng.random_range(1..=3);
            relation(rng, tables, depth)
        }
    }
}

/// A SELECT whose columns are `k STRING, a BIGINT` at least, so that it can be nested.
fn relation(rng: &mut StdRng, tables: &[&str], depth: usize) -> String {
    if depth == 0 {
        let table = tables.choose(rng).expect("a table");
        return format!("SELECT k, a, b, d, m FROM {table}");
    }
    let from = if depth == 1 {
        (*tables.choose(rng).expect("a table")).to_owned()
    } else {
        format!("({}) AS s{depth}", relation(rng, tables, depth - 1))
    };
    let full = depth == 1;
    match rng.random_range(0..25) {
        21..=24 => around(rng, &from),
        17..=19 => first_rows(rng, &from),
        20 => unnested(rng, &from),
        10..=11 => join(rng, tables, &from, depth),
        12 => chain(rng, tables),
        13..=15 => subquery(rng, tables, &from, depth),
        16 => {
            let other = relation(rng, tables, depth - 1);
            let set = ["INTERSECT", "EXCEPT", "INTERSECT ALL", "EXCEPT ALL"].choose(rng).expect("not empty");
            format!("SELECT k, a FROM {from} {set} SELECT k, a FROM ({other}) AS u3")
        }
        0..=1 => format!("SELECT {} AS k, {} FROM {from}{}", text(rng), filled(rng, full), wher(rng, full)),
        2 => format!("SELECT DISTINCT {} AS k, a FROM {from}{}", text(rng), wher(rng, full)),
        3 => {
            let one = relation(rng, tables, depth - 1);
            let two = relation(rng, tables, depth - 1);
            let all = if rng.random_bool(0.6) { "UNION ALL" } else { "UNION" };
            format!("SELECT k, a FROM ({one}) AS u1 {all} SELECT k, a FROM ({two}) AS u2")
        }
        4 => format!("SELECT 'all' AS k, COUNT(*) AS a, {} FROM {from}{}", aggregates(rng, full), wher(rng, full)),
        _ => {
            let having = match rng.random_range(0..4) {
                0 => " HAVING COUNT(*) > 1",
                1 => " HAVING SUM(a) > 0",
                _ => "",
            };
            let key = if rng.random_bool(0.7) { "k".to_owned() } else { "UPPER(k)".to_owned() };
            let aggregates = aggregates(rng, full);
            format!(
                "SELECT {key} AS k, SUM(a) AS a, {aggregates} FROM {from}{} GROUP BY {key}{having}",
                wher(rng, full)
            )
        }
    }
}

fn timed(rng: &mut StdRng, tables: &[&str]) -> String {
    let (one, other) = (tables.choose(rng).expect("a table"), tables.choose(rng).expect("a table"));
    let also = if rng.random_bool(0.3) { format!(" AND {}", condition(rng, true, 1)) } else { String::new() };
    let time = now_compared(rng, "ts");
    match rng.random_range(0..9) {
        0 | 1 => format!("SELECT k, a, ts FROM {one} WHERE {time}{also}"),
        2 => format!("SELECT k, a + 1 AS a FROM (SELECT k, a, ts FROM {one} WHERE a > -3) AS s WHERE {time}"),
        3 => format!("SELECT k, COUNT(*) AS n, SUM(a) AS a, MAX(ts) AS m FROM {one} WHERE {time}{also} GROUP BY k"),
        4 => {
            let right = now_compared(rng, "r.ts");
            let left = now_compared(rng, "l.ts");
            format!(
                "SELECT l.k, l.a, r.a AS ra FROM {one} AS l JOIN {other} AS r ON l.k = r.k WHERE {left} AND {right}"
            )
        }
        5 => format!(
            "SELECT k, SUM(a) AS a, MAX(ts) AS ts FROM {one} GROUP BY k HAVING {}",
            now_compared(rng, "MAX(ts)")
        ),
        6 => {
            let right = now_compared(rng, "r.ts");
            let not = if rng.random_bool(0.5) { "NOT " } else { "" };
            format!(
                "SELECT l.k, l.a FROM {one} AS l WHERE {not}EXISTS (SELECT 1 FROM {other} AS r WHERE r.k = l.k AND {right})"
            )
        }
        7 => {
            let ranked =
                format!("SELECT k, a, ts, ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts DESC, a) AS n FROM {one}");
            format!("SELECT k, ts FROM ({ranked}) AS f WHERE n <= 2 AND {time}")
        }
        _ => {
            let (first, second) = (now_compared(rng, "ts"), now_compared(rng, "ts"));
            format!(
                "SELECT DISTINCT k FROM (SELECT k FROM {one} WHERE {first} UNION ALL SELECT k FROM {other} WHERE {second}) AS u"
            )
        }
    }
}

/// A condition on the time now that is kept up.
fn now_compared(rng: &mut StdRng, ts: &str) -> String {
    let seconds = rng.random_range(0..8);
    match rng.random_range(0..10) {
        0 | 1 => format!("{ts} > NOW() - INTERVAL '{seconds}' SECOND"),
        2 => format!("{ts} >= LOCALTIMESTAMP - INTERVAL '{seconds}' SECOND"),
        3 => format!("CURRENT_TIMESTAMP < {ts} + INTERVAL '{seconds}' SECOND"),
        4 => format!("{ts} <= NOW()"),
        5 => format!("LOCALTIMESTAMP > {ts} + INTERVAL '{seconds}' SECOND"),
        6 => format!("{ts} BETWEEN NOW() - INTERVAL '{seconds}' SECOND AND NOW()"),
        7 => format!("NOW() BETWEEN {ts} + INTERVAL '1' SECOND AND {ts} + INTERVAL '{}' SECOND", seconds + 2),
        8 => format!("CAST({ts} + INTERVAL '23:59:50' HOUR TO SECOND AS DATE) = CURRENT_DATE"),
        _ => format!("NOT (CAST({ts} AS TIMESTAMP_LTZ(6)) < NOW() - INTERVAL '{seconds}.5' SECOND)"),
    }
}

/// A table, or a query in brackets.
fn other(rng: &mut StdRng, tables: &[&str], depth: usize) -> String {
    match rng.random_bool(0.6) {
        true => (*tables.choose(rng).expect("a table")).to_owned(),
        false => format!("({})", relation(rng, tables, depth - 1)),
    }
}

fn join(rng: &mut StdRng, tables: &[&str], from: &str, depth: usize) -> String {
    let kind = ["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN"].choose(rng).expect("not empty");
    let from = from.rsplit_once(" AS ").map_or(from, |(query, _)| query);
    let right = other(rng, tables, depth);
    let on = [
        "l.k = r.k",
        "l.a = r.a",
        "l.k = r.k AND l.a = r.a",
        "l.k = r.k AND l.a < r.a",
        "l.k = r.k AND r.a > 0",
        "l.a < r.a",
        "l.a >= r.a",
        "l.k = r.k AND r.a BETWEEN l.a - 2 AND l.a",
        "l.a BETWEEN r.a AND r.a",
        "l.k < r.k",
        "l.k >= r.k AND l.a <= r.a",
        "UPPER(l.k) = r.k",
        "l.k = r.k AND l.a + 1 = r.a",
        "l.k IS NOT DISTINCT FROM r.k",
    ];
    if *kind != "CROSS JOIN" && rng.random_bool(0.2) {
        let using = ["k", "a", "k, a", "a, k"].choose(rng).expect("not empty");
        let columns = ["k, a", "k, l.a AS a, r.a AS ra", "l.k AS lk, a, r.k AS k", "*"];
        // A column that is not common and that both have is nobody's.
        let columns = if using.len() == 1 { "k, l.a AS a, r.k AS rk" } else { columns.choose(rng).expect("not empty") };
        let columns = if *using == "a" { "l.k AS k, a, r.a AS ra" } else { columns };
        let inner = |from: &str, side: &str| format!("(SELECT k, a FROM {from} AS i) AS {side}");
        let (l, r) = (inner(from, "l"), inner(&right, "r"));
        let on = if rng.random_bool(0.2) && columns == "*" { "NATURAL " } else { "" };
        let using = if on.is_empty() { format!(" USING ({using})") } else { String::new() };
        return format!("SELECT {columns} FROM {l} {on}{kind} {r}{using}");
    }
    let on = if *kind == "CROSS JOIN" { String::new() } else { format!(" ON {}", on.choose(rng).expect("not empty")) };
    let columns = [
        "l.k AS k, r.a AS a",
        "COALESCE(l.k, r.k) AS k, l.a AS a, r.a AS ra",
        "r.k AS k, l.a AS a, l.k AS lk",
        "l.k AS k, COALESCE(l.a, 0) + COALESCE(r.a, 0) AS a",
    ];
    let select = columns.choose(rng).expect("not empty");
    let wher = ["", " WHERE l.a > 0", " WHERE r.a IS NULL", " WHERE l.a > r.a"].choose(rng).expect("not empty");
    format!("SELECT {select} FROM {from} AS l {kind} {right} AS r{on}{wher}")
}

/// Three or four tables joined with each other, of some of which few rows pass.
fn chain(rng: &mut StdRng, tables: &[&str]) -> String {
    let count = rng.random_range(3..=4);
    let from: Vec<String> = (0..count).map(|t| format!("{} AS t{t}", tables.choose(rng).expect("a table"))).collect();
    let mut conditions = Vec::new();
    for right in 1..count {
        let left = rng.random_range(0..right);
        let equal = ["tL.k = tR.k AND tL.a = tR.a", "tL.k = tR.k", "tL.a = tR.a", "tL.a + 1 = tR.a"];
        let also = ["", "", " AND tL.a < tR.a", " AND tL.b IS DISTINCT FROM tR.b"];
        let on = format!("{}{}", equal.choose(rng).expect("not empty"), also.choose(rng).expect("not empty"));
        conditions.push(on.replace("tL", &format!("t{left}")).replace("tR", &format!("t{right}")));
    }
    for _ in 0..rng.random_range(1..=3) {
        let narrow =
            ["t.k = 'x'", "t.a IN (1, 2)", "(t.k = 'x' OR t.k = 'y')", "t.a > 0"].choose(rng).expect("not empty");
        conditions.push(narrow.replace("t.", &format!("t{}.", rng.random_range(0..count))));
    }
    let last = count - 1;
    let columns = [format!("t0.k AS k, t{last}.a AS a"), format!("t{last}.k AS k, t1.a AS a, t0.b")];
    let select = columns.choose(rng).expect("not empty");
    format!("SELECT {select} FROM {} WHERE {}", from.join(", "), conditions.join(" AND "))
}

fn subquery(rng: &mut StdRng, tables: &[&str], from: &str, depth: usize) -> String {
    let from = from.rsplit_once(" AS ").map_or(from, |(query, _)| query);
    let right = other(rng, tables, depth);
    let not = if rng.random_bool(0.5) { "NOT " } else { "" };
    let column = if rng.random_bool(0.6) { "a" } else { "k" };
    let compared = ["=", "<>", "<", ">=", ">"].choose(rng).expect("not empty");
    let quantifier = ["ANY", "ALL", "SOME"].choose(rng).expect("not empty");
    let inner = [" WHERE a > 0", " WHERE r.k = l.k", "", " WHERE r.a IS NOT NULL"].choose(rng).expect("not empty");
    let of_values = format!("(SELECT {column} FROM {right} AS r{inner})");
    if rng.random_bool(0.25) {
        let value = match rng.random_range(0..4) {
            0 => format!("l.{column} {compared} {quantifier} {of_values}"),
            1 => format!("l.{column} {not}IN {of_values}"),
            2 => format!("CASE WHEN l.{column} {not}IN {of_values} THEN 'yes' WHEN l.a > 0 THEN 'no' END"),
            _ => format!("{not}EXISTS {of_values}"),
        };
        let from = format!("SELECT l.k AS k, l.a AS a, {value} AS v FROM {from} AS l");
        return match rng.random_range(0..3) {
            0 => format!("SELECT k, SUM(a) AS a, COUNT(v) AS n FROM ({from}) AS w GROUP BY k"),
            1 => format!("SELECT CAST(v AS STRING) AS k, COUNT(*) AS a FROM ({from}) AS w GROUP BY v"),
            _ => from,
        };
    }
    let condition = match rng.random_range(0..13) {
        8 => format!("l.{column} {compared} {quantifier} {of_values}"),
        9 => format!("(l.a = 1 OR l.{column} {not}IN {of_values})"),
        10 => format!("(l.k = 'x' OR l.{column} {compared} {quantifier} {of_values})"),
        11 => format!("NOT (l.{column} {compared} {quantifier} {of_values} AND l.a > 0)"),
        12 => format!("(l.{column} {not}IN {of_values}) IS NOT TRUE"),
        0 => format!("l.a {not}IN (SELECT a FROM {right} AS r)"),
        1 => format!("l.k {not}IN (SELECT k FROM {right} AS r WHERE a > 0)"),
        2 => format!("{not}EXISTS (SELECT 1 FROM {right} AS r WHERE r.k = l.k)"),
        3 => format!("{not}EXISTS (SELECT 1 FROM {right} AS r WHERE r.k = l.k AND r.a > l.a)"),
        4 => format!("l.a > (SELECT MAX(a) - 3 FROM {right} AS r)"),
        5 => format!("l.a < (SELECT COUNT(*) FROM {right} AS r WHERE r.k = l.k)"),
        6 => format!("l.a >= (SELECT AVG(a) FROM {right} AS r WHERE r.k = l.k)"),
        _ => format!("(l.a > 2 OR {not}EXISTS (SELECT 1 FROM {right} AS r WHERE r.k = l.k))"),
    };
    format!("SELECT l.k AS k, l.a AS a FROM {from} AS l WHERE {condition}")
}

/// Rows once for every element of a list.
fn unnested(rng: &mut StdRng, from: &str) -> String {
    let from = from.rsplit_once(" AS ").map_or(from, |(query, _)| query);
    let list = ["ARRAY[a, a + 1]", "GENERATE_SERIES(1, a)", "GENERATE_SERIES(a, a + 2)", "ARRAY[a, NULL, 3]"];
    let list = list.choose(rng).expect("not empty");
    let list = if rng.random_bool(0.4) { format!("CASE WHEN k <> 'x' THEN {list} END") } else { (*list).to_owned() };
    let of = format!("(SELECT k, a, {list} AS ns FROM {from} AS i) AS l");
    let join = |rng: &mut StdRng, number: &str, names: &str| match rng.random_bool(0.4) {
        true => format!("{of} LEFT JOIN UNNEST(ns){number} AS e({names}) ON TRUE"),
        false => format!("{of} CROSS JOIN UNNEST(l.ns){number} AS e({names})"),
    };
    let wher = ["", " WHERE n > 1", " WHERE a > 0 AND n < 4", " WHERE n IS NULL"].choose(rng).expect("not empty");
    match rng.random_range(0..4) {
        0 => format!("SELECT k, n AS a, a AS b FROM {}{wher}", join(rng, "", "n")),
        1 => format!("SELECT k, n AS a, at FROM {}{wher}", join(rng, " WITH ORDINALITY", "n, at")),
        2 => format!("SELECT k, SUM(n) AS a, COUNT(*) AS b FROM {}{wher} GROUP BY k", join(rng, "", "n")),
        _ => format!("SELECT k, UNNEST(ns) AS a FROM {of}"),
    }
}

/// Numbered rows, LIMIT, DISTINCT ON. The order leaves rows equal only where what is put out of them is.
fn first_rows(rng: &mut StdRng, from: &str) -> String {
    let partition =
        ["PARTITION BY k ", "PARTITION BY a ", "PARTITION BY UPPER(k) ", ""].choose(rng).expect("not empty");
    let order =
        ["a DESC, k", "k, a", "a NULLS LAST, k DESC", "a + 1, k DESC NULLS FIRST"].choose(rng).expect("not empty");
    let bound =
        ["n <= 2", "n = 1", "n < 4", "n BETWEEN 2 AND 3", "n >= 2 AND n <= 5", "n IN (1, 3)", "n <= 3 AND a > 0"];
    let bound = bound.choose(rng).expect("not empty");
    let shown = if rng.random_bool(0.5) { ", n" } else { "" };
    match rng.random_range(0..6) {
        0..=2 => {
            let numbered = format!("SELECT k, a, ROW_NUMBER() OVER ({partition}ORDER BY {order}) AS n FROM {from}");
            format!("SELECT k, a{shown} FROM ({numbered}) AS f WHERE {bound}")
        }
        3 => {
            // Equal orders have equal ranks: it needs no total order.
            let rank = ["RANK", "DENSE_RANK"].choose(rng).expect("not empty");
            let by = ["a", "a DESC", "k"].choose(rng).expect("not empty");
            let ranked = format!("SELECT k, a, {rank}() OVER ({partition}ORDER BY {by}) AS n FROM {from}");
            format!("SELECT k, a{shown} FROM ({ranked}) AS f WHERE {bound}")
        }
        4 => {
            let offset = ["", " OFFSET 1", " OFFSET 3"].choose(rng).expect("not empty");
            let limit = rng.random_range(0..6);
            format!("SELECT k, a FROM (SELECT k, a FROM {from} ORDER BY {order} LIMIT {limit}{offset}) AS f")
        }
        _ => {
            // There is one row of each k.
            let order = ["k, a DESC", "k DESC, a", "k NULLS LAST, a DESC"].choose(rng).expect("not empty");
            let limit = ["", " LIMIT 2", " LIMIT 2 OFFSET 1"].choose(rng).expect("not empty");
            format!("SELECT f.k, f.a FROM (SELECT DISTINCT ON (k) k, a FROM {from} ORDER BY {order}{limit}) AS f")
        }
    }
}

/// Functions with OVER. Where the place of a row among its equals matters, there is one order, which leaves rows equal only if
/// what is put out of them is.
fn around(rng: &mut StdRng, from: &str) -> String {
    let partition = ["PARTITION BY k ", "PARTITION BY k ", "PARTITION BY a ", "PARTITION BY a + 1, k ", ""];
    let partition = partition.choose(rng).expect("not empty");
    let total = ["a DESC, k", "k, a", "a NULLS LAST, k DESC", "k DESC NULLS FIRST, a"];
    let total = total.choose(rng).expect("not empty");
    let calls: Vec<String> = (0..rng.random_range(1..=3))
        .map(|at| {
            let call = match rng.random_range(0..4) {
                0 => {
                    format!("{} OVER ({partition}ORDER BY {total})", by_place(rng))
                }
                1 => {
                    let (call, frame) = (in_frame(rng, true), frame(rng, "ROWS", true));
                    let close = if call.starts_with("CAST(") { " AS STRING)" } else { "" };
                    format!("{call} OVER ({partition}ORDER BY {total}{frame}){close}")
                }
                2 => {
                    let rank =
                        ["RANK()", "DENSE_RANK()", "PERCENT_RANK()", "CUME_DIST()"].choose(rng).expect("not empty");
                    let order = ["a", "a DESC", "k", "a NULLS LAST"].choose(rng).expect("not empty");
                    format!("{rank} OVER ({partition}ORDER BY {order})")
                }
                _ => {
                    let units = *["RANGE", "GROUPS", ""].choose(rng).expect("not empty");
                    let order = ["a", "a DESC", "a NULLS LAST", "a DESC NULLS LAST"].choose(rng).expect("not empty");
                    let order = if units.is_empty() && rng.random_bool(0.4) { "" } else { order };
                    let by = if order.is_empty() { String::new() } else { format!("ORDER BY {order}") };
                    let (call, frame) = (in_frame(rng, false), frame(rng, units, false));
                    format!("{call} OVER ({partition}{by}{frame})")
                }
            };
            format!("{call} AS w{at}")
        })
        .collect();
    let calls = calls.join(", ");
    match rng.random_range(0..4) {
        0 => format!("SELECT k, a FROM (SELECT k, a, {calls} FROM {from}) AS o WHERE w0 IS NOT NULL"),
        _ => format!("SELECT k, a, {calls} FROM {from}"),
    }
}

/// Functions of a row's place.
fn by_place(rng: &mut StdRng) -> String {
    let value = ["a", "k"].choose(rng).expect("not empty");
    let shift = ["LAG", "LEAD"].choose(rng).expect("not empty");
    let nulls = ["", " RESPECT NULLS"].choose(rng).expect("not empty");
    match rng.random_range(0..5) {
        0 => "ROW_NUMBER()".into(),
        1 => format!("NTILE({})", rng.random_range(1..5)),
        2 => format!("{shift}({value}, {}){nulls}", rng.random_range(1..4)),
        // DataFusion does not find the second one that is not NULL, and those behind it.
        3 => format!("{shift}({value}, 1) IGNORE NULLS"),
        _ => format!("{shift}(a, {}, 7)", rng.random_range(0..3)),
    }
}

/// Functions over a frame; `ordered`: also those that depend on the order in it.
fn in_frame(rng: &mut StdRng, ordered: bool) -> String {
    let filter = if rng.random_bool(0.2) { " FILTER (WHERE a > 0)" } else { "" };
    let call = match rng.random_range(0..if ordered { 12 } else { 7 }) {
        0 => "COUNT(*)",
        1 => "SUM(a)",
        2 => "AVG(a)",
        3 => "MIN(a)",
        4 => "MAX(k)",
        5 => "COUNT(k)",
        6 => "MAX(a)",
        7 => return "FIRST_VALUE(k)".into(),
        8 => return "LAST_VALUE(a) RESPECT NULLS".into(),
        9 => return format!("NTH_VALUE(a, {})", rng.random_range(1..4)),
        10 => return "LAST_VALUE(a)".into(),
        _ => return "CAST(ARRAY_AGG(a)".into(),
    };
    format!("{call}{filter}")
}

/// A frame that does not end before it begins.
fn frame(rng: &mut StdRng, units: &str, rows: bool) -> String {
    if units.is_empty() || (rows && rng.random_bool(0.2)) {
        return String::new();
    }
    let (near, far) = (rng.random_range(0..3), rng.random_range(2..5));
    let end = rng.random_range(0..4);
    let end_text = match end {
        0 => format!("{near} PRECEDING"),
        1 => "CURRENT ROW".to_owned(),
        2 => format!("{far} FOLLOWING"),
        _ => "UNBOUNDED FOLLOWING".to_owned(),
    };
    let start = match rng.random_range(0..=end.min(2) + 1) {
        0 => "UNBOUNDED PRECEDING".to_owned(),
        1 => format!("{far} PRECEDING"),
        2 => "CURRENT ROW".to_owned(),
        _ => format!("{near} FOLLOWING"),
    };
    format!(" {units} BETWEEN {start} AND {end_text}")
}

fn text(rng: &mut StdRng) -> &'static str {
    ["k", "UPPER(k)", "COALESCE(k, 'none')", "k || '!'", "CASE WHEN a > 0 THEN k ELSE 'neg' END"]
        .choose(rng)
        .expect("not empty")
}

fn filled(rng: &mut StdRng, full: bool) -> String {
    let a = ["a AS a", "a + 1 AS a", "-a AS a", "COALESCE(a, 7) AS a", "a / 2 AS a", "MOD(a, 3) AS a"];
    let mut out = a.choose(rng).expect("not empty").to_string();
    if full && rng.random_bool(0.7) {
        let more =
            [", b", ", d * 2 AS d2", ", m + 1 AS m1", ", m * a AS ma", ", CAST(b AS STRING) AS bs", ", a = b AS same"];
        out.push_str(more.choose(rng).expect("not empty"));
    }
    out
}

fn wher(rng: &mut StdRng, full: bool) -> String {
    if rng.random_bool(0.5) { String::new() } else { format!(" WHERE {}", condition(rng, full, 2)) }
}

fn condition(rng: &mut StdRng, full: bool, depth: usize) -> String {
    if depth > 0 && rng.random_bool(0.4) {
        let (one, two) = (condition(rng, full, depth - 1), condition(rng, full, depth - 1));
        return match rng.random_range(0..3) {
            0 => format!("({one} AND {two})"),
            1 => format!("({one} OR {two})"),
            _ => format!("NOT ({one})"),
        };
    }
    let simple = [
        "a > 0",
        "a <= 2",
        "k = 'x'",
        "k IS NULL",
        "a IS NOT NULL",
        "k IN ('x', 'y')",
        "a BETWEEN -1 AND 3",
        "k LIKE 'Z%'",
    ];
    let wide = ["b = 1", "d > 0.5", "m < 3.25", "b IS NULL", "a <> b", "d IS DISTINCT FROM 1.0"];
    if full && rng.random_bool(0.4) { wide.choose(rng) } else { simple.choose(rng) }.expect("not empty").to_string()
}

fn aggregates(rng: &mut StdRng, full: bool) -> String {
    let count = rng.random_range(1..=4);
    let mut out: Vec<String> = Vec::new();
    for at in 0..count {
        let column = if full { *["a", "b", "d", "m"].choose(rng).expect("not empty") } else { "a" };
        let call = match rng.random_range(0..14) {
            0 => "COUNT(*)".to_owned(),
            1 => format!("COUNT({column})"),
            2 => format!("SUM({column})"),
            3 => format!("AVG({column})"),
            4 => format!("MIN({column})"),
            5 => format!("MAX({})", if rng.random_bool(0.3) { "k" } else { column }),
            6 => format!("COUNT(DISTINCT {})", if rng.random_bool(0.5) { "k" } else { column }),
            7..=12 => String::new(),
            _ => "SUM(DISTINCT a)".to_owned(),
        };
        let filter =
            if rng.random_bool(0.25) { format!(" FILTER (WHERE {})", condition(rng, full, 1)) } else { String::new() };
        let call = if call.is_empty() { exact(rng, column, &filter) } else { call + &filter };
        out.push(format!("{call} AS x{at}"));
    }
    out.join(", ")
}

/// Aggregates whose batch answer is exact, or is made so: FLOOR cuts where no small fraction lies. DataFusion does not
/// keep the order of ARRAY_AGG(DISTINCT … ORDER BY …).
fn exact(rng: &mut StdRng, column: &str, filter: &str) -> String {
    let moment = |call: String| format!("FLOOR({call}{filter} * 1000 + CAST(0.123456789 AS DOUBLE))");
    let distinct = if rng.random_bool(0.4) { "DISTINCT " } else { "" };
    let order = if rng.random_bool(0.5) { " DESC" } else { "" };
    let call = match rng.random_range(0..14) {
        0 => return moment(format!("VAR_POP({column})")),
        1 => return moment(format!("VAR_SAMP({column})")),
        2 => return moment("COVAR_POP(a, a)".into()),
        3 => "BOOL_AND(a > 0)".into(),
        4 => "BOOL_OR(a > 3)".into(),
        5 => "BIT_AND(a)".into(),
        6 => "BIT_OR(a)".into(),
        // DataFusion takes DISTINCT for nothing here.
        7 => "BIT_XOR(a)".into(),
        8 => return format!("CAST(ARRAY_AGG(k ORDER BY k{order}){filter} AS STRING)"),
        9 => return format!("CAST(ARRAY_AGG(a ORDER BY a{order}){filter} AS STRING)"),
        10 => format!("FIRST_VALUE(k ORDER BY a{order}, k)"),
        11 => format!("LAST_VALUE({column} ORDER BY k, {column}{order})"),
        12 => format!("MEDIAN({distinct}a)"),
        _ => "APPROX_COUNT_DISTINCT(k)".into(),
    };
    call + filter
}

/// GROUP BY over several keys in several ways, with what tells them apart.
fn grouped_by_sets(rng: &mut StdRng, from: &str, full: bool) -> String {
    let sets = [
        "ROLLUP (k, a)",
        "CUBE (k, a)",
        "GROUPING SETS ((k), (a), ())",
        "GROUPING SETS ((k, a), (k), (k))",
        "k, ROLLUP (a)",
    ];
    let sets = sets.choose(rng).expect("not empty");
    let (aggregates, wher) = (aggregates(rng, full), wher(rng, full));
    format!("SELECT k, a, GROUPING(k) AS gk, GROUPING_ID(k, a) AS ga, {aggregates} FROM {from}{wher} GROUP BY {sets}")
}

/// The first rows of windows, of rows or of groups. The order leaves rows equal only where what is put out of them is.
fn first_of_windows(rng: &mut StdRng, window: &str) -> String {
    let from = match rng.random_bool(0.5) {
        true => format!("SELECT k, a, window_start, window_end FROM TABLE({window}){}", wher(rng, true)),
        false => format!(
            "SELECT k, SUM(a) AS a, window_start, window_end FROM TABLE({window}) GROUP BY k, window_start, window_end"
        ),
    };
    let partition = ["window_start, window_end", "window_end, k", "window_start", "k, window_start, window_end"];
    let partition = partition.choose(rng).expect("not empty");
    let order = ["a DESC, k", "k, a", "a NULLS LAST, k DESC"].choose(rng).expect("not empty");
    let bound = ["n <= 2", "n = 1", "n BETWEEN 2 AND 3"].choose(rng).expect("not empty");
    let shown = if rng.random_bool(0.5) { ", n" } else { "" };
    format!(
        "SELECT k, a, window_start, window_end{shown} FROM \
         (SELECT *, ROW_NUMBER() OVER (PARTITION BY {partition} ORDER BY {order}) AS n FROM ({from}) AS w) AS f WHERE {bound}"
    )
}

/// A query over sessions, with a column window_end.
fn sessions(rng: &mut StdRng, tables: &[&str]) -> String {
    let table = tables.choose(rng).expect("a table");
    let parted = *["k", "b", "k, b", ""].choose(rng).expect("not empty");
    let seconds = rng.random_range(1..=6);
    let by = if parted.is_empty() { String::new() } else { format!(" PARTITION BY {parted}") };
    let window = format!("SESSION(TABLE {table}{by}, DESCRIPTOR(ts), INTERVAL '{seconds}' SECOND)");
    let aggregates = aggregates(rng, true);
    let grouped = |key: &str, wher: &str| {
        let keys = if key.is_empty() { String::new() } else { format!("{key}, ") };
        format!(
            "SELECT {keys}window_start, window_end, {aggregates} FROM TABLE({window}){wher} GROUP BY {keys}window_start, window_end"
        )
    };
    match rng.random_range(0..10) {
        // The start of a session does not tell which one it is.
        0 => first_of_windows(rng, &window).replace("BY window_start ORDER", "BY window_end ORDER"),
        1 => {
            let wher = wher(rng, true);
            format!("SELECT k, a, ts, window_start, window_end, window_time FROM TABLE({window}){wher}")
        }
        2 => {
            let keys = if parted.is_empty() { String::new() } else { format!("{parted}, ") };
            let (wher, span) = (wher(rng, true), format!("(ts, INTERVAL '{seconds}' SECOND)"));
            format!(
                "SELECT {keys}SESSION_START{span} AS window_start, SESSION_END{span} AS window_end, {aggregates} FROM {table}{wher} GROUP BY {keys}SESSION{span}"
            )
        }
        3 => {
            let key = *["k", "b", ""].choose(rng).expect("not empty");
            let inner = grouped(parted, "");
            let keys = if parted.contains(key) && !key.is_empty() { format!("{key}, ") } else { String::new() };
            format!(
                "SELECT {keys}window_end, COUNT(*) AS n FROM ({inner}) AS s GROUP BY {keys}window_start, window_end"
            )
        }
        4 => {
            let wher = wher(rng, true);
            grouped(["k", "b", "k, b", ""].choose(rng).expect("not empty"), &wher)
        }
        _ => grouped(parted, ""),
    }
}

fn windowed(rng: &mut StdRng, tables: &[&str]) -> String {
    let table = tables.choose(rng).expect("a table");
    let window = if rng.random_bool(0.5) {
        format!("TUMBLE(TABLE {table}, DESCRIPTOR(ts), INTERVAL '{}' SECOND)", rng.random_range(1..=20))
    } else {
        let (slide, size) = (rng.random_range(1..=6), rng.random_range(1..=20));
        format!("HOP(TABLE {table}, DESCRIPTOR(ts), INTERVAL '{slide}' SECOND, INTERVAL '{size}' SECOND)")
    };
    if rng.random_bool(0.25) {
        return first_of_windows(rng, &window);
    }
    let key = *["k", "b", "k, b", ""].choose(rng).expect("not empty");
    let keys = if key.is_empty() { String::new() } else { format!("{key}, ") };
    let aggregates = aggregates(rng, true);
    format!(
        "SELECT {keys}window_start, window_end, {aggregates} FROM TABLE({window}){} GROUP BY {keys}window_start, window_end",
        wher(rng, true)
    )
}
