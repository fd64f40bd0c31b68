//! Rows that arrive at their side: they are found or get slots, and are linked with the rows of their key.

use super::chains::{List, NONE, Shape};
use super::epoch::{CAME, FRESH, Key};
use super::state::Side;
use crate::OperatorError;
use arrow::array::ArrayRef;
use eddyline_changes::ChangeBatch;
use eddyline_changes::hash::{combine, hash_columns};
use eddyline_state::tag_of;
use hashbrown::HashMap;

/// A batch as the table takes it.
struct Arrived<'a> {
    /// In the table's order: as they came, and prepared.
    raw: Vec<ArrayRef>,
    columns: Vec<ArrayRef>,
    /// Of the join keys.
    hashes: &'a [u64],
    keys: usize,
    /// Of whole rows, once somebody asked.
    contents: Option<Vec<u64>>,
    /// What rows are ordered by, if they are.
    values: Vec<Option<i128>>,
}

impl Arrived<'_> {
    fn value(&self, row: u32) -> Option<i128> {
        self.values.get(row as usize).copied().flatten()
    }

    fn contents(&mut self) -> Result<&[u64], OperatorError> {
        if self.contents.is_none() {
            let rest = hash_columns(&self.raw[self.keys..], self.hashes.len())?;
            self.contents = Some(self.hashes.iter().zip(&rest).map(|(k, r)| combine(*k, *r)).collect());
        }
        Ok(self.contents.as_deref().unwrap_or_default())
    }
}

impl Side {
    /// Finds or makes the slots of the rows of a batch, and adds their weights. `hashes` are those of the join keys.
    pub(super) fn add(
        &mut self,
        changes: &ChangeBatch,
        hashes: &[u64],
        touches: bool,
        now_ms: i64,
    ) -> Result<(), OperatorError> {
        let raw: Vec<ArrayRef> = self.stored.iter().map(|c| changes.column(*c).clone()).collect();
        let columns = self.table.prepare(0, &raw)?;
        let values = self.values(changes)?;
        let arrived = Arrived { raw, columns, hashes, keys: self.keys, contents: None, values };
        let mut slots = std::mem::take(&mut self.slots);
        slots.clear();
        self.table.begin();
        let heads =
            if self.is_plain { self.add_rows(&arrived, &mut slots) } else { self.look_up(arrived, &mut slots) }?;
        self.slots = slots;
        self.table.touch(&self.slots, now_ms);
        for at in 0..self.slots.len() {
            let slot = self.slots[at];
            if touches {
                self.touch(slot, Key { head: heads[at], tag: tag_of(hashes[at]) });
            }
            let before = self.counts.weight(slot);
            self.counts.set_weight(slot, before + changes.weights().at(at));
        }
        if !self.is_plain {
            self.table.mark_dirty(&self.slots);
        }
        Ok(())
    }

    /// The rows of the last batch that were not there before match so many rows, by row of the batch.
    pub(super) fn count_new(&mut self, matches: &[i64]) {
        if self.counts_matches {
            self.table.created().for_each(|(row, slot)| self.matches[slot as usize] = matches[row as usize]);
        }
    }

    /// Rows that came in this epoch match so many rows, where `slots` are not older.
    pub(super) fn count_came(&mut self, slots: &[u32], matches: &[i64]) {
        for (slot, matches) in slots.iter().zip(matches) {
            if self.table.is_marked(*slot, CAME) {
                self.matches[*slot as usize] = *matches;
            }
        }
    }

    /// Rows of a side that is never retracted: every one in a slot of its own. Returns the heads of all.
    fn add_rows(&mut self, arrived: &Arrived<'_>, slots: &mut Vec<u32>) -> Result<Vec<u32>, OperatorError> {
        slots.extend((0..arrived.hashes.len() as u32).map(|row| self.table.create(row)));
        self.table.write(&arrived.columns);
        self.make_room();
        let heads = self.seat(&arrived.columns[..self.keys], arrived.hashes, |row| slots[row as usize])?;
        for (row, (head, slot)) in heads.iter().copied().zip(slots.iter().copied()).enumerate() {
            if head != slot {
                self.link(head, slot, 0, arrived.value(row as u32))?;
            }
        }
        Ok(heads)
    }

