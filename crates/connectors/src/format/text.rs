//! Text to values: numbers, dates and times in the spellings of Flink SQL, shared by all text formats.
//!
//! The `leading_*` functions read a value at the start of the bytes and tell its length, so that a decoder need not
//! look for the end of the field first; the others want the whole text. All of them work on bytes, allocate nothing
//! and never panic. `None` is text that is no such value, or a value that does not fit.

use arrow::array::timezone::Tz;
use arrow::datatypes::TimeUnit;
use chrono::{DateTime, Duration, NaiveDateTime, Offset, TimeZone};

const POWERS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// How many units a second has.
pub fn units_per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// The decimal digits that `bytes` begin with: value and how many. No digits: `(0, 0)`.
#[inline]
pub fn leading_digits(bytes: &[u8]) -> Option<(u64, usize)> {
    let (first, n) = eight_digits(bytes);
    if n < 8 {
        return Some((first, n));
    }
    let (second, m) = eight_digits(&bytes[8..]);
    let mut value = if m < 8 { first * POWERS[m] + second } else { first * 100_000_000 + second };
    let mut len = 8 + m;
    if m == 8 {
        while let Some(digit) = bytes.get(len).map(|b| b.wrapping_sub(b'0')).filter(|d| *d < 10) {
            value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
            len += 1;
        }
    }
    Some((value, len))
}

/// Up to eight leading digits.
#[inline(always)]
fn eight_digits(bytes: &[u8]) -> (u64, usize) {
    let Some(eight) = bytes.first_chunk::<8>() else {
        let digits = bytes.iter().map(|b| b.wrapping_sub(b'0')).take_while(|d| *d < 10);
        return digits.fold((0, 0), |(value, n), d| (value * 10 + u64::from(d), n + 1));
    };
    let digits = u64::from_le_bytes(*eight) ^ 0x3030_3030_3030_3030;
    // High bits mark bytes above 9. A carry out of a byte only reaches later bytes, behind the first mark.
    let marks = (digits.wrapping_add(0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080;
    let n = (marks.trailing_zeros() / 8) as usize;
    match n {
        0 => (0, 0),
        _ => (eight_values(digits << (64 - 8 * n)), n),
    }
}

/// Eight digit values, first digit in the lowest byte, as one number.
#[inline(always)]
fn eight_values(digits: u64) -> u64 {
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let low = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(0x000f_4240_0000_0064);
    let high = ((pairs >> 16) & 0x0000_00ff_0000_00ff).wrapping_mul(0x0000_2710_0000_0001);
    low.wrapping_add(high) >> 32
}

/// An integer with an optional sign.
#[inline]
pub fn leading_i64(bytes: &[u8]) -> Option<(i64, usize)> {
    let (negative, signs) = match bytes.first() {
        Some(b'-') => (true, 1),
        Some(b'+') => (false, 1),
        _ => (false, 0),
    };
    let (value, n) = leading_digits(&bytes[signs..])?;
    if n == 0 {
        return None;
    }
    let value = if negative { 0i64.checked_sub_unsigned(value)? } else { i64::try_from(value).ok()? };
    Some((value, signs + n))
}

/// An integer; also one written as a decimal or with an exponent, as long as it is whole: `1.0`, `12e3`.
pub fn integer(text: &[u8]) -> Option<i64> {
    match leading_i64(text) {
        Some((value, n)) if n == text.len() => Some(value),
        _ => Number::read(text)?.whole().and_then(|v| i64::try_from(v).ok()),
    }
}

/// A floating point number; `NaN`, `Infinity` and `-Infinity` too.
pub fn float<F: lexical_core::FromLexical + From<f32>>(text: &[u8]) -> Option<F> {
    match text {
        b"NaN" => Some(F::from(f32::NAN)),
        b"Infinity" | b"+Infinity" => Some(F::from(f32::INFINITY)),
        b"-Infinity" => Some(F::from(f32::NEG_INFINITY)),
        _ if text.iter().all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) => {
            lexical_core::parse(text).ok()
        }
        _ => None,
    }
}

/// A decimal with `scale` digits behind the point, rounded half up where the text has more; `None` where it needs
/// more than `precision` digits.
pub fn decimal(text: &[u8], precision: u8, scale: i8) -> Option<i128> {
    let value = Number::read(text)?.scaled(scale)?;
    let limit = 10u128.checked_pow(u32::from(precision))?;
    (value.unsigned_abs() < limit).then_some(value)
}

/// A number in decimal writing: `digits × 10^exponent`.
struct Number<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> Number<'a> {
    fn read(text: &'a [u8]) -> Option<Self> {
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        let (mantissa, exponent) = match text.iter().position(|b| matches!(b, b'e' | b'E')) {
            Some(e) => (&text[..e], leading_i64(&text[e + 1..]).filter(|(_, n)| e + 1 + n == text.len())?.0),
            None => (text, 0),
        };
        let (whole, fraction) = match mantissa.iter().position(|b| *b == b'.') {
            Some(point) => (&mantissa[..point], &mantissa[point + 1..]),
            None => (mantissa, &mantissa[mantissa.len()..]),
        };
        let digits = whole.iter().chain(fraction);
        let all_digits = digits.clone().all(u8::is_ascii_digit);
        (all_digits && digits.count() > 0).then_some(Self { negative, whole, fraction, exponent })
    }

    /// The number times `10^scale`, rounded half up (away from 0).
    fn scaled(&self, scale: i8) -> Option<i128> {
        let shift = self.exponent.checked_add(i64::from(scale))?;
        // Digits up to `kept` stand before the point of the scaled number.
        let kept = (self.whole.len() as i64).checked_add(shift)?;
        let (mut value, mut round_up) = (0i128, false);
        for (at, byte) in (0i64..).zip(self.whole.iter().chain(self.fraction)) {
            let digit = i128::from(byte - b'0');
            if at < kept {
                value = value.checked_mul(10)?.checked_add(digit)?;
            } else {
                round_up = at == kept && digit >= 5;
                break;
            }
        }
        let zeros = kept - (self.whole.len() + self.fraction.len()) as i64;
        if zeros > 0 && value != 0 {
            value = value.checked_mul(10i128.checked_pow(u32::try_from(zeros).ok()?)?)?;
        }
        value = value.checked_add(i128::from(round_up))?;
        Some(if self.negative { -value } else { value })
    }

    fn whole(&self) -> Option<i128> {
        let behind = (self.whole.len() as i64).checked_add(self.exponent)?.max(0);
        let rest = self.whole.iter().chain(self.fraction).skip(usize::try_from(behind).ok()?);
        rest.copied().all(|b| b == b'0').then(|| self.scaled(0))?
    }
}

