//! The numbers of a partition's rows, and what differs between two such lists.

use crate::partitions::Rows;
use eddyline_plan::Ranking;
use std::cmp::Ordering;
use std::ops::Range;

/// Which numbers are put out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers {
    pub(super) ranking: Ranking,
    pub(super) first: u64,
    pub(super) last: u64,
}

/// A row that is put out: its number, and how many copies. `ROW_NUMBER` gives the copies numbers from `rank` on, the
/// others give all of them the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ranked {
    row: u32,
    rank: u64,
    count: u64,
}

/// What [`select`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Selected {
    /// How many rows of the list have numbers up to the last one.
    pub(super) rows: usize,
    /// Would a row of a later order than these have a number beyond the last one?
    pub(super) is_full: bool,
}

/// Numbers the rows of `list`, which is in order, and collects those in the range.
pub(super) fn select(list: &[u32], rows: &Rows, range: Numbers, out: &mut Vec<Ranked>) -> Selected {
    out.clear();
    match range.ranking {
        Ranking::RowNumber => row_numbers(list, rows, range, out),
        Ranking::Rank => groups(list, rows, range, out, |_, before| before + 1),
        Ranking::DenseRank => groups(list, rows, range, out, |group, _| group),
    }
}

fn row_numbers(list: &[u32], rows: &Rows, range: Numbers, out: &mut Vec<Ranked>) -> Selected {
    let mut before = 0;
    for (at, row) in list.iter().enumerate() {
        if before >= range.last {
            return Selected { rows: at, is_full: true };
        }
        let end = before + rows.weight(*row).unsigned_abs();
        let (first, last) = (range.first.max(before + 1), range.last.min(end));
        if first <= last {
            out.push(Ranked { row: *row, rank: first, count: last - first + 1 });
        }
        before = end;
    }
    Selected { rows: list.len(), is_full: before >= range.last }
}

/// `rank` of the group's number (from 1) and how many copies come before it.
fn groups(
    list: &[u32],
    rows: &Rows,
    range: Numbers,
    out: &mut Vec<Ranked>,
    rank: impl Fn(u64, u64) -> u64,
) -> Selected {
    let (mut group, mut before, mut current) = (0, 0, 0);
    let mut order: Option<&[u8]> = None;
    for (at, row) in list.iter().enumerate() {
        if order != Some(rows.order(*row)) {
            order = Some(rows.order(*row));
            group += 1;
            current = rank(group, before);
        }
        if current > range.last {
            return Selected { rows: at, is_full: true };
        }
        let count = rows.weight(*row).unsigned_abs();
        if current >= range.first {
            out.push(Ranked { row: *row, rank: current, count });
        }
        before += count;
    }
    Selected { rows: list.len(), is_full: rank(group + 1, before) > range.last }
}

/// A row that is put out with a weight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    pub(super) row: u32,
    /// Its number, where it is put out.
    pub(super) rank: u64,
    pub(super) weight: i64,
}

/// How rows are put out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// Without their number.
    Rows,
    /// With a number of their own for every copy.
    Numbers,
    /// With a number for all copies.
    Ranks,
}

/// What makes `new` out of `old`, both in the order of rows, appended to `out`: what takes a number away right before
/// what has it now.
pub(super) fn differences(old: &[Ranked], new: &[Ranked], rows: &Rows, shown: Shown, out: &mut Vec<Change>) {
    let from = out.len();
    let (mut o, mut n) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let order = match (o.peek(), n.peek()) {
            (Some(a), Some(b)) if a.row == b.row => Ordering::Equal,
            (Some(a), Some(b)) => rows.bytes(a.row).cmp(rows.bytes(b.row)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => break,
        };
        let before = if order.is_le() { o.next() } else { None };
        let after = if order.is_ge() { n.next() } else { None };
        if before != after {
            difference(before, after, shown, out);
        }
    }
    out[from..].sort_by_key(|c| (c.rank, c.weight > 0));
}

/// The difference of one row.
fn difference(before: Option<&Ranked>, after: Option<&Ranked>, shown: Shown, out: &mut Vec<Change>) {
    let Some(row) = before.or(after).map(|r| r.row) else { return };
    let count = |r: Option<&Ranked>| r.map_or(0, |r| r.count as i64);
    let mut push = |rank: u64, weight: i64| {
        if weight != 0 {
            out.push(Change { row, rank, weight });
        }
    };
    match (shown, before, after) {
        (Shown::Rows, ..) => push(0, count(after) - count(before)),
        (Shown::Numbers, ..) => {
            let range = |r: Option<&Ranked>| -> Range<u64> { r.map_or(0..0, |r| r.rank..r.rank + r.count) };
            let (was, is) = (range(before), range(after));
            was.clone().filter(|n| !is.contains(n)).for_each(|n| push(n, -1));
            is.filter(|n| !was.contains(n)).for_each(|n| push(n, 1));
        }
        (Shown::Ranks, Some(b), Some(a)) if b.rank == a.rank => push(a.rank, count(after) - count(before)),
        (Shown::Ranks, ..) => {
            push(before.map_or(0, |r| r.rank), -count(before));
            push(after.map_or(0, |r| r.rank), count(after));
        }
    }
}
