//! The result of a SELECT as it is now, for who looks at some of its rows while it changes.
//!
//! A result that takes nothing back keeps its latest rows, by the batch. Any other one keeps every row that is there, as bytes
//! of Arrow's row format, at the place where its key first appeared: a row that changes stays where it is.
//! [`ResultTable`](crate::ResultTable) is for finished results: it keeps all rows, and they have no identity.

use crate::job::ResultShape;
use crate::result::sort_order;
use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::error::ArrowError;
use arrow::row::{OwnedRow, RowConverter, SortField};
use eddyline_changes::{ChangeBatch, RowKind};
use eddyline_connectors::changelog::row_kinds;
use eddyline_planner::SqlError;
use std::collections::{HashMap, VecDeque};

/// How many rows of a result that only grows are kept.
const LATEST_MAX: usize = 100_000;
/// Places of rows that are gone are closed up when there are so many, and as many as rows.
const GONE_MAX: usize = 1024;

/// See the module's page.
pub struct LiveTable {
    shape: ResultShape,
    rows: Rows,
    moment: u64,
}

enum Rows {
    Latest(Latest),
    Current(Current),
}

/// Some rows of a [`LiveTable`].
pub struct Window {
    /// The rows, of the columns that are shown.
    pub rows: RecordBatch,
    /// What each row is, as long as it is there: that of a key stays the same when its other columns change.
    pub ids: Vec<u64>,
    /// At which moment each row appeared.
    pub born: Vec<u64>,
}

impl LiveTable {
    /// The empty result.
    ///
    /// # Errors
    /// Columns that cannot be compared (`MAP`), in a result that takes rows back.
    pub fn new(shape: &ResultShape) -> Result<Self, SqlError> {
        let rows = match shape.append_only && shape.presentation.sort.is_empty() {
            true => Rows::Latest(Latest::default()),
            false => Rows::Current(Current::new(shape).map_err(uncomparable)?),
        };
        Ok(Self { shape: shape.clone(), rows, moment: 0 })
    }

    /// How often changes were applied.
    pub fn moment(&self) -> u64 {
        self.moment
    }

    /// How many rows there are to look at.
    pub fn len(&self) -> usize {
        match &self.rows {
            Rows::Latest(latest) => latest.kept,
            Rows::Current(current) => current.len,
        }
    }

    /// Is there nothing to look at?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many rows there were that are no longer kept.
    pub fn dropped(&self) -> u64 {
        match &self.rows {
            Rows::Latest(latest) => latest.dropped,
            Rows::Current(_) => 0,
        }
    }

    /// Applies the changes of an epoch.
    ///
    /// # Errors
    /// A row is taken away that is not there.
    pub fn apply(&mut self, changes: &[ChangeBatch]) -> Result<(), SqlError> {
        let Some(first) = changes.first() else { return Ok(()) };
        self.moment += 1;
        match &mut self.rows {
            Rows::Latest(latest) => {
                for batch in changes {
                    latest.push(batch.rows().clone(), self.moment);
                }
                Ok(())
            }
            Rows::Current(current) => {
                let epoch = ChangeBatch::concat(&first.schema(), changes).map_err(internal)?;
                current.apply(&epoch, self.moment)
            }
        }
    }

    /// `count` rows from row `from` on, fewer where there are no more.
    ///
    /// # Errors
    /// Rows that cannot be sorted.
    pub fn window(&self, from: usize, count: usize) -> Result<Window, SqlError> {
        let window = match &self.rows {
            Rows::Latest(latest) => latest.window(&self.shape, from, count),
            Rows::Current(current) => current.window(&self.shape, from, count),
        };
        let Window { rows, ids, born } = window.map_err(internal)?;
        Ok(Window { rows: self.shape.visible(&rows).map_err(internal)?, ids, born })
    }
}

/// The last rows of a result that only grows.
#[derive(Default)]
struct Latest {
    /// Batches, each with the moment at which it came.
    batches: VecDeque<(RecordBatch, u64)>,
    kept: usize,
    dropped: u64,
}

impl Latest {
    fn push(&mut self, batch: RecordBatch, moment: u64) {
        self.kept += batch.num_rows();
        self.batches.push_back((batch, moment));
        while let Some((oldest, _)) = self.batches.front()
            && self.kept - oldest.num_rows() >= LATEST_MAX
        {
            self.kept -= oldest.num_rows();
            self.dropped += oldest.num_rows() as u64;
            self.batches.pop_front();
        }
    }

    fn window(&self, shape: &ResultShape, mut from: usize, mut count: usize) -> Result<Window, ArrowError> {
        let first = self.dropped + from as u64;
        let (mut rows, mut born) = (Vec::new(), Vec::new());
        for (batch, moment) in &self.batches {
            let skipped = from.min(batch.num_rows());
            let taken = count.min(batch.num_rows() - skipped);
            from -= skipped;
            count -= taken;
            if taken > 0 {
                rows.push(batch.slice(skipped, taken));
                born.extend(std::iter::repeat_n(*moment, taken));
            }
        }
        let ids = (first..).take(born.len()).collect();
        Ok(Window { rows: concat_batches(&shape.schema, &rows)?, ids, born })
    }
}

/// The rows that are there, each at the place of its key.
struct Current {
    columns: RowConverter,
    keys: Option<(Vec<usize>, RowConverter)>,
    at: HashMap<Box<[u8]>, usize>,
    places: Vec<Option<Place>>,
    gone: usize,
    /// Rows, each as often as it is there.
    len: usize,
    last_id: u64,
}

