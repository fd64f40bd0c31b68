//! JSONB where a text is wanted is its text.
//!
//! JSONB is `LargeUtf8`, which functions of texts take too, and of which they would make `LargeUtf8`: texts that claim to be JSON.

use super::expressions::with_expressions;
use arrow::datatypes::DataType;
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, Result};
use datafusion_expr::{Expr, ExprSchemable, LogicalPlan, Operator, cast};
use datafusion_optimizer::AnalyzerRule;

/// Casts JSONB to STRING for `||`, LIKE and functions of texts. Runs before coercion, which would read the other texts as JSON.
#[derive(Debug)]
pub(super) struct JsonbAsText;

impl AnalyzerRule for JsonbAsText {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| with_expressions(plan, rewritten)?.map_data(|p| p.recompute_schema()))
            .map(|t| t.data)
    }

    fn name(&self) -> &str {
        "jsonb_as_text"
    }
}

/// Functions that take values of any type as they are, beside those of arrays and of JSON.
const OF_ANYTHING: [&str; 16] = [
    "cardinality",
    "coalesce",
    "equals_any",
    "get_field",
    "greatest",
    "if",
    "least",
    "make_array",
    "map",
    "named_struct",
    "nullif",
    "num_nonnulls",
    "num_nulls",
    "nvl",
    "struct",
    "typeof",
];

fn takes_jsonb(function: &str) -> bool {
    let families = ["array", "json", "list", "to_json"];
    OF_ANYTHING.contains(&function) || families.iter().any(|family| function.starts_with(family))
}

fn rewritten(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let mut any = false;
    let mut as_text = |value: &mut Expr| {
        if value.get_type(schema).is_ok_and(|of| of == DataType::LargeUtf8) {
            *value = cast(std::mem::take(value), DataType::Utf8);
            any = true;
        }
    };
    let found = expr.transform_up(|mut expr| {
        match &mut expr {
            Expr::BinaryExpr(pair) if pair.op == Operator::StringConcat => {
                as_text(&mut pair.left);
                as_text(&mut pair.right);
            }
            Expr::Like(like) | Expr::SimilarTo(like) => {
                as_text(&mut like.expr);
                as_text(&mut like.pattern);
            }
            Expr::ScalarFunction(call) if !takes_jsonb(call.name()) => call.args.iter_mut().for_each(&mut as_text),
            _ => {}
        }
        Ok(Transformed::no(expr))
    })?;
    Ok(if any { Transformed::yes(found.data) } else { found })
}
