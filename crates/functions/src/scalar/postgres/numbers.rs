//! Numbers.

use super::super::call::{Call, Definition, Kind, Returns, Signed, Type, numbers};
use super::{OUT_OF_RANGE, fail, function};
use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use arrow::compute::cast;
use arrow::compute::kernels::cmp::{gt, lt};
use arrow::compute::kernels::zip::zip;
use arrow::compute::{is_null, or, prep_null_mask_filter};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int32Type, Int64Type};
use datafusion_common::Result;
use std::sync::Arc;

use Kind::{Double, Int, Number, Same, SameNumber, Text};

const NEGATIVE_POWER: &str = "2201F";
const LOGARITHM: &str = "2201E";
const BY_ZERO: &str = "22012";

/// A function of doubles.
const fn double(
    name: &'static str,
    args: &'static [&'static [Kind]],
    body: fn(&Call) -> Result<ArrayRef>,
    signature: &'static str,
    text: &'static str,
    example: (&'static str, &'static str),
) -> Definition {
    function(name, args, Type::Double, body, (signature, "DOUBLE", text), example)
}

/// A function whose result is of the type of its arguments.
const fn like_first(
    name: &'static str,
    args: &'static [&'static [Kind]],
    body: fn(&Call) -> Result<ArrayRef>,
    page: (&'static str, &'static str, &'static str),
    example: (&'static str, &'static str),
) -> Definition {
    let returns = Returns::From(|signed| Ok(signed.types[0].clone()));
    Definition { returns, ..function(name, args, Type::Double, body, page, example) }
}

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition {
        variadic: true,
        ..like_first(
            "greatest",
            &[&[Same]],
            |call| extreme(call, true),
            ("GREATEST(value, …)", "the common type", "The greatest of the values that are not NULL."),
            ("GREATEST(3, NULL, 5)", "5"),
        )
    },
    Definition {
        variadic: true,
        ..like_first(
            "least",
            &[&[Same]],
            |call| extreme(call, false),
            ("LEAST(value, …)", "the common type", "The least of the values that are not NULL."),
            ("LEAST(3, NULL, 5)", "3"),
        )
    },
    Definition {
        returns: Returns::From(rounded_type),
        ..function(
            "round",
            &[&[Number], &[Number, Int]],
            Type::Double,
            round,
            (
                "ROUND(number [, digits])",
                "as number; a DECIMAL keeps that many digits",
                "Rounded; halves of a DECIMAL away from 0, those of a DOUBLE to the even number.",
            ),
            ("ROUND(2.5)", "3"),
        )
    },
    double(
        "log",
        &[&[Double], &[Double, Double]],
        |call| match call.len() {
            1 => logarithm(call, f64::log10),
            _ => logarithm_of(call),
        },
        "LOG([base,] number)",
        "The logarithm to a base, by default 10.",
        ("LOG(100)", "2.0"),
    ),
    double(
        "log10",
        &[&[Double]],
        |call| logarithm(call, f64::log10),
        "LOG10(number)",
        "The logarithm to base 10.",
        ("LOG10(1000)", "3.0"),
    ),
    double(
        "ln",
        &[&[Double]],
        |call| logarithm(call, f64::ln),
        "LN(number)",
        "The natural logarithm.",
        ("LN(1)", "0.0"),
    ),
    double(
        "sqrt",
        &[&[Double]],
        |call| {
            let number = call.number::<Float64Type>(0);
            numbers::<Float64Type>(call.rows, |row| match number.at(row) {
                Some(number) if number < 0.0 => fail(NEGATIVE_POWER, "cannot take square root of a negative number"),
                number => Ok(number.map(f64::sqrt)),
            })
        },
        "SQRT(number)",
        "The square root. An error for a negative number.",
        ("SQRT(2.25)", "1.5"),
    ),
    double(
        "power",
        &[&[Double, Double]],
        power,
        "POWER(base, exponent), base ^ exponent",
        "The base to the power of the exponent.",
        ("POWER(2, 10)", "1024.0"),
    ),
    like_first(
        "div",
        &[&[SameNumber, SameNumber]],
        whole_quotient,
        ("DIV(dividend, divisor)", "the common type", "The quotient without what is behind the point."),
        ("DIV(-7, 2)", "-3"),
    ),
    Definition {
        returns: Returns::From(|_| Ok(DataType::Decimal128(38, 0))),
        ..function(
            "factorial",
            &[&[Int]],
            Type::Double,
            factorial,
            ("FACTORIAL(number)", "DECIMAL(38, 0)", "The product of all numbers from 1 to this one, of 33 at most."),
            ("FACTORIAL(5)", "120"),
        )
    },
    double(
        "cbrt",
        &[&[Double]],
        |call| {
            let number = call.number::<Float64Type>(0);
            numbers::<Float64Type>(call.rows, |row| Ok(number.at(row).map(f64::cbrt)))
        },
        "CBRT(number)",
        "The cube root.",
        ("CBRT(27)", "3.0"),
    ),
    function(
        "scale",
        &[&[Number]],
        Type::Int,
        |call| {
            let scale = match call.raw(0).0.data_type() {
                DataType::Decimal128(_, scale) => i32::from(*scale),
                _ => 0,
            };
            let (array, constant) = call.raw(0);
            numbers::<Int32Type>(call.rows, |row| Ok(array.is_valid(if constant { 0 } else { row }).then_some(scale)))
        },
        ("SCALE(number)", "INT", "How many digits a DECIMAL has behind the point."),
        ("SCALE(1.230)", "3"),
    ),
    Definition {
        returns: Returns::From(number_type),
        ..function(
            "to_number",
            &[&[Text, Text]],
            Type::Double,
            to_number,
            (
                "TO_NUMBER(text, pattern)",
                "DECIMAL with as many digits behind the point as the pattern",
                "The number that a text says in a pattern of PostgreSQL.",
            ),
            ("TO_NUMBER('1,234.56', '9,999.99')", "1234.56"),
        )
    },
    function(
        "width_bucket",
        &[&[Double, Double, Double, Int]],
        Type::Int,
        width_bucket,
        (
            "WIDTH_BUCKET(number, low, high, count)",
            "INT",
            "In which of so many equal parts between low and high the number is, from 1; 0 before, count + 1 behind them.",
        ),
        ("WIDTH_BUCKET(5.35, 0.024, 10.06, 5)", "3"),
    ),
    Definition {
        variadic: true,
        ..function(
            "num_nulls",
            &[&[Kind::Any]],
            Type::Int,
            |call| count_nulls(call, true),
            ("NUM_NULLS(value, …)", "INT", "How many of the values are NULL."),
            ("NUM_NULLS(1, NULL, 2)", "1"),
        )
    },
    Definition {
        variadic: true,
        ..function(
            "num_nonnulls",
            &[&[Kind::Any]],
            Type::Int,
            |call| count_nulls(call, false),
            ("NUM_NONNULLS(value, …)", "INT", "How many of the values are not NULL."),
            ("NUM_NONNULLS(1, NULL, 2)", "2"),
        )
    },
];

