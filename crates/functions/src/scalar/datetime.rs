//! Dates and times: reading, writing, fields.

use super::Zone;
use super::calendar::{DAY_SECONDS, date_of, day_of_year, iso_week, iso_weekday};
use super::call::{Arg, Cache, Call, Definition, Kind, Page, Patterns, Returns, Signed, Type, numbers, texts};
use super::date_pattern::{DatePattern, LocalTime, parse_default};
use super::instants::Instants;
use arrow::array::{ArrayRef, Int64Array, StringArray, StringBuilder};
use arrow::datatypes::{
    DataType, Date32Type, Float64Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    TimestampMillisecondType,
};
use datafusion_common::{Result, exec_err, plan_err};
use std::sync::Arc;

use Kind::{Clock, Double, Int, Text, Time};

thread_local! {
    static PATTERNS: Cache<DatePattern> = Cache::default();
    static ZONES: Cache<Zone> = Cache::default();
}

const DEFAULT_PATTERN: &str = "yyyy-MM-dd HH:mm:ss";

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition {
        name: "date_format",
        aliases: &[],
        args: &[&[Time, Text], &[Text, Text]],
        variadic: false,
        returns: Returns::Type(Type::Text),
        body: date_format,
        page: Page {
            signature: "DATE_FORMAT(time TIMESTAMP | STRING, format STRING)",
            result: "STRING",
            text: "The time written by a Java date pattern. NULL if an argument is NULL or the string is not a time.",
            example: ("DATE_FORMAT(TIMESTAMP '2024-03-05 07:08:09', 'yyyy-MM-dd HH:mm')", "2024-03-05 07:08"),
        },
    },
    Definition {
        name: "to_timestamp",
        aliases: &[],
        args: &[&[Text], &[Text, Text], &[Time]],
        variadic: false,
        returns: Returns::Type(Type::Timestamp3),
        body: to_timestamp,
        page: Page {
            signature: "TO_TIMESTAMP(text STRING [, format STRING])",
            result: "TIMESTAMP(3)",
            text: "The time that the text says, by default as `yyyy-MM-dd HH:mm:ss[.SSS]`. NULL if an argument is NULL or the text is not such a time.",
            example: ("TO_TIMESTAMP('05.03.2024 07:08', 'dd.MM.yyyy HH:mm')", "2024-03-05 07:08:00.000"),
        },
    },
    Definition {
        name: "to_timestamp_ltz",
        aliases: &[],
        args: &[&[Int], &[Int, Int], &[Double], &[Double, Int], &[Text], &[Text, Text], &[Text, Text, Text]],
        variadic: false,
        returns: Returns::Type(Type::TimestampLtz3),
        body: to_timestamp_ltz,
        page: Page {
            signature: "TO_TIMESTAMP_LTZ(epoch BIGINT | DOUBLE [, precision INT]) or TO_TIMESTAMP_LTZ(text STRING [, format STRING [, zone STRING]])",
            result: "TIMESTAMP_LTZ(3)",
            text: "The instant that many seconds (precision 0) or milliseconds (precision 3, the default) after 1970-01-01 00:00:00 UTC; or the time that the text says in the zone, by default in UTC. NULL if an argument is NULL or the text is not such a time.",
            example: ("TO_TIMESTAMP_LTZ(1709622489, 0)", "2024-03-05 07:08:09.000"),
        },
    },
    Definition {
        name: "unix_timestamp",
        aliases: &[],
        args: &[&[Text], &[Text, Text]],
        variadic: false,
        returns: Returns::Type(Type::BigInt),
        body: unix_timestamp,
        page: Page {
            signature: "UNIX_TIMESTAMP(text STRING [, format STRING])",
            result: "BIGINT",
            text: "Seconds since 1970-01-01 00:00:00 UTC of the time that the text says in the session's time zone, by default as `yyyy-MM-dd HH:mm:ss`. NULL if an argument is NULL or the text is not such a time (Flink: the least BIGINT).",
            example: ("UNIX_TIMESTAMP('2024-03-05 07:08:09')", "1709622489"),
        },
    },
    Definition {
        name: "from_unixtime",
        aliases: &[],
        args: &[&[Int], &[Int, Text]],
        variadic: false,
        returns: Returns::Type(Type::Text),
        body: from_unixtime,
        page: Page {
            signature: "FROM_UNIXTIME(seconds BIGINT [, format STRING])",
            result: "STRING",
            text: "The instant that many seconds after 1970-01-01 00:00:00 UTC, in the session's time zone, by default as `yyyy-MM-dd HH:mm:ss`. NULL if an argument is NULL.",
            example: ("FROM_UNIXTIME(1709622489, 'HH:mm')", "07:08"),
        },
    },
    Definition {
        name: "to_date",
        aliases: &[],
        args: &[&[Text], &[Text, Text], &[Time]],
        variadic: false,
        returns: Returns::Type(Type::Date),
        body: to_date,
        page: Page {
            signature: "TO_DATE(text STRING [, format STRING])",
            result: "DATE",
            text: "The date that the text says, by default as `yyyy-MM-dd`. NULL if an argument is NULL or the text is not such a date.",
            example: ("TO_DATE('05.03.2024', 'dd.MM.yyyy')", "2024-03-05"),
        },
    },
    Definition {
        name: "convert_tz",
        aliases: &[],
        args: &[&[Text, Text, Text]],
        variadic: false,
        returns: Returns::Type(Type::Text),
        body: convert_tz,
        page: Page {
            signature: "CONVERT_TZ(text STRING, from_zone STRING, to_zone STRING)",
            result: "STRING",
            text: "A time `yyyy-MM-dd HH:mm:ss` in one zone as the same instant in another. NULL if an argument is NULL or the text is not such a time.",
            example: ("CONVERT_TZ('1970-01-01 00:00:00', 'UTC', 'America/Los_Angeles')", "1969-12-31 16:00:00"),
        },
    },
    field("year", &[&[Time]], year, "YEAR(time DATE | TIMESTAMP)", "The year.", ("YEAR(DATE '2024-03-05')", "2024")),
    field(
        "quarter",
        &[&[Time]],
        quarter,
        "QUARTER(time DATE | TIMESTAMP)",
        "The quarter, 1 to 4.",
        ("QUARTER(DATE '2024-03-05')", "1"),
    ),
    field(
        "month",
        &[&[Time]],
        month,
        "MONTH(time DATE | TIMESTAMP)",
        "The month, 1 to 12.",
        ("MONTH(DATE '2024-03-05')", "3"),
    ),
    field(
        "week",
        &[&[Time]],
        week,
        "WEEK(time DATE | TIMESTAMP)",
        "The week of the year as in ISO 8601, 1 to 53.",
        ("WEEK(DATE '2024-03-05')", "10"),
    ),
    field(
        "dayofyear",
        &[&[Time]],
        dayofyear,
        "DAYOFYEAR(time DATE | TIMESTAMP)",
        "The day of the year, 1 to 366.",
        ("DAYOFYEAR(DATE '2024-03-05')", "65"),
    ),
    field(
        "dayofmonth",
        &[&[Time]],
        dayofmonth,
        "DAYOFMONTH(time DATE | TIMESTAMP)",
        "The day of the month, 1 to 31.",
        ("DAYOFMONTH(DATE '2024-03-05')", "5"),
    ),
    field(
        "dayofweek",
        &[&[Time]],
        dayofweek,
        "DAYOFWEEK(time DATE | TIMESTAMP)",
        "The day of the week, 1 (Sunday) to 7.",
        ("DAYOFWEEK(DATE '2024-03-05')", "3"),
    ),
    field(
        "hour",
        &[&[Clock]],
        hour,
        "HOUR(time TIME | TIMESTAMP)",
        "The hour, 0 to 23.",
        ("HOUR(TIMESTAMP '2024-03-05 07:08:09')", "7"),
    ),
    field(
        "minute",
        &[&[Clock]],
        minute,
        "MINUTE(time TIME | TIMESTAMP)",
        "The minute, 0 to 59.",
        ("MINUTE(TIMESTAMP '2024-03-05 07:08:09')", "8"),
    ),
    field(
        "second",
        &[&[Clock]],
        second,
        "SECOND(time TIME | TIMESTAMP)",
        "The second, 0 to 59.",
        ("SECOND(TIMESTAMP '2024-03-05 07:08:09')", "9"),
    ),
    Definition {
        name: "extract",
        aliases: &[],
        args: &[&[Text, Clock], &[Text, Kind::Interval]],
        variadic: false,
        returns: Returns::From(extract_type),
        body: extract,
        page: Page {
            signature: "EXTRACT(field FROM time)",
            result: "BIGINT",
            text: "A field of the time: MILLENNIUM, CENTURY, DECADE, YEAR, QUARTER, MONTH, WEEK, DAY, DOW (1 is Sunday), ISODOW (1 is Monday), DOY, HOUR, MINUTE, SECOND, MILLISECOND, MICROSECOND (of the minute, without the seconds), EPOCH. Of a TIME those from HOUR on, of an INTERVAL YEAR, MONTH (0 to 11), DAY and those from HOUR on. NULL if the time is NULL.",
            example: ("EXTRACT(DOY FROM DATE '2024-03-05')", "65"),
        },
    },
];

