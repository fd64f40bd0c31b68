//! The values of a column, on their way to a client.

use super::{binary, oid, text};
use crate::wire::{Format, backend};
use arrow::array::timezone::Tz;
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int16Array, Int32Array, Int64Array, IntervalMonthDayNanoArray, LargeStringArray, ListArray, StringArray,
    Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::{BufMut, BytesMut};
use chrono::Offset;
use eddyline_engine::arrow;
use std::fmt::Write as _;
use std::sync::Arc;

/// A column of a batch, ready to be written row by row.
pub(crate) struct Cells {
    array: ArrayRef,
    values: Values,
    format: Format,
}

enum Values {
    Bool(BooleanArray),
    Int2(Int16Array),
    Int4(Int32Array),
    Int8(Int64Array),
    Float4(Float32Array),
    Float8(Float64Array),
    Numeric(Decimal128Array),
    Text(StringArray),
    Jsonb(LargeStringArray),
    Bytes(BinaryArray),
    Date(Date32Array),
    Time(Time64MicrosecondArray),
    Timestamp(TimestampMicrosecondArray),
    Moment(TimestampMicrosecondArray, Tz),
    Interval(IntervalMonthDayNanoArray),
    List(ListArray, Box<Cells>),
    Record(Vec<Cells>),
}

impl Cells {
    /// The cells of a column; moments are shown in `zone`.
    ///
    /// # Errors
    /// A time that has no place in Postgres' range.
    pub(crate) fn new(array: &ArrayRef, format: Format, zone: Tz) -> Result<Self, ArrowError> {
        let to = |to: DataType| arrow::compute::cast(array, &to);
        let micros = TimeUnit::Microsecond;
        let values = match array.data_type() {
            DataType::Boolean => Values::Bool(array.as_boolean().clone()),
            DataType::Int8 | DataType::Int16 | DataType::UInt8 => {
                Values::Int2(to(DataType::Int16)?.as_primitive().clone())
            }
            DataType::Int32 | DataType::UInt16 => Values::Int4(to(DataType::Int32)?.as_primitive().clone()),
            DataType::Int64 | DataType::UInt32 | DataType::UInt64 => {
                Values::Int8(to(DataType::Int64)?.as_primitive().clone())
            }
            DataType::Float32 => Values::Float4(array.as_primitive().clone()),
            DataType::Float64 => Values::Float8(array.as_primitive().clone()),
            DataType::Decimal128(..) => Values::Numeric(array.as_primitive().clone()),
            DataType::Utf8 => Values::Text(array.as_string().clone()),
            DataType::LargeUtf8 => Values::Jsonb(array.as_string().clone()),
            DataType::Binary => Values::Bytes(array.as_binary().clone()),
            DataType::Date32 => Values::Date(array.as_primitive().clone()),
            DataType::Time32(_) | DataType::Time64(_) => {
                Values::Time(to(DataType::Time64(micros))?.as_primitive().clone())
            }
            DataType::Timestamp(_, None) => {
                Values::Timestamp(to(DataType::Timestamp(micros, None))?.as_primitive().clone())
            }
            DataType::Timestamp(_, Some(_)) => {
                let utc = to(DataType::Timestamp(micros, Some(Arc::from("UTC"))))?;
                Values::Moment(utc.as_primitive().clone(), zone)
            }
            DataType::Interval(_) => {
                Values::Interval(to(DataType::Interval(IntervalUnit::MonthDayNano))?.as_primitive().clone())
            }
            DataType::List(_) => {
                let list = array.as_list().clone();
                let items = Self::new(list.values(), format, zone)?;
                Values::List(list, Box::new(items))
            }
            DataType::Struct(_) => {
                let row = array.as_struct();
                let fields = row.columns().iter().map(|column| Self::new(column, format, zone));
                Values::Record(fields.collect::<Result<_, _>>()?)
            }
            _ => Values::Text(formatted(array)?),
        };
        Ok(Self { array: array.clone(), values, format })
    }

