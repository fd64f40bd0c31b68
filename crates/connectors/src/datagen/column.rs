//! One column: what its `fields.<name>.*` options say and the values that follow from them.

use super::nested::Nested;
use crate::nexmark::random::{Draw, mix};
use crate::{ConnectorError, Options, parse_duration};
use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Float64Array, Int64Array, StringArray,
    TimestampMillisecondArray, make_array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

/// Words of random bits that are kept apart for one value; longer strings go on in the following ones.
const NULL_FIELD: u64 = 1;
const LENGTH_FIELD: u64 = 2;
const VALUE_FIELD: u64 = 3;

const SUFFIXES: [&str; 9] = ["kind", "min", "max", "max-past", "length", "var-len", "start", "end", "null-rate"];

/// The `fields.*` options while columns read them.
pub(super) struct Fields {
    table: String,
    left: BTreeMap<String, String>,
}

impl Fields {
    pub(super) fn new(options: &mut Options) -> Self {
        Self { table: options.table().to_owned(), left: options.with_prefix("fields.") }
    }

    fn text(&mut self, column: &str, suffix: &str) -> Option<(String, String)> {
        let name = format!("fields.{column}.{suffix}");
        self.left.remove(&name).map(|value| (name, value))
    }

    pub(super) fn parsed<T: FromStr>(&mut self, column: &str, suffix: &str) -> Result<Option<T>, ConnectorError> {
        let Some((name, value)) = self.text(column, suffix) else { return Ok(None) };
        value.trim().parse().map(Some).map_err(|_| self.bad(&name, &value, "does not fit the column"))
    }

    pub(super) fn bad(&self, name: &str, value: &str, why: &str) -> ConnectorError {
        ConnectorError::Option {
            message: format!("table {}: option '{name}' = '{value}' {why}", self.table),
            hint: String::new(),
        }
    }

    /// What no column has asked for is of no use to any.
    pub(super) fn finish(self) -> Result<(), ConnectorError> {
        match self.left.into_keys().next() {
            None => Ok(()),
            Some(unknown) => Err(ConnectorError::Option {
                message: format!("table {}: option '{unknown}' fits no column", self.table),
                hint: format!(
                    "such options are fields.<column>.<one of {}>; min and max are for numbers, length for strings, bytes, \
                     ARRAY and MAP, var-len for strings and bytes, max-past for times, start and end for the kind \
                     'sequence'; inside a column: fields.<array>.element.…, <map>.key.…, <map>.value.…, <row>.<field>.…",
                    SUFFIXES.join(", ")
                ),
            }),
        }
    }
}

/// How the values of one column are made.
#[derive(Debug, Clone)]
pub(super) struct Column {
    data_type: DataType,
    mixed_seed: u64,
    null_rate: f64,
    values: Values,
}

#[derive(Debug, Clone)]
enum Values {
    Sequence {
        start: i64,
        end: i64,
    },
    Boolean,
    /// Integers, and decimals by their unscaled value.
    Integer {
        min: i128,
        max: i128,
    },
    Float {
        min: f64,
        max: f64,
    },
    Text {
        length: usize,
        shortest: usize,
    },
    Bytes {
        length: usize,
        shortest: usize,
    },
    /// Now, or up to that long ago.
    Time {
        past_ms: i64,
    },
    Nested(Nested),
}

impl Column {
    pub(super) fn new(fields: &mut Fields, at: usize, field: &Field, seed: u64) -> Result<Self, ConnectorError> {
        Self::made(fields, at, field, seed, false)
    }

    /// A column inside another; the field's name is the path to it.
    pub(super) fn inside(fields: &mut Fields, at: usize, field: &Field, seed: u64) -> Result<Self, ConnectorError> {
        Self::made(fields, at, field, seed, true)
    }

