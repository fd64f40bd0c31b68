//! Values of the protocol, as an embedded session shows them in a suite.
//!
//! It reads the formats of Postgres by itself, and shares nothing with what writes them.

use arrow::array::{Array, IntervalMonthDayNanoArray};
use arrow::datatypes::IntervalMonthDayNano;
use arrow::util::display::array_value_to_string;
use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, Utc};
use std::error::Error;
use tokio_postgres::types::{FromSql, Kind, Type};

/// The bytes of a value, of whatever type.
pub(super) struct Raw(pub(super) Vec<u8>);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A value that came as text. What cannot be read is shown as it came.
pub(super) fn of_text(of: &Type, text: &str) -> String {
    let shown = match (of.kind(), of) {
        (Kind::Array(item), _) => items_of_text(item, text),
        (_, &Type::BOOL) => Some(if text == "t" { "true" } else { "false" }.to_owned()),
        (_, &Type::FLOAT4) => text.parse::<f32>().ok().map(|v| v.to_string()),
        (_, &Type::FLOAT8) => text.parse::<f64>().ok().map(|v| v.to_string()),
        (_, &Type::BYTEA) => text.strip_prefix("\\x").map(str::to_owned),
        (_, &Type::TIME) => NaiveTime::parse_from_str(text, "%H:%M:%S%.f").ok().map(|t| format!("{t:?}")),
        (_, &Type::TIMESTAMP) => {
            NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok().map(|t| format!("{t:?}"))
        }
        (_, &Type::TIMESTAMPTZ) => {
            DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z").ok().map(|t| moment(t.to_utc()))
        }
        (_, &Type::INTERVAL) => interval_of_text(text),
        _ => None,
    };
    shown.unwrap_or_else(|| text.to_owned())
}

