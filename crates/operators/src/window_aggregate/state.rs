use super::NAME;
use crate::OperatorError;
use crate::aggregation::{Calls, CountedSet, retraction};
use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Int64Type, Schema};
use arrow::error::ArrowError;
use eddyline_changes::hash::{combine, hash_columns, hash_u64};
use eddyline_plan::WindowAggregateSpec;
use eddyline_state::{SlotTable, StateError, Store, Table, TableId};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

const SLICES: TableId = 0;

/// Hash of (key, slice). Either part can be taken out again, see [`key_hash`].
#[inline]
pub(super) fn slice_hash(key: u64, slice: i64) -> u64 {
    key ^ hash_u64(slice as u64).rotate_left(31)
}

/// Hash of the key, given the hash of (key, `slice`).
#[inline]
pub(super) fn key_hash(hash: u64, slice: i64) -> u64 {
    slice_hash(hash, slice)
}

/// Slots of a table by the slice that they belong to.
#[derive(Default)]
pub(super) struct BySlice {
    slots: BTreeMap<i64, Vec<u32>>,
}

impl BySlice {
    /// Adds new slots whose slices are `slices`.
    fn add(&mut self, slices: &ArrayRef, slots: &[u32]) {
        let slices = slices.as_primitive::<Int64Type>().values();
        let (mut rest, mut from) = (slots, 0);
        while !rest.is_empty() {
            // Slices come in runs.
            let run = slices[from..].iter().take_while(|s| **s == slices[from]).count();
            self.slots.entry(slices[from]).or_default().extend_from_slice(&rest[..run]);
            (rest, from) = (&rest[run..], from + run);
        }
    }

    /// The earliest slice.
    pub(super) fn first(&self) -> Option<i64> {
        self.slots.first_key_value().map(|(slice, _)| *slice)
    }

    /// The slices in `from..to` and their slots, earliest first.
    pub(super) fn range(&self, from: i64, to: i64) -> impl Iterator<Item = (i64, &[u32])> {
        self.slots.range(from..to).map(|(slice, slots)| (*slice, slots.as_slice()))
    }

    /// Takes the slots of a slice out.
    fn take(&mut self, slice: i64) -> Vec<u32> {
        self.slots.remove(&slice).unwrap_or_default()
    }

    /// Takes single slots out. Returns the slices that had them.
    fn forget(&mut self, gone: &[u32]) -> Vec<i64> {
        let mut slices = Vec::new();
        if !gone.is_empty() {
            let gone: HashSet<u32> = gone.iter().copied().collect();
            self.slots.retain(|slice, slots| {
                let before = slots.len();
                slots.retain(|s| !gone.contains(s));
                if slots.len() < before {
                    slices.push(*slice);
                }
                !slots.is_empty()
            });
        }
        slices
    }

    fn size_bytes(&self) -> usize {
        self.slots.values().map(|s| s.capacity() * 4).sum()
    }
}

/// The slice, as the first key column.
fn slice_column(slice: i64) -> ArrayRef {
    Arc::new(Int64Array::from(vec![slice]))
}

/// The slices of which the store has something under the first key column of a table.
fn stored_slices(table: &SlotTable) -> Result<BTreeSet<i64>, OperatorError> {
    let firsts = table.firsts()?;
    Ok(firsts.iter().map(|first| first.as_primitive::<Int64Type>().value(0)).collect())
}

/// Up to so many entries are brought into memory when a table is opened; of more, each when it is asked for.
const LOADED_AT_OPEN: usize = if cfg!(test) { 4 } else { 1 << 16 };

/// Keys per slice: per slot the number of rows and the accumulators. The start of the slice is the first key column, so that what
/// belongs to a slice stands together in the store.
///
/// When memory is short, keys that were not used for long are left to the store. When a window closes, what is missing of its slices is
/// brought in.
///
/// Encoding of a value: rows (8 bytes, little endian), then what every accumulator saves.
pub(super) struct Slices {
    pub(super) table: SlotTable,
    pub(super) rows: Vec<i64>,
    pub(super) calls: Calls,
    pub(super) by_slice: BySlice,
    /// Slices of which something may be in the store that is not here.
    stored: BTreeSet<i64>,
    hashes: Vec<u64>,
    slots: Vec<u32>,
}

