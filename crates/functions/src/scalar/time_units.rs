//! Arithmetic in units of time: differences, sums, rounding.

use super::calendar::{DAY_SECONDS, Date, add_months, date_of, days_of, iso_weekday};
use super::call::{Call, Definition, Kind, Page, Returns, Signed, Type, numbers};
use super::date_pattern::LocalTime;
use super::instants::{Instants, per_second};
use arrow::array::{ArrayRef, Date32Array, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Float64Type, Int32Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
};
use datafusion_common::{Result, exec_datafusion_err, exec_err, plan_err};
use std::sync::Arc;

use Kind::{Int, Text, Time};

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition {
        name: "timestampdiff",
        aliases: &[],
        args: &[&[Text, Time, Time]],
        variadic: false,
        returns: Returns::Type(Type::Int),
        body: timestampdiff,
        page: Page {
            signature: "TIMESTAMPDIFF(unit, from TIMESTAMP | DATE, to TIMESTAMP | DATE)",
            result: "INT",
            text: "How many whole units lie between two times, negative if `to` is earlier. Units: SECOND, MINUTE, HOUR, DAY, WEEK, MONTH, QUARTER, YEAR. NULL if a time is NULL; more than an INT holds is an error.",
            example: ("TIMESTAMPDIFF(MONTH, DATE '2024-01-31', DATE '2024-03-30')", "1"),
        },
    },
    Definition {
        name: "timestampadd",
        aliases: &[],
        args: &[&[Text, Int, Time]],
        variadic: false,
        returns: Returns::From(timestampadd_type),
        body: timestampadd,
        page: Page {
            signature: "TIMESTAMPADD(unit, count INT, time TIMESTAMP | DATE)",
            result: "as time; TIMESTAMP(3) for a part of a day added to a DATE",
            text: "The time that many units later. A month or year later is the end of the month where it is shorter. NULL if an argument is NULL.",
            example: ("TIMESTAMPADD(MONTH, 1, DATE '2024-01-31')", "2024-02-29"),
        },
    },
    rounding(
        "floor_to",
        floor_to,
        "FLOOR(time TO unit)",
        "The beginning of the unit that the time is in: SECOND, MINUTE, HOUR, DAY, WEEK (from Sunday), MONTH, QUARTER, YEAR. NULL if the time is NULL.",
        ("FLOOR(TIMESTAMP '2024-03-05 07:08:09' TO HOUR)", "2024-03-05 07:00:00"),
    ),
    rounding(
        "ceil_to",
        ceil_to,
        "CEIL(time TO unit)",
        "The time itself at the beginning of a unit, else the beginning of the next unit; units as for FLOOR. NULL if the time is NULL.",
        ("CEIL(TIMESTAMP '2024-03-05 07:08:09' TO HOUR)", "2024-03-05 08:00:00"),
    ),
    scaling(
        "interval_multiply",
        multiply,
        "interval * number, or number * interval",
        "The interval so many times. NULL if one of them is NULL.",
        ("CAST(INTERVAL '1' HOUR * 1.5 AS STRING)", "+0 01:30:00.000"),
    ),
    scaling(
        "interval_divide",
        divide,
        "interval / number",
        "That part of the interval; months are whole. NULL if one of them is NULL, an error if the number is 0.",
        ("CAST(INTERVAL '1' HOUR / 2 AS STRING)", "+0 00:30:00.000"),
    ),
];

const fn scaling(
    name: &'static str,
    body: fn(&Call) -> Result<ArrayRef>,
    signature: &'static str,
    text: &'static str,
    example: (&'static str, &'static str),
) -> Definition {
    Definition {
        name,
        aliases: &[],
        args: &[&[Kind::Interval, Kind::Double]],
        variadic: false,
        returns: Returns::From(|_| Ok(DataType::Interval(IntervalUnit::MonthDayNano))),
        body,
        page: Page { signature, result: "INTERVAL", text, example },
    }
}

