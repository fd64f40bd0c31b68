//! Rows in columns, added and removed by **slot**. The table keeps no index and no hash: how rows are found is their owner's affair,
//! who compares what he looks for with what a slot holds, a batch at a time. What the sides of joins are.
//!
//! In the store a row is its own key, and its leading columns are the key's lead. Where equal rows are kept apart, each in a slot of its own, they are told apart
//! by eight bytes behind the row: the *generation* of the table that wrote it, and its slot there. A table's generation is greater
//! than that of any row it was opened with, so what it writes never meets what was written before, whatever shards the rows
//! come from: rows of one distribution key have been written on one shard at any time, and move together.

mod loose;

use crate::ages::{Ages, Stored, put_head_of};
use crate::lead::{NOTES, length_of};
use crate::slot_table::key_column::{Created, KeyColumn, canonical_column, key_column};
use crate::{
    Batch, BySlot, Encode, Load, Piece, Puts, StateError, Store, StoredEntry, TableId, Values, Write, WriteRef,
};
use arrow::array::{Array, ArrayRef, BinaryArray, UInt32Array, new_null_array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use eddyline_changes::KeyGroup;
use eddyline_changes::hash::hash_columns;
use std::collections::HashSet;
use std::ops::Range;

pub use loose::LooseRows;

/// Entries that are read from the store at a time.
const SCAN_BATCH: usize = 4096;
const SUFFIX_BYTES: usize = 8;

/// A key of the store and its value.
type EntryRef<'a> = (&'a [u8], &'a [u8]);

const LIVE: u8 = 1;
const DIRTY: u8 = 2;
const STORED: u8 = 4;
/// Added to the number of a table: where its generation is noted.
const GENERATIONS: TableId = NOTES;
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
    /// `Some`: rows may be in the store alone, and are brought in by their leading `distribution` columns when they are asked
    /// for (without such columns as [`LooseRows`]); when the table is opened, all are if there are no more than this. `None`: all are in memory always.
    pub lazily: Option<usize>,
    /// `Some`: rows that are not [touched](RowTable::touch) for so long are to be forgotten.
    pub ttl_ms: Option<u64>,
}

/// Rows of the store on their way in. See [`RowTable::next_stored`].
#[derive(Debug)]
pub struct StoredRows {
    entries: Vec<StoredEntry>,
    /// Their leading columns.
    pub keys: Vec<ArrayRef>,
    /// The full key behind them; `None`: they are the last.
    pub next: Option<Vec<u8>>,
}

impl StoredRows {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
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
    flags: BySlot<u8>,
    free: Vec<u32>,
    /// Full keys whose removal is not yet written.
    gone: HashSet<Vec<u8>>,
    generation: u32,
    /// By slot: what tells a row apart in the store. Of slots beyond, the generation and the slot.
    suffixes: Vec<u64>,
    /// Once slots are no names any more, because what was in them may be in the store: the next suffix. Then all slots have theirs in
    /// `suffixes`.
    next_suffix: Option<u64>,
    /// The generation is to be noted in the store.
    notes_generation: bool,
    /// No row is in the store that is not here.
    is_complete: bool,
    /// Where [`next_stored`](Self::next_stored) goes on: everything in the store before this full key is here.
    cursor: Vec<u8>,
    is_lazy: bool,
    /// Where rows are forgotten that were not touched for a time.
    ages: Option<Ages>,
    /// Slots that were given since [`begin`](Self::begin), and how many of them are [written](Self::write).
    created: Vec<Created>,
    written: usize,
    converter: Option<RowConverter>,
    /// Of the leading columns by which rows are brought in.
    keys: Option<RowConverter>,
    /// How many bytes these columns take in a key, where it is always the same.
    lead_bytes: Option<usize>,
}

