use crate::{Backend, Each, StateError, Write};
use eddyline_changes::{KeyGroup, KeyGroupRange, KeyGroups};
use std::sync::Arc;

/// Number of a table within its operator.
pub type TableId = u16;

/// What is done with the key group, key and value of every entry of a scan.
pub type EachEntry<'a> = dyn FnMut(KeyGroup, &[u8], &[u8]) -> Result<(), StateError> + 'a;

/// A table with a hot set, as the runtime sees it.
pub trait Table {
    /// The table's name, as EXPLAIN STATE and errors show it.
    fn name(&self) -> &str;
    /// Writes what changed since the last time to the backend.
    ///
    /// # Errors
    /// The backend cannot be written.
    fn persist(&mut self) -> Result<(), StateError>;
    /// Number of entries in the hot set.
    fn len(&self) -> usize;
    /// True without entries in the hot set.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Memory of the hot set in bytes, about.
    fn size_bytes(&self) -> usize;
    /// How much of [`size_bytes`](Self::size_bytes) entries take: the rest is room that others left, and that the next will take.
    fn taken_bytes(&self) -> usize {
        self.size_bytes()
    }
    /// Makes room of about `bytes` that entries take, by leaving them to the backend alone. Nothing happens in a table whose
    /// owner needs all of it in memory.
    ///
    /// # Contract
    /// Called when an epoch has ended: after the flush, before the next changes. What the operator puts out does not depend
    /// on it.
    ///
    /// # Errors
    /// The backend cannot be written.
    fn evict(&mut self, bytes: usize) -> Result<(), StateError> {
        let _ = bytes;
        Ok(())
    }
}

/// An operator's corner of a shard's backend.
#[derive(Clone)]
pub struct Store {
    backend: Arc<dyn Backend>,
    operator: u64,
    groups: KeyGroups,
    owned: KeyGroupRange,
}

impl Store {
    /// The corner of `operator` on the shard that owns the key groups `owned`.
    pub fn new(backend: Arc<dyn Backend>, operator: u64, groups: KeyGroups, owned: KeyGroupRange) -> Self {
        Self { backend, operator, groups, owned }
    }

    /// How the job's key space is cut.
    pub fn groups(&self) -> KeyGroups {
        self.groups
    }

    /// The key groups of this shard.
    pub fn owned(&self) -> KeyGroupRange {
        self.owned.clone()
    }

    /// The full key of `key` in `table`.
    pub fn full_key(&self, table: TableId, group: KeyGroup, key: &[u8]) -> Vec<u8> {
        let mut full = self.prefix(table, group);
        full.extend_from_slice(key);
        full
    }

    fn prefix(&self, table: TableId, group: KeyGroup) -> Vec<u8> {
        let mut full = Vec::with_capacity(12 + 16);
        full.extend_from_slice(&self.operator.to_be_bytes());
        full.extend_from_slice(&table.to_be_bytes());
        full.extend_from_slice(&group.to_be_bytes());
        full
    }

    /// True while nothing was ever written below the hot sets of this shard.
    pub fn is_fresh(&self) -> bool {
        self.backend.is_empty()
    }

    /// Values of full `keys`, `None` where there is none.
    ///
    /// # Errors
    /// The backend cannot be read.
    pub fn multi_get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StateError> {
        self.backend.multi_get(keys)
    }

    /// Calls `each` with the key group, key and value of every entry of `table` in the owned key groups.
    ///
    /// # Errors
    /// The backend cannot be read, or `each` failed.
    pub fn scan(&self, table: TableId, each: &mut EachEntry<'_>) -> Result<(), StateError> {
        let from = self.prefix(table, self.owned.start);
        let to = self.prefix(table, self.owned.end);
        self.backend.scan(&from, &to, &mut |key, value| {
            let group = KeyGroup::from_be_bytes([key[10], key[11]]);
            each(group, &key[12..], value)
        })
    }

    /// Calls `each` with every key and value of `table` in a key group whose key begins with `prefix`.
    ///
    /// # Errors
    /// The backend cannot be read, or `each` failed.
    pub fn scan_prefix(
        &self,
        table: TableId,
        group: KeyGroup,
        prefix: &[u8],
        each: &mut Each<'_>,
    ) -> Result<(), StateError> {
        let from = self.full_key(table, group, prefix);
        // The first key behind all that begin so: the last byte that can be is one greater, and what follows is cut off.
        let mut to = from.clone();
        while let Some(last) = to.last_mut() {
            if *last < u8::MAX {
                *last += 1;
                break;
            }
            to.pop();
        }
        self.backend.scan(&from, &to, &mut |key, value| each(&key[12..], value))
    }

    /// Applies writes with full keys, as one.
    ///
    /// # Errors
    /// The backend cannot be written.
    pub fn write(&self, writes: Vec<Write>) -> Result<(), StateError> {
        if writes.is_empty() { Ok(()) } else { self.backend.write(writes) }
    }
}
