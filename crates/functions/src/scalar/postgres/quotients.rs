//! Numbers of many digits multiplied and divided, with as many digits behind the point as PostgreSQL has at least.
//!
//! Not here: sums and differences, which Arrow computes exactly.

use super::super::call::{Call, Definition, Kind, Returns, Signed, Type};
use super::{OUT_OF_RANGE, fail, function};
use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Decimal128Builder};
use arrow::compute::cast;
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, i256};
use datafusion_common::Result;
use std::sync::Arc;

use Kind::Number;

/// Digits behind the point of a quotient, at least.
const DIGITS: i8 = 16;

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition {
        returns: Returns::From(quotient_type),
        ..function(
            "numeric_divide",
            &[&[Number, Number]],
            Type::Double,
            |call| each(call, quotient),
            (
                "number / number",
                "DECIMAL(38, 16), or with the digits of the numbers where these are more",
                "The quotient of DECIMALs, rounded, halves away from 0. An error if the divisor is 0.",
            ),
            ("2.0 / 3", "0.6666666666666667"),
        )
    },
    Definition {
        returns: Returns::From(quotient_type),
        ..function(
            "numeric_multiply",
            &[&[Number, Number]],
            Type::Double,
            |call| each(call, product),
            (
                "number * number",
                "DECIMAL(38, 16), or with the digits of the numbers where these are more",
                "The product of DECIMALs that together have more than 20 digits behind the point, rounded.",
            ),
            ("(2.0 / 3) * (1.0 / 3)", "0.2222222222222222"),
        )
    },
];

/// Do two numbers have so many digits behind the point that those of both leave too little room in front of it?
pub(super) fn is_long(left: &DataType, right: &DataType) -> bool {
    scale_of(left) + scale_of(right) > 20
}

fn scale_of(of: &DataType) -> i8 {
    if let DataType::Decimal128(_, scale) = of { *scale } else { 0 }
}

fn quotient_type(signed: &Signed<'_>) -> Result<DataType> {
    let scale = signed.types.iter().map(scale_of).fold(DIGITS, i8::max);
    Ok(DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale))
}

/// An argument as DECIMALs.
fn decimals(call: &Call, at: usize) -> Result<(Decimal128Array, bool)> {
    let (array, constant) = call.raw(at);
    let array = match array.data_type() {
        DataType::Decimal128(..) => array.clone(),
        _ => cast(array, &DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0))?,
    };
    Ok((array.as_primitive::<Decimal128Type>().clone(), constant))
}

/// `of` makes of two numbers and `shift`, by how many digits more or less the result has than they, the result.
fn each(call: &Call, of: fn(i128, i128, [i8; 3]) -> Result<Option<i128>>) -> Result<ArrayRef> {
    let ((left, is_left_constant), (right, is_right_constant)) = (decimals(call, 0)?, decimals(call, 1)?);
    let DataType::Decimal128(precision, scale) = call.return_type else {
        return fail("XX000", "a quotient of DECIMALs is a DECIMAL");
    };
    let scales = [left.scale(), right.scale(), scale];
    let mut out = Decimal128Builder::with_capacity(call.rows);
    for row in 0..call.rows {
        let (l, r) = (if is_left_constant { 0 } else { row }, if is_right_constant { 0 } else { row });
        if left.is_null(l) || right.is_null(r) {
            out.append_null();
            continue;
        }
        let found = of(left.value(l), right.value(r), scales)?;
        match found.filter(|found| found.unsigned_abs() < 10u128.pow(u32::from(precision))) {
            Some(found) => out.append_value(found),
            None => return fail(OUT_OF_RANGE, "value overflows numeric format"),
        }
    }
    Ok(Arc::new(out.finish().with_precision_and_scale(precision, scale)?))
}

fn quotient(left: i128, right: i128, [of_left, of_right, to]: [i8; 3]) -> Result<Option<i128>> {
    if right == 0 {
        return fail("22012", "division by zero");
    }
    // There are at least as many digits asked for as both have, so this is never negative.
    let shift = u32::try_from(i32::from(to) - i32::from(of_left) + i32::from(of_right)).unwrap_or(0);
    let narrow = 10i128.checked_pow(shift).and_then(|unit| left.checked_mul(unit));
    if let Some(dividend) = narrow {
        return Ok(rounded(dividend, right));
    }
    let dividend = i256::from_i128(10).checked_pow(shift).and_then(|unit| i256::from_i128(left).checked_mul(unit));
    Ok(dividend.and_then(|dividend| rounded_wide(dividend, i256::from_i128(right))))
}

fn product(left: i128, right: i128, [of_left, of_right, to]: [i8; 3]) -> Result<Option<i128>> {
    // A product is asked for with fewer digits than both have together.
    let shift = u32::try_from(i32::from(of_left) + i32::from(of_right) - i32::from(to)).unwrap_or(0);
    if let (Some(product), Some(unit)) = (left.checked_mul(right), 10i128.checked_pow(shift)) {
        return Ok(rounded(product, unit));
    }
    let product = i256::from_i128(left).checked_mul(i256::from_i128(right));
    let unit = i256::from_i128(10).checked_pow(shift);
    Ok(product.zip(unit).and_then(|(product, unit)| rounded_wide(product, unit)))
}

/// Halves go away from 0; `None`: there is no room for it.
fn rounded(dividend: i128, divisor: i128) -> Option<i128> {
    let (found, rest) = (dividend.checked_div(divisor)?, dividend.checked_rem(divisor)?);
    let is_up = rest.unsigned_abs() >= divisor.unsigned_abs() - rest.unsigned_abs();
    let sign = if (dividend < 0) == (divisor < 0) { 1 } else { -1 };
    if is_up { found.checked_add(sign) } else { Some(found) }
}

fn rounded_wide(dividend: i256, divisor: i256) -> Option<i128> {
    let (found, rest) = (dividend.checked_div(divisor)?, dividend.checked_rem(divisor)?);
    let rest = rest.wrapping_abs();
    let is_up = rest >= divisor.wrapping_abs().wrapping_sub(rest);
    let sign = if (dividend < i256::ZERO) == (divisor < i256::ZERO) { 1 } else { -1 };
    let found = if is_up { found.checked_add(i256::from_i128(sign))? } else { found };
    found.to_i128()
}
