//! What holds for all formats, and what the tests of each of them use.

mod changes;
mod properties;
mod raw;
mod text;

use super::{BytesFormat, Place, decoding, encoding};
use crate::changelog::row_kinds;
use crate::{ConnectorError, Decoder, Options, Payload, Position, RawBlock, SourceRequest};
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::Bytes;
use eddyline_changes::ChangeBatch;
use eddyline_changes::table::format_changes;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) fn schema(columns: &[(&str, DataType)]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(|(n, t)| Field::new(*n, t.clone(), true)).collect::<Vec<_>>()))
}

pub(super) fn request(schema: &SchemaRef) -> SourceRequest {
    SourceRequest {
        table: "t".into(),
        physical: schema.clone(),
        key: vec![],
        projection: (0..schema.fields().len()).collect(),
        metadata: Vec::new(),
        time_zone: "UTC".into(),
    }
}

pub(super) fn options(pairs: &[(&str, &str)]) -> Options {
    let values: BTreeMap<String, String> = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    Options::new("t", &values)
}

pub(super) fn format_with(pairs: &[(&str, &str)], request: &SourceRequest) -> Arc<dyn BytesFormat> {
    let mut options = options(pairs);
    let format = decoding(&mut options, request).expect("options fit");
    options.finish().expect("all options are known");
    format
}

pub(super) struct Outcome {
    pub(super) rows: RecordBatch,
    pub(super) skipped: u64,
}

impl Outcome {
    /// One text per row, cells by `|`, NULL as `~`.
    pub(super) fn lines(&self) -> Vec<String> {
        let options = FormatOptions::new().with_null("~").with_display_error(true);
        let columns: Vec<_> =
            self.rows.columns().iter().map(|c| ArrayFormatter::try_new(c.as_ref(), &options).unwrap()).collect();
        let cell = |row: usize| columns.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join("|");
        (0..self.rows.num_rows()).map(cell).collect()
    }
}

/// Decodes `bytes`, handed out in blocks that end at the record ends nearest to `cuts`.
pub(super) fn decode_in(
    format: &dyn BytesFormat,
    request: &SourceRequest,
    bytes: &[u8],
    cuts: &[usize],
    rows_max: usize,
) -> Result<Outcome, ConnectorError> {
    let mut decoder = format.decoder(Place::new("in.txt"))?;
    let (mut batches, mut skipped, mut at) = (vec![RecordBatch::new_empty(request.decoded())], 0, 0);
    for cut in cuts.iter().copied().chain([bytes.len()]) {
        let end = if cut >= bytes.len() {
            bytes.len()
        } else if cut <= at {
            continue;
        } else {
            match format.record_end(&bytes[at..cut]) {
                Some(n) => at + n,
                None => continue,
            }
        };
        skipped += decode_block(decoder.as_mut(), bytes, at..end, rows_max, &mut batches)?;
        at = end;
    }
    Ok(Outcome { rows: concat_batches(&request.decoded(), &batches).unwrap(), skipped })
}

fn decode_block(
    decoder: &mut dyn Decoder,
    bytes: &[u8],
    range: std::ops::Range<usize>,
    rows_max: usize,
    batches: &mut Vec<RecordBatch>,
) -> Result<u64, ConnectorError> {
    let (start, end) = (Position(range.start as u64), Position(range.end as u64));
    let payload = Payload::Bytes(Bytes::copy_from_slice(&bytes[range]));
    decoder.feed(RawBlock { payload, start, end })?;
    let mut skipped = 0;
    while let Some(decoded) = decoder.next(rows_max)? {
        assert!(decoded.changes.num_rows() <= rows_max);
        assert!(decoded.position <= end && decoded.position > start);
        skipped += decoded.skipped;
        batches.push(decoded.changes.rows().clone());
    }
    Ok(skipped)
}

/// The changes in `bytes`, as change tables, one per batch, and how many records were skipped.
pub(super) fn changes_in(
    format: &dyn BytesFormat,
    bytes: &[u8],
    cuts: &[usize],
    rows_max: usize,
) -> Result<(Vec<ChangeBatch>, u64), ConnectorError> {
    let mut decoder = format.decoder(Place::new("in.txt"))?;
    let (mut batches, mut skipped, mut at) = (Vec::new(), 0, 0);
    for cut in cuts.iter().copied().chain([bytes.len()]).filter(|cut| *cut <= bytes.len()) {
        let end =
            if cut == bytes.len() { Some(cut) } else { format.record_end(&bytes[at.min(cut)..cut]).map(|n| at + n) };
        let Some(end) = end.filter(|end| *end > at) else { continue };
        let payload = Payload::Bytes(Bytes::copy_from_slice(&bytes[at..end]));
        decoder.feed(RawBlock { payload, start: Position(at as u64), end: Position(end as u64) })?;
        while let Some(decoded) = decoder.next(rows_max)? {
            assert!(decoded.changes.num_rows() <= rows_max + 1);
            skipped += decoded.skipped;
            batches.push(decoded.changes);
        }
        at = end;
    }
    Ok((batches, skipped))
}

/// The changes in a text, as a change table.
pub(super) fn changes(
    pairs: &[(&str, &str)],
    request: &SourceRequest,
    text: &str,
) -> Result<(String, u64), ConnectorError> {
    let (batches, skipped) = changes_in(format_with(pairs, request).as_ref(), text.as_bytes(), &[], 1000)?;
    Ok((batches.iter().map(format_changes).collect(), skipped))
}

