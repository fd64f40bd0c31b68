//! The older form of windows: `GROUP BY TUMBLE(ts, …)` becomes a window table function in FROM, and `TUMBLE_START(…)` and the like its columns.
//!
//! The sessions of `GROUP BY k, SESSION(ts, gap)` are those of the rows that are equal in all other keys and that WHERE leaves: it goes below.

use super::result_names::name_of;
use super::syntax::{argument_list, call};
use super::window_tvf::{DESCRIPTOR, TABLE_ARGUMENT, position_of};
use crate::SqlError;
use eddyline_catalog::Dialect;
use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, Query, Select, SelectItem,
    SetExpr, Spanned, TableFactor, Visit, VisitMut, Visitor, VisitorMut, WildcardAdditionalOptions,
};
use std::ops::ControlFlow;

/// A group window of the older form.
struct GroupWindow {
    function: Function,
    arguments: Vec<Expr>,
    /// The columns whose values have sessions of their own.
    partition: Vec<Expr>,
}

/// The functions that make windows, with the number of their arguments and how they are written.
const WINDOWS: [(&str, std::ops::RangeInclusive<usize>, &str); 3] = [
    ("TUMBLE", 2..=3, "TUMBLE(time, size)"),
    ("HOP", 3..=4, "HOP(time, slide, size)"),
    ("SESSION", 2..=2, "SESSION(time, gap)"),
];

pub(super) fn function_name(function: &Function) -> String {
    function.name.to_string().to_uppercase()
}

fn arguments(function: &Function) -> Vec<Expr> {
    match &function.args {
        FunctionArguments::List(list) => list
            .args
            .iter()
            .filter_map(|a| match a {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => Some(e.clone()),
                _ => None,
            })
            .collect(),
        _ => vec![],
    }
}

/// The window column that `TUMBLE_START(…)` and its like stand for.
fn window_property(function: &Function) -> Option<&'static str> {
    let name = function_name(function);
    let (window, property) = name.rsplit_once('_')?;
    if !matches!(window, "TUMBLE" | "HOP" | "SESSION") {
        return None;
    }
    Some(match property {
        "START" => "window_start",
        "END" => "window_end",
        "ROWTIME" => "window_time",
        "PROCTIME" => "proctime",
        _ => return None,
    })
}

fn refuse(function: &Function, error: SqlError) -> SqlError {
    match position_of(function.name.span()) {
        Some(place) => error.at(place),
        None => error,
    }
}

pub(super) fn rewrite_group_window(select: &mut Select, dialect: Dialect) -> Result<(), SqlError> {
    let Some(window) = take_group_window(select)? else {
        return match stray_property(select) {
            Some(f) => {
                let name = function_name(&f);
                let (window, _) = name.rsplit_once('_').unwrap_or((&name, ""));
                let error = SqlError::new(SqlError::INVALID, format!("{name} without GROUP BY {window}(…)"))
                    .with_hint(format!("group by {window}(…) with the same arguments"));
                Err(refuse(&f, error))
            }
            None => Ok(()),
        };
    };
    into_table_function(select, &window)?;
    replace_properties(select, &window, dialect)
}

/// Takes the window function out of GROUP BY and puts the window columns in its place.
fn take_group_window(select: &mut Select) -> Result<Option<GroupWindow>, SqlError> {
    let GroupByExpr::Expressions(keys, _) = &mut select.group_by else { return Ok(None) };
    let is_window = |e: &Expr| match e {
        Expr::Function(f) => matches!(function_name(f).as_str(), "TUMBLE" | "HOP" | "SESSION"),
        _ => false,
    };
    let Some(at) = keys.iter().position(is_window) else { return Ok(None) };
    let Expr::Function(function) = keys.remove(at) else { return Ok(None) };
    if let Some(Expr::Function(second)) = keys.iter().find(|e| is_window(e)) {
        return Err(refuse(second, SqlError::new(SqlError::INVALID, "GROUP BY has two windows")));
    }
    let name = function_name(&function);
    let arguments = arguments(&function);
    for (_, wanted, form) in WINDOWS.iter().filter(|(window, ..)| *window == name) {
        if !wanted.contains(&arguments.len()) {
            let error = SqlError::new(SqlError::INVALID, format!("{name} has {} arguments", arguments.len()))
                .with_hint(format!("write {form}"));
            return Err(refuse(&function, error));
        }
    }
    let partition = match name.as_str() {
        "SESSION" => keys.iter().map(|key| key_column(key, &function)).collect::<Result<_, _>>()?,
        _ => Vec::new(),
    };
    for column in ["window_start", "window_end", "window_time"].into_iter().rev() {
        keys.insert(at, Expr::Identifier(Ident::new(column)));
    }
    Ok(Some(GroupWindow { function, arguments, partition }))
}

/// The column of the table that a key of GROUP BY beside a session names.
fn key_column(key: &Expr, function: &Function) -> Result<Expr, SqlError> {
    match key {
        Expr::Identifier(_) => Ok(key.clone()),
        Expr::CompoundIdentifier(parts) if !parts.is_empty() => Ok(Expr::Identifier(parts[parts.len() - 1].clone())),
        _ => {
            let error = SqlError::new(SqlError::UNSUPPORTED, format!("GROUP BY {key} beside a SESSION"))
                .with_hint("sessions are those of columns: compute it in a subquery in FROM, and group by its name");
            Err(refuse(function, error))
        }
    }
}

