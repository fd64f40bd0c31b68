//! Rows to objects, one per line.

use super::super::EncodingFormat;
use super::super::column::JsonStrings;
use super::super::print::{CellValues, Cells, plain_decimal, scientific_decimal};
use super::super::scan::string_end;
use crate::ConnectorError;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use std::ops::Range;

/// How a table's JSON is written.
pub(in crate::format) struct Style {
    pub(super) separator: u8,
    pub(super) null_keys: NullKeys,
    pub(super) has_plain_decimals: bool,
    pub(super) leaves_nulls_out: bool,
    pub(super) json_strings: JsonStrings,
}

/// What to do with a NULL as key of a map.
pub(super) enum NullKeys {
    Fail,
    Drop,
    Literal(String),
}

/// Writes one object per row.
pub(in crate::format) struct Writer {
    style: Style,
    schema: SchemaRef,
}

impl Writer {
    pub(in crate::format) fn new(style: Style, schema: &SchemaRef) -> Self {
        Self { style, schema: schema.clone() }
    }
}

impl EncodingFormat for Writer {
    fn begin(&self, _: &mut Vec<u8>) {}

    fn encode(&self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<(), ConnectorError> {
        let names = self.schema.fields().iter().map(|f| f.name().as_str());
        let columns: Vec<Cells<'_>> =
            names.zip(rows.columns()).map(|(name, array)| Cells::new(name, array)).collect::<Result<_, _>>()?;
        for row in 0..rows.num_rows() {
            self.style.append_object(&columns, row, out)?;
            out.push(b'\n');
        }
        Ok(())
    }
}

impl Style {
    pub(in crate::format) fn append_object(
        &self,
        columns: &[Cells<'_>],
        row: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), ConnectorError> {
        let mut opening = b'{';
        for cells in columns.iter().filter(|c| !(self.leaves_nulls_out && c.is_null(row))) {
            out.push(opening);
            opening = b',';
            append_string(cells.name.as_bytes(), out);
            out.push(b':');
            self.append_value(cells, row, out)?;
        }
        if opening == b'{' {
            out.push(b'{');
        }
        out.push(b'}');
        Ok(())
    }

    fn append_value(&self, cells: &Cells<'_>, row: usize, out: &mut Vec<u8>) -> Result<(), ConnectorError> {
        if cells.is_null(row) {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        match &cells.values {
            CellValues::Text(text) => append_string(text.value(row).as_bytes(), out),
            CellValues::Json(json) if self.json_strings == JsonStrings::Texts => {
                append_string(json.value(row).as_bytes(), out);
            }
            CellValues::Decimal(v, scale) if self.has_plain_decimals => plain_decimal(v[row], *scale, out),
            CellValues::Decimal(v, scale) => scientific_decimal(v[row], *scale, out),
            CellValues::List(list, items) => {
                out.push(b'[');
                let range = range(list.value_offsets(), row);
                for at in range.clone() {
                    if at > range.start {
                        out.push(b',');
                    }
                    self.append_value(items, at, out)?;
                }
                out.push(b']');
            }
            CellValues::Map(map, keys, values) => {
                self.append_map(keys, values, range(map.value_offsets(), row), out)?;
            }
            CellValues::Row(columns) => self.append_object(columns, row, out)?,
            CellValues::Float32(v) if !v[row].is_finite() => self.append_quoted(cells, row, out),
            CellValues::Float64(v) if !v[row].is_finite() => self.append_quoted(cells, row, out),
            CellValues::Bytes(_) | CellValues::Date(_) | CellValues::Time32(..) | CellValues::Time64(..) => {
                self.append_quoted(cells, row, out);
            }
            CellValues::Timestamp { .. } => self.append_quoted(cells, row, out),
            _ => cells.append(row, self.separator, out),
        }
        Ok(())
    }

    /// For scalars whose text needs no escapes.
    fn append_quoted(&self, cells: &Cells<'_>, row: usize, out: &mut Vec<u8>) {
        out.push(b'"');
        cells.append(row, self.separator, out);
        out.push(b'"');
    }

    fn append_map(
        &self,
        keys: &Cells<'_>,
        values: &Cells<'_>,
        range: Range<usize>,
        out: &mut Vec<u8>,
    ) -> Result<(), ConnectorError> {
        let mut opening = b'{';
        let mut key = Vec::new();
        for at in range {
            key.clear();
            match (keys.is_null(at), &self.null_keys) {
                (false, _) => keys.append(at, self.separator, &mut key),
                (true, NullKeys::Drop) => continue,
                (true, NullKeys::Literal(literal)) => key.extend_from_slice(literal.as_bytes()),
                (true, NullKeys::Fail) => {
                    return Err(ConnectorError::Unsupported {
                        message: format!("column {}: JSON has no NULL as key of a map", keys.name),
                        hint: "set 'json.map-null-key.mode' to 'DROP' or 'LITERAL'".into(),
                    });
                }
            }
            out.push(opening);
            opening = b',';
            append_string(&key, out);
            out.push(b':');
            self.append_value(values, at, out)?;
        }
        if opening == b'{' {
            out.push(b'{');
        }
        out.push(b'}');
        Ok(())
    }
}

fn range(offsets: &[i32], row: usize) -> Range<usize> {
    offsets[row] as usize..offsets[row + 1] as usize
}

/// A string with its quotes; what JSON wants escaped is.
fn append_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut from = 0;
    loop {
        let end = string_end(text, from);
        out.extend_from_slice(&text[from..end]);
        match text.get(end) {
            None => break,
            Some(b) => append_escaped(*b, out),
        }
        from = end + 1;
    }
    out.push(b'"');
}

fn append_escaped(b: u8, out: &mut Vec<u8>) {
    match b {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', b]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => {
            let hex = |n: u8| b"0123456789abcdef"[usize::from(n & 15)];
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(b >> 4), hex(b)]);
        }
    }
}
