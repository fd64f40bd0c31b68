//! Sessions that are put out once, when the watermark has passed them.
//!
//! Of every partition it is known when its first session closes at the earliest. When that time has come, the session is followed from where it
//! is known to reach, and closed, or noted for the time at which it ends as it is now. What comes makes a session end later, never earlier; so only where rows are
//! taken back, or one comes before all others, that time and what is known of the session begin anew at the first row.

use super::operator::{Emission, SessionRows};
use super::spans::Span;
use crate::closed::Closed;
use crate::partitions::{Merged, Touched};
use crate::{Context, Operator, OperatorError, Rejected};
use eddyline_changes::{ChangeBatch, Watermark};
use eddyline_state::{Store, Table};
use std::collections::BTreeMap;

/// See the room's front page.
pub(super) struct Closing {
    rows: SessionRows,
    closed: Closed,
    due: Due,
    /// What came and is not merged.
    pending: Pending,
    came: Vec<u32>,
    merged: Merged,
}

/// What is known of rows that are not merged.
struct Pending {
    /// The earliest time of them; `i64::MAX` without any.
    first: i64,
    /// Is one of them taken back?
    takes_back: bool,
}

const NOTHING: Pending = Pending { first: i64::MAX, takes_back: false };

impl Closing {
    pub(super) fn open(rows: SessionRows, store: &Store) -> Result<Self, OperatorError> {
        let mut room = Self {
            rows,
            closed: Closed::open(store)?,
            due: Due::default(),
            pending: NOTHING,
            came: Vec::new(),
            merged: Merged::default(),
        };
        (0..room.rows.state.slots_max() as u32).for_each(|slot| room.begin(slot));
        Ok(room)
    }

    /// Notes when the first session of a partition closes at the earliest, by its first row.
    fn begin(&mut self, slot: u32) {
        match self.rows.state.list(slot).first() {
            Some(row) => {
                let first = self.rows.time(*row);
                self.due.set(slot, Known { due: first + self.rows.spec.gap_ms - 1, first, linked: first });
            }
            None => self.due.forget(slot),
        }
    }

    /// Merges what came into the partitions. What is taken back and not there may come later in the epoch, until it `ends`.
    fn settle(&mut self, ends: bool, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let (mut empty, mut waiting, mut late) = (Vec::new(), Vec::new(), 0);
        for touched in self.rows.arrivals.take() {
            let kept = waiting.len();
            late += self.sort_out(touched, ends, &mut waiting);
            let slot = touched.slot;
            let takes_back = self.came.iter().any(|row| self.rows.state.rows.weight(*row) < 0);
            self.rows.state.merge(&self.rows.codec, slot, &self.came, &mut self.merged)?;
            self.rows.state.set_list(slot, &self.merged.rows);
            let first = self.merged.rows.first().map(|row| self.rows.time(*row));
            if takes_back || first < self.due.first(slot) || self.due.first(slot).is_none() {
                self.begin(slot);
            }
            if first.is_none() && waiting.len() == kept {
                empty.push(slot);
            }
        }
        self.rows.arrivals.clear();
        self.pending = NOTHING;
        for (slot, row) in waiting {
            self.pending.takes_back = true;
            self.rows.arrivals.add(slot, row);
        }
        ctx.reject(Rejected::Late, late);
        self.rows.state.remove(&std::mem::take(&mut self.merged.gone))?;
        self.rows.state.remove_partitions(&empty)
    }

    /// What came in a partition, into `came`, but for rows that are taken back more often than they are there: those of closed sessions are
    /// late, and counted; others wait until the epoch ends.
    fn sort_out(&mut self, touched: Touched, ends: bool, waiting: &mut Vec<(u32, u32)>) -> u64 {
        let Self { rows, came, .. } = self;
        let slot = touched.slot;
        rows.arrivals.gather(touched, &mut rows.state.rows, came);
        let mut late = 0;
        let mut all = std::mem::take(came);
        all.retain(|row| {
            let weight = rows.state.rows.weight(*row);
            let there = if weight < 0 { rows.known(slot, *row).map_or(0, |k| rows.state.rows.weight(k)) } else { 0 };
            if weight >= -there {
                return true;
            }
            if there == 0 && rows.time(*row) + rows.spec.gap_ms - 1 <= self.closed.watermark {
                late += weight.unsigned_abs();
                rows.state.rows.remove(*row);
                return false;
            }
            if !ends {
                waiting.push((slot, *row));
            }
            ends
        });
        *came = all;
        late
    }

