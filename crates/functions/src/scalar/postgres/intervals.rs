//! Intervals: how far apart times are, as people say it.

use super::super::calendar::{Date, date_of, month_days};
use super::super::call::{Call, Definition, Kind, Returns, Type, numbers};
use super::super::date_pattern::LocalTime;
use super::super::instants::Instants;
use super::{OUT_OF_RANGE, fail, function};
use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit};
use datafusion_common::Result;

use Kind::{Double, Int, Interval, Time, TimeOrText};

const DAY_NANOS: i64 = 86_400_000_000_000;
const DAY_SECONDS: i64 = 86_400;

const fn interval(
    name: &'static str,
    args: &'static [&'static [Kind]],
    body: fn(&Call) -> Result<ArrayRef>,
    signature: &'static str,
    text: &'static str,
    example: (&'static str, &'static str),
) -> Definition {
    let returns = Returns::From(|_| Ok(DataType::Interval(IntervalUnit::MonthDayNano)));
    Definition { returns, ..function(name, args, Type::Text, body, (signature, "INTERVAL", text), example) }
}

pub(super) const FUNCTIONS: &[Definition] = &[
    interval(
        "age",
        &[&[TimeOrText, TimeOrText]],
        age,
        "AGE(time, other)",
        "How much later the time is than the other, in years, months, days and less.",
        ("AGE(DATE '2024-03-05', DATE '2023-01-01')", "1 year 2 mons 4 days"),
    ),
    interval(
        "timestamp_minus",
        &[&[Time, Time]],
        difference,
        "time - time",
        "How much later the one time is than the other, in days and less.",
        ("TIMESTAMP '2024-03-05 10:00:00' - TIMESTAMP '2024-03-01 08:30:00'", "4 days 01:30:00"),
    ),
    interval(
        "interval_multiply",
        &[&[Interval, Double]],
        |call| scaled(call, |part, number| part * number),
        "interval * number",
        "The interval so many times; parts of a month go on in days of which a month has 30, parts of a day in hours.",
        ("INTERVAL '1 month' * 1.5", "1 mon 15 days"),
    ),
    interval(
        "interval_divide",
        &[&[Interval, Double]],
        |call| scaled(call, |part, number| part / number),
        "interval / number",
        "That part of the interval. An error if the number is 0.",
        ("INTERVAL '1 month' / 2", "15 days"),
    ),
    interval(
        "justify_hours",
        &[&[Interval]],
        |call| each(call, |value| Some(hours_to_days(value))),
        "JUSTIFY_HOURS(interval)",
        "24 hours as a day each.",
        ("JUSTIFY_HOURS(INTERVAL '27 hours')", "1 day 03:00:00"),
    ),
    interval(
        "justify_days",
        &[&[Interval]],
        |call| each(call, |value| Some(days_to_months(value))),
        "JUSTIFY_DAYS(interval)",
        "30 days as a month each.",
        ("JUSTIFY_DAYS(INTERVAL '35 days')", "1 mon 5 days"),
    ),
    interval(
        "justify_interval",
        &[&[Interval]],
        |call| each(call, |value| Some(of_one_sign(days_to_months(hours_to_days(value))))),
        "JUSTIFY_INTERVAL(interval)",
        "24 hours as a day each, 30 days as a month each, all of one sign.",
        ("JUSTIFY_INTERVAL(INTERVAL '1 mon -1 hour')", "29 days 23:00:00"),
    ),
    interval(
        "make_interval",
        &[
            &[Int],
            &[Int, Int],
            &[Int, Int, Int],
            &[Int, Int, Int, Int],
            &[Int, Int, Int, Int, Int],
            &[Int, Int, Int, Int, Int, Int],
            &[Int, Int, Int, Int, Int, Int, Double],
        ],
        make_interval,
        "MAKE_INTERVAL(years, months, weeks, days, hours, mins, secs)",
        "The interval of these; they may be named (`days => 10`), and left out.",
        ("MAKE_INTERVAL(1, 2, 0, 3)", "1 year 2 mons 3 days"),
    ),
];

fn each(call: &Call, of: fn(IntervalMonthDayNano) -> Option<IntervalMonthDayNano>) -> Result<ArrayRef> {
    let value = call.number::<IntervalMonthDayNanoType>(0);
    numbers::<IntervalMonthDayNanoType>(call.rows, |row| match value.at(row) {
        None => Ok(None),
        Some(value) => match of(value) {
            Some(found) => Ok(Some(found)),
            None => fail("22008", "interval out of range"),
        },
    })
}

