use super::{
    ALL, BLOCK, BLOCK_HEAD_BYTES, CHECKSUM_BYTES, COLUMNS, DELETE, DELETE_RANGE, FOOTER, FOOTER_BYTES, HEADER_BYTES,
    INDEXED, MAGIC, PARTS, PUT, Parts, SHARED_MAX, UNPARTED, VERSION, columns,
};
use crate::batch::WriteRef;
use crate::blocks::varint;
use crate::{Puts, StateError};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Calls `each` with every write of the `parts` of a file of the journal that are asked for, in order within each part, until it fails.
///
/// # Errors
/// The file cannot be read; [`StateError::CorruptFile`]: it was cut or changed; or `each` failed.
pub(crate) fn read(
    path: &Path,
    parts: Parts,
    each: &mut dyn FnMut(WriteRef<'_>) -> Result<(), StateError>,
) -> Result<(), StateError> {
    let corrupt = |message: &str| StateError::corrupt_file(path, message);
    let mut input = Input::open(path)?;
    let mut bytes = Vec::new();
    input.take(&mut bytes, HEADER_BYTES)?;
    let version = version_of(path, &bytes)?;
    let head_bytes = if version == UNPARTED { BLOCK_HEAD_BYTES - 1 } else { BLOCK_HEAD_BYTES };
    let (mut blocks, mut records) = (0, 0);
    loop {
        bytes.clear();
        input.take(&mut bytes, 1)?;
        match bytes[0] {
            kind @ (BLOCK | COLUMNS) => {
                input.take(&mut bytes, head_bytes - 1)?;
                let length = &bytes[head_bytes - 4..];
                let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
                input.take(&mut bytes, length + CHECKSUM_BYTES)?;
                let block = checked(&bytes, blocks).ok_or_else(|| corrupt("a checksum does not fit"))?;
                let part = if version == UNPARTED { None } else { Some(usize::from(block[1])) };
                if part.is_some_and(|part| part >= PARTS) {
                    return Err(corrupt("a block is of a part that there is not"));
                }
                let is_asked = part.is_none_or(|part| parts & (1 << part) != 0);
                let payload = &block[head_bytes..];
                let mut each_asked = |write: WriteRef<'_>| if is_asked { each(write) } else { Ok(()) };
                let read = match kind {
                    COLUMNS if is_asked => columns::read(payload, &mut each_asked),
                    COLUMNS => columns::count(payload).map(Ok),
                    _ => each_record(payload, &mut each_asked),
                };
                records += read.unwrap_or_else(|| Err(corrupt("a record does not fit its block")))?;
                blocks += 1;
            }
            FOOTER => {
                let least = FOOTER_BYTES - 1 + CHECKSUM_BYTES;
                let rest = usize::try_from(input.left_bytes).unwrap_or(usize::MAX);
                input.take(&mut bytes, if version < INDEXED { least } else { rest.max(least) })?;
                let footer = checked(&bytes, blocks).ok_or_else(|| corrupt("the footer's checksum does not fit"))?;
                let told = footer[1..9].try_into().map(u64::from_le_bytes).unwrap_or(0);
                return match told == records && input.left_bytes == 0 {
                    true => Ok(()),
                    false => Err(corrupt("it has other records than its footer says")),
                };
            }
            _ => return Err(corrupt("a block of unknown kind")),
        }
    }
}

/// The version that a file's header tells.
///
/// # Errors
/// [`StateError::CorruptFile`]: it is no journal, or of a version that is not known.
pub(super) fn version_of(path: &Path, header: &[u8]) -> Result<u16, StateError> {
    let corrupt = |message: &str| StateError::corrupt_file(path, message);
    let Some(version) = header.strip_prefix(MAGIC) else { return Err(corrupt("it is no journal")) };
    let version = version.try_into().map_or(0, u16::from_le_bytes);
    match (UNPARTED..=VERSION).contains(&version) {
        true => Ok(version),
        false => Err(corrupt(&format!("it has version {version}, known is {VERSION}"))),
    }
}

/// A file, read from its beginning to its end.
struct Input<'a> {
    path: &'a Path,
    file: BufReader<File>,
    left_bytes: u64,
}

