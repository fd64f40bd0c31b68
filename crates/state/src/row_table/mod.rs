//! Rows in columns, added and removed by **slot**. The table keeps no index and no hash: how rows are found is their owner's affair,
//! who compares what he looks for with what a slot holds, a batch at a time. What the sides of joins are.
//!
//! In the store a row is its own key. Where equal rows are kept apart, each in a slot of its own, they are told apart
//! by eight bytes behind the row: the *generation* of the table that wrote it, and its slot there. A table's generation is greater
//! than that of any row it was opened with, so what it writes never meets what was written before, whatever shards the rows
//! come from: rows of one distribution key have been written on one shard at any time, and move together.

use crate::slot_table::key_column::{Created, KeyColumn, key_column, make_room};
use crate::slot_table::{VERSION, unversioned};
use crate::{Load, StateError, Store, TableId, Write};
use arrow::array::{Array, ArrayRef, BinaryArray};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use eddyline_changes::hash::hash_columns;
use std::ops::Range;

/// Entries that are read from the store at a time.
const SCAN_BATCH: usize = 4096;
const SUFFIX_BYTES: usize = 8;

const LIVE: u8 = 1;
const DIRTY: u8 = 2;
const STORED: u8 = 4;
/// How many bits of a slot's flags are the table's own; the others are its owner's.
const OWN_BITS: u8 = 3;

/// What a table of rows is opened with.
#[derive(Debug, Clone, Copy)]
pub struct RowTableSpec<'a> {
    /// The table's name.
    pub name: &'a str,
    /// The types of its columns.
    pub types: &'a [DataType],
    /// Its number within the operator.
    pub id: TableId,
    /// How many leading columns decide the key group.
    pub distribution: usize,
    /// No two rows are ever equal when the table is persisted.
    pub is_distinct: bool,
}

/// Rows by slot. See the module's page.
///
/// # Contract
/// Slots are dense: they are below [`slots_max`](Self::slots_max), and those of removed rows are given to others.
pub struct RowTable {
    name: String,
    store: Store,
    id: TableId,
    /// How many leading columns decide the key group.
    distribution: usize,
    is_distinct: bool,
    columns: Vec<Box<dyn KeyColumn>>,
    /// By slot: [`LIVE`], [`DIRTY`], [`STORED`], then the owner's marks.
    flags: Vec<u8>,
    free: Vec<u32>,
    /// Full keys whose removal is not yet written.
    gone: Vec<Vec<u8>>,
    generation: u32,
    /// By slot, for the rows that were there when the table was opened: what tells them apart in the store.
    suffixes: Vec<u64>,
    /// Slots that were given since [`begin`](Self::begin), and how many of them are [written](Self::write).
    created: Vec<Created>,
    written: usize,
    converter: Option<RowConverter>,
}

impl RowTable {
    /// Opens a table of `store`, all its rows brought into memory: each is given to `load` with its slot.
    ///
    /// # Errors
    /// [`StateError::KeyType`] for a type that cannot be encoded (`MAP`); the store cannot be read, or `load` failed.
    pub fn open(spec: RowTableSpec<'_>, store: &Store, load: &mut Load<'_>) -> Result<Self, StateError> {
        let RowTableSpec { name, types, id, distribution, is_distinct } = spec;
        let fields: Vec<SortField> = types.iter().map(|t| SortField::new(t.clone())).collect();
        let mut table = Self {
            name: name.into(),
            store: store.clone(),
            id,
            distribution,
            is_distinct,
            columns: types.iter().map(|t| key_column(name, t)).collect::<Result<_, _>>()?,
            flags: Vec::new(),
            free: Vec::new(),
            gone: Vec::new(),
            generation: 0,
            suffixes: Vec::new(),
            created: Vec::new(),
            written: 0,
            converter: if fields.is_empty() { None } else { Some(RowConverter::new(fields)?) },
        };
        if !store.is_fresh() {
            table.load_all(load)?;
        }
        Ok(table)
    }

    fn load_all(&mut self, load: &mut Load<'_>) -> Result<(), StateError> {
        let mut stored: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        self.store.scan(self.id, &mut |_, key, value| {
            stored.push((key.to_vec(), value.to_vec()));
            Ok(())
        })?;
        let mut slots = Vec::new();
        for batch in stored.chunks(SCAN_BATCH) {
            let mut rows = Vec::with_capacity(batch.len());
            for (key, _) in batch {
                if self.is_distinct {
                    rows.push(key.as_slice());
                    continue;
                }
                let (row, suffix) = key.split_last_chunk::<SUFFIX_BYTES>().ok_or_else(|| self.damaged())?;
                let suffix = u64::from_be_bytes(*suffix);
                self.generation = self.generation.max((suffix >> 32) as u32 + 1);
                self.suffixes.push(suffix);
                rows.push(row);
            }
            let columns = match &self.converter {
                None => Vec::new(),
                Some(converter) => {
                    // Lengths and content are the store's: what does not parse is damage.
                    let bytes = BinaryArray::from_iter_values(rows);
                    let parser = converter.parser();
                    converter.convert_rows((0..bytes.len()).map(|row| parser.parse(bytes.value(row))))?
                }
            };
            self.add(&columns, batch.len(), &mut slots)?;
            for (slot, (_, value)) in slots.iter().zip(batch) {
                self.flags[*slot as usize] = LIVE | STORED;
                load(*slot, unversioned(&self.name, value)?)?;
            }
        }
        Ok(())
    }

