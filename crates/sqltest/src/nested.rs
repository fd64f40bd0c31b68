//! Correlated subqueries by the definition: computed anew for every row of the query around them.
//!
//! What DataFusion cannot run, or what our own rules would have to rewrite for it, is answered here without any rewriting: the rows of
//! the query around are computed, the values of each are put into the subquery in the place of what refers to them, and that is a query of
//! its own. Slow, and plain.

use super::oracle::{Given, OWN_ROWS};
use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Schema};
use datafusion::catalog::MemTable;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::expr::SetQuantifier;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Expr, Join, JoinType, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, SubqueryAlias,
};
use datafusion::prelude::SessionContext;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

/// Values of columns of the queries around.
type Row = BTreeMap<Column, ScalarValue>;
type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + 'a>>;

/// The plan without subqueries that refer to the queries around them.
pub(crate) fn resolved<'a>(plan: LogicalPlan, given: &'a Given<'a>) -> Later<'a, LogicalPlan> {
    Box::pin(async move {
        if !is_correlated(&plan)? {
            return Ok(plan);
        }
        match plan {
            LogicalPlan::Join(join) if is_lateral(&join)? => beside_each_row(join, given).await,
            LogicalPlan::Join(mut join) if join.join_type == JoinType::Inner && join.filter.is_some() => {
                let condition = join.filter.take();
                let joined = LogicalPlanBuilder::from(LogicalPlan::Join(join));
                let filtered = joined.filter(condition.ok_or_else(|| wrong("a condition is gone"))?)?;
                resolved(filtered.build()?, given).await
            }
            other => {
                let mut inputs = Vec::new();
                for input in other.inputs() {
                    inputs.push(resolved(input.clone(), given).await?);
                }
                let other = with_inputs(other, inputs)?;
                of_expressions(other, given).await
            }
        }
    })
}

fn wrong(what: &str) -> DataFusionError {
    DataFusionError::Plan(format!("the oracle: {what}"))
}

fn with_inputs(plan: LogicalPlan, inputs: Vec<LogicalPlan>) -> Result<LogicalPlan> {
    let mut inputs = inputs.into_iter();
    let next = |_| inputs.next().map(Transformed::yes).ok_or_else(|| wrong("an input is gone"));
    Ok(plan.map_children(next)?.data)
}

