//! Expressions that compute: DataFusion physical expressions in which integer arithmetic is checked.

use crate::SqlError;
use crate::bind::errors;
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
    let checked = made.transform_up(|e| match e.downcast_ref::<PhysicalBinary>() {
        Some(binary) if is_arithmetic(binary.op()) => {
            let checked = PhysicalBinary::new(binary.left().clone(), *binary.op(), binary.right().clone());
            Ok(Transformed::yes(Arc::new(checked.with_fail_on_overflow(true)) as Arc<dyn PhysicalExpr>))
        }
        _ => Ok(Transformed::no(e)),
    })?;
    Ok(checked.data)
}

fn is_arithmetic(operator: &Operator) -> bool {
    matches!(operator, Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo)
}

/// Folds arithmetic of constants, checked; DataFusion's own folding would wrap around.
///
/// # Errors
/// A constant that overflows.
pub(crate) fn fold(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|plan| {
        let preserver = NamePreserver::new(&plan);
        plan.map_expressions(|e| {
            let name = preserver.save(&e);
            Ok(fold_expr(e)?.update_data(|e| name.restore(e)))
        })
    })
    .map(|t| t.data)
}

fn fold_expr(expr: Expr) -> Result<Transformed<Expr>> {
    expr.transform_up(|e| match &e {
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if matches!(op, Operator::Plus | Operator::Minus | Operator::Multiply)
                && integer(left)
                && integer(right) =>
        {
            let value = evaluate(&e).map_err(|_| {
                DataFusionError::Execution(
                    format!("integer overflow in {left} {op} {right}").replace("Int64", "").replace("Int32", ""),
                )
            })?;
            Ok(Transformed::yes(Expr::Literal(value, None)))
        }
        _ => Ok(Transformed::no(e)),
    })
}

fn integer(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(v, _) if v.data_type().is_integer() && !v.is_null())
}

/// The value of an expression without columns.
pub(crate) fn evaluate(expr: &Expr) -> Result<ScalarValue> {
    let compiled = physical(expr, &DFSchema::empty(), &ExecutionProps::new())?;
    let one_row = arrow::array::RecordBatch::try_new_with_options(
        Arc::new(Schema::empty()),
        vec![],
        &arrow::array::RecordBatchOptions::new().with_row_count(Some(1)),
    )?;
    let value = compiled.evaluate(&one_row)?.into_array(1)?;
    ScalarValue::try_from_array(&value, 0)
}
