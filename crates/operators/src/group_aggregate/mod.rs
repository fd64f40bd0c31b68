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
//! None: watermarks pass.
//!
//! # Errors
//! When the epoch ends: more rows or values taken back than there were; others taken back than there were, seen where an
//! accumulator is not empty though no row is left; overflow of a result.
//!
//! # Cost
//! Per row: one look-up of the key, one pass over slots per call, one more look-up per counted set. Per changed
//! group and epoch: two evaluations and at most two rows.
//!
//! # Not done
//! Early emission of groups between flushes; expiry of idle groups.

mod distinct;
mod local;
mod operator;
mod state;
#[cfg(test)]
mod tests;

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
) -> Result<Box<dyn Operator>, OperatorError> {
    Ok(match spec.phase {
        AggregatePhase::Single | AggregatePhase::Global => {
            Box::new(operator::GroupAggregate::open(spec, input, output, store)?)
        }
        AggregatePhase::Local => Box::new(local::LocalAggregate::new(spec, input, output)?),
        AggregatePhase::Distinct => Box::new(distinct::DistinctAggregate::open(spec, input, store)?),
    })
}
