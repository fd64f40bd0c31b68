//! Functions: scalar functions under the names that Flink users type, and aggregates that can take back what
//! they accumulated.
//!
//! Scalar functions are DataFusion `ScalarUDF`s, evaluated by column. Aggregates are
//! [`aggregate::GroupedAccumulator`]s: columnar, many groups at once.
//!
//! Not here: the catalog, planning, the runtime.

pub mod aggregate;
pub mod scalar;
