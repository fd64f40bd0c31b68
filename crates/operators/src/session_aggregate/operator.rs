//! Both ways in which sessions come out.

use super::NAME;
use super::state::{Session, Sessions};
use crate::aggregation::{BATCH_ROWS_MAX, concat_pieces, equal_rows};
use crate::closed::Closed;
use crate::event_time::{session_millis, span_columns};
use crate::{Context, Operator, OperatorError, Rejected};
use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch};
use arrow::compute::{interleave, is_not_null};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use eddyline_changes::{ChangeBatch, Watermark, Weights};
use eddyline_plan::SessionAggregateSpec;
use eddyline_state::{Store, Table};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What both know of their input and output.
struct Rows {
    gap_ms: i64,
    time: usize,
    time_type: DataType,
    output: SchemaRef,
}

impl Rows {
    fn new(spec: &SessionAggregateSpec, output: &SchemaRef) -> Self {
        Self { gap_ms: spec.gap_ms, time: spec.time, time_type: spec.time_type.clone(), output: output.clone() }
    }

    /// The rows that have a time, and their times in milliseconds.
    fn timed(&self, changes: ChangeBatch, ctx: &mut Context<'_>) -> Result<(ChangeBatch, Int64Array), OperatorError> {
        let time = changes.column(self.time);
        let nulls = time.null_count();
        ctx.reject(Rejected::NullTime, nulls as u64);
        let changes = if nulls > 0 { changes.filter(&is_not_null(time)?)? } else { changes };
        let times = session_millis(NAME, self.gap_ms, changes.column(self.time))?;
        Ok((changes, times))
    }

    /// Rows of the output: keys, results, and where sessions begin and end.
    fn batch(
        &self,
        mut columns: Vec<ArrayRef>,
        results: Vec<ArrayRef>,
        spans: impl Iterator<Item = (i64, i64)>,
    ) -> Result<RecordBatch, OperatorError> {
        columns.extend(results);
        let (starts, ends) = spans.unzip();
        columns.extend(span_columns(&self.time_type, starts, ends));
        Ok(RecordBatch::try_new(self.output.clone(), columns)?)
    }
}

/// Sessions that come out when the watermark has passed them.
pub(super) struct Closing {
    rows: Rows,
    sessions: Sessions,
    closed: Closed,
    due: Due,
}

/// When sessions are to be looked at: they do not close before.
#[derive(Default)]
struct Due {
    /// By session; `i64::MAX`: never.
    at: Vec<i64>,
    /// Of what was noted earlier, something may stand here still.
    first: BinaryHeap<Reverse<(i64, u32)>>,
}

impl Due {
    fn make_room(&mut self, sessions: usize) {
        self.at.resize(self.at.len().max(sessions), i64::MAX);
    }

    fn set(&mut self, session: u32, time: i64) {
        self.at[session as usize] = time;
        self.first.push(Reverse((time, session)));
    }

    /// Takes out a session that is due.
    fn take(&mut self, watermark: i64) -> Option<u32> {
        while let Some(Reverse((time, session))) = self.first.peek().copied().filter(|next| next.0.0 <= watermark) {
            self.first.pop();
            if self.at[session as usize] == time {
                self.at[session as usize] = i64::MAX;
                return Some(session);
            }
        }
        None
    }
}

impl Closing {
    pub(super) fn open(
        spec: &SessionAggregateSpec,
        input: &Schema,
        output: &SchemaRef,
        store: &Store,
    ) -> Result<Self, OperatorError> {
        let sessions = Sessions::open(spec, input, store)?;
        let mut due = Due::default();
        due.make_room(sessions.lists.room());
        sessions.all().into_iter().for_each(|at| due.set(at, sessions.lists.end(at) - 1));
        Ok(Self { rows: Rows::new(spec, output), sessions, closed: Closed::open(store)?, due })
    }

