//! CEIL and FLOOR of numbers, exact for decimals and integers.

use super::Zone;
use super::call::{Call, Definition, Function, Kind, Page, Returns, Signed, Type, texts};
use super::type_name::type_name;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Float32Type, Float64Type};
use datafusion_common::{Result, exec_err};
use datafusion_expr::ScalarUDF;
use std::fmt::Write;
use std::sync::Arc;

pub(super) const FUNCTIONS: &[Definition] = &[
    rounding(
        "ceil",
        &["ceiling"],
        ceil,
        "CEIL(number)",
        "The least whole number that is not less. NULL if the number is NULL. CEIL(time TO unit) is there too.",
        ("CEIL(-1.5)", "-1"),
    ),
    rounding(
        "floor",
        &[],
        floor,
        "FLOOR(number)",
        "The greatest whole number that is not greater. NULL if the number is NULL. FLOOR(time TO unit) is there too.",
        ("FLOOR(-1.5)", "-2"),
    ),
];

const fn rounding(
    name: &'static str,
    aliases: &'static [&'static str],
    body: fn(&Call) -> Result<ArrayRef>,
    signature: &'static str,
    text: &'static str,
    example: (&'static str, &'static str),
) -> Definition {
    Definition {
        name,
        aliases,
        args: &[&[Kind::Number]],
        variadic: false,
        returns: Returns::From(whole_type),
        body,
        page: Page { signature, result: "as number; DECIMAL without digits after the point", text, example },
    }
}

fn whole_type(signed: &Signed<'_>) -> Result<DataType> {
    Ok(match &signed.types[0] {
        // One digit more: 9.5 is rounded to 10.
        DataType::Decimal128(precision, scale) if *scale > 0 => {
            DataType::Decimal128((i16::from(*precision) - i16::from(*scale) + 1).clamp(1, 38) as u8, 0)
        }
        other => other.clone(),
    })
}

fn ceil(call: &Call) -> Result<ArrayRef> {
    rounded(call, f64::ceil, f32::ceil, |value, unit| value.div_euclid(unit) + i128::from(value.rem_euclid(unit) != 0))
}

fn floor(call: &Call) -> Result<ArrayRef> {
    rounded(call, f64::floor, f32::floor, i128::div_euclid)
}

fn rounded(
    call: &Call,
    double: fn(f64) -> f64,
    float: fn(f32) -> f32,
    unscaled: fn(i128, i128) -> i128,
) -> Result<ArrayRef> {
    let column = call.column(0)?;
    Ok(match column.data_type() {
        DataType::Float64 => Arc::new(column.as_primitive::<Float64Type>().unary::<_, Float64Type>(double)),
        DataType::Float32 => Arc::new(column.as_primitive::<Float32Type>().unary::<_, Float32Type>(float)),
        DataType::Decimal128(_, scale) if *scale > 0 => {
            let DataType::Decimal128(precision, _) = call.return_type else {
                return exec_err!(
                    "{} of {} as {}",
                    call.sql_name(),
                    type_name(column.data_type()),
                    type_name(&call.return_type)
                );
            };
            // No DECIMAL has more than 38 digits.
            let unit = 10i128.pow(u32::from(scale.unsigned_abs()).min(38));
            let whole = column.as_primitive::<Decimal128Type>().unary::<_, Decimal128Type>(|v| unscaled(v, unit));
            Arc::new(whole.with_precision_and_scale(precision, 0)?)
        }
        _ => column,
    })
}

const IN_RANGE: Definition = Definition {
    name: "in_range",
    aliases: &[],
    args: &[&[Kind::Number]],
    variadic: false,
    returns: Returns::From(|signed| Ok(signed.types[0].clone())),
    body: in_range,
    page: Page { signature: "IN_RANGE(decimal)", result: "as the argument", text: "", example: ("", "") },
};

/// The function that lets a DECIMAL through, and fails where it has more digits than its type. Arrow's arithmetic
/// does not look.
pub fn checked_decimal() -> ScalarUDF {
    ScalarUDF::from(Function::new(&IN_RANGE, Zone::utc()))
}

const WHOLE_PART: Definition = Definition {
    name: "whole_part",
    aliases: &[],
    args: &[&[Kind::Text]],
    variadic: false,
    returns: Returns::Type(Type::Text),
    body: whole_part_of,
    page: Page { signature: "WHOLE_PART(text)", result: "STRING", text: "", example: ("", "") },
};

/// The function that CASTs of STRING to an integer begin with: `' 4.7 '` is 4.
pub fn whole_part() -> ScalarUDF {
    ScalarUDF::from(Function::new(&WHOLE_PART, Zone::utc()))
}

/// Texts of numbers without blanks around and without digits behind the point; other texts as they are.
fn whole_part_of(call: &Call) -> Result<ArrayRef> {
    let column = call.column(0)?;
    let input = column.as_string::<i32>();
    let is_digit = |b: u8| b.is_ascii_digit();
    if input.value_data().iter().all(|b| is_digit(*b) || *b == b'-') {
        return Ok(column);
    }
    texts(call.rows, |row, out| {
        let Some(text) = input.is_valid(row).then(|| input.value(row)) else { return Ok(false) };
        let trimmed = text.trim();
        let whole = match trimmed.split_once('.') {
            Some((whole, rest)) if rest.bytes().all(is_digit) => match whole.trim_start_matches(['+', '-']) {
                "" if rest.is_empty() => trimmed,
                "" if whole.len() <= 1 => "0",
                _ => whole,
            },
            _ => trimmed,
        };
        Ok(out.write_str(whole).is_ok())
    })
}

fn in_range(call: &Call) -> Result<ArrayRef> {
    let column = call.column(0)?;
    if let DataType::Decimal128(precision, scale) = column.data_type() {
        let values = column.as_primitive::<Decimal128Type>();
        if values.validate_decimal_precision(*precision).is_err() {
            return exec_err!("overflow: a value has more digits than DECIMAL({precision}, {scale}) holds");
        }
    }
    Ok(column)
}
