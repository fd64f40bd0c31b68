//! Java's date patterns (`yyyy-MM-dd HH:mm:ss`), compiled to steps.
//!
//! Letters: `y u` year, `M` month, `d` day, `D` day of the year, `E` day of the week, `H` hour 0–23, `k` hour 1–24,
//! `K` hour 0–11, `h` hour 1–12, `a` AM or PM, `m` minute, `s` second, `S` fraction of a second, `X x Z z` zone.
//! Text in single quotes stands for itself, `''` for a quote.

use super::Zone;
use super::calendar::{DAY_SECONDS, Date, checked_days_of, date_of, day_of_year, iso_weekday};
use arrow::array::StringBuilder;
use datafusion_common::{Result, exec_err};
use std::fmt::Write;

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DatePattern {
    steps: Vec<Step>,
    /// True when the result depends on the day alone.
    pub(super) only_date: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Literal(String),
    Number(Field, usize),
    MonthName {
        long: bool,
    },
    WeekdayName {
        long: bool,
    },
    AmPm,
    /// With a colon between hours and minutes; `Z` for zero.
    Offset {
        colon: bool,
        z: bool,
    },
    ZoneName,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Year,
    Month,
    Day,
    DayOfYear,
    Hour,
    Hour1To24,
    Hour0To11,
    Hour1To12,
    Minute,
    Second,
    Fraction,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// A local time: seconds since 1970 as clocks show them, nanoseconds, and how far they are ahead of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LocalTime {
    pub(super) seconds: i64,
    pub(super) nanos: u32,
    pub(super) offset: i64,
}

impl DatePattern {
    /// Compiles a pattern.
    pub(super) fn compile(pattern: &str) -> Result<Self> {
        let mut steps: Vec<Step> = Vec::new();
        let mut chars = pattern.chars().peekable();
        while let Some(letter) = chars.next() {
            if letter == '\'' {
                let mut text = String::new();
                loop {
                    match chars.next() {
                        Some('\'') if chars.peek() == Some(&'\'') => text.extend(chars.next()),
                        Some('\'') => break,
                        Some(other) => text.push(other),
                        None => return exec_err!("date format '{pattern}' has a quote that is not closed"),
                    }
                }
                literal(&mut steps, if text.is_empty() { "'" } else { &text });
                continue;
            }
            if !letter.is_ascii_alphabetic() {
                literal(&mut steps, letter.encode_utf8(&mut [0; 4]));
                continue;
            }
            let mut width = 1;
            while chars.next_if_eq(&letter).is_some() {
                width += 1;
            }
            steps.push(match Step::of(letter, width) {
                Some(step) => step,
                None => return exec_err!("date format '{pattern}': the letter '{letter}' is not supported; supported are y u M d D E H k K h a m s S X x Z z"),
            });
        }
        let only_date = steps.iter().all(|s| match s {
            Step::Literal(_) | Step::MonthName { .. } | Step::WeekdayName { .. } => true,
            Step::Number(field, _) => matches!(field, Field::Year | Field::Month | Field::Day | Field::DayOfYear),
            Step::AmPm | Step::Offset { .. } | Step::ZoneName => false,
        });
        Ok(Self { steps, only_date })
    }

    /// Writes a time.
    pub(super) fn format(&self, time: LocalTime, zone: Zone, out: &mut StringBuilder) -> std::fmt::Result {
        let days = time.seconds.div_euclid(DAY_SECONDS);
        let of_day = time.seconds.rem_euclid(DAY_SECONDS);
        let date = date_of(days);
        let hour = of_day / 3600;
        for step in &self.steps {
            match step {
                Step::Literal(text) => out.write_str(text)?,
                Step::MonthName { long } => {
                    let name = MONTHS[(date.month - 1) as usize];
                    out.write_str(if *long { name } else { &name[..3] })?;
                }
                Step::WeekdayName { long } => {
                    let name = WEEKDAYS[(iso_weekday(days) - 1) as usize];
                    out.write_str(if *long { name } else { &name[..3] })?;
                }
                Step::AmPm => out.write_str(if hour < 12 { "AM" } else { "PM" })?,
                Step::Offset { z: true, .. } if time.offset == 0 => out.write_str("Z")?,
                Step::Offset { colon, .. } => {
                    out.write_str(if time.offset < 0 { "-" } else { "+" })?;
                    digits(out, time.offset.abs() / 3600, 2)?;
                    out.write_str(if *colon { ":" } else { "" })?;
                    digits(out, time.offset.abs() / 60 % 60, 2)?;
                }
                Step::ZoneName => write!(out, "{zone}")?,
                Step::Number(field, width) => match field {
                    Field::Year if *width == 2 => digits(out, date.year.rem_euclid(100), 2)?,
                    Field::Year => digits(out, date.year, *width)?,
                    Field::Month => digits(out, date.month, *width)?,
                    Field::Day => digits(out, date.day, *width)?,
                    Field::DayOfYear => digits(out, day_of_year(days), *width)?,
                    Field::Hour => digits(out, hour, *width)?,
                    Field::Hour1To24 => digits(out, if hour == 0 { 24 } else { hour }, *width)?,
                    Field::Hour0To11 => digits(out, hour % 12, *width)?,
                    Field::Hour1To12 => digits(out, (hour + 11) % 12 + 1, *width)?,
                    Field::Minute => digits(out, of_day / 60 % 60, *width)?,
                    Field::Second => digits(out, of_day % 60, *width)?,
                    Field::Fraction => fraction(out, time.nanos, *width)?,
                },
            }
        }
        Ok(())
    }