const fn field(
    name: &'static str,
    args: &'static [&'static [Kind]],
    body: fn(&Call) -> Result<ArrayRef>,
    signature: &'static str,
    text: &'static str,
    example: (&'static str, &'static str),
) -> Definition {
    Definition {
        name,
        aliases: &[],
        args,
        variadic: false,
        returns: Returns::Type(Type::BigInt),
        body,
        page: Page { signature, result: "BIGINT", text, example },
    }
}

fn date_format(call: &Call) -> Result<ArrayRef> {
    let mut patterns = Patterns::new(call.text(1), &PATTERNS, DatePattern::compile);
    if call.raw(0).0.data_type() == &DataType::Utf8 {
        let times = call.text(0);
        return format_all(call, &mut patterns, Zone::utc(), |row| {
            let (seconds, nanos) = parse_default(times.at(row)?)?;
            Some(LocalTime { seconds, nanos, offset: 0 })
        });
    }
    let times = Instants::new(call, 0)?;
    format_all(call, &mut patterns, call.zone, |row| times.at(row))
}

/// Writes the times of all rows. The text of the last time is kept: as long as the day (or, for patterns with a time
/// of day, the second and fraction) stays the same, a row costs a comparison and a copy.
fn format_all(
    call: &Call,
    patterns: &mut Patterns<'_, DatePattern>,
    zone: Zone,
    time: impl Fn(usize) -> Option<LocalTime>,
) -> Result<ArrayRef> {
    let mut last: Option<(i64, i64)> = None;
    let mut text = String::new();
    let mut scratch = StringBuilder::with_capacity(1, 64);
    let same_pattern = patterns.is_constant();
    texts(call.rows, |row, out| {
        use std::fmt::Write;
        let (Some(pattern), Some(time)) = (patterns.at(row)?, time(row)) else { return Ok(false) };
        let key = if pattern.only_date {
            (time.seconds.div_euclid(DAY_SECONDS), -1)
        } else {
            (time.seconds, i64::from(time.nanos))
        };
        if last != Some(key) || !same_pattern {
            let written = pattern.format(time, zone, &mut scratch);
            scratch.append_value("");
            text.clear();
            text.push_str(scratch.finish().value(0));
            if written.is_err() {
                return exec_err!("{}: a time could not be written", call.sql_name());
            }
            last = Some(key);
        }
        // Writing to memory does not fail.
        Ok(out.write_str(&text).is_ok())
    })
}

