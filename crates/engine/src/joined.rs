//! UPDATE … FROM and DELETE … USING: rows of a table that match rows of others.
//!
//! A row that matches several is changed once, as one of them says: of what could become of it, the smallest in the order of its columns, so
//! that the same statement does the same again.

use crate::changes::{pairs, physical};
use crate::{Listing, ScriptError, Session};
use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, Schema};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use datafusion_common::TableReference;
use eddyline_catalog::{Column, ColumnSource, Dialect, Reference, Table};
use eddyline_planner::statement::{Delete, OtherColumn, Query, Update};
use eddyline_planner::{PlannedJob, SqlError, TextPosition};
use std::iter::repeat_n;
use std::sync::Arc;

/// The table whose rows the query of an UPDATE has.
pub(crate) fn rows_of_update(table: &Table, update: &Update) -> Table {
    with_copies(with_columns(pairs(table), update.shown()), update.joins() && table.primary_key.is_empty())
}

/// The table whose rows the query of a DELETE has.
pub(crate) fn rows_of_delete(table: &Table, delete: &Delete) -> Table {
    with_copies(with_columns(table.clone(), delete.shown()), delete.joins() && table.primary_key.is_empty())
}

fn with_copies(mut table: Table, is_counted: bool) -> Table {
    if is_counted {
        table.columns.push(column("copies of the row".into(), DataType::Int64));
    }
    table
}

/// The table with columns of others behind its own, for RETURNING.
fn with_columns(mut table: Table, shown: &[OtherColumn]) -> Table {
    table.columns.extend(shown.iter().map(|other| column(other.name_beside(), other.data_type.clone())));
    table
}

fn column(name: String, data_type: DataType) -> Column {
    Column { name, data_type, nullable: true, source: ColumnSource::Physical, comment: None, default: None }
}

/// A statement that may read others beside its table.
pub(crate) trait Joining: Sized {
    /// What tells the columns of the others, where RETURNING may name them.
    fn others(&self) -> Result<Option<Query>, SqlError>;
    /// With RETURNING over these columns too.
    fn with_others(self, table: &Table, found: &[OtherColumn], dialect: Dialect) -> Result<Self, SqlError>;
    /// RETURNING, and the columns of others that it names.
    fn answer(&self) -> Option<(&Query, &[OtherColumn])>;
}

impl Joining for Update {
    fn others(&self) -> Result<Option<Query>, SqlError> {
        self.others_query()
    }

    fn with_others(self, table: &Table, found: &[OtherColumn], dialect: Dialect) -> Result<Self, SqlError> {
        self.showing(table, found, dialect)
    }

    fn answer(&self) -> Option<(&Query, &[OtherColumn])> {
        self.returning.as_deref().map(|query| (query, self.shown()))
    }
}

impl Joining for Delete {
    fn others(&self) -> Result<Option<Query>, SqlError> {
        self.others_query()
    }

    fn with_others(self, table: &Table, found: &[OtherColumn], dialect: Dialect) -> Result<Self, SqlError> {
        self.showing(table, found, dialect)
    }

    fn answer(&self) -> Option<(&Query, &[OtherColumn])> {
        self.returning.as_deref().map(|query| (query, self.shown()))
    }
}

impl Session {
    /// The statement with a RETURNING that may name columns of the other tables.
    ///
    /// # Errors
    /// These tables are not there; a column that several have.
    pub(crate) fn with_shown<S: Joining>(&self, statement: S, table: &Table) -> Result<S, SqlError> {
        let Some(query) = statement.others()? else { return Ok(statement) };
        let options = self.planner_options();
        let bound = self.planner(&self.catalog, &options).bind_query(&query)?;
        let column = |(qualifier, field): (Option<&TableReference>, &FieldRef)| OtherColumn {
            relation: qualifier.map(|name| name.table().to_owned()).unwrap_or_default(),
            name: field.name().clone(),
            data_type: field.data_type().clone(),
        };
        let found: Vec<OtherColumn> = bound.schema().iter().map(column).collect();
        statement.with_others(table, &found, self.settings.dialect())
    }

