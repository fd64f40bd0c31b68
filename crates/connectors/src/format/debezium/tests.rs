use super::super::tests::{changes, encode_changes, format_with, options, request};
use super::super::{decoding, encoding};
use crate::SourceRequest;
use crate::format::tests::changes_in;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use eddyline_changes::table::{format_changes, parse_changes};
use std::sync::Arc;

const DEBEZIUM: &[(&str, &str)] = &[("format", "debezium-json")];
const UPSERT: &[(&str, &str)] = &[("format", "debezium-json"), ("debezium-json.upsert", "true")];

fn table() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("n", DataType::Int64, false),
        Field::new("name", DataType::Utf8, true),
    ]))
}

fn keyed() -> SourceRequest {
    SourceRequest { key: vec![0], ..request(&table()) }
}

fn read(pairs: &[(&str, &str)], text: &str) -> String {
    changes(pairs, &keyed(), text).expect("changes").0
}

fn fault(pairs: &[(&str, &str)], text: &str) -> String {
    changes(pairs, &keyed(), text).expect_err("a fault").to_string()
}

const EVENTS: &str = r#"{"before":null,"after":{"id":1,"n":10,"name":"a"},"source":{"db":"x","pos":[1,{}]},"op":"c","ts_ms":1}
{"before":null,"after":{"id":2,"n":20,"name":null},"source":{"db":"x","pos":[]},"op":"r","ts_ms":1}
{"before":{"id":1,"n":10,"name":"a"},"after":{"id":1,"n":11,"name":"a"},"source":{"db":"y"},"op":"u","ts_ms":2}

{"before":{"id":2,"n":20,"name":null},"after":null,"op":"d","transaction":null}
"#;

#[test]
fn events_add_and_take_back_rows() {
    let wanted = "+ 1 10 a\n+ 2 20 NULL\n- 1 10 a\n+ 1 11 a\n- 2 20 NULL\n";
    assert_eq!(read(DEBEZIUM, EVENTS), wanted);
    // With the schema of Kafka Connect around.
    let around: Vec<String> = EVENTS
        .lines()
        .map(|line| match line {
            "" => String::new(),
            event => format!("{{\"schema\":{{\"type\":\"struct\",\"fields\":[]}},\"payload\":{event}}}\n"),
        })
        .collect();
    let schema = [("format", "debezium-json"), ("debezium-json.schema-include", "true")];
    assert_eq!(read(&schema, &around.concat()), wanted);
    assert!(fault(&schema, EVENTS).contains("there is no \"payload\""));
}

#[test]
fn fields_come_in_any_order() {
    let text = r#" { "op" : "u" , "after" : {"n":2,"id":1} , "before" : {"id":1,"n":1} } "#;
    assert_eq!(read(DEBEZIUM, text), "+ 1 2 NULL\n- 1 1 NULL\n");
    assert_eq!(read(UPSERT, text), "+ 1 2 NULL\n");
}

#[test]
fn rows_that_an_event_does_not_mean_are_left_out() {
    let created = r#"{"before":{"id":1,"n":1},"after":{"id":1,"n":2},"op":"c"}"#;
    let deleted = r#"{"before":{"id":1,"n":2},"after":{"id":1,"n":3},"op":"d"}"#;
    assert_eq!(read(DEBEZIUM, &format!("{created}\n{deleted}\n{created}\n")), "+ 1 2 NULL\n- 1 2 NULL\n+ 1 2 NULL\n");
}

