use crate::StateError;

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

/// What is done with every key and value of a scan.
pub type Each<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), StateError> + 'a;

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

    /// Applies `writes` in order, as one.
    ///
    /// # Errors
    /// The store cannot be written; then nothing was.
    fn write(&self, writes: Vec<Write>) -> Result<(), StateError>;

    /// True while the store holds nothing at all: then look-ups of missing keys can be spared.
    fn is_empty(&self) -> bool;
}
