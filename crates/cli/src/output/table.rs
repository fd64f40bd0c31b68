//! A finished result in a frame.

use super::cell::{Cells, blanks, shown, sides};
use super::{RowWriter, Rows};
use eddyline_engine::arrow::array::{ArrayRef, RecordBatch};
use eddyline_engine::arrow::datatypes::SchemaRef;
use std::io::{self, Write};
use unicode_width::UnicodeWidthStr;

/// Keeps all rows, then writes them in a frame with a footer.
pub(crate) struct TableRows {
    schema: SchemaRef,
    zone: String,
    /// Rows to show at most; all are counted.
    shown_max: usize,
    footer: bool,
    batches: Vec<RecordBatch>,
}

impl TableRows {
    /// A table; `shown_max` rows are printed, all are counted.
    pub(crate) fn new(schema: SchemaRef, zone: &str, shown_max: usize, footer: bool) -> Self {
        Self { schema, zone: zone.to_owned(), shown_max, footer, batches: Vec::new() }
    }
}

impl RowWriter for TableRows {
    fn write(&mut self, _: &mut dyn Write, rows: Rows<'_>) -> io::Result<()> {
        self.batches.push(rows.batch.clone());
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let total: usize = self.batches.iter().map(RecordBatch::num_rows).sum();
        let mut left = self.shown_max;
        let mut columns: Vec<Vec<ArrayRef>> = Vec::new();
        for batch in &self.batches {
            let rows = left.min(batch.num_rows());
            left -= rows;
            if rows > 0 {
                columns.push(shown(&batch.slice(0, rows), &self.zone)?);
            }
        }
        self.write_frame(out, &columns)?;
        if self.footer {
            let noun = if total == 1 { "row" } else { "rows" };
            match total > self.shown_max {
                true => writeln!(out, "{total} {noun}, {} shown; --format csv prints all", self.shown_max)?,
                false => writeln!(out, "{total} {noun}")?,
            }
        }
        Ok(())
    }
}

impl TableRows {
    fn write_frame(&self, out: &mut dyn Write, batches: &[Vec<ArrayRef>]) -> io::Result<()> {
        let widths = self.widths(batches)?;
        let line: String = widths.iter().map(|w| format!("+{}", "-".repeat(w + 2))).collect();
        writeln!(out, "{line}+")?;
        let names = self.schema.fields().iter().zip(&widths);
        let header: String =
            names.map(|(f, w)| format!("| {}{} ", f.name(), " ".repeat(w - f.name().width()))).collect();
        writeln!(out, "{header}|\n{line}+")?;
        let mut text = String::new();
        for columns in batches {
            let cells = columns.iter().map(Cells::new).collect::<io::Result<Vec<_>>>()?;
            for row in 0..columns.first().map_or(0, |c| c.len()) {
                for ((cell, width), field) in cells.iter().zip(&widths).zip(self.schema.fields()) {
                    text.clear();
                    cell.append_on_a_line(row, &mut text)?;
                    let (left, right) = sides(width - text.width(), field);
                    write!(out, "| ")?;
                    blanks(out, left)?;
                    write!(out, "{text}")?;
                    blanks(out, right + 1)?;
                }
                writeln!(out, "|")?;
            }
        }
        writeln!(out, "{line}+")
    }

    fn widths(&self, batches: &[Vec<ArrayRef>]) -> io::Result<Vec<usize>> {
        let mut widths: Vec<usize> = self.schema.fields().iter().map(|f| f.name().width()).collect();
        let mut text = String::new();
        for columns in batches {
            for (column, width) in columns.iter().zip(&mut widths) {
                let cells = Cells::new(column)?;
                for row in 0..column.len() {
                    text.clear();
                    cells.append_on_a_line(row, &mut text)?;
                    *width = (*width).max(text.width());
                }
            }
        }
        Ok(widths)
    }
}
