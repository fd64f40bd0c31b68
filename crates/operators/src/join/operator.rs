use super::NAME;
use super::residual::Residual;
use super::state::{Keys, Rows, Touched};
use crate::aggregation::{BATCH_ROWS_MAX, columns, not_null_rows, retraction};
use crate::{Context, Operator, OperatorError};
use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use eddyline_changes::{ChangeBatch, Watermark, Weights};
use eddyline_plan::{JoinKind, JoinSpec};
use eddyline_state::{Store, Table};
use std::sync::Arc;

/// See the room's front page.
pub(super) struct Join {
    spec: JoinSpec,
    output: SchemaRef,
    left_width: usize,
    /// The key columns of each side.
    key_columns: [Vec<usize>; 2],
    /// Of which sides rows are put out alone.
    single: [bool; 2],
    residual: Option<Residual>,
    rows: [Rows; 2],
    keys: Keys,
    /// Rows that changed in this epoch: weight and matches before.
    touched: [Touched<(i64, i64)>; 2],
    /// Keys that changed in this epoch: totals of both sides before. Kept where totals decide what stands alone.
    touched_keys: Touched<[i64; 2]>,
    key_slots: Vec<u32>,
    pairs: Pairs,
}

/// Pairs that were found: rows of the batch and slots of the other side.
#[derive(Default)]
struct Pairs {
    rows: Vec<u32>,
    slots: Vec<u32>,
}

/// A row to be put out alone: its slot, how often, and whether it matches anything.
struct Single {
    slot: u32,
    weight: i64,
    matched: bool,
}

impl Join {
    pub(super) fn open(
        spec: &JoinSpec,
        inputs: [&SchemaRef; 2],
        output: &SchemaRef,
        store: &Store,
    ) -> Result<Self, OperatorError> {
        let single = spec.kind.single();
        let fields = JoinSpec::all_columns(JoinKind::Inner, inputs[0], inputs[1]);
        let residual = spec.residual.as_ref().map(|r| Residual::new(r, &fields)).transpose()?;
        let side = |side: usize| {
            let counts = single[side] && residual.is_some();
            Rows::open(spec, side, inputs[side], counts, store)
        };
        let mut rows = [side(0)?, side(1)?];
        Ok(Self {
            keys: Keys::open(spec, inputs[0], &mut rows)?,
            spec: spec.clone(),
            output: output.clone(),
            left_width: inputs[0].fields().len(),
            key_columns: [spec.keys(0), spec.keys(1)],
            single,
            residual,
            rows,
            touched: [Touched::new(), Touched::new()],
            touched_keys: Touched::new(),
            key_slots: Vec::new(),
            pairs: Pairs::default(),
        })
    }

    /// The changes whose keys can match; the others are put out alone, if at all.
    fn with_keys(
        &self,
        side: usize,
        changes: ChangeBatch,
        ctx: &mut Context<'_>,
    ) -> Result<ChangeBatch, OperatorError> {
        if self.spec.null_equal {
            return Ok(changes);
        }
        let Some(kept) = not_null_rows(&changes, &self.key_columns[side]) else { return Ok(changes) };
        if self.single[side] && is_put_out(self.spec.kind, false) {
            let mut is_kept = vec![false; changes.num_rows()];
            kept.values().iter().for_each(|row| is_kept[*row as usize] = true);
            let without = (0..changes.num_rows() as u32).filter(|row| !is_kept[*row as usize]);
            let alone = changes.take(&UInt32Array::from_iter_values(without))?;
            let rows = alone.num_rows();
            let own = |column: usize| Ok(alone.column(column).clone());
            ctx.emit(self.alone(side, rows, own, &vec![false; rows], alone.weights().clone())?);
        }
        Ok(changes.take(&kept)?)
    }

