use super::postings::Postings;
use super::weights::SlotWeights;
use crate::OperatorError;
use crate::slots_by_time::SlotsByTime;
use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use eddyline_changes::hash::{combine, hash_columns};
use eddyline_changes::{ChangeBatch, Weights};
use eddyline_plan::JoinSpec;
use eddyline_state::{RowTable, SlotTable, StateError, Store, Table, TableId, make_room};

/// The rows of one side: per slot the weight, and where a residual decides and the side's rows stand alone, how many
/// rows of the other side match. Columns of the table: the join keys, then all other columns.
///
/// Rows that may be taken back, or are put out alone, are found by what they hold. Others are added and nothing more:
/// equal ones are kept apart, without an index.
///
/// Encoding of a value: weight, matches (8 bytes each, little endian).
pub(super) struct Rows {
    table: Kept,
    /// Columns of the input in the table's order.
    stored: Vec<usize>,
    /// By column of the input, its place in the table.
    places: Vec<usize>,
    keys: usize,
    weights: SlotWeights,
    /// Empty when nobody counts matches.
    pub(super) matches: Vec<i64>,
    counts: bool,
    /// By slot, the key slot in [`Keys`]; empty when nobody asks.
    key_of: Vec<u32>,
    slots: Vec<u32>,
}

enum Kept {
    /// Different rows, found by what they hold.
    Indexed(SlotTable),
    /// Rows as they came.
    Plain(RowTable),
}

