//! Formats: bytes to rows and back, for every connector whose outside is bytes (files, sockets, logs).
//!
//! | format | a record is | options |
//! |---|---|---|
//! | `csv` | a line; quoted fields may hold newlines | `csv.*` |
//! | `json` | a line that holds one object | `json.*` |
//! | `raw` | a line that is the one column's value | `raw.*` |
//!
//! [`decoding`] and [`encoding`] read the options of a table and make a [`BytesFormat`] or an [`EncodingFormat`];
//! they do no I/O, so they also check a table's definition. A byte reader cuts its input at record ends with
//! [`BytesFormat::record_end`] and hands the blocks to the [`Decoder`] of its split.
//!
//! Columnar formats (parquet) are not here: they are no stream of bytes; the filesystem connector reads them itself.

mod column;
mod csv;
mod framing;
mod json;
mod print;
mod raw;
mod rows;
mod scan;
#[cfg(test)]
mod tests;
pub mod text;

use crate::{ConnectorError, Decoder, Options, SourceRequest};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use std::io::{self, Read};
use std::sync::Arc;

/// The formats' names, for errors.
pub const FORMATS: [&str; 3] = ["csv", "json", "raw"];

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
}

/// The format that `'format'` names, for reading `request`; reads `'format'` and the format's own options.
///
/// # Errors
/// No or an unknown format, options that do not fit, columns of a type that the format cannot hold.
pub fn decoding(options: &mut Options, request: &SourceRequest) -> Result<Arc<dyn BytesFormat>, ConnectorError> {
    match options.required("format")?.as_str() {
        "csv" => csv::decoding(options, request),
        "json" => json::decoding(options, request),
        "raw" => raw::decoding(options, request),
        other => Err(unknown(other, options)),
    }
}

/// The format that `'format'` names, for writing rows of `schema`.
///
/// # Errors
/// As [`decoding`].
pub fn encoding(options: &mut Options, schema: &SchemaRef) -> Result<Arc<dyn EncodingFormat>, ConnectorError> {
    match options.required("format")?.as_str() {
        "csv" => csv::encoding(options, schema),
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
