use eddyline_state::{Arena as Bytes, BySlot};

/// The length of a row that was removed.
const REMOVED: u32 = u32::MAX;

/// Strings of bytes known by small numbers. Numbers of removed ones are given to others.
#[derive(Default)]
pub(crate) struct Arena {
    bytes: Bytes,
    /// Where a row is, and its length.
    places: BySlot<(u64, u32)>,
    free: Vec<u32>,
}

impl Arena {
    pub(crate) fn add(&mut self, bytes: &[u8]) -> u32 {
        let place = (self.bytes.push([bytes, &[]]), bytes.len() as u32);
        match self.free.pop() {
            Some(row) => {
                self.places[row as usize] = place;
                row
            }
            None => {
                self.places.push(place);
                (self.places.len() - 1) as u32
            }
        }
    }

    #[inline]
    pub(crate) fn bytes(&self, row: u32) -> &[u8] {
        let (at, length) = self.places[row as usize];
        self.bytes.value(at, length as usize)
    }

    pub(crate) fn remove(&mut self, row: u32) {
        let (at, length) = &mut self.places[row as usize];
        self.bytes.remove(*at, *length as usize);
        *length = REMOVED;
        self.free.push(row);
    }

    /// Gives the bytes of removed rows back where they are many.
    pub(crate) fn sweep(&mut self) {
        if !self.bytes.is_wasteful() {
            return;
        }
        let Self { bytes, places, .. } = self;
        let mut moves = Vec::new();
        let leaving = |bytes: &Bytes| {
            let rows =
                places.iter().enumerate().filter(|(_, (at, length))| *length != REMOVED && bytes.is_leaving(*at));
            rows.map(|(row, (at, length))| (*at, *length, row as u32)).collect()
        };
        bytes.sweep(leaving, |row, at| moves.push((row, at)));
        moves.into_iter().for_each(|(row, at)| places[row as usize].0 = at);
    }

    /// How much memory rows take that are there.
    pub(crate) fn taken_bytes(&self) -> usize {
        self.bytes.size_bytes() + (self.places.len() - self.free.len()) * size_of::<(u64, u32)>()
    }

    /// Memory in bytes, about.
    pub(crate) fn size_bytes(&self) -> usize {
        self.bytes.size_bytes() + self.places.size_bytes() + self.free.capacity() * 4
    }
}
