use crate::{Backend, Batch, Each, EachOf, Frozen, MemoryBackend, RowTable, RowTableSpec, StateError, Store};
use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use eddyline_changes::KeyGroups;
use std::collections::BTreeMap;
use std::sync::Arc;

const GROUPS: u16 = 8;

fn store(backend: &Arc<MemoryBackend>) -> Store {
    let groups = KeyGroups::new(GROUPS, 1);
    let backend: Arc<dyn Backend> = backend.clone();
    Store::new(backend, 7, groups, 0..GROUPS)
}

/// The table, and the values that were loaded by slot.
fn open(backend: &Arc<MemoryBackend>) -> (RowTable, BTreeMap<u32, u8>) {
    let mut loaded = BTreeMap::new();
    let types = [DataType::Int64, DataType::Utf8];
    let spec = RowTableSpec {
        name: "rows",
        types: &types,
        id: 3,
        distribution: 1,
        is_distinct: false,
        lazily: None,
        ttl_ms: None,
    };
    let table = RowTable::open(spec, &store(backend), &mut |slot, value| {
        loaded.insert(slot, value[0]);
        Ok(())
    });
    (table.expect("opens"), loaded)
}

fn add(table: &mut RowTable, rows: &[(i64, &str)]) -> Vec<u32> {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.0)));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.1)));
    let mut slots = Vec::new();
    table.add(&[numbers, texts], rows.len(), &mut slots).expect("added");
    slots
}

fn rows(table: &RowTable) -> Vec<(i64, String)> {
    let slots = table.slots();
    let (numbers, texts) = (table.column(0, &slots).expect("numbers"), table.column(1, &slots).expect("texts"));
    let (numbers, texts) = (numbers.as_primitive::<Int64Type>(), texts.as_string::<i32>());
    let mut rows: Vec<_> = (0..slots.len()).map(|at| (numbers.value(at), texts.value(at).to_owned())).collect();
    rows.sort();
    rows
}

fn persist(table: &mut RowTable) {
    table.persist(&mut |slot, out| out.push(slot as u8 + 100)).expect("persisted");
}

fn texts(rows: &[(i64, &str)]) -> Vec<(i64, String)> {
    rows.iter().map(|(n, t)| (*n, (*t).to_owned())).collect()
}

#[test]
fn equal_rows_are_kept_apart_through_restarts() {
    let backend = Arc::new(MemoryBackend::new());
    let (mut table, _) = open(&backend);
    add(&mut table, &[(1, "a"), (1, "a"), (2, "a text that is longer than a view")]);
    persist(&mut table);
    let (mut table, loaded) = open(&backend);
    assert_eq!(loaded.len(), 3);
    add(&mut table, &[(1, "a"), (1, "a")]);
    persist(&mut table);
    let (table, _) = open(&backend);
    assert_eq!(
        rows(&table),
        texts(&[(1, "a"), (1, "a"), (1, "a"), (1, "a"), (2, "a text that is longer than a view")])
    );
}

#[test]
fn what_is_removed_stays_removed_and_its_slot_is_used_again() {
    let backend = Arc::new(MemoryBackend::new());
    let (mut table, _) = open(&backend);
    let slots = add(&mut table, &[(1, "a"), (1, "a"), (2, "b")]);
    persist(&mut table);
    let (mut table, _) = open(&backend);
    let gone: Vec<u32> = table.slots().into_iter().take(2).collect();
    table.remove(&gone).expect("removed");
    // The same content in the slots of the removed rows, of which the removal is not yet written.
    let again = add(&mut table, &[(1, "a"), (2, "b")]);
    assert!(again.iter().all(|s| slots.contains(s)));
    let before = rows(&table);
    persist(&mut table);
    let (mut table, _) = open(&backend);
    assert_eq!(rows(&table), before);
    let all = table.slots();
    table.remove(&all).expect("removed");
    persist(&mut table);
    assert!(backend.is_empty(), "nothing is left in the store");
    assert!(open(&backend).0.is_empty());
}

#[test]
fn a_removal_that_was_never_written_leaves_no_trace() {
    let backend = Arc::new(MemoryBackend::new());
    let (mut table, _) = open(&backend);
    let slots = add(&mut table, &[(1, "a"), (2, "b")]);
    table.remove(&slots[..1]).expect("removed");
    persist(&mut table);
    assert_eq!(rows(&open(&backend).0), texts(&[(2, "b")]));
}

fn load(table: &mut RowTable, key: i64) -> usize {
    let keys: ArrayRef = Arc::new(Int64Array::from(vec![key, key]));
    let hashes = eddyline_changes::hash::hash_columns(std::slice::from_ref(&keys), 2).expect("hashes");
    table.load_keys(&[keys], &[0, 1], &hashes, &mut |_, _| Ok(())).expect("loads").len()
}

