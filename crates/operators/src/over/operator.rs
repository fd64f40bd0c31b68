use super::NAME;
use super::entries::Entries;
use super::evaluate::{Calls, Columns};
use crate::aggregation::{BATCH_ROWS_MAX, columns};
use crate::partitions::{Arrivals, Codec, Merged, Partitions, Rows, Touched};
use crate::{Context, Operator, OperatorError};
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use arrow::row::{RowConverter, SortField};
use eddyline_changes::{ChangeBatch, Weights};
use eddyline_plan::OverSpec;
use eddyline_state::{Store, Table};
use std::cmp::Ordering;
use std::ops::Range;

/// Entries that are evaluated at a time, about: whole partitions.
const ENTRIES_MAX: usize = 1 << 16;

/// See the room's front page.
pub(super) struct Over {
    spec: OverSpec,
    output: SchemaRef,
    width: usize,
    /// The columns of the input that are put out.
    wanted: Vec<usize>,
    codec: Codec,
    calls: Calls,
    /// Tells whether results are the same.
    results: RowConverter,
    state: Partitions,
    arrivals: Arrivals,
    slots: Vec<u32>,
}

/// Partitions that changed, as they were and as they are.
struct Changed {
    /// Partitions and rows, those of a partition in order.
    rows: Vec<(u32, u32)>,
    entries: Entries,
    parts: Vec<Part>,
}

/// A partition that changed: its rows, its entries before and after.
struct Part {
    rows: Range<usize>,
    before: Range<usize>,
    after: Range<usize>,
}

impl Changed {
    fn new() -> Self {
        Self { rows: Vec::new(), entries: Entries::new(), parts: Vec::new() }
    }

    /// Adds a partition that had the rows `old`, with their weights then, and has `new`.
    fn push(&mut self, slot: u32, old: &[(u32, i64)], new: &[u32], rows: &Rows, one_by_one: bool) {
        let from = self.rows.len();
        let (mut was, mut is) = (Vec::with_capacity(old.len()), Vec::with_capacity(new.len()));
        let (mut o, mut n) = (old.iter().peekable(), new.iter().peekable());
        loop {
            let order = match (o.peek(), n.peek()) {
                (Some((a, _)), Some(b)) if a == *b => Ordering::Equal,
                (Some((a, _)), Some(b)) => rows.bytes(*a).cmp(rows.bytes(**b)),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => break,
            };
            let place = self.rows.len() as u32;
            if order.is_le()
                && let Some((row, weight)) = o.next()
            {
                was.push((*row, place, *weight));
            }
            if order.is_ge()
                && let Some(row) = n.next()
            {
                is.push((*row, place, rows.weight(*row)));
            }
            let row = if order.is_le() { was.last() } else { is.last() };
            self.rows.extend(row.map(|(row, _, _)| (slot, *row)));
        }
        let before = self.entries.push_list(was.into_iter(), rows, one_by_one);
        let after = self.entries.push_list(is.into_iter(), rows, one_by_one);
        self.parts.push(Part { rows: from..self.rows.len(), before, after });
    }
}

impl Over {
    pub(super) fn open(
        spec: &OverSpec,
        input: &SchemaRef,
        output: &SchemaRef,
        store: &Store,
        ttl_ms: Option<u64>,
    ) -> Result<Self, OperatorError> {
        let width = input.fields().len();
        let state = Partitions::open(NAME, &spec.partition, input, None, Some(store), ttl_ms)?;
        let results = spec.calls.iter().map(|c| SortField::new(c.return_type.clone())).collect();
        Ok(Self {
            output: output.clone(),
            width,
            wanted: spec.output.iter().copied().filter(|c| *c < width).collect(),
            codec: Codec::new(&spec.partition, &spec.order, input)?,
            calls: Calls::new(spec)?,
            results: RowConverter::new(results)?,
            state,
            arrivals: Arrivals::default(),
            slots: Vec::new(),
            spec: spec.clone(),
        })
    }

    /// Forgets the partitions in which no row came for the time to live; nothing is put out.
    fn forget_idle(&mut self, now_ms: i64) -> Result<(), OperatorError> {
        let gone = self.state.forget_idle(now_ms, &self.arrivals)?;
        self.state.remove_partitions(&gone)
    }

    /// Merges what came into a partition.
    fn merge(
        &mut self,
        touched: Touched,
        came: &mut Vec<u32>,
        merged: &mut Merged,
        changed: &mut Changed,
    ) -> Result<(), OperatorError> {
        let slot = touched.slot;
        self.arrivals.gather(touched, &mut self.state.rows, came);
        if came.is_empty() {
            return Ok(());
        }
        let rows = &self.state.rows;
        let old: Vec<(u32, i64)> = self.state.list(slot).iter().map(|row| (*row, rows.weight(*row))).collect();
        self.state.merge(&self.codec, slot, came, merged)?;
        changed.push(slot, &old, &merged.rows, &self.state.rows, self.calls.one_by_one);
        self.state.set_list(slot, &merged.rows);
        Ok(())
    }

