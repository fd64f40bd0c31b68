//! Sessions that are put out at once and corrected.
//!
//! A change at a time can change the sessions of those rows alone that are less than a gap apart from each other and from it, before the
//! change or after it. Of this stretch the sessions are made anew, as it was and as it is.

use super::operator::{Emission, SessionRows};
use super::spans::Span;
use crate::partitions::{Merged, Touched};
use crate::{Context, Operator, OperatorError};
use eddyline_changes::ChangeBatch;
use eddyline_state::Table;
use std::cmp::Ordering;

/// See the room's front page.
pub(super) struct Updating {
    rows: SessionRows,
    came: Vec<u32>,
    merged: Merged,
}

impl Updating {
    pub(super) fn new(rows: SessionRows) -> Self {
        Self { rows, came: Vec::new(), merged: Merged::default() }
    }

    /// Forgets the partitions in which no row came for the time to live; nothing is put out.
    fn forget_idle(&mut self, now_ms: i64) -> Result<(), OperatorError> {
        let gone = self.rows.state.forget_idle(now_ms, &self.rows.arrivals)?;
        self.rows.state.remove_partitions(&gone)
    }

    /// Merges what came into a partition, and notes what that changes.
    fn settle(&mut self, touched: Touched, out: &mut Emission) -> Result<(), OperatorError> {
        let Self { rows, came, merged } = self;
        let slot = touched.slot;
        rows.arrivals.gather(touched, &mut rows.state.rows, came);
        let old = rows.state.list(slot).to_vec();
        let (mut times, mut weights) = (Vec::with_capacity(came.len()), Vec::new());
        for row in came.iter() {
            let known = rows.known(slot, *row);
            weights.extend(known.map(|known| (known, rows.state.rows.weight(known))));
            // What is taken back and not there was forgotten, or is an error: it changes nothing.
            if known.is_some() || rows.state.rows.weight(*row) > 0 {
                times.push(rows.time(*row));
            }
        }
        weights.sort_unstable();
        rows.state.merge(&rows.codec, slot, came, merged)?;
        let before = Before { rows: old, weights };
        let mut done = None;
        for time in times {
            if done.is_none_or(|done| time > done) {
                let (first, last) = stretch(rows, [&before.rows, &merged.rows], time);
                differences(rows, slot, &before, &merged.rows, (first, last), out);
                done = Some(last);
            }
        }
        rows.state.set_list(slot, &merged.rows);
        Ok(())
    }
}

/// A partition as it was.
struct Before {
    rows: Vec<u32>,
    /// The weights of rows that have another one now, by row.
    weights: Vec<(u32, i64)>,
}

/// The first and the last time of the rows around a time that are less than a gap apart in one of two lists.
fn stretch(rows: &SessionRows, lists: [&[u32]; 2], time: i64) -> (i64, i64) {
    let mut found = (time, time);
    loop {
        let wider = lists.iter().fold(found, |found, list| rows.clocked.around(&rows.state.rows, list, found));
        if wider == found {
            return found;
        }
        found = wider;
    }
}

/// What is different between two times, of which no session reaches over either: first what is taken away.
fn differences(
    rows: &SessionRows,
    slot: u32,
    before: &Before,
    after: &[u32],
    (first, last): (i64, i64),
    out: &mut Emission,
) {
    let (clocked, stored) = (&rows.clocked, &rows.state.rows);
    let old = clocked.between(stored, &before.rows, first, last);
    let new = clocked.between(stored, after, first, last);
    let (was, is) = (clocked.spans(stored, old), clocked.spans(stored, new));
    let mut come: Vec<(u32, Span, i64)> = Vec::new();
    let (mut o, mut n) = (0, 0);
    loop {
        let order = match (old.get(o), new.get(n)) {
            (Some(a), Some(b)) if a == b => Ordering::Equal,
            (Some(a), Some(b)) => stored.bytes(*a).cmp(stored.bytes(*b)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => break,
        };
        let there = |row: u32| match before.weights.binary_search_by_key(&row, |(row, _)| *row) {
            Ok(at) => before.weights[at].1,
            Err(_) => stored.weight(row),
        };
        if order.is_eq() && was[o] == is[n] {
            match stored.weight(new[n]) - there(old[o]) {
                0 => {}
                less if less < 0 => out.push(slot, old[o], was[o], less),
                more => come.push((new[n], is[n], more)),
            }
        } else {
            if order.is_le() {
                out.push(slot, old[o], was[o], -there(old[o]));
            }
            if order.is_ge() {
                come.push((new[n], is[n], stored.weight(new[n])));
            }
        }
        (o, n) = (o + usize::from(order.is_le()), n + usize::from(order.is_ge()));
    }
    come.into_iter().for_each(|(row, span, weight)| out.push(slot, row, span, weight));
}

impl Operator for Updating {
    fn process(&mut self, _input: usize, changes: ChangeBatch, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        self.forget_idle(ctx.moment().wall_ms)?;
        self.rows.note(changes, ctx).map(drop)
    }

    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let (mut out, mut empty) = (Emission::default(), Vec::new());
        let now_ms = ctx.moment().wall_ms;
        for touched in self.rows.arrivals.take() {
            self.rows.state.touch(touched.slot, now_ms);
            self.settle(touched, &mut out)?;
            if self.rows.state.list(touched.slot).is_empty() {
                empty.push(touched.slot);
            }
        }
        self.rows.arrivals.clear();
        self.rows.emit(&out, ctx)?;
        self.rows.state.remove(&std::mem::take(&mut self.merged.gone))?;
        self.rows.state.remove_partitions(&empty)?;
        self.forget_idle(now_ms)?;
        self.rows.state.rows.sweep();
        Ok(())
    }

    fn tables(&mut self) -> Vec<&mut dyn Table> {
        vec![&mut self.rows.state]
    }
}
