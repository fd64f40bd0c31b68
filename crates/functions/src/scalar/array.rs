//! Arrays and their elements.

use super::call::{Call, Definition, Kind, Page, Returns, Signed, Type, booleans, numbers};
use super::type_name::type_name;
use arrow::array::{Array, ArrayRef, AsArray, ListArray, UInt32Array};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, FieldRef, Int32Type};
use arrow::row::{RowConverter, Rows, SortField};
use datafusion_common::{Result, exec_datafusion_err, exec_err, plan_err};
use std::ops::Range;
use std::sync::Arc;

use Kind::{Any, Item, List};

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition {
        name: "element",
        aliases: &[],
        args: &[&[Any]],
        variadic: false,
        returns: Returns::From(|signed| match &signed.types[0] {
            DataType::List(item) => Ok(item.data_type().clone()),
            other => plan_err!("ELEMENT takes an ARRAY, not {other}"),
        }),
        body: element,
        page: Page {
            signature: "ELEMENT(array ARRAY<T>)",
            result: "T",
            text: "The only element of an array. NULL if the array is NULL or empty; more than one element is an error.",
            example: ("ELEMENT(ARRAY[7])", "7"),
        },
    },
    array(
        "array_append",
        &[&[List, Item]],
        |call| insert(call, 0, 1),
        "ARRAY_APPEND(array ARRAY<T>, element T)",
        "The array with an element more at its end, NULL too. NULL if the array is NULL.",
        ("ARRAY_APPEND(ARRAY[1, 2], 3)", "[1, 2, 3]"),
    ),
    array(
        "array_prepend",
        &[&[List, Item]],
        |call| insert(call, 1, 0),
        "ARRAY_PREPEND(array ARRAY<T>, element T)",
        "The array with an element more at its beginning, NULL too. NULL if the array is NULL.",
        ("ARRAY_PREPEND(ARRAY[1, 2], 0)", "[0, 1, 2]"),
    ),
    array(
        "array_remove",
        &[&[List, Item]],
        remove,
        "ARRAY_REMOVE(array ARRAY<T>, element T)",
        "The array without all elements that equal the given one; NULL takes the NULLs out. NULL if the array is NULL.",
        ("ARRAY_REMOVE(ARRAY[1, 2, 1], 1)", "[2]"),
    ),
    Definition {
        name: "array_contains",
        aliases: &[],
        args: &[&[List, Item]],
        variadic: false,
        returns: Returns::Type(Type::Bool),
        body: contains,
        page: Page {
            signature: "ARRAY_CONTAINS(array ARRAY<T>, element T)",
            result: "BOOLEAN",
            text: "TRUE if an element equals the given one; NULL equals NULL here. NULL if the array is NULL.",
            example: ("ARRAY_CONTAINS(ARRAY[1, 2], 2)", "true"),
        },
    },
    Definition {
        name: "array_position",
        aliases: &[],
        args: &[&[List, Item]],
        variadic: false,
        returns: Returns::Type(Type::Int),
        body: position,
        page: Page {
            signature: "ARRAY_POSITION(array ARRAY<T>, element T)",
            result: "INT",
            text: "The first place, from 1, of an element in the array; 0 if it is not there. NULL if an argument is NULL.",
            example: ("ARRAY_POSITION(ARRAY[7, 9], 9)", "2"),
        },
    },
];

/// A function whose result is an array like its first argument.
pub(super) const fn array(
    name: &'static str,
    args: &'static [&'static [Kind]],
    body: fn(&Call) -> Result<ArrayRef>,
    signature: &'static str,
    text: &'static str,
    example: (&'static str, &'static str),
) -> Definition {
    Definition {
        name,
        aliases: &[],
        args,
        variadic: false,
        returns: Returns::From(first_type),
        body,
        page: Page { signature, result: "ARRAY<T>", text, example },
    }
}

/// The type of the first argument.
pub(super) fn first_type(signed: &Signed<'_>) -> Result<DataType> {
    Ok(signed.types[0].clone())
}

/// An argument that is an array in every row.
pub(super) fn lists(call: &Call, at: usize) -> Result<ListArray> {
    let column = call.column(at)?;
    let list = column.as_list_opt::<i32>().cloned();
    list.ok_or_else(|| {
        exec_datafusion_err!("{} takes an ARRAY, not {}", call.sql_name(), type_name(column.data_type()))
    })
}

/// Where the elements of a row's array lie among the values; `None` for NULL.
pub(super) fn range(lists: &ListArray, row: usize) -> Option<Range<usize>> {
    let offsets = lists.value_offsets();
    lists.is_valid(row).then(|| offsets[row] as usize..offsets[row + 1] as usize)
}

