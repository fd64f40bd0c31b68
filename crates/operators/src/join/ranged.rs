//! Pairs by range: rows of the other side that have many rows of their key are found by the value that the condition compares.
//!
//! What a row matches is all from a place on, or all up to a place; where a second comparison ends the range, it is what lies between two
//! places. Strings are ordered by their first bytes alone, so a place is put where all that may match is found; the condition decides.
//!
//! Without an end, the rows of a batch that have one key cut the order
//! into stretches, within each of which every row is matched by the same rows of the batch. Where the pairs show nothing of the
//! batch's rows, these are as one: the sum of their weights decides, and stretches where it is 0 are not looked at. A
//! threshold that moves is taken back and put in again, and only rows between the old and the new one are met.

use super::operator::{Join, Pairs};
use super::order::Place;
use crate::aggregation::BATCH_ROWS_MAX;
use crate::{Context, OperatorError};
use eddyline_changes::ChangeBatch;
use eddyline_plan::{Compare, JoinSpec};

/// How the rows of a side are met by ranges of the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ranging {
    /// A row matches those from its place on; else those up to it.
    upward: bool,
    /// Its place is after the rows of the same value.
    is_after: bool,
    /// The range ends at a second value, and rows of that value belong to it. `None`: it does not end.
    until: Option<bool>,
    /// Rows of the side can stand for each other: pairs show nothing of them.
    are_alike: bool,
}

impl Ranging {
    /// For rows of `side`; `None` without a comparison. `is_rough`: different values may stand at one place.
    pub(super) fn of(spec: &JoinSpec, side: usize, left_width: usize, is_rough: bool) -> Option<Self> {
        let range = spec.range.as_ref()?;
        // Seen from the left, the right's values compare the other way round.
        let compare = if side == 0 { range.compare.turned() } else { range.compare };
        let (upward, is_after) = match compare {
            Compare::Greater => (true, true),
            Compare::GreaterEqual => (true, false),
            Compare::Less => (false, false),
            Compare::LessEqual => (false, true),
        };
        let keys = spec.keys(side);
        let own = |c: &usize| if side == 0 { *c < left_width } else { *c >= left_width };
        let place = |c: usize| if side == 0 { c } else { c - left_width };
        let shown = spec.kind.has_pairs() && spec.output.iter().any(|c| own(c) && !keys.contains(&place(*c)));
        let until = range.until[side].as_ref().map(|until| until.is_inclusive || is_rough);
        let are_alike = range.is_all && !is_rough && until.is_none() && !shown && !spec.kind.single()[side];
        // Upward from before what stands there, downward from after it.
        let is_after = if is_rough { !upward } else { is_after };
        Some(Self { upward, is_after, until, are_alike })
    }
}

impl Ranging {
    /// From where to where the rows stand that a row of this value meets, whose range ends at `end` if it does. `from` may be
    /// behind `to`: then there are none.
    pub(super) fn stretch(&self, value: i128, end: i128) -> (Option<Place>, Option<Place>) {
        let place = Some(Place { value, is_after: self.is_after });
        let end = self.until.map(|with| Place { value: end, is_after: with == self.upward });
        if self.upward { (place, end) } else { (end, place) }
    }
}

/// The head of a row's key on the other side, its value, the row, and the value at which its range ends, if it does.
pub(super) type Seeking = (u32, i128, u32, i128);

impl Join {
    /// Finds and puts out the pairs of rows whose keys have many rows on the other side.
    pub(super) fn pair_ranges(
        &mut self,
        side: usize,
        changes: &ChangeBatch,
        mut rows: Vec<Seeking>,
        ranging: Ranging,
        matches: &mut [i64],
        ctx: &mut Context<'_>,
    ) -> Result<(), OperatorError> {
        rows.sort_unstable();
        let mut pairs = Pairs::default();
        let mut stretch = Stretches { ranging, found: Vec::new() };
        for of_key in rows.chunk_by(|a, b| a.0 == b.0) {
            stretch.cut(of_key, changes);
            for (row, factor, from, to) in std::mem::take(&mut stretch.found) {
                let mut slots = Vec::new();
                self.sides[1 - side].between(of_key[0].0, from, to, &mut slots);
                for slots in slots.chunks(BATCH_ROWS_MAX) {
                    if pairs.slots.len() + slots.len() > BATCH_ROWS_MAX {
                        self.emit_pairs(side, changes, &mut pairs, matches, ctx)?;
                    }
                    pairs.slots.extend_from_slice(slots);
                    pairs.rows.resize(pairs.slots.len(), row);
                    pairs.factors.resize(pairs.slots.len(), factor);
                }
            }
        }
        self.emit_pairs(side, changes, &mut pairs, matches, ctx)
    }
}

/// A row that stands for those that match a stretch, how often, and where it begins and ends.
type Stretch = (u32, i64, Option<Place>, Option<Place>);

struct Stretches {
    ranging: Ranging,
    found: Vec<Stretch>,
}

impl Stretches {
    /// The stretches of the rows of one key, which are in the order of their values.
    fn cut(&mut self, rows: &[Seeking], changes: &ChangeBatch) {
        let Ranging { upward, is_after, are_alike, .. } = self.ranging;
        let place = |row: &Seeking| Some(Place { value: row.1, is_after });
        let weight = |row: &Seeking| changes.weights().at(row.2 as usize);
        if !are_alike {
            let range = |row: &Seeking| self.ranging.stretch(row.1, row.3);
            let stretches = rows.iter().map(|row| (row.2, weight(row), range(row).0, range(row).1));
            self.found.extend(stretches.filter(|(_, _, from, to)| to.is_none() || from < to));
            return;
        }
        let values: Vec<&[Seeking]> = rows.chunk_by(|a, b| a.1 == b.1).collect();
        let mut sum = 0;
        let mut push = |rows: &[Seeking], from: Option<Place>, to: Option<Place>| {
            sum += rows.iter().map(weight).sum::<i64>();
            if sum != 0 {
                self.found.push((rows[0].2, sum, from, to));
            }
        };
        if upward {
            for (at, rows) in values.iter().enumerate() {
                push(rows, place(&rows[0]), values.get(at + 1).and_then(|next| place(&next[0])));
            }
        } else {
            for (at, rows) in values.iter().enumerate().rev() {
                push(rows, at.checked_sub(1).and_then(|before| place(&values[before][0])), place(&rows[0]));
            }
        }
    }
}
