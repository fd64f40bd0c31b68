//! The value of a subquery that stands for one.

use super::call::{Call, Definition, Kind, Page, Returns};
use super::postgres::FunctionError;
use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use datafusion_common::{DataFusionError, Result, plan_err};

/// What the planner puts above a subquery of which nobody knows that it has one row at most.
pub(super) const FUNCTIONS: &[Definition] = &[Definition {
    name: "only_value",
    aliases: &[],
    args: &[&[Kind::List]],
    variadic: false,
    returns: Returns::From(|signed| match &signed.types[0] {
        DataType::List(item) => Ok(item.data_type().clone()),
        other => plan_err!("ONLY_VALUE takes an ARRAY, not {other}"),
    }),
    body: only_value,
    page: Page {
        signature: "ONLY_VALUE(array ARRAY)",
        result: "the type of the elements",
        text: "The element of an array that has one; NULL if it has none, or is NULL. An error if it has several.",
        example: ("ONLY_VALUE(ARRAY[7])", "7"),
    },
}];

fn only_value(call: &Call) -> Result<ArrayRef> {
    let lists = call.column(0)?;
    let lists = lists.as_list::<i32>();
    let mut places = Vec::with_capacity(lists.len());
    for row in 0..lists.len() {
        let (from, to) = (lists.value_offsets()[row], lists.value_offsets()[row + 1]);
        places.push(match to - from {
            _ if lists.is_null(row) => None,
            0 => None,
            1 => u32::try_from(from).ok(),
            _ => {
                let message = "more than one row returned by a subquery used as an expression".to_owned();
                return Err(DataFusionError::External(Box::new(FunctionError { sqlstate: "21000", message })));
            }
        });
    }
    Ok(take(lists.values(), &UInt32Array::from(places), None)?)
}
