//! Values of expressions without tables.

use crate::fixtures::{catalog, functions, query};
use crate::{JobOutput, Planner, PlannerOptions, SqlError, Target};
use arrow::util::pretty::pretty_format_batches;
use eddyline_plan::OperatorSpec;
use insta::assert_snapshot;

fn value_in(time_zone: &str, sql: &str) -> Result<String, SqlError> {
    let options = PlannerOptions { time_zone: time_zone.into(), ..PlannerOptions::default() };
    let target = Target::Result { name: "result".into(), options: Default::default() };
    let outputs = vec![JobOutput { query: query(sql), target }];
    let job = Planner::new(&catalog(vec![]), &options, functions()).plan(outputs)?;
    match &job.dataflow.nodes()[0].spec {
        OperatorSpec::Values(v) => {
            Ok(pretty_format_batches(std::slice::from_ref(&v.rows)).expect("printable").to_string())
        }
        other => panic!("{other:?}"),
    }
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
    assert_snapshot!(error("CAST(300 AS TINYINT)"), @r"Cast error: Can't cast value 300 to type Int8");
    assert_snapshot!(error("9223372036854775807 * 2"), @r"integer overflow in 9223372036854775807 * 2");
    assert_snapshot!(error("1 % 0"), @r"Divide by zero error");
}
