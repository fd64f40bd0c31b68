//! Sessions: windows whose borders are pauses between rows.
//!
//! The rows of a partition stand in the order of their time (milliseconds). A row that comes `gap` or more after the one before it begins a session; a session
//! ends `gap` after its last row, exclusive. So a session is the union of intervals `[time, time + gap)` that overlap, and it does not depend on the
//! order in which rows came. (Flink also unites intervals that merely touch; there the result depends on whether the watermark came first.)

use crate::aggregate::AggregateCall;
use crate::window::window_fields;
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The times whose sessions end within 64 bits of milliseconds.
pub fn session_times(gap_ms: i64) -> RangeInclusive<i64> {
    i64::MIN + gap_ms..=i64::MAX - gap_ms
}

/// Appends the [window columns](window_fields) of its session to every row.
///
/// Input: any change mode, dealt out by `partition`. A row with NULL time is dropped and counted as rejected.
/// Output: input columns, then [`window_fields`]. With `closes` a row comes once, when the watermark has passed its session; else at once, and
/// is replaced when its session changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionAssignSpec {
    /// The least pause between two sessions in milliseconds, > 0.
    pub gap_ms: i64,
    /// The time column of the input.
    pub time: usize,
    /// Rows that are equal in these columns have sessions of their own.
    pub partition: Vec<usize>,
    /// Does a session come when the watermark has passed it?
    pub closes: bool,
}

impl SessionAssignSpec {
    /// The output schema over `input`.
    pub fn output_schema(&self, input: &Schema) -> SchemaRef {
        let fields = input.fields().iter().cloned().chain(window_fields(input.field(self.time).data_type()));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }
}

/// Aggregates per partition and session of rows that are only inserted.
///
/// Output: keys, one column per call, then [`window_fields`]. With `closes` a session comes once, when the watermark has passed it; else at once,
/// and is corrected.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionAggregateSpec {
    /// The least pause between two sessions in milliseconds, > 0.
    pub gap_ms: i64,
    /// The time column of the input.
    pub time: usize,
    /// Its type.
    pub time_type: DataType,
    /// The columns of the partition.
    pub keys: Vec<usize>,
    /// The aggregates, none of which is DISTINCT.
    pub calls: Vec<AggregateCall>,
    /// Does a session come when the watermark has passed it?
    pub closes: bool,
}

impl SessionAggregateSpec {
    /// The output schema over `input`.
    pub fn output_schema(&self, input: &Schema) -> SchemaRef {
        let keys = self.keys.iter().map(|k| input.fields()[*k].clone());
        let calls = self.calls.iter().map(AggregateCall::field);
        let fields: Vec<FieldRef> = keys.chain(calls).chain(window_fields(&self.time_type)).collect();
        Arc::new(Schema::new(fields))
    }
}
