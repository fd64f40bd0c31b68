//! JSON's syntax: where values end, and what escapes stand for. Within one line: a newline is no white space here.

use super::super::rows::Fault;
use super::super::scan::string_end;

/// Nesting deeper than this is refused.
pub(in crate::format) const DEPTH_MAX: usize = 128;

#[inline]
pub(in crate::format) fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\r') = bytes.get(at) {
        at += 1;
    }
    at
}

/// The end of the string whose first character is at `at`: where its closing quote stands, and whether it has escapes.
#[inline]
pub(in crate::format) fn string(bytes: &[u8], at: usize) -> Result<(usize, bool), Fault> {
    let end = string_end(bytes, at);
    match bytes.get(end) {
        Some(b'"') => Ok((end, false)),
        _ => escaped_string(bytes, end).map(|end| (end, true)),
    }
}

fn escaped_string(bytes: &[u8], mut at: usize) -> Result<usize, Fault> {
    loop {
        match bytes.get(at) {
            Some(b'"') => return Ok(at),
            Some(b'\\') => at = string_end(bytes, at + 1 + usize::from(bytes.get(at + 1).is_some_and(|b| *b >= 0x20))),
            Some(b'\n') | None => return Err(Fault::record("a string is not closed on its line")),
            Some(_) => return Err(Fault::record("a string holds a control character; it must be escaped")),
        }
    }
}

/// Appends what the inside of a string stands for.
pub(in crate::format) fn unescape(mut text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    while let Some(at) = memchr::memchr(b'\\', text) {
        out.extend_from_slice(&text[..at]);
        let escape = text.get(at + 1).ok_or_else(bad_escape)?;
        text = &text[at + 2..];
        out.push(match escape {
            b'"' | b'\\' | b'/' => *escape,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let (character, rest) = unicode(text).ok_or_else(bad_escape)?;
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                text = rest;
                continue;
            }
            _ => return Err(bad_escape()),
        });
    }
    out.extend_from_slice(text);
    Ok(())
}

fn bad_escape() -> Fault {
    Fault::record("a string holds a backslash that begins no escape of JSON")
}

/// Behind `\u`: four hex digits, or two times four for characters outside of the basic plane.
fn unicode(text: &[u8]) -> Option<(char, &[u8])> {
    let (first, rest) = hex4(text)?;
    match first {
        0xd800..=0xdbff => {
            let (second, rest) = hex4(rest.strip_prefix(b"\\u")?)?;
            let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
            Some((char::from_u32(0x10000 + ((first - 0xd800) << 10) + low)?, rest))
        }
        _ => Some((char::from_u32(first)?, rest)),
    }
}

fn hex4(text: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_at_checked(4)?;
    let value = digits.iter().try_fold(0, |v, b| Some(v * 16 + char::from(*b).to_digit(16)?))?;
    Some((value, rest))
}

/// Where the number at `at` ends, by the grammar of JSON.
#[inline]
pub(in crate::format) fn number_end(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let bad = || Fault::record("a number is not written as JSON wants it");
    let mut end = at + usize::from(bytes[at] == b'-');
    let whole = digits(end);
    if whole == 0 || (whole > 1 && bytes[end] == b'0') {
        return Err(bad());
    }
    end += whole;
    if bytes.get(end) == Some(&b'.') {
        match digits(end + 1) {
            0 => return Err(bad()),
            n => end += 1 + n,
        }
    }
    if let Some(b'e' | b'E') = bytes.get(end) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let from = (end + 1 + sign).min(bytes.len());
        match digits(from) {
            0 => return Err(bad()),
            n => end = from + n,
        }
    }
    Ok(end)
}

/// Where the value that begins at `at` ends.
pub(in crate::format) fn value_end(bytes: &[u8], at: usize, depth: usize) -> Result<usize, Fault> {
    let at = skip_space(bytes, at);
    match bytes.get(at) {
        Some(b'"') => Ok(string(bytes, at + 1)?.0 + 1),
        Some(b'-' | b'0'..=b'9') => number_end(bytes, at),
        Some(b't') => literal(bytes, at, b"true"),
        Some(b'f') => literal(bytes, at, b"false"),
        Some(b'n') => literal(bytes, at, b"null"),
        Some(b'[' | b'{') if depth >= DEPTH_MAX => Err(Fault::record("values are nested too deeply")),
        Some(b'[') => {
            let mut items = Items::new(at, b']');
            while let Some(item) = items.next(bytes)? {
                items.at = value_end(bytes, item, depth + 1)?;
            }
            Ok(items.at)
        }
        Some(b'{') => {
            let mut items = Items::new(at, b'}');
            while let Some(item) = items.next(bytes)? {
                items.at = value_end(bytes, key(bytes, item)?.value, depth + 1)?;
            }
            Ok(items.at)
        }
        _ => Err(Fault::record("a value is missing or is not JSON")),
    }
}

pub(in crate::format) fn literal(bytes: &[u8], at: usize, word: &[u8]) -> Result<usize, Fault> {
    match bytes[at..].starts_with(word) {
        true => Ok(at + word.len()),
        false => Err(Fault::record("a value is not JSON")),
    }
}

/// Walks over the items between brackets; the caller moves `at` behind each item.
pub(in crate::format) struct Items {
    pub(in crate::format) at: usize,
    closing: u8,
    is_first: bool,
}

impl Items {
    /// Items behind the opening bracket at `at`.
    pub(in crate::format) fn new(at: usize, closing: u8) -> Self {
        Self { at: at + 1, closing, is_first: true }
    }

    /// Where the next item begins; `None` behind the closing bracket.
    pub(in crate::format) fn next(&mut self, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        self.at = skip_space(bytes, self.at);
        match bytes.get(self.at) {
            Some(b) if *b == self.closing => {
                self.at += 1;
                return Ok(None);
            }
            Some(_) if self.is_first => self.is_first = false,
            Some(b',') => {
                self.at = skip_space(bytes, self.at + 1);
                if bytes.get(self.at) == Some(&self.closing) {
                    return Err(Fault::record("a comma has nothing behind it"));
                }
            }
            _ => {
                return Err(Fault::record(format!("'{}' or a comma is missing", char::from(self.closing))));
            }
        }
        Ok(Some(self.at))
    }
}

/// A key as it stands in the input, and where its value begins.
pub(in crate::format) struct Key<'a> {
    pub(in crate::format) text: &'a [u8],
    pub(in crate::format) is_escaped: bool,
    pub(in crate::format) value: usize,
}

/// The key that begins at `at`.
pub(in crate::format) fn key(bytes: &[u8], at: usize) -> Result<Key<'_>, Fault> {
    if bytes.get(at) != Some(&b'"') {
        return Err(Fault::record("a key must be a string"));
    }
    let (end, is_escaped) = string(bytes, at + 1)?;
    let colon = skip_space(bytes, end + 1);
    if bytes.get(colon) != Some(&b':') {
        return Err(Fault::record("a colon is missing behind a key"));
    }
    Ok(Key { text: &bytes[at + 1..end], is_escaped, value: skip_space(bytes, colon + 1) })
}
