//! Columns while they are filled: text goes straight in, an Arrow array comes out.
//!
//! Unlike Arrow's builders these can take rows back ([`Column::truncate`]), which is how a row that fails half-way is
//! left out, and they remember NULLs as a list of rows, which costs nothing where there are none.

use super::text::{self, Timestamps};
use crate::ConnectorError;
use arrow::array::timezone::Tz;
use arrow::array::{
    ArrayData, ArrayRef, BinaryArray, BooleanArray, ListArray, MapArray, StringArray, StructArray, make_array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::{ArrowNativeType, DataType, Field, FieldRef, Fields, Schema, TimeUnit};
use arrow::util::bit_util::unset_bit;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::str::FromStr;
use std::sync::Arc;

/// A column that grows by a value per row.
pub(super) struct Column {
    field: FieldRef,
    nulls: Vec<u32>,
    pub(super) values: Values,
}

/// The values of a column; NULL has a value of no meaning.
pub(super) enum Values {
    Boolean(Vec<bool>),
    Int8(Vec<i8>),
    Int16(Vec<i16>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Decimal { values: Vec<i128>, precision: u8, scale: i8 },
    Text(Slices),
    Bytes(Slices),
    Date(Vec<i32>),
    Time32(Vec<i32>, TimeUnit),
    Time64(Vec<i64>, TimeUnit),
    Timestamp(Vec<i64>, Timestamps),
    List { offsets: Vec<i32>, items: Box<Column> },
    Map { offsets: Vec<i32>, keys: Box<Column>, values: Box<Column> },
    Row { rows: usize, columns: Vec<Column> },
}

/// Byte strings one behind the other. Blocks are below 2 GiB, and so is what is decoded from one.
pub(super) struct Slices {
    ends: Vec<i32>,
    bytes: Vec<u8>,
}

impl Slices {
    fn new() -> Self {
        Self { ends: vec![0], bytes: Vec::new() }
    }

    #[inline]
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.ends.push(self.bytes.len() as i32);
    }

    /// Lets `write` append the next string; it is taken back when `write` fails.
    fn push_with<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        let before = self.bytes.len();
        write(&mut self.bytes).inspect_err(|_| self.bytes.truncate(before))?;
        self.ends.push(self.bytes.len() as i32);
        Ok(())
    }

    fn truncate(&mut self, rows: usize) {
        self.ends.truncate(rows + 1);
        self.bytes.truncate(self.ends[rows] as usize);
    }

    fn take(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        let (rows, size) = (self.ends.len(), self.bytes.len());
        let mut next = Vec::with_capacity(rows);
        next.push(0);
        let ends = std::mem::replace(&mut self.ends, next);
        let bytes = std::mem::replace(&mut self.bytes, Vec::with_capacity(size + size / 16));
        (OffsetBuffer::new(ends.into()), Buffer::from_vec(bytes))
    }
}

/// Why a text is no value of a column.
pub(super) type Refusal = String;

/// How deep the values of a format's columns may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Support {
    /// Numbers, text, dates and the like.
    Scalars,
    /// And arrays of them.
    Arrays,
    /// And arrays, maps and rows of anything.
    All,
}

fn is_supported(data_type: &DataType, support: Support) -> bool {
    match data_type {
        DataType::List(item) if support == Support::Arrays => is_supported(item.data_type(), Support::Scalars),
        DataType::List(item) => support == Support::All && is_supported(item.data_type(), support),
        DataType::Map(entries, _) => support == Support::All && is_supported(entries.data_type(), support),
        DataType::Struct(fields) => {
            support == Support::All && fields.iter().all(|f| is_supported(f.data_type(), support))
        }
        DataType::Boolean | DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => true,
        DataType::Float32 | DataType::Float64 | DataType::Decimal128(..) => true,
        DataType::Utf8 | DataType::Binary | DataType::Date32 => true,
        DataType::Time32(_) | DataType::Time64(_) | DataType::Timestamp(..) => true,
        _ => false,
    }
}

