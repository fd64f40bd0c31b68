//! Parts of files made one.

use super::chain::{Base, Link};
use super::reader::Block;
use super::{PARTS, Parts, Writer};
use crate::batch::WriteRef;
use crate::{Batch, StateError};
use hashbrown::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use xxhash_rust::xxh3::xxh3_128;

/// Removals that are looked for in the base at a time.
const LOOKED_FOR: usize = 1024;

/// What is there before the files that are merged, from which a removal in them could remove.
#[derive(Clone, Copy)]
pub(super) enum Before<'a> {
    Nothing,
    /// What the journal is written on.
    Base(&'a Base),
    /// Older files, and whatever is before them.
    Files,
}

/// Writes what `run` says of one part, each key once.
pub(super) fn merge_part(run: &[Link], part: usize, before: Before<'_>, writer: &mut Writer) -> Result<(), StateError> {
    let of_part = || run.iter().filter(|link| link.has(part));
    let sum = |of: fn(&super::segment::Part) -> u64| of_part().map(|link| of(&link.segment.parts[part])).sum::<u64>();
    let (read, waste) = (sum(|p| p.records), sum(|p| p.waste));
    let mut blocks = Vec::new();
    for link in of_part() {
        blocks.extend(link.segment.blocks(part)?.into_iter().map(|block| (link, block)));
    }
    let mut counts = last_of_each(&blocks, read as usize)?.into_iter();
    let (mut removals, written) = (Batch::new(), writer.parts[part].records);
    for (link, block) in &blocks {
        let corrupt = || StateError::corrupt_file(&link.segment.path, "a record does not fit its block");
        if let Some(puts) = block.columns() {
            let puts = puts.ok_or_else(corrupt)?;
            let counts: Vec<bool> = counts.by_ref().take(puts.len()).collect();
            writer.put_of(part, &puts.filtered(&counts)?)?;
            continue;
        }
        block
            .each(&mut |write| match (before, write) {
                _ if counts.next() != Some(true) => Ok(()),
                (Before::Nothing, WriteRef::Delete(_)) => Ok(()),
                (Before::Base(base), WriteRef::Delete(key)) => {
                    removals.delete(key);
                    if removals.len() < LOOKED_FOR { Ok(()) } else { push_needed(&mut removals, base, writer) }
                }
                _ => writer.push(write).map(drop),
            })
            .unwrap_or_else(|| Err(corrupt()))?;
    }
    if let Before::Base(base) = before {
        push_needed(&mut removals, base, writer)?;
    }
    let kept = writer.parts[part].records - written;
    // From the beginning on, all that is left says something.
    if let Before::Files = before {
        writer.parts[part].waste += waste.saturating_sub(read - kept);
    }
    writer.end_block(part)
}

/// Writes what `run` says, each key once. Returns its parts.
pub(super) fn merge(run: &[Link], before: Before<'_>, writer: &mut Writer) -> Result<Parts, StateError> {
    let parts = run.iter().fold(0, |parts, link| parts | link.parts);
    for part in (0..PARTS).filter(|part| parts & (1 << part) != 0) {
        merge_part(run, part, before, writer)?;
    }
    Ok(parts)
}

/// Of each record, whether it is the last of its key, which is what counts. Keys are told apart by 128 bits of hash.
fn last_of_each(blocks: &[(&Link, Block)], records: usize) -> Result<Vec<bool>, StateError> {
    let mut last: HashMap<u128, usize, BuildHasherDefault<Low>> =
        HashMap::with_capacity_and_hasher(records, Default::default());
    let mut is_last = Vec::with_capacity(records);
    for (link, block) in blocks {
        let corrupt = || StateError::corrupt_file(&link.segment.path, "a record does not fit its block");
        let mut each = |write: WriteRef<'_>| {
            if let Some(before) = last.insert(xxh3_128(write.key()), is_last.len()) {
                is_last[before] = false;
            }
            is_last.push(true);
            Ok(())
        };
        block.each(&mut each).unwrap_or_else(|| Err(corrupt()))?;
    }
    Ok(is_last)
}

/// Writes the removals of what the base may have.
fn push_needed(removals: &mut Batch, base: &Base, writer: &mut Writer) -> Result<(), StateError> {
    let keys: Vec<&[u8]> = removals.iter().map(|write| write.key()).collect();
    let is_needed = base(&keys);
    let needed = removals.iter().zip(is_needed).filter(|(_, is_needed)| *is_needed);
    needed.map(|(write, _)| write).try_for_each(|write| writer.push(write).map(drop))?;
    removals.clear();
    Ok(())
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
