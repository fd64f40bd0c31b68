use datafusion_common::tree_node::Transformed;
use datafusion_common::{DFSchema, Result};
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{Expr, LogicalPlan};

/// The node with its expressions rewritten, under the names that they had; `rewrite` is given the columns that they are over.
pub(super) fn with_expressions(
    node: LogicalPlan,
    mut rewrite: impl FnMut(Expr, &DFSchema) -> Result<Transformed<Expr>>,
) -> Result<Transformed<LogicalPlan>> {
    let schema = merge_schema(&node.inputs());
    let preserver = NamePreserver::new(&node);
    node.map_expressions(|e| {
        let name = preserver.save(&e);
        Ok(rewrite(e, &schema)?.update_data(|e| name.restore(e)))
    })
}
