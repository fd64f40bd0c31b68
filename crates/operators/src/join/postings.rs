//! Lists of row slots by key slot. A list of one, which most are, costs four bytes and nothing else.

use eddyline_state::make_room;

/// No rows.
const NONE: u32 = u32::MAX;
/// The entry is the number of a list, not a row.
const LIST: u32 = 1 << 31;

/// For every key slot, the row slots that have the key, in no order.
#[derive(Default)]
pub(super) struct Postings {
    /// By key slot: [`NONE`], a row, or [`LIST`] and the number of a list.
    entries: Vec<u32>,
    lists: Vec<Vec<u32>>,
    free: Vec<u32>,
    /// By row slot: its place in the list. Empty when rows are never removed one by one.
    places: Vec<u32>,
    /// Room of all lists, in rows.
    room: usize,
}

impl Postings {
    /// Makes room for key slots `0..keys` and, when rows may be [removed](Self::remove), row slots `0..rows`.
    pub(super) fn resize(&mut self, keys: usize, rows: usize) {
        if self.entries.len() < keys {
            make_room(&mut self.entries, keys);
            self.entries.resize(keys, NONE);
        }
        if self.places.len() < rows {
            make_room(&mut self.places, rows);
            self.places.resize(rows, 0);
        }
    }

    /// The rows of a key.
    #[inline]
    pub(super) fn rows(&self, key: u32) -> &[u32] {
        let Some(entry) = self.entries.get(key as usize) else { return &[] };
        match *entry {
            NONE => &[],
            list if list & LIST != 0 => &self.lists[(list & !LIST) as usize],
            _ => std::slice::from_ref(entry),
        }
    }

    /// Adds a row to a key. Neither has the other yet.
    pub(super) fn add(&mut self, key: u32, row: u32) {
        match self.entries[key as usize] {
            NONE => self.entries[key as usize] = row,
            list if list & LIST != 0 => {
                let list = &mut self.lists[(list & !LIST) as usize];
                if let Some(place) = self.places.get_mut(row as usize) {
                    *place = list.len() as u32;
                }
                self.room -= list.capacity();
                list.push(row);
                self.room += list.capacity();
            }
            first => {
                let list = self.free.pop().unwrap_or_else(|| {
                    self.lists.push(Vec::new());
                    self.lists.len() as u32 - 1
                });
                self.room -= self.lists[list as usize].capacity();
                self.lists[list as usize].extend([first, row]);
                self.room += self.lists[list as usize].capacity();
                if !self.places.is_empty() {
                    (self.places[first as usize], self.places[row as usize]) = (0, 1);
                }
                self.entries[key as usize] = list | LIST;
            }
        }
    }

    /// Takes a row from its key.
    pub(super) fn remove(&mut self, key: u32, row: u32) {
        let entry = self.entries[key as usize];
        if entry & LIST == 0 {
            debug_assert_eq!(entry, row, "the key has the row");
            self.entries[key as usize] = NONE;
            return;
        }
        let list = &mut self.lists[(entry & !LIST) as usize];
        let place = self.places[row as usize] as usize;
        list.swap_remove(place);
        if let Some(moved) = list.get(place) {
            self.places[*moved as usize] = place as u32;
        }
        if list.is_empty() {
            // Its room is kept for the next list.
            self.free.push(entry & !LIST);
            self.entries[key as usize] = NONE;
        }
    }

    /// Takes all rows from a key.
    pub(super) fn clear(&mut self, key: u32) {
        // A key that only the other side has may be beyond the room of this one.
        let Some(entry) = self.entries.get_mut(key as usize) else { return };
        let entry = std::mem::replace(entry, NONE);
        if entry != NONE && entry & LIST != 0 {
            self.lists[(entry & !LIST) as usize].clear();
            self.free.push(entry & !LIST);
        }
    }

    /// Memory in bytes, about.
    pub(super) fn size_bytes(&self) -> usize {
        let lists = self.lists.capacity() * size_of::<Vec<u32>>();
        lists + (self.room + self.entries.capacity() + self.places.capacity() + self.free.capacity()) * 4
    }
}
