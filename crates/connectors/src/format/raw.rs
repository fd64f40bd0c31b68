//! Raw: the bytes are the value of the table's one column.
//!
//! STRING, BYTES and JSONB: a record is a line, without its newline. Numbers and BOOLEAN: a record is as many bytes as the
//! type has, in `raw.endianness`, with nothing between records. NULL cannot be written.

use super::column::{Column, Values};
use super::framing::{Framing, Newlines, record_starts};
use super::print::{CellValues, Cells};
use super::rows::{Fault, Records, RowDecoder, Step};
use super::{BytesFormat, EncodingFormat, Place};
use crate::{ConnectorError, Decoder, Options, SourceRequest};
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use std::io::{self, Read};
use std::sync::Arc;

/// What the records are.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Line,
    Fixed { width: usize, is_little: bool },
}

impl Shape {
    fn read(options: &mut Options, schema: &SchemaRef) -> Result<Self, ConnectorError> {
        let charset = options.text("raw.charset").unwrap_or_else(|| "UTF-8".into());
        if !charset.eq_ignore_ascii_case("UTF-8") {
            return Err(options.bad("raw.charset", &charset, "is not supported; only UTF-8 is"));
        }
        let is_little = match options.text("raw.endianness").as_deref() {
            None | Some("big-endian") => false,
            Some("little-endian") => true,
            Some(other) => {
                return Err(options.bad("raw.endianness", other, "must be 'big-endian' or 'little-endian'"));
            }
        };
        let [field] = &schema.fields()[..] else {
            return Err(ConnectorError::Unsupported {
                message: format!(
                    "table {}: format 'raw' holds one physical column, the table has {}",
                    options.table(),
                    schema.fields().len()
                ),
                hint: "use 'format' = 'csv' or 'json'".into(),
            });
        };
        let fixed = |width| Ok(Shape::Fixed { width, is_little });
        match field.data_type() {
            DataType::Utf8 | DataType::Binary | DataType::LargeUtf8 => Ok(Shape::Line),
            DataType::Boolean | DataType::Int8 => fixed(1),
            DataType::Int16 => fixed(2),
            DataType::Int32 | DataType::Float32 => fixed(4),
            DataType::Int64 | DataType::Float64 => fixed(8),
            other => Err(ConnectorError::Unsupported {
                message: format!(
                    "table {}: format 'raw' cannot hold column {} of type {other}",
                    options.table(),
                    field.name()
                ),
                hint: "raw holds STRING, BYTES, JSONB, BOOLEAN, whole numbers, FLOAT and DOUBLE".into(),
            }),
        }
    }
}

/// See [`super::decoding`].
pub(super) fn decoding(options: &mut Options, request: &SourceRequest) -> Result<Arc<dyn BytesFormat>, ConnectorError> {
    let shape = Shape::read(options, &request.physical)?;
    Ok(Arc::new(Raw { shape, request: request.clone() }))
}

/// See [`super::encoding`].
pub(super) fn encoding(options: &mut Options, schema: &SchemaRef) -> Result<Arc<dyn EncodingFormat>, ConnectorError> {
    let shape = Shape::read(options, schema)?;
    Ok(Arc::new(Writer { shape, schema: schema.clone() }))
}

struct Raw {
    shape: Shape,
    request: SourceRequest,
}

impl BytesFormat for Raw {
    fn decoder(&self, place: Place) -> Result<Box<dyn Decoder>, ConnectorError> {
        let is_string = matches!(self.request.physical.field(0).data_type(), DataType::Utf8 | DataType::LargeUtf8);
        let shape = self.shape;
        Ok(match is_string {
            true => Box::new(RowDecoder::new(RawRecords::<true> { shape }, &self.request, place, false)?),
            false => Box::new(RowDecoder::new(RawRecords::<false> { shape }, &self.request, place, false)?),
        })
    }

    fn record_end(&self, bytes: &[u8]) -> Option<usize> {
        self.shape.last_end(bytes)
    }

    fn is_splittable(&self) -> bool {
        matches!(self.shape, Shape::Line)
    }

    fn record_starts(&self, input: &mut dyn Read, targets: &[u64]) -> io::Result<Vec<u64>> {
        record_starts(&self.shape, input, targets)
    }
}

impl Framing for Shape {
    fn first_end(&self, bytes: &[u8]) -> Option<usize> {
        match self {
            Shape::Line => Newlines.first_end(bytes),
            Shape::Fixed { width, .. } => (bytes.len() >= *width).then_some(*width),
        }
    }

    fn last_end(&self, bytes: &[u8]) -> Option<usize> {
        match self {
            Shape::Line => Newlines.last_end(bytes),
            Shape::Fixed { width, .. } => Some(bytes.len() / width * width).filter(|n| *n > 0),
        }
    }
}

