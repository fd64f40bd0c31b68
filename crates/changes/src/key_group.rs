use std::ops::Range;

/// Default of `max-parallelism`: the number of key groups of a job.
pub const MAX_PARALLELISM_DEFAULT: u16 = 128;

/// A slice of the key space: the unit in which state is owned and moved.
pub type KeyGroup = u16;

/// A contiguous run of key groups, owned by one shard.
pub type KeyGroupRange = Range<KeyGroup>;

/// How a job's key space is cut: `hash(key) -> key group -> shard`.
///
/// The number of groups is fixed for the life of a job; the number of shards is not. Groups are dealt out in
/// contiguous ranges, so rescaling moves ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyGroups {
    groups: u16,
    shards: u16,
}

impl KeyGroups {
    /// `groups` key groups over `shards` shards.
    ///
    /// # Panics
    /// Unless `1 <= shards <= groups`; the engine checks settings before it gets here.
    pub fn new(groups: u16, shards: u16) -> Self {
        assert!(shards >= 1 && shards <= groups, "1 <= {shards} shards <= {groups} key groups");
        Self { groups, shards }
    }

    /// Number of shards.
    pub fn shards(&self) -> usize {
        self.shards.into()
    }

    /// Number of key groups.
    pub fn groups(&self) -> u16 {
        self.groups
    }

    /// The key group of a key hash. Uses the high half of the hash: hash tables use the low one.
    #[inline]
    pub fn group_of(&self, hash: u64) -> KeyGroup {
        (((hash >> 32) * u64::from(self.groups)) >> 32) as KeyGroup
    }

    /// The shard that owns the key group of a key hash.
    #[inline]
    pub fn shard_of(&self, hash: u64) -> usize {
        usize::from(self.group_of(hash)) * usize::from(self.shards) / usize::from(self.groups)
    }

    /// The key groups that `shard` owns.
    pub fn range_of(&self, shard: usize) -> KeyGroupRange {
        let (g, n) = (usize::from(self.groups), usize::from(self.shards));
        let first = |s: usize| (s * g).div_ceil(n) as KeyGroup;
        first(shard)..first(shard + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_partition_the_groups_and_agree_with_shard_of() {
        for shards in 1..=128 {
            let k = KeyGroups::new(128, shards);
            let mut next = 0;
            for s in 0..k.shards() {
                let r = k.range_of(s);
                assert_eq!(r.start, next);
                next = r.end;
                for g in r {
                    let hash = u64::from(g).div_ceil(1) * (1 << 32) / 128;
                    let hash = (hash + 1) << 32;
                    assert_eq!(k.group_of(hash), g);
                    assert_eq!(k.shard_of(hash), s);
                }
            }
            assert_eq!(next, 128);
        }
    }
}
