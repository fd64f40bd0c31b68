//! Arrays: what DataFusion does not bring.

use super::call::{Call, Definition, Kind, Page, Returns};
use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use datafusion_common::{Result, exec_datafusion_err, exec_err, plan_err};

pub(super) const FUNCTIONS: &[Definition] = &[Definition {
    name: "element",
    aliases: &[],
    args: &[&[Kind::Any]],
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
}];

fn element(call: &Call) -> Result<ArrayRef> {
    let column = call.column(0)?;
    let lists = column.as_list_opt::<i32>().ok_or_else(|| exec_datafusion_err!("ELEMENT takes an ARRAY"))?;
    let mut places = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        places.push(match (lists.is_valid(row), lists.value_length(row)) {
            (false, _) | (true, 0) => None,
            (true, 1) => Some(lists.value_offsets()[row] as u32),
            (true, more) => return exec_err!("ELEMENT: the array has {more} elements, not one"),
        });
    }
    Ok(take(lists.values(), &UInt32Array::from(places), None)?)
}
