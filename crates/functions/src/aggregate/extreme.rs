//! MIN and MAX over values of a fixed size.
//!
//! A value is turned into an integer *key* that is smaller the better the value: MIN looks for the least key, and
//! so does MAX, whose keys are the bitwise complement. Floating point is ordered as in SQL: −0 before 0, NaN last.

use super::encoding::{VERSION, corrupt, take, take_version};
use super::multiset::Multiset;
use super::rows::{selected, try_each};
use super::{AggregateError, GroupedAccumulator, bytes};
use arrow::array::{ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::*;
use eddyline_changes::Weights;
use std::collections::HashSet;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

/// Which end is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Min,
    Max,
}

impl Side {
    /// The SQL name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Side::Min => "MIN",
            Side::Max => "MAX",
        }
    }
}

/// MIN or MAX, `None` for types without an order (INTERVAL mixes months, days and time) or nested ones.
pub(super) fn build(side: Side, arg: &DataType, append_only: bool) -> Option<Box<dyn GroupedAccumulator>> {
    let kind = (side, append_only, arg);
    match arg {
        DataType::Boolean => Some(Box::new(OverBooleans(build(side, &DataType::Int8, append_only)?))),
        DataType::Int8 => Some(make::<Int8Type>(kind)),
        DataType::Int16 => Some(make::<Int16Type>(kind)),
        DataType::Int32 => Some(make::<Int32Type>(kind)),
        DataType::Int64 => Some(make::<Int64Type>(kind)),
        DataType::Float32 => Some(make::<Float32Type>(kind)),
        DataType::Float64 => Some(make::<Float64Type>(kind)),
        DataType::Decimal128(..) => Some(make::<Decimal128Type>(kind)),
        DataType::Date32 => Some(make::<Date32Type>(kind)),
        DataType::Time32(TimeUnit::Second) => Some(make::<Time32SecondType>(kind)),
        DataType::Time32(TimeUnit::Millisecond) => Some(make::<Time32MillisecondType>(kind)),
        DataType::Time64(TimeUnit::Microsecond) => Some(make::<Time64MicrosecondType>(kind)),
        DataType::Time64(TimeUnit::Nanosecond) => Some(make::<Time64NanosecondType>(kind)),
        DataType::Timestamp(TimeUnit::Second, _) => Some(make::<TimestampSecondType>(kind)),
        DataType::Timestamp(TimeUnit::Millisecond, _) => Some(make::<TimestampMillisecondType>(kind)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => Some(make::<TimestampMicrosecondType>(kind)),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => Some(make::<TimestampNanosecondType>(kind)),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::LargeBinary => {
            bytes::build(side, arg, append_only)
        }
        _ => None,
    }
}

fn make<T: Keyed>((side, append_only, arg): (Side, bool, &DataType)) -> Box<dyn GroupedAccumulator> {
    match (side, append_only) {
        (Side::Min, true) => Box::new(Extreme::<T, false>::new(arg)),
        (Side::Max, true) => Box::new(Extreme::<T, true>::new(arg)),
        (Side::Min, false) => Box::new(CountedExtreme::<T, false>::new(arg)),
        (Side::Max, false) => Box::new(CountedExtreme::<T, true>::new(arg)),
    }
}

/// An integer that orders values.
pub(super) trait Key: Copy + Ord + Debug + Send + std::ops::Not<Output = Self> + 'static {
    /// The greatest.
    const LAST: Self;
    /// Appends it, little-endian.
    fn put(self, out: &mut Vec<u8>);
    /// Takes it from the front.
    fn take(function: &str, input: &mut &[u8]) -> Result<Self, AggregateError>;
}

impl Key for i32 {
    const LAST: i32 = i32::MAX;
    fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }
    fn take(function: &str, input: &mut &[u8]) -> Result<Self, AggregateError> {
        Ok(i32::from_le_bytes(take(function, input)?))
    }
}

impl Key for i64 {
    const LAST: i64 = i64::MAX;
    fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }
    fn take(function: &str, input: &mut &[u8]) -> Result<Self, AggregateError> {
        Ok(i64::from_le_bytes(take(function, input)?))
    }
}

