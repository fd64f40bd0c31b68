//! Results as JSON lines. Numbers are JSON numbers with all their digits, times and bytes are text, NULL is null.

use super::cell::{Cells, localized};
use super::{RowWriter, Rows};
use eddyline_engine::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use eddyline_engine::arrow::datatypes::{DataType, FieldRef, Fields};
use std::io::{self, Write};

/// Writes an object per row as rows come; of changes with a first field `op`.
pub(crate) struct JsonRows {
    zone: String,
}

impl JsonRows {
    /// Times in `zone`.
    pub(crate) fn new(zone: &str) -> Self {
        Self { zone: zone.to_owned() }
    }
}

impl RowWriter for JsonRows {
    fn write(&mut self, out: &mut dyn Write, rows: Rows<'_>) -> io::Result<()> {
        let columns = localized(rows.batch, &self.zone)?;
        let object = RowObjects::new(rows.batch, &columns)?;
        let mut line = String::new();
        for (row, kind) in rows.each() {
            line.clear();
            line.push('{');
            if let Some(kind) = kind {
                line.push_str("\"op\":\"");
                line.push_str(kind.short());
                line.push_str("\",");
            }
            object.append_fields(row, &mut line)?;
            line.push_str("}\n");
            out.write_all(line.as_bytes())?;
        }
        Ok(())
    }
}

/// Writes an event per row: `{"event":"row","row":{…}}`, `{"event":"change","op":"+U","row":{…}}`.
pub(crate) struct EventRows {
    zone: String,
}

impl EventRows {
    /// Times in `zone`.
    pub(crate) fn new(zone: &str) -> Self {
        Self { zone: zone.to_owned() }
    }
}

impl RowWriter for EventRows {
    fn write(&mut self, out: &mut dyn Write, rows: Rows<'_>) -> io::Result<()> {
        let columns = localized(rows.batch, &self.zone)?;
        let object = RowObjects::new(rows.batch, &columns)?;
        let mut line = String::new();
        for (row, kind) in rows.each() {
            line.clear();
            match kind {
                Some(kind) => line.push_str(&format!("{{\"event\":\"change\",\"op\":\"{}\",\"row\":{{", kind.short())),
                None => line.push_str("{\"event\":\"row\",\"row\":{"),
            }
            object.append_fields(row, &mut line)?;
            line.push_str("}}\n");
            out.write_all(line.as_bytes())?;
        }
        Ok(())
    }
}

/// The columns of a batch, each ready to write its values.
struct RowObjects<'a> {
    names: Vec<String>,
    columns: Vec<(&'a ArrayRef, Option<Cells<'a>>)>,
}

impl<'a> RowObjects<'a> {
    fn new(batch: &RecordBatch, columns: &'a [ArrayRef]) -> io::Result<Self> {
        let names = batch.schema().fields().iter().map(|f| json_text(f.name())).collect();
        let ready = |c: &'a ArrayRef| match c.data_type().is_nested() || *c.data_type() == DataType::Boolean {
            true => Ok((c, None)),
            false => Ok((c, Some(Cells::new(c)?))),
        };
        Ok(Self { names, columns: columns.iter().map(ready).collect::<io::Result<_>>()? })
    }

    fn append_fields(&self, row: usize, to: &mut String) -> io::Result<()> {
        for (at, (name, (column, cells))) in self.names.iter().zip(&self.columns).enumerate() {
            if at > 0 {
                to.push(',');
            }
            to.push_str(name);
            to.push(':');
            match cells {
                Some(cells) => append_scalar(cells, column, row, to)?,
                None => append_value(column, row, to)?,
            }
        }
        Ok(())
    }
}

/// Of nothing but NULLs no cell is marked.
fn is_null(column: &ArrayRef, row: usize) -> bool {
    column.data_type().is_null() || column.is_null(row)
}

/// A text as JSON, with its quotes.
fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn append_value(column: &ArrayRef, row: usize, to: &mut String) -> io::Result<()> {
    if is_null(column, row) {
        to.push_str("null");
        return Ok(());
    }
    match column.data_type() {
        DataType::List(_) => append_list(&column.as_list::<i32>().value(row), to),
        DataType::Struct(fields) => append_struct(fields, column.as_struct().columns(), row, to),
        DataType::Map(_, _) => append_map(column.as_map().value(row).columns(), to),
        DataType::Boolean => {
            to.push_str(if column.as_boolean().value(row) { "true" } else { "false" });
            Ok(())
        }
        _ => append_scalar(&Cells::new(column)?, column, row, to),
    }
}

fn append_scalar(cells: &Cells<'_>, column: &ArrayRef, row: usize, to: &mut String) -> io::Result<()> {
    if is_null(column, row) {
        to.push_str("null");
        return Ok(());
    }
    let start = to.len();
    cells.append(row, to)?;
    // NaN and infinities are no JSON numbers.
    let bare = column.data_type().is_numeric() && !to[start..].contains(['N', 'i']);
    if !bare {
        let text = json_text(&to[start..]);
        to.truncate(start);
        to.push_str(&text);
    }
    Ok(())
}

fn append_list(items: &ArrayRef, to: &mut String) -> io::Result<()> {
    to.push('[');
    for item in 0..items.len() {
        if item > 0 {
            to.push(',');
        }
        append_value(items, item, to)?;
    }
    to.push(']');
    Ok(())
}

fn append_struct(fields: &Fields, columns: &[ArrayRef], row: usize, to: &mut String) -> io::Result<()> {
    to.push('{');
    for (at, (field, column)) in fields.iter().zip(columns).enumerate() {
        let field: &FieldRef = field;
        to.push_str(&format!("{}{}:", if at > 0 { "," } else { "" }, json_text(field.name())));
        append_value(column, row, to)?;
    }
    to.push('}');
    Ok(())
}

fn append_map(entries: &[ArrayRef], to: &mut String) -> io::Result<()> {
    let [keys, values] = entries else { return Err(io::Error::other("a map without keys and values")) };
    let key_cells = Cells::new(keys)?;
    to.push('{');
    for entry in 0..keys.len() {
        let mut key = String::new();
        key_cells.append(entry, &mut key)?;
        to.push_str(&format!("{}{}:", if entry > 0 { "," } else { "" }, json_text(&key)));
        append_value(values, entry, to)?;
    }
    to.push('}');
    Ok(())
}
