//! Functions of where a row stands, and functions that read one row of the frame.

use super::entries::{Entries, List};
use super::frames::Frames;
use arrow::array::{Array, ArrayRef, Float64Array, Int64Array};
use std::sync::Arc;

/// For every entry of every list a number, from the list and the counts of the copies before its group, in its group
/// and in its list.
fn by_standing<T>(entries: &Entries, mut number: impl FnMut(Standing) -> T) -> Vec<T> {
    let mut out = Vec::with_capacity(entries.len());
    for list in entries.lists() {
        let sum = |from: u32, to: u32| entries.counts[from as usize..to as usize].iter().sum::<i64>();
        let rows = sum(list.start, list.end);
        let (mut before, mut group) = (0, list.groups().start);
        for group_at in list.groups() {
            let (start, end) = (entries.group_start(group_at), entries.group_end(group_at));
            let equal = sum(start, end);
            group += 1;
            let dense = i64::from(group - list.groups().start);
            out.extend((start..end).map(|_| number(Standing { before, equal, rows, dense })));
            before += equal;
        }
    }
    out
}

/// Where a row stands, in copies.
struct Standing {
    before: i64,
    equal: i64,
    rows: i64,
    /// The number of its group in the list, from 1.
    dense: i64,
}

pub(super) fn rank(entries: &Entries) -> ArrayRef {
    Arc::new(Int64Array::from(by_standing(entries, |s| s.before + 1)))
}

pub(super) fn dense_rank(entries: &Entries) -> ArrayRef {
    Arc::new(Int64Array::from(by_standing(entries, |s| s.dense)))
}

pub(super) fn percent_rank(entries: &Entries) -> ArrayRef {
    let part = |s: Standing| if s.rows > 1 { s.before as f64 / (s.rows - 1) as f64 } else { 0.0 };
    Arc::new(Float64Array::from(by_standing(entries, part)))
}

pub(super) fn cume_dist(entries: &Entries) -> ArrayRef {
    Arc::new(Float64Array::from(by_standing(entries, |s| (s.before + s.equal) as f64 / s.rows as f64)))
}

pub(super) fn row_number(entries: &Entries) -> ArrayRef {
    let number = |list: List| list.entries().map(move |e| i64::from(e - list.start) + 1);
    Arc::new(Int64Array::from_iter_values(entries.lists().flat_map(number)))
}

/// The first buckets have one row more where the rows cannot be dealt out evenly.
pub(super) fn ntile(entries: &Entries, buckets: u64) -> ArrayRef {
    let number = |list: List| {
        let rows = u64::from(list.end - list.start);
        let (small, larger) = (rows / buckets, rows % buckets);
        let in_larger = larger * (small + 1);
        list.entries().map(move |e| {
            let at = u64::from(e - list.start);
            let bucket = if at < in_larger { at / (small + 1) } else { larger + (at - in_larger) / small.max(1) };
            bucket as i64 + 1
        })
    };
    Arc::new(Int64Array::from_iter_values(entries.lists().flat_map(number)))
}

/// The entries that are looked at: all, or those with a value.
pub(super) struct Looked {
    /// `None`: all.
    some: Option<Valued>,
}

struct Valued {
    entries: Vec<u32>,
    /// By entry, and beyond the last one, how many of them come before.
    before: Vec<u32>,
}

impl Looked {
    /// `values` are those of the rows.
    pub(super) fn new(entries: &Entries, values: &ArrayRef, ignore_nulls: bool) -> Self {
        let nulls = values.logical_nulls().filter(|n| ignore_nulls && n.null_count() > 0);
        let some = nulls.map(|nulls| {
            let mut some = Valued { entries: Vec::new(), before: Vec::with_capacity(entries.len() + 1) };
            for (entry, row) in entries.rows.iter().enumerate() {
                some.before.push(some.entries.len() as u32);
                if nulls.is_valid(*row as usize) {
                    some.entries.push(entry as u32);
                }
            }
            some.before.push(some.entries.len() as u32);
            some
        });
        Self { some }
    }

    /// How many of the entries come before an entry.
    fn before(&self, entry: u32) -> u32 {
        self.some.as_ref().map_or(entry, |s| s.before[entry as usize])
    }

    fn entry(&self, at: u32) -> u32 {
        self.some.as_ref().map_or(at, |s| s.entries[at as usize])
    }

    /// The `n`-th of them, from 1, within a frame, from its beginning or its end.
    fn nth(&self, (start, end): (u32, u32), n: u64, from_last: bool) -> Option<u32> {
        let (first, last) = (self.before(start), self.before(end));
        let n = u32::try_from(n).ok().filter(|n| *n <= last.saturating_sub(first))?;
        Some(self.entry(if from_last { last - n } else { first + n - 1 }))
    }

    /// The entry so many before another one of its list.
    fn shifted(&self, list: List, entry: u32, offset: i64) -> Option<u32> {
        match offset {
            0 => Some(entry),
            1.. => self.nth((list.start, entry), offset.unsigned_abs(), true),
            ..0 => self.nth((entry + 1, list.end), offset.unsigned_abs(), false),
        }
    }
}

/// By entry, the row of the `n`-th entry of its frame.
pub(super) fn nth_rows(
    entries: &Entries,
    frames: &Frames,
    looked: &Looked,
    n: u64,
    from_last: bool,
) -> Vec<Option<u32>> {
    let row = |frame: &(u32, u32)| looked.nth(*frame, n, from_last).map(|e| entries.rows[e as usize]);
    let rows: Vec<Option<u32>> = frames.frames.iter().map(row).collect();
    frames.of.iter().map(|f| rows[*f as usize]).collect()
}

/// By entry, the row of the entry so many before.
pub(super) fn shifted_rows(entries: &Entries, looked: &Looked, offset: i64) -> Vec<Option<u32>> {
    let of = |list: List| list.entries().map(move |entry| looked.shifted(list, entry, offset));
    entries.lists().flat_map(of).map(|found| found.map(|e| entries.rows[e as usize])).collect()
}
