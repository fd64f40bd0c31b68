//! The journal brought into the database: sorted files, taken in as they are.

use super::backend::error;
use super::options::{database, writing};
use crate::batch::WriteRef;
use crate::journal::{Parts, read};
use crate::{Batch, MemoryBudget, StateError};
use rocksdb::{DB, DEFAULT_COLUMN_FAMILY_NAME, IngestExternalFileOptions, SstFileWriter};
use std::fs;
use std::path::Path;

/// Bytes that are sorted at a time.
const CHUNK_BYTES: usize = 64 << 20;
/// The file on its way; it is not the database's yet.
const FILE: &str = "folded.sst.tmp";

/// Brings what the files of a journal say, in their order, into the database in `directory`. What was brought is safe to be brought again.
///
/// # Errors
/// A file cannot be read or written, or is damaged.
pub(super) fn fold<'a>(
    db: &DB,
    directory: &Path,
    budget: &MemoryBudget,
    files: impl Iterator<Item = (&'a Path, Parts)>,
) -> Result<(), StateError> {
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
            if chunk.size_bytes() >= CHUNK_BYTES {
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
    let mut writes: Vec<WriteRef<'_>> = chunk.iter().collect();
    // Stable: of equal keys the last is what holds.
    writes.sort_by(|a, b| a.key().cmp(b.key()));
    let path = directory.join(FILE);
    let failed = |e| error(directory, &e);
    let options = database(budget);
    let mut file = SstFileWriter::create(&options);
    file.open(&path).map_err(failed)?;
    for (at, write) in writes.iter().enumerate() {
        if writes.get(at + 1).is_some_and(|next| next.key() == write.key()) {
            continue;
        }
        match write {
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
