//! Casts that mean something else in SQL than in Arrow, at the level of queries (`checked` has those of computing).
//!
//! | cast | here |
//! |---|---|
//! | BOOLEAN, FLOAT, DOUBLE, BYTES, TIME, TIMESTAMP, INTERVAL, ARRAY, MAP, ROW to STRING | the text that SQL has for the value |
//! | STRING to an integer | blanks around and digits behind the point do not count: `' 4.7'` is 4 |
//! | STRING to JSONB, JSONB to numbers and BOOLEAN | an error where it is no JSON, or JSON of another type |
//! | ROW to ROW | field by field, in their order, whatever their names |
//! | numbers to times and back | refused, as Flink refuses them |

use super::context::external;
use super::expressions::with_expressions;
use crate::SqlError;
use arrow::datatypes::{DataType, Fields};
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{DFSchema, Result, ScalarValue};
use datafusion_expr::expr::{Case, Cast};
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{Expr, ExprSchemable, LogicalPlan, ScalarUDF};
use datafusion_optimizer::AnalyzerRule;
use eddyline_catalog::sql_type;
use eddyline_functions::scalar::{Zone, jsonb_as, read_postgres_text};
use std::sync::Arc;

/// Refuses casts between numbers and times. Runs before coercion, whose casts are no concern of the user's.
#[derive(Debug)]
pub(crate) struct RefusedCasts;

impl AnalyzerRule for RefusedCasts {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.apply_with_subqueries(|plan| {
            let schema = merge_schema(&plan.inputs());
            plan.apply_expressions(|e| {
                e.apply(|e| {
                    if let Expr::Cast(Cast { expr, field }) = e
                        && let Ok(from) = expr.get_type(&schema)
                    {
                        check(&from, field.data_type())?;
                    }
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })?;
        Ok(plan)
    }

    fn name(&self) -> &str {
        "refused_casts"
    }
}

fn check(from: &DataType, to: &DataType) -> Result<()> {
    let is_time = |t: &DataType| {
        matches!(t, DataType::Timestamp(..) | DataType::Date32 | DataType::Time32(_) | DataType::Time64(_))
    };
    let hint = match (from, to) {
        (from, to) if is_time(from) && to.is_numeric() => {
            "write EXTRACT(EPOCH FROM time) for seconds, or TIMESTAMPDIFF(unit, from, to)"
        }
        (from, to) if from.is_numeric() && is_time(to) => {
            "write TO_TIMESTAMP_LTZ(number, 0) for seconds, TO_TIMESTAMP_LTZ(number, 3) for milliseconds"
        }
        _ => return Ok(()),
    };
    let message = format!("CAST of {} to {} is not supported", sql_type(from), sql_type(to));
    Err(external(SqlError::new(SqlError::DATATYPE_MISMATCH, message).with_hint(hint)))
}

/// Gives casts SQL's meaning. Runs after coercion: `'a' || TRUE` has a cast too.
#[derive(Debug)]
pub(crate) struct SqlCasts {
    /// Makes the text of a value.
    pub(crate) text_form: Arc<ScalarUDF>,
    /// Makes the text of an integer of that of a number.
    pub(crate) whole_part: Arc<ScalarUDF>,
    /// Texts are read as Postgres reads them, in this time zone.
    pub(crate) of_postgres: Option<Zone>,
}

impl AnalyzerRule for SqlCasts {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| {
            with_expressions(plan, |e, schema| self.rewritten(e, schema))?.map_data(|p| p.recompute_schema())
        })
        .map(|t| t.data)
    }

    fn name(&self) -> &str {
        "sql_casts"
    }
}

impl SqlCasts {
    fn is_whole_part(&self, expr: &Expr) -> bool {
        matches!(expr, Expr::ScalarFunction(f) if f.func == self.whole_part)
    }

