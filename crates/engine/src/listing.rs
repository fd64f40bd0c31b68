//! Answers that are small tables: what SHOW, DESCRIBE, SET and EXPLAIN return.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use std::sync::Arc;

/// A small finished table.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    /// Its rows.
    pub rows: RecordBatch,
    /// True where it is one column of text lines, to be shown without a frame.
    pub plain: bool,
}

impl Listing {
    /// The first column, line by line.
    pub fn text_lines(&self) -> impl Iterator<Item = &str> {
        let column = self.rows.column(0).as_string_opt::<i32>();
        column.into_iter().flat_map(|c| c.iter().map(Option::unwrap_or_default))
    }

    /// Text columns with names.
    pub fn texts(columns: Vec<(&str, Vec<Option<String>>)>) -> Self {
        Self { rows: batch(columns.into_iter().map(|(n, v)| (n, text(v))).collect()), plain: false }
    }

    /// Columns with names.
    pub(crate) fn columns(columns: Vec<(&str, ArrayRef)>) -> Self {
        Self { rows: batch(columns), plain: false }
    }

    /// Lines of one text.
    pub(crate) fn lines(name: &str, body: &str) -> Self {
        let lines = body.trim_end().lines().map(|l| Some(l.to_owned())).collect();
        Self { rows: batch(vec![(name, text(lines))]), plain: true }
    }
}

/// A text column.
pub(crate) fn text(values: Vec<Option<String>>) -> ArrayRef {
    Arc::new(StringArray::from(values))
}

/// A boolean column.
pub(crate) fn flags(values: Vec<bool>) -> ArrayRef {
    Arc::new(BooleanArray::from(values))
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let nullable = |a: &ArrayRef| *a.data_type() == DataType::Utf8 || a.null_count() > 0;
    let fields: Vec<Field> = columns.iter().map(|(n, a)| Field::new(*n, a.data_type().clone(), nullable(a))).collect();
    let arrays = columns.into_iter().map(|(_, a)| a).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("columns of equal length, typed by themselves")
}
