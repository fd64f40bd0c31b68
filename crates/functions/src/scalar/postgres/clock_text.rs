//! Times and intervals in patterns of PostgreSQL (`TO_CHAR`).

use super::super::calendar::{DAY_SECONDS, date_of, day_of_year, iso_week, iso_weekday};
use super::super::date_pattern::LocalTime;
use super::{TIME_OUT_OF_RANGE, fail};
use arrow::datatypes::IntervalMonthDayNano;
use datafusion_common::Result;
use std::fmt::Write;

pub(super) const MONTHS: [&str; 12] = [
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
pub(super) const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const ROMAN: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

/// What patterns consist of, the longest first where one begins another. What has letters of both cases is written as it stands here.
pub(super) const PARTS: &[&str] = &[
    "HH24", "HH12", "YYYY", "IYYY", "Y,YYY", "SSSSS", "SSSS", "MONTH", "Month", "month", "IDDD", "A.D.", "a.d.",
    "B.C.", "b.c.", "A.M.", "a.m.", "P.M.", "p.m.", "YYY", "IYY", "MON", "Mon", "mon", "DAY", "Day", "day", "DDD",
    "TZH", "TZM", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6", "YY", "IY", "HH", "MI", "MM", "MS", "SS", "US", "DD", "DY",
    "Dy", "dy", "ID", "IW", "WW", "CC", "RM", "rm", "AD", "ad", "BC", "bc", "AM", "am", "PM", "pm", "TZ", "tz", "OF",
    "Y", "I", "D", "W", "Q", "J",
];

/// The part that a pattern begins with. Numbers may be written in any case.
pub(super) fn part_at(pattern: &str) -> Option<&'static str> {
    let is_exact = |part: &&&str| pattern.starts_with(**part);
    let is_alike = |part: &&&str| {
        !is_cased(part) && pattern.get(..part.len()).is_some_and(|found| found.eq_ignore_ascii_case(part))
    };
    PARTS.iter().find(|part| is_exact(part) || is_alike(part)).copied()
}

/// Does the case of a part say something?
fn is_cased(part: &str) -> bool {
    let of_letters = part.to_ascii_uppercase();
    matches!(
        of_letters.as_str(),
        "MONTH" | "MON" | "DAY" | "DY" | "A.D." | "B.C." | "A.M." | "P.M." | "AD" | "BC" | "AM" | "PM" | "RM" | "TZ"
    )
}

/// A time, taken apart.
#[derive(Default)]
pub(super) struct Clock<'z> {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    /// Since 1970; `None`: it is an interval.
    days: Option<i64>,
    /// Zone, and how far its clocks are ahead of UTC.
    zone: Option<(&'z str, i64)>,
}

impl<'z> Clock<'z> {
    pub(super) fn of_time(time: LocalTime, zone: Option<&'z str>) -> Self {
        let (days, second) = (time.seconds.div_euclid(DAY_SECONDS), time.seconds.rem_euclid(DAY_SECONDS));
        let date = date_of(days);
        Self {
            year: date.year,
            month: date.month,
            day: date.day,
            hour: second / 3600,
            minute: second / 60 % 60,
            second: second % 60,
            micros: i64::from(time.nanos / 1000),
            days: Some(days),
            zone: zone.map(|zone| (zone, time.offset)),
        }
    }

    pub(super) fn of_interval(value: IntervalMonthDayNano) -> Self {
        let micros = value.nanoseconds / 1000;
        let seconds = micros / 1_000_000;
        Self {
            year: i64::from(value.months / 12),
            month: i64::from(value.months % 12),
            day: i64::from(value.days),
            hour: seconds / 3600,
            minute: seconds / 60 % 60,
            second: seconds % 60,
            micros: micros % 1_000_000,
            days: None,
            zone: None,
        }
    }
}

