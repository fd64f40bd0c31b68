//! `TABLE(SESSION(…))`: every row with its session, the rows of a partition between two pauses.
//!
//! # Meaning
//! [`eddyline_plan::SessionAssignSpec`]; what a session is: [`eddyline_plan`]'s `session`.
//!
//! # Input
//! Rows in any change mode, dealt out by the columns of the partition.
//!
//! # Output
//! Without `closes`, at the flush: the difference between what was put out and what is to be, of those sessions alone to which or from which something
//! came or went: a row whose session is another now is taken back with the former one. With `closes` insertions only, all rows of a session
//! when the watermark has passed it.
//!
//! # State
//! | table | key | value | rows | removed when |
//! |---|---|---|---|---|
//! | rows (0) | partition, time, other columns | weight | all different rows; with `closes` those of open sessions | weight 0; their session closed |
//! | watermark (100), with `closes` | none | the watermark that closed the last session | 1 per key group | never |
//! | when partitions are due, in memory, with `closes` | partition | how far its first session is known to go | partitions with rows | no rows |
//!
//! # Time
//! With `closes` a session closes at the first watermark `>= end - 1`. Whether a row is late is not told by its time alone, as a later row may
//! hold its session open, and may come after it: when event time moves, all sessions are looked at as they are then, and those that end at or before the watermark
//! *before* are late, with all rows. So it does not matter where epochs are cut, nor which of the rows between two watermarks came first. A row that is taken
//! back and is not there is late if its session would be, else it is an error.
//!
//! A change behind the watermark may leave the rest of a session that would have been closed; it is late too.
//!
//! With a time to live ([`eddyline_plan::Input::ttl`]), which there is without `closes` alone, partitions in which no row came or was taken back for so long
//! are forgotten; nothing is put out then, and the next row begins a new partition.
//!
//! # Errors
//! More rows taken back than there were, when the epoch ends; a time whose session does not end within 64 bits of milliseconds. Rows with NULL time
//! are rejected.
//!
//! # Cost
//! Per row: one look-up of the partition, the row format of the row, a search among the rows of the partition. Per changed partition and
//! epoch: a copy of its row numbers (4 bytes each); without `closes` all rows of the sessions that changed. With `closes` every row of a session is looked at once for as
//! long as nothing is taken back, and put out once.
//!
//! # Not done
//! With `closes` all rows stay in memory. NULLs and zeros of FLOAT and DOUBLE are put out in their canonical form (`-0.0` as `0.0`).

mod closing;
mod operator;
mod spans;
#[cfg(test)]
mod tests;
mod updating;

use crate::layout::{Below, Bound, Layout, TableLayout, columns_bytes, names};
use crate::partitions::ROW_BYTES;
use crate::{Operator, OperatorError, closed};
use arrow::datatypes::SchemaRef;
use eddyline_plan::SessionAssignSpec;
use eddyline_state::Store;

const NAME: &str = "SessionAssign";

/// The operator of `spec` over `input`.
pub(crate) fn build(
    spec: &SessionAssignSpec,
    input: &SchemaRef,
    output: &SchemaRef,
    store: &Store,
    ttl_ms: Option<u64>,
) -> Result<Box<dyn Operator>, OperatorError> {
    let rows = operator::SessionRows::open(spec, input, output, store, ttl_ms)?;
    Ok(match spec.closes {
        true => Box::new(closing::Closing::open(rows, store)?),
        false => Box::new(updating::Updating::new(rows)),
    })
}

/// What the operator of `spec` keeps.
pub(crate) fn layout(spec: &SessionAssignSpec, input: &Below<'_>) -> Layout {
    let width = columns_bytes(input.schema, 0..input.schema.fields().len());
    let rows = TableLayout {
        name: "rows".into(),
        key: names(input.schema, &spec.partition),
        bound: if spec.closes { Bound::Watermark } else { input.rows.clone() },
        entry_bytes: width + ROW_BYTES,
    };
    Layout {
        tables: std::iter::once(rows).chain(spec.closes.then(closed::layout)).collect(),
        output: input.rows.clone(),
        way_out: "let sessions go when they close (EMIT ON WINDOW CLOSE, or 'execution.emit' = 'on-close', over a column with WATERMARK FOR), or give SESSION a PARTITION BY and SET 'table.exec.state.ttl'",
    }
}
