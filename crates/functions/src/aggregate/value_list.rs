//! Aggregates over a list of values: ARRAY_AGG, STRING_AGG (LISTAGG), COLLECT, ANY_VALUE, and FIRST_VALUE and LAST_VALUE with
//! ORDER BY.
//!
//! A slot holds a counted ordered multiset of *entries*: the columns of ORDER BY and then the value, encoded into bytes
//! that compare as the rows do (`arrow::row`). The list is read off in the order of the entries. So it depends on what
//! is there alone, not on how it came: a value can be taken back, and among equals of ORDER BY (all, without ORDER BY) the
//! value decides. The encoding gives the values back, so nothing else is stored.
//!
//! Where rows are only inserted, FIRST_VALUE and LAST_VALUE keep one entry.

use super::extreme::not_append_only;
use super::multiset::{Multiset, each_saved};
use super::rows::{selected, try_each};
use super::state_column::{merge_states, states};
use super::{AggregateError, GroupedAccumulator, ListOptions};
use arrow::array::{ArrayRef, AsArray, BooleanArray, Int32Array, ListArray, MapArray, StringBuilder, StructArray};
use arrow::array::{UInt32Array, new_empty_array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::take as gather;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use eddyline_changes::Weights;
use std::sync::Arc;

/// What is made of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    Array,
    Text,
    Counts,
    First,
    Last,
    Any,
}

impl Made {
    fn name(self) -> &'static str {
        match self {
            Made::Array => "ARRAY_AGG",
            Made::Text => "STRING_AGG",
            Made::Counts => "COLLECT",
            Made::First => "FIRST_VALUE",
            Made::Last => "LAST_VALUE",
            Made::Any => "ANY_VALUE",
        }
    }
}

/// Accumulators, `None` where the result is not of the type that belongs to `arg`.
pub(super) fn build(
    made: Made,
    arg: &DataType,
    result: &DataType,
    append_only: bool,
    options: &ListOptions,
) -> Option<Box<dyn GroupedAccumulator>> {
    let fits = match (made, result) {
        (Made::Array, DataType::List(item)) => item.data_type() == arg,
        (Made::Text, DataType::Utf8) => *arg == DataType::Utf8,
        (Made::Counts, DataType::Map(entries, _)) => {
            matches!(entries.data_type(), DataType::Struct(kv)
                if kv.len() == 2 && kv[0].data_type() == arg && *kv[1].data_type() == DataType::Int32)
        }
        (Made::First | Made::Last | Made::Any, result) => result == arg,
        _ => false,
    };
    let fields: Vec<SortField> = options
        .order
        .iter()
        .map(|o| SortField::new_with_options(o.data_type.clone(), o.options))
        .chain([SortField::new(arg.clone())])
        .collect();
    if !fits || !RowConverter::supports_fields(&fields) {
        return None;
    }
    let keep = append_only && matches!(made, Made::First | Made::Last | Made::Any);
    Some(Box::new(ValueLists {
        made,
        keep_one: keep,
        once: options.once,
        separator: options.separator.clone(),
        arg: arg.clone(),
        result: result.clone(),
        converter: RowConverter::new(fields).ok()?,
        sets: Vec::new(),
    }))
}

struct ValueLists {
    made: Made,
    /// Only the first (last) entry is kept.
    keep_one: bool,
    once: bool,
    separator: String,
    arg: DataType,
    result: DataType,
    converter: RowConverter,
    sets: Vec<Multiset<Vec<u8>>>,
}

/// Entries of several slots, to be decoded together.
#[derive(Default)]
struct Picked<'a> {
    entries: Vec<&'a [u8]>,
    /// How often each is there.
    counts: Vec<i64>,
    /// Where the entries of each slot end.
    ends: Vec<usize>,
}

impl ValueLists {
    fn add(&mut self, slot: u32, entry: &[u8], weight: i64) -> Result<(), AggregateError> {
        let set = &mut self.sets[slot as usize];
        if !self.keep_one {
            set.add(entry, weight);
            return Ok(());
        }
        if weight < 0 {
            let value = self.text(entry)?;
            return Err(not_append_only(self.made.name(), value));
        }
        let better = match (self.made, set.first()) {
            (_, None) => true,
            (Made::Last, Some(kept)) => entry > kept.as_slice(),
            (_, Some(kept)) => entry < kept.as_slice(),
        };
        if better && weight > 0 {
            *set = Multiset::default();
            set.add(entry, 1);
        }
        Ok(())
    }

    fn values(&self, entries: &[&[u8]]) -> Result<ArrayRef, AggregateError> {
        if entries.is_empty() {
            return Ok(new_empty_array(&self.arg));
        }
        let parser = self.converter.parser();
        let mut columns = self.converter.convert_rows(entries.iter().map(|e| parser.parse(e)))?;
        columns.pop().ok_or_else(|| AggregateError::Corrupt(self.made.name().into()))
    }

    fn text(&self, entry: &[u8]) -> Result<String, AggregateError> {
        let values = self.values(&[entry])?;
        Ok(arrow::util::display::array_value_to_string(&values, 0)?)
    }

    fn picked(&self, slots: &[u32]) -> Picked<'_> {
        let mut picked = Picked::default();
        for slot in slots {
            let set = &self.sets[*slot as usize];
            let one = match self.made {
                Made::First | Made::Any => set.first(),
                Made::Last => set.last(),
                Made::Array | Made::Text | Made::Counts => {
                    set.for_each(|entry, count| {
                        picked.entries.push(entry);
                        picked.counts.push(if self.once { 1 } else { count });
                    });
                    None
                }
            };
            if let Some(one) = one {
                picked.entries.push(one);
                picked.counts.push(1);
            }
            picked.ends.push(picked.entries.len());
        }
        picked
    }
}

