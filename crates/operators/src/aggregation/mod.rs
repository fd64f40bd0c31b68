//! What the rooms of aggregates share: the accumulators of a list of calls, counted sets for DISTINCT, and columns of
//! partials. No control flow, no context.

mod calls;
mod counted_set;
mod layout;
mod partial;
mod results;

pub(crate) use calls::{Calls, accumulator_of};
pub(crate) use counted_set::{CountedSet, Transitions, call_weights, not_null_rows};
pub(crate) use layout::{calls_bytes, set_layouts, value_layout};
pub(crate) use partial::{PartialBatch, partial_batch};
pub(crate) use results::{concat_pieces, equal_rows};

use crate::OperatorError;
use arrow::array::{Array, ArrayRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use eddyline_changes::{ChangeBatch, Weights};

/// Rows that operators put into one batch at most.
pub(crate) const BATCH_ROWS_MAX: usize = 8192;

/// Adds the weights of rows to `totals` of their slots.
#[inline]
pub(crate) fn add_weights(totals: &mut [i64], slots: &[u32], weights: &Weights) {
    match weights {
        Weights::AllInserts => slots.iter().for_each(|s| totals[*s as usize] += 1),
        Weights::PerRow(w) => add_counts(totals, slots, w),
    }
}

/// Adds counts to `totals` of their slots.
#[inline]
pub(crate) fn add_counts(totals: &mut [i64], slots: &[u32], counts: &[i64]) {
    slots.iter().zip(counts).for_each(|(s, w)| totals[*s as usize] += *w);
}

/// The columns of a batch at `at`.
pub(crate) fn columns(changes: &ChangeBatch, at: &[usize]) -> Vec<ArrayRef> {
    at.iter().map(|c| changes.column(*c).clone()).collect()
}

/// The error for a key whose rows add up to less than nothing.
pub(crate) fn retraction(operator: &'static str, key: &[ArrayRef]) -> OperatorError {
    let options = FormatOptions::default().with_display_error(true).with_null("NULL");
    let text = |column: &ArrayRef| match ArrayFormatter::try_new(column.as_ref(), &options) {
        Ok(f) if !column.is_empty() => f.value(0).to_string(),
        _ => String::new(),
    };
    let row = key.iter().map(text).collect::<Vec<_>>().join(", ");
    OperatorError::Retraction { operator, row: format!("key ({row})") }
}