/// Number of a side's table: the two kinds of tables write different keys.
fn table_id(side: usize, is_plain: bool) -> TableId {
    side as TableId + if is_plain { 2 } else { 0 }
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
        let is_plain = spec.append_only[side] && !spec.kind.single()[side];
        let (mut weights, mut matches) = (SlotWeights::default(), Vec::new());
        let mut load = |slot: u32, bytes: &[u8]| load(&mut weights, counts.then_some(&mut matches), slot, bytes, name);
        let id = table_id(side, is_plain);
        let table = if is_plain {
            Kept::Plain(RowTable::open(name, &types, store, id, keys.len(), &mut load)?)
        } else {
            let mut table = SlotTable::open(name, &types, store, id, keys.len())?;
            table.scan_all(&|columns, n| row_hashes(columns, keys.len(), n), &mut load)?;
            Kept::Indexed(table)
        };
        let (keys, key_of, slots) = (keys.len(), Vec::new(), Vec::new());
        let mut rows = Self { table, stored, places, keys, weights, matches, counts, key_of, slots };
        rows.make_room();
        Ok(rows)
    }

    fn make_room(&mut self) {
        let slots = self.slots_max();
        self.weights.resize(slots);
        if self.finds_keys() {
            make_room(&mut self.key_of, slots);
            self.key_of.resize(slots, 0);
        }
        if self.counts {
            self.matches.resize(slots, 0);
        }
    }

    /// All slots are below this number.
    pub(super) fn slots_max(&self) -> usize {
        match &self.table {
            Kept::Indexed(table) => table.slots_max(),
            Kept::Plain(table) => table.slots_max(),
        }
    }

    /// True when rows go one by one, or are put out alone: then one asks a row for its key.
    pub(super) fn finds_keys(&self) -> bool {
        matches!(self.table, Kept::Indexed(_))
    }

    /// The key slot of a row, where [`finds_keys`](Self::finds_keys).
    #[inline]
    pub(super) fn key_of(&self, slot: u32) -> u32 {
        self.key_of[slot as usize]
    }

    /// How often a row is there.
    #[inline]
    pub(super) fn weight(&self, slot: u32) -> i64 {
        self.weights.at(slot)
    }

    /// Finds or makes the slots of the rows of a batch, see [`slots`](Self::slots) and [`created`](Self::created).
    /// `hashes` are those of the join keys.
    pub(super) fn lookup(&mut self, changes: &ChangeBatch, hashes: &[u64]) -> Result<(), OperatorError> {
        let columns: Vec<ArrayRef> = self.stored.iter().map(|c| changes.column(*c).clone()).collect();
        let mut slots = std::mem::take(&mut self.slots);
        match &mut self.table {
            Kept::Indexed(table) => {
                let rest = hash_columns(&columns[self.keys..], hashes.len())?;
                let hashes: Vec<u64> = hashes.iter().zip(&rest).map(|(k, r)| combine(*k, *r)).collect();
                table.lookup(&columns, &hashes, &mut slots, &mut |_, _| Ok(()))?;
            }
            Kept::Plain(table) => table.add(&columns, changes.num_rows(), &mut slots)?,
        }
        self.slots = slots;
        self.make_room();
        Ok(())
    }

    /// Of the batch that was looked up last, the rows that were not there before, and their slots.
    pub(super) fn created(&self) -> Vec<(u32, u32)> {
        match &self.table {
            Kept::Indexed(table) => table.created().collect(),
            Kept::Plain(_) => self.slots.iter().enumerate().map(|(row, slot)| (row as u32, *slot)).collect(),
        }
    }

    /// The slots of the batch that was looked up last, by row.
    pub(super) fn slots(&self) -> &[u32] {
        &self.slots
    }

    /// Adds the weights of the batch that was looked up last.
    pub(super) fn add(&mut self, weights: &Weights) {
        let rows = self.slots.iter().enumerate();
        match &mut self.table {
            Kept::Indexed(table) => {
                rows.for_each(|(row, slot)| self.weights.add(*slot, weights.at(row)));
                table.mark_dirty(&self.slots);
            }
            Kept::Plain(_) => rows.for_each(|(row, slot)| self.weights.set(*slot, weights.at(row))),
        }
    }

    /// Says that the matches of rows changed.
    pub(super) fn mark_dirty(&mut self, slots: &[u32]) {
        if let Kept::Indexed(table) = &mut self.table {
            table.mark_dirty(slots);
        }
    }

    /// All rows in use.
    pub(super) fn all(&self) -> Vec<u32> {
        match &self.table {
            Kept::Indexed(table) => table.slots(),
            Kept::Plain(table) => table.slots(),
        }
    }

    /// One column of the input, of the rows `slots`.
    pub(super) fn column(&self, column: usize, slots: &[u32]) -> Result<ArrayRef, OperatorError> {
        self.stored_column(self.places[column], slots)
    }

    fn stored_column(&self, place: usize, slots: &[u32]) -> Result<ArrayRef, OperatorError> {
        Ok(match &self.table {
            Kept::Indexed(table) => table.key_column(place, slots)?,
            Kept::Plain(table) => table.column(place, slots)?,
        })
    }

    /// The join keys of `slots`.
    pub(super) fn keys(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        (0..self.keys).map(|c| self.stored_column(c, slots)).collect()
    }

    /// All columns of `slots`, in the order of the input.
    pub(super) fn row(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        (0..self.places.len()).map(|c| self.column(c, slots)).collect()
    }

    /// Forgets rows.
    pub(super) fn remove(&mut self, slots: &[u32]) -> Result<(), OperatorError> {
        match &mut self.table {
            Kept::Indexed(table) => table.remove(slots)?,
            // Weights are those of whoever is given the slot next.
            Kept::Plain(table) => return Ok(table.remove(slots)?),
        }
        for slot in slots {
            self.weights.set(*slot, 0);
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
    weights: &mut SlotWeights,
    matches: Option<&mut Vec<i64>>,
    slot: u32,
    bytes: &[u8],
    table: &str,
) -> Result<(), StateError> {
    let at = slot as usize;
    let (words, []) = bytes.as_chunks::<8>() else { return Err(damaged(table)) };
    let [weight, matched] = words else { return Err(damaged(table)) };
    weights.resize(at + 1);
    weights.set(slot, i64::from_le_bytes(*weight));
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
        match &self.table {
            Kept::Indexed(table) => table.name(),
            Kept::Plain(table) => table.name(),
        }
    }

    fn persist(&mut self) -> Result<(), StateError> {
        let (weights, matches) = (&self.weights, &self.matches);
        let mut encode = |slot: u32, out: &mut Vec<u8>| {
            out.extend_from_slice(&weights.at(slot).to_le_bytes());
            out.extend_from_slice(&matches.get(slot as usize).copied().unwrap_or_default().to_le_bytes());
        };
        match &mut self.table {
            Kept::Indexed(table) => table.persist(&mut encode),
            Kept::Plain(table) => table.persist(&mut encode),
        }
    }

    fn len(&self) -> usize {
        match &self.table {
            Kept::Indexed(table) => table.len(),
            Kept::Plain(table) => table.len(),
        }
    }

    fn size_bytes(&self) -> usize {
        let table = match &self.table {
            Kept::Indexed(table) => table.size_bytes(),
            Kept::Plain(table) => table.size_bytes(),
        };
        table
            + self.weights.size_bytes()
            + self.matches.capacity() * 8
            + (self.key_of.capacity() + self.slots.capacity()) * 4
    }
}

