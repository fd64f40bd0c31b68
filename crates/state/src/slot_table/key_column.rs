//! Keys in columns: one column of the keys of all slots, by type.

use super::byte_keys::ByteKeys;
use crate::{BySlot, StateError};
use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BooleanArray, PrimitiveArray};
use arrow::datatypes::*;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use std::sync::Arc;

/// A row of the batch that is looked up, and the slot that was given to its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Created {
    pub(crate) row: u32,
    pub(crate) slot: u32,
}

/// One column of the keys of all slots. All calls work on whole batches but [`equals`](Self::equals), which is for
/// the rare cases.
pub(crate) trait KeyColumn: Send {
    /// The batch's column in the form in which the other calls take it.
    fn prepare(&self, column: &ArrayRef) -> Result<ArrayRef, StateError> {
        Ok(column.clone())
    }
    /// Makes room for slots `0..slots`.
    fn resize(&mut self, slots: usize);
    /// Takes the values of `column` at the rows of `created` into their slots.
    fn write(&mut self, column: &ArrayRef, created: &[Created]);
    /// Appends the rows whose value is not that of their slot.
    fn mismatches(&self, column: &ArrayRef, slots: &[u32], rows: &mut Vec<u32>);
    /// Whether the value of `row` is that of `slot`.
    fn equals(&self, column: &ArrayRef, row: usize, slot: u32) -> bool;
    /// Keeps the pairs of a row and a slot whose values are equal, in their order, and appends the others to `others`.
    fn matches(&self, column: &ArrayRef, pairs: &mut Vec<(u32, u32)>, others: &mut Vec<(u32, u32)>) {
        pairs.retain(|pair| {
            let is_equal = self.equals(column, pair.0 as usize, pair.1);
            if !is_equal {
                others.push(*pair);
            }
            is_equal
        });
    }
    /// The values of `slots`.
    fn gather(&self, slots: &[u32]) -> Result<ArrayRef, StateError>;
    /// Forgets the values of slots.
    fn clear(&mut self, slots: &[u32]);
    /// Forgets all values.
    fn clear_all(&mut self);
    /// Memory in bytes, about.
    fn size_bytes(&self) -> usize;
    /// How much of it does not grow with the number of slots.
    fn heap_bytes(&self) -> usize {
        0
    }
}

/// A column for keys of type `data_type`. Types without a storage of their own are kept in the row format.
pub(crate) fn key_column(table: &str, data_type: &DataType) -> Result<Box<dyn KeyColumn>, StateError> {
    macro_rules! fixed {
        ($t:ty) => {
            Box::new(FixedKeys::<$t>::new(data_type))
        };
    }
    Ok(match data_type {
        DataType::Boolean => Box::new(BooleanKeys { values: BySlot::new() }),
        DataType::Int8 => fixed!(Int8Type),
        DataType::Int16 => fixed!(Int16Type),
        DataType::Int32 => fixed!(Int32Type),
        DataType::Int64 => fixed!(Int64Type),
        DataType::UInt8 => fixed!(UInt8Type),
        DataType::UInt16 => fixed!(UInt16Type),
        DataType::UInt32 => fixed!(UInt32Type),
        DataType::UInt64 => fixed!(UInt64Type),
        DataType::Float32 => fixed!(Float32Type),
        DataType::Float64 => fixed!(Float64Type),
        DataType::Decimal128(..) => fixed!(Decimal128Type),
        DataType::Date32 => fixed!(Date32Type),
        DataType::Time32(TimeUnit::Second) => fixed!(Time32SecondType),
        DataType::Time32(_) => fixed!(Time32MillisecondType),
        DataType::Time64(TimeUnit::Microsecond) => fixed!(Time64MicrosecondType),
        DataType::Time64(_) => fixed!(Time64NanosecondType),
        DataType::Timestamp(TimeUnit::Second, _) => fixed!(TimestampSecondType),
        DataType::Timestamp(TimeUnit::Millisecond, _) => fixed!(TimestampMillisecondType),
        DataType::Timestamp(TimeUnit::Microsecond, _) => fixed!(TimestampMicrosecondType),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => fixed!(TimestampNanosecondType),
        DataType::Utf8 | DataType::Binary => Box::new(ByteKeys::new(data_type)),
        other => {
            let converter = RowConverter::new(vec![SortField::new(other.clone())])
                .map_err(|_| StateError::KeyType { table: table.into(), data_type: other.to_string() })?;
            Box::new(RowKeys { converter, rows: ByteKeys::new(&DataType::Binary) })
        }
    })
}

