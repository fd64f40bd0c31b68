//! Which slots were not touched for a time (state TTL).
//!
//! Beside the slots of a table stands when each was touched last. To find those that were not for too long without looking
//! at all of them, every slot is noted once under the span of time in which it was touched; when the span is over by the time
//! to live, its slots are looked at, and those that were touched again are noted under their later span. So a slot is
//! looked at about once in its time to live, whatever becomes of it.
//!
//! The time comes from the owner, who knows what touching means. Of slots that are there and of which nobody knows when they were touched, that is
//! when the time is told next ([`Idle::adopt`]).

use std::collections::BTreeMap;

/// Spans in a time to live.
const SPANS: i64 = 1024;
/// Not noted under any span.
const NOWHERE: i64 = i64::MAX;
/// Not touched since the slot was adopted.
const UNKNOWN: i64 = i64::MIN;

/// When the slots of a table were touched last. See the module's page.
#[derive(Debug)]
pub struct Idle {
    ttl_ms: i64,
    /// By slot.
    touched_ms: Vec<i64>,
    /// By slot: the span under which it is noted, [`NOWHERE`] if under none. It stays so when its key goes, until the span is over; who
    /// comes in with an earlier time is noted once more.
    noted: Vec<i64>,
    spans: BTreeMap<i64, Vec<u32>>,
    /// Slots that were there before the time was known.
    adopted: Vec<u32>,
    /// Before this nothing is due.
    next_ms: i64,
}

impl Idle {
    /// Slots live for `ttl_ms` milliseconds after they were touched.
    pub fn new(ttl_ms: u64) -> Self {
        let ttl_ms = i64::try_from(ttl_ms).unwrap_or(i64::MAX).max(1);
        Self {
            ttl_ms,
            touched_ms: Vec::new(),
            noted: Vec::new(),
            spans: BTreeMap::new(),
            adopted: Vec::new(),
            next_ms: i64::MIN,
        }
    }

    /// Slots that are there already: they count as touched when the time is told first.
    pub fn adopt(&mut self, slots: Vec<u32>) {
        for slot in &slots {
            if let Some(touched_ms) = self.touched_ms.get_mut(*slot as usize) {
                *touched_ms = UNKNOWN;
            }
        }
        self.adopted.extend(slots);
    }

    /// When a slot was touched last; `None`: nobody knows.
    pub fn touched_ms(&self, slot: u32) -> Option<i64> {
        self.touched_ms.get(slot as usize).copied().filter(|touched_ms| *touched_ms != UNKNOWN)
    }

    /// Is the time over of what was touched then?
    pub fn is_over(&self, touched_ms: i64, now_ms: i64) -> bool {
        touched_ms.saturating_add(self.ttl_ms) <= now_ms
    }

    /// The slots are touched.
    pub fn touch(&mut self, slots: impl IntoIterator<Item = u32>, now_ms: i64) {
        for slot in slots {
            let at = slot as usize;
            if at >= self.touched_ms.len() {
                self.touched_ms.resize(at + 1, UNKNOWN);
                self.noted.resize(at + 1, NOWHERE);
            }
            self.touched_ms[at] = now_ms;
            if self.span(now_ms) < self.noted[at] {
                self.note(slot);
            }
        }
    }

    fn span(&self, touched_ms: i64) -> i64 {
        touched_ms.div_euclid((self.ttl_ms / SPANS).max(1))
    }

    /// Notes a slot under the span in which it was touched.
    fn note(&mut self, slot: u32) {
        let touched_ms = self.touched_ms[slot as usize];
        let span = self.span(touched_ms);
        self.noted[slot as usize] = span;
        self.spans.entry(span).or_default().push(slot);
        self.next_ms = self.next_ms.min(touched_ms.saturating_add(self.ttl_ms));
    }

