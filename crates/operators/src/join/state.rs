use super::chains::{Chains, NONE, Shape};
use super::counts::Counts;
use super::epoch::Before;
use super::order::{Order, Ordered};
use crate::OperatorError;
use crate::event_time::millis_or_max;
use crate::kept_rows::EachRows;
use crate::slots_by_time::SlotsByTime;
use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use eddyline_changes::hash::{combine, hash_columns};
use eddyline_plan::JoinSpec;
use eddyline_state::{RowTable, RowTableSpec, StateError, Store, Table, TableId, tag_of};
use std::collections::BTreeSet;

/// The rows of one side: per slot the weight, and where a residual decides and the side's rows stand alone, how many
/// rows of the other side match. Columns of the table: the join keys, then all other columns.
///
/// Rows that may be taken back are found by their key and what they hold. Others are added and nothing more: equal ones are
/// kept apart.
///
/// Encoding of a value: weight, matches (8 bytes each, little endian).
pub(super) struct Side {
    pub(super) table: RowTable,
    /// Columns of the input in the table's order.
    pub(super) stored: Vec<usize>,
    /// By column of the input, its place in the table.
    pub(super) places: Vec<usize>,
    pub(super) keys: usize,
    pub(super) is_plain: bool,
    pub(super) counts: Counts,
    /// Empty when nobody counts matches.
    pub(super) matches: Vec<i64>,
    pub(super) counts_matches: bool,
    pub(super) chains: Chains,
    pub(super) order: Option<Order>,
    /// By list of `chains`, where there is an order: its rows in it.
    pub(super) ordered: Vec<Ordered>,
    /// Where a key's time lets it go: the heads by that time.
    pub(super) by_time: Option<SlotsByTime>,
    /// Whether what the other side puts out depends on which keys are here.
    pub(super) is_followed: bool,
    /// Whether it is noted which keys are used: once some were left to the store.
    pub(super) counts_uses: bool,
    /// Where leaving goes on.
    pub(super) hand: u32,
    /// Heads of the keys that came in this epoch, where it is followed.
    pub(super) fresh: Vec<u32>,
    /// Where keys go by their time: the times (ms) of which the store alone may have keys.
    pub(super) cold_times: BTreeSet<i64>,
    pub(super) slots: Vec<u32>,
    /// Rows that changed in this epoch.
    pub(super) touched: Vec<Before>,
}

/// What a side keeps beside its rows.
pub(super) struct Keeping {
    pub(super) side: usize,
    /// How many rows each row matches.
    pub(super) counts_matches: bool,
    /// Which keys came in an epoch.
    pub(super) is_followed: bool,
    /// When rows are forgotten that are not written.
    pub(super) ttl_ms: Option<u64>,
}

/// Number of a side's table: the two kinds of tables write different keys.
pub(crate) fn table_id(side: usize, is_plain: bool) -> TableId {
    side as TableId + if is_plain { 2 } else { 0 }
}