    fn made(fields: &mut Fields, at: usize, field: &Field, seed: u64, inside: bool) -> Result<Self, ConnectorError> {
        let name = field.name();
        let mixed_seed = mix(mix(seed).wrapping_add(at as u64));
        let kind = fields.text(name, "kind");
        let values = match kind.as_ref().map(|(_, v)| v.as_str()) {
            None | Some("random") => random(fields, name, field.data_type(), mixed_seed)?,
            Some("sequence") if inside => {
                let option = format!("fields.{name}.kind");
                return Err(fields.bad(
                    &option,
                    "sequence",
                    "is for whole columns: what is inside ARRAY, MAP and ROW is random",
                ));
            }
            Some("sequence") => sequence(fields, name, field.data_type())?,
            Some(other) => {
                return Err(fields.bad(&format!("fields.{name}.kind"), other, "is neither 'random' nor 'sequence'"));
            }
        };
        let null_rate = fields.parsed(name, "null-rate")?.unwrap_or(0.0);
        if !(0.0..=1.0).contains(&null_rate) {
            return Err(fields.bad(
                &format!("fields.{name}.null-rate"),
                &null_rate.to_string(),
                "is not between 0 and 1",
            ));
        }
        Ok(Self { data_type: field.data_type().clone(), mixed_seed, null_rate, values })
    }

    /// How many rows it has, if that is limited.
    pub(super) fn rows(&self) -> Option<u64> {
        match self.values {
            Values::Sequence { start, end } => Some(end.abs_diff(start).saturating_add(1)),
            _ => None,
        }
    }

    pub(super) fn may_be_null(&self) -> bool {
        self.null_rate > 0.0
    }

    /// The values of `rows`.
    pub(super) fn array(&self, rows: &[u64], wall_ms: i64) -> Result<ArrayRef, ConnectorError> {
        let draw = |row: &u64| Draw::new(self.mixed_seed, *row);
        let draws = rows.iter().map(draw);
        let array: ArrayRef = match &self.values {
            Values::Sequence { start, .. } => {
                let values = rows.iter().map(|r| (i128::from(*start) + i128::from(*r)) as i64);
                Arc::new(Int64Array::from_iter_values(values))
            }
            Values::Boolean => Arc::new(draws.map(|d| Some(d.bits(VALUE_FIELD) & 1 == 1)).collect::<BooleanArray>()),
            Values::Integer { min, max } => self.integers(draws, *min, *max)?,
            Values::Float { min, max } => {
                let unit = |d: Draw| (d.bits(VALUE_FIELD) >> 11) as f64 / (1u64 << 53) as f64;
                // Not min + (max - min) * u: that overflows over the whole range of a double.
                Arc::new(Float64Array::from_iter_values(draws.map(|d| min * (1.0 - unit(d)) + max * unit(d))))
            }
            Values::Text { length, shortest } => Arc::new(StringArray::from_iter_values(draws.map(|d| {
                hex(&bytes(d, length_of(d, *shortest, *length).div_ceil(2)), length_of(d, *shortest, *length))
            }))),
            Values::Bytes { length, shortest } => {
                Arc::new(BinaryArray::from_iter_values(draws.map(|d| bytes(d, length_of(d, *shortest, *length)))))
            }
            Values::Nested(nested) => nested.array(rows, wall_ms)?,
            Values::Time { past_ms } => {
                let ago = |d: Draw| (d.bits(VALUE_FIELD) % (past_ms.unsigned_abs() + 1)) as i64;
                Arc::new(TimestampMillisecondArray::from_iter_values(draws.map(|d| wall_ms - ago(d))))
            }
        };
        let array = match (array.data_type(), &self.data_type) {
            (have, want) if have == want => array,
            // A time of day is cast from a time within its day.
            (_, want) => cast_with_options(&array, want, &CastOptions { safe: false, ..Default::default() })?,
        };
        self.with_nulls(array, rows)
    }

