//! Rows that have one lead are one entry of the database, a *pack*: who looks for a lead finds all of its rows at once, and what is
//! written of it is one entry, however many rows that are.
//!
//! A write of rows is an operand that RocksDB merges with what it has, whenever it comes across both. An operand is the byte [`ROWS`], or
//! [`CHANGES`] if any row is removed, and rows, ascending by the *rest*, what is behind the lead in their keys; or [`RANGE`], the removal of all
//! rows from one rest to before another. What operands are merged to is [`ROWS`].
//!
//! | part of a row | content |
//! |---|---|
//! | shared | how many bytes the rest begins with that the one before it begins with (varint; 0 in the first row) |
//! | length | of the rest without these (varint) |
//! | value | its length and one; 0: the row is removed (varint) |
//! | | the rest, without what is shared; the value |

use crate::blocks::{put_varint, varint};

const ROWS: u8 = 0;
const RANGE: u8 = 1;
const CHANGES: u8 = 2;

/// What RocksDB can hold of one entry is a little more.
const BYTES_MAX: usize = 2 << 30;
/// Few rows take less in an operand.
const ROW_BYTES: usize = 16;

/// What stands in the database is no pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damaged;

/// Rows on their way into a pack.
#[derive(Debug)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    last: Vec<u8>,
    rows: usize,
    removals: usize,
}

impl Writer {
    /// No rows.
    pub(super) fn new() -> Self {
        Self { bytes: vec![ROWS], last: Vec::new(), rows: 0, removals: 0 }
    }

    /// Sets the value of the row behind all others, or says that there is none.
    pub(super) fn push(&mut self, rest: &[u8], value: Option<&[u8]>) {
        let shared = rest.iter().zip(&self.last).take_while(|(a, b)| a == b).count();
        put_varint(&mut self.bytes, shared);
        put_varint(&mut self.bytes, rest.len() - shared);
        put_varint(&mut self.bytes, value.map_or(0, |value| value.len() + 1));
        self.bytes.extend_from_slice(&rest[shared..]);
        self.bytes.extend_from_slice(value.unwrap_or_default());
        self.last.truncate(shared);
        self.last.extend_from_slice(&rest[shared..]);
        self.rows += 1;
        if value.is_none() {
            self.removals += 1;
            self.bytes[0] = CHANGES;
        }
    }

    /// Are most of the rows removed ones?
    pub(super) fn removes_most(&self) -> bool {
        self.removals * 2 > self.rows
    }

    /// The rows as an operand.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets the rows; keeps the memory.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.push(ROWS);
        self.last.clear();
        (self.rows, self.removals) = (0, 0);
    }
}

/// An operand that removes the rows from one rest to before another; `None`: to the last.
pub(super) fn removal(from: &[u8], to: Option<&[u8]>) -> Vec<u8> {
    let mut operand = vec![RANGE];
    put_varint(&mut operand, from.len());
    operand.extend_from_slice(from);
    if let Some(to) = to {
        operand.push(1);
        operand.extend_from_slice(to);
    }
    operand
}

/// A row's rest, and its value or that it is removed.
pub(super) type Row<'r, 'a> = (&'r [u8], Option<&'a [u8]>);

/// The rows of a pack, one after another.
pub(super) struct Rows<'a> {
    left: &'a [u8],
    rest: Vec<u8>,
}

impl<'a> Rows<'a> {
    /// Those of `pack`.
    pub(super) fn of(pack: &'a [u8]) -> Result<Self, Damaged> {
        match pack.split_first() {
            Some((&(ROWS | CHANGES), left)) => Ok(Self { left, rest: Vec::new() }),
            _ => Err(Damaged),
        }
    }

    /// The next row; `None` behind the last.
    pub(super) fn next(&mut self) -> Result<Option<Row<'_, 'a>>, Damaged> {
        if self.left.is_empty() {
            return Ok(None);
        }
        let mut number = || varint(&mut self.left).ok_or(Damaged);
        let (shared, length, value) = (number()?, number()?, number()?);
        if shared > self.rest.len() {
            return Err(Damaged);
        }
        self.rest.truncate(shared);
        self.rest.extend_from_slice(self.left.split_off(..length).ok_or(Damaged)?);
        let value = match value.checked_sub(1) {
            None => None,
            Some(bytes) => Some(self.left.split_off(..bytes).ok_or(Damaged)?),
        };
        Ok(Some((&self.rest, value)))
    }
}