impl Slices {
    /// The stored slices of an operator with keys of `types`.
    pub(super) fn open(spec: &WindowAggregateSpec, types: &[DataType], store: &Store) -> Result<Self, OperatorError> {
        let table = SlotTable::open("slices", &with_slice(types), store, SLICES, 0)?.dealt_by(1..types.len() + 1);
        let mut slices = Self::over(spec, table)?;
        let (rows, calls) = (&mut slices.rows, &mut slices.calls);
        let is_all =
            slices.table.scan_few(LOADED_AT_OPEN, &hash_slices, &mut |slot, bytes| load(rows, calls, slot, bytes))?;
        if !is_all {
            slices.stored = stored_slices(&slices.table)?;
        }
        slices.make_room();
        let slots = slices.table.slots();
        slices.by_slice.add(&slices.table.key_column(0, &slots)?, &slots);
        Ok(slices)
    }

    /// Brings in what the store alone has of the slices in `from..to`.
    pub(super) fn bring_in(&mut self, from: i64, to: i64) -> Result<(), OperatorError> {
        let missing: Vec<i64> = self.stored.range(from..to).copied().collect();
        for slice in missing {
            let (rows, calls) = (&mut self.rows, &mut self.calls);
            let load = &mut |slot: u32, bytes: &[u8]| load(rows, calls, slot, bytes);
            let created = self.table.scan_first(&slice_column(slice), &hash_slices, load)?;
            self.stored.remove(&slice);
            self.make_room();
            self.by_slice.add(&self.table.key_column(0, &created)?, &created);
        }
        Ok(())
    }

    /// The earliest slice.
    pub(super) fn first(&self) -> Option<i64> {
        self.by_slice.first().into_iter().chain(self.stored.first().copied()).min()
    }

    /// Slices in memory alone.
    pub(super) fn transient(spec: &WindowAggregateSpec, types: &[DataType]) -> Result<Self, OperatorError> {
        Self::over(spec, SlotTable::transient("slices", &with_slice(types))?)
    }

    fn over(spec: &WindowAggregateSpec, table: SlotTable) -> Result<Self, OperatorError> {
        Ok(Self {
            table,
            rows: Vec::new(),
            calls: Calls::new(&spec.calls, spec.append_only)?,
            by_slice: BySlice::default(),
            stored: BTreeSet::new(),
            hashes: Vec::new(),
            slots: Vec::new(),
        })
    }

    fn make_room(&mut self) {
        self.rows.resize(self.table.slots_max(), 0);
        self.calls.resize(self.table.slots_max());
    }

    /// Finds the slots of `keys` in `slices`; `hashes` are those of the keys alone. See [`slots`](Self::slots).
    pub(super) fn lookup(&mut self, keys: &[ArrayRef], hashes: &[u64], slices: &[i64]) -> Result<(), OperatorError> {
        self.hashes.clear();
        self.hashes.extend(slice_hashes(hashes, slices));
        let columns = slices_and(slices, keys);
        let (rows, calls) = (&mut self.rows, &mut self.calls);
        let load = &mut |slot: u32, bytes: &[u8]| load(rows, calls, slot, bytes);
        let created = self.table.lookup(&columns, &self.hashes, &mut self.slots, load)?;
        self.make_room();
        if !created.is_empty() {
            self.by_slice.add(&self.table.key_column(0, &created)?, &created);
        }
        self.table.mark_dirty(&self.slots);
        Ok(())
    }

    /// Slots, number of rows and accumulators for the rows that were looked up last.
    pub(super) fn looked_up(&mut self) -> (&[u32], &mut [i64], &mut Calls) {
        (&self.slots, &mut self.rows, &mut self.calls)
    }

