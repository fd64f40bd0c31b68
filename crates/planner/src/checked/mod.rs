//! Expressions that compute: DataFusion physical expressions in which integer arithmetic is checked.

mod casts;
mod not_null;
#[cfg(test)]
mod tests;

pub(crate) use not_null::NotNull;

use crate::SqlError;
use crate::bind::errors;
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::Schema;
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_expr::{BinaryExpr, Expr, LogicalPlan, Operator};
use datafusion_physical_expr::expressions::BinaryExpr as PhysicalBinary;
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr};
use eddyline_plan::Expression;
use std::sync::Arc;

/// Makes computing expressions out of bound ones.
pub(crate) struct Compiler {
    props: ExecutionProps,
}

impl Compiler {
    /// A compiler under the session's settings.
    pub(crate) fn new(config: Arc<ConfigOptions>) -> Self {
        let mut props = ExecutionProps::new();
        props.config_options = Some(config);
        Self { props }
    }

    /// The expression over the columns of `schema`, by position.
    pub(crate) fn compile(&self, expr: &Expr, schema: &DFSchema) -> std::result::Result<Expression, SqlError> {
        physical(expr, schema, &self.props).map(Expression::new).map_err(errors::plain)
    }
}

fn physical(expr: &Expr, schema: &DFSchema, props: &ExecutionProps) -> Result<Arc<dyn PhysicalExpr>> {
    let made = create_physical_expr(expr, schema, props, &PhysicalPlanningContext::default())?;
    let checked = made.transform_up(|e| {
        if let Some(binary) = e.downcast_ref::<PhysicalBinary>()
            && is_arithmetic(binary.op())
        {
            let checked = PhysicalBinary::new(binary.left().clone(), *binary.op(), binary.right().clone());
            return Ok(Transformed::yes(Arc::new(checked.with_fail_on_overflow(true)) as Arc<dyn PhysicalExpr>));
        }
        match casts::rewritten(&e, schema.as_arrow(), props)? {
            Some(cast) => Ok(Transformed::yes(cast)),
            None => Ok(Transformed::no(e)),
        }
    })?;
    Ok(checked.data)
}

fn is_arithmetic(operator: &Operator) -> bool {
    matches!(operator, Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo)
}

/// Computes casts and arithmetic of constants, as they would be computed for rows; DataFusion's own folding would
/// wrap around and knows no session time zone.
///
/// # Errors
/// A constant that overflows.
pub(crate) fn fold(plan: LogicalPlan, config: &Arc<ConfigOptions>) -> Result<LogicalPlan> {
    let mut props = ExecutionProps::new();
    props.config_options = Some(config.clone());
    plan.transform_up_with_subqueries(|plan| {
        let preserver = NamePreserver::new(&plan);
        plan.map_expressions(|e| {
            let name = preserver.save(&e);
            Ok(fold_expr(e, &props)?.update_data(|e| name.restore(e)))
        })
    })
    .map(|t| t.data)
}

fn fold_expr(expr: Expr, props: &ExecutionProps) -> Result<Transformed<Expr>> {
    expr.transform_up(|e| {
        let overflows = match &e {
            Expr::Cast(cast) if matches!(*cast.expr, Expr::Literal(..)) => false,
            Expr::BinaryExpr(BinaryExpr { left, op, right })
                if matches!((&**left, &**right), (Expr::Literal(..), Expr::Literal(..))) =>
            {
                integer(left) && integer(right) && matches!(op, Operator::Plus | Operator::Minus | Operator::Multiply)
            }
            _ => return Ok(Transformed::no(e)),
        };
        match evaluate(&e, props) {
            Ok(value) => Ok(Transformed::yes(Expr::Literal(value, None))),
            Err(_) if overflows => Err(DataFusionError::Execution(format!("integer overflow in {}", text(&e)))),
            // It fails when a row needs it, if one does.
            Err(_) => Ok(Transformed::no(e)),
        }
    })
}

fn integer(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(v, _) if v.data_type().is_integer() && !v.is_null())
}

fn text(expr: &Expr) -> String {
    match expr {
        Expr::Literal(value, _) => value.to_string(),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => format!("{} {op} {}", text(left), text(right)),
        other => other.to_string(),
    }
}

/// The value of an expression without columns.
fn evaluate(expr: &Expr, props: &ExecutionProps) -> Result<ScalarValue> {
    let compiled = physical(expr, &DFSchema::empty(), props)?;
    let value = compiled.evaluate(&row_without_columns()?)?.into_array(1)?;
    ScalarValue::try_from_array(&value, 0)
}

/// One row, no columns.
pub(crate) fn row_without_columns() -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options)?)
}
