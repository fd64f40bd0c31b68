use super::{BLOCK, BLOCK_BYTES, BLOCK_HEAD_BYTES, FOOTER, FOOTER_BYTES, MAGIC, VERSION};
use crate::StateError;
use crate::blocks::{BlockWriter, put_varint};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Writes an entries file. See the module's page.
pub struct EntriesWriter<W: Write> {
    file: BlockWriter<W>,
    /// Head and payload of the block at hand.
    block: Vec<u8>,
    block_entries: u32,
    last_key: Vec<u8>,
    entries: u64,
}

impl EntriesWriter<BufWriter<File>> {
    /// Creates the file at `path`, which must not exist.
    ///
    /// # Errors
    /// The file cannot be created or written.
    pub fn create(path: &Path) -> Result<Self, StateError> {
        let file = File::create_new(path).map_err(|e| StateError::io(path, e))?;
        Self::new(BufWriter::new(file), path)
    }

    /// Ends the file and brings it to the disk. Returns its size in bytes.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish_file(self) -> Result<u64, StateError> {
        let path = self.file.path().to_owned();
        let (out, size_bytes) = self.finish()?;
        let file = out.into_inner().map_err(|e| StateError::io(&path, e.into_error()))?;
        file.sync_data().map_err(|e| StateError::io(&path, e))?;
        Ok(size_bytes)
    }
}

impl<W: Write> EntriesWriter<W> {
    /// Writes to `out`; errors name `path`.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub fn new(out: W, path: &Path) -> Result<Self, StateError> {
        let mut writer = Self {
            file: BlockWriter::new(out, path),
            block: vec![0; BLOCK_HEAD_BYTES],
            block_entries: 0,
            last_key: Vec::new(),
            entries: 0,
        };
        writer.file.put(MAGIC)?;
        writer.file.put(&VERSION.to_le_bytes())?;
        Ok(writer)
    }

    /// Appends an entry, whose key is greater than all before it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), StateError> {
        debug_assert!(self.entries == 0 || self.last_key.as_slice() < key, "keys are ascending");
        let shared = match self.block_entries {
            0 => 0,
            _ => key.iter().zip(&self.last_key).take_while(|(a, b)| a == b).count(),
        };
        put_varint(&mut self.block, shared);
        put_varint(&mut self.block, key.len() - shared);
        put_varint(&mut self.block, value.len());
        self.block.extend_from_slice(&key[shared..]);
        self.block.extend_from_slice(value);
        self.last_key.truncate(shared);
        self.last_key.extend_from_slice(&key[shared..]);
        self.block_entries += 1;
        self.entries += 1;
        if self.block.len() >= BLOCK_BYTES { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> Result<(), StateError> {
        let length = u32::try_from(self.block.len() - BLOCK_HEAD_BYTES).map_err(|_| StateError::TooLarge)?;
        self.block[0] = BLOCK;
        self.block[1..5].copy_from_slice(&self.block_entries.to_le_bytes());
        self.block[5..9].copy_from_slice(&length.to_le_bytes());
        let mut block = std::mem::take(&mut self.block);
        self.file.put_checked(&mut block)?;
        self.block = block;
        self.block.truncate(BLOCK_HEAD_BYTES);
        self.block_entries = 0;
        self.file.blocks += 1;
        Ok(())
    }

    /// Ends the file. Returns what was written to, and the number of bytes.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(mut self) -> Result<(W, u64), StateError> {
        if self.block_entries > 0 {
            self.end_block()?;
        }
        let mut footer = Vec::with_capacity(FOOTER_BYTES);
        footer.push(FOOTER);
        footer.extend_from_slice(&self.entries.to_le_bytes());
        footer.extend_from_slice(&self.file.blocks.to_le_bytes());
        self.file.put_checked(&mut footer)?;
        self.file.flush()?;
        Ok((self.file.out, self.file.size_bytes))
    }
}
