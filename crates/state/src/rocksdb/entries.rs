//! What a database holds in terms of full keys and values, whatever stands for them there: rows with leads are in [packs](super::packs), under
//! their keys up to the end of the lead, in tables whose numbers have the bit [`PACKED`]. Everything else stands under its key.
//!
//! Both orders are the same: all keys with a lead stand where its pack does. A pack takes 2 GiB at most, far more than the rows of one lead can be that are
//! in memory together; more fails.

use super::backend::ScanError;
use super::options::{everything, scanning};
use super::packs::{self, Damaged, Rows};
use crate::Batch;
use crate::StateError;
use crate::backend::{Each, EachOf};
use crate::batch::WriteRef;
use crate::lead::{BY_LEAD, LEAD_AT, PACKED, up_to_lead};
use rocksdb::{DB, DBPinnableSlice, DEFAULT_COLUMN_FAMILY_NAME, MergeOperands, SstFileWriter, WriteBatch};

/// Keys that are looked up at a time: their blocks stay in memory until all are found.
const GET_BATCH: usize = 128;
/// Where the first byte of a table's number stands.
const TABLE_AT: usize = 8;
/// What is there of bits of the first byte of a table's number.
const PACKED_BIT: u8 = (PACKED >> 8) as u8;
/// Bytes of rows of an older version that are put into packs at a time.
const PACKED_AT_ONCE_BYTES: usize = 4 << 20;

/// What is done with the place of a key, and the value that was found.
type EachFound<'a> = dyn FnMut(usize, &[u8]) -> Result<(), ScanError> + 'a;

/// Does a key begin as those of a table with leads do?
fn is_led(key: &[u8]) -> bool {
    key.get(TABLE_AT).is_some_and(|first| first >> 6 == (BY_LEAD >> 14) as u8)
}

/// Where a key stands in the database, or a key that begins so.
fn there(key: &[u8]) -> Vec<u8> {
    let mut there = key.to_vec();
    if is_led(key) {
        there[TABLE_AT] |= PACKED_BIT;
    }
    there
}

/// The full key for which a key of the database stands, or what those of a pack begin with.
fn here(key: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(key);
    if is_led(key) {
        out[TABLE_AT] &= !PACKED_BIT;
    }
}

/// A key up to the end of its lead, and what is behind it; `None` of keys that are in no pack: those without a lead, and those with an empty one, which may be
/// all of a table and are gone through a piece at a time.
fn split(key: &[u8]) -> Option<(&[u8], &[u8])> {
    up_to_lead(key).filter(|lead| lead.len() > LEAD_AT).map(|lead| key.split_at(lead.len()))
}

/// What stands in the database for a key: that of its pack, or itself.
fn pack_or_key(key: &[u8]) -> &[u8] {
    split(key).map_or(key, |(lead, _)| lead)
}

impl From<Damaged> for ScanError {
    fn from(_: Damaged) -> Self {
        Self::Damaged
    }
}

/// Values of some of `keys`, which are at `wanted` there. Of the others nothing is said.
pub(super) fn find(db: &DB, keys: &[&[u8]], mut wanted: Vec<usize>) -> Result<Vec<Option<Vec<u8>>>, ScanError> {
    wanted.sort_unstable_by_key(|at| keys[*at]);
    let mut values = vec![None; keys.len()];
    for wanted in wanted.chunks(GET_BATCH) {
        let asked: Vec<Vec<u8>> = wanted.iter().map(|at| there(pack_or_key(keys[*at]))).collect();
        get(db, &asked, &mut |place, found| {
            let at = wanted[place];
            values[at] = match split(keys[at]) {
                None => Some(found.to_vec()),
                Some((_, rest)) => packs::find(found, rest)?.map(<[u8]>::to_vec),
            };
            Ok(())
        })?;
    }
    Ok(values)
}

