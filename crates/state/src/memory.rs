use crate::backend::Each;
use crate::{Backend, StateError, Write};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::ops::Bound;

/// A backend in memory: the reference for all others, and what a job without a checkpoint directory uses.
#[derive(Debug, Default)]
pub struct MemoryBackend {
    entries: RwLock<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl MemoryBackend {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of entries.
    #[expect(clippy::len_without_is_empty, reason = "`is_empty` is the trait's")]
    pub fn len(&self) -> usize {
        self.entries.read().len()
    }
}

impl Backend for MemoryBackend {
    fn multi_get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StateError> {
        let entries = self.entries.read();
        Ok(keys.iter().map(|k| entries.get(*k).cloned()).collect())
    }

    fn scan(&self, from: &[u8], to: &[u8], each: &mut Each<'_>) -> Result<(), StateError> {
        let entries = self.entries.read();
        let range = (Bound::Included(from), Bound::Excluded(to));
        entries.range::<[u8], _>(range).try_for_each(|(k, v)| each(k, v))
    }

    fn write(&self, writes: Vec<Write>) -> Result<(), StateError> {
        let mut entries = self.entries.write();
        for write in writes {
            match write {
                Write::Put(key, value) => {
                    entries.insert(key, value);
                }
                Write::Delete(key) => {
                    entries.remove(&key);
                }
                Write::DeleteRange(from, to) => {
                    let range = (Bound::Included(from.as_slice()), Bound::Excluded(to.as_slice()));
                    let gone: Vec<Vec<u8>> = entries.range::<[u8], _>(range).map(|(k, _)| k.clone()).collect();
                    gone.iter().for_each(|k| {
                        entries.remove(k);
                    });
                }
            }
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.entries.read().is_empty()
    }
}
