//! Statistics, bits, booleans and lists of values against a naive oracle, as in `tests`.

use super::tests::{Row, SLOTS, column, contents, rows};
use super::{AggregateError, GroupedAccumulator, ListOptions, ListOrder, accumulator};
use arrow::array::*;
use arrow::compute::{SortOptions, cast};
use arrow::datatypes::{DataType, Field, Float64Type};
use eddyline_changes::Weights;
use proptest::prelude::*;
use std::sync::Arc;

/// An aggregate to be tested.
struct Subject {
    function: &'static str,
    arg: DataType,
    result: DataType,
    /// Two arguments: the value, and three times the value.
    two: bool,
    list: ListOptions,
}

fn subject(function: &'static str, arg: DataType, result: DataType) -> Subject {
    Subject { function, arg, result, two: false, list: ListOptions::default() }
}

fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

fn counts_of(key: DataType) -> DataType {
    let pair = vec![Field::new("key", key, false), Field::new("value", DataType::Int32, true)];
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(pair.into()), false)), false)
}

fn subjects() -> Vec<Subject> {
    use DataType::*;
    let mut all = Vec::new();
    for function in ["var_pop", "var", "stddev_pop", "stddev"] {
        all.push(subject(function, Float64, Float64));
    }
    for function in ["covar_pop", "covar_samp", "corr"] {
        all.push(Subject { two: true, ..subject(function, Float64, Float64) });
    }
    for function in ["bool_and", "bool_or"] {
        all.push(subject(function, Boolean, Boolean));
    }
    for function in ["bit_and", "bit_or", "bit_xor"] {
        [Int8, Int16, Int32, Int64].into_iter().for_each(|t| all.push(subject(function, t.clone(), t)));
    }
    for once in [false, true] {
        let list = || ListOptions { once, separator: "; ".into(), fraction: 0.25, ..ListOptions::default() };
        all.push(Subject { list: list(), ..subject("array_agg", Int64, list_of(Int64)) });
        all.push(Subject { list: list(), ..subject("string_agg", Utf8, Utf8) });
        all.push(Subject { list: list(), ..subject("collect", Int64, counts_of(Int64)) });
        all.push(Subject { list: list(), ..subject("percentile_cont", Float64, Float64) });
    }
    all.push(subject("any_value", Int64, Int64));
    for descending in [false, true] {
        let options = SortOptions { descending, nulls_first: !descending };
        let list = || ListOptions { order: vec![ListOrder { data_type: Int64, options }], ..ListOptions::default() };
        all.push(Subject { list: list(), ..subject("first_value", Int64, Int64) });
        all.push(Subject { list: list(), ..subject("last_value", Int64, Int64) });
        all.push(Subject { list: list(), ..subject("array_agg", Int64, list_of(Int64)) });
    }
    all
}

impl Subject {
    fn made(&self, append_only: bool) -> Box<dyn GroupedAccumulator> {
        let args = vec![self.arg.clone(); if self.two { 2 } else { 1 }];
        let mut acc = accumulator(self.function, &args, &self.result, append_only, &self.list).expect("known");
        acc.resize(SLOTS as usize);
        acc
    }

    fn feed(&self, acc: &mut dyn GroupedAccumulator, rows: &[Row]) -> Result<(), AggregateError> {
        let slots: Vec<u32> = rows.iter().map(|r| r.0).collect();
        let values: Vec<Option<i64>> = rows.iter().map(|r| r.1).collect();
        let mut args = vec![column(&values, &self.arg)];
        if self.two {
            args.push(column(&values.iter().map(|v| v.map(|v| v * 3)).collect::<Vec<_>>(), &self.arg));
        }
        self.list.order.iter().for_each(|o| args.push(column(&values, &o.data_type)));
        let filter = BooleanArray::from(rows.iter().map(|r| r.3).collect::<Vec<_>>());
        acc.accumulate(&slots, &args, &Weights::from_vec(rows.iter().map(|r| r.2).collect()), Some(&filter))
    }

