use super::{IndexedRows, Missing, Order, OrderedRows};
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use eddyline_plan::{ColumnCondition, Compare};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::sync::Arc;

type Row = (Option<i64>, Option<String>, i64);

fn schema() -> SchemaRef {
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    Arc::new(Schema::new(vec![field("a", DataType::Int64), field("b", DataType::Utf8), field("c", DataType::Int64)]))
}

fn batch(rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.0))),
        Arc::new(StringArray::from_iter(rows.iter().map(|row| row.1.clone()))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.2))),
    ];
    RecordBatch::try_new(schema(), columns).expect("rows")
}

fn rows(batches: impl Iterator<Item = Result<RecordBatch, arrow::error::ArrowError>>) -> Vec<Row> {
    let mut all = Vec::new();
    for batch in batches {
        let batch = batch.expect("rows");
        let (a, b, c) = (
            batch.column(0).as_primitive::<Int64Type>(),
            batch.column(1).as_string::<i32>(),
            batch.column(2).as_primitive::<Int64Type>(),
        );
        for at in 0..batch.num_rows() {
            let text = b.is_valid(at).then(|| b.value(at).to_owned());
            all.push((a.is_valid(at).then(|| a.value(at)), text, c.value(at)));
        }
    }
    all
}

fn change(table: &mut OrderedRows, changes: &[(Row, i64)]) -> Result<(), Missing> {
    let rows = batch(&changes.iter().map(|(row, _)| row.clone()).collect::<Vec<_>>());
    let keys = table.keys(&rows).expect("keys");
    table.change(&keys, &rows, |at| changes[at].1).expect("applies")
}

fn any_row(random: &mut SmallRng, keys: i64) -> Row {
    let a = random.random_range(-1..keys);
    let b = random.random_range(0..4);
    let text = if b == 0 { None } else { Some("x".repeat(b * b * 7)) };
    ((a >= 0).then_some(a), text, random.random_range(0..3))
}

fn check_shape(table: &OrderedRows) {
    let mut last: Option<Vec<u8>> = None;
    for chunk in table.chunks.iter() {
        assert!(chunk.len() > 0 && chunk.len() <= 2 * chunk.full_rows, "a chunk of {} rows", chunk.len());
        for at in 0..chunk.len() {
            let key = chunk.keys.value(at).to_vec();
            assert!(last.as_ref().is_none_or(|last| *last < key), "keys ascend");
            last = Some(key);
        }
    }
    let small = |pair: &[Arc<super::Chunk>]| pair[0].len() + pair[1].len() < pair[0].full_rows / 4;
    assert!(!table.chunks.windows(2).any(small), "neighbours are small");
}

/// Every row counts for itself.
#[test]
fn without_a_key_rows_are_counted() {
    for seed in 0..4 {
        let random = &mut SmallRng::seed_from_u64(seed);
        let mut table = OrderedRows::new(schema(), vec![0, 2, 1]).expect("a table");
        let mut model: BTreeMap<(Option<i64>, i64, Option<String>), i64> = BTreeMap::new();
        for step in 0..24 {
            let mut changes: BTreeMap<_, i64> = BTreeMap::new();
            let most = if step % 10 == 0 { 6000 } else { 30 };
            for _ in 0..random.random_range(1..most) {
                let row = any_row(random, 5000);
                let key = (row.0, row.2, row.1.clone());
                let there = model.get(&key).copied().unwrap_or(0) + changes.get(&row).copied().unwrap_or(0);
                let weight = if there > 0 && random.random_bool(0.5) { -there } else { random.random_range(1..3) };
                *changes.entry(row).or_default() += weight;
            }
            // Many go at once.
            if step % 13 == 12 {
                let from = random.random_range(0..5000);
                for ((a, c, b), copies) in model.iter().filter(|((a, ..), _)| *a >= Some(from)) {
                    changes.insert((*a, b.clone(), *c), -copies);
                }
            }
            let before = table.clone();
            let all_before = rows(before.batches());
            let list: Vec<(Row, i64)> = changes.into_iter().filter(|(_, weight)| *weight != 0).collect();
            change(&mut table, &list).expect("rows that are there");
            for ((a, b, c), weight) in list {
                *model.entry((a, c, b)).or_default() += weight;
            }
            model.retain(|_, copies| *copies != 0);
            let expected: Vec<Row> = model
                .iter()
                .flat_map(|((a, c, b), copies)| std::iter::repeat_n((*a, b.clone(), *c), *copies as usize))
                .collect();
            assert_eq!(rows(table.batches()), expected, "seed {seed}, step {step}");
            assert_eq!(rows(before.batches()), all_before, "a picture stays what it was");
            check_shape(&table);
        }
    }
}

