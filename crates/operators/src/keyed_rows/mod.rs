//! What rooms share that keep rows by a key: the rows as bytes in an arena, known by small numbers, and changes made of
//! keys and rows. The key's columns are those of a [`SlotTable`]; the bytes hold the other columns in the row format.

mod arena;
mod table;

pub(crate) use arena::Arena;
pub(crate) use table::{Kept, KeyedRows};

use crate::aggregation::BATCH_ROWS_MAX;
use crate::changelog_normalize::Last;
use crate::kept_rows::EachRows;
use crate::partitions::{Encoded, Part};
use crate::row_list::RowList;
use crate::{Context, OperatorError};
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::row::SortField;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use eddyline_changes::{ChangeBatch, Weights};
use eddyline_state::{SlotTable, Store, Table};

/// No row.
pub(crate) const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
enum Place {
    Key(usize),
    Rest(usize),
}

/// A change of the row of a slot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowChange {
    pub(crate) slot: u32,
    pub(crate) row: u32,
    pub(crate) weight: i64,
}

/// Calls `each` with the last rows of all keys, some at a time.
///
/// # Errors
/// The store cannot be read, or `each` failed.
pub(crate) fn read_last(
    key: &[usize],
    schema: &SchemaRef,
    store: &Store,
    each: &mut EachRows<'_>,
) -> Result<(), OperatorError> {
    read::<Last>(key, schema, store, each)
}

/// As [`read_last`], where all rows of a key are kept.
///
/// # Errors
/// The store cannot be read, or `each` failed.
pub(crate) fn read_lists(
    key: &[usize],
    schema: &SchemaRef,
    store: &Store,
    each: &mut EachRows<'_>,
) -> Result<(), OperatorError> {
    read::<RowList>(key, schema, store, each)
}

fn read<K: Kept>(
    key: &[usize],
    schema: &SchemaRef,
    store: &Store,
    each: &mut EachRows<'_>,
) -> Result<(), OperatorError> {
    let layout = Layout::new(key, schema)?;
    let mut rows = KeyedRows::<K>::open(&layout.key_types(), store)?;
    while !rows.is_whole() {
        rows.warm(BATCH_ROWS_MAX)?;
    }
    let of = |slot: &u32| {
        let change = |row: &u32| RowChange { slot: *slot, row: *row, weight: 1 };
        rows.kept[*slot as usize].rows().iter().map(change).collect::<Vec<_>>()
    };
    let all: Vec<RowChange> = rows.table.slots().iter().flat_map(of).collect();
    for some in all.chunks(BATCH_ROWS_MAX) {
        each(layout.columns(&rows.table, &rows.arena, some)?, &vec![1; some.len()])?;
    }
    Ok(())
}

/// How rows of a schema are told by their key and become bytes.
pub(crate) struct Layout {
    pub(crate) key: Vec<usize>,
    schema: SchemaRef,
    rest: Part,
    places: Vec<Place>,
}

impl Layout {
    pub(crate) fn new(key: &[usize], schema: &SchemaRef) -> Result<Self, OperatorError> {
        let mut rest = Vec::new();
        let mut places = Vec::new();
        for (column, field) in schema.fields().iter().enumerate() {
            places.push(if let Some(at) = key.iter().position(|c| *c == column) {
                Place::Key(at)
            } else {
                rest.push((column, SortField::new(field.data_type().clone())));
                Place::Rest(rest.len() - 1)
            });
        }
        Ok(Self { key: key.to_vec(), schema: schema.clone(), rest: Part::new(rest)?, places })
    }

    /// The types of the key's columns.
    pub(crate) fn key_types(&self) -> Vec<DataType> {
        self.key.iter().map(|c| self.schema.field(*c).data_type().clone()).collect()
    }

    /// The bytes of the rows of a batch, without their keys.
    pub(crate) fn encode(&self, changes: &ChangeBatch) -> Result<Encoded, OperatorError> {
        self.rest.encode(changes, None)
    }

    /// The columns of rows.
    fn columns(&self, table: &SlotTable, arena: &Arena, rows: &[RowChange]) -> Result<Vec<ArrayRef>, OperatorError> {
        let slots: Vec<u32> = rows.iter().map(|change| change.slot).collect();
        let keys = table.keys(&slots)?;
        let rest = self.rest.decode(rows.iter().map(|change| arena.bytes(change.row)))?;
        let column = |place: &Place| match place {
            Place::Key(at) => keys[*at].clone(),
            Place::Rest(at) => rest[*at].clone(),
        };
        Ok(self.places.iter().map(column).collect())
    }

    /// Hands changes on, in their order.
    pub(crate) fn emit(
        &self,
        table: &SlotTable,
        arena: &Arena,
        changes: &[RowChange],
        ctx: &mut Context<'_>,
    ) -> Result<(), OperatorError> {
        for changes in changes.chunks(BATCH_ROWS_MAX) {
            let options = RecordBatchOptions::new().with_row_count(Some(changes.len()));
            let columns = self.columns(table, arena, changes)?;
            let rows = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
            let weights = Weights::from_vec(changes.iter().map(|change| change.weight).collect());
            ctx.emit(ChangeBatch::new(rows, weights)?)?;
        }
        Ok(())
    }

    /// A row, and its key, as text for errors.
    pub(crate) fn text(
        &self,
        table: &SlotTable,
        arena: &Arena,
        slot: u32,
        row: u32,
    ) -> Result<(String, String), OperatorError> {
        let columns = self.columns(table, arena, &[RowChange { slot, row, weight: 1 }])?;
        let options = FormatOptions::default().with_display_error(true).with_null("NULL");
        let mut cells = Vec::new();
        for column in &columns {
            cells.push(ArrayFormatter::try_new(column.as_ref(), &options)?.value(0).to_string());
        }
        let key: Vec<&str> = self.key.iter().map(|c| cells[*c].as_str()).collect();
        Ok((key.join(", "), cells.join(", ")))
    }
}
