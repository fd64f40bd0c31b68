//! `INSERT … ON CONFLICT DO …`: one row per PRIMARY KEY of the table that is written, where the query may have several.
//!
//! # Meaning
//! [`eddyline_plan::SinkMaterializeSpec`]. Of the query's rows with one key, `DEDUPLICATE` writes the one that came last,
//! `NOTHING` the one that came first; when it is taken back, the one that came before or after it takes its
//! place. `ERROR` allows one. Equal rows are no conflict.
//!
//! # Input
//! Rows in any change mode, dealt out by the key.
//!
//! # Output
//! At the flush: per changed key what differs, the row that goes before the row that comes. At most one row per key.
//!
//! # State
//! | table | key | value | rows | removed when |
//! |---|---|---|---|---|
//! | rows (0) | the key | the other columns of its rows, in the order in which they came | different keys, each with all its rows | no row has the key |
//!
//! # Order
//! An epoch counts by its net changes, so it does not matter in which order shards send what is taken back and what is
//! added. A row that is taken back and added again in one epoch keeps its place. Rows that are new come behind those that
//! were there, in the order in which they arrived: across shards that is any order, as in Flink. What is taken back of equal
//! rows is the one that came last.
//!
//! # Time
//! Watermarks pass. With a time to live ([`eddyline_plan::Input::ttl`]), keys for which no row came or was taken back for so long
//! are forgotten; nothing is put out then, so what was written stays until another row of the key is. When a key was
//! touched is stored with it.
//!
//! # Errors
//! More rows taken back than there were; with a time to live they may have been forgotten, and are let go. With `ERROR`, different rows with one key when the epoch ends: Flink waits for
//! a watermark, to give changes time to arrive; here an epoch is complete.
//!
//! # Cost
//! Per row: one look-up of the key and the row format of its other columns. Per changed key and epoch: sorting what came
//! for it, and a pass over its rows. A checkpoint writes all rows of a changed key.
//!
//! # Not done
//! `NOTHING` and `ERROR` keep all rows too; Flink forgets those that it does not write, and has none when the first is taken
//! back.

mod operator;
mod state;
#[cfg(test)]
mod tests;

use crate::layout::{Below, Layout, SLOT_BYTES, TableLayout, columns_bytes, names};
use crate::{Operator, OperatorError};
use arrow::datatypes::SchemaRef;
use eddyline_plan::SinkMaterializeSpec;
use eddyline_state::Store;

const NAME: &str = "SinkMaterialize";

/// Memory of a row beside its bytes: where it lies, its place among those with its key.
const ROW_BYTES: usize = 20;

/// What the operator of `spec` keeps: every row of the query, by its key.
pub(crate) fn layout(spec: &SinkMaterializeSpec, input: &Below<'_>) -> Layout {
    let table = TableLayout {
        name: "rows".into(),
        key: names(input.schema, &spec.key),
        bound: input.rows.clone(),
        entry_bytes: columns_bytes(input.schema, 0..input.schema.fields().len()) + SLOT_BYTES + ROW_BYTES,
    };
    Layout {
        tables: vec![table],
        output: input.rows.per_key(input.schema, &spec.key, 1),
        way_out: "let the PRIMARY KEY of the table hold the key of the query, so that no rows need to be kept, or SET 'table.exec.state.ttl'",
    }
}

/// The operator of `spec` over rows of `schema`.
pub(crate) fn build(
    spec: &SinkMaterializeSpec,
    schema: &SchemaRef,
    store: &Store,
    ttl_ms: Option<u64>,
) -> Result<Box<dyn Operator>, OperatorError> {
    Ok(Box::new(operator::SinkMaterialize::open(spec, schema, store, ttl_ms)?))
}
