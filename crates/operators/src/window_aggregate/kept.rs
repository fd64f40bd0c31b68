//! The slices of a windowed aggregate, as rows, for whoever looks at its stored state from outside.

use super::state::Slices;
use crate::OperatorError;
use crate::aggregation::BATCH_ROWS_MAX;
use arrow::array::{ArrayRef, AsArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use eddyline_plan::{AggregateCall, AggregatePhase, Window, WindowAggregateSpec};
use eddyline_state::{Store, Table};
use std::sync::Arc;

/// What a windowed aggregate (of the phases `Single` and `Global`) keeps.
#[derive(Debug, Clone)]
pub struct KeptSlices {
    /// Types of the key.
    pub keys: Vec<DataType>,
    /// The aggregates; of their columns nothing need be known.
    pub calls: Vec<AggregateCall>,
    /// The rows that are aggregated are only inserted.
    pub append_only: bool,
    /// A window is one slice. Otherwise DISTINCT aggregates are computed when a window closes, and a slice says nothing of them.
    pub are_windows: bool,
}

impl KeptSlices {
    /// The aggregates of which a slice says something, by number.
    pub fn shown(&self) -> impl Iterator<Item = usize> {
        (0..self.calls.len()).filter(|call| self.are_windows || !self.calls[*call].distinct)
    }

    /// Calls `each` with the columns of the slices that are stored, some at a time: when the slice begins (TIMESTAMP(3)), the key, then what the
    /// aggregates that are [shown](Self::shown) have come to. All slices of the store are in memory meanwhile.
    ///
    /// # Errors
    /// The state cannot be read, or `each` failed.
    pub fn read(
        &self,
        store: &Store,
        each: &mut dyn FnMut(Vec<ArrayRef>) -> Result<(), OperatorError>,
    ) -> Result<(), OperatorError> {
        let spec = WindowAggregateSpec {
            keys: Vec::new(),
            calls: self.calls.clone(),
            time: 0,
            time_type: DataType::Timestamp(TimeUnit::Millisecond, None),
            window: Window::Tumble { size_ms: 1, offset_ms: 0 },
            phase: AggregatePhase::Single,
            append_only: self.append_only,
        };
        let mut slices = Slices::open(&spec, &self.keys, store)?;
        while !slices.is_whole() {
            slices.warm(BATCH_ROWS_MAX)?;
        }
        let mut slots = slices.table.slots();
        slots.retain(|slot| slices.rows[*slot as usize] > 0);
        for slots in slots.chunks(BATCH_ROWS_MAX) {
            let begins = slices.table.key_column(0, slots)?;
            let begins = begins.as_primitive::<Int64Type>().values().clone();
            let mut columns: Vec<ArrayRef> = vec![Arc::new(TimestampMillisecondArray::new(begins, None))];
            columns.extend(slices.keys(slots)?);
            let results = slices.calls.evaluate(slots)?;
            columns.extend(self.shown().map(|call| results[call].clone()));
            each(columns)?;
        }
        Ok(())
    }
}
