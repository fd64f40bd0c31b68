//! Tables whose rows replace each other by PRIMARY KEY (`upsert-json`, `debezium-json` without before-images): which row a
//! new one replaces.
//!
//! # Meaning
//! [`eddyline_plan::ChangelogNormalizeSpec`]. The table holds, per key, the row that came last, unless its deletion came
//! after it.
//!
//! # Input
//! Rows with weight +1 that replace the one of their key, and rows with weight -1 that delete it, of which the key alone
//! counts. Dealt out by the key; rows of one key must come in their order, so a source hands out all of a key's rows
//! in one split. A weight of n means no more than one.
//!
//! # Output
//! Insertions and retractions. At the flush, and before event time moves: per key what differs. A row that is replaced by
//! an equal one puts out nothing.
//!
//! # State
//! | table | key | value | rows | removed when |
//! |---|---|---|---|---|
//! | rows (0) | the key | the other columns of its last row, in the row format | different keys | the key is deleted |
//!
//! # Time
//! Watermarks pass, behind what came before them. A row that is taken back may be older than the watermark: windows that are
//! closed do not open again for it.
//!
//! With a time to live ([`eddyline_plan::Input::ttl`]), keys for which no row came for so long are forgotten; nothing is put out
//! then. The next row of the key replaces none: it stands beside what was put out. A row that is equal to the one before
//! touches the key, though nothing is put out for it. When a row came is stored with its key.
//!
//! # Errors
//! None. The deletion of a key that has no row changes nothing and is counted, as Flink does: a reader that begins in the
//! middle of a changelog meets them.
//!
//! # Cost
//! Per row: one look-up of the key and the row format of its other columns. Per changed key and epoch: one comparison of
//! bytes, and decoding of what is put out.
//!
//! # Not done
//! Zeros and NaN of FLOAT and DOUBLE are put out in their canonical form (`-0.0` as `0.0`).

mod operator;
mod state;
#[cfg(test)]
mod tests;

use crate::layout::{Below, Layout, SLOT_BYTES, TableLayout, columns_bytes, names};
use crate::{Operator, OperatorError};
use arrow::datatypes::SchemaRef;
use eddyline_plan::ChangelogNormalizeSpec;
use eddyline_state::Store;
pub(crate) use state::Last;

/// Memory of a row beside its bytes: where it lies.
const ROW_BYTES: usize = 20;

/// What the operator of `spec` keeps.
pub(crate) fn layout(spec: &ChangelogNormalizeSpec, input: &Below<'_>) -> Layout {
    let rows = input.rows.per_key(input.schema, &spec.key, 1);
    let table = TableLayout {
        name: "rows".into(),
        key: names(input.schema, &spec.key),
        bound: rows.clone(),
        entry_bytes: columns_bytes(input.schema, 0..input.schema.fields().len()) + SLOT_BYTES + ROW_BYTES,
    };
    Layout {
        tables: vec![table],
        output: rows,
        way_out: "delete rows at the source when they are no longer needed, or SET 'table.exec.state.ttl'",
    }
}

/// The operator of `spec` over rows of `schema`.
pub(crate) fn build(
    spec: &ChangelogNormalizeSpec,
    schema: &SchemaRef,
    store: &Store,
    ttl_ms: Option<u64>,
) -> Result<Box<dyn Operator>, OperatorError> {
    Ok(Box::new(operator::ChangelogNormalize::open(spec, schema, store, ttl_ms)?))
}
