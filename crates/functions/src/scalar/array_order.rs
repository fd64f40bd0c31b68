//! Arrays: parts of them, their order, several as one.

use super::array::{Picker, array, comparable, element_field, first_type, lists, range};
use super::call::{Call, Definition, Kind, Page, Returns, Signed};
use arrow::array::{Array, ArrayRef, ListArray};
use arrow::compute::concat;
use arrow::datatypes::DataType;
use arrow::row::Rows;
use datafusion_common::Result;
use std::collections::HashSet;

use Kind::{Bool, Int, List};

pub(super) const FUNCTIONS: &[Definition] = &[
    array(
        "array_slice",
        &[&[List, Int], &[List, Int, Int]],
        slice,
        "ARRAY_SLICE(array ARRAY<T>, start INT [, end INT])",
        "The elements from place `start`, from 1, to place `end`, both included; negative places count from the end, 0 is the first place. NULL if an argument is NULL.",
        ("ARRAY_SLICE(ARRAY[1, 2, 3], -2)", "[2, 3]"),
    ),
    array(
        "array_sort",
        &[&[List], &[List, Bool], &[List, Bool, Bool]],
        sort,
        "ARRAY_SORT(array ARRAY<T> [, ascending BOOLEAN [, nulls_first BOOLEAN]])",
        "The elements in order, by default ascending; NULLs first if it is ascending, else last, unless told. NULL if an argument is NULL.",
        ("ARRAY_SORT(ARRAY[3, 1, 2], FALSE)", "[3, 2, 1]"),
    ),
    Definition {
        name: "array_concat",
        aliases: &[],
        args: &[&[List]],
        variadic: true,
        returns: Returns::From(first_type),
        body: joined,
        page: Page {
            signature: "ARRAY_CONCAT(array ARRAY<T>, …)",
            result: "ARRAY<T>",
            text: "The elements of all arrays, one array after the other. NULL if any of them is NULL.",
            example: ("ARRAY_CONCAT(ARRAY[1], ARRAY[2, 3])", "[1, 2, 3]"),
        },
    },
    array(
        "array_union",
        &[&[List, List]],
        |call| distinct(call, |_, _| true),
        "ARRAY_UNION(array ARRAY<T>, other ARRAY<T>)",
        "The distinct elements of both arrays, as they come first. NULL if an argument is NULL.",
        ("ARRAY_UNION(ARRAY[1, 2], ARRAY[2, 3])", "[1, 2, 3]"),
    ),
    array(
        "array_except",
        &[&[List, List]],
        |call| distinct(call, |in_first, in_second| in_first && !in_second),
        "ARRAY_EXCEPT(array ARRAY<T>, other ARRAY<T>)",
        "The distinct elements of the first array that the second lacks. NULL if an argument is NULL.",
        ("ARRAY_EXCEPT(ARRAY[1, 2, 3], ARRAY[2])", "[1, 3]"),
    ),
    array(
        "array_intersect",
        &[&[List, List]],
        |call| distinct(call, |in_first, in_second| in_first && in_second),
        "ARRAY_INTERSECT(array ARRAY<T>, other ARRAY<T>)",
        "The distinct elements that both arrays have, in the order of the first. NULL if an argument is NULL.",
        ("ARRAY_INTERSECT(ARRAY[1, 2, 3], ARRAY[3, 2])", "[2, 3]"),
    ),
];

/// The places of the elements wanted, among `count`: `None` for NULL.
fn slice(call: &Call) -> Result<ArrayRef> {
    let (lists, start) = (lists(call, 0)?, call.int(1));
    let end = (call.len() == 3).then(|| call.int(2));
    let mut picker = Picker::new(call.rows);
    for row in 0..call.rows {
        let end = end.as_ref().map_or(Some(i64::MAX), |end| end.at(row));
        let (Some(range), Some(start), Some(end)) = (range(&lists, row), start.at(row), end) else {
            picker.end(false)?;
            continue;
        };
        let count = range.len() as i64;
        let place = |p: i64| if p < 0 { p.saturating_add(count) } else { p.max(1) - 1 };
        // A negative start before the first element is the first one.
        let (from, to) = (place(start).max(0), place(end).min(count - 1));
        (from..to.saturating_add(1)).for_each(|at| picker.pick(range.start + at as usize));
        picker.end(true)?;
    }
    picker.finish(&element_field(call)?, lists.values())
}

