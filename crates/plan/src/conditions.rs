//! What the predicate of a source says of single columns, for who can find rows by it.

use crate::{Compare, SourceSpec};
use arrow::array::ArrayRef;
use datafusion_expr::Operator;
use datafusion_physical_expr::expressions::{BinaryExpr, Column, Literal};
use datafusion_physical_expr::{PhysicalExpr, split_conjunction};
use std::sync::Arc;

/// A condition that every row that is kept satisfies.
#[derive(Debug, Clone)]
pub struct ColumnCondition {
    /// Among the table's physical columns.
    pub column: usize,
    /// How it compares with the value; `None`: it equals it.
    pub compare: Option<Compare>,
    /// An array of one.
    pub value: ArrayRef,
}

impl SourceSpec {
    /// The conditions among those that the predicate joins by AND which compare a column with a constant.
    pub fn column_conditions(&self) -> Vec<ColumnCondition> {
        let Some(predicate) = &self.predicate else { return Vec::new() };
        let terms = split_conjunction(predicate.physical()).into_iter();
        terms.filter_map(|term| self.column_condition(term)).collect()
    }

    fn column_condition(&self, term: &Arc<dyn PhysicalExpr>) -> Option<ColumnCondition> {
        let term = term.downcast_ref::<BinaryExpr>()?;
        let compare = match term.op() {
            Operator::Eq => None,
            Operator::Lt => Some(Compare::Less),
            Operator::LtEq => Some(Compare::LessEqual),
            Operator::Gt => Some(Compare::Greater),
            Operator::GtEq => Some(Compare::GreaterEqual),
            _ => return None,
        };
        let column = |e: &Arc<dyn PhysicalExpr>| {
            let decoded = e.downcast_ref::<Column>()?.index();
            self.projection.get(decoded).copied()
        };
        let value = |e: &Arc<dyn PhysicalExpr>| e.downcast_ref::<Literal>()?.value().to_array().ok();
        let (left, right) = (term.left(), term.right());
        if let (Some(column), Some(value)) = (column(left), value(right)) {
            return Some(ColumnCondition { column, compare, value });
        }
        Some(ColumnCondition { column: column(right)?, compare: compare.map(Compare::turned), value: value(left)? })
    }
}
