//! A row as text, in the manner of Java: `[1, a, null]`, nested rows as `+I[…]`, arrays as `[…]`, maps as `{k=v}`.

use crate::ConnectorError;
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, ListArray, MapArray, RecordBatch, StringArray, StructArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int64Type, TimeUnit};
use arrow::temporal_conversions::{
    timestamp_ms_to_datetime, timestamp_ns_to_datetime, timestamp_s_to_datetime, timestamp_us_to_datetime,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{NaiveDateTime, NaiveTime, Timelike};
use std::io::Write;

/// How the rows of one batch are written.
pub(super) struct Line<'a> {
    columns: Vec<Column<'a>>,
}

impl<'a> Line<'a> {
    pub(super) fn new(rows: &'a RecordBatch) -> Result<Self, ConnectorError> {
        let columns = rows.columns().iter().map(Column::new).collect::<Result<_, _>>()?;
        Ok(Self { columns })
    }

    /// Appends `[…]`.
    pub(super) fn append(&self, row: usize, out: &mut Vec<u8>) {
        append_all(&self.columns, row, out);
    }
}

/// One column, its type looked at once.
struct Column<'a> {
    array: &'a ArrayRef,
    text: Text<'a>,
}

enum Text<'a> {
    Utf8(&'a StringArray),
    Boolean(&'a BooleanArray),
    Bytes(&'a BinaryArray),
    Float(ArrayRef),
    Time { values: ArrayRef, unit: TimeUnit, suffix: &'static str },
    TimeOfDay(ArrayRef),
    Row(Vec<Column<'a>>),
    List(&'a ListArray, Box<Column<'a>>),
    Map(&'a MapArray, Box<Column<'a>>, Box<Column<'a>>),
    Arrow(ArrayFormatter<'a>),
}

const ARROW: FormatOptions<'static> = FormatOptions::new().with_display_error(true);

impl<'a> Column<'a> {
    fn new(array: &'a ArrayRef) -> Result<Self, ConnectorError> {
        let text = match array.data_type() {
            DataType::Utf8 => Text::Utf8(array.as_string()),
            DataType::Boolean => Text::Boolean(array.as_boolean()),
            DataType::Binary => Text::Bytes(array.as_binary()),
            DataType::Float32 | DataType::Float64 => Text::Float(array.clone()),
            DataType::Timestamp(unit, zone) => {
                let values = cast(array, &DataType::Int64)?;
                Text::Time { values, unit: *unit, suffix: if zone.is_some() { "Z" } else { "" } }
            }
            DataType::Time32(_) | DataType::Time64(_) => {
                Text::TimeOfDay(cast(&cast(array, &DataType::Time64(TimeUnit::Nanosecond))?, &DataType::Int64)?)
            }
            DataType::Struct(_) => {
                let row: &StructArray = array.as_struct();
                Text::Row(row.columns().iter().map(Column::new).collect::<Result<_, _>>()?)
            }
            DataType::List(_) => {
                let list: &ListArray = array.as_list();
                Text::List(list, Box::new(Column::new(list.values())?))
            }
            DataType::Map(..) => {
                let map = array.as_map();
                Text::Map(map, Box::new(Column::new(map.keys())?), Box::new(Column::new(map.values())?))
            }
            _ => Text::Arrow(ArrayFormatter::try_new(array.as_ref(), &ARROW)?),
        };
        Ok(Self { array, text })
    }

    fn append(&self, row: usize, out: &mut Vec<u8>) {
        if self.array.is_null(row) {
            return out.extend_from_slice(b"null");
        }
        match &self.text {
            Text::Utf8(text) => out.extend_from_slice(text.value(row).as_bytes()),
            Text::Boolean(flags) => put(out, format_args!("{}", flags.value(row))),
            Text::Bytes(bytes) => {
                put(out, format_args!("{:?}", bytes.value(row).iter().map(|b| *b as i8).collect::<Vec<_>>()))
            }
            Text::Float(floats) => match floats.data_type() {
                DataType::Float32 => float(floats.as_primitive::<Float32Type>().value(row), out),
                _ => float(floats.as_primitive::<Float64Type>().value(row), out),
            },
            Text::Time { values, unit, suffix } => {
                let value = values.as_primitive::<Int64Type>().value(row);
                let time = match unit {
                    TimeUnit::Second => timestamp_s_to_datetime(value),
                    TimeUnit::Millisecond => timestamp_ms_to_datetime(value),
                    TimeUnit::Microsecond => timestamp_us_to_datetime(value),
                    TimeUnit::Nanosecond => timestamp_ns_to_datetime(value),
                };
                match time {
                    Some(time) => date_time(time, suffix, out),
                    None => out.extend_from_slice(b"?"),
                }
            }
            Text::TimeOfDay(nanos) => {
                let nanos = nanos.as_primitive::<Int64Type>().value(row);
                let (seconds, rest) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
                match NaiveTime::from_num_seconds_from_midnight_opt(seconds as u32, rest as u32) {
                    Some(time) => time_of_day(time, false, out),
                    None => out.extend_from_slice(b"?"),
                }
            }
            Text::Row(columns) => {
                out.extend_from_slice(b"+I");
                append_all(columns, row, out);
            }
            Text::List(list, values) => {
                let range = list.value_offsets()[row] as usize..list.value_offsets()[row + 1] as usize;
                append_between(b"[]", range, out, |at, out| values.append(at, out));
            }
            Text::Map(map, keys, values) => {
                let range = map.value_offsets()[row] as usize..map.value_offsets()[row + 1] as usize;
                append_between(b"{}", range, out, |at, out| {
                    keys.append(at, out);
                    out.push(b'=');
                    values.append(at, out);
                });
            }
            Text::Arrow(formatter) => put(out, format_args!("{}", formatter.value(row))),
        }
    }
}

fn append_all(columns: &[Column<'_>], row: usize, out: &mut Vec<u8>) {
    append_between(b"[]", 0..columns.len(), out, |at, out| columns[at].append(row, out));
}

fn append_between(
    brackets: &[u8; 2],
    range: std::ops::Range<usize>,
    out: &mut Vec<u8>,
    mut item: impl FnMut(usize, &mut Vec<u8>),
) {
    out.push(brackets[0]);
    for at in range.clone() {
        if at > range.start {
            out.extend_from_slice(b", ");
        }
        item(at, out);
    }
    out.push(brackets[1]);
}

/// As Java: `1.0`, and `1.0E10` from 10⁷ on and below 10⁻³.
fn float<F: Into<f64> + Copy + std::fmt::Debug + std::fmt::LowerExp>(value: F, out: &mut Vec<u8>) {
    let wide: f64 = value.into();
    if wide.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if wide.is_infinite() {
        out.extend_from_slice(if wide > 0.0 { b"Infinity" } else { b"-Infinity" });
    } else if wide == 0.0 || (1e-3..1e7).contains(&wide.abs()) {
        put(out, format_args!("{value:?}"));
    } else {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let point = if digits.contains('.') { "" } else { ".0" };
        put(out, format_args!("{digits}{point}E{exponent}"));
    }
}

fn date_time(time: NaiveDateTime, suffix: &str, out: &mut Vec<u8>) {
    put(out, format_args!("{}T", time.date().format("%Y-%m-%d")));
    time_of_day(time.time(), !suffix.is_empty(), out);
    out.extend_from_slice(suffix.as_bytes());
}

/// As Java's `LocalTime`: no seconds where they are 0 (unless asked for), fractions of 3, 6 or 9 digits.
fn time_of_day(time: NaiveTime, seconds: bool, out: &mut Vec<u8>) {
    put(out, format_args!("{:02}:{:02}", time.hour(), time.minute()));
    let nanos = time.nanosecond();
    if seconds || time.second() > 0 || nanos > 0 {
        put(out, format_args!(":{:02}", time.second()));
    }
    match nanos {
        0 => {}
        n if n % 1_000_000 == 0 => put(out, format_args!(".{:03}", n / 1_000_000)),
        n if n % 1_000 == 0 => put(out, format_args!(".{:06}", n / 1_000)),
        n => put(out, format_args!(".{n:09}")),
    }
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to memory cannot fail");
}