/// The one form of values that are equal as keys: `-0.0` is `0.0`, and there is one NaN.
pub(super) trait Canonical: Copy {
    fn canonical(self) -> Self;
}

macro_rules! canonical_as_is {
    ($($t:ty),*) => { $(impl Canonical for $t {
        #[inline(always)]
        fn canonical(self) -> Self { self }
    })* };
}
canonical_as_is!(i8, i16, i32, i64, u8, u16, u32, u64, i128);

impl Canonical for f32 {
    #[inline(always)]
    fn canonical(self) -> Self {
        if self.is_nan() { f32::NAN } else { self + 0.0 }
    }
}

impl Canonical for f64 {
    #[inline(always)]
    fn canonical(self) -> Self {
        if self.is_nan() { f64::NAN } else { self + 0.0 }
    }
}

/// A column with its values in the form in which they are kept.
pub(crate) fn canonical_column(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    Ok(match column.data_type() {
        DataType::Float32 => {
            Arc::new(column.as_primitive::<Float32Type>().unary::<_, Float32Type>(Canonical::canonical))
        }
        DataType::Float64 => {
            Arc::new(column.as_primitive::<Float64Type>().unary::<_, Float64Type>(Canonical::canonical))
        }
        _ => column.clone(),
    })
}

/// Values of a fixed size. `nulls` is empty as long as no key was NULL.
struct FixedKeys<T: ArrowPrimitiveType> {
    data_type: DataType,
    values: BySlot<T::Native>,
    nulls: BySlot<bool>,
}

impl<T: ArrowPrimitiveType> FixedKeys<T>
where
    T::Native: Canonical,
{
    fn new(data_type: &DataType) -> Self {
        Self { data_type: data_type.clone(), values: BySlot::new(), nulls: BySlot::new() }
    }

    #[inline]
    fn is_null(&self, slot: u32) -> bool {
        !self.nulls.is_empty() && self.nulls[slot as usize]
    }

    #[inline]
    fn same(&self, slot: u32, value: T::Native) -> bool {
        // `is_eq` tells NaN from nothing but NaN.
        self.values[slot as usize].is_eq(value.canonical())
    }
}

use arrow::array::ArrowNativeTypeOp;

impl<T: ArrowPrimitiveType> KeyColumn for FixedKeys<T>
where
    T::Native: Canonical,
{
    fn resize(&mut self, slots: usize) {
        self.values.grow(slots, T::Native::default());
        if !self.nulls.is_empty() {
            self.nulls.grow(slots, false);
        }
    }

    fn write(&mut self, column: &ArrayRef, created: &[Created]) {
        let column = column.as_primitive::<T>();
        let values = column.values();
        if column.null_count() > 0 || !self.nulls.is_empty() {
            self.nulls.grow(self.values.len(), false);
            for c in created {
                self.nulls[c.slot as usize] = column.is_null(c.row as usize);
            }
        }
        for c in created {
            self.values[c.slot as usize] = values[c.row as usize].canonical();
        }
    }

    fn mismatches(&self, column: &ArrayRef, slots: &[u32], rows: &mut Vec<u32>) {
        let array = column.as_primitive::<T>();
        let values = &array.values()[..slots.len()];
        if self.nulls.is_empty() && array.null_count() == 0 {
            let all = slots.iter().zip(values).fold(true, |all, (slot, value)| all & self.same(*slot, *value));
            if !all {
                let wrong = slots.iter().zip(values).enumerate().filter(|(_, (s, v))| !self.same(**s, **v));
                rows.extend(wrong.map(|(row, _)| row as u32));
            }
            return;
        }
        for (row, slot) in slots.iter().enumerate() {
            if !self.equals(column, row, *slot) {
                rows.push(row as u32);
            }
        }
    }

    fn matches(&self, column: &ArrayRef, pairs: &mut Vec<(u32, u32)>, others: &mut Vec<(u32, u32)>) {
        let array = column.as_primitive::<T>();
        let values = array.values();
        let has_nulls = !self.nulls.is_empty() || array.null_count() > 0;
        pairs.retain(|(row, slot)| {
            let is_equal = match has_nulls && (array.is_null(*row as usize) || self.is_null(*slot)) {
                true => array.is_null(*row as usize) == self.is_null(*slot),
                false => self.same(*slot, values[*row as usize]),
            };
            if !is_equal {
                others.push((*row, *slot));
            }
            is_equal
        });
    }

    fn equals(&self, column: &ArrayRef, row: usize, slot: u32) -> bool {
        let column = column.as_primitive::<T>();
        match (column.is_null(row), self.is_null(slot)) {
            (false, false) => self.same(slot, column.value(row)),
            (left, right) => left == right,
        }
    }

    fn gather(&self, slots: &[u32]) -> Result<ArrayRef, StateError> {
        let values = slots.iter().map(|s| self.values[*s as usize]);
        let array: PrimitiveArray<T> = if self.nulls.is_empty() {
            PrimitiveArray::from_iter_values(values)
        } else {
            slots.iter().zip(values).map(|(s, v)| (!self.is_null(*s)).then_some(v)).collect()
        };
        Ok(Arc::new(array.with_data_type(self.data_type.clone())))
    }

    fn clear(&mut self, _slots: &[u32]) {}

    fn clear_all(&mut self) {
        self.values.clear();
        self.nulls.clear();
    }

    fn size_bytes(&self) -> usize {
        self.values.size_bytes() + self.nulls.size_bytes()
    }
}

