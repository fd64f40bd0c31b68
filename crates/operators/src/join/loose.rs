//! Joins without keys of which not all rows are in memory. Every row is met by every row of the other side, so what the store alone has
//! is gone through from its beginning to its end, a piece at a time: once in an epoch, for all its changes of a side together.
//!
//! The changes of both sides are gathered until the flush. Then, side by side, first those rows of the store come into memory that are
//! changed themselves. What the store alone has after that stays as it is for the rest of the epoch: so it may be met before or after
//! what is in memory, and Δ(L⋈R) = ΔL⋈R + L⋈ΔR + ΔL⋈ΔR holds as before.
//!
//! - Pairs are put out from the pieces. Where they show nothing of the changes, each row of a piece counts what it met, and is put out once: a
//!   threshold that is taken back and put in again changes nothing for most of them.
//! - Rows that count what they match come into memory when they meet a change, and go on as those that are there.
//! - Without a condition, a row matches as soon as the other side has any: then nothing but that is asked.

use super::operator::Join;
use super::order::Ordered;
use super::singles::is_put_out;
use super::state::{Side, damaged, load};
use crate::aggregation::BATCH_ROWS_MAX;
use crate::{Context, OperatorError};
use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{filter, take};
use arrow::datatypes::SchemaRef;
use eddyline_changes::{ChangeBatch, Weights};
use eddyline_state::{Load, LooseRows, RowTable, StateError};
use std::collections::HashSet;

/// Rows of the store that are in memory at a time.
const READ_AT_ONCE: usize = if cfg!(test) { 3 } else { 8192 };
/// Mark of a row that stands in the store before all that the store alone has.
const IN_ORDER: u8 = 4;

/// Rows of a side that the store alone has.
struct Piece {
    rows: ChangeBatch,
    /// As they were found.
    loose: LooseRows,
}

impl Side {
    /// Are there rows in the store alone that cannot be found by a key?
    pub(super) fn is_loose(&self) -> bool {
        self.keys == 0 && !self.table.is_complete()
    }

    /// The keys in the store of rows that are here, but of those that stand before all others there.
    fn here(&self) -> Result<HashSet<Vec<u8>>, StateError> {
        let slots = (0..self.table.slots_max() as u32)
            .filter(|slot| self.table.is_live(*slot) && !self.table.is_marked(*slot, IN_ORDER));
        self.table.keys_of(&slots.collect::<Vec<_>>())
    }

    /// Has the store alone any row?
    fn has_loose(&self) -> Result<bool, OperatorError> {
        if !self.is_loose() {
            return Ok(false);
        }
        let here = self.here()?;
        let mut from = None;
        loop {
            let loose = self.table.loose_from(from.as_deref(), READ_AT_ONCE, &here)?;
            if !loose.is_empty() {
                return Ok(true);
            }
            match loose.next {
                Some(next) => from = Some(next),
                None => return Ok(false),
            }
        }
    }

    /// Brings in the rows that the store alone has of those of a batch.
    fn bring_in_like(&mut self, changes: &ChangeBatch) -> Result<(), OperatorError> {
        // Rows that come again and again are not looked for.
        if self.is_plain || !self.is_loose() {
            return Ok(());
        }
        let columns: Vec<ArrayRef> = self.stored.iter().map(|c| changes.column(*c).clone()).collect();
        let loose = self.table.loose_like(&columns, changes.num_rows(), &self.here()?)?;
        let all = vec![true; loose.len()];
        self.bring_in_loose(loose, &all)
    }

    fn bring_in_loose(&mut self, loose: LooseRows, is_wanted: &[bool]) -> Result<(), OperatorError> {
        let slots = self.taking(|table, load| table.take_loose(loose, is_wanted, load))?;
        self.link_stored(&slots)
    }

    /// Brings in about `rows_max` rows that the store alone has.
    pub(super) fn bring_in_next(&mut self, rows_max: usize) -> Result<(), OperatorError> {
        let loose = self.table.loose_from(None, rows_max, &self.here()?)?;
        let slots = self.taking(|table, load| table.take_next_loose(loose, load))?;
        slots.iter().for_each(|slot| {
            self.table.mark(*slot, IN_ORDER);
        });
        self.link_stored(&slots)
    }

