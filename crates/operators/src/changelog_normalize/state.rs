use crate::keyed_rows::{Arena, Kept, NONE};
use eddyline_state::StateError;

/// The last row of a key, or [`NONE`]. Encoding: the row's bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Last(pub(super) u32);

impl Default for Last {
    fn default() -> Self {
        Self(NONE)
    }
}

impl Kept for Last {
    fn load(&mut self, arena: &mut Arena, bytes: &[u8]) -> Result<(), StateError> {
        self.0 = arena.add(bytes);
        Ok(())
    }

    fn save(&self, arena: &Arena, out: &mut Vec<u8>) {
        out.extend_from_slice(arena.bytes(self.0));
    }

    fn rows(&self) -> &[u32] {
        if self.0 == NONE { &[] } else { std::slice::from_ref(&self.0) }
    }

    fn allocated_bytes(&self) -> usize {
        0
    }
}
