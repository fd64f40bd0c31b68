use super::NAME;
use super::ranks::{Change, Numbers, Ranked, Selected, Shown, differences, select};
use crate::aggregation::{BATCH_ROWS_MAX, columns};
use crate::event_time::millis_or_max;
use crate::partitions::{Arrivals, Codec, Encoded, Merged, Partitions, Rows, Touched};
use crate::{Context, Operator, OperatorError, Rejected};
use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::datatypes::SchemaRef;
use eddyline_changes::{ChangeBatch, Watermark, Weights};
use eddyline_plan::{Ranking, TopNSpec};
use eddyline_state::{Store, Table};
use std::sync::Arc;

/// Pending rows of a partition beyond twice those that it can put out, before they are looked through.
const PENDING_MIN: u64 = 64;

/// See the room's front page.
///
/// Rows of an append-only input that can not be among the first are dropped before the flush: at once, by the partition's
/// limit, and when many came in a partition.
pub(super) struct TopN {
    spec: TopNSpec,
    numbers: Numbers,
    shown: Shown,
    /// May rows beyond the last number be forgotten?
    forgets: bool,
    output: SchemaRef,
    /// The columns of the input that are put out.
    wanted: Vec<usize>,
    codec: Codec,
    state: Partitions,
    /// By partition: rows whose order begins with more than this number cannot come in. `u128::MAX` lets all in.
    limits: Vec<u128>,
    arrivals: Arrivals,
    slots: Vec<u32>,
    scratch: Scratch,
}

/// Room that is used again and again.
#[derive(Default)]
struct Scratch {
    came: Vec<u32>,
    merged: Merged,
    old: Vec<Ranked>,
    new: Vec<Ranked>,
    changes: Vec<Change>,
}

/// What a flush puts out and forgets.
#[derive(Default)]
struct Flushed {
    /// Partitions and rows.
    rows: Vec<(u32, u32)>,
    ranks: Vec<i64>,
    weights: Vec<i64>,
    gone_partitions: Vec<u32>,
}

impl Flushed {
    fn push(&mut self, slot: u32, change: &Change) {
        self.rows.push((slot, change.row));
        self.ranks.push(change.rank as i64);
        self.weights.push(change.weight);
    }
}

impl TopN {
    pub(super) fn open(
        spec: &TopNSpec,
        input: &SchemaRef,
        output: &SchemaRef,
        store: &Store,
        ttl_ms: Option<u64>,
    ) -> Result<Self, OperatorError> {
        let width = input.fields().len();
        let forgets = spec.append_only && spec.last.is_some();
        let all = spec.output.iter().copied().eq(0..width);
        if spec.local && !(forgets && spec.first == 1 && all) {
            let message = "rows can be selected before an exchange only if they are append-only and bounded".into();
            return Err(OperatorError::Spec { operator: NAME, message });
        }
        if spec.closes.is_some() && !spec.append_only {
            let message = "rows that are taken back cannot be put out once, when their time is complete".into();
            return Err(OperatorError::Spec { operator: NAME, message });
        }
        let ranking = spec.ranking;
        let numbers = Numbers { ranking, first: spec.first, last: spec.last.unwrap_or(u64::MAX) };
        let store = (!spec.local).then_some(store);
        let state = Partitions::open(NAME, &spec.partition, input, spec.closes, store, ttl_ms)?;
        let mut room = Self {
            numbers,
            shown: match spec.output.contains(&width) {
                false => Shown::Rows,
                true if ranking == Ranking::RowNumber => Shown::Numbers,
                true => Shown::Ranks,
            },
            forgets,
            output: output.clone(),
            wanted: spec.output.iter().copied().filter(|c| *c < width).collect(),
            codec: Codec::new(&spec.partition, &spec.order, input)?,
            limits: Vec::new(),
            state,
            spec: spec.clone(),
            arrivals: Arrivals::default(),
            slots: Vec::new(),
            scratch: Scratch::default(),
        };
        room.set_limits(0..room.state.slots_max() as u32);
        Ok(room)
    }

    /// Finds the limits of partitions that were brought in.
    fn set_limits(&mut self, slots: impl IntoIterator<Item = u32>) {
        self.limits.resize(self.state.slots_max(), u128::MAX);
        let (rows, new) = (&self.state.rows, &mut self.scratch.new);
        for slot in slots {
            let list = self.state.list(slot);
            self.limits[slot as usize] =
                if self.forgets { limit(list, rows, select(list, rows, self.numbers, new)) } else { u128::MAX };
        }
    }

