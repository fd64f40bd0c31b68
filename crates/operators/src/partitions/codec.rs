//! Rows as strings of bytes, and back.

use crate::OperatorError;
use arrow::array::{ArrayRef, AsArray, UInt32Array};
use arrow::compute::{SortOptions, take};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Schema};
use arrow::row::{RowConverter, Rows, SortField};
use eddyline_changes::ChangeBatch;
use eddyline_plan::OrderColumn;
use std::sync::Arc;

/// Some columns of the input in the row format.
pub(crate) struct Part {
    columns: Vec<usize>,
    /// `None` without columns.
    converter: Option<RowConverter>,
}

/// Bytes of the rows of a batch; none where there are no columns.
pub(crate) struct Encoded(Option<Rows>);

impl Encoded {
    #[inline]
    pub(crate) fn row(&self, row: usize) -> &[u8] {
        match &self.0 {
            Some(rows) => rows.row(row).data(),
            None => &[],
        }
    }
}

impl Part {
    pub(crate) fn new(fields: Vec<(usize, SortField)>) -> Result<Self, OperatorError> {
        let (columns, fields): (Vec<usize>, Vec<SortField>) = fields.into_iter().unzip();
        let converter = if columns.is_empty() { None } else { Some(RowConverter::new(fields)?) };
        Ok(Self { columns, converter })
    }

    /// The bytes of the rows of a batch, or of those at `rows`.
    pub(crate) fn encode(&self, changes: &ChangeBatch, rows: Option<&UInt32Array>) -> Result<Encoded, OperatorError> {
        let Some(converter) = &self.converter else { return Ok(Encoded(None)) };
        let column = |c: &usize| -> Result<ArrayRef, OperatorError> {
            let column = canonical(changes.column(*c));
            Ok(if let Some(rows) = rows { take(&column, rows, None)? } else { column })
        };
        let columns = self.columns.iter().map(column).collect::<Result<Vec<_>, _>>()?;
        Ok(Encoded(Some(converter.convert_columns(&columns)?)))
    }

    /// The bytes of rows given as the part's columns, which are in their canonical form.
    pub(crate) fn encode_columns(&self, columns: &[ArrayRef]) -> Result<Encoded, OperatorError> {
        Ok(Encoded(self.converter.as_ref().map(|c| c.convert_columns(columns)).transpose()?))
    }

    /// The columns of rows.
    pub(crate) fn decode<'a>(&self, rows: impl Iterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>, OperatorError> {
        let Some(converter) = &self.converter else { return Ok(Vec::new()) };
        let parser = converter.parser();
        Ok(converter.convert_rows(rows.map(|bytes| parser.parse(bytes)).collect::<Vec<_>>())?)
    }
}

/// Where a column of the input is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Partition(usize),
    Order(usize),
    Rest(usize),
}

/// How rows of the input become bytes: the order, then what is neither in the partition nor in the order.
pub(crate) struct Codec {
    pub(crate) order: Part,
    pub(crate) rest: Part,
    /// By column of the input.
    pub(crate) places: Vec<Place>,
}

impl Codec {
    pub(crate) fn new(partition: &[usize], order_by: &[OrderColumn], input: &Schema) -> Result<Self, OperatorError> {
        let mut order = Vec::new();
        for o in order_by {
            let options = SortOptions { descending: o.descending, nulls_first: o.nulls_first };
            order.push((o.column, SortField::new_with_options(input.field(o.column).data_type().clone(), options)));
        }
        let mut rest = Vec::new();
        let mut places = Vec::new();
        for (column, field) in input.fields().iter().enumerate() {
            places.push(if let Some(at) = partition.iter().position(|c| *c == column) {
                Place::Partition(at)
            } else if let Some(at) = order_by.iter().position(|o| o.column == column) {
                Place::Order(at)
            } else {
                rest.push((column, SortField::new(field.data_type().clone())));
                Place::Rest(rest.len() - 1)
            });
        }
        Ok(Self { order: Part::new(order)?, rest: Part::new(rest)?, places })
    }
}

/// Floating point values that are equal in SQL in one form.
fn canonical(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Float32 => {
            let one = |v: f32| if v.is_nan() { f32::NAN } else { v + 0.0 };
            Arc::new(column.as_primitive::<Float32Type>().unary::<_, Float32Type>(one))
        }
        DataType::Float64 => {
            let one = |v: f64| if v.is_nan() { f64::NAN } else { v + 0.0 };
            Arc::new(column.as_primitive::<Float64Type>().unary::<_, Float64Type>(one))
        }
        _ => column.clone(),
    }
}
