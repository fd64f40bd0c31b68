//! Values by slot.

use std::ops::{Index, IndexMut};

/// Slots of a chunk.
const CHUNK: usize = 1 << BITS;
const BITS: u32 = 12;
/// The last chunk begins with room for so many, and grows by a quarter.
const FIRST: usize = 16;

/// A value for every slot, in chunks of 4096: growing moves at most one of them, and at most a quarter of one is not used.
#[derive(Debug)]
pub struct BySlot<T> {
    /// All but the last are whole.
    chunks: Vec<Box<[T]>>,
    len: usize,
}

impl<T> Default for BySlot<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}

impl<T: Copy + Default> BySlot<T> {
    /// No slots.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of slots.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True without slots.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value of a slot, if there is such a slot.
    #[inline]
    pub fn get(&self, slot: usize) -> Option<&T> {
        if slot < self.len { Some(&self[slot]) } else { None }
    }

    /// As [`get`](Self::get), to be changed.
    #[inline]
    pub fn get_mut(&mut self, slot: usize) -> Option<&mut T> {
        if slot < self.len { Some(&mut self[slot]) } else { None }
    }

    /// Adds a slot.
    #[inline]
    pub fn push(&mut self, value: T) {
        let at = self.len;
        self.make_room(at + 1);
        self.len = at + 1;
        self[at] = value;
    }

    /// Makes the slots `0..slots`, new ones with `value`; those that are there stay.
    pub fn grow(&mut self, slots: usize, value: T) {
        let from = self.len;
        if slots <= from {
            return;
        }
        self.make_room(slots);
        self.len = slots;
        let mut at = from;
        while at < slots {
            let end = slots.min((at | (CHUNK - 1)) + 1);
            let begin = at & !(CHUNK - 1);
            self.chunks[at >> BITS][at - begin..end - begin].fill(value);
            at = end;
        }
    }

    /// Allocates what `slots` slots need.
    #[inline]
    fn make_room(&mut self, slots: usize) {
        let room = match self.chunks.split_last() {
            None => 0,
            Some((last, whole)) => (whole.len() << BITS) + last.len(),
        };
        if slots > room {
            self.allocate(slots);
        }
    }

    #[cold]
    fn allocate(&mut self, slots: usize) {
        while self.chunks.len() << BITS < slots {
            if let Some(last) = self.chunks.last_mut() {
                lengthen(last, CHUNK);
            }
            self.chunks.push(Box::default());
        }
        let (begin, last) = (self.chunks.len() - 1, self.chunks.last_mut().expect("there is a chunk"));
        let needed = slots - (begin << BITS);
        let grown = (last.len() + last.len() / 4).max(FIRST).max(needed);
        lengthen(last, grown.min(CHUNK));
    }

    /// Forgets all slots.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Memory in bytes.
    pub fn size_bytes(&self) -> usize {
        let last = self.chunks.last().map_or(0, |last| last.len());
        let slots = (self.chunks.len().saturating_sub(1) << BITS) + last;
        slots * size_of::<T>() + self.chunks.capacity() * size_of::<Box<[T]>>()
    }

    /// All values, in the order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten().take(self.len)
    }
}

/// Values that are looked at together where most have no mark.
const BLOCK: usize = 64;

impl BySlot<u8> {
    /// The slots whose values have any of the bits in `marks`, ascending. It is fastest where they are few, or next to each other.
    pub fn marked(&self, marks: u8) -> Vec<u32> {
        let mut found = Vec::new();
        for (chunk, begin) in self.chunks.iter().zip((0..self.len).step_by(CHUNK)) {
            let chunk = &chunk[..chunk.len().min(self.len - begin)];
            for (block, begin) in chunk.chunks(BLOCK).zip((begin..).step_by(BLOCK)) {
                if block.iter().fold(0, |all, value| all | value) & marks != 0 {
                    let marked = block.iter().zip(begin as u32..).filter(|(value, _)| **value & marks != 0);
                    found.extend(marked.map(|(_, slot)| slot));
                }
            }
        }
        found
    }
}

fn lengthen<T: Copy + Default>(chunk: &mut Box<[T]>, length: usize) {
    if chunk.len() < length {
        let mut values = std::mem::take(chunk).into_vec();
        values.reserve_exact(length - values.len());
        values.resize(length, T::default());
        *chunk = values.into_boxed_slice();
    }
}

impl<T> Index<usize> for BySlot<T> {
    type Output = T;

    #[inline(always)]
    fn index(&self, slot: usize) -> &T {
        &self.chunks[slot >> BITS][slot & (CHUNK - 1)]
    }
}

impl<T> IndexMut<usize> for BySlot<T> {
    #[inline(always)]
    fn index_mut(&mut self, slot: usize) -> &mut T {
        &mut self.chunks[slot >> BITS][slot & (CHUNK - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found() {
        for length in [0, 1, 63, 64, 65, 4095, 4096, 4097, 9000] {
            let mut slots: BySlot<u8> = BySlot::new();
            slots.grow(length, 4);
            let marked: Vec<u32> = (0..length as u32).filter(|slot| slot % 67 == 0 || slot / 200 == 3).collect();
            marked.iter().for_each(|slot| slots[*slot as usize] |= 1 << (slot % 2));
            assert_eq!(slots.marked(3), marked, "{length}");
            assert_eq!(slots.marked(4).len(), length);
            assert_eq!(slots.marked(1), marked.into_iter().filter(|slot| slot % 2 == 0).collect::<Vec<_>>());
        }
    }

    #[test]
    fn it_is_a_vector() {
        let (mut vector, mut slots) = (Vec::new(), BySlot::new());
        for (at, step) in [1, 15, 1, 4000, 79, 1, 8192, 5000, 0].into_iter().enumerate() {
            for value in 0..step % 7 {
                vector.push(value);
                slots.push(value);
            }
            vector.resize(vector.len() + step, at);
            slots.grow(slots.len() + step, at);
            let last = vector.len() - 1;
            (vector[last / 2], slots[last / 2]) = (77, 77);
            assert_eq!(slots.len(), vector.len());
            assert_eq!(slots.iter().copied().collect::<Vec<_>>(), vector);
            assert_eq!((slots.get(last).copied(), slots.get(last + 1)), (vector.last().copied(), None));
            let most = (vector.len() + vector.len().min(CHUNK) / 4 + FIRST) * 8 + 16 * 16;
            assert!(slots.size_bytes() <= most, "{} of {most} at {}", slots.size_bytes(), vector.len());
        }
        slots.grow(3, 9);
        assert_eq!(slots.len(), vector.len(), "it never shrinks");
        slots.clear();
        assert!(slots.is_empty() && slots.get(0).is_none());
    }
}