/// `true` or `false`, in any case.
pub fn boolean(text: &[u8]) -> Option<bool> {
    if text.eq_ignore_ascii_case(b"true") {
        Some(true)
    } else if text.eq_ignore_ascii_case(b"false") {
        Some(false)
    } else {
        None
    }
}

/// Days from 1970-01-01 of a date in the proleptic Gregorian calendar (year, month 1–12, day 1–31).
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of a number of days from 1970-01-01.
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[inline(always)]
fn two_digits(bytes: &[u8], at: usize) -> Option<i64> {
    let pair: &[u8; 2] = bytes.get(at..)?.first_chunk()?;
    let (a, b) = (pair[0].wrapping_sub(b'0'), pair[1].wrapping_sub(b'0'));
    (a < 10 && b < 10).then(|| i64::from(a) * 10 + i64::from(b))
}

/// `2024-01-31`, in days from 1970-01-01. Years beyond 9999 or before 0 carry a sign: `+12345-01-31`.
pub fn leading_date(bytes: &[u8]) -> Option<(i64, usize)> {
    let (year, year_len) = match bytes.first()? {
        b'+' | b'-' => leading_i64(bytes).filter(|(year, n)| *n >= 5 && year.abs() < 1_000_000_000_000)?,
        _ => (two_digits(bytes, 0)? * 100 + two_digits(bytes, 2)?, 4),
    };
    let rest = &bytes[year_len..];
    let (month, day) = (two_digits(rest, 1)?, two_digits(rest, 4)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let day_max = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    let fits = rest[0] == b'-' && rest[3] == b'-' && (1..=day_max).contains(&day);
    fits.then(|| (days_from_civil(year, month, day), year_len + 6))
}

/// A whole date that fits DATE.
pub fn date(text: &[u8]) -> Option<i32> {
    let (days, n) = leading_date(text)?;
    (n == text.len()).then(|| i32::try_from(days).ok())?
}

/// `.123`: up to nine digits behind the point as nanoseconds; more are cut off. Nothing: 0.
#[inline]
fn leading_fraction(bytes: &[u8]) -> Option<(i64, usize)> {
    if bytes.first() != Some(&b'.') {
        return Some((0, 0));
    }
    let (mut nanos, mut n) = (0i64, 0usize);
    while let Some(digit) = bytes.get(1 + n).map(|b| b.wrapping_sub(b'0')).filter(|d| *d < 10) {
        if n < 9 {
            nanos = nanos * 10 + i64::from(digit);
        }
        n += 1;
    }
    match n {
        0 => None,
        3 => Some((nanos * 1_000_000, 4)),
        _ => Some((nanos * POWERS.get(9 - n.min(9)).map_or(1_000_000_000, |p| *p as i64), 1 + n)),
    }
}

/// `23:45:00.123` as seconds and nanoseconds; the seconds may be missing.
pub fn leading_time(bytes: &[u8]) -> Option<(i64, i64, usize)> {
    let (hour, minute) = (two_digits(bytes, 0)?, two_digits(bytes, 3)?);
    if bytes[2] != b':' || hour > 23 || minute > 59 {
        return None;
    }
    let minutes = hour * 3600 + minute * 60;
    if bytes.get(5) != Some(&b':') {
        return Some((minutes, 0, 5));
    }
    let second = two_digits(bytes, 6).filter(|s| *s < 60)?;
    let (nanos, n) = leading_fraction(&bytes[8..])?;
    Some((minutes + second, nanos, 8 + n))
}

/// A whole time of day, in `unit`.
pub fn time(text: &[u8], unit: TimeUnit) -> Option<i64> {
    let (seconds, nanos, n) = leading_time(text)?;
    (n == text.len()).then(|| in_unit(seconds, nanos, unit))?
}

#[inline]
fn in_unit(seconds: i64, nanos: i64, unit: TimeUnit) -> Option<i64> {
    // The sum is taken wide, so that the smallest value does not overflow on its way.
    let per_second = units_per_second(unit);
    match seconds.checked_mul(per_second) {
        Some(units) => units.checked_add(nanos / (1_000_000_000 / per_second)),
        None => {
            let wide = i128::from(seconds) * i128::from(per_second) + i128::from(nanos / (1_000_000_000 / per_second));
            i64::try_from(wide).ok()
        }
    }
}

/// Reads timestamps of one column: `2024-01-31 23:45:00.123`, with a space or `T`.
///
/// For TIMESTAMP_LTZ (with a zone) an offset or `Z` may follow; without one the text is local to the zone. Digits
/// that the unit cannot hold are cut off. The minute that was read last is remembered, as most columns are in order.
#[derive(Debug, Clone)]
pub struct Timestamps {
    unit: TimeUnit,
    zone: Option<Tz>,
    is_utc: bool,
    minute_text: u128,
    minute: i64,
}

impl Timestamps {
    /// Timestamps in `unit`; with a zone: moments, whose text is local to it unless it says otherwise.
    pub fn new(unit: TimeUnit, zone: Option<Tz>) -> Self {
        let is_utc = zone.is_some_and(|z| ["UTC", "Etc/UTC", "Z", "+00:00"].contains(&z.to_string().as_str()));
        Self { unit, zone, is_utc, minute_text: u128::from_le_bytes(*b"1970-01-01 00:00"), minute: 0 }
    }

    /// A timestamp at the start of `bytes`.
    #[inline]
    pub fn leading(&mut self, bytes: &[u8]) -> Option<(i64, usize)> {
        let (seconds, nanos, n) = match self.leading_usual(bytes) {
            Some(read) => read,
            None => read_timestamp(bytes)?,
        };
        match self.zone {
            None => Some((in_unit(seconds, nanos, self.unit)?, n)),
            Some(zone) => self.moment(bytes, (seconds, nanos, n), zone),
        }
    }

    /// The usual 19 bytes and a fraction, when they do not end the bytes.
    #[inline]
    fn leading_usual(&mut self, bytes: &[u8]) -> Option<(i64, i64, usize)> {
        let head = bytes.first_chunk::<24>().filter(|head| head[16] == b':')?;
        let minute_text = u128::from_le_bytes(*head.first_chunk()?);
        if minute_text != self.minute_text {
            self.minute = read_minute(head)?;
            self.minute_text = minute_text;
        }
        let second = two_digits(head, 17).filter(|s| *s < 60)?;
        let (nanos, n) = leading_fraction(&bytes[19..])?;
        Some((self.minute + second, nanos, 19 + n))
    }

    fn moment(&self, bytes: &[u8], local: (i64, i64, usize), zone: Tz) -> Option<(i64, usize)> {
        let (seconds, nanos, n) = local;
        let (seconds, n) = match leading_offset(&bytes[n..]) {
            Some((offset, m)) => (seconds.checked_sub(offset)?, n + m),
            None if self.is_utc => (seconds, n),
            None => (utc_from_local(seconds, zone)?, n),
        };
        Some((in_unit(seconds, nanos, self.unit)?, n))
    }

    /// The whole text as a timestamp.
    pub fn whole(&mut self, text: &[u8]) -> Option<i64> {
        self.leading(text).filter(|(_, n)| *n == text.len()).map(|(value, _)| value)
    }
}

/// Seconds of `2024-01-31 23:45`, with no time zone.
fn read_minute(bytes: &[u8]) -> Option<i64> {
    let (days, n) = leading_date(bytes).filter(|(_, n)| *n == 10)?;
    let (hour, minute) = (two_digits(bytes, 11)?, two_digits(bytes, 14)?);
    let fits = matches!(bytes[n], b' ' | b'T') && bytes[13] == b':' && hour < 24 && minute < 60;
    fits.then_some(days * 86_400 + hour * 3600 + minute * 60)
}

fn read_timestamp(bytes: &[u8]) -> Option<(i64, i64, usize)> {
    let (days, n) = leading_date(bytes)?;
    if !matches!(bytes.get(n)?, b' ' | b'T') {
        return None;
    }
    let (seconds, nanos, m) = leading_time(&bytes[n + 1..])?;
    Some((days.checked_mul(86_400)?.checked_add(seconds)?, nanos, n + 1 + m))
}

/// `Z`, `+02:00`, `+0200` or `+02`, in seconds.
fn leading_offset(bytes: &[u8]) -> Option<(i64, usize)> {
    let sign = match bytes.first()? {
        b'Z' | b'z' => return Some((0, 1)),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let hour = two_digits(bytes, 1).filter(|h| *h <= 18)?;
    let (minute, n) = match bytes.get(3) {
        Some(b':') => (two_digits(bytes, 4)?, 6),
        Some(b) if b.is_ascii_digit() => (two_digits(bytes, 3)?, 5),
        _ => (0, 3),
    };
    (minute < 60).then_some((sign * (hour * 3600 + minute * 60), n))
}

/// Local time that a change of the clocks gives twice is the earlier moment; one that it leaves out is moved on by
/// the length of the gap, as in Java.
fn utc_from_local(seconds: i64, zone: Tz) -> Option<i64> {
    let local: NaiveDateTime = DateTime::from_timestamp(seconds, 0)?.naive_utc();
    let offset = zone.offset_from_local_datetime(&local).earliest().or_else(|| {
        let before_gap = local.checked_sub_signed(Duration::hours(3))?;
        zone.offset_from_local_datetime(&before_gap).earliest()
    })?;
    Some(seconds - i64::from(offset.fix().local_minus_utc()))
}
