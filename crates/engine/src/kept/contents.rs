//! The rows of a table that the engine keeps.

use super::Alteration;
use super::ordered::{IndexedRows, Missing, Order, OrderedRows, Unique, Violation};
use crate::ddl;
use crate::error::of_arrow;
use arrow::array::{Array, BinaryArray, BooleanArray, RecordBatch, UInt32Array, make_comparator};
use arrow::compute::{SortOptions, filter_record_batch, interleave_record_batch, not, take_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use arrow::util::display::array_value_to_string;
use eddyline_catalog::{Name, Table};
use eddyline_changes::{ChangeBatch, Weights};
use eddyline_planner::statement::Conflict;
use eddyline_planner::{Constraint, SqlError};
use std::collections::{BTreeMap, BTreeSet};

/// SQLSTATE of a row that one statement would change twice.
const CARDINALITY: &str = "21000";

/// Rows that are to be inserted, and the rows that are there under their keys.
pub(crate) struct Met {
    /// The rows that are there.
    pub(crate) there: RecordBatch,
    /// Beside each of them, the row that is not inserted because of it.
    pub(crate) met: RecordBatch,
    /// The rows whose keys are not there.
    pub(crate) unmet: RecordBatch,
}

impl Met {
    /// Of rows, each of which has `found` one that is there, or not.
    fn of(there: RecordBatch, rows: &RecordBatch, found: Vec<bool>) -> Result<Self, SqlError> {
        let met = BooleanArray::from(found);
        let unmet = not(&met).map_err(unexpected)?;
        let part = |of: &BooleanArray| filter_record_batch(rows, of).map_err(unexpected);
        Ok(Self { there, met: part(&met)?, unmet: part(&unmet)? })
    }
}

/// Rows in the order of their key, and in those of indexes.
#[derive(Clone)]
pub(crate) struct Contents {
    /// Tells it from others that have or had its name.
    id: u64,
    /// Its name, if it is a table, which may break constraints.
    table: Option<Name>,
    /// What the log knows of it; `None`: its rows end with the process.
    log: Option<InLog>,
    /// It has a PRIMARY KEY, which orders its rows. Without one all columns do.
    is_keyed: bool,
    rows: IndexedRows,
}

/// What the log knows of a table.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct InLog {
    /// Its first rows are to come: without them there is no such table after a crash.
    pub(crate) is_filling: bool,
    /// The last record that has changed it; 0 is none.
    pub(crate) last: u64,
}

/// What becomes of the rows of some keys: the row of a batch that is there then; `None`, none is.
type Outcome<'k> = BTreeMap<&'k [u8], Option<u32>>;

impl Contents {
    /// No rows of a view whose answer has at most one row for the values of the columns `key`, if it says so.
    ///
    /// # Errors
    /// A column whose values have no order (`MAP`).
    pub(crate) fn of_view(id: u64, schema: SchemaRef, key: &[usize]) -> Result<Self, SqlError> {
        let others = (0..schema.fields().len()).filter(|c| !key.contains(c));
        let key = key.iter().copied().chain(others).collect();
        Ok(Self::of_rows(id, ordered(schema, key)?))
    }

    /// No rows of a table.
    ///
    /// # Errors
    /// As [`of_view`](Self::of_view).
    pub(crate) fn of_table(id: u64, table: &Table) -> Result<Self, SqlError> {
        let schema = table.physical_schema();
        let rows = match ddl::key_columns(table, &schema).filter(|key| !key.is_empty()) {
            Some(key) => Self { is_keyed: true, ..Self::of_rows(id, ordered(schema, key)?) },
            None => Self::of_view(id, schema, &[])?,
        };
        Ok(Self { table: Some(table.name.clone()), ..rows })
    }

    fn of_rows(id: u64, rows: OrderedRows) -> Self {
        Self { id, table: None, log: None, is_keyed: false, rows: rows.into() }
    }

    /// It is called so from now on.
    pub(crate) fn rename(&mut self, name: &Name) {
        self.table = self.table.take().map(|_| name.clone());
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
        self.rows.schema()
    }

    /// Rows that a statement has computed, as rows of this table.
    ///
    /// # Errors
    /// They are not: a fault of who computed them.
    pub(crate) fn own(&self, rows: &RecordBatch) -> Result<RecordBatch, SqlError> {
        RecordBatch::try_new(self.schema().clone(), rows.columns().to_vec())
            .map_err(|e| SqlError::new(SqlError::INTERNAL, format!("rows of another table: {e}")))
    }

    /// All rows as they are now, whatever becomes of them.
    pub(crate) fn rows(&self) -> IndexedRows {
        self.rows.clone()
    }

