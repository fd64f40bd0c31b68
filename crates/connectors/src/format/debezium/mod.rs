//! `debezium-json`: the change events of Debezium, as Flink reads and writes them.
//!
//! *Meaning.* A record is a line with an event, `{"before":…,"after":…,"op":…}`; other fields are passed over. `op` is
//! `c` (created), `r` (read by a snapshot): `after` is added; `d` (deleted): `before` is taken back; `u` (updated):
//! both, together. With `debezium-json.schema-include` the event stands in the field `payload` beside its `schema`.
//! Rows read as those of `json`, whose options are there under the format's name; JSONB stands in strings unless an option says otherwise. Empty lines are passed over.
//!
//! With `debezium-json.upsert`, rows are told by the PRIMARY KEY and `before` only names the key of what was deleted:
//! for databases that do not send whole rows from before a change (Postgres without `REPLICA IDENTITY FULL`).
//!
//! *Output.* `+I` and `+U` are written as `c`, `-U` and `-D` as `d`, as Flink does.
//!
//! *Errors.* Another `op`, and `before` or `after` missing where it is needed, are row errors.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

use super::column::JsonStrings;
use super::framing::{Framing, Newlines, record_starts};
use super::rows::{RowDecoder, columns};
use super::{BytesFormat, EncodingFormat, Place, json};
use crate::{ConnectorError, Decoder, Options, SourceRequest};
use arrow::datatypes::SchemaRef;
use decode::Events;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;

const SCHEMA_INCLUDE: &str = "debezium-json.schema-include";
const UPSERT: &str = "debezium-json.upsert";

/// Do these options ask for rows told by their key?
pub(super) fn is_upsert(options: &BTreeMap<String, String>) -> bool {
    options.get(UPSERT).is_some_and(|text| text.eq_ignore_ascii_case("true"))
}

/// See [`super::decoding`].
pub(super) fn decoding(options: &mut Options, request: &SourceRequest) -> Result<Arc<dyn BytesFormat>, ConnectorError> {
    let has_schema = options.flag(SCHEMA_INCLUDE, false)?;
    let is_upsert = options.flag(UPSERT, false)?;
    if is_upsert && request.key.is_empty() {
        return Err(super::key_is_missing(options, UPSERT));
    }
    let reading = options.renamed("json.", "debezium-json.", |options| {
        json::read_style(options, JsonStrings::Texts)?;
        json::check_columns(options, &request.physical)?;
        json::Reading::read(options, JsonStrings::Texts)
    })?;
    Ok(Arc::new(Debezium { has_schema, is_upsert, reading, request: request.clone() }))
}

/// See [`super::encoding`].
pub(super) fn encoding(
    options: &mut Options,
    schema: &SchemaRef,
    key: &[usize],
) -> Result<Arc<dyn EncodingFormat>, ConnectorError> {
    if options.flag(UPSERT, false)? && key.is_empty() {
        return Err(super::key_is_missing(options, UPSERT));
    }
    if options.flag(SCHEMA_INCLUDE, false)? {
        let why = "is for reading only";
        return Err(options.bad(SCHEMA_INCLUDE, "true", why));
    }
    let style = options.renamed("json.", "debezium-json.", |options| {
        json::Reading::read(options, JsonStrings::Texts)?;
        json::check_columns(options, schema)?;
        json::read_style(options, JsonStrings::Texts)
    })?;
    Ok(Arc::new(encode::Writer::new(style, schema)))
}

struct Debezium {
    has_schema: bool,
    is_upsert: bool,
    reading: json::Reading,
    request: SourceRequest,
}

impl BytesFormat for Debezium {
    fn decoder(&self, place: Place) -> Result<Box<dyn Decoder>, ConnectorError> {
        let columns = columns(&self.request)?.into_iter().map(|c| c.with_json_strings(self.reading.json_strings));
        let columns = columns.map(|c| if self.is_upsert { c.lenient() } else { c }).collect();
        let events = Events::new(&self.request, &self.reading, self.has_schema, self.is_upsert);
        Ok(Box::new(RowDecoder::with_columns(events, columns, &self.request, place, self.reading.skips_faults)?))
    }

    fn record_end(&self, bytes: &[u8]) -> Option<usize> {
        Newlines.last_end(bytes)
    }

    fn is_splittable(&self) -> bool {
        true
    }

    fn record_starts(&self, input: &mut dyn Read, targets: &[u64]) -> io::Result<Vec<u64>> {
        record_starts(&Newlines, input, targets)
    }
}
