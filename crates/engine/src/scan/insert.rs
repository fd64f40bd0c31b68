//! INSERT … VALUES that is planned once, for all values of its parameters: each of its rows is a scan of one row, the parameters.

use super::{Scan, ScanPlan};
use crate::changes::Alone;
use crate::kept::replaced;
use crate::{Listing, Outcome, ScriptError, Session, Settings};
use arrow::array::{ArrayRef, BinaryArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, SchemaRef};
use eddyline_catalog::{Column, ColumnSource, Dialect, Table};
use eddyline_planner::statement::{Conflict, Insert};
use eddyline_planner::{Parameter, ParameterValue, SqlError, parameter_column, parameter_type, rows_over_parameters};
use std::sync::Arc;

/// Under this name rows are planned over the parameters. No table of a user is called so.
const PARAMETERS: &str = "$parameters";

/// An INSERT of VALUES into a table that the engine keeps, planned. It holds as long as names and settings are what they were.
pub struct PreparedInsert {
    table: Arc<Table>,
    conflict: Option<Conflict>,
    /// One for each row.
    rows: Vec<ScanPlan>,
    returning: Option<ScanPlan>,
    /// The columns in which the parameters come.
    parameters: SchemaRef,
    /// Of the catalog.
    pub(super) version: u64,
    pub(super) settings: Settings,
}

impl PreparedInsert {
    /// The columns of RETURNING.
    pub fn schema(&self) -> Option<SchemaRef> {
        self.returning.as_ref().map(|plan| plan.shape.shown_schema())
    }

    /// A row of the parameters.
    fn given(&self, values: &[Parameter]) -> Result<RecordBatch, SqlError> {
        let column = |value: &Parameter| -> Result<ArrayRef, SqlError> {
            Ok(match (&value.value, parameter_type(&value.data_type)) {
                (ParameterValue::Null, Some(DataType::Binary)) => Arc::new(BinaryArray::from(vec![None::<&[u8]>])),
                (ParameterValue::Null, _) => Arc::new(StringArray::from(vec![None::<&str>])),
                (ParameterValue::Bytes(bytes), _) => Arc::new(BinaryArray::from(vec![bytes.as_slice()])),
                (ParameterValue::Text(text), _) => Arc::new(StringArray::from(vec![text.as_str()])),
                (ParameterValue::List(_), _) => {
                    return Err(SqlError::new(SqlError::INTERNAL, "a list for a parameter that is none"));
                }
            })
        };
        let columns = values.iter().map(column).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        RecordBatch::try_new_with_options(self.parameters.clone(), columns, &options)
            .map_err(|e| SqlError::new(SqlError::INTERNAL, format!("parameters: {e}")))
    }
}

impl Session {
    /// A plan of an INSERT for all values of its parameters, which have these types. `None`: it has to be planned with them.
    pub(super) fn prepare_insert(&mut self, insert: &Insert, types: &[DataType]) -> Option<PreparedInsert> {
        let table = self.catalog.table(&self.resolve(&insert.table).ok()?).ok()?.clone();
        if !table.is_kept() || insert.update.is_some() || !matches!(self.conflict_order(insert, &table), Ok(None)) {
            return None;
        }
        let over = rows_over_parameters(&insert.with_defaults(&table).ok()?, types, &PARAMETERS.into())?;
        let made_up = parameters_table(types)?;
        let parameters = made_up.physical_schema();
        let rows = self.with_table(made_up, |session| {
            let plan = |query| {
                let (number, of) = (session.engine.next_channel(), table.as_ref().clone());
                let planned = session.planned_rows(query, of, insert.columns.clone(), insert.position, number).ok()?;
                // What is wrong with it is told when it is executed.
                ScanPlan::of(&planned.job, &session.settings).ok()?
            };
            over.iter().map(plan).collect::<Option<Vec<_>>>()
        })?;
        let returning = match &insert.returning {
            Some(query) => {
                let planned = self.planned_returning(query, self.engine.next_channel()).ok()?;
                Some(ScanPlan::of(&planned.job, &self.settings).ok()??)
            }
            None => None,
        };
        let (version, settings, conflict) = (self.catalog.version(), self.settings.clone(), insert.conflict);
        Some(PreparedInsert { table, conflict, rows, returning, parameters, version, settings })
    }

    /// Inserts the rows of a prepared INSERT with these values of its parameters.
    ///
    /// # Errors
    /// As an INSERT; the table is gone, or was replaced.
    pub(super) fn insert_with(
        &mut self,
        insert: &PreparedInsert,
        values: &[Parameter],
    ) -> Result<Outcome, ScriptError> {
        let given = insert.given(values)?;
        // What is wrong with the values keeps nobody from the table.
        let row = |plan: &ScanPlan| Scan::of_rows(plan.clone(), &given)?.all(&self.canceller);
        let rows = insert.rows.iter().map(row).collect::<Result<Vec<_>, _>>()?;
        let rows = concat_batches(&insert.table.physical_schema(), &rows)
            .map_err(|e| SqlError::new(SqlError::INTERNAL, format!("rows of an INSERT: {e}")))?;
        self.end_moment();
        let alone: Alone = self.alone(&insert.table.name)?;
        if alone.table != insert.table {
            return Err(replaced(&insert.table.name).into());
        }
        let Some(returning) = &insert.returning else { return self.put_in(alone, &rows, insert.conflict, None, None) };
        let returned = |taken: RecordBatch| -> Result<Listing, ScriptError> {
            let taken = RecordBatch::try_new(insert.table.physical_schema(), taken.columns().to_vec())
                .map_err(|e| SqlError::new(SqlError::INTERNAL, format!("RETURNING: {e}")))?;
            let rows = Scan::of_rows(returning.clone(), &taken)?.all(&self.canceller)?;
            Ok(Listing { rows, plain: false })
        };
        self.put_in(alone, &rows, insert.conflict, None, Some(&returned))
    }
}

/// A table whose columns are parameters of these types.
fn parameters_table(types: &[DataType]) -> Option<Table> {
    let column = |(at, of): (usize, &DataType)| {
        Some(Column {
            name: parameter_column(at + 1),
            data_type: parameter_type(of)?,
            nullable: true,
            source: ColumnSource::Physical,
            default: None,
            comment: None,
        })
    };
    Some(Table {
        name: PARAMETERS.into(),
        columns: types.iter().enumerate().map(column).collect::<Option<_>>()?,
        primary_key: Vec::new(),
        watermark: None,
        options: Default::default(),
        comment: None,
        temporary: true,
        is_source: false,
        dialect: Dialect::Flink,
    })
}
