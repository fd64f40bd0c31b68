use super::*;
use eddyline_engine::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use eddyline_engine::{Presentation, ResultMode};
use std::sync::Arc;

fn rows(of: &[(&str, Option<i64>)]) -> RecordBatch {
    let names: StringArray = of.iter().map(|(name, _)| Some(*name)).collect();
    let numbers: Int64Array = of.iter().map(|(_, n)| *n).collect();
    let columns: [(&str, ArrayRef); 2] = [("name", Arc::new(names)), ("n", Arc::new(numbers))];
    RecordBatch::try_from_iter(columns).expect("a batch")
}

fn painter() -> Painter {
    let shape = ResultShape {
        schema: rows(&[("", None)]).schema(),
        presentation: Presentation::default(),
        append_only: false,
        mode: ResultMode::Table,
        key: Some(vec![0]),
        time_zone: "UTC".into(),
    };
    Painter::new(&shape)
}

fn window(of: &[(&str, Option<i64>, u64)], moment: u64) -> Window {
    let pairs: Vec<_> = of.iter().map(|(name, n, _)| (*name, *n)).collect();
    Window { rows: rows(&pairs), ids: of.iter().map(|r| r.2).collect(), born: vec![moment; of.len()] }
}

fn face(painter: &mut Painter, window: &Window, columns: usize, moment: u64) -> Face {
    painter.face(window, columns, 0, (0, window.ids.len(), 0), "2.50 s  ·  1,234 in", moment).expect("painted")
}

/// Marked cells between brackets.
fn plain(text: &str) -> String {
    text.replace(MARK, "[").replace(NULL, "<").replace(OFF, "]")
}

#[test]
fn cells_that_change_are_marked_and_rows_that_come() {
    let mut painter = painter();
    let first = face(&mut painter, &window(&[("a", Some(1), 1), ("b", None, 2)], 1), 80, 1);
    assert_eq!(first.rows.iter().map(|r| plain(r)).collect::<Vec<_>>(), [" a    |    1", " b    | <NULL]"]);
    let mut second = window(&[("a", Some(20), 1), ("b", None, 2), ("c", Some(3), 3)], 1);
    second.born[2] = 2;
    let second = face(&mut painter, &second, 80, 2);
    let want = [" a    |   [20]", " b    | <NULL]", " [c]    |    [3]"];
    assert_eq!(second.rows.iter().map(|r| plain(r)).collect::<Vec<_>>(), want);
    assert_eq!((second.header.as_str(), second.rule.as_str()), (" name |    n", "------+------"));
}

#[test]
fn rows_that_come_into_view_are_not_new() {
    let mut painter = painter();
    face(&mut painter, &window(&[("a", Some(1), 1)], 1), 80, 5);
    let second = face(&mut painter, &window(&[("b", Some(2), 2)], 3), 80, 6);
    assert_eq!(second.rows, [" b    | 2"]);
}

#[test]
fn the_title_says_what_is_seen() {
    let mut painter = painter();
    let all = face(&mut painter, &window(&[("a", Some(1), 1)], 1), 80, 1);
    assert_eq!(all.title, " 1 row  ·  2.50 s  ·  1,234 in  ·  q ends");
    let seen = window(&[("a", Some(1), 1)], 1);
    let some = painter.face(&seen, 80, 0, (7, 2000, 1_000_000), "2.50 s  ·  1,234 in", 1).expect("painted");
    assert_eq!(some.title, " rows 1,000,008–1,000,008 of 1,002,000  ·  2.50 s  ·  1,234 in  ·  q ends");
}

#[test]
fn a_screen_is_no_wider_than_the_terminal() {
    let mut painter = painter();
    let wide = window(&[("a long name of something", Some(1), 1)], 1);
    let face = face(&mut painter, &wide, 26, 1);
    assert_eq!(face.rows, [" a long name of som… | 1"]);
    let screen = face.screen(10);
    let lines: Vec<&str> = screen.split("\r\n").collect();
    assert_eq!(lines.len(), 4);
    assert!(lines[0].contains(" 1 row  ·  2.50 s  ·  1,2…"), "{:?}", lines[0]);
}

#[test]
fn columns_on_the_left_can_be_left_out() {
    let mut painter = painter();
    let seen = window(&[("a", Some(1), 1)], 1);
    let shown = painter.face(&seen, 80, 9, (0, 1, 0), "2.50 s  ·  1,234 in", 1).expect("painted");
    assert_eq!((shown.header.as_str(), shown.first_column), (" n", 1));
}
