//! Accumulators against a naive oracle: random rows, taken back and filtered, cut at random.

use super::{AggregateError, GroupedAccumulator, ListOptions, accumulator};
use arrow::array::*;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use eddyline_changes::Weights;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) const SLOTS: u32 = 5;

/// A row: slot, value, weight, passes the filter.
pub(super) type Row = (u32, Option<i64>, i64, Option<bool>);

/// Types that the small numbers of the rows are cast to, with the results of SUM and AVG.
fn types() -> Vec<(DataType, Option<[DataType; 2]>)> {
    use DataType::*;
    let numbers = |sum: DataType, avg: DataType| Some([sum, avg]);
    vec![
        (Int8, numbers(Int64, Int8)),
        (Int16, numbers(Int64, Int16)),
        (Int32, numbers(Int64, Int32)),
        (Int64, numbers(Int64, Int64)),
        (Float32, numbers(Float64, Float64)),
        (Float64, numbers(Float64, Float64)),
        (Decimal128(10, 2), numbers(Decimal128(38, 2), Decimal128(38, 6))),
        (Boolean, None),
        (Utf8, None),
        (Binary, None),
        (Date32, None),
        (Time32(TimeUnit::Millisecond), None),
        (Time64(TimeUnit::Microsecond), None),
        (Timestamp(TimeUnit::Millisecond, None), None),
        (Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), None),
    ]
}

/// `SELECT function(value) … GROUP BY slot` over a list of numbers, the naive way.
fn expected(function: &str, numbers: &[i64], arg: &DataType, result: &DataType) -> ArrayRef {
    let one = |value: Option<i64>| column(&[value], arg);
    let sum: i64 = numbers.iter().sum();
    let count = numbers.len() as i64;
    match function {
        "count" => Arc::new(Int64Array::from(vec![count])),
        "sum" if count > 0 => cast(&column(&[Some(sum)], &DataType::Int64), result).expect("cast"),
        "avg" if count > 0 => match result {
            DataType::Float64 => Arc::new(Float64Array::from(vec![sum as f64 / count as f64])),
            DataType::Decimal128(p, s) => {
                let exact = sum * 10i64.pow(*s as u32);
                let half_up = (2 * exact.abs() + count) / (2 * count) * exact.signum();
                let values = Decimal128Array::from(vec![i128::from(half_up)]);
                Arc::new(values.with_precision_and_scale(*p, *s).expect("fits"))
            }
            _ => cast(&column(&[Some(sum / count)], &DataType::Int64), result).expect("cast"),
        },
        "sum" | "avg" => new_null_array(result, 1),
        extreme => {
            let values = column(&numbers.iter().map(|n| Some(*n)).collect::<Vec<_>>(), arg);
            let order = arrow::compute::sort_to_indices(&values, None, None).expect("sortable");
            let at = if extreme == "min" { order.values().first() } else { order.values().last() };
            at.map_or_else(|| one(None), |at| values.slice(*at as usize, 1))
        }
    }
}

pub(super) fn column(values: &[Option<i64>], data_type: &DataType) -> ArrayRef {
    let numbers: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
    let via = match data_type {
        DataType::Binary => DataType::Utf8,
        DataType::Date32 | DataType::Time32(_) => DataType::Int32,
        other => other.clone(),
    };
    cast(&cast(&numbers, &via).expect("cast"), data_type).expect("cast")
}

fn feed(acc: &mut dyn GroupedAccumulator, rows: &[Row], arg: &DataType, star: bool) -> Result<(), AggregateError> {
    let slots: Vec<u32> = rows.iter().map(|r| r.0).collect();
    let values = column(&rows.iter().map(|r| r.1).collect::<Vec<_>>(), arg);
    let args = if star { vec![] } else { vec![values] };
    let filter = BooleanArray::from(rows.iter().map(|r| r.3).collect::<Vec<_>>());
    let filter = rows.iter().any(|r| r.3 != Some(true)).then_some(&filter);
    acc.accumulate(&slots, &args, &Weights::from_vec(rows.iter().map(|r| r.2).collect()), filter)
}

/// What is in each slot after all rows, as sorted lists of numbers.
pub(super) fn contents(rows: &[Row], star: bool) -> BTreeMap<u32, Vec<i64>> {
    let mut counts: BTreeMap<(u32, i64), i64> = BTreeMap::new();
    for (slot, value, weight, passes) in rows {
        let value = if star { Some(value.unwrap_or(0)) } else { *value };
        if let (Some(value), Some(true)) = (value, passes) {
            *counts.entry((*slot, value)).or_default() += weight;
        }
    }
    let mut slots: BTreeMap<u32, Vec<i64>> = (0..SLOTS).map(|s| (s, vec![])).collect();
    for ((slot, value), count) in counts {
        slots.entry(slot).or_default().extend(std::iter::repeat_n(value, count as usize));
    }
    slots
}

