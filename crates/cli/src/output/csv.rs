//! Results as CSV (RFC 4180 with `\n`): a header, NULL as an empty field, the empty text as `""`.

use super::cell::{Cells, shown};
use super::{RowWriter, Rows};
use eddyline_engine::arrow::datatypes::SchemaRef;
use std::io::{self, Write};

/// Writes rows as they come.
pub(crate) struct CsvRows {
    schema: SchemaRef,
    zone: String,
    with_op: bool,
    begun: bool,
}

impl CsvRows {
    /// CSV of rows of `schema`; `with_op` puts a column `op` in front.
    pub(crate) fn new(schema: SchemaRef, zone: &str, with_op: bool) -> Self {
        Self { schema, zone: zone.to_owned(), with_op, begun: false }
    }

    fn header(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        let op = self.with_op.then_some("op");
        let names = op.into_iter().chain(self.schema.fields().iter().map(|f| f.name().as_str()));
        let mut line = String::new();
        for (at, name) in names.enumerate() {
            if at > 0 {
                line.push(',');
            }
            let start = line.len();
            line.push_str(name);
            quote_from(&mut line, start);
        }
        writeln!(out, "{line}")
    }
}

impl RowWriter for CsvRows {
    fn write(&mut self, out: &mut dyn Write, rows: Rows<'_>) -> io::Result<()> {
        self.header(out)?;
        let columns = shown(rows.batch, &self.zone)?;
        let cells = columns.iter().map(Cells::new).collect::<io::Result<Vec<_>>>()?;
        let mut line = String::new();
        for (row, kind) in rows.each() {
            line.clear();
            if self.with_op {
                line.push_str(kind.map_or("+I", |k| k.short()));
                line.push(',');
            }
            for (at, cell) in cells.iter().enumerate() {
                if at > 0 {
                    line.push(',');
                }
                if !cell.is_null(row) {
                    let start = line.len();
                    cell.append(row, &mut line)?;
                    quote_from(&mut line, start);
                }
            }
            line.push('\n');
            out.write_all(line.as_bytes())?;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.header(out)
    }
}

/// Puts the field that begins at `start` in quotes where it needs them.
fn quote_from(line: &mut String, start: usize) {
    let field = &line[start..];
    if field.is_empty() || field.contains([',', '"', '\n', '\r']) {
        let quoted = format!("\"{}\"", field.replace('"', "\"\""));
        line.truncate(start);
        line.push_str(&quoted);
    }
}