    /// What reads texts and JSONB as values of a type, where that is another meaning than Arrow's.
    fn reader(&self, from: &DataType, to: &DataType, tries: bool) -> Result<Option<ScalarUDF>> {
        let zone = self.of_postgres.unwrap_or_else(Zone::utc);
        let is_to_jsonb = *to == DataType::LargeUtf8;
        match from {
            DataType::Utf8 if is_to_jsonb && tries => Err(external(
                SqlError::new(SqlError::UNSUPPORTED, "TRY_CAST to JSONB")
                    .with_hint("write CASE WHEN text IS JSON THEN CAST(text AS JSONB) END"),
            )),
            DataType::Utf8 if is_to_jsonb || self.of_postgres.is_some() && !tries => Ok(read_postgres_text(to, zone)),
            DataType::LargeUtf8 if *to != DataType::Utf8 && !is_to_jsonb => Ok(jsonb_as(to)),
            DataType::List(item) if *item.data_type() == DataType::Utf8 && is_list_of_jsonb(to) => Err(external(
                SqlError::new(SqlError::UNSUPPORTED, "CAST of an ARRAY of STRING to one of JSONB")
                    .with_hint("cast the elements: ARRAY[a::jsonb, b::jsonb]"),
            )),
            _ => Ok(None),
        }
    }

    fn rewritten(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        expr.transform_up(|e| {
            let (inner, to, tries) = match &e {
                Expr::Cast(cast) => (&cast.expr, cast.field.data_type(), false),
                Expr::TryCast(cast) => (&cast.expr, cast.field.data_type(), true),
                _ => return Ok(Transformed::no(e)),
            };
            let from = inner.get_type(schema)?;
            if let Some(reader) = self.reader(&from, to, tries)? {
                return Ok(Transformed::yes(reader.call(vec![inner.as_ref().clone()])));
            }
            Ok(match (&from, to) {
                (DataType::Utf8, to) if to.is_integer() && !self.is_whole_part(inner) => {
                    let inner = Box::new(self.whole_part.call(vec![inner.as_ref().clone()]));
                    Transformed::yes(match tries {
                        true => Expr::TryCast(datafusion_expr::TryCast::new(inner, to.clone())),
                        false => Expr::Cast(Cast::new(inner, to.clone())),
                    })
                }
                (from, DataType::Utf8) if has_text_of_its_own(from) => {
                    Transformed::yes(self.text_form.call(vec![inner.as_ref().clone()]))
                }
                (DataType::Struct(from), DataType::Struct(to)) if from != to && from.len() == to.len() => {
                    let rebuilt = field_by_field(inner, from, to, tries)?;
                    // The fields may be casts that mean something else, too.
                    self.rewritten(rebuilt, schema)?
                }
                _ => Transformed::no(e),
            })
        })
    }
}

fn is_list_of_jsonb(to: &DataType) -> bool {
    matches!(to, DataType::List(item) if *item.data_type() == DataType::LargeUtf8)
}

fn has_text_of_its_own(from: &DataType) -> bool {
    from.is_floating()
        || from.is_nested()
        || from.is_temporal() && *from != DataType::Date32
        || matches!(from, DataType::Boolean | DataType::Binary)
}

/// A row of the fields of a row, each cast to the type in its place; NULL for NULL.
fn field_by_field(row: &Expr, from: &Fields, to: &Fields, tries: bool) -> Result<Expr> {
    let name = |n: &str| Expr::Literal(ScalarValue::Utf8(Some(n.to_owned())), None);
    let mut parts = Vec::with_capacity(to.len() * 2);
    for (from, to) in from.iter().zip(to) {
        let value = datafusion_functions::core::get_field().call(vec![row.clone(), name(from.name())]);
        let cast = match (from.data_type() == to.data_type(), tries) {
            (true, _) => value,
            (false, false) => Expr::Cast(Cast::new(Box::new(value), to.data_type().clone())),
            (false, true) => Expr::TryCast(datafusion_expr::TryCast::new(Box::new(value), to.data_type().clone())),
        };
        parts.extend([name(to.name()), cast]);
    }
    let made = datafusion_functions::core::named_struct().call(parts);
    let is_null = row.clone().is_null();
    let none = Expr::Literal(ScalarValue::Null, None);
    Ok(Expr::Case(Case::new(None, vec![(Box::new(is_null), Box::new(none))], Some(Box::new(made)))))
}
