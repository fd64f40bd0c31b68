//! Counted sets: for every value of a DISTINCT aggregate, how many rows have it. What an aggregate over distinct
//! values sees are the **transitions** of that count between nothing and something.

use super::retraction;
use crate::OperatorError;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt32Array};
use arrow::buffer::NullBuffer;
use arrow::error::ArrowError;
use eddyline_changes::{ChangeBatch, Weights};
use eddyline_plan::AggregateCall;
use eddyline_state::{SlotTable, StateError, Table};

/// Values that came into a set (+1) or went out of it (−1), by row of the batch.
#[derive(Debug, Default, Clone)]
pub(crate) struct Transitions {
    pub(crate) rows: Vec<u32>,
    pub(crate) weights: Vec<i64>,
}

/// One counted set for several calls, each with a FILTER of its own: per value and call a count.
pub(crate) struct CountedSet {
    table: SlotTable,
    calls: usize,
    seen: Seen,
    slots: Vec<u32>,
    created: Vec<u32>,
    touched: Vec<u32>,
    is_touched: Vec<bool>,
    /// The time now, where values are forgotten.
    now_ms: i64,
    /// Where not all values need be in memory: how they are hashed.
    lazily: Option<HashValues>,
}

/// How the keys of a set are hashed, as [`eddyline_state::HashKeys`].
type HashValues = Box<dyn Fn(&[ArrayRef], usize) -> Result<Vec<u64>, ArrowError> + Send + Sync>;

/// Counts by slot and call.
enum Seen {
    /// Append-only input: one bit per call, set once it has seen the value.
    Bits(Vec<u64>),
    /// One count per call.
    Counts(Vec<i64>),
}

impl CountedSet {
    /// The set of the keys of `table` for `calls` calls.
    pub(crate) fn new(table: SlotTable, calls: usize, append_only: bool) -> Self {
        let seen = if append_only && calls <= 64 { Seen::Bits(Vec::new()) } else { Seen::Counts(Vec::new()) };
        let (slots, created, touched, is_touched) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { table, calls, seen, slots, created, touched, is_touched, now_ms: i64::MIN, lazily: None }
    }

    /// The set, of which not all values need be in memory: its owner finds them by [`count`](Self::count) alone. `hash` as in
    /// [`SlotTable::scan_all`].
    pub(crate) fn lazy(
        self,
        hash: impl Fn(&[ArrayRef], usize) -> Result<Vec<u64>, ArrowError> + Send + Sync + 'static,
    ) -> Self {
        Self { lazily: Some(Box::new(hash)), ..self }
    }

    /// From now on values that are not seen for a time are forgotten.
    pub(crate) fn forget_after(&mut self, ttl_ms: u64) {
        self.table.forget_after(ttl_ms);
    }

    /// Tells the time. Forgets the values that were not seen for the time to live, but those of this epoch.
    pub(crate) fn forget_idle(&mut self, now_ms: i64) -> Result<(), OperatorError> {
        self.now_ms = now_ms;
        let is_touched = &self.is_touched;
        let gone = self.table.take_idle(now_ms, |slot| is_touched.get(slot as usize).is_some_and(|t| *t));
        self.table.remove(&gone)?;
        gone.iter().for_each(|slot| self.seen.clear(self.calls, *slot));
        Ok(())
    }

    /// Counts the rows of `keys`, `weights[call][row]` times, and tells for every call what came and went.
    pub(crate) fn count(
        &mut self,
        keys: &[ArrayRef],
        hashes: &[u64],
        weights: &[Vec<i64>],
    ) -> Result<Vec<Transitions>, OperatorError> {
        let (calls, name) = (self.calls, self.table.name().to_owned());
        let seen = &mut self.seen;
        let mut slots = std::mem::take(&mut self.slots);
        self.created =
            self.table.lookup(keys, hashes, &mut slots, &mut |slot, bytes| seen.load(&name, calls, slot, bytes))?;
        self.seen.resize(calls, self.table.slots_max());
        let mut transitions = vec![Transitions::default(); calls];
        match &mut self.seen {
            Seen::Bits(bits) => count_bits(bits, &slots, weights, &mut transitions),
            Seen::Counts(counts) => count_counts(counts, &slots, weights, &mut transitions),
        }
        if let Seen::Counts(_) = &self.seen {
            self.touch(&slots);
        }
        self.table.touch(&slots, self.now_ms);
        self.table.mark_dirty(&slots);
        self.slots = slots;
        Ok(transitions)
    }