/// Calls `each` with the place of each of `keys` that is in the database, which ascend, and its value.
fn get(db: &DB, keys: &[Vec<u8>], each: &mut EachFound<'_>) -> Result<(), ScanError> {
    let family = db.cf_handle(DEFAULT_COLUMN_FAMILY_NAME).expect("it is opened with the database");
    let different: Vec<&[Vec<u8>]> = keys.chunk_by(|a, b| a == b).collect();
    let found = db.batched_multi_get_cf(family, different.iter().map(|same| &same[0]), true);
    let mut place = 0;
    for (same, found) in different.iter().zip(found) {
        let found: Option<DBPinnableSlice<'_>> = found.map_err(ScanError::Read)?;
        for place in place..place + same.len() {
            if let Some(value) = &found {
                each(place, value)?;
            }
        }
        place += same.len();
    }
    Ok(())
}

/// Calls `each` with the rows of some of `leads`, full keys up to the end of a lead, which are at `wanted` there: in the order of these.
pub(super) fn rows_of(db: &DB, leads: &[Vec<u8>], wanted: &[usize], each: &mut EachOf<'_>) -> Result<(), ScanError> {
    let mut key = Vec::new();
    for wanted in wanted.chunks(GET_BATCH) {
        let is_packed = |place: &usize| split(&leads[wanted[*place]]).is_some();
        let mut order: Vec<usize> = (0..wanted.len()).filter(is_packed).collect();
        order.sort_unstable_by_key(|place| &leads[wanted[*place]]);
        let asked: Vec<Vec<u8>> = order.iter().map(|place| there(&leads[wanted[*place]])).collect();
        // As they were asked for.
        let mut packs: Vec<Vec<u8>> = vec![Vec::new(); wanted.len()];
        get(db, &asked, &mut |place, pack| {
            packs[order[place]].extend_from_slice(pack);
            Ok(())
        })?;
        for (at, pack) in wanted.iter().zip(&packs) {
            let (lead, each) = (&leads[*at], &mut |key: &[u8], value: &[u8]| each(*at, key, value));
            if !pack.is_empty() {
                key.clear();
                key.extend_from_slice(lead);
                expand(pack, &mut key, each)?;
            } else if split(lead).is_none() && up_to_lead(lead).is_some() {
                // The length of the lead is what it ends with.
                scan(db, lead, &[&lead[..LEAD_AT - 1], &[1]].concat(), each)?;
            }
        }
    }
    Ok(())
}

/// Calls `each` with the full keys and values of a pack's rows, all of which begin with `key`.
fn expand(pack: &[u8], key: &mut Vec<u8>, each: &mut Each<'_>) -> Result<(), ScanError> {
    let lead_bytes = key.len();
    let mut rows = Rows::of(pack)?;
    while let Some((rest, value)) = rows.next()? {
        key.truncate(lead_bytes);
        key.extend_from_slice(rest);
        each(key, value.ok_or(Damaged)?).map_err(ScanError::Each)?;
    }
    Ok(())
}

/// Calls `each` with the full keys in `from..to` and their values, in order.
pub(super) fn scan(db: &DB, from: &[u8], to: &[u8], each: &mut Each<'_>) -> Result<(), ScanError> {
    if from >= to {
        return Ok(());
    }
    let mut entries = db.raw_iterator_opt(scanning(&there(pack_or_key(from)), &there(to)));
    entries.seek_to_first();
    let mut full = Vec::new();
    while let Some((key, value)) = entries.item() {
        here(key, &mut full);
        if split(key).is_some() {
            expand(value, &mut full, &mut |key, value| {
                if from <= key && key < to { each(key, value) } else { Ok(()) }
            })?;
        } else {
            each(&full, value).map_err(ScanError::Each)?;
        }
        entries.next();
    }
    entries.status().map_err(ScanError::Read)
}

/// The writes of a batch as RocksDB takes them. Rows of one lead are written together, however they stand in the batch.
pub(super) fn writes_of(batch: &Batch) -> WriteBatch {
    let mut writes = WriteBatch::with_capacity_bytes(batch.size_bytes());
    let mut rows: Vec<u32> = Vec::new();
    for (at, write) in batch.iter().enumerate() {
        match write {
            WriteRef::DeleteRange(from, to) => {
                put_packs(batch, &mut rows, &mut writes);
                remove_range(from, to, &mut writes);
            }
            WriteRef::Put(key, _) | WriteRef::Delete(key) if split(key).is_some() => rows.push(at as u32),
            WriteRef::Put(key, value) => writes.put(there(key), value),
            WriteRef::Delete(key) => writes.delete(there(key)),
        }
    }
    put_packs(batch, &mut rows, &mut writes);
    writes
}