impl RowTable {
    /// Opens a table of `store`, all its rows brought into memory: each is given to `load` with its slot.
    ///
    /// # Errors
    /// [`StateError::KeyType`] for a type that cannot be encoded (`MAP`); the store cannot be read, or `load` failed.
    pub fn open(spec: RowTableSpec<'_>, store: &Store, load: &mut Load<'_>) -> Result<Self, StateError> {
        let RowTableSpec { name, types, id, distribution, is_distinct, lazily, ttl_ms } = spec;
        let fields = fields_of(types);
        let keys = match distribution {
            0 => None,
            _ => Some(RowConverter::new(fields_of(&types[..distribution]))?),
        };
        let mut table = Self {
            name: name.into(),
            store: store.clone(),
            id: Store::by_lead(id),
            distribution,
            is_distinct,
            columns: types.iter().map(|t| key_column(name, t)).collect::<Result<_, _>>()?,
            flags: BySlot::new(),
            free: Vec::new(),
            gone: HashSet::new(),
            generation: 0,
            suffixes: Vec::new(),
            next_suffix: None,
            notes_generation: lazily.is_some() && !is_distinct,
            is_complete: true,
            cursor: Vec::new(),
            is_lazy: lazily.is_some(),
            ages: ttl_ms.map(|ttl_ms| Ages::new(ttl_ms, Vec::new())),
            lead_bytes: lead_bytes(keys.as_ref(), &types[..distribution])?,
            keys,
            created: Vec::new(),
            written: 0,
            converter: if fields.is_empty() { None } else { Some(RowConverter::new(fields)?) },
        };
        if !store.is_fresh() {
            table.load_some(lazily.unwrap_or(usize::MAX), load)?;
        }
        Ok(table)
    }

    /// Brings all rows into memory, if they are no more than `rows_max`.
    fn load_some(&mut self, rows_max: usize, load: &mut Load<'_>) -> Result<(), StateError> {
        let Some(stored) = self.store.few_entries(self.id, rows_max)? else {
            self.is_complete = false;
            self.generation = self.next_generation()?;
            self.next_suffix = Some(suffix_of(self.generation, 0));
            return Ok(());
        };
        let noted = self.noted_generation()?;
        for batch in stored.chunks(SCAN_BATCH) {
            self.take_in(&borrowed(batch), load)?;
        }
        self.generation = self.generation.max(noted.map_or(0, |noted| noted + 1));
        if !self.is_lazy && noted.is_some() {
            // What is written from now on is not counted there.
            let (store, id) = (&self.store, self.id | GENERATIONS);
            self.gone.extend(self.store.owned().map(|group| store.full_key(id, group, &[])));
        }
        Ok(())
    }

