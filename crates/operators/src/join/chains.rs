//! The rows of every join key. A key is known by its **head**, one of its rows: the index leads from the hash of a key to the head,
//! and whether it is the key that is looked for is told by the head's columns, so keys are kept nowhere else. Behind the head
//! up to fifteen rows are chained, four bytes each; as long as every key has one row, nothing is kept for that. Keys of more
//! rows have a list: by what the rows hold where rows are looked up, else as they came.

use super::counts::{BEHIND_MAX, Counts};
use eddyline_state::{BySlot, TagIndex};

/// No row.
pub(super) const NONE: u32 = u32::MAX;
/// A head's link is the number of a list, not a row.
const LIST: u32 = 1 << 31;

/// The rows of a key that has many.
pub(super) enum List {
    /// As they came.
    Plain(Vec<u32>),
    /// By the tag of what they hold.
    Indexed(TagIndex),
}

impl List {
    pub(super) fn len(&self) -> usize {
        match self {
            List::Plain(rows) => rows.len(),
            List::Indexed(rows) => rows.len(),
        }
    }

    fn size_bytes(&self) -> usize {
        match self {
            List::Plain(rows) => rows.capacity() * 4,
            List::Indexed(rows) => rows.size_bytes(),
        }
    }

    fn push(&mut self, row: u32, tag: u32) {
        match self {
            List::Plain(rows) => {
                if rows.len() == rows.capacity() {
                    rows.reserve_exact(rows.len() / 4 + 4);
                }
                rows.push(row);
            }
            List::Indexed(rows) => rows.insert(tag, row),
        }
    }
}

/// How the rows of a key are kept.
pub(super) enum Shape {
    /// The head is the only one.
    One,
    /// Chained, the next behind the head first.
    Chain(u32),
    /// In a list, the head among them.
    List(u32),
}

/// See the module's page.
#[derive(Default)]
pub(super) struct Chains {
    /// Tag of the join key → head.
    heads: TagIndex,
    /// By slot: the row behind it, or, of a head, its list. Empty as long as every key has one row.
    links: BySlot<u32>,
    lists: Vec<List>,
    free: Vec<u32>,
    list_bytes: usize,
}

impl Chains {
    /// The head of a key by its tag; `is_meant` says whether a head has the key.
    #[inline]
    pub(super) fn head(&self, tag: u32, is_meant: impl FnMut(u32) -> bool) -> Option<u32> {
        self.heads.find(tag, is_meant)
    }

    /// A new key.
    pub(super) fn insert(&mut self, tag: u32, head: u32) {
        self.heads.insert(tag, head);
    }

    /// Forgets a key.
    pub(super) fn remove(&mut self, tag: u32, head: u32) {
        self.heads.remove(tag, head);
        if let Shape::List(list) = self.shape(head) {
            self.list_bytes -= self.lists[list as usize].size_bytes();
            self.lists[list as usize] = List::Plain(Vec::new());
            self.free.push(list);
        }
    }

    /// Has every key one row?
    #[inline]
    pub(super) fn are_single(&self) -> bool {
        self.links.is_empty()
    }

    /// How the rows of a head's key are kept.
    #[inline]
    pub(super) fn shape(&self, head: u32) -> Shape {
        match self.links.get(head as usize) {
            None | Some(&NONE) => Shape::One,
            Some(link) if link & LIST != 0 => Shape::List(link & !LIST),
            Some(next) => Shape::Chain(*next),
        }
    }

    /// The row behind a row of a chain.
    #[inline]
    pub(super) fn behind(&self, row: u32) -> Option<u32> {
        self.links.get(row as usize).copied().filter(|next| *next != NONE)
    }

    /// Appends the rows of a head's key.
    pub(super) fn rows(&self, head: u32, rows: &mut Vec<u32>) {
        match self.shape(head) {
            Shape::One => rows.push(head),
            Shape::Chain(next) => {
                rows.push(head);
                let mut row = next;
                while row != NONE {
                    rows.push(row);
                    row = self.links[row as usize];
                }
            }
            Shape::List(list) => match self.list(list) {
                List::Plain(all) => rows.extend_from_slice(all),
                List::Indexed(all) => rows.extend(all.numbers()),
            },
        }
    }

    /// How many rows a head's key has.
    pub(super) fn len(&self, head: u32, counts: &Counts) -> usize {
        match self.shape(head) {
            Shape::List(list) => self.list(list).len(),
            _ => 1 + usize::from(counts.behind(head)),
        }
    }

