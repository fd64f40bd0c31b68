//! Values of parameters, as clients send them.

use super::binary::{self, array};
use super::text;
use crate::wire::Format;
use arrow::datatypes::{DataType, IntervalMonthDayNano};
use bytes::BytesMut;
use eddyline_engine::{Parameter, ParameterValue, SqlError, arrow};

/// SQLSTATE of bytes that are no value of their type.
const INVALID_BINARY: &str = "22P03";
const INVALID_TEXT: &str = "22P02";

/// The value of a parameter of a type.
///
/// # Errors
/// Bytes that are no value of the type.
pub(crate) fn parameter(
    number: usize,
    data_type: &DataType,
    format: Format,
    value: Option<&[u8]>,
) -> Result<Parameter, SqlError> {
    let refuse = |code| {
        let message = format!("parameter ${number} is no value of type {}", eddyline_engine::sql_type(data_type));
        SqlError::new(code, message)
    };
    let value = match (value, format) {
        (None, _) => ParameterValue::Null,
        (Some(bytes), Format::Text) => {
            let text = std::str::from_utf8(bytes).map_err(|_| refuse(INVALID_TEXT))?;
            let is_too_great = data_type.is_integer() && text.trim().parse::<i128>().is_ok();
            let code = if is_too_great { SqlError::OUT_OF_RANGE } else { INVALID_TEXT };
            of_text(data_type, text).ok_or_else(|| refuse(code))?
        }
        (Some(bytes), Format::Binary) => of_binary(data_type, bytes).ok_or_else(|| refuse(INVALID_BINARY))?,
    };
    Ok(Parameter { data_type: data_type.clone(), value })
}

fn of_text(data_type: &DataType, text: &str) -> Option<ParameterValue> {
    let trimmed = text.trim();
    Some(match data_type {
        DataType::Boolean => {
            let lower = trimmed.to_ascii_lowercase();
            let is = |word: &str| !lower.is_empty() && word.starts_with(&lower);
            match lower.as_str() {
                "1" | "on" => ParameterValue::Text("true".into()),
                "0" | "of" | "off" => ParameterValue::Text("false".into()),
                _ if is("true") || is("yes") => ParameterValue::Text("true".into()),
                _ if is("false") || is("no") => ParameterValue::Text("false".into()),
                _ => return None,
            }
        }
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            trimmed.parse::<i64>().ok()?;
            ParameterValue::Text(trimmed.trim_start_matches('+').to_owned())
        }
        DataType::Decimal128(..) => ParameterValue::Text(number(trimmed)?.to_owned()),
        DataType::Float32 | DataType::Float64 => {
            trimmed.parse::<f64>().ok()?;
            ParameterValue::Text(trimmed.to_owned())
        }
        DataType::Binary => ParameterValue::Bytes(unescaped(text)?),
        DataType::Utf8 | DataType::LargeUtf8 => ParameterValue::Text(text.to_owned()),
        DataType::Interval(_) => ParameterValue::Text(spoken_clock(trimmed)?),
        DataType::List(item) => {
            let items = eddyline_introspection::items(trimmed).ok()?;
            let value = |given: Option<String>| match given {
                None => Some(ParameterValue::Null),
                Some(text) => of_text(item.data_type(), &text),
            };
            ParameterValue::List(items.into_iter().map(value).collect::<Option<_>>()?)
        }
        _ => ParameterValue::Text(trimmed.to_owned()),
    })
}

/// A number in digits, without an exponent.
fn number(text: &str) -> Option<&str> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let fits = is_number(whole) && is_number(fraction) && whole.len() + fraction.len() > 0;
    fits.then(|| text.strip_prefix('+').unwrap_or(text))
}

/// `\x` and digits, or text with `\\` and `\nnn`.
pub(crate) fn unescaped(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    if let Some(digits) = text.strip_prefix("\\x") {
        let pair = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
        return (0..digits.len()).step_by(2).map(pair).collect();
    }
    let (mut found, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let (value, length) = match (byte, bytes.get(at + 1)) {
            (b'\\', Some(b'\\')) => (b'\\', 2),
            (b'\\', _) => (u8::from_str_radix(text.get(at + 1..at + 4)?, 8).ok()?, 4),
            (byte, _) => (*byte, 1),
        };
        found.push(value);
        at += length;
    }
    Some(found)
}

