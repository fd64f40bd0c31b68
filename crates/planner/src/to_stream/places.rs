//! Where in a query the first thing of a kind stands, for errors.

use crate::TextPosition;
use crate::bind::position_of;
use sqlparser::ast::{Expr, Function, LimitClause, OrderByKind, Query, Spanned, Visit, Visitor};
use std::ops::ControlFlow;

type Found = ControlFlow<TextPosition>;

fn found(place: Option<TextPosition>) -> Found {
    match place {
        Some(place) => ControlFlow::Break(place),
        None => ControlFlow::Continue(()),
    }
}

/// Looks through a query with functions that know a place when they see it.
struct Look {
    expr: fn(&Expr) -> Option<TextPosition>,
    query: fn(&Query) -> Option<TextPosition>,
}

impl Visitor for Look {
    type Break = TextPosition;
    fn pre_visit_expr(&mut self, expr: &Expr) -> Found {
        found((self.expr)(expr))
    }
    fn pre_visit_query(&mut self, query: &Query) -> Found {
        found((self.query)(query))
    }
}

const NOTHING: Look = Look { expr: |_| None, query: |_| None };

fn look(query: &Query, mut look: Look) -> Option<TextPosition> {
    query.visit(&mut look).break_value()
}

/// A function with OVER.
pub(super) fn over(query: &Query) -> Option<TextPosition> {
    let expr = |e: &Expr| match e {
        Expr::Function(Function { name, over: Some(_), .. }) => position_of(name.span()),
        _ => None,
    };
    look(query, Look { expr, ..NOTHING })
}

/// A subquery in an expression.
pub(super) fn subquery(query: &Query) -> Option<TextPosition> {
    let expr = |e: &Expr| match e {
        Expr::Subquery(q) => position_of(q.span()),
        Expr::InSubquery { expr, .. } => position_of(expr.span()),
        Expr::Exists { subquery, .. } => position_of(subquery.span()),
        Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } => position_of(right.span()),
        _ => None,
    };
    look(query, Look { expr, ..NOTHING })
}

/// The first key of an ORDER BY.
pub(super) fn order_by(query: &Query) -> Option<TextPosition> {
    let query_ = |q: &Query| match &q.order_by.as_ref()?.kind {
        OrderByKind::Expressions(keys) => position_of(keys.first()?.expr.span()),
        OrderByKind::All(_) => None,
    };
    look(query, Look { query: query_, ..NOTHING })
}

/// The number of a LIMIT.
pub(super) fn limit(query: &Query) -> Option<TextPosition> {
    let query_ = |q: &Query| match q.limit_clause.as_ref()? {
        LimitClause::LimitOffset { limit: Some(limit), .. } => position_of(limit.span()),
        LimitClause::LimitOffset { offset: Some(offset), .. } => position_of(offset.value.span()),
        _ => None,
    };
    look(query, Look { query: query_, ..NOTHING })
}