    /// The naive way, over sorted numbers.
    fn expected(&self, numbers: &[i64]) -> ArrayRef {
        let n = numbers.len() as i64;
        if n == 0 {
            return new_null_array(&self.result, 1);
        }
        let sum: i64 = numbers.iter().sum();
        let squares: i64 = numbers.iter().map(|v| v * v).sum();
        let spread = (n * squares - sum * sum) as f64;
        let double = |v: Option<f64>| Arc::new(Float64Array::from(vec![v])) as ArrayRef;
        let long = |v: i64| cast(&column(&[Some(v)], &DataType::Int64), &self.arg).expect("fits");
        let times = if self.two { 3.0 } else { 1.0 };
        let sample = (n > 1).then(|| times * spread / (n * (n - 1)) as f64);
        let population = times * spread / (n * n) as f64;
        let descending = self.list.order.first().is_some_and(|o| o.options.descending);
        let mut listed = numbers.to_vec();
        if self.list.once {
            listed.dedup();
        }
        if descending {
            listed.reverse();
        }
        match self.function {
            "var_pop" | "covar_pop" => double(Some(population)),
            "var" | "covar_samp" => double(sample),
            "stddev_pop" => double(Some(population.sqrt())),
            "stddev" => double(sample.map(f64::sqrt)),
            "corr" => double((spread != 0.0).then_some(1.0)),
            "bool_and" => Arc::new(BooleanArray::from(vec![numbers.iter().all(|v| *v != 0)])),
            "bool_or" => Arc::new(BooleanArray::from(vec![numbers.iter().any(|v| *v != 0)])),
            "bit_and" => long(numbers.iter().fold(-1, |a, b| a & b)),
            "bit_or" => long(numbers.iter().fold(0, |a, b| a | b)),
            "bit_xor" => long(numbers.iter().fold(0, |a, b| a ^ b)),
            "any_value" | "first_value" => long(listed[0]),
            "last_value" => long(listed[listed.len() - 1]),
            "array_agg" => {
                let mut list = ListBuilder::new(Int64Builder::new());
                list.append_value(listed.iter().map(|v| Some(*v)));
                Arc::new(list.finish())
            }
            "string_agg" => {
                let mut texts: Vec<String> = numbers.iter().map(ToString::to_string).collect();
                texts.sort();
                if self.list.once {
                    texts.dedup();
                }
                Arc::new(StringArray::from(vec![texts.join("; ")]))
            }
            "collect" => {
                listed.dedup();
                let count = |v: &i64| numbers.iter().filter(|n| *n == v).count() as i32;
                let counts: Vec<i32> = listed.iter().map(|v| if self.list.once { 1 } else { count(v) }).collect();
                let names = MapFieldNames { entry: "entries".into(), key: "key".into(), value: "value".into() };
                let mut map = MapBuilder::new(Some(names), Int64Builder::new(), Int32Builder::new());
                map.keys().append_slice(&listed);
                map.values().append_slice(&counts);
                map.append(true).expect("as many values as keys");
                Arc::new(map.finish())
            }
            "percentile_cont" => {
                let place = 0.25 * (listed.len() - 1) as f64;
                let (low, high) = (listed[place.floor() as usize] as f64, listed[place.ceil() as usize] as f64);
                double(Some(low + (high - low) * place.fract()))
            }
            other => panic!("{other}"),
        }
    }

    fn check(&self, rows: &[Row], cuts: &[usize], append_only: bool) -> Result<(), TestCaseError> {
        let merges = append_only || !matches!(self.function, "bit_and" | "bit_or");
        let all: Vec<u32> = (0..SLOTS).collect();
        let [mut acc, mut merged, mut restored] = [(); 3].map(|()| self.made(append_only));
        let mut from = 0;
        for to in cuts.iter().map(|c| c % (rows.len() + 1)).chain([rows.len()]) {
            let batch = &rows[from.min(to)..to];
            from = from.max(to);
            self.feed(acc.as_mut(), batch).expect("accumulates");
            if merges {
                let mut local = self.made(append_only);
                self.feed(local.as_mut(), batch).expect("accumulates");
                // What is taken back before it comes has a partial too, unless that partial is a result.
                if let Ok(partials) = local.partials(&all) {
                    merged.merge(&all, &partials).expect("merges");
                }
            }
            self.feed(restored.as_mut(), batch).expect("accumulates");
            let mut fresh = self.made(append_only);
            for slot in 0..SLOTS {
                let mut saved = Vec::new();
                restored.save(slot, &mut saved);
                let mut input = saved.as_slice();
                fresh.load(slot, &mut input).expect("loads");
                prop_assert!(input.is_empty());
            }
            restored = fresh;
        }
        for (slot, numbers) in contents(rows, false) {
            let want = self.expected(&numbers);
            let context = format!("{}({}) {:?}", self.function, self.arg, self.list);
            prop_assert_eq!(&acc.evaluate(&[slot]).expect("evaluates"), &want, "{}", &context);
            prop_assert_eq!(&restored.evaluate(&[slot]).expect("evaluates"), &want, "{}", &context);
            if merges {
                prop_assert_eq!(&merged.evaluate(&[slot]).expect("evaluates"), &want, "merged {}", &context);
            }
        }
        if !append_only {
            let back: Vec<Row> = rows.iter().map(|r| (r.0, r.1, -r.2, r.3)).collect();
            self.feed(acc.as_mut(), &back).expect("accumulates");
            for slot in 0..SLOTS {
                let (mut left, mut nothing) = (Vec::new(), Vec::new());
                acc.save(slot, &mut left);
                self.made(false).save(slot, &mut nothing);
                prop_assert_eq!(left, nothing, "{}: everything was taken back", self.function);
            }
        }
        Ok(())
    }
}

