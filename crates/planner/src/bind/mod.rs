//! Names and types: a parsed query and the catalog to a DataFusion `LogicalPlan`.
//!
//! The syntax tree is rewritten first ([`syntax`]), then DataFusion's `SqlToRel` binds it over a [`context`] of
//! ours (tables, views, functions, types, window table functions), then literals get their types and coercion
//! inserts casts. Names are case-sensitive; the parser has folded those that the dialect folds.
//!
//! Not here: any rewriting for speed (`optimize`), anything about changes (`to_stream`).

mod aggregate_syntax;
mod assignment;
mod cast_names;
mod casts;
mod common_type;
mod context;
mod dates;
mod distinct_on;
pub(crate) mod errors;
mod expressions;
mod frames;
mod functions;
mod group_window;
mod jsonb;
mod literals;
mod order_by;
mod outer_types;
mod postgres;
mod postgres_syntax;
mod ranks;
mod result_names;
pub(crate) mod set_operation;
mod state_table;
pub(crate) mod state_ttl;
mod syntax;
mod table;
mod table_source;
#[cfg(test)]
mod tests;
mod types;
pub(crate) mod unnest;
mod unnest_items;
mod using;
mod using_join;
pub(crate) mod window_assign;
mod window_tvf;

pub(crate) use assignment::{assigned, first_columns};
pub(crate) use distinct_on::distinct_on_in_order;
pub use functions::Functions;
pub(crate) use functions::row_number;
pub(crate) use ranks::ranking;
pub(crate) use result_names::{name_of, shown_names};
pub(crate) use table_source::{BoundView, CatalogTable};
pub(crate) use window_tvf::{TABLE_ARGUMENT, position_of};

use crate::{Planner, SqlError};
use context::Context;
use datafusion_common::config::ConfigOptions;
use datafusion_expr::LogicalPlan;
use datafusion_expr::logical_plan::InvariantLevel;
use datafusion_expr::planner::ContextProvider;
use datafusion_optimizer::AnalyzerRule;
use datafusion_optimizer::analyzer::resolve_grouping_function::ResolveGroupingFunction;
use datafusion_optimizer::analyzer::type_coercion::TypeCoercion;
use datafusion_sql::planner::{NullOrdering, ParserOptions, SqlToRel};
use eddyline_catalog::{Dialect, Name, Object, View};
use sqlparser::ast::{Query, Statement};
use std::sync::Arc;

impl Planner<'_> {
    /// What DataFusion's parts are told of the session.
    pub(crate) fn config(&self) -> Arc<ConfigOptions> {
        let mut config = ConfigOptions::new();
        config.execution.time_zone = Some(self.options.time_zone.clone());
        config.execution.enable_ansi_mode = true;
        // Scalar subqueries become joins, which are maintained; nobody computes them once beforehand.
        config.optimizer.enable_physical_uncorrelated_scalar_subquery = false;
        // ORDER BY in a subquery means nothing without LIMIT; dropping it is DataFusion's default, and ours.
        Arc::new(config)
    }

    /// A query, bound and coerced.
    pub(crate) fn bind(&self, query: &Query) -> Result<LogicalPlan, SqlError> {
        self.bind_as(query, self.options.dialect)
    }

    /// The bound query of a materialized view; `None`: the name is that of something else.
    pub(crate) fn definition(&self, name: &Name) -> Option<LogicalPlan> {
        let Ok(Object::MaterializedView(view)) = self.catalog.object(name) else { return None };
        Context::new(self).and_then(|context| context.definition(&view.view)).ok()
    }

    /// As [`bind`](Self::bind), of a query that was written in a dialect.
    fn bind_as(&self, query: &Query, dialect: Dialect) -> Result<LogicalPlan, SqlError> {
        bind_in(&Context::new(self)?, query, dialect)
    }
}

fn parser_options(dialect: Dialect) -> ParserOptions {
    ParserOptions::new()
        .with_parse_float_as_decimal(true)
        .with_enable_ident_normalization(false)
        .with_support_varchar_with_length(true)
        .with_map_string_types_to_utf8view(false)
        .with_collect_spans(true)
        .with_default_null_ordering(match dialect {
            Dialect::Flink => NullOrdering::NullsMin,
            Dialect::Postgres => NullOrdering::NullsMax,
        })
}

