//! The same rows in several orders: that of their key, and those of indexes.

use super::chunk::Chunk;
use super::range::{Found, KeyRange};
use super::{Missing, OrderedRows};
use arrow::array::{Array, RecordBatch};
use arrow::compute::{SortOptions, concat_batches};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use eddyline_changes::ChangeBatch;
use eddyline_plan::ColumnCondition;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// A second order of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    /// Its columns, the most significant first, and how their values are ordered.
    pub(crate) columns: Vec<(usize, SortOptions)>,
    /// No two rows have the same values in them.
    pub(crate) unique: Option<Unique>,
}

/// What is said of rows that no two may be alike in some columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unique {
    /// Under this name.
    pub(crate) name: String,
    /// Rows with a NULL are like no other.
    pub(crate) nulls_distinct: bool,
}

/// How some rows are read.
pub(crate) struct Reading<'i> {
    rows: &'i OrderedRows,
    /// Through this index; `None`: by their key.
    pub(crate) index: Option<&'i Order>,
    found: Found,
    /// They come in the order that was asked for; with `true` from the last to the first.
    is_turned: Option<bool>,
}

impl Reading<'_> {
    /// Do they come in the order that was asked for?
    pub(crate) fn is_sorted(&self) -> bool {
        self.is_turned.is_some()
    }

    /// The rows, as often as they are there.
    pub(crate) fn batches(self) -> Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send> {
        let Self { rows, found, is_turned, .. } = self;
        let schema = rows.schema().clone();
        let (rows, count) = (rows.clone(), found.ranges.len());
        match is_turned {
            Some(true) => {
                gathered(schema, count, found.ranges.into_iter().rev().flat_map(move |of| rows.batches_back(of)))
            }
            _ => gathered(schema, count, found.ranges.into_iter().flat_map(move |of| rows.batches_in(of))),
        }
    }
}

/// Batches of some size, where many parts of an order have a row or two.
fn gathered(
    schema: SchemaRef,
    ranges: usize,
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>> + Send + 'static,
) -> Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send> {
    if ranges < 2 {
        return Box::new(batches);
    }
    let mut batches = batches.fuse();
    Box::new(std::iter::from_fn(move || {
        let (mut some, mut rows) = (Vec::new(), 0);
        while rows < GATHERED_ROWS
            && let Some(batch) = batches.next()
        {
            match batch {
                Ok(batch) => {
                    rows += batch.num_rows();
                    some.push(batch);
                }
                Err(error) => return Some(Err(error)),
            }
        }
        (!some.is_empty()).then(|| concat_batches(&schema, &some))
    }))
}

/// Rows that would be alike where they must not be.
pub(crate) struct Violation<'i> {
    /// In the columns of this order.
    pub(crate) order: &'i Order,
    /// One of them.
    pub(crate) row: RecordBatch,
}