    /// Puts out the sessions that `watermark` has passed.
    fn close(&mut self, watermark: i64, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let (mut out, mut gone, mut empty, mut late) = (Emission::default(), Vec::new(), Vec::new(), 0);
        for (slot, known) in self.due.take_until(watermark) {
            let (rows, stored, gap_ms) = (&self.rows, &self.rows.state.rows, self.rows.spec.gap_ms);
            let list = rows.state.list(slot);
            let (mut from, mut linked, mut open) = (0, known.linked, None);
            while let Some(row) = list.get(from) {
                let start = rows.time(*row);
                let (to, last) = rows.clocked.end_of(stored, list, from, linked);
                let span = Span { start, end: last + gap_ms };
                if span.end - 1 > watermark {
                    open = Some(Known { due: span.end - 1, first: start, linked: last });
                    break;
                }
                for row in &list[from..to] {
                    let weight = stored.weight(*row);
                    match span.end - 1 > self.closed.watermark {
                        true => out.push(slot, *row, span, weight),
                        false => late += weight.unsigned_abs(),
                    }
                    gone.push((slot, *row));
                }
                (from, linked) = (to, i64::MIN);
            }
            let rest = list[from..].to_vec();
            self.rows.state.set_list(slot, &rest);
            match open {
                Some(known) => self.due.set(slot, known),
                None => empty.push(slot),
            }
        }
        ctx.reject(Rejected::Late, late);
        self.rows.emit(&out, ctx)?;
        self.rows.state.remove(&gone)?;
        self.rows.state.rows.sweep();
        // A partition for which something waits stays.
        empty.retain(|slot| !self.rows.arrivals.is_touched(*slot));
        self.rows.state.remove_partitions(&empty)
    }
}

/// What is known of the first session of a partition.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// It does not close before this watermark; `i64::MAX` is never looked for.
    due: i64,
    /// The time of its first row.
    first: i64,
    /// It reaches at least to the row of this time.
    linked: i64,
}

/// The partitions by the watermark at which they are to be looked at.
#[derive(Default)]
struct Due {
    known: Vec<Option<Known>>,
    /// Of what was noted earlier, something may stand here still.
    slots: BTreeMap<i64, Vec<u32>>,
}

impl Due {
    fn first(&self, slot: u32) -> Option<i64> {
        self.known.get(slot as usize)?.map(|known| known.first)
    }

    fn set(&mut self, slot: u32, known: Known) {
        if self.known.len() <= slot as usize {
            self.known.resize(slot as usize + 1, None);
        }
        let before = self.known[slot as usize].replace(known);
        if before.is_none_or(|before| before.due != known.due) {
            self.slots.entry(known.due).or_default().push(slot);
        }
    }

    fn forget(&mut self, slot: u32) {
        if let Some(known) = self.known.get_mut(slot as usize) {
            *known = None;
        }
    }

    /// Is one due at a watermark?
    fn has_until(&self, watermark: i64) -> bool {
        self.slots.first_key_value().is_some_and(|(due, _)| *due <= watermark)
    }

    /// Takes out the partitions that are due at a watermark.
    fn take_until(&mut self, watermark: i64) -> Vec<(u32, Known)> {
        let mut taken = Vec::new();
        while let Some(entry) = self.slots.first_entry()
            && *entry.key() <= watermark
        {
            let (due, slots) = entry.remove_entry();
            for slot in slots {
                if let Some(known) = self.known[slot as usize].take_if(|known| known.due == due) {
                    taken.push((slot, known));
                }
            }
        }
        taken
    }
}

impl Operator for Closing {
    fn process(&mut self, _input: usize, changes: ChangeBatch, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        self.pending.takes_back |= changes.weights().per_row().is_some_and(|w| w.iter().any(|w| *w < 0));
        let first = self.rows.note(changes, ctx)?;
        self.pending.first = first.map_or(self.pending.first, |first| first.min(self.pending.first));
        Ok(())
    }

    fn advance(&mut self, watermark: Watermark, ctx: &mut Context<'_>) -> Result<Watermark, OperatorError> {
        // What was merged ends later by rows that come, and not earlier unless some are taken back.
        let pending = self.pending.first.saturating_add(self.rows.spec.gap_ms - 1) <= watermark.0;
        if pending || self.pending.takes_back || self.due.has_until(watermark.0) {
            self.settle(false, ctx)?;
            self.close(watermark.0, ctx)?;
        }
        self.closed.watermark = self.closed.watermark.max(watermark.0);
        Ok(watermark)
    }

    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        self.settle(true, ctx)?;
        self.rows.state.rows.sweep();
        Ok(())
    }

    fn tables(&mut self) -> Vec<&mut dyn Table> {
        vec![&mut self.rows.state, &mut self.closed]
    }
}
