//! UPDATE … FROM and DELETE … USING: rows of a table that match rows of others.
//!
//! A row that matches several is changed once, as one of them says: of what could become of it, the smallest in the order of its columns, so
//! that the same statement does the same again.

use crate::changes::{pairs, physical};
use arrow::array::{AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Int64Type};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use eddyline_catalog::{Column, Table};
use eddyline_planner::SqlError;
use eddyline_planner::statement::{Delete, Update};
use std::iter::repeat_n;

/// The table whose rows the query of an UPDATE has.
pub(crate) fn rows_of_update(table: &Table, update: &Update) -> Table {
    with_copies(pairs(table), update.joins())
}

/// The table whose rows the query of a DELETE has.
pub(crate) fn rows_of_delete(table: &Table, delete: &Delete) -> Table {
    with_copies(table.clone(), delete.joins())
}

fn with_copies(mut table: Table, joins: bool) -> Table {
    if joins && table.primary_key.is_empty() {
        let like = physical(&table).next().cloned();
        let copies = |column| Column { name: "copies of the row".into(), data_type: DataType::Int64, ..column };
        table.columns.extend(like.map(copies));
    }
    table
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
