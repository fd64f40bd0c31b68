use crate::OperatorError;
use crate::aggregation::{Calls, CountedSet};
use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use eddyline_changes::hash::{combine, hash_columns};
use eddyline_plan::GroupAggregateSpec;
use eddyline_state::{SlotTable, StateError, Store, Table, TableId};

pub(super) const GROUPS: TableId = 0;
/// Groups that are brought into memory at a time, where all of them are wanted.
const LOADED_AT_ONCE: usize = 1 << 16;

/// The groups: per slot the number of rows and the accumulators.
///
/// Encoding of a value: rows (8 bytes, little endian), then what every accumulator saves.
pub(super) struct Groups {
    pub(super) table: SlotTable,
    pub(super) rows: Vec<i64>,
    pub(super) calls: Calls,
    /// Not all groups need be in memory.
    is_lazy: bool,
}

impl Groups {
    /// The stored groups of an operator with keys of `types`.
    pub(super) fn open(spec: &GroupAggregateSpec, types: &[DataType], store: &Store) -> Result<Self, OperatorError> {
        let groups = Self::over(spec, SlotTable::open("groups", types, store, GROUPS, types.len())?)?;
        Ok(Self { is_lazy: !types.is_empty(), ..groups })
    }

    /// Brings all stored groups into memory. Returns their slots.
    pub(super) fn load_all(&mut self) -> Result<Vec<u32>, OperatorError> {
        while !self.is_whole() {
            self.warm(LOADED_AT_ONCE)?;
        }
        Ok(self.table.slots())
    }

    /// Groups in memory alone.
    pub(super) fn transient(spec: &GroupAggregateSpec, types: &[DataType]) -> Result<Self, OperatorError> {
        Self::over(spec, SlotTable::transient("groups", types)?)
    }

    fn over(spec: &GroupAggregateSpec, table: SlotTable) -> Result<Self, OperatorError> {
        Ok(Self { table, rows: Vec::new(), calls: Calls::new(&spec.calls, spec.append_only)?, is_lazy: false })
    }

    /// Finds the slots of `keys`, with new groups for keys that have none.
    pub(super) fn lookup(
        &mut self,
        keys: &[ArrayRef],
        hashes: &[u64],
        slots: &mut Vec<u32>,
    ) -> Result<(), OperatorError> {
        let (rows, calls) = (&mut self.rows, &mut self.calls);
        self.table.lookup(keys, hashes, slots, &mut |slot, bytes| load(rows, calls, slot, bytes))?;
        self.rows.resize(self.table.slots_max(), 0);
        self.calls.resize(self.table.slots_max());
        Ok(())
    }

    /// Takes the stored value of a slot.
    pub(super) fn load(&mut self, slot: u32, bytes: &[u8]) -> Result<(), OperatorError> {
        Ok(load(&mut self.rows, &mut self.calls, slot, bytes)?)
    }

    /// Forgets groups.
    pub(super) fn remove(&mut self, slots: &[u32]) -> Result<(), OperatorError> {
        self.table.remove(slots)?;
        self.calls.clear(slots);
        slots.iter().for_each(|s| self.rows[*s as usize] = 0);
        Ok(())
    }

    /// Forgets all groups of a table in memory alone.
    pub(super) fn clear(&mut self) {
        self.table.clear();
        self.rows.clear();
        self.calls.clear_all();
    }
}

fn load(rows: &mut Vec<i64>, calls: &mut Calls, slot: u32, bytes: &[u8]) -> Result<(), StateError> {
    let Some((count, mut rest)) = bytes.split_first_chunk::<8>() else {
        return Err(StateError::Corrupt { table: "groups".into(), message: "an entry is too short".into() });
    };
    rows.resize(rows.len().max(slot as usize + 1), 0);
    rows[slot as usize] = i64::from_le_bytes(*count);
    calls.load("groups", slot, &mut rest)
}

impl Table for Groups {
    fn name(&self) -> &str {
        self.table.name()
    }

    fn persist(&mut self) -> Result<(), StateError> {
        let (rows, calls) = (&self.rows, &self.calls);
        self.table.persist(&mut |slot, out| save(rows, calls, slot, out))
    }

    fn len(&self) -> usize {
        self.table.len()
    }

