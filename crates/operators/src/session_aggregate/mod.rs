//! `GROUP BY` sessions of rows that are only inserted: accumulators per session.
//!
//! # Meaning
//! [`eddyline_plan::SessionAggregateSpec`]: the aggregates of every session of every key.
//!
//! # Input
//! Insertions, dealt out by the keys.
//!
//! # Output
//! With `closes` insertions only: a session when the watermark has passed it, in the order of their ends. Else at the flush, for every session to which a row came: what was put out is taken back,
//! of all that became one, and what it is now put out; nothing where that is the same.
//!
//! # State
//! | table | key | value | rows | removed when |
//! |---|---|---|---|---|
//! | sessions (0) | keys | per session, the latest first: times of its first and its last row, number of rows, accumulators | different keys; with `closes` those with an open session | with `closes`, all sessions closed |
//! | watermark (100), with `closes` | none | the watermark that closed the last session | 1 per key group | never |
//! | when sessions are due, in memory, with `closes` | session | | open sessions | the session closed |
//!
//! # Time
//! As `session_assign`: a session closes at the first watermark `>= end - 1`, and one that ends at or before the watermark *before*, when event time
//! moves, is late with all of its rows.
//!
//! With a time to live ([`eddyline_plan::Input::ttl`]), which there is without `closes` alone, keys to which no row came for so long
//! are forgotten with all their sessions; nothing is put out then.
//!
//! # Errors
//! A row that is taken back: the input was said to be append-only. Overflow of a result; a time whose session does not end within 64 bits of milliseconds. Rows
//! with NULL time are rejected.
//!
//! # Cost
//! Per row: one look-up of the key, a step for every later session of the key (none, where rows come in order), one pass over slots per call. Per session that
//! is united with another: one merge of accumulators. Per session: one evaluation when it closes; else two for every epoch in which it changes.
//! How long a session is does not matter.
//!
//! # Not done
//! Rows that are taken back, DISTINCT (the planner takes `session_assign` and an aggregate over it). With `closes` all keys stay in memory. Without, all sessions of a key are
//! written when one of them has changed.

mod operator;
mod state;
#[cfg(test)]
mod tests;

use crate::aggregation::calls_bytes;
use crate::layout::{Below, Bound, Layout, SLOT_BYTES, TableLayout, columns_bytes, names};
use crate::{Operator, OperatorError, closed};
use arrow::datatypes::SchemaRef;
use eddyline_plan::SessionAggregateSpec;
use eddyline_state::Store;

const NAME: &str = "SessionAggregate";

/// The operator of `spec` over `input`.
pub(crate) fn build(
    spec: &SessionAggregateSpec,
    input: &SchemaRef,
    output: &SchemaRef,
    store: &Store,
    ttl_ms: Option<u64>,
) -> Result<Box<dyn Operator>, OperatorError> {
    if spec.calls.iter().any(|c| c.distinct) {
        let message = "DISTINCT of a session is aggregated over its rows".into();
        return Err(OperatorError::Spec { operator: NAME, message });
    }
    Ok(match spec.closes {
        true => Box::new(operator::Closing::open(spec, input, output, store)?),
        false => Box::new(operator::Updating::open(spec, input, output, store, ttl_ms)?),
    })
}

/// What the operator of `spec` keeps.
pub(crate) fn layout(spec: &SessionAggregateSpec, input: &Below<'_>) -> Layout {
    let width = columns_bytes(input.schema, spec.keys.iter().copied()) + state::SESSION_BYTES + SLOT_BYTES;
    let sessions = TableLayout {
        name: "sessions".into(),
        key: names(input.schema, &spec.keys),
        bound: if spec.closes { Bound::Watermark } else { input.rows.clone() },
        entry_bytes: width + calls_bytes(&spec.calls),
    };
    Layout {
        tables: std::iter::once(sessions).chain(spec.closes.then(closed::layout)).collect(),
        output: input.rows.clone(),
        way_out: "let sessions go when they close (EMIT ON WINDOW CLOSE, or 'execution.emit' = 'on-close', over a column with WATERMARK FOR), or SET 'table.exec.state.ttl'",
    }
}
