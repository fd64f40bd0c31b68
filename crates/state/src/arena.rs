//! Byte strings one behind the other, in pieces: however many there are, none is copied when more come, and what is removed gives its
//! memory back piece by piece.
//!
//! A piece without values left is freed. Of pieces with some, those that are mostly garbage are emptied when there is much of it: their
//! owner says what is in them, and learns where it went. While this is done no more than a piece is there twice.

/// Pieces are at least so long, but for the first, which grows to it.
const PIECE_MIN: usize = 1 << 16;
/// Pieces are at most so long, unless a longer value is their only one.
const PIECE_MAX: usize = 1 << 20;
/// There are about so many of them, while they are shorter.
const PIECES: usize = 16;
/// Less garbage is not worth moving values.
const GARBAGE_MIN: usize = 1 << 16;

/// A value that is in a piece which is to be emptied: its position, its length, its number with its owner.
pub type Leaving = (u64, u32, u32);

#[derive(Default)]
struct Piece {
    bytes: Vec<u8>,
    /// Bytes of values that are there.
    live: usize,
}

impl Piece {
    /// Is a quarter or more of it garbage?
    fn is_poor(&self) -> bool {
        !self.bytes.is_empty() && self.live * 4 <= self.bytes.len() * 3
    }
}

/// Bytes by position. See the module's page.
///
/// # Contract
/// A position is the number of the piece (upper half) and the place in it. What was [removed](Self::remove) can be read until the next
/// [`sweep`](Self::sweep).
#[derive(Default)]
pub struct Arena {
    pieces: Vec<Piece>,
    /// The piece that takes values in.
    open: Option<usize>,
    /// Numbers without a piece.
    vacant: Vec<usize>,
    /// A piece has lost its last value since the last sweep.
    has_empty: bool,
    /// Bytes of values that are there.
    live: usize,
    /// Of all pieces but the open one: bytes of all values that were taken in, and of those that are there.
    closed_len: usize,
    closed_live: usize,
    /// Room of all pieces but the open one.
    closed_capacity: usize,
}

fn piece_of(at: u64) -> usize {
    (at >> 32) as usize
}

impl Arena {
    /// Takes a value in, the parts of which are given. Returns its position.
    #[inline]
    pub fn push(&mut self, parts: [&[u8]; 2]) -> u64 {
        let length = parts[0].len() + parts[1].len();
        let number = match self.open {
            Some(open) if self.pieces[open].bytes.len() + length <= self.piece_max() => open,
            _ => self.open(length),
        };
        let piece = &mut self.pieces[number];
        let at = piece.bytes.len();
        piece.bytes.extend_from_slice(parts[0]);
        piece.bytes.extend_from_slice(parts[1]);
        piece.live += length;
        self.live += length;
        (number as u64) << 32 | at as u64
    }

    #[inline]
    fn piece_max(&self) -> usize {
        (self.closed_capacity / PIECES).clamp(PIECE_MIN, PIECE_MAX)
    }

