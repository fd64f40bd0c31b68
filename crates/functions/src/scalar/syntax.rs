//! Syntax of its own that stands for a call: `EXTRACT(… FROM …)`, `SUBSTRING(… FROM … FOR …)`, `POSITION(… IN …)`.

use super::{SUBJECTS, ScalarSettings, call};
use datafusion_common::{Result, plan_datafusion_err};
use datafusion_expr::planner::{ExprPlanner, PlannerResult};
use datafusion_expr::{Expr, ScalarUDF};
use std::sync::Arc;

/// Plans such syntax as calls of our functions, which differ from DataFusion's in results (`EXTRACT` is BIGINT) and for
/// negative places. It must stand before DataFusion's planners.
pub fn syntax_planner(settings: &ScalarSettings) -> Arc<dyn ExprPlanner> {
    Arc::new(SyntaxPlanner { settings: *settings })
}

#[derive(Debug)]
struct SyntaxPlanner {
    settings: ScalarSettings,
}

impl SyntaxPlanner {
    fn call(&self, name: &str, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        let definition = SUBJECTS
            .iter()
            .flat_map(|(_, definitions)| definitions.iter())
            .find(|definition| definition.name == name)
            .ok_or_else(|| plan_datafusion_err!("there is no function {name}"))?;
        let function = ScalarUDF::from(call::Function::new(definition, self.settings.time_zone));
        Ok(PlannerResult::Planned(function.call(args)))
    }
}

impl ExprPlanner for SyntaxPlanner {
    fn plan_extract(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        self.call("extract", args)
    }

    fn plan_substring(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        self.call("substr", args)
    }

    /// The arguments come as (text, part).
    fn plan_position(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        self.call("instr", args)
    }
}
