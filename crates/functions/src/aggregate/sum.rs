//! SUM and AVG over integers and decimals, exactly.
//!
//! A slot holds the sum of the unscaled values and how many they were. Sums begin as 64-bit numbers, 16 bytes a
//! slot with the count; at the first value or sum that does not fit, all slots of the accumulator are widened to
//! 128 bits, once. No rounding happens before `evaluate`, so taking a value back restores the sum exactly.

use super::encoding::{VERSION, corrupt, take, take_version};
use super::rows::{selected, try_each};
use super::{AggregateError, GroupedAccumulator, float_sum};
use arrow::array::{ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray};
use arrow::array::{Decimal128Array, Float64Array, Int64Array};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, Decimal128Type, Int8Type, Int16Type, Int32Type, Int64Type};
use eddyline_changes::Weights;
use std::marker::PhantomData;
use std::sync::Arc;

/// What is made of sum and count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Sum,
    Avg,
}

impl Function {
    /// The SQL name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Function::Sum => "SUM",
            Function::Avg => "AVG",
        }
    }
}

/// SUM or AVG, `None` for types it is not defined on.
pub(super) fn build(function: Function, arg: &DataType, result: &DataType) -> Option<Box<dyn GroupedAccumulator>> {
    if let DataType::Float32 | DataType::Float64 = arg {
        return float_sum::build(function, arg, result);
    }
    let scale = if let DataType::Decimal128(_, scale) = arg { *scale } else { 0 };
    let output = Output::new(function, scale, result)?;
    match arg {
        DataType::Int8 => Some(Box::new(ExactSum::<Int8Type>::new(output))),
        DataType::Int16 => Some(Box::new(ExactSum::<Int16Type>::new(output))),
        DataType::Int32 => Some(Box::new(ExactSum::<Int32Type>::new(output))),
        DataType::Int64 => Some(Box::new(ExactSum::<Int64Type>::new(output))),
        DataType::Decimal128(..) => Some(Box::new(ExactSum::<Decimal128Type>::new(output))),
        _ => None,
    }
}

/// A type whose (unscaled) values are whole numbers.
trait Whole: ArrowPrimitiveType {
    /// The value in 64 bits, if it fits.
    fn narrow(value: Self::Native) -> Option<i64>;
    /// The value.
    fn wide(value: Self::Native) -> i128;
}

impl Whole for Int8Type {
    #[inline(always)]
    fn narrow(value: i8) -> Option<i64> {
        Some(value.into())
    }
    #[inline(always)]
    fn wide(value: i8) -> i128 {
        value.into()
    }
}

impl Whole for Int16Type {
    #[inline(always)]
    fn narrow(value: i16) -> Option<i64> {
        Some(value.into())
    }
    #[inline(always)]
    fn wide(value: i16) -> i128 {
        value.into()
    }
}

impl Whole for Int32Type {
    #[inline(always)]
    fn narrow(value: i32) -> Option<i64> {
        Some(value.into())
    }
    #[inline(always)]
    fn wide(value: i32) -> i128 {
        value.into()
    }
}

impl Whole for Int64Type {
    #[inline(always)]
    fn narrow(value: i64) -> Option<i64> {
        Some(value)
    }
    #[inline(always)]
    fn wide(value: i64) -> i128 {
        value.into()
    }
}

impl Whole for Decimal128Type {
    #[inline(always)]
    fn narrow(value: i128) -> Option<i64> {
        i64::try_from(value).ok()
    }
    #[inline(always)]
    fn wide(value: i128) -> i128 {
        value
    }
}

/// A sum and how many values it is of. Counts wrap around as in `count`.
#[derive(Debug, Clone, Copy, Default)]
struct Total<S> {
    sum: S,
    count: i64,
}

enum Totals {
    Narrow(Vec<Total<i64>>),
    Wide(Vec<Total<i128>>),
}

impl Totals {
    fn get(&self, slot: u32) -> Total<i128> {
        match self {
            Totals::Narrow(t) => {
                let t = t[slot as usize];
                Total { sum: t.sum.into(), count: t.count }
            }
            Totals::Wide(t) => t[slot as usize],
        }
    }

    fn set(&mut self, slot: u32, total: Total<i128>) {
        match (&mut *self, i64::try_from(total.sum)) {
            (Totals::Narrow(t), Ok(sum)) => t[slot as usize] = Total { sum, count: total.count },
            _ => self.wide()[slot as usize] = total,
        }
    }

    /// The totals in 128 bits, widened if they are not yet.
    fn wide(&mut self) -> &mut [Total<i128>] {
        if let Totals::Narrow(t) = self {
            *self = Totals::Wide(t.iter().map(|t| Total { sum: t.sum.into(), count: t.count }).collect());
        }
        match self {
            Totals::Wide(t) => t,
            Totals::Narrow(_) => &mut [],
        }
    }
}

