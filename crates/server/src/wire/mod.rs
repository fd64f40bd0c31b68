//! The messages of the Postgres protocol, version 3: what clients send ([`frontend`]), what they are sent ([`backend`]).
//!
//! Only the shape of messages is known here: lengths, letters, texts. Not here: what they mean.
//! Source: PostgreSQL documentation, chapter "Frontend/Backend Protocol".

pub(crate) mod backend;
pub(crate) mod frontend;
#[cfg(test)]
mod tests;

use eddyline_engine::SqlError;
use std::fmt;

/// Bytes that are no message, or one that is too long: the connection ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProtocolError(pub(crate) String);

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The error of bytes that are no text, as PostgreSQL words it.
pub(crate) fn not_utf8(bytes: &[u8], at: &std::str::Utf8Error) -> SqlError {
    let begin = at.valid_up_to();
    let end = at.error_len().map_or(bytes.len(), |length| begin + length);
    let wrong: Vec<String> = bytes[begin..end].iter().map(|byte| format!("0x{byte:02x}")).collect();
    let message = format!("invalid byte sequence for encoding \"UTF8\": {}", wrong.join(" "));
    SqlError::new("22021", message).with_hint("clients must send UTF-8: set the client's encoding to it")
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Format {
    /// As people read it.
    #[default]
    Text,
    /// As `typsend` and `typreceive` of Postgres have it.
    Binary,
}

impl Format {
    /// The format of column `at`: none given means text, one given means that for all.
    pub(crate) fn of(formats: &[Format], at: usize) -> Format {
        match formats {
            [] => Format::Text,
            [one] => *one,
            all => all.get(at).copied().unwrap_or_default(),
        }
    }
}
