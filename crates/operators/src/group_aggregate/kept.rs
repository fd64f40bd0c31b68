//! The groups of a grouped aggregate, as rows, for whoever looks at its stored state from outside.

use super::state::Groups;
use crate::OperatorError;
use crate::aggregation::Calls;
use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use eddyline_plan::{AggregateCall, AggregatePhase, GroupAggregateSpec};
use eddyline_state::Store;

/// Rows are handed over in pieces of this many.
const PIECE_ROWS: usize = 8192;

/// What a grouped aggregate (of the phases `Single` and `Global`) keeps.
#[derive(Debug, Clone)]
pub struct KeptGroups {
    /// Types of the key.
    pub keys: Vec<DataType>,
    /// The aggregates; of their columns nothing need be known.
    pub calls: Vec<AggregateCall>,
    /// The rows that are aggregated are only inserted.
    pub append_only: bool,
}

impl KeptGroups {
    /// Calls `each` with the columns of the groups that are stored, some at a time: the key, then what the aggregates have come to.
    /// All groups of the store are in memory meanwhile.
    ///
    /// # Errors
    /// The state cannot be read, or `each` failed.
    pub fn read(
        &self,
        store: &Store,
        each: &mut dyn FnMut(Vec<ArrayRef>) -> Result<(), OperatorError>,
    ) -> Result<(), OperatorError> {
        let (calls, append_only) = (self.calls.clone(), self.append_only);
        let spec = GroupAggregateSpec { keys: Vec::new(), calls, phase: AggregatePhase::Single, append_only };
        let mut groups = Groups::open(&spec, &self.keys, store)?;
        let mut slots = groups.load_all()?;
        slots.retain(|slot| groups.rows[*slot as usize] > 0);
        for slots in slots.chunks(PIECE_ROWS) {
            let mut columns = groups.table.keys(slots)?;
            columns.extend(groups.calls.evaluate(slots)?);
            each(columns)?;
        }
        Ok(())
    }

    /// What the aggregates come to over no rows: without GROUP BY there is a row over nothing too.
    ///
    /// # Errors
    /// Aggregates that are not known.
    pub fn of_nothing(&self) -> Result<Vec<ArrayRef>, OperatorError> {
        let mut calls = Calls::new(&self.calls, self.append_only)?;
        calls.resize(1);
        calls.evaluate(&[0])
    }
}
