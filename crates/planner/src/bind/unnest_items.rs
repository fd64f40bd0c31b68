//! `SELECT a[1], unnest(a) FROM t`: UNNEST in the list of a SELECT beside other expressions over columns of the same names.
//!
//! The binder computes what stands beside an UNNEST below it, next to the columns that are in it, and does not tell the one from the other where an
//! expression has the name of such a column. There the lists are unnested in FROM, which means the same where each row of FROM is one of the SELECT:
//! no aggregate stands between.

use super::group_window::function_name;
use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, Join, JoinConstraint,
    JoinOperator, Query, Select, SelectItem, TableAlias, TableAliasColumnDef, TableFactor, TableWithJoins, Visit,
    VisitMut, Visitor, VisitorMut,
};
use std::collections::HashSet;
use std::ops::ControlFlow;

/// The name that the lists have in FROM.
const LISTS: &str = "unnested lists";

/// Puts UNNEST into FROM where the binder would take one column for another.
pub(super) fn rewrite(query: &mut Query, is_aggregate: &dyn Fn(&str) -> bool) {
    struct Rewriter<'a>(&'a dyn Fn(&str) -> bool);
    impl VisitorMut for Rewriter<'_> {
        type Break = ();

        fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
            if is_mistaken(select, self.0) {
                into_from(select);
            }
            ControlFlow::Continue(())
        }
    }
    let _ = VisitMut::visit(query, &mut Rewriter(is_aggregate));
}

/// Does an expression beside an UNNEST have the name of a column in it, in a SELECT that has the rows of its FROM?
fn is_mistaken(select: &Select, is_aggregate: &dyn Fn(&str) -> bool) -> bool {
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
    if grouped || select.having.is_some() || select.from.is_empty() {
        return false;
    }
    let (mut aliases, mut found) = (HashSet::new(), Mentioned::new(is_aggregate));
    for item in &select.projection {
        let expr = match item {
            SelectItem::UnnamedExpr(expr) => expr,
            SelectItem::ExprWithAlias { expr, alias } => {
                if !matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
                    aliases.insert(alias.value.as_str());
                }
                expr
            }
            _ => return false,
        };
        let _ = expr.visit(&mut found);
    }
    found.unnests && !found.refused && aliases.iter().any(|alias| found.columns.contains(*alias))
}

/// What the expressions of a list mention.
struct Mentioned<'a> {
    is_aggregate: &'a dyn Fn(&str) -> bool,
    columns: HashSet<String>,
    unnests: bool,
    refused: bool,
}

impl<'a> Mentioned<'a> {
    fn new(is_aggregate: &'a dyn Fn(&str) -> bool) -> Self {
        Self { is_aggregate, columns: HashSet::new(), unnests: false, refused: false }
    }
}

impl Visitor for Mentioned<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(name) => _ = self.columns.insert(name.value.clone()),
            Expr::CompoundIdentifier(parts) => self.columns.extend(parts.last().map(|name| name.value.clone())),
            Expr::Function(function) => match unnested(function) {
                Some(list) => {
                    self.refused |= has_unnest(list);
                    self.unnests = true;
                }
                None => self.refused |= function.over.is_some() || (self.is_aggregate)(&function_name(function)),
            },
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn has_unnest(expr: &Expr) -> bool {
    struct Any;
    impl Visitor for Any {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(function) if unnested(function).is_some() => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    expr.visit(&mut Any).is_break()
}

/// The list of `unnest(list)`.
fn unnested(function: &Function) -> Option<&Expr> {
    let FunctionArguments::List(list) = &function.args else { return None };
    match (function_name(function).as_str(), list.args.as_slice()) {
        ("UNNEST", [FunctionArg::Unnamed(FunctionArgExpr::Expr(list))]) => Some(list),
        _ => None,
    }
}

/// Unnests the lists in FROM, side by side as they are in the list of a SELECT.
fn into_from(select: &mut Select) {
    struct Lists(Vec<Expr>);
    impl VisitorMut for Lists {
        type Break = ();

        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::Function(function) = expr
                && let Some(list) = unnested(function)
            {
                let known = self.0.iter().position(|known| known == list);
                let at = known.unwrap_or_else(|| {
                    self.0.push(list.clone());
                    self.0.len() - 1
                });
                *expr = Expr::CompoundIdentifier(vec![Ident::with_quote('`', LISTS), column(at)]);
            }
            ControlFlow::Continue(())
        }
    }
    let mut lists = Lists(Vec::new());
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            let _ = VisitMut::visit(expr, &mut lists);
        }
    }
    let columns = (0..lists.0.len()).map(|at| TableAliasColumnDef { name: column(at), data_type: None }).collect();
    let alias = TableAlias { explicit: true, name: Ident::with_quote('`', LISTS), columns, at: None };
    let relation = TableFactor::UNNEST {
        alias: Some(alias),
        array_exprs: lists.0,
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: false,
    };
    match select.from.as_mut_slice() {
        [one] => one.joins.push(Join {
            relation,
            global: false,
            join_operator: JoinOperator::CrossJoin(JoinConstraint::None),
        }),
        _ => select.from.push(TableWithJoins { relation, joins: Vec::new() }),
    }
}

fn column(at: usize) -> Ident {
    Ident::with_quote('`', format!("list {at}"))
}
