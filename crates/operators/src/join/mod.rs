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
//!
//! In memory every side has an index from join keys to rows, in which the keys themselves are not kept again: one of a key's rows
//! shows it ([`chains`]). A row costs its columns and 2 bytes, a key 9 to 10, further rows of a key 4 each; of keys with more than
//! 16 rows each costs another 4 to 5, or 9 to 10 where rows may be taken back.
//!
//! When memory is short, keys that were not used for long are left to the store with all their rows, and brought in again when a row of either
//! side asks for them; after a restart all are there, unless they are few. Keys that go by their time
//! are brought in when it has come: then all that the store has is looked through. Without keys all rows of a side leave at once, and are gone
//! through, a piece at a time, in every epoch in which the other side changes ([`loose`]).
//!
//! A side that is never retracted keeps its rows as they come (tables 2 and 3): equal rows apart, and nobody looks for them.
//!
//! With a comparison ([`JoinSpec::range`]), rows of a key with more than 16 also stand in the order of the compared value (strings: of their first bytes), in memory:
//! 16 to 43 bytes a row.
//!
//! `matches`, how many rows of the other side match, is kept per row only where a residual condition decides or rows are forgotten;
//! otherwise a row matches when the other side has its key.
//!
//! Rows with a NULL key match nothing: they are put out at once or dropped, and never kept.
//!
//! # Time
//! With a [`TimeKey`](eddyline_plan::TimeKey), rows go when the watermark passes their time. Otherwise watermarks pass.
//!
//! With a time to live ([`eddyline_plan::Input::ttl`], of each side its own), rows that were not written for so long are forgotten:
//! nothing is put out then, and what comes later does not meet them. No row ever gets a negative multiplicity by that:
//! - The changes of a side that forgets and is retracted are gathered until the flush and added up. Of what is taken back, no more
//!   than there is has any effect; so what was put out of a pair is the product of its weights, and what was forgotten of it.
//! - What a row matched it goes on to have matched: how often is counted by row, and forgetting counts nothing down. So a row
//!   whose matches are forgotten does not stand alone again, and is not taken back as one that does.
//!
//! When a row was written stands with it (16 bytes a row in memory), so a restart changes nothing of its time.
//!
//! # Errors
//! More rows taken back than there were, when the epoch ends; a condition that fails on a pair of rows.
//!
//! # Cost
//! Per row: a look-up of its key on each side, and where it may be taken back a comparison with the rows of its key (of more than 16:
//! a look-up among them); per pair: one gather per output column.
//!
//! # Not done
//! Forgetting by a range of time (`a.ts BETWEEN b.ts - … AND b.ts`). A range ends on both sides only for rows that compare two of their values with
//! one of the other (`a.v BETWEEN b.low AND b.high`, for rows of `b`). Strings that have their first 16 bytes alike are not told apart in the order.
//! NULLs and zeros of FLOAT and DOUBLE are kept in their canonical form (`-0.0` as `0.0`).

mod arrival;
mod chains;
mod counts;
mod departure;
mod epoch;
mod loose;
mod operator;
mod order;
mod ranged;
mod residual;
mod singles;
mod state;
#[cfg(test)]
mod tests;

use crate::layout::{Below, Bound, Layout, TableLayout, columns_bytes, names};
use crate::{Operator, OperatorError};
use arrow::datatypes::SchemaRef;
use eddyline_plan::{JoinSpec, Node};
use eddyline_state::Store;
pub(crate) use state::{read_side, table_id};

/// Behind a row that is only inserted: what tells it apart from equal ones.
pub(crate) const SUFFIX_BYTES: usize = 8;

const NAME: &str = "Join";

/// The operator of `spec` at a node over a left and a right input.
pub(crate) fn build(
    spec: &JoinSpec,
    node: &Node,
    inputs: &[SchemaRef],
    store: &Store,
) -> Result<Box<dyn Operator>, OperatorError> {
    let ([left, right], [l, r]) = (inputs, node.inputs.as_slice()) else {
        return Err(OperatorError::Spec { operator: NAME, message: format!("it has {} inputs", inputs.len()) });
    };
    let ttl_ms = [l, r].map(|input| input.ttl.map(|ttl| ttl.ms));
    Ok(Box::new(operator::Join::open(spec, ttl_ms, [left, right], &node.schema, store)?))
}

/// Memory of a row beside its columns: weight, state, its place behind another of its key, its share of the index.
const ROW_BYTES: usize = 16;

/// What the operator of `spec` keeps: the rows of both sides, until they are taken back or their time has passed.
pub(crate) fn layout(spec: &JoinSpec, sides: [&Below<'_>; 2]) -> Layout {
    let [left, right] = sides;
    let table = |side: usize| {
        let Below { schema, rows } = sides[side];
        TableLayout {
            name: ["left rows", "right rows"][side].into(),
            key: names(schema, &spec.keys(side)),
            bound: if spec.time.is_some() { Bound::Watermark } else { (*rows).clone() },
            entry_bytes: columns_bytes(schema, 0..schema.fields().len()) + ROW_BYTES,
        }
    };
    let tables = vec![table(0), table(1)];
    let output = if spec.kind.has_pairs() { left.rows.times(right.rows) } else { left.rows.clone() };
    let way_out = "join results of the same windows by window_start and window_end, or young rows alone (WHERE ts > NOW() - INTERVAL '1' DAY)";
    Layout { tables, output, way_out }
}
