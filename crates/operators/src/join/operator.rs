use super::NAME;
use super::chains::NONE;
use super::departure::Departures;
use super::epoch::Key;
use super::order::Order;
use super::ranged::Ranging;
use super::residual::Residual;
use super::singles::is_put_out;
use super::state::{Keeping, Side};
use crate::aggregation::{BATCH_ROWS_MAX, columns, not_null_rows, retraction};
use crate::{Context, Operator, OperatorError};
use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use eddyline_changes::{ChangeBatch, Watermark, Weights};
use eddyline_plan::{JoinKind, JoinSpec};
use eddyline_state::{Store, Table};

/// See the room's front page.
pub(super) struct Join {
    pub(super) spec: JoinSpec,
    pub(super) output: SchemaRef,
    pub(super) inputs: [SchemaRef; 2],
    left_width: usize,
    /// The key columns of each side.
    key_columns: [Vec<usize>; 2],
    /// Of which sides rows are put out alone.
    pub(super) single: [bool; 2],
    pub(super) residual: Option<Residual>,
    pub(super) sides: [Side; 2],
    /// How the rows of a side are met by ranges of the other.
    pub(super) ranging: [Option<Ranging>; 2],
    /// Where the ranges of a side's rows end.
    pub(super) until: [Option<Order>; 2],
    /// Of which sides matches are counted row by row.
    pub(super) counted: [bool; 2],
    /// Changes of this epoch, of sides whose rows may have been forgotten before they are taken back; of both where rows without keys
    /// are not all in memory.
    pub(super) gathered: [Vec<ChangeBatch>; 2],
    /// Of which sides changes are gathered because rows are forgotten.
    pub(super) gathers: [bool; 2],
    pairs: Pairs,
}

/// Pairs that were found: rows of the batch and slots of the other side.
#[derive(Default)]
pub(super) struct Pairs {
    pub(super) rows: Vec<u32>,
    pub(super) slots: Vec<u32>,
    /// How often the batch's row counts, where that is not its weight; else empty.
    pub(super) factors: Vec<i64>,
}

impl Pairs {
    /// Every pair's row of the batch, its slot, and how often the row counts.
    fn each(&self, changes: &ChangeBatch) -> impl Iterator<Item = (u32, u32, i64)> {
        self.rows.iter().zip(&self.slots).enumerate().map(|(at, (row, slot))| {
            let factor = self.factors.get(at).copied();
            (*row, *slot, factor.unwrap_or_else(|| changes.weights().at(*row as usize)))
        })
    }
}

