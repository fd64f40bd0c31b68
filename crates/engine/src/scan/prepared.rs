//! Statements that are planned once, for all values of their parameters.

use super::change::PreparedChange;
use super::insert::PreparedInsert;
use super::{Input, Scan, ScanPlan};
use crate::kept::{name_of, replaced};
use crate::session::PlannedAnswer;
use crate::{Answer, ScriptError, Session, Settings};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion_common::ScalarValue;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_expr::Operator;
use datafusion_physical_expr::expressions::{BinaryExpr, Column, Literal};
use datafusion_physical_expr::{PhysicalExpr, split_conjunction};
use eddyline_catalog::Object;
use eddyline_plan::Expression;
use eddyline_planner::statement::{Statement, StatementKind};
use eddyline_planner::{Parameter, ParameterValue, SqlError, with_stand_ins};
use std::sync::Arc;

/// A statement that is planned. It holds as long as names and settings are what they were.
pub enum Prepared {
    /// A SELECT of rows by the values of columns.
    Scan(PreparedScan),
    /// An INSERT of VALUES.
    Insert(PreparedInsert),
    /// An UPDATE or DELETE of rows by the values of columns.
    Change(PreparedChange),
}

impl Prepared {
    /// The columns that are answered; `None`: it answers no rows.
    pub fn schema(&self) -> Option<SchemaRef> {
        match self {
            Prepared::Scan(scan) => Some(scan.plan.shape.shown_schema()),
            Prepared::Insert(insert) => insert.schema(),
            Prepared::Change(change) => change.schema(),
        }
    }

    /// The version of the catalog and the settings with which it was planned.
    fn planned_with(&self) -> (u64, &Settings) {
        match self {
            Prepared::Scan(scan) => (scan.version, &scan.settings),
            Prepared::Insert(insert) => (insert.version, &insert.settings),
            Prepared::Change(change) => (change.version, &change.settings),
        }
    }
}

/// A SELECT of rows by the values of columns, planned.
pub struct PreparedScan {
    plan: ScanPlan,
    /// What each parameter is compared with: a column of what is decoded.
    compared: Vec<Arc<dyn PhysicalExpr>>,
    types: Vec<DataType>,
    /// The table that it reads.
    object: Object,
    /// Of the catalog.
    version: u64,
    settings: Settings,
}

impl PreparedScan {
    /// The plan for these values; `None`: a value is NULL, which equals nothing.
    fn with(&self, values: &[Parameter]) -> Result<Option<ScanPlan>, SqlError> {
        let mut predicate: Option<Arc<dyn PhysicalExpr>> = None;
        for ((column, data_type), parameter) in self.compared.iter().zip(&self.types).zip(values) {
            let ParameterValue::Text(text) = &parameter.value else { return Ok(None) };
            let value = ScalarValue::try_from_string(text.clone(), data_type)
                .map_err(|e| SqlError::new(crate::error::state::INVALID_TEXT, format!("parameter: {e}")))?;
            let equals = BinaryExpr::new(column.clone(), Operator::Eq, Arc::new(Literal::new(value)));
            predicate = Some(match predicate {
                None => Arc::new(equals),
                Some(before) => Arc::new(BinaryExpr::new(before, Operator::And, Arc::new(equals))),
            });
        }
        let mut plan = self.plan.clone();
        if let (Input::Table(source), Some(predicate)) = (&mut plan.input, predicate) {
            let predicate = Some(Expression::new(predicate));
            source.predicate.clone_from(&predicate);
            if let Some(first) = plan.steps.first_mut() {
                first.predicate = predicate;
            }
        }
        Ok(Some(plan))
    }
}

impl Session {
    /// A plan of a statement for all values of its parameters, which have these types. `None`: it has to be planned with them.
    pub fn prepare(&mut self, statement: &Statement, types: &[DataType]) -> Option<Prepared> {
        self.refresh();
        match &statement.kind {
            StatementKind::Insert(insert) => self.prepare_insert(insert, types).map(Prepared::Insert),
            StatementKind::Update(_) | StatementKind::Delete(_) => {
                self.prepare_change(statement, types).map(Prepared::Change)
            }
            _ => self.prepare_scan(statement, types).map(Prepared::Scan),
        }
    }

