//! Byte strings one behind the other, in pieces that are never moved: however many there are, none is copied when more come, and no more
//! than a piece is room.

/// A piece is as long, unless a longer value is its only one. Before the first is full, it grows to the double.
const PIECE_BYTES: usize = 1 << 20;

/// Bytes by position: the piece (upper half) and the place in it.
#[derive(Default)]
pub(super) struct Arena {
    pieces: Vec<Vec<u8>>,
    /// Bytes of all pieces.
    len: usize,
    /// Room of the pieces before the last.
    closed_bytes: usize,
}

impl Arena {
    /// Takes a value in. Returns its position.
    #[inline]
    pub(super) fn push(&mut self, value: &[u8]) -> u64 {
        let is_open = self.pieces.last().is_some_and(|piece| piece.len() + value.len() <= PIECE_BYTES);
        if !is_open {
            self.open(value.len());
        }
        self.len += value.len();
        let number = self.pieces.len() - 1;
        let piece = &mut self.pieces[number];
        let at = piece.len();
        piece.extend_from_slice(value);
        (number as u64) << 32 | at as u64
    }

    #[cold]
    fn open(&mut self, value_bytes: usize) {
        let is_first = self.pieces.is_empty();
        self.closed_bytes += self.pieces.last().map_or(0, Vec::capacity);
        self.pieces.push(if is_first { Vec::new() } else { Vec::with_capacity(value_bytes.max(PIECE_BYTES)) });
    }

    /// The value at a position.
    #[inline(always)]
    pub(super) fn value(&self, at: u64, length: usize) -> &[u8] {
        let from = at as u32 as usize;
        &self.pieces[(at >> 32) as usize][from..from + length]
    }

    /// Forgets all values; keeps the room of one piece.
    pub(super) fn clear(&mut self) {
        self.pieces.truncate(1);
        self.pieces.iter_mut().for_each(Vec::clear);
        (self.len, self.closed_bytes) = (0, 0);
    }

    /// Bytes of all values that were taken in.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Memory in bytes.
    pub(super) fn capacity(&self) -> usize {
        self.closed_bytes + self.pieces.last().map_or(0, Vec::capacity)
    }
}