    /// Reads a time, which must be written as the pattern says (numbers may have fewer digits where a separator
    /// follows). What the pattern leaves out is 1970-01-01 00:00:00. `offset` is `None` unless it is in the text.
    pub(super) fn parse(&self, text: &str) -> Option<(i64, u32, Option<i64>)> {
        let mut rest = text;
        let mut date = Date { year: 1970, month: 1, day: 1 };
        let (mut day_of_year, mut hour, mut half, mut minute, mut second, mut nanos) = (None, 0, None, 0, 0, 0);
        let mut offset = None;
        for (at, step) in self.steps.iter().enumerate() {
            match step {
                Step::Literal(literal) => rest = rest.strip_prefix(literal.as_str())?,
                Step::MonthName { long } => date.month = name(&mut rest, &MONTHS, *long)? as i64 + 1,
                Step::WeekdayName { long } => {
                    name(&mut rest, &WEEKDAYS, *long)?;
                }
                Step::AmPm => {
                    let (word, after) = rest.split_at_checked(2)?;
                    half = Some(["AM", "PM"].iter().position(|h| h.eq_ignore_ascii_case(word))? as i64);
                    rest = after;
                }
                Step::Offset { .. } => offset = Some(read_offset(&mut rest)?),
                Step::ZoneName => return None,
                Step::Number(Field::Fraction, _) => {
                    let length = rest.bytes().take_while(u8::is_ascii_digit).count().min(9);
                    let (digits, after) = rest.split_at(length);
                    nanos = digits.parse::<u32>().ok()? * 10u32.pow(9 - length as u32);
                    rest = after;
                }
                Step::Number(field, width) => {
                    let adjacent = matches!(self.steps.get(at + 1), Some(Step::Number(..)));
                    let value =
                        read_number(&mut rest, if adjacent { *width } else { (*width).max(2) }, adjacent, *field)?;
                    match field {
                        Field::Year if *width == 2 => date.year = 2000 + value,
                        Field::Year => date.year = value,
                        Field::Month => date.month = value,
                        Field::Day => date.day = value,
                        Field::DayOfYear => day_of_year = Some(value),
                        Field::Hour if value < 24 => hour = value,
                        Field::Hour1To24 if (1..=24).contains(&value) => hour = value % 24,
                        Field::Hour0To11 if value < 12 => hour = value,
                        Field::Hour1To12 if (1..=12).contains(&value) => hour = value % 12,
                        Field::Minute if value < 60 => minute = value,
                        Field::Second if value < 60 => second = value,
                        _ => return None,
                    }
                }
            }
        }
        if !rest.is_empty() {
            return None;
        }
        let days = match day_of_year {
            None => checked_days_of(date)?,
            Some(day) => checked_days_of(Date { month: 1, day: 1, ..date })? + day - 1,
        };
        let hour = hour + half.unwrap_or(0) * 12;
        (hour < 24).then_some((days * DAY_SECONDS + hour * 3600 + minute * 60 + second, nanos, offset))
    }
}