    fn damaged(&self) -> StateError {
        StateError::Corrupt { table: self.name.clone(), message: "a key is too short".into() }
    }

    /// The table's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.flags.len() - self.free.len()
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All slots are below this number.
    pub fn slots_max(&self) -> usize {
        self.flags.len()
    }

    /// Memory in bytes, about.
    pub fn size_bytes(&self) -> usize {
        let columns: usize = self.columns.iter().map(|c| c.size_bytes()).sum();
        let gone: usize = self.gone.iter().map(|k| k.capacity() + size_of::<Vec<u8>>()).sum();
        columns + gone + self.flags.capacity() + self.free.capacity() * 4 + self.suffixes.capacity() * 8
    }

    /// Adds `rows` rows; `slots` are theirs afterwards.
    ///
    /// # Errors
    /// A value that cannot be encoded.
    pub fn add(&mut self, columns: &[ArrayRef], rows: usize, slots: &mut Vec<u32>) -> Result<(), StateError> {
        let columns = self.prepare(0, columns)?;
        slots.clear();
        self.begin();
        slots.extend((0..rows as u32).map(|row| self.create(row)));
        self.write(&columns);
        Ok(())
    }

    /// The columns of a batch, the first of which is column `from`, in the form in which the other calls take them.
    ///
    /// # Errors
    /// A value that cannot be encoded.
    pub fn prepare(&self, from: usize, columns: &[ArrayRef]) -> Result<Vec<ArrayRef>, StateError> {
        self.columns[from..].iter().zip(columns).map(|(column, values)| column.prepare(values)).collect()
    }

    /// Another batch begins.
    pub fn begin(&mut self) {
        self.created.clear();
        self.written = 0;
    }

    /// A slot for a row of the batch. What it holds is undefined until it is [written](Self::write).
    #[inline]
    pub fn create(&mut self, row: u32) -> u32 {
        let slot = match self.free.pop() {
            Some(slot) => {
                if let Some(suffix) = self.suffixes.get_mut(slot as usize) {
                    *suffix = suffix_of(self.generation, slot);
                }
                self.flags[slot as usize] = LIVE | DIRTY;
                slot
            }
            None => {
                let slot = self.flags.len();
                make_room(&mut self.flags, slot + 1);
                self.flags.push(LIVE | DIRTY);
                slot as u32
            }
        };
        self.created.push(Created { row, slot });
        slot
    }

    /// Takes in the rows for which slots were made since the last time; `columns` are those of the whole batch, prepared.
    pub fn write(&mut self, columns: &[ArrayRef]) {
        for (column, values) in self.columns.iter_mut().zip(columns) {
            column.resize(self.flags.len());
            column.write(values, &self.created[self.written..]);
        }
        self.written = self.created.len();
    }

    /// The rows of the batch for which slots were made, and the slots.
    pub fn created(&self) -> impl Iterator<Item = (u32, u32)> {
        self.created.iter().map(|c| (c.row, c.slot))
    }

    /// Appends the rows of the batch whose values in `columns` (prepared, one for each of `at`) are not those of their slots.
    pub fn mismatches(&self, at: Range<usize>, columns: &[ArrayRef], slots: &[u32], rows: &mut Vec<u32>) {
        let from = rows.len();
        for (column, values) in self.columns[at].iter().zip(columns) {
            column.mismatches(values, slots, rows);
        }
        if columns.len() > 1 {
            rows[from..].sort_unstable();
            rows.dedup();
        }
    }

    /// Keeps those pairs of a row of the batch and a slot whose values in `columns` are equal, in their order; `others` are the pairs
    /// that are not.
    pub fn matches(
        &self,
        at: Range<usize>,
        columns: &[ArrayRef],
        pairs: &mut Vec<(u32, u32)>,
        others: &mut Vec<(u32, u32)>,
    ) {
        for (column, values) in self.columns[at].iter().zip(columns) {
            column.matches(values, pairs, others);
        }
    }

    /// Whether a row of the batch has the values of a slot: for the rare cases.
    pub fn equals(&self, at: Range<usize>, columns: &[ArrayRef], row: u32, slot: u32) -> bool {
        self.columns[at].iter().zip(columns).all(|(column, values)| column.equals(values, row as usize, slot))
    }

