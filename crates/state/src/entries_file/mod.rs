//! The *entries file*: sorted keys and values in one file, whatever backend they come from. The memory backend's pictures and
//! savepoints are such files.
//!
//! Numbers are little endian; a `varint` has seven bits per byte, the lowest first, the high bit set on all but the last.
//!
//! | part | content |
//! |---|---|
//! | header | `"EDDYENTR"`, version `u16` |
//! | block, any number | `1` (`u8`), number of entries `u32`, length of the payload `u32`, payload, checksum `u64` |
//! | footer | `2` (`u8`), number of entries `u64`, number of blocks `u64`, checksum `u64` |
//!
//! A payload is its entries one after another: how many leading bytes the key shares with the key before it in the block
//! (varint), length of the rest (varint), length of the value (varint), rest of the key, value. Keys are strictly ascending in the
//! whole file. A checksum is XXH3-64 over all bytes of its block or footer before it, seeded with the number of
//! blocks before it: so none can be lost, come twice or change places unnoticed.

mod reader;
mod writer;

pub use reader::EntriesReader;
pub use writer::EntriesWriter;

const MAGIC: &[u8; 8] = b"EDDYENTR";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 10;
/// A block ends when its payload is at least this long.
const BLOCK_BYTES: usize = 64 * 1024;
/// Kind, number of entries, length.
const BLOCK_HEAD_BYTES: usize = 9;
/// Kind, number of entries, number of blocks.
const FOOTER_BYTES: usize = 17;
const CHECKSUM_BYTES: usize = 8;
const BLOCK: u8 = 1;
const FOOTER: u8 = 2;

#[cfg(test)]
mod tests;
