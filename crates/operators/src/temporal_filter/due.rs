//! Rows by the time at which something is due of them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Times whose numbers of [`SPAN_BITS`] bits alike are kept together, so that there is not a list for every millisecond.
pub(super) const SPAN_BITS: u32 = 10;

/// Rows by the span of time in which they are due. An entry may be out of date: who takes rows out asks what is due of
/// them now.
#[derive(Default)]
pub(super) struct Due {
    spans: BTreeMap<i64, Vec<u32>>,
    entries: usize,
}

impl Due {
    /// Notes that something is due of a row at a time.
    pub(super) fn add(&mut self, time_ms: i64, row: u32) {
        self.spans.entry(time_ms >> SPAN_BITS).or_default().push(row);
        self.entries += 1;
    }

    /// Takes out the rows of which something is due at `now_ms`; `due` says when it is, `None` for rows that are gone.
    pub(super) fn take(&mut self, now_ms: i64, due: impl Fn(u32) -> Option<i64>) -> Vec<u32> {
        let mut taken = Vec::new();
        while let Some(mut span) = self.spans.first_entry()
            && *span.key() <= now_ms >> SPAN_BITS
        {
            let (key, rows) = (*span.key(), span.get_mut());
            self.entries -= rows.len();
            rows.retain(|row| match due(*row) {
                Some(at) if at <= now_ms => {
                    taken.push(*row);
                    false
                }
                // Another row may have got its number, and is noted elsewhere.
                Some(at) => at >> SPAN_BITS == key,
                None => false,
            });
            self.entries += rows.len();
            if !rows.is_empty() {
                break;
            }
            span.remove();
        }
        // A row may be noted twice under its number.
        taken.sort_unstable();
        taken.dedup();
        taken
    }

    /// Forgets rows that leave, with the times for which they were noted.
    pub(super) fn leave(&mut self, mut leaving: Vec<(i64, u32)>) {
        leaving.iter_mut().for_each(|(time_ms, _)| *time_ms >>= SPAN_BITS);
        leaving.sort_unstable();
        for of_span in leaving.chunk_by(|a, b| a.0 == b.0) {
            let Entry::Occupied(mut span) = self.spans.entry(of_span[0].0) else { continue };
            let rows = span.get_mut();
            self.entries -= rows.len();
            rows.retain(|row| of_span.binary_search_by_key(row, |(_, row)| *row).is_err());
            self.entries += rows.len();
            if rows.is_empty() {
                span.remove();
            }
        }
    }

    /// When something is due next, at the latest: what has gone meanwhile may be counted.
    pub(super) fn next(&self, due: impl Fn(u32) -> Option<i64>) -> Option<i64> {
        let (span, rows) = self.spans.first_key_value()?;
        let exact = rows.iter().filter_map(|row| due(*row)).filter(|at| at >> SPAN_BITS == *span).min();
        Some(exact.unwrap_or(span << SPAN_BITS))
    }

    /// Memory, about.
    pub(super) fn size_bytes(&self) -> usize {
        self.entries * size_of::<u32>() + self.spans.len() * 48
    }
}
