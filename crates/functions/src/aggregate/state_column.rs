//! Partials that are stored accumulators, one in each row of a BYTES column: nothing is lost on the way.

use super::{AggregateError, GroupedAccumulator};
use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder};
use std::sync::Arc;

/// What `slots` hold, as stored.
pub(super) fn states(accumulator: &dyn GroupedAccumulator, slots: &[u32]) -> Vec<ArrayRef> {
    let mut column = BinaryBuilder::new();
    let mut bytes = Vec::new();
    for slot in slots {
        bytes.clear();
        accumulator.save(*slot, &mut bytes);
        column.append_value(&bytes);
    }
    vec![Arc::new(column.finish())]
}

/// Hands every state that is not NULL to `merge`, with its slot.
pub(super) fn merge_states(
    slots: &[u32],
    partials: &[ArrayRef],
    mut merge: impl FnMut(u32, &mut &[u8]) -> Result<(), AggregateError>,
) -> Result<(), AggregateError> {
    let column = partials[0].as_binary::<i32>();
    for (row, slot) in slots.iter().enumerate().filter(|(row, _)| column.is_valid(*row)) {
        merge(*slot, &mut column.value(row))?;
    }
    Ok(())
}