fn multiply(call: &Call) -> Result<ArrayRef> {
    scaled(call, |part, number| part * number)
}

fn divide(call: &Call) -> Result<ArrayRef> {
    scaled(call, |part, number| part / number)
}

/// Months for themselves, days and less together: a part of a day goes on in hours.
fn scaled(call: &Call, scale: fn(f64, f64) -> f64) -> Result<ArrayRef> {
    const DAY: f64 = (DAY_SECONDS * SECOND) as f64;
    let (intervals, numbers_) = (call.number::<IntervalMonthDayNanoType>(0), call.number::<Float64Type>(1));
    numbers::<IntervalMonthDayNanoType>(call.rows, |row| {
        let (Some(interval), Some(number)) = (intervals.at(row), numbers_.at(row)) else { return Ok(None) };
        let months = scale(f64::from(interval.months), number).trunc();
        let days = scale(f64::from(interval.days), number);
        let nanos = scale(interval.nanoseconds as f64, number) + (days - days.trunc()) * DAY;
        let fits = |value: f64, max: f64| value.abs() <= max;
        if !fits(months, f64::from(i32::MAX)) || !fits(days, f64::from(i32::MAX)) || !fits(nanos, 9.2e18) {
            return exec_err!("an interval times or by {number} is out of range");
        }
        Ok(Some(IntervalMonthDayNano::new(months as i32, days as i32, nanos.round() as i64)))
    })
}

const fn rounding(
    name: &'static str,
    body: fn(&Call) -> Result<ArrayRef>,
    signature: &'static str,
    text: &'static str,
    example: (&'static str, &'static str),
) -> Definition {
    Definition {
        name,
        aliases: &[],
        args: &[&[Text, Kind::Clock]],
        variadic: false,
        returns: Returns::From(rounding_type),
        body,
        page: Page { signature, result: "as time", text, example },
    }
}

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// So many nanoseconds.
    Nanos(i64),
    /// So many days.
    Days(i64),
    /// So many months.
    Months(i64),
}

const SECOND: i64 = 1_000_000_000;

impl Unit {
    fn parse(name: &str) -> Option<Unit> {
        let name = name.to_ascii_uppercase();
        Some(match name.strip_prefix("SQL_TSI_").unwrap_or(&name) {
            "NANOSECOND" => Unit::Nanos(1),
            "MICROSECOND" => Unit::Nanos(1_000),
            "MILLISECOND" => Unit::Nanos(1_000_000),
            "SECOND" => Unit::Nanos(SECOND),
            "MINUTE" => Unit::Nanos(60 * SECOND),
            "HOUR" => Unit::Nanos(3600 * SECOND),
            "DAY" => Unit::Days(1),
            "WEEK" => Unit::Days(7),
            "MONTH" => Unit::Months(1),
            "QUARTER" => Unit::Months(3),
            "YEAR" => Unit::Months(12),
            _ => return None,
        })
    }
}

/// The unit of a call; it is a keyword and thus the same in every row.
fn unit(call: &Call) -> Result<Unit> {
    let name = call.text(0);
    match (name.constant || call.rows > 0).then(|| name.at(0)).flatten() {
        Some(text) => Unit::parse(text)
            .ok_or_else(|| exec_datafusion_err!("{}: there is no unit of time {text}", call.sql_name())),
        None if call.rows == 0 => Ok(Unit::Days(1)),
        None => exec_err!("{}: the unit of time is missing", call.sql_name()),
    }
}

fn check_unit(name: &str, signed: &Signed<'_>) -> Result<Option<Unit>> {
    match signed.text(0) {
        None => Ok(None),
        Some(text) => match Unit::parse(text) {
            None => plan_err!("{name}: there is no unit of time {text}"),
            unit => Ok(unit),
        },
    }
}

