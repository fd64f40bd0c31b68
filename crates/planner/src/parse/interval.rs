//! Interval literals, checked and brought into one form.

use super::dialect::string_of;
use super::literals;
use crate::SqlError;
use sqlparser::ast::{DateTimeField, Interval};

/// Units of a literal of several, with what separates them in its text.
const CLOCK: [(&str, char); 4] = [("DAY", ' '), ("HOUR", ':'), ("MINUTE", ':'), ("SECOND", ' ')];

/// Brings `interval` into one form: a number and a unit, or without unit a text that names its units.
///
/// # Errors
/// No unit, no literal, or a text that does not fit the units.
pub(super) fn normalise(interval: &mut Interval) -> Result<(), SqlError> {
    let Some(text) = string_of(&interval.value).map(str::trim) else {
        return Err(SqlError::new(SqlError::UNSUPPORTED, "an INTERVAL must be a literal")
            .with_hint("write INTERVAL '10' SECOND; for a computed length write n * INTERVAL '1' SECOND"));
    };
    if interval.leading_field.is_none()
        && let Some(spelled) = spelled(text)
    {
        *interval.value = literals::string(spelled);
        return Ok(());
    }
    let Some(leading) = interval.leading_field.as_ref().and_then(unit) else {
        return Err(SqlError::new(SqlError::SYNTAX, "syntax error: this INTERVAL has no unit")
            .with_hint(format!("write INTERVAL '{text}' SECOND or INTERVAL '{text} seconds', or another unit")));
    };
    let last = match &interval.last_field {
        Some(field) => Some(unit(field).ok_or_else(|| mismatch(text, &interval.to_string()))?),
        None => None,
    };
    let (value, field) = match last {
        None => single(text, leading).ok_or_else(|| mismatch(text, leading))?,
        Some(last) => {
            let parts = several(text, leading, last).ok_or_else(|| mismatch(text, &format!("{leading} TO {last}")))?;
            (parts, None)
        }
    };
    *interval = Interval {
        value: Box::new(literals::string(value)),
        leading_field: field,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    };
    Ok(())
}

/// A text without a unit beside it, some of whose numbers have none in it either.
pub(super) fn is_bare(interval: &Interval) -> bool {
    let text = string_of(&interval.value).map(str::trim);
    interval.leading_field.is_none() && text.is_some_and(|text| spelled(text).is_none())
}

fn mismatch(text: &str, units: &str) -> SqlError {
    let form = match units {
        "YEAR TO MONTH" => "'1-2'",
        "DAY TO HOUR" => "'1 02'",
        "DAY TO MINUTE" => "'1 02:03'",
        "DAY TO SECOND" => "'1 02:03:04'",
        "HOUR TO MINUTE" | "MINUTE TO SECOND" => "'02:03'",
        "HOUR TO SECOND" => "'02:03:04'",
        "SECOND" => "'1' or '1.5'",
        _ => "'1'",
    };
    SqlError::new(SqlError::INVALID, format!("'{text}' is no INTERVAL of {units}"))
        .with_hint(format!("such an interval is written like {form}"))
}

fn unit(field: &DateTimeField) -> Option<&'static str> {
    Some(match field {
        DateTimeField::Year | DateTimeField::Years => "YEAR",
        DateTimeField::Quarter => "QUARTER",
        DateTimeField::Month | DateTimeField::Months => "MONTH",
        DateTimeField::Week(None) | DateTimeField::Weeks => "WEEK",
        DateTimeField::Day | DateTimeField::Days => "DAY",
        DateTimeField::Hour | DateTimeField::Hours => "HOUR",
        DateTimeField::Minute | DateTimeField::Minutes => "MINUTE",
        DateTimeField::Second | DateTimeField::Seconds => "SECOND",
        DateTimeField::Millisecond | DateTimeField::Milliseconds => "MILLISECOND",
        DateTimeField::Microsecond | DateTimeField::Microseconds => "MICROSECOND",
        DateTimeField::Nanosecond | DateTimeField::Nanoseconds => "NANOSECOND",
        _ => return None,
    })
}

/// A number of one unit.
fn single(text: &str, unit: &str) -> Option<(String, Option<DateTimeField>)> {
    let fraction = unit == "SECOND";
    let (sign, digits) = signed(text);
    is_number(digits, fraction).then_some(())?;
    let field = match unit {
        "YEAR" => DateTimeField::Year,
        "QUARTER" => {
            let months = digits.parse::<i64>().ok()?.checked_mul(3)?;
            return Some((format!("{sign}{months}"), Some(DateTimeField::Month)));
        }
        "MONTH" => DateTimeField::Month,
        "WEEK" => DateTimeField::Week(None),
        "DAY" => DateTimeField::Day,
        "HOUR" => DateTimeField::Hour,
        "MINUTE" => DateTimeField::Minute,
        "MILLISECOND" => DateTimeField::Millisecond,
        "MICROSECOND" => DateTimeField::Microsecond,
        "NANOSECOND" => DateTimeField::Nanosecond,
        _ => DateTimeField::Second,
    };
    Some((format!("{sign}{digits}"), Some(field)))
}

