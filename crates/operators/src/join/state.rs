use super::postings::Postings;
use crate::OperatorError;
use arrow::array::{Array, ArrayRef, Int64Array};
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use eddyline_changes::hash::{combine, hash_columns};
use eddyline_changes::{ChangeBatch, Weights};
use eddyline_plan::JoinSpec;
use eddyline_state::{SlotTable, StateError, Store, Table};
use std::collections::BTreeMap;

/// The rows of one side: per slot the weight, and where a residual decides and the side's rows stand alone, how many
/// rows of the other side match. Key columns of the table: the join keys, then all other columns.
///
/// Encoding of a value: weight, matches (8 bytes each, little endian).
pub(super) struct Rows {
    table: SlotTable,
    /// Columns of the input in the table's order.
    stored: Vec<usize>,
    /// By column of the input, its place in the table.
    places: Vec<usize>,
    keys: usize,
    pub(super) weights: Vec<i64>,
    /// Empty when nobody counts matches.
    pub(super) matches: Vec<i64>,
    counts: bool,
    /// By slot, the key slot in [`Keys`].
    pub(super) key_of: Vec<u32>,
    slots: Vec<u32>,
}

impl Rows {
    /// The stored rows of side `side`, all brought into memory. `counts` says that matches are counted.
    pub(super) fn open(
        spec: &JoinSpec,
        side: usize,
        input: &Schema,
        counts: bool,
        store: &Store,
    ) -> Result<Self, OperatorError> {
        let keys = spec.keys(side);
        let mut stored = keys.clone();
        stored.extend((0..input.fields().len()).filter(|c| !keys.contains(c)));
        let place = |c: usize| stored.iter().position(|s| *s == c).expect("all columns are stored");
        let places = (0..input.fields().len()).map(place).collect();
        let types: Vec<DataType> = stored.iter().map(|c| input.field(*c).data_type().clone()).collect();
        let name = ["left rows", "right rows"][side];
        let table = SlotTable::open(name, &types, store, side as u16, keys.len())?;
        let (weights, matches, key_of) = (Vec::new(), Vec::new(), Vec::new());
        let mut rows =
            Self { table, stored, places, keys: keys.len(), weights, matches, counts, key_of, slots: Vec::new() };
        let (weights, matches, keys) = (&mut rows.weights, &mut rows.matches, rows.keys);
        rows.table.scan_all(&|columns, n| row_hashes(columns, keys, n), &mut |slot, bytes| {
            load(weights, counts.then_some(matches), slot, bytes, name)
        })?;
        rows.make_room();
        Ok(rows)
    }

    fn make_room(&mut self) {
        let slots = self.table.slots_max();
        self.weights.resize(slots, 0);
        self.key_of.resize(slots, 0);
        if self.counts {
            self.matches.resize(slots, 0);
        }
    }

    /// Finds or makes the slots of the rows of a batch, see [`slots`](Self::slots) and [`created`](Self::created).
    /// `hashes` are those of the join keys.
    pub(super) fn lookup(&mut self, changes: &ChangeBatch, hashes: &[u64]) -> Result<(), OperatorError> {
        let columns: Vec<ArrayRef> = self.stored.iter().map(|c| changes.column(*c).clone()).collect();
        let rest = hash_columns(&columns[self.keys..], hashes.len())?;
        let hashes: Vec<u64> = hashes.iter().zip(&rest).map(|(k, r)| combine(*k, *r)).collect();
        let mut slots = std::mem::take(&mut self.slots);
        self.table.lookup(&columns, &hashes, &mut slots, &mut |_, _| Ok(()))?;
        self.slots = slots;
        self.make_room();
        Ok(())
    }

    /// Of the batch that was looked up last, the rows that were not there before, and their slots.
    pub(super) fn created(&self) -> impl Iterator<Item = (u32, u32)> {
        self.table.created()
    }

    /// The slots of the batch that was looked up last, by row.
    pub(super) fn slots(&self) -> &[u32] {
        &self.slots
    }

    /// Adds the weights of the batch that was looked up last.
    pub(super) fn add(&mut self, weights: &Weights) {
        crate::aggregation::add_weights(&mut self.weights, &self.slots, weights);
        self.table.mark_dirty(&self.slots);
    }

    /// Says that the matches of rows changed.
    pub(super) fn mark_dirty(&mut self, slots: &[u32]) {
        self.table.mark_dirty(slots);
    }

    /// All rows in use.
    pub(super) fn all(&self) -> Vec<u32> {
        self.table.slots()
    }

    /// One column of the input, of the rows `slots`.
    pub(super) fn column(&self, column: usize, slots: &[u32]) -> Result<ArrayRef, OperatorError> {
        Ok(self.table.key_column(self.places[column], slots)?)
    }

    /// The join keys of `slots`.
    pub(super) fn keys(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        Ok((0..self.keys).map(|c| self.table.key_column(c, slots)).collect::<Result<_, _>>()?)
    }

