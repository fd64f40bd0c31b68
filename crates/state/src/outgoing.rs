//! What tables write, on its way out: a backend that keeps nothing.
//!
//! A job whose tables are all in memory writes below them so that its state can be put down elsewhere, now and then, and not to find it again.
//! [`Outgoing`] holds what was written since the last picture as it came, and hands it over with the next one; that is written over what was put
//! down before ([`Frozen::write`]). So beside the tables there is in memory what has changed since the last picture, and only until it is
//! written.
//!
//! State that a job begins with is found here, as it was put down, until the tables have all of it ([`Backend::rest`]), and then it is let go.

use crate::backend::{Each, EachOf};
use crate::{Backend, Batch, EntriesReader, EntriesWriter, Frozen, Puts, StateError, StateFile, StoredEntry, WriteRef};
use parking_lot::{Mutex, RwLock};
use std::borrow::Cow;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The file of a picture.
const FILE: &str = "entries";

/// A backend that keeps nothing but what is to be put down elsewhere. See the module's page.
///
/// # Contract
/// Who reads does so before [`rest`](Backend::rest), and who writes behind it: tables that are whole do not read. Of its pictures there is one at a
/// time.
pub struct Outgoing {
    /// What there was at the beginning, until the tables have it.
    there: RwLock<Option<Entries>>,
    written: Arc<Written>,
}

/// What was written, in order.
#[derive(Default)]
struct Written {
    writes: Mutex<Vec<Writes>>,
    /// A picture was kept: what is written is no more than what has changed since.
    goes_on: AtomicBool,
}

enum Writes {
    Batch(Batch),
    /// Of a table, as it has them.
    Puts(Puts),
}

impl Outgoing {
    /// With nothing put down yet.
    #[expect(clippy::new_without_default, reason = "nobody asks for one that is like any other")]
    pub fn new() -> Self {
        Self { there: RwLock::default(), written: Arc::default() }
    }

    /// With these entries, which are put down nowhere.
    pub fn with(mut entries: Vec<StoredEntry>) -> Self {
        entries.sort_unstable();
        let mut batch = Batch::new();
        entries.iter().for_each(|(key, value)| batch.push(WriteRef::Put(key, value)));
        let written = Written { writes: Mutex::new(vec![Writes::Batch(batch.clone())]), ..Written::default() };
        Self { there: RwLock::new(Some(Entries(batch))), written: Arc::new(written) }
    }

    /// On entries that are put down already.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged.
    pub fn on(entries: &Path) -> Result<Self, StateError> {
        let mut batch = Batch::new();
        EntriesReader::open(entries)?.read_all(&mut |key, value| {
            batch.push(WriteRef::Put(key, value));
            Ok(())
        })?;
        let written = Written { goes_on: AtomicBool::new(true), ..Written::default() };
        Ok(Self { there: RwLock::new(Some(Entries(batch))), written: Arc::new(written) })
    }

    fn write(&self, writes: Writes) {
        self.written.writes.lock().push(writes);
    }

    /// Does something with what tables may find here.
    fn read(&self, read: impl FnOnce(&Entries) -> Result<(), StateError>) -> Result<(), StateError> {
        match self.there.read().as_ref() {
            Some(there) => read(there),
            None if !self.written.is_begun() => Ok(()),
            None => {
                let message = "it was read behind its table, which has all that there is";
                Err(StateError::io(Path::new("outgoing"), io::Error::other(message)))
            }
        }
    }
}

/// Entries in the order of their keys.
struct Entries(Batch);

impl Entries {
    fn entry(&self, at: usize) -> (&[u8], &[u8]) {
        match self.0.get(at) {
            WriteRef::Put(key, value) => (key, value),
            other => (other.key(), &[]),
        }
    }

    /// How many keys are before this one.
    fn before(&self, key: &[u8]) -> usize {
        let (mut from, mut to) = (0, self.0.len());
        while from < to {
            let middle = from + (to - from) / 2;
            if self.entry(middle).0 < key { from = middle + 1 } else { to = middle }
        }
        from
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let at = self.before(key);
        let found = (at < self.0.len()).then(|| self.entry(at)).filter(|(found, _)| *found == key);
        found.map(|(_, value)| value.to_vec())
    }

    /// The entries at a key and behind it.
    fn from(&self, key: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
        (self.before(key)..self.0.len()).map(|at| self.entry(at))
    }
}

impl Written {
    /// Was anything ever written?
    fn is_begun(&self) -> bool {
        self.goes_on.load(Ordering::Relaxed) || !self.writes.lock().is_empty()
    }
}

impl Backend for Outgoing {
    fn multi_get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StateError> {
        let mut found = vec![None; keys.len()];
        self.read(|there| {
            found = keys.iter().map(|key| there.get(key)).collect();
            Ok(())
        })?;
        Ok(found)
    }

    fn scan(&self, from: &[u8], to: &[u8], each: &mut Each<'_>) -> Result<(), StateError> {
        let mut scan = |there: &Entries| {
            there.from(from).take_while(|(key, _)| *key < to).try_for_each(|(key, value)| each(key, value))
        };
        self.read(&mut scan)
    }

    fn scan_prefixes(&self, prefixes: &[Vec<u8>], each: &mut EachOf<'_>) -> Result<(), StateError> {
        self.read(|there| {
            prefixes.iter().enumerate().try_for_each(|(at, prefix)| {
                let mut found = there.from(prefix).take_while(|(key, _)| key.starts_with(prefix));
                found.try_for_each(|(key, value)| each(at, key, value))
            })
        })
    }

    fn apply(&self, batch: &Batch) -> Result<(), StateError> {
        if !batch.is_empty() {
            self.write(Writes::Batch(batch.clone()));
        }
        Ok(())
    }

