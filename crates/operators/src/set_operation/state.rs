use crate::OperatorError;
use crate::aggregation::BATCH_ROWS_MAX;
use crate::kept_rows::EachRows;
use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Schema};
use eddyline_changes::Weights;
use eddyline_changes::hash::hash_columns;
use eddyline_state::{SlotTable, StateError, Store, Table, TableId};

const ROWS: TableId = 0;

/// How many copies of a row the left and the right input have.
pub(super) type Copies = [i64; 2];

/// The different rows of both inputs, with their copies by slot.
///
/// Encoding of a value: copies in the left, copies in the right (8 bytes each, little endian).
pub(super) struct Rows {
    pub(super) table: SlotTable,
    pub(super) copies: Vec<Copies>,
}

impl Rows {
    pub(super) fn open(types: &[DataType], store: &Store) -> Result<Self, OperatorError> {
        let table = SlotTable::open("rows", types, store, ROWS, types.len())?;
        Ok(Self { table, copies: Vec::new() })
    }

    /// Finds the slots of rows; rows that are new have no copies yet.
    pub(super) fn lookup(
        &mut self,
        rows: &[ArrayRef],
        hashes: &[u64],
        slots: &mut Vec<u32>,
    ) -> Result<(), OperatorError> {
        let copies = &mut self.copies;
        self.table.lookup(rows, hashes, slots, &mut |slot, bytes| load(copies, slot, bytes))?;
        self.copies.resize(self.table.slots_max(), [0, 0]);
        Ok(())
    }

    /// From now on rows that do not change in either input for so long are forgotten.
    pub(super) fn forget_after(&mut self, ttl_ms: u64) {
        self.table.forget_after(ttl_ms);
    }

    /// Forgets the rows that did not change for the time to live. No change of this epoch may be pending.
    pub(super) fn forget_idle(&mut self, now_ms: i64) -> Result<(), OperatorError> {
        let gone = self.table.take_idle(now_ms, |_| false);
        gone.iter().for_each(|slot| self.copies[*slot as usize] = [0, 0]);
        Ok(self.table.remove(&gone)?)
    }

    /// Where rows are forgotten: copies that are taken back and are not there are let go.
    pub(super) fn let_go(&mut self, touched: &[u32], now_ms: i64) {
        if !self.table.forgets() {
            return;
        }
        self.table.touch(touched, now_ms);
        for slot in touched {
            self.copies[*slot as usize].iter_mut().for_each(|copies| *copies = (*copies).max(0));
        }
    }

    /// Adds weights to the copies in input `side`.
    pub(super) fn add(&mut self, side: usize, slots: &[u32], weights: &Weights) {
        let rows = slots.iter().enumerate();
        match weights {
            Weights::AllInserts => slots.iter().for_each(|s| self.copies[*s as usize][side] += 1),
            Weights::PerRow(w) => rows.for_each(|(row, s)| self.copies[*s as usize][side] += w[row]),
        }
    }

    /// Marks what changed, and forgets rows that neither input has.
    pub(super) fn settle(&mut self, touched: &[u32]) -> Result<(), OperatorError> {
        self.table.mark_dirty(touched);
        let gone: Vec<u32> = touched.iter().copied().filter(|s| self.copies[*s as usize] == [0, 0]).collect();
        Ok(self.table.remove(&gone)?)
    }
}

/// Calls `each` with all rows that an input has, and how many copies of each, some at a time.
///
/// # Errors
/// The store cannot be read, or `each` failed.
pub(crate) fn read_copies(
    side: usize,
    schema: &Schema,
    store: &Store,
    each: &mut EachRows<'_>,
) -> Result<(), OperatorError> {
    let types: Vec<DataType> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
    let mut rows = Rows::open(&types, store)?;
    while !rows.is_whole() {
        rows.warm(BATCH_ROWS_MAX)?;
    }
    for slots in rows.table.slots().chunks(BATCH_ROWS_MAX) {
        let copies: Vec<i64> = slots.iter().map(|slot| rows.copies[*slot as usize][side]).collect();
        each(rows.table.keys(slots)?, &copies)?;
    }
    Ok(())
}

fn load(copies: &mut Vec<Copies>, slot: u32, bytes: &[u8]) -> Result<(), StateError> {
    let (&[left, right], []) = bytes.as_chunks::<8>() else {
        return Err(StateError::Corrupt { table: "rows".into(), message: "an entry has another length".into() });
    };
    copies.resize(copies.len().max(slot as usize + 1), [0, 0]);
    copies[slot as usize] = [i64::from_le_bytes(left), i64::from_le_bytes(right)];
    Ok(())
}

fn save(copies: Copies, out: &mut Vec<u8>) {
    copies.iter().for_each(|c| out.extend_from_slice(&c.to_le_bytes()));
}

impl Table for Rows {
    fn name(&self) -> &str {
        self.table.name()
    }

    fn persist(&mut self) -> Result<(), StateError> {
        let copies = &self.copies;
        self.table.persist(&mut |slot, out| save(copies[slot as usize], out))
    }

    fn taken_bytes(&self) -> usize {
        self.table.taken_bytes(self.size_bytes())
    }

    fn is_whole(&self) -> bool {
        self.table.is_complete()
    }

    fn warm(&mut self, entries_max: usize) -> Result<(), StateError> {
        let copies = &mut self.copies;
        let hash = |columns: &[ArrayRef], n| hash_columns(columns, n);
        self.table.scan_more(entries_max, &hash, &mut |slot, bytes| load(copies, slot, bytes))?;
        self.copies.resize(self.table.slots_max(), [0, 0]);
        Ok(())
    }

    fn tidy(&mut self, entries_max: usize) -> Result<(), StateError> {
        self.table.tidy(entries_max)
    }

    fn evict(&mut self, bytes: usize) -> Result<(), StateError> {
        let count = self.table.count_of(bytes, self.taken_bytes());
        let copies = &mut self.copies;
        let gone = self.table.evict(count, &mut |slot, out| save(copies[slot as usize], out))?;
        gone.iter().for_each(|slot| copies[*slot as usize] = [0, 0]);
        Ok(())
    }

    fn len(&self) -> usize {
        self.table.len()
    }

    fn size_bytes(&self) -> usize {
        self.table.size_bytes() + self.copies.capacity() * size_of::<Copies>()
    }
}
