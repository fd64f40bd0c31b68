//! A table from keys to **slots**: small dense numbers, by which the accumulators of the keys are found.
//!
//! The table holds the keys alone; what belongs to a key its owner keeps in columns indexed by slot, and says how
//! it is encoded when the table is persisted.
//!
//! A batch is looked up in passes over columns, none of which goes through a `dyn` call or an encoding per row:
//! 1. every row's hash is probed in an index of (tag, slot), where the tag is 32 bits of the hash; a row without an
//!    entry gets a new slot at once, so equal new keys of one batch meet there;
//! 2. the keys of new slots are copied in, column by column;
//! 3. every row's key is compared with that of its slot, column by column. Rows that differ, because another key
//!    has the same tag, are looked up again with a full comparison;
//! 4. unless the hot set is known to hold everything, new slots are looked up in the store, all at once.
//!
//! Values are normalised where SQL calls them equal (`-0.0`, NaN), so results do not depend on who came first.

mod ages;
mod byte_keys;
mod first;
pub(crate) mod key_column;

use crate::ages::{Ages, Stored};
use crate::{BySlot, Piece, Puts, StateError, Store, StoredEntry, TableId, Values, WriteRef};
use arrow::array::{Array, ArrayRef, BinaryArray};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use eddyline_changes::KeyGroup;
use eddyline_changes::hash::hash_columns;
use hashbrown::{HashSet, HashTable};
use key_column::{Created, KeyColumn, key_column};
use std::ops::Range;

/// What is done with the stored value of a slot that was found in the store.
pub type Load<'a> = dyn FnMut(u32, &[u8]) -> Result<(), StateError> + 'a;

/// Appends what belongs to a slot to the bytes that are stored.
pub type Encode<'a> = dyn FnMut(u32, &mut Vec<u8>) + 'a;

/// How an owner hashes keys: columns and number of rows in, one hash per row out.
pub type HashKeys<'a> = dyn Fn(&[ArrayRef], usize) -> Result<Vec<u64>, ArrowError> + 'a;

/// Entries that are read from the store at a time.
const SCAN_BATCH: usize = 4096;

const LIVE: u8 = 1;
const DIRTY: u8 = 2;
const STORED: u8 = 4;
/// Used since the hand of [`SlotTable::evict`] came by.
const TOUCHED: u8 = 8;
/// Taken up by the hand.
const LEAVING: u8 = 16;

#[derive(Clone, Copy)]
struct Entry {
    tag: u32,
    slot: u32,
}

/// Bits of the hash that the index uses neither for the bucket nor for its own tag.
#[inline(always)]
fn tag(hash: u64) -> u32 {
    (hash >> 25) as u32
}

/// Where a table is kept below the hot set.
struct Home {
    store: Store,
    id: TableId,
    /// The key columns that decide the key group.
    distribution: Range<usize>,
}

/// Keys and their slots. See the module's page.
///
/// # Contract
/// `hashes[i]` is a function of the key of row `i` alone, and the same at every call. It need not be the hash by which rows
/// are dealt out to shards: that is computed from the key when it is written.
pub struct SlotTable {
    name: String,
    home: Option<Home>,
    index: HashTable<Entry>,
    columns: Vec<Box<dyn KeyColumn>>,
    /// By slot: hash of the key.
    hashes: BySlot<u64>,
    /// By slot: [`LIVE`], [`DIRTY`], [`STORED`].
    flags: BySlot<u8>,
    free: Vec<u32>,
    /// Full keys whose removal is not yet written.
    gone: HashSet<Vec<u8>>,
    /// Ranges of full keys whose removal is not yet written.
    gone_ranges: Vec<(Vec<u8>, Vec<u8>)>,
    created: Vec<Created>,
    converter: Option<RowConverter>,
    types: Vec<DataType>,
    /// True when no key can be in the store that is not here.
    complete: bool,
    /// Where keys are forgotten that were not touched for a time.
    ages: Option<Ages>,
    /// Where [`evict`](Self::evict) goes on.
    hand: u32,
    /// Where [`scan_more`](Self::scan_more) goes on: everything in the store before this full key is here.
    cursor: Vec<u8>,
}

