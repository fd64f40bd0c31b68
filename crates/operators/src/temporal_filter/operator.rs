use super::NAME;
use super::calendar::Calendar;
use super::state::{LastTime, Rows};
use super::times::{FOREVER, Times};
use crate::aggregation::BATCH_ROWS_MAX;
use crate::{Context, Operator, OperatorError, Rejected};
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::datatypes::SchemaRef;
use eddyline_changes::{ChangeBatch, Weights};
use eddyline_plan::{Clock, TemporalFilterSpec};
use eddyline_state::{Store, Table};

/// See the room's front page.
pub(super) struct TemporalFilter {
    spec: TemporalFilterSpec,
    calendars: Vec<Calendar>,
    output: SchemaRef,
    rows: Rows,
    last: LastTime,
    /// Rows that changed in this epoch, each once.
    touched: Vec<u32>,
    is_touched: Vec<bool>,
    slots: Vec<u32>,
}

impl TemporalFilter {
    pub(super) fn open(
        spec: &TemporalFilterSpec,
        input: &SchemaRef,
        output: &SchemaRef,
        store: &Store,
    ) -> Result<Self, OperatorError> {
        if spec.by.is_none() && !spec.append_only {
            let message = "rows that may be taken back must be dealt out".into();
            return Err(OperatorError::Spec { operator: NAME, message });
        }
        let last = LastTime::open(store)?;
        Ok(Self {
            rows: Rows::open(spec, input, last.ms, store)?,
            last,
            calendars: Calendar::all(spec)?,
            spec: spec.clone(),
            output: output.clone(),
            touched: Vec::new(),
            is_touched: Vec::new(),
            slots: Vec::new(),
        })
    }

    /// The time now; never the last moment, at which rows that stay would go.
    fn now_ms(&self, ctx: &Context<'_>) -> i64 {
        let now = match self.spec.clock {
            Clock::Wall => ctx.moment().wall_ms,
            Clock::Watermark => ctx.watermark().0.min(FOREVER - 1),
        };
        now.max(self.last.ms)
    }

    /// Keeps the rows that the watermark has not passed, and counts the others.
    fn hold(&mut self, changes: &ChangeBatch, times: &Times, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let now_ms = self.now_ms(ctx);
        let (mut kept, mut late, mut null) = (Vec::new(), 0, 0);
        for (at, (from, until)) in (0_u32..).zip(times.from.iter().zip(&times.until)) {
            let copies = changes.weights().at(at as usize).unsigned_abs();
            match (from >= until, *from <= now_ms) {
                (true, _) => null += copies,
                (_, true) => late += copies,
                (_, false) => kept.push(at),
            }
        }
        ctx.reject(Rejected::NullTime, null);
        ctx.reject(Rejected::Late, late);
        if kept.is_empty() { Ok(()) } else { self.keep(changes, times, &kept) }
    }

    /// Keeps rows for the flush.
    fn keep(&mut self, changes: &ChangeBatch, times: &Times, kept: &[u32]) -> Result<(), OperatorError> {
        let changes = changes.take(&UInt32Array::from(times.rows_of(kept).into_owned()))?;
        let of = |times: &[i64]| kept.iter().map(|at| times[*at as usize]).collect();
        let mut slots = std::mem::take(&mut self.slots);
        self.rows.lookup(changes.rows().columns(), of(&times.from), of(&times.until), &mut slots)?;
        self.rows.add(&slots, changes.weights());
        self.is_touched.resize(self.rows.weights.len(), false);
        for slot in &slots {
            if !std::mem::replace(&mut self.is_touched[*slot as usize], true) {
                self.touched.push(*slot);
            }
        }
        self.slots = slots;
        Ok(())
    }

    /// Rows that are there from the last flush on, and for ever.
    fn pass(&self, changes: &ChangeBatch, passed: &UInt32Array, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let changes = changes.take(passed)?;
        let columns = self.spec.output.iter().map(|c| changes.column(*c).clone()).collect();
        let batch = self.batch(columns, changes.num_rows())?;
        ctx.emit(ChangeBatch::new(batch, changes.weights().clone())?)?;
        Ok(())
    }

    fn batch(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, OperatorError> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(self.output.clone(), columns, &options)?)
    }

    /// Brings what is out of rows to what is wanted now, and puts out the difference.
    fn settle(&mut self, slots: &[u32], now_ms: i64, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let (mut changed, mut weights, mut over) = (Vec::new(), Vec::new(), Vec::new());
        for slot in slots {
            let at = *slot as usize;
            if self.rows.weights[at] < 0 {
                return Err(self.rows.retraction(*slot));
            }
            let wanted = self.rows.wanted(*slot, now_ms);
            let difference = wanted - std::mem::replace(&mut self.rows.out[at], wanted);
            if difference != 0 {
                changed.push(*slot);
                weights.push(difference);
            }
            if self.rows.is_over(*slot, now_ms) {
                over.push(*slot);
            } else {
                self.rows.note_due(*slot, now_ms);
            }
        }
        for (slots, weights) in changed.chunks(BATCH_ROWS_MAX).zip(weights.chunks(BATCH_ROWS_MAX)) {
            let batch = self.batch(self.rows.columns(slots)?, slots.len())?;
            ctx.emit(ChangeBatch::new(batch, Weights::from_vec(weights.to_vec()))?)?;
        }
        self.rows.mark_dirty(slots);
        self.rows.remove(&over)?;
        self.rows.move_on(slots, now_ms)
    }
}

impl Operator for TemporalFilter {
    fn process(&mut self, _input: usize, changes: ChangeBatch, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let times = Times::of(&self.spec.bounds, &self.calendars, &changes)?;
        if self.spec.clock == Clock::Watermark {
            return self.hold(&changes, &times, ctx);
        }
        let (mut passed, mut kept) = (Vec::new(), Vec::new());
        for (at, (from, until)) in times.from.iter().zip(&times.until).enumerate() {
            // A row whose time is over was put out and taken back, if it was ever there.
            if from >= until || *until <= self.last.ms {
                continue;
            }
            let stays = *until == FOREVER && *from <= self.last.ms;
            if stays { &mut passed } else { &mut kept }.push(at as u32);
        }
        if !passed.is_empty() {
            self.pass(&changes, &UInt32Array::from(times.rows_of(&passed).into_owned()), ctx)?;
        }
        if !kept.is_empty() {
            self.keep(&changes, &times, &kept)?;
        }
        Ok(())
    }

    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let now_ms = self.now_ms(ctx);
        let mut touched = std::mem::take(&mut self.touched);
        touched.iter().for_each(|slot| self.is_touched[*slot as usize] = false);
        self.settle(&touched, now_ms, ctx)?;
        touched.clear();
        self.touched = touched;
        loop {
            let due = self.rows.take_due(now_ms);
            self.settle(&due, now_ms, ctx)?;
            if !self.rows.bring_in_span(now_ms)? {
                break;
            }
        }
        self.last.ms = now_ms;
        self.rows.settled(now_ms);
        if self.spec.clock == Clock::Wall
            && let Some(next) = self.rows.next_due()
        {
            ctx.is_due_at(next);
        }
        Ok(())
    }

    fn tables(&mut self) -> Vec<&mut dyn Table> {
        vec![&mut self.rows, &mut self.last]
    }
}
