//! Columns while they are filled: text goes straight in, an Arrow array comes out.
//!
//! Unlike Arrow's builders these can take rows back ([`Column::truncate`]), which is how a row that fails half-way is
//! left out, and they remember NULLs as a list of rows, which costs nothing where there are none.

mod finish;
mod parse;
mod support;

pub(super) use support::{Support, columns_are_supported};

use super::text::Timestamps;
use crate::ConnectorError;
use arrow::array::timezone::Tz;
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use base64::engine::general_purpose::STANDARD as BASE64;
use std::str::FromStr;

/// A column that grows by a value per row.
pub(in crate::format) struct Column {
    field: FieldRef,
    nulls: Vec<u32>,
    /// Is NULL taken, though the column be NOT NULL?
    is_lenient: bool,
    pub(in crate::format) values: Values,
}

/// The values of a column; NULL has a value of no meaning.
pub(in crate::format) enum Values {
    Boolean(Vec<bool>),
    Int8(Vec<i8>),
    Int16(Vec<i16>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Decimal {
        values: Vec<i128>,
        precision: u8,
        scale: i8,
    },
    Text(Slices),
    /// JSONB, in its one form.
    Json {
        texts: Slices,
        strings: JsonStrings,
    },
    Bytes(Slices),
    Date(Vec<i32>),
    Time32(Vec<i32>, TimeUnit),
    Time64(Vec<i64>, TimeUnit),
    Timestamp(Vec<i64>, Timestamps),
    List {
        offsets: Vec<i32>,
        items: Box<Column>,
    },
    Map {
        offsets: Vec<i32>,
        keys: Box<Column>,
        values: Box<Column>,
    },
    Row {
        rows: usize,
        columns: Vec<Column>,
    },
}

/// What a string of a JSON file is in a column of JSONB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::format) enum JsonStrings {
    /// JSON as it stands, as all other values are.
    Values,
    /// A text that holds JSON.
    Texts,
}

/// Byte strings one behind the other. Blocks are below 2 GiB, and so is what is decoded from one.
pub(in crate::format) struct Slices {
    ends: Vec<i32>,
    bytes: Vec<u8>,
}

impl Slices {
    fn new() -> Self {
        Self { ends: vec![0], bytes: Vec::new() }
    }

    #[inline]
    pub(in crate::format) fn push(&mut self, bytes: &[u8]) {
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

    /// The last string; empty without any.
    pub(in crate::format) fn last(&self) -> &[u8] {
        match self.ends[..] {
            [.., from, to] => &self.bytes[from as usize..to as usize],
            _ => &[],
        }
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

/// The refusal of NULL.
pub(in crate::format) const NULL_REFUSED: &str = "NULL in a NOT NULL column";

/// Why a text is no value of a column.
pub(in crate::format) type Refusal = String;

impl Column {
    /// An empty column. TIMESTAMP_LTZ text without an offset is in `time_zone`.
    ///
    /// # Errors
    /// A type that text formats cannot hold, or an unknown time zone.
    pub(in crate::format) fn new(field: &FieldRef, time_zone: &str) -> Result<Self, ConnectorError> {
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
            DataType::LargeUtf8 => Values::Json { texts: Slices::new(), strings: JsonStrings::Values },
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
        Ok(Self { field: field.clone(), nulls: Vec::new(), is_lenient: false, values })
    }

    /// The same column taking NULL even where it is NOT NULL: a place-holder stands for it, and somebody else finds out
    /// ([`is_last_null`](Self::is_last_null)) whether that will do.
    pub(in crate::format) fn lenient(mut self) -> Self {
        self.is_lenient = true;
        self
    }

    /// The same column with strings of JSON files taken for JSONB as told, also in what it holds.
    pub(in crate::format) fn with_json_strings(mut self, wanted: JsonStrings) -> Self {
        let same = |column: Box<Column>| Box::new(column.with_json_strings(wanted));
        self.values = match self.values {
            Values::Json { texts, .. } => Values::Json { texts, strings: wanted },
            Values::List { offsets, items } => Values::List { offsets, items: same(items) },
            Values::Map { offsets, keys, values } => Values::Map { offsets, keys: same(keys), values: same(values) },
            Values::Row { rows, columns } => {
                Values::Row { rows, columns: columns.into_iter().map(|c| c.with_json_strings(wanted)).collect() }
            }
            scalar => scalar,
        };
        self
    }

    /// Is the last row NULL?
    pub(in crate::format) fn is_last_null(&self) -> bool {
        self.nulls.last().is_some_and(|n| *n as usize + 1 == self.rows())
    }

    pub(in crate::format) fn name(&self) -> &str {
        self.field.name()
    }

    pub(in crate::format) fn data_type(&self) -> &DataType {
        self.field.data_type()
    }

    pub(in crate::format) fn rows(&self) -> usize {
        match &self.values {
            Values::Boolean(v) => v.len(),
            Values::Int8(v) => v.len(),
            Values::Int16(v) => v.len(),
            Values::Int32(v) | Values::Date(v) | Values::Time32(v, _) => v.len(),
            Values::Int64(v) | Values::Time64(v, _) | Values::Timestamp(v, _) => v.len(),
            Values::Float32(v) => v.len(),
            Values::Float64(v) => v.len(),
            Values::Decimal { values, .. } => values.len(),
            Values::Text(v) | Values::Bytes(v) | Values::Json { texts: v, .. } => v.ends.len() - 1,
            Values::List { offsets, .. } | Values::Map { offsets, .. } => offsets.len() - 1,
            Values::Row { rows, .. } => *rows,
        }
    }

    /// Takes back all rows behind the first `rows`, also half a row in a nested column.
    pub(in crate::format) fn truncate(&mut self, rows: usize) {
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
            Values::Text(v) | Values::Bytes(v) | Values::Json { texts: v, .. } => {
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
    pub(in crate::format) fn append_null(&mut self) -> Result<(), Refusal> {
        if !self.field.is_nullable() && !self.is_lenient {
            return Err(NULL_REFUSED.into());
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
            Values::Text(v) | Values::Bytes(v) | Values::Json { texts: v, .. } => v.push(b""),
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
}

fn last(offsets: &[i32]) -> usize {
    offsets.last().map_or(0, |o| *o as usize)
}

fn unsupported(field: &Field) -> ConnectorError {
    ConnectorError::Unsupported {
        message: format!("column {}: text formats cannot hold {}", field.name(), field.data_type()),
        hint: "declare the column as another type, for example STRING, and CAST it".into(),
    }
}