/// Days and less; of times of which one alone has a zone, the other is one on the clocks of the session.
fn difference(call: &Call) -> Result<ArrayRef> {
    let (one, other) = (Instants::new(call, 0)?, Instants::new(call, 1)?);
    let has_zone = |at: usize| matches!(call.raw(at).0.data_type(), DataType::Timestamp(_, Some(_)));
    let are_moments = has_zone(0) || has_zone(1);
    let seconds = |time: LocalTime, has_zone: bool| match (are_moments, has_zone) {
        (false, _) => time.seconds,
        (true, true) => time.seconds - time.offset,
        (true, false) => call.zone.instant_seconds(time.seconds),
    };
    let (of_one, of_other) = (has_zone(0), has_zone(1));
    numbers::<IntervalMonthDayNanoType>(call.rows, |row| {
        let (Some(one), Some(other)) = (one.at(row), other.at(row)) else { return Ok(None) };
        let nanos = i128::from(seconds(one, of_one) - seconds(other, of_other)) * 1_000_000_000 + i128::from(one.nanos)
            - i128::from(other.nanos);
        let (days, rest) = (nanos / i128::from(DAY_NANOS), nanos % i128::from(DAY_NANOS));
        match (i32::try_from(days), i64::try_from(rest)) {
            (Ok(days), Ok(rest)) => Ok(Some(IntervalMonthDayNano::new(0, days, rest))),
            _ => fail("22008", "interval out of range"),
        }
    })
}

fn scaled(call: &Call, scale: fn(f64, f64) -> f64) -> Result<ArrayRef> {
    let (intervals, factors) = (call.number::<IntervalMonthDayNanoType>(0), call.number::<Float64Type>(1));
    let is_quotient = scale(1.0, 2.0) < 1.0;
    numbers::<IntervalMonthDayNanoType>(call.rows, |row| {
        let (Some(value), Some(factor)) = (intervals.at(row), factors.at(row)) else { return Ok(None) };
        if is_quotient && factor == 0.0 {
            return fail("22012", "division by zero");
        }
        match times(value, |part| scale(part, factor)) {
            Some(found) => Ok(Some(found)),
            None => fail("22008", "interval out of range"),
        }
    })
}

/// Every part by itself; what is left of a month goes on in days, what is left of a day in hours.
fn times(value: IntervalMonthDayNano, scale: impl Fn(f64) -> f64) -> Option<IntervalMonthDayNano> {
    // To the microsecond: what is less comes from the computing with DOUBLE.
    let tidy = |number: f64| (number * 1e6).round() / 1e6;
    let (months, days) = (scale(f64::from(value.months)), scale(f64::from(value.days)));
    let of_months = tidy((months - months.trunc()) * 30.0);
    let seconds = tidy((days - days.trunc() + of_months - of_months.trunc()) * DAY_SECONDS as f64);
    let more_days = (seconds / DAY_SECONDS as f64).trunc();
    let seconds = seconds - more_days * DAY_SECONDS as f64;
    let micros = (scale(value.nanoseconds as f64 / 1e3) + seconds * 1e6).round();
    let days = days.trunc() + of_months.trunc() + more_days;
    let fits = months.abs() < f64::from(i32::MAX) && days.abs() < f64::from(i32::MAX) && micros.abs() < 9.2e15;
    fits.then(|| IntervalMonthDayNano::new(months.trunc() as i32, days as i32, micros as i64 * 1000))
}

fn hours_to_days(value: IntervalMonthDayNano) -> IntervalMonthDayNano {
    let days = value.nanoseconds / DAY_NANOS;
    let (mut days, mut nanoseconds) = (value.days.saturating_add(days as i32), value.nanoseconds - days * DAY_NANOS);
    if days > 0 && nanoseconds < 0 {
        (days, nanoseconds) = (days - 1, nanoseconds + DAY_NANOS);
    } else if days < 0 && nanoseconds > 0 {
        (days, nanoseconds) = (days + 1, nanoseconds - DAY_NANOS);
    }
    IntervalMonthDayNano { days, nanoseconds, ..value }
}

