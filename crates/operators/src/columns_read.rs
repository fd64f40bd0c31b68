//! Expressions over no more columns than they read.

use crate::OperatorError;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::Column;
use datafusion_physical_expr::utils::collect_columns;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The columns that expressions read, ascending.
pub(crate) fn columns_read<'e>(expressions: impl Iterator<Item = &'e Arc<dyn PhysicalExpr>>) -> Vec<usize> {
    let read: BTreeSet<usize> = expressions.flat_map(collect_columns).map(|column| column.index()).collect();
    read.into_iter().collect()
}

/// Where a column stands among those `read`.
pub(crate) fn place(column: &Column, read: &[usize]) -> usize {
    read.binary_search(&column.index()).expect("`read` holds all columns")
}

/// The expression over the columns `read`.
pub(crate) fn over(expression: &Arc<dyn PhysicalExpr>, read: &[usize]) -> Result<Arc<dyn PhysicalExpr>, OperatorError> {
    let moved = expression.clone().transform(|e| {
        Ok(match e.downcast_ref::<Column>() {
            Some(column) => Transformed::yes(Arc::new(Column::new(column.name(), place(column, read)))),
            None => Transformed::no(e),
        })
    })?;
    Ok(moved.data)
}
