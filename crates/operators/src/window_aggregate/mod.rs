//! `GROUP BY` keys and windows: TUMBLE and HOP, emitted when the window closes.
//!
//! # Meaning
//! The aggregates of every key in every window, once, when the watermark has passed the window's end. The specification
//! with its phases is [`eddyline_plan::WindowAggregateSpec`]; `Single` and `Global` are in `operator`, `Local` in `local`.
//!
//! # Input
//! `Single`, `Local`: rows, in any change mode. `Global`: partials per key and slice, each of weight 1.
//!
//! # Output
//! `Single`, `Global`: insertions only, window by window in the order of their ends. `Local`: partials, at a flush, before
//! a watermark that could close a window over them, and when it holds too many.
//!
//! # State
//! | table | key | value | rows | removed when |
//! |---|---|---|---|---|
//! | slices (0) | start of the slice, keys | number of rows, accumulators | keys per open slice | the last window over the slice closed, or no row is left |
//! | distinct set *s* (*s*), `Single` | slice, keys, values of set *s* | per DISTINCT call, rows that have the value | distinct values per open slice | with the slice, or no row has the value |
//! | watermark (100) | none | the watermark that closed the last window | 1 per key group | never |
//!
//! A row is added to one slice, however many windows it is in. When a window closes, the partials of its slices are
//! merged by key; a window of one slice (every TUMBLE) is evaluated in place. A counted set of a window of several
//! slices is the union of the slices' sets.
//!
//! When memory is short, keys that were not used for long are left to the store; after a restart all are there, unless they are
//! few. When a window closes, all that is missing of its slices is brought in at once.
//!
//! # Time
//! A window closes at the first watermark `>= end - 1`. Windows without rows are passed over at no cost: the next one
//! to close is always the earliest open window over the earliest slice, since any open window that begins earlier and
//! holds a later slice would hold that slice too.
//!
//! # Errors
//! More rows of a key taken back than there were, or others than there were (seen when none is left); overflow of a
//! result; a time whose windows do not fit into 64 bits of milliseconds. Rows with NULL time
//! and rows all of whose windows are closed are rejected. A row that is late for some of its windows counts in the others.
//!
//! # Cost
//! Per row: one look-up of key and slice, one pass over slots per call. Per window and key: one evaluation, and for
//! several slices one look-up and merge per slice that has the key.
//!
//! # Not done
//! Results before a window closes; CUMULATE; DISTINCT in two phases (the planner takes `Single`).

mod combine;
mod kept;
mod local;
mod operator;
mod state;
#[cfg(test)]
mod tests;

use crate::aggregation::{calls_bytes, set_layouts};
use crate::layout::{Below, Bound, Layout, SLOT_BYTES, TableLayout, columns_bytes, names};
use crate::{Operator, OperatorError, closed};
use arrow::datatypes::SchemaRef;
use eddyline_plan::{AggregatePhase, WindowAggregateSpec};
use eddyline_state::Store;

pub use kept::KeptSlices;

const NAME: &str = "WindowAggregate";

/// The operator of `spec` over `input`.
pub(crate) fn build(
    spec: &WindowAggregateSpec,
    input: &SchemaRef,
    output: &SchemaRef,
    store: &Store,
) -> Result<Box<dyn Operator>, OperatorError> {
    let wrong = |message: &str| OperatorError::Spec { operator: NAME, message: message.into() };
    if spec.phase != AggregatePhase::Single && spec.calls.iter().any(|c| c.distinct) {
        return Err(wrong("DISTINCT in a window is aggregated in one phase"));
    }
    match spec.phase {
        AggregatePhase::Single | AggregatePhase::Global => {
            Ok(Box::new(operator::WindowAggregate::open(spec, input, output, store)?))
        }
        AggregatePhase::Local => Ok(Box::new(local::LocalWindowAggregate::new(spec, input, output)?)),
        AggregatePhase::Distinct => Err(wrong("has no phase Distinct")),
    }
}

/// What the operator of `spec` keeps: what the watermark has not passed.
pub(crate) fn layout(spec: &WindowAggregateSpec, input: &Below<'_>) -> Layout {
    let output = input.rows.clone();
    if spec.phase == AggregatePhase::Local {
        return Layout::stateless(output);
    }
    let key = || [vec!["slice".into()], names(input.schema, &spec.keys)].concat();
    let width = columns_bytes(input.schema, spec.keys.iter().copied()) + 8 + SLOT_BYTES;
    let table = |name: String, key: Vec<String>, entry_bytes: usize| TableLayout {
        name,
        key,
        bound: Bound::Watermark,
        entry_bytes,
    };
    let slices = table("slices".into(), key(), width + calls_bytes(&spec.calls));
    let sets = set_layouts(&spec.calls, input.schema, width)
        .into_iter()
        .enumerate()
        .map(|(at, set)| table(format!("distinct set {}", at + 1), [key(), set.columns].concat(), set.entry_bytes));
    let tables = [slices, closed::layout()].into_iter().chain(sets).collect();
    Layout { tables, output, way_out: "" }
}
