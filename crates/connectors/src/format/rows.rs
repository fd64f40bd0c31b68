//! The decoder that all formats share: walks over the records of a block, skips or reports those that fail, and
//! makes batches. A format only says how one record is read ([`Records`]).
//!
//! UTF-8 is checked once per block. Only when that fails are records checked one by one, to find the faulty ones.

use super::Place;
use super::column::{Column, Refusal};
use crate::{ConnectorError, Decoded, Decoder, Payload, Position, RawBlock, SourceRequest};
use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use eddyline_changes::{ChangeBatch, Weights};

/// A record must be smaller than this, so that 32-bit offsets suffice for a batch.
const BLOCK_BYTES_MAX: usize = 1 << 30;

/// What is wrong with a record.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) column: Option<String>,
    pub(super) value: Vec<u8>,
    pub(super) message: Refusal,
}

impl Fault {
    /// A fault in the value of a column.
    #[cold]
    pub(super) fn value(column: &Column, value: &[u8], message: Refusal) -> Self {
        Self { column: Some(column.name().to_owned()), value: value.to_vec(), message }
    }

    /// A fault in the record as a whole.
    #[cold]
    pub(super) fn record(message: impl Into<String>) -> Self {
        Self { column: None, value: Vec::new(), message: message.into() }
    }
}

/// What stands at a place of a block.
pub(super) enum Step {
    /// A record: its row is appended; the next one begins there.
    Row(usize),
    /// A record of two changes: two rows are appended; the next record begins there.
    Pair(usize),
    /// Nothing to decode: an empty line, a comment; the next record begins there.
    Nothing(usize),
}

/// How a format reads records.
pub(super) trait Records: Send {
    /// True when all text must be UTF-8.
    const IS_TEXT: bool;

    /// Reads the record that begins at `at < bytes.len()` and appends one value to every column. A fault may leave
    /// half a row behind.
    fn read(&mut self, bytes: &[u8], at: usize, columns: &mut [Column]) -> Result<Step, Fault>;

    /// Where the record behind the one at `at` begins.
    fn skip(&self, bytes: &[u8], at: usize) -> usize;

    /// The weights of the rows read since the last call; `None` where all were inserted. Of a record that failed there is
    /// none.
    fn take_weights(&mut self) -> Option<Vec<i64>> {
        None
    }

    /// Called with a block at the very start of the input: where the first record begins.
    ///
    /// # Errors
    /// A header that does not fit, in words.
    fn start(&mut self, bytes: &[u8]) -> Result<usize, String> {
        let _ = bytes;
        Ok(0)
    }
}

/// Columns of `request` to be filled.
pub(super) fn columns(request: &SourceRequest) -> Result<Vec<Column>, ConnectorError> {
    let fields = request.physical.fields();
    request.projection.iter().map(|c| Column::new(&fields[*c], &request.time_zone)).collect()
}

/// A decoder of [`Records`].
pub(super) struct RowDecoder<R> {
    records: R,
    place: Place,
    schema: SchemaRef,
    /// The columns of the schema; behind them those that only `records` looks at.
    columns: Vec<Column>,
    skips_faults: bool,
    block: Option<Block>,
}

struct Block {
    bytes: Bytes,
    start: u64,
    at: usize,
    is_utf8: bool,
}

impl<R: Records> RowDecoder<R> {
    pub(super) fn new(
        records: R,
        request: &SourceRequest,
        place: Place,
        skips_faults: bool,
    ) -> Result<Self, ConnectorError> {
        Self::with_columns(records, columns(request)?, request, place, skips_faults)
    }

    /// The same with the columns of `request` as they are given, and more behind them for `records` alone.
    pub(super) fn with_columns(
        records: R,
        columns: Vec<Column>,
        request: &SourceRequest,
        place: Place,
        skips_faults: bool,
    ) -> Result<Self, ConnectorError> {
        let schema = request.decoded();
        if place.constants.len() != request.metadata.len() || place.constants.iter().any(|c| c.len() != 1) {
            return Err(ConnectorError::Format {
                place: place.name,
                message: format!(
                    "{} metadata columns are wanted and {} values given",
                    request.metadata.len(),
                    place.constants.len()
                ),
            });
        }
        Ok(Self { records, place, schema, columns, skips_faults, block: None })
    }

