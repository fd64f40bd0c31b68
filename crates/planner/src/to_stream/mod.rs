//! `LogicalPlan` to dataflow nodes: keys, change modes, time columns, phases of aggregates.
//!
//! One file per shape. A [`Stream`] is what has been planned so far of a query: a node and a projection and filter
//! above it that have not become an operator yet, so that chains of them become one `Calc` and what lies directly
//! above a source goes into the source. What cannot be maintained is refused here, never at run time.

mod aggregate;
mod calc;
mod comparison;
mod graph;
mod grouping_sets;
mod join;
#[cfg(test)]
mod join_tests;
mod narrowed;
mod over;
#[cfg(test)]
mod over_tests;
mod places;
mod refuse;
mod scan;
mod session;
#[cfg(test)]
mod session_tests;
mod set_operation;
mod sink;
#[cfg(test)]
mod sink_tests;
mod state_ttl;
mod stream;
mod temporal_filter;
#[cfg(test)]
mod temporal_filter_tests;
#[cfg(test)]
mod tests;
mod top_n;
#[cfg(test)]
mod top_n_tests;
mod union;
mod unnest;
mod upsert;
#[cfg(test)]
mod upsert_tests;
mod values;
mod window;

use graph::Graph;
pub(crate) use refuse::{at_subquery, check, check_rewritten};
pub(crate) use scan::Scans;
pub(crate) use sink::presentation;

use crate::bind::set_operation::SetOperationAll;
use crate::bind::state_ttl::{Hint, StateTtl};
use crate::bind::unnest::Unnest;
use crate::bind::window_assign::WindowAssign;
use crate::checked::Compiler;
use crate::{Planner, SqlError};
use datafusion_expr::{Distinct, LogicalPlan};
use eddyline_functions::scalar::Moments;
use std::collections::BTreeMap;
use std::sync::Arc;
use stream::Stream;
use top_n::Numbered;

/// Plans the queries of one job into one graph.
pub(crate) struct Builder<'p, 'a> {
    pub(crate) planner: &'p Planner<'a>,
    pub(crate) compiler: Compiler,
    pub(crate) scans: Scans,
    pub(crate) graph: Graph,
    pub(crate) warnings: Vec<String>,
    /// The table that the query at hand goes into, if it takes insertions only.
    pub(crate) insertions_into: Option<String>,
    /// The STATE_TTL hints that were met, and whether an operator does what they say.
    hints: BTreeMap<Arc<Hint>, bool>,
    /// What is computed now is bound to them.
    pub(crate) moments: Arc<Moments>,
}

impl<'p, 'a> Builder<'p, 'a> {
    /// A builder for queries that read tables as `scans` says.
    pub(crate) fn new(planner: &'p Planner<'a>, scans: Scans) -> Self {
        let compiler = Compiler::new(planner.config());
        let moments = Moments::standing_at(planner.options.moment);
        Self {
            planner,
            compiler,
            scans,
            graph: Graph::new(planner.options.state_ttl_ms),
            warnings: Vec::new(),
            insertions_into: None,
            hints: BTreeMap::new(),
            moments,
        }
    }

    /// The stream of a plan's rows. Columns stand where the plan's schema has them.
    pub(crate) fn stream(&mut self, plan: &LogicalPlan) -> Result<Stream, SqlError> {
        match plan {
            LogicalPlan::Projection(p) => {
                let input = self.stream(&p.input)?;
                self.project(input, &p.expr, p.input.schema(), &p.schema)
            }
            LogicalPlan::Filter(f) => {
                if let Some(numbered) = Numbered::of(f) {
                    return self.top_n(&numbered, f);
                }
                let input = self.stream(&f.input)?;
                self.filter(input, &f.predicate, f.input.schema())
            }
            LogicalPlan::SubqueryAlias(a) => self.stream(&a.input),
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::Aggregate(a) => self.aggregate(a),
            LogicalPlan::Distinct(Distinct::All(input)) => self.distinct(input),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Union(u) => self.union(u),
            LogicalPlan::Window(window) => self.over(window),
            LogicalPlan::Values(v) => self.values(v),
            LogicalPlan::EmptyRelation(e) => self.empty(e),
            LogicalPlan::Extension(e) => {
                let node = e.node.as_any();
                if let Some(assign) = node.downcast_ref::<WindowAssign>() {
                    self.window_assign(assign)
                } else if let Some(set) = node.downcast_ref::<SetOperationAll>() {
                    self.set_operation(set)
                } else if let Some(unnest) = node.downcast_ref::<Unnest>() {
                    self.unnest(unnest)
                } else if let Some(ttl) = node.downcast_ref::<StateTtl>() {
                    self.hinted(ttl)
                } else {
                    Err(refuse::refused(plan))
                }
            }
            other => Err(refuse::refused(other)),
        }
    }
}
