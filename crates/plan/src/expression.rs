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
        let text = self.0.to_string();
        let mut rest = text.as_str();
        // Arrow prints intervals as it keeps them.
        while let Some((before, interval, after)) = next_interval(rest) {
            write!(f, "{before}INTERVAL '{interval}'")?;
            rest = after;
        }
        f.write_str(rest)
    }
}

/// What stands before an interval, the interval in words, what stands behind it.
fn next_interval(text: &str) -> Option<(&str, String, &str)> {
    let (before, rest) = text.split_once("IntervalMonthDayNano { months: ")?;
    let (months, rest) = rest.split_once(", days: ")?;
    let (days, rest) = rest.split_once(", nanoseconds: ")?;
    let (nanos, after) = rest.split_once(" }")?;
    let nanos: i64 = nanos.parse().ok()?;
    let mut words: Vec<String> = [(months, "months"), (days, "days")]
        .iter()
        .filter(|(n, _)| *n != "0")
        .map(|(n, u)| format!("{n} {u}"))
        .collect();
    if nanos != 0 || words.is_empty() {
        let (sign, nanos) = (if nanos < 0 { "-" } else { "" }, nanos.unsigned_abs());
        let fraction = format!(".{:09}", nanos % 1_000_000_000);
        let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
        words.push(format!("{sign}{}{fraction} seconds", nanos / 1_000_000_000));
    }
    Some((before, words.join(" "), after))
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
