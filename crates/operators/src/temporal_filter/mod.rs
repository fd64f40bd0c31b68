//! `WHERE ts > NOW() - INTERVAL '1' HOUR`: rows that are there for a time, and come and go as it passes.
//!
//! # Meaning
//! [`eddyline_plan::TemporalFilterSpec`]. The bounds say of every row from which moment on it is there and until when it is,
//! `[from, until)` in milliseconds, both computed from its columns alone. A bound with months may give a row several such times, none of
//! which touches another (`calendar.rs`): then it is kept as that many rows. At the flush the output is that of the epoch's time.
//!
//! By the watermark ([`eddyline_plan::Clock::Watermark`]) it is a gate: rows come out once the watermark has passed their time, and stay; one whose time it
//! has passed before is late. What is above it sees rows in the order of their time, as far as epochs show it.
//!
//! # Input
//! Rows in any change mode; if they may be taken back, dealt out by columns, so that a row and its retraction meet.
//!
//! # Output
//! At the flush: what the changes of the epoch add up to of the rows that are there now; rows whose time has come since the
//! last epoch; retractions of those whose time is over. Rows that were there at the last flush and stay for ever pass at once.
//!
//! # State
//! | table | key | value | rows | removed when |
//! |---|---|---|---|---|
//! | rows (2) | second or so in which something is due, columns by which rows are dealt out, other output columns, from, until | weight, weight that is put out | different rows that are there and will go, or will come, times their times | weight 0; time over; time come, of rows that stay |
//! | time (1) | none | the time of the last flush | 1 per key group | never |
//! | due times, in memory | second or so in which something is due | rows | rows | they were due |
//!
//! When memory is short, rows that were not used for long are left to the store, and after a restart all are there, unless they are few. They come
//! back when they change, or when their second begins, which stands together in the store. (Rows that were stored without it, in table
//! 0, are taken over when the table is opened.)
//!
//! Rows that are not dealt out are kept under a key group of this shard: only their time and place matter to them.
//!
//! # Time
//! Watermarks pass; but a row, of the gate too, may come out long after the watermark has passed it, and go. The time now is that of the
//! epoch. It says when it has something to do next ([`Context::is_due_at`](crate::Context::is_due_at)), so that an epoch ends then.
//!
//! # Errors
//! More rows taken back than there were, when the epoch ends; of rows whose time is over that is not known any more, and
//! their changes are let go. Late rows and rows without a time are left out by the gate, and counted.
//!
//! # Cost
//! Per row: its two times, one look-up; when something is due: per row one gather. Per epoch at most a second's worth of rows is
//! looked at that are not due yet.
//!
//! # Not done
//! Order among the rows of one second. NULLs and zeros of FLOAT and DOUBLE are put out in their canonical form (`-0.0` as `0.0`).

mod calendar;
mod due;
#[cfg(test)]
mod month_tests;
mod operator;
mod state;
#[cfg(test)]
mod tests;
mod times;

use crate::layout::{Below, Bound, Layout, SLOT_BYTES, TableLayout, columns_bytes};
use crate::{Operator, OperatorError};
use arrow::datatypes::SchemaRef;
use eddyline_plan::{Clock, TemporalFilterSpec};
use eddyline_state::Store;

pub(crate) use state::{ROWS, ROWS_BY_SPAN, read_rows};

const NAME: &str = "TemporalFilter";

/// The operator of `spec` over `input`.
pub(crate) fn build(
    spec: &TemporalFilterSpec,
    input: &SchemaRef,
    output: &SchemaRef,
    store: &Store,
) -> Result<Box<dyn Operator>, OperatorError> {
    Ok(Box::new(operator::TemporalFilter::open(spec, input, output, store)?))
}

/// Memory of a row beside its columns and its slot: from and until as a key and as numbers, weight, what is put out, when it is due.
const ROW_BYTES: usize = 60;

/// What the operator of `spec` keeps: rows whose time is not over, or has not come.
pub(crate) fn layout(spec: &TemporalFilterSpec, input: &Below<'_>) -> Layout {
    let rows = TableLayout {
        name: "rows".into(),
        key: Vec::new(),
        bound: if spec.clock == Clock::Watermark { Bound::Watermark } else { Bound::Clock },
        entry_bytes: columns_bytes(input.schema, spec.stored()) + SLOT_BYTES + ROW_BYTES,
    };
    let time =
        TableLayout { name: "time".into(), key: Vec::new(), bound: Bound::Rows(1), entry_bytes: size_of::<i64>() };
    let output = if spec.ends() { Bound::Clock } else { input.rows.clone() };
    Layout { tables: vec![rows, time], output, way_out: "" }
}
