//! A counted ordered multiset: how often each value is there. MIN and MAX keep one per slot when what was inserted
//! may be taken back.

use super::AggregateError;
use super::encoding::{VERSION, put_bytes, take, take_bytes, take_version};
use std::borrow::Borrow;
use std::collections::BTreeMap;

/// From so many different values on a slot has a tree; below, a sorted vector is smaller and faster.
const FEW_MAX: usize = 16;

/// Values with how often they are there, ordered. A count may be negative for a while (a retraction that overtook
/// its insertion); values of count 0 are not kept.
#[derive(Debug, Clone)]
pub(super) struct Multiset<K> {
    entries: Entries<K>,
    negatives: usize,
}

#[derive(Debug, Clone)]
enum Entries<K> {
    Few(Vec<(K, i64)>),
    Many(BTreeMap<K, i64>),
}

impl<K> Default for Multiset<K> {
    fn default() -> Self {
        Self { entries: Entries::Few(Vec::new()), negatives: 0 }
    }
}

impl<K: Ord> Multiset<K> {
    /// Adds `weight` to the count of a value.
    pub(super) fn add<Q>(&mut self, key: &Q, weight: i64)
    where
        K: Borrow<Q>,
        Q: Ord + ToOwned<Owned = K> + ?Sized,
    {
        let before = match &mut self.entries {
            Entries::Few(entries) => match entries.binary_search_by(|(k, _)| k.borrow().cmp(key)) {
                Ok(at) => {
                    let before = entries[at].1;
                    entries[at].1 = before.wrapping_add(weight);
                    if entries[at].1 == 0 {
                        entries.remove(at);
                    }
                    before
                }
                Err(at) => {
                    if weight != 0 {
                        entries.insert(at, (key.to_owned(), weight));
                    }
                    0
                }
            },
            Entries::Many(entries) => match entries.get_mut(key) {
                Some(count) => {
                    let before = *count;
                    *count = before.wrapping_add(weight);
                    if *count == 0 {
                        entries.remove(key);
                    }
                    before
                }
                None => {
                    if weight != 0 {
                        entries.insert(key.to_owned(), weight);
                    }
                    0
                }
            },
        };
        let after = before.wrapping_add(weight);
        self.negatives = self.negatives + usize::from(after < 0) - usize::from(before < 0);
        self.settle();
    }

    /// Changes between vector and tree; back only at half the size, so that it does not happen all the time.
    fn settle(&mut self) {
        match &mut self.entries {
            Entries::Few(entries) if entries.len() > FEW_MAX => {
                self.entries = Entries::Many(std::mem::take(entries).into_iter().collect());
            }
            Entries::Many(entries) if entries.len() <= FEW_MAX / 2 => {
                self.entries = Entries::Few(std::mem::take(entries).into_iter().collect());
            }
            _ => {}
        }
    }

    /// The smallest value. Meaningful only without [`negative`](Self::negative) counts.
    pub(super) fn first(&self) -> Option<&K> {
        match &self.entries {
            Entries::Few(entries) => entries.first().map(|(k, _)| k),
            Entries::Many(entries) => entries.first_key_value().map(|(k, _)| k),
        }
    }

    /// The greatest value.
    pub(super) fn last(&self) -> Option<&K> {
        match &self.entries {
            Entries::Few(entries) => entries.last().map(|(k, _)| k),
            Entries::Many(entries) => entries.last_key_value().map(|(k, _)| k),
        }
    }

    /// A value that was taken back more often than added, if there is one.
    pub(super) fn negative(&self) -> Option<&K> {
        if self.negatives == 0 {
            return None;
        }
        match &self.entries {
            Entries::Few(entries) => entries.iter().find(|(_, n)| *n < 0).map(|(k, _)| k),
            Entries::Many(entries) => entries.iter().find(|(_, n)| **n < 0).map(|(k, _)| k),
        }
    }

    /// How many different values there are.
    pub(super) fn len(&self) -> usize {
        match &self.entries {
            Entries::Few(entries) => entries.len(),
            Entries::Many(entries) => entries.len(),
        }
    }

    /// Calls `entry` for all values in order.
    pub(super) fn for_each<'a>(&'a self, mut entry: impl FnMut(&'a K, i64)) {
        match &self.entries {
            Entries::Few(entries) => entries.iter().for_each(|(k, n)| entry(k, *n)),
            Entries::Many(entries) => entries.iter().for_each(|(k, n)| entry(k, *n)),
        }
    }
}

impl Multiset<Vec<u8>> {
    /// Appends the values and their counts.
    pub(super) fn save(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(&(self.len() as u64).to_le_bytes());
        self.for_each(|value, count| {
            put_bytes(out, value);
            out.extend_from_slice(&count.to_le_bytes());
        });
    }

    /// Takes what [`save`](Self::save) appended.
    pub(super) fn load(function: &str, input: &mut &[u8]) -> Result<Self, AggregateError> {
        let mut set = Self::default();
        each_saved(function, input, |value, count| {
            set.add(value, count);
            Ok(())
        })?;
        Ok(set)
    }

    /// Memory in bytes, about.
    pub(super) fn size_bytes(&self) -> usize {
        let mut bytes = size_of_val(self);
        self.for_each(|value, _| bytes += size_of::<(Vec<u8>, i64)>() + value.capacity());
        bytes
    }
}

/// Takes the values and counts that [`Multiset::save`] appended, one by one.
pub(super) fn each_saved(
    function: &str,
    input: &mut &[u8],
    mut entry: impl FnMut(&[u8], i64) -> Result<(), AggregateError>,
) -> Result<(), AggregateError> {
    take_version(function, input)?;
    for _ in 0..u64::from_le_bytes(take(function, input)?) {
        let value = take_bytes(function, input)?;
        entry(value, i64::from_le_bytes(take(function, input)?))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_into_a_tree_and_back() {
        let mut set = Multiset::<i64>::default();
        (0..100).for_each(|k| set.add(&(k * 7 % 100), 1));
        assert!(matches!(set.entries, Entries::Many(_)));
        assert_eq!((set.first(), set.last(), set.len()), (Some(&0), Some(&99), 100));
        (0..97).for_each(|k| set.add(&k, -1));
        assert!(matches!(set.entries, Entries::Few(_)));
        assert_eq!((set.first(), set.last(), set.len()), (Some(&97), Some(&99), 3));
    }

    #[test]
    fn a_count_may_be_negative_for_a_while() {
        let mut set = Multiset::<Vec<u8>>::default();
        set.add(b"a".as_slice(), -2);
        assert_eq!(set.negative(), Some(&b"a".to_vec()));
        set.add(b"a".as_slice(), 3);
        assert_eq!((set.negative(), set.first()), (None, Some(&b"a".to_vec())));
        set.add(b"a".as_slice(), -1);
        assert_eq!((set.negative(), set.len()), (None, 0));
    }
}
