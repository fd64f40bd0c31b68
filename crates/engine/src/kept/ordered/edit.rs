//! How rows come and go.

use super::OrderedRows;
use super::chunk::{Chunk, first_from};
use arrow::array::{
    Array, ArrayRef, BinaryArray, DynComparator, MutableArrayData, RecordBatch, UInt32Array, make_array,
    make_comparator,
};
use arrow::compute::{SortOptions, take, take_record_batch};
use arrow::error::ArrowError;
use std::ops::Range;
use std::sync::Arc;

/// A chunk has about so many bytes: what is copied when one of its rows changes.
const CHUNK_BYTES: usize = 128 * 1024;
const ROWS_MIN: usize = 16;
const ROWS_MAX: usize = 4096;

/// A row is taken away more often than it is there, by so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Missing(pub(crate) i64);

/// Changes in the order of their keys; of one key, what goes comes first.
struct Changes {
    keys: BinaryArray,
    rows: RecordBatch,
    weights: Vec<i64>,
    /// How many rows like these make a chunk.
    full_rows: usize,
}

impl Changes {
    fn sorted(keys: &BinaryArray, rows: &RecordBatch, weights: impl Fn(usize) -> i64) -> Result<Self, ArrowError> {
        let mut order: Vec<u32> = (0..keys.len() as u32).collect();
        let of = |at: &u32| (keys.value(*at as usize), weights(*at as usize) > 0);
        if !order.is_sorted_by_key(of) {
            order.sort_by(|one, other| of(one).cmp(&of(other)));
        }
        let weights = order.iter().map(|at| weights(*at as usize)).collect();
        let order = UInt32Array::from(order);
        let sorted = take(keys, &order, None)?;
        let (keys, rows) = (BinaryArray::from(sorted.to_data()), take_record_batch(rows, &order)?);
        Ok(Self { full_rows: full_rows(&keys, &rows), keys, rows, weights })
    }

    /// Where the changes of the key at `start` end.
    fn end_of_key(&self, start: usize) -> usize {
        let key = self.keys.value(start);
        (start + 1..self.keys.len()).find(|at| self.keys.value(*at) != key).unwrap_or(self.keys.len())
    }
}

/// Rows that stand one behind the other in a source, and follow each other in what is made.
struct Run {
    source: usize,
    rows: Range<usize>,
}

/// What chunks are made of.
#[derive(Default)]
struct Outcome {
    runs: Vec<Run>,
    /// How often rows are there that are there more than once: by their place among all.
    copies: Vec<(usize, i64)>,
    rows: usize,
}

impl Outcome {
    fn add(&mut self, source: usize, rows: Range<usize>) {
        if rows.is_empty() {
            return;
        }
        self.rows += rows.len();
        match self.runs.last_mut() {
            Some(last) if last.source == source && last.rows.end == rows.start => last.rows.end = rows.end,
            _ => self.runs.push(Run { source, rows }),
        }
    }

    fn add_one(&mut self, source: usize, row: usize, copies: i64) {
        if copies > 1 {
            self.copies.push((self.rows, copies));
        }
        self.add(source, row..row + 1);
    }

    /// Rows of a chunk as they are.
    fn add_all(&mut self, source: usize, chunk: &Chunk, rows: Range<usize>) {
        if let Some(copies) = &chunk.copies {
            let several = rows.clone().filter(|at| copies[*at] > 1);
            self.copies.extend(several.map(|at| (self.rows + at - rows.start, copies[at])));
        }
        self.add(source, rows);
    }
}

