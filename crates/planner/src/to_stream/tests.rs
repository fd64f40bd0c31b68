use crate::{Emit, Functions, JobOutput, PlannedJob, Planner, PlannerOptions, SqlError, Target};
use arrow::datatypes::{DataType, TimeUnit};
use eddyline_catalog::{Catalog, Column, ColumnSource, Object, Table, WatermarkDefinition};
use insta::assert_snapshot;
use sqlparser::ast::{Query, Statement};
use sqlparser::dialect::GenericDialect;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

fn functions() -> Arc<Functions> {
    static FUNCTIONS: OnceLock<Arc<Functions>> = OnceLock::new();
    FUNCTIONS.get_or_init(|| Arc::new(Functions::new())).clone()
}

fn column(name: &str, data_type: DataType) -> Column {
    Column { name: name.into(), data_type, nullable: true, source: ColumnSource::Physical, comment: None }
}

fn table(name: &str, columns: Vec<Column>) -> Table {
    Table {
        name: name.into(),
        columns,
        primary_key: vec![],
        watermark: None,
        options: BTreeMap::from([("connector".to_owned(), "datagen".to_owned())]),
        comment: None,
        temporary: false,
    }
}

fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, None)
}

/// The bids of Nexmark, with a watermark.
fn bid() -> Table {
    let columns = vec![
        column("auction", DataType::Int64),
        column("bidder", DataType::Int64),
        column("price", DataType::Int64),
        column("channel", DataType::Utf8),
        column("url", DataType::Utf8),
        column("date_time", timestamp()),
        column("extra", DataType::Utf8),
    ];
    let watermark = WatermarkDefinition { column: "date_time".into(), sql: "date_time - INTERVAL '4' SECOND".into() };
    Table { watermark: Some(watermark), ..table("bid", columns) }
}

fn catalog() -> Catalog {
    let mut catalog = Catalog::new();
    let plain =
        table("plain", vec![column("k", DataType::Utf8), column("v", DataType::Int32), column("ts", timestamp())]);
    for table in [bid(), plain] {
        catalog.create(Object::Table(Arc::new(table)), false).unwrap();
    }
    catalog
}

fn query(sql: &str) -> Query {
    let mut statements = sqlparser::parser::Parser::parse_sql(&GenericDialect {}, sql).unwrap();
    match statements.pop() {
        Some(Statement::Query(q)) => *q,
        other => panic!("{other:?}"),
    }
}

fn options(shards: usize) -> PlannerOptions {
    PlannerOptions { shards, ..PlannerOptions::default() }
}

fn planned_with(sql: &str, options: &PlannerOptions) -> Result<PlannedJob, SqlError> {
    let catalog = catalog();
    let target = Target::Result { name: "result".into(), options: BTreeMap::new() };
    Planner::new(&catalog, options, functions()).plan(vec![JobOutput { query: query(sql), target }])
}

fn planned(sql: &str) -> String {
    match planned_with(sql, &options(1)) {
        Ok(job) => job.explain(crate::statement::ExplainStage::Dataflow),
        Err(e) => panic!("{}\n{e:?}", e.render(sql)),
    }
}

fn planned_on(shards: usize, sql: &str) -> String {
    match planned_with(sql, &options(shards)) {
        Ok(job) => job.explain(crate::statement::ExplainStage::Dataflow),
        Err(e) => panic!("{}\n{e:?}", e.render(sql)),
    }
}

