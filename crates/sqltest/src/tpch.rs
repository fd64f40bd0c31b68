//! TPC-H: tables, rows from the generator of the benchmark, queries.

use crate::random::RandomTable;
use arrow::array::{ArrayRef, Date32Array, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::kernels::cast_utils::Parser;
use arrow::datatypes::{DataType, Date32Type, Field, Schema, SchemaRef};
use eddyline_changes::ChangeBatch;
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};

/// Name and columns of the tables; what is not a number or a date is a string.
pub const TABLES: [(&str, &str); 8] = [
    ("region", "r_regionkey BIGINT, r_name STRING, r_comment STRING"),
    ("nation", "n_nationkey BIGINT, n_name STRING, n_regionkey BIGINT, n_comment STRING"),
    (
        "part",
        "p_partkey BIGINT, p_name STRING, p_mfgr STRING, p_brand STRING, p_type STRING, p_size INT, p_container STRING, \
         p_retailprice DECIMAL(15, 2), p_comment STRING",
    ),
    (
        "supplier",
        "s_suppkey BIGINT, s_name STRING, s_address STRING, s_nationkey BIGINT, s_phone STRING, \
         s_acctbal DECIMAL(15, 2), s_comment STRING",
    ),
    (
        "partsupp",
        "ps_partkey BIGINT, ps_suppkey BIGINT, ps_availqty INT, ps_supplycost DECIMAL(15, 2), ps_comment STRING",
    ),
    (
        "customer",
        "c_custkey BIGINT, c_name STRING, c_address STRING, c_nationkey BIGINT, c_phone STRING, \
         c_acctbal DECIMAL(15, 2), c_mktsegment STRING, c_comment STRING",
    ),
    (
        "orders",
        "o_orderkey BIGINT, o_custkey BIGINT, o_orderstatus STRING, o_totalprice DECIMAL(15, 2), o_orderdate DATE, \
         o_orderpriority STRING, o_clerk STRING, o_shippriority INT, o_comment STRING",
    ),
    (
        "lineitem",
        "l_orderkey BIGINT, l_partkey BIGINT, l_suppkey BIGINT, l_linenumber INT, l_quantity DECIMAL(15, 2), \
         l_extendedprice DECIMAL(15, 2), l_discount DECIMAL(15, 2), l_tax DECIMAL(15, 2), l_returnflag STRING, \
         l_linestatus STRING, l_shipdate DATE, l_commitdate DATE, l_receiptdate DATE, l_shipinstruct STRING, \
         l_shipmode STRING, l_comment STRING",
    ),
];

fn lines<T: Display>(rows: impl IntoIterator<Item = T>) -> Vec<String> {
    rows.into_iter().map(|row| row.to_string()).collect()
}

/// The rows of a table as text, fields separated by `|`.
fn generated(table: &str, sf: f64) -> Vec<String> {
    match table {
        "region" => lines(RegionGenerator::default().iter()),
        "nation" => lines(NationGenerator::default().iter()),
        "part" => lines(PartGenerator::new(sf, 1, 1).iter()),
        "supplier" => lines(SupplierGenerator::new(sf, 1, 1).iter()),
        "partsupp" => lines(PartSuppGenerator::new(sf, 1, 1).iter()),
        "customer" => lines(CustomerGenerator::new(sf, 1, 1).iter()),
        "orders" => lines(OrderGenerator::new(sf, 1, 1).iter()),
        _ => lines(LineItemGenerator::new(sf, 1, 1).iter()),
    }
}

/// The schema of such columns.
pub fn schema(columns: &str) -> SchemaRef {
    let field = |column: &str| {
        let (name, sql) = column.trim().split_once(' ').expect("name and type");
        let data_type = match sql {
            "BIGINT" => DataType::Int64,
            "INT" => DataType::Int32,
            "DATE" => DataType::Date32,
            "STRING" => DataType::Utf8,
            _ => DataType::Decimal128(15, 2),
        };
        Field::new(name, data_type, true)
    };
    Arc::new(Schema::new(columns.replace("(15, 2)", "").split(',').map(field).collect::<Vec<_>>()))
}

/// All rows of a table at scale factor `sf`, in the generator's order.
pub fn rows(table: &str, schema: &SchemaRef, sf: f64) -> RecordBatch {
    let lines = generated(table, sf);
    let rows: Vec<Vec<&str>> = lines.iter().map(|l| l.split('|').collect()).collect();
    let column = |(at, field): (usize, &Arc<Field>)| -> ArrayRef {
        let texts = rows.iter().map(|r| r[at]);
        match field.data_type() {
            DataType::Int64 => Arc::new(Int64Array::from_iter_values(texts.map(|t| t.parse::<i64>().expect("BIGINT")))),
            DataType::Int32 => Arc::new(Int32Array::from_iter_values(texts.map(|t| t.parse::<i32>().expect("INT")))),
            DataType::Date32 => {
                let days = texts.map(Date32Type::parse);
                Arc::new(days.collect::<Date32Array>())
            }
            DataType::Decimal128(..) => {
                let cents = texts.map(|t| t.replace('.', "").parse::<i128>().expect("DECIMAL"));
                Arc::new(Decimal128Array::from_iter_values(cents).with_precision_and_scale(15, 2).expect("in range"))
            }
            _ => Arc::new(StringArray::from_iter_values(texts)),
        }
    };
    let columns = schema.fields().iter().enumerate().map(column).collect();
    RecordBatch::try_new(schema.clone(), columns).expect("rows fit")
}

/// The tables that a query names, with their columns.
pub fn tables_of(query: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let words: Vec<&str> = query.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    TABLES.into_iter().filter(move |(name, _)| words.contains(name))
}

/// A table whose rows come and go, fed by `splits`.
pub fn table(name: &str, columns: &str, splits: Vec<Vec<ChangeBatch>>) -> RandomTable {
    let ddl = format!(
        "CREATE TABLE {name} ({columns}) WITH ('connector' = 'changes', 'feed' = '{name}', 'retracts' = 'true');"
    );
    RandomTable { name: name.to_owned(), schema: schema(columns), retracts: true, upserts: false, ddl, splits }
}

/// Query `n` of 22, without ORDER BY and LIMIT, which are for display.
///
/// # Errors
/// Its file cannot be read.
pub fn query(n: usize) -> std::io::Result<String> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benches/tpch/sql");
    Ok(std::fs::read_to_string(dir.join(format!("q{n}.sql")))?.trim_end().to_owned())
}
