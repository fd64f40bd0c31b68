use datafusion_expr::ScalarUDF;
use std::collections::HashMap;
use std::sync::Arc;

/// All functions that SQL can call, by lower-case name. Made once and shared.
#[derive(Debug)]
pub struct Functions {
    scalar: HashMap<String, Arc<ScalarUDF>>,
}

impl Functions {
    /// All built-in functions.
    pub fn new() -> Self {
        let mut scalar = HashMap::new();
        for function in eddyline_functions::scalar::all(&Default::default()) {
            for alias in function.aliases() {
                scalar.insert(alias.to_lowercase(), function.clone());
            }
            scalar.insert(function.name().to_lowercase(), function);
        }
        Self { scalar }
    }

    /// Names of all functions, in order.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.scalar.keys().cloned().collect();
        names.sort_unstable();
        names
    }
}

impl Default for Functions {
    fn default() -> Self {
        Self::new()
    }
}
