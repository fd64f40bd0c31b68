//! JSON: one object per line.
//!
//! *Meaning.* A key is a column by its exact name; keys that the table does not have are passed over, columns that
//! the object does not have are NULL (or an error, `json.fail-on-missing-field`), and of a key that comes twice the
//! last value counts. As in Flink, numbers may also stand in strings; a STRING column takes any value, an object or
//! array as the text that stands there. Whole numbers may be written `1.0` or `1e3`. BYTES are base64. TIMESTAMPs
//! read with a space or a `T`; `json.timestamp-format.standard` says which of them is written. ARRAY, MAP (keys are
//! strings) and ROW nest as they like, to a depth of 128. Empty lines are passed over. A JSONB column takes any value as it is, but
//! that null is NULL; with `json.jsonb-as-text` strings hold the JSON, which is how Debezium writes it.
//!
//! *Errors.* What is no JSON object or does not fit its column is a row error; with `json.ignore-parse-errors` the
//! row is left out and counted. Values of columns that a query does not read are only checked for their syntax.

mod decode;
mod encode;
pub(super) mod syntax;
mod template;
#[cfg(test)]
mod tests;

use super::column::{JsonStrings, Support, columns_are_supported};
use super::framing::{Framing, Newlines, record_starts};
use super::rows::{RowDecoder, columns};
use super::{BytesFormat, EncodingFormat, Place};
use crate::{ConnectorError, Decoder, Options, SourceRequest};
use arrow::datatypes::SchemaRef;
pub(super) use decode::{NO_OBJECT, Objects, line_end};
use encode::NullKeys;
pub(super) use encode::{Style, Writer};
use std::io::{self, Read};
use std::sync::Arc;

/// See [`super::decoding`].
pub(super) fn decoding(options: &mut Options, request: &SourceRequest) -> Result<Arc<dyn BytesFormat>, ConnectorError> {
    let reading = Reading::read(options, JsonStrings::Values)?;
    read_style(options, JsonStrings::Values)?;
    check_columns(options, &request.physical)?;
    Ok(Arc::new(Json { reading, request: request.clone() }))
}

/// See [`super::encoding`].
pub(super) fn encoding(options: &mut Options, schema: &SchemaRef) -> Result<Arc<dyn EncodingFormat>, ConnectorError> {
    Ok(Arc::new(writer(options, schema)?))
}

/// What writes rows of `schema`.
pub(super) fn writer(options: &mut Options, schema: &SchemaRef) -> Result<Writer, ConnectorError> {
    Reading::read(options, JsonStrings::Values)?;
    let style = read_style(options, JsonStrings::Values)?;
    check_columns(options, schema)?;
    Ok(Writer::new(style, schema))
}

/// Refuses columns that JSON cannot hold.
pub(super) fn check_columns(options: &Options, schema: &SchemaRef) -> Result<(), ConnectorError> {
    columns_are_supported("json", options.table(), schema, Support::All)
}

/// Options that only matter when rows are read; a table may be both read and written.
pub(super) struct Reading {
    pub(super) skips_faults: bool,
    pub(super) fails_on_missing: bool,
    pub(super) json_strings: JsonStrings,
}

impl Reading {
    /// `json_strings` is what strings are in columns of JSONB unless an option says.
    pub(super) fn read(options: &mut Options, json_strings: JsonStrings) -> Result<Self, ConnectorError> {
        let skips_faults = options.flag("json.ignore-parse-errors", false)?;
        let fails_on_missing = options.flag("json.fail-on-missing-field", false)?;
        if skips_faults && fails_on_missing {
            return Err(options.bad("json.fail-on-missing-field", "true", "contradicts 'json.ignore-parse-errors'"));
        }
        let json_strings = read_json_strings(options, json_strings)?;
        Ok(Self { skips_faults, fails_on_missing, json_strings })
    }
}

fn read_json_strings(options: &mut Options, default: JsonStrings) -> Result<JsonStrings, ConnectorError> {
    let is_text = options.flag("json.jsonb-as-text", default == JsonStrings::Texts)?;
    Ok(if is_text { JsonStrings::Texts } else { JsonStrings::Values })
}

/// Options that only matter when rows are written; `json_strings` as in [`Reading::read`].
pub(super) fn read_style(options: &mut Options, json_strings: JsonStrings) -> Result<Style, ConnectorError> {
    let separator = match options.text("json.timestamp-format.standard").as_deref() {
        None | Some("SQL") => b' ',
        Some("ISO-8601") => b'T',
        Some(other) => {
            return Err(options.bad("json.timestamp-format.standard", other, "must be 'SQL' or 'ISO-8601'"));
        }
    };
    let literal = options.text("json.map-null-key.literal").unwrap_or_else(|| "null".into());
    let null_keys = match options.text("json.map-null-key.mode").as_deref() {
        None | Some("FAIL") => NullKeys::Fail,
        Some("DROP") => NullKeys::Drop,
        Some("LITERAL") => NullKeys::Literal(literal),
        Some(other) => {
            return Err(options.bad("json.map-null-key.mode", other, "must be 'FAIL', 'DROP' or 'LITERAL'"));
        }
    };
    let has_plain_decimals = options.flag("json.encode.decimal-as-plain-number", false)?;
    let leaves_nulls_out = options.flag("json.encode.ignore-null-fields", false)?;
    let json_strings = read_json_strings(options, json_strings)?;
    Ok(Style { separator, null_keys, has_plain_decimals, leaves_nulls_out, json_strings })
}

struct Json {
    reading: Reading,
    request: SourceRequest,
}

impl BytesFormat for Json {
    fn decoder(&self, place: Place) -> Result<Box<dyn Decoder>, ConnectorError> {
        let Reading { skips_faults, fails_on_missing, json_strings } = self.reading;
        let columns = columns(&self.request)?.into_iter().map(|c| c.with_json_strings(json_strings)).collect();
        let objects = Objects::new(&self.request.physical, &self.request.projection, fails_on_missing);
        Ok(Box::new(RowDecoder::with_columns(objects, columns, &self.request, place, skips_faults)?))
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