    fn touch(&mut self, slots: &[u32]) {
        self.is_touched.resize(self.table.slots_max(), false);
        for slot in slots {
            if !std::mem::replace(&mut self.is_touched[*slot as usize], true) {
                self.touched.push(*slot);
            }
        }
    }

    /// The epoch ends: values that no row has any more are forgotten. Returns the slots that they had.
    ///
    /// # Errors
    /// [`OperatorError::Retraction`] for a value that more rows were taken from than had it.
    pub(crate) fn flush(&mut self, operator: &'static str) -> Result<Vec<u32>, OperatorError> {
        let Seen::Counts(counts) = &self.seen else { return Ok(Vec::new()) };
        let of = |slot: u32| &counts[slot as usize * self.calls..][..self.calls];
        let touched = std::mem::take(&mut self.touched);
        if !self.table.forgets() {
            self.check(operator, touched.iter().copied())?;
        }
        // What was forgotten and is taken back then is less than none.
        let gone: Vec<u32> = touched.iter().copied().filter(|s| of(*s).iter().all(|c| *c <= 0)).collect();
        touched.iter().for_each(|s| self.is_touched[*s as usize] = false);
        self.table.remove(&gone)?;
        gone.iter().for_each(|slot| self.seen.clear(self.calls, *slot));
        Ok(gone)
    }

    fn check(&self, operator: &'static str, slots: impl Iterator<Item = u32>) -> Result<(), OperatorError> {
        let Seen::Counts(counts) = &self.seen else { return Ok(()) };
        let mut negative = slots.filter(|s| counts[*s as usize * self.calls..][..self.calls].iter().any(|c| *c < 0));
        match negative.next() {
            Some(slot) => Err(retraction(operator, &self.table.keys(&[slot])?)),
            None => Ok(()),
        }
    }

    /// The slots that the last [`count`](Self::count) gave to values that had none.
    pub(crate) fn created(&self) -> &[u32] {
        &self.created
    }

    /// The keys of the set.
    pub(crate) fn table(&self) -> &SlotTable {
        &self.table
    }

    /// For every call, how often each of `slots` was seen; 1 stands for any number where input is append-only.
    pub(crate) fn seen(&self, slots: &[u32]) -> Vec<Vec<i64>> {
        (0..self.calls).map(|call| slots.iter().map(|s| self.seen.get(self.calls, *s, call)).collect()).collect()
    }