struct Place {
    key: Box<[u8]>,
    row: OwnedRow,
    copies: usize,
    id: u64,
    born: u64,
}

impl Current {
    fn new(shape: &ResultShape) -> Result<Self, ArrowError> {
        let field = |column: usize| SortField::new(shape.schema.field(column).data_type().clone());
        let all = (0..shape.schema.fields().len()).map(field).collect();
        let keys = match &shape.key {
            Some(key) => Some((key.clone(), RowConverter::new(key.iter().map(|c| field(*c)).collect())?)),
            None => None,
        };
        Ok(Self {
            columns: RowConverter::new(all)?,
            keys,
            at: HashMap::new(),
            places: Vec::new(),
            gone: 0,
            len: 0,
            last_id: 0,
        })
    }

    fn apply(&mut self, epoch: &ChangeBatch, moment: u64) -> Result<(), SqlError> {
        let key = self.keys.as_ref().map(|(columns, _)| columns.as_slice());
        let kinds = row_kinds(epoch, key).map_err(|e| SqlError::new(SqlError::INTERNAL, e.to_string()))?;
        let rows = self.columns.convert_columns(epoch.rows().columns()).map_err(internal)?;
        let keys = match &self.keys {
            // Of a result without GROUP BY there is one row.
            Some((columns, _)) if columns.is_empty() => None,
            Some((columns, converter)) => {
                let columns: Vec<_> = columns.iter().map(|c| epoch.column(*c).clone()).collect();
                Some(converter.convert_columns(&columns).map_err(internal)?)
            }
            None => Some(rows.clone()),
        };
        for (at, kind) in kinds {
            let key: Box<[u8]> = keys.as_ref().map_or(Box::default(), |keys| keys.row(at as usize).data().into());
            match kind {
                RowKind::UpdateBefore => {}
                RowKind::Insert | RowKind::UpdateAfter => self.put(key, rows.row(at as usize).owned(), moment),
                RowKind::Delete => self.take(&key)?,
            }
        }
        if self.gone > GONE_MAX && self.gone > self.places.len() / 2 {
            self.close_up();
        }
        Ok(())
    }

    fn put(&mut self, key: Box<[u8]>, row: OwnedRow, moment: u64) {
        let keyed = self.keys.is_some();
        match self.at.get(&key).and_then(|at| self.places[*at].as_mut()) {
            Some(place) if keyed => place.row = row,
            Some(place) => {
                place.copies += 1;
                self.len += 1;
            }
            None => {
                self.last_id += 1;
                self.at.insert(key.clone(), self.places.len());
                self.places.push(Some(Place { key, row, copies: 1, id: self.last_id, born: moment }));
                self.len += 1;
            }
        }
    }

    fn take(&mut self, key: &[u8]) -> Result<(), SqlError> {
        let Some(at) = self.at.get(key).copied() else { return Err(never_there()) };
        let Some(place) = &mut self.places[at] else { return Err(never_there()) };
        place.copies -= 1;
        self.len -= 1;
        if place.copies == 0 {
            self.places[at] = None;
            self.at.remove(key);
            self.gone += 1;
        }
        Ok(())
    }

    /// Rows that are gone take no room.
    fn close_up(&mut self) {
        self.places.retain(Option::is_some);
        self.gone = 0;
        let places = self.places.iter().enumerate();
        self.at = places.filter_map(|(at, place)| Some((place.as_ref()?.key.clone(), at))).collect();
    }

    fn window(&self, shape: &ResultShape, from: usize, count: usize) -> Result<Window, ArrowError> {
        let each = self.places.iter().flatten().flat_map(|place| std::iter::repeat_n(place, place.copies));
        let sort = &shape.presentation.sort;
        if sort.is_empty() {
            let places: Vec<&Place> = each.skip(from).take(count).collect();
            return Ok(of_places(self.batch(shape, &places)?, &places));
        }
        let places: Vec<&Place> = each.collect();
        let all = self.batch(shape, &places)?;
        let order = sort_order(&all, sort, None)?;
        let shown = order.values().get(from.min(order.len())..(from + count).min(order.len())).unwrap_or_default();
        let places: Vec<&Place> = shown.iter().map(|at| places[*at as usize]).collect();
        Ok(of_places(take_record_batch(&all, &UInt32Array::from(shown.to_vec()))?, &places))
    }

    fn batch(&self, shape: &ResultShape, places: &[&Place]) -> Result<RecordBatch, ArrowError> {
        let columns = self.columns.convert_rows(places.iter().map(|place| place.row.row()))?;
        RecordBatch::try_new(shape.schema.clone(), columns)
    }
}

fn of_places(rows: RecordBatch, places: &[&Place]) -> Window {
    let ids = places.iter().map(|place| place.id).collect();
    Window { rows, ids, born: places.iter().map(|place| place.born).collect() }
}

fn never_there() -> SqlError {
    SqlError::new("22000", "the result takes a row away that is not there").with_hint(
        "a table that is read takes back a row that it has not handed out, as a history does that begins in the middle; \
         if none of them does, please report the query",
    )
}

fn uncomparable(error: ArrowError) -> SqlError {
    let message = format!("the result cannot be kept up as a table: {error}");
    SqlError::new(SqlError::UNSUPPORTED, message)
        .with_hint("SET 'sql-client.execution.result-mode' = 'changelog' shows its changes")
}

fn internal(error: impl std::fmt::Display) -> SqlError {
    SqlError::new(SqlError::INTERNAL, format!("result: {error}"))
}

#[cfg(test)]
mod tests;
