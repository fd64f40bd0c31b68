//! TPC-H's 22 queries as maintained views: the tables arrive in random batches with updates and deletes, and after every
//! step the view equals DataFusion's batch answer over the rows so far. Order and LIMIT are left out: they are for display.
//!
//! Half of them run on one, half on four shards. `EDDYLINE_TPCH_SF` sets the scale factor.

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringArray, UInt32Array,
};
use arrow::compute::kernels::cast_utils::Parser;
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Date32Type, Field, Schema, SchemaRef};
use eddyline_changes::{ChangeBatch, Weights};
use eddyline_sqltest::check::{Case, check};
use eddyline_sqltest::random::RandomTable;
use libtest_mimic::{Arguments, Failed, Trial};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};

/// Name and columns of the tables; what is not a number or a date is a string.
const TABLES: [(&str, &str); 8] = [
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

fn schema(columns: &str) -> SchemaRef {
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

fn batch(schema: &SchemaRef, lines: &[String]) -> RecordBatch {
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

/// The rows in some blocks over two splits; every block after the first takes rows of those before it back, and most of
/// them come again later.
fn arriving(rng: &mut StdRng, name: &str, columns: &str, sf: f64) -> RandomTable {
    let schema = schema(columns);
    let rows = batch(&schema, &generated(name, sf));
    let mut splits = vec![Vec::new(), Vec::new()];
    for (split, blocks) in splits.iter_mut().enumerate() {
        let mut own: Vec<u32> = (0..rows.num_rows() as u32).filter(|r| *r as usize % 2 == split).collect();
        let mut live: Vec<u32> = Vec::new();
        let count = if own.len() > 20 { 3 } else { 1 };
        for left in (0..count).rev() {
            let taken = own.split_off(own.len() * left / count);
            let mut changes: Vec<(u32, i64)> = Vec::new();
            for _ in 0..live.len() / 4 {
                let gone = live.swap_remove(rng.random_range(0..live.len()));
                changes.push((gone, -1));
                if rng.random_bool(0.7) {
                    own.insert(rng.random_range(0..=own.len()), gone);
                }
            }
            changes.extend(taken.iter().map(|r| (*r, 1)));
            live.extend(taken);
            let picks = UInt32Array::from_iter_values(changes.iter().map(|c| c.0));
            let block = take_record_batch(&rows, &picks).expect("in range");
            let weights = Weights::from_vec(changes.iter().map(|c| c.1).collect());
            blocks.push(ChangeBatch::new(block, weights).expect("as many weights as rows"));
        }
    }
    let ddl = format!(
        "CREATE TABLE {name} ({columns}) WITH ('connector' = 'changes', 'feed' = '{name}', 'retracts' = 'true');"
    );
    RandomTable { name: name.to_owned(), schema, retracts: true, ddl, splits }
}

/// The view over its tables only.
fn maintained(query: &str, shards: usize, sf: f64) -> Result<(), Failed> {
    let mut rng = StdRng::seed_from_u64(shards as u64);
    let is_read =
        |name: &&(&str, &str)| query.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name.0);
    let tables: Vec<RandomTable> =
        TABLES.iter().filter(is_read).map(|(name, columns)| arriving(&mut rng, name, columns, sf)).collect();
    Ok(check(&Case { seed: shards as u64, shards, tables: &tables, query, on_update: false })?)
}

fn main() {
    let sf: f64 = std::env::var("EDDYLINE_TPCH_SF").ok().and_then(|t| t.parse().ok()).unwrap_or(0.001);
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benches/tpch/sql");
    let trial = |n: usize, shards: usize| {
        let path = dir.join(format!("q{n}.sql"));
        Trial::test(format!("q{n} on {shards}"), move || {
            maintained(std::fs::read_to_string(path)?.trim_end(), shards, sf)
        })
    };
    let trials = (1..=22).map(|n| trial(n, [1, 4][n % 2])).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
