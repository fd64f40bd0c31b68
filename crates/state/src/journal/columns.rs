//! Blocks of columns: what one part has of [`Puts`], in few bytes.
//!
//! | part of the payload | content |
//! |---|---|
//! | head | operator `u64`, table `u16`, columns of the lead `u8` (255: no leads), columns `u8`, are there suffixes `u8`, entries `u32` |
//! | key groups | numbers |
//! | suffixes, if any | numbers |
//! | each column | its kind `u8`, are there NULLs `u8`, if so a bit per entry (1: there is a value), values |
//! | values | length of all or `2^32 - 1` `u32`; all of a length: a bit per byte (1: not the same in all), the first value, of each value the bytes that differ; else the lengths as numbers, the bytes |
//!
//! Numbers are as many as there are entries: how many bytes each has (`u8`, 0 to 8), the smallest (`u64`), then of each what is to be added to that. Signed
//! numbers have their highest bit turned, so they stand in order. Values of columns are numbers; those of 16 bytes are two numbers each, the high halves before the
//! low ones; strings are their lengths as numbers, then their bytes. Everything is little endian.

use crate::StateError;
use crate::batch::WriteRef;
use crate::puts::{ENTRIES_MAX, Puts, Values};
use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BooleanArray, PrimitiveArray};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::*;
use std::ops::Range;
use std::sync::Arc;

const NO_LEAD: u8 = u8::MAX;
/// Where the head says how many entries there are.
const ENTRIES_AT: usize = 13;
const LENGTHS_DIFFER: u32 = u32::MAX;
/// What is read and written at once; behind what is worked on there is room for it.
const WORD: usize = size_of::<u64>();
const SIGN: u64 = 1 << 63;

/// How a column is stored. Types whose values have the same form in the row format have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Boolean = 1,
    Int8,
    Int16,
    Int32,
    Int64,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    Float32,
    Float64,
    Int128,
    Bytes,
}

const KINDS: [Kind; 13] = [
    Kind::Boolean,
    Kind::Int8,
    Kind::Int16,
    Kind::Int32,
    Kind::Int64,
    Kind::UInt8,
    Kind::UInt16,
    Kind::UInt32,
    Kind::UInt64,
    Kind::Float32,
    Kind::Float64,
    Kind::Int128,
    Kind::Bytes,
];

impl Kind {
    /// Of a type; `None`: its columns are not stored as such.
    fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Boolean => Self::Boolean,
            DataType::Int8 => Self::Int8,
            DataType::Int16 => Self::Int16,
            DataType::Int32 | DataType::Date32 | DataType::Time32(_) => Self::Int32,
            DataType::Int64 | DataType::Time64(_) | DataType::Timestamp(..) => Self::Int64,
            DataType::UInt8 => Self::UInt8,
            DataType::UInt16 => Self::UInt16,
            DataType::UInt32 => Self::UInt32,
            DataType::UInt64 => Self::UInt64,
            DataType::Float32 => Self::Float32,
            DataType::Float64 => Self::Float64,
            DataType::Decimal128(..) => Self::Int128,
            DataType::Utf8 | DataType::Binary => Self::Bytes,
            _ => return None,
        })
    }
}

/// Can these be blocks of columns?
pub(super) fn are_packable(puts: &Puts) -> bool {
    let count = |columns: usize| columns < usize::from(NO_LEAD);
    count(puts.keys.len()) && puts.keys.iter().all(|column| Kind::of(column.data_type()).is_some())
}

/// Appends the payload of a block that holds the entries at `at`. The columns are [packable](are_packable).
pub(super) fn pack(puts: &Puts, at: Range<usize>, out: &mut Vec<u8>) {
    out.extend_from_slice(&puts.operator.to_le_bytes());
    out.extend_from_slice(&puts.table.to_le_bytes());
    out.push(puts.lead.map_or(NO_LEAD, |columns| columns as u8));
    out.push(puts.keys.len() as u8);
    out.push(puts.suffixes.is_some().into());
    out.extend_from_slice(&(at.len() as u32).to_le_bytes());
    let mut numbers: Vec<u64> = Vec::with_capacity(at.len());
    put_numbers(&mut numbers, puts.groups[at.clone()].iter().map(|group| u64::from(*group)), out);
    if let Some(suffixes) = &puts.suffixes {
        put_numbers(&mut numbers, suffixes[at.clone()].iter().copied(), out);
    }
    for column in &puts.keys {
        put_column(&mut numbers, &column.slice(at.start, at.len()), out);
    }
    put_values(&mut numbers, &puts.values, at, out);
}

