//! Values of expressions without tables.

use crate::fixtures::{catalog, functions, query};
use crate::{JobOutput, PlannedJob, Planner, PlannerOptions, SqlError, Target};
use arrow::array::{ArrayRef, RecordBatch, Scalar, StringArray};
use arrow::compute::like;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::pretty::pretty_format_batches;
use datafusion_common::ScalarValue;
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::{Column, LikeExpr, Literal};
use eddyline_catalog::Catalog;
use eddyline_plan::OperatorSpec;
use insta::assert_snapshot;
use proptest::prelude::*;
use std::sync::Arc;

fn planned(options: &PlannerOptions, sql: &str, catalog: &Catalog) -> Result<PlannedJob, SqlError> {
    let target = Target::Result { name: "result".into(), options: Default::default() };
    Planner::new(catalog, options, functions()).plan(vec![JobOutput { query: query(sql), target, position: None }])
}

fn values(job: &PlannedJob) -> &RecordBatch {
    match &job.dataflow.nodes()[0].spec {
        OperatorSpec::Values(v) => &v.rows,
        other => panic!("{other:?}"),
    }
}

fn rows_in(time_zone: &str, sql: &str) -> Result<RecordBatch, SqlError> {
    let options = PlannerOptions { time_zone: time_zone.into(), ..PlannerOptions::default() };
    planned(&options, sql, &catalog(vec![])).map(|job| values(&job).clone())
}

fn value_in(time_zone: &str, sql: &str) -> Result<String, SqlError> {
    rows_in(time_zone, sql).map(|rows| pretty_format_batches(&[rows]).expect("printable").to_string())
}

/// One value, as its table cell prints it.
fn value(sql: &str) -> String {
    let table = value_in("UTC", &format!("SELECT {sql}")).expect("a value");
    table.lines().nth(3).expect("a row").trim_matches(['|', ' ']).to_owned()
}

#[test]
fn times_print_as_flink_prints_them() {
    assert_snapshot!(value("CAST(CAST('2020-01-02 03:04:05.678' AS TIMESTAMP(3)) AS VARCHAR)"), @r"2020-01-02 03:04:05.678");
    assert_snapshot!(value("CAST(CAST('2020-01-02 03:04:05.678' AS TIMESTAMP(0)) AS VARCHAR)"), @r"2020-01-02 03:04:05");
    assert_snapshot!(value("CAST(CAST('2020-01-02 03:04:05.678' AS TIMESTAMP) AS VARCHAR)"), @r"2020-01-02 03:04:05.678000");
    assert_snapshot!(value("CAST(DATE '2020-01-02' AS VARCHAR)"), @r"2020-01-02");
    assert_snapshot!(value("CAST(1 = 1 AS VARCHAR)"), @r"TRUE");
}

