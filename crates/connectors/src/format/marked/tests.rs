use super::super::tests::{changes, encode_changes, options, request};
use super::super::{decoding, encoding};
use crate::SourceRequest;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use eddyline_changes::table::parse_changes;
use std::sync::Arc;

const CHANGELOG_JSON: &[(&str, &str)] = &[("format", "changelog-json")];
const CHANGELOG_CSV: &[(&str, &str)] = &[("format", "changelog-csv")];
const UPSERT_JSON: &[(&str, &str)] = &[("format", "upsert-json")];
const UPSERT_CSV: &[(&str, &str)] = &[("format", "upsert-csv")];

/// `id` is the key, `n` must not be NULL, `name` may be.
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

#[test]
fn row_kinds_become_weights() {
    let wanted = "+ 1 10 a\n- 1 10 a\n+ 1 11 NULL\n- 1 11 NULL\n";
    let json = "{\"op\":\"+I\",\"id\":1,\"n\":10,\"name\":\"a\"}\n{\"op\":\"-U\",\"id\":1,\"n\":10,\"name\":\"a\"}\n\
        {\"id\":1,\"n\":11,\"op\":\"+U\"}\n\n{\"op\":\"-D\",\"id\":1,\"n\":11,\"name\":null,\"more\":0}\n";
    assert_eq!(read(CHANGELOG_JSON, json), wanted);
    assert_eq!(read(CHANGELOG_CSV, "+I,1,10,a\n-U,1,10,a\n+U,1,11,\n-D,1,11,\n"), wanted);
    let header = [("format", "changelog-csv"), ("changelog-csv.header", "true")];
    assert_eq!(read(&header, "op,id,n,name\n+I,1,10,a\n"), "+ 1 10 a\n");
}

#[test]
fn columns_that_nobody_wants_are_not_decoded() {
    let request = SourceRequest { projection: vec![2], ..keyed() };
    let (rows, _) = changes(CHANGELOG_CSV, &request, "+I,x,y,a\n-D,x,y,b\n").expect("changes");
    assert_eq!(rows, "+ a\n- b\n");
    let request = SourceRequest { projection: vec![], ..keyed() };
    let (rows, _) = changes(CHANGELOG_JSON, &request, "{\"op\":\"+I\"}\n{\"op\":\"-D\"}\n").expect("changes");
    assert_eq!(rows, "+\n-\n");
}

#[test]
fn a_mark_that_means_nothing_is_told_or_skipped() {
    assert_eq!(
        fault(CHANGELOG_CSV, "+I,1,1,a\n+X,2,2,b\n"),
        "in.txt, byte 9: is none of +I, -U, +U and -D (column op, value \"+X\")"
    );
    assert_eq!(
        fault(CHANGELOG_JSON, "{\"id\":1,\"n\":1}\n"),
        "in.txt, byte 0: is none of +I, -U, +U and -D: it is missing (column op, value \"\")"
    );
    assert_eq!(
        fault(UPSERT_JSON, "{\"id\":1,\"n\":1,\"__deleted\":\"yes\"}\n"),
        "in.txt, byte 0: is neither true nor false (column __deleted, value \"yes\")"
    );
    let skip = [("format", "changelog-csv"), ("changelog-csv.ignore-parse-errors", "true")];
    let outcome = changes(&skip, &keyed(), "+I,1,1,a\n+X,2,2,b\n-D,1,1\n-D,1,1,a\n").expect("changes");
    assert_eq!(outcome, ("+ 1 1 a\n- 1 1 a\n".into(), 2));
}

