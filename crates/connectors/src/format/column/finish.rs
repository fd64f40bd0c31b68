//! Columns into arrays.

use super::{Column, Values, unsupported};
use crate::ConnectorError;
use arrow::array::{
    ArrayData, ArrayRef, BinaryArray, BooleanArray, LargeStringArray, ListArray, MapArray, StringArray, StructArray,
    make_array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::{ArrowNativeType, DataType, Fields};
use arrow::util::bit_util::unset_bit;
use std::sync::Arc;

impl Column {
    /// The rows as an array; the column is empty then, with room for as many rows again.
    pub(in crate::format) fn finish(&mut self) -> Result<ArrayRef, ConnectorError> {
        let rows = self.rows();
        let nulls = take_nulls(&mut self.nulls, rows).filter(|_| self.field.is_nullable());
        let data_type = self.field.data_type();
        Ok(match &mut self.values {
            Values::Boolean(v) => {
                let array = BooleanArray::new(BooleanBuffer::from(v.as_slice()), nulls);
                v.clear();
                Arc::new(array)
            }
            Values::Int8(v) => fixed(v, nulls, data_type)?,
            Values::Int16(v) => fixed(v, nulls, data_type)?,
            Values::Int32(v) | Values::Date(v) | Values::Time32(v, _) => fixed(v, nulls, data_type)?,
            Values::Int64(v) | Values::Time64(v, _) | Values::Timestamp(v, _) => fixed(v, nulls, data_type)?,
            Values::Float32(v) => fixed(v, nulls, data_type)?,
            Values::Float64(v) => fixed(v, nulls, data_type)?,
            Values::Decimal { values, .. } => fixed(values, nulls, data_type)?,
            Values::Text(v) => {
                let (offsets, bytes) = v.take();
                Arc::new(StringArray::try_new(offsets, bytes, nulls)?)
            }
            Values::Json { texts, .. } => {
                let (offsets, bytes) = texts.take();
                let offsets = offsets.iter().map(|end| i64::from(*end)).collect::<Vec<_>>();
                Arc::new(LargeStringArray::try_new(OffsetBuffer::new(offsets.into()), bytes, nulls)?)
            }
            Values::Bytes(v) => {
                let (offsets, bytes) = v.take();
                Arc::new(BinaryArray::try_new(offsets, bytes, nulls)?)
            }
            Values::List { offsets, items } => {
                let DataType::List(item) = data_type else { return Err(unsupported(&self.field)) };
                Arc::new(ListArray::try_new(item.clone(), take_offsets(offsets), items.finish()?, nulls)?)
            }
            Values::Map { offsets, keys, values } => {
                let DataType::Map(entries, ordered) = data_type else { return Err(unsupported(&self.field)) };
                let DataType::Struct(fields) = entries.data_type() else { return Err(unsupported(&self.field)) };
                let pairs = StructArray::try_new(fields.clone(), vec![keys.finish()?, values.finish()?], None)?;
                Arc::new(MapArray::try_new(entries.clone(), take_offsets(offsets), pairs, nulls, *ordered)?)
            }
            Values::Row { rows, columns } => {
                let rows = std::mem::take(rows);
                let DataType::Struct(fields) = data_type else { return Err(unsupported(&self.field)) };
                Arc::new(finish_row(fields, columns, nulls, rows)?)
            }
        })
    }
}

fn finish_row(
    fields: &Fields,
    columns: &mut [Column],
    nulls: Option<NullBuffer>,
    rows: usize,
) -> Result<StructArray, ConnectorError> {
    if columns.is_empty() {
        return Ok(StructArray::new_empty_fields(rows, nulls));
    }
    let arrays = columns.iter_mut().map(Column::finish).collect::<Result<_, _>>()?;
    Ok(StructArray::try_new(fields.clone(), arrays, nulls)?)
}

fn take_offsets(offsets: &mut Vec<i32>) -> OffsetBuffer<i32> {
    OffsetBuffer::new(std::mem::replace(offsets, vec![0]).into())
}

fn take_nulls(nulls: &mut Vec<u32>, rows: usize) -> Option<NullBuffer> {
    if nulls.is_empty() {
        return None;
    }
    let mut valid = vec![0xffu8; rows.div_ceil(8)];
    nulls.drain(..).for_each(|row| unset_bit(&mut valid, row as usize));
    Some(NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(valid), 0, rows)))
}

fn fixed<T: ArrowNativeType>(
    values: &mut Vec<T>,
    nulls: Option<NullBuffer>,
    data_type: &DataType,
) -> Result<ArrayRef, ConnectorError> {
    let rows = values.len();
    let taken = std::mem::replace(values, Vec::with_capacity(rows));
    let data = ArrayData::builder(data_type.clone()).len(rows).add_buffer(Buffer::from_vec(taken)).nulls(nulls);
    Ok(make_array(data.build()?))
}