/// A key has one row; one that comes takes the place of the one that goes.
#[test]
fn under_a_key_is_one_row() {
    for seed in 0..4 {
        let random = &mut SmallRng::seed_from_u64(seed);
        let mut table = OrderedRows::new(schema(), vec![0]).expect("a table");
        let mut model: BTreeMap<Option<i64>, Row> = BTreeMap::new();
        for step in 0..24 {
            let most = if step % 10 == 0 { 6000 } else { 30 };
            let mut new: BTreeMap<Option<i64>, Row> = BTreeMap::new();
            for _ in 0..random.random_range(1..most) {
                let row = any_row(random, 5000);
                new.insert(row.0, row);
            }
            let mut changes = Vec::new();
            for (key, row) in new {
                if let Some(old) = model.remove(&key) {
                    changes.push((old, -1));
                }
                if random.random_bool(0.7) {
                    changes.push((row.clone(), 1));
                    model.insert(key, row);
                }
            }
            change(&mut table, &changes).expect("rows that are there");
            assert_eq!(rows(table.batches()), model.values().cloned().collect::<Vec<_>>(), "seed {seed}, step {step}");
            check_shape(&table);
        }
    }
}

fn change_all(table: &mut IndexedRows, changes: &[(Row, i64)]) -> Result<(), Missing> {
    let rows = batch(&changes.iter().map(|(row, _)| row.clone()).collect::<Vec<_>>());
    table.change(&rows, |at| changes[at].1).expect("applies")
}

