use super::Builder;
use super::graph::NewNode;
use super::stream::{Base, Facts, Stream};
use crate::SqlError;
use crate::bind::errors;
use crate::checked::row_without_columns;
use arrow::array::{Array, RecordBatch};
use arrow::compute::concat;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion_common::DFSchema;
use datafusion_expr::{EmptyRelation, Values};
use eddyline_plan::{NodeId, OperatorSpec, ValuesSpec};

impl Builder<'_, '_> {
    /// `VALUES …`: computed now.
    pub(super) fn values(&mut self, values: &Values) -> Result<Stream, SqlError> {
        let one = row_without_columns().map_err(errors::plain)?;
        let empty = DFSchema::empty();
        let mut columns = Vec::new();
        for (at, field) in values.schema.fields().iter().enumerate() {
            let mut cells = Vec::with_capacity(values.values.len());
            for row in &values.values {
                let cell = self.compiler.compile(&row[at], &empty)?;
                let cell = eddyline_functions::scalar::at(cell.physical(), &self.moments);
                let cell = cell.evaluate(&one).and_then(|c| c.into_array(1)).map_err(errors::plain)?;
                cells.push(arrow::compute::cast(&cell, field.data_type()).map_err(|e| errors::plain(e.into()))?);
            }
            let cells: Vec<_> = cells.iter().map(|c| c.as_ref()).collect();
            columns.push(concat(&cells).map_err(|e| errors::plain(e.into()))?);
        }
        let rows = RecordBatch::try_new(values.schema.inner().clone(), columns).map_err(|e| errors::plain(e.into()))?;
        Ok(known(ValuesSpec { rows }))
    }

    /// `SELECT` without FROM: one row without columns; or no row at all.
    pub(super) fn empty(&mut self, empty: &EmptyRelation) -> Result<Stream, SqlError> {
        let rows = match empty.produce_one_row {
            true => row_without_columns().map_err(errors::plain)?,
            false => RecordBatch::new_empty(empty.schema.inner().clone()),
        };
        Ok(known(ValuesSpec { rows }))
    }

    pub(super) fn values_node(&mut self, values: ValuesSpec) -> NodeId {
        self.graph.add(NewNode {
            meaning: meaning(&values.rows),
            schema: values.rows.schema(),
            spec: OperatorSpec::Values(values),
            inputs: vec![],
            traits: Facts::append_only(REASON).traits(),
            of: vec![],
        })
    }
}

/// The rows as a text that no other rows have.
fn meaning(rows: &RecordBatch) -> String {
    let mut text = "values".to_owned();
    let options = FormatOptions::new();
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        text += &format!(" {} {}", field.name(), field.data_type());
        // Every type can be shown; what could not would be told apart by its type.
        let Ok(shown) = ArrayFormatter::try_new(column, &options) else { continue };
        for row in 0..rows.num_rows() {
            let cell = if column.is_null(row) { None } else { Some(shown.value(row).to_string()) };
            text += &cell.map_or(" -".into(), |cell| format!(" {}:{cell}", cell.len()));
        }
    }
    format!("{text} {}", rows.num_rows())
}

const REASON: &str = "the rows are written in the statement";

fn known(values: ValuesSpec) -> Stream {
    Stream::over(Base::Values(values.clone()), values.rows.schema(), Facts::append_only(REASON))
}
