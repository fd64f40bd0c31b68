use super::context::external;
use crate::SqlError;
use arrow::datatypes::DataType;
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::{Expr, ExprSchemable, LogicalPlan, Window, WindowFrameBound, WindowFrameUnits};
use datafusion_optimizer::AnalyzerRule;

/// Checks that the bounds of RANGE frames are distances in the values of their ORDER BY. Runs before coercion, which would
/// take the number 5 for five months.
#[derive(Debug)]
pub(crate) struct FrameDistances;

impl AnalyzerRule for FrameDistances {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.apply_with_subqueries(|p| {
            if let LogicalPlan::Window(window) = p {
                check(window)?;
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(plan)
    }

    fn name(&self) -> &str {
        "frame_distances"
    }
}

fn check(window: &Window) -> Result<()> {
    for expr in &window.window_expr {
        let Expr::WindowFunction(call) = expr.clone().unalias() else { continue };
        let frame = &call.params.window_frame;
        let (WindowFrameUnits::Range, Some(order)) = (frame.units, call.params.order_by.first()) else { continue };
        let data_type = order.expr.get_type(window.input.schema())?;
        for bound in [&frame.start_bound, &frame.end_bound] {
            if let WindowFrameBound::Preceding(by) | WindowFrameBound::Following(by) = bound
                && let ScalarValue::Utf8(Some(text)) = by
            {
                check_distance(text, &data_type).map_err(external)?;
            }
        }
    }
    Ok(())
}

fn check_distance(text: &str, order: &DataType) -> std::result::Result<(), SqlError> {
    let is_number = text.parse::<f64>().is_ok();
    let hint = match order {
        t if t.is_numeric() && is_number => return Ok(()),
        t if t.is_temporal() && !is_number => return Ok(()),
        t if t.is_numeric() => "write a number: RANGE BETWEEN 10 PRECEDING AND CURRENT ROW",
        t if t.is_temporal() => {
            "write an interval: RANGE BETWEEN INTERVAL '10' MINUTE PRECEDING AND CURRENT ROW; ROWS counts rows"
        }
        _ => "order by a number or a time, or count rows with ROWS",
    };
    let message = format!("{text} is not a distance in the ORDER BY of this RANGE");
    Err(SqlError::new(SqlError::DATATYPE_MISMATCH, message).with_hint(hint))
}
