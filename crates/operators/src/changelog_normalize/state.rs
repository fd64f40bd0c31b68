use crate::OperatorError;
use crate::keyed_rows::{Arena, NONE};
use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use eddyline_state::{SlotTable, StateError, Store, Table, TableId};

const ROWS: TableId = 0;

/// The last row of every key. Encoding of a value: the row's bytes.
pub(super) struct State {
    pub(super) table: SlotTable,
    pub(super) arena: Arena,
    /// By slot: the row, or [`NONE`].
    pub(super) rows: Vec<u32>,
}

impl State {
    pub(super) fn open(types: &[DataType], store: &Store) -> Result<Self, OperatorError> {
        let table = SlotTable::open("rows", types, store, ROWS, types.len())?;
        Ok(Self { table, arena: Arena::default(), rows: Vec::new() })
    }

    /// Finds the slots of `keys`, with new ones for keys that have none.
    pub(super) fn lookup(
        &mut self,
        keys: &[ArrayRef],
        hashes: &[u64],
        slots: &mut Vec<u32>,
    ) -> Result<(), OperatorError> {
        let (arena, rows) = (&mut self.arena, &mut self.rows);
        self.table.lookup(keys, hashes, slots, &mut |slot, bytes| {
            rows.resize(rows.len().max(slot as usize + 1), NONE);
            rows[slot as usize] = arena.add(bytes);
            Ok(())
        })?;
        self.rows.resize(self.table.slots_max(), NONE);
        Ok(())
    }
}

impl Table for State {
    fn name(&self) -> &str {
        self.table.name()
    }

    fn persist(&mut self) -> Result<(), StateError> {
        let (arena, rows) = (&self.arena, &self.rows);
        self.table.persist(&mut |slot, out| out.extend_from_slice(arena.bytes(rows[slot as usize])))
    }

    fn taken_bytes(&self) -> usize {
        let arena = self.arena.size_bytes();
        arena + self.table.taken_bytes(self.size_bytes() - arena)
    }

    fn evict(&mut self, bytes: usize) -> Result<(), StateError> {
        let count = self.table.count_of(bytes, self.taken_bytes());
        let (arena, rows) = (&self.arena, &self.rows);
        let gone = self.table.evict(count, &mut |slot, out| out.extend_from_slice(arena.bytes(rows[slot as usize])))?;
        for slot in gone {
            self.arena.remove(std::mem::replace(&mut self.rows[slot as usize], NONE));
        }
        self.arena.sweep();
        Ok(())
    }

    fn len(&self) -> usize {
        self.table.len()
    }

    fn size_bytes(&self) -> usize {
        self.table.size_bytes() + self.arena.size_bytes() + self.rows.capacity() * 4
    }
}
