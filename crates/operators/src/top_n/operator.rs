use super::NAME;
use super::codec::{Codec, Encoded};
use super::ranks::{Change, Numbers, Ranked, Selected, Shown, differences, select};
use super::rows::Rows;
use super::state::State;
use crate::aggregation::{BATCH_ROWS_MAX, columns};
use crate::{Context, Operator, OperatorError};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::datatypes::SchemaRef;
use eddyline_changes::{ChangeBatch, Weights};
use eddyline_plan::{Ranking, TopNSpec};
use eddyline_state::{Store, Table};
use std::sync::Arc;

/// No pending row.
const NONE: u32 = u32::MAX;
/// Pending rows of a partition beyond twice those that it can put out, before they are looked through.
const PENDING_MIN: u64 = 64;

/// See the room's front page.
///
/// What comes in an epoch is `pending`, a chain of rows per partition. At the flush the chain is sorted, equal rows
/// are added up, and the result is merged into the partition's rows once. Rows of an append-only input that can not be among the
/// first are dropped before: at once, by the partition's limit, and when a chain becomes long.
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
    state: State,
    pending: Vec<Pending>,
    touched: Vec<Touched>,
    /// By partition, one more than its place in `touched`; 0: not touched.
    touched_at: Vec<u32>,
    slots: Vec<u32>,
    scratch: Scratch,
}

/// A row that came in this epoch; what it weighs, is its weight.
struct Pending {
    row: u32,
    next: u32,
}

/// A partition that has pending rows.
struct Touched {
    slot: u32,
    head: u32,
    count: u64,
    /// The count at which its pending rows are looked through.
    prune_at: u64,
}

/// Room that is used again and again.
#[derive(Default)]
struct Scratch {
    came: Vec<u32>,
    merged: Vec<u32>,
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
    gone: Vec<(u32, u32)>,
    gone_partitions: Vec<u32>,
}

impl TopN {
    pub(super) fn open(
        spec: &TopNSpec,
        input: &SchemaRef,
        output: &SchemaRef,
        store: &Store,
    ) -> Result<Self, OperatorError> {
        let width = input.fields().len();
        let forgets = spec.append_only && spec.last.is_some();
        let all = spec.output.iter().copied().eq(0..width);
        if spec.local && !(forgets && spec.first == 1 && all) {
            let message = "rows can be selected before an exchange only if they are append-only and bounded".into();
            return Err(OperatorError::Spec { operator: NAME, message });
        }
        let ranking = spec.ranking;
        let numbers = Numbers { ranking, first: spec.first, last: spec.last.unwrap_or(u64::MAX) };
        let limit = |list: &[u32], rows: &Rows| match forgets {
            true => limit(list, rows, select(list, rows, numbers, &mut Vec::new())),
            false => u128::MAX,
        };
        Ok(Self {
            numbers,
            shown: match spec.output.contains(&width) {
                false => Shown::Rows,
                true if ranking == Ranking::RowNumber => Shown::Numbers,
                true => Shown::Ranks,
            },
            forgets,
            output: output.clone(),
            wanted: spec.output.iter().copied().filter(|c| *c < width).collect(),
            codec: Codec::new(spec, input)?,
            state: State::open(spec, input, store, limit)?,
            spec: spec.clone(),
            pending: Vec::new(),
            touched: Vec::new(),
            touched_at: Vec::new(),
            slots: Vec::new(),
            scratch: Scratch::default(),
        })
    }

    /// The rows of the batch that may come in; `None`: all.
    fn entering(&self, order: &Encoded) -> Option<UInt32Array> {
        if !self.forgets {
            return None;
        }
        let mut rows = Vec::new();
        for (row, slot) in self.slots.iter().enumerate() {
            if prefix(order.row(row)) <= self.state.limits[*slot as usize] {
                rows.push(row as u32);
            }
        }
        (rows.len() < self.slots.len()).then(|| rows.into())
    }

    fn pend(&mut self, slot: u32, row: u32) {
        let prune_at = if self.forgets { self.prune_at(0) } else { u64::MAX };
        let at = &mut self.touched_at[slot as usize];
        if *at == 0 {
            self.touched.push(Touched { slot, head: NONE, count: 0, prune_at });
            *at = self.touched.len() as u32;
        }
        let place = *at as usize - 1;
        let touched = &mut self.touched[place];
        self.pending.push(Pending { row, next: touched.head });
        touched.head = (self.pending.len() - 1) as u32;
        touched.count += 1;
        if touched.count >= touched.prune_at {
            self.prune(place);
        }
    }

    fn prune_at(&self, kept: u64) -> u64 {
        kept.max(self.numbers.last).saturating_mul(2).saturating_add(PENDING_MIN)
    }

