//! The dataflow plan as plain data: what runs, where its rows come from and how they are dealt out to shards.
//!
//! The planner makes a [`Dataflow`], the runtime runs it, and neither knows the other. Nodes form a directed
//! acyclic graph in topological order. Edges that are not [`Distribution::Forward`] are exchanges; what is
//! connected by forward edges is one **fragment**.
//!
//! Expressions are DataFusion physical expressions over the columns of the node's input, by position. They
//! print, compare and evaluate; nothing here evaluates them.
//!
//! Not here: the catalog, connectors, operators' code, how anything runs. Start at [`Dataflow`].

pub mod aggregate;
mod conditions;
mod dataflow;
mod display;
mod expression;
mod join;
mod keyed;
mod origin;
mod over;
mod session;
mod set_operation;
mod spec;
mod temporal_filter;
mod top_n;
mod ttl;
mod unnest;
pub mod window;

pub use aggregate::{AggregateCall, AggregatePhase, GroupAggregateSpec, ValueList, ValueOrder};
pub use conditions::ColumnCondition;
pub use dataflow::{
    ChangeMode, ChangeTraits, Dataflow, Distribution, Fragment, FragmentId, Input, Node, NodeId, OperatorId, PlanError,
};
pub use expression::{Expression, NamedExpression};
pub use join::{Compare, Comparison, JoinKind, JoinSpec, TimeKey, Until};
pub use keyed::{ChangelogNormalizeSpec, Conflict, SinkMaterializeSpec};
pub use origin::{KeptColumn, RowsForm, RowsOrigin, StateOrigin, Words, state_origins};
pub use over::{Frame, FrameBound, FrameOffset, FrameUnits, OverCall, OverFunction, OverSpec};
pub use session::{SessionAggregateSpec, SessionAssignSpec, session_times};
pub use set_operation::{SetOperation, SetOperationSpec};
pub use spec::{CalcSpec, KNOWN_BY, OperatorSpec, SinkSpec, SourceSpec, ValuesSpec, WatermarkSpec};
pub use temporal_filter::{Clock, Months, TemporalFilterSpec, TimeBound, TimeTest};
pub use top_n::{OrderColumn, Ranking, TopNSpec};
pub use ttl::{TimeToLive, TtlOrigin};
pub use unnest::UnnestSpec;
pub use window::{Window, WindowAggregateSpec, WindowAssignSpec};