impl OrderedRows {
    /// Applies changes: what goes has a negative weight, and goes before what comes. Where the key is not all columns, of rows that come under a key
    /// the last one is there.
    ///
    /// # Errors
    /// [`Missing`]: then nothing has changed. Rows of another schema.
    pub(crate) fn change(
        &mut self,
        keys: &BinaryArray,
        rows: &RecordBatch,
        weights: impl Fn(usize) -> i64,
    ) -> Result<Result<(), Missing>, ArrowError> {
        if keys.is_empty() {
            return Ok(Ok(()));
        }
        let changes = Changes::sorted(keys, rows, weights)?;
        let mut made: Vec<(Range<usize>, Vec<Arc<Chunk>>)> = Vec::new();
        let mut start = 0;
        while start < changes.keys.len() {
            let at = self.chunk_of(changes.keys.value(start)).unwrap_or(0);
            let next = self.chunks.get(at + 1).map(|chunk| first_from(&changes.keys, start, chunk.first_key()));
            let end = next.unwrap_or(changes.keys.len());
            let old = self.chunks.get(at);
            match self.changed(old.map(Arc::as_ref), &changes, start..end)? {
                Ok(chunks) => made.push((at..at + usize::from(old.is_some()), chunks)),
                Err(missing) => return Ok(Err(missing)),
            }
            start = end;
        }
        let chunks = Arc::make_mut(&mut self.chunks);
        let mut touched = 0..chunks.len();
        if let [(old, new)] = made.as_slice() {
            touched = old.start..old.start + new.len();
        }
        // From the last to the first, so that places before stay what they are.
        made.into_iter().rev().for_each(|(old, new)| drop(chunks.splice(old, new)));
        join_small(chunks, touched)?;
        Ok(Ok(()))
    }

    /// What a chunk becomes by changes whose keys belong to it.
    fn changed(
        &self,
        old: Option<&Chunk>,
        changes: &Changes,
        range: Range<usize>,
    ) -> Result<Result<Vec<Arc<Chunk>>, Missing>, ArrowError> {
        const OLD: usize = 0;
        const NEW: usize = 1;
        let is_same = match old {
            Some(old) if self.key.len() < self.schema.fields().len() => {
                Some(self.comparators(&old.rows, &changes.rows)?)
            }
            _ => None,
        };
        let is_same = |here: usize, change: usize| {
            is_same.as_ref().is_none_or(|columns| columns.iter().all(|compare| compare(here, change).is_eq()))
        };
        let mut outcome = Outcome::default();
        let (mut at, mut change) = (0, range.start);
        while change < range.end {
            let end = changes.end_of_key(change);
            let found = old.map_or(Err(0), |old| {
                let place = first_from(&old.keys, at, changes.keys.value(change));
                let is_there = place < old.len() && old.keys.value(place) == changes.keys.value(change);
                if is_there { Ok(place) } else { Err(place) }
            });
            let place = found.unwrap_or_else(|place| place);
            let mut copies = 0;
            let mut row = (OLD, place);
            if let (Some(old), Ok(place)) = (old, found) {
                copies = old.copies(place);
            }
            for one in change..end {
                let weight = changes.weights[one];
                if weight < 0 && copies > 0 && !is_same(place, one) {
                    return Ok(Err(Missing(-weight)));
                }
                copies += weight;
                if copies < 0 {
                    return Ok(Err(Missing(-copies)));
                }
                // Where rows of a key are all alike, the one that is there is as good.
                let takes_its_place = found.is_err() || self.key.len() < self.schema.fields().len();
                if weight > 0 && takes_its_place {
                    row = (NEW, one);
                }
            }
            if let Some(old) = old {
                outcome.add_all(OLD, old, at..place);
            }
            if copies > 0 {
                outcome.add_one(row.0, row.1, copies);
            }
            at = place + usize::from(found.is_ok());
            change = end;
        }
        let (keys, rows) = (changes.keys.clone(), changes.rows.clone());
        let new = Chunk { full_rows: changes.full_rows, keys, rows, copies: None };
        match old {
            Some(old) => {
                outcome.add_all(OLD, old, at..old.len());
                made(&[old, &new], &outcome).map(Ok)
            }
            None => made(&[&new, &new], &outcome).map(Ok),
        }
    }

    /// Compare rows of two batches in the columns that are not of the key.
    fn comparators(&self, one: &RecordBatch, other: &RecordBatch) -> Result<Vec<DynComparator>, ArrowError> {
        let others = (0..self.schema.fields().len()).filter(|c| !self.key.contains(c));
        others.map(|c| make_comparator(one.column(c), other.column(c), SortOptions::default())).collect()
    }
}

