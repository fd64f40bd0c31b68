//! Subqueries that stand for values: each has one row at most.
//!
//! Of some this is known from the plan ([`is_single`]): an aggregate without GROUP BY, LIMIT 1, and rows whose key is given, a PRIMARY KEY of a
//! table that the engine keeps or the columns of GROUP BY, by constants, by the query around, or by another table whose row is given. The
//! others are counted while they are read, [`ONLY_VALUE`] fails where they have several rows; what is kept up to date must not fail one day, so
//! there they are refused.

use crate::bind::CatalogTable;
use crate::{Planner, SqlError};
use arrow::datatypes::DataType;
use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion_common::{Column, DFSchema, DataFusionError, Result};
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::utils::split_conjunction;
use datafusion_expr::{
    BinaryExpr, Distinct, Expr, ExprSchemable, JoinType, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, TableScan,
};
use std::collections::BTreeSet;

/// Columns that have one value each.
type Given = BTreeSet<Column>;

/// The function that fails where an array has several elements.
const ONLY_VALUE: &str = "only_value";

impl Planner<'_> {
    /// The plan with subqueries in the place of values that have one row at most, or fail.
    ///
    /// # Errors
    /// A subquery that may have several rows, where that must not be found out later.
    pub(crate) fn with_single_values(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| {
            let preserver = NamePreserver::new(&node);
            node.map_expressions(|e| {
                let name = preserver.save(&e);
                let made = e.transform_up(|e| match e {
                    Expr::ScalarSubquery(subquery) => self.single(subquery),
                    other => Ok(Transformed::no(other)),
                });
                Ok(made?.update_data(|e| name.restore(e)))
            })
        })
        .data()
    }

    fn single(&self, subquery: Subquery) -> Result<Transformed<Expr>> {
        let is_told = subquery.subquery.max_rows().is_some_and(|rows| rows <= 1);
        if is_told || self.is_single(&subquery.subquery, &Given::new()) {
            // What refers to the query around must be an aggregate, of however few rows.
            if is_told || subquery.outer_ref_columns.is_empty() {
                return Ok(Transformed::no(Expr::ScalarSubquery(subquery)));
            }
            let value = self.aggregated("any_value", &subquery)?;
            return Ok(Transformed::yes(value));
        }
        if !self.counts_values {
            let error = SqlError::new(
                SqlError::UNSUPPORTED,
                "a subquery that stands for a value must have one row at most",
            )
            .with_hint("make it an aggregate without GROUP BY (MAX(x), COUNT(*), …), end it with ORDER BY … LIMIT 1, compare the PRIMARY KEY of its table, or join with it");
            return Err(DataFusionError::External(Box::new(error)));
        }
        let only = self.functions.scalar.get(ONLY_VALUE).ok_or_else(|| missing(ONLY_VALUE))?;
        Ok(Transformed::yes(only.call(vec![self.aggregated("array_agg", &subquery)?])))
    }

    /// An aggregate of the values of a subquery in its place.
    fn aggregated(&self, function: &str, subquery: &Subquery) -> Result<Expr> {
        let function = self.functions.aggregate.get(function).ok_or_else(|| missing(function))?;
        let plan = subquery.subquery.as_ref().clone();
        let (qualifier, field) = plan.schema().qualified_field(0);
        let name = field.name().clone();
        let value = function.call(vec![Expr::Column(Column::from((qualifier, field)))]).alias(name);
        let plan = LogicalPlanBuilder::from(plan).aggregate(Vec::<Expr>::new(), [value])?.build()?;
        Ok(Expr::ScalarSubquery(super::free::as_subquery(plan)))
    }

    /// Has the plan one row at most, where columns of it are given?
    fn is_single(&self, plan: &LogicalPlan, given: &Given) -> bool {
        if plan.max_rows().is_some_and(|rows| rows <= 1) {
            return true;
        }
        match plan {
            LogicalPlan::Filter(f) => {
                let mut given = given.clone();
                give(&mut given, &split_conjunction(&f.predicate), f.input.schema());
                self.is_single(&f.input, &given)
            }
            LogicalPlan::Projection(p) => {
                let columns = p.schema.columns();
                let outputs = columns.into_iter().zip(&p.expr);
                self.is_single(&p.input, &below(given, outputs))
            }
            LogicalPlan::SubqueryAlias(a) => {
                let inner: Vec<Expr> = a.input.schema().columns().into_iter().map(Expr::Column).collect();
                self.is_single(&a.input, &below(given, a.schema.columns().into_iter().zip(&inner)))
            }
            LogicalPlan::TableScan(scan) => self.is_single_row_of(scan, given),
            LogicalPlan::Aggregate(a) if !super::correlation::is_grouping_set(&a.group_expr) => {
                let keys: Vec<(Column, &Expr)> = a.schema.columns().into_iter().zip(&a.group_expr).collect();
                let is_given = |(column, key): &(Column, &Expr)| given.contains(column) || is_constant(key);
                keys.iter().all(is_given) || self.is_single(&a.input, &below(given, keys.into_iter()))
            }
            LogicalPlan::Distinct(Distinct::All(input)) => {
                input.schema().columns().iter().all(|c| given.contains(c)) || self.is_single(input, given)
            }
            LogicalPlan::Join(join) => {
                let conditions: Vec<Expr> = join.on.iter().map(|(l, r)| l.clone().eq(r.clone())).collect();
                let conditions: Vec<&Expr> =
                    conditions.iter().chain(join.filter.iter().flat_map(|f| split_conjunction(f))).collect();
                self.is_single_pair(join.join_type, [&join.left, &join.right], &conditions, given)
            }
            LogicalPlan::Sort(s) => self.is_single(&s.input, given),
            LogicalPlan::Window(w) => self.is_single(&w.input, given),
            LogicalPlan::Limit(l) => self.is_single(&l.input, given),
            LogicalPlan::Subquery(s) => self.is_single(&s.subquery, given),
            _ => false,
        }
    }

    /// One side has one row, and of the other one row matches it.
    fn is_single_pair(&self, kind: JoinType, sides: [&LogicalPlan; 2], conditions: &[&Expr], given: &Given) -> bool {
        let [left, right] = sides;
        match kind {
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => return self.is_single(left, given),
            JoinType::Inner | JoinType::Left => {}
            _ => return false,
        }
        // Conditions of a LEFT JOIN say nothing of the rows on the left.
        let mut of_both = given.clone();
        if kind == JoinType::Inner {
            give(&mut of_both, conditions, left.schema());
            give(&mut of_both, conditions, right.schema());
        }
        let matches = |one: &LogicalPlan, other: &LogicalPlan| {
            let mut known = of_both.clone();
            known.extend(one.schema().columns());
            give(&mut known, conditions, other.schema());
            self.is_single(one, &of_both) && self.is_single(other, &known)
        };
        matches(left, right) || kind == JoinType::Inner && matches(right, left)
    }

    fn is_single_row_of(&self, scan: &TableScan, given: &Given) -> bool {
        let Some(source) = (scan.source.as_ref() as &dyn std::any::Any).downcast_ref::<CatalogTable>() else {
            return false;
        };
        let names = scan.projected_schema.columns();
        let is_given = |name: &str| names.iter().any(|c| c.name == name && given.contains(c));
        let key = &source.table.primary_key;
        if source.keeps_key && !key.is_empty() && key.iter().all(|name| is_given(name)) {
            return true;
        }
        // The rows of a materialized view are those of its query.
        let Some(plan) = self.definition(&source.table.name) else { return false };
        let outputs = names.iter().cloned().zip(plan.schema().columns());
        let given = outputs.filter(|(column, _)| given.contains(column)).map(|(_, own)| own).collect();
        self.is_single(&plan, &given)
    }
}

