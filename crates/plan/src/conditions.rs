//! What the predicate of a source says of single columns, for who can find rows by it.

use crate::{Compare, SourceSpec};
use arrow::array::ArrayRef;
use datafusion_common::ScalarValue;
use datafusion_expr::Operator;
use datafusion_physical_expr::expressions::{BinaryExpr, Column, InListExpr, IsNullExpr, Literal};
use datafusion_physical_expr::{PhysicalExpr, split_conjunction};
use std::sync::Arc;

/// A condition that every row that is kept satisfies.
#[derive(Debug, Clone)]
pub struct ColumnCondition {
    /// Among the table's physical columns.
    pub column: usize,
    /// How it compares with the value; `None`: it is that, or one of several.
    pub compare: Option<Compare>,
    /// An array of one; of several where the column is one of them. With NULL it `IS NULL`.
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
        self.comparison(term).or_else(|| self.one_of(term))
    }

    /// A column, and the values of which it has one.
    fn one_of(&self, term: &Arc<dyn PhysicalExpr>) -> Option<ColumnCondition> {
        let mut values = Vec::new();
        let column = self.values_of(term, &mut values)?;
        let value = ScalarValue::iter_to_array(values).ok()?;
        Some(ColumnCondition { column, compare: None, value })
    }

    /// Adds the values of which a column has one where a term is true; returns the column.
    fn values_of(&self, term: &Arc<dyn PhysicalExpr>, values: &mut Vec<ScalarValue>) -> Option<usize> {
        if let Some(either) = term.downcast_ref::<BinaryExpr>() {
            return match either.op() {
                Operator::Or => {
                    let column = self.values_of(either.left(), values)?;
                    (self.values_of(either.right(), values)? == column).then_some(column)
                }
                Operator::Eq => {
                    let (column, literal) = match self.column(either.left()) {
                        Some(column) => (column, either.right()),
                        None => (self.column(either.right())?, either.left()),
                    };
                    values.push(literal.downcast_ref::<Literal>()?.value().clone());
                    Some(column)
                }
                _ => None,
            };
        }
        if let Some(is_null) = term.downcast_ref::<IsNullExpr>() {
            let column = self.column(is_null.arg())?;
            values.push(ScalarValue::try_from(self.physical.field(column).data_type()).ok()?);
            return Some(column);
        }
        let list = term.downcast_ref::<InListExpr>().filter(|list| !list.negated())?;
        for value in list.list() {
            values.push(value.downcast_ref::<Literal>()?.value().clone());
        }
        self.column(list.expr())
    }

    /// The place among the table's columns, where this is one of them.
    fn column(&self, expression: &Arc<dyn PhysicalExpr>) -> Option<usize> {
        self.projection.get(expression.downcast_ref::<Column>()?.index()).copied()
    }

    fn comparison(&self, term: &Arc<dyn PhysicalExpr>) -> Option<ColumnCondition> {
        let term = term.downcast_ref::<BinaryExpr>()?;
        let compare = match term.op() {
            Operator::Eq => None,
            Operator::Lt => Some(Compare::Less),
            Operator::LtEq => Some(Compare::LessEqual),
            Operator::Gt => Some(Compare::Greater),
            Operator::GtEq => Some(Compare::GreaterEqual),
            _ => return None,
        };
        let column = |e: &Arc<dyn PhysicalExpr>| self.column(e);
        let value = |e: &Arc<dyn PhysicalExpr>| e.downcast_ref::<Literal>()?.value().to_array().ok();
        let (left, right) = (term.left(), term.right());
        if let (Some(column), Some(value)) = (column(left), value(right)) {
            return Some(ColumnCondition { column, compare, value });
        }
        Some(ColumnCondition { column: column(right)?, compare: compare.map(Compare::turned), value: value(left)? })
    }
}