/// What an index finds, by the value of `c` and maybe a part of `a`, is what is there; and that it looks at little else.
fn check_index(table: &IndexedRows, model: &BTreeMap<(Option<i64>, i64, Option<String>), i64>, random: &mut SmallRng) {
    let (c, a) = (random.random_range(0..3), random.random_range(0..5000));
    let condition = |column, compare, value: i64| ColumnCondition {
        column,
        compare,
        value: Arc::new(Int64Array::from(vec![value])),
    };
    let conditions = [condition(2, None, c), condition(0, Some(Compare::GreaterEqual), a)];
    let index = table.reading(&conditions, &[]).expect("reads").index;
    assert_eq!(index.map(|order| order.columns.iter().map(|(column, _)| *column).collect()), Some(vec![2, 0]));
    let mut found = rows(table.batches_where(&conditions).expect("reads"));
    let copies = |((a, c, b), copies): (&(Option<i64>, i64, Option<String>), &i64)| {
        std::iter::repeat_n((*a, b.clone(), *c), *copies as usize)
    };
    let mut expected: Vec<Row> =
        model.iter().filter(|((x, y, _), _)| *y == c && *x >= Some(a)).flat_map(copies).collect();
    // NULLs stand before the greatest, and are looked at.
    found.retain(|row| row.0.is_some());
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

/// Every row counts for itself, in all orders; one that is built late has what was there, and what has changed since it was begun.
#[test]
fn an_index_has_the_rows_that_are_there() {
    let descending = |nulls_first| SortOptions { descending: true, nulls_first };
    let columns = vec![(2, SortOptions::default()), (0, descending(true))];
    let order = Order { columns, unique: None };
    for (seed, has_key) in (0..2).flat_map(|seed| [(seed, false), (seed, true)]) {
        let random = &mut SmallRng::seed_from_u64(seed);
        let key = if has_key { vec![0] } else { vec![0, 2, 1] };
        let mut table = IndexedRows::from(OrderedRows::new(schema(), key).expect("a table"));
        let mut model: BTreeMap<(Option<i64>, i64, Option<String>), i64> = BTreeMap::new();
        let mut begun = None;
        for step in 0..20 {
            let mut changes: BTreeMap<Row, i64> = BTreeMap::new();
            for _ in 0..random.random_range(1..if step % 6 == 0 { 6000 } else { 30 }) {
                let (a, b, c) = any_row(random, 5000);
                let there: Vec<(Row, i64)> = match has_key {
                    true => {
                        let same = model.range((a, i64::MIN, None)..).take_while(|((x, ..), _)| *x == a);
                        same.map(|((x, z, y), n)| ((*x, y.clone(), *z), *n)).collect()
                    }
                    false => Vec::new(),
                };
                for ((x, y, z), n) in there {
                    model.remove(&(x, z, y.clone()));
                    *changes.entry((x, y, z)).or_default() -= n;
                }
                *changes.entry((a, b.clone(), c)).or_default() += 1;
                *model.entry((a, c, b)).or_default() += 1;
            }
            changes.retain(|_, weight| *weight != 0);
            change_all(&mut table, &changes.into_iter().collect::<Vec<_>>()).expect("rows that are there");
            match step {
                4 => begun = Some(table.in_orders(std::slice::from_ref(&order), has_key).expect("an index")),
                7 => {
                    let built = begun.take().expect("it was begun");
                    table = built.caught_up_with(table.by_key()).expect("catches up").expect("the same rows");
                }
                8.. => check_index(&table, &model, random),
                _ => {}
            }
        }
        let all: i64 = model.values().sum();
        assert_eq!(rows(table.batches()).len() as i64, all);
        let gone: Vec<(Row, i64)> = model.iter().map(|((a, c, b), n)| ((*a, b.clone(), *c), -n)).collect();
        assert_eq!(change_all(&mut table, &[((Some(9000), None, 1), -1)]), Err(Missing(1)));
        change_all(&mut table, &gone).expect("all go");
        let conditions = [ColumnCondition { column: 2, compare: None, value: Arc::new(Int64Array::from(vec![1])) }];
        assert!(rows(table.batches_where(&conditions).expect("reads")).is_empty());
    }
}

#[test]
fn what_is_not_there_cannot_go_and_nothing_changes() {
    let row = |a: i64, c: i64| (Some(a), None, c);
    let mut table = OrderedRows::new(schema(), vec![0]).expect("a table");
    change(&mut table, &[(row(1, 1), 1), (row(2, 1), 1)]).expect("inserts");
    assert_eq!(change(&mut table, &[(row(1, 1), -1), (row(3, 1), -1)]), Err(Missing(1)));
    assert_eq!(change(&mut table, &[(row(1, 2), -1)]), Err(Missing(1)), "another row is under the key");
    assert_eq!(rows(table.batches()), vec![row(1, 1), row(2, 1)]);
}

#[test]
fn conditions_find_what_satisfies_them() {
    let mut random = SmallRng::seed_from_u64(1);
    let mut table = OrderedRows::new(schema(), vec![0, 2, 1]).expect("a table");
    let mut all: Vec<Row> = (0..8_000).map(|_| any_row(&mut random, 2000)).collect();
    change(&mut table, &all.iter().map(|row| (row.clone(), 1)).collect::<Vec<_>>()).expect("inserts");
    all.sort_by(|x, y| (x.0, x.2, &x.1).cmp(&(y.0, y.2, &y.1)));
    let compares =
        [None, Some(Compare::Less), Some(Compare::LessEqual), Some(Compare::Greater), Some(Compare::GreaterEqual)];
    let holds = |compare: Option<Compare>, value: Option<i64>, with: i64| match compare {
        _ if value.is_none() => false,
        None => value == Some(with),
        Some(Compare::Less) => value < Some(with),
        Some(Compare::LessEqual) => value <= Some(with),
        Some(Compare::Greater) => value > Some(with),
        Some(Compare::GreaterEqual) => value >= Some(with),
    };
    for _ in 0..60 {
        let mut any = |column: usize, most: i64| {
            let compare = compares[random.random_range(0..compares.len())];
            (column, compare, random.random_range(-2..most))
        };
        let wanted = [any(0, 2005), any(0, 2005), any(2, 4)];
        let wanted = &wanted[..random.random_range(0..4)];
        let condition = |(column, compare, value): &(usize, Option<Compare>, i64)| ColumnCondition {
            column: *column,
            compare: *compare,
            value: Arc::new(Int64Array::from(vec![*value])),
        };
        let satisfies = |row: &&Row| {
            wanted
                .iter()
                .all(|(column, compare, with)| holds(*compare, if *column == 0 { row.0 } else { Some(row.2) }, *with))
        };
        let conditions: Vec<ColumnCondition> = wanted.iter().map(condition).collect();
        let found = rows(IndexedRows::from(table.clone()).batches_where(&conditions).expect("reads"));
        let expected: Vec<&Row> = all.iter().filter(satisfies).collect();
        assert_eq!(found.iter().filter(satisfies).collect::<Vec<_>>(), expected, "{wanted:?}");
        if let [(0, None, _), (0, None, _)] | [(0, None, _)] = wanted {
            assert!(found.len() <= 100, "{} rows for {wanted:?}", found.len());
        }
    }
}

#[test]
fn a_condition_on_floating_point_leaves_out_no_zero() {
    let schema = Arc::new(Schema::new(vec![Field::new("f", DataType::Float64, true)]));
    let mut table = OrderedRows::new(schema.clone(), vec![0]).expect("a table");
    let rows = RecordBatch::try_new(schema, vec![Arc::new(Float64Array::from(vec![-0.0, 0.0, 1.0]))]).expect("rows");
    let keys = table.keys(&rows).expect("keys");
    table.change(&keys, &rows, |_| 1).expect("applies").expect("inserts");
    let zero = ColumnCondition { column: 0, compare: None, value: Arc::new(Float64Array::from(vec![0.0])) };
    let found = IndexedRows::from(table.clone())
        .batches_where(&[zero])
        .expect("reads")
        .map(|batch| batch.expect("rows").num_rows());
    assert_eq!(found.sum::<usize>(), 3);
}
