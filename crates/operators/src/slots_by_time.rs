//! Slots of keys that hold a time which the watermark passes: by that time, so that they are found when it is over.

use crate::OperatorError;
use crate::event_time::millis_or_max;
use arrow::array::{ArrayRef, Int64Array};
use eddyline_state::{RowTable, SlotTable, StateError};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// A table whose slots hold columns.
pub(crate) trait Columns {
    /// One column of `slots`.
    fn column_of(&self, column: usize, slots: &[u32]) -> Result<ArrayRef, StateError>;
}

impl Columns for SlotTable {
    fn column_of(&self, column: usize, slots: &[u32]) -> Result<ArrayRef, StateError> {
        self.key_column(column, slots)
    }
}

impl Columns for RowTable {
    fn column_of(&self, column: usize, slots: &[u32]) -> Result<ArrayRef, StateError> {
        self.column(column, slots)
    }
}

/// Slots of a table by the time in one of its columns.
pub(crate) struct SlotsByTime {
    operator: &'static str,
    column: usize,
    slots: BTreeMap<i64, Vec<u32>>,
}

impl SlotsByTime {
    /// No slots; the time is in `column` of the table's keys.
    pub(crate) fn new(operator: &'static str, column: usize) -> Self {
        Self { operator, column, slots: BTreeMap::new() }
    }

    fn times(&self, table: &impl Columns, slots: &[u32]) -> Result<Int64Array, OperatorError> {
        millis_or_max(self.operator, &table.column_of(self.column, slots)?)
    }

    /// Notes new slots of `table`.
    pub(crate) fn add(&mut self, table: &impl Columns, slots: &[u32]) -> Result<(), OperatorError> {
        if slots.is_empty() {
            return Ok(());
        }
        for (slot, time) in slots.iter().zip(self.times(table, slots)?.values()) {
            self.slots.entry(*time).or_default().push(*slot);
        }
        Ok(())
    }

    /// Forgets slots, which still have their keys in `table`.
    pub(crate) fn remove(&mut self, table: &impl Columns, slots: &[u32]) -> Result<(), OperatorError> {
        if slots.is_empty() {
            return Ok(());
        }
        for (slot, time) in slots.iter().zip(self.times(table, slots)?.values()) {
            if let Entry::Occupied(mut known) = self.slots.entry(*time) {
                known.get_mut().retain(|s| s != slot);
                if known.get().is_empty() {
                    known.remove();
                }
            }
        }
        Ok(())
    }

    /// The column that holds the time.
    pub(crate) fn column(&self) -> usize {
        self.column
    }

    /// The times of slots.
    pub(crate) fn times_of(&self, table: &impl Columns, slots: &[u32]) -> Result<Vec<(i64, u32)>, OperatorError> {
        if slots.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.times(table, slots)?.values().iter().copied().zip(slots.iter().copied()).collect())
    }

    /// As [`remove`](Self::remove), of many slots, which need not have their keys any more.
    pub(crate) fn leave(&mut self, mut leaving: Vec<(i64, u32)>) {
        leaving.sort_unstable();
        for of_time in leaving.chunk_by(|a, b| a.0 == b.0) {
            if let Entry::Occupied(mut known) = self.slots.entry(of_time[0].0) {
                known.get_mut().retain(|slot| of_time.binary_search_by_key(slot, |(_, slot)| *slot).is_err());
                if known.get().is_empty() {
                    known.remove();
                }
            }
        }
    }

    /// Is there one whose time is at most `time` (ms)?
    pub(crate) fn has_until(&self, time: i64) -> bool {
        self.slots.first_key_value().is_some_and(|(first, _)| *first <= time)
    }

    /// Takes out those whose time is at most `time` (ms).
    pub(crate) fn take_until(&mut self, time: i64) -> Vec<u32> {
        let mut taken = Vec::new();
        while let Some(entry) = self.slots.first_entry()
            && *entry.key() <= time
        {
            taken.append(&mut entry.remove());
        }
        taken
    }
}