/// Refuses tables without columns, and columns of types that the format cannot hold.
pub(super) fn columns_are_supported(
    format: &str,
    table: &str,
    schema: &Schema,
    support: Support,
) -> Result<(), ConnectorError> {
    if schema.fields().is_empty() {
        return Err(ConnectorError::Unsupported {
            message: format!("table {table}: format '{format}' needs at least one physical column"),
            hint: "add a column".into(),
        });
    }
    match schema.fields().iter().find(|f| !is_supported(f.data_type(), support)) {
        None => Ok(()),
        Some(field) => Err(ConnectorError::Unsupported {
            message: format!(
                "table {table}: format '{format}' cannot hold column {} of type {}",
                field.name(),
                field.data_type()
            ),
            hint: match field.data_type() {
                DataType::List(_) | DataType::Map(..) | DataType::Struct(_) => "use 'format' = 'json'".into(),
                _ => "declare the column as another type, for example STRING, and CAST it".into(),
            },
        }),
    }
}

impl Column {
    /// An empty column. TIMESTAMP_LTZ text without an offset is in `time_zone`.
    ///
    /// # Errors
    /// A type that text formats cannot hold, or an unknown time zone.
    pub(super) fn new(field: &FieldRef, time_zone: &str) -> Result<Self, ConnectorError> {
        let column = |field: &FieldRef| Column::new(field, time_zone);
        let values = match field.data_type() {
            DataType::Boolean => Values::Boolean(Vec::new()),
            DataType::Int8 => Values::Int8(Vec::new()),
            DataType::Int16 => Values::Int16(Vec::new()),
            DataType::Int32 => Values::Int32(Vec::new()),
            DataType::Int64 => Values::Int64(Vec::new()),
            DataType::Float32 => Values::Float32(Vec::new()),
            DataType::Float64 => Values::Float64(Vec::new()),
            DataType::Decimal128(precision, scale) => {
                Values::Decimal { values: Vec::new(), precision: *precision, scale: *scale }
            }
            DataType::Utf8 => Values::Text(Slices::new()),
            DataType::Binary => Values::Bytes(Slices::new()),
            DataType::Date32 => Values::Date(Vec::new()),
            DataType::Time32(unit) => Values::Time32(Vec::new(), *unit),
            DataType::Time64(unit) => Values::Time64(Vec::new(), *unit),
            DataType::Timestamp(unit, zone) => {
                let zone = zone.as_ref().map(|_| Tz::from_str(time_zone)).transpose()?;
                Values::Timestamp(Vec::new(), Timestamps::new(*unit, zone))
            }
            DataType::List(item) => Values::List { offsets: vec![0], items: Box::new(column(item)?) },
            DataType::Struct(fields) => {
                Values::Row { rows: 0, columns: fields.iter().map(column).collect::<Result<_, _>>()? }
            }
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(fields) if fields.len() == 2 => Values::Map {
                    offsets: vec![0],
                    keys: Box::new(column(&fields[0])?),
                    values: Box::new(column(&fields[1])?),
                },
                _ => return Err(unsupported(field)),
            },
            _ => return Err(unsupported(field)),
        };
        Ok(Self { field: field.clone(), nulls: Vec::new(), values })
    }

    pub(super) fn name(&self) -> &str {
        self.field.name()
    }

    pub(super) fn data_type(&self) -> &DataType {
        self.field.data_type()
    }

    pub(super) fn rows(&self) -> usize {
        match &self.values {
            Values::Boolean(v) => v.len(),
            Values::Int8(v) => v.len(),
            Values::Int16(v) => v.len(),
            Values::Int32(v) | Values::Date(v) | Values::Time32(v, _) => v.len(),
            Values::Int64(v) | Values::Time64(v, _) | Values::Timestamp(v, _) => v.len(),
            Values::Float32(v) => v.len(),
            Values::Float64(v) => v.len(),
            Values::Decimal { values, .. } => values.len(),
            Values::Text(v) | Values::Bytes(v) => v.ends.len() - 1,
            Values::List { offsets, .. } | Values::Map { offsets, .. } => offsets.len() - 1,
            Values::Row { rows, .. } => *rows,
        }
    }

    /// Takes back all rows behind the first `rows`, also half a row in a nested column.
    pub(super) fn truncate(&mut self, rows: usize) {
        while self.nulls.last().is_some_and(|n| *n as usize >= rows) {
            self.nulls.pop();
        }
        match &mut self.values {
            Values::Boolean(v) => v.truncate(rows),
            Values::Int8(v) => v.truncate(rows),
            Values::Int16(v) => v.truncate(rows),
            Values::Int32(v) | Values::Date(v) | Values::Time32(v, _) => v.truncate(rows),
            Values::Int64(v) | Values::Time64(v, _) | Values::Timestamp(v, _) => v.truncate(rows),
            Values::Float32(v) => v.truncate(rows),
            Values::Float64(v) => v.truncate(rows),
            Values::Decimal { values, .. } => values.truncate(rows),
            Values::Text(v) | Values::Bytes(v) => {
                if v.ends.len() > rows {
                    v.truncate(rows);
                }
            }
            Values::List { offsets, items } => {
                offsets.truncate(rows + 1);
                items.truncate(last(offsets));
            }
            Values::Map { offsets, keys, values } => {
                offsets.truncate(rows + 1);
                keys.truncate(last(offsets));
                values.truncate(last(offsets));
            }
            Values::Row { rows: count, columns } => {
                *count = rows.min(*count);
                columns.iter_mut().for_each(|c| c.truncate(rows));
            }
        }
    }

    /// Appends NULL.
    pub(super) fn append_null(&mut self) -> Result<(), Refusal> {
        if !self.field.is_nullable() {
            return Err("NULL in a NOT NULL column".into());
        }
        self.nulls.push(self.rows() as u32);
        self.append_nothing();
        Ok(())
    }

    /// Appends a place-holder below a NULL.
    fn append_nothing(&mut self) {
        match &mut self.values {
            Values::Boolean(v) => v.push(false),
            Values::Int8(v) => v.push(0),
            Values::Int16(v) => v.push(0),
            Values::Int32(v) | Values::Date(v) | Values::Time32(v, _) => v.push(0),
            Values::Int64(v) | Values::Time64(v, _) | Values::Timestamp(v, _) => v.push(0),
            Values::Float32(v) => v.push(0.0),
            Values::Float64(v) => v.push(0.0),
            Values::Decimal { values, .. } => values.push(0),
            Values::Text(v) | Values::Bytes(v) => v.push(b""),
            Values::List { offsets, .. } | Values::Map { offsets, .. } => offsets.push(last(offsets) as i32),
            Values::Row { rows, columns } => {
                *rows += 1;
                for column in columns {
                    if column.field.is_nullable() {
                        column.nulls.push(column.rows() as u32);
                    }
                    column.append_nothing();
                }
            }
        }
    }

    /// Reads a value at the start of `bytes`, appends it and tells its length; `None`, with nothing appended, when
    /// it takes a closer look ([`append_text`](Self::append_text)). The caller checks that the field ends there,
    /// and takes the row back if not.
    #[inline(always)]
    pub(super) fn append_leading(&mut self, bytes: &[u8]) -> Option<usize> {
        match &mut self.values {
            Values::Int64(v) => text::leading_i64(bytes).map(|(value, n)| (v.push(value), n).1),
            Values::Timestamp(v, reader) => reader.leading(bytes).map(|(value, n)| (v.push(value), n).1),
            Values::Int32(v) => {
                let (value, n) = text::leading_i64(bytes)?;
                v.push(i32::try_from(value).ok()?);
                Some(n)
            }
            Values::Float64(v) => {
                let n = number_length(bytes)?;
                v.push(lexical_core::parse(&bytes[..n]).ok()?);
                Some(n)
            }
            Values::Decimal { values, precision, scale } => {
                let n = number_length(bytes)?;
                values.push(text::decimal(&bytes[..n], *precision, *scale)?);
                Some(n)
            }
            _ => None,
        }
    }

    /// Appends the value that all of `text` (of a field, without quotes and escapes) stands for.
    pub(super) fn append_text(&mut self, text: &[u8]) -> Result<(), Refusal> {
        let done = match &mut self.values {
            Values::Text(v) => Some(v.push(text)),
            Values::Boolean(v) => text::boolean(text).map(|x| v.push(x)),
            Values::Int8(v) => push_integer(v, text),
            Values::Int16(v) => push_integer(v, text),
            Values::Int32(v) => push_integer(v, text),
            Values::Int64(v) => push_integer(v, text),
            Values::Float32(v) => text::float(text).map(|x| v.push(x)),
            Values::Float64(v) => text::float(text).map(|x| v.push(x)),
            Values::Decimal { values, precision, scale } => {
                text::decimal(text, *precision, *scale).map(|x| values.push(x))
            }
            Values::Bytes(v) => v.push_with(|out| BASE64.decode_vec(text, out)).ok(),
            Values::Date(v) => text::date(text).map(|x| v.push(x)),
            Values::Time32(v, unit) => text::time(text, *unit).and_then(|x| i32::try_from(x).ok()).map(|x| v.push(x)),
            Values::Time64(v, unit) => text::time(text, *unit).map(|x| v.push(x)),
            Values::Timestamp(v, reader) => reader.whole(text).map(|x| v.push(x)),
            Values::List { .. } | Values::Map { .. } | Values::Row { .. } => None,
        };
        done.ok_or_else(|| self.refusal())
    }

    /// What the column wants instead.
    pub(super) fn refusal(&self) -> Refusal {
        let wanted = match self.data_type() {
            DataType::Boolean => "true or false",
            DataType::Int8 => "a TINYINT (-128 to 127)",
            DataType::Int16 => "a SMALLINT (-32768 to 32767)",
            DataType::Int32 => "an INT (-2147483648 to 2147483647)",
            DataType::Int64 => "a BIGINT (-9223372036854775808 to 9223372036854775807)",
            DataType::Float32 => "a FLOAT",
            DataType::Float64 => "a DOUBLE",
            DataType::Decimal128(precision, scale) => {
                return format!("is not a DECIMAL({precision}, {scale})");
            }
            DataType::Utf8 => "a string",
            DataType::Binary => "bytes in base64",
            DataType::Date32 => "a DATE like 2024-01-31",
            DataType::Time32(_) | DataType::Time64(_) => "a TIME like 23:45:00.123",
            DataType::Timestamp(_, None) => {
                "a TIMESTAMP like 2024-01-31 23:45:00.123 (text with a time zone needs TIMESTAMP_LTZ)"
            }
            DataType::Timestamp(_, Some(_)) => "a TIMESTAMP_LTZ like 2024-01-31 23:45:00.123Z",
            DataType::List(_) => "an array",
            DataType::Map(..) | DataType::Struct(_) => "an object",
            _ => "of the column's type",
        };
        format!("is not {wanted}")
    }

    /// The rows as an array; the column is empty then, with room for as many rows again.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, ConnectorError> {
        let rows = self.rows();
        let nulls = take_nulls(&mut self.nulls, rows);
        let data_type = self.field.data_type();
        Ok(match &mut self.values {
            Values::Boolean(v) => {
                let array = BooleanArray::new(BooleanBuffer::from(v.as_slice()), nulls);
                v.clear();
                Arc::new(array)
            }
            Values::Int8(v) => fixed(v, nulls, data_type)?,
            Values::Int16(v) => fixed(v, nulls, data_type)?,
            Values::Int32(v) | Values::Date(v) | Values::Time32(v, _) => fixed(v, nulls, data_type)?,
            Values::Int64(v) | Values::Time64(v, _) | Values::Timestamp(v, _) => fixed(v, nulls, data_type)?,
            Values::Float32(v) => fixed(v, nulls, data_type)?,
            Values::Float64(v) => fixed(v, nulls, data_type)?,
            Values::Decimal { values, .. } => fixed(values, nulls, data_type)?,
            Values::Text(v) => {
                let (offsets, bytes) = v.take();
                Arc::new(StringArray::try_new(offsets, bytes, nulls)?)
            }
            Values::Bytes(v) => {
                let (offsets, bytes) = v.take();
                Arc::new(BinaryArray::try_new(offsets, bytes, nulls)?)
            }
            Values::List { offsets, items } => {
                let DataType::List(item) = data_type else { return Err(unsupported(&self.field)) };
                Arc::new(ListArray::try_new(item.clone(), take_offsets(offsets), items.finish()?, nulls)?)
            }
            Values::Map { offsets, keys, values } => {
                let DataType::Map(entries, ordered) = data_type else { return Err(unsupported(&self.field)) };
                let DataType::Struct(fields) = entries.data_type() else { return Err(unsupported(&self.field)) };
                let pairs = StructArray::try_new(fields.clone(), vec![keys.finish()?, values.finish()?], None)?;
                Arc::new(MapArray::try_new(entries.clone(), take_offsets(offsets), pairs, nulls, *ordered)?)
            }
            Values::Row { rows, columns } => {
                let rows = std::mem::take(rows);
                let DataType::Struct(fields) = data_type else { return Err(unsupported(&self.field)) };
                Arc::new(finish_row(fields, columns, nulls, rows)?)
            }
        })
    }
}

