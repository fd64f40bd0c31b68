//! Intervals out of texts: `1 year 2 mons 3 days 04:05:06`, `2 hours ago`, `P1DT2H`.

use super::{INVALID_TIME, TIME_OUT_OF_RANGE, fail};
use arrow::datatypes::IntervalMonthDayNano;
use datafusion_common::Result;

const DAY_MICROS: f64 = 86_400e6;

/// What a text says, added up; parts of a month go on in days, parts of a day in hours.
#[derive(Default)]
struct Sum {
    months: f64,
    days: f64,
    micros: f64,
}

/// Reads an interval.
///
/// # Errors
/// It is none, or too long.
pub(super) fn read(text: &str) -> Result<IntervalMonthDayNano> {
    let plain = text.trim();
    let sum = match plain.strip_prefix(['P', 'p']) {
        Some(iso) => of_iso(iso),
        None => of_words(plain),
    };
    let Some(sum) = sum else {
        return fail(INVALID_TIME, format!("invalid input syntax for type interval: \"{text}\""));
    };
    let whole_months = sum.months.trunc();
    let days = sum.days + (sum.months - whole_months) * 30.0;
    let whole_days = days.trunc();
    let micros = sum.micros + (days - whole_days) * DAY_MICROS;
    let fits =
        whole_months.abs() < f64::from(i32::MAX) && whole_days.abs() < f64::from(i32::MAX) && micros.abs() < 9e15;
    match fits {
        true => Ok(IntervalMonthDayNano::new(whole_months as i32, whole_days as i32, micros.round() as i64 * 1000)),
        false => fail(TIME_OUT_OF_RANGE, format!("interval field value out of range: \"{text}\"")),
    }
}

impl Sum {
    /// Adds so many of a unit; `None`: there is no such unit.
    fn add(&mut self, count: f64, unit: &str) -> Option<()> {
        let unit = unit.to_ascii_lowercase();
        let singular = if unit.len() > 2 { unit.trim_end_matches('s') } else { &unit };
        match singular {
            "millennium" | "millennia" | "mil" => self.months += count * 12_000.0,
            "century" | "centurie" | "cent" | "c" => self.months += count * 1200.0,
            "decade" | "dec" => self.months += count * 120.0,
            "year" | "yr" | "y" => self.months += (count * 12.0 * 1e9).round() / 1e9,
            "month" | "mon" => self.months += count,
            "week" | "w" => self.days += count * 7.0,
            "day" | "d" => self.days += count,
            "hour" | "hr" | "h" => self.micros += count * 3600e6,
            "minute" | "min" | "m" => self.micros += count * 60e6,
            "second" | "sec" | "s" | "" => self.micros += count * 1e6,
            "millisecond" | "msec" | "ms" => self.micros += count * 1e3,
            "microsecond" | "usec" | "us" => self.micros += count,
            _ => return None,
        }
        Some(())
    }
}

fn of_words(text: &str) -> Option<Sum> {
    let (mut sum, mut is_ago, mut count) = (Sum::default(), false, None);
    for token in text.trim_start_matches('@').split_whitespace() {
        if token.contains(':') {
            // A number in front of a time of day counts days.
            if let Some(days) = count.take() {
                sum.add(days, "day")?;
            }
            sum.micros += clock(token)?;
            continue;
        }
        if token.eq_ignore_ascii_case("ago") {
            is_ago = true;
            continue;
        }
        let end = token.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(token.len());
        let (number, unit) = token.split_at(end);
        if !number.is_empty() {
            if count.is_some() {
                return None;
            }
            if let Some((years, months)) = number.trim_start_matches(['-', '+']).split_once('-') {
                let sign = if number.starts_with('-') { -1.0 } else { 1.0 };
                sum.months += sign * (years.parse::<f64>().ok()? * 12.0 + months.parse::<f64>().ok()?);
                continue;
            }
            count = Some(number.parse::<f64>().ok()?);
        }
        if !unit.is_empty() {
            sum.add(count.take()?, unit)?;
        }
    }
    if let Some(seconds) = count {
        sum.add(seconds, "second")?;
    } else if text.is_empty() {
        return None;
    }
    if is_ago {
        sum = Sum { months: -sum.months, days: -sum.days, micros: -sum.micros };
    }
    Some(sum)
}

/// `04:05:06.7`, `-01:30`.
fn clock(token: &str) -> Option<f64> {
    let (sign, plain) = match token.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, token.strip_prefix('+').unwrap_or(token)),
    };
    let mut parts = plain.split(':').map(|part| part.parse::<f64>().ok());
    let (hours, minutes) = (parts.next()??, parts.next()??);
    let seconds = parts.next().map_or(Some(0.0), |seconds| seconds)?;
    let fits = parts.next().is_none() && minutes < 60.0 && seconds < 61.0;
    fits.then_some(sign * (hours * 3600e6 + minutes * 60e6 + (seconds * 1e6).round()))
}

/// Behind the `P`: `1Y2M3DT4H5M6S`.
fn of_iso(text: &str) -> Option<Sum> {
    let (mut sum, mut is_clock, mut number) = (Sum::default(), false, String::new());
    for c in text.chars() {
        match c.to_ascii_uppercase() {
            'T' => is_clock = true,
            '0'..='9' | '.' | '-' | '+' => number.push(c),
            unit => {
                let count = std::mem::take(&mut number).parse::<f64>().ok()?;
                let unit = match (unit, is_clock) {
                    ('Y', false) => "year",
                    ('M', false) => "month",
                    ('W', false) => "week",
                    ('D', false) => "day",
                    ('H', true) => "hour",
                    ('M', true) => "minute",
                    ('S', true) => "second",
                    _ => return None,
                };
                sum.add(count, unit)?;
            }
        }
    }
    (number.is_empty() && !text.is_empty()).then_some(sum)
}
