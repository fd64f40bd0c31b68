//! A byte per row: how often it is there, which is nearly always once, and how many rows are chained behind it. Weights that do not fit
//! stand beside.

use eddyline_state::BySlot;
use std::collections::HashMap;

/// Weights and lengths by slot.
#[derive(Default)]
pub(super) struct Counts {
    /// Lower half: the weight, or [`BESIDE`]; upper half: rows behind this one, of the first row of a chain.
    bytes: BySlot<u8>,
    beside: HashMap<u32, i64>,
}

/// The weight stands in `beside`.
const BESIDE: u8 = 15;
/// The most rows behind the first of a chain.
pub(super) const BEHIND_MAX: u8 = 15;

impl Counts {
    /// Makes room for slots `0..slots`, of weight 0.
    pub(super) fn resize(&mut self, slots: usize) {
        self.bytes.grow(slots, 0);
    }

    /// The weight of a slot.
    #[inline]
    pub(super) fn weight(&self, slot: u32) -> i64 {
        match self.bytes[slot as usize] & 15 {
            BESIDE => self.beside[&slot],
            weight => weight.into(),
        }
    }

    /// Gives a slot its weight.
    #[inline]
    pub(super) fn set_weight(&mut self, slot: u32, weight: i64) {
        let byte = &mut self.bytes[slot as usize];
        if *byte & 15 == BESIDE {
            self.beside.remove(&slot);
        }
        let low = if (0..i64::from(BESIDE)).contains(&weight) {
            weight as u8
        } else {
            self.beside.insert(slot, weight);
            BESIDE
        };
        *byte = *byte & !15 | low;
    }

    /// How many rows are chained behind a slot.
    #[inline]
    pub(super) fn behind(&self, slot: u32) -> u8 {
        self.bytes[slot as usize] >> 4
    }

    /// Says how many rows are chained behind a slot.
    #[inline]
    pub(super) fn set_behind(&mut self, slot: u32, rows: u8) {
        let byte = &mut self.bytes[slot as usize];
        *byte = *byte & 15 | rows << 4;
    }

    /// Forgets a slot.
    pub(super) fn clear(&mut self, slot: u32) {
        self.set_weight(slot, 0);
        self.set_behind(slot, 0);
    }

    /// Memory in bytes, about.
    pub(super) fn size_bytes(&self) -> usize {
        self.bytes.size_bytes() + self.beside.capacity() * (size_of::<(u32, i64)>() + 1)
    }
}
