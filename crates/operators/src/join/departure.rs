//! Rows that leave their side.

use super::chains::Shape;
use super::state::Side;
use crate::OperatorError;
use eddyline_changes::hash::hash_columns;
use eddyline_state::tag_of;
use std::ops::Range;

/// Rows that go, by key.
#[derive(Default)]
pub(super) struct Departures {
    /// Key by key.
    rows: Vec<u32>,
    keys: Vec<DepartingKey>,
}

struct DepartingKey {
    head: u32,
    tag: u32,
    rows: Range<usize>,
    /// No row of the key stays.
    is_whole: bool,
}

impl Departures {
    /// The heads of keys of which no row stays, ascending.
    pub(super) fn whole(&self) -> impl Iterator<Item = u32> {
        self.keys.iter().filter(|k| k.is_whole).map(|k| k.head)
    }
}

impl Side {
    /// Touched rows of weight 0, by key.
    pub(super) fn departing(&self) -> Result<Departures, OperatorError> {
        let touched = self.touched.iter().map(|b| b.slot);
        self.departures(&touched.filter(|slot| self.weight(*slot) == 0).collect::<Vec<_>>())
    }

    /// Different rows that go, by key.
    pub(super) fn departures(&self, gone: &[u32]) -> Result<Departures, OperatorError> {
        if gone.is_empty() {
            return Ok(Departures::default());
        }
        let keys = self.keys(gone)?;
        let hashes = hash_columns(&keys, gone.len())?;
        let heads = self.find(&keys, &hashes)?;
        let mut order: Vec<usize> = (0..gone.len()).collect();
        order.sort_unstable_by_key(|row| heads[*row]);
        let mut departures =
            Departures { rows: order.iter().map(|row| gone[*row]).collect(), keys: Vec::with_capacity(gone.len()) };
        for (at, row) in order.iter().enumerate() {
            match departures.keys.last_mut() {
                Some(key) if key.head == heads[*row] => key.rows.end = at + 1,
                _ => {
                    let (head, tag) = (heads[*row], tag_of(hashes[*row]));
                    departures.keys.push(DepartingKey { head, tag, rows: at..at + 1, is_whole: false });
                }
            }
        }
        for key in &mut departures.keys {
            key.is_whole = key.rows.len() == self.chains.len(key.head, &self.counts);
        }
        Ok(departures)
    }

    /// Forgets rows.
    pub(super) fn remove(&mut self, gone: &Departures) -> Result<(), OperatorError> {
        for key in &gone.keys {
            let rows = &gone.rows[key.rows.clone()];
            match self.chains.shape(key.head) {
                Shape::List(list) if key.is_whole => {
                    if let (Some(ordered), Some(order)) = (self.ordered.get_mut(list as usize), &self.order) {
                        *ordered = order.none();
                    }
                    self.chains.remove(key.tag, key.head);
                }
                _ if key.is_whole => self.chains.remove(key.tag, key.head),
                Shape::List(list) => {
                    self.take_from_order(list, rows)?;
                    let tagged = self.tagged(rows)?;
                    self.chains.take_from_list(key.tag, key.head, list, &tagged);
                }
                _ => self.chains.take_from_chain(key.tag, key.head, rows, &mut self.counts),
            }
        }
        self.chains.clear(&gone.rows);
        self.table.remove(&gone.rows)?;
        for slot in &gone.rows {
            self.counts.clear(*slot);
            if self.counts_matches {
                self.matches[*slot as usize] = 0;
            }
        }
        Ok(())
    }

    /// Forgets the rows that were not written for the time to live; nothing is put out.
    pub(super) fn forget_idle(&mut self, now_ms: i64) -> Result<(), OperatorError> {
        if !self.touched.is_empty() {
            return Ok(());
        }
        let Some(idle) = &mut self.idle else { return Ok(()) };
        let gone = idle.take(now_ms, |slot| self.table.is_live(slot));
        let gone = self.departures(&gone)?;
        self.remove(&gone)
    }

    /// Takes out the heads of keys whose time is at most `time` (ms).
    pub(super) fn take_until(&mut self, time: i64) -> Vec<u32> {
        self.by_time.as_mut().map_or_else(Vec::new, |by_time| by_time.take_until(time))
    }
}
