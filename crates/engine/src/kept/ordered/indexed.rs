//! The same rows in several orders: that of their key, and those of indexes.

use super::chunk::Chunk;
use super::range::Found;
use super::{Missing, OrderedRows};
use arrow::array::RecordBatch;
use arrow::compute::{SortOptions, concat_batches};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use eddyline_plan::ColumnCondition;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The columns of an index, the most significant first, and how their values are ordered.
pub(crate) type Order = Vec<(usize, SortOptions)>;

/// So many rows are sorted together when an order is built.
const SORTED_ROWS: usize = 1 << 20;

/// Rows in the order of their key and in those of indexes. A clone is a picture of them as they are.
#[derive(Clone)]
pub(crate) struct IndexedRows {
    rows: OrderedRows,
    indexes: Vec<Indexed>,
}

#[derive(Clone)]
struct Indexed {
    order: Arc<Order>,
    /// The same rows. Behind the columns of the index, those that tell rows of one value apart.
    rows: OrderedRows,
}

impl From<OrderedRows> for IndexedRows {
    fn from(rows: OrderedRows) -> Self {
        Self { rows, indexes: Vec::new() }
    }
}

impl IndexedRows {
    /// In the order of their key.
    pub(crate) fn by_key(&self) -> &OrderedRows {
        &self.rows
    }

    /// The columns.
    pub(crate) fn schema(&self) -> &SchemaRef {
        self.rows.schema()
    }

    /// All rows, as often as they are there, in the order of their key.
    pub(crate) fn batches(&self) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> + use<> {
        self.rows.batches()
    }

    /// Those of the rows that can satisfy conditions, and maybe others, as often as they are there: in the order in which the fewest are looked
    /// at.
    ///
    /// # Errors
    /// None for conditions on columns of this schema.
    pub(crate) fn batches_where(
        &self,
        conditions: &[ColumnCondition],
    ) -> Result<impl Iterator<Item = Result<RecordBatch, ArrowError>> + use<>, ArrowError> {
        let (index, found) = self.found(conditions)?;
        Ok(index.map_or(&self.rows, |index| &index.rows).batches_in(found.range))
    }

    /// The index through which rows are found that satisfy conditions; `None`: by their key, or by looking at all.
    ///
    /// # Errors
    /// As [`batches_where`](Self::batches_where).
    pub(crate) fn index_for(&self, conditions: &[ColumnCondition]) -> Result<Option<&Order>, ArrowError> {
        Ok(self.found(conditions)?.0.map(|index| index.order.as_ref()))
    }

    fn found(&self, conditions: &[ColumnCondition]) -> Result<(Option<&Indexed>, Found), ArrowError> {
        let mut best = (None, self.rows.range_of(conditions)?);
        for index in &self.indexes {
            let found = index.rows.range_of(conditions)?;
            if found.by > best.1.by {
                best = (Some(index), found);
            }
        }
        Ok(best)
    }

    /// Applies changes, in all orders or in none ([`OrderedRows::change`]).
    ///
    /// # Errors
    /// As there.
    pub(crate) fn change(
        &mut self,
        rows: &RecordBatch,
        weights: impl Fn(usize) -> i64 + Copy,
    ) -> Result<Result<(), Missing>, ArrowError> {
        let mut indexes = self.indexes.clone();
        for index in &mut indexes {
            if let Err(missing) = index.change(rows, weights)? {
                return Ok(Err(missing));
            }
        }
        let keys = self.rows.keys(rows)?;
        let changed = self.rows.change(&keys, rows, weights)?;
        if changed.is_ok() {
            self.indexes = indexes;
        }
        Ok(changed)
    }

    /// These rows with these indexes, and no others. Where `has_key`, the key tells any two rows apart.
    ///
    /// # Errors
    /// A column whose values have no order.
    pub(crate) fn in_orders(&self, orders: &[Order], has_key: bool) -> Result<Self, ArrowError> {
        let index = |order: &Order| match self.indexes.iter().find(|index| *index.order == *order) {
            Some(there) => Ok(there.clone()),
            None => Indexed::of(&self.rows, order, has_key),
        };
        let indexes = orders.iter().map(index).collect::<Result<_, _>>()?;
        Ok(Self { rows: self.rows.clone(), indexes })
    }

    /// The indexes of rows that have changed since: `now` is what became of them.
    ///
    /// # Errors
    /// [`Missing`] where they are other rows.
    pub(crate) fn caught_up_with(mut self, now: &OrderedRows) -> Result<Result<Self, Missing>, ArrowError> {
        let of = |rows: &OrderedRows| rows.chunks.iter().map(Arc::as_ptr).collect::<BTreeSet<_>>();
        let (before, after) = (of(&self.rows), of(now));
        let gone = self.rows.chunks.iter().filter(|chunk| !after.contains(&Arc::as_ptr(chunk)));
        let come = now.chunks.iter().filter(|chunk| !before.contains(&Arc::as_ptr(chunk)));
        // What goes must go before another row comes in its place.
        let changes: Vec<(&Arc<Chunk>, i64)> =
            gone.map(|chunk| (chunk, -1)).chain(come.map(|chunk| (chunk, 1))).collect();
        for index in &mut self.indexes {
            for (chunk, sign) in &changes {
                if let Err(missing) = index.change(&chunk.rows, |at| sign * chunk.copies(at))? {
                    return Ok(Err(missing));
                }
            }
        }
        Ok(Ok(Self { rows: now.clone(), indexes: self.indexes }))
    }
}

impl Indexed {
    fn of(rows: &OrderedRows, order: &Order, has_key: bool) -> Result<Self, ArrowError> {
        let schema = rows.schema();
        let others: Vec<usize> = if has_key { rows.key().to_vec() } else { (0..schema.fields().len()).collect() };
        let others = others.into_iter().filter(|column| order.iter().all(|(c, _)| c != column));
        let whole: Order = order.iter().copied().chain(others.map(|column| (column, SortOptions::default()))).collect();
        let empty = OrderedRows::in_order(schema.clone(), &whole)?;
        let mut made = Self { order: Arc::new(order.clone()), rows: empty };
        let (mut waiting, mut waiting_rows) = (Vec::new(), 0);
        for chunk in rows.chunks.iter() {
            waiting.push(chunk.copies_of(0..chunk.len())?);
            waiting_rows += chunk.len();
            if waiting_rows >= SORTED_ROWS {
                made.add(&waiting)?;
                (waiting, waiting_rows) = (Vec::new(), 0);
            }
        }
        made.add(&waiting)?;
        Ok(made)
    }

    fn add(&mut self, rows: &[RecordBatch]) -> Result<(), ArrowError> {
        let rows = concat_batches(self.rows.schema(), rows)?;
        // What only comes is never missing.
        self.change(&rows, |_| 1).map(drop)
    }

    fn change(
        &mut self,
        rows: &RecordBatch,
        weights: impl Fn(usize) -> i64,
    ) -> Result<Result<(), Missing>, ArrowError> {
        let keys = self.rows.keys(rows)?;
        self.rows.change(&keys, rows, weights)
    }
}
