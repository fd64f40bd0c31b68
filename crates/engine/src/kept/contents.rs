//! The rows of a table that the engine keeps.

use crate::ddl;
use crate::error::of_arrow;
use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::row::{OwnedRow, RowConverter, SortField};
use eddyline_catalog::Table;
use eddyline_changes::{ChangeBatch, Weights};
use eddyline_planner::SqlError;
use eddyline_planner::statement::Conflict;
use std::collections::BTreeMap;

/// SQLSTATE of a second row under a key.
const DUPLICATE_KEY: &str = "23505";

/// Rows in the order of their key, or of all their columns.
pub(crate) struct Contents {
    /// Tells it from others that have or had its name.
    id: u64,
    /// What the log knows of it; `None`: its rows end with the process.
    log: Option<InLog>,
    schema: SchemaRef,
    /// The columns of the PRIMARY KEY; all without one.
    key: Vec<usize>,
    is_keyed: bool,
    keys: RowConverter,
    whole: RowConverter,
    rows: BTreeMap<OwnedRow, Row>,
    /// All rows, until they change.
    snapshot: Option<RecordBatch>,
}

/// What the log knows of a table.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct InLog {
    /// Its first rows are to come: without them there is no such table after a crash.
    pub(crate) is_filling: bool,
    /// The last record that has changed it; 0 is none.
    pub(crate) last: u64,
}

struct Row {
    row: OwnedRow,
    copies: i64,
}

/// What becomes of the rows of some keys: `None`, none is there.
type Outcome = BTreeMap<OwnedRow, Option<OwnedRow>>;

impl Contents {
    /// No rows; `key` is empty for a table without a PRIMARY KEY.
    ///
    /// # Errors
    /// A column whose values have no order (`MAP`).
    pub(crate) fn new(id: u64, schema: SchemaRef, key: Vec<usize>) -> Result<Self, SqlError> {
        let is_keyed = !key.is_empty();
        let key = if is_keyed { key } else { (0..schema.fields().len()).collect() };
        let converter = |columns: &[usize]| {
            let field = |c: &usize| SortField::new(schema.field(*c).data_type().clone());
            RowConverter::new(columns.iter().map(field).collect()).map_err(|e| {
                SqlError::new(SqlError::UNSUPPORTED, format!("a table that is kept: {e}"))
                    .with_hint("MAP columns cannot be compared; keep keys and values as ARRAYs, or rows")
            })
        };
        let all: Vec<usize> = (0..schema.fields().len()).collect();
        let (keys, whole) = (converter(&key)?, converter(&all)?);
        Ok(Self { id, log: None, key, is_keyed, keys, whole, rows: BTreeMap::new(), snapshot: None, schema })
    }

