//! Some rows in order.

use arrow::array::{Array, BinaryArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::error::ArrowError;
use std::ops::Range;

/// Rows whose keys ascend, no two alike.
pub(super) struct Chunk {
    pub(super) keys: BinaryArray,
    pub(super) rows: RecordBatch,
    /// How often each row is there; `None`: once.
    pub(super) copies: Option<Vec<i64>>,
    /// With so many rows like these a chunk is full.
    pub(super) full_rows: usize,
}

impl Chunk {
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn first_key(&self) -> &[u8] {
        self.keys.value(0)
    }

    /// How often the row is there.
    pub(super) fn copies(&self, at: usize) -> i64 {
        self.copies.as_ref().map_or(1, |copies| copies[at])
    }

    /// Where the first row stands whose key is not less.
    pub(super) fn first_from(&self, key: &[u8]) -> usize {
        first_from(&self.keys, 0, key)
    }

    /// Where the key is.
    ///
    /// # Errors
    /// It is not there, but would be at this place.
    pub(super) fn position(&self, key: &[u8]) -> Result<usize, usize> {
        let at = self.first_from(key);
        if at < self.len() && self.keys.value(at) == key { Ok(at) } else { Err(at) }
    }

    /// These rows, as often as they are there.
    pub(super) fn copies_of(&self, rows: Range<usize>) -> Result<RecordBatch, ArrowError> {
        let slice = self.rows.slice(rows.start, rows.len());
        let Some(copies) = &self.copies else { return Ok(slice) };
        let copies = (0..).zip(&copies[rows]);
        let indices = copies.flat_map(|(at, copies)| std::iter::repeat_n(at, usize::try_from(*copies).unwrap_or(0)));
        take_record_batch(&slice, &UInt32Array::from_iter_values(indices))
    }
}

/// The first of ascending `keys`, from the one at `start` on, that is not less than `key`.
pub(super) fn first_from(keys: &BinaryArray, start: usize, key: &[u8]) -> usize {
    let (mut low, mut high) = (start, keys.len());
    while low < high {
        let middle = low + (high - low) / 2;
        match keys.value(middle) < key {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    low
}
