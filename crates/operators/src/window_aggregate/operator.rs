use super::NAME;
use super::combine::Combined;
use super::state::{SliceSet, Slices, slice_hash, types};
use crate::aggregation::{
    BATCH_ROWS_MAX, Calls, add_counts, add_weights, call_weights, columns, not_null_rows, retraction,
};
use crate::closed::Closed;
use crate::event_time::{window_columns, window_millis};
use crate::{Context, Operator, OperatorError, Rejected};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{Int64Type, SchemaRef};
use eddyline_changes::{ChangeBatch, Watermark, Weights};
use eddyline_plan::{AggregatePhase, Window, WindowAggregateSpec};
use eddyline_state::{Store, Table};

/// The phases `Single` and `Global`.
pub(super) struct WindowAggregate {
    spec: WindowAggregateSpec,
    output: SchemaRef,
    slices: Slices,
    sets: Vec<SliceSet>,
    /// Where windows of several slices are put together; `None` where a window is one slice.
    combined: Option<Combined>,
    closed: Closed,
    /// Slots from which rows were taken back in this epoch.
    taken_from: Vec<u32>,
}

impl WindowAggregate {
    pub(super) fn open(
        spec: &WindowAggregateSpec,
        input: &SchemaRef,
        output: &SchemaRef,
        store: &Store,
    ) -> Result<Self, OperatorError> {
        let keys = types(input, &spec.keys);
        let sets = match spec.phase {
            AggregatePhase::Single => SliceSet::open_all(spec, input, store)?,
            _ => Vec::new(),
        };
        let one_slice = spec.window.slice_ms() == spec.window.size_ms();
        Ok(Self {
            slices: Slices::open(spec, &keys, store)?,
            combined: if one_slice { None } else { Some(Combined::new(spec, &keys, &sets)?) },
            sets,
            closed: Closed::open(store)?,
            spec: spec.clone(),
            output: output.clone(),
            taken_from: Vec::new(),
        })
    }

    /// The rows that some open window takes and their slices; rejects the others.
    fn admit(&self, changes: ChangeBatch, ctx: &mut Context<'_>) -> Result<(ChangeBatch, Vec<i64>), OperatorError> {
        let is_rows = self.spec.phase == AggregatePhase::Single;
        let times = match is_rows {
            true => window_millis(NAME, &self.spec.window, changes.column(self.spec.time))?,
            false => changes.column(self.spec.keys.len()).as_primitive::<Int64Type>().clone(),
        };
        let mut admission = Admission::new(self.spec.window, self.closed.watermark);
        let slices: Vec<i64> = times.values().iter().map(|t| admission.slice_of(*t)).collect();
        if times.null_count() == 0 && admission.all_open {
            return Ok((changes, slices));
        }
        let (mut kept, mut late, mut null) = (Vec::new(), 0, 0);
        for (row, slice) in slices.iter().enumerate() {
            match (times.is_null(row), state_of(&self.spec.window, *slice, self.closed.watermark)) {
                (true, _) => null += 1,
                (_, SliceState::Open) => kept.push(row as u32),
                (_, SliceState::Closed) => late += self.rows_of(&changes, row).unsigned_abs(),
                (_, SliceState::Uncovered) => {}
            }
        }
        ctx.reject(Rejected::NullTime, null);
        ctx.reject(Rejected::Late, late);
        let slices = kept.iter().map(|row| slices[*row as usize]).collect();
        Ok((changes.take(&UInt32Array::from(kept))?, slices))
    }

    /// How many input rows a row stands for.
    fn rows_of(&self, changes: &ChangeBatch, row: usize) -> i64 {
        match self.spec.phase {
            AggregatePhase::Single => changes.weights().at(row),
            _ => changes.column(self.spec.keys.len() + 1).as_primitive::<Int64Type>().value(row),
        }
    }

    fn add_rows(&mut self, changes: &ChangeBatch, slices: &[i64], hashes: &[u64]) -> Result<(), OperatorError> {
        let (slots, rows, calls) = self.slices.looked_up();
        add_weights(rows, slots, changes.weights());
        calls.accumulate(slots, changes)?;
        if let Weights::PerRow(w) = changes.weights() {
            self.taken_from.extend(slots.iter().zip(w.iter()).filter(|(_, w)| **w < 0).map(|(s, _)| *s));
        }
        for set in &mut self.sets {
            add_to_set(&self.spec, set, &mut self.slices, self.combined.is_none(), changes, slices, hashes)?;
        }
        Ok(())
    }