    fn put(&self, puts: &Puts) -> Result<(), StateError> {
        self.write(Writes::Puts(puts.clone()));
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.there.read().as_ref().is_none_or(|there| there.0.is_empty())
    }

    fn rest(&self) -> Result<(), StateError> {
        *self.there.write() = None;
        Ok(())
    }

    fn freeze(&self) -> Result<Box<dyn Frozen>, StateError> {
        let writes = std::mem::take(&mut *self.written.writes.lock());
        Ok(Box::new(Picture { writes: Mutex::new(writes), from: self.written.clone() }))
    }
}

/// What was written since the picture before. One that is dropped and was not kept leaves it to the next.
struct Picture {
    writes: Mutex<Vec<Writes>>,
    from: Arc<Written>,
}

impl Drop for Picture {
    fn drop(&mut self) {
        let mut writes = std::mem::take(self.writes.get_mut());
        let mut since = self.from.writes.lock();
        writes.append(&mut since);
        *since = writes;
    }
}

impl Frozen for Picture {
    fn scan(&self, from: &[u8], to: &[u8], each: &mut Each<'_>) -> Result<(), StateError> {
        if !self.is_whole() {
            return Err(StateError::io(Path::new(FILE), io::Error::other("it holds what has changed alone")));
        }
        let writes = self.writes.lock();
        let batches = batches(&writes)?;
        let inside = |key: &[u8]| from <= key && key < to;
        let last = last_of_each(&batches, &Ranges::of(&batches));
        let there = last.into_iter().filter(|last| inside(last.key));
        there.filter_map(|last| Some((last.key, last.value?))).try_for_each(|(key, value)| each(key, value))
    }

    fn files(&self, into: &Path) -> Result<Vec<StateFile>, StateError> {
        let size_bytes = self.write(None, &into.join(FILE))?;
        Ok(vec![StateFile { name: FILE.into(), size_bytes, xxh3: None, is_shared: false }])
    }

    fn is_whole(&self) -> bool {
        !self.from.goes_on.load(Ordering::Relaxed)
    }

    fn write(&self, before: Option<&Path>, path: &Path) -> Result<u64, StateError> {
        let writes = self.writes.lock();
        let batches = batches(&writes)?;
        let ranges = Ranges::of(&batches);
        let mut changed = last_of_each(&batches, &ranges).into_iter().peekable();
        let mut writer = EntriesWriter::create(path)?;
        let mut put = |key: &[u8], value: Option<&[u8]>| value.map_or(Ok(()), |value| writer.put(key, value));
        if !self.is_whole() {
            let before = before.ok_or_else(|| StateError::corrupt_file(path, "what it goes on is not known"))?;
            EntriesReader::open(before)?.read_all(&mut |key, value| {
                while let Some(last) = changed.next_if(|last| last.key < key) {
                    put(last.key, last.value)?;
                }
                match changed.next_if(|last| last.key == key) {
                    Some(last) => put(key, last.value),
                    None if ranges.have(key, 0) => Ok(()),
                    None => put(key, Some(value)),
                }
            })?;
        }
        changed.try_for_each(|last| put(last.key, last.value))?;
        writer.finish_file()
    }

    fn kept(&self) {
        self.writes.lock().clear();
        self.from.goes_on.store(true, Ordering::Relaxed);
    }
}

/// What was written, as bytes.
fn batches(writes: &[Writes]) -> Result<Vec<Cow<'_, Batch>>, StateError> {
    let mut batches = Vec::with_capacity(writes.len());
    for writes in writes {
        match writes {
            Writes::Batch(batch) => batches.push(Cow::Borrowed(batch)),
            Writes::Puts(puts) => puts.expand(&mut |batch| {
                batches.push(Cow::Owned(batch.clone()));
                Ok(())
            })?,
        }
    }
    Ok(batches)
}

/// The ranges that were removed, each with the number of the write, from one.
struct Ranges<'b>(Vec<(&'b [u8], &'b [u8], usize)>);

impl<'b> Ranges<'b> {
    fn of(batches: &'b [Cow<'_, Batch>]) -> Self {
        let writes = (1..).zip(batches.iter().flat_map(|batch| batch.iter()));
        let removed = writes.filter_map(|(at, write)| match write {
            WriteRef::DeleteRange(from, to) => Some((from, to, at)),
            _ => None,
        });
        Self(removed.collect())
    }

    /// Was a range that has this key removed behind this write?
    fn have(&self, key: &[u8], behind: usize) -> bool {
        self.0.iter().any(|(from, to, at)| *at > behind && *from <= key && key < *to)
    }
}

/// What has become of a key.
struct Last<'b> {
    key: &'b [u8],
    /// The number of the write, from one.
    at: usize,
    /// `None`: it is gone.
    value: Option<&'b [u8]>,
}

/// What has become of each key that was written, in the order of keys.
fn last_of_each<'b>(batches: &'b [Cow<'_, Batch>], ranges: &Ranges<'_>) -> Vec<Last<'b>> {
    let writes = (1..).zip(batches.iter().flat_map(|batch| batch.iter()));
    let mut all: Vec<Last<'_>> = writes
        .filter_map(|(at, write)| match write {
            WriteRef::Put(key, value) => Some(Last { key, at, value: (!ranges.have(key, at)).then_some(value) }),
            WriteRef::Delete(key) => Some(Last { key, at, value: None }),
            WriteRef::DeleteRange(..) => None,
        })
        .collect();
    // The last one of a key comes first.
    all.sort_unstable_by(|a, b| a.key.cmp(b.key).then(b.at.cmp(&a.at)));
    all.dedup_by(|next, first| next.key == first.key);
    all
}
