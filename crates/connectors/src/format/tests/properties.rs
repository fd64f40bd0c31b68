//! Round trips, cuts and noise, for all formats; arrow-json and arrow-csv as oracles where they mean the same.

use super::{Outcome, decode_in, encode, format_with, request};
use crate::ConnectorError;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StructArray, UInt32Array, make_array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, Fields, Int64Type, Schema, SchemaRef, TimeUnit};
use proptest::prelude::*;
use std::sync::Arc;

fn scalars() -> Vec<DataType> {
    let units = [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond];
    let mut types = vec![
        DataType::Boolean,
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::Float32,
        DataType::Float64,
        DataType::Decimal128(38, 0),
        DataType::Decimal128(20, 7),
        DataType::Decimal128(38, 38),
        DataType::Utf8,
        DataType::Binary,
        DataType::Date32,
        DataType::Time32(TimeUnit::Second),
        DataType::Time32(TimeUnit::Millisecond),
        DataType::Time64(TimeUnit::Microsecond),
        DataType::Time64(TimeUnit::Nanosecond),
    ];
    for unit in units {
        types.push(DataType::Timestamp(unit, None));
        types.push(DataType::Timestamp(unit, Some("UTC".into())));
    }
    types
}

fn nested() -> Vec<DataType> {
    let fields: Fields =
        vec![Field::new("x", DataType::Utf8, true), Field::new("y \"ä\"", DataType::Int64, true)].into();
    let list = |t| DataType::List(Arc::new(Field::new_list_field(t, true)));
    let entries = vec![Field::new("key", DataType::Utf8, false), Field::new("value", list(DataType::Int64), true)];
    let map = DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries.into()), false)), false);
    vec![list(DataType::Utf8), DataType::Struct(fields.clone()), list(list(DataType::Struct(fields))), list(map)]
}

