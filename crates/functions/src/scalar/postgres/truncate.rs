//! Times cut down to a unit, and moved between time zones.

use super::super::Zone;
use super::super::calendar::{DAY_SECONDS, Date, date_of, days_of, iso_weekday};
use super::super::call::{Call, Definition, Kind, Returns, Signed, Type, numbers};
use super::super::date_pattern::LocalTime;
use super::super::instants::Instants;
use super::times::unit;
use super::{INVALID_PARAMETER, fail, function};
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit, TimestampMicrosecondType,
};
use datafusion_common::Result;
use std::sync::Arc;

use Kind::{Interval, Text, Time};

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition {
        returns: Returns::From(truncated_type),
        ..function(
            "date_trunc",
            &[&[Text, Time], &[Text, Interval], &[Text, Time, Text]],
            Type::Timestamp3,
            truncate,
            (
                "DATE_TRUNC(unit, time [, zone]), DATE_TRUNC(unit, interval)",
                "as time; TIMESTAMP_LTZ(6) of a DATE",
                "The beginning of the `microsecond`, … `day`, `week` (Monday), … `millennium` that the time is in, on the clocks of the zone or session. An error for another unit.",
            ),
            ("DATE_TRUNC('month', TIMESTAMP '2024-03-05 07:08:09')", "2024-03-01 00:00:00"),
        )
    },
    Definition {
        returns: Returns::From(|signed| Ok(micros(!has_zone(&signed.types[1])))),
        ..function(
            "timezone",
            &[&[Text, Time]],
            Type::Timestamp3,
            in_zone,
            (
                "TIMEZONE(zone, time), time AT TIME ZONE zone",
                "TIMESTAMP(6) of a TIMESTAMP_LTZ, else TIMESTAMP_LTZ(6)",
                "What clocks in the zone show at a moment; the moment at which they show a time.",
            ),
            ("TIMEZONE('Europe/Berlin', TIMESTAMP '2024-07-05 14:00:00')", "2024-07-05 12:00:00+00"),
        )
    },
];

fn micros(has_zone: bool) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, has_zone.then(|| "UTC".into()))
}

/// A DATE is its first moment on the clocks of the session.
fn has_zone(of: &DataType) -> bool {
    matches!(of, DataType::Timestamp(_, Some(_)) | DataType::Date32)
}

fn truncated_type(signed: &Signed<'_>) -> Result<DataType> {
    Ok(match &signed.types[1] {
        DataType::Interval(_) => DataType::Interval(IntervalUnit::MonthDayNano),
        from => micros(has_zone(from) || signed.types.len() > 2),
    })
}

/// Times without a zone.
fn of_micros(found: &ArrayRef, has_zone: bool) -> ArrayRef {
    let found = found.as_primitive::<TimestampMicrosecondType>().clone();
    Arc::new(if has_zone { found.with_timezone("UTC") } else { found })
}

fn zone_of(name: &str) -> Result<Zone> {
    match Zone::parse(name) {
        Ok(zone) => Ok(zone),
        Err(_) => fail(INVALID_PARAMETER, format!("time zone \"{name}\" not recognized")),
    }
}

/// Zones by the name in each row: of one name after the other that is the same, once.
#[derive(Default)]
struct Zones {
    last: Option<(String, Zone)>,
}

impl Zones {
    fn named(&mut self, name: &str) -> Result<Zone> {
        if let Some((known, zone)) = &self.last
            && known == name
        {
            return Ok(*zone);
        }
        let zone = zone_of(name)?;
        self.last = Some((name.to_owned(), zone));
        Ok(zone)
    }
}

fn in_zone(call: &Call) -> Result<ArrayRef> {
    let (names, times) = (call.text(0), Instants::new(call, 1)?);
    let is_moment = has_zone(call.raw(1).0.data_type());
    let is_date = *call.raw(1).0.data_type() == DataType::Date32;
    let mut zones = Zones::default();
    let found = numbers::<TimestampMicrosecondType>(call.rows, |row| {
        let (Some(name), Some(time)) = (names.at(row), times.at(row)) else { return Ok(None) };
        let zone = zones.named(name)?;
        let seconds = match (is_moment, is_date) {
            (false, _) => zone.instant_seconds(time.seconds),
            (true, false) => shown_in(zone, time.seconds - time.offset),
            (true, true) => shown_in(zone, call.zone.instant_seconds(time.seconds)),
        };
        Ok(Some(seconds * 1_000_000 + i64::from(time.nanos / 1000)))
    })?;
    Ok(of_micros(&found, !is_moment))
}

/// What clocks show at a moment.
fn shown_in(zone: Zone, moment: i64) -> i64 {
    moment + zone.offset_seconds(moment)
}