    /// Takes out the slots that were not touched for the time to live. `is_live` says whether a slot belongs to a key, and may go now.
    pub fn take(&mut self, now_ms: i64, is_live: impl Fn(u32) -> bool) -> Vec<u32> {
        let adopted = std::mem::take(&mut self.adopted);
        self.touch(adopted, now_ms);
        let mut gone = Vec::new();
        if now_ms < self.next_ms {
            return gone;
        }
        let mut later = Vec::new();
        let mut next_ms = i64::MAX;
        let last = self.span(now_ms.saturating_sub(self.ttl_ms));
        while let Some(entry) = self.spans.first_entry() {
            let span = *entry.key();
            if span > last {
                next_ms = next_ms.min(span.saturating_mul((self.ttl_ms / SPANS).max(1)).saturating_add(self.ttl_ms));
                break;
            }
            for slot in entry.remove() {
                let at = slot as usize;
                if self.noted[at] != span {
                    // It was noted under an earlier one since.
                    continue;
                }
                self.noted[at] = NOWHERE;
                let due_ms = self.touched_ms[at].saturating_add(self.ttl_ms);
                if due_ms > now_ms {
                    // Touched again, or a key that is new under its number.
                    later.push(slot);
                    next_ms = next_ms.min(due_ms);
                } else if is_live(slot) {
                    gone.push(slot);
                }
            }
        }
        self.next_ms = next_ms;
        later.into_iter().for_each(|slot| self.note(slot));
        gone
    }

    /// Memory, about.
    pub fn size_bytes(&self) -> usize {
        self.touched_ms.capacity() * 8
            + self.noted.capacity() * 8
            + self.spans.values().map(|s| s.capacity() * 4 + 32).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::Idle;

    const NONE: [u32; 0] = [];

    #[test]
    fn a_slot_goes_when_it_was_not_touched_for_its_time() {
        let mut idle = Idle::new(10_000);
        idle.touch([0, 1, 2], 1_000);
        idle.touch([1], 5_000);
        assert_eq!(idle.take(10_999, |_| true), NONE);
        assert_eq!(idle.take(11_000, |_| true), [0, 2]);
        assert_eq!(idle.take(14_999, |_| true), NONE);
        assert_eq!(idle.take(15_000, |_| true), [1]);
        assert_eq!(idle.take(99_000, |_| true), NONE);
    }

    #[test]
    fn a_number_that_is_given_again_counts_from_then_on() {
        let mut idle = Idle::new(5);
        idle.touch([7], 100);
        // Its key went by itself, and another came.
        idle.touch([7], 103);
        assert_eq!(idle.take(105, |_| true), NONE);
        assert_eq!(idle.take(108, |_| true), [7]);
        // Of a slot without a key nothing is taken, and it can be touched again.
        idle.touch([7], 200);
        assert_eq!(idle.take(205, |_| false), NONE);
        idle.touch([7], 206);
        assert_eq!(idle.take(211, |_| true), [7]);
    }

    #[test]
    fn what_was_there_before_has_its_whole_time() {
        let mut idle = Idle::new(10);
        idle.adopt(vec![3]);
        assert_eq!(idle.take(1_000, |_| true), NONE);
        assert_eq!(idle.take(1_009, |_| true), NONE);
        assert_eq!(idle.take(1_010, |_| true), [3]);
    }

    #[test]
    fn it_is_the_definition() {
        // The definition, slot by slot; times and slots from a fixed sequence.
        for ttl in [1, 7, 5_000] {
            let (mut idle, mut touched) = (Idle::new(ttl), vec![None; 16]);
            let (mut now, mut state) = (0i64, 12_345u64);
            for _ in 0..5_000 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let drawn = (state >> 33) as i64;
                now += drawn % (ttl as i64 / 3 + 2);
                if drawn % 3 > 0 {
                    let slot = (drawn / 7 % 16) as u32;
                    idle.touch([slot], now);
                    touched[slot as usize] = Some(now);
                } else {
                    let mut gone = idle.take(now, |slot| touched[slot as usize].is_some());
                    gone.sort_unstable();
                    let due = |slot: &u32| touched[*slot as usize].is_some_and(|t| t + ttl as i64 <= now);
                    let wanted: Vec<u32> = (0..16).filter(due).collect();
                    assert_eq!(gone, wanted, "ttl {ttl} at {now}");
                    gone.iter().for_each(|slot| touched[*slot as usize] = None);
                }
            }
        }
    }
}
