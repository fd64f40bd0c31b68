//! Exact sums of doubles, one per slot: four doubles that add up to the sum, without rounding.
//!
//! A product of two doubles has 106 bits; the sum of many with like exponents fits into four doubles. A slot that
//! needs more (or infinity, or NaN) moves to a side table of [`WideSum`]s and comes back when it can.

use super::exact::{HUGE, WideSum, two_sum};
use hashbrown::HashMap;

const PARTS: usize = 4;

/// A slot in the side table.
const WIDE: [f64; PARTS] = [f64::NAN; PARTS];

/// One sum per slot.
#[derive(Default)]
pub(super) struct ExactSums {
    /// Their exact sum is the sum of the slot.
    slots: Vec<[f64; PARTS]>,
    wide: HashMap<u32, WideSum>,
}

impl ExactSums {
    /// Makes room for slots `0..slots`.
    pub(super) fn resize(&mut self, slots: usize) {
        self.slots.resize(slots, [0.0; PARTS]);
        self.wide.retain(|slot, _| (*slot as usize) < slots);
    }

    /// Adds a value `weight` times.
    #[inline(always)]
    pub(super) fn add(&mut self, at: u32, value: f64, weight: i64) {
        let signed = match weight {
            1 => value,
            -1 => -value,
            _ => return self.add_wide(at, value, weight),
        };
        let slot = &mut self.slots[at as usize];
        let mut parts = *slot;
        let mut rest = signed;
        for part in &mut parts {
            (*part, rest) = two_sum(*part, rest);
        }
        // False also for a slot in the side table, for NaN and for infinity.
        if rest == 0.0 && value.abs() < HUGE {
            *slot = parts;
        } else {
            self.add_wide(at, value, weight);
        }
    }

    #[cold]
    fn add_wide(&mut self, at: u32, value: f64, weight: i64) {
        let mut sum = self.get(at);
        sum.add(value, weight);
        self.set(at, sum);
    }

    /// The sum of a slot.
    pub(super) fn get(&self, at: u32) -> WideSum {
        let parts = self.slots[at as usize];
        if parts[0].is_nan() {
            return self.wide.get(&at).cloned().unwrap_or_default();
        }
        WideSum::of(&parts)
    }

    /// Sets the sum of a slot.
    pub(super) fn set(&mut self, at: u32, sum: WideSum) {
        let slot = &mut self.slots[at as usize];
        if sum.huge.is_empty() && sum.specials == [0; 3] && sum.parts.len() <= PARTS {
            *slot = [0.0; PARTS];
            slot.iter_mut().zip(sum.parts.iter().rev()).for_each(|(s, p)| *s = *p);
            self.wide.remove(&at);
        } else {
            *slot = WIDE;
            self.wide.insert(at, sum);
        }
    }

    /// Memory in bytes.
    pub(super) fn size_bytes(&self) -> usize {
        let wide: usize = self.wide.values().map(WideSum::size_bytes).sum();
        self.slots.capacity() * size_of::<[f64; PARTS]>() + wide
    }
}
