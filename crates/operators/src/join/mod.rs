//! `JOIN`, `IN`, `EXISTS`: rows of two inputs that match.
//!
//! # Meaning
//! [`eddyline_plan::JoinSpec`]. A pair of rows has the product of their weights.
//!
//! # Input
//! 0: left, 1: right; in any change mode, dealt out by the join keys.
//!
//! # Output
//! Pairs at once: what comes on one side is joined with what is there of the other, then added to its own side, so that
//! the pairs add up to the join whatever the order (Δ(L⋈R) = ΔL⋈R + L⋈ΔR + ΔL⋈ΔR). What depends on whether a row matches
//! *anything* (rows with NULLs in an outer join, semi, anti, mark) is not linear: it is put out at the flush, once
//! per row and epoch, by comparing what the row was with what it is; with `on_close`, when its time is complete.
//!
//! # State
//! | table | key | value | rows | removed when |
//! |---|---|---|---|---|
//! | left rows (0) | join keys, other columns | weight, matches | different rows | weight 0, or their time has passed |
//! | right rows (1) | the same of the right | the same | the same | the same |
//! | join keys, in memory | join keys | rows and total weight of each side | different keys | no rows |
//!
//! `matches`, how many rows of the other side match, is kept per row only where a residual condition decides;
//! without one it is the key's total of the other side.
//!
//! Rows with a NULL key match nothing: they are put out at once or dropped, and never kept.
//!
//! # Time
//! With a [`TimeKey`](eddyline_plan::TimeKey), rows go when the watermark passes their time. Otherwise watermarks pass.
//!
//! # Errors
//! More rows taken back than there were, when the epoch ends; a condition that fails on a pair of rows.
//!
//! # Cost
//! Per row: one look-up of the key, one of the row, two hashes; per pair: one gather per output column.
//!
//! # Not done
//! Bounds by a range of time (`a.ts BETWEEN b.ts - … AND b.ts`); an order within a key for inequalities. NULLs and zeros
//! of FLOAT and DOUBLE are kept in their canonical form (`-0.0` as `0.0`).

mod operator;
mod postings;
mod residual;
mod state;
#[cfg(test)]
mod tests;

use crate::{Operator, OperatorError};
use arrow::datatypes::SchemaRef;
use eddyline_plan::JoinSpec;
use eddyline_state::Store;

const NAME: &str = "Join";

/// The operator of `spec` over a left and a right input.
pub(crate) fn build(
    spec: &JoinSpec,
    inputs: &[SchemaRef],
    output: &SchemaRef,
    store: &Store,
) -> Result<Box<dyn Operator>, OperatorError> {
    let [left, right] = inputs else {
        return Err(OperatorError::Spec { operator: NAME, message: format!("it has {} inputs", inputs.len()) });
    };
    Ok(Box::new(operator::Join::open(spec, [left, right], output, store)?))
}
