use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion_physical_expr::PhysicalExpr;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// An expression over the columns of one batch, by position. Compares and hashes by structure.
#[derive(Clone)]
pub struct Expression(Arc<dyn PhysicalExpr>);

impl Expression {
    /// Wraps a physical expression.
    pub fn new(expression: Arc<dyn PhysicalExpr>) -> Self {
        Self(expression)
    }

    /// The physical expression, shared.
    pub fn physical(&self) -> &Arc<dyn PhysicalExpr> {
        &self.0
    }
}

impl Deref for Expression {
    type Target = dyn PhysicalExpr;
    fn deref(&self) -> &Self::Target {
        self.0.as_ref()
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_ref() == other.0.as_ref()
    }
}

impl Eq for Expression {}

impl Hash for Expression {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_ref().hash(state);
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An expression and the name of the column that it makes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NamedExpression {
    /// What is computed.
    pub expression: Expression,
    /// The column's name in the output.
    pub name: String,
}

impl NamedExpression {
    /// Names an expression.
    pub fn new(expression: Expression, name: impl Into<String>) -> Self {
        Self { expression, name: name.into() }
    }

    /// The output field over `input`.
    ///
    /// # Errors
    /// An expression that does not fit `input`.
    pub fn field(&self, input: &Schema) -> datafusion_common::Result<FieldRef> {
        let data_type: DataType = self.expression.data_type(input)?;
        Ok(Arc::new(Field::new(&self.name, data_type, self.expression.nullable(input)?)))
    }
}
