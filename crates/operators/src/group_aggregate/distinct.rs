use super::state::{Groups, open_values, types};
use crate::aggregation::{CountedSet, PartialBatch, columns, partial_batch};
use crate::{Context, Operator, OperatorError};
use arrow::array::{AsArray, BooleanArray, UInt32Array};
use arrow::compute::{kernels::cmp::eq, take};
use arrow::datatypes::{Int8Type, Int64Type, SchemaRef};
use eddyline_changes::{ChangeBatch, KeyHashes};
use eddyline_plan::GroupAggregateSpec;
use eddyline_state::{Store, Table};
use std::sync::Arc;

const NAME: &str = "GroupAggregate";

/// The phase `Distinct`: owns the counted sets of the values that are dealt out to this shard. Partials of set 0 pass.
pub(super) struct DistinctAggregate {
    spec: GroupAggregateSpec,
    schema: SchemaRef,
    /// Key of the counted set: keys, set, values of all sets.
    distribution: Vec<usize>,
    /// Position of the column `set`.
    set: usize,
    /// Positions of the columns `seen<call>`.
    seen: Vec<usize>,
    /// Number of every DISTINCT call and the columns of its values.
    calls: Vec<(usize, Vec<usize>)>,
    values: CountedSet,
    /// What the values that came and went in this epoch add to the groups.
    groups: Groups,
    slots: Vec<u32>,
}

impl DistinctAggregate {
    pub(super) fn open(
        spec: &GroupAggregateSpec,
        schema: &SchemaRef,
        store: &Store,
        ttl_ms: Option<u64>,
    ) -> Result<Self, OperatorError> {
        let spec_error = |message: String| OperatorError::Spec { operator: NAME, message };
        let set = schema.index_of("set").map_err(|_| spec_error("partials without DISTINCT have no sets".into()))?;
        let distribution = spec.distinct_distribution(schema);
        let sets = spec.distinct_sets();
        let numbers = spec.calls.iter().enumerate().filter(|(_, c)| c.distinct);
        let calls: Vec<(usize, Vec<usize>)> = numbers
            .map(|(at, call)| {
                let number = sets.iter().position(|args| *args == call.args).unwrap_or_default();
                let from = set + 1 + sets[..number].iter().map(Vec::len).sum::<usize>();
                (at, (from..from + call.args.len()).collect())
            })
            .collect();
        let keys: Vec<usize> = (0..spec.keys.len()).collect();
        let mut values = open_values(spec, schema, &distribution, store)?;
        if let Some(ttl_ms) = ttl_ms {
            values.forget_after(ttl_ms);
        }
        Ok(Self {
            values,
            groups: Groups::transient(spec, &types(schema, &keys))?,
            seen: (schema.fields().len() - calls.len()..schema.fields().len()).collect(),
            spec: GroupAggregateSpec { keys, ..spec.clone() },
            schema: schema.clone(),
            distribution,
            set,
            calls,
            slots: Vec::new(),
        })
    }

    fn count(&mut self, changes: &ChangeBatch) -> Result<(), OperatorError> {
        let hashes = changes.key_hashes(&self.distribution)?;
        let seen: Vec<Vec<i64>> =
            self.seen.iter().map(|c| changes.column(*c).as_primitive::<Int64Type>().values().to_vec()).collect();
        let transitions = self.values.count(&columns(changes, &self.distribution), &hashes, &seen)?;
        if transitions.iter().all(|t| t.rows.is_empty()) {
            return Ok(());
        }
        let hashes = changes.key_hashes(&self.spec.keys)?;
        self.groups.lookup(&columns(changes, &self.spec.keys), &hashes, &mut self.slots)?;
        for ((call, values), transitions) in self.calls.iter().zip(transitions).filter(|(_, t)| !t.rows.is_empty()) {
            let slots: Vec<u32> = transitions.rows.iter().map(|row| self.slots[*row as usize]).collect();
            let rows = UInt32Array::from(transitions.rows);
            let args = values.iter().map(|c| take(changes.column(*c), &rows, None)).collect::<Result<Vec<_>, _>>()?;
            self.groups.calls.accumulate_distinct(*call, &slots, &args, transitions.weights)?;
        }
        Ok(())
    }
}

impl Operator for DistinctAggregate {
    fn process(&mut self, _input: usize, changes: ChangeBatch, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        self.values.forget_idle(ctx.moment().wall_ms)?;
        let sets = changes.column(self.set).as_primitive::<Int8Type>();
        let passing = sets.values().iter().filter(|s| **s == 0).count();
        if passing == changes.num_rows() {
            ctx.emit(changes)?;
            return Ok(());
        }
        if passing == 0 {
            return self.count(&changes);
        }
        let passes: BooleanArray = sets.values().iter().map(|s| Some(*s == 0)).collect();
        ctx.emit(changes.filter(&passes)?)?;
        self.count(&changes.filter(&eq(&passes, &BooleanArray::new_scalar(false))?)?)
    }

    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        self.values.flush(NAME)?;
        self.values.forget_idle(ctx.moment().wall_ms)?;
        let slots = self.groups.table.slots();
        if slots.is_empty() {
            return Ok(());
        }
        let batch = PartialBatch {
            keys: self.groups.table.keys(&slots)?,
            rows: None,
            partials: Some(self.groups.calls.partials(&slots, true)?),
            set: None,
            len: slots.len(),
        };
        let hashes = KeyHashes {
            columns: (0..self.spec.keys.len()).collect::<Arc<[usize]>>(),
            values: slots.iter().map(|s| self.groups.table.hash(*s)).collect(),
        };
        ctx.emit(partial_batch(&self.spec, &self.schema, batch)?.with_hashes(hashes)?)?;
        self.groups.clear();
        Ok(())
    }

    fn tables(&mut self) -> Vec<&mut dyn Table> {
        vec![&mut self.values]
    }
}
