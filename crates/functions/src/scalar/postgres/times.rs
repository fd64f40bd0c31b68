//! Dates and times: their fields, times out of parts, times and numbers as texts of a pattern and back.

use super::super::calendar::{
    DAY_SECONDS, Date, checked_days_of, date_of, day_of_year, days_of, iso_week, iso_weekday,
};
use super::super::call::{Call, Definition, Kind, Returns, Signed, Type, numbers, texts};
use super::super::date_pattern::LocalTime;
use super::super::instants::Instants;
use super::clock_text::{self, Clock as Shown};
use super::{INVALID_PARAMETER, TIME_OUT_OF_RANGE, fail, function, number_text, read_time};
use arrow::array::{Array, ArrayRef, AsArray, Time64MicrosecondArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, TimeUnit,
};
use datafusion_common::Result;
use std::fmt::Write;
use std::sync::Arc;

use Kind::{Any, Clock, Double, Int, Interval, Text};

const MICRO: i128 = 1_000_000;

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition {
        returns: Returns::From(extract_type),
        ..function(
            "extract",
            &[&[Text, Clock], &[Text, Interval]],
            Type::Double,
            extract,
            (
                "EXTRACT(field FROM time)",
                "DECIMAL",
                "A field of a time: MILLENNIUM, CENTURY, DECADE, YEAR, ISOYEAR, QUARTER, MONTH, WEEK, DAY, DOW (0 is Sunday), ISODOW (1 is Monday), DOY, HOUR, MINUTE, SECOND, MILLISECONDS, MICROSECONDS (with the seconds), JULIAN, EPOCH; of an INTERVAL without those of weeks.",
            ),
            ("EXTRACT(DOW FROM DATE '2024-03-10')", "0"),
        )
    },
    function(
        "date_part",
        &[&[Text, Clock], &[Text, Interval]],
        Type::Double,
        |call| Ok(cast(&parts(call, 6)?, &DataType::Float64)?),
        ("DATE_PART(field, time)", "DOUBLE", "As EXTRACT."),
        ("DATE_PART('year', DATE '2024-03-10')", "2024.0"),
    ),
    function(
        "make_date",
        &[&[Int, Int, Int]],
        Type::Date,
        make_date,
        ("MAKE_DATE(year, month, day)", "DATE", "The date. An error where there is none."),
        ("MAKE_DATE(2024, 2, 29)", "2024-02-29"),
    ),
    Definition {
        returns: Returns::From(|_| Ok(DataType::Time64(TimeUnit::Microsecond))),
        ..function(
            "make_time",
            &[&[Int, Int, Double]],
            Type::Time0,
            make_time,
            ("MAKE_TIME(hour, min, sec)", "TIME(6)", "The time of day."),
            ("MAKE_TIME(8, 15, 23.5)", "08:15:23.5"),
        )
    },
    Definition {
        returns: Returns::From(|_| Ok(DataType::Timestamp(TimeUnit::Microsecond, None))),
        ..function(
            "make_timestamp",
            &[&[Int, Int, Int, Int, Int, Double]],
            Type::Timestamp3,
            make_timestamp,
            ("MAKE_TIMESTAMP(year, month, day, hour, min, sec)", "TIMESTAMP(6)", "The time."),
            ("MAKE_TIMESTAMP(2024, 2, 29, 8, 15, 23.5)", "2024-02-29 08:15:23.5"),
        )
    },
    function(
        "to_char",
        &[&[Interval, Text], &[Clock, Text], &[Any, Text]],
        Type::Text,
        to_char,
        (
            "TO_CHAR(value, pattern)",
            "STRING",
            "A time, an interval or a number in a pattern of PostgreSQL: `YYYY-MM-DD HH24:MI:SS.MS`, `FMDay, DD Month`, `FM9,999.00`.",
        ),
        ("TO_CHAR(DATE '2024-03-05', 'FMDay, DDth FMMonth YYYY')", "Tuesday, 05th March 2024"),
    ),
    function(
        "to_date",
        &[&[Text, Text]],
        Type::Date,
        |call| {
            let (text, pattern) = (call.text(0), call.text(1));
            numbers::<Date32Type>(call.rows, |row| match (text.at(row), pattern.at(row)) {
                (Some(text), Some(pattern)) => Ok(Some(read_time::read(text, pattern)?.days as i32)),
                _ => Ok(None),
            })
        },
        ("TO_DATE(text, pattern)", "DATE", "The date that a text says in a pattern of PostgreSQL."),
        ("TO_DATE('05 Mar 2024', 'DD Mon YYYY')", "2024-03-05"),
    ),
    Definition {
        returns: Returns::From(|_| Ok(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))),
        ..function(
            "to_timestamp",
            &[&[Text, Text], &[Double]],
            Type::TimestampLtz3,
            to_timestamp,
            (
                "TO_TIMESTAMP(text, pattern), TO_TIMESTAMP(seconds)",
                "TIMESTAMP_LTZ(6)",
                "The time that a text says in a pattern of PostgreSQL, on the clocks of the session; so many seconds after 1970-01-01 00:00:00 UTC.",
            ),
            ("TO_TIMESTAMP(0)", "1970-01-01 00:00:00"),
        )
    },
    function(
        "isfinite",
        &[&[Clock], &[Interval]],
        Type::Bool,
        |call| {
            let (array, constant) = call.raw(0);
            super::super::call::booleans(call.rows, |row| {
                Ok(array.is_valid(if constant { 0 } else { row }).then_some(true))
            })
        },
        ("ISFINITE(time)", "BOOLEAN", "TRUE: there are no infinite times here."),
        ("ISFINITE(DATE '2024-03-05')", "true"),
    ),
];