impl Side {
    /// The stored rows of a side, all brought into memory.
    pub(super) fn open(
        spec: &JoinSpec,
        keeping: Keeping,
        input: &Schema,
        store: &Store,
    ) -> Result<Self, OperatorError> {
        let Keeping { side, counts_matches, is_followed, ttl_ms } = keeping;
        let keys = spec.keys(side);
        let mut stored = keys.clone();
        stored.extend((0..input.fields().len()).filter(|c| !keys.contains(c)));
        let place = |c: usize| stored.iter().position(|s| *s == c).expect("all columns are stored");
        let places = (0..input.fields().len()).map(place).collect();
        let types: Vec<DataType> = stored.iter().map(|c| input.field(*c).data_type().clone()).collect();
        let name = ["left rows", "right rows"][side];
        let is_plain = spec.append_only[side];
        let (mut counts, mut matches) = (Counts::default(), Vec::new());
        let mut load =
            |slot: u32, bytes: &[u8]| load(&mut counts, counts_matches.then_some(&mut matches), slot, bytes, name);
        let table = RowTableSpec {
            name,
            types: &types,
            id: table_id(side, is_plain),
            distribution: keys.len(),
            is_distinct: !is_plain,
            lazily: Some(LOADED_AT_OPEN),
            ttl_ms,
        };
        let table = RowTable::open(table, store, &mut load)?;
        let mut rows = Self {
            table,
            stored,
            places,
            keys: keys.len(),
            is_plain,
            counts,
            matches,
            counts_matches,
            chains: Chains::default(),
            order: spec.range.as_ref().map(|r| Order::new([&r.left, &r.right][side], input)).transpose()?,
            ordered: Vec::new(),
            by_time: spec.time.map(|t| SlotsByTime::new(super::NAME, t.key)),
            is_followed,
            counts_uses: false,
            hand: 0,
            cold_times: BTreeSet::new(),
            fresh: Vec::new(),
            slots: Vec::new(),
            touched: Vec::new(),
        };
        rows.link_stored(&rows.table.slots())?;
        rows.find_cold_times()?;
        Ok(rows)
    }

    /// Links rows that were in the store.
    pub(super) fn link_stored(&mut self, slots: &[u32]) -> Result<(), OperatorError> {
        self.make_room();
        // Their keys are not new.
        let is_followed = std::mem::replace(&mut self.is_followed, false);
        for slots in slots.chunks(LINK_BATCH) {
            let columns = self.keys(slots)?;
            let hashes = hash_columns(&columns, slots.len())?;
            let columns = self.table.prepare(0, &columns)?;
            let heads = self.seat(&columns, &hashes, |row| slots[row as usize])?;
            let contents = if self.is_plain { Vec::new() } else { self.contents(slots)? };
            let values = self.values_of(slots)?;
            for (row, (head, slot)) in heads.iter().zip(slots).enumerate().filter(|(_, (h, s))| h != s) {
                let content = contents.get(row).copied().unwrap_or_default();
                self.link(*head, *slot, content, values.get(row).copied().flatten())?;
            }
        }
        self.is_followed = is_followed;
        Ok(())
    }

    /// Brings in the rows of keys that may be in the store alone.
    pub(super) fn bring_in(&mut self, keys: &[ArrayRef], hashes: &[u64]) -> Result<(), OperatorError> {
        if self.table.is_complete() {
            return Ok(());
        }
        let heads = self.find(keys, hashes)?;
        let missing: Vec<u32> = (0..heads.len() as u32).filter(|row| heads[*row as usize] == NONE).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let (counts, matches) = (&mut self.counts, &mut self.matches);
        let (counts_matches, name) = (self.counts_matches, self.table.name().to_owned());
        let mut load =
            |slot: u32, bytes: &[u8]| load(counts, counts_matches.then_some(&mut *matches), slot, bytes, &name);
        let slots = self.table.load_keys(keys, &missing, hashes, &mut load)?;
        self.link_stored(&slots)
    }

    /// As [`bring_in`](Self::bring_in), for keys whose hashes are not at hand.
    pub(super) fn bring_in_all(&mut self, keys: &[ArrayRef], rows: usize) -> Result<(), OperatorError> {
        if self.table.is_complete() { Ok(()) } else { self.bring_in(keys, &hash_columns(keys, rows)?) }
    }

    /// Brings in about `rows_max` rows that the store alone may have.
    fn bring_in_more(&mut self, rows_max: usize) -> Result<(), OperatorError> {
        let stored = self.table.next_stored(rows_max)?;
        let heads = self.find_all(&stored.keys, stored.len())?;
        let is_missing: Vec<bool> = heads.iter().map(|head| *head == NONE).collect();
        let (counts, matches) = (&mut self.counts, &mut self.matches);
        let (counts_matches, name) = (self.counts_matches, self.table.name().to_owned());
        let mut load =
            |slot: u32, bytes: &[u8]| load(counts, counts_matches.then_some(&mut *matches), slot, bytes, &name);
        let slots = self.table.take_next(stored, &is_missing, &mut load)?;
        self.link_stored(&slots)?;
        if self.table.is_complete() {
            self.cold_times.clear();
        }
        Ok(())
    }

