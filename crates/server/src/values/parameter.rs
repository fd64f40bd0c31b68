//! Values of parameters, as clients send them.

use super::binary::{self, array};
use super::{UUID, UUID_ARRAY, text};
use crate::wire::{Format, not_utf8};
use arrow::datatypes::{DataType, IntervalMonthDayNano};
use bytes::BytesMut;
use eddyline_engine::{Parameter, ParameterValue, SqlError, arrow};

/// SQLSTATE of bytes that are no value of their type.
const INVALID_BINARY: &str = "22P03";
const INVALID_TEXT: &str = "22P02";

/// The value of a parameter of a type, which the client knows by a number.
///
/// # Errors
/// Bytes that are no value of the type.
pub(crate) fn parameter(
    number: usize,
    (data_type, oid): (&DataType, u32),
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
            let text = std::str::from_utf8(bytes).map_err(|e| not_utf8(bytes, &e))?;
            let is_too_great = data_type.is_integer() && text.trim().parse::<i128>().is_ok();
            let code = if is_too_great { SqlError::OUT_OF_RANGE } else { INVALID_TEXT };
            of_text(data_type, oid, text).ok_or_else(|| refuse(code))?
        }
        (Some(bytes), Format::Binary) => of_binary(data_type, oid, bytes).ok_or_else(|| refuse(INVALID_BINARY))?,
    };
    Ok(Parameter { data_type: data_type.clone(), value })
}

fn of_text(data_type: &DataType, oid: u32, text: &str) -> Option<ParameterValue> {
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
        DataType::Utf8 if oid == UUID => ParameterValue::Text(uuid(trimmed)?),
        DataType::Utf8 | DataType::LargeUtf8 => ParameterValue::Text(text.to_owned()),
        DataType::Interval(_) => ParameterValue::Text(spoken_clock(trimmed)?),
        DataType::List(item) => {
            let items = eddyline_introspection::items(trimmed).ok()?;
            let of = if oid == UUID_ARRAY { UUID } else { 0 };
            let value = |given: Option<String>| match given {
                None => Some(ParameterValue::Null),
                Some(text) => of_text(item.data_type(), of, &text),
            };
            ParameterValue::List(items.into_iter().map(value).collect::<Option<_>>()?)
        }
        _ => ParameterValue::Text(trimmed.to_owned()),
    })
}

/// A UUID in the form that is stored, from any that PostgreSQL reads: letters of both kinds, braces, hyphens behind groups of four digits.
fn uuid(text: &str) -> Option<String> {
    let within = text.strip_prefix('{').map_or(Some(text), |rest| rest.strip_suffix('}'))?;
    let groups = || within.split('-').map(str::len);
    let digits: String = within.split('-').collect();
    let are_digits = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let fits = are_digits && groups().all(|length| length > 0 && length % 4 == 0);
    fits.then(|| binary::uuid_text(&u128::from_str_radix(&digits, 16).ok()?.to_be_bytes()))?
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

fn of_binary(data_type: &DataType, oid: u32, bytes: &[u8]) -> Option<ParameterValue> {
    let text = |text: String| Some(ParameterValue::Text(text));
    match data_type {
        DataType::Boolean => text((array::<1>(bytes)?[0] != 0).to_string()),
        DataType::Int8 | DataType::Int16 => text(i16::from_be_bytes(array(bytes)?).to_string()),
        DataType::Int32 => text(i32::from_be_bytes(array(bytes)?).to_string()),
        DataType::Int64 => text(i64::from_be_bytes(array(bytes)?).to_string()),
        DataType::Float32 => text(f32::from_be_bytes(array(bytes)?).to_string()),
        DataType::Float64 => text(f64::from_be_bytes(array(bytes)?).to_string()),
        DataType::Decimal128(..) => text(binary::numeric_text(bytes)?),
        DataType::Utf8 if oid == UUID => text(binary::uuid_text(bytes)?),
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
            let (of, items) = binary::items(bytes)?;
            let value = |given: Option<&[u8]>| match given {
                None => Some(ParameterValue::Null),
                Some(bytes) => of_binary(item.data_type(), of, bytes),
            };
            Some(ParameterValue::List(items.into_iter().map(value).collect::<Option<_>>()?))
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