/// A value that came in the binary format. What cannot be read is shown in hexadecimal digits.
pub(super) fn of_binary(of: &Type, raw: &[u8]) -> String {
    let shown = match (of.kind(), of) {
        (Kind::Array(_), _) => items_of_binary(raw),
        (_, &Type::BOOL) => raw.first().map(|b| (*b != 0).to_string()),
        (_, &Type::INT2) => raw.try_into().ok().map(|b| i16::from_be_bytes(b).to_string()),
        (_, &Type::INT4) => raw.try_into().ok().map(|b| i32::from_be_bytes(b).to_string()),
        (_, &Type::INT8) => long(raw).map(|v| v.to_string()),
        (_, &Type::FLOAT4) => raw.try_into().ok().map(|b| f32::from_be_bytes(b).to_string()),
        (_, &Type::FLOAT8) => raw.try_into().ok().map(|b| f64::from_be_bytes(b).to_string()),
        (_, &Type::NUMERIC) => numeric(raw),
        (_, &Type::TEXT) => String::from_utf8(raw.to_vec()).ok(),
        (_, &Type::JSONB) => raw.strip_prefix(&[1]).and_then(|json| String::from_utf8(json.to_vec()).ok()),
        (_, &Type::DATE) => date(raw),
        (_, &Type::TIME) => long(raw).and_then(clock),
        (_, &Type::TIMESTAMP) => long(raw).and_then(since_2000).map(|t| format!("{:?}", t.naive_utc())),
        (_, &Type::TIMESTAMPTZ) => long(raw).and_then(since_2000).map(moment),
        (_, &Type::INTERVAL) => interval_of_binary(raw),
        _ => None,
    };
    shown.unwrap_or_else(|| raw.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn long(raw: &[u8]) -> Option<i64> {
    raw.try_into().ok().map(i64::from_be_bytes)
}

fn short(raw: &[u8], at: usize) -> Option<i16> {
    raw.get(at..at + 2)?.try_into().ok().map(i16::from_be_bytes)
}

fn word(raw: &[u8], at: usize) -> Option<i32> {
    raw.get(at..at + 4)?.try_into().ok().map(i32::from_be_bytes)
}

fn date(raw: &[u8]) -> Option<String> {
    let days = word(raw, 0)?;
    let first = NaiveDate::from_ymd_opt(2000, 1, 1)?;
    let distance = Days::new(days.unsigned_abs().into());
    let date = if days < 0 { first.checked_sub_days(distance) } else { first.checked_add_days(distance) };
    Some(format!("{:?}", date?))
}

fn clock(micros: i64) -> Option<String> {
    let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
    let time = NaiveTime::from_num_seconds_from_midnight_opt(seconds.try_into().ok()?, (rest * 1000).try_into().ok()?);
    Some(format!("{:?}", time?))
}

fn since_2000(micros: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros.checked_add(946_684_800_000_000)?)
}

fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Digits to the base 10,000 as those to the base 10.
fn numeric(raw: &[u8]) -> Option<String> {
    let (count, weight) = (short(raw, 0)?, i32::from(short(raw, 2)?));
    let (sign, scale) = (if short(raw, 4)? == 0 { "" } else { "-" }, short(raw, 6)? as usize);
    // The digit of 10,000 to the power of `power`.
    let digit = |power: i32| match weight - power {
        at if (0..i32::from(count)).contains(&at) => short(raw, 8 + at as usize * 2).unwrap_or(0),
        _ => 0,
    };
    let whole: String = (0..=weight.max(0)).rev().map(|power| format!("{:04}", digit(power))).collect();
    let whole = whole.trim_start_matches('0');
    let behind: String = (1..=scale.div_ceil(4) as i32).map(|power| format!("{:04}", digit(-power))).collect();
    let point = if scale > 0 { "." } else { "" };
    Some(format!("{sign}{}{point}{}", if whole.is_empty() { "0" } else { whole }, behind.get(..scale)?))
}

fn interval(months: i32, days: i32, micros: i64) -> Option<String> {
    let value = IntervalMonthDayNano::new(months, days, micros.checked_mul(1000)?);
    array_value_to_string(&IntervalMonthDayNanoArray::from(vec![value]) as &dyn Array, 0).ok()
}

fn interval_of_binary(raw: &[u8]) -> Option<String> {
    interval(word(raw, 12)?, word(raw, 8)?, long(raw.get(..8)?)?)
}

/// `1 year 2 mons -3 days +04:05:06.7`.
fn interval_of_text(text: &str) -> Option<String> {
    let (mut months, mut days, mut micros) = (0, 0, 0);
    let mut words = text.split(' ');
    while let Some(first) = words.next() {
        if first.contains(':') {
            micros = micros_of(first)?;
            continue;
        }
        let count: i32 = first.parse().ok()?;
        match words.next()?.trim_end_matches('s') {
            "year" => months += count * 12,
            "mon" => months += count,
            "day" => days += count,
            _ => return None,
        }
    }
    interval(months, days, micros)
}

fn micros_of(clock: &str) -> Option<i64> {
    let (sign, clock) = clock.strip_prefix('-').map_or((1, clock.trim_start_matches('+')), |rest| (-1, rest));
    let mut parts = clock.split(':');
    let (hours, minutes) = (parts.next()?.parse::<i64>().ok()?, parts.next()?.parse::<i64>().ok()?);
    let (seconds, rest) = parts.next().map(|s| s.split_once('.').unwrap_or((s, "")))?;
    let rest: i64 = format!("{rest:0<6}").parse().ok()?;
    Some(sign * ((hours * 3600 + minutes * 60 + seconds.parse::<i64>().ok()?) * 1_000_000 + rest))
}

fn listed(items: impl Iterator<Item = Option<String>>) -> String {
    let items: Vec<String> = items.map(|item| item.unwrap_or_else(|| "NULL".to_owned())).collect();
    format!("[{}]", items.join(", "))
}

/// One dimension, or none.
fn items_of_binary(raw: &[u8]) -> Option<String> {
    let (dimensions, item) = (word(raw, 0)?, Type::from_oid(word(raw, 8)? as u32)?);
    if dimensions == 0 {
        return Some("[]".to_owned());
    }
    let (count, mut at) = (word(raw, 12)?, 20);
    let mut items = Vec::new();
    for _ in 0..count {
        let length = word(raw, at)?;
        at += 4;
        let value = match usize::try_from(length) {
            Err(_) => None,
            Ok(length) => {
                at += length;
                Some(of_binary(&item, raw.get(at - length..at)?))
            }
        };
        items.push(value);
    }
    (at == raw.len()).then(|| listed(items.into_iter()))
}

/// `{1,NULL,"a b"}`.
fn items_of_text(item: &Type, text: &str) -> Option<String> {
    let mut rest = text.strip_prefix('{')?.strip_suffix('}')?.chars();
    let (mut items, mut value, mut was_quoted, mut quoted) = (Vec::new(), String::new(), false, false);
    let mut end = |value: &mut String, was_quoted: &mut bool| {
        let text = std::mem::take(value);
        let is_null = !std::mem::take(was_quoted) && text == "NULL";
        items.push((!is_null).then(|| of_text(item, &text)));
    };
    while let Some(c) = rest.next() {
        match c {
            '\\' => value.push(rest.next()?),
            '"' => (quoted, was_quoted) = (!quoted, true),
            ',' if !quoted => end(&mut value, &mut was_quoted),
            c => value.push(c),
        }
    }
    if text != "{}" {
        end(&mut value, &mut was_quoted);
    }
    Some(listed(items.into_iter()))
}
