//! Tables whose rows change: modes and keys of every node, and where a row would be taken back with another value.

use crate::fixtures::{bid, catalog, column, computed, functions, metadata, on_shards, query, table};
use crate::statement::{Conflict, ExplainStage};
use crate::{JobOutput, PlannedJob, Planner, PlannerOptions, SqlError, Target};
use arrow::datatypes::DataType;
use eddyline_catalog::Table;
use eddyline_connectors::{SinkChanges, SourceChanges};
use insta::assert_snapshot;
use std::sync::Arc;

fn keyed(name: &str, key: &[&str], mut table: Table) -> Table {
    for column in &mut table.columns {
        column.nullable &= !key.contains(&column.name.as_str());
    }
    Table { name: name.into(), primary_key: key.iter().map(|k| (*k).to_owned()).collect(), ..table }
}

fn users() -> Table {
    let columns = vec![
        column("id", DataType::Int64),
        column("name", DataType::Utf8),
        column("city", DataType::Utf8),
        computed("initial", "SUBSTRING(name, 1, 1)"),
        computed("lot", "RAND()"),
        metadata("file", DataType::Utf8, "file.name"),
    ];
    keyed("users", &["id"], bound(table("users", columns)))
}

/// Rows are taken back as they are.
fn orders() -> Table {
    let columns = vec![
        column("id", DataType::Int32),
        column("user_id", DataType::Int32),
        column("amount", DataType::Int64),
        computed("lot", "RAND()"),
        metadata("file", DataType::Utf8, "file.name"),
    ];
    keyed("orders", &["id"], bound(table("orders", columns)))
}

fn bound(table: Table) -> Table {
    let (catalog, options) = (catalog(vec![]), PlannerOptions::default());
    Planner::new(&catalog, &options, functions()).bind_table(table).expect("the table is right")
}

fn by_name() -> Table {
    keyed("by_name", &["name"], table("by_name", vec![column("name", DataType::Utf8), column("n", DataType::Int64)]))
}

fn planned(sql: &str, target: Target, options: &PlannerOptions) -> Result<PlannedJob, SqlError> {
    let catalog = catalog(vec![users(), orders(), bid()]);
    let takes = |t: &Table| Ok(if t.name == "by_name" { SinkChanges::Upserts } else { SinkChanges::Full });
    let gives = |t: &Table| match t.name.object() {
        "users" => SourceChanges::Upserts,
        "orders" => SourceChanges::Full,
        _ => SourceChanges::Inserts,
    };
    let planner = Planner::new(&catalog, options, functions()).with_sinks(&takes).with_sources(&gives);
    planner.plan(vec![JobOutput { query: query(sql), target, position: None }])
}

fn result() -> Target {
    Target::Result { name: "result".into(), options: Default::default() }
}

fn changelog(sql: &str) -> String {
    planned(sql, result(), &on_shards(2)).expect("planned").explain(ExplainStage::Changelog)
}

fn insert(sql: &str, conflict: Option<Conflict>, options: &PlannerOptions) -> Result<PlannedJob, SqlError> {
    planned(sql, Target::Table { table: Arc::new(by_name()), columns: vec![], conflict }, options)
}

fn refused(sql: &str) -> String {
    let error = planned(sql, result(), &on_shards(1)).expect_err("it is refused");
    assert!(error.hint.is_some(), "{sql}: no hint");
    error.message
}