    /// Forgets pending rows of a partition that others of them keep out.
    fn prune(&mut self, place: usize) {
        let Touched { slot, head, .. } = self.touched[place];
        self.gather(head);
        let Scratch { came, new, .. } = &mut self.scratch;
        let selected = select(came, &self.state.rows, self.numbers, new);
        let limit = limit(&came[..selected.rows], &self.state.rows, selected);
        let at = &mut self.state.limits[slot as usize];
        *at = (*at).min(limit);
        came.drain(selected.rows..).for_each(|row| self.state.rows.remove(row));
        let mut head = NONE;
        for row in came.iter() {
            self.pending.push(Pending { row: *row, next: head });
            head = (self.pending.len() - 1) as u32;
        }
        let count = came.len() as u64;
        let prune_at = self.prune_at(count);
        self.touched[place] = Touched { slot, head, count, prune_at };
    }

    /// Puts the rows of a chain into `scratch.came`: in order, equal ones added up into one.
    fn gather(&mut self, head: u32) {
        let (came, rows) = (&mut self.scratch.came, &mut self.state.rows);
        came.clear();
        let mut at = head;
        while let Some(pending) = self.pending.get(at as usize) {
            came.push(pending.row);
            at = pending.next;
        }
        if came.len() > 1 {
            came.sort_unstable_by(|a, b| rows.bytes(*a).cmp(rows.bytes(*b)));
            came.dedup_by(|later, kept| {
                let same = rows.bytes(*later) == rows.bytes(*kept);
                if same {
                    rows.add_weight(*kept, rows.weight(*later));
                    rows.remove(*later);
                }
                same
            });
        }
        came.retain(|row| {
            let stays = rows.weight(*row) != 0;
            if !stays {
                rows.remove(*row);
            }
            stays
        });
    }

    /// Merges what came into a partition, and notes what that changes.
    fn settle(&mut self, slot: u32, head: u32, out: &mut Flushed) -> Result<(), OperatorError> {
        self.gather(head);
        let list = self.state.list(slot);
        select(list, &self.state.rows, self.numbers, &mut self.scratch.old);
        self.merge(slot, out)?;
        let Scratch { merged, old, new, changes, .. } = &mut self.scratch;
        let rows = &self.state.rows;
        let selected = select(merged, rows, self.numbers, new);
        changes.clear();
        differences(old, new, rows, self.shown, changes);
        for change in changes.iter().filter(|c| !self.spec.local || c.weight > 0) {
            out.rows.push((slot, change.row));
            out.ranks.push(change.rank as i64);
            out.weights.push(change.weight);
        }
        if self.forgets {
            out.gone.extend(merged.drain(selected.rows..).map(|row| (slot, row)));
            self.state.limits[slot as usize] = limit(merged, rows, selected);
        }
        if merged.is_empty() {
            out.gone_partitions.push(slot);
        }
        self.state.set_list(slot, merged);
        Ok(())
    }

    /// Puts the rows of a partition with those that came into `scratch.merged`.
    fn merge(&mut self, slot: u32, out: &mut Flushed) -> Result<(), OperatorError> {
        let Scratch { came, merged, .. } = &mut self.scratch;
        merged.clear();
        let mut from = 0;
        for row in came.iter() {
            let rows = &self.state.rows;
            let list = &self.state.list(slot)[from..];
            let found = list.binary_search_by(|known| rows.bytes(*known).cmp(rows.bytes(*row)));
            let (Ok(at) | Err(at)) = found;
            merged.extend_from_slice(&list[..at]);
            from += at;
            let weight = rows.weight(*row);
            if found.is_err() {
                if weight < 0 {
                    return Err(self.state.retraction(&self.codec, slot, *row));
                }
                merged.push(*row);
                continue;
            }
            let known = list[at];
            from += 1;
            self.state.rows.remove(*row);
            self.state.rows.add_weight(known, weight);
            match self.state.rows.weight(known) {
                0 => out.gone.push((slot, known)),
                left if left < 0 => return Err(self.state.retraction(&self.codec, slot, known)),
                _ => merged.push(known),
            }
        }
        merged.extend_from_slice(&self.state.list(slot)[from..]);
        Ok(())
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
            ctx.emit(ChangeBatch::new(batch, Weights::from_vec(out.weights[from..to].to_vec()))?);
        }
        Ok(())
    }
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
    fn process(&mut self, _input: usize, changes: ChangeBatch, _ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        if self.spec.append_only && changes.weights().per_row().is_some_and(|w| w.iter().any(|w| *w < 0)) {
            let message = "a row is taken back of an input that was said to be append-only".into();
            return Err(OperatorError::Spec { operator: NAME, message });
        }
        let hashes = changes.key_hashes(&self.spec.partition)?;
        self.state.lookup(&columns(&changes, &self.spec.partition), &hashes, &mut self.slots)?;
        self.touched_at.resize(self.state.limits.len(), 0);
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

    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let mut out = Flushed::default();
        let touched = std::mem::take(&mut self.touched);
        for Touched { slot, head, .. } in &touched {
            self.touched_at[*slot as usize] = 0;
            self.settle(*slot, *head, &mut out)?;
        }
        self.pending.clear();
        self.emit(&out, ctx)?;
        self.state.remove(&out.gone)?;
        self.state.remove_partitions(&out.gone_partitions)?;
        self.state.rows.sweep();
        Ok(())
    }

    fn tables(&mut self) -> Vec<&mut dyn Table> {
        vec![&mut self.state]
    }
}
