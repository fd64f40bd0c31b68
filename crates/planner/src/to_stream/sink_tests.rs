//! INSERT: what fits into a table and what does not.

use crate::fixtures::{bid, catalog, column, functions, on_shards, plain, query, table, timestamp};
use crate::{JobOutput, Planner, Presentation, SortColumn, SqlError, Target};
use arrow::datatypes::{DataType, TimeUnit};
use eddyline_catalog::Table;
use eddyline_connectors::SinkChanges;
use insta::assert_snapshot;
use std::sync::Arc;

fn insert(into: &Table, columns: &[&str], sql: &str) -> JobOutput {
    let columns = columns.iter().map(|c| (*c).to_owned()).collect();
    let target = Target::Table { table: Arc::new(into.clone()), columns, conflict: None };
    JobOutput { query: query(sql), target, position: None }
}

fn job(shards: usize, outputs: Vec<JobOutput>) -> Result<String, SqlError> {
    let (catalog, options) = (catalog(vec![bid(), plain()]), on_shards(shards));
    let append_only = |t: &Table| Ok(if t.name == "log" { SinkChanges::Inserts } else { SinkChanges::Full });
    let planner = Planner::new(&catalog, &options, functions()).with_sinks(&append_only);
    planner.plan(outputs).map(|j| j.dataflow.to_string())
}

fn planned(outputs: Vec<JobOutput>) -> String {
    job(1, outputs).expect("planned")
}

fn refused(into: &Table, columns: &[&str], sql: &str) -> String {
    job(1, vec![insert(into, columns, sql)]).expect_err("it does not fit").render(sql)
}

fn out() -> Table {
    table(
        "out",
        vec![column("id", DataType::Int64), column("text", DataType::Utf8), column("share", DataType::Float64)],
    )
}