fn missing(function: &str) -> DataFusionError {
    DataFusionError::Internal(format!("there is no function {function}"))
}

/// The columns of what lies below that are given where these columns above it are.
fn below<'e>(given: &Given, outputs: impl Iterator<Item = (Column, &'e Expr)>) -> Given {
    let column = |(column, expr): (Column, &Expr)| match expr.clone().unalias_nested().data {
        Expr::Column(below) if given.contains(&column) => Some(below),
        _ => None,
    };
    outputs.filter_map(column).collect()
}

/// Adds the columns of `schema` that are equal to something given.
fn give(given: &mut Given, conditions: &[&Expr], schema: &DFSchema) {
    loop {
        let before = given.len();
        for condition in conditions {
            let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = condition else { continue };
            for (column, value) in [(left, right), (right, left)] {
                if let Some(column) = told_apart(column, schema)
                    && is_given(value, given)
                {
                    given.insert(column.clone());
                }
            }
        }
        if given.len() == before {
            return;
        }
    }
}

/// A column, also cast to a type that has all its values.
fn told_apart<'e>(expr: &'e Expr, schema: &DFSchema) -> Option<&'e Column> {
    match expr {
        Expr::Column(column) => schema.has_column(column).then_some(column),
        Expr::Cast(cast) => {
            let column = told_apart(&cast.expr, schema)?;
            let (from, to) = (cast.expr.get_type(schema).ok()?, cast.field.data_type());
            let is_wider = match (&from, to) {
                (from, DataType::Decimal128(_, scale)) => from.is_integer() && *scale >= 0,
                (from, to) if from.is_integer() => to.is_integer() && to.primitive_width() >= from.primitive_width(),
                (DataType::Date32, DataType::Timestamp(..)) => true,
                _ => false,
            };
            is_wider.then_some(column)
        }
        _ => None,
    }
}

/// Has the expression one value for a row of the queries around?
fn is_given(expr: &Expr, given: &Given) -> bool {
    !expr.is_volatile()
        && !super::places::has_subquery(expr)
        && expr.column_refs().into_iter().all(|column| given.contains(column))
}

fn is_constant(expr: &Expr) -> bool {
    is_given(expr, &Given::new())
}
