//! How much memory the state of a process may take.
//!
//! A budget is divided: five eighths are for the hot sets of all shards of all jobs, two for RocksDB's block cache and write
//! buffers, which all backends of the process share. The last is for what nobody counts: the room with which tables grow, what
//! RocksDB reads ahead and writes while it merges files, and what the allocator holds.
//!
//! A shard says through its [`HotShare`] how much its tables take, and learns how much of it must go. Shards that are over the
//! budget together give in proportion to what they have, each when it looks.

use parking_lot::Mutex;
use rocksdb::{Cache, WriteBufferManager};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The smallest budget, in bytes: below it RocksDB's own structures would not fit.
pub const MEMORY_BUDGET_MIN: usize = 16 << 20;
/// Who is over the budget gives so much that this part of it (in percent) remains: so it need not give at every batch.
const REMAINS_PERCENT: usize = 90;
/// Up to this part of what they may take (in percent), hot sets take in what is not asked for.
const TAKES_IN_PERCENT: usize = 75;
/// Filters may take one part in so many.
const FILTERS_SHARE: usize = 16;

/// The memory for the state of a process. See the module's page.
pub struct MemoryBudget {
    size_bytes: AtomicUsize,
    hot_bytes: AtomicUsize,
    filters_bytes: AtomicUsize,
    is_told: AtomicBool,
    pub(crate) cache: Cache,
    pub(crate) write_buffers: WriteBufferManager,
    /// Held by the backend that brings its journal into its database.
    pub(crate) folding: Mutex<()>,
}

impl MemoryBudget {
    /// A budget of `size_bytes`, at least [`MEMORY_BUDGET_MIN`].
    pub fn new(size_bytes: usize) -> Arc<Self> {
        let size_bytes = size_bytes.max(MEMORY_BUDGET_MIN);
        let (cached, buffered) = (size_bytes / 4, size_bytes / 8);
        let cache = Cache::new_lru_cache(cached);
        Arc::new(Self {
            size_bytes: AtomicUsize::new(size_bytes),
            hot_bytes: AtomicUsize::new(0),
            filters_bytes: AtomicUsize::new(0),
            folding: Mutex::new(()),
            is_told: AtomicBool::new(false),
            // What the write buffers take is taken off the cache.
            write_buffers: WriteBufferManager::new_write_buffer_manager_with_cache(buffered, false, cache.clone()),
            cache,
        })
    }

    /// Changes the budget to `size_bytes`, at least [`MEMORY_BUDGET_MIN`].
    pub fn resize(&self, size_bytes: usize) {
        let size_bytes = size_bytes.max(MEMORY_BUDGET_MIN);
        if self.size_bytes.swap(size_bytes, Ordering::Relaxed) != size_bytes {
            // A clone is the same cache.
            self.cache.clone().set_capacity(size_bytes / 4);
            self.write_buffers.set_buffer_size(size_bytes / 8);
        }
    }

    /// The whole budget.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes.load(Ordering::Relaxed)
    }

    /// What hot sets may take.
    pub fn hot_bytes_max(&self) -> usize {
        let size_bytes = self.size_bytes();
        size_bytes / 8 * 5
    }

    /// May hot sets take in what is not asked for? A little below what they may take, so that it need not leave again at once.
    pub fn has_room(&self) -> bool {
        self.hot_bytes() < self.hot_bytes_max() / 100 * TAKES_IN_PERCENT
    }

    /// The write buffer of one database.
    pub(crate) fn write_buffer_bytes(&self) -> usize {
        (self.size_bytes() / 16).clamp(1 << 20, 64 << 20)
    }

    /// What hot sets take.
    pub fn hot_bytes(&self) -> usize {
        self.hot_bytes.load(Ordering::Relaxed)
    }

    /// True once: when hot sets alone take more than the whole budget. For those who cannot leave anything to a backend, and tell
    /// people instead.
    pub fn is_newly_exceeded(&self) -> bool {
        self.hot_bytes() > self.size_bytes() && !self.is_told.swap(true, Ordering::Relaxed)
    }

    /// Filters of what stands below the hot sets, which count among these, take so many bytes more. False: that is more than they may.
    pub(crate) fn filters_grow(&self, bytes: usize) -> bool {
        self.hot_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.filters_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes <= self.size_bytes() / FILTERS_SHARE
    }

    /// Filters take so many bytes less.
    pub(crate) fn filters_shrink(&self, bytes: usize) {
        self.hot_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.filters_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// What RocksDB's block cache and write buffers take.
    pub fn store_bytes(&self) -> usize {
        self.cache.get_usage()
    }
}

