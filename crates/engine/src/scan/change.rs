//! An UPDATE or DELETE that is planned once, for all values of its parameters.
//!
//! What stands for a parameter in the plan is a value that nobody means; when the statement is executed, the value that is meant takes its
//! place. Where that is allowed: [`with_stand_ins`].

use super::{Input, Scan, ScanPlan};
use crate::changes::{Alone, changed, check_assigned, check_not_null, halves, pairs};
use crate::kept::replaced;
use crate::{Listing, Outcome, ScriptError, Session, Settings};
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion_common::ScalarValue;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::Literal;
use eddyline_catalog::{Object, Table};
use eddyline_plan::{Expression, NamedExpression};
use eddyline_planner::statement::{Query, Statement, StatementKind};
use eddyline_planner::{Parameter, ParameterValue, SqlError, with_stand_ins};
use std::sync::Arc;

/// See the module's page.
pub struct PreparedChange {
    table: Arc<Table>,
    is_delete: bool,
    /// The rows that change: as they are, and beside that, for an UPDATE, as they become.
    plan: ScanPlan,
    stand_ins: Vec<ScalarValue>,
    returning: Option<ScanPlan>,
    /// Of the catalog.
    pub(super) version: u64,
    pub(super) settings: Settings,
}

impl PreparedChange {
    /// What it does.
    pub fn verb(&self) -> &'static str {
        if self.is_delete { "DELETE" } else { "UPDATE" }
    }

    /// The columns of RETURNING.
    pub(super) fn schema(&self) -> Option<SchemaRef> {
        self.returning.as_ref().map(|plan| plan.shape.shown_schema())
    }

    /// The plan for these values.
    fn with(&self, values: &[Parameter]) -> Result<ScanPlan, SqlError> {
        let value = |(parameter, stand_in): (&Parameter, &ScalarValue)| match &parameter.value {
            ParameterValue::Text(text) => ScalarValue::try_from_string(text.clone(), &stand_in.data_type())
                .map_err(|e| SqlError::new(crate::error::state::INVALID_TEXT, format!("parameter: {e}"))),
            _ => ScalarValue::try_from(stand_in.data_type())
                .map_err(|e| SqlError::new(SqlError::INTERNAL, format!("parameter: {e}"))),
        };
        let meant = values.iter().zip(&self.stand_ins).map(value).collect::<Result<Vec<_>, _>>()?;
        let mut plan = self.plan.clone();
        for step in &mut plan.steps {
            step.predicate = step.predicate.as_ref().map(|e| self.put_into(e, &meant)).transpose()?;
            for named in &mut step.project {
                *named = NamedExpression { expression: self.put_into(&named.expression, &meant)?, ..named.clone() };
            }
        }
        if let (Input::Table(source), Some(first)) = (&mut plan.input, plan.steps.first()) {
            source.predicate.clone_from(&first.predicate);
        }
        Ok(plan)
    }

    /// An expression with the values that are meant in the places of those that stand for them.
    fn put_into(&self, expression: &Expression, meant: &[ScalarValue]) -> Result<Expression, SqlError> {
        let put = |e: Arc<dyn PhysicalExpr>| {
            let at = e.downcast_ref::<Literal>().and_then(|l| self.stand_ins.iter().position(|s| s == l.value()));
            Ok(match at {
                Some(at) => Transformed::yes(Arc::new(Literal::new(meant[at].clone())) as Arc<dyn PhysicalExpr>),
                None => Transformed::no(e),
            })
        };
        let done = expression.physical().clone().transform(put);
        let done = done.map_err(|e| SqlError::new(SqlError::INTERNAL, format!("parameters: {e}")))?;
        Ok(if done.transformed { Expression::new(done.data) } else { expression.clone() })
    }
}

impl Session {
    /// A plan of an UPDATE or DELETE for all values of its parameters, which have these types. `None`: it has to be planned with them.
    pub(super) fn prepare_change(&mut self, statement: &Statement, types: &[DataType]) -> Option<PreparedChange> {
        let stand_ins = with_stand_ins(statement, types)?;
        // What is wrong with it is told when it is executed.
        let (table, query, returning, position, is_delete) = match &stand_ins.statement.kind {
            StatementKind::Update(update) => {
                let table = self.kept_table_of(&update.table)?;
                let update = update.with_defaults(&table).ok()?;
                check_assigned(&table, &update).ok()?;
                (table.clone(), update.query(&table).ok()?, update.returning, update.position, false)
            }
            StatementKind::Delete(delete) => {
                let table = self.kept_table_of(&delete.table)?;
                (table.clone(), delete.query(&table).ok()?, delete.returning.clone(), delete.position, true)
            }
            _ => return None,
        };
        let of_rows = if is_delete { table.as_ref().clone() } else { pairs(&table) };
        let number = self.engine.next_channel();
        let planned = self.planned_rows(&query, of_rows, Vec::new(), position, number).ok()?;
        let mut plan = ScanPlan::of(&planned.job, &self.settings).ok()??;
        let is_once = |stand_in: &ScalarValue| occurrences(&plan, stand_in) == 1;
        if plan.source().is_none() || !stand_ins.values.iter().all(is_once) {
            return None;
        }
        // A value that is meant may be NULL.
        for step in &mut plan.steps {
            step.schema = with_nulls(&step.schema);
        }
        plan.shape.schema = with_nulls(&plan.shape.schema);
        let returning = match &returning {
            Some(query) => Some(self.plan_of_returning(query)?),
            None => None,
        };
        let (version, settings, stand_ins) = (self.catalog.version(), self.settings.clone(), stand_ins.values);
        Some(PreparedChange { table, is_delete, plan, stand_ins, returning, version, settings })
    }

