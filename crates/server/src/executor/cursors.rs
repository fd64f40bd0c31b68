//! Savepoints, and cursors: those of queries and those over subscriptions.

use super::{Executor, not_taken_back};
use crate::answer::{self, Answer};
use crate::command::{Command, Cursor, Declare, Fetch};
use crate::out::Out;
use crate::rows::Rows;
use crate::timer::Timer;
use crate::wire::backend::Transaction;
use eddyline_engine::arrow::compute::concat_batches;
use eddyline_engine::{Listing, SqlError};
use std::time::Duration;

/// Subscriptions that a connection may read by cursors.
const CURSORS_MAX: usize = 100;

impl Executor {
    /// Savepoints of a transaction: after an error, it goes on behind one; nothing is taken back.
    pub(super) fn savepoint(&mut self, command: &Command, out: &mut Out) -> Result<Answer, SqlError> {
        let (Command::Savepoint(name) | Command::Release(name) | Command::RollbackTo(name)) = command else {
            return Ok(Answer::Nothing);
        };
        let verb = match command {
            Command::Savepoint(_) => "SAVEPOINT",
            Command::Release(_) => "RELEASE",
            _ => "ROLLBACK",
        };
        if self.transaction == Transaction::None {
            return Err(
                SqlError::new("25P01", format!("{verb} can only be used in transaction blocks")).with_hint("BEGIN one")
            );
        }
        if let Command::Savepoint(name) = command {
            self.savepoints.push((name.clone(), self.changes));
            return Ok(Answer::Done(verb.into()));
        }
        let at = self.savepoints.iter().rposition(|(own, _)| own == name);
        let at = at.ok_or_else(|| SqlError::new("3B001", format!("savepoint \"{name}\" does not exist")))?;
        if let Command::Release(_) = command {
            self.savepoints.truncate(at);
            return Ok(Answer::Done(verb.into()));
        }
        if self.changes > self.savepoints[at].1 {
            not_taken_back(out);
        }
        self.savepoints.truncate(at + 1);
        self.transaction = Transaction::Open;
        Ok(Answer::Done(verb.into()))
    }

    pub(super) fn cursor(&mut self, cursor: &Cursor, timer: &Timer) -> Result<Answer, SqlError> {
        let canceller = self.session.canceller();
        Ok(match cursor {
            Cursor::Fetch(name, count) if self.subscriptions.contains_key(name) => {
                let (cursor, rows) = (name.clone(), count.unwrap_or(usize::MAX));
                Answer::Rows(self.fetch_subscription(&Fetch { cursor, rows, wait: Duration::ZERO })?, "FETCH")
            }
            Cursor::Fetch(name, count) => {
                let rows = self.cursors.fetch(name, count.unwrap_or(usize::MAX), &canceller);
                Answer::Rows(rows.map_err(|e| timer.reason(e))?, "FETCH")
            }
            Cursor::Move(name, count) => {
                let mut rows = self.cursors.fetch(name, count.unwrap_or(usize::MAX), &canceller)?;
                let mut moved = 0;
                while let Some(batch) = rows.next(&canceller)? {
                    moved += batch.num_rows();
                }
                Answer::Done(answer::tag("MOVE", moved))
            }
            Cursor::Close(None) => {
                self.cursors.close_all();
                self.subscriptions.clear();
                Answer::Done("CLOSE CURSOR ALL".into())
            }
            Cursor::Close(Some(name)) => {
                if self.subscriptions.remove(name).is_none() {
                    self.cursors.close(name)?;
                }
                Answer::Done("CLOSE CURSOR".into())
            }
        })
    }

    /// May a cursor have this name?
    pub(super) fn check_cursor(&self, name: &str) -> Result<(), SqlError> {
        if self.subscriptions.contains_key(name) {
            let message = format!("cursor \"{name}\" exists already");
            return Err(SqlError::new("42P03", message).with_hint("CLOSE it, or use another name"));
        }
        self.cursors.check(name)
    }

    /// DECLARE … SUBSCRIPTION CURSOR.
    pub(super) fn declare_subscription(&mut self, declared: &Declare) -> Result<(), SqlError> {
        self.check_cursor(&declared.cursor)?;
        if self.subscriptions.len() >= CURSORS_MAX {
            let message = format!("a connection has at most {CURSORS_MAX} cursors");
            return Err(SqlError::new("53000", message).with_hint("CLOSE some"));
        }
        let followed = self.session.subscription(&declared.of, declared.snapshot)?;
        self.subscriptions.insert(declared.cursor.clone(), followed);
        Ok(())
    }

    /// FETCH: what is there by now; where nothing is, what comes within its time.
    pub(super) fn fetch_subscription(&mut self, fetched: &Fetch) -> Result<Rows, SqlError> {
        let canceller = self.session.canceller();
        let cursor = self.subscriptions.get_mut(&fetched.cursor).ok_or_else(|| no_cursor(&fetched.cursor))?;
        let (mut rows, mut wait) = (Vec::new(), fetched.wait);
        let mut left = fetched.rows;
        while left > 0 {
            let Some(batch) = cursor.next(Some(wait), &canceller)? else { break };
            let taken = left.min(batch.num_rows());
            rows.push(batch.slice(0, taken));
            if taken < batch.num_rows() {
                cursor.put_back(batch.slice(taken, batch.num_rows() - taken));
            }
            (left, wait) = (left - taken, Duration::ZERO);
        }
        let rows =
            concat_batches(cursor.schema(), &rows).map_err(|e| SqlError::new(SqlError::INTERNAL, e.to_string()))?;
        Ok(Rows::of(Listing { rows, plain: false }))
    }
}

pub(super) fn no_cursor(name: &str) -> SqlError {
    SqlError::new("34000", format!("cursor \"{name}\" does not exist")).with_hint("DECLARE it FOR a view")
}
