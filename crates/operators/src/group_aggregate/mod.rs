//! `GROUP BY keys`, DISTINCT, aggregates without keys.
//!
//! # Meaning
//! The aggregates of every group that has rows. The specification with its phases is
//! [`eddyline_plan::GroupAggregateSpec`]; `Single` and `Global` are in `operator`, `Local` in `local`, `Distinct` in `distinct`.
//!
//! # Input
//! `Single`, `Local`: rows, in any change mode. `Distinct`, `Global`: partials, each of weight 1.
//!
//! # Output
//! At a flush, for every group that changed: the row as it was, taken back, then the row as it is; nothing where
//! they are equal. Partials come at a flush too, and from `Local` earlier when it holds too many groups.
//!
//! # State
//! | table | key | value | rows | removed when |
//! |---|---|---|---|---|
//! | groups (0) | keys | number of rows, accumulators | groups | a group has no rows |
//! | distinct set *s* (*s*), `Single` | keys, values of set *s* | per DISTINCT call, rows that have the value | distinct values | no row has the value |
//! | distinct values (1), `Distinct` | keys, set, values of all sets | as above | distinct values | as above |
//!
//! `Local` keeps nothing over a flush.
//!
//! What a group's last emitted row was need not be stored: it is evaluated from the accumulators when the group is
//! first touched in an epoch, before anything is added. With no key, there is one group from the first flush on, on the shard that owns the empty key.
//!
//! # Time
//! Watermarks pass. With a time to live ([`eddyline_plan::Input::ttl`]), groups and distinct values that were not touched for so
//! long are forgotten: nothing is put out then, and the next row of the key begins a new group. When that was is
//! stored with it, so a restart changes nothing of its time.
//!
//! # Errors
//! When the epoch ends: more rows or values taken back than there were; others taken back than there were, seen where an
//! accumulator is not empty though no row is left; overflow of a result. With a time to live, what is taken back and is not there
//! may have been forgotten: a group of which more is taken back than there is goes, and that is no error.
//!
//! # Cost
//! Per row: one look-up of the key, one pass over slots per call, one more look-up per counted set. Per changed
//! group and epoch: two evaluations and at most two rows.
//!
//! # Not done
//! Early emission of groups between flushes.

mod distinct;
mod kept;
mod local;
mod migration;
mod operator;
mod state;
#[cfg(test)]
mod tests;

pub use kept::KeptGroups;
pub(crate) use migration::AggregateMigration;
pub use migration::{AccumulatorSource, AggregateMigrationSpec};

use crate::aggregation::{calls_bytes, set_layouts, value_layout};
use crate::layout::{Below, Bound, Layout, SLOT_BYTES, TableLayout, columns_bytes, names};
use crate::{Operator, OperatorError};
use arrow::datatypes::SchemaRef;
use eddyline_plan::{AggregatePhase, GroupAggregateSpec};
use eddyline_state::Store;

/// The operator of `spec` over `input`.
pub(crate) fn build(
    spec: &GroupAggregateSpec,
    input: &SchemaRef,
    output: &SchemaRef,
    store: &Store,
    ttl_ms: Option<u64>,
) -> Result<Box<dyn Operator>, OperatorError> {
    Ok(match spec.phase {
        AggregatePhase::Single | AggregatePhase::Global => {
            Box::new(operator::GroupAggregate::open(spec, input, output, store, ttl_ms)?)
        }
        AggregatePhase::Local => Box::new(local::LocalAggregate::new(spec, input, output)?),
        AggregatePhase::Distinct => Box::new(distinct::DistinctAggregate::open(spec, input, store, ttl_ms)?),
    })
}

/// What the operator of `spec` keeps: a group as long as it has rows, and what its accumulators need of its values.
pub(crate) fn layout(spec: &GroupAggregateSpec, input: &Below<'_>) -> Layout {
    let groups = input.rows.per_key(input.schema, &spec.keys, 1);
    let key = || names(input.schema, &spec.keys);
    let width = columns_bytes(input.schema, spec.keys.iter().copied()) + SLOT_BYTES;
    let table = |name: &str, key: Vec<String>, bound: Bound, entry_bytes: usize| TableLayout {
        name: name.into(),
        key,
        bound,
        entry_bytes,
    };
    let mut tables = Vec::new();
    if matches!(spec.phase, AggregatePhase::Single | AggregatePhase::Global) {
        tables.push(table("groups", key(), groups.clone(), width + 8 + calls_bytes(&spec.calls)));
        if let Some(values) = value_layout(&spec.calls, spec.append_only) {
            let key = [key(), vec![values.of]].concat();
            tables.push(table("values in groups", key, input.rows.clone(), values.entry_bytes));
        }
    }
    match spec.phase {
        AggregatePhase::Single => {
            for (at, set) in set_layouts(&spec.calls, input.schema, width).into_iter().enumerate() {
                let columns = [spec.keys.clone(), set.args].concat();
                let bound = input.rows.per_key(input.schema, &columns, 1);
                let name = format!("distinct set {}", at + 1);
                tables.push(table(&name, [key(), set.columns].concat(), bound, set.entry_bytes));
            }
        }
        AggregatePhase::Distinct => {
            let distribution = spec.distinct_distribution(input.schema);
            let values = spec.calls.iter().filter(|c| c.distinct).map(|c| format!("value of {}", c.name));
            let columns = [key(), values.collect()].concat();
            let bound = match input.rows.per_key(input.schema, &distribution, 1) {
                Bound::Keys { each, .. } => Bound::Keys { columns: columns.clone(), each },
                bound => bound,
            };
            let bytes = columns_bytes(input.schema, distribution) + SLOT_BYTES + 8;
            tables.push(table("distinct values", columns, bound, bytes));
        }
        AggregatePhase::Local | AggregatePhase::Global => {}
    }
    let way_out = "group by a TUMBLE or HOP window, whose state goes when it closes, or by columns of few values; keep young rows alone (WHERE ts > NOW() - INTERVAL '1' DAY), or SET 'table.exec.state.ttl'";
    let is_partial = matches!(spec.phase, AggregatePhase::Local | AggregatePhase::Distinct);
    Layout { tables, output: if is_partial { input.rows.clone() } else { groups }, way_out }
}
