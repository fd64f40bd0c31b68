//! Formats: bytes to rows and back, for every connector whose outside is bytes (files, sockets, logs).
//!
//! | format | a record is | options |
//! |---|---|---|
//! | `csv` | a line; quoted fields may hold newlines | `csv.*` |
//! | `json` | a line that holds one object | `json.*` |
//! | `raw` | a line that is the one column's value | `raw.*` |
//! | `changelog-csv`, `changelog-json` | as `csv`, `json`, with the row kind as a field | `changelog-csv.*`, … |
//! | `upsert-csv`, `upsert-json` | as `csv`, `json`: the last row of its PRIMARY KEY, or its deletion | `upsert-csv.*`, … |
//! | `debezium-json` | a line with a change event of Debezium | `debezium-json.*` |
//!
//! The last three kinds hold changes: [`source_changes`] says which.
//!
//! [`decoding`] and [`encoding`] read the options of a table and make a [`BytesFormat`] or an [`EncodingFormat`];
//! they do no I/O, so they also check a table's definition. A byte reader cuts its input at record ends with
//! [`BytesFormat::record_end`] and hands the blocks to the [`Decoder`] of its split.
//!
//! Columnar formats (parquet) are not here: they are no stream of bytes; the filesystem connector reads them itself.

mod column;
mod csv;
mod debezium;
mod framing;
mod json;
mod marked;
mod print;
mod raw;
mod rows;
mod scan;
#[cfg(test)]
mod tests;
pub mod text;

use crate::{ConnectorError, Decoder, Options, SinkChanges, SourceChanges, SourceRequest};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use eddyline_changes::RowKind;
use marked::{Mark, Variant};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;

/// The formats' names, for errors.
pub const FORMATS: [&str; 8] =
    ["changelog-csv", "changelog-json", "csv", "debezium-json", "json", "raw", "upsert-csv", "upsert-json"];

/// Tells the line (from 1) in which the byte at a place of the input stands; `None` when it cannot be known.
pub type LineAt = Arc<dyn Fn(u64) -> Option<u64> + Send + Sync>;

/// Where a decoder's blocks come from.
#[derive(Clone)]
pub struct Place {
    /// The file or endpoint, for errors.
    pub name: String,
    /// The input's byte that [`crate::Position`] 0 of the split stands for: 0 where positions count from the start
    /// of the file. The header of a CSV file is at byte 0 of the input.
    pub origin: u64,
    /// One value (an array of length 1) per metadata column, in the request's order.
    pub constants: Vec<ArrayRef>,
    /// Finds line numbers for errors; only called when a row fails. Without it errors name the byte.
    pub line_at: Option<LineAt>,
}

impl Place {
    /// A place without metadata whose lines are not counted.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), origin: 0, constants: Vec::new(), line_at: None }
    }
}

/// A format that turns bytes into rows, configured for one table.
pub trait BytesFormat: Send + Sync {
    /// A decoder for blocks from `place`.
    ///
    /// # Contract
    /// Blocks are [`crate::Payload::Bytes`]; each begins at a record start and ends at a record end, except the last
    /// one, whose last record may lack its newline.
    ///
    /// # Errors
    /// As many constants as metadata columns are wanted.
    fn decoder(&self, place: Place) -> Result<Box<dyn Decoder>, ConnectorError>;

    /// The last place at which `bytes`, which begin at a record start, can be cut: just behind a record end. `None`
    /// when they hold no whole record.
    fn record_end(&self, bytes: &[u8]) -> Option<usize>;

    /// True when every newline ends a record, so that a range may begin behind any newline. Where it is false,
    /// ranges begin where [`record_starts`](Self::record_starts) says.
    fn is_splittable(&self) -> bool;

    /// For each of `targets` (ascending), the first record start at or behind it in `input`, which is read from its
    /// beginning; the end of the input where there is none.
    ///
    /// # Errors
    /// The input cannot be read.
    fn record_starts(&self, input: &mut dyn Read, targets: &[u64]) -> io::Result<Vec<u64>>;
}

/// A format that turns rows into bytes, configured for one table.
pub trait EncodingFormat: Send + Sync {
    /// What stands before the first row of a file: a CSV header where the table has one, else nothing.
    fn begin(&self, out: &mut Vec<u8>);