fn put_column(numbers: &mut Vec<u64>, column: &ArrayRef, out: &mut Vec<u8>) {
    let Some(kind) = Kind::of(column.data_type()) else { return };
    out.push(kind as u8);
    let nulls = column.nulls().filter(|nulls| nulls.null_count() > 0);
    out.push(nulls.is_some().into());
    if let Some(nulls) = nulls {
        put_bits(nulls.iter(), out);
    }
    macro_rules! values {
        ($native:ty, $to:expr) => {{
            let data = column.to_data();
            let values = data.buffer::<$native>(0);
            put_numbers(numbers, values[..column.len()].iter().map($to), out);
        }};
    }
    match kind {
        Kind::Boolean => put_numbers(numbers, column.as_boolean().values().iter().map(u64::from), out),
        Kind::Int8 => values!(i8, |v| *v as i64 as u64 ^ SIGN),
        Kind::Int16 => values!(i16, |v| *v as i64 as u64 ^ SIGN),
        Kind::Int32 => values!(i32, |v| *v as i64 as u64 ^ SIGN),
        Kind::Int64 => values!(i64, |v| *v as u64 ^ SIGN),
        Kind::UInt8 => values!(u8, |v| u64::from(*v)),
        Kind::UInt16 => values!(u16, |v| u64::from(*v)),
        Kind::UInt32 => values!(u32, |v| u64::from(*v)),
        Kind::UInt64 => values!(u64, |v| *v),
        Kind::Float32 => values!(f32, |v| u64::from(v.to_bits())),
        Kind::Float64 => values!(f64, |v| v.to_bits()),
        Kind::Int128 => {
            values!(i128, |v| (*v >> 64) as u64 ^ SIGN);
            values!(i128, |v| *v as u64);
        }
        Kind::Bytes => {
            let (offsets, bytes) = match column.as_string_opt::<i32>() {
                Some(strings) => (strings.offsets(), strings.values()),
                None => (column.as_binary::<i32>().offsets(), column.as_binary::<i32>().values()),
            };
            put_numbers(numbers, offsets.windows(2).map(|ends| (ends[1] - ends[0]) as u64), out);
            out.extend_from_slice(&bytes[offsets[0] as usize..offsets[column.len()] as usize]);
        }
    }
}

/// Appends numbers. `scratch` is memory that was used before.
fn put_numbers(scratch: &mut Vec<u64>, numbers: impl Iterator<Item = u64>, out: &mut Vec<u8>) {
    scratch.clear();
    scratch.extend(numbers);
    let (least, most) = scratch.iter().fold((u64::MAX, 0), |(least, most), n| (least.min(*n), most.max(*n)));
    let least = least.min(most);
    let width = (u64::BITS - (most - least).leading_zeros()).div_ceil(8) as usize;
    out.push(width as u8);
    out.extend_from_slice(&least.to_le_bytes());
    let mut end = out.len();
    out.resize(end + scratch.len() * width + WORD, 0);
    for number in scratch.iter() {
        out[end..end + WORD].copy_from_slice(&(number - least).to_le_bytes());
        end += width;
    }
    out.truncate(end);
}

fn put_bits(bits: impl Iterator<Item = bool>, out: &mut Vec<u8>) {
    let buffer: BooleanBuffer = bits.collect();
    out.extend_from_slice(&buffer.inner().as_slice()[..buffer.len().div_ceil(8)]);
}

fn put_values(numbers: &mut Vec<u64>, values: &Values, at: Range<usize>, out: &mut Vec<u8>) {
    let start = at.start.checked_sub(1).map_or(0, |before| values.ends[before]);
    let bytes = &values.bytes[start..at.end.checked_sub(1).map_or(start, |last| values.ends[last])];
    let length = values.ends.get(at.start).map_or(0, |end| end - start);
    let are_equal = values.ends[at.clone()].iter().zip(1..).all(|(end, values)| *end == start + values * length);
    if !are_equal || length >= LENGTHS_DIFFER as usize {
        out.extend_from_slice(&LENGTHS_DIFFER.to_le_bytes());
        put_numbers(numbers, at.map(|entry| values.get(entry).len() as u64), out);
        return out.extend_from_slice(bytes);
    }
    out.extend_from_slice(&(length as u32).to_le_bytes());
    if length == 0 {
        return;
    }
    let first = &bytes[..length];
    let differs = differences(first, bytes);
    put_bits(differs.iter().map(|differs| *differs != 0), out);
    out.extend_from_slice(first);
    let runs = runs_of(differs.iter().map(|differs| *differs != 0));
    let each = runs.iter().map(Range::len).sum::<usize>();
    let mut end = out.len();
    out.resize(end + at.len() * each + WORD, 0);
    for value in bytes.chunks_exact(length) {
        for run in &runs {
            // A word is copied at once, and what is too much of it written over.
            match value.get(run.start..run.start + WORD) {
                Some(word) if run.len() <= WORD => out[end..end + WORD].copy_from_slice(word),
                _ => out[end..end + run.len()].copy_from_slice(&value[run.clone()]),
            }
            end += run.len();
        }
    }
    out.truncate(end);
}