    /// What RETURNING answers of rows of a table, behind which stand the columns of others that it names.
    pub(crate) fn returned_beside<S: Joining>(
        &mut self,
        statement: &S,
        table: &Table,
        rows: RecordBatch,
    ) -> Result<Option<Listing>, ScriptError> {
        let Some((query, shown)) = statement.answer() else { return Ok(None) };
        let wide = with_columns(table.clone(), shown);
        self.with_table(wide.clone(), |session| session.returned(query, &wide, rows)).map(Some)
    }

    /// The columns of what a statement with other tables answers.
    pub(crate) fn shape_of_returning<S: Joining>(
        &mut self,
        statement: S,
        written: &Reference,
    ) -> Result<Option<PlannedJob>, SqlError> {
        let table = self.changed(written, TextPosition { line: 1, column: 1 })?.clone();
        let statement = self.with_shown(statement, &table)?;
        let Some((query, shown)) = statement.answer() else { return Ok(None) };
        let wide = with_columns(table, shown);
        self.with_table(wide, |session| session.planned_returning(query, 0)).map(|planned| Some(planned.job))
    }
}

/// Columns of others from the end of rows.
pub(crate) fn apart(rows: &RecordBatch, count: usize) -> Result<(RecordBatch, Vec<ArrayRef>), SqlError> {
    let own = rows.num_columns() - count;
    let first = rows.project(&(0..own).collect::<Vec<_>>());
    let first = first.map_err(|e| SqlError::new(SqlError::INTERNAL, format!("RETURNING: {e}")))?;
    Ok((first, rows.columns()[own..].to_vec()))
}

/// Rows of a table with columns of others behind them.
pub(crate) fn beside(
    rows: &RecordBatch,
    others: Vec<ArrayRef>,
    shown: &[OtherColumn],
) -> Result<RecordBatch, SqlError> {
    let fields = shown.iter().map(|other| Arc::new(Field::new(other.name_beside(), other.data_type.clone(), true)));
    let fields: Vec<FieldRef> = rows.schema().fields().iter().cloned().chain(fields).collect();
    let columns = rows.columns().iter().cloned().chain(others).collect();
    let made = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns);
    made.map_err(|e| SqlError::new(SqlError::INTERNAL, format!("RETURNING: {e}")))
}

/// Of the rows that a statement with other tables has found, one for each row of its table, as often as that is there. `table` is the one
/// that is changed, whose columns come first.
///
/// # Errors
/// Columns that have no order.
pub(crate) fn one_of_each(table: &Table, rows: &RecordBatch) -> Result<RecordBatch, SqlError> {
    let is_counted = table.primary_key.is_empty();
    let own = rows.num_columns() - usize::from(is_counted);
    let found = chosen(rows, physical(table).count(), own).and_then(|order| {
        let taken: UInt32Array = match is_counted {
            true => {
                let copies = rows.column(own).as_primitive::<Int64Type>();
                let each = |at: u32| repeat_n(at, usize::try_from(copies.value(at as usize)).unwrap_or_default());
                order.into_iter().flat_map(each).collect()
            }
            false => order.into(),
        };
        take_record_batch(&rows.project(&(0..own).collect::<Vec<_>>())?, &taken)
    });
    found.map_err(|e| {
        SqlError::new(SqlError::UNSUPPORTED, format!("rows of {} that match others: {e}", table.name))
            .with_hint("write the condition as a subquery: WHERE k IN (SELECT …)")
    })
}

/// Which rows count: for each that are alike in the first `width` columns, the smallest by the first `own`.
fn chosen(rows: &RecordBatch, width: usize, own: usize) -> Result<Vec<u32>, ArrowError> {
    let first = |columns: usize| -> Result<Rows, ArrowError> {
        let columns = &rows.columns()[..columns];
        let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
        RowConverter::new(fields)?.convert_columns(columns)
    };
    let (before, whole) = (first(width)?, first(own)?);
    let count = u32::try_from(rows.num_rows()).map_err(|e| ArrowError::ComputeError(e.to_string()))?;
    let mut order: Vec<u32> = (0..count).collect();
    order.sort_unstable_by(|a, b| whole.row(*a as usize).cmp(&whole.row(*b as usize)));
    order.dedup_by(|next, kept| before.row(*next as usize) == before.row(*kept as usize));
    Ok(order)
}