fn is_correlated(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|p| {
        p.apply_expressions(|e| {
            found |= e.contains_outer();
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// Does the right side ask for columns of the left?
fn is_lateral(join: &Join) -> Result<bool> {
    let of_left = join.left.schema().columns().into_iter().map(|c| (c, ScalarValue::Null)).collect();
    Ok(matches!(join.join_type, JoinType::Inner | JoinType::Left) && asks(&join.right, &of_left)?)
}

/// Does the plan refer to columns of a row of the query around it? Not to those that others of their name hide: see [`substituted`].
fn asks(plan: &LogicalPlan, row: &Row) -> Result<bool> {
    let below = match plan {
        LogicalPlan::Join(join) => asks(&join.left, row)? || asks(&join.right, &hidden(row, &[&join.left]))?,
        other => other.inputs().into_iter().map(|i| asks(i, row)).collect::<Result<Vec<_>>>()?.contains(&true),
    };
    if below {
        return Ok(true);
    }
    let inner = hidden(row, &plan.inputs());
    let mut found = false;
    plan.apply_expressions(|e| {
        e.apply(|e| {
            found |= match (e, subquery_of(e)) {
                (Expr::OuterReferenceColumn(_, column), _) => row.contains_key(column),
                (_, Some(subquery)) => asks(&subquery.subquery, &inner)?,
                _ => false,
            };
            Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })
    })?;
    Ok(found)
}

fn subquery_of(expr: &Expr) -> Option<&Subquery> {
    match expr {
        Expr::Exists(e) => Some(&e.subquery),
        Expr::InSubquery(i) => Some(&i.subquery),
        Expr::SetComparison(c) => Some(&c.subquery),
        Expr::ScalarSubquery(s) => Some(s),
        _ => None,
    }
}

/// The rows of a plan, and a plan of them with the same names.
struct Rows {
    batch: RecordBatch,
    columns: Vec<Column>,
}

impl Rows {
    async fn of(plan: LogicalPlan, given: &Given<'_>) -> Result<Self> {
        let columns = plan.schema().columns();
        let fields: Vec<_> = plan.schema().fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
        let schema = numbered(&fields.into_iter().map(|f| f.data_type().clone()).collect::<Vec<_>>());
        let mut batches = Vec::new();
        for batch in given.answer(plan).await? {
            let cast = batch.columns().iter().zip(schema.fields());
            let cast = cast.map(|(c, f)| arrow::compute::cast(c, f.data_type()));
            batches.push(batch_of(&schema, cast.collect::<std::result::Result<Vec<_>, _>>()?, batch.num_rows())?);
        }
        Ok(Self { batch: concat_batches(&schema, &batches)?, columns })
    }

    fn row(&self, at: usize) -> Result<Row> {
        let values = self.columns.iter().zip(self.batch.columns());
        values.map(|(c, values)| Ok((c.clone(), ScalarValue::try_from_array(values, at)?))).collect()
    }

    fn plan(&self) -> Result<LogicalPlan> {
        let schema = self.batch.schema();
        let table = MemTable::try_new(schema.clone(), vec![vec![self.batch.clone()]])?;
        let scan = LogicalPlanBuilder::scan(OWN_ROWS, provider_as_source(Arc::new(table)), None)?.build()?;
        let named = scan.schema().columns().into_iter().zip(&self.columns);
        let named: Vec<Expr> =
            named.map(|(c, name)| Expr::Column(c).alias_qualified(name.relation.clone(), &name.name)).collect();
        match named.is_empty() {
            true => Ok(scan),
            false => LogicalPlanBuilder::from(scan).project(named)?.build(),
        }
    }

    fn one(&self, at: usize) -> Self {
        Self { batch: self.batch.slice(at, 1), columns: self.columns.clone() }
    }

    fn push(&mut self, column: ArrayRef) -> Result<Expr> {
        let name = Column::new_unqualified(format!("__oracle_{}", self.columns.len()));
        let mut columns = self.batch.columns().to_vec();
        columns.push(column);
        let types: Vec<DataType> = columns.iter().map(|c| c.data_type().clone()).collect();
        self.batch = batch_of(&numbered(&types), columns, self.batch.num_rows())?;
        self.columns.push(name.clone());
        Ok(Expr::Column(name))
    }
}

fn numbered(types: &[DataType]) -> Arc<Schema> {
    let field = |(at, t): (usize, &DataType)| arrow::datatypes::Field::new(format!("c{at}"), t.clone(), true);
    Arc::new(Schema::new(types.iter().enumerate().map(field).collect::<Vec<_>>()))
}

fn batch_of(schema: &Arc<Schema>, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
}

/// A join whose right side is computed for every row of the left.
async fn beside_each_row(join: Join, given: &Given<'_>) -> Result<LogicalPlan> {
    let left = Rows::of(resolved(join.left.as_ref().clone(), given).await?, given).await?;
    let (columns, types) = names_and_types(&join.schema);
    let schema = numbered(&types);
    let mut batches = Vec::new();
    for at in 0..left.batch.num_rows() {
        let right = opened(substituted(join.right.as_ref().clone(), &left.row(at)?)?)?;
        let one = Join::try_new(
            Arc::new(left.one(at).plan()?),
            Arc::new(right),
            join.on.clone(),
            join.filter.clone(),
            join.join_type,
            join.join_constraint,
            join.null_equality,
            join.null_aware,
        )?;
        for batch in given.answer(resolved(LogicalPlan::Join(one), given).await?).await? {
            batches.push(batch_of(&schema, batch.columns().to_vec(), batch.num_rows())?);
        }
    }
    Rows { batch: concat_batches(&schema, &batches)?, columns }.plan()
}

fn names_and_types(schema: &DFSchema) -> (Vec<Column>, Vec<DataType>) {
    (schema.columns(), schema.fields().iter().map(|f| f.data_type().clone()).collect())
}

/// A query beside a table that no longer refers to it.
fn opened(plan: LogicalPlan) -> Result<LogicalPlan> {
    Ok(match plan {
        LogicalPlan::Subquery(s) => Arc::unwrap_or_clone(s.subquery),
        LogicalPlan::SubqueryAlias(a) => {
            let input = opened(Arc::unwrap_or_clone(a.input))?;
            LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(input), a.alias)?)
        }
        other => other,
    })
}

/// A node whose input is without such subqueries: a column for what each of its own gives.
async fn of_expressions(plan: LogicalPlan, given: &Given<'_>) -> Result<LogicalPlan> {
    let refers =
        |e: &Expr| e.exists(|e| Ok(subquery_of(e).is_some_and(|s| is_correlated(&s.subquery).unwrap_or(true))));
    let mut any = false;
    for expr in plan.expressions() {
        any |= refers(&expr)?;
    }
    if !any {
        return Ok(plan);
    }
    let [input] = plan.inputs()[..] else { return Err(wrong("a subquery in a node of several inputs")) };
    let mut rows = Rows::of(input.clone(), given).await?;
    let preserver = NamePreserver::new(&plan);
    let columns = plan.schema().columns();
    let mut exprs = Vec::new();
    for expr in plan.expressions() {
        let name = preserver.save(&expr);
        exprs.push(name.restore(computed(expr, &mut rows, given).await?));
    }
    let made = plan.with_new_exprs(exprs, vec![rows.plan()?])?;
    match made.schema().fields().len() > columns.len() {
        true => LogicalPlanBuilder::from(made).project(columns.into_iter().map(Expr::Column))?.build(),
        false => Ok(made),
    }
}

/// An expression with columns in the place of its subqueries, the innermost operand first.
async fn computed(mut expr: Expr, rows: &mut Rows, given: &Given<'_>) -> Result<Expr> {
    loop {
        let mut found = None;
        expr.apply(|e| {
            if subquery_of(e).is_some_and(|s| is_correlated(&s.subquery).unwrap_or(true)) {
                found = Some(e.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        let Some(found) = found else { return Ok(expr) };
        let column = column_of(&found, rows, given).await?;
        let place = rows.push(column)?;
        let put =
            expr.transform_down(|e| Ok(if e == found { Transformed::yes(place.clone()) } else { Transformed::no(e) }));
        expr = put?.data;
    }
}

async fn column_of(expr: &Expr, rows: &Rows, given: &Given<'_>) -> Result<ArrayRef> {
    let subquery = subquery_of(expr).ok_or_else(|| wrong("no subquery"))?;
    let compared = match expr {
        Expr::InSubquery(i) => Some(i.expr.as_ref().clone()),
        Expr::SetComparison(c) => Some(c.expr.as_ref().clone()),
        _ => None,
    };
    let compared = match compared {
        Some(x) => Some(values_of(x, rows)?),
        None => None,
    };
    let mut values = Vec::new();
    let mut known: Vec<(LogicalPlan, Vec<ScalarValue>)> = Vec::new();
    for at in 0..rows.batch.num_rows() {
        let plan = substituted(subquery.subquery.as_ref().clone(), &rows.row(at)?)?;
        let found = match known.iter().find(|(p, _)| *p == plan) {
            Some((_, found)) => found.clone(),
            None => first_column(plan.clone(), given).await?,
        };
        known.push((plan, found.clone()));
        let x = compared.as_ref().map(|x| ScalarValue::try_from_array(x, at)).transpose()?;
        values.push(value_of(expr, x, found)?);
    }
    match (expr, values.is_empty()) {
        (Expr::ScalarSubquery(s), true) => Ok(arrow::array::new_empty_array(s.subquery.schema().field(0).data_type())),
        (_, true) => Ok(Arc::new(BooleanArray::from(Vec::<bool>::new()))),
        _ => ScalarValue::iter_to_array(values),
    }
}

async fn first_column(plan: LogicalPlan, given: &Given<'_>) -> Result<Vec<ScalarValue>> {
    let batches = given.answer(resolved(plan, given).await?).await?;
    let of = |b: &RecordBatch| match b.num_columns() {
        0 => (0..b.num_rows()).map(|_| Ok(ScalarValue::Null)).collect::<Vec<_>>(),
        _ => (0..b.num_rows()).map(|at| ScalarValue::try_from_array(b.column(0), at)).collect(),
    };
    batches.iter().flat_map(of).collect()
}

fn value_of(expr: &Expr, x: Option<ScalarValue>, mut found: Vec<ScalarValue>) -> Result<ScalarValue> {
    match expr {
        Expr::Exists(e) => Ok(ScalarValue::from(found.is_empty() == e.negated)),
        Expr::ScalarSubquery(s) => match found.len() {
            0 => ScalarValue::try_from(s.subquery.schema().field(0).data_type()),
            1 => Ok(found.remove(0)),
            _ => Err(wrong("a value of several rows")),
        },
        Expr::InSubquery(i) => {
            let x = x.ok_or_else(|| wrong("nothing to compare"))?;
            let is_in = any(&x, Operator::Eq, &found);
            Ok(ScalarValue::Boolean(if i.negated { is_in.map(|b| !b) } else { is_in }))
        }
        Expr::SetComparison(c) => {
            let x = x.ok_or_else(|| wrong("nothing to compare"))?;
            Ok(ScalarValue::Boolean(match c.quantifier {
                SetQuantifier::Any => any(&x, c.op, &found),
                SetQuantifier::All => {
                    let opposite = c.op.negate().ok_or_else(|| wrong("an operator without opposite"))?;
                    any(&x, opposite, &found).map(|b| !b)
                }
            }))
        }
        _ => Err(wrong("no subquery")),
    }
}

/// True where it is of one, else unknown where it is of one, else false.
fn any(x: &ScalarValue, op: Operator, values: &[ScalarValue]) -> Option<bool> {
    let one = |y: &ScalarValue| match x.is_null() || y.is_null() {
        true => None,
        false => {
            let order = x.partial_cmp(y)?;
            Some(match op {
                Operator::Eq => order == Ordering::Equal,
                Operator::NotEq => order != Ordering::Equal,
                Operator::Lt => order == Ordering::Less,
                Operator::LtEq => order != Ordering::Greater,
                Operator::Gt => order == Ordering::Greater,
                _ => order != Ordering::Less,
            })
        }
    };
    let all: Vec<Option<bool>> = values.iter().map(one).collect();
    if all.contains(&Some(true)) {
        return Some(true);
    }
    (!all.contains(&None)).then_some(false)
}

fn values_of(expr: Expr, rows: &Rows) -> Result<ArrayRef> {
    let plan = rows.plan()?;
    let physical = SessionContext::new().create_physical_expr(expr, plan.schema())?;
    let fields = plan.schema().as_arrow().clone();
    let batch = batch_of(&Arc::new(fields), rows.batch.columns().to_vec(), rows.batch.num_rows())?;
    physical.evaluate(&batch)?.into_array(rows.batch.num_rows())
}

/// The plan with values for what refers to a row of the query around it.
fn substituted(plan: LogicalPlan, row: &Row) -> Result<LogicalPlan> {
    if row.is_empty() {
        return Ok(plan);
    }
    let plan = match plan {
        LogicalPlan::Join(mut join) => {
            let right = hidden(row, &[&join.left]);
            join.left = Arc::new(substituted(Arc::unwrap_or_clone(join.left), row)?);
            join.right = Arc::new(substituted(Arc::unwrap_or_clone(join.right), &right)?);
            LogicalPlan::Join(join)
        }
        LogicalPlan::Subquery(s) => {
            let made = subquery(s, row)?;
            return Ok(match is_correlated(&made.subquery)? {
                true => LogicalPlan::Subquery(made),
                false => Arc::unwrap_or_clone(made.subquery),
            });
        }
        other => other.map_children(|c| substituted(c, row).map(Transformed::yes))?.data,
    };
    let below = hidden(row, &plan.inputs());
    let preserver = NamePreserver::new(&plan);
    let made = plan.map_expressions(|e| {
        let name = preserver.save(&e);
        let made = e.transform_up(|e| match e {
            Expr::OuterReferenceColumn(field, column) => Ok(match row.get(&column) {
                Some(value) => Transformed::yes(Expr::Literal(value.clone(), None)),
                None => Transformed::no(Expr::OuterReferenceColumn(field, column)),
            }),
            Expr::ScalarSubquery(s) => Ok(Transformed::yes(Expr::ScalarSubquery(subquery(s, &below)?))),
            Expr::Exists(mut e) => {
                e.subquery = subquery(e.subquery, &below)?;
                Ok(Transformed::yes(Expr::Exists(e)))
            }
            Expr::InSubquery(mut i) => {
                i.subquery = subquery(i.subquery, &below)?;
                Ok(Transformed::yes(Expr::InSubquery(i)))
            }
            Expr::SetComparison(mut c) => {
                c.subquery = subquery(c.subquery, &below)?;
                Ok(Transformed::yes(Expr::SetComparison(c)))
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(made.update_data(|e| name.restore(e)))
    });
    Ok(made?.data)
}

fn subquery(s: Subquery, row: &Row) -> Result<Subquery> {
    let plan = substituted(Arc::unwrap_or_clone(s.subquery), row)?;
    let outer_ref_columns = plan.all_out_ref_exprs();
    Ok(Subquery { subquery: Arc::new(plan), outer_ref_columns, spans: s.spans })
}

/// The row without what the inputs hide.
fn hidden(row: &Row, inputs: &[&LogicalPlan]) -> Row {
    let visible = row.iter().filter(|(c, _)| !inputs.iter().any(|i| i.schema().has_column(c)));
    visible.map(|(c, v)| (c.clone(), v.clone())).collect()
}
