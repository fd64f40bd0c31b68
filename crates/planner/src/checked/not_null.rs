use crate::SqlError;
use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, Schema};
use datafusion_common::{DataFusionError, Result};
use datafusion_expr::ColumnarValue;
use datafusion_physical_expr::PhysicalExpr;
use eddyline_catalog::Name;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The value as it is; a NULL is an error. What INSERT puts around a value for a NOT NULL column.
#[derive(Debug, Eq)]
pub(crate) struct NotNull {
    value: Arc<dyn PhysicalExpr>,
    table: Name,
    column: Arc<str>,
}

impl NotNull {
    /// The value for a column of a table.
    pub(crate) fn new(value: Arc<dyn PhysicalExpr>, table: &Name, column: &str) -> Self {
        Self { value, table: table.clone(), column: column.into() }
    }

    /// The value that is checked.
    pub(crate) fn value(&self) -> &Arc<dyn PhysicalExpr> {
        &self.value
    }
}

impl PartialEq for NotNull {
    fn eq(&self, other: &Self) -> bool {
        self.value.eq(&other.value) && self.table == other.table && self.column == other.column
    }
}

impl Hash for NotNull {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.value.hash(state);
        self.table.hash(state);
        self.column.hash(state);
    }
}

impl fmt::Display for NotNull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not_null({})", self.value)
    }
}

impl PhysicalExpr for NotNull {
    fn data_type(&self, input: &Schema) -> Result<DataType> {
        self.value.data_type(input)
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(false)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let value = self.value.evaluate(batch)?;
        let has_null = match &value {
            ColumnarValue::Array(array) => array.null_count() > 0,
            ColumnarValue::Scalar(scalar) => scalar.is_null() && batch.num_rows() > 0,
        };
        if has_null {
            return Err(DataFusionError::External(Box::new(SqlError::null_in(&self.table, &self.column))));
        }
        Ok(value)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.value]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Self { value: children.swap_remove(0), table: self.table.clone(), column: self.column.clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt_sql(f)
    }
}