    /// Forgets the partitions in which no row came for the time to live; nothing is put out.
    fn forget_idle(&mut self, now_ms: i64) -> Result<(), OperatorError> {
        let gone = self.state.forget_idle(now_ms, &self.arrivals)?;
        self.forget(&gone)
    }

    /// The rows of the batch that may come in; `None`: all.
    fn entering(&self, order: &Encoded) -> Option<UInt32Array> {
        if !self.forgets {
            return None;
        }
        let mut rows = Vec::new();
        for (row, slot) in self.slots.iter().enumerate() {
            if prefix(order.row(row)) <= self.limits[*slot as usize] {
                rows.push(row as u32);
            }
        }
        (rows.len() < self.slots.len()).then(|| rows.into())
    }

    fn pend(&mut self, slot: u32, row: u32) {
        let touched = self.arrivals.add(slot, row);
        // Marked with the count at which its rows are looked through.
        if self.forgets && touched.mark == 0 {
            touched.mark = prune_at(self.numbers, 0);
        }
        if self.forgets && touched.count >= touched.mark {
            self.prune(slot);
        }
    }

    /// Forgets rows that came in a partition and that others of them keep out.
    fn prune(&mut self, slot: u32) {
        let rows = &mut self.state.rows;
        let Scratch { came, new, .. } = &mut self.scratch;
        self.arrivals.gather(self.arrivals.of(slot), rows, came);
        let selected = select(came, rows, self.numbers, new);
        let limit = limit(&came[..selected.rows], rows, selected);
        let at = &mut self.limits[slot as usize];
        *at = (*at).min(limit);
        came.drain(selected.rows..).for_each(|row| rows.remove(row));
        self.arrivals.replace(slot, came, prune_at(self.numbers, came.len() as u64));
    }

    /// Merges what came into a partition, and notes what that changes.
    fn settle(&mut self, touched: Touched, out: &mut Flushed) -> Result<(), OperatorError> {
        let slot = touched.slot;
        let Scratch { came, merged, old, new, changes } = &mut self.scratch;
        self.arrivals.gather(touched, &mut self.state.rows, came);
        select(self.state.list(slot), &self.state.rows, self.numbers, old);
        self.state.merge(&self.codec, slot, came, merged)?;
        let rows = &self.state.rows;
        let selected = select(&merged.rows, rows, self.numbers, new);
        changes.clear();
        if self.spec.closes.is_none() {
            differences(old, new, rows, self.shown, changes);
        }
        for change in changes.iter().filter(|c| !self.spec.local || c.weight > 0) {
            out.push(slot, change);
        }
        if self.forgets {
            merged.gone.extend(merged.rows.drain(selected.rows..).map(|row| (slot, row)));
            self.limits[slot as usize] = limit(&merged.rows, rows, selected);
        }
        if merged.rows.is_empty() {
            out.gone_partitions.push(slot);
        }
        self.state.set_list(slot, &merged.rows);
        Ok(())
    }

    /// The rows of partitions whose time is not complete; the others are late.
    fn on_time(&self, changes: ChangeBatch, ctx: &mut Context<'_>) -> Result<ChangeBatch, OperatorError> {
        let Some(time) = self.spec.closes else { return Ok(changes) };
        let times = millis_or_max(NAME, changes.column(self.spec.partition[time.key]))?;
        let closed = ctx.watermark().0.saturating_sub(time.delay_ms);
        if times.values().iter().all(|t| *t > closed) {
            return Ok(changes);
        }
        let keep: BooleanArray = times.values().iter().map(|t| Some(*t > closed)).collect();
        let late = (0..changes.num_rows()).filter(|row| !keep.value(*row)).map(|row| changes.weights().at(row));
        ctx.reject(Rejected::Late, late.sum::<i64>().unsigned_abs());
        Ok(changes.filter(&keep)?)
    }

    /// Puts out the partitions whose time is complete, and forgets them.
    fn close(&mut self, until: i64, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        if !self.state.has_until(until) {
            return Ok(());
        }
        self.flush(ctx)?;
        let slots = self.state.take_until(until)?;
        let (mut out, mut gone) = (Flushed::default(), Vec::new());
        let Scratch { new, changes, .. } = &mut self.scratch;
        for slot in &slots {
            let (list, rows) = (self.state.list(*slot), &self.state.rows);
            select(list, rows, self.numbers, new);
            changes.clear();
            differences(&[], new, rows, self.shown, changes);
            changes.iter().for_each(|change| out.push(*slot, change));
            gone.extend(list.iter().map(|row| (*slot, *row)));
        }
        self.emit(&out, ctx)?;
        self.state.remove(&gone)?;
        self.forget(&slots)?;
        self.state.rows.sweep();
        Ok(())
    }