#[test]
fn a_deletion_needs_its_key_alone() {
    let json = "{\"id\":1,\"n\":10,\"name\":\"a\"}\n{\"id\":1,\"n\":11,\"__deleted\":\"false\"}\n{\"id\":1,\"__deleted\":true}\n\
        {\"id\":2,\"n\":null,\"__deleted\":\"true\"}\n";
    // What stands in other columns of a deletion means nothing: NULL, or zero where there is no NULL.
    let wanted = "+ 1 10 a\n+ 1 11 NULL\n- 1 0 NULL\n- 2 0 NULL\n";
    assert_eq!(read(UPSERT_JSON, json), wanted);
    assert_eq!(read(UPSERT_CSV, "1,10,a,\n1,11,,false\n1,,,true\n2,,,true\n"), wanted);
    let message = "NULL in a NOT NULL column";
    assert_eq!(fault(UPSERT_JSON, "{\"id\":1}\n"), format!("in.txt, byte 0: {message} (column n, value \"\")"));
    assert_eq!(fault(UPSERT_CSV, ",1,a,true\n"), format!("in.txt, byte 0: {message} (column id, value \"\")"));
}

#[test]
fn the_field_of_the_mark_has_the_name_that_the_table_gives_it() {
    let pairs = [("format", "upsert-json"), ("upsert-json.deleted-field", "gone")];
    assert_eq!(read(&pairs, "{\"id\":1,\"gone\":true}\n"), "- 1 0 NULL\n");
    let schema = Arc::new(Schema::new(vec![Field::new("op", DataType::Utf8, true)]));
    let clash = decoding(&mut options(CHANGELOG_JSON), &request(&schema)).err().expect("a clash");
    assert_eq!(clash.to_string(), "table t: the field that says what happens to a row and a column are both called op");
    assert_eq!(clash.hint(), Some("give the field another name: 'changelog-json.op-field' = '…'"));
}

#[test]
fn upserts_need_a_key_and_options_are_checked_under_their_own_names() {
    let error = decoding(&mut options(UPSERT_CSV), &request(&table())).err().expect("no key");
    assert_eq!(error.to_string(), "table t: 'upsert-csv' needs a PRIMARY KEY, by which rows replace each other");
    assert!(encoding(&mut options(UPSERT_JSON), &table(), &[]).is_err());
    let mut given = options(&[("format", "changelog-csv"), ("changelog-csv.field-delimiter", "ab")]);
    let error = decoding(&mut given, &keyed()).err().expect("no character");
    assert!(error.to_string().starts_with("table t: option 'changelog-csv.field-delimiter' = 'ab'"), "{error}");
    let mut given = options(&[("format", "changelog-csv"), ("csv.field-delimiter", ";")]);
    decoding(&mut given, &keyed()).expect("the format");
    assert_eq!(
        given.finish().expect_err("of another format").to_string(),
        "table t: unknown option 'csv.field-delimiter'"
    );
}

#[test]
fn what_is_written_says_what_happened() {
    let table = parse_changes(&table(), "- 1 10 a\n+ 2 20 NULL\n+ 1 11 a\n- 3 30 c").expect("table");
    assert_eq!(
        encode_changes(CHANGELOG_JSON, &table, &[0]).expect("text"),
        "{\"op\":\"-U\",\"id\":1,\"n\":10,\"name\":\"a\"}\n{\"op\":\"+U\",\"id\":1,\"n\":11,\"name\":\"a\"}\n\
         {\"op\":\"+I\",\"id\":2,\"n\":20,\"name\":null}\n{\"op\":\"-D\",\"id\":3,\"n\":30,\"name\":\"c\"}\n"
    );
    let csv = [("format", "changelog-csv"), ("changelog-csv.header", "true")];
    assert_eq!(
        encode_changes(&csv, &table, &[]).expect("text"),
        "op,id,n,name\n-D,1,10,a\n+I,2,20,\n+I,1,11,a\n-D,3,30,c\n"
    );
    assert_eq!(
        encode_changes(UPSERT_JSON, &table, &[0]).expect("text"),
        "{\"id\":1,\"n\":11,\"name\":\"a\",\"__deleted\":false}\n{\"id\":2,\"n\":20,\"name\":null,\"__deleted\":false}\n\
         {\"id\":3,\"n\":null,\"name\":null,\"__deleted\":true}\n"
    );
    assert_eq!(encode_changes(UPSERT_CSV, &table, &[0]).expect("text"), "1,11,a,false\n2,20,,false\n3,,,true\n");
}
