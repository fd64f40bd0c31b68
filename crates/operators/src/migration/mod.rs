//! State of operators in another form, entry by entry, when a job goes on with a query that was changed: of aggregates that compute something
//! else of the same groups or windows, and of values that have wider types.
//!
//! What becomes of which operator is for others to say; here is how.

mod recode;
mod rows;
#[cfg(test)]
mod tests;

pub(crate) use recode::Recode;

use crate::OperatorError;
use crate::group_aggregate::{AggregateMigration, AggregateMigrationSpec};
use arrow::datatypes::DataType;
use eddyline_changes::{KeyGroup, KeyGroups};
use eddyline_plan::RowsForm;
use eddyline_state::TableId;
use rows::RowsMigration;

/// What the state was and is to be.
#[derive(Debug, Clone)]
pub enum MigrationSpec {
    /// Of grouped and windowed aggregates.
    Aggregates(AggregateMigrationSpec),
    /// Of rows that are kept as they are, each kind with a spec of its own.
    Rows(Vec<RowsMigrationSpec>),
}

/// Rows whose columns are to have other types, each the same or a wider one.
#[derive(Debug, Clone)]
pub struct RowsMigrationSpec {
    /// How they are stored.
    pub form: RowsForm,
    /// The types of their columns, as they were and as they are to be.
    pub types: [Vec<DataType>; 2],
}

/// An entry: table, key group, key, value.
pub type MigratedEntry = (TableId, KeyGroup, Vec<u8>, Vec<u8>);

/// Migrates the entries of an operator.
pub struct Migration(Kind);

enum Kind {
    Aggregates(Box<AggregateMigration>),
    Rows(Vec<RowsMigration>),
}

impl Migration {
    /// # Errors
    /// Aggregates that are not known, or whose sources do not fit them; types that have no order.
    pub fn new(spec: MigrationSpec, groups: KeyGroups) -> Result<Self, OperatorError> {
        Ok(Self(match spec {
            MigrationSpec::Aggregates(spec) => Kind::Aggregates(Box::new(AggregateMigration::new(spec, groups)?)),
            MigrationSpec::Rows(specs) => {
                let rows = specs.iter().map(|spec| RowsMigration::all(spec, groups)).collect::<Result<Vec<_>, _>>()?;
                Kind::Rows(rows.into_iter().flatten().collect())
            }
        }))
    }

    /// What becomes of an entry.
    ///
    /// # Errors
    /// It is none of this operator.
    pub fn entry(
        &mut self,
        table: TableId,
        group: KeyGroup,
        key: &[u8],
        value: &[u8],
    ) -> Result<MigratedEntry, OperatorError> {
        match &mut self.0 {
            Kind::Aggregates(migration) => migration.entry(table, group, key, value),
            Kind::Rows(all) => match all.iter().find(|rows| rows.is_of(table)) {
                Some(rows) => rows.entry(key, value),
                // What an operator notes beside its rows, once for each key group.
                None => Ok((table, group, key.to_vec(), value.to_vec())),
            },
        }
    }
}