    /// The keys of slots, without their slice.
    pub(super) fn keys(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        let columns = 1..self.table.types().len();
        Ok(columns.map(|k| self.table.key_column(k, slots)).collect::<Result<_, _>>()?)
    }

    /// Refuses slots with fewer than no rows, or with none while something is left in an accumulator: then rows were taken
    /// back that were never there (I4).
    pub(super) fn check(&self, slots: impl Iterator<Item = u32> + Clone) -> Result<(), OperatorError> {
        let refused = |slot: u32| -> Result<(), OperatorError> { Err(retraction(NAME, &self.keys(&[slot])?)) };
        if let Some(slot) = slots.clone().find(|s| self.rows[*s as usize] < 0) {
            return refused(slot);
        }
        let empty: Vec<u32> = slots.filter(|s| self.rows[*s as usize] == 0).collect();
        self.calls.not_empty(&empty)?.map_or(Ok(()), refused)
    }

    /// Forgets a slice. `taken_from`: rows were taken back since the last flush.
    pub(super) fn remove_slice(&mut self, slice: i64, taken_from: bool) -> Result<(), OperatorError> {
        let slots = self.by_slice.take(slice);
        if taken_from {
            self.check(slots.iter().copied())?;
        }
        if self.stored.remove(&slice) {
            self.table.remove_first(&slice_column(slice), &slots)?;
        } else {
            self.table.remove(&slots)?;
        }
        self.empty(&slots);
        Ok(())
    }

    /// Forgets single keys.
    pub(super) fn remove(&mut self, slots: &[u32]) -> Result<(), OperatorError> {
        self.by_slice.forget(slots);
        self.table.remove(slots)?;
        self.empty(slots);
        Ok(())
    }

    fn empty(&mut self, slots: &[u32]) {
        self.calls.clear(slots);
        slots.iter().for_each(|s| self.rows[*s as usize] = 0);
    }

    /// Forgets everything, in memory alone.
    pub(super) fn clear(&mut self) {
        self.table.clear();
        self.rows.clear();
        self.calls.clear_all();
        self.by_slice.slots.clear();
    }
}

fn with_slice(types: &[DataType]) -> Vec<DataType> {
    std::iter::once(DataType::Int64).chain(types.iter().cloned()).collect()
}

fn slices_and(slices: &[i64], columns: &[ArrayRef]) -> Vec<ArrayRef> {
    let slices: ArrayRef = Arc::new(Int64Array::from(slices.to_vec()));
    std::iter::once(slices).chain(columns.iter().cloned()).collect()
}

fn slice_hashes(keys: &[u64], slices: &[i64]) -> impl Iterator<Item = u64> {
    let mut last = (i64::MIN, slice_hash(0, i64::MIN));
    keys.iter().zip(slices).map(move |(key, slice)| {
        if last.0 != *slice {
            last = (*slice, slice_hash(0, *slice));
        }
        key ^ last.1
    })
}

/// Hashes of key columns of which the first is the slice.
fn hash_slices(columns: &[ArrayRef], rows: usize) -> Result<Vec<u64>, ArrowError> {
    let (slices, keys) = columns.split_first().expect("the slice is a key column");
    let hashes = hash_columns(keys, rows)?;
    Ok(slice_hashes(&hashes, slices.as_primitive::<Int64Type>().values()).collect())
}

fn load(rows: &mut Vec<i64>, calls: &mut Calls, slot: u32, bytes: &[u8]) -> Result<(), StateError> {
    let Some((count, mut rest)) = bytes.split_first_chunk::<8>() else { return Err(damaged("slices")) };
    rows.resize(rows.len().max(slot as usize + 1), 0);
    rows[slot as usize] = i64::from_le_bytes(*count);
    calls.load("slices", slot, &mut rest)
}

fn damaged(table: &str) -> StateError {
    StateError::Corrupt { table: table.into(), message: "an entry is too short".into() }
}

impl Table for Slices {
    fn name(&self) -> &str {
        self.table.name()
    }

