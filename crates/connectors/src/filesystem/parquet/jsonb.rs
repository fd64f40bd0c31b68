//! JSONB in Parquet files is a text; a file that somebody else has written may hold any text.

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray};
use arrow::datatypes::DataType;
use eddyline_json::{NotJson, jsonb_column};
use std::sync::Arc;

/// The column with all JSONB in it brought to its one form.
///
/// # Errors
/// The first text that is no JSON.
pub(super) fn in_one_form(column: &ArrayRef) -> Result<ArrayRef, String> {
    Ok(match column.data_type() {
        DataType::LargeUtf8 => {
            let texts = column.as_string::<i64>();
            Arc::new(jsonb_column(texts).map_err(|NotJson(row)| texts.value(row).to_owned())?)
        }
        DataType::List(item) => {
            let list = column.as_list::<i32>();
            let items = in_one_form(list.values())?;
            Arc::new(ListArray::new(item.clone(), list.offsets().clone(), items, list.nulls().cloned()))
        }
        DataType::Struct(fields) if !fields.is_empty() => Arc::new(row_in_one_form(column.as_struct())?),
        DataType::Map(entries, is_ordered) => {
            let map = column.as_map();
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            Arc::new(MapArray::new(entries.clone(), offsets, row_in_one_form(map.entries())?, nulls, *is_ordered))
        }
        _ => Arc::clone(column),
    })
}

fn row_in_one_form(row: &StructArray) -> Result<StructArray, String> {
    let columns = row.columns().iter().map(in_one_form).collect::<Result<_, _>>()?;
    Ok(StructArray::new(row.fields().clone(), columns, row.nulls().cloned()))
}