/// Of every byte, whether it is not the same in all values: not 0.
fn differences(first: &[u8], values: &[u8]) -> Vec<u8> {
    let mut differs = vec![0u8; first.len()];
    for value in values.chunks_exact(first.len()) {
        for ((differs, first), byte) in differs.iter_mut().zip(first).zip(value) {
            *differs |= first ^ byte;
        }
    }
    differs
}

/// Where bits are set, next to each other.
fn runs_of(bits: impl Iterator<Item = bool>) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (at, _) in bits.enumerate().filter(|(_, is_set)| *is_set) {
        match runs.last_mut().filter(|run| run.end == at) {
            Some(run) => run.end += 1,
            None => runs.push(at..at + 1),
        }
    }
    runs
}

/// What the payload of a block says. `None`: it is damaged.
pub(super) fn unpack(mut payload: &[u8]) -> Option<Puts> {
    let input = &mut payload;
    let operator = u64::from_le_bytes(take(input)?);
    let table = u16::from_le_bytes(take(input)?);
    let [lead, columns, has_suffixes] = take::<3>(input)?;
    let entries = usize::try_from(u32::from_le_bytes(take(input)?)).ok().filter(|entries| *entries <= ENTRIES_MAX)?;
    let groups = numbers(input, entries)?.into_iter().map(|group| u16::try_from(group).ok());
    let groups = groups.collect::<Option<_>>()?;
    let suffixes = if has_suffixes == 1 { Some(numbers(input, entries)?) } else { None };
    let keys = (0..columns).map(|_| column(input, entries)).collect::<Option<Vec<_>>>()?;
    let lead = if lead == NO_LEAD { None } else { Some(usize::from(lead)) };
    let values = values(input, entries)?;
    let is_whole = input.is_empty() && lead.is_none_or(|columns| columns <= keys.len());
    is_whole.then(|| Puts { operator, table, lead, groups, keys, suffixes, values, replaces: vec![false; entries] })
}

/// Calls `each` with what the payload of a block says, and returns how many entries these are. `None`: it is damaged.
pub(super) fn read(
    payload: &[u8],
    each: &mut dyn FnMut(WriteRef<'_>) -> Result<(), StateError>,
) -> Option<Result<u64, StateError>> {
    let puts = unpack(payload)?;
    let expanded = puts.expand(&mut |batch| batch.iter().try_for_each(&mut *each));
    Some(expanded.map(|()| puts.len() as u64))
}

/// How many entries the payload of a block holds. `None`: it is damaged.
pub(super) fn count(payload: &[u8]) -> Option<u64> {
    let at = payload.get(ENTRIES_AT..)?;
    Some(u32::from_le_bytes(*at.first_chunk()?).into())
}

fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = input.split_first_chunk::<N>()?;
    *input = rest;
    Some(*taken)
}

fn numbers(input: &mut &[u8], count: usize) -> Option<Vec<u64>> {
    let [width] = take(input)?;
    let least = u64::from_le_bytes(take(input)?);
    let width = usize::from(width);
    if width == 0 {
        return Some(vec![least; count]);
    }
    if width > WORD {
        return None;
    }
    let bytes = input.split_off(..count.checked_mul(width)?)?;
    let number = |bytes: &[u8]| {
        let mut word = [0; WORD];
        word[..width].copy_from_slice(bytes);
        least.wrapping_add(u64::from_le_bytes(word))
    };
    Some(bytes.chunks_exact(width).map(number).collect())
}

fn bits(input: &mut &[u8], count: usize) -> Option<BooleanBuffer> {
    let bytes = input.split_off(..count.div_ceil(8))?;
    Some(BooleanBuffer::new(bytes.to_vec().into(), 0, count))
}

