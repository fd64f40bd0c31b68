use super::super::tests::{decode, decode_in, format_with, request, schema};
use arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use std::sync::Arc;

const JSON: &[(&str, &str)] = &[("format", "json")];
const SKIP: &[(&str, &str)] = &[("format", "json"), ("json.ignore-parse-errors", "true")];

fn ab() -> SchemaRef {
    schema(&[("a", DataType::Int64), ("b", DataType::Utf8)])
}

fn lines(schema: &SchemaRef, text: &str) -> Vec<String> {
    decode(JSON, schema, text).unwrap().lines()
}

fn error(schema: &SchemaRef, text: &str) -> String {
    decode(JSON, schema, text).err().expect("a faulty row").to_string()
}

#[test]
fn keys_come_in_any_order_spacing_and_number() {
    let text = "{\"a\":1,\"b\":\"x\"}\n{\"a\":2,\"b\":\"y\"}\n{ \"b\" : \"z\" , \"a\" : 3 }\r\n\n  \n{\"c\":[1,{\"a\":9}],\"a\":4}\n\
        {}\n{\"b\":null,\"a\":-5,\"d\":\"\\\"\"}\n{\"a\":1,\"b\":\"u\",\"a\":6}\n{\"\\u0061\":7}\n{\"a\":8,\"b\":\"end\"}";
    assert_eq!(lines(&ab(), text), ["1|x", "2|y", "3|z", "4|~", "~|~", "-5|~", "6|u", "7|~", "8|end"]);
}

#[test]
fn strings_are_unescaped() {
    let text = r#"{"b":"q\"b\\s\/ \b\f\n\r\t A ä€ 😀 \u00e4\u20AC\ud83d\ude00"}"#;
    assert_eq!(lines(&ab(), text), ["~|q\"b\\s/ \u{8}\u{c}\n\r\t A ä€ 😀 ä€😀"]);
}

#[test]
fn a_string_column_takes_any_value_as_it_stands() {
    let text = "{\"b\":1.50}\n{\"b\":true}\n{\"b\":{\"x\": [1, 2]}}\n{\"b\":[]}\n";
    assert_eq!(lines(&ab(), text), ["~|1.50", "~|true", "~|{\"x\": [1, 2]}", "~|[]"]);
}

#[test]
fn numbers_may_stand_in_strings_and_whole_ones_may_have_points() {
    let text = "{\"a\":\"12\"}\n{\"a\":\" 13 \"}\n{\"a\":1.0}\n{\"a\":12e2}\n{\"a\":9223372036854775807}\n\
        {\"a\":-9223372036854775808}\n{\"a\":0}\n{\"a\":-0}\n";
    let wanted = ["12", "13", "1", "1200", "9223372036854775807", "-9223372036854775808", "0", "0"];
    assert_eq!(lines(&ab(), text), wanted.map(|w| format!("{w}|~")));
}

#[test]
fn faulty_rows_are_told_or_skipped() {
    let faulty = [
        "{\"a\":1.5}",
        "{\"a\":9223372036854775808}",
        "{\"a\":01}",
        "{\"a\":1",
        "{\"a\":1}}",
        "{\"a\":1} {\"a\":2}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,\"a\":1}",
        "{\"a\" 1}",
        "{a:1}",
        "{\"a\":tru}",
        "{\"a\":true}",
        "{\"b\":\"x}",
        "{\"b\":\"\\x\"}",
        "{\"b\":\"\\ud800\"}",
        "{\"c\":[1,]}",
        "{\"c\":{\"x\":1,}}",
        "{\"c\":1.}",
        "[1]",
        "1",
        "{\"b\":\"a\tb\"}",
    ];
    for row in faulty {
        let text = format!("{{\"a\":1,\"b\":\"x\"}}\n{row}\n{{\"a\":2,\"b\":\"y\"}}\n");
        assert!(decode(JSON, &ab(), &text).is_err(), "{row}");
        let outcome = decode(SKIP, &ab(), &text).unwrap();
        assert_eq!((outcome.lines(), outcome.skipped), (vec!["1|x".to_owned(), "2|y".to_owned()], 1), "{row}");
    }
}

