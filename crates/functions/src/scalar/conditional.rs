//! Choosing between values.

use super::call::{Call, Definition, Kind, Page, Returns};
use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::compute::kernels::cmp;
use arrow::compute::kernels::zip::zip;
use arrow::compute::{is_not_null, is_null, nullif, or, prep_null_mask_filter};
use datafusion_common::Result;

use Kind::{Bool, Same};

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition {
        name: "if",
        aliases: &[],
        args: &[&[Bool, Same, Same]],
        variadic: false,
        returns: Returns::From(|signed| Ok(signed.types[1].clone())),
        body: if_else,
        page: Page {
            signature: "IF(condition BOOLEAN, value, other)",
            result: "the common type",
            text: "The value where the condition is TRUE, else the other one, also where the condition is NULL.",
            example: ("IF(1 > 2, 'more', 'less')", "less"),
        },
    },
    Definition {
        name: "nvl",
        aliases: &["ifnull"],
        args: &[&[Same, Same]],
        variadic: false,
        returns: Returns::From(|signed| Ok(signed.types[0].clone())),
        body: if_null,
        page: Page {
            signature: "IFNULL(value, other)",
            result: "the common type",
            text: "The value, or the other one where it is NULL.",
            example: ("IFNULL(NULL, 'none')", "none"),
        },
    },
    Definition {
        name: "greatest",
        aliases: &[],
        args: &[&[Same]],
        variadic: true,
        returns: Returns::From(|signed| Ok(signed.types[0].clone())),
        body: greatest,
        page: Page {
            signature: "GREATEST(value, …)",
            result: "the common type",
            text: "The greatest of the values. NULL if any of them is NULL.",
            example: ("GREATEST(3, 7, 5)", "7"),
        },
    },
    Definition {
        name: "least",
        aliases: &[],
        args: &[&[Same]],
        variadic: true,
        returns: Returns::From(|signed| Ok(signed.types[0].clone())),
        body: least,
        page: Page {
            signature: "LEAST(value, …)",
            result: "the common type",
            text: "The least of the values. NULL if any of them is NULL.",
            example: ("LEAST(3, 7, 5)", "3"),
        },
    },
];

fn if_else(call: &Call) -> Result<ArrayRef> {
    let condition = call.boolean(0);
    let conditions: BooleanArray = (0..call.rows).map(|row| Some(condition.at(row) == Some(true))).collect();
    Ok(zip(&conditions, &call.column(1)?, &call.column(2)?)?)
}

fn if_null(call: &Call) -> Result<ArrayRef> {
    let value = call.column(0)?;
    Ok(zip(&is_not_null(&value)?, &value, &call.column(1)?)?)
}

fn greatest(call: &Call) -> Result<ArrayRef> {
    fold(call, |next, best| Ok(cmp::gt(next, best)?))
}

fn least(call: &Call) -> Result<ArrayRef> {
    fold(call, |next, best| Ok(cmp::lt(next, best)?))
}

fn fold(call: &Call, better: fn(&ArrayRef, &ArrayRef) -> Result<BooleanArray>) -> Result<ArrayRef> {
    let mut best = call.column(0)?;
    for at in 1..call.len() {
        let next = call.column(at)?;
        let missing = or(&is_null(&best)?, &is_null(&next)?)?;
        let wins = better(&next, &best)?;
        let wins = if wins.null_count() == 0 { wins } else { prep_null_mask_filter(&wins) };
        let chosen = zip(&wins, &next, &best)?;
        best = nullif(&chosen, &missing)?;
    }
    Ok(best)
}