    /// Brings in the rows of all keys whose time is at most `until` (ms): there are some in the store alone.
    pub(super) fn bring_in_until(&mut self, until: i64) -> Result<(), OperatorError> {
        let Some(time) = self.by_time.as_ref().filter(|_| self.cold_times.first().is_some_and(|t| *t <= until)) else {
            return Ok(());
        };
        let column = time.column();
        let mut from = Some(Vec::new());
        while let Some(at) = from {
            let mut stored = self.table.stored_from(&at, SCANNED_AT_ONCE)?;
            from = stored.next.take();
            if stored.is_empty() {
                continue;
            }
            let times = millis_or_max(super::NAME, &stored.keys[column])?;
            let heads = self.find_all(&stored.keys, stored.len())?;
            let is_wanted = |(head, time): (&u32, &i64)| *head == NONE && *time <= until;
            let is_wanted: Vec<bool> = heads.iter().zip(times.values()).map(is_wanted).collect();
            let (counts, matches) = (&mut self.counts, &mut self.matches);
            let (counts_matches, name) = (self.counts_matches, self.table.name().to_owned());
            let mut load =
                |slot: u32, bytes: &[u8]| load(counts, counts_matches.then_some(&mut *matches), slot, bytes, &name);
            let slots = self.table.take_stored(&mut stored, &is_wanted, &mut load)?;
            self.link_stored(&slots)?;
        }
        self.cold_times.retain(|time| *time > until);
        Ok(())
    }

    /// Finds the times of which the store alone has keys, when not all are brought in.
    fn find_cold_times(&mut self) -> Result<(), OperatorError> {
        let Some(time) = self.by_time.as_ref().filter(|_| !self.table.is_complete()) else { return Ok(()) };
        let column = time.column();
        let mut from = Some(Vec::new());
        while let Some(at) = from {
            let stored = self.table.stored_from(&at, SCANNED_AT_ONCE)?;
            if !stored.is_empty() {
                self.cold_times.extend(millis_or_max(super::NAME, &stored.keys[column])?.values());
            }
            from = stored.next;
        }
        Ok(())
    }

    pub(super) fn make_room(&mut self) {
        let slots = self.table.slots_max();
        self.counts.resize(slots);
        self.chains.resize(slots);
        if self.counts_matches {
            self.matches.resize(slots, 0);
        }
    }

    /// How often a row is there.
    #[inline]
    pub(super) fn weight(&self, slot: u32) -> i64 {
        self.counts.weight(slot)
    }

    /// For every key the head of its rows, or [`NONE`].
    pub(super) fn find(&self, keys: &[ArrayRef], hashes: &[u64]) -> Result<Vec<u32>, OperatorError> {
        let keys = self.table.prepare(0, keys)?;
        let mut heads: Vec<u32> =
            hashes.iter().map(|h| self.chains.head(tag_of(*h), |_| true).unwrap_or(NONE)).collect();
        let mut wrong = Vec::new();
        if heads.contains(&NONE) {
            let found = heads.iter().enumerate().filter(|(_, h)| **h != NONE);
            let mut pairs: Vec<(u32, u32)> = found.map(|(row, head)| (row as u32, *head)).collect();
            let mut others = Vec::new();
            self.table.matches(0..self.keys, &keys, &mut pairs, &mut others);
            wrong.extend(others.iter().map(|(row, _)| *row));
        } else {
            self.table.mismatches(0..self.keys, &keys, &heads, &mut wrong);
        }
        for row in wrong {
            let is_meant = |head: u32| self.table.equals(0..self.keys, &keys, row, head);
            heads[row as usize] = self.chains.head(tag_of(hashes[row as usize]), is_meant).unwrap_or(NONE);
        }
        Ok(heads)
    }