    /// Sets the owner's mark `bit` (0 to 4) of a slot, until it is [unmarked](Self::unmark) or the row goes. Returns whether it was
    /// set before. Marks are not stored.
    #[inline]
    pub fn mark(&mut self, slot: u32, bit: u8) -> bool {
        let flags = &mut self.flags[slot as usize];
        let was = *flags & (1 << (OWN_BITS + bit)) != 0;
        *flags |= 1 << (OWN_BITS + bit);
        was
    }

    /// Takes the owner's mark `bit` from a slot.
    #[inline]
    pub fn unmark(&mut self, slot: u32, bit: u8) {
        self.flags[slot as usize] &= !(1 << (OWN_BITS + bit));
    }

    /// Whether the owner's mark `bit` of a slot is set.
    #[inline]
    pub fn is_marked(&self, slot: u32, bit: u8) -> bool {
        self.flags[slot as usize] & (1 << (OWN_BITS + bit)) != 0
    }

    /// Says that what belongs to `slots` changed and is to be written when the table is persisted.
    pub fn mark_dirty(&mut self, slots: &[u32]) {
        slots.iter().for_each(|s| self.flags[*s as usize] |= DIRTY);
    }

    /// Whether a slot belongs to a row.
    pub fn is_live(&self, slot: u32) -> bool {
        self.flags.get(slot as usize).is_some_and(|f| f & LIVE != 0)
    }

    /// One column of `slots`.
    ///
    /// # Errors
    /// A value that was stored by another version.
    pub fn column(&self, column: usize, slots: &[u32]) -> Result<ArrayRef, StateError> {
        self.columns[column].gather(slots)
    }

    /// All slots in use, ascending.
    pub fn slots(&self) -> Vec<u32> {
        (0..self.flags.len() as u32).filter(|s| self.flags[*s as usize] & LIVE != 0).collect()
    }

    /// Removes the rows of `slots`, which are all in use and different.
    ///
    /// # Errors
    /// A row that cannot be encoded.
    pub fn remove(&mut self, slots: &[u32]) -> Result<(), StateError> {
        let stored: Vec<u32> = slots.iter().copied().filter(|s| self.flags[*s as usize] & STORED != 0).collect();
        let keys = self.full_keys(&stored)?;
        self.gone.extend(keys);
        for slot in slots {
            debug_assert!(self.flags[*slot as usize] & LIVE != 0, "slot {slot} is in use");
            self.flags[*slot as usize] = 0;
            self.columns.iter_mut().for_each(|c| c.clear(*slot));
            self.free.push(*slot);
        }
        Ok(())
    }

    /// Writes what changed since the last time. `encode` appends what belongs to a slot.
    ///
    /// # Errors
    /// The store cannot be written; then nothing was, and it can be tried again.
    pub fn persist(&mut self, encode: &mut dyn FnMut(u32, &mut Vec<u8>)) -> Result<(), StateError> {
        let dirty: Vec<u32> = (0..self.flags.len() as u32).filter(|s| self.flags[*s as usize] & DIRTY != 0).collect();
        let keys = self.full_keys(&dirty)?;
        // A slot may have been given to another row of the same content: what is new comes after what is gone.
        let mut writes: Vec<Write> = self.gone.iter().cloned().map(Write::Delete).collect();
        for (slot, key) in dirty.iter().zip(keys) {
            let mut value = vec![VERSION];
            encode(*slot, &mut value);
            writes.push(Write::Put(key, value));
        }
        self.store.write(writes)?;
        self.gone.clear();
        for slot in dirty {
            let flags = &mut self.flags[slot as usize];
            *flags = *flags & !DIRTY | STORED;
        }
        Ok(())
    }

    fn full_keys(&self, slots: &[u32]) -> Result<Vec<Vec<u8>>, StateError> {
        if slots.is_empty() {
            return Ok(Vec::new());
        }
        let columns: Vec<ArrayRef> = self.columns.iter().map(|c| c.gather(slots)).collect::<Result<_, _>>()?;
        let hashes = hash_columns(&columns[..self.distribution], slots.len())?;
        let rows = self.converter.as_ref().map(|c| c.convert_columns(&columns)).transpose()?;
        let key = |(at, slot): (usize, &u32)| {
            let group = self.store.groups().group_of(hashes[at]);
            let row = rows.as_ref().map(|rows| rows.row(at));
            let mut key = self.store.full_key(self.id, group, row.as_ref().map_or(&[], |row| row.data()));
            if !self.is_distinct {
                key.extend_from_slice(&self.suffix(*slot).to_be_bytes());
            }
            key
        };
        Ok(slots.iter().enumerate().map(key).collect())
    }

    fn suffix(&self, slot: u32) -> u64 {
        self.suffixes.get(slot as usize).copied().unwrap_or(suffix_of(self.generation, slot))
    }
}

fn suffix_of(generation: u32, slot: u32) -> u64 {
    u64::from(generation) << 32 | u64::from(slot)
}

#[cfg(test)]
mod tests;
