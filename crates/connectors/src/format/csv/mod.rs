//! CSV, in Flink's reading of it.
//!
//! *Meaning.* A record is a line of fields, one per physical column, in order. A field that begins with a quote ends
//! at the next single quote and may hold delimiters, newlines and doubled quotes. An empty field is NULL, a quoted
//! empty one (`""`) an empty string; with `csv.null-literal` that text, unquoted, is NULL, and an empty field of a
//! STRING column is the empty string. Text around numbers and dates may be padded with spaces. BYTES are base64, an
//! ARRAY is its elements with `csv.array-element-delimiter` between them; MAP, ROW and nested arrays are refused.
//! Empty lines are passed over in tables of more than one column.
//!
//! *Errors.* Too few and too many fields, values that do not parse and NULL in a NOT NULL column are row errors; with
//! `csv.ignore-parse-errors` such rows are left out and counted (Flink would keep the row with the field as NULL).
//!
//! *Ours.* `csv.header = 'true'`: the first line of every file names the columns; it is checked when read and
//! written by a sink.

mod decode;
mod encode;
mod framing;
#[cfg(test)]
mod tests;

use super::column::{Support, columns_are_supported};
use super::framing::Framing;
use super::framing::record_starts;
use super::rows::RowDecoder;
use super::{BytesFormat, EncodingFormat, Place};
use crate::{ConnectorError, Decoder, Options, SourceRequest};
use arrow::datatypes::SchemaRef;
pub(super) use decode::Lines;
pub(super) use encode::Writer;
use std::io::{self, Read};
use std::sync::Arc;

/// How a table's CSV is written.
#[derive(Debug, Clone)]
pub(super) struct Syntax {
    delimiter: u8,
    quote: Option<u8>,
    escape: Option<u8>,
    null_literal: Option<String>,
    array_delimiter: u8,
    allows_comments: bool,
    has_header: bool,
    /// Delimiter, newline, and the quote if there is one: where a scan of a field stops.
    stops: [u8; 3],
    /// No escapes and no null literal: what is not quoted stands for itself.
    is_plain: bool,
}

impl Syntax {
    fn read(options: &mut Options) -> Result<Self, ConnectorError> {
        let delimiter = character(options, "csv.field-delimiter")?.unwrap_or(b',');
        let given_quote = character(options, "csv.quote-character")?;
        let is_unquoted = options.flag("csv.disable-quote-character", false)?;
        if is_unquoted && given_quote.is_some() {
            return Err(options.bad("csv.disable-quote-character", "true", "contradicts 'csv.quote-character'"));
        }
        let quote = (!is_unquoted).then_some(given_quote.unwrap_or(b'"'));
        let escape = character(options, "csv.escape-character")?;
        let array_delimiter = character(options, "csv.array-element-delimiter")?.unwrap_or(b';');
        let taken = [Some(delimiter), quote, escape, Some(array_delimiter)];
        let clash = (0..4).any(|i| taken[i].is_some() && taken[..i].contains(&taken[i]));
        if clash {
            let text = char::from(delimiter).to_string();
            return Err(options.bad("csv.field-delimiter", &text, "and the other special characters must differ"));
        }
        let null_literal = options.text("csv.null-literal");
        let is_plain = escape.is_none() && null_literal.is_none();
        Ok(Self {
            delimiter,
            quote,
            escape,
            null_literal,
            array_delimiter,
            allows_comments: options.flag("csv.allow-comments", false)?,
            has_header: options.flag("csv.header", false)?,
            stops: [delimiter, b'\n', quote.unwrap_or(b'\n')],
            is_plain,
        })
    }

    /// Does every newline end a record?
    pub(super) fn ends_at_newlines(&self) -> bool {
        self.quote.is_none() && self.escape.is_none()
    }

    #[inline(always)]
    fn is_end(&self, b: Option<&u8>) -> bool {
        b.is_none_or(|b| *b == self.delimiter || *b == b'\n')
    }
}

/// A special character: one of ASCII, or `\t` and its like.
fn character(options: &mut Options, name: &'static str) -> Result<Option<u8>, ConnectorError> {
    let Some(text) = options.text(name) else { return Ok(None) };
    let byte = match text.as_bytes() {
        [b] => Some(*b),
        b"\\t" => Some(b'\t'),
        b"\\\\" => Some(b'\\'),
        b"\\'" => Some(b'\''),
        b"\\\"" => Some(b'"'),
        [b'\\', b'u', hex @ ..] if hex.len() == 4 => u8::from_str_radix(&text[2..], 16).ok(),
        _ => None,
    };
    match byte.filter(|b| b.is_ascii() && !matches!(b, b'\n' | b'\r' | b'0'..=b'9' | b'+' | b'-' | b'.')) {
        Some(b) => Ok(Some(b)),
        None => Err(options.bad(name, &text, "must be one ASCII character, no newline, digit, sign or point")),
    }
}

/// See [`super::decoding`].
pub(super) fn decoding(options: &mut Options, request: &SourceRequest) -> Result<Arc<dyn BytesFormat>, ConnectorError> {
    let (syntax, skips_faults) = reading(options, &request.physical)?;
    Ok(Arc::new(Csv { syntax, skips_faults, request: request.clone() }))
}

/// See [`super::encoding`].
pub(super) fn encoding(options: &mut Options, schema: &SchemaRef) -> Result<Arc<dyn EncodingFormat>, ConnectorError> {
    Ok(Arc::new(writer(options, schema)?))
}

/// How rows of `schema` are written, and whether those that cannot be read are passed over.
pub(super) fn reading(options: &mut Options, schema: &SchemaRef) -> Result<(Syntax, bool), ConnectorError> {
    let syntax = Syntax::read(options)?;
    let skips_faults = options.flag("csv.ignore-parse-errors", false)?;
    columns_are_supported("csv", options.table(), schema, Support::Arrays)?;
    Ok((syntax, skips_faults))
}

/// What writes rows of `schema`.
pub(super) fn writer(options: &mut Options, schema: &SchemaRef) -> Result<Writer, ConnectorError> {
    Ok(Writer::new(reading(options, schema)?.0, schema))
}

struct Csv {
    syntax: Syntax,
    skips_faults: bool,
    request: SourceRequest,
}

impl BytesFormat for Csv {
    fn decoder(&self, place: Place) -> Result<Box<dyn Decoder>, ConnectorError> {
        let lines = Lines::new(self.syntax.clone(), &self.request.physical, &self.request.projection);
        Ok(Box::new(RowDecoder::new(lines, &self.request, place, self.skips_faults)?))
    }

    fn record_end(&self, bytes: &[u8]) -> Option<usize> {
        self.syntax.last_end(bytes)
    }

    fn is_splittable(&self) -> bool {
        self.syntax.ends_at_newlines()
    }

    fn record_starts(&self, input: &mut dyn Read, targets: &[u64]) -> io::Result<Vec<u64>> {
        record_starts(&self.syntax, input, targets)
    }
}