    #[cold]
    fn open(&mut self, value_bytes: usize) -> usize {
        self.close();
        // The first grows, for the sake of the many that stay small.
        let capacity = if self.closed_capacity == 0 { 0 } else { value_bytes.max(self.piece_max()) };
        let piece = Piece { bytes: Vec::with_capacity(capacity), live: 0 };
        let number = match self.vacant.pop() {
            Some(number) => {
                self.pieces[number] = piece;
                number
            }
            None => {
                self.pieces.push(piece);
                self.pieces.len() - 1
            }
        };
        self.open = Some(number);
        number
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            let piece = &self.pieces[open];
            self.closed_len += piece.bytes.len();
            self.closed_live += piece.live;
            self.closed_capacity += piece.bytes.capacity();
            self.has_empty |= piece.live == 0;
        }
    }

    /// The value at a position.
    #[inline(always)]
    pub fn value(&self, at: u64, length: usize) -> &[u8] {
        let from = at as u32 as usize;
        &self.pieces[piece_of(at)].bytes[from..from + length]
    }

    /// Removes the value at a position.
    pub fn remove(&mut self, at: u64, length: usize) {
        let number = piece_of(at);
        self.pieces[number].live -= length;
        self.live -= length;
        if self.open != Some(number) {
            self.closed_live -= length;
        }
        self.has_empty |= length > 0 && self.pieces[number].live == 0;
    }

    /// Is there so much to give back that a [`sweep`](Self::sweep) is worth its while?
    #[inline]
    pub fn is_wasteful(&self) -> bool {
        self.has_empty || self.has_garbage()
    }

    fn has_garbage(&self) -> bool {
        let garbage = self.closed_len - self.closed_live;
        garbage > GARBAGE_MIN && garbage * 3 > self.closed_len
    }

    /// Gives memory back. `values` tells all values that are there and that [are leaving](Self::is_leaving) their piece; it is only called
    /// where there is much garbage. `moved` is told the owner's number and the new position of each.
    pub fn sweep(&mut self, values: impl FnOnce(&Self) -> Vec<Leaving>, mut moved: impl FnMut(u32, u64)) {
        if std::mem::take(&mut self.has_empty) {
            self.free_empty();
        }
        if !self.has_garbage() {
            return;
        }
        let mut values = values(self);
        values.sort_unstable();
        for of_piece in values.chunk_by(|a, b| piece_of(a.0) == piece_of(b.0)) {
            let piece = self.take(piece_of(of_piece[0].0));
            self.live -= piece.live;
            for (at, length, number) in of_piece {
                let from = *at as u32 as usize;
                moved(*number, self.push([&piece.bytes[from..from + *length as usize], &[]]));
            }
        }
    }

    /// Is a value in a piece that a sweep empties?
    #[inline]
    pub fn is_leaving(&self, at: u64) -> bool {
        let number = piece_of(at);
        self.open != Some(number) && self.pieces[number].is_poor()
    }

    fn free_empty(&mut self) {
        for number in 0..self.pieces.len() {
            if self.pieces[number].live == 0 && self.pieces[number].bytes.capacity() > 0 {
                if self.open == Some(number) {
                    self.pieces[number].bytes.clear();
                } else {
                    self.take(number);
                }
            }
        }
    }

    /// Takes a closed piece out.
    fn take(&mut self, number: usize) -> Piece {
        let piece = std::mem::take(&mut self.pieces[number]);
        self.closed_len -= piece.bytes.len();
        self.closed_live -= piece.live;
        self.closed_capacity -= piece.bytes.capacity();
        self.vacant.push(number);
        piece
    }

    /// Forgets all values; keeps the room of one piece.
    pub fn clear(&mut self) {
        let mut bytes = self.open.map(|open| std::mem::take(&mut self.pieces[open].bytes)).unwrap_or_default();
        bytes.clear();
        *self = Self { pieces: vec![Piece { bytes, live: 0 }], open: Some(0), ..Self::default() };
    }

    /// Bytes of the values that are there.
    pub fn live_bytes(&self) -> usize {
        self.live
    }

    /// Memory in bytes.
    pub fn size_bytes(&self) -> usize {
        self.closed_capacity
            + self.open.map_or(0, |open| self.pieces[open].bytes.capacity())
            + self.pieces.capacity() * size_of::<Piece>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values by number, and where they are.
    struct Model {
        arena: Arena,
        places: Vec<Option<(u64, u32)>>,
    }

    impl Model {
        fn new() -> Self {
            Self { arena: Arena::default(), places: Vec::new() }
        }

        fn text(number: usize) -> Vec<u8> {
            format!("{number} {}", "x".repeat(number * 37 % 900)).into_bytes()
        }

        fn add(&mut self) {
            let text = Self::text(self.places.len());
            let (left, right) = text.split_at(text.len() / 2);
            self.places.push(Some((self.arena.push([left, right]), text.len() as u32)));
        }

        fn remove(&mut self, number: usize) {
            if let Some((at, length)) = self.places[number].take() {
                self.arena.remove(at, length as usize);
            }
        }

        fn sweep(&mut self) {
            let live = self.places.iter().enumerate();
            let live: Vec<Leaving> = live.filter_map(|(n, p)| p.map(|(at, length)| (at, length, n as u32))).collect();
            let leaving = |arena: &Arena| live.into_iter().filter(|v| arena.is_leaving(v.0)).collect();
            let places = &mut self.places;
            self.arena.sweep(leaving, |number, at| {
                let (_, length) = places[number as usize].expect("it is there");
                places[number as usize] = Some((at, length));
            });
        }

        fn check(&self) {
            let mut live = 0;
            for (number, place) in self.places.iter().enumerate() {
                if let Some((at, length)) = place {
                    assert_eq!(self.arena.value(*at, *length as usize), Self::text(number), "value {number}");
                    live += *length as usize;
                }
            }
            assert_eq!(self.arena.live_bytes(), live);
        }
    }

    #[test]
    fn values_stay_through_removals_and_sweeps_and_room_goes_with_them() {
        for keep in [1, 2, 3, 10] {
            let mut model = Model::new();
            for round in 0..40 {
                let from = model.places.len();
                (0..500).for_each(|_| model.add());
                (from..from + 500).filter(|n| n % keep != 0).for_each(|n| model.remove(n));
                // Of what is old, every other goes.
                (0..from).filter(|n| (n + round) % 7 == 0).for_each(|n| model.remove(n));
                model.sweep();
                model.check();
                let (live, size) = (model.arena.live_bytes(), model.arena.size_bytes());
                assert!(size < live * 8 / 5 + 8 * PIECE_MIN, "{size} bytes for {live}");
            }
            (0..model.places.len()).for_each(|n| model.remove(n));
            model.sweep();
            assert!(model.arena.live_bytes() == 0 && model.arena.size_bytes() < 4 * PIECE_MIN);
        }
    }

    #[test]
    fn pieces_that_lost_all_are_freed_without_being_looked_through() {
        let mut arena = Arena::default();
        let value = [7u8; 1000];
        let places: Vec<u64> = (0..2000).map(|_| arena.push([&value, &[]])).collect();
        let before = arena.size_bytes();
        places[..1000].iter().for_each(|at| arena.remove(*at, 1000));
        assert!(arena.is_wasteful());
        arena.sweep(|_| Vec::new(), |_, _| panic!("nothing moves"));
        assert!(arena.size_bytes() < before * 2 / 3, "{} of {before}", arena.size_bytes());
        assert!(places[1100..].iter().all(|at| arena.value(*at, 1000) == value));
        arena.clear();
        assert_eq!(arena.live_bytes(), 0);
    }
}