#[test]
fn a_source_of_upserts_reads_its_key_and_filters_stand_above_it() {
    let job = planned("SELECT initial FROM users WHERE city = 'Rome'", result(), &on_shards(2)).expect("planned");
    assert_snapshot!(job.dataflow, @r"
    Sink #3 result
      Calc #2 [substr(name@1, 1, 1) AS initial] where city@2 = Rome
        ChangelogNormalize #1 by (id)
          [exchange by (id)] Source #0 users [id, name, city]
    ");
}

#[test]
fn joins_aggregates_and_top_n_say_why_they_update() {
    assert_snapshot!(changelog("SELECT u.city, SUM(o.amount) AS total FROM orders o JOIN users u ON o.user_id = u.id GROUP BY u.city"), @r"
    #8 Sink: retract, key (city): a group of GROUP BY city changes its result when more rows come
    #7 Calc: retract, key (city): a group of GROUP BY city changes its result when more rows come
    #6 GroupAggregate: retract, key (city): a group of GROUP BY city changes its result when more rows come
    #5 Calc: retract: rows of orders are taken back
    #4 Join: retract: rows of orders are taken back
    #3 ChangelogNormalize: retract, key (id): a row of users takes the place of the one with its key
    #2 Source: upsert, key (id): a row of users takes the place of the one with its key
    #1 Calc: retract: rows of orders are taken back
    #0 Source: retract: rows of orders are taken back
    ");
    assert_snapshot!(changelog("SELECT * FROM (SELECT id, amount, ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY amount DESC) AS rn FROM orders) WHERE rn = 1"), @r"
    #3 Sink: retract, key (id): a row leaves the first 1 when another comes before it
    #2 Calc: retract, key (id): a row leaves the first 1 when another comes before it
    #1 TopN: retract, key (id): a row leaves the first 1 when another comes before it
    #0 Source: retract, key (id): rows of orders are taken back
    ");
    assert_snapshot!(changelog("SELECT b.price, u.name FROM bid b LEFT JOIN users u ON b.bidder = u.id"), @r"
    #4 Sink: retract: a row of users takes the place of the one with its key
    #3 Join: retract: a row of users takes the place of the one with its key
    #2 ChangelogNormalize: retract, key (id): a row of users takes the place of the one with its key
    #1 Source: upsert, key (id): a row of users takes the place of the one with its key
    #0 Source: append-only: rows of bid are only inserted
    ");
    assert_snapshot!(changelog("SELECT price FROM bid WHERE price > 5"), @r"
    #1 Sink: append-only: rows of bid are only inserted
    #0 Source: append-only: rows of bid are only inserted
    ");
}

#[test]
fn a_table_of_one_row_per_key_needs_to_know_what_becomes_of_several() {
    let (two, sql) = (on_shards(2), "SELECT name, id FROM users");
    let error = insert(sql, None, &two).expect_err("a conflict");
    assert_snapshot!(error.render(sql), @r"
    ERROR 42000: table by_name: several rows of the query may have the same PRIMARY KEY (name)
    DETAIL: the query has one row per (n)
    HINT: say what becomes of them: ON CONFLICT DO DEDUPLICATE (the last one that came is written), DO NOTHING (the first one), DO ERROR (the job fails); or let the PRIMARY KEY hold what tells the rows apart; SET 'table.exec.sink.require-on-conflict' = 'false' means DO DEDUPLICATE everywhere
    ");
    let job = insert(sql, Some(Conflict::Deduplicate), &two).expect("planned");
    assert_snapshot!(job.explain(ExplainStage::Changelog), @r"
    #4 Sink: upsert, key (name): table by_name keeps the last row of every key; of several rows with one key the last one that came is written
    #3 SinkMaterialize: retract, key (name): of several rows with one key the last one that came is written
    #2 Calc: retract, key (n): a row of users takes the place of the one with its key
    #1 ChangelogNormalize: retract, key (id): a row of users takes the place of the one with its key
    #0 Source: upsert, key (id): a row of users takes the place of the one with its key
    ");
    let lenient = PlannerOptions { require_on_conflict: false, ..two.clone() };
    assert_eq!(insert(sql, None, &lenient).expect("planned").dataflow, job.dataflow);

    // The key of the query is the table's: nothing is kept.
    let job = insert("SELECT name, COUNT(*) FROM users GROUP BY name", Some(Conflict::Error), &two).expect("planned");
    assert!(!job.dataflow.to_string().contains("SinkMaterialize"), "{}", job.dataflow);
    // One row of all has every key.
    let job = insert("SELECT MIN(name), COUNT(*) FROM users", None, &two).expect("planned");
    assert!(!job.dataflow.to_string().contains("SinkMaterialize"), "{}", job.dataflow);

    // Rows that are only inserted overwrite each other in the table, if they come in order to one writer.
    let appended = "SELECT channel, price FROM bid";
    let job = insert(appended, Some(Conflict::Deduplicate), &two).expect("planned");
    assert_snapshot!(job.dataflow, @r"
    Sink #2 by_name key (name)
      [exchange by (name)] Calc #1 [not_null(channel@1) AS name, price@0 AS n]
        Source #0 bid [price, channel]
    ");
    let job = insert(appended, Some(Conflict::Nothing), &two).expect("planned");
    assert!(job.dataflow.to_string().contains("SinkMaterialize"), "{}", job.dataflow);
}

#[test]
fn conflicts_are_of_tables_that_keep_one_row_per_key() {
    let log = table("log", vec![column("name", DataType::Utf8)]);
    let target = Target::Table { table: Arc::new(log), columns: vec![], conflict: Some(Conflict::Nothing) };
    let error = planned("SELECT name FROM users", target, &on_shards(1)).expect_err("no conflict");
    assert_eq!(error.message, "ON CONFLICT DO NOTHING: table log does not keep one row per key");
}

#[test]
fn what_is_not_the_same_twice_is_refused_wherever_rows_are_taken_back() {
    for table in ["users", "orders"] {
        for sql in [
            "SELECT id, RAND() FROM t",
            "SELECT id, UUID() FROM t",
            "SELECT id FROM t WHERE RAND() < 0.5",
            "SELECT id FROM t WHERE id > 3 AND UUID() <> 'x'",
            "SELECT lot FROM t",
            "SELECT id FROM t WHERE lot > 0.5",
            "SELECT RAND(), COUNT(*) FROM t GROUP BY RAND()",
            "SELECT lot, COUNT(*) FROM t GROUP BY lot",
            "SELECT SUM(RAND()) FROM t",
            "SELECT COUNT(*) FILTER (WHERE RAND() < 0.5) FROM t",
            "SELECT a.id FROM t a JOIN bid b ON a.id = b.auction AND RAND() < 0.5",
            "SELECT a.id FROM t a JOIN bid b ON a.id = b.auction AND a.id + b.price > RAND()",
            "SELECT a.id FROM t a LEFT JOIN bid b ON a.id = b.auction AND b.price > RAND() * a.id",
            "SELECT id FROM t WHERE id IN (SELECT auction FROM bid WHERE price > RAND() * t.id)",
            "SELECT id FROM (SELECT id, ROW_NUMBER() OVER (PARTITION BY id ORDER BY RAND()) AS rn FROM t) WHERE rn = 1",
            "SELECT DISTINCT RAND() FROM t",
            "SELECT id + RAND() FROM t UNION ALL SELECT price FROM bid",
            "SELECT CASE WHEN id > 1 THEN RAND() ELSE 0 END FROM t",
        ] {
            let sql = sql.replace("FROM t", &format!("FROM {table}")).replace("t.id", &format!("{table}.id"));
            let message = refused(&sql);
            let known = ["over rows that change", "in the condition of a join"];
            assert!(known.iter().any(|words| message.contains(words)), "{sql}: {message}");
        }
    }
    // Below, over rows that are only inserted, it is computed once.
    for sql in [
        "SELECT u.name, b.r FROM users u JOIN (SELECT auction, RAND() AS r FROM bid) b ON u.id = b.auction",
        "SELECT u.name FROM users u JOIN (SELECT auction FROM bid WHERE RAND() < 0.5) b ON u.id = b.auction",
        "SELECT u.name FROM users u JOIN bid b ON u.id = b.auction AND b.price > RAND()",
        "SELECT id, name FROM users",
    ] {
        planned(sql, result(), &on_shards(1)).unwrap_or_else(|e| panic!("{}", e.render(sql)));
    }
}

#[test]
fn metadata_of_rows_that_are_taken_back_as_they_are_is_refused() {
    assert_eq!(refused("SELECT file FROM orders"), "METADATA column file of table orders, whose rows are taken back");
    // By key, what was handed out is remembered.
    planned("SELECT file FROM users", result(), &on_shards(1)).expect("planned");
}
