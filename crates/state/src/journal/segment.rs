use super::reader::{Block, parse_block};
use super::writer::Ended;
use super::{BLOCK_HEAD_BYTES, CHECKSUM_BYTES, Writer};
use crate::StateError;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a file holds of one part.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) blocks: Vec<BlockPlace>,
    pub(super) records: u64,
    /// Records, of these and of those in files before, that say nothing any more.
    pub(super) waste: u64,
}

impl Part {
    pub(super) fn size_bytes(&self) -> u64 {
        self.blocks.iter().map(|b| u64::from(b.length) + (BLOCK_HEAD_BYTES + CHECKSUM_BYTES) as u64).sum()
    }
}

/// Where a block is.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockPlace {
    pub(super) number: u64,
    pub(super) offset: u64,
    /// Of its payload.
    pub(super) length: u32,
}

/// A file that has ended. It is removed with the last who needs it.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    pub(crate) size_bytes: u64,
    /// XXH3-64 of its content.
    pub(crate) xxh3: u64,
    pub(super) parts: Vec<Part>,
    stays: AtomicBool,
}

impl Segment {
    /// Ends a file.
    pub(super) fn ended(writer: Writer) -> Result<Self, StateError> {
        let path = writer.path().to_owned();
        let Ended { size_bytes, xxh3, parts } = writer.finish()?;
        Ok(Self { path, size_bytes, xxh3, parts, stays: AtomicBool::new(false) })
    }

    /// Its name, which no other file of this journal ever has.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Brings it to the disk.
    ///
    /// # Errors
    /// The disk says no.
    pub(crate) fn sync(&self) -> Result<(), StateError> {
        let file = fs::File::open(&self.path).map_err(|e| StateError::io(&self.path, e))?;
        file.sync_data().map_err(|e| StateError::io(&self.path, e))
    }

    /// It is not removed when nobody needs it any more.
    pub(super) fn leave(&self) {
        self.stays.store(true, Ordering::Relaxed);
    }

    /// The blocks of a part, in order.
    ///
    /// # Errors
    /// The file cannot be read; [`StateError::CorruptFile`]: it was changed.
    pub(super) fn blocks(&self, part: usize) -> Result<Vec<Block>, StateError> {
        let places = &self.parts[part].blocks;
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let failed = |e| StateError::io(&self.path, e);
        let file = fs::File::open(&self.path).map_err(failed)?;
        let block = |place: &BlockPlace| {
            let mut bytes = vec![0; BLOCK_HEAD_BYTES + place.length as usize + CHECKSUM_BYTES];
            file.read_exact_at(&mut bytes, place.offset).map_err(failed)?;
            parse_block(bytes, place.number)
                .ok_or_else(|| StateError::corrupt_file(&self.path, "a checksum does not fit"))
        };
        places.iter().map(block).collect()
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if !self.stays.load(Ordering::Relaxed) {
            // What cannot be removed goes with its directory.
            let _ = fs::remove_file(&self.path);
        }
    }
}