/// An array of `rows` values made from random words; the same words make the same array.
fn array(data_type: &DataType, rows: usize, words: &mut dyn Iterator<Item = u64>, nullable: bool) -> ArrayRef {
    let mut word = || words.next().unwrap_or(0);
    let valid: Vec<bool> = (0..rows).map(|_| !nullable || word() % 5 != 0).collect();
    let nulls = Some(NullBuffer::from(valid)).filter(|n| n.null_count() > 0);
    let extreme = |w: u64| match w % 7 {
        0 => i64::MAX,
        1 => i64::MIN,
        2 => 0,
        3 => (w >> 3) as i64 % 100_000,
        _ => w.rotate_left(23) as i64,
    };
    let longs = |values: Vec<i64>| -> ArrayRef { Arc::new(arrow::array::Int64Array::from(values)) };
    let values: ArrayRef = match data_type {
        DataType::Utf8 => {
            let texts =
                ["", "a", " b ", "\"", "\\", "\n", "\r", ",", ";", "#", "null", "äö€", "😀", "\u{1}", "\u{feff}", "1"];
            let text =
                |w: u64| (0..w % 6).map(|i| texts[(w >> (4 * i + 3)) as usize % texts.len()]).collect::<String>();
            Arc::new(arrow::array::StringArray::from((0..rows).map(|_| text(word())).collect::<Vec<_>>()))
        }
        DataType::Binary => {
            let values: Vec<Vec<u8>> =
                (0..rows).map(|_| word().to_be_bytes()[..(word() % 9) as usize].to_vec()).collect();
            Arc::new(arrow::array::BinaryArray::from_iter_values(values))
        }
        DataType::Boolean => {
            Arc::new(arrow::array::BooleanArray::from((0..rows).map(|_| word() % 2 == 0).collect::<Vec<_>>()))
        }
        DataType::Float32 => Arc::new(arrow::array::Float32Array::from(
            (0..rows).map(|_| f32::from_bits(word() as u32)).collect::<Vec<_>>(),
        )),
        DataType::Float64 => {
            Arc::new(arrow::array::Float64Array::from((0..rows).map(|_| f64::from_bits(word())).collect::<Vec<_>>()))
        }
        DataType::Decimal128(precision, _) => {
            let limit = 10i128.pow(u32::from(*precision)) - 1;
            let wide = |a: u64, b: u64| match a % 5 {
                0 => limit,
                1 => -limit,
                2 => i128::from(a >> 50) - 8_000,
                _ => ((i128::from(a) << 64 | i128::from(b)) % limit) / 10i128.pow((b % 30) as u32),
            };
            let values: Vec<i128> = (0..rows).map(|_| wide(word(), word())).collect();
            Arc::new(arrow::array::Decimal128Array::from(values).with_data_type(data_type.clone()))
        }
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Date32 => {
            let bits = if *data_type == DataType::Int8 {
                56
            } else if *data_type == DataType::Int16 {
                48
            } else {
                32
            };
            let values = longs((0..rows).map(|_| extreme(word()) >> bits).collect());
            cast(&cast(&values, if bits == 32 { &DataType::Int32 } else { data_type }).unwrap(), data_type).unwrap()
        }
        DataType::Time32(_) | DataType::Time64(_) => {
            let nanos = longs((0..rows).map(|_| (word() % 86_400_000_000_000) as i64).collect());
            cast(&cast(&nanos, &DataType::Time64(TimeUnit::Nanosecond)).unwrap(), data_type).unwrap()
        }
        DataType::Timestamp(TimeUnit::Second, _) => {
            cast(&longs((0..rows).map(|_| extreme(word()) / 2).collect()), data_type).unwrap()
        }
        DataType::Int64 | DataType::Timestamp(..) => {
            cast(&longs((0..rows).map(|_| extreme(word())).collect()), data_type).unwrap()
        }
        DataType::List(item) => {
            let lengths: Vec<usize> = (0..rows).map(|_| (word() % 4) as usize).collect();
            let items = array(item.data_type(), lengths.iter().sum(), words, true);
            Arc::new(arrow::array::ListArray::new(item.clone(), OffsetBuffer::from_lengths(lengths), items, None))
        }
        DataType::Map(entries, _) => {
            let lengths: Vec<usize> = (0..rows).map(|_| (word() % 3) as usize).collect();
            let DataType::Struct(fields) = entries.data_type() else { unreachable!() };
            let count = lengths.iter().sum();
            let columns = fields.iter().map(|f| array(f.data_type(), count, words, f.is_nullable())).collect();
            let pairs = StructArray::new(fields.clone(), columns, None);
            let offsets = OffsetBuffer::from_lengths(lengths);
            Arc::new(arrow::array::MapArray::new(entries.clone(), offsets, pairs, None, false))
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().map(|f| array(f.data_type(), rows, words, true)).collect();
            Arc::new(StructArray::new(fields.clone(), columns, None))
        }
        other => unreachable!("{other}"),
    };
    // NULL rows hold nothing below them: what stands there would not come back.
    let picks: UInt32Array =
        (0..rows as u32).map(|r| nulls.as_ref().is_none_or(|n| n.is_valid(r as usize)).then_some(r)).collect();
    make_array(take(&values, &picks, None).unwrap().to_data())
}

