use super::chains::{Chains, List, NONE, Shape};
use super::counts::Counts;
use super::order::{Order, Ordered, Place};
use crate::OperatorError;
use crate::slots_by_time::SlotsByTime;
use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use eddyline_changes::hash::{combine, hash_columns};
use eddyline_changes::ChangeBatch;
use eddyline_plan::JoinSpec;
use eddyline_state::{Idle, RowTable, RowTableSpec, StateError, Store, Table, TableId, tag_of};
use std::collections::HashMap;
use std::ops::Range;

/// Mark of a row that changed in this epoch.
const TOUCHED: u8 = 0;
/// Mark of the head of a key that came in this epoch.
const FRESH: u8 = 1;
/// Mark of a row whose key began or ceased to match in this epoch.
const FLIPPED: u8 = 2;

/// Mark of a row that came in this epoch, where changes are gathered.
const CAME: u8 = 3;

/// The rows of one side: per slot the weight, and where a residual decides and the side's rows stand alone, how many
/// rows of the other side match. Columns of the table: the join keys, then all other columns.
///
/// Rows that may be taken back are found by their key and what they hold. Others are added and nothing more: equal ones are
/// kept apart.
///
/// Encoding of a value: weight, matches (8 bytes each, little endian).
pub(super) struct Side {
    table: RowTable,
    /// Columns of the input in the table's order.
    stored: Vec<usize>,
    /// By column of the input, its place in the table.
    places: Vec<usize>,
    keys: usize,
    is_plain: bool,
    counts: Counts,
    /// Empty when nobody counts matches.
    pub(super) matches: Vec<i64>,
    counts_matches: bool,
    chains: Chains,
    order: Option<Order>,
    /// By list of `chains`, where there is an order: its rows in it.
    ordered: Vec<Ordered>,
    /// Where a key's time lets it go: the heads by that time.
    by_time: Option<SlotsByTime>,
    /// Whether what the other side puts out depends on which keys are here.
    is_followed: bool,
    /// Heads of the keys that came in this epoch, where it is followed.
    fresh: Vec<u32>,
    /// Where rows are forgotten that were not written for a time: when they were.
    idle: Option<Idle>,
    slots: Vec<u32>,
    /// Rows that changed in this epoch.
    pub(super) touched: Vec<Before>,
}

/// What a side keeps beside its rows.
pub(super) struct Keeping {
    pub(super) side: usize,
    /// How many rows each row matches.
    pub(super) counts_matches: bool,
    /// Which keys came in an epoch.
    pub(super) is_followed: bool,
    /// When rows are forgotten that are not written.
    pub(super) ttl_ms: Option<u64>,
}

/// What a row was before this epoch.
#[derive(Clone, Copy)]
pub(super) struct Before {
    pub(super) slot: u32,
    pub(super) weight: i64,
    pub(super) matches: i64,
}

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

/// Number of a side's table: the two kinds of tables write different keys.
fn table_id(side: usize, is_plain: bool) -> TableId {
    side as TableId + if is_plain { 2 } else { 0 }
}

