//! BIT_AND, BIT_OR and BIT_XOR over integers.
//!
//! Where rows are only inserted a slot is the result so far and how many values there were. Under retraction
//! BIT_XOR takes a value back as it adds it (x ⊕ x = 0); BIT_AND and BIT_OR count, for every bit, the values that
//! have it: a bit is in the AND when all have it, in the OR when one has.

use super::encoding::{VERSION, take, take_version};
use super::extreme::{no_partials, not_append_only};
use super::rows::{selected, try_each};
use super::{AggregateError, GroupedAccumulator};
use arrow::array::{ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Int64Array, PrimitiveArray};
use arrow::datatypes::{DataType, Int8Type, Int16Type, Int32Type, Int64Type};
use eddyline_changes::Weights;
use std::marker::PhantomData;
use std::sync::Arc;

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    And,
    Or,
    Xor,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Operation::And => "BIT_AND",
            Operation::Or => "BIT_OR",
            Operation::Xor => "BIT_XOR",
        }
    }
}

/// `None` for anything but integers.
pub(super) fn build(operation: Operation, arg: &DataType, append_only: bool) -> Option<Box<dyn GroupedAccumulator>> {
    match arg {
        DataType::Int8 => Some(make::<Int8Type>(operation, append_only)),
        DataType::Int16 => Some(make::<Int16Type>(operation, append_only)),
        DataType::Int32 => Some(make::<Int32Type>(operation, append_only)),
        DataType::Int64 => Some(make::<Int64Type>(operation, append_only)),
        _ => None,
    }
}

/// An integer type.
trait Bits: ArrowPrimitiveType {
    const WIDTH: usize;
    fn bits(value: Self::Native) -> u64;
    fn value(bits: u64) -> Self::Native;
}

impl Bits for Int8Type {
    const WIDTH: usize = 8;
    fn bits(value: i8) -> u64 {
        u64::from(value as u8)
    }
    fn value(bits: u64) -> i8 {
        bits as i8
    }
}

impl Bits for Int16Type {
    const WIDTH: usize = 16;
    fn bits(value: i16) -> u64 {
        u64::from(value as u16)
    }
    fn value(bits: u64) -> i16 {
        bits as i16
    }
}

impl Bits for Int32Type {
    const WIDTH: usize = 32;
    fn bits(value: i32) -> u64 {
        u64::from(value as u32)
    }
    fn value(bits: u64) -> i32 {
        bits as i32
    }
}

impl Bits for Int64Type {
    const WIDTH: usize = 64;
    fn bits(value: i64) -> u64 {
        value as u64
    }
    fn value(bits: u64) -> i64 {
        bits as i64
    }
}

fn make<T: Bits>(operation: Operation, append_only: bool) -> Box<dyn GroupedAccumulator> {
    if append_only || operation == Operation::Xor {
        Box::new(Folded::<T> { operation, append_only, slots: Vec::new(), arg: PhantomData })
    } else {
        Box::new(Counted::<T> { operation, slots: 0, counts: Vec::new(), arg: PhantomData })
    }
}

fn retracted(operation: Operation, value: String) -> AggregateError {
    AggregateError::Retraction { function: operation.name().into(), value }
}

/// The result so far and how many values it is of.
struct Folded<T> {
    operation: Operation,
    append_only: bool,
    slots: Vec<(u64, i64)>,
    arg: PhantomData<fn() -> T>,
}

impl<T: Bits> Folded<T> {
    #[inline(always)]
    fn add(&mut self, slot: u32, bits: u64, weight: i64) -> Result<(), AggregateError> {
        let (result, count) = &mut self.slots[slot as usize];
        match self.operation {
            Operation::Xor if weight & 1 == 1 => *result ^= bits,
            Operation::Xor => {}
            _ if weight == 0 => {}
            Operation::And if *count > 0 => *result &= bits,
            Operation::Or => *result |= bits,
            Operation::And => *result = bits,
        }
        if weight < 0 && self.append_only {
            return Err(not_append_only(self.operation.name(), format!("{:?}", T::value(bits))));
        }
        *count = count.wrapping_add(weight);
        Ok(())
    }
}

impl<T: Bits> GroupedAccumulator for Folded<T> {
    fn resize(&mut self, slots: usize) {
        self.slots.resize(slots, (0, 0));
    }

    fn accumulate(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        weights: &Weights,
        filter: Option<&BooleanArray>,
    ) -> Result<(), AggregateError> {
        let mask = selected(args, filter);
        let values = args[0].as_primitive::<T>().values();
        try_each(slots.len(), mask.as_ref(), |i| self.add(slots[i], T::bits(values[i]), weights.at(i)))
    }

    fn merge(&mut self, slots: &[u32], partials: &[ArrayRef]) -> Result<(), AggregateError> {
        if self.operation != Operation::Xor {
            return self.accumulate(slots, partials, &Weights::AllInserts, None);
        }
        let values = partials[0].as_primitive::<T>().values();
        let counts = partials[1].as_primitive::<Int64Type>().values();
        try_each(slots.len(), selected(partials, None).as_ref(), |i| {
            let (result, count) = &mut self.slots[slots[i] as usize];
            *result ^= T::bits(values[i]);
            *count = count.wrapping_add(counts[i]);
            Ok(())
        })
    }

