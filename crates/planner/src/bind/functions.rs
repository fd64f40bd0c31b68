use crate::SqlError;
use datafusion_expr::planner::ExprPlanner;
use datafusion_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, WindowUDF};
use eddyline_catalog::Dialect;
use eddyline_functions::scalar::{Meaning, ScalarSettings, Zone};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// All functions that SQL can call, by lower-case name, and what plans special syntax (`EXTRACT`, `SUBSTRING`,
/// `POSITION`, array and map literals, …) as calls of them. Made once and shared.
#[derive(Debug)]
pub struct Functions {
    pub(crate) scalar: HashMap<String, Arc<ScalarUDF>>,
    pub(crate) higher_order: HashMap<String, Arc<HigherOrderUDF>>,
    pub(crate) aggregate: HashMap<String, Arc<AggregateUDF>>,
    pub(crate) window: HashMap<String, Arc<WindowUDF>>,
    pub(crate) expr_planners: Vec<Arc<dyn ExprPlanner>>,
    /// Stands for casts to STRING.
    pub(crate) text_form: Arc<ScalarUDF>,
    /// Stands before casts of STRING to an integer.
    pub(crate) whole_part: Arc<ScalarUDF>,
    /// The same in other time zones and dialects, once somebody has asked for them.
    others: Mutex<HashMap<ScalarSettings, Arc<Functions>>>,
}

/// So many of them are kept.
const OTHERS_MAX: usize = 64;

impl Functions {
    /// All built-in functions, in UTC. A planner whose session has another time zone asks for
    /// [`meant`](Self::meant).
    pub fn new() -> Self {
        Self::with(&ScalarSettings::default())
    }

    /// The functions under a session's time zone, as they are meant in a dialect.
    ///
    /// # Errors
    /// There is no such time zone.
    pub(crate) fn meant(self: &Arc<Self>, time_zone: &str, dialect: Dialect) -> Result<Arc<Self>, SqlError> {
        let time_zone = Zone::parse(time_zone).map_err(|_| {
            SqlError::new(SqlError::INVALID_PARAMETER, format!("there is no time zone '{time_zone}'"))
                .with_hint("write a name like 'Europe/Berlin' or an offset like '+02:00'")
        })?;
        let meaning = match dialect {
            Dialect::Flink => Meaning::Flink,
            Dialect::Postgres => Meaning::Postgres,
        };
        let settings = ScalarSettings { time_zone, meaning };
        if settings == ScalarSettings::default() {
            return Ok(self.clone());
        }
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if others.len() > OTHERS_MAX {
            others.clear();
        }
        Ok(others.entry(settings).or_insert_with(|| Arc::new(Self::with(&settings))).clone())
    }

    fn with(settings: &ScalarSettings) -> Self {
        let mut functions = Self {
            scalar: HashMap::new(),
            higher_order: HashMap::new(),
            aggregate: HashMap::new(),
            window: HashMap::new(),
            expr_planners: expr_planners(settings),
            text_form: Arc::new(eddyline_functions::scalar::text_form(settings)),
            whole_part: Arc::new(eddyline_functions::scalar::whole_part()),
            others: Mutex::default(),
        };
        for f in eddyline_functions::scalar::all(settings) {
            let names: Vec<String> = f.aliases().iter().cloned().chain([f.name().to_owned()]).collect();
            insert(&mut functions.scalar, names, &f);
        }
        for f in datafusion_functions_nested::all_default_higher_order_functions() {
            let names: Vec<String> = f.aliases().iter().cloned().chain([f.name().to_owned()]).collect();
            insert(&mut functions.higher_order, names, &f);
        }
        for f in aggregates() {
            insert(&mut functions.aggregate, vec![f.name().to_owned()], &f);
        }
        for (name, bound) in SPELLINGS {
            let known = functions.aggregate.get(*bound).cloned();
            functions.aggregate.extend(known.map(|f| ((*name).to_owned(), f)));
        }
        for f in datafusion_functions_window::all_default_window_functions() {
            let names = vec![f.name().to_owned()];
            insert(&mut functions.window, names, &super::ranks::as_bigint(f));
        }
        functions
    }

    /// Names of all functions, aggregates included, in order.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.scalar.keys().chain(self.higher_order.keys()).chain(self.aggregate.keys()).cloned().collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// ROW_NUMBER.
pub(crate) fn row_number(functions: &Functions) -> datafusion_common::Result<Arc<WindowUDF>> {
    let found = functions.window.get("row_number").cloned();
    found.ok_or_else(|| datafusion_common::DataFusionError::Internal("there is no ROW_NUMBER".into()))
}

impl Default for Functions {
    fn default() -> Self {
        Self::new()
    }
}

fn insert<F>(into: &mut HashMap<String, Arc<F>>, names: Vec<String>, function: &Arc<F>) {
    for name in names {
        into.insert(name.to_lowercase(), function.clone());
    }
}

/// Other names of aggregates, which `aggregate_syntax` turns into these before they are looked up: here they are
/// for SHOW FUNCTIONS.
const SPELLINGS: &[(&str, &str)] = &[
    ("approx_count_distinct", "count"),
    ("every", "bool_and"),
    ("grouping_id", "grouping"),
    ("listagg", "string_agg"),
    ("median", "percentile_cont"),
    ("percentile", "percentile_cont"),
    ("stddev_samp", "stddev"),
    ("var_samp", "var"),
    ("variance", "var"),
];

/// The aggregates that can be maintained. What is not here is unknown to SQL.
fn aggregates() -> Vec<Arc<AggregateUDF>> {
    eddyline_functions::aggregate::batch::batch_aggregates()
}

fn expr_planners(settings: &ScalarSettings) -> Vec<Arc<dyn ExprPlanner>> {
    vec![
        Arc::new(super::cast_names::ShowCasts),
        eddyline_functions::scalar::syntax_planner(settings),
        Arc::new(datafusion_functions::core::planner::CoreFunctionPlanner::default()),
        Arc::new(datafusion_functions_nested::planner::NestedFunctionPlanner),
        Arc::new(datafusion_functions_nested::planner::FieldAccessPlanner),
        Arc::new(datafusion_functions::datetime::planner::DatetimeFunctionPlanner),
        Arc::new(datafusion_functions::unicode::planner::UnicodeFunctionPlanner),
        Arc::new(datafusion_functions_aggregate::planner::AggregateFunctionPlanner),
        Arc::new(datafusion_functions_window::planner::WindowFunctionPlanner),
    ]
}
