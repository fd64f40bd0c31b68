//! `ROW_NUMBER() OVER (PARTITION BY … ORDER BY …) <= n` and its like, `ORDER BY … LIMIT`, `DISTINCT ON`: the first rows
//! of every partition.
//!
//! # Meaning
//! [`eddyline_plan::TopNSpec`]. Rows of equal order are told apart by their other columns, so the answer is that of the
//! table, whatever the order in which its rows came.
//!
//! # Input
//! Rows in any change mode, dealt out by the columns of the partition; in the local phase as they are.
//!
//! # Output
//! At the flush: per changed partition the difference between what it put out and what it puts out now, and nothing for
//! rows that stay. With the number among the columns, a row whose number changed is replaced; the retraction of a
//! number comes right before the insertion in its place. The local phase puts out what is new and takes nothing back: what it
//! sent is a row of the input all the same, and the next phase orders it out.
//!
//! Where partitions are windows that close, nothing at the flush: a partition is put out when its time is complete.
//!
//! # State
//! | table | key | value | rows | removed when |
//! |---|---|---|---|---|
//! | rows (0) | partition, order, other columns | weight | append-only: those up to `last` of every partition; else all different rows | weight 0; append-only: beyond `last`; their time is complete |
//! | partitions, in memory | partition | its rows in order; how late a row may be in the order and still come in | different partitions | no rows |
//!
//! A row is one string of bytes which orders as the rows of a partition do: the columns of the order in the row format,
//! then all others. It is stored in this form and decoded when it is put out.
//!
//! The local phase keeps the same in memory alone. After a restart it sends too much at worst.
//!
//! # Time
//! Watermarks pass. With a time among the columns of the partition ([`eddyline_plan::TopNSpec::closes`]) a partition is
//! forgotten when the watermark has passed it; a row that comes for it later is left out and counted as late.
//!
//! With a time to live ([`eddyline_plan::Input::ttl`]), partitions into which no row came for so long are forgotten;
//! nothing is put out then. (A row that comes too late in the order does not come in.) When a row came last is stored with the rows of its partition.
//!
//! # Errors
//! More rows taken back than there were, when the epoch ends; with a time to live they may have been forgotten, and it is none.
//!
//! # Cost
//! Per row: one look-up of the partition, the order columns in the row format, and if the input is append-only one
//! comparison: rows that come too late in the order end there. Others: the row format of the whole row; at the flush a
//! search among the rows of the partition. Per changed partition and epoch: a pass over the row numbers of its rows (4 bytes each)
//! and over its first `last` rows.
//!
//! # Not done
//! Partitions that are windows are forgotten only over rows that are not taken back. NULLs and zeros of FLOAT and DOUBLE are put out in their
//! canonical form (`-0.0` as `0.0`).

mod operator;
mod ranks;
#[cfg(test)]
mod tests;

use crate::layout::{Below, Bound, Layout, TableLayout, columns_bytes, names};
use crate::partitions::ROW_BYTES;
use crate::{Operator, OperatorError};
use arrow::datatypes::SchemaRef;
use eddyline_plan::{Ranking, TopNSpec};
use eddyline_state::Store;

const NAME: &str = "TopN";

/// The operator of `spec` over `input`.
pub(crate) fn build(
    spec: &TopNSpec,
    input: &SchemaRef,
    output: &SchemaRef,
    store: &Store,
    ttl_ms: Option<u64>,
) -> Result<Box<dyn Operator>, OperatorError> {
    Ok(Box::new(operator::TopN::open(spec, input, output, store, ttl_ms)?))
}

/// What the operator of `spec` keeps. Rows that are equal in the order have one RANK or DENSE_RANK: nothing bounds how many
/// they are.
pub(crate) fn layout(spec: &TopNSpec, input: &Below<'_>) -> Layout {
    let first = match spec.last {
        Some(last) if spec.ranking == Ranking::RowNumber => input.rows.per_key(input.schema, &spec.partition, last),
        _ => input.rows.clone(),
    };
    let width = columns_bytes(input.schema, 0..input.schema.fields().len());
    let table = TableLayout {
        name: "rows".into(),
        key: names(input.schema, &spec.partition),
        bound: match spec.append_only {
            true if spec.closes.is_some() => Bound::Watermark,
            true => first.clone(),
            false => input.rows.clone(),
        },
        entry_bytes: width + ROW_BYTES,
    };
    Layout {
        tables: vec![table],
        // Before the exchange what was sent is not taken back.
        output: if spec.local { input.rows.clone() } else { first },
        way_out: "keep ROW_NUMBER() <= n of rows that are only inserted, partitioned by columns of few values, or of young rows alone (WHERE ts > NOW() - INTERVAL '1' DAY), or SET 'table.exec.state.ttl'",
    }
}
