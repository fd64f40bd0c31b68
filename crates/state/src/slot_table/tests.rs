use super::*;
use crate::MemoryBackend;
use arrow::array::{Int64Array, StringArray, UInt32Array};
use eddyline_changes::KeyGroups;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

type Key = (Option<i64>, Option<String>);

fn columns(keys: &[Key]) -> Vec<ArrayRef> {
    vec![
        Arc::new(Int64Array::from_iter(keys.iter().map(|k| k.0))),
        Arc::new(StringArray::from_iter(keys.iter().map(|k| k.1.as_deref()))),
    ]
}

fn store(backend: &Arc<MemoryBackend>) -> Store {
    Store::new(backend.clone(), 7, KeyGroups::new(16, 1), 0..16)
}

/// A table with a number per key, and the way owners use it.
struct Numbers {
    table: SlotTable,
    values: Vec<i64>,
}

const TYPES: [DataType; 2] = [DataType::Int64, DataType::Utf8];

impl Numbers {
    fn open(backend: &Arc<MemoryBackend>) -> Self {
        let table = SlotTable::open("numbers", &TYPES, &store(backend), 1, 1).expect("opens");
        Self { table, values: Vec::new() }
    }

    fn add(&mut self, keys: &[Key], poor: bool, by: i64) {
        let keys = columns(keys);
        let rows = keys[0].len();
        let hashes = hash(poor, &keys, rows).expect("hashes");
        let mut slots = Vec::new();
        let values = &mut self.values;
        let mut load = |slot: u32, bytes: &[u8]| {
            values.resize(values.len().max(slot as usize + 1), 0);
            values[slot as usize] = i64::from_le_bytes(bytes.try_into().expect("8 bytes"));
            Ok(())
        };
        self.table.lookup(&keys, &hashes, &mut slots, &mut load).expect("looks up");
        self.values.resize(self.table.slots_max(), 0);
        slots.iter().for_each(|s| self.values[*s as usize] += by);
        self.table.mark_dirty(&slots);
        let mut empty: Vec<u32> = slots.into_iter().filter(|s| self.values[*s as usize] == 0).collect();
        empty.sort_unstable();
        empty.dedup();
        self.table.remove(&empty).expect("removes");
    }

    fn persist(&mut self) {
        let values = &self.values;
        self.table
            .persist(&mut |slot, out| out.extend_from_slice(&values[slot as usize].to_le_bytes()))
            .expect("persists");
    }

    fn evict(&mut self, count: usize) -> usize {
        let values = &mut self.values;
        let encode = &mut |slot: u32, out: &mut Vec<u8>| out.extend_from_slice(&values[slot as usize].to_le_bytes());
        let gone = self.table.evict(count, encode).expect("evicts");
        gone.iter().for_each(|slot| values[*slot as usize] = 0);
        gone.len()
    }

    fn warm(&mut self, count: usize, poor: bool) {
        let values = &mut self.values;
        let load = &mut |slot: u32, bytes: &[u8]| {
            values.resize(values.len().max(slot as usize + 1), 0);
            values[slot as usize] = i64::from_le_bytes(bytes.try_into().expect("8 bytes"));
            Ok(())
        };
        self.table.scan_more(count, &|keys, rows| hash(poor, keys, rows), load).expect("scans");
    }

    /// The keys in the hot set.
    fn hot(&self) -> Vec<Key> {
        let keys = self.table.keys(&self.table.slots()).expect("keys");
        let numbers: &Int64Array = keys[0].as_any().downcast_ref().expect("numbers");
        numbers.iter().map(|n| (n, None)).collect()
    }

    fn content(&mut self, poor: bool) -> BTreeMap<Key, i64> {
        let values = &mut self.values;
        self.table
            .scan_all(&|keys, rows| hash(poor, keys, rows), &mut |slot, bytes| {
                values.resize(values.len().max(slot as usize + 1), 0);
                values[slot as usize] = i64::from_le_bytes(bytes.try_into().expect("8 bytes"));
                Ok(())
            })
            .expect("scans");
        let slots = self.table.slots();
        let keys = self.table.keys(&slots).expect("keys");
        let (numbers, texts) = (keys[0].as_any().downcast_ref::<Int64Array>(), keys[1].as_any().downcast_ref());
        let (numbers, texts): (&Int64Array, &StringArray) = (numbers.expect("numbers"), texts.expect("texts"));
        slots
            .iter()
            .enumerate()
            .map(|(row, slot)| {
                let key = (
                    numbers.is_valid(row).then(|| numbers.value(row)),
                    texts.is_valid(row).then(|| texts.value(row).to_owned()),
                );
                (key, self.values[*slot as usize])
            })
            .collect()
    }
}

