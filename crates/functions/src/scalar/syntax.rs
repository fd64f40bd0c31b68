//! Syntax of its own that stands for a call: `EXTRACT(… FROM …)`, `SUBSTRING(… FROM … FOR …)`, `POSITION(… IN …)`.

use super::{Meaning, ScalarSettings, call, definitions, postgres};
use arrow::datatypes::{DataType, IntervalUnit};
use datafusion_common::{DFSchema, Result, plan_datafusion_err};
use datafusion_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion_expr::sqlparser::ast::BinaryOperator;
use datafusion_expr::{Expr, ExprSchemable, Operator, ScalarUDF, binary_expr, cast};
use std::sync::Arc;

/// Plans such syntax as calls of our functions, which differ from DataFusion's in results (`EXTRACT` is BIGINT) and for
/// negative places. It must stand before DataFusion's planners.
pub fn syntax_planner(settings: &ScalarSettings) -> Arc<dyn ExprPlanner> {
    Arc::new(SyntaxPlanner { settings: *settings })
}

#[derive(Debug)]
struct SyntaxPlanner {
    settings: ScalarSettings,
}

impl SyntaxPlanner {
    fn call(&self, name: &str, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        let mut function = Arc::new(function(name, &self.settings)?);
        if self.settings.meaning == Meaning::Postgres {
            function = postgres::with_bytes(name, function, self.settings.time_zone);
        }
        Ok(PlannerResult::Planned(function.call(args)))
    }
}

fn is_timestamp(t: &DataType) -> bool {
    matches!(t, DataType::Timestamp(..))
}

fn function(name: &str, settings: &ScalarSettings) -> Result<ScalarUDF> {
    let definition = definitions(settings.meaning)
        .rfind(|definition| definition.name == name)
        .ok_or_else(|| plan_datafusion_err!("there is no function {name}"))?;
    Ok(ScalarUDF::from(call::Function::new(definition, settings.time_zone)))
}

impl ExprPlanner for SyntaxPlanner {
    fn plan_extract(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        self.call("extract", args)
    }

    fn plan_substring(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        self.call("substr", args)
    }

    fn plan_overlay(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        self.call("overlay", args)
    }

    /// Intervals are multiplied and divided by numbers, and times taken from times give intervals.
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let (Ok(left), Ok(right)) = (expr.left.get_type(schema), expr.right.get_type(schema)) else {
            return Ok(PlannerResult::Original(expr));
        };
        let is_interval = |t: &DataType| matches!(t, DataType::Interval(_));
        let scaled = |name: &str, interval: Expr, number: Expr| {
            let function = function(name, &self.settings)?;
            Ok(PlannerResult::Planned(function.call(vec![interval, number])))
        };
        let is_postgres = self.settings.meaning == Meaning::Postgres;
        if is_postgres && let Some((name, args)) = postgres::call_of(&expr, &left, &right) {
            let function = function(name, &self.settings)?;
            return Ok(PlannerResult::Planned(function.call(args)));
        }
        let expr = if is_postgres { postgres::with_clock(expr, &left, &right) } else { expr };
        match expr.op {
            BinaryOperator::Multiply if is_interval(&left) && right.is_numeric() => {
                scaled("interval_multiply", expr.left, expr.right)
            }
            BinaryOperator::Multiply if left.is_numeric() && is_interval(&right) => {
                scaled("interval_multiply", expr.right, expr.left)
            }
            BinaryOperator::Divide if is_interval(&left) && right.is_numeric() => {
                scaled("interval_divide", expr.left, expr.right)
            }
            BinaryOperator::Minus if is_timestamp(&left) && is_timestamp(&right) => {
                let between = binary_expr(expr.left, Operator::Minus, expr.right);
                Ok(PlannerResult::Planned(cast(between, DataType::Interval(IntervalUnit::MonthDayNano))))
            }
            _ => Ok(PlannerResult::Original(expr)),
        }
    }

    /// The arguments come as (text, part).
    fn plan_position(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        self.call("instr", args)
    }
}
