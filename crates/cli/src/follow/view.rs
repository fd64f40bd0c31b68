//! The result of a SELECT on its way to standard output: as a finished table, or as the changelog that makes it.

use super::Manner;
use crate::args::Format;
use crate::output::{AlignedRows, CsvRows, EventRows, JsonRows, Page, RowWriter, Rows, TableRows};
use eddyline_engine::{ChangeBatch, Listing, ResultMode, ResultShape, ResultTable, ScriptError, SqlError, row_kinds};
use std::io::{self, Write};

/// One result.
pub(crate) struct View {
    writer: Box<dyn RowWriter>,
    mode: Mode,
    shape: ResultShape,
}

enum Mode {
    /// Every row is written when it comes: nothing will ever be taken back. Stops after so many rows.
    Rows { skip: usize, left: Option<usize> },
    /// Every change is written when it comes.
    Changes,
    /// Written when the input has ended.
    Finished(Box<ResultTable>),
}

impl View {
    /// How a result is shown, over input that does or does not come to an end.
    pub(crate) fn new(manner: &Manner, format: Format, bounded: bool, shape: &ResultShape) -> Self {
        let appends = shape.append_only && shape.presentation.sort.is_empty();
        let changelog = format == Format::Changelog || !shape.ends(bounded);
        let mode = match (changelog, appends && (manner.json || format != Format::Table)) {
            (true, _) => Mode::Changes,
            (false, true) => Mode::Rows { skip: shape.presentation.offset, left: shape.presentation.limit },
            (false, false) => Mode::Finished(Box::new(ResultTable::new(shape))),
        };
        let schema = shape.visible_schema();
        let zone = &shape.time_zone;
        let writer: Box<dyn RowWriter> = match format {
            _ if manner.json => Box::new(EventRows::new(zone)),
            Format::Csv => Box::new(CsvRows::new(schema, zone, changelog)),
            Format::Json => Box::new(JsonRows::new(zone)),
            Format::Table | Format::Changelog if changelog => {
                let rows = AlignedRows::new(schema, zone).coloured(manner.page.colours);
                let framed = manner.format.is_none() && shape.mode == ResultMode::Tableau;
                Box::new(if framed { rows.framed() } else { rows })
            }
            Format::Table | Format::Changelog => Box::new(TableRows::new(schema, zone, manner.page.clone())),
        };
        Self { writer, mode, shape: shape.clone() }
    }

    /// Takes the changes of an epoch. Returns true when nothing more is wanted.
    ///
    /// # Errors
    /// They cannot be shown or written.
    pub(crate) fn changes(&mut self, out: &mut dyn Write, changes: &[ChangeBatch]) -> Result<bool, ScriptError> {
        match &mut self.mode {
            Mode::Finished(table) => {
                table.apply(changes).map_err(ScriptError::Job)?;
                Ok(table.is_full())
            }
            Mode::Rows { skip, left } => {
                for batch in changes {
                    let from = (*skip).min(batch.num_rows());
                    *skip -= from;
                    let rows = left.unwrap_or(usize::MAX).min(batch.num_rows() - from);
                    *left = left.map(|l| l - rows);
                    if rows > 0 {
                        let batch = batch.rows().slice(from, rows);
                        self.writer.write(out, Rows { batch: &batch, kinds: None }).map_err(written)?;
                    }
                }
                Ok(*left == Some(0))
            }
            Mode::Changes => {
                let Some(first) = changes.first() else { return Ok(false) };
                // An update may have its two halves in two batches.
                let epoch = ChangeBatch::concat(&first.schema(), changes).map_err(|e| shown(&e.to_string()))?;
                let kinds = row_kinds(&epoch, self.shape.key.as_deref()).map_err(|e| shown(&e.to_string()))?;
                let rows = self.shape.visible(epoch.rows()).map_err(|e| shown(&e.to_string()))?;
                self.writer.write(out, Rows { batch: &rows, kinds: Some(&kinds) }).map_err(written)?;
                Ok(false)
            }
        }
    }

    /// Is what was shown worth its end when the rest is not wanted?
    pub(crate) fn is_changelog(&self) -> bool {
        matches!(self.mode, Mode::Changes)
    }

    /// The input has ended, or nothing more is wanted.
    ///
    /// # Errors
    /// As [`changes`](Self::changes).
    pub(crate) fn finish(&mut self, out: &mut dyn Write) -> Result<(), ScriptError> {
        if let Mode::Finished(table) = &self.mode {
            for batch in table.batches().map_err(ScriptError::Job)? {
                self.writer.write(out, Rows { batch: &batch, kinds: None }).map_err(written)?;
            }
        }
        self.writer.finish(out).map_err(written)
    }
}

/// Prints a small table: SHOW, DESCRIBE, EXPLAIN.
///
/// # Errors
/// It cannot be written.
pub(crate) fn print_listing(manner: &Manner, listing: &Listing) -> Result<(), ScriptError> {
    let schema = listing.rows.schema();
    let mut out = io::BufWriter::new(io::stdout());
    let mut writer: Box<dyn RowWriter> = match manner.format.unwrap_or(Format::Table) {
        _ if manner.json => Box::new(EventRows::new("UTC")),
        Format::Csv => Box::new(CsvRows::new(schema, "UTC", false)),
        Format::Json => Box::new(JsonRows::new("UTC")),
        Format::Table | Format::Changelog if listing.plain => return print_plain(&mut out, listing).map_err(written),
        Format::Table | Format::Changelog => {
            let page = Page { rows_max: usize::MAX, ..manner.page.clone() };
            Box::new(TableRows::new(schema, "UTC", page))
        }
    };
    let written_all = writer
        .write(&mut out, Rows { batch: &listing.rows, kinds: None })
        .and_then(|()| writer.finish(&mut out))
        .and_then(|()| out.flush());
    written_all.map_err(written)
}

fn print_plain(out: &mut dyn Write, listing: &Listing) -> io::Result<()> {
    for line in listing.text_lines() {
        writeln!(out, "{line}")?;
    }
    out.flush()
}

/// Nobody reads: the script ends quietly. Any other trouble is told.
pub(crate) fn written(error: io::Error) -> ScriptError {
    match error.kind() {
        io::ErrorKind::BrokenPipe => ScriptError::Stopped,
        _ => ScriptError::Job(SqlError::new("58030", format!("standard output: {error}"))),
    }
}

fn shown(message: &str) -> ScriptError {
    ScriptError::Job(SqlError::new(SqlError::INTERNAL, format!("the result cannot be shown: {message}")))
}
