use super::state::{Groups, open_sets, set_calls, types};
use crate::aggregation::{
    BATCH_ROWS_MAX, CountedSet, add_counts, add_weights, call_weights, columns, concat_pieces, equal_rows,
    not_null_rows, retraction,
};
use crate::{Context, Operator, OperatorError};
use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{interleave, take};
use arrow::datatypes::{Int64Type, SchemaRef};
use eddyline_changes::hash::{combine, hash_columns};
use eddyline_changes::{ChangeBatch, Weights};
use eddyline_functions::aggregate::AggregateError;
use eddyline_plan::{AggregatePhase, GroupAggregateSpec};
use eddyline_state::{Store, Table};

const NAME: &str = "GroupAggregate";

/// The phases `Single` and `Global`.
pub(super) struct GroupAggregate {
    spec: GroupAggregateSpec,
    output: SchemaRef,
    groups: Groups,
    sets: Vec<CountedSet>,
    /// For an aggregate without keys on the shard that owns it.
    global: Option<Global>,
    slots: Vec<u32>,
    touched: Touched,
}

/// The one group of an aggregate without keys.
struct Global {
    /// True when its row is out.
    emitted: bool,
}

/// The groups that changed in this epoch, in the order in which they were first touched.
#[derive(Default)]
struct Touched {
    is_touched: Vec<bool>,
    slots: Vec<u32>,
    /// By position in `slots`: whether the group's row is out.
    had: Vec<bool>,
    /// The results that are out, of those of `slots` that have any, in pieces.
    before: Vec<Vec<ArrayRef>>,
}

impl GroupAggregate {
    pub(super) fn open(
        spec: &GroupAggregateSpec,
        input: &SchemaRef,
        output: &SchemaRef,
        store: &Store,
        ttl_ms: Option<u64>,
    ) -> Result<Self, OperatorError> {
        let mut groups = Groups::open(spec, &types(input, &spec.keys), store)?;
        let mut sets = match spec.phase {
            AggregatePhase::Single => open_sets(spec, input, store)?,
            _ => Vec::new(),
        };
        if let Some(ttl_ms) = ttl_ms {
            groups.table.forget_after(ttl_ms);
            sets.iter_mut().for_each(|set| set.forget_after(ttl_ms));
        }
        let mut touched = Touched::default();
        let owned = store.owned().contains(&store.groups().group_of(0));
        let global = if spec.keys.is_empty() && owned { Some(open_global(&mut groups, &mut touched)?) } else { None };
        let (spec, output) = (spec.clone(), output.clone());
        Ok(Self { spec, output, groups, sets, global, slots: Vec::new(), touched })
    }

    /// Forgets the groups and values that were not touched for the time to live; nothing is put out.
    fn forget_idle(&mut self, now_ms: i64) -> Result<(), OperatorError> {
        let (groups, touched) = (&mut self.groups, &self.touched);
        let is_touched = |slot: u32| touched.is_touched.get(slot as usize).is_some_and(|t| *t);
        let gone = groups.table.take_idle(now_ms, is_touched);
        groups.remove(&gone)?;
        self.sets.iter_mut().try_for_each(|set| set.forget_idle(now_ms))
    }

    /// Of groups that may have been forgotten meanwhile: those of which more was taken back than there is are gone.
    fn bury(&self, alive: &mut [bool]) -> Result<(), OperatorError> {
        let result = self.groups.calls.evaluate(&pick(&self.touched.slots, alive));
        if !matches!(result, Err(OperatorError::Aggregate(AggregateError::Retraction { .. }))) {
            return Ok(());
        }
        for (alive, slot) in alive.iter_mut().zip(&self.touched.slots).filter(|(alive, _)| **alive) {
            match self.groups.calls.evaluate(&[*slot]) {
                Err(OperatorError::Aggregate(AggregateError::Retraction { .. })) => *alive = false,
                other => drop(other?),
            }
        }
        Ok(())
    }

    /// Notes which groups this batch touches first in the epoch, with their results as they are out.
    fn touch(&mut self, now_ms: i64) -> Result<(), OperatorError> {
        let (touched, groups) = (&mut self.touched, &mut self.groups);
        touched.is_touched.resize(groups.table.slots_max(), false);
        let from = touched.slots.len();
        for slot in &self.slots {
            if !std::mem::replace(&mut touched.is_touched[*slot as usize], true) {
                touched.slots.push(*slot);
            }
        }
        groups.table.touch(&touched.slots[from..], now_ms);
        let had = |slot: u32| self.global.as_ref().map_or(groups.rows[slot as usize] > 0, |g| g.emitted);
        let mut out = Vec::new();
        for slot in &touched.slots[from..] {
            let had = had(*slot);
            touched.had.push(had);
            if had {
                out.push(*slot);
            }
        }
        if !out.is_empty() {
            touched.before.push(groups.calls.evaluate(&out)?);
        }
        Ok(())
    }

