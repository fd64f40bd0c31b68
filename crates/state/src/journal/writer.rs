use super::columns::{are_packable, pack};
use super::segment::{BlockPlace, Part, Tables, put_index};
use super::{
    BLOCK, BLOCK_BYTES, BLOCK_HEAD_BYTES, COLUMNS, DELETE, FOOTER, FOOTER_BYTES, MAGIC, PARTS, PUT, SHARED_MAX,
    VERSION, part_of, part_of_group, table_prefix,
};
use crate::batch::WriteRef;
use crate::blocks::{BlockWriter, put_varint};
use crate::puts::deal;
use crate::{Batch, Puts, StateError};
use std::fs::File;
use std::io::{self, BufWriter};
use std::ops::Range;
use std::path::Path;

/// Entries of one part at a time, from which on they are worth a block of columns.
const COLUMNS_MIN: usize = 16;

/// What is brought to the system at a time, of small blocks.
const BUFFER_BYTES: usize = 256 << 10;

/// Writes a file of the journal. See the module's page.
pub(super) struct Writer {
    file: BlockWriter<BufWriter<File>>,
    open: Vec<OpenBlock>,
    /// Memory for a block of columns.
    columns: Vec<u8>,
    pub(super) parts: Vec<Part>,
    pub(super) tables: Tables,
}

/// A file that was written.
pub(super) struct Ended {
    pub(super) size_bytes: u64,
    /// XXH3-64 of its content.
    pub(super) xxh3: u64,
    /// What it holds of each part.
    pub(super) parts: Vec<Part>,
    pub(super) tables: Tables,
}

/// The block of a part that is not written yet.
#[derive(Debug, Default)]
struct OpenBlock {
    /// Head and payload; empty without records.
    bytes: Vec<u8>,
    last_key: Vec<u8>,
}

