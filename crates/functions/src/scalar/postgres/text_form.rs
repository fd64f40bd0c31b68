//! The text of values as Postgres writes it: what `value::text` gives, and `||` puts together.

use super::super::Zone;
use super::super::call::{Call, Definition, Kind, Page, Returns, Type, texts};
use super::text;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Float32Type, Float64Type, IntervalMonthDayNanoType, IntervalUnit, Time64MicrosecondType,
    TimeUnit, TimestampMicrosecondType,
};
use datafusion_common::Result;
use std::fmt::Write;

pub(in super::super) static TEXT_FORM: Definition = Definition {
    name: "text_form",
    aliases: &[],
    args: &[&[Kind::Any]],
    variadic: false,
    returns: Returns::Type(Type::Text),
    body: text_form,
    page: Page { signature: "value::text", result: "STRING", text: "", example: ("", "") },
};

fn text_form(call: &Call) -> Result<ArrayRef> {
    text_of(&call.column(0)?, call.zone)
}

/// The texts of a column.
pub(super) fn text_of(column: &ArrayRef, zone: Zone) -> Result<ArrayRef> {
    if let DataType::Boolean = column.data_type() {
        let values = column.as_boolean();
        return texts(column.len(), |row, out| {
            Ok(column.is_valid(row) && out.write_str(if values.value(row) { "true" } else { "false" }).is_ok())
        });
    }
    let writer = writer(column, zone)?;
    texts(column.len(), |row, out| Ok(column.is_valid(row) && writer(row, out).is_ok()))
}

/// Writes the value of a row that is not NULL.
type Writer = Box<dyn Fn(usize, &mut dyn Write) -> std::fmt::Result>;

fn writer(column: &ArrayRef, zone: Zone) -> Result<Writer> {
    let micros = TimeUnit::Microsecond;
    let to = |to: DataType| cast(column, &to);
    Ok(match column.data_type() {
        DataType::Boolean => {
            let values = column.as_boolean().clone();
            Box::new(move |row, out| out.write_str(if values.value(row) { "t" } else { "f" }))
        }
        DataType::Float32 => {
            let values = column.as_primitive::<Float32Type>().clone();
            Box::new(move |row, mut out| text::float(&mut out, &format!("{:e}", values.value(row)), 6))
        }
        DataType::Float64 => {
            let values = column.as_primitive::<Float64Type>().clone();
            Box::new(move |row, mut out| text::float(&mut out, &format!("{:e}", values.value(row)), 15))
        }
        DataType::Binary => {
            let values = column.as_binary::<i32>().clone();
            Box::new(move |row, mut out| text::bytes(&mut out, values.value(row)))
        }
        DataType::Date32 => {
            let values = column.as_primitive::<Date32Type>().clone();
            Box::new(move |row, mut out| text::date(&mut out, values.value(row)))
        }
        DataType::Time32(_) | DataType::Time64(_) => {
            let values = to(DataType::Time64(micros))?.as_primitive::<Time64MicrosecondType>().clone();
            Box::new(move |row, mut out| text::time(&mut out, values.value(row)))
        }
        DataType::Timestamp(_, None) => {
            let values = to(DataType::Timestamp(micros, None))?.as_primitive::<TimestampMicrosecondType>().clone();
            Box::new(move |row, mut out| text::timestamp(&mut out, values.value(row)))
        }
        DataType::Timestamp(_, Some(_)) => {
            let utc = to(DataType::Timestamp(micros, Some("UTC".into())))?;
            let values = utc.as_primitive::<TimestampMicrosecondType>().clone();
            let ahead = move |seconds: i64| zone.offset_seconds(seconds) as i32;
            Box::new(move |row, mut out| text::moment(&mut out, values.value(row), |utc| ahead(utc.timestamp())))
        }
        DataType::Interval(_) => {
            let all = to(DataType::Interval(IntervalUnit::MonthDayNano))?;
            let values = all.as_primitive::<IntervalMonthDayNanoType>().clone();
            Box::new(move |row, mut out| text::interval(&mut out, values.value(row)))
        }
        DataType::List(_) => {
            let lists = column.as_list::<i32>().clone();
            let (items, item) = (lists.values().clone(), writer(lists.values(), zone)?);
            let are_lists = matches!(items.data_type(), DataType::List(_));
            Box::new(move |row, mut out| {
                let range = lists.value_offsets()[row] as usize..lists.value_offsets()[row + 1] as usize;
                text::list(&mut out, are_lists, range.map(|at| nested(&items, &item, at)))
            })
        }
        DataType::Struct(_) => {
            let fields = column.as_struct().columns().to_vec();
            let writers = fields.iter().map(|field| writer(field, zone)).collect::<Result<Vec<_>>>()?;
            Box::new(move |row, mut out| {
                text::record(&mut out, fields.iter().zip(&writers).map(|(field, of)| nested(field, of, row)))
            })
        }
        _ => {
            let values = super::super::text_form::text_of(column, zone)?.as_string::<i32>().clone();
            Box::new(move |row, out| out.write_str(values.value(row)))
        }
    })
}

fn nested(column: &ArrayRef, writer: &Writer, row: usize) -> Option<String> {
    let mut out = String::new();
    // Writing into memory cannot fail.
    (column.is_valid(row) && !column.data_type().is_null()).then(|| writer(row, &mut out).ok())?;
    Some(out)
}
