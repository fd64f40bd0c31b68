//! What changed on a side in an epoch: rows with what they were before, and keys that came.

use super::chains::NONE;
use super::departure::Departures;
use super::state::Side;

/// Mark of a row that changed in this epoch.
const TOUCHED: u8 = 0;
/// Mark of the head of a key that came in this epoch.
pub(super) const FRESH: u8 = 1;
/// Mark of a row whose key began or ceased to match in this epoch.
const FLIPPED: u8 = 2;

/// Mark of a row that came in this epoch, where changes are gathered.
pub(super) const CAME: u8 = 3;

/// The key of a row: its head, or [`NONE`] where it is not known, and its tag.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) head: u32,
    pub(super) tag: u32,
}

impl Key {
    pub(super) const UNKNOWN: Self = Self { head: NONE, tag: 0 };
}

/// What a row was before this epoch.
#[derive(Clone, Copy)]
pub(super) struct Before {
    pub(super) slot: u32,
    /// Heads change only when an epoch has been settled.
    pub(super) key: Key,
    pub(super) weight: i64,
    pub(super) matches: i64,
}

/// Room for changed rows that is kept from epoch to epoch.
const KEPT_ROOM: usize = 1024;

impl Side {
    /// Notes what a row was, if it is touched for the first time.
    #[inline]
    pub(super) fn touch(&mut self, slot: u32, key: Key) {
        if !self.table.mark(slot, TOUCHED) {
            let matches = self.matches.get(slot as usize).copied().unwrap_or_default();
            self.touched.push(Before { slot, key, weight: self.counts.weight(slot), matches });
        }
    }

    /// Notes that the key of a row began or ceased to match.
    pub(super) fn flip(&mut self, slot: u32) {
        self.touch(slot, Key::UNKNOWN);
        self.table.mark(slot, FLIPPED);
    }

    /// Did the key of a row begin or cease to match?
    pub(super) fn is_flipped(&self, slot: u32) -> bool {
        self.table.is_marked(slot, FLIPPED)
    }

    /// Heads of keys that are here now and were not before this epoch, or the other way round; `gone` are the rows that go.
    pub(super) fn turned_keys(&self, gone: &Departures) -> Vec<u32> {
        let whole: Vec<u32> = gone.whole().collect();
        let came = self.fresh.iter().copied().filter(|head| whole.binary_search(head).is_err());
        let went = whole.iter().copied().filter(|head| !self.table.is_marked(*head, FRESH));
        came.chain(went).collect()
    }

    /// Did the key of a head come in this epoch?
    pub(super) fn is_fresh(&self, head: u32) -> bool {
        self.table.is_marked(head, FRESH)
    }

    /// What the changes of this epoch come to, by row: of what is taken back no more than there was, because the rest was
    /// forgotten.
    pub(super) fn effects(&mut self) -> Vec<(u32, i64)> {
        let mut effects = Vec::new();
        for before in &self.touched {
            let now = self.counts.weight(before.slot).max(0);
            self.counts.set_weight(before.slot, now);
            if before.weight == 0 {
                self.table.mark(before.slot, CAME);
            }
            if now != before.weight {
                effects.push((before.slot, now - before.weight));
            }
        }
        effects
    }

    /// What changed in this epoch is settled.
    pub(super) fn settle(&mut self) {
        for before in self.touched.drain(..) {
            self.table.unmark(before.slot, TOUCHED);
            self.table.unmark(before.slot, FLIPPED);
            self.table.unmark(before.slot, CAME);
        }
        self.fresh.drain(..).for_each(|head| self.table.unmark(head, FRESH));
        // What an epoch of many changes took is not kept for those of few.
        self.touched.shrink_to(KEPT_ROOM);
        self.fresh.shrink_to(KEPT_ROOM);
    }
}
