//! Operators as small as can be, so that these tests are about the runtime alone.

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Int64Type, SchemaRef, TimestampMillisecondType};
use eddyline_changes::hash::hash_bytes;
use eddyline_changes::{ChangeBatch, Watermark, Weights};
use eddyline_operators::{Context, Operator, OperatorError, Rejected};
use eddyline_plan::{Node, OperatorSpec};
use eddyline_state::{StateError, Store, Table, Write};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) fn make(node: &Node, _inputs: &[SchemaRef], store: &Store) -> Result<Box<dyn Operator>, OperatorError> {
    match &node.spec {
        OperatorSpec::GroupAggregate(_) => Ok(Box::new(Sum { table: Sums::open(store)?, dirty: BTreeMap::new() })),
        OperatorSpec::WindowAssign(_) => Ok(Box::new(OnTime)),
        _ => Err(OperatorError::Spec { operator: node.spec.name(), message: "is no toy".into() }),
    }
}

/// SUM(v) by k, emitted at flush. Key `poison` fails, key `panic` panics, key `flood` emits rows without end.
pub(super) struct Sum {
    table: Sums,
    /// Keys that changed in this epoch, with their row as it was.
    dirty: BTreeMap<String, Option<i64>>,
}

/// Number of rows and sum by key.
struct Sums {
    store: Store,
    entries: BTreeMap<String, (i64, i64)>,
    unsaved: BTreeSet<String>,
}

impl Sums {
    fn open(store: &Store) -> Result<Self, StateError> {
        let mut entries = BTreeMap::new();
        store.scan(0, &mut |_, key, value| {
            let number = |at: usize| i64::from_be_bytes(value[at..at + 8].try_into().unwrap());
            entries.insert(String::from_utf8(key.to_vec()).unwrap(), (number(0), number(8)));
            Ok(())
        })?;
        Ok(Self { store: store.clone(), entries, unsaved: BTreeSet::new() })
    }
}

impl Table for Sums {
    fn name(&self) -> &str {
        "sums"
    }

    fn persist(&mut self) -> Result<(), StateError> {
        let mut writes = Vec::new();
        for key in std::mem::take(&mut self.unsaved) {
            let group = self.store.groups().group_of(hash_bytes(key.as_bytes()));
            assert!(self.store.owned().contains(&group), "{key} is on a shard that does not own it");
            let full = self.store.full_key(0, group, key.as_bytes());
            writes.push(match self.entries.get(&key) {
                Some((rows, sum)) => Write::Put(full, [rows.to_be_bytes(), sum.to_be_bytes()].concat()),
                None => Write::Delete(full),
            });
        }
        self.store.write(writes)
    }

    fn len(&self) -> usize {
        self.entries.len()
    }

    fn size_bytes(&self) -> usize {
        self.entries.len() * 64
    }
}

impl Operator for Sum {
    fn process(&mut self, _input: usize, changes: ChangeBatch, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let (keys, values) = (changes.column(0).as_string::<i32>(), changes.column(2).as_primitive::<Int64Type>());
        for row in 0..changes.num_rows() {
            let (key, weight) = (keys.value(row).to_owned(), changes.weights().at(row));
            match key.as_str() {
                "poison" => return Err(OperatorError::Spec { operator: "Sum", message: "poison".into() }),
                "panic" => panic!("a toy broke"),
                "flood" => loop {
                    let columns: Vec<ArrayRef> =
                        vec![Arc::new(StringArray::from(vec![key.clone()])), Arc::new(Int64Array::from(vec![1]))];
                    ctx.emit(ChangeBatch::inserts(RecordBatch::try_new(super::sums(), columns)?))?;
                },
                _ => {}
            }
            let before = self.table.entries.get(&key).copied();
            self.dirty.entry(key.clone()).or_insert(before.map(|(_, sum)| sum));
            let (rows, sum) = before.unwrap_or_default();
            self.table.unsaved.insert(key.clone());
            if rows + weight == 0 {
                self.table.entries.remove(&key);
            } else {
                self.table.entries.insert(key, (rows + weight, sum + weight * values.value(row)));
            }
        }
        Ok(())
    }

    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let (mut keys, mut sums, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for (key, before) in std::mem::take(&mut self.dirty) {
            let after = self.table.entries.get(&key).map(|(_, sum)| *sum);
            for (sum, weight) in [(before, -1), (after, 1)] {
                if let (Some(sum), true) = (sum, before != after) {
                    keys.push(key.clone());
                    sums.push(sum);
                    weights.push(weight);
                }
            }
        }
        let columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(keys)), Arc::new(Int64Array::from(sums))];
        ctx.emit(ChangeBatch::new(RecordBatch::try_new(super::sums(), columns)?, Weights::from_vec(weights))?)
    }

    fn tables(&mut self) -> Vec<&mut dyn Table> {
        vec![&mut self.table]
    }
}

/// Passes rows on that are ahead of the watermark and rejects the others.
pub(super) struct OnTime;

impl Operator for OnTime {
    fn process(&mut self, _input: usize, changes: ChangeBatch, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let times = changes.column(1).as_primitive::<TimestampMillisecondType>();
        let watermark = ctx.watermark();
        let keep: BooleanArray = times.iter().map(|t| t.map(|t| Watermark(t) > watermark)).collect();
        ctx.reject(Rejected::NullTime, times.iter().filter(Option::is_none).count() as u64);
        ctx.reject(Rejected::Late, keep.iter().filter(|k| *k == Some(false)).count() as u64);
        ctx.emit(changes.filter(&keep)?)
    }
}
