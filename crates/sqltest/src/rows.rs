//! Multisets of rows as text: how a maintained answer is compared with the batch one.
//!
//! Floating point sums depend on the order of addition, so FLOAT and DOUBLE are compared at nine significant digits;
//! everything else is compared exactly.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use eddyline_changes::ChangeBatch;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Rows and how often each of them is there. Rows of multiplicity 0 are not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Multiset {
    rows: BTreeMap<String, i64>,
}

impl Multiset {
    /// The rows of finished batches.
    ///
    /// # Errors
    /// A type that does not print.
    pub fn of(batches: &[RecordBatch]) -> Result<Self, ArrowError> {
        let mut all = Self::default();
        for batch in batches {
            for row in texts(batch)? {
                all.add(row, 1);
            }
        }
        Ok(all)
    }

    /// Applies changes.
    ///
    /// # Errors
    /// A type that does not print.
    pub fn apply(&mut self, changes: &ChangeBatch) -> Result<(), ArrowError> {
        for (at, row) in texts(changes.rows())?.into_iter().enumerate() {
            self.add(row, changes.weights().at(at));
        }
        Ok(())
    }

    fn add(&mut self, row: String, weight: i64) {
        use std::collections::btree_map::Entry;
        match self.rows.entry(row) {
            Entry::Vacant(entry) => {
                entry.insert(weight);
            }
            Entry::Occupied(mut entry) => {
                *entry.get_mut() += weight;
                if *entry.get() == 0 {
                    entry.remove();
                }
            }
        }
    }

    /// A row with a negative multiplicity (a violation of I4), if there is one.
    pub fn negative(&self) -> Option<&str> {
        self.rows.iter().find(|(_, n)| **n < 0).map(|(r, _)| r.as_str())
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Number of different rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// What `self` has too much (`+`) and too little (`-`) against `wanted`; at most `lines_max` lines. `None` when
    /// they are equal.
    pub fn difference(&self, wanted: &Self, lines_max: usize) -> Option<String> {
        if self == wanted {
            return None;
        }
        let mut out = String::new();
        let mut lines = 0;
        let keys: std::collections::BTreeSet<&String> = self.rows.keys().chain(wanted.rows.keys()).collect();
        for key in keys {
            let surplus = self.rows.get(key).unwrap_or(&0) - wanted.rows.get(key).unwrap_or(&0);
            if surplus != 0 {
                lines += 1;
                if lines <= lines_max {
                    let _ = writeln!(out, "{surplus:+} {key}");
                }
            }
        }
        if lines > lines_max {
            let _ = writeln!(out, "… and {} more", lines - lines_max);
        }
        Some(out)
    }
}

/// One text per row, columns separated by ` | `.
fn texts(batch: &RecordBatch) -> Result<Vec<String>, ArrowError> {
    let mut rows = vec![String::new(); batch.num_rows()];
    for (at, column) in batch.columns().iter().enumerate() {
        let cells = column_texts(column)?;
        for (row, cell) in rows.iter_mut().zip(cells) {
            if at > 0 {
                row.push_str(" | ");
            }
            row.push_str(&cell);
        }
    }
    Ok(rows)
}

fn column_texts(column: &ArrayRef) -> Result<Vec<String>, ArrowError> {
    let float = |v: Option<f64>| match v {
        None => "NULL".to_owned(),
        // Both zeros are one.
        Some(v) => format!("{:.8e}", v + 0.0),
    };
    match column.data_type() {
        DataType::Float64 => Ok(column.as_primitive::<Float64Type>().iter().map(float).collect()),
        DataType::Float32 => Ok(column.as_primitive::<Float32Type>().iter().map(|v| float(v.map(f64::from))).collect()),
        _ => {
            let options = FormatOptions::default().with_null("NULL");
            let formatter = ArrayFormatter::try_new(column.as_ref(), &options)?;
            (0..column.len()).map(|row| formatter.value(row).try_to_string()).collect()
        }
    }
}
