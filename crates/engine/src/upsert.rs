//! INSERT … ON CONFLICT (key) DO UPDATE.
//!
//! Rows whose keys are not there are inserted. Of the others, what becomes of the row that is there is computed over both: a table is made up
//! that has the columns of the one, and beside them those of the other under [names](excluded) of their own.

use crate::changes::{Alone, changed, check_assigned, halves, pairs, physical};
use crate::error::of_arrow;
use crate::kept::{Met, Order};
use crate::{Outcome, ScriptError, Session};
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use eddyline_catalog::{Column, Table};
use eddyline_planner::SqlError;
use eddyline_planner::statement::{Insert, Update, excluded};

impl Session {
    /// INSERT … ON CONFLICT (key) DO UPDATE into a table that nobody else changes.
    ///
    /// # Errors
    /// A query or an assignment that cannot be planned or computed; two rows of one key.
    pub(crate) fn insert_or_update(
        &mut self,
        insert: &Insert,
        update: &Update,
        by: Option<&Order>,
        Alone { table, target, reserved }: Alone,
    ) -> Result<Outcome, ScriptError> {
        check_assigned(&table, update)?;
        let (insert, update) = (&insert.with_defaults(&table)?, &update.with_defaults(&table)?);
        let rows = self.computed(&insert.query, table.as_ref().clone(), insert.columns.clone(), insert.position)?;
        let database = self.instance.database().clone();
        let Met { there, met, unmet } = database.met(&target, &rows, by)?;
        // Where no row is met, the assignments are planned all the same.
        let (before, after) = self.updated(&table, update, &there, &met)?;
        let schema = table.physical_schema();
        let come = concat_batches(&schema, [&unmet, &own(&after, &table)?])
            .map_err(|e| SqlError::new(of_arrow(&e), format!("ON CONFLICT: {e}")))?;
        let returned = match &insert.returning {
            Some(query) => Some(self.returned(query, &table, come.clone())?),
            None => None,
        };
        let _storing = tracing::info_span!("store").entered();
        let stored = database.replace(&target, &before, &come)?;
        drop(reserved);
        database.wait_for(&stored)?;
        Ok(changed(&come, "inserted into or updated in", &table.name, returned))
    }

    /// Rows that are there and are to change, and what becomes of them.
    fn updated(
        &mut self,
        table: &Table,
        update: &Update,
        there: &RecordBatch,
        met: &RecordBatch,
    ) -> Result<(RecordBatch, RecordBatch), ScriptError> {
        let beside = beside(table);
        let columns = there.columns().iter().chain(met.columns()).cloned().collect();
        let rows = RecordBatch::try_new(beside.physical_schema(), columns)
            .map_err(|e| SqlError::new(SqlError::INTERNAL, format!("ON CONFLICT: {e}")))?;
        let query = update.query(table)?;
        let computed = self.with_table(beside, |session| {
            session.computed_over(&query, pairs(table), Vec::new(), update.position, Some((&table.name, &rows)))
        });
        Ok(halves(&computed?)?)
    }
}

/// A table of the columns of another, and beside them those of a row that is not inserted.
fn beside(table: &Table) -> Table {
    let others: Vec<Column> = physical(table).map(|c| Column { name: excluded(&c.name), ..c.clone() }).collect();
    let columns = table.columns.iter().cloned().chain(others).collect();
    Table { columns, primary_key: Vec::new(), watermark: None, ..table.clone() }
}

fn own(rows: &RecordBatch, table: &Table) -> Result<RecordBatch, SqlError> {
    RecordBatch::try_new(table.physical_schema(), rows.columns().to_vec())
        .map_err(|e| SqlError::new(of_arrow(&e), format!("ON CONFLICT: {e}")))
}