    /// Joins a batch with what is there of the other side. Returns for every row of the batch how many rows it
    /// matches, where that is counted.
    fn pair(&mut self, side: usize, changes: &ChangeBatch, ctx: &mut Context<'_>) -> Result<Vec<i64>, OperatorError> {
        let mut matches = vec![0; if self.counts(side) { changes.num_rows() } else { 0 }];
        if !self.spec.kind.has_pairs() && self.residual.is_none() {
            return Ok(matches);
        }
        let key_slots = std::mem::take(&mut self.key_slots);
        let mut pairs = std::mem::take(&mut self.pairs);
        for (row, key) in key_slots.iter().enumerate() {
            let mut from = 0;
            loop {
                let found = &self.keys.rows(1 - side, *key)[from..];
                let taken = found.len().min(BATCH_ROWS_MAX - pairs.rows.len());
                pairs.slots.extend_from_slice(&found[..taken]);
                pairs.rows.resize(pairs.slots.len(), row as u32);
                let all = taken == found.len();
                if pairs.rows.len() == BATCH_ROWS_MAX {
                    self.emit_pairs(side, changes, &mut pairs, &mut matches, ctx)?;
                }
                if all {
                    break;
                }
                from += taken;
            }
        }
        self.emit_pairs(side, changes, &mut pairs, &mut matches, ctx)?;
        (self.key_slots, self.pairs) = (key_slots, pairs);
        Ok(matches)
    }

    /// Are matches of the rows of a side counted one by one?
    fn counts(&self, side: usize) -> bool {
        self.single[side] && self.residual.is_some()
    }

    fn emit_pairs(
        &mut self,
        side: usize,
        changes: &ChangeBatch,
        pairs: &mut Pairs,
        matches: &mut [i64],
        ctx: &mut Context<'_>,
    ) -> Result<(), OperatorError> {
        if pairs.rows.is_empty() {
            return Ok(());
        }
        self.test(side, changes, pairs)?;
        self.count_matches(side, changes, pairs, matches);
        if self.spec.kind.has_pairs() && !pairs.rows.is_empty() {
            let rows = UInt32Array::from(pairs.rows.clone());
            let output = self.spec.output.iter().map(|c| self.pair_column(side, changes, &rows, &pairs.slots, *c));
            let output = output.collect::<Result<Vec<_>, _>>()?;
            let options = RecordBatchOptions::new().with_row_count(Some(pairs.rows.len()));
            let batch = RecordBatch::try_new_with_options(self.output.clone(), output, &options)?;
            let others = &self.rows[1 - side];
            let weight = |(row, slot): (&u32, &u32)| changes.weights().at(*row as usize) * others.weight(*slot);
            let weights: Vec<i64> = pairs.rows.iter().zip(&pairs.slots).map(weight).collect();
            let emitted = ChangeBatch::new(batch, Weights::from_vec(weights))?;
            // A row that came and went in this epoch still has a slot.
            ctx.emit(without_zeros(emitted)?);
        }
        pairs.rows.clear();
        pairs.slots.clear();
        Ok(())
    }

    /// Keeps the pairs for which the residual is true.
    fn test(&self, side: usize, changes: &ChangeBatch, pairs: &mut Pairs) -> Result<(), OperatorError> {
        let Some(residual) = &self.residual else { return Ok(()) };
        let rows = UInt32Array::from(pairs.rows.clone());
        let read = residual.read.iter().map(|c| self.pair_column(side, changes, &rows, &pairs.slots, *c));
        let mask = residual.test(read.collect::<Result<_, _>>()?, rows.len())?;
        if mask.true_count() < mask.len() {
            for list in [&mut pairs.rows, &mut pairs.slots] {
                let mut at = 0..;
                list.retain(|_| at.next().is_some_and(|at| mask.value(at)));
            }
        }
        Ok(())
    }

    /// A column of the left or right side, for pairs.
    fn pair_column(
        &self,
        side: usize,
        changes: &ChangeBatch,
        rows: &UInt32Array,
        slots: &[u32],
        column: usize,
    ) -> Result<ArrayRef, OperatorError> {
        let (of, column) = self.place(column);
        if of == side { Ok(take(changes.column(column), rows, None)?) } else { self.rows[of].column(column, slots) }
    }

    /// The side of a column, and its number there.
    fn place(&self, column: usize) -> (usize, usize) {
        match column.checked_sub(self.left_width) {
            Some(right) => (1, right),
            None => (0, column),
        }
    }

    fn count_matches(&mut self, side: usize, changes: &ChangeBatch, pairs: &Pairs, matches: &mut [i64]) {
        let other = 1 - side;
        if self.counts(side) {
            for (row, slot) in pairs.rows.iter().zip(&pairs.slots) {
                matches[*row as usize] += self.rows[other].weight(*slot);
            }
        }
        if self.counts(other) {
            let rows = &mut self.rows[other];
            for (row, slot) in pairs.rows.iter().zip(&pairs.slots) {
                let at = *slot as usize;
                self.touched[other].note(*slot, || (rows.weight(*slot), rows.matches[at]));
                rows.matches[at] += changes.weights().at(*row as usize);
            }
            rows.mark_dirty(&pairs.slots);
        }
    }