/// Insertions, and retractions of some of them, shuffled: what is taken back may come before what it takes back.
pub(super) fn rows(may_retract: bool) -> impl Strategy<Value = Vec<Row>> {
    let value = prop_oneof![1 => Just(None), 6 => (-99i64..100).prop_map(Some)];
    let passes = prop_oneof![1 => Just(None), 2 => Just(Some(false)), 9 => Just(Some(true))];
    let row = (0..SLOTS, value, 1i64..4, passes, 0i64..4);
    prop::collection::vec(row, 0..200)
        .prop_map(move |rows| {
            let mut all = Vec::new();
            for (slot, value, weight, passes, back) in rows {
                all.push((slot, value, weight, passes));
                if may_retract && back > 0 {
                    all.push((slot, value, -weight.min(back), passes));
                }
            }
            all
        })
        .prop_shuffle()
}

fn check(function: &str, rows: &[Row], cuts: &[usize], append_only: bool) -> Result<(), TestCaseError> {
    for (arg, results) in types() {
        let result = match (function, &results) {
            ("count", _) => DataType::Int64,
            ("sum", Some([sum, _])) => sum.clone(),
            ("avg", Some([_, avg])) => avg.clone(),
            ("min" | "max", _) => arg.clone(),
            _ => continue,
        };
        for star in if function == "count" { vec![true, false] } else { vec![false] } {
            let args = if star { vec![] } else { vec![arg.clone()] };
            let made = || {
                let mut acc =
                    accumulator(function, &args, &result, append_only, &ListOptions::default()).expect("known");
                acc.resize(SLOTS as usize);
                acc
            };
            let all: Vec<u32> = (0..SLOTS).collect();
            let (mut acc, mut merged, mut exact, mut restored) = (made(), made(), made(), made());
            let mut from = 0;
            for to in cuts.iter().map(|c| c % (rows.len() + 1)).chain([rows.len()]) {
                let batch = &rows[from.min(to)..to];
                from = from.max(to);
                feed(acc.as_mut(), batch, &arg, star).expect("accumulates");
                if append_only || !matches!(function, "min" | "max") {
                    let mut local = made();
                    feed(local.as_mut(), batch, &arg, star).expect("accumulates");
                    merged.merge(&all, &local.partials(&all).expect("partials")).expect("merges");
                    exact.merge_exact(&all, &local.exact_partials(&all).expect("partials")).expect("merges");
                }
                // Save and load everything, half way.
                feed(restored.as_mut(), batch, &arg, star).expect("accumulates");
                let mut fresh = made();
                for slot in 0..SLOTS {
                    let mut saved = Vec::new();
                    restored.save(slot, &mut saved);
                    let mut input = saved.as_slice();
                    fresh.load(slot, &mut input).expect("loads");
                    prop_assert!(input.is_empty());
                }
                restored = fresh;
            }
            let context = format!("{function}({arg})");
            for (slot, numbers) in contents(rows, star) {
                let want = expected(function, &numbers, &arg, &result);
                prop_assert_eq!(&acc.evaluate(&[slot]).expect("evaluates"), &want, "{}", &context);
                prop_assert_eq!(&restored.evaluate(&[slot]).expect("evaluates"), &want, "{}", &context);
                if append_only || !matches!(function, "min" | "max") {
                    prop_assert_eq!(&merged.evaluate(&[slot]).expect("evaluates"), &want, "{}", &context);
                    prop_assert_eq!(&exact.evaluate(&[slot]).expect("evaluates"), &want, "{}", &context);
                }
            }
            if !append_only {
                let back: Vec<Row> = rows.iter().map(|r| (r.0, r.1, -r.2, r.3)).collect();
                feed(acc.as_mut(), &back, &arg, star).expect("accumulates");
                for slot in 0..SLOTS {
                    let (mut left, mut nothing) = (Vec::new(), Vec::new());
                    acc.save(slot, &mut left);
                    made().save(slot, &mut nothing);
                    prop_assert_eq!(left, nothing, "{}: everything was taken back", &context);
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..Default::default() })]

    #[test]
    fn insertions_agree_with_the_oracle(rows in rows(false), cuts in prop::collection::vec(0usize..200, 0..4)) {
        for function in ["count", "sum", "avg", "min", "max"] {
            let mut cuts = cuts.clone();
            cuts.sort_unstable_by_key(|c| c % (rows.len() + 1));
            check(function, &rows, &cuts, true)?;
        }
    }

    #[test]
    fn retractions_agree_with_the_oracle(rows in rows(true), cuts in prop::collection::vec(0usize..200, 0..4)) {
        for function in ["count", "sum", "avg", "min", "max"] {
            let mut cuts = cuts.clone();
            cuts.sort_unstable_by_key(|c| c % (rows.len() + 1));
            check(function, &rows, &cuts, false)?;
        }
    }

    #[test]
    fn double_sums_do_not_drift(
        values in prop::collection::vec((any::<f64>(), 0u32..2), 1..60),
        order in any::<u64>(),
    ) {
        let made = || {
            let mut acc = accumulator("sum", &[DataType::Float64], &DataType::Float64, false, &ListOptions::default()).expect("known");
            acc.resize(2);
            acc
        };
        let feed = |acc: &mut dyn GroupedAccumulator, rows: &[(f64, u32)], weight: i64| {
            let slots: Vec<u32> = rows.iter().map(|r| r.1).collect();
            let column: ArrayRef = Arc::new(Float64Array::from_iter_values(rows.iter().map(|r| r.0)));
            acc.accumulate(&slots, &[column], &Weights::from_vec(vec![weight; rows.len()]), None).expect("adds");
        };
        let half = values.len() / 2;
        let (mut direct, mut roundabout) = (made(), made());
        feed(direct.as_mut(), &values[half..], 1);
        let mut shuffled = values.clone();
        shuffled.rotate_left((order % values.len() as u64) as usize);
        feed(roundabout.as_mut(), &shuffled, 1);
        feed(roundabout.as_mut(), &values[..half], -1);
        let bits = |acc: &dyn GroupedAccumulator| {
            let results = acc.evaluate(&[0, 1]).expect("evaluates");
            let results = results.as_primitive::<arrow::datatypes::Float64Type>();
            results.iter().map(|v| v.map(|v| if v.is_nan() { f64::NAN.to_bits() } else { v.to_bits() })).collect::<Vec<_>>()
        };
        prop_assert_eq!(bits(direct.as_ref()), bits(roundabout.as_ref()));
        feed(roundabout.as_mut(), &values[half..], -1);
        let (mut left, mut nothing) = (Vec::new(), Vec::new());
        (0..2).for_each(|slot| roundabout.save(slot, &mut left));
        (0..2).for_each(|slot| made().save(slot, &mut nothing));
        prop_assert_eq!(left, nothing);
    }
}

fn longs(function: &str, result: DataType, append_only: bool) -> Box<dyn GroupedAccumulator> {
    let mut acc =
        accumulator(function, &[DataType::Int64], &result, append_only, &ListOptions::default()).expect("known");
    acc.resize(2);
    acc
}

fn add(acc: &mut dyn GroupedAccumulator, rows: &[(i64, i64)]) -> Result<(), AggregateError> {
    let rows: Vec<Row> = rows.iter().map(|(value, weight)| (0, Some(*value), *weight, Some(true))).collect();
    feed(acc, &rows, &DataType::Int64, false)
}

fn long(acc: &dyn GroupedAccumulator) -> Option<i64> {
    acc.evaluate(&[0]).expect("evaluates").as_primitive::<Int64Type>().iter().next().flatten()
}

#[test]
fn sums_beyond_64_bits_are_kept_but_no_result() {
    let mut acc = longs("sum", DataType::Int64, false);
    add(acc.as_mut(), &[(i64::MAX, 1), (i64::MAX, 1), (7, 1)]).expect("kept");
    assert!(matches!(acc.evaluate(&[0]), Err(AggregateError::Overflow { .. })));
    let mut saved = Vec::new();
    acc.save(0, &mut saved);
    let mut other = longs("sum", DataType::Int64, false);
    other.load(0, &mut saved.as_slice()).expect("loads");
    add(other.as_mut(), &[(i64::MAX, -1)]).expect("taken back");
    assert!(matches!(other.evaluate(&[0]), Err(AggregateError::Overflow { .. })));
    add(other.as_mut(), &[(7, -1)]).expect("taken back");
    assert_eq!(long(other.as_ref()), Some(i64::MAX));

    let mut average = longs("avg", DataType::Int64, true);
    add(average.as_mut(), &[(i64::MAX, 1), (i64::MAX, 1)]).expect("kept");
    assert_eq!(long(average.as_ref()), Some(i64::MAX));
}

#[test]
fn averages_of_integers_are_truncated_toward_zero() {
    let mut acc = longs("avg", DataType::Int64, false);
    add(acc.as_mut(), &[(-1, 1), (-2, 1)]).expect("adds");
    assert_eq!(long(acc.as_ref()), Some(-1));
    add(acc.as_mut(), &[(-1, -1), (-2, -1)]).expect("takes back");
    assert_eq!(long(acc.as_ref()), None);
}

#[test]
fn averages_of_decimals_are_rounded_half_up() {
    let mut acc =
        accumulator("avg", &[DataType::Decimal128(4, 0)], &DataType::Decimal128(38, 6), true, &ListOptions::default())
            .expect("known");
    acc.resize(2);
    let average = |acc: &mut dyn GroupedAccumulator, slot: u32, values: &[i64]| {
        let rows: Vec<Row> = values.iter().map(|v| (slot, Some(*v), 1, Some(true))).collect();
        feed(acc, &rows, &DataType::Decimal128(4, 0), false).expect("adds");
        acc.evaluate(&[slot]).expect("evaluates").as_primitive::<arrow::datatypes::Decimal128Type>().value(0)
    };
    assert_eq!(average(acc.as_mut(), 0, &[-1, -1, 0]), -666_667);
    assert_eq!(average(acc.as_mut(), 1, &[1, 0, 0]), 333_333);
}

#[test]
fn what_was_never_inserted_is_not_taken_back_silently() {
    for (function, append_only) in [("count", false), ("sum", false), ("avg", false), ("min", false), ("max", false)] {
        let mut acc = longs(function, DataType::Int64, append_only);
        add(acc.as_mut(), &[(3, 1), (4, -1)]).expect("might still come");
        if function != "count" {
            let failed = acc.evaluate(&[0]);
            assert!(matches!(failed, Err(AggregateError::Retraction { .. })), "{function}: {failed:?}");
        }
        add(acc.as_mut(), &[(4, -1)]).expect("might still come");
        assert!(matches!(acc.evaluate(&[0]), Err(AggregateError::Retraction { .. })), "{function}");
    }
    for function in ["min", "max"] {
        let failed = add(longs(function, DataType::Int64, true).as_mut(), &[(3, 1), (3, -1)]);
        assert!(matches!(failed, Err(AggregateError::Retraction { .. })), "{function}");
    }
}

#[test]
fn the_greatest_key_is_a_value_like_any_other() {
    for (function, value) in [("min", i64::MAX), ("max", i64::MIN)] {
        let mut acc = longs(function, DataType::Int64, true);
        assert_eq!(long(acc.as_ref()), None);
        add(acc.as_mut(), &[(value, 1)]).expect("adds");
        assert_eq!(long(acc.as_ref()), Some(value));
        let mut saved = Vec::new();
        acc.save(0, &mut saved);
        acc.clear(0);
        assert_eq!(long(acc.as_ref()), None);
        acc.load(0, &mut saved.as_slice()).expect("loads");
        assert_eq!(long(acc.as_ref()), Some(value));
    }
}

#[test]
fn nan_is_the_greatest_double() {
    let values: ArrayRef = Arc::new(Float64Array::from(vec![1.0, -f64::NAN, f64::INFINITY, -0.0]));
    for append_only in [true, false] {
        let result = |function: &str| {
            let mut acc =
                accumulator(function, &[DataType::Float64], &DataType::Float64, append_only, &ListOptions::default())
                    .expect("known");
            acc.resize(1);
            acc.accumulate(&[0; 4], std::slice::from_ref(&values), &Weights::AllInserts, None).expect("adds");
            acc.evaluate(&[0]).expect("evaluates").as_primitive::<arrow::datatypes::Float64Type>().value(0)
        };
        assert!(result("max").is_nan());
        assert_eq!(result("min").to_bits(), (-0.0f64).to_bits());
    }
}

#[test]
fn damaged_and_foreign_bytes_are_refused() {
    for function in ["count", "sum", "avg", "min", "max"] {
        for append_only in [true, false] {
            let mut acc = longs(function, DataType::Int64, append_only);
            add(acc.as_mut(), &[(3, 1), (5, 2)]).expect("adds");
            let mut saved = Vec::new();
            acc.save(0, &mut saved);
            for cut in 0..saved.len() {
                assert!(matches!(acc.load(1, &mut &saved[..cut]), Err(AggregateError::Corrupt(_))), "{function}");
            }
            saved[0] = 99;
            assert!(matches!(acc.load(1, &mut saved.as_slice()), Err(AggregateError::Corrupt(_))), "{function}");
        }
    }
}

#[test]
fn unknown_aggregates_name_their_types() {
    let Err(error) = accumulator("sum", &[DataType::Utf8], &DataType::Int64, true, &ListOptions::default()) else {
        panic!("SUM(STRING)")
    };
    assert_eq!(error.to_string(), "no aggregate SUM(Utf8)");
}
