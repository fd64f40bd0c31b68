//! `GENERATE_SERIES` of integers, of NUMERIC, and of times.
//!
//! Which of them is meant is found as PostgreSQL finds it: literals without a type and parameters are what the others are; dates are moments. Days
//! and months of a series of moments are those of the session's time zone.

use super::super::Zone;
use super::super::calendar::{DAY_SECONDS, add_months};
use super::{INVALID_PARAMETER, TIME_OUT_OF_RANGE, fail};
use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, ListArray, PrimitiveArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Decimal128Type, Field, FieldRef, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
    TimeUnit, TimestampMicrosecondType,
};
use datafusion_common::{Result, ScalarValue, plan_err};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// Elements that one evaluation may make, over all rows of the batch.
const ELEMENTS_MAX: usize = 1 << 24;

const SECOND_MICROS: i64 = 1_000_000;

/// The function, for a session in a time zone.
pub(in super::super) fn generate_series(zone: Zone) -> ScalarUDF {
    ScalarUDF::from(GenerateSeries { zone, signature: Signature::user_defined(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct GenerateSeries {
    zone: Zone,
    signature: Signature,
}

impl ScalarUDFImpl for GenerateSeries {
    fn name(&self) -> &str {
        "generate_series"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let is_known = |t: &&DataType| !is_unknown(t);
        let known: Vec<&DataType> = types.iter().filter(is_known).collect();
        let meant = match (types.len(), known.as_slice()) {
            (2 | 3, []) if !types.iter().all(DataType::is_null) => {
                return plan_err!("function generate_series(unknown, unknown) is not unique");
            }
            (2 | 3, known) if known.iter().all(|t| t.is_integer()) => Some(integers(types)),
            (2 | 3, known) if known.iter().all(|t| t.is_integer() || scale(t).is_some()) => Some(decimals(types)),
            (3, _) => times(types),
            _ => None,
        };
        match meant {
            Some(meant) => Ok(meant),
            None => {
                let given = types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                plan_err!(
                    "GENERATE_SERIES does not take ({given}); it takes two or three integers or NUMERICs, or (time, time, INTERVAL)"
                )
            }
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let item = match (types.first(), types.get(2)) {
            (Some(DataType::Decimal128(_, one)), Some(DataType::Decimal128(_, step))) => decimal(*one.max(step)),
            (Some(first), _) => first.clone(),
            (None, _) => return plan_err!("GENERATE_SERIES takes two arguments or three"),
        };
        Ok(DataType::List(item_field(item)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|a| a.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let DataType::List(item) = args.return_field.data_type() else {
            return plan_err!("GENERATE_SERIES makes arrays");
        };
        let made = match item.data_type() {
            DataType::Timestamp(_, zone) => moments(&arrays, zone.is_some().then_some(self.zone))?,
            DataType::Decimal128(_, scale) => scaled(&arrays, *scale)?,
            _ => whole(&arrays)?,
        };
        let values = cast(&made.values, item.data_type())?;
        let offsets = OffsetBuffer::from_lengths(made.lengths);
        let list: ArrayRef = Arc::new(ListArray::try_new(item.clone(), offsets, values, Some(made.valid.into()))?);
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&list, 0)?),
            false => ColumnarValue::Array(list),
        })
    }
}

fn item_field(item: DataType) -> FieldRef {
    Arc::new(Field::new_list_field(item, true))
}

/// A literal without a type, a parameter.
fn is_unknown(t: &DataType) -> bool {
    t.is_null() || matches!(t, DataType::Utf8 | DataType::Utf8View)
}

fn integers(types: &[DataType]) -> Vec<DataType> {
    let is_long = types.contains(&DataType::Int64);
    vec![if is_long { DataType::Int64 } else { DataType::Int32 }; types.len()]
}

fn scale(t: &DataType) -> Option<i8> {
    match t {
        DataType::Decimal128(_, scale) => Some(*scale),
        _ => None,
    }
}

fn decimal(scale: i8) -> DataType {
    DataType::Decimal128(38, scale)
}

/// Each with the digits that it has; what has no type has those of the others.
fn decimals(types: &[DataType]) -> Vec<DataType> {
    let most = types.iter().filter_map(scale).max().unwrap_or_default();
    let of = |t: &DataType| match scale(t) {
        Some(scale) => decimal(scale),
        None if t.is_integer() => decimal(0),
        None => decimal(most),
    };
    types.iter().map(of).collect()
}

/// Moments, or times without a zone where one of the bounds is such and none is a moment.
fn times(types: &[DataType]) -> Option<Vec<DataType>> {
    let [from, to, step] = types else { return None };
    let interval = DataType::Interval(IntervalUnit::MonthDayNano);
    let is_time = |t: &DataType| is_unknown(t) || matches!(t, DataType::Date32 | DataType::Timestamp(..));
    if !is_time(from) || !is_time(to) || !is_unknown(step) && *step != interval {
        return None;
    }
    let of_zone =
        |wanted: bool| [from, to].iter().any(|t| matches!(t, DataType::Timestamp(_, zone) if zone.is_some() == wanted));
    let zone = (of_zone(true) || !of_zone(false)).then(|| "UTC".into());
    let time = DataType::Timestamp(TimeUnit::Microsecond, zone);
    Some(vec![time.clone(), time, interval])
}

/// The elements of all rows, how many each has, and which have any bounds.
struct Made<V> {
    values: V,
    lengths: Vec<usize>,
    valid: Vec<bool>,
}

impl<T> Made<Vec<T>> {
    fn into_array<A: Array + 'static>(self, array: impl FnOnce(Vec<T>) -> Result<A>) -> Result<Made<ArrayRef>> {
        let Self { values, lengths, valid } = self;
        Ok(Made { values: Arc::new(array(values)?), lengths, valid })
    }
}

/// The series of every row: `next` gives what follows an element, from the first on until there is none.
fn each_row<T: ArrowPrimitiveType>(
    rows: usize,
    mut begin: impl FnMut(usize) -> Result<Option<Series<T::Native>>>,
) -> Result<Made<Vec<T::Native>>> {
    let (mut values, mut lengths, mut valid) = (Vec::new(), Vec::with_capacity(rows), Vec::with_capacity(rows));
    for row in 0..rows {
        let before = values.len();
        let series = begin(row)?;
        valid.push(series.is_some());
        if let Some(Series { first, next }) = series {
            let mut current = first;
            while let Some(value) = current {
                if values.len() == ELEMENTS_MAX {
                    return fail("54000", format!("GENERATE_SERIES makes more than {ELEMENTS_MAX} elements at a time"));
                }
                values.push(value);
                current = next(value)?;
            }
        }
        lengths.push(values.len() - before);
    }
    Ok(Made { values, lengths, valid })
}

/// The first element, and what comes behind one.
struct Series<T> {
    first: Option<T>,
    next: Box<dyn Fn(T) -> Result<Option<T>>>,
}

fn zero_step<T>() -> Result<T> {
    fail(INVALID_PARAMETER, "step size cannot equal zero")
}

/// A series of numbers up to a bound.
fn numbers<T>(first: T, last: T, step: T, zero: T, plus: fn(T, T) -> Option<T>) -> Result<Option<Series<T>>>
where
    T: Copy + PartialOrd + 'static,
{
    if step == zero {
        return zero_step();
    }
    let is_within = move |value: &T| if step > zero { *value <= last } else { *value >= last };
    let next = Box::new(move |value: T| Ok(plus(value, step).filter(is_within)));
    Ok(Some(Series { first: Some(first).filter(is_within), next }))
}

fn whole(args: &[ArrayRef]) -> Result<Made<ArrayRef>> {
    let args = args.iter().map(|a| Ok(cast(a, &DataType::Int64)?)).collect::<Result<Vec<_>>>()?;
    let columns: Vec<&PrimitiveArray<Int64Type>> = args.iter().map(|a| a.as_primitive()).collect();
    let made = each_row::<Int64Type>(columns[0].len(), |row| {
        let Some((first, last, step)) = bounds(&columns, row, 1) else { return Ok(None) };
        numbers(first, last, step, 0, i64::checked_add)
    })?;
    made.into_array(|values| Ok(PrimitiveArray::<Int64Type>::from_iter_values(values)))
}

/// First, last, step of a row; `None` where one is NULL.
fn bounds<T: ArrowPrimitiveType>(
    columns: &[&PrimitiveArray<T>],
    row: usize,
    one: T::Native,
) -> Option<(T::Native, T::Native, T::Native)> {
    let at = |column: &PrimitiveArray<T>| column.is_valid(row).then(|| column.value(row));
    let step = columns.get(2).map_or(Some(one), |step| at(step))?;
    Some((at(columns[0])?, at(columns[1])?, step))
}

/// NUMERIC of so many digits; a bound with more of them is one that no element passes.
fn scaled(args: &[ArrayRef], digits: i8) -> Result<Made<ArrayRef>> {
    let columns: Vec<&PrimitiveArray<Decimal128Type>> = args.iter().map(|a| a.as_primitive()).collect();
    let scales: Vec<i8> = columns.iter().map(|column| column.scale()).collect();
    let unit = |scale: i8| 10i128.pow(u32::from(scale.unsigned_abs()));
    let one = unit(scales.get(2).copied().unwrap_or(0));
    let step_scale = scales.get(2).copied().unwrap_or(0);
    let made = each_row::<Decimal128Type>(columns[0].len(), |row| {
        let Some((first, last, step)) = bounds(&columns, row, one) else { return Ok(None) };
        let with_digits = |value: i128, scale: i8| value.checked_mul(unit(digits - scale));
        let (Some(first), Some(step)) = (with_digits(first, scales[0]), with_digits(step, step_scale)) else {
            return fail(super::OUT_OF_RANGE, "numeric field overflow");
        };
        let last = match (scales[1] > digits, step > 0) {
            (false, _) => with_digits(last, scales[1]).unwrap_or(if last > 0 { i128::MAX } else { i128::MIN }),
            (true, true) => last.div_euclid(unit(scales[1] - digits)),
            (true, false) => -(-last).div_euclid(unit(scales[1] - digits)),
        };
        numbers(first, last, step, 0, i128::checked_add)
    })?;
    made.into_array(|values| {
        let values = PrimitiveArray::<Decimal128Type>::from_iter_values(values);
        Ok(values.with_precision_and_scale(38, digits)?)
    })
}

fn moments(args: &[ArrayRef], zone: Option<Zone>) -> Result<Made<ArrayRef>> {
    let times: Vec<&PrimitiveArray<TimestampMicrosecondType>> = args[..2].iter().map(|a| a.as_primitive()).collect();
    let steps = args[2].as_primitive::<IntervalMonthDayNanoType>();
    let made = each_row::<TimestampMicrosecondType>(steps.len(), |row| {
        let Some((first, last, _)) = bounds(&times, row, 0).filter(|_| steps.is_valid(row)) else { return Ok(None) };
        let step = steps.value(row);
        let direction = length(step);
        if direction == 0 {
            return zero_step();
        }
        let is_within = move |value: &i64| if direction > 0 { *value <= last } else { *value >= last };
        let next = Box::new(move |value: i64| match later(value, step, zone) {
            Some(next) => Ok(Some(next).filter(is_within)),
            None => fail(TIME_OUT_OF_RANGE, "timestamp out of range"),
        });
        Ok(Some(Series { first: Some(first).filter(is_within), next }))
    })?;
    made.into_array(|values| {
        let values = PrimitiveArray::<TimestampMicrosecondType>::from_iter_values(values);
        Ok(values.with_timezone_opt(zone.map(|_| "UTC")))
    })
}

/// In nanoseconds, where a month has 30 days: whether the interval goes on or back.
fn length(step: IntervalMonthDayNano) -> i128 {
    let days = i128::from(step.months) * 30 + i128::from(step.days);
    days * i128::from(DAY_SECONDS) * 1_000_000_000 + i128::from(step.nanoseconds)
}

/// Microseconds, an interval later: months and days by the calendar of the zone, the rest as time that passes.
fn later(micros: i64, step: IntervalMonthDayNano, zone: Option<Zone>) -> Option<i64> {
    let mut micros = micros;
    if step.months != 0 || step.days != 0 {
        let seconds = micros.div_euclid(SECOND_MICROS);
        let local = seconds + zone.map_or(0, |zone| zone.offset_seconds(seconds));
        let day = add_months(local.div_euclid(DAY_SECONDS), i64::from(step.months)) + i64::from(step.days);
        let local = day.checked_mul(DAY_SECONDS)? + local.rem_euclid(DAY_SECONDS);
        let moved = zone.map_or(local, |zone| zone.instant_seconds(local));
        micros = moved.checked_mul(SECOND_MICROS)?.checked_add(micros.rem_euclid(SECOND_MICROS))?;
    }
    micros.checked_add(step.nanoseconds / 1000)
}