impl Key for i128 {
    const LAST: i128 = i128::MAX;
    fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }
    fn take(function: &str, input: &mut &[u8]) -> Result<Self, AggregateError> {
        Ok(i128::from_le_bytes(take(function, input)?))
    }
}

/// A type whose values can be ordered by a key.
pub(super) trait Keyed: ArrowPrimitiveType {
    /// The key.
    type Key: Key;
    /// Value to key.
    fn key(value: Self::Native) -> Self::Key;
    /// Key to value.
    fn value(key: Self::Key) -> Self::Native;
}

impl Keyed for Int8Type {
    type Key = i32;
    #[inline(always)]
    fn key(value: i8) -> i32 {
        value.into()
    }
    fn value(key: i32) -> i8 {
        key as i8
    }
}

impl Keyed for Int16Type {
    type Key = i32;
    #[inline(always)]
    fn key(value: i16) -> i32 {
        value.into()
    }
    fn value(key: i32) -> i16 {
        key as i16
    }
}

/// Types whose native value is its own key.
trait OwnKey: ArrowPrimitiveType<Native: Key> {}
impl OwnKey for Int32Type {}
impl OwnKey for Date32Type {}
impl OwnKey for Time32SecondType {}
impl OwnKey for Time32MillisecondType {}
impl OwnKey for Int64Type {}
impl OwnKey for Time64MicrosecondType {}
impl OwnKey for Time64NanosecondType {}
impl OwnKey for TimestampSecondType {}
impl OwnKey for TimestampMillisecondType {}
impl OwnKey for TimestampMicrosecondType {}
impl OwnKey for TimestampNanosecondType {}
impl OwnKey for Decimal128Type {}

impl<T: OwnKey> Keyed for T {
    type Key = T::Native;
    #[inline(always)]
    fn key(value: T::Native) -> T::Native {
        value
    }
    fn value(key: T::Native) -> T::Native {
        key
    }
}

impl Keyed for Float32Type {
    type Key = i32;
    #[inline(always)]
    fn key(value: f32) -> i32 {
        let bits = if value.is_nan() { f32::NAN.to_bits() as i32 } else { value.to_bits() as i32 };
        bits ^ (((bits >> 31) as u32) >> 1) as i32
    }
    fn value(key: i32) -> f32 {
        f32::from_bits((key ^ (((key >> 31) as u32) >> 1) as i32) as u32)
    }
}

impl Keyed for Float64Type {
    type Key = i64;
    #[inline(always)]
    fn key(value: f64) -> i64 {
        let bits = if value.is_nan() { f64::NAN.to_bits() as i64 } else { value.to_bits() as i64 };
        bits ^ (((bits >> 63) as u64) >> 1) as i64
    }
    fn value(key: i64) -> f64 {
        f64::from_bits((key ^ (((key >> 63) as u64) >> 1) as i64) as u64)
    }
}

#[inline(always)]
fn to_key<T: Keyed, const MAX: bool>(value: T::Native) -> T::Key {
    if MAX { !T::key(value) } else { T::key(value) }
}

#[inline(always)]
fn to_value<T: Keyed, const MAX: bool>(key: T::Key) -> T::Native {
    if MAX { T::value(!key) } else { T::value(key) }
}

fn name<const MAX: bool>() -> &'static str {
    if MAX { Side::Max.name() } else { Side::Min.name() }
}

/// The error of a negative weight where only insertions were announced.
pub(super) fn not_append_only(function: &str, value: String) -> AggregateError {
    AggregateError::Retraction { function: function.into(), value }
}

/// The error of merging into a counted multiset: a partial extreme cannot be taken back.
pub(super) fn no_partials(function: &str) -> AggregateError {
    AggregateError::Unknown { function: function.into(), args: "partials of rows that may be retracted".into() }
}

fn array<T: ArrowPrimitiveType>(values: impl Iterator<Item = Option<T::Native>>, data_type: &DataType) -> ArrayRef {
    Arc::new(values.collect::<PrimitiveArray<T>>().with_data_type(data_type.clone()))
}

/// The best key per slot, for rows that are only inserted. [`Key::LAST`] means no rows, but for the slots in `last`,
/// which have rows with that very key: so a slot is one key and the loop one comparison.
struct Extreme<T: Keyed, const MAX: bool> {
    keys: Vec<T::Key>,
    last: HashSet<u32>,
    data_type: DataType,
    arg: PhantomData<fn() -> T>,
}

