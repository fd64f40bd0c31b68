//! The Nexmark queries that the engine can run, and the tables they run over.

use crate::args::{FileFormat, NexmarkArgs};
use std::fmt::Write;

/// Name and text, in the order of the benchmark.
pub(crate) const QUERIES: &[(&str, &str)] = &[
    ("q0", include_str!("../../../../benches/nexmark/sql/q0.sql")),
    ("q1", include_str!("../../../../benches/nexmark/sql/q1.sql")),
    ("q2", include_str!("../../../../benches/nexmark/sql/q2.sql")),
    ("q3", include_str!("../../../../benches/nexmark/sql/q3.sql")),
    ("q4", include_str!("../../../../benches/nexmark/sql/q4.sql")),
    ("q5", include_str!("../../../../benches/nexmark/sql/q5.sql")),
    ("q5-hop", include_str!("../../../../benches/nexmark/sql/q5-hop.sql")),
    ("q7", include_str!("../../../../benches/nexmark/sql/q7.sql")),
    ("q7-max", include_str!("../../../../benches/nexmark/sql/q7-max.sql")),
    ("q8", include_str!("../../../../benches/nexmark/sql/q8.sql")),
    ("q9", include_str!("../../../../benches/nexmark/sql/q9.sql")),
    ("q11", include_str!("../../../../benches/nexmark/sql/q11.sql")),
    ("q14", include_str!("../../../../benches/nexmark/sql/q14.sql")),
    ("q15", include_str!("../../../../benches/nexmark/sql/q15.sql")),
    ("q16", include_str!("../../../../benches/nexmark/sql/q16.sql")),
    ("q17", include_str!("../../../../benches/nexmark/sql/q17.sql")),
    ("q18", include_str!("../../../../benches/nexmark/sql/q18.sql")),
    ("q19", include_str!("../../../../benches/nexmark/sql/q19.sql")),
    ("q20", include_str!("../../../../benches/nexmark/sql/q20.sql")),
    ("q21", include_str!("../../../../benches/nexmark/sql/q21.sql")),
    ("q22", include_str!("../../../../benches/nexmark/sql/q22.sql")),
];

/// The streams and their columns.
const STREAMS: &[(&str, &str)] = &[
    (
        "person",
        "id BIGINT, name STRING, email_address STRING, credit_card STRING, city STRING, state STRING, \
         date_time TIMESTAMP(3), extra STRING",
    ),
    (
        "auction",
        "id BIGINT, item_name STRING, description STRING, initial_bid BIGINT, reserve BIGINT, \
         date_time TIMESTAMP(3), expires TIMESTAMP(3), seller BIGINT, category BIGINT, extra STRING",
    ),
    (
        "bid",
        "auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, date_time TIMESTAMP(3), \
         extra STRING",
    ),
];

/// A script that runs `query` into a sink that drops everything.
pub(crate) fn script(args: &NexmarkArgs, query: &str) -> String {
    let mut sql = String::new();
    for (stream, columns) in STREAMS {
        let _ = writeln!(
            sql,
            "CREATE TABLE {stream} ({columns}, WATERMARK FOR date_time AS date_time - INTERVAL '4' SECOND) WITH ({});",
            options(args, stream)
        );
    }
    let _ = writeln!(sql, "CREATE TABLE answer WITH ('connector' = 'blackhole') AS\n{query};");
    sql
}

fn options(args: &NexmarkArgs, stream: &str) -> String {
    if args.source == "generator" {
        return format!("'connector' = 'nexmark', 'nexmark.table' = '{stream}', 'events.num' = '{}'", args.events);
    }
    let format = FileFormat::name(args.format);
    let path = format!("{}/{format}/{stream}", args.source.trim_end_matches('/')).replace('\'', "''");
    format!("'connector' = 'filesystem', 'path' = '{path}', 'format' = '{format}'")
}
