//! Numbers: what Flink computes exactly or otherwise than DataFusion.

use super::call::{Call, Definition, Kind, Page, Returns, Signed, Type, numbers, texts};
use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array};
use arrow::compute::cast;
use arrow::compute::kernels::numeric::rem;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
use arrow::error::ArrowError;
use datafusion_common::{Result, ScalarValue, exec_err};
use std::fmt::Write;
use std::sync::Arc;

use Kind::{Bytes, Double, Int, Number, SameNumber};

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition {
        name: "mod",
        aliases: &[],
        args: &[&[SameNumber, SameNumber]],
        variadic: false,
        returns: Returns::From(|signed| Ok(signed.types[0].clone())),
        body: modulo,
        page: Page {
            signature: "MOD(dividend, divisor)",
            result: "the common type",
            text: "The rest of a division, with the sign of the dividend. NULL if an argument is NULL; a divisor of 0 is an error.",
            example: ("MOD(-7, 3)", "-1"),
        },
    },
    Definition {
        name: "truncate",
        aliases: &["trunc"],
        args: &[&[Number], &[Number, Int]],
        variadic: false,
        returns: Returns::From(truncate_type),
        body: truncate,
        page: Page {
            signature: "TRUNCATE(number [, digits INT])",
            result: "as number; a DECIMAL keeps that many digits after the point",
            text: "The number cut after so many digits behind the point, 0 by default; a negative count cuts in front of it. NULL if an argument is NULL.",
            example: ("TRUNCATE(42.345, 2)", "42.34"),
        },
    },
    Definition {
        name: "sign",
        aliases: &["signum"],
        args: &[&[Number]],
        variadic: false,
        returns: Returns::From(|signed| Ok(signed.types[0].clone())),
        body: sign,
        page: Page {
            signature: "SIGN(number)",
            result: "as number",
            text: "-1, 0 or 1. NULL if the number is NULL.",
            example: ("SIGN(-3.5)", "-1.0"),
        },
    },
    double(
        "power",
        &["pow"],
        &[&[Double, Double]],
        power,
        "POWER(base, exponent)",
        "The base to the power of the exponent. NULL if an argument is NULL.",
        ("POWER(2, 10)", "1024.0"),
    ),
    double(
        "log",
        &[],
        &[&[Double], &[Double, Double]],
        log,
        "LOG([base,] number)",
        "The logarithm to a base, by default e (DataFusion: 10). NULL if an argument is NULL.",
        ("LOG(2, 8)", "3.0"),
    ),
    double(
        "sqrt",
        &[],
        &[&[Double]],
        sqrt,
        "SQRT(number)",
        "The square root; NaN for a negative number. NULL if the number is NULL.",
        ("SQRT(2.25)", "1.5"),
    ),
    double("e", &[], &[&[]], e, "E()", "Euler's number.", ("E()", "2.718281828459045")),
    Definition {
        name: "bin",
        aliases: &[],
        args: &[&[Int]],
        variadic: false,
        returns: Returns::Type(Type::Text),
        body: bin,
        page: Page {
            signature: "BIN(number BIGINT)",
            result: "STRING",
            text: "The number in binary. NULL if the number is NULL.",
            example: ("BIN(4)", "100"),
        },
    },
    Definition {
        name: "hex",
        aliases: &[],
        args: &[&[Int], &[Bytes]],
        variadic: false,
        returns: Returns::Type(Type::Text),
        body: hex,
        page: Page {
            signature: "HEX(number BIGINT) or HEX(text STRING | BYTES)",
            result: "STRING",
            text: "The number, or the bytes, in hexadecimal. NULL if the argument is NULL.",
            example: ("HEX('hello')", "68656C6C6F"),
        },
    },
];

const fn double(
    name: &'static str,
    aliases: &'static [&'static str],
    args: &'static [&'static [Kind]],
    body: fn(&Call) -> Result<ArrayRef>,
    signature: &'static str,
    text: &'static str,
    example: (&'static str, &'static str),
) -> Definition {
    let returns = Returns::Type(Type::Double);
    Definition {
        name,
        aliases,
        args,
        variadic: false,
        returns,
        body,
        page: Page { signature, result: "DOUBLE", text, example },
    }
}

fn modulo(call: &Call) -> Result<ArrayRef> {
    match rem(&call.column(0)?, &call.column(1)?) {
        Ok(rest) => Ok(rest),
        Err(ArrowError::DivideByZero) => exec_err!("MOD: division by zero"),
        Err(error) => Err(error.into()),
    }
}

/// Digits that are kept of a decimal: a constant count between none and all it has.
fn kept_digits(scale: i8, digits: i64) -> i8 {
    digits.clamp(0, i64::from(scale.max(0))) as i8
}

fn truncate_type(signed: &Signed<'_>) -> Result<DataType> {
    let digits = match signed.constants.get(1).copied().flatten() {
        Some(ScalarValue::Int64(Some(digits))) => Some(*digits),
        None if signed.types.len() == 1 => Some(0),
        _ => None,
    };
    Ok(match (&signed.types[0], digits) {
        (DataType::Decimal128(precision, scale), Some(digits)) => {
            let kept = kept_digits(*scale, digits);
            DataType::Decimal128((*precision as i8 - scale + kept).max(1) as u8, kept)
        }
        (DataType::Float32, _) => DataType::Float64,
        (other, _) => other.clone(),
    })
}

