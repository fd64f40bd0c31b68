//! Indexes of the tables and views that are kept: which there are is the catalog's to say.

use super::{Database, Order, Target, part_of, replaced};
use arrow::array::RecordBatch;
use eddyline_catalog::Name;
use eddyline_planner::SqlError;

impl Database {
    /// From now on the rows of a table are kept in these orders too, and in no others but that of their key. New ones are built while others
    /// go on to change the table; what has changed meanwhile is caught up with at the end.
    ///
    /// # Errors
    /// A table that is gone; columns whose values have no order; rows that are alike where a new order says that none are. Then the orders
    /// stay as they were.
    pub(crate) fn set_orders(&self, name: &Name, orders: &[Order]) -> Result<(), SqlError> {
        let contents =
            self.with(&[name], |states| -> Result<_, SqlError> { Ok(part_of(states, name)?.table(name)?.clone()) })?;
        let built = contents.in_orders(orders)?;
        self.with(&[name], |states| {
            let contents = part_of(states, name)?.contents.get_mut(name).ok_or_else(|| replaced(name))?;
            let before = contents.clone();
            let done = contents.take_orders(built).and_then(|()| contents.check_since(&before));
            if done.is_err() {
                *contents = before;
            }
            done
        })
    }

    /// Those of rows that no row of a table, nor one before them, is like: in the columns of a unique index, or of any.
    ///
    /// # Errors
    /// The table was replaced; the index is gone.
    pub(crate) fn unlike(
        &self,
        target: &Target,
        rows: &RecordBatch,
        by: Option<&Order>,
    ) -> Result<RecordBatch, SqlError> {
        self.with(&[&target.name], |states| {
            let table = part_of(states, &target.name)?.table(&target.name)?;
            table.unlike(&table.own(rows)?, by)
        })
    }
}