    /// As [`find`](Self::find), for keys whose hashes are not at hand.
    pub(super) fn find_all(&self, keys: &[ArrayRef], rows: usize) -> Result<Vec<u32>, OperatorError> {
        self.find(keys, &hash_columns(keys, rows)?)
    }

    /// Is a head the only row of its key?
    #[inline]
    pub(super) fn is_only(&self, head: u32) -> bool {
        self.chains.are_single() || matches!(self.chains.shape(head), Shape::One)
    }

    /// Appends the rows of a head's key.
    pub(super) fn rows_of(&self, head: u32, rows: &mut Vec<u32>) {
        self.chains.rows(head, rows);
    }

    /// Rows, with the tags of what they hold where that is asked for.
    pub(super) fn tagged(&self, rows: &[u32]) -> Result<Vec<(u32, u32)>, OperatorError> {
        if self.is_plain || rows.is_empty() {
            return Ok(rows.iter().map(|row| (*row, 0)).collect());
        }
        Ok(rows.iter().zip(self.contents(rows)?).map(|(row, hash)| (*row, tag_of(hash))).collect())
    }

    /// The hashes of whole rows.
    pub(super) fn contents(&self, slots: &[u32]) -> Result<Vec<u64>, OperatorError> {
        let columns: Vec<ArrayRef> =
            (0..self.stored.len()).map(|c| self.table.column(c, slots)).collect::<Result<_, _>>()?;
        Ok(row_hashes(&columns, self.keys, slots.len())?)
    }

    /// Says that the matches of rows changed.
    pub(super) fn mark_dirty(&mut self, slots: &[u32]) {
        self.table.mark_dirty(slots);
    }

    /// One column of the input, of the rows `slots`.
    pub(super) fn column(&self, column: usize, slots: &[u32]) -> Result<ArrayRef, OperatorError> {
        Ok(self.table.column(self.places[column], slots)?)
    }

    /// The join keys of `slots`.
    pub(super) fn keys(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        (0..self.keys).map(|c| Ok(self.table.column(c, slots)?)).collect()
    }

    fn of_state(&self, error: OperatorError) -> StateError {
        match error {
            OperatorError::State(error) => error,
            other => StateError::Corrupt { table: self.table.name().into(), message: other.to_string() },
        }
    }

    /// All columns of `slots`, in the order of the input.
    pub(super) fn row(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        (0..self.places.len()).map(|c| self.column(c, slots)).collect()
    }
}

/// Up to so many rows are brought into memory when a table is opened; of more, each key when it is asked for.
const LOADED_AT_OPEN: usize = if cfg!(test) { 4 } else { 1 << 16 };
/// Rows of the store that are looked at at a time, for those whose time has come.
const SCANNED_AT_ONCE: usize = 8192;
/// Rows that are linked at a time when a table is opened.
const LINK_BATCH: usize = 8192;

/// Hashes of rows whose first `keys` columns are the join keys.
fn row_hashes(columns: &[ArrayRef], keys: usize, rows: usize) -> Result<Vec<u64>, ArrowError> {
    let rest = hash_columns(&columns[keys..], rows)?;
    Ok(hash_columns(&columns[..keys], rows)?.iter().zip(&rest).map(|(k, r)| combine(*k, *r)).collect())
}