fn count_nulls(call: &Call, is_null: bool) -> Result<ArrayRef> {
    numbers::<Int32Type>(call.rows, |row| {
        let counts = |at: &usize| {
            let (array, constant) = call.raw(*at);
            (array.is_null(if constant { 0 } else { row }) || array.data_type().is_null()) == is_null
        };
        Ok(i32::try_from((0..call.len()).filter(counts).count()).ok())
    })
}

fn factorial(call: &Call) -> Result<ArrayRef> {
    let number = call.int(0);
    let found = numbers::<Decimal128Type>(call.rows, |row| match number.at(row) {
        Some(number) if number < 0 => fail(OUT_OF_RANGE, "factorial of a negative number is undefined"),
        Some(number) if number > 33 => fail(OUT_OF_RANGE, "value overflows numeric format"),
        number => Ok(number.map(|number| (1..=i128::from(number)).product())),
    })?;
    Ok(Arc::new(found.as_primitive::<Decimal128Type>().clone().with_precision_and_scale(38, 0)?))
}

/// Column by column: the other one where this is NULL or less.
fn extreme(call: &Call, is_greatest: bool) -> Result<ArrayRef> {
    let mut best = call.column(0)?;
    for at in 1..call.len() {
        let other = call.column(at)?;
        if other.data_type().is_null() {
            return Ok(best);
        }
        let is_better = if is_greatest { gt(&other, &best)? } else { lt(&other, &best)? };
        // Where one of them is NULL the comparison is, too.
        let is_better = if is_better.null_count() > 0 { prep_null_mask_filter(&is_better) } else { is_better };
        best = zip(&or(&is_better, &is_null(&best)?)?, &other, &best)?;
    }
    Ok(best)
}

fn rounded_type(signed: &Signed<'_>) -> Result<DataType> {
    Ok(match &signed.types[0] {
        DataType::Decimal128(precision, scale) => {
            let digits = match signed.types.len() {
                1 => 0,
                _ => signed.constants.get(1).copied().flatten().map_or(i64::from(*scale), |digits| {
                    digits.to_string().parse().unwrap_or_else(|_| i64::from(*scale))
                }),
            };
            let kept = digits.clamp(0, i64::from(*scale).max(0)) as i8;
            DataType::Decimal128((*precision + 1).min(38), kept)
        }
        DataType::Float32 => DataType::Float64,
        integer if integer.is_integer() && signed.types.len() > 1 => DataType::Decimal128(38, 0),
        integer if integer.is_integer() => DataType::Float64,
        other => other.clone(),
    })
}

