//! BOOL_AND (EVERY) and BOOL_OR: how many are TRUE, how many FALSE.

use super::encoding::{VERSION, take, take_version};
use super::rows::{each, selected};
use super::{AggregateError, GroupedAccumulator};
use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array};
use arrow::datatypes::Int64Type;
use eddyline_changes::Weights;
use std::sync::Arc;

/// BOOL_AND, or BOOL_OR.
pub(super) fn build(is_and: bool) -> Box<dyn GroupedAccumulator> {
    Box::new(Booleans { is_and, counts: Vec::new() })
}

struct Booleans {
    is_and: bool,
    /// Per slot how many are FALSE and how many are TRUE.
    counts: Vec<[i64; 2]>,
}

impl Booleans {
    fn name(&self) -> &'static str {
        if self.is_and { "BOOL_AND" } else { "BOOL_OR" }
    }
}

impl GroupedAccumulator for Booleans {
    fn resize(&mut self, slots: usize) {
        self.counts.resize(slots, [0; 2]);
    }

    fn accumulate(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        weights: &Weights,
        filter: Option<&BooleanArray>,
    ) -> Result<(), AggregateError> {
        let mask = selected(args, filter);
        let values = args[0].as_boolean().values();
        each(slots.len(), mask.as_ref(), |i| {
            let count = &mut self.counts[slots[i] as usize][usize::from(values.value(i))];
            *count = count.wrapping_add(weights.at(i));
        });
        Ok(())
    }

    fn merge(&mut self, slots: &[u32], partials: &[ArrayRef]) -> Result<(), AggregateError> {
        let trues = partials[0].as_primitive::<Int64Type>().values();
        let falses = partials[1].as_primitive::<Int64Type>().values();
        each(slots.len(), selected(partials, None).as_ref(), |i| {
            let counts = &mut self.counts[slots[i] as usize];
            *counts = [counts[0].wrapping_add(falses[i]), counts[1].wrapping_add(trues[i])];
        });
        Ok(())
    }

    fn partials(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, AggregateError> {
        let column = |which: usize| Int64Array::from_iter_values(slots.iter().map(|s| self.counts[*s as usize][which]));
        Ok(vec![Arc::new(column(1)), Arc::new(column(0))])
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef, AggregateError> {
        let result = |slot: &u32| {
            let [falses, trues] = self.counts[*slot as usize];
            if falses < 0 || trues < 0 {
                let value = if falses < 0 { "FALSE" } else { "TRUE" };
                return Err(AggregateError::Retraction { function: self.name().into(), value: value.into() });
            }
            let value = if self.is_and { falses == 0 } else { trues > 0 };
            Ok((falses + trues > 0).then_some(value))
        };
        Ok(Arc::new(slots.iter().map(result).collect::<Result<BooleanArray, _>>()?))
    }

    fn clear(&mut self, slot: u32) {
        self.counts[slot as usize] = [0; 2];
    }

    fn save(&self, slot: u32, out: &mut Vec<u8>) {
        out.push(VERSION);
        self.counts[slot as usize].iter().for_each(|c| out.extend_from_slice(&c.to_le_bytes()));
    }

    fn load(&mut self, slot: u32, input: &mut &[u8]) -> Result<(), AggregateError> {
        let name = self.name();
        take_version(name, input)?;
        let counts = [i64::from_le_bytes(take(name, input)?), i64::from_le_bytes(take(name, input)?)];
        self.counts[slot as usize] = counts;
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.counts.capacity() * 16
    }
}
