//! The *journal*: what was written, in the order in which it was, in files that are only appended to.
//!
//! A backend whose hot sets hold all of its state needs no order on disk: nobody reads below the hot set. Then appending is all that a
//! checkpoint costs. A [`Journal`] is a chain of files, each the writes between two pictures; what is written later replaces what was
//! written before. Files are merged, on the thread that stores a picture, when they are many or most of their entries are replaced. What a journal is
//! written on top of, if anything, is its *base*: a removal of what is in neither is left out then.
//!
//! Numbers are little endian; a `varint` has seven bits per byte, the lowest first, the high bit set on all but the last.
//!
//! | part | content |
//! |---|---|
//! | header | `"EDDYJRNL"`, version `u16` |
//! | block, any number | `1` (`u8`), length of the payload `u32`, payload, checksum `u64` |
//! | footer | `2` (`u8`), number of records `u64`, how many of these and of those before say nothing any more `u64`, checksum `u64` |
//!
//! A payload is its records one after another: `1` put, `2` removal or `3` removal of a range (`u8`), how many leading bytes the key shares with the key before it
//! in the block (`u8`), length of the rest (varint), length of the value (varint, not in
//! removals), rest of the key, value. The value of a range is the key that it ends before. A checksum is XXH3-64
//! over all bytes of its block or footer before it, seeded with the number of blocks before it.
//!
//! The order of the files, merged ones have later numbers, is in the file `journal` beside them: a name per line, then the XXH3-64 of
//! these lines in hexadecimal digits.

mod chain;
mod merge;
mod reader;
mod writer;

pub(crate) use chain::{Chain, Journal, found, remove, write_names};
pub(crate) use reader::read;
use writer::Writer;

const MAGIC: &[u8; 8] = b"EDDYJRNL";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 10;
/// A block ends when its payload is at least this long.
const BLOCK_BYTES: usize = 256 * 1024;
/// Kind and length.
const BLOCK_HEAD_BYTES: usize = 5;
/// Kind and two numbers.
const FOOTER_BYTES: usize = 17;
const CHECKSUM_BYTES: usize = 8;
const BLOCK: u8 = 1;
const FOOTER: u8 = 2;
const PUT: u8 = 1;
const DELETE: u8 = 2;
const DELETE_RANGE: u8 = 3;
/// Operator, table and key group: more of a key is seldom shared with the one before.
const SHARED_MAX: usize = 12;

#[cfg(test)]
mod tests;