fn truncate(call: &Call) -> Result<ArrayRef> {
    let digits = (call.len() == 2).then(|| call.int(1));
    let digits = |row: usize| digits.as_ref().map_or(Some(0), |digits| digits.at(row));
    let column = call.column(0)?;
    match column.data_type() {
        DataType::Decimal128(_, scale) => {
            let (DataType::Decimal128(precision, kept), values) =
                (&call.return_type, column.as_primitive::<Decimal128Type>())
            else {
                return exec_err!("TRUNCATE of {} as {}", column.data_type(), call.return_type);
            };
            let smaller = 10i128.pow((scale - kept).max(0) as u32);
            let cut = |row: usize| {
                let value = values.is_valid(row).then(|| values.value(row))?;
                let dropped = i64::from(*scale).saturating_sub(digits(row)?);
                let unit = 10i128.checked_pow(dropped.clamp(0, 39) as u32);
                Some(unit.map_or(0, |unit| (value - value % unit) / smaller))
            };
            let cuts: Decimal128Array = (0..call.rows).map(cut).collect();
            Ok(Arc::new(cuts.with_precision_and_scale(*precision, *kept)?))
        }
        DataType::Float32 | DataType::Float64 => {
            let column = cast(&column, &DataType::Float64)?;
            let values = column.as_primitive::<Float64Type>();
            let cut = |row: usize| {
                let value = values.is_valid(row).then(|| values.value(row))?;
                let factor = 10f64.powi(digits(row)?.clamp(-400, 400) as i32);
                if factor == 0.0 {
                    return Some(value * 0.0);
                }
                let cut = (value * factor).trunc() / factor;
                Some(if cut.is_finite() { cut } else { value })
            };
            Ok(Arc::new((0..call.rows).map(cut).collect::<Float64Array>()))
        }
        _ => {
            let column = cast(&column, &DataType::Int64)?;
            let values = column.as_primitive::<Int64Type>();
            let cut = |row: usize| {
                let value = values.is_valid(row).then(|| values.value(row))?;
                let unit = 10i64.checked_pow(digits(row)?.saturating_neg().clamp(0, 19) as u32);
                Some(unit.map_or(0, |unit| value - value % unit))
            };
            let cuts: ArrayRef = Arc::new((0..call.rows).map(cut).collect::<Int64Array>());
            Ok(cast(&cuts, &call.return_type)?)
        }
    }
}

fn sign(call: &Call) -> Result<ArrayRef> {
    let column = call.column(0)?;
    let signs: ArrayRef = match column.data_type() {
        DataType::Decimal128(..) => {
            let values = column.as_primitive::<Decimal128Type>();
            Arc::new(values.iter().map(|v| v.map(|v| v.signum() as i64)).collect::<Int64Array>())
        }
        DataType::Float32 | DataType::Float64 => {
            let column = cast(&column, &DataType::Float64)?;
            let sign = |v: f64| if v == 0.0 || v.is_nan() { v } else { v.signum() };
            Arc::new(column.as_primitive::<Float64Type>().unary::<_, Float64Type>(sign))
        }
        _ => {
            let column = cast(&column, &DataType::Int64)?;
            Arc::new(column.as_primitive::<Int64Type>().unary::<_, Int64Type>(i64::signum))
        }
    };
    Ok(cast(&signs, &call.return_type)?)
}

fn power(call: &Call) -> Result<ArrayRef> {
    let (base, exponent) = (call.number::<Float64Type>(0), call.number::<Float64Type>(1));
    numbers::<Float64Type>(call.rows, |row| {
        Ok(base.at(row).zip(exponent.at(row)).map(|(base, exponent)| base.powf(exponent)))
    })
}

fn log(call: &Call) -> Result<ArrayRef> {
    let number = call.number::<Float64Type>(call.len() - 1);
    let base = (call.len() == 2).then(|| call.number::<Float64Type>(0));
    numbers::<Float64Type>(call.rows, |row| {
        let Some(number) = number.at(row) else { return Ok(None) };
        Ok(match &base {
            None => Some(number.ln()),
            Some(base) => base.at(row).map(|base| match base {
                2.0 => number.log2(),
                10.0 => number.log10(),
                _ => number.ln() / base.ln(),
            }),
        })
    })
}

fn sqrt(call: &Call) -> Result<ArrayRef> {
    let number = call.number::<Float64Type>(0);
    numbers::<Float64Type>(call.rows, |row| Ok(number.at(row).map(f64::sqrt)))
}

fn e(call: &Call) -> Result<ArrayRef> {
    numbers::<Float64Type>(call.rows, |_| Ok(Some(std::f64::consts::E)))
}

fn bin(call: &Call) -> Result<ArrayRef> {
    let input = call.int(0);
    texts(call.rows, |row, out| Ok(input.at(row).is_some_and(|number| write!(out, "{number:b}").is_ok())))
}

fn hex(call: &Call) -> Result<ArrayRef> {
    if call.raw(0).0.data_type() == &DataType::Int64 {
        let input = call.int(0);
        return texts(call.rows, |row, out| Ok(input.at(row).is_some_and(|number| write!(out, "{number:X}").is_ok())));
    }
    let column = cast(&call.column(0)?, &DataType::Binary)?;
    let input = column.as_binary::<i32>();
    texts(call.rows, |row, out| {
        Ok(input.is_valid(row) && input.value(row).iter().all(|byte| write!(out, "{byte:02X}").is_ok()))
    })
}