impl<T: Keyed, const MAX: bool> Extreme<T, MAX> {
    fn new(data_type: &DataType) -> Self {
        Self { keys: Vec::new(), last: HashSet::new(), data_type: data_type.clone(), arg: PhantomData }
    }

    #[inline(always)]
    fn offer(keys: &mut [T::Key], last: &mut HashSet<u32>, slot: u32, key: T::Key) {
        let best = &mut keys[slot as usize];
        if key < *best {
            *best = key;
        } else if key == T::Key::LAST {
            last.insert(slot);
        }
    }

    fn get(&self, slot: u32) -> Option<T::Key> {
        let key = self.keys[slot as usize];
        (key != T::Key::LAST || self.last.contains(&slot)).then_some(key)
    }
}

impl<T: Keyed, const MAX: bool> GroupedAccumulator for Extreme<T, MAX> {
    fn resize(&mut self, slots: usize) {
        self.keys.resize(slots, T::Key::LAST);
        self.last.retain(|slot| (*slot as usize) < slots);
    }

    fn accumulate(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        weights: &Weights,
        filter: Option<&BooleanArray>,
    ) -> Result<(), AggregateError> {
        let mask = selected(args, filter);
        let array = args[0].as_primitive::<T>();
        let values = &array.values()[..slots.len()];
        let (keys, last) = (self.keys.as_mut_slice(), &mut self.last);
        match weights.per_row() {
            None => try_each(slots.len(), mask.as_ref(), |i| {
                Self::offer(keys, last, slots[i], to_key::<T, MAX>(values[i]));
                Ok(())
            }),
            Some(weights) => try_each(slots.len(), mask.as_ref(), |i| {
                if weights[i] < 0 {
                    return Err(not_append_only(name::<MAX>(), format!("{:?}", values[i])));
                }
                if weights[i] > 0 {
                    Self::offer(keys, last, slots[i], to_key::<T, MAX>(values[i]));
                }
                Ok(())
            }),
        }
    }

    fn merge(&mut self, slots: &[u32], partials: &[ArrayRef]) -> Result<(), AggregateError> {
        self.accumulate(slots, partials, &Weights::AllInserts, None)
    }

