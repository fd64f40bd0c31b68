//! FIRST_VALUE and LAST_VALUE without ORDER BY: by arrival, over rows that are only inserted.
//!
//! Which value came first is not a question that a table answers. Over an append-only stream it has Flink's meaning:
//! the order in which rows reach the aggregate, which is the order of a file or topic partition and arbitrary between
//! several. Partials are merged in the order in which they come.

use super::encoding::{VERSION, corrupt, put_bytes, take, take_bytes, take_version};
use super::extreme::not_append_only;
use super::rows::{selected, try_each};
use super::state_column::{merge_states, states};
use super::{AggregateError, GroupedAccumulator};
use arrow::array::{ArrayRef, BooleanArray, UInt32Array, new_null_array};
use arrow::compute::take as gather;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use eddyline_changes::Weights;

/// FIRST_VALUE, or LAST_VALUE.
pub(super) fn build(is_last: bool, arg: &DataType) -> Option<Box<dyn GroupedAccumulator>> {
    let field = SortField::new(arg.clone());
    let supported = RowConverter::supports_fields(std::slice::from_ref(&field));
    let converter = RowConverter::new(vec![field]).ok().filter(|_| supported)?;
    Some(Box::new(Arrival { is_last, arg: arg.clone(), converter, kept: Vec::new() }))
}

struct Arrival {
    is_last: bool,
    arg: DataType,
    converter: RowConverter,
    /// The encoded value of every slot, which may be NULL; `None` before the first.
    kept: Vec<Option<Vec<u8>>>,
}

impl Arrival {
    fn name(&self) -> &'static str {
        if self.is_last { "LAST_VALUE" } else { "FIRST_VALUE" }
    }

    fn offer(&mut self, slot: u32, value: &[u8]) {
        match &mut self.kept[slot as usize] {
            Some(kept) if self.is_last => {
                kept.clear();
                kept.extend_from_slice(value);
            }
            Some(_) => {}
            none => *none = Some(value.to_vec()),
        }
    }

    fn read(&self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, AggregateError> {
        take_version(self.name(), input)?;
        match take::<1>(self.name(), input)? {
            [0] => Ok(None),
            [1] => Ok(Some(take_bytes(self.name(), input)?.to_vec())),
            _ => Err(corrupt(self.name())),
        }
    }
}

impl GroupedAccumulator for Arrival {
    fn resize(&mut self, slots: usize) {
        self.kept.resize(slots, None);
    }

    fn accumulate(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        weights: &Weights,
        filter: Option<&BooleanArray>,
    ) -> Result<(), AggregateError> {
        let mask = selected(&[], filter);
        let values = self.converter.convert_columns(&args[..1])?;
        try_each(slots.len(), mask.as_ref(), |i| match weights.at(i) {
            ..0 => {
                let value = arrow::util::display::array_value_to_string(&args[0], i)?;
                Err(not_append_only(self.name(), value))
            }
            0 => Ok(()),
            1.. => {
                self.offer(slots[i], values.row(i).data());
                Ok(())
            }
        })
    }

    fn merge(&mut self, slots: &[u32], partials: &[ArrayRef]) -> Result<(), AggregateError> {
        merge_states(slots, partials, |slot, input| {
            if let Some(value) = self.read(input)? {
                self.offer(slot, &value);
            }
            Ok(())
        })
    }

    fn partials(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, AggregateError> {
        Ok(states(self, slots))
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef, AggregateError> {
        let parser = self.converter.parser();
        let kept = || slots.iter().map(|s| self.kept[*s as usize].as_deref());
        let rows: Vec<&[u8]> = kept().flatten().collect();
        if rows.is_empty() {
            return Ok(new_null_array(&self.arg, slots.len()));
        }
        let values = self.converter.convert_rows(rows.iter().map(|r| parser.parse(r)))?;
        let mut next = 0;
        let at: UInt32Array = kept()
            .map(|k| {
                k.map(|_| {
                    next += 1;
                    next - 1
                })
            })
            .collect();
        Ok(gather(&values[0], &at, None)?)
    }

    fn clear(&mut self, slot: u32) {
        self.kept[slot as usize] = None;
    }

    fn save(&self, slot: u32, out: &mut Vec<u8>) {
        out.push(VERSION);
        match &self.kept[slot as usize] {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                put_bytes(out, value);
            }
        }
    }

    fn load(&mut self, slot: u32, input: &mut &[u8]) -> Result<(), AggregateError> {
        self.kept[slot as usize] = self.read(input)?;
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.kept.iter().map(|k| size_of_val(k) + k.as_ref().map_or(0, Vec::capacity)).sum()
    }
}