    /// Reads at most `rows_max` rows into the columns: how many there are, and how many were skipped.
    fn read_rows(&mut self, block: &mut Block, rows_max: usize) -> Result<(usize, u64), ConnectorError> {
        let (mut rows, mut skipped) = (0, 0);
        let begin = block.at;
        let bytes: &[u8] = &block.bytes;
        while rows < rows_max && block.at < bytes.len() {
            let read = if R::IS_TEXT && !block.is_utf8 { self.check_utf8(bytes, block.at) } else { Ok(()) };
            match read.and_then(|()| self.records.read(bytes, block.at, &mut self.columns)) {
                Ok(Step::Row(next)) => {
                    rows += 1;
                    block.at = next;
                }
                Ok(Step::Pair(next)) => {
                    rows += 2;
                    block.at = next;
                }
                Ok(Step::Nothing(next)) => block.at = next,
                Err(fault) => {
                    self.columns.iter_mut().for_each(|c| c.truncate(rows));
                    if !self.skips_faults {
                        return Err(self.error(block, fault));
                    }
                    skipped += 1;
                    block.at = self.records.skip(bytes, block.at);
                }
            }
            if block.at - begin > BLOCK_BYTES_MAX / 2 {
                break;
            }
        }
        Ok((rows, skipped))
    }

    fn check_utf8(&self, bytes: &[u8], at: usize) -> Result<(), Fault> {
        let record = &bytes[at..self.records.skip(bytes, at)];
        match simdutf8::basic::from_utf8(record) {
            Ok(_) => Ok(()),
            Err(_) => Err(Fault { column: None, value: record.to_vec(), message: "the record is not UTF-8".into() }),
        }
    }

    fn error(&self, block: &Block, fault: Fault) -> ConnectorError {
        let position = self.place.origin + block.start + block.at as u64;
        let place = match self.place.line_at.as_ref().and_then(|line_at| line_at(position)) {
            Some(line) => format!("{}, line {line}", self.place.name),
            None => format!("{}, byte {position}", self.place.name),
        };
        let end = self.records.skip(&block.bytes, block.at);
        let (value, message) = match fault.column {
            Some(_) => (shortened(&fault.value), fault.message),
            None => ("".into(), format!("{}: {}", fault.message, shortened(&block.bytes[block.at..end]))),
        };
        ConnectorError::Row { place, column: fault.column, value, message }
    }

    fn finish(&mut self, rows: usize) -> Result<ChangeBatch, ConnectorError> {
        let visible = self.schema.fields().len() - self.place.constants.len();
        self.columns[visible..].iter_mut().for_each(|c| c.truncate(0));
        let constants = self.place.constants.iter().map(|c| repeated(c, rows));
        let decoded: Vec<_> = self.columns[..visible].iter_mut().map(Column::finish).collect::<Result<_, _>>()?;
        let arrays = decoded.into_iter().map(Ok).chain(constants).collect::<Result<Vec<ArrayRef>, ConnectorError>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)?;
        Ok(match self.records.take_weights() {
            None => ChangeBatch::inserts(batch),
            Some(weights) => ChangeBatch::new(batch, Weights::from_vec(weights))?,
        })
    }
}

fn repeated(value: &ArrayRef, rows: usize) -> Result<ArrayRef, ConnectorError> {
    Ok(take(value, &UInt32Array::from_value(0, rows), None)?)
}

/// At most 200 bytes, without the newline.
fn shortened(value: &[u8]) -> String {
    let value = value.strip_suffix(b"\n").unwrap_or(value);
    let value = value.strip_suffix(b"\r").unwrap_or(value);
    let text = String::from_utf8_lossy(&value[..value.len().min(200)]);
    if value.len() > 200 { format!("{text}…") } else { text.into_owned() }
}

impl<R: Records> Decoder for RowDecoder<R> {
    fn feed(&mut self, block: RawBlock) -> Result<(), ConnectorError> {
        let Payload::Bytes(bytes) = block.payload else {
            return Err(ConnectorError::Format {
                place: self.place.name.clone(),
                message: "the connector handed out something else than bytes".into(),
            });
        };
        if bytes.len() > BLOCK_BYTES_MAX {
            return Err(ConnectorError::Format {
                place: self.place.name.clone(),
                message: format!("a record of {} bytes; at most 1 GiB is read at once", bytes.len()),
            });
        }
        let start = block.start.0;
        let at = match self.place.origin + start {
            0 => self
                .records
                .start(&bytes)
                .map_err(|message| ConnectorError::Format { place: self.place.name.clone(), message })?,
            _ => 0,
        };
        let is_utf8 = !R::IS_TEXT || simdutf8::basic::from_utf8(&bytes).is_ok();
        self.block = Some(Block { bytes, start, at, is_utf8 });
        Ok(())
    }

    fn next(&mut self, rows_max: usize) -> Result<Option<Decoded>, ConnectorError> {
        let Some(mut block) = self.block.take() else { return Ok(None) };
        let (rows, skipped) = self.read_rows(&mut block, rows_max.max(1))?;
        let position = Position(block.start + block.at as u64);
        if rows == 0 && skipped == 0 {
            return Ok(None);
        }
        self.block = Some(block);
        Ok(Some(Decoded { changes: self.finish(rows)?, skipped, position }))
    }
}