fn column(input: &mut &[u8], entries: usize) -> Option<ArrayRef> {
    let [kind, has_nulls] = take::<2>(input)?;
    let kind = *KINDS.iter().find(|known| **known as u8 == kind)?;
    let nulls = if has_nulls == 1 { Some(NullBuffer::new(bits(input, entries)?)) } else { None };
    let mut next = || numbers(input, entries);
    fn array<T: ArrowPrimitiveType>(
        numbers: Vec<u64>,
        nulls: Option<NullBuffer>,
        value: impl Fn(u64) -> T::Native,
    ) -> Option<ArrayRef> {
        let values: Vec<T::Native> = numbers.into_iter().map(value).collect();
        Some(Arc::new(PrimitiveArray::<T>::try_new(values.into(), nulls).ok()?))
    }
    match kind {
        Kind::Boolean => {
            let values: BooleanBuffer = next()?.into_iter().map(|value| value != 0).collect();
            Some(Arc::new(BooleanArray::new(values, nulls)))
        }
        Kind::Int8 => array::<Int8Type>(next()?, nulls, |n| (n ^ SIGN) as i8),
        Kind::Int16 => array::<Int16Type>(next()?, nulls, |n| (n ^ SIGN) as i16),
        Kind::Int32 => array::<Int32Type>(next()?, nulls, |n| (n ^ SIGN) as i32),
        Kind::Int64 => array::<Int64Type>(next()?, nulls, |n| (n ^ SIGN) as i64),
        Kind::UInt8 => array::<UInt8Type>(next()?, nulls, |n| n as u8),
        Kind::UInt16 => array::<UInt16Type>(next()?, nulls, |n| n as u16),
        Kind::UInt32 => array::<UInt32Type>(next()?, nulls, |n| n as u32),
        Kind::UInt64 => array::<UInt64Type>(next()?, nulls, |n| n),
        Kind::Float32 => array::<Float32Type>(next()?, nulls, |n| f32::from_bits(n as u32)),
        Kind::Float64 => array::<Float64Type>(next()?, nulls, f64::from_bits),
        Kind::Int128 => {
            let (high, low) = (next()?, next()?);
            let value = |(high, low): (u64, u64)| i128::from((high ^ SIGN) as i64) << 64 | i128::from(low);
            let values: Vec<i128> = high.into_iter().zip(low).map(value).collect();
            Some(Arc::new(PrimitiveArray::<Decimal128Type>::try_new(values.into(), nulls).ok()?))
        }
        Kind::Bytes => {
            let lengths = next()?;
            let (mut ends, mut end) = (vec![0i32], 0i32);
            for length in lengths {
                end = end.checked_add(i32::try_from(length).ok()?)?;
                ends.push(end);
            }
            let bytes = input.split_off(..end as usize)?;
            let offsets = OffsetBuffer::new(ends.into());
            // In the row format text is its bytes.
            Some(Arc::new(BinaryArray::try_new(offsets, bytes.to_vec().into(), nulls).ok()?))
        }
    }
}

fn values(input: &mut &[u8], entries: usize) -> Option<Values> {
    let length = u32::from_le_bytes(take(input)?);
    if length == LENGTHS_DIFFER {
        let mut ends = numbers(input, entries)?;
        let mut end = 0u64;
        for length in &mut ends {
            end = end.checked_add(*length)?;
            *length = end;
        }
        let bytes = input.split_off(..usize::try_from(end).ok()?)?;
        return Some(Values { bytes: bytes.to_vec(), ends: ends.into_iter().map(|end| end as usize).collect() });
    }
    let length = length as usize;
    let ends = (1..=entries).map(|entry| entry * length).collect();
    if length == 0 {
        return Some(Values { bytes: Vec::new(), ends });
    }
    let differs = bits(input, length)?;
    let first = input.split_off(..length)?;
    let runs = runs_of(differs.iter());
    let each = runs.iter().map(Range::len).sum::<usize>();
    let mut differing = input.split_off(..each.checked_mul(entries)?)?;
    let mut bytes = Vec::with_capacity(length * entries);
    for _ in 0..entries {
        let start = bytes.len();
        bytes.extend_from_slice(first);
        for run in &runs {
            let taken = differing.split_off(..run.len())?;
            bytes[start + run.start..start + run.end].copy_from_slice(taken);
        }
    }
    Some(Values { bytes, ends })
}

#[cfg(test)]
mod tests;