/// Digits behind the point of a field.
fn digits_of(name: &str, from: &DataType) -> i8 {
    match unit(name) {
        "second" => 6,
        "epoch" if *from == DataType::Date32 => 0,
        "epoch" => 6,
        "milliseconds" => 3,
        "julian" if *from != DataType::Date32 => 20,
        _ => 0,
    }
}

/// The name of a field as it is known here.
pub(super) fn unit(name: &str) -> &'static str {
    match name.to_ascii_lowercase().as_str() {
        "microseconds" | "microsecond" | "us" | "usec" | "usecs" | "useconds" => "microseconds",
        "milliseconds" | "millisecond" | "ms" | "msec" | "msecs" | "mseconds" => "milliseconds",
        "second" | "seconds" | "sec" | "secs" | "s" => "second",
        "minute" | "minutes" | "min" | "mins" | "m" => "minute",
        "hour" | "hours" | "hr" | "hrs" | "h" => "hour",
        "day" | "days" | "d" => "day",
        "week" | "weeks" | "w" => "week",
        "month" | "months" | "mon" | "mons" => "month",
        "quarter" | "qtr" => "quarter",
        "year" | "years" | "yr" | "yrs" | "y" => "year",
        "decade" | "decades" | "dec" | "decs" => "decade",
        "century" | "centuries" | "cent" | "c" => "century",
        "millennium" | "millennia" | "mil" | "mils" => "millennium",
        "dow" => "dow",
        "isodow" => "isodow",
        "doy" => "doy",
        "isoyear" => "isoyear",
        "epoch" => "epoch",
        "julian" => "julian",
        _ => "",
    }
}

fn extract_type(signed: &Signed<'_>) -> Result<DataType> {
    let digits = signed.text(0).map_or(6, |name| digits_of(name, &signed.types[1]));
    Ok(DataType::Decimal128(if digits > 6 { 38 } else { 20 }, digits))
}

fn extract(call: &Call) -> Result<ArrayRef> {
    let DataType::Decimal128(precision, digits) = call.return_type else {
        return fail("XX000", "EXTRACT is a DECIMAL");
    };
    let found = parts(call, digits)?;
    Ok(Arc::new(found.as_primitive::<Decimal128Type>().clone().with_precision_and_scale(precision, digits)?))
}

/// The field of every row, as a DECIMAL of so many digits behind the point.
fn parts(call: &Call, digits: i8) -> Result<ArrayRef> {
    let names = call.text(0);
    let scale = 10i128.pow(u32::try_from(digits).unwrap_or(0));
    let missing = |name: &str, of: &str| {
        fail(INVALID_PARAMETER, format!("unit \"{}\" not recognized for type {of}", name.to_ascii_lowercase()))
    };
    let found = if matches!(call.raw(1).0.data_type(), DataType::Interval(_)) {
        let values = call.number::<IntervalMonthDayNanoType>(1);
        numbers::<Decimal128Type>(call.rows, |row| {
            let (Some(name), Some(value)) = (names.at(row), values.at(row)) else { return Ok(None) };
            match of_interval(unit(name), value) {
                Some(micros) => Ok(Some(micros * scale / MICRO)),
                None => missing(name, "interval"),
            }
        })?
    } else {
        let (times, kind) = (Instants::new(call, 1)?, call.raw(1).0.data_type());
        let is_clock = matches!(kind, DataType::Time32(_) | DataType::Time64(_));
        numbers::<Decimal128Type>(call.rows, |row| {
            let (Some(name), Some(time)) = (names.at(row), times.at(row)) else { return Ok(None) };
            let is_there = !is_clock
                || matches!(unit(name), "hour" | "minute" | "second" | "milliseconds" | "microseconds" | "epoch");
            match of_time(unit(name), time).filter(|_| is_there) {
                Some(micros) => Ok(Some(micros * scale / MICRO)),
                None => missing(name, "timestamp without time zone"),
            }
        })?
    };
    Ok(Arc::new(found.as_primitive::<Decimal128Type>().clone().with_precision_and_scale(38, digits)?))
}