impl std::fmt::Debug for MemoryBudget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryBudget")
            .field("size_bytes", &self.size_bytes())
            .field("hot_bytes", &self.hot_bytes())
            .finish()
    }
}

/// What a shard's hot sets take of a budget. It is given back when this is dropped.
#[derive(Debug)]
pub struct HotShare {
    budget: Arc<MemoryBudget>,
    told_bytes: usize,
}

impl HotShare {
    /// A share of `budget`, of nothing yet.
    pub fn new(budget: &Arc<MemoryBudget>) -> Self {
        Self { budget: budget.clone(), told_bytes: 0 }
    }

    /// The budget.
    pub fn budget(&self) -> &Arc<MemoryBudget> {
        &self.budget
    }

    /// The shard's hot sets take `size_bytes` now. Returns how many of them must go: 0 while all shards are within the budget.
    pub fn tell(&mut self, size_bytes: usize) -> usize {
        let hot = &self.budget.hot_bytes;
        let change = size_bytes.wrapping_sub(self.told_bytes);
        let all = hot.fetch_add(change, Ordering::Relaxed).wrapping_add(change);
        self.told_bytes = size_bytes;
        let allowed = self.budget.hot_bytes_max();
        if all <= allowed {
            return 0;
        }
        let remains = (allowed / 100 * REMAINS_PERCENT) as f64 / all as f64;
        size_bytes - (size_bytes as f64 * remains) as usize
    }
}

impl Drop for HotShare {
    fn drop(&mut self) {
        self.tell(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_over_gives_in_proportion() {
        let budget = MemoryBudget::new(480 << 20);
        assert_eq!(budget.hot_bytes_max(), 300 << 20);
        let (mut one, mut two) = (HotShare::new(&budget), HotShare::new(&budget));
        assert_eq!(one.tell(200 << 20), 0);
        assert_eq!(two.tell(100 << 20), 0);
        // Together 400 MiB: nine tenths of 300 are to remain.
        let give = one.tell(300 << 20);
        assert!(give.abs_diff((300 << 20) * 130 / 400) < 1 << 20, "{give}");
        let give = two.tell(100 << 20);
        assert!(give.abs_diff((100 << 20) * 130 / 400) < 1 << 20, "{give}");
        drop(one);
        assert_eq!((two.tell(100 << 20), budget.hot_bytes()), (0, 100 << 20));
        drop(two);
        assert_eq!(budget.hot_bytes(), 0);
    }

    #[test]
    fn that_it_is_exceeded_is_told_once() {
        let budget = MemoryBudget::new(64 << 20);
        let mut share = HotShare::new(&budget);
        share.tell(60 << 20);
        assert!(!budget.is_newly_exceeded());
        share.tell(65 << 20);
        assert!(budget.is_newly_exceeded());
        assert!(!budget.is_newly_exceeded());
    }

    #[test]
    fn a_budget_can_change() {
        let budget = MemoryBudget::new(64 << 20);
        let mut share = HotShare::new(&budget);
        assert_eq!(share.tell(40 << 20), 0);
        budget.resize(32 << 20);
        assert!(share.tell(40 << 20) > 16 << 20);
        budget.resize(0);
        assert_eq!(budget.size_bytes(), MEMORY_BUDGET_MIN);
    }
}