    fn integers(&self, draws: impl Iterator<Item = Draw>, min: i128, max: i128) -> Result<ArrayRef, ConnectorError> {
        let span = max.wrapping_sub(min).unsigned_abs();
        let value = |d: Draw| match (u64::try_from(span), span.checked_add(1)) {
            (Ok(u64::MAX), _) => min + i128::from(d.bits(VALUE_FIELD)),
            (Ok(span), _) => min + i128::from(d.bits(VALUE_FIELD) % (span + 1)),
            (_, Some(count)) => min.wrapping_add((wide(d) % count) as i128),
            (_, None) => wide(d) as i128,
        };
        Ok(match self.data_type {
            DataType::Decimal128(precision, scale) => Arc::new(
                Decimal128Array::from_iter_values(draws.map(value)).with_precision_and_scale(precision, scale)?,
            ),
            _ => Arc::new(Int64Array::from_iter_values(draws.map(|d| value(d) as i64))),
        })
    }

    fn with_nulls(&self, array: ArrayRef, rows: &[u64]) -> Result<ArrayRef, ConnectorError> {
        if self.null_rate == 0.0 {
            return Ok(array);
        }
        let limit = (self.null_rate * u64::MAX as f64) as u128;
        let valid = rows.iter().map(|r| u128::from(Draw::new(self.mixed_seed, *r).bits(NULL_FIELD)) >= limit);
        let nulls = NullBuffer::from(valid.collect::<Vec<_>>());
        Ok(make_array(array.to_data().into_builder().nulls(Some(nulls)).build()?))
    }
}

fn random(fields: &mut Fields, name: &str, data_type: &DataType, seed: u64) -> Result<Values, ConnectorError> {
    use DataType as T;
    Ok(match data_type {
        T::Boolean => Values::Boolean,
        T::Int8 => integer(fields, name, i8::MIN.into(), i8::MAX.into())?,
        T::Int16 => integer(fields, name, i16::MIN.into(), i16::MAX.into())?,
        T::Int32 => integer(fields, name, i32::MIN.into(), i32::MAX.into())?,
        T::Int64 => integer(fields, name, i64::MIN, i64::MAX)?,
        T::Float32 => float(fields, name, f64::from(f32::MIN), f64::from(f32::MAX))?,
        T::Float64 => float(fields, name, f64::MIN, f64::MAX)?,
        T::Decimal128(precision, scale) => decimal(fields, name, *precision, *scale)?,
        T::Utf8 => {
            let (length, shortest) = lengths(fields, name)?;
            Values::Text { length, shortest }
        }
        T::Binary => {
            let (length, shortest) = lengths(fields, name)?;
            Values::Bytes { length, shortest }
        }
        T::Date32 | T::Time32(_) | T::Time64(_) | T::Timestamp(..) => match fields.text(name, "max-past") {
            None => Values::Time { past_ms: 0 },
            Some((option, text)) => match parse_duration(&text).and_then(|d| i64::try_from(d.as_millis()).ok()) {
                Some(past_ms) => Values::Time { past_ms },
                None => return Err(fields.bad(&option, &text, "is no duration like '10 s'")),
            },
        },
        T::List(item) => Values::Nested(Nested::list(fields, name, item, seed)?),
        T::Map(entries, _) => Values::Nested(Nested::map(fields, name, entries, seed)?),
        T::Struct(parts) => Values::Nested(Nested::row(fields, name, parts, seed)?),
        other => {
            return Err(ConnectorError::Unsupported {
                message: format!("table {}: datagen cannot make column '{name}' of type {other}", fields.table),
                hint: "compute the column from others".into(),
            });
        }
    })
}

