use arrow::datatypes::DataType;
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, Result, ScalarValue};
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder};
use datafusion_optimizer::AnalyzerRule;

/// Integer literals are INT where they fit, as the standard says; DataFusion makes all of them BIGINT. Runs before
/// coercion, so that `int_column + 1` stays INT.
#[derive(Debug)]
pub(crate) struct IntegerLiterals;

impl AnalyzerRule for IntegerLiterals {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| match plan {
            // LIMIT and OFFSET are BIGINT.
            LogicalPlan::Limit(_) => Ok(Transformed::no(plan)),
            LogicalPlan::Values(values) => {
                let names: Vec<_> = values.schema.columns();
                let rows = values
                    .values
                    .into_iter()
                    .map(|row| row.into_iter().map(|e| narrow(untyped_null(e)).map(|t| t.data)).collect())
                    .collect::<Result<Vec<Vec<Expr>>>>()?;
                let plan = LogicalPlanBuilder::values(with_floats(rows)?)?.build()?;
                let same = plan.schema().columns() == names;
                debug_assert!(same, "VALUES name their columns by position");
                Ok(Transformed::yes(plan))
            }
            plan => {
                let preserver = NamePreserver::new(&plan);
                plan.map_expressions(|e| {
                    let name = preserver.save(&e);
                    Ok(narrow(e)?.update_data(|e| name.restore(e)))
                })?
                .map_data(|p| p.recompute_schema())
            }
        })
        .map(|t| t.data)
    }

    fn name(&self) -> &str {
        "integer_literals"
    }
}

/// Columns of VALUES with floating point and DECIMAL are DOUBLE. The binder has cast them to a DECIMAL, row by row.
fn with_floats(mut rows: Vec<Vec<Expr>>) -> Result<Vec<Vec<Expr>>> {
    let schema = DFSchema::empty();
    for at in 0..rows.first().map_or(0, Vec::len) {
        let given = |row: &[Expr]| match &row[at] {
            Expr::Cast(cast) if matches!(cast.field.data_type(), DataType::Decimal128(..)) => {
                cast.expr.as_ref().clone()
            }
            other => other.clone(),
        };
        let floats: Vec<bool> =
            rows.iter().map(|row| Ok(given(row).get_type(&schema)?.is_floating())).collect::<Result<_>>()?;
        // Where all rows are such casts, somebody has written them.
        if floats.iter().all(|f| *f) || !floats.iter().any(|f| *f) {
            continue;
        }
        for row in &mut rows {
            let value = given(row);
            row[at] = match value.get_type(&schema)? {
                DataType::Null => value,
                found if found.is_numeric() => value.cast_to(&DataType::Float64, &schema)?,
                _ => continue,
            };
        }
    }
    Ok(rows)
}

/// A NULL among VALUES, which the binder has given the type of the wider literals beside it.
fn untyped_null(expr: Expr) -> Expr {
    match expr {
        Expr::Literal(value, metadata) if value.is_null() => Expr::Literal(ScalarValue::Null, metadata),
        other => other,
    }
}

fn narrow(expr: Expr) -> Result<Transformed<Expr>> {
    expr.transform_up(|e| {
        Ok(match e {
            Expr::Literal(ScalarValue::Int64(Some(v)), metadata) => match i32::try_from(v) {
                Ok(v) => Transformed::yes(Expr::Literal(ScalarValue::Int32(Some(v)), metadata)),
                Err(_) => Transformed::no(Expr::Literal(ScalarValue::Int64(Some(v)), metadata)),
            },
            e => Transformed::no(e),
        })
    })
}
