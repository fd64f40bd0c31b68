//! Changes as text, for tests: one change a line, a sign with an optional count, then the columns.
//!
//! ```text
//! + a 1        one copy of (a, 1) is added
//! -2 b NULL    two copies of (b, NULL) are taken away
//! + "x y" 2024-01-01T00:00:10
//! ```
//! Columns are separated by blanks; a value with blanks (or the text NULL) stands in double quotes.

use crate::{ChangeBatch, ChangeError, Weights};
use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use std::sync::Arc;

/// Reads a change table. Empty lines and lines that begin with `#` are passed over.
///
/// # Errors
/// [`ChangeError::Table`] naming the line, when a line has no sign, another number of columns than `schema`,
/// or a value that does not cast to its column's type.
pub fn parse_changes(schema: &SchemaRef, text: &str) -> Result<ChangeBatch, ChangeError> {
    let mut weights = Vec::new();
    let mut columns: Vec<Vec<Option<String>>> = vec![Vec::new(); schema.fields().len()];
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fail = |message: String| ChangeError::Table { line: at + 1, message };
        let words = split_words(line);
        let (sign, values) = words.split_first().ok_or_else(|| fail("no sign".into()))?;
        weights.push(
            parse_weight(sign.as_deref().unwrap_or_default()).ok_or_else(|| fail(format!("no sign in {line:?}")))?,
        );
        if values.len() != columns.len() {
            return Err(fail(format!("{} values for {} columns", values.len(), columns.len())));
        }
        for (column, value) in columns.iter_mut().zip(values) {
            column.push(value.clone());
        }
    }
    let options = CastOptions { safe: false, ..Default::default() };
    let arrays = columns
        .into_iter()
        .zip(schema.fields())
        .map(|(values, field)| {
            let strings: ArrayRef = Arc::new(StringArray::from(values));
            cast_with_options(&strings, field.data_type(), &options)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let rows = RecordBatch::try_new_with_options(
        schema.clone(),
        arrays,
        &RecordBatchOptions::new().with_row_count(Some(weights.len())),
    )?;
    ChangeBatch::new(rows, Weights::from_vec(weights))
}

/// Writes a change table, one line a row in the order of the batch.
pub fn format_changes(changes: &ChangeBatch) -> String {
    let options = FormatOptions::default().with_display_error(true).with_null("NULL");
    let columns: Vec<_> =
        changes.rows().columns().iter().map(|c| (c, ArrayFormatter::try_new(c.as_ref(), &options))).collect();
    let mut out = String::new();
    for row in 0..changes.num_rows() {
        match changes.weights().at(row) {
            1 => out.push('+'),
            -1 => out.push('-'),
            w => out.push_str(&format!("{w:+}")),
        }
        for (column, formatter) in &columns {
            out.push(' ');
            let text = match formatter {
                Ok(f) => f.value(row).to_string(),
                Err(e) => e.to_string(),
            };
            let quote =
                column.is_valid(row) && (text.is_empty() || text == "NULL" || text.contains(char::is_whitespace));
            if quote { out.push_str(&format!("{text:?}")) } else { out.push_str(&text) }
        }
        out.push('\n');
    }
    out
}

/// Like [`format_changes`], lines sorted: for comparing where order means nothing.
pub fn format_changes_sorted(changes: &ChangeBatch) -> String {
    let text = format_changes(changes);
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.iter().flat_map(|l| [l, "\n"]).collect()
}

fn parse_weight(sign: &str) -> Option<i64> {
    match sign {
        "+" => Some(1),
        "-" => Some(-1),
        _ if sign.starts_with(['+', '-']) => sign.parse().ok(),
        _ => None,
    }
}

/// `None` stands for NULL.
fn split_words(line: &str) -> Vec<Option<String>> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let end = quoted.find('"').unwrap_or(quoted.len());
            words.push(Some(quoted[..end].to_owned()));
            rest = quoted.get(end + 1..).unwrap_or_default().trim_start();
        } else {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            let word = &rest[..end];
            words.push((word != "NULL").then(|| word.to_owned()));
            rest = rest[end..].trim_start();
        }
    }
    words
}
