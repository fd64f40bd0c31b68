//! Where CSV records end: at newlines that stand in no quotes. A quote opens a field only at its start; elsewhere it
//! is a character like any other, here as in the decoder.

use super::super::framing::Framing;
use super::super::scan::any_of;
use super::Syntax;
use memchr::{memchr, memrchr};

impl Syntax {
    /// Where the quote stands that closes the field whose text begins at `at`.
    pub(super) fn closing_quote(&self, bytes: &[u8], mut at: usize) -> Option<usize> {
        let quote = self.quote?;
        loop {
            let next = match self.escape {
                None => at + memchr(quote, bytes.get(at..)?)?,
                Some(escape) => at + memchr::memchr2(quote, escape, bytes.get(at..)?)?,
            };
            let doubled = bytes[next] == quote && bytes.get(next + 1) == Some(&quote);
            if bytes[next] == quote && !doubled {
                return Some(next);
            }
            at = next + 2;
        }
    }

    /// The end of the first record.
    pub(super) fn record_end(&self, bytes: &[u8]) -> Option<usize> {
        if self.allows_comments && bytes.first() == Some(&b'#') {
            return memchr(b'\n', bytes).map(|n| n + 1);
        }
        let mut at = 0;
        loop {
            if self.quote.is_some() && bytes.get(at).copied() == self.quote {
                at = self.closing_quote(bytes, at + 1)? + 1;
            }
            let [delimiter, newline, _] = self.stops;
            at = any_of(bytes, at, [delimiter, newline, self.escape.unwrap_or(newline)]);
            match bytes.get(at)? {
                b'\n' => return Some(at + 1),
                b if Some(*b) == self.escape => {
                    at += 2;
                    // Behind an escaped character the field goes on: no quote opens there.
                    at = self.unquoted_end(bytes, at)?;
                    if bytes[at] == b'\n' {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
            at += 1;
        }
    }

    /// The delimiter or newline behind `at`, within an unquoted field with escapes.
    fn unquoted_end(&self, bytes: &[u8], mut at: usize) -> Option<usize> {
        loop {
            at = any_of(bytes, at, [self.delimiter, b'\n', self.escape?]);
            match bytes.get(at)? {
                b if Some(*b) == self.escape => at += 2,
                _ => return Some(at),
            }
        }
    }

    /// The last newline outside of quotes, looking at quotes only.
    fn last_end_by_quotes(&self, bytes: &[u8], quote: u8) -> Option<usize> {
        let (mut at, mut end) = (0, None);
        loop {
            let next = memchr(quote, &bytes[at..]).map_or(bytes.len(), |n| at + n);
            end = memrchr(b'\n', &bytes[at..next]).map(|n| at + n + 1).or(end);
            if next == bytes.len() {
                return end;
            }
            let opens = next == 0 || bytes[next - 1] == b'\n' || bytes[next - 1] == self.delimiter;
            at = match opens {
                true => match self.closing_quote(bytes, next + 1) {
                    Some(close) => close + 1,
                    None => return end,
                },
                false => next + 1,
            };
        }
    }
}

impl Framing for Syntax {
    fn first_end(&self, bytes: &[u8]) -> Option<usize> {
        self.record_end(bytes)
    }

    fn last_end(&self, bytes: &[u8]) -> Option<usize> {
        match self.quote {
            None if self.escape.is_none() => memrchr(b'\n', bytes).map(|n| n + 1),
            Some(quote) if self.escape.is_none() && !self.allows_comments => self.last_end_by_quotes(bytes, quote),
            _ => {
                let (mut at, mut end) = (0, None);
                while let Some(n) = self.record_end(&bytes[at..]) {
                    at += n;
                    end = Some(at);
                }
                end
            }
        }
    }
}