/// Local seconds and nanoseconds since 1970 that a text says, by a pattern or by default; the offset if it says one.
fn parse_time(
    texts: &Arg<'_, StringArray>,
    patterns: &mut Option<Patterns<'_, DatePattern>>,
    row: usize,
) -> Result<Option<(i64, u32, Option<i64>)>> {
    let Some(text) = texts.at(row) else { return Ok(None) };
    match patterns {
        None => Ok(parse_default(text).map(|(seconds, nanos)| (seconds, nanos, None))),
        Some(patterns) => Ok(patterns.at(row)?.and_then(|pattern| pattern.parse(text))),
    }
}

fn patterns(call: &Call, at: usize) -> Option<Patterns<'_, DatePattern>> {
    call.optional_text(at).map(|arg| Patterns::new(arg, &PATTERNS, DatePattern::compile))
}

fn millis((seconds, nanos): (i64, u32)) -> Option<i64> {
    seconds.checked_mul(1000)?.checked_add(i64::from(nanos) / 1_000_000)
}

fn to_timestamp(call: &Call) -> Result<ArrayRef> {
    if call.raw(0).0.data_type() != &DataType::Utf8 {
        let times = Instants::new(call, 0)?;
        return numbers::<TimestampMillisecondType>(call.rows, |row| {
            Ok(times.at(row).and_then(|t| millis((t.seconds, t.nanos))))
        });
    }
    let (texts, mut patterns) = (call.text(0), patterns(call, 1));
    numbers::<TimestampMillisecondType>(call.rows, |row| {
        let parsed = parse_time(&texts, &mut patterns, row)?;
        Ok(parsed.and_then(|(seconds, nanos, offset)| millis((seconds - offset.unwrap_or(0), nanos))))
    })
}