    /// Forgets values, however often they are there. `first`: all under this value of the first key column, of which those in
    /// the hot set are in `slots`.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub(crate) fn remove(
        &mut self,
        operator: &'static str,
        slots: &[u32],
        first: Option<&ArrayRef>,
    ) -> Result<(), OperatorError> {
        if !self.touched.is_empty() {
            self.check(operator, slots.iter().copied())?;
        }
        match first {
            Some(first) => self.table.remove_first(first, slots)?,
            None => self.table.remove(slots)?,
        }
        slots.iter().for_each(|s| self.seen.clear(self.calls, *s));
        if !self.touched.is_empty() {
            slots.iter().for_each(|s| self.is_touched[*s as usize] = false);
            self.touched.retain(|s| self.is_touched[*s as usize]);
        }
        Ok(())
    }

    /// As [`SlotTable::scan_few`].
    pub(crate) fn scan_few(
        &mut self,
        entries_max: usize,
        hash: &eddyline_state::HashKeys<'_>,
    ) -> Result<bool, OperatorError> {
        let (calls, name) = (self.calls, self.table.name().to_owned());
        let seen = &mut self.seen;
        let load = &mut |slot: u32, bytes: &[u8]| seen.load(&name, calls, slot, bytes);
        Ok(self.table.scan_few(entries_max, hash, load)?)
    }

    /// As [`SlotTable::scan_first`].
    pub(crate) fn scan_first(
        &mut self,
        first: &ArrayRef,
        hash: &eddyline_state::HashKeys<'_>,
    ) -> Result<Vec<u32>, OperatorError> {
        let (calls, name) = (self.calls, self.table.name().to_owned());
        let seen = &mut self.seen;
        let load = &mut |slot: u32, bytes: &[u8]| seen.load(&name, calls, slot, bytes);
        let created = self.table.scan_first(first, hash, load)?;
        self.seen.resize(calls, self.table.slots_max());
        self.is_touched.resize(self.table.slots_max(), false);
        Ok(created)
    }

    /// Brings in about `entries_max` values that the store alone may have. Returns their slots.
    pub(crate) fn scan_more(&mut self, entries_max: usize) -> Result<Vec<u32>, StateError> {
        let Some(hash) = &self.lazily else { return Ok(Vec::new()) };
        let (calls, name) = (self.calls, self.table.name().to_owned());
        let seen = &mut self.seen;
        let load = &mut |slot: u32, bytes: &[u8]| seen.load(&name, calls, slot, bytes);
        let created = self.table.scan_more(entries_max, hash, load)?;
        self.seen.resize(calls, self.table.slots_max());
        self.is_touched.resize(self.table.slots_max(), false);
        Ok(created)
    }

    /// Leaves about `bytes` to the store. Returns the slots that they had.
    pub(crate) fn leave(&mut self, bytes: usize) -> Result<Vec<u32>, StateError> {
        if self.lazily.is_none() {
            return Ok(Vec::new());
        }
        let count = self.table.count_of(bytes, self.taken_bytes());
        let (seen, calls) = (&mut self.seen, self.calls);
        let gone = self.table.evict(count, &mut |slot, out| seen.save(calls, slot, out))?;
        gone.iter().for_each(|slot| seen.clear(calls, *slot));
        Ok(gone)
    }

    /// Forgets everything, in memory alone.
    pub(crate) fn clear(&mut self) {
        self.table.clear();
        self.touched.clear();
        self.is_touched.clear();
        match &mut self.seen {
            Seen::Bits(bits) => bits.clear(),
            Seen::Counts(counts) => counts.clear(),
        }
    }
}

fn count_bits(seen: &mut [u64], slots: &[u32], weights: &[Vec<i64>], out: &mut [Transitions]) {
    for (row, slot) in slots.iter().enumerate() {
        let bits = weights.iter().enumerate().fold(0, |bits, (call, w)| bits | u64::from(w[row] > 0) << call);
        let mut new = bits & !seen[*slot as usize];
        seen[*slot as usize] |= bits;
        while new != 0 {
            let transitions = &mut out[new.trailing_zeros() as usize];
            transitions.rows.push(row as u32);
            transitions.weights.push(1);
            new &= new - 1;
        }
    }
}

fn count_counts(seen: &mut [i64], slots: &[u32], weights: &[Vec<i64>], out: &mut [Transitions]) {
    for (row, slot) in slots.iter().enumerate() {
        let counts = &mut seen[*slot as usize * weights.len()..][..weights.len()];
        for ((count, weights), out) in counts.iter_mut().zip(weights).zip(out.iter_mut()) {
            let before = *count > 0;
            *count += weights[row];
            let after = *count > 0;
            if before != after {
                out.rows.push(row as u32);
                out.weights.push(if after { 1 } else { -1 });
            }
        }
    }
}

impl Seen {
    fn resize(&mut self, calls: usize, slots: usize) {
        match self {
            Seen::Bits(bits) => bits.resize(slots, 0),
            Seen::Counts(counts) => counts.resize(slots * calls, 0),
        }
    }

    fn get(&self, calls: usize, slot: u32, call: usize) -> i64 {
        match self {
            Seen::Bits(bits) => (bits[slot as usize] >> call & 1) as i64,
            Seen::Counts(counts) => counts[slot as usize * calls + call],
        }
    }

    fn clear(&mut self, calls: usize, slot: u32) {
        match self {
            Seen::Bits(bits) => bits[slot as usize] = 0,
            Seen::Counts(counts) => counts[slot as usize * calls..][..calls].fill(0),
        }
    }

