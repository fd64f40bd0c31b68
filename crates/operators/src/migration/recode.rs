//! Strings of bytes in the row format, as those of the same values in wider types.

use crate::OperatorError;
use arrow::array::{ArrayRef, BinaryArray};
use arrow::compute::{SortOptions, cast};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};

/// How the bytes of some columns become others.
pub(crate) struct Recode {
    /// From and to; `None` without columns.
    converters: Option<[RowConverter; 2]>,
    types: Vec<DataType>,
}

/// A column that had one type, has another, and stands in an order.
pub(crate) type Recoded = ([DataType; 2], SortOptions);

impl Recode {
    /// # Errors
    /// A type that has no row format.
    pub(crate) fn new(columns: impl IntoIterator<Item = Recoded>) -> Result<Self, OperatorError> {
        let columns: Vec<Recoded> = columns.into_iter().collect();
        let converter = |at: usize| {
            let field = |(types, options): &Recoded| SortField::new_with_options(types[at].clone(), *options);
            RowConverter::new(columns.iter().map(field).collect())
        };
        let converters = if columns.is_empty() { None } else { Some([converter(0)?, converter(1)?]) };
        Ok(Self { converters, types: columns.into_iter().map(|([_, to], _)| to).collect() })
    }

    /// Of columns in ascending order, NULL first.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(crate) fn ascending(columns: impl IntoIterator<Item = [DataType; 2]>) -> Result<Self, OperatorError> {
        Self::new(columns.into_iter().map(|types| (types, SortOptions::default())))
    }

    /// The columns of a row, in their new types.
    ///
    /// # Errors
    /// A value that has no equal in its new type.
    pub(crate) fn columns(&self, bytes: &[u8]) -> Result<Vec<ArrayRef>, OperatorError> {
        let Some([from, _]) = &self.converters else { return Ok(Vec::new()) };
        // Lengths and content are the store's: what does not parse is damage.
        let bytes = BinaryArray::from_iter_values([bytes]);
        let columns = from.convert_rows([from.parser().parse(bytes.value(0))])?;
        columns.iter().zip(&self.types).map(|(column, to)| Ok(cast(column, to)?)).collect()
    }

    /// The bytes of a row of columns in their new types.
    ///
    /// # Errors
    /// A value that cannot be encoded.
    pub(crate) fn bytes(&self, columns: &[ArrayRef]) -> Result<Vec<u8>, OperatorError> {
        let Some([_, to]) = &self.converters else { return Ok(Vec::new()) };
        Ok(to.convert_columns(columns)?.row(0).data().to_vec())
    }

    /// The new bytes of a row.
    ///
    /// # Errors
    /// As [`columns`](Self::columns).
    pub(crate) fn row(&self, bytes: &[u8]) -> Result<Vec<u8>, OperatorError> {
        self.bytes(&self.columns(bytes)?)
    }
}
