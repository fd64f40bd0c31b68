//! MIN and MAX over strings and bytes, ordered byte by byte (for UTF-8 that is the order of code points).

use super::encoding::{VERSION, corrupt, put_bytes, take, take_bytes, take_version};
use super::extreme::{Side, no_partials, not_append_only};
use super::multiset::Multiset;
use super::rows::{selected, try_each};
use super::{AggregateError, GroupedAccumulator};
use arrow::array::{ArrayRef, AsArray, BooleanArray, GenericBinaryBuilder, OffsetSizeTrait};
use arrow::compute::cast;
use arrow::datatypes::{ByteArrayType, DataType, GenericBinaryType, GenericStringType};
use eddyline_changes::Weights;
use std::marker::PhantomData;
use std::sync::Arc;

/// MIN or MAX over `arg`, one of the byte array types.
pub(super) fn build(side: Side, arg: &DataType, append_only: bool) -> Option<Box<dyn GroupedAccumulator>> {
    match arg {
        DataType::Utf8 => Some(make::<GenericStringType<i32>>(side, arg, append_only)),
        DataType::LargeUtf8 => Some(make::<GenericStringType<i64>>(side, arg, append_only)),
        DataType::Binary => Some(make::<GenericBinaryType<i32>>(side, arg, append_only)),
        DataType::LargeBinary => Some(make::<GenericBinaryType<i64>>(side, arg, append_only)),
        _ => None,
    }
}

fn make<T: ByteArrayType>(side: Side, arg: &DataType, append_only: bool) -> Box<dyn GroupedAccumulator>
where
    T::Native: AsRef<[u8]>,
{
    let data_type = arg.clone();
    if append_only {
        Box::new(Extreme::<T> { best: Vec::new(), side, data_type, arg: PhantomData })
    } else {
        Box::new(CountedExtreme::<T> { sets: Vec::new(), side, data_type, arg: PhantomData })
    }
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

/// An array of `data_type` from values that came out of such arrays.
fn array<'a, O: OffsetSizeTrait>(
    values: impl Iterator<Item = Option<&'a [u8]>>,
    data_type: &DataType,
) -> Result<ArrayRef, AggregateError> {
    let mut builder = GenericBinaryBuilder::<O>::new();
    values.for_each(|v| builder.append_option(v));
    let bytes: ArrayRef = Arc::new(builder.finish());
    Ok(cast(&bytes, data_type)?)
}

/// The best value of a slot; its memory is kept for the next one.
#[derive(Debug, Clone, Default)]
struct Best {
    value: Vec<u8>,
    known: bool,
}

impl Best {
    #[inline]
    fn offer(&mut self, side: Side, value: &[u8]) {
        let better = match side {
            Side::Min => value < self.value.as_slice(),
            Side::Max => value > self.value.as_slice(),
        };
        if better || !self.known {
            self.value.clear();
            self.value.extend_from_slice(value);
            self.known = true;
        }
    }

    fn get(&self) -> Option<&[u8]> {
        self.known.then_some(&self.value)
    }
}

/// The best value per slot, for rows that are only inserted.
struct Extreme<T> {
    best: Vec<Best>,
    side: Side,
    data_type: DataType,
    arg: PhantomData<fn() -> T>,
}

impl<T: ByteArrayType> GroupedAccumulator for Extreme<T>
where
    T::Native: AsRef<[u8]>,
{
    fn resize(&mut self, slots: usize) {
        self.best.resize(slots, Best::default());
    }

    fn accumulate(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        weights: &Weights,
        filter: Option<&BooleanArray>,
    ) -> Result<(), AggregateError> {
        let mask = selected(args, filter);
        let values = args[0].as_bytes::<T>();
        let side = self.side;
        try_each(slots.len(), mask.as_ref(), |i| {
            let value: &[u8] = values.value(i).as_ref();
            match weights.at(i) {
                ..0 => return Err(not_append_only(side.name(), text(value))),
                0 => {}
                1.. => self.best[slots[i] as usize].offer(side, value),
            }
            Ok(())
        })
    }

    fn merge(&mut self, slots: &[u32], partials: &[ArrayRef]) -> Result<(), AggregateError> {
        self.accumulate(slots, partials, &Weights::AllInserts, None)
    }

    fn partials(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, AggregateError> {
        Ok(vec![self.evaluate(slots)?])
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef, AggregateError> {
        array::<T::Offset>(slots.iter().map(|s| self.best[*s as usize].get()), &self.data_type)
    }

    fn clear(&mut self, slot: u32) {
        self.best[slot as usize] = Best::default();
    }

    fn save(&self, slot: u32, out: &mut Vec<u8>) {
        out.push(VERSION);
        match self.best[slot as usize].get() {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                put_bytes(out, value);
            }
        }
    }

    fn load(&mut self, slot: u32, input: &mut &[u8]) -> Result<(), AggregateError> {
        let name = self.side.name();
        take_version(name, input)?;
        self.best[slot as usize] = match take::<1>(name, input)? {
            [0] => Best::default(),
            [1] => Best { value: take_bytes(name, input)?.to_vec(), known: true },
            _ => return Err(corrupt(name)),
        };
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.best.iter().map(|b| size_of_val(b) + b.value.capacity()).sum()
    }
}

/// All values with their counts, for rows that may be taken back.
struct CountedExtreme<T> {
    sets: Vec<Multiset<Vec<u8>>>,
    side: Side,
    data_type: DataType,
    arg: PhantomData<fn() -> T>,
}

impl<T: ByteArrayType> GroupedAccumulator for CountedExtreme<T>
where
    T::Native: AsRef<[u8]>,
{
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
        let mask = selected(args, filter);
        let values = args[0].as_bytes::<T>();
        try_each(slots.len(), mask.as_ref(), |i| {
            let value: &[u8] = values.value(i).as_ref();
            self.sets[slots[i] as usize].add(value, weights.at(i));
            Ok(())
        })
    }

    fn merge(&mut self, _slots: &[u32], _partials: &[ArrayRef]) -> Result<(), AggregateError> {
        Err(no_partials(self.side.name()))
    }

    fn partials(&self, _slots: &[u32]) -> Result<Vec<ArrayRef>, AggregateError> {
        Err(no_partials(self.side.name()))
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef, AggregateError> {
        if let Some(value) = slots.iter().find_map(|s| self.sets[*s as usize].negative()) {
            return Err(AggregateError::Retraction { function: self.side.name().into(), value: text(value) });
        }
        let best = |set: &'_ Multiset<Vec<u8>>| match self.side {
            Side::Min => set.first().cloned(),
            Side::Max => set.last().cloned(),
        };
        let values: Vec<Option<Vec<u8>>> = slots.iter().map(|s| best(&self.sets[*s as usize])).collect();
        array::<T::Offset>(values.iter().map(Option::as_deref), &self.data_type)
    }

    fn clear(&mut self, slot: u32) {
        self.sets[slot as usize] = Multiset::default();
    }

    fn save(&self, slot: u32, out: &mut Vec<u8>) {
        self.sets[slot as usize].save(out);
    }

    fn load(&mut self, slot: u32, input: &mut &[u8]) -> Result<(), AggregateError> {
        self.sets[slot as usize] = Multiset::load(self.side.name(), input)?;
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.sets.iter().map(Multiset::size_bytes).sum()
    }
}
