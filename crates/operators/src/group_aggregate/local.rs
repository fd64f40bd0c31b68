use super::state::{Groups, set_calls, types};
use crate::aggregation::{PartialBatch, add_weights, call_weights, columns, not_null_rows, partial_batch};
use crate::{Context, Operator, OperatorError};
use arrow::datatypes::SchemaRef;
use eddyline_changes::hash::{combine, hash_columns};
use eddyline_changes::{ChangeBatch, KeyHashes};
use eddyline_plan::{AggregateCall, GroupAggregateSpec};
use eddyline_state::SlotTable;
use std::sync::Arc;

/// Groups, or values of a counted set, that are held before the flush; more would not stay in the cache.
const GROUPS_MAX: usize = 1 << 15;

/// The phase `Local`: sums up what the rows of an epoch add to every group.
pub(super) struct LocalAggregate {
    spec: GroupAggregateSpec,
    output: SchemaRef,
    groups: Groups,
    sets: Vec<LocalSet>,
    slots: Vec<u32>,
}

/// Values of one counted set and how often each call saw them in this epoch.
struct LocalSet {
    args: Vec<usize>,
    calls: Vec<usize>,
    table: SlotTable,
    /// By slot and call.
    seen: Vec<i64>,
    slots: Vec<u32>,
}

impl LocalAggregate {
    pub(super) fn new(spec: &GroupAggregateSpec, input: &SchemaRef, output: &SchemaRef) -> Result<Self, OperatorError> {
        let extreme = |c: &&AggregateCall| matches!(c.function.as_str(), "min" | "max" | "bit_and" | "bit_or");
        if let Some(call) = spec.calls.iter().find(extreme).filter(|_| !spec.append_only) {
            return Err(OperatorError::Spec {
                operator: "GroupAggregate",
                message: format!("{} cannot be aggregated locally over rows that are taken back", call.name),
            });
        }
        let sets = spec.distinct_sets().into_iter().map(|args| LocalSet::new(spec, args, input));
        Ok(Self {
            groups: Groups::transient(spec, &types(input, &spec.keys))?,
            sets: sets.collect::<Result<_, _>>()?,
            spec: spec.clone(),
            output: output.clone(),
            slots: Vec::new(),
        })
    }

    fn emit_groups(&mut self, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let slots = self.groups.table.slots();
        if slots.is_empty() {
            return Ok(());
        }
        let partials = PartialBatch {
            keys: self.groups.table.keys(&slots)?,
            rows: Some(slots.iter().map(|s| self.groups.rows[*s as usize]).collect()),
            partials: Some(self.groups.calls.partials(&slots, false)?),
            set: None,
            len: slots.len(),
        };
        let hashes = KeyHashes {
            columns: (0..self.spec.keys.len()).collect::<Arc<[usize]>>(),
            values: slots.iter().map(|s| self.groups.table.hash(*s)).collect(),
        };
        ctx.emit(partial_batch(&self.spec, &self.output, partials)?.with_hashes(hashes)?)?;
        self.groups.clear();
        Ok(())
    }

    fn emit_set(&mut self, at: usize, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let (set, keys) = (&mut self.sets[at], self.spec.keys.len());
        let slots: Vec<u32> =
            set.table.slots().into_iter().filter(|s| set.counts(*s).iter().any(|c| *c != 0)).collect();
        if !slots.is_empty() {
            let mut columns = set.table.keys(&slots)?;
            let values = columns.split_off(keys);
            let seen = (0..set.calls.len()).map(|call| slots.iter().map(|s| set.counts(*s)[call]).collect()).collect();
            let batch = PartialBatch {
                keys: columns,
                rows: None,
                partials: None,
                set: Some((at + 1, values, seen)),
                len: slots.len(),
            };
            ctx.emit(partial_batch(&self.spec, &self.output, batch)?)?;
        }
        set.table.clear();
        set.seen.clear();
        Ok(())
    }
}

impl LocalSet {
    fn new(spec: &GroupAggregateSpec, args: Vec<usize>, input: &SchemaRef) -> Result<Self, OperatorError> {
        let types = types(input, &[spec.keys.as_slice(), &args].concat());
        let calls = set_calls(spec, &args).collect();
        let table = SlotTable::transient("distinct", &types)?;
        Ok(Self { args, calls, table, seen: Vec::new(), slots: Vec::new() })
    }

    fn counts(&self, slot: u32) -> &[i64] {
        &self.seen[slot as usize * self.calls.len()..][..self.calls.len()]
    }

    fn add(&mut self, spec: &GroupAggregateSpec, changes: &ChangeBatch, hashes: &[u64]) -> Result<(), OperatorError> {
        let rows = not_null_rows(changes, &self.args);
        let kept = match &rows {
            None => changes.clone(),
            Some(rows) => changes.take(rows)?,
        };
        let values = columns(&kept, &self.args);
        let mut own = hash_columns(&values, kept.num_rows())?;
        for (row, hash) in own.iter_mut().enumerate() {
            *hash = combine(hashes[rows.as_ref().map_or(row, |r| r.value(row) as usize)], *hash);
        }
        let keys = [columns(&kept, &spec.keys), values].concat();
        self.table.lookup(&keys, &own, &mut self.slots, &mut |_, _| Ok(()))?;
        let calls = self.calls.len();
        self.seen.resize(self.table.slots_max() * calls, 0);
        let weights = call_weights(&kept, self.calls.iter().map(|c| &spec.calls[*c]));
        for (row, slot) in self.slots.iter().enumerate() {
            let seen = &mut self.seen[*slot as usize * calls..][..calls];
            seen.iter_mut().zip(&weights).for_each(|(s, w)| *s += w[row]);
        }
        Ok(())
    }
}

impl Operator for LocalAggregate {
    fn process(&mut self, _input: usize, changes: ChangeBatch, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let hashes = changes.key_hashes(&self.spec.keys)?;
        self.groups.lookup(&columns(&changes, &self.spec.keys), &hashes, &mut self.slots)?;
        add_weights(&mut self.groups.rows, &self.slots, changes.weights());
        self.groups.calls.accumulate(&self.slots, &changes)?;
        if self.groups.table.len() > GROUPS_MAX {
            self.emit_groups(ctx)?;
        }
        for at in 0..self.sets.len() {
            self.sets[at].add(&self.spec, &changes, &hashes)?;
            if self.sets[at].table.len() > GROUPS_MAX {
                self.emit_set(at, ctx)?;
            }
        }
        Ok(())
    }

    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        self.emit_groups(ctx)?;
        (0..self.sets.len()).try_for_each(|at| self.emit_set(at, ctx))
    }
}