    fn add_rows(&mut self, changes: &ChangeBatch, hashes: &[u64]) -> Result<(), OperatorError> {
        add_weights(&mut self.groups.rows, &self.slots, changes.weights());
        self.groups.calls.accumulate(&self.slots, changes)?;
        for (at, args) in self.spec.distinct_sets().iter().enumerate() {
            self.add_to_set(at, args, changes, hashes)?;
        }
        Ok(())
    }

    /// Counts the rows' values in set `at`; what comes and goes there is added to the calls over it.
    fn add_to_set(
        &mut self,
        at: usize,
        args: &[usize],
        changes: &ChangeBatch,
        hashes: &[u64],
    ) -> Result<(), OperatorError> {
        let (kept, rows) = match not_null_rows(changes, args) {
            None => (changes.clone(), None),
            Some(rows) => (changes.take(&rows)?, Some(rows)),
        };
        let origin = |row: u32| rows.as_ref().map_or(row, |r| r.value(row as usize)) as usize;
        let values = columns(&kept, args);
        let value_hashes = hash_columns(&values, kept.num_rows())?;
        let hashes: Vec<u64> =
            value_hashes.iter().enumerate().map(|(row, v)| combine(hashes[origin(row as u32)], *v)).collect();
        let keys = [columns(&kept, &self.spec.keys), values.clone()].concat();
        let calls: Vec<usize> = set_calls(&self.spec, args).collect();
        let weights = call_weights(&kept, calls.iter().map(|c| &self.spec.calls[*c]));
        let transitions = self.sets[at].count(&keys, &hashes, &weights)?;
        for (call, transitions) in calls.into_iter().zip(transitions).filter(|(_, t)| !t.rows.is_empty()) {
            let slots: Vec<u32> = transitions.rows.iter().map(|row| self.slots[origin(*row)]).collect();
            let moved = UInt32Array::from(transitions.rows);
            let args = values.iter().map(|v| take(v, &moved, None)).collect::<Result<Vec<_>, _>>()?;
            self.groups.calls.accumulate_distinct(call, &slots, &args, transitions.weights)?;
        }
        Ok(())
    }

    fn add_partials(&mut self, changes: &ChangeBatch) -> Result<(), OperatorError> {
        let keys = self.spec.keys.len();
        add_counts(&mut self.groups.rows, &self.slots, changes.column(keys).as_primitive::<Int64Type>().values());
        let partials = &changes.rows().columns()[keys + 1..][..self.groups.calls.partial_columns()];
        self.groups.calls.merge(&self.slots, partials)
    }

    /// Was nothing taken back that was not there?
    fn check(&self) -> Result<(), OperatorError> {
        let rows = &self.groups.rows;
        if let Some(slot) = self.touched.slots.iter().find(|s| rows[**s as usize] < 0) {
            return Err(retraction(NAME, &self.groups.table.keys(&[*slot])?));
        }
        let empty: Vec<u32> = self.touched.slots.iter().copied().filter(|s| rows[*s as usize] == 0).collect();
        match self.groups.calls.not_empty(&empty)? {
            Some(slot) => Err(retraction(NAME, &self.groups.table.keys(&[slot])?)),
            None => Ok(()),
        }
    }