impl Join {
    pub(super) fn open(
        spec: &JoinSpec,
        ttl_ms: [Option<u64>; 2],
        inputs: [&SchemaRef; 2],
        output: &SchemaRef,
        store: &Store,
    ) -> Result<Self, OperatorError> {
        let fields = JoinSpec::all_columns(JoinKind::Inner, inputs[0], inputs[1]);
        let residual = spec.residual.as_ref().map(|r| Residual::new(r, &fields)).transpose()?;
        // Windows go by their own time.
        let ttl_ms = if spec.time.is_some() { [None, None] } else { ttl_ms };
        let counts = residual.is_some() || ttl_ms != [None, None];
        let counted = spec.kind.single().map(|single| single && counts);
        let side = |side: usize| {
            let keeping = Keeping {
                side,
                counts_matches: counted[side],
                is_followed: counted == [false, false] && spec.kind.single()[1 - side],
                ttl_ms: ttl_ms[side],
            };
            Side::open(spec, keeping, inputs[side], store)
        };
        let sides = [side(0)?, side(1)?];
        let is_rough = sides[0].order.as_ref().is_some_and(|order| order.is_rough);
        let until = |side: usize| {
            let until = spec.range.as_ref().and_then(|range| range.until[side].as_ref());
            until.map(|until| Order::new(&until.value, inputs[side])).transpose()
        };
        Ok(Self {
            spec: spec.clone(),
            output: output.clone(),
            inputs: inputs.map(Clone::clone),
            left_width: inputs[0].fields().len(),
            ranging: [0, 1].map(|side| Ranging::of(spec, side, inputs[0].fields().len(), is_rough)),
            until: [until(0)?, until(1)?],
            key_columns: [spec.keys(0), spec.keys(1)],
            single: spec.kind.single(),
            residual,
            sides,
            counted,
            gathered: Default::default(),
            gathers: [0, 1].map(|side| ttl_ms[side].is_some() && !spec.append_only[side]),
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
            ctx.emit(self.alone(side, rows, own, &vec![false; rows], alone.weights().clone())?)?;
        }
        Ok(changes.take(&kept)?)
    }

    /// Joins a batch with what is there of the other side. Returns for every row of the batch how many rows it
    /// matches, where that is counted.
    fn pair(
        &mut self,
        side: usize,
        changes: &ChangeBatch,
        hashes: &[u64],
        ctx: &mut Context<'_>,
    ) -> Result<Vec<i64>, OperatorError> {
        let mut matches = vec![0; if self.counted[side] { changes.num_rows() } else { 0 }];
        if !self.spec.kind.has_pairs() && self.counted == [false, false] {
            return Ok(matches);
        }
        let keys = columns(changes, &self.key_columns[side]);
        self.sides[1 - side].bring_in(&keys, hashes)?;
        let heads = self.sides[1 - side].find(&keys, hashes)?;
        self.sides[1 - side].use_keys(&heads);
        let mut pairs = std::mem::take(&mut self.pairs);
        let (mut of_key, mut ranged) = (Vec::new(), Vec::new());
        for (row, head) in heads.iter().enumerate().filter(|(_, head)| **head != NONE) {
            let mut found: &[u32] = std::slice::from_ref(head);
            if !self.sides[1 - side].is_only(*head) {
                if self.ranging[side].is_some() && self.sides[1 - side].is_ordered(*head) {
                    ranged.push((*head, row));
                    continue;
                }
                of_key.clear();
                self.sides[1 - side].rows_of(*head, &mut of_key);
                found = &of_key;
            }
            while !found.is_empty() {
                let (taken, rest) = found.split_at(found.len().min(BATCH_ROWS_MAX - pairs.rows.len()));
                pairs.slots.extend_from_slice(taken);
                pairs.rows.resize(pairs.slots.len(), row as u32);
                if pairs.rows.len() == BATCH_ROWS_MAX {
                    self.emit_pairs(side, changes, &mut pairs, &mut matches, ctx)?;
                }
                found = rest;
            }
        }
        self.emit_pairs(side, changes, &mut pairs, &mut matches, ctx)?;
        self.pairs = pairs;
        if let Some(ranging) = self.ranging[side]
            && !ranged.is_empty()
        {
            let values = self.sides[side].values(changes)?;
            let until = self.until[side].as_ref().map(|until| until.values_in(changes)).transpose()?;
            // A row whose value is NULL matches nothing.
            let value = |(head, row): (u32, usize)| {
                let end = until.as_ref().map_or(Some(0), |until| until[row])?;
                Some((head, values[row]?, row as u32, end))
            };
            self.pair_ranges(
                side,
                changes,
                ranged.into_iter().filter_map(value).collect(),
                ranging,
                &mut matches,
                ctx,
            )?;
        }
        Ok(matches)
    }

    pub(super) fn emit_pairs(
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
        // Where the condition lets none through, nobody hears of them otherwise.
        ctx.check()?;
        self.test(side, changes, pairs)?;
        self.count_matches(side, changes, pairs, matches);
        if self.spec.kind.has_pairs() && !pairs.rows.is_empty() {
            let rows = UInt32Array::from(pairs.rows.clone());
            let output = self.spec.output.iter().map(|c| self.pair_column(side, changes, &rows, &pairs.slots, *c));
            let output = output.collect::<Result<Vec<_>, _>>()?;
            let options = RecordBatchOptions::new().with_row_count(Some(pairs.rows.len()));
            let batch = RecordBatch::try_new_with_options(self.output.clone(), output, &options)?;
            let others = &self.sides[1 - side];
            let weights = pairs.each(changes).map(|(_, slot, factor)| factor * others.weight(slot)).collect();
            let emitted = ChangeBatch::new(batch, Weights::from_vec(weights))?;
            // A row that came and went in this epoch still has a slot.
            ctx.emit(without_zeros(emitted)?)?;
        }
        pairs.rows.clear();
        pairs.slots.clear();
        pairs.factors.clear();
        Ok(())
    }

    /// Keeps the pairs for which the residual is true.
    fn test(&self, side: usize, changes: &ChangeBatch, pairs: &mut Pairs) -> Result<(), OperatorError> {
        let Some(residual) = &self.residual else { return Ok(()) };
        let rows = UInt32Array::from(pairs.rows.clone());
        let read = residual.read.iter().map(|c| self.pair_column(side, changes, &rows, &pairs.slots, *c));
        let mask = residual.test(read.collect::<Result<_, _>>()?, rows.len())?;
        if mask.true_count() < mask.len() {
            keep(&mut pairs.rows, &mask);
            keep(&mut pairs.slots, &mask);
            keep(&mut pairs.factors, &mask);
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
        if of == side { Ok(take(changes.column(column), rows, None)?) } else { self.sides[of].column(column, slots) }
    }

    /// The side of a column, and its number there.
    pub(super) fn place(&self, column: usize) -> (usize, usize) {
        match column.checked_sub(self.left_width) {
            Some(right) => (1, right),
            None => (0, column),
        }
    }

    fn count_matches(&mut self, side: usize, changes: &ChangeBatch, pairs: &Pairs, matches: &mut [i64]) {
        let other = 1 - side;
        if self.counted[side] {
            for (row, slot) in pairs.rows.iter().zip(&pairs.slots) {
                matches[*row as usize] += self.sides[other].weight(*slot);
            }
        }
        if self.counted[other] {
            let others = &mut self.sides[other];
            for (_, slot, factor) in pairs.each(changes) {
                others.touch(slot, Key::UNKNOWN);
                others.matches[slot as usize] += factor;
            }
            others.mark_dirty(&pairs.slots);
        }
    }

    /// Joins a batch with what is in memory of the other side, and adds it to its own. `met`: how many other rows each matches, if any are known.
    pub(super) fn arrive(
        &mut self,
        side: usize,
        changes: &ChangeBatch,
        met: &[i64],
        ctx: &mut Context<'_>,
    ) -> Result<(), OperatorError> {
        let now_ms = ctx.moment().wall_ms;
        let hashes = changes.key_hashes(&self.key_columns[side])?;
        let mut matches = self.pair(side, changes, &hashes, ctx)?;
        matches.iter_mut().zip(met).for_each(|(matches, met)| *matches += met);
        self.sides[side].bring_in(&columns(changes, &self.key_columns[side]), &hashes)?;
        let touches = self.single[side] || !self.spec.append_only[side];
        self.sides[side].add(changes, &hashes, touches, now_ms)?;
        self.sides[side].count_new(&matches);
        Ok(())
    }

    /// Adds changes of a side, and joins what has an effect.
    pub(super) fn take_effects(
        &mut self,
        side: usize,
        gathered: &[ChangeBatch],
        ctx: &mut Context<'_>,
    ) -> Result<(), OperatorError> {
        let now_ms = ctx.moment().wall_ms;
        for changes in gathered {
            let hashes = changes.key_hashes(&self.key_columns[side])?;
            self.sides[side].bring_in(&columns(changes, &self.key_columns[side]), &hashes)?;
            self.sides[side].add(changes, &hashes, true, now_ms)?;
        }
        let effects = self.sides[side].effects();
        // What the store alone has is gone through once.
        let met = if self.is_loose() { self.meet_loose(side, &self.effect(side, &effects)?, ctx)? } else { Vec::new() };
        for (at, effect) in effects.chunks(BATCH_ROWS_MAX).enumerate() {
            let slots: Vec<u32> = effect.iter().map(|(slot, _)| *slot).collect();
            let changes = self.effect(side, effect)?;
            let hashes = changes.key_hashes(&self.key_columns[side])?;
            let mut matches = self.pair(side, &changes, &hashes, ctx)?;
            matches.iter_mut().zip(met.iter().skip(at * BATCH_ROWS_MAX)).for_each(|(matches, met)| *matches += met);
            self.sides[side].count_came(&slots, &matches);
        }
        Ok(())
    }

    /// Rows of a side with what became of them in this epoch.
    fn effect(&self, side: usize, effect: &[(u32, i64)]) -> Result<ChangeBatch, OperatorError> {
        let slots: Vec<u32> = effect.iter().map(|(slot, _)| *slot).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(slots.len()));
        let rows = self.sides[side].row(&slots)?;
        let rows = RecordBatch::try_new_with_options(self.inputs[side].clone(), rows, &options)?;
        Ok(ChangeBatch::new(rows, Weights::from_vec(effect.iter().map(|(_, weight)| *weight).collect()))?)
    }

    /// Puts out what stands alone and changed, and forgets rows that are gone.
    fn settle(&mut self, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        for side in &self.sides {
            if let Some(before) = side.touched.iter().find(|b| side.weight(b.slot) < 0) {
                return Err(retraction(NAME, &side.row(&[before.slot])?));
            }
        }
        let gone = [self.sides[0].departing()?, self.sides[1].departing()?];
        let single = self.single;
        for side in (0..2).filter(|side| single[*side]) {
            if !self.counted[side] {
                self.flip_rows(side, &gone[1 - side], ctx)?;
            }
            if !self.spec.on_close {
                let singles = self.changed(side, &gone[1 - side])?;
                self.emit_singles(side, &singles, ctx)?;
            }
        }
        for (side, gone) in self.sides.iter_mut().zip(&gone) {
            side.settle();
            side.remove(gone)?;
        }
        Ok(())
    }

    /// Flips the rows of keys that began or ceased to match.
    fn flip_rows(&mut self, side: usize, gone: &Departures, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let turned = self.sides[1 - side].turned_keys(gone);
        if turned.is_empty() || self.has_loose(1 - side)? {
            return Ok(());
        }
        self.flip_loose(side, self.sides[1 - side].is_fresh(turned[0]), ctx)?;
        let keys = self.sides[1 - side].keys(&turned)?;
        self.sides[side].bring_in_all(&keys, turned.len())?;
        let heads = self.sides[side].find_all(&keys, turned.len())?;
        let mut rows = Vec::new();
        heads.into_iter().filter(|head| *head != NONE).for_each(|head| self.sides[side].rows_of(head, &mut rows));
        rows.into_iter().for_each(|row| self.sides[side].flip(row));
        Ok(())
    }

    /// Forgets keys whose time is complete, with their rows: `heads` are theirs, by side.
    fn close(&mut self, heads: &[Vec<u32>; 2], ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        self.settle(ctx)?;
        let mut closing = Vec::with_capacity(2);
        for (side, heads) in heads.iter().enumerate() {
            let mut slots = Vec::new();
            heads.iter().for_each(|head| self.sides[side].rows_of(*head, &mut slots));
            if self.spec.on_close && self.single[side] {
                let singles = self.standing(side, &slots)?;
                self.emit_singles(side, &singles, ctx)?;
            }
            closing.push(slots);
        }
        for (side, slots) in self.sides.iter_mut().zip(closing) {
            let gone = side.departures(&slots)?;
            side.remove(&gone)?;
        }
        Ok(())
    }
}

/// Keeps what the mask says.
fn keep<T>(list: &mut Vec<T>, mask: &BooleanArray) {
    let mut at = 0..;
    list.retain(|_| at.next().is_some_and(|at| mask.value(at)));
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
        let now_ms = ctx.moment().wall_ms;
        self.sides.iter_mut().try_for_each(|side| side.forget_idle(now_ms))?;
        if self.gathers[input] || self.is_loose() {
            self.gathered[input].push(changes);
            return Ok(());
        }
        self.arrive(input, &changes, &[], ctx)
    }

    fn advance(&mut self, watermark: Watermark, ctx: &mut Context<'_>) -> Result<Watermark, OperatorError> {
        if let Some(time) = self.spec.time {
            let until = watermark.0.saturating_sub(time.delay_ms);
            let [left, right] = &mut self.sides;
            let heads = [left.take_until(until)?, right.take_until(until)?];
            if heads.iter().any(|heads| !heads.is_empty()) {
                self.close(&heads, ctx)?;
            }
        }
        Ok(watermark)
    }

    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let is_loose = self.is_loose();
        for (side, gathers) in self.gathers.into_iter().enumerate() {
            if is_loose {
                self.take_loose(side, ctx)?;
            } else if gathers {
                let gathered = std::mem::take(&mut self.gathered[side]);
                self.take_effects(side, &gathered, ctx)?;
            }
        }
        self.settle(ctx)?;
        let now_ms = ctx.moment().wall_ms;
        self.sides.iter_mut().try_for_each(|side| side.forget_idle(now_ms))
    }

    fn tables(&mut self) -> Vec<&mut dyn Table> {
        self.sides.iter_mut().map(|s| s as &mut dyn Table).collect()
    }
}