    /// All columns of `slots`, in the order of the input.
    pub(super) fn row(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        (0..self.places.len()).map(|c| self.column(c, slots)).collect()
    }

    /// Forgets rows.
    pub(super) fn remove(&mut self, slots: &[u32]) -> Result<(), OperatorError> {
        self.table.remove(slots)?;
        for slot in slots {
            self.weights[*slot as usize] = 0;
            if self.counts {
                self.matches[*slot as usize] = 0;
            }
        }
        Ok(())
    }
}

/// Hashes of rows whose first `keys` columns are the join keys.
fn row_hashes(columns: &[ArrayRef], keys: usize, rows: usize) -> Result<Vec<u64>, ArrowError> {
    let rest = hash_columns(&columns[keys..], rows)?;
    Ok(hash_columns(&columns[..keys], rows)?.iter().zip(&rest).map(|(k, r)| combine(*k, *r)).collect())
}

fn load(
    weights: &mut Vec<i64>,
    matches: Option<&mut Vec<i64>>,
    slot: u32,
    bytes: &[u8],
    table: &str,
) -> Result<(), StateError> {
    let at = slot as usize;
    let (words, []) = bytes.as_chunks::<8>() else { return Err(damaged(table)) };
    let [weight, matched] = words else { return Err(damaged(table)) };
    weights.resize(weights.len().max(at + 1), 0);
    weights[at] = i64::from_le_bytes(*weight);
    if let Some(matches) = matches {
        matches.resize(matches.len().max(at + 1), 0);
        matches[at] = i64::from_le_bytes(*matched);
    }
    Ok(())
}

fn damaged(table: &str) -> StateError {
    StateError::Corrupt { table: table.into(), message: "an entry has not the length of a weight and a count".into() }
}

impl Table for Rows {
    fn name(&self) -> &str {
        self.table.name()
    }

    fn persist(&mut self) -> Result<(), StateError> {
        let (weights, matches) = (&self.weights, &self.matches);
        self.table.persist(&mut |slot, out| {
            let at = slot as usize;
            out.extend_from_slice(&weights[at].to_le_bytes());
            out.extend_from_slice(&matches.get(at).copied().unwrap_or_default().to_le_bytes());
        })
    }

    fn len(&self) -> usize {
        self.table.len()
    }

    fn size_bytes(&self) -> usize {
        self.table.size_bytes()
            + (self.weights.capacity() + self.matches.capacity()) * 8
            + (self.key_of.capacity() + self.slots.capacity()) * 4
    }
}

/// The join keys of both sides, in memory alone: they follow from the rows.
pub(super) struct Keys {
    table: SlotTable,
    /// The rows of each side by key.
    postings: [Postings; 2],
    /// Σ weight of the rows of each side, by key.
    pub(super) totals: [Vec<i64>; 2],
    /// Where a key's time lets it go: the keys by that time.
    by_time: Option<ByTime>,
}

struct ByTime {
    key: usize,
    slots: BTreeMap<i64, Vec<u32>>,
}

impl Keys {
    /// The keys of rows that are in the state already.
    pub(super) fn open(spec: &JoinSpec, left: &Schema, rows: &mut [Rows; 2]) -> Result<Self, OperatorError> {
        let types: Vec<DataType> = spec.on.iter().map(|(l, _)| left.field(*l).data_type().clone()).collect();
        let mut keys = Self {
            table: SlotTable::transient("join keys", &types)?,
            postings: [Postings::default(), Postings::default()],
            totals: [Vec::new(), Vec::new()],
            by_time: spec.time.map(|t| ByTime { key: t.key, slots: BTreeMap::new() }),
        };
        for (side, rows) in rows.iter_mut().enumerate() {
            let slots = rows.all();
            let columns = rows.keys(&slots)?;
            let mut found = Vec::new();
            keys.lookup(&columns, &hash_columns(&columns, slots.len())?, &mut found)?;
            keys.make_room(side, rows);
            for (slot, key) in slots.iter().zip(&found) {
                keys.post(side, rows, *slot, *key);
                keys.totals[side][*key as usize] += rows.weights[*slot as usize];
            }
        }
        Ok(keys)
    }

    /// Finds or makes the slots of keys.
    pub(super) fn lookup(
        &mut self,
        columns: &[ArrayRef],
        hashes: &[u64],
        slots: &mut Vec<u32>,
    ) -> Result<(), OperatorError> {
        let created = self.table.lookup(columns, hashes, slots, &mut |_, _| Ok(()))?;
        let room = self.table.slots_max();
        self.totals.iter_mut().for_each(|t| t.resize(room, 0));
        if let Some(by_time) = &mut self.by_time
            && !created.is_empty()
        {
            let times = self.table.key_column(by_time.key, &created)?;
            let times = millis_or_max(&times)?;
            for (slot, time) in created.iter().zip(times.values()) {
                by_time.slots.entry(*time).or_default().push(*slot);
            }
        }
        Ok(())
    }