    /// These rows, kept in these orders too, and in no others but that of their key.
    ///
    /// # Errors
    /// Columns whose values have no order.
    pub(crate) fn in_orders(self, orders: &[Order]) -> Result<Self, SqlError> {
        let rows = self.rows.in_orders(orders, self.is_keyed).map_err(unordered)?;
        Ok(Self { rows, ..self })
    }

    /// Takes over the orders of `built`, which are these rows as they were a moment ago.
    ///
    /// # Errors
    /// None for rows of this table.
    pub(crate) fn take_orders(&mut self, built: Self) -> Result<(), SqlError> {
        let caught_up = built.rows.caught_up_with(self.rows.by_key()).map_err(unexpected)?;
        self.rows = caught_up.map_err(not_there)?;
        Ok(())
    }

    /// Are the rows as indexes say that `before` does not have?
    ///
    /// # Errors
    /// Two rows are alike that must not be.
    pub(crate) fn check_since(&self, before: &Self) -> Result<(), SqlError> {
        let Some(Violation { order, row }) = self.rows.violated_since(&before.rows).map_err(unexpected)? else {
            return Ok(());
        };
        let name = unique_name(order);
        Err(self
            .broken(name, format!("could not create unique index \"{name}\""))
            .with_detail(format!("Key {} is duplicated.", key_of(order, &row)))
            .with_hint("DELETE or UPDATE the rows that are alike first"))
    }

    /// Are the rows as unique indexes say when these changes are applied?
    ///
    /// # Errors
    /// Two rows would be alike.
    pub(crate) fn check_unique(&self, changes: &ChangeBatch) -> Result<(), SqlError> {
        match self.rows.violated(changes).map_err(unexpected)? {
            Some(Violation { order, row }) => {
                Err(self.already_there(unique_name(order), format!("Key {} already exists.", key_of(order, &row))))
            }
            None => Ok(()),
        }
    }

    /// Those of rows that no row that is there, nor one before them, is like: in the columns of a unique index, or of any.
    ///
    /// # Errors
    /// Rows of another table; the index is gone.
    pub(crate) fn unlike(&self, rows: &RecordBatch, by: Option<&Order>) -> Result<RecordBatch, SqlError> {
        let mut stays = vec![true; rows.num_rows()];
        let orders: Vec<&Order> = by.map_or_else(|| self.rows.unique_orders().collect(), |order| vec![order]);
        let mut keys = Vec::with_capacity(orders.len());
        for order in orders {
            let (_, found) = self.rows.rows_like(order, rows).map_err(unexpected)?;
            found.into_iter().zip(&mut stays).for_each(|(found, stays)| *stays &= !found);
            keys.push(self.rows.keys_in(order, rows).map_err(unexpected)?);
        }
        let mut seen: BTreeSet<(usize, &[u8])> = BTreeSet::new();
        for (at, stays) in stays.iter_mut().enumerate().filter(|(_, stays)| **stays) {
            let own: Vec<_> =
                (0..).zip(&keys).filter_map(|(order, keys)| Some((order, keys[at].as_deref()?))).collect();
            // The first of several stays.
            *stays = own.iter().all(|key| !seen.contains(key));
            if *stays {
                seen.extend(own);
            }
        }
        filter_record_batch(rows, &BooleanArray::from(stays)).map_err(unexpected)
    }

    /// These rows as those of the table as it is to be.
    ///
    /// # Errors
    /// A NULL in a column that has none; a column whose values cannot be compared.
    pub(crate) fn altered(&self, table: &Table, alteration: &Alteration) -> Result<Self, SqlError> {
        let mut altered = Self::of_table(self.id, table)?;
        altered.log = self.log;
        let schema = altered.schema().clone();
        for rows in self.rows.batches() {
            let rows = alteration.rows(&rows.map_err(unexpected)?, &schema)?;
            altered.apply(&ChangeBatch::inserts(rows))?;
        }
        Ok(altered)
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
        let keys = self.keys(rows)?;
        let mut outcome = Outcome::new();
        self.put(&keys, rows, conflict, &mut outcome)?;
        self.changes(&outcome, rows)
    }

    /// The rows among these that would be there after they are inserted, in their order: of several under one key the last one.
    ///
    /// # Errors
    /// As [`inserted`](Self::inserted).
    pub(crate) fn taken(&self, rows: &RecordBatch, conflict: Option<Conflict>) -> Result<RecordBatch, SqlError> {
        if !self.is_keyed {
            return Ok(rows.clone());
        }
        let keys = self.keys(rows)?;
        let mut outcome = Outcome::new();
        self.put(&keys, rows, conflict, &mut outcome)?;
        let mut taken: Vec<u32> = outcome.into_values().flatten().collect();
        taken.sort_unstable();
        take_record_batch(rows, &UInt32Array::from(taken)).map_err(unexpected)
    }

