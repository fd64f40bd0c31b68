//! Keys that are forgotten when they were not touched for a time, in the hot set or not. See [`crate::ages`].

use super::{LIVE, SlotTable};
use crate::StateError;
use crate::ages::{Ages, Stored};

impl SlotTable {
    /// From now on keys that are not [touched](Self::touch) for so long are to be forgotten: [`take_idle`](Self::take_idle) tells which.
    pub fn forget_after(&mut self, ttl_ms: u64) {
        self.ages = Some(Ages::new(ttl_ms, self.slots()));
    }

    /// Are keys forgotten?
    pub fn forgets(&self) -> bool {
        self.ages.is_some()
    }

    /// Notes that keys are used. Nothing happens in a table that forgets none.
    pub fn touch(&mut self, slots: &[u32], now_ms: i64) {
        let Some(ages) = &mut self.ages else { return };
        ages.touch(slots, now_ms);
        // Their time is to be written.
        self.mark_dirty(slots);
    }

    /// Tells the time. Returns the slots that were not touched for the time to live and are not busy, which the owner must
    /// [`remove`](Self::remove); what the store alone has is not found any more then.
    pub fn take_idle(&mut self, now_ms: i64, is_busy: impl Fn(u32) -> bool) -> Vec<u32> {
        let Some(ages) = &mut self.ages else { return Vec::new() };
        let flags = &self.flags;
        let is_live = |slot: u32| flags.get(slot as usize).is_some_and(|f| f & LIVE != 0);
        ages.take(now_ms, |slot| is_live(slot) && !is_busy(slot))
    }

    /// Removes what is over and stands in the store alone, of about `entries_max` entries there, the next ones.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn tidy(&mut self, entries_max: usize) -> Result<(), StateError> {
        let Some(home) = self.home.as_ref().filter(|_| !self.complete) else { return Ok(()) };
        let Some(mut ages) = self.ages.take() else { return Ok(()) };
        let over = ages.look_through(&home.store, (home.id, &self.name), entries_max, |key| self.is_gone(key));
        self.ages = Some(ages);
        self.gone.extend(over?);
        Ok(())
    }

    /// Is what the store has of a key over?
    pub(super) fn is_over(&self, stored: &Stored<'_>) -> bool {
        self.ages.as_ref().is_some_and(|ages| ages.is_over(stored))
    }

    /// A key came from the store.
    pub(super) fn admit(&mut self, slot: u32, touched_ms: Option<i64>) {
        if let Some(ages) = &mut self.ages {
            ages.admit(slot, touched_ms);
        }
    }
}