/// Calls `each` with all stored rows of a side and their weights, some at a time.
///
/// # Errors
/// The store cannot be read, or `each` failed.
pub(crate) fn read_side(
    side: usize,
    keys: &[usize],
    append_only: bool,
    input: &Schema,
    store: &Store,
    each: &mut EachRows<'_>,
) -> Result<(), OperatorError> {
    let rest = (0..input.fields().len()).filter(|c| !keys.contains(c));
    let stored: Vec<usize> = keys.iter().copied().chain(rest).collect();
    let types: Vec<DataType> = stored.iter().map(|c| input.field(*c).data_type().clone()).collect();
    let mut counts = Counts::default();
    let name = "rows";
    let spec = RowTableSpec {
        name,
        types: &types,
        id: table_id(side, append_only),
        distribution: keys.len(),
        is_distinct: !append_only,
        lazily: None,
        ttl_ms: None,
    };
    let table = RowTable::open(spec, store, &mut |slot, bytes| load(&mut counts, None, slot, bytes, name))?;
    let place = |c: usize| stored.iter().position(|s| *s == c).expect("all columns are stored");
    for slots in table.slots().chunks(LINK_BATCH) {
        let columns = (0..stored.len()).map(|c| table.column(place(c), slots)).collect::<Result<_, _>>()?;
        let weights: Vec<i64> = slots.iter().map(|slot| counts.weight(*slot)).collect();
        each(columns, &weights)?;
    }
    Ok(())
}

pub(super) fn load(
    counts: &mut Counts,
    matches: Option<&mut Vec<i64>>,
    slot: u32,
    bytes: &[u8],
    table: &str,
) -> Result<(), StateError> {
    let at = slot as usize;
    let (words, []) = bytes.as_chunks::<8>() else { return Err(damaged(table)) };
    let [weight, matched] = words else { return Err(damaged(table)) };
    counts.resize(at + 1);
    counts.set_weight(slot, i64::from_le_bytes(*weight));
    if let Some(matches) = matches {
        matches.resize(matches.len().max(at + 1), 0);
        matches[at] = i64::from_le_bytes(*matched);
    }
    Ok(())
}

pub(super) fn damaged(table: &str) -> StateError {
    StateError::Corrupt { table: table.into(), message: "an entry has not the length of a weight and a count".into() }
}

impl Table for Side {
    fn name(&self) -> &str {
        self.table.name()
    }

    fn persist(&mut self) -> Result<(), StateError> {
        let (counts, matches) = (&self.counts, &self.matches);
        self.table.persist(&mut |slot: u32, out: &mut Vec<u8>| {
            out.extend_from_slice(&counts.weight(slot).to_le_bytes());
            out.extend_from_slice(&matches.get(slot as usize).copied().unwrap_or_default().to_le_bytes());
        })
    }

    fn taken_bytes(&self) -> usize {
        self.table.taken_bytes(self.size_bytes())
    }

    fn evict(&mut self, bytes: usize) -> Result<(), StateError> {
        if self.table.is_empty() {
            return Ok(());
        }
        self.persist()?;
        if self.keys == 0 {
            // For whatever changes, all of them are gone through.
            return self.leave_all().map_err(|error| self.of_state(error));
        }
        let count = (bytes as u128 * self.table.len() as u128).div_ceil(self.taken_bytes().max(1) as u128) as usize;
        self.leave_keys(count).map_err(|error| self.of_state(error))
    }

    fn tidy(&mut self, entries_max: usize) -> Result<(), StateError> {
        self.table.tidy(entries_max)
    }

    fn is_whole(&self) -> bool {
        self.table.is_complete()
    }

    fn warm(&mut self, entries_max: usize) -> Result<(), StateError> {
        if self.is_whole() {
            return Ok(());
        }
        let brought = if self.keys == 0 { self.bring_in_next(entries_max) } else { self.bring_in_more(entries_max) };
        brought.map_err(|error| self.of_state(error))
    }

    fn len(&self) -> usize {
        self.table.len()
    }

    fn size_bytes(&self) -> usize {
        self.table.size_bytes()
            + self.counts.size_bytes()
            + self.matches.capacity() * 8
            + self.chains.size_bytes()
            + self.slots.capacity() * 4
            + self.ordered.iter().map(Ordered::size_bytes).sum::<usize>()
            + self.fresh.capacity() * 4
            + self.touched.capacity() * size_of::<Before>()
    }
}
