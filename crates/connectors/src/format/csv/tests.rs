use super::super::tests::{decode, decode_in, encode, format_with, request, schema};
use super::super::{Place, decoding};
use crate::{ConnectorError, Payload, Position, RawBlock};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;
use std::sync::Arc;

const CSV: &[(&str, &str)] = &[("format", "csv")];

fn ab() -> SchemaRef {
    schema(&[("a", DataType::Int64), ("b", DataType::Utf8)])
}

fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    CSV.iter().chain(more).copied().collect()
}

fn lines(options: &[(&str, &str)], schema: &SchemaRef, text: &str) -> Vec<String> {
    decode(&with(options), schema, text).unwrap().lines()
}

fn error(options: &[(&str, &str)], schema: &SchemaRef, text: &str) -> String {
    decode(&with(options), schema, text).err().expect("a faulty row").to_string()
}

#[test]
fn fields_may_be_quoted_empty_padded_and_of_any_line_end() {
    let text = "1,x\n 2 ,  y \r\n3,\"a, \"\"b\"\"\nc\"\n\n,\n4,\"\"\r\n\r\n5,it's 5\" wide\n\"6\",\"z\"";
    let wanted = ["1|x", "2|  y ", "3|a, \"b\"\nc", "~|~", "4|", "5|it's 5\" wide", "6|z"];
    assert_eq!(lines(&[], &ab(), text), wanted);
}

#[test]
fn what_is_null() {
    let one = schema(&[("b", DataType::Utf8)]);
    assert_eq!(lines(&[], &one, "x\n\n\"\"\n"), ["x", "~", ""]);
    let options = [("csv.null-literal", "n/a")];
    assert_eq!(lines(&options, &ab(), "n/a,n/a\n,\n1,\"n/a\"\n"), ["~|~", "~|", "1|n/a"]);
    let not_null = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, false)]));
    assert_eq!(error(&[], &not_null, "1\n\n"), "in.txt, byte 2: NULL in a NOT NULL column (column a, value \"\")");
}

#[test]
fn special_characters_are_the_tables() {
    let options = [("csv.field-delimiter", "\\t"), ("csv.quote-character", "'")];
    assert_eq!(lines(&options, &ab(), "1\t'a\tb''c'\n2\t\"d,\"\n"), ["1|a\tb'c", "2|\"d,\""]);
    let options = [("csv.disable-quote-character", "true"), ("csv.field-delimiter", "|")];
    assert_eq!(lines(&options, &ab(), "1|\"a\n2|b\"\n"), ["1|\"a", "2|b\""]);
    let options = [("csv.escape-character", "\\"), ("csv.allow-comments", "true")];
    let text = "# 1,\"2\n1,a\\,b\\n\\\\\n2,\"c\\\"d\"\"e\"\n# end";
    assert_eq!(lines(&options, &ab(), text), ["1|a,b\n\\", "2|c\"d\"e"]);
    for bad in [("csv.field-delimiter", "ab"), ("csv.field-delimiter", "\""), ("csv.quote-character", "ä")] {
        let options = with(&[bad]);
        assert!(decoding(&mut super::super::tests::options(&options), &request(&ab())).is_err(), "{bad:?}");
    }
}

#[test]
fn faulty_rows_are_told_or_skipped() {
    let wide = "is not a BIGINT (-9223372036854775808 to 9223372036854775807)";
    assert_eq!(
        error(&[], &ab(), "1,x\n9223372036854775808,y\n"),
        format!("in.txt, byte 4: {wide} (column a, value \"9223372036854775808\")")
    );
    assert_eq!(error(&[], &ab(), "1\n"), "in.txt, byte 0: the row has 1 field, the table has 2 columns: 1");
    assert_eq!(error(&[], &ab(), "1,2,3\n"), "in.txt, byte 0: the row has 3 fields, the table has 2 columns: 1,2,3");
    assert_eq!(error(&[], &ab(), "1,\"x\n"), "in.txt, byte 0: a quoted field is not closed: 1,\"x");
    for row in ["x,y", "1", "1,2,3", "1,\"x\"y", "1.5,x", "--1,x", "1 2,x", "\"\",x,"] {
        let text = format!("1,x\n{row}\n2,y\n");
        let outcome = decode(&with(&[("csv.ignore-parse-errors", "true")]), &ab(), &text).unwrap();
        assert_eq!((outcome.lines(), outcome.skipped), (vec!["1|x".to_owned(), "2|y".to_owned()], 1), "{row}");
    }
}

#[test]
fn a_row_with_the_wrong_number_of_fields_is_faulty_whatever_is_projected() {
    let mut request = request(&ab());
    request.projection = vec![0];
    let format = format_with(CSV, &request);
    for text in ["1\n", "1,2,3\n"] {
        assert!(decode_in(format.as_ref(), &request, text.as_bytes(), &[], 10).is_err());
    }
    let text = "1,\"x\ny\"\n2,z\n";
    assert_eq!(decode_in(format.as_ref(), &request, text.as_bytes(), &[], 10).unwrap().lines(), ["1", "2"]);
}

