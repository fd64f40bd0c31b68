//! What expressions mean in the dialect of Postgres and not in Flink's, where it depends on types.

use super::expressions::with_expressions;
use arrow::datatypes::DataType;
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, Result};
use datafusion_expr::expr::{Cast, ScalarFunction, TryCast};
use datafusion_expr::{Expr, ExprSchemable, LogicalPlan, ScalarUDF, WindowFunctionDefinition};
use datafusion_optimizer::AnalyzerRule;
use std::sync::Arc;

/// AVG of integers and of DECIMAL has 16 digits behind the point, SUM of BIGINT is DECIMAL; casts of numbers to integers round. Runs before coercion, whose casts are no concern of
/// the user's, once literals have their types.
#[derive(Debug)]
pub(super) struct PostgresMeanings {
    /// ROUND.
    pub(super) round: Arc<ScalarUDF>,
}

impl AnalyzerRule for PostgresMeanings {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| {
            let meant = |e: Expr, schema: &DFSchema| {
                e.transform_up(|e| match e {
                    Expr::Cast(_) | Expr::TryCast(_) => self.rounded(e, schema),
                    e => widened(e, schema),
                })
            };
            with_expressions(plan, meant)?.map_data(|p| p.recompute_schema())
        })
        .map(|t| t.data)
    }

    fn name(&self) -> &str {
        "postgres_meanings"
    }
}

impl PostgresMeanings {
    fn rounded(&self, mut expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let (Expr::Cast(Cast { expr: value, field }) | Expr::TryCast(TryCast { expr: value, field })) = &mut expr
        else {
            return Ok(Transformed::no(expr));
        };
        let from = value.get_type(schema)?;
        if !field.data_type().is_integer() || !(from.is_floating() || matches!(from, DataType::Decimal128(..))) {
            return Ok(Transformed::no(expr));
        }
        let arguments = vec![std::mem::take(value.as_mut())];
        **value = Expr::ScalarFunction(ScalarFunction::new_udf(self.round.clone(), arguments));
        Ok(Transformed::yes(expr))
    }
}

fn widened(mut expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let (function, arguments) = match &mut expr {
        Expr::AggregateFunction(f) => (f.func.name().to_owned(), &mut f.params.args),
        Expr::WindowFunction(f) => match &f.fun {
            WindowFunctionDefinition::AggregateUDF(of) => (of.name().to_owned(), &mut f.params.args),
            WindowFunctionDefinition::WindowUDF(_) => return Ok(Transformed::no(expr)),
        },
        _ => return Ok(Transformed::no(expr)),
    };
    let [argument] = arguments.as_mut_slice() else { return Ok(Transformed::no(expr)) };
    let to = match (function.as_str(), argument.get_type(schema)?) {
        ("avg", from) if from.is_integer() => DataType::Decimal128(38, 16),
        ("avg", DataType::Decimal128(_, scale)) if scale < 16 => DataType::Decimal128(38, 16),
        ("sum", DataType::Int64) => DataType::Decimal128(38, 0),
        _ => return Ok(Transformed::no(expr)),
    };
    *argument = std::mem::take(argument).cast_to(&to, schema)?;
    Ok(Transformed::yes(expr))
}