impl Writer {
    /// Creates the file at `path`, or empties it.
    ///
    /// # Errors
    /// The file cannot be created or written.
    pub(super) fn create(path: &Path) -> Result<Self, StateError> {
        let file = File::create(path).map_err(|e| StateError::io(path, e))?;
        let mut writer = Self {
            file: BlockWriter::new(BufWriter::with_capacity(BUFFER_BYTES, file), path),
            open: (0..PARTS).map(|_| OpenBlock::default()).collect(),
            columns: Vec::new(),
            parts: (0..PARTS).map(|_| Part::default()).collect(),
            tables: Tables::default(),
        };
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&VERSION.to_le_bytes());
        writer.file.put(&header)?;
        Ok(writer)
    }

    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Bytes that were written, without the blocks that are open.
    pub(super) fn size_bytes(&self) -> u64 {
        self.file.size_bytes
    }

    /// Appends the writes of a batch.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn append(&mut self, batch: &Batch) -> Result<(), StateError> {
        batch.iter_with_waste().try_for_each(|(write, waste)| {
            let part = self.push(write)?;
            self.parts[part].waste += waste;
            Ok(())
        })
    }

    /// Appends entries that are set.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub(super) fn put(&mut self, puts: &Puts) -> Result<(), StateError> {
        let runs = || puts.groups.chunk_by(|a, b| deal(*a) == deal(*b));
        if !are_packable(puts) || puts.len() < COLUMNS_MIN * runs().count() {
            return puts.expand(&mut |batch| self.append(batch));
        }
        let mut from = 0;
        for groups in runs() {
            let part = part_of_group(puts.operator, puts.table, groups[0]);
            self.write_columns(part, puts, from..from + groups.len())?;
            from += groups.len();
        }
        Ok(())
    }

    /// Appends entries that were in a block of columns of a part before, none of which replaces any.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub(super) fn put_of(&mut self, part: usize, puts: &Puts) -> Result<(), StateError> {
        if puts.len() < COLUMNS_MIN {
            return puts.expand(&mut |batch| batch.iter().try_for_each(|write| self.push(write).map(drop)));
        }
        self.write_columns(part, puts, 0..puts.len())
    }

    fn write_columns(&mut self, part: usize, puts: &Puts, at: Range<usize>) -> Result<(), StateError> {
        // What was written of the part before comes before.
        self.end_block(part)?;
        let mut block = std::mem::take(&mut self.columns);
        block.clear();
        block.resize(BLOCK_HEAD_BYTES, 0);
        pack(puts, at.clone(), &mut block);
        self.tables.add(&table_prefix(puts.operator, puts.table));
        self.write_block(COLUMNS, part, &mut block)?;
        self.columns = block;
        self.parts[part].records += at.len() as u64;
        self.parts[part].waste += puts.replaces[at].iter().filter(|replaces| **replaces).count() as u64;
        Ok(())
    }

    /// Appends one write. Returns the part that it belongs to.
    ///
    /// # Errors
    /// The file cannot be written; removals of ranges, which belong to no part, are none of a journal.
    pub(super) fn push(&mut self, write: WriteRef<'_>) -> Result<usize, StateError> {
        let key = write.key();
        let (kind, value) = match write {
            WriteRef::Put(_, value) => (PUT, Some(value)),
            WriteRef::Delete(_) => (DELETE, None),
            WriteRef::DeleteRange(..) => {
                let wrong = io::Error::other("the removal of a range cannot stand in a journal");
                return Err(StateError::io(self.path(), wrong));
            }
        };
        let part = part_of(key);
        self.tables.add(key);
        let OpenBlock { bytes, last_key } = &mut self.open[part];
        if bytes.is_empty() {
            bytes.resize(BLOCK_HEAD_BYTES, 0);
            last_key.clear();
        }
        let shared = key.iter().zip(last_key.iter()).take(SHARED_MAX).take_while(|(a, b)| a == b).count();
        bytes.push(kind);
        bytes.push(shared as u8);
        put_varint(bytes, key.len() - shared);
        if let Some(value) = value {
            put_varint(bytes, value.len());
        }
        bytes.extend_from_slice(&key[shared..]);
        if let Some(value) = value {
            bytes.extend_from_slice(value);
        }
        if shared < SHARED_MAX {
            last_key.clear();
            last_key.extend_from_slice(&key[..key.len().min(SHARED_MAX)]);
        }
        self.parts[part].records += 1;
        if bytes.len() >= BLOCK_BYTES {
            self.end_block(part)?;
        }
        Ok(part)
    }

    /// Writes the open block of a part, if it has records.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn end_block(&mut self, part: usize) -> Result<(), StateError> {
        let mut block = std::mem::take(&mut self.open[part].bytes);
        if block.is_empty() {
            return Ok(());
        }
        self.write_block(BLOCK, part, &mut block)?;
        block.clear();
        self.open[part].bytes = block;
        Ok(())
    }

    /// Writes a block whose head is left free.
    fn write_block(&mut self, kind: u8, part: usize, block: &mut Vec<u8>) -> Result<(), StateError> {
        let length = u32::try_from(block.len() - BLOCK_HEAD_BYTES).map_err(|_| StateError::TooLarge)?;
        block[0] = kind;
        block[1] = part as u8;
        block[2..BLOCK_HEAD_BYTES].copy_from_slice(&length.to_le_bytes());
        let place = BlockPlace { number: self.file.blocks, offset: self.file.size_bytes, length };
        self.file.put_checked(block)?;
        self.file.blocks += 1;
        self.parts[part].blocks.push(place);
        Ok(())
    }

    /// Ends the file. It is not brought to the disk yet.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn finish(mut self) -> Result<Ended, StateError> {
        (0..PARTS).try_for_each(|part| self.end_block(part))?;
        let sum = |of: fn(&Part) -> u64| self.parts.iter().map(of).sum::<u64>();
        let mut footer = Vec::with_capacity(FOOTER_BYTES);
        footer.push(FOOTER);
        footer.extend_from_slice(&sum(|part| part.records).to_le_bytes());
        footer.extend_from_slice(&sum(|part| part.waste).to_le_bytes());
        put_index(&self.parts, &self.tables, &mut footer);
        let length = u32::try_from(footer.len()).map_err(|_| StateError::TooLarge)?;
        footer.extend_from_slice(&length.to_le_bytes());
        self.file.put_checked(&mut footer)?;
        self.file.flush()?;
        let (size_bytes, xxh3) = (self.file.size_bytes, self.file.xxh3());
        Ok(Ended { size_bytes, xxh3, parts: self.parts, tables: self.tables })
    }
}
