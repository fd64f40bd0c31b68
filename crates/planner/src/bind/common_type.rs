//! The common type of numbers, where Flink's differs from DataFusion's: DataFusion prefers DECIMAL over floating point
//! where values are compared or chosen between, Flink prefers DOUBLE.
//!
//! | | and | is |
//! |---|---|---|
//! | DOUBLE | any number | DOUBLE |
//! | FLOAT | an integer | FLOAT |
//! | FLOAT | DECIMAL | DOUBLE |
//! | DECIMAL(p, s) | an integer | as with DECIMAL(3, 0), (5, 0), (10, 0), (19, 0) |
//! | DECIMAL(p1, s1) | DECIMAL(p2, s2) | digits before the point: the most of both, behind it: the most of both, 38 together |
//! | an integer | an integer | the wider |
//!
//! It holds for the branches of CASE and IF, COALESCE, IFNULL, GREATEST, LEAST, array literals, the columns of UNION and
//! VALUES; comparisons and arithmetic of floating point with DECIMAL are done in DOUBLE. Runs before coercion, which
//! does the rest.

use super::context::external;
use super::expressions::with_expressions;
use crate::SqlError;
use arrow::datatypes::DataType;
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, Result};
use datafusion_expr::expr::{Case, InList, ScalarFunction};
use datafusion_expr::expr_rewriter::coerce_plan_expr_for_schema;
use datafusion_expr::{Between, BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, Union, cast};
use datafusion_optimizer::AnalyzerRule;
use eddyline_catalog::sql_type;
use std::sync::Arc;

/// Casts numbers to their common type.
#[derive(Debug)]
pub(crate) struct CommonTypes;

impl AnalyzerRule for CommonTypes {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| {
            if let LogicalPlan::Union(inputs) = &plan {
                return union(inputs).map(|made| match made {
                    Some(made) => Transformed::yes(made),
                    None => Transformed::no(plan),
                });
            }
            with_expressions(plan, |e, schema| e.transform_up(|e| Ok(with_common_type(e, schema))))?
                .map_data(|p| if matches!(p, LogicalPlan::Values(_)) { Ok(p) } else { p.recompute_schema() })
        })
        .map(|t| t.data)
    }

    fn name(&self) -> &str {
        "common_types"
    }
}

/// The expression with its operands of one type, where they are numbers of several.
fn with_common_type(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    match &expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(*op) || computes(*op) => {
            match mixed([&**left, &**right], schema) {
                true => Transformed::yes(Expr::BinaryExpr(BinaryExpr::new(
                    Box::new(double(left, schema)),
                    *op,
                    Box::new(double(right, schema)),
                ))),
                false => Transformed::no(expr),
            }
        }
        Expr::Between(b) if mixed([&*b.expr, &*b.low, &*b.high], schema) => {
            let [value, low, high] = [&b.expr, &b.low, &b.high].map(|e| Box::new(double(e, schema)));
            Transformed::yes(Expr::Between(Between::new(value, b.negated, low, high)))
        }
        Expr::InList(i) if mixed(std::iter::once(&*i.expr).chain(&i.list), schema) => {
            let list = i.list.iter().map(|e| double(e, schema)).collect();
            Transformed::yes(Expr::InList(InList::new(Box::new(double(&i.expr, schema)), list, i.negated)))
        }
        Expr::Case(c) => case(c, schema).map_or_else(|| Transformed::no(expr), Transformed::yes),
        Expr::ScalarFunction(f) => match call(f, schema) {
            Some(made) => Transformed::yes(made),
            None => Transformed::no(expr),
        },
        _ => Transformed::no(expr),
    }
}

fn compares(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

fn computes(op: Operator) -> bool {
    matches!(op, Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo)
}

/// The types that are known; before coercion some are not.
fn types<'e>(exprs: impl IntoIterator<Item = &'e Expr>, schema: &DFSchema) -> Option<Vec<DataType>> {
    exprs.into_iter().map(|e| e.get_type(schema).ok()).collect()
}

/// Is floating point among the operands, and DECIMAL too?
fn mixed<'e>(exprs: impl IntoIterator<Item = &'e Expr>, schema: &DFSchema) -> bool {
    types(exprs, schema).is_some_and(|types| {
        types.iter().any(DataType::is_floating) && types.iter().any(|t| matches!(t, DataType::Decimal128(..)))
    })
}

fn double(expr: &Expr, schema: &DFSchema) -> Expr {
    into(expr, &DataType::Float64, schema)
}

fn into(expr: &Expr, to: &DataType, schema: &DFSchema) -> Expr {
    match expr.get_type(schema) {
        Ok(found) if found.is_numeric() && found != *to => cast(expr.clone(), to.clone()),
        _ => expr.clone(),
    }
}

fn case(case: &Case, schema: &DFSchema) -> Option<Expr> {
    let mut made = case.clone();
    let compared = || case.expr.iter().map(|e| &**e).chain(case.when_then_expr.iter().map(|(when, _)| &**when));
    let compares_mixed = case.expr.is_some() && mixed(compared(), schema);
    if compares_mixed {
        made.expr = made.expr.map(|e| Box::new(double(&e, schema)));
        made.when_then_expr.iter_mut().for_each(|(when, _)| **when = double(when, schema));
    }
    let results = case.when_then_expr.iter().map(|(_, then)| &**then).chain(case.else_expr.iter().map(|e| &**e));
    let common = types(results, schema).and_then(|t| numeric(&t));
    if let Some(to) = &common {
        made.when_then_expr.iter_mut().for_each(|(_, then)| **then = into(then, to, schema));
        made.else_expr = made.else_expr.map(|e| Box::new(into(&e, to, schema)));
    }
    (compares_mixed || common.is_some()).then_some(Expr::Case(made))
}