fn round(call: &Call) -> Result<ArrayRef> {
    let digits = (call.len() > 1).then(|| call.int(1));
    match &call.return_type {
        DataType::Decimal128(precision, scale) => {
            let (array, constant) = call.raw(0);
            let from = match array.data_type() {
                DataType::Decimal128(..) => array.clone(),
                _ => cast(array, &DataType::Decimal128(38, 0))?,
            };
            let (values, from_scale) =
                (from.as_primitive::<Decimal128Type>(), from.as_primitive::<Decimal128Type>().scale());
            let mut out = Vec::with_capacity(call.rows);
            for row in 0..call.rows {
                let at = if constant { 0 } else { row };
                let digits = digits.as_ref().map_or(Some(0), |digits| digits.at(row));
                out.push(match (values.is_valid(at), digits) {
                    (true, Some(digits)) => Some(rounded(values.value(at), from_scale, digits, *scale)?),
                    _ => None,
                });
            }
            Ok(Arc::new(out.into_iter().collect::<Decimal128Array>().with_precision_and_scale(*precision, *scale)?))
        }
        _ => {
            let column = cast(&call.column(0)?, &DataType::Float64)?;
            let values = column.as_primitive::<Float64Type>();
            let rounded: ArrayRef = Arc::new(values.unary::<_, Float64Type>(f64::round_ties_even));
            Ok(rounded)
        }
    }
}

/// A number of so many digits behind the point, rounded to `digits` of them, as one with `to`.
fn rounded(value: i128, scale: i8, digits: i64, to: i8) -> Result<i128> {
    let too_large = || fail(OUT_OF_RANGE, "value overflows numeric format");
    let drop = i64::from(scale) - digits;
    let value = match u32::try_from(drop) {
        Ok(drop) if drop > 0 => match 10i128.checked_pow(drop) {
            Some(unit) => {
                let half = unit / 2;
                let away = if value < 0 { value - half } else { value + half };
                away / unit * unit
            }
            None => 0,
        },
        _ => value,
    };
    let change = i32::from(to) - i32::from(scale);
    let Some(unit) = 10i128.checked_pow(change.unsigned_abs()) else { return too_large() };
    match change >= 0 {
        true => value.checked_mul(unit).map_or_else(too_large, Ok),
        false => Ok(value / unit),
    }
}

fn logarithm(call: &Call, of: fn(f64) -> f64) -> Result<ArrayRef> {
    let number = call.number::<Float64Type>(0);
    numbers::<Float64Type>(call.rows, |row| number.at(row).map(|number| checked(number, of)).transpose())
}

fn checked(number: f64, of: fn(f64) -> f64) -> Result<f64> {
    match number {
        0.0 => fail(LOGARITHM, "cannot take logarithm of zero"),
        number if number < 0.0 => fail(LOGARITHM, "cannot take logarithm of a negative number"),
        number => Ok(of(number)),
    }
}

fn logarithm_of(call: &Call) -> Result<ArrayRef> {
    let (base, number) = (call.number::<Float64Type>(0), call.number::<Float64Type>(1));
    numbers::<Float64Type>(call.rows, |row| {
        let (Some(base), Some(number)) = (base.at(row), number.at(row)) else { return Ok(None) };
        let (below, above) = (checked(base, f64::ln)?, checked(number, f64::ln)?);
        if below == 0.0 {
            return fail(BY_ZERO, "division by zero");
        }
        let found = above / below;
        // What is whole but for the last digits is whole.
        let whole = found.round();
        Ok(Some(if base.powf(whole) == number { whole } else { found }))
    })
}

fn power(call: &Call) -> Result<ArrayRef> {
    let (base, exponent) = (call.number::<Float64Type>(0), call.number::<Float64Type>(1));
    numbers::<Float64Type>(call.rows, |row| {
        let (Some(base), Some(exponent)) = (base.at(row), exponent.at(row)) else { return Ok(None) };
        if base == 0.0 && exponent < 0.0 {
            return fail(NEGATIVE_POWER, "zero raised to a negative power is undefined");
        }
        if base < 0.0 && exponent.fract() != 0.0 {
            return fail(NEGATIVE_POWER, "a negative number raised to a non-integer power yields a complex result");
        }
        let found = base.powf(exponent);
        match found.is_infinite() && base.is_finite() && exponent.is_finite() {
            true => fail(OUT_OF_RANGE, "value out of range: overflow"),
            false => Ok(Some(found)),
        }
    })
}

/// Any result but one.
fn by_zero<T>() -> Result<T> {
    fail(BY_ZERO, "division by zero")
}