#[test]
fn rows_that_are_left_to_the_store_are_brought_in_by_their_key() {
    let backend = Arc::new(MemoryBackend::new());
    let open = |lazily: usize| {
        let types = [DataType::Int64, DataType::Utf8];
        let spec = RowTableSpec {
            name: "rows",
            types: &types,
            id: 3,
            distribution: 1,
            is_distinct: false,
            lazily: Some(lazily),
            ttl_ms: None,
        };
        RowTable::open(spec, &store(&backend), &mut |_, _| Ok(())).expect("opens")
    };
    let mut table = open(0);
    let slots = add(&mut table, &[(1, "a"), (1, "a"), (2, "a text that is longer than a view")]);
    persist(&mut table);
    table.leave(&slots[..2]);
    assert_eq!((table.len(), table.is_complete()), (1, false));
    // Rows as before in their slots are others.
    let again = add(&mut table, &[(3, "c"), (3, "c")]);
    assert!(again.iter().all(|slot| slots.contains(slot)));
    persist(&mut table);
    assert_eq!((load(&mut table, 1), load(&mut table, 7)), (2, 0));
    add(&mut table, &[(1, "a")]);
    persist(&mut table);
    // Not all at once, and then all at once.
    for (rows, all) in [(5, false), (6, true)] {
        let mut table = open(rows);
        assert_eq!(table.is_complete(), all);
        let found = if all { table.len() } else { load(&mut table, 1) + load(&mut table, 2) + load(&mut table, 3) };
        assert_eq!(found, 6);
    }
    // What is gone is not brought in, though its removal is not yet written.
    let mut table = open(0);
    assert_eq!(load(&mut table, 1), 3);
    let all = table.slots();
    table.remove(&all).expect("removed");
    assert_eq!(load(&mut table, 1), 0);
    add(&mut table, &[(1, "a")]);
    persist(&mut table);
    assert_eq!(open(9).len(), 4);
}

#[test]
fn damage_is_told() {
    let backend = Arc::new(MemoryBackend::new());
    store(&backend)
        .write(vec![crate::Write::Put(store(&backend).led_key(Store::by_lead(3), 0, 0, b"abc"), vec![1])])
        .expect("written");
    let spec = RowTableSpec {
        name: "rows",
        types: &[DataType::Int64],
        id: 3,
        distribution: 1,
        is_distinct: false,
        lazily: None,
        ttl_ms: None,
    };
    let opened = RowTable::open(spec, &store(&backend), &mut |_, _| Ok(()));
    assert!(opened.err().is_some_and(|e| e.to_string().contains("too short")));
}

/// Memory of which it is said that much is in it.
struct Vast(Arc<MemoryBackend>);

impl Backend for Vast {
    fn multi_get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StateError> {
        self.0.multi_get(keys)
    }

    fn scan(&self, from: &[u8], to: &[u8], each: &mut Each<'_>) -> Result<(), StateError> {
        self.0.scan(from, to, each)
    }

    fn scan_prefixes(&self, prefixes: &[Vec<u8>], each: &mut EachOf<'_>) -> Result<(), StateError> {
        self.0.scan_prefixes(prefixes, each)
    }

    fn apply(&self, batch: &Batch) -> Result<(), StateError> {
        self.0.apply(batch)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn is_vast(&self) -> bool {
        true
    }

    fn freeze(&self) -> Result<Box<dyn Frozen>, StateError> {
        self.0.freeze()
    }
}

#[test]
fn where_much_is_stored_a_table_brings_in_what_is_asked_for_alone() {
    let backend = Arc::new(MemoryBackend::new());
    let (mut table, _) = open(&backend);
    add(&mut table, &[(1, "a"), (2, "b"), (2, "c")]);
    persist(&mut table);
    let vast: Arc<dyn Backend> = Arc::new(Vast(backend.clone()));
    let store = Store::new(vast, 7, KeyGroups::new(GROUPS, 1), 0..GROUPS);
    let open = |lazily| {
        let (name, types) = ("rows", &[DataType::Int64, DataType::Utf8]);
        let spec = RowTableSpec { name, types, id: 3, distribution: 1, is_distinct: false, lazily, ttl_ms: None };
        RowTable::open(spec, &store, &mut |_, _| Ok(())).expect("opens")
    };
    let mut table = open(Some(1_000));
    assert_eq!((table.len(), table.is_complete(), load(&mut table, 2)), (0, false, 2));
    assert_eq!(rows(&table), texts(&[(2, "b"), (2, "c")]));
    // But for who needs all of it.
    assert_eq!((open(None).len(), open(None).is_complete()), (3, true));
}