/// Writes the rows of a batch which are at `rows`; these are none afterwards.
fn put_packs(batch: &Batch, rows: &mut Vec<u32>, writes: &mut WriteBatch) {
    // Most are told apart by the first bytes behind the table's number. Of equal keys the last is what holds.
    let mut ordered: Vec<([u128; 2], u32)> = rows.iter().map(|at| (begin_of(key_at(batch, *at)), *at)).collect();
    ordered.sort_unstable_by(|(a_begins, a), (b_begins, b)| {
        a_begins.cmp(b_begins).then_with(|| key_at(batch, *a).cmp(key_at(batch, *b)).then(a.cmp(b)))
    });
    rows.clear();
    rows.extend(ordered.iter().map(|(_, at)| *at));
    let mut pack = packs::Writer::new();
    for rows in rows.chunk_by(|a, b| pack_or_key(key_at(batch, *a)) == pack_or_key(key_at(batch, *b))) {
        let lead = fill(&mut pack, batch, rows);
        writes.merge(&lead, pack.bytes());
        if pack.removes_most() {
            signs_behind(&lead).into_iter().for_each(|sign| writes.delete(sign));
        }
    }
    rows.clear();
}

/// The first bytes of a full key behind the table's number.
fn begin_of(key: &[u8]) -> [u128; 2] {
    let mut begin = [0; 32];
    let behind = &key[TABLE_AT + 2..];
    let length = behind.len().min(begin.len());
    begin[..length].copy_from_slice(&behind[..length]);
    let [first, second] = [0, 16].map(|at| begin[at..].first_chunk().map_or(0, |bytes| u128::from_be_bytes(*bytes)));
    [first, second]
}

fn key_at(batch: &Batch, at: u32) -> &[u8] {
    batch.get(at as usize).key()
}

/// Makes `pack` that of the rows at `rows` in a batch, which have one lead and ascend, of equal ones the last. Returns where it stands.
fn fill(pack: &mut packs::Writer, batch: &Batch, rows: &[u32]) -> Vec<u8> {
    pack.clear();
    let lead = pack_or_key(key_at(batch, rows[0]));
    for (place, at) in rows.iter().enumerate() {
        let write = batch.get(*at as usize);
        if rows.get(place + 1).is_some_and(|next| key_at(batch, *next) == write.key()) {
            continue;
        }
        let rest = &write.key()[lead.len()..];
        match write {
            WriteRef::Put(_, value) => pack.push(rest, Some(value)),
            WriteRef::Delete(_) | WriteRef::DeleteRange(..) => pack.push(rest, None),
        }
    }
    there(lead)
}

/// Keys right behind a pack's, where nothing ever is. RocksDB merges files soon in which most entries are removals, but it does not see
/// removals in packs: who removes these as well lets it know, twice for what is an entry itself.
fn signs_behind(lead: &[u8]) -> [Vec<u8>; 2] {
    [0, 1].map(|last| [lead, &[last]].concat())
}

/// Removes the full keys in `from..to`.
pub(super) fn remove_range(from: &[u8], to: &[u8], writes: &mut WriteBatch) {
    if from >= to {
        return;
    }
    // Packs that the range cuts through.
    let cut = |key| split(key).filter(|(_, rest)| !rest.is_empty());
    let (first, last) = (cut(from), cut(to));
    if let (Some((lead, rest)), Some((last, last_rest))) = (first, last)
        && lead == last
    {
        return writes.merge(there(lead), packs::removal(rest, Some(last_rest)));
    }
    let mut begin = there(from);
    if let Some((lead, rest)) = first {
        begin = there(lead);
        writes.merge(&begin, packs::removal(rest, None));
        // The first key behind it.
        begin.push(0);
    }
    let mut end = there(to);
    if let Some((lead, rest)) = last {
        end = there(lead);
        writes.merge(&end, packs::removal(&[], Some(rest)));
    }
    if begin < end {
        writes.delete_range(&begin, &end);
    }
}