/// The join keys of both sides, in memory alone: they follow from the rows.
pub(super) struct Keys {
    table: SlotTable,
    /// The rows of each side by key.
    postings: [Postings; 2],
    /// Σ weight of the rows of each side, by key; empty where they decide nothing.
    pub(super) totals: [Vec<i64>; 2],
    by_totals: bool,
    /// Where a key's time lets it go: the keys by that time.
    by_time: Option<SlotsByTime>,
}

impl Keys {
    /// The keys of rows that are in the state already.
    pub(super) fn open(spec: &JoinSpec, left: &Schema, rows: &mut [Rows; 2]) -> Result<Self, OperatorError> {
        let types: Vec<DataType> = spec.on.iter().map(|(l, _)| left.field(*l).data_type().clone()).collect();
        let mut keys = Self {
            table: SlotTable::transient("join keys", &types)?,
            postings: [Postings::default(), Postings::default()],
            totals: [Vec::new(), Vec::new()],
            by_totals: spec.residual.is_none() && spec.kind.single().contains(&true),
            by_time: spec.time.map(|t| SlotsByTime::new(super::NAME, t.key)),
        };
        for (side, rows) in rows.iter_mut().enumerate() {
            let slots = rows.all();
            let columns = rows.keys(&slots)?;
            let mut found = Vec::new();
            keys.lookup(&columns, &hash_columns(&columns, slots.len())?, &mut found)?;
            keys.make_room(side, rows);
            for (slot, key) in slots.iter().zip(&found) {
                keys.post(side, rows, *slot, *key);
                if keys.by_totals {
                    keys.totals[side][*key as usize] += rows.weight(*slot);
                }
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
        if self.by_totals {
            self.totals.iter_mut().for_each(|t| t.resize(room, 0));
        }
        if let Some(by_time) = &mut self.by_time {
            by_time.add(&self.table, &created)?;
        }
        Ok(())
    }

    /// Makes room for the rows of a side.
    pub(super) fn make_room(&mut self, side: usize, rows: &Rows) {
        let places = if rows.finds_keys() { rows.slots_max() } else { 0 };
        self.postings[side].resize(self.table.slots_max(), places);
    }

    /// Notes that a new row has the key.
    pub(super) fn post(&mut self, side: usize, rows: &mut Rows, row: u32, key: u32) {
        if rows.finds_keys() {
            rows.key_of[row as usize] = key;
        }
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

    /// Notes that all rows of a side that have the key are gone.
    pub(super) fn forget_rows(&mut self, side: usize, key: u32) {
        self.postings[side].clear(key);
    }

    /// Do totals decide what stands alone?
    pub(super) fn by_totals(&self) -> bool {
        self.by_totals
    }

    /// Forgets those of `keys`, all different, that have no rows.
    pub(super) fn sweep(&mut self, keys: &[u32]) -> Result<(), OperatorError> {
        let empty = |k: &&u32| self.table.is_live(**k) && (0..2).all(|side| self.rows(side, **k).is_empty());
        let gone: Vec<u32> = keys.iter().filter(empty).copied().collect();
        if let Some(by_time) = &mut self.by_time {
            by_time.remove(&self.table, &gone)?;
        }
        self.remove(&gone)
    }

    /// Forgets keys without rows.
    pub(super) fn remove(&mut self, keys: &[u32]) -> Result<(), OperatorError> {
        self.table.remove(keys)?;
        for key in keys.iter().filter(|_| self.by_totals) {
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
        self.by_time.as_mut().map_or_else(Vec::new, |by_time| by_time.take_until(time))
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
