use crate::OperatorError;
use arrow::array::{Array, ArrayRef, AsArray, new_null_array};
use arrow::compute::SortOptions;
use arrow::datatypes::Int64Type;
use eddyline_changes::{ChangeBatch, Weights};
use eddyline_functions::aggregate::{AggregateError, GroupedAccumulator, ListOptions, ListOrder, accumulator};
use eddyline_plan::aggregate::partial_fields;
use eddyline_plan::{AggregateCall, ValueOrder};
use eddyline_state::StateError;

/// The accumulators of a list of aggregate calls, by slot.
pub(crate) struct Calls {
    calls: Vec<Call>,
    slots: usize,
}

struct Call {
    call: AggregateCall,
    accumulator: Box<dyn GroupedAccumulator>,
    /// Number of columns in which it travels.
    partials: usize,
}

fn list_options(call: &AggregateCall) -> ListOptions {
    let order = |o: &ValueOrder| ListOrder {
        data_type: o.data_type.clone(),
        options: SortOptions { descending: o.descending, nulls_first: o.nulls_first },
    };
    ListOptions {
        order: call.list.order.iter().map(order).collect(),
        once: call.list.once,
        separator: call.list.separator.clone(),
        fraction: f64::from_bits(call.list.fraction_bits),
    }
}

/// An accumulator for a call.
///
/// # Errors
/// A function that is not known for its types.
pub(crate) fn accumulator_of(
    call: &AggregateCall,
    append_only: bool,
) -> Result<Box<dyn GroupedAccumulator>, AggregateError> {
    accumulator(&call.function, &call.arg_types, &call.return_type, append_only, &list_options(call))
}

impl Calls {
    /// Empty accumulators for `calls`.
    ///
    /// # Errors
    /// A function that is not known for its types.
    pub(crate) fn new(calls: &[AggregateCall], append_only: bool) -> Result<Self, OperatorError> {
        let calls = calls.iter().enumerate().map(|(at, call)| {
            let accumulator = accumulator_of(call, append_only)?;
            Ok(Call { call: call.clone(), accumulator, partials: partial_fields(at, call).len() })
        });
        Ok(Self { calls: calls.collect::<Result<_, AggregateError>>()?, slots: 0 })
    }

    /// Makes room for slots `0..slots`; never takes room away.
    pub(crate) fn resize(&mut self, slots: usize) {
        if slots > self.slots {
            self.slots = slots;
            self.calls.iter_mut().for_each(|c| c.accumulator.resize(slots));
        }
    }

    /// Adds rows to all calls that are not DISTINCT.
    pub(crate) fn accumulate(&mut self, slots: &[u32], changes: &ChangeBatch) -> Result<(), OperatorError> {
        for Call { call, accumulator, .. } in self.calls.iter_mut().filter(|c| !c.call.distinct) {
            let args: Vec<ArrayRef> = call.columns().map(|a| changes.column(a).clone()).collect();
            let filter = call.filter.map(|f| changes.column(f).as_boolean());
            accumulator.accumulate(slots, &args, changes.weights(), filter)?;
        }
        Ok(())
    }

    /// Adds values that came into, or went out of, the counted set of the DISTINCT call `at`.
    pub(crate) fn accumulate_distinct(
        &mut self,
        at: usize,
        slots: &[u32],
        args: &[ArrayRef],
        weights: Vec<i64>,
    ) -> Result<(), OperatorError> {
        Ok(self.calls[at].accumulator.accumulate(slots, args, &Weights::from_vec(weights), None)?)
    }

    /// Adds partials of all calls, in their order.
    pub(crate) fn merge(&mut self, slots: &[u32], partials: &[ArrayRef]) -> Result<(), OperatorError> {
        let mut rest = partials;
        for Call { accumulator, partials, .. } in &mut self.calls {
            let (own, others) = rest.split_at(*partials);
            accumulator.merge(slots, own)?;
            rest = others;
        }
        Ok(())
    }

    /// What `slots` hold, as partials of all calls; NULL for DISTINCT calls unless `distinct`.
    pub(crate) fn partials(&self, slots: &[u32], distinct: bool) -> Result<Vec<ArrayRef>, OperatorError> {
        let mut columns = Vec::new();
        for (at, Call { call, accumulator, .. }) in self.calls.iter().enumerate() {
            if call.distinct && !distinct {
                columns.extend(partial_fields(at, call).iter().map(|f| new_null_array(f.data_type(), slots.len())));
            } else if matches!(call.function.as_str(), "min" | "max" | "bit_and" | "bit_or") {
                // Their partial is their result, and what can take values back has no other.
                columns.push(accumulator.evaluate(slots)?);
            } else {
                columns.extend(accumulator.partials(slots)?);
            }
        }
        Ok(columns)
    }

    /// Number of columns in which all calls travel.
    pub(crate) fn partial_columns(&self) -> usize {
        self.calls.iter().map(|c| c.partials).sum()
    }

    /// The results of `slots`, one column per call.
    pub(crate) fn evaluate(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        self.calls.iter().map(|c| Ok(c.accumulator.evaluate(slots)?)).collect()
    }

    /// One of `slots` in which something was accumulated that was not taken back again.
    ///
    /// # Errors
    /// As `evaluate` of the accumulators: more was taken back than was accumulated.
    pub(crate) fn not_empty(&self, slots: &[u32]) -> Result<Option<u32>, OperatorError> {
        if slots.is_empty() {
            return Ok(None);
        }
        for Call { call, accumulator, .. } in &self.calls {
            let results = accumulator.evaluate(slots)?;
            let is_left = |row: &usize| match call.function.as_str() {
                "count" => results.as_primitive::<Int64Type>().value(*row) != 0,
                _ => results.is_valid(*row),
            };
            if let Some(row) = (0..slots.len()).find(is_left) {
                return Ok(Some(slots[row]));
            }
        }
        Ok(None)
    }

    /// Empties slots.
    pub(crate) fn clear(&mut self, slots: &[u32]) {
        for call in &mut self.calls {
            slots.iter().for_each(|s| call.accumulator.clear(*s));
        }
    }

    /// Empties all slots.
    pub(crate) fn clear_all(&mut self) {
        self.slots = 0;
        self.calls.iter_mut().for_each(|c| c.accumulator.resize(0));
    }

    /// Appends what a slot holds.
    pub(crate) fn save(&self, slot: u32, out: &mut Vec<u8>) {
        self.calls.iter().for_each(|c| c.accumulator.save(slot, out));
    }

    /// Reads what [`save`](Self::save) wrote into a slot of `table`.
    pub(crate) fn load(&mut self, table: &str, slot: u32, input: &mut &[u8]) -> Result<(), StateError> {
        self.resize(slot as usize + 1);
        for call in &mut self.calls {
            call.accumulator
                .load(slot, input)
                .map_err(|e| StateError::Corrupt { table: table.into(), message: e.to_string() })?;
        }
        Ok(())
    }

    /// Memory in bytes, about.
    pub(crate) fn size_bytes(&self) -> usize {
        self.calls.iter().map(|c| c.accumulator.size_bytes()).sum()
    }
}
