//! Files of a journal made one.

use super::chain::Base;
use super::chain::{Segment, ended};
use super::{Writer, read};
use crate::batch::WriteRef;
use crate::{Batch, StateError};
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::path::Path;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_128;

/// Records that are told apart at a time, in memory.
const PART_RECORDS: u64 = 4 << 20;

/// Where a record is: number of its file, and its number in it. What is later is greater.
type Position = (usize, u64);

/// Removals that are looked for in the base at a time.
const LOOKED_FOR: usize = 1024;

/// What is there before the files that are merged, from which a removal in them could remove.
pub(super) enum Before<'a> {
    Nothing,
    /// What the journal is written on.
    Base(&'a Base),
    /// Older files, and whatever is before them.
    Files,
}

/// One file that says what `run` says, each key once.
pub(super) fn merge(run: &[Arc<Segment>], from: Before<'_>, path: &Path) -> Result<Segment, StateError> {
    let from_start = matches!(from, Before::Nothing);
    let before: u64 = run.iter().map(|s| s.records).sum();
    let waste: u64 = run.iter().map(|s| s.waste).sum();
    let mut writer = Writer::create(path)?;
    let mut ranges = Ranges::default();
    let parts = before.div_ceil(PART_RECORDS).max(1);
    for part in 0..parts {
        let is_here = |hash: u128| (hash >> 64) as u64 % parts == part;
        // Keys are told apart by 128 bits of hash.
        let mut last: HashMap<u128, Position, BuildHasherDefault<Low>> = HashMap::default();
        for (at, segment) in run.iter().enumerate() {
            numbered(segment, at, &mut |position, write| {
                if let WriteRef::DeleteRange(from, to) = write {
                    if part > 0 {
                        return Ok(());
                    }
                    ranges.remove(from, to, position);
                    // Before all entries: those that it would remove are left out.
                    return if from_start { Ok(()) } else { writer.push(write) };
                }
                let hash = xxh3_128(write.key());
                if is_here(hash) {
                    last.insert(hash, position);
                }
                Ok(())
            })?;
        }
        let mut removals = Batch::new();
        for (at, segment) in run.iter().enumerate() {
            numbered(segment, at, &mut |position, write| {
                let stays = match write {
                    WriteRef::Put(key, _) => !ranges.removed(key, position),
                    WriteRef::Delete(key) => !from_start && !ranges.removed(key, position),
                    WriteRef::DeleteRange(..) => false,
                };
                let hash = xxh3_128(write.key());
                if !stays || !is_here(hash) || last.get(&hash) != Some(&position) {
                    return Ok(());
                }
                match (&from, write) {
                    (Before::Base(base), WriteRef::Delete(key)) => {
                        removals.delete(key);
                        if removals.len() < LOOKED_FOR { Ok(()) } else { push_needed(&mut removals, base, &mut writer) }
                    }
                    _ => writer.push(write),
                }
            })?;
        }
        if let Before::Base(base) = &from {
            push_needed(&mut removals, base, &mut writer)?;
        }
    }
    // From the beginning on, all that is left says something.
    writer.waste = match from {
        Before::Files => waste.saturating_sub(before.saturating_sub(writer.records)),
        Before::Nothing | Before::Base(_) => 0,
    };
    ended(writer)
}

/// Writes the removals of what the base may have.
fn push_needed(removals: &mut Batch, base: &Base, writer: &mut Writer) -> Result<(), StateError> {
    let keys: Vec<&[u8]> = removals.iter().map(|write| write.key()).collect();
    let is_needed = base(&keys);
    let needed = removals.iter().zip(is_needed).filter(|(_, is_needed)| *is_needed);
    needed.map(|(write, _)| write).try_for_each(|write| writer.push(write))?;
    removals.clear();
    Ok(())
}

fn numbered(
    segment: &Segment,
    at: usize,
    each: &mut dyn FnMut(Position, WriteRef<'_>) -> Result<(), StateError>,
) -> Result<(), StateError> {
    let mut number = 0;
    read(&segment.path, &mut |write| {
        number += 1;
        each((at, number), write)
    })?;
    Ok(())
}

/// The last removal of a range that a key lies in.
#[derive(Debug, Default)]
struct Ranges {
    /// What holds from a key until the next one.
    from: BTreeMap<Vec<u8>, Option<Position>>,
}

impl Ranges {
    /// A removal that is later than all so far.
    fn remove(&mut self, from: &[u8], to: &[u8], position: Position) {
        if from >= to {
            return;
        }
        let behind = self.at(to);
        let inside: Vec<Vec<u8>> = self.from.range(from.to_vec()..to.to_vec()).map(|(key, _)| key.clone()).collect();
        inside.iter().for_each(|key| {
            self.from.remove(key);
        });
        self.from.insert(from.to_vec(), Some(position));
        self.from.insert(to.to_vec(), behind);
    }

    fn at(&self, key: &[u8]) -> Option<Position> {
        let until = (std::ops::Bound::Unbounded, std::ops::Bound::Included(key));
        self.from.range::<[u8], _>(until).next_back().and_then(|(_, position)| *position)
    }

    /// Was what stands at a position removed by a later range?
    fn removed(&self, key: &[u8], position: Position) -> bool {
        self.at(key).is_some_and(|later| later > position)
    }
}

/// The low half of what is a hash already.
#[derive(Default)]
struct Low(u64);

impl Hasher for Low {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        debug_assert!(false, "keys are numbers of 128 bits");
    }

    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }
}
