use super::state::Last;
use crate::aggregation::columns;
use crate::keyed_rows::{KeyedRows, Layout, NONE, RowChange};
use crate::{Context, Operator, OperatorError, Rejected};
use arrow::datatypes::SchemaRef;
use eddyline_changes::{ChangeBatch, Watermark};
use eddyline_plan::ChangelogNormalizeSpec;
use eddyline_state::{Store, Table};

/// See the room's front page.
pub(super) struct ChangelogNormalize {
    layout: Layout,
    state: KeyedRows<Last>,
    /// Slots of keys that came since the last time changes were put out, each once.
    touched: Vec<u32>,
    /// By slot: what came last.
    pending: Vec<Pending>,
    slots: Vec<u32>,
}

/// What came last for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pending {
    Nothing,
    Row(u32),
    Deletion,
}

impl ChangelogNormalize {
    pub(super) fn open(
        spec: &ChangelogNormalizeSpec,
        schema: &SchemaRef,
        store: &Store,
        ttl_ms: Option<u64>,
    ) -> Result<Self, OperatorError> {
        let layout = Layout::new(&spec.key, schema)?;
        let mut state = KeyedRows::open(&layout.key_types(), store)?;
        ttl_ms.into_iter().for_each(|ttl_ms| state.forget_after(ttl_ms));
        Ok(Self { layout, state, touched: Vec::new(), pending: Vec::new(), slots: Vec::new() })
    }

    /// Notes what came for a key; returns whether it is the deletion of nothing.
    #[inline]
    fn pend(&mut self, slot: u32, came: Pending) -> bool {
        let pending = &mut self.pending[slot as usize];
        let is_there = match *pending {
            Pending::Nothing => {
                self.touched.push(slot);
                self.state.kept[slot as usize].0 != NONE
            }
            Pending::Row(row) => {
                self.state.arena.remove(row);
                true
            }
            Pending::Deletion => false,
        };
        *pending = came;
        came == Pending::Deletion && !is_there
    }

    /// Puts out what differs from before.
    fn settle(&mut self, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let now_ms = ctx.moment().wall_ms;
        self.state.touch(&self.touched, now_ms);
        let (mut changes, mut gone, mut dirty) = (Vec::new(), Vec::new(), Vec::new());
        let KeyedRows { table, arena, kept, .. } = &mut self.state;
        let touched = std::mem::take(&mut self.touched);
        for slot in touched {
            let before = kept[slot as usize].0;
            let after = match std::mem::replace(&mut self.pending[slot as usize], Pending::Nothing) {
                Pending::Row(row) => row,
                Pending::Nothing | Pending::Deletion => NONE,
            };
            if before != NONE && after != NONE && arena.bytes(before) == arena.bytes(after) {
                arena.remove(after);
                continue;
            }
            let some = [(before, -1), (after, 1)].into_iter().filter(|(row, _)| *row != NONE);
            changes.extend(some.map(|(row, weight)| RowChange { slot, row, weight }));
            kept[slot as usize] = Last(after);
            if after == NONE { gone.push(slot) } else { dirty.push(slot) }
        }
        self.layout.emit(table, arena, &changes, ctx)?;
        changes.iter().filter(|c| c.weight < 0).for_each(|c| arena.remove(c.row));
        table.mark_dirty(&dirty);
        table.remove(&gone)?;
        arena.sweep();
        self.state.forget_idle(now_ms)
    }
}

impl Operator for ChangelogNormalize {
    fn process(&mut self, _input: usize, changes: ChangeBatch, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        if self.touched.is_empty() {
            self.state.forget_idle(ctx.moment().wall_ms)?;
        }
        let hashes = changes.key_hashes(&self.layout.key)?;
        self.state.lookup(&columns(&changes, &self.layout.key), &hashes, &mut self.slots)?;
        self.pending.resize(self.state.kept.len(), Pending::Nothing);
        let rest = self.layout.encode(&changes)?;
        let mut unknown = 0;
        for row in 0..changes.num_rows() {
            let slot = self.slots[row];
            let came = match changes.weights().at(row) > 0 {
                true => Pending::Row(self.state.arena.add(rest.row(row))),
                false => Pending::Deletion,
            };
            unknown += u64::from(self.pend(slot, came));
        }
        ctx.reject(Rejected::UnknownKey, unknown);
        Ok(())
    }

    fn advance(&mut self, watermark: Watermark, ctx: &mut Context<'_>) -> Result<Watermark, OperatorError> {
        self.settle(ctx)?;
        Ok(watermark)
    }

    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        self.settle(ctx)
    }

    fn tables(&mut self) -> Vec<&mut dyn Table> {
        vec![&mut self.state]
    }
}
