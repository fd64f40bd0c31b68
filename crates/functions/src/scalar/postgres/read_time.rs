//! Times out of texts in patterns of PostgreSQL (`TO_DATE`, `TO_TIMESTAMP`).

use super::super::calendar::{Date, checked_days_of, days_of};
use super::clock_text::{DAYS, MONTHS, part_at};
use super::{INVALID_TIME, TIME_OUT_OF_RANGE, fail};
use datafusion_common::Result;

/// A time that was read.
pub(super) struct Read {
    /// Since 1970.
    pub(super) days: i64,
    /// Of the day.
    pub(super) micros: i64,
    /// How far clocks are ahead of UTC, if the text says it.
    pub(super) ahead_seconds: Option<i64>,
}

#[derive(Default)]
struct Fields {
    year: Option<i64>,
    iso_year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    iso_week: Option<i64>,
    iso_day: Option<i64>,
    julian: Option<i64>,
    hour: i64,
    is_half_day: bool,
    is_afternoon: Option<bool>,
    minute: i64,
    second: i64,
    micros: i64,
    second_of_day: Option<i64>,
    is_before_christ: bool,
    zone_hours: Option<i64>,
    zone_minutes: i64,
}

/// Reads a text in a pattern.
///
/// # Errors
/// It does not fit, or there is no such time.
pub(super) fn read(text: &str, pattern: &str) -> Result<Read> {
    let mut fields = Fields::default();
    let (mut rest, mut pattern) = (text.trim_start(), pattern);
    while let Some(first) = pattern.chars().next() {
        if let Some(behind) = ["FM", "fm", "TM", "FX"].iter().find_map(|prefix| pattern.strip_prefix(prefix)) {
            pattern = behind;
            continue;
        }
        if let Some(part) = part_at(pattern) {
            pattern = &pattern[part.len()..];
            // Numbers are as long as they are, unless another follows at once.
            let is_followed = part_at(pattern).is_some_and(|next| !is_name(next))
                || pattern.starts_with(|c: char| c.is_ascii_digit());
            rest = fields.take(part, rest.trim_start(), is_followed)?;
            if let Some(behind) = pattern.strip_prefix("TH").or_else(|| pattern.strip_prefix("th")) {
                pattern = behind;
                rest = rest.get(2..).unwrap_or_default();
            }
            continue;
        }
        pattern = &pattern[first.len_utf8()..];
        if first == '"' {
            let (quoted, behind) = pattern.split_once('"').unwrap_or((pattern, ""));
            pattern = behind;
            rest = skip(rest, quoted.chars().count());
        } else if first.is_whitespace() || !first.is_alphanumeric() {
            // Any separator stands for any other, and may be missing.
            rest = rest.trim_start();
            if let Some(separator) =
                rest.chars().next().filter(|c| !c.is_alphanumeric() && !matches!(c, '+' | '-') || *c == first)
            {
                rest = &rest[separator.len_utf8()..];
            }
        } else {
            rest = skip(rest, 1);
        }
    }
    fields.time()
}

fn skip(text: &str, count: usize) -> &str {
    text.char_indices().nth(count).map_or("", |(at, _)| &text[at..])
}

fn is_name(part: &str) -> bool {
    matches!(
        part.to_ascii_uppercase().as_str(),
        "MONTH"
            | "MON"
            | "DAY"
            | "DY"
            | "AM"
            | "PM"
            | "A.M."
            | "P.M."
            | "AD"
            | "BC"
            | "A.D."
            | "B.C."
            | "RM"
            | "TZ"
            | "OF"
    )
}

