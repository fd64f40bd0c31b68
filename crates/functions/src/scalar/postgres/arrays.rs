//! Arrays.

use super::super::call::{Call, Definition, Kind, Returns, Signed, Type, booleans, numbers};
use super::function;
use arrow::array::{Array, ArrayRef, AsArray, Int32Builder, ListBuilder, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};
use arrow::row::{RowConverter, Rows, SortField};
use datafusion_common::Result;
use std::sync::Arc;

use Kind::{Any, Bool, Double, Int, Item, List, Text};

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
    Definition {
        returns: Returns::From(element),
        ..function(
            "most_frequent",
            &[&[List, Bool]],
            Type::Text,
            most_frequent,
            (
                "MODE() WITHIN GROUP (ORDER BY value [DESC])",
                "the type of the values",
                "The value that is there most often, of `array_agg(value)`, and whether it is DESC; of several, the first in their order. NULL if there is none.",
            ),
            ("MOST_FREQUENT(ARRAY[3, 1, 3], FALSE)", "3"),
        )
    },
    Definition {
        returns: Returns::From(element),
        ..function(
            "percentile_disc_of",
            &[&[List, Double, Bool]],
            Type::Text,
            percentile_disc,
            (
                "PERCENTILE_DISC(part) WITHIN GROUP (ORDER BY value [DESC])",
                "the type of the values",
                "The first value that has at least such a part of all values up to it, of `array_agg(value)`. NULL if there is none.",
            ),
            ("PERCENTILE_DISC_OF(ARRAY[4, 1, 10, 2], 0.5, FALSE)", "2"),
        )
    },
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

fn element(signed: &Signed<'_>) -> Result<DataType> {
    match signed.types.first() {
        Some(DataType::List(item)) => Ok(item.data_type().clone()),
        _ => super::fail("42883", "this is a function of an ARRAY"),
    }
}

/// Of each array, the element whose place `choose` finds among those that are not NULL, in their order.
fn chosen(
    call: &Call,
    descending: usize,
    choose: impl Fn(usize, &Ordered) -> Result<Option<usize>>,
) -> Result<ArrayRef> {
    let lists = call.column(0)?;
    let lists = lists.as_list::<i32>();
    let (values, descending) = (lists.values(), call.boolean(descending));
    let converter = RowConverter::new(vec![SortField::new(values.data_type().clone())])?;
    let keys = converter.convert_columns(std::slice::from_ref(values))?;
    let mut places = Vec::with_capacity(lists.len());
    for row in 0..lists.len() {
        let (from, to) = (lists.value_offsets()[row] as usize, lists.value_offsets()[row + 1] as usize);
        let mut there: Vec<usize> = (from..to).filter(|at| lists.is_valid(row) && values.is_valid(*at)).collect();
        there.sort_by(|a, b| keys.row(*a).cmp(&keys.row(*b)));
        if descending.at(row) == Some(true) {
            there.reverse();
        }
        let found = choose(row, &Ordered { keys: &keys, there: &there })?;
        places.push(found.and_then(|at| u32::try_from(there[at]).ok()));
    }
    Ok(take(values, &UInt32Array::from(places), None)?)
}

/// Elements of an array, in their order.
struct Ordered<'a> {
    keys: &'a Rows,
    there: &'a [usize],
}

fn most_frequent(call: &Call) -> Result<ArrayRef> {
    chosen(call, 1, |_, all| {
        let (mut best, mut most, mut begin) = (None, 0, 0);
        for alike in all.there.chunk_by(|a, b| all.keys.row(*a) == all.keys.row(*b)) {
            if alike.len() > most {
                (best, most) = (Some(begin), alike.len());
            }
            begin += alike.len();
        }
        Ok(best)
    })
}

fn percentile_disc(call: &Call) -> Result<ArrayRef> {
    let part = call.number::<Float64Type>(1);
    chosen(call, 2, |row, all| match part.at(row) {
        Some(part) if !(0.0..=1.0).contains(&part) => {
            super::fail(super::OUT_OF_RANGE, format!("percentile value {part} is not between 0 and 1"))
        }
        Some(part) if !all.there.is_empty() => {
            Ok(Some(((part * all.there.len() as f64).ceil() as usize).saturating_sub(1)))
        }
        _ => Ok(None),
    })
}

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
