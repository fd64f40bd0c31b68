//! `SUM(x)` beside `SUM(CAST(x AS DOUBLE))`: DataFusion leaves casts out of names, and takes the two for one column.
//!
//! While names are made, a cast inside an aggregate or a function with OVER is inside a function that shows it; then the function goes
//! and the name stays.

use arrow::datatypes::DataType;
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Result, internal_err};
use datafusion_expr::expr::{Cast, Sort, TryCast};
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::planner::{ExprPlanner, PlannerResult, RawAggregateExpr, RawWindowExpr};
use datafusion_expr::{
    ColumnarValue, Expr, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion_optimizer::AnalyzerRule;
use eddyline_catalog::sql_type;

/// The value of a cast, with the cast in its name.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Shown {
    /// The type, or TRY_CAST and the type.
    target: String,
    signature: Signature,
}

const NAME: &str = "$cast";

impl ScalarUDFImpl for Shown {
    fn name(&self) -> &str {
        NAME
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let args: Vec<String> = args.iter().map(|e| e.schema_name().to_string()).collect();
        Ok(format!("CAST({} AS {})", args.join(", "), self.target))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [one] => Ok(one.clone()),
            _ => internal_err!("a cast has one argument"),
        }
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.pop() {
            Some(value) => Ok(value),
            None => internal_err!("a cast has one argument"),
        }
    }
}

/// The expression with its casts shown.
fn shown(expr: Expr) -> Result<Expr> {
    let made = expr.transform_up(|e| {
        let target = match &e {
            Expr::Cast(Cast { expr, field }) if !is_constant(expr) => sql_type(field.data_type()),
            Expr::TryCast(TryCast { expr, field }) if !is_constant(expr) => {
                format!("TRY {}", sql_type(field.data_type()))
            }
            _ => return Ok(Transformed::no(e)),
        };
        let signature = Signature::any(1, Volatility::Immutable);
        Ok(Transformed::yes(ScalarUDF::from(Shown { target, signature }).call(vec![e])))
    });
    Ok(made?.data)
}

fn is_constant(expr: &Expr) -> bool {
    !expr.any_column_refs() && !expr.contains_outer()
}

fn all_shown(exprs: Vec<Expr>) -> Result<Vec<Expr>> {
    exprs.into_iter().map(shown).collect()
}

fn order_shown(keys: Vec<Sort>) -> Result<Vec<Sort>> {
    keys.into_iter().map(|k| Ok(Sort { expr: shown(k.expr)?, ..k })).collect()
}

/// Puts casts into the names of aggregates and functions with OVER.
#[derive(Debug)]
pub(super) struct ShowCasts;

impl ExprPlanner for ShowCasts {
    fn plan_aggregate(&self, mut raw: RawAggregateExpr) -> Result<PlannerResult<RawAggregateExpr>> {
        raw.args = all_shown(raw.args)?;
        raw.order_by = order_shown(raw.order_by)?;
        raw.filter = raw.filter.map(|f| shown(*f).map(Box::new)).transpose()?;
        Ok(PlannerResult::Original(raw))
    }

    fn plan_window(&self, mut raw: RawWindowExpr) -> Result<PlannerResult<RawWindowExpr>> {
        raw.args = all_shown(raw.args)?;
        raw.partition_by = all_shown(raw.partition_by)?;
        raw.order_by = order_shown(raw.order_by)?;
        raw.filter = raw.filter.map(|f| shown(*f).map(Box::new)).transpose()?;
        Ok(PlannerResult::Original(raw))
    }
}

/// Takes what shows casts away, and leaves the names.
#[derive(Debug)]
pub(super) struct CastsAsTheyAre;

impl AnalyzerRule for CastsAsTheyAre {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let plain = |e: Expr| match e {
            Expr::ScalarFunction(mut f) if f.func.name() == NAME => match f.args.pop() {
                Some(cast) => Ok(Transformed::yes(cast)),
                None => internal_err!("a cast has one argument"),
            },
            other => Ok(Transformed::no(other)),
        };
        plan.transform_up_with_subqueries(|plan| {
            let preserver = NamePreserver::new(&plan);
            let made = plan.map_expressions(|e| {
                let name = preserver.save(&e);
                let made = e.transform_up(plain)?;
                Ok(if made.transformed { made.update_data(|e| name.restore(e)) } else { made })
            })?;
            match made.transformed {
                true => made.map_data(LogicalPlan::recompute_schema),
                false => Ok(made),
            }
        })
        .map(|t| t.data)
    }

    fn name(&self) -> &str {
        "casts_as_they_are"
    }
}
