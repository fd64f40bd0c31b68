//! Rows as strings of bytes in one arena, known by small numbers.

use eddyline_state::{Arena, BySlot};

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
    arena: Arena,
    places: BySlot<Place>,
    pub(crate) weights: BySlot<i64>,
    flags: BySlot<u8>,
    free: Vec<u32>,
}

impl Rows {
    /// A new row.
    pub(crate) fn add(&mut self, order: &[u8], rest: &[u8], weight: i64) -> u32 {
        let at = self.arena.push([order, rest]);
        let place = Place { at, order: order.len() as u32, length: (order.len() + rest.len()) as u32 };
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
        self.arena.value(place.at, place.length as usize)
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

    /// Says that the row is to be written.
    pub(crate) fn mark_dirty(&mut self, row: u32) {
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

    /// Forgets a row. Its bytes can be read until the next [`add`](Self::add), which may take its number, or [`sweep`](Self::sweep).
    pub(crate) fn remove(&mut self, row: u32) {
        let at = row as usize;
        self.arena.remove(self.places[at].at, self.places[at].length as usize);
        (self.flags[at], self.weights[at]) = (0, 0);
        self.free.push(row);
    }

    /// Gives the bytes of removed rows back where they are many.
    pub(crate) fn sweep(&mut self) {
        if !self.arena.is_wasteful() {
            return;
        }
        let Self { arena, places, flags, .. } = self;
        let mut moves = Vec::new();
        let leaving = |arena: &Arena| {
            let live = places.iter().zip(flags.iter()).enumerate().filter(|(_, (_, flags))| **flags & LIVE != 0);
            let leaving = live.filter(|(_, (place, _))| arena.is_leaving(place.at));
            leaving.map(|(row, (place, _))| (place.at, place.length, row as u32)).collect()
        };
        arena.sweep(leaving, |row, at| moves.push((row, at)));
        moves.into_iter().for_each(|(row, at)| places[row as usize].at = at);
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// How much of it rows take that are there.
    pub(crate) fn taken_bytes(&self) -> usize {
        let by_row = size_of::<Place>() + size_of::<i64>() + size_of::<u8>();
        self.arena.size_bytes() + self.len() * by_row
    }

    /// Memory in bytes, about.
    pub(crate) fn size_bytes(&self) -> usize {
        self.arena.size_bytes()
            + self.places.size_bytes()
            + self.weights.size_bytes()
            + self.flags.size_bytes()
            + self.free.capacity() * 4
    }
}
