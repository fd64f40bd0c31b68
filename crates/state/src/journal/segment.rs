use super::reader::{Block, checked, parse_block, version_of};
use super::writer::Ended;
use super::{BLOCK_HEAD_BYTES, CHECKSUM_BYTES, FOOTER_BYTES, HEADER_BYTES, INDEXED, PARTS, TABLE_BYTES, Writer};
use crate::{StateError, WriteRef};
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
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

/// The tables that the keys of a file belong to.
#[derive(Debug, Default)]
pub(super) struct Tables {
    all: BTreeSet<[u8; TABLE_BYTES]>,
    last: [u8; TABLE_BYTES],
}

impl Tables {
    /// There is this full key, or what all of its table begin with.
    pub(super) fn add(&mut self, key: &[u8]) {
        if let Some(table) = key.first_chunk()
            && (*table != self.last || self.all.is_empty())
        {
            self.last = *table;
            self.all.insert(*table);
        }
    }

    pub(super) fn has(&self, table: &[u8; TABLE_BYTES]) -> bool {
        self.all.contains(table)
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

/// The length of a footer.
const LENGTH_BYTES: usize = 4;

/// Appends the index of a file's parts. See the module's page.
pub(super) fn put_index(parts: &[Part], tables: &Tables, out: &mut Vec<u8>) {
    let of_part = |(at, part): (usize, &Part)| -> Vec<(u64, u8, u32)> {
        part.blocks.iter().map(|block| (block.number, at as u8, block.length)).collect()
    };
    let mut blocks: Vec<(u64, u8, u32)> = parts.iter().enumerate().flat_map(of_part).collect();
    blocks.sort_unstable();
    out.extend_from_slice(&(blocks.len() as u32).to_le_bytes());
    for (_, part, length) in blocks {
        out.push(part);
        out.extend_from_slice(&length.to_le_bytes());
    }
    for part in parts.iter().filter(|part| !part.blocks.is_empty()) {
        out.extend_from_slice(&part.records.to_le_bytes());
        out.extend_from_slice(&part.waste.to_le_bytes());
    }
    out.extend_from_slice(&(tables.all.len() as u32).to_le_bytes());
    tables.all.iter().for_each(|table| out.extend_from_slice(table));
}

/// The parts and tables that an index tells, and where the last block ends; `None`: it is none.
fn parse_index(mut index: &[u8]) -> Option<(Vec<Part>, Tables, u64)> {
    let mut parts: Vec<Part> = (0..PARTS).map(|_| Part::default()).collect();
    let blocks = u32::from_le_bytes(*take(&mut index)?);
    let mut offset = HEADER_BYTES as u64;
    for number in 0..u64::from(blocks) {
        let [part] = *take(&mut index)?;
        let length = u32::from_le_bytes(*take(&mut index)?);
        parts.get_mut(usize::from(part))?.blocks.push(BlockPlace { number, offset, length });
        offset += u64::from(length) + (BLOCK_HEAD_BYTES + CHECKSUM_BYTES) as u64;
    }
    for part in parts.iter_mut().filter(|part| !part.blocks.is_empty()) {
        part.records = u64::from_le_bytes(*take(&mut index)?);
        part.waste = u64::from_le_bytes(*take(&mut index)?);
    }
    let mut tables = Tables::default();
    for _ in 0..u32::from_le_bytes(*take(&mut index)?) {
        tables.add(take::<TABLE_BYTES>(&mut index)?);
    }
    index.is_empty().then_some((parts, tables, offset))
}

fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    bytes.split_off(..N)?.first_chunk()
}

/// A file that has ended. It is removed with the last who needs it.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    pub(crate) size_bytes: u64,
    /// XXH3-64 of its content, if it was written by this backend.
    pub(crate) xxh3: Option<u64>,
    pub(super) parts: Vec<Part>,
    pub(super) tables: Tables,
    stays: AtomicBool,
}

impl Segment {
    /// Ends a file.
    pub(super) fn ended(writer: Writer) -> Result<Self, StateError> {
        let path = writer.path().to_owned();
        let Ended { size_bytes, xxh3, parts, tables } = writer.finish()?;
        Ok(Self { path, size_bytes, xxh3: Some(xxh3), parts, tables, stays: AtomicBool::new(false) })
    }

