//! COUNT: one number per slot.

use super::encoding::{VERSION, take, take_version};
use super::rows::{each, selected};
use super::{AggregateError, GroupedAccumulator};
use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::Int64Type;
use eddyline_changes::Weights;
use std::sync::Arc;

/// COUNT.
pub(super) fn build() -> Box<dyn GroupedAccumulator> {
    Box::new(Count { counts: Vec::new() })
}

/// Counts wrap around: 2⁶³ rows are out of reach, and what wraps can be taken back.
struct Count {
    counts: Vec<i64>,
}

impl GroupedAccumulator for Count {
    fn resize(&mut self, slots: usize) {
        self.counts.resize(slots, 0);
    }

    fn accumulate(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        weights: &Weights,
        filter: Option<&BooleanArray>,
    ) -> Result<(), AggregateError> {
        let mask = selected(args, filter);
        let counts = self.counts.as_mut_slice();
        match (weights.per_row(), &mask) {
            (None, None) => count_all(counts, slots),
            (None, Some(mask)) => count_masked(counts, slots, mask),
            (Some(weights), mask) => each(slots.len(), mask.as_ref(), |i| {
                let count = &mut counts[slots[i] as usize];
                *count = count.wrapping_add(weights[i]);
            }),
        }
        Ok(())
    }

    fn merge(&mut self, slots: &[u32], partials: &[ArrayRef]) -> Result<(), AggregateError> {
        let added = partials[0].as_primitive::<Int64Type>();
        let (counts, values) = (self.counts.as_mut_slice(), added.values());
        each(slots.len(), selected(&partials[..1], None).as_ref(), |i| {
            let count = &mut counts[slots[i] as usize];
            *count = count.wrapping_add(values[i]);
        });
        Ok(())
    }

    fn partials(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, AggregateError> {
        Ok(vec![Arc::new(Int64Array::from_iter_values(slots.iter().map(|s| self.counts[*s as usize])))])
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef, AggregateError> {
        let counts = Int64Array::from_iter_values(slots.iter().map(|s| self.counts[*s as usize]));
        match counts.values().iter().find(|c| **c < 0) {
            Some(count) => Err(AggregateError::Retraction {
                function: "COUNT".into(),
                value: format!("the count would be {count}"),
            }),
            None => Ok(Arc::new(counts)),
        }
    }

    fn clear(&mut self, slot: u32) {
        self.counts[slot as usize] = 0;
    }

    fn save(&self, slot: u32, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(&self.counts[slot as usize].to_le_bytes());
    }

    fn load(&mut self, slot: u32, input: &mut &[u8]) -> Result<(), AggregateError> {
        take_version("COUNT", input)?;
        self.counts[slot as usize] = i64::from_le_bytes(take("COUNT", input)?);
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.counts.capacity() * 8
    }
}

/// True when all rows are in one group: then a chunk is one addition.
#[inline]
fn is_one_group(slots: &[u32]) -> bool {
    slots[0] == slots[slots.len() - 1] && slots.iter().all(|s| *s == slots[0])
}

fn count_all(counts: &mut [i64], slots: &[u32]) {
    for chunk in slots.chunks(64) {
        if is_one_group(chunk) {
            let count = &mut counts[chunk[0] as usize];
            *count = count.wrapping_add(chunk.len() as i64);
        } else {
            for slot in chunk {
                let count = &mut counts[*slot as usize];
                *count = count.wrapping_add(1);
            }
        }
    }
}

fn count_masked(counts: &mut [i64], slots: &[u32], mask: &BooleanBuffer) {
    for (chunk, mut bits) in slots.chunks(64).zip(mask.bit_chunks().iter_padded()) {
        if bits == 0 {
            continue;
        }
        if is_one_group(chunk) {
            let count = &mut counts[chunk[0] as usize];
            *count = count.wrapping_add(i64::from(bits.count_ones()));
            continue;
        }
        while bits != 0 {
            let count = &mut counts[chunk[bits.trailing_zeros() as usize] as usize];
            *count = count.wrapping_add(1);
            bits &= bits - 1;
        }
    }
}