/// `1 02:03:04` from DAY TO SECOND becomes `1 days 2 hours 3 minutes 4 seconds`; a sign goes to every part.
fn several(text: &str, leading: &str, last: &str) -> Option<String> {
    let (sign, mut rest) = signed(text);
    if (leading, last) == ("YEAR", "MONTH") {
        let (years, months) = rest.split_once('-')?;
        let fits = is_number(years, false) && is_number(months, false) && below(months, 12);
        return fits.then(|| format!("{sign}{years} years {sign}{months} months"));
    }
    let from = CLOCK.iter().position(|(u, _)| *u == leading)?;
    let to = CLOCK.iter().position(|(u, _)| *u == last).filter(|to| *to > from)?;
    let mut out = Vec::new();
    for (at, (unit, separator)) in CLOCK.iter().enumerate().take(to + 1).skip(from) {
        let part = if at == to { std::mem::take(&mut rest) } else { take_until(&mut rest, *separator)? };
        let limit = if *unit == "HOUR" { 24 } else { 60 };
        let fits = is_number(part, *unit == "SECOND") && (at == from || below(part, limit));
        let zero = if matches!(part.trim_start_matches('0').chars().next(), None | Some('.')) { "0" } else { "" };
        let number = format!("{zero}{}", part.trim_start_matches('0'));
        fits.then(|| out.push(format!("{sign}{number} {}s", unit.to_lowercase())))?;
    }
    Some(out.join(" "))
}

/// The text of an interval of Postgres, which names its units: `1 year 2 mons -3 days 04:05:06.7`, `90 min ago`.
fn spelled(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let (lower, is_negated) = match lower.strip_suffix("ago") {
        Some(rest) => (rest.trim_end(), true),
        None => (lower.as_str(), false),
    };
    let mut words = lower.split_whitespace().flat_map(|word| {
        // `1h` is two words.
        let end = word.find(|c: char| c.is_ascii_alphabetic()).filter(|end| *end > 0).unwrap_or(word.len());
        let (number, unit) = word.split_at(end);
        [number, unit].into_iter().filter(|part| !part.is_empty())
    });
    let mut parts = Vec::new();
    while let Some(number) = words.next() {
        if number.contains(':') {
            let (sign, clock) = signed(number);
            let units = match clock.matches(':').count() {
                1 => "MINUTE",
                _ => "SECOND",
            };
            parts.push(several(&format!("{}{clock}", turned(sign, is_negated)), "HOUR", units)?);
            continue;
        }
        let unit = match words.next()?.trim_end_matches('.') {
            "us" | "usec" | "usecs" | "microsecond" | "microseconds" => "microseconds",
            "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" => "milliseconds",
            "s" | "sec" | "secs" | "second" | "seconds" => "seconds",
            "m" | "min" | "mins" | "minute" | "minutes" => "minutes",
            "h" | "hr" | "hrs" | "hour" | "hours" => "hours",
            "d" | "day" | "days" => "days",
            "w" | "week" | "weeks" => "weeks",
            "mon" | "mons" | "month" | "months" => "months",
            "y" | "yr" | "yrs" | "year" | "years" => "years",
            _ => return None,
        };
        let (sign, digits) = signed(number);
        is_number(digits, true).then(|| parts.push(format!("{}{digits} {unit}", turned(sign, is_negated))))?;
    }
    (!parts.is_empty()).then(|| parts.join(" "))
}

fn turned(sign: &'static str, is_negated: bool) -> &'static str {
    match (sign, is_negated) {
        ("-", false) | ("", true) => "-",
        _ => "",
    }
}

fn take_until<'a>(rest: &mut &'a str, separator: char) -> Option<&'a str> {
    let (part, after) = rest.split_once(separator)?;
    *rest = after.trim_start();
    Some(part)
}

fn signed(text: &str) -> (&'static str, &str) {
    match text.strip_prefix('-') {
        Some(rest) => ("-", rest.trim_start()),
        None => ("", text.strip_prefix('+').unwrap_or(text).trim_start()),
    }
}

fn is_number(text: &str, fraction: bool) -> bool {
    let digits = |t: &str| !t.is_empty() && t.len() <= 18 && t.bytes().all(|b| b.is_ascii_digit());
    match text.split_once('.') {
        Some((whole, part)) => fraction && digits(whole) && digits(part) && part.len() <= 9,
        None => digits(text),
    }
}

fn below(number: &str, limit: u32) -> bool {
    number.split('.').next().and_then(|n| n.parse::<u32>().ok()).is_some_and(|n| n < limit)
}
