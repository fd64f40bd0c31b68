//! Cursors: queries whose rows are fetched a part at a time, by a name.

use crate::rows::Rows;
use eddyline_engine::arrow::array::RecordBatch;
use eddyline_engine::{Canceller, SqlError};
use std::collections::HashMap;

/// Cursors that a connection may have: each is a query that runs.
const CURSORS_MAX: usize = 100;

/// The cursors of a connection.
#[derive(Default)]
pub(crate) struct Cursors {
    open: HashMap<String, Open>,
}

struct Open {
    rows: Rows,
    /// It outlives its transaction.
    holds: bool,
}

impl Cursors {
    /// Is there room for one of this name?
    ///
    /// # Errors
    /// There is not.
    pub(crate) fn check(&self, name: &str) -> Result<(), SqlError> {
        if self.open.contains_key(name) {
            return Err(SqlError::new("42P03", format!("cursor \"{name}\" exists already")).with_hint("CLOSE it first"));
        }
        if self.open.len() >= CURSORS_MAX {
            let message = format!("a connection has at most {CURSORS_MAX} cursors");
            return Err(SqlError::new("53000", message).with_hint("CLOSE some"));
        }
        Ok(())
    }

    pub(crate) fn open(&mut self, name: String, rows: Rows, holds: bool) {
        self.open.insert(name, Open { rows, holds });
    }

    /// # Errors
    /// There is none of this name.
    pub(crate) fn close(&mut self, name: &str) -> Result<(), SqlError> {
        self.open.remove(name).map(drop).ok_or_else(|| missing(name))
    }

    pub(crate) fn close_all(&mut self) {
        self.open.clear();
    }

    /// The transaction has ended: what it has declared goes with it.
    pub(crate) fn end_transaction(&mut self) {
        self.open.retain(|_, open| open.holds);
    }

    /// The rows of a cursor, to know its columns.
    ///
    /// # Errors
    /// There is none of this name.
    pub(crate) fn rows(&self, name: &str) -> Result<&Rows, SqlError> {
        self.open.get(name).map(|open| &open.rows).ok_or_else(|| missing(name))
    }

    /// The next rows of a cursor, so many at most.
    ///
    /// # Errors
    /// There is none of this name; its query fails.
    pub(crate) fn fetch(&mut self, name: &str, count: usize, canceller: &Canceller) -> Result<Rows, SqlError> {
        let open = self.open.get_mut(name).ok_or_else(|| missing(name))?;
        let (mut batches, mut left): (Vec<RecordBatch>, usize) = (Vec::new(), count);
        while left > 0 {
            let Some(batch) = open.rows.next(canceller)? else { break };
            let taken = batch.num_rows().min(left);
            left -= taken;
            if taken < batch.num_rows() {
                open.rows.put_back(batch.slice(taken, batch.num_rows() - taken));
            }
            batches.push(batch.slice(0, taken));
        }
        Ok(Rows::ready(open.rows.schema().clone(), batches))
    }
}

fn missing(name: &str) -> SqlError {
    SqlError::new("34000", format!("cursor \"{name}\" does not exist"))
}
