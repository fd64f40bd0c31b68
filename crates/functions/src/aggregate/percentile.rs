//! PERCENTILE_CONT (PERCENTILE, MEDIAN): the value below which a given part of all values lies.
//!
//! A slot holds a counted ordered multiset of the values, also where rows are only inserted: any of them may come to
//! stand in the middle. Of `n` values in order the result is the one at place `fraction * (n - 1)`, counted from 0; between
//! two places it is interpolated linearly (SQL:2003, as Flink and Postgres do).

use super::encoding::{VERSION, take, take_version};
use super::extreme::Keyed;
use super::multiset::Multiset;
use super::rows::{selected, try_each};
use super::state_column::{merge_states, states};
use super::{AggregateError, GroupedAccumulator, ListOptions};
use arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use eddyline_changes::Weights;
use std::sync::Arc;

const NAME: &str = "PERCENTILE_CONT";

/// Accumulators over FLOAT or DOUBLE, `None` for others and for a fraction that is none.
pub(super) fn build(arg: &DataType, result: &DataType, options: &ListOptions) -> Option<Box<dyn GroupedAccumulator>> {
    let fits = matches!(arg, DataType::Float32 | DataType::Float64) && arg == result;
    let fraction = options.fraction;
    (fits && (0.0..=1.0).contains(&fraction)).then(|| {
        Box::new(Percentile { fraction, once: options.once, result: result.clone(), sets: Vec::new() })
            as Box<dyn GroupedAccumulator>
    })
}

struct Percentile {
    fraction: f64,
    once: bool,
    result: DataType,
    /// By [`Keyed::key`], which orders as the values do.
    sets: Vec<Multiset<i64>>,
}

impl Percentile {
    fn result_of(&self, slot: u32) -> Option<f64> {
        let set = &self.sets[slot as usize];
        let times = |count: i64| if self.once { 1 } else { count };
        let mut total = 0i64;
        set.for_each(|_, count| total = total.saturating_add(times(count)));
        if total == 0 {
            return None;
        }
        let place = self.fraction * (total - 1) as f64;
        let (low, high) = (place.floor() as i64, place.ceil() as i64);
        let (mut seen, mut bounds) = (0i64, [None; 2]);
        set.for_each(|key, count| {
            seen = seen.saturating_add(times(count));
            for (bound, at) in bounds.iter_mut().zip([low, high]) {
                if bound.is_none() && at < seen {
                    *bound = Some(Float64Type::value(*key));
                }
            }
        });
        let [low, high] = bounds;
        let (low, high) = (low?, high?);
        Some(if low == high { low } else { low + (high - low) * place.fract() })
    }

    fn read(&self, input: &mut &[u8], mut entry: impl FnMut(i64, i64)) -> Result<(), AggregateError> {
        take_version(NAME, input)?;
        for _ in 0..u64::from_le_bytes(take(NAME, input)?) {
            let key = i64::from_le_bytes(take(NAME, input)?);
            entry(key, i64::from_le_bytes(take(NAME, input)?));
        }
        Ok(())
    }
}

impl GroupedAccumulator for Percentile {
    fn resize(&mut self, slots: usize) {
        self.sets.resize(slots, Multiset::default());
    }

    fn accumulate(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        weights: &Weights,
        filter: Option<&BooleanArray>,
    ) -> Result<(), AggregateError> {
        let mask = selected(&args[..1], filter);
        let doubles = cast(&args[0], &DataType::Float64)?;
        let values = doubles.as_primitive::<Float64Type>().values();
        try_each(slots.len(), mask.as_ref(), |i| {
            self.sets[slots[i] as usize].add(&Float64Type::key(values[i]), weights.at(i));
            Ok(())
        })
    }

    fn merge(&mut self, slots: &[u32], partials: &[ArrayRef]) -> Result<(), AggregateError> {
        merge_states(slots, partials, |slot, input| {
            let mut added = Vec::new();
            self.read(input, |key, count| added.push((key, count)))?;
            let set = &mut self.sets[slot as usize];
            added.into_iter().for_each(|(key, count)| set.add(&key, count));
            Ok(())
        })
    }

    fn partials(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, AggregateError> {
        Ok(states(self, slots))
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef, AggregateError> {
        if let Some(key) = slots.iter().find_map(|s| self.sets[*s as usize].negative()) {
            let value = Float64Type::value(*key).to_string();
            return Err(AggregateError::Retraction { function: NAME.into(), value });
        }
        let results: ArrayRef = Arc::new(slots.iter().map(|s| self.result_of(*s)).collect::<Float64Array>());
        Ok(cast(&results, &self.result)?)
    }

    fn clear(&mut self, slot: u32) {
        self.sets[slot as usize] = Multiset::default();
    }

    fn save(&self, slot: u32, out: &mut Vec<u8>) {
        let set = &self.sets[slot as usize];
        out.push(VERSION);
        out.extend_from_slice(&(set.len() as u64).to_le_bytes());
        set.for_each(|key, count| {
            out.extend_from_slice(&key.to_le_bytes());
            out.extend_from_slice(&count.to_le_bytes());
        });
    }

    fn load(&mut self, slot: u32, input: &mut &[u8]) -> Result<(), AggregateError> {
        let mut set = Multiset::default();
        self.read(input, |key, count| set.add(&key, count))?;
        self.sets[slot as usize] = set;
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.sets.iter().map(|s| size_of_val(s) + s.len() * 16).sum()
    }
}
