//! Values as SQL writes them.

use arrow::array::{ArrayRef, RecordBatch};
use eddyline_functions::scalar::{Zone, text_of};
use eddyline_planner::SqlError;

/// Every column as text: what `CAST(value AS STRING)` gives in the time zone `zone`.
///
/// # Errors
/// A value that has no text, such as a time beyond the calendar; an unknown time zone.
pub fn texts(rows: &RecordBatch, zone: &str) -> Result<Vec<ArrayRef>, SqlError> {
    let zone = Zone::parse(zone).map_err(|e| SqlError::new(SqlError::INVALID_PARAMETER, e.strip_backtrace()))?;
    let text = |column: &ArrayRef| text_of(column, zone);
    rows.columns().iter().map(text).collect::<Result<_, _>>().map_err(|e| SqlError::new("22000", e.strip_backtrace()))
}
