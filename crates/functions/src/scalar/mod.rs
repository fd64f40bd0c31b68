//! Scalar functions.

use datafusion_common::{Result, plan_err};
use datafusion_expr::ScalarUDF;
use std::sync::Arc;

/// What the results of some scalar functions depend on besides their arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScalarSettings {
    /// Time zone of the session: an IANA name (`Europe/Berlin`) or an offset (`+02:00`).
    pub time_zone: String,
}

impl Default for ScalarSettings {
    fn default() -> Self {
        Self { time_zone: "UTC".into() }
    }
}

/// All scalar functions that SQL can call, DataFusion's own included. Later entries win over earlier ones of
/// the same name or alias.
///
/// # Errors
/// A time zone that is not known.
pub fn all(settings: &ScalarSettings) -> Result<Vec<Arc<ScalarUDF>>> {
    if settings.time_zone.parse::<arrow::array::timezone::Tz>().is_err() {
        return plan_err!("unknown time zone '{}'", settings.time_zone);
    }
    let mut functions = datafusion_functions::all_default_functions();
    functions.extend(datafusion_functions_nested::all_default_nested_functions());
    Ok(functions)
}
