//! Rows that come as texts, as columns of the types that the server has told.

use super::typed;
use eddyline_engine::arrow::array::{ArrayRef, RecordBatch, StringArray};
use eddyline_engine::arrow::datatypes::{Field, Schema};
use eddyline_engine::{Listing, SqlError};
use std::sync::Arc;
use tokio_postgres::types::Type;

/// What a statement is answered.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// The names of its columns; `None`: it answers no rows.
    pub(super) columns: Option<Vec<String>>,
    /// Their types, where they are known.
    pub(super) types: Vec<Type>,
    /// Its rows; `None` is NULL.
    pub(super) rows: Vec<Vec<Option<String>>>,
    /// How many rows it has changed or answered.
    pub(super) changed: u64,
}

impl Answer {
    /// The rows, to be printed; `None`: it answers none.
    ///
    /// # Errors
    /// None for what a server sends.
    pub(super) fn listing(&self) -> Result<Option<Listing>, SqlError> {
        let Some(names) = &self.columns else { return Ok(None) };
        let columns: Vec<ArrayRef> = (0..names.len()).map(|at| self.column(at)).collect();
        let fields: Vec<Field> = names
            .iter()
            .zip(&columns)
            .map(|(name, column)| Field::new(name, column.data_type().clone(), true))
            .collect();
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
            .map_err(|e| SqlError::new(SqlError::INTERNAL, format!("rows of a server: {e}")))?;
        // What explains and defines is lines of text.
        let plain =
            names.len() == 1 && ["plan", "result", "state"].contains(&names[0].as_str()) && self.types.is_empty();
        Ok(Some(Listing { rows, plain }))
    }

    /// The texts of a column.
    pub(super) fn texts(&self, at: usize) -> impl Iterator<Item = Option<&str>> {
        self.rows.iter().map(move |row| row.get(at).and_then(|cell| cell.as_deref()))
    }

    fn column(&self, at: usize) -> ArrayRef {
        let cells: Vec<Option<&str>> = self.texts(at).collect();
        let of_type = self.types.get(at).and_then(|of| typed::column(of, &cells));
        of_type.unwrap_or_else(|| Arc::new(StringArray::from(cells)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eddyline_engine::arrow::array::{BooleanArray, Decimal128Array, Int64Array};

    #[test]
    fn columns_have_their_types() {
        let row = |cells: [Option<&str>; 3]| cells.map(|cell| cell.map(str::to_owned)).to_vec();
        let answer = Answer {
            columns: Some(vec!["a".into(), "b".into(), "c".into()]),
            types: vec![Type::INT4, Type::BOOL, Type::NUMERIC],
            rows: vec![row([Some("1"), Some("t"), Some("1.50")]), row([None, None, None])],
            changed: 2,
        };
        let rows = answer.listing().unwrap().unwrap().rows;
        assert_eq!(rows.column(0).as_ref(), &Int64Array::from(vec![Some(1), None]));
        assert_eq!(rows.column(1).as_ref(), &BooleanArray::from(vec![Some(true), None]));
        let decimals = Decimal128Array::from(vec![Some(150), None]).with_precision_and_scale(38, 2).unwrap();
        assert_eq!(rows.column(2).as_ref(), &decimals);
        assert!(Answer::default().listing().unwrap().is_none());
    }
}
