use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, StructArray};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::ColumnarValue;
use datafusion_physical_expr::PhysicalExpr;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A row as it is, its fields under other names: a cast finds them by these, and INSERT goes by their places.
#[derive(Debug, Eq)]
pub(crate) struct FieldNames {
    value: Arc<dyn PhysicalExpr>,
    /// The type of the value, but for the names.
    named: DataType,
}

impl FieldNames {
    /// A value of type `given` with the names of `wanted`, which has as many fields.
    pub(crate) fn new(value: Arc<dyn PhysicalExpr>, given: &DataType, wanted: &DataType) -> Self {
        Self { value, named: named(given, wanted) }
    }
}

/// The type `given` with the names of `wanted`.
fn named(given: &DataType, wanted: &DataType) -> DataType {
    match (given, wanted) {
        (DataType::Struct(given), DataType::Struct(wanted)) if given.len() == wanted.len() => {
            let field = |(given, wanted): (&Arc<Field>, &Arc<Field>)| {
                let data_type = named(given.data_type(), wanted.data_type());
                Field::new(wanted.name(), data_type, given.is_nullable())
            };
            DataType::Struct(given.iter().zip(wanted).map(field).collect::<Fields>())
        }
        (DataType::List(given), DataType::List(wanted)) => {
            let item = named(given.data_type(), wanted.data_type());
            DataType::List(Arc::new(Field::new(given.name(), item, given.is_nullable())))
        }
        _ => given.clone(),
    }
}

/// An array whose type is `to` but for the names, which it gets.
fn renamed(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    Ok(match to {
        _ if array.data_type() == to => array.clone(),
        DataType::Struct(fields) => {
            let columns =
                array.as_struct().columns().iter().zip(fields).map(|(c, field)| renamed(c, field.data_type()));
            let columns = columns.collect::<Result<Vec<_>>>()?;
            let nulls = array.nulls().cloned();
            Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, array.len())?)
        }
        DataType::List(item) => {
            let list = array.as_list::<i32>();
            let values = renamed(list.values(), item.data_type())?;
            Arc::new(ListArray::try_new(item.clone(), list.offsets().clone(), values, list.nulls().cloned())?)
        }
        _ => array.clone(),
    })
}

impl PartialEq for FieldNames {
    fn eq(&self, other: &Self) -> bool {
        self.value.eq(&other.value) && self.named == other.named
    }
}

impl Hash for FieldNames {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.value.hash(state);
        self.named.hash(state);
    }
}

impl fmt::Display for FieldNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.value)
    }
}

impl PhysicalExpr for FieldNames {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(self.named.clone())
    }

    fn nullable(&self, input: &Schema) -> Result<bool> {
        self.value.nullable(input)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        Ok(match self.value.evaluate(batch)? {
            ColumnarValue::Array(array) => ColumnarValue::Array(renamed(&array, &self.named)?),
            ColumnarValue::Scalar(scalar) => {
                let one = renamed(&scalar.to_array()?, &self.named)?;
                ColumnarValue::Scalar(ScalarValue::try_from_array(&one, 0)?)
            }
        })
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.value]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Self { value: children.swap_remove(0), named: self.named.clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt_sql(f)
    }
}
