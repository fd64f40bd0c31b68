//! A finished result in a frame, or, expanded, as a list per row.

use super::cell::{Cells, blanks, is_number, shown, sides};
use super::page::{Needed, Page, cut, fitted};
use super::{RowWriter, Rows};
use eddyline_engine::arrow::array::{ArrayRef, RecordBatch};
use eddyline_engine::arrow::datatypes::SchemaRef;
use std::io::{self, Write};
use unicode_width::UnicodeWidthStr;

/// Keeps all rows, then writes them with a footer.
pub(crate) struct TableRows {
    schema: SchemaRef,
    zone: String,
    page: Page,
    batches: Vec<RecordBatch>,
}

impl TableRows {
    /// A table on a page.
    pub(crate) fn new(schema: SchemaRef, zone: &str, page: Page) -> Self {
        Self { schema, zone: zone.to_owned(), page, batches: Vec::new() }
    }
}

impl RowWriter for TableRows {
    fn write(&mut self, _: &mut dyn Write, rows: Rows<'_>) -> io::Result<()> {
        self.batches.push(rows.batch.clone());
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let total: usize = self.batches.iter().map(RecordBatch::num_rows).sum();
        let mut left = self.page.rows_max;
        let mut columns: Vec<Vec<ArrayRef>> = Vec::new();
        for batch in &self.batches {
            let rows = left.min(batch.num_rows());
            left -= rows;
            if rows > 0 {
                columns.push(shown(&batch.slice(0, rows), &self.zone)?);
            }
        }
        let is_cut = match self.page.expanded {
            true => self.write_lists(out, &columns).map(|()| false)?,
            false => self.write_frame(out, &columns)?,
        };
        match self.page.footer(total, is_cut) {
            Some(footer) => writeln!(out, "{footer}"),
            None => Ok(()),
        }
    }
}

impl TableRows {
    /// Returns true when not all of each row has its place.
    fn write_frame(&self, out: &mut dyn Write, batches: &[Vec<ArrayRef>]) -> io::Result<bool> {
        let needed = self.needed(batches)?;
        let widths = fitted(&needed, 3, 1, self.page.width_max);
        let is_short = widths.len() < needed.len();
        let line: String = widths.iter().map(|w| format!("+{}", "-".repeat(w + 2))).collect();
        let (line, end) = if is_short { (format!("{line}+---+"), "| … |") } else { (format!("{line}+"), "|") };
        writeln!(out, "{line}")?;
        let mut text = String::new();
        for (field, width) in self.schema.fields().iter().zip(&widths) {
            text.clone_from(field.name());
            cut(&mut text, *width);
            write!(out, "| {text}")?;
            blanks(out, width - text.width() + 1)?;
        }
        writeln!(out, "{end}\n{line}")?;
        for columns in batches {
            let cells = columns.iter().map(Cells::new).collect::<io::Result<Vec<_>>>()?;
            for row in 0..columns.first().map_or(0, |c| c.len()) {
                for ((cell, width), field) in cells.iter().zip(&widths).zip(self.schema.fields()) {
                    text.clear();
                    cell.append_on_a_line(row, &mut text)?;
                    cut(&mut text, *width);
                    let (left, right) = sides(width - text.width(), field);
                    write!(out, "| ")?;
                    blanks(out, left)?;
                    self.write_value(out, &text, cell.is_null(row))?;
                    blanks(out, right + 1)?;
                }
                writeln!(out, "{end}")?;
            }
        }
        writeln!(out, "{line}")?;
        Ok(is_short || widths.iter().zip(&needed).any(|(width, needed)| *width < needed.width))
    }

    /// NULL looks other than the text `NULL` where there are colours.
    fn write_value(&self, out: &mut dyn Write, text: &str, is_null: bool) -> io::Result<()> {
        match is_null && self.page.colours {
            true => write!(out, "\x1b[2m{text}\x1b[0m"),
            false => write!(out, "{text}"),
        }
    }

    fn write_lists(&self, out: &mut dyn Write, batches: &[Vec<ArrayRef>]) -> io::Result<()> {
        let names: Vec<&str> = self.schema.fields().iter().map(|f| f.name().as_str()).collect();
        let width = names.iter().map(|n| n.width()).max().unwrap_or(0);
        let values = self.needed(batches)?.iter().map(|n| n.width).max().unwrap_or(0);
        let line = (width + 3 + values).min(self.page.width_max);
        let (mut number, mut text) = (0, String::new());
        for columns in batches {
            let cells = columns.iter().map(Cells::new).collect::<io::Result<Vec<_>>>()?;
            for row in 0..columns.first().map_or(0, |c| c.len()) {
                number += 1;
                let head = format!("-[ RECORD {number} ]");
                writeln!(out, "{head:-<line$}")?;
                for (name, cell) in names.iter().zip(&cells) {
                    text.clear();
                    cell.append_on_a_line(row, &mut text)?;
                    write!(out, "{name}")?;
                    blanks(out, width - name.width())?;
                    write!(out, " | ")?;
                    self.write_value(out, &text, cell.is_null(row))?;
                    writeln!(out)?;
                }
            }
        }
        Ok(())
    }

    fn needed(&self, batches: &[Vec<ArrayRef>]) -> io::Result<Vec<Needed>> {
        let of_name = |f: &eddyline_engine::arrow::datatypes::FieldRef| Needed {
            width: f.name().width(),
            can_be_cut: !is_number(f.data_type()),
        };
        let mut needed: Vec<Needed> = self.schema.fields().iter().map(of_name).collect();
        let mut text = String::new();
        for columns in batches {
            for (column, needed) in columns.iter().zip(&mut needed) {
                let cells = Cells::new(column)?;
                for row in 0..column.len() {
                    text.clear();
                    cells.append_on_a_line(row, &mut text)?;
                    needed.width = needed.width.max(text.width());
                }
            }
        }
        Ok(needed)
    }
}
