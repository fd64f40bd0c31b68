//! Which types a format can hold, checked when a table is defined.

use crate::ConnectorError;
use arrow::datatypes::{DataType, Schema};

/// How deep the values of a format's columns may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::format) enum Support {
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
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::Date32 => true,
        DataType::Time32(_) | DataType::Time64(_) | DataType::Timestamp(..) => true,
        _ => false,
    }
}

/// Refuses tables without columns, and columns of types that the format cannot hold.
pub(in crate::format) fn columns_are_supported(
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