fn to_timestamp_ltz(call: &Call) -> Result<ArrayRef> {
    let values: Vec<Option<i64>> = match call.raw(0).0.data_type() {
        DataType::Utf8 => {
            let (texts, mut patterns) = (call.text(0), patterns(call, 1));
            let mut zones = call.optional_text(2).map(|arg| Patterns::new(arg, &ZONES, Zone::parse));
            let instant = |row| {
                let Some((local, nanos, offset)) = parse_time(&texts, &mut patterns, row)? else { return Ok(None) };
                let zone = match &mut zones {
                    None => Zone::utc(),
                    Some(zones) => match zones.at(row)? {
                        Some(zone) => *zone,
                        None => return Ok(None),
                    },
                };
                let seconds = offset.map_or_else(|| zone.instant_seconds(local), |offset| local - offset);
                Ok(millis((seconds, nanos)))
            };
            (0..call.rows).map(instant).collect::<Result<_>>()?
        }
        DataType::Float64 => {
            let epochs = call.number::<Float64Type>(0);
            let scaled = |row| {
                let (Some(epoch), Some(scale)) = (epochs.at(row), epoch_scale(call, row)?) else { return Ok(None) };
                let millis = epoch * scale as f64;
                if millis.abs() > MILLIS_MAX as f64 || millis.is_nan() {
                    return exec_err!("TO_TIMESTAMP_LTZ: {epoch} is out of range");
                }
                Ok(Some(millis as i64))
            };
            (0..call.rows).map(scaled).collect::<Result<_>>()?
        }
        _ => {
            let epochs = call.int(0);
            let scaled = |row| {
                let (Some(epoch), Some(scale)) = (epochs.at(row), epoch_scale(call, row)?) else { return Ok(None) };
                match epoch.checked_mul(scale).filter(|millis| millis.abs() <= MILLIS_MAX) {
                    Some(millis) => Ok(Some(millis)),
                    None => exec_err!("TO_TIMESTAMP_LTZ: {epoch} is out of range"),
                }
            };
            (0..call.rows).map(scaled).collect::<Result<_>>()?
        }
    };
    let millis = arrow::array::TimestampMillisecondArray::from(values);
    Ok(Arc::new(millis.with_data_type(call.return_type.clone())))
}