    /// The head of every row's key; a key that is not there gets the row's slot as its head.
    pub(super) fn seat(
        &mut self,
        keys: &[ArrayRef],
        hashes: &[u64],
        slot: impl Fn(u32) -> u32,
    ) -> Result<Vec<u32>, OperatorError> {
        let mut came = Vec::new();
        let mut heads = Vec::with_capacity(hashes.len());
        for (row, hash) in hashes.iter().enumerate() {
            let tag = tag_of(*hash);
            heads.push(self.chains.head(tag, |_| true).unwrap_or_else(|| {
                let slot = slot(row as u32);
                self.chains.insert(tag, slot);
                came.push(slot);
                slot
            }));
        }
        let mut wrong = Vec::new();
        self.table.mismatches(0..self.keys, keys, &heads, &mut wrong);
        for row in wrong {
            let tag = tag_of(hashes[row as usize]);
            let is_meant = |head: u32| self.table.equals(0..self.keys, keys, row, head);
            heads[row as usize] = self.chains.head(tag, is_meant).unwrap_or_else(|| {
                let slot = slot(row);
                self.chains.insert(tag, slot);
                came.push(slot);
                slot
            });
        }
        self.note_keys(&came)?;
        Ok(heads)
    }

    /// Notes keys that came.
    fn note_keys(&mut self, heads: &[u32]) -> Result<(), OperatorError> {
        if self.is_followed {
            for head in heads {
                self.table.mark(*head, FRESH);
            }
            self.fresh.extend_from_slice(heads);
        }
        if let Some(by_time) = &mut self.by_time {
            by_time.add(&self.table, heads)?;
        }
        Ok(())
    }

