//! What is put out of a row alone: with NULLs for the other side, as one that matches or does not, or with its mark.

use super::chains::NONE;
use super::departure::Departures;
use super::operator::Join;
use crate::aggregation::BATCH_ROWS_MAX;
use crate::{Context, OperatorError};
use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use eddyline_changes::{ChangeBatch, Weights};
use eddyline_plan::JoinKind;
use std::sync::Arc;

/// A row to be put out alone: its slot, how often, and whether it matches anything.
pub(super) struct Single {
    slot: u32,
    weight: i64,
    matched: bool,
}

/// Is a row that stands alone put out, when it matches something or not?
pub(super) fn is_put_out(kind: JoinKind, matched: bool) -> bool {
    match kind {
        JoinKind::Inner => false,
        JoinKind::Left | JoinKind::Right | JoinKind::Full | JoinKind::Anti => !matched,
        JoinKind::Semi => matched,
        JoinKind::Mark => true,
    }
}

impl Join {
    /// Whether rows of a side match anything; `gone` are the rows of the other side that go.
    fn are_matched(
        &mut self,
        side: usize,
        slots: &[u32],
        gone: Option<&Departures>,
    ) -> Result<Vec<bool>, OperatorError> {
        if self.counted[side] {
            return Ok(slots.iter().map(|slot| self.sides[side].matches[*slot as usize] > 0).collect());
        }
        if !slots.is_empty() && self.has_loose(1 - side)? {
            return Ok(vec![true; slots.len()]);
        }
        let keys = self.sides[side].keys(slots)?;
        self.sides[1 - side].bring_in_all(&keys, slots.len())?;
        let heads = self.sides[1 - side].find_all(&keys, slots.len())?;
        let whole: Vec<u32> = gone.into_iter().flat_map(Departures::whole).collect();
        Ok(heads.iter().map(|head| *head != NONE && whole.binary_search(head).is_err()).collect())
    }

    /// What of the rows of a side is put out differently than before; `gone` are the rows of the other side that go.
    pub(super) fn changed(&mut self, side: usize, gone: &Departures) -> Result<Vec<Single>, OperatorError> {
        let mut singles = Vec::new();
        let slots: Vec<u32> = self.sides[side].touched.iter().map(|b| b.slot).collect();
        let matched = self.are_matched(side, &slots, Some(gone))?;
        let rows = &self.sides[side];
        for (before, is) in rows.touched.iter().zip(matched) {
            let slot = before.slot;
            let was = if self.counted[side] { before.matches > 0 } else { is != rows.is_flipped(slot) };
            let of = |matched: bool, weight: i64| if is_put_out(self.spec.kind, matched) { weight } else { 0 };
            let (old, new) = (of(was, before.weight), of(is, rows.weight(slot)));
            let mut push = |weight: i64, matched: bool| {
                if weight != 0 {
                    singles.push(Single { slot, weight, matched });
                }
            };
            if was == is || self.spec.kind != JoinKind::Mark {
                push(new - old, is);
            } else {
                push(-old, was);
                push(new, is);
            }
        }
        Ok(singles)
    }

    /// What is put out of rows that stay as they are.
    pub(super) fn standing(&mut self, side: usize, slots: &[u32]) -> Result<Vec<Single>, OperatorError> {
        let rows = slots.iter().zip(self.are_matched(side, slots, None)?);
        let rows = rows.filter(|(_, matched)| is_put_out(self.spec.kind, *matched));
        let single =
            |(slot, matched): (&u32, bool)| Single { slot: *slot, weight: self.sides[side].weight(*slot), matched };
        Ok(rows.map(single).collect())
    }

    pub(super) fn emit_singles(
        &self,
        side: usize,
        singles: &[Single],
        ctx: &mut Context<'_>,
    ) -> Result<(), OperatorError> {
        for singles in singles.chunks(BATCH_ROWS_MAX) {
            let slots: Vec<u32> = singles.iter().map(|s| s.slot).collect();
            let matched: Vec<bool> = singles.iter().map(|s| s.matched).collect();
            let weights = Weights::from_vec(singles.iter().map(|s| s.weight).collect());
            let own = |column: usize| self.sides[side].column(column, &slots);
            ctx.emit(self.alone(side, slots.len(), own, &matched, weights)?)?;
        }
        Ok(())
    }

    /// Rows of one side with NULLs, or their mark, for the rest. `own` makes a column of the side.
    pub(super) fn alone(
        &self,
        side: usize,
        rows: usize,
        own: impl Fn(usize) -> Result<ArrayRef, OperatorError>,
        matched: &[bool],
        weights: Weights,
    ) -> Result<ChangeBatch, OperatorError> {
        let output = self.spec.output.iter().enumerate().map(|(at, column)| match self.place(*column) {
            (of, column) if of == side => own(column),
            _ if self.spec.kind == JoinKind::Mark => Ok(Arc::new(BooleanArray::from(matched.to_vec())) as ArrayRef),
            _ => Ok(new_null_array(self.output.field(at).data_type(), rows)),
        });
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let columns = output.collect::<Result<Vec<_>, _>>()?;
        let batch = RecordBatch::try_new_with_options(self.output.clone(), columns, &options)?;
        Ok(ChangeBatch::new(batch, weights)?)
    }
}
