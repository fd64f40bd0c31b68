//! Types and values as Postgres clients know them.
//!
//! | here | Postgres |
//! |---|---|
//! | BOOLEAN | `bool` |
//! | TINYINT, SMALLINT | `int2` |
//! | INT, BIGINT | `int4`, `int8` |
//! | FLOAT, DOUBLE | `float4`, `float8` |
//! | DECIMAL(p, s) | `numeric` |
//! | CHAR, VARCHAR, STRING | `text` |
//! | BYTES | `bytea` |
//! | DATE, TIME | `date`, `time` |
//! | TIMESTAMP, TIMESTAMP_LTZ | `timestamp`, `timestamptz`, to the microsecond |
//! | INTERVAL | `interval`, to the microsecond |
//! | JSONB | `jsonb` |
//! | ARRAY of those | arrays of those |
//! | ROW | `record` |
//! | MAP and what has no type of Postgres | `text` |
//!
//! Not here: messages.

mod binary;
pub(crate) mod catalog;
mod cells;
mod parameter;
#[cfg(test)]
mod tests;

pub(crate) use cells::Cells;
pub(crate) use parameter::{parameter, unescaped as unescaped_bytes};

use crate::wire::backend::Field;
use arrow::datatypes::{DataType, Schema, TimeUnit};
use eddyline_engine::arrow;
use eddyline_engine::postgres_text as text;
use eddyline_introspection::Type;
use std::sync::Arc;

pub(crate) const BOOL: u32 = 16;
pub(crate) const BYTEA: u32 = 17;
pub(crate) const INT8: u32 = 20;
pub(crate) const INT2: u32 = 21;
pub(crate) const INT4: u32 = 23;
pub(crate) const TEXT: u32 = 25;
pub(crate) const FLOAT4: u32 = 700;
pub(crate) const FLOAT8: u32 = 701;
pub(crate) const DATE: u32 = 1082;
pub(crate) const TIME: u32 = 1083;
pub(crate) const TIMESTAMP: u32 = 1114;
pub(crate) const TIMESTAMPTZ: u32 = 1184;
pub(crate) const INTERVAL: u32 = 1186;
pub(crate) const NUMERIC: u32 = 1700;
/// A text here.
pub(crate) const UUID: u32 = 2950;
const UUID_ARRAY: u32 = 2951;
pub(crate) const RECORD: u32 = 2249;
pub(crate) const JSONB: u32 = 3802;
/// Types that are texts here.
const OTHER_TEXTS: [u32; 7] = [18, 19, 114, 705, 1042, 1043, UUID];

/// Types of items, and of their arrays.
const ARRAYS: [(u32, u32); 16] = [
    (BOOL, 1000),
    (BYTEA, 1001),
    (INT2, 1005),
    (INT4, 1007),
    (TEXT, 1009),
    (INT8, 1016),
    (FLOAT4, 1021),
    (FLOAT8, 1022),
    (TIMESTAMP, 1115),
    (DATE, 1182),
    (TIME, 1183),
    (TIMESTAMPTZ, 1185),
    (INTERVAL, 1187),
    (NUMERIC, 1231),
    (RECORD, 2287),
    (JSONB, 3807),
];

/// Arrays of what are texts here.
const TEXT_ARRAYS: [(u32, u32); 5] = [(19, 1003), (114, 199), (1042, 1014), (1043, 1015), (UUID, UUID_ARRAY)];

/// The type that a client is told.
pub(crate) fn oid(data_type: &DataType) -> u32 {
    match data_type {
        DataType::Boolean => BOOL,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => INT2,
        DataType::Int32 | DataType::UInt16 => INT4,
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => INT8,
        DataType::Float32 => FLOAT4,
        DataType::Float64 => FLOAT8,
        DataType::Decimal128(..) => NUMERIC,
        DataType::Binary => BYTEA,
        DataType::LargeUtf8 => JSONB,
        DataType::Date32 => DATE,
        DataType::Time32(_) | DataType::Time64(_) => TIME,
        DataType::Timestamp(_, None) => TIMESTAMP,
        DataType::Timestamp(_, Some(_)) => TIMESTAMPTZ,
        DataType::Interval(_) => INTERVAL,
        DataType::Struct(_) => RECORD,
        DataType::List(item) => {
            let item = oid(item.data_type());
            ARRAYS.iter().find(|(of, _)| *of == item).map_or(TEXT, |(_, array)| *array)
        }
        _ => TEXT,
    }
}

/// The type that a client means. `None`: it leaves that to us, or there is none of it here.
pub(crate) fn data_type(oid: u32) -> Option<DataType> {
    Some(match oid {
        BOOL => DataType::Boolean,
        INT2 => DataType::Int16,
        INT4 => DataType::Int32,
        INT8 => DataType::Int64,
        FLOAT4 => DataType::Float32,
        FLOAT8 => DataType::Float64,
        NUMERIC => DataType::Decimal128(38, 10),
        TEXT | 18 | 19 | 114 | 1042 | 1043 | UUID => DataType::Utf8,
        JSONB => DataType::LargeUtf8,
        BYTEA => DataType::Binary,
        DATE => DataType::Date32,
        TIME => DataType::Time64(TimeUnit::Microsecond),
        TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))),
        INTERVAL => DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano),
        list => {
            let (item, _) =
                ARRAYS.iter().chain(&TEXT_ARRAYS).find(|(item, array)| *array == list && *item != RECORD)?;
            DataType::List(Arc::new(arrow::datatypes::Field::new("item", data_type(*item)?, true)))
        }
    })
}

/// Is this a type, or none at all (0), that a parameter may be declared to have?
pub(crate) fn is_known(oid: u32) -> bool {
    oid == 0 || data_type(oid).is_some() || OTHER_TEXTS.contains(&oid) || Type::of_oid(oid).is_some()
}

/// The columns of a result.
pub(crate) fn fields(schema: &Schema) -> Vec<Field> {
    let field = |field: &Arc<arrow::datatypes::Field>| {
        let told = field.metadata().get(catalog::OID).and_then(|oid| oid.parse().ok());
        let oid = told.unwrap_or_else(|| oid(field.data_type()));
        Field { name: field.name().clone(), oid, size: size(oid), modifier: modifier(field.data_type()) }
    };
    schema.fields().iter().map(field).collect()
}

fn size(oid: u32) -> i16 {
    match oid {
        BOOL => 1,
        18 => 1,
        19 => 64,
        INT2 => 2,
        26 | INT4 | FLOAT4 | DATE => 4,
        INT8 | FLOAT8 | TIME | TIMESTAMP | TIMESTAMPTZ => 8,
        INTERVAL => 16,
        _ => -1,
    }
}

/// What is added to a type: precision and scale of a number; -1 is nothing.
pub(crate) fn modifier(data_type: &DataType) -> i32 {
    match data_type {
        DataType::Decimal128(precision, scale) => ((i32::from(*precision) << 16) | i32::from(*scale)) + 4,
        _ => -1,
    }
}