#[test]
fn a_header_is_checked_at_the_start_of_the_input_only() {
    let options = [("csv.header", "true")];
    assert_eq!(lines(&options, &ab(), "a,b\n1,x\n"), ["1|x"]);
    assert_eq!(lines(&options, &ab(), "\u{feff}\"a\",b\r\n1,x\n"), ["1|x"]);
    assert_eq!(lines(&options, &ab(), ""), Vec::<String>::new());
    let message = error(&options, &ab(), "b,a\n1,x\n");
    assert!(message.starts_with("in.txt: the header names the columns b, a; the table has a, b."), "{message}");
    let request = request(&ab());
    let mut decoder = format_with(&with(&options), &request).decoder(Place::new("in.txt")).unwrap();
    let payload = Payload::Bytes(Bytes::from_static(b"1,x\n"));
    decoder.feed(RawBlock { payload, start: Position(4), end: Position(8) }).unwrap();
    assert_eq!(decoder.next(10).unwrap().unwrap().changes.num_rows(), 1);
}

#[test]
fn all_scalars_and_arrays_read() {
    let item = Arc::new(Field::new_list_field(DataType::Int32, true));
    let schema = schema(&[
        ("boolean", DataType::Boolean),
        ("small", DataType::Int16),
        ("double", DataType::Float64),
        ("decimal", DataType::Decimal128(38, 10)),
        ("bytes", DataType::Binary),
        ("date", DataType::Date32),
        ("time", DataType::Time64(TimeUnit::Microsecond)),
        ("seconds", DataType::Timestamp(TimeUnit::Second, None)),
        ("moment", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))),
        ("list", DataType::List(item)),
    ]);
    let text = "true,-32768,1e-3,1234567890123456789012345678.0123456789,aGk=,1969-12-31,00:00:00.000001,\
        2024-01-01 00:00:00.999,2024-01-01 01:00:00.5+01:00,1;;3\n\
        False,,NaN,-0.00000000005,,0000-03-01,23:59,1600-02-29 00:00,,\"\"\n";
    assert_eq!(
        lines(&[], &schema, text),
        [
            "true|-32768|0.001|1234567890123456789012345678.0123456789|6869|1969-12-31|00:00:00.000001|\
             2024-01-01T00:00:00|2024-01-01T00:00:00.500Z|[1, ~, 3]",
            "false|~|NaN|-0.0000000001|~|0000-03-01|23:59:00|1600-02-29T00:00:00|~|[]"
        ]
    );
}

#[test]
fn records_end_outside_of_quotes() {
    let request = request(&ab());
    let ends = |options: &[(&str, &str)], text: &str| format_with(&with(options), &request).record_end(text.as_bytes());
    assert_eq!(ends(&[], "1,x\n2,\"a\nb"), Some(4));
    assert_eq!(ends(&[], "1,\"a\nb\"\n2"), Some(8));
    assert_eq!(ends(&[], "1,a\"\n2,b\n"), Some(9));
    assert_eq!(ends(&[], "1,\"a\"\"\n"), None);
    assert_eq!(ends(&[("csv.allow-comments", "true")], "#,\"\n2,b"), Some(4));
    assert_eq!(ends(&[("csv.escape-character", "\\")], "1,\"\\\"\n\"\n2,\\\n3"), Some(8));
    assert_eq!(ends(&[("csv.disable-quote-character", "true")], "1,\"\n2"), Some(4));
    let starts =
        |text: &str, targets: &[u64]| format_with(CSV, &request).record_starts(&mut text.as_bytes(), targets).unwrap();
    assert_eq!(starts("1,x\n2,\"\n\n\"\n3,y\n", &[0, 3, 4, 5, 8, 11, 15, 99]), [0, 4, 4, 11, 11, 11, 15, 15]);
}

#[test]
fn maps_rows_and_intervals_are_refused_when_the_table_is_defined() {
    let row = DataType::Struct(vec![Field::new("x", DataType::Int32, true)].into());
    let refuse = |data_type| {
        let request = request(&schema(&[("c", data_type)]));
        decoding(&mut super::super::tests::options(CSV), &request).err().unwrap()
    };
    assert!(refuse(row).to_string().starts_with("table t: format 'csv' cannot hold column c of type Struct"));
    let interval = DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano);
    assert!(refuse(interval).hint().unwrap().contains("STRING"));
}

#[test]
fn what_would_not_read_back_is_not_written() {
    let strings = |values: Vec<&str>| {
        let column: arrow::array::ArrayRef = Arc::new(arrow::array::StringArray::from(values));
        arrow::array::RecordBatch::try_from_iter([("a", column)]).unwrap()
    };
    let text = |bytes: Result<Vec<u8>, ConnectorError>| String::from_utf8(bytes.unwrap()).unwrap();
    assert_eq!(text(encode(CSV, &strings(vec!["a,\"b", "", "c"]))), "\"a,\"\"b\"\n\"\"\nc\n");
    let unquoted = with(&[("csv.disable-quote-character", "true")]);
    assert_eq!(text(encode(&unquoted, &strings(vec!["\""]))), "\"\n");
    let message = encode(&unquoted, &strings(vec!["x,y"])).unwrap_err().to_string();
    assert_eq!(message, "column a: the value \"x,y\" cannot be written so that it reads back");
    assert_eq!(text(encode(&with(&[("csv.header", "true")]), &strings(vec!["x"]))), "a\nx\n");
}
