//! Row groups into rows of the table's types.

use super::fetch::{RowGroup, broken};
use super::jsonb;
use crate::{ConnectorError, Decoded, Decoder, Payload, Position, RawBlock};
use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{CastOptions, cast_with_options, take};
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use arrow::error::ArrowError;
use eddyline_changes::ChangeBatch;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use std::sync::Arc;

/// Decodes row groups.
pub(in crate::filesystem) struct ParquetDecoder {
    schema: SchemaRef,
    constants: Vec<ArrayRef>,
    current: Option<Current>,
}

struct Current {
    row_group: RowGroup,
    /// Made when the size of its batches is known.
    rows: Option<ParquetRecordBatchReader>,
    /// What is left of a batch that was larger than asked for.
    left: Option<RecordBatch>,
    position: Position,
}

impl ParquetDecoder {
    /// A decoder into `schema`: the projected columns, then one for each of the `constants` (arrays of length 1).
    pub(in crate::filesystem) fn new(schema: SchemaRef, constants: Vec<ArrayRef>) -> Self {
        Self { schema, constants, current: None }
    }
}

impl Decoder for ParquetDecoder {
    fn feed(&mut self, block: RawBlock) -> Result<(), ConnectorError> {
        if let Payload::Own(own) = block.payload {
            let row_group = *own.downcast::<RowGroup>().expect("row groups come from their own reader");
            self.current = Some(Current { row_group, rows: None, left: None, position: block.start });
        }
        Ok(())
    }

    fn next(&mut self, rows_max: usize) -> Result<Option<Decoded>, ConnectorError> {
        let Some(current) = &mut self.current else { return Ok(None) };
        let Some(batch) = current.next(rows_max, &self.schema, &self.constants)? else {
            self.current = None;
            return Ok(None);
        };
        current.position.0 += batch.num_rows() as u64;
        Ok(Some(Decoded { changes: ChangeBatch::inserts(batch), skipped: 0, position: current.position }))
    }
}

impl Current {
    fn damaged(&self, error: &ArrowError) -> ConnectorError {
        let RowGroup { file, row_group, .. } = &self.row_group;
        let text = error.to_string();
        let cause = text.trim_start_matches("Parquet argument error: ").trim_start_matches("Parquet error: ");
        let message = format!("row group {row_group} is damaged: {cause}");
        ConnectorError::Format { place: file.path.clone(), message }
    }

    fn next(
        &mut self,
        rows_max: usize,
        schema: &SchemaRef,
        constants: &[ArrayRef],
    ) -> Result<Option<RecordBatch>, ConnectorError> {
        let batch = match self.left.take() {
            Some(left) => left,
            None => match self.rows(rows_max)?.next() {
                None => return Ok(None),
                Some(batch) => self.fit(&batch.map_err(|e| self.damaged(&e))?, schema, constants)?,
            },
        };
        if batch.num_rows() <= rows_max {
            return Ok(Some(batch));
        }
        self.left = Some(batch.slice(rows_max, batch.num_rows() - rows_max));
        Ok(Some(batch.slice(0, rows_max)))
    }

    fn rows(&mut self, rows_max: usize) -> Result<&mut ParquetRecordBatchReader, ConnectorError> {
        if self.rows.is_none() {
            let RowGroup { file, row_group, skip_rows, bytes } = &self.row_group;
            let rows = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes.clone(), file.metadata.clone())
                .with_row_groups(vec![*row_group])
                .with_projection(file.mask.clone())
                .with_batch_size(rows_max)
                .with_offset(usize::try_from(*skip_rows).unwrap_or(usize::MAX))
                .build()
                .map_err(|e| broken(&file.path, e))?;
            self.rows = Some(rows);
        }
        Ok(self.rows.as_mut().expect("just made"))
    }

    /// The columns in the order of the projection and in the table's types, and the constants.
    fn fit(
        &self,
        batch: &RecordBatch,
        schema: &SchemaRef,
        constants: &[ArrayRef],
    ) -> Result<RecordBatch, ConnectorError> {
        let file = &self.row_group.file;
        let columns = file.order.iter().zip(schema.fields());
        let columns = columns.map(|(at, field)| fit_column(&file.path, batch.column(*at), field));
        let mut columns = columns.collect::<Result<Vec<_>, _>>()?;
        let zeros = UInt32Array::from(vec![0; if constants.is_empty() { 0 } else { batch.num_rows() }]);
        for constant in constants {
            columns.push(take(constant, &zeros, None)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(schema.clone(), columns, &options)
            .map_err(|e| ConnectorError::Format { place: file.path.clone(), message: e.to_string() })
    }
}

fn fit_column(path: &str, column: &ArrayRef, field: &FieldRef) -> Result<ArrayRef, ConnectorError> {
    if column.data_type() == field.data_type() {
        return Ok(Arc::clone(column));
    }
    let fail = |why: String| ConnectorError::Format {
        place: path.to_owned(),
        message: format!(
            "column '{}' is {} in the file and {} in the table: {why}",
            field.name(),
            column.data_type(),
            field.data_type()
        ),
    };
    if !converts(column.data_type(), field.data_type()) {
        return Err(fail("declare the column with the type that the file has".into()));
    }
    let options = CastOptions { safe: false, ..Default::default() };
    let column = cast_with_options(column, field.data_type(), &options).map_err(|e| fail(e.to_string()))?;
    let wrong = |value| ConnectorError::Row {
        place: path.to_owned(),
        column: Some(field.name().clone()),
        value,
        message: "is not JSON".into(),
    };
    jsonb::in_one_form(&column).map_err(wrong)
}

/// Conversions that keep the meaning; text is never parsed, but for JSONB, and numbers are never printed.
fn converts(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    let text = |t: &DataType| matches!(t, T::Utf8 | T::LargeUtf8 | T::Utf8View);
    let bytes = |t: &DataType| matches!(t, T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_));
    let time = |t: &DataType| matches!(t, T::Time32(_) | T::Time64(_));
    let number = |t: &DataType| t.is_numeric() || matches!(t, T::Decimal128(..) | T::Decimal256(..));
    match (from, to) {
        (T::Dictionary(_, from), to) => **from == *to || converts(from, to),
        (T::List(from) | T::LargeList(from), T::List(to)) | (T::Map(from, _), T::Map(to, _)) => {
            from.data_type() == to.data_type() || converts(from.data_type(), to.data_type())
        }
        (T::Struct(from), T::Struct(to)) => {
            let fits = |(f, t): (&FieldRef, &FieldRef)| {
                f.name() == t.name() && (f.data_type() == t.data_type() || converts(f.data_type(), t.data_type()))
            };
            from.len() == to.len() && from.iter().zip(to).all(fits)
        }
        (from, T::Utf8) if bytes(from) => true,
        (T::Timestamp(..) | T::Date32, T::Timestamp(..)) => true,
        (from, to) => {
            (text(from) && text(to))
                || (bytes(from) && bytes(to))
                || (time(from) && time(to))
                || (number(from) && number(to))
        }
    }
}
