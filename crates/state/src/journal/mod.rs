//! The *journal*: what was written, in the order in which it was, in files that are only appended to.
//!
//! A backend whose hot sets hold all of its state needs no order on disk: nobody reads below the hot set. Then appending is all that a
//! checkpoint costs. A [`Journal`] is a chain of files, each the writes between two pictures; what is written later replaces what was
//! written before. What a journal is written on top of, if anything, is its *base*.
//!
//! **Parts.** Keys are dealt out to [`PARTS`] parts by their table and key group, and a file keeps the records of each part in blocks of its own, of which its footer
//! says where they are: who opens a journal again reads a part when it is asked for. What is
//! replaced is cleaned up part by part, on the thread that stores a picture: when more than half of all records say nothing any more, the
//! records of the next part are read, and those that hold written anew. A picture writes so no more for cleaning than for what has
//! changed, and a part: no checkpoint writes everything. The part is *dead* in the files that it was read from, which the chain
//! notes; a file with nothing but dead parts goes. Of keys that were removed nothing is left then, unless the base may have them.
//! Neighbours are merged when files are many, a little at a time.
//!
//! Numbers are little endian; a `varint` has seven bits per byte, the lowest first, the high bit set on all but the last.
//!
//! | part | content |
//! |---|---|
//! | header | `"EDDYJRNL"`, version `u16` |
//! | block, any number | `1`, of columns `3` (`u8`), part `u8`, length of the payload `u32`, payload, checksum `u64` |
//! | footer | `2` (`u8`), number of records `u64`, how many of these and of those before say nothing any more `u64`, index, length of the footer so far `u32`, checksum `u64` |
//!
//! The index: number of blocks `u32`, of each its part `u8` and the length of its payload `u32`, in their order; then of each part that has blocks, ascending, its records `u64`, and how many of these and of
//! those before say nothing any more `u64`; then the tables that keys are of: their number `u32`, of each operator and table as in keys, ascending.
//!
//! A payload is its records one after another: `1` put or `2` removal (`u8`), how many leading bytes the key shares with the key before it
//! in the block (`u8`), length of the rest (varint), length of the value (varint, not in removals), rest of the key, value. A checksum is
//! XXH3-64 over all bytes of its block or footer before it, seeded with the number of blocks before it. Many entries that are set at once are
//! [blocks of columns](columns). (Older versions are read still: 3, without an index, in which notes are in any part; 2, without columns; 1, which has blocks without
//! parts, and the record `3`, the removal of a range, whose value is the key that it ends before.)
//!
//! The order of the files, merged ones have later numbers, is in the file `journal` beside them: a name per line, behind a space the parts
//! that are not dead if any is (a bit per part, 32 hexadecimal digits), then the XXH3-64 of these lines in hexadecimal digits.

mod chain;
mod columns;
mod merge;
mod reader;
mod segment;
mod writer;

pub(crate) use chain::{Base, Chain, Journal, Link, found, remove, remove_file, write_names};
pub(crate) use reader::read;
use writer::Writer;

use crate::TableId;
use crate::lead::{BY_LEAD, NOTES};
use crate::puts::deal;
use eddyline_changes::KeyGroup;

const MAGIC: &[u8; 8] = b"EDDYJRNL";
const VERSION: u16 = 4;
/// The first version whose footers have an index.
const INDEXED: u16 = 4;
/// The version without parts.
const UNPARTED: u16 = 1;
const HEADER_BYTES: usize = 10;
/// A block ends when its payload is at least this long. One for every part is in memory.
const BLOCK_BYTES: usize = 32 * 1024;
/// Kind, part and length.
const BLOCK_HEAD_BYTES: usize = 6;
/// Kind and two numbers, which is all that there is of versions without an index.
const FOOTER_BYTES: usize = 17;
const CHECKSUM_BYTES: usize = 8;
const BLOCK: u8 = 1;
const FOOTER: u8 = 2;
const COLUMNS: u8 = 3;
const PUT: u8 = 1;
const DELETE: u8 = 2;
const DELETE_RANGE: u8 = 3;
/// Operator, table and key group: more of a key is seldom shared with the one before.
const SHARED_MAX: usize = 12;
/// Operator and table in a full key.
pub(crate) const TABLE_BYTES: usize = 10;
/// How many parts there are: the bits of a [`Parts`].
pub(crate) const PARTS: usize = 128;

