//! Rows that are kept as they are, with columns of wider types. A row keeps its weight, when it was touched, and all else that is known of it;
//! where a column that decides its key group has a wider type, it goes to another group.

use super::recode::Recode;
use super::{MigratedEntry, RowsMigrationSpec};
use crate::{OperatorError, join, partitions};
use arrow::array::ArrayRef;
use arrow::compute::SortOptions;
use arrow::datatypes::DataType;
use eddyline_changes::hash::hash_columns;
use eddyline_changes::{KeyGroup, KeyGroups};
use eddyline_plan::RowsForm;
use eddyline_state::{StateError, Store, TableId, stored_head_bytes};
use std::ops::Range;

/// Rows of a table, and how they are stored.
pub(super) struct RowsMigration {
    table: TableId,
    coding: Coding,
    groups: KeyGroups,
}

enum Coding {
    /// The row is the key, its first columns are the lead. Behind it stand some bytes more.
    Led { row: Recode, lead: Recode, keys: usize, suffix: usize },
    /// The key is a partition (its lead), an order and the rest; the value ends with the lengths of the first two.
    Partitions { partition: Recode, order: Recode, rest: Recode },
    /// The value is the rest of a row, or several, each behind its length.
    Keyed { key: Recode, rest: Recode, are_several: bool },
    /// The row is the key, some of its columns decide the key group.
    Whole { row: Recode, by: Range<usize> },
}

impl RowsMigration {
    /// Those of the tables in which rows of such a form are kept.
    pub(super) fn all(spec: &RowsMigrationSpec, groups: KeyGroups) -> Result<Vec<Self>, OperatorError> {
        let width = spec.types[0].len();
        let types = |column: &usize| [0, 1].map(|at: usize| spec.types[at][*column].clone());
        let rest = |first: &[usize]| (0..width).filter(|c| !first.contains(c)).collect::<Vec<_>>();
        let of = |columns: &[usize]| Recode::ascending(columns.iter().map(types));
        let one = |table, coding| Ok(vec![Self { table, coding, groups }]);
        match &spec.form {
            RowsForm::Side { side, keys, append_only } => {
                let all = [keys.clone(), rest(keys)].concat();
                let suffix = if *append_only { join::SUFFIX_BYTES } else { 0 };
                let coding = Coding::Led { row: of(&all)?, lead: of(keys)?, keys: keys.len(), suffix };
                one(Store::by_lead(join::table_id(*side, *append_only)), coding)
            }
            RowsForm::Partitions { partition, order } => {
                let first = [partition.clone(), order.iter().map(|o| o.column).collect()].concat();
                let ordered = order
                    .iter()
                    .map(|o| (types(&o.column), SortOptions { descending: o.descending, nulls_first: o.nulls_first }));
                let (partition, order) = (of(partition)?, Recode::new(ordered)?);
                one(partitions::rows_table(), Coding::Partitions { partition, order, rest: of(&rest(&first))? })
            }
            RowsForm::Last { key } | RowsForm::List { key } => {
                let are_several = matches!(spec.form, RowsForm::List { .. });
                one(0, Coding::Keyed { key: of(key)?, rest: of(&rest(key))?, are_several })
            }
            RowsForm::Copies { side } => match side {
                // Both sides are in one table.
                0 => one(0, Coding::Whole { row: of(&rest(&[]))?, by: 0..width }),
                _ => Ok(Vec::new()),
            },
            RowsForm::Timed { columns, by } => {
                // Before the columns a number of the shard where rows stay on theirs; behind them from and until.
                let time = || [DataType::Int64, DataType::Int64];
                let table = |table: TableId, has_span: bool| {
                    let before = usize::from(has_span) + usize::from(by.is_none());
                    let columns = columns.iter().map(types).chain([time(), time()]);
                    let row = Recode::ascending((0..before).map(|_| time()).chain(columns))?;
                    let first = usize::from(has_span);
                    Ok::<_, OperatorError>(Self {
                        table,
                        coding: Coding::Whole { row, by: first..first + by.unwrap_or(1) },
                        groups,
                    })
                };
                Ok(vec![
                    table(crate::temporal_filter::ROWS_BY_SPAN, true)?,
                    table(crate::temporal_filter::ROWS, false)?,
                ])
            }
            RowsForm::Slices { .. } => {
                let message = "aggregates of windows are no rows".into();
                Err(OperatorError::Spec { operator: "migration", message })
            }
        }
    }

    pub(super) fn is_of(&self, table: TableId) -> bool {
        self.table == table
    }

    /// What becomes of an entry of the table.
    pub(super) fn entry(&self, key: &[u8], value: &[u8]) -> Result<MigratedEntry, OperatorError> {
        let (group, key, value) = match &self.coding {
            Coding::Led { row, lead, keys, suffix } => {
                let key = key.get(LENGTH_BYTES..).ok_or_else(damaged)?;
                let (old, behind) = key.split_at_checked(key.len().wrapping_sub(*suffix)).ok_or_else(damaged)?;
                let columns = row.columns(old)?;
                let lead = lead.bytes(&columns[..*keys])?;
                let key = [&Store::lead_length(lead.len()), row.bytes(&columns)?.as_slice(), behind].concat();
                (self.group(&columns[..*keys])?, key, value.to_vec())
            }
            Coding::Partitions { partition, order, rest } => {
                let row = partitions::StoredRow::parse(key.get(LENGTH_BYTES..).ok_or_else(damaged)?, value)?;
                let columns = partition.columns(row.partition)?;
                let parts = [partition.bytes(&columns)?, order.row(row.order)?, rest.row(row.rest)?];
                let lengths = [parts[0].len(), parts[1].len()].map(|length| (length as u32).to_le_bytes());
                let head = value.len().checked_sub(size_of_val(&lengths)).ok_or_else(damaged)?;
                let value = [&value[..head], lengths.as_flattened()].concat();
                (self.group(&columns)?, [&Store::lead_length(parts[0].len())[..], &parts.concat()].concat(), value)
            }
            Coding::Keyed { key: keys, rest, are_several } => {
                let columns = keys.columns(key)?;
                let (head, mut old) = value.split_at_checked(stored_head_bytes(value)).ok_or_else(damaged)?;
                let mut value = head.to_vec();
                if !are_several {
                    value.extend(rest.row(old)?);
                }
                while *are_several && !old.is_empty() {
                    let (length, bytes) = old.split_first_chunk::<4>().ok_or_else(damaged)?;
                    let (row, others) =
                        bytes.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(damaged)?;
                    let row = rest.row(row)?;
                    value.extend((row.len() as u32).to_le_bytes());
                    value.extend(row);
                    old = others;
                }
                (self.group(&columns)?, keys.bytes(&columns)?, value)
            }
            Coding::Whole { row, by } => {
                let columns = row.columns(key)?;
                (self.group(&columns[by.clone()])?, row.bytes(&columns)?, value.to_vec())
            }
        };
        Ok((self.table, group, key, value))
    }

    fn group(&self, columns: &[ArrayRef]) -> Result<KeyGroup, OperatorError> {
        Ok(self.groups.group_of(hash_columns(columns, 1)?[0]))
    }
}

/// Bytes of the length of a lead.
const LENGTH_BYTES: usize = 2;

fn damaged() -> OperatorError {
    OperatorError::State(StateError::Corrupt { table: "rows".into(), message: "an entry is too short".into() })
}