/// Instants that have a date: up to the year 262142.
const MILLIS_MAX: i64 = 8_210_266_876_799_999;

/// Milliseconds in a unit of the numbers given, by the precision argument.
fn epoch_scale(call: &Call, row: usize) -> Result<Option<i64>> {
    if call.len() == 1 {
        return Ok(Some(1));
    }
    match call.int(1).at(row) {
        Some(0) => Ok(Some(1000)),
        Some(3) => Ok(Some(1)),
        None => Ok(None),
        Some(other) => exec_err!("TO_TIMESTAMP_LTZ: the precision is 0 (seconds) or 3 (milliseconds), not {other}"),
    }
}

fn unix_timestamp(call: &Call) -> Result<ArrayRef> {
    let (texts, mut patterns) = (call.text(0), patterns(call, 1));
    numbers::<Int64Type>(call.rows, |row| {
        let parsed = parse_time(&texts, &mut patterns, row)?;
        Ok(parsed.map(|(local, _, offset)| match offset {
            Some(offset) => local - offset,
            None => call.zone.instant_seconds(local),
        }))
    })
}

fn from_unixtime(call: &Call) -> Result<ArrayRef> {
    let default = StringArray::from(vec![DEFAULT_PATTERN]);
    let format = call.optional_text(1).unwrap_or(Arg { array: &default, constant: true });
    let mut patterns = Patterns::new(format, &PATTERNS, DatePattern::compile);
    let seconds = call.int(0);
    format_all(call, &mut patterns, call.zone, |row| {
        let instant = seconds.at(row)?;
        let offset = call.zone.offset_seconds(instant);
        Some(LocalTime { seconds: instant.checked_add(offset)?, nanos: 0, offset })
    })
}

fn to_date(call: &Call) -> Result<ArrayRef> {
    let day = |seconds: i64| i32::try_from(seconds.div_euclid(DAY_SECONDS)).ok();
    if call.raw(0).0.data_type() != &DataType::Utf8 {
        let times = Instants::new(call, 0)?;
        return numbers::<Date32Type>(call.rows, |row| Ok(times.at(row).and_then(|t| day(t.seconds))));
    }
    let (texts, mut patterns) = (call.text(0), patterns(call, 1));
    numbers::<Date32Type>(call.rows, |row| {
        Ok(parse_time(&texts, &mut patterns, row)?.and_then(|(seconds, _, _)| day(seconds)))
    })
}

fn convert_tz(call: &Call) -> Result<ArrayRef> {
    let times = call.text(0);
    let mut from = Patterns::new(call.text(1), &ZONES, Zone::parse);
    let mut to = Patterns::new(call.text(2), &ZONES, Zone::parse);
    let pattern = DatePattern::compile(DEFAULT_PATTERN)?;
    texts(call.rows, |row, out| {
        let (Some(from), Some(to)) = (from.at(row)?, to.at(row)?) else { return Ok(false) };
        let Some((local, nanos)) = times.at(row).and_then(parse_default) else { return Ok(false) };
        let instant = from.instant_seconds(local);
        let offset = to.offset_seconds(instant);
        Ok(pattern.format(LocalTime { seconds: instant + offset, nanos, offset }, *to, out).is_ok())
    })
}

fn fields(call: &Call, of: impl Fn(LocalTime) -> i64) -> Result<ArrayRef> {
    let times = Instants::new(call, 0)?;
    numbers::<Int64Type>(call.rows, |row| Ok(times.at(row).map(&of)))
}

fn days(time: LocalTime) -> i64 {
    time.seconds.div_euclid(DAY_SECONDS)
}