    /// Puts out what is different in partitions that changed.
    fn settle(&mut self, changed: &Changed, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        if changed.rows.is_empty() {
            return Ok(());
        }
        let read = self.state.columns(&self.codec, &self.calls.read, &changed.rows)?;
        let known = Columns::new(self.width, &self.calls.read, read);
        let results = self.calls.evaluate(&changed.entries, &known)?;
        let (entries, weights) = self.differences(changed, &results)?;
        for from in (0..entries.len()).step_by(BATCH_ROWS_MAX) {
            let to = entries.len().min(from + BATCH_ROWS_MAX);
            let weights = Weights::from_vec(weights[from..to].to_vec());
            self.emit(changed, &known, &results, &entries[from..to], weights, ctx)?;
        }
        Ok(())
    }

    /// The entries that are put out, with their weights: by partition, first what is taken away.
    fn differences(&self, changed: &Changed, results: &[ArrayRef]) -> Result<(Vec<u32>, Vec<i64>), OperatorError> {
        let results = self.results.convert_columns(results)?;
        let (rows, counts) = (&changed.entries.rows, &changed.entries.counts);
        let (mut entries, mut weights) = (Vec::new(), Vec::new());
        // Entries with weights.
        let (mut copies, mut away, mut come): (Vec<(usize, i64)>, Vec<_>, Vec<_>) = (vec![], vec![], vec![]);
        for part in &changed.parts {
            let (mut before, mut after) = (part.before.clone(), part.after.clone());
            for row in part.rows.clone() {
                copies.clear();
                let mut own = |range: &mut Range<usize>, sign: i64| {
                    while range.start < range.end && rows[range.start] as usize == row {
                        copies.push((range.start, sign * counts[range.start]));
                        range.start += 1;
                    }
                };
                own(&mut before, -1);
                own(&mut after, 1);
                match copies.as_mut_slice() {
                    [(a, was), (b, is)] if results.row(*a) == results.row(*b) => *is += std::mem::take(was),
                    [_] | [_, _] => {}
                    several => {
                        several.sort_unstable_by(|(a, _), (b, _)| results.row(*a).cmp(&results.row(*b)));
                        for at in 1..several.len() {
                            if results.row(several[at].0) == results.row(several[at - 1].0) {
                                several[at].1 += std::mem::take(&mut several[at - 1].1);
                            }
                        }
                    }
                }
                for copy in copies.iter().filter(|(_, weight)| *weight != 0) {
                    if copy.1 < 0 { away.push(*copy) } else { come.push(*copy) }
                }
            }
            for (entry, weight) in away.drain(..).chain(come.drain(..)) {
                entries.push(entry as u32);
                weights.push(weight);
            }
        }
        Ok((entries, weights))
    }

    fn emit(
        &self,
        changed: &Changed,
        known: &Columns,
        results: &[ArrayRef],
        entries: &[u32],
        weights: Weights,
        ctx: &mut Context<'_>,
    ) -> Result<(), OperatorError> {
        let rows: Vec<u32> = entries.iter().map(|e| changed.entries.rows[*e as usize]).collect();
        let missing: Vec<usize> = self.wanted.iter().copied().filter(|c| known.find(*c).is_none()).collect();
        let own: Vec<(u32, u32)> = rows.iter().map(|row| changed.rows[*row as usize]).collect();
        let decoded = Columns::new(self.width, &missing, self.state.columns(&self.codec, &missing, &own)?);
        let (rows, entries) = (UInt32Array::from(rows), UInt32Array::from(entries.to_vec()));
        let column = |c: &usize| match c.checked_sub(self.width) {
            Some(call) => take(&results[call], &entries, None),
            None => match known.find(*c) {
                Some(column) => take(column, &rows, None),
                None => Ok(decoded.get(*c).clone()),
            },
        };
        let columns = self.spec.output.iter().map(column).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(entries.values().len()));
        let batch = RecordBatch::try_new_with_options(self.output.clone(), columns, &options)?;
        ctx.emit(ChangeBatch::new(batch, weights)?)?;
        Ok(())
    }
}

impl Operator for Over {
    fn process(&mut self, _input: usize, changes: ChangeBatch, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        self.forget_idle(ctx.moment().wall_ms)?;
        let hashes = changes.key_hashes(&self.spec.partition)?;
        self.state.lookup(&columns(&changes, &self.spec.partition), &hashes, &mut self.slots)?;
        self.arrivals.make_room(self.state.slots_max());
        let order = self.codec.order.encode(&changes, None)?;
        let rest = self.codec.rest.encode(&changes, None)?;
        for (row, slot) in self.slots.iter().enumerate() {
            let number = self.state.rows.add(order.row(row), rest.row(row), changes.weights().at(row));
            self.arrivals.add(*slot, number);
        }
        Ok(())
    }

    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let (mut came, mut merged, mut changed) = (Vec::new(), Merged::default(), Changed::new());
        let mut empty = Vec::new();
        let now_ms = ctx.moment().wall_ms;
        for touched in self.arrivals.take() {
            self.state.touch(touched.slot, now_ms);
            self.merge(touched, &mut came, &mut merged, &mut changed)?;
            if self.state.list(touched.slot).is_empty() {
                empty.push(touched.slot);
            }
            if changed.entries.len() >= ENTRIES_MAX {
                self.settle(&changed, ctx)?;
                changed = Changed::new();
            }
        }
        self.settle(&changed, ctx)?;
        self.arrivals.clear();
        self.state.remove(&merged.gone)?;
        self.state.remove_partitions(&empty)?;
        self.forget_idle(now_ms)?;
        self.state.rows.sweep();
        Ok(())
    }

    fn tables(&mut self) -> Vec<&mut dyn Table> {
        vec![&mut self.state]
    }
}