impl SlotTable {
    /// Opens table `id` of `store`. Rows are dealt out to shards by the first `distribution` key columns.
    ///
    /// # Errors
    /// [`StateError::KeyType`] for a key of a type that cannot be ordered (`MAP`).
    pub fn open(
        name: &str,
        types: &[DataType],
        store: &Store,
        id: TableId,
        distribution: usize,
    ) -> Result<Self, StateError> {
        let mut table = Self::transient(name, types)?;
        table.complete = store.is_fresh();
        table.home = Some(Home { store: store.clone(), id, distribution: 0..distribution });
        if !types.is_empty() {
            let fields = types.iter().map(|t| SortField::new(t.clone())).collect();
            table.converter = Some(RowConverter::new(fields)?);
        }
        Ok(table)
    }

    /// From now on rows are dealt out by other key columns than the first.
    #[must_use]
    pub fn dealt_by(mut self, columns: Range<usize>) -> Self {
        if let Some(home) = &mut self.home {
            home.distribution = columns;
        }
        self
    }

    /// A table in memory alone.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn transient(name: &str, types: &[DataType]) -> Result<Self, StateError> {
        Ok(Self {
            name: name.into(),
            home: None,
            index: HashTable::new(),
            columns: types.iter().map(|t| key_column(name, t)).collect::<Result<_, _>>()?,
            hashes: BySlot::new(),
            flags: BySlot::new(),
            free: Vec::new(),
            gone: HashSet::new(),
            gone_ranges: Vec::new(),
            created: Vec::new(),
            converter: None,
            types: types.to_vec(),
            complete: true,
            ages: None,
            hand: 0,
            cursor: Vec::new(),
        })
    }

    /// The table's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of keys in the hot set.
    pub fn len(&self) -> usize {
        self.hashes.len() - self.free.len()
    }

    /// True without keys in the hot set.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All slots are below this number.
    pub fn slots_max(&self) -> usize {
        self.hashes.len()
    }

    /// Memory of the keys and the index, about.
    pub fn size_bytes(&self) -> usize {
        let columns: usize = self.columns.iter().map(|c| c.size_bytes()).sum();
        let gone: usize = self.gone.iter().map(|k| k.capacity() + size_of::<Vec<u8>>()).sum();
        let by_slot = self.hashes.size_bytes() + self.flags.size_bytes();
        columns + gone + by_slot + self.index.allocation_size() + self.ages.as_ref().map_or(0, Ages::size_bytes)
    }

    /// The hash of a slot's key, as it was given.
    #[inline]
    pub fn hash(&self, slot: u32) -> u64 {
        self.hashes[slot as usize]
    }

    /// Whether a slot belongs to a key.
    pub fn is_live(&self, slot: u32) -> bool {
        self.flags.get(slot as usize).is_some_and(|f| f & LIVE != 0)
    }

    /// Finds the slots of the keys in `keys`, one per row, and gives new ones to keys that have none. What the store holds
    /// of a key is handed to `load`. Returns the slots that the table did not have before.
    ///
    /// A slot that the owner does not need after all it must [`remove`](Self::remove).
    ///
    /// # Errors
    /// The store cannot be read, or `load` failed.
    pub fn lookup(
        &mut self,
        keys: &[ArrayRef],
        hashes: &[u64],
        slots: &mut Vec<u32>,
        load: &mut Load<'_>,
    ) -> Result<Vec<u32>, StateError> {
        debug_assert_eq!(keys.len(), self.columns.len());
        let keys = self.prepare(keys)?;
        slots.clear();
        self.created.clear();
        self.probe(hashes, slots);
        self.write_created(&keys, 0);
        let mut wrong = Vec::new();
        for (column, key) in self.columns.iter().zip(&keys) {
            column.mismatches(key, slots, &mut wrong);
        }
        for row in wrong {
            slots[row as usize] = self.find_or_create(&keys, row, hashes[row as usize]);
        }
        let created: Vec<u32> = self.created.iter().map(|c| c.slot).collect();
        if !self.complete && !created.is_empty() {
            self.load_created(&created, load)?;
        }
        Ok(created)
    }

    /// The rows of the last [`lookup`](Self::lookup) for which slots were made, and the slots.
    pub fn created(&self) -> impl Iterator<Item = (u32, u32)> {
        self.created.iter().map(|c| (c.row, c.slot))
    }

    fn prepare(&self, keys: &[ArrayRef]) -> Result<Vec<ArrayRef>, StateError> {
        self.columns.iter().zip(keys).map(|(column, key)| column.prepare(key)).collect()
    }

    fn probe(&mut self, hashes: &[u64], slots: &mut Vec<u32>) {
        slots.reserve(hashes.len());
        let mut last: Option<(u64, u32)> = None;
        for (row, hash) in hashes.iter().enumerate() {
            if let Some((last_hash, slot)) = last
                && last_hash == *hash
            {
                slots.push(slot);
                continue;
            }
            let tag = tag(*hash);
            let slot = match self.index.find(*hash, |e| e.tag == tag) {
                Some(entry) => entry.slot,
                None => self.create(row as u32, *hash),
            };
            last = Some((*hash, slot));
            slots.push(slot);
        }
    }

    /// A new slot for the key of `row`, whose columns are not yet written.
    fn create(&mut self, row: u32, hash: u64) -> u32 {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.hashes[slot as usize] = hash;
                self.flags[slot as usize] = LIVE;
                slot
            }
            None => {
                self.hashes.push(hash);
                self.flags.push(LIVE);
                (self.hashes.len() - 1) as u32
            }
        };
        let hashes = &self.hashes;
        self.index.insert_unique(hash, Entry { tag: tag(hash), slot }, |e| hashes[e.slot as usize]);
        self.created.push(Created { row, slot });
        slot
    }

    fn write_created(&mut self, keys: &[ArrayRef], from: usize) {
        let slots = self.hashes.len();
        for (column, key) in self.columns.iter_mut().zip(keys) {
            column.resize(slots);
            column.write(key, &self.created[from..]);
        }
    }

    /// The slow way, for keys that share a tag.
    fn find_or_create(&mut self, keys: &[ArrayRef], row: u32, hash: u64) -> u32 {
        let (tag, columns) = (tag(hash), &self.columns);
        let found = self
            .index
            .find(hash, |e| e.tag == tag && columns.iter().zip(keys).all(|(c, k)| c.equals(k, row as usize, e.slot)));
        if let Some(entry) = found {
            return entry.slot;
        }
        let from = self.created.len();
        let slot = self.create(row, hash);
        self.write_created(keys, from);
        slot
    }

    fn load_created(&mut self, created: &[u32], load: &mut Load<'_>) -> Result<(), StateError> {
        for created in created.chunks(Store::BATCH) {
            let Some(home) = &self.home else { return Ok(()) };
            let full = self.full_keys(home, created)?;
            let asked: Vec<usize> = (0..full.len()).filter(|at| !self.is_gone(&full[*at])).collect();
            let wanted: Vec<&[u8]> = asked.iter().map(|at| full[*at].as_slice()).collect();
            for (at, value) in asked.iter().zip(home.store.multi_get(&wanted)?) {
                let Some(value) = value else { continue };
                let slot = created[*at];
                self.flags[slot as usize] |= STORED;
                let stored = Stored::parse(&self.name, &value)?;
                if !self.is_over(&stored) {
                    self.admit(slot, stored.touched_ms);
                    load(slot, stored.value)?;
                }
            }
        }
        Ok(())
    }

    /// Is a full key of the store removed, though that is not yet written?
    fn is_gone(&self, full_key: &[u8]) -> bool {
        let in_range = |(from, to): &(Vec<u8>, Vec<u8>)| from.as_slice() <= full_key && full_key < to.as_slice();
        !self.gone.is_empty() && self.gone.contains(full_key) || self.gone_ranges.iter().any(in_range)
    }

    /// The keys of `slots`, in columns.
    ///
    /// # Errors
    /// A key that was stored by another version.
    pub fn keys(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, StateError> {
        self.columns.iter().map(|c| c.gather(slots)).collect()
    }

    /// One column of the keys of `slots`.
    ///
    /// # Errors
    /// As [`keys`](Self::keys).
    pub fn key_column(&self, column: usize, slots: &[u32]) -> Result<ArrayRef, StateError> {
        self.columns[column].gather(slots)
    }

    /// All slots in use, ascending.
    pub fn slots(&self) -> Vec<u32> {
        self.flags.marked(LIVE)
    }

    /// Says that what belongs to `slots` changed and is to be written when the table is persisted.
    pub fn mark_dirty(&mut self, slots: &[u32]) {
        if self.home.is_none() {
            return;
        }
        slots.iter().for_each(|s| self.flags[*s as usize] |= DIRTY | TOUCHED);
    }

    /// Takes the keys of `slots`, which are all in use and different, out of the table. The slots will be given to other keys.
    ///
    /// # Errors
    /// A key that cannot be encoded.
    pub fn remove(&mut self, slots: &[u32]) -> Result<(), StateError> {
        if let Some(home) = &self.home {
            let stored: Vec<u32> = slots.iter().copied().filter(|s| self.flags[*s as usize] & STORED != 0).collect();
            let full = self.full_keys(home, &stored)?;
            self.gone.extend(full);
        }
        self.forget(slots);
        Ok(())
    }

    fn forget(&mut self, slots: &[u32]) {
        for slot in slots.iter().copied() {
            let hash = self.hashes[slot as usize];
            debug_assert!(self.flags[slot as usize] & LIVE != 0, "slot {slot} is in use");
            if let Ok(entry) = self.index.find_entry(hash, |e| e.slot == slot) {
                entry.remove();
            }
            self.flags[slot as usize] = 0;
        }
        self.columns.iter_mut().for_each(|c| c.clear(slots));
        self.free.extend_from_slice(slots);
    }

    /// Takes about `count` keys out of the hot set, those first that were not marked dirty for the longest time (second chance: a hand goes
    /// round and passes over what was used since it came by). What changed of them is written before. Returns the slots, which will
    /// be given to other keys: the owner clears what is its own.
    ///
    /// # Contract
    /// The owner's use of the slots at hand has ended, and everything that it must not lose is marked dirty. It finds keys by
    /// [`lookup`](Self::lookup) alone.
    ///
    /// # Errors
    /// The store cannot be written; then nothing was taken out.
    pub fn evict(&mut self, count: usize, encode: &mut Encode<'_>) -> Result<Vec<u32>, StateError> {
        if self.home.is_none() {
            return Ok(Vec::new());
        }
        let leaving = self.turn(count);
        let is_dirty = |slot: &u32| self.flags[*slot as usize] & DIRTY != 0;
        let dirty: Vec<u32> = leaving.iter().copied().filter(is_dirty).collect();
        self.write(&dirty, encode)?;
        self.forget(&leaving);
        if !leaving.is_empty() {
            self.complete = false;
            self.cursor.clear();
        }
        Ok(leaving)
    }

    /// Turns the hand until it has `count` slots, at most twice round.
    fn turn(&mut self, count: usize) -> Vec<u32> {
        let mut leaving = Vec::new();
        for _ in 0..2 * self.flags.len() {
            if leaving.len() >= count {
                break;
            }
            let slot = self.hand;
            self.hand = if slot as usize + 1 < self.flags.len() { slot + 1 } else { 0 };
            let flags = &mut self.flags[slot as usize];
            if *flags & TOUCHED != 0 {
                *flags &= !TOUCHED;
            } else if *flags & (LIVE | LEAVING) == LIVE {
                *flags |= LEAVING;
                leaving.push(slot);
            }
        }
        leaving.iter().for_each(|slot| self.flags[*slot as usize] &= !LEAVING);
        leaving
    }

    /// How much of `size_bytes`, which a table and the columns beside it take, is taken by keys that are there: the rest is room that others
    /// left, and that the next will take.
    pub fn taken_bytes(&self, size_bytes: usize) -> usize {
        let heap: usize = self.columns.iter().map(|c| c.heap_bytes()).sum();
        let by_slot = size_bytes.saturating_sub(heap) as u128;
        heap + (by_slot * self.len() as u128 / self.hashes.len().max(1) as u128) as usize
    }

    /// How many keys to [`evict`](Self::evict) so that `bytes` of `taken_bytes` become room.
    pub fn count_of(&self, bytes: usize, taken_bytes: usize) -> usize {
        (bytes as u128 * self.len() as u128).div_ceil(taken_bytes.max(1) as u128) as usize
    }

    /// Forgets all keys of a table in memory alone; keeps its room.
    pub fn clear(&mut self) {
        debug_assert!(self.home.is_none(), "only what is in memory alone is forgotten");
        self.index.clear();
        self.hashes.clear();
        self.flags.clear();
        self.free.clear();
        self.created.clear();
        self.columns.iter_mut().for_each(|c| c.clear_all());
    }

    /// Writes what changed since the last time. `encode` appends what belongs to a slot.
    ///
    /// # Errors
    /// The store cannot be written; then a part was, and it can be tried again.
    pub fn persist(&mut self, encode: &mut Encode<'_>) -> Result<(), StateError> {
        let dirty = self.flags.marked(DIRTY);
        self.write(&dirty, encode)
    }

    /// Writes what is gone, and then slots.
    fn write(&mut self, dirty: &[u32], encode: &mut Encode<'_>) -> Result<(), StateError> {
        let Some(home) = &self.home else { return Ok(()) };
        // What is new comes after what is gone.
        let ranges = self.gone_ranges.iter().map(|(from, to)| WriteRef::DeleteRange(from, to));
        home.store.write_all(ranges.chain(self.gone.iter().map(|key| WriteRef::Delete(key))))?;
        self.gone.clear();
        self.gone_ranges.clear();
        let (mut left, mut count) = (dirty, Store::BATCH);
        while !left.is_empty() {
            let (slots, rest) = left.split_at(count.min(left.len()));
            let puts = self.puts(home, slots, encode)?;
            home.store.put(&puts)?;
            for slot in slots {
                let flags = &mut self.flags[*slot as usize];
                *flags = (*flags & !DIRTY) | STORED;
            }
            (left, count) = (rest, puts.count_of_next());
        }
        Ok(())
    }

    /// What is written of slots.
    fn puts(&self, home: &Home, slots: &[u32], encode: &mut Encode<'_>) -> Result<Puts, StateError> {
        let dealt_by = &self.columns[home.distribution.clone()];
        let dealt_by: Vec<ArrayRef> = dealt_by.iter().map(|c| c.gather(slots)).collect::<Result<_, _>>()?;
        let (slots, groups) = home.store.dealt_out(slots, &dealt_by)?;
        let values = Values::of(&slots, self.ages.as_ref(), encode);
        let replaces = slots.iter().map(|slot| self.flags[*slot as usize] & STORED != 0).collect();
        let (operator, keys) = (home.store.operator(), self.keys(&slots)?);
        Ok(Puts { operator, table: home.id, lead: None, groups, keys, suffixes: None, values, replaces })
    }

    /// Brings all that the store holds of this table into the hot set, for owners that need an order or an index of their own.
    /// What is in the hot set already stays as it is. `hash` is the hash by which the owner looks keys up.
    ///
    /// # Errors
    /// The store cannot be read, or `load` failed.
    pub fn scan_all(&mut self, hash: &HashKeys<'_>, load: &mut Load<'_>) -> Result<(), StateError> {
        let Some(home) = &self.home else { return Ok(()) };
        if self.complete {
            return Ok(());
        }
        let mut stored: Vec<StoredEntry> = Vec::new();
        let gone = &self.gone;
        home.store.scan(home.id, &mut |group, key, value| {
            if gone.is_empty() || !gone.contains(&home.store.full_key(home.id, group, key)) {
                stored.push((key.to_vec(), value.to_vec()));
            }
            Ok(())
        })?;
        self.complete = true;
        self.load_entries(&stored, hash, load).map(drop)
    }

    /// As [`scan_all`](Self::scan_all) if the store holds no more than `entries_max` entries of this table; else nothing is brought
    /// in. Returns whether all is there.
    ///
    /// # Errors
    /// As [`scan_all`](Self::scan_all).
    pub fn scan_few(
        &mut self,
        entries_max: usize,
        hash: &HashKeys<'_>,
        load: &mut Load<'_>,
    ) -> Result<bool, StateError> {
        let Some(home) = self.home.as_ref().filter(|_| !self.complete) else { return Ok(true) };
        let Some(stored) = home.store.entries(home.id, entries_max)? else { return Ok(false) };
        self.complete = true;
        self.load_entries(&stored, hash, load)?;
        Ok(true)
    }

    /// Is no key in the store that is not here?
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Brings about `entries_max` entries in of those that the store alone may have, the next ones in its order; those that are here
    /// already stay as they are. Returns the slots that were made. See [`scan_all`](Self::scan_all).
    ///
    /// # Errors
    /// The store cannot be read, or `load` failed.
    pub fn scan_more(
        &mut self,
        entries_max: usize,
        hash: &HashKeys<'_>,
        load: &mut Load<'_>,
    ) -> Result<Vec<u32>, StateError> {
        let Some(home) = self.home.as_ref().filter(|_| !self.complete) else { return Ok(Vec::new()) };
        let Piece { entries, next } = home.store.piece(home.id, &self.cursor, entries_max)?;
        let there = entries.into_iter().filter(|(full_key, _)| !self.is_gone(full_key));
        let stored: Vec<StoredEntry> =
            there.map(|(full_key, value)| (Store::key_of(home.id, &full_key).to_vec(), value)).collect();
        // What is at hand is not looked for once more.
        self.complete = true;
        let made = self.load_entries(&stored, hash, load);
        self.complete = next.is_none();
        self.cursor = next.unwrap_or_default();
        made
    }

    /// Takes entries of the store in that are not here. Returns the slots that were made.
    fn load_entries(
        &mut self,
        stored: &[StoredEntry],
        hash: &HashKeys<'_>,
        load: &mut Load<'_>,
    ) -> Result<Vec<u32>, StateError> {
        let mut made = Vec::new();
        for batch in stored.chunks(SCAN_BATCH) {
            let values = batch.iter().map(|(_, value)| Stored::parse(&self.name, value));
            let values: Vec<Stored<'_>> = values.collect::<Result<_, _>>()?;
            let is_over = |(stored, _): &(Stored<'_>, &StoredEntry)| self.is_over(stored);
            // What is over is not there; it is removed when the store is tidied.
            let (values, batch): (Vec<Stored<'_>>, Vec<&StoredEntry>) =
                values.into_iter().zip(batch).filter(|at| !is_over(at)).unzip();
            let keys = match &self.converter {
                None => Vec::new(),
                Some(converter) => {
                    // Lengths and content are the store's: what does not parse is damage.
                    let bytes = BinaryArray::from_iter_values(batch.iter().map(|(k, _)| k));
                    let parser = converter.parser();
                    converter.convert_rows((0..bytes.len()).map(|row| parser.parse(bytes.value(row))))?
                }
            };
            let hashes = hash(&keys, batch.len())?;
            let mut slots = Vec::new();
            let created = self.lookup(&keys, &hashes, &mut slots, &mut |_, _| Ok(()))?;
            let is_created: HashSet<u32> = created.iter().copied().collect();
            for (slot, stored) in slots.into_iter().zip(values).filter(|(s, _)| is_created.contains(s)) {
                self.flags[slot as usize] |= STORED;
                self.admit(slot, stored.touched_ms);
                load(slot, stored.value)?;
            }
            made.extend(created);
        }
        Ok(made)
    }

    fn full_keys(&self, home: &Home, slots: &[u32]) -> Result<Vec<Vec<u8>>, StateError> {
        if slots.is_empty() {
            return Ok(Vec::new());
        }
        let keys = EncodedKeys::of(self, home, slots)?;
        let full = |at| {
            let mut full = Vec::with_capacity(12 + 16);
            keys.put(home, at, &mut full);
            full
        };
        Ok((0..slots.len()).map(full).collect())
    }

    /// The types of the key columns.
    pub fn types(&self) -> &[DataType] {
        &self.types
    }
}

/// The full keys of some slots.
struct EncodedKeys {
    groups: Vec<KeyGroup>,
    /// `None`: keys of no columns.
    rows: Option<Rows>,
}

impl EncodedKeys {
    fn of(table: &SlotTable, home: &Home, slots: &[u32]) -> Result<Self, StateError> {
        let keys = table.keys(slots)?;
        let hashes = hash_columns(&keys[home.distribution.clone()], slots.len())?;
        let groups = hashes.iter().map(|h| home.store.groups().group_of(*h)).collect();
        let rows = table.converter.as_ref().map(|c| c.convert_columns(&keys)).transpose()?;
        Ok(Self { groups, rows })
    }

    /// Appends the key of the slot at a place.
    fn put(&self, home: &Home, at: usize, out: &mut Vec<u8>) {
        home.store.put_prefix(home.id, self.groups[at], out);
        if let Some(rows) = &self.rows {
            out.extend_from_slice(rows.row(at).data());
        }
    }
}

#[cfg(test)]
mod tests;
