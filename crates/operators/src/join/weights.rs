//! How often rows are there: nearly all once, so a byte each, and what does not fit a byte beside.

use eddyline_state::make_room;
use std::collections::HashMap;

/// Weights by slot.
#[derive(Default)]
pub(super) struct SlotWeights {
    /// [`BESIDE`] where the weight stands in `beside`.
    bytes: Vec<i8>,
    beside: HashMap<u32, i64>,
}

const BESIDE: i8 = i8::MIN;

impl SlotWeights {
    /// Makes room for slots `0..slots`, of weight 0.
    pub(super) fn resize(&mut self, slots: usize) {
        make_room(&mut self.bytes, slots);
        self.bytes.resize(slots.max(self.bytes.len()), 0);
    }

    /// The weight of a slot.
    #[inline]
    pub(super) fn at(&self, slot: u32) -> i64 {
        match self.bytes[slot as usize] {
            BESIDE => self.beside[&slot],
            weight => weight.into(),
        }
    }

    /// Gives a slot its weight.
    #[inline]
    pub(super) fn set(&mut self, slot: u32, weight: i64) {
        let byte = &mut self.bytes[slot as usize];
        if *byte == BESIDE {
            self.beside.remove(&slot);
        }
        *byte = match i8::try_from(weight) {
            Ok(small) if small != BESIDE => small,
            _ => {
                self.beside.insert(slot, weight);
                BESIDE
            }
        };
    }

    /// Adds to the weight of a slot.
    #[inline]
    pub(super) fn add(&mut self, slot: u32, weight: i64) {
        self.set(slot, self.at(slot) + weight);
    }

    /// Memory in bytes, about.
    pub(super) fn size_bytes(&self) -> usize {
        self.bytes.capacity() + self.beside.capacity() * size_of::<(u32, i64)>()
    }
}