fn batch(types: &[DataType], rows: usize, seed: u64) -> RecordBatch {
    let mut state = seed;
    let mut words = std::iter::from_fn(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some(z ^ (z >> 31))
    });
    let fields: Vec<Field> =
        types.iter().enumerate().map(|(i, t)| Field::new(format!("c{i} \"ü\""), t.clone(), true)).collect();
    let columns = types.iter().map(|t| array(t, rows, &mut words, true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn read_back(
    pairs: &[(&str, &str)],
    schema: &SchemaRef,
    bytes: &[u8],
    cuts: &[usize],
    rows_max: usize,
) -> Result<Outcome, ConnectorError> {
    let request = request(schema);
    decode_in(format_with(pairs, &request).as_ref(), &request, bytes, cuts, rows_max)
}

/// Equal as text, which takes NaN for NaN and tells -0 from 0.
fn assert_same(rows: &RecordBatch, read: &RecordBatch, bytes: &[u8]) {
    let (a, b) = (Outcome { rows: rows.clone(), skipped: 0 }, Outcome { rows: read.clone(), skipped: 0 });
    let text = || String::from_utf8_lossy(bytes).into_owned();
    for (column, (a, b)) in rows.columns().iter().zip(read.columns()).enumerate() {
        if !matches!(a.data_type(), DataType::Float32 | DataType::Float64) {
            assert_eq!(a, b, "column {column} of {}", text());
        }
    }
    assert_eq!(a.rows.num_rows(), b.rows.num_rows());
    let floats: Vec<usize> = (0..rows.num_columns())
        .filter(|c| matches!(rows.column(*c).data_type(), DataType::Float32 | DataType::Float64))
        .collect();
    let project = |rows: &RecordBatch| Outcome { rows: rows.project(&floats).unwrap(), skipped: 0 }.lines();
    assert_eq!(project(rows), project(read));
}

const CSV_STYLES: &[&[(&str, &str)]] = &[
    &[("format", "csv")],
    &[("format", "csv"), ("csv.header", "true"), ("csv.field-delimiter", ";"), ("csv.array-element-delimiter", ",")],
    &[("format", "csv"), ("csv.null-literal", "null"), ("csv.quote-character", "'")],
    &[("format", "csv"), ("csv.escape-character", "\\"), ("csv.allow-comments", "true"), ("csv.field-delimiter", "|")],
    &[
        ("format", "csv"),
        ("csv.escape-character", "\\"),
        ("csv.disable-quote-character", "true"),
        ("csv.null-literal", "null"),
        ("csv.allow-comments", "true"),
    ],
];

const JSON_STYLES: &[&[(&str, &str)]] = &[
    &[("format", "json")],
    &[("format", "json"), ("json.timestamp-format.standard", "ISO-8601")],
    &[("format", "json"), ("json.encode.decimal-as-plain-number", "true"), ("json.encode.ignore-null-fields", "true")],
];

/// What is written, unless the style has no quotes: then empty BYTES and the null literal itself are refused.
fn written(style: &[(&str, &str)], batch: &RecordBatch) -> Option<Vec<u8>> {
    let is_unquoted = style.contains(&("csv.disable-quote-character", "true"));
    match encode(style, batch) {
        Err(ConnectorError::Unsupported { .. }) if is_unquoted => None,
        bytes => Some(bytes.unwrap()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn json_reads_back_what_it_wrote(
        seed: u64, rows in 1usize..20, style in 0..JSON_STYLES.len(), cuts in proptest::collection::vec(0usize..4000, 0..6), rows_max in 1usize..9
    ) {
        let types: Vec<DataType> = scalars().into_iter().chain(nested()).collect();
        let batch = batch(&types, rows, seed);
        let bytes = encode(JSON_STYLES[style], &batch).unwrap();
        let mut cuts = cuts;
        cuts.sort_unstable();
        let read = read_back(JSON_STYLES[style], &batch.schema(), &bytes, &cuts, rows_max).unwrap();
        assert_same(&batch, &read.rows, &bytes);
    }

    #[test]
    fn csv_reads_back_what_it_wrote(
        seed: u64, rows in 1usize..20, style in 0..CSV_STYLES.len(), cuts in proptest::collection::vec(0usize..4000, 0..6), rows_max in 1usize..9
    ) {
        let batch = batch(&scalars(), rows, seed);
        let Some(bytes) = written(CSV_STYLES[style], &batch) else { return Ok(()) };
        let mut cuts = cuts;
        cuts.sort_unstable();
        let read = read_back(CSV_STYLES[style], &batch.schema(), &bytes, &cuts, rows_max).unwrap();
        assert_same(&batch, &read.rows, &bytes);
    }

    #[test]
    fn csv_columns_alone_and_arrays_read_back_or_are_refused(seed: u64, kind in 0usize..4, style in 0..CSV_STYLES.len()) {
        let list = |t| DataType::List(Arc::new(Field::new_list_field(t, true)));
        let data_type = [DataType::Utf8, DataType::Int64, list(DataType::Utf8), list(DataType::Int64)][kind].clone();
        for row in 0..8 {
            let batch = batch(std::slice::from_ref(&data_type), 1, seed.wrapping_add(row));
            if let Ok(bytes) = encode(CSV_STYLES[style], &batch) {
                let read = read_back(CSV_STYLES[style], &batch.schema(), &bytes, &[], 5).unwrap();
                assert_same(&batch, &read.rows, &bytes);
            }
        }
    }

    #[test]
    fn raw_reads_back_what_it_wrote(seed: u64, kind in 0usize..9, little: bool) {
        let types = scalars();
        let data_type = [0, 1, 2, 3, 4, 5, 6, 10, 11].map(|i| types[i].clone())[kind].clone();
        let mut words = (0u64..).map(|n| seed.wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a)));
        let column = array(&data_type, 7, &mut words, false);
        let batch = RecordBatch::try_from_iter([("c", column)]).unwrap();
        let pairs = [("format", "raw"), ("raw.endianness", if little { "little-endian" } else { "big-endian" })];
        if let Ok(bytes) = encode(&pairs, &batch) {
            let read = read_back(&pairs, &batch.schema(), &bytes, &[3, 9], 3).unwrap();
            assert_same(&batch, &read.rows, &bytes);
        }
    }

    /// Bytes that somebody has tampered with fail or decode, alike in every cut, and never panic.
    #[test]
    fn noise_is_cut_independent(
        seed: u64, kind in 0usize..8,
        noise in proptest::collection::vec((0usize..3000, any::<u8>(), 0u8..3), 1..8),
        cuts in proptest::collection::vec(0usize..4000, 0..6), rows_max in 1usize..9
    ) {
        let styles: Vec<&[(&str, &str)]> = CSV_STYLES.iter().chain(JSON_STYLES).copied().collect();
        let style = styles[kind % styles.len()];
        let is_csv = style[0].1 == "csv";
        let types: Vec<DataType> = if is_csv { scalars() } else { scalars().into_iter().chain(nested()).collect() };
        let batch = batch(&types, 6, seed);
        let Some(mut bytes) = written(style, &batch) else { return Ok(()) };
        let begin = if is_csv { memchr::memchr(b'\n', &bytes).unwrap() + 1 } else { 0 };
        let likely = b"\",\n\\{}[]:0-.e;#'|\r\xff";
        for (at, byte, how) in noise {
            let at = begin + at % (bytes.len() - begin);
            let byte = if byte < 128 { likely[usize::from(byte) % likely.len()] } else { byte };
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ if bytes.len() > begin + 1 => { bytes.remove(at); }
                _ => {}
            }
        }
        let mut cuts = cuts;
        cuts.sort_unstable();
        let skip = if is_csv { ("csv.ignore-parse-errors", "true") } else { ("json.ignore-parse-errors", "true") };
        let pairs: Vec<_> = style.iter().copied().chain([skip]).collect();
        let whole = read_back(&pairs, &batch.schema(), &bytes, &[], 1000).unwrap();
        let cut = read_back(&pairs, &batch.schema(), &bytes, &cuts, rows_max).unwrap();
        prop_assert_eq!(whole.skipped, cut.skipped);
        prop_assert_eq!(whole.lines(), cut.lines());
        let strict = read_back(style, &batch.schema(), &bytes, &cuts, rows_max);
        prop_assert_eq!(strict.is_ok(), whole.skipped == 0);
    }

    /// Projection takes columns out and changes nothing else.
    #[test]
    fn projection_is_a_choice_of_columns(seed: u64, is_csv: bool, picks in proptest::collection::vec(0usize..25, 0..6)) {
        let types = scalars();
        let batch = batch(&types, 9, seed);
        let style = if is_csv { CSV_STYLES[0] } else { JSON_STYLES[0] };
        let bytes = encode(style, &batch).unwrap();
        let mut request = request(&batch.schema());
        request.projection = picks.into_iter().filter(|p| *p < types.len()).collect();
        request.projection.sort_unstable();
        request.projection.dedup();
        request.projection.reverse();
        let read = decode_in(format_with(style, &request).as_ref(), &request, &bytes, &[], 4).unwrap();
        assert_same(&batch.project(&request.projection).unwrap(), &read.rows, &bytes);
    }

    /// arrow-json reads the same out of objects of usual JSON.
    #[test]
    fn arrow_json_agrees(seed: u64, rows in 1usize..30) {
        let types = [
            DataType::Int64, DataType::Int32, DataType::Utf8, DataType::Boolean, DataType::Float64,
            DataType::Timestamp(TimeUnit::Nanosecond, None), DataType::Time64(TimeUnit::Microsecond),
            nested()[0].clone(), nested()[1].clone(), nested()[2].clone(),
        ];
        let batch = batch(&types, rows, seed);
        let mut bytes = Vec::new();
        let finite = finite(&batch);
        arrow::json::LineDelimitedWriter::new(&mut bytes).write(&finite).unwrap();
        let oracle: Vec<RecordBatch> =
            arrow::json::ReaderBuilder::new(batch.schema()).build(bytes.as_slice()).unwrap().collect::<Result<_, _>>().unwrap();
        let oracle = arrow::compute::concat_batches(&batch.schema(), &oracle).unwrap();
        let read = read_back(JSON_STYLES[0], &batch.schema(), &bytes, &[], 7).unwrap();
        assert_same(&oracle, &read.rows, &bytes);
    }

    /// arrow-csv reads the same, but for empty strings, which it takes for NULL quoted or not.
    #[test]
    fn arrow_csv_agrees(seed: u64, rows in 1usize..30) {
        let types = [
            DataType::Int64, DataType::Utf8, DataType::Boolean, DataType::Float64,
            DataType::Timestamp(TimeUnit::Microsecond, None), DataType::Date32, DataType::Decimal128(20, 7),
        ];
        let batch = finite(&batch(&types, rows, seed));
        let bytes = encode(CSV_STYLES[0], &batch).unwrap();
        let oracle: Vec<RecordBatch> =
            arrow::csv::ReaderBuilder::new(batch.schema()).build(bytes.as_slice()).unwrap().collect::<Result<_, _>>().unwrap();
        let oracle = arrow::compute::concat_batches(&batch.schema(), &oracle).unwrap();
        let read = read_back(CSV_STYLES[0], &batch.schema(), &bytes, &[], 7).unwrap();
        let no_empty = |rows: &RecordBatch| {
            let lines = Outcome { rows: rows.clone(), skipped: 0 }.lines();
            lines.into_iter().map(|l| l.split('|').map(|c| c.replace('~', "")).collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        prop_assert_eq!(no_empty(&oracle), no_empty(&read.rows));
    }
}

/// The same rows with numbers and times of everyday size, which all libraries know how to write.
fn finite(batch: &RecordBatch) -> RecordBatch {
    let columns = batch.columns().iter().map(|c| match c.data_type() {
        DataType::Float64 => {
            let values = c.as_primitive::<arrow::datatypes::Float64Type>();
            let everyday = |v: f64| if v.is_finite() && v.abs() < 1e15 && v.abs() > 1e-5 { v } else { 0.5 };
            Arc::new(values.unary::<_, arrow::datatypes::Float64Type>(everyday)) as ArrayRef
        }
        DataType::Date32 => {
            let values = c.as_primitive::<arrow::datatypes::Date32Type>();
            Arc::new(values.unary::<_, arrow::datatypes::Date32Type>(|v| v % 20_000)) as ArrayRef
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let values = cast(c, &DataType::Int64).unwrap();
            let small = values.as_primitive::<Int64Type>().unary::<_, Int64Type>(|v| v % 2_000_000_000_000_000);
            cast(&small, c.data_type()).unwrap()
        }
        _ => c.clone(),
    });
    RecordBatch::try_new(batch.schema(), columns.collect()).unwrap()
}
