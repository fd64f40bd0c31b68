//! The text of values as SQL writes it: what `CAST(value AS STRING)` gives.
//!
//! | type | text |
//! |---|---|
//! | BOOLEAN | `TRUE`, `FALSE` |
//! | FLOAT, DOUBLE | as Java: `1.0`, `1.0E8`, `1.0E-4`, `NaN`, `-Infinity` |
//! | BYTES | the bytes as UTF-8 |
//! | TIME(p), TIMESTAMP(p) | `12:34:56.120`, `2024-01-31 12:34:56.120`: as many digits as the type has |
//! | TIMESTAMP_LTZ(p) | the same, on the clocks of the session |
//! | INTERVAL | `+1-02` for years and months, `+10 00:00:00.004` for days and less, both for both |
//! | ARRAY, MAP, ROW | `[1, NULL]`, `{a=1, b=2}`, `(1, a)` |

use super::Zone;
use super::call::{Call, Definition, Function, Kind, Page, Returns, Type, texts};
use super::instants::{per_second, timestamp_values};
use super::{Meaning, ScalarSettings, type_name::type_name};
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Float32Type, Float64Type, IntervalMonthDayNanoType, TimeUnit};
use arrow::util::display::FormatOptions;
use datafusion_common::{Result, exec_err};
use datafusion_expr::ScalarUDF;
use std::fmt::Write;

static TEXT_FORM: Definition = Definition {
    name: "text_form",
    aliases: &[],
    args: &[&[Kind::Any]],
    variadic: false,
    returns: Returns::Type(Type::Text),
    body: text_form_of,
    page: Page { signature: "CAST(value AS STRING)", result: "STRING", text: "", example: ("", "") },
};

/// The function that `CAST(value AS STRING)` stands for, in the session's time zone.
pub fn text_form(settings: &ScalarSettings) -> ScalarUDF {
    let definition = match settings.meaning {
        Meaning::Flink => &TEXT_FORM,
        Meaning::Postgres => &super::postgres::TEXT_FORM,
    };
    ScalarUDF::from(Function::new(definition, settings.time_zone))
}

fn text_form_of(call: &Call) -> Result<ArrayRef> {
    text_of(&call.column(0)?, call.zone)
}

/// The texts of a column, in a session's time zone.
///
/// # Errors
/// A value that has none, such as a time beyond the calendar.
pub fn text_of(column: &ArrayRef, zone: Zone) -> Result<ArrayRef> {
    let rows = column.len();
    match column.data_type() {
        DataType::Boolean => {
            let values = column.as_boolean();
            each(column, |row, out| out.write_str(if values.value(row) { "TRUE" } else { "FALSE" }))
        }
        DataType::Float64 => {
            let values = column.as_primitive::<Float64Type>();
            each(column, |row, out| java_float(values.value(row), &format!("{:e}", values.value(row)), out))
        }
        DataType::Float32 => {
            let values = column.as_primitive::<Float32Type>();
            each(column, |row, out| java_float(f64::from(values.value(row)), &format!("{:e}", values.value(row)), out))
        }
        DataType::Binary => {
            let values = column.as_binary::<i32>();
            each(column, |row, out| out.write_str(&String::from_utf8_lossy(values.value(row))))
        }
        DataType::Timestamp(unit, Some(_)) if zone != Zone::utc() => {
            let scale = per_second(*unit);
            let values = timestamp_values(column, *unit);
            let local = |row: usize| {
                let value = values[row];
                column.is_valid(row).then(|| value.saturating_add(zone.offset_seconds(value.div_euclid(scale)) * scale))
            };
            let local: Int64Array = (0..rows).map(local).collect();
            text_of(&cast(&local, &DataType::Timestamp(*unit, None))?, zone)
        }
        DataType::Timestamp(unit, _) => formatted(column, time_format(*unit, true)),
        DataType::Time32(unit) | DataType::Time64(unit) => formatted(column, time_format(*unit, false)),
        DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano) => {
            let values = column.as_primitive::<IntervalMonthDayNanoType>();
            each(column, |row, out| {
                let value = values.value(row);
                interval(value.months, value.days, value.nanoseconds, out)
            })
        }
        DataType::List(_) => {
            let lists = column.as_list::<i32>();
            let items = text_of(lists.values(), zone)?;
            let offsets = lists.value_offsets();
            each(column, |row, out| {
                listed(out, ['[', ']'], offsets[row] as usize..offsets[row + 1] as usize, |at, out| {
                    out.write_str(shown(&items, at))
                })
            })
        }
        DataType::Map(..) => {
            let maps = column.as_map();
            let (keys, values) = (text_of(maps.keys(), zone)?, text_of(maps.values(), zone)?);
            let offsets = maps.value_offsets();
            each(column, |row, out| {
                listed(out, ['{', '}'], offsets[row] as usize..offsets[row + 1] as usize, |at, out| {
                    write!(out, "{}={}", shown(&keys, at), shown(&values, at))
                })
            })
        }
        DataType::Struct(_) => {
            let fields = column.as_struct().columns().iter().map(|c| text_of(c, zone)).collect::<Result<Vec<_>>>()?;
            each(column, |row, out| {
                listed(out, ['(', ')'], 0..fields.len(), |at, out| out.write_str(shown(&fields[at], row)))
            })
        }
        DataType::Null => Ok(arrow::array::new_null_array(&DataType::Utf8, rows)),
        other => match cast(column, &DataType::Utf8) {
            Ok(texts) => Ok(texts),
            Err(_) => exec_err!("there is no text of {}", type_name(other)),
        },
    }
}