struct ExactSum<T> {
    totals: Totals,
    output: Output,
    arg: PhantomData<fn() -> T>,
}

impl<T: Whole> ExactSum<T> {
    fn new(output: Output) -> Self {
        Self { totals: Totals::Narrow(Vec::new()), output, arg: PhantomData }
    }

    /// Adds rows in 64 bits; the first row that does not fit is the error, with all rows before it added.
    fn add_narrow(
        totals: &mut [Total<i64>],
        slots: &[u32],
        values: &[T::Native],
        weights: Option<&[i64]>,
        mask: Option<&BooleanBuffer>,
    ) -> Result<(), usize> {
        let values = &values[..slots.len()];
        match weights {
            None => try_each(slots.len(), mask, |i| {
                let total = &mut totals[slots[i] as usize];
                total.sum = T::narrow(values[i]).and_then(|v| total.sum.checked_add(v)).ok_or(i)?;
                total.count = total.count.wrapping_add(1);
                Ok(())
            }),
            Some(weights) => try_each(slots.len(), mask, |i| {
                let total = &mut totals[slots[i] as usize];
                let value = T::narrow(values[i]).and_then(|v| v.checked_mul(weights[i])).ok_or(i)?;
                total.sum = total.sum.checked_add(value).ok_or(i)?;
                total.count = total.count.wrapping_add(weights[i]);
                Ok(())
            }),
        }
    }
}

impl<T: Whole> GroupedAccumulator for ExactSum<T> {
    fn resize(&mut self, slots: usize) {
        match &mut self.totals {
            Totals::Narrow(t) => t.resize(slots, Total::default()),
            Totals::Wide(t) => t.resize(slots, Total::default()),
        }
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
        let weights = weights.per_row();
        let from = match &mut self.totals {
            Totals::Narrow(t) => match Self::add_narrow(t, slots, values, weights, mask.as_ref()) {
                Ok(()) => return Ok(()),
                Err(row) => row,
            },
            Totals::Wide(_) => 0,
        };
        let output = &self.output;
        let totals = self.totals.wide();
        try_each(slots.len(), mask.as_ref(), |i| {
            if i < from {
                return Ok(());
            }
            let weight = weights.map_or(1, |w| w[i]);
            let total = &mut totals[slots[i] as usize];
            let value = T::wide(values[i]).checked_mul(weight.into());
            total.sum = value.and_then(|v| total.sum.checked_add(v)).ok_or_else(|| output.overflow())?;
            total.count = total.count.wrapping_add(weight);
            Ok(())
        })
    }

    fn merge(&mut self, slots: &[u32], partials: &[ArrayRef]) -> Result<(), AggregateError> {
        let mask = selected(partials, None);
        let sums = partials[0].as_primitive::<Decimal128Type>().values();
        let counts = partials[1].as_primitive::<Int64Type>().values();
        let mut from = 0;
        if let Totals::Narrow(totals) = &mut self.totals {
            let added = try_each(slots.len(), mask.as_ref(), |i| {
                let total = &mut totals[slots[i] as usize];
                total.sum = i64::try_from(sums[i]).ok().and_then(|v| total.sum.checked_add(v)).ok_or(i)?;
                total.count = total.count.wrapping_add(counts[i]);
                Ok(())
            });
            match added {
                Ok(()) => return Ok(()),
                Err(row) => from = row,
            }
        }
        let output = &self.output;
        let totals = self.totals.wide();
        try_each(slots.len(), mask.as_ref(), |i| {
            if i < from {
                return Ok(());
            }
            let total = &mut totals[slots[i] as usize];
            total.sum = total.sum.checked_add(sums[i]).ok_or_else(|| output.overflow())?;
            total.count = total.count.wrapping_add(counts[i]);
            Ok(())
        })
    }

