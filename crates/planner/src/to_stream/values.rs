use super::Builder;
use super::graph::NewNode;
use super::stream::{Base, Facts, Stream};
use crate::SqlError;
use crate::bind::errors;
use crate::checked::row_without_columns;
use arrow::array::RecordBatch;
use arrow::compute::concat;
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
        let shown = arrow::util::pretty::pretty_format_batches(std::slice::from_ref(&values.rows));
        self.graph.add(NewNode {
            meaning: format!("values {}", shown.map(|s| s.to_string()).unwrap_or_default()),
            schema: values.rows.schema(),
            spec: OperatorSpec::Values(values),
            inputs: vec![],
            traits: Facts::append_only(REASON).traits(),
            of: vec![],
        })
    }
}

const REASON: &str = "the rows are written in the statement";

fn known(values: ValuesSpec) -> Stream {
    Stream::over(Base::Values(values.clone()), values.rows.schema(), Facts::append_only(REASON))
}