fn finish_row(
    fields: &Fields,
    columns: &mut [Column],
    nulls: Option<NullBuffer>,
    rows: usize,
) -> Result<StructArray, ConnectorError> {
    if columns.is_empty() {
        return Ok(StructArray::new_empty_fields(rows, nulls));
    }
    let arrays = columns.iter_mut().map(Column::finish).collect::<Result<_, _>>()?;
    Ok(StructArray::try_new(fields.clone(), arrays, nulls)?)
}

/// The length of what looks like a number at the start of `bytes`: sign, digits, point, exponent.
#[inline]
fn number_length(bytes: &[u8]) -> Option<usize> {
    let n = bytes.iter().take_while(|b| matches!(b, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E')).count();
    (n > 0).then_some(n)
}

fn push_integer<I: TryFrom<i64>>(values: &mut Vec<I>, text: &[u8]) -> Option<()> {
    values.push(I::try_from(text::integer(text)?).ok()?);
    Some(())
}

fn last(offsets: &[i32]) -> usize {
    offsets.last().map_or(0, |o| *o as usize)
}

fn take_offsets(offsets: &mut Vec<i32>) -> OffsetBuffer<i32> {
    OffsetBuffer::new(std::mem::replace(offsets, vec![0]).into())
}

fn take_nulls(nulls: &mut Vec<u32>, rows: usize) -> Option<NullBuffer> {
    if nulls.is_empty() {
        return None;
    }
    let mut valid = vec![0xffu8; rows.div_ceil(8)];
    nulls.drain(..).for_each(|row| unset_bit(&mut valid, row as usize));
    Some(NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(valid), 0, rows)))
}

fn fixed<T: ArrowNativeType>(
    values: &mut Vec<T>,
    nulls: Option<NullBuffer>,
    data_type: &DataType,
) -> Result<ArrayRef, ConnectorError> {
    let rows = values.len();
    let taken = std::mem::replace(values, Vec::with_capacity(rows));
    let data = ArrayData::builder(data_type.clone()).len(rows).add_buffer(Buffer::from_vec(taken)).nulls(nulls);
    Ok(make_array(data.build()?))
}

fn unsupported(field: &Field) -> ConnectorError {
    ConnectorError::Unsupported {
        message: format!("column {}: text formats cannot hold {}", field.name(), field.data_type()),
        hint: "declare the column as another type, for example STRING, and CAST it".into(),
    }
}