/// 0, 1, or 2 for NULL.
struct BooleanKeys {
    values: BySlot<u8>,
}

fn boolean_key(column: &BooleanArray, row: usize) -> u8 {
    if column.is_null(row) { 2 } else { u8::from(column.value(row)) }
}

impl KeyColumn for BooleanKeys {
    fn resize(&mut self, slots: usize) {
        self.values.grow(slots, 0);
    }

    fn write(&mut self, column: &ArrayRef, created: &[Created]) {
        let column = column.as_boolean();
        for c in created {
            self.values[c.slot as usize] = boolean_key(column, c.row as usize);
        }
    }

    fn mismatches(&self, column: &ArrayRef, slots: &[u32], rows: &mut Vec<u32>) {
        let column = column.as_boolean();
        let wrong = slots.iter().enumerate().filter(|(r, s)| boolean_key(column, *r) != self.values[**s as usize]);
        rows.extend(wrong.map(|(row, _)| row as u32));
    }

    fn equals(&self, column: &ArrayRef, row: usize, slot: u32) -> bool {
        boolean_key(column.as_boolean(), row) == self.values[slot as usize]
    }

    fn gather(&self, slots: &[u32]) -> Result<ArrayRef, StateError> {
        let values = slots.iter().map(|s| match self.values[*s as usize] {
            2 => None,
            v => Some(v == 1),
        });
        Ok(Arc::new(values.collect::<BooleanArray>()))
    }

    fn clear(&mut self, _slots: &[u32]) {}

    fn clear_all(&mut self) {
        self.values.clear();
    }

    fn size_bytes(&self) -> usize {
        self.values.size_bytes()
    }
}

/// Any other type (ROW, ARRAY, intervals): its bytes in the row format.
struct RowKeys {
    converter: RowConverter,
    rows: ByteKeys,
}

impl KeyColumn for RowKeys {
    fn prepare(&self, column: &ArrayRef) -> Result<ArrayRef, StateError> {
        Ok(Arc::new(self.converter.convert_columns(std::slice::from_ref(column))?.try_into_binary()?))
    }

    fn resize(&mut self, slots: usize) {
        self.rows.resize(slots);
    }

    fn write(&mut self, column: &ArrayRef, created: &[Created]) {
        self.rows.write(column, created);
    }

    fn mismatches(&self, column: &ArrayRef, slots: &[u32], rows: &mut Vec<u32>) {
        self.rows.mismatches(column, slots, rows);
    }

    fn equals(&self, column: &ArrayRef, row: usize, slot: u32) -> bool {
        self.rows.equals(column, row, slot)
    }

    fn gather(&self, slots: &[u32]) -> Result<ArrayRef, StateError> {
        let bytes = self.rows.gather(slots)?;
        let bytes: &BinaryArray = bytes.as_binary();
        let parser = self.converter.parser();
        let rows = (0..bytes.len()).map(|row| parser.parse(bytes.value(row)));
        Ok(self.converter.convert_rows(rows)?.remove(0))
    }

    fn clear(&mut self, slots: &[u32]) {
        self.rows.clear(slots);
    }

    fn clear_all(&mut self) {
        self.rows.clear_all();
    }

    fn size_bytes(&self) -> usize {
        self.rows.size_bytes()
    }

    fn heap_bytes(&self) -> usize {
        self.rows.heap_bytes()
    }
}
