use super::NAME;
use super::due::Due;
use super::times::FOREVER;
use crate::OperatorError;
use crate::aggregation::retraction;
use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Int64Type, Schema};
use arrow::error::ArrowError;
use eddyline_changes::Weights;
use eddyline_changes::hash::hash_columns;
use eddyline_plan::TemporalFilterSpec;
use eddyline_state::{SlotTable, StateError, Store, Table, TableId, Write};
use std::sync::Arc;

const ROWS: TableId = 0;
const TIME: TableId = 1;

/// Rows whose time is not over, or has not come. Key columns of the table: those by which rows are dealt out (or one with a
/// number of this shard), the other output columns, from, until. Value: weight, weight that is put out (8 bytes each, little endian).
pub(super) struct Rows {
    table: SlotTable,
    /// Columns of the input in the table's order; a number of the shard stands before them where rows are not dealt out.
    stored: Vec<usize>,
    home: Option<i64>,
    /// Where the output's columns stand in the table.
    places: Vec<usize>,
    from: Vec<i64>,
    until: Vec<i64>,
    pub(super) weights: Vec<i64>,
    pub(super) out: Vec<i64>,
    /// By slot: when something is due of it; `FOREVER` where nothing is noted.
    due_at: Vec<i64>,
    due: Due,
}

impl Rows {
    /// The stored rows, all brought into memory.
    pub(super) fn open(
        spec: &TemporalFilterSpec,
        input: &Schema,
        last_ms: i64,
        store: &Store,
    ) -> Result<Self, OperatorError> {
        let mut stored = spec.by.clone().unwrap_or_default();
        stored.extend(spec.output.iter().filter(|c| !spec.by.as_ref().is_some_and(|by| by.contains(c))));
        let home = if spec.by.is_none() { Some(own_number(store)?) } else { None };
        let shift = usize::from(home.is_some());
        let place = |c: &usize| stored.iter().position(|s| s == c).map_or(0, |at| at + shift);
        let places = spec.output.iter().map(place).collect();
        let columns = stored.iter().map(|c| input.field(*c).data_type().clone());
        let types: Vec<DataType> = home
            .map(|_| DataType::Int64)
            .into_iter()
            .chain(columns)
            .chain([DataType::Int64, DataType::Int64])
            .collect();
        let distribution = spec.by.as_ref().map_or(1, Vec::len);
        let table = SlotTable::open("rows", &types, store, ROWS, distribution)?;
        let mut rows = Self {
            table,
            stored,
            home,
            places,
            from: Vec::new(),
            until: Vec::new(),
            weights: Vec::new(),
            out: Vec::new(),
            due_at: Vec::new(),
            due: Due::default(),
        };
        rows.load(last_ms)?;
        Ok(rows)
    }

    fn load(&mut self, last_ms: i64) -> Result<(), OperatorError> {
        let (weights, out) = (&mut self.weights, &mut self.out);
        self.table.scan_all(&|columns, rows| hash_columns(columns, rows), &mut |slot, bytes| {
            let damaged =
                || StateError::Corrupt { table: "rows".into(), message: "an entry is no pair of weights".into() };
            let (words, []) = bytes.as_chunks::<8>() else { return Err(damaged()) };
            let [weight, emitted] = words else { return Err(damaged()) };
            let at = slot as usize;
            weights.resize(weights.len().max(at + 1), 0);
            out.resize(weights.len(), 0);
            (weights[at], out[at]) = (i64::from_le_bytes(*weight), i64::from_le_bytes(*emitted));
            Ok(())
        })?;
        self.make_room();
        let slots = self.table.slots();
        let ends = self.table.types().len();
        for (column, into) in [(ends - 2, &mut self.from), (ends - 1, &mut self.until)] {
            let times = self.table.key_column(column, &slots)?;
            let times = times.as_primitive::<Int64Type>();
            slots.iter().zip(times.values()).for_each(|(slot, time)| into[*slot as usize] = *time);
        }
        slots.iter().for_each(|slot| self.note_due(*slot, last_ms));
        Ok(())
    }

    fn make_room(&mut self) {
        let slots = self.table.slots_max();
        for column in [&mut self.from, &mut self.until, &mut self.weights, &mut self.out] {
            column.resize(slots, 0);
        }
        self.due_at.resize(slots, FOREVER);
    }

    /// Finds or makes the slots of rows.
    pub(super) fn lookup(
        &mut self,
        columns: &[ArrayRef],
        from: Vec<i64>,
        until: Vec<i64>,
        slots: &mut Vec<u32>,
    ) -> Result<(), OperatorError> {
        let rows = from.len();
        let home = self.home.map(|home| Arc::new(Int64Array::from_value(home, rows)) as ArrayRef);
        let keys = home.into_iter().chain(self.stored.iter().map(|c| columns[*c].clone()));
        let times = [from.clone(), until.clone()].map(|t| Arc::new(Int64Array::from(t)) as ArrayRef);
        let keys: Vec<ArrayRef> = keys.chain(times).collect();
        let hashes = hash_columns(&keys, rows)?;
        self.table.lookup(&keys, &hashes, slots, &mut |_, _| Ok(()))?;
        self.make_room();
        let created: Vec<(u32, u32)> = self.table.created().collect();
        for (row, slot) in created {
            (self.from[slot as usize], self.until[slot as usize]) = (from[row as usize], until[row as usize]);
        }
        Ok(())
    }

