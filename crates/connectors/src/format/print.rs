//! Values to text that reads back as the same value: the other half of `text.rs`.

use super::text::{civil_from_days, units_per_second};
use crate::ConnectorError;
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, LargeStringArray, ListArray, MapArray, StringArray,
    StructArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

/// The values of one column of a batch, their type looked at once.
pub(super) struct Cells<'a> {
    pub(super) name: &'a str,
    nulls: Option<&'a NullBuffer>,
    pub(super) values: CellValues<'a>,
}

pub(super) enum CellValues<'a> {
    Boolean(&'a BooleanArray),
    Int8(&'a [i8]),
    Int16(&'a [i16]),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    Float32(&'a [f32]),
    Float64(&'a [f64]),
    Decimal(&'a [i128], i8),
    Text(&'a StringArray),
    Json(&'a LargeStringArray),
    Bytes(&'a BinaryArray),
    Date(&'a [i32]),
    Time32(&'a [i32], TimeUnit),
    Time64(&'a [i64], TimeUnit),
    Timestamp { values: &'a [i64], unit: TimeUnit, is_moment: bool },
    List(&'a ListArray, Box<Cells<'a>>),
    Map(&'a MapArray, Box<Cells<'a>>, Box<Cells<'a>>),
    Row(Vec<Cells<'a>>),
}

impl<'a> Cells<'a> {
    /// # Errors
    /// A type that text formats cannot hold; tables with such columns are refused before.
    pub(super) fn new(name: &'a str, array: &'a ArrayRef) -> Result<Self, ConnectorError> {
        let values = match array.data_type() {
            DataType::Boolean => CellValues::Boolean(array.as_boolean()),
            DataType::Int8 => CellValues::Int8(array.as_primitive::<Int8Type>().values()),
            DataType::Int16 => CellValues::Int16(array.as_primitive::<Int16Type>().values()),
            DataType::Int32 => CellValues::Int32(array.as_primitive::<Int32Type>().values()),
            DataType::Int64 => CellValues::Int64(array.as_primitive::<Int64Type>().values()),
            DataType::Float32 => CellValues::Float32(array.as_primitive::<Float32Type>().values()),
            DataType::Float64 => CellValues::Float64(array.as_primitive::<Float64Type>().values()),
            DataType::Decimal128(_, scale) => {
                CellValues::Decimal(array.as_primitive::<Decimal128Type>().values(), *scale)
            }
            DataType::Utf8 => CellValues::Text(array.as_string()),
            DataType::LargeUtf8 => CellValues::Json(array.as_string()),
            DataType::Binary => CellValues::Bytes(array.as_binary()),
            DataType::Date32 => CellValues::Date(array.as_primitive::<Date32Type>().values()),
            DataType::Time32(unit) => CellValues::Time32(
                match unit {
                    TimeUnit::Second => array.as_primitive::<Time32SecondType>().values(),
                    _ => array.as_primitive::<Time32MillisecondType>().values(),
                },
                *unit,
            ),
            DataType::Time64(unit) => CellValues::Time64(
                match unit {
                    TimeUnit::Microsecond => array.as_primitive::<Time64MicrosecondType>().values(),
                    _ => array.as_primitive::<Time64NanosecondType>().values(),
                },
                *unit,
            ),
            DataType::Timestamp(unit, zone) => CellValues::Timestamp {
                values: match unit {
                    TimeUnit::Second => array.as_primitive::<TimestampSecondType>().values(),
                    TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().values(),
                    TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().values(),
                    TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().values(),
                },
                unit: *unit,
                is_moment: zone.is_some(),
            },
            DataType::List(_) => {
                let list: &ListArray = array.as_list();
                CellValues::List(list, Box::new(Cells::new(name, list.values())?))
            }
            DataType::Map(..) => {
                let map = array.as_map();
                CellValues::Map(map, Box::new(Cells::new(name, map.keys())?), Box::new(Cells::new(name, map.values())?))
            }
            DataType::Struct(fields) => {
                let row: &StructArray = array.as_struct();
                let columns = fields.iter().zip(row.columns()).map(|(f, c)| Cells::new(f.name(), c));
                CellValues::Row(columns.collect::<Result<_, _>>()?)
            }
            other => {
                return Err(ConnectorError::Unsupported {
                    message: format!("column {name}: text formats cannot hold {other}"),
                    hint: "CAST it to STRING".into(),
                });
            }
        };
        Ok(Self { name, nulls: array.nulls(), values })
    }

    #[inline]
    pub(super) fn is_null(&self, row: usize) -> bool {
        self.nulls.is_some_and(|n| n.is_null(row))
    }

    /// Appends a scalar value's text, with nothing quoted or escaped; timestamps with `separator` between date and
    /// time. Arrays, maps and rows append nothing: how they look is the format's business.
    pub(super) fn append(&self, row: usize, separator: u8, out: &mut Vec<u8>) {
        match &self.values {
            CellValues::Boolean(v) => out.extend_from_slice(if v.value(row) { b"true" } else { b"false" }),
            CellValues::Int8(v) => number(v[row], out),
            CellValues::Int16(v) => number(v[row], out),
            CellValues::Int32(v) => number(v[row], out),
            CellValues::Int64(v) => number(v[row], out),
            CellValues::Float32(v) if v[row].is_finite() => number(v[row], out),
            CellValues::Float32(v) => not_finite(f64::from(v[row]), out),
            CellValues::Float64(v) if v[row].is_finite() => number(v[row], out),
            CellValues::Float64(v) => not_finite(v[row], out),
            CellValues::Decimal(v, scale) => plain_decimal(v[row], *scale, out),
            CellValues::Text(v) => out.extend_from_slice(v.value(row).as_bytes()),
            CellValues::Json(v) => out.extend_from_slice(v.value(row).as_bytes()),
            CellValues::Bytes(v) => out.extend_from_slice(BASE64.encode(v.value(row)).as_bytes()),
            CellValues::Date(v) => date(i64::from(v[row]), out),
            CellValues::Time32(v, unit) => time(i64::from(v[row]), *unit, out),
            CellValues::Time64(v, unit) => time(v[row], *unit, out),
            CellValues::Timestamp { values, unit, is_moment } => {
                let per_day = 86_400 * units_per_second(*unit);
                date(values[row].div_euclid(per_day), out);
                out.push(separator);
                time(values[row].rem_euclid(per_day), *unit, out);
                if *is_moment {
                    out.push(b'Z');
                }
            }
            CellValues::List(..) | CellValues::Map(..) | CellValues::Row(..) => {}
        }
    }
}

fn number<N: lexical_core::ToLexical>(value: N, out: &mut Vec<u8>) {
    out.extend_from_slice(lexical_core::write(value, &mut [0; 128]));
}

fn not_finite(value: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(match value {
        v if v.is_nan() => b"NaN",
        v if v > 0.0 => b"Infinity",
        _ => b"-Infinity",
    });
}

/// All digits of an unscaled value, and how many; no sign.
fn digits(value: i128) -> ([u8; 40], usize) {
    let mut text = [b'0'; 40];
    let n = lexical_core::write(value.unsigned_abs(), &mut text).len();
    (text, n)
}

/// `-12.30`: every digit of the scale.
pub(super) fn plain_decimal(value: i128, scale: i8, out: &mut Vec<u8>) {
    let (text, n) = digits(value);
    let text = &text[..n];
    if value < 0 {
        out.push(b'-');
    }
    match usize::try_from(scale) {
        Ok(0) => out.extend_from_slice(text),
        Ok(scale) => {
            let whole = n.saturating_sub(scale);
            out.extend_from_slice(if whole == 0 { b"0" } else { &text[..whole] });
            out.push(b'.');
            out.extend(std::iter::repeat_n(b'0', scale - (n - whole)));
            out.extend_from_slice(&text[whole..]);
        }
        Err(_) => {
            out.extend_from_slice(text);
            out.extend(std::iter::repeat_n(b'0', usize::from(scale.unsigned_abs())));
        }
    }
}

/// As Java's `BigDecimal.toString`: with an exponent where the value is below 10⁻⁶ or the scale below 0.
pub(super) fn scientific_decimal(value: i128, scale: i8, out: &mut Vec<u8>) {
    let (text, n) = digits(value);
    let exponent = n as i64 - 1 - i64::from(scale);
    if scale >= 0 && exponent >= -6 {
        return plain_decimal(value, scale, out);
    }
    if value < 0 {
        out.push(b'-');
    }
    out.push(text[0]);
    if n > 1 {
        out.push(b'.');
        out.extend_from_slice(&text[1..n]);
    }
    if exponent != 0 {
        out.extend_from_slice(if exponent > 0 { b"E+" } else { b"E" });
        number(exponent, out);
    }
}

fn two(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'0' + (value / 10 % 10) as u8, b'0' + (value % 10) as u8]);
}

fn date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil_from_days(days);
    match year {
        0..=9999 => {
            two(year / 100, out);
            two(year % 100, out);
        }
        10_000.. => {
            out.push(b'+');
            number(year, out);
        }
        _ => {
            out.push(b'-');
            let zeros = [1_000, 100, 10].iter().filter(|limit| -year < **limit).count();
            out.extend(std::iter::repeat_n(b'0', zeros));
            number(-year, out);
        }
    }
    out.push(b'-');
    two(month, out);
    out.push(b'-');
    two(day, out);
}

/// Time of day in `unit`: seconds always, a fraction without trailing zeros where there is one.
fn time(value: i64, unit: TimeUnit, out: &mut Vec<u8>) {
    let per_second = units_per_second(unit);
    let (seconds, fraction) = (value.div_euclid(per_second), value.rem_euclid(per_second));
    two(seconds / 3600, out);
    out.push(b':');
    two(seconds / 60 % 60, out);
    out.push(b':');
    two(seconds % 60, out);
    if fraction > 0 {
        out.push(b'.');
        let (mut rest, mut place) = (fraction, per_second / 10);
        while rest > 0 {
            out.push(b'0' + (rest / place) as u8);
            rest %= place;
            place /= 10;
        }
    }
}