/// A field of the time of day: of a plain column it is arithmetic over the values, NULLs included.
fn clock_fields(call: &Call, at: usize, of_day: impl Fn(i64) -> i64 + Copy) -> Result<ArrayRef> {
    let times = Instants::new(call, at)?;
    let Some((values, per_second)) = times.plain_column() else {
        return numbers::<Int64Type>(call.rows, |row| {
            Ok(times.at(row).map(|t| of_day(t.seconds.rem_euclid(DAY_SECONDS))))
        });
    };
    // One loop per unit: division by a constant is a multiplication.
    let field = |per_second: i64, v: i64| of_day(v.rem_euclid(DAY_SECONDS * per_second) / per_second);
    let fields = match per_second {
        1 => values.iter().map(|v| field(1, *v)).collect::<Vec<_>>(),
        1_000 => values.iter().map(|v| field(1_000, *v)).collect(),
        1_000_000 => values.iter().map(|v| field(1_000_000, *v)).collect(),
        _ => values.iter().map(|v| field(1_000_000_000, *v)).collect(),
    };
    Ok(Arc::new(Int64Array::new(fields.into(), times.column_nulls().cloned())))
}

fn year(call: &Call) -> Result<ArrayRef> {
    fields(call, |t| date_of(days(t)).year)
}

fn quarter(call: &Call) -> Result<ArrayRef> {
    fields(call, |t| (date_of(days(t)).month + 2) / 3)
}

fn month(call: &Call) -> Result<ArrayRef> {
    fields(call, |t| date_of(days(t)).month)
}

fn week(call: &Call) -> Result<ArrayRef> {
    fields(call, |t| iso_week(days(t)))
}

fn dayofyear(call: &Call) -> Result<ArrayRef> {
    fields(call, |t| day_of_year(days(t)))
}

fn dayofmonth(call: &Call) -> Result<ArrayRef> {
    fields(call, |t| date_of(days(t)).day)
}

fn dayofweek(call: &Call) -> Result<ArrayRef> {
    fields(call, |t| iso_weekday(days(t)) % 7 + 1)
}

fn hour(call: &Call) -> Result<ArrayRef> {
    clock_fields(call, call.len() - 1, |of_day| of_day / 3600)
}

fn minute(call: &Call) -> Result<ArrayRef> {
    clock_fields(call, call.len() - 1, |of_day| of_day / 60 % 60)
}

fn second(call: &Call) -> Result<ArrayRef> {
    clock_fields(call, call.len() - 1, |of_day| of_day % 60)
}

type FieldOf = fn(LocalTime) -> i64;

fn field_of(name: &str) -> Option<FieldOf> {
    Some(match name.to_ascii_uppercase().as_str() {
        "MILLENNIUM" => |t| (date_of(days(t)).year + 999).div_euclid(1000),
        "CENTURY" => |t| (date_of(days(t)).year + 99).div_euclid(100),
        "DECADE" => |t| date_of(days(t)).year.div_euclid(10),
        "YEAR" => |t| date_of(days(t)).year,
        "QUARTER" => |t| (date_of(days(t)).month + 2) / 3,
        "MONTH" => |t| date_of(days(t)).month,
        "WEEK" => |t| iso_week(days(t)),
        "DAY" => |t| date_of(days(t)).day,
        "DOW" => |t| iso_weekday(days(t)) % 7 + 1,
        "ISODOW" => |t| iso_weekday(days(t)),
        "ISOYEAR" => |t| date_of(days(t) - iso_weekday(days(t)) + 4).year,
        "DOY" => |t| day_of_year(days(t)),
        "HOUR" => |t| t.seconds.rem_euclid(DAY_SECONDS) / 3600,
        "MINUTE" => |t| t.seconds.rem_euclid(3600) / 60,
        "SECOND" => |t| t.seconds.rem_euclid(60),
        "MILLISECOND" => |t| i64::from(t.nanos) / 1_000_000,
        "MICROSECOND" => |t| i64::from(t.nanos) / 1_000,
        "NANOSECOND" => |t| i64::from(t.nanos),
        "EPOCH" => |t| t.seconds - t.offset,
        _ => return None,
    })
}