fn call(function: &ScalarFunction, schema: &DFSchema) -> Option<Expr> {
    let name = function.name();
    if name == "nullif" {
        return null_if(&function.args, schema);
    }
    let first = match name {
        "coalesce" | "nvl" | "greatest" | "least" | "make_array" => 0,
        "if" => 1,
        _ => return None,
    };
    let same = function.args.get(first..)?;
    let to = numeric(&types(same, schema)?)?;
    let kept = function.args[..first].iter().cloned();
    let args = kept.chain(same.iter().map(|e| into(e, &to, schema))).collect();
    Some(Expr::ScalarFunction(ScalarFunction::new_udf(function.func.clone(), args)))
}

/// `NULLIF(a, b)` is of the type of `a`, whatever the two are compared in.
fn null_if(args: &[Expr], schema: &DFSchema) -> Option<Expr> {
    let [value, other] = args else { return None };
    numeric(&types(args, schema)?)?;
    let equal = Expr::BinaryExpr(BinaryExpr::new(Box::new(value.clone()), Operator::Eq, Box::new(other.clone())));
    let equal = with_common_type(equal, schema).data;
    let null = cast(Expr::Literal(datafusion_common::ScalarValue::Null, None), value.get_type(schema).ok()?);
    let case = Case::new(None, vec![(Box::new(equal), Box::new(null))], Some(Box::new(value.clone())));
    Some(Expr::Case(case))
}

fn union(union: &Union) -> Result<Option<LogicalPlan>> {
    let width = union.schema.fields().len();
    if union.inputs.iter().any(|i| i.schema().fields().len() != width) {
        return Ok(None);
    }
    check_kinds(union)?;
    let column = |at: usize| union.inputs.iter().map(|i| i.schema().field(at).data_type().clone()).collect::<Vec<_>>();
    let wanted: Vec<Option<DataType>> = (0..width).map(|at| numeric(&column(at))).collect();
    if wanted.iter().all(Option::is_none) {
        return Ok(None);
    }
    let inputs = union.inputs.iter().map(|input| {
        let fields = input.schema().iter().zip(&wanted).map(|((qualifier, field), to)| match to {
            Some(to) if field.data_type().is_numeric() => {
                (qualifier.cloned(), Arc::new(field.as_ref().clone().with_data_type(to.clone())))
            }
            _ => (qualifier.cloned(), field.clone()),
        });
        let schema = DFSchema::new_with_metadata(fields.collect(), input.schema().metadata().clone())?;
        coerce_plan_expr_for_schema(input.as_ref().clone(), &schema).map(Arc::new)
    });
    let inputs = inputs.collect::<Result<Vec<_>>>()?;
    Ok(Some(LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?)))
}

/// Refuses texts beside numbers, which coercion would make texts of.
fn check_kinds(union: &Union) -> Result<()> {
    let is_text = |t: &DataType| matches!(t, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    for at in 0..union.schema.fields().len() {
        let types = union.inputs.iter().map(|i| i.schema().field(at).data_type()).filter(|t| **t != DataType::Null);
        let types: Vec<&DataType> = types.collect();
        let (texts, others): (Vec<&DataType>, Vec<&DataType>) = types.into_iter().partition(|t| is_text(t));
        let (Some(text), Some(other)) = (texts.first(), others.first()) else { continue };
        let name = union.schema.field(at).name();
        let message = format!("column {name} of a UNION is {} and {}", sql_type(other), sql_type(text));
        let error = SqlError::new(SqlError::DATATYPE_MISMATCH, message)
            .with_hint(format!("CAST one of them: CAST({name} AS STRING)"));
        return Err(external(error));
    }
    Ok(())
}

/// The common type of numbers of several types; `None` where there is one type only, or something else than numbers.
pub(super) fn numeric(types: &[DataType]) -> Option<DataType> {
    let mut known = types.iter().filter(|t| **t != DataType::Null);
    let first = known.next()?.clone();
    let mut several = false;
    let common = known.try_fold(first, |a, b| {
        several |= a != *b;
        common(&a, b)
    })?;
    several.then_some(common)
}

fn common(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{Decimal128, Float32, Float64};
    Some(match (a, b) {
        _ if a == b => a.clone(),
        (Float64, n) | (n, Float64) if is_number(n) => Float64,
        (Float32, Decimal128(..)) | (Decimal128(..), Float32) => Float64,
        (Float32, n) | (n, Float32) if n.is_signed_integer() => Float32,
        _ if a.is_signed_integer() && b.is_signed_integer() => {
            if a.primitive_width() > b.primitive_width() {
                a.clone()
            } else {
                b.clone()
            }
        }
        _ => wider(decimal(a)?, decimal(b)?),
    })
}

fn is_number(t: &DataType) -> bool {
    matches!(t, DataType::Decimal128(..) | DataType::Float32 | DataType::Float64) || t.is_signed_integer()
}

fn decimal(t: &DataType) -> Option<(u8, i8)> {
    Some(match t {
        DataType::Decimal128(p, s) => (*p, *s),
        DataType::Int8 => (3, 0),
        DataType::Int16 => (5, 0),
        DataType::Int32 => (10, 0),
        DataType::Int64 => (19, 0),
        _ => return None,
    })
}

fn wider((p1, s1): (u8, i8), (p2, s2): (u8, i8)) -> DataType {
    let before = (i16::from(p1) - i16::from(s1)).max(i16::from(p2) - i16::from(s2)).min(38);
    let behind = i16::from(s1.max(s2)).min(38 - before);
    DataType::Decimal128((before + behind) as u8, behind as i8)
}