    /// Which of these rows have keys that are there, and which have not; `by`: the values of a unique index take the place of the key.
    ///
    /// # Errors
    /// Two of them have one key.
    pub(crate) fn met(&self, rows: &RecordBatch, by: Option<&Order>) -> Result<Met, SqlError> {
        if let Some(order) = by {
            return self.met_by(order, rows);
        }
        let keys = self.keys(rows)?;
        let mut seen = BTreeSet::new();
        for (at, key) in keys.iter().flatten().enumerate() {
            if !seen.insert(key) {
                let key = key_text(self.rows.by_key().key(), rows, at);
                return Err(SqlError::new(
                    CARDINALITY,
                    "a row would be changed twice by one INSERT … ON CONFLICT DO UPDATE",
                )
                .with_detail(format!("Two rows have the key {key}."))
                .with_hint("ON CONFLICT DO UPDATE changes a row once: let the query have one row of each key"));
            }
        }
        let (there, found) = self.rows.by_key().rows_of(keys.iter().flatten()).map_err(unexpected)?;
        Met::of(there, rows, found)
    }

    fn met_by(&self, order: &Order, rows: &RecordBatch) -> Result<Met, SqlError> {
        let keys = self.rows.keys_in(order, rows).map_err(unexpected)?;
        let mut seen = BTreeSet::new();
        if let Some(at) = keys.iter().position(|key| key.as_ref().is_some_and(|key| !seen.insert(key))) {
            let message = format!("two rows of one statement with {}", key_of(order, &rows.slice(at, 1)));
            return Err(SqlError::new(CARDINALITY, message)
                .with_hint("ON CONFLICT DO UPDATE changes a row once: let the query have one row of each key"));
        }
        let (there, found) = self.rows.rows_like(order, rows).map_err(unexpected)?;
        Met::of(there, rows, found)
    }

    /// What putting `after` in the place of `before`, rows that are there, would change.
    ///
    /// # Errors
    /// Two rows would have one key.
    pub(crate) fn replaced(&self, before: &RecordBatch, after: &RecordBatch) -> Result<ChangeBatch, SqlError> {
        if !self.is_keyed {
            let weights = [vec![-1; before.num_rows()], vec![1; after.num_rows()]].concat();
            let rows = arrow::compute::concat_batches(self.schema(), [before, after]).map_err(unexpected)?;
            return ChangeBatch::new(rows, Weights::from_vec(weights)).and_then(|c| c.consolidate()).map_err(internal);
        }
        let (keys_before, keys_after) = (self.keys(before)?, self.keys(after)?);
        let mut outcome: Outcome<'_> = keys_before.iter().flatten().map(|key| (key, None)).collect();
        self.put(&keys_after, after, Some(Conflict::Error), &mut outcome)?;
        self.changes(&outcome, after)
    }

    /// What writing these changes of another answer into the table would change: under a key stands what comes, or nothing where it goes.
    ///
    /// # Errors
    /// None for rows of this table.
    pub(crate) fn written(&self, changes: &ChangeBatch) -> Result<ChangeBatch, SqlError> {
        if !self.is_keyed {
            return Ok(changes.clone());
        }
        let part = |comes: bool| {
            let is_part = |at: &u32| (changes.weights().at(*at as usize) > 0) == comes;
            let rows = UInt32Array::from_iter_values((0..changes.num_rows() as u32).filter(is_part));
            take_record_batch(changes.rows(), &rows).map_err(unexpected)
        };
        let (goes, comes) = (part(false)?, part(true)?);
        let (keys_gone, keys_come) = (self.keys(&goes)?, self.keys(&comes)?);
        let mut outcome: Outcome<'_> = keys_gone.iter().flatten().map(|key| (key, None)).collect();
        self.put(&keys_come, &comes, None, &mut outcome)?;
        self.changes(&outcome, &comes)
    }