fn extract_type(signed: &Signed<'_>) -> Result<DataType> {
    match signed.text(0) {
        Some(name) if field_of(name).is_none() => plan_err!("EXTRACT: there is no field {name} of a time"),
        Some(name) if matches!(signed.types[1], DataType::Time32(_) | DataType::Time64(_)) && !is_of_day(name) => {
            plan_err!("EXTRACT: there is no field {name} of a TIME")
        }
        Some(name) if matches!(signed.types[1], DataType::Interval(_)) && interval_field(name).is_none() => {
            plan_err!("EXTRACT: there is no field {name} of an INTERVAL")
        }
        _ => Ok(DataType::Int64),
    }
}

fn is_of_day(field: &str) -> bool {
    let fields = ["HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND", "NANOSECOND", "EPOCH"];
    fields.iter().any(|f| f.eq_ignore_ascii_case(field))
}

type IntervalField = fn(IntervalMonthDayNano) -> i64;

/// A field of an interval: months count for themselves, days and less together.
fn interval_field(name: &str) -> Option<IntervalField> {
    const SECOND: i128 = 1_000_000_000;
    const fn nanos(i: IntervalMonthDayNano) -> i128 {
        i.days as i128 * DAY_SECONDS as i128 * SECOND + i.nanoseconds as i128
    }
    Some(match name.to_ascii_uppercase().as_str() {
        "YEAR" => |i| i64::from(i.months / 12),
        "MONTH" => |i| i64::from(i.months % 12),
        "DAY" => |i| (nanos(i) / (SECOND * DAY_SECONDS as i128)) as i64,
        "HOUR" => |i| (nanos(i) / (SECOND * 3600) % 24) as i64,
        "MINUTE" => |i| (nanos(i) / (SECOND * 60) % 60) as i64,
        "SECOND" => |i| (nanos(i) / SECOND % 60) as i64,
        "MILLISECOND" => |i| (nanos(i) % SECOND / 1_000_000) as i64,
        "MICROSECOND" => |i| (nanos(i) % SECOND / 1_000) as i64,
        "NANOSECOND" => |i| (nanos(i) % SECOND) as i64,
        _ => return None,
    })
}

fn extract_of_interval(call: &Call) -> Result<ArrayRef> {
    let (names, values) = (call.text(0), call.number::<IntervalMonthDayNanoType>(1));
    numbers::<Int64Type>(call.rows, |row| {
        let (Some(name), Some(value)) = (names.at(row), values.at(row)) else { return Ok(None) };
        match interval_field(name) {
            Some(of) => Ok(Some(of(value))),
            None => exec_err!("EXTRACT: there is no field {name} of an INTERVAL"),
        }
    })
}

fn extract(call: &Call) -> Result<ArrayRef> {
    if matches!(call.raw(1).0.data_type(), DataType::Interval(_)) {
        return extract_of_interval(call);
    }
    let times = Instants::new(call, 1)?;
    let names = call.text(0);
    // The common fields have loops of their own.
    if let Some(name) = names.constant.then(|| names.at(0)).flatten() {
        match name.to_ascii_uppercase().as_str() {
            "HOUR" => return hour(call),
            "MINUTE" => return minute(call),
            "SECOND" => return second(call),
            _ => {}
        }
    }
    let mut field = None;
    numbers::<Int64Type>(call.rows, |row| {
        let (Some(name), Some(time)) = (names.at(row), times.at(row)) else { return Ok(None) };
        if field.is_none() || !names.constant {
            field = field_of(name);
        }
        match field {
            Some(of) => Ok(Some(of(time))),
            None => exec_err!("EXTRACT: there is no field {name} of a time"),
        }
    })
}