/// Tables with these numbers and greater ones, without leads, hold notes: some entries for each key group, read at once.
pub const NOTES_FROM: TableId = 100;

/// A set of parts.
pub(crate) type Parts = u128;

/// All parts.
pub(crate) const ALL: Parts = Parts::MAX;

/// The part that a full key belongs to.
pub(crate) fn part_of(key: &[u8]) -> usize {
    match key.first_chunk::<12>() {
        Some(prefix) => part_of_prefix(*prefix),
        // No key of a table.
        None => xxhash_rust::xxh3::xxh3_64(key) as usize % (PARTS - 1),
    }
}

/// The part that the keys of a key group of a table belong to.
pub(crate) fn part_of_group(operator: u64, table: TableId, group: KeyGroup) -> usize {
    let mut prefix = [0; 12];
    prefix[..TABLE_BYTES].copy_from_slice(&table_prefix(operator, table));
    prefix[TABLE_BYTES..].copy_from_slice(&group.to_be_bytes());
    part_of_prefix(prefix)
}

/// What all full keys of a table begin with.
fn table_prefix(operator: u64, table: TableId) -> [u8; TABLE_BYTES] {
    let mut prefix = [0; TABLE_BYTES];
    prefix[..8].copy_from_slice(&operator.to_be_bytes());
    prefix[8..].copy_from_slice(&table.to_be_bytes());
    prefix
}

/// Key groups next to each other are in different parts, and so are the tables of a job that have few. What is noted for each
/// key group, and read at once when a table is opened, has the last part to itself.
fn part_of_prefix(prefix: [u8; 12]) -> usize {
    let [table @ .., high, low] = prefix;
    let [.., id_high, id_low] = table;
    if is_noted(TableId::from_be_bytes([id_high, id_low])) {
        return PARTS - 1;
    }
    let group = KeyGroup::from_be_bytes([high, low]);
    deal(group).wrapping_add(xxhash_rust::xxh3::xxh3_64(&table) as usize) % (PARTS - 1)
}

/// The parts that the keys of a table may belong to.
pub(crate) fn parts_of_table(table: TableId) -> Parts {
    let notes = 1 << (PARTS - 1);
    if is_noted(table) { notes } else { ALL & !notes }
}

/// Has a table few entries for each key group, which are read at once?
fn is_noted(table: TableId) -> bool {
    table & NOTES != 0 || (NOTES_FROM..BY_LEAD).contains(&table)
}

/// Full keys in a range, and the parts that they may belong to.
pub(crate) struct Piece {
    pub(crate) from: Vec<u8>,
    pub(crate) to: Vec<u8>,
    pub(crate) parts: Parts,
}

/// The full keys in `from..to`, cut where another key group begins if they are all of one table.
pub(crate) fn by_group(from: &[u8], to: &[u8]) -> Vec<Piece> {
    let group_of = |key: &[u8]| Some(KeyGroup::from_be_bytes(*key.get(TABLE_BYTES..)?.first_chunk()?));
    let (Some(first), Some(last), true) =
        (group_of(from), group_of(to), from.get(..TABLE_BYTES) == to.get(..TABLE_BYTES))
    else {
        return vec![Piece { from: from.to_vec(), to: to.to_vec(), parts: ALL }];
    };
    let begin = |group: KeyGroup| [&from[..TABLE_BYTES], &group.to_be_bytes()].concat();
    let piece = |group: KeyGroup| {
        let from = if group == first { from.to_vec() } else { begin(group) };
        let to = if group == last { to.to_vec() } else { begin(group + 1) };
        Piece { parts: 1 << part_of(&from), from, to }
    };
    (first..=last).map(piece).filter(|piece| piece.from < piece.to).collect()
}

/// The parts that the keys in `from..to` may belong to.
pub(crate) fn parts_between(from: &[u8], to: &[u8]) -> Parts {
    by_group(from, to).iter().fold(0, |parts, piece| parts | piece.parts)
}

#[cfg(test)]
mod tests;