/// Writes a time in a pattern.
///
/// # Errors
/// What an interval does not have.
pub(super) fn write(pattern: &str, clock: &Clock<'_>, out: &mut impl Write) -> Result<bool> {
    let (mut rest, mut is_bare) = (pattern, false);
    while let Some(first) = rest.chars().next() {
        if let Some(behind) = rest.strip_prefix("FM").or_else(|| rest.strip_prefix("fm")) {
            (rest, is_bare) = (behind, true);
            continue;
        }
        if let Some(behind) = rest.strip_prefix("TM").or_else(|| rest.strip_prefix("FX")) {
            rest = behind;
            continue;
        }
        if let Some(part) = part_at(rest) {
            let shown = shown(part, clock, is_bare)?;
            rest = &rest[part.len()..];
            let suffix = ["TH", "th"].into_iter().find(|suffix| rest.starts_with(suffix));
            let is_number = shown.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit());
            let written = match suffix.filter(|_| is_number) {
                Some(suffix) => {
                    rest = &rest[2..];
                    write!(out, "{shown}{}", ordinal(&shown, suffix == "TH"))
                }
                None => out.write_str(&shown),
            };
            debug_assert!(written.is_ok(), "writing into memory cannot fail");
            is_bare = false;
            continue;
        }
        is_bare = false;
        let (text, behind) = literal(rest, first);
        if out.write_str(text).is_err() {
            return Ok(false);
        }
        rest = behind;
    }
    Ok(true)
}

/// What is written as it stands, and what follows it.
fn literal(rest: &str, first: char) -> (&str, &str) {
    let behind = &rest[first.len_utf8()..];
    match first {
        '"' => behind.split_once('"').unwrap_or((behind, "")),
        '\\' if behind.starts_with('"') => behind.split_at(1),
        _ => rest.split_at(first.len_utf8()),
    }
}

pub(super) fn ordinal(number: &str, is_upper: bool) -> &'static str {
    let suffix =
        match (number.ends_with("11") || number.ends_with("12") || number.ends_with("13"), number.chars().last()) {
            (false, Some('1')) => ["ST", "st"],
            (false, Some('2')) => ["ND", "nd"],
            (false, Some('3')) => ["RD", "rd"],
            _ => ["TH", "th"],
        };
    suffix[usize::from(!is_upper)]
}

