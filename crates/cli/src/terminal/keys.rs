//! Keys, from the bytes that a terminal sends for them.

use std::io;

/// A key that was pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Char(char),
    Ctrl(char),
    Escape,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
}

/// The keys of a terminal that [`Screen`](super::Screen) has taken.
#[derive(Default)]
pub(crate) struct Keys {
    waiting: Vec<u8>,
}

impl Keys {
    /// The keys that were pressed since this was asked last.
    ///
    /// # Errors
    /// The terminal cannot be read.
    pub(crate) fn pressed(&mut self) -> io::Result<Vec<Key>> {
        let mut bytes = [0; 256];
        // Not through a buffer: what is typed for the prompt is the prompt's.
        let count = match rustix::io::read(io::stdin(), &mut bytes).map_err(io::Error::from) {
            Ok(count) => count,
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => 0,
            Err(e) => return Err(e),
        };
        self.waiting.extend_from_slice(&bytes[..count]);
        // An escape alone is a key when nothing follows it.
        let (keys, taken) = keys_of(&self.waiting, count == 0);
        self.waiting.drain(..taken);
        Ok(keys)
    }
}

/// Keys, and how many bytes they are; what may be the beginning of one is left unless it is `all` there is.
fn keys_of(bytes: &[u8], all: bool) -> (Vec<Key>, usize) {
    let mut keys = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let Some((key, length)) = key_of(&bytes[at..], all) else { break };
        keys.extend(key);
        at += length;
    }
    (keys, at)
}

/// The first key and its bytes. `None`: more bytes may follow.
fn key_of(bytes: &[u8], all: bool) -> Option<(Option<Key>, usize)> {
    match bytes[0] {
        0x1b => match bytes.get(1) {
            Some(b'[' | b'O') => sequence(bytes).or(all.then_some((None, bytes.len()))),
            Some(_) => Some((Some(Key::Escape), 1)),
            None => all.then_some((Some(Key::Escape), 1)),
        },
        b'\r' | b'\n' => Some((Some(Key::Char('\n')), 1)),
        byte @ 1..=26 => Some((Some(Key::Ctrl((b'a' + byte - 1) as char)), 1)),
        _ => {
            let length = bytes.iter().skip(1).take_while(|b| **b & 0xc0 == 0x80).count() + 1;
            let text = std::str::from_utf8(&bytes[..length]).ok();
            Some((text.and_then(|t| t.chars().next()).map(Key::Char), length))
        }
    }
}

/// `ESC [ … final` and `ESC O final`.
fn sequence(bytes: &[u8]) -> Option<(Option<Key>, usize)> {
    let end = bytes.iter().skip(2).position(|b| (0x40..=0x7e).contains(b))? + 2;
    let key = match (bytes[end], &bytes[2..end]) {
        (b'A', _) => Some(Key::Up),
        (b'B', _) => Some(Key::Down),
        (b'C', _) => Some(Key::Right),
        (b'D', _) => Some(Key::Left),
        (b'H', _) | (b'~', b"1" | b"7") => Some(Key::Home),
        (b'F', _) | (b'~', b"4" | b"8") => Some(Key::End),
        (b'~', b"5") => Some(Key::PageUp),
        (b'~', b"6") => Some(Key::PageDown),
        _ => None,
    };
    Some((key, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_keys() {
        let bytes = b"q\x03\x1b[A\x1bOB\x1b[5~\x1b[1;5C\x1b[200~\xc3\xa9\r";
        let want = [
            Key::Char('q'),
            Key::Ctrl('c'),
            Key::Up,
            Key::Down,
            Key::PageUp,
            Key::Right,
            Key::Char('é'),
            Key::Char('\n'),
        ];
        assert_eq!(keys_of(bytes, false), (want.to_vec(), bytes.len()));
    }

    #[test]
    fn a_key_may_come_in_two_parts() {
        assert_eq!(keys_of(b"a\x1b[", false), (vec![Key::Char('a')], 1));
        assert_eq!(keys_of(b"\x1b", false), (vec![], 0));
        assert_eq!(keys_of(b"\x1b", true), (vec![Key::Escape], 1));
        assert_eq!(keys_of(b"\x1bq", false), (vec![Key::Escape, Key::Char('q')], 2));
    }
}
