//! Tables and short ways to plan queries over them, for tests.

use crate::statement::ExplainStage;
use crate::{Functions, JobOutput, PlannedJob, Planner, PlannerOptions, SqlError, Target};
use arrow::datatypes::{DataType, TimeUnit};
use eddyline_catalog::{Catalog, Column, ColumnSource, Dialect, Object, Table, WatermarkDefinition};
use sqlparser::ast::Query;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

pub(crate) fn functions() -> Arc<Functions> {
    static FUNCTIONS: OnceLock<Arc<Functions>> = OnceLock::new();
    FUNCTIONS.get_or_init(|| Arc::new(Functions::new())).clone()
}

pub(crate) fn column(name: &str, data_type: DataType) -> Column {
    Column {
        name: name.into(),
        data_type,
        nullable: true,
        source: ColumnSource::Physical,
        comment: None,
        default: None,
    }
}

pub(crate) fn computed(name: &str, sql: &str) -> Column {
    Column { source: ColumnSource::Computed { sql: sql.into() }, ..column(name, DataType::Null) }
}

pub(crate) fn metadata(name: &str, data_type: DataType, key: &str) -> Column {
    Column { source: ColumnSource::Metadata { key: key.into(), is_virtual: true }, ..column(name, data_type) }
}

pub(crate) fn table(name: &str, columns: Vec<Column>) -> Table {
    Table {
        name: name.into(),
        columns,
        primary_key: vec![],
        watermark: None,
        options: BTreeMap::from([("connector".to_owned(), "datagen".to_owned())]),
        comment: None,
        temporary: false,
        is_source: false,
        dialect: Dialect::Flink,
    }
}

pub(crate) fn watermarked(table: Table, column: &str, sql: &str) -> Table {
    Table { watermark: Some(WatermarkDefinition { column: column.into(), sql: sql.into() }), ..table }
}

pub(crate) fn timestamp(unit: TimeUnit) -> DataType {
    DataType::Timestamp(unit, None)
}

/// The bids of Nexmark, with a watermark.
pub(crate) fn bid() -> Table {
    let columns = vec![
        column("auction", DataType::Int64),
        column("bidder", DataType::Int64),
        column("price", DataType::Int64),
        column("channel", DataType::Utf8),
        column("url", DataType::Utf8),
        column("date_time", timestamp(TimeUnit::Millisecond)),
        column("extra", DataType::Utf8),
    ];
    watermarked(table("bid", columns), "date_time", "date_time - INTERVAL '4' SECOND")
}

/// A table without time.
pub(crate) fn plain() -> Table {
    let columns =
        vec![column("k", DataType::Utf8), column("v", DataType::Int32), column("ts", timestamp(TimeUnit::Millisecond))];
    table("plain", columns)
}

/// A table with a computed event time and a METADATA column, bound.
pub(crate) fn event() -> Table {
    let columns = vec![
        metadata("path", DataType::Utf8, "file.path"),
        column("seconds", DataType::Int64),
        column("body", DataType::Utf8),
        computed("at", "CAST(to_timestamp_millis(seconds * 1000) AS TIMESTAMP(3))"),
        computed("size", "char_length(body)"),
    ];
    let table = watermarked(table("event", columns), "at", "at - INTERVAL '1' SECOND");
    let catalog = Catalog::new();
    let options = PlannerOptions::default();
    Planner::new(&catalog, &options, functions()).bind_table(table).expect("the table is right")
}

pub(crate) fn catalog(tables: Vec<Table>) -> Catalog {
    let mut catalog = Catalog::new();
    for table in tables {
        catalog.create(Object::Table(Arc::new(table)), false).expect("names differ");
    }
    catalog
}

pub(crate) fn query(sql: &str) -> Query {
    *crate::parse::parse_query(sql, Dialect::Flink).expect("syntax")
}

pub(crate) fn on_shards(shards: usize) -> PlannerOptions {
    PlannerOptions { shards, ..PlannerOptions::default() }
}

pub(crate) fn plan(sql: &str, options: &PlannerOptions) -> Result<PlannedJob, SqlError> {
    let catalog = catalog(vec![bid(), plain(), event()]);
    let target = Target::Result { name: "result".into(), options: BTreeMap::new() };
    Planner::new(&catalog, options, functions()).plan(vec![JobOutput { query: query(sql), target, position: None }])
}

pub(crate) fn explained(sql: &str, options: &PlannerOptions, stage: ExplainStage) -> String {
    match plan(sql, options) {
        Ok(job) => job.explain(stage),
        Err(e) => panic!("{}", e.render(sql)),
    }
}

/// The dataflow on one shard.
pub(crate) fn dataflow(sql: &str) -> String {
    explained(sql, &on_shards(1), ExplainStage::Dataflow)
}

/// The dataflow on several shards.
pub(crate) fn dataflow_on_shards(sql: &str) -> String {
    explained(sql, &on_shards(2), ExplainStage::Dataflow)
}

/// The error that planning gives, as a terminal shows it.
pub(crate) fn refused(sql: &str) -> String {
    match plan(sql, &on_shards(1)) {
        Ok(job) => panic!("planned:\n{}", job.dataflow),
        Err(e) => e.render(sql),
    }
}