impl Side {
    /// The stored rows of a side, all brought into memory.
    pub(super) fn open(
        spec: &JoinSpec,
        keeping: Keeping,
        input: &Schema,
        store: &Store,
    ) -> Result<Self, OperatorError> {
        let Keeping { side, counts_matches, is_followed, ttl_ms } = keeping;
        let keys = spec.keys(side);
        let mut stored = keys.clone();
        stored.extend((0..input.fields().len()).filter(|c| !keys.contains(c)));
        let place = |c: usize| stored.iter().position(|s| *s == c).expect("all columns are stored");
        let places = (0..input.fields().len()).map(place).collect();
        let types: Vec<DataType> = stored.iter().map(|c| input.field(*c).data_type().clone()).collect();
        let name = ["left rows", "right rows"][side];
        let is_plain = spec.append_only[side];
        let (mut counts, mut matches) = (Counts::default(), Vec::new());
        let mut load =
            |slot: u32, bytes: &[u8]| load(&mut counts, counts_matches.then_some(&mut matches), slot, bytes, name);
        let table = RowTableSpec {
            name,
            types: &types,
            id: table_id(side, is_plain),
            distribution: keys.len(),
            is_distinct: !is_plain,
        };
        let table = RowTable::open(table, store, &mut load)?;
        let mut rows = Self {
            table,
            stored,
            places,
            keys: keys.len(),
            is_plain,
            counts,
            matches,
            counts_matches,
            chains: Chains::default(),
            order: spec.range.as_ref().map(|r| Order::new([&r.left, &r.right][side], input)).transpose()?,
            ordered: Vec::new(),
            by_time: spec.time.map(|t| SlotsByTime::new(super::NAME, t.key)),
            is_followed,
            idle: ttl_ms.map(Idle::new),
            fresh: Vec::new(),
            slots: Vec::new(),
            touched: Vec::new(),
        };
        if let Some(idle) = &mut rows.idle {
            idle.adopt(rows.table.slots());
        }
        rows.link_all()?;
        Ok(rows)
    }

    /// Links the rows that were there when the table was opened.
    fn link_all(&mut self) -> Result<(), OperatorError> {
        self.make_room();
        for slots in self.table.slots().chunks(LINK_BATCH) {
            let columns = self.keys(slots)?;
            let hashes = hash_columns(&columns, slots.len())?;
            let columns = self.table.prepare(0, &columns)?;
            let heads = self.seat(&columns, &hashes, |row| slots[row as usize])?;
            let contents = if self.is_plain { Vec::new() } else { self.contents(slots)? };
            let values = self.values_of(slots)?;
            for (row, (head, slot)) in heads.iter().zip(slots).enumerate().filter(|(_, (h, s))| h != s) {
                let content = contents.get(row).copied().unwrap_or_default();
                self.link(*head, *slot, content, values.get(row).copied().flatten())?;
            }
        }
        self.fresh.drain(..).for_each(|head| self.table.unmark(head, FRESH));
        Ok(())
    }

    fn make_room(&mut self) {
        let slots = self.table.slots_max();
        self.counts.resize(slots);
        self.chains.resize(slots);
        if self.counts_matches {
            self.matches.resize(slots, 0);
        }
    }

    /// How often a row is there.
    #[inline]
    pub(super) fn weight(&self, slot: u32) -> i64 {
        self.counts.weight(slot)
    }

    /// For every key the head of its rows, or [`NONE`].
    pub(super) fn find(&self, keys: &[ArrayRef], hashes: &[u64]) -> Result<Vec<u32>, OperatorError> {
        let keys = self.table.prepare(0, keys)?;
        let mut heads: Vec<u32> =
            hashes.iter().map(|h| self.chains.head(tag_of(*h), |_| true).unwrap_or(NONE)).collect();
        let mut wrong = Vec::new();
        if heads.contains(&NONE) {
            let found = heads.iter().enumerate().filter(|(_, h)| **h != NONE);
            let mut pairs: Vec<(u32, u32)> = found.map(|(row, head)| (row as u32, *head)).collect();
            let mut others = Vec::new();
            self.table.matches(0..self.keys, &keys, &mut pairs, &mut others);
            wrong.extend(others.iter().map(|(row, _)| *row));
        } else {
            self.table.mismatches(0..self.keys, &keys, &heads, &mut wrong);
        }
        for row in wrong {
            let is_meant = |head: u32| self.table.equals(0..self.keys, &keys, row, head);
            heads[row as usize] = self.chains.head(tag_of(hashes[row as usize]), is_meant).unwrap_or(NONE);
        }
        Ok(heads)
    }

    /// As [`find`](Self::find), for keys whose hashes are not at hand.
    pub(super) fn find_all(&self, keys: &[ArrayRef], rows: usize) -> Result<Vec<u32>, OperatorError> {
        self.find(keys, &hash_columns(keys, rows)?)
    }

