//! The result of a SELECT, put together from its changes.

use crate::error::from_connector;
use crate::job::ResultShape;
use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{SortColumn, SortOptions, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::row::{OwnedRow, RowConverter, SortField};
use eddyline_changes::{ChangeBatch, Weights};
use eddyline_connectors::ConnectorError;
use eddyline_planner::{Presentation, SortColumn as SortBy, SqlError};
use std::collections::HashMap;
use std::sync::Arc;

/// Fewer rows are not worth being sorted before all are there.
const ROWS_HELD: usize = 8192;

/// Accumulates changes to the table that they make.
///
/// As long as every change is an insertion the batches are kept as they are; the first retraction turns them into a
/// counted set of rows. Rows keep the order in which they first appeared.
pub struct ResultTable {
    schema: SchemaRef,
    presentation: Presentation,
    append_only: bool,
    rows: Rows,
    /// What the rows take, about.
    bytes: usize,
    bytes_max: usize,
}

enum Rows {
    Inserted(Vec<RecordBatch>),
    Counted(Counted),
}

impl ResultTable {
    /// The empty result of a SELECT.
    pub fn new(shape: &ResultShape) -> Self {
        let ResultShape { schema, presentation, append_only, .. } = shape.clone();
        let (rows, bytes_max) = (Rows::Inserted(Vec::new()), usize::MAX);
        Self { schema, presentation, append_only, rows, bytes: 0, bytes_max }
    }

    /// The same, which takes no more memory than this; `None`: as much as it needs.
    #[must_use]
    pub fn within(self, bytes_max: Option<usize>) -> Self {
        Self { bytes_max: bytes_max.unwrap_or(usize::MAX), ..self }
    }

    /// The columns that are shown.
    pub fn schema(&self) -> SchemaRef {
        visible_schema(&self.schema, &self.presentation)
    }

    /// True when what is there is all that the LIMIT lets through, and nothing that follows can change it.
    pub fn is_full(&self) -> bool {
        let Presentation { sort, limit: Some(limit), offset, .. } = &self.presentation else { return false };
        match &self.rows {
            Rows::Inserted(all) if sort.is_empty() && self.append_only => {
                all.iter().map(RecordBatch::num_rows).sum::<usize>() >= limit.saturating_add(*offset)
            }
            _ => false,
        }
    }

    /// Applies changes.
    ///
    /// # Errors
    /// A retraction over columns that cannot be compared (`MAP`), or of a row that is not there; it takes more memory than it may.
    pub fn apply(&mut self, changes: &[ChangeBatch]) -> Result<(), SqlError> {
        for batch in changes {
            self.count(batch)?;
            match (&mut self.rows, batch.weights()) {
                (Rows::Inserted(all), Weights::AllInserts) => all.push(batch.rows().clone()),
                (Rows::Inserted(all), Weights::PerRow(_)) => {
                    let mut counted = Counted::new(&self.schema).map_err(unexpected)?;
                    for inserted in std::mem::take(all) {
                        counted.apply(&ChangeBatch::inserts(inserted)).map_err(unexpected)?;
                    }
                    counted.apply(batch).map_err(unexpected)?;
                    self.rows = Rows::Counted(counted);
                }
                (Rows::Counted(counted), _) => counted.apply(batch).map_err(unexpected)?,
            }
        }
        Ok(())
    }

    /// Forgets insertions that the LIMIT behind ORDER BY will not let through, when there are many of them. No retraction may follow.
    ///
    /// # Errors
    /// Columns that cannot be sorted.
    pub(crate) fn prune(&mut self) -> Result<(), SqlError> {
        let Presentation { sort, limit: Some(limit), offset, .. } = &self.presentation else { return Ok(()) };
        let Rows::Inserted(all) = &self.rows else { return Ok(()) };
        let held: usize = all.iter().map(RecordBatch::num_rows).sum();
        if sort.is_empty() || held / 2 <= limit.saturating_add(*offset).max(ROWS_HELD) {
            return Ok(());
        }
        let left = self.sorted(all).map_err(unexpected)?;
        self.bytes = batch_bytes(&left);
        self.rows = Rows::Inserted(vec![left]);
        Ok(())
    }

    /// Counts what changes bring and take.
    fn count(&mut self, changes: &ChangeBatch) -> Result<(), SqlError> {
        let size_bytes = batch_bytes(changes.rows());
        self.bytes = match changes.weights().per_row() {
            None => self.bytes.saturating_add(size_bytes),
            Some(weights) => {
                let net: i64 = weights.iter().sum();
                let change = size_bytes as f64 / changes.num_rows().max(1) as f64 * net as f64;
                (self.bytes as f64 + change).max(0.0) as usize
            }
        };
        if self.bytes > self.bytes_max {
            let error = ConnectorError::Memory { what: "the result", max_bytes: self.bytes_max };
            return Err(from_connector(&error));
        }
        Ok(())
    }

    /// The table as it is now: in order, limited.
    ///
    /// # Errors
    /// A row that was taken away more often than added, or columns that cannot be sorted.
    pub fn batches(&self) -> Result<Vec<RecordBatch>, SqlError> {
        let batches = match &self.rows {
            Rows::Inserted(all) => all.clone(),
            Rows::Counted(counted) => vec![counted.batch(&self.schema)?],
        };
        let batches = if self.presentation.sort.is_empty() || batches.is_empty() {
            batches
        } else {
            vec![self.sorted(&batches).map_err(unexpected)?]
        };
        let mut limit = Limit::of(&self.presentation);
        let batches = batches.iter().map(|batch| limit.cut(batch)).filter(|batch| batch.num_rows() > 0);
        batches.map(|b| visible(&b, &self.presentation).map_err(unexpected)).collect()
    }

    fn sorted(&self, batches: &[RecordBatch]) -> Result<RecordBatch, ArrowError> {
        let all = concat_batches(&batches[0].schema(), batches)?;
        let Presentation { sort, limit, offset, .. } = &self.presentation;
        let order = sort_order(&all, sort, limit.map(|l| l.saturating_add(*offset)))?;
        take_record_batch(&all, &order)
    }
}

/// What rows take in memory, without what they share with others.
pub(crate) fn batch_bytes(rows: &RecordBatch) -> usize {
    let column =
        |column: &ArrayRef| column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size());
    rows.columns().iter().map(column).sum()
}