    fn partials(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, AggregateError> {
        Ok(vec![self.evaluate(slots)?])
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef, AggregateError> {
        let values = slots.iter().map(|s| self.get(*s).map(to_value::<T, MAX>));
        Ok(array::<T>(values, &self.data_type))
    }

    fn clear(&mut self, slot: u32) {
        self.keys[slot as usize] = T::Key::LAST;
        self.last.remove(&slot);
    }

    fn save(&self, slot: u32, out: &mut Vec<u8>) {
        out.push(VERSION);
        match self.get(slot) {
            None => out.push(0),
            Some(key) => {
                out.push(1);
                key.put(out);
            }
        }
    }

    fn load(&mut self, slot: u32, input: &mut &[u8]) -> Result<(), AggregateError> {
        take_version(name::<MAX>(), input)?;
        self.clear(slot);
        match take::<1>(name::<MAX>(), input)? {
            [0] => Ok(()),
            [1] => {
                let key = T::Key::take(name::<MAX>(), input)?;
                Self::offer(&mut self.keys, &mut self.last, slot, key);
                Ok(())
            }
            _ => Err(corrupt(name::<MAX>())),
        }
    }

    fn size_bytes(&self) -> usize {
        self.keys.capacity() * size_of::<T::Key>() + self.last.capacity() * 8
    }
}

/// All keys with their counts, for rows that may be taken back.
struct CountedExtreme<T: Keyed, const MAX: bool> {
    sets: Vec<Multiset<T::Key>>,
    /// How many different keys all sets have.
    entries: usize,
    data_type: DataType,
    arg: PhantomData<fn() -> T>,
}

impl<T: Keyed, const MAX: bool> CountedExtreme<T, MAX> {
    fn new(data_type: &DataType) -> Self {
        Self { sets: Vec::new(), entries: 0, data_type: data_type.clone(), arg: PhantomData }
    }

    fn put(&mut self, slot: u32, set: Multiset<T::Key>) {
        self.entries += set.len();
        self.entries -= std::mem::replace(&mut self.sets[slot as usize], set).len();
    }
}

impl<T: Keyed, const MAX: bool> GroupedAccumulator for CountedExtreme<T, MAX> {
    fn resize(&mut self, slots: usize) {
        let leaving = self.sets.iter().skip(slots).map(Multiset::len);
        self.entries -= leaving.sum::<usize>();
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
        let values = args[0].as_primitive::<T>().values();
        try_each(slots.len(), mask.as_ref(), |i| {
            let set = &mut self.sets[slots[i] as usize];
            let before = set.len();
            set.add(&to_key::<T, MAX>(values[i]), weights.at(i));
            self.entries = self.entries + set.len() - before;
            Ok(())
        })
    }

    fn merge(&mut self, _slots: &[u32], _partials: &[ArrayRef]) -> Result<(), AggregateError> {
        Err(no_partials(name::<MAX>()))
    }

    fn partials(&self, _slots: &[u32]) -> Result<Vec<ArrayRef>, AggregateError> {
        Err(no_partials(name::<MAX>()))
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef, AggregateError> {
        if let Some(key) = slots.iter().find_map(|s| self.sets[*s as usize].negative()) {
            let value = format!("{:?}", to_value::<T, MAX>(*key));
            return Err(AggregateError::Retraction { function: name::<MAX>().into(), value });
        }
        let values = slots.iter().map(|s| self.sets[*s as usize].first().map(|k| to_value::<T, MAX>(*k)));
        Ok(array::<T>(values, &self.data_type))
    }

    fn clear(&mut self, slot: u32) {
        self.put(slot, Multiset::default());
    }

    fn save(&self, slot: u32, out: &mut Vec<u8>) {
        let set = &self.sets[slot as usize];
        out.push(VERSION);
        out.extend_from_slice(&(set.len() as u64).to_le_bytes());
        set.for_each(|key, count| {
            key.put(out);
            out.extend_from_slice(&count.to_le_bytes());
        });
    }

    fn load(&mut self, slot: u32, input: &mut &[u8]) -> Result<(), AggregateError> {
        take_version(name::<MAX>(), input)?;
        let mut set = Multiset::default();
        for _ in 0..u64::from_le_bytes(take(name::<MAX>(), input)?) {
            let key = T::Key::take(name::<MAX>(), input)?;
            set.add(&key, i64::from_le_bytes(take(name::<MAX>(), input)?));
        }
        self.put(slot, set);
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.sets.len() * size_of::<Multiset<T::Key>>() + self.entries * (size_of::<T::Key>() + 8)
    }
}

/// MIN and MAX over BOOLEAN: FALSE before TRUE, as numbers 0 and 1.
struct OverBooleans(Box<dyn GroupedAccumulator>);

impl GroupedAccumulator for OverBooleans {
    fn resize(&mut self, slots: usize) {
        self.0.resize(slots);
    }

    fn accumulate(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        weights: &Weights,
        filter: Option<&BooleanArray>,
    ) -> Result<(), AggregateError> {
        self.0.accumulate(slots, &[cast(&args[0], &DataType::Int8)?], weights, filter)
    }

    fn merge(&mut self, slots: &[u32], partials: &[ArrayRef]) -> Result<(), AggregateError> {
        self.0.merge(slots, &[cast(&partials[0], &DataType::Int8)?])
    }

    fn partials(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, AggregateError> {
        let numbers = self.0.partials(slots)?;
        Ok(vec![cast(&numbers[0], &DataType::Boolean)?])
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef, AggregateError> {
        Ok(cast(&self.0.evaluate(slots)?, &DataType::Boolean)?)
    }

    fn clear(&mut self, slot: u32) {
        self.0.clear(slot);
    }

    fn save(&self, slot: u32, out: &mut Vec<u8>) {
        self.0.save(slot, out);
    }

    fn load(&mut self, slot: u32, input: &mut &[u8]) -> Result<(), AggregateError> {
        self.0.load(slot, input)
    }

    fn size_bytes(&self) -> usize {
        self.0.size_bytes()
    }
}