    /// Calls `take` with the table and what takes in the value of a row.
    fn taking<T>(
        &mut self,
        take: impl FnOnce(&mut RowTable, &mut Load<'_>) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        let (counts, name) = (&mut self.counts, self.table.name().to_owned());
        let mut matches = self.counts_matches.then_some(&mut self.matches);
        take(&mut self.table, &mut |slot, bytes| load(counts, matches.as_deref_mut(), slot, bytes, &name))
    }

    /// The next rows that the store alone has, of the columns of the input.
    fn piece(&self, from: Option<&[u8]>, here: &HashSet<Vec<u8>>, input: &SchemaRef) -> Result<Piece, OperatorError> {
        let loose = self.table.loose_from(from, READ_AT_ONCE, here)?;
        let weight = |row| match loose.value(row)?.first_chunk() {
            Some(weight) => Ok(i64::from_le_bytes(*weight)),
            None => Err(damaged(self.table.name())),
        };
        let weights = (0..loose.len()).map(weight).collect::<Result<Vec<_>, StateError>>()?;
        let columns = self.places.iter().map(|at| loose.columns[*at].clone()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(loose.len()));
        let rows = RecordBatch::try_new_with_options(input.clone(), columns, &options)?;
        Ok(Piece { rows: ChangeBatch::new(rows, Weights::from_vec(weights))?, loose })
    }
}

/// What changes meet of the other side.
struct Meeting<'a> {
    /// The side of the changes.
    side: usize,
    changes: &'a ChangeBatch,
    /// In the order that the condition compares by, if it does.
    ordered: Option<Ordered>,
    /// Pairs show something of the changes.
    is_shown: bool,
    /// For each change, how many rows it matches, where that is counted.
    matches: Vec<i64>,
}

/// Pairs of rows of a piece and of changes.
#[derive(Default)]
struct Met {
    rows: Vec<u32>,
    changes: Vec<u32>,
}

impl Join {
    /// Is there a side without keys of which not all rows are in memory?
    pub(super) fn is_loose(&self) -> bool {
        self.sides.iter().any(Side::is_loose)
    }

    /// Adds what was gathered of a side of which, or of whose other side, not all rows are in memory, and joins it with all of the other.
    pub(super) fn take_loose(&mut self, side: usize, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let gathered = std::mem::take(&mut self.gathered[side]);
        if gathered.is_empty() {
            return Ok(());
        }
        let gathered = ChangeBatch::concat(&self.inputs[side], &gathered)?;
        self.sides[side].bring_in_like(&gathered)?;
        if self.gathers[side] {
            return self.take_effects(side, &[gathered], ctx);
        }
        let matches = self.meet_loose(side, &gathered, ctx)?;
        for from in (0..gathered.num_rows()).step_by(BATCH_ROWS_MAX) {
            let changes = gathered.slice(from, BATCH_ROWS_MAX.min(gathered.num_rows() - from));
            self.arrive(side, &changes, matches.get(from..).unwrap_or_default(), ctx)?;
        }
        Ok(())
    }

    /// Joins changes of a side with the rows of the other that the store alone has. Returns how many of these every change matches, where that is
    /// counted. Those that count what they match themselves are brought in instead.
    pub(super) fn meet_loose(
        &mut self,
        side: usize,
        changes: &ChangeBatch,
        ctx: &mut Context<'_>,
    ) -> Result<Vec<i64>, OperatorError> {
        let other = 1 - side;
        let counts = self.counted != [false, false];
        let matches = vec![0; if self.counted[side] { changes.num_rows() } else { 0 }];
        if !self.sides[other].is_loose() || !(self.spec.kind.has_pairs() || counts) {
            return Ok(matches);
        }
        let is_shown = self.spec.output.iter().any(|column| self.place(*column).0 == side);
        let ordered = self.sides[side].ordered_changes(changes)?;
        let mut meeting = Meeting { side, changes, ordered, is_shown, matches };
        let here = self.sides[other].here()?;
        let mut from = None;
        loop {
            let piece = self.sides[other].piece(from.as_deref(), &here, &self.inputs[other])?;
            from = piece.loose.next.clone();
            let is_wanted = self.meet(&piece.rows, &mut meeting, ctx)?;
            if is_wanted.contains(&true) {
                self.sides[other].bring_in_loose(piece.loose, &is_wanted)?;
            }
            if from.is_none() {
                return Ok(meeting.matches);
            }
        }
    }

