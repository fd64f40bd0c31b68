//! SUM and AVG over FLOAT and DOUBLE, exact until the result is rounded.
//!
//! A running `f64` cannot take values back: after `+1e16 +1 -1e16` it holds 0, not 1. So a slot holds the exact sum
//! as two doubles (see `exact`), which is enough for most data; a slot that needs more (a third double, infinity,
//! NaN) moves to a side table and comes back when it can. As a consequence the result does not depend on the order
//! of the rows, on how they were cut into batches, or on what was added and taken back in between.
//!
//! Partials are rounded to one DOUBLE: with two phases the result may differ in the last place, and what travels as
//! a partial can not be taken back exactly.

use super::encoding::{VERSION, take, take_version};
use super::exact::{HUGE, WideSum, two_sum};
use super::rows::{each, selected};
use super::state_column::{merge_states, states};
use super::sum::Function;
use super::{AggregateError, GroupedAccumulator};
use arrow::array::{ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray};
use arrow::array::{Float32Array, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int64Type};
use eddyline_changes::Weights;
use hashbrown::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

/// SUM or AVG, `None` for types it is not defined on.
pub(super) fn build(function: Function, arg: &DataType, result: &DataType) -> Option<Box<dyn GroupedAccumulator>> {
    let as_float = match result {
        DataType::Float64 => false,
        DataType::Float32 => true,
        _ => return None,
    };
    let sums = Sums::default();
    match arg {
        DataType::Float32 => {
            Some(Box::new(FloatSum { sums, function, as_float, arg: PhantomData::<fn() -> Float32Type> }))
        }
        DataType::Float64 => {
            Some(Box::new(FloatSum { sums, function, as_float, arg: PhantomData::<fn() -> Float64Type> }))
        }
        _ => None,
    }
}

/// One slot: `high + low` is the exact sum. `low` is NaN when the sum is in the side table.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    high: f64,
    low: f64,
    count: i64,
}

#[derive(Default)]
struct Sums {
    slots: Vec<Slot>,
    wide: HashMap<u32, WideSum>,
}

impl Sums {
    /// Adds a value with weight 1.
    #[inline(always)]
    fn add_one(&mut self, at: u32, value: f64) {
        let slot = &mut self.slots[at as usize];
        let (high, error) = two_sum(slot.high, value);
        let (low, lost) = two_sum(slot.low, error);
        // False also for a slot in the side table, for NaN and for infinity.
        if lost == 0.0 && value.abs() < HUGE {
            slot.high = high;
            slot.low = low;
            slot.count = slot.count.wrapping_add(1);
        } else {
            self.add_wide(at, value, 1);
        }
    }

    #[inline]
    fn add(&mut self, at: u32, value: f64, weight: i64) {
        match weight {
            1 => self.add_one(at, value),
            -1 if value.is_finite() => {
                self.add_one(at, -value);
                let slot = &mut self.slots[at as usize];
                slot.count = slot.count.wrapping_sub(2);
            }
            _ => self.add_wide(at, value, weight),
        }
    }

    #[cold]
    fn add_wide(&mut self, at: u32, value: f64, weight: i64) {
        let slot = &mut self.slots[at as usize];
        slot.count = slot.count.wrapping_add(weight);
        let sum = self.wide.entry(at).or_insert_with(|| WideSum::of(&[slot.high, slot.low]));
        sum.add(value, weight);
        if sum.fits_two() {
            (slot.high, slot.low) = sum.as_two();
            self.wide.remove(&at);
        } else {
            (slot.high, slot.low) = (0.0, f64::NAN);
        }
    }

    fn get(&self, at: u32) -> (WideSum, i64) {
        let slot = self.slots[at as usize];
        let sum = self.wide.get(&at).cloned().unwrap_or_else(|| WideSum::of(&[slot.high, slot.low]));
        (sum, slot.count)
    }

    fn set(&mut self, at: u32, sum: WideSum, count: i64) {
        let slot = &mut self.slots[at as usize];
        slot.count = count;
        if sum.fits_two() {
            (slot.high, slot.low) = sum.as_two();
            self.wide.remove(&at);
        } else {
            (slot.high, slot.low) = (0.0, f64::NAN);
            self.wide.insert(at, sum);
        }
    }

    /// The sum, rounded once.
    #[inline]
    fn rounded(&self, at: u32) -> f64 {
        let slot = self.slots[at as usize];
        if slot.low.is_nan() { self.wide.get(&at).map_or(f64::NAN, WideSum::round) } else { slot.high + slot.low }
    }
}