/// The value of the row with this rest.
pub(super) fn find<'a>(pack: &'a [u8], rest: &[u8]) -> Result<Option<&'a [u8]>, Damaged> {
    let mut rows = Rows::of(pack)?;
    while let Some((at, value)) = rows.next()? {
        if at >= rest {
            return Ok(value.filter(|_| at == rest));
        }
    }
    Ok(None)
}

/// Holds a pack no rows?
pub(super) fn is_empty(pack: &[u8]) -> bool {
    pack == [ROWS]
}

/// What operands, oldest first, are together. `is_whole`: nothing is below them. `None`: they are damaged, too many, or cannot be made one without what is below.
pub(super) fn merged<'a>(operands: impl Iterator<Item = &'a [u8]>, is_whole: bool) -> Option<Vec<u8>> {
    let mut operands = operands.peekable();
    let mut merging = Merging::default();
    while let Some(operand) = operands.next() {
        match operand.split_first()? {
            (&ROWS, _) if merging.rows.is_empty() && operands.peek().is_none() => return Some(operand.to_vec()),
            (&(ROWS | CHANGES), _) => merging.add(operand).ok()?,
            (&RANGE, range) if is_whole => merging.remove(range).ok()?,
            _ => return None,
        }
    }
    (merging.bytes <= BYTES_MAX).then(|| merging.end(is_whole))
}

/// Rows of several operands.
#[derive(Default)]
struct Merging<'a> {
    /// Of all operands.
    bytes: usize,
    rests: Vec<u8>,
    /// Where their rests end, which begin where those before them end, and their values.
    rows: Vec<Merged<'a>>,
}

#[derive(Clone, Copy)]
struct Merged<'a> {
    start: usize,
    end: usize,
    value: Option<&'a [u8]>,
}

impl<'a> Merging<'a> {
    fn add(&mut self, operand: &'a [u8]) -> Result<(), Damaged> {
        let mut rows = Rows::of(operand)?;
        self.bytes += operand.len();
        self.rests.reserve(2 * operand.len());
        self.rows.reserve(operand.len() / ROW_BYTES);
        while let Some((rest, value)) = rows.next()? {
            let start = self.rests.len();
            self.rests.extend_from_slice(rest);
            self.rows.push(Merged { start, end: self.rests.len(), value });
        }
        Ok(())
    }

    fn remove(&mut self, mut range: &[u8]) -> Result<(), Damaged> {
        let length = varint(&mut range).ok_or(Damaged)?;
        let from = range.split_off(..length).ok_or(Damaged)?;
        let to = range.split_first().map(|(_, to)| to);
        let rests = &self.rests;
        let is_in = |rest: &[u8]| rest >= from && to.is_none_or(|to| rest < to);
        self.rows.retain(|row| !is_in(&rests[row.start..row.end]));
        Ok(())
    }

