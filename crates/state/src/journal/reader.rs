use super::{
    BLOCK, BLOCK_HEAD_BYTES, CHECKSUM_BYTES, DELETE, DELETE_RANGE, FOOTER, FOOTER_BYTES, HEADER_BYTES, MAGIC, PUT,
    SHARED_MAX, VERSION,
};
use crate::StateError;
use crate::batch::WriteRef;
use crate::blocks::varint;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What a file's footer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) records: u64,
    pub(crate) waste: u64,
}

/// Calls `each` with every write of a file of the journal, in order, until it fails.
///
/// # Errors
/// The file cannot be read; [`StateError::CorruptFile`]: it was cut or changed; or `each` failed.
pub(crate) fn read(
    path: &Path,
    each: &mut dyn FnMut(WriteRef<'_>) -> Result<(), StateError>,
) -> Result<Totals, StateError> {
    let corrupt = |message: &str| StateError::corrupt_file(path, message);
    let file = File::open(path).map_err(|e| StateError::io(path, e))?;
    let mut left = file.metadata().map_err(|e| StateError::io(path, e))?.len();
    let mut input = BufReader::with_capacity(1 << 20, file);
    let mut bytes = Vec::new();
    let mut take = |bytes: &mut Vec<u8>, count: usize| -> Result<(), StateError> {
        // A length that is damaged asks for no memory.
        left = left.checked_sub(count as u64).ok_or_else(|| corrupt("the file is cut"))?;
        let start = bytes.len();
        bytes.resize(start + count, 0);
        input.read_exact(&mut bytes[start..]).map_err(|e| StateError::io(path, e))
    };
    take(&mut bytes, HEADER_BYTES)?;
    if &bytes[..MAGIC.len()] != MAGIC {
        return Err(corrupt("it is no journal"));
    }
    let version = u16::from_le_bytes([bytes[8], bytes[9]]);
    if version != VERSION {
        return Err(corrupt(&format!("it has version {version}, known is {VERSION}")));
    }
    let (mut blocks, mut records) = (0, 0);
    let mut key = Vec::new();
    loop {
        bytes.clear();
        take(&mut bytes, 1)?;
        match bytes[0] {
            BLOCK => {
                take(&mut bytes, BLOCK_HEAD_BYTES - 1)?;
                let length = u32::from_le_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]) as usize;
                take(&mut bytes, length + CHECKSUM_BYTES)?;
                let payload = checked(&bytes, blocks).ok_or_else(|| corrupt("a checksum does not fit"))?;
                let cut = || corrupt("a record does not fit its block");
                let mut payload = &payload[BLOCK_HEAD_BYTES..];
                key.clear();
                while !payload.is_empty() {
                    let record = Record::take(&mut payload, &mut key).ok_or_else(cut)?;
                    records += 1;
                    match record {
                        Record::Put(value) => each(WriteRef::Put(&key, value))?,
                        Record::Delete => each(WriteRef::Delete(&key))?,
                        Record::DeleteRange(to) => each(WriteRef::DeleteRange(&key, to))?,
                    }
                }
                blocks += 1;
            }
            FOOTER => {
                take(&mut bytes, FOOTER_BYTES - 1 + CHECKSUM_BYTES)?;
                let footer = checked(&bytes, blocks).ok_or_else(|| corrupt("the footer's checksum does not fit"))?;
                let number = |at: usize| footer[at..at + 8].try_into().map(u64::from_le_bytes).unwrap_or(0);
                let totals = Totals { records: number(1), waste: number(9) };
                return match totals.records == records && left == 0 {
                    true => Ok(totals),
                    false => Err(corrupt("it has other records than its footer says")),
                };
            }
            _ => return Err(corrupt("a block of unknown kind")),
        }
    }
}

/// The bytes before the checksum at the end, if it is theirs.
fn checked(bytes: &[u8], blocks: u64) -> Option<&[u8]> {
    let (content, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>()?;
    (xxh3_64_with_seed(content, blocks) == u64::from_le_bytes(*checksum)).then_some(content)
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
