use crate::backend::{Each, EachOf};
use crate::{Backend, Batch, EntriesReader, EntriesWriter, Frozen, StateError, StateFile, WriteRef};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

/// The file of a picture.
const FILE: &str = "entries";

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

/// A backend in memory: the reference for all others, and what a job without a checkpoint directory uses.
#[derive(Debug, Default)]
pub struct MemoryBackend {
    /// Shared with the pictures that are still there: the first write after a picture was taken works on a copy.
    entries: RwLock<Arc<Entries>>,
}

impl MemoryBackend {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// A store that begins with the picture in `directory`.
    ///
    /// # Errors
    /// The picture cannot be read, or is damaged.
    pub fn open(directory: &Path) -> Result<Self, StateError> {
        let mut entries = Entries::new();
        EntriesReader::open(&directory.join(FILE))?.read_all(&mut |key, value| {
            entries.insert(key.to_vec(), value.to_vec());
            Ok(())
        })?;
        Ok(Self { entries: RwLock::new(Arc::new(entries)) })
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
        scan(&self.entries.read(), from, to, each)
    }

    fn scan_prefixes(&self, prefixes: &[Vec<u8>], each: &mut EachOf<'_>) -> Result<(), StateError> {
        let entries = self.entries.read();
        for (at, prefix) in prefixes.iter().enumerate() {
            let from = entries.range::<[u8], _>((Bound::Included(prefix.as_slice()), Bound::Unbounded));
            let mut found = from.take_while(|(key, _)| key.starts_with(prefix));
            found.try_for_each(|(key, value)| each(at, key, value))?;
        }
        Ok(())
    }

    fn apply(&self, batch: &Batch) -> Result<(), StateError> {
        let mut entries = self.entries.write();
        let entries = Arc::make_mut(&mut entries);
        for write in batch.iter() {
            match write {
                WriteRef::Put(key, value) => {
                    entries.insert(key.to_vec(), value.to_vec());
                }
                WriteRef::Delete(key) => {
                    entries.remove(key);
                }
                WriteRef::DeleteRange(from, to) => {
                    let gone: Vec<Vec<u8>> = range(entries, from, to).map(|(k, _)| k.clone()).collect();
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

    fn freeze(&self) -> Result<Box<dyn Frozen>, StateError> {
        Ok(Box::new(Picture(self.entries.read().clone())))
    }
}

struct Picture(Arc<Entries>);

impl Frozen for Picture {
    fn scan(&self, from: &[u8], to: &[u8], each: &mut Each<'_>) -> Result<(), StateError> {
        scan(&self.0, from, to, each)
    }

    fn files(&self, into: &Path) -> Result<Vec<StateFile>, StateError> {
        let mut writer = EntriesWriter::create(&into.join(FILE))?;
        self.0.iter().try_for_each(|(key, value)| writer.put(key, value))?;
        Ok(vec![StateFile { name: FILE.into(), size_bytes: writer.finish_file()?, xxh3: None, is_shared: false }])
    }
}

fn range<'a>(entries: &'a Entries, from: &[u8], to: &[u8]) -> impl Iterator<Item = (&'a Vec<u8>, &'a Vec<u8>)> {
    // A map refuses a range that ends before it begins.
    let to = to.max(from);
    entries.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)))
}

fn scan(entries: &Entries, from: &[u8], to: &[u8], each: &mut Each<'_>) -> Result<(), StateError> {
    range(entries, from, to).try_for_each(|(key, value)| each(key, value))
}
