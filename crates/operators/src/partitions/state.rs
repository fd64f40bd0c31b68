use super::Arrivals;
use super::codec::{Codec, Part, Place};
use super::rows::Rows;
use crate::OperatorError;
use crate::aggregation::retraction;
use crate::event_time::millis_or_max;
use crate::kept_rows::EachRows;
use crate::row_list::RowList;
use crate::slots_by_time::SlotsByTime;
use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::{DataType, Schema};
use arrow::row::SortField;
use eddyline_changes::KeyGroup;
use eddyline_changes::hash::hash_columns;
use eddyline_plan::{OrderColumn, TimeKey};
use eddyline_state::{Idle, Piece, SlotTable, StateError, Store, StoredEntry, Table, TableId, Write, WriteRef};
use hashbrown::{HashMap, HashSet};
use std::collections::BTreeSet;

const ROWS: TableId = 0;
/// First byte of every stored value.
const VERSION: u8 = 1;
/// The same of a value that begins with the time (8 bytes, milliseconds, little endian) when a row of the partition came last, as far as it
/// was known when this row was written.
const AGED: u8 = 2;
/// Entries that are read from the store at a time.
const SCAN_BATCH: usize = 4096;
/// Up to so many rows are brought into memory when the rows are opened; of more, each partition when it is asked for.
const LOADED_AT_OPEN: usize = if cfg!(test) { 4 } else { 1 << 16 };

/// The rows of all partitions.
///
/// Key in the store: the partition in the row format (the key's lead), then the row's bytes. Value: version, where partitions are forgotten when
/// its partition was touched last as far as was known (8 bytes), weight (8), lengths
/// of the partition and of the order (4 each), little endian. Entries of a partition stand together, in order.
///
/// When memory is short, partitions that were not used for long are left to the store with all their rows, and brought in again
/// when they are [asked for](Self::lookup), or when their time has come.
pub(crate) struct Partitions {
    /// The name of the operator, for errors.
    operator: &'static str,
    /// Partitions by slot, in memory alone: they follow from the rows.
    partitions: SlotTable,
    /// The rows of every partition, in order.
    lists: Vec<RowList>,
    pub(crate) rows: Rows,
    /// `None`: in memory alone.
    store: Option<Store>,
    /// No row is in the store that is not here.
    is_complete: bool,
    /// Where [`load_more`](Self::load_more) goes on: everything in the store before this full key is here.
    cursor: Vec<u8>,
    /// Partitions that were brought in since the owner asked for any.
    warmed: Vec<u32>,
    /// By partition, once some were left to the store: it was used since the hand came by.
    used: Vec<bool>,
    /// Where [`leave`](Self::leave) goes on.
    hand: usize,
    keys: Part,
    /// Where the time of partitions lets them go: the partitions by that time.
    by_time: Option<SlotsByTime>,
    /// Full keys of stored rows whose removal is not yet written.
    gone: HashSet<Vec<u8>>,
    /// The times (ms) of which the store alone may have partitions, where they go by their time.
    cold_times: BTreeSet<i64>,
    /// Where partitions are forgotten that were not touched for a time. Then a row that is taken back and is not there was
    /// forgotten: no error.
    idle: Option<Idle>,
    /// The time that was told last, where partitions are forgotten.
    now_ms: Option<i64>,
    /// Partitions that were touched, which is not yet written.
    touched: HashSet<u32>,
    /// Partitions on their way in, and when they were touched.
    came: HashMap<u32, Option<i64>>,
    /// Where [`tidy`](Table::tidy) goes on.
    tidied: Vec<u8>,
    /// Nothing is left to the store alone.
    stays: bool,
}

/// What [`Partitions::merge`] finds.
#[derive(Default)]
pub(crate) struct Merged {
    /// The rows of the partition now, in order.
    pub(crate) rows: Vec<u32>,
    /// Rows of partitions of which nothing is left, to be [removed](Partitions::remove).
    pub(crate) gone: Vec<(u32, u32)>,
}