/// Writes what is at `order` in a batch, ascending keys and of equal ones the last, none of which removes a range, into a sorted file.
pub(super) fn write_sorted(batch: &Batch, order: &[u32], file: &mut SstFileWriter<'_>) -> Result<(), rocksdb::Error> {
    let mut pack = packs::Writer::new();
    for same in order.chunk_by(|a, b| pack_or_key(key_at(batch, *a)) == pack_or_key(key_at(batch, *b))) {
        if split(key_at(batch, same[0])).is_some() {
            let lead = fill(&mut pack, batch, same);
            file.merge(&lead, pack.bytes())?;
            if pack.removes_most() {
                signs_behind(&lead).into_iter().try_for_each(|sign| file.delete(sign))?;
            }
            continue;
        }
        match batch.get(same[same.len() - 1] as usize) {
            WriteRef::Put(key, value) => file.put(there(key), value)?,
            WriteRef::Delete(key) | WriteRef::DeleteRange(key, _) => file.delete(there(key))?,
        }
    }
    Ok(())
}

/// Puts the rows into packs that stand one by one in a database of an older version.
///
/// # Errors
/// The database cannot be read, or `write` failed.
pub(super) fn pack_rows(db: &DB, write: &mut dyn FnMut(WriteBatch) -> Result<(), StateError>) -> Result<(), ScanError> {
    let mut entries = db.raw_iterator_opt(everything());
    entries.seek_to_first();
    while let Some(key) = entries.key() {
        let mut next = key.to_vec();
        if next.len() < TABLE_AT {
            next.push(0);
            entries.seek(&next);
            continue;
        }
        next.truncate(TABLE_AT);
        let from = [&next[..], &BY_LEAD.to_be_bytes()].concat();
        let to = [&next[..], &(BY_LEAD | PACKED).to_be_bytes()].concat();
        let mut batch = Batch::new();
        let mut rows = db.raw_iterator_opt(scanning(&from, &to));
        rows.seek_to_first();
        while let Some((key, value)) = rows.item() {
            batch.push(WriteRef::Put(key, value));
            if batch.size_bytes() >= PACKED_AT_ONCE_BYTES {
                write(writes_of(&batch)).map_err(ScanError::Each)?;
                batch.clear();
            }
            rows.next();
        }
        rows.status().map_err(ScanError::Read)?;
        if !batch.is_empty() {
            let mut last = writes_of(&batch);
            last.delete_range(&from, &to);
            write(last).map_err(ScanError::Each)?;
        }
        // Behind all tables of the operator.
        next.extend_from_slice(&[u8::MAX; 8]);
        entries.seek(&next);
    }
    entries.status().map_err(ScanError::Read)
}

/// RocksDB's merge of operands with what they are written on.
pub(super) fn merge_whole(_: &[u8], existing: Option<&[u8]>, operands: &MergeOperands) -> Option<Vec<u8>> {
    let merged = packs::merged(existing.into_iter().chain(operands), true);
    if merged.is_none() {
        // RocksDB itself says no more than that it could not merge them.
        tracing::error!("rows with one key take more than 2 GiB on the disk, or are damaged: they cannot be merged");
    }
    merged
}

/// RocksDB's merge of operands alone.
pub(super) fn merge_part(_: &[u8], _: Option<&[u8]>, operands: &MergeOperands) -> Option<Vec<u8>> {
    packs::merged(operands.into_iter(), false)
}

