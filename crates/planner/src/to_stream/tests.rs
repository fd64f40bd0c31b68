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
        "SELECT auction, bidder, price, date_time, extra FROM bid",
        "SELECT auction, bidder, 0.908 * price AS price, date_time, extra FROM bid",
        "SELECT auction, price FROM bid WHERE auction % 123 = 0",
        "SELECT auction FROM bid WHERE url = 'x' AND price + 1 > 2",
        "SELECT 1, 'a'",
        "VALUES (1, 'a'), (2, NULL)",
        "SELECT DISTINCT channel FROM bid",
        "SELECT auction FROM bid UNION ALL SELECT v FROM plain",
        "SELECT auction, COUNT(*), COUNT(*) FILTER (WHERE price < 10000) AS r, MIN(price), MAX(price), AVG(price), SUM(price) FROM bid GROUP BY auction HAVING COUNT(*) > 3",
        "SELECT channel, MAX(date_trunc('hour', date_time)) AS m, COUNT(*) AS n, COUNT(*) FILTER (WHERE price < 100), COUNT(DISTINCT bidder), COUNT(DISTINCT bidder) FILTER (WHERE price < 100), COUNT(DISTINCT auction) FROM bid GROUP BY channel",
        "SELECT auction, COUNT(*) AS num, window_start, window_end FROM TABLE(HOP(__table(bid), descriptor(date_time), INTERVAL '2' SECOND, INTERVAL '10' SECOND)) GROUP BY auction, window_start, window_end",
        "WITH counts AS (SELECT auction, COUNT(*) AS num, window_start, window_end FROM TABLE(HOP(__table(bid), descriptor(date_time), INTERVAL '2' SECOND, INTERVAL '10' SECOND)) GROUP BY auction, window_start, window_end) SELECT MAX(num) AS top_num, window_start, window_end FROM counts GROUP BY window_start, window_end",
        "SELECT MAX(price) AS top, window_end AS w_end FROM TABLE(TUMBLE(__table(bid), descriptor(date_time), INTERVAL '10' SECOND)) WHERE price > 5 GROUP BY window_start, window_end",
        "SELECT TUMBLE_START(date_time, INTERVAL '1' MINUTE), auction, COUNT(*) FROM bid GROUP BY TUMBLE(date_time, INTERVAL '1' MINUTE), auction",
        "SELECT auction, window_start FROM TABLE(TUMBLE(__table(bid), descriptor(date_time), INTERVAL '10' SECOND)) WHERE window_start > TIMESTAMP '2020-01-01 00:00:00'",
    ] {
        println!("---- {sql}");
        for s in [1, 2] {
            match planned_with(sql, &options(s)) {
                Ok(job) => println!("{}", job.explain(crate::statement::ExplainStage::Dataflow)),
                Err(e) => println!("{}", e.render(sql)),
            }
        }
    }
}
