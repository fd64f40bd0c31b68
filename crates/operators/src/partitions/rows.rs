//! Rows as strings of bytes in one arena, known by small numbers.

/// Bytes of removed rows are swept out when they are more than this, and more than half of the arena.
const GARBAGE_MIN: usize = 1 << 16;

const LIVE: u8 = 1;
const DIRTY: u8 = 2;
const STORED: u8 = 4;

#[derive(Clone, Copy, Default)]
struct Place {
    at: u64,
    order: u32,
    length: u32,
}

/// The rows, with a weight each. Numbers of removed rows are given to others.
#[derive(Default)]
pub(crate) struct Rows {
    arena: Vec<u8>,
    places: Vec<Place>,
    pub(crate) weights: Vec<i64>,
    flags: Vec<u8>,
    free: Vec<u32>,
    garbage: usize,
}

impl Rows {
    /// A new row.
    pub(crate) fn add(&mut self, order: &[u8], rest: &[u8], weight: i64) -> u32 {
        let place =
            Place { at: self.arena.len() as u64, order: order.len() as u32, length: (order.len() + rest.len()) as u32 };
        self.arena.extend_from_slice(order);
        self.arena.extend_from_slice(rest);
        if let Some(row) = self.free.pop() {
            let at = row as usize;
            (self.places[at], self.weights[at], self.flags[at]) = (place, weight, LIVE | DIRTY);
            return row;
        }
        self.places.push(place);
        self.weights.push(weight);
        self.flags.push(LIVE | DIRTY);
        (self.places.len() - 1) as u32
    }

    /// All of a row.
    #[inline]
    pub(crate) fn bytes(&self, row: u32) -> &[u8] {
        let place = &self.places[row as usize];
        &self.arena[place.at as usize..][..place.length as usize]
    }

    /// The order of a row.
    #[inline]
    pub(crate) fn order(&self, row: u32) -> &[u8] {
        &self.bytes(row)[..self.places[row as usize].order as usize]
    }

    /// What comes after the order.
    pub(crate) fn rest(&self, row: u32) -> &[u8] {
        &self.bytes(row)[self.places[row as usize].order as usize..]
    }

    #[inline]
    pub(crate) fn weight(&self, row: u32) -> i64 {
        self.weights[row as usize]
    }

    /// Adds to the weight of a row.
    pub(crate) fn add_weight(&mut self, row: u32, weight: i64) {
        self.weights[row as usize] += weight;
        self.flags[row as usize] |= DIRTY;
    }

    /// Must the row be written?
    pub(crate) fn is_dirty(&self, row: u32) -> bool {
        self.flags[row as usize] & DIRTY != 0
    }

    /// Was the row ever written?
    pub(crate) fn is_stored(&self, row: u32) -> bool {
        self.flags[row as usize] & STORED != 0
    }

    /// Says that the row is written as it is.
    pub(crate) fn set_stored(&mut self, row: u32) {
        self.flags[row as usize] = LIVE | STORED;
    }

    /// Forgets a row. Its bytes can be read until the next [`add`](Self::add) or [`sweep`](Self::sweep).
    pub(crate) fn remove(&mut self, row: u32) {
        let at = row as usize;
        self.garbage += self.places[at].length as usize;
        (self.flags[at], self.weights[at]) = (0, 0);
        self.free.push(row);
    }

    /// Gives the bytes of removed rows back where they are many.
    pub(crate) fn sweep(&mut self) {
        if self.garbage < GARBAGE_MIN || self.garbage < self.arena.len() / 2 {
            return;
        }
        let mut arena = Vec::with_capacity(self.arena.len() - self.garbage);
        for (place, _) in self.places.iter_mut().zip(&self.flags).filter(|(_, f)| **f & LIVE != 0) {
            let bytes = &self.arena[place.at as usize..][..place.length as usize];
            place.at = arena.len() as u64;
            arena.extend_from_slice(bytes);
        }
        self.arena = arena;
        self.garbage = 0;
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Memory in bytes, about.
    pub(crate) fn size_bytes(&self) -> usize {
        self.arena.capacity()
            + self.places.capacity() * size_of::<Place>()
            + self.weights.capacity() * 8
            + self.flags.capacity()
            + self.free.capacity() * 4
    }
}
