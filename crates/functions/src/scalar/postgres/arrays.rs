//! Arrays.

use super::super::call::{Call, Definition, Kind, Returns, Signed, Type, booleans, numbers};
use super::function;
use arrow::array::{Array, ArrayRef, AsArray, Int32Builder, ListBuilder, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use arrow::row::{RowConverter, SortField};
use datafusion_common::Result;
use std::sync::Arc;

use Kind::{Any, Int, Item, List, Text};

pub(super) const FUNCTIONS: &[Definition] = &[
    function(
        "equals_any",
        &[&[Item, List], &[Any, Text]],
        Type::Bool,
        equals_any,
        (
            "value = ANY (array)",
            "BOOLEAN",
            "TRUE if the value is one of the array; NULL if it is not and the array has a NULL. `value <> ALL (array)` is the contrary.",
        ),
        ("2 = ANY (ARRAY[1, 2])", "true"),
    ),
    function(
        "array_length",
        &[&[List], &[List, Int]],
        Type::Int,
        |call| length(call, false),
        (
            "ARRAY_LENGTH(array, 1)",
            "INT",
            "The number of elements. NULL for an empty array, and for other dimensions than the first.",
        ),
        ("ARRAY_LENGTH(ARRAY[1, 2], 1)", "2"),
    ),
    function(
        "array_upper",
        &[&[List, Int]],
        Type::Int,
        |call| length(call, false),
        ("ARRAY_UPPER(array, 1)", "INT", "The number of the last element. NULL for an empty array."),
        ("ARRAY_UPPER(ARRAY[1, 2], 1)", "2"),
    ),
    function(
        "array_lower",
        &[&[List, Int]],
        Type::Int,
        |call| length(call, true),
        ("ARRAY_LOWER(array, 1)", "INT", "The number of the first element, which is 1. NULL for an empty array."),
        ("ARRAY_LOWER(ARRAY[1, 2], 1)", "1"),
    ),
    function(
        "array_position",
        &[&[List, Item], &[List, Item, Int]],
        Type::Int,
        |call| {
            let places = places(call)?;
            let from = (call.len() > 2).then(|| call.int(2));
            numbers::<Int32Type>(call.rows, |row| {
                let from = from.as_ref().and_then(|from| from.at(row)).unwrap_or(1);
                let found = places[row].as_ref().and_then(|all| all.iter().find(|at| i64::from(**at) >= from));
                Ok(found.copied())
            })
        },
        (
            "ARRAY_POSITION(array, element [, from])",
            "INT",
            "The first place, from 1, of the element; NULL if it is not there. NULL is found too.",
        ),
        ("ARRAY_POSITION(ARRAY['a', 'b'], 'b')", "2"),
    ),
    Definition {
        returns: Returns::From(|_| Ok(DataType::new_list(DataType::Int32, true))),
        ..function(
            "array_positions",
            &[&[List, Item]],
            Type::Int,
            |call| {
                let mut out = ListBuilder::new(Int32Builder::new());
                for places in places(call)? {
                    let is_there = places.is_some();
                    places.into_iter().flatten().for_each(|at| out.values().append_value(at));
                    out.append(is_there);
                }
                Ok(Arc::new(out.finish()))
            },
            ("ARRAY_POSITIONS(array, element)", "ARRAY<INT>", "All places, from 1, of the element."),
            ("ARRAY_POSITIONS(ARRAY[1, 2, 1], 1)", "[1, 3]"),
        )
    },
    Definition {
        returns: Returns::From(|signed: &Signed<'_>| Ok(signed.types[0].clone())),
        ..function(
            "trim_array",
            &[&[List, Int]],
            Type::Int,
            trim,
            ("TRIM_ARRAY(array, count)", "as array", "The array without so many elements at its end."),
            ("TRIM_ARRAY(ARRAY[1, 2, 3], 1)", "[1, 2]"),
        )
    },
];

fn length(call: &Call, is_lower: bool) -> Result<ArrayRef> {
    let lists = call.column(0)?;
    let lists = lists.as_list::<i32>();
    let dimension = (call.len() > 1).then(|| call.int(1));
    numbers::<Int32Type>(call.rows, |row| {
        let is_first = dimension.as_ref().is_none_or(|dimension| dimension.at(row) == Some(1));
        let is_second = dimension.as_ref().is_some_and(|dimension| dimension.at(row) == Some(2));
        if lists.is_null(row) || lists.value_length(row) == 0 {
            return Ok(None);
        }
        let found = match (is_first, is_second.then(|| lists.value(row).as_list_opt::<i32>().cloned()).flatten()) {
            (true, _) => Some(lists.value_length(row)),
            (_, Some(inner)) if !inner.is_empty() => Some(inner.value_length(0)),
            _ => None,
        };
        Ok(found.map(|found| if is_lower { 1 } else { found }))
    })
}

/// The places, from 1, where the element of each row stands in its array.
fn places(call: &Call) -> Result<Vec<Option<Vec<i32>>>> {
    let (lists, items) = (call.column(0)?, call.column(1)?);
    let lists = lists.as_list::<i32>();
    if items.data_type().is_null() {
        let of = |row: usize| {
            let list = lists.is_valid(row).then(|| lists.value(row))?;
            Some((0..list.len()).filter(|at| list.is_null(*at)).map(|at| at as i32 + 1).collect())
        };
        return Ok((0..call.rows).map(of).collect());
    }
    let converter = RowConverter::new(vec![SortField::new(items.data_type().clone())])?;
    let (all, wanted) = (
        converter.convert_columns(&[lists.values().clone()])?,
        converter.convert_columns(std::slice::from_ref(&items))?,
    );
    let of = |row: usize| {
        lists.is_valid(row).then(|| {
            let (from, to) = (lists.value_offsets()[row] as usize, lists.value_offsets()[row + 1] as usize);
            let is_it = |at: &usize| all.row(*at) == wanted.row(row);
            (from..to).filter(is_it).map(|at| (at - from) as i32 + 1).collect()
        })
    };
    Ok((0..call.rows).map(of).collect())
}

fn trim(call: &Call) -> Result<ArrayRef> {
    let (lists, count) = (call.column(0)?, call.number::<Int64Type>(1));
    let lists = lists.as_list::<i32>();
    let (mut kept, mut lengths, mut nulls) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..call.rows {
        let (from, length) = (lists.value_offsets()[row] as u32, i64::from(lists.value_length(row)));
        let count = count.at(row).filter(|_| lists.is_valid(row));
        if let Some(count) = count
            && !(0..=length).contains(&count)
        {
            return super::fail("2202E", format!("number of elements to trim must be between 0 and {length}"));
        }
        let left = count.map_or(0, |count| (length - count) as u32);
        kept.extend(from..from + left);
        lengths.push(left as usize);
        nulls.push(count.is_some());
    }
    let values = take(lists.values(), &UInt32Array::from(kept), None)?;
    let DataType::List(field) = &call.return_type else { return super::fail("XX000", "TRIM_ARRAY is an ARRAY") };
    let offsets = arrow::buffer::OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(arrow::array::ListArray::try_new(field.clone(), offsets, values, Some(nulls.into()))?))
}

/// Is the value one of the list? Not known where it is not and the list has a NULL.
fn equals_any(call: &Call) -> Result<ArrayRef> {
    let items = call.column(0)?;
    let lists = match call.column(1)? {
        // `'{1,2}'`: read as elements like the value.
        texts if *texts.data_type() == DataType::Utf8 => {
            let lists = DataType::new_list(items.data_type().clone(), true);
            super::read_text::read(texts.as_string::<i32>(), &lists, call.zone)?
        }
        lists => lists,
    };
    let lists = lists.as_list::<i32>();
    let values = lists.values();
    if items.data_type().is_null() || values.data_type().is_null() {
        let is_empty = |row: usize| lists.is_valid(row) && lists.value_length(row) == 0;
        return booleans(call.rows, |row| Ok(is_empty(row).then_some(false)));
    }
    let converter = RowConverter::new(vec![SortField::new(items.data_type().clone())])?;
    let (all, wanted) = (
        converter.convert_columns(std::slice::from_ref(values))?,
        converter.convert_columns(std::slice::from_ref(&items))?,
    );
    booleans(call.rows, |row| {
        if lists.is_null(row) {
            return Ok(None);
        }
        let (from, to) = (lists.value_offsets()[row] as usize, lists.value_offsets()[row + 1] as usize);
        if items.is_null(row) {
            return Ok((from == to).then_some(false));
        }
        let is_there = (from..to).any(|at| all.row(at) == wanted.row(row));
        Ok(if is_there || !(from..to).any(|at| values.is_null(at)) { Some(is_there) } else { None })
    })
}