fn sequence(fields: &mut Fields, name: &str, data_type: &DataType) -> Result<Values, ConnectorError> {
    let fits = |v: i64| match data_type {
        DataType::Int8 => i8::try_from(v).is_ok(),
        DataType::Int16 => i16::try_from(v).is_ok(),
        DataType::Int32 => i32::try_from(v).is_ok(),
        DataType::Int64 | DataType::Float32 | DataType::Float64 | DataType::Utf8 | DataType::Decimal128(..) => true,
        _ => false,
    };
    let (start, end) = (fields.parsed::<i64>(name, "start")?, fields.parsed::<i64>(name, "end")?);
    let (Some(start), Some(end)) = (start, end) else {
        return Err(fields.bad(
            &format!("fields.{name}.kind"),
            "sequence",
            &format!("needs 'fields.{name}.start' and 'fields.{name}.end'"),
        ));
    };
    if start > end || !fits(start) || !fits(end) {
        let why = format!("from {start} to {end} does not fit a column of type {data_type}");
        return Err(fields.bad(&format!("fields.{name}.kind"), "sequence", &why));
    }
    Ok(Values::Sequence { start, end })
}

fn integer(fields: &mut Fields, name: &str, least: i64, most: i64) -> Result<Values, ConnectorError> {
    let min = fields.parsed::<i64>(name, "min")?.unwrap_or(least);
    let max = fields.parsed::<i64>(name, "max")?.unwrap_or(most);
    check(fields, name, least <= min && min <= max && max <= most)?;
    Ok(Values::Integer { min: min.into(), max: max.into() })
}

fn float(fields: &mut Fields, name: &str, least: f64, most: f64) -> Result<Values, ConnectorError> {
    let min = fields.parsed::<f64>(name, "min")?.unwrap_or(least);
    let max = fields.parsed::<f64>(name, "max")?.unwrap_or(most);
    check(fields, name, least <= min && min <= max && max <= most)?;
    Ok(Values::Float { min, max })
}

fn decimal(fields: &mut Fields, name: &str, precision: u8, scale: i8) -> Result<Values, ConnectorError> {
    let most = 10i128.pow(u32::from(precision)) - 1;
    let mut bound = |suffix, default| {
        let Some(value) = fields.parsed::<f64>(name, suffix)? else { return Ok(default) };
        let unscaled = (value * 10f64.powi(scale.into())).round();
        check(fields, name, unscaled.abs() <= most as f64)?;
        Ok::<_, ConnectorError>((unscaled as i128).clamp(-most, most))
    };
    let (min, max) = (bound("min", -most)?, bound("max", most)?);
    check(fields, name, min <= max)?;
    Ok(Values::Integer { min, max })
}

fn check(fields: &Fields, name: &str, fits: bool) -> Result<(), ConnectorError> {
    if fits {
        return Ok(());
    }
    Err(ConnectorError::Option {
        message: format!("table {}: min and max of column '{name}' do not fit its type or each other", fields.table),
        hint: format!("set 'fields.{name}.min' <= 'fields.{name}.max' within the range of the type"),
    })
}

fn lengths(fields: &mut Fields, name: &str) -> Result<(usize, usize), ConnectorError> {
    let length = fields.parsed::<usize>(name, "length")?.unwrap_or(100);
    let variable = fields.parsed::<bool>(name, "var-len")?.unwrap_or(false);
    if length > 1 << 20 {
        return Err(fields.bad(&format!("fields.{name}.length"), &length.to_string(), "is over 1048576"));
    }
    Ok((length, if variable { length.min(1) } else { length }))
}

fn length_of(draw: Draw, shortest: usize, length: usize) -> usize {
    shortest + (draw.bits(LENGTH_FIELD) % (length - shortest + 1) as u64) as usize
}

fn wide(draw: Draw) -> u128 {
    (u128::from(draw.bits(VALUE_FIELD)) << 64) | u128::from(draw.bits(VALUE_FIELD + 1))
}

fn bytes(draw: Draw, length: usize) -> Vec<u8> {
    let words = (0..length.div_ceil(8) as u64).flat_map(|w| draw.bits(VALUE_FIELD + w).to_le_bytes());
    words.take(length).collect()
}

fn hex(bytes: &[u8], length: usize) -> String {
    let digits = bytes.iter().flat_map(|b| [b >> 4, b & 15]);
    digits.take(length).map(|d| char::from(b"0123456789abcdef"[usize::from(d)])).collect()
}
