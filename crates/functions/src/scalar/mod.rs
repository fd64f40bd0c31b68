//! Scalar functions.

use datafusion_expr::ScalarUDF;
use std::sync::Arc;

/// All scalar functions that SQL can call, DataFusion's own included. Later entries win over earlier ones of
/// the same name or alias.
pub fn all() -> Vec<Arc<ScalarUDF>> {
    let mut functions = datafusion_functions::all_default_functions();
    functions.extend(datafusion_functions_nested::all_default_nested_functions());
    functions
}
