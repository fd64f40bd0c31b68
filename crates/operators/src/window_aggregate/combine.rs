//! A window of several slices: their partials merged by key, their counted sets united.

use super::state::{SliceSet, Slices, key_hash};
use crate::OperatorError;
use crate::aggregation::{Calls, CountedSet, add_counts};
use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use eddyline_changes::hash::hash_columns;
use eddyline_plan::WindowAggregateSpec;
use eddyline_state::SlotTable;

/// One window's keys and accumulators, while it is emitted.
pub(super) struct Combined {
    pub(super) table: SlotTable,
    pub(super) rows: Vec<i64>,
    pub(super) calls: Calls,
    /// One per counted set.
    sets: Vec<CountedSet>,
    slots: Vec<u32>,
}

impl Combined {
    pub(super) fn new(spec: &WindowAggregateSpec, keys: &[DataType], sets: &[SliceSet]) -> Result<Self, OperatorError> {
        // Without the slice.
        let set = |set: &SliceSet| -> Result<CountedSet, OperatorError> {
            let mut types = set.set.table().types().to_vec();
            types.remove(0);
            Ok(CountedSet::new(SlotTable::transient("window values", &types)?, set.calls.len(), true))
        };
        Ok(Self {
            table: SlotTable::transient("window", keys)?,
            rows: Vec::new(),
            // Nothing is taken back here: slices' extremes are merged.
            calls: Calls::new(&spec.calls, true)?,
            sets: sets.iter().map(set).collect::<Result<_, _>>()?,
            slots: Vec::new(),
        })
    }

    /// Makes this the window over the slices in `from..to`.
    pub(super) fn fill(&mut self, slices: &Slices, sets: &[SliceSet], from: i64, to: i64) -> Result<(), OperatorError> {
        self.table.clear();
        self.rows.clear();
        self.calls.clear_all();
        for (slice, slots) in slices.by_slice.range(from, to) {
            let hashes: Vec<u64> = slots.iter().map(|s| key_hash(slices.table.hash(*s), slice)).collect();
            self.lookup(&slices.keys(slots)?, &hashes)?;
            let rows: Vec<i64> = slots.iter().map(|s| slices.rows[*s as usize]).collect();
            add_counts(&mut self.rows, &self.slots, &rows);
            self.calls.merge(&self.slots, &slices.calls.partials(slots, false)?)?;
        }
        for (at, set) in sets.iter().enumerate() {
            self.sets[at].clear();
            for (_, slots) in set.by_slice.range(from, to) {
                self.unite(at, set, slots)?;
            }
        }
        Ok(())
    }

    fn lookup(&mut self, keys: &[ArrayRef], hashes: &[u64]) -> Result<(), OperatorError> {
        self.table.lookup(keys, hashes, &mut self.slots, &mut |_, _| Ok(()))?;
        self.rows.resize(self.table.slots_max(), 0);
        self.calls.resize(self.table.slots_max());
        Ok(())
    }

    /// Adds the values of one slice that no slice before had.
    fn unite(&mut self, at: usize, set: &SliceSet, slots: &[u32]) -> Result<(), OperatorError> {
        let columns = set.keys_and_values(slots)?;
        let (keys, values) = columns.split_at(self.table.types().len());
        let hashes = hash_columns(&columns, slots.len())?;
        let transitions = self.sets[at].count(&columns, &hashes, &set.set.seen(slots))?;
        self.lookup(keys, &hash_columns(keys, slots.len())?)?;
        for (call, transitions) in set.calls.iter().zip(transitions).filter(|(_, t)| !t.rows.is_empty()) {
            let slots: Vec<u32> = transitions.rows.iter().map(|row| self.slots[*row as usize]).collect();
            let rows = UInt32Array::from(transitions.rows);
            let args = values.iter().map(|v| take(v, &rows, None)).collect::<Result<Vec<_>, _>>()?;
            self.calls.accumulate_distinct(*call, &slots, &args, transitions.weights)?;
        }
        Ok(())
    }
}