/// One part of a time. `is_bare`: without blanks and zeros that fill it up.
fn shown(part: &str, clock: &Clock<'_>, is_bare: bool) -> Result<String> {
    let number = |value: i64, width: usize| match (is_bare, value < 0) {
        (true, _) => value.to_string(),
        (false, false) => format!("{value:0width$}"),
        (false, true) => format!("-{:0width$}", -value),
    };
    let name = |name: &str, case: &str| {
        let cased = match case.chars().nth(1) {
            _ if case.starts_with(|c: char| c.is_ascii_lowercase()) => name.to_ascii_lowercase(),
            Some(second) if second.is_ascii_uppercase() => name.to_ascii_uppercase(),
            _ => name.to_owned(),
        };
        if is_bare { cased } else { format!("{cased:9}") }
    };
    let short = |name: &str, case: &str| {
        let name = &name[..3];
        match case.chars().nth(1) {
            _ if case.starts_with(|c: char| c.is_ascii_lowercase()) => name.to_ascii_lowercase(),
            Some(second) if second.is_ascii_uppercase() => name.to_ascii_uppercase(),
            _ => name.to_owned(),
        }
    };
    let of_date = || match clock.days {
        Some(days) => Ok(days),
        None => fail(TIME_OUT_OF_RANGE, "invalid format specification for an interval value"),
    };
    let year = if clock.year > 0 || clock.days.is_none() { clock.year } else { 1 - clock.year };
    let hour12 = if clock.hour % 12 == 0 { 12 } else { clock.hour % 12 };
    let of_half = |am: &str, pm: &str| if clock.hour % 24 < 12 { am.to_owned() } else { pm.to_owned() };
    Ok(match part {
        "HH24" => number(clock.hour, 2),
        "HH12" | "HH" if clock.days.is_none() && clock.hour == 0 => number(12, 2),
        "HH12" | "HH" => number(hour12, 2),
        "MI" => number(clock.minute, 2),
        "SS" => number(clock.second, 2),
        "MS" => format!("{:03}", clock.micros / 1000),
        "US" => format!("{:06}", clock.micros),
        "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
            let digits = usize::from(part.as_bytes()[2] - b'0');
            format!("{:06}", clock.micros)[..digits].to_owned()
        }
        "SSSS" | "SSSSS" => number(clock.hour * 3600 + clock.minute * 60 + clock.second, 1),
        "AM" | "PM" => of_half("AM", "PM"),
        "am" | "pm" => of_half("am", "pm"),
        "A.M." | "P.M." => of_half("A.M.", "P.M."),
        "a.m." | "p.m." => of_half("a.m.", "p.m."),
        "YYYY" => number(year, 4),
        "YYY" => number(year % 1000, 3),
        "YY" => number(year % 100, 2),
        "Y" => number(year % 10, 1),
        "Y,YYY" => format!("{},{:03}", year / 1000, year % 1000),
        "IYYY" | "IYY" | "IY" | "I" => {
            let days = of_date()?;
            let year = date_of(days - iso_weekday(days) + 4).year;
            match part.len() {
                4 => number(year, 4),
                3 => number(year % 1000, 3),
                2 => number(year % 100, 2),
                _ => number(year % 10, 1),
            }
        }
        "BC" | "AD" => (if clock.year > 0 { "AD" } else { "BC" }).to_owned(),
        "bc" | "ad" => (if clock.year > 0 { "ad" } else { "bc" }).to_owned(),
        "B.C." | "A.D." => (if clock.year > 0 { "A.D." } else { "B.C." }).to_owned(),
        "b.c." | "a.d." => (if clock.year > 0 { "a.d." } else { "b.c." }).to_owned(),
        "MONTH" | "Month" | "month" => {
            of_date()?;
            name(MONTHS[(clock.month - 1) as usize], part)
        }
        "MON" | "Mon" | "mon" => {
            of_date()?;
            short(MONTHS[(clock.month - 1) as usize], part)
        }
        "MM" => number(clock.month, 2),
        "RM" | "rm" => {
            of_date()?;
            let roman = ROMAN[(clock.month - 1) as usize];
            let roman = if part == "rm" { roman.to_ascii_lowercase() } else { roman.to_owned() };
            if is_bare { roman } else { format!("{roman:4}") }
        }
        "DAY" | "Day" | "day" => name(DAYS[(iso_weekday(of_date()?) % 7) as usize], part),
        "DY" | "Dy" | "dy" => short(DAYS[(iso_weekday(of_date()?) % 7) as usize], part),
        "DDD" => number(clock.days.map_or(clock.day + clock.month * 30, day_of_year), 3),
        "IDDD" => {
            let days = of_date()?;
            let year = date_of(days - iso_weekday(days) + 4).year;
            number(days - super::times::iso_year_begin(year) + 1, 3)
        }
        "DD" => number(clock.day, 2),
        "D" => number(iso_weekday(of_date()?) % 7 + 1, 1),
        "ID" => number(iso_weekday(of_date()?), 1),
        "W" => number((clock.day - 1) / 7 + 1, 1),
        "WW" => number((day_of_year(of_date()?) - 1) / 7 + 1, 2),
        "IW" => number(iso_week(of_date()?), 2),
        "CC" => number((year + 99) / 100, 2),
        "J" => number(of_date()? + 2_440_588, 1),
        "Q" => {
            of_date()?;
            number((clock.month - 1) / 3 + 1, 1)
        }
        "TZ" => clock.zone.map_or_else(String::new, |(zone, _)| zone.to_owned()),
        "tz" => clock.zone.map_or_else(String::new, |(zone, _)| zone.to_ascii_lowercase()),
        "TZH" | "TZM" | "OF" => {
            let ahead = clock.zone.map_or(0, |(_, ahead)| ahead);
            let (sign, ahead) = (if ahead < 0 { '-' } else { '+' }, ahead.abs());
            match part {
                "TZM" => format!("{:02}", ahead % 3600 / 60),
                "OF" if ahead % 3600 != 0 => format!("{sign}{:02}:{:02}", ahead / 3600, ahead % 3600 / 60),
                _ => format!("{sign}{:02}", ahead / 3600),
            }
        }
        other => return fail("0A000", format!("'{other}' in a pattern is not supported")),
    })
}