impl Fields {
    /// Reads a part; returns what follows it.
    fn take<'t>(&mut self, part: &str, text: &'t str, is_followed: bool) -> Result<&'t str> {
        let upper = part.to_ascii_uppercase();
        if is_name(&upper) {
            return self.take_name(&upper, text);
        }
        let width = match upper.as_str() {
            "YYYY" | "IYYY" | "HH24" | "HH12" | "MI" | "SS" | "MM" | "DD" | "YY" | "IY" | "HH" | "IW" | "WW" | "CC"
            | "TZH" | "TZM" => {
                if upper.starts_with("HH") || upper.starts_with("TZ") {
                    2
                } else {
                    upper.len()
                }
            }
            "MS" | "DDD" | "YYY" | "IYY" | "IDDD" => 3,
            "US" => 6,
            "SSSS" | "SSSSS" => 5,
            "J" => 7,
            "Y,YYY" => 5,
            other if other.starts_with("FF") => usize::from(other.as_bytes()[2] - b'0'),
            _ => 1,
        };
        let is_signed = matches!(upper.as_str(), "TZH" | "YYYY" | "IYYY") && text.starts_with(['-', '+']);
        let sign = usize::from(is_signed);
        let is_digit = |c: &char| c.is_ascii_digit() || upper == "Y,YYY" && *c == ',';
        let found = text[sign..].chars().take_while(is_digit).count();
        let is_open = matches!(upper.as_str(), "YYYY" | "IYYY" | "J" | "Y,YYY") && !is_followed;
        let length = if is_open { found } else { found.min(width) };
        let (digits, rest) = (&text[sign..sign + length], &text[sign + length..]);
        let digits = digits.replace(',', "");
        let Ok(value) = digits.parse::<i64>() else {
            let shown = skip_to(text, width);
            return fail(INVALID_TIME, format!("invalid value \"{shown}\" for \"{part}\""));
        };
        let value = if is_signed && text.starts_with('-') { -value } else { value };
        // The closest to 2020.
        let completed = |value: i64, digits: usize| match digits {
            1 => 2020 + value,
            2 if value < 70 => 2000 + value,
            2 => 1900 + value,
            3 if value >= 520 => 1000 + value,
            3 => 2000 + value,
            _ => value,
        };
        match upper.as_str() {
            "YYYY" | "Y,YYY" => self.year = Some(if length < 4 { completed(value, length) } else { value }),
            "YYY" | "YY" | "Y" => self.year = Some(completed(value, length)),
            "IYYY" | "IYY" | "IY" | "I" => {
                self.iso_year = Some(if length < 4 { completed(value, length) } else { value })
            }
            "MM" => self.month = Some(value),
            "DD" => self.day = Some(value),
            "DDD" => self.day_of_year = Some(value),
            "IW" => self.iso_week = Some(value),
            "ID" => self.iso_day = Some(value),
            "J" => self.julian = Some(value),
            "HH24" => self.hour = value,
            "HH12" | "HH" => (self.hour, self.is_half_day) = (value, true),
            "MI" => self.minute = value,
            "SS" => self.second = value,
            "MS" | "US" => self.micros += value * 10i64.pow(6 - length.min(6) as u32),
            "SSSS" | "SSSSS" => self.second_of_day = Some(value),
            "TZH" => self.zone_hours = Some(value),
            "TZM" => self.zone_minutes = value,
            other if other.starts_with("FF") => self.micros += value * 10i64.pow(6 - length.min(6) as u32),
            // Weeks and days of weeks say nothing beside a date.
            _ => {}
        }
        Ok(rest)
    }

    fn take_name<'t>(&mut self, part: &str, text: &'t str) -> Result<&'t str> {
        let begins = |name: &str| text.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name));
        let wrong = || fail(INVALID_TIME, format!("invalid value \"{}\" for \"{part}\"", skip_to(text, part.len())));
        let length = match part {
            "MONTH" | "MON" => {
                let Some(at) = MONTHS.iter().position(|month| begins(&month[..3])) else { return wrong() };
                self.month = Some(at as i64 + 1);
                if begins(MONTHS[at]) { MONTHS[at].len() } else { 3 }
            }
            "DAY" | "DY" => {
                let Some(day) = DAYS.iter().find(|day| begins(&day[..3])) else { return wrong() };
                if begins(day) { day.len() } else { 3 }
            }
            "AM" | "PM" | "A.M." | "P.M." => {
                let names = [("AM", false), ("PM", true), ("A.M.", false), ("P.M.", true)];
                let Some((name, is_afternoon)) = names.into_iter().find(|(name, _)| begins(name)) else {
                    return wrong();
                };
                self.is_afternoon = Some(is_afternoon);
                name.len()
            }
            "AD" | "BC" | "A.D." | "B.C." => {
                let names = [("AD", false), ("BC", true), ("A.D.", false), ("B.C.", true)];
                let Some((name, is_before)) = names.into_iter().find(|(name, _)| begins(name)) else { return wrong() };
                self.is_before_christ = is_before;
                name.len()
            }
            other => return fail("0A000", format!("formatting field \"{other}\" is only supported in to_char")),
        };
        Ok(&text[length..])
    }

    fn time(self) -> Result<Read> {
        let out_of_range = || fail(TIME_OUT_OF_RANGE, "date/time field value out of range");
        let year = self.year.map(|year| if self.is_before_christ { 1 - year } else { year });
        let days = match (self.julian, self.iso_year, self.day_of_year) {
            (Some(julian), ..) => julian - 2_440_588,
            (_, Some(year), _) => {
                let (week, day) = (self.iso_week.unwrap_or(1), self.iso_day.unwrap_or(1));
                if !(1..=53).contains(&week) || !(1..=7).contains(&day) {
                    return out_of_range();
                }
                super::times::iso_year_begin(year) + (week - 1) * 7 + day - 1
            }
            (.., Some(day)) if (1..=366).contains(&day) => {
                days_of(Date { year: year.unwrap_or(0), month: 1, day: 1 }) + day - 1
            }
            (.., Some(_)) => return out_of_range(),
            // The year before 1 is what a text without a year says.
            _ => match checked_days_of(Date {
                year: year.unwrap_or(0),
                month: self.month.unwrap_or(1),
                day: self.day.unwrap_or(1),
            }) {
                Some(days) => days,
                None => return out_of_range(),
            },
        };
        let hour = match (self.is_half_day, self.is_afternoon, self.hour) {
            (true, _, hour) if !(1..=12).contains(&hour) => {
                return fail(INVALID_TIME, format!("hour \"{hour}\" is invalid for the 12-hour clock"));
            }
            (true, Some(true), 12) => 12,
            (true, Some(false), 12) => 0,
            (true, Some(true), hour) => hour + 12,
            (_, _, hour) => hour,
        };
        if !(0..=24).contains(&hour) || !(0..60).contains(&self.minute) || !(0..60).contains(&self.second) {
            return out_of_range();
        }
        let seconds = self.second_of_day.unwrap_or(hour * 3600 + self.minute * 60 + self.second);
        let ahead = self.zone_hours.map(|hours| hours * 3600 + self.zone_minutes * 60 * if hours < 0 { -1 } else { 1 });
        Ok(Read { days, micros: seconds * 1_000_000 + self.micros, ahead_seconds: ahead })
    }
}

/// The beginning of a text, for an error.
fn skip_to(text: &str, count: usize) -> &str {
    text.char_indices().nth(count).map_or(text, |(at, _)| &text[..at])
}