    fn prepare_scan(&mut self, statement: &Statement, types: &[DataType]) -> Option<PreparedScan> {
        let stand_ins = with_stand_ins(statement, types)?;
        let StatementKind::Select(query) = &stand_ins.statement.kind else { return None };
        // What is wrong with it is told when it is executed.
        let PlannedAnswer::Scan(plan) = self.planned_answer(query).ok()? else { return None };
        let plan = *plan;
        let source = plan.source()?;
        let compared = match types.is_empty() {
            true => Vec::new(),
            false => compared(&plan, source.predicate.as_ref()?, &stand_ins.values)?,
        };
        let object = self.catalog.object(&name_of(source)?).ok()?.clone();
        let (version, settings) = (self.catalog.version(), self.settings.clone());
        Some(PreparedScan { plan, compared, types: types.to_vec(), object, version, settings })
    }

    /// Does a plan still hold?
    pub fn holds(&mut self, prepared: &Prepared) -> bool {
        self.refresh();
        (self.catalog.version(), &self.settings) == prepared.planned_with()
    }

    /// Executes a prepared statement with these values of its parameters.
    ///
    /// # Errors
    /// A value that is none of its type; a view that has failed; the table that it reads or writes is gone, or was replaced.
    pub fn execute_prepared(&mut self, prepared: &Prepared, values: &[Parameter]) -> Result<Answer, ScriptError> {
        match prepared {
            Prepared::Scan(scan) => Ok(Answer::Rows(Box::new(self.scan_with(scan, values)?))),
            Prepared::Insert(insert) => self.insert_with(insert, values).map(Answer::Outcome),
            Prepared::Change(change) => self.change_with(change, values).map(Answer::Outcome),
        }
    }

    fn scan_with(&mut self, scan: &PreparedScan, values: &[Parameter]) -> Result<Scan, ScriptError> {
        let name = scan.object.name();
        self.begin_moment()?;
        let pictures = self.pictures_of(&[name])?;
        if self.catalog.object(name) != Ok(&scan.object) {
            return Err(replaced(name).into());
        }
        match scan.with(values)? {
            Some(plan) => Ok(Scan::new(plan, &pictures)?),
            None => Ok(Scan::nothing(scan.plan.clone())),
        }
    }
}

/// What each stand-in is compared with, if the predicate is nothing but these comparisons and there are no other literals like them.
fn compared(plan: &ScanPlan, predicate: &Expression, stand_ins: &[ScalarValue]) -> Option<Vec<Arc<dyn PhysicalExpr>>> {
    let terms = split_conjunction(predicate.physical());
    let mut compared: Vec<Option<Arc<dyn PhysicalExpr>>> = vec![None; stand_ins.len()];
    for term in &terms {
        let term = term.downcast_ref::<BinaryExpr>().filter(|term| *term.op() == Operator::Eq)?;
        let (column, literal) = match term.left().downcast_ref::<Column>() {
            Some(_) => (term.left(), term.right()),
            None => (term.right(), term.left()),
        };
        column.downcast_ref::<Column>()?;
        let value = literal.downcast_ref::<Literal>()?.value();
        let at = stand_ins.iter().position(|stand_in| stand_in == value)?;
        compared[at].replace(column.clone()).is_none().then_some(())?;
    }
    let expressions =
        plan.steps.iter().flat_map(|step| step.project.iter().map(|named| &named.expression).chain(&step.predicate));
    let found: usize = expressions.map(|expression| occurrences(expression.physical(), stand_ins)).sum();
    if found != stand_ins.len() || terms.len() != stand_ins.len() {
        return None;
    }
    compared.into_iter().collect()
}

/// How many literals of an expression are stand-ins.
pub(super) fn occurrences(expression: &Arc<dyn PhysicalExpr>, stand_ins: &[ScalarValue]) -> usize {
    let mut count = 0;
    let counted = expression.apply(|e| {
        let is_one = |literal: &Literal| stand_ins.contains(literal.value());
        count += usize::from(e.downcast_ref::<Literal>().is_some_and(is_one));
        Ok(TreeNodeRecursion::Continue)
    });
    counted.map_or(usize::MAX, |_| count)
}