    fn persist(&mut self) -> Result<(), StateError> {
        let (rows, calls) = (&self.rows, &self.calls);
        self.table.persist(&mut |slot, out| save(rows, calls, slot, out))
    }

    fn len(&self) -> usize {
        self.table.len()
    }

    fn size_bytes(&self) -> usize {
        let by_slot = self.rows.capacity() * 8 + self.calls.size_bytes();
        self.table.size_bytes() + by_slot + self.by_slice.size_bytes()
    }

    fn taken_bytes(&self) -> usize {
        self.table.taken_bytes(self.size_bytes())
    }

    fn is_whole(&self) -> bool {
        self.table.is_complete()
    }

    fn warm(&mut self, entries_max: usize) -> Result<(), StateError> {
        let (rows, calls) = (&mut self.rows, &mut self.calls);
        let load = &mut |slot: u32, bytes: &[u8]| load(rows, calls, slot, bytes);
        let created = self.table.scan_more(entries_max, &hash_slices, load)?;
        self.make_room();
        self.by_slice.add(&self.table.key_column(0, &created)?, &created);
        if self.table.is_complete() {
            self.stored.clear();
        }
        Ok(())
    }

    fn evict(&mut self, bytes: usize) -> Result<(), StateError> {
        let count = self.table.count_of(bytes, self.taken_bytes());
        let (rows, calls) = (&self.rows, &self.calls);
        let gone = self.table.evict(count, &mut |slot, out| save(rows, calls, slot, out))?;
        self.stored.extend(self.by_slice.forget(&gone));
        self.empty(&gone);
        Ok(())
    }
}

fn save(rows: &[i64], calls: &Calls, slot: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&rows[slot as usize].to_le_bytes());
    calls.save(slot, out);
}

/// The counted sets of one list of arguments, one set per key and slice. Key columns: slice, keys, values. Left to the store and
/// brought in as [`Slices`].
pub(super) struct SliceSet {
    /// Columns of the values.
    pub(super) args: Vec<usize>,
    /// Numbers of the calls over them.
    pub(super) calls: Vec<usize>,
    pub(super) set: CountedSet,
    pub(super) by_slice: BySlice,
    /// Slices of which something may be in the store that is not here.
    stored: BTreeSet<i64>,
    keys: usize,
}

impl SliceSet {
    /// All stored sets of an operator.
    pub(super) fn open_all(
        spec: &WindowAggregateSpec,
        input: &Schema,
        store: &Store,
    ) -> Result<Vec<Self>, OperatorError> {
        let mut all: Vec<Self> = Vec::new();
        for (at, call) in spec.calls.iter().enumerate().filter(|(_, c)| c.distinct) {
            match all.iter_mut().find(|s| s.args == call.args) {
                Some(set) => set.calls.push(at),
                None => {
                    let args = call.args.clone();
                    let calls = spec.calls.iter().filter(|c| c.distinct && c.args == args).count();
                    all.push(Self::open(spec, all.len(), args, vec![at], calls, input, store)?);
                }
            }
        }
        Ok(all)
    }

    fn open(
        spec: &WindowAggregateSpec,
        at: usize,
        args: Vec<usize>,
        numbers: Vec<usize>,
        calls: usize,
        input: &Schema,
        store: &Store,
    ) -> Result<Self, OperatorError> {
        let keys = spec.keys.len();
        let mut key_types = with_slice(&types(input, &spec.keys));
        key_types.extend(types(input, &args));
        let name = format!("distinct set {}", at + 1);
        let table = SlotTable::open(&name, &key_types, store, at as TableId + 1, 0)?.dealt_by(1..keys + 1);
        let mut set = CountedSet::new(table, calls, spec.append_only).lazy(hash_values(keys));
        let stored = match set.scan_few(LOADED_AT_OPEN, &hash_values(keys))? {
            true => BTreeSet::new(),
            false => stored_slices(set.table())?,
        };
        let mut by_slice = BySlice::default();
        let slots = set.table().slots();
        by_slice.add(&set.table().key_column(0, &slots)?, &slots);
        Ok(Self { args, calls: numbers, set, by_slice, stored, keys })
    }