    /// Makes room for the rows of a side.
    pub(super) fn make_room(&mut self, side: usize, rows: &Rows) {
        self.postings[side].resize(self.table.slots_max(), rows.weights.len());
    }

    /// Notes that a new row has the key.
    pub(super) fn post(&mut self, side: usize, rows: &mut Rows, row: u32, key: u32) {
        rows.key_of[row as usize] = key;
        self.postings[side].add(key, row);
    }

    /// The rows of a side that have a key.
    #[inline]
    pub(super) fn rows(&self, side: usize, key: u32) -> &[u32] {
        self.postings[side].rows(key)
    }

    /// Notes that a row of a side is gone.
    pub(super) fn forget_row(&mut self, side: usize, key: u32, row: u32) {
        self.postings[side].remove(key, row);
    }

    /// Forgets those of `keys`, all different, that have no rows.
    pub(super) fn sweep(&mut self, keys: &[u32]) -> Result<(), OperatorError> {
        let empty = |k: &&u32| self.table.is_live(**k) && (0..2).all(|side| self.rows(side, **k).is_empty());
        let gone: Vec<u32> = keys.iter().filter(empty).copied().collect();
        if let Some(by_time) = &mut self.by_time
            && !gone.is_empty()
        {
            let times = self.table.key_column(by_time.key, &gone)?;
            for (slot, time) in gone.iter().zip(millis_or_max(&times)?.values()) {
                if let Some(slots) = by_time.slots.get_mut(time) {
                    slots.retain(|s| s != slot);
                    if slots.is_empty() {
                        by_time.slots.remove(time);
                    }
                }
            }
        }
        self.remove(&gone)
    }

    /// Forgets keys without rows.
    pub(super) fn remove(&mut self, keys: &[u32]) -> Result<(), OperatorError> {
        self.table.remove(keys)?;
        for key in keys {
            self.totals.iter_mut().for_each(|t| t[*key as usize] = 0);
        }
        Ok(())
    }

    /// Those of `keys` that are still in use.
    pub(super) fn in_use(&self, keys: &[u32]) -> Vec<u32> {
        keys.iter().copied().filter(|k| self.table.is_live(*k)).collect()
    }

    /// Takes out the keys whose time is at most `time` (ms).
    pub(super) fn take_until(&mut self, time: i64) -> Vec<u32> {
        let mut taken = Vec::new();
        while let Some(by_time) = &mut self.by_time
            && let Some(entry) = by_time.slots.first_entry()
            && *entry.key() <= time
        {
            taken.append(&mut entry.remove());
        }
        taken
    }
}

impl Table for Keys {
    fn name(&self) -> &str {
        self.table.name()
    }

    fn persist(&mut self) -> Result<(), StateError> {
        Ok(())
    }

    fn len(&self) -> usize {
        self.table.len()
    }

    fn size_bytes(&self) -> usize {
        self.table.size_bytes()
            + self.postings.iter().map(Postings::size_bytes).sum::<usize>()
            + self.totals.iter().map(|t| t.capacity() * 8).sum::<usize>()
    }
}

/// What changed in an epoch: slots in the order in which they were touched first, and what they were before.
pub(super) struct Touched<T> {
    /// By slot, one more than the position in `entries`; 0: not touched.
    at: Vec<u32>,
    pub(super) entries: Vec<(u32, T)>,
}

impl<T: Copy> Touched<T> {
    pub(super) fn new() -> Self {
        Self { at: Vec::new(), entries: Vec::new() }
    }

    /// Notes what a slot was, if it is touched for the first time.
    #[inline]
    pub(super) fn note(&mut self, slot: u32, before: impl FnOnce() -> T) {
        if self.at.len() <= slot as usize {
            self.at.resize(slot as usize + 1, 0);
        }
        let at = &mut self.at[slot as usize];
        if *at == 0 {
            self.entries.push((slot, before()));
            *at = self.entries.len() as u32;
        }
    }

    /// What a slot was, if it was touched.
    pub(super) fn before(&self, slot: u32) -> Option<T> {
        let at = self.at.get(slot as usize).copied().unwrap_or_default();
        at.checked_sub(1).map(|at| self.entries[at as usize].1)
    }

    pub(super) fn clear(&mut self) {
        self.entries.drain(..).for_each(|(slot, _)| self.at[slot as usize] = 0);
    }
}

/// Times in milliseconds; NULL, which never passes, is the last moment.
fn millis_or_max(column: &ArrayRef) -> Result<Int64Array, OperatorError> {
    let times = crate::event_time::millis(super::NAME, column)?;
    if times.null_count() == 0 {
        return Ok(times);
    }
    let times: Vec<i64> = times.iter().map(|t| t.unwrap_or(i64::MAX)).collect();
    Ok(Int64Array::from(times))
}