fn truncate(call: &Call) -> Result<ArrayRef> {
    if matches!(call.raw(1).0.data_type(), DataType::Interval(_)) {
        return truncate_intervals(call);
    }
    let (units, times, names) = (call.text(0), Instants::new(call, 1)?, call.optional_text(2));
    let (from_date, has_zone) = (*call.raw(1).0.data_type() == DataType::Date32, has_zone(call.raw(1).0.data_type()));
    let mut zones = Zones::default();
    let found = numbers::<TimestampMicrosecondType>(call.rows, |row| {
        let (Some(unit), Some(time)) = (units.at(row), times.at(row)) else { return Ok(None) };
        let zone = match names.as_ref().map(|names| names.at(row)) {
            Some(None) => return Ok(None),
            Some(Some(name)) => zones.named(name)?,
            None => call.zone,
        };
        let is_moment = has_zone || names.is_some();
        let shown = match (names.is_some(), has_zone && !from_date) {
            (true, true) => {
                LocalTime { seconds: shown_in(zone, time.seconds - time.offset), nanos: time.nanos, offset: 0 }
            }
            (true, false) => {
                let moment = call.zone.instant_seconds(time.seconds);
                LocalTime { seconds: shown_in(zone, moment), nanos: time.nanos, offset: 0 }
            }
            (false, _) => time,
        };
        let Some((seconds, micros)) = beginning(unit, shown) else {
            return fail(INVALID_PARAMETER, format!("unit \"{unit}\" not recognized for type timestamp"));
        };
        let seconds = if is_moment { zone.instant_seconds(seconds) } else { seconds };
        Ok(Some(seconds * 1_000_000 + micros))
    })?;
    Ok(of_micros(&found, has_zone || call.len() > 2))
}

/// Where a unit of time begins: seconds, and microseconds behind them; `None`: there is no such unit.
fn beginning(name: &str, time: LocalTime) -> Option<(i64, i64)> {
    let (days, second) = (time.seconds.div_euclid(DAY_SECONDS), time.seconds.rem_euclid(DAY_SECONDS));
    let micros = i64::from(time.nanos / 1000);
    let name = unit(name);
    let of_clock = match name {
        "microseconds" => Some((time.seconds, micros)),
        "milliseconds" => Some((time.seconds, micros / 1000 * 1000)),
        "second" => Some((time.seconds, 0)),
        "minute" => Some((time.seconds - second % 60, 0)),
        "hour" => Some((time.seconds - second % 3600, 0)),
        _ => None,
    };
    of_clock.or_else(|| Some((first_day(name, days)? * DAY_SECONDS, 0)))
}

fn first_day(name: &str, days: i64) -> Option<i64> {
    let Date { year, month, .. } = date_of(days);
    let of = |year, month| days_of(Date { year, month, day: 1 });
    // The first century begins with the year 1; before it, they are counted backwards.
    let age = |length: i64| match year > 0 {
        true => (year + length - 1) / length * length - length + 1,
        false => -((length - year) / length) * length + 1,
    };
    Some(match name {
        "day" => days,
        "week" => days - iso_weekday(days) + 1,
        "month" => of(year, month),
        "quarter" => of(year, (month - 1) / 3 * 3 + 1),
        "year" => of(year, 1),
        "decade" => of(year.div_euclid(10) * 10, 1),
        "century" => of(age(100), 1),
        "millennium" => of(age(1000), 1),
        _ => return None,
    })
}

fn truncate_intervals(call: &Call) -> Result<ArrayRef> {
    let (units, values) = (call.text(0), call.number::<IntervalMonthDayNanoType>(1));
    numbers::<IntervalMonthDayNanoType>(call.rows, |row| {
        let (Some(name), Some(value)) = (units.at(row), values.at(row)) else { return Ok(None) };
        match cut(unit(name), value) {
            Some(cut) => Ok(Some(cut)),
            None if unit(name) == "week" => {
                let why = "unit \"week\" not supported for type interval: months have no whole number of weeks";
                fail("0A000", why)
            }
            None => fail(INVALID_PARAMETER, format!("unit \"{name}\" not recognized for type interval")),
        }
    })
}

fn cut(name: &str, value: IntervalMonthDayNano) -> Option<IntervalMonthDayNano> {
    let IntervalMonthDayNano { months, days, nanoseconds } = value;
    let of_months = |unit: i32| IntervalMonthDayNano::new(months / unit * unit, 0, 0);
    let of_clock = |unit: i64| IntervalMonthDayNano::new(months, days, nanoseconds / unit * unit);
    Some(match name {
        "microseconds" => of_clock(1_000),
        "milliseconds" => of_clock(1_000_000),
        "second" => of_clock(1_000_000_000),
        "minute" => of_clock(60_000_000_000),
        "hour" => of_clock(3_600_000_000_000),
        "day" => IntervalMonthDayNano::new(months, days, 0),
        "month" => of_months(1),
        "quarter" => of_months(3),
        "year" => of_months(12),
        "decade" => of_months(120),
        "century" => of_months(1200),
        "millennium" => of_months(12_000),
        _ => return None,
    })
}
