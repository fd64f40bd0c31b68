use super::NAME;
use super::due::{Due, SPAN_BITS};
use super::times::FOREVER;
use crate::OperatorError;
use crate::aggregation::{BATCH_ROWS_MAX, retraction};
use crate::kept_rows::EachRows;
use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Int64Type, Schema};
use arrow::error::ArrowError;
use eddyline_changes::Weights;
use eddyline_changes::hash::hash_columns;
use eddyline_plan::TemporalFilterSpec;
use eddyline_state::{NOTES_FROM, SlotTable, StateError, Store, Table, TableId, Write};
use std::sync::Arc;

/// The rows as they were stored once, without a span.
pub(crate) const ROWS: TableId = 0;
const TIME: TableId = NOTES_FROM;
/// Its number in checkpoints and savepoints of former versions.
const FORMER_TIME: TableId = 1;
/// The rows.
pub(crate) const ROWS_BY_SPAN: TableId = 2;
/// Up to so many rows are brought into memory when they are opened; of more, each when it is asked for or due.
const LOADED_AT_OPEN: usize = if cfg!(test) { 4 } else { 1 << 16 };

/// Rows whose time is not over, or has not come. Key columns of the table: the span of time in which something is due of the row next, those by which
/// rows are dealt out (or one with a number of this shard), the other output columns, from, until. Value: weight, weight that is
/// put out (8 bytes each, little endian).
///
/// Of a row that has not come, something is due when it comes, then when it goes: so the span follows from the row and the time of the last flush,
/// and a row that comes is stored anew. When memory is short, rows that were not used for long are left to the store. They are brought in
/// when they change, or when the span begins in which something is due of them, which stand together there.
pub(super) struct Rows {
    table: SlotTable,
    /// The table without spans from which rows were taken in, until that is written.
    former: Option<SlotTable>,
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
    /// The time of the last flush.
    last_ms: i64,
    /// No row that the store alone has is in a span before this one; `None`: there is no such row.
    cold_from: Option<i64>,
}

/// The span of a time.
fn span_of(time_ms: i64) -> i64 {
    time_ms >> SPAN_BITS
}

/// When something is due of a row, after a time.
fn due_after(from: i64, until: i64, time_ms: i64) -> i64 {
    if time_ms < from { from } else { until }
}

impl Rows {
    /// The stored rows; all are brought into memory if they are few.
    pub(super) fn open(
        spec: &TemporalFilterSpec,
        input: &Schema,
        last_ms: i64,
        store: &Store,
    ) -> Result<Self, OperatorError> {
        let stored = spec.stored();
        let home = if spec.by.is_none() { Some(own_number(store)?) } else { None };
        // The span stands first.
        let shift = 1 + usize::from(home.is_some());
        let place = |c: &usize| stored.iter().position(|s| s == c).map_or(0, |at| at + shift);
        let places = spec.output.iter().map(place).collect();
        let types = key_types(home.is_some(), stored.iter().map(|c| input.field(*c).data_type().clone()));
        let distribution = spec.by.as_ref().map_or(1, Vec::len);
        let table = SlotTable::open("rows", &types, store, ROWS_BY_SPAN, 0)?.dealt_by(1..1 + distribution);
        let mut rows = Self {
            table,
            former: None,
            stored,
            home,
            places,
            from: Vec::new(),
            until: Vec::new(),
            weights: Vec::new(),
            out: Vec::new(),
            due_at: Vec::new(),
            due: Due::default(),
            last_ms,
            cold_from: None,
        };
        rows.load()?;
        if store.entries(ROWS, 0)?.is_none() {
            let former = SlotTable::open("rows", &types[1..], store, ROWS, distribution)?;
            rows.adopt(former)?;
        }
        Ok(rows)
    }

    fn load(&mut self) -> Result<(), OperatorError> {
        let (weights, out) = (&mut self.weights, &mut self.out);
        let load = &mut |slot: u32, bytes: &[u8]| load(weights, out, slot, bytes);
        if !self.table.scan_few(LOADED_AT_OPEN, &hash_columns, load)? {
            self.cold_from = self.next_stored(None)?;
        }
        let slots = self.table.slots();
        Ok(self.take_in(&slots, self.last_ms)?)
    }

