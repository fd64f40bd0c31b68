//! Values of queries over the catalogs: to the columns that clients are sent, and from their parameters.

use super::binary::array;
use crate::wire::Format;
use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array, ListArray, RecordBatch,
    RecordBatchOptions, StringArray, new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use eddyline_engine::{SqlError, arrow};
use eddyline_introspection::{Environment, Error, Row, Type, Value, cast};
use std::collections::HashMap;
use std::sync::Arc;

/// What tells the number of a column's type, where it is not that of its values.
pub(super) const OID: &str = "postgres.oid";
/// `int2vector` and `oidvector`, which are not spelled as arrays are.
pub(super) const VECTORS: [&str; 2] = ["22", "30"];

/// The columns of an answer.
pub(crate) fn schema(columns: &[(String, Type)]) -> SchemaRef {
    let field = |(name, of): &(String, Type)| {
        let field = Field::new(name, stored(of), true);
        match number(of) {
            Some(oid) => field.with_metadata(HashMap::from([(OID.to_owned(), oid.to_string())])),
            None => field,
        }
    };
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// The number of a type that no type of ours has. Names of objects are sent as texts.
fn number(of: &Type) -> Option<u32> {
    match of {
        Type::Char | Type::Name | Type::Oid | Type::Json | Type::Int2Vector | Type::OidVector => Some(of.oid()),
        Type::List(item) => number(item).map(|_| of.oid()),
        _ => None,
    }
}

fn stored(of: &Type) -> DataType {
    match of {
        Type::Bool => DataType::Boolean,
        Type::Int2 => DataType::Int16,
        Type::Int4 | Type::Oid => DataType::Int32,
        Type::Int8 => DataType::Int64,
        Type::Float4 => DataType::Float32,
        Type::Float8 => DataType::Float64,
        Type::Moment => DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))),
        Type::List(item) => list_of(item),
        Type::Int2Vector => list_of(&Type::Int2),
        Type::OidVector => list_of(&Type::Oid),
        _ => DataType::Utf8,
    }
}

fn list_of(item: &Type) -> DataType {
    DataType::List(Arc::new(Field::new("item", stored(item), true)))
}

/// The rows of an answer.
///
/// # Errors
/// An object whose name cannot be told.
pub(crate) fn batch(
    columns: &[(String, Type)],
    rows: &[Row],
    environment: &dyn Environment,
) -> Result<RecordBatch, Error> {
    let column = |(at, (_, of)): (usize, &(String, Type))| {
        let values: Vec<Value> = rows.iter().map(|row| row[at].clone()).collect();
        column(of, &values, environment)
    };
    let arrays = columns.iter().enumerate().map(column).collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(schema(columns), arrays, &options).map_err(|e| Error::new("XX000", e.to_string()))
}

fn column(of: &Type, values: &[Value], environment: &dyn Environment) -> Result<ArrayRef, Error> {
    let int = |value: &Value| value.as_int();
    let float = |value: &Value| match value {
        Value::Float(number) => Some(*number),
        Value::Int(number) => Some(*number as f64),
        _ => None,
    };
    Ok(match of {
        Type::Bool => Arc::new(
            values.iter().map(|v| if let Value::Bool(v) = v { Some(*v) } else { None }).collect::<BooleanArray>(),
        ),
        Type::Int2 => Arc::new(values.iter().map(|v| int(v).map(|n| n as i16)).collect::<Int16Array>()),
        Type::Int4 | Type::Oid => Arc::new(values.iter().map(|v| int(v).map(|n| n as i32)).collect::<Int32Array>()),
        Type::Int8 => Arc::new(values.iter().map(int).collect::<Int64Array>()),
        Type::Float4 => Arc::new(values.iter().map(|v| float(v).map(|n| n as f32)).collect::<Float32Array>()),
        Type::Float8 => Arc::new(values.iter().map(float).collect::<Float64Array>()),
        // Nothing of the catalogs tells one.
        Type::Moment => new_null_array(&stored(of), values.len()),
        Type::List(item) => list(item, values, environment)?,
        Type::Int2Vector => list(&Type::Int2, values, environment)?,
        Type::OidVector => list(&Type::Oid, values, environment)?,
        other => {
            let shown = |value: &Value| match value {
                Value::Null => Ok(None),
                value => cast(value, other, &Type::Text, environment).map(|text| text.as_text().map(str::to_owned)),
            };
            Arc::new(values.iter().map(shown).collect::<Result<StringArray, _>>()?)
        }
    })
}

fn list(item: &Type, values: &[Value], environment: &dyn Environment) -> Result<ArrayRef, Error> {
    let lengths = values.iter().map(|value| value.as_list().map_or(0, <[Value]>::len));
    let offsets = OffsetBuffer::from_lengths(lengths);
    let items: Vec<Value> = values.iter().filter_map(Value::as_list).flatten().cloned().collect();
    let nulls: NullBuffer = values.iter().map(|value| !value.is_null()).collect();
    let field = Arc::new(Field::new("item", stored(item), true));
    let list = ListArray::try_new(field, offsets, column(item, &items, environment)?, Some(nulls));
    Ok(Arc::new(list.map_err(|e| Error::new("XX000", e.to_string()))?))
}

/// The value of a parameter. Texts are cast where they are used.
///
/// # Errors
/// Bytes that are no value of the type.
pub(crate) fn value(at: usize, of: &Type, format: Format, bytes: Option<&[u8]>) -> Result<Value, SqlError> {
    let wrong = || SqlError::new("22P03", format!("parameter ${at} is no value of its type"));
    let Some(bytes) = bytes else { return Ok(Value::Null) };
    match format {
        Format::Text => std::str::from_utf8(bytes).map(Value::text).map_err(|_| wrong()),
        Format::Binary => of_binary(of, bytes).ok_or_else(wrong),
    }
}

fn of_binary(of: &Type, bytes: &[u8]) -> Option<Value> {
    Some(match of {
        Type::Bool => (array::<1>(bytes)?[0] != 0).into(),
        Type::Int2 => i32::from(i16::from_be_bytes(array(bytes)?)).into(),
        Type::Int4 => i32::from_be_bytes(array(bytes)?).into(),
        Type::Int8 => i64::from_be_bytes(array(bytes)?).into(),
        Type::Float4 => Value::Float(f32::from_be_bytes(array(bytes)?).into()),
        Type::Float8 => Value::Float(f64::from_be_bytes(array(bytes)?)),
        Type::Oid | Type::Regclass | Type::Regtype | Type::Regproc | Type::Regnamespace | Type::Regrole => {
            u32::from_be_bytes(array(bytes)?).into()
        }
        Type::List(item) => Value::list(
            super::binary::items(bytes)?
                .1
                .into_iter()
                .map(|value| match value {
                    None => Some(Value::Null),
                    Some(bytes) => of_binary(item, bytes),
                })
                .collect::<Option<Vec<_>>>()?,
        ),
        Type::Text | Type::Name | Type::Char | Type::Json => Value::text(std::str::from_utf8(bytes).ok()?),
        _ => return None,
    })
}
