//! How large the accumulators of calls are, and which of them keep every value.

use crate::layout::{columns_bytes, names, value_bytes};
use arrow::datatypes::Schema;
use eddyline_plan::AggregateCall;
use eddyline_plan::aggregate::partial_fields;

/// Bytes of the accumulators of a group, but for values that they keep one by one.
pub(crate) fn calls_bytes(calls: &[AggregateCall]) -> usize {
    let bytes = |(at, call): (usize, &AggregateCall)| -> usize {
        partial_fields(at, call).iter().map(|f| value_bytes(f.data_type())).sum()
    };
    calls.iter().enumerate().map(bytes).sum()
}

/// The values that accumulators keep one by one.
pub(crate) struct ValueLayout {
    /// Of which calls, for EXPLAIN.
    pub(crate) of: String,
    /// Bytes per different value.
    pub(crate) entry_bytes: usize,
}

/// What accumulators keep of every different value: those that give all of them, and under retraction those that
/// must know what comes next when a value goes.
pub(crate) fn value_layout(calls: &[AggregateCall], append_only: bool) -> Option<ValueLayout> {
    let keeps = |call: &&AggregateCall| match call.function.as_str() {
        "array_agg" | "string_agg" | "collect" | "percentile_cont" => true,
        "min" | "max" | "bit_and" | "bit_or" | "any_value" | "first_value" | "last_value" => !append_only,
        _ => false,
    };
    let kept: Vec<&AggregateCall> = calls.iter().filter(keeps).collect();
    let names: Vec<&str> = kept.iter().map(|c| c.name.as_str()).collect();
    // Weight and place beside the value.
    let bytes = |c: &&AggregateCall| c.arg_types.iter().map(value_bytes).sum::<usize>() + 16;
    (!kept.is_empty()).then(|| ValueLayout {
        of: format!("value of {}", names.join(", ")),
        entry_bytes: kept.iter().map(bytes).sum(),
    })
}

/// A counted set.
pub(crate) struct SetLayout {
    /// Its columns.
    pub(crate) args: Vec<usize>,
    /// Their names.
    pub(crate) columns: Vec<String>,
    /// Bytes per different value.
    pub(crate) entry_bytes: usize,
}

/// The counted sets of DISTINCT calls over `input`; `width` is the size of the key.
pub(crate) fn set_layouts(calls: &[AggregateCall], input: &Schema, width: usize) -> Vec<SetLayout> {
    let mut sets: Vec<SetLayout> = Vec::new();
    for call in calls.iter().filter(|c| c.distinct) {
        match sets.iter_mut().find(|s| s.args == call.args) {
            Some(set) => set.entry_bytes += 8,
            None => sets.push(SetLayout {
                columns: names(input, &call.args),
                entry_bytes: width + columns_bytes(input, call.args.iter().copied()) + 8,
                args: call.args.clone(),
            }),
        }
    }
    sets
}
