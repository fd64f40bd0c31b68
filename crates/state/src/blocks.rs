//! What files of blocks have in common, the entries file and the journal: numbers of variable length, and pieces that are followed by
//! their checksum.

use crate::StateError;
use std::io::Write;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64_with_seed};

/// Writes pieces of a file.
pub(crate) struct BlockWriter<W: Write> {
    pub(crate) out: W,
    path: PathBuf,
    /// Blocks so far, with which checksums are seeded: so none can be lost, come twice or change places unnoticed.
    pub(crate) blocks: u64,
    pub(crate) size_bytes: u64,
    /// Of all that was written.
    hash: Xxh3Default,
}

impl<W: Write> BlockWriter<W> {
    /// Writes to `out`; errors name `path`.
    pub(crate) fn new(out: W, path: &Path) -> Self {
        Self { out, path: path.into(), blocks: 0, size_bytes: 0, hash: Xxh3Default::new() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        self.size_bytes += bytes.len() as u64;
        self.hash.update(bytes);
        self.out.write_all(bytes).map_err(|e| StateError::io(&self.path, e))
    }

    /// Writes bytes and their checksum, which is appended to them.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn put_checked(&mut self, bytes: &mut Vec<u8>) -> Result<(), StateError> {
        let checksum = xxh3_64_with_seed(bytes, self.blocks);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        self.put(bytes)
    }

    /// Brings everything to what is written to.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn flush(&mut self) -> Result<(), StateError> {
        self.out.flush().map_err(|e| StateError::io(&self.path, e))
    }

    /// XXH3-64 of all that was written.
    pub(crate) fn xxh3(&self) -> u64 {
        self.hash.digest()
    }
}

/// Appends a number: seven bits per byte, the lowest first, the high bit set on all but the last.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes such a number from the front of `bytes`; `None`: there is none.
pub(crate) fn varint(bytes: &mut &[u8]) -> Option<usize> {
    let mut number = 0usize;
    for shift in (0..usize::BITS).step_by(7) {
        let byte = *bytes.split_off_first()?;
        number |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