    /// Puts out sessions, in the order of their ends.
    fn emit(&self, mut closing: Vec<u32>, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let lists = &self.sessions.lists;
        closing.sort_unstable_by_key(|at| (lists.end(*at), lists.session(*at).first));
        for closing in closing.chunks(BATCH_ROWS_MAX) {
            let spans = closing.iter().map(|at| (lists.session(*at).first, lists.end(*at)));
            let rows = self.rows.batch(self.sessions.keys_of(closing)?, lists.calls.evaluate(closing)?, spans)?;
            ctx.emit(ChangeBatch::inserts(rows))?;
        }
        Ok(())
    }
}

impl Operator for Closing {
    fn process(&mut self, _input: usize, changes: ChangeBatch, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let (changes, times) = self.rows.timed(changes, ctx)?;
        self.sessions.place(&changes, times.values(), &mut |_, _, _| ())?;
        self.due.make_room(self.sessions.lists.room());
        for at in self.sessions.placed() {
            if self.due.at[*at as usize] == i64::MAX {
                self.due.set(*at, self.sessions.lists.end(*at) - 1);
            }
        }
        let gone = self.sessions.add(&changes)?;
        gone.iter().for_each(|at| self.due.at[*at as usize] = i64::MAX);
        self.sessions.lists.release(&gone);
        Ok(())
    }

    fn advance(&mut self, watermark: Watermark, ctx: &mut Context<'_>) -> Result<Watermark, OperatorError> {
        let (mut closing, mut gone, mut late) = (Vec::new(), Vec::new(), 0);
        while let Some(at) = self.due.take(watermark.0) {
            let last = self.sessions.lists.end(at) - 1;
            if last > watermark.0 {
                self.due.set(at, last);
                continue;
            }
            match last > self.closed.watermark {
                true => closing.push(at),
                false => late += self.sessions.lists.rows[at as usize].unsigned_abs(),
            }
            gone.push(at);
        }
        ctx.reject(Rejected::Late, late);
        self.emit(closing, ctx)?;
        self.sessions.remove(&gone)?;
        self.closed.watermark = self.closed.watermark.max(watermark.0);
        Ok(watermark)
    }

    fn tables(&mut self) -> Vec<&mut dyn Table> {
        vec![&mut self.sessions, &mut self.closed]
    }
}

/// Sessions that come out at once and are corrected.
pub(super) struct Updating {
    rows: Rows,
    sessions: Sessions,
    touched: Touched,
}

/// The sessions that changed in this epoch, in the order in which they did first.
#[derive(Default)]
struct Touched {
    all: Vec<One>,
    /// By session, one more than its place in `all`; 0: not touched.
    at: Vec<u32>,
    /// The results that are out, of those of `all` that have any, in pieces.
    before: Vec<Vec<ArrayRef>>,
}

/// A session that changed.
struct One {
    session: u32,
    /// The slot of its key.
    key: u32,
    /// From where to where it went as it is out.
    was: Option<(i64, i64)>,
    /// It has not become a part of another one.
    is_there: bool,
}

impl Touched {
    fn touch(&mut self, at: u32, session: &Session, is_new: bool, gap_ms: i64) {
        if self.at.len() <= at as usize {
            self.at.resize(at as usize + 1, 0);
        }
        if self.at[at as usize] == 0 {
            let was = (!is_new).then_some((session.first, session.last + gap_ms));
            self.all.push(One { session: at, key: session.key, was, is_there: true });
            self.at[at as usize] = self.all.len() as u32;
        }
    }

    fn has(&self, session: u32) -> bool {
        self.at.get(session as usize).is_some_and(|at| *at > 0)
    }

    /// A session has become a part of another one; its number may be given to a new one.
    fn bury(&mut self, session: u32) {
        let at = std::mem::take(&mut self.at[session as usize]) as usize;
        self.all[at - 1].is_there = false;
    }

    fn clear(&mut self) {
        self.all.iter().filter(|one| one.is_there).for_each(|one| self.at[one.session as usize] = 0);
        self.all.clear();
        self.before.clear();
    }
}

impl Updating {
    pub(super) fn open(
        spec: &SessionAggregateSpec,
        input: &Schema,
        output: &SchemaRef,
        store: &Store,
        ttl_ms: Option<u64>,
    ) -> Result<Self, OperatorError> {
        let mut sessions = Sessions::open(spec, input, store)?;
        if let Some(ttl_ms) = ttl_ms {
            sessions.table.forget_after(ttl_ms);
        }
        Ok(Self { rows: Rows::new(spec, output), sessions, touched: Touched::default() })
    }

