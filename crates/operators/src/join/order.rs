//! Rows of a key in the order of the value that a condition compares, so that those that match are found by range.

use super::chains::Shape;
use super::state::Side;
use crate::OperatorError;
use crate::columns_read::{columns_read, over};
use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::*;
use datafusion_physical_expr::PhysicalExpr;
use eddyline_changes::ChangeBatch;
use eddyline_plan::Expression;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

/// What the rows of a side are ordered by.
pub(super) struct Order {
    value: Arc<dyn PhysicalExpr>,
    /// The columns that it reads.
    pub(super) read: Vec<usize>,
    schema: SchemaRef,
    is_wide: bool,
    /// Different values may have one number.
    pub(super) is_rough: bool,
}

impl Order {
    /// By `value` over the columns of `input`.
    pub(super) fn new(value: &Expression, input: &Schema) -> Result<Self, OperatorError> {
        let read = columns_read(std::iter::once(value.physical()));
        let value = over(value.physical(), &read)?;
        let schema = Arc::new(input.project(&read)?);
        let data_type = value.data_type(&schema)?;
        let is_rough = data_type == DataType::Utf8;
        let is_wide = is_rough || matches!(data_type, DataType::Decimal128(..) | DataType::UInt64);
        Ok(Self { value, read, schema, is_wide, is_rough })
    }

    /// The values of the rows of a batch, as numbers of the same order; `None` for NULL.
    pub(super) fn values_in(&self, changes: &ChangeBatch) -> Result<Vec<Option<i128>>, OperatorError> {
        self.values(self.read.iter().map(|c| changes.column(*c).clone()).collect(), changes.num_rows())
    }

    /// The values of `rows` rows, given the columns `read`, as numbers of the same order; `None` for NULL.
    pub(super) fn values(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<Vec<Option<i128>>, OperatorError> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        let values = self.value.evaluate(&batch)?.into_array(rows)?;
        numbers(&values)
    }

    /// No rows in this order.
    pub(super) fn none(&self) -> Ordered {
        if self.is_wide { Ordered::Wide(BTreeSet::new()) } else { Ordered::Narrow(BTreeSet::new()) }
    }
}

fn numbers(values: &ArrayRef) -> Result<Vec<Option<i128>>, OperatorError> {
    fn of<T: ArrowPrimitiveType>(values: &ArrayRef, number: impl Fn(T::Native) -> i128) -> Vec<Option<i128>> {
        values.as_primitive::<T>().iter().map(|v| v.map(&number)).collect()
    }
    macro_rules! ints {
        ($t:ty) => {
            of::<$t>(values, i128::from)
        };
    }
    Ok(match values.data_type() {
        DataType::Int8 => ints!(Int8Type),
        DataType::Int16 => ints!(Int16Type),
        DataType::Int32 => ints!(Int32Type),
        DataType::Int64 => ints!(Int64Type),
        DataType::UInt8 => ints!(UInt8Type),
        DataType::UInt16 => ints!(UInt16Type),
        DataType::UInt32 => ints!(UInt32Type),
        DataType::UInt64 => ints!(UInt64Type),
        DataType::Date32 => ints!(Date32Type),
        DataType::Decimal128(..) => ints!(Decimal128Type),
        DataType::Timestamp(TimeUnit::Second, _) => ints!(TimestampSecondType),
        DataType::Timestamp(TimeUnit::Millisecond, _) => ints!(TimestampMillisecondType),
        DataType::Timestamp(TimeUnit::Microsecond, _) => ints!(TimestampMicrosecondType),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => ints!(TimestampNanosecondType),
        DataType::Float32 => of::<Float32Type>(values, |v| float(f64::from(v))),
        DataType::Float64 => of::<Float64Type>(values, float),
        DataType::Utf8 => values.as_string::<i32>().iter().map(|v| v.map(first_bytes)).collect(),
        other => {
            let message = format!("rows cannot be kept in the order of {other}");
            return Err(OperatorError::Spec { operator: super::NAME, message });
        }
    })
}

/// A number in the order of floats: zeros are one, and NaN is above all.
fn float(value: f64) -> i128 {
    let value = if value.is_nan() { f64::NAN } else { value + 0.0 };
    let bits = value.to_bits() as i64;
    i128::from(bits ^ ((bits >> 63) as u64 >> 1) as i64)
}

/// A string's first 16 bytes, in the order of strings: what they have alike there is as one.
fn first_bytes(text: &str) -> i128 {
    let mut bytes = [0; 16];
    let first = &text.as_bytes()[..text.len().min(16)];
    bytes[..first.len()].copy_from_slice(first);
    (u128::from_be_bytes(bytes) ^ 1 << 127) as i128
}

/// A place in an order: before or after all rows of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) value: i128,
    pub(super) is_after: bool,
}

