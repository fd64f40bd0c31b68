use super::Arena;
use crate::OperatorError;
use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use eddyline_changes::hash::hash_columns;
use eddyline_state::{SlotTable, StateError, Store, Table, TableId};

const ROWS: TableId = 0;

/// What is kept of a key: numbers of rows in the arena.
pub(crate) trait Kept: Default {
    /// Takes up what [`save`](Self::save) has written.
    ///
    /// # Errors
    /// Bytes that it has not written.
    fn load(&mut self, arena: &mut Arena, bytes: &[u8]) -> Result<(), StateError>;

    /// Writes its rows.
    fn save(&self, arena: &Arena, out: &mut Vec<u8>);

    /// Its rows.
    fn rows(&self) -> &[u32];

    /// Memory beside itself.
    fn allocated_bytes(&self) -> usize;
}

/// The rows of every key, in the first table of the store.
pub(crate) struct KeyedRows<K> {
    pub(crate) table: SlotTable,
    pub(crate) arena: Arena,
    /// By slot.
    pub(crate) kept: Vec<K>,
}

impl<K: Kept> KeyedRows<K> {
    /// Rows whose keys have these types.
    pub(crate) fn open(types: &[DataType], store: &Store) -> Result<Self, OperatorError> {
        let table = SlotTable::open("rows", types, store, ROWS, types.len())?;
        Ok(Self { table, arena: Arena::default(), kept: Vec::new() })
    }

    /// Finds the slots of `keys`, with new ones for keys that have none.
    pub(crate) fn lookup(
        &mut self,
        keys: &[ArrayRef],
        hashes: &[u64],
        slots: &mut Vec<u32>,
    ) -> Result<(), OperatorError> {
        let Self { table, arena, kept, .. } = self;
        table.lookup(keys, hashes, slots, &mut |slot, bytes| load(kept, arena, slot, bytes))?;
        kept.resize_with(table.slots_max(), K::default);
        Ok(())
    }

    /// From now on keys that are not [touched](Self::touch) for so long are forgotten.
    pub(crate) fn forget_after(&mut self, ttl_ms: u64) {
        self.table.forget_after(ttl_ms);
    }

    /// Are keys forgotten?
    pub(crate) fn forgets(&self) -> bool {
        self.table.forgets()
    }

    /// Notes that rows came for keys.
    pub(crate) fn touch(&mut self, slots: &[u32], now_ms: i64) {
        self.table.touch(slots, now_ms);
    }

    /// Forgets the keys that were not touched for the time to live. No change of this epoch may be pending.
    pub(crate) fn forget_idle(&mut self, now_ms: i64) -> Result<(), OperatorError> {
        let gone = self.table.take_idle(now_ms, |_| false);
        for slot in &gone {
            let kept = std::mem::take(&mut self.kept[*slot as usize]);
            kept.rows().iter().for_each(|row| self.arena.remove(*row));
        }
        self.table.remove(&gone)?;
        self.arena.sweep();
        Ok(())
    }
}

fn load<K: Kept>(kept: &mut Vec<K>, arena: &mut Arena, slot: u32, bytes: &[u8]) -> Result<(), StateError> {
    kept.resize_with(kept.len().max(slot as usize + 1), K::default);
    kept[slot as usize].load(arena, bytes)
}

impl<K: Kept> Table for KeyedRows<K> {
    fn name(&self) -> &str {
        self.table.name()
    }

    fn persist(&mut self) -> Result<(), StateError> {
        let Self { table, arena, kept, .. } = self;
        table.persist(&mut |slot, out| kept[slot as usize].save(arena, out))
    }

    fn taken_bytes(&self) -> usize {
        let by_slot = self.size_bytes() - self.arena.size_bytes();
        self.arena.taken_bytes() + self.table.taken_bytes(by_slot)
    }

    fn is_whole(&self) -> bool {
        self.table.is_complete()
    }

    fn warm(&mut self, entries_max: usize) -> Result<(), StateError> {
        let Self { table, arena, kept, .. } = self;
        let hash = |columns: &[ArrayRef], n| hash_columns(columns, n);
        table.scan_more(entries_max, &hash, &mut |slot, bytes| load(kept, arena, slot, bytes))?;
        kept.resize_with(table.slots_max(), K::default);
        Ok(())
    }

    fn tidy(&mut self, entries_max: usize) -> Result<(), StateError> {
        self.table.tidy(entries_max)
    }

    fn evict(&mut self, bytes: usize) -> Result<(), StateError> {
        let count = self.table.count_of(bytes, self.taken_bytes());
        let (arena, kept) = (&self.arena, &self.kept);
        for slot in self.table.evict(count, &mut |slot, out| kept[slot as usize].save(arena, out))? {
            let kept = std::mem::take(&mut self.kept[slot as usize]);
            kept.rows().iter().for_each(|row| self.arena.remove(*row));
        }
        self.arena.sweep();
        Ok(())
    }

    fn len(&self) -> usize {
        self.table.len()
    }

    fn size_bytes(&self) -> usize {
        self.table.size_bytes()
            + self.arena.size_bytes()
            + self.kept.capacity() * size_of::<K>()
            + self.kept.iter().map(Kept::allocated_bytes).sum::<usize>()
    }
}