    /// Forgets the keys to which no row came for the time to live; nothing is put out.
    fn forget_idle(&mut self, now_ms: i64) -> Result<(), OperatorError> {
        let Sessions { table, lists, .. } = &mut self.sessions;
        let gone = table.take_idle(now_ms, |key| lists.of(key).any(|at| self.touched.has(at)));
        self.sessions.forget(&gone)
    }

    /// What is different of the sessions that changed.
    fn changes(&self) -> Result<ChangeBatch, OperatorError> {
        let (touched, lists) = (&self.touched, &self.sessions.lists);
        let there: Vec<u32> = touched.all.iter().filter(|one| one.is_there).map(|one| one.session).collect();
        let old = concat_pieces(&touched.before)?;
        let new = lists.calls.evaluate(&there)?;
        let (mut was, mut is, mut pairs) = (0, 0, Vec::new());
        for one in &touched.all {
            if one.was.is_some() && one.is_there {
                pairs.push((was, is));
            }
            (was, is) = (was + u32::from(one.was.is_some()), is + u32::from(one.is_there));
        }
        let same = equal_rows(&old, &new, &pairs)?;
        let (mut keys, mut picks, mut spans, mut weights) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut was, mut is, mut pair) = (0, 0, 0);
        for one in &touched.all {
            let span = one.is_there.then(|| (lists.session(one.session).first, lists.end(one.session)));
            let is_pair = one.was.is_some() && one.is_there;
            let stays = is_pair && one.was == span && same.value(pair);
            pair += usize::from(is_pair);
            let sides = [one.was.map(|span| ((0, was), span, -1)), span.map(|span| ((1, is), span, 1))];
            for (pick, span, weight) in sides.into_iter().flatten().filter(|_| !stays) {
                keys.push(one.key);
                picks.push(pick);
                spans.push(span);
                weights.push(weight);
            }
            (was, is) = (was + usize::from(one.was.is_some()), is + usize::from(one.is_there));
        }
        let result = |(call, new): (usize, &ArrayRef)| {
            let old = old.get(call).unwrap_or(new);
            interleave(&[old.as_ref(), new.as_ref()], &picks)
        };
        let results = new.iter().enumerate().map(result).collect::<Result<Vec<_>, _>>()?;
        let rows = self.rows.batch(self.sessions.table.keys(&keys)?, results, spans.into_iter())?;
        Ok(ChangeBatch::new(rows, Weights::from_vec(weights))?)
    }
}

impl Operator for Updating {
    fn process(&mut self, _input: usize, changes: ChangeBatch, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let now_ms = ctx.moment().wall_ms;
        self.forget_idle(now_ms)?;
        let (changes, times) = self.rows.timed(changes, ctx)?;
        let (touched, gap_ms) = (&mut self.touched, self.rows.gap_ms);
        let from = touched.all.len();
        let touch = &mut |at: u32, session: &Session, is_new| touched.touch(at, session, is_new, gap_ms);
        self.sessions.place(&changes, times.values(), touch)?;
        self.sessions.touch(now_ms);
        let out: Vec<u32> = touched.all[from..].iter().filter(|one| one.was.is_some()).map(|one| one.session).collect();
        if !out.is_empty() {
            touched.before.push(self.sessions.lists.calls.evaluate(&out)?);
        }
        let gone = self.sessions.add(&changes)?;
        gone.iter().for_each(|at| self.touched.bury(*at));
        self.sessions.lists.release(&gone);
        Ok(())
    }

    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        self.forget_idle(ctx.moment().wall_ms)?;
        if self.touched.all.is_empty() {
            return Ok(());
        }
        let changes = self.changes()?;
        for from in (0..changes.num_rows()).step_by(BATCH_ROWS_MAX) {
            ctx.emit(changes.slice(from, BATCH_ROWS_MAX.min(changes.num_rows() - from)))?;
        }
        self.touched.clear();
        Ok(())
    }

    fn tables(&mut self) -> Vec<&mut dyn Table> {
        vec![&mut self.sessions]
    }
}