    /// Adds a batch to its side.
    fn add(
        &mut self,
        side: usize,
        changes: &ChangeBatch,
        hashes: &[u64],
        matches: &[i64],
    ) -> Result<(), OperatorError> {
        let by_totals = self.keys.by_totals();
        let counts = self.counts(side);
        let (rows, keys) = (&mut self.rows[side], &mut self.keys);
        rows.lookup(changes, hashes)?;
        keys.make_room(side, rows);
        let created = rows.created();
        for (row, slot) in created {
            keys.post(side, rows, slot, self.key_slots[row as usize]);
            if counts {
                rows.matches[slot as usize] = matches[row as usize];
            }
        }
        if self.single[side] || !self.spec.append_only[side] {
            for slot in rows.slots() {
                let at = *slot as usize;
                self.touched[side].note(*slot, || (rows.weight(*slot), rows.matches.get(at).copied().unwrap_or(0)));
            }
        }
        rows.add(changes.weights());
        if by_totals {
            for (row, key) in self.key_slots.iter().enumerate() {
                let totals = &mut keys.totals;
                self.touched_keys.note(*key, || [totals[0][*key as usize], totals[1][*key as usize]]);
                totals[side][*key as usize] += changes.weights().at(row);
            }
        }
        Ok(())
    }

    /// Puts out what stands alone and changed, and forgets rows that are gone.
    fn settle(&mut self, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        for (rows, touched) in self.rows.iter().zip(&self.touched) {
            if let Some((slot, _)) = touched.entries.iter().find(|(s, _)| rows.weight(*s) < 0) {
                return Err(retraction(NAME, &rows.row(&[*slot])?));
            }
        }
        let single = self.single;
        for side in (0..2).filter(|s| single[*s]) {
            self.touch_matched(side);
            if !self.spec.on_close {
                let singles = self.changed(side);
                self.emit_singles(side, &singles, ctx)?;
            }
        }
        self.forget()
    }

    /// Touches the rows of keys that began or ceased to match.
    fn touch_matched(&mut self, side: usize) {
        let (rows, touched) = (&self.rows[side], &mut self.touched[side]);
        for (key, before) in &self.touched_keys.entries {
            let is = self.keys.totals[1 - side][*key as usize] > 0;
            if is != (before[1 - side] > 0) {
                for slot in self.keys.rows(side, *key) {
                    touched.note(*slot, || (rows.weight(*slot), 0));
                }
            }
        }
    }

    /// Whether a row matches anything, before (`Some`: its matches then) or now.
    fn is_matched(&self, side: usize, slot: u32, before: Option<i64>) -> bool {
        let rows = &self.rows[side];
        if self.residual.is_some() {
            return before.unwrap_or(rows.matches[slot as usize]) > 0;
        }
        let key = rows.key_of(slot);
        let total = match before.and_then(|_| self.touched_keys.before(key)) {
            Some(totals) => totals[1 - side],
            None => self.keys.totals[1 - side][key as usize],
        };
        total > 0
    }

    /// What of the rows of a side is put out differently than before.
    fn changed(&self, side: usize) -> Vec<Single> {
        let mut singles = Vec::new();
        for (slot, (weight, matches)) in &self.touched[side].entries {
            let was = self.is_matched(side, *slot, Some(*matches));
            let is = self.is_matched(side, *slot, None);
            let of = |matched: bool, weight: i64| if is_put_out(self.spec.kind, matched) { weight } else { 0 };
            let (old, new) = (of(was, *weight), of(is, self.rows[side].weight(*slot)));
            let mut push = |weight: i64, matched: bool| {
                if weight != 0 {
                    singles.push(Single { slot: *slot, weight, matched });
                }
            };
            if was == is || self.spec.kind != JoinKind::Mark {
                push(new - old, is);
            } else {
                push(-old, was);
                push(new, is);
            }
        }
        singles
    }

