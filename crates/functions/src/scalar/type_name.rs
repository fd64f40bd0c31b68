//! The names of types in SQL, and `TYPEOF`.

use super::call::{Call, Definition, Kind, Page, Returns, Type, texts};
use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, TimeUnit};
use datafusion_common::Result;
use std::fmt::Write;

pub(super) const FUNCTIONS: &[Definition] = &[Definition {
    name: "typeof",
    aliases: &[],
    args: &[&[Kind::Any]],
    variadic: false,
    returns: Returns::Type(Type::Text),
    body: type_of,
    page: Page {
        signature: "TYPEOF(value)",
        result: "STRING",
        text: "The type of the value, with NOT NULL where it cannot be NULL. Lengths of strings and bytes are not kept.",
        example: ("TYPEOF(CAST(1 AS BIGINT))", "BIGINT NOT NULL"),
    },
}];

fn type_of(call: &Call) -> Result<ArrayRef> {
    let suffix = if call.is_nullable(0) { "" } else { " NOT NULL" };
    let name = format!("{}{suffix}", type_name(call.raw(0).0.data_type()));
    texts(call.rows, |_, out| Ok(out.write_str(&name).is_ok()))
}

/// The name of a type in SQL.
pub(super) fn type_name(data_type: &DataType) -> String {
    let digits = |unit: &TimeUnit| match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    };
    match data_type {
        DataType::Null => "NULL".into(),
        DataType::Boolean => "BOOLEAN".into(),
        DataType::Int8 => "TINYINT".into(),
        DataType::Int16 => "SMALLINT".into(),
        DataType::Int32 => "INT".into(),
        DataType::Int64 => "BIGINT".into(),
        DataType::Float32 => "FLOAT".into(),
        DataType::Float64 => "DOUBLE".into(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        DataType::Utf8 | DataType::Utf8View => "STRING".into(),
        DataType::LargeUtf8 => "JSONB".into(),
        DataType::Binary => "BYTES".into(),
        DataType::Date32 => "DATE".into(),
        DataType::Time32(unit) | DataType::Time64(unit) => format!("TIME({})", digits(unit)),
        DataType::Timestamp(unit, None) => format!("TIMESTAMP({})", digits(unit)),
        DataType::Timestamp(unit, Some(_)) => format!("TIMESTAMP_LTZ({})", digits(unit)),
        DataType::Interval(_) | DataType::Duration(_) => "INTERVAL".into(),
        DataType::List(item) => format!("ARRAY<{}>", type_name(item.data_type())),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(kv) if kv.len() == 2 => {
                format!("MAP<{}, {}>", type_name(kv[0].data_type()), type_name(kv[1].data_type()))
            }
            other => other.to_string(),
        },
        DataType::Struct(fields) => {
            let field = |f: &arrow::datatypes::FieldRef| format!("`{}` {}", f.name(), type_name(f.data_type()));
            format!("ROW<{}>", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}