    /// Appends `rows`, one record each with its newline.
    ///
    /// # Errors
    /// A value that the format cannot express.
    fn encode(&self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<(), ConnectorError>;

    /// Appends rows with what happens to them: each a row of `rows` and its kind, in the order of the changes. Only called
    /// where [`sink_changes`] says that the format holds changes.
    ///
    /// # Errors
    /// As [`encode`](Self::encode), and always where the format holds rows alone.
    fn encode_changes(
        &self,
        rows: &RecordBatch,
        kinds: &[(u32, RowKind)],
        out: &mut Vec<u8>,
    ) -> Result<(), ConnectorError> {
        let _ = (rows, kinds, out);
        Err(ConnectorError::Unsupported {
            message: "the format holds rows, not changes".into(),
            hint: format!("formats that hold changes are {CHANGE_FORMATS}"),
        })
    }
}

/// The formats that hold changes, for hints.
pub const CHANGE_FORMATS: &str = "'changelog-json', 'changelog-csv', 'debezium-json', 'upsert-json' and 'upsert-csv'";

/// What changes a table with these options hands out, as far as its format decides.
pub fn source_changes(options: &BTreeMap<String, String>) -> SourceChanges {
    match options.get("format").map(String::as_str) {
        Some("changelog-csv" | "changelog-json") => SourceChanges::Full,
        Some("debezium-json") if debezium::is_upsert(options) => SourceChanges::Upserts,
        Some("debezium-json") => SourceChanges::Full,
        Some("upsert-csv" | "upsert-json") => SourceChanges::Upserts,
        _ => SourceChanges::Inserts,
    }
}

/// What changes a format can write.
pub fn sink_changes(format: &str) -> SinkChanges {
    match format {
        "changelog-csv" | "changelog-json" | "debezium-json" => SinkChanges::Full,
        "upsert-csv" | "upsert-json" => SinkChanges::Upserts,
        _ => SinkChanges::Inserts,
    }
}

/// The marked format of this name.
fn variant(format: &str) -> Option<Variant> {
    let (mark, is_json) = match format {
        "changelog-csv" => (Mark::Kind, false),
        "changelog-json" => (Mark::Kind, true),
        "upsert-csv" => (Mark::Deleted, false),
        "upsert-json" => (Mark::Deleted, true),
        _ => return None,
    };
    Some(Variant { mark, is_json })
}

/// The error of a table whose rows are told by a key that it does not have.
fn key_is_missing(options: &Options, what: &str) -> ConnectorError {
    ConnectorError::Option {
        message: format!("table {}: '{what}' needs a PRIMARY KEY, by which rows replace each other", options.table()),
        hint: "add PRIMARY KEY (…) NOT ENFORCED to the columns".into(),
    }
}

/// The format that `'format'` names, for reading `request`; reads `'format'` and the format's own options.
///
/// # Errors
/// No or an unknown format, options that do not fit, columns of a type that the format cannot hold.
pub fn decoding(options: &mut Options, request: &SourceRequest) -> Result<Arc<dyn BytesFormat>, ConnectorError> {
    let format = options.required("format")?;
    if let Some(variant) = variant(&format) {
        return marked::decoding(variant, options, request);
    }
    match format.as_str() {
        "csv" => csv::decoding(options, request),
        "debezium-json" => debezium::decoding(options, request),
        "json" => json::decoding(options, request),
        "raw" => raw::decoding(options, request),
        other => Err(unknown(other, options)),
    }
}

/// The format that `'format'` names, for writing rows of `schema`, which replace each other by `key`.
///
/// # Errors
/// As [`decoding`].
pub fn encoding(
    options: &mut Options,
    schema: &SchemaRef,
    key: &[usize],
) -> Result<Arc<dyn EncodingFormat>, ConnectorError> {
    let format = options.required("format")?;
    if let Some(variant) = variant(&format) {
        return marked::encoding(variant, options, schema, key);
    }
    match format.as_str() {
        "csv" => csv::encoding(options, schema),
        "debezium-json" => debezium::encoding(options, schema, key),
        "json" => json::encoding(options, schema),
        "raw" => raw::encoding(options, schema),
        other => Err(unknown(other, options)),
    }
}

fn unknown(format: &str, options: &Options) -> ConnectorError {
    ConnectorError::Option {
        message: format!("table {}: unknown format '{format}'", options.table()),
        hint: format!("formats are: {}", FORMATS.join(", ")),
    }
}
