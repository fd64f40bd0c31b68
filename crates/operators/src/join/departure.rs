//! Rows that leave their side.

use super::chains::{NONE, Shape};
use super::epoch::Key;
use super::state::Side;
use crate::OperatorError;
use eddyline_changes::hash::hash_columns;
use eddyline_state::tag_of;
use std::ops::Range;

/// Mark of the head of a key that was used since the hand of [`Side::leave_keys`] came by.
const USED: u8 = 4;
/// Rows that are looked at at a time to be left.
const LEFT_AT_ONCE: usize = 256;

/// Up to so many rows of a side without keys stay in memory: whatever changes, they would be read back at once.
const KEPT: usize = if cfg!(test) { 4 } else { 8192 };

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
        let gone = || self.touched.iter().filter(|before| self.weight(before.slot) == 0);
        if gone().any(|before| before.key.head == NONE) {
            return self.departures(&gone().map(|before| before.slot).collect::<Vec<_>>());
        }
        Ok(self.by_key(gone().map(|before| (before.slot, before.key)).collect()))
    }

    /// Different rows that go, by key.
    pub(super) fn departures(&self, gone: &[u32]) -> Result<Departures, OperatorError> {
        if gone.is_empty() {
            return Ok(Departures::default());
        }
        let keys = self.keys(gone)?;
        let hashes = hash_columns(&keys, gone.len())?;
        let heads = self.find(&keys, &hashes)?;
        let keys = heads.iter().zip(&hashes).map(|(head, hash)| Key { head: *head, tag: tag_of(*hash) });
        Ok(self.by_key(gone.iter().copied().zip(keys).collect()))
    }

    fn by_key(&self, mut gone: Vec<(u32, Key)>) -> Departures {
        gone.sort_unstable_by_key(|(row, key)| (key.head, *row));
        let mut departures =
            Departures { rows: gone.iter().map(|(row, _)| *row).collect(), keys: Vec::with_capacity(gone.len()) };
        for (at, (_, Key { head, tag })) in gone.into_iter().enumerate() {
            match departures.keys.last_mut() {
                Some(key) if key.head == head => key.rows.end = at + 1,
                _ => departures.keys.push(DepartingKey { head, tag, rows: at..at + 1, is_whole: false }),
            }
        }
        for key in &mut departures.keys {
            key.is_whole = key.rows.len() == self.chains.len(key.head, &self.counts);
        }
        departures
    }

    /// Forgets rows.
    pub(super) fn remove(&mut self, gone: &Departures) -> Result<(), OperatorError> {
        self.unlink(gone)?;
        Ok(self.table.remove(&gone.rows)?)
    }

    /// Leaves about `count` rows to the store, all of a key at once, of keys that were not used since the hand came by; everything has been
    /// written.
    pub(super) fn leave_keys(&mut self, count: usize) -> Result<(), OperatorError> {
        let (mut left, mut to_look_at, mut times) = (0, 2 * self.table.slots_max(), Vec::new());
        while left < count && to_look_at > 0 {
            let mut slots = Vec::new();
            while slots.len() < LEFT_AT_ONCE.min(count - left) && to_look_at > 0 {
                to_look_at -= 1;
                let slot = self.hand;
                self.hand = if slot as usize + 1 < self.table.slots_max() { slot + 1 } else { 0 };
                if self.table.is_live(slot) && !self.table.is_marked(slot, USED) {
                    slots.push(slot);
                } else if self.table.is_live(slot) {
                    self.table.unmark(slot, USED);
                }
            }
            let mut heads = self.find_all(&self.keys(&slots)?, slots.len())?;
            heads.sort_unstable();
            heads.dedup();
            let mut rows = Vec::new();
            for head in heads {
                if !self.table.is_marked(head, USED) {
                    self.rows_of(head, &mut rows);
                }
            }
            let gone = self.departures(&rows)?;
            if let Some(by_time) = &self.by_time {
                times.extend(by_time.times_of(&self.table, &gone.whole().collect::<Vec<_>>())?);
            }
            self.unlink(&gone)?;
            self.table.leave(&gone.rows);
            left += gone.rows.len();
        }
        self.counts_uses = true;
        if let Some(by_time) = &mut self.by_time {
            self.cold_times.extend(times.iter().map(|(time, _)| *time));
            by_time.leave(times);
        }
        Ok(())
    }

    /// Leaves all rows to the store, unless they are few; everything has been written. For a side without keys.
    pub(super) fn leave_all(&mut self) -> Result<(), OperatorError> {
        if self.table.len() > KEPT {
            let gone = self.departures(&self.table.slots())?;
            self.unlink(&gone)?;
            self.table.leave(&gone.rows);
        }
        Ok(())
    }

    /// Notes that keys are used.
    pub(super) fn use_keys(&mut self, heads: &[u32]) {
        if self.counts_uses {
            heads.iter().filter(|head| **head != NONE).for_each(|head| {
                self.table.mark(*head, USED);
            });
        }
    }

    /// Takes rows out of the index.
    fn unlink(&mut self, gone: &Departures) -> Result<(), OperatorError> {
        let is_listed = |key: &&DepartingKey| !key.is_whole && matches!(self.chains.shape(key.head), Shape::List(_));
        let listed = gone.keys.iter().filter(is_listed).flat_map(|key| &gone.rows[key.rows.clone()]).copied();
        let listed = self.tagged(&listed.collect::<Vec<_>>())?;
        let mut listed = listed.as_slice();
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
                    let (own, others) = listed.split_at(rows.len());
                    self.chains.take_from_list(key.tag, key.head, list, own);
                    listed = others;
                }
                _ => self.chains.take_from_chain(key.tag, key.head, rows, &mut self.counts),
            }
        }
        self.chains.clear(&gone.rows);
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
        let gone = self.table.take_idle(now_ms);
        let gone = self.departures(&gone)?;
        self.remove(&gone)
    }

    /// Takes out the heads of keys whose time is at most `time` (ms).
    pub(super) fn take_until(&mut self, time: i64) -> Result<Vec<u32>, OperatorError> {
        self.bring_in_until(time)?;
        Ok(self.by_time.as_mut().map_or_else(Vec::new, |by_time| by_time.take_until(time)))
    }
}