/// The texts of all rows that are not NULL.
fn each(
    column: &ArrayRef,
    mut write: impl FnMut(usize, &mut arrow::array::StringBuilder) -> std::fmt::Result,
) -> Result<ArrayRef> {
    texts(column.len(), |row, out| Ok(column.is_valid(row) && write(row, out).is_ok()))
}

fn shown(texts: &ArrayRef, at: usize) -> &str {
    let texts: &StringArray = texts.as_string::<i32>();
    if texts.is_null(at) { "NULL" } else { texts.value(at) }
}

fn listed<W: Write>(
    out: &mut W,
    brackets: [char; 2],
    range: std::ops::Range<usize>,
    mut item: impl FnMut(usize, &mut W) -> std::fmt::Result,
) -> std::fmt::Result {
    out.write_char(brackets[0])?;
    for at in range.clone() {
        if at != range.start {
            out.write_str(", ")?;
        }
        item(at, out)?;
    }
    out.write_char(brackets[1])
}

fn time_format(unit: TimeUnit, dated: bool) -> &'static str {
    match (unit, dated) {
        (TimeUnit::Second, true) => "%Y-%m-%d %H:%M:%S",
        (TimeUnit::Millisecond, true) => "%Y-%m-%d %H:%M:%S%.3f",
        (TimeUnit::Microsecond, true) => "%Y-%m-%d %H:%M:%S%.6f",
        (TimeUnit::Nanosecond, true) => "%Y-%m-%d %H:%M:%S%.9f",
        (TimeUnit::Second, false) => "%H:%M:%S",
        (TimeUnit::Millisecond, false) => "%H:%M:%S%.3f",
        (TimeUnit::Microsecond, false) => "%H:%M:%S%.6f",
        (TimeUnit::Nanosecond, false) => "%H:%M:%S%.9f",
    }
}

fn formatted(column: &ArrayRef, format: &str) -> Result<ArrayRef> {
    let format_options = FormatOptions::new()
        .with_timestamp_format(Some(format))
        .with_timestamp_tz_format(Some(format))
        .with_time_format(Some(format));
    Ok(cast_with_options(column, &DataType::Utf8, &CastOptions { safe: false, format_options })?)
}

/// A number as Java writes it; `scientific` has the digits that tell it from all others, as `1.25e-3`.
fn java_float(value: f64, scientific: &str, out: &mut impl Write) -> std::fmt::Result {
    if !value.is_finite() {
        return out.write_str(match value {
            v if v.is_nan() => "NaN",
            v if v > 0.0 => "Infinity",
            _ => "-Infinity",
        });
    }
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |m| ("-", m));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let exponent: i32 = exponent.parse().unwrap_or(0);
    out.write_str(sign)?;
    let rest = |digits: &str| if digits.is_empty() { "0".to_owned() } else { digits.to_owned() };
    match exponent {
        _ if value == 0.0 => out.write_str("0.0"),
        -3..=-1 => write!(out, "0.{}{digits}", "0".repeat((-exponent - 1) as usize)),
        0..=6 => {
            let point = exponent as usize + 1;
            let whole = format!("{digits:0<point$}");
            write!(out, "{}.{}", &whole[..point], rest(&whole[point..]))
        }
        _ => write!(out, "{}.{}E{exponent}", &digits[..1], rest(&digits[1..])),
    }
}

fn interval(months: i32, days: i32, nanos: i64, out: &mut impl Write) -> std::fmt::Result {
    let sign = |negative: bool| if negative { '-' } else { '+' };
    if months != 0 {
        let all = months.unsigned_abs();
        write!(out, "{}{}-{:02}", sign(months < 0), all / 12, all % 12)?;
        if days == 0 && nanos == 0 {
            return Ok(());
        }
        out.write_char(' ')?;
    }
    let all = i128::from(days) * 86_400_000_000_000 + i128::from(nanos);
    let (millis, below) = (all.unsigned_abs() / 1_000_000, all.unsigned_abs() % 1_000_000);
    let (seconds, millis) = (millis / 1000, millis % 1000);
    let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
    write!(out, "{}{} {hours:02}:{minutes:02}:{:02}.{millis:03}", sign(all < 0), seconds / 86_400, seconds % 60)?;
    if below > 0 { write!(out, "{below:06}") } else { Ok(()) }
}
