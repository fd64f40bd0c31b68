//! Comparisons for which NULL is equal to NULL, as keys of joins.
//!
//! DataFusion's joins say of all their keys together whether NULL is equal to NULL, and its rules add keys to a join, and merge joins,
//! without looking at that. So `l IS NOT DISTINCT FROM r` is an equality like any other while they run, of what is never NULL: [`NAME`]`(l) =
//! `[`NAME`]`(r)`, where the function gives whether there is a value, and the value. Those that became keys are told by
//! [`value_of`]; the others are put back.

use arrow::array::{Array, BooleanArray, StructArray};
use arrow::datatypes::{DataType, Field, Fields};
use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion_common::{NullEquality, Result, internal_err};
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::{
    BinaryExpr, ColumnarValue, Expr, LogicalPlan, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

const NAME: &str = "$nullable";

/// A value as one that is never NULL.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Nullable {
    signature: Signature,
}

fn fields(value: &DataType) -> Fields {
    [Field::new("is_there", DataType::Boolean, false), Field::new("value", value.clone(), true)].into_iter().collect()
}

impl ScalarUDFImpl for Nullable {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [one] => Ok(DataType::Struct(fields(one))),
            _ => internal_err!("{NAME} has one argument"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<Arc<Field>> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|f| f.data_type().clone()).collect();
        Ok(Arc::new(Field::new(NAME, self.return_type(&types)?, false)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(value) = args.args.into_iter().next() else { return internal_err!("{NAME} has one argument") };
        let value = value.into_array(args.number_rows)?;
        let is_there: BooleanArray = (0..value.len()).map(|row| Some(value.is_valid(row))).collect();
        let made = StructArray::try_new(fields(value.data_type()), vec![Arc::new(is_there), value], None)?;
        Ok(ColumnarValue::Array(Arc::new(made)))
    }
}

/// True where the two are equal, or both NULL.
pub(super) fn alike(left: Expr, right: Expr) -> Expr {
    let nullable = ScalarUDF::from(Nullable { signature: Signature::any(1, Volatility::Immutable) });
    nullable.call(vec![left]).eq(nullable.call(vec![right]))
}

/// The value whose NULL is equal to NULL, of the key of a join.
pub(crate) fn value_of(key: &Expr) -> Option<&Expr> {
    match key {
        Expr::ScalarFunction(call) if call.func.name() == NAME => call.args.first(),
        _ => None,
    }
}

/// The plan with equalities in the place of `IS NOT DISTINCT FROM`, where it may become the key of a join.
pub(super) fn made_equal(plan: LogicalPlan) -> Result<LogicalPlan> {
    everywhere(plan, &|e| match e {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::IsNotDistinctFrom, right }) => {
            Transformed::yes(alike(*left, *right))
        }
        other => Transformed::no(other),
    })
}

/// The plan with `IS NOT DISTINCT FROM` in the place of equalities that did not become keys, and of those that are all keys of a join.
pub(super) fn put_back(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = everywhere(plan, &|e| {
        if let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = &e
            && let (Some(left), Some(right)) = (value_of(left), value_of(right))
        {
            return Transformed::yes(super::dependent::not_distinct(left.clone(), right.clone()));
        }
        Transformed::no(e)
    })?;
    plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::Join(mut join) = node else { return Ok(Transformed::no(node)) };
        let values = join.on.iter().map(|(l, r)| Some((value_of(l)?.clone(), value_of(r)?.clone())));
        Ok(match values.collect::<Option<Vec<_>>>() {
            Some(values) if !values.is_empty() => {
                (join.on, join.null_equality) = (values, NullEquality::NullEqualsNull);
                Transformed::yes(LogicalPlan::Join(join))
            }
            _ => Transformed::no(LogicalPlan::Join(join)),
        })
    })
    .data()
}

/// Conditions of filters and joins, changed.
fn everywhere(plan: LogicalPlan, change: &dyn Fn(Expr) -> Transformed<Expr>) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| {
        if !matches!(node, LogicalPlan::Filter(_) | LogicalPlan::Join(_)) {
            return Ok(Transformed::no(node));
        }
        let preserver = NamePreserver::new(&node);
        node.map_expressions(|e| {
            let name = preserver.save(&e);
            Ok(e.transform_up(|e| Ok(change(e)))?.update_data(|e| name.restore(e)))
        })
    })
    .data()
}