    fn kept_table_of(&self, written: &eddyline_catalog::Reference) -> Option<Arc<Table>> {
        match self.catalog.object(&self.resolve(written).ok()?) {
            Ok(Object::Table(table)) if table.is_kept() => Some(table.clone()),
            _ => None,
        }
    }

    fn plan_of_returning(&self, query: &Query) -> Option<ScanPlan> {
        let planned = self.planned_returning(query, self.engine.next_channel()).ok()?;
        ScanPlan::of(&planned.job, &self.settings).ok()?
    }

    /// Executes a prepared UPDATE or DELETE with these values of its parameters.
    ///
    /// # Errors
    /// As of the statement itself; the table is gone, or was replaced.
    pub(super) fn change_with(
        &mut self,
        change: &PreparedChange,
        values: &[Parameter],
    ) -> Result<Outcome, ScriptError> {
        let plan = change.with(values)?;
        self.end_moment();
        let alone: Alone = self.alone(&change.table.name)?;
        if alone.table != change.table {
            return Err(replaced(&change.table.name).into());
        }
        let rows = self.scan(plan)?.all(&self.canceller).map_err(ScriptError::Job)?;
        check_not_null(&change.table, rows.columns())?;
        let canceller = &self.canceller;
        let returned = change.returning.as_ref().map(|plan| {
            move |rows: RecordBatch| -> Result<Listing, ScriptError> {
                let rows = RecordBatch::try_new(change.table.physical_schema(), rows.columns().to_vec())
                    .map_err(|e| SqlError::new(SqlError::INTERNAL, format!("RETURNING: {e}")))?;
                Ok(Listing { rows: Scan::of_rows(plan.clone(), &rows)?.all(canceller)?, plain: false })
            }
        });
        match change.is_delete {
            true => self.put_away(alone, &rows, returned),
            false => self.put_updated(alone, &rows, returned),
        }
    }
}

/// What UPDATE and DELETE do with the rows that they have found.
impl Session {
    /// Puts rows in the place of others: `rows` are those, and beside each what becomes of it; `returned` says what RETURNING answers.
    ///
    /// # Errors
    /// As of the statement.
    pub(crate) fn put_updated(
        &self,
        alone: Alone,
        rows: &RecordBatch,
        returned: Option<impl Fn(RecordBatch) -> Result<Listing, ScriptError>>,
    ) -> Result<Outcome, ScriptError> {
        let (before, after) = halves(rows)?;
        let returned = returned.map(|returned| returned(after.clone())).transpose()?;
        let Alone { table, target, reserved } = alone;
        let _storing = tracing::info_span!("store").entered();
        let stored = self.instance.database().replace(&target, &before, &after)?;
        drop(reserved);
        self.instance.database().wait_for(&stored)?;
        Ok(changed(rows, "updated in", &table.name, returned))
    }

    /// Takes rows away; `returned` says what RETURNING answers.
    ///
    /// # Errors
    /// As of the statement.
    pub(crate) fn put_away(
        &self,
        alone: Alone,
        rows: &RecordBatch,
        returned: Option<impl Fn(RecordBatch) -> Result<Listing, ScriptError>>,
    ) -> Result<Outcome, ScriptError> {
        let returned = returned.map(|returned| returned(rows.clone())).transpose()?;
        let Alone { table, target, reserved } = alone;
        let _storing = tracing::info_span!("store").entered();
        let stored = self.instance.database().replace(&target, rows, &rows.slice(0, 0))?;
        drop(reserved);
        self.instance.database().wait_for(&stored)?;
        Ok(changed(rows, "deleted from", &table.name, returned))
    }
}

fn with_nulls(schema: &SchemaRef) -> SchemaRef {
    let nullable = |field: &FieldRef| field.as_ref().clone().with_nullable(true);
    Arc::new(Schema::new(schema.fields().iter().map(nullable).collect::<Vec<_>>()))
}

/// How often a value stands in a plan.
fn occurrences(plan: &ScanPlan, value: &ScalarValue) -> usize {
    let of_step = |step: &super::Step| {
        let expressions = step.project.iter().map(|named| &named.expression).chain(&step.predicate);
        expressions.map(|e| super::prepared::occurrences(e.physical(), std::slice::from_ref(value))).sum::<usize>()
    };
    plan.steps.iter().map(of_step).sum()
}