/// The chunks of an outcome, each of about [`CHUNK_BYTES`].
fn made(sources: &[&Chunk], outcome: &Outcome) -> Result<Vec<Arc<Chunk>>, ArrowError> {
    if outcome.rows == 0 {
        return Ok(Vec::new());
    }
    let rows_max = sources.iter().map(|source| source.full_rows).min().unwrap_or(ROWS_MAX);
    // One that has become too large is cut in halves, so that it is not cut again soon.
    let pieces = if outcome.rows <= 2 * rows_max { 1 } else { outcome.rows.div_ceil(rows_max) };
    let piece_rows = outcome.rows.div_ceil(pieces);
    let mut chunks: Vec<Chunk> = Vec::with_capacity(pieces);
    let (mut open, mut open_rows) = (Vec::new(), 0);
    for run in &outcome.runs {
        let mut rows = run.rows.clone();
        while !rows.is_empty() {
            let taken = rows.len().min(piece_rows - open_rows);
            open.push(Run { source: run.source, rows: rows.start..rows.start + taken });
            open_rows += taken;
            rows.start += taken;
            if open_rows == piece_rows {
                chunks.push(chunk(sources, &open, open_rows)?);
                (open, open_rows) = (Vec::new(), 0);
            }
        }
    }
    if open_rows > 0 {
        chunks.push(chunk(sources, &open, open_rows)?);
    }
    for (place, copies) in &outcome.copies {
        let chunk = &mut chunks[place / piece_rows];
        let rows = chunk.keys.len();
        chunk.copies.get_or_insert_with(|| vec![1; rows])[place % piece_rows] = *copies;
    }
    Ok(chunks.into_iter().map(Arc::new).collect())
}

/// How many rows like these make a chunk.
fn full_rows(keys: &BinaryArray, rows: &RecordBatch) -> usize {
    let size = |array: &dyn Array| array.to_data().get_slice_memory_size().unwrap_or_default();
    let bytes = size(keys) + rows.columns().iter().map(|c| size(c)).sum::<usize>();
    (CHUNK_BYTES / (bytes / keys.len().max(1)).max(1)).clamp(ROWS_MIN, ROWS_MAX)
}

/// The chunk of these runs, each row once.
fn chunk(sources: &[&Chunk], runs: &[Run], rows: usize) -> Result<Chunk, ArrowError> {
    let joined = |of: &dyn Fn(&Chunk) -> ArrayRef| -> Result<ArrayRef, ArrowError> {
        let arrays: Vec<_> = sources.iter().map(|source| of(source).to_data()).collect();
        let mut made = MutableArrayData::new(arrays.iter().collect(), false, rows);
        runs.iter().try_for_each(|run| made.try_extend(run.source, run.rows.start, run.rows.end))?;
        Ok(make_array(made.freeze()))
    };
    let keys = BinaryArray::from(joined(&|source| Arc::new(source.keys.clone()))?.to_data());
    let schema = sources[0].rows.schema();
    let columns = (0..schema.fields().len()).map(|c| joined(&|source| source.rows.column(c).clone()));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let rows = RecordBatch::try_new(schema, columns)?;
    Ok(Chunk { full_rows: full_rows(&keys, &rows), keys, rows, copies: None })
}

/// Joins chunks that have become small with those before them.
fn join_small(chunks: &mut Vec<Arc<Chunk>>, touched: Range<usize>) -> Result<(), ArrowError> {
    for at in (touched.start.max(1)..(touched.end + 1).min(chunks.len())).rev() {
        let (before, here) = (&chunks[at - 1], &chunks[at]);
        let rows_max = before.full_rows.min(here.full_rows);
        let is_small = |chunk: &Chunk| chunk.len() < rows_max / 4;
        if (!is_small(before) && !is_small(here)) || before.len() + here.len() > rows_max {
            continue;
        }
        let mut outcome = Outcome::default();
        outcome.add_all(0, before, 0..before.len());
        outcome.add_all(1, here, 0..here.len());
        let joined = made(&[before, here], &outcome)?;
        chunks.splice(at - 1..=at, joined);
    }
    Ok(())
}