    /// Values as 8 bytes each, little endian.
    fn save(&self, calls: usize, slot: u32, out: &mut Vec<u8>) {
        match self {
            Seen::Bits(bits) => out.extend_from_slice(&bits[slot as usize].to_le_bytes()),
            Seen::Counts(counts) => {
                let own = &counts[slot as usize * calls..][..calls];
                own.iter().for_each(|c| out.extend_from_slice(&c.to_le_bytes()));
            }
        }
    }

    fn load(&mut self, table: &str, calls: usize, slot: u32, input: &[u8]) -> Result<(), StateError> {
        let wanted = if let Seen::Bits(_) = self { 1 } else { calls };
        let (words, []) = input.as_chunks::<8>() else { return Err(damaged(table)) };
        if words.len() != wanted {
            return Err(damaged(table));
        }
        let held = match self {
            Seen::Bits(bits) => bits.len(),
            Seen::Counts(counts) => counts.len() / calls,
        };
        self.resize(calls, held.max(slot as usize + 1));
        match self {
            Seen::Bits(bits) => bits[slot as usize] = u64::from_le_bytes(words[0]),
            Seen::Counts(counts) => {
                let own = &mut counts[slot as usize * calls..][..calls];
                own.iter_mut().zip(words).for_each(|(c, w)| *c = i64::from_le_bytes(*w));
            }
        }
        Ok(())
    }
}

fn damaged(table: &str) -> StateError {
    StateError::Corrupt { table: table.into(), message: "a counted set has another number of counts".into() }
}

impl Table for CountedSet {
    fn name(&self) -> &str {
        self.table.name()
    }

    fn persist(&mut self) -> Result<(), StateError> {
        let (seen, calls) = (&self.seen, self.calls);
        self.table.persist(&mut |slot, out| seen.save(calls, slot, out))
    }

    fn len(&self) -> usize {
        self.table.len()
    }

    fn size_bytes(&self) -> usize {
        let seen = match &self.seen {
            Seen::Bits(bits) => bits.capacity(),
            Seen::Counts(counts) => counts.capacity(),
        };
        self.table.size_bytes() + seen * 8
    }

    fn taken_bytes(&self) -> usize {
        self.table.taken_bytes(self.size_bytes())
    }

    fn is_whole(&self) -> bool {
        self.table.is_complete()
    }

    fn warm(&mut self, entries_max: usize) -> Result<(), StateError> {
        self.scan_more(entries_max).map(drop)
    }

    fn tidy(&mut self, entries_max: usize) -> Result<(), StateError> {
        self.table.tidy(entries_max)
    }

    fn evict(&mut self, bytes: usize) -> Result<(), StateError> {
        self.leave(bytes).map(drop)
    }
}

/// The rows in which none of `columns` is NULL; `None` when that is all of them.
pub(crate) fn not_null_rows(changes: &ChangeBatch, columns: &[usize]) -> Option<UInt32Array> {
    let nulls = columns.iter().fold(None, |all, c| NullBuffer::union(all.as_ref(), changes.column(*c).nulls()));
    let nulls = nulls.filter(|n| n.null_count() > 0)?;
    Some(UInt32Array::from_iter_values(nulls.valid_indices().map(|row| row as u32)))
}

/// For every one of `calls`, how much each row counts: its weight where it passes the call's FILTER, else 0.
pub(crate) fn call_weights<'a>(changes: &ChangeBatch, calls: impl Iterator<Item = &'a AggregateCall>) -> Vec<Vec<i64>> {
    calls
        .map(|call| {
            let filter = call.filter.map(|f| changes.column(f).as_boolean());
            match (filter, changes.weights()) {
                (None, Weights::AllInserts) => vec![1; changes.num_rows()],
                (None, Weights::PerRow(w)) => w.to_vec(),
                (Some(filter), weights) => {
                    let passes = passing(filter);
                    (0..changes.num_rows()).map(|row| i64::from(passes.value(row)) * weights.at(row)).collect()
                }
            }
        })
        .collect()
}

/// A filter in which NULL is false.
fn passing(filter: &BooleanArray) -> BooleanArray {
    match filter.nulls() {
        Some(nulls) if nulls.null_count() > 0 => BooleanArray::new(filter.values() & nulls.inner(), None),
        _ => filter.clone(),
    }
}
