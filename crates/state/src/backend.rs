use crate::batch::{Batch, WriteRef};
use crate::{EntriesWriter, Puts, StateError};
use std::path::Path;

/// One change to the backend. Keys are full keys (see the crate's page).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Set a value.
    Put(Vec<u8>, Vec<u8>),
    /// Remove a value; nothing happens if there is none.
    Delete(Vec<u8>),
    /// Remove all keys in `from..to`.
    DeleteRange(Vec<u8>, Vec<u8>),
}

impl Write {
    /// The same, borrowed.
    pub fn as_ref(&self) -> WriteRef<'_> {
        match self {
            Self::Put(key, value) => WriteRef::Put(key, value),
            Self::Delete(key) => WriteRef::Delete(key),
            Self::DeleteRange(from, to) => WriteRef::DeleteRange(from, to),
        }
    }
}

/// What is done with every key and value of a scan.
pub type Each<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), StateError> + 'a;

/// What is done with every key and value of a scan for several prefixes; the number is that of the prefix.
pub type EachOf<'a> = dyn FnMut(usize, &[u8], &[u8]) -> Result<(), StateError> + 'a;

/// An ordered store of bytes below the hot set. One per shard, shared by its operators.
///
/// # Contract
/// Keys order as byte strings. A `write` is seen whole or not at all. Reads see all writes before them.
pub trait Backend: Send + Sync {
    /// Values of `keys`, in their order; `None` where there is none.
    ///
    /// # Errors
    /// The store cannot be read.
    fn multi_get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StateError>;

    /// Calls `each` with every key and value in `from..to`, in key order, until it fails.
    ///
    /// # Errors
    /// The store cannot be read, or `each` failed.
    fn scan(&self, from: &[u8], to: &[u8], each: &mut Each<'_>) -> Result<(), StateError>;

    /// Calls `each` with every key and value whose key begins with one of `prefixes`, prefix by prefix and in key order within each,
    /// until it fails.
    ///
    /// # Contract
    /// Each of `prefixes` is a full key up to the end of its lead, in a table whose keys have one (see the crate's page): of other
    /// tables nothing need be found. Ascending prefixes are found faster.
    ///
    /// # Errors
    /// The store cannot be read, or `each` failed.
    fn scan_prefixes(&self, prefixes: &[Vec<u8>], each: &mut EachOf<'_>) -> Result<(), StateError>;

    /// Applies the writes of a batch in order, as one.
    ///
    /// # Errors
    /// The store cannot be written; then nothing was.
    fn apply(&self, batch: &Batch) -> Result<(), StateError>;

    /// Sets many entries of one table; not as one.
    ///
    /// # Errors
    /// The store cannot be written; then a part was.
    fn put(&self, puts: &Puts) -> Result<(), StateError> {
        puts.expand(&mut |batch| self.apply(batch))
    }

    /// As [`apply`](Self::apply), of writes that are there one by one.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    fn write(&self, writes: Vec<Write>) -> Result<(), StateError> {
        let mut batch = Batch::new();
        writes.iter().for_each(|write| batch.push(write.as_ref()));
        self.apply(&batch)
    }

    /// True while the store holds nothing at all: then look-ups of missing keys can be spared.
    fn is_empty(&self) -> bool;

    /// Is there so much that a table should not be read before it is asked for, whatever is in it?
    fn is_vast(&self) -> bool {
        false
    }

    /// Everything that it holds is in memory: as far as anybody knows nothing will be read any more, and what is written need be in no
    /// order. Reading ends that.
    ///
    /// # Errors
    /// The store cannot be told.
    fn rest(&self) -> Result<(), StateError> {
        Ok(())
    }

    /// A picture of what was written so far, which later writes do not change. Cheap: no entry is copied.
    ///
    /// # Errors
    /// The store cannot be read.
    fn freeze(&self) -> Result<Box<dyn Frozen>, StateError>;
}

/// What a [`Backend`] held at one moment. Its verbs may take long and are called off the shard's thread.
///
/// # Contract
/// It outlives neither the directory of its backend nor need it be used: dropping it is enough.
pub trait Frozen: Send {
    /// Calls `each` with every key and value in `from..to` as they were, in key order, until it fails.
    ///
    /// # Errors
    /// The store cannot be read, or `each` failed.
    fn scan(&self, from: &[u8], to: &[u8], each: &mut Each<'_>) -> Result<(), StateError>;

    /// Puts the picture as files into the existing, empty directory `into`, which is on the file system of the backend's own
    /// directory (files that never change are hard-linked). The backend's `open` takes such a directory.
    ///
    /// # Errors
    /// The files cannot be written, or the store cannot be read.
    fn files(&self, into: &Path) -> Result<Vec<StateFile>, StateError>;

    /// Is it all that the backend held? Otherwise it is what has changed since the last picture that was [kept](Self::kept).
    fn is_whole(&self) -> bool {
        true
    }

    /// Writes all that the backend held into a new entries file, durably. `before` is the one that was written of the last picture that was kept; a
    /// picture that [is whole](Self::is_whole) needs none. Returns its size in bytes.
    ///
    /// # Errors
    /// The file cannot be written, or the store or the file before cannot be read.
    fn write(&self, before: Option<&Path>, path: &Path) -> Result<u64, StateError> {
        let _ = before;
        let mut writer = EntriesWriter::create(path)?;
        self.scan(&[], &KEYS_END, &mut |key, value| writer.put(key, value))?;
        writer.finish_file()
    }

    /// What was written is where it is to be: later pictures may go on it.
    fn kept(&self) {}
}

/// Greater than all keys of a backend.
pub const KEYS_END: [u8; 32] = [0xff; 32];

/// A file of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateFile {
    /// Its name in the directory.
    pub name: String,
    /// Its size.
    pub size_bytes: u64,
    /// XXH3-64 of its content, of a file of which that is known since it was written.
    pub xxh3: Option<u64>,
    /// The content under this name never changes in the life of this backend, nor in the life of one that is opened from
    /// these files: later pictures may refer to the file instead of holding it again.
    pub is_shared: bool,
}