fn whole_quotient(call: &Call) -> Result<ArrayRef> {
    match &call.return_type {
        DataType::Decimal128(precision, scale) => {
            let (dividend, divisor) = (call.number::<Decimal128Type>(0), call.number::<Decimal128Type>(1));
            let unit = 10i128.pow(u32::try_from(*scale).unwrap_or(0));
            let found = numbers::<Decimal128Type>(call.rows, |row| match (dividend.at(row), divisor.at(row)) {
                (Some(_), Some(0)) => by_zero(),
                (Some(a), Some(b)) => Ok((a / b).checked_mul(unit)),
                _ => Ok(None),
            })?;
            let found = found.as_primitive::<Decimal128Type>().clone();
            Ok(Arc::new(found.with_precision_and_scale(*precision, *scale)?))
        }
        to if to.is_integer() => {
            let (a, b) = (cast(&call.column(0)?, &DataType::Int64)?, cast(&call.column(1)?, &DataType::Int64)?);
            let (a, b) = (a.as_primitive::<Int64Type>(), b.as_primitive::<Int64Type>());
            let found = numbers::<Int64Type>(call.rows, |row| match (a.is_valid(row), b.is_valid(row)) {
                (true, true) if b.value(row) == 0 => by_zero(),
                (true, true) => match a.value(row).checked_div(b.value(row)) {
                    Some(found) => Ok(Some(found)),
                    None => fail(OUT_OF_RANGE, "bigint out of range"),
                },
                _ => Ok(None),
            })?;
            Ok(cast(&found, to)?)
        }
        to => {
            let (a, b) = (cast(&call.column(0)?, &DataType::Float64)?, cast(&call.column(1)?, &DataType::Float64)?);
            let (a, b) = (a.as_primitive::<Float64Type>(), b.as_primitive::<Float64Type>());
            let found = numbers::<Float64Type>(call.rows, |row| match (a.is_valid(row), b.is_valid(row)) {
                (true, true) if b.value(row) == 0.0 => by_zero(),
                (true, true) => Ok(Some((a.value(row) / b.value(row)).trunc())),
                _ => Ok(None),
            })?;
            Ok(cast(&found, to)?)
        }
    }
}

fn number_type(signed: &Signed<'_>) -> Result<DataType> {
    let behind = signed
        .text(1)
        .and_then(|pattern| pattern.split_once(['.', 'D']))
        .map_or(0, |(_, behind)| behind.chars().filter(|c| matches!(c, '9' | '0')).count().min(18));
    Ok(DataType::Decimal128(38, behind as i8))
}

/// Digits and signs count, whatever stands between them.
fn to_number(call: &Call) -> Result<ArrayRef> {
    let DataType::Decimal128(precision, scale) = call.return_type else {
        return fail("XX000", "TO_NUMBER is a DECIMAL");
    };
    let (text, pattern) = (call.text(0), call.text(1));
    let found = numbers::<Decimal128Type>(call.rows, |row| {
        let (Some(text), Some(_)) = (text.at(row), pattern.at(row)) else { return Ok(None) };
        let plain: String = text.chars().filter(|c| c.is_ascii_digit() || *c == '.').collect();
        let (whole, behind) = plain.split_once('.').unwrap_or((&plain, ""));
        if whole.is_empty() && behind.is_empty() {
            return fail("22P02", format!("invalid input syntax for type numeric: \"{text}\""));
        }
        let kept: String = behind.chars().chain(std::iter::repeat('0')).take(scale.max(0) as usize).collect();
        let Ok(value) = format!("{whole}{kept}").parse::<i128>() else {
            return fail(OUT_OF_RANGE, "value overflows numeric format");
        };
        let is_negative = text.contains('-') || text.contains('<');
        Ok(Some(if is_negative { -value } else { value }))
    })?;
    Ok(Arc::new(found.as_primitive::<Decimal128Type>().clone().with_precision_and_scale(precision, scale)?))
}

fn width_bucket(call: &Call) -> Result<ArrayRef> {
    let [number, low, high] = [0, 1, 2].map(|at| call.number::<Float64Type>(at));
    let count = call.int(3);
    numbers::<Int32Type>(call.rows, |row| {
        let (Some(number), Some(low), Some(high), Some(count)) =
            (number.at(row), low.at(row), high.at(row), count.at(row))
        else {
            return Ok(None);
        };
        if count <= 0 {
            return fail("2201G", "count must be greater than zero");
        }
        if low == high {
            return fail("2201G", "lower bound cannot equal upper bound");
        }
        let (number, low, high) = if low < high { (number, low, high) } else { (-number, -low, -high) };
        let found = match number {
            number if number < low => 0,
            number if number >= high => count + 1,
            number => ((number - low) / (high - low) * count as f64) as i64 + 1,
        };
        Ok(i32::try_from(found).ok())
    })
}
