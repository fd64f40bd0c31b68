//! Aggregates over frames.
//!
//! Most are put together of [`blocks`]. DISTINCT is not: whether a row counts depends on where the
//! frame begins. With every row goes the row before it that has the same value; it counts if that one is not in the
//! frame. Where all frames begin with their list that is the same for all of them, and a filter says it.

use super::blocks::{self, Input};
use super::entries::Entries;
use super::evaluate::Columns;
use super::frames::Frames;
use crate::OperatorError;
use crate::aggregation::accumulator_of;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, StringBuilder, UInt32Array};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Field};
use arrow::row::{RowConverter, SortField};
use eddyline_changes::Weights;
use eddyline_functions::aggregate::GroupedAccumulator;
use eddyline_plan::AggregateCall;
use hashbrown::HashMap;
use std::sync::Arc;

/// No entry.
const NONE: u32 = u32::MAX;

/// An aggregate, with an accumulator that is used again and again.
pub(super) struct Aggregate {
    call: AggregateCall,
    accumulator: Box<dyn GroupedAccumulator>,
}

impl Aggregate {
    pub(super) fn new(call: &AggregateCall) -> Result<Self, OperatorError> {
        Ok(Self { call: call.clone(), accumulator: accumulator_of(call, true)? })
    }

    /// The results by entry.
    pub(super) fn results(
        &mut self,
        entries: &Entries,
        frames: &Frames,
        columns: &Columns,
    ) -> Result<ArrayRef, OperatorError> {
        let rows = UInt32Array::from(entries.rows.clone());
        let of_entries = |column: usize| take(columns.get(column), &rows, None);
        let args = self.call.columns().map(of_entries).collect::<Result<Vec<_>, _>>()?;
        let filter = self.call.filter.map(of_entries).transpose()?.map(|f| f.as_boolean().clone());
        let weights = if entries.is_single || self.call.distinct {
            Weights::AllInserts
        } else {
            Weights::from_vec(entries.counts.clone())
        };
        let mut input = Input { args, filter, weights };
        let accumulator = self.accumulator.as_mut();
        let results = if self.call.distinct {
            let earlier = earlier(entries, &input)?;
            if frames.frames.iter().zip(&frames.bases).all(|((start, end), base)| start == base || start == end) {
                input.filter = Some(earlier.iter().map(|e| Some(*e == Some(NONE))).collect());
                blocks::results(accumulator, &input, entries, frames)?
            } else {
                input.filter = None;
                blocks::direct(accumulator, &input, frames, |(start, _), entry| {
                    earlier[entry as usize].is_some_and(|e| e == NONE || e < start)
                })?
            }
        } else {
            blocks::results(accumulator, &input, entries, frames)?
        };
        accumulator.resize(0);
        by_entry(&results, frames)
    }
}

/// By entry, the entry before it in its list that has the same arguments, or `NONE`; `None` for entries that do not
/// count: those with a NULL and those that the filter leaves out.
fn earlier(entries: &Entries, input: &Input) -> Result<Vec<Option<u32>>, OperatorError> {
    let fields = input.args.iter().map(|a| SortField::new(a.data_type().clone())).collect();
    let values = RowConverter::new(fields)?.convert_columns(&input.args)?;
    let counts = |entry: usize| {
        let passes = |f: &BooleanArray| f.is_valid(entry) && f.value(entry);
        input.filter.as_ref().is_none_or(passes) && input.args.iter().all(|a| a.is_valid(entry))
    };
    let mut found = Vec::with_capacity(entries.len());
    let mut last: HashMap<&[u8], u32> = HashMap::new();
    for list in entries.lists() {
        last.clear();
        for entry in list.entries() {
            let at = entry as usize;
            found.push(counts(at).then(|| last.insert(values.row(at).data(), entry).unwrap_or(NONE)));
        }
    }
    Ok(found)
}

/// Results of frames, by entry.
fn by_entry(results: &[ArrayRef], frames: &Frames) -> Result<ArrayRef, OperatorError> {
    let results: Vec<&dyn Array> = results.iter().map(AsRef::as_ref).collect();
    let results = match results.as_slice() {
        [one] => one.slice(0, one.len()),
        several => concat(several)?,
    };
    if frames.frames.len() == frames.of.len() {
        return Ok(results);
    }
    Ok(take(&results, &UInt32Array::from(frames.of.clone()), None)?)
}

/// The values of every frame in order, as an ARRAY.
pub(super) fn arrays(
    entries: &Entries,
    frames: &Frames,
    values: &ArrayRef,
    filter: Option<&BooleanArray>,
    data_type: &DataType,
) -> Result<ArrayRef, OperatorError> {
    let mut rows: Vec<u32> = Vec::new();
    let mut lengths = Vec::with_capacity(frames.frames.len());
    for (start, end) in &frames.frames {
        let from = rows.len();
        counted(entries, *start..*end, filter, |row, copies| rows.resize(rows.len() + copies, row));
        lengths.push(rows.len() - from);
    }
    let item = match data_type {
        DataType::List(item) => item.clone(),
        _ => Arc::new(Field::new_list_field(values.data_type().clone(), true)),
    };
    let values = take(values, &UInt32Array::from(rows), None)?;
    // An array of nothing is NULL, as other aggregates of nothing are.
    let some = NullBuffer::new(BooleanBuffer::from_iter(lengths.iter().map(|l| *l > 0)));
    let lists = ListArray::try_new(item, OffsetBuffer::from_lengths(lengths), values, Some(some))?;
    by_entry(&[Arc::new(lists)], frames)
}

/// The values of every frame in order, with a separator between them.
pub(super) fn texts(
    entries: &Entries,
    frames: &Frames,
    values: &ArrayRef,
    filter: Option<&BooleanArray>,
    separator: &str,
) -> Result<ArrayRef, OperatorError> {
    let values = values.as_string::<i32>();
    let mut out = StringBuilder::new();
    let mut text = String::new();
    for (start, end) in &frames.frames {
        text.clear();
        let mut is_empty = true;
        counted(entries, *start..*end, filter, |row, copies| {
            for _ in 0..if values.is_valid(row as usize) { copies } else { 0 } {
                if !std::mem::take(&mut is_empty) {
                    text.push_str(separator);
                }
                text.push_str(values.value(row as usize));
            }
        });
        out.append_option((!is_empty).then_some(&text));
    }
    by_entry(&[Arc::new(out.finish())], frames)
}

/// Calls `each` with the rows of entries that pass the filter, and their numbers of copies.
fn counted(
    entries: &Entries,
    range: std::ops::Range<u32>,
    filter: Option<&BooleanArray>,
    mut each: impl FnMut(u32, usize),
) {
    for entry in range.start as usize..range.end as usize {
        let row = entries.rows[entry];
        if filter.is_none_or(|f| f.is_valid(row as usize) && f.value(row as usize)) {
            each(row, usize::try_from(entries.counts[entry]).unwrap_or_default());
        }
    }
}
