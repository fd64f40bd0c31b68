//! What becomes of the rows of a table whose columns change, as it is stored.

use super::record::corrupt;
use crate::kept::{Alteration, Origin};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use eddyline_planner::SqlError;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The columns that a table has from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredAlteration {
    /// The number of the table.
    pub(super) id: u64,
    columns: Vec<StoredOrigin>,
}

/// Where a column comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StoredOrigin {
    /// From this column as the table was.
    Column(usize),
    /// The value of every row that is there: an Arrow stream of one row.
    Value(Vec<u8>),
}

impl StoredAlteration {
    /// Of the table with this number.
    ///
    /// # Errors
    /// A value that cannot be written.
    pub(crate) fn new(id: u64, alteration: &Alteration) -> Result<Self, SqlError> {
        let stored = |origin: &Origin| match origin {
            Origin::Column(at) => Ok(StoredOrigin::Column(*at)),
            Origin::Value(value) => written(value).map(StoredOrigin::Value),
        };
        let columns = alteration.0.iter().map(stored).collect::<Result<_, ArrowError>>();
        let columns =
            columns.map_err(|e| SqlError::new(SqlError::INTERNAL, format!("a value cannot be stored: {e}")))?;
        Ok(Self { id, columns })
    }

    /// As it was stored.
    ///
    /// # Errors
    /// A value does not read.
    pub(super) fn read(&self) -> Result<Alteration, SqlError> {
        let origin = |stored: &StoredOrigin| match stored {
            StoredOrigin::Column(at) => Ok(Origin::Column(*at)),
            StoredOrigin::Value(bytes) => read(bytes)
                .map(Origin::Value)
                .map_err(|e| corrupt(format!("a value of a new column does not read: {e}"))),
        };
        self.columns.iter().map(origin).collect::<Result<_, _>>().map(Alteration)
    }
}

fn written(value: &ArrayRef) -> Result<Vec<u8>, ArrowError> {
    let schema = Arc::new(Schema::new(vec![Field::new("value", value.data_type().clone(), true)]));
    let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
    writer.write(&RecordBatch::try_new(schema, vec![value.clone()])?)?;
    writer.into_inner()
}

fn read(bytes: &[u8]) -> Result<ArrayRef, ArrowError> {
    let batch = StreamReader::try_new(bytes, None)?.next().transpose()?;
    let value = batch.filter(|batch| batch.num_rows() == 1).and_then(|batch| batch.columns().first().cloned());
    value.ok_or_else(|| ArrowError::ParseError("it is not one".into()))
}