    pub(super) fn list(&self, list: u32) -> &List {
        &self.lists[list as usize]
    }

    /// Makes room for slots `0..slots`, once a key has two rows.
    pub(super) fn resize(&mut self, slots: usize) {
        if !self.links.is_empty() && self.links.len() < slots {
            self.links.grow(slots, NONE);
        }
    }

    /// Chains a row behind a head. False when the chain is full.
    pub(super) fn chain(&mut self, head: u32, row: u32, slots: usize, counts: &mut Counts) -> bool {
        let behind = counts.behind(head);
        if behind == BEHIND_MAX {
            return false;
        }
        if self.links.is_empty() {
            self.links.grow(slots, NONE);
        }
        self.links[row as usize] = std::mem::replace(&mut self.links[head as usize], row);
        counts.set_behind(head, behind + 1);
        true
    }

    /// Keeps the rows of a head's chain as a list: `rows`, with their tags.
    pub(super) fn make_list(&mut self, head: u32, rows: &[(u32, u32)], is_indexed: bool, counts: &mut Counts) -> u32 {
        let mut list = if is_indexed { List::Indexed(TagIndex::default()) } else { List::Plain(Vec::new()) };
        for (row, tag) in rows {
            list.push(*row, *tag);
            self.links[*row as usize] = NONE;
        }
        self.list_bytes += list.size_bytes();
        let number = self.free.pop().unwrap_or_else(|| {
            self.lists.push(List::Plain(Vec::new()));
            (self.lists.len() - 1) as u32
        });
        self.lists[number as usize] = list;
        self.links[head as usize] = LIST | number;
        counts.set_behind(head, 0);
        number
    }

    /// Adds a row to a list; `tag` is that of what it holds.
    pub(super) fn push(&mut self, list: u32, row: u32, tag: u32) {
        let list = &mut self.lists[list as usize];
        self.list_bytes -= list.size_bytes();
        list.push(row, tag);
        self.list_bytes += list.size_bytes();
    }

    /// Takes rows, with the tags of what they hold, from the list of a head, which keeps others. `key` is the tag of the join key.
    pub(super) fn take_from_list(&mut self, key: u32, head: u32, number: u32, gone: &[(u32, u32)]) {
        let list = &mut self.lists[number as usize];
        self.list_bytes -= list.size_bytes();
        let first = match list {
            List::Plain(rows) => {
                let mut sorted: Vec<u32> = gone.iter().map(|(row, _)| *row).collect();
                sorted.sort_unstable();
                rows.retain(|row| sorted.binary_search(row).is_err());
                rows.first().copied()
            }
            List::Indexed(rows) => {
                gone.iter().for_each(|(row, tag)| {
                    rows.remove(*tag, *row);
                });
                rows.numbers().next()
            }
        };
        self.list_bytes += list.size_bytes();
        if let Some(first) = first
            && gone.iter().any(|(row, _)| *row == head)
        {
            self.links[head as usize] = NONE;
            self.links[first as usize] = LIST | number;
            self.heads.replace(key, head, first);
        }
    }

    /// Takes rows from the chain of a head, which keeps others. `key` is the tag of the join key.
    pub(super) fn take_from_chain(&mut self, key: u32, head: u32, gone: &[u32], counts: &mut Counts) {
        let mut rows = Vec::new();
        self.rows(head, &mut rows);
        rows.retain(|row| {
            self.links[*row as usize] = NONE;
            !gone.contains(row)
        });
        counts.set_behind(head, 0);
        for pair in rows.windows(2) {
            self.links[pair[0] as usize] = pair[1];
        }
        if let Some(first) = rows.first() {
            counts.set_behind(*first, (rows.len() - 1) as u8);
            if *first != head {
                self.heads.replace(key, head, *first);
            }
        }
    }

    /// Rows are no more: their links lead nowhere.
    pub(super) fn clear(&mut self, rows: &[u32]) {
        if !self.links.is_empty() {
            rows.iter().for_each(|row| self.links[*row as usize] = NONE);
        }
    }

    /// Memory in bytes, about.
    pub(super) fn size_bytes(&self) -> usize {
        self.heads.size_bytes()
            + self.links.size_bytes()
            + self.free.capacity() * 4
            + self.lists.capacity() * size_of::<List>()
            + self.list_bytes
    }
}
