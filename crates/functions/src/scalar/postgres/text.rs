//! Values as people read them, in the spelling of Postgres (DateStyle ISO, IntervalStyle postgres, bytea_output hex).
//!
//! # Errors
//! Those of who is written to.

use arrow::datatypes::IntervalMonthDayNano;
use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, TimeDelta, Timelike, Utc};
use std::fmt::{Result, Write};

/// A number in the form `1.5e3`; exponents from -4 to below `exponent_max` are written out.
pub fn float(out: &mut impl Write, scientific: &str, exponent_max: i32) -> Result {
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return out.write_str(match scientific {
            "inf" => "Infinity",
            "-inf" => "-Infinity",
            other => other,
        });
    };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if !(-4..exponent_max).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return write!(out, "{mantissa}e{sign}{:02}", exponent.abs());
    }
    let (sign, digits) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
    out.write_str(sign)?;
    match usize::try_from(exponent) {
        Err(_) => write!(out, "0.{}{digits}", "0".repeat((-exponent - 1) as usize)),
        Ok(point) if digits.len() <= point + 1 => write!(out, "{digits}{}", "0".repeat(point + 1 - digits.len())),
        Ok(point) => write!(out, "{}.{}", &digits[..=point], &digits[point + 1..]),
    }
}

/// `\x00ff`.
pub fn bytes(out: &mut impl Write, bytes: &[u8]) -> Result {
    out.write_str("\\x")?;
    bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
}

/// A day since 1970; beyond the calendar it is infinity.
pub fn date(out: &mut impl Write, days: i32) -> Result {
    let epoch = NaiveDate::default();
    let distance = Days::new(u64::from(days.unsigned_abs()));
    let found = if days < 0 { epoch.checked_sub_days(distance) } else { epoch.checked_add_days(distance) };
    match found {
        Some(date) => day(out, date).and_then(|()| era(out, date)),
        None => out.write_str(if days < 0 { "-infinity" } else { "infinity" }),
    }
}

/// Microseconds of a day.
pub fn time(out: &mut impl Write, micros: i64) -> Result {
    clock(out, micros / 1_000_000, micros % 1_000_000)
}

/// Microseconds since 1970.
pub fn timestamp(out: &mut impl Write, micros: i64) -> Result {
    match DateTime::from_timestamp_micros(micros) {
        Some(moment) => date_time(out, moment.naive_utc()).and_then(|()| era(out, moment.naive_utc().date())),
        None => out.write_str(if micros < 0 { "-infinity" } else { "infinity" }),
    }
}

/// A moment as clocks show it, and how far these are from UTC: `ahead` tells it in seconds.
pub fn moment(out: &mut impl Write, micros: i64, ahead: impl FnOnce(DateTime<Utc>) -> i32) -> Result {
    let Some(utc) = DateTime::from_timestamp_micros(micros) else {
        return out.write_str(if micros < 0 { "-infinity" } else { "infinity" });
    };
    let seconds = ahead(utc);
    let Some(shown) = utc.naive_utc().checked_add_signed(TimeDelta::seconds(i64::from(seconds))) else {
        return out.write_str("infinity");
    };
    date_time(out, shown)?;
    let (sign, seconds) = (if seconds < 0 { '-' } else { '+' }, seconds.abs());
    write!(out, "{sign}{:02}", seconds / 3600)?;
    if seconds % 3600 != 0 {
        write!(out, ":{:02}", seconds % 3600 / 60)?;
    }
    if seconds % 60 != 0 {
        write!(out, ":{:02}", seconds % 60)?;
    }
    era(out, shown.date())
}

fn date_time(out: &mut impl Write, at: NaiveDateTime) -> Result {
    day(out, at.date())?;
    out.write_char(' ')?;
    clock(out, i64::from(at.num_seconds_from_midnight()), i64::from(at.nanosecond() / 1000))
}

fn day(out: &mut impl Write, date: NaiveDate) -> Result {
    let year = if date.year() > 0 { date.year() } else { 1 - date.year() };
    write!(out, "{year:04}-{:02}-{:02}", date.month(), date.day())
}

/// Years before the first.
fn era(out: &mut impl Write, date: NaiveDate) -> Result {
    if date.year() > 0 { Ok(()) } else { out.write_str(" BC") }
}

fn clock(out: &mut impl Write, seconds: i64, micros: i64) -> Result {
    write!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
    if micros == 0 {
        return Ok(());
    }
    let digits = format!("{micros:06}");
    write!(out, ".{}", digits.trim_end_matches('0'))
}

/// `1 year 2 mons 3 days 04:05:06`.
pub fn interval(out: &mut impl Write, value: IntervalMonthDayNano) -> Result {
    let parts = [(value.months / 12, "year"), (value.months % 12, "mon"), (value.days, "day")];
    let (mut is_begun, mut is_negative) = (false, false);
    for (count, unit) in parts.into_iter().filter(|(count, _)| *count != 0) {
        let space = if is_begun { " " } else { "" };
        // Behind what is negative, what is not says so.
        let sign = if is_negative && count > 0 { "+" } else { "" };
        let plural = if count == 1 { "" } else { "s" };
        write!(out, "{space}{sign}{count} {unit}{plural}")?;
        (is_begun, is_negative) = (true, count < 0);
    }
    let micros = value.nanoseconds / 1000;
    if is_begun && micros == 0 {
        return Ok(());
    }
    let sign = match micros < 0 {
        true => "-",
        false if is_negative => "+",
        false => "",
    };
    write!(out, "{}{sign}", if is_begun { " " } else { "" })?;
    let micros = micros.unsigned_abs();
    clock(out, (micros / 1_000_000) as i64, (micros % 1_000_000) as i64)
}

/// `{1,NULL,"a b"}`; `are_lists`: the items are lists, which have no quotes around them.
pub fn list(out: &mut impl Write, are_lists: bool, items: impl Iterator<Item = Option<String>>) -> Result {
    out.write_char('{')?;
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.write_char(',')?;
        }
        match item {
            None => out.write_str("NULL")?,
            Some(item) if are_lists => out.write_str(&item)?,
            Some(item) => {
                let special = |c: char| matches!(c, '{' | '}' | ',' | '"' | '\\') || c.is_ascii_whitespace();
                let quoted = item.is_empty() || item.contains(special) || item.eq_ignore_ascii_case("null");
                element(out, &item, quoted, '\\')?;
            }
        }
    }
    out.write_char('}')
}

/// `(1,,"a b")`.
pub fn record(out: &mut impl Write, fields: impl Iterator<Item = Option<String>>) -> Result {
    out.write_char('(')?;
    for (at, field) in fields.enumerate() {
        if at > 0 {
            out.write_char(',')?;
        }
        let special = |c: char| matches!(c, '(' | ')' | ',' | '"' | '\\') || c.is_ascii_whitespace();
        if let Some(field) = field {
            element(out, &field, field.is_empty() || field.contains(special), '"')?;
        }
    }
    out.write_char(')')
}

/// A value inside another; quotes are escaped by `escape`, backslashes by themselves.
fn element(out: &mut impl Write, value: &str, quoted: bool, escape: char) -> Result {
    if !quoted {
        return out.write_str(value);
    }
    out.write_char('"')?;
    for c in value.chars() {
        match c {
            '"' => out.write_char(escape)?,
            '\\' => out.write_char('\\')?,
            _ => {}
        }
        out.write_char(c)?;
    }
    out.write_char('"')
}