impl<'a> Input<'a> {
    fn open(path: &'a Path) -> Result<Self, StateError> {
        let failed = |e| StateError::io(path, e);
        let file = File::open(path).map_err(failed)?;
        let left_bytes = file.metadata().map_err(failed)?.len();
        Ok(Self { path, file: BufReader::with_capacity(1 << 20, file), left_bytes })
    }

    /// Appends the next `count` bytes.
    fn take(&mut self, bytes: &mut Vec<u8>, count: usize) -> Result<(), StateError> {
        // A length that is damaged asks for no memory.
        let cut = || StateError::corrupt_file(self.path, "the file is cut");
        self.left_bytes = self.left_bytes.checked_sub(count as u64).ok_or_else(cut)?;
        let start = bytes.len();
        bytes.resize(start + count, 0);
        self.file.read_exact(&mut bytes[start..]).map_err(|e| StateError::io(self.path, e))
    }
}

/// A block whose checksum fits.
pub(super) struct Block(Vec<u8>);

/// The block that `bytes` hold, with `blocks` before it in its file.
pub(super) fn parse_block(bytes: Vec<u8>, blocks: u64) -> Option<Block> {
    checked(&bytes, blocks)?;
    Some(Block(bytes))
}

impl Block {
    /// Its entries, if it is a block of columns; `Some(None)`: they do not fit it.
    pub(super) fn columns(&self) -> Option<Option<Puts>> {
        (self.0[0] == COLUMNS).then(|| columns::unpack(self.payload()))
    }

    fn payload(&self) -> &[u8] {
        &self.0[BLOCK_HEAD_BYTES..self.0.len() - CHECKSUM_BYTES]
    }

    /// Calls `each` with every record. `None`: they do not fit the block.
    pub(super) fn each(
        &self,
        each: &mut dyn FnMut(WriteRef<'_>) -> Result<(), StateError>,
    ) -> Option<Result<u64, StateError>> {
        let payload = self.payload();
        if self.0[0] == COLUMNS { columns::read(payload, each) } else { each_record(payload, each) }
    }
}

/// Calls `each` with every record of a payload, and counts them. `None`: they do not fit it.
fn each_record(
    mut payload: &[u8],
    each: &mut dyn FnMut(WriteRef<'_>) -> Result<(), StateError>,
) -> Option<Result<u64, StateError>> {
    let (mut key, mut records) = (Vec::new(), 0);
    while !payload.is_empty() {
        let done = match Record::take(&mut payload, &mut key)? {
            Record::Put(value) => each(WriteRef::Put(&key, value)),
            Record::Delete => each(WriteRef::Delete(&key)),
            Record::DeleteRange(to) => each(WriteRef::DeleteRange(&key, to)),
        };
        if let Err(error) = done {
            return Some(Err(error));
        }
        records += 1;
    }
    Some(Ok(records))
}

/// The bytes before the checksum at the end, if it is theirs.
pub(super) fn checked(bytes: &[u8], blocks: u64) -> Option<&[u8]> {
    let (content, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>()?;
    (xxh3_64_with_seed(content, blocks) == u64::from_le_bytes(*checksum)).then_some(content)
}

/// The parts that a line of the file of names tells, of those of a file.
pub(super) fn parse_parts(text: Option<&str>) -> Option<Parts> {
    match text {
        None => Some(ALL),
        Some(digits) => Parts::from_str_radix(digits, 16).ok(),
    }
}

/// A record without its key.
enum Record<'a> {
    Put(&'a [u8]),
    Delete,
    DeleteRange(&'a [u8]),
}

impl<'a> Record<'a> {
    /// The next record; `key` is the key before it, and becomes its own. `None`: the bytes are no record.
    fn take(payload: &mut &'a [u8], key: &mut Vec<u8>) -> Option<Self> {
        let (kind, shared) = (*payload.split_off_first()?, usize::from(*payload.split_off_first()?));
        let rest = varint(payload)?;
        let length = match kind {
            PUT | DELETE_RANGE => varint(payload)?,
            DELETE => 0,
            _ => return None,
        };
        if shared > SHARED_MAX.min(key.len()) {
            return None;
        }
        key.truncate(shared);
        key.extend_from_slice(payload.split_off(..rest)?);
        let value = payload.split_off(..length)?;
        Some(match kind {
            PUT => Self::Put(value),
            DELETE => Self::Delete,
            _ => Self::DeleteRange(value),
        })
    }
}