fn rounding_type(signed: &Signed<'_>) -> Result<DataType> {
    let unit = check_unit("FLOOR and CEIL", signed)?;
    if matches!(signed.types[1], DataType::Time32(_) | DataType::Time64(_))
        && matches!(unit, Some(Unit::Days(_) | Unit::Months(_)))
    {
        return plan_err!("FLOOR and CEIL of a TIME are to HOUR, MINUTE, SECOND or less");
    }
    Ok(signed.types[1].clone())
}

fn timestampadd_type(signed: &Signed<'_>) -> Result<DataType> {
    let unit = check_unit("TIMESTAMPADD", signed)?;
    Ok(match (&signed.types[2], unit) {
        (DataType::Date32, Some(Unit::Nanos(_))) => DataType::Timestamp(TimeUnit::Millisecond, None),
        (other, _) => other.clone(),
    })
}

fn timestampdiff(call: &Call) -> Result<ArrayRef> {
    let unit = unit(call)?;
    let (from, to) = (Instants::new(call, 1)?, Instants::new(call, 2)?);
    numbers::<Int32Type>(call.rows, |row| {
        let (Some(from), Some(to)) = (from.at(row), to.at(row)) else { return Ok(None) };
        let units = difference(unit, from, to);
        i32::try_from(units).map(Some).map_err(|_| exec_datafusion_err!("TIMESTAMPDIFF: {units} overflows INT"))
    })
}

fn difference(unit: Unit, from: LocalTime, to: LocalTime) -> i128 {
    let nanos =
        i128::from(to.seconds - from.seconds) * i128::from(SECOND) + i128::from(to.nanos) - i128::from(from.nanos);
    match unit {
        Unit::Nanos(one) => nanos / i128::from(one),
        Unit::Days(days) => nanos / i128::from(SECOND * DAY_SECONDS) / i128::from(days),
        Unit::Months(months) => {
            let day = |t: LocalTime| t.seconds.div_euclid(DAY_SECONDS);
            let count = |t: LocalTime| date_of(day(t)).year * 12 + date_of(day(t)).month;
            let rest = |t: LocalTime| (date_of(day(t)).day, t.seconds.rem_euclid(DAY_SECONDS), t.nanos);
            let mut whole = count(to) - count(from);
            // The last month is not over yet.
            if whole > 0 && rest(to) < rest(from) {
                whole -= 1;
            } else if whole < 0 && rest(to) > rest(from) {
                whole += 1;
            }
            i128::from(whole / months)
        }
    }
}

fn timestampadd(call: &Call) -> Result<ArrayRef> {
    let unit = unit(call)?;
    let (counts, times) = (call.int(1), Instants::new(call, 2)?);
    let sums = (0..call.rows).map(|row| {
        let (Some(count), Some(time)) = (counts.at(row), times.at(row)) else { return Ok(None) };
        add(unit, count, time)
            .map(Some)
            .ok_or_else(|| exec_datafusion_err!("TIMESTAMPADD: {count} units are out of range"))
    });
    from_local(call, &sums.collect::<Result<Vec<_>>>()?)
}

fn add(unit: Unit, count: i64, time: LocalTime) -> Option<LocalTime> {
    const DAYS_MAX: i64 = 4_000_000_000;
    let (day, of_day) = (time.seconds.div_euclid(DAY_SECONDS), time.seconds.rem_euclid(DAY_SECONDS));
    let on_day = |day: i64| LocalTime { seconds: day * DAY_SECONDS + of_day, ..time };
    match unit {
        Unit::Days(days) => {
            let added = count.checked_mul(days).filter(|d| d.abs() < DAYS_MAX)?;
            Some(on_day(day + added))
        }
        Unit::Months(months) => {
            let added = count.checked_mul(months).filter(|m| m.abs() < DAYS_MAX / 31)?;
            Some(on_day(add_months(day, added)))
        }
        Unit::Nanos(one) => {
            let nanos = i128::from(count) * i128::from(one) + i128::from(time.nanos);
            let second = i128::from(SECOND);
            let seconds = i64::try_from(nanos.div_euclid(second)).ok()?;
            let seconds = time.seconds.checked_add(seconds)?;
            Some(LocalTime { seconds, nanos: nanos.rem_euclid(second) as u32, offset: time.offset })
        }
    }
}

