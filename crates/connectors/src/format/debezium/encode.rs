//! Changes to events, one per line.

use super::super::EncodingFormat;
use super::super::json::Style;
use super::super::print::Cells;
use crate::ConnectorError;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use eddyline_changes::RowKind;

/// Writes one event per change.
pub(super) struct Writer {
    style: Style,
    schema: SchemaRef,
}

impl Writer {
    pub(super) fn new(style: Style, schema: &SchemaRef) -> Self {
        Self { style, schema: schema.clone() }
    }
}

impl EncodingFormat for Writer {
    fn begin(&self, _: &mut Vec<u8>) {}

    fn encode(&self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<(), ConnectorError> {
        let kinds: Vec<_> = (0..rows.num_rows() as u32).map(|row| (row, RowKind::Insert)).collect();
        self.encode_changes(rows, &kinds, out)
    }

    fn encode_changes(
        &self,
        rows: &RecordBatch,
        kinds: &[(u32, RowKind)],
        out: &mut Vec<u8>,
    ) -> Result<(), ConnectorError> {
        let names = self.schema.fields().iter().map(|f| f.name().as_str());
        let columns: Vec<Cells<'_>> =
            names.zip(rows.columns()).map(|(name, array)| Cells::new(name, array)).collect::<Result<_, _>>()?;
        for (row, kind) in kinds {
            let (opening, closing) = match kind.weight() {
                1 => (&b"{\"before\":null,\"after\":"[..], &b",\"op\":\"c\"}\n"[..]),
                _ => (&b"{\"before\":"[..], &b",\"after\":null,\"op\":\"d\"}\n"[..]),
            };
            out.extend_from_slice(opening);
            self.style.append_object(&columns, *row as usize, out)?;
            out.extend_from_slice(closing);
        }
        Ok(())
    }
}