    fn size_bytes(&self) -> usize {
        self.table.size_bytes() + self.rows.capacity() * 8 + self.calls.size_bytes()
    }

    fn taken_bytes(&self) -> usize {
        self.table.taken_bytes(self.size_bytes())
    }

    fn is_whole(&self) -> bool {
        self.table.is_complete()
    }

    fn warm(&mut self, entries_max: usize) -> Result<(), StateError> {
        let (rows, calls) = (&mut self.rows, &mut self.calls);
        self.table.scan_more(entries_max, &hash_keys, &mut |slot, bytes| load(rows, calls, slot, bytes))?;
        self.rows.resize(self.table.slots_max(), 0);
        self.calls.resize(self.table.slots_max());
        Ok(())
    }

    fn tidy(&mut self, entries_max: usize) -> Result<(), StateError> {
        self.table.tidy(entries_max)
    }

    fn evict(&mut self, bytes: usize) -> Result<(), StateError> {
        if !self.is_lazy {
            return Ok(());
        }
        let count = self.table.count_of(bytes, self.taken_bytes());
        let (rows, calls) = (&mut self.rows, &mut self.calls);
        let gone = self.table.evict(count, &mut |slot, out| save(rows, calls, slot, out))?;
        calls.clear(&gone);
        gone.iter().for_each(|slot| rows[*slot as usize] = 0);
        Ok(())
    }
}

/// How groups are hashed. The one group of an aggregate without keys is looked up by 0.
fn hash_keys(keys: &[ArrayRef], rows: usize) -> Result<Vec<u64>, ArrowError> {
    if keys.is_empty() { Ok(vec![0; rows]) } else { hash_columns(keys, rows) }
}

fn save(rows: &[i64], calls: &Calls, slot: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&rows[slot as usize].to_le_bytes());
    calls.save(slot, out);
}

/// The counted sets of the phase `Single`, in the order of `GroupAggregateSpec::distinct_sets`.
pub(super) fn open_sets(
    spec: &GroupAggregateSpec,
    input: &Schema,
    store: &Store,
) -> Result<Vec<CountedSet>, OperatorError> {
    spec.distinct_sets()
        .iter()
        .enumerate()
        .map(|(at, args)| {
            let types = types(input, &[spec.keys.as_slice(), args].concat());
            let (name, id) = (format!("distinct set {}", at + 1), at as TableId + 1);
            let table = SlotTable::open(&name, &types, store, id, spec.keys.len())?;
            Ok(CountedSet::new(table, set_calls(spec, args).count(), spec.append_only)
                .lazy(set_hashes(spec.keys.len(), args.len())))
        })
        .collect()
}

/// How the keys of a set of the phase `Single` are hashed: the group, then the values.
pub(super) fn set_hashes(keys: usize, args: usize) -> impl Fn(&[ArrayRef], usize) -> Result<Vec<u64>, ArrowError> {
    move |columns, rows| {
        let values = hash_columns(&columns[keys..keys + args], rows)?;
        Ok(hash_columns(&columns[..keys], rows)?.iter().zip(&values).map(|(k, v)| combine(*k, *v)).collect())
    }
}

/// The counted set of the phase `Distinct`: all sets in one, by the columns by which partials are dealt out.
pub(super) fn open_values(
    spec: &GroupAggregateSpec,
    partial: &Schema,
    distribution: &[usize],
    store: &Store,
) -> Result<CountedSet, OperatorError> {
    let table =
        SlotTable::open("distinct values", &types(partial, distribution), store, GROUPS + 1, distribution.len())?;
    let calls = spec.calls.iter().filter(|c| c.distinct).count();
    Ok(CountedSet::new(table, calls, spec.append_only).lazy(hash_columns))
}

/// The numbers of the DISTINCT calls over `args`.
pub(super) fn set_calls<'a>(spec: &'a GroupAggregateSpec, args: &'a [usize]) -> impl Iterator<Item = usize> + 'a {
    spec.calls.iter().enumerate().filter(move |(_, c)| c.distinct && c.args == args).map(|(at, _)| at)
}

/// Types of the columns at `columns`.
pub(super) fn types(schema: &Schema, columns: &[usize]) -> Vec<DataType> {
    columns.iter().map(|c| schema.field(*c).data_type().clone()).collect()
}
