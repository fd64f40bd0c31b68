/// Writes to a backend, one after another in one piece of memory.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Key and value of each write.
    bytes: Vec<u8>,
    writes: Vec<Place>,
    removes_ranges: bool,
}

/// Where a write ends in the bytes; it begins where the one before it ends.
#[derive(Debug, Clone, Copy)]
struct Place {
    kind: Kind,
    /// How many writes, with this one and those before it, say nothing any more because of it.
    waste: u8,
    key_end: usize,
    end: usize,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Put,
    Delete,
    DeleteRange,
}

/// One write of a [`Batch`]. Keys are full keys (see the crate's page).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteRef<'a> {
    /// Set a value.
    Put(&'a [u8], &'a [u8]),
    /// Remove a value; nothing happens if there is none.
    Delete(&'a [u8]),
    /// Remove all keys from one to before another.
    DeleteRange(&'a [u8], &'a [u8]),
}

impl<'a> WriteRef<'a> {
    /// The key, or the first of the range.
    pub fn key(&self) -> &'a [u8] {
        match *self {
            Self::Put(key, _) | Self::Delete(key) | Self::DeleteRange(key, _) => key,
        }
    }
}

impl Batch {
    /// No writes.
    pub fn new() -> Self {
        Self::default()
    }

    /// No writes, with room for so many of so many bytes together.
    pub(crate) fn with_room(writes: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), writes: Vec::with_capacity(writes), removes_ranges: false }
    }

    /// Sets a value. `key` and `value` append their bytes. `replaces`: there is a value already.
    pub fn put(&mut self, replaces: bool, key: impl FnOnce(&mut Vec<u8>), value: impl FnOnce(&mut Vec<u8>)) {
        key(&mut self.bytes);
        let key_end = self.bytes.len();
        value(&mut self.bytes);
        self.writes.push(Place { kind: Kind::Put, waste: u8::from(replaces), key_end, end: self.bytes.len() });
    }

    /// Removes a value.
    pub fn delete(&mut self, key: &[u8]) {
        self.bytes.extend_from_slice(key);
        let end = self.bytes.len();
        // What it removes, and itself.
        self.writes.push(Place { kind: Kind::Delete, waste: 2, key_end: end, end });
    }

    /// Removes the keys in `from..to`.
    pub fn delete_range(&mut self, from: &[u8], to: &[u8]) {
        self.bytes.extend_from_slice(from);
        let key_end = self.bytes.len();
        self.bytes.extend_from_slice(to);
        self.writes.push(Place { kind: Kind::DeleteRange, waste: 2, key_end, end: self.bytes.len() });
        self.removes_ranges = true;
    }

    /// Appends a write. Whether a value is there already is not known.
    pub fn push(&mut self, write: WriteRef<'_>) {
        match write {
            WriteRef::Put(key, value) => {
                self.put(false, |out| out.extend_from_slice(key), |out| out.extend_from_slice(value));
            }
            WriteRef::Delete(key) => self.delete(key),
            WriteRef::DeleteRange(from, to) => self.delete_range(from, to),
        }
    }

    /// The writes, in order.
    pub fn iter(&self) -> impl Iterator<Item = WriteRef<'_>> {
        self.iter_with_waste().map(|(write, _)| write)
    }

    /// The writes, in order, each with the number of writes, with itself and those before it, that say nothing any more because of it.
    pub fn iter_with_waste(&self) -> impl Iterator<Item = (WriteRef<'_>, u64)> {
        let mut start = 0;
        self.writes.iter().map(move |place| {
            let write = self.write(*place, start);
            start = place.end;
            (write, u64::from(place.waste))
        })
    }

    /// The write at a place, of those below [`len`](Self::len).
    pub(crate) fn get(&self, at: usize) -> WriteRef<'_> {
        let start = at.checked_sub(1).map_or(0, |before| self.writes[before].end);
        self.write(self.writes[at], start)
    }

    fn write(&self, place: Place, start: usize) -> WriteRef<'_> {
        let (key, rest) = (&self.bytes[start..place.key_end], &self.bytes[place.key_end..place.end]);
        match place.kind {
            Kind::Put => WriteRef::Put(key, rest),
            Kind::Delete => WriteRef::Delete(key),
            Kind::DeleteRange => WriteRef::DeleteRange(key, rest),
        }
    }

    /// The writes of which `is_first` is true, and the others, each in order.
    pub(crate) fn split(&self, is_first: impl Fn(&WriteRef<'_>) -> bool) -> (Self, Self) {
        let (mut first, mut second) = (Self::new(), Self::new());
        for (write, waste) in self.iter_with_waste() {
            let to = if is_first(&write) { &mut first } else { &mut second };
            match write {
                // One of a put: what is there is replaced.
                WriteRef::Put(key, value) => {
                    to.put(waste > 0, |out| out.extend_from_slice(key), |out| out.extend_from_slice(value));
                }
                other => to.push(other),
            }
        }
        (first, second)
    }

    /// Number of writes.
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// Bytes of all keys and values.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// True without writes.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Does any of them remove a range?
    pub fn removes_ranges(&self) -> bool {
        self.removes_ranges
    }

    /// Forgets the writes; keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.writes.clear();
        self.removes_ranges = false;
    }
}