impl Partitions {
    /// What is stored in the first table of `store`; without a store, nothing. `partition` are the columns of `input` that make
    /// one, `time` is the one of them that lets them go. Partitions that are not [touched](Self::touch) for `ttl_ms` are forgotten.
    pub(crate) fn open(
        operator: &'static str,
        partition: &[usize],
        input: &Schema,
        time: Option<TimeKey>,
        store: Option<&Store>,
        ttl_ms: Option<u64>,
    ) -> Result<Self, OperatorError> {
        let types: Vec<DataType> = partition.iter().map(|c| input.field(*c).data_type().clone()).collect();
        let fields = types.iter().enumerate().map(|(at, t)| (at, SortField::new(t.clone()))).collect();
        let mut state = Self {
            operator,
            partitions: SlotTable::transient("partitions", &types)?,
            lists: Vec::new(),
            rows: Rows::default(),
            store: store.cloned(),
            is_complete: true,
            cursor: Vec::new(),
            warmed: Vec::new(),
            used: Vec::new(),
            hand: 0,
            keys: Part::new(fields)?,
            by_time: time.map(|t| SlotsByTime::new(operator, t.key)),
            gone: HashSet::new(),
            cold_times: BTreeSet::new(),
            idle: ttl_ms.map(Idle::new),
            now_ms: None,
            touched: HashSet::new(),
            came: HashMap::new(),
            tidied: Vec::new(),
            stays: false,
        };
        state.load(LOADED_AT_OPEN)?;
        state.find_cold_times()?;
        Ok(state)
    }

    /// The same with all rows in memory, now and from now on, for owners that need an order or an index of their own.
    pub(crate) fn staying(mut self) -> Result<Self, OperatorError> {
        while !self.is_complete {
            self.load_more(LOADED_AT_OPEN)?;
        }
        self.warmed.clear();
        Ok(Self { stays: true, ..self })
    }

    /// Brings all rows into memory, if they are no more than `rows_max`.
    fn load(&mut self, rows_max: usize) -> Result<(), OperatorError> {
        let Some(store) = self.store.clone().filter(|s| !s.is_fresh()) else { return Ok(()) };
        let Some(stored) = store.few_entries(rows_table(), rows_max)? else {
            self.is_complete = false;
            return Ok(());
        };
        // None of them is brought in by itself meanwhile.
        self.is_complete = true;
        for batch in stored.chunks(SCAN_BATCH) {
            let entries = batch.iter().map(|(k, v)| StoredRow::parse(k, v)).collect::<Result<Vec<_>, _>>()?;
            for (entry, slot) in entries.iter().zip(self.seat(&entries)?.0) {
                self.take_in(entry, slot);
            }
        }
        // No time was told yet: none is over.
        self.admit();
        Ok(())
    }

    /// Brings in about `rows_max` rows that the store alone may have: all of a partition, or none.
    fn load_more(&mut self, rows_max: usize) -> Result<(), OperatorError> {
        let Some(store) = self.store.clone() else { return Ok(()) };
        let Piece { entries, next } = store.piece(rows_table(), &self.cursor, rows_max)?;
        let there = self.parsed(&entries)?;
        self.admit_new(&there)?;
        self.is_complete = next.is_none();
        self.cursor = next.unwrap_or_default();
        if self.is_complete {
            self.cold_times.clear();
        }
        Ok(())
    }