/// `FROM t` becomes `FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(time), …))`.
fn into_table_function(select: &mut Select, window: &GroupWindow) -> Result<(), SqlError> {
    let is_session = function_name(&window.function) == "SESSION";
    let rows = if is_session { filtered(select) } else { None };
    let (factor, alias, data) = match select.from.as_mut_slice() {
        [from] if from.joins.is_empty() => match &mut from.relation {
            TableFactor::Table { name, alias, args: None, .. } => {
                let parts: Vec<Ident> = name.0.iter().filter_map(|p| p.as_ident().cloned()).collect();
                let alias = alias.clone();
                (&mut from.relation, alias, Expr::CompoundIdentifier(parts))
            }
            TableFactor::Derived { subquery, alias, .. } => {
                let (alias, subquery) = (alias.clone(), subquery.clone());
                (&mut from.relation, alias, Expr::Subquery(subquery))
            }
            _ => return Err(refuse(&window.function, not_one_table())),
        },
        _ => return Err(refuse(&window.function, not_one_table())),
    };
    let data = rows.map_or(data, |rows| Expr::Subquery(Box::new(rows)));
    let table = [vec![data], window.partition.clone()].concat();
    let mut arguments = vec![call(TABLE_ARGUMENT, table), call(DESCRIPTOR, vec![window.arguments[0].clone()])];
    arguments.extend(window.arguments[1..].iter().cloned());
    let mut function = window.function.clone();
    function.args = argument_list(arguments);
    *factor = TableFactor::TableFunction { expr: Expr::Function(function), alias };
    Ok(())
}

/// Takes WHERE out: the query of the rows that it leaves.
fn filtered(select: &mut Select) -> Option<Query> {
    let selection = Some(select.selection.take()?);
    let rows = Select {
        distinct: None,
        projection: vec![SelectItem::Wildcard(WildcardAdditionalOptions {
            wildcard_token: AttachedToken::empty(),
            ..WildcardAdditionalOptions::default()
        })],
        selection,
        group_by: GroupByExpr::Expressions(vec![], vec![]),
        having: None,
        named_window: vec![],
        qualify: None,
        ..select.clone()
    };
    Some(Query {
        with: None,
        body: Box::new(SetExpr::Select(Box::new(rows))),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: vec![],
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: vec![],
    })
}

fn not_one_table() -> SqlError {
    SqlError::new(SqlError::UNSUPPORTED, "a group window over more than one table")
        .with_hint("make a view of the join and group by its window")
}

/// `TUMBLE_START(…)` becomes `window_start`, and so on; the arguments must be those of the window.
fn replace_properties(select: &mut Select, window: &GroupWindow, dialect: Dialect) -> Result<(), SqlError> {
    struct Replacer<'w>(&'w GroupWindow);
    impl Replacer<'_> {
        fn replace(&self, expr: &mut Expr) -> Result<(), SqlError> {
            let Expr::Function(f) = &*expr else { return Ok(()) };
            let Some(column) = window_property(f) else { return Ok(()) };
            let name = function_name(f);
            if column == "proctime" {
                let error = SqlError::new(SqlError::UNSUPPORTED, format!("{name}: processing time is not supported"))
                    .with_hint("windows are cut over event time: use the ROWTIME function");
                return Err(refuse(f, error));
            }
            let of = function_name(&self.0.function);
            if name.rsplit_once('_').map(|(w, _)| w) != Some(of.as_str()) || arguments(f) != self.0.arguments {
                let error = SqlError::new(SqlError::INVALID, format!("{f} does not belong to {}", self.0.function))
                    .with_hint("give it the arguments of the window in GROUP BY");
                return Err(refuse(f, error));
            }
            let mut ident = Ident::new(column);
            ident.span = f.name.span();
            *expr = Expr::Identifier(ident);
            Ok(())
        }
    }
    impl VisitorMut for Replacer<'_> {
        type Break = Box<SqlError>;
        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
            match self.replace(expr) {
                Ok(()) => ControlFlow::Continue(()),
                Err(e) => ControlFlow::Break(Box::new(e)),
            }
        }
    }
    for (at, item) in select.projection.iter_mut().enumerate() {
        if let SelectItem::UnnamedExpr(e @ Expr::Function(_)) = item
            && matches!(e, Expr::Function(f) if window_property(f).is_some())
        {
            let alias = Ident::with_quote('`', name_of(dialect, at, e));
            *item = SelectItem::ExprWithAlias { expr: e.clone(), alias };
        }
    }
    let mut replacer = Replacer(window);
    let mut outcome = VisitMut::visit(&mut select.projection, &mut replacer);
    if let (ControlFlow::Continue(()), Some(having)) = (&outcome, select.having.as_mut()) {
        outcome = VisitMut::visit(having, &mut replacer);
    }
    match outcome {
        ControlFlow::Break(e) => Err(*e),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// A TUMBLE_START and the like in a SELECT without such a window.
fn stray_property(select: &Select) -> Option<Function> {
    struct Finder;
    impl Visitor for Finder {
        type Break = Box<Function>;
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Self::Break> {
            match expr {
                Expr::Function(f) if window_property(f).is_some() => ControlFlow::Break(Box::new(f.clone())),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    match Visit::visit(&select.projection, &mut Finder) {
        ControlFlow::Break(f) => Some(*f),
        ControlFlow::Continue(()) => None,
    }
}