fn floor_to(call: &Call) -> Result<ArrayRef> {
    let (unit, times) = (unit(call)?, Instants::new(call, 1)?);
    let floors: Vec<Option<LocalTime>> = (0..call.rows).map(|row| times.at(row).map(|t| floor(unit, t))).collect();
    from_local(call, &floors)
}

fn ceil_to(call: &Call) -> Result<ArrayRef> {
    let (unit, times) = (unit(call)?, Instants::new(call, 1)?);
    let ceiling = |time: LocalTime| {
        let floor = floor(unit, time);
        if (floor.seconds, floor.nanos) == (time.seconds, time.nanos) { Some(floor) } else { add(unit, 1, floor) }
    };
    let ceilings: Vec<Option<LocalTime>> = (0..call.rows).map(|row| times.at(row).and_then(ceiling)).collect();
    from_local(call, &ceilings)
}

fn floor(unit: Unit, time: LocalTime) -> LocalTime {
    let day = time.seconds.div_euclid(DAY_SECONDS);
    let at = |day: i64| LocalTime { seconds: day * DAY_SECONDS, nanos: 0, offset: time.offset };
    match unit {
        Unit::Nanos(one) if one < SECOND => LocalTime { nanos: time.nanos - time.nanos % one as u32, ..time },
        Unit::Nanos(one) => {
            let seconds = time.seconds - time.seconds.rem_euclid(one / SECOND);
            LocalTime { seconds, nanos: 0, offset: time.offset }
        }
        Unit::Days(1) => at(day),
        Unit::Days(_) => at(day - iso_weekday(day) % 7),
        Unit::Months(months) => {
            let date = date_of(day);
            at(days_of(Date { day: 1, month: date.month - (date.month - 1) % months, ..date }))
        }
    }
}

/// Local times as a column of the result type.
fn from_local(call: &Call, times: &[Option<LocalTime>]) -> Result<ArrayRef> {
    let out_of_range = || exec_datafusion_err!("{}: a time is out of range", call.sql_name());
    match &call.return_type {
        DataType::Timestamp(unit, zone) => {
            let scale = per_second(*unit);
            let value = |time: &LocalTime| {
                let seconds = if zone.is_some() { call.zone.instant_seconds(time.seconds) } else { time.seconds };
                seconds.checked_mul(scale)?.checked_add(i64::from(time.nanos) / (SECOND / scale))
            };
            let values = times
                .iter()
                .map(|time| time.as_ref().map(|t| value(t).ok_or_else(out_of_range)).transpose())
                .collect::<Result<Int64Array>>()?;
            Ok(cast(&values, &call.return_type)?)
        }
        DataType::Time32(unit) | DataType::Time64(unit) => {
            let scale = per_second(*unit);
            let value =
                |t: &LocalTime| t.seconds.rem_euclid(DAY_SECONDS) * scale + i64::from(t.nanos) / (SECOND / scale);
            let values: Int64Array = times.iter().map(|t| t.as_ref().map(value)).collect();
            let narrow = match call.return_type {
                DataType::Time32(_) => cast(&values, &DataType::Int32)?,
                _ => Arc::new(values),
            };
            Ok(cast(&narrow, &call.return_type)?)
        }
        _ => {
            let day = |time: &LocalTime| i32::try_from(time.seconds.div_euclid(DAY_SECONDS));
            let days = times
                .iter()
                .map(|time| time.as_ref().map(|t| day(t).map_err(|_| out_of_range())).transpose())
                .collect::<Result<Date32Array>>()?;
            Ok(Arc::new(days))
        }
    }
}
