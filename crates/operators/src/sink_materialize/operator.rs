use super::NAME;
use crate::aggregation::{columns, retraction};
use crate::keyed_rows::{Arena, KeyedRows, Layout, RowChange};
use crate::row_list::RowList;
use crate::{Context, Operator, OperatorError};
use arrow::datatypes::SchemaRef;
use eddyline_changes::ChangeBatch;
use eddyline_plan::{Conflict, SinkMaterializeSpec};
use eddyline_state::{Store, Table};
use std::cmp::Ordering;

/// See the room's front page.
pub(super) struct SinkMaterialize {
    spec: SinkMaterializeSpec,
    layout: Layout,
    state: KeyedRows<RowList>,
    /// What came in this epoch, in the order in which it came.
    pending: Vec<RowChange>,
    slots: Vec<u32>,
}

/// What a flush puts out and forgets.
#[derive(Default)]
struct Flushed {
    changes: Vec<RowChange>,
    /// Rows that are no longer needed when the changes are out.
    removed: Vec<u32>,
    dirty: Vec<u32>,
    gone: Vec<u32>,
}

impl SinkMaterialize {
    pub(super) fn open(
        spec: &SinkMaterializeSpec,
        schema: &SchemaRef,
        store: &Store,
        ttl_ms: Option<u64>,
    ) -> Result<Self, OperatorError> {
        let layout = Layout::new(&spec.key, schema)?;
        let mut state = KeyedRows::open(&layout.key_types(), store)?;
        ttl_ms.into_iter().for_each(|ttl_ms| state.forget_after(ttl_ms));
        Ok(Self { spec: spec.clone(), layout, state, pending: Vec::new(), slots: Vec::new() })
    }

    /// Applies what came for one key, and notes what that changes.
    fn settle(&mut self, slot: u32, came: &mut Vec<RowChange>, out: &mut Flushed) -> Result<(), OperatorError> {
        let before = self.shown(slot);
        net(came, &self.state.arena, &mut out.removed);
        for change in came.iter().filter(|change| change.weight < 0) {
            for _ in 0..change.weight.unsigned_abs() {
                let removed = take(&mut self.state.kept[slot as usize], &self.state.arena, change.row);
                match removed {
                    Some(row) => out.removed.push(row),
                    // It may have been forgotten.
                    None if self.state.forgets() => break,
                    None => return Err(self.retraction(slot)),
                }
            }
            out.removed.push(change.row);
        }
        for change in came.iter().filter(|change| change.weight > 0) {
            self.state.kept[slot as usize].push(change.row);
            for _ in 1..change.weight {
                let copy = self.state.arena.bytes(change.row).to_vec();
                let copy = self.state.arena.add(&copy);
                self.state.kept[slot as usize].push(copy);
            }
        }
        if self.spec.conflict == Conflict::Error {
            self.check(slot)?;
        }
        let after = self.shown(slot);
        let arena = &self.state.arena;
        if before.map(|row| arena.bytes(row)) != after.map(|row| arena.bytes(row)) {
            out.changes.extend(before.map(|row| RowChange { slot, row, weight: -1 }));
            out.changes.extend(after.map(|row| RowChange { slot, row, weight: 1 }));
        }
        if after.is_some() {
            out.dirty.push(slot)
        } else {
            out.gone.push(slot)
        }
        Ok(())
    }

    /// The row of a key that is written.
    fn shown(&self, slot: u32) -> Option<u32> {
        let rows = self.state.kept[slot as usize].rows();
        match self.spec.conflict {
            Conflict::Deduplicate => rows.last().copied(),
            Conflict::Nothing | Conflict::Error => rows.first().copied(),
        }
    }

    /// Refuses different rows with one key.
    fn check(&self, slot: u32) -> Result<(), OperatorError> {
        let KeyedRows { table, arena, kept, .. } = &self.state;
        let rows = kept[slot as usize].rows();
        let Some(first) = rows.first() else { return Ok(()) };
        let Some(other) = rows.iter().find(|row| arena.bytes(**row) != arena.bytes(*first)) else { return Ok(()) };
        let (key, kept) = self.layout.text(table, arena, slot, *first)?;
        let (_, other) = self.layout.text(table, arena, slot, *other)?;
        Err(OperatorError::Conflict { table: self.spec.table.clone(), key, kept, other })
    }

    fn retraction(&self, slot: u32) -> OperatorError {
        match self.state.table.keys(&[slot]) {
            Ok(key) => retraction(NAME, &key),
            Err(error) => error.into(),
        }
    }
}

/// Adds equal rows up, in the order in which each came last; those that come to nothing are left out. Rows that are not
/// among the result are added to `removed`.
fn net(came: &mut Vec<RowChange>, arena: &Arena, removed: &mut Vec<u32>) {
    if came.len() == 1 {
        return;
    }
    let mut order: Vec<usize> = (0..came.len()).collect();
    order.sort_unstable_by(|a, b| match arena.bytes(came[*a].row).cmp(arena.bytes(came[*b].row)) {
        Ordering::Equal => a.cmp(b),
        unequal => unequal,
    });
    let mut kept: Vec<(usize, RowChange)> = Vec::new();
    for same in order.chunk_by(|a, b| arena.bytes(came[*a].row) == arena.bytes(came[*b].row)) {
        let weight = same.iter().map(|at| came[*at].weight).sum();
        let Some((last, others)) = same.split_last() else { continue };
        removed.extend(others.iter().map(|at| came[*at].row));
        match weight {
            0 => removed.push(came[*last].row),
            _ => kept.push((*last, RowChange { weight, ..came[*last] })),
        }
    }
    kept.sort_unstable_by_key(|(at, _)| *at);
    *came = kept.into_iter().map(|(_, change)| change).collect();
}

/// Takes the last row with the bytes of `row` out of a list.
fn take(list: &mut RowList, arena: &Arena, row: u32) -> Option<u32> {
    let at = list.rows().iter().rposition(|known| arena.bytes(*known) == arena.bytes(row))?;
    list.remove(at)
}

impl Operator for SinkMaterialize {
    fn process(&mut self, _input: usize, changes: ChangeBatch, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        if self.pending.is_empty() {
            self.state.forget_idle(ctx.moment().wall_ms)?;
        }
        let hashes = changes.key_hashes(&self.layout.key)?;
        self.state.lookup(&columns(&changes, &self.layout.key), &hashes, &mut self.slots)?;
        let rest = self.layout.encode(&changes)?;
        for (at, slot) in self.slots.iter().enumerate() {
            let row = self.state.arena.add(rest.row(at));
            self.pending.push(RowChange { slot: *slot, row, weight: changes.weights().at(at) });
        }
        Ok(())
    }

    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let mut pending = std::mem::take(&mut self.pending);
        pending.sort_by_key(|change| change.slot);
        let mut out = Flushed::default();
        let mut came = Vec::new();
        for changes in pending.chunk_by(|a, b| a.slot == b.slot) {
            came.clear();
            came.extend_from_slice(changes);
            self.settle(changes[0].slot, &mut came, &mut out)?;
        }
        let KeyedRows { table, arena, .. } = &mut self.state;
        self.layout.emit(table, arena, &out.changes, ctx)?;
        out.removed.iter().for_each(|row| arena.remove(*row));
        table.mark_dirty(&out.dirty);
        table.remove(&out.gone)?;
        arena.sweep();
        let now_ms = ctx.moment().wall_ms;
        self.state.touch(&out.dirty, now_ms);
        self.state.forget_idle(now_ms)
    }

    fn tables(&mut self) -> Vec<&mut dyn Table> {
        vec![&mut self.state]
    }
}
