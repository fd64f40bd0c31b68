//! The journal brought into the database: sorted files, taken in as they are.

use super::backend::error;
use super::entries::{remove_range, write_sorted};
use super::known::Known;
use super::options::{database, writing};
use crate::batch::WriteRef;
use crate::journal::{Chain, PARTS, Parts, TABLE_BYTES, read, remove_file};
use crate::{Batch, MemoryBudget, StateError};
use rocksdb::{DB, IngestExternalFileOptions, SstFileWriter, WriteBatch};
use std::path::{Path, PathBuf};

/// Bytes that are sorted at a time: of a budget one part in so many, between these.
const CHUNK_SHARE: usize = 16;
const CHUNK_BYTES_MIN: usize = 4 << 20;
const CHUNK_BYTES_MAX: usize = 64 << 20;

/// What a journal says on its way into the database in `directory`. What was brought is safe to be brought again.
pub(super) struct Fold<'a> {
    pub(super) db: &'a DB,
    pub(super) known: &'a Known,
    pub(super) directory: &'a Path,
    pub(super) budget: &'a MemoryBudget,
}

impl Fold<'_> {
    /// Brings what the files of a journal say, in their order.
    ///
    /// # Errors
    /// A file cannot be read or written, or is damaged.
    pub(super) fn files(&self, files: &[(PathBuf, Parts)]) -> Result<(), StateError> {
        let mut chunk = Chunk::new(self);
        for (file, parts) in files {
            read(file, *parts, &mut |write| chunk.push(write))?;
        }
        chunk.end()
    }

    /// Brings what the files of `chain` say of `parts`, part by part: so what is taken in at a time is little of the space of keys, and
    /// meets little of what is there.
    ///
    /// # Errors
    /// As [`files`](Self::files).
    pub(super) fn parts(&self, chain: &Chain, parts: Parts) -> Result<(), StateError> {
        let mut chunk = Chunk::new(self);
        for part in (0..PARTS).filter(|part| parts & (1 << part) != 0) {
            for link in chain.iter().filter(|link| link.has(part)) {
                link.segment.read(part, &mut |write| chunk.push(write))?;
            }
        }
        chunk.end()
    }
}

/// Writes that are sorted together.
struct Chunk<'a> {
    to: &'a Fold<'a>,
    writes: Batch,
    bytes_max: usize,
    /// One backend of a budget folds at a time: what is sorted stands beside hot sets, which are full as a rule when this begins.
    _alone: parking_lot::MutexGuard<'a, ()>,
}

impl<'a> Chunk<'a> {
    fn new(to: &'a Fold<'a>) -> Self {
        let bytes_max = (to.budget.size_bytes() / CHUNK_SHARE).clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX);
        Self { to, writes: Batch::new(), bytes_max, _alone: to.budget.folding.lock() }
    }

    fn push(&mut self, write: WriteRef<'_>) -> Result<(), StateError> {
        let Fold { db, directory, .. } = self.to;
        if let WriteRef::DeleteRange(from, to) = write {
            // What came before goes in before it.
            self.take_in()?;
            let mut removal = WriteBatch::default();
            remove_range(from, to, &mut removal);
            return db.write_opt(removal, &writing()).map_err(|e| error(directory, &e));
        }
        self.writes.push(write);
        if self.writes.size_bytes() >= self.bytes_max { self.take_in() } else { Ok(()) }
    }

    fn end(mut self) -> Result<(), StateError> {
        self.take_in()
    }

    fn take_in(&mut self) -> Result<(), StateError> {
        let Fold { db, known, directory, budget } = self.to;
        let writes = &self.writes;
        if writes.is_empty() {
            return Ok(());
        }
        let key = |at: u32| writes.get(at as usize).key();
        let mut order: Vec<u32> = (0..writes.len() as u32).collect();
        // Of equal keys the last is what holds.
        order.sort_unstable_by(|a, b| key(*a).cmp(key(*b)).then(a.cmp(b)));
        known.add(order.iter().map(|at| key(*at)));
        let failed = |e| error(directory, &e);
        // A file for each table: it reaches over nothing that stands between two.
        let table = |at: u32| key(at).get(..TABLE_BYTES);
        let mut paths = Vec::new();
        for order in order.chunk_by(|a, b| table(*a) == table(*b)) {
            // It is not the database's yet.
            let path = directory.join(format!("folded-{}.sst.tmp", paths.len()));
            let options = database(budget);
            let mut file = SstFileWriter::create(&options);
            let written = file.open(&path).and_then(|()| write_sorted(writes, order, &mut file));
            written.and_then(|()| file.finish()).map_err(failed)?;
            paths.push(path);
        }
        let mut ingest = IngestExternalFileOptions::default();
        ingest.set_move_files(true);
        db.ingest_external_file_opts(&ingest, paths.iter().collect()).map_err(failed)?;
        paths.iter().try_for_each(|path| remove_file(path))?;
        self.writes.clear();
        Ok(())
    }
}