impl WideSum {
    /// The two doubles of a sum that [fits two](Self::fits_two).
    fn as_two(&self) -> (f64, f64) {
        match self.parts[..] {
            [low, high] => (high, low),
            [high] => (high, 0.0),
            _ => (0.0, 0.0),
        }
    }
}

/// What a slot was saved as.
fn read(name: &str, input: &mut &[u8]) -> Result<(WideSum, i64), AggregateError> {
    take_version(name, input)?;
    let count = i64::from_le_bytes(take(name, input)?);
    Ok((WideSum::load(name, input)?, count))
}

struct FloatSum<T> {
    sums: Sums,
    function: Function,
    as_float: bool,
    arg: PhantomData<fn() -> T>,
}

impl<T> GroupedAccumulator for FloatSum<T>
where
    T: ArrowPrimitiveType,
    T::Native: Into<f64>,
{
    fn resize(&mut self, slots: usize) {
        self.sums.slots.resize(slots, Slot::default());
        self.sums.wide.retain(|slot, _| (*slot as usize) < slots);
    }

    fn accumulate(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        weights: &Weights,
        filter: Option<&BooleanArray>,
    ) -> Result<(), AggregateError> {
        let mask = selected(args, filter);
        let values = args[0].as_primitive::<T>().values();
        match weights.per_row() {
            None => each(slots.len(), mask.as_ref(), |i| self.sums.add_one(slots[i], values[i].into())),
            Some(w) => each(slots.len(), mask.as_ref(), |i| self.sums.add(slots[i], values[i].into(), w[i])),
        }
        Ok(())
    }

    fn merge(&mut self, slots: &[u32], partials: &[ArrayRef]) -> Result<(), AggregateError> {
        let sums = partials[0].as_primitive::<Float64Type>().values();
        let counts = partials[1].as_primitive::<Int64Type>().values();
        each(slots.len(), selected(partials, None).as_ref(), |i| {
            self.sums.add_one(slots[i], sums[i]);
            let slot = &mut self.sums.slots[slots[i] as usize];
            slot.count = slot.count.wrapping_add(counts[i]).wrapping_sub(1);
        });
        Ok(())
    }

    fn partials(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, AggregateError> {
        let sums = Float64Array::from_iter_values(slots.iter().map(|s| self.sums.rounded(*s)));
        let counts = Int64Array::from_iter_values(slots.iter().map(|s| self.sums.slots[*s as usize].count));
        Ok(vec![Arc::new(sums), Arc::new(counts)])
    }

    fn exact_partials(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, AggregateError> {
        Ok(states(self, slots))
    }

    fn merge_exact(&mut self, slots: &[u32], partials: &[ArrayRef]) -> Result<(), AggregateError> {
        let name = self.function.name();
        merge_states(slots, partials, |slot, input| {
            let (more, added) = read(name, input)?;
            let (mut sum, count) = self.sums.get(slot);
            sum.add_all(&more);
            self.sums.set(slot, sum, count.wrapping_add(added));
            Ok(())
        })
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef, AggregateError> {
        let result = |slot: &u32| {
            let count = self.sums.slots[*slot as usize].count;
            let sum = self.sums.rounded(*slot);
            let negative = self.sums.wide.get(slot).is_some_and(WideSum::is_negative);
            if count < 0 || negative || (count == 0 && sum != 0.0) {
                return Err(AggregateError::Retraction {
                    function: self.function.name().into(),
                    value: format!("{count} rows with the sum {sum} would be left"),
                });
            }
            Ok((count != 0).then_some(match self.function {
                Function::Sum => sum,
                Function::Avg => sum / count as f64,
            }))
        };
        let results = slots.iter().map(result).collect::<Result<Float64Array, _>>()?;
        if self.as_float {
            return Ok(Arc::new(results.iter().map(|v| v.map(|v| v as f32)).collect::<Float32Array>()));
        }
        Ok(Arc::new(results))
    }

    fn clear(&mut self, slot: u32) {
        self.sums.set(slot, WideSum::default(), 0);
    }

    fn save(&self, slot: u32, out: &mut Vec<u8>) {
        let (sum, count) = self.sums.get(slot);
        out.push(VERSION);
        out.extend_from_slice(&count.to_le_bytes());
        sum.save(out);
    }

    fn load(&mut self, slot: u32, input: &mut &[u8]) -> Result<(), AggregateError> {
        let (sum, count) = read(self.function.name(), input)?;
        self.sums.set(slot, sum, count);
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        let wide: usize = self.sums.wide.values().map(WideSum::size_bytes).sum();
        self.sums.slots.capacity() * size_of::<Slot>() + wide
    }
}