    fn add_partials(&mut self, changes: &ChangeBatch) -> Result<(), OperatorError> {
        let keys = self.spec.keys.len();
        let (slots, rows, calls) = self.slices.looked_up();
        let counts = changes.column(keys + 1).as_primitive::<Int64Type>().values();
        add_counts(rows, slots, counts);
        self.taken_from.extend(slots.iter().zip(counts).filter(|(_, w)| **w < 0).map(|(s, _)| *s));
        let partials = &changes.rows().columns()[keys + 2..][..calls.partial_columns()];
        calls.merge(slots, partials)
    }

    /// Closes all windows that `watermark` has passed.
    fn close(&mut self, watermark: i64, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        while let Some(first) = self.first_slice() {
            let window = self.spec.window;
            let size = window.size_ms();
            let open = window.starts_of(first).find(|start| start + size - 1 > self.closed.watermark);
            let Some(start) = open else {
                // Only what was stored by another version of the query.
                self.remove_slice(first)?;
                continue;
            };
            let end = start + size;
            if end - 1 > watermark {
                break;
            }
            self.emit_window(start, end, ctx)?;
            self.closed.watermark = end - 1;
            while let Some(slice) = self.first_slice()
                && !matches!(state_of(&window, slice, self.closed.watermark), SliceState::Open)
            {
                self.remove_slice(slice)?;
            }
        }
        self.closed.watermark = self.closed.watermark.max(watermark);
        Ok(())
    }

    fn first_slice(&self) -> Option<i64> {
        self.slices.first()
    }

    fn remove_slice(&mut self, slice: i64) -> Result<(), OperatorError> {
        self.slices.remove_slice(slice, !self.taken_from.is_empty())?;
        self.sets.iter_mut().try_for_each(|s| s.remove_slice(slice))
    }

    fn emit_window(&mut self, start: i64, end: i64, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let Self { spec, output, slices, sets, combined, .. } = self;
        slices.bring_in(start, end)?;
        if let Some(window) = combined {
            sets.iter_mut().try_for_each(|set| set.bring_in(start, end))?;
            window.fill(slices, sets, start, end)?;
        }
        let combined = combined.as_ref();
        let (slots, rows, calls): (Vec<u32>, &[i64], &Calls) = match combined {
            Some(window) => (window.table.slots(), &window.rows, &window.calls),
            None => {
                let slots = slices.by_slice.range(start, end).flat_map(|(_, slots)| slots.iter().copied());
                (slots.collect(), &slices.rows, &slices.calls)
            }
        };
        let keys_of = |slots: &[u32]| -> Result<Vec<ArrayRef>, OperatorError> {
            match combined {
                Some(window) => Ok(window.table.keys(slots)?),
                None => slices.keys(slots),
            }
        };
        if let Some(slot) = slots.iter().find(|s| rows[**s as usize] < 0) {
            return Err(retraction(NAME, &keys_of(&[*slot])?));
        }
        let alive: Vec<u32> = slots.iter().copied().filter(|s| rows[*s as usize] > 0).collect();
        for slots in alive.chunks(BATCH_ROWS_MAX) {
            let mut columns = keys_of(slots)?;
            columns.extend(calls.evaluate(slots)?);
            columns.extend(window_columns(&spec.time_type, spec.window.size_ms(), vec![start; slots.len()]));
            ctx.emit(ChangeBatch::inserts(RecordBatch::try_new(output.clone(), columns)?))?;
        }
        Ok(())
    }
}