    /// Rows of the store that are not gone.
    fn parsed<'a>(&self, entries: &'a [StoredEntry]) -> Result<Vec<StoredRow<'a>>, StateError> {
        let there = entries.iter().filter(|(full_key, _)| self.gone.is_empty() || !self.gone.contains(full_key));
        there.map(|(full_key, value)| StoredRow::parse(Store::key_of(rows_table(), full_key), value)).collect()
    }

    /// Takes in rows of the store, whole partitions of them: those of partitions that are not here.
    fn admit_new(&mut self, there: &[StoredRow<'_>]) -> Result<(), OperatorError> {
        let is_complete = std::mem::replace(&mut self.is_complete, true);
        let (slots, created) = self.seat(there)?;
        self.is_complete = is_complete;
        let is_new: HashSet<u32> = created.iter().copied().collect();
        for (entry, slot) in there.iter().zip(slots).filter(|(_, slot)| is_new.contains(slot)) {
            self.take_in(entry, slot);
        }
        let over = self.forget_over(&created)?;
        self.remove_partitions(&over)?;
        self.warmed.extend(created);
        Ok(())
    }

    /// Takes a row of the store in.
    fn take_in(&mut self, entry: &StoredRow<'_>, slot: u32) {
        take_in(&mut self.rows, &mut self.lists, entry, slot);
        if self.idle.is_some() {
            let touched_ms = self.came.entry(slot).or_default();
            *touched_ms = entry.touched_ms.max(*touched_ms);
        }
    }

    /// Notes when the partitions were touched that came from the store, with all their rows: the last time that any of these tells.
    fn admit(&mut self) {
        let Some(idle) = &mut self.idle else { return };
        for (slot, touched_ms) in self.came.drain() {
            match touched_ms.or(self.now_ms) {
                Some(touched_ms) => idle.touch([slot], touched_ms),
                None => idle.adopt(vec![slot]),
            }
        }
    }

    /// Removes the rows of those of the partitions, which just came in, that are over. Returns these.
    fn forget_over(&mut self, came: &[u32]) -> Result<Vec<u32>, OperatorError> {
        self.admit();
        let (Some(idle), Some(now_ms)) = (&self.idle, self.now_ms) else { return Ok(Vec::new()) };
        let is_over = |slot: &u32| idle.touched_ms(*slot).is_some_and(|touched_ms| idle.is_over(touched_ms, now_ms));
        let has_rows = |slot: &u32| !self.lists[*slot as usize].rows().is_empty();
        let over: Vec<u32> = came.iter().copied().filter(|slot| has_rows(slot) && is_over(slot)).collect();
        self.empty(&over)?;
        Ok(over)
    }

    /// Removes all rows of partitions.
    fn empty(&mut self, slots: &[u32]) -> Result<(), OperatorError> {
        for slot in slots {
            let rows: Vec<(u32, u32)> = self.list(*slot).iter().map(|row| (*slot, *row)).collect();
            self.remove(&rows)?;
            self.lists[*slot as usize].set(&[]);
        }
        Ok(())
    }

    /// Brings in the partitions whose time is at most `until` (ms): there are some in the store alone.
    fn bring_in_until(&mut self, until: i64) -> Result<(), OperatorError> {
        if self.cold_times.first().is_none_or(|time| *time > until) {
            return Ok(());
        }
        let (Some(store), Some(by_time)) = (self.store.clone(), &self.by_time) else { return Ok(()) };
        let column = by_time.column();
        let mut from = Some(Vec::new());
        while let Some(at) = from {
            let piece = store.piece(rows_table(), &at, SCAN_BATCH)?;
            from = piece.next;
            let mut there = self.parsed(&piece.entries)?;
            let times = self.times(&there, column)?;
            let mut times = times.values().iter();
            there.retain(|_| times.next().is_some_and(|time| *time <= until));
            self.admit_new(&there)?;
        }
        self.cold_times.retain(|time| *time > until);
        Ok(())
    }

    /// Finds the times of which the store alone has partitions, when not all are brought in.
    fn find_cold_times(&mut self) -> Result<(), OperatorError> {
        let (Some(store), Some(by_time), false) = (self.store.clone(), &self.by_time, self.is_complete) else {
            return Ok(());
        };
        let column = by_time.column();
        let mut from = Some(Vec::new());
        while let Some(at) = from {
            let piece = store.piece(rows_table(), &at, SCAN_BATCH)?;
            let times = self.times(&self.parsed(&piece.entries)?, column)?;
            self.cold_times.extend(times.values());
            from = piece.next;
        }
        Ok(())
    }

    /// The times of the partitions of rows.
    fn times(&self, rows: &[StoredRow<'_>], column: usize) -> Result<Int64Array, OperatorError> {
        let columns = self.keys.decode(rows.iter().map(|row| row.partition))?;
        millis_or_max(self.operator, &columns[column])
    }

    /// The slots of the partitions of rows, and those that are new.
    fn seat(&mut self, rows: &[StoredRow<'_>]) -> Result<(Vec<u32>, Vec<u32>), OperatorError> {
        let columns = self.keys.decode(rows.iter().map(|row| row.partition))?;
        let hashes = hash_columns(&columns, rows.len())?;
        let mut slots = Vec::new();
        let created = self.find(&columns, &hashes, &mut slots)?;
        Ok((slots, created))
    }

    /// Finds or makes the slots of partitions; of new ones the rows are brought in that the store has. Returns the partitions that were
    /// not here when this was called last.
    pub(crate) fn lookup(
        &mut self,
        columns: &[ArrayRef],
        hashes: &[u64],
        slots: &mut Vec<u32>,
    ) -> Result<Vec<u32>, OperatorError> {
        let mut created = self.find(columns, hashes, slots)?;
        created.append(&mut self.warmed);
        Ok(created)
    }

    fn find(&mut self, columns: &[ArrayRef], hashes: &[u64], slots: &mut Vec<u32>) -> Result<Vec<u32>, OperatorError> {
        let created = self.partitions.lookup(columns, hashes, slots, &mut |_, _| Ok(()))?;
        let room = self.partitions.slots_max();
        self.lists.resize_with(room, RowList::default);
        if let Some(by_time) = &mut self.by_time {
            by_time.add(&self.partitions, &created)?;
        }
        if !self.is_complete {
            self.bring_in(&created)?;
        }
        if !self.used.is_empty() {
            self.used.resize(room, false);
            slots.iter().for_each(|slot| self.used[*slot as usize] = true);
        }
        Ok(created)
    }

    /// Brings in the rows of partitions of which none is here.
    fn bring_in(&mut self, created: &[u32]) -> Result<(), OperatorError> {
        let Some(store) = self.store.clone().filter(|_| !created.is_empty()) else { return Ok(()) };
        let columns = self.partitions.keys(created)?;
        let hashes = hash_columns(&columns, created.len())?;
        let partitions = self.keys.encode_columns(&columns)?;
        let mut order: Vec<usize> = (0..created.len()).collect();
        let lead = |at: usize| (store.groups().group_of(hashes[at]), partitions.row(at));
        order.sort_unstable_by_key(|at| lead(*at));
        let leads: Vec<(KeyGroup, &[u8])> = order.iter().map(|at| lead(*at)).collect();
        store.scan_leads(rows_table(), &leads, &mut |at, entry| {
            // What was taken away may be there until that is written.
            if self.gone.is_empty() || !self.gone.contains(entry.full_key) {
                self.take_in(&StoredRow::parse(entry.key, entry.value)?, created[order[at]]);
            }
            Ok(())
        })?;
        self.forget_over(created).map(drop)
    }

    /// Leaves about `rows` rows to the store, all of a partition at once, of partitions that were not used since the hand came by;
    /// everything has been written.
    fn leave(&mut self, rows: usize) -> Result<(), OperatorError> {
        let room = self.lists.len();
        self.used.resize(room, false);
        let (mut left, mut leaving) = (0, Vec::new());
        for _ in 0..2 * room {
            if left >= rows {
                break;
            }
            let at = self.hand;
            self.hand = if at + 1 < room { at + 1 } else { 0 };
            if !std::mem::take(&mut self.used[at]) && !self.lists[at].rows().is_empty() {
                left += self.lists[at].rows().len();
                leaving.push(at as u32);
                let list = std::mem::take(&mut self.lists[at]);
                list.rows().iter().for_each(|row| self.rows.remove(*row));
            }
        }
        if let Some(by_time) = &mut self.by_time {
            let times = by_time.times_of(&self.partitions, &leaving)?;
            self.cold_times.extend(times.iter().map(|(time, _)| *time));
            by_time.leave(times);
        }
        self.partitions.remove(&leaving)?;
        self.rows.sweep();
        if !leaving.is_empty() {
            self.is_complete = false;
            self.cursor.clear();
        }
        Ok(())
    }

    /// Is there a partition whose time is at most `time` (ms)?
    pub(crate) fn has_until(&self, time: i64) -> bool {
        self.cold_times.first().is_some_and(|cold| *cold <= time)
            || self.by_time.as_ref().is_some_and(|by_time| by_time.has_until(time))
    }

    /// Takes out the partitions whose time is at most `time` (ms); they are to be forgotten, with their rows.
    pub(crate) fn take_until(&mut self, time: i64) -> Result<Vec<u32>, OperatorError> {
        self.bring_in_until(time)?;
        Ok(self.by_time.as_mut().map_or_else(Vec::new, |by_time| by_time.take_until(time)))
    }

    /// Notes that rows came in a partition.
    pub(crate) fn touch(&mut self, slot: u32, now_ms: i64) {
        if let Some(idle) = &mut self.idle {
            idle.touch([slot], now_ms);
            self.touched.insert(slot);
        }
    }

    /// Forgets the rows of partitions that were not touched for the time to live, but those in which rows came in this
    /// epoch. Returns the partitions, which are to be [removed](Self::remove_partitions).
    pub(crate) fn forget_idle(&mut self, now_ms: i64, arrivals: &Arrivals) -> Result<Vec<u32>, OperatorError> {
        let Some(idle) = &mut self.idle else { return Ok(Vec::new()) };
        self.now_ms = Some(now_ms);
        let gone = idle.take(now_ms, |slot| self.partitions.is_live(slot) && !arrivals.is_touched(slot));
        self.empty(&gone)?;
        Ok(gone)
    }

    /// All slots are below this number.
    pub(crate) fn slots_max(&self) -> usize {
        self.lists.len()
    }

    /// The rows of a partition, in order.
    #[inline]
    pub(crate) fn list(&self, slot: u32) -> &[u32] {
        self.lists[slot as usize].rows()
    }

    /// Gives a partition its rows.
    pub(crate) fn set_list(&mut self, slot: u32, rows: &[u32]) {
        self.lists[slot as usize].set(rows);
    }

    /// Puts the rows of a partition with those that came, which [are gathered](super::Arrivals::gather), into
    /// `merged.rows`. The partition keeps its rows until [`set_list`](Self::set_list).
    ///
    /// # Errors
    /// [`OperatorError::Retraction`] for a row that was taken back more often than it was there.
    pub(crate) fn merge(
        &mut self,
        codec: &Codec,
        slot: u32,
        came: &[u32],
        merged: &mut Merged,
    ) -> Result<(), OperatorError> {
        merged.rows.clear();
        let mut from = 0;
        for row in came {
            let rows = &self.rows;
            let list = &self.list(slot)[from..];
            let found = list.binary_search_by(|known| rows.bytes(*known).cmp(rows.bytes(*row)));
            let (Ok(at) | Err(at)) = found;
            merged.rows.extend_from_slice(&list[..at]);
            from += at;
            let weight = rows.weight(*row);
            if found.is_err() {
                if weight < 0 && self.idle.is_some() {
                    self.rows.remove(*row);
                    continue;
                }
                if weight < 0 {
                    return Err(self.retraction(codec, slot, *row));
                }
                merged.rows.push(*row);
                continue;
            }
            let known = list[at];
            from += 1;
            self.rows.remove(*row);
            self.rows.add_weight(known, weight);
            match self.rows.weight(known) {
                0 => merged.gone.push((slot, known)),
                left if left < 0 && self.idle.is_some() => merged.gone.push((slot, known)),
                left if left < 0 => return Err(self.retraction(codec, slot, known)),
                _ => merged.rows.push(known),
            }
        }
        merged.rows.extend_from_slice(&self.list(slot)[from..]);
        Ok(())
    }

    /// Forgets rows of partitions.
    pub(crate) fn remove(&mut self, rows: &[(u32, u32)]) -> Result<(), OperatorError> {
        if let Some(store) = self.store.clone() {
            let stored: Vec<(u32, u32)> = rows.iter().copied().filter(|(_, row)| self.rows.is_stored(*row)).collect();
            let keys = self.full_keys(&store, &stored)?;
            self.gone.extend(keys.into_iter().map(|(key, _)| key));
        }
        rows.iter().for_each(|(_, row)| self.rows.remove(*row));
        Ok(())
    }

    /// Removes the rows of partitions that are over and in the store alone, of about `rows_max` rows there, the next ones. Of partitions that have no
    /// time it begins now.
    fn look_through(&mut self, rows_max: usize) -> Result<(), OperatorError> {
        let (Some(store), Some(now_ms)) = (self.store.clone(), self.now_ms) else { return Ok(()) };
        let Piece { entries, next } = store.piece(rows_table(), &self.tidied, rows_max)?;
        self.tidied = next.unwrap_or_default();
        let gone = &self.gone;
        let there: Vec<&StoredEntry> = entries.iter().filter(|(full_key, _)| !gone.contains(full_key)).collect();
        let rows = there.iter().map(|(full_key, value)| StoredRow::parse(Store::key_of(rows_table(), full_key), value));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let is_complete = std::mem::replace(&mut self.is_complete, true);
        let (slots, created) = self.seat(&rows)?;
        self.is_complete = is_complete;
        // The others are in memory, and go from there.
        let is_cold: HashSet<u32> = created.iter().copied().collect();
        let mut begun = Vec::new();
        let same: Vec<usize> = (0..rows.len()).collect();
        for same in same.chunk_by(|a, b| slots[*a] == slots[*b]).filter(|same| is_cold.contains(&slots[same[0]])) {
            match same.iter().filter_map(|at| rows[*at].touched_ms).max() {
                Some(touched_ms) if self.idle.as_ref().is_some_and(|idle| idle.is_over(touched_ms, now_ms)) => {
                    self.gone.extend(same.iter().map(|at| there[*at].0.clone()));
                }
                Some(_) => {}
                None => {
                    let (full_key, value) = there[same[0]];
                    let value = [&head_of(Some(now_ms)), &value[1..]].concat();
                    begun.push(Write::Put(full_key.clone(), value));
                }
            }
        }
        store.write(begun)?;
        self.remove_partitions(&created)
    }

    /// Forgets partitions without rows.
    pub(crate) fn remove_partitions(&mut self, slots: &[u32]) -> Result<(), OperatorError> {
        if let Some(by_time) = &mut self.by_time {
            by_time.remove(&self.partitions, slots)?;
        }
        Ok(self.partitions.remove(slots)?)
    }

    /// Columns of the input, of rows of partitions.
    pub(crate) fn columns(
        &self,
        codec: &Codec,
        wanted: &[usize],
        rows: &[(u32, u32)],
    ) -> Result<Vec<ArrayRef>, OperatorError> {
        let needs = |place: fn(&Place) -> bool| wanted.iter().any(|c| place(&codec.places[*c]));
        let numbers = || rows.iter().map(|(_, row)| *row);
        let order = match needs(|p| matches!(p, Place::Order(_))) {
            true => codec.order.decode(numbers().map(|row| self.rows.order(row)))?,
            false => Vec::new(),
        };
        let rest = match needs(|p| matches!(p, Place::Rest(_))) {
            true => codec.rest.decode(numbers().map(|row| self.rows.rest(row)))?,
            false => Vec::new(),
        };
        let slots: Vec<u32> = rows.iter().map(|(slot, _)| *slot).collect();
        wanted
            .iter()
            .map(|column| match codec.places[*column] {
                Place::Partition(at) => Ok(self.partitions.key_column(at, &slots)?),
                Place::Order(at) => Ok(order[at].clone()),
                Place::Rest(at) => Ok(rest[at].clone()),
            })
            .collect()
    }

    /// The error for a row that was taken back more often than it was there.
    fn retraction(&self, codec: &Codec, slot: u32, row: u32) -> OperatorError {
        let all: Vec<usize> = (0..codec.places.len()).collect();
        match self.columns(codec, &all, &[(slot, row)]) {
            Ok(columns) => retraction(self.operator, &columns),
            Err(error) => error,
        }
    }

    /// Keys in the store, and the lengths of their partitions.
    fn full_keys(&self, store: &Store, rows: &[(u32, u32)]) -> Result<Vec<(Vec<u8>, usize)>, OperatorError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let slots: Vec<u32> = rows.iter().map(|(slot, _)| *slot).collect();
        let columns = self.partitions.keys(&slots)?;
        let hashes = hash_columns(&columns, rows.len())?;
        let partitions = self.keys.encode_columns(&columns)?;
        let key = |(at, (_, row)): (usize, &(u32, u32))| {
            let partition = partitions.row(at);
            let key = [partition, self.rows.bytes(*row)].concat();
            (store.led_key(rows_table(), store.groups().group_of(hashes[at]), partition.len(), &key), partition.len())
        };
        Ok(rows.iter().enumerate().map(key).collect())
    }

    fn write(&mut self) -> Result<(), OperatorError> {
        let Some(store) = self.store.clone() else { return Ok(()) };
        // One of a partition's rows says when it was touched last.
        for slot in self.touched.drain() {
            if let Some(row) = self.lists[slot as usize].rows().first() {
                self.rows.mark_dirty(*row);
            }
        }
        let mut dirty: Vec<(u32, u32)> = Vec::new();
        for (slot, rows) in self.lists.iter().enumerate() {
            dirty.extend(rows.rows().iter().filter(|r| self.rows.is_dirty(**r)).map(|row| (slot as u32, *row)));
        }
        store.write_all(self.gone.iter().map(|key| WriteRef::Delete(key)))?;
        self.gone.clear();
        for dirty in dirty.chunks(Store::BATCH) {
            let keys = self.full_keys(&store, dirty)?;
            let put = |((slot, row), (key, partition)): (&(u32, u32), (Vec<u8>, usize))| {
                let mut value = head_of(self.idle.as_ref().and_then(|idle| idle.touched_ms(*slot)));
                value.extend_from_slice(&self.rows.weight(*row).to_le_bytes());
                value.extend_from_slice(&(partition as u32).to_le_bytes());
                value.extend_from_slice(&(self.rows.order(*row).len() as u32).to_le_bytes());
                Write::Put(key, value)
            };
            store.write(dirty.iter().zip(keys).map(put).collect())?;
            dirty.iter().for_each(|(_, row)| self.rows.set_stored(*row));
        }
        Ok(())
    }
}

/// The number of the table of rows.
pub(crate) fn rows_table() -> TableId {
    Store::by_lead(ROWS)
}

/// Calls `each` with all stored rows and their weights, some at a time.
///
/// # Errors
/// The store cannot be read, or `each` failed.
pub(crate) fn read_rows(
    partition: &[usize],
    order: &[OrderColumn],
    input: &Schema,
    store: &Store,
    each: &mut EachRows<'_>,
) -> Result<(), OperatorError> {
    let field = |(at, column): (usize, &usize)| (at, SortField::new(input.field(*column).data_type().clone()));
    let keys = Part::new(partition.iter().enumerate().map(field).collect())?;
    let codec = Codec::new(partition, order, input)?;
    let stored = store.entries(rows_table(), usize::MAX)?.unwrap_or_default();
    for batch in stored.chunks(SCAN_BATCH) {
        let rows = batch.iter().map(|(k, v)| StoredRow::parse(k, v)).collect::<Result<Vec<_>, _>>()?;
        let keys = keys.decode(rows.iter().map(|row| row.partition))?;
        let order = codec.order.decode(rows.iter().map(|row| row.order))?;
        let rest = codec.rest.decode(rows.iter().map(|row| row.rest))?;
        let column = |place: &Place| match place {
            Place::Partition(at) => keys[*at].clone(),
            Place::Order(at) => order[*at].clone(),
            Place::Rest(at) => rest[*at].clone(),
        };
        let weights: Vec<i64> = rows.iter().map(|row| row.weight).collect();
        each(codec.places.iter().map(column).collect(), &weights)?;
    }
    Ok(())
}

/// A stored row.
pub(crate) struct StoredRow<'a> {
    pub(crate) partition: &'a [u8],
    pub(crate) order: &'a [u8],
    pub(crate) rest: &'a [u8],
    weight: i64,
    touched_ms: Option<i64>,
}