/// `poor`: a hash under which most keys share a tag.
fn hash(poor: bool, keys: &[ArrayRef], rows: usize) -> Result<Vec<u64>, ArrowError> {
    let hashes = hash_columns(keys, rows)?;
    Ok(if poor { hashes.into_iter().map(|h| h % 3).collect() } else { hashes })
}

#[derive(Debug, Clone)]
enum Step {
    Add(Vec<Key>, i64),
    Persist,
    Reopen,
    Scan,
    Evict(usize),
    Warm(usize),
}

fn key() -> impl Strategy<Value = Key> {
    let text = prop_oneof![
        Just(String::new()),
        "[ab]{1,2}",
        Just("exactly fifteen".to_owned()),
        Just("sixteen bytes ..".to_owned()),
        Just("sixteen bytes .,".to_owned()),
        "a value that is long [ab]",
    ];
    (proptest::option::of(-1i64..4), proptest::option::of(text))
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (proptest::collection::vec(key(), 1..12), prop_oneof![Just(1i64), Just(-1)]).prop_map(|(k, by)| Step::Add(k, by)),
        1 => Just(Step::Persist),
        1 => Just(Step::Reopen),
        1 => Just(Step::Scan),
        3 => (0..8usize).prop_map(Step::Evict),
        4 => (0..4usize).prop_map(Step::Warm),
    ];
    proptest::collection::vec(step, 0..40)
}

proptest! {
    #[test]
    fn a_table_is_the_map_it_stands_for(steps in steps(), poor: bool) {
        let backend = Arc::new(MemoryBackend::new());
        let mut table = Numbers::open(&backend);
        let mut model: BTreeMap<Key, i64> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Add(keys, by) => {
                    table.add(&keys, poor, by);
                    for key in keys {
                        *model.entry(key).or_default() += by;
                    }
                    model.retain(|_, v| *v != 0);
                }
                Step::Persist => table.persist(),
                Step::Reopen => {
                    table.persist();
                    table = Numbers::open(&backend);
                }
                Step::Scan => prop_assert_eq!(&table.content(poor), &model),
                Step::Evict(count) => {
                    let before = table.table.len();
                    let gone = table.evict(count);
                    prop_assert_eq!(gone, count.min(before));
                    prop_assert_eq!(table.table.len(), before - gone);
                }
                Step::Warm(count) => {
                    table.warm(count, poor);
                    if table.table.is_complete() {
                        // Nothing is looked for below any more.
                        prop_assert_eq!(table.table.len(), model.len());
                        prop_assert_eq!(&table.content(poor), &model);
                    }
                }
            }
        }
        prop_assert_eq!(&table.content(poor), &model);
        prop_assert_eq!(table.table.len(), model.len());
        table.persist();
        prop_assert_eq!(backend.len(), model.len());
    }
}

#[test]
fn what_was_used_lately_stays() {
    let backend = Arc::new(MemoryBackend::new());
    let mut table = Numbers::open(&backend);
    let keys: Vec<Key> = (0..100).map(|n| (Some(n), None)).collect();
    table.add(&keys, false, 1);
    // All were used once: the hand goes round, and takes the first it comes to.
    assert_eq!(table.evict(40), 40);
    table.add(&keys[50..60], false, 1);
    assert_eq!(table.evict(40), 40);
    assert_eq!(table.table.len(), 20);
    let hot: Vec<Key> = table.hot();
    assert!(keys[50..60].iter().all(|key| hot.contains(key)), "{hot:?}");
    // What has not left is written with the next checkpoint.
    assert_eq!(backend.len(), 80);
    // Room that was made is used before more is taken.
    let slots = table.table.slots_max();
    table.add(&(200..280).map(|n| (Some(n), None)).collect::<Vec<Key>>(), false, 1);
    assert_eq!(table.table.slots_max(), slots);
}

#[test]
fn floats_that_are_equal_in_sql_are_one_key_in_one_form() {
    use arrow::array::Float64Array;
    let mut table = SlotTable::transient("floats", &[DataType::Float64]).expect("opens");
    let keys: ArrayRef = Arc::new(Float64Array::from(vec![-0.0, 0.0, f64::NAN, -f64::NAN]));
    let hashes = hash_columns(std::slice::from_ref(&keys), 4).expect("hashes");
    let mut slots = Vec::new();
    table.lookup(&[keys], &hashes, &mut slots, &mut |_, _| Ok(())).expect("looks up");
    assert_eq!(slots, [0, 0, 1, 1]);
    let zero = table.keys(&[0]).expect("keys").remove(0);
    assert!(zero.as_any().downcast_ref::<Float64Array>().expect("floats").value(0).is_sign_positive());
}