impl Picked<'_> {
    /// The places of the entries of every slot.
    fn ranges(&self) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(from, to)| from..*to)
    }

    fn known(&self) -> NullBuffer {
        self.ranges().map(|r| !r.is_empty()).collect::<Vec<_>>().into()
    }

    /// One value or NULL per slot.
    fn one(&self, values: &ArrayRef) -> Result<ArrayRef, AggregateError> {
        let at: UInt32Array = self.ranges().map(|r| (!r.is_empty()).then_some(r.start as u32)).collect();
        Ok(gather(values, &at, None)?)
    }

    fn arrays(&self, values: &ArrayRef, result: &DataType) -> Result<ArrayRef, AggregateError> {
        let DataType::List(item) = result else { return Err(AggregateError::Corrupt("ARRAY_AGG".into())) };
        let too_long = || AggregateError::Overflow { function: "ARRAY_AGG".into(), data_type: DataType::Int32 };
        let total: i128 = self.counts.iter().map(|c| i128::from(*c)).sum();
        i32::try_from(total).map_err(|_| too_long())?;
        let of = |range: std::ops::Range<usize>| self.counts[range].iter().sum::<i64>() as usize;
        let offsets = OffsetBuffer::from_lengths(self.ranges().map(of));
        let repeated = self.counts.iter().enumerate().flat_map(|(at, n)| std::iter::repeat_n(at as u32, *n as usize));
        let items = gather(values, &UInt32Array::from_iter_values(repeated), None)?;
        Ok(Arc::new(ListArray::try_new(item.clone(), offsets, items, Some(self.known()))?))
    }

    fn texts(&self, values: &ArrayRef, separator: &str) -> Result<ArrayRef, AggregateError> {
        let values = values.as_string::<i32>();
        let mut out = StringBuilder::new();
        let mut text = String::new();
        for range in self.ranges() {
            if range.is_empty() {
                out.append_null();
                continue;
            }
            text.clear();
            let first = range.start;
            for at in range {
                for copy in 0..self.counts[at] {
                    if at != first || copy > 0 {
                        text.push_str(separator);
                    }
                    text.push_str(values.value(at));
                    if text.len() > i32::MAX as usize {
                        return Err(AggregateError::Overflow {
                            function: "STRING_AGG".into(),
                            data_type: DataType::Utf8,
                        });
                    }
                }
            }
            out.append_value(&text);
        }
        Ok(Arc::new(out.finish()))
    }

    fn maps(&self, values: &ArrayRef, result: &DataType) -> Result<ArrayRef, AggregateError> {
        let overflow = || AggregateError::Overflow { function: "COLLECT".into(), data_type: DataType::Int32 };
        let DataType::Map(entries, sorted) = result else { return Err(overflow()) };
        let DataType::Struct(fields) = entries.data_type() else { return Err(overflow()) };
        let counts = self.counts.iter().map(|c| i32::try_from(*c)).collect::<Result<Vec<_>, _>>();
        let counts: ArrayRef = Arc::new(Int32Array::from(counts.map_err(|_| overflow())?));
        let pairs = StructArray::try_new(fields.clone(), vec![values.clone(), counts], None)?;
        let offsets = OffsetBuffer::from_lengths(self.ranges().map(|r| r.len()));
        Ok(Arc::new(MapArray::try_new(entries.clone(), offsets, pairs, Some(self.known()), *sorted)?))
    }
}

impl GroupedAccumulator for ValueLists {
    fn resize(&mut self, slots: usize) {
        self.sets.resize(slots, Multiset::default());
    }

    fn accumulate(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        weights: &Weights,
        filter: Option<&BooleanArray>,
    ) -> Result<(), AggregateError> {
        let skips_nulls = matches!(self.made, Made::Text | Made::Counts | Made::Any);
        let mask = selected(if skips_nulls { &args[..1] } else { &[] }, filter);
        let columns: Vec<ArrayRef> = args[1..].iter().chain(&args[..1]).cloned().collect();
        let entries = self.converter.convert_columns(&columns)?;
        try_each(slots.len(), mask.as_ref(), |i| self.add(slots[i], entries.row(i).data(), weights.at(i)))
    }

    fn merge(&mut self, slots: &[u32], partials: &[ArrayRef]) -> Result<(), AggregateError> {
        let name = self.made.name();
        merge_states(slots, partials, |slot, input| {
            each_saved(name, input, |entry, weight| self.add(slot, entry, weight))
        })
    }

    fn partials(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, AggregateError> {
        Ok(states(self, slots))
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef, AggregateError> {
        if let Some(entry) = slots.iter().find_map(|s| self.sets[*s as usize].negative()) {
            return Err(AggregateError::Retraction { function: self.made.name().into(), value: self.text(entry)? });
        }
        let picked = self.picked(slots);
        let values = self.values(&picked.entries)?;
        match self.made {
            Made::Array => picked.arrays(&values, &self.result),
            Made::Text => picked.texts(&values, &self.separator),
            Made::Counts => picked.maps(&values, &self.result),
            Made::First | Made::Last | Made::Any => picked.one(&values),
        }
    }

    fn clear(&mut self, slot: u32) {
        self.sets[slot as usize] = Multiset::default();
    }

    fn save(&self, slot: u32, out: &mut Vec<u8>) {
        self.sets[slot as usize].save(out);
    }

    fn load(&mut self, slot: u32, input: &mut &[u8]) -> Result<(), AggregateError> {
        self.sets[slot as usize] = Multiset::load(self.made.name(), input)?;
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.sets.iter().map(Multiset::size_bytes).sum()
    }
}
