use super::{
    BLOCK, BLOCK_BYTES, BLOCK_HEAD_BYTES, DELETE, DELETE_RANGE, FOOTER, FOOTER_BYTES, MAGIC, PUT, SHARED_MAX, VERSION,
};
use crate::batch::WriteRef;
use crate::blocks::{BlockWriter, put_varint};
use crate::{Batch, StateError};
use std::fs::File;
use std::path::Path;

/// Writes a file of the journal. See the module's page.
#[derive(Debug)]
pub(super) struct Writer {
    file: BlockWriter<File>,
    /// Head and payload of the block at hand.
    block: Vec<u8>,
    last_key: Vec<u8>,
    pub(super) records: u64,
    pub(super) waste: u64,
}

impl Writer {
    /// Creates the file at `path`, or empties it.
    ///
    /// # Errors
    /// The file cannot be created or written.
    pub(super) fn create(path: &Path) -> Result<Self, StateError> {
        let file = File::create(path).map_err(|e| StateError::io(path, e))?;
        let mut writer = Self {
            file: BlockWriter::new(file, path),
            block: Vec::with_capacity(BLOCK_BYTES + BLOCK_BYTES / 4),
            last_key: Vec::new(),
            records: 0,
            waste: 0,
        };
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&VERSION.to_le_bytes());
        writer.file.put(&header)?;
        writer.begin_block();
        Ok(writer)
    }

    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Appends the writes of a batch.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn append(&mut self, batch: &Batch) -> Result<(), StateError> {
        self.waste += batch.waste() as u64;
        batch.iter().try_for_each(|write| self.push(write))
    }

    /// Appends one write.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn push(&mut self, write: WriteRef<'_>) -> Result<(), StateError> {
        let key = write.key();
        let shared = key.iter().zip(&self.last_key).take(SHARED_MAX).take_while(|(a, b)| a == b).count();
        let (kind, value) = match write {
            WriteRef::Put(_, value) => (PUT, Some(value)),
            WriteRef::Delete(_) => (DELETE, None),
            WriteRef::DeleteRange(_, to) => (DELETE_RANGE, Some(to)),
        };
        self.block.push(kind);
        self.block.push(shared as u8);
        put_varint(&mut self.block, key.len() - shared);
        if let Some(value) = value {
            put_varint(&mut self.block, value.len());
        }
        self.block.extend_from_slice(&key[shared..]);
        if let Some(value) = value {
            self.block.extend_from_slice(value);
        }
        if shared < SHARED_MAX {
            self.last_key.clear();
            self.last_key.extend_from_slice(&key[..key.len().min(SHARED_MAX)]);
        }
        self.records += 1;
        if self.block.len() >= BLOCK_BYTES { self.end_block() } else { Ok(()) }
    }

    fn begin_block(&mut self) {
        self.block.clear();
        self.block.resize(BLOCK_HEAD_BYTES, 0);
        self.last_key.clear();
    }

    fn end_block(&mut self) -> Result<(), StateError> {
        let length = u32::try_from(self.block.len() - BLOCK_HEAD_BYTES).map_err(|_| StateError::TooLarge)?;
        self.block[0] = BLOCK;
        self.block[1..BLOCK_HEAD_BYTES].copy_from_slice(&length.to_le_bytes());
        let block = std::mem::take(&mut self.block);
        self.file.put_checked(&block)?;
        self.block = block;
        self.begin_block();
        self.file.blocks += 1;
        Ok(())
    }

    /// Ends the file. It is not brought to the disk yet.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn finish(mut self) -> Result<Finished, StateError> {
        if self.block.len() > BLOCK_HEAD_BYTES {
            self.end_block()?;
        }
        let mut footer = Vec::with_capacity(FOOTER_BYTES);
        footer.push(FOOTER);
        footer.extend_from_slice(&self.records.to_le_bytes());
        footer.extend_from_slice(&self.waste.to_le_bytes());
        self.file.put_checked(&footer)?;
        Ok(Finished { size_bytes: self.file.size_bytes, records: self.records, waste: self.waste })
    }
}

/// What a file holds that has ended.
pub(super) struct Finished {
    pub(super) size_bytes: u64,
    pub(super) records: u64,
    pub(super) waste: u64,
}
