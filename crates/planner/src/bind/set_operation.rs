//! INTERSECT ALL and EXCEPT ALL. The binder makes joins of them, as of INTERSECT and EXCEPT, which do not mind copies.

use super::common_type::numeric;
use crate::SqlError;
use arrow::datatypes::Field;
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::Transformed;
use datafusion_common::{DFSchema, DFSchemaRef, DataFusionError, JoinType, NullEquality, Result, plan_err};
use datafusion_expr::expr_rewriter::coerce_plan_expr_for_schema;
use datafusion_expr::type_coercion::binary::type_union_coercion;
use datafusion_expr::{Distinct, Expr, Extension, Join, LogicalPlan, LogicalPlanBuilder, UserDefinedLogicalNodeCore};
use datafusion_optimizer::AnalyzerRule;
use eddyline_plan::SetOperation;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A set operation that minds copies. The columns are those of the left input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetOperationAll {
    left: Arc<LogicalPlan>,
    right: Arc<LogicalPlan>,
    operation: SetOperation,
    schema: DFSchemaRef,
}

impl SetOperationAll {
    /// Over inputs of the same number of columns, in the types that they have in common.
    fn try_new(left: &LogicalPlan, right: &LogicalPlan, operation: SetOperation) -> Result<Self> {
        let fields = left.schema().iter().zip(right.schema().fields()).map(|((qualifier, l), r)| {
            let (lt, rt) = (l.data_type(), r.data_type());
            let common = if lt == rt { Some(lt.clone()) } else { numeric(&[lt.clone(), rt.clone()]) };
            let common = common.or_else(|| type_union_coercion(lt, rt)).ok_or_else(|| {
                let message = format!("{} compares {lt} with {rt} (column {})", operation.name(), l.name());
                let error = SqlError::new(SqlError::DATATYPE_MISMATCH, message);
                DataFusionError::External(Box::new(error.with_hint("CAST one of the two to the type of the other")))
            })?;
            Ok((qualifier.cloned(), Arc::new(Field::new(l.name(), common, l.is_nullable()))))
        });
        let schema = DFSchema::new_with_metadata(fields.collect::<Result<Vec<_>>>()?, Default::default())?;
        let cast = |input: &LogicalPlan| coerce_plan_expr_for_schema(input.clone(), &schema).map(Arc::new);
        Ok(Self { left: cast(left)?, right: cast(right)?, operation, schema: Arc::new(schema) })
    }

    /// The left and the right input, of the same types.
    pub fn inputs(&self) -> [&LogicalPlan; 2] {
        [&self.left, &self.right]
    }

    /// What is done with the copies.
    pub fn operation(&self) -> SetOperation {
        self.operation
    }
}

impl Hash for SetOperationAll {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.left, &self.right, self.operation).hash(state);
    }
}

impl PartialOrd for SetOperationAll {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        if self == other { Some(Ordering::Equal) } else { None }
    }
}

impl UserDefinedLogicalNodeCore for SetOperationAll {
    fn name(&self) -> &str {
        "SetOperationAll"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.left, &self.right]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![]
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SetOperationAll: {}", self.operation.name())
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let [left, right] = inputs.as_slice() else { return plan_err!("a set operation has two inputs") };
        let made = Self::try_new(left, right, self.operation)?;
        // Whatever became of the left input, the columns are called as before. Those after them are new.
        let names = self.schema.iter().chain(made.schema.iter().skip(self.schema.fields().len()));
        let fields = names.zip(made.schema.fields()).map(|((qualifier, named), new)| {
            (qualifier.cloned(), Arc::new(new.as_ref().clone().with_name(named.name())))
        });
        let schema = Arc::new(DFSchema::new_with_metadata(fields.collect(), Default::default())?);
        Ok(Self { schema, ..made })
    }
}

/// Tells INTERSECT ALL and EXCEPT ALL from other joins: semi and anti joins for which NULL equals NULL. Where the left
/// has no copies, ALL means nothing.
#[derive(Debug)]
pub(super) struct SetOperationsAll;

impl AnalyzerRule for SetOperationsAll {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| {
            let LogicalPlan::Join(join) = &plan else { return Ok(Transformed::no(plan)) };
            let Some(operation) = operation_of(join) else { return Ok(Transformed::no(plan)) };
            let node = SetOperationAll::try_new(&join.left, &join.right, operation)?;
            let columns: Vec<Expr> = node.schema.columns().into_iter().map(Expr::Column).collect();
            let made = LogicalPlan::Extension(Extension { node: Arc::new(node) });
            // The optimizer asks a subquery of IN for its expression.
            Ok(Transformed::yes(LogicalPlanBuilder::from(made).project(columns)?.build()?))
        })
        .map(|t| t.data)
    }

    fn name(&self) -> &str {
        "set_operations_all"
    }
}

fn operation_of(join: &Join) -> Option<SetOperation> {
    let of_copies = join.null_equality == NullEquality::NullEqualsNull
        && !matches!(join.left.as_ref(), LogicalPlan::Distinct(Distinct::All(_)));
    match join.join_type {
        JoinType::LeftSemi if of_copies => Some(SetOperation::IntersectAll),
        JoinType::LeftAnti if of_copies => Some(SetOperation::ExceptAll),
        _ => None,
    }
}