/// Counts the rows' values; what comes and goes is added to the slices' accumulators where a window is one slice.
fn add_to_set(
    spec: &WindowAggregateSpec,
    set: &mut SliceSet,
    groups: &mut Slices,
    in_place: bool,
    changes: &ChangeBatch,
    slices: &[i64],
    hashes: &[u64],
) -> Result<(), OperatorError> {
    let rows = not_null_rows(changes, &set.args);
    let kept = match &rows {
        None => changes.clone(),
        Some(rows) => changes.take(rows)?,
    };
    let origin = |row: usize| rows.as_ref().map_or(row, |r| r.value(row) as usize);
    let slices: Vec<i64> = (0..kept.num_rows()).map(|row| slices[origin(row)]).collect();
    let hashes: Vec<u64> = (0..kept.num_rows()).map(|row| slice_hash(hashes[origin(row)], slices[row])).collect();
    let values = columns(&kept, &set.args);
    let weights = call_weights(&kept, set.calls.iter().map(|c| &spec.calls[*c]));
    let transitions = set.count(&columns(&kept, &spec.keys), &slices, &values, &hashes, &weights)?;
    if !in_place {
        return Ok(());
    }
    let (all_slots, _, calls) = groups.looked_up();
    for (call, transitions) in set.calls.iter().zip(transitions).filter(|(_, t)| !t.rows.is_empty()) {
        let slots: Vec<u32> = transitions.rows.iter().map(|row| all_slots[origin(*row as usize)]).collect();
        let moved = UInt32Array::from(transitions.rows);
        let args = values.iter().map(|v| take(v, &moved, None)).collect::<Result<Vec<_>, _>>()?;
        calls.accumulate_distinct(*call, &slots, &args, transitions.weights)?;
    }
    Ok(())
}

/// What the windows over a slice say of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SliceState {
    /// Some window over it is still open.
    Open,
    /// All are closed: its rows are late.
    Closed,
    /// There is none: the slice lies between windows.
    Uncovered,
}

fn state_of(window: &Window, slice: i64, watermark: i64) -> SliceState {
    match window.last_start_of(slice) {
        None => SliceState::Uncovered,
        Some(last) if last.wrapping_add(window.size_ms() - 1) > watermark => SliceState::Open,
        Some(_) => SliceState::Closed,
    }
}

/// Finds the slices of times, which mostly come in runs.
struct Admission {
    window: Window,
    watermark: i64,
    slice_ms: i64,
    current: i64,
    /// Whether all slices so far are open.
    all_open: bool,
}

impl Admission {
    fn new(window: Window, watermark: i64) -> Self {
        Self { window, watermark, slice_ms: window.slice_ms(), current: i64::MAX, all_open: true }
    }

    #[inline]
    fn slice_of(&mut self, time: i64) -> i64 {
        if time < self.current || time.wrapping_sub(self.current) as u64 >= self.slice_ms as u64 {
            self.current = self.window.slice_start(time);
            self.all_open &= state_of(&self.window, self.current, self.watermark) == SliceState::Open;
        }
        self.current
    }
}

impl Operator for WindowAggregate {
    fn process(&mut self, _input: usize, changes: ChangeBatch, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let (changes, slices) = self.admit(changes, ctx)?;
        if changes.is_empty() {
            return Ok(());
        }
        let hashes = changes.key_hashes(&self.spec.keys)?;
        self.slices.lookup(&columns(&changes, &self.spec.keys), &hashes, &slices)?;
        match self.spec.phase {
            AggregatePhase::Single => self.add_rows(&changes, &slices, &hashes),
            _ => self.add_partials(&changes),
        }
    }

    fn advance(&mut self, watermark: Watermark, ctx: &mut Context<'_>) -> Result<Watermark, OperatorError> {
        self.close(watermark.0, ctx)?;
        Ok(watermark)
    }

    fn flush(&mut self, _ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        self.sets.iter_mut().try_for_each(|s| s.flush(NAME))?;
        let mut touched = std::mem::take(&mut self.taken_from);
        touched.sort_unstable();
        touched.dedup();
        touched.retain(|s| self.slices.table.is_live(*s));
        self.slices.check(touched.iter().copied())?;
        touched.retain(|s| self.slices.rows[*s as usize] == 0);
        self.slices.remove(&touched)
    }

    fn tables(&mut self) -> Vec<&mut dyn Table> {
        let sets = self.sets.iter_mut().map(|s| s as &mut dyn Table);
        [&mut self.slices as &mut dyn Table, &mut self.closed].into_iter().chain(sets).collect()
    }
}