    /// Adds the weights of rows to their slots.
    pub(super) fn add(&mut self, slots: &[u32], weights: &Weights) {
        crate::aggregation::add_weights(&mut self.weights, slots, weights);
    }

    /// How often a row is to be there at a time.
    pub(super) fn wanted(&self, slot: u32, now_ms: i64) -> i64 {
        let at = slot as usize;
        if self.from[at] <= now_ms && now_ms < self.until[at] { self.weights[at] } else { 0 }
    }

    /// Is nothing to be done of a row any more, from now on?
    pub(super) fn is_over(&self, slot: u32, now_ms: i64) -> bool {
        let at = slot as usize;
        self.weights[at] == 0 || self.until[at] <= now_ms || (self.until[at] == FOREVER && self.from[at] <= now_ms)
    }

    /// Notes when something is due of a row next, after `now_ms`: that it comes, or goes.
    pub(super) fn note_due(&mut self, slot: u32, now_ms: i64) {
        let at = slot as usize;
        let due = if now_ms < self.from[at] { self.from[at] } else { self.until[at] };
        if self.due_at[at] != due {
            self.due_at[at] = due;
            self.due.add(due, slot);
        }
    }

    /// Takes out the rows of which something is due.
    pub(super) fn take_due(&mut self, now_ms: i64) -> Vec<u32> {
        let (table, due_at) = (&self.table, &self.due_at);
        self.due.take(now_ms, |slot| table.is_live(slot).then(|| due_at[slot as usize]))
    }

    /// When something is due next.
    pub(super) fn next_due(&self) -> Option<i64> {
        self.due.next(|slot| self.table.is_live(slot).then(|| self.due_at[slot as usize]))
    }

    /// The output's columns of rows.
    pub(super) fn columns(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        Ok(self.places.iter().map(|c| self.table.key_column(*c, slots)).collect::<Result<_, _>>()?)
    }

    /// The error for a row that was taken back more often than it was there.
    pub(super) fn retraction(&self, slot: u32) -> OperatorError {
        match self.columns(&[slot]) {
            Ok(columns) => retraction(NAME, &columns),
            Err(error) => error,
        }
    }

    /// Says that weights changed.
    pub(super) fn mark_dirty(&mut self, slots: &[u32]) {
        self.table.mark_dirty(slots);
    }

    /// Forgets rows.
    pub(super) fn remove(&mut self, slots: &[u32]) -> Result<(), OperatorError> {
        self.table.remove(slots)?;
        for slot in slots {
            let at = *slot as usize;
            (self.weights[at], self.out[at], self.due_at[at]) = (0, 0, FOREVER);
        }
        Ok(())
    }
}

/// A number whose hash falls into a key group of this shard.
fn own_number(store: &Store) -> Result<i64, ArrowError> {
    for from in (0..).step_by(1024) {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(from..from + 1024));
        let hashes = hash_columns(&[numbers], 1024)?;
        if let Some(at) = hashes.iter().position(|h| store.owned().contains(&store.groups().group_of(*h))) {
            return Ok(from + at as i64);
        }
    }
    Ok(0)
}

impl Table for Rows {
    fn name(&self) -> &str {
        self.table.name()
    }

    fn persist(&mut self) -> Result<(), StateError> {
        let (weights, out) = (&self.weights, &self.out);
        self.table.persist(&mut |slot, bytes| {
            bytes.extend_from_slice(&weights[slot as usize].to_le_bytes());
            bytes.extend_from_slice(&out[slot as usize].to_le_bytes());
        })
    }

    fn len(&self) -> usize {
        self.table.len()
    }

    fn size_bytes(&self) -> usize {
        let words = [&self.from, &self.until, &self.weights, &self.out, &self.due_at];
        self.table.size_bytes() + words.iter().map(|w| w.capacity() * 8).sum::<usize>() + self.due.size_bytes()
    }
}

/// The time of the last flush, stored once per key group, as all instances have the same one at a checkpoint. Should the
/// groups of an instance differ, the earliest counts.
pub(super) struct LastTime {
    /// Milliseconds; `i64::MIN` before the first flush.
    pub(super) ms: i64,
    stored: i64,
    store: Store,
}

impl LastTime {
    /// As it was stored.
    pub(super) fn open(store: &Store) -> Result<Self, OperatorError> {
        let mut found = Vec::new();
        if !store.is_fresh() {
            store.scan(TIME, &mut |_, _, value| {
                let damaged = |_| StateError::Corrupt { table: "time".into(), message: "an entry is no time".into() };
                found.push(i64::from_le_bytes(value.try_into().map_err(damaged)?));
                Ok(())
            })?;
        }
        let ms = found.iter().copied().min().filter(|_| found.len() == store.owned().len()).unwrap_or(i64::MIN);
        Ok(Self { ms, stored: ms, store: store.clone() })
    }
}

impl Table for LastTime {
    fn name(&self) -> &str {
        "time"
    }

    fn persist(&mut self) -> Result<(), StateError> {
        if self.ms != self.stored {
            let put = |group| Write::Put(self.store.full_key(TIME, group, &[]), self.ms.to_le_bytes().to_vec());
            self.store.write(self.store.owned().map(put).collect())?;
            self.stored = self.ms;
        }
        Ok(())
    }

    fn len(&self) -> usize {
        usize::from(self.ms != i64::MIN)
    }

    fn size_bytes(&self) -> usize {
        size_of::<Self>()
    }
}
