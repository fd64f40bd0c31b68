//! The hint `STATE_TTL('orders' = '3 d')`: how long operators keep rows of an input of a query block.
//!
//! The hint names tables, views, subqueries and common table expressions of FROM. Each of them is put into brackets
//! with a mark ([`wrap`]), which the binder makes a node over it ([`StateTtl`]) that changes nothing and is carried through
//! optimization. The first operator above it that keeps rows finds the time there.

use super::window_tvf::table_named;
use crate::SqlError;
use crate::parse::times_to_live;
use datafusion_common::{DFSchemaRef, Result, plan_err};
use datafusion_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use eddyline_plan::TimeToLive;
use sqlparser::ast::{Ident, Join, JoinConstraint, JoinOperator, Select, TableAlias, TableFactor, TableWithJoins};
use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

/// Name of the table that marks brackets.
const MARK: &str = "__state_ttl";

/// What a query says of one input.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Hint {
    /// As the hint calls the input.
    pub(crate) name: String,
    /// Milliseconds; 0: for ever.
    pub(crate) ms: u64,
    /// Which of the hints it is.
    place: String,
}

/// The rows of the input, of which operators above keep what they must for a time only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct StateTtl {
    input: Arc<LogicalPlan>,
    hint: Arc<Hint>,
}

impl StateTtl {
    /// The rows.
    pub(crate) fn input(&self) -> &LogicalPlan {
        &self.input
    }

    /// For how long.
    pub(crate) fn hint(&self) -> &Arc<Hint> {
        &self.hint
    }
}

impl PartialOrd for StateTtl {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        if self == other { Some(Ordering::Equal) } else { None }
    }
}

impl UserDefinedLogicalNodeCore for StateTtl {
    fn name(&self) -> &str {
        "StateTtl"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![]
    }

    /// All of them may be tested below.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        HashSet::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StateTtl: {} {}", self.hint.name, TimeToLive::of_hint(self.hint.ms))
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        match inputs.pop() {
            Some(input) => Ok(Self { input: Arc::new(input), hint: self.hint.clone() }),
            None => plan_err!("STATE_TTL has one input"),
        }
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![output_columns.to_vec()])
    }
}

/// Puts what the hints of a query block name into marked brackets.
///
/// # Errors
/// A name that is none of the block.
pub(super) fn wrap(select: &mut Select) -> std::result::Result<(), SqlError> {
    for ttl in times_to_live(&std::mem::take(&mut select.optimizer_hints))? {
        let is_alias = named(select, &|names| names[0] == ttl.name);
        let is_name = |names: &[String]| names.contains(&ttl.name);
        // What another hint has marked has no names any more.
        let is_meant = |names: &[String]| if is_alias { names.first() == Some(&ttl.name) } else { is_name(names) };
        if !is_alias && !named(select, &is_name) {
            let mut known = Vec::new();
            let mut note = |factor: &mut TableFactor| known.extend(names(factor).into_iter().take(1));
            each(&mut select.from, &mut note);
            let error = SqlError::new(SqlError::INVALID, format!("STATE_TTL: {} is no table of this FROM", ttl.name));
            let hint = match known.is_empty() {
                true => "its tables have no names: write (…) AS name".to_owned(),
                false => format!("its names are: {}", known.join(", ")),
            };
            return Err(error.with_hint(hint).at(ttl.position));
        }
        let place = format!("{}:{}", ttl.position.line, ttl.position.column);
        each(&mut select.from, &mut |factor| {
            if is_meant(&names(factor)) {
                mark(factor, [ttl.name.clone(), ttl.ms.to_string(), place.clone()]);
            }
        });
    }
    Ok(())
}

/// Is there a table in FROM whose names are wanted?
fn named(select: &mut Select, is_wanted: &dyn Fn(&[String]) -> bool) -> bool {
    let mut found = false;
    each(&mut select.from, &mut |factor| {
        let names = names(factor);
        found |= !names.is_empty() && is_wanted(&names);
    });
    found
}

/// What a hint may call a table: what the query calls it first, then its own name.
fn names(factor: &TableFactor) -> Vec<String> {
    let alias = |alias: &Option<TableAlias>| alias.as_ref().map(|a| a.name.value.clone());
    match factor {
        TableFactor::Table { name, alias: a, .. } => {
            let own = name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.clone());
            alias(a).into_iter().chain(own).collect()
        }
        TableFactor::Derived { lateral: false, alias: a, .. }
        | TableFactor::TableFunction { alias: a, .. }
        | TableFactor::NestedJoin { alias: a, .. } => alias(a).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// Calls for every table of a FROM clause; brackets without a name are looked into.
fn each(from: &mut [TableWithJoins], visit: &mut dyn FnMut(&mut TableFactor)) {
    let mut factor = |factor: &mut TableFactor| match factor {
        TableFactor::NestedJoin { table_with_joins, alias: None } if marked(table_with_joins).is_none() => {
            each(std::slice::from_mut(table_with_joins), visit);
        }
        other => visit(other),
    };
    for from in from {
        factor(&mut from.relation);
        from.joins.iter_mut().for_each(|join| factor(&mut join.relation));
    }
}

/// Puts a table into brackets with a mark.
fn mark(factor: &mut TableFactor, words: [String; 3]) {
    let words = [MARK.to_owned()].into_iter().chain(words).map(|word| Ident::with_quote('`', word));
    let mark = table_named(words.collect());
    let join = Join { relation: mark, global: false, join_operator: JoinOperator::CrossJoin(JoinConstraint::None) };
    let relation = factor.clone();
    let table_with_joins = Box::new(TableWithJoins { relation, joins: vec![join] });
    *factor = TableFactor::NestedJoin { table_with_joins, alias: None };
}

/// The hint that brackets are marked with.
fn marked(brackets: &TableWithJoins) -> Option<Hint> {
    let [join] = brackets.joins.as_slice() else { return None };
    let TableFactor::Table { name, .. } = &join.relation else { return None };
    let words: Vec<&str> = name.0.iter().filter_map(|p| p.as_ident()).map(|i| i.value.as_str()).collect();
    match words[..] {
        [MARK, name, ms, place] => Some(Hint { name: name.into(), ms: ms.parse().ok()?, place: place.into() }),
        _ => None,
    }
}

/// Plans brackets with a mark.
#[derive(Debug)]
pub(super) struct StateTtlPlanner;

impl RelationPlanner for StateTtlPlanner {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let hint = match &relation {
            TableFactor::NestedJoin { table_with_joins, alias: None } => marked(table_with_joins),
            _ => None,
        };
        match (hint, relation) {
            (Some(hint), TableFactor::NestedJoin { table_with_joins, .. }) => {
                let input = Arc::new(context.plan(table_with_joins.relation)?);
                let node = Arc::new(StateTtl { input, hint: Arc::new(hint) });
                let plan = LogicalPlan::Extension(Extension { node });
                Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None))))
            }
            (_, relation) => Ok(RelationPlanning::Original(Box::new(relation))),
        }
    }
}
