//! Changes as rows with one column more, written by the format below.

use super::super::EncodingFormat;
use super::{Layout, Mark};
use crate::ConnectorError;
use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use eddyline_changes::RowKind;
use std::sync::Arc;

/// What is written: the table's columns and the mark. In an upsert, those beside the key may be NULL, for deletions.
pub(super) fn fields(layout: &Layout, key: &[usize]) -> SchemaRef {
    let is_upsert = layout.variant.mark == Mark::Deleted;
    let fields = layout.fields.fields().iter().enumerate().map(|(at, field)| {
        let field = field.as_ref().clone();
        match () {
            () if at == layout.mark && is_upsert => Field::new(field.name(), DataType::Boolean, false),
            () if at == layout.mark => field.with_nullable(false),
            () if is_upsert && !key.contains(&at) => field.with_nullable(true),
            () => field,
        }
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Writes changes with their marks.
pub(super) struct Writer {
    layout: Layout,
    fields: SchemaRef,
    key: Vec<usize>,
    base: Box<dyn EncodingFormat>,
}

impl Writer {
    pub(super) fn new(layout: Layout, fields: SchemaRef, key: &[usize], base: Box<dyn EncodingFormat>) -> Self {
        Self { layout, fields, key: key.to_vec(), base }
    }

    fn with_kinds(&self, rows: &RecordBatch, kinds: &[(u32, RowKind)]) -> Result<RecordBatch, ConnectorError> {
        let at = UInt32Array::from_iter_values(kinds.iter().map(|(row, _)| *row));
        let mark: ArrayRef = Arc::new(StringArray::from_iter_values(kinds.iter().map(|(_, kind)| kind.short())));
        self.batch(rows, mark, |_| &at)
    }

    fn with_deletions(&self, rows: &RecordBatch, kinds: &[(u32, RowKind)]) -> Result<RecordBatch, ConnectorError> {
        let last = || kinds.iter().filter(|(_, kind)| *kind != RowKind::UpdateBefore);
        let is_gone = |kind: &RowKind| *kind == RowKind::Delete;
        let all = UInt32Array::from_iter_values(last().map(|(row, _)| *row));
        let kept: UInt32Array = last().map(|(row, kind)| (!is_gone(kind)).then_some(*row)).collect();
        let mark: ArrayRef = Arc::new(BooleanArray::from_iter(last().map(|(_, kind)| Some(is_gone(kind)))));
        self.batch(rows, mark, |column| if self.key.contains(&column) { &all } else { &kept })
    }

    fn batch<'a>(
        &self,
        rows: &RecordBatch,
        mark: ArrayRef,
        taken: impl Fn(usize) -> &'a UInt32Array,
    ) -> Result<RecordBatch, ConnectorError> {
        let columns = rows.columns().iter().enumerate().map(|(at, column)| take(column, taken(at), None));
        let mut columns = columns.collect::<Result<Vec<_>, _>>()?;
        columns.insert(self.layout.mark, mark);
        Ok(RecordBatch::try_new(self.fields.clone(), columns)?)
    }
}

impl EncodingFormat for Writer {
    fn begin(&self, out: &mut Vec<u8>) {
        self.base.begin(out);
    }

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
        let marked = match self.layout.variant.mark {
            Mark::Kind => self.with_kinds(rows, kinds)?,
            Mark::Deleted => self.with_deletions(rows, kinds)?,
        };
        self.base.encode(&marked, out)
    }
}