    /// Joins the rows of a piece with changes. Returns which of them are to be brought in.
    fn meet(
        &self,
        piece: &ChangeBatch,
        meeting: &mut Meeting<'_>,
        ctx: &mut Context<'_>,
    ) -> Result<Vec<bool>, OperatorError> {
        let other = 1 - meeting.side;
        let ranging = self.ranging[other].filter(|_| meeting.ordered.is_some());
        let values = if ranging.is_some() { self.sides[other].values(piece)? } else { Vec::new() };
        let until = self.until[other].as_ref().map(|until| until.values_in(piece)).transpose()?;
        // By row of the piece: whether it is wanted, and what it met, where rows of the changes stand for each other.
        let mut is_wanted = vec![false; if self.counted[other] { piece.num_rows() } else { 0 }];
        let mut met_of = vec![0; if meeting.is_shown { 0 } else { piece.num_rows() }];
        let mut met = Met::default();
        let mut found = Vec::new();
        for row in 0..piece.num_rows() {
            found.clear();
            match (&meeting.ordered, ranging) {
                (Some(ordered), Some(ranging)) => {
                    // A row whose value is NULL matches nothing.
                    let end = until.as_ref().map_or(Some(0), |until| until[row]);
                    if let (Some(value), Some(end)) = (values[row], end) {
                        let (from, to) = ranging.stretch(value, end);
                        if from.is_none() || to.is_none() || from < to {
                            ordered.between(from, to, &mut found);
                        }
                    }
                }
                _ => found.extend(0..meeting.changes.num_rows() as u32),
            }
            let mut rest = found.as_slice();
            while !rest.is_empty() {
                let (taken, more) = rest.split_at(rest.len().min(BATCH_ROWS_MAX - met.rows.len()));
                met.changes.extend_from_slice(taken);
                met.rows.resize(met.changes.len(), row as u32);
                if met.rows.len() == BATCH_ROWS_MAX {
                    self.take_met(piece, &mut met, meeting, (&mut is_wanted, &mut met_of), ctx)?;
                }
                rest = more;
            }
        }
        self.take_met(piece, &mut met, meeting, (&mut is_wanted, &mut met_of), ctx)?;
        if met_of.iter().any(|times| *times != 0) {
            self.emit_met(piece, &met_of, meeting, ctx)?;
        }
        Ok(is_wanted)
    }

    /// Takes pairs that may match: they are counted, and put out if they are shown.
    fn take_met(
        &self,
        piece: &ChangeBatch,
        met: &mut Met,
        meeting: &mut Meeting<'_>,
        (is_wanted, met_of): (&mut [bool], &mut [i64]),
        ctx: &mut Context<'_>,
    ) -> Result<(), OperatorError> {
        let Met { rows, changes } = std::mem::take(met);
        if rows.is_empty() {
            return Ok(());
        }
        ctx.check()?;
        let (mut rows, mut others) = (UInt32Array::from(rows), UInt32Array::from(changes));
        if let Some(residual) = &self.residual {
            let read = residual.read.iter().map(|c| self.met_column(piece, meeting, &rows, &others, *c));
            let mask = residual.test(read.collect::<Result<_, _>>()?, rows.len())?;
            rows = filter(&rows, &mask)?.as_primitive().clone();
            others = filter(&others, &mask)?.as_primitive().clone();
        }
        if !is_wanted.is_empty() {
            // They go on as those that are in memory.
            rows.values().iter().for_each(|row| is_wanted[*row as usize] = true);
            return Ok(());
        }
        let pairs = || rows.values().iter().zip(others.values());
        let weight = |row: &u32| piece.weights().at(*row as usize);
        let factor = |change: &u32| meeting.changes.weights().at(*change as usize);
        if self.spec.kind.has_pairs() && !meeting.is_shown {
            pairs().for_each(|(row, change)| met_of[*row as usize] += factor(change));
        } else if self.spec.kind.has_pairs() && !rows.is_empty() {
            let columns = self.spec.output.iter().map(|c| self.met_column(piece, meeting, &rows, &others, *c));
            let weights = pairs().map(|(row, change)| weight(row) * factor(change)).collect();
            self.emit_columns(columns.collect::<Result<_, _>>()?, weights, ctx)?;
        }
        if !meeting.matches.is_empty() {
            let weights: Vec<(u32, i64)> = pairs().map(|(row, change)| (*change, weight(row))).collect();
            weights.into_iter().for_each(|(change, weight)| meeting.matches[change as usize] += weight);
        }
        Ok(())
    }