struct RawRecords<const IS_STRING: bool> {
    shape: Shape,
}

impl<const IS_STRING: bool> Records for RawRecords<IS_STRING> {
    const IS_TEXT: bool = IS_STRING;

    fn read(&mut self, bytes: &[u8], at: usize, columns: &mut [Column]) -> Result<Step, Fault> {
        let next = self.skip(bytes, at);
        let record = &bytes[at..next];
        let Some(column) = columns.first_mut() else { return Ok(Step::Row(next)) };
        match self.shape {
            Shape::Line => append_record(column, record.strip_suffix(b"\n").unwrap_or(record))?,
            Shape::Fixed { width, is_little } => {
                if record.len() < width {
                    return Err(Fault::record(format!("{} bytes are left where a value has {width}", record.len())));
                }
                append_fixed(column, record, is_little);
            }
        }
        Ok(Step::Row(next))
    }

    fn skip(&self, bytes: &[u8], at: usize) -> usize {
        self.shape.first_end(&bytes[at..]).map_or(bytes.len(), |n| at + n)
    }
}

fn append_record(column: &mut Column, line: &[u8]) -> Result<(), Fault> {
    match &mut column.values {
        Values::Text(v) | Values::Bytes(v) => v.push(line),
        Values::Json { .. } => column.append_text(line).map_err(|refusal| Fault::value(column, line, refusal))?,
        _ => return Err(Fault::record("the column is no string")),
    }
    Ok(())
}

fn append_fixed(column: &mut Column, record: &[u8], is_little: bool) {
    let mut eight = [0; 8];
    eight[8 - record.len()..].copy_from_slice(record);
    if is_little {
        eight[8 - record.len()..].reverse();
    }
    let bits = u64::from_be_bytes(eight);
    match &mut column.values {
        Values::Boolean(v) => v.push(bits != 0),
        Values::Int8(v) => v.push(bits as i8),
        Values::Int16(v) => v.push(bits as i16),
        Values::Int32(v) => v.push(bits as i32),
        Values::Int64(v) => v.push(bits as i64),
        Values::Float32(v) => v.push(f32::from_bits(bits as u32)),
        Values::Float64(v) => v.push(f64::from_bits(bits)),
        _ => {}
    }
}

struct Writer {
    shape: Shape,
    schema: SchemaRef,
}

impl EncodingFormat for Writer {
    fn begin(&self, _: &mut Vec<u8>) {}

    fn encode(&self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<(), ConnectorError> {
        let name = self.schema.field(0).name();
        let cells = Cells::new(name, rows.column(0))?;
        for row in 0..rows.num_rows() {
            if cells.is_null(row) {
                return Err(refused(name, "NULL", "leave such rows out with WHERE, or use 'format' = 'json'"));
            }
            match self.shape {
                Shape::Line => append_line(&cells, row, out)?,
                Shape::Fixed { width, is_little } => append_bits(&cells, row, width, is_little, out),
            }
        }
        Ok(())
    }
}

fn append_line(cells: &Cells<'_>, row: usize, out: &mut Vec<u8>) -> Result<(), ConnectorError> {
    let bytes = match &cells.values {
        CellValues::Text(v) => v.value(row).as_bytes(),
        CellValues::Json(v) => v.value(row).as_bytes(),
        CellValues::Bytes(v) => v.value(row),
        _ => &[],
    };
    if bytes.contains(&b'\n') {
        return Err(refused(cells.name, "a newline", "use 'format' = 'json' or 'csv'"));
    }
    out.extend_from_slice(bytes);
    out.push(b'\n');
    Ok(())
}

fn append_bits(cells: &Cells<'_>, row: usize, width: usize, is_little: bool, out: &mut Vec<u8>) {
    let bits = match &cells.values {
        CellValues::Boolean(v) => u64::from(v.value(row)),
        CellValues::Int8(v) => v[row] as u64,
        CellValues::Int16(v) => v[row] as u64,
        CellValues::Int32(v) => v[row] as u64,
        CellValues::Int64(v) => v[row] as u64,
        CellValues::Float32(v) => u64::from(v[row].to_bits()),
        CellValues::Float64(v) => v[row].to_bits(),
        _ => 0,
    };
    match is_little {
        true => out.extend_from_slice(&bits.to_le_bytes()[..width]),
        false => out.extend_from_slice(&bits.to_be_bytes()[8 - width..]),
    }
}

fn refused(column: &str, what: &str, hint: &str) -> ConnectorError {
    ConnectorError::Unsupported {
        message: format!("column {column}: format 'raw' cannot hold {what}"),
        hint: hint.into(),
    }
}