    fn emit_singles(&self, side: usize, singles: &[Single], ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        for singles in singles.chunks(BATCH_ROWS_MAX) {
            let slots: Vec<u32> = singles.iter().map(|s| s.slot).collect();
            let matched: Vec<bool> = singles.iter().map(|s| s.matched).collect();
            let weights = Weights::from_vec(singles.iter().map(|s| s.weight).collect());
            let own = |column: usize| self.rows[side].column(column, &slots);
            ctx.emit(self.alone(side, slots.len(), own, &matched, weights)?);
        }
        Ok(())
    }

    /// Rows of one side with NULLs, or their mark, for the rest. `own` makes a column of the side.
    fn alone(
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

    /// Forgets touched rows of weight 0 and keys without rows; what was touched is settled.
    fn forget(&mut self) -> Result<(), OperatorError> {
        let mut keys = Vec::new();
        for (side, (rows, touched)) in self.rows.iter_mut().zip(&mut self.touched).enumerate() {
            let entries = touched.entries.iter().map(|(slot, _)| *slot);
            let gone: Vec<u32> = entries.filter(|s| rows.weight(*s) == 0).collect();
            for slot in &gone {
                let key = rows.key_of(*slot);
                self.keys.forget_row(side, key, *slot);
                keys.push(key);
            }
            rows.remove(&gone)?;
            touched.clear();
        }
        self.touched_keys.clear();
        keys.sort_unstable();
        keys.dedup();
        self.keys.sweep(&keys)
    }

    /// Forgets keys whose time is complete, with their rows.
    fn close(&mut self, keys: &[u32], ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        self.settle(ctx)?;
        let keys = &self.keys.in_use(keys);
        for side in 0..2 {
            let slots: Vec<u32> = keys.iter().flat_map(|k| self.keys.rows(side, *k).iter().copied()).collect();
            if self.spec.on_close && self.single[side] {
                let single = |slot: &u32| {
                    let matched = self.is_matched(side, *slot, None);
                    let weight = self.rows[side].weight(*slot);
                    is_put_out(self.spec.kind, matched).then_some(Single { slot: *slot, weight, matched })
                };
                let singles: Vec<Single> = slots.iter().filter_map(single).collect();
                self.emit_singles(side, &singles, ctx)?;
            }
            keys.iter().for_each(|key| self.keys.forget_rows(side, *key));
            self.rows[side].remove(&slots)?;
        }
        self.keys.remove(keys)
    }
}

/// Is a row that stands alone put out, when it matches something or not?
fn is_put_out(kind: JoinKind, matched: bool) -> bool {
    match kind {
        JoinKind::Inner => false,
        JoinKind::Left | JoinKind::Right | JoinKind::Full | JoinKind::Anti => !matched,
        JoinKind::Semi => matched,
        JoinKind::Mark => true,
    }
}

fn without_zeros(changes: ChangeBatch) -> Result<ChangeBatch, OperatorError> {
    match changes.weights().per_row() {
        Some(weights) if weights.contains(&0) => {
            let keep: BooleanArray = weights.iter().map(|w| Some(*w != 0)).collect();
            Ok(changes.filter(&keep)?)
        }
        _ => Ok(changes),
    }
}

impl Operator for Join {
    fn process(&mut self, input: usize, changes: ChangeBatch, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let changes = self.with_keys(input, changes, ctx)?;
        if changes.is_empty() {
            return Ok(());
        }
        let hashes = changes.key_hashes(&self.key_columns[input])?;
        self.keys.lookup(&columns(&changes, &self.key_columns[input]), &hashes, &mut self.key_slots)?;
        let matches = self.pair(input, &changes, ctx)?;
        self.add(input, &changes, &hashes, &matches)
    }

    fn advance(&mut self, watermark: Watermark, ctx: &mut Context<'_>) -> Result<Watermark, OperatorError> {
        if let Some(time) = self.spec.time {
            let keys = self.keys.take_until(watermark.0.saturating_sub(time.delay_ms));
            if !keys.is_empty() {
                self.close(&keys, ctx)?;
            }
        }
        Ok(watermark)
    }

    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        self.settle(ctx)
    }

    fn tables(&mut self) -> Vec<&mut dyn Table> {
        let rows = self.rows.iter_mut().map(|r| r as &mut dyn Table);
        rows.chain([&mut self.keys as &mut dyn Table]).collect()
    }
}