fn of_binary(data_type: &DataType, bytes: &[u8]) -> Option<ParameterValue> {
    let text = |text: String| Some(ParameterValue::Text(text));
    match data_type {
        DataType::Boolean => text((array::<1>(bytes)?[0] != 0).to_string()),
        DataType::Int8 | DataType::Int16 => text(i16::from_be_bytes(array(bytes)?).to_string()),
        DataType::Int32 => text(i32::from_be_bytes(array(bytes)?).to_string()),
        DataType::Int64 => text(i64::from_be_bytes(array(bytes)?).to_string()),
        DataType::Float32 => text(f32::from_be_bytes(array(bytes)?).to_string()),
        DataType::Float64 => text(f64::from_be_bytes(array(bytes)?).to_string()),
        DataType::Decimal128(..) => text(binary::numeric_text(bytes)?),
        DataType::Utf8 => text(std::str::from_utf8(bytes).ok()?.to_owned()),
        DataType::LargeUtf8 => match bytes.split_first()? {
            (&binary::JSONB_VERSION, json) => text(std::str::from_utf8(json).ok()?.to_owned()),
            _ => None,
        },
        DataType::Binary => Some(ParameterValue::Bytes(bytes.to_vec())),
        DataType::Date32 => {
            let days = i32::from_be_bytes(array(bytes)?).checked_add(binary::EPOCH_DAYS)?;
            written(|out| text::date(out, days))
        }
        DataType::Time32(_) | DataType::Time64(_) => {
            let micros = i64::from_be_bytes(array(bytes)?);
            written(|out| text::time(out, micros))
        }
        DataType::Timestamp(_, zone) => {
            let micros = i64::from_be_bytes(array(bytes)?).checked_add(binary::EPOCH_MICROS)?;
            let mut out = BytesMut::new();
            text::timestamp(&mut out, micros).ok()?;
            let shown = String::from_utf8(out.to_vec()).ok()?;
            // What is a moment says so, whatever the zone of the session.
            text(if zone.is_some() { format!("{shown}+00:00") } else { shown })
        }
        DataType::List(item) => {
            let value = |given: Option<&[u8]>| match given {
                None => Some(ParameterValue::Null),
                Some(bytes) => of_binary(item.data_type(), bytes),
            };
            let items = binary::items(bytes)?.into_iter().map(value);
            Some(ParameterValue::List(items.collect::<Option<_>>()?))
        }
        DataType::Interval(_) => {
            let [micros, rest] = [bytes.get(..8)?, bytes.get(8..)?];
            let nanoseconds = i64::from_be_bytes(array(micros)?).checked_mul(1000)?;
            let days = i32::from_be_bytes(array(rest.get(..4)?)?);
            let months = i32::from_be_bytes(array(rest.get(4..)?)?);
            let mut out = BytesMut::new();
            text::interval(&mut out, IntervalMonthDayNano { months, days, nanoseconds }).ok()?;
            text(spoken_clock(std::str::from_utf8(&out).ok()?)?)
        }
        _ => None,
    }
}

/// An interval of Postgres as casts read it: its clock, which may be behind a sign, in hours, minutes and seconds.
fn spoken_clock(text: &str) -> Option<String> {
    let (days, clock) = text.rsplit_once(' ').unwrap_or(("", text));
    let Some((hours, rest)) = clock.split_once(':') else { return Some(text.to_owned()) };
    let (sign, hours) = match hours.strip_prefix('-') {
        Some(hours) => ("-", hours),
        None => ("", hours.strip_prefix('+').unwrap_or(hours)),
    };
    let (minutes, seconds) = rest.split_once(':').unwrap_or((rest, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let all = is_number(hours) && is_number(minutes) && is_number(seconds);
    let days = days.trim_end_matches(',').replace('+', "");
    all.then(|| format!("{days} {sign}{hours} hours {sign}{minutes} mins {sign}{seconds} secs").trim_start().to_owned())
}

fn written(write: impl FnOnce(&mut BytesMut) -> std::fmt::Result) -> Option<ParameterValue> {
    let mut out = BytesMut::new();
    write(&mut out).ok()?;
    Some(ParameterValue::Text(String::from_utf8(out.to_vec()).ok()?))
}
