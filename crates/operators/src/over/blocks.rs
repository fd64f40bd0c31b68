//! Aggregates of runs of rows, for many runs that overlap.
//!
//! The entries of a list are cut into blocks of 2, of 4, of 8, …, counted from the list's first entry. Each block is
//! aggregated once, by merging the two halves of it. A run `[start, end)` is then put together of blocks that do not
//! overlap, at most two of each size: with `l` and `r` the numbers of the first block and of the block after the last at a size,
//! an odd `l` and an odd `r - 1`… are taken, and what is left is looked at in blocks twice as large. Nothing is ever taken back,
//! so that accumulators for rows that are only inserted do. All blocks of one size, and all runs together, are
//! one call of an accumulator each.
//!
//! Blocks are counted from the list's beginning so that a result depends on the rows of the list alone.

use super::entries::Entries;
use super::frames::Frames;
use crate::OperatorError;
use arrow::array::{ArrayRef, BooleanArray, UInt32Array};
use arrow::compute::take;
use eddyline_changes::Weights;
use eddyline_functions::aggregate::GroupedAccumulator;

/// Runs that are aggregated at a time, and rows that are accumulated at a time, about.
const RUNS_MAX: usize = 8192;
/// Runs that hold so many times the rows that there are, are put together of blocks.
const OVERLAP_MIN: usize = 4;

/// What is aggregated: arguments, filter and weights by entry.
pub(super) struct Input {
    pub(super) args: Vec<ArrayRef>,
    pub(super) filter: Option<BooleanArray>,
    pub(super) weights: Weights,
}

impl Input {
    fn accumulate(
        &self,
        accumulator: &mut dyn GroupedAccumulator,
        slots: &[u32],
        entries: &UInt32Array,
    ) -> Result<(), OperatorError> {
        let args = self.args.iter().map(|a| take(a, entries, None)).collect::<Result<Vec<_>, _>>()?;
        let filter = match &self.filter {
            Some(filter) => Some(BooleanArray::from(take(filter, entries, None)?.to_data())),
            None => None,
        };
        let weights = match self.weights.per_row() {
            Some(weights) => Weights::from_vec(entries.values().iter().map(|e| weights[*e as usize]).collect()),
            None => Weights::AllInserts,
        };
        Ok(accumulator.accumulate(slots, &args, &weights, filter.as_ref())?)
    }
}

/// The blocks of one size.
struct Level {
    /// What they hold, as exact partials.
    partials: Vec<ArrayRef>,
    /// By list, its first block.
    first: Vec<u32>,
}

/// Rows and blocks that go into the slots of an accumulator.
#[derive(Default)]
struct Parts {
    slots: Vec<u32>,
    parts: Vec<u32>,
}

impl Parts {
    fn push(&mut self, slot: u32, part: u32) {
        self.slots.push(slot);
        self.parts.push(part);
    }

    fn clear(&mut self) {
        self.slots.clear();
        self.parts.clear();
    }

    fn taken(&self) -> UInt32Array {
        UInt32Array::from(self.parts.clone())
    }
}

/// The results of all frames. The accumulator is for rows that are only inserted, and may hold anything.
pub(super) fn results(
    accumulator: &mut dyn GroupedAccumulator,
    input: &Input,
    entries: &Entries,
    frames: &Frames,
) -> Result<Vec<ArrayRef>, OperatorError> {
    let length = |(start, end): &(u32, u32)| (end - start) as usize;
    let rows: usize = frames.frames.iter().map(length).sum();
    if rows <= entries.len().saturating_mul(OVERLAP_MIN) {
        return direct(accumulator, input, frames, |_, _| true);
    }
    let longest = frames.frames.iter().map(length).max().unwrap_or_default();
    let levels = levels(accumulator, input, entries, longest)?;
    let list_of = list_numbers(entries, frames);
    let mut results = Vec::new();
    let mut parts: Vec<Parts> = (0..=levels.len()).map(|_| Parts::default()).collect();
    for from in (0..frames.frames.len()).step_by(RUNS_MAX) {
        let to = frames.frames.len().min(from + RUNS_MAX);
        let runs = frames.frames[from..to].iter().zip(&frames.bases[from..to]).zip(&list_of[from..to]);
        for (slot, ((run, base), list)) in runs.enumerate() {
            let (mut l, mut r) = (run.0 - base, run.1 - base);
            let slot = slot as u32;
            for (level, parts) in parts.iter_mut().enumerate() {
                let first = if level == 0 { *base } else { levels[level - 1].first[*list as usize] };
                if l < r && l % 2 == 1 {
                    parts.push(slot, first + l);
                    l += 1;
                }
                if l < r && r % 2 == 1 {
                    r -= 1;
                    parts.push(slot, first + r);
                }
                (l, r) = (l / 2, r / 2);
            }
        }
        accumulator.resize(0);
        accumulator.resize(to - from);
        for (level, parts) in parts.iter_mut().enumerate() {
            match level.checked_sub(1) {
                None => input.accumulate(accumulator, &parts.slots, &parts.taken())?,
                Some(level) => {
                    let taken = parts.taken();
                    let partials = &levels[level].partials;
                    let partials = partials.iter().map(|p| take(p, &taken, None)).collect::<Result<Vec<_>, _>>()?;
                    accumulator.merge_exact(&parts.slots, &partials)?;
                }
            }
            parts.clear();
        }
        results.push(accumulator.evaluate(&(0..(to - from) as u32).collect::<Vec<_>>())?);
    }
    Ok(results)
}