    /// The columns of rows of the store, and what tells them apart.
    fn parsed(&self, stored: &[EntryRef<'_>]) -> Result<(Vec<ArrayRef>, Vec<u64>), StateError> {
        let mut rows = Vec::with_capacity(stored.len());
        let mut suffixes = Vec::new();
        for (key, _) in stored {
            if self.is_distinct {
                rows.push(*key);
                continue;
            }
            let (row, suffix) = key.split_last_chunk::<SUFFIX_BYTES>().ok_or_else(|| self.damaged())?;
            suffixes.push(u64::from_be_bytes(*suffix));
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
        Ok((columns, suffixes))
    }

    /// Takes in rows of the store. Returns their slots.
    fn take_in(&mut self, stored: &[EntryRef<'_>], load: &mut Load<'_>) -> Result<Vec<u32>, StateError> {
        let values: Vec<Stored<'_>> =
            stored.iter().map(|(_, value)| Stored::parse(&self.name, value)).collect::<Result<_, _>>()?;
        if let Some(ages) = &self.ages
            && values.iter().any(|value| ages.is_over(value))
        {
            // What is over is not there; it is removed when the store is tidied.
            let there = stored.iter().zip(&values).filter(|(_, value)| !ages.is_over(value));
            let there: Vec<EntryRef<'_>> = there.map(|(entry, _)| *entry).collect();
            return if there.is_empty() { Ok(Vec::new()) } else { self.take_in(&there, load) };
        }
        let (columns, suffixes) = self.parsed(stored)?;
        let mut slots = Vec::new();
        self.add(&columns, stored.len(), &mut slots)?;
        for (slot, suffix) in slots.iter().zip(suffixes) {
            if self.suffixes.len() <= *slot as usize {
                self.suffixes.resize(*slot as usize + 1, 0);
            }
            self.suffixes[*slot as usize] = suffix;
            if self.next_suffix.is_none() {
                self.generation = self.generation.max((suffix >> 32) as u32 + 1);
            }
        }
        for (slot, stored) in slots.iter().zip(values) {
            self.flags[*slot as usize] = LIVE | STORED;
            if let Some(ages) = &mut self.ages {
                ages.admit(*slot, stored.touched_ms);
            }
            load(*slot, stored.value)?;
        }
        Ok(slots)
    }

    /// The greatest generation that was noted in the store.
    fn noted_generation(&self) -> Result<Option<u32>, StateError> {
        let mut noted = None;
        if !self.is_distinct {
            self.store.scan(self.id | GENERATIONS, &mut |_, _, value| {
                let bytes = Stored::parse(&self.name, value)?.value.first_chunk().ok_or_else(|| self.damaged())?;
                noted = noted.max(Some(u32::from_le_bytes(*bytes)));
                Ok(())
            })?;
        }
        Ok(noted)
    }

    /// A generation greater than that of any row in the store.
    fn next_generation(&self) -> Result<u32, StateError> {
        if self.is_distinct {
            return Ok(0);
        }
        if let Some(noted) = self.noted_generation()? {
            return Ok(noted + 1);
        }
        let mut next = 0;
        self.store.scan(self.id, &mut |_, key, _| {
            let (_, suffix) = key.split_last_chunk::<SUFFIX_BYTES>().ok_or_else(|| self.damaged())?;
            next = next.max((u64::from_be_bytes(*suffix) >> 32) as u32 + 1);
            Ok(())
        })?;
        Ok(next)
    }

    /// Is no row in the store that is not here?
    #[inline]
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Brings in the rows of keys of which none is here: `rows` of the leading `columns`, with the hashes of all. Returns their slots.
    ///
    /// # Errors
    /// The store cannot be read, or `load` failed.
    pub fn load_keys(
        &mut self,
        columns: &[ArrayRef],
        rows: &[u32],
        hashes: &[u64],
        load: &mut Load<'_>,
    ) -> Result<Vec<u32>, StateError> {
        let Some(converter) = &self.keys else { return Ok(Vec::new()) };
        let rows_array = UInt32Array::from(rows.to_vec());
        let columns = columns.iter().map(|c| canonical_column(&take(c, &rows_array, None)?));
        let keys = converter.convert_columns(&columns.collect::<Result<Vec<_>, ArrowError>>()?)?;
        let group_of = |row: &u32| self.store.groups().group_of(hashes[*row as usize]);
        let mut leads: Vec<(KeyGroup, &[u8])> =
            keys.iter().zip(rows).map(|(k, row)| (group_of(row), k.data())).collect();
        leads.sort_unstable();
        leads.dedup();
        let mut slots = Vec::new();
        for leads in leads.chunks(Store::BATCH) {
            // One piece of memory for all.
            let mut stored = Batch::new();
            self.store.scan_leads(self.id, leads, &mut |_, entry| {
                if self.gone.is_empty() || !self.gone.contains(entry.full_key) {
                    stored.push(WriteRef::Put(entry.key, entry.value));
                }
                Ok(())
            })?;
            let entries = stored.iter().filter_map(|entry| match entry {
                WriteRef::Put(key, value) => Some((key, value)),
                WriteRef::Delete(_) | WriteRef::DeleteRange(..) => None,
            });
            for batch in entries.collect::<Vec<_>>().chunks(SCAN_BATCH) {
                slots.extend(self.take_in(batch, load)?);
            }
        }
        Ok(slots)
    }

    /// The rows that stand in the store at the full key `from` or behind it (empty: all), about `rows_max` of them: all that have the same
    /// leading columns, or none.
    ///
    /// # Errors
    /// The store cannot be read, or holds what is no row.
    pub fn stored_from(&self, from: &[u8], rows_max: usize) -> Result<StoredRows, StateError> {
        let Piece { mut entries, next } = self.store.piece(self.id, from, rows_max)?;
        if !self.gone.is_empty() {
            entries.retain(|(full_key, _)| !self.gone.contains(full_key));
        }
        let entries: Vec<StoredEntry> =
            entries.into_iter().map(|(full_key, value)| (Store::key_of(self.id, &full_key).to_vec(), value)).collect();
        let mut keys = self.parsed(&borrowed(&entries))?.0;
        keys.truncate(self.distribution);
        Ok(StoredRows { entries, keys, next })
    }

    /// The next of the rows that may be in the store alone, of those that were not taken by [`take_next`](Self::take_next).
    ///
    /// # Errors
    /// As [`stored_from`](Self::stored_from).
    pub fn next_stored(&self, rows_max: usize) -> Result<StoredRows, StateError> {
        self.stored_from(&self.cursor, rows_max)
    }

    /// Takes those of the rows that are wanted; in their leading columns no row here has. Returns their slots.
    ///
    /// # Errors
    /// `load` failed.
    pub fn take_stored(
        &mut self,
        stored: &mut StoredRows,
        is_wanted: &[bool],
        load: &mut Load<'_>,
    ) -> Result<Vec<u32>, StateError> {
        let mut wanted = is_wanted.iter();
        stored.entries.retain(|_| wanted.next().is_some_and(|wanted| *wanted));
        if stored.entries.is_empty() { Ok(Vec::new()) } else { self.take_in(&borrowed(&stored.entries), load) }
    }

    /// As [`take_stored`](Self::take_stored), of the [next](Self::next_stored) rows; those that are not missing are here already.
    ///
    /// # Errors
    /// As [`take_stored`](Self::take_stored).
    pub fn take_next(
        &mut self,
        mut stored: StoredRows,
        is_missing: &[bool],
        load: &mut Load<'_>,
    ) -> Result<Vec<u32>, StateError> {
        let slots = self.take_stored(&mut stored, is_missing, load)?;
        self.is_complete = stored.next.is_none();
        self.cursor = stored.next.unwrap_or_default();
        Ok(slots)
    }

    /// Leaves rows to the store alone. They must be all that have their leading columns.
    ///
    /// # Contract
    /// Nothing of them changed since the table was [persisted](Self::persist). The owner clears what is its own.
    pub fn leave(&mut self, slots: &[u32]) {
        if slots.is_empty() {
            return;
        }
        if !self.is_distinct && self.next_suffix.is_none() {
            // Slots are given again, while what was in them stays in the store under their number.
            let (from, generation) = (self.suffixes.len(), self.generation);
            self.suffixes.extend((from..self.flags.len()).map(|slot| suffix_of(generation, slot as u32)));
            self.next_suffix = Some(suffix_of(generation, self.flags.len() as u32));
        }
        for slot in slots {
            debug_assert_eq!(self.flags[*slot as usize] & (LIVE | DIRTY), LIVE, "slot {slot} is in use and written");
        }
        self.forget(slots);
        self.is_complete = false;
        self.cursor.clear();
    }

    fn forget(&mut self, slots: &[u32]) {
        slots.iter().for_each(|slot| self.flags[*slot as usize] = 0);
        self.columns.iter_mut().for_each(|c| c.clear(slots));
        self.free.extend_from_slice(slots);
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

    /// How much of `size_bytes`, which the table and what its owner keeps by slot take, is taken by rows that are there.
    pub fn taken_bytes(&self, size_bytes: usize) -> usize {
        let heap: usize = self.columns.iter().map(|c| c.heap_bytes()).sum();
        let by_slot = size_bytes.saturating_sub(heap) as u128;
        heap + (by_slot * self.len() as u128 / self.flags.len().max(1) as u128) as usize
    }

    /// Memory in bytes, about.
    pub fn size_bytes(&self) -> usize {
        let columns: usize = self.columns.iter().map(|c| c.size_bytes()).sum();
        let gone: usize = self.gone.iter().map(|k| k.capacity() + size_of::<Vec<u8>>()).sum();
        let ages = self.ages.as_ref().map_or(0, Ages::size_bytes);
        columns + gone + ages + self.flags.size_bytes() + self.free.capacity() * 4 + self.suffixes.capacity() * 8
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
                self.flags.push(LIVE | DIRTY);
                slot as u32
            }
        };
        if let Some(next) = &mut self.next_suffix
            && !self.is_distinct
        {
            if self.suffixes.len() <= slot as usize {
                self.suffixes.resize(slot as usize + 1, 0);
            }
            self.suffixes[slot as usize] = *next;
            *next += 1;
        }
        self.created.push(Created { row, slot });
        slot
    }

    /// Takes in the rows for which slots were made since the last time; `columns` are those of the whole batch, prepared.
    pub fn write(&mut self, columns: &[ArrayRef]) {
        if self.written == self.created.len() {
            return;
        }
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

    /// Notes that rows are used. Nothing happens in a table that forgets none.
    pub fn touch(&mut self, slots: &[u32], now_ms: i64) {
        let Some(ages) = &mut self.ages else { return };
        ages.touch(slots, now_ms);
        // Their time is to be written.
        self.mark_dirty(slots);
    }

    /// Tells the time. Returns the slots that were not touched for the time to live, which the owner must [`remove`](Self::remove); what the
    /// store alone has is not found any more then.
    pub fn take_idle(&mut self, now_ms: i64) -> Vec<u32> {
        let Some(ages) = &mut self.ages else { return Vec::new() };
        let flags = &self.flags;
        ages.take(now_ms, |slot| flags.get(slot as usize).is_some_and(|f| f & LIVE != 0))
    }

    /// Removes what is over and stands in the store alone, of about `rows_max` rows there, the next ones.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn tidy(&mut self, rows_max: usize) -> Result<(), StateError> {
        let Some(ages) = self.ages.as_mut().filter(|_| !self.is_complete) else { return Ok(()) };
        let gone = &self.gone;
        let over = ages.look_through(&self.store, (self.id, &self.name), rows_max, |key| gone.contains(key))?;
        self.gone.extend(over);
        Ok(())
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
        self.flags.marked(LIVE)
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
        }
        self.forget(slots);
        Ok(())
    }

    /// Writes what changed since the last time. `encode` appends what belongs to a slot.
    ///
    /// # Errors
    /// The store cannot be written; then a part was, and it can be tried again.
    pub fn persist(&mut self, encode: &mut Encode<'_>) -> Result<(), StateError> {
        // A slot may have been given to another row of the same content: what is new comes after what is gone.
        self.store.write_all(self.gone.iter().map(|key| WriteRef::Delete(key)))?;
        self.gone.clear();
        let dirty = self.flags.marked(DIRTY);
        if !dirty.is_empty() {
            self.note_generation()?;
        }
        let (mut left, mut count) = (dirty.as_slice(), Store::BATCH);
        while !left.is_empty() {
            let (slots, rest) = left.split_at(count.min(left.len()));
            let puts = self.puts(slots, encode)?;
            self.store.put(&puts)?;
            for slot in slots {
                let flags = &mut self.flags[*slot as usize];
                *flags = *flags & !DIRTY | STORED;
            }
            (left, count) = (rest, puts.count_of_next());
        }
        Ok(())
    }

    /// What is written of slots.
    fn puts(&self, slots: &[u32], encode: &mut Encode<'_>) -> Result<Puts, StateError> {
        let gather = |columns: &[Box<dyn KeyColumn>], slots: &[u32]| -> Result<Vec<ArrayRef>, StateError> {
            columns.iter().map(|c| c.gather(slots)).collect()
        };
        let (slots, groups) = self.store.dealt_out(slots, &gather(&self.columns[..self.distribution], slots)?)?;
        let values = Values::of(&slots, self.ages.as_ref(), encode);
        let replaces = slots.iter().map(|slot| self.flags[*slot as usize] & STORED != 0).collect();
        let suffixes = (!self.is_distinct).then(|| slots.iter().map(|slot| self.suffix(*slot)).collect());
        let (operator, lead, keys) = (self.store.operator(), Some(self.distribution), gather(&self.columns, &slots)?);
        Ok(Puts { operator, table: self.id, lead, groups, keys, suffixes, values, replaces })
    }

    /// Notes the generation of what is about to be written, for every key group: they may move to different shards.
    fn note_generation(&mut self) -> Result<(), StateError> {
        let generation = self.next_suffix.map_or(self.generation, |next| (next >> 32) as u32);
        if !self.notes_generation && generation == self.generation || !self.is_lazy || self.is_distinct {
            return Ok(());
        }
        let note = |group| {
            let mut value = Vec::new();
            put_head_of(None, 0, &mut value);
            value.extend_from_slice(&generation.to_le_bytes());
            Write::Put(self.store.full_key(self.id | GENERATIONS, group, &[]), value)
        };
        self.store.write(self.store.owned().map(note).collect())?;
        (self.generation, self.notes_generation) = (generation, false);
        Ok(())
    }

    fn full_keys(&self, slots: &[u32]) -> Result<Vec<Vec<u8>>, StateError> {
        if slots.is_empty() {
            return Ok(Vec::new());
        }
        let keys = self.encoded(slots)?;
        let key = |(at, slot): (usize, &u32)| {
            let mut key = Vec::with_capacity(12 + 24);
            self.put_key(&keys, at, *slot, &mut key);
            key
        };
        Ok(slots.iter().enumerate().map(key).collect())
    }

    fn encoded(&self, slots: &[u32]) -> Result<EncodedRows, StateError> {
        let columns: Vec<ArrayRef> = self.columns.iter().map(|c| c.gather(slots)).collect::<Result<_, _>>()?;
        let hashes = hash_columns(&columns[..self.distribution], slots.len())?;
        let leads = match (&self.keys, self.lead_bytes) {
            (Some(keys), None) => Some(keys.convert_columns(&columns[..self.distribution])?),
            _ => None,
        };
        Ok(EncodedRows {
            groups: hashes.iter().map(|h| self.store.groups().group_of(*h)).collect(),
            rows: self.converter.as_ref().map(|c| c.convert_columns(&columns)).transpose()?,
            leads,
        })
    }

    /// Appends the full key of a row, the one at a place of those encoded.
    fn put_key(&self, encoded: &EncodedRows, at: usize, slot: u32, out: &mut Vec<u8>) {
        self.store.put_prefix(self.id, encoded.groups[at], out);
        let lead_bytes = encoded.leads.as_ref().map(|leads| leads.row(at).data().len()).or(self.lead_bytes);
        out.extend_from_slice(&length_of(lead_bytes.unwrap_or_default()));
        if let Some(rows) = &encoded.rows {
            out.extend_from_slice(rows.row(at).data());
        }
        if !self.is_distinct {
            out.extend_from_slice(&self.suffix(slot).to_be_bytes());
        }
    }

    fn suffix(&self, slot: u32) -> u64 {
        self.suffixes.get(slot as usize).copied().unwrap_or(suffix_of(self.generation, slot))
    }
}

/// Key groups and columns of some rows.
struct EncodedRows {
    groups: Vec<KeyGroup>,
    /// `None`: rows of no columns.
    rows: Option<Rows>,
    /// Their leads, where these differ in length.
    leads: Option<Rows>,
}

fn borrowed(entries: &[StoredEntry]) -> Vec<EntryRef<'_>> {
    entries.iter().map(|(key, value)| (key.as_slice(), value.as_slice())).collect()
}

fn fields_of(types: &[DataType]) -> Vec<SortField> {
    types.iter().map(|t| SortField::new(t.clone())).collect()
}

/// How many bytes a row of these columns takes, where it is the same for all.
fn lead_bytes(converter: Option<&RowConverter>, types: &[DataType]) -> Result<Option<usize>, ArrowError> {
    let Some(converter) = converter else { return Ok(Some(0)) };
    if types.iter().any(|t| !t.is_primitive() && *t != DataType::Boolean) {
        return Ok(None);
    }
    let nulls: Vec<ArrayRef> = types.iter().map(|t| new_null_array(t, 1)).collect();
    Ok(Some(converter.convert_columns(&nulls)?.row(0).data().len()))
}

fn suffix_of(generation: u32, slot: u32) -> u64 {
    u64::from(generation) << 32 | u64::from(slot)
}

#[cfg(test)]
mod tests;