fn bind_in(context: &Context<'_, '_>, query: &Query, dialect: Dialect) -> Result<LogicalPlan, SqlError> {
    context.written_in(dialect, || bound_in(context, query, dialect))
}

fn bound_in(context: &Context<'_, '_>, query: &Query, dialect: Dialect) -> Result<LogicalPlan, SqlError> {
    let mut rewritten = syntax::rewrite(query, dialect)?;
    unnest_items::rewrite(&mut rewritten, &|name| context.get_aggregate_meta(name).is_some());
    let plan_of = |rewritten: Query| {
        SqlToRel::new_with_options(context, parser_options(dialect))
            .sql_statement_to_plan(Statement::Query(Box::new(rewritten)))
            .map_err(|e| errors::of_query(e, query))
    };
    using::rewrite(&mut rewritten, &|from| plan_of(from).map(|plan| plan.schema().clone()))?;
    let plan = plan_of(rewritten)?;
    let mut rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> = vec![
        Arc::new(cast_names::CastsAsTheyAre),
        Arc::new(distinct_on::DistinctOnInOrder),
        Arc::new(order_by::SortedBySubqueries),
        Arc::new(unnest::UnnestsOverTables),
        Arc::new(ResolveGroupingFunction::new()),
        Arc::new(literals::IntegerLiterals),
        Arc::new(casts::RefusedCasts),
        Arc::new(dates::DatesWithHours),
        Arc::new(set_operation::SetOperationsAll),
        Arc::new(common_type::CommonTypes),
        Arc::new(outer_types::OuterTypes),
        Arc::new(frames::FrameDistances),
    ];
    if dialect == Dialect::Postgres {
        let round = context.get_function_meta("round");
        let round = round.ok_or_else(|| SqlError::new(SqlError::INTERNAL, "there is no function ROUND"))?;
        rules.push(Arc::new(postgres::PostgresMeanings { round }));
    }
    rules.push(Arc::new(jsonb::JsonbAsText));
    rules.push(Arc::new(TypeCoercion::new()));
    let (text_form, whole_part) = (context.text_form(), context.whole_part());
    let of_postgres = (dialect == Dialect::Postgres).then(|| context.zone());
    rules.push(Arc::new(casts::SqlCasts { text_form, whole_part, of_postgres }));
    // Not by DataFusion's `Analyzer`, which refuses subqueries that its own rules do not make joins of.
    let analyze = |plan: LogicalPlan| -> datafusion_common::Result<LogicalPlan> {
        plan.check_invariants(InvariantLevel::Always)?;
        let plan = rules.iter().try_fold(plan, |plan, rule| rule.analyze(plan, context.options()))?;
        plan.check_invariants(InvariantLevel::Always)?;
        Ok(plan)
    };
    analyze(plan).map_err(|e| errors::of_query(e, query))
}

/// The bound query of a view, with the view's column names.
fn view_plan(context: &Context<'_, '_>, view: &View) -> Result<LogicalPlan, SqlError> {
    let query = parsed_query(&view.sql, view.dialect)?;
    let plan = bind_in(context, &query, view.dialect)?;
    named_columns(plan, view)
}

/// Gives a view's query the column names of the view.
pub(crate) fn named_columns(plan: LogicalPlan, view: &View) -> Result<LogicalPlan, SqlError> {
    if view.columns.is_empty() {
        return Ok(plan);
    }
    let found = plan.schema().fields().len();
    if found != view.columns.len() {
        return Err(SqlError::new(
            SqlError::INVALID,
            format!("view {} names {} columns, its query has {found}", view.name, view.columns.len()),
        ));
    }
    let columns = plan.schema().columns();
    let named = columns.into_iter().zip(&view.columns).map(|(c, n)| datafusion_expr::Expr::Column(c).alias(n));
    datafusion_expr::LogicalPlanBuilder::from(plan).project(named).and_then(|b| b.build()).map_err(errors::plain)
}

/// A query kept as text in the catalog.
fn parsed_query(sql: &str, dialect: Dialect) -> Result<Query, SqlError> {
    crate::parse::parse_query(sql, dialect).map(|q| *q)
}