impl<'a> StoredRow<'a> {
    pub(crate) fn parse(key: &'a [u8], value: &[u8]) -> Result<Self, StateError> {
        let damaged = |message: &str| StateError::Corrupt { table: "rows".into(), message: message.into() };
        let (touched_ms, value) = match value.split_first() {
            Some((&VERSION, value)) => (None, value),
            Some((&AGED, rest)) => {
                let cut = rest.split_first_chunk().ok_or_else(|| damaged("an entry is too short"))?;
                (Some(i64::from_le_bytes(*cut.0)), cut.1)
            }
            _ => return Err(damaged("an entry is of another version")),
        };
        let (words, []) = value.as_chunks::<8>() else { return Err(damaged("an entry has another length")) };
        let [weight, lengths] = words else { return Err(damaged("an entry has another length")) };
        let lengths = u64::from_le_bytes(*lengths);
        let (partition, order) = ((lengths & u64::from(u32::MAX)) as usize, (lengths >> 32) as usize);
        if partition.checked_add(order).is_none_or(|sum| sum > key.len()) {
            return Err(damaged("an entry is shorter than its parts"));
        }
        let (partition, row) = key.split_at(partition);
        let (order, rest) = row.split_at(order);
        Ok(Self { partition, order, rest, weight: i64::from_le_bytes(*weight), touched_ms })
    }
}