#[test]
fn errors_name_column_and_value() {
    assert_eq!(
        error(&ab(), "{\"a\":1}\n{\"a\":\"one\"}\n"),
        "in.txt, byte 8: is not a BIGINT (-9223372036854775808 to 9223372036854775807) (column a, value \"one\")"
    );
    assert_eq!(error(&ab(), "{\"a\":1\n"), "in.txt, byte 0: '}' or a comma is missing: {\"a\":1");
    let not_null = Arc::new(arrow::datatypes::Schema::new(vec![Field::new("a", DataType::Int64, false)]));
    assert_eq!(
        error(&not_null, "{\"b\":1}\n"),
        "in.txt, byte 0: NULL in a NOT NULL column (missing) (column a, value \"\")"
    );
    let missing = decode(&[("format", "json"), ("json.fail-on-missing-field", "true")], &ab(), "{\"a\":1}\n");
    assert_eq!(missing.err().unwrap().to_string(), "in.txt, byte 0: the field is missing (column b, value \"\")");
}

#[test]
fn rows_that_are_not_utf8_fail_alone() {
    let request = request(&ab());
    let text = b"{\"a\":1,\"b\":\"x\"}\n{\"a\":2,\"b\":\"\xff\"}\n{\"a\":3,\"b\":\"\xc3\xa4\"}\n";
    let outcome = decode_in(format_with(SKIP, &request).as_ref(), &request, text, &[], 10).unwrap();
    assert_eq!((outcome.lines(), outcome.skipped), (vec!["1|x".to_owned(), "3|ä".to_owned()], 1));
}

#[test]
fn all_types_read() {
    let item = |t| Arc::new(Field::new_list_field(t, true));
    let row = vec![Field::new("x", DataType::Int32, true), Field::new("y", DataType::Utf8, true)];
    let entries = vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Int64, true)];
    let map = Field::new("entries", DataType::Struct(entries.into()), false);
    let schema = schema(&[
        ("boolean", DataType::Boolean),
        ("tiny", DataType::Int8),
        ("float", DataType::Float32),
        ("double", DataType::Float64),
        ("decimal", DataType::Decimal128(10, 2)),
        ("bytes", DataType::Binary),
        ("date", DataType::Date32),
        ("time", DataType::Time32(TimeUnit::Millisecond)),
        ("nanos", DataType::Timestamp(TimeUnit::Nanosecond, None)),
        ("list", DataType::List(item(DataType::Int64))),
        ("row", DataType::Struct(row.into())),
        ("map", DataType::Map(Arc::new(map), false)),
    ]);
    let text = r#"{"boolean":true,"tiny":-128,"float":1.5,"double":1e300,"decimal":12.345,"bytes":"aGk=","date":"2024-02-29","time":"23:45:00.123","nanos":"2024-01-01T00:00:00.123456789","list":[1,null,"3"],"row":{"y":"b","z":[],"x":1},"map":{"k":1,"l":null}}
{"boolean":"FALSE","double":"-Infinity","decimal":"-0.005","row":{},"list":[],"map":{}}
{"double":3,"row":null,"list":null}
"#;
    let wanted = [
        "true|-128|1.5|1e300|12.35|6869|2024-02-29|23:45:00.123|2024-01-01T00:00:00.123456789|[1, , 3]|{x: 1, y: b}|{k: 1, l: }",
        "false|~|~|-inf|-0.01|~|~|~|~|[]|{x: , y: }|{}",
        "~|~|~|3.0|~|~|~|~|~|~|~|~",
    ]
    .map(|line| line.replace(", ,", ", ~,").replace(": ,", ": ~,").replace(": }", ": ~}"));
    assert_eq!(lines(&schema, text), wanted);
    for bad in ["{\"date\":\"2023-02-29\"}", "{\"tiny\":128}", "{\"nanos\":\"2024-01-01T00:00:00Z\"}", "{\"row\":[]}"] {
        assert!(decode(JSON, &schema, bad).is_err(), "{bad}");
    }
}
