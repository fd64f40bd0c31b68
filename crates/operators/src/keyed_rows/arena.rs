/// Bytes of removed rows are swept out when they are more than this, and more than half of all.
const GARBAGE_MIN: usize = 1 << 16;

/// The length of a row that was removed.
const REMOVED: u32 = u32::MAX;

/// Strings of bytes one behind the other, known by small numbers. Numbers of removed ones are given to others.
#[derive(Default)]
pub(crate) struct Arena {
    bytes: Vec<u8>,
    /// Where a row begins, and its length.
    places: Vec<(u64, u32)>,
    free: Vec<u32>,
    garbage: usize,
}

impl Arena {
    pub(crate) fn add(&mut self, bytes: &[u8]) -> u32 {
        let place = (self.bytes.len() as u64, bytes.len() as u32);
        self.bytes.extend_from_slice(bytes);
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
        &self.bytes[at as usize..][..length as usize]
    }

    pub(crate) fn remove(&mut self, row: u32) {
        let (_, length) = &mut self.places[row as usize];
        self.garbage += *length as usize;
        *length = REMOVED;
        self.free.push(row);
    }

    /// Gives the bytes of removed rows back where they are many.
    pub(crate) fn sweep(&mut self) {
        if self.garbage < GARBAGE_MIN || self.garbage < self.bytes.len() / 2 {
            return;
        }
        let mut bytes = Vec::with_capacity(self.bytes.len() - self.garbage);
        for (at, length) in self.places.iter_mut().filter(|(_, length)| *length != REMOVED) {
            let row = &self.bytes[*at as usize..][..*length as usize];
            *at = bytes.len() as u64;
            bytes.extend_from_slice(row);
        }
        self.bytes = bytes;
        self.garbage = 0;
    }

    /// Memory in bytes, about.
    pub(crate) fn size_bytes(&self) -> usize {
        self.bytes.capacity() + self.places.capacity() * size_of::<(u64, u32)>() + self.free.capacity() * 4
    }
}