    fn partials(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, AggregateError> {
        let totals = || slots.iter().map(|s| self.totals.get(*s));
        if totals().any(|t| t.sum.unsigned_abs() >= 10u128.pow(38)) {
            return Err(self.output.overflow());
        }
        let sums = Decimal128Array::from_iter_values(totals().map(|t| t.sum));
        let counts = Int64Array::from_iter_values(totals().map(|t| t.count));
        Ok(vec![Arc::new(sums.with_precision_and_scale(38, self.output.scale)?), Arc::new(counts)])
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef, AggregateError> {
        for total in slots.iter().map(|s| self.totals.get(*s)) {
            if total.count < 0 || (total.count == 0 && total.sum != 0) {
                return Err(AggregateError::Retraction {
                    function: self.output.function.name().into(),
                    value: format!("{} rows with the sum {} would be left", total.count, total.sum),
                });
            }
        }
        self.output.results(slots.iter().map(|s| self.totals.get(*s)))
    }

    fn clear(&mut self, slot: u32) {
        self.totals.set(slot, Total::default());
    }

    fn save(&self, slot: u32, out: &mut Vec<u8>) {
        let total = self.totals.get(slot);
        out.push(VERSION);
        match i64::try_from(total.sum) {
            Ok(sum) => {
                out.push(8);
                out.extend_from_slice(&sum.to_le_bytes());
            }
            Err(_) => {
                out.push(16);
                out.extend_from_slice(&total.sum.to_le_bytes());
            }
        }
        out.extend_from_slice(&total.count.to_le_bytes());
    }

    fn load(&mut self, slot: u32, input: &mut &[u8]) -> Result<(), AggregateError> {
        let name = self.output.function.name();
        take_version(name, input)?;
        let sum = match take::<1>(name, input)? {
            [8] => i64::from_le_bytes(take(name, input)?).into(),
            [16] => i128::from_le_bytes(take(name, input)?),
            _ => return Err(corrupt(name)),
        };
        let count = i64::from_le_bytes(take(name, input)?);
        self.totals.set(slot, Total { sum, count });
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        match &self.totals {
            Totals::Narrow(t) => t.capacity() * size_of::<Total<i64>>(),
            Totals::Wide(t) => t.capacity() * size_of::<Total<i128>>(),
        }
    }
}

/// How results are made.
struct Output {
    function: Function,
    /// Digits after the point of the arguments.
    scale: i8,
    result: DataType,
    /// 10 to the power of the digits that the result has more than the arguments.
    factor: i128,
}

impl Output {
    fn new(function: Function, scale: i8, result: &DataType) -> Option<Self> {
        let result_scale = match result {
            DataType::Decimal128(_, result_scale) => *result_scale,
            DataType::Float64 => scale,
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 if scale == 0 => 0,
            _ => return None,
        };
        // Up to 19 digits a remainder below 2⁶³ can be scaled up in 128 bits.
        let digits = u32::try_from(result_scale.checked_sub(scale)?).ok().filter(|d| *d <= 19)?;
        Some(Self { function, scale, result: result.clone(), factor: 10i128.pow(digits) })
    }

    fn overflow(&self) -> AggregateError {
        AggregateError::Overflow { function: self.function.name().into(), data_type: self.result.clone() }
    }

    fn results(&self, totals: impl Iterator<Item = Total<i128>>) -> Result<ArrayRef, AggregateError> {
        let known = totals.map(|t| (t.count != 0).then_some(t));
        match &self.result {
            DataType::Int8 => self.whole::<Int8Type>(known),
            DataType::Int16 => self.whole::<Int16Type>(known),
            DataType::Int32 => self.whole::<Int32Type>(known),
            DataType::Int64 => self.whole::<Int64Type>(known),
            DataType::Decimal128(precision, scale) => {
                let limit = 10u128.pow((*precision).into());
                let decimals: Decimal128Array = known
                    .map(|t| t.map(|t| self.decimal(t, limit).ok_or_else(|| self.overflow())).transpose())
                    .collect::<Result<_, _>>()?;
                Ok(Arc::new(decimals.with_precision_and_scale(*precision, *scale)?))
            }
            _ => Ok(Arc::new(known.map(|t| t.map(|t| self.double(t))).collect::<Float64Array>())),
        }
    }

    /// Results of an integer type; an average is truncated toward zero, as in Flink.
    fn whole<R>(&self, totals: impl Iterator<Item = Option<Total<i128>>>) -> Result<ArrayRef, AggregateError>
    where
        R: ArrowPrimitiveType,
        R::Native: TryFrom<i128>,
    {
        let result = |t: Total<i128>| match self.function {
            Function::Sum => t.sum,
            Function::Avg => t.sum / i128::from(t.count),
        };
        let values: PrimitiveArray<R> = totals
            .map(|t| t.map(|t| R::Native::try_from(result(t)).map_err(|_| self.overflow())).transpose())
            .collect::<Result<_, _>>()?;
        Ok(Arc::new(values))
    }

    /// An unscaled decimal below `limit`; an average is rounded half up (away from zero).
    fn decimal(&self, t: Total<i128>, limit: u128) -> Option<i128> {
        let value = match self.function {
            Function::Sum => t.sum.checked_mul(self.factor)?,
            Function::Avg => {
                let count = i128::from(t.count);
                let rest = t.sum % count * self.factor;
                let half_up =
                    if (rest % count).unsigned_abs() * 2 >= count.unsigned_abs() { t.sum.signum() } else { 0 };
                (t.sum / count).checked_mul(self.factor)?.checked_add(rest / count + half_up)?
            }
        };
        (value.unsigned_abs() < limit).then_some(value)
    }

    fn double(&self, t: Total<i128>) -> f64 {
        let sum = t.sum as f64 / 10f64.powi(self.scale.into());
        match self.function {
            Function::Sum => sum,
            Function::Avg => sum / t.count as f64,
        }
    }
}