#[test]
fn scratch() {
    for sql in [
        "SELECT auctoin FROM bid",
        "SELECT b.x FROM bid AS b",
        "SELECT Auction FROM bid",
        "SELECT auction FROM bids",
        "SELECT lowre(channel) FROM bid",
        "SELECT lower(channel, 1) FROM bid",
        "SELECT auction + channel FROM bid",
        "SELECT auction, price FROM bid GROUP BY auction",
        "SELECT a.auction FROM bid a JOIN bid b ON a.auction = b.auction",
        "SELECT auction FROM bid ORDER BY auction DESC LIMIT 3",
        "SELECT auction FROM (SELECT auction FROM bid LIMIT 3)",
        "SELECT auction FROM bid WHERE auction IN (SELECT v FROM plain)",
        "SELECT auction, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price) FROM bid",
        "SELECT NOW(), auction FROM bid",
        "SELECT NOW() IS NOT NULL",
        "SELECT CURRENT_TIMESTAMP, auction FROM bid",
        "SELECT auction, channel, COUNT(*) FROM bid GROUP BY GROUPING SETS ((auction), (channel))",
        "SELECT 9223372036854775807 + 1",
        "SELECT 2147483647 + 1",
        "SELECT 1 / 0",
        "SELECT auction FROM bid EXCEPT SELECT v FROM plain",
        "SELECT auction FROM bid INTERSECT SELECT v FROM plain",
        "SELECT auction FROM bid UNION SELECT v FROM plain",
        "SELECT COUNT(*) FROM TABLE(SESSION(__table(bid), descriptor(date_time), INTERVAL '2' SECOND))",
        "SELECT COUNT(*) FROM TABLE(TUMBLE(__table(bid), descriptor(dt), INTERVAL '2' SECOND)) GROUP BY window_start",
        "SELECT COUNT(*) FROM TABLE(TUMBLE(__table(bid), descriptor(price), INTERVAL '2' SECOND)) GROUP BY window_start",
        "SELECT COUNT(*) FROM TABLE(TUMBLE(__table(bid), descriptor(date_time), INTERVAL '2' MONTH)) GROUP BY window_start",
        "SELECT COUNT(*) FROM TABLE(TUMBLE(__table(bid), descriptor(date_time), 5)) GROUP BY window_start",
        "SELECT COUNT(*) FROM bid GROUP BY TUMBLE(date_time, INTERVAL '-1' SECOND)",
        "SELECT HOP_START(date_time, INTERVAL '1' SECOND, INTERVAL '2' SECOND) FROM bid GROUP BY TUMBLE(date_time, INTERVAL '1' SECOND)",
        "SELECT TUMBLE_START(date_time, INTERVAL '1' SECOND) FROM bid",
        "SELECT k, COUNT(*) FROM TABLE(TUMBLE(__table(plain), descriptor(ts), INTERVAL '1' SECOND)) GROUP BY k, window_start, window_end",
        "SELECT * FROM TABLE(TUMBLE(DATA => __table(bid), TIMECOL => descriptor(date_time), SIZE => INTERVAL '1' HOUR, OFFSET => INTERVAL '15' MINUTE))",
        "SELECT CAST(ts AS VARCHAR), CAST(v AS STRING), CAST(k AS INT), v / 0, v + 1, v * v, CASE WHEN v > 0 THEN 1 ELSE 0 END FROM plain",
        "SELECT k, SUM(v), AVG(v), COUNT(v), SUM(v) FROM plain GROUP BY k",
        "SELECT COUNT(*) FROM bid",
        "SELECT COUNT(1), SUM(n) FROM (SELECT auction, COUNT(*) AS n, MAX(price) AS m FROM bid GROUP BY auction)",
        "SELECT * FROM bid WHERE 1 = 0",
        "SELECT price * 0.5 AS x, price * 0.5 + 1 AS y FROM bid WHERE price * 0.5 > 10",
        "SELECT random() AS r FROM bid",
        "SELECT DISTINCT window_start, window_end FROM TABLE(TUMBLE(__table(bid), descriptor(date_time), INTERVAL '1' HOUR))",
        "SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(__table(bid), descriptor(date_time), INTERVAL '1' HOUR)) GROUP BY window_start HAVING window_start > TIMESTAMP '2020-01-01 00:00:00' AND COUNT(*) > 2",
        "SELECT w, MAX(n) FROM (SELECT auction, TUMBLE_ROWTIME(date_time, INTERVAL '1' SECOND) AS w, COUNT(*) AS n FROM bid GROUP BY auction, TUMBLE(date_time, INTERVAL '1' SECOND)) GROUP BY w, TUMBLE(w, INTERVAL '10' SECOND)",
        "SELECT TUMBLE_START(w, INTERVAL '10' SECOND), MAX(n) FROM (SELECT auction, TUMBLE_ROWTIME(date_time, INTERVAL '1' SECOND) AS w, COUNT(*) AS n FROM bid GROUP BY auction, TUMBLE(date_time, INTERVAL '1' SECOND)) GROUP BY TUMBLE(w, INTERVAL '10' SECOND)",
        "SELECT channel, COUNT(*) FROM bid GROUP BY channel UNION ALL SELECT channel, COUNT(*) FROM bid GROUP BY channel",
        "SELECT IF(price > 5, 'a', 'b') FROM bid",
        "SELECT [1,2], MAP['a', 1] FROM bid",
    ] {
        println!("---- {sql}");
        for s in [1] {
            match planned_with(sql, &options(s)) {
                Ok(job) => println!("{}", job.explain(crate::statement::ExplainStage::Dataflow)),
                Err(e) => println!("{}", e.render(sql)),
            }
        }
    }
}
