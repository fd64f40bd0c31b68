//! Expressions that compute: DataFusion physical expressions in which integer arithmetic is checked and patterns
//! of LIKE are taken apart.

mod casts;
mod field_names;
mod like;
mod not_null;
#[cfg(test)]
mod tests;

pub(crate) use field_names::FieldNames;
pub(crate) use not_null::NotNull;

use crate::SqlError;
use crate::bind::errors;
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Schema};
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, Volatility};
use datafusion_physical_expr::expressions::BinaryExpr as PhysicalBinary;
use datafusion_physical_expr::{PhysicalExpr, ScalarFunctionExpr, create_physical_expr};
use eddyline_functions::scalar::{self, Moments};
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
            let checked: Arc<dyn PhysicalExpr> = Arc::new(checked.with_fail_on_overflow(true));
            return in_range(checked, schema.as_arrow(), props).map(Transformed::yes);
        }
        let made = match casts::rewritten(&e, schema.as_arrow(), props)? {
            None => like::prepared(&e, schema.as_arrow())?,
            cast => cast,
        };
        Ok(made.map_or_else(|| Transformed::no(e), Transformed::yes))
    })?;
    Ok(checked.data)
}

/// Arithmetic whose exact result may have more digits than any DECIMAL is checked for it.
fn in_range(made: Arc<dyn PhysicalExpr>, schema: &Schema, props: &ExecutionProps) -> Result<Arc<dyn PhysicalExpr>> {
    match made.data_type(schema)? {
        DataType::Decimal128(DECIMAL128_MAX_PRECISION, _) => {
            let config = props.config_options.clone().unwrap_or_default();
            let check = Arc::new(eddyline_functions::scalar::checked_decimal());
            Ok(Arc::new(ScalarFunctionExpr::try_new(check, vec![made], schema, config)?))
        }
        _ => Ok(made),
    }
}

fn is_arithmetic(operator: &Operator) -> bool {
    matches!(operator, Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo)
}

/// Computes what is constant, as they would be computed for rows; DataFusion's own folding would
/// wrap around and knows no session time zone. Where the time is given, what tells the time is constant too.
///
/// # Errors
/// A constant that overflows.
pub(crate) fn fold(plan: LogicalPlan, config: &Arc<ConfigOptions>, now: Option<&Arc<Moments>>) -> Result<LogicalPlan> {
    let mut props = ExecutionProps::new();
    props.config_options = Some(config.clone());
    plan.transform_up_with_subqueries(|plan| {
        let preserver = NamePreserver::new(&plan);
        plan.map_expressions(|e| {
            let name = preserver.save(&e);
            Ok(fold_expr(e, &props, now)?.update_data(|e| name.restore(e)))
        })
    })
    .map(|t| t.data)
}

fn fold_expr(expr: Expr, props: &ExecutionProps, now: Option<&Arc<Moments>>) -> Result<Transformed<Expr>> {
    expr.transform_up(|e| {
        if let (Expr::ScalarFunction(f), Some(now)) = (&e, now)
            && scalar::is_clock(&f.func)
        {
            let told = scalar::at(&physical(&e, &DFSchema::empty(), props)?, now);
            return value_of(told.as_ref()).map(|value| Transformed::yes(Expr::Literal(value, None)));
        }
        if !is_constant(&e)? {
            return Ok(Transformed::no(e));
        }
        let overflows = matches!(&e, Expr::BinaryExpr(BinaryExpr { left, op, right })
            if exact(left) && exact(right) && matches!(op, Operator::Plus | Operator::Minus | Operator::Multiply));
        if let Expr::ScalarFunction(f) = &e
            && f.name() == "coalesce"
        {
            // It has no value of its own: the optimizer makes a CASE of it.
            let known = f.args.iter().find(|a| !matches!(a, Expr::Literal(v, _) if v.is_null())).or(f.args.last());
            return Ok(known.cloned().map_or_else(|| Transformed::no(e), Transformed::yes));
        }
        if let Some(late) = late(&e) {
            return Ok(Transformed::yes(late));
        }
        match evaluate(&e, props) {
            Ok(value) => Ok(Transformed::yes(Expr::Literal(value, None))),
            Err(_) if overflows => {
                let message = match e.get_type(&DFSchema::empty())? {
                    DataType::Int8 => "tinyint out of range",
                    DataType::Int16 => "smallint out of range",
                    DataType::Int32 => "integer out of range",
                    DataType::Int64 => "bigint out of range",
                    _ => "numeric field overflow",
                };
                let error = SqlError::new(SqlError::OUT_OF_RANGE, message).with_detail(format!("It is {}.", text(&e)));
                Err(DataFusionError::External(Box::new(error)))
            }
            // It fails when a row needs it, if one does.
            Err(_) => Ok(Transformed::no(e)),
        }
    })
}

/// The call of a constant that is too large for a plan, to be computed when it runs.
fn late(expr: &Expr) -> Option<Expr> {
    let Expr::ScalarFunction(call) = expr else { return None };
    let args = call.args.iter().map(Expr::as_literal).collect::<Option<Vec<_>>>()?;
    Some(scalar::late(&call.func, &args)?.call(call.args.clone()))
}

/// A computation over nothing but literals, with the same result every time.
fn is_constant(expr: &Expr) -> Result<bool> {
    let computes = match expr {
        Expr::ScalarFunction(f) => f.func.signature().volatility == Volatility::Immutable,
        Expr::Cast(_) | Expr::TryCast(_) | Expr::BinaryExpr(_) | Expr::Case(_) | Expr::Between(_) | Expr::InList(_) => {
            true
        }
        Expr::Not(_) | Expr::Negative(_) | Expr::IsNull(_) | Expr::IsNotNull(_) | Expr::Like(_) => true,
        Expr::IsTrue(_) | Expr::IsFalse(_) | Expr::IsUnknown(_) => true,
        Expr::IsNotTrue(_) | Expr::IsNotFalse(_) | Expr::IsNotUnknown(_) => true,
        _ => false,
    };
    let mut literals = computes;
    expr.apply_children(|child| {
        literals &= matches!(child, Expr::Literal(..));
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(literals)
}

fn exact(expr: &Expr) -> bool {
    let is_exact = |t: DataType| t.is_integer() || matches!(t, DataType::Decimal128(..));
    matches!(expr, Expr::Literal(v, _) if is_exact(v.data_type()) && !v.is_null())
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
    value_of(physical(expr, &DFSchema::empty(), props)?.as_ref())
}

fn value_of(expression: &dyn PhysicalExpr) -> Result<ScalarValue> {
    let value = expression.evaluate(&row_without_columns()?)?.into_array(1)?;
    ScalarValue::try_from_array(&value, 0)
}

/// One row, no columns.
pub(crate) fn row_without_columns() -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options)?)
}