    /// The rows in order, of equal ones the last.
    fn end(mut self, is_whole: bool) -> Vec<u8> {
        let rests = &self.rests;
        let rest = |row: &Merged<'_>| &rests[row.start..row.end];
        // Each operand is in order, which a stable sort makes use of.
        self.rows.sort_by(|a, b| rest(a).cmp(rest(b)));
        let mut writer = Writer::new();
        writer.bytes.reserve(self.bytes);
        for (at, row) in self.rows.iter().enumerate() {
            let is_replaced = self.rows.get(at + 1).is_some_and(|next| rest(next) == rest(row));
            if is_replaced || is_whole && row.value.is_none() {
                continue;
            }
            writer.push(rest(row), row.value);
        }
        writer.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    type Map = BTreeMap<Vec<u8>, Vec<u8>>;

    #[derive(Debug, Clone)]
    enum Operand {
        Rows(BTreeMap<Vec<u8>, Option<Vec<u8>>>),
        Range(Vec<u8>, Option<Vec<u8>>),
    }

    fn operand() -> impl Strategy<Value = Operand> {
        let rest = || vec(0..3u8, 0..4);
        let rows = prop::collection::btree_map(rest(), prop::option::of(vec(any::<u8>(), 0..200)), 0..6);
        prop_oneof![4 => rows.prop_map(Operand::Rows), 1 => (rest(), prop::option::of(rest())).prop_map(|(a, b)| Operand::Range(a, b))]
    }

    fn bytes(operand: &Operand) -> Vec<u8> {
        match operand {
            Operand::Range(from, to) => removal(from, to.as_deref()),
            Operand::Rows(rows) => {
                let mut writer = Writer::new();
                rows.iter().for_each(|(rest, value)| writer.push(rest, value.as_deref()));
                writer.bytes
            }
        }
    }

    fn rows(pack: &[u8]) -> Map {
        let (mut rows, mut found) = (Rows::of(pack).expect("a pack"), Map::new());
        while let Some((rest, value)) = rows.next().expect("a row") {
            assert!(found.insert(rest.to_vec(), value.expect("nothing removed").to_vec()).is_none());
        }
        found
    }

    proptest! {
        /// However operands are merged on the way, what they are together is what they say one after another.
        #[test]
        fn operands_are_what_they_say_one_after_another(operands in vec(operand(), 0..8), cuts in vec(any::<bool>(), 8)) {
            let mut expected = Map::new();
            for operand in &operands {
                match operand {
                    Operand::Rows(rows) => for (rest, value) in rows {
                        match value {
                            Some(value) => drop(expected.insert(rest.clone(), value.clone())),
                            None => drop(expected.remove(rest)),
                        }
                    },
                    Operand::Range(from, to) => {
                        expected.retain(|rest, _| rest < from || to.as_ref().is_some_and(|to| rest >= to));
                    }
                }
            }
            let operands: Vec<Vec<u8>> = operands.iter().map(bytes).collect();
            let whole = merged(operands.iter().map(Vec::as_slice), true).expect("they can be merged");
            prop_assert_eq!(rows(&whole), expected.clone());
            prop_assert_eq!(is_empty(&whole), expected.is_empty());
            for (rest, value) in &expected {
                prop_assert_eq!(find(&whole, rest), Ok(Some(value.as_slice())));
            }
            prop_assert_eq!(find(&whole, &[1, 9]), Ok(None));
            // Neighbours first.
            let mut pieces: Vec<Vec<u8>> = Vec::new();
            for (operand, is_cut) in operands.into_iter().zip(cuts) {
                let both = pieces.last().filter(|_| !is_cut).map(|last| [last.clone(), operand.clone()]);
                match both.and_then(|both| merged(both.iter().map(Vec::as_slice), false)) {
                    Some(together) => *pieces.last_mut().expect("there is one") = together,
                    None => pieces.push(operand),
                }
            }
            prop_assert_eq!(merged(pieces.iter().map(Vec::as_slice), true), Some(whole));
        }
    }

    #[test]
    fn what_is_no_pack_is_not_read() {
        let mut writer = Writer::new();
        writer.push(b"ab", Some(b"value"));
        writer.push(b"ac", None);
        let pack = writer.bytes;
        assert_eq!(find(&pack, b"ab"), Ok(Some(&b"value"[..])));
        for length in (0..pack.len()).filter(|length| *length != 1 && *length != 11) {
            let cut = &pack[..length];
            let all = Rows::of(cut).and_then(|mut rows| {
                while rows.next()?.is_some() {}
                Ok(())
            });
            assert_eq!(all, Err(Damaged), "{length}");
            assert_eq!(merged(std::iter::once(cut), true), None, "{length}");
        }
        assert_eq!(find(&[ROWS, 1, 1, 1], b""), Err(Damaged));
        assert_eq!(Rows::of(&removal(b"a", None)).err(), Some(Damaged));
    }
}
