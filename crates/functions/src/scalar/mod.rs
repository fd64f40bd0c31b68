//! Scalar functions.

mod zone;

pub use zone::Zone;

use datafusion_expr::ScalarUDF;
use std::sync::Arc;

/// What the results of some scalar functions depend on besides their arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScalarSettings {
    /// Time zone of the session.
    pub time_zone: Zone,
}

impl Default for ScalarSettings {
    fn default() -> Self {
        Self { time_zone: Zone::utc() }
    }
}

/// All scalar functions that SQL can call, DataFusion's own included. Later entries win over earlier ones of
/// the same name or alias.
pub fn all(settings: &ScalarSettings) -> Vec<Arc<ScalarUDF>> {
    let _ = settings.time_zone;
    let mut functions = datafusion_functions::all_default_functions();
    functions.extend(datafusion_functions_nested::all_default_nested_functions());
    functions
}