/// Rows in order.
pub(super) enum Ordered {
    /// Values of 64 bits.
    Narrow(BTreeSet<(i64, u32)>),
    /// Values of up to 128 bits.
    Wide(BTreeSet<(i128, u32)>),
}

impl Ordered {
    pub(super) fn insert(&mut self, value: i128, row: u32) {
        match self {
            Ordered::Narrow(rows) => rows.insert((value as i64, row)),
            Ordered::Wide(rows) => rows.insert((value, row)),
        };
    }

    pub(super) fn remove(&mut self, value: i128, row: u32) {
        match self {
            Ordered::Narrow(rows) => rows.remove(&(value as i64, row)),
            Ordered::Wide(rows) => rows.remove(&(value, row)),
        };
    }

    /// Appends the rows between two places, which are in order; `None` is the end.
    pub(super) fn between(&self, from: Option<Place>, to: Option<Place>, rows: &mut Vec<u32>) {
        match self {
            Ordered::Narrow(all) => rows.extend(range(all, from, to, |v| v as i64)),
            Ordered::Wide(all) => rows.extend(range(all, from, to, |v| v)),
        }
    }

    /// Memory in bytes, about: nodes of a tree are three quarters full.
    pub(super) fn size_bytes(&self) -> usize {
        match self {
            Ordered::Narrow(rows) => rows.len() * size_of::<(i64, u32)>() * 4 / 3,
            Ordered::Wide(rows) => rows.len() * size_of::<(i128, u32)>() * 4 / 3,
        }
    }
}

fn range<V: Ord + Copy>(
    all: &BTreeSet<(V, u32)>,
    from: Option<Place>,
    to: Option<Place>,
    of: impl Fn(i128) -> V,
) -> impl Iterator<Item = u32> {
    let from = from.map_or(Bound::Unbounded, |p| match p.is_after {
        true => Bound::Excluded((of(p.value), u32::MAX)),
        false => Bound::Included((of(p.value), 0)),
    });
    let to = to.map_or(Bound::Unbounded, |p| match p.is_after {
        true => Bound::Included((of(p.value), u32::MAX)),
        false => Bound::Excluded((of(p.value), 0)),
    });
    all.range((from, to)).map(|(_, row)| *row)
}

impl Side {
    /// Begins the order of a new list.
    pub(super) fn put_in_order(&mut self, list: u32, rows: &[u32]) -> Result<(), OperatorError> {
        let values = self.values_of(rows)?;
        let Some(order) = &self.order else { return Ok(()) };
        while self.ordered.len() <= list as usize {
            self.ordered.push(order.none());
        }
        let ordered = &mut self.ordered[list as usize];
        *ordered = order.none();
        for (row, value) in rows.iter().zip(values) {
            value.into_iter().for_each(|value| ordered.insert(value, *row));
        }
        Ok(())
    }

    /// Takes rows out of the order of a list.
    pub(super) fn take_from_order(&mut self, list: u32, rows: &[u32]) -> Result<(), OperatorError> {
        let values = self.values_of(rows)?;
        if let Some(ordered) = self.ordered.get_mut(list as usize) {
            for (row, value) in rows.iter().zip(values) {
                value.into_iter().for_each(|value| ordered.remove(value, *row));
            }
        }
        Ok(())
    }

    /// What the rows of a batch are ordered by; nothing without an order.
    pub(super) fn values(&self, changes: &ChangeBatch) -> Result<Vec<Option<i128>>, OperatorError> {
        let Some(order) = &self.order else { return Ok(Vec::new()) };
        order.values_in(changes)
    }

    /// The numbers of the rows of a batch, in their order; `None` without one.
    pub(super) fn ordered_changes(&self, changes: &ChangeBatch) -> Result<Option<Ordered>, OperatorError> {
        let Some(order) = &self.order else { return Ok(None) };
        let mut ordered = order.none();
        for (row, value) in order.values_in(changes)?.into_iter().enumerate() {
            value.into_iter().for_each(|value| ordered.insert(value, row as u32));
        }
        Ok(Some(ordered))
    }

    /// What rows are ordered by; nothing without an order.
    pub(super) fn values_of(&self, slots: &[u32]) -> Result<Vec<Option<i128>>, OperatorError> {
        let Some(order) = &self.order else { return Ok(Vec::new()) };
        let columns = order.read.iter().map(|c| self.column(*c, slots)).collect::<Result<_, _>>()?;
        order.values(columns, slots.len())
    }

    /// Are the rows of a head's key in order?
    pub(super) fn is_ordered(&self, head: u32) -> bool {
        self.order.is_some() && matches!(self.chains.shape(head), Shape::List(_))
    }

    /// Appends the rows of a head's key, which are in order, between two places.
    pub(super) fn between(&self, head: u32, from: Option<Place>, to: Option<Place>, rows: &mut Vec<u32>) {
        if let Shape::List(list) = self.chains.shape(head) {
            self.ordered[list as usize].between(from, to, rows);
        }
    }
}
