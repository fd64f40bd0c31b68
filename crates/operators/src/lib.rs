//! One room per operator: pure, synchronous, single-threaded functions of inputs and tables.
//!
//! An [`Operator`] has three verbs. It knows no clock, randomness, threads, channels or I/O, and never sees a
//! barrier: the runtime owns the loop. Only its tables survive a restart.
//!
//! Not here: sources and sinks (the runtime's rim), planning. Start at [`Operator`], then [`build()`].
//!
//! | room | SQL |
//! |---|---|
//! | `calc` | WHERE, SELECT |
//! | `union` | UNION ALL |
//! | `group_aggregate` | GROUP BY, DISTINCT |
//! | `join` | JOIN, IN, EXISTS, INTERSECT, EXCEPT |
//! | `set_operation` | INTERSECT ALL, EXCEPT ALL |
//! | `top_n` | ROW_NUMBER, RANK, DENSE_RANK with bounds, LIMIT, DISTINCT ON |
//! | `unnest` | UNNEST |
//! | `over` | functions with OVER |
//! | `temporal_filter` | WHERE on the time now: `ts > NOW() - INTERVAL '1' HOUR` |
//! | `changelog_normalize` | tables whose rows replace each other by PRIMARY KEY |
//! | `sink_materialize` | INSERT … ON CONFLICT DO … |
//! | `window_assign` | TABLE(TUMBLE(…)), TABLE(HOP(…)) |
//! | `window_aggregate` | GROUP BY over windows |
//! | `session_assign` | TABLE(SESSION(…)) |
//! | `session_aggregate` | GROUP BY over sessions |
//!
//! Beside the rooms: `aggregation` (what the aggregates share), `closed` (the watermark up to which windows are closed), `columns_read`, `event_time`, `keyed_rows` (rows by a
//! key), `layout` (what is kept and what bounds it), `migration` (state of a query that was changed), `partitions` (rows in order, by partition), `row_list` (numbers of rows, of
//! which most lists have one), `slots_by_time` (what a watermark lets go), and behind the feature `harness` what drives a
//! room in tests.

mod aggregation;
mod build;
mod calc;
mod changelog_normalize;
mod closed;
mod columns_read;
mod context;
mod error;
mod event_time;
#[cfg(test)]
mod forgetting;
mod group_aggregate;
#[cfg(any(test, feature = "harness"))]
pub mod harness;
mod join;
mod kept_rows;
mod keyed_rows;
mod layout;
mod migration;
mod over;
mod partitions;
mod row_list;
mod session_aggregate;
mod session_assign;
mod set_operation;
mod sink_materialize;
mod slots_by_time;
mod temporal_filter;
mod top_n;
mod union;
mod unnest;
mod window_aggregate;
mod window_assign;

pub use build::build;
pub use context::{Context, Outlet, Rejected};
pub use error::OperatorError;
pub use group_aggregate::{AccumulatorSource, AggregateMigrationSpec, KeptGroups};
pub use kept_rows::KeptRows;
pub use layout::{Bound, Layout, TEXT_BYTES, TableLayout, layouts, ttl_of};
pub use migration::{MigratedEntry, Migration, MigrationSpec, RowsMigrationSpec};
pub use window_aggregate::KeptSlices;

use eddyline_changes::{ChangeBatch, Watermark};
use eddyline_state::Table;

/// A maintained query operator.
///
/// # Contract
/// The runtime calls the verbs of one operator in the order of the stream: `process` and `advance` as elements
/// arrive, `flush` when the epoch ends on all inputs. What an operator emits accumulates, at every flush, to the
/// batch answer over the input so far (invariant I1), with no row of negative weight (I4).
pub trait Operator: Send {
    /// Applies changes that arrived on `input`.
    ///
    /// # Errors
    /// A row that cannot be computed, or state that cannot be read.
    fn process(&mut self, input: usize, changes: ChangeBatch, ctx: &mut Context<'_>) -> Result<(), OperatorError>;

    /// Event time moved to `watermark` on all inputs together. Returns the watermark to pass on, which must never
    /// go back.
    ///
    /// # Errors
    /// As [`process`](Self::process).
    fn advance(&mut self, watermark: Watermark, ctx: &mut Context<'_>) -> Result<Watermark, OperatorError> {
        let _ = ctx;
        Ok(watermark)
    }

    /// The epoch ends: emits what is pending.
    ///
    /// # Errors
    /// As [`process`](Self::process).
    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let _ = ctx;
        Ok(())
    }

    /// All tables, for checkpoints and metrics.
    fn tables(&mut self) -> Vec<&mut dyn Table> {
        Vec::new()
    }
}
