//! What a store may hold: a filter that says of most keys that are not there that they are not.
//!
//! Cut into blocks of 32 bytes, as Parquet's filters are: a hash chooses a block, and in each of its eight words sets or asks one bit, so a
//! question costs one line of memory. A filter grows by layers, each twice the one before; a question goes to all of them, the
//! largest first. Nothing is ever taken out.

/// Bits of a layer for each hash that it takes. With eight bits set by each, about one of a thousand hashes that are not there seems to be.
const BITS_PER_HASH: usize = 16;
/// Hashes that the first layer takes.
const HASHES_MIN: usize = 1 << 12;
const WORDS: usize = 8;
/// Odd numbers that spread a hash, one for each word of a block.
const SPREAD: [u32; WORDS] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// Hashes of which some may be there. See the module's page.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    /// The largest is the last.
    layers: Vec<Layer>,
}

#[derive(Debug)]
struct Layer {
    blocks: Vec<[u32; WORDS]>,
    /// How many more hashes it takes.
    room: usize,
}

impl Filter {
    /// Adds a hash.
    pub(crate) fn add(&mut self, hash: u64) {
        if self.may_have(hash) {
            return;
        }
        let taken = self.layers.last().map_or(0, |layer| layer.blocks.len());
        if self.layers.last().is_none_or(|layer| layer.room == 0) {
            let hashes = HASHES_MIN.max(taken * 2 * WORDS * 32 / BITS_PER_HASH);
            self.layers.push(Layer::of(hashes));
        }
        if let Some(layer) = self.layers.last_mut() {
            layer.add(hash);
        }
    }

    /// False: the hash was not added.
    pub(crate) fn may_have(&self, hash: u64) -> bool {
        self.layers.iter().rev().any(|layer| layer.may_have(hash))
    }

    /// Memory in bytes.
    pub(crate) fn size_bytes(&self) -> usize {
        self.layers.iter().map(|layer| size_of_val(layer.blocks.as_slice())).sum()
    }
}

impl Layer {
    fn of(hashes: usize) -> Self {
        Self { blocks: vec![[0; WORDS]; hashes * BITS_PER_HASH / (WORDS * 32)], room: hashes }
    }

    /// The block of a hash: its upper half, brought to the number of blocks.
    fn block(&self, hash: u64) -> usize {
        (((hash >> 32) * self.blocks.len() as u64) >> 32) as usize
    }

    fn add(&mut self, hash: u64) {
        let at = self.block(hash);
        self.blocks[at].iter_mut().zip(bits(hash)).for_each(|(word, bit)| *word |= bit);
        self.room -= 1;
    }

    fn may_have(&self, hash: u64) -> bool {
        self.blocks[self.block(hash)].iter().zip(bits(hash)).all(|(word, bit)| word & bit != 0)
    }
}

/// A bit for each word of a block, from the lower half of a hash.
fn bits(hash: u64) -> [u32; WORDS] {
    SPREAD.map(|spread| 1 << ((hash as u32).wrapping_mul(spread) >> 27))
}

#[cfg(test)]
mod tests {
    use super::*;
    use xxhash_rust::xxh3::xxh3_64;

    fn hash(number: u64) -> u64 {
        xxh3_64(&number.to_le_bytes())
    }

    #[test]
    fn what_was_added_may_be_there_and_little_else_seems_to_be() {
        let mut filter = Filter::default();
        assert!(!filter.may_have(hash(1)));
        let count = 20 * HASHES_MIN as u64;
        for number in 0..count {
            filter.add(hash(number));
        }
        assert!((0..count).all(|number| filter.may_have(hash(number))));
        let wrong = (count..2 * count).filter(|number| filter.may_have(hash(*number))).count();
        assert!(wrong < count as usize / 100, "{wrong} of {count}");
    }

    #[test]
    fn a_filter_grows_with_what_is_added_and_not_with_what_it_has() {
        let mut filter = Filter::default();
        let add = |filter: &mut Filter| (0..10 * HASHES_MIN as u64).for_each(|number| filter.add(hash(number)));
        add(&mut filter);
        let size_bytes = filter.size_bytes();
        assert!(size_bytes <= 2 * 16 * HASHES_MIN * BITS_PER_HASH / 8, "{size_bytes}");
        add(&mut filter);
        assert_eq!(filter.size_bytes(), size_bytes);
    }
}
