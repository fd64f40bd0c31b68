//! Indexes of the tables and views that are kept: which there are is the catalog's to say.

use super::{Database, Order, part_of, replaced};
use eddyline_catalog::Name;
use eddyline_planner::SqlError;

impl Database {
    /// From now on the rows of a table are kept in these orders too, and in no others but that of their key. New ones are built while others
    /// go on to change the table; what has changed meanwhile is caught up with at the end.
    ///
    /// # Errors
    /// A table that is gone; columns whose values have no order.
    pub(crate) fn set_orders(&self, name: &Name, orders: &[Order]) -> Result<(), SqlError> {
        let contents =
            self.with(&[name], |states| -> Result<_, SqlError> { Ok(part_of(states, name)?.table(name)?.clone()) })?;
        let built = contents.in_orders(orders)?;
        self.with(&[name], |states| {
            let contents = part_of(states, name)?.contents.get_mut(name).ok_or_else(|| replaced(name))?;
            contents.take_orders(built)
        })
    }
}