    /// A file that was there, of which only what its footer says is read. It stays, unless it is [taken](Self::take). `None`: it has no index.
    ///
    /// # Errors
    /// It cannot be read; [`StateError::CorruptFile`]: it is damaged, or no file of a journal.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, StateError> {
        let failed = |e| StateError::io(path, e);
        let corrupt = |message: &str| StateError::corrupt_file(path, message);
        let file = fs::File::open(path).map_err(failed)?;
        let size_bytes = file.metadata().map_err(failed)?.len();
        let tail_bytes = (LENGTH_BYTES + CHECKSUM_BYTES) as u64;
        if size_bytes < HEADER_BYTES as u64 + FOOTER_BYTES as u64 + tail_bytes {
            return Err(corrupt("the file is cut"));
        }
        let read = |from: u64, count: usize| -> Result<Vec<u8>, StateError> {
            let mut bytes = vec![0; count];
            file.read_exact_at(&mut bytes, from).map_err(failed)?;
            Ok(bytes)
        };
        if version_of(path, &read(0, HEADER_BYTES)?)? < INDEXED {
            return Ok(None);
        }
        let length = read(size_bytes - tail_bytes, LENGTH_BYTES)?;
        let length = length.first_chunk().map_or(0, |length| u32::from_le_bytes(*length));
        let Some(start) =
            (size_bytes - tail_bytes).checked_sub(length.into()).filter(|start| *start >= HEADER_BYTES as u64)
        else {
            return Err(corrupt("the footer's length does not fit"));
        };
        let footer = read(start, length as usize + LENGTH_BYTES + CHECKSUM_BYTES)?;
        let index = footer.get(FOOTER_BYTES..length as usize);
        let blocks = index.and_then(|index| index.first_chunk()).map_or(0, |blocks| u32::from_le_bytes(*blocks));
        if checked(&footer, blocks.into()).is_none() {
            return Err(corrupt("the footer's checksum does not fit"));
        }
        match index.and_then(parse_index) {
            Some((parts, tables, end)) if end == start => {
                let stays = AtomicBool::new(true);
                Ok(Some(Self { path: path.into(), size_bytes, xxh3: None, parts, tables, stays }))
            }
            _ => Err(corrupt("the index does not fit")),
        }
    }

    /// From now on it goes with the last who needs it.
    pub(super) fn take(&self) {
        self.stays.store(false, Ordering::Relaxed);
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
        let file = self.file()?;
        places.iter().map(|place| self.block(&file, place)).collect()
    }

    /// Calls `each` with every write of a part, in order, until it fails.
    ///
    /// # Errors
    /// As [`blocks`](Self::blocks); or `each` failed.
    pub(crate) fn read(
        &self,
        part: usize,
        each: &mut dyn FnMut(WriteRef<'_>) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        let places = &self.parts[part].blocks;
        if places.is_empty() {
            return Ok(());
        }
        let file = self.file()?;
        let unfit = || StateError::corrupt_file(&self.path, "a record does not fit its block");
        for place in places {
            self.block(&file, place)?.each(each).unwrap_or_else(|| Err(unfit()))?;
        }
        Ok(())
    }

    fn file(&self) -> Result<fs::File, StateError> {
        fs::File::open(&self.path).map_err(|e| StateError::io(&self.path, e))
    }

    fn block(&self, file: &fs::File, place: &BlockPlace) -> Result<Block, StateError> {
        let corrupt = |message: &str| StateError::corrupt_file(&self.path, message);
        let mut bytes = vec![0; BLOCK_HEAD_BYTES + place.length as usize + CHECKSUM_BYTES];
        file.read_exact_at(&mut bytes, place.offset).map_err(|e| match e.kind() {
            ErrorKind::UnexpectedEof => corrupt("the file is cut"),
            _ => StateError::io(&self.path, e),
        })?;
        parse_block(bytes, place.number).ok_or_else(|| corrupt("a checksum does not fit"))
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
