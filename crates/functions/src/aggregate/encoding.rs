//! Stored accumulators: a version byte, then little-endian fields.

use super::AggregateError;

/// The version that is written.
pub(super) const VERSION: u8 = 1;

/// Takes `N` bytes from the front.
pub(super) fn take<const N: usize>(function: &str, input: &mut &[u8]) -> Result<[u8; N], AggregateError> {
    let (front, rest) = input.split_first_chunk::<N>().ok_or_else(|| corrupt(function))?;
    *input = rest;
    Ok(*front)
}

/// Takes a length and as many bytes.
pub(super) fn take_bytes<'a>(function: &str, input: &mut &'a [u8]) -> Result<&'a [u8], AggregateError> {
    let length = u32::from_le_bytes(take(function, input)?) as usize;
    let (front, rest) = input.split_at_checked(length).ok_or_else(|| corrupt(function))?;
    *input = rest;
    Ok(front)
}

/// Appends a length and the bytes. Values are at most as long as an Arrow string, whose length fits in 31 bits.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Takes the version byte.
pub(super) fn take_version(function: &str, input: &mut &[u8]) -> Result<(), AggregateError> {
    match take::<1>(function, input)? {
        [VERSION] => Ok(()),
        _ => Err(corrupt(function)),
    }
}

/// The error of damaged bytes.
pub(super) fn corrupt(function: &str) -> AggregateError {
    AggregateError::Corrupt(function.to_owned())
}
