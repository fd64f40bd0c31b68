//! The journal brought into the database: sorted files, taken in as they are.

use super::backend::error;
use super::options::{database, writing};
use crate::batch::WriteRef;
use crate::journal::{Parts, read};
use crate::{Batch, MemoryBudget, StateError};
use rocksdb::{DB, DEFAULT_COLUMN_FAMILY_NAME, IngestExternalFileOptions, SstFileWriter};
use std::fs;
use std::path::Path;

/// Bytes that are sorted at a time: of a budget one part in so many, between these.
const CHUNK_SHARE: usize = 16;
const CHUNK_BYTES_MIN: usize = 4 << 20;
const CHUNK_BYTES_MAX: usize = 64 << 20;
/// The file on its way; it is not the database's yet.
const FILE: &str = "folded.sst.tmp";

/// Brings what the files of a journal say, in their order, into the database in `directory`. What was brought is safe to be brought again.
/// One backend of a budget does so at a time: what is sorted stands beside hot sets, which are full as a rule when this begins.
///
/// # Errors
/// A file cannot be read or written, or is damaged.
pub(super) fn fold<'a>(
    db: &DB,
    directory: &Path,
    budget: &MemoryBudget,
    files: impl Iterator<Item = (&'a Path, Parts)>,
) -> Result<(), StateError> {
    let _alone = budget.folding.lock();
    let chunk_bytes = (budget.size_bytes() / CHUNK_SHARE).clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX);
    let mut chunk = Batch::new();
    for (file, parts) in files {
        read(file, parts, &mut |write| {
            if let WriteRef::DeleteRange(from, to) = write {
                // What came before goes in before it.
                take_in(db, directory, budget, &chunk)?;
                chunk.clear();
                if from < to {
                    let family = db.cf_handle(DEFAULT_COLUMN_FAMILY_NAME).expect("it is opened with the database");
                    db.delete_range_cf_opt(family, from, to, &writing()).map_err(|e| error(directory, &e))?;
                }
                return Ok(());
            }
            chunk.push(write);
            if chunk.size_bytes() >= chunk_bytes {
                take_in(db, directory, budget, &chunk)?;
                chunk.clear();
            }
            Ok(())
        })?;
    }
    take_in(db, directory, budget, &chunk)
}

fn take_in(db: &DB, directory: &Path, budget: &MemoryBudget, chunk: &Batch) -> Result<(), StateError> {
    if chunk.is_empty() {
        return Ok(());
    }
    let key = |at: u32| chunk.get(at as usize).key();
    let mut order: Vec<u32> = (0..chunk.len() as u32).collect();
    // Of equal keys the last is what holds.
    order.sort_unstable_by(|a, b| key(*a).cmp(key(*b)).then(a.cmp(b)));
    let path = directory.join(FILE);
    let failed = |e| error(directory, &e);
    let options = database(budget);
    let mut file = SstFileWriter::create(&options);
    file.open(&path).map_err(failed)?;
    for (place, at) in order.iter().enumerate() {
        if order.get(place + 1).is_some_and(|next| key(*next) == key(*at)) {
            continue;
        }
        match chunk.get(*at as usize) {
            WriteRef::Put(key, value) => file.put(key, value),
            WriteRef::Delete(key) => file.delete(key),
            // None is left in a chunk.
            WriteRef::DeleteRange(..) => Ok(()),
        }
        .map_err(failed)?;
    }
    file.finish().map_err(failed)?;
    let mut ingest = IngestExternalFileOptions::default();
    ingest.set_move_files(true);
    db.ingest_external_file_opts(&ingest, vec![&path]).map_err(failed)?;
    match fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(StateError::io(&path, e)),
        _ => Ok(()),
    }
}
