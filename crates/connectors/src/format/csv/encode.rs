//! Rows to lines.

use super::super::EncodingFormat;
use super::super::print::{CellValues, Cells};
use super::Syntax;
use crate::ConnectorError;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

/// Writes one line per row.
pub(in crate::format) struct Writer {
    syntax: Syntax,
    schema: SchemaRef,
}

impl Writer {
    pub(in crate::format) fn new(syntax: Syntax, schema: &SchemaRef) -> Self {
        Self { syntax, schema: schema.clone() }
    }
}

impl EncodingFormat for Writer {
    fn begin(&self, out: &mut Vec<u8>) {
        if !self.syntax.has_header {
            return;
        }
        for (at, field) in self.schema.fields().iter().enumerate() {
            if at > 0 {
                out.push(self.syntax.delimiter);
            }
            let start = out.len();
            out.extend_from_slice(field.name().as_bytes());
            self.syntax.protect(out, start, at == 0, true);
        }
        out.push(b'\n');
    }

    fn encode(&self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<(), ConnectorError> {
        let names = self.schema.fields().iter().map(|f| f.name().as_str());
        let columns: Vec<Cells<'_>> =
            names.zip(rows.columns()).map(|(name, array)| Cells::new(name, array)).collect::<Result<_, _>>()?;
        for row in 0..rows.num_rows() {
            for (at, cells) in columns.iter().enumerate() {
                if at > 0 {
                    out.push(self.syntax.delimiter);
                }
                self.syntax.append_cell(cells, row, at == 0, out)?;
            }
            out.push(b'\n');
        }
        Ok(())
    }
}

impl Syntax {
    fn append_cell(
        &self,
        cells: &Cells<'_>,
        row: usize,
        is_first: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), ConnectorError> {
        if cells.is_null(row) {
            out.extend_from_slice(self.null_literal.as_deref().unwrap_or("").as_bytes());
            return Ok(());
        }
        let start = out.len();
        // As in the decoder: only an empty STRING may be told from NULL by its literal.
        let empty_is_null = self.null_literal.is_none() || !matches!(cells.values, CellValues::Text(_));
        let is_done = match &cells.values {
            CellValues::List(list, items) => {
                let offsets = list.value_offsets();
                let range = offsets[row] as usize..offsets[row + 1] as usize;
                self.append_items(items, range, out) && self.protect(out, start, is_first, empty_is_null)
            }
            CellValues::Text(_) | CellValues::Bytes(_) | CellValues::Json(_) => {
                cells.append(row, b' ', out);
                self.protect(out, start, is_first, empty_is_null)
            }
            _ => {
                cells.append(row, b' ', out);
                let needs_care = is_first || !self.is_plain || out[start..].contains(&self.delimiter);
                !needs_care || self.protect(out, start, is_first, empty_is_null)
            }
        };
        match is_done {
            true => Ok(()),
            false => Err(ConnectorError::Unsupported {
                message: format!(
                    "column {}: the value {:?} cannot be written so that it reads back",
                    cells.name,
                    String::from_utf8_lossy(&out[start..])
                ),
                hint: "allow quotes, set 'csv.null-literal' or another 'csv.array-element-delimiter', or use 'format' \
                       = 'json'"
                    .into(),
            }),
        }
    }

    /// False when an item would not read back: it holds the delimiter of items or looks like NULL.
    fn append_items(&self, items: &Cells<'_>, range: std::ops::Range<usize>, out: &mut Vec<u8>) -> bool {
        for at in range.clone() {
            if at > range.start {
                out.push(self.array_delimiter);
            }
            let start = out.len();
            let null = self.null_literal.as_deref().unwrap_or("").as_bytes();
            if items.is_null(at) {
                out.extend_from_slice(null);
                // One empty item looks like no items.
                if null.is_empty() && range.len() == 1 {
                    return false;
                }
                continue;
            }
            items.append(at, b' ', out);
            let item = &out[start..];
            if item == null || item.contains(&self.array_delimiter) || (item.is_empty() && range.len() == 1) {
                return false;
            }
        }
        true
    }

    /// Quotes and escapes the field that was written from `start` on, where it needs that. False when it needs it
    /// and the table's syntax has no way.
    fn protect(&self, out: &mut Vec<u8>, start: usize, is_first: bool, empty_is_null: bool) -> bool {
        let text = &out[start..];
        let special = |b: &u8| {
            matches!(b, b'\n' | b'\r') || *b == self.delimiter || Some(*b) == self.quote || Some(*b) == self.escape
        };
        let is_literal = self.null_literal.as_ref().is_some_and(|null| text == null.as_bytes());
        let looks_null = is_literal || (text.is_empty() && empty_is_null);
        let looks_comment = is_first && self.allows_comments && text.first() == Some(&b'#');
        // A byte order mark at the start of a file would be taken for one.
        let looks_mark = is_first && text.starts_with(b"\xef\xbb\xbf");
        if !(looks_null || looks_comment || looks_mark || text.iter().any(special)) {
            return true;
        }
        let plain = text.to_vec();
        out.truncate(start);
        match (self.quote, self.escape) {
            (Some(quote), _) => {
                out.push(quote);
                for b in plain {
                    if b == quote {
                        out.push(quote);
                    } else if Some(b) == self.escape {
                        out.push(b);
                    }
                    out.push(b);
                }
                out.push(quote);
                true
            }
            (None, Some(escape)) if !plain.is_empty() => {
                for (at, b) in plain.iter().enumerate() {
                    match b {
                        b'\n' => out.extend_from_slice(&[escape, b'n']),
                        b'\r' => out.extend_from_slice(&[escape, b'r']),
                        _ if special(b)
                            || (at == 0
                                && !matches!(b, b'n' | b'r' | b't' | b'0')
                                && (looks_null || looks_comment)) =>
                        {
                            out.extend_from_slice(&[escape, *b]);
                        }
                        _ => out.push(*b),
                    }
                }
                !looks_null || plain != out[start..]
            }
            _ => {
                out.extend_from_slice(&plain);
                false
            }
        }
    }
}
