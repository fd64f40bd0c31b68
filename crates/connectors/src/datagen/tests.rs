use crate::Boundedness;
use crate::testing::{Bench, failure, lines, request, schema, source};
use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, RecordBatch, StructArray};
use arrow::datatypes::{DataType, Field, Int32Type, SchemaRef, TimeUnit};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

fn all_types() -> SchemaRef {
    schema(&[
        ("a", DataType::Boolean),
        ("b", DataType::Int8),
        ("c", DataType::Int16),
        ("d", DataType::Int32),
        ("e", DataType::Int64),
        ("f", DataType::Float32),
        ("g", DataType::Float64),
        ("h", DataType::Decimal128(10, 2)),
        ("i", DataType::Utf8),
        ("j", DataType::Binary),
        ("k", DataType::Date32),
        ("l", DataType::Time32(TimeUnit::Second)),
        ("m", DataType::Time64(TimeUnit::Nanosecond)),
        ("n", DataType::Timestamp(TimeUnit::Microsecond, None)),
        ("o", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))),
        ("p", DataType::Decimal128(38, 0)),
    ])
}

fn rows(pairs: &[(&str, &str)], schema: &SchemaRef, shards: usize) -> RecordBatch {
    let mut all = vec![("connector", "datagen"), ("rows-per-second", "0")];
    all.extend(pairs);
    let source = source(&all, request(schema)).expect("source");
    assert_eq!(source.boundedness(), Boundedness::Bounded);
    let bench = Bench::new();
    bench.clock.advance(Duration::from_millis(1_700_000_000_123));
    bench.read(&*source, shards).expect("rows")
}

fn column<'a, T: 'static>(rows: &'a RecordBatch, name: &str) -> &'a T {
    let array: &ArrayRef = rows.column_by_name(name).expect("column");
    array.as_any().downcast_ref().expect("its type")
}

#[test]
fn every_scalar_type_can_be_made_and_the_seed_decides() {
    let options = [("number-of-rows", "500"), ("seed", "7"), ("fields.e.null-rate", "0.5")];
    let once = rows(&options, &all_types(), 1);
    assert_eq!(once.num_rows(), 500);
    assert_eq!(once, rows(&options, &all_types(), 1));
    let sorted = |text: String| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(lines(&once)), sorted(lines(&rows(&options, &all_types(), 3))));
    let other = rows(&[("number-of-rows", "500"), ("seed", "8")], &all_types(), 1);
    assert_ne!(once.column(3), other.column(3));
    let nulls = once.column(4).null_count();
    assert!((200..300).contains(&nulls), "{nulls}");
}

#[test]
fn bounds_lengths_and_times_are_kept() {
    let options = [
        ("number-of-rows", "300"),
        ("fields.d.min", "-3"),
        ("fields.d.max", "3"),
        ("fields.h.min", "1.25"),
        ("fields.h.max", "1.30"),
        ("fields.i.length", "5"),
        ("fields.j.length", "9"),
        ("fields.j.var-len", "true"),
        ("fields.o.max-past", "10 s"),
    ];
    let rows = rows(&options, &all_types(), 2);
    let d: &arrow::array::Int32Array = column(&rows, "d");
    assert_eq!((d.values().iter().min(), d.values().iter().max()), (Some(&-3), Some(&3)));
    let h: &arrow::array::Decimal128Array = column(&rows, "h");
    assert_eq!((h.values().iter().min(), h.values().iter().max()), (Some(&125), Some(&130)));
    let i: &arrow::array::StringArray = column(&rows, "i");
    assert!(i.iter().flatten().all(|s| s.len() == 5 && s.bytes().all(|b| b.is_ascii_hexdigit())));
    let j: &arrow::array::BinaryArray = column(&rows, "j");
    let lengths: std::collections::BTreeSet<_> = j.iter().flatten().map(<[u8]>::len).collect();
    assert_eq!(lengths, (1..=9).collect());
    let o: &arrow::array::TimestampMillisecondArray = column(&rows, "o");
    let now = 1_700_000_000_123;
    assert!(o.values().iter().all(|t| (now - 10_000..=now).contains(t)));
    assert!(o.values().iter().any(|t| *t < now - 5_000));
    let n: &arrow::array::TimestampMicrosecondArray = column(&rows, "n");
    assert!(n.values().iter().all(|t| *t == now * 1000));
}

#[test]
fn a_sequence_ends_the_table() {
    let table = schema(&[("id", DataType::Int64), ("name", DataType::Utf8)]);
    let options = [
        ("fields.id.kind", "sequence"),
        ("fields.id.start", "-1"),
        ("fields.id.end", "2"),
        ("fields.name.kind", "sequence"),
        ("fields.name.start", "7"),
        ("fields.name.end", "99"),
    ];
    assert_eq!(lines(&rows(&options, &table, 1)), "-1,7\n0,8\n1,9\n2,10\n");
    assert_eq!(lines(&rows(&options, &table, 2)), "-1,7\n1,9\n0,8\n2,10\n");
}

