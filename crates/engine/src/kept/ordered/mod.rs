//! Rows in the order of a key, in chunks that are shared with whoever reads them.
//!
//! ```text
//! chunks:  [ a … f ] [ g … k ] [ m … z ]      each a few thousand rows: their columns, and their keys as bytes that order as the rows do
//! ```
//! A chunk never changes. Changes make new chunks in the place of those that hold their keys, all others stay; so a picture of all rows is a
//! list of chunks that costs nothing to take, and one row more or less costs the copy of one chunk, some hundred kilobytes at most.
//! Rows are found by their key, or the first columns of it, by binary search. An index is the same rows once more, in another order; they
//! change together ([`IndexedRows`]).
//!
//! Not here: which rows may be there (the callers know keys, conflicts and weights).

mod chunk;
mod edit;
mod indexed;
mod range;
#[cfg(test)]
mod tests;

use arrow::array::{BinaryArray, RecordBatch, UInt32Array};
use arrow::compute::{SortOptions, interleave_record_batch, take_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use chunk::Chunk;
pub(crate) use edit::Missing;
pub(crate) use indexed::{IndexedRows, Order, Unique, Violation};
use range::KeyRange;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows in the order of some of their columns. A clone is a picture of them as they are.
///
/// # Contract
/// There is one entry for a key, which is a row and how often it is there. Where the key is not all columns, that is once.
#[derive(Clone)]
pub(crate) struct OrderedRows {
    schema: SchemaRef,
    key: Arc<[usize]>,
    /// How the values of each column of the key are ordered.
    options: Arc<[SortOptions]>,
    converter: Arc<RowConverter>,
    /// In order; none is empty.
    chunks: Arc<Vec<Arc<Chunk>>>,
}

impl OrderedRows {
    /// No rows; `key` are the columns that order them, the most significant first.
    ///
    /// # Errors
    /// A column whose values have no order (`MAP`).
    pub(crate) fn new(schema: SchemaRef, key: Vec<usize>) -> Result<Self, ArrowError> {
        Self::in_order(schema, &key.into_iter().map(|column| (column, SortOptions::default())).collect::<Vec<_>>())
    }

    /// No rows, in the order of these columns, the most significant first.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    fn in_order(schema: SchemaRef, order: &[(usize, SortOptions)]) -> Result<Self, ArrowError> {
        let field = |(c, options): &(usize, SortOptions)| {
            SortField::new_with_options(schema.field(*c).data_type().clone(), *options)
        };
        let converter = Arc::new(RowConverter::new(order.iter().map(field).collect())?);
        let (key, options): (Vec<usize>, Vec<SortOptions>) = order.iter().copied().unzip();
        Ok(Self { schema, key: key.into(), options: options.into(), converter, chunks: Arc::default() })
    }

    /// The columns.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The columns that order the rows, the most significant first.
    pub(crate) fn key(&self) -> &[usize] {
        &self.key
    }

    /// The keys of rows of this schema: bytes that order as the rows do.
    ///
    /// # Errors
    /// Rows of another schema.
    pub(crate) fn keys(&self, rows: &RecordBatch) -> Result<BinaryArray, ArrowError> {
        let columns: Vec<_> = self.key.iter().map(|c| rows.column(*c).clone()).collect();
        self.converter.convert_columns(&columns)?.try_into_binary()
    }

    /// Is there a row under this key?
    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.chunk_of(key).is_some_and(|chunk| self.chunks[chunk].position(key).is_ok())
    }

    /// The rows under these keys, and which of the keys have one.
    ///
    /// # Errors
    /// None for chunks of one schema.
    pub(crate) fn rows_of<'k>(
        &self,
        keys: impl Iterator<Item = &'k [u8]>,
    ) -> Result<(RecordBatch, Vec<bool>), ArrowError> {
        let mut used: BTreeMap<usize, usize> = BTreeMap::new();
        let mut sources: Vec<&RecordBatch> = Vec::new();
        let (mut places, mut found) = (Vec::new(), Vec::new());
        for key in keys {
            let chunk = self.chunk_of(key);
            let at = chunk.and_then(|chunk| self.chunks[chunk].position(key).ok());
            found.push(at.is_some());
            if let (Some(chunk), Some(at)) = (chunk, at) {
                let source = *used.entry(chunk).or_insert_with(|| {
                    sources.push(&self.chunks[chunk].rows);
                    sources.len() - 1
                });
                places.push((source, at));
            }
        }
        let rows = match sources.is_empty() {
            true => RecordBatch::new_empty(self.schema.clone()),
            false => interleave_record_batch(&sources, &places)?,
        };
        Ok((rows, found))
    }

    /// The chunk that has the key, if any has.
    fn chunk_of(&self, key: &[u8]) -> Option<usize> {
        self.chunks.partition_point(|chunk| chunk.first_key() <= key).checked_sub(1)
    }

    /// All rows, as often as they are there, in order.
    pub(crate) fn batches(&self) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> + use<> {
        self.batches_in(KeyRange::all())
    }

    /// How many rows have keys in a range.
    fn count_in(&self, range: &KeyRange) -> i64 {
        let first = self.chunk_of(&range.from).unwrap_or(0);
        let chunks = self.chunks[first..].iter();
        let within = chunks.take_while(|chunk| range.to.as_deref().is_none_or(|to| chunk.first_key() < to));
        let count = |chunk: &Arc<Chunk>| {
            let end = range.to.as_deref().map_or(chunk.len(), |to| chunk.first_from(to));
            (chunk.first_from(&range.from)..end).map(|at| chunk.copies(at)).sum::<i64>()
        };
        within.map(count).sum()
    }

    /// The rows whose keys are in a range, as often as they are there, from the last to the first.
    fn batches_back(&self, range: KeyRange) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> + use<> {
        let chunks = self.chunks.clone();
        let first = self.chunk_of(&range.from).unwrap_or(0);
        let last = range.to.as_deref().map_or(chunks.len(), |to| chunks.partition_point(|c| c.first_key() < to));
        (first..last).rev().filter_map(move |at| {
            let chunk = &chunks[at];
            let end = range.to.as_deref().map_or(chunk.len(), |to| chunk.first_from(to));
            let rows = chunk.first_from(&range.from)..end;
            let turned = |rows: RecordBatch| {
                let places = UInt32Array::from_iter_values((0..rows.num_rows() as u32).rev());
                take_record_batch(&rows, &places)
            };
            (!rows.is_empty()).then(|| chunk.copies_of(rows).and_then(turned))
        })
    }

    /// The rows whose keys are in a range, as often as they are there, in order.
    fn batches_in(&self, range: KeyRange) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> + use<> {
        let chunks = self.chunks.clone();
        let first = self.chunk_of(&range.from).unwrap_or(0);
        let last = range.to.as_deref().map_or(chunks.len(), |to| chunks.partition_point(|c| c.first_key() < to));
        (first..last).filter_map(move |at| {
            let chunk = &chunks[at];
            let end = range.to.as_deref().map_or(chunk.len(), |to| chunk.first_from(to));
            let rows = chunk.first_from(&range.from)..end;
            (!rows.is_empty()).then(|| chunk.copies_of(rows))
        })
    }
}