    /// The cells of a column of an answer: as [`new`](Self::new), but for types that are spelled in a way of their own.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn of_field(field: &Field, array: &ArrayRef, format: Format, zone: Tz) -> Result<Self, ArrowError> {
        let cells = Self::new(array, format, zone)?;
        let oid = field.metadata().get(super::catalog::OID);
        match (&cells.values, oid) {
            (Values::List(list, items), Some(oid))
                if format == Format::Text && super::catalog::VECTORS.contains(&oid.as_str()) =>
            {
                let text =
                    |row: usize| range(list, row).filter_map(|at| items.nested(at)).collect::<Vec<_>>().join(" ");
                let texts = (0..list.len()).map(|row| list.is_valid(row).then(|| text(row)));
                Self::new(&(Arc::new(texts.collect::<StringArray>()) as ArrayRef), format, zone)
            }
            _ => Ok(cells),
        }
    }

    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row) || matches!(self.array.data_type(), DataType::Null)
    }

    /// Writes the value of a row; false: it is NULL, and nothing was written.
    pub(crate) fn write(&self, row: usize, out: &mut BytesMut) -> bool {
        if self.is_null(row) {
            return false;
        }
        match self.format {
            Format::Text => self.write_text(row, out),
            Format::Binary => self.write_binary(row, out),
        }
        true
    }

    fn write_text(&self, row: usize, out: &mut BytesMut) {
        // Writing into memory cannot fail.
        let _ = match &self.values {
            Values::Bool(a) => out.write_str(if a.value(row) { "t" } else { "f" }),
            Values::Int2(a) => write!(out, "{}", a.value(row)),
            Values::Int4(a) => write!(out, "{}", a.value(row)),
            Values::Int8(a) => write!(out, "{}", a.value(row)),
            Values::Float4(a) => text::float(out, &format!("{:e}", a.value(row)), 6),
            Values::Float8(a) => text::float(out, &format!("{:e}", a.value(row)), 15),
            Values::Numeric(a) => out.write_str(&a.value_as_string(row)),
            Values::Text(a) => out.write_str(a.value(row)),
            Values::Jsonb(a) => out.write_str(a.value(row)),
            Values::Bytes(a) => text::bytes(out, a.value(row)),
            Values::Date(a) => text::date(out, a.value(row)),
            Values::Time(a) => text::time(out, a.value(row)),
            Values::Timestamp(a) => text::timestamp(out, a.value(row)),
            Values::Moment(a, zone) => {
                text::moment(out, a.value(row), |utc| utc.with_timezone(zone).offset().fix().local_minus_utc())
            }
            Values::Interval(a) => text::interval(out, a.value(row)),
            Values::List(list, items) => {
                let range = range(list, row);
                text::list(out, matches!(items.values, Values::List(..)), range.map(|at| items.nested(at)))
            }
            Values::Record(fields) => text::record(out, fields.iter().map(|field| field.nested(row))),
        };
    }

    /// A value inside another, as text.
    fn nested(&self, row: usize) -> Option<String> {
        let mut out = BytesMut::new();
        // What is a list in a list is written as one, without quotes.
        self.write(row, &mut out).then(|| String::from_utf8_lossy(&out).into_owned())
    }

    fn write_binary(&self, row: usize, out: &mut BytesMut) {
        match &self.values {
            Values::Bool(a) => out.put_u8(u8::from(a.value(row))),
            Values::Int2(a) => out.put_i16(a.value(row)),
            Values::Int4(a) => out.put_i32(a.value(row)),
            Values::Int8(a) => out.put_i64(a.value(row)),
            Values::Float4(a) => out.put_f32(a.value(row)),
            Values::Float8(a) => out.put_f64(a.value(row)),
            Values::Numeric(a) => binary::numeric(out, a.value(row), a.scale()),
            Values::Text(a) => out.put_slice(a.value(row).as_bytes()),
            Values::Jsonb(a) => {
                out.put_u8(binary::JSONB_VERSION);
                out.put_slice(a.value(row).as_bytes());
            }
            Values::Bytes(a) => out.put_slice(a.value(row)),
            Values::Date(a) => out.put_i32(a.value(row).saturating_sub(binary::EPOCH_DAYS)),
            Values::Time(a) => out.put_i64(a.value(row)),
            Values::Timestamp(a) | Values::Moment(a, _) => {
                out.put_i64(a.value(row).saturating_sub(binary::EPOCH_MICROS));
            }
            Values::Interval(a) => {
                let interval = a.value(row);
                out.put_i64(interval.nanoseconds / 1000);
                out.put_i32(interval.days);
                out.put_i32(interval.months);
            }
            Values::List(list, items) => {
                let range = range(list, row);
                let has_nulls = range.clone().any(|at| items.is_null(at));
                binary::list_head(out, oid(&list.value_type()), range.len(), has_nulls);
                range.for_each(|at| backend::value(out, |out| items.write(at, out)));
            }
            Values::Record(fields) => {
                out.put_i32(fields.len() as i32);
                for field in fields {
                    out.put_u32(oid(field.array.data_type()));
                    backend::value(out, |out| field.write(row, out));
                }
            }
        }
    }
}

fn range(list: &ListArray, row: usize) -> std::ops::Range<usize> {
    let offsets = list.value_offsets();
    offsets[row] as usize..offsets[row + 1] as usize
}

/// What has no type of Postgres, as the shell shows it.
fn formatted(array: &ArrayRef) -> Result<StringArray, ArrowError> {
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(array.as_ref(), &options)?;
    let value = |row: usize| match array.is_null(row) {
        true => Ok(None),
        false => formatter.value(row).try_to_string().map(Some),
    };
    (0..array.len()).map(value).collect()
}