/// Rows whose NULLs do not count: what `contents` holds. ARRAY_AGG, FIRST_VALUE and LAST_VALUE take them otherwise.
fn not_null(rows: Vec<Row>) -> Vec<Row> {
    rows.into_iter().filter(|r| r.1.is_some()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..Default::default() })]

    #[test]
    fn all_agree_with_the_oracle(
        inserted in rows(false), changed in rows(true), cuts in prop::collection::vec(0usize..200, 0..4),
    ) {
        for subject in subjects() {
            let takes_nulls = matches!(subject.function, "array_agg" | "first_value" | "last_value");
            for (rows, append_only) in [(&inserted, true), (&changed, false), (&inserted, false)] {
                let rows = if takes_nulls { not_null(rows.clone()) } else { rows.clone() };
                let mut cuts = cuts.clone();
                cuts.sort_unstable_by_key(|c| c % (rows.len() + 1));
                subject.check(&rows, &cuts, append_only)?;
            }
        }
    }

    /// Any doubles: the result is that of the values that are left, to the last bit, and everything taken back
    /// leaves nothing.
    #[test]
    fn moments_do_not_drift(
        values in prop::collection::vec((any::<f64>(), any::<f64>(), 1i64..4), 2..40), order in any::<usize>(),
    ) {
        for function in ["var_pop", "stddev", "covar_pop", "corr"] {
            let two = matches!(function, "covar_pop" | "corr");
            let args = vec![DataType::Float64; if two { 2 } else { 1 }];
            let made = || {
                let mut acc = accumulator(function, &args, &DataType::Float64, false, &ListOptions::default()).expect("known");
                acc.resize(1);
                acc
            };
            let feed = |acc: &mut dyn GroupedAccumulator, rows: &[(f64, f64, i64)], sign: i64| {
                let one: ArrayRef = Arc::new(Float64Array::from_iter_values(rows.iter().map(|r| r.0)));
                let other: ArrayRef = Arc::new(Float64Array::from_iter_values(rows.iter().map(|r| r.1)));
                let weights = Weights::from_vec(rows.iter().map(|r| r.2 * sign).collect());
                let columns = [one, other];
                acc.accumulate(&vec![0; rows.len()], &columns[..args.len()], &weights, None).expect("adds");
            };
            let (gone, kept) = values.split_at(values.len() / 2);
            let (mut direct, mut roundabout) = (made(), made());
            feed(direct.as_mut(), kept, 1);
            let mut shuffled = values.clone();
            shuffled.rotate_left(order % values.len());
            feed(roundabout.as_mut(), &shuffled, 1);
            feed(roundabout.as_mut(), gone, -1);
            let bits = |acc: &dyn GroupedAccumulator| {
                let result = acc.evaluate(&[0]).expect("evaluates");
                result.as_primitive::<Float64Type>().iter().next().flatten().map(|v| if v.is_nan() { 0 } else { v.to_bits() })
            };
            prop_assert_eq!(bits(direct.as_ref()), bits(roundabout.as_ref()), "{}", function);
            feed(roundabout.as_mut(), kept, -1);
            let (mut left, mut nothing) = (Vec::new(), Vec::new());
            roundabout.save(0, &mut left);
            made().save(0, &mut nothing);
            prop_assert_eq!(left, nothing, "{}", function);
        }
    }
}

fn variance(function: &str, values: &[f64]) -> Option<f64> {
    let mut acc =
        accumulator(function, &[DataType::Float64], &DataType::Float64, true, &ListOptions::default()).expect("known");
    acc.resize(1);
    let column: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
    acc.accumulate(&vec![0; values.len()], &[column], &Weights::AllInserts, None).expect("adds");
    acc.evaluate(&[0]).expect("evaluates").as_primitive::<Float64Type>().iter().next().flatten()
}

#[test]
fn a_small_spread_of_large_values_is_not_cancelled() {
    // 1e9 + {4, 7, 13, 16}: the mean is 1e9 + 10, the squares of the distances 36, 9, 9, 36.
    let values: Vec<f64> = [4.0, 7.0, 13.0, 16.0].iter().map(|v| 1e9 + v).collect();
    assert_eq!(variance("var_pop", &values), Some(22.5));
    assert_eq!(variance("var", &values), Some(30.0));
    let values: Vec<f64> = [4.0, 8.0].iter().map(|v| 1e15 + v).collect();
    assert_eq!(variance("stddev_pop", &values), Some(2.0));
    assert_eq!(variance("var", &[7.0]), None);
    assert_eq!(variance("var_pop", &[7.0]), Some(0.0));
}

