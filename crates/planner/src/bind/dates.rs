use super::expressions::with_expressions;
use arrow::datatypes::{DataType, TimeUnit};
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, Result, ScalarValue};
use datafusion_expr::expr::Cast;
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator};
use datafusion_optimizer::AnalyzerRule;

/// A DATE and an interval with hours make a TIMESTAMP(3), as TIMESTAMPADD does; Arrow would drop the hours. Runs before
/// coercion.
#[derive(Debug)]
pub(crate) struct DatesWithHours;

impl AnalyzerRule for DatesWithHours {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| {
            let schema = merge_schema(&plan.inputs());
            if let LogicalPlan::Values(values) = &plan {
                let mut any = false;
                let mut row = |row: &Vec<Expr>| -> Result<Vec<Expr>> {
                    let cells = row.iter().map(|e| rewritten(e.clone(), &schema));
                    let cells = cells.map(|e| e.map(|e| (any |= e.transformed, e.data).1));
                    cells.collect()
                };
                let rows = values.values.iter().map(&mut row).collect::<Result<Vec<_>>>()?;
                return match any {
                    true => Ok(Transformed::yes(LogicalPlanBuilder::values(rows)?.build()?)),
                    false => Ok(Transformed::no(plan)),
                };
            }
            let changed = with_expressions(plan, rewritten)?;
            match changed.transformed {
                true => changed.map_data(|p| p.recompute_schema()),
                false => Ok(changed),
            }
        })
        .map(|t| t.data)
    }

    fn name(&self) -> &str {
        "dates_with_hours"
    }
}

fn rewritten(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    expr.transform_up(|e| {
        let Expr::BinaryExpr(mut sum) = e else { return Ok(Transformed::no(e)) };
        let is_date = |e: &Expr| e.get_type(schema).is_ok_and(|t| t == DataType::Date32);
        let has_hours = |e: &Expr| matches!(e.get_type(schema), Ok(DataType::Interval(_))) && !is_of_days(e);
        let date = match sum.op {
            Operator::Plus | Operator::Minus if is_date(&sum.left) && has_hours(&sum.right) => &mut sum.left,
            Operator::Plus if has_hours(&sum.left) && is_date(&sum.right) => &mut sum.right,
            _ => return Ok(Transformed::no(Expr::BinaryExpr(sum))),
        };
        let midnight = DataType::Timestamp(TimeUnit::Millisecond, None);
        **date = Expr::Cast(Cast::new(date.clone(), midnight));
        Ok(Transformed::yes(Expr::BinaryExpr(sum)))
    })
}

/// True for intervals that are written out and have days, months and years alone.
fn is_of_days(interval: &Expr) -> bool {
    let (mut written, mut days) = (false, true);
    let looked = interval.apply(|e| {
        match e {
            Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(v)), _) => {
                written = true;
                days &= v.nanoseconds == 0;
            }
            Expr::Column(_) => days = false,
            _ => {}
        }
        Ok(datafusion_common::tree_node::TreeNodeRecursion::Continue)
    });
    looked.is_ok() && written && days
}
