//! Spellings of aggregates, before binding: one name for each, and clauses that become others.
//!
//! | written | bound as |
//! |---|---|
//! | `EVERY(c)` | `BOOL_AND(c)` |
//! | `VARIANCE(x)`, `VAR_SAMP(x)`; `STDDEV_SAMP(x)` | `var(x)`; `stddev(x)` |
//! | `MEDIAN(x)`; `PERCENTILE(x, p)` | `percentile_cont(x, 0.5)`; `percentile_cont(x, p)` |
//! | `APPROX_COUNT_DISTINCT(x)` | `COUNT(DISTINCT x)`: exact |
//! | `LISTAGG(x [, s]) [WITHIN GROUP (ORDER BY y)]` | `string_agg(x, s ORDER BY y)`, `s` a comma by default |
//! | `FIRST_VALUE(x)`, `LAST_VALUE(x)`, `ARRAY_AGG(x) IGNORE NULLS` | the same with `FILTER (WHERE x IS NOT NULL)` |
//! | `FIRST_VALUE(x) OVER …`, `LAST_VALUE(x) OVER …` | the same with `IGNORE NULLS`, as Flink has it |
//! | `GROUPING(x)`, `GROUPING_ID(x, y)` | `CAST(grouping(…) AS BIGINT)` |

use sqlparser::ast::{
    BinaryOperator, CastKind, DataType, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArgumentList, FunctionArguments, NullTreatment, ObjectNamePart, Value,
};

/// Rewrites one expression, where it is such an aggregate.
pub(super) fn rewrite(expr: &mut Expr) {
    let Expr::Function(function) = expr else { return };
    let [ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else { return };
    let name = name.value.to_ascii_uppercase();
    match name.as_str() {
        "EVERY" => rename(function, "bool_and"),
        "VARIANCE" | "VAR_SAMP" => rename(function, "var"),
        "STDDEV_SAMP" => rename(function, "stddev"),
        "PERCENTILE" => rename(function, "percentile_cont"),
        "MEDIAN" => {
            rename(function, "percentile_cont");
            push_argument(function, 1, Value::Number("0.5".into(), false));
        }
        "APPROX_COUNT_DISTINCT" => {
            rename(function, "count");
            if let Some(list) = arguments(function) {
                list.duplicate_treatment = Some(DuplicateTreatment::Distinct);
            }
        }
        "LISTAGG" | "STRING_AGG" => {
            rename(function, "string_agg");
            push_argument(function, 1, Value::SingleQuotedString(",".into()));
            order_inside(function);
        }
        "ARRAY_AGG" => {
            order_inside(function);
            if take_null_treatment(function) == Some(NullTreatment::IgnoreNulls) {
                leave_nulls_out(function);
            }
        }
        "FIRST_VALUE" | "LAST_VALUE" | "NTH_VALUE" | "LAG" | "LEAD" if function.over.is_some() => {
            let ignored_by_default = matches!(name.as_str(), "FIRST_VALUE" | "LAST_VALUE");
            let default = if ignored_by_default { NullTreatment::IgnoreNulls } else { NullTreatment::RespectNulls };
            function.null_treatment = Some(take_null_treatment(function).unwrap_or(default));
        }
        "FIRST_VALUE" | "LAST_VALUE" => {
            order_inside(function);
            if take_null_treatment(function) != Some(NullTreatment::RespectNulls) {
                leave_nulls_out(function);
            }
        }
        "GROUPING" | "GROUPING_ID" => {
            rename(function, "grouping");
            *expr = Expr::Cast {
                kind: CastKind::Cast,
                expr: Box::new(expr.clone()),
                data_type: DataType::BigInt(None),
                array: false,
                format: None,
            };
        }
        _ => {}
    }
}

/// Another name at the same place of the text.
fn rename(function: &mut Function, to: &str) {
    if let [ObjectNamePart::Identifier(name)] = function.name.0.as_mut_slice() {
        name.value = to.to_owned();
    }
}

fn arguments(function: &mut Function) -> Option<&mut FunctionArgumentList> {
    match &mut function.args {
        FunctionArguments::List(list) => Some(list),
        _ => None,
    }
}

/// Adds an argument to a call that has `count` of them.
fn push_argument(function: &mut Function, count: usize, value: Value) {
    if let Some(list) = arguments(function).filter(|list| list.args.len() == count) {
        list.args.push(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value.into()))));
    }
}

/// `WITHIN GROUP (ORDER BY y)` is an ORDER BY inside the brackets.
fn order_inside(function: &mut Function) {
    let order = std::mem::take(&mut function.within_group);
    if order.is_empty() {
        return;
    }
    match arguments(function) {
        Some(list) => list.clauses.push(FunctionArgumentClause::OrderBy(order)),
        None => function.within_group = order,
    }
}

/// IGNORE NULLS or RESPECT NULLS, inside or after the brackets, taken out.
fn take_null_treatment(function: &mut Function) -> Option<NullTreatment> {
    let after = function.null_treatment.take();
    let list = arguments(function)?;
    let at = list.clauses.iter().position(|c| matches!(c, FunctionArgumentClause::IgnoreOrRespectNulls(_)));
    match at.map(|at| list.clauses.remove(at)) {
        Some(FunctionArgumentClause::IgnoreOrRespectNulls(inside)) => Some(inside),
        _ => after,
    }
}

fn leave_nulls_out(function: &mut Function) {
    let first = arguments(function).and_then(|list| list.args.first());
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(value))) = first else { return };
    let there = Expr::IsNotNull(Box::new(value.clone()));
    function.filter = Some(Box::new(match function.filter.take() {
        None => there,
        Some(filter) => {
            let (left, right) = (Box::new(there), Box::new(Expr::Nested(filter)));
            Expr::BinaryOp { left, op: BinaryOperator::And, right }
        }
    }));
}