    /// Brings in what the store alone has of the slices in `from..to`.
    pub(super) fn bring_in(&mut self, from: i64, to: i64) -> Result<(), OperatorError> {
        let missing: Vec<i64> = self.stored.range(from..to).copied().collect();
        for slice in missing {
            let created = self.set.scan_first(&slice_column(slice), &hash_values(self.keys))?;
            self.stored.remove(&slice);
            self.by_slice.add(&self.set.table().key_column(0, &created)?, &created);
        }
        Ok(())
    }

    /// Counts values of keys in slices; `hashes` are those of (key, slice).
    pub(super) fn count(
        &mut self,
        keys: &[ArrayRef],
        slices: &[i64],
        values: &[ArrayRef],
        hashes: &[u64],
        weights: &[Vec<i64>],
    ) -> Result<Vec<crate::aggregation::Transitions>, OperatorError> {
        let mut columns = slices_and(slices, keys);
        columns.extend_from_slice(values);
        let hashes = set_hashes(hashes, &hash_columns(values, hashes.len())?);
        let transitions = self.set.count(&columns, &hashes, weights)?;
        let created = self.set.created();
        if !created.is_empty() {
            self.by_slice.add(&self.set.table().key_column(0, created)?, created);
        }
        Ok(transitions)
    }

    /// Keys and values of slots, without their slice.
    pub(super) fn keys_and_values(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        let mut columns = self.set.table().keys(slots)?;
        columns.remove(0);
        Ok(columns)
    }

    /// Forgets a slice.
    pub(super) fn remove_slice(&mut self, slice: i64) -> Result<(), OperatorError> {
        let slots = self.by_slice.take(slice);
        let first = slice_column(slice);
        self.set.remove(NAME, &slots, self.stored.remove(&slice).then_some(&first))
    }

    /// Forgets values that no row has any more.
    pub(super) fn flush(&mut self, operator: &'static str) -> Result<(), OperatorError> {
        let gone = self.set.flush(operator)?;
        self.by_slice.forget(&gone);
        Ok(())
    }
}

impl Table for SliceSet {
    fn name(&self) -> &str {
        self.set.name()
    }

    fn persist(&mut self) -> Result<(), StateError> {
        self.set.persist()
    }

    fn len(&self) -> usize {
        self.set.len()
    }

    fn size_bytes(&self) -> usize {
        self.set.size_bytes() + self.by_slice.size_bytes()
    }

    fn taken_bytes(&self) -> usize {
        self.set.taken_bytes()
    }

    fn is_whole(&self) -> bool {
        self.set.is_whole()
    }

    fn warm(&mut self, entries_max: usize) -> Result<(), StateError> {
        let created = self.set.scan_more(entries_max)?;
        self.by_slice.add(&self.set.table().key_column(0, &created)?, &created);
        if self.is_whole() {
            self.stored.clear();
        }
        Ok(())
    }

    fn evict(&mut self, bytes: usize) -> Result<(), StateError> {
        let gone = self.set.leave(bytes)?;
        self.stored.extend(self.by_slice.forget(&gone));
        Ok(())
    }
}

/// How entries are hashed whose first key column is the slice, followed by `keys` columns of the key, and the values.
fn hash_values(keys: usize) -> impl Fn(&[ArrayRef], usize) -> Result<Vec<u64>, ArrowError> {
    move |columns, rows| {
        let slices = hash_slices(&columns[..=keys], rows)?;
        Ok(set_hashes(&slices, &hash_columns(&columns[keys + 1..], rows)?))
    }
}

/// Hashes of (key, slice, values).
fn set_hashes(slices: &[u64], values: &[u64]) -> Vec<u64> {
    slices.iter().zip(values).map(|(s, v)| combine(*s, *v)).collect()
}

/// Types of the columns at `columns`.
pub(super) fn types(schema: &Schema, columns: &[usize]) -> Vec<DataType> {
    columns.iter().map(|c| schema.field(*c).data_type().clone()).collect()
}