    /// Takes over all rows of a table without spans.
    fn adopt(&mut self, mut former: SlotTable) -> Result<(), OperatorError> {
        let (mut weights, mut out) = (Vec::new(), Vec::new());
        former.scan_all(&hash_columns, &mut |slot, bytes| load(&mut weights, &mut out, slot, bytes))?;
        let slots = former.slots();
        let mut columns = former.keys(&slots)?;
        let (from, until) = (times(&columns[columns.len() - 2]), times(&columns[columns.len() - 1]));
        columns.insert(0, spans(&from, &until, self.last_ms));
        let of = |numbers: &[i64]| slots.iter().map(|slot| numbers[*slot as usize]).collect::<Vec<_>>();
        self.put(&columns, &of(&weights), &of(&out), self.last_ms)?;
        former.remove(&slots)?;
        self.former = Some(former);
        Ok(())
    }

    /// Adds rows that are not there, with their weights, by what is due of them after `time_ms`.
    fn put(&mut self, columns: &[ArrayRef], weights: &[i64], out: &[i64], time_ms: i64) -> Result<(), OperatorError> {
        let hashes = hash_columns(columns, weights.len())?;
        let mut slots = Vec::new();
        self.table.lookup(columns, &hashes, &mut slots, &mut |_, _| Ok(()))?;
        self.make_room();
        for (at, slot) in slots.iter().enumerate() {
            (self.weights[*slot as usize], self.out[*slot as usize]) = (weights[at], out[at]);
        }
        self.take_in(&slots, time_ms)?;
        self.table.mark_dirty(&slots);
        Ok(())
    }

    /// Notes the times of slots that came to the table, and what is due of them after `time_ms`.
    fn take_in(&mut self, slots: &[u32], time_ms: i64) -> Result<(), StateError> {
        self.make_room();
        let ends = self.table.types().len();
        for (column, into) in [(ends - 2, &mut self.from), (ends - 1, &mut self.until)] {
            let times = times(&self.table.key_column(column, slots)?);
            slots.iter().zip(times).for_each(|(slot, time)| into[*slot as usize] = time);
        }
        slots.iter().for_each(|slot| self.note_due(*slot, time_ms));
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
        let keys = [spans(&from, &until, self.last_ms)].into_iter().chain(home);
        let keys = keys.chain(self.stored.iter().map(|c| columns[*c].clone()));
        let times = [from.clone(), until.clone()].map(|t| Arc::new(Int64Array::from(t)) as ArrayRef);
        let keys: Vec<ArrayRef> = keys.chain(times).collect();
        let hashes = hash_columns(&keys, rows)?;
        let (weights, out) = (&mut self.weights, &mut self.out);
        self.table.lookup(&keys, &hashes, slots, &mut |slot, bytes| load(weights, out, slot, bytes))?;
        self.make_room();
        let created: Vec<(u32, u32)> = self.table.created().collect();
        for (row, slot) in created {
            (self.from[slot as usize], self.until[slot as usize]) = (from[row as usize], until[row as usize]);
        }
        Ok(())
    }

    /// The first span after one, or of all, in which the store has rows.
    fn next_stored(&self, after: Option<i64>) -> Result<Option<i64>, OperatorError> {
        let next = self.table.next_first(after.map(span_column).as_ref())?;
        Ok(next.map(|next| next.as_primitive::<Int64Type>().value(0)))
    }

    /// Brings in the rows of which something is due in the next span, if it has begun, of those that the store alone has. Returns whether there was
    /// such a span.
    pub(super) fn bring_in_span(&mut self, now_ms: i64) -> Result<bool, OperatorError> {
        let Some(span) = self.cold_from.filter(|span| *span <= span_of(now_ms)) else { return Ok(false) };
        let (weights, out) = (&mut self.weights, &mut self.out);
        let load = &mut |slot: u32, bytes: &[u8]| load(weights, out, slot, bytes);
        let came = self.table.scan_first(&span_column(span), &hash_columns, load)?;
        self.take_in(&came, self.last_ms)?;
        self.cold_from = self.next_stored(Some(span))?;
        Ok(true)
    }

