//! `OVER`: functions over the rows around a row, kept right while rows come and go.
//!
//! # Meaning
//! [`eddyline_plan::OverSpec`]. Rows of equal order are told apart by their other columns, so the answer is that of the
//! table, whatever the order in which its rows came. Nothing of the input is lost: every row comes out once per copy.
//!
//! # Input
//! Rows in any change mode, dealt out by the columns of the partition.
//!
//! # Output
//! At the flush: per changed partition the difference between what it put out and what it puts out now, first what is
//! taken away, then what comes; nothing for rows whose results stay. A late row may change the results of all rows after it.
//!
//! # State
//! | table | key | value | rows | removed when |
//! |---|---|---|---|---|
//! | rows (0) | partition, order, other columns | weight | all different rows | weight 0 |
//! | partitions, in memory | partition | its rows in order | different partitions | no rows |
//!
//! Results are not kept: what a partition put out is computed again from what it was.
//!
//! # Time
//! Watermarks pass. With a time to live ([`eddyline_plan::Input::ttl`]), partitions in which no row came or was taken back for so
//! long are forgotten, with all their rows; nothing is put out then, and the next row begins a new partition. When that was is
//! stored with the rows of the partition.
//!
//! # Errors
//! More rows taken back than there were, when the epoch ends (with a time to live they may have been forgotten, and are let
//! go); a result that does not fit its type.
//!
//! # Cost
//! Per row: one look-up of the partition, the row format of the row, at the flush a search among the rows of the partition.
//! Per changed partition and epoch: all its rows are decoded (the columns that functions read) and all functions computed
//! anew, twice, for before and after. Aggregates over frames that overlap share their work: blocks of 2, 4, 8, … rows
//! are aggregated once, and a frame is put together of at most two of each size, so that `n` frames cost
//! `n log n`, whatever their length (see `aggregate`).
//!
//! # Not done
//! Only the changed end of a partition computed anew. Partitions that are windows are not forgotten when they close. EXCLUDE. NULLs and zeros of FLOAT and DOUBLE are put out in their
//! canonical form (`-0.0` as `0.0`).

mod aggregate;
mod blocks;
mod entries;
mod evaluate;
mod frames;
mod operator;
mod positions;
mod range;
#[cfg(test)]
mod tests;

use crate::layout::{Below, Layout, TableLayout, columns_bytes, names};
use crate::partitions::ROW_BYTES;
use crate::{Operator, OperatorError};
use arrow::datatypes::SchemaRef;
use eddyline_plan::OverSpec;
use eddyline_state::Store;

const NAME: &str = "Over";

/// The operator of `spec` over `input`.
pub(crate) fn build(
    spec: &OverSpec,
    input: &SchemaRef,
    output: &SchemaRef,
    store: &Store,
    ttl_ms: Option<u64>,
) -> Result<Box<dyn Operator>, OperatorError> {
    Ok(Box::new(operator::Over::open(spec, input, output, store, ttl_ms)?))
}

/// What the operator of `spec` keeps.
pub(crate) fn layout(spec: &OverSpec, input: &Below<'_>) -> Layout {
    let width = columns_bytes(input.schema, 0..input.schema.fields().len());
    let table = TableLayout {
        name: "rows".into(),
        key: names(input.schema, &spec.partition),
        bound: input.rows.clone(),
        entry_bytes: width + ROW_BYTES,
    };
    Layout {
        tables: vec![table],
        output: input.rows.clone(),
        way_out: "aggregate with GROUP BY below OVER, or keep ROW_NUMBER() <= n, or give OVER a PARTITION BY and SET 'table.exec.state.ttl'",
    }
}
