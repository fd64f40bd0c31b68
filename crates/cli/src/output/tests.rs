use super::*;
use eddyline_engine::RowKind::{Delete, Insert, UpdateAfter, UpdateBefore};
use eddyline_engine::arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Float64Array, Int64Array, IntervalMonthDayNanoArray,
    ListArray, MapBuilder, StringArray, StringBuilder, StructArray, TimestampMicrosecondArray,
    TimestampMillisecondArray,
};
use eddyline_engine::arrow::datatypes::{DataType, Field, Int32Type, IntervalMonthDayNano, Schema};
use std::sync::Arc;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).expect("a batch")
}

fn words() -> RecordBatch {
    let text: ArrayRef = Arc::new(StringArray::from(vec![Some("ß, \"x\""), None, Some("")]));
    let number: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(-20), None]));
    batch(vec![("name", text), ("n", number)])
}

fn text(mut writer: impl RowWriter, batch: &RecordBatch, kinds: Option<&[(u32, RowKind)]>) -> String {
    let mut out = Vec::new();
    writer.write(&mut out, Rows { batch, kinds }).expect("written");
    writer.finish(&mut out).expect("finished");
    String::from_utf8(out).expect("text")
}

fn page(rows_max: usize, footer: bool) -> Page {
    Page { rows_max, footer, ..Page::endless() }
}

const KINDS: &[(u32, RowKind)] = &[(0, Insert), (0, UpdateBefore), (1, UpdateAfter), (1, Delete)];

#[test]
fn a_table_has_numbers_on_the_right_and_counts_its_rows() {
    let table = TableRows::new(words().schema(), "UTC", page(usize::MAX, true));
    let want = "\
+--------+------+
| name   | n    |
+--------+------+
| ß, \"x\" |    1 |
| NULL   |  -20 |
|        | NULL |
+--------+------+
3 rows
";
    assert_eq!(text(table, &words(), None), want);
}

#[test]
fn a_long_table_is_cut_and_says_so() {
    let table = TableRows::new(words().schema(), "UTC", page(1, true));
    let shown = text(table, &words(), None);
    assert!(shown.ends_with("3 rows, 1 shown; --format csv prints all\n"), "{shown}");
    assert!(!shown.contains("-20"), "{shown}");
}

#[test]
fn an_empty_table_has_its_header() {
    let table = TableRows::new(words().schema(), "UTC", page(1, true));
    let want = "+------+---+\n| name | n |\n+------+---+\n+------+---+\n0 rows\n";
    assert_eq!(text(table, &words().slice(0, 0), None), want);
}

#[test]
fn wide_characters_and_line_breaks_keep_the_frame() {
    let column: ArrayRef = Arc::new(StringArray::from(vec!["日本", "a\nb"]));
    let rows = batch(vec![("t", column)]);
    let want = "+------+\n| t    |\n+------+\n| 日本 |\n| a\\nb |\n+------+\n";
    assert_eq!(text(TableRows::new(rows.schema(), "UTC", page(9, false)), &rows, None), want);
}

#[test]
fn a_changelog_has_a_line_per_change() {
    let want = "\
op | name   |   n
+I | ß, \"x\" |   1
-U | ß, \"x\" |   1
+U | NULL   | -20
-D | NULL   | -20
";
    let rows = words();
    assert_eq!(text(AlignedRows::new(rows.schema(), "UTC"), &rows, Some(KINDS)), want);
}

#[test]
fn csv_tells_null_from_the_empty_text() {
    let rows = words();
    assert_eq!(
        text(CsvRows::new(rows.schema(), "UTC", false), &rows, None),
        "name,n\n\"ß, \"\"x\"\"\",1\n,-20\n\"\",\n"
    );
    let changes = text(CsvRows::new(rows.schema(), "UTC", true), &rows, Some(&KINDS[2..]));
    assert_eq!(changes, "op,name,n\n+U,,-20\n-D,,-20\n");
    assert_eq!(text(CsvRows::new(rows.schema(), "UTC", false), &rows.slice(0, 0), None), "name,n\n");
}