    /// Puts out the rows of a piece, each so often as it met changes.
    fn emit_met(
        &self,
        piece: &ChangeBatch,
        met_of: &[i64],
        meeting: &Meeting<'_>,
        ctx: &mut Context<'_>,
    ) -> Result<(), OperatorError> {
        let rows = UInt32Array::from_iter_values((0..met_of.len() as u32).filter(|row| met_of[*row as usize] != 0));
        let columns = self.spec.output.iter().map(|c| self.met_column(piece, meeting, &rows, &rows, *c));
        let weight = |row: &u32| met_of[*row as usize] * piece.weights().at(*row as usize);
        self.emit_columns(columns.collect::<Result<_, _>>()?, rows.values().iter().map(weight).collect(), ctx)
    }

    fn emit_columns(
        &self,
        columns: Vec<ArrayRef>,
        weights: Vec<i64>,
        ctx: &mut Context<'_>,
    ) -> Result<(), OperatorError> {
        let options = RecordBatchOptions::new().with_row_count(Some(weights.len()));
        let batch = RecordBatch::try_new_with_options(self.output.clone(), columns, &options)?;
        ctx.emit(ChangeBatch::new(batch, Weights::from_vec(weights))?)?;
        Ok(())
    }

    /// A column of the left or right side, for pairs.
    fn met_column(
        &self,
        piece: &ChangeBatch,
        meeting: &Meeting<'_>,
        rows: &UInt32Array,
        changes: &UInt32Array,
        column: usize,
    ) -> Result<ArrayRef, OperatorError> {
        let (of, column) = self.place(column);
        match of == meeting.side {
            true => Ok(take(meeting.changes.column(column), changes, None)?),
            false => Ok(take(piece.column(column), rows, None)?),
        }
    }

    /// Has the store alone rows of a side, so that the other's match whatever is in memory?
    pub(super) fn has_loose(&self, side: usize) -> Result<bool, OperatorError> {
        self.sides[side].has_loose()
    }

    /// Puts out the rows of a side that the store alone has: the other side had no row and has one (`is` there), or the other way round.
    pub(super) fn flip_loose(&mut self, side: usize, is: bool, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        if !self.sides[side].is_loose() {
            return Ok(());
        }
        let here = self.sides[side].here()?;
        let mut from = None;
        loop {
            let piece = self.sides[side].piece(from.as_deref(), &here, &self.inputs[side])?;
            for (matched, sign) in [(!is, -1), (is, 1)] {
                let rows = piece.rows.num_rows();
                if is_put_out(self.spec.kind, matched) && rows > 0 {
                    let weights = (0..rows).map(|row| sign * piece.rows.weights().at(row)).collect();
                    let own = |column: usize| Ok(piece.rows.column(column).clone());
                    ctx.emit(self.alone(side, rows, own, &vec![matched; rows], Weights::from_vec(weights))?)?;
                }
            }
            match piece.loose.next {
                Some(next) => from = Some(next),
                None => return Ok(()),
            }
        }
    }
}
