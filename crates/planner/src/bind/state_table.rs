//! `STATE('job', 'operator')` in FROM: what an operator of a job keeps. What that is, the engine knows.

use super::CatalogTable;
use super::context::external;
use super::window_tvf::position_of;
use crate::SqlError;
use crate::planner::StateTables;
use datafusion_common::{Result, TableReference};
use datafusion_expr::LogicalPlanBuilder;
use datafusion_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, ObjectName, Spanned, TableFactor, TableFunctionArgs, Value};
use std::fmt;
use std::sync::Arc;

/// Plans `STATE`.
pub(super) struct StateTablePlanner(pub(super) Option<Arc<StateTables>>);

impl fmt::Debug for StateTablePlanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StateTablePlanner")
    }
}

impl RelationPlanner for StateTablePlanner {
    fn plan_relation(&self, relation: TableFactor, _: &mut dyn RelationPlannerContext) -> Result<RelationPlanning> {
        let (name, args, alias) = match relation {
            TableFactor::Table { name, args: Some(args), alias, .. } if is_state(&name) => (name, args, alias),
            other => return Ok(RelationPlanning::Original(Box::new(other))),
        };
        let located = |error: SqlError| match position_of(name.span()) {
            Some(place) => external(error.at(place)),
            None => external(error),
        };
        let table = match (arguments(&args), &self.0) {
            (Some([job, operator]), Some(states)) => states(&job, &operator).map_err(located)?,
            (Some(_), None) => {
                return Err(located(SqlError::new(SqlError::UNSUPPORTED, "STATE cannot be read here")));
            }
            (None, _) => {
                let error = SqlError::new(SqlError::INVALID, "STATE takes a job and an operator, as texts").with_hint(
                    "write FROM STATE('job', 'GroupAggregate #3'); `eddyline state show` lists the operators",
                );
                return Err(located(error));
            }
        };
        let reference = TableReference::bare(table.name.object());
        let plan = LogicalPlanBuilder::scan(reference, Arc::new(CatalogTable::new(table, false)), None)?.build()?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
    }
}

fn is_state(name: &ObjectName) -> bool {
    let [part] = name.0.as_slice() else { return false };
    part.as_ident().is_some_and(|ident| ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("STATE"))
}

fn arguments(args: &TableFunctionArgs) -> Option<[String; 2]> {
    let text = |arg: &FunctionArg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) => match &value.value {
            Value::SingleQuotedString(text) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    };
    match args.args.as_slice() {
        [job, operator] if args.settings.is_none() => Some([text(job)?, text(operator)?]),
        _ => None,
    }
}