#[test]
fn columns_match_by_position_and_widen() {
    assert_snapshot!(planned(vec![insert(&out(), &[], "SELECT v, k, v FROM plain")]), @r"
    Sink #2 out
      Calc #1 [CAST(v@1 AS Int64) AS id, k@0 AS text, CAST(v@1 AS Float64) AS share]
        Source #0 plain [k, v]
    ");
}

#[test]
fn named_columns_are_put_in_place_and_others_are_null() {
    assert_snapshot!(planned(vec![insert(&out(), &["text", "id"], "SELECT channel, price FROM bid")]), @r"
    Sink #2 out
      Calc #1 [price@0 AS id, channel@1 AS text, NULL AS share]
        Source #0 bid [price, channel]
    ");
    let values = "VALUES (1, 'a'), (2, 'b')";
    assert_snapshot!(planned(vec![insert(&out(), &["id", "text"], values)]), @r"
    Sink #1 out
      Values #0 2 rows
    ");
}

#[test]
fn a_constant_goes_where_its_value_fits() {
    let small = table("small", vec![column("a", DataType::Int8)]);
    assert_snapshot!(planned(vec![insert(&small, &[], "SELECT 100 FROM bid")]), @r"
    Sink #2 small
      Calc #1 [100 AS a]
        Source #0 bid []
    ");
    assert_snapshot!(refused(&small, &[], "SELECT 1000 FROM bid"), @r"
    ERROR 42804: table small: the query's columns do not fit: EXPR$0 is INT, column a is TINYINT
    DETAIL: query: (EXPR$0 INT); table: (a TINYINT)
    HINT: CAST the columns of the query to the types of the table
    ");
}

#[test]
fn what_does_not_fit_is_told_with_both_schemas() {
    assert_snapshot!(refused(&out(), &[], "SELECT channel, channel, price FROM bid"), @r"
    ERROR 42804: table out: the query's columns do not fit: channel is STRING, column id is BIGINT
    DETAIL: query: (channel STRING, channel0 STRING, price BIGINT); table: (id BIGINT, text STRING, share DOUBLE)
    HINT: CAST the columns of the query to the types of the table
    ");
    assert_snapshot!(refused(&out(), &[], "SELECT price, channel FROM bid"), @r"
    ERROR 42804: table out: the query's columns do not fit: they have not the same number of columns
    DETAIL: query: (price BIGINT, channel STRING); table: (id BIGINT, text STRING, share DOUBLE)
    HINT: CAST the columns of the query to the types of the table
    ");
    assert_snapshot!(refused(&out(), &["id", "txt"], "SELECT price, channel FROM bid"), @r"
    ERROR 42703: column out.txt does not exist
    HINT: did you mean text?
    ");
    assert_snapshot!(refused(&out(), &["id", "id"], "SELECT price, price FROM bid"), @r"ERROR 42701: table out: column id is written twice");
    let keyed = Table {
        columns: out()
            .columns
            .into_iter()
            .map(|c| eddyline_catalog::Column { nullable: c.name != "id", ..c })
            .collect(),
        ..out()
    };
    assert_snapshot!(refused(&keyed, &["text"], "SELECT channel FROM bid"), @r"
    ERROR 23502: table out: column id is NOT NULL and gets no value
    HINT: name it in the column list and give it a value
    ");
}

#[test]
fn changes_need_a_table_that_takes_them_back() {
    let log = table("log", vec![column("c", DataType::Utf8), column("n", DataType::Int64)]);
    assert_snapshot!(refused(&log, &[], "SELECT channel, COUNT(*) FROM bid GROUP BY channel"), @r"
    ERROR 0A000: table log takes insertions only, but the query changes its results
    DETAIL: a group of GROUP BY channel changes its result when more rows come; 'datagen' cannot take rows back
    HINT: group by a TUMBLE or HOP window, whose results are final, or write where changes can be told: files with a 'format' of changelog-json, changelog-csv, debezium-json, or, with a PRIMARY KEY, upsert-json or upsert-csv; 'print'; 'blackhole'
    ");
    assert!(job(1, vec![insert(&log, &[], "SELECT channel, price FROM bid")]).is_ok());
}

#[test]
fn rows_of_one_primary_key_come_to_one_writer() {
    let n = || vec![column("c", DataType::Utf8), column("n", DataType::Int64)];
    let by_channel = Table { primary_key: vec!["c".into()], ..table("by_channel", n()) };
    let by_count = Table { primary_key: vec!["n".into()], ..table("by_count", n()) };
    let sql = "SELECT channel, COUNT(*) FROM bid GROUP BY channel";
    let both = vec![insert(&by_channel, &[], sql), insert(&by_count, &[], sql)];
    assert_snapshot!(job(2, both).expect("planned"), @r"
    Sink #4 by_channel key (c)
      Calc #3 [channel@0 AS c, count(*)@1 AS n]
        GroupAggregate #2 global by (channel) [count(*) AS count(*)]
          [exchange by (channel)] GroupAggregate #1 local by (channel) [count(*) AS count(*)]
            Source #0 bid [channel]
    Sink #5 by_count key (n)
      [exchange by (n)] Calc #3 (shared, see above)
    ");
}

#[test]
fn several_inserts_share_what_they_have_in_common() {
    let one = table("one", vec![column("a", DataType::Int64)]);
    let two = table("two", vec![column("a", DataType::Int64), column("t", timestamp(TimeUnit::Millisecond))]);
    let outputs = vec![
        insert(&one, &[], "SELECT price FROM bid WHERE price > 5"),
        insert(&two, &[], "SELECT auction, date_time FROM bid"),
    ];
    assert_snapshot!(planned(outputs), @r"
    Sink #2 one
      Calc #1 [price@1 AS a] where price@1 > 5
        Source #0 bid [auction, price, date_time]
    Sink #4 two
      Calc #3 [auction@0 AS a, date_time@2 AS t]
        Source #0 (shared, see above)
    ");
}

#[test]
fn the_order_of_a_bare_select_is_for_its_display() {
    let (catalog, options) = (catalog(vec![bid()]), on_shards(1));
    let target = Target::Result { name: "result".into(), options: Default::default() };
    let query =
        query("SELECT channel, COUNT(*) AS n FROM bid GROUP BY channel ORDER BY n DESC, channel LIMIT 3 OFFSET 1");
    let job = Planner::new(&catalog, &options, functions())
        .plan(vec![JobOutput { query, target, position: None }])
        .expect("planned");
    let sort = vec![
        SortColumn { column: 1, ascending: false, nulls_first: false },
        SortColumn { column: 0, ascending: true, nulls_first: true },
    ];
    let presentation = Presentation { sort, is_limited: true, ..Presentation::default() };
    assert_eq!(job.presentation, Some(presentation));
}

#[test]
fn what_a_result_is_sorted_by_need_not_be_shown() {
    let sql = "SELECT auction FROM bid ORDER BY price * 2 DESC, auction LIMIT 3";
    let job = crate::fixtures::plan(sql, &on_shards(1)).expect("planned");
    let sort = vec![
        SortColumn { column: 1, ascending: false, nulls_first: false },
        SortColumn { column: 0, ascending: true, nulls_first: true },
    ];
    assert_eq!(job.presentation, Some(Presentation { sort, hidden: 1, is_limited: true, ..Presentation::default() }));
    let job = crate::fixtures::plan("SELECT auction FROM bid LIMIT 3 OFFSET 1", &on_shards(1)).expect("planned");
    assert_eq!(job.presentation, Some(Presentation { limit: Some(3), offset: 1, ..Presentation::default() }));
}

#[test]
fn a_result_has_the_names_of_its_query_where_a_join_stands_on_top() {
    let names = |sql| {
        let job = crate::fixtures::plan(sql, &on_shards(1)).expect("planned");
        let schema = job.dataflow.nodes().last().expect("a sink").schema.clone();
        schema.fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>()
    };
    assert_eq!(names("SELECT x.a FROM plain CROSS JOIN (SELECT channel AS a FROM bid) x"), ["a"]);
    assert_eq!(names("SELECT b FROM (SELECT DISTINCT k AS b FROM plain)"), ["b"]);
    assert_eq!(
        names("SELECT l.v AS c, r.d FROM plain l JOIN (SELECT k, v AS d FROM plain) r ON l.k = r.k"),
        ["c", "d"]
    );
}

#[test]
fn operators_keep_their_identity_on_any_number_of_shards() {
    let ids = |shards| {
        let (catalog, options) = (catalog(vec![bid()]), on_shards(shards));
        let sql = "SELECT channel, COUNT(DISTINCT bidder) FROM bid GROUP BY channel";
        let target = Target::Result { name: "result".into(), options: Default::default() };
        let outputs = vec![JobOutput { query: query(sql), target, position: None }];
        let job = Planner::new(&catalog, &options, functions()).plan(outputs).expect("planned");
        job.dataflow.nodes().iter().rev().take(3).map(|n| n.operator).collect::<Vec<_>>()
    };
    assert_eq!(ids(1), ids(4));
}

#[test]
fn a_null_for_a_not_null_column_is_an_error() {
    let mut strict = table("strict", vec![column("a", DataType::Int32)]);
    strict.columns[0].nullable = false;
    assert_snapshot!(planned(vec![insert(&strict, &[], "SELECT v FROM plain")]), @r"
    Sink #2 strict
      Calc #1 [not_null(v@0) AS a]
        Source #0 plain [v]
    ");
    assert_snapshot!(refused(&strict, &[], "VALUES (1), (NULL)"), @r"ERROR 23502: column a of table strict is NOT NULL and got a NULL");
}

#[test]
fn a_condition_on_the_time_now_is_kept_up_where_rows_can_be_taken_back() {
    let text = table("text", vec![column("text", DataType::Utf8)]);
    let sql = "SELECT channel FROM bid WHERE date_time > LOCALTIMESTAMP - INTERVAL '1' HOUR AND price > 3";
    assert_snapshot!(planned(vec![insert(&text, &[], sql)]), @r#"
    Sink #4 text
      Calc #3 [channel@0 AS text]
        TemporalFilter #2 [channel] while now < key3
          Calc #1 [price@0 AS price, channel@1 AS channel, date_time@2 AS date_time, CAST(date_time@2 + INTERVAL '3600 seconds' AS Timestamp(ms, "UTC")) AS key3]
            Source #0 bid [price, channel, date_time] where price@0 > 3
    "#);
    let log = table("log", vec![column("text", DataType::Utf8)]);
    let (catalog, options) = (catalog(vec![bid(), plain()]), on_shards(1));
    let append_only = |t: &Table| Ok(if t.name == "log" { SinkChanges::Inserts } else { SinkChanges::Full });
    let planner = Planner::new(&catalog, &options, functions()).with_sinks(&append_only);
    let job = planner.plan(vec![insert(&log, &[], sql)]).expect("planned");
    assert_snapshot!(job.explain(crate::statement::ExplainStage::Dataflow), @r"
    Sink #1 log
      Source #0 bid [text] where date_time@2 > localtimestamp() - INTERVAL '3600 seconds' AND price@0 > 3
    WARNING: date_time > localtimestamp() - INTERVAL '3600 seconds' is tested once, when a row comes: table log takes insertions only, and no row can be taken back when its time is over
    ");
}