    /// What is to be emitted for the touched groups.
    fn changes(&self, alive: &[bool]) -> Result<ChangeBatch, OperatorError> {
        let touched = &self.touched;
        let new_slots = pick(&touched.slots, alive);
        let old = concat_pieces(&touched.before)?;
        let new = self.groups.calls.evaluate(&new_slots)?;
        let both: Vec<(u32, u32)> =
            positions(&touched.had, alive).filter_map(|(old, new)| Some((old?, new?))).collect();
        let same = equal_rows(&old, &new, &both)?;
        let mut out = Emission::default();
        let mut pair = 0;
        for ((old, new), slot) in positions(&touched.had, alive).zip(&touched.slots) {
            if old.is_some() && new.is_some() {
                pair += 1;
                if same.value(pair - 1) {
                    continue;
                }
            }
            if let Some(old) = old {
                out.push(*slot, (0, old as usize), -1);
            }
            if let Some(new) = new {
                out.push(*slot, (1, new as usize), 1);
            }
        }
        let mut columns = self.groups.table.keys(&out.slots)?;
        for (call, new) in new.iter().enumerate() {
            let old = old.get(call).unwrap_or(new);
            columns.push(interleave(&[old.as_ref(), new.as_ref()], &out.picks)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(out.slots.len()));
        let rows = RecordBatch::try_new_with_options(self.output.clone(), columns, &options)?;
        Ok(ChangeBatch::new(rows, Weights::from_vec(out.weights))?)
    }
}

/// Rows to emit: the group, where its results are (side 0: as they were, 1: as they are), the weight.
#[derive(Default)]
struct Emission {
    slots: Vec<u32>,
    picks: Vec<(usize, usize)>,
    weights: Vec<i64>,
}

impl Emission {
    fn push(&mut self, slot: u32, pick: (usize, usize), weight: i64) {
        self.slots.push(slot);
        self.picks.push(pick);
        self.weights.push(weight);
    }
}

fn open_global(groups: &mut Groups, touched: &mut Touched) -> Result<Global, OperatorError> {
    let (rows, mut slots, mut stored) = (&mut groups.rows, Vec::new(), None);
    groups.table.lookup(&[], &[0], &mut slots, &mut |_, bytes| {
        stored = Some(bytes.to_vec());
        Ok(())
    })?;
    rows.resize(1, 0);
    groups.calls.resize(1);
    match stored {
        Some(bytes) => {
            groups.load(0, &bytes)?;
            Ok(Global { emitted: true })
        }
        None => {
            *touched = Touched { is_touched: vec![true], slots: vec![0], had: vec![false], before: Vec::new() };
            Ok(Global { emitted: false })
        }
    }
}

impl Operator for GroupAggregate {
    fn process(&mut self, _input: usize, changes: ChangeBatch, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let now_ms = ctx.moment().wall_ms;
        self.forget_idle(now_ms)?;
        let hashes = changes.key_hashes(&self.spec.keys)?;
        let mut slots = std::mem::take(&mut self.slots);
        self.groups.lookup(&columns(&changes, &self.spec.keys), &hashes, &mut slots)?;
        self.slots = slots;
        self.touch(now_ms)?;
        match self.spec.phase {
            AggregatePhase::Single => self.add_rows(&changes, &hashes),
            _ => self.add_partials(&changes),
        }
    }

    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        self.forget_idle(ctx.moment().wall_ms)?;
        if self.touched.slots.is_empty() {
            return Ok(());
        }
        if !self.groups.table.forgets() {
            self.check()?;
        }
        for set in &mut self.sets {
            set.flush(NAME)?;
        }
        let (is_global, rows) = (self.global.is_some(), &self.groups.rows);
        let mut alive: Vec<bool> = self.touched.slots.iter().map(|s| is_global || rows[*s as usize] > 0).collect();
        if self.groups.table.forgets() {
            self.bury(&mut alive)?;
        }
        let changes = self.changes(&alive)?;
        for from in (0..changes.num_rows()).step_by(BATCH_ROWS_MAX) {
            ctx.emit(changes.slice(from, BATCH_ROWS_MAX.min(changes.num_rows() - from)))?;
        }
        let dead: Vec<bool> = alive.iter().map(|a| !a).collect();
        self.groups.table.mark_dirty(&self.touched.slots);
        self.groups.remove(&pick(&self.touched.slots, &dead))?;
        self.touched.clear();
        if let Some(global) = &mut self.global {
            global.emitted = true;
        }
        Ok(())
    }

    fn tables(&mut self) -> Vec<&mut dyn Table> {
        let sets = self.sets.iter_mut().map(|s| s as &mut dyn Table);
        std::iter::once(&mut self.groups as &mut dyn Table).chain(sets).collect()
    }
}

impl Touched {
    fn clear(&mut self) {
        self.slots.iter().for_each(|s| self.is_touched[*s as usize] = false);
        self.slots.clear();
        self.had.clear();
        self.before.clear();
    }
}

/// Those of `slots` that are wanted.
fn pick(slots: &[u32], wanted: &[bool]) -> Vec<u32> {
    slots.iter().zip(wanted).filter(|(_, w)| **w).map(|(s, _)| *s).collect()
}

/// For every touched group, where its old and its new results are among the old and among the new ones.
fn positions(had: &[bool], alive: &[bool]) -> impl Iterator<Item = (Option<u32>, Option<u32>)> {
    let (mut old, mut new) = (0, 0);
    let next = |at: &mut u32, there: bool| {
        let found = there.then_some(*at);
        *at += u32::from(there);
        found
    };
    had.iter().zip(alive).map(move |(had, alive)| (next(&mut old, *had), next(&mut new, *alive)))
}