    /// Rows of a side that may be retracted. Rows of new keys get slots first; then every other row is compared with the rows of its key,
    /// a step of all chains at a time, and those of lists whose tag is the row's; last, those that were not found get slots, equal
    /// ones the same. Returns the heads of all.
    fn look_up(&mut self, mut arrived: Arrived<'_>, slots: &mut Vec<u32>) -> Result<Vec<u32>, OperatorError> {
        slots.resize(arrived.hashes.len(), NONE);
        let heads = self.seat_new(&arrived, slots)?;
        let (mut seek, mut listed, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..slots.len() as u32 {
            if slots[row as usize] != NONE {
                continue;
            }
            match self.chains.shape(heads[row as usize]) {
                Shape::List(list) => {
                    let content = tag_of(arrived.contents()?[row as usize]);
                    match self.first_in_list(list, content) {
                        Some(slot) => listed.push((row, slot)),
                        None => missing.push(row),
                    }
                }
                _ => seek.push((row, heads[row as usize])),
            }
        }
        let mut others = Vec::new();
        self.table.matches(self.keys..self.stored.len(), &arrived.columns[self.keys..], &mut listed, &mut others);
        listed.into_iter().for_each(|(row, slot)| slots[row as usize] = slot);
        for (row, _) in others.drain(..) {
            // Different rows of the same tag.
            let content = tag_of(arrived.contents()?[row as usize]);
            match self.find_in_list(heads[row as usize], content, row, &arrived) {
                Some(slot) => slots[row as usize] = slot,
                None => missing.push(row),
            }
        }
        while !seek.is_empty() {
            self.table.matches(self.keys..self.stored.len(), &arrived.columns[self.keys..], &mut seek, &mut others);
            seek.drain(..).for_each(|(row, slot)| slots[row as usize] = slot);
            for (row, slot) in others.drain(..) {
                match self.chains.behind(slot) {
                    Some(next) => seek.push((row, next)),
                    None => missing.push(row),
                }
            }
        }
        if !missing.is_empty() {
            self.add_missing(missing, &heads, arrived, slots)?;
        }
        Ok(heads)
    }

    /// Gives slots to the first rows of keys that are not there. Returns the heads of all.
    fn seat_new(&mut self, arrived: &Arrived<'_>, slots: &mut [u32]) -> Result<Vec<u32>, OperatorError> {
        let mut heads = Vec::with_capacity(slots.len());
        let mut came = Vec::new();
        for (row, hash) in arrived.hashes.iter().enumerate() {
            let tag = tag_of(*hash);
            heads.push(self.chains.head(tag, |_| true).unwrap_or_else(|| {
                slots[row] = self.table.create(row as u32);
                self.chains.insert(tag, slots[row]);
                came.push(slots[row]);
                slots[row]
            }));
        }
        self.table.write(&arrived.columns);
        let keys = &arrived.columns[..self.keys];
        let mut wrong = Vec::new();
        self.table.mismatches(0..self.keys, keys, &heads, &mut wrong);
        for row in wrong {
            let tag = tag_of(arrived.hashes[row as usize]);
            let found = self.chains.head(tag, |head| self.table.equals(0..self.keys, keys, row, head));
            heads[row as usize] = match found {
                Some(head) => head,
                None => {
                    let slot = self.table.create(row);
                    self.table.write(&arrived.columns);
                    self.chains.insert(tag, slot);
                    came.push(slot);
                    slots[row as usize] = slot;
                    slot
                }
            };
        }
        self.make_room();
        self.note_keys(&came)?;
        Ok(heads)
    }

    /// A row of a list that may hold what is looked for.
    fn first_in_list(&self, list: u32, content: u32) -> Option<u32> {
        match self.chains.list(list) {
            List::Indexed(rows) => rows.find(content, |_| true),
            List::Plain(rows) => rows.first().copied(),
        }
    }

    fn find_in_list(&self, head: u32, content: u32, row: u32, arrived: &Arrived<'_>) -> Option<u32> {
        let Shape::List(list) = self.chains.shape(head) else { return None };
        let equals = |slot| self.table.equals(self.keys..self.stored.len(), &arrived.columns[self.keys..], row, slot);
        match self.chains.list(list) {
            List::Indexed(rows) => rows.find(content, equals),
            List::Plain(rows) => rows.iter().copied().find(|slot| equals(*slot)),
        }
    }

    fn add_missing(
        &mut self,
        mut missing: Vec<u32>,
        heads: &[u32],
        mut arrived: Arrived<'_>,
        slots: &mut [u32],
    ) -> Result<(), OperatorError> {
        missing.sort_unstable();
        arrived.contents()?;
        let contents = arrived.contents.take().unwrap_or_default();
        let mut firsts: HashMap<u64, u32> = HashMap::with_capacity(missing.len());
        let (mut again, mut created) = (Vec::new(), Vec::new());
        for row in missing {
            let content = contents[row as usize];
            match firsts.get(&content) {
                Some(slot) => again.push((row, *slot)),
                None => {
                    slots[row as usize] = self.table.create(row);
                    firsts.insert(content, slots[row as usize]);
                    created.push(row);
                }
            }
        }
        self.table.write(&arrived.columns);
        self.make_room();
        for row in created {
            self.link(heads[row as usize], slots[row as usize], contents[row as usize], arrived.value(row))?;
        }
        let mut others = Vec::new();
        self.table.matches(0..self.stored.len(), &arrived.columns, &mut again, &mut others);
        again.into_iter().for_each(|(row, slot)| slots[row as usize] = slot);
        // Different rows of the same hash.
        for (row, _) in others {
            let mut of_key = Vec::new();
            self.chains.rows(heads[row as usize], &mut of_key);
            let same = |slot: &u32| self.table.equals(0..self.stored.len(), &arrived.columns, row, *slot);
            let found = of_key.into_iter().find(same);
            slots[row as usize] = match found {
                Some(slot) => slot,
                None => {
                    let slot = self.table.create(row);
                    self.table.write(&arrived.columns);
                    self.make_room();
                    self.link(heads[row as usize], slot, contents[row as usize], arrived.value(row))?;
                    slot
                }
            };
        }
        Ok(())
    }

    /// Adds a row to a head's key. `content` is the hash of the whole row, where rows are looked up, `value` what it is ordered by.
    pub(super) fn link(
        &mut self,
        head: u32,
        slot: u32,
        content: u64,
        value: Option<i128>,
    ) -> Result<(), OperatorError> {
        let list = match self.chains.shape(head) {
            Shape::List(list) => list,
            _ if self.chains.chain(head, slot, self.table.slots_max(), &mut self.counts) => return Ok(()),
            _ => {
                let mut rows = Vec::new();
                self.chains.rows(head, &mut rows);
                let tagged = self.tagged(&rows)?;
                let list = self.chains.make_list(head, &tagged, !self.is_plain, &mut self.counts);
                self.put_in_order(list, &rows)?;
                list
            }
        };
        self.chains.push(list, slot, tag_of(content));
        if let (Some(value), Some(ordered)) = (value, self.ordered.get_mut(list as usize)) {
            ordered.insert(value, slot);
        }
        Ok(())
    }
}