    fn partials(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, AggregateError> {
        if self.operation != Operation::Xor {
            return Ok(vec![self.evaluate(slots)?]);
        }
        let of = || slots.iter().map(|s| self.slots[*s as usize]);
        let values = PrimitiveArray::<T>::from_iter_values(of().map(|(bits, _)| T::value(bits)));
        Ok(vec![Arc::new(values), Arc::new(Int64Array::from_iter_values(of().map(|(_, count)| count)))])
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef, AggregateError> {
        let result = |slot: &u32| {
            let (bits, count) = self.slots[*slot as usize];
            if count < 0 || (count == 0 && bits != 0) {
                return Err(retracted(self.operation, format!("{count} values would be left")));
            }
            Ok((count > 0).then_some(T::value(bits)))
        };
        Ok(Arc::new(slots.iter().map(result).collect::<Result<PrimitiveArray<T>, _>>()?))
    }

    fn clear(&mut self, slot: u32) {
        self.slots[slot as usize] = (0, 0);
    }

    fn save(&self, slot: u32, out: &mut Vec<u8>) {
        let (bits, count) = self.slots[slot as usize];
        out.push(VERSION);
        out.extend_from_slice(&bits.to_le_bytes());
        out.extend_from_slice(&count.to_le_bytes());
    }

    fn load(&mut self, slot: u32, input: &mut &[u8]) -> Result<(), AggregateError> {
        let name = self.operation.name();
        take_version(name, input)?;
        let bits = u64::from_le_bytes(take(name, input)?);
        self.slots[slot as usize] = (bits, i64::from_le_bytes(take(name, input)?));
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.slots.capacity() * 16
    }
}

/// Per slot: how many values there are, then for every bit how many have it.
struct Counted<T> {
    operation: Operation,
    slots: usize,
    counts: Vec<i64>,
    arg: PhantomData<fn() -> T>,
}

impl<T: Bits> Counted<T> {
    const COUNTS: usize = T::WIDTH + 1;

    fn of(&self, slot: u32) -> &[i64] {
        &self.counts[slot as usize * Self::COUNTS..][..Self::COUNTS]
    }

    fn of_mut(&mut self, slot: u32) -> &mut [i64] {
        &mut self.counts[slot as usize * Self::COUNTS..][..Self::COUNTS]
    }
}

impl<T: Bits> GroupedAccumulator for Counted<T> {
    fn resize(&mut self, slots: usize) {
        self.slots = slots;
        self.counts.resize(slots * Self::COUNTS, 0);
    }

    fn accumulate(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        weights: &Weights,
        filter: Option<&BooleanArray>,
    ) -> Result<(), AggregateError> {
        let mask = selected(args, filter);
        let values = args[0].as_primitive::<T>().values();
        try_each(slots.len(), mask.as_ref(), |i| {
            let counts = self.of_mut(slots[i]);
            let weight = weights.at(i);
            counts[0] = counts[0].wrapping_add(weight);
            let mut bits = T::bits(values[i]);
            while bits != 0 {
                let count = &mut counts[1 + bits.trailing_zeros() as usize];
                *count = count.wrapping_add(weight);
                bits &= bits - 1;
            }
            Ok(())
        })
    }

    fn merge(&mut self, _slots: &[u32], _partials: &[ArrayRef]) -> Result<(), AggregateError> {
        Err(no_partials(self.operation.name()))
    }

    fn partials(&self, _slots: &[u32]) -> Result<Vec<ArrayRef>, AggregateError> {
        Err(no_partials(self.operation.name()))
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef, AggregateError> {
        let result = |slot: &u32| {
            let (values, counts) = self.of(*slot).split_first().unwrap_or((&0, &[]));
            if *values < 0 || counts.iter().any(|c| *c < 0 || c > values) {
                return Err(retracted(self.operation, format!("{values} values would be left")));
            }
            let has = |count: &i64| if self.operation == Operation::And { count == values } else { *count > 0 };
            let bits = counts.iter().enumerate().fold(0, |bits, (at, count)| bits | u64::from(has(count)) << at);
            Ok((*values > 0).then_some(T::value(bits)))
        };
        Ok(Arc::new(slots.iter().map(result).collect::<Result<PrimitiveArray<T>, _>>()?))
    }

    fn clear(&mut self, slot: u32) {
        self.of_mut(slot).fill(0);
    }

    fn save(&self, slot: u32, out: &mut Vec<u8>) {
        out.push(VERSION);
        self.of(slot).iter().for_each(|c| out.extend_from_slice(&c.to_le_bytes()));
    }

    fn load(&mut self, slot: u32, input: &mut &[u8]) -> Result<(), AggregateError> {
        let name = self.operation.name();
        take_version(name, input)?;
        for count in self.of_mut(slot) {
            *count = i64::from_le_bytes(take(name, input)?);
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.counts.capacity() * 8
    }
}