#[test]
fn upserts_need_no_row_from_before_but_the_key_of_what_is_deleted() {
    let text = r#"{"before":null,"after":{"id":1,"n":10},"op":"c"}
{"before":null,"after":{"id":1,"n":11},"op":"u"}
{"before":{"id":1,"n":0,"name":"?"},"after":null,"op":"d"}
{"before":{"id":2},"after":null,"op":"d"}
"#;
    let wanted = "+ 1 10 NULL\n+ 1 11 NULL\n- 1 0 ?\n- 2 0 NULL\n";
    assert_eq!(read(UPSERT, text), wanted);
    let missing = fault(UPSERT, r#"{"before":null,"after":null,"op":"d"}"#);
    assert!(missing.contains("there is no key of what was deleted"), "{missing}");
    assert!(fault(UPSERT, r#"{"after":{"id":1},"op":"u"}"#).contains("NULL in a NOT NULL column"));
    let error = decoding(&mut options(UPSERT), &request(&table())).err().expect("no key");
    assert!(error.to_string().contains("needs a PRIMARY KEY"), "{error}");
}

#[test]
fn faulty_events_are_told_or_skipped() {
    for (event, message) in [
        (r#"{"before":null,"after":{"id":1,"n":1},"op":"u"}"#, "REPLICA IDENTITY FULL"),
        (r#"{"before":null,"after":null,"op":"d"}"#, "\"before\" is null"),
        (r#"{"before":{"id":1,"n":1},"after":null,"op":"u"}"#, "\"after\" is null"),
        (r#"{"after":null,"op":"c"}"#, "\"after\" is null"),
        (r#"{"after":{"id":1,"n":1}}"#, "no \"op\""),
        (r#"{"after":{"id":1,"n":1},"op":"t"}"#, "is none of c, r, u and d (column op, value \"\\\"t\\\"\")"),
        (r#"{"after":{"id":1},"op":"c"}"#, "NULL in a NOT NULL column"),
        (r#"{"after":{"id":"x","n":1},"op":"c"}"#, "is not a BIGINT"),
        (r#"{"after":7,"op":"c"}"#, "a row is no JSON object"),
        (r#"{"after":{"id":1,"n":1},"after":{"id":1,"n":1},"op":"c"}"#, "twice"),
        (r#"{"after":{"id":1,"n":1},"op":"c"} x"#, "more behind"),
        (r#"{"before":{"id":1,"n":1},"after":{"id":1,"n":1,"op":"u"}"#, "missing"),
        ("[]", "no JSON object"),
    ] {
        let text = format!("{event}\n{{\"after\":{{\"id\":9,\"n\":9}},\"op\":\"c\"}}\n");
        let told = fault(DEBEZIUM, &text);
        assert!(told.contains(message), "{event}: {told}");
        let skip = [("format", "debezium-json"), ("debezium-json.ignore-parse-errors", "true")];
        assert_eq!(changes(&skip, &keyed(), &text).expect("skips"), ("+ 9 9 NULL\n".into(), 1), "{event}");
    }
}

#[test]
fn an_update_is_not_cut_in_two() {
    let format = format_with(DEBEZIUM, &keyed());
    let (batches, _) = changes_in(format.as_ref(), EVENTS.as_bytes(), &[], 1).expect("changes");
    let tables: Vec<String> = batches.iter().map(format_changes).collect();
    assert_eq!(tables, ["+ 1 10 a\n", "+ 2 20 NULL\n", "- 1 10 a\n+ 1 11 a\n", "- 2 20 NULL\n"]);
}

#[test]
fn columns_that_nobody_wants_are_not_decoded() {
    let request = SourceRequest { projection: vec![], ..keyed() };
    assert_eq!(changes(DEBEZIUM, &request, EVENTS).expect("changes").0, "+\n+\n-\n+\n-\n");
}

#[test]
fn changes_are_written_as_flink_writes_them() {
    let changed = parse_changes(&table(), "- 1 10 a\n+ 1 11 a\n+ 2 20 NULL\n- 3 30 c").expect("table");
    let written = encode_changes(DEBEZIUM, &changed, &[0]).expect("text");
    let wanted = r#"{"before":{"id":1,"n":10,"name":"a"},"after":null,"op":"d"}
{"before":null,"after":{"id":1,"n":11,"name":"a"},"op":"c"}
{"before":null,"after":{"id":2,"n":20,"name":null},"op":"c"}
{"before":{"id":3,"n":30,"name":"c"},"after":null,"op":"d"}
"#;
    assert_eq!(written, wanted);
    let schema = [("format", "debezium-json"), ("debezium-json.schema-include", "true")];
    assert!(encoding(&mut options(&schema), &table(), &[]).is_err());
}