/// A field in millionths.
fn of_time(field: &str, time: LocalTime) -> Option<i128> {
    let days = time.seconds.div_euclid(DAY_SECONDS);
    let second = time.seconds.rem_euclid(DAY_SECONDS);
    let micros = i128::from(second % 60) * MICRO + i128::from(time.nanos / 1000);
    let Date { year, month, day } = date_of(days);
    let whole = |n: i64| Some(i128::from(n) * MICRO);
    match field {
        "microseconds" => Some(micros * MICRO),
        "milliseconds" => Some(micros * 1000),
        "second" => Some(micros),
        "minute" => whole(second / 60 % 60),
        "hour" => whole(second / 3600),
        "day" => whole(day),
        "week" => whole(iso_week(days)),
        "month" => whole(month),
        "quarter" => whole((month - 1) / 3 + 1),
        // There is no year 0: before 1 comes -1.
        "year" => whole(if year > 0 { year } else { year - 1 }),
        "decade" => whole(year.div_euclid(10)),
        "century" => whole(if year > 0 { (year + 99) / 100 } else { -((99 - (year - 1)) / 100) }),
        "millennium" => whole(if year > 0 { (year + 999) / 1000 } else { -((999 - (year - 1)) / 1000) }),
        "dow" => whole(iso_weekday(days) % 7),
        "isodow" => whole(iso_weekday(days)),
        "doy" => whole(day_of_year(days)),
        "isoyear" => whole(date_of(days - iso_weekday(days) + 4).year),
        "epoch" => Some(i128::from(time.seconds - time.offset) * MICRO + i128::from(time.nanos / 1000)),
        "julian" => Some(
            (i128::from(days) + 2_440_588) * MICRO
                + (i128::from(second) * MICRO + i128::from(time.nanos / 1000)) / 86_400,
        ),
        _ => None,
    }
}

fn of_interval(field: &str, value: IntervalMonthDayNano) -> Option<i128> {
    let micros = i128::from(value.nanoseconds / 1000);
    let (months, days) = (i64::from(value.months), i64::from(value.days));
    let whole = |n: i64| Some(i128::from(n) * MICRO);
    match field {
        "microseconds" => Some(micros % (60 * MICRO) * MICRO),
        "milliseconds" => Some(micros % (60 * MICRO) * 1000),
        "second" => Some(micros % (60 * MICRO)),
        "minute" => Some(micros / (60 * MICRO) % 60 * MICRO),
        "hour" => Some(micros / (3600 * MICRO) * MICRO),
        "day" => whole(days),
        "month" => whole(months % 12),
        "quarter" => whole(months % 12 / 3 + 1),
        "year" => whole(months / 12),
        "decade" => whole(months / 120),
        "century" => whole(months / 1200),
        "millennium" => whole(months / 12_000),
        // A year has 365.25 days, a month 30.
        "epoch" => {
            let years = i128::from(months / 12) * 365 * 86_400 + i128::from(months / 12) * 21_600;
            let seconds = years + i128::from(months % 12) * 30 * 86_400 + i128::from(days) * 86_400;
            Some(seconds * MICRO + micros)
        }
        _ => None,
    }
}

fn make_date(call: &Call) -> Result<ArrayRef> {
    let [year, month, day] = [0, 1, 2].map(|at| call.int(at));
    numbers::<Date32Type>(call.rows, |row| match (year.at(row), month.at(row), day.at(row)) {
        (Some(year), Some(month), Some(day)) => days(year, month, day).map(|days| i32::try_from(days).ok()),
        _ => Ok(None),
    })
}

fn days(year: i64, month: i64, day: i64) -> Result<i64> {
    // -1 is the year before 1.
    let date = Date { year: if year < 0 { year + 1 } else { year }, month, day };
    match checked_days_of(date).filter(|_| year != 0 && year.abs() < 262_000) {
        Some(days) => Ok(days),
        None => fail(TIME_OUT_OF_RANGE, format!("date field value out of range: {year}-{month:02}-{day:02}")),
    }
}

