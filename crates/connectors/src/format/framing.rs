//! Where records end, for readers that cut their input into blocks and ranges.

use std::io::{self, Read};

const READ_BYTES: usize = 1 << 20;

/// How a format finds the ends of records in bytes that begin at a record start.
pub(super) trait Framing {
    /// The end of the first record; `None` when it is not complete.
    fn first_end(&self, bytes: &[u8]) -> Option<usize>;
    /// The end of the last complete record.
    fn last_end(&self, bytes: &[u8]) -> Option<usize>;
}

/// Every newline ends a record.
pub(super) struct Newlines;

impl Framing for Newlines {
    fn first_end(&self, bytes: &[u8]) -> Option<usize> {
        memchr::memchr(b'\n', bytes).map(|n| n + 1)
    }

    fn last_end(&self, bytes: &[u8]) -> Option<usize> {
        memchr::memrchr(b'\n', bytes).map(|n| n + 1)
    }
}

/// See [`super::BytesFormat::record_starts`].
pub(super) fn record_starts(framing: &dyn Framing, input: &mut dyn Read, targets: &[u64]) -> io::Result<Vec<u64>> {
    let mut starts = Vec::with_capacity(targets.len());
    let (mut begin, mut bytes) = (0u64, Vec::new());
    while starts.len() < targets.len() {
        let read = input.take(READ_BYTES as u64).read_to_end(&mut bytes)?;
        let complete = match framing.last_end(&bytes) {
            _ if read == 0 => bytes.len(),
            Some(end) => end,
            None => continue,
        };
        let mut at = 0;
        while let Some(target) = targets.get(starts.len()) {
            while at < complete && begin + (at as u64) < *target {
                at += framing.first_end(&bytes[at..complete]).unwrap_or(complete - at);
            }
            if begin + (at as u64) < *target && read > 0 {
                break;
            }
            starts.push(begin + at as u64);
        }
        bytes.drain(..complete);
        begin += complete as u64;
    }
    Ok(starts)
}