/// The results of all frames, each from its rows for which `counts(frame, row)` is true.
pub(super) fn direct(
    accumulator: &mut dyn GroupedAccumulator,
    input: &Input,
    frames: &Frames,
    counts: impl Fn((u32, u32), u32) -> bool,
) -> Result<Vec<ArrayRef>, OperatorError> {
    let mut results = Vec::new();
    let mut parts = Parts::default();
    for runs in frames.frames.chunks(RUNS_MAX) {
        accumulator.resize(0);
        accumulator.resize(runs.len());
        for (slot, run) in runs.iter().enumerate() {
            for entry in (run.0..run.1).filter(|e| counts(*run, *e)) {
                parts.push(slot as u32, entry);
            }
            if parts.slots.len() >= RUNS_MAX {
                input.accumulate(accumulator, &parts.slots, &parts.taken())?;
                parts.clear();
            }
        }
        input.accumulate(accumulator, &parts.slots, &parts.taken())?;
        parts.clear();
        results.push(accumulator.evaluate(&(0..runs.len() as u32).collect::<Vec<_>>())?);
    }
    Ok(results)
}

/// All blocks that runs of up to `longest` entries are put together of, from those of 2 on.
fn levels(
    accumulator: &mut dyn GroupedAccumulator,
    input: &Input,
    entries: &Entries,
    longest: usize,
) -> Result<Vec<Level>, OperatorError> {
    let mut levels: Vec<Level> = Vec::new();
    let mut parts = Parts::default();
    for level in 1..=longest.max(1).ilog2() {
        let mut first = Vec::new();
        let mut blocks = 0;
        for (at, list) in entries.lists().enumerate() {
            first.push(blocks);
            let own = (list.end - list.start) >> level;
            let half = levels.last().map_or(list.start, |below| below.first[at]);
            for block in 0..own {
                parts.push(blocks + block, half + 2 * block);
                parts.push(blocks + block, half + 2 * block + 1);
            }
            blocks += own;
        }
        accumulator.resize(0);
        accumulator.resize(blocks as usize);
        match levels.last() {
            None => input.accumulate(accumulator, &parts.slots, &parts.taken())?,
            Some(below) => {
                let taken = parts.taken();
                let halves = below.partials.iter().map(|p| take(p, &taken, None)).collect::<Result<Vec<_>, _>>()?;
                accumulator.merge_exact(&parts.slots, &halves)?;
            }
        }
        parts.clear();
        let partials = accumulator.exact_partials(&(0..blocks).collect::<Vec<_>>())?;
        levels.push(Level { partials, first });
    }
    Ok(levels)
}

/// By frame, the number of its list.
fn list_numbers(entries: &Entries, frames: &Frames) -> Vec<u32> {
    let mut lists = entries.lists().enumerate().peekable();
    let mut number = |base: u32| {
        // Lists may be empty, and no frame is in them.
        while lists.peek().is_some_and(|(_, list)| list.end <= base) {
            lists.next();
        }
        lists.peek().map_or(0, |(at, _)| *at as u32)
    };
    frames.bases.iter().map(|base| number(*base)).collect()
}