#[test]
fn nested_keys_and_keys_without_columns_have_slots_too() {
    use arrow::array::{BooleanArray, StructArray};
    use arrow::datatypes::Field;
    let field = Arc::new(Field::new("a", DataType::Int64, true));
    let row: ArrayRef = Arc::new(StructArray::from(vec![(
        field,
        Arc::new(Int64Array::from(vec![Some(1), None, Some(1)])) as ArrayRef,
    )]));
    let flag: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), None, Some(true)]));
    let types = [row.data_type().clone(), DataType::Boolean];
    let backend = Arc::new(MemoryBackend::new());
    let keys = [row, flag];
    let hashes = hash_columns(&keys, 3).expect("hashes");
    let mut slots = Vec::new();
    let mut table = SlotTable::open("nested", &types, &store(&backend), 1, 2).expect("opens");
    table.lookup(&keys, &hashes, &mut slots, &mut |_, _| Ok(())).expect("looks up");
    assert_eq!(slots, [0, 1, 0]);
    table.mark_dirty(&slots);
    table.persist(&mut |_, _| {}).expect("persists");
    let mut table = SlotTable::open("nested", &types, &store(&backend), 1, 2).expect("opens");
    let mut found = 0;
    table
        .lookup(&keys, &hashes, &mut slots, &mut |_, _| {
            found += 1;
            Ok(())
        })
        .expect("looks up");
    assert_eq!(found, 2);
    let two = table.keys(&slots).expect("keys");
    assert_eq!(two[0].as_ref(), keys[0].as_ref());
    assert_eq!(two[1].as_ref(), keys[1].as_ref());

    let mut table = SlotTable::open("global", &[], &store(&backend), 2, 0).expect("opens");
    table.lookup(&[], &[0, 0], &mut slots, &mut |_, _| Ok(())).expect("looks up");
    assert_eq!(slots, [0, 0]);
    table.mark_dirty(&[0]);
    table.persist(&mut |_, _| {}).expect("persists");
    assert_eq!(backend.len(), 3);
}

#[test]
fn long_strings_that_were_removed_leave_the_arena() {
    let mut table = SlotTable::transient("texts", &[DataType::Utf8]).expect("opens");
    let mut slots = Vec::new();
    let mut most = 0;
    for round in 0..50 {
        let texts = StringArray::from_iter_values((0..100).map(|i| format!("{round} {i} {}", "x".repeat(200))));
        let keys: ArrayRef = Arc::new(texts);
        let hashes = hash_columns(std::slice::from_ref(&keys), 100).expect("hashes");
        table.lookup(std::slice::from_ref(&keys), &hashes, &mut slots, &mut |_, _| Ok(())).expect("looks up");
        let back = table.keys(&slots).expect("keys").remove(0);
        assert_eq!(back.as_ref(), keys.as_ref());
        table.remove(&slots).expect("removes");
        most = most.max(table.size_bytes());
    }
    assert!(table.is_empty());
    assert!(most < 400_000, "{most} bytes");
}

#[test]
fn a_batch_of_take_order_gives_the_same_keys() {
    let keys = columns(&[(Some(3), Some("x".into())), (None, None), (Some(3), Some("y".into()))]);
    let hashes = hash_columns(&keys, 3).expect("hashes");
    let mut table = SlotTable::transient("t", &TYPES).expect("opens");
    let mut slots = Vec::new();
    let created = table.lookup(&keys, &hashes, &mut slots, &mut |_, _| Ok(())).expect("looks up");
    assert_eq!(created, slots);
    let order = UInt32Array::from(vec![2, 0, 1]);
    let turned: Vec<ArrayRef> = keys.iter().map(|k| arrow::compute::take(k, &order, None).expect("takes")).collect();
    let turned_hashes: Vec<u64> = order.values().iter().map(|i| hashes[*i as usize]).collect();
    let mut again = Vec::new();
    assert!(table.lookup(&turned, &turned_hashes, &mut again, &mut |_, _| Ok(())).expect("looks up").is_empty());
    assert_eq!(again, [slots[2], slots[0], slots[1]]);
}