/// Which rows come first by `sort`, `limit` of them.
pub(crate) fn sort_order(rows: &RecordBatch, sort: &[SortBy], limit: Option<usize>) -> Result<UInt32Array, ArrowError> {
    let by = |s: &SortBy| SortColumn {
        values: rows.column(s.column).clone(),
        options: Some(SortOptions { descending: !s.ascending, nulls_first: s.nulls_first }),
    };
    lexsort_to_indices(&sort.iter().map(by).collect::<Vec<_>>(), limit)
}

/// The schema without the columns that a result is only sorted by.
pub(crate) fn visible_schema(schema: &SchemaRef, presentation: &Presentation) -> SchemaRef {
    let shown = schema.fields().len() - presentation.hidden;
    Arc::new(Schema::new(schema.fields()[..shown].to_vec()))
}

/// The same, under the names that a client is told.
pub(crate) fn shown_schema(schema: &SchemaRef, presentation: &Presentation) -> SchemaRef {
    let visible = visible_schema(schema, presentation);
    if presentation.names.len() != visible.fields().len() {
        return visible;
    }
    let named = |(field, name): (&FieldRef, &String)| field.as_ref().clone().with_name(name);
    Arc::new(Schema::new(visible.fields().iter().zip(&presentation.names).map(named).collect::<Vec<_>>()))
}

/// The rows without the columns that a result is only sorted by.
pub(crate) fn visible(rows: &RecordBatch, presentation: &Presentation) -> Result<RecordBatch, ArrowError> {
    match presentation.hidden {
        0 => Ok(rows.clone()),
        hidden => rows.project(&(0..rows.num_columns() - hidden).collect::<Vec<_>>()),
    }
}

