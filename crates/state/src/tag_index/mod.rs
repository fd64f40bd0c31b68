//! An index from hashes to numbers that costs nine to ten bytes an entry at any size, and grows without the hashes.
//!
//! An entry is eight bytes: 32 bits of the hash (the *tag*) and the number. Entries lie in an array in the order of
//! their tags, with gaps: a tag's **home** is its share of the array, and an entry stands at its home or right behind it, with no
//! gap between. So a look-up begins at the home and ends at a gap or at a greater tag, and growing is one pass over both arrays
//! from front to back, in steps of an eighth instead of to the double.
//!
//! Tags are not unique: the owner says which of the entries with a tag is meant.

const EMPTY: u64 = u64::MAX;
/// Entries are at most this many eighths of the homes.
const FULL: usize = 7;

/// The part of a hash that the index keeps.
#[inline(always)]
pub fn tag_of(hash: u64) -> u32 {
    // The upper bits of a hash are the shard's, and so alike in all that an index is given.
    (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}

/// Numbers by tag. See the module's page.
///
/// # Contract
/// Numbers are below `u32::MAX`.
#[derive(Debug, Default)]
pub struct TagIndex {
    /// Tag (upper half) and number, or [`EMPTY`]. The last is always empty.
    entries: Vec<u64>,
    homes: usize,
    len: usize,
}

#[inline(always)]
fn tag_in(entry: u64) -> u32 {
    (entry >> 32) as u32
}

impl TagIndex {
    /// Number of entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True without entries.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Memory in bytes.
    pub fn size_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<u64>()
    }

    #[inline(always)]
    fn home(&self, tag: u32) -> usize {
        ((u64::from(tag) * self.homes as u64) >> 32) as usize
    }

    /// The first number with the tag that is the one meant.
    #[inline]
    pub fn find(&self, tag: u32, is_meant: impl FnMut(u32) -> bool) -> Option<u32> {
        self.position(tag, is_meant).map(|at| self.entries[at] as u32)
    }

    #[inline]
    fn position(&self, tag: u32, mut is_meant: impl FnMut(u32) -> bool) -> Option<usize> {
        let from = self.home(tag);
        for (at, entry) in self.entries.get(from..)?.iter().enumerate() {
            if *entry == EMPTY || tag_in(*entry) > tag {
                return None;
            }
            if tag_in(*entry) == tag && is_meant(*entry as u32) {
                return Some(from + at);
            }
        }
        None
    }

    /// Adds a number.
    pub fn insert(&mut self, tag: u32, number: u32) {
        debug_assert!(number < u32::MAX);
        if (self.len + 1) * 8 > self.homes * FULL {
            let step = if self.homes < 64 { self.homes / 4 + 2 } else { self.homes / 8 };
            self.rebuild(self.homes + step);
        }
        let mut at = self.home(tag);
        while self.entries[at] != EMPTY && tag_in(self.entries[at]) <= tag {
            at += 1;
        }
        let mut gap = at;
        while self.entries[gap] != EMPTY {
            gap += 1;
        }
        if gap + 1 == self.entries.len() {
            self.entries.reserve_exact(8);
            self.entries.push(EMPTY);
        }
        self.entries.copy_within(at..gap, at + 1);
        self.entries[at] = u64::from(tag) << 32 | u64::from(number);
        self.len += 1;
    }

    fn rebuild(&mut self, homes: usize) {
        let before = std::mem::take(&mut self.entries);
        self.homes = homes;
        self.entries.reserve_exact(homes + homes / 64 + 2);
        for entry in before.into_iter().filter(|e| *e != EMPTY) {
            let home = self.home(tag_in(entry));
            while self.entries.len() < home {
                self.entries.push(EMPTY);
            }
            self.entries.push(entry);
        }
        let length = (self.entries.len() + 1).max(homes + 1);
        self.entries.resize(length, EMPTY);
    }

    /// Puts a number in the place of another.
    pub fn replace(&mut self, tag: u32, number: u32, by: u32) {
        if let Some(at) = self.position(tag, |n| n == number) {
            self.entries[at] = u64::from(tag) << 32 | u64::from(by);
        }
    }

    /// Takes a number out. Returns whether it was there.
    pub fn remove(&mut self, tag: u32, number: u32) -> bool {
        let Some(mut at) = self.position(tag, |n| n == number) else { return false };
        // Who stands behind its home moves up.
        while self.entries[at + 1] != EMPTY && self.home(tag_in(self.entries[at + 1])) <= at {
            self.entries[at] = self.entries[at + 1];
            at += 1;
        }
        self.entries[at] = EMPTY;
        self.len -= 1;
        if self.len == 0 {
            *self = Self::default();
        } else if self.homes > 1024 && self.len * 4 < self.homes {
            self.rebuild(self.len * 3 / 2);
        }
        true
    }

    /// All numbers, in the order of their tags.
    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        self.entries.iter().filter(|e| **e != EMPTY).map(|e| *e as u32)
    }
}

#[cfg(test)]
mod tests;