#[test]
fn json_keeps_types() {
    let entries = [("k", 1)];
    let mut map = MapBuilder::new(None, StringBuilder::new(), eddyline_engine::arrow::array::Int64Builder::new());
    for (key, value) in entries {
        map.keys().append_value(key);
        map.values().append_value(value);
    }
    map.append(true).expect("an entry");
    let row = StructArray::from(vec![(
        Arc::new(Field::new("x \"y\"", DataType::Int64, true)),
        Arc::new(Int64Array::from(vec![None])) as ArrayRef,
    )]);
    let decimal = Decimal128Array::from(vec![12_345_678_901_234_567_890_i128]).with_precision_and_scale(38, 2);
    let rows = batch(vec![
        ("b", Arc::new(BooleanArray::from(vec![true])) as ArrayRef),
        ("d", Arc::new(decimal.expect("fits"))),
        ("f", Arc::new(Float64Array::from(vec![f64::NAN]))),
        ("g", Arc::new(Float64Array::from(vec![1.5e300]))),
        ("t", Arc::new(TimestampMillisecondArray::from(vec![1_704_067_200_050]))),
        ("bytes", Arc::new(BinaryArray::from(vec![&[0u8, 255][..]]))),
        ("l", Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1), None])]))),
        ("r", Arc::new(row)),
        ("m", Arc::new(map.finish())),
    ]);
    let line = text(JsonRows::new("UTC"), &rows, None);
    let want = concat!(
        r#"{"b":true,"d":123456789012345678.90,"f":"NaN","g":1.5e300,"t":"2024-01-01 00:00:00.050","bytes":"00ff","#,
        r#""l":[1,null],"r":{"x \"y\"":null},"m":{"k":1}}"#,
        "\n"
    );
    assert_eq!(line, want);
    serde_json::from_str::<serde_json::Value>(&line).expect("JSON");
}

#[test]
fn changes_and_events_name_what_happened() {
    let rows = words();
    assert_eq!(
        text(JsonRows::new("UTC"), &rows, Some(&KINDS[..1])),
        "{\"op\":\"+I\",\"name\":\"ß, \\\"x\\\"\",\"n\":1}\n"
    );
    let events = text(EventRows::new("UTC"), &rows.slice(1, 1), None);
    assert_eq!(events, "{\"event\":\"row\",\"row\":{\"name\":null,\"n\":-20}}\n");
    let events = text(EventRows::new("UTC"), &rows, Some(&KINDS[3..]));
    assert_eq!(events, "{\"event\":\"change\",\"op\":\"-D\",\"row\":{\"name\":null,\"n\":-20}}\n");
}

#[test]
fn local_times_are_shown_in_the_session_zone_with_their_own_digits() {
    let instant = TimestampMillisecondArray::from(vec![1_704_067_200_000]).with_timezone("UTC");
    let wall = TimestampMicrosecondArray::from(vec![1_704_067_200_000_000]);
    let rows = batch(vec![("ltz", Arc::new(instant) as ArrayRef), ("ts", Arc::new(wall))]);
    let line = text(CsvRows::new(rows.schema(), "Europe/Berlin", false), &rows, None);
    assert_eq!(line, "ltz,ts\n2024-01-01 01:00:00.000,2024-01-01 00:00:00.000000\n");
}

#[test]
fn values_are_shown_as_their_cast_to_string() {
    let interval = IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(14, 0, 0)]);
    let row = StructArray::from(vec![(
        Arc::new(Field::new("c0", DataType::Float64, true)),
        Arc::new(Float64Array::from(vec![1e8])) as ArrayRef,
    )]);
    let rows = batch(vec![
        ("b", Arc::new(BooleanArray::from(vec![true])) as ArrayRef),
        ("f", Arc::new(Float64Array::from(vec![f64::INFINITY]))),
        ("bytes", Arc::new(BinaryArray::from(vec![&b"ab"[..]]))),
        ("l", Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1), None])]))),
        ("r", Arc::new(row)),
        ("i", Arc::new(interval)),
    ]);
    let line = text(CsvRows::new(rows.schema(), "UTC", false), &rows, None);
    assert_eq!(line, "b,f,bytes,l,r,i\nTRUE,Infinity,ab,\"[1, NULL]\",(1.0E8),+1-02\n");
    let table = text(TableRows::new(rows.schema(), "UTC", page(1, false)), &rows, None);
    assert!(table.contains("| TRUE | Infinity | ab    | [1, NULL] | (1.0E8) | +1-02 |"), "{table}");
}