    fn put<'k>(
        &self,
        keys: &'k BinaryArray,
        rows: &RecordBatch,
        conflict: Option<Conflict>,
        outcome: &mut Outcome<'k>,
    ) -> Result<(), SqlError> {
        for (at, key) in (0..).zip(keys.iter().flatten()) {
            let is_there = match outcome.get(key) {
                Some(becomes) => becomes.is_some(),
                None => conflict.is_some() && self.rows.by_key().contains(key),
            };
            match conflict {
                Some(Conflict::Nothing) if is_there => {}
                Some(Conflict::Error) if is_there => return Err(self.duplicate(rows, at as usize)),
                _ => drop(outcome.insert(key, Some(at))),
            }
        }
        Ok(())
    }

    /// Rows break a constraint of this name.
    fn broken(&self, name: &str, message: String) -> SqlError {
        let constraint = |table: &Name| Constraint { table: table.clone(), column: None, name: Some(name.to_owned()) };
        let error = SqlError::new(SqlError::DUPLICATE_KEY, message);
        match &self.table {
            Some(table) => error.with_constraint(constraint(table)),
            None => error,
        }
    }

    fn already_there(&self, name: &str, detail: String) -> SqlError {
        self.broken(name, format!("duplicate key value violates unique constraint \"{name}\"")).with_detail(detail)
    }

    fn duplicate(&self, rows: &RecordBatch, at: usize) -> SqlError {
        let name = self.table.as_ref().map_or_else(String::new, |table| format!("{}_pkey", table.object()));
        self.already_there(&name, format!("Key {} already exists.", key_text(self.rows.by_key().key(), rows, at)))
    }

    /// From what is there to what is to be.
    fn changes(&self, outcome: &Outcome<'_>, rows: &RecordBatch) -> Result<ChangeBatch, SqlError> {
        let (there, found) = self.rows.by_key().rows_of(outcome.keys().copied()).map_err(unexpected)?;
        let columns = there.columns().iter().zip(rows.columns());
        let compare = columns.map(|(one, other)| make_comparator(one, other, SortOptions::default()));
        let compare = compare.collect::<Result<Vec<_>, _>>().map_err(unexpected)?;
        let is_same = |one: usize, other: u32| compare.iter().all(|compare| compare(one, other as usize).is_eq());
        let (mut places, mut weights, mut next) = (Vec::new(), Vec::new(), 0);
        for (is_there, becomes) in found.into_iter().zip(outcome.values()) {
            let is = is_there.then_some(next);
            next += usize::from(is_there);
            if let (Some(is), Some(becomes)) = (is, becomes)
                && is_same(is, *becomes)
            {
                continue;
            }
            for (place, weight) in
                is.map(|is| ((0, is), -1)).into_iter().chain(becomes.map(|row| ((1, row as usize), 1)))
            {
                places.push(place);
                weights.push(weight);
            }
        }
        let rows = interleave_record_batch(&[&there, rows], &places).map_err(unexpected)?;
        ChangeBatch::new(rows, Weights::from_vec(weights)).map_err(internal)
    }

    /// Applies changes.
    ///
    /// # Errors
    /// A row is taken away that is not there: a fault of who made them. Then nothing has changed.
    pub(crate) fn apply(&mut self, changes: &ChangeBatch) -> Result<(), SqlError> {
        let net = match changes.weights() {
            Weights::AllInserts => None,
            Weights::PerRow(_) => Some(changes.consolidate().map_err(internal)?),
        };
        let changes = net.as_ref().unwrap_or(changes);
        let changed = self.rows.change(changes.rows(), |at| changes.weights().at(at)).map_err(unexpected)?;
        changed.map_err(not_there)
    }

    fn keys(&self, rows: &RecordBatch) -> Result<BinaryArray, SqlError> {
        self.rows.by_key().keys(rows).map_err(unexpected)
    }
}

/// `(a, b)=(1, x)`.
fn key_of(order: &Order, row: &RecordBatch) -> String {
    let columns: Vec<usize> = order.columns.iter().map(|(c, _)| *c).collect();
    key_text(&columns, row, 0)
}

/// The values of some columns in a row, and their names.
fn key_text(columns: &[usize], rows: &RecordBatch, at: usize) -> String {
    let schema = rows.schema();
    let names: Vec<&str> = columns.iter().map(|c| schema.field(*c).name().as_str()).collect();
    let value = |c: usize| match rows.column(c).is_null(at) {
        true => "null".to_owned(),
        false => array_value_to_string(rows.column(c), at).unwrap_or_else(|_| "?".into()),
    };
    let values: Vec<String> = columns.iter().map(|c| value(*c)).collect();
    format!("({})=({})", names.join(", "), values.join(", "))
}

fn unique_name(order: &Order) -> &str {
    order.unique.as_ref().map_or("", |Unique { name, .. }| name)
}

/// No rows, in the order of these columns.
fn ordered(schema: SchemaRef, key: Vec<usize>) -> Result<OrderedRows, SqlError> {
    let comparable = schema.fields().iter().map(|field| SortField::new(field.data_type().clone())).collect();
    RowConverter::new(comparable).and_then(|_| OrderedRows::new(schema, key)).map_err(unordered)
}

fn unordered(error: ArrowError) -> SqlError {
    SqlError::new(SqlError::UNSUPPORTED, format!("a table that is kept: {error}"))
        .with_hint("MAP columns cannot be compared; keep keys and values as ARRAYs, or rows")
}

fn not_there(Missing(times): Missing) -> SqlError {
    let message = format!("a row is taken away {times} times more often than it is there");
    SqlError::new(SqlError::INTERNAL, message)
}

fn unexpected(error: ArrowError) -> SqlError {
    SqlError::new(of_arrow(&error), format!("a table that is kept: {error}"))
}

fn internal(error: eddyline_changes::ChangeError) -> SqlError {
    SqlError::new(SqlError::INTERNAL, format!("a table that is kept: {error}"))
}
