use crate::keyed_rows::{Arena, Kept};
use crate::row_list::RowList;
use eddyline_state::StateError;

/// The rows of a key, in the order in which they came. Encoding: per row the length of its bytes (4 bytes, little endian)
/// and its bytes.
impl Kept for RowList {
    fn load(&mut self, arena: &mut Arena, mut bytes: &[u8]) -> Result<(), StateError> {
        while !bytes.is_empty() {
            let row = bytes.split_first_chunk::<4>().and_then(|(length, rest)| {
                let length = u32::from_le_bytes(*length) as usize;
                rest.split_at_checked(length)
            });
            let Some((row, rest)) = row else {
                return Err(StateError::Corrupt { table: "rows".into(), message: "an entry ends within a row".into() });
            };
            self.push(arena.add(row));
            bytes = rest;
        }
        Ok(())
    }

    fn save(&self, arena: &Arena, out: &mut Vec<u8>) {
        for row in RowList::rows(self) {
            let bytes = arena.bytes(*row);
            out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            out.extend_from_slice(bytes);
        }
    }

    fn rows(&self) -> &[u32] {
        RowList::rows(self)
    }

    fn allocated_bytes(&self) -> usize {
        RowList::allocated_bytes(self)
    }
}