#[test]
fn infinity_makes_a_variance_nan_and_huge_values_make_it_infinite() {
    assert!(variance("var_pop", &[1.0, f64::INFINITY]).is_some_and(f64::is_nan));
    assert_eq!(variance("var_pop", &[1e200, -1e200]), Some(f64::INFINITY));
}

#[test]
fn squares_near_the_limit_are_taken_back() {
    let large = 8.216401545128538e143;
    let mut acc = accumulator("var_pop", &[DataType::Float64], &DataType::Float64, false, &ListOptions::default())
        .expect("known");
    acc.resize(1);
    let column: ArrayRef = Arc::new(Float64Array::from(vec![large]));
    for weights in [vec![2], vec![-1], vec![-1]] {
        acc.accumulate(&[0], std::slice::from_ref(&column), &Weights::from_vec(weights), None).expect("adds");
    }
    assert!(acc.evaluate(&[0]).expect("nothing is left").is_null(0));
}

#[test]
fn lists_keep_nulls_and_decide_ties_by_value() {
    let order = SortOptions { descending: true, nulls_first: false };
    let list =
        ListOptions { order: vec![ListOrder { data_type: DataType::Int64, options: order }], ..Default::default() };
    let made = |function: &str, result: DataType| {
        let mut acc = accumulator(function, &[DataType::Utf8], &result, false, &list).expect("known");
        acc.resize(1);
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("b"), None, Some("a"), Some("z")]));
        let ranks: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(2), Some(1), None]));
        acc.accumulate(&[0; 4], &[texts, ranks], &Weights::AllInserts, None).expect("adds");
        acc.evaluate(&[0]).expect("evaluates")
    };
    let array = made("array_agg", list_of(DataType::Utf8));
    let wanted: ArrayRef = Arc::new(StringArray::from(vec![None, Some("a"), Some("b"), Some("z")]));
    assert_eq!(&array.as_list::<i32>().value(0), &wanted);
    assert!(made("first_value", DataType::Utf8).is_null(0));
    assert_eq!(made("last_value", DataType::Utf8).as_string::<i32>().value(0), "z");
}

#[test]
fn by_arrival_the_first_comes_first_and_nothing_is_taken_back() {
    let made = |function: &str| {
        let mut acc =
            accumulator(function, &[DataType::Int64], &DataType::Int64, true, &ListOptions::default()).expect("known");
        acc.resize(2);
        acc
    };
    let column: ArrayRef = Arc::new(Int64Array::from(vec![3, 1, 2]));
    for (function, wanted) in [("first_value", 3), ("last_value", 2)] {
        let mut acc = made(function);
        acc.accumulate(&[1; 3], std::slice::from_ref(&column), &Weights::AllInserts, None).expect("adds");
        let mut later = made(function);
        later.merge(&[0, 1], &acc.partials(&[0, 1]).expect("partials")).expect("merges");
        let result = later.evaluate(&[0, 1]).expect("evaluates");
        assert_eq!(result.as_primitive::<arrow::datatypes::Int64Type>(), &Int64Array::from(vec![None, Some(wanted)]));
        let back = acc.accumulate(&[1; 3], std::slice::from_ref(&column), &Weights::from_vec(vec![-1; 3]), None);
        assert!(matches!(back, Err(AggregateError::Retraction { .. })));
    }
    let none = accumulator("first_value", &[DataType::Int64], &DataType::Int64, false, &ListOptions::default());
    assert!(none.is_err());
}

#[test]
fn what_was_never_inserted_is_not_taken_back_silently() {
    for subject in subjects() {
        let mut acc = subject.made(false);
        subject.feed(acc.as_mut(), &[(0, Some(3), -1, Some(true))]).expect("might still come");
        let failed = acc.evaluate(&[0]);
        assert!(matches!(failed, Err(AggregateError::Retraction { .. })), "{}: {failed:?}", subject.function);
    }
}

#[test]
fn damaged_bytes_are_refused() {
    for subject in subjects() {
        for append_only in [true, false] {
            let mut acc = subject.made(append_only);
            subject.feed(acc.as_mut(), &[(0, Some(3), 1, Some(true)), (0, Some(5), 2, Some(true))]).expect("adds");
            let mut saved = Vec::new();
            acc.save(0, &mut saved);
            for cut in 0..saved.len() {
                assert!(
                    matches!(acc.load(1, &mut &saved[..cut]), Err(AggregateError::Corrupt(_))),
                    "{}",
                    subject.function
                );
            }
            saved[0] = 99;
            assert!(
                matches!(acc.load(1, &mut saved.as_slice()), Err(AggregateError::Corrupt(_))),
                "{}",
                subject.function
            );
        }
    }
}