    /// Forgets partitions without rows.
    fn forget(&mut self, slots: &[u32]) -> Result<(), OperatorError> {
        self.limits.resize(self.state.slots_max(), u128::MAX);
        for slot in slots {
            self.state.set_list(*slot, &[]);
            self.limits[*slot as usize] = u128::MAX;
        }
        self.state.remove_partitions(slots)
    }

    fn emit(&self, out: &Flushed, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        for from in (0..out.rows.len()).step_by(BATCH_ROWS_MAX) {
            let to = out.rows.len().min(from + BATCH_ROWS_MAX);
            let mut known = self.state.columns(&self.codec, &self.wanted, &out.rows[from..to])?.into_iter();
            let rank = |_| Arc::new(Int64Array::from(out.ranks[from..to].to_vec())) as ArrayRef;
            let width = self.codec.places.len();
            let column = |c: &usize| if *c < width { known.next() } else { Some(rank(())) };
            let columns: Vec<ArrayRef> = self.spec.output.iter().filter_map(column).collect();
            let options = RecordBatchOptions::new().with_row_count(Some(to - from));
            let batch = RecordBatch::try_new_with_options(self.output.clone(), columns, &options)?;
            ctx.emit(ChangeBatch::new(batch, Weights::from_vec(out.weights[from..to].to_vec()))?)?;
        }
        Ok(())
    }
}

/// At how many rows that came those are looked through, of which `kept` stayed the last time.
fn prune_at(numbers: Numbers, kept: u64) -> u64 {
    kept.max(numbers.last).saturating_mul(2).saturating_add(PENDING_MIN)
}

/// The first 16 bytes of an order, as a number that orders alike.
#[inline]
fn prefix(order: &[u8]) -> u128 {
    match order.first_chunk::<16>() {
        Some(bytes) => u128::from_be_bytes(*bytes),
        None => {
            let mut bytes = [0; 16];
            bytes[..order.len()].copy_from_slice(order);
            u128::from_be_bytes(bytes)
        }
    }
}

/// How an order may begin that comes in, after the rows of `list`.
fn limit(list: &[u32], rows: &Rows, selected: Selected) -> u128 {
    match list.last() {
        Some(last) if selected.is_full => prefix(rows.order(*last)),
        _ => u128::MAX,
    }
}

impl Operator for TopN {
    fn process(&mut self, _input: usize, changes: ChangeBatch, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        self.forget_idle(ctx.moment().wall_ms)?;
        if self.spec.append_only && changes.weights().per_row().is_some_and(|w| w.iter().any(|w| *w < 0)) {
            let message = "a row is taken back of an input that was said to be append-only".into();
            return Err(OperatorError::Spec { operator: NAME, message });
        }
        let changes = self.on_time(changes, ctx)?;
        if changes.is_empty() {
            return Ok(());
        }
        let hashes = changes.key_hashes(&self.spec.partition)?;
        let created = self.state.lookup(&columns(&changes, &self.spec.partition), &hashes, &mut self.slots)?;
        self.set_limits(created);
        self.arrivals.make_room(self.state.slots_max());
        let order = self.codec.order.encode(&changes, None)?;
        let entering = self.entering(&order);
        let rest = self.codec.rest.encode(&changes, entering.as_ref())?;
        let count = entering.as_ref().map_or(changes.num_rows(), |rows| rows.values().len());
        for at in 0..count {
            let row = entering.as_ref().map_or(at, |rows| rows.value(at) as usize);
            let number = self.state.rows.add(order.row(row), rest.row(at), changes.weights().at(row));
            self.pend(self.slots[row], number);
        }
        Ok(())
    }

    fn advance(&mut self, watermark: Watermark, ctx: &mut Context<'_>) -> Result<Watermark, OperatorError> {
        if let Some(time) = self.spec.closes {
            self.close(watermark.0.saturating_sub(time.delay_ms), ctx)?;
        }
        Ok(watermark)
    }

    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let mut out = Flushed::default();
        let now_ms = ctx.moment().wall_ms;
        for touched in self.arrivals.take() {
            self.state.touch(touched.slot, now_ms);
            self.settle(touched, &mut out)?;
        }
        self.arrivals.clear();
        self.emit(&out, ctx)?;
        self.state.remove(&std::mem::take(&mut self.scratch.merged.gone))?;
        self.forget(&out.gone_partitions)?;
        self.forget_idle(now_ms)?;
        self.state.rows.sweep();
        Ok(())
    }

    fn tables(&mut self) -> Vec<&mut dyn Table> {
        vec![&mut self.state]
    }
}