/// What the value of a row of a partition begins with.
fn head_of(touched_ms: Option<i64>) -> Vec<u8> {
    let Some(touched_ms) = touched_ms else { return vec![VERSION] };
    let mut head = vec![AGED];
    head.extend_from_slice(&touched_ms.to_le_bytes());
    head
}

fn take_in(rows: &mut Rows, lists: &mut [RowList], entry: &StoredRow<'_>, slot: u32) {
    let row = rows.add(entry.order, entry.rest, entry.weight);
    rows.set_stored(row);
    lists[slot as usize].push(row);
}

fn of_state(error: OperatorError) -> StateError {
    match error {
        OperatorError::State(error) => error,
        other => StateError::Corrupt { table: "rows".into(), message: other.to_string() },
    }
}

impl Table for Partitions {
    fn name(&self) -> &str {
        "rows"
    }

    fn persist(&mut self) -> Result<(), StateError> {
        self.write().map_err(of_state)
    }

    fn taken_bytes(&self) -> usize {
        self.rows.taken_bytes()
            + self.lists.iter().map(RowList::allocated_bytes).sum::<usize>()
            + self.partitions.taken_bytes(self.partitions.size_bytes() + self.lists.capacity() * size_of::<RowList>())
    }

    fn tidy(&mut self, entries_max: usize) -> Result<(), StateError> {
        if self.is_complete || self.idle.is_none() { Ok(()) } else { self.look_through(entries_max).map_err(of_state) }
    }

    fn is_whole(&self) -> bool {
        self.is_complete
    }

    fn warm(&mut self, entries_max: usize) -> Result<(), StateError> {
        if self.is_complete { Ok(()) } else { self.load_more(entries_max).map_err(of_state) }
    }

    fn evict(&mut self, bytes: usize) -> Result<(), StateError> {
        if self.store.is_none() || self.rows.len() == 0 || self.stays {
            return Ok(());
        }
        self.persist()?;
        let rows = (bytes as u128 * self.rows.len() as u128).div_ceil(self.taken_bytes().max(1) as u128);
        self.leave(rows as usize).map_err(of_state)
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn size_bytes(&self) -> usize {
        self.partitions.size_bytes()
            + self.rows.size_bytes()
            + self.lists.capacity() * size_of::<RowList>()
            + self.lists.iter().map(RowList::allocated_bytes).sum::<usize>()
            + self.used.capacity()
            + self.idle.as_ref().map_or(0, Idle::size_bytes)
            + self.gone.iter().map(|k| k.capacity() + size_of::<Vec<u8>>()).sum::<usize>()
    }
}
