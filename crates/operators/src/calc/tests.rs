use crate::harness::Harness;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_common::ScalarValue;
use datafusion_expr::Operator as Op;
use datafusion_physical_expr::expressions::{BinaryExpr, Column, Literal};
use datafusion_physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use eddyline_changes::table::parse_changes;
use eddyline_functions::scalar::{self, Moment, ScalarSettings};
use eddyline_plan::{CalcSpec, Expression, NamedExpression, OperatorSpec};
use proptest::prelude::*;
use std::sync::Arc;

type Expr = Arc<dyn PhysicalExpr>;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(["a", "b", "c"].map(|name| Field::new(name, DataType::Int64, true)).to_vec()))
}

fn column(name: &str, at: usize) -> Expr {
    Arc::new(Column::new(name, at))
}

fn number(value: i64) -> Expr {
    Arc::new(Literal::new(ScalarValue::Int64(Some(value))))
}

fn binary(left: Expr, op: Op, right: Expr) -> Expr {
    Arc::new(BinaryExpr::new(left, op, right))
}

fn calc(predicate: Option<Expr>, project: Vec<(Expr, &str)>) -> Harness {
    let spec = CalcSpec {
        predicate: predicate.map(Expression::new),
        project: project.into_iter().map(|(e, n)| NamedExpression::new(Expression::new(e), n)).collect(),
    };
    Harness::new(OperatorSpec::Calc(spec), &[schema()]).expect("builds")
}

#[test]
fn the_projection_sees_only_rows_that_were_kept() {
    let divided = binary(number(12), Op::Divide, column("b", 1));
    let mut h = calc(
        Some(binary(column("b", 1), Op::NotEq, number(0))),
        vec![(column("c", 2), "c"), (divided.clone(), "d"), (number(7), "n")],
    );
    h.process("+ 1 0 5\n-2 2 3 6\n+ 3 NULL 7\n+ 4 6 8").expect("processes");
    assert_eq!(h.take().iter().map(eddyline_changes::table::format_changes).collect::<String>(), "-2 6 4 7\n+ 8 2 7\n");
    let mut h = calc(None, vec![(divided, "d")]);
    assert!(h.process("+ 1 0 5").expect_err("fails").to_string().contains("ivide by zero"));
}

#[test]
fn columns_that_are_passed_on_are_not_copied() {
    let mut h =
        calc(Some(binary(column("a", 0), Op::Gt, number(0))), vec![(column("c", 2), "x"), (column("a", 0), "y")]);
    let changes = parse_changes(&schema(), "+ 1 2 3\n+ 4 5 6").expect("a table");
    h.apply(0, changes.clone()).expect("processes");
    let out = h.take().remove(0);
    assert!(Arc::ptr_eq(out.column(0), changes.column(2)));
    assert!(Arc::ptr_eq(out.column(1), changes.column(0)));
}

#[test]
fn constants_alone_keep_the_number_of_rows() {
    let mut h = calc(Some(binary(column("a", 0), Op::Gt, number(1))), vec![(number(1), "one")]);
    h.process("+ 1 2 3\n+ 4 5 6\n+ 5 5 6").expect("processes");
    assert_eq!(h.flush().expect("flushes"), "+2 1\n");
}

proptest! {
    #[test]
    fn output_is_the_batch_answer_and_goes_back_to_nothing(
        rows in prop::collection::vec((prop::option::of(0i64..4), 0i64..4, 0i64..3, 1i64..3), 0..20),
        cut in 0usize..20,
    ) {
        let mut h = calc(
            Some(binary(column("a", 0), Op::Lt, column("b", 1))),
            vec![(binary(column("a", 0), Op::Plus, column("c", 2)), "s"), (column("c", 2), "c")],
        );
        let mut answer = std::collections::BTreeMap::new();
        for (a, b, c, w) in &rows {
            if let Some(a) = a.filter(|a| a < b) {
                *answer.entry(format!("{} {c}", a + c)).or_insert(0) += w;
            }
        }
        let table = |sign: i64, rows: &[(Option<i64>, i64, i64, i64)]| -> String {
            let a = |a: Option<i64>| a.map_or("NULL".to_owned(), |a| a.to_string());
            rows.iter().map(|r| format!("{:+} {} {} {}\n", sign * r.3, a(r.0), r.1, r.2)).collect()
        };
        let (first, second) = rows.split_at(cut.min(rows.len()));
        h.process(&table(1, first)).expect("processes");
        h.flush().expect("flushes");
        h.process(&table(1, second)).expect("processes");
        h.flush().expect("flushes");
        prop_assert_eq!(h.content(), crate::harness::content_text(&answer));
        h.process(&table(-1, &rows)).expect("processes");
        h.flush().expect("flushes");
        prop_assert_eq!(h.content(), "");
    }
}

fn of_the_moment(name: &str) -> Expr {
    let function = scalar::all(&ScalarSettings::default()).into_iter().rfind(|f| f.name() == name).expect("a function");
    let config = Arc::new(datafusion_common::config::ConfigOptions::default());
    Arc::new(ScalarFunctionExpr::try_new(function, vec![], &schema(), config).expect("a call"))
}

#[test]
fn every_operator_has_a_time_of_its_own() {
    let time = || vec![(of_the_moment("now"), "t"), (column("a", 0), "a")];
    let (mut here, mut there) = (calc(None, time()), calc(None, time()));
    here.stand_at(Moment { wall_ms: 1_000, seed: 0 });
    there.stand_at(Moment { wall_ms: 5_000, seed: 0 });
    here.process("+ 1 2 3\n+ 2 2 3").expect("processes");
    there.process("+ 1 2 3").expect("processes");
    here.stand_at(Moment { wall_ms: 2_000, seed: 0 });
    here.process("+ 3 2 3").expect("processes");
    let second = |s: u32| format!("1970-01-01T00:00:0{s}Z");
    assert_eq!(here.flush().expect("flushes"), format!("+ {0} 1\n+ {0} 2\n+ {1} 3\n", second(1), second(2)));
    assert_eq!(there.flush().expect("flushes"), format!("+ {} 1\n", second(5)));
}

#[test]
fn a_filter_on_the_time_sees_the_time_of_its_batch() {
    let instant =
        |ms: i64| -> Expr { Arc::new(Literal::new(ScalarValue::TimestampMillisecond(Some(ms), Some("UTC".into())))) };
    let mut h = calc(Some(binary(of_the_moment("now"), Op::Lt, instant(2_000))), vec![(column("a", 0), "a")]);
    for ms in [1_000, 2_000, 1_999] {
        h.stand_at(Moment { wall_ms: ms, seed: 0 });
        h.process(&format!("+ {ms} 0 0")).expect("processes");
    }
    assert_eq!(h.flush().expect("flushes"), "+ 1000\n+ 1999\n");
}

#[test]
fn two_draws_of_a_row_are_two_numbers() {
    let less = |a: Expr, b: Expr| binary(a, Op::Eq, b);
    let mut h = calc(None, vec![(less(of_the_moment("rand"), of_the_moment("rand")), "same"), (column("a", 0), "a")]);
    h.process("+ 1 2 3").expect("processes");
    assert_eq!(h.flush().expect("flushes"), "+ false 1\n");
}