/// What is written of a change table, as the changes of one epoch.
pub(super) fn encode_changes(
    pairs: &[(&str, &str)],
    changes: &ChangeBatch,
    key: &[usize],
) -> Result<String, ConnectorError> {
    let mut options = options(pairs);
    let format = encoding(&mut options, &changes.schema(), key)?;
    options.finish()?;
    let mut out = Vec::new();
    format.begin(&mut out);
    let kinds = row_kinds(changes, Some(key).filter(|k| !k.is_empty()))?;
    format.encode_changes(changes.rows(), &kinds, &mut out)?;
    Ok(String::from_utf8(out).expect("UTF-8"))
}

pub(super) fn decode(pairs: &[(&str, &str)], schema: &SchemaRef, text: &str) -> Result<Outcome, ConnectorError> {
    let request = request(schema);
    decode_in(format_with(pairs, &request).as_ref(), &request, text.as_bytes(), &[], 1000)
}

pub(super) fn encode(pairs: &[(&str, &str)], rows: &RecordBatch) -> Result<Vec<u8>, ConnectorError> {
    let mut options = options(pairs);
    let format = encoding(&mut options, &rows.schema(), &[]).expect("options fit");
    options.finish().expect("all options are known");
    let mut out = Vec::new();
    format.begin(&mut out);
    format.encode(rows, &mut out)?;
    Ok(out)
}

#[test]
fn an_unknown_format_is_refused_with_the_list() {
    let schema = schema(&[("a", DataType::Int64)]);
    let error = decoding(&mut options(&[("format", "avro")]), &request(&schema)).err().unwrap();
    assert_eq!(error.to_string(), "table t: unknown format 'avro'");
    let all = "changelog-csv, changelog-json, csv, debezium-json, json, raw, upsert-csv, upsert-json";
    assert_eq!(error.hint(), Some(format!("formats are: {all}").as_str()));
    let error = encoding(&mut options(&[]), &schema, &[]).err().unwrap();
    assert_eq!(error.to_string(), "table t: option 'format' is missing");
}

#[test]
fn metadata_columns_are_constants_behind_the_decoded_ones() {
    let schema = schema(&[("a", DataType::Int64)]);
    let mut request = request(&schema);
    request.metadata = vec![("file.path".into(), Arc::new(Field::new("path", DataType::Utf8, false)))];
    let format = format_with(&[("format", "json")], &request);
    let path: ArrayRef = Arc::new(StringArray::from(vec!["x.json"]));
    let mut decoder = format.decoder(Place { constants: vec![path], ..Place::new("x.json") }).unwrap();
    let mut batches = Vec::new();
    let bytes = b"{\"a\":1}\n{\"a\":2}\n";
    decode_block(decoder.as_mut(), bytes, 0..bytes.len(), 10, &mut batches).unwrap();
    let rows = batches.remove(0);
    assert_eq!(Outcome { rows, skipped: 0 }.lines(), ["1|x.json", "2|x.json"]);
    assert!(format.decoder(Place::new("x.json")).is_err());
}

#[test]
fn an_error_names_the_line_where_it_can_be_known_and_else_the_byte() {
    let schema = schema(&[("a", DataType::Int64)]);
    let request = request(&schema);
    let format = format_with(&[("format", "csv")], &request);
    let bytes = b"1\n2\nx\n";
    let line_at = |at: u64| Some(1 + bytes[..at as usize].iter().filter(|b| **b == b'\n').count() as u64);
    let place = Place { line_at: Some(Arc::new(line_at)), ..Place::new("in.csv") };
    let error = |place: Place| {
        let mut decoder = format.decoder(place).unwrap();
        decode_block(decoder.as_mut(), bytes, 2..6, 10, &mut Vec::new()).unwrap_err().to_string()
    };
    let rest = "is not a BIGINT (-9223372036854775808 to 9223372036854775807) (column a, value \"x\")";
    assert_eq!(error(place), format!("in.csv, line 3: {rest}"));
    assert_eq!(error(Place::new("in.csv")), format!("in.csv, byte 4: {rest}"));
}

#[test]
fn the_position_stands_behind_the_last_row_handed_out() {
    let schema = schema(&[("a", DataType::Int64)]);
    let request = request(&schema);
    let mut decoder = format_with(&[("format", "csv")], &request).decoder(Place::new("in.csv")).unwrap();
    let payload = Payload::Bytes(Bytes::from_static(b"10\n20\n30\n"));
    decoder.feed(RawBlock { payload, start: Position(100), end: Position(109) }).unwrap();
    let mut positions = Vec::new();
    while let Some(decoded) = decoder.next(2).unwrap() {
        positions.push((decoded.changes.num_rows(), decoded.position.0));
    }
    assert_eq!(positions, [(2, 106), (1, 109)]);
}

#[test]
fn timestamps_read_in_the_session_time_zone_unless_they_say_theirs() {
    let moment = DataType::Timestamp(TimeUnit::Second, Some("UTC".into()));
    let schema = schema(&[("m", moment)]);
    let mut request = request(&schema);
    request.time_zone = "Europe/Berlin".into();
    let format = format_with(&[("format", "csv")], &request);
    let text = b"2024-07-01 12:00:00\n2024-01-01 12:00:00\n2024-01-01T12:00:00Z\n2024-01-01 12:00:00+05:30\n\
        2024-03-31 02:30:00\n2024-10-27 02:30:00\n";
    let outcome = decode_in(format.as_ref(), &request, text, &[], 10).unwrap();
    // The gap in March moves on by an hour; of the two moments in October it is the first.
    assert_eq!(
        outcome.lines(),
        [
            "2024-07-01T10:00:00Z",
            "2024-01-01T11:00:00Z",
            "2024-01-01T12:00:00Z",
            "2024-01-01T06:30:00Z",
            "2024-03-31T01:30:00Z",
            "2024-10-27T00:30:00Z"
        ]
    );
}