/// What OFFSET and LIMIT leave of rows that come batch by batch.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// How many rows are still to be left out, and how many to be handed out.
    offset: usize,
    left: usize,
}

impl Limit {
    /// That of a result, at its beginning.
    pub fn of(presentation: &Presentation) -> Self {
        Self { offset: presentation.offset, left: presentation.limit.unwrap_or(usize::MAX) }
    }

    /// So many rows are asked for, those that are left out included.
    pub(crate) fn rows(&self) -> usize {
        self.offset.saturating_add(self.left)
    }

    /// True when no row that follows is handed out.
    pub fn is_over(&self) -> bool {
        self.left == 0
    }

    /// What is left of the next rows.
    pub fn cut(&mut self, rows: &RecordBatch) -> RecordBatch {
        let skip = self.offset.min(rows.num_rows());
        self.offset -= skip;
        let keep = self.left.min(rows.num_rows() - skip);
        self.left -= keep;
        rows.slice(skip, keep)
    }
}

/// Rows and how many copies there are of each.
struct Counted {
    converter: RowConverter,
    at: HashMap<OwnedRow, usize>,
    rows: Vec<(OwnedRow, i64)>,
    /// Entries of `rows` whose count is 0.
    empty: usize,
}

impl Counted {
    fn new(schema: &SchemaRef) -> Result<Self, ArrowError> {
        let fields = schema.fields().iter().map(|f| SortField::new(f.data_type().clone())).collect();
        Ok(Self { converter: RowConverter::new(fields)?, at: HashMap::new(), rows: Vec::new(), empty: 0 })
    }

    fn apply(&mut self, batch: &ChangeBatch) -> Result<(), ArrowError> {
        let keys = self.converter.convert_columns(batch.rows().columns())?;
        for (row, key) in keys.iter().enumerate() {
            let key = key.owned();
            let weight = batch.weights().at(row);
            match self.at.get(&key) {
                Some(at) => {
                    let count = &mut self.rows[*at].1;
                    self.empty -= usize::from(*count == 0);
                    *count += weight;
                    self.empty += usize::from(*count == 0);
                }
                None => {
                    self.at.insert(key.clone(), self.rows.len());
                    self.rows.push((key, weight));
                }
            }
        }
        if self.empty > 1024 && self.empty > self.rows.len() / 2 {
            self.forget_empty();
        }
        Ok(())
    }

    /// Rows that are gone take no room.
    fn forget_empty(&mut self) {
        self.rows.retain(|(_, count)| *count != 0);
        self.at = self.rows.iter().enumerate().map(|(at, (row, _))| (row.clone(), at)).collect();
        self.empty = 0;
    }

    fn batch(&self, schema: &SchemaRef) -> Result<RecordBatch, SqlError> {
        let distinct = self.converter.convert_rows(self.rows.iter().map(|(r, _)| r.row())).map_err(unexpected)?;
        let mut indices = Vec::with_capacity(self.rows.len());
        for (at, (_, count)) in self.rows.iter().enumerate() {
            if *count < 0 {
                let message = format!("the result takes a row away {} times more often than it was added", -count);
                return Err(SqlError::new("22000", message).with_hint(
                    "a table that is read takes back a row that it has not handed out, as a history does that begins in the middle; \
                     if none of them does, please report the query",
                ));
            }
            indices.extend(std::iter::repeat_n(at as u32, *count as usize));
        }
        let all = RecordBatch::try_new(schema.clone(), distinct).map_err(unexpected)?;
        take_record_batch(&all, &UInt32Array::from(indices)).map_err(unexpected)
    }
}

fn unexpected(error: ArrowError) -> SqlError {
    SqlError::new(crate::error::of_arrow(&error), format!("result: {error}"))
}

#[cfg(test)]
mod tests;