/// Rows of several parts of an order that are handed out together, about.
const GATHERED_ROWS: usize = 4096;
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
    /// Makes keys of the columns of the order alone.
    prefix: Arc<RowConverter>,
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
        Ok(self.reading(conditions, &[])?.batches())
    }

    /// How rows are read that can satisfy conditions, if they are to be handed out in the order of these columns.
    ///
    /// # Errors
    /// As [`batches_where`](Self::batches_where).
    pub(crate) fn reading(
        &self,
        conditions: &[ColumnCondition],
        sort: &[(usize, SortOptions)],
    ) -> Result<Reading<'_>, ArrowError> {
        let (index, found) = self.found(conditions)?;
        let rows = index.map_or(&self.rows, |index| &index.rows);
        let is_turned = if sort.is_empty() { None } else { rows.is_sorted_by(&found, sort) };
        let best = Reading { rows, index: index.map(|index| index.order.as_ref()), found, is_turned };
        if sort.is_empty() || is_turned.is_some() {
            return Ok(best);
        }
        // As good another order may do, which is the one that is asked for.
        let others = std::iter::once((&self.rows, None));
        let others = others.chain(self.indexes.iter().map(|index| (&index.rows, Some(index.order.as_ref()))));
        for (rows, index) in others {
            let found = rows.range_of(conditions)?;
            let is_turned = rows.is_sorted_by(&found, sort);
            if is_turned.is_some() && found.by >= best.found.by {
                return Ok(Reading { rows, index, found, is_turned });
            }
        }
        Ok(best)
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

    /// The first of the orders of which no two rows may be alike that would not be so after changes, with the row.
    ///
    /// # Errors
    /// Changes of another schema.
    pub(crate) fn violated(&self, changes: &ChangeBatch) -> Result<Option<Violation<'_>>, ArrowError> {
        for index in &self.indexes {
            if let Some(unique) = &index.order.unique
                && let Some(row) = index.alike_after(changes, unique)?
            {
                return Ok(Some(Violation { order: &index.order, row: changes.rows().slice(row, 1) }));
            }
        }
        Ok(None)
    }

    /// The first of the orders that `before` does not have of which no two rows may be alike, and two are, with one of them.
    ///
    /// # Errors
    /// None for rows of one schema.
    pub(crate) fn violated_since(&self, before: &Self) -> Result<Option<Violation<'_>>, ArrowError> {
        for index in &self.indexes {
            let Some(unique) = &index.order.unique else { continue };
            let was = before.index(&index.order.columns).and_then(|index| index.order.unique.as_ref());
            if was.is_none_or(|was| was.nulls_distinct != unique.nulls_distinct)
                && let Some(row) = index.alike(unique)?
            {
                return Ok(Some(Violation { order: &index.order, row }));
            }
        }
        Ok(None)
    }

    /// The rows that are there with the values of these rows in the columns of an order, and which of these rows find one. A row with a NULL
    /// finds none where that is like no other.
    ///
    /// # Errors
    /// There is no such order; rows of another schema.
    pub(crate) fn rows_like(&self, order: &Order, rows: &RecordBatch) -> Result<(RecordBatch, Vec<bool>), ArrowError> {
        let missing = || ArrowError::InvalidArgumentError("an index is gone".into());
        let index = self.index(&order.columns).ok_or_else(missing)?;
        let keys = index.keys_of(rows)?;
        let (mut there, mut found) = (Vec::new(), Vec::with_capacity(rows.num_rows()));
        for (at, key) in keys.iter().enumerate() {
            let is_alone = index.is_alone(rows, at, order.unique.as_ref());
            let mut like = index.rows.batches_in(KeyRange::beginning_with(key.data().to_vec()));
            let first = if is_alone { None } else { like.next().transpose()? };
            found.push(first.is_some());
            there.extend(first.map(|rows| rows.slice(0, 1)));
        }
        Ok((concat_batches(self.schema(), &there)?, found))
    }

    /// The keys of these rows in the columns of an order; `None`: it is like no other.
    ///
    /// # Errors
    /// As [`rows_like`](Self::rows_like).
    pub(crate) fn keys_in(&self, order: &Order, rows: &RecordBatch) -> Result<Vec<Option<Vec<u8>>>, ArrowError> {
        let missing = || ArrowError::InvalidArgumentError("an index is gone".into());
        let index = self.index(&order.columns).ok_or_else(missing)?;
        let keys = index.keys_of(rows)?;
        let key = |at: usize| {
            let is_alone = index.is_alone(rows, at, order.unique.as_ref());
            (!is_alone).then(|| keys.row(at).data().to_vec())
        };
        Ok((0..rows.num_rows()).map(key).collect())
    }

    /// The orders of which no two rows may be alike.
    pub(crate) fn unique_orders(&self) -> impl Iterator<Item = &Order> {
        self.indexes.iter().map(|index| index.order.as_ref()).filter(|order| order.unique.is_some())
    }

    fn index(&self, columns: &[(usize, SortOptions)]) -> Option<&Indexed> {
        self.indexes.iter().find(|index| index.order.columns == columns)
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
        let index = |order: &Order| match self.index(&order.columns) {
            Some(there) => Ok(Indexed { order: Arc::new(order.clone()), ..there.clone() }),
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
        let own = order.columns.iter().copied();
        let others = others.into_iter().filter(|column| own.clone().all(|(c, _)| c != *column));
        let whole: Vec<_> = own.clone().chain(others.map(|column| (column, SortOptions::default()))).collect();
        let empty = OrderedRows::in_order(schema.clone(), &whole)?;
        let field = |(c, options): (usize, SortOptions)| {
            SortField::new_with_options(schema.field(c).data_type().clone(), options)
        };
        let prefix = Arc::new(RowConverter::new(own.map(field).collect())?);
        let mut made = Self { order: Arc::new(order.clone()), prefix, rows: empty };
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

    /// What rows have in the columns of the order.
    fn keys_of(&self, rows: &RecordBatch) -> Result<Rows, ArrowError> {
        let columns: Vec<_> = self.order.columns.iter().map(|(c, _)| rows.column(*c).clone()).collect();
        self.prefix.convert_columns(&columns)
    }

    /// Is a row like no other, whatever it has?
    fn is_alone(&self, rows: &RecordBatch, at: usize, unique: Option<&Unique>) -> bool {
        unique.is_some_and(|unique| unique.nulls_distinct)
            && self.order.columns.iter().any(|(c, _)| rows.column(*c).is_null(at))
    }

    /// A row of changes that would be like another one after them.
    fn alike_after(&self, changes: &ChangeBatch, unique: &Unique) -> Result<Option<usize>, ArrowError> {
        let (rows, weights) = (changes.rows(), changes.weights());
        let keys = self.keys_of(rows)?;
        let mut more: HashMap<&[u8], i64> = HashMap::new();
        let counted: Vec<usize> = (0..rows.num_rows()).filter(|at| !self.is_alone(rows, *at, Some(unique))).collect();
        for at in &counted {
            *more.entry(keys.row(*at).data()).or_default() += weights.at(*at);
        }
        let is_alike = |at: &&usize| {
            let key = keys.row(**at).data();
            weights.at(**at) > 0 && self.rows.count_in(&KeyRange::beginning_with(key.to_vec())) + more[key] > 1
        };
        Ok(counted.iter().find(is_alike).copied())
    }

    /// A row that is like another one.
    fn alike(&self, unique: &Unique) -> Result<Option<RecordBatch>, ArrowError> {
        let mut before: Option<Vec<u8>> = None;
        for chunk in self.rows.chunks.iter() {
            let keys = self.keys_of(&chunk.rows)?;
            for at in 0..chunk.len() {
                if self.is_alone(&chunk.rows, at, Some(unique)) {
                    continue;
                }
                let key = keys.row(at).data();
                if chunk.copies(at) > 1 || before.as_deref() == Some(key) {
                    return Ok(Some(chunk.rows.slice(at, 1)));
                }
                before = Some(key.to_vec());
            }
        }
        Ok(None)
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