/// Is an entry of the database a pack without rows?
pub(super) fn is_empty_pack(key: &[u8], value: &[u8]) -> bool {
    packs::is_empty(value) && split(key).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rocksdb::backend::RocksBackend;
    use crate::rocksdb::options::{database, writing};
    use crate::{Backend, MemoryBudget};

    fn key(operator: u64, table: u16, behind: &[u8]) -> Vec<u8> {
        [&operator.to_be_bytes(), &table.to_be_bytes()[..], &[0, 3], behind].concat()
    }

    /// Rows as older versions wrote them, among keys without leads.
    #[test]
    fn rows_that_stand_one_by_one_are_put_into_packs() {
        let home = tempfile::tempdir().expect("a directory");
        let budget = MemoryBudget::new(0);
        let mut written = vec![(b"short".to_vec(), vec![1]), (key(3, 7, b"none"), vec![2])];
        for operator in [1, 2, 9] {
            written.push((key(operator, 1, b"before"), vec![3]));
            written.push((key(operator, BY_LEAD | 1, &[0, 0]), vec![4]));
            for lead in 0..40u8 {
                let row = |rest: u8| key(operator, BY_LEAD | 2, &[0, 1, lead, rest]);
                written.extend((0..lead).map(|rest| (row(rest), vec![rest; 300])));
            }
            written.push((key(operator, BY_LEAD | crate::lead::NOTES, b"behind"), vec![5]));
        }
        {
            let db = DB::open(&database(&budget), home.path()).expect("a database");
            for (key, value) in &written {
                db.put_opt(key, value, &writing()).expect("a write");
            }
            db.flush().expect("a flush");
        }
        written.sort();
        let all = |backend: &RocksBackend| {
            let mut found = Vec::new();
            let each = &mut |key: &[u8], value: &[u8]| {
                found.push((key.to_vec(), value.to_vec()));
                Ok(())
            };
            backend.scan(&[], &[0xff; 20], each).expect("a scan");
            found
        };
        for _ in 0..2 {
            let backend = RocksBackend::open(home.path(), &budget).expect("a store");
            assert_eq!(all(&backend), written);
            let keys: Vec<&[u8]> = written.iter().map(|(key, _)| key.as_slice()).collect();
            let values: Vec<_> = written.iter().map(|(_, value)| Some(value.clone())).collect();
            assert_eq!(backend.multi_get(&keys).expect("a look-up"), values);
            drop(
                backend
                    .freeze()
                    .expect("a picture")
                    .files(tempfile::tempdir_in(home.path()).expect("a directory").path()),
            );
        }
        let db = DB::open_for_read_only(&database(&budget), home.path(), false).expect("the database");
        let entries = db.iterator_opt(rocksdb::IteratorMode::Start, everything()).count();
        assert_eq!(entries, 1 + 1 + 3 * (1 + 1 + 39 + 1), "a lead has one entry");
    }

    /// How many entries there are of packs, after everything was merged.
    #[test]
    fn a_lead_without_rows_is_gone_when_files_are_merged() {
        let home = tempfile::tempdir().expect("a directory");
        let options = database(&MemoryBudget::new(0));
        let db = DB::open(&options, home.path()).expect("a database");
        let row = |lead: u8, rest: u8| key(1, BY_LEAD | 2, &[0, 1, lead, rest]);
        let write = |writes: Vec<WriteRef<'_>>| {
            let mut batch = Batch::new();
            writes.into_iter().for_each(|write| batch.push(write));
            db.write_opt(writes_of(&batch), &writing()).expect("a write");
            db.flush().expect("a flush");
        };
        for lead in 0..4 {
            write(
                (0..4).map(|rest| row(lead, rest)).collect::<Vec<_>>().iter().map(|k| WriteRef::Put(k, b"x")).collect(),
            );
        }
        write((0..4).map(|rest| row(1, rest)).collect::<Vec<_>>().iter().map(|k| WriteRef::Delete(k)).collect());
        write(vec![WriteRef::DeleteRange(&row(2, 0), &row(3, 2))]);
        // What is merged is found to be empty the next time.
        for _ in 0..2 {
            db.compact_range(None::<&[u8]>, None::<&[u8]>);
            write(vec![WriteRef::Put(&row(0, 0), b"y")]);
        }
        db.compact_range(None::<&[u8]>, None::<&[u8]>);
        let mut found = Vec::new();
        let each = &mut |key: &[u8], value: &[u8]| {
            found.push((key.to_vec(), value.to_vec()));
            Ok(())
        };
        assert!(scan(&db, &row(0, 0), &row(9, 0), each).is_ok());
        let left = [(0, 0, b'y'), (0, 1, b'x'), (0, 2, b'x'), (0, 3, b'x'), (3, 2, b'x'), (3, 3, b'x')];
        assert_eq!(found, left.map(|(lead, rest, value)| (row(lead, rest), vec![value])));
        assert_eq!(db.iterator_opt(rocksdb::IteratorMode::Start, everything()).count(), 2);
    }
}
