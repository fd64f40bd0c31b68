//! What is wrong with values, where Arrow's kernels say it: in PostgreSQL's words, with its SQLSTATEs.

use super::SqlError;
use arrow::error::ArrowError;

impl SqlError {
    /// What a kernel says of a value; `None`: it says something else, or nothing that PostgreSQL has other words for.
    pub fn of_kernel(error: &ArrowError) -> Option<Self> {
        let out_of_range = |message: String| Self::new(Self::OUT_OF_RANGE, message);
        match error {
            ArrowError::DivideByZero => Some(Self::new("22012", "division by zero")),
            ArrowError::ArithmeticOverflow(message) => Some(out_of_range(overflow(message))),
            ArrowError::CastError(message) if message.starts_with("Can't cast value") => {
                let name = sql_name(message.rsplit_once("to type ")?.1)?;
                Some(out_of_range(format!("{name} out of range")))
            }
            ArrowError::CastError(message) if is_of_decimal(message) => {
                Some(out_of_range("numeric field overflow".into()))
            }
            ArrowError::CastError(message) => {
                let (text, to) = message.strip_prefix("Cannot cast string '")?.rsplit_once("' to value of ")?;
                let name = sql_name(to.trim_end_matches(" type"))?;
                text.trim().parse::<i128>().ok()?;
                Some(out_of_range(format!("value \"{text}\" is out of range for type {name}")))
            }
            ArrowError::InvalidArgumentError(message) => of_precision(message),
            ArrowError::ComputeError(message) => {
                let (of, _) = message.split_once(" overflow on ")?;
                Some(out_of_range(format!("{} out of range", sql_name(of.split(' ').next_back()?)?)))
            }
            _ => None,
        }
    }
}

/// Does a cast fail on a number that its DECIMAL does not hold?
pub(super) fn is_of_decimal(message: &str) -> bool {
    message.starts_with("Cannot cast to Decimal") && message.to_ascii_lowercase().contains("overflow")
}

/// `Overflow happened on: 2147483647 + 1`, of integers or of the digits of decimals: which type it was is told by what would have come out.
fn overflow(message: &str) -> String {
    let result = message.strip_prefix("Overflow happened on: ").and_then(computed);
    let name = match result {
        Some(result) if i16::try_from(result).is_ok() => "tinyint",
        Some(result) if i32::try_from(result).is_ok() => "smallint",
        Some(result) if i64::try_from(result).is_ok() => "integer",
        // The product of two BIGINTs.
        Some(result) if result.unsigned_abs() <= 1 << 126 => "bigint",
        _ => return "numeric field overflow".into(),
    };
    format!("{name} out of range")
}

/// The value of `a + b`, `a - b`, `a * b`, `a / b` or `- a`.
fn computed(text: &str) -> Option<i128> {
    if let Some(one) = text.strip_prefix("- ") {
        return one.parse::<i128>().ok()?.checked_neg();
    }
    let mut parts = text.split(' ');
    let (left, sign, right) = (parts.next()?, parts.next()?, parts.next()?);
    let (left, right) = (left.parse::<i128>().ok()?, right.parse::<i128>().ok()?);
    match sign {
        "+" => left.checked_add(right),
        "-" => left.checked_sub(right),
        "*" => left.checked_mul(right),
        "/" => left.checked_div(right),
        _ => None,
    }
}

/// `1234.50 is too large to store in a Decimal128 of precision 5. Max is 999.99`.
fn of_precision(message: &str) -> Option<SqlError> {
    let (_, rest) = message.split_once(" to store in a Decimal")?;
    let (precision, bound) = rest.split_once(" of precision ")?.1.split_once(". M")?;
    let bound = bound.rsplit_once(" is ")?.1.trim_start_matches('-');
    let (whole, fraction) = bound.split_once('.').unwrap_or((bound, ""));
    let digits = whole.trim_start_matches('0').len();
    let detail = format!(
        "A field with precision {precision}, scale {} must round to an absolute value less than 10^{digits}.",
        fraction.len()
    );
    Some(SqlError::new(SqlError::OUT_OF_RANGE, "numeric field overflow").with_detail(detail))
}

/// What PostgreSQL calls a number's type.
fn sql_name(arrow: &str) -> Option<&'static str> {
    Some(match arrow.trim().trim_end_matches("Array") {
        "Int8" => "tinyint",
        "Int16" => "smallint",
        "Int32" => "integer",
        "Int64" => "bigint",
        "Float32" => "real",
        "Float64" => "double precision",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Decimal128Array, Int16Array, Int32Array, Int64Array, Scalar};
    use arrow::compute::kernels::numeric::{add, mul, neg};
    use arrow::compute::{CastOptions, cast_with_options};
    use arrow::datatypes::DataType;
    use std::sync::Arc;

    fn told(error: &ArrowError) -> String {
        let found = SqlError::of_kernel(error).unwrap_or_else(|| panic!("{error}"));
        [Some(found.sqlstate.to_owned()), Some(found.message), found.detail]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" | ")
    }

    #[test]
    fn overflows_name_the_type_that_does_not_hold_the_result() {
        let ints = |value| Scalar::new(Int32Array::from(vec![value]));
        let longs = |value| Scalar::new(Int64Array::from(vec![value]));
        let shorts = |value| Scalar::new(Int16Array::from(vec![value]));
        assert_eq!(told(&add(&ints(i32::MAX), &ints(1)).unwrap_err()), "22003 | integer out of range");
        assert_eq!(told(&mul(&ints(i32::MIN), &ints(i32::MIN)).unwrap_err()), "22003 | integer out of range");
        assert_eq!(told(&neg(&Int32Array::from(vec![i32::MIN])).unwrap_err()), "22003 | integer out of range");
        assert_eq!(told(&mul(&longs(i64::MIN), &longs(i64::MIN)).unwrap_err()), "22003 | bigint out of range");
        assert_eq!(told(&add(&longs(i64::MAX), &longs(1)).unwrap_err()), "22003 | bigint out of range");
        assert_eq!(told(&mul(&shorts(i16::MAX), &shorts(2)).unwrap_err()), "22003 | smallint out of range");
        let decimals =
            |value| Scalar::new(Decimal128Array::from(vec![value]).with_precision_and_scale(38, 0).expect("38 digits"));
        let most = 10_i128.pow(37);
        assert_eq!(told(&mul(&decimals(most), &decimals(most)).unwrap_err()), "22003 | numeric field overflow");
    }

    #[test]
    fn casts_that_do_not_fit_say_so_in_postgresqls_words() {
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        let cast = |array: ArrayRef, to: &DataType| told(&cast_with_options(&array, to, &strict).unwrap_err());
        let longs: ArrayRef = Arc::new(Int64Array::from(vec![3_000_000_000]));
        assert_eq!(cast(longs.clone(), &DataType::Int32), "22003 | integer out of range");
        assert_eq!(cast(longs.clone(), &DataType::Int16), "22003 | smallint out of range");
        let wanted = "22003 | numeric field overflow | A field with precision 5, scale 2 must round to an absolute value less than 10^3.";
        assert_eq!(cast(longs, &DataType::Decimal128(5, 2)), wanted);
        let texts: ArrayRef = Arc::new(arrow::array::StringArray::from(vec!["99999999999"]));
        assert_eq!(cast(texts, &DataType::Int32), "22003 | value \"99999999999\" is out of range for type integer");
    }
}
