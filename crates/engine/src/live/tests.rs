use super::*;
use crate::settings::ResultMode;
use arrow::array::{AsArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use eddyline_changes::Weights;
use eddyline_planner::{Presentation, SortColumn};
use std::sync::Arc;

fn shape(key: Option<Vec<usize>>, append_only: bool) -> ResultShape {
    let fields = vec![Field::new("name", DataType::Utf8, true), Field::new("n", DataType::Int64, true)];
    ResultShape {
        schema: Arc::new(Schema::new(fields)),
        presentation: Presentation::default(),
        append_only,
        mode: ResultMode::Table,
        key,
        time_zone: "UTC".into(),
    }
}

fn changes(rows: &[(i64, &str, i64)]) -> ChangeBatch {
    let schema = shape(None, false).schema;
    let names: StringArray = rows.iter().map(|r| Some(r.1)).collect();
    let numbers: Int64Array = rows.iter().map(|r| Some(r.2)).collect();
    let batch = RecordBatch::try_new(schema, vec![Arc::new(names), Arc::new(numbers)]).expect("a batch");
    let weights: Vec<i64> = rows.iter().map(|r| r.0).collect();
    ChangeBatch::new(batch, Weights::PerRow(weights.into())).expect("as many weights as rows")
}

fn shown(table: &LiveTable, from: usize, count: usize) -> Vec<(String, i64)> {
    let rows = table.window(from, count).expect("a window").rows;
    let (names, numbers) = (rows.column(0).as_string::<i32>(), rows.column(1).as_primitive::<Int64Type>());
    (0..rows.num_rows()).map(|row| (names.value(row).to_owned(), numbers.value(row))).collect()
}

fn rows(of: &[(&str, i64)]) -> Vec<(String, i64)> {
    of.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect()
}

#[test]
fn a_row_that_changes_stays_in_its_place() {
    let mut table = LiveTable::new(&shape(Some(vec![0]), false)).expect("a table");
    table.apply(&[changes(&[(1, "a", 1), (1, "b", 1), (1, "c", 1)])]).expect("applied");
    let before = table.window(0, 3).expect("a window");
    table.apply(&[changes(&[(1, "a", 2), (-1, "a", 1)]), changes(&[(-1, "b", 1)])]).expect("applied");
    assert_eq!(shown(&table, 0, 9), rows(&[("a", 2), ("c", 1)]));
    let after = table.window(0, 3).expect("a window");
    assert_eq!((after.ids[0], after.ids[1]), (before.ids[0], before.ids[2]));
    assert_eq!((after.born, table.len(), table.moment()), (vec![1, 1], 2, 2));
}

#[test]
fn updates_of_one_epoch_end_at_the_last_one() {
    let mut table = LiveTable::new(&shape(Some(vec![0]), false)).expect("a table");
    table.apply(&[changes(&[(1, "a", 1)])]).expect("applied");
    table.apply(&[changes(&[(-1, "a", 1), (1, "a", 2), (-1, "a", 2), (1, "a", 3)])]).expect("applied");
    assert_eq!(shown(&table, 0, 9), rows(&[("a", 3)]));
    table.apply(&[changes(&[(-1, "a", 3), (1, "a", 4), (-1, "a", 4)])]).expect("applied");
    assert!(table.is_empty());
}

#[test]
fn rows_without_a_key_are_counted() {
    let mut table = LiveTable::new(&shape(None, false)).expect("a table");
    table.apply(&[changes(&[(3, "a", 1), (1, "b", 1)])]).expect("applied");
    table.apply(&[changes(&[(-1, "a", 1)])]).expect("applied");
    assert_eq!(shown(&table, 0, 9), rows(&[("a", 1), ("a", 1), ("b", 1)]));
    assert_eq!(shown(&table, 1, 1), rows(&[("a", 1)]));
    table.apply(&[changes(&[(-2, "a", 1), (-1, "b", 1)])]).expect("applied");
    assert!(table.is_empty());
    let error = table.apply(&[changes(&[(-1, "b", 1)])]).expect_err("not there");
    assert_eq!(error.message, "the result takes a row away that is not there");
}

#[test]
fn one_row_alone_has_no_key_columns() {
    let mut table = LiveTable::new(&shape(Some(vec![]), false)).expect("a table");
    table.apply(&[changes(&[(1, "a", 1)])]).expect("applied");
    table.apply(&[changes(&[(-1, "a", 1), (1, "b", 2)])]).expect("applied");
    assert_eq!(shown(&table, 0, 9), rows(&[("b", 2)]));
}

#[test]
fn an_order_holds_after_every_change() {
    let mut shape = shape(Some(vec![0]), false);
    shape.presentation.sort = vec![SortColumn { column: 1, ascending: false, nulls_first: false }];
    let mut table = LiveTable::new(&shape).expect("a table");
    table.apply(&[changes(&[(1, "a", 1), (1, "b", 5), (1, "c", 3)])]).expect("applied");
    assert_eq!(shown(&table, 0, 2), rows(&[("b", 5), ("c", 3)]));
    table.apply(&[changes(&[(-1, "a", 1), (1, "a", 4)])]).expect("applied");
    assert_eq!(shown(&table, 1, 9), rows(&[("a", 4), ("c", 3)]));
    assert_eq!(shown(&table, 7, 9), rows(&[]));
}

#[test]
fn a_result_that_grows_keeps_its_last_rows() {
    let mut table = LiveTable::new(&shape(None, true)).expect("a table");
    let many: Vec<(i64, &str, i64)> = (0..40_000).map(|n| (1, "x", n)).collect();
    for _ in 0..4 {
        table.apply(&[changes(&many)]).expect("applied");
    }
    assert_eq!((table.len(), table.dropped()), (120_000, 40_000));
    assert_eq!(shown(&table, 39_999, 2), rows(&[("x", 39_999), ("x", 0)]));
    let window = table.window(119_999, 5).expect("a window");
    assert_eq!((window.ids, window.born), (vec![159_999], vec![4]));
}

#[test]
fn places_of_rows_that_are_gone_are_closed_up() {
    let mut table = LiveTable::new(&shape(Some(vec![1]), false)).expect("a table");
    let many: Vec<(i64, &str, i64)> = (0..5000).map(|n| (1, "x", n)).collect();
    table.apply(&[changes(&many)]).expect("applied");
    let most: Vec<(i64, &str, i64)> = (0..4999).map(|n| (-1, "x", n)).collect();
    table.apply(&[changes(&most)]).expect("applied");
    table.apply(&[changes(&[(1, "y", 7)])]).expect("applied");
    assert_eq!(shown(&table, 0, 9), rows(&[("x", 4999), ("y", 7)]));
    table.apply(&[changes(&[(-1, "x", 4999), (1, "z", 4999)])]).expect("applied");
    assert_eq!(shown(&table, 0, 9), rows(&[("z", 4999), ("y", 7)]));
}
