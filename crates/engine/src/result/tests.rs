use super::*;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::pretty::pretty_format_batches;
use eddyline_changes::table::parse_changes;
use eddyline_planner::SortColumn as Sort;
use std::sync::Arc;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("k", DataType::Utf8, true), Field::new("v", DataType::Int64, true)]))
}

fn shape(presentation: Presentation, append_only: bool) -> ResultShape {
    ResultShape {
        schema: schema(),
        presentation,
        append_only,
        mode: crate::settings::ResultMode::Table,
        key: None,
        time_zone: "UTC".into(),
    }
}

fn table(presentation: Presentation, epochs: &[&str]) -> Result<String, SqlError> {
    let mut table = ResultTable::new(&shape(presentation, false));
    for text in epochs {
        table.apply(&[parse_changes(&schema(), text).expect("change table")])?;
    }
    let shown = pretty_format_batches(&table.batches()?).expect("shown").to_string();
    let rows = shown.lines().skip(3).filter(|l| l.starts_with('|'));
    Ok(rows.map(|l| l.replace(['|', ' '], "")).collect::<Vec<_>>().join(" "))
}

#[test]
fn changes_add_up_and_rows_keep_their_first_place() {
    let epochs = ["+ a 1\n+ b 1", "- a 1\n+ a 2\n+2 c 3", "- b 1\n+ a 1"];
    assert_eq!(table(Presentation::default(), &epochs).expect("adds up"), "a1 a2 c3 c3");
}

#[test]
fn order_and_limit_are_those_of_the_finished_table() {
    let by = |column, ascending, nulls_first| Sort { column, ascending, nulls_first };
    let sort = vec![by(1, false, false), by(0, true, true)];
    let presentation = Presentation { sort, limit: Some(2), offset: 1, ..Presentation::default() };
    assert_eq!(table(presentation.clone(), &["+ a 1\n+ d 9\n+ c 3\n+ b 3\n+ e NULL"]).expect("sorts"), "b3 c3");
    assert_eq!(table(presentation, &["+ a 1\n+ d 9", "- d 9\n+ c 3"]).expect("sorts"), "a1");
    let limit = Presentation { limit: Some(3), offset: 1, ..Default::default() };
    assert_eq!(table(limit, &["+ a 1\n+ b 2", "+ c 3", "+ d 4\n+ e 5"]).expect("cut"), "b2 c3 d4");
}

#[test]
fn a_row_taken_away_that_was_never_there_is_a_fault() {
    let error = table(Presentation::default(), &["- a 1"]).expect_err("a fault");
    assert_eq!(error.sqlstate, "22000");
}

#[test]
fn a_limit_is_full_only_where_nothing_is_taken_back() {
    let limit = Presentation { limit: Some(1), offset: 1, ..Default::default() };
    for (append_only, full) in [(true, true), (false, false)] {
        let mut table = ResultTable::new(&shape(limit.clone(), append_only));
        table.apply(&[parse_changes(&schema(), "+ a 1").expect("change table")]).expect("applied");
        assert!(!table.is_full());
        table.apply(&[parse_changes(&schema(), "+ b 1").expect("change table")]).expect("applied");
        assert_eq!(table.is_full(), full);
    }
}

#[test]
fn rows_that_are_gone_take_no_room() {
    let mut table = ResultTable::new(&shape(Presentation::default(), false));
    for n in 0..5000 {
        let text = format!("+ a {n}\n- a {}", n - 1);
        table.apply(&[parse_changes(&schema(), &text).expect("change table")]).expect("applied");
    }
    let Rows::Counted(counted) = &table.rows else { panic!("it counts") };
    assert!(counted.rows.len() < 2500, "{}", counted.rows.len());
}

#[test]
fn rows_that_a_limit_does_not_let_through_are_not_held() {
    let sort = vec![Sort { column: 1, ascending: false, nulls_first: false }];
    let presentation = Presentation { sort, limit: Some(3), offset: 1, ..Presentation::default() };
    let mut table = ResultTable::new(&shape(presentation, true));
    // Each number up to 60,000 once, all over the place.
    for batch in 0..60_i64 {
        let numbers = (0..1000).map(|row| (batch * 1000 + row) * 7919 % 60_000);
        let text: String = numbers.map(|n| format!("+ a {n}\n")).collect();
        table.apply(&[parse_changes(&schema(), &text).expect("change table")]).expect("applied");
        table.prune().expect("sorts");
        let Rows::Inserted(all) = &table.rows else { panic!("nothing is taken back") };
        assert!(all.iter().map(RecordBatch::num_rows).sum::<usize>() <= 2 * ROWS_HELD);
    }
    let left = concat_batches(&schema(), &table.batches().expect("rows")).expect("one schema");
    let values = left.column(1).as_any().downcast_ref::<arrow::array::Int64Array>().expect("numbers");
    assert_eq!(values.values().to_vec(), [59_998, 59_997, 59_996]);
}

/// What is taken back makes room; what is over is told.
#[test]
fn a_result_takes_no_more_memory_than_it_may() {
    let rows = |text: &str| [parse_changes(&schema(), text).expect("changes")];
    let mut table = ResultTable::new(&shape(Presentation::default(), false)).within(Some(1000));
    let many = rows("+ a 1").map(|one| one.take(&vec![0; 20].into()).expect("taken"));
    let gone = rows("- a 1").map(|one| one.take(&vec![0; 20].into()).expect("taken"));
    for _ in 0..100 {
        table.apply(&many).expect("it fits");
        table.apply(&gone).expect("it fits");
    }
    let error = (0..100).find_map(|_| table.apply(&many).err()).expect("too much");
    assert_eq!(error.sqlstate, "53200");
}
