//! Names and types: a parsed query and the catalog to a DataFusion `LogicalPlan`.

mod functions;

pub use functions::Functions;