fn sort(call: &Call) -> Result<ArrayRef> {
    let lists = lists(call, 0)?;
    let flag = |at: usize| (call.len() > at).then(|| call.boolean(at));
    let (ascending, nulls_first) = (flag(1), flag(2));
    let rows = comparable(&[lists.values()])?;
    let mut picker = Picker::new(call.rows);
    let mut places: Vec<usize> = Vec::new();
    for row in 0..call.rows {
        let ascending = ascending.as_ref().map_or(Some(true), |flag| flag.at(row));
        let nulls_first = nulls_first.as_ref().map_or(ascending, |flag| flag.at(row));
        let (Some(range), Some(ascending), Some(nulls_first)) = (range(&lists, row), ascending, nulls_first) else {
            picker.end(false)?;
            continue;
        };
        places.clear();
        places.extend(range);
        places.sort_by(|a, b| {
            let (a_null, b_null) = (lists.values().is_null(*a), lists.values().is_null(*b));
            if a_null || b_null {
                let order = b_null.cmp(&a_null);
                return if nulls_first { order } else { order.reverse() };
            }
            let order = rows[0].row(*a).cmp(&rows[0].row(*b));
            if ascending { order } else { order.reverse() }
        });
        places.iter().for_each(|at| picker.pick(*at));
        picker.end(true)?;
    }
    picker.finish(&element_field(call)?, lists.values())
}

fn joined(call: &Call) -> Result<ArrayRef> {
    let all = (0..call.len()).map(|at| lists(call, at)).collect::<Result<Vec<ListArray>>>()?;
    let values = concat(&all.iter().map(|l| l.values().as_ref()).collect::<Vec<_>>())?;
    let mut picker = Picker::new(call.rows);
    for row in 0..call.rows {
        let valid = all.iter().all(|l| l.is_valid(row));
        let mut base = 0;
        for list in &all {
            if valid {
                range(list, row).unwrap_or(0..0).for_each(|at| picker.pick(base + at));
            }
            base += list.values().len();
        }
        picker.end(valid)?;
    }
    picker.finish(&element_field(call)?, &values)
}

/// The distinct elements of two arrays, of the first and then of the second, that are `wanted`, by where they occur.
fn distinct(call: &Call, wanted: fn(bool, bool) -> bool) -> Result<ArrayRef> {
    let (first, second) = (lists(call, 0)?, lists(call, 1)?);
    let rows: Vec<Rows> = comparable(&[first.values(), second.values()])?;
    let values = concat(&[first.values().as_ref(), second.values().as_ref()])?;
    let mut picker = Picker::new(call.rows);
    for row in 0..call.rows {
        let (Some(a), Some(b)) = (range(&first, row), range(&second, row)) else {
            picker.end(false)?;
            continue;
        };
        let bytes = |list: usize, at: usize| rows[list].row(at).data().to_vec();
        let in_first: HashSet<Vec<u8>> = a.clone().map(|at| bytes(0, at)).collect();
        let in_second: HashSet<Vec<u8>> = b.clone().map(|at| bytes(1, at)).collect();
        let mut seen = HashSet::new();
        for (list, at) in a.map(|at| (0, at)).chain(b.map(|at| (1, at))) {
            let key = bytes(list, at);
            if wanted(in_first.contains(&key), in_second.contains(&key)) && seen.insert(key) {
                picker.pick(at + if list == 0 { 0 } else { first.values().len() });
            }
        }
        picker.end(true)?;
    }
    picker.finish(&element_field(call)?, &values)
}

/// The type of the elements of an array argument.
pub(super) fn element_type(signed: &Signed<'_>, at: usize) -> Option<DataType> {
    match &signed.types[at] {
        DataType::List(field) => Some(field.data_type().clone()),
        _ => None,
    }
}
