//! The watermark up to which an operator has closed windows, as it is stored.

use crate::OperatorError;
use crate::layout::{Bound, TableLayout};
use eddyline_state::{StateError, Store, Table, TableId, Write};

/// Where the watermark is stored.
pub(crate) const WATERMARK: TableId = eddyline_state::NOTES_FROM;

/// The watermark up to which windows are closed.
///
/// It is stored once per key group, so that it goes where the group goes when the job is rescaled. At a checkpoint all
/// instances have the same one: every sender gives its watermarks to all of them, and barriers are aligned. Should the
/// groups of an instance differ all the same, the earliest counts: what still waits is emitted rather than dropped.
pub(crate) struct Closed {
    /// Milliseconds; `i64::MIN` while there was none.
    pub(crate) watermark: i64,
    stored: i64,
    store: Store,
}

impl Closed {
    /// As it was stored.
    pub(crate) fn open(store: &Store) -> Result<Self, OperatorError> {
        let mut found = Vec::new();
        if !store.is_fresh() {
            store.scan(WATERMARK, &mut |_, _, value| {
                found.push(i64::from_le_bytes(value.try_into().map_err(|_| damaged())?));
                Ok(())
            })?;
        }
        let earliest = found.iter().copied().min().filter(|_| found.len() == store.owned().len());
        let watermark = earliest.unwrap_or(i64::MIN);
        Ok(Self { watermark, stored: watermark, store: store.clone() })
    }
}

impl Table for Closed {
    fn name(&self) -> &str {
        "watermark"
    }

    fn persist(&mut self) -> Result<(), StateError> {
        if self.watermark != self.stored {
            let value = self.watermark.to_le_bytes();
            let put = |group| Write::Put(self.store.full_key(WATERMARK, group, &[]), value.to_vec());
            self.store.write(self.store.owned().map(put).collect())?;
            self.stored = self.watermark;
        }
        Ok(())
    }

    fn len(&self) -> usize {
        usize::from(self.watermark != i64::MIN)
    }

    fn size_bytes(&self) -> usize {
        size_of::<Self>()
    }
}

fn damaged() -> StateError {
    StateError::Corrupt { table: "watermark".into(), message: "an entry is too short".into() }
}

/// What is said of it in layouts.
pub(crate) fn layout() -> TableLayout {
    TableLayout { name: "watermark".into(), key: Vec::new(), bound: Bound::Rows(1), entry_bytes: size_of::<i64>() }
}
