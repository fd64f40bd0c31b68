//! The keys that a database may hold, so that nobody asks it for others: most of what a job asks for is new.

use crate::MemoryBudget;
use crate::filter::Filter;
use crate::lead::lead_or_key;
use parking_lot::Mutex;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// A filter of the leads and keys of one database, in memory. It is part of the budget's hot sets.
pub(super) struct Known {
    /// `None`: nobody knows what the database holds.
    filter: Mutex<Option<Filter>>,
    budget: Arc<MemoryBudget>,
}

impl Known {
    /// Of a database that holds nothing, or one of which it is not known what it holds.
    pub(super) fn new(is_empty: bool, budget: &Arc<MemoryBudget>) -> Self {
        Self { filter: Mutex::new(is_empty.then(Filter::default)), budget: budget.clone() }
    }

    /// The database will hold `keys`. It is fastest where keys with one lead stand together.
    pub(super) fn add<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) {
        let mut slot = self.filter.lock();
        let Some(filter) = slot.as_mut() else { return };
        let before = filter.size_bytes();
        let mut last = None;
        for key in keys {
            let asked = lead_or_key(key);
            if last != Some(asked) {
                filter.add(xxh3_64(asked));
                last = Some(asked);
            }
        }
        let after = filter.size_bytes();
        if after != before && !self.budget.filters_grow(after - before) {
            // There are so many by now that the memory is better used otherwise; RocksDB's own filters stand in files.
            *slot = None;
            self.budget.filters_shrink(after);
        }
    }

    /// Which of `keys`, or of what begins with them as leads, the database may hold: their places.
    pub(super) fn of<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) -> Vec<usize> {
        let filter = self.filter.lock();
        let may_have = |key: &[u8]| filter.as_ref().is_none_or(|filter| filter.may_have(xxh3_64(lead_or_key(key))));
        keys.enumerate().filter(|(_, key)| may_have(key)).map(|(at, _)| at).collect()
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        self.budget.filters_shrink(self.filter.get_mut().as_ref().map_or(0, Filter::size_bytes));
    }
}