impl Step {
    fn of(letter: char, width: usize) -> Option<Step> {
        let number = |field| Some(Step::Number(field, width));
        match letter {
            'y' | 'u' => number(Field::Year),
            'M' | 'L' if width >= 3 => Some(Step::MonthName { long: width >= 4 }),
            'M' | 'L' => number(Field::Month),
            'd' => number(Field::Day),
            'D' => number(Field::DayOfYear),
            'E' => Some(Step::WeekdayName { long: width >= 4 }),
            'H' => number(Field::Hour),
            'k' => number(Field::Hour1To24),
            'K' => number(Field::Hour0To11),
            'h' => number(Field::Hour1To12),
            'a' => Some(Step::AmPm),
            'm' => number(Field::Minute),
            's' => number(Field::Second),
            'S' => number(Field::Fraction),
            'X' => Some(Step::Offset { colon: width >= 3, z: true }),
            'x' => Some(Step::Offset { colon: width >= 3, z: false }),
            'Z' => Some(Step::Offset { colon: false, z: false }),
            'z' | 'V' => Some(Step::ZoneName),
            _ => None,
        }
    }
}

fn literal(steps: &mut Vec<Step>, text: &str) {
    match steps.last_mut() {
        Some(Step::Literal(before)) => before.push_str(text),
        _ => steps.push(Step::Literal(text.to_owned())),
    }
}

/// A number with leading zeros.
fn digits(out: &mut StringBuilder, value: i64, width: usize) -> std::fmt::Result {
    const PAIRS: &str = "00010203040506070809101112131415161718192021222324252627282930313233343536373839\
                         40414243444546474849505152535455565758596061626364656667686970717273747576777879\
                         8081828384858687888990919293949596979899";
    let pair = |value: i64| &PAIRS[value as usize * 2..value as usize * 2 + 2];
    match (width, value) {
        (2, 0..=99) => out.write_str(pair(value)),
        (4, 0..=9999) => {
            out.write_str(pair(value / 100))?;
            out.write_str(pair(value % 100))
        }
        _ => write!(out, "{value:0width$}"),
    }
}

fn fraction(out: &mut StringBuilder, nanos: u32, width: usize) -> std::fmt::Result {
    let shown = width.min(9);
    write!(out, "{:0shown$}", nanos / 10u32.pow(9 - shown as u32))?;
    (9..width).try_for_each(|_| out.write_str("0"))
}

fn read_number(rest: &mut &str, width: usize, exact: bool, field: Field) -> Option<i64> {
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let width = if field == Field::Year && !exact { width.max(4) } else { width };
    let length = digits.min(width);
    if length == 0 || (exact && length < width) || (field == Field::Year && width >= 4 && length < 4) {
        return None;
    }
    let (number, after) = rest.split_at(length);
    *rest = after;
    number.parse().ok()
}

fn name(rest: &mut &str, names: &[&str], long: bool) -> Option<usize> {
    let at = names.iter().position(|name| {
        let name = if long { name } else { &name[..3] };
        rest.get(..name.len()).is_some_and(|front| front.eq_ignore_ascii_case(name))
    })?;
    *rest = &rest[if long { names[at].len() } else { 3 }..];
    Some(at)
}

fn read_offset(rest: &mut &str) -> Option<i64> {
    if let Some(after) = rest.strip_prefix('Z') {
        *rest = after;
        return Some(0);
    }
    let length = rest.bytes().take_while(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b':')).count();
    let (text, after) = rest.split_at(length);
    *rest = after;
    text.starts_with(['+', '-']).then(|| Zone::parse(text).ok()).flatten().map(|zone| zone.offset_seconds(0))
}

/// Reads `yyyy-MM-dd[ HH:mm[:ss[.fraction]]]`, with a blank or a `T` between date and time.
pub(super) fn parse_default(text: &str) -> Option<(i64, u32)> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| {
        let mut value = 0i64;
        for digit in bytes.get(from..to)? {
            value = value * 10 + i64::from(digit.is_ascii_digit().then(|| digit - b'0')?);
        }
        Some(value)
    };
    let is = |at: usize, byte: u8| bytes.get(at) == Some(&byte);
    if !is(4, b'-') || !is(7, b'-') {
        return None;
    }
    let days = checked_days_of(Date { year: number(0, 4)?, month: number(5, 7)?, day: number(8, 10)? })?;
    if bytes.len() == 10 {
        return Some((days * DAY_SECONDS, 0));
    }
    if !(is(10, b' ') || is(10, b'T')) || !is(13, b':') {
        return None;
    }
    let (hour, minute) = (number(11, 13)?, number(14, 16)?);
    let second = if is(16, b':') { number(17, 19)? } else { 0 };
    let nanos = match bytes.len() {
        16 | 19 => 0,
        21..=29 if is(19, b'.') => number(20, bytes.len())? as u32 * 10u32.pow(29 - bytes.len() as u32),
        _ => return None,
    };
    let fits = hour < 24 && minute < 60 && second < 60;
    fits.then_some((days * DAY_SECONDS + hour * 3600 + minute * 60 + second, nanos))
}