    /// Says that what was due until `now_ms` is settled.
    pub(super) fn settled(&mut self, now_ms: i64) {
        self.last_ms = now_ms;
    }

    /// Stores those of the rows anew that have come since the last flush, and will go.
    pub(super) fn move_on(&mut self, slots: &[u32], now_ms: i64) -> Result<(), OperatorError> {
        let has_come = |slot: &u32| {
            let (from, until) = (self.from[*slot as usize], self.until[*slot as usize]);
            self.last_ms < from && from <= now_ms && span_of(from) != span_of(until)
        };
        let slots: Vec<u32> =
            slots.iter().copied().filter(|slot| self.table.is_live(*slot) && has_come(slot)).collect();
        if slots.is_empty() {
            return Ok(());
        }
        let mut columns = self.table.keys(&slots)?;
        let of = |numbers: &[i64]| slots.iter().map(|slot| numbers[*slot as usize]).collect::<Vec<_>>();
        columns[0] = spans(&of(&self.from), &of(&self.until), now_ms);
        let (weights, out) = (of(&self.weights), of(&self.out));
        self.remove(&slots)?;
        self.put(&columns, &weights, &out, now_ms)
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
        let due = due_after(self.from[at], self.until[at], now_ms);
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

    /// When something is due next, at the earliest of what the store alone has.
    pub(super) fn next_due(&self) -> Option<i64> {
        let due = self.due.next(|slot| self.table.is_live(slot).then(|| self.due_at[slot as usize]));
        due.into_iter().chain(self.cold_from.map(|span| span << SPAN_BITS)).min()
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
        self.clear(slots);
        Ok(())
    }

    /// Removes what was stored without spans.
    fn write_former(&mut self) -> Result<(), StateError> {
        if let Some(former) = &mut self.former {
            former.persist(&mut |_, _| {})?;
            self.former = None;
        }
        Ok(())
    }

    fn clear(&mut self, slots: &[u32]) {
        for slot in slots {
            let at = *slot as usize;
            (self.weights[at], self.out[at], self.due_at[at]) = (0, 0, FOREVER);
        }
    }
}

fn span_column(span: i64) -> ArrayRef {
    Arc::new(Int64Array::from(vec![span]))
}

/// The spans of rows, after a time.
fn spans(from: &[i64], until: &[i64], time_ms: i64) -> ArrayRef {
    let spans = from.iter().zip(until).map(|(from, until)| span_of(due_after(*from, *until, time_ms)));
    Arc::new(Int64Array::from_iter_values(spans))
}

fn times(column: &ArrayRef) -> Vec<i64> {
    column.as_primitive::<Int64Type>().values().to_vec()
}

fn load(weights: &mut Vec<i64>, out: &mut Vec<i64>, slot: u32, bytes: &[u8]) -> Result<(), StateError> {
    let damaged = || StateError::Corrupt { table: "rows".into(), message: "an entry is no pair of weights".into() };
    let (words, []) = bytes.as_chunks::<8>() else { return Err(damaged()) };
    let [weight, emitted] = words else { return Err(damaged()) };
    let at = slot as usize;
    weights.resize(weights.len().max(at + 1), 0);
    out.resize(out.len().max(at + 1), 0);
    (weights[at], out[at]) = (i64::from_le_bytes(*weight), i64::from_le_bytes(*emitted));
    Ok(())
}

fn save(weights: &[i64], out: &[i64], slot: u32, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&weights[slot as usize].to_le_bytes());
    bytes.extend_from_slice(&out[slot as usize].to_le_bytes());
}

