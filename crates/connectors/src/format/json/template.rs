//! What stands between the values of an object, predicted from the objects before.
//!
//! Rows of one producer look alike: behind the value of `"auction"` comes `,"bidder":` every time. So the bytes from
//! the end of one value to the start of the next (a *link*: comma, key, colon, spaces, newline) are learnt, along
//! with what to do with the value behind them, and every link remembers which one followed it last. As long as the
//! prediction holds, a key costs one comparison of 16 bytes: no parsing, no unescaping, no look-up.
//!
//! A link is only learnt from bytes that were parsed in full, and only predicted behind links it has once followed,
//! so a match means that these bytes are right here too.

/// What to do with the value behind a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// Decode it into this column.
    Column(usize),
    /// Find its end.
    Skip,
    /// There is none: the object has ended, and so has its line.
    End,
}

/// The link that stands before the first one of every object.
pub(super) const START: usize = 0;

/// Inputs with more different keys than this are parsed without prediction beyond the first ones.
const LINKS_MAX: usize = 1024;
const LINK_BYTES_MAX: usize = 256;

struct Link {
    head: u128,
    head_mask: u128,
    bytes: Vec<u8>,
    target: Target,
    next: usize,
}

impl Link {
    fn new(bytes: &[u8], target: Target) -> Self {
        let mut head = [0; 16];
        let n = bytes.len().min(16);
        head[..n].copy_from_slice(&bytes[..n]);
        let head_mask = if n == 16 { u128::MAX } else { (1u128 << (8 * n)) - 1 };
        Self { head: u128::from_le_bytes(head), head_mask, bytes: bytes.to_vec(), target, next: START }
    }

    #[inline(always)]
    fn matches(&self, rest: &[u8]) -> bool {
        match rest.first_chunk::<16>() {
            Some(head) => {
                (u128::from_le_bytes(*head) ^ self.head) & self.head_mask == 0
                    && (self.bytes.len() <= 16 || rest.starts_with(&self.bytes))
            }
            None => rest.starts_with(&self.bytes),
        }
    }
}

/// The links seen so far.
pub(super) struct Template {
    links: Vec<Link>,
}

impl Template {
    pub(super) fn new() -> Self {
        Self { links: vec![Link::new(b"", Target::Skip)] }
    }

    /// The link at the start of `rest` if it is the one that followed `previous` last: itself, its target, its length.
    #[inline(always)]
    pub(super) fn predict(&self, previous: usize, rest: &[u8]) -> Option<(usize, Target, usize)> {
        let next = self.links[previous].next;
        let link = &self.links[next];
        (next != START && link.matches(rest)).then_some((next, link.target, link.bytes.len()))
    }

    /// Remembers that `bytes` followed `previous`. Returns the link.
    pub(super) fn learn(&mut self, previous: usize, bytes: &[u8], target: Target) -> usize {
        let known = self.links.iter().skip(1).position(|l| l.target == target && l.bytes == bytes);
        let link = match known {
            Some(at) => at + 1,
            None if self.links.len() < LINKS_MAX && bytes.len() <= LINK_BYTES_MAX => {
                self.links.push(Link::new(bytes, target));
                self.links.len() - 1
            }
            None => return START,
        };
        self.links[previous].next = link;
        link
    }
}