fn micros_of_day(hour: i64, minute: i64, second: f64) -> Result<i64> {
    let fits = (0..=23).contains(&hour) && (0..=59).contains(&minute) && (0.0..60.0).contains(&second)
        || hour == 24 && minute == 0 && second == 0.0;
    match fits {
        true => Ok((hour * 60 + minute) * 60_000_000 + (second * 1e6).round() as i64),
        false => fail(TIME_OUT_OF_RANGE, format!("time field value out of range: {hour}:{minute:02}:{second:02}")),
    }
}

fn make_time(call: &Call) -> Result<ArrayRef> {
    let (hour, minute, second) = (call.int(0), call.int(1), call.number::<Float64Type>(2));
    let of_row = |row| match (hour.at(row), minute.at(row), second.at(row)) {
        (Some(hour), Some(minute), Some(second)) => micros_of_day(hour, minute, second).map(Some),
        _ => Ok(None),
    };
    Ok(Arc::new((0..call.rows).map(of_row).collect::<Result<Time64MicrosecondArray>>()?))
}

fn make_timestamp(call: &Call) -> Result<ArrayRef> {
    let [year, month, day, hour, minute] = [0, 1, 2, 3, 4].map(|at| call.int(at));
    let second = call.number::<Float64Type>(5);
    let of_row = |row| {
        let date = (year.at(row), month.at(row), day.at(row));
        let ((Some(year), Some(month), Some(day)), (Some(hour), Some(minute), Some(second))) =
            (date, (hour.at(row), minute.at(row), second.at(row)))
        else {
            return Ok(None);
        };
        Ok(Some(days(year, month, day)? * 86_400_000_000 + micros_of_day(hour, minute, second)?))
    };
    Ok(Arc::new((0..call.rows).map(of_row).collect::<Result<TimestampMicrosecondArray>>()?))
}

fn to_char(call: &Call) -> Result<ArrayRef> {
    let pattern = call.text(1);
    match call.raw(0).0.data_type() {
        DataType::Interval(_) => {
            let values = call.number::<IntervalMonthDayNanoType>(0);
            texts(call.rows, |row, out| match (values.at(row), pattern.at(row)) {
                (Some(value), Some(pattern)) => clock_text::write(pattern, &Shown::of_interval(value), out),
                _ => Ok(false),
            })
        }
        from if from.is_temporal() => {
            let (times, has_zone) = (Instants::new(call, 0)?, matches!(from, DataType::Timestamp(_, Some(_))));
            let zone = call.zone.to_string();
            texts(call.rows, |row, out| match (times.at(row), pattern.at(row)) {
                (Some(time), Some(pattern)) => {
                    clock_text::write(pattern, &Shown::of_time(time, has_zone.then_some(zone.as_str())), out)
                }
                _ => Ok(false),
            })
        }
        from if from.is_numeric() => {
            let (array, constant) = call.raw(0);
            let shown = super::text_form::text_of(array, call.zone)?;
            let shown = shown.as_string::<i32>();
            texts(call.rows, |row, out| {
                let at = if constant { 0 } else { row };
                let Some(pattern) = pattern.at(row).filter(|_| shown.is_valid(at)) else { return Ok(false) };
                Ok(out.write_str(&number_text::written(shown.value(at), pattern)?).is_ok())
            })
        }
        DataType::Null => texts(call.rows, |_, _| Ok(false)),
        _ => fail("42883", "TO_CHAR takes a time, an interval or a number"),
    }
}

fn to_timestamp(call: &Call) -> Result<ArrayRef> {
    let micros: TimestampMicrosecondArray = if call.len() == 1 {
        let seconds = call.number::<Float64Type>(0);
        (0..call.rows).map(|row| seconds.at(row).map(|seconds| (seconds * 1e6).round() as i64)).collect()
    } else {
        let (text, pattern) = (call.text(0), call.text(1));
        let of_row = |row| match (text.at(row), pattern.at(row)) {
            (Some(text), Some(pattern)) => {
                let read = read_time::read(text, pattern)?;
                let local = read.days * DAY_SECONDS + read.micros.div_euclid(1_000_000);
                let instant = match read.ahead_seconds {
                    Some(ahead) => local - ahead,
                    None => call.zone.instant_seconds(local),
                };
                Ok(Some(instant * 1_000_000 + read.micros.rem_euclid(1_000_000)))
            }
            _ => Ok(None),
        };
        (0..call.rows).map(of_row).collect::<Result<_>>()?
    };
    Ok(Arc::new(micros.with_timezone("UTC")))
}

/// The first day of the week of ISO 8601 that a year begins with.
pub(super) fn iso_year_begin(year: i64) -> i64 {
    let fourth = days_of(Date { year, month: 1, day: 4 });
    fourth - iso_weekday(fourth) + 1
}