/// The types of the key: the span, a number of the shard where rows stay on theirs, the columns that are kept, from and until.
fn key_types(has_home: bool, columns: impl Iterator<Item = DataType>) -> Vec<DataType> {
    let first = std::iter::repeat_n(DataType::Int64, 1 + usize::from(has_home));
    first.chain(columns).chain([DataType::Int64, DataType::Int64]).collect()
}

/// Calls `each` with all stored rows, the columns that are kept of them, and their weights, some at a time. A row with several times comes with each.
///
/// # Errors
/// The store cannot be read, or `each` failed.
pub(crate) fn read_rows(
    is_dealt: bool,
    schema: &Schema,
    store: &Store,
    each: &mut EachRows<'_>,
) -> Result<(), OperatorError> {
    let types = key_types(!is_dealt, schema.fields().iter().map(|field| field.data_type().clone()));
    let mut table = SlotTable::open("rows", &types, store, ROWS_BY_SPAN, 0)?;
    let (mut weights, mut out) = (Vec::new(), Vec::new());
    table.scan_all(&hash_columns, &mut |slot, bytes| load(&mut weights, &mut out, slot, bytes))?;
    let first = 1 + usize::from(!is_dealt);
    for slots in table.slots().chunks(BATCH_ROWS_MAX) {
        let columns = (first..types.len() - 2).map(|column| table.key_column(column, slots));
        let weights: Vec<i64> = slots.iter().map(|slot| weights[*slot as usize]).collect();
        each(columns.collect::<Result<_, _>>()?, &weights)?;
    }
    Ok(())
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
        self.write_former()?;
        let (weights, out) = (&self.weights, &self.out);
        self.table.persist(&mut |slot, bytes| save(weights, out, slot, bytes))
    }

    fn len(&self) -> usize {
        self.table.len()
    }

    fn taken_bytes(&self) -> usize {
        self.table.taken_bytes(self.size_bytes())
    }

    fn is_whole(&self) -> bool {
        self.table.is_complete()
    }

    fn warm(&mut self, entries_max: usize) -> Result<(), StateError> {
        let (weights, out) = (&mut self.weights, &mut self.out);
        let load = &mut |slot: u32, bytes: &[u8]| load(weights, out, slot, bytes);
        let came = self.table.scan_more(entries_max, &hash_columns, load)?;
        if self.is_whole() {
            self.cold_from = None;
        }
        self.take_in(&came, self.last_ms)
    }

    fn evict(&mut self, bytes: usize) -> Result<(), StateError> {
        self.write_former()?;
        let count = self.table.count_of(bytes, self.taken_bytes());
        let (weights, out) = (&self.weights, &self.out);
        let gone = self.table.evict(count, &mut |slot, bytes| save(weights, out, slot, bytes))?;
        let left: Vec<(i64, u32)> = gone.iter().map(|slot| (self.due_at[*slot as usize], *slot)).collect();
        self.cold_from = left.iter().map(|(due, _)| span_of(*due)).chain(self.cold_from).min();
        self.due.leave(left);
        self.clear(&gone);
        Ok(())
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
        for table in [TIME, FORMER_TIME] {
            if store.is_fresh() || found.len() == store.owned().len() {
                break;
            }
            found.clear();
            store.scan(table, &mut |_, _, value| {
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

#[cfg(test)]
mod tests {
    use super::*;
    use eddyline_changes::KeyGroups;
    use eddyline_state::MemoryBackend;

    #[test]
    fn a_time_of_a_former_version_is_found_until_there_is_one_of_this() {
        let store = Store::new(Arc::new(MemoryBackend::new()), 7, KeyGroups::new(4, 1), 0..2);
        let put = |group, ms: i64| Write::Put(store.full_key(FORMER_TIME, group, &[]), ms.to_le_bytes().to_vec());
        store.write(vec![put(0, 20), put(1, 10)]).expect("memory can be written");
        let mut last = LastTime::open(&store).expect("memory can be read");
        assert_eq!(last.ms, 10);
        last.ms = 30;
        last.persist().expect("memory can be written");
        assert_eq!(LastTime::open(&store).expect("memory can be read").ms, 30);
    }
}
