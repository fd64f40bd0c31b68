//! ARRAY, MAP and ROW columns: columns inside a column.
//!
//! An element has a number of its own, made of the row's and its place, so that it too depends on seed, row and column
//! alone. Option names follow the nesting, as in Flink: `fields.a.element.min`, `fields.m.key.length`, `fields.r.x.max`.

use super::column::{Column, Fields};
use crate::ConnectorError;
use arrow::array::{Array, ArrayRef, ListArray, MapArray, StructArray, UInt64Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::take;
use arrow::datatypes::{Field, FieldRef, Fields as ArrowFields};
use arrow::row::{RowConverter, SortField};
use std::collections::HashSet;
use std::sync::Arc;

/// Elements of an ARRAY or MAP unless told.
const LENGTH: usize = 3;
/// More of them are surely a mistake.
const LENGTH_MAX: usize = 10_000;

/// What a nested value is made of.
#[derive(Debug, Clone)]
pub(super) enum Nested {
    List { item: FieldRef, length: usize, element: Box<Column> },
    Map { entries: FieldRef, length: usize, key: Box<Column>, value: Box<Column> },
    Row { fields: ArrowFields, columns: Vec<Column> },
}

impl Nested {
    pub(super) fn list(fields: &mut Fields, name: &str, item: &FieldRef, seed: u64) -> Result<Self, ConnectorError> {
        let length = length(fields, name)?;
        let element = Box::new(inner(fields, name, "element", 0, item, seed)?);
        Ok(Nested::List { item: item.clone(), length, element })
    }

    pub(super) fn map(fields: &mut Fields, name: &str, entries: &FieldRef, seed: u64) -> Result<Self, ConnectorError> {
        let arrow::datatypes::DataType::Struct(pair) = entries.data_type() else {
            unreachable!("the entries of a map are structs");
        };
        let length = length(fields, name)?;
        let key = Box::new(inner(fields, name, "key", 0, &pair[0], seed)?);
        if key.may_be_null() {
            let option = format!("fields.{name}.key.null-rate");
            return Err(fields.bad(&option, "more than 0", "is for values: keys of a MAP are never NULL"));
        }
        let value = Box::new(inner(fields, name, "value", 1, &pair[1], seed)?);
        Ok(Nested::Map { entries: entries.clone(), length, key, value })
    }

    pub(super) fn row(fields: &mut Fields, name: &str, parts: &ArrowFields, seed: u64) -> Result<Self, ConnectorError> {
        let columns = parts.iter().enumerate().map(|(at, part)| inner(fields, name, part.name(), at, part, seed));
        Ok(Nested::Row { columns: columns.collect::<Result<_, _>>()?, fields: parts.clone() })
    }

    /// The values of `rows`.
    pub(super) fn array(&self, rows: &[u64], wall_ms: i64) -> Result<ArrayRef, ConnectorError> {
        Ok(match self {
            Nested::List { item, length, element } => {
                let values = element.array(&numbered(rows, *length), wall_ms)?;
                let offsets = OffsetBuffer::from_repeated_length(*length, rows.len());
                Arc::new(ListArray::try_new(item.clone(), offsets, values, None)?)
            }
            Nested::Map { entries, length, key, value } => {
                let numbers = numbered(rows, *length);
                let (keys, values) = (key.array(&numbers, wall_ms)?, value.array(&numbers, wall_ms)?);
                let (kept, lengths) = first_of_each_key(&keys, *length, rows.len())?;
                let columns = vec![take(&keys, &kept, None)?, take(&values, &kept, None)?];
                let arrow::datatypes::DataType::Struct(pair) = entries.data_type() else {
                    unreachable!("the entries of a map are structs");
                };
                let pairs = StructArray::try_new(pair.clone(), columns, None)?;
                let offsets = OffsetBuffer::from_lengths(lengths);
                Arc::new(MapArray::try_new(entries.clone(), offsets, pairs, None, false)?)
            }
            Nested::Row { fields, columns } => {
                let arrays = columns.iter().map(|c| c.array(rows, wall_ms)).collect::<Result<Vec<_>, _>>()?;
                Arc::new(StructArray::try_new_with_length(fields.clone(), arrays, None, rows.len())?)
            }
        })
    }
}

fn inner(
    fields: &mut Fields,
    name: &str,
    part: &str,
    at: usize,
    field: &FieldRef,
    seed: u64,
) -> Result<Column, ConnectorError> {
    let path = format!("{name}.{part}");
    Column::inside(fields, at, &Field::new(path, field.data_type().clone(), field.is_nullable()), seed)
}

fn length(fields: &mut Fields, name: &str) -> Result<usize, ConnectorError> {
    let length = fields.parsed::<usize>(name, "length")?.unwrap_or(LENGTH);
    if length > LENGTH_MAX {
        let why = format!("is over {LENGTH_MAX}");
        return Err(fields.bad(&format!("fields.{name}.length"), &length.to_string(), &why));
    }
    Ok(length)
}

/// The numbers of the elements of `rows`.
fn numbered(rows: &[u64], length: usize) -> Vec<u64> {
    let elements = |row: &u64| {
        let first = row.wrapping_mul(length as u64);
        (0..length as u64).map(move |at| first.wrapping_add(at))
    };
    rows.iter().flat_map(elements).collect()
}

/// A map has every key once: the places of the first entries of each, and how many every row keeps.
fn first_of_each_key(keys: &ArrayRef, length: usize, rows: usize) -> Result<(UInt64Array, Vec<usize>), ConnectorError> {
    let converter = RowConverter::new(vec![SortField::new(keys.data_type().clone())])?;
    let encoded = converter.convert_columns(std::slice::from_ref(keys))?;
    let (mut kept, mut lengths) = (Vec::with_capacity(keys.len()), Vec::with_capacity(rows));
    let mut seen = HashSet::with_capacity(length);
    for row in 0..rows {
        seen.clear();
        let before = kept.len();
        kept.extend((row * length..(row + 1) * length).filter(|at| seen.insert(encoded.row(*at))).map(|at| at as u64));
        lengths.push(kept.len() - before);
    }
    Ok((kept.into(), lengths))
}