#[test]
fn moments_are_shown_on_the_clocks_of_the_session() {
    let sql = "SELECT CAST(CAST(CAST('2020-07-02 03:04:05' AS TIMESTAMP(3)) AS TIMESTAMP_LTZ(3)) AS VARCHAR), CAST(CAST('2020-07-02 03:04:05' AS TIMESTAMP(3)) AS TIMESTAMP_LTZ(3))";
    assert_snapshot!(value_in("Europe/Berlin", sql).expect("a value"), @r"
    +-------------------------+----------------------+
    | EXPR$0                  | EXPR$1               |
    +-------------------------+----------------------+
    | 2020-07-02 03:04:05.000 | 2020-07-02T01:04:05Z |
    +-------------------------+----------------------+
    ");
    let back = "SELECT CAST(CAST(CAST('2020-07-02 03:04:05' AS TIMESTAMP(3)) AS TIMESTAMP_LTZ(3)) AS TIMESTAMP(3))";
    assert_snapshot!(value_in("Europe/Berlin", back).expect("a value"), @r"
    +---------------------+
    | EXPR$0              |
    +---------------------+
    | 2020-07-02T03:04:05 |
    +---------------------+
    ");
    assert_snapshot!(value_in("Mars/Olympus", "SELECT 1").expect_err("no such zone"), @r"there is no time zone 'Mars/Olympus'");
}

#[test]
fn decimals_are_exact_and_integers_divide_to_integers() {
    assert_snapshot!(value("0.908 * 1000"), @r"908.000");
    assert_snapshot!(value("0.1 + 0.2"), @r"0.3");
    assert_snapshot!(value("7 / 2"), @r"3");
    assert_snapshot!(value("-7 % 3"), @r"-1");
    assert_snapshot!(value("CAST('12' AS INT) + 1"), @r"13");
}

#[test]
fn what_cannot_be_computed_is_an_error() {
    let error = |sql: &str| value_in("UTC", &format!("SELECT {sql}")).expect_err("no value").message;
    assert_snapshot!(error("CAST('abc' AS INT)"), @r"Cast error: Cannot cast string 'abc' to value of Int32 type");
    assert_snapshot!(error("CAST(300 AS TINYINT)"), @"tinyint out of range");
    assert_snapshot!(error("9223372036854775807 * 2"), @"bigint out of range");
    assert_snapshot!(error("1 % 0"), @r"division by zero");
}

/// Columns: name, type, value.
const COLUMNS: [(&str, &str, &str); 10] = [
    ("i", "INT", "7"),
    ("g", "BIGINT", "CAST(-3 AS BIGINT)"),
    ("d", "DOUBLE", "2.5e0"),
    ("f", "FLOAT", "CAST(0.1 AS FLOAT)"),
    ("m", "DECIMAL(10, 2)", "CAST(12.50 AS DECIMAL(10, 2))"),
    ("s", "STRING", "'7'"),
    ("t", "TIMESTAMP(3)", "TIMESTAMP '2020-02-29 23:59:59.123'"),
    ("y", "DATE", "DATE '2020-02-29'"),
    ("o", "BOOLEAN", "TRUE"),
    ("n", "INT", "CAST(NULL AS INT)"),
];

/// Expressions over `{i}`, `{g}`, …
const EXPRESSIONS: [&str; 74] = [
    "{i} + {g}",
    "{i} * {m}",
    "{m} / {i}",
    "{d} - {m}",
    "{f} * {m}",
    "{f} + {i}",
    "{i} / {g}",
    "MOD({g}, {i})",
    "{m} % {i}",
    "-{m}",
    "{i} = {m}",
    "{d} < {m}",
    "{f} = 0.1",
    "{f} > {d}",
    "{n} IS NULL",
    "{n} = {i}",
    "NOT {o}",
    "{o} AND {n} = 1",
    "CAST({o} AS STRING)",
    "CAST(NOT {o} AS STRING)",
    "CAST({i} > 3 AS STRING)",
    "CAST({n} IS NULL AS STRING)",
    "CAST({i} BETWEEN 1 AND 9 AS STRING)",
    "CAST({s} LIKE '7%' AS STRING)",
    "CAST({i} IN (1, 7) AS STRING)",
    "CAST({o} IS TRUE AS STRING)",
    "CAST({o} AND {n} > 1 AS STRING)",
    "CONCAT({s}, CAST({o} OR FALSE AS STRING))",
    "CAST({t} AS STRING)",
    "CAST(TIMESTAMPADD(DAY, 1, {t}) AS STRING)",
    "CAST({t} + INTERVAL '1' DAY AS STRING)",
    "CAST({y} AS STRING)",
    "CAST({y} AS TIMESTAMP(3))",
    "CAST({t} AS DATE)",
    "CAST({t} AS TIMESTAMP_LTZ(3))",
    "CAST(CAST({t} AS TIMESTAMP_LTZ(3)) AS STRING)",
    "CAST(COALESCE({t}, {t}) AS STRING)",
    "DATE_FORMAT({t}, 'yyyy-MM-dd HH')",
    "EXTRACT(HOUR FROM {t})",
    "FLOOR({t} TO MONTH)",
    "TIMESTAMPDIFF(SECOND, {t}, TIMESTAMPADD(MINUTE, 5, {t}))",
    "{t} > TIMESTAMP '2020-01-01 00:00:00'",
    "{t} - {t}",
    "CAST({m} AS STRING)",
    "CAST({d} AS STRING)",
    "CAST({f} AS STRING)",
    "CAST({d} AS INT)",
    "CAST({m} AS INT)",
    "CAST({f} AS DOUBLE)",
    "CAST({m} AS DOUBLE)",
    "CAST({s} AS INT)",
    "CAST({s} AS DOUBLE)",
    "TRY_CAST('x' || {s} AS INT)",
    "CAST({i} AS DECIMAL(5, 1))",
    "CAST({i} AS BOOLEAN)",
    "CAST({i} AS SMALLINT)",
    "COALESCE({n}, {m})",
    "COALESCE({d}, 1.5)",
    "COALESCE({n}, {d}, {m})",
    "IFNULL({d}, 0.5)",
    "NULLIF({d}, 2.5)",
    "NULLIF({m}, 12.5)",
    "CASE WHEN {o} THEN {i} ELSE {d} END",
    "CASE {i} WHEN 7 THEN {m} WHEN {d} THEN 1 END",
    "IF({o}, {m}, {g})",
    "GREATEST({i}, {m}, {g})",
    "UPPER({s}) || LOWER('A')",
    "SUBSTRING({s} FROM 1 FOR 1)",
    "CHAR_LENGTH({s})",
    "ROUND({m}, 1)",
    "ROUND({d})",
    "ABS({g})",
    "CAST({s} AS VARCHAR(3))",
    "CEIL({m})",
];

/// A computed constant is what a row computes: the same value of the same type.
#[test]
fn folding_gives_what_rows_give() {
    let mut wrong = Vec::new();
    for expression in EXPRESSIONS {
        for zone in ["UTC", "Asia/Tokyo"] {
            let fill = |with: fn(&(&str, &str, &str)) -> String| {
                COLUMNS.iter().fold(expression.to_owned(), |e, c| e.replace(&format!("{{{}}}", c.0), &with(c)))
            };
            let constant = rows_in(zone, &format!("SELECT {} AS x", fill(|c| c.2.to_owned())));
            let constant = constant.map(|rows| shown(rows.column(0)));
            let computed = row_in(zone, &fill(|c| c.0.to_owned()));
            match (constant, computed) {
                (Ok(a), Ok(b)) if a == b => {}
                (a, b) => wrong.push(format!("{expression} in {zone}: folded {a:?}, of a row {b:?}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The value and type of an expression over one row of the columns.
fn row_in(time_zone: &str, sql: &str) -> Result<String, SqlError> {
    let literals: Vec<String> = COLUMNS.iter().map(|(name, _, value)| format!("{value} AS {name}")).collect();
    let options = PlannerOptions { time_zone: time_zone.into(), ..PlannerOptions::default() };
    let row = {
        let planned = planned(&options, &format!("SELECT {}", literals.join(", ")), &catalog(vec![]))?;
        values(&planned).clone()
    };
    let columns =
        row.schema().fields().iter().map(|f| crate::fixtures::column(f.name(), f.data_type().clone())).collect();
    let catalog = catalog(vec![crate::fixtures::table("t", columns)]);
    let planner = Planner::new(&catalog, &options, functions());
    let plan = planner.simplify(planner.bind(&query(&format!("SELECT {sql} AS x FROM t")))?)?;
    let datafusion_expr::LogicalPlan::Projection(projection) = plan else { panic!("{plan}") };
    let compiled = super::Compiler::new(planner.config()).compile(&projection.expr[0], projection.input.schema())?;
    let fields = projection.input.schema().fields().iter().map(|f| row.schema().index_of(f.name()).expect("a column"));
    let batch = row.project(&fields.collect::<Vec<_>>()).expect("columns");
    let value = compiled.evaluate(&batch).and_then(|v| v.into_array(1)).map_err(crate::bind::errors::plain)?;
    Ok(shown(&value))
}

fn shown(value: &arrow::array::ArrayRef) -> String {
    let text = arrow::util::display::array_value_to_string(value, 0).expect("printable");
    format!("{text} {}", eddyline_catalog::sql_type(value.data_type()))
}

/// Result types as Flink gives them (LogicalTypeMerging and the least restrictive type of Calcite).
#[test]
fn numbers_have_flinks_common_type() {
    let cases = [
        ("COALESCE({d}, 1.5)", "DOUBLE"),
        ("COALESCE({f}, 1.5)", "DOUBLE"),
        ("COALESCE({f}, {i})", "FLOAT"),
        ("COALESCE({f}, {d})", "DOUBLE"),
        ("COALESCE({i}, {g})", "BIGINT"),
        ("COALESCE({i}, 1.5)", "DECIMAL(11, 1)"),
        ("COALESCE({g}, {m})", "DECIMAL(21, 2)"),
        ("COALESCE({n}, NULL)", "INT"),
        ("IFNULL({d}, 1.5)", "DOUBLE"),
        ("IFNULL({i}, {d})", "DOUBLE"),
        ("NULLIF({d}, 1.5)", "DOUBLE"),
        ("NULLIF({m}, {d})", "DECIMAL(10, 2)"),
        ("NULLIF({i}, {g})", "INT"),
        ("IF({o}, {d}, 1.5)", "DOUBLE"),
        ("IF({o}, {i}, 1.5)", "DECIMAL(11, 1)"),
        ("CASE WHEN {o} THEN 1.5 ELSE {d} END", "DOUBLE"),
        ("CASE WHEN {o} THEN 1 WHEN {n} = 1 THEN 1.25 ELSE {f} END", "DOUBLE"),
        ("CASE WHEN {o} THEN 1.50 WHEN {n} = 1 THEN NULL ELSE {m} END", "DECIMAL(10, 2)"),
        ("GREATEST({d}, {m})", "DOUBLE"),
        ("{d} + 1.5", "DOUBLE"),
        ("1.5 * {d}", "DOUBLE"),
        ("{f} * 1.5", "DOUBLE"),
        ("{f} + {i}", "FLOAT"),
        ("{i} + {g}", "BIGINT"),
        ("{i} / {g}", "BIGINT"),
        ("1e3", "DOUBLE"),
    ];
    for (expression, expected) in cases {
        let sql = COLUMNS.iter().fold(expression.to_owned(), |e, c| e.replace(&format!("{{{}}}", c.0), c.0));
        let found = row_in("UTC", &sql).unwrap_or_else(|e| panic!("{expression}: {e:?}"));
        assert!(found.ends_with(&format!(" {expected}")), "{expression}: {found}");
    }
    for (query, expected) in [
        ("VALUES (1, 1.5), (2e0, 2.5)", "DOUBLE DECIMAL(2, 1)"),
        ("VALUES (1.5), (2e0), (NULL)", "DOUBLE"),
        ("VALUES (CAST(1e0 AS DECIMAL(4, 2))), (CAST(2e0 AS DECIMAL(4, 2)))", "DECIMAL(4, 2)"),
        ("SELECT 1.5 UNION ALL SELECT 2e0", "DOUBLE"),
        ("SELECT 1, 1.5 UNION ALL SELECT 2.25, 7 UNION ALL SELECT NULL, 8e0", "DECIMAL(12, 2) DOUBLE"),
    ] {
        let bound = Planner::new(&catalog(vec![]), &PlannerOptions::default(), functions())
            .bind(&crate::fixtures::query(query));
        let plan = bound.unwrap_or_else(|e| panic!("{query}: {e:?}"));
        let types: Vec<_> = plan.schema().fields().iter().map(|f| eddyline_catalog::sql_type(f.data_type())).collect();
        assert_eq!(types.join(" "), expected, "{query}");
    }
}

/// Comparisons of floating point with DECIMAL are done in DOUBLE: 0.1 as a FLOAT is not 0.1.
#[test]
fn floating_point_compares_in_double() {
    for (expression, expected) in [
        ("f = 0.1", "false"),
        ("d = 2.5", "true"),
        ("d IN (1.5, 2.5)", "true"),
        ("d BETWEEN 2.4 AND 2.5", "true"),
        ("1e30 > m", "true"),
        ("CASE d WHEN 2.5 THEN 1 ELSE 0 END", "1"),
        ("i = 7.0", "true"),
    ] {
        let found = row_in("UTC", expression).unwrap_or_else(|e| panic!("{expression}: {e:?}"));
        assert_eq!(found.split(' ').next(), Some(expected), "{expression}");
    }
}

proptest! {
    /// A pattern that was taken apart matches what Arrow's regular expression matches.
    #[test]
    fn like_matches_as_the_kernel_does(pattern in r"[ab%_ä\\\n]{0,8}", texts in prop::collection::vec(prop::option::of(r"[ab%_ä\n]{0,10}"), 1..20)) {
        let schema = Schema::new(vec![Field::new("t", DataType::Utf8, true)]);
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new("t", 0));
        let literal = Arc::new(Literal::new(ScalarValue::Utf8(Some(pattern.clone()))));
        let expr: Arc<dyn PhysicalExpr> = Arc::new(LikeExpr::new(false, false, column, literal));
        if let Some(prepared) = super::like::prepared(&expr, &schema).expect("a LIKE") {
            let texts: ArrayRef = Arc::new(StringArray::from(texts));
            let batch = RecordBatch::try_new(Arc::new(schema), vec![texts.clone()]).expect("one column");
            let found = prepared.evaluate(&batch).and_then(|v| v.into_array(batch.num_rows())).expect("evaluates");
            let wanted = like(&texts, &Scalar::new(StringArray::from(vec![pattern]))).expect("a pattern");
            prop_assert_eq!(found.as_ref(), &wanted as &dyn arrow::array::Array);
        }
    }
}