/// Values as comparable bytes: equal values, NULLs included, have equal bytes.
pub(super) fn comparable(columns: &[&ArrayRef]) -> Result<Vec<Rows>> {
    let Some(first) = columns.first() else { return Ok(vec![]) };
    let converter = RowConverter::new(vec![SortField::new(first.data_type().clone())])?;
    Ok(columns.iter().map(|c| converter.convert_columns(&[(*c).clone()])).collect::<arrow::error::Result<_>>()?)
}

/// Arrays made by picking values, one array after the other.
pub(super) struct Picker {
    indices: Vec<u32>,
    offsets: Vec<i32>,
    valid: Vec<bool>,
}

impl Picker {
    pub(super) fn new(rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self { indices: vec![], offsets, valid: Vec::with_capacity(rows) }
    }

    /// Picks the value at a place for the array that is not ended yet.
    pub(super) fn pick(&mut self, at: usize) {
        self.indices.push(at as u32);
    }

    /// Ends an array.
    ///
    /// # Errors
    /// More elements than a batch can hold.
    pub(super) fn end(&mut self, valid: bool) -> Result<()> {
        let end = i32::try_from(self.indices.len())
            .map_err(|_| exec_datafusion_err!("arrays of more than {} elements in a batch", i32::MAX))?;
        self.offsets.push(end);
        self.valid.push(valid);
        Ok(())
    }

    /// The arrays, from the values that were picked.
    pub(super) fn finish(self, field: &FieldRef, values: &ArrayRef) -> Result<ArrayRef> {
        let picked = take(values, &UInt32Array::from(self.indices), None)?;
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        let nulls = NullBuffer::from(self.valid);
        Ok(Arc::new(ListArray::try_new(field.clone(), offsets, picked, Some(nulls))?))
    }
}

/// The field of the elements of the result.
pub(super) fn element_field(call: &Call) -> Result<FieldRef> {
    match &call.return_type {
        DataType::List(field) => Ok(field.clone()),
        other => exec_err!("{} makes ARRAYs, not {}", call.sql_name(), type_name(other)),
    }
}

fn element(call: &Call) -> Result<ArrayRef> {
    let lists = lists(call, 0)?;
    let mut places = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        places.push(match range(&lists, row) {
            None => None,
            Some(range) if range.is_empty() => None,
            Some(range) if range.len() == 1 => Some(range.start as u32),
            Some(more) => return exec_err!("ELEMENT: the array has {} elements, not one", more.len()),
        });
    }
    Ok(take(lists.values(), &UInt32Array::from(places), None)?)
}

/// Each array with the item of its row, the one that comes first before the other.
fn insert(call: &Call, array_place: usize, item_place: usize) -> Result<ArrayRef> {
    let (lists, items) = (lists(call, 0)?, call.column(1)?);
    let values = concat(&[lists.values().as_ref(), items.as_ref()])?;
    let mut picker = Picker::new(call.rows);
    for row in 0..call.rows {
        let range = range(&lists, row);
        let valid = range.is_some();
        if valid && item_place < array_place {
            picker.pick(lists.values().len() + row);
        }
        range.unwrap_or(0..0).for_each(|at| picker.pick(at));
        if valid && item_place > array_place {
            picker.pick(lists.values().len() + row);
        }
        picker.end(valid)?;
    }
    picker.finish(&element_field(call)?, &values)
}

/// Arrays and an item per row, comparable.
struct Search {
    lists: ListArray,
    items: ArrayRef,
    rows: Vec<Rows>,
}

impl Search {
    fn new(call: &Call) -> Result<Self> {
        let (lists, items) = (lists(call, 0)?, call.column(1)?);
        let rows = comparable(&[lists.values(), &items])?;
        Ok(Self { lists, items, rows })
    }

    fn is_equal(&self, at: usize, row: usize) -> bool {
        self.rows[0].row(at) == self.rows[1].row(row)
    }
}

fn remove(call: &Call) -> Result<ArrayRef> {
    let search = Search::new(call)?;
    let mut picker = Picker::new(call.rows);
    for row in 0..call.rows {
        let range = range(&search.lists, row);
        let valid = range.is_some();
        range.unwrap_or(0..0).filter(|at| !search.is_equal(*at, row)).for_each(|at| picker.pick(at));
        picker.end(valid)?;
    }
    picker.finish(&element_field(call)?, search.lists.values())
}

fn contains(call: &Call) -> Result<ArrayRef> {
    let search = Search::new(call)?;
    booleans(call.rows, |row| Ok(range(&search.lists, row).map(|mut range| range.any(|at| search.is_equal(at, row)))))
}

fn position(call: &Call) -> Result<ArrayRef> {
    let search = Search::new(call)?;
    numbers::<Int32Type>(call.rows, |row| {
        if search.items.is_null(row) {
            return Ok(None);
        }
        let place = |mut range: Range<usize>| range.position(|at| search.is_equal(at, row)).map_or(0, |at| at + 1);
        Ok(range(&search.lists, row).map(|range| place(range) as i32))
    })
}
