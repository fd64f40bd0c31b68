//! The bytes of a segment: a header, and batches behind it. All numbers are little-endian.
//!
//! ```text
//! segment  magic "EDJS" u32 | version u32 | first record u64 | salt u64 | hash of these u64
//! batch    magic "EDJB" u32 | kind u32 | content bytes u32 | records u32 | first record u64 | hash of the content u64 | hash of these u64
//! content  per record: bytes u32 | the record
//! ```
//!
//! Hashes are xxh3 with the salt of the segment as the seed (that of the segment's header: 0).

use crate::JournalError;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64_with_seed;

pub(crate) const HEADER_BYTES: usize = 32;
pub(crate) const BATCH_BYTES: usize = 40;
/// The longest content of a batch, and so of a record.
pub(crate) const CONTENT_BYTES_MAX: usize = 1 << 30;
/// The length before each record.
pub(crate) const LENGTH_BYTES: usize = 4;

const SEGMENT: [u8; 4] = *b"EDJS";
const BATCH: [u8; 4] = *b"EDJB";
const VERSION: u32 = 1;
const RECORDS: u32 = 1;
const CLOSED: u32 = 2;

/// Takes the number and bytes of a record.
pub type Each<'a> = dyn FnMut(u64, &[u8]) -> Result<(), JournalError> + 'a;

/// What a segment's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) first: u64,
    pub(crate) salt: u64,
}

impl Header {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(&SEGMENT);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.first.to_le_bytes());
        bytes.extend_from_slice(&self.salt.to_le_bytes());
        bytes.extend_from_slice(&xxh3_64_with_seed(&bytes, 0).to_le_bytes());
        bytes
    }

    /// `None`: it is none, or not whole.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..HEADER_BYTES)?;
        let is_whole = bytes[..4] == SEGMENT && u32_at(bytes, 4)? == VERSION;
        let is_whole = is_whole && u64_at(bytes, 24)? == xxh3_64_with_seed(&bytes[..24], 0);
        is_whole.then_some(Self { first: u64_at(bytes, 8)?, salt: u64_at(bytes, 16)? })
    }
}

/// What a batch's header says.
#[derive(Debug, Clone, Copy)]
struct BatchHeader {
    kind: u32,
    content_bytes: usize,
    records: u32,
    first: u64,
    content_hash: u64,
}

impl BatchHeader {
    fn decode(bytes: &[u8], salt: u64) -> Option<Self> {
        let bytes = bytes.get(..BATCH_BYTES)?;
        let is_whole = bytes[..4] == BATCH && u64_at(bytes, 32)? == xxh3_64_with_seed(&bytes[..32], salt);
        is_whole.then_some(Self {
            kind: u32_at(bytes, 4)?,
            content_bytes: u32_at(bytes, 8)? as usize,
            records: u32_at(bytes, 12)?,
            first: u64_at(bytes, 16)?,
            content_hash: u64_at(bytes, 24)?,
        })
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// A batch of records whose content is `content`, each behind its length.
pub(crate) fn batch(salt: u64, first: u64, records: u32, content: &[u8]) -> Vec<u8> {
    encode(RECORDS, salt, first, records, content)
}

/// The mark of a journal that was closed: nothing before it can be torn.
pub(crate) fn closed(salt: u64, next: u64) -> Vec<u8> {
    encode(CLOSED, salt, next, 0, &[])
}

fn encode(kind: u32, salt: u64, first: u64, records: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(BATCH_BYTES + content.len());
    bytes.extend_from_slice(&BATCH);
    for number in [kind, content.len() as u32, records] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&first.to_le_bytes());
    bytes.extend_from_slice(&xxh3_64_with_seed(content, salt).to_le_bytes());
    bytes.extend_from_slice(&xxh3_64_with_seed(&bytes, salt).to_le_bytes());
    bytes.extend_from_slice(content);
    bytes
}

/// What was found in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scanned {
    pub(crate) header: Header,
    /// The number after its last record.
    pub(crate) next: u64,
    /// How many of its bytes are whole.
    pub(crate) whole_bytes: u64,
}

/// Goes through the batches of a segment, calling `each` with every record. What is torn at its end is left out; `None`: the
/// segment itself is torn, and holds nothing.
///
/// # Errors
/// Damage, or `each` failed.
pub(crate) fn scan(path: &Path, bytes: &[u8], each: &mut Each<'_>) -> Result<Option<Scanned>, JournalError> {
    let corrupt = |at: usize, message: &str| JournalError::Corrupt {
        path: path.to_owned(),
        at: at as u64,
        message: message.into(),
    };
    let Some(header) = Header::decode(bytes) else {
        // A batch is only written behind a header that is durable.
        return if bytes.len() <= HEADER_BYTES { Ok(None) } else { Err(corrupt(0, "its header is not whole")) };
    };
    let (mut at, mut next) = (HEADER_BYTES, header.first);
    while at < bytes.len() {
        let whole = BatchHeader::decode(&bytes[at..], header.salt).and_then(|batch| {
            let content = bytes.get(at + BATCH_BYTES..at + BATCH_BYTES + batch.content_bytes)?;
            (xxh3_64_with_seed(content, header.salt) == batch.content_hash).then_some((batch, content))
        });
        let Some((batch, content)) = whole else {
            let behind = (at + 1..bytes.len()).find(|at| BatchHeader::decode(&bytes[*at..], header.salt).is_some());
            return match behind {
                Some(_) => Err(corrupt(at, "a batch that was written before others is not whole")),
                None => Ok(Some(Scanned { header, next, whole_bytes: at as u64 })),
            };
        };
        if batch.first != next || ![RECORDS, CLOSED].contains(&batch.kind) {
            return Err(corrupt(at, &format!("a batch of record {} stands where {next} should", batch.first)));
        }
        let mut rest = content;
        for number in next..next + u64::from(batch.records) {
            let length = u32_at(rest, 0).map(|l| l as usize);
            let record = length.and_then(|length| rest.get(LENGTH_BYTES..LENGTH_BYTES + length));
            let record = record.ok_or_else(|| corrupt(at, "a record is longer than its batch"))?;
            each(number, record)?;
            rest = &rest[LENGTH_BYTES + record.len()..];
        }
        next += u64::from(batch.records);
        at += BATCH_BYTES + content.len();
    }
    Ok(Some(Scanned { header, next, whole_bytes: at as u64 }))
}