fn days_to_months(value: IntervalMonthDayNano) -> IntervalMonthDayNano {
    let months = value.days / 30;
    let (mut months, mut days) = (value.months.saturating_add(months), value.days - months * 30);
    if months > 0 && days < 0 {
        (months, days) = (months - 1, days + 30);
    } else if months < 0 && days > 0 {
        (months, days) = (months + 1, days - 30);
    }
    IntervalMonthDayNano { months, days, ..value }
}

fn of_one_sign(value: IntervalMonthDayNano) -> IntervalMonthDayNano {
    let IntervalMonthDayNano { mut months, mut days, mut nanoseconds } = value;
    if months > 0 && (days < 0 || days == 0 && nanoseconds < 0) {
        (months, days) = (months - 1, days + 30);
    } else if months < 0 && (days > 0 || days == 0 && nanoseconds > 0) {
        (months, days) = (months + 1, days - 30);
    }
    if days > 0 && nanoseconds < 0 {
        (days, nanoseconds) = (days - 1, nanoseconds + DAY_NANOS);
    } else if days < 0 && nanoseconds > 0 {
        (days, nanoseconds) = (days + 1, nanoseconds - DAY_NANOS);
    }
    IntervalMonthDayNano { months, days, nanoseconds }
}

fn age(call: &Call) -> Result<ArrayRef> {
    let (later, earlier) = (Instants::new(call, 0)?, Instants::new(call, 1)?);
    numbers::<IntervalMonthDayNanoType>(call.rows, |row| {
        Ok(later.at(row).zip(earlier.at(row)).map(|(later, earlier)| between(later, earlier)))
    })
}

/// Field by field, each of which borrows of the next larger one; months have the days of the earlier month.
fn between(one: LocalTime, other: LocalTime) -> IntervalMonthDayNano {
    let is_negative = (one.seconds, one.nanos) < (other.seconds, other.nanos);
    let (later, earlier) = if is_negative { (other, one) } else { (one, other) };
    let fields = |time: LocalTime| {
        let of_day = time.seconds.rem_euclid(DAY_SECONDS) * 1_000_000_000 + i64::from(time.nanos);
        (date_of(time.seconds.div_euclid(DAY_SECONDS)), of_day)
    };
    let ((to, to_nanos), (from, from_nanos)) = (fields(later), fields(earlier));
    let mut nanos = to_nanos - from_nanos;
    let mut days = to.day - from.day;
    let mut months = (to.year - from.year) * 12 + to.month - from.month;
    if nanos < 0 {
        (nanos, days) = (nanos + DAY_NANOS, days - 1);
    }
    if days < 0 {
        let Date { year, month, .. } = if is_negative { to } else { from };
        let lent = if is_negative {
            month_days(to.year - i64::from(to.month == 1), (to.month + 10) % 12 + 1)
        } else {
            month_days(year, month)
        };
        (days, months) = (days + lent, months - 1);
    }
    let sign = if is_negative { -1 } else { 1 };
    IntervalMonthDayNano::new((months * sign) as i32, (days * sign) as i32, nanos * sign)
}

fn make_interval(call: &Call) -> Result<ArrayRef> {
    let counts: Vec<_> = (0..call.len().min(6)).map(|at| call.int(at)).collect();
    let seconds = (call.len() > 6).then(|| call.number::<Float64Type>(6));
    numbers::<IntervalMonthDayNanoType>(call.rows, |row| {
        let Some(given) = counts.iter().map(|count| count.at(row)).collect::<Option<Vec<i64>>>() else {
            return Ok(None);
        };
        let Some(seconds) = seconds.as_ref().map_or(Some(0.0), |seconds| seconds.at(row)) else { return Ok(None) };
        let of = |at: usize| i128::from(given.get(at).copied().unwrap_or_default());
        let months = i32::try_from(of(0) * 12 + of(1));
        let days = i32::try_from(of(2) * 7 + of(3));
        let nanos = (of(4) * 3600 + of(5) * 60) * 1_000_000_000 + (seconds * 1e6).round() as i128 * 1000;
        match (months, days, i64::try_from(nanos)) {
            (Ok(months), Ok(days), Ok(nanos)) => Ok(Some(IntervalMonthDayNano::new(months, days, nanos))),
            _ => fail(OUT_OF_RANGE, "interval out of range"),
        }
    })
}