    /// No rows of a table.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(crate) fn of_table(id: u64, table: &Table) -> Result<Self, SqlError> {
        let schema = table.physical_schema();
        let key = ddl::key_columns(table, &schema).unwrap_or_default();
        Self::new(id, schema, key)
    }

    /// What the log knows of it, if that is to know of it.
    pub(crate) fn log(&self) -> Option<InLog> {
        self.log
    }

    /// The log is to know of it.
    pub(crate) fn set_log(&mut self, log: InLog) {
        self.log = Some(log);
    }

    /// See the field.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// The columns.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Rows that a statement has computed, as rows of this table.
    ///
    /// # Errors
    /// They are not: a fault of who computed them.
    pub(crate) fn own(&self, rows: &RecordBatch) -> Result<RecordBatch, SqlError> {
        RecordBatch::try_new(self.schema.clone(), rows.columns().to_vec())
            .map_err(|e| SqlError::new(SqlError::INTERNAL, format!("rows of another table: {e}")))
    }

    /// All rows as they are now.
    ///
    /// # Errors
    /// None for rows that were applied.
    pub(crate) fn snapshot(&mut self) -> Result<RecordBatch, SqlError> {
        if self.snapshot.is_none() {
            let copies = |row: &Row| usize::try_from(row.copies).unwrap_or_default();
            let rows = self.rows.values().flat_map(|row| std::iter::repeat_n(row.row.row(), copies(row)));
            let columns = self.whole.convert_rows(rows).map_err(unexpected)?;
            self.snapshot = Some(RecordBatch::try_new(self.schema.clone(), columns).map_err(unexpected)?);
        }
        self.snapshot.clone().ok_or_else(|| SqlError::new(SqlError::INTERNAL, "no snapshot"))
    }

    /// What inserting `rows`, in their order, would change. A row under a key that is there takes the place of the one before,
    /// unless `conflict` says otherwise.
    ///
    /// # Errors
    /// `ON CONFLICT DO ERROR`, and a key is there already.
    pub(crate) fn inserted(&self, rows: &RecordBatch, conflict: Option<Conflict>) -> Result<ChangeBatch, SqlError> {
        if !self.is_keyed {
            return Ok(ChangeBatch::inserts(rows.clone()));
        }
        let mut outcome = Outcome::new();
        self.put(rows, conflict, &mut outcome)?;
        self.changes(outcome)
    }

    /// The rows among these that would be there after they are inserted, in their order: of several under one key the last one.
    ///
    /// # Errors
    /// As [`inserted`](Self::inserted).
    pub(crate) fn taken(&self, rows: &RecordBatch, conflict: Option<Conflict>) -> Result<RecordBatch, SqlError> {
        if !self.is_keyed {
            return Ok(rows.clone());
        }
        self.put(rows, conflict, &mut Outcome::new())?;
        let (keys, _) = self.encoded(rows)?;
        let mut last: BTreeMap<OwnedRow, u32> = BTreeMap::new();
        for (at, key) in (0..).zip(keys) {
            match conflict {
                Some(Conflict::Nothing) if self.rows.contains_key(&key) => {}
                Some(Conflict::Nothing) => drop(last.entry(key).or_insert(at)),
                _ => drop(last.insert(key, at)),
            }
        }
        let mut taken: Vec<u32> = last.into_values().collect();
        taken.sort_unstable();
        take_record_batch(rows, &UInt32Array::from(taken)).map_err(unexpected)
    }

    /// What putting `after` in the place of `before`, rows that are there, would change.
    ///
    /// # Errors
    /// Two rows would have one key.
    pub(crate) fn replaced(&self, before: &RecordBatch, after: &RecordBatch) -> Result<ChangeBatch, SqlError> {
        if !self.is_keyed {
            let weights = [vec![-1; before.num_rows()], vec![1; after.num_rows()]].concat();
            let rows = arrow::compute::concat_batches(&self.schema, [before, after]).map_err(unexpected)?;
            return ChangeBatch::new(rows, Weights::from_vec(weights)).and_then(|c| c.consolidate()).map_err(internal);
        }
        let (keys, _) = self.encoded(before)?;
        let mut outcome: Outcome = keys.into_iter().map(|key| (key, None)).collect();
        self.put(after, Some(Conflict::Error), &mut outcome)?;
        self.changes(outcome)
    }

    fn put(&self, rows: &RecordBatch, conflict: Option<Conflict>, outcome: &mut Outcome) -> Result<(), SqlError> {
        let (keys, whole) = self.encoded(rows)?;
        for (at, (key, row)) in keys.into_iter().zip(whole).enumerate() {
            let is_there = match outcome.get(&key) {
                Some(becomes) => becomes.is_some(),
                None => self.rows.contains_key(&key),
            };
            match conflict {
                Some(Conflict::Nothing) if is_there => {}
                Some(Conflict::Error) if is_there => return Err(self.duplicate(rows, at)),
                _ => drop(outcome.insert(key, Some(row))),
            }
        }
        Ok(())
    }

    fn duplicate(&self, rows: &RecordBatch, at: usize) -> SqlError {
        use arrow::util::display::array_value_to_string;
        let name = |c: &usize| self.schema.field(*c).name().clone();
        let names: Vec<String> = self.key.iter().map(name).collect();
        let value = |c: &usize| array_value_to_string(rows.column(*c), at).unwrap_or_else(|_| "?".into());
        let values: Vec<String> = self.key.iter().map(value).collect();
        let message =
            format!("two rows with ({}) = ({}), which is the primary key", names.join(", "), values.join(", "));
        SqlError::new(DUPLICATE_KEY, message)
    }

    fn changes(&self, outcome: Outcome) -> Result<ChangeBatch, SqlError> {
        let (mut rows, mut weights) = (Vec::new(), Vec::new());
        for (key, becomes) in &outcome {
            let is = self.rows.get(key).map(|row| &row.row);
            if is != becomes.as_ref() {
                for (row, weight) in is.map(|row| (row, -1)).into_iter().chain(becomes.as_ref().map(|row| (row, 1))) {
                    rows.push(row.row());
                    weights.push(weight);
                }
            }
        }
        let columns = self.whole.convert_rows(rows).map_err(unexpected)?;
        let rows = RecordBatch::try_new(self.schema.clone(), columns).map_err(unexpected)?;
        ChangeBatch::new(rows, Weights::from_vec(weights)).map_err(internal)
    }

    /// Applies changes.
    ///
    /// # Errors
    /// A row is taken away that is not there: a fault of who made them. The table is of no use then.
    pub(crate) fn apply(&mut self, changes: &ChangeBatch) -> Result<(), SqlError> {
        let changes = changes.consolidate().map_err(internal)?;
        let (keys, whole) = self.encoded(changes.rows())?;
        self.snapshot = None;
        let rows = keys.into_iter().zip(whole).zip((0..changes.num_rows()).map(|at| changes.weights().at(at)));
        // What goes, goes first: a key has one row.
        let (gone, come): (Vec<_>, Vec<_>) = rows.partition(|(_, weight)| *weight < 0);
        for ((key, row), weight) in gone {
            let copies = self.rows.get(&key).filter(|there| there.row == row).map_or(0, |there| there.copies) + weight;
            match copies {
                0 => drop(self.rows.remove(&key)),
                1.. => drop(self.rows.insert(key, Row { row, copies })),
                _ => {
                    let message = format!("a row is taken away {} times more often than it is there", -copies);
                    return Err(SqlError::new(SqlError::INTERNAL, message));
                }
            }
        }
        for ((key, row), weight) in come {
            let copies = self.rows.get(&key).map_or(0, |there| there.copies) + weight;
            self.rows.insert(key, Row { row, copies });
        }
        Ok(())
    }

    /// The keys of rows, and the rows.
    fn encoded(&self, rows: &RecordBatch) -> Result<(Vec<OwnedRow>, Vec<OwnedRow>), SqlError> {
        let keys: Vec<_> = self.key.iter().map(|c| rows.column(*c).clone()).collect();
        let keys = self.keys.convert_columns(&keys).map_err(unexpected)?;
        let whole = self.whole.convert_columns(rows.columns()).map_err(unexpected)?;
        Ok((keys.iter().map(|row| row.owned()).collect(), whole.iter().map(|row| row.owned()).collect()))
    }
}

fn unexpected(error: ArrowError) -> SqlError {
    SqlError::new(of_arrow(&error), format!("a table that is kept: {error}"))
}

fn internal(error: eddyline_changes::ChangeError) -> SqlError {
    SqlError::new(SqlError::INTERNAL, format!("a table that is kept: {error}"))
}
