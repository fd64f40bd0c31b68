//! INTERSECT ALL, EXCEPT ALL.
//!
//! # Meaning
//! [`eddyline_plan::SetOperation`]: of every row, so many copies as the numbers of copies in both inputs say. NULL
//! equals NULL.
//!
//! # Input
//! 0: left, 1: right, of equal column types; in any change mode, dealt out by all columns.
//!
//! # Output
//! At the flush: for every row that came or went, by how many copies the result changed.
//!
//! # State
//! | table | key | value | rows | removed when |
//! |---|---|---|---|---|
//! | rows (0) | all columns | copies in the left, copies in the right | different rows of both inputs | both are 0 |
//!
//! # Time
//! Watermarks pass. With a time to live ([`eddyline_plan::Input::ttl`], the longer of both inputs), rows that did not change in
//! either input for so long are forgotten; nothing is put out then, and the row begins anew when it comes again. When a row
//! changed is stored with it.
//!
//! # Errors
//! More copies of a row taken back than there were, when the epoch ends; with a time to live they may have been forgotten, and
//! are let go.
//!
//! # Cost
//! Per row: one hash over all columns and one look-up. Per changed row and epoch: one row at most.
//!
//! # Not done
//! Zeros of FLOAT and DOUBLE are put out in their canonical form (`-0.0` as `0.0`).

mod operator;
mod state;
#[cfg(test)]
mod tests;

use crate::layout::{Below, Layout, SLOT_BYTES, TableLayout, columns_bytes, names};
use crate::{Operator, OperatorError};
use arrow::datatypes::SchemaRef;
use eddyline_plan::SetOperationSpec;
use eddyline_state::Store;

pub(crate) use state::read_copies;

const NAME: &str = "SetOperation";

/// What is kept: the different rows of both inputs. The result has rows of the left alone.
pub(crate) fn layout(left: &Below<'_>, right: &Below<'_>) -> Layout {
    let columns: Vec<usize> = (0..left.schema.fields().len()).collect();
    let table = TableLayout {
        name: "rows".into(),
        key: names(left.schema, &columns),
        bound: left.rows.and(right.rows).per_key(left.schema, &columns, 1),
        entry_bytes: columns_bytes(left.schema, columns) + SLOT_BYTES + size_of::<state::Copies>(),
    };
    Layout {
        tables: vec![table],
        output: left.rows.clone(),
        way_out: "compare fewer columns, whose values are limited, or tables that take their rows back, or SET 'table.exec.state.ttl'",
    }
}

/// The operator of `spec` over a left and a right input.
pub(crate) fn build(
    spec: SetOperationSpec,
    inputs: &[SchemaRef],
    output: &SchemaRef,
    store: &Store,
    ttl_ms: Option<u64>,
) -> Result<Box<dyn Operator>, OperatorError> {
    let types = |s: &SchemaRef| s.fields().iter().map(|f| f.data_type().clone()).collect::<Vec<_>>();
    match inputs {
        [left, right] if types(left) == types(right) => {
            Ok(Box::new(operator::SetOperation::open(spec, output, store, ttl_ms)?))
        }
        _ => Err(OperatorError::Spec { operator: NAME, message: "needs two inputs of the same types".into() }),
    }
}
