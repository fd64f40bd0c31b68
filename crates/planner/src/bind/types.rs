use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion_common::Result;
use datafusion_expr::planner::TypePlanner;
use sqlparser::ast::{DataType as SqlType, TimezoneInfo};
use std::sync::Arc;

/// SQL types where ours differ from DataFusion's: strings are plain, times have the precision they were given.
#[derive(Debug)]
pub(crate) struct SqlTypes;

impl TypePlanner for SqlTypes {
    fn plan_type_field(&self, sql_type: &SqlType) -> Result<Option<FieldRef>> {
        Ok(data_type(sql_type).map(|t| Arc::new(Field::new("", t, true))))
    }
}

fn data_type(sql_type: &SqlType) -> Option<DataType> {
    Some(match sql_type {
        SqlType::Timestamp(precision, zone) => {
            let zone = match zone {
                TimezoneInfo::None | TimezoneInfo::WithoutTimeZone => None,
                _ => Some("UTC".into()),
            };
            DataType::Timestamp(unit(precision.unwrap_or(6)), zone)
        }
        SqlType::Custom(name, arguments) if name.to_string().eq_ignore_ascii_case("timestamp_ltz") => {
            let precision = arguments.first().and_then(|a| a.parse().ok()).unwrap_or(6);
            DataType::Timestamp(unit(precision), Some("UTC".into()))
        }
        SqlType::Time(precision, _) => match unit(precision.unwrap_or(0)) {
            unit @ (TimeUnit::Second | TimeUnit::Millisecond) => DataType::Time32(unit),
            unit => DataType::Time64(unit),
        },
        SqlType::Varbinary(_) | SqlType::Binary(_) | SqlType::Bytes(_) | SqlType::Bytea => DataType::Binary,
        _ => return None,
    })
}

fn unit(precision: u64) -> TimeUnit {
    match precision {
        0 => TimeUnit::Second,
        1..=3 => TimeUnit::Millisecond,
        4..=6 => TimeUnit::Microsecond,
        _ => TimeUnit::Nanosecond,
    }
}
