//! SQL text to dataflow plan, in named stages: `parse → bind → optimize → to_stream → fragment`.
//!
//! | stage | from | to |
//! |---|---|---|
//! | [`parse`] | SQL text | [`statement::Statement`]s (queries as sqlparser trees) |
//! | bind | a query and the catalog | a DataFusion `LogicalPlan` |
//! | optimize | `LogicalPlan` | `LogicalPlan`, by rules that hold for changing tables |
//! | to_stream | `LogicalPlan` | nodes with keys, change modes and time columns |
//! | fragment | nodes | [`eddyline_plan::Dataflow`] |
//!
//! No I/O anywhere. Not here: operators' code, state, the runtime.

mod bind;
mod checked;
mod deep;
mod error;
mod explain;
#[cfg(test)]
mod fixtures;
mod fragment;
mod optimize;
mod parameters;
pub mod parse;
mod planner;
mod reads;
mod rename;
mod stars;
pub mod statement;
mod to_stream;
mod with_names;

pub use bind::Functions;
pub use bind::set_operation::SetOperationAll;
pub use bind::unnest::Unnest;
pub use bind::window_assign::{Cut, WindowAssign};
pub use eddyline_catalog::Dialect;
pub use error::{Constraint, SqlError, TextPosition};
pub use optimize::with_marks as subqueries_with_marks;
pub use parameters::{
    Parameter, ParameterValue, StandIns, parameter_column, parameter_type, parameter_types, rows_over_parameters,
    with_constants, with_parameters, with_stand_ins,
};
pub use parse::{Split, in_double_quotes, parse, parse_in, split};
pub use planner::{
    BoundQuery, Emit, JobOutput, PlannedJob, Planner, PlannerOptions, Presentation, SortColumn, StateTables,
    TableGives, TableReads, TableTakes, Target,
};
pub use reads::{NamesRead, names_read, relations_named};
pub use rename::{renamed, with_schemas};
pub use stars::with_columns_named;
