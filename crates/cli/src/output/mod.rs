//! Results as text: one writer per form, all fed by batches.
//!
//! [`Rows`] are rows of a finished result, or changes with their kinds. Cells become text in [`cell`] and JSON in
//! [`json`]; nothing else knows Arrow types.

mod aligned;
mod cell;
mod csv;
mod json;
mod page;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use aligned::AlignedRows;
pub(crate) use cell::{Cells, is_number, shown};
pub(crate) use csv::CsvRows;
pub(crate) use json::{EventRows, JsonRows};
pub(crate) use page::{More, Needed, Page, brief, cut, fitted};
pub(crate) use table::TableRows;

use eddyline_engine::RowKind;
use eddyline_engine::arrow::array::RecordBatch;
use eddyline_engine::arrow::error::ArrowError;
use std::io::{self, Write};

/// Rows of a batch to be written.
pub(crate) struct Rows<'a> {
    /// The batch.
    pub(crate) batch: &'a RecordBatch,
    /// For changes: which rows, in which order, as what. `None`: all rows, as they are.
    pub(crate) kinds: Option<&'a [(u32, RowKind)]>,
}

impl Rows<'_> {
    /// Each row to write, with its kind.
    fn each(&self) -> Box<dyn Iterator<Item = (usize, Option<RowKind>)> + '_> {
        match self.kinds {
            Some(kinds) => Box::new(kinds.iter().map(|(row, kind)| (*row as usize, Some(*kind)))),
            None => Box::new((0..self.batch.num_rows()).map(|row| (row, None))),
        }
    }
}

/// One form of output.
pub(crate) trait RowWriter {
    /// Writes rows, or keeps them until [`finish`](Self::finish).
    fn write(&mut self, out: &mut dyn Write, rows: Rows<'_>) -> io::Result<()>;

    /// Writes what is left.
    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let _ = out;
        Ok(())
    }
}

fn unprintable(error: ArrowError) -> io::Error {
    io::Error::other(format!("a value cannot be printed: {error}"))
}