#[test]
fn without_an_end_it_is_unbounded_and_paced() {
    let source = source(&[("connector", "datagen")], request(&all_types())).expect("source");
    assert_eq!(source.boundedness(), Boundedness::Unbounded);
    let bench = Bench::new();
    assert_eq!(bench.rim.clock.wall_ms(), 0);
    let split = &source.splits(2).expect("splits")[1];
    let mut reader = source.open(split, crate::Position(0), &bench.rim).expect("reader");
    let mut decoder = source.decoder(split).expect("decoder");
    let first = bench.rows(&mut *reader, &mut *decoder, 100).expect("rows").expect("no end");
    assert_eq!(first[0].changes.num_rows(), 1);
    bench.clock.advance(Duration::from_millis(20));
    let next = bench.rows(&mut *reader, &mut *decoder, 1000).expect("rows").expect("no end");
    assert_eq!(next[0].changes.num_rows(), 100);
}

#[test]
fn what_does_not_fit_is_told() {
    let table = schema(&[("id", DataType::Int8)]);
    let fail = |pair: (&str, &str)| failure(source(&[("connector", "datagen"), pair], request(&table)));
    assert!(fail(("rows", "1")).contains("unknown option 'rows'"), "{}", fail(("rows", "1")));
    assert!(fail(("fields.id.length", "1")).contains("'fields.id.length' fits no column"));
    assert!(fail(("fields.x.min", "1")).contains("'fields.x.min' fits no column"));
    assert!(fail(("fields.id.max", "200")).contains("do not fit its type"));
    assert!(fail(("fields.id.kind", "other")).contains("neither 'random' nor 'sequence'"));
    assert!(fail(("fields.id.kind", "sequence")).contains("needs 'fields.id.start'"));
    assert!(fail(("fields.id.null-rate", "2")).contains("not between 0 and 1"));
    let list = schema(&[("l", DataType::new_list(DataType::Int8, true))]);
    let fail = |pair: (&str, &str)| failure(source(&[("connector", "datagen"), pair], request(&list)));
    assert!(fail(("fields.l.element.kind", "sequence")).contains("is for whole columns"));
    assert!(fail(("fields.l.element.max", "200")).contains("'l.element' do not fit"));
    assert!(fail(("fields.l.length", "10001")).contains("is over 10000"));
    let map = schema(&[("m", map_of(DataType::Int8, DataType::Utf8))]);
    let pair = ("fields.m.key.null-rate", "0.5");
    let error = failure(source(&[("connector", "datagen"), pair], request(&map)));
    assert!(error.contains("never NULL"), "{error}");
}

fn map_of(key: DataType, value: DataType) -> DataType {
    let pair = vec![Field::new("key", key, false), Field::new("value", value, true)];
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(pair.into()), false)), false)
}

fn nested() -> SchemaRef {
    let inner = vec![
        Field::new("n", DataType::Int32, true),
        Field::new("tags", DataType::new_list(DataType::Utf8, true), true),
    ];
    schema(&[
        ("l", DataType::new_list(DataType::Int32, true)),
        ("m", map_of(DataType::Int32, DataType::Utf8)),
        ("r", DataType::Struct(inner.into())),
    ])
}

#[test]
fn what_is_inside_a_column_has_options_by_its_path() {
    let options = [
        ("number-of-rows", "200"),
        ("fields.l.length", "4"),
        ("fields.l.element.min", "1"),
        ("fields.l.element.max", "2"),
        ("fields.m.key.min", "1"),
        ("fields.m.key.max", "2"),
        ("fields.m.value.length", "5"),
        ("fields.m.value.null-rate", "0.5"),
        ("fields.r.n.max", "-1"),
        ("fields.r.tags.length", "1"),
        ("fields.r.tags.element.length", "2"),
        ("fields.r.null-rate", "0.25"),
    ];
    let made = rows(&options, &nested(), 1);
    assert_eq!(made, rows(&options, &nested(), 1));
    let l: &ListArray = column(&made, "l");
    assert!((0..200).all(|row| l.value_length(row) == 4));
    let values: BTreeSet<i32> = l.values().as_primitive::<Int32Type>().values().iter().copied().collect();
    assert_eq!(values, BTreeSet::from([1, 2]));

    let m: &MapArray = column(&made, "m");
    let keys = m.keys().as_primitive::<Int32Type>().values();
    for row in m.value_offsets().windows(2) {
        let keys = &keys[row[0] as usize..row[1] as usize];
        assert!(matches!(keys, [1] | [2] | [1, 2] | [2, 1]), "{keys:?}");
    }
    let texts = m.values().as_string::<i32>();
    assert!(texts.iter().flatten().all(|text| text.len() == 5));
    assert!((1..texts.len()).contains(&texts.null_count()));

    let r: &StructArray = column(&made, "r");
    assert!((20..80).contains(&r.null_count()), "{}", r.null_count());
    assert!(r.column(0).as_primitive::<Int32Type>().values().iter().all(|n| *n < 0));
    let tags = r.column(1).as_list::<i32>();
    assert!((0..200).all(|row| tags.value_length(row) == 1));
    assert!(tags.values().as_string::<i32>().iter().flatten().all(|tag| tag.len() == 2));
}

#[test]
fn collections_have_three_elements_unless_told() {
    let made = rows(&[("number-of-rows", "50")], &nested(), 2);
    let l: &ListArray = column(&made, "l");
    assert!((0..50).all(|row| l.value_length(row) == 3));
    // No key is there twice among all integers, but by a chance of a millionth.
    let m: &MapArray = column(&made, "m");
    assert_eq!(m.keys().len(), 150);
}
