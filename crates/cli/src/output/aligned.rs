//! A changelog for people: a line per change, in columns that grow when they must.

use super::cell::{Cells, blanks, shown, sides};
use super::{RowWriter, Rows};
use eddyline_engine::arrow::datatypes::SchemaRef;
use std::io::{self, Write};
use unicode_width::UnicodeWidthStr;

/// Writes `op | column | column` lines as changes come.
pub(crate) struct AlignedRows {
    schema: SchemaRef,
    zone: String,
    widths: Vec<usize>,
    begun: bool,
}

impl AlignedRows {
    /// A changelog of rows of `schema`.
    pub(crate) fn new(schema: SchemaRef, zone: &str) -> Self {
        let widths = schema.fields().iter().map(|f| f.name().width()).collect();
        Self { schema, zone: zone.to_owned(), widths, begun: false }
    }

    fn header(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        write!(out, "op")?;
        for (field, width) in self.schema.fields().iter().zip(&self.widths) {
            let (left, right) = sides(width - field.name().width(), field);
            write!(out, " | ")?;
            blanks(out, left)?;
            write!(out, "{}", field.name())?;
            blanks(out, right)?;
        }
        writeln!(out)
    }
}

impl RowWriter for AlignedRows {
    fn write(&mut self, out: &mut dyn Write, rows: Rows<'_>) -> io::Result<()> {
        let columns = shown(rows.batch, &self.zone)?;
        let cells = columns.iter().map(Cells::new).collect::<io::Result<Vec<_>>>()?;
        let mut text = String::new();
        for (row, _) in rows.each() {
            for (cell, width) in cells.iter().zip(&mut self.widths) {
                text.clear();
                cell.append_on_a_line(row, &mut text)?;
                *width = (*width).max(text.width());
            }
        }
        self.header(out)?;
        for (row, kind) in rows.each() {
            write!(out, "{}", kind.map_or("+I", |k| k.short()))?;
            for ((cell, width), field) in cells.iter().zip(&self.widths).zip(self.schema.fields()) {
                text.clear();
                cell.append_on_a_line(row, &mut text)?;
                let (left, right) = sides(width - text.width(), field);
                write!(out, " | ")?;
                blanks(out, left)?;
                write!(out, "{text}")?;
                blanks(out, right)?;
            }
            writeln!(out)?;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.header(out)
    }
}
