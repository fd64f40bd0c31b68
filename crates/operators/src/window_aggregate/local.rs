use super::NAME;
use super::state::{Slices, key_hash, types};
use crate::aggregation::{add_weights, columns};
use crate::event_time::window_millis;
use crate::{Context, Operator, OperatorError, Rejected};
use arrow::array::{Array, AsArray, Int64Array, RecordBatch};
use arrow::compute::is_not_null;
use arrow::datatypes::{Int64Type, SchemaRef};
use eddyline_changes::{ChangeBatch, KeyHashes, Watermark};
use eddyline_plan::WindowAggregateSpec;
use std::sync::Arc;

/// Keys in slices that are held before the flush; more would not stay in the cache.
const GROUPS_MAX: usize = 1 << 15;

/// The phase `Local`: sums up what the rows of an epoch add to every key and slice.
pub(super) struct LocalWindowAggregate {
    spec: WindowAggregateSpec,
    output: SchemaRef,
    pending: Slices,
    slice_ms: i64,
}

impl LocalWindowAggregate {
    pub(super) fn new(
        spec: &WindowAggregateSpec,
        input: &SchemaRef,
        output: &SchemaRef,
    ) -> Result<Self, OperatorError> {
        let extreme = spec.calls.iter().find(|c| matches!(c.function.as_str(), "min" | "max" | "bit_and" | "bit_or"));
        if let Some(call) = extreme.filter(|_| !spec.append_only) {
            return Err(OperatorError::Spec {
                operator: NAME,
                message: format!("{} cannot be aggregated locally over rows that are taken back", call.name),
            });
        }
        let pending = Slices::transient(spec, &types(input, &spec.keys))?;
        Ok(Self { spec: spec.clone(), output: output.clone(), pending, slice_ms: spec.window.slice_ms() })
    }

    fn emit(&mut self, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let slots = self.pending.table.slots();
        if slots.is_empty() {
            return Ok(());
        }
        let mut columns = self.pending.table.keys(&slots)?;
        columns.rotate_left(1);
        let slices = columns[self.spec.keys.len()].as_primitive::<Int64Type>().clone();
        let rows = slots.iter().map(|s| self.pending.rows[*s as usize]);
        columns.push(Arc::new(Int64Array::from_iter_values(rows)));
        columns.extend(self.pending.calls.partials(&slots, false)?);
        let hashes = slots.iter().zip(slices.values()).map(|(s, slice)| key_hash(self.pending.table.hash(*s), *slice));
        let hashes =
            KeyHashes { columns: (0..self.spec.keys.len()).collect::<Arc<[usize]>>(), values: hashes.collect() };
        let rows = RecordBatch::try_new(self.output.clone(), columns)?;
        ctx.emit(ChangeBatch::inserts(rows).with_hashes(hashes)?)?;
        self.pending.clear();
        Ok(())
    }
}

impl Operator for LocalWindowAggregate {
    fn process(&mut self, _input: usize, changes: ChangeBatch, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let time = changes.column(self.spec.time);
        let nulls = time.null_count();
        ctx.reject(Rejected::NullTime, nulls as u64);
        let changes = if nulls > 0 { changes.filter(&is_not_null(time)?)? } else { changes };
        let times = window_millis(NAME, &self.spec.window, changes.column(self.spec.time))?;
        let mut current = i64::MAX;
        let slices: Vec<i64> = times
            .values()
            .iter()
            .map(|time| {
                if *time < current || time.wrapping_sub(current) as u64 >= self.slice_ms as u64 {
                    current = self.spec.window.slice_start(*time);
                }
                current
            })
            .collect();
        let hashes = changes.key_hashes(&self.spec.keys)?;
        self.pending.lookup(&columns(&changes, &self.spec.keys), &hashes, &slices)?;
        let (slots, rows, calls) = self.pending.looked_up();
        add_weights(rows, slots, changes.weights());
        calls.accumulate(slots, &changes)?;
        if self.pending.table.len() > GROUPS_MAX { self.emit(ctx) } else { Ok(()) }
    }

    fn advance(&mut self, watermark: Watermark, ctx: &mut Context<'_>) -> Result<Watermark, OperatorError> {
        // No window over a slice closes before the slice's own end.
        if self.pending.by_slice.first().is_some_and(|slice| slice + self.slice_ms - 1 <= watermark.0) {
            self.emit(ctx)?;
        }
        Ok(watermark)
    }

    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        self.emit(ctx)
    }
}
