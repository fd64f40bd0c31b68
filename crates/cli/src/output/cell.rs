//! Values as text: [`shown`] to people and in CSV as SQL writes them (`2024-01-01 00:00:10.000`, `1.0E8`, `(1, a)`), and for JSON.

use super::unprintable;
use eddyline_engine::SqlError;
use eddyline_engine::arrow::array::{Array, ArrayRef, RecordBatch};
use eddyline_engine::arrow::compute::cast;
use eddyline_engine::arrow::datatypes::{DataType, Field, TimeUnit};
use eddyline_engine::arrow::error::ArrowError;
use eddyline_engine::arrow::util::display::{ArrayFormatter, FormatOptions};

use std::fmt::Write;
use std::io;

/// Columns as text: what `CAST(value AS STRING)` gives.
pub(crate) fn shown(batch: &RecordBatch, zone: &str) -> io::Result<Vec<ArrayRef>> {
    let unprintable = |e: SqlError| io::Error::other(format!("a value cannot be printed: {}", e.message));
    eddyline_engine::texts(batch, zone).map_err(unprintable)
}

/// Columns whose TIMESTAMP_LTZ values are in the session time zone, so that their text is local time.
pub(crate) fn localized(batch: &RecordBatch, zone: &str) -> io::Result<Vec<ArrayRef>> {
    let local = |column: &ArrayRef| -> Result<ArrayRef, ArrowError> {
        match column.data_type() {
            DataType::Timestamp(unit, Some(old)) if old.as_ref() != zone => {
                cast(column, &DataType::Timestamp(*unit, Some(zone.into())))
            }
            _ => Ok(column.clone()),
        }
    };
    batch.columns().iter().map(local).collect::<Result<_, _>>().map_err(unprintable)
}

/// Writes spaces; a format's width stops at 65,535.
pub(crate) fn blanks(out: &mut dyn io::Write, mut count: usize) -> io::Result<()> {
    const SPACES: &[u8] = &[b' '; 64];
    while count > 0 {
        let now = count.min(SPACES.len());
        out.write_all(&SPACES[..now])?;
        count -= now;
    }
    Ok(())
}

/// How many of the `free` places of a cell stand left and right of its text.
pub(crate) fn sides(free: usize, field: &Field) -> (usize, usize) {
    if is_number(field.data_type()) { (free, 0) } else { (0, free) }
}

/// Writes the cells of one column.
pub(crate) struct Cells<'a> {
    column: &'a ArrayRef,
    formatter: ArrayFormatter<'a>,
}

impl<'a> Cells<'a> {
    /// Of a column.
    pub(crate) fn new(column: &'a ArrayRef) -> io::Result<Self> {
        let time = match column.data_type() {
            DataType::Timestamp(TimeUnit::Second, _) => "%Y-%m-%d %H:%M:%S",
            DataType::Timestamp(TimeUnit::Millisecond, _) => "%Y-%m-%d %H:%M:%S%.3f",
            DataType::Timestamp(TimeUnit::Microsecond, _) => "%Y-%m-%d %H:%M:%S%.6f",
            DataType::Timestamp(TimeUnit::Nanosecond, _) => "%Y-%m-%d %H:%M:%S%.9f",
            _ => "%Y-%m-%d %H:%M:%S%.f",
        };
        let options = FormatOptions::new()
            .with_display_error(false)
            .with_null("NULL")
            .with_timestamp_format(Some(time))
            .with_timestamp_tz_format(Some(time))
            .with_datetime_format(Some(time));
        let formatter = ArrayFormatter::try_new(column.as_ref(), &options).map_err(unprintable)?;
        Ok(Self { column, formatter })
    }

    /// Is the cell NULL?
    pub(crate) fn is_null(&self, row: usize) -> bool {
        self.column.data_type().is_null() || self.column.is_null(row)
    }

    /// Appends the text of a cell.
    pub(crate) fn append(&self, row: usize, to: &mut String) -> io::Result<()> {
        write!(to, "{}", self.formatter.value(row)).map_err(|_| {
            let why = self.formatter.value(row).try_to_string().err();
            why.map_or_else(|| io::Error::other("a value cannot be printed"), unprintable)
        })
    }

    /// Appends the text of a cell with line breaks and tabs escaped, so that it stays on its line.
    pub(crate) fn append_on_a_line(&self, row: usize, to: &mut String) -> io::Result<()> {
        let start = to.len();
        self.append(row, to)?;
        if to[start..].contains(char::is_control) {
            let escaped: String = to[start..].chars().map(escape_control).collect();
            to.truncate(start);
            to.push_str(&escaped);
        }
        Ok(())
    }
}

fn escape_control(c: char) -> String {
    if c.is_control() { c.escape_default().to_string() } else { c.to_string() }
}

/// Do values of this type stand right in their column?
pub(crate) fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}