    /// Is a head the only row of its key?
    #[inline]
    pub(super) fn is_only(&self, head: u32) -> bool {
        self.chains.are_single() || matches!(self.chains.shape(head), Shape::One)
    }

    /// Appends the rows of a head's key.
    pub(super) fn rows_of(&self, head: u32, rows: &mut Vec<u32>) {
        self.chains.rows(head, rows);
    }

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
        if self.is_plain { self.add_rows(&arrived, &mut slots) } else { self.look_up(arrived, &mut slots) }?;
        self.slots = slots;
        if let Some(idle) = &mut self.idle {
            idle.touch(self.slots.iter().copied(), now_ms);
        }
        for at in 0..self.slots.len() {
            let slot = self.slots[at];
            if touches {
                self.touch(slot);
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

    /// What the changes of this epoch come to, by row: of what is taken back no more than there was, because the rest was
    /// forgotten.
    pub(super) fn effects(&mut self) -> Result<Vec<(u32, i64)>, OperatorError> {
        let mut effects = Vec::new();
        for before in &self.touched {
            let now = self.counts.weight(before.slot).max(0);
            self.counts.set_weight(before.slot, now);
            if before.weight == 0 {
                self.table.mark(before.slot, CAME);
            }
            if now != before.weight {
                effects.push((before.slot, now - before.weight));
            }
        }
        Ok(effects)
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

    /// Rows of a side that is never retracted: every one in a slot of its own.
    fn add_rows(&mut self, arrived: &Arrived<'_>, slots: &mut Vec<u32>) -> Result<(), OperatorError> {
        slots.extend((0..arrived.hashes.len() as u32).map(|row| self.table.create(row)));
        self.table.write(&arrived.columns);
        self.make_room();
        let heads = self.seat(&arrived.columns[..self.keys], arrived.hashes, |row| slots[row as usize])?;
        for (row, (head, slot)) in heads.into_iter().zip(slots.iter().copied()).enumerate() {
            if head != slot {
                self.link(head, slot, 0, arrived.value(row as u32))?;
            }
        }
        Ok(())
    }

    /// The head of every row's key; a key that is not there gets the row's slot as its head.
    fn seat(
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
    /// a step of all chains at a time; last, those that were not found get slots, equal ones the same.
    fn look_up(&mut self, mut arrived: Arrived<'_>, slots: &mut Vec<u32>) -> Result<(), OperatorError> {
        slots.resize(arrived.hashes.len(), NONE);
        let heads = self.seat_new(&arrived, slots)?;
        let (mut seek, mut missing) = (Vec::new(), Vec::new());
        for row in 0..slots.len() as u32 {
            if slots[row as usize] != NONE {
                continue;
            }
            match self.chains.shape(heads[row as usize]) {
                Shape::List(list) => {
                    let content = tag_of(arrived.contents()?[row as usize]);
                    match self.find_in_list(list, content, row, &arrived) {
                        Some(slot) => slots[row as usize] = slot,
                        None => missing.push(row),
                    }
                }
                _ => seek.push((row, heads[row as usize])),
            }
        }
        let mut others = Vec::new();
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
        if missing.is_empty() { Ok(()) } else { self.add_missing(missing, &heads, arrived, slots) }
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

    fn find_in_list(&self, list: u32, content: u32, row: u32, arrived: &Arrived<'_>) -> Option<u32> {
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
    fn link(&mut self, head: u32, slot: u32, content: u64, value: Option<i128>) -> Result<(), OperatorError> {
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

    /// Begins the order of a new list.
    fn put_in_order(&mut self, list: u32, rows: &[u32]) -> Result<(), OperatorError> {
        let values = self.values_of(rows)?;
        let Some(order) = &self.order else { return Ok(()) };
        while self.ordered.len() <= list as usize {
            self.ordered.push(order.none());
        }
        let ordered = &mut self.ordered[list as usize];
        *ordered = order.none();
        for (row, value) in rows.iter().zip(values) {
            value.into_iter().for_each(|value| ordered.insert(value, *row));
        }
        Ok(())
    }

    /// Takes rows out of the order of a list.
    fn take_from_order(&mut self, list: u32, rows: &[u32]) -> Result<(), OperatorError> {
        let values = self.values_of(rows)?;
        if let Some(ordered) = self.ordered.get_mut(list as usize) {
            for (row, value) in rows.iter().zip(values) {
                value.into_iter().for_each(|value| ordered.remove(value, *row));
            }
        }
        Ok(())
    }

    /// What the rows of a batch are ordered by; nothing without an order.
    pub(super) fn values(&self, changes: &ChangeBatch) -> Result<Vec<Option<i128>>, OperatorError> {
        let Some(order) = &self.order else { return Ok(Vec::new()) };
        order.values(order.read.iter().map(|c| changes.column(*c).clone()).collect(), changes.num_rows())
    }

    /// What rows are ordered by; nothing without an order.
    fn values_of(&self, slots: &[u32]) -> Result<Vec<Option<i128>>, OperatorError> {
        let Some(order) = &self.order else { return Ok(Vec::new()) };
        let columns = order.read.iter().map(|c| self.column(*c, slots)).collect::<Result<_, _>>()?;
        order.values(columns, slots.len())
    }

    /// Are the rows of a head's key in order?
    pub(super) fn is_ordered(&self, head: u32) -> bool {
        self.order.is_some() && matches!(self.chains.shape(head), Shape::List(_))
    }

    /// Appends the rows of a head's key, which are in order, between two places.
    pub(super) fn between(&self, head: u32, from: Option<Place>, to: Option<Place>, rows: &mut Vec<u32>) {
        if let Shape::List(list) = self.chains.shape(head) {
            self.ordered[list as usize].between(from, to, rows);
        }
    }

    /// Rows, with the tags of what they hold where that is asked for.
    fn tagged(&self, rows: &[u32]) -> Result<Vec<(u32, u32)>, OperatorError> {
        if self.is_plain {
            return Ok(rows.iter().map(|row| (*row, 0)).collect());
        }
        Ok(rows.iter().zip(self.contents(rows)?).map(|(row, hash)| (*row, tag_of(hash))).collect())
    }

    /// The hashes of whole rows.
    fn contents(&self, slots: &[u32]) -> Result<Vec<u64>, OperatorError> {
        let columns: Vec<ArrayRef> =
            (0..self.stored.len()).map(|c| self.table.column(c, slots)).collect::<Result<_, _>>()?;
        Ok(row_hashes(&columns, self.keys, slots.len())?)
    }

    /// Notes what a row was, if it is touched for the first time.
    #[inline]
    pub(super) fn touch(&mut self, slot: u32) {
        if !self.table.mark(slot, TOUCHED) {
            let matches = self.matches.get(slot as usize).copied().unwrap_or_default();
            self.touched.push(Before { slot, weight: self.counts.weight(slot), matches });
        }
    }

    /// Notes that the key of a row began or ceased to match.
    pub(super) fn flip(&mut self, slot: u32) {
        self.touch(slot);
        self.table.mark(slot, FLIPPED);
    }

    /// Did the key of a row begin or cease to match?
    pub(super) fn is_flipped(&self, slot: u32) -> bool {
        self.table.is_marked(slot, FLIPPED)
    }

    /// Heads of keys that are here now and were not before this epoch, or the other way round; `gone` are the rows that go.
    pub(super) fn turned_keys(&self, gone: &Departures) -> Vec<u32> {
        let whole: Vec<u32> = gone.whole().collect();
        let came = self.fresh.iter().copied().filter(|head| whole.binary_search(head).is_err());
        let went = whole.iter().copied().filter(|head| !self.table.is_marked(*head, FRESH));
        came.chain(went).collect()
    }

    /// What changed in this epoch is settled.
    pub(super) fn settle(&mut self) {
        for before in self.touched.drain(..) {
            self.table.unmark(before.slot, TOUCHED);
            self.table.unmark(before.slot, FLIPPED);
            self.table.unmark(before.slot, CAME);
        }
        self.fresh.drain(..).for_each(|head| self.table.unmark(head, FRESH));
        // What an epoch of many changes took is not kept for those of few.
        self.touched.shrink_to(KEPT_ROOM);
        self.fresh.shrink_to(KEPT_ROOM);
    }

    /// Says that the matches of rows changed.
    pub(super) fn mark_dirty(&mut self, slots: &[u32]) {
        self.table.mark_dirty(slots);
    }

    /// One column of the input, of the rows `slots`.
    pub(super) fn column(&self, column: usize, slots: &[u32]) -> Result<ArrayRef, OperatorError> {
        Ok(self.table.column(self.places[column], slots)?)
    }

    /// The join keys of `slots`.
    pub(super) fn keys(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        (0..self.keys).map(|c| Ok(self.table.column(c, slots)?)).collect()
    }

    /// All columns of `slots`, in the order of the input.
    pub(super) fn row(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        (0..self.places.len()).map(|c| self.column(c, slots)).collect()
    }

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

    /// Takes out the heads of keys whose time is at most `time` (ms).
    pub(super) fn take_until(&mut self, time: i64) -> Vec<u32> {
        self.by_time.as_mut().map_or_else(Vec::new, |by_time| by_time.take_until(time))
    }
}

/// Room for changed rows that is kept from epoch to epoch.
const KEPT_ROOM: usize = 1024;
/// Rows that are linked at a time when a table is opened.
const LINK_BATCH: usize = 8192;

/// Hashes of rows whose first `keys` columns are the join keys.
fn row_hashes(columns: &[ArrayRef], keys: usize, rows: usize) -> Result<Vec<u64>, ArrowError> {
    let rest = hash_columns(&columns[keys..], rows)?;
    Ok(hash_columns(&columns[..keys], rows)?.iter().zip(&rest).map(|(k, r)| combine(*k, *r)).collect())
}

fn load(
    counts: &mut Counts,
    matches: Option<&mut Vec<i64>>,
    slot: u32,
    bytes: &[u8],
    table: &str,
) -> Result<(), StateError> {
    let at = slot as usize;
    let (words, []) = bytes.as_chunks::<8>() else { return Err(damaged(table)) };
    let [weight, matched] = words else { return Err(damaged(table)) };
    counts.resize(at + 1);
    counts.set_weight(slot, i64::from_le_bytes(*weight));
    if let Some(matches) = matches {
        matches.resize(matches.len().max(at + 1), 0);
        matches[at] = i64::from_le_bytes(*matched);
    }
    Ok(())
}

fn damaged(table: &str) -> StateError {
    StateError::Corrupt { table: table.into(), message: "an entry has not the length of a weight and a count".into() }
}

impl Table for Side {
    fn name(&self) -> &str {
        self.table.name()
    }

    fn persist(&mut self) -> Result<(), StateError> {
        let (counts, matches) = (&self.counts, &self.matches);
        self.table.persist(&mut |slot: u32, out: &mut Vec<u8>| {
            out.extend_from_slice(&counts.weight(slot).to_le_bytes());
            out.extend_from_slice(&matches.get(slot as usize).copied().unwrap_or_default().to_le_bytes());
        })
    }

    fn len(&self) -> usize {
        self.table.len()
    }

    fn size_bytes(&self) -> usize {
        self.table.size_bytes()
            + self.counts.size_bytes()
            + self.matches.capacity() * 8
            + self.chains.size_bytes()
            + self.slots.capacity() * 4
            + self.ordered.iter().map(Ordered::size_bytes).sum::<usize>()
            + self.idle.as_ref().map_or(0, Idle::size_bytes)
            + self.fresh.capacity() * 4
            + self.touched.capacity() * size_of::<Before>()
    }
}