#[test]
fn rows_without_columns_do_not_panic() {
    let rows = RecordBatch::new_empty(Arc::new(Schema::empty()));
    assert_eq!(text(TableRows::new(rows.schema(), "UTC", page(1, false)), &rows, None), "+\n|\n+\n+\n");
}

#[test]
fn a_cell_of_any_length_has_its_place_in_the_frame() {
    let long = "x".repeat(100_000);
    let column: ArrayRef = Arc::new(StringArray::from(vec![long.as_str(), "y"]));
    let rows = batch(vec![("name", column)]);
    let table = text(TableRows::new(rows.schema(), "UTC", page(usize::MAX, false)), &rows, None);
    let aligned = text(AlignedRows::new(rows.schema(), "UTC"), &rows, None);
    assert!(table.lines().all(|l| l.len() == 100_004), "all lines are of one length");
    assert!(table.contains(&format!("| y{} |", " ".repeat(99_999))));
    assert!(aligned.contains(&format!("+I | y{}", " ".repeat(99_999))));
}

#[test]
fn a_time_beyond_the_calendar_is_an_error_and_not_a_text() {
    let column: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![i64::MAX]));
    let rows = batch(vec![("t", column)]);
    let mut writer = AlignedRows::new(rows.schema(), "UTC");
    let error = writer.write(&mut Vec::new(), Rows { batch: &rows, kinds: None }).expect_err("no such year");
    assert!(
        error.to_string().contains("a value cannot be printed: ") && error.to_string().contains("9223372036854775807")
    );
}

#[test]
fn a_table_that_is_too_wide_is_cut_and_says_so() {
    let text_column: ArrayRef = Arc::new(StringArray::from(vec!["a story that has no end", "short"]));
    let number: ArrayRef = Arc::new(Int64Array::from(vec![1234567890, 2]));
    let rows = batch(vec![("text", text_column), ("number", number)]);
    let narrow = Page { width_max: 34, ..Page::endless() };
    let want = "\
+-------------------+------------+
| text              | number     |
+-------------------+------------+
| a story that has… | 1234567890 |
| short             |          2 |
+-------------------+------------+
2 rows
wider than the terminal: --format csv prints all
";
    assert_eq!(text(TableRows::new(rows.schema(), "UTC", narrow.clone()), &rows, None), want);
    let narrower = Page { width_max: 30, ..narrow };
    let shown = text(TableRows::new(rows.schema(), "UTC", narrower), &rows, None);
    assert!(shown.starts_with("+------------------------+---+\n| text                   | … |\n"), "{shown}");
}

#[test]
fn an_expanded_table_is_a_list_per_row() {
    let expanded = Page { expanded: true, ..Page::endless() };
    let want = "\
-[ RECORD 1 ]
name | ß, \"x\"
n    | 1
-[ RECORD 2 ]
name | NULL
n    | -20
2 rows
";
    assert_eq!(text(TableRows::new(words().schema(), "UTC", expanded), &words().slice(0, 2), None), want);
}

#[test]
fn null_is_not_the_text_null_where_there_are_colours() {
    let column: ArrayRef = Arc::new(StringArray::from(vec![Some("NULL"), None]));
    let rows = batch(vec![("t", column)]);
    let coloured = Page { colours: true, footer: false, ..Page::endless() };
    let table = text(TableRows::new(rows.schema(), "UTC", coloured), &rows, None);
    assert!(table.ends_with("| NULL |\n| \x1b[2mNULL\x1b[0m |\n+------+\n"), "{table:?}");
}

#[test]
fn a_changelog_in_a_frame() {
    let rows = words();
    let want = "\
+----+--------+-----+
| op | name   |   n |
+----+--------+-----+
| +I | ß, \"x\" |   1 |
| -D | NULL   | -20 |
+----+--------+-----+
Received a total of 2 changes
";
    let kinds = [KINDS[0], KINDS[3]];
    assert_eq!(text(AlignedRows::new(rows.schema(), "UTC").framed(), &rows, Some(&kinds)), want);
}
