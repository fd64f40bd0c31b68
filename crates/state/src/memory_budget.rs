//! How much memory the state of a process may take.
//!
//! A budget is divided: three quarters are for the hot sets of all shards of all jobs, the last for RocksDB's block cache
//! and write buffers, which all backends of the process share.
//!
//! A shard says through its [`HotShare`] how much its tables take, and learns how much of it must go. Shards that are over the
//! budget together give in proportion to what they have, each when it looks.

use rocksdb::{Cache, WriteBufferManager};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The smallest budget, in bytes: below it RocksDB's own structures would not fit.
pub const MEMORY_BUDGET_MIN: usize = 16 << 20;
/// Who is over the budget gives so much that this part of it (in percent) remains: so it need not give at every batch.
const REMAINS_PERCENT: usize = 90;

/// The memory for the state of a process. See the module's page.
pub struct MemoryBudget {
    size_bytes: usize,
    hot_bytes: AtomicUsize,
    pub(crate) cache: Cache,
    pub(crate) write_buffers: WriteBufferManager,
    pub(crate) write_buffer_bytes: usize,
}

impl MemoryBudget {
    /// A budget of `size_bytes`, at least [`MEMORY_BUDGET_MIN`].
    pub fn new(size_bytes: usize) -> Arc<Self> {
        let size_bytes = size_bytes.max(MEMORY_BUDGET_MIN);
        let cache = Cache::new_lru_cache(size_bytes / 4);
        // What the write buffers take is taken off the cache.
        let write_buffers = size_bytes / 8;
        Arc::new(Self {
            size_bytes,
            hot_bytes: AtomicUsize::new(0),
            write_buffers: WriteBufferManager::new_write_buffer_manager_with_cache(write_buffers, false, cache.clone()),
            cache,
            write_buffer_bytes: (write_buffers / 2).clamp(1 << 20, 64 << 20),
        })
    }

    /// The whole budget.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// What hot sets may take.
    pub fn hot_bytes_max(&self) -> usize {
        self.size_bytes - self.size_bytes / 4
    }

    /// What hot sets take.
    pub fn hot_bytes(&self) -> usize {
        self.hot_bytes.load(Ordering::Relaxed)
    }

    /// What RocksDB's block cache and write buffers take.
    pub fn store_bytes(&self) -> usize {
        self.cache.get_usage()
    }
}

impl std::fmt::Debug for MemoryBudget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryBudget")
            .field("size_bytes", &self.size_bytes)
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
