//! A changelog for people: a line per change, in columns that grow when they must.

use super::cell::{Cells, blanks, shown, sides};
use super::{RowWriter, Rows};
use eddyline_engine::RowKind;
use eddyline_engine::arrow::datatypes::SchemaRef;
use std::io::{self, Write};
use unicode_width::UnicodeWidthStr;

/// Writes `op | column | column` lines as changes come.
pub(crate) struct AlignedRows {
    schema: SchemaRef,
    zone: String,
    widths: Vec<usize>,
    begun: bool,
    framed: bool,
    colours: bool,
    changes: u64,
}

impl AlignedRows {
    /// A changelog of rows of `schema`.
    pub(crate) fn new(schema: SchemaRef, zone: &str) -> Self {
        let widths = schema.fields().iter().map(|f| f.name().width()).collect();
        Self { schema, zone: zone.to_owned(), widths, begun: false, framed: false, colours: false, changes: 0 }
    }

    /// With a frame around, and a line at the end.
    pub(crate) fn framed(self) -> Self {
        Self { framed: true, ..self }
    }

    /// With kinds in colours.
    pub(crate) fn coloured(self, colours: bool) -> Self {
        Self { colours, ..self }
    }

    fn rule(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "+----+")?;
        for width in &self.widths {
            write!(out, "{}+", "-".repeat(width + 2))?;
        }
        writeln!(out)
    }

    fn header(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        if self.framed {
            self.rule(out)?;
            write!(out, "| ")?;
        }
        write!(out, "op")?;
        for (field, width) in self.schema.fields().iter().zip(&self.widths) {
            let (left, right) = sides(width - field.name().width(), field);
            write!(out, " | ")?;
            blanks(out, left)?;
            write!(out, "{}", field.name())?;
            blanks(out, right)?;
        }
        self.end_line(out)?;
        if self.framed { self.rule(out) } else { Ok(()) }
    }

    fn end_line(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", if self.framed { " |" } else { "" })
    }

    fn write_kind(&self, out: &mut dyn Write, kind: RowKind) -> io::Result<()> {
        let colour = match kind {
            _ if !self.colours => return write!(out, "{}", kind.short()),
            RowKind::Insert => "32",
            RowKind::Delete => "31",
            RowKind::UpdateBefore => "2",
            RowKind::UpdateAfter => "33",
        };
        write!(out, "\x1b[{colour}m{}\x1b[0m", kind.short())
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
            self.changes += 1;
            if self.framed {
                write!(out, "| ")?;
            }
            self.write_kind(out, kind.unwrap_or(RowKind::Insert))?;
            for ((cell, width), field) in cells.iter().zip(&self.widths).zip(self.schema.fields()) {
                text.clear();
                cell.append_on_a_line(row, &mut text)?;
                let (left, right) = sides(width - text.width(), field);
                write!(out, " | ")?;
                blanks(out, left)?;
                write!(out, "{text}")?;
                blanks(out, right)?;
            }
            self.end_line(out)?;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.header(out)?;
        if self.framed {
            self.rule(out)?;
            let noun = if self.changes == 1 { "change" } else { "changes" };
            writeln!(out, "Received a total of {} {noun}", self.changes)?;
        }
        Ok(())
    }
}
