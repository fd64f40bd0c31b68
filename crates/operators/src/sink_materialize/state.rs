use crate::OperatorError;
use crate::keyed_rows::Arena;
use crate::row_list::RowList;
use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use eddyline_state::{SlotTable, StateError, Store, Table, TableId};

const ROWS: TableId = 0;

/// All rows of every key. Encoding of a value: per row the length of its bytes (4 bytes, little endian) and its bytes.
pub(super) struct State {
    pub(super) table: SlotTable,
    pub(super) arena: Arena,
    /// By slot: the rows of a key, in the order in which they came.
    pub(super) lists: Vec<RowList>,
}

impl State {
    pub(super) fn open(types: &[DataType], store: &Store) -> Result<Self, OperatorError> {
        let table = SlotTable::open("rows", types, store, ROWS, types.len())?;
        Ok(Self { table, arena: Arena::default(), lists: Vec::new() })
    }

    /// Finds the slots of `keys`, with new ones for keys that have none.
    pub(super) fn lookup(
        &mut self,
        keys: &[ArrayRef],
        hashes: &[u64],
        slots: &mut Vec<u32>,
    ) -> Result<(), OperatorError> {
        let (arena, lists) = (&mut self.arena, &mut self.lists);
        self.table.lookup(keys, hashes, slots, &mut |slot, bytes| {
            lists.resize_with(lists.len().max(slot as usize + 1), RowList::default);
            load(arena, &mut lists[slot as usize], bytes)
        })?;
        self.lists.resize_with(self.table.slots_max(), RowList::default);
        Ok(())
    }
}

fn load(arena: &mut Arena, list: &mut RowList, mut bytes: &[u8]) -> Result<(), StateError> {
    while !bytes.is_empty() {
        let row = bytes.split_first_chunk::<4>().and_then(|(length, rest)| {
            let length = u32::from_le_bytes(*length) as usize;
            rest.split_at_checked(length)
        });
        let Some((row, rest)) = row else {
            return Err(StateError::Corrupt { table: "rows".into(), message: "an entry ends within a row".into() });
        };
        list.push(arena.add(row));
        bytes = rest;
    }
    Ok(())
}

fn save(arena: &Arena, list: &List, out: &mut Vec<u8>) {
    for row in list.rows() {
        let bytes = arena.bytes(*row);
        out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        out.extend_from_slice(bytes);
    }
}

impl Table for State {
    fn name(&self) -> &str {
        self.table.name()
    }

    fn persist(&mut self) -> Result<(), StateError> {
        let (arena, lists) = (&self.arena, &self.lists);
        self.table.persist(&mut |slot, out| save(arena, &lists[slot as usize], out))
    }

    fn taken_bytes(&self) -> usize {
        let arena = self.arena.size_bytes();
        arena + self.table.taken_bytes(self.size_bytes() - arena)
    }

    fn evict(&mut self, bytes: usize) -> Result<(), StateError> {
        let count = self.table.count_of(bytes, self.taken_bytes());
        let (arena, lists) = (&self.arena, &self.lists);
        for slot in self.table.evict(count, &mut |slot, out| save(arena, &lists[slot as usize], out))? {
            let rows = std::mem::take(&mut self.lists[slot as usize]);
            rows.rows().iter().for_each(|row| self.arena.remove(*row));
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
            + self.lists.capacity() * size_of::<RowList>()
            + self.lists.iter().map(RowList::allocated_bytes).sum::<usize>()
    }
}
